//! From the POST of a port on one host to its forwarding entry in the kernel of another, in a lab of two hosts.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use netlink_sys::{Socket, SocketAddr as NetlinkAddress, protocols::NETLINK_ROUTE};
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::{Value, json};
use weft_lab::{Lab, LabSpec};

use crate::daemon::binaries;
use crate::figure::{Figure, milliseconds, quantile};
use crate::http::Client;
use crate::namespace::within;

const SAMPLES: u32 = 300;
const WARM_UP: u32 = 20;
const EXISTING: usize = 20_000;
const CHUNK: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(120);

/// RTNLGRP_NEIGH and RTM_NEWNEIGH of rtnetlink(7).
const NEIGHBOURS: u32 = 3;
const NEW_NEIGHBOUR: u16 = 28;

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let bench = Bench::up()?;
    let mut times = bench.measure(1)?;
    bench.fill()?;
    let mut times_full = bench.measure(2)?;
    let mut figure = |name, of_full: bool, share, most| {
        let times = if of_full { &mut times_full } else { &mut times };
        Figure::new(name, milliseconds(quantile(times, share)), "ms").at_most(most)
    };
    Ok(vec![
        figure("api_to_kernel", false, 0.5, 15.0),
        figure("api_to_kernel/p99_ms", false, 0.99, 50.0),
        figure("api_to_kernel/at_20k_p50_ms", true, 0.5, 15.0),
        figure("api_to_kernel/at_20k_p99_ms", true, 0.99, 50.0),
    ])
}

/// A lab, a network on both of its hosts, and an ear in the second.
struct Bench {
    _down: Down,
    address: SocketAddr,
    network: String,
    heard: Receiver<(Mac, Instant)>,
}

type Mac = [u8; 6];

/// Takes the lab down with the value.
struct Down {
    lab: Lab,
    _directory: tempfile::TempDir,
}

impl Drop for Down {
    fn drop(&mut self) {
        if let Err(error) = weft_lab::down(self.lab.name(), |_| {}) {
            eprintln!("bench: {error}");
        }
    }
}

impl Bench {
    fn up() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let name = format!("b{}", std::process::id() % 10_000_000).parse()?;
        let spec = LabSpec {
            binaries: Some(binaries()?),
            state_directory: Some(directory.path().join("lab")),
            ..LabSpec::new(name)
        };
        let down = Down { lab: weft_lab::up(&spec, |_| {})?, _directory: directory };
        let address = down.lab.controller_url().trim_start_matches("http://").parse()?;
        let mut client = Client::connect(address)?;
        let network = client.json("POST", "/v2.0/networks", &json!({ "network": { "name": "wide" } }))?;
        let network =
            network["network"]["id"].as_str().context("a network without an identifier")?.to_owned();
        let subnet = json!({ "subnet": { "network_id": network, "ip_version": 4, "cidr": "10.0.0.0/16" } });
        client.json("POST", "/v2.0/subnets", &subnet)?;
        for host in ["host1", "host2"] {
            let port = json!({ "port": { "network_id": network, "binding:host_id": host } });
            client.json("POST", "/v2.0/ports", &port)?;
        }
        let path = down.lab.host_namespace("host2")?.display().to_string();
        let (told, heard) = channel();
        let socket = within(&path, ear)?;
        thread::spawn(move || listen(&socket, &told));
        Ok(Self { _down: down, address, network, heard })
    }

    /// How long it took for each of many ports, one after the other.
    fn measure(&self, series: u8) -> anyhow::Result<Vec<Duration>> {
        let mut client = Client::connect(self.address)?;
        let mut times = Vec::new();
        for number in 0..WARM_UP + SAMPLES {
            let [_, _, high, low] = number.to_be_bytes();
            let mac = [0x02, 0x77, 0, series, high, low];
            let text = mac.map(|octet| format!("{octet:02x}")).join(":");
            let body = format!(
                r#"{{"port":{{"network_id":"{}","binding:host_id":"host1","mac_address":"{text}"}}}}"#,
                self.network
            );
            let begun = Instant::now();
            let (status, _) = client.ask("POST", "/v2.0/ports", &body)?;
            ensure!(status == 201, "a port was not made: {status}");
            let at = self.await_entry(mac)?;
            if number >= WARM_UP {
                times.push(at - begun);
            }
        }
        Ok(times)
    }

    fn await_entry(&self, mac: Mac) -> anyhow::Result<Instant> {
        loop {
            let (heard, at) = self.heard.recv_timeout(PATIENCE).context("an entry did not come")?;
            if heard == mac {
                return Ok(at);
            }
        }
    }

    /// Has the second host hold 20,000 entries, and waits until it does and nothing more happens.
    fn fill(&self) -> anyhow::Result<()> {
        let mut client = Client::connect(self.address)?;
        let (mut entries, begun) = (0, Instant::now());
        for _ in (0..EXISTING).step_by(CHUNK) {
            let port = json!({ "network_id": self.network, "binding:host_id": "host1" });
            client.json("POST", "/v2.0/ports", &json!({ "ports": vec![port; CHUNK] }))?;
        }
        while entries < EXISTING {
            ensure!(begun.elapsed() < PATIENCE, "only {entries} entries came");
            if self.heard.recv_timeout(PATIENCE).is_ok() {
                entries += 1;
            }
        }
        let behind = |host: &Value| host["alive"] != Value::Bool(true);
        let hosts = client.json("GET", "/v2.0/hosts", &Value::Null)?;
        let lost = hosts["hosts"].as_array().is_none_or(|hosts| hosts.iter().any(behind));
        ensure!(!lost, "an agent is gone: {hosts}");
        // Both hosts take note of what they did.
        thread::sleep(Duration::from_secs(3));
        Ok(())
    }
}

fn ear() -> anyhow::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&NetlinkAddress::new(0, 0))?;
    setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20))?;
    socket.add_membership(NEIGHBOURS)?;
    Ok(socket)
}

/// Tells of each forwarding entry with a destination when it is there.
fn listen(socket: &Socket, told: &Sender<(Mac, Instant)>) {
    let mut buffer = Vec::with_capacity(64 * 1024);
    loop {
        buffer.clear();
        if let Err(error) = socket.recv(&mut buffer, 0) {
            // Entries that are waited for are then missed, and that is said.
            eprintln!("bench: {}", anyhow!(error));
            return;
        }
        let at = Instant::now();
        for mac in entries(&buffer) {
            if told.send((mac, at)).is_err() {
                return;
            }
        }
    }
}

/// The addresses of the forwarding entries with a destination of which these messages tell.
fn entries(mut messages: &[u8]) -> Vec<Mac> {
    let mut found = Vec::new();
    while let Some((message, rest)) =
        split(messages, |bytes| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
    {
        messages = rest;
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        if kind != NEW_NEIGHBOUR || message.get(16).copied() != Some(7) {
            continue;
        }
        let (mut mac, mut has_destination): (Option<Mac>, bool) = (None, false);
        let mut attributes = message.get(28..).unwrap_or_default();
        while let Some((attribute, rest)) =
            split(attributes, |bytes| u16::from_ne_bytes([bytes[0], bytes[1]]) as usize)
        {
            attributes = rest;
            match u16::from_ne_bytes([attribute[2], attribute[3]]) {
                1 => has_destination = true,
                2 => mac = attribute[4..].try_into().ok(),
                _ => {}
            }
        }
        found.extend(mac.filter(|_| has_destination));
    }
    found
}

/// The first of several things that each begin with their length, and what comes after it, aligned to four bytes.
fn split(bytes: &[u8], length: impl Fn(&[u8]) -> usize) -> Option<(&[u8], &[u8])> {
    let length = length(bytes.get(..4)?);
    let first = bytes.get(..length).filter(|first| first.len() >= 4)?;
    Some((first, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}
