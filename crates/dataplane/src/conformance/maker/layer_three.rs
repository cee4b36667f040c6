//! Objects by chance: VRFs, what is in them, and what is steered past bridges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weft_net::{IfName, Mac, NamespaceName, Vni};

use super::{BRIDGES, Maker, link, name};
use crate::{
    BridgeFdb, BridgePort, INGRESS_TABLE, Key, LabelRoute, Link, LinkId, LinkKind, Namespace, Neighbour,
    Object, Path, PortRole, Route, RouteTo, Steering, Vrf, VxlanFdb,
};

const VRFS: u8 = 2;
const GATEWAY: Mac = Mac::new([0, 0, 0x5e, 0, 1, 1]);

impl Maker<'_> {
    pub(in crate::conformance) fn vrfs(&mut self, labels: bool) {
        for n in 0..VRFS {
            if self.random.yes() {
                continue;
            }
            let vrf = name(&format!("vrf-{n}"));
            // The same table, and the same VNI, may be another VRF's next time: that must free it first.
            let number = u32::from(n + self.random.below(2) * VRFS);
            let mark = format!("weft.test.{vrf}").parse().expect("a plain mark");
            self.state.insert(Object::Vrf(Vrf { name: vrf, mark, table: 2000 + number }));
            let router = self.router(n, vrf, 300 + (number + 1) % (2 * u32::from(VRFS)));
            let gateway = self.gateway(n, vrf);
            for _ in 0..self.random.below(4) {
                self.route(vrf, router, gateway);
            }
            for link in [router, gateway].into_iter().flatten().filter(|_| self.random.yes()) {
                self.state.insert(Object::Ingress(LinkId { namespace: Namespace::Vrf(vrf), name: link }));
            }
            let link = name(&format!("br-{}", self.random.below(BRIDGES)));
            if labels && self.random.yes() && self.state.contains(&Key::Link(LinkId::on_host(link))) {
                let (label, mac) = ((100 + number).try_into().expect("in range"), self.mac());
                self.state.insert(Object::LabelRoute(LabelRoute { label, link, mac }));
            }
        }
    }

    /// The VXLAN device of a VRF, and the routers behind it.
    fn router(&mut self, n: u8, vrf: IfName, vni: u32) -> Option<IfName> {
        if self.random.yes() {
            return None;
        }
        let device = name(&format!("vy{n}"));
        let id = LinkId { namespace: Namespace::Vrf(vrf), name: device };
        let kind = LinkKind::Vxlan {
            vni: vni.try_into().expect("in range"),
            local: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 4789,
            mac: Some(Mac::new([2, 0, 0, 0, 1, n])),
        };
        let mark = format!("weft.test.{device}").parse().expect("a plain mark");
        let mtu = self.mtu();
        self.state.insert(Object::Link(Link { id: id.clone(), mark, mtu, up: true, kind }));
        for router in 0..self.random.below(3) {
            let (mac, vni) = (self.mac(), self.random.yes().then_some(Vni::MAX));
            let destination = IpAddr::V4(Ipv4Addr::new(127, 0, 1, self.random.below(4)));
            let neighbour = Neighbour { link: id.clone(), address: router_address(router), mac };
            self.state.insert(Object::Neighbour(neighbour));
            self.state.insert(Object::VxlanFdb(VxlanFdb { link: id.clone(), mac, destination, vni }));
        }
        Some(device)
    }

    /// A leg of a VRF in a bridge.
    fn gateway(&mut self, n: u8, vrf: IfName) -> Option<IfName> {
        let bridge = name(&format!("br-{}", self.random.below(BRIDGES)));
        if self.random.yes() || !self.state.contains(&Key::Link(LinkId::on_host(bridge))) {
            return None;
        }
        let (outside, inside) = (name(&format!("gb{n}")), name(&format!("gw{n}")));
        let peer = LinkId { namespace: Namespace::Vrf(vrf), name: inside };
        let mtu = self.mtu();
        self.state.insert(link(outside, mtu, LinkKind::Veth { peer: peer.clone(), peer_mac: GATEWAY }));
        let (port, role) = (LinkId::on_host(outside), PortRole::Gateway);
        self.state.insert(Object::BridgePort(BridgePort {
            link: port.clone(),
            bridge,
            role,
            adoption: None,
        }));
        if self.random.yes() {
            self.state.insert(Object::BridgeFdb(BridgeFdb { link: port, mac: GATEWAY }));
        }
        let address = format!("198.51.100.{}/24", 1 + n).parse().expect("an address");
        self.state.insert(Object::Address(peer.clone(), address));
        if self.random.yes() {
            self.state.insert(Object::ProxyArp(peer.clone()));
        }
        if self.random.yes() {
            self.state.insert(Object::ProxyNeighbour(peer, [198, 51, 100, 9].into()));
        }
        Some(inside)
    }

    fn route(&mut self, vrf: IfName, router: Option<IfName>, gateway: Option<IfName>) {
        let is_ipv4 = self.random.yes();
        let destination = if is_ipv4 {
            format!("203.0.113.{}/32", self.random.below(3))
        } else {
            format!("2001:db8:f::{}/128", self.random.below(3))
        };
        let mut paths: Vec<Path> = Vec::new();
        if let Some(router) = router {
            paths.extend((0..self.random.below(3)).map(|n| Path::on(router, Some(router_address(n)))));
        }
        // Without an IPv6 address, the gateway's leg has no routes of that family by itself.
        if let Some(gateway) = gateway.filter(|_| is_ipv4 && self.random.yes()) {
            paths.push(Path::on(gateway, Some([198, 51, 100, 9].into())));
        }
        for path in &mut paths {
            path.weight = 1 + u16::from(self.random.below(2));
        }
        let to = match (paths.is_empty(), self.random.yes()) {
            (false, _) => RouteTo::paths(paths),
            (true, true) => RouteTo::Unreachable,
            (true, false) => RouteTo::Blackhole,
        };
        let (namespace, destination) = (Namespace::Vrf(vrf), destination.parse().expect("a prefix"));
        let table = if self.random.yes() { 254 } else { INGRESS_TABLE };
        self.state.insert(Object::Route(Route { namespace, table, destination, to }));
    }

    pub(in crate::conformance) fn steering(&mut self, namespace: &NamespaceName) {
        let tap = LinkId::on_host(name("tap0"));
        if self.random.yes() || !self.state.contains(&Key::BridgePort(tap.clone())) {
            return;
        }
        let (to, mac) = (LinkId::on_host(name("st0")), self.mac());
        let peer = LinkId { namespace: Namespace::Named(namespace.clone()), name: name("st1") };
        self.state.insert(link(to.name, 1500, LinkKind::Veth { peer, peer_mac: GATEWAY }));
        let addresses = [IpAddr::from([10, 0, 0, 1]), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()];
        let addresses = addresses.into_iter().take(usize::from(self.random.below(3))).collect();
        self.state.insert(Object::Steering(Steering { link: tap, mac, addresses, to }));
    }
}

fn router_address(n: u8) -> IpAddr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1 + u16::from(n)).into()
}
