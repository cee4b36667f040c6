//! What VPNs have VRFs do: the targets of the associations of a router, a network or a port, and the routes that are declared.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::{RouteDistinguisher, RouteTarget, Vni};

use crate::bgpvpn::{Bgpvpn, BgpvpnType, Member, Multipath, PortRoute, exports, membership};
use crate::core::ServicePort;
use crate::{Id, Model, Row, RowKind};

/// What associations with VPNs call for, of all of one router, network or port together.
#[derive(Default)]
pub(super) struct Associated {
    pub(super) import_targets: BTreeSet<RouteTarget>,
    pub(super) export_targets: BTreeSet<RouteTarget>,
    pub(super) route_distinguishers: Vec<RouteDistinguisher>,
    pub(super) local_pref: Option<u32>,
    pub(super) vni: Option<Vni>,
    pub(super) multipath: Multipath,
    /// Whether there are any.
    pub(super) any: bool,
}

/// What is announced because of a port.
#[derive(Default)]
pub(super) struct Declared {
    /// Who imports its own addresses.
    pub(super) own_addresses: BTreeSet<RouteTarget>,
    pub(super) routes: Vec<DeclaredRoute>,
}

/// A destination that is declared to be behind a port.
pub(super) struct DeclaredRoute {
    pub(super) destination: IpNet,
    pub(super) via: IpAddr,
    pub(super) local_pref: Option<u32>,
    pub(super) by: (RowKind, Id),
    pub(super) export_targets: BTreeSet<RouteTarget>,
}

/// What the associations of a router, a network or a binding call for.
pub(super) fn of(model: &Model, what: (RowKind, Id)) -> Associated {
    let member = match what {
        (RowKind::Router, id) => Member::Router(id),
        (RowKind::Network, id) => Member::Network(id),
        (_, id) => Member::Port(id),
    };
    let Some(membership) = membership(model, member, BgpvpnType::L3) else { return Associated::default() };
    Associated {
        import_targets: membership.import,
        export_targets: membership.export,
        route_distinguishers: membership.route_distinguishers.into_iter().collect(),
        local_pref: membership.local_pref,
        vni: membership.vni,
        multipath: membership.multipath,
        any: true,
    }
}

/// The VPN whose VRF a network shares with the VPN's other networks: the only one that it is in, if they reach one another by
/// it and no router has the network.
pub(super) fn shared(model: &Model, network: Id) -> Option<Id> {
    if model.routers_of(network).next().is_some() {
        return None;
    }
    let mut vpns = model.l3_vpns_of((RowKind::Network, network));
    let (bgpvpn, role) = vpns.next()?;
    let mut imports = bgpvpn.route_targets.iter().chain(&bgpvpn.import_targets);
    let exports = exports(bgpvpn, role);
    let is_mutual = role.is_none() && imports.any(|target| exports.contains(target));
    (is_mutual && vpns.next().is_none()).then_some(bgpvpn.standard.id)
}

/// What is announced because of a port that is in these routers.
pub(super) fn declared_for(model: &Model, port: &ServicePort, routers: &[Id]) -> Declared {
    let mut declared = Declared::default();
    declared.add_whole(model, (RowKind::Network, port.service_id), port);
    for router in routers {
        declared.add_whole(model, (RowKind::Router, *router), port);
        declared.add_extra_routes(model, *router, port);
    }
    declared.add_own(model, port);
    declared
}

impl Declared {
    /// What a network or a router that a port is of is associated with.
    fn add_whole(&mut self, model: &Model, whole: (RowKind, Id), port: &ServicePort) {
        self.own_addresses.extend(of(model, whole).export_targets);
        for (bgpvpn, role) in model.l3_vpns_of(whole) {
            self.add_static_routes(bgpvpn, &exports(bgpvpn, role), port);
        }
    }

    /// What a port itself is associated with.
    fn add_own(&mut self, model: &Model, port: &ServicePort) {
        let id = port.standard.id;
        for association in model.referring((RowKind::ServicePort, id), RowKind::BgpvpnPortAssociation) {
            let Some(row) = model.bgpvpn_port_associations.get(&association) else { continue };
            let Some(bgpvpn) = model.l3_vpn(row.bgpvpn_id) else { continue };
            let targets = exports(bgpvpn, row.role);
            if row.advertise_fixed_ips {
                self.own_addresses.extend(&targets);
            }
            self.add_static_routes(bgpvpn, &targets, port);
            let by = (RowKind::BgpvpnPortAssociation, association);
            for route in row.all_routes() {
                let PortRoute::Prefix { prefix, local_pref } = route else { continue };
                let local_pref = local_pref.or(bgpvpn.local_pref);
                let Some(via) = address_like(port, prefix) else { continue };
                let export_targets = targets.clone();
                self.routes.push(DeclaredRoute { destination: prefix, via, local_pref, by, export_targets });
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
                by,
                export_targets: targets.clone(),
            });
        }
    }

    fn add_extra_routes(&mut self, model: &Model, id: Id, port: &ServicePort) {
        let Some(router) = model.routers.get(&id) else { return };
        let advertised = membership(model, Member::Router(id), BgpvpnType::L3)
            .filter(|membership| membership.advertise_extra_routes)
            .map(|membership| membership.export)
            .unwrap_or_default();
        for route in router.routes.iter().filter(|route| has_address(port, route.nexthop)) {
            self.routes.push(DeclaredRoute {
                destination: route.destination,
                via: route.nexthop,
                local_pref: None,
                by: (RowKind::Router, id),
                export_targets: advertised.clone(),
            });
        }
    }
}

fn has_address(port: &ServicePort, address: IpAddr) -> bool {
    port.fixed_ips.iter().any(|fixed_ip| fixed_ip.ip_address == address)
}

/// The first address of a port that is of the same version as a prefix.
fn address_like(port: &ServicePort, prefix: IpNet) -> Option<IpAddr> {
    let mut addresses = port.fixed_ips.iter().map(|fixed_ip| fixed_ip.ip_address);
    addresses.find(|address| address.is_ipv4() == prefix.addr().is_ipv4())
}

/// What is associated by rows of VPNs of which one is something else than it was.
pub(super) fn associated_by(model: &Model, row: &Row, rows: [Option<&Row>; 2]) -> Vec<(RowKind, Id)> {
    match row {
        Row::Bgpvpn(bgpvpn) => match rows {
            [Some(Row::Bgpvpn(before)), Some(Row::Bgpvpn(after))] if !before.differs_in_routing(after) => {
                Vec::new()
            }
            _ => model.members_of(bgpvpn.standard.id).collect(),
        },
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

    fn l3_vpn(&self, id: Id) -> Option<&Bgpvpn> {
        self.bgpvpns.get(&id).map(|bgpvpn| &**bgpvpn).filter(|bgpvpn| bgpvpn.kind == BgpvpnType::L3)
    }

    /// The L3 VPNs that a network or a router is in, each with its part there.
    fn l3_vpns_of(
        &self,
        (kind, id): (RowKind, Id),
    ) -> impl Iterator<Item = (&Bgpvpn, Option<crate::bgpvpn::Role>)> {
        let by = match kind {
            RowKind::Network => RowKind::BgpvpnNetworkAssociation,
            _ => RowKind::BgpvpnRouterAssociation,
        };
        self.referring((kind, id), by).filter_map(move |association| {
            let (bgpvpn, role) = match by {
                RowKind::BgpvpnNetworkAssociation => {
                    let row = self.bgpvpn_network_associations.get(&association)?;
                    (row.bgpvpn_id, row.role)
                }
                _ => {
                    let row = self.bgpvpn_router_associations.get(&association)?;
                    (row.bgpvpn_id, row.role)
                }
            };
            Some((self.l3_vpn(bgpvpn)?, role))
        })
    }
}
