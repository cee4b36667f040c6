//! What the caller brings (a model, and how its writes become rows) and what it gets back (snapshots, events).

use std::fmt;
use std::sync::Arc;

use crate::error::DecodeError;
use crate::revision::Version;

/// Whether a key takes part in rollback. Both spaces are durable, versioned and watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Space {
    /// What users asked for: it can be brought back to what it was.
    Model,
    /// What must never be rolled back: facts of hosts, quarantine, tokens, audit.
    Kept,
}

/// One key and what it shall hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// Where the key lives; the same bytes in the other space are another key.
    pub space: Space,
    /// The key, opaque to the store.
    pub key: Vec<u8>,
    /// The value, opaque to the store; `None` deletes the key.
    pub value: Option<Vec<u8>>,
}

impl Row {
    /// The key with its space.
    pub fn name(&self) -> RowKey {
        RowKey { space: self.space, key: self.key.clone() }
    }
}

/// A key with its space.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// Where the key lives.
    pub space: Space,
    /// The key, opaque to the store.
    pub key: Vec<u8>,
}

/// A model that can be kept in a store: persistent maps inside, so that a clone costs O(1).
///
/// Laws: `decode(encode(w))` is `w`; a row whose value is `None` decodes for every key that was ever written and is not retired; the model
/// depends only on what each key holds in the end, not on the order in which different keys were written.
pub trait Model: Clone + Default + Send + Sync + 'static {
    /// One key put or deleted, in the model's own types.
    type Write: Clone + Send + Sync + 'static;

    /// The write as a row.
    fn encode(write: &Self::Write) -> Row;

    /// The write that the row stands for.
    ///
    /// # Errors
    /// When the bytes are not what [`Model::encode`] makes.
    fn decode(row: &Row) -> Result<Self::Write, DecodeError>;

    /// Whether a row is of a kind that an earlier version wrote and that there is none of any more. Such rows stay in the file, and are
    /// passed over wherever it is read.
    fn is_retired(_row: &Row) -> bool {
        false
    }

    /// Carries the write out, in O(log n).
    fn apply(&mut self, write: &Self::Write);
}

/// What a transaction is to do.
pub struct Proposal<M: Model> {
    /// The writes, in order.
    pub writes: Vec<M::Write>,
    /// What the model that they were worked out on is after them.
    pub after: M,
}

impl<M: Model> Proposal<M> {
    /// These writes to a model.
    pub fn on(base: &M, writes: Vec<M::Write>) -> Self {
        let mut after = base.clone();
        writes.iter().for_each(|write| after.apply(write));
        Self { writes, after }
    }
}

/// The model at one version. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Snapshot<M> {
    /// Which version this is.
    pub version: Version,
    /// The model at that version.
    pub model: M,
}

/// One commit, as watchers and the history see it. Cheap to clone.
pub struct Event<M: Model> {
    /// The version the commit made.
    pub version: Version,
    /// What the committer said about it (who, which request, when); opaque to the store.
    pub note: Arc<str>,
    /// The writes, in the committer's order.
    pub writes: Arc<[M::Write]>,
}

impl<M: Model> Clone for Event<M> {
    fn clone(&self) -> Self {
        Self { version: self.version, note: Arc::clone(&self.note), writes: Arc::clone(&self.writes) }
    }
}

impl<M: Model> fmt::Debug for Event<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("version", &self.version)
            .field("note", &self.note)
            .field("writes", &self.writes.len())
            .finish()
    }
}
