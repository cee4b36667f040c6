//! The guard: a tenant's packets never reach the host's own IP stack through a bridge.
//!
//! On a bridge: a filter at its ingress drops all that the bridge would hand up to the host, whatever its protocol, before
//! any protocol sees it. It is a two-word classic BPF program, so that one netlink message brings it; forwarding between
//! ports, and answers for known neighbours, happen earlier and are untouched. IPv6 stays enabled on the bridge, since
//! the kernel answers only for neighbours that it can keep there.
//!
//! On a port: frames to the reserved group addresses of IEEE 802.1Q table 8-1 go past the bridge to the port's own IP
//! stack, whatever IP address they carry. So IPv6 is off there, and IPv4 answers and accepts nothing. These are settings
//! and not a filter because an adopted port may have its owner's filters.

use std::fs;
use std::io;

use weft_net::IfName;

use crate::limit;
use crate::wire::number::*;
use crate::wire::{Message, Received, attributes, text_of, u32_at};

pub(crate) const CLSACT: u32 = 0xffff_fff1;
pub(crate) const INGRESS: u32 = 0xffff_fff2;
pub(crate) const QDISC_HANDLE: u32 = 0xffff_0000;
/// First in the order of filters, for all protocols (`ETH_P_ALL`, in network order).
pub(crate) const PRIORITY_AND_PROTOCOL: u32 = (1 << 16) | (libc::ETH_P_ALL as u16).to_be() as u32;
pub(crate) const HANDLE: u32 = 1;
/// One `struct sock_filter`: `return TC_ACT_SHOT`.
const PROGRAM: [u8; 8] = {
    let code = (libc::BPF_RET as u16).to_ne_bytes();
    let shot = 2_u32.to_ne_bytes();
    [code[0], code[1], 0, 0, shot[0], shot[1], shot[2], shot[3]]
};
const DIRECT_ACTION: u32 = 1;

const REQUEST: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE) as u16;

/// `struct tcmsg`.
pub(crate) fn fixed(link: u32, handle: u32, parent: u32, info: u32) -> [u8; 20] {
    let mut bytes = [0; 20];
    for (at, word) in [(4, link), (8, handle), (12, parent), (16, info)] {
        bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// Puts the guard on a bridge; a guard that is there is put there again.
pub(crate) fn put(batch: &mut Vec<u8>, bridge: u32) {
    Message::begin(batch, libc::RTM_NEWQDISC, REQUEST, &fixed(bridge, QDISC_HANDLE, CLSACT, 0))
        .text(TCA_KIND, "clsact");
    Message::begin(
        batch,
        libc::RTM_NEWTFILTER,
        REQUEST,
        &fixed(bridge, HANDLE, INGRESS, PRIORITY_AND_PROTOCOL),
    )
    .text(TCA_KIND, "bpf")
    .nest(TCA_OPTIONS, |options| {
        options.u16(TCA_BPF_OPS_LEN, 1).bytes(TCA_BPF_OPS, &PROGRAM).u32(TCA_BPF_FLAGS, DIRECT_ACTION);
    });
}

/// Asks for the filters at a link's ingress.
pub(crate) fn ask(link: u32) -> Vec<u8> {
    let mut request = Vec::new();
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    Message::begin(&mut request, libc::RTM_GETTFILTER, flags, &fixed(link, 0, INGRESS, 0));
    request
}

/// The link whose filters went with a queueing discipline: nothing tells of each.
pub(crate) fn filters_gone(body: &[u8]) -> Option<u32> {
    u32_at(body, 4).filter(|_| u32_at(body, 12) == Some(CLSACT))
}

/// What a message about a filter says about the guard of which bridge, or about the limit of which other link.
pub(crate) fn read(message: &Received<'_>) -> Option<(u32, bool)> {
    let body = message.body;
    let (link, handle, parent, info) =
        (u32_at(body, 4)?, u32_at(body, 8)?, u32_at(body, 12)?, u32_at(body, 16)?);
    let find = |wanted: u16| attributes(body, 20).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    if parent != INGRESS || info >> 16 != PRIORITY_AND_PROTOCOL >> 16 {
        return None;
    }
    if message.kind == libc::RTM_DELTFILTER {
        return Some((link, false));
    }
    // Each filter is told twice: as a whole (handle 0), and by what is in it.
    if handle == 0 {
        return None;
    }
    let is_ours = info == PRIORITY_AND_PROTOCOL
        && find(TCA_KIND).map(text_of) == Some("bpf")
        && find(TCA_OPTIONS).is_some_and(|options| {
            let has =
                |wanted: u16, value: &[u8]| attributes(options, 0).any(|found| found == (wanted, value));
            (has(TCA_BPF_OPS, &PROGRAM) && has(TCA_BPF_FLAGS, &DIRECT_ACTION.to_ne_bytes()))
                || limit::is_limit(options)
        });
    Some((link, is_ours))
}

/// `IPV4_DEVCONF_RP_FILTER`, `_ARP_IGNORE`, `_PROMOTE_SECONDARIES`, `_DROP_UNICAST_IN_L2_MULTICAST`.
const FORWARDING: u16 = 1;
/// `IPV4_DEVCONF_PROXY_ARP`.
pub(crate) const PROXY_ARP: u16 = 3;
const ACCEPT_REDIRECTS: u16 = 4;
const SEND_REDIRECTS: u16 = 6;
const RP_FILTER: u16 = 8;
const ARP_IGNORE: u16 = 19;
const PROMOTE_SECONDARIES: u16 = 20;
const ACCEPT_LOCAL: u16 = 23;
const DROP_UNICAST_IN_L2_MULTICAST: u16 = 30;

/// IPv4 on a bridge port: no answer to ARP, nothing accepted from a source that is not routed there (so, nothing).
pub(crate) const PORT_IPV4: [(u16, u32); 3] =
    [(RP_FILTER, 1), (ARP_IGNORE, 8), (DROP_UNICAST_IN_L2_MULTICAST, 1)];

/// IPv4 on a link of our own that may have addresses: the kernel's defaults, but an address outlives its primary.
pub(crate) const ROUTED_IPV4: [(u16, u32); 4] =
    [(RP_FILTER, 0), (ARP_IGNORE, 0), (DROP_UNICAST_IN_L2_MULTICAST, 0), (PROMOTE_SECONDARIES, 1)];

/// IPv4 on a link in a VRF: it forwards, and neither sends nor takes advice on better ways.
pub(crate) const VRF_IPV4: [(u16, u32); 4] =
    [(FORWARDING, 1), (ACCEPT_REDIRECTS, 0), (SEND_REDIRECTS, 0), (RP_FILTER, 0)];

/// IPv4 on a link by which other hosts' gateways speak: an address of our own may be a source there.
pub(crate) const INGRESS_IPV4: [(u16, u32); 1] = [(ACCEPT_LOCAL, 1)];

/// IPv4 on an adopted link that is let go.
pub(crate) const RELEASED_IPV4: [(u16, u32); 2] = [(ARP_IGNORE, 0), (DROP_UNICAST_IN_L2_MULTICAST, 0)];

/// Switches IPv6 on a link off or on, in the calling thread's network namespace.
pub(crate) fn set_ipv6(name: IfName, enabled: bool) -> io::Result<()> {
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    match fs::write(path, if enabled { "0" } else { "1" }) {
        // A kernel without IPv6 needs no guard against it.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !fs::exists("/proc/sys/net/ipv6")? => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound && enabled => Ok(()),
        outcome => outcome,
    }
}
