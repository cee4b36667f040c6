//! What can be asked of VRFs: which are meant by a name, and what calls for a route.

use std::collections::BTreeSet;

use ipnet::IpNet;
use weft_net::HostName;

use crate::vrf::{Scope, Vrf, gateway, prefix, route};
use crate::{Id, Model, RowKey, RowKind, Standard};

/// A way to a destination that somebody in the site has asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedPath {
    /// The VRF that it is in: this one, or one from which this one imports.
    pub vrf: Id,
    /// The binding that it leads to.
    pub port: Id,
    /// The row because of which it is there.
    pub by: RowKey,
    /// The host of the port, if it has one.
    pub host: Option<HostName>,
    /// How much it is preferred (RFC 4271 §5.1.5).
    pub local_pref: u32,
    /// Whether packets could go along it: its port is bound, up, and has a carrier.
    pub is_usable: bool,
    /// Whether packets go along it.
    pub is_used: bool,
}

/// The VRFs that are meant by an identifier or a name: of a VRF, or of a router, a BGP VPN, a network, a port or a binding
/// that is in some.
#[must_use]
pub fn called(model: &Model, text: &str) -> BTreeSet<Id> {
    let id: Option<Id> = text.parse().ok();
    let is_it = |standard: &Standard| Some(standard.id) == id || (!text.is_empty() && standard.name == text);
    let mut found: BTreeSet<Id> = BTreeSet::new();
    found.extend(model.vrfs.keys().filter(|vrf| Some(**vrf) == id));
    let routers = model.routers.values().map(|router| &router.standard).filter(|router| is_it(router));
    found.extend(routers.map(|router| router.id).filter(|id| model.vrfs.contains_key(id)));
    let vpns = model.bgpvpns.values().map(|vpn| &vpn.standard).filter(|vpn| is_it(vpn));
    for vpn in vpns {
        found.extend(model.members_of(vpn.id).flat_map(|(kind, member)| of_member(model, kind, member)));
    }
    let networks = model.networks.values().map(|network| &network.standard);
    found.extend(networks.filter(|it| is_it(it)).flat_map(|network| model.vrfs_of_network(network.id)));
    let vnics = model.instance_ports.values().map(|port| &port.standard).filter(|port| is_it(port));
    let of_vnics = vnics.flat_map(|port| model.service_ports_on(port.id));
    let named = model.service_ports.values().map(|port| &port.standard).filter(|port| is_it(port));
    let bindings: BTreeSet<Id> = of_vnics.chain(named.map(|port| port.id)).collect();
    found.extend(bindings.into_iter().flat_map(|id| of_member(model, RowKind::ServicePort, id)));
    found
}

fn of_member(model: &Model, kind: RowKind, id: Id) -> Vec<Id> {
    match kind {
        RowKind::Network => model.vrfs_of_network(id),
        RowKind::ServicePort => {
            model.service_ports.get(&id).map_or_else(Vec::new, |binding| model.vrfs_of(binding))
        }
        _ => model.vrfs.get(&id).map(|vrf| vrf.standard.id).into_iter().collect(),
    }
}

/// The row that a VRF is for.
#[must_use]
pub fn scope_row(vrf: &Vrf) -> RowKey {
    let kind = match vrf.scope {
        Scope::Router => RowKind::Router,
        Scope::Vpn => RowKind::Bgpvpn,
        Scope::Network => RowKind::Network,
        Scope::Port => RowKind::ServicePort,
    };
    RowKey::Resource(kind, vrf.standard.id)
}

/// The destination in a VRF that packets to an address or a prefix are for: the longest of those to which it belongs.
#[must_use]
pub fn destination_of(model: &Model, vrf: &Vrf, wanted: IpNet) -> Option<IpNet> {
    let holds = |prefix: &IpNet| match (prefix, &wanted) {
        (IpNet::V4(prefix), IpNet::V4(wanted)) => prefix.contains(wanted),
        (IpNet::V6(prefix), IpNet::V6(wanted)) => prefix.contains(wanted),
        _ => false,
    };
    let subnets = gateway::subnets_of(model, vrf);
    let all = model.prefixes_of(vrf).into_iter().chain(subnets);
    all.filter(holds).max_by_key(IpNet::prefix_len)
}

/// The ways to a destination that were asked for in the site, used or not.
#[must_use]
pub fn asked_paths(model: &Model, vrf: &Vrf, destination: IpNet) -> Vec<AskedPath> {
    // What was learned may be preferred on hosts that can send it, and on those alone.
    let on_hosts = |sends| match route::live(model, vrf, destination, sends) {
        route::Live::Ports(ports) => ports,
        route::Live::Outside(_) => Vec::new(),
    };
    let live = [route::Sends::Vxlan, route::Sends::Mpls].into_iter().flat_map(on_hosts);
    let used: BTreeSet<(Id, Id)> = live.map(|to| (to.path.vrf, to.path.port)).collect();
    let paths = model.paths_to(vrf, destination).into_iter();
    let asked = paths.map(|path| {
        let own = model.vrfs.get(&path.vrf).map_or(vrf.local_pref, |own| own.local_pref);
        let port = model.service_ports.get(&path.port);
        let binding = port.and_then(|port| model.live_binding(port));
        AskedPath {
            vrf: path.vrf,
            port: path.port,
            by: RowKey::Resource(path.by.0, path.by.1),
            host: binding.map(|(_, host)| host),
            local_pref: path.local_pref.unwrap_or(own),
            is_usable: route::is_live(model, &path),
            is_used: used.contains(&(path.vrf, path.port)),
        }
    });
    asked.collect()
}

/// How many ways to a destination a host does without, since its route has no room for them.
#[must_use]
pub fn ways_left_out(model: &Model, vrf: &Vrf, destination: IpNet, host: &HostName) -> usize {
    prefix::left_out(model, vrf, destination, host)
}
