//! `POST /v1/rollback`: a set or a project as it was at a revision, as a new revision.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use weft_services::catalogue::{NoStatuses, by_any_name};
use weft_services::{Attribute, Change, Model, OnCreate, Refusal, Row, Write, check_restored};
use weft_store::{Event, Revision, WayBack};

use super::changes::{self, ResourceChange, RowChange};
use super::disk;
use super::history::commits;
use super::native::typed_body;
use super::respond::{Answer, Problem, ok};
use super::route::{Api, Asked};
use crate::head::Head;
use crate::note::Note;
use crate::site::{Caller, Failure, Site};

/// How many commits are read at a time.
const STEP: u64 = 500;
/// How often a rollback is worked out anew because something that it is about was written meanwhile.
const TRIES: usize = 20;

/// What a request asks for.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    revision: u64,
    set: Option<String>,
    project_id: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

/// Why a plan was not carried out.
enum Stop {
    /// What it is about has been written since it was worked out.
    Moved,
    Refused(Refusal),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Stop> for Problem {
    fn from(stop: Stop) -> Self {
        let why = "The rollback is not possible: what it is about keeps being written in between.";
        match stop {
            Stop::Moved => Refusal::conflict("RollbackConflict", why).into(),
            Stop::Refused(refusal) => refusal.into(),
        }
    }
}

pub(crate) async fn rollback(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let body: Body = typed_body(asked)?;
    if body.set.is_none() && body.project_id.is_none() {
        return Err(Problem::malformed("set: neither it nor project_id says what is to be rolled back"));
    }
    let body = Arc::new(body);
    let caller = Caller {
        project_id: body.project_id.clone().unwrap_or_default().into(),
        summary: format!("{} to {}", asked.caller().summary, body.revision),
        ..asked.caller()
    };
    for _ in 0..TRIES {
        let (site, wanted) = (api.site.clone(), body.clone());
        let plan = disk::read(move || plan(&site, &wanted)).await?;
        match carry_out(api, &caller, &body, &plan).await {
            Ok(answer) => return Ok(answer),
            Err(Failure::Refused(Stop::Moved)) => {}
            Err(failure) => return Err(failure.into()),
        }
    }
    Err(Stop::Moved.into())
}

/// Carries a plan out, or only tries whether it can be.
async fn carry_out(
    api: &Api,
    caller: &Caller,
    body: &Body,
    plan: &WayBack<Head>,
) -> Result<Answer, Failure<Stop>> {
    if body.dry_run {
        let mut change = api.site.change(&plan.head.model.0, caller);
        let changes = restore(&mut change, plan).map_err(Failure::Refused)?;
        change.finish().map_err(|refusal| Failure::Refused(refusal.into()))?;
        return Ok(ok(&json!({ "revision": null, "changes": changes })));
    }
    let restored = api.site.transact(caller, body.set.as_deref(), |change| restore(change, plan)).await;
    restored.map(|(version, changes)| ok(&json!({ "revision": version.to_string(), "changes": changes })))
}

/// Writes what leads back, if nothing of it has been written since; answers what that does to resources.
fn restore(change: &mut Change, plan: &WayBack<Head>) -> Result<Vec<Value>, Stop> {
    let before = change.model().clone();
    let moved = |write: &Write| before.row(&write.key()) != plan.head.model.0.row(&write.key());
    if plan.writes.iter().any(moved) {
        return Err(Stop::Moved);
    }
    check_restored(change, plan.writes.clone())?;
    Ok(rolled_back(&before, change.model(), change.writes()))
}

/// Works a rollback out. Reads the disk.
fn plan(site: &Site, body: &Body) -> Result<WayBack<Head>, Problem> {
    let store = &site.store;
    let revision = Revision::new(body.revision);
    let past = store.at(revision).map_err(|error| disk::past_problem(&error))?;
    let in_scope = |_: &Event<Head>, write: &Write| {
        let was = past.model.0.row(&write.key()).is_some_and(|row| is_in_scope(&row, body));
        was || matches!(write, Write::Put(row) if is_in_scope(row, body))
    };
    let plan = store.writes_back_to(revision, in_scope).map_err(|error| disk::past_problem(&error))?;
    if plan.writes.is_empty() && !has_ever_been(site, &[&plan.head.model.0, &past.model.0], body)? {
        return Err(unknown_scope(body).into());
    }
    Ok(plan)
}

/// What the set made, what the project owns, or what the set made for the project.
fn is_in_scope(row: &Row, body: &Body) -> bool {
    let set = row.standard().and_then(|standard| standard.apply_set.as_deref());
    let of_set = body.set.is_none() || set == body.set.as_deref();
    let of_project = body.project_id.is_none() || row.project_id() == body.project_id.as_deref();
    of_set && of_project
}

/// Whether there is anything of the scope, or has been as far back as the log goes: a name with a slip in it has nothing to
/// go back to, and who gave it should know.
fn has_ever_been(site: &Site, models: &[&Model], body: &Body) -> Result<bool, Problem> {
    if models.iter().any(|model| model.rows().any(|row| is_in_scope(&row, body))) {
        return Ok(true);
    }
    let mut to = site.durable().version.revision.get();
    while to > 0 {
        let from = (to + 1).saturating_sub(STEP).max(1);
        let events = commits(&site.store, from, to).map_err(|error| disk::past_problem(&error))?;
        if events.iter().any(|event| is_told_of(event, body)) {
            return Ok(true);
        }
        if events.is_empty() {
            break;
        }
        to = from - 1;
    }
    Ok(false)
}

/// Whether a commit was of the scope, or wrote something in it.
fn is_told_of(event: &Event<Head>, body: &Body) -> bool {
    let note = Note::from_text(&event.note);
    let of_set = body.set.is_none() || note.set == body.set;
    let of_project = body.project_id.as_ref().is_none_or(|project| note.project_id == *project);
    let wrote = |write: &Write| matches!(write, Write::Put(row) if is_in_scope(row, body));
    (of_set && of_project) || event.writes.iter().any(wrote)
}

fn unknown_scope(body: &Body) -> Refusal {
    match (&body.set, &body.project_id) {
        (Some(set), None) => Refusal::not_found("SetNotFound", "Set", format!("'{set}'")),
        (Some(set), Some(project)) => {
            Refusal::not_found("SetNotFound", "Set", format!("'{set}' of project '{project}'"))
        }
        (None, project) => {
            let project = project.as_deref().unwrap_or_default();
            Refusal::not_found("ProjectNotFound", "Project", format!("'{project}'"))
        }
    }
}

/// What the writes do to resources.
fn rolled_back(before: &Model, after: &Model, writes: &[Write]) -> Vec<Value> {
    let change = |write: &Write| {
        let key = write.key();
        let (former, row) = (before.row(&key), after.row(&key));
        let action = match (&former, &row) {
            (None, Some(_)) => "create",
            (Some(_), Some(_)) => "update",
            (Some(_), None) => "delete",
            (None, None) => return None,
        };
        let name = row.as_ref().or(former.as_ref()).and_then(changes::name_of);
        Some(RowChange { key, action, name })
    };
    let is_whole = |id| changes::is_whole(before, id) || changes::is_whole(after, id);
    let changes = changes::shown(writes.iter().filter_map(change), is_whole);
    let with_attributes = |change: ResourceChange| {
        let attributes = differences(before, after, &change);
        let mut value = json!(change);
        value["attributes"] = Value::Object(attributes);
        value
    };
    changes.into_iter().map(with_attributes).collect()
}

/// The attributes that somebody could have given, and that differ; what is made has not had any, what goes needs none.
fn differences(before: &Model, after: &Model, change: &ResourceChange) -> Map<String, Value> {
    let Some(entry) = by_any_name(change.kind) else { return Map::new() };
    let render = |model| entry.render(model, &change.id, &NoStatuses);
    let (former, Some(now)) = (render(before), render(after)) else { return Map::new() };
    let given = entry.attributes.iter().filter(|attribute| {
        let is_of_all = ["project_id", "tenant_id"].contains(&attribute.name);
        attribute.on_create != OnCreate::ReadOnly && !is_of_all
    });
    let difference = |attribute: &Attribute| {
        let to = now.get(attribute.name).cloned().unwrap_or_default();
        let from = match &former {
            Some(former) => former.get(attribute.name).cloned().unwrap_or_default(),
            // The name is told of as such; a default says nothing.
            None if attribute.name == "name" || is_default(attribute, &to) => return None,
            None => Value::Null,
        };
        (from != to).then(|| (attribute.name.to_owned(), json!({ "from": from, "to": to })))
    };
    given.filter_map(difference).collect()
}

fn is_default(attribute: &Attribute, value: &Value) -> bool {
    match attribute.on_create {
        OnCreate::Default(text) => serde_json::from_str(text).is_ok_and(|default: Value| default == *value),
        OnCreate::Required | OnCreate::Optional | OnCreate::ReadOnly => {
            value.is_null() || value.as_array().is_some_and(Vec::is_empty)
        }
    }
}
