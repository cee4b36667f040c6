//! What tenants may ask for: the catalogue of resources, the checks of a change, and its compilation into fragments.
//!
//! Never here: I/O, clocks, randomness of its own, HTTP, the store.
//!
//! ```text
//! JSON ── catalogue ──> typed resource ── create/update/delete on a Change ──> writes, or a Refusal
//! Model + Model' + writes ── compile::touched ──> fragments to compile ── compile::compile ──> objects, here and elsewhere
//! ```
//!
//! The core is service binding: an *instance port* is a vNIC; an *interface* is a slice of it; a *service* is something to be
//! connected to; a *service port* binds an interface to a service. Neutron's port is a view of the three together.

pub mod access;
pub mod bgp;
pub mod bgpvpn;
pub mod catalogue;
pub mod compile;
pub mod core;
pub mod declare;
pub mod network;
pub mod router;

mod announce;
mod attribute;
mod change;
mod departure;
mod exclusive;
mod facts;
mod host;
mod id;
mod index;
mod intervals;
mod model;
mod names;
mod query;
mod refusal;
mod restore;
mod row;
mod secret;
mod standard;
mod stored;
mod tables;
mod timestamp;
pub mod vrf;

pub use announce::{Announcement, all_announcing, announcements, looked_at_with, may_announce};
pub use attribute::{Attribute, AttributeType, OnCreate, Operation};
pub use change::{Change, Choices};
pub use declare::{Action, Declaration, DeclareError, Declared, Difference, declare, in_set};
pub use departure::{Departure, confirm_departures, departures_after_restore};
pub use exclusive::Exclusive;
pub use facts::{About, Fact, Facts, LearnedEncapsulation, LearnedMac, LearnedRoute, Onward};
pub use host::{Host, describe_host};
pub use id::Id;
pub use model::Model;
pub use query::{Condition, Page, Query, SortKey};
pub use refusal::{Reason, Refusal};
pub use restore::check_restored;
pub use row::{Row, RowError, RowKey, RowKind, Write};
pub use secret::Secret;
pub use standard::{Standard, tags};
pub use tables::Tables;
pub use timestamp::Timestamp;
