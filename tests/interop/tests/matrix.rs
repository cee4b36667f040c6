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

/// What the routes of a row are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ipv4Unicast,
    Ipv6Unicast,
    VpnIpv4,
    VpnIpv6,
    /// EVPN type 2.
    Mac,
    /// EVPN type 3.
    Multicast,
    /// EVPN type 5.
    Prefix,
    /// VPNv4 of route targets that are asked for.
    RouteTarget,
}

impl Kind {
    /// The family of the routes that are looked at.
    const fn family(self) -> Family {
        match self {
            Self::Ipv4Unicast => Family::Ipv4Unicast,
            Self::Ipv6Unicast => Family::Ipv6Unicast,
            Self::VpnIpv4 | Self::RouteTarget => Family::VpnIpv4,
            Self::VpnIpv6 => Family::VpnIpv6,
            Self::Mac | Self::Multicast | Self::Prefix => Family::Evpn,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Mac => "evpn type 2",
            Self::Multicast => "evpn type 3",
            Self::Prefix => "evpn type 5",
            Self::RouteTarget => Family::RouteTarget.name(),
            _ => self.family().name(),
        }
    }

    /// IPv6 next hops come from sessions over IPv6.
    const fn is_ipv6(self) -> bool {
        matches!(self, Self::Ipv6Unicast | Self::VpnIpv6)
    }

    const fn is_evpn(self) -> bool {
        matches!(self, Self::Mac | Self::Multicast | Self::Prefix)
    }
}

/// One of our speaker, one of the others, and what is between them.
struct Bench {
    weft: Weft,
    other: Box<dyn Reference>,
    fabric: Fabric,
    kind: Kind,
}

impl Bench {
    fn start(daemon: Daemon, kind: Kind, change: impl FnOnce(&mut Setup)) -> Self {
        let fabric = Fabric::new(2);
        let address = |node| if kind.is_ipv6() { fabric.address6(node) } else { fabric.address(node) };
        let mut setup = Setup::new(address(THEIRS), address(OURS), &[kind.family()]);
        if kind == Kind::RouteTarget {
            // The first is the one whose restart is looked at.
            setup.families.insert(0, Family::RouteTarget);
        }
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
        let bench = Self { weft, other, fabric, kind };
        bench.await_established();
        bench
    }

    fn await_established(&self) {
        let theirs = self.theirs();
        until("established", PATIENCE, || self.weft.is_established(theirs) && self.other.is_established());
    }

    fn address(&self, node: u8) -> std::net::IpAddr {
        if self.kind.is_ipv6() { self.fabric.address6(node) } else { self.fabric.address(node) }
    }

    fn theirs(&self) -> std::net::IpAddr {
        self.address(THEIRS)
    }

    fn has(&self, route: &Route) -> bool {
        !self.weft.found(self.theirs(), self.kind.family(), route).is_empty()
    }

    fn learn(&mut self, route: &Route) {
        self.other.announce(route);
        until(&format!("{} learned by weft", route.text()), PATIENCE, || self.has(route));
    }

    fn announce(&self, route: &Route) {
        self.weft.announce(route, self.address(OURS));
        let what = format!("{} learned by the other", route.text());
        until(&what, PATIENCE, || self.other.routes(self.kind.family()).contains(route.text()));
    }
}

fn route(kind: Kind, number: u8) -> Route {
    let (distinguisher, target) = (format!("65000:{number}"), "65000:100".to_owned());
    match kind {
        Kind::Ipv4Unicast => Route::Unicast { prefix: format!("10.{number}.0.0/16") },
        Kind::Ipv6Unicast => Route::Unicast { prefix: format!("2001:db8:{number}::/48") },
        Kind::VpnIpv4 | Kind::RouteTarget => {
            Route::Vpn { distinguisher, prefix: format!("10.10{number}.0.0/16"), label: 1000, target }
        }
        Kind::VpnIpv6 => {
            Route::Vpn { distinguisher, prefix: format!("2001:db8:10{number}::/48"), label: 1000, target }
        }
        Kind::Mac => {
            Route::EvpnMac { distinguisher, mac: format!("02:00:00:00:00:0{number}"), vni: 5000, target }
        }
        Kind::Multicast => Route::EvpnMulticast {
            distinguisher,
            originator: format!("198.51.100.{number}"),
            vni: 5000,
            target,
        },
        Kind::Prefix => {
            Route::EvpnPrefix { distinguisher, prefix: format!("10.20{number}.0.0/16"), vni: 9000, target }
        }
    }
}

type Case = (&'static str, fn(Daemon, Kind));

/// The columns of the table.
const CASES: [Case; 8] = [
    ("announce", announce),
    ("learn", learn),
    ("withdraw", withdraw),
    ("session loss", session_loss),
    ("its restart", its_graceful_restart),
    ("our restart", our_graceful_restart),
    ("RT change", target_change),
    ("our RT change", our_target_change),
];

fn announce(daemon: Daemon, kind: Kind) {
    let bench = Bench::start(daemon, kind, |_| {});
    bench.announce(&route(kind, 1));
}

fn learn(daemon: Daemon, kind: Kind) {
    let mut bench = Bench::start(daemon, kind, |_| {});
    let theirs = route(kind, 2);
    bench.learn(&theirs);
    let found = bench.weft.found(bench.theirs(), bench.kind.family(), &theirs);
    if let Some(target) = theirs.target() {
        assert_eq!(found[0]["paths"][0]["route_targets"], json!([target]), "{found:?}");
    }
    assert!(bench.weft.assert_encoding(bench.theirs()) > 0);
}

fn withdraw(daemon: Daemon, kind: Kind) {
    let mut bench = Bench::start(daemon, kind, |_| {});
    let (ours, theirs) = (route(kind, 1), route(kind, 2));
    bench.announce(&ours);
    bench.learn(&theirs);
    bench.weft.withdraw(&ours, bench.address(OURS));
    until("withdrawn from the other", PATIENCE, || {
        !bench.other.routes(bench.kind.family()).contains(ours.text())
    });
    bench.other.withdraw(&theirs);
    until("withdrawn from weft", PATIENCE, || !bench.has(&theirs));
    bench.weft.assert_encoding(bench.theirs());
}

fn session_loss(daemon: Daemon, kind: Kind) {
    let mut bench = Bench::start(daemon, kind, |_| {});
    let (ours, theirs) = (route(kind, 1), route(kind, 2));
    bench.announce(&ours);
    bench.learn(&theirs);
    bench.other.crash();
    until("forgotten with the session", PATIENCE, || !bench.has(&theirs));
    bench.other.restart();
    bench.await_established();
    until("learned again", PATIENCE, || bench.has(&theirs));
    until("told again", PATIENCE, || bench.other.routes(bench.kind.family()).contains(ours.text()));
}

/// The other restarts; its routes are kept here meanwhile.
fn its_graceful_restart(daemon: Daemon, kind: Kind) {
    let mut bench = Bench::start(daemon, kind, |setup| setup.is_graceful = true);
    let theirs = route(kind, 2);
    bench.learn(&theirs);
    let address = bench.theirs();
    until("the end of the other's routes", PATIENCE, || {
        bench.weft.neighbor_status(address)["families"][0]["has_ended"] == true
    });
    bench.other.crash();
    until("the session is down", PATIENCE, || !bench.weft.is_established(address));
    let found = bench.weft.found(address, bench.kind.family(), &theirs);
    assert_eq!(found[0]["paths"][0]["is_stale"], true, "{found:?}");
    bench.other.restart();
    bench.await_established();
    until("fresh again", PATIENCE, || {
        let found = bench.weft.found(address, bench.kind.family(), &theirs);
        // FRR 8.4 may say End-of-RIB before it says its routes: then they are gone in between, as it asked for.
        assert!(daemon == Daemon::Frr || !found.is_empty(), "a route was lost in a graceful restart");
        found.first().is_some_and(|found| found["paths"][0]["is_stale"] == false)
    });
}

/// We restart; our routes are kept by the other meanwhile.
fn our_graceful_restart(daemon: Daemon, kind: Kind) {
    let mut bench = Bench::start(daemon, kind, |setup| setup.is_graceful = true);
    let ours = route(kind, 1);
    bench.announce(&ours);
    bench.weft.crash();
    until("the other has noticed", PATIENCE, || !bench.other.is_established());
    assert!(bench.other.routes(bench.kind.family()).contains(ours.text()), "kept while we are away");
    bench.weft.restart(|configuration| {
        configuration["speaker"]["restarted"] = json!({ "forwarding_kept": true, "deferral_time_s": 5 });
        configuration["routes"] = json!([]);
    });
    bench.await_established();
    until("what we no longer announce is gone", PATIENCE, || {
        !bench.other.routes(bench.kind.family()).contains(ours.text())
    });
}

fn target_change(daemon: Daemon, kind: Kind) {
    if kind == Kind::RouteTarget {
        return their_membership_change(daemon, kind);
    }
    let mut bench = Bench::start(daemon, kind, |_| {});
    let theirs = route(kind, 2);
    bench.learn(&theirs);
    bench.other.announce(&theirs.with_target("65000:200"));
    until("the new route target", PATIENCE, || {
        let found = bench.weft.found(bench.theirs(), bench.kind.family(), &theirs);
        found.len() == 1 && found[0]["paths"][0]["route_targets"] == json!(["65000:200"])
    });
    bench.weft.assert_encoding(bench.theirs());
}

/// What we ask for changes, one target for another and both: the other sends what is newly wanted, and takes back what is not.
fn our_target_change(daemon: Daemon, kind: Kind) {
    let mut bench = Bench::start(daemon, kind, |setup| {
        setup.families.retain(|family| *family != Family::RouteTarget);
        setup.families.push(Family::RouteTarget);
    });
    let (asked_for, other) = (route(kind, 2), route(kind, 3).with_target("65000:300"));
    bench.learn(&asked_for);
    bench.other.announce(&other);
    for (targets, has) in [
        (&["65000:300"][..], [false, true]),
        (&["65000:100", "65000:300"], [true, true]),
        (&["65000:100"], [true, false]),
        (&[], [false, false]),
        (&["65000:100"], [true, false]),
    ] {
        let _done = bench.weft.ask(&json!({ "set_instance": ["one", targets] }));
        let what = format!("what is asked for by {targets:?} is there, and nothing else");
        until(&what, PATIENCE, || [&asked_for, &other].map(|route| bench.has(route)) == has);
    }
    bench.weft.assert_encoding(bench.theirs());
}

/// What the other asks for changes.
fn their_membership_change(daemon: Daemon, kind: Kind) {
    let mut bench = Bench::start(daemon, kind, |_| {});
    let (asked_for, other) = (route(kind, 1), route(kind, 3).with_target("65000:300"));
    bench.announce(&asked_for);
    bench.weft.announce(&other, bench.address(OURS));
    for (target, has) in [("65000:300", [false, true]), ("65000:100", [true, false])] {
        bench.other.ask_for_target(target);
        until(&format!("what is asked for by {target} is there"), PATIENCE, || {
            let told = bench.other.routes(kind.family());
            [&asked_for, &other].map(|route| told.contains(route.text())) == has
        });
    }
    bench.weft.assert_encoding(bench.theirs());
}

/// Why there is nothing to try; nothing if there is.
fn lacks(daemon: Daemon, kind: Kind, case: &str) -> Option<&'static str> {
    let is_about_targets = kind == Kind::RouteTarget || case == "our RT change";
    match (daemon, kind, case) {
        (Daemon::Bird, _, _) if kind.is_evpn() => Some("BIRD 2.0.12 has no EVPN"),
        (_, Kind::Ipv4Unicast | Kind::Ipv6Unicast, "RT change" | "our RT change") => Some("no route targets"),
        (Daemon::Bird, _, _) if is_about_targets => Some("BIRD 2.0.12 has no RT constraint"),
        (Daemon::Frr, _, _) if is_about_targets => Some("FRR 8.4 has no RT constraint"),
        (Daemon::Frr, _, "our restart") if kind.is_evpn() => Some("FRR 8.4 keeps no EVPN routes"),
        // In `handleMacMobility`, by a null pointer.
        (Daemon::Gobgp, Kind::Mac, "our restart") => {
            Some("GoBGP 3.10.0 crashes when routes of type 2 become stale")
        }
        _ => None,
    }
}

fn row(daemon: Daemon, kind: Kind) -> (String, Vec<String>) {
    let mut line = format!("{:6} {:13}", format!("{daemon:?}"), kind.name());
    let mut failures = Vec::new();
    for (case, check) in CASES {
        let cell = match lacks(daemon, kind, case) {
            Some(reason) => format!("({reason})"),
            None => match std::panic::catch_unwind(|| check(daemon, kind)) {
                Ok(()) => "ok".to_owned(),
                Err(cause) => {
                    let text = cause.downcast_ref::<String>().map(String::as_str);
                    let text = text.or(cause.downcast_ref::<&str>().copied()).unwrap_or_default();
                    failures.push(format!("{daemon:?} {} {case}: {text}", kind.name()));
                    "FAILED".to_owned()
                }
            },
        };
        write!(line, " {case}: {cell};").expect("a string can be written to");
    }
    (line, failures)
}

fn table(daemon: Daemon, kinds: &[Kind]) {
    let rows: Vec<(String, Vec<String>)> = kinds.iter().map(|kind| row(daemon, *kind)).collect();
    rows.iter().for_each(|(line, _)| println!("{line}"));
    let failures: Vec<&String> = rows.iter().flat_map(|(_, failures)| failures).collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

const UNICAST: [Kind; 2] = [Kind::Ipv4Unicast, Kind::Ipv6Unicast];
const VPN: [Kind; 3] = [Kind::VpnIpv4, Kind::VpnIpv6, Kind::RouteTarget];
const EVPN: [Kind; 3] = [Kind::Mac, Kind::Multicast, Kind::Prefix];

#[test]
fn unicast_with_frr() {
    table(Daemon::Frr, &UNICAST);
}

#[test]
fn vpn_with_frr() {
    table(Daemon::Frr, &VPN);
}

#[test]
fn evpn_with_frr() {
    table(Daemon::Frr, &EVPN);
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
fn evpn_with_gobgp() {
    table(Daemon::Gobgp, &EVPN);
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
fn evpn_with_bird() {
    table(Daemon::Bird, &EVPN);
}
