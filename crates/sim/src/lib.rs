//! The whole system in one process: fake clock, faults, seeds.
//!
//! Never here: threads, sockets, the time of day. A seed is a run, to the last step.
//!
//! ```text
//!  random requests ──> Change ──> writes ──> Distribution ══ lossy streams ══> Reconciler<Memory>, one a host
//!  random faults: streams cut · agents killed · hosts rebooted · controller killed · restore · damage in the "kernel"
//!  at each step:  no VNI joins two networks        at the end, faults over:  every host is exactly as the model says
//! ```

mod controller;
mod host;
mod laws;
mod requests;
mod world;

pub use world::{Faults, run};
