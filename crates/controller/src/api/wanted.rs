//! What of a collection a watcher wants to hear of, and what it is told.

use serde_json::{Map, Value, json};
use weft_services::Query;
use weft_services::catalogue::{Entry, Place};

use super::resources::{self, chosen};
use super::respond::Problem;
use super::url_query::UrlQuery;

/// Parameters of lists that mean nothing for what comes as it happens.
const OF_LISTS: [&str; 5] = ["limit", "marker", "page_reverse", "sort_key", "sort_dir"];

/// The conditions and attributes that a watcher asked for; without any, everything.
#[derive(Default)]
pub(super) struct Wanted {
    /// All conditions.
    all: Query,
    /// Those that do not depend on what hosts report: whether they held before can still be told.
    stored: Query,
    /// The attributes that are shown; `None`: all.
    fields: Option<Vec<String>>,
}

impl Wanted {
    pub(super) fn read(query: &UrlQuery, place: &Place<'_>) -> Result<Self, Problem> {
        if let Some(name) = OF_LISTS.into_iter().find(|name| query.get(name).is_some()) {
            let message = format!("{name}: a watch has no order and no pages, so it has no such parameter");
            return Err(Problem::malformed(message));
        }
        let all = resources::query(query, place)?;
        all.check(place.entry)?;
        let mut stored = all.clone();
        stored.conditions.retain(|condition| !condition.is_of_reports());
        let fields = query.fields().map(|fields| fields.into_iter().map(str::to_owned).collect());
        Ok(Self { all, stored, fields })
    }

    /// What a watcher is to be told of a resource that was one thing and is another.
    ///
    /// Whether there is something to tell depends on what is stored alone: so the events of a commit can be counted again.
    pub(super) fn event(
        &self,
        entry: &Entry,
        before: Option<Map<String, Value>>,
        after: Option<Map<String, Value>>,
    ) -> Option<Told> {
        let may_have = |shown: &Option<Map<String, Value>>| {
            shown.as_ref().is_some_and(|shown| self.stored.matches(entry, shown))
        };
        if !may_have(&before) && !may_have(&after) {
            return None;
        }
        let shown = after.as_ref().or(before.as_ref());
        let project_id = shown.and_then(|shown| shown.get("project_id")).cloned();
        let object = after.filter(|after| self.all.matches(entry, after));
        Some(Told { project_id, object: object.map(|object| chosen(object, self.fields.as_deref())) })
    }
}

/// An event: what a resource is now, or that it is none any more of those that are watched.
pub(super) struct Told {
    project_id: Option<Value>,
    object: Option<Map<String, Value>>,
}

impl Told {
    /// The event as lines of the stream; `put` is what it is called if there is an object.
    pub(super) fn told(&self, entry: &Entry, id: &str, put: &str) -> String {
        let event = if self.object.is_some() { put } else { "delete" };
        let (kind, project_id) = (entry.member, &self.project_id);
        let data = json!({ "kind": kind, "id": id, "project_id": project_id, "object": self.object });
        format!("event: {event}\ndata: {data}")
    }
}
