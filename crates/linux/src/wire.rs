//! The bytes of rtnetlink: messages and attributes, written into a batch and read from a buffer. Pure.
//!
//! Written by hand, because a link of somebody else's with an attribute that nobody has heard of must never make a whole
//! look fail, and because tens of thousands of entries pass here.

use std::net::IpAddr;

use weft_net::Mac;

/// Our number in routes (`rtm_protocol`), addresses (`IFA_PROTO`) and neighbours (`NDA_PROTOCOL`).
pub const PROTOCOL: u8 = 217;

/// Numbers of the kernel's that `libc` does not have.
pub(crate) mod number {
    pub(crate) const RTM_NEWLINKPROP: u16 = 108;
    pub(crate) const RTM_DELLINKPROP: u16 = 109;
    pub(crate) const RTM_NEWNETCONF: u16 = 80;
    pub(crate) const RTM_NEWNEXTHOP: u16 = 104;
    pub(crate) const RTM_DELNEXTHOP: u16 = 105;
    pub(crate) const RTM_GETNEXTHOP: u16 = 106;
    pub(crate) const RTNLGRP_IPV4_RULE: u32 = 8;
    pub(crate) const RTNLGRP_IPV6_RULE: u32 = 19;
    pub(crate) const RTNLGRP_IPV4_NETCONF: u32 = 24;
    pub(crate) const RTNLGRP_IPV6_NETCONF: u32 = 25;
    pub(crate) const RTNLGRP_MPLS_ROUTE: u32 = 27;
    pub(crate) const RTNLGRP_NEXTHOP: u32 = 32;
    pub(crate) const AF_SPEC: u16 = 26;
    pub(crate) const IFLA_EXT_MASK: u16 = 29;
    pub(crate) const IFLA_PROP_LIST: u16 = 52;
    pub(crate) const IFLA_ALT_IFNAME: u16 = 53;
    pub(crate) const RTEXT_FILTER_SKIP_STATS: u32 = 8;
    pub(crate) const INFO_KIND: u16 = 1;
    pub(crate) const INFO_DATA: u16 = 2;
    pub(crate) const INFO_SLAVE_KIND: u16 = 4;
    pub(crate) const INFO_SLAVE_DATA: u16 = 5;
    pub(crate) const BR_STP_STATE: u16 = 5;
    pub(crate) const BR_MCAST_SNOOPING: u16 = 23;
    pub(crate) const BRPORT_STATE: u16 = 1;
    pub(crate) const BRPORT_HAIRPIN: u16 = 4;
    pub(crate) const BRPORT_LEARNING: u16 = 8;
    pub(crate) const BRPORT_UNICAST_FLOOD: u16 = 9;
    pub(crate) const BRPORT_MULTICAST_FLOOD: u16 = 27;
    pub(crate) const BRPORT_BROADCAST_FLOOD: u16 = 30;
    pub(crate) const BRPORT_NEIGH_SUPPRESS: u16 = 32;
    pub(crate) const BRPORT_ISOLATED: u16 = 33;
    pub(crate) const BRPORT_LOCKED: u16 = 39;
    pub(crate) const BR_STATE_FORWARDING: u8 = 3;
    pub(crate) const VXLAN_ID: u16 = 1;
    pub(crate) const VXLAN_LOCAL: u16 = 4;
    pub(crate) const VXLAN_LEARNING: u16 = 7;
    pub(crate) const VXLAN_PORT: u16 = 15;
    pub(crate) const VXLAN_LOCAL6: u16 = 17;
    pub(crate) const VETH_INFO_PEER: u16 = 1;
    pub(crate) const VLAN_ID: u16 = 1;
    pub(crate) const VRF_TABLE: u16 = 1;
    pub(crate) const TUN_TYPE: u16 = 3;
    pub(crate) const TUN_TYPE_TAP: u8 = 2;
    pub(crate) const INET_CONF: u16 = 1;
    pub(crate) const INET6_CONF: u16 = 2;
    pub(crate) const INET6_ADDR_GEN_MODE: u16 = 8;
    /// Places in the lists that `IFLA_INET_CONF` and `IFLA_INET6_CONF` are told as.
    pub(crate) const INET_CONF_FORWARDING: usize = 0;
    pub(crate) const INET_CONF_PROXY_ARP: usize = 2;
    pub(crate) const INET6_CONF_FORWARDING: usize = 0;
    pub(crate) const INET6_CONF_PROXY_NDP: usize = 22;
    pub(crate) const INET6_CONF_DISABLE_IPV6: usize = 26;
    pub(crate) const NETCONFA_IFINDEX: u16 = 1;
    pub(crate) const NETCONFA_FORWARDING: u16 = 2;
    pub(crate) const NETCONFA_PROXY_NEIGH: u16 = 5;
    /// The index under which the settings of a whole namespace are told.
    pub(crate) const NETCONFA_IFINDEX_ALL: u32 = u32::MAX;
    pub(crate) const RTM_SETNEIGHTBL: u16 = 67;
    pub(crate) const NDTA_NAME: u16 = 1;
    pub(crate) const NDTA_PARMS: u16 = 6;
    pub(crate) const NDTPA_IFINDEX: u16 = 1;
    pub(crate) const NDTPA_PROXY_DELAY: u16 = 13;
    pub(crate) const NDA_DST: u16 = 1;
    pub(crate) const NDA_LLADDR: u16 = 2;
    pub(crate) const NDA_VNI: u16 = 7;
    pub(crate) const NDA_IFINDEX: u16 = 8;
    pub(crate) const NDA_MASTER: u16 = 9;
    pub(crate) const NDA_PROTOCOL: u16 = 12;
    pub(crate) const NUD_REACHABLE: u16 = 0x02;
    pub(crate) const NUD_NOARP: u16 = 0x40;
    pub(crate) const NUD_PERMANENT: u16 = 0x80;
    pub(crate) const NTF_SELF: u8 = 0x02;
    pub(crate) const NTF_MASTER: u8 = 0x04;
    pub(crate) const NTF_PROXY: u8 = 0x08;
    pub(crate) const NTF_EXT_LEARNED: u8 = 0x10;
    pub(crate) const NTF_STICKY: u8 = 0x40;
    pub(crate) const IFA_ADDRESS: u16 = 1;
    pub(crate) const IFA_LOCAL: u16 = 2;
    pub(crate) const IFA_FLAGS: u16 = 8;
    pub(crate) const IFA_PROTO: u16 = 11;
    /// In [`RTA_VIA`]: what follows is a MAC address.
    pub(crate) const AF_PACKET: u16 = libc::AF_PACKET as u16;
    pub(crate) const RTA_DST: u16 = 1;
    pub(crate) const RTA_OIF: u16 = 4;
    pub(crate) const RTA_GATEWAY: u16 = 5;
    pub(crate) const RTA_PRIORITY: u16 = 6;
    pub(crate) const RTA_TABLE: u16 = 15;
    pub(crate) const RTA_VIA: u16 = 18;
    pub(crate) const RTA_ENCAP_TYPE: u16 = 21;
    pub(crate) const RTA_ENCAP: u16 = 22;
    pub(crate) const RTA_TTL_PROPAGATE: u16 = 26;
    pub(crate) const RTA_NH_ID: u16 = 30;
    pub(crate) const ENCAP_MPLS: u16 = 1;
    pub(crate) const MPLS_IPTUNNEL_DST: u16 = 1;
    pub(crate) const MPLS_IPTUNNEL_TTL: u16 = 2;
    pub(crate) const NHA_ID: u16 = 1;
    pub(crate) const NHA_GROUP: u16 = 2;
    pub(crate) const NHA_GROUP_TYPE: u16 = 3;
    pub(crate) const NHA_OIF: u16 = 5;
    pub(crate) const NHA_GATEWAY: u16 = 6;
    pub(crate) const NHA_ENCAP_TYPE: u16 = 7;
    pub(crate) const NHA_ENCAP: u16 = 8;
    pub(crate) const NHA_RES_GROUP: u16 = 12;
    pub(crate) const NHA_RES_GROUP_BUCKETS: u16 = 1;
    pub(crate) const NHA_RES_GROUP_IDLE_TIMER: u16 = 2;
    pub(crate) const NEXTHOP_GRP_TYPE_RES: u16 = 1;
    pub(crate) const FR_ACT_TO_TBL: u8 = 1;
    pub(crate) const FRA_IIFNAME: u16 = 3;
    pub(crate) const FRA_PRIORITY: u16 = 6;
    pub(crate) const FRA_FWMARK: u16 = 10;
    pub(crate) const FRA_TABLE: u16 = 15;
    pub(crate) const FRA_PROTOCOL: u16 = 21;
    pub(crate) const RTNH_F_ONLINK: u32 = 4;
    pub(crate) const RTM_F_CLONED: u32 = 0x200;
    pub(crate) const TCA_KIND: u16 = 1;
    pub(crate) const TCA_OPTIONS: u16 = 2;
    pub(crate) const TCA_ACT_KIND: u16 = 1;
    pub(crate) const TCA_ACT_OPTIONS: u16 = 2;
    pub(crate) const TCA_MIRRED_PARMS: u16 = 2;
    pub(crate) const TCA_EGRESS_REDIR: u32 = 1;
    pub(crate) const TC_ACT_SHOT: u32 = 2;
    pub(crate) const TC_ACT_STOLEN: u32 = 4;
    pub(crate) const TC_ACT_UNSPEC: u32 = u32::MAX;
    pub(crate) const TCA_POLICE_TBF: u16 = 1;
    pub(crate) const TCA_POLICE_RESULT: u16 = 5;
    pub(crate) const TCA_POLICE_PKTRATE64: u16 = 10;
    pub(crate) const TCA_POLICE_PKTBURST64: u16 = 11;
    pub(crate) const TCA_SKBEDIT_PARMS: u16 = 2;
    pub(crate) const TCA_SKBEDIT_MARK: u16 = 5;
    pub(crate) const TCA_BPF_ACT: u16 = 1;
    pub(crate) const TCA_BPF_OPS_LEN: u16 = 4;
    pub(crate) const TCA_BPF_OPS: u16 = 5;
    pub(crate) const TCA_BPF_FLAGS: u16 = 8;
    pub(crate) const AF_UNSPEC: u8 = 0;
    pub(crate) const AF_INET: u8 = 2;
    pub(crate) const AF_BRIDGE: u8 = 7;
    pub(crate) const AF_INET6: u8 = 10;
    pub(crate) const AF_MPLS: u8 = 28;
}

/// Length of `struct nlmsghdr`.
pub(crate) const HEADER_LENGTH: usize = 16;
const NESTED: u16 = 0x8000;

const fn aligned(length: usize) -> usize {
    (length + 3) & !3
}

/// One message being written at the end of a buffer; its length is set when it is dropped.
pub(crate) struct Message<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Message<'a> {
    /// Begins a message: its type, its flags, its fixed part.
    pub(crate) fn begin(buffer: &'a mut Vec<u8>, kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let start = buffer.len();
        buffer.extend_from_slice(&[0; 4]);
        buffer.extend_from_slice(&kind.to_ne_bytes());
        buffer.extend_from_slice(&flags.to_ne_bytes());
        buffer.extend_from_slice(&[0; 8]);
        let mut message = Self { buffer, start };
        message.fixed(fixed);
        message
    }

    /// Appends a fixed part, padded.
    pub(crate) fn fixed(&mut self, bytes: &[u8]) -> &mut Self {
        self.buffer.extend_from_slice(bytes);
        let padding = aligned(bytes.len()) - bytes.len();
        self.buffer.extend_from_slice(&[0; 3][..padding]);
        self
    }

    /// Appends an attribute.
    pub(crate) fn bytes(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        let length = u16::try_from(4 + payload.len()).unwrap_or(u16::MAX);
        self.buffer.extend_from_slice(&length.to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.fixed(payload)
    }

    /// Appends an attribute of one byte.
    pub(crate) fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// Appends an attribute of two bytes.
    pub(crate) fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends an attribute of four bytes.
    pub(crate) fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends a text with its closing zero.
    pub(crate) fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        let mut payload = Vec::with_capacity(text.len() + 1);
        payload.extend_from_slice(text.as_bytes());
        payload.push(0);
        self.bytes(kind, &payload)
    }

    /// Appends a MAC address.
    pub(crate) fn mac(&mut self, kind: u16, mac: Mac) -> &mut Self {
        self.bytes(kind, &mac.octets())
    }

    /// Appends an IP address.
    pub(crate) fn ip(&mut self, kind: u16, address: IpAddr) -> &mut Self {
        match address {
            IpAddr::V4(address) => self.bytes(kind, &address.octets()),
            IpAddr::V6(address) => self.bytes(kind, &address.octets()),
        }
    }

    /// Appends attributes within an attribute.
    pub(crate) fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 2]);
        self.buffer.extend_from_slice(&(kind | NESTED).to_ne_bytes());
        inner(self);
        let length = u16::try_from(self.buffer.len() - start).unwrap_or(u16::MAX);
        self.buffer[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        let length = u32::try_from(self.buffer.len() - self.start).unwrap_or(u32::MAX);
        self.buffer[self.start..self.start + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// A message read from a buffer.
#[derive(Clone, Copy)]
pub(crate) struct Received<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

/// The messages in what one `recv` gave.
pub(crate) fn messages(mut buffer: &[u8]) -> impl Iterator<Item = Received<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(buffer, 0)?).ok()?;
        if length < HEADER_LENGTH || length > buffer.len() {
            return None;
        }
        let received = Received {
            kind: u16_at(buffer, 4)?,
            flags: u16_at(buffer, 6)?,
            sequence: u32_at(buffer, 8)?,
            body: &buffer[HEADER_LENGTH..length],
        };
        buffer = &buffer[aligned(length).min(buffer.len())..];
        Some(received)
    })
}

/// The attributes in a body, after its fixed part of `skip` bytes.
pub(crate) fn attributes(body: &[u8], skip: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(aligned(skip)..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        if length < 4 || length > rest.len() {
            return None;
        }
        let kind = u16_at(rest, 2)? & 0x3fff;
        let payload = &rest[4..length];
        rest = &rest[aligned(length).min(rest.len())..];
        Some((kind, payload))
    })
}

/// Sets the sequence numbers of all messages in a batch: `first`, and on. Answers how many there are.
pub(crate) fn number_messages(buffer: &mut [u8], first: u32) -> u32 {
    let (mut at, mut count) = (0, 0);
    while let Some(length) = u32_at(buffer, at) {
        let sequence = first.wrapping_add(count);
        buffer[at + 8..at + 12].copy_from_slice(&sequence.to_ne_bytes());
        at += aligned(usize::try_from(length).unwrap_or(HEADER_LENGTH)).max(HEADER_LENGTH);
        count += 1;
    }
    count
}

/// Asks for an acknowledgement of the last message of a batch only: a refusal is answered whether or not one is asked for.
pub(crate) fn acknowledge_last(buffer: &mut [u8]) {
    let acknowledge = libc::NLM_F_ACK as u16;
    let mut at = 0;
    while let (Some(length), Some(flags)) = (u32_at(buffer, at), u16_at(buffer, at + 6)) {
        let next = at + aligned(usize::try_from(length).unwrap_or(HEADER_LENGTH)).max(HEADER_LENGTH);
        let flags = if next < buffer.len() { flags & !acknowledge } else { flags | acknowledge };
        buffer[at + 6..at + 8].copy_from_slice(&flags.to_ne_bytes());
        at = next;
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

pub(crate) fn mac_of(bytes: &[u8]) -> Option<Mac> {
    Some(Mac::new(bytes.try_into().ok()?))
}

pub(crate) fn ip_of(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// A text attribute, without its closing zero.
pub(crate) fn text_of(bytes: &[u8]) -> &str {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut buffer = Vec::new();
        Message::begin(&mut buffer, 16, 5, &[1, 2, 3]).text(3, "eth0").nest(18, |m| {
            m.u8(1, 9).u32(2, 77);
        });
        Message::begin(&mut buffer, 17, 6, &[]);
        assert_eq!(number_messages(&mut buffer, 40), 2);
        let read: Vec<Received<'_>> = messages(&buffer).collect();
        assert_eq!(
            read.iter().map(|m| (m.kind, m.flags, m.sequence)).collect::<Vec<_>>(),
            [(16, 5, 40), (17, 6, 41)]
        );
        let outer: Vec<(u16, &[u8])> = attributes(read[0].body, 3).collect();
        assert_eq!(text_of(outer[0].1), "eth0");
        let inner: Vec<(u16, &[u8])> = attributes(outer[1].1, 0).collect();
        assert_eq!(inner, [(1, &[9][..]), (2, &77_u32.to_ne_bytes()[..])]);
    }

    #[test]
    fn a_cut_message_ends_the_reading_and_never_panics() {
        let mut buffer = Vec::new();
        Message::begin(&mut buffer, 16, 5, &[0; 16]).text(3, "eth0").ip(1, IpAddr::from([10, 0, 0, 1]));
        for end in 0..buffer.len() {
            assert_eq!(messages(&buffer[..end]).count(), 0);
            for body in 0..end {
                assert!(attributes(&buffer[body..end], 0).count() <= buffer.len());
            }
        }
    }
}
