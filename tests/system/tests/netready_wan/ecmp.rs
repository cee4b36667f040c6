//! *ECMP*: three instances of an address in a subnet, in a network each, and behind ports by prefixes and by static routes. From outside each is a path
//! with a route distinguisher of its own, and when one goes nobody hears of the others.

use std::collections::BTreeSet;

use serde_json::json;
use weft_system_tests::l3::{At, network, vpn, workload};
use weft_system_tests::{Bench, Neighbours, PrefixRoute};

use super::{delete, own, route};

/// The address that instances share.
const SHARED: &str = "10.1.1.5";

/// The routes to the shared address with a target: three, of which two are on host1. Answers the distinguisher of the second there, which
/// no host has as its address.
fn second_on_host1(bench: &Bench, neighbours: &Neighbours, case: &Instances) -> String {
    let Instances { target, vrf, .. } = case;
    let heard = neighbours.since().into_keys();
    let is_one =
        |route: &PrefixRoute| route.prefix == format!("{SHARED}/32") && route.targets.contains(*target);
    let mut distinguishers: Vec<String> = heard.filter(is_one).map(|route| route.distinguisher).collect();
    distinguishers.retain(|distinguisher| ![1, 2].map(|host| own(bench, host, *vrf)).contains(distinguisher));
    assert_eq!(distinguishers.len(), 1, "{target}: {distinguishers:?}");
    let (address, number) = distinguishers[0].split_once(':').expect("a distinguisher has two parts");
    let first: u8 = address.split('.').next().and_then(|octet| octet.parse().ok()).expect("an address");
    assert!(first >= 240 && number == vrf.to_string(), "{distinguishers:?}");
    distinguishers.remove(0)
}

/// The three instances of a case, of which two are on host1.
struct Instances {
    ports: [String; 3],
    target: &'static str,
    vrf: u8,
}

impl Instances {
    /// What leads to the shared address: from the first on host1, the second there, and the one on host2.
    fn routes(&self, bench: &Bench, second: &str) -> [PrefixRoute; 3] {
        let to = |host, distinguisher: &str| route(bench, SHARED, host, distinguisher, self.target);
        [to(1, &own(bench, 1, self.vrf)), to(1, second), to(2, &own(bench, 2, self.vrf))]
    }
}

const HOSTS: [&str; 3] = ["host1", "host1", "host2"];

/// Three `anycast` ports of one subnet; beside them VNF2 and VNF3 there, and G5 in another.
fn one_subnet(bench: &Bench) -> Instances {
    let (net1, _) = network(bench, "A", json!({"name": "net1"}), &["10.1.1.0/24"]);
    let (net2, _) = network(bench, "A", json!({"name": "net2"}), &["10.2.2.0/24"]);
    let port = |at: At<'_>, is_anycast| workload(bench, "A", &net1, at, is_anycast);
    let ports =
        [("VNF11", 0), ("VNF12", 1), ("VNF13", 2)].map(|(name, at)| port((name, HOSTS[at], SHARED), true));
    port(("VNF2", "host1", "10.1.1.6"), false);
    port(("VNF3", "host2", "10.1.1.3"), false);
    workload(bench, "A", &net2, ("G5", "host2", "10.2.2.5"), false);
    let members = [net1, net2].map(|id| ("network", json!({ "network_id": id })));
    vpn(bench, "A", json!({"vrf_policy": "ecmp-anycast", "route_targets": ["64512:101"]}), &members);
    Instances { ports, target: "64512:101", vrf: 2 }
}

/// A network to each of three ports.
fn network_each(bench: &Bench) -> Instances {
    let made = [("n1", "B1", 0), ("n2", "B2", 1), ("n3", "B3", 2)].map(|(name, workload_name, at)| {
        let (id, _) = network(bench, "B", json!({ "name": name }), &["10.1.1.0/24"]);
        (workload(bench, "B", &id, (workload_name, HOSTS[at], SHARED), false), id)
    });
    let members = made.each_ref().map(|(_, id)| ("network", json!({ "network_id": id })));
    vpn(bench, "B", json!({"multipath": "ecmp", "route_targets": ["64512:102"]}), &members);
    Instances { ports: made.map(|(port, _)| port), target: "64512:102", vrf: 3 }
}

/// 5.1.1.1 to 5.1.1.3 of a project, in a network of its own.
fn behind(bench: &Bench, project: &str, names: [&str; 3]) -> (String, [String; 3]) {
    let net1 = json!({"network": {"name": "net1", "project_id": project}});
    let net1 = bench.http().create_id("networks", &net1);
    let subnet = json!({"network_id": net1, "ip_version": 4, "cidr": "5.1.1.0/24", "gateway_ip": "5.1.1.254", "project_id": project});
    let _subnet = bench.http().create_id("subnets", &json!({ "subnet": subnet }));
    let mut number = 0;
    let ports = names.map(|name| {
        number += 1;
        let at = (name, HOSTS[number - 1], format!("5.1.1.{number}"));
        workload(bench, project, &net1, (at.0, at.1, &at.2), false)
    });
    (net1, ports)
}

/// The shared address by the routes of three port associations.
fn prefix_routes(bench: &Bench) -> Instances {
    let (net1, ports) = behind(bench, "C", ["G1", "G2", "G3"]);
    let routes = json!([{"type": "prefix", "prefix": format!("{SHARED}/32")}]);
    let mut members = vec![("network", json!({ "network_id": net1 }))];
    members.extend(ports.iter().map(|port| ("port", json!({"port_id": port, "routes": routes}))));
    vpn(bench, "C", json!({"route_targets": ["64512:103"]}), &members);
    Instances { ports, target: "64512:103", vrf: 4 }
}

/// The shared address by three static routes of the VPN.
fn static_routes(bench: &Bench) -> Instances {
    let (net1, ports) = behind(bench, "S", ["S1", "S2", "S3"]);
    let to = |nexthop: &str| json!({"destination": format!("{SHARED}/32"), "nexthop": nexthop});
    let routes = ["5.1.1.1", "5.1.1.2", "5.1.1.3"].map(to);
    let attributes = json!({"route_targets": ["64512:104"], "static_routes": routes});
    vpn(bench, "S", attributes, &[("network", json!({ "network_id": net1 }))]);
    Instances { ports, target: "64512:104", vrf: 5 }
}

#[test]
fn each_instance_is_a_path_with_a_distinguisher_of_its_own_and_goes_alone() {
    let bench = Bench::up("t-nrwecmp", 2, 9783);
    let cases = [one_subnet, network_each, prefix_routes, static_routes].map(|make| make(&bench));
    bench.await_rest();
    let neighbours = Neighbours::start(&bench);
    let seconds = cases.each_ref().map(|case| second_on_host1(&bench, &neighbours, case));
    let to = |case: &Instances, address: &str, host: u8| {
        route(&bench, address, host, &own(&bench, host, case.vrf), case.target)
    };
    let mut routes = BTreeSet::new();
    for (case, second) in cases.iter().zip(&seconds) {
        routes.extend(case.routes(&bench, second));
    }
    let [a, b, c, s] = &cases;
    routes.extend(
        [("10.1.1.6", 1), ("10.1.1.3", 2), ("10.2.2.5", 2)].map(|(address, host)| to(a, address, host)),
    );
    for (address, host) in [("5.1.1.1", 1), ("5.1.1.2", 1), ("5.1.1.3", 2)] {
        routes.extend([c, s].map(|case| to(case, address, host)));
    }
    assert_eq!(routes.len(), 4 * 3 + 3 + 2 * 3);
    neighbours.await_heard(&routes);
    // Those of one host are the same to whoever sends there: of several the second goes.
    let second = |case: usize| cases[case].routes(&bench, &seconds[case])[1].clone();
    let mut delete = |port: &str, gone: &[PrefixRoute]| delete(&bench, &neighbours, port, &mut routes, gone);
    delete(&a.ports[0], &[second(0)]);
    delete(&b.ports[1], &[second(1)]);
    delete(&c.ports[2], &[to(c, SHARED, 2), to(c, "5.1.1.3", 2)]);
    delete(&s.ports[0], &[second(3), to(s, "5.1.1.1", 1)]);
    delete(&a.ports[1], &[to(a, SHARED, 1)]);
}
