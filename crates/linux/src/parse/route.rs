//! Routes, next hops and rules.

use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::MplsLabel;

use super::{Fact, Family};
use crate::wire::number::*;
use crate::wire::{PROTOCOL, Received, attributes, ip_of, mac_of, text_of, u16_at, u32_at};

/// The priority of the route that is the last in a VRF's table: no other is ever asked for behind it.
pub(crate) const LAST_RESORT: u32 = 4_278_198_272;

/// The priority of our rules for what comes in by a link: behind that for a namespace's own addresses, before all others.
pub(crate) const INGRESS_PRIORITY: u32 = 217;

const REPLACES: u16 = libc::NLM_F_REPLACE as u16;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawRoute {
    pub(crate) to: RawTo,
    pub(crate) priority: u32,
    pub(crate) ours: bool,
    /// It was put in the place of another one.
    pub(crate) replaces: bool,
}

/// Where a route leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawTo {
    Hop(RawHop),
    /// A next hop, or a group of them, by its number.
    NextHop(u32),
    Unreachable,
    Blackhole,
    /// What we never make.
    Other,
}

/// One way out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RawHop {
    /// Of which family it is; a next hop without a router leads packets of no other.
    pub(crate) family: u8,
    pub(crate) link: u32,
    pub(crate) via: Option<IpAddr>,
    pub(crate) labels: Vec<MplsLabel>,
}

/// A next hop that routes name by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RawNextHop {
    Hop(RawHop),
    Group {
        /// Numbers of next hops, and the weight of each.
        members: Vec<(u32, u16)>,
        /// Flows stay where they are when members come and go.
        resilient: bool,
    },
    Other,
}

pub(super) fn route(message: &Received<'_>) -> Option<Fact> {
    let body = message.body;
    let (family, length, protocol, kind) = (*body.first()?, *body.get(1)?, *body.get(5)?, *body.get(7)?);
    let (is_there, ours) = (message.kind == libc::RTM_NEWROUTE, protocol == PROTOCOL);
    if family == AF_MPLS {
        return label(body, is_there && ours);
    }
    if u32_at(body, 8)? & RTM_F_CLONED != 0 {
        return None;
    }
    let unspecified = if family == AF_INET { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
    let (mut table, mut destination) = (u32::from(*body.get(4)?), unspecified);
    let mut hop = RawHop { family, link: 0, via: None, labels: Vec::new() };
    let (mut priority, mut next_hop) = (0, None);
    for (kind, value) in attributes(body, 12) {
        match kind {
            RTA_DST => destination = ip_of(value)?,
            RTA_OIF => hop.link = u32_at(value, 0)?,
            RTA_GATEWAY => hop.via = ip_of(value),
            RTA_VIA => {
                hop.via = ip_of(value.get(2..)?);
                hop.family = if hop.via?.is_ipv4() { AF_INET } else { AF_INET6 };
            }
            RTA_PRIORITY => priority = u32_at(value, 0)?,
            RTA_TABLE => table = u32_at(value, 0)?,
            RTA_ENCAP => hop.labels = labels(value),
            RTA_NH_ID => next_hop = u32_at(value, 0),
            _ => {}
        }
    }
    if ours && kind == libc::RTN_UNREACHABLE && length == 0 && priority == LAST_RESORT {
        return Some(Fact::LastResort { table, family: Family::of(family)?, there: is_there });
    }
    if ours && kind == libc::RTN_LOCAL {
        let (address, link) = (destination, hop.link);
        return Some(Fact::Delivery { table, address, link, there: is_there });
    }
    let to = match (kind, next_hop) {
        (libc::RTN_UNICAST, Some(id)) => RawTo::NextHop(id),
        (libc::RTN_UNICAST, None) if hop.link != 0 => RawTo::Hop(hop),
        (libc::RTN_UNREACHABLE, None) => RawTo::Unreachable,
        (libc::RTN_BLACKHOLE, None) => RawTo::Blackhole,
        _ => RawTo::Other,
    };
    // The kernel's own, by the dozen for each link.
    if !ours && kind != libc::RTN_UNICAST && message.flags & REPLACES == 0 {
        return None;
    }
    let destination = IpNet::new(destination, length).ok()?;
    if is_there {
        let replaces = message.flags & REPLACES != 0;
        Some(Fact::Route { table, destination, route: RawRoute { to, priority, ours, replaces } })
    } else {
        Some(match ours {
            true => Fact::RouteGone { table, destination, priority },
            false => Fact::StrangersRouteGone(destination),
        })
    }
}

/// The labels of an encapsulation: four bytes each, of which the first twenty bits are the label (RFC 3032 §2.1).
fn labels(encapsulation: &[u8]) -> Vec<MplsLabel> {
    let stack = attributes(encapsulation, 0).find(|(kind, _)| *kind == MPLS_IPTUNNEL_DST);
    let entries = stack.map(|(_, stack)| stack).unwrap_or_default().chunks_exact(4);
    entries.filter_map(first_label).collect()
}

fn first_label(stack: &[u8]) -> Option<MplsLabel> {
    let entry = u32::from_be_bytes(stack.get(..4)?.try_into().ok()?);
    MplsLabel::try_from(entry >> 12).ok()
}

fn label(body: &[u8], there: bool) -> Option<Fact> {
    let find = |wanted: u16| attributes(body, 12).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let to = || {
        let via = find(RTA_VIA)?;
        let is_mac = u16_at(via, 0)? == AF_PACKET && find(RTA_TTL_PROPAGATE)? == [0];
        Some((u32_at(find(RTA_OIF)?, 0)?, mac_of(via.get(2..)?).filter(|_| is_mac)?))
    };
    // As somebody else has made it, it leads nowhere: then it is made anew.
    Some(Fact::Label { label: first_label(find(RTA_DST)?)?, to: to().filter(|_| there) })
}

pub(super) fn next_hop(body: &[u8], there: bool) -> Option<Fact> {
    let (mut id, mut group, mut resilient) = (0, None, false);
    let mut hop = RawHop { family: *body.first()?, link: 0, via: None, labels: Vec::new() };
    for (kind, value) in attributes(body, 8) {
        match kind {
            NHA_ID => id = u32_at(value, 0)?,
            NHA_OIF => hop.link = u32_at(value, 0)?,
            NHA_GATEWAY => hop.via = ip_of(value),
            NHA_ENCAP => hop.labels = labels(value),
            NHA_GROUP => group = Some(members(value)),
            NHA_GROUP_TYPE => resilient = u16_at(value, 0) == Some(NEXTHOP_GRP_TYPE_RES),
            _ => {}
        }
    }
    if !there {
        return Some(Fact::NextHopGone(id));
    }
    let hop = match group {
        Some(members) => RawNextHop::Group { members, resilient },
        None if hop.link != 0 => RawNextHop::Hop(hop),
        None => RawNextHop::Other,
    };
    Some(Fact::NextHop { id, hop, ours: *body.get(2)? == PROTOCOL })
}

/// `struct nexthop_grp`s: a number, and one less than the weight.
fn members(group: &[u8]) -> Vec<(u32, u16)> {
    let weight = |member: &[u8]| u16::from_le_bytes([member[4], member[5]]).saturating_add(1);
    group.chunks_exact(8).filter_map(|member| Some((u32_at(member, 0)?, weight(member)))).collect()
}

/// Whether the rule is there that looks the host's own addresses up first of all, or one of ours for what comes in by a link.
pub(super) fn rule(body: &[u8], there: bool) -> Option<Fact> {
    let family = Family::of(*body.first()?)?;
    let find = |wanted: u16| attributes(body, 12).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let priority = find(FRA_PRIORITY).and_then(|priority| u32_at(priority, 0)).unwrap_or(0);
    let table = find(FRA_TABLE).and_then(|table| u32_at(table, 0)).unwrap_or(u32::from(*body.get(4)?));
    if priority == 0 && table == u32::from(libc::RT_TABLE_LOCAL) {
        return Some(Fact::LocalFirst { family, there });
    }
    let is_ours = find(FRA_PROTOCOL) == Some(&[PROTOCOL]) && priority == INGRESS_PRIORITY;
    if let Some(mark) = find(FRA_FWMARK).filter(|_| is_ours) {
        return (u32_at(mark, 0)? == table).then_some(Fact::MarkRule { table, family, there });
    }
    let link = text_of(find(FRA_IIFNAME).filter(|_| is_ours)?).parse().ok()?;
    Some(Fact::Ingress { link, table, family, there })
}

/// The link by which an address is reached, from the answer to that question.
pub(crate) fn way_out(message: &Received<'_>) -> Option<u32> {
    let link = attributes(message.body, 12).find(|(kind, _)| *kind == RTA_OIF)?.1;
    u32_at(link, 0).filter(|_| message.kind == libc::RTM_NEWROUTE)
}
