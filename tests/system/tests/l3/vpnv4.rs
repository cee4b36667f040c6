//! VPNv4 as others have it: all of what FRR, GoBGP and BIRD hear of *L3VPN any-to-any*; and what FRR does while the controller is away.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::{Value, json};
use weft_interop_tests::{Bird, Family, Frr, Gobgp, Reference, Setup};
use weft_lab::LabSpec;
use weft_system_tests::l3::{any_to_any, ttl};
use weft_system_tests::{Bench, Node, Peering, RouteMonitor, more_pings, no_loss, patience, spec, until};

use super::{CLIENT, CONTROLLER, Gateway, NETWORK, NUMBER, WITHIN};

/// A VPN-IPv4 route (RFC 4364) as a neighbour of the controller's has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct VpnRoute {
    distinguisher: String,
    prefix: String,
    targets: BTreeSet<String>,
    label: String,
    next_hop: String,
}

/// What is said of the use case: addresses, the numbers of their hosts, and those of their VPNs.
const WORKLOADS: [(&str, u8, u8); 6] = [
    ("10.1.1.5", 1, 1),
    ("10.3.7.9", 1, 1),
    ("10.1.1.6", 2, 1),
    ("10.3.7.10", 2, 1),
    ("10.1.1.5", 1, 2),
    ("10.1.1.6", 2, 2),
];

/// Each workload once: the target of its VPN, a distinguisher of its VRF on its host, the VRF's label, and that host's endpoint. VRFs
/// are numbered in the order in which they came to be.
fn all_routes(bench: &Bench) -> BTreeSet<VpnRoute> {
    let route = |(address, host, vpn): &(&str, u8, u8)| {
        let endpoint = bench.fabric_address("underlay", *host);
        VpnRoute {
            distinguisher: format!("{endpoint}:{vpn}"),
            prefix: format!("{address}/32"),
            targets: [format!("64512:{vpn}00")].into(),
            label: format!("10000{vpn}"),
            next_hop: endpoint.to_string(),
        }
    };
    WORKLOADS.iter().map(route).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn json_of(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// FRR says of one prefix at a time what there is to it, under each distinguisher.
fn of_frr(frr: &Frr) -> BTreeSet<VpnRoute> {
    let known = json_of(&frr.show("show bgp ipv4 vpn json"));
    let known = known["routes"]["routeDistinguishers"].as_object().into_iter().flatten();
    let prefixes: BTreeSet<String> = known
        .flat_map(|(_, routes)| routes.as_object().into_iter().flatten())
        .map(|(prefix, _)| prefix.clone())
        .collect();
    let mut all = BTreeSet::new();
    for prefix in prefixes {
        let said = json_of(&frr.show(&format!("show bgp ipv4 vpn {prefix} json")));
        for (distinguisher, route) in said.as_object().into_iter().flatten() {
            for path in route["paths"].as_array().into_iter().flatten() {
                let communities = text(&path["extendedCommunity"]["string"]);
                let targets = communities.split(' ').filter_map(|community| community.strip_prefix("RT:"));
                all.insert(VpnRoute {
                    distinguisher: distinguisher.clone(),
                    prefix: prefix.clone(),
                    targets: targets.map(str::to_owned).collect(),
                    label: text(&path["remoteLabel"]),
                    next_hop: text(&path["nexthops"][0]["ip"]),
                });
            }
        }
    }
    all
}

fn of_gobgp(gobgp: &Gobgp) -> BTreeSet<VpnRoute> {
    let said = json_of(&gobgp.ask("global rib -a vpnv4 -j"));
    let paths = said.as_object().into_iter().flatten().flat_map(|(_, paths)| paths.as_array()).flatten();
    let attribute = |path: &Value, kind: u8| {
        let mut attributes = path["attrs"].as_array().into_iter().flatten();
        attributes.find(|attribute| attribute["type"] == kind).cloned().unwrap_or_default()
    };
    let route = |path: &Value| {
        let nlri = &path["nlri"];
        let communities = attribute(path, 16)["value"].as_array().cloned().unwrap_or_default();
        let targets = communities.iter().filter(|community| community["subtype"] == 2);
        VpnRoute {
            distinguisher: format!("{}:{}", text(&nlri["rd"]["admin"]), nlri["rd"]["assigned"]),
            prefix: text(&nlri["prefix"]),
            targets: targets.map(|target| text(&target["value"])).collect(),
            label: text(&nlri["labels"][0]),
            next_hop: text(&attribute(path, 14)["nexthop"]),
        }
    };
    paths.map(route).collect()
}

/// BIRD writes a line that begins with the route, and one that is indented for each attribute.
fn of_bird(bird: &Bird) -> BTreeSet<VpnRoute> {
    let said = bird.show("show route all protocol weft table vpntab4");
    let mut all: Vec<VpnRoute> = Vec::new();
    for line in said.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let last = all.last_mut();
        match (words.as_slice(), last) {
            (["BGP.next_hop:", next_hop, ..], Some(route)) => (*next_hop).clone_into(&mut route.next_hop),
            (["BGP.mpls_label_stack:", label, ..], Some(route)) => (*label).clone_into(&mut route.label),
            (["BGP.ext_community:", ..], Some(route)) => {
                let targets = line.split("(rt, ").skip(1).filter_map(|rest| rest.split(')').next());
                route.targets = targets.map(|target| target.replace(", ", ":")).collect();
            }
            ([distinguisher, prefix, ..], _) if !line.starts_with(['\t', ' ']) && prefix.contains('/') => {
                all.push(VpnRoute {
                    distinguisher: (*distinguisher).to_owned(),
                    prefix: (*prefix).to_owned(),
                    targets: BTreeSet::new(),
                    label: String::new(),
                    next_hop: String::new(),
                });
            }
            _ => {}
        }
    }
    let count = all.len();
    let all: BTreeSet<VpnRoute> = all.into_iter().collect();
    assert_eq!(all.len(), count, "each once: {said}");
    all
}

/// Waits until somebody has heard exactly these routes.
fn await_heard(who: &str, heard: impl Fn() -> BTreeSet<VpnRoute>, routes: &BTreeSet<VpnRoute>) {
    let begin = Instant::now();
    loop {
        let now = heard();
        if now == *routes {
            return println!("{who} has heard {} routes after {:.1?}", now.len(), begin.elapsed());
        }
        assert!(begin.elapsed() < patience(WITHIN), "{who}: {now:#?} instead of {routes:#?}");
    }
}

#[test]
#[ignore = "needs VRF devices and MPLS; runs in a virtual machine"]
fn frr_gobgp_and_bird_hear_exactly_the_routes_of_the_use_case_and_their_withdrawal() {
    let bench =
        Bench::up_as(LabSpec { hosts: 2, port: 9783, vrf_device_hosts: [1, 2].into(), ..spec("t-vpnv4") });
    let made = any_to_any(&bench, json!({}));
    bench.await_rest();
    let address = |number| bench.fabric_address("mgmt", number);
    let nodes = [("frr", 201), ("gobgp", 202), ("bird", 203)].map(|(name, number)| {
        let node = Node::new(&bench, name);
        node.join(&bench, "mgmt", ("eth0", address(number)));
        // BIRD takes no route whose next hop is on none of its links.
        node.join(&bench, "underlay", ("eth1", bench.fabric_address("underlay", number)));
        node
    });
    let setup = |number| Setup {
        asn: 64512,
        peer_asn: 64512,
        ..Setup::new(address(number).into(), address(CONTROLLER).into(), &[Family::VpnIpv4])
    };
    let logs = bench.lab().state_directory();
    let frr = Frr::start(nodes[0].namespace(), logs, &setup(201), &[]);
    let gobgp = Gobgp::start(nodes[1].namespace(), logs, &setup(202), &[]);
    let bird = Bird::start(nodes[2].namespace(), logs, &setup(203), &[]);
    let peering = Peering::new(&bench);
    for number in [201, 202, 203] {
        peering.add(&bench, address(number), &json!({}));
    }
    let are_established = || frr.is_established() && gobgp.is_established() && bird.is_established();
    until("sessions", 2 * WITHIN, || are_established().then_some(()));
    let mut routes = all_routes(&bench);
    let await_all = |routes: &BTreeSet<VpnRoute>| {
        await_heard("FRR", || of_frr(&frr), routes);
        await_heard("GoBGP", || of_gobgp(&gobgp), routes);
        await_heard("BIRD", || of_bird(&bird), routes);
    };
    await_all(&routes);
    // Blue's 10.1.1.6 goes, Red's stays.
    bench.http().delete("ports", &made["G3"]);
    routes.retain(|route| route.prefix != "10.1.1.6/32" || route.targets.contains("64512:200"));
    assert_eq!(routes.len(), 5);
    await_all(&routes);
}

/// Of each route that a gateway has heard: whether it is kept although the neighbour is away.
fn stale(gateway: &Gateway) -> Vec<bool> {
    let said = json_of(&gateway.daemons.show("show bgp ipv4 vpn json"));
    let distinguished = said["routes"]["routeDistinguishers"].as_object().into_iter().flatten();
    let routes = distinguished.flat_map(|(_, routes)| routes.as_object().into_iter().flatten());
    let heard = routes.filter(|(prefix, _)| *prefix != NETWORK);
    let paths = heard.flat_map(|(_, paths)| paths.as_array().into_iter().flatten());
    paths.map(|path| path["stale"] == true).collect()
}

#[test]
#[ignore = "needs VRF devices and MPLS; runs in a virtual machine"]
fn frr_keeps_the_routes_of_a_controller_that_is_killed_and_no_packet_is_lost() {
    let bench = Bench::up("t-vpnv4kill", 2, 9783);
    let _made = any_to_any(&bench, json!({}));
    bench.await_rest();
    let gateway = Gateway::start(&bench);
    let _peer = Peering::new(&bench).add(&bench, bench.fabric_address("mgmt", NUMBER), &json!({}));
    let within = |what: &str, is_so: &dyn Fn() -> bool| until(what, 2 * WITHIN, || is_so().then_some(()));
    within("FRR has Blue's in its kernel", &|| gateway.in_kernel().len() == 2);
    within("G3 is answered", &|| ttl(&bench, "host2.G3", CLIENT).is_some());
    within("the client is answered", &|| gateway.client.ttl("10.3.7.10").is_some());
    let facts = bench.lab().state_directory().join("controller/facts");
    within("the checkpoint", &|| std::fs::read_to_string(&facts).is_ok_and(|text| text.contains(NETWORK)));
    let (heard, in_kernel) = (gateway.heard(), gateway.in_kernel());
    assert_eq!(stale(&gateway), [false; 3]);
    let host2 = bench.namespace("host2");
    let monitors = [&host2, gateway.node.namespace()].map(|who| RouteMonitor::start(&bench, who));
    let pings = bench.pinging(&[("host2", "G3", CLIENT), ("host2", "G4", CLIENT)]);
    more_pings(&pings, 20);

    bench.lab().kill_controller().expect("it can be killed");
    within("FRR keeps what it has heard", &|| stale(&gateway) == [true; 3]);
    more_pings(&pings, 20);
    assert_eq!((gateway.heard(), gateway.in_kernel()), (heard.clone(), in_kernel.clone()));
    bench.lab().start_controller().expect("it can be started");
    bench.lab().await_agents(bench.lab().hosts().as_slice()).expect("agents come back");
    bench.await_rest();
    until("FRR has heard all of it again", 4 * WITHIN, || (stale(&gateway) == [false; 3]).then_some(()));
    more_pings(&pings, 20);
    println!("pings and the longest gap: {:?}", no_loss(pings));
    for monitor in monitors {
        assert_eq!(monitor.end(), [""; 0], "no route was touched");
    }
    assert_eq!((gateway.heard(), gateway.in_kernel()), (heard, in_kernel));
}
