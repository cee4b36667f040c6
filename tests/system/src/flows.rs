//! Many flows from one node to one address, and which of several nodes each of them comes out at.
//!
//! A flow is a UDP source port. In a round each sends one datagram, which says of which round and flow it is.

use std::fs::File;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

use crate::{Bench, patience};

/// How many flows there are.
pub const FLOWS: usize = 1000;
/// The source port of the first.
const FIRST_PORT: u16 = 20_000;
/// Where the instances listen.
const PORT: u16 = 7000;
/// So many datagrams are sent before some are taken: a socket's buffer holds them.
const BURST: usize = 200;
/// What has not come by then does not come.
const PATIENCE: Duration = Duration::from_millis(100);

impl Bench {
    /// Runs `work` on a thread that is in the namespace of a node.
    ///
    /// # Panics
    /// When there is no such node, or `work` panics.
    pub fn within<T: Send>(&self, node: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = File::open(format!("/run/netns/{}", self.namespace(node)));
        let namespace = namespace.unwrap_or_else(|error| panic!("{node}: {error}"));
        let enter = move || {
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("a thread can enter a namespace");
            work()
        };
        std::thread::scope(|scope| scope.spawn(enter).join().expect("a thread in a namespace ends"))
    }
}

/// Nodes of which each may be the one that a flow comes out at.
pub struct Instances {
    nodes: Vec<String>,
    sockets: Vec<UdpSocket>,
    round: u32,
}

/// At which of the instances each flow came out in a round; `None`: at none.
pub type Spread = Vec<Option<usize>>;

impl Instances {
    /// These nodes, listening.
    ///
    /// # Panics
    /// When one cannot.
    #[must_use]
    pub fn listen(bench: &Bench, nodes: &[&str]) -> Self {
        let socket = |node: &&str| {
            let socket = bench.within(node, || UdpSocket::bind(("::", PORT)));
            let socket = socket.unwrap_or_else(|error| panic!("{node} cannot listen: {error}"));
            socket.set_nonblocking(true).expect("a socket can be made so");
            socket
        };
        let sockets = nodes.iter().map(socket).collect();
        Self { nodes: nodes.iter().map(|node| (*node).to_owned()).collect(), sockets, round: 0 }
    }

    /// One datagram of each flow, from a node to an address.
    ///
    /// # Panics
    /// When one comes twice.
    pub fn round(&mut self, bench: &Bench, from: &str, to: IpAddr) -> Spread {
        self.round += 1;
        let mut spread = vec![None; FLOWS];
        let flows: Vec<usize> = (0..FLOWS).collect();
        for burst in flows.chunks(BURST) {
            let round = self.round;
            bench.within(from, || burst.iter().for_each(|flow| send(round, *flow, to)));
            self.take(&mut spread);
        }
        let mut last = Instant::now();
        while spread.contains(&None) && last.elapsed() < patience(PATIENCE) {
            if self.take(&mut spread) > 0 {
                last = Instant::now();
            }
            std::thread::yield_now();
        }
        spread
    }

    /// Takes what has come; answers how much.
    fn take(&self, spread: &mut Spread) -> usize {
        let mut taken = 0;
        for (instance, socket) in self.sockets.iter().enumerate() {
            let mut bytes = [0; 8];
            loop {
                match socket.recv(&mut bytes) {
                    Ok(8) => {}
                    Ok(length) => panic!("a datagram of {length} bytes is nobody's here"),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{}: {error}", self.nodes[instance]),
                }
                let [a, b, c, d, flow @ ..] = bytes;
                if u32::from_be_bytes([a, b, c, d]) == self.round {
                    let flow = u32::from_be_bytes(flow) as usize;
                    let before = spread[flow].replace(instance);
                    assert_eq!(before, None, "flow {flow} came twice, now at {}", self.nodes[instance]);
                    taken += 1;
                }
            }
        }
        taken
    }

    /// How many flows came out at each of the instances; all did at one.
    ///
    /// # Panics
    /// When some did not.
    #[must_use]
    pub fn counts(&self, spread: &Spread) -> Vec<usize> {
        let lost = spread.iter().filter(|instance| instance.is_none()).count();
        assert_eq!(lost, 0, "{lost} flows came out nowhere");
        let count = |instance| spread.iter().filter(|came| **came == Some(instance)).count();
        (0..self.nodes.len()).map(count).collect()
    }

    /// Sends rounds until the flows of an instance whose carrier was cut come out at others; answers how long
    /// after that they were sent.
    ///
    /// # Panics
    /// When a flow of another one moves or is lost, even once; when that takes longer than `within`.
    pub fn await_moved(
        &mut self,
        bench: &Bench,
        (before, victim): (&Spread, usize),
        (from, to): (&str, IpAddr),
        (cut_at, within): (Instant, Duration),
    ) -> Duration {
        loop {
            let took = cut_at.elapsed();
            let after = self.round(bench, from, to);
            let mut left = 0;
            for (flow, (was, is)) in before.iter().zip(&after).enumerate() {
                if *was == Some(victim) {
                    left += usize::from(is.is_none() || is == was);
                } else {
                    assert_eq!(was, is, "flow {flow}, from {from}, of another one moves");
                }
            }
            if left == 0 {
                return took;
            }
            assert!(
                took < patience(within),
                "{}: {left} of its flows are lost for {took:?}",
                self.nodes[victim]
            );
        }
    }
}

fn send(round: u32, flow: usize, to: IpAddr) {
    let (unspecified, flow) = (any_like(to), u32::try_from(flow).expect("there are few flows"));
    let port = FIRST_PORT + u16::try_from(flow).expect("there are few flows");
    let socket = UdpSocket::bind((unspecified, port)).expect("a port that nobody has");
    let bytes = [round.to_be_bytes(), flow.to_be_bytes()].concat();
    // Where nothing leads there a datagram cannot be sent: one that does not come.
    let _ = socket.send_to(&bytes, SocketAddr::new(to, PORT));
}

/// The unspecified address of the same family.
fn any_like(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}
