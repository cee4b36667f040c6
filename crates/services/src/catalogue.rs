//! The catalogue: the one list of resources. REST routes, command line, OpenAPI, persistence and watch follow from it.
//!
//! A service adds its resources here, one entry each. What is stored of them is in `row.rs`, what is on hosts in `compile.rs`.

use serde_json::{Map, Value};

use crate::attribute::{Attribute, Operation, merge};
use crate::compile::FragmentKey;
use crate::core::{InstancePorts, Interfaces, ServicePorts, Services};
use crate::host::Hosts;
use crate::network::{Networks, Ports, Subnets};
use crate::{Change, Id, Model, Refusal, Row, RowKey, RowKind, Standard, Timestamp, Write};

/// Every resource there is, in the order in which they can be made.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        collection: "networks",
        member: "network",
        path: "networks",
        doc: "Layer-2 networks",
        attributes: Networks::ATTRIBUTES,
        resource: &Networks,
        verbs: Verbs::ALL,
    },
    Entry {
        collection: "subnets",
        member: "subnet",
        path: "subnets",
        doc: "Blocks of addresses of a network",
        attributes: Subnets::ATTRIBUTES,
        resource: &Subnets,
        verbs: Verbs::ALL,
    },
    Entry {
        collection: "ports",
        member: "port",
        path: "ports",
        doc: "Ports of a network: a vNIC and its binding in one",
        attributes: Ports::ATTRIBUTES,
        resource: &Ports,
        verbs: Verbs::ALL,
    },
    Entry {
        collection: "instance_ports",
        member: "instance_port",
        path: "instance-ports",
        doc: "vNICs, with or without anything that they are connected to",
        attributes: InstancePorts::ATTRIBUTES,
        resource: &InstancePorts,
        verbs: Verbs::ALL,
    },
    Entry {
        collection: "interfaces",
        member: "interface",
        path: "interfaces",
        doc: "Slices of a vNIC: untagged, or a VLAN",
        attributes: Interfaces::ATTRIBUTES,
        resource: &Interfaces,
        verbs: Verbs::ALL,
    },
    Entry {
        collection: "services",
        member: "service",
        path: "services",
        doc: "What an interface can be bound to, whatever its type",
        attributes: Services::ATTRIBUTES,
        resource: &Services,
        verbs: Verbs::ALL,
    },
    Entry {
        collection: "service_ports",
        member: "service_port",
        path: "service-ports",
        doc: "Bindings of an interface to a service",
        attributes: ServicePorts::ATTRIBUTES,
        resource: &ServicePorts,
        verbs: Verbs::ALL,
    },
    Entry {
        collection: "hosts",
        member: "host",
        path: "hosts",
        doc: "Hosts, as their agents describe them; deleting one fences it",
        attributes: Hosts::ATTRIBUTES,
        resource: &Hosts,
        verbs: Verbs::READ_AND_DELETE,
    },
];

/// The entry of the collection with this path.
#[must_use]
pub fn by_path(path: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.path == path)
}

/// The entry whose resources are rows of this kind: not one that is a view of them.
#[must_use]
pub fn by_kind(kind: RowKind) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.resource.kind() == Some(kind))
}

/// The entry whose resources are made of several rows, of which this kind is one.
#[must_use]
pub fn by_part(kind: RowKind) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.parts().contains(&kind))
}

/// The entry by which somebody asked for a row: that of the whole, where it was made as part of one.
#[must_use]
pub fn asked_for_as(model: &Model, key: &RowKey) -> Option<&'static Entry> {
    let RowKey::Resource(kind, id) = key else { return None };
    by_part(*kind).filter(|entry| entry.is_made_as_one(model, *id)).or_else(|| by_kind(*kind))
}

/// The same, if the row is the one that holds the resource's name: not a mere part.
pub(crate) fn known_as(model: &Model, key: &RowKey) -> Option<&'static Entry> {
    let holds_name = |entry: &&Entry| entry.parts().first().is_none_or(|first| *first == key.kind());
    asked_for_as(model, key).filter(holds_name)
}

/// The entry whose member, collection or path has this name: however a person says it.
#[must_use]
pub fn by_any_name(name: &str) -> Option<&'static Entry> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    CATALOGUE.iter().find(|entry| entry.member == name || entry.collection == name)
}

/// A resource of the API.
pub struct Entry {
    /// The name of the list in JSON: `networks`.
    pub collection: &'static str,
    /// The name of one in JSON: `network`.
    pub member: &'static str,
    /// The path below `/v2.0/`.
    pub path: &'static str,
    /// What it is, for people.
    pub doc: &'static str,
    /// Its attributes, in the order in which they are shown.
    pub attributes: &'static [Attribute],
    /// What can be done with it besides reading.
    pub verbs: Verbs,
    resource: &'static dyn Resource,
}

/// What can be done with a resource besides reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verbs {
    /// Made and changed.
    pub write: bool,
    /// Deleted.
    pub delete: bool,
}

impl Verbs {
    const ALL: Self = Self { write: true, delete: true };
    const READ_AND_DELETE: Self = Self { write: false, delete: true };
}

/// What a host reports can be summed up as one of these.
pub const STATUSES: &[&str] = &["ACTIVE", "BUILD", "DOWN", "ERROR"];

/// The status of a port, as its own host reports it; the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Its objects are done.
    Active,
    /// Its objects are on their way.
    Build,
    /// It is not bound, or waits for its vNIC.
    Down,
    /// One of its own objects failed.
    Error,
}

impl Status {
    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Build => "BUILD",
            Self::Down => "DOWN",
            Self::Error => "ERROR",
        }
    }
}

/// What hosts have reported: operational state, which the model does not hold.
pub trait Statuses {
    /// How a fragment is doing on the host of its subject.
    fn fragment(&self, host: &weft_net::HostName, fragment: &FragmentKey) -> Status;
    /// Whether a host's agent is connected.
    fn is_connected(&self, host: &weft_net::HostName) -> bool;
}

/// Nothing has been reported.
pub struct NoStatuses;

impl Statuses for NoStatuses {
    fn fragment(&self, _: &weft_net::HostName, _: &FragmentKey) -> Status {
        Status::Down
    }
    fn is_connected(&self, _: &weft_net::HostName) -> bool {
        false
    }
}

/// What each resource says for itself; everything else about it follows from its attributes.
pub trait Resource: Sync {
    /// The kind of row that holds it, if one row does.
    fn kind(&self) -> Option<RowKind>;
    /// The kinds of row of which one is made, all with its identifier, if it is a view of several; the first holds its name.
    fn parts(&self) -> &'static [RowKind] {
        &[]
    }
    /// The identifiers after one, in order.
    fn ids<'m>(
        &self,
        model: &'m Model,
        after: Option<&str>,
    ) -> Box<dyn DoubleEndedIterator<Item = String> + 'm> {
        match self.kind() {
            // After what is no identifier comes everything, as before.
            Some(kind) => {
                let after = after.and_then(|after| after.parse().ok());
                Box::new(model.ids(kind, after).map(|id| id.to_string()))
            }
            None => Box::new(std::iter::empty()),
        }
    }
    /// The row that holds the standard attributes, if the resource is there and has them.
    fn row_key(&self, model: &Model, id: &str) -> Option<RowKey> {
        let key = RowKey::Resource(self.kind()?, id.parse().ok()?);
        model.row(&key).map(|_| key)
    }
    /// The identifier of the resource that shows this row, if one of this collection does.
    fn shows(&self, _: &Model, row: &RowKey) -> Option<String> {
        match row {
            RowKey::Resource(kind, id) if Some(*kind) == self.kind() => Some(id.to_string()),
            _ => None,
        }
    }
    /// The identifiers among which are all whose attribute has this value, where an index knows.
    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        candidates_by_name(model, self.kind()?, attribute, value)
    }
    /// All its attributes.
    fn render(&self, model: &Model, id: &str, statuses: &dyn Statuses) -> Option<Map<String, Value>>;
    /// Makes one of merged attributes; answers its identifier.
    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal>;
    /// Makes one what the merged attributes say.
    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal>;
    /// Deletes one.
    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal>;
    /// What to say when there is none.
    fn not_found(&self, id: &str) -> Refusal;
}

impl Entry {
    /// The kinds of row of which one is made, all with its identifier, if it is a view of several; the first holds its name.
    #[must_use]
    pub fn parts(&self) -> &'static [RowKind] {
        self.resource.parts()
    }

    /// Whether all parts of the resource with this identifier were made as one, here.
    #[must_use]
    pub fn is_made_as_one(&self, model: &Model, id: Id) -> bool {
        let shows = |kind: &RowKind| self.shows(model, &RowKey::Resource(*kind, id));
        self.parts().last().and_then(shows).is_some_and(|shown| shown == id.to_string())
    }

    /// The kind of the row that holds the name of a resource.
    pub(crate) fn kind(&self) -> Option<RowKind> {
        self.resource.kind().or_else(|| self.parts().first().copied())
    }

    /// All attributes of the resource with this identifier.
    #[must_use]
    pub fn render(&self, model: &Model, id: &str, statuses: &dyn Statuses) -> Option<Map<String, Value>> {
        self.resource.render(model, id, statuses)
    }

    /// Makes a resource; answers its identifier.
    ///
    /// # Errors
    /// Why not; the change is then to be dropped.
    pub fn create(&self, change: &mut Change, request: &Map<String, Value>) -> Result<String, Refusal> {
        let mut merged = merge(self.attributes, Operation::Create, Map::new(), request)?;
        let tags = merged.remove("tags");
        let id = self.resource.create(change, with_project(merged)?)?;
        self.put_tags(change, &id, tags.as_ref())?;
        Ok(id)
    }

    /// Changes a resource, on the condition that it has been written `required_revision` times, if that is given. A request
    /// that asks for what is there already writes nothing.
    ///
    /// # Errors
    /// Why not; the change is then to be dropped.
    pub fn update(
        &self,
        change: &mut Change,
        id: &str,
        request: &Map<String, Value>,
        required_revision: Option<u64>,
    ) -> Result<(), Refusal> {
        let Some(stored) = self.resource.render(change.model(), id, &NoStatuses) else {
            return Err(self.resource.not_found(id));
        };
        check_revision(&stored, required_revision)?;
        let merged = merge(self.attributes, Operation::Update, stored, request)?;
        // Whether anything differs shows when it is done: what a request leaves open is chosen anew.
        let done = change.attempt(|change| {
            let (before, written) = (change.model().clone(), change.writes().len());
            self.resource.update(change, id, merged)?;
            self.put_tags(change, id, request.get("tags"))?;
            let mut keys = change.writes()[written..].iter().map(Write::key);
            let is_same =
                |key: RowKey| as_if_untouched(&before, &key) == as_if_untouched(change.model(), &key);
            if keys.all(is_same) { Err(Stop::Unchanged) } else { Ok(()) }
        });
        match done {
            Ok(()) | Err(Stop::Unchanged) => Ok(()),
            Err(Stop::Refused(refusal)) => Err(refusal),
        }
    }

    /// Gives a resource that was just written the tags of the same request, if it has some.
    fn put_tags(&self, change: &mut Change, id: &str, tags: Option<&Value>) -> Result<(), Refusal> {
        let Some(tags) = tags.map(crate::tags).transpose()? else { return Ok(()) };
        let row = self.resource.row_key(change.model(), id).and_then(|key| change.model().row(&key));
        if let Some(row) = row.filter(|row| row.standard().is_some_and(|standard| standard.tags != tags)) {
            change.put(row.with_standard(|standard| standard.tags = tags));
        }
        Ok(())
    }

    /// Deletes a resource, on the same condition.
    ///
    /// # Errors
    /// Why not; the change is then to be dropped.
    pub fn delete(
        &self,
        change: &mut Change,
        id: &str,
        required_revision: Option<u64>,
    ) -> Result<(), Refusal> {
        if required_revision.is_some()
            && let Some(stored) = self.resource.render(change.model(), id, &NoStatuses)
        {
            check_revision(&stored, required_revision)?;
        }
        self.resource.delete(change, id)
    }

    /// Gives a resource these tags instead of those that it has.
    ///
    /// # Errors
    /// If there is no such resource, or it has no tags.
    pub fn set_tags(
        &self,
        change: &mut Change,
        id: &str,
        tags: std::collections::BTreeSet<String>,
    ) -> Result<(), Refusal> {
        let row = self.resource.row_key(change.model(), id).and_then(|key| change.model().row(&key));
        let Some(row) = row else { return Err(self.resource.not_found(id)) };
        let now = change.now();
        let set = |standard: &mut Standard| {
            standard.tags = tags;
            standard.touch(now);
        };
        change.put(row.with_standard(set));
        Ok(())
    }

    /// What to say when there is no resource with this identifier.
    #[must_use]
    pub fn not_found(&self, id: &str) -> Refusal {
        self.resource.not_found(id)
    }

    /// Whether there is a resource with this identifier.
    #[must_use]
    pub fn contains(&self, model: &Model, id: &str) -> bool {
        self.resource.row_key(model, id).is_some() || self.resource.render(model, id, &NoStatuses).is_some()
    }

    /// The row whose history is the resource's.
    #[must_use]
    pub fn row_key(&self, model: &Model, id: &str) -> Option<RowKey> {
        self.resource.row_key(model, id)
    }

    /// The identifier of the resource of this collection that shows a row, if one does.
    #[must_use]
    pub fn shows(&self, model: &Model, row: &RowKey) -> Option<String> {
        self.resource.shows(model, row)
    }

    /// The attribute of this name.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self, model: &Model) -> usize {
        self.resource.ids(model, None).count()
    }

    pub(crate) fn ids<'m>(
        &self,
        model: &'m Model,
        after: Option<&str>,
    ) -> Box<dyn DoubleEndedIterator<Item = String> + 'm> {
        self.resource.ids(model, after)
    }

    pub(crate) fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        self.resource.candidates(model, attribute, value)
    }
}

/// Why an update came to nothing.
enum Stop {
    Unchanged,
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A row without how often and when it was written.
fn as_if_untouched(model: &Model, key: &RowKey) -> Option<Row> {
    let untouched = |standard: &mut Standard| {
        standard.revision_number = 0;
        standard.updated_at = Timestamp(0);
    };
    Some(model.row(key)?.with_standard(untouched))
}

fn check_revision(stored: &Map<String, Value>, required: Option<u64>) -> Result<(), Refusal> {
    let current = stored.get("revision_number").and_then(Value::as_u64).unwrap_or(0);
    match required {
        Some(required) if required != current => Err(Refusal::outdated(required, current)),
        _ => Ok(()),
    }
}

/// `tenant_id` is the former name of `project_id`.
fn with_project(mut merged: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let Some(tenant) = merged.remove("tenant_id") else { return Ok(merged) };
    match merged.get("project_id") {
        Some(project) if *project != tenant => {
            Err(Refusal::attribute("tenant_id", "project_id says otherwise"))
        }
        Some(_) => Ok(merged),
        None => {
            merged.insert("project_id".into(), tenant);
            Ok(merged)
        }
    }
}

/// Candidates by the attributes that every resource has.
pub(crate) fn candidates_by_name(
    model: &Model,
    kind: RowKind,
    attribute: &str,
    value: &str,
) -> Option<Vec<String>> {
    match attribute {
        "id" => Some(vec![value.to_ascii_lowercase()]),
        // What has no name is in no index by name.
        "name" if !value.is_empty() => {
            let name: std::sync::Arc<str> = value.into();
            let range = (kind, name.clone(), Id::MIN)..=(kind, name, Id::MAX);
            Some(model.index.names.range(range).map(|(_, _, id)| id.to_string()).collect())
        }
        _ => None,
    }
}
