//! Which commits last changed what a host sees of fragments, as far back as is looked.
//!
//! A commit that writes a row without a difference to what the host is sent, such as a tag, is none of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use weft_net::HostName;
use weft_services::compile::{self, FragmentKey, ServiceKey};
use weft_services::{Model, Write};
use weft_store::{Event, ReadError, Revision, Store, Version};

use crate::api::history::commits;
use crate::head::Head;
use crate::note::Note;

/// How many commits back is looked, as long as they are not of more writes, and do not touch more fragments, than this.
const COMMITS_MAX: u64 = 2000;
const WRITES_MAX: usize = 20_000;
const TOUCHED_MAX: usize = 50_000;

/// What the log says of fragments of a host.
#[derive(Default)]
pub(super) struct Past {
    /// The commit that last changed what the host sees of a fragment, where it is not longer ago.
    pub(super) found: BTreeMap<FragmentKey, Commit>,
    /// The first of the commits that were looked at, if any was.
    pub(super) since: Option<Version>,
}

/// Which commit it was, and who asked for it.
#[derive(Clone)]
pub(super) struct Commit {
    version: Version,
    pub(super) note: Note,
}

impl Commit {
    fn of(event: &Event<Head>) -> Self {
        Self { version: event.version, note: Note::from_text(&event.note) }
    }

    pub(super) fn told(&self) -> Value {
        json!({
            "request_id": self.note.request_id, "at": self.note.at.to_string(),
            "version": self.version.to_string(), "summary": self.note.summary,
        })
    }
}

impl Past {
    /// Reads the log once for all of these fragments. Without a past that can be read, it says nothing.
    pub(super) fn read(store: &Store<Head>, host: &HostName, wanted: &BTreeSet<&FragmentKey>) -> Self {
        if wanted.is_empty() {
            return Self::default();
        }
        Self::try_read(store, host, wanted).unwrap_or_else(|error| {
            tracing::warn!(%error, "what changed an explained object last is not known");
            Self::default()
        })
    }

    fn try_read(
        store: &Store<Head>,
        host: &HostName,
        wanted: &BTreeSet<&FragmentKey>,
    ) -> Result<Self, ReadError> {
        let to = store.durable().version.revision.get();
        let events = commits(store, to.saturating_sub(COMMITS_MAX) + 1, to)?;
        let events = newest(&events);
        let Some(first) = events.first() else { return Ok(Self::default()) };
        let start = store.at(Revision::new(first.version.revision.get() - 1))?;
        let (after, undone) = apply_all(start.model.0, events);
        let (found, since) = look_back(host, wanted, after, events.iter().zip(undone));
        Ok(Self { found, since })
    }
}

/// The newest of these commits, with no more writes than are looked at; one at least.
fn newest(events: &[Event<Head>]) -> &[Event<Head>] {
    let mut writes = 0;
    let count = events.iter().rev().take_while(|event| {
        let is_first = writes == 0;
        writes += event.writes.len().max(1);
        is_first || writes <= WRITES_MAX
    });
    &events[events.len() - count.count()..]
}

/// The model after all commits, and what undoes each of them.
fn apply_all(mut model: Model, events: &[Event<Head>]) -> (Model, Vec<Vec<Write>>) {
    let mut undone = Vec::new();
    for event in events {
        let mut undo: Vec<Write> = Vec::new();
        for write in event.writes.iter() {
            let key = write.key();
            undo.push(model.row(&key).map_or(Write::Delete(key), Write::Put));
            model.apply(write);
        }
        undo.reverse();
        undone.push(undo);
    }
    (model, undone)
}

/// Goes back from the newest commit until each fragment has one that changed it on the host.
fn look_back<'e>(
    host: &HostName,
    wanted: &BTreeSet<&FragmentKey>,
    mut after: Model,
    events: impl DoubleEndedIterator<Item = (&'e Event<Head>, Vec<Write>)>,
) -> (BTreeMap<FragmentKey, Commit>, Option<Version>) {
    let services: BTreeSet<ServiceKey> = wanted.iter().map(|key| key.service).collect();
    let (mut found, mut since, mut count) = (BTreeMap::new(), None, 0);
    for (event, undo) in events.rev() {
        if found.len() == wanted.len() || count > TOUCHED_MAX {
            break;
        }
        let mut before = after.clone();
        undo.iter().for_each(|write| before.apply(write));
        let mut touched = compile::touched(&before, &after, event.writes.iter());
        touched.retain(|key| services.contains(&key.service));
        count += touched.len();
        let delta = compile::delta_for(&before, &after, touched, host);
        for key in delta.upserts.into_iter().filter(|key| wanted.contains(key)) {
            found.entry(key).or_insert_with(|| Commit::of(event));
        }
        (after, since) = (before, Some(event.version));
    }
    (found, since)
}
