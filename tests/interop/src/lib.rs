//! Real BGP daemons for tests: FRR, GoBGP, BIRD and our own, each a process in a network namespace of its own.
//!
//! Never here: what is tested; anything outside the namespaces, but for `/etc/frr/NS` and `/run/frr/NS`, which FRR wants.
//!
//! ```text
//!  wi1234-0             wi1234-0-1          wi1234-0-2
//!  bridge lan ── p1 ─── eth0 192.0.2.1      …
//!             ── p2 ──────────────────────  eth0 192.0.2.2, 2001:db8::2
//! ```
//!
//! All goes with the value that stands for it: processes by their pid, namespaces by their name.

mod bird;
mod capture;
mod evpn;
mod fabric;
mod frr;
mod frr_daemons;
mod frr_evpn;
mod generator;
mod gobgp;
mod process;
mod reference;
mod session;
mod weft;
mod witness;

pub use bird::Bird;
pub use evpn::{EvpnVrf, evpn_prefixes};
pub use fabric::Fabric;
pub use frr::Frr;
pub use frr_daemons::FrrDaemons;
pub use generator::Generator;
pub use gobgp::Gobgp;
pub use process::{Process, until};
pub use reference::{Family, Reference, Route, Setup};
pub use session::{Identity, Session, read_update};
pub use weft::Weft;
pub use witness::Witness;
