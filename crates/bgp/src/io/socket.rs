//! Sockets as BGP wants them: signed (RFC 2385), or from near only (RFC 5082).

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use ipnet::IpNet;
use libc::{c_int, socklen_t};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::speaker::Transport;

/// How many connections may wait to be accepted.
const BACKLOG: i32 = 128;
/// The TTL of packets that have passed no router.
const TTL_MAX: u32 = 255;
/// `TCP_MD5SIG_EXT` and its flag for prefixes, of `linux/tcp.h`.
const TCP_MD5SIG_EXT: c_int = 32;
const TCP_MD5SIG_FLAG_PREFIX: u8 = 1;
/// `TCP_MD5SIG_MAXKEYLEN` of `linux/tcp.h`.
const KEY_MAX: usize = 80;

/// `struct tcp_md5sig` of `linux/tcp.h`.
#[repr(C)]
struct Md5Signature {
    address: socket2::SockAddrStorage,
    flags: u8,
    prefix_length: u8,
    key_length: u16,
    interface_index: c_int,
    key: [u8; KEY_MAX],
}

/// Listens on an address; of IPv6, not for IPv4 too.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Connects to a neighbour.
pub(super) async fn connect(
    local: Option<IpAddr>,
    remote: SocketAddr,
    transport: &Transport,
) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(remote), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    if let Some(local) = local {
        socket.bind(&SocketAddr::new(local, 0).into())?;
    }
    if let Some(key) = &transport.md5_key {
        set_md5_key(&socket, remote.ip().into(), key.reveal())?;
    }
    protect(&socket, remote.ip(), transport)?;
    TcpSocket::from_std_stream(socket.into()).connect(remote).await
}

/// Takes packets from near only, if that is wanted, and does not hold back what is written.
pub(super) fn protect(socket: &impl AsFd, remote: IpAddr, transport: &Transport) -> io::Result<()> {
    let socket_reference = socket2::SockRef::from(socket);
    socket_reference.set_tcp_nodelay(true)?;
    let Some(hops) = transport.ttl_security_hops else { return Ok(()) };
    let least: c_int = (TTL_MAX + 1 - u32::from(hops)).try_into().expect("255 and less are a number of C");
    match remote {
        IpAddr::V4(_) => {
            socket_reference.set_ttl_v4(TTL_MAX)?;
            set_option(socket, libc::IPPROTO_IP, libc::IP_MINTTL, &least)
        }
        IpAddr::V6(_) => {
            socket_reference.set_unicast_hops_v6(TTL_MAX)?;
            set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MINHOPCOUNT, &least)
        }
    }
}

/// Takes and sends only signed packets to and from these addresses; with an empty key no longer.
pub(super) fn set_md5_key(socket: &impl AsFd, remote: IpNet, key: &str) -> io::Result<()> {
    let address: SockAddr = SocketAddr::new(remote.network(), 0).into();
    let mut octets = [0; KEY_MAX];
    octets.get_mut(..key.len()).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(key.as_bytes());
    let signature = Md5Signature {
        address: address.as_storage(),
        flags: TCP_MD5SIG_FLAG_PREFIX,
        prefix_length: remote.prefix_len(),
        key_length: key.len().try_into().map_err(|_| io::ErrorKind::InvalidInput)?,
        interface_index: 0,
        key: octets,
    };
    set_option(socket, libc::IPPROTO_TCP, TCP_MD5SIG_EXT, &signature)
}

#[expect(
    unsafe_code,
    reason = "socket2 has no safe wrapper for TCP_MD5SIG_EXT, IP_MINTTL and IPV6_MINHOPCOUNT"
)]
fn set_option<T>(socket: &impl AsFd, level: c_int, name: c_int, value: &T) -> io::Result<()> {
    let length = socklen_t::try_from(size_of::<T>()).expect("an option is short");
    // SAFETY: the descriptor is open as long as `socket` is borrowed, and the kernel reads `length` octets of `value`.
    let result = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
