//! MP-BGP: what two speakers say to each other, and what follows from it.
//!
//! Never here: sockets, clocks, randomness, except in [`io`]; what a route means to a data plane or to a service.
//!
//! ```text
//! bytes ⇄ wire (messages, RFC 7606) ⇄ session ⇄ RIB ⇄ speaker
//! ```

mod rib;
pub mod session;
pub mod wire;
