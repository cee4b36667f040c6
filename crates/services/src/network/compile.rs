//! What a network is on hosts: a bridge and a VXLAN device on each host with a port of it, fed with what is elsewhere.
//!
//! ```text
//!  subject          on its own host                        on every other host of the network
//!  host             bridge, VXLAN device, its bridge port  flood entry: BUM frames go there too
//!  service port     its link's bridge port, its addresses  forwarding entries, neighbours
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use weft_dataplane::{
    BridgeFdb, BridgePort, Flood, Link, LinkId, LinkKind, Namespace, Neighbour, NextHop, Object, Route,
    VxlanFdb,
};
use weft_net::{HostName, IfName, NamespaceName, Vni};

use crate::compile::{Compiled, FragmentKey};
use crate::core::{FixedIp, InstancePort, ServicePort, VnicKind, compile as core};
use crate::network::{Encapsulation, Network};
use crate::{Id, Model, names};

/// The UDP port of VXLAN (RFC 7348 §8).
const VXLAN_PORT: u16 = 4789;
/// The routing table `main`.
const MAIN_TABLE: u32 = 254;

/// Whether a host on which a network has bindings can take part in it: one that has lost its tunnel endpoint or its way to
/// the physical network does so again when it has it back.
pub(crate) fn takes_part(model: &Model, network: Id, host: &HostName) -> bool {
    let (Some(network), Some(host)) = (model.networks.get(&network), model.host(host)) else { return false };
    match &network.encapsulation {
        Encapsulation::Vxlan { .. } => host.fact.tunnel_endpoint.is_some(),
        Encapsulation::Vlan { physical_network, .. } => {
            host.fact.physical_networks.contains_key(physical_network)
        }
    }
}

/// A host that takes part in a network.
pub(crate) fn host(model: &Model, network: Id, host: &HostName) -> Option<Compiled> {
    let found = model.networks.get(&network)?;
    if !model.is_on(network, host) {
        return None;
    }
    let fact = &model.host(host)?.fact;
    let bridge = names::bridge(network);
    let mut local = vec![link(found, bridge, "network", LinkKind::Bridge)];
    let (uplink, remote) = match &found.encapsulation {
        Encapsulation::Vxlan { vni } => {
            let endpoint = fact.tunnel_endpoint?;
            let uplink = names::vxlan(*vni);
            local.push(link(
                found,
                uplink,
                "vxlan",
                LinkKind::Vxlan { vni: *vni, local: endpoint, port: VXLAN_PORT },
            ));
            (uplink, vec![Object::Flood(Flood { link: LinkId::on_host(uplink), destination: endpoint })])
        }
        Encapsulation::Vlan { physical_network, vlan_id } => {
            let parent = *fact.physical_networks.get(physical_network)?;
            let uplink = names::vlan(network);
            local.push(Object::ForeignLink(LinkId::on_host(parent)));
            local.push(link(found, uplink, "vlan", LinkKind::Vlan { parent, vlan_id: *vlan_id }));
            (uplink, Vec::new())
        }
    };
    let tunnel = found.vni().is_some();
    local.push(Object::BridgePort(BridgePort {
        link: LinkId::on_host(uplink),
        bridge,
        tunnel,
        adoption: None,
    }));
    Some(Compiled { home: host.clone(), local, remote })
}

fn link(network: &Network, name: weft_net::IfName, mark: &str, kind: LinkKind) -> Object {
    let mark = names::mark(mark, network.standard.id);
    Object::Link(Link { id: LinkId::on_host(name), mark, mtu: network.mtu, up: true, kind })
}

/// A binding to a network.
pub(crate) fn port(model: &Model, network: Id, id: Id) -> Option<Compiled> {
    let found = model.networks.get(&network)?;
    let port = model.service_ports.get(&id)?;
    let (bound_to, home) = model.live_binding(port)?;
    if bound_to != network || !takes_part(model, network, &home) {
        return None;
    }
    let endpoint = model.host(&home)?.fact.tunnel_endpoint;
    let local = port_local(model, port)?;
    let remote = match (found.vni(), endpoint) {
        (Some(vni), Some(endpoint)) => port_remote(port, vni, endpoint),
        _ => Vec::new(),
    };
    Some(Compiled { home, local, remote })
}

fn port_local(model: &Model, port: &ServicePort) -> Option<Vec<Object>> {
    let vnic = model.instance_port_of(port.interface_id)?;
    let name = core::link_name(model, port.interface_id)?;
    let is_vnic_itself = name == names::tap(vnic.standard.id);
    let adopted = is_vnic_itself && vnic.vnic == VnicKind::Adopted;
    let adoption = adopted.then(|| names::mark("adopted", vnic.standard.id));
    let bridge = names::bridge(port.service_id);
    let mut local =
        vec![Object::BridgePort(BridgePort { link: LinkId::on_host(name), bridge, tunnel: false, adoption })];
    if let (true, VnicKind::Namespace { namespace, interface }) = (is_vnic_itself, &vnic.vnic) {
        let inside = LinkId { namespace: Namespace::Named(namespace.clone()), name: *interface };
        local.extend(addresses(model, port, &inside));
        let given = routes_in(model, vnic.host_id.as_ref()?, namespace);
        let own = given.into_iter().filter(|(_, (by, _))| by == interface);
        local.extend(own.map(|(destination, (_, via))| {
            let next_hop = NextHop { via: Some(via), link: *interface };
            let namespace = inside.namespace.clone();
            Object::Route(Route { namespace, table: MAIN_TABLE, destination, next_hop })
        }));
    }
    Some(local)
}

/// The addresses of a workload whose vNIC the agent makes: what DHCP would have told it.
fn addresses(model: &Model, port: &ServicePort, inside: &LinkId) -> Vec<Object> {
    let with_length = |fixed_ip: &FixedIp| {
        let subnet = model.subnets.get(&fixed_ip.subnet_id)?;
        IpNet::new(fixed_ip.ip_address, subnet.cidr.prefix_len()).ok()
    };
    let addresses = port.fixed_ips.iter().filter_map(with_length);
    addresses.map(|address| Object::Address(inside.clone(), address)).collect()
}

/// The routes that a binding gives to a workload, but those by way of the workload itself.
fn routes(model: &Model, port: &ServicePort) -> Vec<(IpNet, IpAddr)> {
    let mut routes = Vec::new();
    for subnet in port.fixed_ips.iter().filter_map(|fixed_ip| model.subnets.get(&fixed_ip.subnet_id)) {
        routes.extend(subnet.gateway_ip.map(|gateway| (everything(gateway), gateway)));
        routes.extend(subnet.host_routes.iter().map(|route| (route.destination, route.nexthop)));
    }
    routes.retain(|(_, via)| port.fixed_ips.iter().all(|fixed_ip| fixed_ip.ip_address != *via));
    routes
}

/// The routes of a namespace: where several give one to the same destination, that of the first interface, and of its first
/// address, is taken.
fn routes_in(model: &Model, host: &HostName, namespace: &NamespaceName) -> BTreeMap<IpNet, (IfName, IpAddr)> {
    let mut given: BTreeMap<IpNet, (IfName, IpAddr)> = BTreeMap::new();
    for (vnic, id) in bindings_in(model, host, namespace) {
        let Some(port) = model.service_ports.get(&id) else { continue };
        let VnicKind::Namespace { interface, .. } = &vnic.vnic else { continue };
        let live = model.live_binding(port).is_some_and(|(network, host)| takes_part(model, network, &host));
        for (destination, via) in routes(model, port).into_iter().filter(|_| live) {
            let first = given.entry(destination).or_insert((*interface, via));
            if *interface < first.0 {
                *first = (*interface, via);
            }
        }
    }
    given
}

/// The vNICs in a namespace, with what binds each of them untagged.
fn bindings_in<'m>(
    model: &'m Model,
    host: &HostName,
    namespace: &NamespaceName,
) -> impl Iterator<Item = (&'m InstancePort, Id)> + use<'m> {
    let (host, namespace) = (host.clone(), namespace.clone());
    let range = (host.clone(), namespace.clone(), Id::MIN)..=(host, namespace, Id::MAX);
    model.index.namespaces.range(range).filter_map(|(_, _, id)| {
        let vnic = model.instance_ports.get(id)?;
        let untagged = model.untagged_interface(*id)?.standard.id;
        Some((&**vnic, crate::index::pairs(&model.index.by_interface, untagged).next()?))
    })
}

/// The prefix of all addresses of a family.
fn everything(like: IpAddr) -> IpNet {
    let unspecified = match like {
        IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    };
    IpNet::new(unspecified, 0).expect("zero is the length of a prefix of either family")
}

fn port_remote(port: &ServicePort, vni: Vni, endpoint: IpAddr) -> Vec<Object> {
    let tunnel = LinkId::on_host(names::vxlan(vni));
    let bridge = LinkId::on_host(names::bridge(port.service_id));
    let mac = port.mac_address;
    let mut remote = vec![
        Object::BridgeFdb(BridgeFdb { link: tunnel.clone(), mac }),
        Object::VxlanFdb(VxlanFdb { link: tunnel, mac, destination: endpoint }),
    ];
    remote.extend(port.fixed_ips.iter().map(|fixed_ip| {
        Object::Neighbour(Neighbour { link: bridge.clone(), address: fixed_ip.ip_address, mac })
    }));
    remote
}

pub(crate) fn fragments(model: &Model, network: Id) -> Vec<FragmentKey> {
    let hosts = model.hosts_of(network).map(|host| FragmentKey::NetworkHost(network, host.clone()));
    let ports =
        crate::index::pairs(&model.index.by_network, network).map(|id| FragmentKey::NetworkPort(network, id));
    hosts.chain(ports).collect()
}

/// What a write to a service port touches: its fragment, its host's, and the vNIC's, whose MTU may be the network's.
pub(crate) fn touched_by_port(model: &Model, id: Id, touched: &mut BTreeSet<FragmentKey>) {
    touched_by_binding(model, id, touched);
    let vnic = model.service_ports.get(&id).and_then(|port| model.instance_port_of(port.interface_id));
    if let Some(vnic) = vnic {
        touched.extend(core::fragments(model, vnic.standard.id));
    }
}

pub(crate) fn touched_by_binding(model: &Model, id: Id, touched: &mut BTreeSet<FragmentKey>) {
    let Some(port) = model.service_ports.get(&id) else { return };
    touched.insert(FragmentKey::NetworkPort(port.service_id, id));
    if let Some((network, host)) = model.live_binding(port) {
        touched.insert(FragmentKey::NetworkHost(network, host));
    }
    // Which routes it gives to its namespace decides which ones the others give.
    let Some(vnic) = model.instance_port_of(port.interface_id) else { return };
    if let (Some(host), VnicKind::Namespace { namespace, .. }) = (&vnic.host_id, &vnic.vnic) {
        let others = bindings_in(model, host, namespace).filter_map(|(_, id)| {
            Some(FragmentKey::NetworkPort(model.service_ports.get(&id)?.service_id, id))
        });
        touched.extend(others);
    }
}

/// Whether what matters to hosts about a network has changed.
pub(crate) fn differs(before: &Model, after: &Model, network: Id) -> bool {
    match (before.networks.get(&network), after.networks.get(&network)) {
        (Some(before), Some(after)) => {
            (before.mtu, before.admin_state_up, &before.encapsulation)
                != (after.mtu, after.admin_state_up, &after.encapsulation)
        }
        _ => true,
    }
}

pub(crate) fn touched_by_network(model: &Model, network: Id, touched: &mut BTreeSet<FragmentKey>) {
    touched.extend(fragments(model, network));
    for port in crate::index::pairs(&model.index.by_network, network) {
        touched_by_port(model, port, touched);
    }
}

/// A subnet matters to hosts by the addresses and routes of the workloads that have one of its addresses.
pub(crate) fn touched_by_subnet(
    before: &Model,
    after: &Model,
    subnet: Id,
    touched: &mut BTreeSet<FragmentKey>,
) {
    let told = |model: &Model| {
        model.subnets.get(&subnet).map(|subnet| (subnet.cidr, subnet.gateway_ip, subnet.host_routes.clone()))
    };
    if told(before) == told(after) {
        return;
    }
    for model in [before, after] {
        for port in crate::index::pairs(&model.index.by_subnet, subnet) {
            touched_by_binding(model, port, touched);
        }
    }
}

/// A host that says something else of itself than before: everything on it.
pub(crate) fn touched_by_host(model: &Model, host: &HostName, touched: &mut BTreeSet<FragmentKey>) {
    crate::compile::touched_by_ports_on(model, host, touched);
}
