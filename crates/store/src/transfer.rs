//! Whole contents: to a snapshot file and back, and the compaction of the log.
//!
//! A snapshot file is itself a store: with all rows, leases and the log. To look into it, open it as one. To go on from it,
//! restore it into a store, be it a new one. Only that and [`Store::raise_epoch`] raise the epoch.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, ReadOnlyDatabase};
use tokio::sync::oneshot;

use crate::engine::{self, View};
use crate::error::{Doing, StorageError, TransferError, Unavailable};
use crate::head::{Compaction, Job, Raise, Restoration};
use crate::medium::{beside, put_in_place};
use crate::model::Model;
use crate::revision::{Epoch, Revision, Version};
use crate::store::{Loaded, Shared, Store};

impl<M: Model> Store<M> {
    /// Takes the commits before this revision out of the log, as far as they are durable. Returns the first revision still
    /// in the log. The current content is not touched; [`Store::at`] reaches back to the revision before the one returned.
    ///
    /// # Errors
    /// When the disk could not be written; the log may then have been compacted in part.
    pub async fn compact(&self, before: Revision) -> Result<Revision, Unavailable> {
        loop {
            let place = self.shared.place().await?;
            let (answer, waiting) = oneshot::channel();
            self.shared.enqueue(Job::Compact(Compaction { before, answer, _place: place }))?;
            let compacted = self.shared.answer(waiting).await?;
            if compacted.finished {
                return Ok(compacted.oldest);
            }
        }
    }

    /// Writes a snapshot file while the store runs, and returns the version that it holds. The file is written under
    /// another name, and appears under its own when it is whole and on disk. Must run in a tokio runtime.
    ///
    /// # Errors
    /// When the store cannot be read or the file cannot be written.
    pub async fn snapshot_to(&self, path: impl AsRef<Path>) -> Result<Version, TransferError> {
        let (shared, path) = (Arc::clone(&self.shared), path.as_ref().to_owned());
        blocking(move || {
            let (view, ()) = shared.engine.view(|| ()).map_err(Unavailable::from)?;
            write_file(&shared.engine.builder(), &view, &path)
        })
        .await
    }

    /// Replaces everything by the content of a snapshot file, while the store runs: in one transaction, so that after a
    /// crash there is the old content or the new. `keep` says, of the model that is replaced and the restored one, what is
    /// written to the latter in the same transaction: a commit of its own with this note, also where it writes nothing. The
    /// epoch rises above both; whoever watches is told so; whoever waits for a commit gets [`Unavailable`]. Returns the new
    /// version. Must run in a tokio runtime.
    ///
    /// # Errors
    /// When the file cannot be read, in whole, by this model; or the store cannot be written.
    pub async fn restore_from(
        &self,
        path: impl AsRef<Path>,
        note: impl Into<Arc<str>>,
        keep: impl Fn(&M, &M) -> Vec<M::Write> + Send + 'static,
    ) -> Result<Version, TransferError> {
        let (shared, path) = (Arc::clone(&self.shared), path.as_ref().to_owned());
        let (note, keep) = (note.into(), Box::new(keep));
        let (source, loaded) = blocking(move || {
            let read = || {
                let source = SnapshotFile::open(&shared.engine.builder(), &path)?;
                let loaded = Loaded::<M>::read_all(&source.view)?;
                Ok((source, loaded))
            };
            read().map_err(|source| TransferError::Snapshot { path: path.clone(), source })
        })
        .await?;
        let place = self.shared.place().await?;
        let (answer, waiting) = oneshot::channel();
        let Loaded { state, oldest } = loaded;
        let restoration = Restoration { source, state, oldest, note, keep, answer, _place: place };
        self.shared.enqueue(Job::Restore(Box::new(restoration)))?;
        Ok(self.shared.answer(waiting).await?)
    }

    /// Sees that the epoch is above this one; begins a new one, with the content as it is, if it is not. For a store that
    /// learns that it had a life of which it knows nothing. No commit is lost; whoever watches is told. Returns the version.
    ///
    /// # Errors
    /// When the disk could not be written.
    pub async fn raise_epoch(&self, above: Epoch) -> Result<Version, Unavailable> {
        let place = self.shared.place().await?;
        let (answer, waiting) = oneshot::channel();
        self.shared.enqueue(Job::Raise(Raise { above, answer, _place: place }))?;
        self.shared.answer(waiting).await
    }
}

impl<M: Model> Shared<M> {
    fn enqueue(&self, job: Job<M>) -> Result<(), Unavailable> {
        {
            let mut head = self.head.lock();
            head.open()?;
            head.queue.push_back(job);
        }
        self.work.notify_one();
        Ok(())
    }
}

/// A snapshot file, open for reading.
pub(crate) struct SnapshotFile {
    view: View,
    _database: ReadOnlyDatabase,
}

impl SnapshotFile {
    fn open(builder: &Builder, path: &Path) -> Result<Self, StorageError> {
        let database = builder.open_read_only(path).doing("opening the snapshot")?;
        Ok(Self { view: View::of(&database)?, _database: database })
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TransferError> + Send + 'static,
) -> Result<T, TransferError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Unavailable::from(StorageError::Closed).into()), // the runtime is shutting down
    }
}

fn write_file(builder: &Builder, view: &View, path: &Path) -> Result<Version, TransferError> {
    let unfinished = beside(path, "unfinished");
    let file_error = |source| TransferError::File { path: path.to_owned(), source };
    remove_if_there(&unfinished).map_err(file_error)?;
    let result = fill_file(builder, view, &unfinished)
        .map_err(|source| TransferError::Snapshot { path: path.to_owned(), source })
        .and_then(|version| put_in_place(&unfinished, path).map_err(file_error).map(|()| version));
    if result.is_err() {
        remove_if_there(&unfinished).map_err(file_error)?;
    }
    result
}

fn fill_file(builder: &Builder, view: &View, path: &PathBuf) -> Result<Version, StorageError> {
    let database = builder.create(path).doing("creating the snapshot")?;
    engine::fill_new(&database, view)?;
    Ok(view.head()?.version)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
