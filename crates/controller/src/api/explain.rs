//! `GET /v1/explain`: why a host has an object: of which resource it is, what brings it to this host, and which requests asked
//! for that.
//!
//! Who made a resource is kept with it. What last changed what the host sees of it is looked for in the log, as far back as
//! [`past`] looks.

mod past;
pub(crate) mod route;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use weft_net::HostName;
use weft_services::catalogue::asked_for_as;
use weft_services::compile::{self, FragmentKey, ServiceKey, Subject};
use weft_services::{Model, Refusal, RowKey};

use super::disk;
use super::respond::{Answer, Problem, ok};
use super::route::{Api, Asked};
use crate::site::Site;
use past::{Commit, Past};

/// The most objects in one answer.
const OBJECTS_MAX: usize = 500;
/// The most fragments that are told of one object: a device that everything uses is part of all.
const FRAGMENTS_MAX: usize = 10;
/// How many of the resources that bring something to a host are named.
const NAMED_MAX: usize = 5;

pub(crate) async fn explain(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let query = asked.query();
    let host = query.get("host").filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| Problem::malformed("host: this parameter is missing"))?.to_owned();
    let wanted = query.get("object").unwrap_or_default().to_owned();
    let site = api.site.clone();
    Ok(ok(&disk::read(move || explanation(&site, &host, &wanted)).await?))
}

/// The objects in whose text the wanted one occurs, each with the fragments that ask for it. Reads the disk.
fn explanation(site: &Site, host: &str, wanted: &str) -> Result<Value, Problem> {
    let snapshot = site.durable();
    let model = &snapshot.model.0;
    let known = host.parse::<HostName>().ok().filter(|host| model.host(host).is_some());
    let host = known.ok_or_else(|| Refusal::not_found("HostNotFound", "Host", host))?;
    let asking = asking(model, &host, wanted);
    let told = || asking.iter().take(OBJECTS_MAX);
    let fragments: BTreeSet<&FragmentKey> =
        told().flat_map(|(_, keys)| keys.iter().take(FRAGMENTS_MAX)).collect();
    let past = Past::read(&site.store, &host, &fragments);
    let (live, here) = (live_on(model, &host), &host);
    let fragment = |key: &FragmentKey| Told { model, host: here, live: &live, past: &past }.fragment(key);
    let objects = told().map(|(object, keys)| {
        let fragments: Vec<Value> = keys.iter().take(FRAGMENTS_MAX).map(fragment).collect();
        let left_out = keys.len().saturating_sub(FRAGMENTS_MAX);
        json!({ "object": object, "fragments": fragments, "fragments_left_out": left_out })
    });
    Ok(json!({
        "objects": objects.collect::<Vec<Value>>(), "left_out": asking.len().saturating_sub(OBJECTS_MAX),
        "changes_since": past.since.map(|since| since.to_string()),
    }))
}

/// The objects of a host in whose text the wanted one occurs, each with the fragments of which it is part.
fn asking(model: &Model, host: &HostName, wanted: &str) -> BTreeMap<String, Vec<FragmentKey>> {
    let mut asking: BTreeMap<String, Vec<FragmentKey>> = BTreeMap::new();
    for fragment in compile::intent_of(model, host) {
        let Some(key) = FragmentKey::from_id(&fragment.id) else { continue };
        for text in fragment.objects.iter().map(ToString::to_string).filter(|text| text.contains(wanted)) {
            asking.entry(text).or_default().push(key.clone());
        }
    }
    asking
}

/// The resources on a host that put something there, by what they have it follow.
fn live_on(model: &Model, host: &HostName) -> BTreeMap<ServiceKey, Vec<RowKey>> {
    let mut live: BTreeMap<ServiceKey, Vec<RowKey>> = BTreeMap::new();
    for key in compile::at_home(model, host) {
        if let Subject::Row(row @ RowKey::Resource(..)) = &key.subject
            && compile::compile(model, &key).is_some()
        {
            live.entry(key.service).or_default().push(row.clone());
        }
    }
    live
}

/// What there is to tell of the fragments of a host.
struct Told<'a> {
    model: &'a Model,
    host: &'a HostName,
    live: &'a BTreeMap<ServiceKey, Vec<RowKey>>,
    past: &'a Past,
}

impl Told<'_> {
    fn fragment(&self, key: &FragmentKey) -> Value {
        let mut told = resource(self.model, &key.asked_by());
        let compiled = compile::compile(self.model, key);
        // What is on this host of its own accord needs nothing to bring it here.
        let is_home = compiled.as_ref().is_some_and(|compiled| compiled.is_home(self.host));
        let is_itself = is_home && key.subject.is_resource();
        let homes: Vec<&HostName> = compiled.iter().flat_map(|compiled| compiled.at.keys()).collect();
        let bringing = self.live.get(&key.service).filter(|_| !is_itself);
        let asked_by = told["request_id"].as_str();
        let changed = self.past.found.get(key).filter(|commit| Some(&*commit.note.request_id) != asked_by);
        let changed = changed.map(Commit::told);
        told["id"] = json!(key.id().to_string());
        told["host"] = if let [home] = *homes { json!(home) } else { Value::Null };
        told["changed"] = json!(changed);
        told["because_of"] = json!(bringing.map(|rows| {
            let named: Vec<Value> =
                rows.iter().take(NAMED_MAX).map(|row| resource(self.model, row)).collect();
            json!({ "count": rows.len(), "first": named })
        }));
        told
    }
}

/// A resource by the name under which somebody asked for it, and the request that made it.
fn resource(model: &Model, row: &RowKey) -> Value {
    let entry = asked_for_as(model, row);
    let found = model.row(row);
    let own = found.as_ref().and_then(|row| row.standard());
    let id = own.map(|own| own.id.to_string());
    // What is made of several rows has its name in one of them.
    let holder = entry.zip(id.as_deref()).and_then(|(entry, id)| entry.row_key(model, id));
    let holder = holder.and_then(|key| model.row(&key));
    let standard = holder.as_ref().and_then(|row| row.standard()).or(own);
    json!({
        "kind": entry.map(|entry| entry.member), "resource_id": id, "name": standard.map(|it| &it.name),
        "request_id": standard.and_then(|it| it.created_by.as_ref()),
        "at": standard.map(|it| it.created_at.to_string()),
    })
}
