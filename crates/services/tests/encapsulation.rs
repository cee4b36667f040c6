//! In what hosts send each other what is routed: MPLS between those that prefer it, VXLAN between all others, in one VPN.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeMap;

use common::{Site, check, id};
use ipnet::IpNet;
use serde_json::json;
use weft_dataplane::{INGRESS_TABLE, Link, LinkKind, Object, Path, Route};
use weft_net::{Capability, HostFact, HostName, L3Encapsulation};
use weft_services::{Timestamp, compile, describe_host};

fn host(n: usize) -> HostName {
    format!("host{n}").parse().unwrap()
}

/// Has a host say what it prefers; answers the hosts that are told of it.
fn prefer(site: &mut Site, n: usize, l3_encapsulation: L3Encapsulation) -> Vec<HostName> {
    let before = site.model.clone();
    let fact = HostFact { l3_encapsulation, ..before.host(&host(n)).unwrap().fact.clone() };
    let writes = describe_host(&before, &host(n), &fact, Timestamp(9)).unwrap();
    writes.iter().for_each(|write| site.model.apply(write));
    let touched = compile::touched(&before, &site.model, &writes);
    compile::deltas(&before, &site.model, touched).hosts.into_keys().collect()
}

/// How each host sends to the workload of each other: `m` with a label, `v` over VXLAN.
fn ways(site: &Site, family: &str) -> Vec<String> {
    let way = |from: usize, to: usize| {
        let destination: IpNet = if family == "4" {
            format!("10.0.{to}.5/32").parse().unwrap()
        } else {
            format!("2001:db8:{to}::5/128").parse().unwrap()
        };
        let fragments = compile::intent_of(&site.model, &host(from));
        let mut routes =
            fragments.iter().flat_map(|fragment| &fragment.objects).filter_map(|object| match object {
                Object::Route(Route { table, destination: found, to, .. })
                    if *found == destination && *table != INGRESS_TABLE =>
                {
                    Some(to.as_paths().to_vec())
                }
                _ => None,
            });
        let paths = routes.next().unwrap_or_else(|| panic!("host{from} has no route to {destination}"));
        match &paths[..] {
            _ if from == to => '-',
            [Path { via: Some(via), link: None, labels, .. }] => {
                assert_eq!((via.to_string(), labels.len()), (format!("192.0.2.{to}"), 1));
                'm'
            }
            [Path { link: Some(link), labels, .. }] => {
                assert!(link.as_str().starts_with("vx") && labels.is_empty(), "{paths:?}");
                'v'
            }
            _ => panic!("{paths:?}"),
        }
    };
    (1..=3).map(|from| (1..=3).map(|to| way(from, to)).collect()).collect()
}

fn site() -> Site {
    let mut site = Site::with_hosts(3, &[]);
    let vpn = id(&site.create("bgpvpns", json!({"route_targets": ["64512:1"]})).unwrap());
    for n in 1..=3 {
        let network = id(&site.create("networks", json!({})).unwrap());
        for (version, cidr, address) in [
            (4, format!("10.0.{n}.0/24"), format!("10.0.{n}.5")),
            (6, format!("2001:db8:{n}::/64"), format!("2001:db8:{n}::5")),
        ] {
            let subnet = json!({"network_id": network, "ip_version": version, "cidr": cidr});
            site.create("subnets", subnet).unwrap();
            let port = json!({"network_id": network, "binding:host_id": format!("host{n}"),
                "fixed_ips": [{"ip_address": address}], "binding:profile": {"vnic": "tap"}});
            site.create("ports", port).unwrap();
        }
        site.create("bgpvpn_network_associations", json!({"bgpvpn_id": vpn, "network_id": network})).unwrap();
    }
    site
}

#[test]
fn labels_are_between_hosts_that_both_prefer_them_and_vxlan_between_all_others() {
    let mut site = site();
    assert_eq!(ways(&site, "4"), ["-vv", "v-v", "vv-"], "unless it is said");
    assert_eq!(prefer(&mut site, 2, L3Encapsulation::Mpls), [], "one alone changes nothing");
    assert_eq!(prefer(&mut site, 3, L3Encapsulation::Mpls), [host(2), host(3)]);
    assert_eq!(ways(&site, "4"), ["-vv", "v-m", "vm-"]);
    // The kernel sends no IPv6 with a label to a router of IPv4.
    assert_eq!(ways(&site, "6"), ["-vv", "v-v", "vv-"]);
    check(&site.model);
    assert_eq!(prefer(&mut site, 3, L3Encapsulation::Vxlan), [host(2), host(3)]);
    assert_eq!(ways(&site, "4"), ["-vv", "v-v", "vv-"]);
}

/// A fragment is compiled once for all who follow it: what a change does not touch is the same before and after it, also on a host
/// that comes to the VPN by it.
#[test]
fn all_that_a_host_sends_with_labels_is_touched_when_it_comes_to_a_vpn_or_leaves_it() {
    let mut site = site();
    for n in 1..=3 {
        prefer(&mut site, n, L3Encapsulation::Mpls);
    }
    let ports = common::all(&site, "ports");
    let last: Vec<_> = ports.iter().filter(|port| port["binding:host_id"] == "host3").collect();
    let request = |port: &serde_json::Map<String, serde_json::Value>| {
        json!({"network_id": port["network_id"], "binding:host_id": "host3", "fixed_ips": port["fixed_ips"],
            "binding:profile": {"vnic": "tap"}})
    };
    for change in 0..4 {
        let before = site.model.clone();
        match change {
            0 | 1 => site.delete("ports", &id(last[change])).unwrap(),
            _ => drop(site.create("ports", request(last[change - 2])).unwrap()),
        }
        let touched = compile::touched(&before, &site.model, &site.writes);
        for service in compile::followed_by(&site.model, &host(1)) {
            for key in compile::fragments_of(&site.model, service).iter().filter(|key| !touched.contains(key))
            {
                let [was, is] = [&before, &site.model].map(|model| compile::compile(model, key));
                assert_eq!(was, is, "{key:?} in change {change}");
            }
        }
    }
    assert_eq!(ways(&site, "4"), ["-mm", "m-m", "mm-"]);
}

#[test]
fn who_prefers_labels_and_has_none_uses_vxlan_and_every_vrf_of_who_has_them_has_one() {
    let mut site = site();
    let fact = site.model.host(&host(3)).unwrap().fact.clone();
    let mut capabilities = fact.capabilities.clone();
    capabilities.remove(&Capability::Mpls);
    let fact = HostFact { capabilities, ..fact };
    for write in describe_host(&site.model, &host(3), &fact, Timestamp(8)).unwrap() {
        site.model.apply(&write);
    }
    for n in 1..=3 {
        prefer(&mut site, n, L3Encapsulation::Mpls);
    }
    assert_eq!(ways(&site, "4"), ["-mv", "m-v", "vv-"]);
    let labels = |n: usize| {
        let fragments = compile::intent_of(&site.model, &host(n));
        let objects: Vec<&Object> = fragments.iter().flat_map(|fragment| &fragment.objects).collect();
        let routes = objects.iter().filter_map(|object| match object {
            Object::LabelRoute(route) => Some(route),
            _ => None,
        });
        // What comes with a label comes into the VRF by a link of which nothing is routed onwards.
        let counts: BTreeMap<_, _> = routes
            .map(|route| {
                let mac = route.mac;
                let leads = objects.iter().any(|object| match object {
                    Object::Link(Link { id, kind: LinkKind::Veth { peer_mac, .. }, .. }) => {
                        id.name == route.link && *peer_mac == mac
                    }
                    _ => false,
                });
                (route.label, leads)
            })
            .collect();
        let ingresses = objects.iter().filter(
            |object| matches!(object, Object::Ingress(link) if link.name.as_str().starts_with("ml-")),
        );
        assert_eq!(ingresses.count(), counts.len());
        assert!(counts.values().all(|leads| *leads), "{objects:?}");
        counts.len()
    };
    assert_eq!((labels(1), labels(2), labels(3)), (1, 1, 0));
}
