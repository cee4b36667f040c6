//! What a VRF is on a host, as objects.
//!
//! ```text
//!   workload ── tap ── br-<network> ── gp-… ═ gw-… ┐
//!   workload ── tap ── br-<port> ──── gp-… ═ gw-…  ├ VRF ── vx<vni> ── (underlay) ── the same VRF, and those that it
//!   another VRF of this host ── weft-leak ── lk-…  ┤                                  imports from, on other hosts
//!   the VRF's MPLS label ────────── mp-… ═══ ml-…  ┘
//! ```
//!
//! The next hop to a VRF on a host is the IPv6 link-local address made of that VRF's MAC address there (RFC 4291 appendix A),
//! for either IP version (RFC 8950): one neighbour leads to it, whatever tunnel endpoint and VNI are beneath.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use weft_dataplane::{
    BridgeFdb, BridgePort, LabelRoute, Link, LinkId, LinkKind, Mark, Namespace, Neighbour, Object, PATHS_MAX,
    Path, PortRole, Route, RouteTo, VxlanFdb, WEIGHT_MAX,
};
use weft_net::{IfName, Mac, MplsLabel, Vni};

use crate::core::binding::vxlan_overhead;
use crate::network::compile::VXLAN_PORT;
use crate::vrf::{Vrf, router_mac};
use crate::{Host, Id, names};

/// The bridge by which VRFs of one host reach one another.
const LEAK_BRIDGE: &str = "weft-leak";
/// The largest packet between VRFs of one host: none is cut there.
const LEAK_MTU: u32 = 65_000;

/// The link-local address of every gateway.
const LINK_LOCAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), 64);

/// A link in a VRF.
pub(super) fn link_in(vrf: Id, name: IfName) -> LinkId {
    LinkId { namespace: Namespace::Vrf(names::vrf(vrf)), name }
}

/// The VRF itself on a host, with its way to other hosts.
pub(super) fn vrf(vrf: &Vrf, (host, endpoint): (&Host, IpAddr)) -> Vec<Object> {
    let id = vrf.standard.id;
    let name = names::vrf(id);
    let mark = names::mark("vrf", id);
    let mut objects = vec![Object::Vrf(weft_dataplane::Vrf { name, mark, table: vrf.number.table() })];
    let mtu = host.fact.underlay_mtu.saturating_sub(vxlan_overhead(endpoint));
    let mac = Some(router_mac(vrf.vni, endpoint));
    let kind = LinkKind::Vxlan { vni: vrf.vni, local: endpoint, port: VXLAN_PORT, mac };
    let link = link_in(id, names::vxlan(vrf.vni));
    objects.push(Object::Ingress(link.clone()));
    objects.push(link_object(link, names::mark("l3vxlan", id), mtu, kind));
    if host.fact.has_mpls() {
        objects.extend(by_label(vrf, endpoint));
    }
    objects
}

/// How a VRF gets what comes with its label: by a link of its own, so that it is routed as all that comes from elsewhere is.
fn by_label(vrf: &Vrf, endpoint: IpAddr) -> Vec<Object> {
    let id = vrf.standard.id;
    let (port, mac) = (LinkId::on_host(names::label_port(id)), router_mac(vrf.vni, endpoint));
    let inside = link_in(id, names::label(id));
    let veth = LinkKind::Veth { peer: inside.clone(), peer_mac: mac };
    let route = LabelRoute { label: vrf.number.label(), link: port.name, mac };
    vec![
        Object::Ingress(inside),
        link_object(port, names::mark("label", id), LEAK_MTU, veth),
        Object::LabelRoute(route),
    ]
}

/// A VRF's way to the others on its host.
pub(super) fn leak(vrf: &Vrf, endpoint: IpAddr) -> Vec<Object> {
    let id = vrf.standard.id;
    let bridge: IfName = LEAK_BRIDGE.parse().expect("nine letters and a hyphen");
    let mark: Mark = "weft.leak".parse().expect("the prefix and a word");
    let end = LinkId::on_host(names::leak_port(id));
    let mac = router_mac(vrf.vni, endpoint);
    let veth = LinkKind::Veth { peer: link_in(id, names::leak(id)), peer_mac: mac };
    vec![
        Object::Ingress(link_in(id, names::leak(id))),
        link_object(LinkId::on_host(bridge), mark, LEAK_MTU, LinkKind::Bridge),
        link_object(end.clone(), names::mark("leak", id), LEAK_MTU, veth),
        port_of(end, bridge, PortRole::Workload),
    ]
}

/// A gateway of a bridge: a link from it into a VRF.
pub(super) struct Gateway {
    /// What it is the gateway of: its links are named after that.
    pub(super) of: Id,
    pub(super) vrf: Id,
    /// The bridge that it is on, unless it is reached past its bridge.
    pub(super) bridge: Option<IfName>,
    pub(super) mac: Mac,
    pub(super) mtu: u32,
}

impl Gateway {
    /// Its link in the VRF.
    pub(super) fn link(&self) -> LinkId {
        link_in(self.vrf, names::gateway(self.of))
    }

    /// Its link on the host.
    pub(super) fn port(&self) -> LinkId {
        LinkId::on_host(names::gateway_port(self.of))
    }

    pub(super) fn objects(&self) -> Vec<Object> {
        let veth = LinkKind::Veth { peer: self.link(), peer_mac: self.mac };
        let mut objects = vec![link_object(self.port(), names::mark("gateway", self.of), self.mtu, veth)];
        if let Some(bridge) = self.bridge {
            objects.push(port_of(self.port(), bridge, PortRole::Gateway));
            objects.push(Object::BridgeFdb(BridgeFdb { link: self.port(), mac: self.mac }));
        }
        // Without an address of its own on the link the kernel asks nobody there for neighbours (RFC 4861 §7.2.2).
        objects.push(Object::Address(self.link(), IpNet::V6(LINK_LOCAL)));
        objects
    }
}

fn port_of(link: LinkId, bridge: IfName, role: PortRole) -> Object {
    Object::BridgePort(BridgePort { link, bridge, role, adoption: None })
}

pub(super) fn link_object(id: LinkId, mark: Mark, mtu: u32, kind: LinkKind) -> Object {
    Object::Link(Link { id, mark, mtu, up: true, kind })
}

/// Whether packets for a destination can be sent to a router with a label: the kernel sends none of IPv6 to one of IPv4.
pub(super) fn takes_label(destination: IpNet, router: IpAddr) -> bool {
    destination.addr().is_ipv4() || router.is_ipv6()
}

/// The way out of a VRF towards another, or towards itself on another host.
pub(super) struct Hop {
    pub(super) path: Path,
    pub(super) objects: Vec<Object>,
}

impl Hop {
    /// Over the underlay, to a VRF on that host: with its label, or with its VNI.
    pub(super) fn to_host(
        from: &Vrf,
        to: &Vrf,
        (host, labelled): (&Host, bool),
        weight: u16,
    ) -> Option<Self> {
        let destination = host.fact.tunnel_endpoint?;
        if labelled {
            return Some(Self::by_label(to.number.label(), destination, weight));
        }
        Some(Self::to_router(from, to.vni, (router_mac(to.vni, destination), destination), weight))
    }

    /// Over the underlay, to the router with this MAC address behind a tunnel endpoint, which has chosen the VNI.
    pub(super) fn to_router(from: &Vrf, vni: Vni, (mac, destination): (Mac, IpAddr), weight: u16) -> Self {
        let link = link_in(from.standard.id, names::vxlan(from.vni));
        let foreign = (vni != from.vni).then_some(vni);
        let entry = VxlanFdb { link: link.clone(), mac, destination, vni: foreign };
        let mut hop = Self::by_link(link, mac, weight);
        hop.objects.push(Object::VxlanFdb(entry));
        hop
    }

    /// Over the underlay, to a router with this MAC address, of which somebody else says how it is reached.
    pub(super) fn by_neighbour(from: &Vrf, mac: Mac, weight: u16) -> Self {
        let path = path(Some(IpAddr::V6(mac.link_local())), names::vxlan(from.vni), weight);
        Self { path, objects: Vec::new() }
    }

    /// Over the underlay, to whoever has chosen this label.
    pub(super) fn by_label(label: MplsLabel, destination: IpAddr, weight: u16) -> Self {
        let path = Path { via: Some(destination), link: None, labels: vec![label], weight };
        Self { path, objects: Vec::new() }
    }

    /// To a VRF of this VNI on the same host.
    pub(super) fn to_vrf(from: &Vrf, vni: Vni, endpoint: IpAddr, weight: u16) -> Self {
        Self::by_link(
            link_in(from.standard.id, names::leak(from.standard.id)),
            router_mac(vni, endpoint),
            weight,
        )
    }

    /// By a link to a port of this host: to the address behind it, or to the port itself, which has this one and is so asked for no
    /// more.
    pub(super) fn to_port(link: LinkId, via: Option<IpAddr>, (address, mac): (IpAddr, Mac)) -> Self {
        let path = path(via, link.name, 1);
        let neighbour = || Object::Neighbour(Neighbour { link, address, mac });
        Self { path, objects: via.is_none().then(neighbour).into_iter().collect() }
    }

    fn by_link(link: LinkId, mac: Mac, weight: u16) -> Self {
        let address = IpAddr::V6(mac.link_local());
        let path = path(Some(address), link.name, weight);
        Self { path, objects: vec![Object::Neighbour(Neighbour { link, address, mac })] }
    }
}

pub(super) fn path(via: Option<IpAddr>, link: IfName, weight: u16) -> Path {
    Path { weight, ..Path::on(link, via) }
}

/// The route of a VRF along hops, with what they need: as far as a route has room for them, which is for the first. Nothing along
/// none.
pub(super) fn along(
    (vrf, table): (Id, u32),
    prefix: IpNet,
    hops: impl IntoIterator<Item = Hop>,
) -> Vec<Object> {
    let (mut objects, mut paths) = (Vec::new(), Vec::<Path>::new());
    for hop in hops {
        let is_known = paths.iter().any(|path| path.way() == hop.path.way());
        if is_known || paths.len() < PATHS_MAX {
            add_new(&mut objects, hop.objects);
            paths.push(hop.path);
        }
    }
    if !paths.is_empty() {
        weigh(&mut paths);
        objects.push(route(vrf, table, prefix, RouteTo::paths(paths)));
    }
    objects
}

/// How many of several ways a route has no room for.
pub(super) fn left_out(hops: impl IntoIterator<Item = Hop>) -> usize {
    let ways: BTreeSet<_> = hops.into_iter().map(|hop| Path { weight: 1, ..hop.path }).collect();
    ways.len().saturating_sub(PATHS_MAX)
}

/// Where one has a larger share than a route has room for, all get less, and none nothing.
fn weigh(paths: &mut [Path]) {
    let largest = paths.iter().map(|path| path.weight).max().unwrap_or(1);
    if largest <= WEIGHT_MAX {
        return;
    }
    for path in paths {
        let weight = u32::from(path.weight) * u32::from(WEIGHT_MAX) / u32::from(largest);
        path.weight = u16::try_from(weight).unwrap_or(WEIGHT_MAX).max(1);
    }
}

/// A route of a VRF: in its own table ([`MAIN_TABLE`]), or in the one for what comes from other VRFs and other hosts.
pub(super) fn route(vrf: Id, table: u32, destination: IpNet, to: RouteTo) -> Object {
    Object::Route(Route { namespace: Namespace::Vrf(names::vrf(vrf)), table, destination, to })
}

/// Adds what is not there yet.
pub(super) fn add_new(objects: &mut Vec<Object>, more: Vec<Object>) {
    for object in more {
        if !objects.contains(&object) {
            objects.push(object);
        }
    }
}
