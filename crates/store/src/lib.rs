//! One durable, versioned, watched model: what is acknowledged is on disk, and who watches misses nothing.
//! It knows nothing of networks: the model, its writes and the meaning of its keys belong to the caller.
//!
//! ```text
//!  commit / transact ──► head (mutex): check, apply to *pending*, queue ──► writer thread
//!                                                                             │ drains the queue,
//!                                            ┌──── one redb transaction ◄─────┘ one fsync for all
//!                                            ▼
//!  durable() ◄── arc-swap ◄── publish ── tail of events ──► watch (wakes *that*) ──► Watch::next
//!  at / history / writes_back_to ◄───────── log table (values and previous values)
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `revision` | [`Revision`], [`Epoch`], [`Version`] |
//! | `model` | what the caller brings: [`Model`], [`Row`]; what it gets: [`Snapshot`], [`Event`] |
//! | `store` | [`Store`]: open, read, commit, transact |
//! | `head` | the pending head and the queue behind it |
//! | `writer` | the thread that groups commits, publishes them and heals the engine |
//! | `engine`, `record`, `medium` | redb tables, the bytes in them, and where the file lives |
//! | `watch`, `history`, `lease`, `transfer` | events in order; the past; keys that end; backup and restore |
//! | `operational` | [`Operational`]: the in-memory space for status and counters, never written to disk |
//!
//! **Another back end.** etcd can stand behind this interface: (epoch, revision) are (cluster term of ours, etcd
//! revision), `transact` retries its closure on a conflict, `watch`, leases and compaction are etcd's own.
//!
//! **Locks**, outermost first: engine (readers share it) → tail → head. No code of the caller runs under the first two;
//! the closure of [`Store::transact`] runs under the head, and so must not call the store.

mod engine;
mod error;
mod head;
mod history;
mod lease;
mod medium;
mod model;
mod operational;
mod record;
mod revision;
mod store;
mod transfer;
mod watch;
mod writer;

#[cfg(test)]
mod tests;

pub use error::{
    CommitError, DecodeError, LeaseError, OpenError, ReadError, StorageError, TransactError, TransferError,
    Unavailable, WatchError,
};
pub use history::WayBack;
pub use lease::{Expired, LeaseId, Leases, Millis};
pub use medium::Medium;
pub use model::{Event, Model, Proposal, Row, RowKey, Snapshot, Space};
pub use operational::{Changes, NoSuchLease, Operational, Sequence};
pub use revision::{Epoch, Revision, Version};
pub use store::{MAX_BATCH_BYTES, MAX_QUEUED, Options, Store};
pub use watch::Watch;
