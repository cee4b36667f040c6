//! From the kernel's messages to facts, one fact a message. Pure.
//!
//! What is not understood is no fact; an attribute that nobody has heard of is passed over.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use weft_dataplane::PortRole;
use weft_net::{IfName, Mac, Vni};

use crate::guard;
use crate::wire::number::*;
use crate::wire::{PROTOCOL, Received, attributes, ip_of, mac_of, text_of, u16_at, u32_at};

/// Something that the kernel said. Links are told by index.
#[derive(Debug)]
pub(crate) enum Fact {
    Link(RawLink),
    LinkGone(u32),
    /// The flags of a bridge port changed.
    PortFlags {
        link: u32,
        flags: PortFlags,
    },
    /// An address is there; `ours` if it bears our number.
    Address {
        link: u32,
        address: IpNet,
        ours: bool,
    },
    AddressGone {
        link: u32,
        address: IpNet,
    },
    /// A neighbour of ours (`mac`), or one that is not, or no longer.
    Neighbour {
        link: u32,
        address: IpAddr,
        mac: Option<Mac>,
    },
    VxlanFdb {
        link: u32,
        mac: Mac,
        destination: IpAddr,
        there: bool,
    },
    /// A MAC address is behind a port of a bridge (and so behind no other port of it), or no longer.
    BridgeFdb {
        link: u32,
        mac: Mac,
        entry: RawBridgeFdb,
        there: bool,
    },
    Route {
        table: u32,
        destination: IpNet,
        route: RawRoute,
    },
    RouteGone {
        table: u32,
        destination: IpNet,
        priority: u32,
    },
    /// Whether the guard is on a bridge.
    Guard {
        link: u32,
        there: bool,
    },
}

/// A link as the kernel tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawLink {
    pub(crate) index: u32,
    pub(crate) name: IfName,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
    pub(crate) mac: Mac,
    /// The parent, or a veth's other end, by its index there.
    pub(crate) link: Option<u32>,
    pub(crate) master: Option<u32>,
    pub(crate) kind: RawKind,
    /// The alternative names that begin with `weft.`.
    pub(crate) marks: Vec<String>,
    pub(crate) port: PortFlags,
    pub(crate) ipv6_disabled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawKind {
    /// `sound`: neither spanning tree nor multicast snooping.
    Bridge {
        sound: bool,
    },
    Tap,
    Veth,
    Vlan {
        id: u16,
    },
    /// `learning`: it takes remote endpoints from traffic, so a tenant could draw another's to itself.
    Vxlan {
        vni: Vni,
        local: IpAddr,
        port: u16,
        learning: bool,
    },
    Other,
}

/// What matters of a bridge port's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortFlags {
    pub(crate) learning: bool,
    pub(crate) suppression: bool,
    pub(crate) isolated: bool,
    /// What no port of ours should differ in is as it should be: neither hairpin nor locked, all flooding on.
    pub(crate) open: bool,
    /// It runs, and yet its state is not forwarding.
    pub(crate) blocked: bool,
}

impl PortFlags {
    /// What the kernel gives a new port.
    pub(crate) const NEW: Self =
        Self { learning: true, suppression: false, isolated: false, open: true, blocked: false };

    /// What a port of ours has that is for this.
    pub(crate) const fn of(role: PortRole) -> Self {
        match role {
            PortRole::Workload => Self::NEW,
            PortRole::Tunnel => Self { learning: false, suppression: true, isolated: true, ..Self::NEW },
            PortRole::Uplink => Self { isolated: true, ..Self::NEW },
            PortRole::Gateway => Self { learning: false, isolated: true, ..Self::NEW },
        }
    }

    /// What a port of ours with these flags is for, if for anything.
    pub(crate) fn role(self) -> Option<PortRole> {
        let roles = [PortRole::Workload, PortRole::Tunnel, PortRole::Uplink, PortRole::Gateway];
        roles.into_iter().find(|role| Self::of(*role) == self)
    }
}

/// An entry of the table of the bridge with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawBridgeFdb {
    pub(crate) bridge: u32,
    /// Somebody made it: neither traffic, nor the bridge for the address of a port.
    pub(crate) made: bool,
}

/// A unicast route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawRoute {
    pub(crate) link: u32,
    pub(crate) via: Option<IpAddr>,
    pub(crate) priority: u32,
    pub(crate) ours: bool,
    /// It was put in the place of another one.
    pub(crate) replaces: bool,
}

/// Reads one message.
pub(crate) fn fact(message: &Received<'_>) -> Option<Fact> {
    let body = message.body;
    match message.kind {
        libc::RTM_NEWLINK => link(body),
        libc::RTM_DELLINK if *body.first()? != AF_BRIDGE => Some(Fact::LinkGone(u32_at(body, 4)?)),
        libc::RTM_NEWADDR | libc::RTM_DELADDR => address(body, message.kind == libc::RTM_NEWADDR),
        libc::RTM_NEWNEIGH | libc::RTM_DELNEIGH => neighbour(body, message.kind == libc::RTM_NEWNEIGH),
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => route(message),
        libc::RTM_NEWTFILTER | libc::RTM_DELTFILTER | libc::RTM_DELQDISC => {
            guard::read(message).map(|(link, there)| Fact::Guard { link, there })
        }
        _ => None,
    }
}

fn link(body: &[u8]) -> Option<Fact> {
    let index = u32_at(body, 4)?;
    if *body.first()? == AF_BRIDGE {
        let info = attributes(body, 16).find(|(kind, _)| *kind == libc::IFLA_PROTINFO)?.1;
        let flags = port_flags(info, runs(u32_at(body, 8)?));
        return Some(Fact::PortFlags { link: index, flags });
    }
    if body[0] != AF_UNSPEC {
        return None;
    }
    let device_flags = u32_at(body, 8)?;
    let mut name = None;
    let mut raw = RawLink {
        index,
        name: "?".parse().ok()?,
        mtu: 0,
        up: device_flags & libc::IFF_UP.cast_unsigned() != 0,
        mac: Mac::ZERO,
        link: None,
        master: None,
        kind: RawKind::Other,
        marks: Vec::new(),
        port: PortFlags::NEW,
        ipv6_disabled: false,
    };
    for (kind, value) in attributes(body, 16) {
        match kind {
            libc::IFLA_IFNAME => name = text_of(value).parse::<IfName>().ok(),
            libc::IFLA_MTU => raw.mtu = u32_at(value, 0)?,
            libc::IFLA_ADDRESS => raw.mac = mac_of(value).unwrap_or(Mac::ZERO),
            libc::IFLA_LINK => raw.link = u32_at(value, 0),
            libc::IFLA_MASTER => raw.master = u32_at(value, 0).filter(|master| *master != 0),
            libc::IFLA_LINKINFO => link_info(value, runs(device_flags), &mut raw),
            IFLA_PROP_LIST => raw.marks = marks(value),
            AF_SPEC => raw.ipv6_disabled = ipv6_disabled(value),
            _ => {}
        }
    }
    raw.name = name?;
    Some(Fact::Link(raw))
}

fn marks(properties: &[u8]) -> Vec<String> {
    let names = attributes(properties, 0).filter(|(kind, _)| *kind == IFLA_ALT_IFNAME);
    names.map(|(_, name)| text_of(name).to_owned()).filter(|name| name.starts_with("weft.")).collect()
}

fn ipv6_disabled(families: &[u8]) -> bool {
    let nested =
        |bytes, wanted: u16| attributes(bytes, 0).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    nested(families, u16::from(AF_INET6))
        .and_then(|ipv6| nested(ipv6, INET6_CONF))
        .and_then(|settings| u32_at(settings, 4 * INET6_CONF_DISABLE_IPV6))
        .is_some_and(|disabled| disabled != 0)
}

/// Whether a device can send: only then its port can be forwarding.
const fn runs(device_flags: u32) -> bool {
    device_flags & libc::IFF_RUNNING.cast_unsigned() != 0
}

fn link_info(info: &[u8], runs: bool, raw: &mut RawLink) {
    let (mut kind, mut data, mut slave_kind, mut slave_data) = ("", &[][..], "", &[][..]);
    for (number, value) in attributes(info, 0) {
        match number {
            INFO_KIND => kind = text_of(value),
            INFO_DATA => data = value,
            INFO_SLAVE_KIND => slave_kind = text_of(value),
            INFO_SLAVE_DATA => slave_data = value,
            _ => {}
        }
    }
    if slave_kind == "bridge" {
        raw.port = port_flags(slave_data, runs);
    }
    raw.kind = link_kind(kind, data);
}

fn link_kind(kind: &str, data: &[u8]) -> RawKind {
    let first = |wanted: u16| attributes(data, 0).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let byte = |wanted: u16| first(wanted).and_then(|value| value.first().copied());
    match kind {
        "bridge" => {
            let stp = first(BR_STP_STATE).and_then(|value| u32_at(value, 0)).unwrap_or(0);
            RawKind::Bridge { sound: stp == 0 && byte(BR_MCAST_SNOOPING).unwrap_or(0) == 0 }
        }
        "tun" if byte(TUN_TYPE) == Some(TUN_TYPE_TAP) => RawKind::Tap,
        "veth" => RawKind::Veth,
        "vlan" => match first(VLAN_ID).and_then(|id| u16_at(id, 0)) {
            Some(id) => RawKind::Vlan { id },
            None => RawKind::Other,
        },
        "vxlan" => vxlan(data).unwrap_or(RawKind::Other),
        _ => RawKind::Other,
    }
}

fn vxlan(data: &[u8]) -> Option<RawKind> {
    let (mut vni, mut local, mut port) = (None, IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let mut learning = false;
    for (kind, value) in attributes(data, 0) {
        match kind {
            VXLAN_ID => vni = Vni::try_from(u32_at(value, 0)?).ok(),
            VXLAN_LOCAL | VXLAN_LOCAL6 => local = ip_of(value)?,
            VXLAN_LEARNING => learning = value.first() != Some(&0),
            VXLAN_PORT => port = u16::from_be_bytes(value.try_into().ok()?),
            _ => {}
        }
    }
    Some(RawKind::Vxlan { vni: vni?, local, port, learning })
}

fn port_flags(info: &[u8], runs: bool) -> PortFlags {
    let mut flags = PortFlags::NEW;
    for (kind, value) in attributes(info, 0) {
        let on = value.first().is_some_and(|byte| *byte != 0);
        match kind {
            BRPORT_LEARNING => flags.learning = on,
            BRPORT_NEIGH_SUPPRESS => flags.suppression = on,
            BRPORT_ISOLATED => flags.isolated = on,
            BRPORT_HAIRPIN | BRPORT_LOCKED => flags.open &= !on,
            BRPORT_UNICAST_FLOOD | BRPORT_MULTICAST_FLOOD | BRPORT_BROADCAST_FLOOD => flags.open &= on,
            BRPORT_STATE => flags.blocked = runs && value.first() != Some(&BR_STATE_FORWARDING),
            _ => {}
        }
    }
    flags
}

fn address(body: &[u8], there: bool) -> Option<Fact> {
    let (length, link) = (*body.get(1)?, u32_at(body, 4)?);
    let (mut local, mut remote, mut protocol) = (None, None, 0);
    for (kind, value) in attributes(body, 8) {
        match kind {
            IFA_LOCAL => local = ip_of(value),
            IFA_ADDRESS => remote = ip_of(value),
            IFA_PROTO => protocol = *value.first()?,
            _ => {}
        }
    }
    // On a point-to-point link IFA_ADDRESS is the other end's.
    let address = IpNet::new(local.or(remote)?, length).ok()?;
    Some(if there {
        Fact::Address { link, address, ours: protocol == PROTOCOL }
    } else {
        Fact::AddressGone { link, address }
    })
}

fn neighbour(body: &[u8], there: bool) -> Option<Fact> {
    let (family, link) = (*body.first()?, u32_at(body, 4)?);
    let (state, flags) = (u16_at(body, 8)?, *body.get(10)?);
    let (mut destination, mut mac, mut master, mut protocol) = (None, None, None, 0);
    for (kind, value) in attributes(body, 12) {
        match kind {
            NDA_DST => destination = ip_of(value),
            NDA_LLADDR => mac = mac_of(value),
            NDA_MASTER => master = u32_at(value, 0),
            NDA_PROTOCOL => protocol = *value.first()?,
            _ => {}
        }
    }
    if family != AF_BRIDGE {
        let mac = mac.filter(|_| there && protocol == PROTOCOL);
        return Some(Fact::Neighbour { link, address: destination?, mac });
    }
    let mac = mac?;
    if flags & NTF_SELF != 0 {
        // An entry that was learned is as good as none, and goes by itself.
        let there = there && state & (NUD_NOARP | NUD_PERMANENT) != 0;
        return Some(Fact::VxlanFdb { link, mac, destination: destination?, there });
    }
    // NUD_PERMANENT: the bridge's own, for the addresses of its ports.
    let made = state & NUD_PERMANENT == 0 && (flags & NTF_EXT_LEARNED != 0 || state & NUD_NOARP != 0);
    Some(Fact::BridgeFdb { link, mac, entry: RawBridgeFdb { bridge: master?, made }, there })
}

fn route(message: &Received<'_>) -> Option<Fact> {
    let body = message.body;
    let (family, length, protocol, kind) = (*body.first()?, *body.get(1)?, *body.get(5)?, *body.get(7)?);
    if kind != libc::RTN_UNICAST || u32_at(body, 8)? & RTM_F_CLONED != 0 {
        return None;
    }
    let unspecified = if family == AF_INET { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let (mut table, mut destination) = (u32::from(*body.get(4)?), unspecified);
    let (mut via, mut link, mut priority) = (None, 0, 0);
    for (kind, value) in attributes(body, 12) {
        match kind {
            RTA_DST => destination = ip_of(value)?,
            RTA_OIF => link = u32_at(value, 0)?,
            RTA_GATEWAY => via = ip_of(value),
            RTA_VIA => via = ip_of(value.get(2..)?),
            RTA_PRIORITY => priority = u32_at(value, 0)?,
            RTA_TABLE => table = u32_at(value, 0)?,
            _ => {}
        }
    }
    let destination = IpNet::new(destination, length).ok()?;
    let ours = protocol == PROTOCOL;
    Some(if message.kind == libc::RTM_NEWROUTE {
        let replaces = message.flags & libc::NLM_F_REPLACE.cast_unsigned() as u16 != 0;
        Fact::Route { table, destination, route: RawRoute { link, via, priority, ours, replaces } }
    } else if ours {
        Fact::RouteGone { table, destination, priority }
    } else {
        return None;
    })
}
