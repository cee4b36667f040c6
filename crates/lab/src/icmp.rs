//! Echo requests and replies (RFC 792, RFC 4443 §4) by raw sockets of a namespace: no process, and also what arrives
//! is seen, so that whoever was reached is known even if it never answers.

use std::io;
use std::net::{IpAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, SockaddrIn6, recv, sendto,
    setsockopt, socket, sockopt,
};

const MAGIC: &[u8; 8] = b"weft-lab";
const HEADER: usize = 8;
const PAYLOAD: usize = 8 + 8 + 4 + 8;
const RECEIVE_BUFFER: usize = 4 << 20;
const RECEIVE_BYTES: usize = 2048;

/// Whose echo it is: it is in the request, and comes back in the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Of which run.
    pub(crate) run: u64,
    /// Which of its probes.
    pub(crate) probe: u32,
    /// Which of the probe's requests.
    pub(crate) number: u64,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    Request,
    Reply,
}

#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

impl Family {
    const fn kind(self, echo: Echo) -> u8 {
        match (self, echo) {
            (Self::V4, Echo::Request) => 8,
            (Self::V4, Echo::Reply) => 0,
            (Self::V6, Echo::Request) => 128,
            (Self::V6, Echo::Reply) => 129,
        }
    }
}

/// A number that no other run on this machine has.
pub(crate) fn new_run() -> u64 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    u64::from(std::process::id()) << 32 | u64::from(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The raw sockets of one namespace; they work from any thread.
pub(crate) struct Sockets {
    v4: OwnedFd,
    v6: OwnedFd,
}

impl Sockets {
    /// Sockets of the calling thread's namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let open = |family, protocol| -> io::Result<OwnedFd> {
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let fd = socket(family, SockType::Raw, flags, protocol)?;
            setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
            Ok(fd)
        };
        Ok(Self {
            v4: open(AddressFamily::Inet, SockProtocol::Icmp)?,
            v6: open(AddressFamily::Inet6, SockProtocol::IcmpV6)?,
        })
    }

    /// Sends a request. An address that cannot be sent to is as one that does not answer: answers whether it was sent.
    pub(crate) fn request(&self, address: IpAddr, token: Token) -> bool {
        match address {
            IpAddr::V4(address) => {
                let to = SockaddrIn::from(SocketAddrV4::new(address, 0));
                let message = encode(Family::V4, Echo::Request, token);
                sendto(self.v4.as_raw_fd(), &message, &to, MsgFlags::empty()).is_ok()
            }
            IpAddr::V6(address) => {
                let to = SockaddrIn6::from(SocketAddrV6::new(address, 0, 0, 0));
                let message = encode(Family::V6, Echo::Request, token);
                sendto(self.v6.as_raw_fd(), &message, &to, MsgFlags::empty()).is_ok()
            }
        }
    }

    /// Gives every echo of this run that has arrived to `each`.
    pub(crate) fn drain(&self, run: u64, mut each: impl FnMut(Echo, Token)) -> io::Result<()> {
        let mut buffer = [0; RECEIVE_BYTES];
        for (socket, family) in [(&self.v4, Family::V4), (&self.v6, Family::V6)] {
            loop {
                let length = match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                    Ok(length) => length,
                    Err(Errno::EAGAIN) => break,
                    Err(Errno::EINTR | Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::ECONNREFUSED) => {
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                };
                if let Some((echo, token)) =
                    decode(family, &buffer[..length]).filter(|(_, token)| token.run == run)
                {
                    each(echo, token);
                }
            }
        }
        Ok(())
    }
}

/// Waits until something has arrived at one of these namespaces, or the time is over.
pub(crate) fn await_any<'a>(sockets: impl Iterator<Item = &'a Sockets>, time: Duration) -> io::Result<()> {
    let fd = |fd: BorrowedFd<'a>| PollFd::new(fd, PollFlags::POLLIN);
    let mut fds: Vec<PollFd<'_>> = sockets.flat_map(|one| [fd(one.v4.as_fd()), fd(one.v6.as_fd())]).collect();
    let timeout = PollTimeout::try_from(time + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn encode(family: Family, echo: Echo, token: Token) -> Vec<u8> {
    let mut message = vec![family.kind(echo), 0, 0, 0];
    // Identifier and sequence number: for people who look at the wire.
    message.extend_from_slice(&token.probe.to_be_bytes()[2..]);
    message.extend_from_slice(&token.number.to_be_bytes()[6..]);
    message.extend_from_slice(MAGIC);
    message.extend_from_slice(&token.run.to_be_bytes());
    message.extend_from_slice(&token.probe.to_be_bytes());
    message.extend_from_slice(&token.number.to_be_bytes());
    if matches!(family, Family::V4) {
        // The kernel sums ICMPv6 (RFC 3542 §3.1), not ICMP.
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

fn decode(family: Family, packet: &[u8]) -> Option<(Echo, Token)> {
    let message = match family {
        // A raw IPv4 socket gives the IP header, too.
        Family::V4 => packet.get(usize::from(packet.first()? & 0xf) * 4..)?,
        Family::V6 => packet,
    };
    let kind = *message.first()?;
    let echo = [Echo::Request, Echo::Reply].into_iter().find(|echo| family.kind(*echo) == kind)?;
    let payload: &[u8; PAYLOAD] = message.get(HEADER..HEADER + PAYLOAD)?.try_into().ok()?;
    let (magic, rest) = payload.split_at(MAGIC.len());
    let token = Token {
        run: u64::from_be_bytes(rest[..8].try_into().ok()?),
        probe: u32::from_be_bytes(rest[8..12].try_into().ok()?),
        number: u64::from_be_bytes(rest[12..].try_into().ok()?),
    };
    (magic == MAGIC).then_some((echo, token))
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    let sum: u32 = bytes.chunks(2).map(word).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Token = Token { run: 1 << 40, probe: 70_000, number: 9 };

    #[test]
    fn what_is_sent_is_understood_when_it_arrives() {
        let mut packet = vec![0x45; 20];
        packet.extend(encode(Family::V4, Echo::Request, TOKEN));
        assert_eq!(decode(Family::V4, &packet), Some((Echo::Request, TOKEN)));
        let message = encode(Family::V6, Echo::Reply, TOKEN);
        assert_eq!(decode(Family::V6, &message), Some((Echo::Reply, TOKEN)));
        for end in 0..message.len() {
            assert_eq!(decode(Family::V6, &message[..end]), None);
        }
    }

    #[test]
    fn a_message_with_its_checksum_sums_to_nothing() {
        assert_eq!(checksum(&encode(Family::V4, Echo::Request, TOKEN)), 0);
    }

    #[test]
    fn somebody_elses_ping_is_not_ours() {
        let mut message = encode(Family::V6, Echo::Reply, TOKEN);
        message[HEADER] ^= 1;
        assert_eq!(decode(Family::V6, &message), None);
    }
}
