//! What of a network in a BGP VPN of type `l2` is announced to the outside (RFC 7432, RFC 8365): each host's by itself.

use std::collections::BTreeSet;
use std::net::IpAddr;

use weft_net::{HostName, Mac, RouteDistinguisher, RouteTarget, Vni};

use super::compile::{carried_out_on, fragment};
use super::mac_vrf::outward;
use crate::compile::{FragmentKey, Subject};
use crate::core::ServicePort;
use crate::vrf::{distinguisher_of, is_of_hosts};
use crate::{Id, Model, RowKey, RowKind};

/// A route of a network, to be announced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Announcement {
    /// Tells it from routes of other networks and hosts.
    pub route_distinguisher: RouteDistinguisher,
    /// What is reached by it.
    pub reach: Reach,
    /// Who is to import it.
    pub targets: BTreeSet<RouteTarget>,
    /// The host that has it: once it has carried out the fragment that this is of.
    pub host: HostName,
    /// The host's tunnel endpoint.
    pub next_hop: IpAddr,
    /// The VNI under which the host takes frames of it.
    pub vni: Vni,
    /// How much it is preferred (RFC 4271 §5.1.5).
    pub local_pref: u32,
    /// What else the host has to have carried out: its part of the network. It follows from the fragment and the host.
    #[serde(skip)]
    pub needs: FragmentKey,
}

/// What is reached by a route of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Reach {
    /// Whoever is there: what is for everybody is to be sent there too (RFC 7432 §7.3).
    Everybody,
    /// One station (RFC 7432 §7.2).
    Station {
        /// Its MAC address.
        mac: Mac,
        /// One of its addresses; `None`: whatever they are.
        address: Option<IpAddr>,
        /// How often it has moved (RFC 7432 §7.7).
        sequence: u32,
    },
}

/// Because of what something may be announced: of a host that takes part in a network, and of a port.
pub(super) fn may_announce(subject: &Subject) -> bool {
    matches!(subject, Subject::Row(row) if matches!(row.kind(), RowKind::Host | RowKind::ServicePort))
}

/// What is announced because of it.
pub(super) fn announcements(model: &Model, network: Id, subject: &Subject) -> Vec<Announcement> {
    match subject {
        Subject::Row(RowKey::Host(host)) => of_host(model, network, host).into_iter().collect(),
        Subject::Row(RowKey::Resource(RowKind::ServicePort, id)) => {
            let port = model.service_ports.get(id).filter(|port| port.service_id == network);
            port.map(|port| of_port(model, port)).unwrap_or_default()
        }
        Subject::Row(_) | Subject::Prefix(_) | Subject::Mac(_) | Subject::Endpoint(_) => Vec::new(),
    }
}

/// What else is to be looked at when something is: the ports of a host, when its part of a network is.
pub(super) fn looked_at_with(model: &Model, network: Id, subject: &Subject) -> Vec<Subject> {
    let Subject::Row(RowKey::Host(host)) = subject else { return Vec::new() };
    if !model.mac_vrfs.contains_key(&network) {
        return Vec::new();
    }
    let bindings = model.ports_on(host).flat_map(|port| model.service_ports_on(port));
    let is_of = |id: &Id| model.service_ports.get(id).is_some_and(|port| port.service_id == network);
    let of_network = bindings.filter(is_of);
    of_network.map(|id| Subject::Row(RowKey::Resource(RowKind::ServicePort, id))).collect()
}

/// Every fragment because of which something may be announced.
pub(super) fn fragments_of_all(model: &Model) -> Vec<FragmentKey> {
    let of_network = |network: Id| {
        let hosts = model.hosts_of(network).map(|host| RowKey::Host(host.clone()));
        let ports = model.bindings_to(network).map(|id| RowKey::Resource(RowKind::ServicePort, id));
        hosts.chain(ports).map(|row| fragment(network, row)).collect::<Vec<_>>()
    };
    model.mac_vrfs.keys().copied().flat_map(of_network).collect()
}

fn of_host(model: &Model, network: Id, name: &HostName) -> Option<Announcement> {
    let mac_vrf = model.mac_vrfs.get(&network).filter(|mac_vrf| !mac_vrf.exports.is_empty())?;
    let host = model.host(name).filter(|_| super::compile::takes_part(model, network, name))?;
    let next_hop = host.fact.tunnel_endpoint.filter(|_| model.is_on(network, name))?;
    let given = mac_vrf.route_distinguisher.filter(|given| !is_of_hosts(model, *given));
    Some(Announcement {
        route_distinguisher: given.unwrap_or_else(|| distinguisher_of(mac_vrf.number, next_hop)),
        reach: Reach::Everybody,
        targets: mac_vrf.exports.clone(),
        host: name.clone(),
        next_hop,
        vni: outward(model, network)?.vni,
        local_pref: mac_vrf.local_pref,
        needs: fragment(network, RowKey::Host(name.clone())),
    })
}

fn of_port(model: &Model, port: &ServicePort) -> Vec<Announcement> {
    let host = carried_out_on(model, port).filter(|_| !model.is_routed(port));
    let of_host = host.and_then(|host| of_host(model, port.service_id, &host));
    let vnic = model.instance_port_of(port.interface_id);
    let (Some(of_host), Some(vnic)) = (of_host, vnic) else { return Vec::new() };
    let addresses = port.fixed_ips.iter().map(|fixed_ip| Some(fixed_ip.ip_address));
    let station = |address| Announcement {
        reach: Reach::Station { mac: port.mac_address, address, sequence: vnic.moves },
        ..of_host.clone()
    };
    [None].into_iter().chain(addresses).map(station).collect()
}
