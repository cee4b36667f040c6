//! The wire: bytes and values in both directions, bad bytes, other people's bytes.
#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "these are tests")]

mod arbitrary;
mod golden;
mod hostile;
mod malformed;
mod raw;
mod round_trip;
mod sessions;
