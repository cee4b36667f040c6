//! `GET /v1/explain`: why a host has an object: which fragment, which resource, which request.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use weft_dataplane::FragmentId;
use weft_net::HostName;
use weft_services::catalogue::{Entry, NoStatuses, by_kind};
use weft_services::compile::{self, FragmentKey};
use weft_services::{Model, Refusal, RowKey};
use weft_store::{Store, Version};

use super::disk;
use super::history::commits;
use super::respond::{Answer, Problem, ok};
use super::route::{Api, Asked};
use crate::head::Head;
use crate::note::Note;
use crate::site::Site;

/// How many commits back the request that asked for something is looked for, and how many are read at a time.
const BACK_MAX: u64 = 10_000;
const STEP: u64 = 500;

pub(crate) async fn explain(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let query = asked.query();
    let host = query.get("host").filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| Problem::malformed("host: this parameter is missing"))?.to_owned();
    let wanted = query.get("object").unwrap_or_default().to_owned();
    let site = api.site.clone();
    let objects = disk::read(move || objects(&site, &host, &wanted)).await?;
    Ok(ok(&json!({ "objects": objects })))
}

/// The objects in whose text the wanted one occurs, each with the fragments that ask for it. Reads the disk.
fn objects(site: &Site, host: &str, wanted: &str) -> Result<Vec<Value>, Problem> {
    let snapshot = site.durable();
    let model = &snapshot.model.0;
    let known = host.parse::<HostName>().ok().filter(|host| model.host(host).is_some());
    let known = known.ok_or_else(|| Refusal::not_found("HostNotFound", "Host", host))?;
    let mut asking: BTreeMap<String, Vec<FragmentId>> = BTreeMap::new();
    for fragment in compile::intent_of(model, &known) {
        for object in &fragment.objects {
            let text = object.to_string();
            if text.contains(wanted) {
                asking.entry(text).or_default().push(fragment.id.clone());
            }
        }
    }
    let ids: BTreeSet<&FragmentId> = asking.values().flatten().collect();
    let origins: BTreeMap<&FragmentId, Origin> =
        ids.into_iter().map(|id| (id, Origin::find(model, id))).collect();
    let rows = origins.values().filter_map(|origin| origin.row.clone()).collect();
    let writers = last_commits(&site.store, rows);
    let fragment = |id: &FragmentId| origins.get(id).map(|origin| origin.render(id, &writers));
    let explained = asking.iter().map(|(object, ids)| {
        let fragments: Vec<Value> = ids.iter().filter_map(fragment).collect();
        json!({ "object": object, "fragments": fragments })
    });
    Ok(explained.collect())
}

/// The resource that a fragment is of.
struct Origin {
    entry: Option<&'static Entry>,
    resource_id: String,
    name: Option<Value>,
    row: Option<RowKey>,
}

impl Origin {
    fn find(model: &Model, id: &FragmentId) -> Self {
        let row = FragmentKey::from_id(id).map(|key| key.asked_by());
        let entry = row.as_ref().and_then(|row| by_kind(row.kind()));
        let resource_id = match (entry, &row) {
            (Some(entry), Some(row)) => entry.shows(model, row).unwrap_or_default(),
            _ => String::new(),
        };
        let rendered = entry.and_then(|entry| entry.render(model, &resource_id, &NoStatuses));
        let name = rendered.and_then(|map| map.get("name").cloned());
        Self { entry, resource_id, name, row }
    }

    fn render(&self, id: &FragmentId, writers: &BTreeMap<RowKey, Commit>) -> Value {
        let commit = self.row.as_ref().and_then(|row| writers.get(row));
        json!({
            "id": id.to_string(), "kind": self.entry.map(|entry| entry.member), "resource_id": self.resource_id,
            "name": self.name, "request_id": commit.map(|commit| &commit.note.request_id),
            "at": commit.map(|commit| commit.note.at.to_string()),
            "version": commit.map(|commit| commit.version.to_string()),
        })
    }
}

/// Which commit it was, and who asked for it.
#[derive(Clone)]
struct Commit {
    version: Version,
    note: Note,
}

/// The commits that last wrote these rows, as far as the newest ones tell: the log is read once for all of them.
fn last_commits(store: &Store<Head>, mut wanted: BTreeSet<RowKey>) -> BTreeMap<RowKey, Commit> {
    let mut found = BTreeMap::new();
    let mut to = store.durable().version.revision.get();
    let oldest = to.saturating_sub(BACK_MAX) + 1;
    while to >= oldest && !wanted.is_empty() {
        let from = (to + 1).saturating_sub(STEP).max(oldest);
        // What is older is no longer kept, or cannot be read: then nobody can be named.
        let Some(events) = commits(store, from, to).ok().filter(|events| !events.is_empty()) else { break };
        for event in events.iter().rev() {
            let written = event.writes.iter().map(weft_services::Write::key);
            let written: Vec<RowKey> = written.filter(|key| wanted.remove(key)).collect();
            if !written.is_empty() {
                let commit = Commit { version: event.version, note: Note::from_text(&event.note) };
                found.extend(written.into_iter().map(|key| (key, commit.clone())));
            }
        }
        to = from - 1;
    }
    found
}
