//! The objects of a host's data plane, and the keys by which they name each other.
//!
//! *A relation is an object*: "this link is in that bridge" is a [`BridgePort`] of its own, so that two services can
//! each add their part without knowing of each other. Objects name each other by key; only a driver knows indexes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;
use weft_net::{IfName, Mac, NamespaceName, ParseError, Vni};

/// Where a link or a route is: in the host's own network namespace or in a named one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// The one that the agent works for.
    Host,
    /// One that the agent made, by name.
    Named(NamespaceName),
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
    /// A link, or the pair of links that a veth is, by its first end.
    Link(LinkId),
    /// A link's place in a bridge.
    BridgePort(LinkId),
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
    /// A route: namespace, table, destination.
    Route(Namespace, u32, IpNet),
}

/// An object of a host's data plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// A network namespace of ours.
    Namespace(NamespaceName),
    /// A link of ours.
    Link(Link),
    /// A link that somebody else made. In an intent: it is adopted if it is there, and waited for if it is not.
    ForeignLink(LinkId),
    /// A link's place in a bridge.
    BridgePort(BridgePort),
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
    /// A route.
    Route(Route),
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
    /// A VXLAN device (RFC 7348) that learns nothing: its forwarding table is the intent's.
    Vxlan {
        /// The network identifier.
        vni: Vni,
        /// The address that it sends from: this host's tunnel endpoint.
        local: IpAddr,
        /// The UDP port.
        port: u16,
    },
}

/// A link's place in a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgePort {
    /// The link.
    pub link: LinkId,
    /// The bridge, in the same namespace.
    pub bridge: IfName,
    /// A tunnel's port learns no addresses, answers for known neighbours instead of flooding, and is fed by the intent.
    pub tunnel: bool,
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
}

/// A tunnel endpoint that gets what is sent to everybody (RFC 7432 §11, ingress replication).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flood {
    /// The VXLAN device.
    pub link: LinkId,
    /// The tunnel endpoint.
    pub destination: IpAddr,
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

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whose routing table.
    pub namespace: Namespace,
    /// Which table of it; 254 is `main`.
    pub table: u32,
    /// For which destinations.
    pub destination: IpNet,
    /// Where to.
    pub next_hop: NextHop,
}

/// Where a route leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The router; `None`: the destination is on the link itself.
    pub via: Option<IpAddr>,
    /// Out of which link.
    pub link: IfName,
}

impl Object {
    /// What identifies it.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Namespace(name) => Key::Namespace(name.clone()),
            Self::Link(link) => Key::Link(link.id.clone()),
            Self::ForeignLink(id) => Key::Link(id.clone()),
            Self::BridgePort(port) => Key::BridgePort(port.link.clone()),
            Self::Address(link, address) => Key::Address(link.clone(), *address),
            Self::BridgeFdb(entry) => Key::BridgeFdb(entry.link.clone(), entry.mac),
            Self::VxlanFdb(entry) => Key::VxlanFdb(entry.link.clone(), entry.mac),
            Self::Flood(entry) => Key::Flood(entry.link.clone(), entry.destination),
            Self::Neighbour(entry) => Key::Neighbour(entry.link.clone(), entry.address),
            Self::Route(route) => Key::Route(route.namespace.clone(), route.table, route.destination),
        }
    }

    /// The objects without which it cannot be: where they go, it goes, and the kernel takes it away by itself.
    #[must_use]
    pub fn requires(&self) -> Vec<Key> {
        match self {
            Self::Namespace(_) => Vec::new(),
            Self::Link(link) => link.requires(),
            Self::ForeignLink(id) => namespace_key(&id.namespace).into_iter().collect(),
            Self::BridgePort(port) => {
                let bridge = LinkId { namespace: port.link.namespace.clone(), name: port.bridge };
                vec![Key::Link(port.link.clone()), Key::Link(bridge)]
            }
            Self::BridgeFdb(entry) => vec![Key::BridgePort(entry.link.clone())],
            Self::Address(link, _) => vec![Key::Link(link.clone())],
            Self::VxlanFdb(entry) => vec![Key::Link(entry.link.clone())],
            Self::Flood(entry) => vec![Key::Link(entry.link.clone())],
            Self::Neighbour(entry) => vec![Key::Link(entry.link.clone())],
            Self::Route(route) => {
                vec![Key::Link(LinkId { namespace: route.namespace.clone(), name: route.next_hop.link })]
            }
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
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Named(name) => write!(f, "{name}"),
        }
    }
}

impl fmt::Display for LinkId {
    /// `vx100`, or `web1/eth0` outside the host's own namespace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Namespace::Host => write!(f, "{}", self.name),
            Namespace::Named(namespace) => write!(f, "{namespace}/{}", self.name),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(name) => write!(f, "namespace {name}"),
            Self::Link(link) => write!(f, "link {link}"),
            Self::BridgePort(link) => write!(f, "bridge-port {link}"),
            Self::Address(link, address) => write!(f, "address {link} {address}"),
            Self::BridgeFdb(link, mac) => write!(f, "bridge-fdb {link} {mac}"),
            Self::VxlanFdb(link, mac) => write!(f, "vxlan-fdb {link} {mac}"),
            Self::Flood(link, destination) => write!(f, "flood {link} {destination}"),
            Self::Neighbour(link, address) => write!(f, "neighbour {link} {address}"),
            Self::Route(namespace, table, destination) => {
                write!(f, "route {namespace} {table} {destination}")
            }
        }
    }
}

impl fmt::Display for Object {
    /// The key, then what else there is to say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key())?;
        match self {
            Self::Namespace(_) | Self::Address(..) | Self::BridgeFdb(_) | Self::Flood(_) => Ok(()),
            Self::ForeignLink(_) => f.write_str(" foreign"),
            Self::Link(link) => write!(f, " {link}"),
            Self::BridgePort(port) => {
                let tunnel = if port.tunnel { " tunnel" } else { "" };
                let adopted = if port.adoption.is_some() { " adopted" } else { "" };
                write!(f, " in {}{tunnel}{adopted}", port.bridge)
            }
            Self::VxlanFdb(entry) => write!(f, " at {}", entry.destination),
            Self::Neighbour(entry) => write!(f, " is {}", entry.mac),
            Self::Route(route) => match route.next_hop.via {
                Some(via) => write!(f, " via {via} on {}", route.next_hop.link),
                None => write!(f, " on {}", route.next_hop.link),
            },
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            LinkKind::Bridge => f.write_str("bridge")?,
            LinkKind::Tap => f.write_str("tap")?,
            LinkKind::Veth { peer, peer_mac } => write!(f, "veth to {peer} {peer_mac}")?,
            LinkKind::Vlan { parent, vlan_id } => write!(f, "vlan {vlan_id} on {parent}")?,
            LinkKind::Vxlan { vni, local, port } => write!(f, "vxlan {vni} from {local} port {port}")?,
        }
        write!(f, " mtu {}{}", self.mtu, if self.up { "" } else { " down" })
    }
}
