//! Checkpoints: what was learned, and what was announced, is in files beside the store, so that a controller that was killed begins
//! with it.
//!
//! ```text
//!  facts change ──────────────── bell ──> Keeper ── at most four times a second ──> facts.new ── fsync, rename ──> facts
//!  what is announced changes ──┘                                                ──> announced.new ──────────────> announced
//!  a start: facts ── whole, of this store ──> Distribution::recall ──> stale until told again (bgp::awaited)
//!           announced ──────────────────────> Distribution::recall_announced ──> what hosts forward that have not come
//! ```
//!
//! Never here: rows. The files are never needed: without them, or with damaged ones, facts are learned anew, and hosts are taken to
//! forward what the model says.

mod file;
mod format;

pub use file::{Keeper, load, load_announced};
pub use format::{AnnouncedMarks, Checkpoint, Damage};
