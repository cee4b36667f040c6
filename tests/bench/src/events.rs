//! What a kernel tells of itself: the events of rtnetlink(7), as they come.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use anyhow::anyhow;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::sys::socket::{setsockopt, sockopt};

use crate::namespace::within;

/// Room for events that are not read yet, in bytes.
const BUFFER: usize = 256 << 20;

/// A message: its kind and what comes after its header.
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) body: &'a [u8],
}

/// Listens to a group of events in the namespace of this file; answers what `read` makes of them, and when they came.
pub(crate) fn listen<T: Send + 'static>(
    path: &str,
    group: u32,
    read: impl Fn(&Message<'_>) -> Option<T> + Send + 'static,
) -> anyhow::Result<Receiver<(T, Instant)>> {
    let socket = within(path, move || ear(group))?;
    let (told, heard) = channel();
    thread::spawn(move || {
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            buffer.clear();
            if let Err(error) = socket.recv(&mut buffer, 0) {
                // What is waited for is then missed, and that is said.
                eprintln!("bench: {}", anyhow!(error));
                return;
            }
            let at = Instant::now();
            for event in messages(&buffer).filter_map(|message| read(&message)) {
                if told.send((event, at)).is_err() {
                    return;
                }
            }
        }
    });
    Ok(heard)
}

fn ear(group: u32) -> anyhow::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    setsockopt(&socket, sockopt::RcvBufForce, &BUFFER)?;
    socket.add_membership(group)?;
    Ok(socket)
}

fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let (message, rest) = split(bytes, length)?;
        bytes = rest;
        let kind = u16::from_ne_bytes([*message.get(4)?, *message.get(5)?]);
        Some(Message { kind, body: message.get(16..)? })
    })
}

impl<'a> Message<'a> {
    /// Its attributes, which come after so many bytes: the kind and the value of each.
    pub(crate) fn attributes(&self, after: usize) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut left = self.body.get(after..).unwrap_or_default();
        std::iter::from_fn(move || {
            let length = |bytes: &[u8]| u16::from_ne_bytes([bytes[0], bytes[1]]) as usize;
            let (attribute, rest) = split(left, length)?;
            left = rest;
            Some((u16::from_ne_bytes([attribute[2], attribute[3]]), &attribute[4..]))
        })
    }

    /// The value of its first attribute of this kind.
    pub(crate) fn attribute(&self, after: usize, kind: u16) -> Option<&'a [u8]> {
        self.attributes(after).find(|(of, _)| *of == kind).map(|(_, value)| value)
    }
}

/// The first of several things that each begin with their length, and what comes after it, aligned to four bytes.
fn split(bytes: &[u8], length: impl Fn(&[u8]) -> usize) -> Option<(&[u8], &[u8])> {
    let length = length(bytes.get(..4)?);
    let first = bytes.get(..length).filter(|first| first.len() >= 4)?;
    Some((first, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}
