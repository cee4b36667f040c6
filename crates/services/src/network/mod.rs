//! Layer-2 networks, in Neutron's words: networks, subnets, ports.
//!
//! Files: `resource.rs` (networks), `subnet.rs`, `port.rs` (the view of the core that Neutron calls a port), `ipam.rs` (which
//! addresses a port gets), `addresses.rs` (which are free), `compile.rs` (what of it is on which host); of networks in BGP VPNs of
//! type `l2`: `mac_vrf.rs` (what they need besides), `announce.rs` (what is told to others), `learned.rs` (what others told).

mod addresses;
mod announce;
pub(crate) mod compile;
mod ipam;
mod learned;
mod mac_vrf;
mod port;
mod resource;
mod subnet;

pub(crate) use addresses::{FreeAddresses, index_addresses};
pub use announce::{Announcement, Reach};
pub(crate) use ipam::{
    FixedIpRequest, Part, Station, allocate, check_addresses_free, follow_mac, reallocate,
};
pub use mac_vrf::MacVrf;
pub(crate) use mac_vrf::settle;
pub use port::Ports;
pub(crate) use port::delete as delete_port;
pub use resource::{Encapsulation, Network, Networks};
pub use subnet::{AddressRange, HostRoute, Subnet, Subnets};

/// Neutron's extensions of networks, subnets and ports of which everything works.
pub(crate) const EXTENSIONS: &[crate::catalogue::Extension] = &[
    ("binding", "Port Binding"),
    ("l2_adjacency", "L2 Adjacency"),
    ("ip-substring-filtering", "IP address substring filtering"),
    ("net-mtu", "Network MTU"),
    ("net-mtu-writable", "Network MTU (writable)"),
    ("provider", "Provider Network"),
    ("tag-ports-during-bulk-creation", "Tag Ports During Bulk Creation"),
];
