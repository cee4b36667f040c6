//! Connections, and attempts at them, end when they are to, on real sockets.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use weft_bgp::io::{Driver, Handle};
use weft_bgp::speaker::PeerConfig;

use super::rude::Rude;
use super::{PATIENCE, Place, peer, speaker};

/// `TCP_SYN_SENT` of `net/tcp_states.h`, and `TCP_LISTEN`.
const SYN_SENT: &str = "02";
const LISTEN: &str = "0A";

/// A socket as `/proc/net/tcp` shows it.
struct Socket {
    local: String,
    remote: String,
    state: String,
    /// Whether a process has it.
    is_held: bool,
}

fn sockets() -> Vec<Socket> {
    let table = std::fs::read_to_string("/proc/self/net/tcp").expect("the kernel says so");
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, state, _, _, _, _, _, inode, ..] = fields[..] else { panic!("{line}") };
        let [local, remote, state] = [local, remote, state].map(ToOwned::to_owned);
        Socket { local, remote, state, is_held: inode != "0" }
    };
    table.lines().skip(1).map(socket).collect()
}

/// An address as `/proc/net/tcp` has it.
fn shown(address: SocketAddr) -> String {
    let IpAddr::V4(host) = address.ip() else { panic!("{address} is of IPv4") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(host.octets()), address.port())
}

/// Waits until there is a socket like that, or none.
async fn until(is_there: bool, is_it: impl Fn(&Socket) -> bool) {
    let begin = Instant::now();
    while is_there != sockets().iter().any(&is_it) {
        assert!(
            begin.elapsed() < PATIENCE,
            "there is {}one after {PATIENCE:?}",
            if is_there { "n" } else { "" }
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A speaker with one neighbour, and where it listens.
fn start(place: Place, neighbor: PeerConfig) -> (Handle, SocketAddr) {
    let mut tried = speaker(1);
    tried.set_peer(neighbor, Instant::now()).expect("a good configuration");
    let (driver, tried) = Driver::new(tried, &[SocketAddr::new(place.address(1), 0)]).expect("an address");
    let at = driver.listens_on().expect("an address")[0];
    tokio::spawn(driver.run());
    (tried, at)
}

/// A place where nobody answers: the queue of a listener that nobody accepts from, and what fills it.
fn deaf(address: IpAddr) -> (SocketAddr, socket2::Socket, Vec<std::net::TcpStream>) {
    let any_port = SocketAddr::new(address, 0);
    let socket = socket2::Socket::new(socket2::Domain::for_address(any_port), socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    socket.bind(&any_port.into()).expect("a free port");
    socket.listen(0).expect("it listens");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
    let connect = || std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300)).ok();
    let filling = std::iter::from_fn(connect).collect();
    (address, socket, filling)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_does_not_answer_is_called_no_more_when_it_is_not_wanted() {
    let place = Place(17);
    let (to, _socket, _filling) = deaf(place.address(3));
    let silent =
        PeerConfig { is_passive: false, port: to.port(), connect_retry_ms: 60_000, ..peer(place, 3) };
    let (tried, _) = start(place, silent);
    let is_call = |socket: &Socket| socket.remote == shown(to) && socket.state == SYN_SENT;
    until(true, is_call).await;
    tried.with(move |speaker, now| speaker.remove_peer(to.ip(), now)).await.expect("it runs");
    until(false, is_call).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_does_not_close_is_closed_although_nothing_else_happens() {
    let place = Place(18);
    let (tried, to) = start(place, peer(place, 3));
    let mut rude = Rude::open(place.address(3), to).await;
    tried.with(move |speaker, now| speaker.remove_peer(place.address(3), now)).await.expect("it runs");
    // It reads that nothing more comes, and says nothing.
    rude.until_closed().await;
    until(false, |socket| socket.local == shown(to) && socket.state != LISTEN && socket.is_held).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_there_is_nothing_to_say_to_reads_the_end_at_once() {
    let place = Place(19);
    let (_tried, to) = start(place, peer(place, 3));
    let mut first = Rude::connect(place.address(3), to).await;
    // Its OPEN has come: then nothing is left to be said when a second connection takes the place of the first.
    first.until_opened().await;
    let _second = Rude::connect(place.address(3), to).await;
    let closed = tokio::time::timeout(Duration::from_secs(1), first.until_closed()).await;
    closed.expect("it does not wait for the time that a neighbour may take to read");
}
