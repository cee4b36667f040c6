//! The pending head: where commits are checked and ordered before they are durable, and the bounded queue to the writer.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::engine::Stored;
use crate::error::{StorageError, Unavailable};
use crate::lease::{Deadlines, LeaseChange, LeaseTable};
use crate::model::{Event, Model, Row, Snapshot};
use crate::revision::{Epoch, Revision, Version};
use crate::transfer::SnapshotFile;

/// What a commit changes: the model and the leases. Cheap to clone.
#[derive(Clone)]
pub(crate) struct State<M> {
    pub(crate) snapshot: Snapshot<M>,
    pub(crate) leases: LeaseTable,
}

/// Everything that a commit asks for, with its rows as they will be on disk.
pub(crate) struct Request<M: Model> {
    pub(crate) writes: Vec<M::Write>,
    pub(crate) rows: Vec<Row>,
    pub(crate) note: Arc<str>,
    pub(crate) leases: Vec<LeaseChange>,
    pub(crate) bytes: usize,
    /// The model after it, if it was made on the pending head.
    pub(crate) after: Option<M>,
}

/// More than one batch may have.
pub(crate) struct Oversize {
    pub(crate) bytes: usize,
}

impl<M: Model> Request<M> {
    /// Encodes the writes; refuses more than `limit` bytes.
    pub(crate) fn new(writes: Vec<M::Write>, note: Arc<str>, limit: usize) -> Result<Self, Oversize> {
        let rows: Vec<Row> = writes.iter().map(M::encode).collect();
        let size = |row: &Row| row.key.len() + row.value.as_ref().map_or(0, Vec::len) + ROW_OVERHEAD;
        let bytes = note.len() + rows.iter().map(size).sum::<usize>();
        if bytes > limit {
            return Err(Oversize { bytes });
        }
        Ok(Self { writes, rows, note, leases: Vec::new(), bytes, after: None })
    }

    /// The request with the model that it makes of the pending head.
    pub(crate) fn leading_to(self, after: M) -> Self {
        Self { after: Some(after), ..self }
    }

    /// The request that also makes these changes to leases.
    pub(crate) fn with_leases(self, leases: Vec<LeaseChange>) -> Self {
        Self { leases, ..self }
    }

    fn changes_nothing(&self) -> bool {
        self.rows.is_empty() && self.leases.is_empty()
    }
}

/// What a row costs beside its key and value, roughly; it also bounds the number of rows.
const ROW_OVERHEAD: usize = 16;

pub(crate) type Answer<T> = oneshot::Sender<Result<T, Unavailable>>;
pub(crate) type Waiting<T> = oneshot::Receiver<Result<T, Unavailable>>;

/// A commit in the queue.
pub(crate) struct Batch<M: Model> {
    pub(crate) event: Event<M>,
    pub(crate) rows: Vec<Row>,
    pub(crate) leases: Vec<LeaseChange>,
    pub(crate) bytes: usize,
    /// What the store is once this batch is on disk.
    pub(crate) after: State<M>,
    pub(crate) answer: Answer<Version>,
    /// Given back when the batch is done with: this is what bounds the queue.
    pub(crate) _place: OwnedSemaphorePermit,
}

impl<M: Model> Batch<M> {
    pub(crate) fn stored(&self) -> Stored<'_> {
        Stored { version: self.event.version, note: &self.event.note, rows: &self.rows, leases: &self.leases }
    }

    /// A barrier changes nothing and only waits for what was queued before it.
    pub(crate) fn is_barrier(&self) -> bool {
        self.rows.is_empty() && self.leases.is_empty()
    }
}

/// A piece of the log to take out.
pub(crate) struct Compaction {
    pub(crate) before: Revision,
    pub(crate) answer: Answer<Compacted>,
    pub(crate) _place: OwnedSemaphorePermit,
}

/// What one step of a compaction left.
pub(crate) struct Compacted {
    pub(crate) oldest: Revision,
    pub(crate) finished: bool,
}

/// Works out what of a replaced model the restored one is to keep.
pub(crate) type Keep<M> = Box<dyn Fn(&M, &M) -> Vec<<M as Model>::Write> + Send>;

/// A snapshot file to take the place of everything.
pub(crate) struct Restoration<M: Model> {
    pub(crate) source: SnapshotFile,
    /// The content of the snapshot, with the snapshot's own version.
    pub(crate) state: State<M>,
    pub(crate) oldest: Revision,
    pub(crate) note: Arc<str>,
    /// What of the content that is replaced is to be kept: the writes, of the replaced model and the restored one.
    pub(crate) keep: Keep<M>,
    pub(crate) answer: Answer<Version>,
    pub(crate) _place: OwnedSemaphorePermit,
}

/// A new epoch, above this one, with the content as it is.
pub(crate) struct Raise {
    pub(crate) above: Epoch,
    pub(crate) answer: Answer<Version>,
    pub(crate) _place: OwnedSemaphorePermit,
}

/// What the writer is asked to do.
pub(crate) enum Job<M: Model> {
    Commit(Batch<M>),
    Compact(Compaction),
    Restore(Box<Restoration<M>>),
    Raise(Raise),
}

impl<M: Model> Job<M> {
    pub(crate) fn fail(self, error: Unavailable) {
        // A caller who has gone away needs no answer.
        let _gone = match self {
            Self::Commit(batch) => batch.answer.send(Err(error)).is_err(),
            Self::Compact(compaction) => compaction.answer.send(Err(error)).is_err(),
            Self::Restore(restoration) => restoration.answer.send(Err(error)).is_err(),
            Self::Raise(raise) => raise.answer.send(Err(error)).is_err(),
        };
    }
}

/// How a request entered the queue.
pub(crate) enum Entered {
    /// There is nothing to wait for.
    Done(Version),
    Waiting(Waiting<Version>),
}

/// The pending head, under one short mutex.
pub(crate) struct Head<M: Model> {
    pub(crate) state: State<M>,
    pub(crate) deadlines: Deadlines,
    pub(crate) queue: VecDeque<Job<M>>,
    pub(crate) closed: bool,
}

impl<M: Model> Head<M> {
    pub(crate) fn new(state: State<M>) -> Self {
        Self { state, deadlines: Deadlines::default(), queue: VecDeque::new(), closed: false }
    }

    pub(crate) fn open(&self) -> Result<(), Unavailable> {
        if self.closed { Err(StorageError::Closed.into()) } else { Ok(()) }
    }

    /// Applies the request to the pending state and queues it.
    pub(crate) fn enter(
        &mut self,
        request: Request<M>,
        durable: Version,
        place: OwnedSemaphorePermit,
    ) -> Entered {
        let nothing = request.changes_nothing();
        let Request { writes, rows, note, mut leases, bytes, after } = request;
        let version = self.state.snapshot.version;
        if nothing && version == durable {
            return Entered::Done(version);
        }
        let version = if rows.is_empty() { version } else { version.next() };
        let model = after.unwrap_or_else(|| {
            let mut model = self.state.snapshot.model.clone();
            writes.iter().for_each(|write| model.apply(write));
            model
        });
        leases.extend(self.state.leases.detached_by(&rows));
        for change in &leases {
            self.state.leases.apply(change);
        }
        self.state.snapshot = Snapshot { version, model };
        let (answer, waiting) = oneshot::channel();
        self.queue.push_back(Job::Commit(Batch {
            event: Event { version, note, writes: writes.into() },
            rows,
            leases,
            bytes,
            after: self.state.clone(),
            answer,
            _place: place,
        }));
        Entered::Waiting(waiting)
    }

    /// Goes on in another epoch, with all that is queued: it was checked on the same content.
    pub(crate) fn raise(&mut self, epoch: Epoch) {
        self.state.snapshot.version.epoch = epoch;
        for job in &mut self.queue {
            if let Job::Commit(batch) = job {
                batch.event.version.epoch = epoch;
                batch.after.snapshot.version.epoch = epoch;
            }
        }
    }

    /// Gives up all that is not durable; the caller fails the jobs that it gets back.
    pub(crate) fn fall_back(&mut self, durable: &State<M>) -> VecDeque<Job<M>> {
        self.state = durable.clone();
        self.deadlines.keep_only(&self.state.leases);
        std::mem::take(&mut self.queue)
    }
}
