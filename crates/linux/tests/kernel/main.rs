//! The driver on a kernel: this host's, and in [`machine`] all of it again on another one, which has VLAN devices.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod capture;
mod common;
mod conformance;
mod damage;
mod machine;
mod neighbours;
mod ports;
mod talk;
mod traffic;
mod vlan;
mod vrf;
mod wait;
