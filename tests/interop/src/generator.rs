//! A neighbour that announces very many routes as fast as they are taken: bytes that were made before.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

const PATIENCE: Duration = Duration::from_secs(20);
/// Where all routes have come through.
const NEIGHBOR: u32 = 65_001;
/// The first of the announced prefixes: 16.0.0.0.
const FIRST: u32 = 0x1000_0000;

/// UPDATEs of IPv4 unicast routes.
#[derive(Debug)]
pub struct Generator {
    asn: u16,
    next_hop: Ipv4Addr,
    bytes: Vec<u8>,
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).expect("a message has 4096 octets at most");
    [&[0xff; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}

fn read_message(reader: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 19];
    reader.read_exact(&mut header)?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[16], header[17]])) - 19];
    reader.read_exact(&mut body)?;
    Ok((header[18], body))
}

/// How many IPv4 unicast routes an UPDATE announces.
fn announced(body: &[u8]) -> u32 {
    let length = |at: usize| usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    let attributes = 2 + length(0);
    let mut at = attributes + 2 + length(attributes);
    let mut count = 0;
    while at < body.len() {
        at += 1 + usize::from(body[at]).div_ceil(8);
        count += 1;
    }
    count
}

impl Generator {
    /// Of AS `asn` (with a LOCAL_PREF, which other ASes ignore): `updates` UPDATEs, each with an AS path of its own and `routes_each` prefixes of length 24.
    #[must_use]
    pub fn new(asn: u16, next_hop: Ipv4Addr, updates: u32, routes_each: u32) -> Self {
        let mut bytes = Vec::new();
        for update in 0..updates {
            let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 10, 2, 2];
            attributes.extend(NEIGHBOR.to_be_bytes());
            attributes.extend((100_000 + update).to_be_bytes());
            attributes.extend([0x40, 3, 4]);
            attributes.extend(next_hop.octets());
            attributes.extend([0x40, 5, 4, 0, 0, 0, 100]);
            let length = u16::try_from(attributes.len()).expect("they are short");
            let mut body = vec![0, 0];
            body.extend(length.to_be_bytes());
            body.extend(attributes);
            for route in 0..routes_each {
                let prefix = FIRST + (update * routes_each + route) * 256;
                body.push(24);
                body.extend(&prefix.to_be_bytes()[..3]);
            }
            bytes.extend(message(2, &body));
        }
        Self { asn, next_hop, bytes }
    }

    /// Connects from a namespace, opens a session and sends it all; answers the connection, which is to be kept, and when sending began.
    ///
    /// # Panics
    /// When there is no namespace of this name.
    ///
    /// # Errors
    /// When the daemon refuses the session.
    pub fn run(&self, namespace: &str, to: IpAddr) -> io::Result<(TcpStream, Instant)> {
        let mut stream = self.session(namespace, to)?;
        let mut reader = stream.try_clone()?;
        thread::spawn(move || {
            let mut buffer = [0; 65536];
            while reader.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        let begin = Instant::now();
        stream.write_all(&self.bytes)?;
        Ok((stream, begin))
    }

    /// Connects from a namespace, opens a session, and waits until as many routes were announced to it; answers when the last one came.
    ///
    /// # Panics
    /// When there is no namespace of this name.
    ///
    /// # Errors
    /// When the daemon refuses the session, or ends it before.
    pub fn listen(
        &self,
        namespace: &str,
        to: IpAddr,
        routes: u32,
    ) -> io::Result<JoinHandle<io::Result<Instant>>> {
        let stream = self.session(namespace, to)?;
        Ok(thread::spawn(move || {
            let mut reader = BufReader::with_capacity(1 << 20, stream);
            let mut heard = 0;
            while heard < routes {
                let (kind, body) = read_message(&mut reader)?;
                heard += if kind == 2 { announced(&body) } else { 0 };
            }
            Ok(Instant::now())
        }))
    }

    fn session(&self, namespace: &str, to: IpAddr) -> io::Result<TcpStream> {
        let file = File::open(format!("/run/netns/{namespace}"))?;
        let connect = move || {
            setns(file, CloneFlags::CLONE_NEWNET)?;
            let begin = Instant::now();
            loop {
                match TcpStream::connect(SocketAddr::new(to, 179)) {
                    Err(_) if begin.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
                    result => return result,
                }
            }
        };
        let mut stream = thread::spawn(connect).join().expect("connecting does not panic")?;
        stream.set_nodelay(true)?;
        stream.write_all(&self.open())?;
        // OPEN, and KEEPALIVE for ours.
        for _ in 0..2 {
            let (kind, body) = read_message(&mut stream)?;
            match kind {
                1 => stream.write_all(&message(4, &[]))?,
                3 => return Err(io::Error::other(format!("refused: {body:?}"))),
                _ => {}
            }
        }
        Ok(stream)
    }

    fn open(&self) -> Vec<u8> {
        let mut body = vec![4];
        body.extend(self.asn.to_be_bytes());
        // Without hold time: nothing is sent but routes.
        body.extend([0, 0]);
        body.extend(self.next_hop.octets());
        let mut capabilities = vec![1, 4, 0, 1, 0, 1, 65, 4];
        capabilities.extend(u32::from(self.asn).to_be_bytes());
        let length = u8::try_from(capabilities.len()).expect("they are few");
        body.extend([length + 2, 2, length]);
        body.extend(capabilities);
        message(1, &body)
    }
}
