//! From what is wanted to the kernel's messages. Pure; links are told by index.
//!
//! The index of a link is chosen by us, so that all that belongs to its making goes out in one batch, and nothing of it
//! can ever meet somebody else's link when the making itself was refused.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use ipnet::IpNet;
use weft_dataplane::{Link, LinkKind, PortRole};
use weft_net::{IfName, Mac, Vni};

use crate::parse::PortFlags;
use crate::wire::number::*;
use crate::wire::{Message, PROTOCOL};

const CHANGE: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
const CREATE: u16 = CHANGE | (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const REPLACE: u16 = CHANGE | (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
const APPEND: u16 = CHANGE | (libc::NLM_F_CREATE | libc::NLM_F_APPEND) as u16;
const DUMP: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;

pub(crate) use route::*;

mod route;

/// The other end of a veth, as its making needs it.
#[derive(Clone, Copy)]
pub(crate) struct Peer {
    pub(crate) name: IfName,
    pub(crate) index: u32,
    pub(crate) mac: Mac,
    /// The file descriptor of its namespace, if it is another one.
    pub(crate) namespace: Option<i32>,
}

/// `struct ifinfomsg`.
fn link_fixed(index: u32, flags: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (at, word) in [(4, index), (8, flags), (12, flags)] {
        bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

fn set_link(batch: &mut Vec<u8>, index: u32) -> Message<'_> {
    Message::begin(batch, libc::RTM_SETLINK, CHANGE, &link_fixed(index, 0))
}

/// Where a link is made, and on what.
#[derive(Clone, Copy, Default)]
pub(crate) struct Site {
    /// The parent of a VLAN interface.
    pub(crate) parent: u32,
    /// The file descriptor of its namespace, if the message goes to another one.
    pub(crate) namespace: Option<i32>,
    /// The VRF device that it is in.
    pub(crate) vrf: Option<u32>,
}

/// Makes a link of any kind but [`LinkKind::Tap`], down and unmarked.
pub(crate) fn create_link(batch: &mut Vec<u8>, link: &Link, index: u32, other: Option<&Peer>, site: Site) {
    let mut message = Message::begin(batch, libc::RTM_NEWLINK, CREATE, &link_fixed(index, 0));
    message.text(libc::IFLA_IFNAME, link.id.name.as_str());
    if let Some(namespace) = site.namespace {
        message.u32(libc::IFLA_NET_NS_FD, namespace.cast_unsigned());
    }
    if let Some(vrf) = site.vrf {
        message.u32(libc::IFLA_MASTER, vrf);
    }
    match &link.kind {
        // A bridge takes the smallest MTU of its ports until somebody sets another one than it has: so it is made with
        // another one than is set next. It takes the smallest MAC address of its ports, too, and with each change of
        // that the kernel forgets all its neighbours: so it gets one of its own.
        LinkKind::Bridge => message
            .u32(libc::IFLA_MTU, link.mtu + 1)
            .mac(libc::IFLA_ADDRESS, mac_of_bridge(link.mark.as_str())),
        LinkKind::Vlan { .. } => message.u32(libc::IFLA_MTU, link.mtu).u32(libc::IFLA_LINK, site.parent),
        LinkKind::Vxlan { mac: Some(mac), .. } => {
            message.u32(libc::IFLA_MTU, link.mtu).mac(libc::IFLA_ADDRESS, *mac)
        }
        LinkKind::Tap | LinkKind::Veth { .. } | LinkKind::Vxlan { .. } => {
            message.u32(libc::IFLA_MTU, link.mtu)
        }
    };
    message.nest(libc::IFLA_LINKINFO, |info| match &link.kind {
        LinkKind::Bridge => bridge_info(info),
        LinkKind::Tap => {}
        LinkKind::Veth { .. } => {
            info.text(INFO_KIND, "veth").nest(INFO_DATA, |data| {
                if let Some(other) = other {
                    data.nest(VETH_INFO_PEER, |peer| peer_info(peer, other, link.mtu));
                }
            });
        }
        LinkKind::Vlan { vlan_id, .. } => {
            info.text(INFO_KIND, "vlan").nest(INFO_DATA, |data| {
                data.u16(VLAN_ID, *vlan_id);
            });
        }
        LinkKind::Vxlan { vni, local, port, .. } => {
            let kind = if local.is_ipv4() { VXLAN_LOCAL } else { VXLAN_LOCAL6 };
            info.text(INFO_KIND, "vxlan").nest(INFO_DATA, |data| {
                data.u32(VXLAN_ID, vni.get()).ip(kind, *local).u8(VXLAN_LEARNING, 0);
                data.bytes(VXLAN_PORT, &port.to_be_bytes());
            });
        }
    });
}

/// A locally administered address, the same for the same mark. Nobody is ever answered from it.
fn mac_of_bridge(mark: &str) -> Mac {
    let mut hasher = DefaultHasher::new();
    mark.hash(&mut hasher);
    let [_, _, b, c, d, e, f, g] = hasher.finish().to_be_bytes();
    Mac::new([b & 0xfc | 0x02, c, d, e, f, g])
}

fn bridge_info(info: &mut Message<'_>) {
    info.text(INFO_KIND, "bridge").nest(INFO_DATA, |data| {
        data.u32(BR_STP_STATE, 0).u8(BR_MCAST_SNOOPING, 0);
    });
}

fn peer_info(message: &mut Message<'_>, other: &Peer, mtu: u32) {
    message.fixed(&link_fixed(other.index, 0)).text(libc::IFLA_IFNAME, other.name.as_str());
    message.mac(libc::IFLA_ADDRESS, other.mac).u32(libc::IFLA_MTU, mtu);
    if let Some(namespace) = other.namespace {
        message.u32(libc::IFLA_NET_NS_FD, namespace.cast_unsigned());
    }
}

/// Sets what a bridge of ours does not do: spanning tree, multicast snooping.
pub(crate) fn set_bridge(batch: &mut Vec<u8>, index: u32) {
    Message::begin(batch, libc::RTM_NEWLINK, CHANGE, &link_fixed(index, 0))
        .nest(libc::IFLA_LINKINFO, bridge_info);
}

/// Sets what a VXLAN device of ours does not do: learning.
pub(crate) fn set_vxlan(batch: &mut Vec<u8>, index: u32) {
    let fixed = link_fixed(index, 0);
    Message::begin(batch, libc::RTM_NEWLINK, CHANGE, &fixed).nest(libc::IFLA_LINKINFO, |info| {
        info.text(INFO_KIND, "vxlan").nest(INFO_DATA, |data| {
            data.u8(VXLAN_LEARNING, 0);
        });
    });
}

/// Gives a link an alternative name.
pub(crate) fn add_altname(batch: &mut Vec<u8>, index: u32, name: &str) {
    altname(batch, (RTM_NEWLINKPROP, CREATE | libc::NLM_F_APPEND as u16), index, name);
}

/// Takes an alternative name from a link.
pub(crate) fn remove_altname(batch: &mut Vec<u8>, index: u32, name: &str) {
    altname(batch, (RTM_DELLINKPROP, CHANGE), index, name);
}

fn altname(batch: &mut Vec<u8>, (kind, flags): (u16, u16), index: u32, name: &str) {
    Message::begin(batch, kind, flags, &link_fixed(index, 0)).nest(IFLA_PROP_LIST, |list| {
        list.text(IFLA_ALT_IFNAME, name);
    });
}

/// Keeps the kernel from making IPv6 addresses on a link by itself.
pub(crate) fn no_generated_address(batch: &mut Vec<u8>, index: u32) {
    set_link(batch, index).nest(AF_SPEC, |families| {
        families.nest(u16::from(AF_INET6), |ipv6| {
            ipv6.u8(INET6_ADDR_GEN_MODE, 1);
        });
    });
}

/// Sets a link's IPv4 settings, each by its `IPV4_DEVCONF_` number.
pub(crate) fn set_ipv4(batch: &mut Vec<u8>, index: u32, settings: &[(u16, u32)]) {
    set_link(batch, index).nest(AF_SPEC, |families| {
        families.nest(u16::from(AF_INET), |ipv4| {
            ipv4.nest(INET_CONF, |list| {
                for (number, value) in settings {
                    list.u32(*number, *value);
                }
            });
        });
    });
}

/// Has a link answer at once for what it answers for although it is elsewhere: by itself the kernel waits, up to 800 ms, for
/// somebody who knows better (RFC 4861 §7.2.8), and nobody does.
pub(crate) fn answer_at_once(batch: &mut Vec<u8>, index: u32) {
    for (family, table) in [(AF_INET, "arp_cache"), (AF_INET6, "ndisc_cache")] {
        // `struct ndtmsg`: the family, and padding.
        let mut message = Message::begin(batch, RTM_SETNEIGHTBL, CHANGE, &[family, 0, 0, 0]);
        message.text(NDTA_NAME, table).nest(NDTA_PARMS, |parameters| {
            parameters.u32(NDTPA_IFINDEX, index).bytes(NDTPA_PROXY_DELAY, &0_u64.to_ne_bytes());
        });
    }
}

/// Sets a link up.
pub(crate) fn set_up(batch: &mut Vec<u8>, index: u32) {
    let up = libc::IFF_UP.cast_unsigned();
    Message::begin(batch, libc::RTM_SETLINK, CHANGE, &link_fixed(index, up));
}

pub(crate) fn set_mtu(batch: &mut Vec<u8>, index: u32, mtu: u32) {
    set_link(batch, index).u32(libc::IFLA_MTU, mtu);
}

pub(crate) fn set_mac(batch: &mut Vec<u8>, index: u32, mac: Mac) {
    set_link(batch, index).mac(libc::IFLA_ADDRESS, mac);
}

/// Puts a link into the bridge with this index; 0: into none.
pub(crate) fn set_master(batch: &mut Vec<u8>, index: u32, bridge: u32) {
    set_link(batch, index).u32(libc::IFLA_MASTER, bridge);
}

/// Sets what a bridge port is for, and all else that a port of ours is.
pub(crate) fn set_port(batch: &mut Vec<u8>, index: u32, role: PortRole) {
    let PortFlags { learning, suppression, isolated, .. } = PortFlags::of(role);
    port_info(batch, index, |data| {
        data.u8(BRPORT_LEARNING, u8::from(learning)).u8(BRPORT_NEIGH_SUPPRESS, u8::from(suppression));
        data.u8(BRPORT_ISOLATED, u8::from(isolated)).u8(BRPORT_HAIRPIN, 0).u8(BRPORT_LOCKED, 0);
        data.u8(BRPORT_UNICAST_FLOOD, 1).u8(BRPORT_MULTICAST_FLOOD, 1).u8(BRPORT_BROADCAST_FLOOD, 1);
    });
}

/// Has a bridge port that runs forward; the kernel refuses it of one that does not run.
pub(crate) fn set_forwarding(batch: &mut Vec<u8>, index: u32) {
    port_info(batch, index, |data| {
        data.u8(BRPORT_STATE, BR_STATE_FORWARDING);
    });
}

fn port_info(batch: &mut Vec<u8>, index: u32, write: impl FnOnce(&mut Message<'_>)) {
    let fixed = link_fixed(index, 0);
    Message::begin(batch, libc::RTM_NEWLINK, CHANGE, &fixed).nest(libc::IFLA_LINKINFO, |info| {
        info.text(INFO_SLAVE_KIND, "bridge").nest(INFO_SLAVE_DATA, write);
    });
}

pub(crate) fn delete_link(batch: &mut Vec<u8>, index: u32) {
    Message::begin(batch, libc::RTM_DELLINK, CHANGE, &link_fixed(index, 0));
}

/// Makes or removes an address.
pub(crate) fn address(batch: &mut Vec<u8>, there: bool, link: u32, address: IpNet) {
    let (kind, flags) = if there { (libc::RTM_NEWADDR, CREATE) } else { (libc::RTM_DELADDR, CHANGE) };
    let [a, b, c, d] = link.to_ne_bytes();
    let fixed = [family(address.addr()), address.prefix_len(), 0, 0, a, b, c, d];
    let mut message = Message::begin(batch, kind, flags, &fixed);
    message.ip(IFA_LOCAL, address.addr()).ip(IFA_ADDRESS, address.addr());
    if there {
        message.u8(IFA_PROTO, PROTOCOL);
    }
    if there && address.addr().is_ipv6() {
        message.u32(IFA_FLAGS, libc::IFA_F_NODAD);
    }
}

/// `struct ndmsg`.
fn neighbour_fixed(family: u8, link: u32, state: u16, flags: u8) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[0] = family;
    bytes[4..8].copy_from_slice(&link.to_ne_bytes());
    bytes[8..10].copy_from_slice(&state.to_ne_bytes());
    bytes[10] = flags;
    bytes
}

/// Makes a neighbour, in place of another one, or removes it (`mac: None`).
pub(crate) fn neighbour(batch: &mut Vec<u8>, link: u32, address: IpAddr, mac: Option<Mac>) {
    // Permanent: one that is merely NOARP goes when the bridge loses its carrier.
    let fixed = neighbour_fixed(family(address), link, NUD_PERMANENT, 0);
    match mac {
        Some(mac) => {
            Message::begin(batch, libc::RTM_NEWNEIGH, REPLACE, &fixed)
                .ip(NDA_DST, address)
                .mac(NDA_LLADDR, mac)
                .u8(NDA_PROTOCOL, PROTOCOL);
        }
        None => {
            Message::begin(batch, libc::RTM_DELNEIGH, CHANGE, &fixed).ip(NDA_DST, address);
        }
    }
}

/// What to do with an entry of a VXLAN device's forwarding table.
#[derive(Clone, Copy)]
pub(crate) enum FdbChange {
    Replace,
    Append,
    Delete,
}

/// A tunnel endpoint, and the network identifier that it takes what is sent under, if not the device's own.
pub(crate) type Endpoint = (IpAddr, Option<Vni>);

/// Changes an entry of a VXLAN device's forwarding table.
pub(crate) fn vxlan_fdb(batch: &mut Vec<u8>, change: FdbChange, link: u32, mac: Mac, to: Endpoint) {
    let (kind, flags) = match change {
        FdbChange::Replace => (libc::RTM_NEWNEIGH, REPLACE),
        FdbChange::Append => (libc::RTM_NEWNEIGH, APPEND),
        FdbChange::Delete => (libc::RTM_DELNEIGH, CHANGE),
    };
    // NOARP alone is EINVAL to a VXLAN device.
    let fixed = neighbour_fixed(AF_BRIDGE, link, NUD_NOARP | NUD_REACHABLE, NTF_SELF);
    let mut message = Message::begin(batch, kind, flags, &fixed);
    message.mac(NDA_LLADDR, mac).ip(NDA_DST, to.0);
    if let Some(vni) = to.1 {
        message.u32(NDA_VNI, vni.get());
    }
}

/// Makes or removes an address for which a link answers.
pub(crate) fn proxy(batch: &mut Vec<u8>, there: bool, link: u32, address: IpAddr) {
    let fixed = neighbour_fixed(family(address), link, NUD_PERMANENT, NTF_PROXY);
    if there {
        Message::begin(batch, libc::RTM_NEWNEIGH, REPLACE, &fixed)
            .ip(NDA_DST, address)
            .u8(NDA_PROTOCOL, PROTOCOL);
    } else {
        Message::begin(batch, libc::RTM_DELNEIGH, CHANGE, &fixed).ip(NDA_DST, address);
    }
}

/// Makes or removes an entry of a bridge's forwarding table.
pub(crate) fn bridge_fdb(batch: &mut Vec<u8>, there: bool, link: u32, mac: Mac) {
    let (kind, flags) = if there { (libc::RTM_NEWNEIGH, REPLACE) } else { (libc::RTM_DELNEIGH, CHANGE) };
    // Sticky: a tenant cannot draw another's traffic to its port by sending from the other's address.
    let fixed = neighbour_fixed(AF_BRIDGE, link, NUD_NOARP, NTF_MASTER | NTF_STICKY);
    Message::begin(batch, kind, flags, &fixed).mac(NDA_LLADDR, mac);
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

/// Asks for one link.
pub(crate) fn ask_link(index: u32) -> Vec<u8> {
    let mut request = Vec::new();
    Message::begin(&mut request, libc::RTM_GETLINK, CHANGE, &link_fixed(index, 0))
        .u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    request
}

/// Asks for all that a link answers for.
pub(crate) fn ask_proxies(link: u32) -> Vec<u8> {
    let mut request = Vec::new();
    Message::begin(&mut request, libc::RTM_GETNEIGH, DUMP, &neighbour_fixed(AF_UNSPEC, 0, 0, NTF_PROXY))
        .u32(NDA_IFINDEX, link);
    request
}

fn dump(kind: u16, fixed: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    Message::begin(&mut request, kind, DUMP, fixed);
    request
}

/// Asks for all that the mirror keeps of a namespace: links first, since all else names them. `rules_and_labels`: of one that
/// has VRF devices, or is a VRF.
pub(crate) fn dumps(rules_and_labels: RulesAndLabels) -> Vec<Vec<u8>> {
    let mut links = Vec::new();
    Message::begin(&mut links, libc::RTM_GETLINK, DUMP, &link_fixed(0, 0))
        .u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    // The kernel gives only the routes that bear our number.
    let routes = |family| dump(libc::RTM_GETROUTE, &[family, 0, 0, 0, 0, PROTOCOL, 0, 0, 0, 0, 0, 0]);
    let mut dumps = vec![
        links,
        dump(libc::RTM_GETADDR, &[0; 8]),
        dump(RTM_GETNEXTHOP, &[0; 8]),
        routes(AF_INET),
        routes(AF_INET6),
        dump(libc::RTM_GETNEIGH, &neighbour_fixed(AF_UNSPEC, 0, 0, 0)),
        dump(libc::RTM_GETNEIGH, &neighbour_fixed(AF_UNSPEC, 0, 0, NTF_PROXY)),
        dump(libc::RTM_GETNEIGH, &neighbour_fixed(AF_BRIDGE, 0, 0, 0)),
    ];
    if rules_and_labels.rules {
        dumps.extend([AF_INET, AF_INET6].map(|family| dump(libc::RTM_GETRULE, &rule_fixed(family, 0))));
    }
    if rules_and_labels.labels {
        dumps.push(routes(AF_MPLS));
    }
    dumps
}

/// What else there is to ask for.
#[derive(Clone, Copy, Default)]
pub(crate) struct RulesAndLabels {
    pub(crate) rules: bool,
    /// A kernel without MPLS would answer with the routes of all other families.
    pub(crate) labels: bool,
}
