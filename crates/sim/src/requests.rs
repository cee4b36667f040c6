//! Random requests, as tenants and administrators make them.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};
use weft_services::catalogue::{CATALOGUE, Entry, NoStatuses, by_any_name};
use weft_services::{Change, Model, Query, Refusal};

/// Makes one random request. It may well be refused.
pub(crate) fn make(random: &mut ChaCha8Rng, change: &mut Change) -> Result<(), Refusal> {
    match random.random_range(0..16) {
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
        12..16 => routed(random, change),
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

/// What is routed: routers and their interfaces, VPNs and what is in them, ports with one address.
fn routed(random: &mut ChaCha8Rng, change: &mut Change) -> Result<(), Refusal> {
    match random.random_range(0..12) {
        0 => create(change, "routers", json!({ "name": "r" })),
        1..4 => {
            let subnet = pick(random, change.model(), "subnets");
            let action = ["add_router_interface", "add_router_interface", "remove_router_interface"];
            let action = action[random.random_range(0..3)];
            act(random, change, ("routers", action), &json!({ "subnet_id": subnet }))
        }
        4 => {
            let up = random.random_bool(0.7);
            update(random, change, "routers", json!({ "admin_state_up": up }))
        }
        5 => {
            let target = format!("64512:{}", random.random_range(1..4));
            let multipath = ["ecmp", "failover"][random.random_range(0..2)];
            create(change, "bgpvpns", json!({ "route_targets": [target], "multipath": multipath }))
        }
        6..9 => associate(random, change),
        9 => {
            let (third, last) = (random.random_range(0..4), random.random_range(2..6));
            let body = json!({ "network_id": pick(random, change.model(), "networks"), "anycast": true,
                "binding:host_id": host(random), "fixed_ips": [{ "ip_address": format!("10.0.{third}.{last}") }],
                "binding:profile": { "namespace": format!("w{}", random.random_range(0..1000)) } });
            create(change, "ports", body)
        }
        10 => {
            let kinds =
                ["bgpvpn_network_associations", "bgpvpn_router_associations", "bgpvpn_port_associations"];
            let kind = kinds[random.random_range(0..3)];
            delete(random, change, kind)
        }
        _ => {
            let path = ["routers", "bgpvpns"][random.random_range(0..2)];
            delete(random, change, path)
        }
    }
}

/// A network, a router or a port in a VPN; a port now and then with what is behind it, or with what another VPN has routes to.
fn associate(random: &mut ChaCha8Rng, change: &mut Change) -> Result<(), Refusal> {
    let vpn = pick(random, change.model(), "bgpvpns");
    let kind = ["network", "router", "port"][random.random_range(0..3)];
    let member = pick(random, change.model(), &format!("{kind}s"));
    let mut body = json!({ "bgpvpn_id": vpn, format!("{kind}_id"): member });
    if kind == "port" && random.random_bool(0.6) {
        let other = pick(random, change.model(), "bgpvpns");
        let prefix = json!({ "type": "prefix", "prefix": "198.51.100.0/24" });
        let leak = json!({ "type": "bgpvpn", "bgpvpn_id": other });
        body["routes"] = json!([if random.random_bool(0.5) { prefix } else { leak }]);
    }
    create(change, &format!("bgpvpn_{kind}_associations"), body)
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
    by_any_name(path).unwrap_or(&CATALOGUE[0])
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

fn act(
    random: &mut ChaCha8Rng,
    change: &mut Change,
    (path, action): (&str, &str),
    body: &Value,
) -> Result<(), Refusal> {
    let id = pick(random, change.model(), path);
    let Some(action) = entry(path).action(action) else { return Ok(()) };
    let body = body.as_object().cloned().unwrap_or_default();
    entry(path).act(change, (&id, action), &body, None).map(drop)
}

fn update(random: &mut ChaCha8Rng, change: &mut Change, path: &str, body: Value) -> Result<(), Refusal> {
    let id = pick(random, change.model(), path);
    entry(path).update(change, &id, body.as_object().unwrap_or(&Map::new()), None)
}

fn delete(random: &mut ChaCha8Rng, change: &mut Change, path: &str) -> Result<(), Refusal> {
    let id = pick(random, change.model(), path);
    entry(path).delete(change, &id, None)
}
