//! One tenant sends to every address of its subnets, or asks from every address, on two hosts that keep neighbours for all tenants
//! in one table of limited size: little or nothing of it gets into that table, and nobody else notices.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use serde_json::json;
use weft_system_tests::frames::{ARP, IPV4, IPV6, arp, frame, icmpv6, inject, mac, udp};
use weft_system_tests::l3::{network, ttl, vpn, workload};
use weft_system_tests::{Bench, machine, more_pings, no_loss, run_again_in, until};

const WITHIN: Duration = Duration::from_secs(10);
/// So many addresses: more than the kernel keeps neighbours (`gc_thresh3`), if nobody has told it otherwise.
const ADDRESSES: u16 = 4000;
const PORT: u16 = 7777;
const ATTACKER: &str = "host1.red-1";

/// A tenant with two workloads on each host, in two networks of a VPN.
fn tenant(bench: &Bench, name: &str, target: &str) {
    let (one, _) = network(bench, name, json!({"name": "one"}), &["10.64.0.0/16", "2001:db8:64::/64"]);
    let (other, _) = network(bench, name, json!({"name": "other"}), &["10.65.0.0/16", "2001:db8:65::/64"]);
    for (number, host, network, address) in [
        (1, "host1", &one, "10.64.0.11 2001:db8:64::11"),
        (2, "host2", &one, "10.64.0.12 2001:db8:64::12"),
        (3, "host1", &other, "10.65.0.11 2001:db8:65::11"),
        (4, "host2", &other, "10.65.0.12 2001:db8:65::12"),
    ] {
        workload(bench, name, network, (&format!("{name}-{number}"), host, address), false);
    }
    let member = |network: &str| ("network", json!({ "network_id": network }));
    vpn(bench, name, json!({"name": name, "route_targets": [target]}), &[member(&one), member(&other)]);
}

fn gateway_mac(bench: &Bench) -> String {
    let gateway = &bench.ip_json(ATTACKER, "neigh show 10.64.0.1")[0]["lladdr"];
    gateway.as_str().expect("it is known").to_owned()
}

/// A packet to each of many addresses that nobody has: beside the sender, and in the other network.
fn sweep(bench: &Bench) -> Vec<Vec<u8>> {
    let own = bench.mac_of(ATTACKER, "eth0");
    let gateway = gateway_mac(bench);
    let source = Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, 0, 0x11);
    let mut frames = Vec::new();
    for number in 0..ADDRESSES {
        let [high, low] = number.to_be_bytes();
        for network in [64, 65] {
            let packet = udp([10, 64, 0, 11], [10, network, 100 + high, low], PORT, b"sweep");
            frames.push(frame(&gateway, &own, IPV4, &packet));
        }
        for network in [0x64, 0x65] {
            let to = Ipv6Addr::new(0x2001, 0xdb8, network, 0, 0, 0, 1, number);
            frames.push(frame(&gateway, &own, IPV6, &icmpv6(source, to, (128, 0), &[0; 8])));
        }
    }
    frames
}

/// Questions for the gateway from many addresses that nobody has; half of those of IPv6 behind a header with nothing in it.
fn questions(bench: &Bench) -> Vec<Vec<u8>> {
    let own = bench.mac_of(ATTACKER, "eth0");
    let gateway = gateway_mac(bench);
    let gateway_address = Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, 0, 1);
    let mut frames = Vec::new();
    for number in 0..ADDRESSES {
        let [high, low] = number.to_be_bytes();
        let question = arp(1, (&own, [10, 64, 100 + high, low]), ("00:00:00:00:00:00", [10, 64, 0, 1]));
        frames.push(frame(&gateway, &own, ARP, &question));
        for network in [0x2001, 0xfe80] {
            let source = Ipv6Addr::new(network, 0, 0, 0, 0, 0, 1, number);
            let option = [&[1, 1][..], &mac(&own)].concat();
            let asked = [&[0; 4][..], &gateway_address.octets(), &option].concat();
            let plain = icmpv6(source, gateway_address, (135, 0), &asked);
            // Hop-by-hop options: ICMPv6 follows, and four bytes of padding are within (RFC 8200 §4.3).
            let [a, b] = u16::try_from(plain.len() - 40 + 8).expect("a short packet").to_be_bytes();
            let hidden =
                [&plain[..4], &[a, b, 0, 255], &plain[8..40], &[58, 0, 1, 4, 0, 0, 0, 0], &plain[40..]]
                    .concat();
            frames.push(frame(&gateway, &own, IPV6, if number % 2 == 0 { &plain } else { &hidden }));
        }
    }
    frames
}

/// The neighbours that VRFs on a host have found out about, or are asking for.
fn not_told(bench: &Bench, host: &str) -> usize {
    let all = bench
        .vrfs_on(host)
        .into_iter()
        .flat_map(|vrf| ["-4", "-6"].into_iter().flat_map(move |family| vrf.neighbours(bench, family)));
    all.filter(|one| one["state"] != json!(["PERMANENT"])).count()
}

/// Frames that a node sends again and again, until the value is gone.
struct Flood<'scope> {
    is_over: Arc<AtomicBool>,
    thread: Option<ScopedJoinHandle<'scope, ()>>,
}

impl<'scope> Flood<'scope> {
    fn start<'env>(
        scope: &'scope Scope<'scope, 'env>,
        bench: &'env Bench,
        (node, frames): (&'env str, &'env [Vec<u8>]),
    ) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let thread = scope.spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                inject(bench, node, frames);
            }
        });
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Flood<'_> {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(ScopedJoinHandle::join);
        assert!(
            std::thread::panicking() || ended.is_none_or(|ended| ended.is_ok()),
            "a flood that ended early"
        );
    }
}

/// While one tenant sends these frames the other's pings are answered, and its new workloads reach the others; answers how many
/// neighbours VRFs have found out about meanwhile, by host.
fn unnoticed(name: &str, frames: impl Fn(&Bench) -> Vec<Vec<u8>>) -> [usize; 2] {
    let bench = Bench::up(name, 2, 9783);
    tenant(&bench, "blue", "64512:100");
    tenant(&bench, "red", "64512:200");
    bench.await_rest();
    for from in ["host1.blue-1", ATTACKER] {
        for to in [
            "10.64.0.12",
            "10.65.0.11",
            "10.65.0.12",
            "2001:db8:64::12",
            "2001:db8:65::11",
            "2001:db8:65::12",
        ] {
            until(&format!("{from} reaches {to}"), WITHIN, || ttl(&bench, from, to));
        }
    }
    let frames = frames(&bench);
    let before = ["host1", "host2"].map(|host| not_told(&bench, host));
    let pairs = ["10.64.0.12", "10.65.0.11", "10.65.0.12"].map(|to| ("host1", "blue-1", to));
    let pings = bench.pinging(&pairs);
    let during = std::thread::scope(|scope| {
        let flood = Flood::start(scope, &bench, (ATTACKER, &frames));
        more_pings(&pings, 100);
        // Somebody who comes meanwhile is a neighbour as well.
        let (late, _) = network(&bench, "blue", json!({"name": "late"}), &["10.66.0.0/16"]);
        for (name, host, address) in [("blue-5", "host1", "10.66.0.11"), ("blue-6", "host2", "10.66.0.12")] {
            workload(&bench, "blue", &late, (name, host, address), false);
        }
        let targets = json!({"name": "late", "route_targets": ["64512:100"]});
        vpn(&bench, "blue", targets, &[("network", json!({ "network_id": late }))]);
        for to in ["10.64.0.11", "10.65.0.12", "10.66.0.12"] {
            until(&format!("one that is new reaches {to}"), WITHIN, || ttl(&bench, "host1.blue-5", to));
        }
        let during = ["host1", "host2"].map(|host| not_told(&bench, host));
        drop(flood);
        during
    });
    println!("neighbours that VRFs were not told of: {before:?}, later: {during:?}");
    let (sent, gap) = no_loss(pings);
    println!("{sent} pings of blue's: none was lost, {gap:?} between two of them at most");
    during
}

#[test]
fn a_tenant_that_sends_to_all_addresses_of_its_subnets_leaves_everybody_elses_neighbours_alone() {
    let during = unnoticed("t-sweep", sweep);
    // Link-local addresses of the workloads themselves.
    assert!(during.iter().all(|count| *count <= 16), "{during:?}");
}

#[test]
#[ignore = "needs act_police; runs in a virtual machine"]
fn a_tenant_that_asks_from_many_addresses_leaves_everybody_elses_neighbours_alone() {
    let _during = unnoticed("t-ask", questions);
}

mod machine {
    #[test]
    fn the_same_with_namespaces_on_one_host_and_vrf_devices_on_the_other() {
        super::run_again_in(&super::machine("2"), &[], &["a_tenant_that_sends", "a_tenant_that_asks"]);
    }
}
