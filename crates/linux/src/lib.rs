//! Drivers for the Linux host: netlink in, netlink out.
//!
//! Never here: a process that is started, an asynchronous runtime, what a tenant or a service is.
//!
//! ```text
//! kernel ── events, dumps ──> netlink ── bytes ──> parse ── Fact ──> mirror ── State ──> Driver::observe
//! Plan ──> apply ── Step ──> encode, guard ── bytes ──> netlink ── one send, many messages ──> kernel
//!                  └──> namespace, tap (what netlink cannot make)
//! ```

mod apply;
mod capabilities;
mod encode;
mod error;
mod guard;
mod host;
mod limit;
mod mirror;
mod namespace;
mod neighbours;
mod netlink;
mod parse;
mod steer;
mod tap;
mod vrf;
mod wait;
mod wire;

pub use error::OpenError;
pub use host::{Config, LinuxHost};
pub use vrf::VrfMode;
pub use wait::{Waker, Woken};
pub use wire::PROTOCOL;
