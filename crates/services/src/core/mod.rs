//! The core of the model: service binding.
//!
//! ```text
//! instance port (vNIC) <── interface (slice) <── service port (binding) ──> service (network)
//! ```
//!
//! A port can be made first and bound later, moved between services, bound to many: without touching the vNIC.

pub(crate) mod binding;
pub(crate) mod compile;
mod instance_port;
mod interface;
mod live;
mod service;
mod service_port;
pub(crate) mod status;

pub(crate) use binding::effective_mtu;
pub(crate) use instance_port::{DEFAULT_INTERFACE, check_vnic, choose_mac, count_moves};
pub use instance_port::{InstancePort, InstancePorts, VnicKind};
pub use interface::{Interface, InterfaceKind, InterfaceParent, Interfaces};
pub use service::Services;
pub(crate) use service_port::check_mac;
pub use service_port::{FixedIp, ServicePort, ServicePorts};
