//! Very many routes from one neighbour: how long until they are in the table, and until another neighbour has them; beside other daemons.
//!
//! All get the same bytes, from the same program, in namespaces of their own, one after the other.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use weft_interop_tests::{Bird, Fabric, Family, Frr, Generator, Gobgp, Setup, Weft, until};

use crate::figure::{Figure, median};

const UPDATES: u32 = 100_000;
const ROUTES_EACH: u32 = 10;
const ROUTES: u32 = UPDATES * ROUTES_EACH;
/// The measured daemon's and, in one AS with it, that of reflected routes.
const ASN: u16 = 65_000;
const OTHER_ASN: u16 = 65_001;
const PATIENCE: Duration = Duration::from_secs(180);
const ROUNDS: usize = 3;
/// How much slower than BIRD it may be, and how much more memory it may take.
const SLOWER_MAX: f64 = 1.5;
const MEMORY_MAX_MB: f64 = 238.0;

/// A daemon at the address of node 1.
enum Daemon {
    Weft(Weft),
    Bird(Bird),
    Frr(Frr),
    Gobgp(Gobgp),
}

const NAMES: [&str; 4] = ["weft", "bird", "frr", "gobgp"];

/// `bgp_ingest`: routes a second, and what the process takes in memory then.
pub(crate) fn ingest() -> anyhow::Result<Vec<Figure>> {
    let mut measured = Vec::new();
    for name in NAMES {
        measured.push(medians(|| ingest_by(name)).with_context(|| name.to_owned())?);
    }
    let [(weft, memory), (bird, bird_memory), (frr, _), (gobgp, _)] = measured[..] else {
        unreachable!("four names")
    };
    let least = 1.0 / SLOWER_MAX;
    Ok(vec![
        Figure::new("bgp_ingest/bird", weft, "routes/s").beside(bird, least),
        Figure::new("bgp_ingest/frr", weft, "routes/s").beside(frr, least),
        Figure::new("bgp_ingest/gobgp", weft, "routes/s").beside(gobgp, least),
        Figure::new("bgp_ingest/memory", memory, "MB").at_most(MEMORY_MAX_MB),
        Figure::new("bgp_ingest/memory_bird", bird_memory, "MB"),
    ])
}

/// `bgp_reflect`: routes a second from one client to another.
pub(crate) fn reflect() -> anyhow::Result<Vec<Figure>> {
    let mut measured = Vec::new();
    // GoBGP 3.10 ends the session of a client to which it reflects so much.
    for name in ["weft", "bird", "frr"] {
        measured.push(medians(|| Ok((reflect_by(name)?, 0.0))).with_context(|| name.to_owned())?.0);
    }
    let [weft, bird, frr] = measured[..] else { unreachable!("three names") };
    let least = 1.0 / SLOWER_MAX;
    Ok(vec![
        Figure::new("bgp_reflect/bird", weft, "routes/s").beside(bird, least),
        Figure::new("bgp_reflect/frr", weft, "routes/s").beside(frr, least),
    ])
}

/// The medians of both over some rounds.
fn medians(mut measure: impl FnMut() -> anyhow::Result<(f64, f64)>) -> anyhow::Result<(f64, f64)> {
    let rounds = (0..ROUNDS).map(|_| measure()).collect::<anyhow::Result<Vec<_>>>()?;
    // `median` is of durations; nanoseconds keep enough of a number.
    let of = |numbers: Vec<f64>| {
        median(&mut numbers.into_iter().map(Duration::from_secs_f64).collect::<Vec<_>>()).as_secs_f64()
    };
    Ok((of(rounds.iter().map(|round| round.0).collect()), of(rounds.iter().map(|round| round.1).collect())))
}

fn ingest_by(name: &str) -> anyhow::Result<(f64, f64)> {
    let fabric = Fabric::new(2);
    let generator = Generator::new(OTHER_ASN, Ipv4Addr::new(192, 0, 2, 2), UPDATES, ROUTES_EACH);
    let mut setup = Setup::new(fabric.address(1), fabric.address(2), &[Family::Ipv4Unicast]);
    setup.peer_asn = OTHER_ASN.into();
    let daemon = start(name, &fabric, &setup);
    let (_stream, begin) = generator.run(&fabric.namespace(2), fabric.address(1))?;
    until("all routes are there", PATIENCE, || daemon.has_all(fabric.address(2)));
    let rate = f64::from(ROUTES) / begin.elapsed().as_secs_f64();
    let megabytes = daemon.resident_kib() as f64 * 1024.0 / 1e6;
    Ok((rate, megabytes))
}

fn reflect_by(name: &str) -> anyhow::Result<f64> {
    let fabric = Fabric::new(3);
    let generator = |node: u8| Generator::new(ASN, Ipv4Addr::new(192, 0, 2, node), UPDATES, ROUTES_EACH);
    let mut setup = Setup::new(fabric.address(1), fabric.address(2), &[Family::Ipv4Unicast]);
    (setup.second_peer, setup.reflects) = (Some(fabric.address(3)), true);
    let _daemon = start(name, &fabric, &setup);
    let listener = Generator::new(ASN, Ipv4Addr::new(192, 0, 2, 3), 0, 0);
    let heard = listener.listen(&fabric.namespace(3), fabric.address(1), ROUTES)?;
    let (_stream, begin): (_, Instant) = generator(2).run(&fabric.namespace(2), fabric.address(1))?;
    let end = heard.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??;
    Ok(f64::from(ROUTES) / end.duration_since(begin).as_secs_f64())
}

fn start(name: &str, fabric: &Fabric, setup: &Setup) -> Daemon {
    let (namespace, directory) = (fabric.namespace(1), fabric.directory());
    match name {
        "weft" => {
            let mut configuration = Weft::configuration(fabric.address(1));
            let neighbor = |address: IpAddr| -> Value {
                json!({ "address": address, "asn": setup.peer_asn.to_string(), "is_passive": true,
                    "is_route_reflector_client": setup.reflects, "families": [{ "family": "ipv4-unicast" }] })
            };
            let peers = [setup.peer].into_iter().chain(setup.second_peer);
            configuration["neighbors"] = peers.map(neighbor).collect();
            Daemon::Weft(Weft::start(&namespace, directory, &configuration))
        }
        "bird" => Daemon::Bird(Bird::start(&namespace, directory, setup, &[])),
        "frr" => Daemon::Frr(Frr::start(&namespace, directory, setup, &[])),
        _ => Daemon::Gobgp(Gobgp::start(&namespace, directory, setup, &[])),
    }
}

impl Daemon {
    fn has_all(&self, from: IpAddr) -> bool {
        match self {
            Self::Weft(weft) => weft.neighbor_status(from)["families"][0]["received"] == ROUTES,
            Self::Bird(bird) => bird.show("show route count table master4").contains(&format!("{ROUTES} of")),
            Self::Frr(frr) => {
                let said = frr.show("show bgp ipv4 unicast summary json").replace(' ', "");
                said.contains(&format!("\"pfxRcd\":{ROUTES}"))
            }
            Self::Gobgp(gobgp) => gobgp.ask("global rib summary -a ipv4").contains(&ROUTES.to_string()),
        }
    }

    fn resident_kib(&self) -> u64 {
        match self {
            Self::Weft(weft) => weft.process().resident_kib(),
            Self::Bird(bird) => bird.process().resident_kib(),
            Self::Frr(frr) => frr.process().resident_kib(),
            Self::Gobgp(gobgp) => gobgp.process().resident_kib(),
        }
    }
}
