//! From an UPDATE of a peer to the route in the kernel of every host of the VRF, in a lab of two hosts: of which the VRF is on both, or
//! on one.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use ipnet::Ipv4Net;
use serde_json::json;

use crate::events::{Message, listen};
use crate::figure::{Figure, median, milliseconds, quantile};
use crate::kernel::BareVrfRoutes;
use crate::site::{HOSTS, Peer, Site};

const SAMPLES: u32 = 300;
const WARM_UP: u32 = 20;
/// Announced at once.
const MANY: u32 = 100_000;
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked what the kernel has told; when it did so is noted as it does.
const LOOKS_EVERY: Duration = Duration::from_millis(1);
const ROUNDS: usize = 5;

/// RTNLGRP_IPV4_ROUTE, RTM_NEWROUTE and RTA_DST of rtnetlink(7).
const ROUTES: u32 = 7;
const NEW_ROUTE: u16 = 24;
const DESTINATION: u16 = 1;
/// The table of a VRF that is a namespace.
const MAIN: u8 = 254;

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let bench = Bench::up(&HOSTS)?;
    let mut times = bench.one_by_one()?;
    let into_two = bench.at_once()?;
    drop(bench);
    let mut into_one = Vec::new();
    for _ in 0..ROUNDS {
        into_one.push(Bench::up(&HOSTS[..1])?.at_once()?);
    }
    let rate = |took: Duration| f64::from(MANY) / took.as_secs_f64();
    let bare = rate(bare()?);
    let milliseconds = |share, times: &mut Vec<Duration>| milliseconds(quantile(times, share));
    Ok(vec![
        Figure::new("bgp_to_kernel", milliseconds(0.5, &mut times), "ms").at_most(20.0),
        Figure::new("bgp_to_kernel/p99_ms", milliseconds(0.99, &mut times), "ms"),
        Figure::new("bgp_to_kernel/routes_100k", rate(median(&mut into_one)), "/s").beside(bare, 0.7),
        Figure::new("bgp_to_kernel/two_hosts_100k", rate(into_two), "/s"),
    ])
}

/// A lab with a VPN on these of its hosts, a peer, and an ear in each one's VRF.
struct Bench {
    peer: Peer,
    heard: Vec<Receiver<(Ipv4Net, Instant)>>,
    _site: Site,
}

impl Bench {
    fn up(hosts: &[&str]) -> anyhow::Result<Self> {
        let site = Site::up()?;
        let network = site.network("192.168.0.0/24")?;
        site.join_vpn(&network)?;
        for host in hosts {
            let port = json!({ "network_id": network, "binding:host_id": host, "binding:profile": { "vnic": "tap" } });
            site.make("ports", "port", &port)?;
        }
        let vrfs = hosts.iter().map(|host| site.vrf(host)).collect::<anyhow::Result<Vec<_>>>()?;
        site.await_rest()?;
        let heard = vrfs.iter().map(|path| listen(path, ROUTES, destination));
        let heard = heard.collect::<anyhow::Result<Vec<_>>>()?;
        let peer = Peer::join(&site)?;
        Ok(Self { peer, heard, _site: site })
    }

    /// How long it took for each of many routes, one after the other, to be in the last kernel.
    fn one_by_one(&self) -> anyhow::Result<Vec<Duration>> {
        let mut times = Vec::new();
        for number in 0..WARM_UP + SAMPLES {
            let prefix = prefix(10, number)?;
            let begun = self.peer.announce(&[prefix])?;
            let mut last = begun;
            for heard in &self.heard {
                last = last.max(await_all(heard, &[prefix])?);
            }
            if number >= WARM_UP {
                times.push(last - begun);
            }
        }
        Ok(times)
    }

    /// How long it took from the first byte of many routes' announcement until all were in all kernels.
    fn at_once(&self) -> anyhow::Result<Duration> {
        let prefixes = many(11)?;
        let begun = self.peer.announce(&prefixes)?;
        let mut last = begun;
        for heard in &self.heard {
            last = last.max(await_all(heard, &prefixes)?);
        }
        Ok(last - begun)
    }
}

/// How long a bare loop takes for as many routes into one VRF, heard by as many ears.
fn bare() -> anyhow::Result<Duration> {
    let bare = BareVrfRoutes::up()?;
    let heard = listen(&bare.path(), ROUTES, destination)?;
    let prefixes = many(10)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = bare.send()?;
        times.push(await_all(&heard, &prefixes)? - begun);
        bare.take_away()?;
    }
    Ok(median(&mut times))
}

fn many(first: u8) -> anyhow::Result<Vec<Ipv4Net>> {
    (0..MANY).map(|number| prefix(first, number)).collect()
}

fn prefix(first: u8, number: u32) -> anyhow::Result<Ipv4Net> {
    let [_, a, b, c] = number.to_be_bytes();
    Ok(Ipv4Net::new(Ipv4Addr::new(first, a, b, c), 32)?)
}

/// Waits until a kernel has told of routes to all these; answers when it told of the last.
fn await_all(heard: &Receiver<(Ipv4Net, Instant)>, prefixes: &[Ipv4Net]) -> anyhow::Result<Instant> {
    let begun = Instant::now();
    let mut came = Vec::with_capacity(prefixes.len());
    let mut last = begun;
    // Whoever hears is not to have to wake whoever waits for each of very many.
    while came.len() < prefixes.len() {
        match heard.try_recv() {
            Ok((prefix, at)) => {
                came.push(prefix);
                last = at;
            }
            Err(TryRecvError::Empty) => thread::sleep(LOOKS_EVERY),
            Err(TryRecvError::Disconnected) => bail!("nobody hears the kernel any more"),
        }
        ensure!(begun.elapsed() < PATIENCE, "of {} routes {} came", prefixes.len(), came.len());
    }
    let (came, announced): (HashSet<_>, HashSet<_>) =
        (came.into_iter().collect(), prefixes.iter().copied().collect());
    ensure!(came == announced, "a route came that was not announced, or twice");
    Ok(last)
}

/// Where a route leads that has come.
fn destination(message: &Message<'_>) -> Option<Ipv4Net> {
    let &[_, length, _, _, table] = message.body.first_chunk()?;
    let is_ours = message.kind == NEW_ROUTE && table == MAIN;
    let octets: [u8; 4] = message.attribute(12, DESTINATION).filter(|_| is_ours)?.try_into().ok()?;
    Ipv4Net::new(Ipv4Addr::from(octets), length).ok()
}
