//! What Neutron has no words for: declared sets, history, rollback, status, explanations, snapshots. Below `/v1/`.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use weft_dataplane::FragmentId;
use weft_net::HostName;
use weft_services::catalogue::{CATALOGUE, NoStatuses, by_kind};
use weft_services::compile::{self, FragmentKey};
use weft_services::{
    Change, Choices, Declaration, DeclareError, Model, Refusal, Row, RowKey, Write, check_restored, declare,
    departures_after_restore,
};
use weft_store::{CommitError, Event, ReadError, Revision, Version};

use super::respond::{Answer, Problem, ok, typed_answer};
use super::route::{Api, Asked};
use super::watch;
use crate::head::Head;
use crate::note::Note;
use crate::site::{Caller, Failure};

/// The most entries of the history in one answer, and where nothing is said.
const HISTORY_MAX: usize = 1000;
const HISTORY_DEFAULT: usize = 50;
/// How far back an explanation looks for the request that asked for something.
const EXPLAIN_BACK: u64 = 10_000;
/// How often a rollback is worked out anew because something else was committed meanwhile.
const ROLLBACK_TRIES: usize = 20;

pub(crate) async fn answer(api: &Api, asked: &Asked, path: &[&str]) -> Result<Answer, Problem> {
    match (path, &asked.method) {
        (["apply"], &Method::POST) => apply(api, asked).await,
        (["history"], &Method::GET) => history(api, asked),
        (["rollback"], &Method::POST) => rollback(api, asked).await,
        (["status"], &Method::GET) => Ok(status(api)),
        (["explain"], &Method::GET) => explain(api, asked),
        (["watch"], &Method::GET) => watch::everything(api, asked),
        (["snapshot"], &Method::GET) => snapshot(api).await,
        (["restore"], &Method::POST) => restore(api, asked).await,
        (["apply" | "history" | "rollback" | "status" | "explain" | "watch" | "snapshot" | "restore"], _) => {
            Err(Problem::no_such_method())
        }
        _ => Err(Problem::no_such_path()),
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplyBody {
    set: String,
    project_id: Option<String>,
    #[serde(default)]
    prune: bool,
    #[serde(default)]
    dry_run: bool,
    documents: Vec<Map<String, Value>>,
}

/// What a dry run ends with: the change is worked out, and dropped.
enum ApplyEnd {
    DryRun(Vec<weft_services::Declared>),
    Refused(DeclareError),
}

async fn apply(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let body: ApplyBody = typed_body(asked)?;
    let mut caller = asked.caller();
    if let Some(project) = &body.project_id {
        caller.project_id = project.as_str().into();
    }
    let declaration = Declaration { set: body.set, prune: body.prune, documents: body.documents };
    let make = |change: &mut Change| {
        let declared = declare(change, &declaration).map_err(ApplyEnd::Refused)?;
        if body.dry_run { Err(ApplyEnd::DryRun(declared)) } else { Ok(declared) }
    };
    match api.site.transact(&caller, Some(&declaration.set), make).await {
        Ok((version, declared)) => Ok(ok(&json!({ "revision": version.to_string(), "changes": declared }))),
        Err(Failure::Refused(ApplyEnd::DryRun(declared))) => {
            Ok(ok(&json!({ "revision": null, "changes": declared })))
        }
        Err(Failure::Refused(ApplyEnd::Refused(error))) => Err(error.into()),
        Err(Failure::TooLarge) => Err(Failure::<Refusal>::TooLarge.into()),
        Err(Failure::Unavailable(reason)) => Err(Failure::<Refusal>::Unavailable(reason).into()),
    }
}

fn typed_body<T: serde::de::DeserializeOwned>(asked: &Asked) -> Result<T, Problem> {
    serde_json::from_value(Value::Object(asked.object()?))
        .map_err(|error| Problem::malformed(format!("Body contains invalid data: {error}")))
}

fn read_problem(error: &ReadError) -> Problem {
    match error {
        ReadError::Unavailable(_) => Failure::<Refusal>::Unavailable(error.to_string()).into(),
        _ => Problem::Http(StatusCode::GONE, "RevisionGone", error.to_string()),
    }
}

fn history(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let query = asked.query();
    let limit = query.limit()?.unwrap_or(HISTORY_DEFAULT).min(HISTORY_MAX);
    let now = api.site.durable().version.revision.get();
    let before = match query.get("before") {
        Some(text) => text
            .parse::<u64>()
            .map_err(|_| Problem::malformed(format!("before: '{text}' is not a revision")))?,
        None => now + 1,
    };
    let to = before.saturating_sub(1).min(now);
    let from = (to + 1).saturating_sub(limit as u64).max(1);
    let events = match api.site.store.history(Revision::new(from)..=Revision::new(to), limit) {
        Err(ReadError::Compacted { oldest }) => api.site.store.history(oldest..=Revision::new(to), limit),
        other => other,
    };
    let events = events.map_err(|error| read_problem(&error))?;
    let entries: Vec<Value> = events.iter().rev().map(history_entry).collect();
    Ok(ok(&json!({ "history": entries })))
}

fn history_entry(event: &Event<Head>) -> Value {
    let note = Note::from_text(&event.note);
    let changes: Vec<Value> = event.writes.iter().map(write_entry).collect();
    json!({
        "version": event.version.to_string(), "at": note.at.to_string(), "request_id": note.request_id,
        "project_id": note.project_id, "set": note.set, "summary": note.summary, "changes": changes,
    })
}

fn write_entry(write: &Write) -> Value {
    let (kind, id) = kind_and_id(&write.key());
    match write {
        Write::Put(row) => {
            let action = match row.standard().map(|standard| standard.revision_number) {
                Some(1) => "create",
                _ => "update",
            };
            json!({ "action": action, "kind": kind, "id": id, "name": name_of(row) })
        }
        Write::Delete(_) => json!({ "action": "delete", "kind": kind, "id": id, "name": null }),
    }
}

fn kind_and_id(key: &RowKey) -> (&'static str, String) {
    let text = key.to_text();
    let id = text.split_once('/').map(|(_, id)| id.to_owned()).unwrap_or_default();
    (key.kind().as_str(), id)
}

fn name_of(row: &Row) -> Option<&str> {
    row.standard().map(|standard| standard.name.as_str())
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RollbackBody {
    revision: u64,
    set: Option<String>,
    project_id: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

async fn rollback(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let body: RollbackBody = typed_body(asked)?;
    if body.set.is_none() && body.project_id.is_none() {
        return Err(Problem::malformed("set: neither it nor project_id says what is to be rolled back"));
    }
    let caller = asked.caller();
    for _ in 0..ROLLBACK_TRIES {
        if let Some(answer) = try_rollback(api, &caller, &body).await? {
            return Ok(answer);
        }
    }
    Err(Refusal::conflict(
        "RollbackConflict",
        "The rollback is not possible: other changes keep coming in between.",
    )
    .into())
}

/// `None` if something was committed in between.
async fn try_rollback(api: &Api, caller: &Caller, body: &RollbackBody) -> Result<Option<Answer>, Problem> {
    let store = &api.site.store;
    let revision = Revision::new(body.revision);
    let (past, now) = (store.at(revision).map_err(|error| read_problem(&error))?, store.durable());
    let in_scope = |_: &Event<Head>, write: &Write| {
        let key = write.key();
        let row = now.model.0.row(&key).or_else(|| past.model.0.row(&key));
        row.is_some_and(|row| is_in_scope(&row, body))
    };
    let (base, writes) = store.writes_back_to(revision, in_scope).map_err(|error| read_problem(&error))?;
    let head = store.pending();
    if head.version != base {
        tokio::task::yield_now().await;
        return Ok(None);
    }
    let choices =
        Choices { now: api.site.now(), seed: rand::random(), project_id: caller.project_id.clone() };
    let mut change = Change::new(head.model.0.clone(), choices);
    check_restored(&mut change, writes)?;
    let after = change.model().clone();
    let (writes, _) = change.finish();
    let changes: Vec<Value> =
        writes.iter().filter_map(|write| rolled_back(&head.model.0, &after, &write.key())).collect();
    if body.dry_run {
        return Ok(Some(ok(&json!({ "revision": null, "changes": changes }))));
    }
    let note = Note {
        at: api.site.now(),
        request_id: caller.request_id.clone(),
        project_id: body.project_id.clone().unwrap_or_default(),
        set: body.set.clone(),
        summary: format!("{} to {}", caller.summary, body.revision),
    };
    match store.commit(base, writes, note.to_text()).await {
        Ok(version) => Ok(Some(ok(&json!({ "revision": version.to_string(), "changes": changes })))),
        Err(CommitError::Conflict { .. }) => Ok(None),
        Err(CommitError::TooLarge { .. }) => Err(Failure::<Refusal>::TooLarge.into()),
        Err(error @ CommitError::Unavailable(_)) => {
            Err(Failure::<Refusal>::Unavailable(error.to_string()).into())
        }
    }
}

/// What the set made, what the project owns, or what the set made for the project.
fn is_in_scope(row: &Row, body: &RollbackBody) -> bool {
    let set = row.standard().and_then(|standard| standard.apply_set.as_deref());
    let of_set = body.set.is_none() || set == body.set.as_deref();
    let of_project = body.project_id.is_none() || row.project_id() == body.project_id.as_deref();
    of_set && of_project
}

fn rolled_back(before: &Model, after: &Model, key: &RowKey) -> Option<Value> {
    let (former, row) = (before.row(key), after.row(key));
    let action = match (&former, &row) {
        (None, Some(_)) => "create",
        (Some(_), Some(_)) => "update",
        (Some(_), None) => "delete",
        (None, None) => return None,
    };
    let (kind, id) = kind_and_id(key);
    let name = row.as_ref().or(former.as_ref()).and_then(name_of).map(str::to_owned);
    Some(json!({ "action": action, "kind": kind, "id": id, "name": name, "attributes": {} }))
}

fn status(api: &Api) -> Answer {
    let snapshot = api.site.durable();
    let reports = api.site.reports();
    let hosts: Vec<Value> =
        snapshot.model.0.hosts().map(|host| host_status(&reports.0, &host.name)).collect();
    let counts: BTreeMap<&str, usize> =
        CATALOGUE.iter().map(|entry| (entry.collection, entry.count(&snapshot.model.0))).collect();
    ok(&json!({
        "version": snapshot.version.to_string(), "software_version": env!("CARGO_PKG_VERSION"),
        "uptime_s": api.site.started.elapsed().as_secs(), "hosts": hosts, "counts": counts,
    }))
}

fn host_status(distribution: &crate::agents::Distribution, name: &HostName) -> Value {
    let Some(state) = distribution.host(name) else {
        return json!({ "name": name, "software_version": null, "alive": false, "at_rest": false, "version": null, "behind": 0, "steps_done": 0, "steps_failed": 0, "not_done": [] });
    };
    let text = |version: Option<Version>| version.map(|version| version.to_string());
    let not_done: Vec<Value> = state
        .outcome
        .not_done
        .iter()
        .map(|((service, subject), not_done)| {
            let what = if not_done.waiting { "waiting" } else { "failed" };
            json!({ "fragment": format!("{subject} of {service}"), "state": what, "object": not_done.object, "reason": not_done.reason })
        })
        .collect();
    json!({
        "name": name, "software_version": state.software_version, "alive": state.connection.is_some(), "at_rest": state.is_at_rest(), "version": text(state.reported),
        "behind": state.behind(), "steps_done": state.outcome.steps_done, "steps_failed": state.outcome.steps_failed, "not_done": not_done,
        "observe_error": state.outcome.observe_error,
    })
}

/// Why a host has an object: which fragment, which resource, which request.
fn explain(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let query = asked.query();
    let text = query.get("host").unwrap_or_default();
    let wanted = query.get("object").unwrap_or_default();
    let snapshot = api.site.durable();
    let model = &snapshot.model.0;
    let host = text.parse::<HostName>().ok().filter(|host| model.host(host).is_some());
    let host = host.ok_or_else(|| Refusal::not_found("HostNotFound", "Host", text))?;
    let mut objects: BTreeMap<String, Vec<FragmentId>> = BTreeMap::new();
    for fragment in compile::intent_of(model, &host) {
        for object in &fragment.objects {
            let text = object.to_string();
            if text.contains(wanted) {
                objects.entry(text).or_default().push(fragment.id.clone());
            }
        }
    }
    let mut origins = Origins { api, found: BTreeMap::new() };
    let mut explained = Vec::new();
    for (object, fragments) in objects {
        let fragments: Vec<Value> = fragments.iter().map(|id| origins.of(model, id)).collect();
        explained.push(json!({ "object": object, "fragments": fragments }));
    }
    Ok(ok(&json!({ "objects": explained })))
}

/// Which commits last wrote the resources that ask for something.
struct Origins<'a> {
    api: &'a Api,
    found: BTreeMap<FragmentId, Value>,
}

impl Origins<'_> {
    fn of(&mut self, model: &Model, id: &FragmentId) -> Value {
        if let Some(found) = self.found.get(id) {
            return found.clone();
        }
        let row = FragmentKey::from_id(id).map(|key| key.asked_by());
        let entry = row.as_ref().and_then(|row| by_kind(row.kind()));
        let resource_id = match (entry, &row) {
            (Some(entry), Some(row)) => entry.shows(model, row).unwrap_or_default(),
            _ => String::new(),
        };
        let name = entry
            .and_then(|entry| entry.render(model, &resource_id, &NoStatuses))
            .and_then(|map| map.get("name").cloned());
        let commit = row.and_then(|row| self.last_commit(&row));
        let note = commit.as_ref().map(|event| Note::from_text(&event.note));
        let value = json!({
            "id": id.to_string(), "kind": entry.map(|entry| entry.member), "resource_id": resource_id, "name": name,
            "request_id": note.as_ref().map(|note| note.request_id.clone()),
            "at": note.as_ref().map(|note| note.at.to_string()),
            "version": commit.map(|event| event.version.to_string()),
        });
        self.found.insert(id.clone(), value.clone());
        value
    }

    fn last_commit(&self, row: &RowKey) -> Option<Event<Head>> {
        const STEP: u64 = 500;
        let store = &self.api.site.store;
        let newest = store.durable().version.revision.get();
        let mut to = newest;
        while to > 0 && newest - to < EXPLAIN_BACK {
            let from = to.saturating_sub(STEP - 1).max(1);
            let events = store.history(Revision::new(from)..=Revision::new(to), STEP as usize).ok()?;
            let found =
                events.into_iter().rev().find(|event| event.writes.iter().any(|write| write.key() == *row));
            if found.is_some() {
                return found;
            }
            to = from - 1;
        }
        None
    }
}

fn io_problem(error: &dyn std::fmt::Display) -> Problem {
    Failure::<Refusal>::Unavailable(error.to_string()).into()
}

async fn snapshot(api: &Api) -> Result<Answer, Problem> {
    let directory = tempfile::tempdir().map_err(|error| io_problem(&error))?;
    let path = directory.path().join("snapshot");
    api.site.store.snapshot_to(&path).await.map_err(|error| io_problem(&error))?;
    let bytes = tokio::fs::read(&path).await.map_err(|error| io_problem(&error))?;
    Ok(typed_answer(StatusCode::OK, "application/octet-stream", Body::from(bytes)))
}

async fn restore(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let directory = tempfile::tempdir().map_err(|error| io_problem(&error))?;
    let path = directory.path().join("snapshot");
    tokio::fs::write(&path, &asked.body).await.map_err(|error| io_problem(&error))?;
    let note = asked.caller().note(api.site.now(), None).to_text();
    let occasion = rand::random();
    let remember =
        move |lost: &Head, restored: &Head| departures_after_restore(&lost.0, &restored.0, occasion);
    let restored = api.site.store.restore_from(&path, note, remember).await;
    let version =
        restored.map_err(|error| Problem::malformed(format!("The snapshot cannot be restored: {error}")))?;
    Ok(ok(&json!({ "version": version.to_string() })))
}
