//! What VRFs tell others: of several instances of an address each by itself, extra routes, and addresses of ports, as far as
//! associations say so; and that it is in the tables whether it is told or not.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeSet;
use std::net::IpAddr;

use common::{Site, check, everything, host_name, id, objects_of_prefix};
use serde_json::{Value, json};
use weft_dataplane::{FragmentId, INGRESS_TABLE, Object, RouteTo};
use weft_net::{HostFact, HostName, RouteDistinguisher};
use weft_services::compile::{self, FragmentKey};
use weft_services::vrf::{Announcement, announcements};
use weft_services::{Id, RowKind, Timestamp, all_announcing, describe_host};

const MAIN_TABLE: u32 = 254;

/// Network 10.1.1.0/24 and 2001:db8:1::/64, and a VPN.
struct Bench {
    site: Site,
    network: String,
    subnets: [String; 2],
    vpn: String,
}

fn bench() -> Bench {
    bench_of(Site::with_hosts(3, &[]))
}

fn bench_of(mut site: Site) -> Bench {
    let network = id(&site.create("networks", json!({})).unwrap());
    let subnets = [(4, "10.1.1.0/24"), (6, "2001:db8:1::/64")].map(|(version, cidr)| {
        let subnet = json!({"network_id": network, "ip_version": version, "cidr": cidr});
        id(&site.create("subnets", subnet).unwrap())
    });
    let vpn = id(&site.create("bgpvpns", json!({"route_targets": ["64512:100"]})).unwrap());
    Bench { site, network, subnets, vpn }
}

impl Bench {
    fn port(&mut self, host: u8, addresses: &[&str], is_anycast: bool) -> String {
        let fixed_ips: Vec<Value> = addresses.iter().map(|ip| json!({ "ip_address": ip })).collect();
        let namespace = format!("vm{}", self.site.model.rows().count());
        let port = json!({"network_id": self.network, "binding:host_id": format!("host{host}"), "anycast": is_anycast,
            "binding:profile": {"namespace": namespace}, "fixed_ips": fixed_ips});
        id(&self.site.create("ports", port).unwrap())
    }

    fn associate(&mut self, what: &str, request: Value) -> String {
        let mut request = request;
        request["bgpvpn_id"] = json!(self.vpn);
        let made = self.site.create(&format!("bgpvpn_{what}_associations"), request).unwrap();
        check(&self.site.model);
        id(&made)
    }

    /// A router of the network, with a part in the VPN; answers both.
    fn router(&mut self) -> (String, String) {
        let router = id(&self.site.create("routers", json!({})).unwrap());
        for subnet in self.subnets.clone() {
            let interface = json!({ "subnet_id": subnet });
            self.site.act(("routers", &router), "add_router_interface", interface).unwrap();
        }
        let association = self.associate("router", json!({ "router_id": router }));
        (router, association)
    }

    fn objects(&self, vrf: Id, prefix: &str, host: u8) -> Vec<Object> {
        objects_of_prefix(&self.site.model, (vrf, prefix), host)
    }

    /// By which addresses a table of a VRF leads to a prefix on a host.
    fn ways(&self, (vrf, table): (Id, u32), prefix: &str, host: u8) -> BTreeSet<String> {
        let objects = self.objects(vrf, prefix, host);
        let mut routes = objects.iter().filter_map(|object| match object {
            Object::Route(route) if route.table == table => Some(&route.to),
            _ => None,
        });
        let Some(RouteTo::Paths(paths)) = routes.next() else { return BTreeSet::new() };
        paths.iter().filter_map(|path| path.via).map(|via| via.to_string()).collect()
    }

    /// The hosts to which a VRF on a host sends what is for a prefix.
    fn hosts(&self, vrf: Id, prefix: &str, host: u8) -> BTreeSet<String> {
        let entries = self.objects(vrf, prefix, host).into_iter().filter_map(|object| match object {
            Object::VxlanFdb(entry) => Some(entry.destination.to_string()),
            _ => None,
        });
        entries.collect()
    }

    fn announced(&self, vrf: Id, prefix: &str) -> Vec<Announcement> {
        let announced = announcements(&self.site.model, vrf, prefix.parse().unwrap());
        let targets = BTreeSet::from(["64512:100".parse().unwrap()]);
        assert!(announced.iter().all(|one| one.targets == targets), "{announced:?}");
        announced
    }

    /// Makes a change; everything else on hosts by it is said to be touched by it.
    fn change(&mut self, change: impl FnOnce(&mut Site)) {
        let (model, before) = (self.site.model.clone(), everything(&self.site.model));
        change(&mut self.site);
        check(&self.site.model);
        let touched = compile::touched(&model, &self.site.model, &self.site.writes);
        let touched: BTreeSet<FragmentId> = touched.iter().map(FragmentKey::id).collect();
        let after = everything(&self.site.model);
        for key in before.keys().chain(after.keys()) {
            assert!(before.get(key) == after.get(key) || touched.contains(&key.1), "{} on {}", key.1, key.0);
        }
    }
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// One path for each instance, each with a distinguisher of its own, of the hosts that the instances are on.
fn assert_each_by_itself(announced: &[Announcement], hosts: &[u8]) {
    let distinguishers: BTreeSet<RouteDistinguisher> =
        announced.iter().map(|one| one.route_distinguisher).collect();
    assert_eq!((announced.len(), distinguishers.len()), (hosts.len(), hosts.len()), "{announced:?}");
    let mut on: Vec<HostName> = announced.iter().map(|one| one.host.clone()).collect();
    on.sort();
    assert_eq!(on, hosts.iter().copied().map(host_name).collect::<Vec<_>>());
    for one in announced {
        let host = one.host.as_str().trim_start_matches("host");
        assert_eq!(one.next_hop.to_string(), format!("192.0.2.{host}"));
    }
}

#[test]
fn instances_of_one_address_are_told_each_with_a_distinguisher_of_its_own() {
    let mut bench = bench();
    let network = bench.network.clone();
    bench.associate("network", json!({ "network_id": network }));
    let ports = [1, 1, 2].map(|host| bench.port(host, &["10.1.1.5"], true));
    let vrf: Id = bench.vpn.parse().unwrap();
    let announced = bench.announced(vrf, "10.1.1.5/32");
    assert_each_by_itself(&announced, &[1, 1, 2]);
    bench.change(|site| site.delete("ports", &ports[0]).unwrap());
    let left = bench.announced(vrf, "10.1.1.5/32");
    assert_each_by_itself(&left, &[1, 2]);
    let former: BTreeSet<RouteDistinguisher> = announced.iter().map(|one| one.route_distinguisher).collect();
    assert!(
        left.iter().all(|one| former.contains(&one.route_distinguisher)),
        "what is left is not told anew"
    );
}

#[test]
fn instances_behind_ports_are_told_each_with_a_distinguisher_of_its_own() {
    let mut bench = bench();
    let mut announced = Vec::new();
    for (host, address) in [(1, "10.1.1.1"), (1, "10.1.1.2"), (2, "10.1.1.3")] {
        let port = bench.port(host, &[address], false);
        let routes = json!([{"type": "prefix", "prefix": "198.51.100.5/32"}]);
        let made = bench.associate("port", json!({"port_id": port, "routes": routes}));
        let row = bench.site.model.rows().find_map(|row| match row {
            weft_services::Row::BgpvpnPortAssociation(row) if row.standard.id.to_string() == made => {
                Some(row.service_port_id)
            }
            _ => None,
        });
        announced.extend(bench.announced(row.unwrap(), "198.51.100.5/32"));
    }
    assert_each_by_itself(&announced, &[1, 1, 2]);
}

#[test]
fn extra_routes_lead_to_the_port_that_is_their_next_hop() {
    let mut bench = bench();
    bench.port(1, &["10.1.1.8", "2001:db8:1::8"], false);
    bench.port(2, &["10.1.1.9", "2001:db8:1::9"], false);
    bench.port(3, &["10.1.1.7"], false);
    let (router, _) = bench.router();
    let vrf: Id = router.parse().unwrap();
    let of = |routes: &[(&str, &str)]| {
        let route =
            |(destination, nexthop): &(&str, &str)| json!({"destination": destination, "nexthop": nexthop});
        json!({"routes": routes.iter().map(route).collect::<Vec<_>>()})
    };
    let both = [
        ("10.8.0.0/16", "10.1.1.8"),
        ("10.8.0.0/16", "10.1.1.9"),
        ("10.9.0.0/16", "10.1.1.9"),
        ("2001:db8:8::/48", "2001:db8:1::8"),
    ];
    bench.change(|site| drop(site.act(("routers", &router), "add_extraroutes", of(&both)).unwrap()));
    assert_eq!(bench.ways((vrf, MAIN_TABLE), "10.9.0.0/16", 2), set(&["10.1.1.9"]));
    assert_eq!(bench.ways((vrf, INGRESS_TABLE), "10.9.0.0/16", 2), set(&["10.1.1.9"]));
    assert_eq!(bench.ways((vrf, INGRESS_TABLE), "10.8.0.0/16", 1), set(&["10.1.1.8"]));
    assert_eq!(bench.ways((vrf, INGRESS_TABLE), "2001:db8:8::/48", 1), set(&["2001:db8:1::8"]));
    assert_eq!(bench.hosts(vrf, "10.8.0.0/16", 3), set(&["192.0.2.1", "192.0.2.2"]), "both share");
    assert_eq!(bench.hosts(vrf, "2001:db8:8::/48", 3), set(&["192.0.2.1"]));
    assert!(bench.hosts(vrf, "10.9.0.0/16", 2).is_empty(), "the port is on this host");
    bench.change(|site| drop(site.act(("routers", &router), "remove_extraroutes", of(&both[1..2])).unwrap()));
    assert_eq!(bench.hosts(vrf, "10.8.0.0/16", 3), set(&["192.0.2.1"]));
    bench.change(|site| drop(site.update("routers", &router, json!({"routes": []})).unwrap()));
    for host in 1..=3 {
        assert!(bench.objects(vrf, "10.8.0.0/16", host).is_empty(), "on host{host}");
    }
}

#[test]
fn extra_routes_are_told_as_long_as_the_association_says_so() {
    let mut bench = bench();
    bench.port(1, &["10.1.1.8"], false);
    bench.port(2, &["10.1.1.9"], false);
    bench.port(3, &["10.1.1.7"], false);
    let (router, association) = bench.router();
    let vrf: Id = router.parse().unwrap();
    let routes =
        ["10.1.1.8", "10.1.1.9"].map(|nexthop| json!({"destination": "10.8.0.0/16", "nexthop": nexthop}));
    bench.change(|site| drop(site.update("routers", &router, json!({ "routes": routes })).unwrap()));
    for advertises in [true, false, true] {
        let request = json!({ "advertise_extra_routes": advertises });
        bench.change(|site| drop(site.update("bgpvpn_router_associations", &association, request).unwrap()));
        let hosts: &[u8] = if advertises { &[1, 2] } else { &[] };
        assert_each_by_itself(&bench.announced(vrf, "10.8.0.0/16"), hosts);
        assert_each_by_itself(&bench.announced(vrf, "10.1.1.8/32"), &[1]);
        assert_eq!(
            bench.hosts(vrf, "10.8.0.0/16", 3),
            set(&["192.0.2.1", "192.0.2.2"]),
            "it is there whether it is told or not"
        );
    }
    bench.change(|site| site.delete("bgpvpn_router_associations", &association).unwrap());
    assert!(bench.announced(vrf, "10.8.0.0/16").is_empty(), "a router in no VPN tells nobody");
}

#[test]
fn addresses_of_a_port_are_told_as_long_as_its_association_says_so_and_its_routes_always() {
    let mut bench = bench();
    let port = bench.port(1, &["10.1.1.5", "2001:db8:1::5"], false);
    let routes = json!([{"type": "prefix", "prefix": "198.51.100.0/24"}]);
    let association = bench.associate("port", json!({"port_id": port, "routes": routes}));
    let vrf = bench.site.model.vrfs().map(|vrf| vrf.standard.id).next().unwrap();
    for advertises in [true, false, true] {
        let request = json!({ "advertise_fixed_ips": advertises });
        bench.change(|site| drop(site.update("bgpvpn_port_associations", &association, request).unwrap()));
        let hosts: &[u8] = if advertises { &[1] } else { &[] };
        assert_each_by_itself(&bench.announced(vrf, "10.1.1.5/32"), hosts);
        assert_each_by_itself(&bench.announced(vrf, "2001:db8:1::5/128"), hosts);
        assert_each_by_itself(&bench.announced(vrf, "198.51.100.0/24"), &[1]);
        assert!(!bench.objects(vrf, "10.1.1.5/32", 1).is_empty(), "it is there whether it is told or not");
    }
}

/// Gives a host another tunnel endpoint.
fn describe(site: &mut Site, host: u8, endpoint: IpAddr) {
    let name = host_name(host);
    let fact = site.model.host(&name).unwrap().fact.clone();
    let fact = HostFact { tunnel_endpoint: Some(endpoint), ..fact };
    for write in describe_host(&site.model, &name, &fact, Timestamp(0)).unwrap() {
        site.model.apply(&write);
    }
}

/// The distinguishers of an address with four instances on one host of a site and one on another, and of a network in a VPN of type l2.
fn distinguishers_at(endpoint: impl Fn(u8) -> IpAddr) -> Vec<RouteDistinguisher> {
    let mut site = Site::with_hosts(3, &[]);
    (1..=3).for_each(|host| describe(&mut site, host, endpoint(host)));
    let mut bench = bench_of(site);
    let network = bench.network.clone();
    bench.associate("network", json!({ "network_id": network }));
    for host in [1, 1, 1, 1, 2] {
        bench.port(host, &["10.1.1.5"], true);
    }
    bench.port(3, &["10.1.1.6"], false);
    let l2 = id(&bench.site.create("bgpvpns", json!({"type": "l2", "route_targets": ["64512:2"]})).unwrap());
    let association = json!({"bgpvpn_id": l2, "network_id": bench.network});
    bench.site.create("bgpvpn_network_associations", association).unwrap();
    let vrf = bench.vpn.parse().unwrap();
    let announced = bench.announced(vrf, "10.1.1.5/32");
    assert_eq!(announced.len(), 5, "{announced:?}");
    let keys = all_announcing(&bench.site.model);
    let bridged = keys.iter().flat_map(|key| weft_services::announcements(&bench.site.model, key));
    let bridged = bridged.filter_map(|one| match one {
        weft_services::Announcement::Bridged(one) => Some(one.route_distinguisher),
        weft_services::Announcement::Routed(_) => None,
    });
    let bridged: BTreeSet<RouteDistinguisher> = bridged.collect();
    assert_eq!(bridged.len(), 1, "of the host that has layer 2");
    announced.iter().map(|one| one.route_distinguisher).chain(bridged).collect()
}

#[test]
fn sites_that_number_alike_have_no_distinguisher_in_common() {
    let sites: [Vec<RouteDistinguisher>; 5] = [
        distinguishers_at(|host| IpAddr::from([192, 0, 2, host])),
        distinguishers_at(|host| IpAddr::from([198, 51, 100, host])),
        distinguishers_at(|host| IpAddr::from([192, 0, 3, host])),
        distinguishers_at(|host| IpAddr::from([0x2001, 0xdb8, 1, 0, 0, 0, 0, u16::from(host)])),
        distinguishers_at(|host| IpAddr::from([0x2001, 0xdb8, 2, 0, 0, 0, 0, u16::from(host)])),
    ];
    let all: BTreeSet<&RouteDistinguisher> = sites.iter().flatten().collect();
    assert_eq!(all.len(), 5 * (5 + 1), "{sites:?}");
    let first = |host: u8, number: u8| format!("192.0.2.{host}:{number}");
    let of_first_paths: BTreeSet<String> =
        sites[0].iter().map(ToString::to_string).filter(|text| text.starts_with("192.0.2.")).collect();
    assert_eq!(of_first_paths, BTreeSet::from([first(1, 1), first(2, 1), first(3, 2)]));
}

#[test]
fn a_given_distinguisher_that_is_a_hosts_own_is_not_taken() {
    let mut bench = bench();
    let (network, vpn) = (bench.network.clone(), bench.vpn.clone());
    bench.associate("network", json!({ "network_id": network }));
    for host in [1, 1, 2] {
        bench.port(host, &["10.1.1.5"], true);
    }
    let vrf = vpn.parse().unwrap();
    let distinguishers = |bench: &Bench| -> Vec<String> {
        let announced = bench.announced(vrf, "10.1.1.5/32");
        assert_each_by_itself(&announced, &[1, 1, 2]);
        announced.iter().map(|one| one.route_distinguisher.to_string()).collect()
    };
    let own = distinguishers(&bench);
    let mut given: Vec<String> = own.iter().rev().cloned().collect();
    given.push("192.0.2.77:1".to_owned());
    bench.change(|site| {
        drop(site.update("bgpvpns", &vpn, json!({ "route_distinguishers": given })).unwrap());
    });
    let after = distinguishers(&bench);
    assert_eq!(after[1..], own[1..]);
    assert_eq!(after[0], "192.0.2.77:1");
    // Once a host has that endpoint, it is the host's, and the VRF's routes are to be told anew.
    let (before, host) = (bench.site.model.clone(), "host4".parse().unwrap());
    let fact = before.host(&host_name(3)).unwrap().fact.clone();
    let fact = HostFact { tunnel_endpoint: Some([192, 0, 2, 77].into()), ..fact };
    let writes = describe_host(&before, &host, &fact, Timestamp(0)).unwrap();
    writes.iter().for_each(|write| bench.site.model.apply(write));
    assert_eq!(distinguishers(&bench), own);
    let touched = compile::touched(&before, &bench.site.model, &writes);
    let prefix = "10.1.1.5/32".parse().unwrap();
    assert!(touched.contains(&FragmentKey::new(RowKind::Vrf, vrf, compile::Subject::Prefix(prefix))));
}

#[test]
fn a_routers_vni_gives_it_a_target_with_each_system_that_is_spoken_for() {
    let mut bench = bench();
    bench.port(1, &["10.1.1.8"], false);
    let router = id(&bench.site.create("routers", json!({"evpn_vni": 5000})).unwrap());
    let interface = json!({ "subnet_id": bench.subnets[0] });
    bench.site.act(("routers", &router), "add_router_interface", interface).unwrap();
    let routes = json!({"routes": [{"destination": "10.8.0.0/16", "nexthop": "10.1.1.8"}]});
    bench.site.act(("routers", &router), "add_extraroutes", routes).unwrap();
    let vrf: Id = router.parse().unwrap();
    // What is announced of the port's address and of what is behind it, and what is imported.
    let targets = |bench: &Bench| -> [BTreeSet<String>; 3] {
        let of = |prefix: &str| {
            let announced = announcements(&bench.site.model, vrf, prefix.parse().unwrap());
            assert!(announced.iter().all(|one| one.vni.get() == 5000), "{announced:?}");
            announced.into_iter().flat_map(|one| one.targets).map(|target| target.to_string()).collect()
        };
        let imports = &bench.site.model.vrf(vrf).unwrap().imports;
        let imports = imports.iter().filter_map(|target| target.route_target());
        [of("10.1.1.8/32"), of("10.8.0.0/16"), imports.map(|target| target.to_string()).collect()]
    };
    assert_eq!(targets(&bench), [(); 3].map(|()| set(&[])), "nobody speaks");
    let mut speakers = Vec::new();
    for system in [64_513, 64_513, 4_200_000_007_u32] {
        bench.change(|site| {
            speakers.push(id(&site.create("bgp_speakers", json!({ "local_as": system })).unwrap()));
        });
    }
    // 4200000007 is 64086 × 65536 + 59911.
    let both = set(&["64513:5000", "59911:5000"]);
    assert_eq!(targets(&bench), [(); 3].map(|()| both.clone()));
    // Its part in a VPN is told besides, and keeps back extra routes from the VPN alone.
    let association = json!({"router_id": router, "advertise_extra_routes": false});
    bench.associate("router", association);
    let with_vpn = set(&["64513:5000", "59911:5000", "64512:100"]);
    assert_eq!(targets(&bench), [with_vpn.clone(), both, with_vpn]);
    bench.change(|site| site.delete("bgp_speakers", &speakers[0]).unwrap());
    assert!(targets(&bench)[0].contains("64513:5000"), "somebody speaks for it yet");
    bench.change(|site| site.delete("bgp_speakers", &speakers[1]).unwrap());
    assert_eq!(targets(&bench)[1], set(&["59911:5000"]));
}
