//! Blocking netlink sockets: one that asks and changes, one that hears what changed.
//!
//! A batch is one `send` of many messages. The kernel carries the whole batch out within that `send`, whatever becomes of us
//! meanwhile. It answers each message that it refuses, by sequence number, and the last one in any case.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg, setsockopt, sockopt};

use crate::wire::number::*;
use crate::wire::{self, HEADER_LENGTH, Received, u32_at};

/// How many bytes one `send` carries at most. The kernel takes what fits its send buffer (212,992 bytes by default).
pub(crate) const BATCH_BYTES_MAX: usize = 64 * 1024;
/// How many messages one `send` carries at most: their answers must fit [`ANSWER_BUFFER`].
pub(crate) const BATCH_MESSAGES_MAX: usize = 1000;
const ANSWER_BUFFER: usize = 4 << 20;
/// Room for what happens between two looks; memory is taken only as it fills.
const EVENT_BUFFER: usize = 16 << 20;
const RECEIVE_BYTES: usize = 64 * 1024;

const EXT_ACK_TEXT: u16 = 1;
const FLAG_CAPPED: u16 = 0x100;
const FLAG_ACK_TLVS: u16 = 0x200;
const FLAG_DUMP_INTERRUPTED: u16 = 0x10;

/// Why the kernel refused a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// `errno`; 0 if there was no answer.
    pub(crate) code: i32,
    /// The kernel's own words, where it has any.
    text: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.code == 0 {
            return f.write_str(&self.text);
        }
        let error = nix::errno::Errno::from_raw(self.code);
        write!(f, "{} ({error:?})", error.desc())?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

/// Room for what one system call receives: many small messages, each with a place of its own.
struct Inbox {
    bytes: Vec<u8>,
    /// How long each of the messages received last is.
    lengths: Vec<usize>,
}

const INBOX_PLACES: usize = 32;
/// The longest message that is not a dump's tells of a link, and stays well below this.
const INBOX_PLACE_BYTES: usize = 16 * 1024;

impl Inbox {
    fn new() -> Self {
        Self { bytes: vec![0; INBOX_PLACES * INBOX_PLACE_BYTES], lengths: Vec::with_capacity(INBOX_PLACES) }
    }

    /// Receives what is there already; answers whether there may be more.
    fn receive(&mut self, socket: &Socket) -> io::Result<bool> {
        self.lengths.clear();
        let mut places: Vec<[IoSliceMut<'_>; 1]> =
            self.bytes.chunks_mut(INBOX_PLACE_BYTES).map(|place| [IoSliceMut::new(place)]).collect();
        let (mut headers, flags) =
            (MultiHeaders::<()>::preallocate(INBOX_PLACES, None), MsgFlags::MSG_DONTWAIT);
        match recvmmsg(socket.as_raw_fd(), &mut headers, places.iter_mut(), flags, None) {
            Ok(received) => {
                for message in received {
                    if message.flags.contains(MsgFlags::MSG_TRUNC) {
                        return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
                    }
                    self.lengths.push(message.bytes);
                }
            }
            Err(nix::errno::Errno::EAGAIN) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        Ok(self.lengths.len() == INBOX_PLACES)
    }

    fn messages(&self) -> impl Iterator<Item = Received<'_>> {
        let places = self.bytes.chunks(INBOX_PLACE_BYTES).zip(&self.lengths);
        places.flat_map(|(place, length)| wire::messages(&place[..*length]))
    }
}

/// The socket that asks and changes.
pub(crate) struct RouteSocket {
    socket: Socket,
    next_sequence: u32,
    inbox: Inbox,
    /// Room for one message of a dump.
    buffer: Vec<u8>,
}

impl RouteSocket {
    /// A socket of the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = open(ANSWER_BUFFER)?;
        socket.set_netlink_get_strict_chk(true)?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        let buffer = Vec::with_capacity(RECEIVE_BYTES);
        Ok(Self { socket, next_sequence: 1, inbox: Inbox::new(), buffer })
    }

    /// Sends a batch; answers how each of its messages went, in their order.
    pub(crate) fn change(&mut self, batch: &mut [u8]) -> io::Result<Vec<Result<(), Refusal>>> {
        let first = self.next_sequence;
        let count = wire::number_messages(batch, first);
        self.next_sequence = first.wrapping_add(count);
        wire::acknowledge_last(batch);
        self.socket.send(batch, 0)?;
        let lost = Refusal { code: 0, text: "the kernel's answer was lost".to_owned() };
        let mut answers: Vec<Option<Result<(), Refusal>>> = vec![None; count as usize];
        let mut complete = true;
        // The answers are there when `send` returns; what is not there will never come.
        loop {
            let more = match self.inbox.receive(&self.socket) {
                Ok(more) => more,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    complete = false;
                    continue;
                }
                Err(error) => return Err(error),
            };
            for message in self.inbox.messages() {
                let at = message.sequence.wrapping_sub(first) as usize;
                if i32::from(message.kind) == libc::NLMSG_ERROR
                    && let Some(answer) = answers.get_mut(at)
                {
                    *answer = Some(outcome(&message));
                }
            }
            if !more {
                break;
            }
        }
        // Without the last answer, or after one was dropped for want of room, silence does not mean success.
        let silence =
            if complete && answers.last().is_some_and(Option::is_some) { Ok(()) } else { Err(lost) };
        Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(|| silence.clone())).collect())
    }

    /// Asks for one thing, or for a dump; gives each message of the answer to `each`.
    ///
    /// A dump that the kernel says was disturbed is an error (`Interrupted`): what it gave is not one moment's truth.
    pub(crate) fn ask(
        &mut self,
        mut request: Vec<u8>,
        mut each: impl FnMut(&Received<'_>),
    ) -> io::Result<()> {
        let sequence = self.next_sequence;
        wire::number_messages(&mut request, sequence);
        self.next_sequence = sequence.wrapping_add(1);
        self.socket.send(&request, 0)?;
        let (mut interrupted, mut buffer) = (false, std::mem::take(&mut self.buffer));
        let done = loop {
            match receive_blocking(&self.socket, &mut buffer) {
                Ok(()) => {}
                Err(error) => break Err(error),
            }
            if let Some(done) = read_dump(&buffer, sequence, &mut interrupted, &mut each) {
                break done;
            }
        };
        self.buffer = buffer;
        done
    }
}

/// Reads one buffer of a dump; answers how it ended, if it did. One that was `interrupted` at any place has failed.
fn read_dump(
    buffer: &[u8],
    sequence: u32,
    interrupted: &mut bool,
    each: &mut impl FnMut(&Received<'_>),
) -> Option<io::Result<()>> {
    for message in wire::messages(buffer).filter(|message| message.sequence == sequence) {
        *interrupted |= message.flags & FLAG_DUMP_INTERRUPTED != 0;
        match i32::from(message.kind) {
            libc::NLMSG_DONE | libc::NLMSG_ERROR => {
                let code = u32_at(message.body, 0).unwrap_or(0).cast_signed();
                return Some(match code {
                    ..0 => Err(io::Error::from_raw_os_error(-code)),
                    _ if *interrupted => Err(io::ErrorKind::Interrupted.into()),
                    _ => Ok(()),
                });
            }
            libc::NLMSG_OVERRUN => return Some(Err(io::Error::from_raw_os_error(libc::ENOBUFS))),
            _ => each(&message),
        }
    }
    None
}

/// The socket that hears what changed.
pub(crate) struct EventSocket {
    socket: Socket,
    inbox: Inbox,
}

impl EventSocket {
    /// A socket of the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = open(EVENT_BUFFER)?;
        for group in [
            libc::RTNLGRP_LINK,
            libc::RTNLGRP_NEIGH,
            libc::RTNLGRP_TC,
            libc::RTNLGRP_IPV4_IFADDR,
            libc::RTNLGRP_IPV6_IFADDR,
            libc::RTNLGRP_IPV4_ROUTE,
            libc::RTNLGRP_IPV6_ROUTE,
            RTNLGRP_NEXTHOP,
            RTNLGRP_IPV4_NETCONF,
            RTNLGRP_IPV6_NETCONF,
            RTNLGRP_IPV4_RULE,
            RTNLGRP_IPV6_RULE,
            RTNLGRP_MPLS_ROUTE,
        ] {
            socket.add_membership(group)?;
        }
        Ok(Self { socket, inbox: Inbox::new() })
    }

    /// Gives all that was heard so far to `each`. `ENOBUFS`: more happened than could be kept.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(&Received<'_>)) -> io::Result<()> {
        loop {
            let more = self.inbox.receive(&self.socket)?;
            self.inbox.messages().for_each(|message| each(&message));
            if !more {
                return Ok(());
            }
        }
    }
}

impl AsFd for EventSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn open(receive_buffer: usize) -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    setsockopt(&socket, sockopt::RcvBufForce, &receive_buffer)?;
    Ok(socket)
}

fn receive_blocking(socket: &Socket, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.clear();
    socket.recv(buffer, 0).map(|_| ())
}

/// What an acknowledgement says.
fn outcome(message: &Received<'_>) -> Result<(), Refusal> {
    let code = -u32_at(message.body, 0).unwrap_or(0).cast_signed();
    if code == 0 {
        return Ok(());
    }
    // After the code comes the header of the request, then (unless capped) the rest of it, then what else there is to say.
    let request = u32_at(message.body, 4).map_or(HEADER_LENGTH, |length| length as usize);
    let skip = 4 + if message.flags & FLAG_CAPPED != 0 { HEADER_LENGTH } else { request };
    let text = if message.flags & FLAG_ACK_TLVS != 0 {
        wire::attributes(message.body, skip).find(|(kind, _)| *kind == EXT_ACK_TEXT)
    } else {
        None
    };
    Err(Refusal { code, text: text.map(|(_, text)| wire::text_of(text).to_owned()).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Message;

    const SEQUENCE: u32 = 7;

    /// What one `recv` of a dump gives: messages of these kinds and flags.
    fn received(messages: &[(u16, u16)]) -> Vec<u8> {
        let mut buffer = Vec::new();
        for (kind, flags) in messages {
            drop(Message::begin(&mut buffer, *kind, *flags, &[0; 4]));
        }
        let mut at = 0;
        while let Some(length) = u32_at(&buffer, at) {
            buffer[at + 8..at + 12].copy_from_slice(&SEQUENCE.to_ne_bytes());
            at += length as usize;
        }
        buffer
    }

    /// How a dump ends that comes in these buffers, and how many messages it gave.
    fn dump(buffers: &[&[(u16, u16)]]) -> (io::Result<()>, usize) {
        let (mut interrupted, mut count) = (false, 0);
        for buffer in buffers {
            let end = read_dump(&received(buffer), SEQUENCE, &mut interrupted, &mut |_| count += 1);
            if let Some(end) = end {
                return (end, count);
            }
        }
        panic!("it has no end");
    }

    #[test]
    fn a_dump_that_was_disturbed_at_any_place_is_an_error_and_not_a_smaller_truth() {
        const LINK: u16 = libc::RTM_NEWLINK;
        const DONE: u16 = libc::NLMSG_DONE as u16;
        let (end, count) = dump(&[&[(LINK, 2), (LINK, 2)], &[(LINK, 2), (DONE, 2)]]);
        assert!(end.is_ok() && count == 3);
        let disturbed = 2 | FLAG_DUMP_INTERRUPTED;
        for buffers in [
            [&[(LINK, disturbed), (LINK, 2)][..], &[(DONE, 2)]],
            [&[(LINK, 2)], &[(LINK, disturbed), (DONE, 2)]],
            [&[(LINK, 2)], &[(DONE, disturbed)]],
        ] {
            let end = dump(&buffers).0;
            assert_eq!(end.unwrap_err().kind(), io::ErrorKind::Interrupted, "{buffers:?}");
        }
    }
}
