//! Values of the network: parsed once at the edge into a type that cannot be wrong, printed back the same.
//!
//! Never here: I/O, clocks, the rest of the workspace.
//!
//! ```text
//! text (JSON, YAML, wire, kernel) ── FromStr ──> Mac · Vni · IfName · HostName · NamespaceName ── Display ──> text
//! ```

mod error;
mod facts;
mod ifname;
mod mac;
mod name;
mod serde_text;
mod vni;

pub use error::ParseError;
pub use facts::{Capability, HostFact};
pub use ifname::IfName;
pub use mac::Mac;
pub use name::{HostName, NamespaceName};
pub use vni::Vni;
