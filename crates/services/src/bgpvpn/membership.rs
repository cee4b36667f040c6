//! What BGP VPNs say to the VRF of a network, a router or a port: each by its own associations alone.
//!
//! A port that is covered by several (its own, its network's, its router's) is the union of theirs, and the highest preference
//! holds.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::{RouteDistinguisher, RouteTarget, Vni};

use super::association::Role;
use super::port::PortRoute;
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
    /// Of ports: whether their addresses are told to others.
    pub advertise_fixed_ips: bool,
    /// Of routers: whether their extra routes are told to others.
    pub advertise_extra_routes: bool,
    /// Routes that are declared: static ones, and of ports the prefixes that lead to them.
    pub routes: Vec<DeclaredRoute>,
    /// Of ports: other BGP VPNs whose destinations they lead to.
    pub leaks: Vec<Leak>,
}

/// A route that somebody has declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeclaredRoute {
    /// For which destinations.
    pub destination: IpNet,
    /// By what.
    pub next_hop: NextHop,
    /// Its preference: its own, or that of the BGP VPN.
    pub local_pref: Option<u32>,
}

/// By what a declared route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NextHop {
    /// By whoever has this address in the BGP VPN.
    Address(IpAddr),
    /// By this port: its binding, the service port.
    Port(Id),
}

/// The destinations of another BGP VPN, to which a port leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leak {
    /// The other.
    pub bgpvpn: Id,
    /// The preference of those routes: its own, or that of the BGP VPN.
    pub local_pref: Option<u32>,
}

/// What the BGP VPNs of a type say to a member's VRF; nothing if it is in none of them.
#[must_use]
pub fn membership(model: &Model, member: Member, kind: BgpvpnType) -> Option<Membership> {
    let mut membership = Membership::default();
    let of = |id: Id| model.bgpvpns.get(&id).filter(|bgpvpn| bgpvpn.kind == kind);
    match member {
        Member::Network(id) => {
            for id in model.referring((RowKind::Network, id), RowKind::BgpvpnNetworkAssociation) {
                let Some(row) = model.bgpvpn_network_associations.get(&id) else { continue };
                let Some(bgpvpn) = of(row.bgpvpn_id) else { continue };
                membership.join(bgpvpn, row.role);
            }
        }
        Member::Router(id) => {
            for id in model.referring((RowKind::Router, id), RowKind::BgpvpnRouterAssociation) {
                let Some(row) = model.bgpvpn_router_associations.get(&id) else { continue };
                let Some(bgpvpn) = of(row.bgpvpn_id) else { continue };
                membership.join(bgpvpn, row.role);
                membership.advertise_extra_routes |= row.advertise_extra_routes;
            }
        }
        Member::Port(id) => {
            for id in model.referring((RowKind::ServicePort, id), RowKind::BgpvpnPortAssociation) {
                let Some(row) = model.bgpvpn_port_associations.get(&id) else { continue };
                let Some(bgpvpn) = of(row.bgpvpn_id) else { continue };
                membership.join(bgpvpn, row.role);
                membership.advertise_fixed_ips |= row.advertise_fixed_ips;
                membership.lead_to(row.service_port_id, &row.routes, bgpvpn.local_pref);
            }
        }
    }
    (!membership.bgpvpns.is_empty()).then_some(membership)
}

impl Membership {
    fn join(&mut self, bgpvpn: &Bgpvpn, role: Option<Role>) {
        self.bgpvpns.insert(bgpvpn.standard.id);
        self.import.extend(bgpvpn.route_targets.iter().chain(&bgpvpn.import_targets));
        self.export.extend(bgpvpn.route_targets.iter().chain(&bgpvpn.export_targets));
        match role {
            None => {}
            Some(Role::Hub) => {
                self.import.extend(bgpvpn.hub_target.iter().chain(&bgpvpn.spoke_target));
                self.export.extend(bgpvpn.hub_target);
            }
            Some(Role::Spoke) => {
                self.import.extend(bgpvpn.hub_target);
                self.export.extend(bgpvpn.spoke_target);
            }
        }
        self.route_distinguishers.extend(&bgpvpn.route_distinguishers);
        self.local_pref = self.local_pref.max(bgpvpn.local_pref);
        self.vni = [self.vni, bgpvpn.vni].into_iter().flatten().min();
        self.multipath = self.multipath.max(bgpvpn.multipath);
        let routes = bgpvpn.static_routes.iter().map(|route| DeclaredRoute {
            destination: route.destination,
            next_hop: NextHop::Address(route.nexthop),
            local_pref: route.local_pref.or(bgpvpn.local_pref),
        });
        self.routes.extend(routes);
    }

    fn lead_to(&mut self, port: Id, routes: &[PortRoute], of_bgpvpn: Option<u32>) {
        for route in routes {
            match *route {
                PortRoute::Prefix { prefix, local_pref } => self.routes.push(DeclaredRoute {
                    destination: prefix,
                    next_hop: NextHop::Port(port),
                    local_pref: local_pref.or(of_bgpvpn),
                }),
                PortRoute::Bgpvpn { bgpvpn_id, local_pref } => {
                    self.leaks.push(Leak { bgpvpn: bgpvpn_id, local_pref: local_pref.or(of_bgpvpn) });
                }
            }
        }
    }
}
