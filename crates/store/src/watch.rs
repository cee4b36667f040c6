//! Events in order. A wake-up says *that* the durable head moved; what happened is read from the tail in memory, or, by a
//! watcher that is further behind, from the log.

use std::collections::VecDeque;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::error::{ReadError, StorageError, Unavailable, WatchError};
use crate::model::{Event, Model, Snapshot};
use crate::revision::{Revision, Version};
use crate::store::Shared;

/// Events a watcher takes at a time.
const WATCH_READ: usize = 256;

/// What watchers are woken with.
#[derive(Clone, Copy)]
struct Announced {
    closed: bool,
}

/// The newest events, and the bell.
pub(crate) struct Feed<M: Model> {
    tail: Mutex<Tail<M>>,
    bell: watch::Sender<Announced>,
}

/// Consistent in itself: head, oldest and events change under one lock.
struct Tail<M: Model> {
    head: Version,
    oldest: Revision,
    /// The newest events up to `head`, without a gap.
    events: VecDeque<Event<M>>,
    limit: usize,
}

/// Where a watcher finds what follows its position.
enum Next<M: Model> {
    /// And the snapshot that they lead to, if they lead to the newest.
    Events(VecDeque<Event<M>>, Option<Arc<Snapshot<M>>>),
    InLog,
    NotYet,
}

impl<M: Model> Feed<M> {
    pub(crate) fn new(head: Version, oldest: Revision, limit: usize) -> Self {
        Self {
            tail: Mutex::new(Tail { head, oldest, events: VecDeque::new(), limit }),
            bell: watch::Sender::new(Announced { closed: false }),
        }
    }

    /// The first commit still in the log.
    pub(crate) fn oldest(&self) -> Revision {
        self.tail.lock().oldest
    }

    /// Adds events that follow the head. `publish` makes the snapshot visible in the same step.
    pub(crate) fn append(&self, events: impl Iterator<Item = Event<M>>, publish: impl FnOnce()) {
        {
            let mut tail = self.tail.lock();
            for event in events {
                tail.head = event.version;
                tail.events.push_back(event);
            }
            let surplus = tail.events.len().saturating_sub(tail.limit);
            tail.events.drain(..surplus);
            publish();
        }
        self.ring();
    }

    /// Starts anew at another head; what is before it is found in the log.
    pub(crate) fn reset(&self, head: Version, oldest: Revision, publish: impl FnOnce()) {
        {
            let mut tail = self.tail.lock();
            tail.head = head;
            tail.oldest = oldest;
            tail.events.clear();
            publish();
        }
        self.ring();
    }

    /// Forgets events before `oldest`.
    pub(crate) fn forget(&self, oldest: Revision) {
        let mut tail = self.tail.lock();
        tail.oldest = oldest;
        let gone = tail.events.partition_point(|event| event.version.revision < oldest);
        tail.events.drain(..gone);
    }

    pub(crate) fn close(&self) {
        self.bell.send_modify(|announced| announced.closed = true);
    }

    fn ring(&self) {
        self.bell.send_modify(|_| {});
    }

    fn after(&self, position: Version, durable: &ArcSwap<Snapshot<M>>) -> Result<Next<M>, WatchError> {
        let tail = self.tail.lock();
        if tail.head.epoch != position.epoch {
            return Err(WatchError::EpochChanged { now: tail.head });
        }
        if tail.head.revision <= position.revision {
            return Ok(Next::NotYet);
        }
        let wanted = position.revision.next();
        if wanted < tail.oldest {
            return Err(WatchError::Compacted { oldest: tail.oldest });
        }
        let start = tail.events.partition_point(|event| event.version.revision < wanted);
        match tail.events.get(start) {
            Some(event) if event.version.revision == wanted => {
                let events: VecDeque<_> = tail.events.range(start..).take(WATCH_READ).cloned().collect();
                // The tail and what is durable move on together, under this lock.
                let newest = start + events.len() == tail.events.len();
                Ok(Next::Events(events, newest.then(|| durable.load_full())))
            }
            Some(_) | None => Ok(Next::InLog),
        }
    }
}

/// A reader's place in the sequence of events.
pub struct Watch<M: Model> {
    shared: Arc<Shared<M>>,
    bell: watch::Receiver<Announced>,
    position: Version,
    /// Events after the position that were read already.
    ready: VecDeque<Event<M>>,
}

impl<M: Model> Watch<M> {
    pub(crate) fn new(shared: Arc<Shared<M>>, position: Version) -> Self {
        let bell = shared.feed.bell.subscribe();
        Self { shared, bell, position, ready: VecDeque::new() }
    }

    /// The last event returned, or where the watch began: a new watch from here goes on where this one stands.
    pub fn position(&self) -> Version {
        self.position
    }

    /// The next event, when there is one. Giving up the returned future loses nothing. Must run in a tokio runtime.
    ///
    /// # Errors
    /// When there is no next event to be had: see [`WatchError`].
    pub async fn next(&mut self) -> Result<Event<M>, WatchError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                // Events of earlier epochs are in the log that a restored snapshot brings; the place is in this epoch.
                self.position.revision = event.version.revision;
                return Ok(event);
            }
            self.fill().await?;
        }
    }

    /// The next events, as many as there are but not without bound, and the snapshot that they lead to, if that is the newest.
    /// For those who look at what has become of the model rather than at each step. Giving up the returned future loses
    /// nothing. Must run in a tokio runtime.
    ///
    /// # Errors
    /// When there is no next event to be had: see [`WatchError`].
    pub async fn next_together(&mut self) -> Result<(Vec<Event<M>>, Option<Arc<Snapshot<M>>>), WatchError> {
        let snapshot = if self.ready.is_empty() { self.fill().await? } else { None };
        let events: Vec<Event<M>> = self.ready.drain(..).collect();
        if let Some(last) = events.last() {
            self.position.revision = last.version.revision;
        }
        Ok((events, snapshot))
    }

    /// Waits until there are events and gets them ready.
    async fn fill(&mut self) -> Result<Option<Arc<Snapshot<M>>>, WatchError> {
        loop {
            let closed = self.bell.borrow_and_update().closed;
            match self.shared.feed.after(self.position, &self.shared.durable)? {
                Next::Events(events, snapshot) => {
                    self.ready = events;
                    return Ok(snapshot);
                }
                Next::InLog if closed => return Err(WatchError::Closed),
                Next::InLog => {
                    self.ready = self.read_log().await?;
                    return Ok(None);
                }
                Next::NotYet if closed => return Err(WatchError::Closed),
                Next::NotYet => self.bell.changed().await.map_err(|_| WatchError::Closed)?,
            }
        }
    }

    async fn read_log(&self) -> Result<VecDeque<Event<M>>, WatchError> {
        let (shared, position) = (Arc::clone(&self.shared), self.position);
        let read = tokio::task::spawn_blocking(move || shared.events_after(position, WATCH_READ)).await;
        match read {
            Ok(Ok(events)) => Ok(events.into()),
            Ok(Err(ReadError::Compacted { oldest })) => Err(WatchError::Compacted { oldest }),
            Ok(Err(ReadError::Future { head })) => Err(WatchError::EpochChanged { now: head }),
            Ok(Err(ReadError::Unavailable(unavailable))) => Err(WatchError::Unavailable(unavailable)),
            Err(_) => Err(WatchError::Unavailable(Unavailable::from(StorageError::Closed))),
        }
    }
}
