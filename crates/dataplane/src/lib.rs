//! What a host should look like: its objects, the intent that asks for them, and the plan from what is to what should be.
//!
//! Never here: I/O, clocks, netlink, tenants, what a network or a port is.
//!
//! ```text
//! fragments ──> HostIntent ── union ──> want: State ─┐
//!                                                    ├─ diff ──> Plan ── Driver::apply ──> StepOutcome per step
//!               Driver::observe ──> have: State ─────┘
//! ```

pub mod conformance;
mod diff;
mod driver;
mod intent;
mod memory;
mod object;
mod plan;
mod state;

pub use diff::{Comparison, diff};
pub use driver::{Driver, ObserveError, StepError, StepOutcome};
pub use intent::{Fragment, FragmentId, HostIntent};
pub use memory::Memory;
pub use object::{
    BridgeFdb, BridgePort, Flood, INGRESS_TABLE, Key, LabelRoute, Link, LinkId, LinkKind, Mark, Namespace,
    Neighbour, Object, PATHS_MAX, Path, PortRole, Route, RouteTo, STEERED_ADDRESSES_MAX, Steering, Vrf,
    VxlanFdb, WEIGHT_MAX,
};
pub use plan::{Blocked, Plan, Step, Waiting};
pub use state::State;
