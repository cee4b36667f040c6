//! Routes along several paths: flows are shared by weight, and those of the paths that stay do not move.

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use weft_dataplane::conformance::converge;
use weft_dataplane::{
    Driver, LinkKind, Namespace, Object, PATHS_MAX, Path, Route, RouteTo, State, WEIGHT_MAX,
};
use weft_linux::VrfMode;

use super::{Site, site};
use crate::common::{Bench, address, await_plan, await_rest, on, reach, run, state};
use crate::talk::{PORT, ear, hears, inside};

const TO: &str = "10.60.0.9";
/// The source ports of the flows.
const FLOWS: std::ops::Range<u16> = 20_000..21_000;
/// For a word that is there already, or will never be.
const NOW: Duration = Duration::from_millis(30);

fn member(number: u8) -> String {
    format!("m{number}")
}

/// A namespace behind the VRF that has the address for which flows are, as each of the others has.
fn behind(site: Site, number: u8) -> Vec<Object> {
    let (outer, inner) = (format!("mv{number}"), on(&member(number), "eth0"));
    let peer_mac = weft_net::Mac::new([2, 0, 0, 0, 0x60, number]);
    vec![
        Object::Namespace(member(number).parse().unwrap()),
        site.link(&outer, LinkKind::Veth { peer: inner.clone(), peer_mac }),
        Object::ForeignLink(inner.clone()),
        address(site.inside(&outer), &format!("10.5{number}.0.1/24")),
        address(site.inside(&outer), &format!("2001:db8:5{number}::1/64")),
        address(inner.clone(), &format!("10.5{number}.0.2/24")),
        address(inner.clone(), &format!("2001:db8:5{number}::2/64")),
        address(inner, &format!("{TO}/32")),
        Object::Route(Route {
            namespace: Namespace::Named(member(number).parse().unwrap()),
            table: 254,
            destination: "0.0.0.0/0".parse().unwrap(),
            to: RouteTo::link("eth0".parse().unwrap(), Some(format!("10.5{number}.0.1").parse().unwrap())),
        }),
    ]
}

fn paths(members: &[(u8, u16)], ipv6: bool) -> RouteTo {
    RouteTo::paths(members.iter().map(|(number, weight)| {
        let via = if ipv6 { format!("2001:db8:5{number}::2") } else { format!("10.5{number}.0.2") };
        Path {
            weight: *weight,
            ..Path::on(format!("mv{number}").parse().unwrap(), Some(via.parse().unwrap()))
        }
    }))
}

fn wanted(members: &[(u8, u16)]) -> State {
    let site = site('a', 1);
    let mut objects = site.local();
    (1..=3).for_each(|number| objects.extend(behind(site, number)));
    objects.push(site.route(&format!("{TO}/32"), paths(members, false)));
    objects.push(site.route("2001:db8:60::/64", paths(members, true)));
    state(objects)
}

/// Which member hears each flow.
fn heard(from: &str, ears: &[(u8, UdpSocket)]) -> BTreeMap<u16, u8> {
    let mut found = BTreeMap::new();
    ears.iter().for_each(|(_, ear)| ear.set_read_timeout(Some(NOW)).unwrap());
    let ports: Vec<u16> = FLOWS.collect();
    // No more at a time than a socket keeps.
    for some in ports.chunks(100) {
        inside(from, || {
            for port in some {
                let flow = UdpSocket::bind(("0.0.0.0", *port)).unwrap();
                flow.send_to(&port.to_be_bytes(), (TO, PORT)).unwrap();
            }
        });
        for (number, ear) in ears {
            let mut word = [0; 2];
            while ear.recv(&mut word).is_ok() {
                found.insert(u16::from_be_bytes(word), *number);
            }
        }
    }
    found
}

/// The network namespace that the VRF is in.
fn place(bench: &Bench, mode: VrfMode) -> String {
    if mode == VrfMode::Namespace { bench.named("h", "vrf-a") } else { bench.host("h") }
}

fn groups(bench: &Bench, mode: VrfMode) -> String {
    run(&format!("ip -n {} nexthop show", place(bench, mode)))
}

fn flows_stay_on_the_paths_that_stay(mode: VrfMode) {
    let bench = Bench::with(mode);
    bench.add_host("h");
    let mut host = bench.open("h");
    let all = wanted(&[(1, 1), (2, 1), (3, 2)]);
    reach(&mut host, &all);
    let from = bench.named("h", &site('a', 1).web());
    // Who asks for whom on a link is not the matter here.
    (1..=3).for_each(|number| drop(run(&format!("ip netns exec {from} ping -c 1 -W 2 10.5{number}.0.2"))));
    let ears: Vec<(u8, UdpSocket)> =
        (1..=3).map(|number| (number, ear(&bench.named("h", &member(number)), TO))).collect();
    let before = heard(&from, &ears);
    let share =
        |heard: &BTreeMap<u16, u8>, number: u8| heard.values().filter(|found| **found == number).count();
    assert_eq!(before.len(), FLOWS.len(), "each flow is heard");
    let shares: Vec<usize> = (1..=3).map(|number| share(&before, number)).collect();
    // A quarter, a quarter and a half, give or take the hash.
    assert!((150..=350).contains(&shares[0]) && (150..=350).contains(&shares[1]), "{shares:?}");
    assert!((380..=620).contains(&shares[2]), "{shares:?}");
    assert!(groups(&bench, mode).contains(",2"), "{}", groups(&bench, mode));
    // One path goes: one step, in place, and its flows alone are elsewhere.
    let plan = crate::common::plan(&mut host, &wanted(&[(1, 1), (3, 2)]));
    assert!(plan.steps.iter().all(|step| step.to_string().starts_with("~ route")), "{plan}");
    let ids = groups(&bench, mode);
    converge(&mut host, &wanted(&[(1, 1), (3, 2)])).unwrap();
    let group = |text: &str| {
        text.lines().find(|line| line.contains("group")).unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(group(&ids), group(&groups(&bench, mode)), "it is the same group");
    let after = heard(&from, &ears);
    assert_eq!(after.len(), FLOWS.len());
    let moved = before.iter().filter(|(flow, at)| **at != 2 && after[*flow] != **at).count();
    assert_eq!((moved, share(&after, 2)), (0, 0), "flows of the paths that stay have moved");
    // Down to one path, and up again, it is still the same group; without the routes there is none.
    converge(&mut host, &wanted(&[(3, 1)])).unwrap();
    assert_eq!(group(&ids), group(&groups(&bench, mode)));
    assert!(heard(&from, &ears).values().all(|number| *number == 3));
    converge(&mut host, &all).unwrap();
    assert_eq!(converge(&mut bench.open("h"), &all), Ok(0), "a fresh look");
    let without: State = all
        .iter()
        .map(|(_, object)| object.clone())
        .filter(
            |object| !matches!(object, Object::Route(route) if matches!(route.namespace, Namespace::Vrf(_))),
        )
        .collect();
    converge(&mut host, &without).unwrap();
    assert_eq!(groups(&bench, mode), "", "nothing is left behind");
}

/// For how long the bucket that was last spoken in has been silent.
fn silence(bench: &Bench, mode: VrfMode) -> Duration {
    let shown = run(&format!("ip -n {} nexthop bucket show", place(bench, mode)));
    let silent_s = |line: &str| line.split("idle_time ").nth(1)?.split(' ').next()?.parse().ok();
    shown.lines().filter_map(silent_s).map(Duration::from_secs_f64).min().expect("there are buckets")
}

fn flows_stay_on_a_path_that_weighs_less_and_a_new_one_gets_some(mode: VrfMode) {
    let bench = Bench::with(mode);
    bench.add_host("h");
    let mut host = bench.open("h");
    reach(&mut host, &wanted(&[(1, 1), (3, 2)]));
    let from = bench.named("h", &site('a', 1).web());
    (1..=3).for_each(|number| drop(run(&format!("ip netns exec {from} ping -c 1 -W 2 10.5{number}.0.2"))));
    let ears: Vec<(u8, UdpSocket)> =
        (1..=3).map(|number| (number, ear(&bench.named("h", &member(number)), TO))).collect();
    let before = heard(&from, &ears);
    // All are silent for longer than a path would have to wait that is new.
    let await_silence = || {
        let deadline = Instant::now() + Duration::from_secs(60);
        while silence(&bench, mode) < Duration::from_millis(1500) {
            assert!(Instant::now() < deadline, "{:?}", silence(&bench, mode));
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    await_silence();
    converge(&mut host, &wanted(&[(1, 1), (3, 1)])).unwrap();
    assert_eq!(heard(&from, &ears), before);
    await_silence();
    converge(&mut host, &wanted(&[(1, 1), (2, 1), (3, 1)])).unwrap();
    let after = heard(&from, &ears);
    let shares = (1..=3).map(|number| after.values().filter(|found| **found == number).count());
    let shares: Vec<usize> = shares.collect();
    assert!(shares.iter().all(|share| (230..=440).contains(share)), "{shares:?}");
}

fn a_path_without_a_carrier_is_done_without(mode: VrfMode) {
    let bench = Bench::with(mode);
    bench.add_host("h");
    let mut host = bench.open("h");
    let all = wanted(&[(1, 1), (2, 1)]);
    reach(&mut host, &all);
    let from = bench.named("h", &site('a', 1).web());
    (1..=2).for_each(|number| drop(run(&format!("ip netns exec {from} ping -c 1 -W 2 10.5{number}.0.2"))));
    let ear = ear(&bench.named("h", &member(2)), TO);
    run(&format!("ip -n {} link set eth0 down", bench.named("h", &member(1))));
    await_plan(&mut host, &all, |plan| {
        plan.steps.iter().filter(|step| step.to_string().starts_with("~ route")).count() == 2
    });
    // A fresh look says the same as the events have said.
    assert_eq!(bench.open("h").observe_now(), host.observe_now());
    let flows: Vec<UdpSocket> =
        inside(&from, || (0..20).map(|_| UdpSocket::bind("0.0.0.0:0").unwrap()).collect());
    for flow in &flows {
        flow.send_to(b"hello", (TO, PORT)).unwrap();
        assert!(hears(&ear, Duration::from_secs(2)).is_some(), "all flows are on the other path");
    }
    await_rest(&mut host, &all);
    assert_eq!(converge(&mut bench.open("h"), &all), Ok(0), "a fresh look");
}

/// Routes of IPv4 and IPv6 along so many paths, of which the first has the most weight, to that many routers on one link.
fn along(count: usize) -> State {
    let site = site('a', 1);
    let link = "mv1".parse().unwrap();
    let routers = |prefix: &'static str| {
        let router = move |nth| Some(format!("{prefix}{}", nth + 2).parse().unwrap());
        let weight = |nth| if nth == 0 { WEIGHT_MAX } else { 1 };
        RouteTo::paths((0..count).map(move |nth| Path { weight: weight(nth), ..Path::on(link, router(nth)) }))
    };
    let mut objects = site.local();
    objects.extend(behind(site, 1));
    objects.push(site.route(&format!("{TO}/32"), routers("10.51.0.")));
    objects.push(site.route("2001:db8:60::/64", routers("2001:db8:51::")));
    state(objects)
}

fn a_route_has_as_many_paths_as_there_is_room_for_and_more_are_refused(mode: VrfMode) {
    let bench = Bench::with(mode);
    bench.add_host("h");
    let mut host = bench.open("h");
    let full = along(PATHS_MAX);
    reach(&mut host, &full);
    let group = groups(&bench, mode).lines().find(|line| line.contains("group")).unwrap().to_owned();
    assert_eq!((group.matches('/').count() + 1, group.matches(",255").count()), (PATHS_MAX, 1), "{group}");
    assert_eq!(converge(&mut bench.open("h"), &full), Ok(0), "a fresh look");
    let plan = crate::common::plan(&mut host, &along(PATHS_MAX + 1));
    let outcomes = host.apply(&plan);
    let refused: Vec<String> =
        outcomes.iter().filter_map(|outcome| Some(outcome.as_ref().err()?.to_string())).collect();
    assert_eq!(refused, ["a route has 1 to 128 paths"; 2], "{plan}");
    assert_eq!(converge(&mut host, &full), Ok(0), "what was there stays");
}

trait Now {
    fn observe_now(&mut self) -> State;
}

impl Now for weft_linux::LinuxHost {
    fn observe_now(&mut self) -> State {
        weft_dataplane::Driver::observe(self).unwrap().clone()
    }
}

in_both_modes! {
    flows_stay_on_the_paths_that_stay => super::flows_stay_on_the_paths_that_stay,
    flows_stay_on_a_path_that_weighs_less_and_a_new_one_gets_some => super::flows_stay_on_a_path_that_weighs_less_and_a_new_one_gets_some,
    a_path_without_a_carrier_is_done_without => super::a_path_without_a_carrier_is_done_without,
    a_route_has_as_many_paths_as_there_is_room_for_and_more_are_refused =>
        super::a_route_has_as_many_paths_as_there_is_room_for_and_more_are_refused,
}
