//! Counters, in the OpenMetrics text format.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::bgp::{BgpCollector, BgpMoment};

/// How a request ended. Labels are bounded: no path, no identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: String,
}

/// What is read off at the moment of asking.
pub(crate) struct Moment {
    /// Agents that are connected.
    pub(crate) agents: usize,
    /// Hosts that have not confirmed all that they were sent.
    pub(crate) hosts_behind: usize,
    /// What waits for a host to confirm that it has it no longer: VNIs, by host.
    pub(crate) quarantined: usize,
    /// The revision that readers see.
    pub(crate) revision: u64,
    /// Neighbours, tables, and the audit of routes.
    pub(crate) bgp: BgpMoment,
}

/// All that the controller counts.
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Histogram,
    commits: Family<OutcomeLabels, Counter>,
    agents: Gauge,
    hosts_behind: Gauge,
    quarantined: Gauge,
    revision: Gauge,
    updates: Counter,
    bgp: BgpCollector,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("weft"),
            requests: Family::default(),
            request_seconds: Histogram::new(exponential_buckets(0.000_5, 2.0, 14)),
            commits: Family::default(),
            agents: Gauge::default(),
            hosts_behind: Gauge::default(),
            quarantined: Gauge::default(),
            revision: Gauge::default(),
            updates: Counter::default(),
            bgp: BgpCollector::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("http_requests", "Requests answered", metrics.requests.clone());
        registry.register("http_request_seconds", "How long answers took", metrics.request_seconds.clone());
        registry.register("commits", "Changes committed or not", metrics.commits.clone());
        registry.register("agents_connected", "Agents that are connected", metrics.agents.clone());
        registry.register(
            "hosts_behind",
            "Hosts that have not confirmed all they were sent",
            metrics.hosts_behind.clone(),
        );
        registry.register(
            "quarantined",
            "VNIs that wait for a host to confirm their removal, once for each host",
            metrics.quarantined.clone(),
        );
        registry.register("store_revision", "Revision that readers see", metrics.revision.clone());
        registry.register("agent_updates", "Updates sent to agents", metrics.updates.clone());
        registry.register_collector(Box::new(metrics.bgp.clone()));
        metrics
    }
}

impl Metrics {
    pub(crate) fn request(&self, method: &str, status: u16, seconds: f64) {
        let known = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]
            .into_iter()
            .find(|known| *known == method);
        let method = known.unwrap_or("other").to_owned();
        self.requests.get_or_create(&RequestLabels { method, status }).inc();
        self.request_seconds.observe(seconds);
    }

    /// A change was `committed`, `refused`, or not written: `unavailable`.
    pub(crate) fn commit(&self, outcome: &'static str) {
        self.commits.get_or_create(&OutcomeLabels { outcome: outcome.to_owned() }).inc();
    }

    pub(crate) fn update_sent(&self) {
        self.updates.inc();
    }

    /// All metrics as text.
    pub(crate) fn text(&self, now: Moment) -> String {
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.agents.set(gauge(now.agents));
        self.hosts_behind.set(gauge(now.hosts_behind));
        self.quarantined.set(gauge(now.quarantined));
        self.revision.set(i64::try_from(now.revision).unwrap_or(i64::MAX));
        *self.bgp.0.lock() = now.bgp;
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => text,
            Err(error) => format!("# {error}\n"),
        }
    }
}
