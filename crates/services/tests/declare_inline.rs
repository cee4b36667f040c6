//! Documents that say inline what other requests make: interfaces of routers, members of BGP VPNs, peers of speakers.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "these are tests")]

mod common;

use common::{Site, all, check, id_named};
use serde_json::{Map, Value, json};
use weft_services::{Action, Declaration, DeclareError, Declared, declare};

fn apply(site: &mut Site, prune: bool, documents: &Value) -> Result<Vec<Declared>, DeclareError> {
    let documents: Vec<Map<String, Value>> = serde_json::from_value(documents.clone()).unwrap();
    let declaration = Declaration { set: "s".into(), prune, documents };
    let mut change = site.change();
    let done = declare(&mut change, &declaration)?;
    site.commit(change);
    check(&site.model);
    Ok(done)
}

fn done(done: &[Declared]) -> Vec<String> {
    done.iter().map(|one| format!("{:?} {} {}", one.action, one.kind, one.name)).collect()
}

fn base() -> Vec<Value> {
    let network = |name: &str| json!({"kind": "network", "name": name});
    let subnet = |name: &str, network: &str, cidr: &str| json!({"kind": "subnet", "name": name, "network": network, "ip_version": 4, "cidr": cidr});
    vec![
        network("blue"),
        network("red"),
        subnet("blue4", "blue", "10.1.0.0/24"),
        subnet("red4", "red", "10.2.0.0/24"),
        json!({"kind": "port", "name": "leg", "network": "red"}),
        json!({"kind": "port", "name": "fw", "network": "blue"}),
    ]
}

fn with(more: &[Value]) -> Value {
    // Last first: the order in which documents are written is nothing.
    more.iter().cloned().chain(base()).collect()
}

fn router(interfaces: &Value, routes: &Value) -> Value {
    json!({"kind": "router", "name": "r", "interfaces": interfaces, "routes": routes})
}

#[test]
fn a_router_is_declared_with_its_interfaces_and_the_routes_by_them() {
    let mut site = Site::with_hosts(1, &[]);
    let route = json!([{"destination": "10.9.0.0/16", "nexthop": "10.1.0.9"}]);
    let wanted = with(&[router(&json!(["blue4", {"port": "leg"}]), &route)]);
    let first = apply(&mut site, true, &wanted).unwrap();
    assert_eq!(done(&first)[0], "Create router r");
    assert_eq!(first[0].attributes["interfaces"].from, json!([]));
    assert_eq!(first[0].attributes["interfaces"].to.as_array().unwrap().len(), 2);
    let shown = site.get("routers", &id_named(&site, "routers", "r")).unwrap();
    assert_eq!(shown["routes"], route);
    let again = apply(&mut site, true, &wanted).unwrap();
    assert!(again.iter().all(|one| one.action == Action::None), "{again:?}");
    // A route that stays holds its interface; one that goes is taken away first.
    let fewer = with(&[router(&json!([{"subnet": "red4"}]), &route)]);
    let refused = apply(&mut site, true, &fewer).unwrap_err();
    assert_eq!((refused.field.as_deref(), refused.document), (Some("interfaces"), Some(0)), "{refused:?}");
    let fewer = with(&[router(&json!([{"port": "leg"}]), &json!([]))]);
    let changed = apply(&mut site, true, &fewer).unwrap();
    assert_eq!(done(&changed)[0], "Update router r");
    assert_eq!(changed[0].attributes["routes"].to, json!([]));
    let by_hand = json!({"subnet_id": id_named(&site, "subnets", "blue4")});
    let id = id_named(&site, "routers", "r");
    site.act(("routers", &id), "add_router_interface", by_hand.clone()).unwrap();
    let again = apply(&mut site, true, &fewer).unwrap();
    assert!(again.iter().all(|one| one.action == Action::None), "what others made is left alone: {again:?}");
    let refused = apply(&mut site, true, &json!([])).unwrap_err();
    assert!(refused.refusal.message.contains("still has ports"), "{refused:?}");
    site.act(("routers", &id), "remove_router_interface", by_hand).unwrap();
    let gone = apply(&mut site, true, &json!([])).unwrap();
    assert!(done(&gone).contains(&"Delete router r".to_owned()), "{gone:?}");
    assert_eq!(site.model.rows().filter(|row| row.standard().is_some()).count(), 0, "{gone:?}");
}

#[test]
fn a_bgp_vpn_is_declared_with_its_members_and_what_they_say() {
    let mut site = Site::with_hosts(1, &[]);
    let vpn = |networks: Value, ports: Value| {
        with(&[
            json!({"kind": "bgpvpn", "name": "v", "vrf_policy": "hub-and-spoke", "networks": networks, "ports": ports}),
        ])
    };
    let routes = json!([{"type": "prefix", "prefix": "0.0.0.0/0"}]);
    let wanted = vpn(json!(["blue", "red"]), json!([{"port": "fw", "role": "hub", "routes": routes}]));
    apply(&mut site, true, &wanted).unwrap();
    let ports = all(&site, "bgpvpn_port_associations");
    assert_eq!((&ports[0]["role"], &ports[0]["routes"]), (&json!("hub"), &routes));
    assert!(all(&site, "bgpvpn_network_associations").iter().all(|one| one["role"] == "spoke"));
    let again = apply(&mut site, true, &wanted).unwrap();
    assert!(again.iter().all(|one| one.action == Action::None), "{again:?}");
    let changed =
        apply(&mut site, true, &vpn(json!(["blue"]), json!([{"port": "fw", "role": "spoke"}]))).unwrap();
    assert_eq!(done(&changed)[0], "Update bgpvpn v");
    assert_eq!(changed[0].attributes["networks"].to.as_array().unwrap().len(), 1);
    assert!(changed[0].attributes.contains_key("ports"));
    let ports = all(&site, "bgpvpn_port_associations");
    assert_eq!(
        (&ports[0]["role"], &ports[0]["routes"]),
        (&json!("spoke"), &routes),
        "what is not said is left"
    );
    assert_eq!(all(&site, "bgpvpn_network_associations").len(), 1);
    for (networks, field, says) in [
        (json!([{"role": "hub"}]), "networks", "networks[0]"),
        (json!(["green"]), "networks", "no network is named 'green'"),
        (json!([{"network": "red", "role": "other"}]), "networks", "role"),
        (json!({"network": "red"}), "networks", "not a list"),
    ] {
        let refused = apply(&mut site, true, &vpn(networks.clone(), json!([]))).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some(field), "{networks}: {refused:?}");
        assert!(refused.refusal.message.contains(says), "{networks}: {refused:?}");
    }
    apply(&mut site, true, &json!([])).unwrap();
    assert!(all(&site, "bgpvpns").is_empty() && all(&site, "networks").is_empty());
}

#[test]
fn associations_and_peers_can_be_documents_of_their_own() {
    let mut site = Site::with_hosts(1, &[]);
    let wanted = with(&[
        json!({"kind": "bgp-speaker", "name": "s", "local_as": 64512, "peers": ["edge"]}),
        json!({"kind": "bgp-peer", "name": "edge", "peer_ip": "192.0.2.1", "remote_as": 64513}),
        json!({"kind": "bgpvpn-network-association", "name": "a", "bgpvpn": "v", "network": "blue"}),
        json!({"kind": "bgpvpn", "name": "v", "route_targets": ["64512:1"]}),
    ]);
    apply(&mut site, true, &wanted).unwrap();
    let speaker = site.get("bgp_speakers", &id_named(&site, "bgp_speakers", "s")).unwrap();
    assert_eq!(speaker["peers"], json!([id_named(&site, "bgp_peers", "edge")]));
    assert_eq!(all(&site, "bgpvpn_network_associations")[0]["name"], "a");
    let again = apply(&mut site, true, &wanted).unwrap();
    assert!(again.iter().all(|one| one.action == Action::None), "{again:?}");
    let mut fewer = wanted;
    fewer.as_array_mut().unwrap().retain(|one| one["kind"] != "bgpvpn-network-association");
    assert!(
        done(&apply(&mut site, true, &fewer).unwrap())
            .contains(&"Delete bgpvpn_network_association a".to_owned())
    );
}
