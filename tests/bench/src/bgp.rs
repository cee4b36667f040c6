//! Very many routes from one neighbour: how long until they are in the table, and until another neighbour has them; beside other daemons.
//!
//! All get the same bytes, from the same program, in namespaces of their own, one after the other.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use weft_interop_tests::{Bird, Fabric, Family, Frr, Generator, Gobgp, Setup, Weft, until};

use crate::figure::{Figure, median};

/// What is announced to a daemon: UPDATEs of one family, each with an AS path of its own.
#[derive(Clone, Copy)]
struct Load {
    family: Family,
    updates: u32,
    routes_each: u32,
}

const UNICAST: Load = Load { family: Family::Ipv4Unicast, updates: 100_000, routes_each: 10 };
/// GoBGP takes many minutes to reflect a million.
const FEWER: Load = Load { updates: 10_000, ..UNICAST };
/// So also of VPNv4.
const FEWER_VPN: Load = Load { updates: 2_000, ..VPN };
const VPN: Load = Load { family: Family::VpnIpv4, updates: 20_000, routes_each: 10 };
/// How many clients routes are reflected to.
const CLIENTS: u8 = 4;
/// The measured daemon's and, in one AS with it, that of reflected routes.
const ASN: u16 = 65_000;
const OTHER_ASN: u16 = 65_001;
const PATIENCE: Duration = Duration::from_secs(300);
const ROUNDS: usize = 3;
/// How much slower than BIRD it may be, and how much more memory it may take.
const SLOWER_MAX: f64 = 1.5;
const MEMORY_MAX_MB: f64 = 238.0;

impl Load {
    const fn routes(self) -> u32 {
        self.updates * self.routes_each
    }

    fn generator(self, asn: u16, node: u8) -> Generator {
        Generator::new(asn, Ipv4Addr::new(192, 0, 2, node), self.family, (self.updates, self.routes_each))
    }
}

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
    let [(weft, memory), (bird, bird_memory), (frr, _), (gobgp, _)] =
        each(|name| medians(|| ingest_by(name, UNICAST)))?;
    let [(vpn_weft, vpn_memory), (vpn_bird, vpn_bird_memory), (vpn_frr, _), (vpn_gobgp, _)] =
        each(|name| medians(|| ingest_by(name, VPN)))?;
    let least = 1.0 / SLOWER_MAX;
    Ok(vec![
        Figure::new("bgp_ingest/bird", weft, "routes/s").beside(bird, least),
        Figure::new("bgp_ingest/frr", weft, "routes/s").beside(frr, 1.0),
        Figure::new("bgp_ingest/gobgp", weft, "routes/s").beside(gobgp, 1.0),
        Figure::new("bgp_ingest/memory", memory, "MB").at_most(MEMORY_MAX_MB),
        Figure::new("bgp_ingest/memory_bird", bird_memory, "MB"),
        Figure::new("bgp_ingest/vpnv4_bird", vpn_weft, "routes/s").beside(vpn_bird, least),
        Figure::new("bgp_ingest/vpnv4_frr", vpn_weft, "routes/s").beside(vpn_frr, 1.0),
        Figure::new("bgp_ingest/vpnv4_gobgp", vpn_weft, "routes/s").beside(vpn_gobgp, 1.0),
        Figure::new("bgp_ingest/vpnv4_memory", vpn_memory, "MB").at_most(2.0 * vpn_bird_memory),
        Figure::new("bgp_ingest/vpnv4_memory_bird", vpn_bird_memory, "MB"),
    ])
}

/// `bgp_reflect`: routes a second from one client to the last of four others.
pub(crate) fn reflect() -> anyhow::Result<Vec<Figure>> {
    let measure = |name: &str, load| {
        let (rate, _) = medians(|| Ok((reflect_by(name, load)?, 0.0))).with_context(|| name.to_owned())?;
        anyhow::Ok(rate)
    };
    let (weft, bird, frr) = (measure("weft", UNICAST)?, measure("bird", UNICAST)?, measure("frr", UNICAST)?);
    let (weft_of_fewer, gobgp) = (measure("weft", FEWER)?, measure("gobgp", FEWER)?);
    let (vpn_weft, vpn_bird, vpn_frr) = (measure("weft", VPN)?, measure("bird", VPN)?, measure("frr", VPN)?);
    let (vpn_weft_of_fewer, vpn_gobgp) = (measure("weft", FEWER_VPN)?, measure("gobgp", FEWER_VPN)?);
    Ok(vec![
        Figure::new("bgp_reflect/bird", weft, "routes/s").beside(bird, 1.0 / SLOWER_MAX),
        Figure::new("bgp_reflect/frr", weft, "routes/s").beside(frr, 1.0),
        Figure::new("bgp_reflect/gobgp_100k", weft_of_fewer, "routes/s").beside(gobgp, 1.0),
        Figure::new("bgp_reflect/vpnv4_bird", vpn_weft, "routes/s").beside(vpn_bird, 1.0 / SLOWER_MAX),
        Figure::new("bgp_reflect/vpnv4_frr", vpn_weft, "routes/s").beside(vpn_frr, 1.0),
        Figure::new("bgp_reflect/vpnv4_gobgp_20k", vpn_weft_of_fewer, "routes/s").beside(vpn_gobgp, 1.0),
    ])
}

/// Measures each daemon.
fn each<T>(measure: impl Fn(&str) -> anyhow::Result<T>) -> anyhow::Result<[T; 4]> {
    let [weft, bird, frr, gobgp] = NAMES.map(|name| measure(name).with_context(|| name.to_owned()));
    Ok([weft?, bird?, frr?, gobgp?])
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

fn ingest_by(name: &str, load: Load) -> anyhow::Result<(f64, f64)> {
    let fabric = Fabric::new(2);
    let generator = load.generator(OTHER_ASN, 2);
    let mut setup = Setup::new(fabric.address(1), fabric.address(2), &[load.family]);
    setup.peer_asn = OTHER_ASN.into();
    let daemon = start(name, &fabric, &setup);
    let (_session, begin) = generator.run(&fabric.namespace(2), fabric.address(1))?;
    until("all routes are there", PATIENCE, || daemon.has_all(fabric.address(2), load));
    let rate = f64::from(load.routes()) / begin.elapsed().as_secs_f64();
    let megabytes = daemon.resident_kib() as f64 * 1024.0 / 1e6;
    Ok((rate, megabytes))
}

fn reflect_by(name: &str, load: Load) -> anyhow::Result<f64> {
    let fabric = Fabric::new(2 + CLIENTS);
    let mut setup = Setup::new(fabric.address(1), fabric.address(2), &[load.family]);
    let clients = 3..3 + CLIENTS;
    setup.more_peers = clients.clone().map(|node| fabric.address(node)).collect();
    setup.reflects = true;
    let _daemon = start(name, &fabric, &setup);
    let listen = |node| {
        let silent = Load { updates: 0, ..load }.generator(ASN, node);
        silent.listen(&fabric.namespace(node), fabric.address(1), load.routes())
    };
    let heard = clients.map(listen).collect::<Result<Vec<_>, _>>()?;
    let (_session, begin) = load.generator(ASN, 2).run(&fabric.namespace(2), fabric.address(1))?;
    let mut last = begin;
    for client in heard {
        last = last.max(client.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??);
    }
    Ok(f64::from(load.routes()) / last.duration_since(begin).as_secs_f64())
}

fn start(name: &str, fabric: &Fabric, setup: &Setup) -> Daemon {
    let setup = &Setup { is_witnessed: false, ..setup.clone() };
    let (namespace, directory) = (fabric.namespace(1), fabric.directory());
    match name {
        "weft" => {
            let mut configuration = Weft::configuration(fabric.address(1));
            let families: Vec<Value> =
                setup.families.iter().map(|family| json!({ "family": family.name() })).collect();
            let neighbor = |address: IpAddr| -> Value {
                json!({ "address": address, "asn": setup.peer_asn.to_string(), "is_passive": true,
                    "is_route_reflector_client": setup.reflects, "families": families })
            };
            configuration["neighbors"] = setup.peers().map(neighbor).collect();
            Daemon::Weft(Weft::start(&namespace, directory, &configuration))
        }
        "bird" => Daemon::Bird(Bird::start(&namespace, directory, setup, &[])),
        "frr" => Daemon::Frr(Frr::start(&namespace, directory, setup, &[])),
        _ => Daemon::Gobgp(Gobgp::start(&namespace, directory, setup, &[])),
    }
}

impl Daemon {
    fn has_all(&self, from: IpAddr, load: Load) -> bool {
        let (routes, is_vpn) = (load.routes(), load.family == Family::VpnIpv4);
        match self {
            Self::Weft(weft) => weft.neighbor_status(from)["families"][0]["received"] == routes,
            Self::Bird(bird) => {
                let table = if is_vpn { "vpntab4" } else { "master4" };
                bird.show(&format!("show route count table {table}")).contains(&format!("{routes} of"))
            }
            Self::Frr(frr) => {
                let of = if is_vpn { "vpn" } else { "unicast" };
                let said = frr.show(&format!("show bgp ipv4 {of} summary json")).replace(' ', "");
                said.contains(&format!("\"pfxRcd\":{routes}"))
            }
            Self::Gobgp(gobgp) => {
                let of = if is_vpn { "vpnv4" } else { "ipv4" };
                gobgp.ask(&format!("global rib summary -a {of}")).contains(&routes.to_string())
            }
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
