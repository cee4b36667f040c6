//! Networks, subnets and ports, from request to objects.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Site, id};
use expect_test::expect;
use serde_json::json;
use weft_dataplane::State;
use weft_net::{HostFact, HostName};
use weft_services::{Timestamp, compile, describe_host};

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

#[test]
fn a_port_on_two_hosts_is_a_bridge_a_tunnel_and_entries_for_the_other() {
    let mut site = Site::with_hosts(2, &[]);
    let network = id(&site.create("networks", json!({"name": "blue"})).unwrap());
    site.create("subnets", json!({"network_id": network, "ip_version": 4, "cidr": "10.1.1.0/24"})).unwrap();
    for (n, host) in [(1, "host1"), (2, "host2")] {
        let port = json!({"network_id": network, "binding:host_id": host, "mac_address": format!("02:00:00:00:00:0{n}"),
            "binding:profile": {"namespace": format!("web{n}")}});
        let port = site.create("ports", port).unwrap();
        assert_eq!(port["binding:vif_type"], "tap");
    }
    let state: State = compile::intent_of(&site.model, &"host1".parse().unwrap())
        .into_iter()
        .flat_map(|fragment| fragment.objects)
        .collect();
    expect![[r#"
        namespace web1
        link br-4a2d396a-28 bridge mtu 1450
        link tap64d95f8c-60 veth to web1/eth0 02:00:00:00:00:01 mtu 1450
        link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
        bridge-port tap64d95f8c-60 in br-4a2d396a-28
        bridge-port vx1 in br-4a2d396a-28 tunnel
        address web1/eth0 10.1.1.2/24
        bridge-fdb vx1 02:00:00:00:00:02
        vxlan-fdb vx1 02:00:00:00:00:02 at 192.0.2.2
        flood vx1 192.0.2.2
        neighbour br-4a2d396a-28 10.1.1.3 is 02:00:00:00:00:02
        route web1 254 0.0.0.0/0 via 10.1.1.1 on eth0
    "#]]
    .assert_eq(&state.to_string());
}

#[test]
fn a_binding_that_failed_because_the_host_was_not_there_yet_is_mended_when_it_comes() {
    let mut site = Site::default();
    let network = id(&site.create("networks", json!({"name": "blue"})).unwrap());
    let port = site.create("ports", json!({"network_id": network, "binding:host_id": "host1"})).unwrap();
    assert_eq!(port["binding:vif_type"], "binding_failed");
    let others = Site::with_hosts(1, &[]);
    let fact = &others.model.host(&"host1".parse().unwrap()).unwrap().fact;
    for write in describe_host(&site.model, &"host1".parse().unwrap(), fact, Timestamp(9)).unwrap() {
        site.model.apply(&write);
    }
    assert_eq!(site.get("ports", &id(&port)).unwrap()["binding:vif_type"], "tap");
    assert_eq!(compile::intent_of(&site.model, &"host1".parse().unwrap()).len(), 3);
}

#[test]
fn a_vni_is_found_at_once_when_somebody_has_the_last_one() {
    let mut site = Site::default();
    let vni = |site: &mut Site, request: serde_json::Value| {
        let network = site.create("networks", request).unwrap();
        (id(&network), network["provider:segmentation_id"].as_u64().unwrap())
    };
    let asked = |vni: u32| json!({ "provider:segmentation_id": vni });
    assert_eq!(vni(&mut site, asked(16_777_215)).1, 16_777_215);
    for lowest in 1..=3 {
        assert_eq!(vni(&mut site, json!({})).1, lowest);
    }
    let (fifth, _) = vni(&mut site, asked(5));
    assert_eq!(vni(&mut site, json!({})).1, 4);
    assert_eq!(vni(&mut site, json!({})).1, 6);
    site.delete("networks", &fifth).unwrap();
    assert_eq!(vni(&mut site, json!({})).1, 5);
    site.model.recount_check().unwrap();
}

#[test]
fn a_binding_that_failed_is_tried_again_when_its_cause_is_gone() {
    let mut site = Site::with_hosts(1, &[]);
    let roomy = HostFact { underlay_mtu: 9000, ..site.model.host(&host("host1")).unwrap().fact.clone() };
    for write in describe_host(&site.model, &host("host1"), &roomy, Timestamp(1)).unwrap() {
        site.model.apply(&write);
    }
    let network = id(&site.create("networks", json!({"name": "blue", "mtu": 8000})).unwrap());
    let tight = HostFact { underlay_mtu: 1500, ..roomy.clone() };
    let fact = HostFact { tunnel_endpoint: Some("192.0.2.9".parse().unwrap()), ..tight };
    for write in describe_host(&site.model, &host("host2"), &fact, Timestamp(2)).unwrap() {
        site.model.apply(&write);
    }
    let port = id(&site.create("ports", json!({"network_id": network, "binding:host_id": "host2"})).unwrap());
    let vif_type = |site: &Site| site.get("ports", &port).unwrap()["binding:vif_type"].clone();
    assert_eq!(vif_type(&site), "binding_failed");
    site.update("networks", &network, json!({"mtu": 1400})).unwrap();
    assert_eq!(vif_type(&site), "tap", "the network fits now");
}

#[test]
fn a_port_that_is_written_again_is_bound_if_it_can_be_now() {
    let mut site = Site::with_hosts(2, &[]);
    let fact = site.model.host(&host("host2")).unwrap().fact.clone();
    let fact = HostFact { tunnel_endpoint: Some("2001:db8::2".parse().unwrap()), ..fact };
    for write in describe_host(&site.model, &host("host2"), &fact, Timestamp(1)).unwrap() {
        site.model.apply(&write);
    }
    let network = id(&site.create("networks", json!({"name": "blue", "mtu": 1400})).unwrap());
    let on = |host| json!({"network_id": network, "binding:host_id": host});
    let first = id(&site.create("ports", on("host1")).unwrap());
    let port = id(&site.create("ports", on("host2")).unwrap());
    let vif_type = |site: &Site| site.get("ports", &port).unwrap()["binding:vif_type"].clone();
    assert_eq!(vif_type(&site), "binding_failed", "IPv4 and IPv6 do not meet");
    site.delete("ports", &first).unwrap();
    site.update("ports", &port, json!({"binding:host_id": "host2"})).unwrap();
    assert_eq!(vif_type(&site), "tap");
}

#[test]
fn a_subnet_is_of_no_pool_and_says_so() {
    let mut site = Site::default();
    let network = id(&site.create("networks", json!({})).unwrap());
    let subnet = |more: &[(&str, serde_json::Value)]| {
        let mut subnet = json!({"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"});
        more.iter().for_each(|(name, value)| subnet[*name] = value.clone());
        subnet
    };
    let nothing = [
        ("subnetpool_id", json!(null)),
        ("prefixlen", json!(null)),
        ("use_default_subnetpool", json!(false)),
    ];
    let made = site.create("subnets", subnet(&nothing)).unwrap();
    assert_eq!(made["subnetpool_id"], json!(null));
    for (name, value) in [
        ("subnetpool_id", json!("2f6e9cb4-1f62-4b32-8a05-2ab3b0b5ad35")),
        ("subnetpool_id", json!("prefix_delegation")),
        ("prefixlen", json!(26)),
        ("use_default_subnetpool", json!(true)),
    ] {
        let refusal = site.create("subnets", subnet(&[(name, value)])).unwrap_err();
        assert!(refusal.message.contains(name) && refusal.message.contains("pools"), "{refusal}");
    }
    // Declared as it is, it stays as it is.
    let unchanged = site.update("subnets", &id(&made), json!({})).unwrap();
    assert_eq!(unchanged["revision_number"], 1);
}

#[test]
fn whether_a_network_joins_below_ip_is_said_as_long_as_no_port_is_bound() {
    let mut site = Site::with_hosts(1, &[]);
    let network = site.create("networks", json!({})).unwrap();
    assert_eq!(network["l2_adjacency"], true);
    let network = id(&network);
    let port = id(&site.create("ports", json!({"network_id": network})).unwrap());
    let routed = site.update("networks", &network, json!({"l2_adjacency": false})).unwrap();
    assert_eq!(routed["l2_adjacency"], false);
    site.update("ports", &port, json!({"binding:host_id": "host1"})).unwrap();
    let refusal = site.update("networks", &network, json!({"l2_adjacency": true})).unwrap_err();
    assert_eq!((refusal.reason, refusal.kind), (weft_services::Reason::Conflict, "NetworkInUse"));
    assert!(refusal.message.contains("l2_adjacency") && refusal.message.contains(&port), "{refusal}");
    site.update("networks", &network, json!({"l2_adjacency": false, "name": "same"})).unwrap();
    let bound = json!({"network_id": network, "binding:host_id": "host1", "device_owner": "network:dhcp"});
    let bound = site.create("ports", bound).unwrap();
    assert_eq!(bound["binding:vif_type"], "binding_failed", "the network's own ports are on no host");
    site.delete("ports", &port).unwrap();
}
