//! The limit: from a network, a VRF takes so many questions for neighbours in a second, and no more.
//!
//! Who asks a gateway is remembered by it, with the address that he says he has, in the one table that the kernel has for all of the
//! host's network namespaces: a tenant with many addresses could fill it for everybody. Those of the intent are in it for good, and
//! need not be remembered. So at the VRF's end of a veth, before any protocol sees it, a filter picks out what the kernel learns
//! neighbours from, and an action counts it and drops what is too much.

use crate::guard::{HANDLE, INGRESS, PRIORITY_AND_PROTOCOL, fixed};
use crate::steer;
use crate::wire::number::*;
use crate::wire::{Message, attributes, text_of};

/// How many questions in a second.
const RATE: u64 = 100;
/// How many at once: the kernel wants the time that they take at that rate, in units of 64 ns.
const BURST: u64 = 200 * (1_000_000_000 / 64) / RATE;
/// The length of `struct tc_police`; its second word says what becomes of what is too much.
const POLICE: usize = 56;

const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const ETHER_TYPE: u32 = 12;
const NEXT_HEADER: u32 = 20;
const ICMPV6_TYPE: u32 = 54;

const REQUEST: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE) as u16;

/// ARP, and of IPv6: solicitations of neighbours (135) and routers (133), and whatever they may hide behind: hop-by-hop options (0),
/// a routing header (43), destination options (60). Each is `struct sock_filter`: what to do, how far to go on if it is so and if
/// not, with which value.
const PROGRAM: [(u16, u8, u8, u32); 13] = [
    (LOAD_HALF, 0, 0, ETHER_TYPE),
    (JUMP_EQUAL, 9, 0, 0x0806),
    (JUMP_EQUAL, 0, 9, 0x86dd),
    (LOAD_BYTE, 0, 0, NEXT_HEADER),
    (JUMP_EQUAL, 6, 0, 0),
    (JUMP_EQUAL, 5, 0, 43),
    (JUMP_EQUAL, 4, 0, 60),
    (JUMP_EQUAL, 0, 4, 58),
    (LOAD_BYTE, 0, 0, ICMPV6_TYPE),
    (JUMP_EQUAL, 1, 0, 135),
    (JUMP_EQUAL, 0, 1, 133),
    (RETURN, 0, 0, u32::MAX),
    (RETURN, 0, 0, 0),
];

fn program() -> Vec<u8> {
    let bytes = |(code, if_so, if_not, value): &(u16, u8, u8, u32)| {
        let ([a, b], [c, d, e, f]) = (code.to_ne_bytes(), value.to_ne_bytes());
        [a, b, *if_so, *if_not, c, d, e, f]
    };
    PROGRAM.iter().flat_map(bytes).collect()
}

/// Puts the limit on a link; a limit that is there is put there again.
pub(crate) fn put(batch: &mut Vec<u8>, link: u32) {
    steer::ready(batch, link);
    let mut police = [0; POLICE];
    police[4..8].copy_from_slice(&TC_ACT_SHOT.to_ne_bytes());
    let fixed = fixed(link, HANDLE, INGRESS, PRIORITY_AND_PROTOCOL);
    Message::begin(batch, libc::RTM_NEWTFILTER, REQUEST, &fixed).text(TCA_KIND, "bpf").nest(
        TCA_OPTIONS,
        |options| {
            options.nest(TCA_BPF_ACT, |actions| {
                actions.nest(1, |action| {
                    action.text(TCA_ACT_KIND, "police").nest(TCA_ACT_OPTIONS, |limit| {
                        limit.bytes(TCA_POLICE_TBF, &police);
                        // What is not too much goes on to the next filter.
                        limit.u32(TCA_POLICE_RESULT, TC_ACT_UNSPEC);
                        limit.bytes(TCA_POLICE_PKTRATE64, &RATE.to_ne_bytes());
                        limit.bytes(TCA_POLICE_PKTBURST64, &BURST.to_ne_bytes());
                    });
                });
            });
            options.u16(TCA_BPF_OPS_LEN, PROGRAM.len() as u16).bytes(TCA_BPF_OPS, &program());
        },
    );
}

/// Whether a filter with these options is the limit.
pub(crate) fn is_limit(options: &[u8]) -> bool {
    fn within(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
        attributes(bytes, 0).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
    }
    let action = within(options, TCA_BPF_ACT).and_then(|actions| within(actions, 1));
    let kind = action.and_then(|action| within(action, TCA_ACT_KIND)).map(text_of);
    let rate = action
        .and_then(|action| within(action, TCA_ACT_OPTIONS))
        .and_then(|limit| within(limit, TCA_POLICE_PKTRATE64));
    within(options, TCA_BPF_OPS) == Some(&program())
        && kind == Some("police")
        && rate == Some(&RATE.to_ne_bytes())
}
