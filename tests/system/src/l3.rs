//! What tests of layer 3 have in common: networks, workloads and VPNs of a project, the site of OPNFV NetReady's
//! first L3VPN use case, and with which hop limit an echo comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Bench, Node, run, try_run, until};

/// How long hosts have to follow.
const WITHIN: Duration = Duration::from_secs(10);

/// A network of a project, with a subnet of each of these prefixes; answers their identifiers.
///
/// # Panics
/// When the API refuses.
pub fn network(bench: &Bench, project: &str, attributes: Value, cidrs: &[&str]) -> (String, Vec<String>) {
    let mut attributes = attributes;
    attributes["project_id"] = json!(project);
    let network = bench.http().create_id("networks", &json!({ "network": attributes }));
    let subnets = cidrs.iter().map(|cidr| {
        let version = if cidr.contains(':') { 6 } else { 4 };
        let subnet =
            json!({"network_id": network, "ip_version": version, "cidr": cidr, "project_id": project});
        bench.http().create_id("subnets", &json!({ "subnet": subnet }))
    });
    let subnets = subnets.collect();
    (network, subnets)
}

/// A workload of a project: a namespace of this name on a host, with addresses that are told apart by spaces.
///
/// # Panics
/// When the API refuses.
pub fn workload(
    bench: &Bench,
    project: &str,
    network: &str,
    at: (&str, &str, &str),
    anycast: bool,
) -> String {
    let (name, host, addresses) = at;
    let fixed_ips: Vec<Value> =
        addresses.split(' ').map(|address| json!({ "ip_address": address })).collect();
    let port = json!({"network_id": network, "name": name, "project_id": project, "anycast": anycast,
        "fixed_ips": fixed_ips, "binding:host_id": host, "binding:profile": {"namespace": name}});
    bench.http().create_id("ports", &json!({ "port": port }))
}

/// A VPN of a project, and what is associated with it.
///
/// # Panics
/// When the API refuses.
pub fn vpn(bench: &Bench, project: &str, attributes: Value, members: &[(&str, Value)]) -> String {
    let mut attributes = attributes;
    attributes["project_id"] = json!(project);
    let vpn = bench.http().create_id("bgpvpn/bgpvpns", &json!({ "bgpvpn": attributes }));
    for (kind, member) in members {
        let association = format!("{kind}_association");
        let _made = bench
            .http()
            .create(&format!("bgpvpn/bgpvpns/{vpn}/{association}s"), &json!({ association: member }));
    }
    vpn
}

/// A hub and its spokes, ports of a network of Blue's without layer 2: each a name, a host and addresses. The hub does not forward by itself.
/// Answers the hub's port.
///
/// # Panics
/// When the API refuses.
pub fn hub_and_spokes(bench: &Bench, network: &str, hub: At<'_>, spokes: &[At<'_>]) -> String {
    let port = |at| workload(bench, "Blue", network, at, false);
    let hub = port(hub);
    let mut members = vec![("port", json!({"port_id": hub, "role": "hub"}))];
    members.extend(spokes.iter().map(|at| ("port", json!({"port_id": port(*at), "role": "spoke"}))));
    vpn(bench, "Blue", json!({"name": "hs", "vrf_policy": "hub-and-spoke"}), &members);
    hub
}

/// A name, a host, and addresses that are told apart by spaces.
pub type At<'a> = (&'a str, &'a str, &'a str);

/// *L3VPN: ECMP Load Splitting (Anycast)* on two hosts: instances V11 to V13 of one address in a network where V2 and V3 are as well, and
/// G5 in another of the same VPN. With IPv6, too, if that is said.
pub fn anycast(bench: &Bench, has_ipv6: bool) {
    let both = |ipv4: &str, ipv6: &str| {
        if has_ipv6 { format!("{ipv4} {ipv6}") } else { ipv4.to_owned() }
    };
    let made = |name: &str, cidrs: String| {
        network(bench, "Blue", json!({ "name": name }), &cidrs.split(' ').collect::<Vec<_>>()).0
    };
    let blue = made("blue", both("10.1.1.0/24", "2001:db8:1::/64"));
    let other = made("other", both("10.2.2.0/24", "2001:db8:2::/64"));
    for (name, host, network, number, anycast) in [
        ("V11", "host1", &blue, (1, 5), true),
        ("V12", "host1", &blue, (1, 5), true),
        ("V13", "host2", &blue, (1, 5), true),
        ("V2", "host1", &blue, (1, 6), false),
        ("V3", "host2", &blue, (1, 3), false),
        ("G5", "host2", &other, (2, 5), false),
    ] {
        let (subnet, last) = number;
        let addresses = both(&format!("10.{subnet}.{subnet}.{last}"), &format!("2001:db8:{subnet}::{last}"));
        workload(bench, "Blue", network, (name, host, &addresses), anycast);
    }
    let member = |network: &str| ("network", json!({ "network_id": network }));
    let targets = json!({"name": "ec", "route_targets": ["64512:400"]});
    vpn(bench, "Blue", targets, &[member(&blue), member(&other)]);
}

/// A router of a project with interfaces in these subnets; answers its identifier.
///
/// # Panics
/// When the API refuses.
pub fn router<'a>(bench: &Bench, project: &str, subnets: impl IntoIterator<Item = &'a String>) -> String {
    let router = json!({"router": {"name": "r", "project_id": project}});
    let router = bench.http().create_id("routers", &router);
    for subnet in subnets {
        change_router(bench, &router, "add_router_interface", &json!({ "subnet_id": subnet }));
    }
    router
}

/// One of the actions of a router.
///
/// # Panics
/// When the API refuses.
pub fn change_router(bench: &Bench, router: &str, action: &str, body: &Value) {
    let answer = bench.http().ask("PUT", &format!("/v2.0/routers/{router}/{action}"), body);
    assert_eq!(answer.status, 200, "{}", answer.json());
}

/// Has a workload forward packets, of both versions.
pub fn forward(bench: &Bench, workload: &str) {
    for setting in ["ipv4.ip_forward=1", "ipv6.conf.all.forwarding=1"] {
        run(&format!("ip netns exec {} sysctl -qw net.{setting}", bench.namespace(workload)));
    }
}

/// Somebody at an IPv4 address behind a workload that forwards, in a prefix of 24 bits where that has another one.
#[must_use]
pub fn behind(bench: &Bench, workload: &str, (gateway, address): (&str, &str)) -> Node {
    let node = Node::of_lab(bench, "behind");
    forward(bench, workload);
    bench.ip(workload, &format!("link add back type veth peer name eth0 netns {}", node.namespace()));
    bench.ip(workload, &format!("address add {gateway}/24 dev back"));
    bench.ip(workload, "link set back up");
    node.ip(&format!("address add {address}/24 dev eth0"));
    node.ip("link set eth0 up");
    node.ip(&format!("route add default via {gateway}"));
    node
}

/// Waits until an echo comes back with this TTL or hop limit.
///
/// # Panics
/// When none does, or with another one.
pub fn await_ttl(bench: &Bench, from: &str, to: &str, expected: u8) {
    let (seen, _) = until(&format!("{from} reaches {to}"), WITHIN, || ttl(bench, from, to));
    assert_eq!(seen, expected, "{from} to {to}");
}

/// With which TTL or hop limit an echo comes back, if one does. `from` is a node of the lab.
#[must_use]
pub fn ttl(bench: &Bench, from: &str, to: &str) -> Option<u8> {
    ttl_from(&bench.namespace(from), to)
}

pub(crate) fn ttl_from(namespace: &str, to: &str) -> Option<u8> {
    let said = try_run(&format!("ip netns exec {namespace} ping -c 1 -W 1 -n {to}")).ok()?;
    said.split_once("ttl=")?.1.split(' ').next()?.parse().ok()
}

/// Waits until one of these routers says this of an echo request, sent with these options of `ping`, that does not get there.
///
/// # Panics
/// When none does.
pub fn await_complaint(bench: &Bench, from: &str, options: &str, (routers, what): (&[&str], &str)) {
    // One who asks every second is told nothing any more: the kernel allows an error a second, and an unreachable counts twice.
    let ping = format!("ip netns exec {} ping -c 1 -W 3 -n {options}", bench.namespace(from));
    let told = || {
        let said = try_run(&ping).err()?;
        let told = said.lines().find(|line| line.starts_with("From "))?;
        println!("{from}, ping {options}: {told}");
        let mut wanted = routers.iter().map(|router| format!("From {router} icmp_seq=1 {what}"));
        wanted.any(|wanted| wanted == told).then_some(())
    };
    until(&format!("{from}, ping {options}: {what}, by {routers:?}"), 2 * WITHIN, told);
}

/// Waits until nothing answers any more: hosts that are at rest may be so with what they had.
///
/// # Panics
/// When something still does.
pub fn await_silence(bench: &Bench, from: &str, to: &str) {
    until(&format!("{from} reaches {to} no more"), WITHIN, || ttl(bench, from, to).is_none().then_some(()));
}

/// *L3VPN any-to-any*: four workloads of project Blue in two networks, two of Red with addresses that Blue has too, on two hosts; the VPN of
/// Blue is `vpn1` with target 64512:100 and these attributes besides, that of Red `vpn2` with 64512:200. Answers the identifiers
/// of ports, networks and VPNs by name.
pub fn any_to_any(bench: &Bench, of_vpn1: Value) -> BTreeMap<&'static str, String> {
    let mut made = BTreeMap::new();
    for (name, project, cidr) in
        [("net1", "Blue", "10.1.1.0/24"), ("net2", "Blue", "10.3.7.0/24"), ("net3", "Red", "10.1.1.0/24")]
    {
        made.insert(name, network(bench, project, json!({ "name": name }), &[cidr]).0);
    }
    for (name, project, network, host, address) in [
        ("G1", "Blue", "net1", "host1", "10.1.1.5"),
        ("G2", "Blue", "net2", "host1", "10.3.7.9"),
        ("G3", "Blue", "net1", "host2", "10.1.1.6"),
        ("G4", "Blue", "net2", "host2", "10.3.7.10"),
        ("G5", "Red", "net3", "host1", "10.1.1.5"),
        ("G6", "Red", "net3", "host2", "10.1.1.6"),
    ] {
        made.insert(name, workload(bench, project, &made[network], (name, host, address), false));
    }
    let member = |network: &str| ("network", json!({ "network_id": made[network] }));
    let mut attributes = json!({"name": "vpn1", "route_targets": ["64512:100"]});
    let more = of_vpn1.as_object().into_iter().flatten();
    more.for_each(|(name, value)| attributes[name.as_str()] = value.clone());
    let vpn1 = vpn(bench, "Blue", attributes, &[member("net1"), member("net2")]);
    let vpn2 = vpn(bench, "Red", json!({"name": "vpn2", "route_targets": ["64512:200"]}), &[member("net3")]);
    made.extend([("vpn1", vpn1), ("vpn2", vpn2)]);
    made
}
