//! FRR as a neighbour like the others: set up by a [`Setup`], announcing [`Route`]s.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::Path;

use crate::frr_daemons::FrrDaemons;
use crate::frr_evpn;
use crate::process::Process;
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
        let has_evpn = setup.families.contains(&Family::Evpn);
        let zebra = if has_evpn { frr_evpn::ZEBRA } else { "" };
        let daemons = FrrDaemons::start_heard_by(setup.witness(namespace), namespace, logs, zebra);
        if has_evpn {
            frr_evpn::make_vnis(namespace, setup);
            announced.iter().for_each(|route| frr_evpn::change_kernel(namespace, route, true));
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

    /// Its daemons.
    #[must_use]
    pub const fn daemons(&self) -> &FrrDaemons {
        &self.daemons
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
        if family_of(route) == family_name(Family::Evpn) {
            self.change_evpn(route, prefix.is_empty());
            return;
        }
        let router = format!("router bgp {}", self.setup.asn);
        let family = format!("address-family {}", family_of(route));
        let map = route.target().map(route_map).unwrap_or_default();
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

    fn change_evpn(&self, route: &Route, is_there: bool) {
        let router = format!("router bgp {}", self.setup.asn);
        let mut lines = vec![router.clone(), "address-family l2vpn evpn".to_owned()];
        lines.extend(frr_evpn::family_lines(route));
        // The target first, so that the route is never said with another.
        let gone = self.target.replace(None).filter(|gone| Some(gone.as_str()) != route.target());
        lines.extend(gone.map(|gone| format!("no route-target export {gone}")));
        if let Route::EvpnPrefix { .. } = route {
            let verb = if is_there { "" } else { "no " };
            let network = format!("{verb}{}", statement(route));
            lines.extend([router, "address-family ipv4 unicast".to_owned(), network]);
        }
        self.configure(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        self.target.replace(route.target().map(str::to_owned));
        frr_evpn::change_kernel(self.daemons.namespace(), route, is_there);
    }
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
        (Route::EvpnPrefix { .. } | Route::EvpnMulticast { .. } | Route::EvpnMac { .. }, _) => Family::Evpn,
    };
    family_name(family)
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
        Route::Unicast { prefix } | Route::EvpnPrefix { prefix, .. } => format!("network {prefix}"),
        Route::Vpn { distinguisher, prefix, label, target } => {
            format!("network {prefix} rd {distinguisher} label {label} route-map {}", map_name(target))
        }
        Route::EvpnMulticast { .. } | Route::EvpnMac { .. } => {
            unreachable!("the kernel has it, and no statement of FRR 8.4")
        }
    }
}

fn configuration(setup: &Setup, announced: &[Route]) -> String {
    let Setup { asn, address, peer_asn, .. } = setup;
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string can be written to");
    announced.iter().filter_map(Route::target).flat_map(route_map).for_each(&mut line);
    line(format!("router bgp {asn}"));
    line(format!(" bgp router-id 10.0.0.{}", last_octet(&address.to_string())));
    for of_all in
        ["no bgp default ipv4-unicast", "no bgp network import-check", "no bgp ebgp-requires-policy"]
    {
        line(format!(" {of_all}"));
    }
    let hold_time_s = setup.hold_time_s;
    line(format!(" timers bgp {} {hold_time_s}\n coalesce-time 0", hold_time_s / 3));
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
    let is_prefix = |route: &&Route| matches!(route, Route::EvpnPrefix { .. });
    for route in announced.iter().filter(is_prefix) {
        line(format!(" address-family ipv4 unicast\n  {}\n exit-address-family", statement(route)));
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
            line("  advertise-all-vni\n  advertise ipv4 unicast".to_owned());
            for route in announced {
                frr_evpn::family_lines(route).into_iter().for_each(|words| line(format!("   {words}")));
                if matches!(route, Route::EvpnMac { .. } | Route::EvpnMulticast { .. }) {
                    line("  exit-vni".to_owned());
                }
            }
        }
        let is_said = |route: &&Route| family != Family::Evpn && family_of(route) == family_name(family);
        announced.iter().filter(is_said).for_each(|route| line(format!("  {}", statement(route))));
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
        if let Some(known) = known.filter(|known| family_of(known) != family_name(Family::Evpn)) {
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
            Family::Evpn => return frr_evpn::with_prefixes(&self.show("show bgp l2vpn evpn")),
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
