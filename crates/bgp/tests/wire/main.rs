//! The wire: bytes and values in both directions, bad bytes, other people's bytes.

mod arbitrary;
mod golden;
mod hostile;
mod malformed;
mod raw;
mod round_trip;
mod sessions;
