//! A session of BGP from the side of a neighbour that is as simple as can be: it opens it, and reads and writes messages.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};

use crate::reference::Family;

const PATIENCE: Duration = Duration::from_secs(20);
const HOLD_TIME_S: u16 = 90;
/// A third of the shortest hold time of any daemon's configuration here.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// The types of messages (RFC 4271 §4.1).
const OPEN: u8 = 1;
const UPDATE: u8 = 2;
const NOTIFICATION: u8 = 3;
const KEEPALIVE: u8 = 4;

/// As whom a session is opened.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// The autonomous system.
    pub asn: u16,
    /// The BGP identifier.
    pub router_id: Ipv4Addr,
    /// The family that is spoken.
    pub family: Family,
}

/// An open session, which is kept alive as long as the value is there.
///
/// It has a hold time because GoBGP 3.10 takes none for a time of nothing in which each of its own messages has to be sent.
#[derive(Debug)]
pub struct Session(Arc<Mutex<TcpStream>>);

pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(19 + body.len()).expect("a message has 4096 octets at most");
    [&[0xff; 16][..], &length.to_be_bytes(), &[kind], body].concat()
}

pub(crate) fn update(attributes: &[u8], prefixes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).expect("they are short");
    message(UPDATE, &[&[0, 0][..], &length.to_be_bytes(), attributes, prefixes].concat())
}

fn read_message(reader: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut header = [0; 19];
    reader.read_exact(&mut header)?;
    let mut body = vec![0; usize::from(u16::from_be_bytes([header[16], header[17]])) - 19];
    reader.read_exact(&mut body)?;
    Ok((header[18], body))
}

/// Reads up to the next UPDATE; answers its body.
///
/// # Errors
/// When the session ends.
pub fn read_update(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    loop {
        match read_message(reader)? {
            (UPDATE, body) => return Ok(body),
            (NOTIFICATION, body) => return Err(io::Error::other(format!("NOTIFICATION {body:?}"))),
            _ => {}
        }
    }
}

impl Session {
    /// Calls a daemon from a namespace.
    ///
    /// # Errors
    /// When there is no such namespace, or the daemon refuses the session.
    ///
    /// # Panics
    /// When the thread that calls does.
    pub fn connect(namespace: &str, to: IpAddr, identity: Identity) -> io::Result<Self> {
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
        let stream = thread::spawn(connect).join().expect("connecting does not panic")?;
        Self::open(stream, identity)
    }

    /// Waits for a daemon that calls.
    ///
    /// # Errors
    /// When it refuses the session.
    pub fn accept(listener: &TcpListener, identity: Identity) -> io::Result<Self> {
        Self::open(listener.accept()?.0, identity)
    }

    fn open(mut stream: TcpStream, identity: Identity) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.write_all(&open(identity))?;
        // OPEN, and KEEPALIVE for ours.
        for _ in 0..2 {
            match read_message(&mut stream)? {
                (OPEN, _) => stream.write_all(&message(KEEPALIVE, &[]))?,
                (NOTIFICATION, body) => return Err(io::Error::other(format!("refused: {body:?}"))),
                _ => {}
            }
        }
        let stream = Arc::new(Mutex::new(stream));
        let kept = Arc::downgrade(&stream);
        thread::spawn(move || keep_alive(&kept));
        Ok(Self(stream))
    }

    /// The same session, to be read by somebody else.
    ///
    /// # Errors
    /// When there are too many open files.
    pub fn reader(&self) -> io::Result<TcpStream> {
        lock(&self.0).try_clone()
    }

    /// Sends messages that are ready; answers when that began.
    ///
    /// # Errors
    /// When the session has ended.
    pub fn send(&self, bytes: &[u8]) -> io::Result<Instant> {
        let begin = Instant::now();
        lock(&self.0).write_all(bytes)?;
        Ok(begin)
    }
}

fn lock(stream: &Mutex<TcpStream>) -> MutexGuard<'_, TcpStream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says from time to time that we are there, unless something else is being sent.
fn keep_alive(stream: &Weak<Mutex<TcpStream>>) {
    while let Some(stream) = stream.upgrade() {
        if let Ok(mut stream) = stream.try_lock()
            && stream.write_all(&message(KEEPALIVE, &[])).is_err()
        {
            return;
        }
        drop(stream);
        thread::sleep(KEEPALIVE_INTERVAL);
    }
}

fn open(identity: Identity) -> Vec<u8> {
    let mut body = vec![4];
    body.extend(identity.asn.to_be_bytes());
    body.extend(HOLD_TIME_S.to_be_bytes());
    body.extend(identity.router_id.octets());
    let (afi, safi) = identity.family.numbers();
    let mut capabilities = vec![1, 4, 0, afi, 0, safi, 65, 4];
    capabilities.extend(u32::from(identity.asn).to_be_bytes());
    let length = u8::try_from(capabilities.len()).expect("they are few");
    body.extend([length + 2, 2, length]);
    body.extend(capabilities);
    message(OPEN, &body)
}
