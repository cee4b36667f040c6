//! What native resources are on their hosts: golden cases.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Site, id};
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use weft_dataplane::State;
use weft_net::{HostFact, HostName};
use weft_services::{Timestamp, compile, describe_host};

fn check(site: &Site, host: &str, expected: Expect) {
    let fragments = compile::intent_of(&site.model, &host.parse().unwrap());
    let state: State = fragments.into_iter().flat_map(|fragment| fragment.objects).collect();
    expected.assert_eq(&state.to_string());
}

/// A site with a network `10.1.1.0/24`, whose identifier is answered.
fn site(network: Value) -> (Site, String) {
    let mut site = Site::with_hosts(2, &[]);
    let network = id(&site.create("networks", network).unwrap());
    site.create("subnets", json!({"network_id": network, "ip_version": 4, "cidr": "10.1.1.0/24"})).unwrap();
    (site, network)
}

fn vm(site: &mut Site, host: &str, vnic: Value) -> (String, String) {
    let port = json!({"host_id": host, "vnic": vnic, "mac_address": "02:00:00:00:00:01"});
    let port = id(&site.create("instance-ports", port).unwrap());
    let interface = id(&site.create("interfaces", json!({"instance_port_id": port})).unwrap());
    (port, interface)
}

#[test]
fn a_vnic_is_on_its_host_before_it_is_bound_to_anything() {
    let (mut site, _) = site(json!({}));
    let namespace = json!({"type": "namespace", "namespace": "web"});
    let (port, _) = vm(&mut site, "host1", namespace);
    check(
        &site,
        "host1",
        expect![[r#"
        namespace web
        link tap64d95f8c-60 veth to web/eth0 02:00:00:00:00:01 mtu 1500
    "#]],
    );
    site.update("instance-ports", &port, json!({"vnic": {"type": "tap"}, "mtu": 1400})).unwrap();
    check(
        &site,
        "host1",
        expect![[r#"
        link tap64d95f8c-60 tap mtu 1400
    "#]],
    );
    check(&site, "host2", expect![[""]]);
}

#[test]
fn a_bound_vnic_is_in_the_bridge_and_moves_with_its_binding() {
    let (mut site, blue) = site(json!({}));
    let green = id(&site.create("networks", json!({"mtu": 1300})).unwrap());
    let (port, interface) = vm(&mut site, "host1", json!({"type": "tap"}));
    let binding = json!({"interface_id": interface, "service_id": blue});
    let binding = id(&site.create("service-ports", binding).unwrap());
    site.create(
        "ports",
        json!({"network_id": blue, "binding:host_id": "host2", "mac_address": "02:00:00:00:00:02"}),
    )
    .unwrap();
    check(
        &site,
        "host1",
        expect![[r#"
        link br-4a2d396a-28 bridge mtu 1450
        link tap6512e34d-82 tap mtu 1450
        link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
        bridge-port tap6512e34d-82 in br-4a2d396a-28
        bridge-port vx1 in br-4a2d396a-28 tunnel
        bridge-fdb vx1 02:00:00:00:00:02
        vxlan-fdb vx1 02:00:00:00:00:02 at 192.0.2.2
        flood vx1 192.0.2.2
        neighbour br-4a2d396a-28 10.1.1.3 is 02:00:00:00:00:02
    "#]],
    );
    check(
        &site,
        "host2",
        expect![[r#"
        link br-4a2d396a-28 bridge mtu 1450
        link tap90cc29a8-78 foreign
        link vx1 vxlan 1 from 192.0.2.2 port 4789 mtu 1450
        bridge-port tap90cc29a8-78 in br-4a2d396a-28 adopted
        bridge-port vx1 in br-4a2d396a-28 tunnel
        bridge-fdb vx1 02:00:00:00:00:01
        vxlan-fdb vx1 02:00:00:00:00:01 at 192.0.2.1
        flood vx1 192.0.2.1
        neighbour br-4a2d396a-28 10.1.1.2 is 02:00:00:00:00:01
    "#]],
    );
    site.update("service-ports", &binding, json!({"service_id": green})).unwrap();
    check(
        &site,
        "host1",
        expect![[r#"
        link br-64d95f8c-60 bridge mtu 1300
        link tap6512e34d-82 tap mtu 1300
        link vx2 vxlan 2 from 192.0.2.1 port 4789 mtu 1300
        bridge-port tap6512e34d-82 in br-64d95f8c-60
        bridge-port vx2 in br-64d95f8c-60 tunnel
    "#]],
    );
    site.update("instance-ports", &port, json!({"host_id": "host2"})).unwrap();
    check(&site, "host1", expect![[""]]);
    check(
        &site,
        "host2",
        expect![[r#"
        link br-4a2d396a-28 bridge mtu 1450
        link br-64d95f8c-60 bridge mtu 1300
        link tap6512e34d-82 tap mtu 1300
        link tap90cc29a8-78 foreign
        link vx1 vxlan 1 from 192.0.2.2 port 4789 mtu 1450
        link vx2 vxlan 2 from 192.0.2.2 port 4789 mtu 1300
        bridge-port tap6512e34d-82 in br-64d95f8c-60
        bridge-port tap90cc29a8-78 in br-4a2d396a-28 adopted
        bridge-port vx1 in br-4a2d396a-28 tunnel
        bridge-port vx2 in br-64d95f8c-60 tunnel
    "#]],
    );
}

#[test]
fn a_vlan_of_a_vnic_is_bound_by_itself() {
    let (mut site, blue) = site(json!({}));
    let (port, _) = vm(&mut site, "host1", json!({"type": "tap"}));
    let vlan = json!({"instance_port_id": port, "type": "vlan", "segmentation_id": 7});
    let vlan = id(&site.create("interfaces", vlan).unwrap());
    let inner = json!({"parent_interface_id": vlan, "type": "vlan", "segmentation_id": 8});
    let inner = id(&site.create("interfaces", inner).unwrap());
    site.create("service-ports", json!({"interface_id": inner, "service_id": blue})).unwrap();
    check(
        &site,
        "host1",
        expect![[r#"
        link br-4a2d396a-28 bridge mtu 1450
        link tap64d95f8c-60 tap mtu 1500
        link vl-a7199530-6f vlan 8 on vl-e47833ed-fa mtu 1500
        link vl-e47833ed-fa vlan 7 on tap64d95f8c-60 mtu 1500
        link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
        bridge-port vl-a7199530-6f in br-4a2d396a-28
        bridge-port vx1 in br-4a2d396a-28 tunnel
    "#]],
    );
}

#[test]
fn a_network_that_is_a_vlan_is_joined_by_the_physical_interface() {
    let (mut site, blue) = site(json!({"provider:network_type": "vlan", "provider:physical_network": "p",
        "provider:segmentation_id": 100}));
    for host in ["host1", "host2"] {
        site.create("ports", json!({"network_id": blue, "binding:host_id": host})).unwrap();
    }
    check(
        &site,
        "host1",
        expect![[r#"
            link br-4a2d396a-28 bridge mtu 1500
            link eth1 foreign
            link tap2ac3615f-ee foreign
            link vl-4a2d396a-28 vlan 100 on eth1 mtu 1500
            bridge-port tap2ac3615f-ee in br-4a2d396a-28 adopted
            bridge-port vl-4a2d396a-28 in br-4a2d396a-28 uplink
        "#]],
    );
}

#[test]
fn a_tap_that_somebody_else_makes_is_adopted_and_leaves_when_it_is_down() {
    let (mut site, blue) = site(json!({}));
    let port = json!({"network_id": blue, "binding:host_id": "host1"});
    let port = id(&site.create("ports", port).unwrap());
    check(
        &site,
        "host1",
        expect![[r#"
        link br-4a2d396a-28 bridge mtu 1450
        link tap2ac3615f-ee foreign
        link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450
        bridge-port tap2ac3615f-ee in br-4a2d396a-28 adopted
        bridge-port vx1 in br-4a2d396a-28 tunnel
    "#]],
    );
    site.update("ports", &port, json!({"admin_state_up": false})).unwrap();
    check(
        &site,
        "host1",
        expect![[r#"
        link tap2ac3615f-ee foreign
    "#]],
    );
    site.update("ports", &port, json!({"admin_state_up": true})).unwrap();
    site.update("networks", &blue, json!({"admin_state_up": false})).unwrap();
    check(
        &site,
        "host1",
        expect![[r#"
        link tap2ac3615f-ee foreign
    "#]],
    );
}

#[test]
fn of_the_routes_in_a_namespace_the_first_interface_gives_those_that_several_could() {
    let (mut site, blue) = site(json!({}));
    let green = id(&site.create("networks", json!({})).unwrap());
    let subnet = json!({"network_id": green, "ip_version": 4, "cidr": "10.2.2.0/24",
        "host_routes": [{"destination": "198.51.100.7/24", "nexthop": "10.2.2.9"}]});
    site.create("subnets", subnet).unwrap();
    for (network, interface) in [(&green, "eth1"), (&blue, "eth0")] {
        let profile = json!({"namespace": "web", "interface": interface});
        let port = json!({"network_id": network, "binding:host_id": "host1", "binding:profile": profile});
        site.create("ports", port).unwrap();
    }
    let fragments = compile::intent_of(&site.model, &"host1".parse().unwrap());
    let routes: Vec<String> = fragments
        .iter()
        .flat_map(|fragment| &fragment.objects)
        .map(ToString::to_string)
        .filter(|text| text.starts_with("route"))
        .collect();
    let mut routes = routes;
    routes.sort();
    expect![[r#"
        route web 254 0.0.0.0/0 via 10.1.1.1 on eth0
        route web 254 198.51.100.0/24 via 10.2.2.9 on eth1
    "#]]
    .assert_eq(&(routes.join("\n") + "\n"));
}

#[test]
fn an_endpoint_that_others_cannot_use_or_that_another_host_has_is_refused() {
    let site = Site::with_hosts(2, &[]);
    let known = &site.model.host(&"host1".parse().unwrap()).unwrap().fact;
    let describe = |name: &str, endpoint: &str| {
        let fact = HostFact { tunnel_endpoint: Some(endpoint.parse().unwrap()), ..known.clone() };
        describe_host(&site.model, &name.parse().unwrap(), &fact, Timestamp(1))
    };
    for endpoint in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "127.0.0.1", "::1"] {
        let refusal = describe("host3", endpoint).unwrap_err();
        assert!(
            refusal.message.contains("tunnel_endpoint") && refusal.message.contains(endpoint),
            "{refusal}"
        );
    }
    let taken = describe("host3", "192.0.2.1").unwrap_err();
    assert!(taken.message.contains("192.0.2.1 is that of host 'host1' already"), "{taken}");
    let alike = describe("host3", "2001:db8::cbe9:f98e").unwrap_err();
    assert!(alike.message.contains("the same MAC addresses of routers as 192.0.2.1"), "{alike}");
    assert_eq!(describe("host3", "2001:db8::cbe9:f98f").unwrap().len(), 1);
    assert_eq!(describe("host1", "192.0.2.1").unwrap(), [], "it is its own");
    assert_eq!(describe("host3", "192.0.2.3").unwrap().len(), 1);
}

#[test]
fn a_host_whose_packets_do_not_meet_those_of_the_others_does_not_join_a_network() {
    let mut site = Site::with_hosts(2, &[]);
    let host: HostName = "host2".parse().unwrap();
    let known = site.model.host(&host).unwrap().fact.clone();
    let fact = HostFact { tunnel_endpoint: Some("2001:db8::2".parse().unwrap()), ..known };
    for write in describe_host(&site.model, &host, &fact, Timestamp(1)).unwrap() {
        site.model.apply(&write);
    }
    let network = id(&site.create("networks", json!({"name": "blue", "mtu": 1400})).unwrap());
    let port = |host| json!({"network_id": network, "binding:host_id": host});
    assert_eq!(site.create("ports", port("host1")).unwrap()["binding:vif_type"], "tap");
    let failed = site.create("ports", port("host2")).unwrap();
    assert_eq!(failed["binding:vif_type"], "binding_failed");
    assert!(
        failed["binding:vif_details"]["failure"].as_str().unwrap().contains("host 'host1'"),
        "{failed:?}"
    );
}
