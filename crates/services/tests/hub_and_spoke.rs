//! Hub and spoke: the tables of the NetReady use case, whom one spoke more concerns, and where the default route of hubs leads.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Site, check, everything, host_name, id};
use ipnet::IpNet;
use serde_json::{Value, json};
use weft_dataplane::{FragmentId, Object, RouteTo};
use weft_net::{HostName, RouteDistinguisher};
use weft_services::compile::{self, FragmentKey, Subject};
use weft_services::vrf::announcements;
use weft_services::{Id, Row, RowKind};

const MAIN_TABLE: u32 = 254;
const HOSTS: u8 = 4;

/// A network without layer 2, with the seed's two subnets, and a BGP VPN whose policy is hub and spoke.
struct Bench {
    site: Site,
    network: String,
    vpn: String,
}

fn bench() -> Bench {
    let mut site = Site::with_hosts(HOSTS, &[]);
    let network = id(&site.create("networks", json!({"l2_adjacency": false})).unwrap());
    for cidr in ["10.1.1.0/24", "10.3.7.0/24"] {
        site.create("subnets", json!({"network_id": network, "ip_version": 4, "cidr": cidr})).unwrap();
    }
    let vpn = id(&site.create("bgpvpns", json!({"vrf_policy": "hub-and-spoke"})).unwrap());
    Bench { site, network, vpn }
}

/// The seed's vFW(H), VNF1(S), VNF2(S) and VNF3(S), each in a VRF of its own.
fn seed(hub: &Value) -> (Bench, [Id; 4]) {
    let mut bench = bench();
    let spoke = json!({"role": "spoke"});
    let vrfs =
        [("10.1.1.5", 1, hub), ("10.3.7.9", 1, &spoke), ("10.1.1.6", 2, &spoke), ("10.3.7.10", 2, &spoke)]
            .map(|(address, host, association)| bench.member(address, host, association));
    (bench, vrfs)
}

impl Bench {
    fn port(&mut self, network: &str, address: &str, host: u8) -> String {
        let port = json!({"network_id": network, "binding:host_id": format!("host{host}"),
            "binding:profile": {"namespace": format!("vm-{address}")}, "fixed_ips": [{"ip_address": address}]});
        id(&self.site.create("ports", port).unwrap())
    }

    fn associate(&mut self, what: &str, request: Value) {
        let mut request = request;
        request["bgpvpn_id"] = json!(self.vpn);
        self.site.create(&format!("bgpvpn_{what}_associations"), request).unwrap();
        check(&self.site.model);
    }

    /// A port with a part in the VPN; answers its VRF.
    fn member(&mut self, address: &str, host: u8, association: &Value) -> Id {
        let port = self.port(&self.network.clone(), address, host);
        let mut association = association.clone();
        association["port_id"] = json!(port);
        self.associate("port", association);
        let port: Id = port.parse().unwrap();
        let mut own = self.site.model.rows().filter_map(|row| match row {
            Row::BgpvpnPortAssociation(row) if row.port_id == port => Some(row.service_port_id),
            _ => None,
        });
        own.next().unwrap()
    }

    /// A network with a subnet and this part in the VPN.
    fn network(&mut self, cidr: &str, role: &str) -> String {
        let network = id(&self.site.create("networks", json!({})).unwrap());
        let subnet = json!({"network_id": network, "ip_version": 4, "cidr": cidr});
        self.site.create("subnets", subnet).unwrap();
        self.associate("network", json!({"network_id": network, "role": role}));
        network
    }

    fn fragments(&self, vrf: Id, host: u8) -> Vec<Vec<Object>> {
        let of_vrf = FragmentKey::new(RowKind::Vrf, vrf, Subject::Prefix("0.0.0.0/0".parse().unwrap())).id();
        compile::intent_of(&self.site.model, &host_name(host))
            .into_iter()
            .filter(|fragment| *fragment.id.service == *of_vrf.service)
            .map(|fragment| fragment.objects)
            .collect()
    }

    /// The destinations of a VRF's table on a host, but for the subnets as such: each with the hosts that it leads to.
    fn table(&self, vrf: Id, host: u8) -> BTreeMap<String, BTreeSet<String>> {
        let mut table = BTreeMap::new();
        for objects in self.fragments(vrf, host) {
            let elsewhere = objects.iter().filter_map(|object| match object {
                Object::VxlanFdb(entry) => Some(entry.destination.to_string()),
                _ => None,
            });
            let elsewhere: BTreeSet<String> = elsewhere.collect();
            for object in &objects {
                let Object::Route(route) = object else { continue };
                if route.table == MAIN_TABLE && matches!(route.to, RouteTo::Paths(_)) {
                    table.insert(route.destination.to_string(), elsewhere.clone());
                }
            }
        }
        table
    }

    fn distinguishers(&self, vrf: Id, prefix: &str) -> Vec<RouteDistinguisher> {
        let prefix: IpNet = prefix.parse().unwrap();
        let announced = announcements(&self.site.model, vrf, prefix);
        announced.iter().map(|one| one.route_distinguisher).collect()
    }
}

/// A table by its lines: a destination, and the last bytes of the hosts that it leads to.
fn table(lines: &[(&str, &[u8])]) -> BTreeMap<String, BTreeSet<String>> {
    let hosts = |hosts: &[u8]| hosts.iter().map(|n| format!("192.0.2.{n}")).collect();
    lines.iter().map(|(destination, to)| ((*destination).to_owned(), hosts(to))).collect()
}

#[test]
fn the_tables_are_those_of_the_use_case() {
    let here: &[u8] = &[];
    for advertises in [false, true] {
        let (bench, [hub, one, two, three]) =
            seed(&json!({"role": "hub", "advertise_fixed_ips": advertises}));
        let of_hub: [(&str, &[u8]); 5] = [
            ("10.1.1.5/32", here),
            ("0.0.0.0/0", here),
            ("10.3.7.9/32", here),
            ("10.1.1.6/32", &[2]),
            ("10.3.7.10/32", &[2]),
        ];
        assert_eq!(bench.table(hub, 1), table(&of_hub));
        for (spoke, host, to_hub, own) in
            [(one, 1, here, "10.3.7.9/32"), (two, 2, &[1], "10.1.1.6/32"), (three, 2, &[1], "10.3.7.10/32")]
        {
            let mut expected = table(&[("0.0.0.0/0", to_hub), (own, here)]);
            if advertises {
                expected.extend(table(&[("10.1.1.5/32", to_hub)]));
            }
            assert_eq!(bench.table(spoke, host), expected, "{own}");
        }
        // RD1 to RD4: one for each VRF.
        let each = [(hub, "0.0.0.0/0"), (one, "10.3.7.9/32"), (two, "10.1.1.6/32"), (three, "10.3.7.10/32")];
        let each = each.map(|(vrf, prefix)| bench.distinguishers(vrf, prefix));
        assert!(each.iter().all(|one| one.len() == 1), "{each:?}");
        assert_eq!(each.into_iter().collect::<BTreeSet<_>>().len(), 4);
        let of_address = bench.distinguishers(hub, "10.1.1.5/32");
        let expected = if advertises { bench.distinguishers(hub, "0.0.0.0/0") } else { Vec::new() };
        assert_eq!(of_address, expected, "RD1 as well, where it is told");
    }
}

#[test]
fn one_spoke_more_concerns_the_hub_and_that_spoke_alone() {
    for host in [2, 3] {
        let (mut bench, [hub, ..]) = seed(&json!({"role": "hub"}));
        let (before, model) = (everything(&bench.site.model), bench.site.model.clone());
        let port = bench.port(&bench.network.clone(), "10.3.7.11", host);
        let writes = bench.site.writes.clone();
        bench.associate("port", json!({"port_id": port, "role": "spoke"}));
        let touched = compile::touched(&model, &bench.site.model, writes.iter().chain(&bench.site.writes));
        let after = everything(&bench.site.model);
        let differs = |key: &&(HostName, FragmentId)| before.get(*key) != after.get(*key);
        let changed: BTreeSet<&(HostName, FragmentId)> =
            before.keys().chain(after.keys()).filter(differs).collect();
        let of_hub =
            FragmentKey::new(RowKind::Vrf, hub, Subject::Prefix("10.3.7.11/32".parse().unwrap())).id();
        for (on, fragment) in &changed {
            assert!(touched.iter().any(|key| key.id() == *fragment), "{fragment}");
            assert!(
                *on == host_name(host) || (*on == host_name(1) && *fragment == of_hub),
                "{fragment} on {on}"
            );
            assert!(!before.contains_key(&(on.clone(), fragment.clone())), "{fragment} on {on} is no other");
        }
        assert!(changed.contains(&(host_name(1), of_hub)));
        let vrfs: BTreeSet<&str> = changed
            .iter()
            .map(|(_, fragment)| &*fragment.service)
            .filter(|of| of.starts_with("vrf/"))
            .collect();
        assert_eq!(vrfs.len(), 2, "the hub's and its own: {vrfs:?}");
    }
}

/// Networks as hub and as spoke: the seed's own workflow, with a firewall at 10.1.1.5 in the first.
fn networks() -> (Bench, String, [Id; 2]) {
    let mut bench = bench();
    let [hub, spoke] =
        [("10.1.1.0/24", "hub"), ("10.3.7.0/24", "spoke")].map(|(cidr, role)| bench.network(cidr, role));
    bench.port(&hub, "10.1.1.5", 1);
    bench.port(&spoke, "10.3.7.9", 2);
    let vrfs = [&hub, &spoke].map(|network| network.parse().unwrap());
    (bench, hub, vrfs)
}

#[test]
fn what_is_in_a_network_that_is_the_hub_is_the_way_to_everything() {
    let (mut bench, network, [hub, spoke]) = networks();
    let of_spoke = |to: &[u8]| table(&[("0.0.0.0/0", to), ("10.1.1.5/32", &[1]), ("10.3.7.9/32", &[])]);
    assert_eq!(bench.table(spoke, 2), of_spoke(&[1]));
    assert_eq!(bench.table(hub, 1).keys().collect::<Vec<_>>(), ["0.0.0.0/0", "10.1.1.5/32", "10.3.7.9/32"]);
    assert!(
        bench.table(spoke, 2).keys().all(|destination| !destination.contains(':')),
        "it has no IPv6 address"
    );
    // A second firewall shares; whatever is there for something else is no way.
    let second = bench.port(&network, "10.1.1.6", 3);
    assert_eq!(bench.table(spoke, 2)["0.0.0.0/0"], table(&[("", &[1, 3])])[""]);
    bench.associate("port", json!({"port_id": second, "role": "spoke"}));
    assert_eq!(bench.table(spoke, 2)["0.0.0.0/0"], table(&[("", &[1])])[""]);
}

#[test]
fn a_default_route_that_is_declared_is_in_the_place_of_those_that_a_network_has_as_hub() {
    let (mut bench, network, [_, spoke]) = networks();
    bench.port(&network, "10.1.1.6", 3);
    let vpn = bench.vpn.clone();
    let by = |address: &str| json!({"static_routes": [{"destination": "0.0.0.0/0", "nexthop": address}]});
    bench.site.update("bgpvpns", &vpn, by("10.1.1.6")).unwrap();
    check(&bench.site.model);
    assert_eq!(bench.table(spoke, 2)["0.0.0.0/0"], table(&[("", &[3])])[""]);
    bench.site.update("bgpvpns", &vpn, json!({"static_routes": []})).unwrap();
    assert_eq!(bench.table(spoke, 2)["0.0.0.0/0"], table(&[("", &[1, 3])])[""]);
    let association = id(&common::all(&bench.site, "bgpvpn_network_associations")
        .into_iter()
        .find(|one| one["network_id"] == network)
        .unwrap());
    bench.site.update("bgpvpn_network_associations", &association, json!({"role": "spoke"})).unwrap();
    check(&bench.site.model);
    assert!(!bench.table(spoke, 2).contains_key("0.0.0.0/0"), "a spoke is no way");
}

#[test]
fn a_router_that_is_the_hub_tells_of_its_own_default_route() {
    let mut bench = bench();
    let behind = id(&bench.site.create("networks", json!({})).unwrap());
    let subnet = json!({"network_id": behind, "ip_version": 4, "cidr": "10.1.1.0/24"});
    let subnet = id(&bench.site.create("subnets", subnet).unwrap());
    let router = id(&bench.site.create("routers", json!({})).unwrap());
    bench.site.act(("routers", &router), "add_router_interface", json!({"subnet_id": subnet})).unwrap();
    bench.port(&behind, "10.1.1.5", 1);
    bench.port(&behind, "10.1.1.7", 3);
    let spoke = bench.network("10.3.7.0/24", "spoke");
    bench.port(&spoke, "10.3.7.9", 2);
    let spoke: Id = spoke.parse().unwrap();
    bench.associate("router", json!({"router_id": router, "role": "hub"}));
    let without = bench.table(spoke, 2);
    assert!(without.contains_key("10.1.1.5/32") && !without.contains_key("0.0.0.0/0"), "{without:?}");
    let routes = json!({"routes": [{"destination": "0.0.0.0/0", "nexthop": "10.1.1.5"}]});
    bench.site.update("routers", &router, routes).unwrap();
    check(&bench.site.model);
    assert_eq!(bench.table(spoke, 2)["0.0.0.0/0"], table(&[("", &[1])])[""]);
}
