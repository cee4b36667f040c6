//! `GET /v1/status`: how far hosts are.

use std::collections::BTreeMap;

use crate::agents::Reached;
use serde_json::{Value, json};
use weft_net::HostName;
use weft_services::Model;
use weft_services::catalogue::CATALOGUE;

use super::respond::{Answer, ok};
use super::route::Api;
use crate::agents::Distribution;

pub(crate) fn status(api: &Api) -> Answer {
    let snapshot = api.site.durable();
    let model = &snapshot.model.0;
    // Reports are held for one host at a time: nobody waits for all of them.
    let hosts: Vec<Value> =
        model.hosts().map(|host| host_status(&api.site.distribution.lock(), &host.name)).collect();
    let counts: BTreeMap<&str, usize> =
        CATALOGUE.iter().map(|entry| (entry.collection, entry.count(model))).collect();
    let quarantine: Vec<Value> =
        quarantined(model).map(|(what, host)| json!({ "what": what, "host": host })).collect();
    ok(&json!({
        "version": snapshot.version.to_string(), "software_version": env!("CARGO_PKG_VERSION"),
        "uptime_s": api.site.started.elapsed().as_secs(), "hosts": hosts, "counts": counts,
        "quarantine": quarantine, "route_audit": route_audit(api),
    }))
}

/// What the audit of routes has found: how often each comparison was made, and the alarms, the newest first.
fn route_audit(api: &Api) -> Value {
    let figures = api.site.alarms.figures();
    let figures: Vec<Value> = figures
        .into_iter()
        .map(|(comparison, figures)| {
            json!({ "comparison": comparison, "checked": figures.checked, "alarms": figures.alarms, "mended": figures.mended })
        })
        .collect();
    json!({ "comparisons": figures, "alarms": api.site.alarms.all() })
}

/// What nobody else can have before a host has confirmed that it has it no longer, and which host that is.
pub(crate) fn quarantined(model: &Model) -> impl Iterator<Item = (String, &HostName)> {
    model.departures().map(|departure| (departure.what.to_string(), &departure.host))
}

fn host_status(distribution: &Distribution, name: &HostName) -> Value {
    let Some(state) = distribution.host(name) else {
        return json!({ "name": name, "software_version": null, "alive": false, "at_rest": false, "version": null, "behind": 0, "steps_done": 0, "steps_failed": 0, "not_done": [], "drifts": 0 });
    };
    let text = |reached: Option<Reached>| reached.map(|reached| reached.version.to_string());
    let not_done: Vec<Value> = state
        .outcome
        .not_done
        .iter()
        .map(|((service, subject), not_done)| {
            let what = if not_done.waiting { "waiting" } else { "failed" };
            json!({ "fragment": format!("{subject} of {service}"), "state": what, "object": not_done.object, "reason": not_done.reason })
        })
        .collect();
    json!({
        "name": name, "software_version": state.software_version, "alive": state.connection.is_some(), "at_rest": state.is_at_rest(), "version": text(state.reported),
        "behind": state.behind(), "steps_done": state.outcome.steps_done, "steps_failed": state.outcome.steps_failed, "not_done": not_done,
        "observe_error": state.outcome.observe_error, "drifts": state.drifts,
    })
}
