//! A client of Weft's REST API.
//!
//! Never here: files, terminals, what a person typed.
//!
//! ```text
//! Client ── resources: list (pages followed), get, find, create, update, delete   /v2.0/…
//!        ── apply, history, rollback                                              /v1/…
//!        ── bgp, status, explain, transfer, service (health, version)
//!        ── watch ──> Watch: server-sent events, resumed by itself after the last one seen
//! ```

mod apply;
mod bgp;
mod client;
mod error;
mod history;
mod resources;
mod service;
mod sse;
mod status;
mod transfer;
mod watch;

pub use apply::{Action, Applied, Apply, Change, Difference};
pub use bgp::Rib;
pub use client::{Client, Config, DEFAULT_URL};
pub use error::{Error, Refusal};
pub use history::{HistoryChange, HistoryEntry, Rollback, Scope};
pub use resources::Object;
pub use service::Version;
pub use status::{
    Bringing, Explained, ExplainedChange, ExplainedFragment, ExplainedResource, Explanation, HostStatus,
    NotDone, Quarantined, RouteAlarm, RouteAudit, RouteComparison, Status,
};
pub use transfer::TransferError;
pub use watch::{Watch, WatchEvent, WatchKind};
