//! What VPNs have VRFs do: the targets of the associations of a router, a network or a port, and the routes that are declared.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::RouteTarget;

use crate::bgpvpn::{
    Bgpvpn, BgpvpnType, Member, Membership, Multipath, PortRoute, Role, defaults, exports, imports,
    membership, vpns_of,
};
use crate::core::ServicePort;
use crate::vrf::automatic;
use crate::{Id, Model, Row, RowKind};

/// What is announced because of a port.
#[derive(Default)]
pub(super) struct Declared {
    /// Who imports its own addresses.
    pub(super) own_addresses: BTreeSet<RouteTarget>,
    pub(super) routes: Vec<DeclaredRoute>,
    pub(super) leaks: Vec<DeclaredLeak>,
}

/// A destination that is declared to be behind a port.
pub(super) struct DeclaredRoute {
    pub(super) destination: IpNet,
    pub(super) via: IpAddr,
    pub(super) local_pref: Option<u32>,
    pub(super) multipath: Option<Multipath>,
    pub(super) by: (RowKind, Id),
    pub(super) export_targets: BTreeSet<RouteTarget>,
}

/// A VPN whose destinations are declared to be behind a port.
pub(super) struct DeclaredLeak {
    /// What it has routes by.
    pub(super) imports: BTreeSet<RouteTarget>,
    pub(super) local_pref: Option<u32>,
    pub(super) multipath: Option<Multipath>,
    pub(super) by: (RowKind, Id),
    pub(super) export_targets: BTreeSet<RouteTarget>,
}

/// What the L3 VPNs that a router, a network or a binding is in say to its VRF, and of a router the targets that its VNI gives it.
pub(super) fn of(model: &Model, member: Member) -> Membership {
    let mut of = membership(model, member, BgpvpnType::L3).unwrap_or_default();
    if let Member::Router(id) = member {
        let automatic = automatic::targets(model, id);
        of.import.extend(&automatic);
        of.export.extend(automatic);
    }
    of
}

/// The VPN whose VRF a network shares with the VPN's other networks: the only one that it is in, if they reach one another by
/// it and no router has the network.
pub(super) fn shared(model: &Model, network: Id) -> Option<Id> {
    if model.routers_of(network).next().is_some() {
        return None;
    }
    let mut vpns = vpns_of(model, Member::Network(network), BgpvpnType::L3);
    let (_, bgpvpn, role) = vpns.next()?;
    let is_mutual = role.is_none() && !imports(bgpvpn, role).is_disjoint(&exports(bgpvpn, role));
    (is_mutual && vpns.next().is_none()).then_some(bgpvpn.standard.id)
}

/// The networks that share a VPN's VRF.
pub(super) fn networks(model: &Model, bgpvpn: Id) -> impl Iterator<Item = Id> + use<'_> {
    let networks = model.members_of(bgpvpn).filter(|(kind, _)| *kind == RowKind::Network);
    networks.map(|(_, network)| network).filter(move |network| shared(model, *network) == Some(bgpvpn))
}

/// What is announced because of a port that is in these routers.
pub(super) fn declared_for(model: &Model, port: &ServicePort, routers: &[Id]) -> Declared {
    let mut declared = Declared::default();
    declared.add_whole(model, Member::Network(port.service_id), port);
    for router in routers {
        declared.add_whole(model, Member::Router(*router), port);
        declared.add_extra_routes(model, *router, port);
    }
    declared.add_own(model, port);
    declared
}

impl Declared {
    /// What a network or a router that a port is of is associated with.
    fn add_whole(&mut self, model: &Model, whole: Member, port: &ServicePort) {
        self.own_addresses.extend(of(model, whole).export);
        for (association, bgpvpn, role) in vpns_of(model, whole, BgpvpnType::L3) {
            let targets = exports(bgpvpn, role);
            self.add_static_routes(bgpvpn, &targets, port);
            // A router has extra routes to say what the way to everything is.
            if matches!(whole, Member::Network(_)) && !model.is_associated_with(port.standard.id, bgpvpn) {
                let by = (RowKind::BgpvpnNetworkAssociation, association);
                self.add_defaults((bgpvpn, role), (port, by), &targets);
            }
        }
    }

    /// The way to everything, by a port of a network that is a hub: unless the VPN's static routes say what that is.
    fn add_defaults(
        &mut self,
        (bgpvpn, role): (&Bgpvpn, Option<Role>),
        (port, by): (&ServicePort, (RowKind, Id)),
        targets: &BTreeSet<RouteTarget>,
    ) {
        let is_given = |prefix: &IpNet| bgpvpn.static_routes.iter().any(|route| route.destination == *prefix);
        for destination in defaults(role).filter(|prefix| !is_given(prefix)) {
            let Some(via) = address_like(port, destination.addr()) else { continue };
            let (local_pref, multipath, export_targets) = (bgpvpn.local_pref, None, targets.clone());
            self.routes.push(DeclaredRoute { destination, via, local_pref, multipath, by, export_targets });
        }
    }

    /// What a port itself is associated with.
    fn add_own(&mut self, model: &Model, port: &ServicePort) {
        for (association, bgpvpn, role) in vpns_of(model, Member::Port(port.standard.id), BgpvpnType::L3) {
            let Some(row) = model.bgpvpn_port_associations.get(&association) else { continue };
            let targets = exports(bgpvpn, role);
            if row.advertise_fixed_ips {
                self.own_addresses.extend(&targets);
            }
            self.add_static_routes(bgpvpn, &targets, port);
            let by = (RowKind::BgpvpnPortAssociation, association);
            for route in row.all_routes() {
                self.add_route(model, (bgpvpn, route), (port, by), &targets);
            }
        }
    }

    /// A route of a port's association with a VPN.
    fn add_route(
        &mut self,
        model: &Model,
        (bgpvpn, route): (&Bgpvpn, PortRoute),
        (port, by): (&ServicePort, (RowKind, Id)),
        targets: &BTreeSet<RouteTarget>,
    ) {
        let export_targets = targets.clone();
        match route {
            PortRoute::Prefix { prefix: destination, local_pref, multipath } => {
                let Some(via) = address_like(port, destination.addr()) else { return };
                let local_pref = local_pref.or(bgpvpn.local_pref);
                self.routes.push(DeclaredRoute {
                    destination,
                    via,
                    local_pref,
                    multipath,
                    by,
                    export_targets,
                });
            }
            // A VPN has its own routes already.
            PortRoute::Bgpvpn { bgpvpn_id, .. } if bgpvpn_id == bgpvpn.standard.id => {}
            PortRoute::Bgpvpn { bgpvpn_id, local_pref, multipath } => {
                let Some(other) = model.l3_vpn(bgpvpn_id) else { return };
                let local_pref = local_pref.or(bgpvpn.local_pref);
                // All that any of its members has routes to.
                let imports = imports(other, Some(Role::Hub));
                self.leaks.push(DeclaredLeak { imports, local_pref, multipath, by, export_targets });
            }
        }
    }

    fn add_static_routes(&mut self, bgpvpn: &Bgpvpn, targets: &BTreeSet<RouteTarget>, port: &ServicePort) {
        let by = (RowKind::Bgpvpn, bgpvpn.standard.id);
        for route in bgpvpn.static_routes.iter().filter(|route| has_address(port, route.nexthop)) {
            self.routes.push(DeclaredRoute {
                destination: route.destination,
                via: route.nexthop,
                local_pref: route.local_pref.or(bgpvpn.local_pref),
                multipath: route.multipath,
                by,
                export_targets: targets.clone(),
            });
        }
    }

    fn add_extra_routes(&mut self, model: &Model, id: Id, port: &ServicePort) {
        let Some(router) = model.routers.get(&id) else { return };
        let vpns = membership(model, Member::Router(id), BgpvpnType::L3);
        let vpns = vpns.filter(|vpns| vpns.advertise_extra_routes).map(|vpns| vpns.export);
        let mut advertised = automatic::targets(model, id);
        advertised.extend(vpns.into_iter().flatten());
        for route in router.routes.iter().filter(|route| has_address(port, route.nexthop)) {
            self.routes.push(DeclaredRoute {
                destination: route.destination,
                via: route.nexthop,
                local_pref: None,
                multipath: None,
                by: (RowKind::Router, id),
                export_targets: advertised.clone(),
            });
        }
    }
}

fn has_address(port: &ServicePort, address: IpAddr) -> bool {
    port.fixed_ips.iter().any(|fixed_ip| fixed_ip.ip_address == address)
}

/// The first address of a port that is of the same version as another.
fn address_like(port: &ServicePort, other: IpAddr) -> Option<IpAddr> {
    let mut addresses = port.fixed_ips.iter().map(|fixed_ip| fixed_ip.ip_address);
    addresses.find(|address| address.is_ipv4() == other.is_ipv4())
}

/// What is associated by rows of VPNs of which one is something else than it was, or has targets by those of speakers.
pub(super) fn associated_by(model: &Model, row: &Row, rows: [Option<&Row>; 2]) -> Vec<(RowKind, Id)> {
    match row {
        Row::Bgpvpn(bgpvpn) => match rows {
            [Some(Row::Bgpvpn(before)), Some(Row::Bgpvpn(after))] if !before.differs_in_routing(after) => {
                Vec::new()
            }
            _ => model.members_of(bgpvpn.standard.id).collect(),
        },
        Row::BgpSpeaker(_) if automatic::is_same_system(rows) => Vec::new(),
        Row::BgpSpeaker(_) => automatic::routers(model).map(|id| (RowKind::Router, id)).collect(),
        Row::BgpvpnNetworkAssociation(row) => vec![(RowKind::Network, row.network_id)],
        Row::BgpvpnRouterAssociation(row) => vec![(RowKind::Router, row.router_id)],
        Row::BgpvpnPortAssociation(row) => vec![(RowKind::ServicePort, row.service_port_id)],
        _ => Vec::new(),
    }
}

impl Model {
    /// The routers, networks and bindings that are in a VPN.
    pub(crate) fn members_of(&self, bgpvpn: Id) -> impl Iterator<Item = (RowKind, Id)> + use<'_> {
        let kinds = [
            RowKind::BgpvpnNetworkAssociation,
            RowKind::BgpvpnRouterAssociation,
            RowKind::BgpvpnPortAssociation,
        ];
        let of_kind = move |kind| self.referring((RowKind::Bgpvpn, bgpvpn), kind).map(move |id| (kind, id));
        kinds.into_iter().flat_map(of_kind).filter_map(|(kind, id)| self.associated_with(kind, id))
    }

    /// What an association of this kind is with a VPN.
    pub(super) fn associated_with(&self, kind: RowKind, id: Id) -> Option<(RowKind, Id)> {
        match kind {
            RowKind::BgpvpnNetworkAssociation => {
                Some((RowKind::Network, self.bgpvpn_network_associations.get(&id)?.network_id))
            }
            RowKind::BgpvpnRouterAssociation => {
                Some((RowKind::Router, self.bgpvpn_router_associations.get(&id)?.router_id))
            }
            RowKind::BgpvpnPortAssociation => {
                Some((RowKind::ServicePort, self.bgpvpn_port_associations.get(&id)?.service_port_id))
            }
            _ => None,
        }
    }

    /// The VPNs that a network is in.
    pub(super) fn vpns_of_network(&self, network: Id) -> impl Iterator<Item = Id> + use<'_> {
        let by = RowKind::BgpvpnNetworkAssociation;
        let associations = self.referring((RowKind::Network, network), by);
        associations.filter_map(|id| Some(self.bgpvpn_network_associations.get(&id)?.bgpvpn_id))
    }

    /// Whether a binding is in a VPN by itself.
    pub(super) fn is_associated(&self, binding: Id) -> bool {
        self.referring((RowKind::ServicePort, binding), RowKind::BgpvpnPortAssociation).next().is_some()
    }

    /// Whether a binding is in this VPN by itself.
    fn is_associated_with(&self, binding: Id, bgpvpn: &Bgpvpn) -> bool {
        let mut vpns = vpns_of(self, Member::Port(binding), bgpvpn.kind);
        vpns.any(|(_, own, _)| own.standard.id == bgpvpn.standard.id)
    }

    fn l3_vpn(&self, id: Id) -> Option<&Bgpvpn> {
        self.bgpvpns.get(&id).map(|bgpvpn| &**bgpvpn).filter(|bgpvpn| bgpvpn.kind == BgpvpnType::L3)
    }

    /// Whether what another VPN has routes to is declared to be behind a port.
    pub(super) fn has_leaks(&self, binding: Id) -> bool {
        let mut associations =
            self.referring((RowKind::ServicePort, binding), RowKind::BgpvpnPortAssociation);
        associations.any(|id| {
            let row = self.bgpvpn_port_associations.get(&id);
            row.is_some_and(|row| row.leaks().any(|other| self.l3_vpn(other).is_some()))
        })
    }
}
