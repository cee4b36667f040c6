//! Layer-2 networks, in Neutron's words: networks, subnets, ports.
//!
//! Files: `resource.rs` (networks), `subnet.rs`, `port.rs` (the view of the core that Neutron calls a port), `ipam.rs` (which
//! addresses a port gets), `addresses.rs` (which are free), `compile.rs` (what of it is on which host).

mod addresses;
pub(crate) mod compile;
mod ipam;
mod port;
mod resource;
mod subnet;

pub(crate) use addresses::{FreeAddresses, index_addresses};
pub(crate) use ipam::{FixedIpRequest, allocate, check_addresses_free, follow_mac, reallocate};
pub use port::Ports;
pub use resource::{Encapsulation, Network, Networks};
pub use subnet::{AddressRange, HostRoute, Subnet, Subnets};
