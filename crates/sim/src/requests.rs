//! Random requests, as tenants and administrators make them.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use weft_services::catalogue::{CATALOGUE, Entry, NoStatuses, by_path};
use weft_services::{Change, Model, Query, Refusal};

/// Makes one random request. It may well be refused.
pub(crate) fn make(random: &mut ChaCha8Rng, change: &mut Change) -> Result<(), Refusal> {
    match random.random_range(0..12) {
        0 if random.random_bool(0.3) => create(change, "networks", json!({ "name": "n" })),
        0 if random.random_bool(0.4) => {
            let body = json!({ "provider:network_type": "vlan", "provider:physical_network": "p",
                "provider:segmentation_id": random.random_range(1..4) });
            create(change, "networks", body)
        }
        // Few VNIs: what one network had, another soon wants.
        0 => create(change, "networks", json!({ "provider:segmentation_id": random.random_range(1..6) })),
        1 => {
            let third = random.random_range(0..4);
            let network = pick(random, change.model(), "networks");
            let (version, cidr) = match random.random_bool(0.7) {
                true => (4, format!("10.0.{third}.0/28")),
                false => (6, format!("2001:db8:{third}::/64")),
            };
            create(change, "subnets", json!({ "network_id": network, "ip_version": version, "cidr": cidr }))
        }
        2 if random.random_bool(0.5) => native(random, change),
        2..=5 => {
            let body = json!({ "network_id": pick(random, change.model(), "networks"), "binding:host_id": host(random),
                "binding:profile": { "namespace": format!("w{}", random.random_range(0..1000)) } });
            create(change, "ports", body)
        }
        6 => {
            let body = json!({ "binding:host_id": host(random) });
            update(random, change, "ports", body)
        }
        7 => {
            let body = json!({ "service_id": pick(random, change.model(), "networks") });
            update(random, change, "service-ports", body)
        }
        8 => {
            let up = random.random_bool(0.6);
            update(random, change, "ports", json!({ "admin_state_up": up }))
        }
        9 => {
            let up = random.random_bool(0.8);
            update(random, change, "networks", json!({ "admin_state_up": up }))
        }
        10 => delete(random, change, "ports"),
        _ if random.random_bool(0.5) => delete_with_ports(random, change),
        _ => {
            let path = ["networks", "subnets"][random.random_range(0..2)];
            delete(random, change, path)
        }
    }
}

/// A vNIC with a VLAN on it, each bound to a network, or as far as that is possible.
fn native(random: &mut ChaCha8Rng, change: &mut Change) -> Result<(), Refusal> {
    let made = |change: &mut Change, path: &str, body: Value| {
        entry(path).create(change, &body.as_object().cloned().unwrap_or_default())
    };
    let vnic = made(change, "instance-ports", json!({ "host_id": host(random), "vnic": { "type": "tap" } }))?;
    let untagged = made(change, "interfaces", json!({ "instance_port_id": vnic }))?;
    let tag = random.random_range(1..4);
    let vlan = json!({ "instance_port_id": vnic, "type": "vlan", "segmentation_id": tag });
    let vlan = made(change, "interfaces", vlan)?;
    for interface in [untagged, vlan] {
        let network = pick(random, change.model(), "networks");
        made(change, "service-ports", json!({ "interface_id": interface, "service_id": network }))?;
    }
    Ok(())
}

/// A network goes, and all its ports before it.
fn delete_with_ports(random: &mut ChaCha8Rng, change: &mut Change) -> Result<(), Refusal> {
    let network = pick(random, change.model(), "networks");
    for port in items(change.model(), "ports").iter().filter(|port| port["network_id"] == network) {
        entry("ports").delete(change, &id(port), None)?;
    }
    for binding in items(change.model(), "service-ports").iter().filter(|port| port["service_id"] == network)
    {
        entry("service-ports").delete(change, &id(binding), None)?;
    }
    entry("networks").delete(change, &network, None)
}

fn items(model: &Model, path: &str) -> Vec<Map<String, Value>> {
    Query::default().run(entry(path), model, &NoStatuses).map(|page| page.items).unwrap_or_default()
}

fn id(item: &Map<String, Value>) -> String {
    item.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn host(random: &mut ChaCha8Rng) -> String {
    format!("host{}", random.random_range(1..=4))
}

fn entry(path: &str) -> &'static Entry {
    by_path(path).unwrap_or(&CATALOGUE[0])
}

fn pick(random: &mut ChaCha8Rng, model: &Model, path: &str) -> String {
    let page = items(model, path);
    let nobody = || "00000000-0000-4000-8000-000000000000".to_owned();
    if page.is_empty() { nobody() } else { id(&page[random.random_range(0..page.len())]) }
}

fn create(change: &mut Change, path: &str, body: Value) -> Result<(), Refusal> {
    let body = body.as_object().cloned().unwrap_or_default();
    entry(path).create(change, &body).map(drop)
}

fn update(random: &mut ChaCha8Rng, change: &mut Change, path: &str, body: Value) -> Result<(), Refusal> {
    let id = pick(random, change.model(), path);
    entry(path).update(change, &id, body.as_object().unwrap_or(&Map::new()), None)
}

fn delete(random: &mut ChaCha8Rng, change: &mut Change, path: &str) -> Result<(), Refusal> {
    let id = pick(random, change.model(), path);
    entry(path).delete(change, &id, None)
}
