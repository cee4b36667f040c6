//! Many hosts on one machine, each in a network namespace.
//!
//! Never here: what a network or a tenant is, how a host realises it; nothing on the machine but what bears the lab's mark.
//!
//! ```text
//!  machine's own namespace          demo.fabric                     demo.host1 (… demo.host64)
//!  weft-controller                  bridge mgmt ── m1 ───────────── mgmt0      198.18.x.1/24
//!   └─ wl1a2b3c4d 198.18.x.254/24 ── m0 ┘                           weft-agent
//!                                   bridge underlay ── u1 ───────── underlay0  198.51.100.1/24, or 2001:db8:ffff::1/64
//!                                                                   demo.host1.web1 … workloads, made by the agent
//! ```
//!
//! A link or a namespace of a lab's bears an alternative name that begins with `weft-lab.NAME.` (a namespace: its `lo`),
//! a process has `WEFT_LAB_PROCESS=NAME` in its environment: [`down`] finds them though every file is lost.
//! The marks differ from the agents' own (`weft.`), so that no agent takes the lab's links for its own.
//!
//! The links of a fabric are made here and not by the driver of `weft-linux`, since what that driver makes is marked as an
//! agent's: the agent within the host would remove it as soon as it looks.

mod continuous;
mod control;
mod directory;
mod down;
mod error;
mod exec;
mod fabric;
mod http;
mod icmp;
mod identity;
mod lab;
mod matrix;
mod names;
mod namespace;
mod netlink;
mod nodes;
mod process;
mod progress;
mod spec;
mod status;
mod subnet;

pub use continuous::{ContinuousPing, PingCount, PingPair};
pub use down::down;
pub use error::LabError;
pub use exec::exec;
pub use lab::{Lab, up};
pub use matrix::{Cell, Expected, Matrix, Seen, Workload, ping_matrix};
pub use names::{LabName, NameError};
pub use process::ProcessRecord;
pub use progress::{Change, Progress};
pub use spec::{HOSTS_MAX, LabSpec, Underlay};
pub use status::{AgentReport, HostStatus, ProcessState, Status, list, status};
