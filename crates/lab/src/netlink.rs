//! As much of rtnetlink as a lab needs: links, their marks, addresses; and which networks the machine has routes to.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use ipnet::{IpNet, Ipv4Net};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

const REQUEST: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
const CREATE: u16 = REQUEST | (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const REPLACE: u16 = REQUEST | (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;
const DUMP: u16 = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
const NESTED: u16 = 0x8000;
const HEADER: usize = 16;
const DUMPS_MAX: u32 = 10;
const FLAG_DUMP_INTERRUPTED: u16 = 0x10;

const RTM_NEWLINKPROP: u16 = 108;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_PROP_LIST: u16 = 52;
const IFLA_ALT_IFNAME: u16 = 53;
const EXT_SKIP_STATS: u32 = 8;
const INFO_KIND: u16 = 1;
const INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const BR_MCAST_SNOOPING: u16 = 23;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;

/// A link as the kernel has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkRow {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
    pub(crate) master: u32,
    /// `veth`, `bridge`, `vxlan`; empty for what has none.
    pub(crate) kind: String,
    pub(crate) marks: Vec<String>,
}

/// A socket of one network namespace, usable from everywhere.
pub(crate) struct Netlink {
    socket: Socket,
    sequence: u32,
}

/// A message being written.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(fixed);
        Self(bytes)
    }

    fn put(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        let length = u16::try_from(payload.len() + 4).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_ne_bytes());
        self.0.extend_from_slice(&kind.to_ne_bytes());
        self.0.extend_from_slice(payload);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.put(kind, &value.to_ne_bytes())
    }

    fn text(&mut self, kind: u16, text: &str) -> &mut Self {
        self.put(kind, &[text.as_bytes(), &[0]].concat())
    }

    fn ip(&mut self, kind: u16, address: IpAddr) -> &mut Self {
        match address {
            IpAddr::V4(address) => self.put(kind, &address.octets()),
            IpAddr::V6(address) => self.put(kind, &address.octets()),
        }
    }

    fn nest(&mut self, kind: u16, inner: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        inner(self);
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.0[start + 2..start + 4].copy_from_slice(&(kind | NESTED).to_ne_bytes());
        self
    }
}

/// `struct ifinfomsg`.
fn link_fixed(index: u32, flags: u32) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (at, word) in [(4, index), (8, flags), (12, flags)] {
        bytes[at..at + 4].copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

impl Netlink {
    /// A socket of the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_ext_ack(true)?;
        socket.set_cap_ack(true)?;
        Ok(Self { socket, sequence: 0 })
    }

    /// All links.
    pub(crate) fn links(&mut self) -> io::Result<Vec<LinkRow>> {
        let mut request = Message::new(libc::RTM_GETLINK, DUMP, &link_fixed(0, 0));
        request.u32(IFLA_EXT_MASK, EXT_SKIP_STATS);
        self.dump(&request, read_link)
    }

    /// The link of this name.
    pub(crate) fn link(&mut self, name: &str) -> io::Result<Option<LinkRow>> {
        Ok(self.links()?.into_iter().find(|link| link.name == name))
    }

    /// All addresses, each with the index of its link.
    pub(crate) fn addresses(&mut self) -> io::Result<Vec<(u32, IpNet)>> {
        self.dump(&Message::new(libc::RTM_GETADDR, DUMP, &[0; 8]), read_address)
    }

    /// The destinations of all IPv4 routes but the default ones.
    pub(crate) fn ipv4_destinations(&mut self) -> io::Result<Vec<Ipv4Net>> {
        let mut fixed = [0; 12];
        fixed[0] = libc::AF_INET as u8;
        self.dump(&Message::new(libc::RTM_GETROUTE, DUMP, &fixed), read_destination)
    }

    /// Makes a bridge that knows nothing of multicast groups, so that it forwards all of it.
    pub(crate) fn add_bridge(&mut self, name: &str) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &link_fixed(0, 0));
        message.text(libc::IFLA_IFNAME, name).nest(libc::IFLA_LINKINFO, |info| {
            info.text(INFO_KIND, "bridge").nest(INFO_DATA, |data| {
                data.put(BR_MCAST_SNOOPING, &[0]);
            });
        });
        self.change(message)
    }

    /// Makes a pair of virtual Ethernet devices, the other end in another namespace.
    pub(crate) fn add_veth(&mut self, name: &str, mtu: u32, other: (&str, BorrowedFd<'_>)) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &link_fixed(0, 0));
        message.text(libc::IFLA_IFNAME, name).u32(libc::IFLA_MTU, mtu).nest(libc::IFLA_LINKINFO, |info| {
            info.text(INFO_KIND, "veth").nest(INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    peer.0.extend_from_slice(&link_fixed(0, 0));
                    peer.text(libc::IFLA_IFNAME, other.0).u32(libc::IFLA_MTU, mtu);
                    peer.put(libc::IFLA_NET_NS_FD, &other.1.as_raw_fd().to_ne_bytes());
                });
            });
        });
        self.change(message)
    }

    /// Puts a mark on a link.
    pub(crate) fn mark(&mut self, index: u32, mark: &str) -> io::Result<()> {
        let flags = CREATE | libc::NLM_F_APPEND as u16;
        let mut message = Message::new(RTM_NEWLINKPROP, flags, &link_fixed(index, 0));
        message.nest(IFLA_PROP_LIST, |list| {
            list.text(IFLA_ALT_IFNAME, mark);
        });
        self.change(message)
    }

    /// Sets a link's MTU, in bytes.
    pub(crate) fn set_mtu(&mut self, index: u32, mtu: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_SETLINK, REQUEST, &link_fixed(index, 0));
        message.u32(libc::IFLA_MTU, mtu);
        self.change(message)
    }

    /// Puts a link into a bridge.
    pub(crate) fn set_master(&mut self, index: u32, bridge: u32) -> io::Result<()> {
        let mut message = Message::new(libc::RTM_SETLINK, REQUEST, &link_fixed(index, 0));
        message.u32(libc::IFLA_MASTER, bridge);
        self.change(message)
    }

    /// Sets a link up.
    pub(crate) fn set_up(&mut self, index: u32) -> io::Result<()> {
        let fixed = link_fixed(index, libc::IFF_UP.cast_unsigned());
        self.change(Message::new(libc::RTM_SETLINK, REQUEST, &fixed))
    }

    /// Removes a link; it is gone when this returns.
    pub(crate) fn delete(&mut self, index: u32) -> io::Result<()> {
        self.change(Message::new(libc::RTM_DELLINK, REQUEST, &link_fixed(index, 0)))
    }

    /// Gives a link an address, at once usable.
    pub(crate) fn add_address(&mut self, index: u32, network: IpNet) -> io::Result<()> {
        let (address, length) = (network.addr(), network.prefix_len());
        let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let flags = if address.is_ipv4() { 0 } else { libc::IFA_F_NODAD as u8 };
        let mut fixed = vec![family as u8, length, flags, 0];
        fixed.extend_from_slice(&index.to_ne_bytes());
        let mut message = Message::new(libc::RTM_NEWADDR, REPLACE, &fixed);
        message.ip(IFA_LOCAL, address).ip(IFA_ADDRESS, address);
        self.change(message)
    }

    fn change(&mut self, mut message: Message) -> io::Result<()> {
        self.send(&mut message.0)?;
        loop {
            for (kind, sequence, _, body) in messages(&self.receive()?) {
                if i32::from(kind) == libc::NLMSG_ERROR && sequence == self.sequence {
                    return outcome(body);
                }
            }
        }
    }

    /// Asks again if the kernel says that what it told is not one moment's truth.
    fn dump<T>(&mut self, request: &Message, read: impl Fn(&[u8]) -> Option<T>) -> io::Result<Vec<T>> {
        for _ in 0..DUMPS_MAX {
            if let Some(rows) = self.dump_once(request, &read)? {
                return Ok(rows);
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    fn dump_once<T>(
        &mut self,
        request: &Message,
        read: &impl Fn(&[u8]) -> Option<T>,
    ) -> io::Result<Option<Vec<T>>> {
        self.send(&mut request.0.clone())?;
        let (mut rows, mut whole) = (Vec::new(), true);
        loop {
            for (kind, sequence, flags, body) in messages(&self.receive()?) {
                if sequence != self.sequence {
                    continue;
                }
                whole &= flags & FLAG_DUMP_INTERRUPTED == 0;
                match i32::from(kind) {
                    libc::NLMSG_DONE => return outcome(body).map(|()| whole.then_some(rows)),
                    libc::NLMSG_ERROR => {
                        return Err(outcome(body).err().unwrap_or(io::ErrorKind::InvalidData.into()));
                    }
                    _ => rows.extend(read(body)),
                }
            }
        }
    }

    fn send(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        self.socket.send(bytes, 0).map(|_| ())
    }

    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = Vec::with_capacity(64 * 1024);
        self.socket.recv(&mut buffer, 0)?;
        Ok(buffer)
    }
}

/// Hears when links of a namespace change.
pub(crate) struct LinkEvents(Socket);

impl LinkEvents {
    /// Of the calling thread's network namespace.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.add_membership(libc::RTNLGRP_LINK)?;
        Ok(Self(socket))
    }

    /// Waits until something changes; answers whether it did before the deadline.
    pub(crate) fn wait(&self, deadline: Instant) -> io::Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        if !readable(self.0.as_fd(), left)? {
            return Ok(false);
        }
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            buffer.clear();
            match self.0.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                // More happened than was kept: then something did.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits until there is something to read.
pub(crate) fn readable(socket: BorrowedFd<'_>, time: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(socket, PollFlags::POLLIN)];
    // Rounded up: a wait of less than a millisecond is not none.
    let timeout = PollTimeout::try_from(time + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, timeout) {
        Ok(count) => Ok(count > 0),
        Err(nix::errno::Errno::EINTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn outcome(body: &[u8]) -> io::Result<()> {
    match -i32_at(body, 0).unwrap_or(0) {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

/// Type, sequence number, flags and body of each message in a buffer.
fn messages(mut buffer: &[u8]) -> impl Iterator<Item = (u16, u32, u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(buffer, 0)?).ok()?;
        let body = buffer.get(HEADER..length)?;
        let head = (u16_at(buffer, 4)?, u32_at(buffer, 8)?, u16_at(buffer, 6)?);
        buffer = &buffer[length.next_multiple_of(4).min(buffer.len())..];
        Some((head.0, head.1, head.2, body))
    })
}

fn attributes(body: &[u8], skip: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(skip..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(rest, 0)?);
        let kind = u16_at(rest, 2)? & 0x3fff;
        let payload = rest.get(4..length)?;
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        Some((kind, payload))
    })
}

fn read_link(body: &[u8]) -> Option<LinkRow> {
    let mut link = LinkRow {
        index: u32_at(body, 4)?,
        name: String::new(),
        mtu: 0,
        up: u32_at(body, 8)? & libc::IFF_UP.cast_unsigned() != 0,
        master: 0,
        kind: String::new(),
        marks: Vec::new(),
    };
    for (kind, value) in attributes(body, 16) {
        match kind {
            libc::IFLA_IFNAME => link.name = text(value),
            libc::IFLA_MTU => link.mtu = u32_at(value, 0)?,
            libc::IFLA_MASTER => link.master = u32_at(value, 0)?,
            libc::IFLA_LINKINFO => {
                link.kind = attributes(value, 0)
                    .find(|(kind, _)| *kind == INFO_KIND)
                    .map_or_else(String::new, |(_, v)| text(v));
            }
            IFLA_PROP_LIST => link.marks = attributes(value, 0).map(|(_, name)| text(name)).collect(),
            _ => {}
        }
    }
    Some(link)
}

fn read_address(body: &[u8]) -> Option<(u32, IpNet)> {
    let find =
        |wanted: u16| attributes(body, 8).find(|(kind, _)| *kind == wanted).and_then(|(_, value)| ip(value));
    let address = find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS))?;
    Some((u32_at(body, 4)?, IpNet::new(address, *body.get(1)?).ok()?))
}

fn read_destination(body: &[u8]) -> Option<Ipv4Net> {
    let destination =
        attributes(body, 12).find(|(kind, _)| *kind == RTA_DST).and_then(|(_, value)| ip(value))?;
    match destination {
        IpAddr::V4(address) => Ipv4Net::new(address, *body.get(1)?).ok(),
        IpAddr::V6(_) => None,
    }
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from).map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    u32_at(bytes, at).map(u32::cast_signed)
}

/// A namespace and a socket of it.
pub(crate) struct Place {
    /// The namespace.
    pub(crate) namespace: OwnedFd,
    /// A socket of it.
    pub(crate) netlink: Netlink,
}
