//! Names in documents: what they refer to, and which key a message is about.

use serde_json::Value;

use super::Plan;
use crate::catalogue::{Entry, NoStatuses, by_any_name};
use crate::{Id, Model, Refusal, RowKind};

/// The kind by which a resource is known in its set: a service is known as what it is a view of.
pub(super) fn identity(member: &'static str) -> &'static str {
    if member == "service" { "network" } else { member }
}

/// The kind of the row that holds the name of a resource of this kind.
pub(super) fn row_kind(member: &str) -> Option<RowKind> {
    by_any_name(member)?.kind()
}

pub(super) fn subnets() -> Option<&'static Entry> {
    by_any_name("subnet")
}

/// The subnet that an entry of `fixed_ips` names.
pub(super) fn subnet_of(item: &Value) -> Option<&str> {
    item.get("subnet").or_else(|| item.get("subnet_id")).and_then(Value::as_str)
}

impl Plan<'_> {
    /// The document that declares what has this kind and name. A port is an instance port as well.
    pub(super) fn declared(&self, target: &Entry, name: &str) -> Option<usize> {
        let port = (target.member == "instance_port").then_some("port");
        let mut kinds = std::iter::once(identity(target.member)).chain(port);
        kinds.find_map(|kind| self.by_name.get(&(kind, name)).copied())
    }

    /// The identifier of what has this kind and name: declared, of the set, of the project, or shared with it.
    pub(super) fn id_of(
        &self,
        model: &Model,
        key: &str,
        target: &Entry,
        name: &str,
    ) -> Result<String, Refusal> {
        if let Some(id) = self.declared(target, name).and_then(|index| self.ids.get(index)?.clone()) {
            return Ok(id);
        }
        if let Ok(id) = name.parse::<Id>() {
            return Ok(id.to_string());
        }
        let kind = row_kind(identity(target.member));
        let mut declared = kind.into_iter().flat_map(|kind| self.scope.declared_as(model, kind, name));
        if let (Some(id), None) = (declared.next(), declared.next()) {
            return Ok(id.to_string());
        }
        let named = target.candidates(model, "name", name).unwrap_or_default();
        let keys = named.into_iter().filter_map(|id| target.row_key(model, &id).map(|key| (id, key)));
        let (of_set, others): (Vec<_>, Vec<_>) = keys.partition(|(_, key)| self.scope.has(model, key));
        let (of_project, others): (Vec<_>, Vec<_>) = others.into_iter().partition(|(_, key)| {
            model.row(key).is_some_and(|row| row.project_id() == Some(&*self.scope.project))
        });
        let is_shared = |id: &str| {
            let rendered = target.render(model, id, &NoStatuses);
            rendered.is_some_and(|rendered| rendered.get("shared") == Some(&Value::Bool(true)))
        };
        let shared: Vec<_> = others.into_iter().filter(|(id, _)| is_shared(id)).collect();
        let nearest = [of_set, of_project, shared].into_iter().find(|found| !found.is_empty());
        match nearest.as_deref() {
            None => Err(Refusal::attribute(key, format!("no {} is named '{name}'", target.member))),
            Some([(id, _)]) => Ok(id.clone()),
            Some(several) => Err(Refusal::attribute(
                key,
                format!("{} of kind {} are named '{name}'", several.len(), target.member),
            )),
        }
    }
}

/// The name that a message mentions first, as a whole word.
pub(super) fn first_named<'n>(message: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let place = |name: &str| {
        let mut places = message.match_indices(name).filter(|(at, _)| {
            let (before, after) = (&message[..*at], &message[at + name.len()..]);
            !before.ends_with(is_part) && !after.starts_with(is_part)
        });
        places.next().map(|(at, _)| at)
    };
    let found = names.filter_map(|name| place(name).map(|at| (at, std::cmp::Reverse(name.len()), name)));
    found.min().map(|(_, _, name)| name)
}
