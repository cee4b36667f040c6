//! One of three ports with one address loses its carrier: how long until flows no longer go there, on its own host and on the other.

use std::collections::BTreeMap;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use serde_json::json;

use crate::events::{Message, listen};
use crate::figure::{Figure, milliseconds, quantile};
use crate::kernel::index;
use crate::namespace::{ip, within};
use crate::site::{HOSTS, Site};

const SAMPLES: u32 = 300;
const WARM_UP: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(60);
/// The instances, each on its host; the first is cut off and comes back.
const INSTANCES: [(&str, &str); 3] = [("V11", "host1"), ("V12", "host1"), ("V13", "host2")];

/// RTNLGRP_NEXTHOP, RTM_NEWNEXTHOP, NHA_ID and NHA_GROUP, of linux/rtnetlink.h and linux/nexthop.h.
const NEXT_HOPS: u32 = 32;
const NEW_NEXT_HOP: u16 = 104;
const ID: u16 = 1;
const GROUP: u16 = 2;
/// RTM_NEWLINK and IFF_UP of rtnetlink(7) and netdevice(7).
const NEW_LINK: u16 = 16;
const UP: u32 = 1;

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let mut bench = Bench::up()?;
    let (mut here, mut there) = (Vec::new(), Vec::new());
    for number in 0..WARM_UP + SAMPLES {
        let begun = Instant::now();
        bench.vnics[0].set(false)?;
        let times = bench.await_weight(2)?;
        bench.vnics[0].set(true)?;
        bench.await_weight(3)?;
        if number >= WARM_UP {
            here.push(times[0] - begun);
            there.push(times[1] - begun);
        }
    }
    let figure = |name, times: &mut Vec<Duration>, share| {
        Figure::new(name, milliseconds(quantile(times, share)), "ms")
    };
    Ok(vec![
        figure("ecmp_failover", &mut here, 0.5),
        figure("ecmp_failover/p99_ms", &mut here, 0.99).at_most(50.0),
        figure("ecmp_failover/other_host_ms", &mut there, 0.5),
        figure("ecmp_failover/other_host_p99_ms", &mut there, 0.99).at_most(50.0),
    ])
}

/// A group of next hops, and the weights of all its members together.
type Group = (u32, u32);

/// A lab with three ports of one address, an ear in each host's VRF, and the ports' vNICs.
struct Bench {
    vnics: Vec<Vnic>,
    heard: [Groups; 2],
    _site: Site,
}

/// The groups of a kernel, as it has told of them.
struct Groups {
    events: Receiver<(Group, Instant)>,
    weights: BTreeMap<u32, u32>,
}

impl Bench {
    fn up() -> anyhow::Result<Self> {
        let site = Site::up()?;
        let network = site.network("10.1.1.0/24")?;
        site.join_vpn(&network)?;
        // One each that is no instance: the VRF is on both hosts before there are several paths.
        for host in HOSTS {
            let port = json!({ "network_id": network, "binding:host_id": host, "binding:profile": { "vnic": "tap" } });
            site.make("ports", "port", &port)?;
        }
        let [first, second] = HOSTS.map(|host| {
            let events = listen(&site.vrf(host)?, NEXT_HOPS, group)?;
            anyhow::Ok(Groups { events, weights: BTreeMap::new() })
        });
        let mut vnics = Vec::new();
        for (name, host) in INSTANCES {
            let port = json!({ "network_id": network, "anycast": true, "fixed_ips": [{ "ip_address": "10.1.1.5" }],
                "binding:host_id": host });
            let id = site.make("ports", "port", &port)?;
            vnics.push(Vnic::make(&site.namespace(host)?, name, &id)?);
        }
        let mut heard = [first?, second?];
        for groups in &mut heard {
            groups.await_weight(3)?;
        }
        site.await_rest()?;
        Ok(Self { vnics, heard, _site: site })
    }

    /// When each host's group had members of so much weight.
    fn await_weight(&mut self, weight: u32) -> anyhow::Result<[Instant; 2]> {
        let [first, second] = &mut self.heard;
        Ok([first.await_weight(weight)?, second.await_weight(weight)?])
    }
}

impl Groups {
    /// Waits for the group of all instances, which is never of less weight than two, to have this one.
    fn await_weight(&mut self, weight: u32) -> anyhow::Result<Instant> {
        loop {
            let ((id, now), at) = self
                .events
                .recv_timeout(PATIENCE)
                .with_context(|| format!("no group of weight {weight} came"))?;
            let before = self.weights.insert(id, now);
            if now == weight && (weight == 3 || before == Some(3)) {
                return Ok(at);
            }
        }
    }
}

fn group(message: &Message<'_>) -> Option<Group> {
    let id = message.attribute(8, ID).filter(|_| message.kind == NEW_NEXT_HOP)?;
    let members = message.attribute(8, GROUP)?.chunks_exact(8);
    // The fifth octet is the weight, less one.
    Some((u32::from_ne_bytes(id.try_into().ok()?), members.map(|member| u32::from(member[4]) + 1).sum()))
}

/// A workload's end of its vNIC, which the agent adopts and never switches on or off, in a namespace of its own.
struct Vnic {
    socket: Socket,
    index: u32,
    namespace: String,
}

impl Drop for Vnic {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "del", &self.namespace]) {
            eprintln!("bench: {error:#}");
        }
    }
}

impl Vnic {
    /// Makes that of a port, as whoever runs a workload does: the host's end is `tap` and the beginning of the port's identifier.
    fn make(host: &str, name: &str, port: &str) -> anyhow::Result<Self> {
        let host = host.rsplit('/').next().unwrap_or_default();
        let tap = format!("tap{}", port.get(..11).context("an identifier that is too short")?);
        let namespace = format!("wb{}-{name}", std::process::id());
        ip(&["netns", "add", &namespace])?;
        ip(&["-n", host, "link", "add", &tap, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
        ip(&["-n", host, "link", "set", &tap, "up"])?;
        ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
        let socket = within(&format!("/run/netns/{namespace}"), || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            Ok(socket)
        })?;
        let index = index(&namespace, "eth0")?;
        Ok(Self { socket, index, namespace })
    }

    fn set(&self, is_up: bool) -> anyhow::Result<()> {
        let mut message = 32_u32.to_ne_bytes().to_vec();
        message.extend(NEW_LINK.to_ne_bytes());
        // Request and acknowledge.
        message.extend(5_u16.to_ne_bytes());
        message.extend([0; 12]);
        message.extend(self.index.to_ne_bytes());
        message.extend((if is_up { UP } else { 0 }).to_ne_bytes());
        message.extend(UP.to_ne_bytes());
        self.socket.send(&message, 0)?;
        let mut answer = Vec::with_capacity(4096);
        self.socket.recv(&mut answer, 0)?;
        ensure!(answer.get(16..20) == Some(&[0; 4]), "the vNIC cannot be switched: {answer:?}");
        Ok(())
    }
}
