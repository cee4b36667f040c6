//! Steering: what a workload sends to one MAC address goes out of another link instead of into the bridge that its own is in.
//!
//! ```text
//! workload ── link ──[ program: match ]── mirred ──> to        bridge sees neither
//!               ^────────────── mirred ──[ all ]──── to
//! ```
//!
//! A filter at each of the two links' ingress, before any bridge: a classic BPF program that says which frames, and an action
//! that sends them out elsewhere. They have a priority and a handle of our own, since an adopted link may have its owner's
//! filters beside them. Everything of a steering can be read back from the kernel: the program holds its addresses.

use std::net::IpAddr;

use weft_net::Mac;

use crate::guard::{CLSACT, INGRESS, QDISC_HANDLE, fixed};
use crate::parse::Fact;
use crate::wire::number::*;
use crate::wire::{Message, Received, attributes, text_of, u32_at};

/// Our place in the order of a link's filters, by which they are known as ours: the number that our routes bear.
const PRIORITY: u32 = crate::wire::PROTOCOL as u32;
const PRIORITY_AND_PROTOCOL: u32 = (PRIORITY << 16) | (libc::ETH_P_ALL as u16).to_be() as u32;
const HANDLE: u32 = 1;
/// The length of an instruction, in bytes.
const INSTRUCTION: usize = 8;

const REQUEST: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE) as u16;
const CHANGE: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;

/// A filter of ours, as the kernel tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawFilter {
    program: Vec<u8>,
    /// The link out of which what matches goes; 0: it goes where it would.
    pub(crate) to: u32,
    /// The mark that what matches gets.
    mark: Option<u32>,
}

impl RawFilter {
    /// The MAC address and the IP addresses for which it takes frames; `None` if it is no such filter.
    pub(crate) fn takes(&self) -> Option<(Mac, Vec<IpAddr>)> {
        let (mac, addresses) = constants(&self.program)?;
        (program(mac, &addresses) == self.program).then_some((mac, addresses))
    }

    /// Whether it takes some of what comes out of another link; or nobody knows what it does.
    pub(crate) fn steers(&self) -> bool {
        self.program != everything() || (self.to == 0 && self.mark.is_none())
    }

    /// Whether it takes all that comes.
    pub(crate) fn takes_all(&self) -> bool {
        self.program == everything() && self.mark.is_none()
    }

    /// Whether it marks all that comes so, and nothing else.
    pub(crate) fn marks_all(&self, mark: u32) -> bool {
        *self == Self { program: everything(), to: 0, mark: Some(mark) }
    }
}

/// Puts the filter on a link that takes frames for a MAC address, and questions for IP addresses, out of another link.
pub(crate) fn put(batch: &mut Vec<u8>, link: u32, (mac, addresses): (Mac, &[IpAddr]), to: u32) {
    filter(batch, link, &program(mac, addresses), |action| send_out(action, to));
}

/// Puts the filter on a link that takes all that comes out of another one.
pub(crate) fn put_back(batch: &mut Vec<u8>, link: u32, to: u32) {
    filter(batch, link, &everything(), |action| send_out(action, to));
}

/// Puts the filter on a link that marks all that comes.
pub(crate) fn put_mark(batch: &mut Vec<u8>, link: u32, mark: u32) {
    filter(batch, link, &everything(), |action| {
        action.text(TCA_ACT_KIND, "skbedit").nest(TCA_ACT_OPTIONS, |edit| {
            // `struct tc_skbedit`: index, capabilities, what becomes of the frame (it goes on), two counts.
            edit.bytes(TCA_SKBEDIT_PARMS, &[0; 20]).u32(TCA_SKBEDIT_MARK, mark);
        });
    });
}

fn send_out(action: &mut Message<'_>, to: u32) {
    // `struct tc_mirred`: index, capabilities, what becomes of the frame here, two counts, what is done, with which link.
    let words = [0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, to];
    let mirred: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    action.text(TCA_ACT_KIND, "mirred").nest(TCA_ACT_OPTIONS, |mirror| {
        mirror.bytes(TCA_MIRRED_PARMS, &mirred);
    });
}

/// Readies a link for filters. It is refused where the owner of a link has done so, in another way that is as good.
pub(crate) fn ready(batch: &mut Vec<u8>, link: u32) {
    Message::begin(batch, libc::RTM_NEWQDISC, REQUEST, &fixed(link, QDISC_HANDLE, CLSACT, 0))
        .text(TCA_KIND, "clsact");
}

/// Takes our filter off a link.
pub(crate) fn take_off(batch: &mut Vec<u8>, link: u32) {
    let fixed = fixed(link, HANDLE, INGRESS, PRIORITY_AND_PROTOCOL);
    Message::begin(batch, libc::RTM_DELTFILTER, CHANGE, &fixed).text(TCA_KIND, "bpf");
}

fn filter(batch: &mut Vec<u8>, link: u32, program: &[u8], act: impl FnOnce(&mut Message<'_>)) {
    let fixed = fixed(link, HANDLE, INGRESS, PRIORITY_AND_PROTOCOL);
    let length = u16::try_from(program.len() / INSTRUCTION).unwrap_or(u16::MAX);
    Message::begin(batch, libc::RTM_NEWTFILTER, REQUEST, &fixed).text(TCA_KIND, "bpf").nest(
        TCA_OPTIONS,
        |options| {
            options.nest(TCA_BPF_ACT, |actions| {
                actions.nest(1, act);
            });
            options.u16(TCA_BPF_OPS_LEN, length).bytes(TCA_BPF_OPS, program);
        },
    );
}

/// What a message about a filter or a queueing discipline says about what is steered.
pub(crate) fn read(message: &Received<'_>) -> Option<Fact> {
    let body = message.body;
    let (link, handle, parent, info) =
        (u32_at(body, 4)?, u32_at(body, 8)?, u32_at(body, 12)?, u32_at(body, 16)?);
    let none = || Fact::Steered { link, filter: RawFilter::default(), there: false };
    if parent != INGRESS || info >> 16 != PRIORITY {
        return None;
    }
    if message.kind == libc::RTM_DELTFILTER {
        return Some(none());
    }
    // Each filter is told twice: as a whole (handle 0), and by what is in it.
    if handle == 0 {
        return None;
    }
    let within =
        |bytes, wanted: u16| attributes(bytes, 0).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let find = |wanted: u16| attributes(body, 20).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let options = find(TCA_KIND).filter(|kind| text_of(kind) == "bpf").and_then(|_| find(TCA_OPTIONS))?;
    let action = within(options, TCA_BPF_ACT).and_then(|actions| within(actions, 1));
    let kind = action.and_then(|action| within(action, TCA_ACT_KIND)).map(text_of);
    let of_action = |wanted: u16| within(within(action?, TCA_ACT_OPTIONS)?, wanted);
    let mut filter = RawFilter { program: within(options, TCA_BPF_OPS)?.to_vec(), ..RawFilter::default() };
    match kind {
        Some("mirred") => filter.to = of_action(TCA_MIRRED_PARMS).and_then(|words| u32_at(words, 24))?,
        Some("skbedit") => filter.mark = of_action(TCA_SKBEDIT_MARK).and_then(|mark| u32_at(mark, 0)),
        _ => {}
    }
    Some(Fact::Steered { link, filter, there: true })
}

// Instructions of classic BPF, on the frame from its Ethernet header on.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// `SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT`.
const HAS_VLAN_TAG: u32 = 0xffff_f000 + 48;
const MATCH: u32 = u32::MAX;
const NO_MATCH: u32 = 0;

const ETHER_TYPE: u32 = 12;
const ARP: u32 = 0x0806;
const IPV6: u32 = 0x86dd;
const ARP_OPERATION: u32 = 20;
const ARP_REQUEST: u32 = 1;
const ARP_TARGET: u32 = 38;
const IPV6_NEXT_HEADER: u32 = 20;
const ICMPV6: u32 = 58;
const ICMPV6_TYPE: u32 = 54;
const NEIGHBOUR_SOLICITATION: u32 = 135;
const SOLICITED: u32 = 62;

#[derive(Default)]
struct Program(Vec<u8>);

impl Program {
    /// `struct sock_filter`.
    fn add(&mut self, code: u16, if_so: u8, if_not: u8, value: u32) {
        self.0.extend_from_slice(&code.to_ne_bytes());
        self.0.extend_from_slice(&[if_so, if_not]);
        self.0.extend_from_slice(&value.to_ne_bytes());
    }

    fn load(&mut self, code: u16, at: u32) {
        self.add(code, 0, 0, at);
    }

    /// Goes on if what was loaded is this; otherwise past so many instructions.
    fn expect(&mut self, value: u32, else_skip: u8) {
        self.add(JUMP_EQUAL, 0, else_skip, value);
    }

    fn end(&mut self, outcome: u32) {
        self.add(RETURN, 0, 0, outcome);
    }

    fn expect_or_end(&mut self, value: u32) {
        self.add(JUMP_EQUAL, 1, 0, value);
        self.end(NO_MATCH);
    }
}

/// A frame without a VLAN tag, to this MAC address or with a question for one of these IP addresses.
fn program(mac: Mac, addresses: &[IpAddr]) -> Vec<u8> {
    let [a, b, c, d, e, f] = mac.octets();
    let mut program = Program::default();
    program.load(LOAD_BYTE, HAS_VLAN_TAG);
    program.expect_or_end(0);
    program.load(LOAD_WORD, 0);
    program.expect(u32::from_be_bytes([a, b, c, d]), 3);
    program.load(LOAD_HALF, 4);
    program.expect(u32::from_be_bytes([0, 0, e, f]), 1);
    program.end(MATCH);
    let ipv4 = questions_ipv4(addresses);
    let length = u32::try_from(ipv4.len() / INSTRUCTION).unwrap_or(0);
    program.load(LOAD_HALF, ETHER_TYPE);
    program.expect(ARP, 1);
    program.add(JUMP, 0, 0, 3);
    program.expect(IPV6, 1);
    program.add(JUMP, 0, 0, 1 + length);
    program.end(NO_MATCH);
    program.0.extend(ipv4);
    program.0.extend(questions_ipv6(addresses));
    program.0
}

fn questions_ipv4(addresses: &[IpAddr]) -> Vec<u8> {
    let mut program = Program::default();
    program.load(LOAD_HALF, ARP_OPERATION);
    program.expect_or_end(ARP_REQUEST);
    program.load(LOAD_WORD, ARP_TARGET);
    for address in addresses {
        if let IpAddr::V4(address) = address {
            program.expect(u32::from(*address), 1);
            program.end(MATCH);
        }
    }
    program.end(NO_MATCH);
    program.0
}

fn questions_ipv6(addresses: &[IpAddr]) -> Vec<u8> {
    let mut program = Program::default();
    program.load(LOAD_BYTE, IPV6_NEXT_HEADER);
    program.expect_or_end(ICMPV6);
    program.load(LOAD_BYTE, ICMPV6_TYPE);
    program.expect_or_end(NEIGHBOUR_SOLICITATION);
    for address in addresses {
        let IpAddr::V6(address) = address else { continue };
        for (at, word) in (0..4).zip(address.octets().chunks_exact(4)) {
            program.load(LOAD_WORD, SOLICITED + 4 * u32::from(at));
            // Past what is left of the four comparisons.
            program.expect(u32::from_be_bytes([word[0], word[1], word[2], word[3]]), 7 - 2 * at);
        }
        program.end(MATCH);
    }
    program.end(NO_MATCH);
    program.0
}

fn everything() -> Vec<u8> {
    let mut program = Program::default();
    program.end(MATCH);
    program.0
}

/// The addresses that a program has, if it is one of ours.
fn constants(program: &[u8]) -> Option<(Mac, Vec<IpAddr>)> {
    let instructions = program.chunks_exact(INSTRUCTION);
    let instructions: Vec<(u16, u32)> = instructions
        .map(|bytes| Some((u16::from_ne_bytes([bytes[0], bytes[1]]), u32_at(bytes, 4)?)))
        .collect::<Option<_>>()?;
    let [a, b, c, d] = instructions.get(4)?.1.to_be_bytes();
    let [_, _, e, f] = instructions.get(6)?.1.to_be_bytes();
    let (mut addresses, mut loaded, mut words) = (Vec::new(), 0, Vec::new());
    for (code, value) in instructions.get(8..)? {
        match *code {
            LOAD_WORD | LOAD_HALF | LOAD_BYTE => loaded = *value,
            JUMP_EQUAL if loaded == ARP_TARGET => addresses.push(IpAddr::from(value.to_be_bytes())),
            JUMP_EQUAL if loaded >= SOLICITED => {
                words.extend(value.to_be_bytes());
                if let Ok(octets) = <[u8; 16]>::try_from(&words[..]) {
                    addresses.push(IpAddr::from(octets));
                    words.clear();
                }
            }
            _ => {}
        }
    }
    Some((Mac::new([a, b, c, d, e, f]), addresses))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_for_whom_it_was_made() {
        let mac = "02:00:00:00:00:fe".parse().unwrap();
        for addresses in
            [vec![], vec!["10.0.0.1", "10.0.0.2"], vec!["10.0.0.1", "2001:db8::1", "2001:db8::2"]]
        {
            let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
            let filter = RawFilter { program: program(mac, &addresses), to: 7, mark: None };
            assert_eq!(filter.takes(), Some((mac, addresses)));
            assert!(!filter.takes_all());
        }
        let all = RawFilter { program: everything(), to: 7, mark: None };
        assert!(all.takes_all() && all.takes().is_none());
    }
}
