//! What there is more of than a host's object has room for: as much as fits is there, and what is there stays.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeSet;
use std::net::IpAddr;

use common::{Site, host_name, id, objects_of_prefix};
use serde_json::json;
use weft_dataplane::{INGRESS_TABLE, Object, PATHS_MAX, Path, STEERED_ADDRESSES_MAX, WEIGHT_MAX};
use weft_services::vrf::ways_left_out;
use weft_services::{Fact, Id, LearnedEncapsulation, LearnedRoute, compile};

const MAIN_TABLE: u32 = 254;
const ANYCAST: &str = "10.1.0.5/32";

/// A VPN of a network in which many ports have the address 10.1.0.5; the last of three hosts has another one.
struct Bench {
    site: Site,
    network: String,
    vpn: Id,
    count: usize,
}

fn bench() -> Bench {
    let mut site = Site::with_hosts(3, &[]);
    let network = id(&site.create("networks", json!({"l2_adjacency": false})).unwrap());
    let subnet = json!({"network_id": network, "ip_version": 4, "cidr": "10.1.0.0/16"});
    site.create("subnets", subnet).unwrap();
    let vpn = id(&site.create("bgpvpns", json!({"route_targets": ["64512:1"]})).unwrap());
    let association = json!({"bgpvpn_id": vpn, "network_id": network});
    site.create("bgpvpn_network_associations", association).unwrap();
    let mut bench = Bench { site, network, vpn: vpn.parse().unwrap(), count: 0 };
    bench.port(3, json!([{"ip_address": "10.1.0.9"}]), false);
    bench
}

impl Bench {
    fn port(&mut self, host: u8, fixed_ips: serde_json::Value, anycast: bool) -> String {
        self.count += 1;
        let port = json!({"network_id": self.network, "binding:host_id": format!("host{host}"), "fixed_ips": fixed_ips,
            "anycast": anycast, "binding:profile": {"namespace": format!("v{}", self.count)}});
        id(&self.site.create("ports", port).unwrap())
    }

    fn anycast(&mut self, host: u8) -> String {
        self.port(host, json!([{"ip_address": "10.1.0.5"}]), true)
    }

    fn paths(&self, prefix: &str, host: u8, table: u32) -> Vec<Path> {
        let objects = objects_of_prefix(&self.site.model, (self.vpn, prefix), host);
        let route = objects.iter().find_map(|object| match object {
            Object::Route(route) if route.table == table => Some(route.to.as_paths().to_vec()),
            _ => None,
        });
        route.unwrap_or_default()
    }

    fn left_out(&self, prefix: &str, host: u8) -> usize {
        let vrf = self.site.model.vrf(self.vpn).unwrap();
        ways_left_out(&self.site.model, vrf, prefix.parse().unwrap(), &host_name(host))
    }
}

#[test]
fn of_more_paths_than_a_route_has_room_for_those_stay_that_were_there_first() {
    let mut bench = bench();
    let ports: Vec<String> = (0..PATHS_MAX).map(|_| bench.anycast(1)).collect();
    let full = bench.paths(ANYCAST, 1, MAIN_TABLE);
    assert_eq!((full.len(), bench.left_out(ANYCAST, 1)), (PATHS_MAX, 0));
    let last = bench.anycast(1);
    for table in [MAIN_TABLE, INGRESS_TABLE] {
        assert_eq!(bench.paths(ANYCAST, 1, table), full, "one more takes nobody's place");
    }
    assert_eq!((bench.left_out(ANYCAST, 1), bench.left_out(ANYCAST, 3)), (1, 0), "others have one path here");
    let neighbours = |bench: &Bench| {
        let objects = objects_of_prefix(&bench.site.model, (bench.vpn, ANYCAST), 1);
        objects.iter().filter(|object| matches!(object, Object::Neighbour(_))).count()
    };
    assert_eq!(neighbours(&bench), PATHS_MAX, "what is not used needs nothing");
    bench.site.delete("ports", &ports[7]).unwrap();
    let after = bench.paths(ANYCAST, 1, MAIN_TABLE);
    let stay = after.iter().filter(|path| full.contains(path)).count();
    assert_eq!((after.len(), stay, bench.left_out(ANYCAST, 1)), (PATHS_MAX, PATHS_MAX - 1, 0));
    bench.site.delete("ports", &last).unwrap();
    assert_eq!(bench.paths(ANYCAST, 1, MAIN_TABLE).len(), PATHS_MAX - 1);
}

#[test]
fn a_host_with_more_ports_than_a_share_can_say_has_the_largest_share() {
    let mut bench = bench();
    bench.anycast(2);
    let weights = |bench: &Bench| {
        let mut weights: Vec<u16> =
            bench.paths(ANYCAST, 3, MAIN_TABLE).iter().map(|path| path.weight).collect();
        weights.sort_unstable();
        weights
    };
    (0..WEIGHT_MAX).for_each(|_| drop(bench.anycast(1)));
    assert_eq!(weights(&bench), [1, WEIGHT_MAX]);
    bench.anycast(1);
    assert_eq!(weights(&bench), [1, WEIGHT_MAX], "256 to 1 is more than can be said");
    bench.anycast(2);
    bench.anycast(2);
    assert_eq!(weights(&bench), [2, WEIGHT_MAX]);
}

fn learned(nth: usize) -> LearnedRoute {
    let nth = u8::try_from(nth).unwrap();
    let router_mac = weft_net::Mac::new([2, 0, 0, 0xff, 0, nth]);
    let encapsulation = LearnedEncapsulation::Vxlan { vni: 9000.try_into().unwrap(), router_mac };
    LearnedRoute { next_hop: [198, 51, 100, nth].into(), encapsulation, local_pref: 100 }
}

#[test]
fn of_more_learned_routes_than_a_route_has_room_for_those_stay_that_were_known_first() {
    let mut bench = bench();
    let prefix = "203.0.113.0/24";
    let mut learn = |range: std::ops::Range<usize>, but: usize| {
        let routes = range.filter(|nth| *nth != but).map(learned).collect();
        let fact = Fact::Routes { vrf: bench.vpn, destination: prefix.parse().unwrap(), routes };
        bench.site.model.learn([&fact]);
        (bench.paths(prefix, 3, MAIN_TABLE), bench.left_out(prefix, 3))
    };
    let (full, left_out) = learn(1..PATHS_MAX + 1, 0);
    assert_eq!((full.len(), left_out), (PATHS_MAX, 0));
    assert_eq!(learn(0..PATHS_MAX + 1, 300), (full.clone(), 1), "whatever its address is");
    let (after, left_out) = learn(0..PATHS_MAX + 1, 9);
    let stay = after.iter().filter(|path| full.contains(path)).count();
    assert_eq!((after.len(), stay, left_out), (PATHS_MAX, PATHS_MAX - 1, 0));
}

#[test]
fn of_more_gateways_than_can_be_steered_to_a_ports_own_are_and_one_more_takes_nobodys_place() {
    let mut site = Site::with_hosts(1, &[]);
    let network = id(&site.create("networks", json!({})).unwrap());
    let subnet = |site: &mut Site, nth: usize| {
        let subnet = json!({"network_id": network, "ip_version": 4, "cidr": format!("10.{nth}.0.0/24")});
        id(&site.create("subnets", subnet).unwrap())
    };
    let subnets: Vec<String> = (0..STEERED_ADDRESSES_MAX).map(|nth| subnet(&mut site, nth)).collect();
    let port = json!({"network_id": network, "binding:host_id": "host1", "binding:profile": {"namespace": "v"},
        "fixed_ips": [{"subnet_id": subnets[0]}]});
    let port = id(&site.create("ports", port).unwrap());
    let vpn = id(&site.create("bgpvpns", json!({"route_targets": ["64512:1"]})).unwrap());
    site.create("bgpvpn_port_associations", json!({"bgpvpn_id": vpn, "port_id": port})).unwrap();
    let steered = |site: &Site| {
        let objects = compile::intent_of(&site.model, &host_name(1));
        let mut objects = objects.into_iter().flat_map(|fragment| fragment.objects);
        let steered: Option<BTreeSet<IpAddr>> = objects.find_map(|object| match object {
            Object::Steering(steering) => Some(steering.addresses.into_iter().collect()),
            _ => None,
        });
        steered.expect("a port in a VPN by itself is steered")
    };
    let full = steered(&site);
    assert_eq!(full.len(), STEERED_ADDRESSES_MAX);
    let one_more = subnet(&mut site, STEERED_ADDRESSES_MAX);
    assert_eq!(steered(&site), full);
    let fixed_ips = json!({"fixed_ips": [{"subnet_id": one_more}]});
    site.update("ports", &port, fixed_ips).unwrap();
    let own: IpAddr = format!("10.{STEERED_ADDRESSES_MAX}.0.1").parse().unwrap();
    let after = steered(&site);
    assert!(after.contains(&own) && after.len() == STEERED_ADDRESSES_MAX);
}
