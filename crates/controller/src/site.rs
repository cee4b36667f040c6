//! A site: the store, what hosts report, and how a request becomes a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use weft_net::HostName;
use weft_services::{Change, Choices, Fact, Model, Refusal, Timestamp};
use weft_store::{Proposal, Snapshot, StorageError, Store, TransactError, Unavailable, Version};

use crate::agents::Distribution;
use crate::api::Notices;
use crate::bgp::{Alarms, Marks, Speakers, Touched};
use crate::head::Head;
use crate::metrics::Metrics;
use crate::note::Note;

/// How long after a failed write whoever asks for readiness is told to stay away.
const TRIED_AGAIN_AFTER_S: u64 = 10;

/// How many batches of facts are on their way at most.
const FACTS_MAX: usize = 64;

/// For whom and why something is changed.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `req-<uuid>`.
    pub request_id: String,
    /// The project for which the request is made, where it names no other.
    pub project_id: Arc<str>,
    /// Method and path.
    pub summary: String,
}

impl Caller {
    /// A host whose agent says something.
    #[must_use]
    pub fn agent(host: &HostName, summary: &str) -> Self {
        Self { request_id: format!("agent {host}"), project_id: "".into(), summary: summary.into() }
    }

    /// What the log is to say of it.
    #[must_use]
    pub fn note(&self, at: Timestamp, set: Option<&str>) -> Note {
        Note {
            at,
            request_id: self.request_id.clone(),
            project_id: self.project_id.to_string(),
            set: set.map(str::to_owned),
            summary: self.summary.clone(),
        }
    }
}

/// Why a request changed nothing.
#[derive(Debug)]
pub enum Failure<E = Refusal> {
    /// It was refused.
    Refused(E),
    /// It is more than one commit can hold.
    TooLarge,
    /// The store cannot write now; whether the change is there is not known.
    Unavailable(String),
}

/// A site and all that its requests share.
pub struct Site {
    /// The model.
    pub store: Store<Head>,
    /// Who has been sent what, and what they reported.
    pub distribution: Mutex<Distribution>,
    /// Routes of which it has to be looked whether they are announced.
    pub touched: Touched,
    /// The BGP speakers that run.
    pub speakers: Speakers,
    /// News for watchers.
    pub notices: Arc<Notices>,
    /// Routes that are not, or were not, where they are said to be.
    pub alarms: Alarms,
    /// What is announced, by marks.
    pub(crate) announced: Marks,
    /// Rings when facts, or what is announced, have changed.
    pub(crate) to_be_kept: Notify,
    /// What is learned, on its way to the distribution.
    facts: mpsc::Sender<Vec<Fact>>,
    /// How many batches of them have not been handed out.
    facts_on_their_way: AtomicUsize,
    facts_inbox: Mutex<Option<mpsc::Receiver<Vec<Fact>>>>,
    /// Counters.
    pub metrics: Metrics,
    /// When the process began.
    pub started: std::time::Instant,
    /// The second since the start in which something could not be written, plus one; 0 if something has been since.
    failed_at_s: AtomicU64,
    clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl Site {
    /// A site over this store, with the system's clock. `lineage` tells the store from any other that counts the same.
    #[must_use]
    pub fn new(store: Store<Head>, lineage: u64) -> Arc<Self> {
        let snapshot = store.durable();
        let turns_from = u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX);
        let model = snapshot.model.0.clone();
        let distribution = Distribution::new(model, snapshot.version, lineage, turns_from);
        let (facts, facts_inbox) = mpsc::channel(FACTS_MAX);
        Arc::new(Self {
            store,
            distribution: Mutex::new(distribution),
            touched: Touched::default(),
            speakers: Speakers::default(),
            notices: Arc::default(),
            alarms: Alarms::default(),
            announced: Marks::default(),
            to_be_kept: Notify::new(),
            facts,
            facts_on_their_way: AtomicUsize::new(0),
            facts_inbox: Mutex::new(Some(facts_inbox)),
            metrics: Metrics::default(),
            started: std::time::Instant::now(),
            failed_at_s: AtomicU64::new(0),
            clock: Box::new(system_time),
        })
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Takes what was learned to those whom it concerns. Whoever learns faster than that waits here.
    pub async fn learn(&self, facts: Vec<Fact>) {
        self.facts_on_their_way.fetch_add(1, Ordering::Relaxed);
        // Nobody is there to be told when the process ends.
        drop(self.facts.send(facts).await);
    }

    /// So many batches of what was learned have been handed out.
    pub(crate) fn facts_handed_out(&self, batches: usize) {
        self.facts_on_their_way.fetch_sub(batches, Ordering::Relaxed);
    }

    /// Whether something was learned and has not been handed out.
    pub(crate) fn has_facts_on_their_way(&self) -> bool {
        self.facts_on_their_way.load(Ordering::Relaxed) > 0
    }

    /// What was learned, for the one who takes it on; `None` when somebody has taken that over already.
    pub(crate) fn facts_inbox(&self) -> Option<mpsc::Receiver<Vec<Fact>>> {
        self.facts_inbox.lock().take()
    }

    /// What readers see.
    #[must_use]
    pub fn durable(&self) -> Arc<Snapshot<Head>> {
        self.store.durable()
    }

    /// A change of this model, not yet made.
    #[must_use]
    pub fn change(&self, model: &Model, caller: &Caller) -> Change {
        change_at(self.now(), model, caller)
    }

    /// Carries out a change on the pending head and commits it; answers once it is durable.
    ///
    /// # Errors
    /// As [`Failure`] says; then nothing was changed, unless it is `Unavailable`.
    pub async fn transact<T, E: From<Refusal>>(
        &self,
        caller: &Caller,
        set: Option<&str>,
        f: impl Fn(&mut Change) -> Result<T, E>,
    ) -> Result<(Version, T), Failure<E>> {
        let now = self.now();
        let outcome = self
            .store
            .transact(caller.note(now, set).to_text(), |head: &Snapshot<Head>| {
                // At the same time as the log has it.
                let mut change = change_at(now, &head.model.0, caller);
                let result = f(&mut change)?;
                let (writes, after) = change.finish()?;
                // What writes nothing says nothing of whether that is possible.
                let writes_something = !writes.is_empty();
                Ok((Proposal { writes, after: Head(after) }, (result, writes_something)))
            })
            .await;
        match outcome {
            Ok((version, (result, writes_something))) => {
                self.metrics.commit("committed");
                if writes_something {
                    self.written();
                }
                Ok((version, result))
            }
            Err(TransactError::Unavailable(error)) => {
                self.metrics.commit("unavailable");
                self.not_written(&error);
                Err(Failure::Unavailable(error.to_string()))
            }
            Err(TransactError::Refused(refusal)) => {
                self.metrics.commit("refused");
                Err(Failure::Refused(refusal))
            }
            Err(TransactError::TooLarge { .. }) => {
                self.metrics.commit("refused");
                Err(Failure::TooLarge)
            }
        }
    }

    /// Something has been written.
    pub(crate) fn written(&self) {
        self.failed_at_s.store(0, Ordering::Relaxed);
    }

    /// Something has not been written because of this.
    pub(crate) fn not_written(&self, error: &Unavailable) {
        // Whoever waited for a commit when the content was replaced has met no failure.
        if !matches!(*error.cause, StorageError::Restored) {
            self.failed_at_s.store(self.started.elapsed().as_secs() + 1, Ordering::Relaxed);
        }
    }

    /// Whether something can be written, as far as is known: what has failed may work again after a while, and only who tries
    /// can tell.
    #[must_use]
    pub fn can_write(&self) -> bool {
        let failed_at_s = self.failed_at_s.load(Ordering::Relaxed);
        failed_at_s == 0 || self.started.elapsed().as_secs() >= failed_at_s - 1 + TRIED_AGAIN_AFTER_S
    }
}

fn change_at(now: Timestamp, model: &Model, caller: &Caller) -> Change {
    let choices = Choices { now, seed: rand::random(), project_id: caller.project_id.clone() };
    Change::new(model.clone(), choices).asked_by(&caller.request_id)
}

fn system_time() -> Timestamp {
    Timestamp(i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX))
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
