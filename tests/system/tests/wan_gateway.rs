//! A WAN gateway of NetReady's use cases: what it hears from the site, what the site hears from it, and the way of packets between.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_system_tests::{Bench, Peering, PrefixRoute, WanGateway, any_to_any, ttl, until, workload};

/// How long the other side has to follow.
const WITHIN: Duration = Duration::from_secs(10);
/// As what a controller of a lab is a neighbour.
const CONTROLLER: u8 = 254;
/// Blue's workloads and their hosts.
const BLUE: [(&str, &str); 4] =
    [("10.1.1.5", "host1"), ("10.3.7.9", "host1"), ("10.1.1.6", "host2"), ("10.3.7.10", "host2")];
/// Red's.
const RED: [(&str, &str); 2] = [("10.1.1.5", "host1"), ("10.1.1.6", "host2")];

/// What any neighbour hears of the use case: each workload once, with the target of its VPN, a distinguisher of its VRF on its host, and
/// that host's tunnel endpoint.
fn all_routes(bench: &Bench) -> BTreeSet<PrefixRoute> {
    let blue = BLUE.iter().map(|at| route(bench, at, "64512:100"));
    blue.chain(RED.iter().map(|at| route(bench, at, "64512:200"))).collect()
}

fn route(bench: &Bench, (address, host): &(&str, &str), target: &str) -> PrefixRoute {
    let number = host.trim_start_matches("host").parse().expect("hosts have numbers");
    let endpoint = bench.fabric_address("underlay", number);
    // The VRFs are numbered in the order in which they came to be.
    let vrf = if target == "64512:100" { 1 } else { 2 };
    PrefixRoute {
        prefix: format!("{address}/32"),
        distinguisher: format!("{endpoint}:{vrf}"),
        targets: [target.to_owned()].into(),
        next_hop: endpoint.to_string(),
    }
}

/// What of that is in the gateway's kernel: what has its target.
fn blue_in_kernel(bench: &Bench) -> BTreeSet<(String, String)> {
    let routes = BLUE.iter().map(|at| (at.0.to_owned(), route(bench, at, "").next_hop));
    routes.collect()
}

/// Where a VPN's VRF on a host leads packets for the network behind the gateway, as its kernel has it: interfaces and next hops.
fn learned(bench: &Bench, host: &str, vpn: &str) -> Vec<Value> {
    let vrf = bench.namespace(&format!("{host}.vrf-{}", &vpn[..11]));
    let said =
        weft_system_tests::run(&format!("ip -j -n {vrf} route show {} proto 217", WanGateway::NETWORK));
    serde_json::from_str(&said).unwrap_or_default()
}

fn await_learned(bench: &Bench, vpn: &str, is_there: bool) -> Duration {
    let what = format!("{} is learned: {is_there}", WanGateway::NETWORK);
    let is_so = |host| learned(bench, host, vpn).is_empty() != is_there;
    until(&what, WITHIN, || (is_so("host1") && is_so("host2")).then_some(())).1
}

/// Waits until the gateway has heard exactly these routes.
fn await_heard(gateway: &WanGateway, routes: &BTreeSet<PrefixRoute>) -> Duration {
    let begin = Instant::now();
    while gateway.heard() != *routes {
        assert!(begin.elapsed() < WITHIN, "{:#?} instead of {routes:#?}", gateway.heard());
    }
    begin.elapsed()
}

fn await_in_kernel(gateway: &WanGateway, routes: &BTreeSet<(String, String)>) {
    let begin = Instant::now();
    while gateway.kernel_routes() != *routes {
        assert!(begin.elapsed() < WITHIN, "{:#?} instead of {routes:#?}", gateway.kernel_routes());
    }
}

/// Packets take two hops between a workload and the client: its host and the gateway.
fn assert_reachable(bench: &Bench, gateway: &WanGateway) {
    for (address, _) in BLUE {
        assert_eq!(gateway.client().ttl(address), Some(62), "the client to {address}");
    }
    for workload in ["host1.G1", "host1.G2", "host2.G3", "host2.G4"] {
        assert_eq!(ttl(bench, workload, WanGateway::CLIENT), Some(62), "{workload} to the client");
    }
    for workload in ["host1.G5", "host2.G6"] {
        assert_eq!(ttl(bench, workload, WanGateway::CLIENT), None, "{workload} is Red's");
    }
}

#[test]
fn frr_as_wan_gateway_reaches_the_workloads_of_its_vpn_and_no_others() {
    let bench = Bench::up("t-wan", 2, 9783);
    let made = any_to_any(&bench, json!({"vni": WanGateway::VNI}));
    bench.await_rest();
    let mut gateway = WanGateway::start(&bench, bench.fabric_address("mgmt", CONTROLLER), false);
    let _peer = Peering::new(&bench).add(&bench, gateway.address(), &json!({}));
    let (mut routes, mut in_kernel) = (all_routes(&bench), blue_in_kernel(&bench));
    await_heard(&gateway, &routes);
    await_in_kernel(&gateway, &in_kernel);
    await_learned(&bench, &made["vpn1"], true);
    assert_eq!(learned(&bench, "host1", &made["vpn2"]), [Value::Null; 0], "Red imports nothing of Blue's");
    assert_reachable(&bench, &gateway);

    // A port that goes takes its route along, one that comes brings its own.
    bench.http().delete("ports", &made["G3"]);
    let gone = ("10.1.1.6", "host2");
    routes.remove(&route(&bench, &gone, "64512:100"));
    let took = await_heard(&gateway, &routes);
    println!("withdrawn after {took:?}");
    in_kernel.retain(|(prefix, _)| prefix != gone.0);
    await_in_kernel(&gateway, &in_kernel);
    assert_eq!(gateway.client().ttl(gone.0), None, "Red has that address still");
    let _port = workload(&bench, "Blue", &made["net1"], ("G3", "host1", "10.1.1.6"), false);
    routes.insert(route(&bench, &("10.1.1.6", "host1"), "64512:100"));
    println!("announced after {:?}", await_heard(&gateway, &routes));
    let endpoint = bench.fabric_address("underlay", 1).to_string();
    in_kernel.insert((gone.0.to_owned(), endpoint));
    await_in_kernel(&gateway, &in_kernel);
    assert_eq!(gateway.client().ttl(gone.0), Some(62));

    // The gateway takes its network back, and announces it again.
    gateway.announce(false);
    await_learned(&bench, &made["vpn1"], false);
    assert_eq!(ttl(&bench, "host1.G1", WanGateway::CLIENT), None);
    gateway.announce(true);
    await_learned(&bench, &made["vpn1"], true);
    assert_eq!(ttl(&bench, "host1.G1", WanGateway::CLIENT), Some(62));

    // One that has asked nobody to keep its routes takes them along.
    gateway.kill_bgpd();
    println!("forgotten after {:?}", await_learned(&bench, &made["vpn1"], false));
    gateway.start_bgpd();
    await_learned(&bench, &made["vpn1"], true);
    await_heard(&gateway, &routes);
}
