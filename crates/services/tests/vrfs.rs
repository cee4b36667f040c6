//! VRFs, compiled: what is leaked from one VPN into another, and which of several paths is taken.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeSet;

use common::{Site, everything, host_name, id, objects_of_prefix};
use ipnet::IpNet;
use serde_json::{Value, json};
use weft_dataplane::{FragmentId, INGRESS_TABLE, Object, RouteTo};
use weft_net::{Capability, HostName, Mac, RouteTarget};
use weft_services::compile::{self, FragmentKey, Subject};
use weft_services::vrf::{Announcement, announcements, next_routers};
use weft_services::{Fact, Id, LearnedEncapsulation, LearnedRoute, Row, RowKind, Timestamp, describe_host};

const MAIN_TABLE: u32 = 254;

/// VPNs `a` and `b` of a network each, 10.1.0.0/24 and 10.2.0.0/24, with ports on several hosts.
struct Bench {
    site: Site,
    networks: [String; 2],
    vpns: [String; 2],
}

fn bench() -> Bench {
    let mut site = Site::with_hosts(4, &[]);
    let mut made = |n: usize| {
        let network = id(&site.create("networks", json!({})).unwrap());
        let cidr = format!("10.{}.0.0/24", n + 1);
        site.create("subnets", json!({"network_id": network, "ip_version": 4, "cidr": cidr})).unwrap();
        let vpn =
            id(&site.create("bgpvpns", json!({"route_targets": [format!("64512:{}", n + 1)]})).unwrap());
        let association = json!({"bgpvpn_id": vpn, "network_id": network});
        site.create("bgpvpn_network_associations", association).unwrap();
        (network, vpn)
    };
    let [(a, vpn_a), (b, vpn_b)] = [made(0), made(1)];
    Bench { site, networks: [a, b], vpns: [vpn_a, vpn_b] }
}

impl Bench {
    /// A port on a host, with the last byte of its address.
    fn port(&mut self, vpn: usize, host: u8, address: u8) -> String {
        let port = json!({"network_id": self.networks[vpn], "binding:host_id": format!("host{host}"),
            "binding:profile": {"namespace": format!("v{vpn}-{address}")},
            "fixed_ips": [{"ip_address": format!("10.{}.0.{address}", vpn + 1)}]});
        id(&self.site.create("ports", port).unwrap())
    }

    /// A port in a VPN by itself, with routes.
    fn associate(&mut self, vpn: usize, port: &str, routes: &Value) -> String {
        let request = json!({"bgpvpn_id": self.vpns[vpn], "port_id": port, "routes": routes});
        id(&self.site.create("bgpvpn_port_associations", request).unwrap())
    }

    /// All that a VPN has routes to, behind a port of the other.
    fn leak(&mut self, from: usize, into: usize, port: &str) -> String {
        let routes = json!([{"type": "bgpvpn", "bgpvpn_id": self.vpns[from]}]);
        self.associate(into, port, &routes)
    }

    /// The VRF that a VPN's network is in.
    fn vrf_of(&self, vpn: usize) -> Id {
        self.vpns[vpn].parse().unwrap()
    }

    /// The VRF of a port that has one of its own.
    fn vrf_of_port(&self, port: &str) -> Id {
        let port: Id = port.parse().unwrap();
        let mut own = self.site.model.rows().filter_map(|row| match row {
            Row::BgpvpnPortAssociation(row) if row.port_id == port => Some(row.service_port_id),
            _ => None,
        });
        own.find(|id| self.site.model.vrf(*id).is_some()).expect("it has a VRF of its own")
    }

    fn objects(&self, vrf: Id, prefix: &str, host: u8) -> Vec<Object> {
        objects_of_prefix(&self.site.model, (vrf, prefix), host)
    }

    /// By which links and next hops a VRF leads to a prefix on a host.
    fn paths(&self, vrf: Id, prefix: &str, host: u8, table: u32) -> Vec<String> {
        let objects = self.objects(vrf, prefix, host);
        let mut routes = objects.iter().filter_map(|object| match object {
            Object::Route(route) if route.table == table => Some(&route.to),
            _ => None,
        });
        let Some(RouteTo::Paths(paths)) = routes.next() else { return Vec::new() };
        paths
            .iter()
            .map(|path| path.via.map_or_else(|| "on link".to_owned(), |via| via.to_string()))
            .collect()
    }

    /// The hosts to which a VRF sends what is for a prefix, from a host that has nothing to do with it.
    fn hosts(&self, vrf: Id, prefix: &str) -> Vec<String> {
        let by = self.paths(vrf, prefix, 4, MAIN_TABLE);
        let mut objects = self.objects(vrf, prefix, 4);
        for router in next_routers(&self.site.model, vrf, prefix.parse().unwrap()) {
            let compiled = compile::compile(&self.site.model, &router);
            objects.extend(
                compiled.into_iter().flat_map(|compiled| compiled.objects_on(&host_name(4)).to_vec()),
            );
        }
        let entries = objects.into_iter().filter_map(|object| match object {
            Object::VxlanFdb(entry) if by.contains(&entry.mac.link_local().to_string()) => {
                Some(entry.destination.to_string())
            }
            _ => None,
        });
        entries.collect()
    }

    fn announced(&self, vrf: Id, prefix: &str) -> Vec<Announcement> {
        let prefix: IpNet = prefix.parse().unwrap();
        announcements(&self.site.model, vrf, prefix)
    }

    fn learn(&mut self, fact: &Fact) -> BTreeSet<FragmentKey> {
        let before = self.site.model.clone();
        self.site.model.learn([fact]);
        compile::touched_by(&before, &self.site.model, [fact])
    }

    fn carrier(&mut self, port: &str, host: u8, is_there: bool) -> BTreeSet<FragmentKey> {
        self.learn(&Fact::Carrier { port: port.parse().unwrap(), host: host_name(host), is_there })
    }
}

fn targets(texts: &[&str]) -> BTreeSet<RouteTarget> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn what_one_vpn_has_routes_to_is_leaked_into_another_by_a_port() {
    let mut bench = bench();
    bench.port(0, 1, 5);
    let firewall = bench.port(1, 2, 9);
    bench.port(1, 4, 7);
    let b = bench.vrf_of(1);
    assert!(bench.hosts(b, "10.1.0.5/32").is_empty(), "VPNs are apart");
    let association = bench.leak(0, 1, &firewall);
    let own = bench.vrf_of_port(&firewall);
    assert_eq!(
        bench.hosts(b, "10.1.0.5/32"),
        ["192.0.2.2"],
        "to where the port is, not to where the other is"
    );
    assert_eq!(bench.paths(own, "10.1.0.5/32", 2, INGRESS_TABLE), ["10.2.0.9"]);
    assert!(bench.paths(own, "10.1.0.5/32", 2, MAIN_TABLE).is_empty(), "or it would send to itself");
    let [announced] = &bench.announced(own, "10.1.0.5/32")[..] else { panic!() };
    assert_eq!((&announced.targets, &announced.host), (&targets(&["64512:2"]), &host_name(2)));
    assert!(bench.hosts(bench.vrf_of(0), "10.2.0.7/32").is_empty(), "nothing of it goes the other way");
    bench.port(0, 3, 6);
    assert_eq!(bench.hosts(b, "10.1.0.6/32"), ["192.0.2.2"], "what comes later is leaked, too");
    bench.site.delete("bgpvpn_port_associations", &association).unwrap();
    assert!(bench.hosts(b, "10.1.0.5/32").is_empty());
}

#[test]
fn a_route_that_is_leaked_is_not_leaked_back() {
    let mut bench = bench();
    let inside = bench.port(0, 1, 9);
    let outside = bench.port(1, 2, 9);
    bench.port(0, 4, 5);
    bench.port(1, 4, 5);
    bench.leak(0, 1, &outside);
    bench.leak(1, 0, &inside);
    let [a, b] = [0, 1].map(|vpn| bench.vrf_of(vpn));
    assert_eq!(bench.hosts(a, "10.2.0.5/32"), ["192.0.2.1"]);
    assert_eq!(bench.hosts(b, "10.1.0.5/32"), ["192.0.2.2"]);
    assert!(bench.hosts(a, "10.1.0.5/32").is_empty(), "it is on this host");
    let [back, forth] = [&inside, &outside].map(|port| bench.vrf_of_port(port));
    assert!(bench.announced(back, "10.1.0.5/32").is_empty(), "of a it is leaked into b, and not back into a");
    assert!(bench.announced(forth, "10.2.0.5/32").is_empty());
    assert!(
        bench.announced(forth, "10.1.0.5/32").len() == 1 && bench.announced(back, "10.2.0.5/32").len() == 1
    );
}

#[test]
fn what_leads_there_itself_is_taken_rather_than_what_is_leaked() {
    let mut bench = bench();
    bench.port(0, 1, 5);
    let firewall = bench.port(1, 2, 9);
    bench.port(1, 4, 7);
    bench.leak(0, 1, &firewall);
    let b = bench.vpns[1].clone();
    bench.site.update("bgpvpns", &b, json!({"import_targets": ["64512:1"]})).unwrap();
    assert_eq!(bench.hosts(bench.vrf_of(1), "10.1.0.5/32"), ["192.0.2.1"]);
    let association = common::all(&bench.site, "bgpvpn_port_associations")[0].clone();
    let preferred = json!({"routes": [{"type": "bgpvpn", "bgpvpn_id": bench.vpns[0], "local_pref": 101}]});
    bench.site.update("bgpvpn_port_associations", &id(&association), preferred).unwrap();
    assert_eq!(bench.hosts(bench.vrf_of(1), "10.1.0.5/32"), ["192.0.2.2"], "unless it is preferred");
}

#[test]
fn what_a_vpn_has_learned_from_outside_is_leaked_for_as_long_as_it_has() {
    let mut bench = bench();
    bench.port(0, 1, 5);
    let firewall = bench.port(1, 2, 9);
    bench.port(1, 4, 7);
    bench.leak(0, 1, &firewall);
    let [a, b] = [0, 1].map(|vpn| bench.vrf_of(vpn));
    let own = bench.vrf_of_port(&firewall);
    let encapsulation = LearnedEncapsulation::Vxlan {
        vni: 9000.try_into().unwrap(),
        router_mac: "02:00:00:00:ff:01".parse().unwrap(),
    };
    let route = LearnedRoute { next_hop: [198, 51, 100, 1].into(), encapsulation, local_pref: 100 };
    let destination: IpNet = "203.0.113.0/24".parse().unwrap();
    let touched = bench.learn(&Fact::Routes { vrf: a, destination, routes: vec![route] });
    let mut expected: BTreeSet<FragmentKey> = next_routers(&bench.site.model, a, destination);
    assert_eq!(expected.len(), 1);
    let to = |vrf| FragmentKey::new(RowKind::Vrf, vrf, Subject::Prefix(destination));
    expected.extend([a, b, own].map(to));
    assert_eq!(touched, expected);
    assert_eq!(bench.hosts(b, "203.0.113.0/24"), ["192.0.2.2"]);
    bench.learn(&Fact::Routes { vrf: a, destination, routes: Vec::new() });
    assert!(bench.hosts(b, "203.0.113.0/24").is_empty());
}

/// A route that was learned, to 198.51.100.`last`: by MPLS, or by VXLAN.
fn learned(last: u8, local_pref: u32, is_mpls: bool) -> LearnedRoute {
    let encapsulation = if is_mpls {
        LearnedEncapsulation::Mpls { label: 1000.try_into().unwrap() }
    } else {
        let router_mac = "02:00:00:00:ff:01".parse().unwrap();
        LearnedEncapsulation::Vxlan { vni: 9000.try_into().unwrap(), router_mac }
    };
    LearnedRoute { next_hop: [198, 51, 100, last].into(), encapsulation, local_pref }
}

#[test]
fn each_host_takes_the_best_of_what_it_can_send() {
    let mut bench = bench();
    let mut fact = bench.site.model.host(&host_name(4)).unwrap().fact.clone();
    fact.capabilities.remove(&Capability::Mpls);
    for write in describe_host(&bench.site.model, &host_name(4), &fact, Timestamp(8)).unwrap() {
        bench.site.model.apply(&write);
    }
    // Two ports on hosts 1 and 2 lead to 198.51.100.0/24 with a preference of 100.
    two_ways(&mut bench, None, None);
    let vrf = bench.vrf_of(0);
    let mut learn = |prefix: &str, routes: Vec<LearnedRoute>| {
        bench.learn(&Fact::Routes { vrf, destination: prefix.parse().unwrap(), routes });
        (bench.paths(vrf, prefix, 1, MAIN_TABLE).join(" "), bench.hosts(vrf, prefix).join(" "))
    };
    let said = |able: &str, unable: &str| (able.to_owned(), unable.to_owned());
    let [mpls, vxlan] =
        [|local_pref| learned(8, local_pref, true), |local_pref| learned(9, local_pref, false)];
    let elsewhere = "203.0.113.0/24";
    assert_eq!(learn(elsewhere, vec![mpls(200), vxlan(100)]), said("198.51.100.8", "198.51.100.9"));
    assert_eq!(learn(elsewhere, vec![mpls(200)]), said("198.51.100.8", ""));
    let ours = "198.51.100.0/24";
    assert_eq!(learn(ours, vec![mpls(200)]), said("198.51.100.8", "192.0.2.1 192.0.2.2"));
    assert_eq!(learn(ours, vec![mpls(200), vxlan(50)]), said("198.51.100.8", "192.0.2.1 192.0.2.2"));
    assert_eq!(learn(ours, vec![mpls(200), vxlan(150)]), said("198.51.100.8", "198.51.100.9"));
    let (own, _) = learn(ours, vec![]);
    assert_eq!(learn(ours, vec![mpls(90)]), said(&own, "192.0.2.1 192.0.2.2"));
}

#[test]
fn one_port_more_in_a_vpn_that_is_leaked_touches_what_leads_to_it_alone() {
    let mut bench = bench();
    for address in 20..80 {
        bench.port(0, 1, address);
    }
    let firewall = bench.port(1, 2, 9);
    bench.port(1, 4, 7);
    bench.leak(0, 1, &firewall);
    let before = bench.site.model.clone();
    bench.port(0, 3, 90);
    let touched = compile::touched(&before, &bench.site.model, &bench.site.writes);
    let mut prefixes = touched.iter().filter(|key| matches!(key.subject, Subject::Prefix(_)));
    let of_b =
        FragmentKey::new(RowKind::Vrf, bench.vrf_of(1), Subject::Prefix("10.1.0.90/32".parse().unwrap()));
    assert!(touched.contains(&of_b));
    assert!(
        prefixes.all(|key| ["10.1.0.90/32", "10.1.0.0/24"].contains(&prefix(key).as_str())),
        "{touched:?}"
    );
}

fn prefix(key: &FragmentKey) -> String {
    let Subject::Prefix(prefix) = &key.subject else { panic!() };
    prefix.to_string()
}

/// Two ports behind which is one destination, on hosts 1 and 2; another is looked at from host 4.
fn two_ways(bench: &mut Bench, first: Option<u32>, second: Option<u32>) -> [String; 2] {
    let route = |local_pref: Option<u32>| {
        let mut route = json!({"type": "prefix", "prefix": "198.51.100.0/24"});
        if let Some(local_pref) = local_pref {
            route["local_pref"] = json!(local_pref);
        }
        json!([route])
    };
    let ports = [bench.port(0, 1, 5), bench.port(0, 2, 6)];
    bench.port(0, 4, 7);
    bench.associate(0, &ports[0], &route(first));
    bench.associate(0, &ports[1], &route(second));
    ports
}

#[test]
fn failing_over_sends_everything_to_the_first_until_that_is_gone() {
    let mut bench = bench();
    let [primary, backup] = two_ways(&mut bench, None, None);
    let a = bench.vrf_of(0);
    assert_eq!(
        bench.hosts(a, "198.51.100.0/24"),
        ["192.0.2.1", "192.0.2.2"],
        "they share, unless it is said"
    );
    let vpn = bench.vpns[0].clone();
    bench.site.update("bgpvpns", &vpn, json!({"multipath": "failover"})).unwrap();
    for (lost, port, host, left) in [
        (true, &primary, 1, vec!["192.0.2.2"]),
        (false, &primary, 1, vec!["192.0.2.1"]),
        (true, &backup, 2, vec!["192.0.2.1"]),
        (false, &backup, 2, vec!["192.0.2.1"]),
    ] {
        let before = everything(&bench.site.model);
        let touched = bench.carrier(port, host, !lost);
        assert_eq!(bench.hosts(a, "198.51.100.0/24"), left);
        let [announced] = &bench.announced(a, "198.51.100.0/24")[..] else { panic!() };
        assert_eq!(vec![announced.next_hop.to_string()], left);
        let touched: BTreeSet<FragmentId> = touched.iter().map(FragmentKey::id).collect();
        let after = everything(&bench.site.model);
        let differs = |key: &&(HostName, FragmentId)| before.get(*key) != after.get(*key);
        let own = format!("10.1.0.{}/32", if host == 1 { 5 } else { 6 });
        for (_, fragment) in before.keys().chain(after.keys()).filter(differs) {
            assert!(touched.contains(fragment), "{fragment}");
            let is_of_it = ["198.51.100.0/24", &own].iter().any(|prefix| fragment.subject.ends_with(prefix));
            assert!(is_of_it, "{fragment} is none of the port's");
        }
    }
    bench.site.delete("ports", &primary).unwrap();
    assert_eq!(bench.hosts(a, "198.51.100.0/24"), ["192.0.2.2"]);
}

/// The last bytes of the hosts to which a VPN's VRF sends what is for a prefix, and how many announcements there are.
fn ways(bench: &Bench, prefix: &str) -> (String, usize) {
    let vrf = bench.vrf_of(0);
    let hosts = bench.hosts(vrf, prefix);
    let last: Vec<&str> = hosts.iter().filter_map(|host| host.rsplit('.').next()).collect();
    (last.join(" "), bench.announced(vrf, prefix).len())
}

#[test]
fn a_route_that_says_so_shares_or_fails_over_whatever_its_vpn_does() {
    const ONE: &str = "198.51.100.0/24";
    const OTHER: &str = "203.0.113.0/24";
    let mut bench = bench();
    let ports = [bench.port(0, 1, 5), bench.port(0, 2, 6)];
    bench.port(0, 4, 7);
    let routes = |multipath: &str| json!([{"type": "prefix", "prefix": ONE, "multipath": multipath}, {"type": "prefix", "prefix": OTHER}]);
    let associations = ports.each_ref().map(|port| bench.associate(0, port, &routes("failover")));
    let found = |bench: &Bench| [ONE, OTHER].map(|prefix| ways(bench, prefix));
    let as_said = |one: (&str, usize), other: (&str, usize)| [one, other].map(|(on, of)| (on.to_owned(), of));
    assert_eq!(found(&bench), as_said(("1", 1), ("1 2", 2)), "their VPN shares");
    bench.carrier(&ports[0], 1, false);
    assert_eq!(found(&bench), as_said(("2", 1), ("2", 1)));
    bench.carrier(&ports[0], 1, true);
    let vpn = bench.vpns[0].clone();
    bench.site.update("bgpvpns", &vpn, json!({"multipath": "failover"})).unwrap();
    let say = |bench: &mut Bench, which: usize, multipath| {
        let request = json!({"routes": routes(multipath)});
        bench.site.update("bgpvpn_port_associations", &associations[which], request).unwrap();
    };
    say(&mut bench, 1, "ecmp");
    assert_eq!(found(&bench), as_said(("1", 1), ("1", 1)), "one says that it fails over");
    say(&mut bench, 0, "ecmp");
    assert_eq!(found(&bench), as_said(("1 2", 2), ("1", 1)), "its VPN fails over");
    for host in [1, 2] {
        assert_eq!(bench.paths(bench.vrf_of(0), ONE, host, INGRESS_TABLE).len(), 1);
    }
}

#[test]
fn a_static_route_says_for_itself_whether_it_fails_over() {
    const ONE: &str = "198.51.100.0/24";
    const OTHER: &str = "203.0.113.0/24";
    let mut bench = bench();
    bench.port(0, 1, 5);
    bench.port(0, 2, 6);
    bench.port(0, 4, 7);
    let by = |destination: &str, last: u8, multipath: Option<&str>| {
        let mut route = json!({"destination": destination, "nexthop": format!("10.1.0.{last}")});
        if let Some(multipath) = multipath {
            route["multipath"] = json!(multipath);
        }
        route
    };
    let vpn = bench.vpns[0].clone();
    let set = |bench: &mut Bench, of_vpn: &str, of_route: &str| {
        let said = Some(of_route);
        let routes = [by(ONE, 5, said), by(ONE, 6, None), by(OTHER, 5, None), by(OTHER, 6, None)];
        bench.site.update("bgpvpns", &vpn, json!({"multipath": of_vpn, "static_routes": routes})).unwrap();
        [ONE, OTHER].map(|prefix| ways(bench, prefix).0)
    };
    assert_eq!(set(&mut bench, "ecmp", "failover"), ["1", "1 2"]);
    assert_eq!(set(&mut bench, "failover", "ecmp"), ["1 2", "1"]);
    assert_eq!(set(&mut bench, "failover", "failover"), ["1", "1"]);
}

#[test]
fn the_route_that_is_preferred_is_taken_and_the_other_when_that_is_gone() {
    let mut bench = bench();
    let [_, second] = two_ways(&mut bench, Some(50), Some(60));
    let a = bench.vrf_of(0);
    assert_eq!(bench.hosts(a, "198.51.100.0/24"), ["192.0.2.2"]);
    let announced = bench.announced(a, "198.51.100.0/24");
    let preferences: Vec<u32> = announced.iter().map(|one| one.local_pref).collect();
    assert_eq!(preferences.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([50, 60]));
    for host in [1, 2] {
        let arriving = bench.paths(a, "198.51.100.0/24", host, INGRESS_TABLE);
        assert_eq!(arriving.len(), 1, "whoever is told of a route by host{host} finds it there");
    }
    bench.carrier(&second, 2, false);
    assert_eq!(bench.hosts(a, "198.51.100.0/24"), ["192.0.2.1"]);
}

#[test]
fn a_given_distinguisher_tells_one_route_from_all_others() {
    let mut bench = bench();
    let given = json!({"route_distinguishers": ["64512:77"]});
    for vpn in bench.vpns.clone() {
        bench.site.update("bgpvpns", &vpn, given.clone()).unwrap();
    }
    // One destination by two hosts, and by a third in a VPN that is given the same.
    two_ways(&mut bench, None, None);
    let port = bench.port(1, 3, 9);
    bench.associate(1, &port, &json!([{"type": "prefix", "prefix": "198.51.100.0/24"}]));
    let distinguishers = |bench: &Bench| -> Vec<String> {
        let vrfs = bench.site.model.vrfs().map(|vrf| vrf.standard.id);
        let announced = vrfs.flat_map(|vrf| bench.announced(vrf, "198.51.100.0/24"));
        announced.map(|one| one.route_distinguisher.to_string()).collect()
    };
    let of_all = distinguishers(&bench);
    assert_eq!(of_all.len(), 3, "{of_all:?}");
    assert_eq!(of_all.iter().collect::<BTreeSet<_>>().len(), 3, "each is another: {of_all:?}");
    assert_eq!(of_all.iter().filter(|rd| *rd == "64512:77").count(), 1, "{of_all:?}");
    // Whoever was first has it for as long as it is there.
    bench.site.delete("bgpvpns", &bench.vpns[0]).unwrap();
    bench.site.update("bgpvpns", &bench.vpns[1], json!({"local_pref": 50})).unwrap();
    assert_eq!(distinguishers(&bench), ["64512:77"]);
}

#[test]
fn a_vpns_preference_is_that_of_all_its_routes_that_have_none() {
    let mut bench = bench();
    two_ways(&mut bench, None, Some(150));
    let (a, vpn) = (bench.vrf_of(0), bench.vpns[0].clone());
    assert_eq!(bench.hosts(a, "198.51.100.0/24"), ["192.0.2.2"]);
    bench.site.update("bgpvpns", &vpn, json!({"local_pref": 200})).unwrap();
    assert_eq!(bench.hosts(a, "198.51.100.0/24"), ["192.0.2.1"]);
    assert_eq!(bench.announced(a, "10.1.0.7/32")[0].local_pref, 200);
}

#[test]
fn of_a_subnet_nothing_but_its_ports_is_beside_a_gateway() {
    let mut bench = bench();
    bench.port(0, 1, 7);
    let vrf = bench.vrf_of(0);
    for host in [1, 4] {
        let subnet = bench.objects(vrf, "10.1.0.0/24", host);
        let [Object::Route(route)] = &subnet[..] else { panic!("host{host}: {subnet:?}") };
        assert_eq!((route.table, &route.to), (MAIN_TABLE, &RouteTo::Unreachable));
    }
    let own = bench.objects(vrf, "10.1.0.7/32", 1);
    assert!(own.iter().any(|object| matches!(object, Object::Neighbour(_))), "{own:?}");
    let fragments = compile::intent_of(&bench.site.model, &host_name(1));
    let gateway: std::net::IpAddr = "10.1.0.1".parse().unwrap();
    let gateways =
        fragments.iter().flat_map(|fragment| &fragment.objects).filter_map(|object| match object {
            Object::Address(_, address) if address.addr() == gateway => Some(address.prefix_len()),
            _ => None,
        });
    assert_eq!(gateways.collect::<Vec<u8>>(), [32]);
}

/// The MAC addresses of all gateways, by the bridge port of each.
fn gateway_macs(site: &Site) -> BTreeSet<(String, Mac)> {
    let objects = everything(&site.model).into_values().flatten();
    let gateways = objects.filter_map(|object| match object {
        Object::BridgeFdb(entry) => Some((entry.link.to_string(), entry.mac)),
        _ => None,
    });
    gateways.filter(|(link, _)| link.starts_with("gp-")).collect()
}

#[test]
fn a_gateway_keeps_its_mac_address_in_whichever_vrf_its_network_is() {
    let mut bench = bench();
    bench.port(0, 1, 5);
    bench.port(1, 1, 5);
    // The second network is in the VRF of the first one's VPN.
    let second = bench.vpns[1].clone();
    bench.site.delete("bgpvpns", &second).unwrap();
    let before = gateway_macs(&bench.site);
    assert_eq!(before.len(), 1, "{before:?}");
    let association = json!({"bgpvpn_id": bench.vpns[0], "network_id": bench.networks[1]});
    bench.site.create("bgpvpn_network_associations", association).unwrap();
    let both = gateway_macs(&bench.site);
    assert!(both.len() == 2 && both.is_superset(&before), "{both:?} after {before:?}");
    for targets in [
        json!({"route_targets": [], "import_targets": ["64512:1"], "export_targets": ["64512:2"]}),
        json!({"import_targets": [], "export_targets": []}),
        json!({"route_targets": ["64512:3"]}),
    ] {
        let vpn = bench.vpns[0].clone();
        bench.site.update("bgpvpns", &vpn, targets.clone()).unwrap();
        let now = gateway_macs(&bench.site);
        // A VRF that has the number of one that is gone waits until no host has that any more.
        assert!(!now.is_empty() && both.is_superset(&now), "{now:?} after {both:?} by {targets}");
    }
    assert_eq!(gateway_macs(&bench.site), both, "in one VRF again");
    // One more VPN, of one of them alone.
    let more = id(&bench.site.create("bgpvpns", json!({"route_targets": ["64512:9"]})).unwrap());
    let association = json!({"bgpvpn_id": more, "network_id": bench.networks[1]});
    bench.site.create("bgpvpn_network_associations", association).unwrap();
    assert_eq!(gateway_macs(&bench.site), both);
}
