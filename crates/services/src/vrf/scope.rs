//! Which VRF a port is in, and what a router, a network or a port calls for.

use std::collections::BTreeSet;

use weft_net::{RouteDistinguisher, Vni};

use crate::bgpvpn::{Member, Membership, Multipath};
use crate::core::ServicePort;
use crate::vrf::{Scope, Target, member, vpn};
use crate::{Id, Model, RowKind};

/// What a VRF is to be, but for the identifiers that are chosen for it.
pub(super) struct Wanted {
    pub(super) scope: Scope,
    pub(super) imports: BTreeSet<Target>,
    pub(super) exports: BTreeSet<Target>,
    pub(super) route_distinguishers: Vec<RouteDistinguisher>,
    pub(super) local_pref: Option<u32>,
    pub(super) multipath: Multipath,
    /// The VNI that was asked for.
    pub(super) vni: Option<Vni>,
}

impl Model {
    /// The routers that a network is attached to.
    pub(crate) fn routers_of(&self, network: Id) -> impl Iterator<Item = Id> + use<'_> {
        let interfaces = self.referring((RowKind::Network, network), RowKind::RouterInterface);
        let routers: BTreeSet<Id> =
            interfaces.filter_map(|id| Some(self.router_interfaces.get(&id)?.router_id)).collect();
        routers.into_iter()
    }

    /// The networks that are attached to a router.
    pub(crate) fn networks_of(&self, router: Id) -> impl Iterator<Item = Id> + use<'_> {
        let interfaces = self.referring((RowKind::Router, router), RowKind::RouterInterface);
        let networks: BTreeSet<Id> =
            interfaces.filter_map(|id| Some(self.router_interfaces.get(&id)?.network_id)).collect();
        networks.into_iter()
    }

    /// The subnets of a network that are attached to a router.
    pub(crate) fn subnets_attached(&self, router: Id, network: Id) -> BTreeSet<Id> {
        let interfaces = self.referring((RowKind::Network, network), RowKind::RouterInterface);
        let interfaces = interfaces.filter_map(|id| self.router_interfaces.get(&id));
        let own = interfaces.filter(|interface| interface.router_id == router);
        own.flat_map(|interface| interface.subnet_ids.iter().copied()).collect()
    }

    /// The VRFs that the ports of a network are in which have none of their own.
    pub(crate) fn vrfs_of_network(&self, network: Id) -> Vec<Id> {
        if self.vrfs.contains_key(&network) {
            return vec![network];
        }
        if let Some(vpn) = vpn::shared(self, network).filter(|vpn| self.vrfs.contains_key(vpn)) {
            return vec![vpn];
        }
        let is_up = |router: &Id| self.routers.get(router).is_some_and(|router| router.admin_state_up);
        self.routers_of(network).filter(|router| is_up(router) && self.vrfs.contains_key(router)).collect()
    }

    /// The VRFs that a binding is in: its own, or its network's. What is reached by routing alone is in one at most.
    pub(crate) fn vrfs_of(&self, binding: &ServicePort) -> Vec<Id> {
        if self.vrfs.contains_key(&binding.standard.id) {
            return vec![binding.standard.id];
        }
        let mut vrfs = self.vrfs_of_network(binding.service_id);
        if self.is_routed(binding) {
            vrfs.truncate(1);
        }
        vrfs
    }

    /// The VRF that a binding is in which is reached by routing alone.
    pub(crate) fn vrf_of_routed(&self, binding: &ServicePort) -> Option<Id> {
        member::entries(self, binding.standard.id).members.first().map(|(vrf, ..)| *vrf)
    }
}

/// What a router calls for: it connects its networks, and those of the VPNs that it is in.
pub(super) fn of_router(model: &Model, id: Id) -> Option<Wanted> {
    let router = model.routers.get(&id)?;
    let own = vpn::of(model, Member::Router(id));
    let mut wanted = Wanted::of(Scope::Router, &[&own]);
    wanted.imports.insert(Target::Router(id));
    wanted.exports.insert(Target::Router(id));
    wanted.vni = router.evpn_vni.or(wanted.vni);
    Some(wanted)
}

/// What a VPN calls for: one for all its networks that have no other, if there are any.
pub(super) fn of_vpn(model: &Model, id: Id) -> Option<Wanted> {
    let bgpvpn = model.bgpvpns.get(&id)?;
    let network = vpn::networks(model, bgpvpn.standard.id).next()?;
    Some(Wanted::of(Scope::Vpn, &[&vpn::of(model, Member::Network(network))]))
}

/// What a network calls for: one of its own where it is in VPNs of its own, or nothing else routes what needs to be routed.
pub(super) fn of_network(model: &Model, id: Id) -> Option<Wanted> {
    let network = model.networks.get(&id)?;
    if vpn::shared(model, id).is_some() {
        return None;
    }
    let own = vpn::of(model, Member::Network(id));
    let routers: Vec<Id> = model.routers_of(id).collect();
    let needs_routing = !network.l2_adjacency || model.has_anycast(id);
    let is_needed = !own.bgpvpns.is_empty() || (needs_routing && routers.is_empty());
    if !is_needed {
        return None;
    }
    let mut wanted = Wanted::of(Scope::Network, &[&own]);
    for router in routers {
        let whole = vpn::of(model, Member::Router(router));
        wanted.imports.insert(Target::Router(router));
        wanted.exports.insert(Target::Router(router));
        wanted.add(&whole);
    }
    Some(wanted)
}

/// What a binding calls for: one of its own where it sees more, or less, than its network's other ports do.
pub(super) fn of_port(model: &Model, id: Id) -> Option<Wanted> {
    let port = model.service_ports.get(&id)?;
    let own = vpn::of(model, Member::Port(id));
    if own.bgpvpns.is_empty() {
        return None;
    }
    let network = vpn::of(model, Member::Network(port.service_id));
    let mut wanted = Wanted::of(Scope::Port, &[&own, &network]);
    for router in model.routers_of(port.service_id) {
        wanted.imports.insert(Target::Router(router));
        wanted.exports.insert(Target::Router(router));
        wanted.add(&vpn::of(model, Member::Router(router)));
    }
    let shared = vpn::shared(model, port.service_id).and_then(|vpn| of_vpn(model, vpn));
    let parent = of_network(model, port.service_id).or(shared);
    let parents: BTreeSet<Target> = match &parent {
        Some(parent) => parent.imports.clone(),
        None => router_imports(model, port.service_id),
    };
    // Where the network's own VRF is there only to connect all its ports, who is in a VPN of his own is not to be one of them.
    let is_plain = parent.is_some_and(|parent| parent.imports.is_empty() && parent.exports.is_empty());
    // Whoever comes for what a VPN leaks is to be told from who comes for the same by the network's own routes.
    let is_apart = is_plain || model.has_leaks(id);
    (is_apart || !wanted.imports.is_subset(&parents)).then_some(wanted)
}

fn router_imports(model: &Model, network: Id) -> BTreeSet<Target> {
    let routers = model.routers_of(network).filter_map(|router| of_router(model, router));
    routers.flat_map(|router| router.imports).collect()
}

impl Wanted {
    fn of(scope: Scope, memberships: &[&Membership]) -> Self {
        let mut wanted = Self {
            scope,
            imports: BTreeSet::new(),
            exports: BTreeSet::new(),
            route_distinguishers: Vec::new(),
            local_pref: None,
            multipath: Multipath::Ecmp,
            vni: None,
        };
        memberships.iter().for_each(|one| wanted.add(one));
        wanted
    }

    /// What is in several VPNs has the targets of all, the highest preference, and fails over if one of them says so.
    fn add(&mut self, membership: &Membership) {
        self.imports.extend(membership.import.iter().copied().map(Target::Route));
        self.exports.extend(membership.export.iter().copied().map(Target::Route));
        let given =
            membership.route_distinguishers.iter().filter(|rd| !self.route_distinguishers.contains(rd));
        let given: Vec<RouteDistinguisher> = given.copied().collect();
        self.route_distinguishers.extend(given);
        self.local_pref = self.local_pref.max(membership.local_pref);
        self.multipath = self.multipath.max(membership.multipath);
        self.vni = self.vni.or(membership.vni);
    }
}
