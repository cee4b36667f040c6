//! Objects by chance: bridges, tunnels, veths, VLANs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weft_net::{IfName, Mac, NamespaceName, Vni};

use crate::{
    BridgeFdb, BridgePort, Flood, Link, LinkId, LinkKind, Namespace, Neighbour, Object, PortRole, Route,
    RouteTo, State, VxlanFdb,
};

mod layer_three;

/// SplitMix64: small, and enough to spread test cases.
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u8) -> u8 {
        u8::try_from(self.next() % u64::from(bound)).unwrap_or(0)
    }

    fn yes(&mut self) -> bool {
        self.next().is_multiple_of(2)
    }
}

const BRIDGES: u8 = 3;

/// What a state is made with.
pub(super) struct Maker<'a> {
    random: Random,
    pub(super) state: State,
    prefix: &'a str,
}

impl<'a> Maker<'a> {
    pub(super) fn new(seed: u64, prefix: &'a str) -> Self {
        Self { random: Random(seed), state: State::default(), prefix }
    }
}

impl Maker<'_> {
    pub(super) fn namespaces(&mut self) -> Vec<NamespaceName> {
        let names = (0..2).filter(|_| self.random.yes()).collect::<Vec<u8>>();
        let prefix = self.prefix;
        let names: Vec<NamespaceName> =
            names.iter().map(|n| format!("{prefix}{n}").parse().expect("the prefix begins a name")).collect();
        for name in &names {
            self.state.insert(Object::Namespace(name.clone()));
        }
        names
    }

    fn mtu(&mut self) -> u32 {
        [1280, 1450, 1500][usize::from(self.random.below(3))]
    }

    pub(super) fn bridges_with_tunnels(&mut self) {
        for n in 0..BRIDGES {
            if self.random.yes() {
                continue;
            }
            let bridge = name(&format!("br-{n}"));
            let mtu = self.mtu();
            self.state.insert(link(bridge, mtu, LinkKind::Bridge));
            if self.random.yes() {
                self.tunnel(n, bridge);
            }
            for _ in 0..self.random.below(3) {
                self.neighbour(bridge);
            }
        }
    }

    fn tunnel(&mut self, n: u8, bridge: IfName) {
        let tunnel = name(&format!("vx{n}"));
        // The same VNI may be behind another name next time: that must free it first.
        let vni = u32::from(100 + (n + self.random.below(2) * BRIDGES) % (2 * BRIDGES));
        let local = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 1 + self.random.below(2)));
        let kind = LinkKind::Vxlan { vni: vni.try_into().expect("in range"), local, port: 4789, mac: None };
        let mtu = self.mtu();
        self.state.insert(link(tunnel, mtu, kind));
        let id = LinkId::on_host(tunnel);
        self.state.insert(Object::BridgePort(BridgePort {
            link: id.clone(),
            bridge,
            role: PortRole::Tunnel,
            adoption: None,
        }));
        for _ in 0..self.random.below(4) {
            let destination = IpAddr::V4(Ipv4Addr::new(127, 0, 1, self.random.below(4)));
            match self.random.below(3) {
                0 => {
                    let vni = self.random.yes().then_some(Vni::MIN);
                    self.state.insert(Object::Flood(Flood { link: id.clone(), destination, vni }))
                }
                1 => {
                    let mac = self.mac();
                    self.state.insert(Object::BridgeFdb(BridgeFdb { link: id.clone(), mac }))
                }
                _ => {
                    let mac = self.mac();
                    let vni = self.random.yes().then_some(Vni::MIN);
                    self.state.insert(Object::VxlanFdb(VxlanFdb { link: id.clone(), mac, destination, vni }))
                }
            };
        }
    }

    fn mac(&mut self) -> Mac {
        Mac::new([2, 0, 0, 0, 0, self.random.below(4)])
    }

    fn neighbour(&mut self, bridge: IfName) {
        let last = 1 + self.random.below(4);
        let address = if self.random.yes() {
            IpAddr::V4(Ipv4Addr::new(10, 1, 1, last))
        } else {
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)))
        };
        let mac = self.mac();
        self.state.insert(Object::Neighbour(Neighbour { link: LinkId::on_host(bridge), address, mac }));
    }

    pub(super) fn veths(&mut self, namespaces: &[NamespaceName]) {
        for n in 0..3 {
            let Some(namespace) = namespaces.get(usize::from(self.random.below(3))) else { continue };
            let peer =
                LinkId { namespace: Namespace::Named(namespace.clone()), name: name(&format!("eth{n}")) };
            let (host_end, mtu, peer_mac) = (name(&format!("tap{n}")), self.mtu(), self.mac());
            let inside = peer.clone();
            self.state.insert(link(host_end, mtu, LinkKind::Veth { peer, peer_mac }));
            let bridge = name(&format!("br-{}", self.random.below(BRIDGES)));
            if self.state.contains(&crate::Key::Link(LinkId::on_host(bridge))) {
                let link = LinkId::on_host(host_end);
                self.state.insert(Object::BridgePort(BridgePort {
                    link,
                    bridge,
                    role: PortRole::Workload,
                    adoption: None,
                }));
            }
            self.addresses(&LinkId::on_host(host_end));
            self.addresses(&inside);
        }
    }

    fn addresses(&mut self, on: &LinkId) {
        if self.random.yes() {
            return;
        }
        let last = 1 + self.random.below(4);
        let address = format!("198.51.100.{last}/24").parse().expect("an address");
        self.state.insert(Object::Address(on.clone(), address));
        let destination = format!("203.0.113.{}/32", self.random.below(4)).parse().expect("a prefix");
        let to = RouteTo::link(on.name, None);
        let namespace = on.namespace.clone();
        self.state.insert(Object::Route(Route { namespace, table: 254, destination, to }));
    }

    pub(super) fn vlans(&mut self) {
        let parent = name("tap0");
        if self.random.yes() && self.state.contains(&crate::Key::Link(LinkId::on_host(parent))) {
            let vlan_id = 100 + u16::from(self.random.below(2));
            // The same VLAN may be behind another name next time: that must free it first.
            let name = name(&format!("tap0.v{}", self.random.below(2)));
            self.state.insert(link(name, 1280, LinkKind::Vlan { parent, vlan_id }));
        }
    }
}

fn name(text: &str) -> IfName {
    text.parse().expect("a short plain name")
}

fn link(name: IfName, mtu: u32, kind: LinkKind) -> Object {
    let mark = format!("weft.test.{name}").parse().expect("a plain mark");
    Object::Link(Link { id: LinkId::on_host(name), mark, mtu, up: true, kind })
}
