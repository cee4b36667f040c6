//! OPNFV NetReady's three L3VPN use cases with their own names and addresses, on two hosts, by their own workflow: each by the
//! real `openstack` command and, shorter, from a document. Both are the examples of docs/netready.md, and to both the same must happen.

use std::time::{Duration, Instant};

use serde_json::Value;
use weft_system_tests::frames::{ARP, BROADCAST, Capture, frame, inject, mac};
use weft_system_tests::l3::{await_silence, ttl};
use weft_system_tests::{
    Bench, FLOWS, Instances, binaries, environment, example, machine, run, run_again_in, until,
};

/// How long hosts have to follow.
const WITHIN: Duration = Duration::from_secs(10);
/// Of each of three instances: at least so many of all flows.
const SHARE: usize = FLOWS / 5;
/// The address that instances share.
const SHARED: &str = "10.1.1.5";

/// A project, and documents that make its part of an example.
type Documents<'a> = (&'a str, &'a str);

/// Makes an example twice, each time in a lab of its own, and looks what it does: by its documents, then by its commands.
fn both(name: &str, documents: &[Documents<'_>], commands: &str, look: impl Fn(&Bench)) {
    let bench = Bench::up(name, 2, 9783);
    documents.iter().for_each(|(project, file)| example::apply(&bench, project, file));
    bench.await_rest();
    look(&bench);
    drop(bench);
    let Some(environment) = environment() else { return };
    let bench = Bench::up(name, 2, 9783);
    let begin = Instant::now();
    example::run_commands(&bench, &environment, commands);
    println!("{commands} took {:.0?}", begin.elapsed());
    bench.await_rest();
    look(&bench);
}

/// What both ways do for project Blue alone, by the name of the example.
fn both_for_blue(name: &str, example: &str, look: impl Fn(&Bench)) {
    both(name, &[("Blue", &format!("{example}.yaml"))], &format!("{example}.sh"), look);
}

/// A port by its name.
fn port(bench: &Bench, name: &str) -> Value {
    let ports = bench.http().list("ports");
    ports.into_iter().find(|port| port["name"] == name).unwrap_or_else(|| panic!("there is no port {name}"))
}

fn id(port: &Value) -> &str {
    port["id"].as_str().expect("a port has an identifier")
}

/// Waits until an echo comes back with this TTL: a host may know the way there before the other knows the way back.
fn await_ttl(bench: &Bench, from: &str, to: &str, expected: u8) {
    until(&format!("{from} to {to} with TTL {expected}"), WITHIN, || {
        (ttl(bench, from, to) == Some(expected)).then_some(())
    });
}

#[test]
fn any_to_any_blue_reaches_all_of_blue_and_red_all_of_red() {
    let documents = [("Blue", "any-to-any-blue.yaml"), ("Red", "any-to-any-red.yaml")];
    both("t-nra2a", &documents, "any-to-any.sh", |bench| {
        let blue = [
            ("host1.G1", "10.1.1.5", 1),
            ("host1.G2", "10.3.7.9", 2),
            ("host2.G3", "10.1.1.6", 1),
            ("host2.G4", "10.3.7.10", 2),
        ];
        for (from, _, own) in blue {
            for (at, to, network) in blue.into_iter().filter(|(at, ..)| *at != from) {
                // Within a subnet none routes; otherwise one VRF on the same host, two across.
                let hops = if own == network { 0 } else { 1 + u8::from(at[..5] != from[..5]) };
                await_ttl(bench, from, to, 64 - hops);
            }
        }
        await_ttl(bench, "host1.G5", "10.1.1.6", 64);
        await_ttl(bench, "host2.G6", "10.1.1.5", 64);
        for from in ["host1.G5", "host2.G6"] {
            for to in ["10.3.7.9", "10.3.7.10"] {
                assert_eq!(ttl(bench, from, to), None, "{from}, of Red, to {to}, of Blue");
            }
        }
        let owners = ["G1", "G4", "G5", "G6"].map(|name| port(bench, name)["project_id"].clone());
        assert_eq!(owners, ["Blue", "Blue", "Red", "Red"]);
        // Both have 10.1.1.6. Red's goes, and its own alone miss it.
        bench.http().delete("ports", id(&port(bench, "G6")));
        await_silence(bench, "host1.G5", "10.1.1.6");
        assert_eq!(ttl(bench, "host1.G1", "10.1.1.6"), Some(64), "Blue's is untouched");
    });
}

/// Each instance gets its share of the flows from each sender; when the last, which is on host2, is deleted, its flows move and no others.
fn share(bench: &Bench, instances: [&str; 3], senders: &[&str], last: &str) {
    let to = SHARED.parse().expect("an address");
    let mut instances = Instances::listen(bench, &instances);
    let mut before = Vec::new();
    for from in senders {
        until(&format!("{from} reaches {SHARED}"), WITHIN, || bench.pings(from, SHARED).then_some(()));
        let (spread, _) = until(&format!("each flow from {from} comes out"), WITHIN, || {
            let spread = instances.round(bench, from, to);
            (!spread.contains(&None)).then_some(spread)
        });
        let counts = instances.counts(&spread);
        println!("{from}: {counts:?}");
        assert!(counts.iter().all(|count| *count >= SHARE), "{from}: {counts:?}");
        before.push(spread);
    }
    bench.http().delete("ports", id(&port(bench, last)));
    let gone_at = Instant::now();
    for (before, from) in before.iter().zip(senders) {
        let took = instances.await_moved(bench, (before, 2), (from, to), (gone_at, WITHIN));
        println!("{from}: the flows of {last} had moved {took:.0?} after it was deleted, and no others");
    }
}

const INSTANCES: [&str; 3] = ["host1.VNF11", "host1.VNF12", "host2.VNF13"];

#[test]
fn ecmp_three_ports_of_one_subnet_have_one_address() {
    both_for_blue("t-nreca", "ecmp-one-subnet", |bench| {
        await_ttl(bench, "host1.VNF2", "10.1.1.3", 64);
        share(bench, INSTANCES, &["host1.VNF2", "host2.VNF3", "host2.G5"], "VNF1.3");
    });
}

#[test]
fn ecmp_three_ports_with_one_address_have_a_network_each() {
    both_for_blue("t-nrecb", "ecmp-network-each", |bench| {
        share(bench, INSTANCES, &["host1.G4", "host2.G5"], "VNF1.3");
    });
}

/// G1 to G3 have the shared address besides their own.
fn share_behind(bench: &Bench) {
    let instances = ["host1.G1", "host1.G2", "host2.G3"];
    for instance in instances {
        bench.ip(instance, &format!("address add {SHARED}/32 dev lo"));
        bench.ip(instance, "link set lo up");
    }
    share(bench, instances, &["host1.G4", "host2.G5", "host2.G6"], "G3");
}

#[test]
fn ecmp_static_routes_of_the_vpn_lead_to_three_ports() {
    both_for_blue("t-nrecs", "ecmp-static-routes", share_behind);
}

#[test]
fn ecmp_prefix_routes_of_three_port_associations_lead_to_them() {
    both_for_blue("t-nrecp", "ecmp-prefix-routes", share_behind);
}

const SPOKES: [(&str, &str); 3] =
    [("host1.VNF1", "10.3.7.9"), ("host2.VNF2", "10.1.1.6"), ("host2.VNF3", "10.3.7.10")];

fn pairs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let to = |from: &'static str| {
        SPOKES.into_iter().filter(move |(to, _)| *to != from).map(move |(_, address)| (from, address))
    };
    SPOKES.into_iter().flat_map(move |(from, _)| to(from))
}

/// Destinations of the VRF by which a packet from that workload goes on, the workload's own aside.
fn routes_of(bench: &Bench, node: &str) -> Vec<String> {
    let own = bench.address_of(node);
    let mut destinations = bench.vrf_of(node).destinations(bench);
    destinations.retain(|destination| *destination != own);
    destinations
}

/// Spokes reach each other through the firewall, and by nothing else; nobody hears another's broadcasts.
fn by_hub_alone(bench: &Bench) {
    for (spoke, _) in SPOKES {
        await_ttl(bench, spoke, "10.1.1.5", 62);
    }
    for (from, to) in pairs() {
        assert_eq!(ttl(bench, from, to), None, "{from} to {to}, past a firewall that does not forward");
    }
    let firewall = bench.namespace("host1.vFW");
    run(&format!("ip netns exec {firewall} sysctl -qw net.ipv4.ip_forward=1"));
    for (from, to) in pairs() {
        // The spoke's VRF, the hub's, the firewall, the hub's again, the other spoke's.
        await_ttl(bench, from, to, 59);
    }
    assert_eq!(routes_of(bench, "host1.vFW"), ["10.1.1.6", "10.3.7.10", "10.3.7.9", "default"]);
    assert_no_broadcast(bench);
    bench.http().delete("ports", id(&port(bench, "vFW(H)")));
    for (from, to) in pairs() {
        await_silence(bench, from, to);
    }
}

/// What a spoke asks everybody comes to nobody.
fn assert_no_broadcast(bench: &Bench) {
    const MARKER: &[u8] = b"weft-netready";
    let mut captures = SPOKES.map(|(spoke, _)| Capture::start(bench, spoke));
    for (spoke, address) in SPOKES {
        let own = bench.mac_of(spoke, "eth0");
        let address: std::net::Ipv4Addr = address.parse().expect("an address");
        for (_, other) in SPOKES.iter().filter(|(other, _)| *other != spoke) {
            let other: std::net::Ipv4Addr = other.parse().expect("an address");
            let (sender, target) = (address.octets(), other.octets());
            let question =
                [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac(&own), &sender, &[0; 6], &target, MARKER].concat();
            inject(bench, spoke, &[frame(BROADCAST, &own, ARP, &question)]);
        }
    }
    // An echo through the firewall is behind them: with it they would have come.
    for ((spoke, _), capture) in SPOKES.into_iter().zip(&mut captures) {
        for (from, to) in pairs().filter(|(from, _)| *from == spoke) {
            await_ttl(bench, from, to, 59);
        }
        let heard = capture.take();
        assert!(!heard.is_empty(), "{spoke} hears nothing at all");
        assert!(!heard.iter().any(|frame| frame.has(MARKER)), "{spoke} hears another's broadcast");
    }
}

#[test]
fn hub_and_spoke_by_a_vrf_to_each_port() {
    both_for_blue("t-nrhub", "hub-and-spoke", |bench| {
        await_ttl(bench, "host1.VNF1", "10.1.1.5", 62);
        for (spoke, _) in SPOKES {
            assert_eq!(routes_of(bench, spoke), ["default"], "{spoke}");
        }
        by_hub_alone(bench);
    });
}

#[test]
fn hub_and_spoke_by_a_network_to_each_vrf() {
    both_for_blue("t-nrhubn", "hub-and-spoke-networks", by_hub_alone);
}

mod machine {
    /// The documents alone: the `openstack` command is not there.
    #[test]
    fn the_same_with_namespaces_on_one_host_and_vrf_devices_on_the_other() {
        let weft = super::binaries().join("weft").display().to_string();
        let machine = super::example::documents()
            .into_iter()
            .fold(super::machine("2").programs([weft]), |machine, (path, text)| machine.file(path, text));
        super::run_again_in(&machine, &[], &["any_to_any", "ecmp_", "hub_and_spoke_"]);
    }
}
