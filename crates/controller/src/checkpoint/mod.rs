//! A checkpoint of facts: what was learned is in a file beside the store, so that a controller that was killed begins with it.
//!
//! ```text
//!  facts change ── bell ──> Keeper ── at most four times a second ──> facts.new ── fsync, rename ──> facts
//!  a start: facts ── whole, of this store ──> Distribution::recall ──> stale until told again (bgp::awaited)
//! ```
//!
//! Never here: rows. The file is never needed: without it, or with a damaged one, facts are learned anew.

mod file;
mod format;

pub use file::{Keeper, load};
pub use format::{Checkpoint, Damage};
