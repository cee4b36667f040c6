//! Who is told what of a VRF.
//!
//! ```text
//!  subject        on its own hosts                                     on every other host of the VRF
//!  host           the VRF, its VXLAN device, gateways of its networks  –
//!  service port   a gateway of its own, where it has one               –
//!  prefix         a route to the ports there, and to those elsewhere   a route to the hosts, each with its weight
//! ```
//!
//! A route's fragment has with it what it takes to reach the hosts it leads to: it stands for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use weft_dataplane::{INGRESS_TABLE, LinkId, LinkKind, Neighbour, Object, Path, RouteTo, Steering};
use weft_net::{Capability, HostName, IfName, Mac};

use crate::compile::{Compiled, FragmentKey, Service, Step, Subject};
use crate::core::{ServicePort, compile as core};
use crate::departure::{Presence, waits};
use crate::network::compile::{self as network_compile, MAIN_TABLE};
use crate::router::RouterInterface;
use crate::vrf::objects::{self, Gateway, Hop};
use crate::vrf::route::{self, Live, ToPort};
use crate::vrf::{Scope, Vrf, member, outside, vpn};
use crate::{Exclusive, Fact, Host, Id, Model, Row, RowKey, RowKind, names};

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
        hosts.chain(ports).chain(prefixes.into_iter().map(Subject::Prefix)).collect()
    }

    fn at_home(&self, model: &Model, host: &HostName) -> Vec<FragmentKey> {
        let mut home = BTreeSet::new();
        for binding in model.ports_on(host).flat_map(|port| model.service_ports_on(port)) {
            touched_by_port(model, binding, &mut home, false);
        }
        home.into_iter().collect()
    }

    fn compile(&self, model: &Model, id: Id, subject: &Subject) -> Option<Compiled> {
        let vrf = model.vrfs.get(&id)?;
        match subject {
            Subject::Row(RowKey::Host(host)) => on_host(model, vrf, host),
            Subject::Row(RowKey::Resource(RowKind::ServicePort, port)) => on_port(model, vrf, *port),
            Subject::Row(_) => None,
            Subject::Prefix(prefix) => to_prefix(model, vrf, *prefix),
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
            }
            RowKey::Resource(RowKind::Subnet, id) => touched_by_subnet(model, *id, touched),
            RowKey::Resource(RowKind::RouterInterface, _) => {
                for row in rows.into_iter().flatten() {
                    let Row::RouterInterface(interface) = row else { continue };
                    touched_by_network(model, interface.network_id, touched);
                }
            }
            RowKey::Resource(RowKind::BgpvpnNetworkAssociation, _) => {
                for row in rows.into_iter().flatten() {
                    let Row::BgpvpnNetworkAssociation(association) = row else { continue };
                    touched_by_network(model, association.network_id, touched);
                }
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
            }
            RowKey::Host(host) => {
                ports.extend(model.ports_on(host).flat_map(|port| model.service_ports_on(port)));
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
        ports.into_iter().for_each(|port| touched_by_port(model, port, touched, true));
    }

    fn touched_by(&self, model: &Model, fact: &Fact, touched: &mut BTreeSet<FragmentKey>) {
        match fact {
            Fact::Routes { vrf, destination, .. } => {
                touched.insert(fragment(*vrf, Subject::Prefix(*destination)));
            }
            Fact::Carrier { port, .. } => {
                let bindings = model.service_ports_on(*port).into_iter();
                bindings.for_each(|binding| touched_by_port(model, binding, touched, true));
            }
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
}

impl Vrfs {
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

/// What a port touches: its own fragment, its host's, and its paths, in every VRF that imports them.
fn touched_by_port(model: &Model, id: Id, touched: &mut BTreeSet<FragmentKey>, with_importers: bool) {
    let entries = member::entries(model, id);
    for (vrf, host, network) in entries.members {
        if with_importers {
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
        }
    }
    if with_importers {
        touched_by_reach(model, id, touched);
    }
}

/// Where a host has no gateway on a network its subnets are out of reach there: a port touches that unless others bring the
/// gateway to its host in any case.
fn touched_by_reach(model: &Model, id: Id, touched: &mut BTreeSet<FragmentKey>) {
    let Some(port) = model.service_ports.get(&id) else { return };
    let host = model.live_binding(port).map(|(_, host)| host);
    for vrf in model.vrfs_of(port) {
        let by_others = |host: &HostName| {
            let vrf = model.vrfs.get(&vrf)?;
            bridged_gateway_but_for(model, vrf, host, (port.service_id, Some(id)))
        };
        if host.as_ref().is_some_and(|host| by_others(host).is_some()) {
            continue;
        }
        let subnets = model.subnets_of(port.service_id).filter_map(|id| model.subnets.get(&id));
        touched.extend(subnets.map(|subnet| fragment(vrf, Subject::Prefix(subnet.cidr.trunc()))));
    }
}

/// What the gateways of a network touch, which may come or go with any of its ports: they answer for what is anycast there.
fn touched_by_gateway(model: &Model, (vrf, network): (Id, Id), touched: &mut BTreeSet<FragmentKey>) {
    for port in model.anycast_ports(network) {
        let paths = member::entries(model, port).paths.into_iter();
        let paths = paths.filter(|(_, path, _)| path.vrf == vrf);
        touched.extend(paths.map(|(prefix, ..)| fragment(vrf, Subject::Prefix(prefix))));
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
    let ports = model.bindings_to(subnet.network_id).filter_map(|port| model.service_ports.get(&port));
    let of_ports: BTreeSet<Id> = ports.flat_map(|port| model.vrfs_of(port)).collect();
    for vrf in of_ports.into_iter().chain(model.vrfs_of_network(subnet.network_id)) {
        touched.insert(fragment(vrf, Subject::Prefix(subnet.cidr.trunc())));
        let hosts = model.hosts_of_vrf(vrf).cloned();
        touched.extend(hosts.map(|host| fragment(vrf, RowKey::Host(host))));
    }
    let with_gateways = model.bindings_to(subnet.network_id);
    for id in with_gateways {
        let vrfs = model.service_ports.get(&id).map(|port| model.vrfs_of(port)).unwrap_or_default();
        let subject = RowKey::Resource(RowKind::ServicePort, id);
        touched.extend(vrfs.into_iter().map(|vrf| fragment(vrf, subject.clone())));
    }
}

/// The subnets that a VRF's gateways are in.
fn subnets_of(model: &Model, vrf: &Vrf) -> BTreeSet<IpNet> {
    let id = vrf.standard.id;
    let subnets: BTreeSet<Id> = match vrf.scope {
        Scope::Router => {
            let networks = model.networks_of(id).filter(|network| !model.vrfs.contains_key(network));
            networks.flat_map(|network| model.subnets_attached(id, network)).collect()
        }
        Scope::Vpn => {
            let networks = model.members_of(id).filter(|(kind, _)| *kind == RowKind::Network);
            let own = networks.filter(|(_, network)| vpn::shared(model, *network) == Some(id));
            own.flat_map(|(_, network)| model.subnets_of(network)).collect()
        }
        Scope::Network => model.subnets_of(id).collect(),
        Scope::Port => BTreeSet::new(),
    };
    subnets.into_iter().filter_map(|id| Some(model.subnets.get(&id)?.cidr.trunc())).collect()
}

/// How a port is joined to its VRF.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joined {
    /// By its network's bridge, on which the VRF has a gateway.
    Bridged,
    /// By a bridge that has only it: none of the network's other ports sees a frame of it.
    Routed,
    /// By its network's bridge for what is for the other ports, and by a gateway of its own for the rest.
    Steered,
}

fn joined(model: &Model, vrf: &Vrf, port: &ServicePort) -> Joined {
    if model.is_routed(port) {
        Joined::Routed
    } else if vrf.scope == Scope::Port {
        Joined::Steered
    } else {
        Joined::Bridged
    }
}

/// A VRF on a host: with gateways of the networks that have ports there.
fn on_host(model: &Model, vrf: &Vrf, name: &HostName) -> Option<Compiled> {
    let id = vrf.standard.id;
    if !takes_part(model, id, name) {
        return None;
    }
    let host = model.host(name)?;
    let mut objects = objects::vrf(vrf, host);
    if model.peers_of(vrf).next().is_some() {
        objects.extend(objects::leak(vrf, host));
    }
    for network in model.networks_in(id, name) {
        objects.extend(network_gateway(model, vrf, name, network));
    }
    Some(Compiled::only_at(name.clone(), objects))
}

/// The gateway of a network on a host, if ports are joined by it there.
fn network_gateway(model: &Model, vrf: &Vrf, host: &HostName, id: Id) -> Vec<Object> {
    let Some(gateway) = bridged_gateway(model, vrf, host, id) else { return Vec::new() };
    let mut objects = gateway.objects();
    let link = gateway.link();
    let addresses = gateway_addresses(model, vrf, id);
    objects.extend(addresses.into_iter().map(|address| Object::Address(link.clone(), address)));
    objects
}

/// The gateway that a VRF has on a network's bridge on a host.
fn bridged_gateway(model: &Model, vrf: &Vrf, host: &HostName, network: Id) -> Option<Gateway> {
    bridged_gateway_but_for(model, vrf, host, (network, None))
}

/// The gateway that it has there because of other ports than this one.
fn bridged_gateway_but_for(
    model: &Model,
    vrf: &Vrf,
    host: &HostName,
    (id, but_for): (Id, Option<Id>),
) -> Option<Gateway> {
    let network = model.networks.get(&id)?;
    let is_bridged = |port: Id| {
        let port = model.service_ports.get(&port).filter(|_| Some(port) != but_for);
        port.is_some_and(|port| joined(model, vrf, port) == Joined::Bridged)
    };
    let has_bridge = network_compile::takes_part(model, id, host);
    (has_bridge && model.ports_in(vrf.standard.id, host, id).any(is_bridged)).then(|| Gateway {
        of: gateway_id(model, vrf, id),
        vrf: vrf.standard.id,
        bridge: Some(names::bridge(id)),
        mac: gateway_mac(model, vrf, id),
        mtu: network.mtu,
    })
}

/// What a network's gateway in a VRF is named after: the router's interface, or the network.
fn gateway_id(model: &Model, vrf: &Vrf, network: Id) -> Id {
    match vrf.scope {
        Scope::Router => interfaces(model, network, Some(vrf.standard.id)).next().unwrap_or(network),
        Scope::Vpn | Scope::Network | Scope::Port => network,
    }
}

/// The interfaces of a router, or of any, on a network: the one first whose MAC address the gateway has. That is the oldest, and
/// of those that are as old one of IPv4: one more beside it, or one less, leaves the gateway where it is.
fn interfaces(model: &Model, network: Id, router: Option<Id>) -> impl Iterator<Item = Id> + use<> {
    let interfaces = model.referring((RowKind::Network, network), RowKind::RouterInterface);
    let interfaces = interfaces.filter_map(|id| model.router_interfaces.get(&id));
    let own = interfaces.filter(|found| router.is_none_or(|router| found.router_id == router));
    let is_ipv6 = |id: &Id| model.subnets.get(id).is_some_and(|subnet| subnet.cidr.addr().is_ipv6());
    let order = |found: &RouterInterface| {
        (found.standard.created_at, found.subnet_ids.iter().all(is_ipv6), found.standard.id)
    };
    let ordered: BTreeSet<_> = own.map(|found| order(found)).collect();
    ordered.into_iter().map(|(_, _, id)| id)
}

/// The router whose interfaces a VRF's gateways have the addresses of; `None`: any router's.
fn router_of(vrf: &Vrf) -> Option<Id> {
    (vrf.scope == Scope::Router).then_some(vrf.standard.id)
}

/// The MAC address of a network's gateway: that of the router's interface, where it has one.
fn gateway_mac(model: &Model, vrf: &Vrf, network: Id) -> Mac {
    let mut interfaces = interfaces(model, network, router_of(vrf));
    let mac = interfaces.find_map(|id| Some(model.service_ports.get(&id)?.mac_address));
    let own = || model.vrfs.get(&network).map_or(vrf.mac_address, |vrf| vrf.mac_address);
    mac.unwrap_or_else(own)
}

/// The addresses of a network's gateway in a VRF: those of the router's interfaces, or the gateways of its subnets.
fn gateway_addresses(model: &Model, vrf: &Vrf, network: Id) -> Vec<IpNet> {
    let with_length = |(subnet, address): (Id, IpAddr)| {
        let subnet = model.subnets.get(&subnet)?;
        IpNet::new(address, subnet.cidr.prefix_len()).ok()
    };
    let ports = interfaces(model, network, router_of(vrf)).filter_map(|id| model.service_ports.get(&id));
    let of_ports = ports.flat_map(|port| port.fixed_ips.iter().map(|ip| (ip.subnet_id, ip.ip_address)));
    let mut found: BTreeMap<Id, IpAddr> = of_ports.collect();
    if vrf.scope != Scope::Router {
        for id in model.subnets_of(network) {
            let gateway = model.subnets.get(&id).and_then(|subnet| subnet.gateway_ip);
            if let Some(gateway) = gateway {
                found.entry(id).or_insert(gateway);
            }
        }
    }
    found.into_iter().filter_map(with_length).collect()
}

/// The gateway that a port has for itself.
fn own_gateway(model: &Model, vrf: &Vrf, port: &ServicePort) -> Option<Gateway> {
    let mtu = model.networks.get(&port.service_id)?.mtu;
    let bridge = match joined(model, vrf, port) {
        Joined::Bridged => return None,
        Joined::Routed => Some(names::bridge(port.standard.id)),
        Joined::Steered => None,
    };
    Some(Gateway {
        of: port.standard.id,
        vrf: vrf.standard.id,
        bridge,
        mac: gateway_mac(model, vrf, port.service_id),
        mtu,
    })
}

/// A port that is not joined by its network's bridge alone: its gateway.
fn on_port(model: &Model, vrf: &Vrf, id: Id) -> Option<Compiled> {
    let port = model.service_ports.get(&id)?;
    let members = member::entries(model, id).members;
    let (_, host, _) = members.into_iter().find(|(of, ..)| *of == vrf.standard.id)?;
    if !takes_part(model, vrf.standard.id, &host) {
        return None;
    }
    let gateway = own_gateway(model, vrf, port)?;
    let mut objects = match gateway.bridge {
        Some(bridge) => port_bridge(model, port, bridge)?,
        None => Vec::new(),
    };
    objects.extend(gateway.objects());
    let link = gateway.link();
    // Not with the length of the prefix: the rest of the subnet is not on this link.
    let addresses: Vec<IpAddr> =
        gateway_addresses(model, vrf, port.service_id).into_iter().map(|address| address.addr()).collect();
    objects.extend(addresses.iter().map(|address| Object::Address(link.clone(), IpNet::from(*address))));
    match gateway.bridge {
        Some(_) => objects.push(Object::ProxyArp(link)),
        // Where its network is not, nothing comes by its bridge either.
        None if !network_compile::takes_part(model, port.service_id, &host) => return None,
        None => objects.push(Object::Steering(Steering {
            link: LinkId::on_host(core::link_name(model, port.interface_id)?),
            mac: gateway.mac,
            addresses: addresses.into_iter().collect::<BTreeSet<_>>().into_iter().collect(),
            to: gateway.port(),
        })),
    }
    Some(Compiled::only_at(host, objects))
}

/// The bridge of a port that no other port is on, with the port and what its workload is told.
fn port_bridge(model: &Model, port: &ServicePort, bridge: IfName) -> Option<Vec<Object>> {
    let (id, network) = (port.standard.id, model.networks.get(&port.service_id)?);
    let link = LinkId::on_host(bridge);
    let mut objects =
        vec![objects::link_object(link, names::mark("port-bridge", id), network.mtu, LinkKind::Bridge)];
    objects.extend(network_compile::on_bridge(model, port, bridge)?);
    Some(objects)
}

/// The routes to a prefix, on the hosts where ports are to which it leads, and on the others.
fn to_prefix(model: &Model, vrf: &Vrf, prefix: IpNet) -> Option<Compiled> {
    let live = match route::live(model, vrf, prefix) {
        Live::Ports(live) => live,
        Live::Outside([]) => return out_of_reach(model, vrf, prefix),
        Live::Outside(routes) => return outside::compile(model, vrf, prefix, routes),
    };
    let mut at = BTreeMap::new();
    for host in live.iter().map(|live| &live.host).collect::<BTreeSet<_>>() {
        at.insert(host.clone(), routes_on(model, vrf, prefix, (&live, Some(host))));
    }
    let mut compiled = Compiled { at, elsewhere: routes_on(model, vrf, prefix, (&live, None)) };
    add_proxies(model, vrf, (prefix, &live), &mut compiled);
    Some(compiled)
}

/// The route to a prefix on one host, or on any where it leads to no port.
fn routes_on(
    model: &Model,
    vrf: &Vrf,
    prefix: IpNet,
    (live, here): (&[ToPort<'_>], Option<&HostName>),
) -> Vec<Object> {
    let id = vrf.standard.id;
    let is_local = |live: &&ToPort<'_>| live.path.vrf == id && Some(&live.host) == here;
    let mut paths: Vec<Path> = Vec::new();
    let mut objects = Vec::new();
    for live in live.iter().filter(is_local) {
        let Some(link) = local_link(model, vrf, live) else { continue };
        paths.push(objects::path(live.path.via, link.name, 1));
        if live.path.via.is_none() {
            let (address, mac) = (prefix.addr(), live.port.mac_address);
            objects.push(Object::Neighbour(Neighbour { link, address, mac }));
        }
    }
    // What comes from elsewhere goes no further than this host.
    if !paths.is_empty() {
        objects.push(objects::route(id, INGRESS_TABLE, prefix, RouteTo::paths(paths.clone())));
    }
    for ((of, host), weight) in route::by_place(live.iter().filter(|live| !is_local(live))) {
        let (Some(of), Some(there)) = (model.vrfs.get(&of), model.host(&host)) else { continue };
        let hop = if Some(&host) == here {
            Some(Hop::to_vrf(vrf, of.vni, there, weight))
        } else {
            Hop::to_host(vrf, of.vni, there, weight)
        };
        let Some(hop) = hop else { continue };
        paths.push(hop.path);
        objects.extend(hop.objects);
    }
    if !paths.is_empty() {
        objects.push(objects::route(id, MAIN_TABLE, prefix, RouteTo::paths(paths)));
    }
    objects
}

/// The link of a VRF by which a port is reached that is on the same host.
fn local_link(model: &Model, vrf: &Vrf, live: &ToPort<'_>) -> Option<LinkId> {
    let own = own_gateway(model, vrf, live.port);
    own.or_else(|| bridged_gateway(model, vrf, &live.host, live.network)).map(|gateway| gateway.link())
}

/// Where several ports have one address, and are joined by routing alone, the gateways on their network's bridges answer for it.
fn add_proxies(model: &Model, vrf: &Vrf, (prefix, live): (IpNet, &[ToPort<'_>]), compiled: &mut Compiled) {
    let anycast = live.iter().filter(|live| live.port.anycast && live.path.via.is_none());
    let networks: BTreeSet<Id> =
        anycast.filter(|live| live.path.vrf == vrf.standard.id).map(|live| live.network).collect();
    for network in networks {
        for host in model.hosts_of_vrf(vrf.standard.id) {
            let Some(gateway) = bridged_gateway(model, vrf, host, network) else { continue };
            let objects = compiled.at.entry(host.clone()).or_insert_with(|| compiled.elsewhere.clone());
            objects.push(Object::ProxyNeighbour(gateway.link(), prefix.addr()));
        }
    }
}

/// A subnet of which nothing is known but its ports: what is for another address of it goes no further, where no gateway is
/// on its network to ask.
fn out_of_reach(model: &Model, vrf: &Vrf, prefix: IpNet) -> Option<Compiled> {
    let id = vrf.standard.id;
    if !subnets_of(model, vrf).contains(&prefix) {
        return None;
    }
    let at = model.hosts_of_vrf(id).filter(|host| {
        model.networks_in(id, host).into_iter().any(|network| {
            let has_gateway = bridged_gateway(model, vrf, host, network).is_some();
            has_gateway
                && gateway_addresses(model, vrf, network).iter().any(|address| address.trunc() == prefix)
        })
    });
    let at = at.map(|host| (host.clone(), Vec::new())).collect();
    Some(Compiled { at, elsewhere: vec![objects::route(id, MAIN_TABLE, prefix, RouteTo::Unreachable)] })
}
