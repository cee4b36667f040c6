//! FRR: zebra and bgpd of one namespace.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{Group, User};

use crate::process::{Process, ask, until};
use crate::reference::{Family, Reference, Route, Setup};

const PROGRAMS: &str = "/usr/lib/frr";
const START: Duration = Duration::from_secs(10);

/// A zebra and a bgpd.
#[derive(Debug)]
pub struct Frr {
    namespace: String,
    logs: PathBuf,
    setup: Setup,
    announced: Vec<Route>,
    bgpd: Option<Process>,
    /// The route target of the VNI.
    target: RefCell<Option<String>>,
    _zebra: Process,
    // Last, so that the daemons still have their sockets when they end.
    _directories: Directories,
}

/// `/etc/frr/NS` and `/run/frr/NS`.
#[derive(Debug)]
struct Directories(String);

impl Directories {
    fn new(namespace: &str) -> Self {
        let user = User::from_name("frr").ok().flatten().expect("frr is installed: scripts/install test");
        let group = Group::from_name("frr").ok().flatten().expect("frr has a group");
        let made = Self(namespace.to_owned());
        for path in made.paths() {
            fs::create_dir_all(&path).expect("one is root");
            chown(&path, Some(user.uid.as_raw()), Some(group.gid.as_raw())).expect("one is root");
        }
        made
    }

    fn paths(&self) -> [PathBuf; 2] {
        ["/etc/frr", "/run/frr"].map(|parent| Path::new(parent).join(&self.0))
    }
}

impl Drop for Directories {
    fn drop(&mut self) {
        for path in self.paths() {
            if let Err(error) = fs::remove_dir_all(&path) {
                eprintln!("{} is not gone: {error}", path.display());
            }
        }
    }
}

impl Frr {
    /// Starts both in a namespace.
    ///
    /// # Panics
    /// When they are not installed.
    #[must_use]
    pub fn start(namespace: &str, logs: &Path, setup: &Setup, announced: &[Route]) -> Self {
        let directories = Directories::new(namespace);
        let zebra = start_daemon(namespace, logs, "zebra", &format!("hostname {namespace}\n"));
        if setup.families.contains(&Family::Evpn) {
            make_vni(namespace, setup.address);
        }
        let socket = Path::new("/run/frr").join(namespace).join("zserv.api");
        until("zebra listens", START, || socket.exists());
        let (setup, announced) = (setup.clone(), announced.to_vec());
        let (namespace, logs) = (namespace.to_owned(), logs.to_owned());
        let mut frr = Self {
            namespace,
            logs,
            setup,
            announced,
            bgpd: None,
            target: RefCell::new(None),
            _zebra: zebra,
            _directories: directories,
        };
        frr.restart();
        frr
    }

    /// Runs a command of `vtysh`; answers what it says.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn show(&self, command: &str) -> String {
        self.vtysh(&[command]).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Changes the configuration by these lines.
    ///
    /// # Panics
    /// When one is refused.
    pub fn configure(&self, lines: &[&str]) {
        let commands: Vec<&str> = ["configure terminal"].into_iter().chain(lines.iter().copied()).collect();
        let said = self.vtysh(&commands).unwrap_or_else(|error| panic!("{error}"));
        assert!(!said.contains('%'), "{lines:?}: {said}");
    }

    /// The process of bgpd.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.bgpd.as_ref().expect("it runs")
    }

    fn vtysh(&self, commands: &[&str]) -> Result<String, String> {
        let mut arguments = vec!["-N", &self.namespace];
        arguments.extend(commands.iter().flat_map(|command| ["-c", command]));
        ask(&self.namespace, "vtysh", &arguments)
    }

    fn change(&self, route: &Route, prefix: &str) {
        if let Route::EvpnMac { mac, .. } = route {
            let verb = if prefix.is_empty() { "replace" } else { "del" };
            // The target first, so that the route is never said with another.
            let lines = vni_lines(self.setup.asn, route);
            let gone = self.target.replace(None).filter(|gone| Some(gone.as_str()) != target_of(route));
            let gone = gone.map(|gone| format!("no route-target export {gone}"));
            let lines: Vec<&str> = lines.iter().chain(&gone).map(String::as_str).collect();
            self.configure(&lines);
            self.target.replace(target_of(route).map(str::to_owned));
            bridge(&self.namespace, &format!("fdb {verb} {mac} dev port0 master static"));
            return;
        }
        let router = format!("router bgp {}", self.setup.asn);
        let family = format!("address-family {}", family_of(route));
        let map = target_of(route).map(route_map).unwrap_or_default();
        let mut lines: Vec<&str> = map.iter().map(String::as_str).collect();
        let statement = statement(route);
        // What is taken back is said without its route map.
        let said = if prefix.is_empty() {
            &statement
        } else {
            statement.split(" route-map").next().unwrap_or_default()
        };
        let line = format!("{prefix}{said}");
        lines.extend([router.as_str(), &family, &line]);
        self.configure(&lines);
    }
}

/// A VNI with a bridge, and a port of that on which hosts seem to be: FRR announces the MAC addresses that the kernel knows.
fn make_vni(namespace: &str, local: std::net::IpAddr) {
    for words in [
        "link add br5000 type bridge".to_owned(),
        format!("link add vx5000 type vxlan id 5000 dstport 4789 local {local} nolearning"),
        "link set vx5000 master br5000 addrgenmode none".to_owned(),
        "link add port0 type veth peer name host0".to_owned(),
        "link set port0 master br5000 addrgenmode none".to_owned(),
        "link set br5000 up addrgenmode none".to_owned(),
        "link set vx5000 up".to_owned(),
        "link set port0 up".to_owned(),
        "link set host0 up".to_owned(),
    ] {
        crate::fabric::ip(&format!("-n {namespace} {words}"));
    }
}

fn bridge(namespace: &str, words: &str) {
    let words: Vec<&str> = words.split_whitespace().collect();
    let _said = ask(namespace, "bridge", &words).unwrap_or_else(|error| panic!("{error}"));
}

/// The distinguisher and the target of a VNI: those of the route that is announced of it.
fn vni_lines(asn: u32, route: &Route) -> Vec<String> {
    let Route::EvpnMac { distinguisher, vni, target, .. } = route else { return Vec::new() };
    let lines = [
        format!("router bgp {asn}"),
        "address-family l2vpn evpn".to_owned(),
        format!("vni {vni}"),
        format!("rd {distinguisher}"),
        format!("route-target export {target}"),
    ];
    lines.into()
}

fn start_daemon(namespace: &str, logs: &Path, daemon: &str, configuration: &str) -> Process {
    let file = format!("/etc/frr/{namespace}/{daemon}.conf");
    fs::write(&file, configuration).expect("a configuration can be written");
    let pid = format!("/run/frr/{namespace}/{daemon}.pid");
    let arguments = ["-N", namespace, "-f", &file, "-i", &pid, "--log", "stdout", "--log-level", "debugging"];
    let more: &[&str] = if daemon == "bgpd" { &["-p", "179"] } else { &[] };
    let program = format!("{PROGRAMS}/{daemon}");
    let log = logs.join(format!("{namespace}-{daemon}.log"));
    Process::start(namespace, &program, arguments.iter().chain(more), &log)
}

const fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4Unicast => "ipv4 unicast",
        Family::Ipv6Unicast => "ipv6 unicast",
        Family::VpnIpv4 => "ipv4 vpn",
        Family::VpnIpv6 => "ipv6 vpn",
        Family::Evpn => "l2vpn evpn",
        Family::RouteTarget => "rt constraint, which it lacks",
    }
}

fn family_of(route: &Route) -> &'static str {
    let family = match (route, route.is_ipv6()) {
        (Route::Unicast { .. }, false) => Family::Ipv4Unicast,
        (Route::Unicast { .. }, true) => Family::Ipv6Unicast,
        (Route::Vpn { .. }, false) => Family::VpnIpv4,
        (Route::Vpn { .. }, true) => Family::VpnIpv6,
        (Route::EvpnPrefix { .. } | Route::EvpnMac { .. }, _) => Family::Evpn,
    };
    family_name(family)
}

fn target_of(route: &Route) -> Option<&str> {
    match route {
        Route::Unicast { .. } => None,
        Route::Vpn { target, .. } | Route::EvpnPrefix { target, .. } | Route::EvpnMac { target, .. } => {
            Some(target)
        }
    }
}

/// A route map that gives a route its target, named after it.
fn route_map(target: &str) -> Vec<String> {
    vec![
        format!("route-map {} permit 10", map_name(target)),
        format!("set extcommunity rt {target}"),
        "exit".to_owned(),
    ]
}

fn map_name(target: &str) -> String {
    format!("rt-{}", target.replace(':', "-"))
}

fn statement(route: &Route) -> String {
    match route {
        Route::Unicast { prefix } => format!("network {prefix}"),
        Route::Vpn { distinguisher, prefix, label, target } => {
            format!("network {prefix} rd {distinguisher} label {label} route-map {}", map_name(target))
        }
        Route::EvpnPrefix { .. } | Route::EvpnMac { .. } => {
            unreachable!("no statement of FRR 8.4 says one as a whole")
        }
    }
}

fn configuration(setup: &Setup, announced: &[Route]) -> String {
    let Setup { asn, address, peer_asn, .. } = setup;
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string can be written to");
    announced.iter().filter_map(target_of).flat_map(route_map).for_each(&mut line);
    line(format!("router bgp {asn}"));
    line(format!(" bgp router-id 10.0.0.{}", last_octet(&address.to_string())));
    for of_all in
        ["no bgp default ipv4-unicast", "no bgp network import-check", "no bgp ebgp-requires-policy"]
    {
        line(format!(" {of_all}"));
    }
    line(" timers bgp 3 9\n coalesce-time 0".to_owned());
    if setup.is_graceful {
        line(" bgp graceful-restart\n bgp graceful-restart preserve-fw-state".to_owned());
    }
    let mut of_peer =
        vec![format!("remote-as {peer_asn}"), "timers connect 1".into(), "advertisement-interval 0".into()];
    of_peer.extend(setup.password.as_ref().map(|password| format!("password {password}")));
    of_peer.extend(setup.has_ttl_security.then(|| "ttl-security hops 1".into()));
    of_peer.extend(setup.has_extended_next_hop.then(|| "capability extended-nexthop".into()));
    for peer in setup.peers() {
        of_peer.iter().for_each(|words| line(format!(" neighbor {peer} {words}")));
    }
    for &family in &setup.families {
        line(format!(" address-family {}", family_name(family)));
        for peer in setup.peers() {
            line(format!("  neighbor {peer} activate"));
            if setup.reflects {
                line(format!("  neighbor {peer} route-reflector-client"));
            }
            if setup.has_add_path {
                line(format!("  neighbor {peer} addpath-tx-all-paths"));
            }
        }
        if family == Family::Evpn {
            line("  advertise-all-vni".to_owned());
            announced.iter().flat_map(|route| vni_lines(*asn, route).into_iter().skip(2)).for_each(|words| {
                line(format!("   {words}"));
            });
            if announced.iter().any(|route| matches!(route, Route::EvpnMac { .. })) {
                line("  exit-vni".to_owned());
            }
        }
        let is_said = |route: &&Route| !matches!(route, Route::EvpnMac { .. });
        let of_family =
            announced.iter().filter(is_said).filter(|route| family_of(route) == family_name(family));
        of_family.for_each(|route| line(format!("  {}", statement(route))));
        line(" exit-address-family".to_owned());
    }
    text
}

pub(crate) fn last_octet(address: &str) -> &str {
    address.rsplit(['.', ':']).next().unwrap_or("1")
}

impl Reference for Frr {
    fn announce(&mut self, route: &Route) {
        let known = self.announced.iter().find(|announced| announced.text() == route.text()).cloned();
        if let Some(known) = known.filter(|known| !matches!(known, Route::EvpnMac { .. })) {
            // What is there cannot be changed.
            self.change(&known, "no ");
        }
        self.announced.retain(|announced| announced.text() != route.text());
        self.announced.push(route.clone());
        self.change(route, "");
    }

    fn withdraw(&mut self, route: &Route) {
        self.announced.retain(|announced| announced.text() != route.text());
        self.change(route, "no ");
    }

    fn is_established(&self) -> bool {
        self.vtysh(&["show bgp neighbors json"])
            .is_ok_and(|text| text.contains("\"bgpState\":\"Established\""))
    }

    fn routes(&self, family: Family) -> String {
        let command = match family {
            Family::Ipv4Unicast => "show bgp ipv4 unicast json",
            Family::Ipv6Unicast => "show bgp ipv6 unicast json",
            Family::VpnIpv4 => "show bgp ipv4 vpn json",
            Family::VpnIpv6 => "show bgp ipv6 vpn json",
            Family::Evpn => "show bgp l2vpn evpn",
            Family::RouteTarget => return String::new(),
        };
        self.show(command)
    }

    fn crash(&mut self) {
        if let Some(bgpd) = self.bgpd.take() {
            bgpd.kill();
        }
    }

    fn restart(&mut self) {
        let text = configuration(&self.setup, &self.announced);
        self.bgpd = Some(start_daemon(&self.namespace, &self.logs, "bgpd", &text));
        until("bgpd answers", START, || self.vtysh(&["show bgp summary"]).is_ok());
    }
}
