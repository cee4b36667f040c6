//! Every UPDATE that a daemon has sent, written again by our wire layer: the same to the octet, or the test fails.
//!
//! It reads what went over the wire, and not what our speaker says of it: so it misses nothing when that is killed, and works between any two.

use weft_bgp::wire::{
    AddPathMode, Capability, Codec, Family, FamilySet, Message, Open, PeerKind, decode, frame,
    reencode_is_identical,
};

use crate::capture::{Capture, Connection};

/// Listens in a namespace to what its daemon sends. When it goes, all of that has been verified.
#[derive(Debug)]
pub struct Witness {
    namespace: String,
    capture: Option<Capture>,
}

impl Witness {
    /// Begins; it has to be there before the daemon.
    ///
    /// # Panics
    /// When there is no such namespace.
    #[must_use]
    pub fn start(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), capture: Some(Capture::start(namespace)) }
    }

    /// Ends; answers how many UPDATEs were the same when they were written again: all.
    ///
    /// # Panics
    /// When one was not, or some octets were not captured.
    pub fn end(mut self) -> usize {
        self.verify()
    }

    fn verify(&mut self) -> usize {
        let Some(mut capture) = self.capture.take() else { return 0 };
        let verified = |connection: &Connection| {
            let result = verify(connection);
            let ends = format!("{} to {}", connection.own, connection.other);
            result.unwrap_or_else(|error| panic!("{}, {ends}: {error}", self.namespace))
        };
        let updates = capture.end().iter().map(verified).sum();
        println!("{}: {updates} UPDATEs sent, each the same when it is written again", self.namespace);
        updates
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.verify();
        }
    }
}

/// How many UPDATEs the namespace has sent in a connection.
fn verify(connection: &Connection) -> Result<usize, String> {
    let read = |stream: &Option<_>| stream.as_ref().map_or(Ok(Vec::new()), crate::capture::Stream::bytes);
    let (sent, received) = (read(&connection.sent)?, read(&connection.received)?);
    let (Some(from), Some(to)) = (opened(&sent)?, opened(&received)?) else { return Ok(0) };
    let codec = codec(&from, &to);
    let mut updates = 0;
    for message in messages(&sent, &codec)?.into_iter().filter(|message| message[18] == UPDATE) {
        reencode_is_identical(message, &codec)?;
        updates += 1;
    }
    Ok(updates)
}

/// The type of messages with routes (RFC 4271 §4.1).
const UPDATE: u8 = 2;

/// The messages that are whole: the last one of a connection that breaks may not be.
fn messages<'a>(bytes: &'a [u8], codec: &Codec) -> Result<Vec<&'a [u8]>, String> {
    let mut messages = Vec::new();
    let mut left = bytes;
    while let Some(length) = frame(left, codec).map_err(|error| error.to_string())? {
        let Some((message, rest)) = left.split_at_checked(length) else { break };
        messages.push(message);
        left = rest;
    }
    Ok(messages)
}

/// The OPEN with which a direction begins, if it does and has come so far.
fn opened(bytes: &[u8]) -> Result<Option<Open>, String> {
    let before = Codec::new(PeerKind::Internal);
    let Some(length) = frame(bytes, &before).map_err(|error| error.to_string())? else { return Ok(None) };
    let Some(first) = bytes.get(..length) else { return Ok(None) };
    match decode(first, &before).map_err(|error| error.to_string())?.message {
        Message::Open(open) => Ok(Some(open)),
        // Whoever refuses a connection may say so at once.
        _ => Ok(None),
    }
}

/// What both OPENs agree on, for whoever reads what the first one's sender says.
fn codec(from: &Open, to: &Open) -> Codec {
    let is_internal = from.asn() == to.asn();
    let mut codec = Codec::new(if is_internal { PeerKind::Internal } else { PeerKind::External });
    let both = |capability: &Capability| {
        from.capabilities.contains(capability) && to.capabilities.contains(capability)
    };
    codec.four_octet_as = [from, to]
        .iter()
        .all(|open| open.capabilities.iter().any(|said| matches!(said, Capability::FourOctetAs(_))));
    codec.extended_message = both(&Capability::ExtendedMessage);
    codec.families = families(from).iter().filter(|family| families(to).contains(*family)).collect();
    let sends = |mode| matches!(mode, AddPathMode::Send | AddPathMode::Both);
    let receives = |mode| matches!(mode, AddPathMode::Receive | AddPathMode::Both);
    let receivers = add_path(to, receives);
    codec.add_path_receive =
        add_path(from, sends).iter().filter(|family| receivers.contains(*family)).collect();
    codec
}

fn families(open: &Open) -> FamilySet {
    let said = open.capabilities.iter().filter_map(|capability| match capability {
        Capability::Multiprotocol(raw) => Some(raw.known()),
        _ => None,
    });
    let said: Vec<Option<Family>> = said.collect();
    // Who does not say otherwise speaks IPv4 unicast (RFC 4760 §8).
    if said.is_empty() {
        [Family::Ipv4Unicast].into_iter().collect()
    } else {
        said.into_iter().flatten().collect()
    }
}

fn add_path(open: &Open, has: impl Fn(AddPathMode) -> bool) -> FamilySet {
    let said = open.capabilities.iter().filter_map(|capability| match capability {
        Capability::AddPath(families) => Some(families),
        _ => None,
    });
    said.flatten().filter(|(_, mode)| has(*mode)).filter_map(|(raw, _)| raw.known()).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use weft_bgp::wire::encode;

    use super::*;
    use crate::evpn::EvpnVrf;
    use crate::session::update;

    fn connection(updates: &[u8]) -> Connection {
        let capabilities = vec![
            Capability::Multiprotocol(Family::Evpn.raw()),
            Capability::Multiprotocol(Family::Ipv4Unicast.raw()),
        ];
        let router_id = Ipv4Addr::new(10, 0, 0, 1);
        let open = Message::Open(Open { my_as: 64512, hold_time_s: 90, router_id, capabilities });
        let open = encode(&open, &Codec::new(PeerKind::Internal));
        let at = |port| (Ipv4Addr::LOCALHOST, port).into();
        let sent = [&open, updates].concat();
        let (sent, received) = (Some(sent.as_slice().into()), Some(open.as_slice().into()));
        Connection { own: at(179), other: at(40_000), sent, received }
    }

    #[test]
    fn what_is_not_the_same_when_it_is_written_again_is_found() {
        let vrf = EvpnVrf {
            next_hop: Ipv4Addr::new(192, 0, 2, 1),
            vni: 9000,
            router_mac: [2, 0, 0, 0, 0, 1],
            target: (64512, 100),
        };
        let mut good = vrf.announce(&["10.1.0.0/16".parse().unwrap()]);
        assert_eq!(verify(&connection(&good)), Ok(1));
        // Half a message more is none.
        good.extend([0xff; 16]);
        assert_eq!(verify(&connection(&good)), Ok(1));
        // Bits behind a prefix are nobody's; ORIGIN is 2 at most.
        let attributes = |origin| [0x40, 1, 1, origin, 0x40, 2, 0, 0x40, 3, 4, 192, 0, 2, 1];
        let odd = |origin, last| verify(&connection(&update(&attributes(origin), &[12, 10, last])));
        assert_eq!(odd(0, 0x10), Ok(1));
        let error = odd(0, 0x1f).unwrap_err();
        assert!(error.contains("went as"), "{error}");
        let error = odd(7, 0x10).unwrap_err();
        assert!(error.contains("not in good form"), "{error}");
    }
}
