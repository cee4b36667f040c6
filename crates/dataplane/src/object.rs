//! The objects of a host's data plane, and the keys by which they name each other.
//!
//! *A relation is an object*: "this link is in that bridge" is a [`BridgePort`] of its own, so that two services can
//! each add their part without knowing of each other. Objects name each other by key; only a driver knows indexes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use weft_net::{IfName, Mac, MplsLabel, NamespaceName, ParseError, Vni};

pub use route::{INGRESS_TABLE, PATHS_MAX, Path, Route, RouteTo, WEIGHT_MAX};

mod display;
mod route;

/// Where a link or a route is: in the host's own network namespace, in a named one, or in a VRF.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// The one that the agent works for.
    Host,
    /// One that the agent made, by name.
    Named(NamespaceName),
    /// A [`Vrf`] of ours, by its name. No two links in VRFs and in the host's own namespace have the same name, since a
    /// driver may have them all in one.
    Vrf(IfName),
}

/// A link, by place and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId {
    /// Where it is.
    pub namespace: Namespace,
    /// What it is called there.
    pub name: IfName,
}

impl LinkId {
    /// The link of this name in the host's own namespace.
    #[must_use]
    pub const fn on_host(name: IfName) -> Self {
        Self { namespace: Namespace::Host, name }
    }
}

/// Our mark on a link, in the kernel: an alternative name that begins with `weft.`.
///
/// `weft.<kind>.<id>` on what we made (the long name of a short one), `weft.adopted.<id>` on what somebody else made and
/// the intent names as adopted. At most 127 bytes, as the kernel has it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(Arc<str>);

impl Mark {
    const PREFIX: &'static str = "weft.";
    const ADOPTED: &'static str = "weft.adopted.";

    /// The mark as the alternative name that it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it says "adopted": attached by us, made by somebody else.
    #[must_use]
    pub fn is_adoption(&self) -> bool {
        self.0.starts_with(Self::ADOPTED)
    }
}

impl FromStr for Mark {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if text.starts_with(Self::PREFIX) && text.len() <= 127 && text.chars().all(is_plain) {
            Ok(Self(text.into()))
        } else {
            Err(ParseError {
                what: "mark",
                text: text.to_owned(),
                rule: "'weft.' and up to 122 letters, digits, '.', '_' or '-' are needed",
            })
        }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What identifies an object on a host. The order of declaration is the order of creation where no dependency says more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A network namespace.
    Namespace(NamespaceName),
    /// An isolated routing table.
    Vrf(IfName),
    /// A link, or the pair of links that a veth is, by its first end.
    Link(LinkId),
    /// A link's place in a bridge.
    BridgePort(LinkId),
    /// What is taken past the bridge that a link is in.
    Steering(LinkId),
    /// An address on a link.
    Address(LinkId, IpNet),
    /// A MAC address that is behind a bridge port.
    BridgeFdb(LinkId, Mac),
    /// A MAC address that is behind a tunnel endpoint.
    VxlanFdb(LinkId, Mac),
    /// A tunnel endpoint that gets what is sent to everybody.
    Flood(LinkId, IpAddr),
    /// The MAC address of an IP address.
    Neighbour(LinkId, IpAddr),
    /// An IP address that a link answers for.
    ProxyNeighbour(LinkId, IpAddr),
    /// A link that answers for what is elsewhere.
    ProxyArp(LinkId),
    /// A link from which nothing is routed onwards.
    Ingress(LinkId),
    /// A route: namespace, table, destination.
    Route(Namespace, u32, IpNet),
    /// What becomes of an MPLS label.
    Label(MplsLabel),
}

impl Key {
    /// Whether an object with this key may be one that others need ([`Object::requires`]).
    #[must_use]
    pub const fn may_be_required(&self) -> bool {
        matches!(self, Self::Namespace(_) | Self::Vrf(_) | Self::Link(_) | Self::BridgePort(_))
    }
}

/// An object of a host's data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A network namespace of ours.
    Namespace(NamespaceName),
    /// An isolated routing table of ours.
    Vrf(Vrf),
    /// A link of ours.
    Link(Link),
    /// A link that somebody else made. In an intent: it is adopted if it is there, and waited for if it is not.
    ForeignLink(LinkId),
    /// A link's place in a bridge.
    BridgePort(BridgePort),
    /// What is taken past the bridge that a link is in.
    Steering(Steering),
    /// An address on a link, with the length of its prefix.
    Address(LinkId, IpNet),
    /// A MAC address that is behind a bridge port.
    BridgeFdb(BridgeFdb),
    /// A MAC address that is behind a tunnel endpoint.
    VxlanFdb(VxlanFdb),
    /// A tunnel endpoint that gets what is sent to everybody.
    Flood(Flood),
    /// The MAC address of an IP address.
    Neighbour(Neighbour),
    /// An IP address that a link answers for with its own MAC address, as if it were there (RFC 1027, RFC 4861 §7.2.8).
    ProxyNeighbour(LinkId, IpAddr),
    /// A link that answers ARP requests for every address that is routed through another link (RFC 1027).
    ProxyArp(LinkId),
    /// A link of a VRF by which packets come from other VRFs, or from the same one on other hosts: they are routed by the
    /// VRF's ingress table ([`INGRESS_TABLE`]) alone, in both IP versions. What is for an address of the VRF itself is still
    /// delivered to it; what that table does not know is unreachable.
    Ingress(LinkId),
    /// A route.
    Route(Route),
    /// What becomes of an MPLS label.
    LabelRoute(LabelRoute),
}

/// An isolated routing table (RFC 4364 §3), with the links that are in it: nothing in it reaches what is outside but by them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vrf {
    /// What it is called on the host: a place, and a name that no link of the host's has.
    pub name: IfName,
    /// Our mark on it.
    pub mark: Mark,
    /// The number of its table, one VRF's alone. 0 is only ever observed: something that keeps it isolated is missing.
    pub table: u32,
}

/// A link that we made. All our links are administratively up; `up: false` is only ever observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where and what.
    pub id: LinkId,
    /// Our mark on it.
    pub mark: Mark,
    /// The largest packet it takes, in bytes, without its Ethernet header.
    pub mtu: u32,
    /// Whether it is administratively up.
    pub up: bool,
    /// What kind of link, with what only that kind has.
    pub kind: LinkKind,
}

/// The kinds of link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// A bridge that forwards between its ports and never to the host itself.
    Bridge,
    /// A TAP device for a virtual machine.
    Tap,
    /// A pair of virtual Ethernet devices; both ends have the MTU.
    Veth {
        /// The other end.
        peer: LinkId,
        /// The other end's MAC address: the workload's.
        peer_mac: Mac,
    },
    /// An IEEE 802.1Q interface on a parent link of the same namespace.
    Vlan {
        /// The link whose frames it takes.
        parent: IfName,
        /// The VLAN identifier, 1 to 4094.
        vlan_id: u16,
    },
    /// A VXLAN device (RFC 7348) that learns nothing: its forwarding table is the intent's. In a VRF it is itself an
    /// interface of the VRF, without a bridge; what it sends and receives is the host's own traffic all the same.
    Vxlan {
        /// The network identifier.
        vni: Vni,
        /// The address that it sends from: this host's tunnel endpoint.
        local: IpAddr,
        /// The UDP port.
        port: u16,
        /// Its own address: the router's MAC (RFC 9135 §1.1). Given in a VRF, and only there.
        mac: Option<Mac>,
    },
}

/// What a bridge port is for, and so which of its bridge's other ports it sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortRole {
    /// A workload's: it sends to all others, and its addresses are learned.
    Workload,
    /// A tunnel's: learns no addresses, answers for known neighbours instead of flooding, is fed by the intent, and sends to
    /// workloads alone.
    Tunnel,
    /// A physical network's: its addresses are learned, and it sends to workloads alone.
    Uplink,
    /// A gateway's, of which each host has one with the same MAC: learns no addresses, is fed by the intent, and sends to
    /// workloads alone, so that no host's gateway is ever heard through a tunnel or in a physical network.
    Gateway,
}

/// A link's place in a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgePort {
    /// The link.
    pub link: LinkId,
    /// The bridge, in the same namespace.
    pub bridge: IfName,
    /// What it is for.
    pub role: PortRole,
    /// The mark put on a link that somebody else made; `None` on a link of ours.
    pub adoption: Option<Mark>,
}

/// A MAC address that is behind a bridge port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeFdb {
    /// The bridge port.
    pub link: LinkId,
    /// The address.
    pub mac: Mac,
}

/// A MAC address that is behind a tunnel endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VxlanFdb {
    /// The VXLAN device.
    pub link: LinkId,
    /// The address.
    pub mac: Mac,
    /// The tunnel endpoint.
    pub destination: IpAddr,
    /// The network identifier that the endpoint takes it under; `None`: the device's own.
    pub vni: Option<Vni>,
}

/// A tunnel endpoint that gets what is sent to everybody (RFC 7432 §11, ingress replication).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flood {
    /// The VXLAN device.
    pub link: LinkId,
    /// The tunnel endpoint.
    pub destination: IpAddr,
    /// The network identifier that the endpoint takes it under; `None`: the device's own.
    pub vni: Option<Vni>,
}

/// The MAC address of an IP address, on a bridge that answers for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The link on which the neighbour is.
    pub link: LinkId,
    /// Its IP address.
    pub address: IpAddr,
    /// Its MAC address.
    pub mac: Mac,
}

/// The most IP addresses of a [`Steering`]: a driver looks for them by a program that the kernel keeps short.
pub const STEERED_ADDRESSES_MAX: usize = 100;

/// What comes in from a bridge port for a MAC address of our own goes out of another link instead of into the bridge, with
/// the questions for some IP addresses; what comes in from the other link goes out of the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steering {
    /// A workload's link, in a bridge.
    pub link: LinkId,
    /// The MAC address for which frames are taken out.
    pub mac: Mac,
    /// The IP addresses of which the ARP requests and neighbour solicitations are taken out, in ascending order: at most
    /// [`STEERED_ADDRESSES_MAX`].
    pub addresses: Vec<IpAddr>,
    /// The link, of the same namespace, out of which they go.
    pub to: LinkId,
}

/// Packets with this MPLS label go out of a link, without it (RFC 3031 §3.26), and with the time to live that they had before
/// they got it (RFC 3443 §3, the pipe model): so whoever is behind the link routes them like all that comes to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRoute {
    /// The label, the last of its stack.
    pub label: MplsLabel,
    /// The link, of the host's own namespace.
    pub link: IfName,
    /// The MAC address that they are sent to.
    pub mac: Mac,
}

impl Object {
    /// What identifies it.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Namespace(name) => Key::Namespace(name.clone()),
            Self::Vrf(vrf) => Key::Vrf(vrf.name),
            Self::Link(link) => Key::Link(link.id.clone()),
            Self::ForeignLink(id) => Key::Link(id.clone()),
            Self::BridgePort(port) => Key::BridgePort(port.link.clone()),
            Self::Steering(steering) => Key::Steering(steering.link.clone()),
            Self::Address(link, address) => Key::Address(link.clone(), *address),
            Self::BridgeFdb(entry) => Key::BridgeFdb(entry.link.clone(), entry.mac),
            Self::VxlanFdb(entry) => Key::VxlanFdb(entry.link.clone(), entry.mac),
            Self::Flood(entry) => Key::Flood(entry.link.clone(), entry.destination),
            Self::Neighbour(entry) => Key::Neighbour(entry.link.clone(), entry.address),
            Self::ProxyNeighbour(link, address) => Key::ProxyNeighbour(link.clone(), *address),
            Self::ProxyArp(link) => Key::ProxyArp(link.clone()),
            Self::Ingress(link) => Key::Ingress(link.clone()),
            Self::Route(route) => Key::Route(route.namespace.clone(), route.table, route.destination),
            Self::LabelRoute(route) => Key::Label(route.label),
        }
    }

    /// The objects without which it cannot be: where they go, it goes, and the kernel takes it away by itself.
    #[must_use]
    pub fn requires(&self) -> Vec<Key> {
        match self {
            Self::Namespace(_) | Self::Vrf(_) => Vec::new(),
            Self::Link(link) => link.requires(),
            Self::ForeignLink(id) => namespace_key(&id.namespace).into_iter().collect(),
            Self::BridgePort(port) => {
                let bridge = LinkId { namespace: port.link.namespace.clone(), name: port.bridge };
                vec![Key::Link(port.link.clone()), Key::Link(bridge)]
            }
            Self::Steering(steering) => {
                vec![Key::Link(steering.link.clone()), Key::Link(steering.to.clone())]
            }
            Self::BridgeFdb(entry) => vec![Key::BridgePort(entry.link.clone())],
            Self::Address(link, _) | Self::ProxyNeighbour(link, _) | Self::ProxyArp(link) => {
                vec![Key::Link(link.clone())]
            }
            // Named as well as the link, since it is removed by a step of its own, before either.
            Self::Ingress(link) => {
                namespace_key(&link.namespace).into_iter().chain([Key::Link(link.clone())]).collect()
            }
            Self::VxlanFdb(entry) => vec![Key::Link(entry.link.clone())],
            Self::Flood(entry) => vec![Key::Link(entry.link.clone())],
            Self::Neighbour(entry) => vec![Key::Link(entry.link.clone())],
            Self::Route(route) => route.requires(),
            Self::LabelRoute(route) => vec![Key::Link(LinkId::on_host(route.link))],
        }
    }

    /// The key of the link that comes to be together with it: a veth's other end.
    #[must_use]
    pub fn other_end(&self) -> Option<Key> {
        match self {
            Self::Link(Link { kind: LinkKind::Veth { peer, .. }, .. }) => Some(Key::Link(peer.clone())),
            _ => None,
        }
    }

    /// Whether somebody else made it, so that we neither make nor remove it.
    #[must_use]
    pub const fn is_foreign(&self) -> bool {
        matches!(self, Self::ForeignLink(_))
    }
}

impl Link {
    fn requires(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = namespace_key(&self.id.namespace).into_iter().collect();
        match &self.kind {
            LinkKind::Bridge | LinkKind::Tap | LinkKind::Vxlan { .. } => {}
            LinkKind::Veth { peer, .. } => keys.extend(namespace_key(&peer.namespace)),
            LinkKind::Vlan { parent, .. } => {
                keys.push(Key::Link(LinkId { namespace: self.id.namespace.clone(), name: *parent }));
            }
        }
        keys
    }
}

fn namespace_key(namespace: &Namespace) -> Option<Key> {
    match namespace {
        Namespace::Host => None,
        Namespace::Named(name) => Some(Key::Namespace(name.clone())),
        Namespace::Vrf(name) => Some(Key::Vrf(*name)),
    }
}
