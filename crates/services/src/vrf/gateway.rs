//! The gateways of a VRF: where they are, and what they answer for.
//!
//! A network's gateway is on its bridge, on every host that has ports there which are joined by it. A port that is joined
//! otherwise (by routing alone, or in a VRF of its own) has a gateway for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use weft_dataplane::{LinkId, LinkKind, Object, STEERED_ADDRESSES_MAX, Steering};
use weft_net::{HostName, IfName, Mac};

use crate::compile::{Compiled, Step};
use crate::core::{ServicePort, compile as core};
use crate::network::compile as network_compile;
use crate::router::RouterInterface;
use crate::vrf::compile::takes_part;
use crate::vrf::objects::{self, Gateway};
use crate::vrf::{Scope, Vrf, member, vpn};
use crate::{Id, Model, RowKind, names};

/// Whether a prefix is one of [`subnets_of`].
pub(super) fn is_subnet_of(model: &Model, vrf: &Vrf, prefix: IpNet) -> bool {
    let id = vrf.standard.id;
    let is_it = |id: Id| model.subnets.get(&id).is_some_and(|subnet| subnet.cidr.trunc() == prefix);
    let has_it = |network: Id| model.subnets_of(network).any(is_it);
    // Nearly always no network has it, and more need not be known.
    let may_be = match vrf.scope {
        Scope::Router => model.networks_of(id).any(has_it),
        Scope::Vpn => model.members_of(id).any(|(kind, id)| kind == RowKind::Network && has_it(id)),
        Scope::Network => has_it(id),
        Scope::Port => false,
    };
    may_be && subnets_of(model, vrf).contains(&prefix)
}

/// The subnets that a VRF's gateways are in and others of which are beside them: not those of networks without layer 2, whose
/// ports are destinations of their own, and nothing else is.
pub(super) fn subnets_of(model: &Model, vrf: &Vrf) -> BTreeSet<IpNet> {
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
    let prefix = |id: Id| {
        let subnet = model.subnets.get(&id)?;
        let network = model.networks.get(&subnet.network_id)?;
        network.l2_adjacency.then(|| subnet.cidr.trunc())
    };
    subnets.into_iter().filter_map(prefix).collect()
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

/// The gateway of a network on a host, if ports are joined by it there.
pub(super) fn network_gateway(model: &Model, vrf: &Vrf, host: &HostName, id: Id) -> Vec<Object> {
    let Some(gateway) = bridged_gateway(model, vrf, host, id) else { return Vec::new() };
    let mut objects = gateway.objects();
    let link = gateway.link();
    let addresses = gateway_addresses(model, vrf, id);
    objects.extend(addresses.into_iter().map(|address| Object::Address(link.clone(), address)));
    objects
}

/// The gateway that a VRF has on a network's bridge on a host.
pub(super) fn bridged_gateway(model: &Model, vrf: &Vrf, host: &HostName, id: Id) -> Option<Gateway> {
    let network = model.networks.get(&id)?;
    let has_bridge = network_compile::takes_part(model, id, host);
    let mut ports = model.ports_in(vrf.standard.id, host, id);
    (has_bridge && ports.any(|port| is_bridged(model, vrf, port))).then(|| Gateway {
        of: gateway_id(model, vrf, id),
        vrf: vrf.standard.id,
        bridge: Some(names::bridge(id)),
        mac: gateway_mac(model, vrf, id),
        mtu: network.mtu,
    })
}

fn is_bridged(model: &Model, vrf: &Vrf, port: Id) -> bool {
    model.service_ports.get(&port).is_some_and(|port| joined(model, vrf, port) == Joined::Bridged)
}

/// Whether the gateway of a network on a host comes or goes, or is another one, as far as one of its ports has to do with that.
pub(super) fn gateway_changes(step: &Step<'_>, vrf: Id, host: &HostName, (network, port): (Id, Id)) -> bool {
    let around = [step.before, step.after].map(|model| Some((model, model.vrfs.get(&vrf)?)));
    if !around.iter().flatten().any(|(model, vrf)| is_bridged(model, vrf, port)) {
        return false;
    }
    let [was, is] = around.map(|around| {
        let (model, vrf) = around?;
        bridged_gateway(model, vrf, host, network).map(|gateway| gateway.link())
    });
    was != is
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
    mac.unwrap_or_else(|| model.vrfs.get(&network).map_or(vrf, |own| own).gateway_mac(network))
}

/// The addresses of a network's gateway in a VRF: those of the router's interfaces, or the gateways of its subnets.
///
/// Without the length of the prefix: nobody else is on its link but those whose addresses and MAC addresses are known, and for no
/// others does the kernel look. What it asks for counts against what the whole host may have of neighbours.
fn gateway_addresses(model: &Model, vrf: &Vrf, network: Id) -> Vec<IpNet> {
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
    found.into_values().map(IpNet::from).collect()
}

/// The gateway that a port has for itself on its host.
pub(super) fn own_gateway(model: &Model, vrf: &Vrf, port: &ServicePort, host: &HostName) -> Option<Gateway> {
    let mtu = model.networks.get(&port.service_id)?.mtu;
    let bridge = match joined(model, vrf, port) {
        Joined::Bridged => return None,
        Joined::Routed => Some(names::bridge(port.standard.id)),
        // Where its network is not, nothing comes by its bridge either.
        Joined::Steered if !network_compile::takes_part(model, port.service_id, host) => return None,
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
pub(super) fn on_port(model: &Model, vrf: &Vrf, id: Id) -> Option<Compiled> {
    let port = model.service_ports.get(&id)?;
    let members = member::entries(model, id).members;
    let (_, host, _) = members.into_iter().find(|(of, ..)| *of == vrf.standard.id)?;
    if !takes_part(model, vrf.standard.id, &host) {
        return None;
    }
    let gateway = own_gateway(model, vrf, port, &host)?;
    let mut objects = match gateway.bridge {
        Some(bridge) => port_bridge(model, port, bridge)?,
        None => Vec::new(),
    };
    objects.extend(gateway.objects());
    let link = gateway.link();
    let addresses = gateway_addresses(model, vrf, port.service_id);
    objects.extend(addresses.iter().map(|address| Object::Address(link.clone(), *address)));
    match gateway.bridge {
        Some(_) => objects.push(Object::ProxyArp(link)),
        None => objects.push(Object::Steering(Steering {
            link: LinkId::on_host(core::link_name(model, port.interface_id)?),
            mac: gateway.mac,
            addresses: steered(model, vrf, port),
            to: gateway.port(),
        })),
    }
    Some(Compiled::only_at(host, objects))
}

/// The gateways' addresses that a port's questions for are steered: all, or as many as there is room for. Those of the subnets
/// that the port has addresses of come first, then those of the older subnets, so that one more takes nobody's place.
fn steered(model: &Model, vrf: &Vrf, port: &ServicePort) -> Vec<IpAddr> {
    let addresses = gateway_addresses(model, vrf, port.service_id);
    let mut addresses: Vec<IpAddr> = addresses.iter().map(IpNet::addr).collect();
    let order = |address: &IpAddr| {
        let subnets = model.subnets_of(port.service_id).filter_map(|id| model.subnets.get(&id));
        let of = subnets.filter(|subnet| subnet.cidr.contains(address));
        let of = of.map(|subnet| (subnet.standard.created_at, subnet.standard.id)).min();
        let is_own = |id: Id| port.fixed_ips.iter().any(|own| own.subnet_id == id);
        (!of.is_some_and(|(_, id)| is_own(id)), of)
    };
    if addresses.len() > STEERED_ADDRESSES_MAX {
        addresses.sort_by_cached_key(order);
        addresses.truncate(STEERED_ADDRESSES_MAX);
    }
    addresses.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
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
