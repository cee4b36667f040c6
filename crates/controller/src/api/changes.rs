//! What a commit did, in the words of the resources that people ask for.
//!
//! A port of Neutron's is kept as three rows of one identifier: what is done to one of them is done to the port. Rows that no
//! resource shows, as those that keep a VNI in quarantine, are left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use weft_services::catalogue::{CATALOGUE, Entry, by_any_name, by_part};
use weft_services::{Id, Model, Row, RowKey, RowKind, Write};
use weft_store::{Event, Revision, Store};

use crate::head::Head;

/// How many commits back the model is reconstructed to learn what was there.
const BACK_MAX: u64 = 10_000;

/// What was done to a row.
pub(crate) struct RowChange {
    pub(crate) key: RowKey,
    pub(crate) action: &'static str,
    pub(crate) name: Option<String>,
}

impl RowChange {
    /// What a write did, where `is_new` says whether its key was not there before.
    fn of(write: &Write, is_new: impl Fn(&Write) -> bool) -> Self {
        let action = match write {
            Write::Put(_) if is_new(write) => "create",
            Write::Put(_) => "update",
            Write::Delete(_) => "delete",
        };
        let name = match write {
            Write::Put(row) => name_of(row),
            Write::Delete(_) => None,
        };
        Self { key: write.key(), action, name }
    }
}

/// What was done to a resource.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ResourceChange {
    pub(crate) action: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) id: String,
    pub(crate) name: Option<String>,
}

/// What was done to resources, each once, where `is_whole` tells which identifiers are those of what was made as one.
pub(crate) fn shown(
    rows: impl Iterator<Item = RowChange>,
    is_whole: impl Fn(Id) -> bool,
) -> Vec<ResourceChange> {
    let mut changes: Vec<ResourceChange> = Vec::new();
    let mut places: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for row in rows {
        let part = part(&row.key).filter(|part| is_whole(part.id));
        let (kind, id) =
            part.map_or_else(|| kind_and_id(&row.key), |part| (part.of.member, part.id.to_string()));
        if by_any_name(kind).is_none() {
            continue;
        }
        let decides = part.is_none_or(|part| part.is_first());
        let place = *places.entry((kind, id.clone())).or_insert(changes.len());
        if place == changes.len() {
            changes.push(ResourceChange { action: "update", kind, id, name: row.name.clone() });
        }
        if decides {
            (changes[place].action, changes[place].name) = (row.action, row.name);
        }
    }
    changes
}

fn kind_and_id(key: &RowKey) -> (&'static str, String) {
    let text = key.to_text();
    let id = text.split_once('/').map(|(_, id)| id.to_owned()).unwrap_or_default();
    (key.kind().as_str(), id)
}

/// The name of what a row is of.
pub(crate) fn name_of(row: &Row) -> Option<String> {
    row.standard().map(|standard| standard.name.clone())
}

/// Whether a row looks as if it had never been written before.
fn is_first(write: &Write) -> bool {
    matches!(write, Write::Put(row) if row.standard().is_some_and(|standard| standard.revision_number == 1))
}

/// What may be a part of a resource that is made of several rows.
#[derive(Clone, Copy)]
struct Part {
    of: &'static Entry,
    kind: RowKind,
    id: Id,
}

impl Part {
    /// Whether it is the part that has the name, and tells whether the whole is made, changed or deleted.
    fn is_first(&self) -> bool {
        self.of.parts().first() == Some(&self.kind)
    }
}

fn part(key: &RowKey) -> Option<Part> {
    match key {
        RowKey::Resource(kind, id) => by_part(*kind).map(|of| Part { of, kind: *kind, id: *id }),
        _ => None,
    }
}

/// Whether something of this identifier has been made as one.
pub(crate) fn is_whole(model: &Model, id: Id) -> bool {
    CATALOGUE.iter().any(|entry| entry.is_made_as_one(model, id))
}

/// What each of these commits, oldest first, did to resources. Reads the disk.
pub(crate) fn told(store: &Store<Head>, events: &[Event<Head>]) -> Vec<Vec<ResourceChange>> {
    match before(store, events) {
        Some(model) => told_from(model, events),
        None => {
            let now = store.durable();
            events.iter().map(|event| told_by_itself(&now.model.0, event)).collect()
        }
    }
}

/// The model before these commits, if it is not too long ago.
fn before(store: &Store<Head>, events: &[Event<Head>]) -> Option<Model> {
    let first = events.first()?.version.revision.get();
    let is_near = store.durable().version.revision.get().saturating_sub(first) <= BACK_MAX;
    let past = is_near.then(|| store.at(Revision::new(first.saturating_sub(1))).ok())?;
    past.map(|past| past.model.0)
}

/// What commits on top of a model did.
fn told_from(mut model: Model, events: &[Event<Head>]) -> Vec<Vec<ResourceChange>> {
    let mut told = Vec::new();
    for event in events {
        let before = model.clone();
        event.writes.iter().for_each(|write| model.apply(write));
        let is_new = |write: &Write| before.row(&write.key()).is_none();
        let rows = event.writes.iter().map(|write| RowChange::of(write, is_new));
        told.push(shown(rows, |id| is_whole(&before, id) || is_whole(&model, id)));
    }
    told
}

/// What a commit did, as far as it says by itself: what it makes or deletes as a whole, it writes all of.
fn told_by_itself(now: &Model, event: &Event<Head>) -> Vec<ResourceChange> {
    let mut parts: BTreeMap<Id, BTreeSet<RowKind>> = BTreeMap::new();
    for part in event.writes.iter().filter_map(|write| part(&write.key())) {
        parts.entry(part.id).or_default().insert(part.kind);
    }
    let is_written_whole = |id: Id| {
        let has_all = |entry: &Entry| {
            let all = entry.parts();
            !all.is_empty() && all.iter().all(|kind| parts.get(&id).is_some_and(|it| it.contains(kind)))
        };
        CATALOGUE.iter().any(has_all)
    };
    let rows = event.writes.iter().map(|write| RowChange::of(write, is_first));
    shown(rows, |id| is_written_whole(id) || is_whole(now, id))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use weft_services::catalogue::by_path;
    use weft_services::{Change, Choices, Timestamp};
    use weft_store::{Epoch, Version};

    use super::*;

    /// What a change did, told without the model that it was made of.
    fn told_of(change: Change) -> (Vec<String>, Model) {
        let (writes, after) = change.finish().unwrap();
        let version = Version { epoch: Epoch::FIRST, revision: Revision::new(1) };
        let event = Event { version, note: "".into(), writes: writes.into() };
        let told = told_by_itself(&Model::default(), &event);
        (told.iter().map(|it| format!("{} {}", it.action, it.kind)).collect(), after)
    }

    fn change(model: &Model) -> Change {
        let choices = Choices { now: Timestamp(0), seed: [7; 32], project_id: "default".into() };
        Change::new(model.clone(), choices)
    }

    fn create(change: &mut Change, path: &str, request: &Value) -> String {
        by_path(path).unwrap().create(change, request.as_object().unwrap()).unwrap()
    }

    #[test]
    fn a_commit_of_long_ago_tells_by_itself_what_it_made_and_deleted() {
        let mut made = change(&Model::default());
        let network = create(&mut made, "networks", &json!({}));
        let port = create(&mut made, "ports", &json!({ "network_id": network }));
        let vnic = create(&mut made, "instance-ports", &json!({}));
        let (told, model) = told_of(made);
        assert_eq!(told, ["create network", "create port", "create instance_port"]);
        let mut deleted = change(&model);
        by_path("ports").unwrap().delete(&mut deleted, &port, None).unwrap();
        by_path("instance-ports").unwrap().delete(&mut deleted, &vnic, None).unwrap();
        assert_eq!(told_of(deleted).0, ["delete port", "delete instance_port"]);
    }
}
