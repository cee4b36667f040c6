//! Routes of one VPN that are leaked into another through a port: on two hosts, and what goes by them frame by frame. The same in the
//! virtual machine, where one of the hosts has VRF devices.
//!
//! ```text
//!  a1 host1, a2 host2 ── VPN a ──┐
//!                                ├── firewall (host1), in a VRF of its own
//!  b1 host1, b2 host2 ── VPN b ──┘
//! ```

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};
use weft_system_tests::frames::Capture;
use weft_system_tests::l3::{await_complaint, await_ttl, forward, network, ttl, vpn, workload};
use weft_system_tests::{Bench, has_vrf_devices, machine, run, run_again_in, until};

/// How long hosts have to follow.
const WITHIN: Duration = Duration::from_secs(10);
const FIREWALL: &str = "host1.fw";
const UDP: u8 = 17;
/// Where nobody listens.
const PORT: u16 = 7777;
/// The sender's VRF, and the firewall's.
const HOPS_TO_FIREWALL: u8 = 2;
/// Besides these the firewall, its VRF again, and the other's.
const HOPS: u8 = 5;

/// The VPNs, and the associations of the firewall with them: first without routes.
struct Site {
    vpns: [String; 2],
    associations: [String; 2],
}

fn site(bench: &Bench) -> Site {
    let cidrs = |number: u8| [format!("10.{number}.0.0/24"), format!("2001:db8:{number}::/64")];
    let made = |name: &str, number: u8| {
        network(bench, "Blue", json!({ "name": name }), &cidrs(number).each_ref().map(String::as_str)).0
    };
    let outside = made("firewalls", 9);
    let firewall = workload(bench, "Blue", &outside, ("fw", "host1", "10.9.0.8 2001:db8:9::8"), false);
    let vpns = [("a", 1), ("b", 2)].map(|(name, number)| {
        let own = made(name, number);
        for host in [1, 2] {
            let addresses = format!("10.{number}.0.1{host} 2001:db8:{number}::1{host}");
            let at = (format!("{name}{host}"), format!("host{host}"), addresses);
            workload(bench, "Blue", &own, (&at.0, &at.1, &at.2), false);
        }
        let targets = json!({"name": name, "route_targets": [format!("64512:{number}00")]});
        vpn(bench, "Blue", targets, &[("network", json!({ "network_id": own }))])
    });
    let associations = vpns.each_ref().map(|vpn| {
        let collection = format!("bgpvpn/bgpvpns/{vpn}/port_associations");
        let association = json!({"port_association": {"port_id": firewall}});
        format!("{collection}/{}", bench.http().create_id(&collection, &association))
    });
    bench.await_rest();
    forward(bench, FIREWALL);
    Site { vpns, associations }
}

impl Site {
    /// Leaks one VPN into the other (0: `a`, 1: `b`).
    fn leak(&self, bench: &Bench, from: usize, into: usize) {
        let routes = json!([{"type": "bgpvpn", "bgpvpn_id": self.vpns[from]}]);
        let path = format!("/v2.0/{}", self.associations[into]);
        let answer = bench.http().ask("PUT", &path, &json!({"port_association": {"routes": routes}}));
        assert_eq!(answer.status, 200, "{}", answer.json());
    }

    /// Takes the firewall out of a VPN.
    fn dissociate(&self, bench: &Bench, of: usize) {
        let path = format!("/v2.0/{}", self.associations[of]);
        let answer = bench.http().ask("DELETE", &path, &Value::Null);
        assert_eq!(answer.status, 204, "{}", answer.json());
    }
}

fn say(bench: &Bench, from: &str, to: &str, words: &str) {
    let to = SocketAddr::new(to.parse::<IpAddr>().expect("an address"), PORT);
    bench.within(from, || {
        let socket = UdpSocket::bind(("::", 0)).expect("there are ports");
        // Where nothing leads there, it cannot be sent.
        let mapped = match to.ip() {
            IpAddr::V4(address) => SocketAddr::new(address.to_ipv6_mapped().into(), PORT),
            IpAddr::V6(_) => to,
        };
        let _ = socket.send_to(words.as_bytes(), mapped);
    });
}

/// With how many hops behind it a datagram comes in at a node and, before, at the firewall: at each as often as it is seen there.
fn hops(bench: &Bench, from: &str, (node, to): (&str, &str), words: &str) -> [Vec<u8>; 2] {
    let mut captures = [FIREWALL, node].map(|node| Capture::start(bench, node));
    let mut seen = [Vec::new(), Vec::new()];
    let mut look = |seen: &mut [Vec<u8>; 2]| {
        for (capture, seen) in captures.iter_mut().zip(seen) {
            let frames = capture.take().into_iter().filter(|frame| frame.has(words.as_bytes()));
            // What an ICMP error quotes is not the datagram itself.
            let limits = frames.filter_map(|frame| frame.protocol()).filter(|(protocol, _)| *protocol == UDP);
            seen.extend(limits.map(|(_, limit)| 64 - limit));
        }
    };
    say(bench, from, to, words);
    until(&format!("{from} to {to}"), WITHIN, || {
        look(&mut seen);
        (!seen[1].is_empty()).then_some(())
    });
    // Whatever goes round is there again by the time that another one has come.
    say(bench, from, to, &format!("{words} again"));
    until(&format!("{from} to {to} again"), WITHIN, || {
        look(&mut seen);
        (seen[1].len() > 1).then_some(())
    });
    seen
}

fn assert_by_firewall(bench: &Bench, from: &str, to: (&str, &str), words: &str) {
    let seen = hops(bench, from, to, words);
    assert_eq!(seen, [vec![HOPS_TO_FIREWALL; 2], vec![HOPS; 2]], "{from} to {to:?}");
}

/// The gateway of the sender's network says that nothing leads there: the packet neither goes anywhere nor round.
fn await_no_route(bench: &Bench, from: &str, to: &str, gateway: &str) {
    // A VRF device has a last route that leads nowhere; a namespace has none.
    let has_devices = from.split_once('.').is_some_and(|(host, _)| has_vrf_devices(host));
    let what = match (to.contains(':'), has_devices) {
        (true, _) => "Destination unreachable: No route",
        (false, true) => "Destination Host Unreachable",
        (false, false) => "Destination Net Unreachable",
    };
    await_complaint(bench, from, to, (&[gateway], what));
}

#[test]
fn a_leak_leads_through_its_port_alone_and_goes_with_its_association() {
    let bench = Bench::up("t-leak", 2, 9783);
    let site = site(&bench);
    await_ttl(&bench, "host1.a1", "10.9.0.8", 62);
    await_ttl(&bench, "host2.b2", "10.9.0.8", 62);
    for (from, to, gateway) in [
        ("host2.b2", "10.1.0.11", "10.2.0.1"),
        ("host2.b2", "2001:db8:1::11", "2001:db8:2::1"),
        ("host1.a1", "10.2.0.12", "10.1.0.1"),
    ] {
        await_no_route(&bench, from, to, gateway);
    }
    // One way.
    site.leak(&bench, 0, 1);
    bench.await_rest();
    assert_by_firewall(&bench, "host2.b2", ("host1.a1", "10.1.0.11"), "from b2 to a1");
    assert_by_firewall(&bench, "host1.b1", ("host1.a1", "10.1.0.11"), "from b1 to a1");
    assert_by_firewall(&bench, "host1.b1", ("host2.a2", "10.1.0.12"), "from b1 to a2");
    assert_by_firewall(&bench, "host2.b2", ("host2.a2", "2001:db8:1::12"), "from b2 to a2, IPv6");
    assert_eq!(ttl(&bench, "host2.b2", "10.1.0.11"), None, "there is no way back");
    await_no_route(&bench, "host1.a1", "10.2.0.12", "10.1.0.1");
    // Within each nothing changes.
    assert_eq!(ttl(&bench, "host1.a1", "10.1.0.12"), Some(64));
    // The other way as well.
    site.leak(&bench, 1, 0);
    bench.await_rest();
    for (from, to) in [
        ("host1.b1", "10.1.0.11"),
        ("host2.b2", "10.1.0.11"),
        ("host2.b2", "2001:db8:1::12"),
        ("host1.a1", "10.2.0.11"),
        ("host2.a2", "10.2.0.11"),
        ("host1.a1", "2001:db8:2::12"),
    ] {
        await_ttl(&bench, from, to, 64 - HOPS);
    }
    assert_by_firewall(&bench, "host2.b2", ("host1.a1", "10.1.0.11"), "from b2 to a1, there and back");
    assert_by_firewall(&bench, "host1.a1", ("host2.b2", "2001:db8:2::12"), "from a1 to b2, there and back");
    assert_eq!(ttl(&bench, "host1.a1", "10.9.0.8"), Some(62), "the firewall itself");
    // What is no longer there is nowhere, and not between the two.
    let ports = bench.http().list("ports?name=a2");
    bench.http().delete("ports", ports[0]["id"].as_str().expect("an id"));
    await_no_route(&bench, "host1.b1", "10.1.0.12", "10.2.0.1");
    await_no_route(&bench, "host2.b2", "2001:db8:1::12", "2001:db8:2::1");
    site.dissociate(&bench, 1);
    for (from, to, gateway) in [
        ("host1.b1", "10.1.0.11", "10.2.0.1"),
        ("host2.b2", "10.1.0.11", "10.2.0.1"),
        ("host2.b2", "2001:db8:1::11", "2001:db8:2::1"),
        ("host2.b2", "10.9.0.8", "10.2.0.1"),
    ] {
        await_no_route(&bench, from, to, gateway);
    }
    assert_eq!(ttl(&bench, "host1.a1", "10.9.0.8"), Some(62), "that is in the other VPN still");
    await_no_route(&bench, "host1.a1", "10.2.0.12", "10.9.0.1");
    site.dissociate(&bench, 0);
    await_no_route(&bench, "host1.a1", "10.2.0.12", "10.1.0.1");
    assert_eq!(ttl(&bench, "host2.b2", "10.2.0.11"), Some(64), "each has its own");
}

#[test]
fn a_leak_leads_nowhere_by_a_port_that_does_not_forward() {
    let bench = Bench::up("t-leakshut", 2, 9783);
    let site = site(&bench);
    site.leak(&bench, 0, 1);
    site.leak(&bench, 1, 0);
    await_ttl(&bench, "host2.b2", "10.1.0.11", 64 - HOPS);
    let firewall = bench.namespace(FIREWALL);
    run(&format!("ip netns exec {firewall} sysctl -qw net.ipv4.ip_forward=0"));
    for (from, to) in [("host2.b2", "10.1.0.11"), ("host1.b1", "10.1.0.12"), ("host1.a1", "10.2.0.11")] {
        assert_eq!(ttl(&bench, from, to), None, "{from} to {to}, past the firewall");
    }
}

mod machine {
    #[test]
    fn the_same_with_namespaces_on_one_host_and_vrf_devices_on_the_other() {
        super::run_again_in(&super::machine("2"), &[], &["a_leak_leads_through", "a_leak_leads_nowhere"]);
    }
}
