//! FRR as a neighbour like the others: set up by a [`Setup`], announcing [`Route`]s.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::Path;

use crate::frr_daemons::FrrDaemons;
use crate::process::{Process, ask};
use crate::reference::{Family, Reference, Route, Setup};

/// A zebra and a bgpd.
#[derive(Debug)]
pub struct Frr {
    daemons: FrrDaemons,
    setup: Setup,
    announced: Vec<Route>,
    /// The route target of the VNI.
    target: RefCell<Option<String>>,
}

impl Frr {
    /// Starts both in a namespace.
    ///
    /// # Panics
    /// When they are not installed.
    #[must_use]
    pub fn start(namespace: &str, logs: &Path, setup: &Setup, announced: &[Route]) -> Self {
        let daemons = FrrDaemons::start_heard_by(setup.witness(namespace), namespace, logs, "");
        if setup.families.contains(&Family::Evpn) {
            make_vni(namespace, setup.address);
        }
        let (setup, announced) = (setup.clone(), announced.to_vec());
        let mut frr = Self { daemons, setup, announced, target: RefCell::new(None) };
        frr.restart();
        frr
    }

    /// Runs a command of `vtysh`; answers what it says.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn show(&self, command: &str) -> String {
        self.daemons.show(command)
    }

    /// Changes the configuration by these lines.
    ///
    /// # Panics
    /// When one is refused.
    pub fn configure(&self, lines: &[&str]) {
        self.daemons.configure(lines);
    }

    /// The process of bgpd.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub const fn process(&self) -> &Process {
        self.daemons.bgpd()
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
            bridge(self.daemons.namespace(), &format!("fdb {verb} {mac} dev port0 master static"));
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
        self.daemons.is_established()
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
        self.daemons.kill_bgpd();
    }

    fn restart(&mut self) {
        let text = configuration(&self.setup, &self.announced);
        self.daemons.start_bgpd(&text);
    }
}
