//! What a commit did, in the words of the resources that people ask for.
//!
//! A port of Neutron's is kept as three rows of one identifier: what is done to one of them is done to the port. Rows that no
//! resource shows, as those that keep a VNI in quarantine, are left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use weft_services::catalogue::{by_any_name, by_path};
use weft_services::{Id, Model, Row, RowKey, RowKind, Write};
use weft_store::{Event, Store};

use crate::head::Head;

/// The rows of a port; the first has its name, and tells whether it is made, changed or deleted.
const PARTS: [RowKind; 3] = [RowKind::InstancePort, RowKind::Interface, RowKind::ServicePort];
const PORT: &str = "port";
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

/// What was done to resources, each once, where `is_port` tells which identifiers are those of ports.
pub(crate) fn shown(
    rows: impl Iterator<Item = RowChange>,
    is_port: impl Fn(Id) -> bool,
) -> Vec<ResourceChange> {
    let mut changes: Vec<ResourceChange> = Vec::new();
    let mut places: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for row in rows {
        let part = part(&row.key).filter(|(_, id)| is_port(*id));
        let (kind, id) = part.map_or_else(|| kind_and_id(&row.key), |(_, id)| (PORT, id.to_string()));
        if by_any_name(kind).is_none() {
            continue;
        }
        let decides = part.is_none_or(|(kind, _)| kind == PARTS[0]);
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

/// What may be a part of a port, and of which.
fn part(key: &RowKey) -> Option<(RowKind, Id)> {
    match key {
        RowKey::Resource(kind, id) if PARTS.contains(kind) => Some((*kind, *id)),
        _ => None,
    }
}

/// Whether a port of this identifier has been made as one: then its binding has the same.
pub(crate) fn is_port(model: &Model, id: Id) -> bool {
    let binding = RowKey::Resource(RowKind::ServicePort, id);
    let shown = by_path("ports").and_then(|ports| ports.shows(model, &binding));
    shown.is_some_and(|shown| shown == id.to_string())
}

/// The identifiers of ports among what these commits wrote, oldest first. Reads the disk, where it has to.
pub(crate) fn ports_among(store: &Store<Head>, events: &[Event<Head>]) -> BTreeSet<Id> {
    let (mut ports, mut doubtful) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        let of_kind = |wanted| {
            let parts = event.writes.iter().filter_map(|write| part(&write.key()));
            parts.filter(move |(kind, _)| *kind == wanted).map(|(_, id)| id).collect::<BTreeSet<Id>>()
        };
        // What makes or deletes a port, writes all of it.
        let (vnics, bindings) = (of_kind(RowKind::InstancePort), of_kind(RowKind::ServicePort));
        ports.extend(vnics.intersection(&bindings));
        let updates = event.writes.iter().filter(|write| matches!(write, Write::Put(_)) && !is_first(write));
        doubtful.extend(updates.filter_map(|write| Some(part(&write.key())?.1)));
    }
    let now = store.durable();
    let is_there = |id| PARTS.iter().any(|kind| now.model.0.row(&RowKey::Resource(*kind, id)).is_some());
    ports.extend(doubtful.iter().copied().filter(|id| is_port(&now.model.0, *id)));
    doubtful.retain(|id| !ports.contains(id) && !is_there(*id));
    if !doubtful.is_empty() {
        ports.extend(former_ports(store, events, &doubtful));
    }
    ports
}

/// Which of these identifiers, of what is no more, were those of ports when the commits wrote them.
fn former_ports(store: &Store<Head>, events: &[Event<Head>], ids: &BTreeSet<Id>) -> BTreeSet<Id> {
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
        let written = event.writes.iter().filter_map(|write| Some(part(&write.key())?.1));
        found.extend(written.filter(|id| ids.contains(id) && is_port(&model, *id)));
    }
    found
}
