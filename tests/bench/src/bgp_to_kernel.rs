//! From an UPDATE of a peer to the route in the kernel of every host of the VRF, in a lab of two hosts: of which the VRF is on both, or
//! on one.

use std::net::Ipv4Addr;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ipnet::Ipv4Net;
use serde_json::json;

use crate::events::{Message, listen};
use crate::figure::{Figure, milliseconds, quantile};
use crate::kernel;
use crate::site::{HOSTS, Peer, Site};

const SAMPLES: u32 = 300;
const WARM_UP: u32 = 20;
/// Announced at once.
const MANY: u32 = 100_000;
const PATIENCE: Duration = Duration::from_secs(120);

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
    let into_one = Bench::up(&HOSTS[..1])?.at_once()?;
    let rate = |took: Duration| f64::from(MANY) / took.as_secs_f64();
    let bare = kernel::bare_vrf_routes()?;
    let milliseconds = |share, times: &mut Vec<Duration>| milliseconds(quantile(times, share));
    Ok(vec![
        Figure::new("bgp_to_kernel", milliseconds(0.5, &mut times), "ms").at_most(20.0),
        Figure::new("bgp_to_kernel/p99_ms", milliseconds(0.99, &mut times), "ms"),
        Figure::new("bgp_to_kernel/routes_100k", rate(into_one), "/s").beside(bare, 0.7),
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
        let prefixes = (0..MANY).map(|number| prefix(11, number)).collect::<anyhow::Result<Vec<_>>>()?;
        let begun = self.peer.announce(&prefixes)?;
        let mut last = begun;
        for heard in &self.heard {
            last = last.max(await_all(heard, &prefixes)?);
        }
        Ok(last - begun)
    }
}

fn prefix(first: u8, number: u32) -> anyhow::Result<Ipv4Net> {
    let [_, a, b, c] = number.to_be_bytes();
    Ok(Ipv4Net::new(Ipv4Addr::new(first, a, b, c), 32)?)
}

/// Waits until a kernel has told of routes to all these; answers when it told of the last.
fn await_all(heard: &Receiver<(Ipv4Net, Instant)>, prefixes: &[Ipv4Net]) -> anyhow::Result<Instant> {
    let mut left: std::collections::HashSet<Ipv4Net> = prefixes.iter().copied().collect();
    loop {
        let (prefix, at) =
            heard.recv_timeout(PATIENCE).with_context(|| format!("{} routes did not come", left.len()))?;
        ensure!(left.remove(&prefix), "a route to {prefix} came that was not announced, or twice");
        if left.is_empty() {
            return Ok(at);
        }
    }
}

/// Where a route leads that has come.
fn destination(message: &Message<'_>) -> Option<Ipv4Net> {
    let &[_, length, _, _, table] = message.body.first_chunk()?;
    let is_ours = message.kind == NEW_ROUTE && table == MAIN;
    let octets: [u8; 4] = message.attribute(12, DESTINATION).filter(|_| is_ours)?.try_into().ok()?;
    Ipv4Net::new(Ipv4Addr::from(octets), length).ok()
}
