//! The bench of the system tests: a lab of the shipped programs, spoken to by HTTP, looked at by `ip` and `bridge`.
//!
//! Never here: anything of the product's own code but the lab. What a test knows, it knows from outside.

mod bench;
mod http;
mod kernel;
mod monitor;
mod node;
mod openstack;
mod rude;
mod vpn;
mod wan;
mod watch;

pub use bench::{Bench, Turn, binaries, more_pings, no_loss, spec, until};
pub use http::{Answer, Http};
pub use kernel::{run, try_run};
pub use monitor::{Monitor, RouteMonitor};
pub use node::Node;
pub use openstack::{Openstack, column, environment};
pub use rude::Rude;
pub use vpn::{any_to_any, network, ttl, vpn, workload};
pub use wan::{Peering, PrefixRoute, WanGateway};
pub use watch::{SseEvent, SseStream};

pub use weft_soak::rounds;
