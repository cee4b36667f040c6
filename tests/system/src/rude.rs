//! Strangers who are rude to a BGP port: they flood it, say garbage, and begin what they do not end.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use crate::Node;

/// How many connections are held open with half an OPEN.
const HALF_OPEN: usize = 200;
/// How long a connection may take that is to be answered.
const PATIENCE: Duration = Duration::from_secs(2);

/// What one of them does, once; answers how much that was.
type Deed = fn(SocketAddr, Ipv4Addr) -> u64;

/// Threads in a node's namespace, until the value goes.
#[derive(Debug)]
pub struct Rude {
    is_over: Arc<AtomicBool>,
    threads: Vec<(Arc<AtomicU64>, JoinHandle<()>)>,
}

impl Rude {
    /// Begins. `router_id` is what they say they are.
    ///
    /// # Panics
    /// When the namespace cannot be entered.
    #[must_use]
    pub fn start(node: &Node, to: SocketAddr, router_id: Ipv4Addr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let deeds: [Deed; 3] = [garbage, half_open, flood];
        let threads = deeds.into_iter().map(|deed| {
            let done = Arc::new(AtomicU64::new(0));
            let (is_over, counted) = (Arc::clone(&is_over), Arc::clone(&done));
            let namespace =
                File::open(format!("/run/netns/{}", node.namespace())).expect("the namespace is there");
            let work = move || {
                setns(namespace, CloneFlags::CLONE_NEWNET).expect("the namespace can be entered");
                while !is_over.load(Ordering::Relaxed) {
                    counted.fetch_add(deed(to, router_id), Ordering::Relaxed);
                }
            };
            (done, thread::spawn(work))
        });
        let threads = threads.collect();
        Self { is_over, threads }
    }

    /// How much each has done so far: connections with garbage, connections that were begun, messages of a flood.
    #[must_use]
    pub fn done(&self) -> Vec<u64> {
        self.threads.iter().map(|(done, _)| done.load(Ordering::Relaxed)).collect()
    }
}

impl Drop for Rude {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for (_, thread) in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("a rude stranger has panicked");
            }
        }
    }
}

fn connect(to: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
    let limits = stream.set_write_timeout(Some(PATIENCE)).and(stream.set_read_timeout(Some(PATIENCE)));
    limits.ok().map(|()| stream)
}

/// 64 KiB that are no BGP.
fn garbage(to: SocketAddr, _: Ipv4Addr) -> u64 {
    let Some(mut stream) = connect(to) else { return 0 };
    let bytes: Vec<u8> = (0..=u16::MAX).map(|number| (number.wrapping_mul(31_337) >> 7) as u8).collect();
    // It may be cut off at any octet.
    let _cut = stream.write_all(&bytes);
    1
}

/// Connections that say half of an OPEN, held for a while.
fn half_open(to: SocketAddr, router_id: Ipv4Addr) -> u64 {
    let open = open(router_id);
    let mut held = Vec::new();
    for _ in 0..HALF_OPEN {
        let Some(mut stream) = connect(to) else { break };
        let _cut = stream.write_all(&open[..20]);
        held.push(stream);
    }
    thread::sleep(Duration::from_millis(100));
    held.len() as u64
}

/// An OPEN in good form, and then as many messages as go, none of which is read an answer to.
fn flood(to: SocketAddr, router_id: Ipv4Addr) -> u64 {
    let Some(mut stream) = connect(to) else { return 0 };
    let mut answer = [0; 19];
    if stream.write_all(&open(router_id)).and_then(|()| stream.read_exact(&mut answer)).is_err() {
        return 0;
    }
    // KEEPALIVEs, and UPDATEs that say nothing (RFC 4724 §2).
    let messages = [message(4, &[]), message(2, &[0; 4])].concat().repeat(500);
    let mut count = 0;
    while count < 1_000_000 && stream.write_all(&messages).is_ok() {
        count += 1000;
    }
    count
}

/// An OPEN of AS 64512 with a hold time of 90 seconds and no capabilities (RFC 4271 §4.2).
fn open(router_id: Ipv4Addr) -> Vec<u8> {
    let mut body = vec![4, 0xfc, 0x00, 0, 90];
    body.extend(router_id.octets());
    body.push(0);
    message(1, &body)
}

/// A message of a kind (RFC 4271 §4.1).
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).expect("a message is short");
    let mut bytes = vec![0xff; 16];
    bytes.extend(length.to_be_bytes());
    bytes.push(kind);
    bytes.extend(body);
    bytes
}
