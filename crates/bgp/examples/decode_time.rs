//! How long it takes to read and to write an UPDATE: 100,000 of them, each with an AS path of its own and ten IPv4 prefixes.
//!
//! `cargo run --release -p weft-bgp --example decode_time`

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use weft_bgp::wire::{
    AsPath, Attributes, Codec, Community, Destination, Family, Message, NextHop, Payload, PeerKind, Route,
    decode, pack_announcements,
};
use weft_net::Asn;

const UPDATES: u32 = 100_000;
const PREFIXES: u32 = 10;

fn main() {
    let codec = Codec { four_octet_as: true, ..Codec::new(PeerKind::External) };
    let routes: Vec<(Attributes, Vec<Route>)> = (0..UPDATES).map(update).collect();
    let mut messages = Vec::new();
    let write = timed(|| {
        messages.extend(routes.into_iter().flat_map(|(attributes, routes)| pack(&attributes, routes, &codec)))
    });
    let octets: usize = messages.iter().map(Vec::len).sum();
    println!("{} messages of {} octets on average", messages.len(), octets / messages.len());
    let wire = timed(|| messages.iter().for_each(|message| drop(black_box(decode(message, &codec)))));
    let all = timed(|| messages.iter().for_each(|message| announce(message, &codec)));
    println!("pack:                           {} ns an UPDATE", write.as_nanos() / u128::from(UPDATES));
    println!("decode:                         {} ns an UPDATE", wire.as_nanos() / u128::from(UPDATES));
    println!("decode and table's attributes:  {} ns an UPDATE", all.as_nanos() / u128::from(UPDATES));
}

fn announce(message: &[u8], codec: &Codec) {
    let received = decode(message, codec).expect("it was made by the encoder");
    let Message::Update(update) = received.message else { panic!("it was made as an UPDATE") };
    drop(black_box(update.announcements()));
}

fn pack(attributes: &Attributes, routes: Vec<Route>, codec: &Codec) -> Vec<Vec<u8>> {
    pack_announcements(Family::Ipv4Unicast, attributes, routes, codec).expect("it is short")
}

fn update(number: u32) -> (Attributes, Vec<Route>) {
    let mut attributes = Attributes::new(NextHop::Ipv4(Ipv4Addr::new(192, 0, 2, 1)));
    attributes.as_path = AsPath::sequence(&[65_000, 3356, 1299, 200_000 + number, 64_496].map(Asn::new));
    attributes.set_communities([Community(number), Community(0xfde8_0001)]);
    let routes = (0..PREFIXES).map(|index| {
        let address = Ipv4Addr::from_bits((number * PREFIXES + index) << 8 | 1 << 31);
        let prefix = Ipv4Net::new(address, 24).expect("24 bits are no more than 32");
        Route { path_id: None, destination: Destination::Ipv4(prefix), payload: Payload::None }
    });
    (attributes, routes.collect())
}

#[expect(clippy::disallowed_methods, reason = "what is measured is time")]
fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}
