//! A neighbour that announces very many routes as fast as they are taken: bytes that were made before.

use std::io::{self, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::evpn::reachable;
use crate::reference::Family;
use crate::session::{Identity, Session, read_update, update};

/// Where all routes have come through.
const NEIGHBOR: u32 = 65_001;
/// The first of the announced prefixes: 16.0.0.0.
const FIRST: u32 = 0x1000_0000;
/// Of VPN routes: the AS of the target 65000:100 and of the distinguisher 65000:1.
const TARGET: [u8; 8] = [0, 2, 0xfd, 0xe8, 0, 0, 0, 100];
const DISTINGUISHER: [u8; 8] = [0, 0, 0xfd, 0xe8, 0, 0, 0, 1];
/// The AFI and the SAFI of VPNv4.
const VPNV4: [u8; 3] = [0, 1, 128];
/// MP_REACH_NLRI of VPNv4 has this many octets besides the routes: families, next hop and its length, one that is reserved.
const VPN_REACH: usize = 2 + 1 + 1 + 12 + 1;

/// UPDATEs of routes of one family.
#[derive(Debug)]
pub struct Generator {
    identity: Identity,
    bytes: Vec<u8>,
}

/// How many IPv4 unicast and VPNv4 routes an UPDATE announces.
fn announced(body: &[u8]) -> u32 {
    let length = |at: usize| usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    let attributes = 2 + length(0);
    let unicast = &body[attributes + 2 + length(attributes)..];
    routes(unicast) + reachable(body, VPNV4).map_or(0, routes)
}

/// How many routes these are, each with its length in bits before it.
fn routes(mut left: &[u8]) -> u32 {
    let mut count = 0;
    while let [bits, rest @ ..] = left {
        left = rest.get(usize::from(*bits).div_ceil(8)..).unwrap_or_default();
        count += 1;
    }
    count
}

/// The attributes of an UPDATE but for its next hop: an AS path of its own, and a LOCAL_PREF, which other ASes ignore.
fn path(number: u32) -> Vec<u8> {
    let mut attributes = vec![0x40, 1, 1, 0, 0x40, 2, 10, 2, 2];
    attributes.extend(NEIGHBOR.to_be_bytes());
    attributes.extend((100_000 + number).to_be_bytes());
    attributes.extend([0x40, 5, 4, 0, 0, 0, 100]);
    attributes
}

/// The prefix of a route, of length 24.
fn prefix(number: u32) -> [u8; 3] {
    let [a, b, c, _] = (FIRST + number * 256).to_be_bytes();
    [a, b, c]
}

fn unicast(next_hop: Ipv4Addr, number: u32, routes: Range<u32>) -> Vec<u8> {
    let mut attributes = path(number);
    attributes.extend([0x40, 3, 4]);
    attributes.extend(next_hop.octets());
    let prefixes: Vec<u8> = routes.flat_map(|route| [24].into_iter().chain(prefix(route))).collect();
    update(&attributes, &prefixes)
}

/// RFC 4364 §4.3.4, RFC 4760 §3.
fn vpn(next_hop: Ipv4Addr, number: u32, routes: Range<u32>) -> Vec<u8> {
    let label = (100_000_u32 << 4 | 1).to_be_bytes();
    let nlri = |route| {
        let length = [24 + 64 + 24];
        length.into_iter().chain(label[1..].to_vec()).chain(DISTINGUISHER).chain(prefix(route))
    };
    let prefixes: Vec<u8> = routes.flat_map(nlri).collect();
    let mut attributes = path(number);
    attributes.extend([0xc0, 16, 8]);
    attributes.extend(TARGET);
    let length = u16::try_from(VPN_REACH + prefixes.len()).expect("they are in one message");
    attributes.extend([0x90, 14]);
    attributes.extend(length.to_be_bytes());
    attributes.extend(VPNV4);
    attributes.extend([12, 0, 0, 0, 0, 0, 0, 0, 0]);
    attributes.extend(next_hop.octets());
    attributes.push(0);
    attributes.extend(prefixes);
    update(&attributes, &[])
}

impl Generator {
    /// Of AS `asn`, IPv4 unicast or VPNv4 as `family` says: `updates` UPDATEs, each with an AS path of its own and
    /// `routes_each` prefixes of length 24. All VPN routes have one distinguisher, 65000:1, and one target, 65000:100.
    ///
    /// # Panics
    /// When the family is another.
    #[must_use]
    pub fn new(asn: u16, next_hop: Ipv4Addr, family: Family, (updates, routes_each): (u32, u32)) -> Self {
        let make = match family {
            Family::Ipv4Unicast => unicast,
            Family::VpnIpv4 => vpn,
            _ => panic!("{} is not generated", family.name()),
        };
        let of = |number| make(next_hop, number, number * routes_each..(number + 1) * routes_each);
        let bytes = (0..updates).flat_map(of).collect();
        Self { identity: Identity { asn, router_id: next_hop, family }, bytes }
    }

    /// Connects from a namespace, opens a session and sends it all; answers the session, which is to be kept, and when sending began.
    ///
    /// # Errors
    /// When the daemon refuses the session.
    pub fn run(&self, namespace: &str, to: IpAddr) -> io::Result<(Session, Instant)> {
        let session = Session::connect(namespace, to, self.identity)?;
        let mut reader = session.reader()?;
        thread::spawn(move || {
            let mut buffer = [0; 65536];
            while reader.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        let begin = session.send(&self.bytes)?;
        Ok((session, begin))
    }

    /// Connects from a namespace, opens a session, and waits until as many IPv4 unicast routes were announced to it; answers
    /// when the last one came.
    ///
    /// # Errors
    /// When the daemon refuses the session, or ends it before.
    pub fn listen(
        &self,
        namespace: &str,
        to: IpAddr,
        routes: u32,
    ) -> io::Result<JoinHandle<io::Result<Instant>>> {
        let session = Session::connect(namespace, to, self.identity)?;
        Ok(thread::spawn(move || {
            let mut reader = BufReader::with_capacity(1 << 20, session.reader()?);
            let mut heard = 0;
            while heard < routes {
                let update = read_update(&mut reader).map_err(|error| {
                    io::Error::new(error.kind(), format!("after {heard} of {routes} routes: {error}"))
                })?;
                heard += announced(&update);
            }
            Ok(Instant::now())
        }))
    }
}
