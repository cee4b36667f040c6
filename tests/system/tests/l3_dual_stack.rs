//! Layer 3 with both IP versions on two hosts: VPNs, routers, and what is reached by routes alone. The same in the virtual machine,
//! where one of the hosts has VRF devices.

use std::time::Duration;

use serde_json::{Value, json};
use weft_lab::{LabSpec, Underlay};
use weft_system_tests::l3::{
    anycast, await_complaint, await_silence, await_ttl, change_router, forward, hub_and_spokes, network,
    router, ttl, vpn, workload,
};
use weft_system_tests::{Bench, FLOWS, Instances, machine, no_loss, run, run_again_in, spec_of, until};

/// How long hosts have to follow.
const WITHIN: Duration = Duration::from_secs(10);

/// What comes back has these TTLs or hop limits, once duplicate address detection is over where a workload has it.
fn assert_ttls(bench: &Bench, expected: &[(&str, &str, u8)]) {
    for (from, to, expected) in expected {
        await_ttl(bench, from, to, *expected);
    }
}

#[test]
fn any_to_any_with_both_versions_at_the_same_ttls_and_hop_limits() {
    any_to_any(&Bench::up("t-anyv6", 2, 9783));
}

#[test]
fn any_to_any_with_both_versions_over_an_underlay_of_ipv6() {
    let bench = Bench::up_as(LabSpec { underlay: Underlay::Ipv6, ..spec_of("t-anyover6", 2, 9783) });
    any_to_any(&bench);
    // What is routed goes from endpoint to endpoint by IPv6, from the VRFs of both projects.
    let endpoints = ["2001:db8:ffff::1", "2001:db8:ffff::2"];
    for (host, own, other) in [("host1", endpoints[0], endpoints[1]), ("host2", endpoints[1], endpoints[0])] {
        let nodes = bench.routing_nodes(host);
        let shown: Vec<String> = nodes.iter().map(|node| bench.bridge(node, "fdb show")).collect();
        let entries = shown.iter().flat_map(|shown| shown.lines()).filter(|entry| entry.contains(" dst "));
        let entries: Vec<&str> = entries.collect();
        // Of each of the two VRFs one is for the other's router MAC address.
        assert!(entries.len() >= 2, "{entries:#?}");
        assert!(entries.iter().all(|entry| entry.contains(&format!(" dst {other} "))), "{entries:#?}");
        let links = nodes.iter().flat_map(|node| bench.ip_json(node, "-d link show type vxlan"));
        let locals: Vec<Value> = links.map(|link| link["linkinfo"]["info_data"]["local6"].clone()).collect();
        // One of each network and one of each VRF.
        assert_eq!(locals, vec![json!(own); 5]);
    }
}

/// Two networks of Blue's in a VPN and one of Red's in another, on both hosts: who reaches whom, and what is said to those who do not.
fn any_to_any(bench: &Bench) {
    let (net1, _) = network(bench, "Blue", json!({"name": "net1"}), &["10.1.1.0/24", "2001:db8:1::/64"]);
    let (net2, _) = network(bench, "Blue", json!({"name": "net2"}), &["10.3.7.0/24", "2001:db8:7::/64"]);
    let (net3, _) = network(bench, "Red", json!({"name": "net3"}), &["10.1.1.0/24", "2001:db8:1::/64"]);
    for (project, network, name, host, addresses) in [
        ("Blue", &net1, "G1", "host1", "10.1.1.5 2001:db8:1::5"),
        ("Blue", &net2, "G2", "host1", "10.3.7.9 2001:db8:7::9"),
        ("Blue", &net1, "G3", "host2", "10.1.1.6 2001:db8:1::6"),
        ("Blue", &net2, "G4", "host2", "10.3.7.10 2001:db8:7::10"),
        ("Red", &net3, "G5", "host1", "10.1.1.5 2001:db8:1::5"),
        ("Red", &net3, "G6", "host2", "10.1.1.6 2001:db8:1::6"),
    ] {
        workload(bench, project, network, (name, host, addresses), false);
    }
    let member = |network: &str| ("network", json!({"network_id": network}));
    let targets = |target: &str| json!({"name": "v", "route_targets": [target]});
    vpn(bench, "Blue", targets("64512:100"), &[member(&net1), member(&net2)]);
    vpn(bench, "Red", targets("64512:200"), &[member(&net3)]);
    bench.await_rest();
    assert_ttls(
        bench,
        &[
            ("host1.G1", "10.1.1.6", 64),
            ("host1.G1", "2001:db8:1::6", 64),
            ("host1.G1", "10.3.7.9", 63),
            ("host1.G1", "2001:db8:7::9", 63),
            ("host1.G1", "10.3.7.10", 62),
            ("host1.G1", "2001:db8:7::10", 62),
            ("host2.G4", "2001:db8:1::5", 62),
            ("host2.G4", "2001:db8:1::6", 63),
            ("host1.G5", "2001:db8:1::6", 64),
        ],
    );
    assert_eq!(ttl(bench, "host1.G5", "2001:db8:7::9"), None, "only Blue has that");
    assert_eq!(ttl(bench, "host2.G6", "2001:db8:7::10"), None, "only Blue has that");
    let lost = (&["2001:db8:1::1"][..], "Destination unreachable: No route");
    await_complaint(bench, "host1.G1", "2001:db8:9::9", lost);
    for (hops, gateways) in [(1, &["2001:db8:1::1"][..]), (2, &["2001:db8:1::1", "2001:db8:7::1"])] {
        let tired = (gateways, "Time exceeded: Hop limit");
        await_complaint(bench, "host1.G1", &format!("-t {hops} 2001:db8:7::10"), tired);
    }
}

#[test]
fn a_router_says_how_long_a_packet_may_be_in_the_far_network() {
    let bench = Bench::up("t-mtu", 2, 9783);
    let attributes = |name: &str, mtu: u32| json!({"name": name, "mtu": mtu});
    let cidrs = |number: u8| [format!("10.{number}.0.0/24"), format!("2001:db8:{number}::/64")];
    let (wide, wide_subnets) =
        network(&bench, "default", attributes("wide", 1400), &cidrs(1).each_ref().map(String::as_str));
    let (narrow, narrow_subnets) =
        network(&bench, "default", attributes("narrow", 1300), &cidrs(2).each_ref().map(String::as_str));
    workload(&bench, "default", &wide, ("w1", "host1", "10.1.0.11 2001:db8:1::11"), false);
    for (name, host, last) in [("n1", "host1", 11), ("n2", "host2", 12)] {
        let addresses = format!("10.2.0.{last} 2001:db8:2::{last}");
        workload(&bench, "default", &narrow, (name, host, &addresses), false);
    }
    router(&bench, "default", wide_subnets.iter().chain(&narrow_subnets));
    bench.await_rest();
    // Of an echo request 20 or 40 bytes are the IP header, and 8 that of ICMP.
    for (last, gateways, hop_limit) in [(11, [1, 1], 63), (12, [1, 2], 62)] {
        for (to, headers, gateway, said) in [
            (format!("10.2.0.{last}"), 28, "10.N.0.1", "Frag needed and DF set (mtu = 1300)"),
            (format!("2001:db8:2::{last}"), 48, "2001:db8:N::1", "Packet too big: mtu=1300"),
        ] {
            await_ttl(&bench, "host1.w1", &to, hop_limit);
            let gateways = gateways.map(|number: u8| gateway.replace('N', &number.to_string()));
            let too_long = format!("-M do -s {} {to}", 1400 - headers);
            await_complaint(&bench, "host1.w1", &too_long, (&gateways.each_ref().map(String::as_str), said));
            // What is not longer gets there.
            let fits = format!("-M do -s {} {to}", 1300 - headers);
            let from = bench.namespace("host1.w1");
            run(&format!("ip netns exec {from} ping -c 1 -W 2 -n {fits}"));
        }
    }
}

#[test]
fn a_router_routes_both_versions_between_hosts() {
    let bench = Bench::up("t-routerv6", 2, 9783);
    let cidrs = |number: u8| [format!("10.{number}.0.0/24"), format!("2001:db8:{number}::/64")];
    let (web, web_subnets) =
        network(&bench, "default", json!({"name": "web"}), &cidrs(1).each_ref().map(String::as_str));
    let (db, db_subnets) =
        network(&bench, "default", json!({"name": "db"}), &cidrs(2).each_ref().map(String::as_str));
    workload(&bench, "default", &web, ("w1", "host1", "10.1.0.11 2001:db8:1::11"), false);
    workload(&bench, "default", &db, ("d1", "host1", "10.2.0.11 2001:db8:2::11"), false);
    workload(&bench, "default", &db, ("d2", "host2", "10.2.0.12 2001:db8:2::12"), false);
    let router = router(&bench, "default", web_subnets.iter().chain(&db_subnets));
    let attach = |action: &str, subnet: &str| {
        change_router(&bench, &router, action, &json!({"subnet_id": subnet}));
    };
    bench.await_rest();
    assert_ttls(
        &bench,
        &[
            ("host1.w1", "10.2.0.12", 62),
            ("host1.w1", "2001:db8:2::12", 62),
            ("host1.w1", "2001:db8:2::11", 63),
            ("host2.d2", "2001:db8:1::11", 62),
        ],
    );
    // One version of a network leaves its router and comes back, and the other does not notice.
    let pings = bench.pinging(&[("host1", "w1", "10.2.0.12"), ("host2", "d2", "10.1.0.11")]);
    attach("remove_router_interface", &db_subnets[1]);
    await_silence(&bench, "host1.w1", "2001:db8:2::12");
    attach("add_router_interface", &db_subnets[1]);
    assert_ttls(&bench, &[("host1.w1", "2001:db8:2::12", 62)]);
    no_loss(pings);
}

#[test]
fn hub_and_spoke_with_ipv6_passes_the_hub() {
    let bench = Bench::up("t-hubv6", 2, 9783);
    let cidrs = ["10.1.1.0/24", "2001:db8:1::/64"];
    let (blue, _) = network(&bench, "Blue", json!({"name": "blue", "l2_adjacency": false}), &cidrs);
    let spokes = [
        ("VNF1", "host1", "10.1.1.9 2001:db8:1::9"),
        ("VNF2", "host2", "10.1.1.6 2001:db8:1::6"),
        ("VNF3", "host2", "10.1.1.10 2001:db8:1::10"),
    ];
    let hub = hub_and_spokes(&bench, &blue, ("vFW", "host1", "10.1.1.5 2001:db8:1::5"), &spokes);
    bench.await_rest();
    // A workload that is reached by routes alone has its address alone, and a default route.
    let routes = bench.ip("host1.VNF1", "-6 route");
    assert!(routes.contains("default via 2001:db8:1::1") && !routes.contains("2001:db8:1::/64"), "{routes}");
    assert_ttls(&bench, &[("host1.VNF1", "2001:db8:1::5", 62), ("host2.VNF2", "2001:db8:1::5", 62)]);
    assert_eq!(ttl(&bench, "host2.VNF2", "2001:db8:1::10"), None, "past a hub that does not forward");
    forward(&bench, "host1.vFW");
    assert_ttls(
        &bench,
        &[
            ("host1.VNF1", "10.1.1.6", 59),
            ("host1.VNF1", "2001:db8:1::6", 59),
            ("host2.VNF2", "2001:db8:1::10", 59),
        ],
    );
    bench.http().delete("ports", &hub);
    await_silence(&bench, "host1.VNF1", "2001:db8:1::6");
    await_silence(&bench, "host2.VNF2", "2001:db8:1::10");
}

#[test]
fn anycast_with_ipv6_is_reached_from_inside_and_outside_its_subnet() {
    let bench = Bench::up("t-anycastv6", 2, 9783);
    anycast(&bench, true);
    bench.await_rest();
    let to = "2001:db8:1::5";
    let mut instances = Instances::listen(&bench, &["host1.V11", "host1.V12", "host2.V13"]);
    for from in ["host1.V2", "host2.V3", "host2.G5"] {
        let (_, took) =
            until(&format!("{from} reaches {to}"), WITHIN, || bench.pings(from, to).then_some(()));
        println!("{from} had an answer within {took:.0?}");
        let spread = instances.round(&bench, from, to.parse().expect("an address"));
        let counts = instances.counts(&spread);
        assert!(counts.iter().all(|count| *count >= FLOWS / 5), "{from}: {counts:?}");
    }
    assert_ttls(&bench, &[("host1.V2", "2001:db8:1::3", 64)]);
}

mod machine {
    #[test]
    fn the_same_with_namespaces_on_one_host_and_vrf_devices_on_the_other() {
        let cases = ["any_to_any", "a_router", "hub_and_spoke", "anycast"];
        super::run_again_in(&super::machine("2"), &[], &cases);
    }
}
