//! BGP VPNs of type l2: what is announced of their networks, and what becomes of what others announce.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeSet;

use common::{Site, all, check, id};
use serde_json::{Value, json};
use weft_net::{HostFact, HostName};
use weft_services::network::Reach;
use weft_services::{
    Announcement, Fact, Facts, LearnedMac, Timestamp, all_announcing, announcements, compile, describe_host,
};

const REMOTE: &str = "198.51.100.9";
const MAC: &str = "02:00:00:00:99:01";

/// A network with a port on each of two hosts, in a VPN of type l2 with these attributes besides; its identifier.
fn site(attributes: Value) -> (Site, String) {
    let mut site = Site::with_hosts(3, &[]);
    let network = id(&site.create("networks", json!({"name": "blue"})).unwrap());
    let subnet = json!({"network_id": network, "ip_version": 4, "cidr": "10.1.1.0/24"});
    site.create("subnets", subnet).unwrap();
    for (host, last) in [("host1", 5), ("host2", 6)] {
        port(&mut site, &network, host, last);
    }
    let mut vpn = json!({"type": "l2", "route_targets": ["64512:5000"]});
    vpn.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    let vpn = id(&site.create("bgpvpns", vpn).unwrap());
    let association = json!({"bgpvpn_id": vpn, "network_id": network});
    site.create("bgpvpn_network_associations", association).unwrap();
    (site, network)
}

fn port(site: &mut Site, network: &str, host: &str, last: u8) -> String {
    let port = json!({"network_id": network, "binding:host_id": host, "name": format!("p{last}"),
        "mac_address": format!("02:00:00:00:00:0{last}"), "binding:profile": {"namespace": format!("n{last}")},
        "fixed_ips": [{"ip_address": format!("10.1.1.{last}")}]});
    id(&site.create("ports", port).unwrap())
}

/// What is announced of networks, as `RD what at NEXT_HOP vni VNI TARGETS`.
fn announced(site: &Site) -> Vec<String> {
    let keys = all_announcing(&site.model);
    let all = keys.iter().flat_map(|key| announcements(&site.model, key));
    let text = |announcement| {
        let Announcement::Bridged(one) = announcement else { return None };
        let reach = match one.reach {
            Reach::Everybody => "everybody".to_owned(),
            Reach::Station { mac, address, sequence } => {
                let address = address.map_or(String::new(), |address| format!(" {address}"));
                let moved = if sequence == 0 { String::new() } else { format!(" moved {sequence}") };
                format!("{mac}{address}{moved}")
            }
        };
        let targets: Vec<String> = one.targets.iter().map(ToString::to_string).collect();
        let (rd, next_hop) = (one.route_distinguisher, one.next_hop);
        Some(format!("{rd} {reach} at {next_hop} vni {} {}", one.vni, targets.join(" ")))
    };
    let mut texts: Vec<String> = all.filter_map(text).collect();
    texts.sort();
    texts
}

/// What a host is to have of a network besides the ports.
fn on(site: &Site, host: &str) -> Vec<String> {
    let fragments = compile::intent_of(&site.model, &host.parse().unwrap()).into_iter();
    let objects: BTreeSet<String> = fragments
        .flat_map(|fragment| fragment.objects)
        .map(|object| object.to_string())
        .filter(|text| {
            ["link vx", "bridge-port vx", "vxlan-fdb", "bridge-fdb vx", "flood", "neighbour"]
                .iter()
                .any(|kind| text.starts_with(kind))
        })
        .collect();
    objects.into_iter().collect()
}

/// What a host has because of what was learned.
fn learned_on(site: &Site, host: &str) -> Vec<String> {
    let mut without = Site::default();
    without.model = site.model.clone().with_facts(Facts::default());
    let before: BTreeSet<String> = on(&without, host).into_iter().collect();
    on(site, host).into_iter().filter(|text| !before.contains(text)).collect()
}

fn at(endpoint: &str, vni: u32, sequence: u32) -> Option<LearnedMac> {
    let vni = vni.try_into().unwrap();
    Some(LearnedMac { endpoint: endpoint.parse().unwrap(), vni, sequence, is_sticky: false })
}

fn mac(network: &str, mac: &str, address: Option<&str>, at: Option<LearnedMac>) -> Fact {
    let address = address.map(|address| address.parse().unwrap());
    Fact::Mac { network: network.parse().unwrap(), mac: mac.parse().unwrap(), address, at }
}

fn endpoint(network: &str, endpoint: &str, vni: Option<u32>) -> Fact {
    let vni = vni.map(|vni| vni.try_into().unwrap());
    Fact::Endpoint { network: network.parse().unwrap(), endpoint: endpoint.parse().unwrap(), vni }
}

#[test]
fn each_host_of_a_network_is_announced_and_each_port_with_its_host() {
    let (mut site, network) = site(json!({}));
    let vni = site.get("networks", &network).unwrap()["provider:segmentation_id"].clone();
    let of = |host: u8, what: &str| format!("192.0.2.{host}:1 {what} at 192.0.2.{host} vni {vni} 64512:5000");
    let mut expected = vec![
        of(1, "02:00:00:00:00:05 10.1.1.5"),
        of(1, "02:00:00:00:00:05"),
        of(1, "everybody"),
        of(2, "02:00:00:00:00:06 10.1.1.6"),
        of(2, "02:00:00:00:00:06"),
        of(2, "everybody"),
    ];
    assert_eq!(announced(&site), expected);
    // A port that moves says so, and its host of before has nothing left to announce.
    let ports = all(&site, "ports");
    let moving = id(ports.iter().find(|port| port["name"] == "p6").unwrap());
    site.update("ports", &moving, json!({"binding:host_id": "host3"})).unwrap();
    expected.truncate(3);
    expected.extend([
        of(3, "02:00:00:00:00:06 10.1.1.6 moved 1"),
        of(3, "02:00:00:00:00:06 moved 1"),
        of(3, "everybody"),
    ]);
    assert_eq!(announced(&site), expected);
    // Unbound it is nowhere; bound again it has not moved since.
    site.update("ports", &moving, json!({"binding:host_id": null})).unwrap();
    assert_eq!(announced(&site), expected[..3]);
    site.update("ports", &moving, json!({"binding:host_id": "host3", "name": "other"})).unwrap();
    assert!(announced(&site).contains(&of(3, "02:00:00:00:00:06 moved 2")), "{:?}", announced(&site));
    site.delete("ports", &moving).unwrap();
    assert_eq!(announced(&site), expected[..3]);
    check(&site.model);
}

#[test]
fn a_network_in_an_l3_vpn_as_well_has_another_number_there() {
    let (mut site, network) = site(json!({}));
    let vpn = id(&site.create("bgpvpns", json!({"route_targets": ["64512:1"]})).unwrap());
    let association = json!({"bgpvpn_id": vpn, "network_id": network});
    let association = id(&site.create("bgpvpn_network_associations", association).unwrap());
    let distinguishers = |site: &Site| -> BTreeSet<(bool, String)> {
        let keys = all_announcing(&site.model);
        let all = keys.iter().flat_map(|key| announcements(&site.model, key));
        all.map(|one| match one {
            Announcement::Routed(one) => (true, one.route_distinguisher.to_string()),
            Announcement::Bridged(one) => (false, one.route_distinguisher.to_string()),
        })
        .collect()
    };
    let [routed, bridged] = [true, false].map(|is_routed| {
        let all = distinguishers(&site).into_iter().filter(move |(of, _)| *of == is_routed);
        all.map(|(_, text)| text).collect::<BTreeSet<String>>()
    });
    assert_eq!((routed.len(), bridged.len()), (2, 2));
    assert!(routed.is_disjoint(&bridged), "{routed:?} {bridged:?}");
    site.delete("bgpvpn_network_associations", &association).unwrap();
    check(&site.model);
}

#[test]
fn the_vni_of_the_vpn_is_a_device_of_its_own_on_the_hosts_of_the_network() {
    let (mut site, network) =
        site(json!({"vni": 5000, "local_pref": 200, "route_distinguishers": ["64512:9"]}));
    assert!(announced(&site).iter().all(|text| text.starts_with("64512:9 ") && text.contains(" vni 5000 ")));
    let bridge = on(&site, "host1").iter().find_map(|text| Some(text.split_once("vx1 in ")?.1.to_owned()));
    let bridge = bridge.unwrap();
    site.model
        .learn(&[endpoint(&network, REMOTE, Some(5000)), mac(&network, MAC, None, at(REMOTE, 5000, 0))]);
    let expected = [
        "bridge-fdb vx1 02:00:00:00:00:06".to_owned(),
        format!("bridge-fdb vx5000 {MAC}"),
        format!("bridge-port vx1 in {bridge}"),
        format!("bridge-port vx5000 in {bridge}"),
        "flood vx1 192.0.2.2".to_owned(),
        format!("flood vx5000 {REMOTE}"),
        "link vx1 vxlan 1 from 192.0.2.1 port 4789 mtu 1450".to_owned(),
        "link vx5000 vxlan 5000 from 192.0.2.1 port 4789 mtu 1450".to_owned(),
        format!("neighbour {} 10.1.1.6 is 02:00:00:00:00:06", bridge.trim_end_matches(" tunnel")),
        "vxlan-fdb vx1 02:00:00:00:00:06 at 192.0.2.2".to_owned(),
        format!("vxlan-fdb vx5000 {MAC} at {REMOTE}"),
    ];
    assert_eq!(on(&site, "host1"), expected);
    // Nobody else can have it, before its hosts have confirmed that it is gone.
    let refusal = site.create("networks", json!({"provider:segmentation_id": 5000})).unwrap_err();
    assert!(refusal.message.contains("5000"), "{refusal}");
    let other = id(&site.create("networks", json!({})).unwrap());
    let vpn = id(&all(&site, "bgpvpns")[0]);
    site.create("bgpvpn_network_associations", json!({"bgpvpn_id": vpn, "network_id": other})).unwrap();
    let vni = |site: &Site, network: &str| site.model.mac_vrf(network.parse().unwrap()).unwrap().vni;
    assert_eq!(vni(&site, &other), None, "one network has it");
    let mac_vrf = site.model.mac_vrf(other.parse().unwrap()).unwrap();
    assert_eq!(mac_vrf.route_distinguisher, None, "nor are routes of two networks one route");
    site.delete("bgpvpns", &vpn).unwrap();
    assert!(announced(&site).is_empty());
    assert!(on(&site, "host1").iter().all(|text| !text.contains("5000") && !text.contains(MAC)));
    let refusal = site.create("networks", json!({"provider:segmentation_id": 5000})).unwrap_err();
    assert!(refusal.message.contains("quarantine"), "{refusal}");
    check(&site.model);
    // The network itself may have it back at once.
    let vpn = id(&site.create("bgpvpns", json!({"type": "l2", "vni": 5000})).unwrap());
    site.create("bgpvpn_network_associations", json!({"bgpvpn_id": vpn, "network_id": network})).unwrap();
    assert_eq!(vni(&site, &network).map(|vni| vni.get()), Some(5000));
    assert!(announced(&site).is_empty(), "nobody would import it");
    check(&site.model);
}

#[test]
fn what_is_learned_is_on_every_host_of_the_network_and_on_no_other() {
    let (mut site, network) = site(json!({}));
    site.model.learn(&[
        endpoint(&network, REMOTE, Some(1)),
        endpoint(&network, "198.51.100.8", Some(77)),
        mac(&network, MAC, None, at(REMOTE, 1, 0)),
        mac(&network, MAC, Some("10.1.1.99"), at(REMOTE, 1, 0)),
        // It has moved since.
        mac(&network, "02:00:00:00:99:02", None, at(REMOTE, 1, 0)),
        mac(&network, "02:00:00:00:99:02", Some("10.1.1.98"), at("198.51.100.8", 77, 1)),
    ]);
    let there = learned_on(&site, "host1");
    assert_eq!(there, learned_on(&site, "host2"));
    assert!(learned_on(&site, "host3").is_empty());
    let bridge = on(&site, "host1").iter().find_map(|text| Some(text.split_once("vx1 in ")?.1.to_owned()));
    let bridge = bridge.unwrap().trim_end_matches(" tunnel").to_owned();
    let expected = [
        format!("bridge-fdb vx1 {MAC}"),
        "bridge-fdb vx1 02:00:00:00:99:02".into(),
        "flood vx1 198.51.100.8 vni 77".into(),
        format!("flood vx1 {REMOTE}"),
        format!("neighbour {bridge} 10.1.1.98 is 02:00:00:00:99:02"),
        format!("neighbour {bridge} 10.1.1.99 is {MAC}"),
        format!("vxlan-fdb vx1 {MAC} at {REMOTE}"),
        "vxlan-fdb vx1 02:00:00:00:99:02 at 198.51.100.8 vni 77".into(),
    ];
    assert_eq!(there, expected);
    site.model.learn(&[
        endpoint(&network, REMOTE, None),
        endpoint(&network, "198.51.100.8", None),
        mac(&network, MAC, None, None),
        mac(&network, MAC, Some("10.1.1.99"), None),
        mac(&network, "02:00:00:00:99:02", None, None),
        mac(&network, "02:00:00:00:99:02", Some("10.1.1.98"), None),
    ]);
    assert!(learned_on(&site, "host1").is_empty());
    assert_eq!(site.model.facts(), &Facts::default());
}

#[test]
fn what_is_ours_is_nobody_elses_to_say() {
    let (mut site, network) = site(json!({}));
    let vpn = id(&site.create("bgpvpns", json!({"route_targets": ["64512:1"]})).unwrap());
    let association = json!({"bgpvpn_id": vpn, "network_id": network});
    site.create("bgpvpn_network_associations", association).unwrap();
    let gateway = site.model.vrfs().next().unwrap().mac_address.to_string();
    for (fact, why) in [
        (mac(&network, "02:00:00:00:00:05", None, at(REMOTE, 1, 9)), "a port's MAC address"),
        (mac(&network, "02:00:00:00:00:05", Some("10.1.1.77"), at(REMOTE, 1, 9)), "and what comes with it"),
        (mac(&network, &gateway, None, at(REMOTE, 1, 0)), "a gateway's"),
        (mac(&network, MAC, None, at("192.0.2.3", 1, 0)), "a host's endpoint"),
        (endpoint(&network, "192.0.2.3", Some(1)), "even one that is not in the network"),
    ] {
        site.model.learn([&fact]);
        assert_eq!(learned_on(&site, "host1"), [""; 0], "{why}");
    }
    site.model = site.model.with_facts(Facts::default());
    // Of a stranger's MAC address with an address of ours the first is taken.
    for address in ["10.1.1.5", "10.1.1.1"] {
        site.model.learn([&mac(&network, MAC, Some(address), at(REMOTE, 1, 0))]);
        let there = learned_on(&site, "host1");
        assert_eq!(there.len(), 2, "{there:?}");
        assert!(there.iter().all(|text| text.contains(MAC) && text.contains("-fdb")), "{there:?}");
        site.model.learn([&mac(&network, MAC, Some(address), None)]);
    }
    // A host that comes with the endpoint that somebody has told of has it for itself.
    site.model.learn([&mac(&network, MAC, None, at(REMOTE, 1, 0))]);
    assert!(!learned_on(&site, "host1").is_empty());
    let name: HostName = "host3".parse().unwrap();
    let fact = HostFact {
        tunnel_endpoint: Some(REMOTE.parse().unwrap()),
        ..site.model.host(&name).unwrap().fact.clone()
    };
    for write in describe_host(&site.model, &name, &fact, Timestamp(9)).unwrap() {
        site.model.apply(&write);
    }
    assert_eq!(learned_on(&site, "host1"), [""; 0]);
}

#[test]
fn an_address_that_two_claim_is_whose_route_has_moved_last() {
    let (mut site, network) = site(json!({}));
    let [one, two] = ["02:00:00:00:99:01", "02:00:00:00:99:02"];
    let holders = |site: &Site| -> Vec<String> {
        let there = learned_on(site, "host1").into_iter().filter(|text| text.starts_with("neighbour"));
        there.map(|text| text.rsplit(' ').next().unwrap().to_owned()).collect()
    };
    site.model.learn(&[
        mac(&network, one, Some("10.1.1.99"), at(REMOTE, 1, 0)),
        mac(&network, two, Some("10.1.1.99"), at(REMOTE, 1, 1)),
    ]);
    assert_eq!(holders(&site), [two]);
    site.model.learn(&[mac(&network, two, Some("10.1.1.99"), None)]);
    assert_eq!(holders(&site), [one]);
}

#[test]
fn a_given_distinguisher_that_is_a_hosts_own_is_not_taken() {
    let of = |given: &str| {
        let (site, _) = site(json!({ "route_distinguishers": [given] }));
        let all: BTreeSet<String> =
            announced(&site).iter().map(|text| text.split(' ').next().unwrap().to_owned()).collect();
        all.into_iter().collect::<Vec<String>>()
    };
    assert_eq!(of("192.0.2.77:1"), ["192.0.2.77:1"]);
    for of_hosts in ["192.0.2.2:1", "192.0.2.3:9", "240.0.0.1:1"] {
        assert_eq!(of(of_hosts), ["192.0.2.1:1", "192.0.2.2:1"], "{of_hosts}");
    }
}
