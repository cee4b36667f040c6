//! The form of what is compiled: whoever changes it has to raise [`compile::FORM`], or agents go on with what they have.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Site, id};
use serde_json::json;
use weft_net::Mac;
use weft_services::{Fact, LearnedEncapsulation, LearnedRoute, compile};

/// FNV-1a: the same on every machine, and with every toolchain.
fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn what_is_compiled_changes_only_with_its_form() {
    let mut site = Site::with_hosts(3, &[]);
    let vlan = json!({"provider:network_type": "vlan", "provider:physical_network": "p",
        "provider:segmentation_id": 5});
    for network in [json!({"name": "blue"}), vlan] {
        let network = id(&site.create("networks", network).unwrap());
        for (version, cidr) in [(4, "10.0.0.0/24"), (6, "2001:db8::/64")] {
            let subnet = json!({"network_id": network, "ip_version": version, "cidr": cidr});
            site.create("subnets", subnet).unwrap();
        }
        for (host, profile) in [
            ("host1", json!({"namespace": format!("a-{}", &network[..8])})),
            ("host2", json!({"vnic": "tap"})),
            ("host3", json!({})),
        ] {
            let port = json!({"network_id": network, "binding:host_id": host, "binding:profile": profile});
            site.create("ports", port).unwrap();
        }
    }
    let network = common::id_named(&site, "networks", "blue");
    let vnic =
        id(&site.create("instance-ports", json!({"host_id": "host1", "vnic": {"type": "tap"}})).unwrap());
    let slice = json!({"instance_port_id": vnic, "type": "vlan", "segmentation_id": 9});
    let slice = id(&site.create("interfaces", slice).unwrap());
    site.create("service-ports", json!({"interface_id": slice, "service_id": network})).unwrap();
    let vpn = id(&site.create("bgpvpns", json!({"route_targets": ["64512:1"]})).unwrap());
    let association = json!({"bgpvpn_id": vpn, "network_id": network});
    site.create("bgpvpn_network_associations", association).unwrap();
    let vrf = site.model.vrfs().next().unwrap().standard.id;
    let encapsulation = LearnedEncapsulation::Vxlan {
        vni: 9000.try_into().unwrap(),
        router_mac: Mac::new([2, 0, 0, 0, 0, 9]),
    };
    let route = LearnedRoute { next_hop: [198, 51, 100, 1].into(), encapsulation, local_pref: 100 };
    let destination = "203.0.113.0/24".parse().unwrap();
    site.model.learn([&Fact::Routes { vrf, destination, routes: vec![route] }]);
    let compiled: String = site
        .model
        .hosts()
        .flat_map(|host| compile::intent_of(&site.model, &host.name))
        .map(|fragment| format!("{fragment:?}"))
        .collect();
    let now = (compile::FORM, hash(&compiled));
    assert_eq!(
        now,
        (11, 16_663_273_714_304_964_900),
        "what is compiled is not what it was: raise compile::FORM, and note both here"
    );
}
