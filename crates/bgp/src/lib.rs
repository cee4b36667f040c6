//! MP-BGP: what two speakers say to each other, and what follows from it.
//!
//! Never here: sockets, clocks, randomness; what a route means to a data plane or to a service.
//!
//! ```text
//! bytes ⇄ wire (messages, RFC 7606) ⇄ session ⇄ RIB ⇄ speaker
//! ```

pub mod wire;
