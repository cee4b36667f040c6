//! Values of the network: parsed once at the edge into a type that cannot be wrong, printed back the same.
//!
//! Never here: I/O, clocks, the rest of the workspace.
//!
//! ```text
//! text (JSON, YAML, wire, kernel) ── FromStr ──> Mac · Vni · Asn · RouteTarget · IfName · HostName · … ── Display ──> text
//! ```

mod administered;
mod asn;
mod error;
mod facts;
mod ifname;
mod mac;
mod mpls_label;
mod name;
mod route_distinguisher;
mod route_target;
mod serde_text;
mod vni;

pub use administered::AdministeredNumber;
pub use asn::Asn;
pub use error::ParseError;
pub use facts::{Capability, HostFact, L3Encapsulation};
pub use ifname::IfName;
pub use mac::Mac;
pub use mpls_label::MplsLabel;
pub use name::{HostName, NamespaceName};
pub use route_distinguisher::RouteDistinguisher;
pub use route_target::RouteTarget;
pub use vni::Vni;
