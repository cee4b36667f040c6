//! The TCP connections of a namespace to or from port 179, octet by octet, as the namespace's own links see them.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimeout};
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};

const BGP_PORT: u16 = 179;
const TCP: u8 = 6;
/// The flag of a segment that begins a direction (RFC 9293 §3.1).
const SYN: u8 = 2;
/// What the kernel says of a packet that the namespace sends: `PACKET_OUTGOING`.
const OUTGOING: u8 = 4;
/// So much may be said while nobody looks.
const BUFFER_BYTES: usize = 64 * 1024 * 1024;
/// How long it takes at most to notice that the capture ends.
const LOOK_INTERVAL_MS: i64 = 20;
/// IPv4's header, TCP's, and what follows are looked at in one buffer: no packet is longer.
const PACKET_BYTES: usize = 65_536;

/// One direction of a connection: what was said, by its distance from the beginning.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// The sequence number of the first octet.
    first: u32,
    parts: BTreeMap<u32, Vec<u8>>,
}

/// A connection as its own end sees it.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    /// The end in the namespace.
    pub(crate) own: SocketAddr,
    /// The other.
    pub(crate) other: SocketAddr,
    /// What the namespace said.
    pub(crate) sent: Option<Stream>,
    /// What was said to it.
    pub(crate) received: Option<Stream>,
}

/// A segment of TCP.
struct Segment<'a> {
    from: SocketAddr,
    to: SocketAddr,
    sequence: u32,
    is_first: bool,
    payload: &'a [u8],
}

/// A capture that goes on until its value is asked for what it has seen.
#[derive(Debug)]
pub(crate) struct Capture {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Connection>>>,
}

impl Capture {
    /// Begins in a namespace.
    ///
    /// # Panics
    /// When there is no such namespace.
    pub(crate) fn start(namespace: &str) -> Self {
        let socket = open(namespace).unwrap_or_else(|error| panic!("a capture in {namespace}: {error}"));
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let thread = thread::spawn(move || listen(&socket, &is_over));
        Self { stop, thread: Some(thread) }
    }

    /// Ends; answers the connections in the order in which they began.
    ///
    /// # Panics
    /// When it has ended already, or the kernel refuses to tell.
    pub(crate) fn end(&mut self) -> Vec<Connection> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("a capture ends once");
        thread.join().expect("a capture does not panic")
    }
}

fn open(namespace: &str) -> nix::Result<OwnedFd> {
    let file = File::open(format!("/run/netns/{namespace}")).map_err(|_| Errno::ENOENT)?;
    let open = move || {
        setns(file, CloneFlags::CLONE_NEWNET)?;
        // Of all links, without their own headers.
        socket(AddressFamily::Packet, SockType::Datagram, SockFlag::empty(), SockProtocol::EthAll)
    };
    let socket = thread::spawn(open).join().expect("opening a socket does not panic")?;
    setsockopt(&socket, RcvBufForce, &BUFFER_BYTES)?;
    setsockopt(&socket, ReceiveTimeout, &TimeVal::milliseconds(LOOK_INTERVAL_MS))?;
    Ok(socket)
}

/// Takes what comes until it is over and nothing is left.
fn listen(socket: &OwnedFd, is_over: &AtomicBool) -> Vec<Connection> {
    let mut connections = Vec::new();
    let mut bytes = vec![0; PACKET_BYTES];
    loop {
        let was_over = is_over.load(Ordering::Relaxed);
        match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut bytes) {
            Ok((length, by)) => {
                let is_sent = by.is_some_and(|by| by.pkttype() == OUTGOING);
                if let Some(segment) = segment(&bytes[..length]) {
                    note(&mut connections, &segment, is_sent);
                }
            }
            Err(Errno::EAGAIN) if was_over => return connections,
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN) => {}
            Err(error) => panic!("a capture: {error}"),
        }
    }
}

/// The segment in a packet, if it is one of BGP.
fn segment(packet: &[u8]) -> Option<Segment<'_>> {
    let (from, to, tcp) = match packet.first()? >> 4 {
        4 => {
            let header = usize::from(packet[0] & 0xf) * 4;
            let length = usize::from(u16::from_be_bytes(array(packet, 2)?));
            let addresses = [array::<4>(packet, 12)?, array(packet, 16)?];
            let [from, to] = addresses.map(|address| IpAddr::from(Ipv4Addr::from(address)));
            (*packet.get(9)? == TCP).then_some((from, to, packet.get(header..length)?))?
        }
        6 => {
            let length = usize::from(u16::from_be_bytes(array(packet, 4)?));
            let addresses = [array::<16>(packet, 8)?, array(packet, 24)?];
            let [from, to] = addresses.map(|address| IpAddr::from(Ipv6Addr::from(address)));
            (*packet.get(6)? == TCP).then_some((from, to, packet.get(40..40 + length)?))?
        }
        _ => return None,
    };
    let [source, destination] = [array(tcp, 0)?, array(tcp, 2)?].map(u16::from_be_bytes);
    let payload = tcp.get(usize::from(tcp.get(12)? >> 4) * 4..)?;
    (source == BGP_PORT || destination == BGP_PORT).then_some(Segment {
        from: SocketAddr::new(from, source),
        to: SocketAddr::new(to, destination),
        sequence: u32::from_be_bytes(array(tcp, 4)?),
        is_first: tcp.get(13)? & SYN != 0,
        payload,
    })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn note(connections: &mut Vec<Connection>, segment: &Segment<'_>, is_sent: bool) {
    let (own, other) = if is_sent { (segment.from, segment.to) } else { (segment.to, segment.from) };
    let same = |connection: &&mut Connection| (connection.own, connection.other) == (own, other);
    let mut known = connections.iter_mut().rev().find(same);
    if segment.is_first {
        let first = segment.sequence.wrapping_add(1);
        let is_new = |connection: &&mut Connection| {
            let stream = if is_sent { &connection.sent } else { &connection.received };
            stream.as_ref().is_some_and(|stream| stream.first != first)
        };
        if known.as_ref().is_none_or(is_new) {
            connections.push(Connection { own, other, sent: None, received: None });
            known = connections.last_mut();
        }
        let connection = known.expect("it was put there");
        let stream = if is_sent { &mut connection.sent } else { &mut connection.received };
        stream.get_or_insert_with(|| Stream { first, ..Stream::default() });
        return;
    }
    // Of what was there before the capture nothing can be made.
    let Some(connection) = known else { return };
    let stream = if is_sent { &mut connection.sent } else { &mut connection.received };
    if let Some(stream) = stream {
        stream.take(segment);
    }
}

impl Stream {
    fn take(&mut self, segment: &Segment<'_>) {
        let at = segment.sequence.wrapping_sub(self.first);
        let kept = self.parts.get(&at).map_or(0, Vec::len);
        if segment.payload.len() > kept {
            self.parts.insert(at, segment.payload.to_vec());
        }
    }

    /// All that was said, in order; an error says where something is missing.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        for (at, part) in &self.parts {
            let at = usize::try_from(*at).expect("a usize has 32 bits");
            let Some(known) = bytes.len().checked_sub(at) else {
                return Err(format!("octets {} to {at} were not captured", bytes.len()));
            };
            bytes.extend(part.iter().skip(known));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
impl From<&[u8]> for Stream {
    fn from(bytes: &[u8]) -> Self {
        Self { first: 1, parts: [(0, bytes.to_vec())].into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_that_come_twice_or_late_are_put_together_and_a_lost_one_is_missed() {
        let mut stream = Stream { first: u32::MAX - 1, ..Stream::default() };
        let at = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), BGP_PORT);
        let mut take = |sequence, payload| {
            stream.take(&Segment { from: at, to: at, sequence, is_first: false, payload });
            stream.bytes()
        };
        assert_eq!(take(u32::MAX - 1, b"abc").unwrap(), b"abc");
        take(4, b"ghi").unwrap_err();
        assert_eq!(take(0, b"cdefg").unwrap(), b"abcdefghi");
        assert_eq!(take(0, b"cd").unwrap(), b"abcdefghi");
    }
}
