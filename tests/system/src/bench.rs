//! A lab for one test: it comes up with the value and goes with it; one at a time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_lab::{ContinuousPing, Lab, LabName, LabSpec, PingCount, PingPair, down, up};
use weft_soak::patience;

use crate::Http;

/// How long hosts have to come to rest.
const REST: Duration = Duration::from_secs(30);
/// How long after one look the next is taken.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

static TURN: Mutex<()> = Mutex::new(());

/// The hosts of every lab, by number, whose VRFs are VRF devices, as `WEFT_TEST_VRF_DEVICES_ON` says (`2,3`); none without it.
fn vrf_device_hosts() -> BTreeSet<u16> {
    let said = std::env::var("WEFT_TEST_VRF_DEVICES_ON").unwrap_or_default();
    let numbers = said.split(',').filter(|number| !number.is_empty());
    numbers.map(|number| number.parse().expect("WEFT_TEST_VRF_DEVICES_ON has numbers")).collect()
}

/// Whether the VRFs on this host of every lab are VRF devices.
#[must_use]
pub fn has_vrf_devices(host: &str) -> bool {
    vrf_device_hosts().iter().any(|number| host == format!("host{number}"))
}

/// Whoever has it may have a lab: tests of one process come one after the other.
pub struct Turn {
    _guard: MutexGuard<'static, ()>,
}

impl Turn {
    /// Waits for it.
    #[must_use]
    pub fn take() -> Self {
        Self { _guard: TURN.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// A lab that is up.
pub struct Bench {
    lab: Lab,
    name: LabName,
    http: Http,
    // Last, so that the next test begins when this one's lab is gone.
    _turn: Turn,
}

impl Drop for Bench {
    fn drop(&mut self) {
        if thread::panicking() {
            self.show_logs();
        }
        if let Err(error) = down(&self.name, |_| {}) {
            eprintln!("lab {} is not gone: {error}", self.name);
        }
    }
}

/// Looks again and again until there is something to be seen; answers it and how long that took.
///
/// # Panics
/// When that takes longer than it may ([`patience`]).
pub fn until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> (T, Duration) {
    let (begin, within) = (Instant::now(), patience(within));
    loop {
        if let Some(found) = look() {
            return (found, begin.elapsed());
        }
        assert!(begin.elapsed() < within, "{what}: not within {within:?}");
        thread::sleep(LOOK_INTERVAL);
    }
}

/// Stops pings and sees that there were some, and that none was lost; answers how many, and the longest gap between answers.
///
/// # Panics
/// When one was lost, or none sent.
pub fn no_loss(pings: ContinuousPing) -> (u64, Duration) {
    let counts = pings.stop().expect("pings can be stopped");
    let lost: Vec<&PingCount> = counts.iter().filter(|count| count.lost > 0 || count.sent == 0).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let gap = counts.iter().map(|count| count.longest_gap).max().unwrap_or_default();
    (counts.iter().map(|count| count.sent).sum(), gap)
}

/// Waits until so many more pings of each pair have been sent: so long nothing else happens.
pub fn more_pings(pings: &ContinuousPing, count: u64) {
    let sent = || pings.counts().iter().map(|count| count.sent).min().unwrap_or_default();
    let enough = sent() + count;
    until("pings go on", REST, || (sent() >= enough).then_some(()));
}

impl Bench {
    /// A lab of this name, with so many hosts, its API at this port.
    ///
    /// # Panics
    /// When it does not come up: the programs are not built, one is not root, the port is taken.
    #[must_use]
    pub fn up(name: &str, hosts: u16, port: u16) -> Self {
        Self::up_as(spec_of(name, hosts, port))
    }

    /// A lab that is made so.
    ///
    /// # Panics
    /// When it does not come up: the programs are not built, one is not root, the port is taken.
    #[must_use]
    pub fn up_as(spec: LabSpec) -> Self {
        let turn = Turn::take();
        let name = spec.name.clone();
        down(&name, |_| {}).expect("what an interrupted test left can be removed");
        let lab = up(&spec, |_| {}).unwrap_or_else(|error| panic!("lab {name}: {error}"));
        let address = lab.controller_url().trim_start_matches("http://").parse();
        Self { lab, name, http: Http::new(address.expect("the API has an address")), _turn: turn }
    }

    /// The lab.
    #[must_use]
    pub const fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Its API.
    #[must_use]
    pub const fn http(&self) -> Http {
        self.http
    }

    /// What the controller says of its hosts, by host.
    ///
    /// # Panics
    /// When it says nothing.
    #[must_use]
    pub fn reports(&self) -> Vec<Value> {
        let status = self.http.get("/v1/status");
        status["hosts"].as_array().expect("a status has hosts").clone()
    }

    /// What the controller says of one host.
    ///
    /// # Panics
    /// When it does not know it.
    #[must_use]
    pub fn report(&self, host: &str) -> Value {
        let found = self.reports().into_iter().find(|report| report["name"] == host);
        found.unwrap_or_else(|| panic!("{host} is not known"))
    }

    /// Waits until every host has been sent all that was written, and has done it; answers how long that took.
    pub fn await_rest(&self) -> Duration {
        let is_distributed = || {
            let ready = self.http.ask("GET", "/readyz", &Value::Null).json();
            ready["version"] == ready["distributed"]
        };
        let is_at_rest = |report: &Value| report["alive"] == true && report["at_rest"] == true;
        let are_at_rest = || is_distributed() && self.reports().iter().all(is_at_rest);
        until("every host at rest", REST, || are_at_rest().then_some(())).1
    }

    /// Waits until a resource has this status; answers how long that took.
    pub fn await_status(&self, collection: &str, id: &str, status: &str) -> Duration {
        let what = format!("{collection} {id} {status}");
        until(&what, REST, || (self.http.show(collection, id)["status"] == status).then_some(())).1
    }

    /// Waits until the controller has noticed the death of these hosts' agents.
    pub fn await_dead(&self, hosts: &[String]) {
        let is_dead = |host: &String| self.report(host)["alive"] == false;
        until("dead agents noticed", REST, || hosts.iter().all(is_dead).then_some(()));
    }

    /// Starts the agents of these hosts anew and waits until they are connected; answers how long that took.
    ///
    /// # Panics
    /// When one does not.
    pub fn start_agents(&self, hosts: &[String]) -> Duration {
        let begin = Instant::now();
        for host in hosts {
            self.lab.start_agent(host).unwrap_or_else(|error| panic!("agent of {host}: {error}"));
        }
        self.lab.await_agents(hosts).expect("agents connect");
        begin.elapsed()
    }

    /// A network with a subnet of this prefix; answers its identifier.
    #[must_use]
    pub fn network(&self, name: &str, cidr: &str) -> String {
        let network = self.http.create_id("networks", &json!({ "network": { "name": name } }));
        let version = if cidr.contains(':') { 6 } else { 4 };
        let subnet =
            json!({ "network_id": network, "cidr": cidr, "ip_version": version, "gateway_ip": null });
        let _subnet = self.http.create_id("subnets", &json!({ "subnet": subnet }));
        network
    }

    /// A port of a workload that the agent makes: a namespace of this name. Answers its identifier.
    #[must_use]
    pub fn workload(&self, network: &str, host: &str, name: &str, address: &str) -> String {
        let port = json!({
            "network_id": network, "name": name, "binding:host_id": host, "binding:profile": { "namespace": name },
            "fixed_ips": [{ "ip_address": address }],
        });
        self.http.create_id("ports", &json!({ "port": port }))
    }

    /// Pings that go on until they are stopped: of (host, workload, address).
    ///
    /// # Panics
    /// When there is no such workload.
    #[must_use]
    pub fn pinging(&self, pairs: &[(&str, &str, &str)]) -> ContinuousPing {
        let pair = |(host, workload, address): &(&str, &str, &str)| PingPair {
            host: (*host).to_owned(),
            workload: (*workload).to_owned(),
            address: address.parse().expect("a test gives good addresses"),
        };
        let pairs: Vec<PingPair> = pairs.iter().map(pair).collect();
        ContinuousPing::start(&self.name, &pairs).expect("workloads can ping")
    }

    /// What a program of the lab has logged.
    #[must_use]
    pub fn log(&self, role: &str) -> String {
        std::fs::read_to_string(self.lab.log(role)).unwrap_or_default()
    }

    fn show_logs(&self) {
        for role in self.lab.hosts().iter().map(String::as_str).chain(["controller"]) {
            let log = self.log(role);
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("-- {role}\n{}", lines[lines.len().saturating_sub(15)..].join("\n"));
        }
    }
}

/// A lab of this name, of the shipped programs.
///
/// # Panics
/// When that is no name of a lab, or the programs are not built.
#[must_use]
pub fn spec(name: &str) -> LabSpec {
    let name: LabName = name.parse().expect("a test gives its lab a good name");
    LabSpec { binaries: Some(binaries()), ..LabSpec::new(name) }
}

/// A lab of this name, with so many hosts, its API at this port; those hosts have VRF devices that are to have them.
///
/// # Panics
/// As [`spec`] does.
#[must_use]
pub fn spec_of(name: &str, hosts: u16, port: u16) -> LabSpec {
    let mut vrf_device_hosts = vrf_device_hosts();
    vrf_device_hosts.retain(|number| *number <= hosts);
    LabSpec { hosts, port, vrf_device_hosts, ..spec(name) }
}

/// Where the shipped programs are: beside the directory of the tests or, in the virtual machine, beside the test.
///
/// # Panics
/// When they are not built.
#[must_use]
pub fn binaries() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows where it is");
    let beside = own.parent().expect("a test is in a directory");
    if beside.join("weft-controller").is_file() {
        return beside.to_owned();
    }
    let directory = beside.parent().expect("tests are in deps").to_owned();
    for program in ["weft-controller", "weft-agent", "weft"] {
        assert!(directory.join(program).is_file(), "{program} is not built: cargo build --workspace --bins");
    }
    directory
}
