//! `GET /v1/explain/route`: a route from who asked for it to the kernels of hosts.
//!
//! ```text
//!  rows ── paths of ports ─┐                               ┌─ announced: to whom, by which speaker
//!  neighbours ── learned ──┴─> VRF and destination ────────┴─ hosts: what each was told, what it said of that, what it has
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::StatusCode;
use ipnet::IpNet;
use serde_json::{Value, json};
use weft_bgp::speaker::Speaker;
use weft_net::HostName;
use weft_services::compile::{self, Compiled, FragmentKey, Subject};
use weft_services::vrf::{self, Announcement, Vrf};
use weft_services::{Model, Refusal, RowKey, RowKind};

use super::resource;
use crate::agents::{Distribution, HostState};
use crate::api::bgp::{prefix, vrfs};
use crate::api::respond::{Answer, Problem, ok};
use crate::api::route::{Api, Asked};
use crate::bgp;

/// How long a host is given to say what it has.
const KERNEL_WITHIN: Duration = Duration::from_secs(2);
/// The most hosts that are asked what they have.
const HOSTS_MAX: usize = 64;

pub(crate) async fn explain(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let query = asked.query();
    let needed = |name: &str| {
        let given = query.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
        given.ok_or_else(|| Problem::malformed(format!("{name}: this parameter is missing")))
    };
    let (from, text) = (needed("from")?, needed("destination")?);
    let wanted = prefix("destination", &text)?;
    let model = api.site.distribution.lock().model().0.clone();
    let host = query.get("host").filter(|host| !host.is_empty());
    let host = host.map(|host| known_host(&model, host)).transpose()?;
    let mut routes = Vec::new();
    for id in vrfs(&model, "from", &from)? {
        let Some(vrf) = model.vrf(id) else { continue };
        let Some(destination) = vrf::destination_of(&model, vrf, wanted) else { continue };
        let asking = Asking { api, model: &model, vrf, destination, host: host.as_ref() };
        routes.push(asking.told().await);
    }
    if routes.is_empty() {
        let message = format!("destination: nothing leads from '{from}' to '{text}'");
        return Err(Problem::Http(StatusCode::NOT_FOUND, "RouteNotFound", message));
    }
    Ok(ok(&json!({ "routes": routes })))
}

fn known_host(model: &Model, text: &str) -> Result<HostName, Problem> {
    let known = text.parse::<HostName>().ok().filter(|host| model.host(host).is_some());
    Ok(known.ok_or_else(|| Refusal::not_found("HostNotFound", "Host", text))?)
}

/// What is asked about.
struct Asking<'a> {
    api: &'a Api,
    model: &'a Model,
    vrf: &'a Vrf,
    destination: IpNet,
    host: Option<&'a HostName>,
}

impl Asking<'_> {
    fn key(&self) -> FragmentKey {
        FragmentKey::new(RowKind::Vrf, self.vrf.standard.id, Subject::Prefix(self.destination))
    }

    async fn told(&self) -> Value {
        let vrf = self.vrf;
        let targets = |targets: &BTreeSet<vrf::Target>| -> Vec<String> {
            targets.iter().map(ToString::to_string).collect()
        };
        json!({
            "destination": self.destination,
            "vrf": {
                "vrf_id": vrf.standard.id, "of": resource(self.model, &vrf::scope_row(vrf)), "vni": vrf.vni,
                "import_targets": targets(&vrf.imports), "export_targets": targets(&vrf.exports),
            },
            "paths": self.paths(),
            "learned": self.learned().await,
            "announced": self.announced().await,
            "hosts": self.hosts().await,
        })
    }

    /// The ways that rows call for.
    fn paths(&self) -> Vec<Value> {
        let paths = vrf::asked_paths(self.model, self.vrf, self.destination);
        let path = |path: &vrf::AskedPath| {
            let port = RowKey::Resource(RowKind::ServicePort, path.port);
            json!({
                "because_of": resource(self.model, &path.by), "port": resource(self.model, &port),
                "vrf_id": path.vrf, "host": path.host, "local_pref": path.local_pref,
                "is_usable": path.is_usable, "is_used": path.is_used,
            })
        };
        paths.iter().map(path).collect()
    }

    /// What neighbours have told, and whether the model has it.
    async fn learned(&self) -> Vec<Value> {
        let known = self.model.facts().routes(self.vrf.standard.id, self.destination);
        let mut learned = Vec::new();
        for (speaker, handle) in self.api.site.speakers.all() {
            let instance = self.vrf.standard.id.to_string();
            let of = bgp::imported_destinations(self.destination);
            let ask = move |speaker: &mut Speaker, _| {
                of.map(|destination| speaker.imported(&instance, &destination).unwrap_or_default())
            };
            let has = handle.with(ask).await.into_iter().flatten().flatten();
            learned.extend(has.map(|path| {
                let next_hop = path.attributes.next_hop.address();
                let of_known = known.iter().find(|known| known.next_hop == next_hop);
                json!({
                    "speaker_id": speaker, "neighbor": path.neighbor, "next_hop": next_hop,
                    "route_distinguisher": path.distinguisher.map(|it| it.to_string()),
                    "local_pref": path.attributes.local_pref, "is_stale": path.is_stale,
                    "is_in_model": of_known.is_some(), "encapsulation": of_known.map(|known| known.encapsulation),
                })
            }));
        }
        learned
    }

    /// What neighbours are told, and who of them was.
    async fn announced(&self) -> Vec<Value> {
        let mut announced = Vec::new();
        for announcement in vrf::announcements(self.model, self.vrf.standard.id, self.destination) {
            let carried_out = self.api.site.distribution.lock().forwards(&announcement.host, &self.key());
            let told = self.told_to(&announcement).await;
            announced.push(json!({
                "host": announcement.host, "next_hop": announcement.next_hop, "vni": announcement.vni,
                "label": announcement.label, "local_pref": announcement.local_pref,
                "route_distinguisher": announcement.route_distinguisher.to_string(),
                "route_targets": announcement.targets.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "is_carried_out": carried_out, "routes": told,
            }));
        }
        announced
    }

    async fn told_to(&self, announcement: &Announcement) -> Vec<Value> {
        let destinations = bgp::announced_destinations(announcement);
        let mut told = Vec::new();
        for (speaker, handle) in self.api.site.speakers.all() {
            for destination in destinations.clone() {
                let text = destination.to_string();
                let ask = move |speaker: &mut Speaker, _| {
                    (speaker.originated(&destination).is_some(), speaker.told_to(&destination))
                };
                let Some((is_originated, neighbors)) = handle.with(ask).await else { continue };
                told.push(json!({
                    "speaker_id": speaker, "destination": text, "is_originated": is_originated,
                    "neighbors": neighbors,
                }));
            }
        }
        told
    }

    /// What each host was told, what it has said of that, and what it has.
    async fn hosts(&self) -> Vec<Value> {
        let key = self.key();
        // Those beside the route's own say how the routers are reached that it leads to.
        let keys = std::iter::once(key.clone());
        let keys = keys.chain(vrf::next_routers(self.model, self.vrf.standard.id, self.destination));
        let keys: Vec<FragmentKey> = keys.collect();
        let compiled: Vec<Compiled> =
            keys.iter().filter_map(|key| compile::compile(self.model, key)).collect();
        let followers = compile::followers(self.model, key.service).into_iter();
        let hosts = followers.filter(|host| self.host.is_none_or(|wanted| wanted == host)).take(HOSTS_MAX);
        let mut told = Vec::new();
        for host in hosts {
            let objects = compiled.iter().flat_map(|compiled| compiled.objects_on(&host));
            let object_keys: Vec<String> = objects.clone().map(|object| object.key().to_string()).collect();
            let objects: Vec<String> = objects.map(ToString::to_string).collect();
            let (state, reason) = outcome(&self.api.site.distribution.lock(), &host, &keys);
            told.push(json!({
                "host": host, "is_home": compiled.iter().any(|compiled| compiled.is_home(&host)),
                "ways_left_out": vrf::ways_left_out(self.model, self.vrf, self.destination, &host),
                "objects": objects, "state": state, "reason": reason, "kernel": self.kernel(&host, &object_keys).await,
            }));
        }
        told
    }

    /// What the host has of these objects, as it says; `null` where it does not answer.
    async fn kernel(&self, host: &HostName, keys: &[String]) -> Value {
        if keys.is_empty() {
            return json!([]);
        }
        let filter = self.destination.to_string();
        let asked = self.api.links.explain(host, &filter);
        let Ok(Some(answer)) = tokio::time::timeout(KERNEL_WITHIN, asked).await else { return Value::Null };
        let is_meant = |line: &&String| {
            keys.iter().any(|key| line.strip_prefix(key.as_str()).is_some_and(|rest| rest.starts_with(':')))
        };
        json!(answer.lines.iter().filter(is_meant).collect::<Vec<_>>())
    }
}

/// What a host has said of fragments, and why one is not done if it is not.
fn outcome(
    distribution: &Distribution,
    host: &HostName,
    keys: &[FragmentKey],
) -> (&'static str, Option<String>) {
    let Some(state) = distribution.host(host) else { return ("never_connected", None) };
    if let Some(not_done) = keys.iter().find_map(|key| state.outcome.not_done_of(key)) {
        let word = if not_done.waiting { "waiting" } else { "failed" };
        return (word, Some(not_done.reason));
    }
    let mut words = keys.iter().map(|key| without_complaint(state, key));
    (words.find(|word| *word != CARRIED_OUT).unwrap_or(CARRIED_OUT), None)
}

const CARRIED_OUT: &str = "carried_out";

fn without_complaint(state: &HostState, key: &FragmentKey) -> &'static str {
    match state.connection {
        None => "not_connected",
        Some(_) if !state.outcome.tells(key) => "not_reported",
        Some(_) if state.sent.is_some() && state.reported >= state.sent => CARRIED_OUT,
        Some(_) => "not_reported",
    }
}
