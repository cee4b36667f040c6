//! What our speaker and each of the others do with each other in each family: one table, printed.
//!
//! Every cell is tried; what a daemon lacks is said in its place.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use weft_interop_tests::{Bird, Fabric, Family, Frr, Gobgp, Reference, Route, Setup, Weft, until};

const PATIENCE: Duration = Duration::from_secs(12);
const OURS: u8 = 1;
const THEIRS: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Daemon {
    Frr,
    Gobgp,
    Bird,
}

/// One of our speaker, one of the others, and what is between them.
struct Bench {
    weft: Weft,
    other: Box<dyn Reference>,
    fabric: Fabric,
    family: Family,
}

impl Bench {
    fn start(daemon: Daemon, family: Family, change: impl FnOnce(&mut Setup)) -> Self {
        let fabric = Fabric::new(2);
        // IPv6 next hops come from sessions over IPv6.
        let is_ipv6 = matches!(family, Family::Ipv6Unicast | Family::VpnIpv6);
        let address = |node| if is_ipv6 { fabric.address6(node) } else { fabric.address(node) };
        let families =
            if family == Family::RouteTarget { vec![family, Family::VpnIpv4] } else { vec![family] };
        let mut setup = Setup::new(address(THEIRS), address(OURS), &families);
        change(&mut setup);
        let mut configuration = Weft::configuration(address(OURS));
        configuration["neighbors"] = json!([Weft::neighbor(&setup)]);
        // Whose route targets are asked for where they can be.
        configuration["instances"] = json!({ "one": ["65000:100"] });
        let weft = Weft::start(&fabric.namespace(OURS), fabric.directory(), &configuration);
        let (namespace, logs) = (fabric.namespace(THEIRS), fabric.directory().to_owned());
        let other: Box<dyn Reference> = match daemon {
            Daemon::Frr => Box::new(Frr::start(&namespace, &logs, &setup, &[])),
            Daemon::Gobgp => Box::new(Gobgp::start(&namespace, &logs, &setup, &[])),
            Daemon::Bird => Box::new(Bird::start(&namespace, &logs, &setup, &[])),
        };
        let bench = Self { weft, other, fabric, family };
        bench.await_established();
        bench
    }

    fn await_established(&self) {
        let theirs = self.theirs();
        until("established", PATIENCE, || self.weft.is_established(theirs) && self.other.is_established());
    }

    fn address(&self, node: u8) -> std::net::IpAddr {
        let is_ipv6 = matches!(self.family, Family::Ipv6Unicast | Family::VpnIpv6);
        if is_ipv6 { self.fabric.address6(node) } else { self.fabric.address(node) }
    }

    fn theirs(&self) -> std::net::IpAddr {
        self.address(THEIRS)
    }

    /// The family whose routes are looked at: with route targets those that they are about.
    fn of_routes(&self) -> Family {
        if self.family == Family::RouteTarget { Family::VpnIpv4 } else { self.family }
    }

    fn has(&self, route: &Route) -> bool {
        !self.weft.found(self.theirs(), self.of_routes(), route).is_empty()
    }

    fn learn(&mut self, route: &Route) {
        self.other.announce(route);
        until(&format!("{} learned by weft", route.text()), PATIENCE, || self.has(route));
    }

    fn announce(&self, route: &Route) {
        self.weft.announce(route, self.address(OURS));
        let what = format!("{} learned by the other", route.text());
        until(&what, PATIENCE, || self.other.routes(self.of_routes()).contains(route.text()));
    }
}

fn route(family: Family, number: u8) -> Route {
    let (distinguisher, target) = (format!("65000:{number}"), "65000:100".to_owned());
    match family {
        Family::Ipv4Unicast => Route::Unicast { prefix: format!("10.{number}.0.0/16") },
        Family::Ipv6Unicast => Route::Unicast { prefix: format!("2001:db8:{number}::/48") },
        Family::VpnIpv4 | Family::RouteTarget => {
            Route::Vpn { distinguisher, prefix: format!("10.10{number}.0.0/16"), label: 1000, target }
        }
        Family::VpnIpv6 => {
            Route::Vpn { distinguisher, prefix: format!("2001:db8:10{number}::/48"), label: 1000, target }
        }
        Family::Evpn => {
            Route::EvpnMac { distinguisher, mac: format!("02:00:00:00:00:0{number}"), vni: 5000, target }
        }
    }
}

type Case = (&'static str, fn(Daemon, Family));

/// The columns of the table.
const CASES: [Case; 7] = [
    ("announce", announce),
    ("learn", learn),
    ("withdraw", withdraw),
    ("session loss", session_loss),
    ("its restart", its_graceful_restart),
    ("our restart", our_graceful_restart),
    ("RT change", target_change),
];

fn announce(daemon: Daemon, family: Family) {
    let bench = Bench::start(daemon, family, |_| {});
    bench.announce(&route(family, 1));
}

fn learn(daemon: Daemon, family: Family) {
    let mut bench = Bench::start(daemon, family, |_| {});
    let theirs = route(family, 2);
    bench.learn(&theirs);
    let found = bench.weft.found(bench.theirs(), bench.of_routes(), &theirs);
    if let Route::Vpn { target, .. } | Route::EvpnMac { target, .. } = &theirs {
        assert_eq!(found[0]["paths"][0]["route_targets"], json!([target]), "{found:?}");
    }
    assert!(bench.weft.assert_encoding(bench.theirs()) > 0);
}

fn withdraw(daemon: Daemon, family: Family) {
    let mut bench = Bench::start(daemon, family, |_| {});
    let (ours, theirs) = (route(family, 1), route(family, 2));
    bench.announce(&ours);
    bench.learn(&theirs);
    bench.weft.withdraw(&ours, bench.address(OURS));
    until("withdrawn from the other", PATIENCE, || {
        !bench.other.routes(bench.of_routes()).contains(ours.text())
    });
    bench.other.withdraw(&theirs);
    until("withdrawn from weft", PATIENCE, || !bench.has(&theirs));
    bench.weft.assert_encoding(bench.theirs());
}

fn session_loss(daemon: Daemon, family: Family) {
    let mut bench = Bench::start(daemon, family, |_| {});
    let (ours, theirs) = (route(family, 1), route(family, 2));
    bench.announce(&ours);
    bench.learn(&theirs);
    bench.other.crash();
    until("forgotten with the session", PATIENCE, || !bench.has(&theirs));
    bench.other.restart();
    bench.await_established();
    until("learned again", PATIENCE, || bench.has(&theirs));
    until("told again", PATIENCE, || bench.other.routes(bench.of_routes()).contains(ours.text()));
}

/// The other restarts; its routes are kept here meanwhile.
fn its_graceful_restart(daemon: Daemon, family: Family) {
    let mut bench = Bench::start(daemon, family, |setup| setup.is_graceful = true);
    let theirs = route(family, 2);
    bench.learn(&theirs);
    let address = bench.theirs();
    until("the end of the other's routes", PATIENCE, || {
        bench.weft.neighbor_status(address)["families"][0]["has_ended"] == true
    });
    bench.other.crash();
    until("the session is down", PATIENCE, || !bench.weft.is_established(address));
    let found = bench.weft.found(address, bench.of_routes(), &theirs);
    assert_eq!(found[0]["paths"][0]["is_stale"], true, "{found:?}");
    bench.other.restart();
    bench.await_established();
    until("fresh again", PATIENCE, || {
        let found = bench.weft.found(address, bench.of_routes(), &theirs);
        assert!(!found.is_empty(), "a route was lost in a graceful restart");
        found[0]["paths"][0]["is_stale"] == false
    });
}

/// We restart; our routes are kept by the other meanwhile.
fn our_graceful_restart(daemon: Daemon, family: Family) {
    let mut bench = Bench::start(daemon, family, |setup| setup.is_graceful = true);
    let ours = route(family, 1);
    bench.announce(&ours);
    bench.weft.crash();
    until("the other has noticed", PATIENCE, || !bench.other.is_established());
    assert!(bench.other.routes(bench.of_routes()).contains(ours.text()), "kept while we are away");
    bench.weft.restart(|configuration| {
        configuration["speaker"]["restarted"] = json!({ "forwarding_kept": true, "deferral_time_s": 5 });
        configuration["routes"] = json!([]);
    });
    bench.await_established();
    until("what we no longer announce is gone", PATIENCE, || {
        !bench.other.routes(bench.of_routes()).contains(ours.text())
    });
}

fn target_change(daemon: Daemon, family: Family) {
    let mut bench = Bench::start(daemon, family, |_| {});
    let theirs = route(family, 2);
    bench.learn(&theirs);
    if family == Family::RouteTarget {
        let targets = |target: &str| json!({ "set_instance": ["one", [target]] });
        let _done = bench.weft.ask(&targets("65000:300"));
        until("what is no longer asked for is withdrawn", PATIENCE, || !bench.has(&theirs));
        let _done = bench.weft.ask(&targets("65000:100"));
        until("what is asked for again is learned", PATIENCE, || bench.has(&theirs));
        return;
    }
    bench.other.announce(&theirs.with_target("65000:200"));
    until("the new route target", PATIENCE, || {
        let found = bench.weft.found(bench.theirs(), bench.of_routes(), &theirs);
        found.len() == 1 && found[0]["paths"][0]["route_targets"] == json!(["65000:200"])
    });
    bench.weft.assert_encoding(bench.theirs());
}

/// Why there is nothing to try; nothing if there is.
fn lacks(daemon: Daemon, family: Family, case: &str) -> Option<&'static str> {
    match (daemon, family, case) {
        (Daemon::Bird, Family::Evpn, _) => Some("BIRD 2.0.12 has no EVPN"),
        (Daemon::Bird, Family::RouteTarget, _) => Some("BIRD 2.0.12 has no RT constraint"),
        (Daemon::Frr, Family::RouteTarget, _) => Some("FRR 8.4 has no RT constraint"),
        (_, Family::Ipv4Unicast | Family::Ipv6Unicast, "RT change") => Some("no route targets"),
        (Daemon::Frr, Family::Evpn, "our restart") => Some("FRR 8.4 keeps no EVPN routes"),
        // In `handleMacMobility`, by a null pointer.
        (Daemon::Gobgp, Family::Evpn, "our restart") => {
            Some("GoBGP 3.10.0 crashes when EVPN routes become stale")
        }
        _ => None,
    }
}

fn row(daemon: Daemon, family: Family) -> (String, Vec<String>) {
    let mut line = format!("{:6} {:13}", format!("{daemon:?}"), family.name());
    let mut failures = Vec::new();
    for (case, check) in CASES {
        let cell = match lacks(daemon, family, case) {
            Some(reason) => format!("({reason})"),
            None => match std::panic::catch_unwind(|| check(daemon, family)) {
                Ok(()) => "ok".to_owned(),
                Err(cause) => {
                    let text = cause.downcast_ref::<String>().map(String::as_str);
                    let text = text.or(cause.downcast_ref::<&str>().copied()).unwrap_or_default();
                    failures.push(format!("{daemon:?} {} {case}: {text}", family.name()));
                    "FAILED".to_owned()
                }
            },
        };
        write!(line, " {case}: {cell};").expect("a string can be written to");
    }
    (line, failures)
}

fn table(daemon: Daemon, families: &[Family]) {
    let rows: Vec<(String, Vec<String>)> = families.iter().map(|family| row(daemon, *family)).collect();
    rows.iter().for_each(|(line, _)| println!("{line}"));
    let failures: Vec<&String> = rows.iter().flat_map(|(_, failures)| failures).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

const UNICAST: [Family; 2] = [Family::Ipv4Unicast, Family::Ipv6Unicast];
const VPN: [Family; 2] = [Family::VpnIpv4, Family::VpnIpv6];
const OTHER: [Family; 2] = [Family::Evpn, Family::RouteTarget];

#[test]
fn unicast_with_frr() {
    table(Daemon::Frr, &UNICAST);
}

#[test]
fn vpn_with_frr() {
    table(Daemon::Frr, &VPN);
}

#[test]
fn evpn_and_route_targets_with_frr() {
    table(Daemon::Frr, &OTHER);
}

#[test]
fn unicast_with_gobgp() {
    table(Daemon::Gobgp, &UNICAST);
}

#[test]
fn vpn_with_gobgp() {
    table(Daemon::Gobgp, &VPN);
}

#[test]
fn evpn_and_route_targets_with_gobgp() {
    table(Daemon::Gobgp, &OTHER);
}

#[test]
fn unicast_with_bird() {
    table(Daemon::Bird, &UNICAST);
}

#[test]
fn vpn_with_bird() {
    table(Daemon::Bird, &VPN);
}

#[test]
fn evpn_and_route_targets_with_bird() {
    table(Daemon::Bird, &OTHER);
}
