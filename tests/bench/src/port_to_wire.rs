//! From the POST of a port in a network of a VPN to the EVPN route of it at a BGP peer: the port's host has made its way there meanwhile.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use ipnet::Ipv4Net;
use serde_json::{Value, json};

use crate::figure::{Figure, milliseconds, quantile};
use crate::http::Client;
use crate::site::{HOSTS, Peer, Site};

const SAMPLES: u32 = 300;
const WARM_UP: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let site = Site::up()?;
    let network = site.network("10.0.0.0/16")?;
    site.join_vpn(&network)?;
    for host in HOSTS {
        site.make("ports", "port", &json!({ "network_id": network, "binding:host_id": host }))?;
    }
    site.await_rest()?;
    let peer = Peer::join(&site)?;
    let mut client = Client::connect(site.address)?;
    let mut times = Vec::new();
    for number in 0..WARM_UP + SAMPLES {
        let host = HOSTS[number as usize % HOSTS.len()];
        // Without a vNIC: a tap that the agent makes has no carrier before somebody uses it, and then nothing is announced.
        let port = json!({ "port": { "network_id": network, "binding:host_id": host } });
        let body = port.to_string();
        let begun = Instant::now();
        let (status, answer) = client.ask("POST", "/v2.0/ports", &body)?;
        ensure!(status == 201, "a port was not made: {status}");
        let made: Value = serde_json::from_slice(answer)?;
        let address =
            made["port"]["fixed_ips"][0]["ip_address"].as_str().context("a port without an address")?;
        let prefix = Ipv4Net::new(address.parse()?, 32)?;
        let at = loop {
            let (heard, at) = peer.heard.recv_timeout(PATIENCE).context("a route did not come")?;
            if heard == prefix {
                break at;
            }
        };
        if number >= WARM_UP {
            times.push(at - begun);
        }
    }
    Ok(vec![
        Figure::new("port_to_wire", milliseconds(quantile(&mut times, 0.5)), "ms").at_most(10.0),
        Figure::new("port_to_wire/p99_ms", milliseconds(quantile(&mut times, 0.99)), "ms"),
    ])
}
