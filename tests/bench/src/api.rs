//! The REST API of a controller process: its store on disk, one connection to a client, all of it over loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::daemon::{Controller, certificates};
use crate::figure::{Figure, median, milliseconds, quantile};
use crate::http::Client;
use crate::population::{Population, Size, host_name, on_disk};

const CLIENTS: usize = 16;
const CREATE_FOR: Duration = Duration::from_secs(6);
const GET_FOR: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_millis(500);
const BULK_ROUNDS: usize = 21;
/// Each is measured alone: the distribution of the one before is over.
const BULK_PAUSE: Duration = Duration::from_millis(100);
const LIST_ROUNDS: usize = 5;
const PAGES: usize = 10;
const PAGE: usize = 1000;

/// Hosts are known and none is connected. New ports go to networks of 100 ports.
const EMPTY: Size = Size { hosts: 1000, networks: 0, ports_per_network: 100, hosts_per_network: 50 };
const FULL: Size = Size { networks: 1000, ..EMPTY };

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let empty = Site::start(EMPTY)?;
    let (rate, p99) = empty.create_rate()?;
    let bulk = empty.bulk()?;
    drop(empty);
    let full = Site::start(FULL)?;
    let (full_rate, full_p99) = full.create_rate()?;
    let get = full.get_rate()?;
    let list = full.list()?;
    Ok(vec![
        Figure::new("port_create", rate, "/s").at_least(2000.0),
        Figure::new("port_create/p99_ms", p99, "ms").at_most(20.0),
        Figure::new("port_create/at_100k", full_rate, "/s").beside(rate, 0.5),
        Figure::new("port_create/at_100k_p99_ms", full_p99, "ms").at_most(20.0),
        Figure::new("port_bulk", bulk, "ms").at_most(20.0),
        Figure::new("port_get", get, "/s").at_least(20_000.0),
        Figure::new("port_list", list, "s").at_most(0.5),
    ])
}

/// A controller over a site of a wanted size.
struct Site {
    population: Population,
    controller: Controller,
    _directory: tempfile::TempDir,
}

impl Site {
    fn start(size: Size) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        certificates(directory.path(), &[])?;
        let population = on_disk(size, &directory.path().join("state"))?;
        let controller = Controller::start(directory.path())?;
        Ok(Self { population, controller, _directory: directory })
    }

    /// A connection of its own for each measurement: the controller ends those that say nothing for long.
    fn client(&self) -> anyhow::Result<Client> {
        Client::connect(self.controller.api)
    }

    /// Ports that 16 clients make in a second, each with the next request as soon as the last is answered; and the 99th
    /// percentile of the answers' times in milliseconds.
    fn create_rate(&self) -> anyhow::Result<(f64, f64)> {
        let networks = self.networks(1200)?;
        let next = Arc::new(AtomicUsize::new(0));
        let ask = move |client: &mut Client| {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let network = number / 100 % networks.len();
            let host = host_name((network + number % 50) % 1000);
            let body =
                format!(r#"{{"port":{{"network_id":"{}","binding:host_id":"{host}"}}}}"#, networks[network]);
            let (status, answer) = client.ask("POST", "/v2.0/ports", &body)?;
            ensure!(status == 201, "a port was not made: {status} {}", String::from_utf8_lossy(answer));
            Ok(())
        };
        let (mut times, took) = load(self.controller.api, CREATE_FOR, ask)?;
        let rate = times.len() as f64 / took.as_secs_f64();
        Ok((rate, milliseconds(quantile(&mut times, 0.99))))
    }

    /// New networks, each with a subnet.
    fn networks(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let (mut client, mut made) = (self.client()?, Vec::new());
        for begin in (0..count).step_by(PAGE) {
            let some: Vec<Value> = (begin..count.min(begin + PAGE))
                .map(|number| json!({ "name": format!("new-{number}") }))
                .collect();
            let answer = client.json("POST", "/v2.0/networks", &json!({ "networks": some }))?;
            let ids = ids(&answer["networks"])?;
            let subnet = |id| json!({ "network_id": id, "ip_version": 4, "cidr": "10.0.0.0/16" });
            let subnets: Vec<Value> = ids.iter().map(subnet).collect();
            client.json("POST", "/v2.0/subnets", &json!({ "subnets": subnets }))?;
            made.extend(ids);
        }
        Ok(made)
    }

    /// The time in milliseconds of one request for 100 ports in a subnet that has 700.
    fn bulk(&self) -> anyhow::Result<f64> {
        let (mut client, mut times) = (self.client()?, Vec::new());
        let networks = self.networks(BULK_ROUNDS)?;
        let ports = |network: &String, count: usize| {
            let one = |number| json!({ "network_id": network, "binding:host_id": host_name(number % 50) });
            json!({ "ports": (0..count).map(one).collect::<Vec<Value>>() })
        };
        for network in &networks {
            client.json("POST", "/v2.0/ports", &ports(network, 700))?;
        }
        thread::sleep(WARM_UP);
        for network in &networks {
            let body = ports(network, 100).to_string();
            let begun = Instant::now();
            let (status, _) = client.ask("POST", "/v2.0/ports", &body)?;
            times.push(begun.elapsed());
            ensure!(status == 201, "the ports were not made: {status}");
            thread::sleep(BULK_PAUSE);
        }
        Ok(milliseconds(median(&mut times)))
    }

    /// Answers a second to 16 clients that each ask for one port after the other.
    fn get_rate(&self) -> anyhow::Result<f64> {
        let paths: Vec<String> = self.population.ports.iter().map(|id| format!("/v2.0/ports/{id}")).collect();
        let next = Arc::new(AtomicUsize::new(0));
        let ask = move |client: &mut Client| {
            // A prime step: neighbours in time are not neighbours in the model.
            let number = next.fetch_add(7919, Ordering::Relaxed) % paths.len();
            let (status, _) = client.ask("GET", &paths[number], "")?;
            ensure!(status == 200, "a port was not shown: {status}");
            Ok(())
        };
        let (times, took) = load(self.controller.api, GET_FOR, ask)?;
        Ok(times.len() as f64 / took.as_secs_f64())
    }

    /// The time in seconds of ten pages of a thousand ports, each by the link of the one before.
    fn list(&self) -> anyhow::Result<f64> {
        let (mut client, mut times) = (self.client()?, Vec::new());
        for _ in 0..LIST_ROUNDS {
            let mut path = format!("/v2.0/ports?limit={PAGE}");
            let mut took = Duration::ZERO;
            for _ in 0..PAGES {
                let begun = Instant::now();
                let (status, answer) = client.ask("GET", &path, "")?;
                took += begun.elapsed();
                ensure!(status == 200, "a page was not shown: {status}");
                let answer: Value = serde_json::from_slice(answer)?;
                ensure!(ids(&answer["ports"])?.len() == PAGE, "a page is not full");
                let link = answer["ports_links"][0]["href"].as_str().context("a page without a link")?;
                path = link
                    .split_once("/v2.0")
                    .map(|(_, rest)| format!("/v2.0{rest}"))
                    .context("a strange link")?;
            }
            times.push(took);
        }
        Ok(median(&mut times).as_secs_f64())
    }
}

fn ids(list: &Value) -> anyhow::Result<Vec<String>> {
    let list = list.as_array().context("an answer without a list")?;
    let id = |one: &Value| one["id"].as_str().map(str::to_owned);
    list.iter().map(id).collect::<Option<_>>().context("a resource without an identifier")
}

/// Has 16 clients ask for so long, after a warm-up; answers how long each answer took, and how long all of it.
fn load(
    address: SocketAddr,
    time: Duration,
    ask: impl Fn(&mut Client) -> anyhow::Result<()> + Clone + Send + 'static,
) -> anyhow::Result<(Vec<Duration>, Duration)> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + time;
    let client = |_| {
        let ask = ask.clone();
        thread::spawn(move || -> anyhow::Result<Vec<Duration>> {
            let (mut client, mut times) = (Client::connect(address)?, Vec::new());
            loop {
                let begun = Instant::now();
                ask(&mut client)?;
                let done = Instant::now();
                if done > end {
                    return Ok(times);
                }
                if begun >= begin {
                    times.push(done - begun);
                }
            }
        })
    };
    let threads: Vec<_> = (0..CLIENTS).map(client).collect();
    let mut times = Vec::new();
    for thread in threads {
        times.extend(thread.join().map_err(|_| anyhow::anyhow!("a client panicked"))??);
    }
    Ok((times, time))
}
