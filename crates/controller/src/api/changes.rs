//! What a commit did, in the words of the resources that people ask for.
//!
//! A port of Neutron's is kept as three rows of one identifier: what is done to one of them is done to the port. Rows that no
//! resource shows, as those that keep a VNI in quarantine, are left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use weft_services::catalogue::{CATALOGUE, Entry, by_any_name, by_part};
use weft_services::{Id, Model, Row, RowKey, RowKind, Write};
use weft_store::{Event, Store};

use crate::head::Head;

/// How many commits back the model is reconstructed to learn what something was.
const BACK_MAX: u64 = 10_000;

/// What was done to a row.
pub(crate) struct RowChange {
    pub(crate) key: RowKey,
    pub(crate) action: &'static str,
    pub(crate) name: Option<String>,
}

impl RowChange {
    /// What a write did, as far as it says by itself.
    pub(crate) fn of(write: &Write) -> Self {
        let action = match write {
            Write::Put(_) if is_first(write) => "create",
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

/// The identifiers of what was made as one among what these commits wrote, oldest first. Reads the disk, where it has to.
pub(crate) fn wholes_among(store: &Store<Head>, events: &[Event<Head>]) -> BTreeSet<Id> {
    let (mut wholes, mut doubtful) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        // What makes or deletes a whole, writes all of it.
        let mut parts: BTreeMap<Id, BTreeSet<RowKind>> = BTreeMap::new();
        for part in event.writes.iter().filter_map(|write| part(&write.key())) {
            let written = parts.entry(part.id).or_default();
            written.insert(part.kind);
            if part.of.parts().iter().all(|kind| written.contains(kind)) {
                wholes.insert(part.id);
            }
        }
        let updates = event.writes.iter().filter(|write| matches!(write, Write::Put(_)) && !is_first(write));
        doubtful.extend(updates.filter_map(|write| Some(part(&write.key())?.id)));
    }
    let now = store.durable();
    let is_there = |id: &Id| {
        let kinds = CATALOGUE.iter().flat_map(Entry::parts);
        kinds.into_iter().any(|kind| now.model.0.row(&RowKey::Resource(*kind, *id)).is_some())
    };
    wholes.extend(doubtful.iter().copied().filter(|id| is_whole(&now.model.0, *id)));
    doubtful.retain(|id| !wholes.contains(id) && !is_there(id));
    if !doubtful.is_empty() {
        wholes.extend(former_wholes(store, events, &doubtful));
    }
    wholes
}

/// Which of these identifiers, of what is no more, were those of wholes when the commits wrote them.
fn former_wholes(store: &Store<Head>, events: &[Event<Head>], ids: &BTreeSet<Id>) -> BTreeSet<Id> {
    let mut found = BTreeSet::new();
    let Some(first) = events.first().map(|event| event.version.revision) else { return found };
    if store.durable().version.revision.get() - first.get() > BACK_MAX {
        return found;
    }
    // Without the past, rows are shown as what they are.
    let Ok(past) = store.at(first) else { return found };
    let mut model = past.model.0;
    for event in events {
        event.writes.iter().for_each(|write| model.apply(write));
        let written = event.writes.iter().filter_map(|write| Some(part(&write.key())?.id));
        found.extend(written.filter(|id| ids.contains(id) && is_whole(&model, *id)));
    }
    found
}
