//! The change feed: server-sent events, resumable by version.
//!
//! ```text
//! id: EPOCH.REVISION        the last event of a commit, so that all of it was told
//!     EPOCH.REVISION.COUNT  so many events of this commit were told, and more follow
//! event: put | delete | status | compacted | epoch
//! data: {"kind": "port", "id": …, "project_id": …, "object": {…} | null}
//! ```
//!
//! A watch with conditions keeps a list of what fulfils them right: what begins to fulfil them is put, what no longer does is
//! deleted. A delete of what the watcher does not have is to be passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use weft_services::catalogue::{CATALOGUE, Entry, NoStatuses, Place};
use weft_services::compile::FragmentKey;
use weft_services::{Model, RowKey, RowKind, Write};
use weft_store::{Epoch, Event, Revision, Version, WatchError};

use super::live::Live;
use super::notices::{Notice, SessionNotice};
use super::respond::{Answer, Problem, typed_answer};
use super::route::{Api, Asked};
use super::wanted::Wanted;
use crate::head::Head;
use crate::site::Site;

/// Events on their way to one watcher; a slow one is waited for, the store keeps what it has yet to read.
const OUTGOING_MAX: usize = 64;
/// A comment this often tells a watcher that the stream is alive, and us that the watcher is.
const HEARTBEAT: Duration = Duration::from_secs(15);

type Outgoing = mpsc::Sender<Result<Bytes, std::convert::Infallible>>;

/// Watches one collection.
pub(crate) fn collection(api: &Api, asked: &Asked, place: &Place<'_>) -> Result<Answer, Problem> {
    let wanted = Wanted::read(&asked.query(), place)?;
    place.check(&api.site.durable().model.0)?;
    start(api, asked, vec![place.entry], wanted)
}

/// Watches everything.
pub(crate) fn everything(api: &Api, asked: &Asked) -> Result<Answer, Problem> {
    if let Some(name) = asked.query().names().find(|name| *name != "since") {
        return Err(Problem::malformed(format!("{name}: a watch of everything has no such parameter")));
    }
    start(api, asked, CATALOGUE.iter().collect(), Wanted::default())
}

fn start(api: &Api, asked: &Asked, entries: Vec<&'static Entry>, wanted: Wanted) -> Result<Answer, Problem> {
    let query = asked.query();
    let header = asked.headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let since = header.or_else(|| query.get("since")).map(parse_place).transpose()?;
    let (outgoing, events) = mpsc::channel(OUTGOING_MAX);
    let watcher = Watcher { site: api.site.clone(), entries, wanted, outgoing };
    let notices = api.notices.subscribe();
    tokio::spawn(async move { watcher.run(since, notices).await });
    let mut answer =
        typed_answer(StatusCode::OK, "text/event-stream", Body::from_stream(ReceiverStream::new(events)));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(answer)
}

/// Up to where a watcher has been told.
#[derive(Clone, Copy)]
struct Upto {
    version: Version,
    /// How many events of the commit that made this version it was told; `None`: all of them.
    events: Option<usize>,
}

fn parse_place(text: &str) -> Result<Upto, Problem> {
    let parse = || {
        let mut parts = text.split('.');
        let version = Version {
            epoch: Epoch::new(parts.next()?.parse().ok()?),
            revision: Revision::new(parts.next()?.parse().ok()?),
        };
        let events = parts.next().map(|count| count.parse::<usize>().ok());
        let is_whole = events != Some(None) && parts.next().is_none();
        is_whole.then_some(Upto { version, events: events.flatten() })
    };
    parse().ok_or_else(|| Problem::malformed(format!("since: '{text}' is not of the form EPOCH.REVISION")))
}

/// The statuses that a watcher was told last of what sums up several reports, by collection and identifier.
type LastTold = BTreeMap<(&'static str, String), Option<Value>>;

struct Watcher {
    site: Arc<Site>,
    entries: Vec<&'static Entry>,
    wanted: Wanted,
    outgoing: Outgoing,
}

/// The watcher has gone.
struct Gone;

impl Watcher {
    async fn run(self, since: Option<Upto>, mut notices: tokio::sync::broadcast::Receiver<Notice>) {
        // Finding the past may take a while; that the stream is there is told at once.
        if self.send(": alive\n\n".into()).await.is_err() {
            return;
        }
        let Some((mut model, from)) = self.begin(since).await else { return };
        let mut watch = self.site.store.watch(from);
        let mut last_told = LastTold::new();
        // A commit of which a part was told is told to its end before anything else.
        if let Some(told) = since.and_then(|since| since.events) {
            match watch.next().await {
                Ok(event) if self.commit(&mut model, &event, told).await.is_err() => return,
                Ok(_) => {}
                Err(error) => return self.end(&error).await,
            }
        }
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        loop {
            let sent = tokio::select! {
                event = watch.next() => match event {
                    Ok(event) => {
                        // What is told now is newer.
                        last_told.clear();
                        self.commit(&mut model, &event, 0).await
                    }
                    Err(error) => return self.end(&error).await,
                },
                news = notices.recv() => match news {
                    Ok(Notice::Fragments(fragments)) => {
                        self.status(&model, &fragments, (watch.position(), &mut last_told)).await
                    }
                    Ok(Notice::Session(session)) => self.session(&model, &session, watch.position()).await,
                    // Statuses were missed: the watcher has to make its list anew.
                    Err(RecvError::Lagged(_)) => return self.over("compacted", "statuses were missed").await,
                    Err(RecvError::Closed) => return,
                },
                _ = heartbeat.tick() => self.send(": alive\n\n".into()).await,
            };
            if sent.is_err() {
                return;
            }
        }
    }

    /// The model that the watcher knows, and its version: that before a commit of which it knows a part.
    async fn begin(&self, since: Option<Upto>) -> Option<(Model, Version)> {
        let now = self.site.durable();
        let Some(Upto { version: since, events }) = since else {
            return Some((now.model.0.clone(), now.version));
        };
        if since.epoch != now.version.epoch || since > now.version {
            self.end(&WatchError::EpochChanged { now: now.version }).await;
            return None;
        }
        let known = since.revision.get().saturating_sub(u64::from(events.is_some()));
        let from = Version { revision: Revision::new(known), ..since };
        let site = self.site.clone();
        let past = tokio::task::spawn_blocking(move || site.store.at(from.revision)).await;
        match past {
            Ok(Ok(past)) => Some((past.model.0, from)),
            Ok(Err(error)) => {
                self.over("compacted", &error.to_string()).await;
                None
            }
            Err(_) => None,
        }
    }

    async fn end(&self, error: &WatchError) {
        let event = match error {
            WatchError::EpochChanged { .. } => "epoch",
            _ => "compacted",
        };
        self.over(event, &error.to_string()).await;
    }

    /// Tells that this is the last event, and why.
    async fn over(&self, event: &str, reason: &str) {
        let _ = self.send(format!("event: {event}\ndata: {}\n\n", json!({ "reason": reason }))).await;
    }

    async fn send(&self, text: String) -> Result<(), Gone> {
        self.outgoing.send(Ok(text.into())).await.map_err(|_| Gone)
    }

    /// Tells of a commit, but for so many of its events that were told already.
    async fn commit(&self, model: &mut Model, event: &Event<Head>, told: usize) -> Result<(), Gone> {
        let before = model.clone();
        for write in event.writes.iter() {
            model.apply(write);
        }
        let events = self.events(&before, model, event);
        let mut text = String::new();
        for (count, body) in (1..).zip(&events).skip(told) {
            let version = event.version;
            let id = if count == events.len() { version.to_string() } else { format!("{version}.{count}") };
            text.push_str(&format!("id: {id}\n{body}\n\n"));
        }
        if text.is_empty() { Ok(()) } else { self.send(text).await }
    }

    /// The events of a commit, in an order that is always the same.
    fn events(&self, before: &Model, after: &Model, event: &Event<Head>) -> Vec<String> {
        let reports = Live(&self.site);
        let mut events = Vec::new();
        for entry in &self.entries {
            for id in shown(entry, [before, after], event.writes.iter().map(Write::key)) {
                let former = entry.render(before, &id, &NoStatuses);
                let event = self.wanted.event(entry, former, entry.render(after, &id, &reports));
                events.extend(event.map(|event| event.told(entry, &id, "put")));
            }
        }
        events
    }

    async fn status(
        &self,
        model: &Model,
        fragments: &BTreeSet<FragmentKey>,
        (at, last_told): (Version, &mut LastTold),
    ) -> Result<(), Gone> {
        let rows: Vec<RowKey> = fragments.iter().map(FragmentKey::asked_by).collect();
        let reports = Live(&self.site);
        let mut text = String::new();
        for entry in self.entries.iter().filter(|entry| entry.attribute("status").is_some()) {
            let showing = shown(entry, [model, model], rows.iter().cloned());
            let sums = fragments.iter().flat_map(|fragment| entry.sums_up(model, fragment));
            let sums: BTreeSet<String> = sums.map(|id| id.to_string()).collect();
            for id in showing.union(&sums) {
                let object = entry.render(model, id, &reports);
                let status = object.as_ref().and_then(|object| object.get("status")).cloned();
                // Each of many hosts reports on these, mostly without a change.
                let mut is_news = || {
                    last_told.insert((entry.collection, id.clone()), status.clone()) != Some(status.clone())
                };
                if !showing.contains(id) && !is_news() {
                    continue;
                }
                let Some(event) = self.wanted.event(entry, object.clone(), object) else { continue };
                text.push_str(&format!("id: {at}\n{}\n\n", event.told(entry, id, "status")));
            }
        }
        if text.is_empty() { Ok(()) } else { self.send(text).await }
    }

    /// Tells that a session of a BGP peer came up or went down, as a status of that peer.
    async fn session(&self, model: &Model, session: &SessionNotice, at: Version) -> Result<(), Gone> {
        let row = RowKey::Resource(RowKind::BgpPeer, session.peer);
        let reports = Live(&self.site);
        for entry in &self.entries {
            for id in shown(entry, [model, model], std::iter::once(row.clone())) {
                let Some(peer) = entry.render(model, &id, &reports) else { continue };
                let after = with_session(peer.clone(), session);
                let Some(event) = self.wanted.event(entry, Some(peer), Some(after)) else { continue };
                self.send(format!("id: {at}\n{}\n\n", event.told(entry, &id, "status"))).await?;
            }
        }
        Ok(())
    }
}

/// What a session is shown as, beside the attributes of its peer.
fn with_session(mut peer: Map<String, Value>, session: &SessionNotice) -> Map<String, Value> {
    let state = if session.ended_by.is_none() { "up" } else { "down" };
    let (speaker, neighbor) = (session.speaker, session.neighbor);
    let told =
        json!({ "speaker_id": speaker, "neighbor": neighbor, "state": state, "reason": session.ended_by });
    peer.insert("bgp_session".to_owned(), told);
    peer
}

/// The resources of a collection that show one of these rows, before or after.
fn shown(entry: &Entry, models: [&Model; 2], rows: impl Iterator<Item = RowKey>) -> BTreeSet<String> {
    rows.flat_map(|row| models.map(|model| entry.shows(model, &row))).flatten().collect()
}
