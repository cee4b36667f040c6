//! Routers, in Neutron's words: the l3, dvr, extraroute, extraroute-atomic and evpn extensions.
//!
//! Files: `resource.rs` (routers), `interface.rs` (what ties a router to the subnets of a network: a row beside a port),
//! `attachment.rs` (how it gets interfaces and loses them), `routes.rs` (extra routes), `status.rs`. A router is on every host of its networks; there
//! is no place at which it would be central.

mod attachment;
mod interface;
mod resource;
mod routes;
mod status;

pub(crate) use attachment::remove_declared as remove_declared_interfaces;
pub use interface::RouterInterface;
pub(crate) use interface::{
    check_addresses_stay, check_binding_agrees, check_port_is_free, check_stays, check_vnic_agrees,
    interface_by, interface_of,
};
pub use resource::{Router, Routers};
pub(crate) use status::interfaces_reported_in;
pub(crate) use status::of_interface as status_of_interface;

/// Neutron's extensions of routers of which everything works. `router` itself has external gateways and floating addresses.
pub(crate) const EXTENSIONS: &[crate::catalogue::Extension] = &[
    ("dvr", "Distributed Virtual Router"),
    ("evpn", "EVPN for routers"),
    ("extraroute", "Neutron Extra Route"),
    ("extraroute-atomic", "Atomically add/remove extra routes"),
];
