//! What tests of layer 3 have in common: networks, workloads and VPNs of a project, the site of OPNFV NetReady's
//! first L3VPN use case, and with which hop limit an echo comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::{Bench, try_run, until};

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

/// With which TTL or hop limit an echo comes back, if one does. `from` is a node of the lab.
#[must_use]
pub fn ttl(bench: &Bench, from: &str, to: &str) -> Option<u8> {
    ttl_from(&bench.namespace(from), to)
}

pub(crate) fn ttl_from(namespace: &str, to: &str) -> Option<u8> {
    let said = try_run(&format!("ip netns exec {namespace} ping -c 1 -W 1 -n {to}")).ok()?;
    said.split_once("ttl=")?.1.split(' ').next()?.parse().ok()
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
