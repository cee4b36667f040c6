//! What a network is on hosts: a bridge and a VXLAN device on each host with a port of it, fed with what is elsewhere.
//!
//! ```text
//!  subject          on its own host                        on every other host of the network
//!  host             bridge, VXLAN device, its bridge port  flood entry: BUM frames go there too
//!  service port     its link's bridge port, its addresses  forwarding entries, neighbours
//!  MAC address      –                                      the same, of what was learned
//!  tunnel endpoint  –                                      flood entry, of one that was learned
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use weft_dataplane::{
    BridgeFdb, BridgePort, Flood, Link, LinkId, LinkKind, Namespace, Neighbour, Object, PortRole, Route,
    RouteTo, VxlanFdb,
};
use weft_net::{HostName, IfName, NamespaceName, Vni};

use crate::announce::Announcement;
use crate::compile::{Compiled, FragmentKey, Service, ServiceKey, Step, Subject};
use crate::core::{FixedIp, InstancePort, ServicePort, VnicKind, compile as core};
use crate::departure::{Presence, waits};
use crate::network::{Encapsulation, HostRoute, Network, announce, learned, mac_vrf};
use crate::{Exclusive, Fact, Id, Model, RowKey, RowKind, names, vrf};

/// The UDP port of VXLAN (RFC 7348 §8).
pub(crate) const VXLAN_PORT: u16 = 4789;
/// The routing table `main`.
pub(crate) const MAIN_TABLE: u32 = 254;

/// Layer-2 networks; the hosts with live bindings to one follow it.
pub(crate) struct LayerTwo;

impl Service for LayerTwo {
    fn kind(&self) -> RowKind {
        RowKind::Network
    }

    fn followers(&self, model: &Model, network: Id) -> Vec<HostName> {
        if waits(model, key(network)) {
            return Vec::new();
        }
        model.hosts_of(network).filter(|host| reaches(model, network, host)).cloned().collect()
    }

    fn followed_by(&self, model: &Model, host: &HostName) -> Vec<Id> {
        let bindings = bindings_on(model, host).filter_map(|id| model.service_ports.get(&id));
        let networks = bindings.filter_map(|binding| Some(model.bridged_binding(binding)?.0));
        networks.filter(|network| takes_part(model, *network, host)).collect()
    }

    fn subjects(&self, model: &Model, network: Id) -> Vec<Subject> {
        let hosts = model.hosts_of(network).map(|host| RowKey::Host(host.clone()));
        let bindings = model.bindings_to(network).map(|id| RowKey::Resource(RowKind::ServicePort, id));
        hosts.chain(bindings).map(Subject::Row).chain(learned::subjects(model, network)).collect()
    }

    fn at_home(&self, model: &Model, host: &HostName) -> Vec<FragmentKey> {
        let followed = self.followed_by(model, host).into_iter();
        let hosts = followed.map(|network| fragment(network, RowKey::Host(host.clone())));
        hosts.chain(bindings_on(model, host).filter_map(|id| fragment_of(model, id))).collect()
    }

    fn compile(&self, model: &Model, network: Id, subject: &Subject) -> Option<Compiled> {
        match subject {
            Subject::Row(RowKey::Host(host)) => self::host(model, network, host),
            Subject::Row(RowKey::Resource(RowKind::ServicePort, id)) => port(model, network, *id),
            Subject::Mac(mac) => learned::mac(model, network, *mac),
            Subject::Endpoint(endpoint) => learned::endpoint(model, network, *endpoint),
            Subject::Row(_) | Subject::Prefix(_) => None,
        }
    }

    fn touched(&self, model: &Model, step: &Step<'_>, touched: &mut BTreeSet<FragmentKey>) {
        learned::touched(model, step, touched);
        let bindings: Vec<Id> = match &step.row {
            RowKey::Resource(RowKind::ServicePort, id) => vec![*id],
            RowKey::Resource(RowKind::InstancePort, id) => model.service_ports_on(*id),
            RowKey::Resource(RowKind::Interface, id) => {
                let vnic = model.instance_port_of(*id).map(|vnic| vnic.standard.id);
                vnic.map(|vnic| model.service_ports_on(vnic)).unwrap_or_default()
            }
            RowKey::Resource(RowKind::Network, id) if differs(step, *id) => {
                self.touch_all(model, *id, touched)
            }
            RowKey::Resource(RowKind::MacVrf, id) => self.touch_all(model, *id, touched),
            RowKey::Departure(what, _) => match model.owner_of(what) {
                Some(owner)
                    if owner.kind == self.kind() && waits(step.before, owner) != waits(step.after, owner) =>
                {
                    self.touch_all(model, owner.id, touched)
                }
                Some(_) | None => Vec::new(),
            },
            RowKey::Resource(RowKind::Subnet, id) if told(step.before, *id) != told(step.after, *id) => {
                model.bindings_in(*id).collect()
            }
            RowKey::Host(host) => {
                let given = vrf::given_around(step).into_iter().filter(|(kind, _)| *kind == RowKind::MacVrf);
                let given = given.flat_map(|(_, network)| self.touch_all(model, network, touched));
                given.chain(bindings_on(model, host)).collect()
            }
            RowKey::Resource(..) => Vec::new(),
        };
        bindings.into_iter().for_each(|id| touched_by_binding(model, id, touched));
    }

    fn touched_by(&self, around: [&Model; 2], fact: &Fact, touched: &mut BTreeSet<FragmentKey>) {
        around.into_iter().for_each(|model| learned::touched_by(model, fact, touched));
    }

    fn exclusives(&self, model: &Model, network: Id) -> Vec<Exclusive> {
        let own = model.networks.get(&network).map(|network| network.encapsulation.exclusive());
        let mac_vrf = model.mac_vrfs.get(&network).into_iter();
        own.into_iter().chain(mac_vrf.flat_map(|mac_vrf| mac_vrf.exclusives())).collect()
    }

    fn presences(&self, model: &Model, row: &RowKey) -> Vec<Presence> {
        let bindings = match row {
            RowKey::Resource(RowKind::Network | RowKind::MacVrf, network) => {
                return model.hosts_of(*network).map(|host| (key(*network), host.clone())).collect();
            }
            RowKey::Resource(RowKind::ServicePort, id) => vec![*id],
            RowKey::Resource(RowKind::InstancePort, id) => model.service_ports_on(*id),
            _ => return Vec::new(),
        };
        let live = bindings.iter().filter_map(|id| model.bridged_binding(model.service_ports.get(id)?));
        live.map(|(network, host)| (key(network), host)).collect()
    }

    fn is_on(&self, model: &Model, network: Id, host: &HostName) -> bool {
        model.is_on(network, host)
    }

    fn may_announce(&self, subject: &Subject) -> bool {
        announce::may_announce(subject)
    }

    fn announcements(&self, model: &Model, network: Id, subject: &Subject) -> Vec<Announcement> {
        announce::announcements(model, network, subject).into_iter().map(Announcement::Bridged).collect()
    }

    fn looked_at_with(&self, model: &Model, network: Id, subject: &Subject) -> Vec<Subject> {
        announce::looked_at_with(model, network, subject)
    }

    fn announcing(&self, model: &Model) -> Vec<FragmentKey> {
        announce::fragments_of_all(model)
    }
}

impl LayerTwo {
    /// Everything of a network; answers its bindings.
    fn touch_all(&self, model: &Model, network: Id, touched: &mut BTreeSet<FragmentKey>) -> Vec<Id> {
        touched.extend(self.subjects(model, network).into_iter().map(|subject| fragment(network, subject)));
        model.bindings_to(network).collect()
    }
}

const fn key(network: Id) -> ServiceKey {
    ServiceKey { kind: RowKind::Network, id: network }
}

pub(super) fn fragment(network: Id, subject: impl Into<Subject>) -> FragmentKey {
    FragmentKey::new(RowKind::Network, network, subject)
}

/// The fragment of a binding: of its network, or of the VRF that it is in where it is reached by routing alone.
pub(crate) fn fragment_of(model: &Model, binding: Id) -> Option<FragmentKey> {
    let port = model.service_ports.get(&binding)?;
    let subject = RowKey::Resource(RowKind::ServicePort, binding);
    if model.is_routed(port) {
        return Some(FragmentKey::new(RowKind::Vrf, model.vrf_of_routed(port)?, subject));
    }
    Some(fragment(port.service_id, subject))
}

/// The host on which a binding is carried out.
pub(crate) fn carried_out_on(model: &Model, port: &ServicePort) -> Option<HostName> {
    let (network, host) = model.live_binding(port)?;
    let is_carried_out = if model.is_routed(port) {
        model.vrf_of_routed(port).is_some_and(|vrf| vrf::compile::takes_part(model, vrf, &host))
    } else {
        takes_part(model, network, &host)
    };
    is_carried_out.then_some(host)
}

/// All bindings of the vNICs on a host.
fn bindings_on<'m>(model: &'m Model, host: &HostName) -> impl Iterator<Item = Id> + use<'m> {
    model.ports_on(host).flat_map(|port| model.service_ports_on(port))
}

/// Whether a host on which a network has bindings can take part in it: one that has lost its tunnel endpoint or its way to
/// the physical network does so again when it has it back. None does while the network waits for its VNI.
pub(crate) fn takes_part(model: &Model, network: Id, host: &HostName) -> bool {
    !waits(model, key(network)) && reaches(model, network, host)
}

/// Whether a host has what it takes to be part of a network.
fn reaches(model: &Model, network: Id, host: &HostName) -> bool {
    let (Some(network), Some(host)) = (model.networks.get(&network), model.host(host)) else { return false };
    match &network.encapsulation {
        Encapsulation::Vxlan { .. } => host.fact.tunnel_endpoint.is_some(),
        Encapsulation::Vlan { physical_network, .. } => {
            host.fact.physical_networks.contains_key(physical_network)
        }
    }
}

/// A host that takes part in a network.
fn host(model: &Model, network: Id, host: &HostName) -> Option<Compiled> {
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
                LinkKind::Vxlan { vni: *vni, local: endpoint, port: VXLAN_PORT, mac: None },
            ));
            local.extend(to_outside(model, found, endpoint));
            (
                uplink,
                vec![Object::Flood(Flood {
                    link: LinkId::on_host(uplink),
                    destination: endpoint,
                    vni: None,
                })],
            )
        }
        Encapsulation::Vlan { physical_network, vlan_id } => {
            let parent = *fact.physical_networks.get(physical_network)?;
            let uplink = names::vlan(network);
            local.push(Object::ForeignLink(LinkId::on_host(parent)));
            local.push(link(found, uplink, "vlan", LinkKind::Vlan { parent, vlan_id: *vlan_id }));
            (uplink, Vec::new())
        }
    };
    let role = if found.vni().is_some() { PortRole::Tunnel } else { PortRole::Uplink };
    local.push(Object::BridgePort(BridgePort {
        link: LinkId::on_host(uplink),
        bridge,
        role,
        adoption: None,
    }));
    Some(Compiled { at: BTreeMap::from([(host.clone(), local)]), elsewhere: remote })
}

/// The way to the outside of a network that has a VNI of its own for that.
fn to_outside(model: &Model, network: &Network, endpoint: IpAddr) -> Vec<Object> {
    let id = network.standard.id;
    let outward = mac_vrf::outward(model, id).filter(|outward| Some(outward.vni) != network.vni());
    let Some(outward) = outward else { return Vec::new() };
    let kind = LinkKind::Vxlan { vni: outward.vni, local: endpoint, port: VXLAN_PORT, mac: None };
    let port = BridgePort {
        link: LinkId::on_host(outward.link),
        bridge: names::bridge(id),
        role: PortRole::Tunnel,
        adoption: None,
    };
    vec![link(network, outward.link, "evpn", kind), Object::BridgePort(port)]
}

fn link(network: &Network, name: weft_net::IfName, mark: &str, kind: LinkKind) -> Object {
    let mark = names::mark(mark, network.standard.id);
    Object::Link(Link { id: LinkId::on_host(name), mark, mtu: network.mtu, up: true, kind })
}

/// A binding to a network.
fn port(model: &Model, network: Id, id: Id) -> Option<Compiled> {
    let found = model.networks.get(&network)?;
    let port = model.service_ports.get(&id)?;
    if port.service_id != network || model.is_routed(port) {
        return None;
    }
    let home = carried_out_on(model, port)?;
    let endpoint = model.host(&home)?.fact.tunnel_endpoint;
    let local = on_bridge(model, port, names::bridge(network))?;
    let remote = match (found.vni(), endpoint) {
        (Some(vni), Some(endpoint)) => port_remote(port, vni, endpoint),
        _ => Vec::new(),
    };
    Some(Compiled { at: BTreeMap::from([(home, local)]), elsewhere: remote })
}

/// A binding on a bridge, and what its workload is told.
pub(crate) fn on_bridge(model: &Model, port: &ServicePort, bridge: IfName) -> Option<Vec<Object>> {
    let vnic = model.instance_port_of(port.interface_id)?;
    let name = core::link_name(model, port.interface_id)?;
    let is_vnic_itself = name == names::tap(vnic.standard.id);
    let adopted = is_vnic_itself && vnic.vnic == VnicKind::Adopted;
    let adoption = adopted.then(|| names::mark("adopted", vnic.standard.id));
    let mut local = vec![Object::BridgePort(BridgePort {
        link: LinkId::on_host(name),
        bridge,
        role: PortRole::Workload,
        adoption,
    })];
    if let (true, VnicKind::Namespace { namespace, interface }) = (is_vnic_itself, &vnic.vnic) {
        let inside = LinkId { namespace: Namespace::Named(namespace.clone()), name: *interface };
        local.extend(addresses(model, port, &inside));
        let given = routes_in(model, vnic.host_id.as_ref()?, namespace);
        let own = given.into_iter().filter(|(_, (by, _))| by == interface);
        local.extend(own.map(|(destination, (_, via))| {
            let to = RouteTo::link(*interface, Some(via));
            let namespace = inside.namespace.clone();
            Object::Route(Route { namespace, table: MAIN_TABLE, destination, to })
        }));
    }
    Some(local)
}

/// The addresses of a workload whose vNIC the agent makes: what DHCP would have told it.
fn addresses(model: &Model, port: &ServicePort, inside: &LinkId) -> Vec<Object> {
    let with_length = |fixed_ip: &FixedIp| {
        let subnet = model.subnets.get(&fixed_ip.subnet_id)?;
        // What is reached by routing alone has nobody beside it.
        if model.is_routed(port) {
            return Some(IpNet::from(fixed_ip.ip_address));
        }
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
    for (vnic, id) in bindings_within(model, host, namespace) {
        let Some(port) = model.service_ports.get(&id) else { continue };
        let VnicKind::Namespace { interface, .. } = &vnic.vnic else { continue };
        let live = carried_out_on(model, port).is_some();
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
fn bindings_within<'m>(
    model: &'m Model,
    host: &HostName,
    namespace: &NamespaceName,
) -> impl Iterator<Item = (&'m InstancePort, Id)> + use<'m> {
    let (host, namespace) = (host.clone(), namespace.clone());
    let range = (host.clone(), namespace.clone(), Id::MIN)..=(host, namespace, Id::MAX);
    model.index.namespaces.range(range).filter_map(|(_, _, id)| {
        let vnic = model.instance_ports.get(id)?;
        Some((&**vnic, model.binding_of_port(*id)?.standard.id))
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
        Object::VxlanFdb(VxlanFdb { link: tunnel, mac, destination: endpoint, vni: None }),
    ];
    // Of what is anycast there is more than one: nobody answers for it but itself.
    remote.extend(port.fixed_ips.iter().filter(|_| !port.anycast).map(|fixed_ip| {
        Object::Neighbour(Neighbour { link: bridge.clone(), address: fixed_ip.ip_address, mac })
    }));
    remote
}

/// What a binding touches: its fragment, its host's, and those of its namespace.
fn touched_by_binding(model: &Model, id: Id, touched: &mut BTreeSet<FragmentKey>) {
    let Some(port) = model.service_ports.get(&id) else { return };
    touched.extend(fragment_of(model, id));
    if let Some((network, host)) = model.bridged_binding(port) {
        touched.insert(fragment(network, RowKey::Host(host)));
    }
    // Which routes it gives to its namespace decides which ones the others give.
    let Some(vnic) = model.instance_port_of(port.interface_id) else { return };
    if let (Some(host), VnicKind::Namespace { namespace, .. }) = (&vnic.host_id, &vnic.vnic) {
        touched.extend(bindings_within(model, host, namespace).filter_map(|(_, id)| fragment_of(model, id)));
    }
}

/// Whether what matters to hosts about a network has changed.
pub(crate) fn differs(step: &Step<'_>, network: Id) -> bool {
    match (step.before.networks.get(&network), step.after.networks.get(&network)) {
        (Some(before), Some(after)) => {
            (before.mtu, before.admin_state_up, before.l2_adjacency, &before.encapsulation)
                != (after.mtu, after.admin_state_up, after.l2_adjacency, &after.encapsulation)
        }
        _ => true,
    }
}

/// A subnet matters to hosts by the addresses and routes of the workloads that have one of its addresses.
fn told(model: &Model, subnet: Id) -> Option<(IpNet, Option<IpAddr>, &[HostRoute])> {
    let subnet = model.subnets.get(&subnet)?;
    Some((subnet.cidr, subnet.gateway_ip, &subnet.host_routes))
}
