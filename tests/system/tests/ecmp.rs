//! Several instances at one address, with the names and addresses of OPNFV NetReady's L3VPN ECMP use case: 1,000 flows, at which
//! instance each comes out, and what becomes of them when an instance loses its carrier.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_system_tests::l3::{network, vpn, workload};
use weft_system_tests::{Bench, FLOWS, Group, Instances, Spread, Vm, VmSpec, machine, run_again_in, until};

/// How long hosts have to follow.
const WITHIN: Duration = Duration::from_secs(10);
/// How long flows may be lost whose instance has lost its carrier.
const LOSS: Duration = Duration::from_secs(1);
/// Of each of three instances: at least so many of all flows.
const SHARE: usize = FLOWS / 5;

/// Of a group's 127 or 128 buckets, more than so many have a flow.
const IN_USE: usize = 100;

const TO: &str = "10.1.1.5";

fn to() -> IpAddr {
    TO.parse().expect("an address")
}

/// Waits until a node has an answer, and with it all the neighbours on the way.
fn await_answer(bench: &Bench, from: &str) {
    until(&format!("{from} reaches {TO}"), WITHIN, || bench.pings(from, TO).then_some(()));
}

/// A round in which each flow comes out somewhere: a host may lead to an instance on another before that one does.
fn whole_round(bench: &Bench, instances: &mut Instances, from: &str) -> Spread {
    await_answer(bench, from);
    let (spread, _) = until(&format!("each flow from {from} comes out"), WITHIN, || {
        let spread = instances.round(bench, from, to());
        (!spread.contains(&None)).then_some(spread)
    });
    spread
}

/// From each of these nodes, each of the three instances has its share of the flows; answers where each flow came out.
fn shared(bench: &Bench, instances: &mut Instances, senders: &[&str]) -> Vec<Spread> {
    let mut spreads = Vec::new();
    for from in senders {
        let spread = whole_round(bench, instances, from);
        let counts = instances.counts(&spread);
        assert!(counts.iter().all(|count| *count >= SHARE), "{from}: {counts:?}");
        println!("{from}: {counts:?}");
        spreads.push(spread);
    }
    spreads
}

/// The carriers of instances are cut and come back, one after the other, under the flows of all senders.
fn cut_each(bench: &Bench, instances: &mut Instances, vms: &[Vm], senders: &[&str]) {
    for (victim, vm) in vms.iter().enumerate() {
        await_balance(bench, vms);
        senders.iter().for_each(|from| await_answer(bench, from));
        let begin = Instant::now();
        let before = shared(bench, instances, senders);
        let groups = all_groups(bench);
        assert!(groups.iter().all(|group| group.count_in_use(begin) > IN_USE), "{groups:?}");
        vm.cut();
        let cut_at = Instant::now();
        for (before, from) in before.iter().zip(senders) {
            let took = instances.await_moved(bench, (before, victim), (from, to()), (cut_at, LOSS));
            println!("{from}: the flows of {} had moved {took:.0?} after the cut, and no others", vm.node);
        }
        let after = all_groups(bench);
        let moved: Vec<String> = groups.iter().flat_map(|group| group.moved(begin, &after)).collect();
        assert_eq!(moved, Vec::<String>::new(), "buckets of paths that stay are others' now");
        vm.join();
    }
    // Flows that go on stay where they are; when they have paused, the one that is back gets its share.
    await_balance(bench, vms);
    shared(bench, instances, senders);
}

fn all_groups(bench: &Bench) -> Vec<Group> {
    bench.lab().hosts().iter().flat_map(|host| bench.groups(host)).collect()
}

/// Waits until on each host the next hops to all instances, and to those there, have the buckets that they should have.
fn await_balance(bench: &Bench, vms: &[Vm]) {
    for host in bench.lab().hosts() {
        let here = vms.iter().filter(|vm| vm.node.starts_with(&host)).count();
        let expected = if here > 1 { BTreeSet::from([here, vms.len()]) } else { BTreeSet::from([vms.len()]) };
        until(&format!("{host} leads to all, each by its part"), WITHIN, || {
            let groups = bench.groups(&host);
            let weights: BTreeSet<usize> = groups.iter().map(Group::weight).collect();
            (weights == expected && groups.iter().all(Group::is_balanced)).then_some(())
        });
    }
}

/// An instance: at the address that all of them have.
fn instance(bench: &Bench, network: &str, (name, host): (&str, &str), anycast: bool) -> Vm {
    let spec = VmSpec {
        project: "Blue",
        network,
        host,
        name,
        addresses: &["10.1.1.5/24"],
        gateways: &["10.1.1.1"],
        anycast,
    };
    Vm::start(bench, &spec)
}

fn nodes(vms: &[Vm]) -> Vec<&str> {
    vms.iter().map(|vm| vm.node.as_str()).collect()
}

const INSTANCES: [(&str, &str); 3] = [("VNF11", "host1"), ("VNF12", "host1"), ("VNF13", "host2")];

fn member(network: &str) -> (&'static str, Value) {
    ("network", json!({ "network_id": network }))
}

#[test]
fn three_ports_of_one_subnet_with_one_address_share_its_flows() {
    let bench = Bench::up("t-ecmpa", 2, 9783);
    let (blue, _) = network(&bench, "Blue", json!({"name": "blue"}), &["10.1.1.0/24"]);
    let (other, _) = network(&bench, "Blue", json!({"name": "other"}), &["10.2.2.0/24"]);
    let vms = INSTANCES.map(|at| instance(&bench, &blue, at, true));
    workload(&bench, "Blue", &blue, ("VNF2", "host1", "10.1.1.6"), false);
    workload(&bench, "Blue", &blue, ("VNF3", "host2", "10.1.1.3"), false);
    workload(&bench, "Blue", &other, ("G5", "host2", "10.2.2.5"), false);
    vpn(
        &bench,
        "Blue",
        json!({"name": "ec", "vrf_policy": "ecmp-anycast"}),
        &[member(&blue), member(&other)],
    );
    bench.await_rest();
    let mut instances = Instances::listen(&bench, &nodes(&vms));
    let senders = ["host1.VNF2", "host2.VNF3", "host2.G5"];
    cut_each(&bench, &mut instances, &vms, &senders);
}

/// A network with one instance each, and one with a sender on each host.
fn a_network_to_each(bench: &Bench) -> (Vec<String>, String, Vec<Vm>) {
    let mut networks = Vec::new();
    let mut vms = Vec::new();
    for (number, at) in INSTANCES.into_iter().enumerate() {
        let name = json!({"name": format!("net{}", number + 1)});
        let (network, _) = network(bench, "Blue", name, &["10.1.1.0/24"]);
        vms.push(instance(bench, &network, at, false));
        networks.push(network);
    }
    let (other, _) = network(bench, "Blue", json!({"name": "other"}), &["10.2.2.0/24"]);
    workload(bench, "Blue", &other, ("G4", "host1", "10.2.2.4"), false);
    workload(bench, "Blue", &other, ("G5", "host2", "10.2.2.5"), false);
    (networks, other, vms)
}

#[test]
fn ports_of_a_network_each_with_one_address_share_its_flows() {
    let bench = Bench::up("t-ecmpb", 2, 9783);
    let (networks, other, vms) = a_network_to_each(&bench);
    let members: Vec<_> = networks.iter().chain([&other]).map(|network| member(network)).collect();
    vpn(&bench, "Blue", json!({"name": "ec", "route_targets": ["64512:100"], "multipath": "ecmp"}), &members);
    bench.await_rest();
    let mut instances = Instances::listen(&bench, &nodes(&vms));
    cut_each(&bench, &mut instances, &vms, &["host1.G4", "host2.G5"]);
}

/// All flows of all senders come out at one and the same instance; answers where each did, and at which.
fn at_one(bench: &Bench, instances: &mut Instances, senders: &[&str]) -> (Vec<Spread>, usize) {
    let spreads: Vec<Spread> = senders.iter().map(|from| whole_round(bench, instances, from)).collect();
    let counts: Vec<Vec<usize>> = spreads.iter().map(|spread| instances.counts(spread)).collect();
    let which = counts[0].iter().position(|count| *count == FLOWS).unwrap_or_else(|| panic!("{counts:?}"));
    assert!(counts.iter().all(|counts| counts[which] == FLOWS), "{counts:?}");
    (spreads, which)
}

/// All flows are at one as long as it is there, then at the next; and back. Answers in which order.
fn fail_over(bench: &Bench, vms: &[Vm], senders: &[&str]) -> Vec<usize> {
    let mut instances = Instances::listen(bench, &nodes(vms));
    let mut order = Vec::new();
    for _ in 1..vms.len() {
        let (before, victim) = at_one(bench, &mut instances, senders);
        let vm = &vms[victim];
        vm.cut();
        let cut_at = Instant::now();
        for (before, from) in before.iter().zip(senders) {
            let took = instances.await_moved(bench, (before, victim), (from, to()), (cut_at, LOSS));
            println!("{from}: all flows had moved {took:.0?} after {} was cut", vm.node);
        }
        order.push(victim);
    }
    order.push(at_one(bench, &mut instances, senders).1);
    vms.iter().for_each(Vm::join);
    for from in senders {
        until("the first has all flows again", WITHIN, || {
            let spread = instances.round(bench, from, to());
            spread.iter().all(|came| *came == Some(order[0])).then_some(())
        });
    }
    order
}

#[test]
fn ports_of_a_network_each_fail_over_from_one_to_the_next() {
    let bench = Bench::up("t-failover", 2, 9783);
    let (networks, other, vms) = a_network_to_each(&bench);
    let members: Vec<_> = networks.iter().chain([&other]).map(|network| member(network)).collect();
    vpn(
        &bench,
        "Blue",
        json!({"name": "fo", "route_targets": ["64512:100"], "multipath": "failover"}),
        &members,
    );
    bench.await_rest();
    let mut order = fail_over(&bench, &vms, &["host1.G4", "host2.G5"]);
    order.sort_unstable();
    assert_eq!(order, [0, 1, 2]);
}

#[test]
fn ports_of_a_network_each_fail_over_by_local_preference() {
    let bench = Bench::up("t-localpref", 2, 9783);
    let (networks, other, vms) = a_network_to_each(&bench);
    for (name, network, preference) in [("c", 0, 100), ("a", 1, 300), ("b", 2, 200)] {
        let attributes = json!({"name": name, "route_targets": ["64512:100"], "local_pref": preference});
        vpn(&bench, "Blue", attributes, &[member(&networks[network])]);
    }
    vpn(&bench, "Blue", json!({"name": "o", "route_targets": ["64512:100"]}), &[member(&other)]);
    bench.await_rest();
    assert_eq!(fail_over(&bench, &vms, &["host1.G4", "host2.G5"]), [1, 2, 0]);
}

/// net1 with the use case's G1 to G6: G1, G2 and G4 on host1, G3 and G5 on host2; of these, G1 to G3 are instances.
fn six_of_net1(bench: &Bench) -> (String, Vec<Vm>) {
    // The use case gives the first address to G1; so the gateway has another.
    let net1 =
        bench.http().create_id("networks", &json!({"network": {"name": "net1", "project_id": "Blue"}}));
    let subnet = json!({"network_id": net1, "ip_version": 4, "cidr": "5.1.1.0/24", "project_id": "Blue",
        "gateway_ip": "5.1.1.254"});
    let _subnet = bench.http().create_id("subnets", &json!({ "subnet": subnet }));
    let at = [("G1", "host1", "5.1.1.1/24"), ("G2", "host1", "5.1.1.2/24"), ("G3", "host2", "5.1.1.3/24")];
    let vms = at.map(|(name, host, address)| {
        let vm = Vm::start(
            bench,
            &VmSpec {
                project: "Blue",
                network: &net1,
                host,
                name,
                addresses: &[address],
                gateways: &["5.1.1.254"],
                anycast: false,
            },
        );
        bench.ip(&vm.node, "address add 10.1.1.5/32 dev lo");
        vm
    });
    for (name, host, address) in
        [("G4", "host1", "5.1.1.4"), ("G5", "host2", "5.1.1.5"), ("G6", "host2", "5.1.1.6")]
    {
        workload(bench, "Blue", &net1, (name, host, address), false);
    }
    (net1, vms.into())
}

#[test]
fn a_prefix_behind_three_ports_by_their_associations_shares_its_flows() {
    let bench = Bench::up("t-ecmpc", 2, 9783);
    let (net1, vms) = six_of_net1(&bench);
    let (other, _) = network(&bench, "Blue", json!({"name": "other"}), &["10.2.2.0/24"]);
    workload(&bench, "Blue", &other, ("G7", "host2", "10.2.2.7"), false);
    let routes = json!([{"type": "prefix", "prefix": "10.1.1.5/32"}]);
    let mut members = vec![member(&net1), member(&other)];
    members.extend(vms.iter().map(|vm| ("port", json!({"port_id": vm.port, "routes": routes}))));
    vpn(&bench, "Blue", json!({"name": "vpn1", "route_targets": ["64512:100"]}), &members);
    bench.await_rest();
    let mut instances = Instances::listen(&bench, &nodes(&vms));
    cut_each(&bench, &mut instances, &vms, &["host1.G4", "host2.G5", "host2.G7"]);
}

#[test]
fn a_prefix_behind_three_ports_by_static_routes_of_the_vpn_shares_its_flows() {
    let bench = Bench::up("t-ecmps", 2, 9783);
    let (net1, vms) = six_of_net1(&bench);
    let vpn1 = vpn(&bench, "Blue", json!({"name": "vpn1", "route_targets": ["64512:100"]}), &[member(&net1)]);
    for nexthop in ["5.1.1.1", "5.1.1.2", "5.1.1.3"] {
        let path = format!("/v2.0/bgpvpn/bgpvpns/{vpn1}/add_static_routes");
        let routes =
            json!({"bgpvpn": {"static_routes": [{"destination": "10.1.1.5/32", "nexthop": nexthop}]}});
        let answer = bench.http().ask("PUT", &path, &routes);
        assert_eq!(answer.status, 200, "{}", answer.json());
    }
    bench.await_rest();
    let mut instances = Instances::listen(&bench, &nodes(&vms));
    cut_each(&bench, &mut instances, &vms, &["host1.G4", "host2.G5"]);
}

mod machine {
    #[test]
    fn the_same_with_namespaces_on_one_host_and_vrf_devices_on_the_other() {
        let cases =
            ["three_ports_of_one_subnet", "ports_of_a_network_each_with_one_address", "a_prefix_behind"];
        super::run_again_in(&super::machine("2"), &[], &cases);
    }
}
