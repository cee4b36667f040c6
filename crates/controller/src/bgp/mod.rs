//! BGP: what hosts forward is announced, what the outside announces is learned.
//!
//! ```text
//!  commits, reports ── touched fragments ──> announcements ── what differs ──> speaker ⇄ neighbours
//!  rows of speakers, peers and VRFs ─────> configuration ────────────────────────┤
//!  distribution <── facts <── per VRF and prefix, the best of each kind <── learned ┘
//!                     └ what an earlier life learned stays until all has been heard again
//! ```

mod awaited;
mod config;
mod routes;
mod speaker;
mod touched;

pub use speaker::{Bgp, BgpConfig};
pub use touched::Touched;
