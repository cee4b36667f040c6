//! The thread that alone writes to the engine: it takes what is queued, writes it in one transaction, publishes it, answers.
//!
//! While one transaction waits for the disk the next group gathers in the queue; nobody waits for a timer.
//!
//! ```text
//!  queue ─► group ─► engine.write ─ok──► publish, answer
//!                         └─failed─► open the engine anew ─► fall back to what is on disk ─► fail all who wait
//! ```
//! After a failure, the disk may hold a group that was never acknowledged; then that is taken over as the truth.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::engine::Stored;
use crate::error::{StorageError, Unavailable};
use crate::head::{Batch, Compacted, Compaction, Job, Raise, Restoration, State};
use crate::model::{Model, Row, Snapshot};
use crate::record::HeadRecord;
use crate::revision::{Revision, Version};
use crate::store::{Loaded, Shared};

/// Commits in one transaction.
const MAX_GROUP: usize = 1024;
/// Bytes in one transaction, beyond its first commit.
const MAX_GROUP_BYTES: usize = 32 << 20;
/// Commits taken out of the log in one transaction, so that a compaction never holds up commits for long.
const COMPACTION_STEP: u64 = 2048;

/// Starts the thread; it ends when the store is closed and the queue is empty.
pub(crate) fn start<M: Model>(shared: Arc<Shared<M>>, durable: State<M>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name("weft-store".to_owned()).spawn(move || {
        let ending = Ending { shared };
        let mut writer = Writer { shared: Arc::clone(&ending.shared), durable, down: false };
        while let Some(work) = writer.next() {
            writer.carry_out(work);
        }
    })
}

/// However the thread ends, nobody is left waiting for it.
struct Ending<M: Model> {
    shared: Arc<Shared<M>>,
}

impl<M: Model> Drop for Ending<M> {
    fn drop(&mut self) {
        let stranded = {
            let mut head = self.shared.head.lock();
            head.closed = true;
            std::mem::take(&mut head.queue)
        };
        self.shared.engine.close();
        fail_all(stranded, &StorageError::Closed.into());
        self.shared.feed.close();
    }
}

enum Work<M: Model> {
    Commit(Vec<Batch<M>>),
    Compact(Compaction),
    Restore(Box<Restoration<M>>),
    Raise(Raise),
}

struct Writer<M: Model> {
    shared: Arc<Shared<M>>,
    /// What is on disk.
    durable: State<M>,
    /// The engine failed and could not be opened again yet.
    down: bool,
}

impl<M: Model> Writer<M> {
    fn next(&self) -> Option<Work<M>> {
        let mut head = self.shared.head.lock();
        loop {
            match head.queue.pop_front() {
                Some(Job::Commit(first)) => return Some(Work::Commit(take_group(first, &mut head.queue))),
                Some(Job::Compact(compaction)) => return Some(Work::Compact(compaction)),
                Some(Job::Restore(restoration)) => return Some(Work::Restore(restoration)),
                Some(Job::Raise(raise)) => return Some(Work::Raise(raise)),
                None if head.closed => return None,
                None => self.shared.work.wait(&mut head),
            }
        }
    }

    fn carry_out(&mut self, work: Work<M>) {
        match work {
            Work::Commit(group) => self.commit(group),
            Work::Compact(compaction) => self.compact(compaction),
            Work::Restore(restoration) => self.restore(restoration),
            Work::Raise(raise) => self.raise(raise),
        }
    }

    fn commit(&mut self, group: Vec<Batch<M>>) {
        if let Err(error) = self.write(&group) {
            return self.give_up(group.into_iter().map(Job::Commit), error);
        }
        if let Some(last) = group.last() {
            self.durable = last.after.clone();
        }
        let snapshot = self.durable.snapshot.clone();
        let events = group.iter().filter(|batch| !batch.rows.is_empty()).map(|batch| batch.event.clone());
        self.shared.feed.append(events, || self.shared.durable.store(Arc::new(snapshot)));
        for batch in group {
            let _gone = batch.answer.send(Ok(batch.event.version)).is_err();
        }
    }

    fn write(&mut self, group: &[Batch<M>]) -> Result<(), StorageError> {
        self.ensure_up()?;
        let stored: Vec<Stored<'_>> =
            group.iter().filter(|batch| !batch.is_barrier()).map(Batch::stored).collect();
        match group.last() {
            Some(last) if !stored.is_empty() => {
                self.shared.engine.write(&stored, &head_of(&last.after, self.shared.feed.oldest()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn compact(&mut self, compaction: Compaction) {
        let oldest = self.shared.feed.oldest();
        let target = compaction.before.min(self.durable.snapshot.version.revision.next());
        let reached = target.min(Revision::new(oldest.get() + COMPACTION_STEP));
        if reached > oldest {
            let head = head_of(&self.durable, reached);
            let gone = oldest.get()..=reached.get() - 1;
            let done = self.ensure_up().and_then(|()| self.shared.engine.forget(gone, &head));
            if let Err(error) = done {
                return self.give_up([Job::Compact(compaction)], error);
            }
            self.shared.feed.forget(reached);
        }
        let compacted = Compacted { oldest: reached.max(oldest), finished: reached >= target };
        let _gone = compaction.answer.send(Ok(compacted)).is_err();
    }

    fn restore(&mut self, restoration: Box<Restoration<M>>) {
        if let Err(error) = self.ensure_up() {
            return self.give_up([Job::Restore(restoration)], error);
        }
        let ours = self.durable.snapshot.version;
        let mut state = restoration.state.clone();
        let theirs = state.snapshot.version;
        let version =
            Version { epoch: ours.epoch.max(theirs.epoch).next(), revision: theirs.revision.next() };
        let writes = (restoration.keep)(&self.durable.snapshot.model, &state.snapshot.model);
        writes.iter().for_each(|write| state.snapshot.model.apply(write));
        state.snapshot.version = version;
        let rows: Vec<Row> = writes.iter().map(M::encode).collect();
        let leases = state.leases.detached_by(&rows);
        leases.iter().for_each(|change| state.leases.apply(change));
        state.leases.never_again_below(self.durable.leases.next());
        let kept = Stored { version, note: &restoration.note, rows: &rows, leases: &leases };
        let record = head_of(&state, restoration.oldest);
        let mut stranded = VecDeque::new();
        let publish = || {
            self.shared.feed.reset(version, restoration.oldest, || {
                let mut head = self.shared.head.lock();
                head.deadlines.clear();
                stranded = head.fall_back(&state);
                self.shared.durable.store(Arc::new(state.snapshot.clone()));
            });
        };
        if let Err(error) = self.shared.engine.replace(restoration.source.view(), &kept, &record, publish) {
            return self.give_up([Job::Restore(restoration)], error);
        }
        self.durable = state;
        fail_all(stranded, &StorageError::Restored.into());
        let _gone = restoration.answer.send(Ok(version)).is_err();
    }

    fn raise(&mut self, raise: Raise) {
        let now = self.durable.snapshot.version;
        if now.epoch > raise.above {
            // Somebody else who learned the same was first.
            let _gone = raise.answer.send(Ok(now)).is_err();
            return;
        }
        let mut state = self.durable.clone();
        let epoch = raise.above.next();
        state.snapshot.version.epoch = epoch;
        let oldest = self.shared.feed.oldest();
        let written = self.ensure_up().and_then(|()| self.shared.engine.write(&[], &head_of(&state, oldest)));
        if let Err(error) = written {
            return self.give_up([Job::Raise(raise)], error);
        }
        let version = state.snapshot.version;
        self.shared.feed.reset(version, oldest, || {
            self.shared.head.lock().raise(epoch);
            self.shared.durable.store(Arc::new(state.snapshot.clone()));
        });
        self.durable = state;
        let _gone = raise.answer.send(Ok(version)).is_err();
    }

    /// Fails these jobs and all that were queued behind them: they were checked on a head that will not be.
    fn give_up(&mut self, failed: impl IntoIterator<Item = Job<M>>, error: StorageError) {
        tracing::error!(error = &error as &dyn std::error::Error, "nothing could be written");
        self.down |= matches!(error, StorageError::Engine { .. } | StorageError::Down);
        if self.down
            && let Err(error) = self.heal()
        {
            tracing::error!(error = &error as &dyn std::error::Error, "the store stays down");
        }
        let stranded = self.shared.head.lock().fall_back(&self.durable);
        fail_all(failed.into_iter().chain(stranded), &error.into());
    }

    /// Opens the engine if it is down. An error also when what is on disk then is not what the callers built on.
    fn ensure_up(&mut self) -> Result<(), StorageError> {
        if !self.down {
            return Ok(());
        }
        if self.heal()? { Err(StorageError::Down) } else { Ok(()) }
    }

    /// Opens the engine anew. Returns whether the disk holds something else than was known to be durable, namely the
    /// commits whose transaction failed only after the disk had them; they are then published.
    fn heal(&mut self) -> Result<bool, StorageError> {
        let (shared, known) = (&self.shared, &self.durable);
        let found = shared.engine.open(|view| {
            let head = view.head()?;
            if head.version == known.snapshot.version
                && head.oldest == shared.feed.oldest()
                && view.leases(head.next_lease)? == known.leases
            {
                return Ok(None);
            }
            let Loaded { state, oldest } = Loaded::<M>::read(view)?;
            let snapshot: Snapshot<M> = state.snapshot.clone();
            shared.feed.reset(snapshot.version, oldest, || shared.durable.store(Arc::new(snapshot)));
            Ok(Some(state))
        })?;
        self.down = false;
        tracing::info!(moved = found.is_some(), "the store is up again");
        match found {
            Some(state) => {
                self.durable = state;
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

/// The first commit and those that follow it in the queue, as many as one transaction may have.
fn take_group<M: Model>(first: Batch<M>, queue: &mut VecDeque<Job<M>>) -> Vec<Batch<M>> {
    let mut bytes = first.bytes;
    let mut group = vec![first];
    while group.len() < MAX_GROUP && bytes < MAX_GROUP_BYTES {
        match queue.pop_front() {
            Some(Job::Commit(batch)) => {
                bytes += batch.bytes;
                group.push(batch);
            }
            Some(other) => {
                queue.push_front(other);
                break;
            }
            None => break,
        }
    }
    group
}

fn head_of<M>(state: &State<M>, oldest: Revision) -> HeadRecord {
    HeadRecord { version: state.snapshot.version, oldest, next_lease: state.leases.next() }
}

fn fail_all<M: Model>(jobs: impl IntoIterator<Item = Job<M>>, error: &Unavailable) {
    for job in jobs {
        job.fail(error.clone());
    }
}
