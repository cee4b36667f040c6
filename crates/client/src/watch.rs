//! Changes as they happen. A lost connection is made anew, after the last event that was seen; after an event that says that
//! there is no way on from there, from what is now.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use weft_services::catalogue::{Entry, Target};

use crate::resources::path;
use crate::sse::{Event, Parser};
use crate::{Client, Error, Object};

/// How often in a row a lost connection is made anew before the watch fails.
const RECONNECTS_MAX: u32 = 60;
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// After so long without a byte, not even a comment, the connection counts as lost.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// The resource is new, or changed.
    Put,
    /// It is gone.
    Delete,
    /// Its status changed, not what it is.
    Status,
    /// What happened before can no longer be told; read again, then go on.
    Compacted,
    /// The model was replaced; read again, then go on.
    Epoch,
    /// Something that this client does not know.
    Other(String),
}

impl WatchKind {
    fn read(text: &str) -> Self {
        match text {
            "put" => Self::Put,
            "delete" => Self::Delete,
            "status" => Self::Status,
            "compacted" => Self::Compacted,
            "epoch" => Self::Epoch,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Whether no place from before means anything any more.
    const fn is_break(&self) -> bool {
        matches!(self, Self::Compacted | Self::Epoch)
    }

    /// Its name in the API.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Put => "put",
            Self::Delete => "delete",
            Self::Status => "status",
            Self::Compacted => "compacted",
            Self::Epoch => "epoch",
            Self::Other(other) => other,
        }
    }
}

/// A change.
#[derive(Clone, Debug, PartialEq)]
pub struct WatchEvent {
    /// The version of the model with it: `EPOCH.REVISION`; a later watch can begin after it.
    pub version: Option<String>,
    /// What happened.
    pub event: WatchKind,
    /// The member's name of the resource, if it is about one.
    pub kind: Option<String>,
    /// The resource's identifier.
    pub id: Option<String>,
    /// The project that owns it.
    pub project_id: Option<String>,
    /// What it now is.
    pub object: Option<Object>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Data {
    kind: Option<String>,
    id: Option<String>,
    project_id: Option<String>,
    object: Option<Object>,
}

/// A watch. Each call of [`Watch::next`] waits for the next change.
pub struct Watch {
    client: Client,
    path: String,
    /// Whether the path needs the parameter that makes a list a watch.
    is_list: bool,
    since: Option<String>,
    last_id: Option<String>,
    connection: Option<Response>,
    parser: Parser,
    ready: VecDeque<Event>,
    failures: u32,
    /// What is told as soon as there is a new connection.
    held: Option<Event>,
    /// Whether to wait before the next connection.
    is_to_pause: bool,
    has_connected: bool,
}

impl Client {
    /// Watches resources of one kind, or all; from now on, or from after a version (`EPOCH.REVISION`).
    #[must_use]
    pub fn watch(&self, entry: Option<&'static Entry>, since: Option<String>) -> Watch {
        Watch {
            client: self.clone(),
            path: entry.map_or_else(|| "/v1/watch".to_owned(), |entry| path(entry, None, Target::Collection)),
            is_list: entry.is_some(),
            since,
            last_id: None,
            connection: None,
            parser: Parser::default(),
            ready: VecDeque::new(),
            failures: 0,
            held: None,
            is_to_pause: false,
            has_connected: false,
        }
    }
}

impl Watch {
    /// The next change. Being dropped while waiting loses nothing that was not yet answered.
    ///
    /// # Errors
    /// When the controller refuses the watch, was never there, or stays away for long.
    pub async fn next(&mut self) -> Result<WatchEvent, Error> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                if WatchKind::read(&event.event).is_break() {
                    self.begin_anew();
                    self.held = Some(event);
                    continue;
                }
                self.last_id.clone_from(&event.id);
                return self.read(event);
            }
            // Who now reads again misses nothing: what happens from here on is told.
            if let Some(event) = self.held.take_if(|_| self.connection.is_some()) {
                return self.read(event);
            }
            if self.is_to_pause {
                self.pause().await;
                self.is_to_pause = false;
            }
            let outcome = if self.connection.is_some() { self.receive().await } else { self.connect().await };
            if let Err(error) = outcome {
                self.connection = None;
                self.back_off(error).await?;
            }
        }
    }

    /// Forgets every place: the next connection begins with what is then.
    fn begin_anew(&mut self) {
        self.since = None;
        self.last_id = None;
        self.ready.clear();
        self.connection = None;
        self.is_to_pause = true;
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let mut query = Vec::new();
        if self.is_list {
            query.push(("watch", "true"));
        }
        if let (Some(since), None) = (&self.since, &self.last_id) {
            query.push(("since", since));
        }
        let mut request =
            self.client.request(Method::GET, &self.path, &query).header("Accept", "text/event-stream");
        if let Some(id) = &self.last_id {
            request = request.header("Last-Event-ID", id);
        }
        self.connection = Some(self.client.send_stream(request).await?);
        self.parser = Parser::default();
        self.has_connected = true;
        Ok(())
    }

    /// Waits for bytes.
    async fn receive(&mut self) -> Result<(), Error> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let chunk = match tokio::time::timeout(SILENCE_MAX, connection.chunk()).await {
            Err(_) => return Err(self.lost()),
            Ok(chunk) => chunk.map_err(|error| self.client.failed(error))?,
        };
        // An orderly end, as of a controller that restarts.
        let Some(chunk) = chunk else { return Err(self.lost()) };
        let events = self.parser.push(&chunk).map_err(|_| Error::Answer {
            request: self.path.clone(),
            reason: "an event is too long".to_owned(),
        })?;
        if events.is_empty() {
            // A place in the order without an event: where a new connection is to begin.
            if let Some(id) = self.parser.last_id() {
                self.last_id = Some(id.to_owned());
            }
        } else if events.iter().any(|event| !WatchKind::read(&event.event).is_break()) {
            self.failures = 0;
        }
        self.ready.extend(events);
        Ok(())
    }

    fn lost(&self) -> Error {
        Error::Lost { url: self.client.url().to_owned() }
    }

    async fn back_off(&mut self, error: Error) -> Result<(), Error> {
        if !self.has_connected || !error.is_temporary() || self.failures >= RECONNECTS_MAX {
            return Err(error);
        }
        tracing::debug!(%error, failures = self.failures, "the watch lost its connection");
        self.pause().await;
        Ok(())
    }

    async fn pause(&mut self) {
        let backoff = BACKOFF_MIN.saturating_mul(2_u32.saturating_pow(self.failures.min(16)));
        self.failures += 1;
        tokio::time::sleep(backoff.min(BACKOFF_MAX)).await;
    }

    fn read(&self, event: Event) -> Result<WatchEvent, Error> {
        let data = match serde_json::from_str(&event.data) {
            Ok(Value::Object(map)) => serde_json::from_value(Value::Object(map)),
            Ok(_) => Ok(Data::default()),
            Err(error) => Err(error),
        };
        let data: Data = data.map_err(|error| Error::Answer {
            request: self.path.clone(),
            reason: format!("an event cannot be read: {error}"),
        })?;
        Ok(WatchEvent {
            version: event.id,
            event: WatchKind::read(&event.event),
            kind: data.kind,
            id: data.id,
            project_id: data.project_id,
            object: data.object,
        })
    }
}
