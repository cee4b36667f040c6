//! VRFs: isolated routing tables (RFC 4364 §3), one to a router, to the networks of a VPN, to a network or to a port.
//!
//! A VRF is a row that no request writes: each commit makes the VRFs that what it has written calls for ([`settle`]), with the
//! identifiers that they have on hosts and on the wire, and takes away those that nothing calls for any more.
//!
//! ```text
//!  router, VPN ─┐                         ┌─ members: ports with a live binding, and thereby hosts
//!  network ─────┼─ settle ──> VRF ────────┼─ paths: the ports' own addresses, and what is declared to be behind them
//!  port  ───────┘   identifiers, targets  └─ imports: paths of other VRFs that export a target which this one imports
//! ```
//!
//! Files: `scope.rs` (which VRF a port is in, and what it calls for), `settle.rs`, `member.rs` and `leak.rs` (the indexes),
//! `route.rs` (which paths lead to a prefix), `compile.rs` (who is told what), `gateway.rs`, `prefix.rs`, `outside.rs` (routers of others) and
//! `objects.rs` (what that is on a host), `router_mac.rs`, `usable.rs` (which routes of others are used), `announce.rs` (what is told to the outside),
//! `distinguisher.rs` (by which route distinguishers), `automatic.rs` (the targets of a router's VNI).

mod announce;
mod ask;
mod automatic;
pub(crate) mod compile;
mod distinguisher;
mod gateway;
mod leak;
mod member;
mod objects;
mod outside;
mod prefix;
mod route;
mod router_mac;
mod scope;
mod settle;
mod usable;
mod vpn;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use weft_net::{Mac, MplsLabel, RouteDistinguisher, RouteTarget, Vni};

use crate::bgpvpn::Multipath;
use crate::compile::ServiceKey;
use crate::exclusive::{Exclusive, check_owned};
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, RowKind, Standard};

pub use announce::Announcement;
pub use announce::announcements;
pub use ask::{AskedPath, asked_paths, called, destination_of, scope_row, ways_left_out};
pub(crate) use distinguisher::{distinguisher_of, given_around, is_of_hosts};
pub(crate) use member::{Members, around};
pub use outside::next_routers;
pub(crate) use router_mac::EndpointBits;
pub use router_mac::router_mac;
pub(crate) use settle::{of_new_router, settle};

/// An isolated routing table, with the identifiers that it has on hosts and on the wire.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Vrf {
    /// The identifier of what it is for, and whose that is.
    pub standard: Standard,
    /// What it is for.
    pub scope: Scope,
    /// The VNI of packets that are to be routed in it (RFC 9135 §5.1, "L3 VNI").
    pub vni: Vni,
    /// Which of all VRFs it is: in route distinguishers, and what its label and its table follow from.
    pub number: VrfNumber,
    /// The gateways' MAC address, where no router's interface gives one.
    pub mac_address: Mac,
    /// The MAC addresses that gateways of its networks have instead: they had them in another VRF, and workloads know them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub gateways: BTreeMap<Id, Mac>,
    /// Whose routes it imports.
    pub imports: BTreeSet<Target>,
    /// Who is to import its routes.
    pub exports: BTreeSet<Target>,
    /// The route distinguishers that it was given and no other has; without, each host has one of its own for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route_distinguishers: Vec<RouteDistinguisher>,
    /// How much its own routes are preferred (RFC 4271 §5.1.5), where a route says nothing of its own.
    #[serde(default = "local_pref")]
    pub local_pref: u32,
    /// What becomes of several paths to one destination that are equally preferred.
    #[serde(default)]
    pub multipath: Multipath,
}

/// How much a route is preferred of which nothing is said.
pub const LOCAL_PREF: u32 = 100;

const fn local_pref() -> u32 {
    LOCAL_PREF
}

/// What a VRF is for: all that has its identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The networks of a router.
    Router,
    /// The networks of a VPN that are in no other, nor in a router, and reach one another.
    Vpn,
    /// One network.
    Network,
    /// One binding of a port.
    Port,
}

impl Scope {
    const fn kind(self) -> RowKind {
        match self {
            Self::Router => RowKind::Router,
            Self::Vpn => RowKind::Bgpvpn,
            Self::Network => RowKind::Network,
            Self::Port => RowKind::ServicePort,
        }
    }
}

/// By what one VRF's routes get into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Target {
    /// A route target (RFC 4364 §4.3.1), also towards BGP peers.
    Route(RouteTarget),
    /// A router that connects its networks, those that have VRFs of their own as well. It never leaves the site.
    Router(Id),
}

impl Target {
    const ROUTER: &str = "router/";

    /// The route target, if it is one.
    #[must_use]
    pub const fn route_target(&self) -> Option<RouteTarget> {
        match self {
            Self::Route(target) => Some(*target),
            Self::Router(_) => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(target) => write!(f, "{target}"),
            Self::Router(id) => write!(f, "{}{id}", Self::ROUTER),
        }
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix(Self::ROUTER) {
            Some(id) => id.parse().map(Self::Router).map_err(|_| format!("'{id}' is not an identifier")),
            None => RouteTarget::from_str(&text).map(Self::Route).map_err(|error| error.to_string()),
        }
    }
}

/// Which of all VRFs: 1 to 65,535. Its label and its table follow from it, so that whoever knows it knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct VrfNumber(pub u16);

impl VrfNumber {
    /// The smallest.
    pub const MIN: Self = Self(1);
    /// The largest: what a route distinguisher of type 1 has room for (RFC 4364 §4.2).
    pub const MAX: Self = Self(u16::MAX);

    /// The routing table, where VRFs are devices of one namespace.
    #[must_use]
    pub fn table(self) -> u32 {
        10_000 + u32::from(self.0)
    }

    /// The MPLS label of packets that are to be routed in it (RFC 4364 §4.3.2, one to a VRF).
    #[must_use]
    pub fn label(self) -> MplsLabel {
        let label = 100_000 + u32::from(self.0);
        MplsLabel::try_from(label).expect("165,535 at most, of twenty bits")
    }
}

impl Vrf {
    pub(crate) const fn key(id: Id) -> ServiceKey {
        ServiceKey { kind: RowKind::Vrf, id }
    }

    fn exclusives(&self) -> [Exclusive; 2] {
        [Exclusive::Vni(self.vni), Exclusive::Vrf(self.number)]
    }
}

impl Vrf {
    /// The MAC address of a network's gateway in it, where no router's interface gives one.
    pub(crate) fn gateway_mac(&self, network: Id) -> Mac {
        self.gateways.get(&network).copied().unwrap_or(self.mac_address)
    }

    fn gateway_macs(&self) -> impl Iterator<Item = Mac> {
        self.gateways.values().copied().chain([self.mac_address])
    }
}

impl Stored for Vrf {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        vec![(self.scope.kind(), self.standard.id)]
    }

    fn check_claims(&self, model: &Model) -> Result<(), Refusal> {
        let own = Self::key(self.standard.id);
        self.exclusives().iter().try_for_each(|what| check_owned(model, own, what))
    }
}

impl Model {
    /// Whether this is the MAC address of a VRF's gateways.
    pub(crate) fn has_gateway_mac(&self, mac: Mac) -> bool {
        self.index.gateway_macs.range((mac, Id::MIN)..=(mac, Id::MAX)).next().is_some()
    }

    /// Of route distinguishers that a VRF or a MAC-VRF is given, those that no other has: routes of two to one destination would
    /// be one route. Whoever was first keeps one.
    pub(crate) fn free_distinguishers<'m>(
        &'m self,
        of: (RowKind, Id),
        given: impl IntoIterator<Item = RouteDistinguisher> + 'm,
    ) -> impl Iterator<Item = RouteDistinguisher> + 'm {
        given.into_iter().filter(move |given| {
            let from = (*given, (RowKind::ALL[0], Id::MIN));
            let mut owners =
                self.index.given_distinguishers.range(from..).take_while(|(one, _)| one == given);
            owners.all(|(_, owner)| *owner == of)
        })
    }

    pub(crate) fn index_given_distinguishers(
        &mut self,
        of: (RowKind, Id),
        had: impl IntoIterator<Item = RouteDistinguisher>,
        has: impl IntoIterator<Item = RouteDistinguisher>,
    ) {
        for gone in had {
            self.index.given_distinguishers.remove(&(gone, of));
        }
        self.index.given_distinguishers.extend(has.into_iter().map(|given| (given, of)));
    }
}

impl Indexed for Vrf {
    fn index(model: &mut Model, before: Option<&Self>, after: Option<&Self>) {
        let Some(id) = before.or(after).map(|vrf| vrf.standard.id) else { return };
        let [had, has] = [before, after].map(|vrf| vrf.map(Self::exclusives));
        for n in 0..2 {
            let [had, has] = [&had, &has].map(|all| all.as_ref().map(|all| all[n].clone()));
            model.index_exclusive(Self::key(id), had, has);
        }
        member::index_imports(model, before, after);
        router_mac::index_vni(model, [before, after]);
        for gone in before.into_iter().flat_map(Self::gateway_macs) {
            model.index.gateway_macs.remove(&(gone, id));
        }
        model.index.gateway_macs.extend(after.into_iter().flat_map(Self::gateway_macs).map(|mac| (mac, id)));
        let given = |vrf: Option<&Self>| vrf.map(|vrf| vrf.route_distinguishers.clone()).unwrap_or_default();
        model.index_given_distinguishers((RowKind::Vrf, id), given(before), given(after));
    }
}
