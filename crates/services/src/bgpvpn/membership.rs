//! What BGP VPNs say to the VRF of a network, a router or a port: each by its own associations alone. The routes that they
//! declare are not a VRF's but ports' (`vrf/vpn.rs`).
//!
//! A port that is covered by several (its own, its network's, its router's) is the union of theirs, and the highest preference
//! holds.

use std::collections::BTreeSet;

use weft_net::{RouteDistinguisher, RouteTarget, Vni};

use super::association::Role;
use super::resource::{Bgpvpn, BgpvpnType, Multipath};
use crate::{Id, Model, RowKind};

/// What can be associated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    /// A network.
    Network(Id),
    /// A router.
    Router(Id),
    /// A port: its binding, the service port.
    Port(Id),
}

/// What the BGP VPNs of one type in which a member is say to its VRF.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Which BGP VPNs they are.
    pub bgpvpns: BTreeSet<Id>,
    /// Whose routes are taken in.
    pub import: BTreeSet<RouteTarget>,
    /// What is put on the routes that go out.
    pub export: BTreeSet<RouteTarget>,
    /// Distinguishers that may be taken.
    pub route_distinguishers: BTreeSet<RouteDistinguisher>,
    /// The preference of the routes that go out: the highest of them.
    pub local_pref: Option<u32>,
    /// The VNI that the routes that go out name: the lowest of them.
    pub vni: Option<Vni>,
    /// What becomes of several routes to one destination: they share, unless one of the BGP VPNs fails over.
    pub multipath: Multipath,
    /// Of routers: whether their extra routes are told to others.
    pub advertise_extra_routes: bool,
}

/// What the BGP VPNs of a type say to a member's VRF; nothing if it is in none of them.
#[must_use]
pub fn membership(model: &Model, member: Member, kind: BgpvpnType) -> Option<Membership> {
    let mut membership = Membership::default();
    for (association, bgpvpn, role) in vpns_of(model, member, kind) {
        membership.join(bgpvpn, role);
        let of_router = model.bgpvpn_router_associations.get(&association);
        membership.advertise_extra_routes |= of_router.is_some_and(|row| row.advertise_extra_routes);
    }
    (!membership.bgpvpns.is_empty()).then_some(membership)
}

/// The BGP VPNs of a type in which a member is: each association, with what part it says the member has.
pub(crate) fn vpns_of(
    model: &Model,
    member: Member,
    kind: BgpvpnType,
) -> impl Iterator<Item = (Id, &Bgpvpn, Option<Role>)> {
    let (of, by) = match member {
        Member::Network(id) => ((RowKind::Network, id), RowKind::BgpvpnNetworkAssociation),
        Member::Router(id) => ((RowKind::Router, id), RowKind::BgpvpnRouterAssociation),
        Member::Port(id) => ((RowKind::ServicePort, id), RowKind::BgpvpnPortAssociation),
    };
    let said = move |id: &Id| match member {
        Member::Network(_) => model.bgpvpn_network_associations.get(id).map(|row| (row.bgpvpn_id, row.role)),
        Member::Router(_) => model.bgpvpn_router_associations.get(id).map(|row| (row.bgpvpn_id, row.role)),
        Member::Port(_) => model.bgpvpn_port_associations.get(id).map(|row| (row.bgpvpn_id, row.role)),
    };
    model.referring(of, by).filter_map(move |id| {
        let (bgpvpn, role) = said(&id)?;
        let bgpvpn = model.bgpvpns.get(&bgpvpn).filter(|bgpvpn| bgpvpn.kind == kind)?;
        Some((id, &**bgpvpn, role))
    })
}

/// What a BGP VPN puts on the routes of a member with this part in it.
pub(crate) fn exports(bgpvpn: &Bgpvpn, role: Option<Role>) -> BTreeSet<RouteTarget> {
    let of_role = match role {
        None => None,
        Some(Role::Hub) => bgpvpn.hub_target,
        Some(Role::Spoke) => bgpvpn.spoke_target,
    };
    bgpvpn.route_targets.iter().chain(&bgpvpn.export_targets).copied().chain(of_role).collect()
}

/// What a BGP VPN has a member with this part in it take in.
pub(crate) fn imports(bgpvpn: &Bgpvpn, role: Option<Role>) -> BTreeSet<RouteTarget> {
    let of_role = match role {
        None => [None, None],
        Some(Role::Hub) => [bgpvpn.hub_target, bgpvpn.spoke_target],
        Some(Role::Spoke) => [bgpvpn.hub_target, None],
    };
    let given = bgpvpn.route_targets.iter().chain(&bgpvpn.import_targets).copied();
    given.chain(of_role.into_iter().flatten()).collect()
}

impl Membership {
    fn join(&mut self, bgpvpn: &Bgpvpn, role: Option<Role>) {
        self.bgpvpns.insert(bgpvpn.standard.id);
        self.import.extend(imports(bgpvpn, role));
        self.export.extend(exports(bgpvpn, role));
        self.route_distinguishers.extend(&bgpvpn.route_distinguishers);
        self.local_pref = self.local_pref.max(bgpvpn.local_pref);
        self.vni = [self.vni, bgpvpn.vni].into_iter().flatten().min();
        self.multipath = self.multipath.max(bgpvpn.multipath);
    }
}
