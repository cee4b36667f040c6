//! An entry of the catalogue: what can be done with the resources of a collection, all by its tables of attributes.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{CATALOGUE, Effect, MemberAction, Method, NoStatuses, Resource, Statuses};
use crate::access::{ResourceAccess, Verb, Who};
use crate::attribute::{Attribute, AttributeType, Operation, merge};
use crate::compile::FragmentKey;
use crate::{Change, Id, Model, Refusal, Row, RowKey, RowKind, Standard, Timestamp, Write};

/// A resource of the API.
pub struct Entry {
    /// The name of the list in JSON: `networks`.
    pub collection: &'static str,
    /// The name of one in JSON: `network`.
    pub member: &'static str,
    /// The path below `/v2.0/`: `networks`, `bgpvpn/bgpvpns`. A collection below resources of another has the attribute of its
    /// resources that names theirs: `bgpvpn/bgpvpns/{bgpvpn_id}/network_associations`.
    pub path: &'static str,
    /// What it is, for people.
    pub doc: &'static str,
    /// Its attributes, in the order in which they are shown.
    pub attributes: &'static [Attribute],
    /// Who may do what with them.
    pub access: ResourceAccess,
    /// What can be done with it besides reading.
    pub verbs: Verbs,
    /// What can be done with one of them besides.
    pub actions: &'static [MemberAction],
    pub(super) resource: &'static dyn Resource,
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
    pub(super) const ALL: Self = Self { write: true, delete: true };
    pub(super) const READ_AND_DELETE: Self = Self { write: false, delete: true };
}

impl Entry {
    /// The entry below whose resources this collection is, and the attribute that names the one.
    #[must_use]
    pub fn parent(&self) -> Option<(&'static Self, &'static str)> {
        let (path, rest) = self.path.split_once("/{")?;
        let (attribute, _) = rest.split_once("}/")?;
        Some((CATALOGUE.iter().find(|entry| entry.path == path)?, attribute))
    }

    /// The name of one in JSON: what is below another resource is named without it there.
    #[must_use]
    pub fn member_in_json(&self) -> &'static str {
        self.without_parent(self.member)
    }

    /// The name of the list in JSON.
    #[must_use]
    pub fn collection_in_json(&self) -> &'static str {
        self.without_parent(self.collection)
    }

    fn without_parent(&self, name: &'static str) -> &'static str {
        let parent =
            self.parent().and_then(|(parent, _)| name.strip_prefix(parent.member)?.strip_prefix('_'));
        parent.unwrap_or(name)
    }

    /// The action of this name.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&'static MemberAction> {
        self.actions.iter().find(|action| action.name == name)
    }

    /// Who may do an action on one: whoever may change it, or be shown it where the action only asks.
    #[must_use]
    pub const fn who_may_act(&self, action: &MemberAction) -> Who {
        match action.method() {
            Method::Get => self.access.who_may(Verb::Read),
            Method::Put => self.access.who_may(Verb::Update),
        }
    }

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
        check_references(change.model(), self.attributes, request, &merged)?;
        let tags = merged.remove("tags");
        let id = self.resource.create(change, with_project(merged)?)?;
        self.put_tags(change, &id, tags.as_ref())?;
        Ok(id)
    }

    /// Changes a resource, on the condition that it has been written `required_revision` times, if that is given. A request that
    /// asks for what is there already writes nothing.
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
        check_references(change.model(), self.attributes, request, &merged)?;
        unless_unchanged(change, |change| {
            self.resource.update(change, id, merged)?;
            self.put_tags(change, id, request.get("tags"))
        })
    }

    /// Does an action that changes a resource, on the same condition; answers what the action says itself. One that comes to what
    /// is there already writes nothing.
    ///
    /// # Errors
    /// Why not; the change is then to be dropped.
    pub fn act(
        &self,
        change: &mut Change,
        (id, action): (&str, &MemberAction),
        request: &Map<String, Value>,
        required_revision: Option<u64>,
    ) -> Result<Map<String, Value>, Refusal> {
        let Some(stored) = self.resource.render(change.model(), id, &NoStatuses) else {
            return Err(self.resource.not_found(id));
        };
        check_revision(&stored, required_revision)?;
        let merged = merge(action.attributes, Operation::Create, Map::new(), request)?;
        check_references(change.model(), action.attributes, request, &merged)?;
        let (Effect::Change(effect), Ok(id)) = (&action.effect, id.parse::<Id>()) else {
            return Err(self.resource.not_found(id));
        };
        let mut answer = Map::new();
        unless_unchanged(change, |change| {
            answer = effect(change, id, merged)?;
            Ok(())
        })?;
        Ok(answer)
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
    pub fn set_tags(&self, change: &mut Change, id: &str, tags: BTreeSet<String>) -> Result<(), Refusal> {
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

    /// The identifiers of the resources of this collection whose status sums up what hosts report of a fragment, beside those that show what
    /// it is about.
    #[must_use]
    pub fn sums_up(&self, model: &Model, fragment: &FragmentKey) -> BTreeSet<Id> {
        self.resource.sums_up(model, fragment)
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

/// Does part of a change, unless it comes to what is there already: what a request leaves open is chosen anew, so that shows
/// only when it is done.
fn unless_unchanged(
    change: &mut Change,
    part: impl FnOnce(&mut Change) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let done = change.attempt(|change| {
        let (before, written) = (change.model().clone(), change.writes().len());
        part(change)?;
        let mut keys = change.writes()[written..].iter().map(Write::key);
        let is_same = |key: RowKey| as_if_untouched(&before, &key) == as_if_untouched(change.model(), &key);
        if keys.all(is_same) { Err(Stop::Unchanged) } else { Ok(()) }
    });
    match done {
        Ok(()) | Err(Stop::Unchanged) => Ok(()),
        Err(Stop::Refused(refusal)) => Err(refusal),
    }
}

/// Refuses references of a request to what is not there.
fn check_references(
    model: &Model,
    attributes: &[Attribute],
    request: &Map<String, Value>,
    merged: &Map<String, Value>,
) -> Result<(), Refusal> {
    for attribute in attributes.iter().filter(|attribute| request.contains_key(attribute.name)) {
        let (AttributeType::Reference(member), Some(Value::String(id))) =
            (attribute.kind, merged.get(attribute.name))
        else {
            continue;
        };
        let target = super::by_member(member).expect("a test looks for every reference in the catalogue");
        if !target.contains(model, id) {
            return Err(target.not_found(id));
        }
    }
    Ok(())
}

/// Why a part of a change came to nothing.
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
