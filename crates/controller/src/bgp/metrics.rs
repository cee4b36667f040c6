//! BGP and the audit of routes as metrics.

use std::fmt;
use std::net::IpAddr;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use weft_bgp::session::FsmState;
use weft_bgp::speaker::{FamilyStatus, NeighborStatus, SpeakerStatus};
use weft_net::HostName;
use weft_services::Id;

use super::alarms::{Comparison, Figures};
use crate::site::Site;

/// All of it at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct BgpMoment {
    speakers: Vec<(Id, SpeakerStatus)>,
    neighbors: Vec<(Id, NeighborStatus)>,
    audit: Vec<(Comparison, Figures)>,
    /// How many objects each host has found other than it had left them.
    drifts: Vec<(HostName, u64)>,
}

impl BgpMoment {
    /// Asks everybody.
    pub(crate) async fn of(site: &Site) -> Self {
        let mut moment = Self { audit: site.alarms.figures(), ..Self::default() };
        for (id, handle) in site.speakers.all() {
            let asked = handle.with(|speaker, now| (speaker.status(), speaker.neighbors(now))).await;
            let Some((status, neighbors)) = asked else { continue };
            moment.speakers.push((id, status));
            moment.neighbors.extend(neighbors.into_iter().map(|neighbor| (id, neighbor)));
        }
        let distribution = site.distribution.lock();
        let (model, _) = distribution.model();
        let drifts = |host: &HostName| distribution.host(host).map_or(0, |state| state.drifts);
        moment.drifts = model.hosts().map(|host| (host.name.clone(), drifts(&host.name))).collect();
        moment
    }
}

/// Encodes the moment that it was told last.
#[derive(Clone, Debug, Default)]
pub(crate) struct BgpCollector(pub(crate) std::sync::Arc<parking_lot::Mutex<BgpMoment>>);

#[derive(Clone, Debug, EncodeLabelSet)]
struct NeighborLabels {
    speaker: String,
    neighbor: String,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct FamilyLabels {
    speaker: String,
    neighbor: String,
    family: String,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct TableLabels {
    speaker: String,
    family: String,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct ComparisonLabels {
    comparison: String,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct HostLabels {
    host: String,
}

fn neighbor_labels(speaker: Id, neighbor: IpAddr) -> NeighborLabels {
    NeighborLabels { speaker: speaker.to_string(), neighbor: neighbor.to_string() }
}

/// A metric with its values.
fn series<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, is_counter): (&str, &str, bool),
    values: impl IntoIterator<Item = (L, u64)>,
) -> fmt::Result {
    let kind = if is_counter { MetricType::Counter } else { MetricType::Gauge };
    let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
    for (labels, value) in values {
        let encoder = metric.encode_family(&labels)?;
        if is_counter {
            ConstCounter::new(value).encode(encoder)?;
        } else {
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)?;
        }
    }
    Ok(())
}

impl Collector for BgpCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let moment = self.0.lock();
        moment.encode_neighbors(&mut encoder)?;
        moment.encode_families(&mut encoder)?;
        moment.encode_tables(&mut encoder)?;
        moment.encode_audit(&mut encoder)
    }
}

type OfNeighbor = fn(&NeighborStatus) -> u64;
type OfFamily = fn(&FamilyStatus) -> u64;
type OfAudit = fn(&Figures) -> u64;

impl BgpMoment {
    fn encode_neighbors(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let is_up: OfNeighbor = |neighbor| u64::from(neighbor.state == FsmState::Established);
        let all: [(&str, &str, bool, OfNeighbor); 6] = [
            ("bgp_neighbor_established", "Whether the session is established", false, is_up),
            ("bgp_neighbor_established_seconds", "For how long it is", false, |it| {
                it.established_s.unwrap_or_default()
            }),
            ("bgp_neighbor_flaps", "How often it has ended", true, |it| it.statistics.ended),
            ("bgp_neighbor_updates_received", "UPDATE messages received", true, |it| {
                it.statistics.updates_received
            }),
            ("bgp_neighbor_updates_sent", "UPDATE messages sent", true, |it| it.statistics.updates_sent),
            (
                "bgp_neighbor_routes_rejected",
                "Routes that were not taken: by policy, or for a loop",
                true,
                |it| it.rejected,
            ),
        ];
        for (name, help, is_counter, value) in all {
            let values = self.neighbors.iter();
            let values = values.map(|(id, it)| (neighbor_labels(*id, it.address), value(it)));
            series(encoder, (name, help, is_counter), values)?;
        }
        Ok(())
    }

    fn encode_families(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let all: [(&str, &str, OfFamily); 3] = [
            ("bgp_neighbor_prefixes_accepted", "Paths of the neighbour's in the table", |it| {
                it.received.into()
            }),
            ("bgp_neighbor_prefixes_announced", "Destinations that it has been told of", |it| it.told as u64),
            ("bgp_neighbor_prefixes_pending", "Destinations that it has yet to be told of", |it| {
                it.pending as u64
            }),
        ];
        for (name, help, value) in all {
            let of_neighbor = |(id, neighbor): &(Id, NeighborStatus)| {
                let (speaker, neighbor_text) = (id.to_string(), neighbor.address.to_string());
                let families = neighbor.families.iter().map(move |family| {
                    let (speaker, neighbor) = (speaker.clone(), neighbor_text.clone());
                    (FamilyLabels { speaker, neighbor, family: family.family.clone() }, value(family))
                });
                families.collect::<Vec<_>>()
            };
            series(encoder, (name, help, false), self.neighbors.iter().flat_map(of_neighbor))?;
        }
        Ok(())
    }

    fn encode_tables(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let sizes = self.speakers.iter().flat_map(|(id, status)| {
            status.destinations.iter().map(|(family, count)| {
                (TableLabels { speaker: id.to_string(), family: family.clone() }, *count as u64)
            })
        });
        series(encoder, ("bgp_rib_destinations", "Destinations in the table", false), sizes)
    }

    fn encode_audit(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let all: [(&str, &str, bool, OfAudit); 4] = [
            ("route_audit_checked", "Routes that were compared", true, |it| it.checked),
            ("route_audit_alarms", "Routes that were not as they should be", true, |it| it.alarms),
            ("route_audit_mended", "Those that are again", true, |it| it.mended),
            ("route_audit_open", "Those that are not", false, |it| it.open),
        ];
        for (name, help, is_counter, value) in all {
            let values = self.audit.iter();
            let values =
                values.map(|(of, figures)| (ComparisonLabels { comparison: of.to_string() }, value(figures)));
            series(encoder, (name, help, is_counter), values)?;
        }
        let drifts = self.drifts.iter().map(|(host, count)| (HostLabels { host: host.to_string() }, *count));
        series(
            encoder,
            ("host_drifts", "Objects that a host found other than it had left them", true),
            drifts,
        )
    }
}
