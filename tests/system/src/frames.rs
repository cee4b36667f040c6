//! Frames that nobody's IP stack would send, sent from a node; and what comes in at a node, frame by frame.

use std::io::Write;
use std::net::Ipv6Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::RcvBufForce;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvfrom, send, setsockopt,
    socket,
};

use crate::Bench;

/// Everybody on a link.
pub const BROADCAST: &str = "ff:ff:ff:ff:ff:ff";
/// The type of frames with IPv4.
pub const IPV4: u16 = 0x0800;
/// What the kernel says of a frame that a node has sent itself: `PACKET_OUTGOING`.
const OUTGOING: u8 = 4;
/// So much may come in at a node while nobody looks.
const BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// The type of frames with ARP.
pub const ARP: u16 = 0x0806;
/// The type of frames with IPv6.
pub const IPV6: u16 = 0x86dd;

/// A frame: to and from these MAC addresses, of this type.
#[must_use]
pub fn frame(to: &str, from: &str, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [mac(to), mac(from)].concat();
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The bytes of a MAC address.
///
/// # Panics
/// When that is none.
#[must_use]
pub fn mac(text: &str) -> Vec<u8> {
    text.split(':').map(|byte| u8::from_str_radix(byte, 16).expect("a MAC address")).collect()
}

/// The checksum of an IPv4 header, or of a message of ICMP (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let word = |two: &[u8]| u32::from(two[0]) << 8 | u32::from(two.get(1).copied().unwrap_or(0));
    let sum: u32 = bytes.chunks(2).map(word).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

/// A packet of IPv4 with this protocol (RFC 791).
///
/// # Panics
/// When it is too long.
#[must_use]
pub fn ipv4(protocol: u8, from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).expect("a short packet");
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&[0, 1, 0, 0, 64, protocol, 0, 0]);
    packet.extend_from_slice(&from);
    packet.extend_from_slice(&to);
    let sum = checksum(&packet).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    packet.extend_from_slice(payload);
    packet
}

/// A UDP datagram in IPv4 (RFC 768; no checksum).
///
/// # Panics
/// When it is too long.
#[must_use]
pub fn udp(from: [u8; 4], to: [u8; 4], port: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("a short datagram");
    let header = [40_000, port, length, 0].map(u16::to_be_bytes).concat();
    ipv4(17, from, to, &[&header, payload].concat())
}

/// With what a connection of TCP begins, in IPv4 (RFC 9293 §3.1): SYN, to this port.
#[must_use]
pub fn syn(from: [u8; 4], to: [u8; 4], port: u16) -> Vec<u8> {
    let ports = [40_000, port].map(u16::to_be_bytes).concat();
    let mut segment = [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0]].concat();
    let pseudo = [&from[..], &to, &[0, 6, 0, 20], &segment].concat();
    let sum = checksum(&pseudo).to_be_bytes();
    segment[16..18].copy_from_slice(&sum);
    ipv4(6, from, to, &segment)
}

/// A message of ICMP in IPv4 (RFC 792): its type and code, what follows its checksum.
#[must_use]
pub fn icmp(from: [u8; 4], to: [u8; 4], (kind, code): (u8, u8), rest: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0], rest].concat();
    let sum = checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    ipv4(1, from, to, &message)
}

/// A message of ICMPv6 with hop limit 255 (RFC 4443, RFC 4861).
///
/// # Panics
/// When it is too long.
#[must_use]
pub fn icmpv6(from: Ipv6Addr, to: Ipv6Addr, (kind, code): (u8, u8), rest: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0], rest].concat();
    let length = u16::try_from(message.len()).expect("a short message");
    let addresses = [from.octets(), to.octets()].concat();
    let pseudo = [&addresses[..], &[0, 0], &length.to_be_bytes(), &[0, 0, 0, 58], &message].concat();
    let sum = checksum(&pseudo).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    [&[0x60, 0, 0, 0][..], &length.to_be_bytes(), &[58, 255], &addresses, &message].concat()
}

/// ARP (RFC 826): a question (1) or an answer (2), from a MAC and an IP address, to others.
#[must_use]
pub fn arp(operation: u8, from: (&str, [u8; 4]), to: (&str, [u8; 4])) -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, operation];
    [&fixed[..], &mac(from.0), &from.1, &mac(to.0), &to.1].concat()
}

/// VXLAN (RFC 7348 §5) around a frame.
#[must_use]
pub fn vxlan(vni: u32, inner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![8, 0, 0, 0];
    bytes.extend_from_slice(&(vni << 8).to_be_bytes());
    bytes.extend_from_slice(inner);
    bytes
}

/// Starts a Python program in a node.
///
/// # Panics
/// When there is no Python.
pub fn python(bench: &Bench, node: &str, program: &str, arguments: &[&str]) -> Child {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &bench.namespace(node), "python3", "-c", program]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 is there")
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Gives a program its input and waits until it has ended well.
///
/// # Panics
/// When it ends otherwise.
pub fn feed(mut child: Child, text: &str) {
    let mut input = child.stdin.take().expect("an input");
    input.write_all(text.as_bytes()).expect("a program reads");
    drop(input);
    assert!(child.wait().expect("a program ends").success());
}

/// How often [`inject`] sends each frame.
pub const TIMES: u64 = 5;

/// Sends frames from a node's `eth0`, [`TIMES`] times each.
///
/// # Panics
/// When it cannot.
pub fn inject(bench: &Bench, node: &str, frames: &[Vec<u8>]) {
    let send_all = || -> nix::Result<()> {
        let links = getifaddrs()?.filter(|link| link.interface_name == "eth0");
        let link = links.filter_map(|link| link.address?.as_link_addr().copied()).next();
        let sender = socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), None)?;
        bind(sender.as_raw_fd(), &link.ok_or(Errno::ENODEV)?)?;
        for _ in 0..TIMES {
            for frame in frames {
                // Whoever is to take it has more than he keeps already.
                while let Err(error) = send(sender.as_raw_fd(), frame, MsgFlags::empty()) {
                    if error != Errno::ENOBUFS {
                        return Err(error);
                    }
                    std::thread::yield_now();
                }
            }
        }
        Ok(())
    };
    bench.within(node, send_all).unwrap_or_else(|error| panic!("{node}: {error}"));
}

/// All that comes in at a node's `eth0`.
pub struct Capture {
    socket: OwnedFd,
    link: usize,
}

/// A frame that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// From this MAC address.
    pub from: String,
    /// Of this type.
    pub kind: u16,
    /// What follows.
    pub payload: Vec<u8>,
}

impl Capture {
    /// Begins at a node.
    ///
    /// # Panics
    /// When it has no `eth0`.
    #[must_use]
    pub fn start(bench: &Bench, node: &str) -> Self {
        let link = bench.links(node)["eth0"];
        let open =
            || socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_NONBLOCK, SockProtocol::EthAll);
        let socket = bench.within(node, open).unwrap_or_else(|error| panic!("{node}: {error}"));
        // The node's own frames are in it, too, until they are taken out.
        setsockopt(&socket, RcvBufForce, &BUFFER_BYTES).expect("root has what buffers it likes");
        Self { socket, link: usize::try_from(link).expect("an index") }
    }

    /// What has come since it was last asked.
    ///
    /// # Panics
    /// When the node cannot be listened to.
    pub fn take(&mut self) -> Vec<Captured> {
        let mut frames = Vec::new();
        let mut bytes = [0; 65_536];
        loop {
            let (length, by) = match recvfrom::<LinkAddr>(self.socket.as_raw_fd(), &mut bytes) {
                Ok((length, by)) => (length, by.expect("a frame has a link")),
                Err(Errno::EAGAIN) => return frames,
                Err(error) => panic!("a capture: {error}"),
            };
            if length >= 14 && by.ifindex() == self.link && by.pkttype() != OUTGOING {
                let from: Vec<String> = bytes[6..12].iter().map(|byte| format!("{byte:02x}")).collect();
                let kind = u16::from_be_bytes([bytes[12], bytes[13]]);
                frames.push(Captured { from: from.join(":"), kind, payload: bytes[14..length].to_vec() });
            }
        }
    }
}

impl Captured {
    /// Whether these bytes are in it.
    #[must_use]
    pub fn has(&self, bytes: &[u8]) -> bool {
        self.payload.windows(bytes.len()).any(|window| window == bytes)
    }

    /// The protocol in it, and the TTL or hop limit, if it is IPv4 or IPv6 without options.
    #[must_use]
    pub fn protocol(&self) -> Option<(u8, u8)> {
        match self.kind {
            IPV4 => Some((*self.payload.get(9)?, *self.payload.get(8)?)),
            IPV6 => Some((*self.payload.get(6)?, *self.payload.get(7)?)),
            _ => None,
        }
    }

    /// The source address and the TTL, if it is IPv4.
    #[must_use]
    pub fn ipv4(&self) -> Option<([u8; 4], u8)> {
        let header = self.payload.get(..20).filter(|_| self.kind == IPV4)?;
        Some((header[12..16].try_into().ok()?, header[8]))
    }
}
