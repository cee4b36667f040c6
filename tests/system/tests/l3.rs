//! Layer 3 on two hosts, with the names and addresses of OPNFV NetReady's L3VPN use cases.

use std::time::Duration;

use serde_json::json;
use weft_system_tests::l3::{any_to_any, await_silence, network, ttl, vpn, workload};
use weft_system_tests::{Bench, run, try_run, until};

/// How long hosts have to follow.
const WITHIN: Duration = Duration::from_secs(10);

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
    // The nearest gateway says that there is nothing, and a packet that has come too far is told so by the last.
    let from = bench.namespace("host1.G1");
    let lost = try_run(&format!("ip netns exec {from} ping -c 1 -W 1 -n 10.9.9.9")).unwrap_err();
    assert!(lost.contains("From 10.1.1.1 icmp_seq=1 Destination Net Unreachable"), "{lost}");
    let tired = try_run(&format!("ip netns exec {from} ping -c 1 -W 1 -n -t 2 10.3.7.10")).unwrap_err();
    assert!(tired.contains("Time to live exceeded"), "{tired}");
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
    let router = bench.http().create_id("routers", &json!({"router": {"name": "r"}}));
    for subnet in web_subnets.iter().chain(&db_subnets) {
        let path = format!("/v2.0/routers/{router}/add_router_interface");
        let answer = bench.http().ask("PUT", &path, &json!({"subnet_id": subnet}));
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
    bench.await_rest();
    assert_eq!(ttl(&bench, "host1.w1", "10.2.0.12"), Some(62));
    let vrfs = |host: &str| {
        let prefix = format!("t-router.{host}.vrf-");
        run("ip netns list").lines().filter(|line| line.starts_with(&prefix)).count()
    };
    assert_eq!((vrfs("host1"), vrfs("host2"), vrfs("host3")), (1, 1, 0));
    // The gateway is the same everywhere: that of the router's interface.
    let ports = bench.http().list("ports?device_owner=network:router_interface_distributed");
    let mac = |address: &str| {
        let port =
            ports.iter().find(|port| port["fixed_ips"][0]["ip_address"] == address).expect("an interface");
        port["mac_address"].as_str().expect("a MAC address").to_owned()
    };
    let neighbours = bench.ip("host1.w1", "neigh show 10.1.0.1");
    assert!(neighbours.contains(&mac("10.1.0.1")), "{neighbours}");
    let path = format!("/v2.0/routers/{router}/remove_router_interface");
    let answer = bench.http().ask("PUT", &path, &json!({"subnet_id": db_subnets[0]}));
    assert_eq!(answer.status, 200, "{}", answer.json());
    await_silence(&bench, "host1.w1", "10.2.0.12");
    let are_gone = || ((vrfs("host1"), vrfs("host2"), vrfs("host3")) == (1, 0, 0)).then_some(());
    until("VRFs are gone where nothing needs them", WITHIN, are_gone);
}

#[test]
fn hub_and_spoke_spokes_reach_one_another_by_way_of_the_hub_alone() {
    let bench = Bench::up("t-hubspoke", 2, 9783);
    let cidrs = ["10.1.1.0/24", "10.3.7.0/24"];
    let (blue, _) = network(&bench, "Blue", json!({"name": "blue", "l2_adjacency": false}), &cidrs);
    let port = |at| workload(&bench, "Blue", &blue, at, false);
    let hub = port(("vFW", "host1", "10.1.1.5"));
    let spokes = [
        port(("VNF1", "host1", "10.3.7.9")),
        port(("VNF2", "host2", "10.1.1.6")),
        port(("VNF3", "host2", "10.3.7.10")),
    ];
    let mut members = vec![("port", json!({"port_id": hub, "role": "hub"}))];
    members.extend(spokes.iter().map(|spoke| ("port", json!({"port_id": spoke, "role": "spoke"}))));
    vpn(&bench, "Blue", json!({"name": "hs", "vrf_policy": "hub-and-spoke"}), &members);
    bench.await_rest();
    assert_eq!(ttl(&bench, "host1.VNF1", "10.1.1.5"), Some(62));
    assert_eq!(ttl(&bench, "host2.VNF2", "10.1.1.5"), Some(62));
    let all = [("host1.VNF1", "10.1.1.6"), ("host1.VNF1", "10.3.7.10"), ("host2.VNF2", "10.3.7.10")];
    for (from, to) in all {
        assert_eq!(ttl(&bench, from, to), None, "{from} to {to}, past a hub that does not forward");
    }
    let firewall = bench.namespace("host1.vFW");
    let _set = run(&format!("ip netns exec {firewall} sysctl -qw net.ipv4.ip_forward=1"));
    for (from, to) in all {
        // The spoke's VRF, the hub's, the firewall, the hub's again, the other spoke's.
        assert_eq!(ttl(&bench, from, to), Some(59), "{from} to {to}");
    }
    bench.http().delete("ports", &hub);
    for (from, to) in all {
        await_silence(&bench, from, to);
    }
}

#[test]
fn ecmp_one_address_of_several_instances_in_one_subnet_is_reached_from_inside_and_outside_it() {
    let bench = Bench::up("t-ecmp", 2, 9783);
    let (blue, _) = network(&bench, "Blue", json!({"name": "blue"}), &["10.1.1.0/24"]);
    let (other, _) = network(&bench, "Blue", json!({"name": "other"}), &["10.2.2.0/24"]);
    for (name, host) in [("V11", "host1"), ("V12", "host1"), ("V13", "host2")] {
        workload(&bench, "Blue", &blue, (name, host, "10.1.1.5"), true);
    }
    workload(&bench, "Blue", &blue, ("V2", "host1", "10.1.1.6"), false);
    workload(&bench, "Blue", &blue, ("V3", "host2", "10.1.1.3"), false);
    workload(&bench, "Blue", &other, ("G5", "host2", "10.2.2.5"), false);
    let member = |network: &str| ("network", json!({"network_id": network}));
    let targets = json!({"name": "ec", "route_targets": ["64512:400"]});
    vpn(&bench, "Blue", targets, &[member(&blue), member(&other)]);
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

/// The namespace of the only VRF of a host.
fn vrf_namespace(bench: &Bench, host: &str) -> String {
    let prefix = bench.namespace(&format!("{host}.vrf-"));
    let names = run("ip netns list");
    let mut own = names.split_whitespace().filter(|name| name.starts_with(&prefix));
    let found = own.next().expect("a VRF").to_owned();
    assert_eq!(own.next(), None, "one VRF alone");
    found
}
