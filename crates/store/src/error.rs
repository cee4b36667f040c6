//! One enum per operation. What each of them may have in common is [`Unavailable`], which carries a [`StorageError`].

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::lease::LeaseId;
use crate::revision::{Revision, Version};

/// Bytes that are not what was expected.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct DecodeError {
    reason: String,
}

impl DecodeError {
    /// An error that says what is wrong with the bytes.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Why the disk could not be read or written.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The engine under the store failed: the disk is full, or reports an error.
    #[error("the storage engine failed while {doing}")]
    Engine {
        /// What was being done.
        doing: &'static str,
        /// What the engine said.
        source: Box<redb::Error>,
    },
    /// A stored value is not what this version of the software writes.
    #[error("table `{table}`, key {key}: the stored value is corrupt")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The key, as text with escapes.
        key: String,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The file is not one of ours.
    #[error("the file is not a store")]
    Foreign,
    /// An earlier failure left the engine closed, and opening it again has not succeeded yet.
    #[error("the storage engine is down after an earlier failure")]
    Down,
    /// The store was restored while the caller waited.
    #[error("the store was replaced by a snapshot meanwhile")]
    Restored,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// Nothing was acknowledged. After an error of the disk the writes may or may not be stored: what the store shows once it
/// is available again is what counts.
#[derive(Clone, Debug, Error)]
#[error("the store is unavailable")]
pub struct Unavailable {
    /// Why; one cause may fail many callers.
    #[source]
    pub cause: Arc<StorageError>,
}

impl From<StorageError> for Unavailable {
    fn from(cause: StorageError) -> Self {
        Self { cause: Arc::new(cause) }
    }
}

/// Why a store did not open.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process, or another store in this one, has the file open.
    #[error("{} is open elsewhere", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The content could not be read.
    #[error("cannot read the store")]
    Storage(#[from] StorageError),
    /// The writer's thread could not be started.
    #[error("cannot start the writer's thread")]
    Thread(#[source] io::Error),
}

/// Why a commit was not made.
#[derive(Clone, Debug, Error)]
pub enum CommitError {
    /// The head is no longer the base: read again, check again.
    #[error("the head has moved on to {head}")]
    Conflict {
        /// The pending head.
        head: Version,
    },
    /// The batch is bigger than one commit may be.
    #[error("the batch has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// It was not acknowledged.
    #[error("the commit was not acknowledged")]
    Unavailable(#[from] Unavailable),
}

/// Why a transaction was not made; `E` is the closure's own refusal.
#[derive(Clone, Debug, Error)]
pub enum TransactError<E> {
    /// The closure refused.
    #[error("the transaction was refused")]
    Refused(E),
    /// The batch is bigger than one commit may be.
    #[error("the batch has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// It was not acknowledged.
    #[error("the transaction was not acknowledged")]
    Unavailable(#[from] Unavailable),
}

/// Why the past could not be read.
#[derive(Clone, Debug, Error)]
pub enum ReadError {
    /// That part of the log was compacted away.
    #[error("the log begins at revision {oldest}")]
    Compacted {
        /// The first commit still in the log.
        oldest: Revision,
    },
    /// There is no such revision yet.
    #[error("the head is {head}")]
    Future {
        /// The durable head.
        head: Version,
    },
    /// The disk could not be read.
    #[error("the log cannot be read")]
    Unavailable(#[from] Unavailable),
}

/// Why a watch cannot go on. Except after [`WatchError::Unavailable`], read a snapshot and watch from its version.
#[derive(Clone, Debug, Error)]
pub enum WatchError {
    /// The next event was compacted away.
    #[error("the log begins at revision {oldest}")]
    Compacted {
        /// The first commit still in the log.
        oldest: Revision,
    },
    /// The content was replaced.
    #[error("the store is now at {now}, in another epoch")]
    EpochChanged {
        /// The durable head.
        now: Version,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The disk could not be read; calling again tries again.
    #[error("the log cannot be read")]
    Unavailable(#[from] Unavailable),
}

/// Why a lease was not changed.
#[derive(Clone, Debug, Error)]
pub enum LeaseError {
    /// It was never granted, has ended, or was revoked.
    #[error("there is no lease {0}")]
    NoSuchLease(LeaseId),
    /// The keys to attach, or to delete, are more than one commit may have.
    #[error("the change has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// An attached key cannot be deleted, because the model does not know it.
    #[error("an attached key cannot be deleted")]
    Key(#[from] DecodeError),
    /// It was not acknowledged.
    #[error("the change was not acknowledged")]
    Unavailable(#[from] Unavailable),
}

/// Why a snapshot file was not written or not restored.
#[derive(Debug, Error)]
pub enum TransferError {
    /// The snapshot file could not be read or written.
    #[error("cannot use the snapshot file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The snapshot file's content could not be read or written.
    #[error("the snapshot {}", path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: StorageError,
    },
    /// The store itself could not be read or written.
    #[error("the transfer was not acknowledged")]
    Unavailable(#[from] Unavailable),
}

/// Says what was being done when the engine failed.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, StorageError>;
}

impl<T, E: Into<redb::Error>> Doing<T> for Result<T, E> {
    fn doing(self, doing: &'static str) -> Result<T, StorageError> {
        self.map_err(|source| StorageError::Engine { doing, source: Box::new(source.into()) })
    }
}
