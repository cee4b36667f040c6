//! Routes, next hops, rules and labels, and the devices of VRFs.

use std::net::IpAddr;

use ipnet::IpNet;
use weft_dataplane::Vrf;
use weft_net::{IfName, Mac, MplsLabel};

use super::{CHANGE, CREATE, REPLACE, family, link_fixed};
use crate::parse::{Family, INGRESS_PRIORITY, LAST_RESORT, RawHop};
use crate::wire::number::*;
use crate::wire::{Message, PROTOCOL};

/// How many flows of a resilient group are told apart: what is of one bucket moves together.
pub(crate) const BUCKETS: u16 = 128;
/// The same, where packets come in that another group may have spread by the same hash, which a packet of a local socket bears
/// from host to host: of two numbers without a common divisor neither says anything about the other.
pub(crate) const INGRESS_BUCKETS: u16 = 127;
/// How long a bucket must have been silent, in hundredths of a second, before it may be given to a member that is to have more
/// than it has: a newcomer waits for no longer than this,
const IDLE_TIMER_TO_GROW: u32 = 100;
/// and where none has come, flows stay although their member weighs less than before. The kernel's own choice.
const IDLE_TIMER_TO_STAY: u32 = 12_000;
/// Where the rule is put that looks the host's own addresses up: behind those of VRFs, before `main`.
const LOCAL_PRIORITY: u32 = 32_765;

/// What to do with a route.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteChange {
    Create,
    Replace,
    Delete,
}

/// Where a route leads.
#[derive(Clone, Copy)]
pub(crate) enum Target<'a> {
    Hop(&'a RawHop),
    NextHop(u32),
    Unreachable,
    Blackhole,
}

const fn verb(change: RouteChange) -> (u16, u16) {
    match change {
        RouteChange::Create => (libc::RTM_NEWROUTE, CREATE),
        RouteChange::Replace => (libc::RTM_NEWROUTE, REPLACE),
        RouteChange::Delete => (libc::RTM_DELROUTE, CHANGE),
    }
}

/// `struct rtmsg`.
fn route_fixed(family: u8, length: u8, table: u32, (scope, kind): (u8, u8)) -> [u8; 12] {
    let mut fixed = [0; 12];
    fixed[0] = family;
    fixed[1] = length;
    fixed[4] = u8::try_from(table).unwrap_or(libc::RT_TABLE_COMPAT);
    fixed[5] = PROTOCOL;
    fixed[6] = scope;
    fixed[7] = kind;
    fixed
}

/// Changes a route.
pub(crate) fn route(
    batch: &mut Vec<u8>,
    change: RouteChange,
    (table, destination): (u32, IpNet),
    to: Target<'_>,
) {
    let (kind, flags) = verb(change);
    let scope = match (change, to) {
        (RouteChange::Delete, _) => libc::RT_SCOPE_NOWHERE,
        (_, Target::Hop(RawHop { via: None, labels, .. })) if labels.is_empty() => libc::RT_SCOPE_LINK,
        (_, _) => libc::RT_SCOPE_UNIVERSE,
    };
    let leads = match to {
        Target::Hop(_) | Target::NextHop(_) => libc::RTN_UNICAST,
        Target::Unreachable => libc::RTN_UNREACHABLE,
        Target::Blackhole => libc::RTN_BLACKHOLE,
    };
    let of_family = family(destination.addr());
    let mut fixed = route_fixed(of_family, destination.prefix_len(), table, (scope, leads));
    if matches!(to, Target::Hop(RawHop { via: Some(_), .. })) && change != RouteChange::Delete {
        // The router is on the link because the intent says so, whatever addresses the link has.
        fixed[8..12].copy_from_slice(&RTNH_F_ONLINK.to_ne_bytes());
    }
    let mut message = Message::begin(batch, kind, flags, &fixed);
    message.u32(RTA_TABLE, table).ip(RTA_DST, destination.network());
    match to {
        Target::Hop(hop) => {
            message.u32(RTA_OIF, hop.link);
            if change != RouteChange::Delete {
                way(&mut message, hop, destination);
            }
        }
        Target::NextHop(id) => {
            message.u32(RTA_NH_ID, id);
        }
        Target::Unreachable | Target::Blackhole => {}
    }
}

fn way(message: &mut Message<'_>, hop: &RawHop, destination: IpNet) {
    match hop.via {
        Some(IpAddr::V6(via)) if destination.addr().is_ipv4() => {
            let mut payload = u16::from(AF_INET6).to_ne_bytes().to_vec();
            payload.extend_from_slice(&via.octets());
            message.bytes(RTA_VIA, &payload);
        }
        Some(via) => {
            message.ip(RTA_GATEWAY, via);
        }
        None => {}
    }
    labels(message, &hop.labels, (RTA_ENCAP_TYPE, RTA_ENCAP));
}

/// Label stack entries (RFC 3032 §2.1); the last has the bit that says so.
fn labels(message: &mut Message<'_>, labels: &[MplsLabel], (kind, content): (u16, u16)) {
    if labels.is_empty() {
        return;
    }
    let last = labels.len() - 1;
    let stack: Vec<u8> =
        labels.iter().enumerate().flat_map(|(at, label)| entry(*label, at == last)).collect();
    message.u16(kind, ENCAP_MPLS).nest(content, |encapsulation| {
        // What is within keeps its own time to live, that routers on the way to it be known to whoever asks.
        encapsulation.bytes(MPLS_IPTUNNEL_DST, &stack).u8(MPLS_IPTUNNEL_TTL, u8::MAX);
    });
}

fn entry(label: MplsLabel, is_last: bool) -> [u8; 4] {
    ((label.get() << 12) | (u32::from(is_last) << 8)).to_be_bytes()
}

/// `struct nhmsg`.
fn next_hop_fixed(family: u8, flags: u32) -> [u8; 8] {
    let [a, b, c, d] = flags.to_ne_bytes();
    [family, 0, PROTOCOL, 0, a, b, c, d]
}

/// Makes a next hop.
pub(crate) fn next_hop(batch: &mut Vec<u8>, id: u32, hop: &RawHop) {
    let flags = if hop.via.is_some() { RTNH_F_ONLINK } else { 0 };
    let mut message = Message::begin(batch, RTM_NEWNEXTHOP, CREATE, &next_hop_fixed(hop.family, flags));
    message.u32(NHA_ID, id).u32(NHA_OIF, hop.link);
    if let Some(via) = hop.via {
        message.ip(NHA_GATEWAY, via);
    }
    labels(&mut message, &hop.labels, (NHA_ENCAP_TYPE, NHA_ENCAP));
}

/// Makes a group of next hops, or gives the one that has these members others: a resilient one if it is told how many buckets it
/// has.
pub(crate) fn group(
    batch: &mut Vec<u8>,
    (id, before): (u32, Option<&[(u32, u16)]>),
    members: &[(u32, u16)],
    buckets: Option<u16>,
) {
    let is_new = before.is_none();
    let flags = if is_new { CREATE } else { REPLACE };
    // `struct nexthop_grp`: a number, and one less than the weight.
    let list: Vec<u8> = members
        .iter()
        .flat_map(|(member, weight)| {
            let ([a, b, c, d], [low, high]) = (member.to_ne_bytes(), weight.saturating_sub(1).to_le_bytes());
            [a, b, c, d, low, high, 0, 0]
        })
        .collect();
    let mut message = Message::begin(batch, RTM_NEWNEXTHOP, flags, &next_hop_fixed(AF_UNSPEC, 0));
    message.u32(NHA_ID, id).bytes(NHA_GROUP, &list);
    if let Some(buckets) = buckets {
        message.u16(NHA_GROUP_TYPE, NEXTHOP_GRP_TYPE_RES).nest(NHA_RES_GROUP, |settings| {
            let timer = if grows(before, members) { IDLE_TIMER_TO_GROW } else { IDLE_TIMER_TO_STAY };
            settings.u32(NHA_RES_GROUP_IDLE_TIMER, timer);
            // A group that is there keeps its number.
            if is_new {
                settings.u16(NHA_RES_GROUP_BUCKETS, buckets);
            }
        });
    }
}

/// Whether some member of a group weighs more than before, or is new.
fn grows(before: Option<&[(u32, u16)]>, members: &[(u32, u16)]) -> bool {
    let weighed = |member: u32| before?.iter().find(|(id, _)| *id == member).map(|(_, weight)| *weight);
    members.iter().any(|(id, weight)| weighed(*id).is_none_or(|before| *weight > before))
}

/// Removes a next hop or a group of them.
pub(crate) fn delete_next_hop(batch: &mut Vec<u8>, id: u32) {
    // With anything in its fixed part, it is refused.
    Message::begin(batch, RTM_DELNEXTHOP, CHANGE, &[0; 8]).u32(NHA_ID, id);
}

/// Has packets with a label sent, without it, to a MAC address out of a link; or no longer (`to: None`).
pub(crate) fn label(batch: &mut Vec<u8>, label: MplsLabel, to: Option<(u32, Mac)>) {
    let (kind, flags) = verb(if to.is_some() { RouteChange::Replace } else { RouteChange::Delete });
    let main = u32::from(libc::RT_TABLE_MAIN);
    let fixed = route_fixed(AF_MPLS, 20, main, (libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST));
    let mut message = Message::begin(batch, kind, flags, &fixed);
    message.bytes(RTA_DST, &entry(label, true));
    if let Some((link, mac)) = to {
        let mut via = AF_PACKET.to_ne_bytes().to_vec();
        via.extend_from_slice(&mac.octets());
        message.u32(RTA_OIF, link).bytes(RTA_VIA, &via).u8(RTA_TTL_PROPAGATE, 0);
    }
}

/// Makes a VRF device, down and unmarked.
pub(crate) fn create_vrf(batch: &mut Vec<u8>, vrf: &Vrf, index: u32) {
    let mut message = Message::begin(batch, libc::RTM_NEWLINK, CREATE, &link_fixed(index, 0));
    message.text(libc::IFLA_IFNAME, vrf.name.as_str()).nest(libc::IFLA_LINKINFO, |info| {
        info.text(INFO_KIND, "vrf").nest(INFO_DATA, |data| {
            data.u32(VRF_TABLE, vrf.table);
        });
    });
}

/// Has what is for an address of a link delivered by a table beside the link's own, or no longer.
pub(crate) fn delivery(batch: &mut Vec<u8>, there: bool, table: u32, (link, address): (u32, IpAddr)) {
    let (kind, flags) = verb(if there { RouteChange::Replace } else { RouteChange::Delete });
    let length = if address.is_ipv4() { 32 } else { 128 };
    let fixed = route_fixed(family(address), length, table, (libc::RT_SCOPE_HOST, libc::RTN_LOCAL));
    let mut message = Message::begin(batch, kind, flags, &fixed);
    message.u32(RTA_TABLE, table).ip(RTA_DST, address).u32(RTA_OIF, link);
}

/// Makes or removes the routes behind which no other table is asked.
pub(crate) fn last_resorts(batch: &mut Vec<u8>, there: bool, table: u32) {
    let (kind, flags) = verb(if there { RouteChange::Replace } else { RouteChange::Delete });
    for family in [AF_INET, AF_INET6] {
        let fixed = route_fixed(family, 0, table, (libc::RT_SCOPE_UNIVERSE, libc::RTN_UNREACHABLE));
        Message::begin(batch, kind, flags, &fixed).u32(RTA_TABLE, table).u32(RTA_PRIORITY, LAST_RESORT);
    }
}

/// `struct fib_rule_hdr`, of a rule that looks a table up.
fn lookup_fixed(family: u8, table: u32) -> [u8; 12] {
    let mut fixed = rule_fixed(family, u8::try_from(table).unwrap_or(libc::RT_TABLE_COMPAT));
    fixed[7] = FR_ACT_TO_TBL;
    fixed
}

/// `struct fib_rule_hdr`.
pub(super) fn rule_fixed(family: u8, table: u8) -> [u8; 12] {
    let mut fixed = [0; 12];
    (fixed[0], fixed[4]) = (family, table);
    fixed
}

/// Has the host's own addresses looked up behind those of VRFs: makes the rule for it (`there`), or removes the one at the very
/// beginning.
pub(crate) fn local_rule(batch: &mut Vec<u8>, there: bool) {
    for family in [AF_INET, AF_INET6] {
        let (kind, flags) = if there { (libc::RTM_NEWRULE, CREATE) } else { (libc::RTM_DELRULE, CHANGE) };
        let priority = if there { LOCAL_PRIORITY } else { 0 };
        let table = u32::from(libc::RT_TABLE_LOCAL);
        Message::begin(batch, kind, flags, &lookup_fixed(family, table))
            .u32(FRA_PRIORITY, priority)
            .u32(FRA_TABLE, table);
    }
}

/// Has what comes in by a link routed by a table, or no longer, in one family.
pub(crate) fn ingress_rule(batch: &mut Vec<u8>, there: bool, family: Family, (link, table): (IfName, u32)) {
    let (kind, flags) = if there { (libc::RTM_NEWRULE, CREATE) } else { (libc::RTM_DELRULE, CHANGE) };
    let family = if family == Family::Ipv4 { AF_INET } else { AF_INET6 };
    Message::begin(batch, kind, flags, &lookup_fixed(family, table))
        .text(FRA_IIFNAME, link.as_str())
        .u32(FRA_PRIORITY, INGRESS_PRIORITY)
        .u32(FRA_TABLE, table)
        .u8(FRA_PROTOCOL, PROTOCOL);
}

/// Has what bears the number of an ingress table for a mark routed by it, or no longer. For IPv6 alone.
pub(crate) fn mark_rule(batch: &mut Vec<u8>, there: bool, table: u32) {
    let (kind, flags) = if there { (libc::RTM_NEWRULE, CREATE) } else { (libc::RTM_DELRULE, CHANGE) };
    Message::begin(batch, kind, flags, &lookup_fixed(AF_INET6, table))
        .u32(FRA_PRIORITY, INGRESS_PRIORITY)
        .u32(FRA_FWMARK, table)
        .u32(FRA_TABLE, table)
        .u8(FRA_PROTOCOL, PROTOCOL);
}

/// Asks by which way an address is reached.
pub(crate) fn ask_way(address: IpAddr) -> Vec<u8> {
    let mut request = Vec::new();
    let length = if address.is_ipv4() { 32 } else { 128 };
    let mut fixed = route_fixed(family(address), length, 0, (0, 0));
    fixed[5] = 0;
    Message::begin(&mut request, libc::RTM_GETROUTE, CHANGE, &fixed).ip(RTA_DST, address);
    request
}
