//! What controller and agent say to each other: the messages, the objects in them, and whom each believes the other to be.
//!
//! Never here: what a tenant asks for, storage, the state of a conversation.
//!
//! ```text
//! controller                                                                agent
//! Fragment ── encode_part ──> wire::Update ══ gRPC, mutual TLS ══> decode_part, decode_fragment ──> Fragment, UnknownKind
//!                                                                      (certificates: issue · tls: load, peer_host)
//! ```

pub mod certificates;
mod digest;
mod error;
mod facts;
mod objects;
pub mod tls;
mod update;

#[cfg(test)]
mod tests;

pub use digest::digest;
pub use error::DecodeError;
pub use objects::{KINDS, UnknownKind, decode_fragment, decode_part, encode_objects, encode_part};
pub use update::{Basis, Version, updates};

/// The version of the protocol that this crate speaks. It rises only where a peer has to behave differently.
pub const PROTOCOL_VERSION: u32 = 1;

/// The largest message that either side takes, in bytes. [`updates`] stays far below unless one fragment is larger.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The messages as they are on the wire, and the service's two ends.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::too_many_lines, reason = "generated")]
pub mod wire {
    tonic::include_proto!("weft.agent.v1");
}
