//! Layer 3 on two hosts, with the names and addresses of OPNFV NetReady's L3VPN use cases. The same in the virtual machine, where
//! one of the hosts has VRF devices.

#[path = "l3/labels.rs"]
mod labels;
#[path = "l3/machine.rs"]
mod machine;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_system_tests::l3::{
    any_to_any, anycast, await_complaint, await_silence, await_ttl, behind, change_router, forward,
    hub_and_spokes, network, router, ttl, vpn, workload,
};
use weft_system_tests::{Bench, Node, patience, run, try_run, until};

/// How long hosts have to follow.
const WITHIN: Duration = Duration::from_secs(10);
/// How long packets may go on as they did after a change of route targets.
const FOLLOWS: Duration = Duration::from_secs(2);

#[test]
fn any_to_any_everybody_of_a_vpn_reaches_everybody_and_nobody_of_another() {
    let bench = Bench::up("t-anytoany", 2, 9783);
    let made = any_to_any(&bench, json!({}));
    bench.await_rest();
    // One hop on the same host, two to the other, none within a subnet.
    for (from, to, expected) in [
        ("host1.G1", "10.1.1.6", 64),
        ("host1.G1", "10.3.7.9", 63),
        ("host1.G1", "10.3.7.10", 62),
        ("host1.G2", "10.1.1.5", 63),
        ("host1.G2", "10.1.1.6", 62),
        ("host2.G3", "10.3.7.9", 62),
        ("host2.G4", "10.1.1.6", 63),
        ("host1.G5", "10.1.1.6", 64),
    ] {
        assert_eq!(ttl(&bench, from, to), Some(expected), "{from} to {to}");
    }
    // Red has an address of Blue's, and no way to what only Blue has; not even by a gateway that it makes up.
    assert_eq!(ttl(&bench, "host1.G5", "10.3.7.9"), None);
    assert_eq!(ttl(&bench, "host2.G6", "10.3.7.10"), None);
    // The nearest gateway says that there is nothing, and of a packet that has come too far each says so on the way: the
    // nearest, and one of those on the other host.
    await_complaint(&bench, "host1.G1", "10.9.9.9", (&["10.1.1.1"], "Destination Net Unreachable"));
    for (hops, gateways) in [(1, &["10.1.1.1"][..]), (2, &["10.1.1.1", "10.3.7.1"])] {
        let tired = (gateways, "Time to live exceeded");
        await_complaint(&bench, "host1.G1", &format!("-t {hops} 10.3.7.10"), tired);
    }
    bench.http().delete("ports", &made["G3"]);
    await_silence(&bench, "host1.G2", "10.1.1.6");
    assert_eq!(ttl(&bench, "host1.G2", "10.3.7.10"), Some(64), "what stays is untouched");
}

#[test]
fn a_router_joins_its_networks_on_every_host_that_has_ports_of_them_and_on_no_other() {
    let bench = Bench::up("t-router", 3, 9783);
    let (web, web_subnets) = network(&bench, "default", json!({"name": "web"}), &["10.1.0.0/24"]);
    let (db, db_subnets) = network(&bench, "default", json!({"name": "db"}), &["10.2.0.0/24"]);
    workload(&bench, "default", &web, ("w1", "host1", "10.1.0.11"), false);
    workload(&bench, "default", &db, ("d2", "host2", "10.2.0.12"), false);
    let router = router(&bench, "default", web_subnets.iter().chain(&db_subnets));
    bench.await_rest();
    assert_eq!(ttl(&bench, "host1.w1", "10.2.0.12"), Some(62));
    let vrfs = || ["host1", "host2", "host3"].map(|host| bench.vrfs(host));
    assert_eq!(vrfs(), [1, 1, 0]);
    // The gateway is the same everywhere: that of the router's interface.
    let ports = bench.http().list("ports?device_owner=network:router_interface_distributed");
    let mac = |address: &str| {
        let port =
            ports.iter().find(|port| port["fixed_ips"][0]["ip_address"] == address).expect("an interface");
        port["mac_address"].as_str().expect("a MAC address").to_owned()
    };
    let neighbours = bench.ip("host1.w1", "neigh show 10.1.0.1");
    assert!(neighbours.contains(&mac("10.1.0.1")), "{neighbours}");
    change_router(&bench, &router, "remove_router_interface", &json!({"subnet_id": db_subnets[0]}));
    await_silence(&bench, "host1.w1", "10.2.0.12");
    let are_gone = || (vrfs() == [1, 0, 0]).then_some(());
    until("VRFs are gone where nothing needs them", WITHIN, are_gone);
}

#[test]
fn hub_and_spoke_spokes_reach_one_another_by_way_of_the_hub_alone() {
    let bench = Bench::up("t-hubspoke", 2, 9783);
    let cidrs = ["10.1.1.0/24", "10.3.7.0/24"];
    let (blue, _) = network(&bench, "Blue", json!({"name": "blue", "l2_adjacency": false}), &cidrs);
    let spokes =
        [("VNF1", "host1", "10.3.7.9"), ("VNF2", "host2", "10.1.1.6"), ("VNF3", "host2", "10.3.7.10")];
    let hub = hub_and_spokes(&bench, &blue, ("vFW", "host1", "10.1.1.5"), &spokes);
    bench.await_rest();
    assert_eq!(ttl(&bench, "host1.VNF1", "10.1.1.5"), Some(62));
    assert_eq!(ttl(&bench, "host2.VNF2", "10.1.1.5"), Some(62));
    let all = [("host1.VNF1", "10.1.1.6"), ("host1.VNF1", "10.3.7.10"), ("host2.VNF2", "10.3.7.10")];
    for (from, to) in all {
        assert_eq!(ttl(&bench, from, to), None, "{from} to {to}, past a hub that does not forward");
    }
    forward(&bench, "host1.vFW");
    for (from, to) in all {
        // The spoke's VRF, the hub's, the firewall, the hub's again, the other spoke's.
        assert_eq!(ttl(&bench, from, to), Some(59), "{from} to {to}");
    }
    bench.http().delete("ports", &hub);
    for (from, to) in all {
        await_silence(&bench, from, to);
    }
}

/// A hub in its own network with an outside behind its firewall on host1, and spokes of another network on both hosts; answers the
/// hub's network and subnet, and the outside.
fn hub_with_outside(bench: &Bench) -> (String, String, Node) {
    let (hubs, subnets) = network(bench, "Blue", json!({"name": "hubs"}), &["10.1.1.0/24"]);
    workload(bench, "Blue", &hubs, ("vFW", "host1", "10.1.1.8"), false);
    let spokes = json!({"name": "spokes", "l2_adjacency": false});
    let (spokes, _) = network(bench, "Blue", spokes, &["10.3.7.0/24"]);
    workload(bench, "Blue", &spokes, ("VNF1", "host1", "10.3.7.9"), false);
    workload(bench, "Blue", &spokes, ("VNF2", "host2", "10.3.7.10"), false);
    let subnet = subnets.into_iter().next().expect("it has one");
    let members = [("network", json!({"network_id": spokes, "role": "spoke"}))];
    vpn(bench, "Blue", json!({"name": "hs", "vrf_policy": "hub-and-spoke"}), &members);
    bench.await_rest();
    let outside = behind(bench, "host1.vFW", ("192.0.2.1", "192.0.2.77"));
    (hubs, subnet, outside)
}

/// The spokes reach what is outside: their VRF, the hub's and the firewall are on the way, which the firewall sees.
fn assert_by_hub(bench: &Bench, outside: &Node) {
    let passed = || {
        let links = bench.ip_json("host1.vFW", "-s link show back");
        links[0]["stats64"]["tx"]["packets"].as_u64().expect("the kernel counts")
    };
    for spoke in ["host1.VNF1", "host2.VNF2"] {
        let before = passed();
        await_ttl(bench, spoke, "192.0.2.77", 61);
        assert!(passed() > before, "{spoke}, past the firewall");
    }
    until("from outside, too", WITHIN, || outside.ttl("10.3.7.10").filter(|ttl| *ttl == 61));
    // There are two hops, and a third to the firewall itself: who has sent too far is told so by it.
    let from = bench.namespace("host2.VNF2");
    let tired = try_run(&format!("ip netns exec {from} ping -c 1 -W 1 -n -t 3 192.0.2.77"))
        .expect_err("it is sent too far");
    assert!(tired.contains("From 10.1.1.8 icmp_seq=1 Time to live exceeded"), "{tired}");
}

fn associate(bench: &Bench, kind: &str, member: &Value) -> String {
    let vpns = bench.http().list("bgpvpn/bgpvpns?name=hs");
    let collection =
        format!("bgpvpn/bgpvpns/{}/{kind}_associations", vpns[0]["id"].as_str().expect("it has an id"));
    let made = bench.http().create(&collection, &json!({ format!("{kind}_association"): member }));
    format!("{collection}/{}", made["id"].as_str().expect("it has an id"))
}

fn dissociate(bench: &Bench, association: &str) {
    let answer = bench.http().ask("DELETE", &format!("/v2.0/{association}"), &Value::Null);
    assert_eq!(answer.status, 204, "{}", answer.json());
}

#[test]
fn spokes_reach_what_is_outside_by_a_network_that_is_the_hub() {
    let bench = Bench::up("t-hubnetwork", 2, 9783);
    let (hubs, _, outside) = hub_with_outside(&bench);
    assert_eq!(ttl(&bench, "host2.VNF2", "192.0.2.77"), None, "there is no hub");
    let association = associate(&bench, "network", &json!({"network_id": hubs, "role": "hub"}));
    assert_by_hub(&bench, &outside);
    dissociate(&bench, &association);
    await_silence(&bench, "host1.VNF1", "192.0.2.77");
    await_silence(&bench, "host2.VNF2", "192.0.2.77");
}

#[test]
fn spokes_reach_what_is_outside_by_the_default_route_of_a_router_that_is_the_hub() {
    let bench = Bench::up("t-hubrouter", 2, 9783);
    let (_, subnet, outside) = hub_with_outside(&bench);
    let router = router(&bench, "Blue", [&subnet]);
    let association = associate(&bench, "router", &json!({"router_id": router, "role": "hub"}));
    bench.await_rest();
    assert_eq!(ttl(&bench, "host2.VNF2", "192.0.2.77"), None, "the router has no default route");
    await_ttl(&bench, "host2.VNF2", "10.1.1.8", 62);
    let routes = json!({"router": {"routes": [{"destination": "0.0.0.0/0", "nexthop": "10.1.1.8"}]}});
    change_router(&bench, &router, "add_extraroutes", &routes);
    assert_by_hub(&bench, &outside);
    change_router(&bench, &router, "remove_extraroutes", &routes);
    await_silence(&bench, "host2.VNF2", "192.0.2.77");
    assert_eq!(ttl(&bench, "host2.VNF2", "10.1.1.8"), Some(62), "its network stays");
    dissociate(&bench, &association);
    await_silence(&bench, "host2.VNF2", "10.1.1.8");
}

#[test]
fn a_router_sends_what_an_extra_route_says_by_the_workload_that_it_names() {
    let bench = Bench::up("t-extraroute", 2, 9783);
    let (web, web_subnets) = network(&bench, "default", json!({"name": "web"}), &["10.1.0.0/24"]);
    let (db, db_subnets) = network(&bench, "default", json!({"name": "db"}), &["10.2.0.0/24"]);
    workload(&bench, "default", &web, ("w8", "host1", "10.1.0.8"), false);
    workload(&bench, "default", &web, ("w9", "host2", "10.1.0.9"), false);
    workload(&bench, "default", &db, ("d1", "host1", "10.2.0.11"), false);
    workload(&bench, "default", &db, ("d2", "host2", "10.2.0.12"), false);
    let router = router(&bench, "default", web_subnets.iter().chain(&db_subnets));
    bench.await_rest();
    let outside = behind(&bench, "host1.w8", ("10.8.0.1", "10.8.0.77"));
    assert_eq!(ttl(&bench, "host2.d2", "10.8.0.77"), None, "there is no such route");
    let routes = json!({"router": {"routes": [{"destination": "10.8.0.0/16", "nexthop": "10.1.0.8"}]}});
    change_router(&bench, &router, "add_extraroutes", &routes);
    // The workload is one router on the way, its host one, and another host one more.
    for (from, expected) in [("host1.d1", 62), ("host2.d2", 61)] {
        await_ttl(&bench, from, "10.8.0.77", expected);
    }
    assert_eq!(outside.ttl("10.2.0.12"), Some(61));
    // Who is in the next hop's own network is told so by the router.
    until("w9 reaches it", WITHIN, || ttl(&bench, "host2.w9", "10.8.0.77"));
    change_router(&bench, &router, "remove_extraroutes", &routes);
    await_silence(&bench, "host1.d1", "10.8.0.77");
    await_silence(&bench, "host2.d2", "10.8.0.77");
    assert_eq!(ttl(&bench, "host2.d2", "10.1.0.8"), Some(62), "its next hop stays");
}

#[test]
fn route_targets_made_disjoint_stop_packets_and_made_equal_let_them_pass_again() {
    let bench = Bench::up("t-disjoint", 2, 9783);
    let mut vpns = Vec::new();
    for (number, cidr) in [(1, "10.1.1.0/24"), (2, "10.2.2.0/24")] {
        let (net, _) = network(&bench, "Blue", json!({"name": format!("net{number}")}), &[cidr]);
        for host in [1, 2] {
            let at =
                (format!("G{number}{host}"), format!("host{host}"), format!("10.{number}.{number}.{host}0"));
            workload(&bench, "Blue", &net, (&at.0, &at.1, &at.2), false);
        }
        let targets = json!({"name": format!("vpn{number}"), "route_targets": ["64512:100"]});
        vpns.push(vpn(&bench, "Blue", targets, &[("network", json!({ "network_id": net }))]));
    }
    let change = |vpn: &str, targets: Value| {
        bench.http().update("bgpvpn/bgpvpns", vpn, &json!({ "bgpvpn": targets }));
        Instant::now()
    };
    let passes = |is_passing: bool, since: Instant| {
        for (from, to) in [("host1.G11", "10.2.2.20"), ("host2.G12", "10.2.2.20"), ("host2.G22", "10.1.1.10")]
        {
            let is_so = || (bench.pings_at_once(from, to) == is_passing).then_some(());
            until(&format!("{from} reaches {to}: {is_passing}"), WITHIN, is_so);
        }
        let took = since.elapsed();
        println!("passing: {is_passing}, after {took:.0?}");
        assert!(took < patience(FOLLOWS), "{took:?}");
        // Within a network nothing changes.
        assert_eq!(ttl(&bench, "host1.G11", "10.1.1.20"), Some(64));
        assert_eq!(ttl(&bench, "host2.G22", "10.2.2.10"), Some(64));
    };
    bench.await_rest();
    passes(true, Instant::now());
    let none = json!([]);
    let only = |targets: &[&str]| json!({ "route_targets": targets });
    passes(false, change(&vpns[1], only(&["64512:300"])));
    passes(true, change(&vpns[0], only(&["64512:300"])));
    // Each takes in what the other says, and what itself says is another's.
    let crossed = |import: &str, export: &str| json!({"route_targets": none, "import_targets": [import], "export_targets": [export]});
    change(&vpns[0], crossed("64512:1", "64512:2"));
    passes(true, change(&vpns[1], crossed("64512:2", "64512:1")));
    passes(false, change(&vpns[1], crossed("64512:1", "64512:2")));
    passes(true, change(&vpns[1], crossed("64512:2", "64512:1")));
    // None at all.
    let isolated = json!({"route_targets": none, "import_targets": none, "export_targets": none});
    passes(false, change(&vpns[1], isolated));
}

#[test]
fn ecmp_one_address_of_several_instances_in_one_subnet_is_reached_from_inside_and_outside_it() {
    let bench = Bench::up("t-ecmp", 2, 9783);
    anycast(&bench, false);
    bench.await_rest();
    for from in ["host1.V2", "host2.V3", "host2.G5"] {
        assert!(bench.pings(from, "10.1.1.5"), "{from}");
    }
    assert_eq!(ttl(&bench, "host1.V2", "10.1.1.3"), Some(64), "the others of the subnet are beside it");
    // The gateways answer for it at once: nobody else will.
    for host in ["host1", "host2"] {
        let tables = run(&format!("ip -n {} ntable show", vrf_namespace(&bench, host)));
        let delays = tables.split("\n\n").filter(|table| table.contains("dev gw-"));
        let delays: Vec<&str> =
            delays.filter_map(|table| table.split("proxy_delay ").nth(1)?.split(' ').next()).collect();
        assert!(!delays.is_empty() && delays.iter().all(|delay| *delay == "0"), "{tables}");
    }
    // An instance is routed to them: it has no neighbour but its gateway.
    let routes = bench.ip("host1.V11", "route");
    assert!(routes.contains("default via 10.1.1.1") && !routes.contains("10.1.1.0/24"), "{routes}");
}

/// The namespace of the only VRF of a host: the host's own, where VRFs are devices.
fn vrf_namespace(bench: &Bench, host: &str) -> String {
    let prefix = bench.namespace(&format!("{host}.vrf-"));
    let names = run("ip netns list");
    let mut own = names.split_whitespace().filter(|name| name.starts_with(&prefix));
    let Some(found) = own.next().map(str::to_owned) else {
        assert_eq!(bench.vrfs(host), 1, "a VRF device");
        return bench.namespace(host);
    };
    assert_eq!(own.next(), None, "one VRF alone");
    found
}
