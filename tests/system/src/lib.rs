//! The bench of the system tests: a lab of the shipped programs, spoken to by HTTP, looked at by `ip` and `bridge`.
//!
//! Never here: anything of the product's own code but the lab. What a test knows, it knows from outside.

mod bench;
mod edge;
pub mod example;
mod flows;
pub mod frames;
mod groups;
mod heard;
mod http;
mod kernel;
mod keystone;
pub mod l3;
mod machine;
mod monitor;
mod neighbours;
mod node;
mod openstack;
mod rude;
mod vm;
mod vrf;
mod wan;
mod watch;

pub use bench::{Bench, Turn, binaries, has_vrf_devices, more_pings, no_loss, spec, spec_of, until};
pub use edge::Edge;
pub use flows::{FLOWS, Instances, Spread};
pub use groups::Group;
pub use heard::{PrefixRoute, VpnRoute};
pub use http::{Answer, Http};
pub use kernel::{run, try_run};
pub use keystone::Keystone;
pub use machine::{machine, machine_with_daemons, run_again_in};
pub use monitor::{Monitor, RouteMonitor};
pub use neighbours::Neighbours;
pub use node::Node;
pub use openstack::{Openstack, column, environment};
pub use rude::Rude;
pub use vm::{Vm, VmSpec};
pub use vrf::Vrf;
pub use wan::{Peering, WanGateway};
pub use watch::{SseEvent, SseStream};

pub use weft_soak::{patience, rounds};
