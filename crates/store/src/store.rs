//! The store: opening it, reading it, committing to it.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::{Engine, View};
use crate::error::{CommitError, DecodeError, OpenError, StorageError, TransactError, Unavailable};
use crate::head::{Entered, Head, Oversize, Request, State, Waiting};
use crate::medium::{FileMedium, Medium};
use crate::model::{Model, Proposal, Snapshot};
use crate::revision::{Revision, Version};
use crate::watch::{Feed, Watch};
use crate::writer;

/// Commits that may wait for the disk at a time; further callers wait for a place before they are checked.
pub const MAX_QUEUED: usize = 1024;

/// The greatest size of one commit: keys, values and note.
pub const MAX_BATCH_BYTES: usize = 16 << 20;

/// How a store is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How much of the file the engine may keep in memory, in bytes.
    pub cache_bytes: usize,
    /// How many of the newest events are kept in memory for watchers; older ones are read from the log.
    pub tail_events: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { cache_bytes: 64 << 20, tail_events: 4096 }
    }
}

/// One durable, versioned, watched model. Dropping it blocks until what is queued is on disk, then closes the file.
pub struct Store<M: Model> {
    pub(crate) shared: Arc<Shared<M>>,
    writer: Option<JoinHandle<()>>,
}

/// What the store's handle, its writer and its watchers have in common.
pub(crate) struct Shared<M: Model> {
    pub(crate) engine: Engine,
    pub(crate) feed: Feed<M>,
    pub(crate) durable: ArcSwap<Snapshot<M>>,
    pub(crate) head: Mutex<Head<M>>,
    /// Tells the writer *that* the queue has something or the store closes.
    pub(crate) work: Condvar,
    places: Arc<Semaphore>,
}

impl<M: Model> Store<M> {
    /// Opens the store in this file, or makes it; the directory must exist.
    ///
    /// # Errors
    /// When the file is open elsewhere, is not a store, or cannot be read.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, OpenError> {
        let path = path.as_ref().to_owned();
        let in_use = |error| match error {
            OpenError::Storage(StorageError::Engine { source, .. })
                if matches!(*source, redb::Error::DatabaseAlreadyOpen) =>
            {
                OpenError::InUse { path: path.clone() }
            }
            other => other,
        };
        Self::open_with_backend(FileMedium { path: path.clone() }, options).map_err(in_use)
    }

    /// Opens the store on anything that redb can run on.
    ///
    /// # Errors
    /// When it cannot be opened or read.
    pub fn open_with_backend(medium: impl Medium, options: Options) -> Result<Self, OpenError> {
        let engine = Engine::new(Box::new(medium), options.cache_bytes);
        let Loaded { state, oldest } = engine.open(Loaded::read)?;
        let shared = Arc::new(Shared {
            engine,
            feed: Feed::new(state.snapshot.version, oldest, options.tail_events),
            durable: ArcSwap::from_pointee(state.snapshot.clone()),
            head: Mutex::new(Head::new(state.clone())),
            work: Condvar::new(),
            places: Arc::new(Semaphore::new(MAX_QUEUED)),
        });
        let writer = writer::start(Arc::clone(&shared), state).map_err(OpenError::Thread)?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// What readers see: only what is on disk. Takes no lock.
    pub fn durable(&self) -> Arc<Snapshot<M>> {
        self.shared.durable.load_full()
    }

    /// The head that the next commit is checked against: it may not be on disk yet, and may be given up.
    pub fn pending(&self) -> Snapshot<M> {
        self.shared.head.lock().state.snapshot.clone()
    }

    /// Makes the writes one commit if the pending head is still `base`, and returns once it is on disk. No writes make no
    /// new revision; then it only waits until the head is on disk.
    ///
    /// The writes are ordered at once: giving up the returned future does not take them back.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] when the head has moved on; the others as they say.
    pub async fn commit(
        &self,
        base: Version,
        writes: Vec<M::Write>,
        note: impl Into<Arc<str>>,
    ) -> Result<Version, CommitError> {
        let request = Request::new(writes, note.into(), MAX_BATCH_BYTES)
            .map_err(|Oversize { bytes }| CommitError::TooLarge { bytes, limit: MAX_BATCH_BYTES })?;
        let build = |head: &mut Head<M>| match head.state.snapshot.version {
            version if version == base => Ok((request, ())),
            head => Err(CommitError::Conflict { head }),
        };
        Ok(self.shared.submit(build).await?.0)
    }

    /// Runs `f` on the pending head and commits what it proposes, all under the head's lock: nothing comes in
    /// between. Returns once they are on disk. No writes make no new revision; then it waits until the head that `f` saw
    /// is on disk.
    ///
    /// `f` must be quick, must not call the store, and may be run again by a back end that finds a conflict. A refusal is
    /// returned at once: what it was judged on may not be on disk yet.
    ///
    /// # Errors
    /// What `f` refuses with, and as [`Store::commit`].
    pub async fn transact<T, E>(
        &self,
        note: impl Into<Arc<str>>,
        mut f: impl FnMut(&Snapshot<M>) -> Result<(Proposal<M>, T), E>,
    ) -> Result<(Version, T), TransactError<E>> {
        let note = note.into();
        let build = |head: &mut Head<M>| {
            let (proposal, result) = f(&head.state.snapshot).map_err(TransactError::Refused)?;
            let request = Request::new(proposal.writes, note, MAX_BATCH_BYTES)
                .map_err(|Oversize { bytes }| TransactError::TooLarge { bytes, limit: MAX_BATCH_BYTES })?;
            Ok((request.leading_to(proposal.after), result))
        };
        self.shared.submit(build).await
    }

    /// Every event after `from`, in order, none missing and none twice. `from` is the version of a snapshot, or of the last
    /// event seen by an earlier watch.
    pub fn watch(&self, from: Version) -> Watch<M> {
        Watch::new(Arc::clone(&self.shared), from)
    }
}

impl<M: Model> Drop for Store<M> {
    fn drop(&mut self) {
        self.shared.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the store's writer panicked");
        }
    }
}

impl<M: Model> Shared<M> {
    /// Builds a request under the head's lock, queues it, and waits until it is on disk.
    pub(crate) async fn submit<T, E: From<Unavailable>>(
        &self,
        build: impl FnOnce(&mut Head<M>) -> Result<(Request<M>, T), E>,
    ) -> Result<(Version, T), E> {
        let place = self.place().await?;
        let (entered, result) = {
            let mut head = self.head.lock();
            head.open()?;
            let (request, result) = build(&mut head)?;
            // Read under the lock: while the queue is empty it cannot be behind the head.
            let durable = self.durable.load().version;
            (head.enter(request, durable, place), result)
        };
        match entered {
            Entered::Done(version) => Ok((version, result)),
            Entered::Waiting(waiting) => {
                self.work.notify_one();
                Ok((self.answer(waiting).await?, result))
            }
        }
    }

    /// A place in the queue.
    pub(crate) async fn place(&self) -> Result<OwnedSemaphorePermit, Unavailable> {
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| StorageError::Closed.into())
    }

    /// The writer's answer to a queued job.
    pub(crate) async fn answer<T>(&self, waiting: Waiting<T>) -> Result<T, Unavailable> {
        waiting.await.unwrap_or_else(|_| Err(StorageError::Closed.into()))
    }

    fn close(&self) {
        self.head.lock().closed = true;
        self.work.notify_one();
        self.places.close();
    }
}

/// What a file holds.
pub(crate) struct Loaded<M> {
    pub(crate) state: State<M>,
    pub(crate) oldest: Revision,
}

impl<M: Model> Loaded<M> {
    pub(crate) fn read(view: &View) -> Result<Self, StorageError> {
        let head = view.head()?;
        let model = read_model(view)?;
        let snapshot = Snapshot { version: head.version, model };
        let state = State { snapshot, leases: view.leases(head.next_lease)? };
        Ok(Self { state, oldest: head.oldest })
    }

    /// Reads a whole file, the log included, to learn whether all of it can be used.
    pub(crate) fn read_all(view: &View) -> Result<Self, StorageError> {
        let loaded = Self::read(view)?;
        view.each_logged(0..=u64::MAX, usize::MAX, |_, record| {
            for change in record.changes.iter().filter(|change| !M::is_retired(&change.row)) {
                M::decode(&change.row)?;
            }
            Ok::<(), DecodeError>(())
        })?;
        Ok(loaded)
    }
}

/// Rows that are handed from the thread that reads to the one that makes the model, at a time.
const ROWS_TOGETHER: usize = 1024;
/// How many such lots may wait.
const LOTS_MAX: usize = 8;

/// Makes the model of all rows: one thread reads and decodes them, this one carries them out.
fn read_model<M: Model>(view: &View) -> Result<M, StorageError> {
    std::thread::scope(|scope| {
        let (lots, arriving) = std::sync::mpsc::sync_channel::<Vec<M::Write>>(LOTS_MAX);
        let reading = scope.spawn(move || {
            let mut lot = Vec::with_capacity(ROWS_TOGETHER);
            view.rows(|row| {
                if M::is_retired(&row) {
                    return Ok(());
                }
                lot.push(M::decode(&row)?);
                if lot.len() == ROWS_TOGETHER {
                    let full = std::mem::replace(&mut lot, Vec::with_capacity(ROWS_TOGETHER));
                    // Whoever carries them out goes on until there are no more.
                    let _gone = lots.send(full).is_err();
                }
                Ok(())
            })?;
            let _gone = lots.send(lot).is_err();
            Ok(())
        });
        let mut model = M::default();
        arriving.iter().flatten().for_each(|write| model.apply(&write));
        match reading.join() {
            Ok(read) => read.map(|()| model),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

// A closure that cannot refuse is common; its errors need no arm for a refusal that cannot be.
impl From<TransactError<Infallible>> for CommitError {
    fn from(error: TransactError<Infallible>) -> Self {
        match error {
            TransactError::Refused(never) => match never {},
            TransactError::TooLarge { bytes, limit } => Self::TooLarge { bytes, limit },
            TransactError::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}
