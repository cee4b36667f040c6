//! From the POST of a port on one host to its forwarding entry in the kernel of another, in a lab of two hosts.

use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::events::{Message, listen};
use crate::figure::{Figure, milliseconds, quantile};
use crate::http::Client;
use crate::site::{HOSTS, Site};

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
    site: Site,
    network: String,
    heard: Receiver<(Mac, Instant)>,
}

type Mac = [u8; 6];

impl Bench {
    fn up() -> anyhow::Result<Self> {
        let site = Site::up()?;
        let network = site.network("10.0.0.0/16")?;
        for host in HOSTS {
            site.make("ports", "port", &json!({ "network_id": network, "binding:host_id": host }))?;
        }
        let heard = listen(&site.namespace("host2")?, NEIGHBOURS, entry)?;
        Ok(Self { site, network, heard })
    }

    /// How long it took for each of many ports, one after the other.
    fn measure(&self, series: u8) -> anyhow::Result<Vec<Duration>> {
        let mut client = Client::connect(self.site.address)?;
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
        let mut client = Client::connect(self.site.address)?;
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

/// The address of a forwarding entry with a destination.
fn entry(message: &Message<'_>) -> Option<Mac> {
    let is_entry = message.kind == NEW_NEIGHBOUR && message.body.first() == Some(&7);
    // 1: the destination, 2: the address.
    message.attribute(12, 1).filter(|_| is_entry)?;
    message.attribute(12, 2)?.try_into().ok()
}
