//! MP-BGP: what two speakers say to each other, and what follows from it.
//!
//! Never here: sockets, clocks, randomness, except in `io`; what a route means to a data plane or to a service.
//!
//! ```text
//!  bytes ⇄ session (wire: messages, RFC 7606) ── updates ──> import policy ──> RIB ──> learned: best paths, per table and instance
//!  bytes <──────────── export policy <── what each neighbour has to be told ────┘ <── originate
//! ```

#[cfg(feature = "io")]
#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the one place with sockets and a clock"
)]
pub mod io;
pub mod policy;
mod rib;
pub mod session;
pub mod speaker;
mod text;
pub mod wire;

pub use rib::Step;
