//! From the kernel's messages to facts, one fact a message. Pure.
//!
//! What is not understood is no fact; an attribute that nobody has heard of is passed over.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use weft_dataplane::PortRole;
use weft_net::{IfName, Mac, MplsLabel, Vni};

use crate::wire::number::*;
use crate::wire::{PROTOCOL, Received, attributes, ip_of, mac_of, text_of, u16_at, u32_at};
use crate::{guard, steer};

pub(crate) use route::{INGRESS_PRIORITY, LAST_RESORT, RawHop, RawNextHop, RawRoute, RawTo, way_out};

mod route;

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
    /// A link answers for an address because we have it do so, or no longer. No event tells of it.
    Proxy {
        link: u32,
        address: IpAddr,
        there: bool,
    },
    VxlanFdb {
        link: u32,
        mac: Mac,
        destination: IpAddr,
        vni: Option<Vni>,
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
    /// A route that is not ours is gone.
    StrangersRouteGone(IpNet),
    /// What is for an address is delivered to a link of this host by a table because we have it so, or no longer.
    Delivery {
        table: u32,
        address: IpAddr,
        link: u32,
        there: bool,
    },
    /// Whether nothing falls through a VRF's table, by family.
    LastResort {
        table: u32,
        family: Family,
        there: bool,
    },
    /// Whether the host's own addresses are looked up before any VRF's table.
    LocalFirst {
        family: Family,
        there: bool,
    },
    /// What comes in by a link is routed by a table because we have it so, or no longer.
    Ingress {
        link: IfName,
        table: u32,
        family: Family,
        there: bool,
    },
    /// What bears the number of an ingress table for a mark is routed by it, or no longer.
    MarkRule {
        table: u32,
        family: Family,
        there: bool,
    },
    NextHop {
        id: u32,
        hop: RawNextHop,
        ours: bool,
    },
    NextHopGone(u32),
    /// The link and the MAC address that packets with an MPLS label go to, if we have them so.
    Label {
        label: MplsLabel,
        to: Option<(u32, Mac)>,
    },
    /// What a link, or (no link) a whole namespace, does with packets for others.
    Forwarding {
        link: Option<u32>,
        family: Family,
        on: bool,
    },
    /// Whether a link answers for others (IPv4), or may (IPv6).
    Proxies {
        link: u32,
        family: Family,
        on: bool,
    },
    /// A link has no filters any more.
    FiltersGone(u32),
    /// What is steered out of a link past its bridge.
    Steered {
        link: u32,
        filter: steer::RawFilter,
        there: bool,
    },
    /// Whether the guard is on a bridge, or the limit on another link.
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
    /// It has a carrier.
    pub(crate) runs: bool,
    pub(crate) mac: Mac,
    /// The parent, or a veth's other end, by its index there.
    pub(crate) link: Option<u32>,
    pub(crate) master: Option<u32>,
    pub(crate) kind: RawKind,
    /// The alternative names that begin with `weft.`.
    pub(crate) marks: Vec<String>,
    pub(crate) port: PortFlags,
    pub(crate) ipv6_disabled: bool,
    /// What it does with packets for others, by family.
    pub(crate) forwarding: [bool; 2],
    /// Whether it answers for others (IPv4), or may (IPv6).
    pub(crate) proxies: [bool; 2],
}

/// A family of IP, as a place in a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Family {
    Ipv4 = 0,
    Ipv6 = 1,
}

impl Family {
    const fn of(number: u8) -> Option<Self> {
        match number {
            AF_INET => Some(Self::Ipv4),
            AF_INET6 => Some(Self::Ipv6),
            _ => None,
        }
    }
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
    Vrf {
        table: u32,
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

/// Reads one message.
pub(crate) fn fact(message: &Received<'_>) -> Option<Fact> {
    let body = message.body;
    match message.kind {
        libc::RTM_NEWLINK => link(body),
        libc::RTM_DELLINK if *body.first()? != AF_BRIDGE => Some(Fact::LinkGone(u32_at(body, 4)?)),
        libc::RTM_NEWADDR | libc::RTM_DELADDR => address(body, message.kind == libc::RTM_NEWADDR),
        libc::RTM_NEWNEIGH | libc::RTM_DELNEIGH => neighbour(body, message.kind == libc::RTM_NEWNEIGH),
        libc::RTM_NEWROUTE | libc::RTM_DELROUTE => route::route(message),
        libc::RTM_NEWRULE | libc::RTM_DELRULE => route::rule(body, message.kind == libc::RTM_NEWRULE),
        RTM_NEWNEXTHOP | RTM_DELNEXTHOP => route::next_hop(body, message.kind == RTM_NEWNEXTHOP),
        RTM_NEWNETCONF => settings(body),
        libc::RTM_DELQDISC => guard::filters_gone(body).map(Fact::FiltersGone),
        libc::RTM_NEWTFILTER | libc::RTM_DELTFILTER => guard::read(message)
            .map(|(link, there)| Fact::Guard { link, there })
            .or_else(|| steer::read(message)),
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
        runs: runs(device_flags),
        mac: Mac::ZERO,
        link: None,
        master: None,
        kind: RawKind::Other,
        marks: Vec::new(),
        port: PortFlags::NEW,
        ipv6_disabled: false,
        forwarding: [true; 2],
        proxies: [false; 2],
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
            AF_SPEC => link_settings(value, &mut raw),
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

/// A link without a family's settings has none of it: there is nothing to forward.
fn link_settings(families: &[u8], raw: &mut RawLink) {
    let nested =
        |bytes, wanted: u16| attributes(bytes, 0).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let list = |family: u8, list| nested(families, u16::from(family)).and_then(|family| nested(family, list));
    let is_on = |list: &[u8], number: usize| u32_at(list, 4 * number).is_some_and(|value| value != 0);
    if let Some(ipv4) = list(AF_INET, INET_CONF) {
        raw.forwarding[Family::Ipv4 as usize] = is_on(ipv4, INET_CONF_FORWARDING);
        raw.proxies[Family::Ipv4 as usize] = is_on(ipv4, INET_CONF_PROXY_ARP);
    }
    if let Some(ipv6) = list(AF_INET6, INET6_CONF) {
        raw.ipv6_disabled = is_on(ipv6, INET6_CONF_DISABLE_IPV6);
        raw.forwarding[Family::Ipv6 as usize] = is_on(ipv6, INET6_CONF_FORWARDING);
        raw.proxies[Family::Ipv6 as usize] = is_on(ipv6, INET6_CONF_PROXY_NDP);
    }
}

/// Settings that changed; each message tells of one.
fn settings(body: &[u8]) -> Option<Fact> {
    let family = Family::of(*body.first()?)?;
    let find = |wanted: u16| attributes(body, 4).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let on = |wanted: u16| find(wanted).and_then(|value| u32_at(value, 0)).map(|value| value != 0);
    let link = u32_at(find(NETCONFA_IFINDEX)?, 0)?;
    // The default for links to come is told as another negative index.
    let is_link = link.cast_signed() > 0;
    if let Some(on) = on(NETCONFA_FORWARDING) {
        let link = is_link.then_some(link);
        return (is_link || find(NETCONFA_IFINDEX)? == NETCONFA_IFINDEX_ALL.to_ne_bytes())
            .then_some(Fact::Forwarding { link, family, on });
    }
    on(NETCONFA_PROXY_NEIGH).filter(|_| is_link).map(|on| Fact::Proxies { link, family, on })
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
        "vrf" => match first(VRF_TABLE).and_then(|table| u32_at(table, 0)) {
            Some(table) => RawKind::Vrf { table },
            None => RawKind::Other,
        },
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
    let (mut destination, mut mac, mut master, mut protocol, mut vni) = (None, None, None, 0, None);
    for (kind, value) in attributes(body, 12) {
        match kind {
            NDA_DST => destination = ip_of(value),
            NDA_LLADDR => mac = mac_of(value),
            NDA_MASTER => master = u32_at(value, 0),
            NDA_PROTOCOL => protocol = *value.first()?,
            NDA_VNI => vni = Vni::try_from(u32_at(value, 0)?).ok(),
            _ => {}
        }
    }
    if flags & NTF_PROXY != 0 {
        let there = there && protocol == PROTOCOL;
        return Some(Fact::Proxy { link, address: destination?, there });
    }
    if family != AF_BRIDGE {
        let mac = mac.filter(|_| there && protocol == PROTOCOL);
        return Some(Fact::Neighbour { link, address: destination?, mac });
    }
    let mac = mac?;
    if flags & NTF_SELF != 0 {
        // An entry that was learned is as good as none, and goes by itself.
        let there = there && state & (NUD_NOARP | NUD_PERMANENT) != 0;
        return Some(Fact::VxlanFdb { link, mac, destination: destination?, vni, there });
    }
    // NUD_PERMANENT: the bridge's own, for the addresses of its ports.
    let made = state & NUD_PERMANENT == 0 && (flags & NTF_EXT_LEARNED != 0 || state & NUD_NOARP != 0);
    Some(Fact::BridgeFdb { link, mac, entry: RawBridgeFdb { bridge: master?, made }, there })
}
