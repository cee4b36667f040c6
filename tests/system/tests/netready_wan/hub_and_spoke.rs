//! *Hub and spoke*, by a VRF to each port and by the document's nine steps: what VRFs of a WAN gateway would import are the document's tables, and so are
//! those of the VRFs on the hosts; one more spoke changes the hub's and its own.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weft_system_tests::l3::{At, network, vpn, workload};
use weft_system_tests::{Bench, Neighbours, PrefixRoute, RouteMonitor};

use super::{own, route};

const RT_HUB: &str = "64512:1";
const RT_SPOKE: &str = "64512:2";
/// The hub and the spokes, in the order of the document's route distinguishers RD1 to RD4.
const MEMBERS: [At<'_>; 4] = [
    ("vFW", "host1", "10.1.1.5"),
    ("VNF2", "host2", "10.1.1.6"),
    ("VNF1", "host1", "10.3.7.9"),
    ("VNF3", "host2", "10.3.7.10"),
];
const SUBNETS: [&str; 2] = ["10.1.1.0/24", "10.3.7.0/24"];

fn node((name, host, _): At<'_>) -> String {
    format!("{host}.{name}")
}

fn host_number((_, host, _): At<'_>) -> u8 {
    host.trim_start_matches("host").parse().expect("hosts have numbers")
}

/// What the document's hub VRF has: prefixes, and the member by whose VRF each is told.
const HUB_VRF: [(&str, usize); 5] =
    [("10.1.1.5/32", 0), ("0.0.0.0/0", 0), ("10.3.7.9/32", 2), ("10.1.1.6/32", 1), ("10.3.7.10/32", 3)];

/// All routes of hub and spoke, with these distinguishers.
fn hub_and_spoke_routes(bench: &Bench, distinguishers: &[String; 4]) -> BTreeSet<PrefixRoute> {
    let told = HUB_VRF.iter().map(|(prefix, by)| {
        let target = if *by == 0 { RT_HUB } else { RT_SPOKE };
        route(bench, prefix, host_number(MEMBERS[*by]), &distinguishers[*by], target)
    });
    told.collect()
}

/// What a VRF of a WAN gateway has that imports these targets: prefixes and distinguishers.
fn imported<'r>(routes: &'r BTreeSet<PrefixRoute>, targets: &[&str]) -> BTreeSet<(&'r str, &'r str)> {
    let is_imported =
        |route: &&PrefixRoute| route.targets.iter().any(|target| targets.contains(&target.as_str()));
    routes
        .iter()
        .filter(is_imported)
        .map(|route| (route.prefix.as_str(), route.distinguisher.as_str()))
        .collect()
}

/// The table of the VRF by which a workload's packets go on, in the kernel of its host; and each route explained: where it leads, that
/// hosts have done what they were told, and that what is the workload's own is told to others as they have heard it.
fn assert_table(
    bench: &Bench,
    (member, port): (At<'_>, &str),
    wanted: &[(&str, usize)],
    routes: &BTreeSet<PrefixRoute>,
) {
    let mut destinations: Vec<&str> = wanted.iter().map(|(prefix, _)| in_kernel(prefix)).collect();
    destinations.sort_unstable();
    assert_eq!(bench.vrf_of(&node(member)).destinations(bench), destinations, "{member:?}");
    for (prefix, by) in wanted {
        let explained = explain(bench, port, prefix);
        assert_eq!(explained["destination"], *prefix, "{explained:#}");
        let used: Vec<&Value> = explained["paths"].as_array().into_iter().flatten().collect();
        assert!(used.len() == 1 && used[0]["is_used"] == true, "{explained:#}");
        assert_eq!(used[0]["host"], MEMBERS.get(*by).map_or("host2", |member| member.1), "{explained:#}");
        for host in explained["hosts"].as_array().into_iter().flatten() {
            let kernel = host["kernel"].as_array().into_iter().flatten();
            let is_right =
                |line: &Value| line.as_str().is_some_and(|line| line.contains(": as it should be;"));
            assert!(host["state"] == "carried_out" && kernel.clone().count() > 0, "{explained:#}");
            assert!(kernel.clone().all(is_right), "{explained:#}");
        }
        let told = explained["announced"].as_array().into_iter().flatten();
        let told: Vec<&str> = told.filter_map(|told| told["route_distinguisher"].as_str()).collect();
        let heard =
            routes.iter().filter(|route| route.prefix == *prefix && MEMBERS.get(*by) == Some(&member));
        assert_eq!(
            told,
            heard.map(|route| route.distinguisher.as_str()).collect::<Vec<_>>(),
            "{explained:#}"
        );
    }
}

/// A prefix as `ip` shows it.
fn in_kernel(prefix: &str) -> &str {
    if prefix == "0.0.0.0/0" { "default" } else { prefix.trim_end_matches("/32") }
}

/// What `weft explain route` says of what leads from a port to a destination.
fn explain(bench: &Bench, port: &str, destination: &str) -> Value {
    let said = bench.http().get(&format!("/v1/explain/route?from={port}&destination={destination}"));
    let routes = said["routes"].as_array().cloned().unwrap_or_default();
    assert_eq!(routes.len(), 1, "{said:#}");
    routes[0].clone()
}

/// The tables of all members' VRFs but the first's, and monitors that hear whether a route is touched there.
fn listen(bench: &Bench) -> Vec<(String, Vec<String>, Option<RouteMonitor>)> {
    let of_member = |member: &At<'_>| {
        let vrf = bench.vrf_of(&node(*member));
        // Those that are devices are all in their host's namespace, with that of the first.
        let monitor = (!vrf.is_device).then(|| RouteMonitor::start(bench, &bench.namespace(&vrf.node)));
        (node(*member), vrf.routes(bench), monitor)
    };
    MEMBERS[1..].iter().map(of_member).collect()
}

const HUB: (&[&str], &str) = (&[RT_HUB, RT_SPOKE], RT_HUB);
const SPOKE: (&[&str], &str) = (&[RT_HUB], RT_SPOKE);

/// A VPN with import targets and an export target, and with route distinguishers if some are given.
fn hub_or_spoke(bench: &Bench, name: &str, (import, export): (&[&str], &str), given: &[&str]) -> String {
    let attributes = json!({"name": name, "import_targets": import, "export_targets": [export], "route_distinguishers": given});
    vpn(bench, "Blue", attributes, &[])
}

fn associate(bench: &Bench, vpn: &str, kind: &str, association: Value) -> String {
    let association = json!({ format!("{kind}_association"): association });
    bench.http().create_id(&format!("bgpvpn/bgpvpns/{vpn}/{kind}_associations"), &association)
}

/// What a spoke's VRF has: this of the hub's, and its own.
fn assert_spokes(
    bench: &Bench,
    (hubs, ports): (&[(&str, usize)], &[String; 4]),
    routes: &BTreeSet<PrefixRoute>,
) {
    for by in 1..MEMBERS.len() {
        let own = format!("{}/32", MEMBERS[by].2);
        let wanted: Vec<(&str, usize)> = hubs.iter().copied().chain([(own.as_str(), by)]).collect();
        assert_table(bench, (MEMBERS[by], &ports[by]), &wanted, routes);
    }
}

#[test]
fn by_a_vrf_to_each_port_has_the_documents_tables_and_a_new_spoke_changes_its_own_and_the_hubs() {
    let bench = Bench::up("t-nrwhub", 2, 9783);
    let (blue, _) = network(&bench, "Blue", json!({"name": "blue", "l2_adjacency": false}), &SUBNETS);
    let ports = MEMBERS.map(|at| workload(&bench, "Blue", &blue, at, false));
    let [hub, spoke] = [("hub-vrf", HUB), ("spoke-vrf", SPOKE)]
        .map(|(name, targets)| hub_or_spoke(&bench, name, targets, &[]));
    let default = json!([{"type": "prefix", "prefix": "0.0.0.0/0"}]);
    let of_hub = associate(&bench, &hub, "port", json!({"port_id": ports[0], "routes": default}));
    for port in &ports[1..] {
        associate(&bench, &spoke, "port", json!({ "port_id": port }));
    }
    bench.await_rest();
    let neighbours = Neighbours::start(&bench);
    // The first VRF is that of the network, which was there before.
    let numbers = [2, 3, 4, 5];
    let distinguishers = [0, 1, 2, 3].map(|at| own(&bench, host_number(MEMBERS[at]), numbers[at]));
    let rd = |at: usize| distinguishers[at].as_str();
    let mut routes = hub_and_spoke_routes(&bench, &distinguishers);
    neighbours.await_heard(&routes);
    assert_eq!(imported(&routes, HUB.0), HUB_VRF.map(|(prefix, by)| (prefix, rd(by))).into());
    assert_eq!(imported(&routes, SPOKE.0), [("10.1.1.5/32", rd(0)), ("0.0.0.0/0", rd(0))].into());
    assert_table(&bench, (MEMBERS[0], &ports[0]), &HUB_VRF, &routes);
    assert_spokes(&bench, (&[("10.1.1.5/32", 0), ("0.0.0.0/0", 0)], &ports), &routes);

    // The document's spoke VRF has the default route alone: the hub's own address is not to be told.
    let since = neighbours.since();
    let path = format!("/v2.0/bgpvpn/bgpvpns/{hub}/port_associations/{of_hub}");
    let answer = bench.http().ask("PUT", &path, &json!({"port_association": {"advertise_fixed_ips": false}}));
    assert_eq!(answer.status, 200, "{}", answer.message());
    bench.await_rest();
    routes.retain(|route| route.prefix != "10.1.1.5/32");
    neighbours.await_heard(&routes);
    assert!(
        neighbours.since().iter().all(|heard| since.get(heard.0) == Some(heard.1)),
        "what stays is not told again"
    );
    assert_eq!(imported(&routes, SPOKE.0), [("0.0.0.0/0", rd(0))].into());
    assert_spokes(&bench, (&[("0.0.0.0/0", 0)], &ports), &routes);

    // One more spoke: the hub has a route to it, it has one to the hub, and nobody else sees anything of it.
    let (since, others) = (neighbours.since(), listen(&bench));
    let before = bench.vrf_of("host1.vFW").routes(&bench);
    let another = workload(&bench, "Blue", &blue, ("VNF4", "host2", "10.3.7.11"), false);
    associate(&bench, &spoke, "port", json!({ "port_id": another }));
    bench.await_rest();
    let told = route(&bench, "10.3.7.11", 2, &own(&bench, 2, 6), RT_SPOKE);
    routes.insert(told.clone());
    neighbours.await_heard(&routes);
    let mut after = neighbours.since();
    assert!(after.remove(&told).is_some() && after == since, "{after:#?} instead of {since:#?}");
    for (node, table, monitor) in others {
        let touched = monitor.map(RouteMonitor::end).unwrap_or_default();
        assert_eq!((bench.vrf_of(&node).routes(&bench), touched), (table, vec![]), "{node}");
    }
    let mut after = bench.vrf_of("host1.vFW").routes(&bench);
    after.retain(|line| !line.starts_with("10.3.7.11 "));
    assert_eq!(after, before);
    let wanted: Vec<_> = HUB_VRF.iter().copied().chain([("10.3.7.11/32", 4)]).collect();
    assert_table(&bench, (MEMBERS[0], &ports[0]), &wanted, &routes);
    assert_eq!(bench.vrf_of("host2.VNF4").destinations(&bench), ["10.3.7.11", "default"]);
}

#[test]
fn by_the_documents_nine_steps_has_its_distinguishers_and_tables() {
    let bench = Bench::up("t-nrwnine", 2, 9783);
    let networks = ["hub", "spoke-2", "spoke-1", "spoke-3"]
        .map(|name| network(&bench, "Blue", json!({"name": name, "l2_adjacency": false}), &SUBNETS).0);
    let ports = [0, 1, 2, 3].map(|at| workload(&bench, "Blue", &networks[at], MEMBERS[at], false));
    let distinguishers = ["64512:1", "64512:2", "64512:3", "64512:4"];
    let vpns = [0, 1, 2, 3].map(|at| {
        let (name, targets) = if at == 0 { ("hub-vrf", HUB) } else { ("spoke-vrf", SPOKE) };
        hub_or_spoke(&bench, name, targets, &distinguishers[at..=at])
    });
    for (vpn, network) in vpns.iter().zip(&networks) {
        associate(&bench, vpn, "network", json!({ "network_id": network }));
    }
    let path = format!("/v2.0/bgpvpn/bgpvpns/{}/add_static_routes", vpns[0]);
    let default = json!({"bgpvpn": {"static_routes": [{"destination": "0.0.0.0/0", "nexthop": "10.1.1.5"}]}});
    let answer = bench.http().ask("PUT", &path, &default);
    assert_eq!(answer.status, 200, "{}", answer.message());
    bench.await_rest();
    let neighbours = Neighbours::start(&bench);
    let routes = hub_and_spoke_routes(&bench, &distinguishers.map(str::to_owned));
    neighbours.await_heard(&routes);
    let rd = |at: usize| distinguishers[at];
    assert_eq!(imported(&routes, HUB.0), HUB_VRF.map(|(prefix, by)| (prefix, rd(by))).into());
    // A network's association tells all of its addresses, and so the hub's.
    assert_eq!(imported(&routes, SPOKE.0), [("10.1.1.5/32", rd(0)), ("0.0.0.0/0", rd(0))].into());
    assert_table(&bench, (MEMBERS[0], &ports[0]), &HUB_VRF, &routes);
    assert_spokes(&bench, (&[("10.1.1.5/32", 0), ("0.0.0.0/0", 0)], &ports), &routes);
}
