//! Which addresses ports get, against the plainest way to choose them.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeMap;
use std::net::IpAddr;

use common::{Site, id};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A subnet of which addresses 2 to 14 of 16 can be in pools; all that is known of it is a set.
struct Naive {
    prefix: &'static str,
    pools: Vec<(u8, u8)>,
    taken: BTreeMap<u8, String>,
}

impl Naive {
    fn address(&self, last: u8) -> IpAddr {
        let text = if self.prefix.ends_with(':') {
            format!("{}{last:x}", self.prefix)
        } else {
            format!("{}{last}", self.prefix)
        };
        text.parse().unwrap()
    }

    fn lowest(&self) -> Option<u8> {
        let pooled = |last: &u8| self.pools.iter().any(|(start, end)| (start..=end).contains(&last));
        (0..16).find(|last| pooled(last) && !self.taken.contains_key(last))
    }
}

fn check_ipam(prefix: &'static str, cidr: &str, steps: &[(u8, u8, u8)]) {
    let mut site = Site::default();
    let network = id(&site.create("networks", json!({})).unwrap());
    let version = if cidr.contains(':') { 6 } else { 4 };
    let subnet = json!({"network_id": network, "ip_version": version, "cidr": cidr});
    let subnet = id(&site.create("subnets", subnet).unwrap());
    // IPv6 has no broadcast address.
    let mut naive =
        Naive { prefix, pools: vec![(2, if version == 6 { 15 } else { 14 })], taken: BTreeMap::new() };
    for (kind, a, b) in steps {
        match kind % 8 {
            0..4 => {
                let outcome = site.create("ports", json!({"network_id": network}));
                match (naive.lowest(), outcome) {
                    (Some(last), Ok(port)) => {
                        assert_eq!(port["fixed_ips"][0]["ip_address"], json!(naive.address(last)));
                        naive.taken.insert(last, id(&port));
                    }
                    (None, Err(refusal)) => assert_eq!(refusal.kind, "IpAddressGenerationFailure"),
                    (lowest, outcome) => panic!("{lowest:?} is free, and {outcome:?}"),
                }
            }
            4 => {
                let last = a % 16;
                let fixed_ips = json!([{"ip_address": naive.address(last)}]);
                let outcome = site.create("ports", json!({"network_id": network, "fixed_ips": fixed_ips}));
                let is_host = last != 0 && (version == 6 || last != 15);
                assert_eq!(outcome.is_ok(), is_host && !naive.taken.contains_key(&last), "{last}");
                if let Ok(port) = outcome {
                    naive.taken.insert(last, id(&port));
                }
            }
            5 | 6 => {
                let Some((last, port)) = naive.taken.iter().nth(usize::from(*a) % naive.taken.len().max(1))
                else {
                    continue;
                };
                let (last, port) = (*last, port.clone());
                naive.taken.remove(&last);
                site.delete("ports", &port).unwrap();
            }
            _ => {
                let (start, end) = (2 + a % 13, 2 + b % 13);
                let second = json!({"start": naive.address(2), "end": naive.address(2)});
                let mut pools = vec![json!({"start": naive.address(start), "end": naive.address(end)})];
                pools.extend((start > 2).then_some(second));
                let outcome = site.update("subnets", &subnet, json!({ "allocation_pools": pools }));
                assert_eq!(outcome.is_ok(), start <= end);
                if start <= end {
                    naive.pools = vec![(start, end)];
                    naive.pools.extend((start > 2).then_some((2, 2)));
                }
            }
        }
        site.model.recount_check().unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(64), ..ProptestConfig::default() })]

    #[test]
    fn ipv4_addresses_are_given_out_lowest_first_and_never_twice(steps in prop::collection::vec(any::<(u8, u8, u8)>(), 0..60)) {
        check_ipam("10.0.0.", "10.0.0.0/28", &steps);
    }

    #[test]
    fn ipv6_addresses_are_given_out_lowest_first_and_never_twice(steps in prop::collection::vec(any::<(u8, u8, u8)>(), 0..60)) {
        check_ipam("fd00::", "fd00::/124", &steps);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn a_thousand_addresses_of_a_large_subnet_are_soon_given_out() {
    let mut site = Site::default();
    let network = id(&site.create("networks", json!({})).unwrap());
    site.create("subnets", json!({"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/16"})).unwrap();
    let begin = std::time::Instant::now();
    let mut change = site.change();
    let ports = weft_services::catalogue::by_path("ports").unwrap();
    let request = json!({"network_id": network});
    for _ in 0..1000 {
        ports.create(&mut change, request.as_object().unwrap()).unwrap();
    }
    site.commit(change);
    // A fraction of a second; a search from the beginning each time would be half a million steps.
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    let last = common::all(&site, "ports").into_iter().map(|port| port["fixed_ips"][0]["ip_address"].clone());
    let addresses: Vec<IpAddr> = last.map(|address| address.as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(addresses.iter().max().unwrap().to_string(), "10.0.3.233");
}

#[test]
fn an_address_that_workloads_make_themselves_is_that_of_rfc_4291() {
    for (mac, cidr, expected) in [
        ("34:56:78:9a:bc:de", "2001:db8::/64", "2001:db8::3656:78ff:fe9a:bcde"),
        ("02:00:00:00:00:01", "fd00:1:2:3::/64", "fd00:1:2:3:0:ff:fe00:1"),
        ("fa:16:3e:ff:ff:ff", "fd00::/64", "fd00::f816:3eff:feff:ffff"),
    ] {
        // Either mode says so.
        for (mode, names) in [
            ("slaac", &["ipv6_address_mode", "ipv6_ra_mode"][..]),
            ("dhcpv6-stateless", &["ipv6_address_mode", "ipv6_ra_mode"]),
            ("slaac", &["ipv6_ra_mode"]),
            ("slaac", &["ipv6_address_mode"]),
        ] {
            let mut site = Site::default();
            let network = id(&site.create("networks", json!({})).unwrap());
            let mut subnet = json!({"network_id": network, "ip_version": 6, "cidr": cidr});
            for name in names {
                subnet[*name] = json!(mode);
            }
            let subnet = id(&site.create("subnets", subnet).unwrap());
            for request in [Value::Null, json!([{"subnet_id": subnet}])] {
                let mut port = json!({"network_id": network, "mac_address": mac});
                if request.is_array() {
                    port["fixed_ips"] = request;
                }
                let port = site.create("ports", port).unwrap();
                assert_eq!(port["fixed_ips"][0]["ip_address"], expected, "{mac}");
                site.delete("ports", &id(&port)).unwrap();
            }
        }
    }
}

#[test]
fn a_port_gets_an_address_of_each_version_and_of_each_prefix_it_can_make_one_of() {
    let mut site = Site::default();
    let network = id(&site.create("networks", json!({})).unwrap());
    for subnet in [
        json!({"ip_version": 4, "cidr": "10.0.0.0/24"}),
        json!({"ip_version": 4, "cidr": "10.0.1.0/24"}),
        json!({"ip_version": 6, "cidr": "fd00::/64"}),
        json!({"ip_version": 6, "cidr": "fd01::/64", "ipv6_address_mode": "slaac"}),
    ] {
        let mut subnet = subnet;
        subnet["network_id"] = json!(network);
        site.create("subnets", subnet).unwrap();
    }
    let port = site.create("ports", json!({"network_id": network})).unwrap();
    let addresses: Vec<&str> =
        port["fixed_ips"].as_array().unwrap().iter().map(|ip| ip["ip_address"].as_str().unwrap()).collect();
    assert_eq!(addresses.len(), 3, "{addresses:?}");
    assert_eq!(addresses[1], "fd00::2");
}

/// A port with the MAC address 02:00:00:00:00:01 on a network with a subnet in which workloads make their addresses.
fn with_slaac() -> (Site, String, String) {
    let mut site = Site::default();
    let network = id(&site.create("networks", json!({})).unwrap());
    let subnet =
        json!({"network_id": network, "ip_version": 6, "cidr": "fd00::/64", "ipv6_address_mode": "slaac"});
    site.create("subnets", subnet).unwrap();
    let port = json!({"network_id": network, "mac_address": "02:00:00:00:00:01"});
    let port = id(&site.create("ports", port).unwrap());
    (site, network, port)
}

#[test]
fn an_address_that_a_workload_cannot_make_is_not_given_out_by_value() {
    let (mut site, network, _) = with_slaac();
    let port = |address: &str| json!({"network_id": network, "mac_address": "02:00:00:00:00:02", "fixed_ips": [{"ip_address": address}]});
    let refusal = site.create("ports", port("fd00::5")).unwrap_err();
    assert_eq!((refusal.reason, refusal.kind), (weft_services::Reason::Invalid, "InvalidInput"));
    assert!(refusal.message.contains("fixed_ips") && refusal.message.contains("fd00::5"), "{refusal}");
    site.create("ports", port("fd00::ff:fe00:2")).unwrap();
}

#[test]
fn addresses_that_are_made_of_a_mac_address_follow_it() {
    let (mut site, network, port) = with_slaac();
    for (path, mac, address) in [
        ("ports", "02:00:00:00:00:03", "fd00::ff:fe00:3"),
        ("instance-ports", "02:00:00:00:00:04", "fd00::ff:fe00:4"),
    ] {
        site.update(path, &port, json!({ "mac_address": mac })).unwrap();
        assert_eq!(site.get("ports", &port).unwrap()["fixed_ips"][0]["ip_address"], address);
    }
    let both = json!({"mac_address": "02:00:00:00:00:05", "fixed_ips": [{"ip_address": "fd00::ff:fe00:5"}]});
    let port = site.update("ports", &port, both).unwrap();
    assert_eq!(port["fixed_ips"].as_array().unwrap().len(), 1);
    assert_eq!(port["fixed_ips"][0]["ip_address"], "fd00::ff:fe00:5");
    site.create("ports", json!({"network_id": network, "mac_address": "02:00:00:00:00:01"})).unwrap();
    site.model.recount_check().unwrap();
}

#[test]
fn a_port_that_is_renamed_is_renamed_in_all_its_views() {
    let (mut site, _, port) = with_slaac();
    site.update("ports", &port, json!({"name": "web"})).unwrap();
    for path in ["ports", "instance-ports", "interfaces", "service-ports"] {
        assert_eq!(site.get(path, &port).unwrap()["name"], "web", "{path}");
    }
    // What was given a name of its own since keeps it while the port's stays.
    site.update("interfaces", &port, json!({"name": "slice"})).unwrap();
    site.update("ports", &port, json!({"device_id": "x"})).unwrap();
    assert_eq!(site.get("interfaces", &port).unwrap()["name"], "slice");
}

#[test]
fn what_is_anycast_shares_its_address_with_what_is_anycast_and_with_nothing_else() {
    let mut site = Site::with_hosts(1, &[]);
    let network = id(&site.create("networks", json!({})).unwrap());
    let subnet = json!({"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/29"});
    site.create("subnets", subnet).unwrap();
    let port = |anycast: bool| json!({"network_id": network, "anycast": anycast, "fixed_ips": [{"ip_address": "10.0.0.2"}]});
    let [one, two] = [(); 2].map(|()| site.create("ports", port(true)).unwrap());
    assert_eq!((&one["anycast"], &one["fixed_ips"]), (&json!(true), &two["fixed_ips"]));
    assert_eq!(site.create("ports", port(false)).unwrap_err().kind, "IpAddressAlreadyAllocated");
    assert_eq!(
        site.update("ports", &id(&one), json!({"anycast": false})).unwrap_err().reason,
        weft_services::Reason::Invalid
    );
    let plain = site.create("ports", json!({"network_id": network})).unwrap();
    assert_eq!(plain["fixed_ips"][0]["ip_address"], "10.0.0.3", "what is anycast is not handed out");
    let refused =
        site.update("ports", &id(&plain), json!({"fixed_ips": [{"ip_address": "10.0.0.2"}]})).unwrap_err();
    assert_eq!(refused.kind, "IpAddressAlreadyAllocated");
    site.delete("ports", &id(&one)).unwrap();
    common::check(&site.model);
    assert_eq!(
        site.create("ports", port(false)).unwrap_err().kind,
        "IpAddressAlreadyAllocated",
        "one still has it"
    );
    site.delete("ports", &id(&two)).unwrap();
    site.create("ports", port(false)).unwrap();
    assert_eq!(site.create("ports", port(true)).unwrap_err().kind, "IpAddressAlreadyAllocated");
    common::check(&site.model);
}
