//! *L3VPN: ECMP Load Splitting (Anycast)* from outside: a WAN gateway that is FRR splits its flows over the instances of an address, and goes on
//! with the others when one loses its carrier.
//!
//! ```text
//!  client ── [ FRR: its kernel hashes by addresses and ports ] ══ hosts, each for the instances on it
//! ```

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_system_tests::l3::{network, vpn, workload};
use weft_system_tests::{Bench, FLOWS, Instances, Peering, Spread, Vm, VmSpec, WanGateway, patience, until};

/// How long the other side has to follow.
const WITHIN: Duration = Duration::from_secs(10);
/// How long a flow may be lost whose instance has lost its carrier: until its host has told the controller, that FRR, and FRR its kernel.
const LOSS: Duration = Duration::from_secs(1);
const TO: &str = "10.1.1.5";
/// The client's node.
const CLIENT: &str = "client";

/// A site whose hosts have these instances, and a gateway that has its kernel split flows.
struct Site {
    // First: what is in namespaces of the lab ends before it.
    instances: Instances,
    vms: Vec<Vm>,
    gateway: WanGateway,
    bench: Bench,
}

impl Site {
    fn up(name: &str, hosts: u16, at: &[(&str, &str)]) -> Self {
        let bench = Bench::up(name, hosts, 9783);
        let (blue, _) = network(&bench, "Blue", json!({"name": "blue"}), &["10.1.1.0/24"]);
        let instance = |(name, host): &(&str, &str)| {
            let (addresses, gateways) = (&["10.1.1.5/24"][..], &["10.1.1.1"][..]);
            let (project, network) = ("Blue", blue.as_str());
            Vm::start(&bench, &VmSpec { project, network, host, name, addresses, gateways, anycast: true })
        };
        let vms: Vec<Vm> = at.iter().map(instance).collect();
        // FRR 8.4 forgets whom it reaches a host by when a route along several paths changes, unless another route leads to that host
        // (its issue 14108).
        for (host, number) in bench.lab().hosts().iter().zip(11..) {
            let (name, address) = (format!("other{number}"), format!("10.1.1.{number}"));
            workload(&bench, "Blue", &blue, (&name, host, &address), false);
        }
        let attributes = json!({"name": "ec", "vrf_policy": "ecmp-anycast", "route_targets": ["64512:100"],
            "vni": WanGateway::VNI});
        vpn(&bench, "Blue", attributes, &[("network", json!({ "network_id": blue }))]);
        bench.await_rest();
        let gateway = WanGateway::start(&bench);
        gateway.node().run("sysctl -qw net.ipv4.fib_multipath_hash_policy=1");
        Peering::new(&bench).add(&bench, gateway.address(), &json!({}));
        let nodes: Vec<&str> = vms.iter().map(|vm| vm.node.as_str()).collect();
        let instances = Instances::listen(&bench, &nodes);
        Self { instances, vms, gateway, bench }
    }

    /// Where FRR's kernel leads packets for the address: one route, and the tunnel endpoints of its next hops.
    fn next_hops(&self) -> BTreeSet<String> {
        let routes = self.gateway.node().ip_json(&format!("route show {TO} proto bgp"));
        let hops = |route: &Value| {
            let several = route["nexthops"].as_array().cloned();
            let hops = several.unwrap_or_else(|| vec![route.clone()]);
            hops.iter().filter_map(|hop| hop["gateway"].as_str().map(str::to_owned)).collect::<Vec<_>>()
        };
        assert!(routes.len() <= 1, "{routes:?}");
        routes.iter().flat_map(hops).collect()
    }

    /// Waits until FRR's kernel leads to exactly these hosts.
    fn await_next_hops(&self, hosts: &[u8]) {
        let endpoint = |host: &u8| self.bench.fabric_address("underlay", *host).to_string();
        let expected: BTreeSet<String> = hosts.iter().map(endpoint).collect();
        let what = format!("FRR leads to {expected:?}");
        until(&what, WITHIN, || (self.next_hops() == expected).then_some(()));
    }

    fn round(&mut self) -> Spread {
        self.instances.round(&self.bench, CLIENT, TO.parse().expect("an address"))
    }

    /// Waits until each flow comes out; answers where.
    fn await_all(&mut self) -> Spread {
        let begin = Instant::now();
        loop {
            let spread = self.round();
            let lost = spread.iter().filter(|came| came.is_none()).count();
            if lost == 0 {
                return spread;
            }
            assert!(begin.elapsed() < WITHIN, "{lost} flows came out nowhere");
        }
    }

    /// Each instance has at least its part of a hundred; answers how many flows it has.
    fn assert_shares(&self, spread: &Spread, percent: &[usize]) {
        let counts = self.instances.counts(spread);
        println!("{counts:?} at {:?}", self.vms.iter().map(|vm| &vm.node).collect::<Vec<_>>());
        let has_part = |(count, percent): (&usize, &usize)| *count >= FLOWS * percent / 100;
        assert!(counts.iter().zip(percent).all(has_part), "{counts:?}, at least {percent:?} of a hundred");
    }

    /// Cuts the carrier of an instance under the flows; answers where they are when all of them come out at others.
    fn cut(&mut self, victim: usize) -> Spread {
        self.vms[victim].cut();
        let cut_at = Instant::now();
        loop {
            let took = cut_at.elapsed();
            let spread = self.round();
            let lost = spread.iter().filter(|came| came.is_none_or(|at| at == victim)).count();
            if lost == 0 {
                println!("{} is cut: after {took:.0?} each flow comes out at another", self.vms[victim].node);
                return spread;
            }
            assert!(took < patience(LOSS), "{lost} flows are lost for {took:?}");
        }
    }
}

#[test]
fn frr_splits_its_flows_over_three_hosts_with_an_instance_each() {
    let at = [("VNF11", "host1"), ("VNF12", "host2"), ("VNF13", "host3")];
    let mut site = Site::up("t-wanecmp", 3, &at);
    site.await_next_hops(&[1, 2, 3]);
    let spread = site.await_all();
    site.assert_shares(&spread, &[20, 20, 20]);
    for victim in 0..at.len() {
        let spread = site.cut(victim);
        let mut least = [30; 3];
        least[victim] = 0;
        site.assert_shares(&spread, &least);
        let hosts: Vec<u8> = (1..=3).filter(|host| usize::from(*host) != victim + 1).collect();
        site.await_next_hops(&hosts);
        site.vms[victim].join();
        site.await_next_hops(&[1, 2, 3]);
        let spread = site.await_all();
        site.assert_shares(&spread, &[20, 20, 20]);
    }
}

#[test]
fn frr_splits_its_flows_over_hosts_and_these_over_their_instances() {
    let at = [("VNF11", "host1"), ("VNF12", "host1"), ("VNF13", "host2"), ("VNF14", "host2")];
    let mut site = Site::up("t-wanecmp2", 2, &at);
    site.await_next_hops(&[1, 2]);
    let spread = site.await_all();
    site.assert_shares(&spread, &[20; 4]);
    // The other one on its host takes its flows over: FRR is told of nothing, and those of other hosts stay where they are.
    let after = site.cut(0);
    site.assert_shares(&after, &[0, 40, 20, 20]);
    let of_host1 = |came: &Option<usize>| came.is_some_and(|at| at < 2);
    let stays =
        |(was, is): (&Option<usize>, &Option<usize>)| if of_host1(was) { of_host1(is) } else { was == is };
    assert!(spread.iter().zip(&after).all(stays), "flows of another host move");
    site.await_next_hops(&[1, 2]);
    // The last one on its host: FRR leads there no more.
    let spread = site.cut(1);
    site.assert_shares(&spread, &[0, 0, 40, 40]);
    site.await_next_hops(&[2]);
    site.vms.iter().for_each(Vm::join);
    site.await_next_hops(&[1, 2]);
    // Flows that go on stay where they are on their host: how many each of its instances has is not FRR's doing.
    let spread = site.await_all();
    let counts = site.instances.counts(&spread);
    println!("{counts:?}");
    assert!(
        [counts[0] + counts[1], counts[2] + counts[3]].iter().all(|count| *count >= FLOWS * 2 / 5),
        "{counts:?}"
    );
}
