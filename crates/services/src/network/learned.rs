//! What was learned of a network from outside, on its hosts: MAC addresses behind tunnel endpoints, and the endpoints.
//!
//! What is ours is nobody else's to say: neither the MAC address of a port of the network or of a gateway, nor the IP address of
//! such a port or of a subnet's gateway, nor anything of a host's own tunnel endpoint.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use weft_dataplane::{BridgeFdb, Flood, LinkId, Neighbour, Object, VxlanFdb};
use weft_net::Mac;

use super::compile::fragment;
use super::mac_vrf::outward;
use crate::compile::{Compiled, FragmentKey, Step, Subject};
use crate::facts::LearnedMac;
use crate::{Fact, Id, Model, RowKey, RowKind, names};

/// The subjects of a network that were learned.
pub(super) fn subjects(model: &Model, network: Id) -> BTreeSet<Subject> {
    if !model.mac_vrfs.contains_key(&network) {
        return BTreeSet::new();
    }
    let macs = model.facts.macs_of(network).map(Subject::Mac);
    macs.chain(model.facts.endpoints_of(network).map(|(endpoint, _)| Subject::Endpoint(endpoint))).collect()
}

/// A tunnel endpoint outside, on every host of the network: what is for everybody goes there, too.
pub(super) fn endpoint(model: &Model, network: Id, destination: IpAddr) -> Option<Compiled> {
    let outward = outward(model, network)?;
    let vni = model.facts.endpoint(network, destination).filter(|_| !model.is_own_endpoint(destination))?;
    let (link, vni) = (LinkId::on_host(outward.link), (vni != outward.vni).then_some(vni));
    Some(everywhere(vec![Object::Flood(Flood { link, destination, vni })]))
}

/// A MAC address outside, on every host of the network: as those of ports are that are on other hosts.
pub(super) fn mac(model: &Model, network: Id, mac: Mac) -> Option<Compiled> {
    let outward = outward(model, network)?;
    if is_own_mac(model, network, mac) {
        return None;
    }
    let at = *best(model, network, mac)?;
    let link = LinkId::on_host(outward.link);
    let vni = (at.vni != outward.vni).then_some(at.vni);
    let mut objects = vec![
        Object::BridgeFdb(BridgeFdb { link: link.clone(), mac }),
        Object::VxlanFdb(VxlanFdb { link, mac, destination: at.endpoint, vni }),
    ];
    let bridge = LinkId::on_host(names::bridge(network));
    let addresses = model.facts.stations(network, mac).filter(|(_, of)| at.is_same_place(of));
    let addresses = addresses.filter_map(|(address, _)| address);
    let addresses = addresses.filter(|address| holder(model, network, *address) == Some(mac));
    objects
        .extend(addresses.map(|address| Object::Neighbour(Neighbour { link: bridge.clone(), address, mac })));
    Some(everywhere(objects))
}

fn everywhere(objects: Vec<Object>) -> Compiled {
    Compiled { at: BTreeMap::new(), elsewhere: objects }
}

/// Where a MAC address is: where it has moved to last (RFC 7432 §15), but never at an endpoint of ours.
fn best(model: &Model, network: Id, mac: Mac) -> Option<&LearnedMac> {
    let stations = model.facts.stations(network, mac).map(|(_, at)| at);
    stations.filter(|at| !model.is_own_endpoint(at.endpoint)).max_by_key(|at| rank(at))
}

/// Of two the greater is taken: what has moved last, then whichever has the lowest endpoint (RFC 7432 §15.1).
fn rank(at: &LearnedMac) -> (bool, u32, Reverse<(IpAddr, u32)>) {
    (at.is_sticky, at.sequence, Reverse((at.endpoint, at.vni.get())))
}

/// Whose an address is, of all MAC addresses with which it was learned; nobody's, if it is one of ours.
fn holder(model: &Model, network: Id, address: IpAddr) -> Option<Mac> {
    let is_gateway = model
        .subnets_of(network)
        .any(|id| model.subnets.get(&id).is_some_and(|subnet| subnet.gateway_ip == Some(address)));
    if is_gateway || model.bindings_at(network, address).next().is_some() {
        return None;
    }
    let others = model.facts.macs_at(network, address).filter(|mac| !is_own_mac(model, network, *mac));
    let found = others.filter_map(|mac| Some((model.facts.station(network, mac, Some(address))?, mac)));
    let found = found.filter(|(at, _)| !model.is_own_endpoint(at.endpoint));
    found.max_by_key(|(at, mac)| (rank(at), Reverse(*mac))).map(|(_, mac)| mac)
}

/// Whether a MAC address is that of a port of the network, or of a gateway.
fn is_own_mac(model: &Model, network: Id, mac: Mac) -> bool {
    model.index.macs.contains_key(&(network, mac)) || model.has_gateway_mac(mac)
}

/// What a fact may touch.
pub(super) fn touched_by(model: &Model, fact: &Fact, touched: &mut BTreeSet<FragmentKey>) {
    match fact {
        Fact::Mac { network, mac, address, .. } => {
            touched.insert(fragment(*network, Subject::Mac(*mac)));
            address.iter().for_each(|address| touched_at(model, *network, *address, touched));
        }
        Fact::Endpoint { network, endpoint, .. } => {
            touched.insert(fragment(*network, Subject::Endpoint(*endpoint)));
        }
        Fact::Routes { .. } | Fact::Carrier { .. } => {}
    }
}

/// What of that which was learned a write may touch.
pub(super) fn touched(model: &Model, step: &Step<'_>, touched: &mut BTreeSet<FragmentKey>) {
    if !model.facts.has_bridged() {
        return;
    }
    match &step.row {
        RowKey::Resource(RowKind::ServicePort, id) => {
            let Some(port) = model.service_ports.get(id) else { return };
            touched_with(model, port.service_id, port.mac_address, touched);
            let addresses = port.fixed_ips.iter().map(|fixed_ip| fixed_ip.ip_address);
            addresses.for_each(|address| touched_at(model, port.service_id, address, touched));
        }
        RowKey::Resource(RowKind::Subnet, id) => {
            let Some(subnet) = model.subnets.get(id) else { return };
            subnet.gateway_ip.iter().for_each(|gateway| {
                touched_at(model, subnet.network_id, *gateway, touched);
            });
        }
        RowKey::Resource(RowKind::Vrf, id) => {
            let Some(vrf) = model.vrfs.get(id) else { return };
            for network in model.facts.networks_with(vrf.mac_address) {
                touched_with(model, network, vrf.mac_address, touched);
            }
        }
        RowKey::Host(name) => {
            let of = |model: &Model| model.host(name).and_then(|host| host.fact.tunnel_endpoint);
            let endpoints = [of(step.before), of(step.after)];
            if endpoints[0] == endpoints[1] {
                return;
            }
            for endpoint in endpoints.into_iter().flatten() {
                touched_behind(model, endpoint, touched);
            }
        }
        RowKey::Resource(..) | RowKey::Departure(..) => {}
    }
}

/// All that was learned with an address.
fn touched_at(model: &Model, network: Id, address: IpAddr, touched: &mut BTreeSet<FragmentKey>) {
    let macs = model.facts.macs_at(network, address);
    touched.extend(macs.map(|mac| fragment(network, Subject::Mac(mac))));
}

/// A MAC address, and all that was learned with an address of it.
fn touched_with(model: &Model, network: Id, mac: Mac, touched: &mut BTreeSet<FragmentKey>) {
    for (address, _) in model.facts.stations(network, mac) {
        touched.insert(fragment(network, Subject::Mac(mac)));
        address.iter().for_each(|address| touched_at(model, network, *address, touched));
    }
}

/// All that is behind an endpoint.
fn touched_behind(model: &Model, endpoint: IpAddr, touched: &mut BTreeSet<FragmentKey>) {
    for (network, mac, at) in model.facts.all_macs() {
        if at.endpoint == endpoint {
            touched_with(model, network, mac, touched);
        }
    }
    let networks = model.mac_vrfs.keys().filter(|id| model.facts.endpoint(**id, endpoint).is_some());
    touched.extend(networks.map(|network| fragment(*network, Subject::Endpoint(endpoint))));
}
