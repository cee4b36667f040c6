//! Declared sets: documents that say what is to be there, led to in one change.
//!
//! ```text
//! documents ── read ──> kind, name, what is there by that name ── order ──> deletes that can come first
//!                                                                          creates and updates, what is referred to first
//!                                                                          deletes that had to wait
//! ```
//!
//! Within a set of a project, a resource is known by kind and name. What a document does not mention is left alone.

mod document;
mod inline;
mod names;

pub use inline::{Inline, inline};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::catalogue::{CATALOGUE, Entry, NoStatuses, known_as};
use crate::router::{interface_of, remove_declared_interfaces};
use crate::{Attribute, Change, Id, Model, OnCreate, Refusal, RowKey, RowKind};
use document::{Document, Request};

/// What is to be there.
#[derive(Clone, Debug, Default)]
pub struct Declaration {
    /// The name of the set; it is one of the project's for which the change is made.
    pub set: String,
    /// Whether what the set made before and does not declare any more is deleted.
    pub prune: bool,
    /// The documents: `kind`, `name` and attributes.
    pub documents: Vec<Map<String, Value>>,
}

/// What becomes of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// It is as it should be.
    None,
}

/// An attribute, before and after.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Difference {
    /// What it was; null for what is made.
    pub from: Value,
    /// What it is now; null for what is deleted.
    pub to: Value,
}

/// What became of a resource, and of which of its attributes.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Declared {
    /// What was done.
    pub action: Action,
    /// The member name of its kind.
    pub kind: &'static str,
    /// Its identifier.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// The attributes that differ.
    pub attributes: BTreeMap<String, Difference>,
}

/// A declaration that cannot be carried out. Nothing has been changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{refusal}")]
pub struct DeclareError {
    /// Why.
    pub refusal: Refusal,
    /// Which document is wrong, counted from 0; none if it is about something that none declares.
    pub document: Option<usize>,
    /// The key in the document, as it is written there, where one is to blame.
    pub field: Option<String>,
}

impl From<Refusal> for DeclareError {
    fn from(refusal: Refusal) -> Self {
        Self::general(refusal)
    }
}

impl DeclareError {
    fn at(document: usize, field: &str, refusal: Refusal) -> Self {
        Self { refusal, document: Some(document), field: Some(field.to_owned()) }
    }

    fn general(refusal: Refusal) -> Self {
        Self { refusal, document: None, field: None }
    }
}

/// Leads what a set has made to what is declared: one result for each document, in their order, then one for each deletion.
///
/// # Errors
/// The first document that cannot be carried out; the change is then to be dropped.
pub fn declare(change: &mut Change, declaration: &Declaration) -> Result<Vec<Declared>, DeclareError> {
    if declaration.set.is_empty() || declaration.set.chars().count() > 255 {
        let rule = "a declared set has a name of 1 to 255 characters";
        return Err(DeclareError::general(Refusal::attribute("set", rule)));
    }
    change.for_set(&declaration.set);
    let scope = Scope { set: declaration.set.as_str().into(), project: change.project_id().into() };
    let mut plan = Plan::read(change.model(), scope, &declaration.documents)?;
    let pruned = if declaration.prune { plan.pruned(change.model()) } else { Vec::new() };
    let mut results: Vec<Option<Declared>> = vec![None; plan.documents.len()];
    let mut deleted = Vec::new();
    // What can go, goes first: what it had (addresses, names, tags) may be declared for something else.
    let waiting = delete_all(change, pruned, &mut deleted);
    for document in plan.order()? {
        let declared = plan.carry_out(change, document)?;
        plan.ids[document].clone_from(&declared.id);
        results[document] = Some(declared);
    }
    let waiting = waiting.into_iter().map(|(doomed, _)| doomed).collect();
    if let Some((doomed, refusal)) = delete_all(change, waiting, &mut deleted).into_iter().next() {
        let message = format!("{} '{}' is no longer declared: {refusal}", doomed.entry.member, doomed.name);
        return Err(DeclareError::general(Refusal { message, ..refusal }));
    }
    Ok(results.into_iter().flatten().chain(deleted).collect())
}

/// The rows that a declared set has made, whichever project's set of that name it was.
pub fn in_set<'m>(model: &'m Model, set: &str) -> impl Iterator<Item = RowKey> + use<'m> {
    let set: Arc<str> = set.into();
    let of_kind = move |kind: RowKind| {
        let set = set.clone();
        let made = model.index.apply_sets.range((set.clone(), kind, "".into(), Id::MIN)..);
        let of_kind = made.take_while(move |(of, its_kind, ..)| *of == set && *its_kind == kind);
        of_kind.map(|(_, kind, _, id)| RowKey::Resource(*kind, *id))
    };
    RowKind::ALL.iter().copied().flat_map(of_kind)
}

/// Whose a set is.
struct Scope {
    set: Arc<str>,
    project: Arc<str>,
}

impl Scope {
    /// Whether a row is one that the set made.
    fn has(&self, model: &Model, key: &RowKey) -> bool {
        let row = model.row(key);
        row.as_ref().and_then(crate::Row::standard).is_some_and(|standard| {
            standard.apply_set.as_ref() == Some(&self.set) && standard.project_id == self.project
        })
    }

    /// The rows of a kind that the set made by a name, whatever they are called now.
    fn declared_as<'m>(
        &'m self,
        model: &'m Model,
        kind: RowKind,
        name: &str,
    ) -> impl Iterator<Item = Id> + 'm {
        let name: Arc<str> = name.into();
        let range = (self.set.clone(), kind, name.clone(), Id::MIN)..=(self.set.clone(), kind, name, Id::MAX);
        let made = model.index.apply_sets.range(range).map(|(.., id)| *id);
        made.filter(move |id| self.has(model, &RowKey::Resource(kind, *id)))
    }
}

/// How many documents may refer to one another in a row: more than there are kinds and interfaces in interfaces.
const DEPTH_MAX: usize = 16;

/// A walk over the documents, along what they refer to.
#[derive(Default)]
struct Walk {
    seen: BTreeSet<usize>,
    /// The documents that lead to the one that is being visited.
    path: Vec<usize>,
    order: Vec<usize>,
}

/// The documents, read, with what is there already.
struct Plan<'d> {
    scope: Scope,
    documents: Vec<Document<'d>>,
    by_name: BTreeMap<(&'static str, &'d str), usize>,
    /// The resources of the documents, as far as they are there.
    ids: Vec<Option<String>>,
}

impl<'d> Plan<'d> {
    fn read(model: &Model, scope: Scope, documents: &'d [Map<String, Value>]) -> Result<Self, DeclareError> {
        let mut plan = Self { scope, documents: Vec::new(), by_name: BTreeMap::new(), ids: Vec::new() };
        for (index, given) in documents.iter().enumerate() {
            let document = Document::read(index, given)?;
            let (kind, name) = (names::identity(document.entry.member), document.name);
            if let Some(first) = plan.by_name.insert((kind, name), index) {
                let rule = format!(
                    "{} '{name}' is declared by document {} already",
                    document.entry.member,
                    first + 1
                );
                return Err(DeclareError::at(index, "name", Refusal::attribute("name", rule)));
            }
            plan.ids.push(plan.existing(model, &document)?);
            plan.documents.push(document);
        }
        Ok(plan)
    }

    /// What the set made by the kind and name of a document.
    fn existing(&self, model: &Model, document: &Document<'_>) -> Result<Option<String>, DeclareError> {
        let identity = names::identity(document.entry.member);
        let Some(kind) = names::row_kind(identity) else { return Ok(None) };
        let of_kind = |id: &Id| {
            known_as(model, &RowKey::Resource(kind, *id)).is_some_and(|entry| entry.member == identity)
        };
        let declared = self.scope.declared_as(model, kind, document.name).filter(of_kind);
        let mut found = declared.map(|id| id.to_string());
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                let message = format!(
                    "name: the set has several of kind {} named '{}'.",
                    document.entry.member, document.name
                );
                Err(DeclareError::at(document.index, "name", Refusal::conflict("NotUnique", message)))
            }
            (found, _) => Ok(found),
        }
    }

    /// The order in which documents can be carried out, whatever the order in which they are written.
    fn order(&self) -> Result<Vec<usize>, DeclareError> {
        let mut sorted: Vec<usize> = (0..self.documents.len()).collect();
        // What exists may give up what others ask for; what is asked for by value comes before what is chosen.
        sorted.sort_by_key(|index| {
            let document = &self.documents[*index];
            (document.rank(), self.ids[*index].is_none(), !document.claims(), document.name)
        });
        let mut walk = Walk::default();
        for index in sorted {
            self.visit(index, &mut walk)?;
        }
        Ok(walk.order)
    }

    fn visit(&self, index: usize, walk: &mut Walk) -> Result<(), DeclareError> {
        if !walk.seen.insert(index) {
            return Ok(());
        }
        walk.path.push(index);
        for (field, target, name) in self.documents[index].references() {
            let Some(needed) = self.declared(target, name) else { continue };
            if walk.path.contains(&needed) || walk.path.len() > DEPTH_MAX {
                let rule = format!("'{name}' leads back to this document, or from one to the next too often");
                return Err(DeclareError::at(index, field, Refusal::attribute(field, rule)));
            }
            self.visit(needed, walk)?;
        }
        walk.path.pop();
        walk.order.push(index);
        Ok(())
    }

    fn carry_out(&self, change: &mut Change, index: usize) -> Result<Declared, DeclareError> {
        let document = &self.documents[index];
        let stored = self.ids[index].as_ref().and_then(|id| {
            let stored = document.entry.render(change.model(), id, &NoStatuses)?;
            Some((id.clone(), stored))
        });
        let mut request =
            self.request(change.model(), document, stored.as_ref().map(|(_, stored)| stored))?;
        let late = request.split_late(document.entry);
        let mut declared = match stored {
            None => create(change, document, &request)?,
            Some((id, stored)) => update(change, document, &request, (id, stored))?,
        };
        let id = declared.id.clone().unwrap_or_default();
        let differing = self.carry_out_inline(change, document, &id, &late)?;
        if declared.action == Action::None && !differing.is_empty() {
            declared.action = Action::Update;
        }
        declared.attributes.extend(differing);
        Ok(declared)
    }

    /// What a resource has by other requests, and what can be said of it only when it is there: its routes are by its interfaces.
    fn carry_out_inline(
        &self,
        change: &mut Change,
        document: &Document<'_>,
        id: &str,
        late: &Request<'_>,
    ) -> Result<BTreeMap<String, Difference>, DeclareError> {
        let entry = document.entry;
        let steps = inline::Steps::read(self, change.model(), document, id)?;
        let shown = |model: &Model| {
            let rendered = entry.render(model, id, &NoStatuses).unwrap_or_default();
            let late = late.attributes.keys().map(|name| (name.clone(), rendered.get(name).cloned()));
            let late = late.map(|(name, value)| (name, value.unwrap_or_default()));
            steps.shown(model).into_iter().chain(late).collect::<BTreeMap<String, Value>>()
        };
        let before = shown(change.model());
        steps.add(change)?;
        if !late.attributes.is_empty() {
            let done = entry.update(change, id, &late.attributes, None);
            done.map_err(|refusal| document.blame(refusal, late))?;
        }
        steps.remove(change)?;
        let after = shown(change.model());
        let differing = before.into_iter().filter(|(name, from)| after.get(name) != Some(from));
        let difference = |(name, from): (String, Value)| {
            let to = after.get(&name).cloned().unwrap_or_default();
            (name, Difference { from, to })
        };
        Ok(differing.map(difference).collect())
    }

    /// What the set made and no document declares.
    fn pruned(&self, model: &Model) -> Vec<Doomed> {
        let kept: BTreeSet<RowKey> = (self.documents.iter().zip(&self.ids))
            .filter_map(|(document, id)| document.entry.row_key(model, id.as_ref()?))
            .collect();
        let made =
            in_set(model, &self.scope.set).filter(|key| self.scope.has(model, key) && !kept.contains(key));
        // The ports of a router's interfaces go with them, and so does what a document says inline.
        let made = made.filter(|key| {
            let is_interface = |id| interface_of(model, id).is_some();
            let of_router = matches!(key, RowKey::Resource(RowKind::InstancePort, id) if is_interface(*id));
            !of_router && !inline::is_inline(model, key)
        });
        let mut doomed: Vec<Doomed> = made.filter_map(|key| Doomed::find(model, &key)).collect();
        doomed.sort_by_key(|doomed| std::cmp::Reverse(rank(doomed.entry)));
        doomed
    }
}

fn create(
    change: &mut Change,
    document: &Document<'_>,
    request: &Request<'_>,
) -> Result<Declared, DeclareError> {
    let entry = document.entry;
    let made = entry.create(change, &request.attributes);
    let id = made.map_err(|refusal| document.blame(refusal, request))?;
    if let (Some(tags), Some(row)) =
        (&request.tags, entry.row_key(change.model(), &id).and_then(|key| change.model().row(&key)))
    {
        change.put(row.with_standard(|standard| standard.tags.clone_from(tags)));
    }
    let rendered = entry.render(change.model(), &id, &NoStatuses).unwrap_or_default();
    let is_shown = |name: &&String| entry.attribute(name).is_none_or(Attribute::is_shown);
    let declared = request.attributes.keys().filter(is_shown).map(String::as_str);
    let declared = declared.chain(request.tags.as_ref().map(|_| "tags"));
    let attributes = declared
        .filter(|name| *name != "name")
        .map(|name| {
            let to = rendered.get(name).cloned().unwrap_or_default();
            (name.to_owned(), Difference { from: Value::Null, to })
        })
        .collect();
    let name = document.name.to_owned();
    Ok(Declared { action: Action::Create, kind: entry.member, id: Some(id), name, attributes })
}

/// Why an update came to nothing.
enum Stop {
    Unchanged,
    Refused(Refusal),
}

fn update(
    change: &mut Change,
    document: &Document<'_>,
    request: &Request<'_>,
    (id, stored): (String, Map<String, Value>),
) -> Result<Declared, DeclareError> {
    let wanted = document.differing(request, &stored)?;
    let tags = request.tags.clone().filter(|tags| Some(&serde_json::json!(tags)) != stored.get("tags"));
    let entry = document.entry;
    // Whether anything differs shows when it is done: an address that is kept, a default that is spelt out.
    let done = change.attempt(|change| {
        let written = change.writes().len();
        if !wanted.is_empty() {
            entry.update(change, &id, &wanted, None).map_err(Stop::Refused)?;
        }
        if let Some(tags) = tags {
            entry.set_tags(change, &id, tags).map_err(Stop::Refused)?;
        }
        let now = entry.render(change.model(), &id, &NoStatuses).unwrap_or_default();
        let differing = wanted.keys().map(String::as_str).chain(["tags"]).filter_map(|name| {
            let (from, to) = (stored.get(name).cloned(), now.get(name).cloned());
            let differs = from != to;
            let difference = Difference { from: from.unwrap_or_default(), to: to.unwrap_or_default() };
            differs.then(|| (name.to_owned(), difference))
        });
        let differing: BTreeMap<String, Difference> = differing.collect();
        // What is not shown differs without a word.
        let has_secrets = wanted.keys().any(|name| entry.attribute(name).is_some_and(|one| !one.is_shown()));
        let is_unchanged = differing.is_empty() && !(has_secrets && change.writes().len() > written);
        if is_unchanged { Err(Stop::Unchanged) } else { Ok(differing) }
    });
    let (action, attributes) = match done {
        Ok(attributes) => (Action::Update, attributes),
        Err(Stop::Unchanged) => (Action::None, BTreeMap::new()),
        Err(Stop::Refused(refusal)) => return Err(document.blame(refusal, request)),
    };
    Ok(Declared { action, kind: entry.member, id: Some(id), name: document.name.to_owned(), attributes })
}

/// Something that is no longer declared.
struct Doomed {
    entry: &'static Entry,
    id: String,
    name: String,
}

impl Doomed {
    fn find(model: &Model, key: &RowKey) -> Option<Self> {
        let (entry, row) = (known_as(model, key)?, model.row(key)?);
        let standard = row.standard()?;
        Some(Self { entry, id: standard.id.to_string(), name: standard.declared_name().to_string() })
    }

    fn delete(&self, change: &mut Change) -> Result<Declared, Refusal> {
        let stored = self.entry.render(change.model(), &self.id, &NoStatuses).unwrap_or_default();
        // A network takes its subnets along; not those that somebody else made, or that are declared.
        let subnets = stored.get("subnets").and_then(Value::as_array);
        if let Some(subnet) = subnets.and_then(|subnets| subnets.first()) {
            let message =
                format!("Unable to complete operation on network {}. It has subnet {subnet}.", self.id);
            return Err(Refusal::conflict("NetworkInUse", message));
        }
        change.attempt(|change| {
            // What was declared with it goes with it; what others have connected to it is in the way.
            if let Some(router) = self.id.parse().ok().filter(|_| self.entry.member == "router") {
                remove_declared_interfaces(change, router)?;
            }
            self.entry.delete(change, &self.id, None)
        })?;
        let (id, name) = (Some(self.id.clone()), self.name.clone());
        Ok(Declared {
            action: Action::Delete,
            kind: self.entry.member,
            id,
            name,
            attributes: lost(self.entry, stored),
        })
    }
}

/// What is lost with a resource: what was given to it and is not what it would have been anyway.
fn lost(entry: &Entry, stored: Map<String, Value>) -> BTreeMap<String, Difference> {
    let said = |name: &String, value: &Value| {
        let attribute = entry.attribute(name);
        let default = match attribute.map(|attribute| attribute.on_create) {
            None | Some(OnCreate::ReadOnly) => return false,
            Some(OnCreate::Default(text)) => serde_json::from_str(text).unwrap_or_default(),
            Some(OnCreate::Required | OnCreate::Optional) => Value::Null,
        };
        !value.is_null() && *value != default && !["name", "project_id", "tenant_id"].contains(&name.as_str())
    };
    let lost = stored.into_iter().filter(|(name, value)| said(name, value));
    lost.map(|(name, from)| (name, Difference { from, to: Value::Null })).collect()
}

/// Deletes what can be deleted, as long as there is something; answers what cannot, and why not.
fn delete_all(
    change: &mut Change,
    doomed: Vec<Doomed>,
    deleted: &mut Vec<Declared>,
) -> Vec<(Doomed, Refusal)> {
    let mut waiting = doomed;
    loop {
        let (count, mut refused) = (waiting.len(), Vec::new());
        for doomed in waiting {
            match doomed.delete(change) {
                Ok(declared) => deleted.push(declared),
                Err(refusal) => refused.push((doomed, refusal)),
            }
        }
        if refused.is_empty() || refused.len() == count {
            return refused;
        }
        waiting = refused.into_iter().map(|(doomed, _)| doomed).collect();
    }
}

/// The entry of a member name, by its place in the catalogue.
fn rank(entry: &Entry) -> usize {
    CATALOGUE.iter().position(|other| other.member == entry.member).unwrap_or(CATALOGUE.len())
}
