//! BGP: what hosts forward is announced, what the outside announces is learned.
//!
//! ```text
//!  commits, reports ── touched fragments ──> announcements ── what differs ──> speaker ⇄ neighbours
//!  rows of speakers, peers and VRFs ─────> configuration ────────────────────────┤
//!  distribution <── facts <── per VRF and prefix, the best of each kind <── learned ┘
//!                     └ what an earlier life learned stays until all has been heard again
//! ```

mod alarms;
mod announced;
mod attempts;
mod audit;
mod awaited;
mod bridged;
mod config;
mod instance;
mod known;
mod marks;
mod metrics;
mod reception;
mod routes;
mod sessions;
mod source;
mod speaker;
mod speakers;
mod touched;

pub(crate) use alarms::on;
pub use alarms::{Alarm, Alarms, Comparison, Figures};
pub use marks::Marks;
pub(crate) use metrics::{BgpCollector, BgpMoment};
pub(crate) use routes::{announced_destinations, imported_destinations};
pub use speaker::{Bgp, BgpConfig};
pub use speakers::Speakers;
pub use touched::Touched;
