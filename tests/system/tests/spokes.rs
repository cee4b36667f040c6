//! Spokes in one subnet: what one of them sees of another has come through the hub's firewall, frame by frame; and without a hub
//! there is nothing to be seen.

use std::time::Duration;

use serde_json::json;
use weft_system_tests::frames::{ARP, BROADCAST, Capture, Captured, IPV4, IPV6, frame, inject, mac, udp};
use weft_system_tests::l3::{await_silence, network, ttl, vpn, workload};
use weft_system_tests::{Bench, machine, run, run_again_in, until};

const WITHIN: Duration = Duration::from_secs(10);
/// What the spokes' own frames bear.
const MARKER: &[u8] = b"weft-spoke";
/// Name, host, last byte of the address.
const SPOKES: [(&str, &str, u8); 3] = [("VNF1", "host1", 9), ("VNF2", "host1", 6), ("VNF3", "host2", 10)];
/// The hub.
const FIREWALL: [u8; 4] = [10, 1, 1, 5];
/// By way of the spoke's VRF, the hub's, the firewall, the hub's again and the other spoke's.
const THROUGH_HUB: u8 = 59;

fn node((name, host, _): (&str, &str, u8)) -> String {
    format!("{host}.{name}")
}

fn address((_, _, last): (&str, &str, u8)) -> [u8; 4] {
    [10, 1, 1, last]
}

fn text(address: [u8; 4]) -> String {
    std::net::Ipv4Addr::from(address).to_string()
}

/// The hub, its firewall forwarding, and the spokes; answers the hub's port.
fn hub_and_spokes(bench: &Bench) -> String {
    let (blue, _) = network(bench, "Blue", json!({"name": "blue", "l2_adjacency": false}), &["10.1.1.0/24"]);
    let port = |(name, host), at| workload(bench, "Blue", &blue, (name, host, &text(at)), false);
    let hub = port(("vFW", "host1"), FIREWALL);
    let mut members = vec![("port", json!({"port_id": hub, "role": "hub"}))];
    for spoke in SPOKES {
        let port = port((spoke.0, spoke.1), address(spoke));
        members.push(("port", json!({"port_id": port, "role": "spoke"})));
    }
    vpn(bench, "Blue", json!({"name": "hs", "vrf_policy": "hub-and-spoke"}), &members);
    bench.await_rest();
    let _set =
        run(&format!("ip netns exec {} sysctl -qw net.ipv4.ip_forward=1", bench.namespace("host1.vFW")));
    hub
}

/// What a spoke may send so that another one gets it past the hub: to its MAC address, to everybody, to groups, to the gateway.
fn attempts(bench: &Bench, from: (&str, &str, u8), gateway: &str) -> Vec<Vec<u8>> {
    let own = bench.mac_of(&node(from), "eth0");
    let mut frames = Vec::new();
    for to in SPOKES.into_iter().filter(|to| *to != from) {
        let theirs = bench.mac_of(&node(to), "eth0");
        let question =
            [&[0, 1, 8, 0, 6, 4, 0, 1][..], &mac(&own), &address(from), &[0; 6], &address(to), MARKER]
                .concat();
        let packet = |source| udp(source, address(to), 7777, MARKER);
        for there in
            [theirs.as_str(), BROADCAST, "01:80:c2:00:00:03", "01:00:5e:00:00:fb", "33:33:00:00:00:01"]
        {
            frames.push(frame(there, &own, ARP, &question));
            frames.push(frame(there, &own, IPV4, &packet(address(from))));
            frames.push(frame(there, &own, IPV6, MARKER));
            frames.push(frame(there, &own, 0x88b5, MARKER));
            // As if it were the gateway.
            frames.push(frame(there, gateway, 0x88b5, MARKER));
        }
        // As if it came from the firewall, or from the other one itself.
        frames.push(frame(gateway, &own, 0x88b5, MARKER));
        frames.push(frame(gateway, &own, IPV4, &packet(address(from))));
    }
    frames
}

/// What is marked, or comes from another spoke, and has not passed the firewall.
fn past_hub(bench: &Bench, own: (&str, &str, u8), gateway: &str, frames: &[Captured]) -> Vec<Captured> {
    let others: Vec<_> = SPOKES.into_iter().filter(|other| *other != own).collect();
    let macs: Vec<String> = others.iter().map(|other| bench.mac_of(&node(*other), "eth0")).collect();
    let is_theirs = |source: [u8; 4]| others.iter().any(|other| address(*other) == source);
    let has_passed = |frame: &Captured| {
        let through = frame.ipv4().is_some_and(|(source, ttl)| is_theirs(source) && ttl == THROUGH_HUB);
        frame.from == gateway && through
    };
    let is_of_others = |frame: &&Captured| {
        let from_them = frame.ipv4().is_some_and(|(source, _)| is_theirs(source));
        macs.contains(&frame.from) || frame.has(MARKER) || from_them
    };
    frames.iter().filter(is_of_others).filter(|frame| !has_passed(frame)).cloned().collect()
}

/// The MAC address of the spokes' gateway.
fn gateway_mac(bench: &Bench) -> String {
    let (seen, _) = until("VNF1 knows its gateway", WITHIN, || {
        let seen = bench.ip("host1.VNF1", "neigh show 10.1.1.1");
        seen.split_once("lladdr ").map(|(_, rest)| rest[..17].to_owned())
    });
    seen
}

#[test]
fn no_frame_of_a_spoke_is_seen_by_another_but_through_the_hubs_firewall() {
    let bench = Bench::up("t-spokes", 2, 9783);
    let hub = hub_and_spokes(&bench);
    let mut captures = SPOKES.map(|spoke| Capture::start(&bench, &node(spoke)));
    let mut firewall = Capture::start(&bench, "host1.vFW");
    for from in SPOKES {
        for to in SPOKES.into_iter().filter(|to| *to != from) {
            let (from, to) = (node(from), text(address(to)));
            let (seen, _) = until(&format!("{from} reaches {to}"), WITHIN, || ttl(&bench, &from, &to));
            assert_eq!(seen, THROUGH_HUB, "{from} to {to}");
        }
    }
    let gateway = gateway_mac(&bench);
    for spoke in SPOKES {
        inject(&bench, &node(spoke), &attempts(&bench, spoke, &gateway));
    }
    // What was sent to the gateway, five times to each other one, has come through the hub: so all before it has come, too.
    let mut seen = SPOKES.map(|_| Vec::new());
    until("what passes the hub has come", WITHIN, || {
        for (seen, capture) in seen.iter_mut().zip(&mut captures) {
            seen.extend(capture.take());
        }
        let enough = |seen: &Vec<Captured>| seen.iter().filter(|frame| frame.has(MARKER)).count() >= 10;
        seen.iter().all(enough).then_some(())
    });
    for (spoke, seen) in SPOKES.into_iter().zip(&seen) {
        assert_eq!(past_hub(&bench, spoke, &gateway, seen), [], "{}", spoke.0);
    }
    let passed = firewall.take();
    for from in SPOKES {
        let of = |frame: &&Captured| frame.ipv4().is_some_and(|(source, _)| source == address(from));
        let ttls: Vec<u8> =
            passed.iter().filter(of).filter_map(|frame| frame.ipv4()).map(|(_, ttl)| ttl).collect();
        assert!(ttls.len() >= 14 && ttls.iter().all(|ttl| *ttl == 62), "{}: {ttls:?}", from.0);
    }

    bench.http().delete("ports", &hub);
    for from in SPOKES {
        for to in SPOKES.into_iter().filter(|to| *to != from) {
            await_silence(&bench, &node(from), &text(address(to)));
        }
    }
    captures.iter_mut().for_each(|capture| drop(capture.take()));
    for spoke in SPOKES {
        inject(&bench, &node(spoke), &attempts(&bench, spoke, &gateway));
    }
    // The gateway answers: the captures hear.
    for (spoke, capture) in SPOKES.into_iter().zip(&mut captures) {
        assert_eq!(ttl(&bench, &node(spoke), "10.1.1.1"), Some(64), "{}: its gateway", spoke.0);
        let seen = capture.take();
        let is_unreachable = |frame: &Captured| frame.kind == IPV4 && frame.payload.get(20) == Some(&3);
        let own = seen.iter().filter(|frame| !is_unreachable(frame)).cloned().collect::<Vec<_>>();
        assert_eq!(past_hub(&bench, spoke, &gateway, &own), [], "{}", spoke.0);
        let (gateways, others): (Vec<_>, Vec<_>) =
            seen.into_iter().filter(|frame| frame.kind == IPV4).partition(|frame| {
                frame.from == gateway && frame.ipv4().is_some_and(|(source, _)| source == [10, 1, 1, 1])
            });
        assert!(!gateways.is_empty() && others.is_empty(), "{}: {others:?}", spoke.0);
    }
}

mod machine {
    const CASES: &[&str] = &["no_frame_of_a_spoke"];

    #[test]
    fn the_same_with_vrf_devices() {
        super::run_again_in(&super::machine("1,2"), &[], CASES);
    }

    #[test]
    fn the_same_with_namespaces_on_one_host_and_vrf_devices_on_the_other() {
        super::run_again_in(&super::machine("2"), &[], CASES);
    }
}
