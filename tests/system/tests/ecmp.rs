//! Several instances at one address, with the names and addresses of OPNFV NetReady's L3VPN ECMP use case: 1,000 flows, at which
//! instance each comes out, and what becomes of them when an instance loses its carrier.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_system_tests::l3::{network, vpn, workload};
use weft_system_tests::{Bench, FLOWS, Instances, Spread, Vm, VmSpec, run, until};

/// How long hosts have to follow.
const WITHIN: Duration = Duration::from_secs(10);
/// How long flows may be lost whose instance has lost its carrier.
const LOSS: Duration = Duration::from_secs(1);
/// Of each of three instances: at least so many of all flows.
const SHARE: usize = FLOWS / 5;

const TO: &str = "10.1.1.5";

fn to() -> IpAddr {
    TO.parse().expect("an address")
}

/// Waits until a node has an answer, and with it all the neighbours on the way.
fn await_answer(bench: &Bench, from: &str) {
    until(&format!("{from} reaches {TO}"), WITHIN, || bench.pings(from, TO).then_some(()));
}

/// From each of these nodes, each of the three instances has its share of the flows; answers where each flow came out.
fn shared(bench: &Bench, instances: &mut Instances, senders: &[&str]) -> Vec<Spread> {
    let mut spreads = Vec::new();
    for from in senders {
        await_answer(bench, from);
        let spread = instances.round(bench, from, to());
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
        let before = shared(bench, instances, senders);
        vm.cut();
        let cut_at = Instant::now();
        for (before, from) in before.iter().zip(senders) {
            let took = instances.await_moved(bench, (before, victim), (from, to()), (cut_at, LOSS));
            println!("{from}: the flows of {} had moved {took:.0?} after the cut, and no others", vm.node);
        }
        vm.join();
        // Flows that go on stay where they are; when they have paused, the one that is back gets its share.
        await_balance(bench, vms.len());
    }
    shared(bench, instances, senders);
}

/// Waits until on each host the next hops to so many instances have the buckets that they should have.
fn await_balance(bench: &Bench, instances: usize) {
    for host in bench.lab().hosts() {
        let what = format!("{host} leads to {instances} instances, each by its part");
        until(&what, WITHIN, || is_balanced(bench, &host, instances).then_some(()));
    }
}

fn is_balanced(bench: &Bench, host: &str, instances: usize) -> bool {
    let prefix = bench.namespace(&format!("{host}.vrf-"));
    let names = run("ip netns list");
    let own = names.split_whitespace().filter(|name| name.starts_with(&prefix));
    own.into_iter().any(|vrf| {
        let hops: Value = serde_json::from_str(&run(&format!("ip -j -n {vrf} nexthop"))).expect("JSON");
        let buckets = run(&format!("ip -n {vrf} nexthop bucket"));
        let groups = hops.as_array().into_iter().flatten().filter(|hop| hop["group"].is_array());
        groups.into_iter().any(|group| leads_to(group, &buckets, instances as u64))
    })
}

/// Whether a group has members of this weight in all, and each of them its part of the buckets.
fn leads_to(group: &Value, buckets: &str, instances: u64) -> bool {
    let members = group["group"].as_array().expect("a group has members");
    let weight = |member: &Value| member["weight"].as_u64().unwrap_or(1);
    let total: u64 = members.iter().map(weight).sum();
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    for line in buckets.lines().filter(|line| line.starts_with(&format!("id {} ", group["id"]))) {
        let hop = line.split("nhid ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        *counts.entry(hop.expect("a bucket has a next hop")).or_default() += 1;
    }
    let all: u64 = counts.values().sum();
    let has_part = |member: &Value| {
        let id = member["id"].as_u64().expect("a member has a number");
        counts.get(&id).is_some_and(|count| count + 1 >= all * weight(member) / total)
    };
    total == instances && members.iter().all(has_part)
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
