//! Who is told what of a VRF.
//!
//! ```text
//!  subject        on its own hosts                                     on every other host of the VRF
//!  host           the VRF, its VXLAN device, gateways of its networks  –
//!  service port   a gateway of its own, where it has one               –
//!  prefix         a route to the ports there, and to those elsewhere   a route to the hosts, each with its weight
//!  MAC address    –                                                    how the router of others is reached that has it
//! ```
//!
//! A route's fragment has with it what it takes to reach the hosts it leads to; the routers of others stand for themselves.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;
use weft_net::{Capability, HostName};

use crate::announce::Announcement;
use crate::compile::{Compiled, FragmentKey, Service, Step, Subject};
use crate::departure::{Presence, waits};
use crate::network::compile as network_compile;
use crate::vrf::announce::{announcements, routes_of_all};
use crate::vrf::distinguisher::given_around;
use crate::vrf::gateway::{gateway_changes, network_gateway, on_port, subnets_of};
use crate::vrf::leak::Leak;
use crate::vrf::prefix::to_prefix;
use crate::vrf::{Vrf, member, objects, outside, usable};
use crate::{Exclusive, Fact, Host, Id, Model, Row, RowKey, RowKind};

/// VRFs; the hosts with ports in one follow it.
pub(crate) struct Vrfs;

impl Service for Vrfs {
    fn kind(&self) -> RowKind {
        RowKind::Vrf
    }

    fn followers(&self, model: &Model, vrf: Id) -> Vec<HostName> {
        if waits(model, Vrf::key(vrf)) {
            return Vec::new();
        }
        model.hosts_of_vrf(vrf).filter(|host| takes_part(model, vrf, host)).cloned().collect()
    }

    fn followed_by(&self, model: &Model, host: &HostName) -> Vec<Id> {
        let bindings = model.ports_on(host).flat_map(|port| model.service_ports_on(port));
        let vrfs: BTreeSet<Id> =
            bindings.flat_map(|id| member::entries(model, id).members).map(|entry| entry.0).collect();
        vrfs.into_iter().filter(|vrf| takes_part(model, *vrf, host)).collect()
    }

    fn subjects(&self, model: &Model, id: Id) -> Vec<Subject> {
        let Some(vrf) = model.vrfs.get(&id) else { return Vec::new() };
        let hosts = model.hosts_of_vrf(id).map(|host| Subject::Row(RowKey::Host(host.clone())));
        let prefixes = model.prefixes_of(vrf).into_iter().chain(subnets_of(model, vrf));
        let prefixes: BTreeSet<IpNet> = prefixes.collect();
        let ports =
            model.ports_of_vrf(id).map(|port| Subject::Row(RowKey::Resource(RowKind::ServicePort, port)));
        let routers = model.facts().routers().of_vrf(id).map(Subject::Mac);
        hosts.chain(ports).chain(prefixes.into_iter().map(Subject::Prefix)).chain(routers).collect()
    }

    fn at_home(&self, model: &Model, host: &HostName) -> Vec<FragmentKey> {
        let mut home = BTreeSet::new();
        for binding in model.ports_on(host).flat_map(|port| model.service_ports_on(port)) {
            touched_by_port(model, binding, &mut home, Cause::Looked);
        }
        home.into_iter().collect()
    }

    fn compile(&self, model: &Model, id: Id, subject: &Subject) -> Option<Compiled> {
        let vrf = model.vrfs.get(&id)?;
        match subject {
            Subject::Row(RowKey::Host(host)) => on_host(model, vrf, host),
            Subject::Row(RowKey::Resource(RowKind::ServicePort, port)) => on_port(model, vrf, *port),
            Subject::Row(_) | Subject::Endpoint(_) => None,
            Subject::Prefix(prefix) => to_prefix(model, vrf, *prefix),
            Subject::Mac(router) => outside::to_router(model, vrf, *router),
        }
    }

    fn touched(&self, model: &Model, step: &Step<'_>, touched: &mut BTreeSet<FragmentKey>) {
        let rows = [step.before, step.after].map(|model| model.row(&step.row));
        let rows = [rows[0].as_ref(), rows[1].as_ref()];
        let around = rows.into_iter().flatten().flat_map(|row| member::ports_around(model, row, rows));
        let mut ports: BTreeSet<Id> = around.collect();
        match &step.row {
            RowKey::Resource(RowKind::Vrf, id) => {
                self.touch_all(model, *id, touched);
                // Of a network: then its routers no longer have its subnets, or have them again.
                touched_by_network(model, *id, touched);
                // What it has learned may be leaked, or no longer.
                let learned: Vec<IpNet> = model.facts().destinations(*id).collect();
                touched_by_learned(model, *id, learned, touched);
                let vni = |model: &Model| model.vrfs.get(id).map(|vrf| vrf.vni);
                let [was, is] = [vni(step.before), vni(step.after)];
                let changed = [was, is].into_iter().flatten().filter(|_| was != is);
                changed.for_each(|vni| usable::touched_by_vni(model, vni, touched));
            }
            RowKey::Resource(RowKind::Subnet, id) => touched_by_subnet(model, *id, touched),
            RowKey::Resource(RowKind::RouterInterface | RowKind::BgpvpnNetworkAssociation, _) => {
                let networks = rows.into_iter().flatten().filter_map(network_of);
                networks.for_each(|network| touched_by_network(model, network, touched));
            }
            // The port of a router's interface: gateways have its addresses.
            RowKey::Resource(RowKind::ServicePort, id)
                if model
                    .referring((RowKind::ServicePort, *id), RowKind::RouterInterface)
                    .next()
                    .is_some() =>
            {
                let network = model.service_ports.get(id).map(|port| port.service_id);
                network.into_iter().for_each(|network| touched_by_network(model, network, touched));
            }
            RowKey::Resource(RowKind::Network, id) if network_compile::differs(step, *id) => {
                ports.extend(model.bindings_to(*id));
                touched_by_network(model, *id, touched);
            }
            RowKey::Host(host) => {
                ports.extend(model.ports_on(host).flat_map(|port| model.service_ports_on(port)));
                self.touched_by_host(model, step, host, touched);
            }
            RowKey::Departure(what, _) => {
                let owner = model.owner_of(what).filter(|owner| owner.kind == self.kind());
                if let Some(owner) =
                    owner.filter(|owner| waits(step.before, *owner) != waits(step.after, *owner))
                {
                    ports.extend(model.ports_of_vrf(owner.id));
                    self.touch_all(model, owner.id, touched);
                }
            }
            RowKey::Resource(..) => {}
        }
        self.touched_by_labels(model, step, &ports, touched);
        ports.into_iter().for_each(|port| touched_by_port(model, port, touched, Cause::Step(step)));
    }

    fn touched_by(&self, around: [&Model; 2], fact: &Fact, touched: &mut BTreeSet<FragmentKey>) {
        match fact {
            Fact::Routes { vrf, destination, .. } => {
                for model in around {
                    touched_by_learned(model, *vrf, [*destination], touched);
                }
                usable::touched_with(around, (*vrf, *destination), touched);
            }
            Fact::Carrier { port, .. } => {
                for model in around {
                    let bindings = model.service_ports_on(*port).into_iter();
                    bindings.for_each(|binding| touched_by_port(model, binding, touched, Cause::Fact));
                }
            }
            Fact::Mac { .. } | Fact::Endpoint { .. } => {}
        }
    }

    fn exclusives(&self, model: &Model, id: Id) -> Vec<Exclusive> {
        model.vrfs.get(&id).map(|vrf| vrf.exclusives().to_vec()).unwrap_or_default()
    }

    fn presences(&self, model: &Model, row: &RowKey) -> Vec<Presence> {
        if let RowKey::Resource(RowKind::Vrf, id) = row {
            return model.hosts_of_vrf(*id).map(|host| (Vrf::key(*id), host.clone())).collect();
        }
        let Some(found) = model.row(row) else { return Vec::new() };
        let ports: BTreeSet<Id> =
            member::ports_around(model, &found, [Some(&found), None]).into_iter().collect();
        let members = ports.into_iter().flat_map(|port| member::entries(model, port).members);
        let presences: BTreeSet<Presence> = members.map(|(vrf, host, _)| (Vrf::key(vrf), host)).collect();
        presences.into_iter().collect()
    }

    fn is_on(&self, model: &Model, vrf: Id, host: &HostName) -> bool {
        model.vrf_is_on(vrf, host)
    }

    fn may_announce(&self, subject: &Subject) -> bool {
        matches!(subject, Subject::Prefix(_))
    }

    fn announcements(&self, model: &Model, vrf: Id, subject: &Subject) -> Vec<Announcement> {
        let Subject::Prefix(prefix) = subject else { return Vec::new() };
        announcements(model, vrf, *prefix).into_iter().map(Announcement::Routed).collect()
    }

    fn announcing(&self, model: &Model) -> Vec<FragmentKey> {
        routes_of_all(model)
    }
}

impl Vrfs {
    /// What a host touches besides its ports.
    fn touched_by_host(
        &self,
        model: &Model,
        step: &Step<'_>,
        host: &HostName,
        touched: &mut BTreeSet<FragmentKey>,
    ) {
        usable::touched_by_host(model, step, host, touched);
        let labels =
            |model: &Model| model.host(host).map(|host| (host.fact.has_mpls(), host.fact.prefers_mpls()));
        // Then its routes to all others may be other ones.
        if labels(step.before) != labels(step.after) {
            let vrfs = self.followed_by(model, host).into_iter();
            vrfs.for_each(|vrf| self.touch_all(model, vrf, touched));
        }
        let given = given_around(step).into_iter().filter(|(kind, _)| *kind == RowKind::Vrf);
        given.for_each(|(_, vrf)| self.touch_all(model, vrf, touched));
    }

    /// What it touches that a VRF comes to a host with MPLS, or leaves it: routes are other ones there.
    fn touched_by_labels(
        &self,
        model: &Model,
        step: &Step<'_>,
        ports: &BTreeSet<Id>,
        touched: &mut BTreeSet<FragmentKey>,
    ) {
        let members = ports.iter().flat_map(|port| member::entries(model, *port).members);
        let places: BTreeSet<(Id, HostName)> = members.map(|(vrf, host, _)| (vrf, host)).collect();
        for (vrf, host) in places {
            let [was, is] = [step.before, step.after].map(|model| model.vrf_is_on(vrf, &host));
            let Some(host) = model.host(&host).filter(|host| was != is && host.fact.has_mpls()) else {
                continue;
            };
            if host.fact.prefers_mpls() {
                self.touch_all(model, vrf, touched);
            } else {
                let learned = model.facts().destinations(vrf);
                touched.extend(learned.map(|destination| fragment(vrf, Subject::Prefix(destination))));
            }
        }
    }

    fn touch_all(&self, model: &Model, id: Id, touched: &mut BTreeSet<FragmentKey>) {
        touched.extend(self.subjects(model, id).into_iter().map(|subject| fragment(id, subject)));
        let Some(vrf) = model.vrfs.get(&id) else { return };
        // Whether those that it imports from, or that import from it, need a way to it on their hosts.
        for peer in model.peers_of(vrf).collect::<BTreeSet<Id>>() {
            let hosts = model.hosts_of_vrf(peer).map(|host| fragment(peer, RowKey::Host(host.clone())));
            touched.extend(hosts);
        }
    }
}

fn fragment(vrf: Id, subject: impl Into<Subject>) -> FragmentKey {
    FragmentKey::new(RowKind::Vrf, vrf, subject)
}

/// Whether a VRF is on a host that can have it, and can send to others. None is while it waits for its identifiers.
pub(crate) fn takes_part(model: &Model, vrf: Id, host: &HostName) -> bool {
    let can = |host: &Arc<Host>| {
        let needed = [Capability::VrfDevice, Capability::VrfNamespace];
        let has_vrfs = needed.iter().any(|capability| host.fact.capabilities.contains(capability));
        has_vrfs && host.fact.tunnel_endpoint.is_some()
    };
    !waits(model, Vrf::key(vrf)) && model.vrf_is_on(vrf, host) && model.host(host).is_some_and(can)
}

/// Why it is asked what a port touches.
#[derive(Clone, Copy)]
enum Cause<'s> {
    /// Its host has come: what of it is at home there.
    Looked,
    /// Something was learned of it: gateways stay as they are.
    Fact,
    /// A row was written.
    Step(&'s Step<'s>),
}

/// What a port touches: its own fragment, its host's, and its paths, in every VRF that imports them.
fn touched_by_port(model: &Model, id: Id, touched: &mut BTreeSet<FragmentKey>, cause: Cause<'_>) {
    let entries = member::entries(model, id);
    let with_importers = !matches!(cause, Cause::Looked);
    for (vrf, host, network) in entries.members {
        if let Cause::Step(step) = cause
            && gateway_changes(step, vrf, &host, (network, id))
        {
            touched_by_gateway(model, (vrf, network), touched);
        }
        touched.insert(fragment(vrf, RowKey::Host(host)));
        touched.insert(fragment(vrf, RowKey::Resource(RowKind::ServicePort, id)));
    }
    for (prefix, path, targets) in entries.paths {
        touched.insert(fragment(path.vrf, Subject::Prefix(prefix)));
        if with_importers {
            let importers = model.importers_of(&targets).into_iter();
            touched.extend(importers.map(|vrf| fragment(vrf, Subject::Prefix(prefix))));
            for leak in model.leaks_from(&targets) {
                touched_by_leak(model, leak, [prefix], touched);
            }
        }
    }
    for leak in entries.leaks {
        let prefixes: BTreeSet<IpNet> = model.leaked_prefixes(&leak).collect();
        if with_importers {
            touched_by_leak(model, &leak, prefixes, touched);
        } else {
            touched.extend(prefixes.into_iter().map(|prefix| fragment(leak.vrf, Subject::Prefix(prefix))));
        }
    }
}

/// What a leak touches by leading to these destinations, or no longer: its port's VRF, and those that import them.
fn touched_by_leak(
    model: &Model,
    leak: &Leak,
    prefixes: impl IntoIterator<Item = IpNet>,
    touched: &mut BTreeSet<FragmentKey>,
) {
    let mut vrfs = model.importers_of(&leak.exports);
    vrfs.insert(leak.vrf);
    for prefix in prefixes {
        touched.extend(vrfs.iter().map(|vrf| fragment(*vrf, Subject::Prefix(prefix))));
    }
}

/// What routes of a VRF that were learned touch, or that they are used: the routes there, and those that lead to the same by leaks.
pub(super) fn touched_by_learned(
    model: &Model,
    id: Id,
    destinations: impl IntoIterator<Item = IpNet> + Clone,
    touched: &mut BTreeSet<FragmentKey>,
) {
    touched.extend(destinations.clone().into_iter().map(|prefix| fragment(id, Subject::Prefix(prefix))));
    let vrf = model.vrfs.get(&id);
    for leak in vrf.into_iter().flat_map(|vrf| model.leaks_of_learned(vrf)) {
        touched_by_leak(model, leak, destinations.clone(), touched);
    }
}

/// What the gateway of a network touches that comes to a host or goes: it answers for what is anycast there, and the network's
/// subnets are out of reach where it is not.
fn touched_by_gateway(model: &Model, (vrf, network): (Id, Id), touched: &mut BTreeSet<FragmentKey>) {
    for port in model.anycast_ports(network) {
        let paths = member::entries(model, port).paths.into_iter();
        let paths = paths.filter(|(_, path, _)| path.vrf == vrf);
        touched.extend(paths.map(|(prefix, ..)| fragment(vrf, Subject::Prefix(prefix))));
    }
    let subnets = model.subnets_of(network).filter_map(|id| model.subnets.get(&id));
    touched.extend(subnets.map(|subnet| fragment(vrf, Subject::Prefix(subnet.cidr.trunc()))));
}

/// The network that a router's interface attaches, or that an association is of.
fn network_of(row: &Row) -> Option<Id> {
    match row {
        Row::RouterInterface(interface) => Some(interface.network_id),
        Row::BgpvpnNetworkAssociation(association) => Some(association.network_id),
        _ => None,
    }
}

/// What all subnets of a network touch.
fn touched_by_network(model: &Model, network: Id, touched: &mut BTreeSet<FragmentKey>) {
    let subnets: Vec<Id> = model.subnets_of(network).collect();
    subnets.into_iter().for_each(|subnet| touched_by_subnet(model, subnet, touched));
}

/// What a subnet touches: the gateways of its network, and the routes of its ports.
fn touched_by_subnet(model: &Model, id: Id, touched: &mut BTreeSet<FragmentKey>) {
    let Some(subnet) = model.subnets.get(&id) else { return };
    let mut vrfs: BTreeSet<Id> = model.vrfs_of_network(subnet.network_id).into_iter().collect();
    for id in model.bindings_to(subnet.network_id) {
        let Some(port) = model.service_ports.get(&id) else { continue };
        for vrf in model.vrfs_of(port) {
            touched.insert(fragment(vrf, RowKey::Resource(RowKind::ServicePort, id)));
            vrfs.insert(vrf);
        }
    }
    for vrf in vrfs {
        touched.insert(fragment(vrf, Subject::Prefix(subnet.cidr.trunc())));
        let hosts = model.hosts_of_vrf(vrf).cloned();
        touched.extend(hosts.map(|host| fragment(vrf, RowKey::Host(host))));
    }
}

/// A VRF on a host: with gateways of the networks that have ports there.
fn on_host(model: &Model, vrf: &Vrf, name: &HostName) -> Option<Compiled> {
    let id = vrf.standard.id;
    if !takes_part(model, id, name) {
        return None;
    }
    let host = model.host(name)?;
    let endpoint = host.fact.tunnel_endpoint?;
    let mut objects = objects::vrf(vrf, (host, endpoint));
    if model.peers_of(vrf).next().is_some() {
        objects.extend(objects::leak(vrf, endpoint));
    }
    for network in model.networks_in(id, name) {
        objects.extend(network_gateway(model, vrf, name, network));
    }
    Some(Compiled::only_at(name.clone(), objects))
}
