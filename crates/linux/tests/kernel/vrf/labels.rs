//! VRFs joined by MPLS labels instead of VXLAN (RFC 4364).

use weft_dataplane::conformance::converge;
use weft_dataplane::{Driver, INGRESS_TABLE, LabelRoute, Object, Path, Route, RouteTo, State};
use weft_linux::VrfMode;
use weft_net::{Capability, MplsLabel};

use super::{Site, answers, hosts, ping, site};
use crate::common::{Bench, run, state, veth};
use crate::damage::check;
use crate::talk::inside;

fn label(site: Site) -> MplsLabel {
    (100 + u32::from(site.host)).try_into().unwrap()
}

/// How it gets what comes with its label.
fn by_label(site: Site) -> Vec<Object> {
    let inside = site.inside("ml-a");
    let route = LabelRoute {
        label: label(site),
        link: "mp-a".parse().unwrap(),
        mac: "02:00:00:00:0f:01".parse().unwrap(),
    };
    let local = |destination: String| {
        let to = RouteTo::link(site.gw().parse().unwrap(), None);
        let Object::Route(route) = site.route(&destination, to) else { unreachable!("it is a route") };
        Object::Route(Route { table: INGRESS_TABLE, ..route })
    };
    vec![
        veth("mp-a", inside.clone(), "02:00:00:00:0f:01"),
        Object::Ingress(inside),
        Object::LabelRoute(route),
        local(format!("10.{}.0.5/32", site.host)),
        local(format!("2001:db8:{}::5/128", site.host)),
    ]
}

fn wanted(site: Site) -> State {
    let there = site.there();
    let path = |via: String| Path {
        via: Some(via.parse().unwrap()),
        link: None,
        labels: vec![label(there)],
        weight: 1,
    };
    let mut objects = site.local();
    objects.extend(by_label(site));
    // What the other host does not have it sends back, by the VRF's own table.
    let back = path(there.vtep());
    objects.push(site.route("10.2.0.99/32", RouteTo::paths([back])));
    objects.push(site.route(&format!("10.{}.0.5/32", there.host), RouteTo::paths([path(there.vtep())])));
    objects.push(site.route(
        &format!("2001:db8:{}::5/128", there.host),
        RouteTo::paths([path(format!("2001:db8:ffff::{}", there.host))]),
    ));
    state(objects)
}

#[test]
#[ignore = "needs VRF devices and MPLS; runs in a virtual machine"]
fn two_vrfs_are_joined_by_labels() {
    let bench = Bench::with(VrfMode::Device);
    let wants = [1, 2].map(|host| wanted(site('a', host)));
    let [mut first, _second] = hosts(&bench, [&wants[0], &wants[1]]);
    assert!(first.capabilities().contains(&Capability::Mpls));
    let from = site('a', 1).workload(&bench);
    assert!(answers(&from, "10.2.0.5") && answers(&from, "2001:db8:2::5"));
    // Two routers on the way, and each tells of a packet that has grown too old. The far one counts twice: when it takes the label
    // off, and when it routes.
    for (to, near, far) in
        [("10.2.0.5", "10.1.0.1", "10.2.0.1"), ("2001:db8:2::5", "2001:db8:1::1", "2001:db8:2::1")]
    {
        let said = ping(&from, to, "");
        assert!(said.contains("ttl=61"), "{to}: {said}");
        for (ttl, source) in [(1, near), (2, far), (3, far)] {
            let said = ping(&from, to, &format!("-t {ttl}"));
            assert!(said.contains(&format!("From {source}")), "{to} with TTL {ttl}: {said}");
        }
    }
    // What comes with a label goes no further than this host: the other's own table leads back to where it comes from.
    let said = ping(&from, "10.2.0.99", "");
    assert!(said.contains("From 10.2.0.1") && said.contains("nreachable"), "{said}");
    let n = bench.host("a");
    run(&format!("ip -n {n} -f mpls route del 101"));
    check(&mut first, &wants[0], "a label is gone", &["+ label"]);
    run(&format!("ip -n {n} -f mpls route replace 101 dev vrf-a proto 217"));
    check(&mut first, &wants[0], "a label leads elsewhere", &["+ label"]);
    run(&format!(
        "ip -n {n} route replace 10.2.0.5/32 table 1001 encap mpls 999 via 192.0.2.2 dev up0 proto 217"
    ));
    check(&mut first, &wants[0], "another label", &["~ route"]);
    // The mark on what comes in by it, and the limit to what it is asked.
    run(&format!("tc -n {n} qdisc del dev ml-a clsact"));
    check(&mut first, &wants[0], "a link has lost its filters", &["~ link", "+ ingress"]);
    assert_eq!(converge(&mut bench.open("a"), &wants[0]), Ok(0), "a fresh look");
    assert!(answers(&from, "10.2.0.5"));
}

/// The link out of which a host's packets for an address leave a VRF.
fn leaves_by(n: &str, destination: &str) -> String {
    let said = run(&format!("ip -n {n} route show table 1001 {destination}"));
    said.split_once(" dev ").and_then(|(_, rest)| rest.split(' ').next()).unwrap_or_default().to_owned()
}

#[test]
#[ignore = "needs VRF devices and MPLS; runs in a virtual machine"]
fn labelled_paths_follow_the_hosts_own_routing() {
    let bench = Bench::with(VrfMode::Device);
    let wants = [1, 2].map(|host| wanted(site('a', host)));
    let [mut first, _second] = hosts(&bench, [&wants[0], &wants[1]]);
    let (n, there) = (bench.host("a"), bench.host("b"));
    let from = site('a', 1).workload(&bench);
    // A second cable, over which nothing leads yet.
    run(&format!("ip -n {n} link add up1 mtu 1600 type veth peer name up1 netns {there}"));
    for end in [&n, &there] {
        run(&format!("ip -n {end} link set up1 up"));
    }
    inside(&there, || std::fs::write("/proc/sys/net/mpls/conf/up1/input", "1")).unwrap();
    assert_eq!(leaves_by(&n, "10.2.0.5"), "up0");
    run(&format!("ip -n {n} route add 192.0.2.2/32 dev up1"));
    // In place: there is a route at any time.
    check(&mut first, &wants[0], "a route to the other host by another link", &["~ route", "~ route"]);
    assert_eq!(leaves_by(&n, "10.2.0.5"), "up1");
    assert!(answers(&from, "10.2.0.5") && answers(&from, "2001:db8:2::5"));
    run(&format!("ip -n {n} route add 192.0.2.0/25 dev up0"));
    run(&format!("ip -n {n} route add 198.51.100.0/24 dev up0"));
    assert_eq!(converge(&mut first, &wants[0]), Ok(0), "routes by which nothing changes for it");
    // It moves while nobody looks.
    drop(first);
    run(&format!("ip -n {n} route del 192.0.2.2/32 dev up1"));
    let mut first = bench.open("a");
    let plan = crate::common::plan(&mut first, &wants[0]);
    assert_eq!(plan.steps.len(), 2, "{plan}");
    converge(&mut first, &wants[0]).unwrap();
    assert_eq!(leaves_by(&n, "10.2.0.5"), "up0");
    run(&format!("ip -n {n} nexthop add id 7 dev up1"));
    run(&format!("ip -n {n} route add 192.0.2.2/32 nhid 7"));
    check(&mut first, &wants[0], "a route to the other host by a next hop", &["~ route", "~ route"]);
    run(&format!("ip -n {n} nexthop replace id 7 dev up0"));
    check(&mut first, &wants[0], "the next hop is on another link", &["~ route", "~ route"]);
    assert!(answers(&from, "10.2.0.5"));
}

#[test]
fn a_label_is_refused_where_vrfs_are_namespaces() {
    let bench = Bench::new();
    bench.add_host("h");
    let mut host = bench.open("h");
    assert!(!host.capabilities().contains(&Capability::Mpls));
    let vrf = site('a', 1).local().remove(0);
    let [end, _, label, ..] = &by_label(site('a', 1))[..] else { unreachable!("these are more") };
    let plan = crate::common::plan(&mut host, &state([vrf, end.clone(), label.clone()]));
    let mut outcomes = host.apply(&plan);
    let refusal = outcomes.pop().expect("the label is last").unwrap_err().to_string();
    assert!(refusal.contains("only where VRFs are devices"), "{refusal}");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}
