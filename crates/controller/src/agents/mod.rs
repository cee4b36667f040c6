//! What each agent is sent, and what it reports.
//!
//! [`Distribution`] is pure: events and reports in, updates out. `server.rs` is the gRPC end; `feed.rs` follows the store.

mod distribution;
mod encoded;
mod feed;
mod host;
mod outcome;
mod reports;
mod server;

pub use distribution::{Advance, AtHave, Delivery, Distribution, Reached};
pub use feed::follow_store;
pub use host::HostState;
pub use outcome::{NotDone, NotDones, Outcome};
pub use server::{AgentServer, Links, serve};

#[cfg(test)]
mod tests;
