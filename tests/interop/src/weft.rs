//! Our own speaker, as a process that is asked by lines of JSON.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Process, until};
use crate::reference::{Family, Route, Setup};

const START: Duration = Duration::from_secs(10);

/// A weft-bgpd.
#[derive(Debug)]
pub struct Weft {
    namespace: String,
    directory: PathBuf,
    socket: PathBuf,
    configuration: Value,
    lives: u32,
    daemon: Option<Process>,
}

impl Weft {
    /// The configuration of a speaker of AS 65000 at this address without neighbours: `neighbors` and more can be put in.
    #[must_use]
    pub fn configuration(address: IpAddr) -> Value {
        let octet = crate::frr::last_octet(&address.to_string()).to_owned();
        json!({
            "speaker": { "asn": "65000", "router_id": format!("10.0.0.{octet}"), "without_external_policy": "everything" },
            "listen": [format!("{}:179", if address.is_ipv6() { "[::]" } else { "0.0.0.0" })],
            "neighbors": [],
        })
    }

    /// How a daemon that is set up so is seen as a neighbour from here: as its options are.
    #[must_use]
    pub fn neighbor(setup: &Setup) -> Value {
        let family = |family: &Family| {
            json!({
                "family": family.name(),
                "add_path_receive": setup.has_add_path,
                "add_path_send": setup.has_add_path,
                "extended_next_hop": setup.has_extended_next_hop,
            })
        };
        let mut neighbor = json!({
            "address": setup.address,
            "local_address": setup.peer,
            "asn": setup.asn.to_string(),
            "families": setup.families.iter().map(family).collect::<Vec<_>>(),
            "hold_time_s": 9,
            "connect_retry_ms": 500,
            "verifies_encoding": true,
        });
        if let Some(key) = &setup.password {
            neighbor["md5_key"] = json!(key);
        }
        if setup.has_ttl_security {
            neighbor["ttl_security_hops"] = json!(1);
        }
        if setup.is_graceful {
            neighbor["graceful_restart"] = json!({ "restart_time_s": 20 });
        }
        neighbor
    }

    /// Starts one in a namespace.
    ///
    /// # Panics
    /// When it is not built.
    #[must_use]
    pub fn start(namespace: &str, directory: &Path, configuration: &Value) -> Self {
        let (namespace, directory) = (namespace.to_owned(), directory.to_owned());
        let configuration = configuration.clone();
        let socket = PathBuf::new();
        let mut weft = Self { namespace, directory, socket, configuration, lives: 0, daemon: None };
        weft.run();
        weft
    }

    fn run(&mut self) {
        self.lives += 1;
        let file = |kind: &str| self.directory.join(format!("{}-weft.{kind}", self.namespace));
        let (configuration, log) = (file("json"), file("log"));
        self.socket = file(&format!("socket{}", self.lives));
        fs::write(&configuration, self.configuration.to_string()).expect("a configuration can be written");
        let arguments = [configuration.as_os_str(), "--socket".as_ref(), self.socket.as_os_str()];
        let program = program();
        self.daemon = Some(Process::start(&self.namespace, &program.display().to_string(), arguments, &log));
        until("weft-bgpd listens", START, || UnixStream::connect(&self.socket).is_ok());
    }

    /// Ends it without a goodbye, as a crash does.
    pub fn crash(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    /// Starts it again, with a changed configuration.
    pub fn restart(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.configuration);
        self.run();
    }

    /// The process.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.daemon.as_ref().expect("it runs")
    }

    /// Asks something, or orders it.
    ///
    /// # Panics
    /// When that is refused.
    #[must_use]
    pub fn ask(&self, request: &Value) -> Value {
        let answer = self.try_ask(request);
        assert!(answer["error"].is_null(), "{request}: {answer}");
        answer
    }

    /// As [`Weft::ask`], with the refusal as the answer.
    ///
    /// # Panics
    /// When the process is gone.
    #[must_use]
    pub fn try_ask(&self, request: &Value) -> Value {
        let mut stream = UnixStream::connect(&self.socket).expect("weft-bgpd listens");
        stream.write_all(format!("{request}\n").as_bytes()).expect("weft-bgpd listens");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("weft-bgpd answers");
        serde_json::from_str(&line).expect("an answer is JSON")
    }

    /// What it says of a neighbour.
    ///
    /// # Panics
    /// When it does not know it.
    #[must_use]
    pub fn neighbor_status(&self, address: IpAddr) -> Value {
        let neighbors = self.ask(&json!("neighbors"));
        let all = neighbors.as_array().expect("neighbours are a list");
        let found = all.iter().find(|neighbor| neighbor["address"] == json!(address));
        found.unwrap_or_else(|| panic!("{address} is not among {neighbors}")).clone()
    }

    /// Whether the session with a neighbour is established.
    #[must_use]
    pub fn is_established(&self, address: IpAddr) -> bool {
        self.neighbor_status(address)["state"] == "established"
    }

    /// What a neighbour has announced of a family.
    #[must_use]
    pub fn routes(&self, address: IpAddr, family: Family) -> Vec<Value> {
        let routes = self.ask(&json!({ "adj_in": [address, family.name()] }));
        routes.as_array().cloned().unwrap_or_default()
    }

    /// Those of them that contain a route's prefix or MAC address.
    #[must_use]
    pub fn found(&self, address: IpAddr, family: Family, route: &Route) -> Vec<Value> {
        let text = route.text();
        let is_it = |found: &Value| found["destination"].as_str().is_some_and(|found| found.contains(text));
        self.routes(address, family).into_iter().filter(is_it).collect()
    }

    /// Originates a route with a next hop.
    pub fn announce(&self, route: &Route, next_hop: IpAddr) {
        let _done = self.ask(&json!({ "originate": as_json(route, next_hop) }));
    }

    /// Originates it no more.
    ///
    /// # Panics
    /// When it was not.
    pub fn withdraw(&self, route: &Route, next_hop: IpAddr) {
        let was_there = self.ask(&json!({ "withdraw": as_json(route, next_hop) }));
        assert_eq!(was_there, true, "{route:?}");
    }

    /// Sees that every UPDATE of a neighbour was the same when it was written again; answers how many there were.
    ///
    /// # Panics
    /// When one was not.
    pub fn assert_encoding(&self, address: IpAddr) -> u64 {
        let statistics = &self.neighbor_status(address)["statistics"];
        assert_eq!(statistics["encoding_differences"], 0, "{statistics}");
        assert_eq!(statistics["faults"], 0, "{statistics}");
        statistics["updates_received"].as_u64().expect("a number")
    }
}

fn as_json(route: &Route, next_hop: IpAddr) -> Value {
    match route {
        Route::Unicast { prefix } => json!({ "prefix": prefix, "next_hop": next_hop }),
        Route::Vpn { distinguisher, prefix, label, target } => json!({
            "prefix": prefix, "distinguisher": distinguisher, "label": label, "route_targets": [target], "next_hop": next_hop,
        }),
        Route::EvpnPrefix { distinguisher, prefix, vni, target } => json!({
            "prefix": prefix, "distinguisher": distinguisher, "vni": vni, "route_targets": [target], "next_hop": next_hop,
        }),
        Route::EvpnMulticast { distinguisher, originator, vni, target } => json!({
            "originator": originator, "distinguisher": distinguisher, "vni": vni, "route_targets": [target], "next_hop": next_hop,
        }),
        Route::EvpnMac { distinguisher, mac, vni, target } => json!({
            "mac": mac, "distinguisher": distinguisher, "vni": vni, "route_targets": [target], "next_hop": next_hop,
        }),
    }
}

/// The program: beside who asks, or, since tests are in a directory of their own, beside that.
fn program() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows where it is");
    let found = own.ancestors().skip(1).take(2).map(|directory| directory.join("weft-bgpd"));
    let found = found.into_iter().find(|program| program.is_file());
    found.expect("weft-bgpd is built: cargo build --workspace --bins")
}
