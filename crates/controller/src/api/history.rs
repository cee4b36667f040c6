//! `GET /v1/history`: what was changed when by whom.

use serde_json::{Value, json};
use weft_store::{Event, ReadError, Revision, Store};

use super::changes::{self, ResourceChange};
use super::disk;
use super::respond::{Answer, Problem, ok};
use super::route::{Api, Asked};
use crate::head::Head;
use crate::note::Note;

/// The most entries of the history in one answer, and where nothing is said.
const ENTRIES_MAX: usize = 1000;
const ENTRIES_DEFAULT: usize = 50;

pub(crate) async fn history(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    let query = asked.query();
    let limit = query.limit()?.unwrap_or(ENTRIES_DEFAULT).min(ENTRIES_MAX);
    let before = query.get("before").map(parse_revision).transpose()?;
    let site = api.site.clone();
    let entries = disk::read(move || {
        let events = page(&site.store, before, limit).map_err(|error| disk::past_problem(&error))?;
        let changes = changes::told(&site.store, &events);
        let told = events.iter().zip(&changes).rev();
        Ok(told.map(|(event, changes)| entry(event, changes)).collect::<Vec<Value>>())
    });
    Ok(ok(&json!({ "history": entries.await? })))
}

fn parse_revision(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::malformed(format!("before: '{text}' is not a revision")))
}

/// So many commits, oldest first, up to the newest or those before a revision.
fn page(store: &Store<Head>, before: Option<u64>, limit: usize) -> Result<Vec<Event<Head>>, ReadError> {
    let now = store.durable().version.revision.get();
    let to = before.map_or(now, |before| before.saturating_sub(1).min(now));
    let from = (to + 1).saturating_sub(limit as u64).max(1);
    commits(store, from, to)
}

/// The commits of these revisions, oldest first, as far as the log still has them: none, if it has none of them.
pub(crate) fn commits(store: &Store<Head>, from: u64, to: u64) -> Result<Vec<Event<Head>>, ReadError> {
    let to = Revision::new(to);
    match store.history(Revision::new(from)..=to, usize::MAX) {
        Err(ReadError::Compacted { oldest }) if oldest > to => Ok(Vec::new()),
        Err(ReadError::Compacted { oldest }) => store.history(oldest..=to, usize::MAX),
        other => other,
    }
}

fn entry(event: &Event<Head>, changes: &[ResourceChange]) -> Value {
    let note = Note::from_text(&event.note);
    json!({
        "version": event.version.to_string(), "at": note.at.to_string(), "request_id": note.request_id,
        "project_id": note.project_id, "set": note.set, "summary": note.summary, "changes": changes,
    })
}
