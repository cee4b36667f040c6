//! What tests of layer 3 have in common: networks, workloads and VPNs of a project, and with which hop limit an echo comes back.

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

/// With which TTL or hop limit an echo comes back, if one does.
#[must_use]
pub fn ttl(bench: &Bench, from: &str, to: &str) -> Option<u8> {
    let namespace = bench.namespace(from);
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
