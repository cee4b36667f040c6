//! The agent of a host: intent in, reconcile loop, status out.
//!
//! Never here: networks, ports, tenants, and how the kernel is spoken to.
//!
//! ```text
//!  controller ══ stream (tokio) ── Input ──> runner (a thread of its own)         persist (a thread)
//!       ▲            ▲                         Reconciler::take ── Change ───────> one transaction per
//!       │            │                         Reconciler::turn                    complete update
//!       │            │                           observe → diff → apply → report       │
//!       └─ Status ───┴── Board: report, facts, have ┘                                  │
//!                    └── persisted: up to which change <──────────────────────────────┘
//! ```

mod agent;
mod assembly;
pub mod backoff;
pub mod config;
mod drift;
pub mod kernel;
pub mod mounts;
pub mod persist;
mod reconciler;
mod report;
mod retry;
pub mod runner;
pub mod stream;

pub use agent::{Agent, Settings};
pub use assembly::{Change, Taken};
pub use drift::{Drift, Found};
pub use reconciler::Reconciler;
pub use report::{NotDone, NotDoneState, TurnReport};
