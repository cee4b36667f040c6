//! A WAN gateway of NetReady's use cases: what it hears from the site, what the site hears from it, and the way of packets between.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_interop_tests::{Family, Reference, Route, Setup, Weft};
use weft_lab::LabSpec;
use weft_system_tests::l3::{
    any_to_any, await_silence, await_ttl, change_router, network, router, ttl, vpn, workload,
};
use weft_system_tests::{
    Bench, Neighbours, Node, Peering, PrefixRoute, RouteMonitor, Rude, WanGateway, more_pings, no_loss, run,
    spec, until,
};

/// How long the other side has to follow: FRR takes up to five seconds before it calls a neighbour for the first time, and on a busy machine is
/// slow to start.
const WITHIN: Duration = Duration::from_secs(20);
/// As what a controller of a lab is a neighbour.
const CONTROLLER: u8 = 254;
/// As what a gateway is.
const GATEWAY: u8 = WanGateway::NUMBER;
/// Blue's workloads and their hosts.
const BLUE: [(&str, &str); 4] =
    [("10.1.1.5", "host1"), ("10.3.7.9", "host1"), ("10.1.1.6", "host2"), ("10.3.7.10", "host2")];
/// Red's.
const RED: [(&str, &str); 2] = [("10.1.1.5", "host1"), ("10.1.1.6", "host2")];

/// What any neighbour hears of the use case: each workload once, with the target of its VPN, a distinguisher of its VRF on its host, and
/// that host's tunnel endpoint.
fn all_routes(bench: &Bench) -> BTreeSet<PrefixRoute> {
    let blue = BLUE.iter().map(|at| route(bench, at, "64512:100"));
    blue.chain(RED.iter().map(|at| route(bench, at, "64512:200"))).collect()
}

/// The use case on two hosts, Blue's VPN with the VNI of the gateway.
fn site(name: &str) -> (Bench, BTreeMap<&'static str, String>) {
    let bench = Bench::up(name, 2, 9783);
    let made = any_to_any(&bench, json!({"vni": WanGateway::VNI}));
    bench.await_rest();
    (bench, made)
}

fn route(bench: &Bench, (address, host): &(&str, &str), target: &str) -> PrefixRoute {
    let number = host.trim_start_matches("host").parse().expect("hosts have numbers");
    let endpoint = bench.fabric_address("underlay", number);
    // The VRFs are numbered in the order in which they came to be.
    let vrf = if target == "64512:100" { 1 } else { 2 };
    PrefixRoute {
        prefix: format!("{address}/32"),
        distinguisher: format!("{endpoint}:{vrf}"),
        targets: [target.to_owned()].into(),
        next_hop: endpoint.to_string(),
    }
}

/// What of that is in the gateway's kernel: what has its target.
fn blue_in_kernel(bench: &Bench) -> BTreeSet<(String, String)> {
    let routes = BLUE.iter().map(|at| (at.0.to_owned(), route(bench, at, "").next_hop));
    routes.collect()
}

/// Where a VPN's VRF on a host leads packets for the network behind the gateway, as its kernel has it: interfaces and next hops.
fn learned(bench: &Bench, host: &str, vpn: &str) -> Vec<Value> {
    let vrf = bench.namespace(&format!("{host}.vrf-{}", &vpn[..11]));
    let said = run(&format!("ip -j -n {vrf} route show {} proto 217", WanGateway::NETWORK));
    serde_json::from_str(&said).unwrap_or_default()
}

fn await_learned(bench: &Bench, vpn: &str, is_there: bool) -> Duration {
    let what = format!("{} is learned: {is_there}", WanGateway::NETWORK);
    let is_so = |host| learned(bench, host, vpn).is_empty() != is_there;
    until(&what, WITHIN, || (is_so("host1") && is_so("host2")).then_some(())).1
}

/// Waits until the gateway has heard exactly these routes.
fn await_heard(gateway: &WanGateway, routes: &BTreeSet<PrefixRoute>) -> Duration {
    let begin = Instant::now();
    while gateway.heard() != *routes {
        assert!(begin.elapsed() < WITHIN, "{:#?} instead of {routes:#?}", gateway.heard());
    }
    begin.elapsed()
}

fn await_in_kernel(gateway: &WanGateway, routes: &BTreeSet<(String, String)>) {
    let begin = Instant::now();
    while gateway.kernel_routes() != *routes {
        assert!(begin.elapsed() < WITHIN, "{:#?} instead of {routes:#?}", gateway.kernel_routes());
    }
}

/// Packets take two hops between a workload and the client: its host and the gateway, which writes its table and the neighbours that it leads
/// to one after the other.
fn await_reachable(bench: &Bench, gateway: &WanGateway) {
    let is_way = |ttl: Option<u8>| (ttl == Some(62)).then_some(());
    for (address, _) in BLUE {
        until(&format!("the client reaches {address}"), WITHIN, || is_way(gateway.client().ttl(address)));
    }
    for workload in ["host1.G1", "host1.G2", "host2.G3", "host2.G4"] {
        let what = format!("{workload} reaches the client");
        until(&what, WITHIN, || is_way(ttl(bench, workload, WanGateway::CLIENT)));
    }
    for workload in ["host1.G5", "host2.G6"] {
        assert_eq!(ttl(bench, workload, WanGateway::CLIENT), None, "{workload} is Red's");
    }
}

#[test]
fn frr_as_wan_gateway_reaches_the_workloads_of_its_vpn_and_no_others() {
    let (bench, made) = site("t-wan");
    let mut gateway = WanGateway::start(&bench);
    let _peer = Peering::new(&bench).add(&bench, gateway.address(), &json!({}));
    let (mut routes, mut in_kernel) = (all_routes(&bench), blue_in_kernel(&bench));
    await_heard(&gateway, &routes);
    await_in_kernel(&gateway, &in_kernel);
    await_learned(&bench, &made["vpn1"], true);
    assert_eq!(learned(&bench, "host1", &made["vpn2"]), [Value::Null; 0], "Red imports nothing of Blue's");
    await_reachable(&bench, &gateway);

    // A port that goes takes its route along, one that comes brings its own.
    bench.http().delete("ports", &made["G3"]);
    let gone = ("10.1.1.6", "host2");
    routes.remove(&route(&bench, &gone, "64512:100"));
    let took = await_heard(&gateway, &routes);
    println!("withdrawn after {took:?}");
    in_kernel.retain(|(prefix, _)| prefix != gone.0);
    await_in_kernel(&gateway, &in_kernel);
    assert_eq!(gateway.client().ttl(gone.0), None, "Red has that address still");
    let _port = workload(&bench, "Blue", &made["net1"], ("G3", "host1", "10.1.1.6"), false);
    routes.insert(route(&bench, &("10.1.1.6", "host1"), "64512:100"));
    println!("announced after {:?}", await_heard(&gateway, &routes));
    let endpoint = bench.fabric_address("underlay", 1).to_string();
    in_kernel.insert((gone.0.to_owned(), endpoint));
    await_in_kernel(&gateway, &in_kernel);
    let is_way = || (gateway.client().ttl(gone.0) == Some(62)).then_some(());
    until("the client reaches it where it is now", WITHIN, is_way);

    // The gateway takes its network back, and announces it again.
    gateway.announce(false);
    await_learned(&bench, &made["vpn1"], false);
    assert_eq!(ttl(&bench, "host1.G1", WanGateway::CLIENT), None);
    gateway.announce(true);
    await_learned(&bench, &made["vpn1"], true);
    assert_eq!(ttl(&bench, "host1.G1", WanGateway::CLIENT), Some(62));

    // One that has asked nobody to keep its routes takes them along.
    gateway.kill_bgpd();
    println!("forgotten after {:?}", await_learned(&bench, &made["vpn1"], false));
    gateway.start_bgpd();
    await_learned(&bench, &made["vpn1"], true);
    await_heard(&gateway, &routes);
}

#[test]
fn routes_of_a_gateway_that_is_silent_go_with_its_hold_time_and_of_one_that_restarts_with_its_restart_time() {
    let (bench, made) = site("t-wansilent");
    let mut gateway = WanGateway::start_as(&bench, None, true);
    let _peer = Peering::new(&bench).add(&bench, gateway.address(), &json!({"graceful_restart": false}));
    let vpn1 = &made["vpn1"];
    let gone_after = || {
        let is_gone = |host| learned(&bench, host, vpn1).is_empty();
        until("gone", Duration::from_secs(20), || (is_gone("host1") && is_gone("host2")).then_some(())).1
    };
    await_learned(&bench, vpn1, true);
    gateway.node().leave(&bench, "eth0");
    let took = gone_after();
    println!("silent: gone after {took:?}");
    assert!(
        took >= Duration::from_secs(6),
        "9 s after its last message, of which one comes every 3 s: {took:?}"
    );
    gateway.node().rejoin(&bench, ("eth0", "mgmt"));
    until("it is back", Duration::from_secs(20), || {
        (!learned(&bench, "host1", vpn1).is_empty()).then_some(())
    });

    let peers = bench.http().list("bgp-peers");
    let peer = peers[0]["id"].as_str().expect("a peer has an id");
    bench.http().update("bgp-peers", peer, &json!({"bgp_peer": {"graceful_restart": true}}));
    until("the session is new", WITHIN, || {
        let said = gateway.daemons().show("show bgp neighbors json");
        said.contains("\"gracefulRestart\":\"advertisedAndReceived\"").then_some(())
    });
    await_learned(&bench, vpn1, true);
    let monitors = listen(&bench, vpn1);
    gateway.kill_bgpd();
    gateway.start_bgpd();
    gateway.await_established();
    await_heard(&gateway, &all_routes(&bench));
    for monitor in monitors {
        assert_eq!(monitor.end(), [""; 0], "no route was touched");
    }
    gateway.kill_bgpd();
    let took = gone_after();
    println!("restarting: gone after {took:?}");
    let restart_time = Duration::from_secs(WanGateway::RESTART_TIME_S.into());
    assert!(took >= restart_time - Duration::from_secs(1), "{took:?}");
}

#[test]
fn what_a_router_joins_later_is_announced_and_reached_at_once() {
    let bench = Bench::up("t-wanrouter", 2, 9783);
    let net = |name: &str, cidr: &str| network(&bench, "Blue", json!({ "name": name }), &[cidr]);
    let (first, first_subnets) = net("first", "10.0.0.0/24");
    let (later, later_subnets) = net("later", "20.0.0.0/24");
    let (beside, _) = net("beside", "30.0.0.0/24");
    for (name, network, host, address) in [
        ("f1", &first, "host1", "10.0.0.11"),
        ("l1", &later, "host1", "20.0.0.11"),
        ("l2", &later, "host2", "20.0.0.12"),
        ("b2", &beside, "host2", "30.0.0.12"),
    ] {
        workload(&bench, "Blue", network, (name, host, address), false);
    }
    let router = router(&bench, "Blue", &first_subnets);
    let members = [("router", json!({"router_id": router})), ("network", json!({ "network_id": beside }))];
    let attributes = json!({"name": "v", "route_targets": ["64512:100"], "vni": WanGateway::VNI});
    vpn(&bench, "Blue", attributes, &members);
    let gateway = WanGateway::start(&bench);
    let _peer = Peering::new(&bench).add(&bench, gateway.address(), &json!({}));
    let mut routes = BTreeSet::from([("10.0.0.11/32", 1), ("30.0.0.12/32", 2)]);
    // Each with the target of the VPN and the tunnel endpoint of its host.
    let await_routes = |routes: &BTreeSet<(&str, u8)>| {
        let at = |number: u8| bench.fabric_address("underlay", number).to_string();
        let wanted = routes.iter().map(|(prefix, host)| ((*prefix).to_owned(), at(*host)));
        let wanted: BTreeSet<_> = wanted.collect();
        let is_heard = || {
            let heard = gateway.heard();
            let has_target = heard.iter().all(|route| route.targets.iter().eq(["64512:100"]));
            let heard = heard.iter().map(|route| (route.prefix.clone(), route.next_hop.clone()));
            (heard.collect::<BTreeSet<_>>() == wanted && has_target).then_some(())
        };
        until(&format!("the gateway hears {wanted:?}"), WITHIN, is_heard).1
    };
    await_routes(&routes);
    let is_way = |ttl: Option<u8>| (ttl == Some(62)).then_some(());
    until("the client reaches f1", WITHIN, || is_way(gateway.client().ttl("10.0.0.11")));
    await_ttl(&bench, "host1.f1", "30.0.0.12", 62);
    for from in ["host1.f1", "host2.b2"] {
        assert_eq!(ttl(&bench, from, "20.0.0.12"), None, "{from}: the router has no such subnet");
    }
    // The subnet joins the router, and so the VPN.
    let interface = json!({"subnet_id": later_subnets[0]});
    change_router(&bench, &router, "add_router_interface", &interface);
    routes.extend([("20.0.0.11/32", 1), ("20.0.0.12/32", 2)]);
    println!("announced after {:?}", await_routes(&routes));
    for address in ["20.0.0.11", "20.0.0.12"] {
        until("the client reaches it", WITHIN, || is_way(gateway.client().ttl(address)));
    }
    for (from, to, expected) in [
        ("host1.f1", "20.0.0.11", 63),
        ("host1.f1", "20.0.0.12", 62),
        ("host2.b2", "20.0.0.11", 62),
        ("host2.l2", "10.0.0.11", 62),
        ("host2.l2", WanGateway::CLIENT, 62),
    ] {
        await_ttl(&bench, from, to, expected);
    }
    // It leaves both again.
    change_router(&bench, &router, "remove_router_interface", &interface);
    routes.retain(|(prefix, _)| !prefix.starts_with("20."));
    println!("withdrawn after {:?}", await_routes(&routes));
    await_silence(&bench, "host2.b2", "20.0.0.11");
    await_silence(&bench, "host1.f1", "20.0.0.12");
    assert_eq!(gateway.client().ttl("20.0.0.12"), None);
    assert_eq!(gateway.client().ttl("10.0.0.11"), Some(62), "what stays is untouched");
}

/// A reflector of routes that keeps those of a neighbour that restarts, between the controller and a gateway.
struct Reflector {
    daemon: Weft,
    controller: Ipv4Addr,
    // After its daemon.
    _node: Node,
}

impl Reflector {
    fn start(bench: &Bench) -> Self {
        let node = Node::new(bench, "rr");
        let address = |number| bench.fabric_address("mgmt", number);
        let (own, controller) = (address(201), address(CONTROLLER));
        node.join(bench, "mgmt", ("eth0", own));
        let mut configuration = Weft::configuration(own.into());
        configuration["speaker"]["asn"] = json!("64512");
        let client = |client: Ipv4Addr| {
            let mut setup = Setup::new(client.into(), own.into(), &[Family::VpnIpv4, Family::Evpn]);
            (setup.asn, setup.is_graceful) = (64512, true);
            let mut neighbor = Weft::neighbor(&setup);
            neighbor["is_route_reflector_client"] = json!(true);
            neighbor
        };
        configuration["neighbors"] = json!([client(controller), client(address(GATEWAY))]);
        let daemon = Weft::start(node.namespace(), bench.lab().state_directory(), &configuration);
        Self { daemon, controller, _node: node }
    }

    fn address(&self, bench: &Bench) -> Ipv4Addr {
        bench.fabric_address("mgmt", 201)
    }

    fn signal(&self, signal: &str) {
        run(&format!("kill -{signal} {}", self.daemon.process().id()));
    }

    /// What it says of the controller's EVPN routes.
    fn family(&self) -> Value {
        let status = self.daemon.neighbor_status(self.controller.into());
        let families = status["families"].as_array().into_iter().flatten();
        families.into_iter().find(|family| family["family"] == "evpn").cloned().unwrap_or_default()
    }
}

/// Listens to the routes of a VPN's VRFs on both hosts.
fn listen(bench: &Bench, vpn: &str) -> [RouteMonitor; 2] {
    let vrf = |host: &str| bench.namespace(&format!("{host}.vrf-{}", &vpn[..11]));
    ["host1", "host2"].map(|host| RouteMonitor::start(bench, &vrf(host)))
}

/// What was learned is on its way to the disk a moment later.
fn await_checkpoint(bench: &Bench) -> PathBuf {
    let path = bench.lab().state_directory().join("controller/facts");
    let has_it = || std::fs::read_to_string(&path).is_ok_and(|text| text.contains(WanGateway::NETWORK));
    until("the checkpoint", WITHIN, || has_it().then_some(()));
    path
}

fn restart_controller(bench: &Bench) {
    bench.lab().start_controller().expect("it can be started");
    bench.lab().await_agents(bench.lab().hosts().as_slice()).expect("agents come back");
    bench.await_rest();
}

#[test]
fn a_controller_that_is_killed_and_comes_back_is_missed_by_no_packet() {
    let (bench, made) = site("t-wankill");
    let reflector = Reflector::start(&bench);
    let gateway = WanGateway::start_as(&bench, Some(reflector.address(&bench)), false);
    let _peer = Peering::new(&bench).add(&bench, reflector.address(&bench), &json!({}));
    let routes = all_routes(&bench);
    await_heard(&gateway, &routes);
    await_in_kernel(&gateway, &blue_in_kernel(&bench));
    await_learned(&bench, &made["vpn1"], true);
    await_checkpoint(&bench);
    let monitors = listen(&bench, &made["vpn1"]);
    let of_gateway = RouteMonitor::start(&bench, gateway.node().namespace());
    let client = WanGateway::CLIENT;
    let pings = bench.pinging(&[("host1", "G1", client), ("host2", "G4", client)]);
    more_pings(&pings, 20);

    bench.lab().kill_controller().expect("it can be killed");
    let is_kept = || (reflector.family()["stale"] == "restarting").then_some(());
    until("the reflector keeps its routes", WITHIN, is_kept);
    more_pings(&pings, 20);
    assert_eq!(gateway.heard(), routes);
    // The agents are back, and have been told what they are to have, before any neighbour is.
    reflector.signal("STOP");
    restart_controller(&bench);
    more_pings(&pings, 20);
    await_learned(&bench, &made["vpn1"], true);
    reflector.signal("CONT");
    let is_refreshed = || {
        let family = reflector.family();
        (family["stale"] == "fresh" && family["has_ended"] == true && family["received"] == 6).then_some(())
    };
    println!("refreshed after {:?}", until("End-of-RIB", Duration::from_secs(40), is_refreshed).1);
    let capabilities = reflector.daemon.neighbor_status(reflector.controller.into())["capabilities"].clone();
    let said = capabilities.as_array().into_iter().flatten().filter_map(Value::as_str);
    assert!(said.clone().any(|said| said.ends_with("s, restarting")), "{capabilities}");
    more_pings(&pings, 20);
    println!("pings and the longest gap: {:?}", no_loss(pings));
    for monitor in monitors.into_iter().chain([of_gateway]) {
        assert_eq!(monitor.end(), [""; 0], "no route was touched");
    }
    assert_eq!(gateway.heard(), routes);
}

#[test]
fn what_never_came_to_a_host_that_is_away_is_not_announced_by_a_controller_that_restarts() {
    let (bench, made) = site("t-wanaway");
    let gateway = WanGateway::start(&bench);
    let _peer = Peering::new(&bench).add(&bench, gateway.address(), &json!({}));
    let mut routes = all_routes(&bench);
    await_heard(&gateway, &routes);
    // The agent of one host is gone, and its host forwards what it has. What is asked of it now it is not told.
    let away = ["host2".to_owned()];
    bench.lab().kill_agent("host2").expect("it can be killed");
    bench.await_dead(&away);
    let port = |name, host, address| workload(&bench, "Blue", &made["net1"], (name, host, address), false);
    let _untold = port("G7", "host2", "10.1.1.7");
    let _told = port("G8", "host1", "10.1.1.8");
    routes.insert(route(&bench, &("10.1.1.8", "host1"), "64512:100"));
    await_heard(&gateway, &routes);
    let marks = bench.lab().state_directory().join("controller/announced");
    let has_all = || std::fs::read_to_string(&marks).is_ok_and(|text| text.contains("\"count\":7}"));
    until("the checkpoint of what is announced", WITHIN, || has_all().then_some(()));

    bench.lab().kill_controller().expect("it can be killed");
    until("FRR's session ends", WITHIN, || (!gateway.daemons().is_established()).then_some(()));
    bench.lab().start_controller().expect("it can be started");
    bench.lab().await_agents(&["host1".to_owned()]).expect("it comes back");
    await_heard(&gateway, &routes);
    // By then all that is announced at the start has been.
    let _later = port("G9", "host1", "10.1.1.9");
    routes.insert(route(&bench, &("10.1.1.9", "host1"), "64512:100"));
    await_heard(&gateway, &routes);
    bench.start_agents(&away);
    routes.insert(route(&bench, &("10.1.1.7", "host2"), "64512:100"));
    await_heard(&gateway, &routes);
}

#[test]
fn what_was_learned_and_is_not_told_again_is_given_up_and_a_damaged_checkpoint_is_ignored() {
    let (bench, made) = site("t-wanstale");
    let mut gateway = WanGateway::start(&bench);
    let _peer = Peering::new(&bench).add(&bench, gateway.address(), &json!({}));
    await_learned(&bench, &made["vpn1"], true);
    let path = await_checkpoint(&bench);
    // FRR 8.4 keeps no EVPN routes of a neighbour that restarts; hosts keep what they have of it.
    let monitors = listen(&bench, &made["vpn1"]);
    bench.lab().kill_controller().expect("it can be killed");
    until("FRR's session ends", WITHIN, || (!gateway.daemons().is_established()).then_some(()));
    restart_controller(&bench);
    await_heard(&gateway, &all_routes(&bench));
    await_in_kernel(&gateway, &blue_in_kernel(&bench));
    // No packets: FRR 8.4, whose routes go and come again at once, may be left without the neighbours that they lead to (frr#14108).
    for monitor in monitors {
        assert_eq!(monitor.end(), [""; 0], "no route was touched");
    }
    // A gateway that has gone meanwhile: its routes go when it has not come back.
    bench.lab().kill_controller().expect("it can be killed");
    gateway.kill_bgpd();
    restart_controller(&bench);
    assert!(!learned(&bench, "host1", &made["vpn1"]).is_empty(), "it may still come");
    let what = "what nobody tells again is gone";
    let is_gone = || learned(&bench, "host1", &made["vpn1"]).is_empty().then_some(());
    println!("given up after {:?}", until(what, Duration::from_secs(40), is_gone).1);
    gateway.start_bgpd();
    await_learned(&bench, &made["vpn1"], true);
    // Half a file is as none.
    let bytes = std::fs::read(await_checkpoint(&bench)).expect("it is there");
    bench.lab().kill_controller().expect("it can be killed");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("it can be cut");
    restart_controller(&bench);
    assert!(bench.log("controller").contains("the checkpoint of facts is damaged and is ignored"));
    await_learned(&bench, &made["vpn1"], true);
    await_heard(&gateway, &all_routes(&bench));
}

#[test]
fn gobgp_and_bird_in_its_place_hear_the_same() {
    let bench = Bench::up("t-wanothers", 2, 9783);
    let made = any_to_any(&bench, json!({}));
    bench.await_rest();
    let mut neighbours = Neighbours::start(&bench);
    let mut routes = all_routes(&bench);
    neighbours.await_heard(&routes);
    // What GoBGP announces is taken by Blue and not by Red; the gateway's own VNI need not be that of the VPN.
    let route_of_gobgp = Route::EvpnPrefix {
        distinguisher: "64512:9".to_owned(),
        prefix: WanGateway::NETWORK.to_owned(),
        vni: WanGateway::VNI,
        target: "64512:100".to_owned(),
    };
    neighbours.gobgp().announce(&route_of_gobgp);
    await_learned(&bench, &made["vpn1"], true);
    assert_eq!(learned(&bench, "host1", &made["vpn2"]), [Value::Null; 0]);
    neighbours.gobgp().withdraw(&route_of_gobgp);
    await_learned(&bench, &made["vpn1"], false);
    bench.http().delete("ports", &made["G6"]);
    routes.remove(&route(&bench, &RED[1], "64512:200"));
    neighbours.await_heard(&routes);
}

#[test]
fn who_is_rude_to_the_port_of_bgp_disturbs_no_session() {
    let bench = Bench::up_as(LabSpec { hosts: 2, port: 9783, bgp_port: Some(179), ..spec("t-wanrude") });
    let made = any_to_any(&bench, json!({"vni": WanGateway::VNI}));
    bench.await_rest();
    let controller = bench.fabric_address("mgmt", CONTROLLER);
    let gateway = WanGateway::start(&bench);
    let peering = Peering::new(&bench);
    // It waits for this one, too, which is one of the rude.
    let (known, unknown) = (Node::new(&bench, "known"), Node::new(&bench, "unknown"));
    for (node, number) in [(&known, 210), (&unknown, 211)] {
        node.join(&bench, "mgmt", ("eth0", bench.fabric_address("mgmt", number)));
    }
    peering.add(&bench, bench.fabric_address("mgmt", 210), &json!({"passive": true}));
    peering.add(&bench, gateway.address(), &json!({}));
    let mut routes = all_routes(&bench);
    await_heard(&gateway, &routes);
    await_learned(&bench, &made["vpn1"], true);
    let of_gateway = RouteMonitor::start(&bench, gateway.node().namespace());
    let pings = bench.pinging(&[("host1", "G1", WanGateway::CLIENT)]);
    let at = (controller, 179).into();
    let rude = [&known, &unknown].map(|node| Rude::start(node, at, Ipv4Addr::new(10, 0, 0, 210)));
    // Longer than FRR waits for a message before it gives a neighbour up.
    let begin = Instant::now();
    let mut longest = Duration::ZERO;
    while begin.elapsed() < Duration::from_secs(12) {
        let port = workload(&bench, "Blue", &made["net1"], ("G9", "host1", "10.1.1.99"), false);
        routes.insert(route(&bench, &("10.1.1.99", "host1"), "64512:100"));
        longest = longest.max(await_heard(&gateway, &routes));
        bench.http().delete("ports", &port);
        routes.remove(&route(&bench, &("10.1.1.99", "host1"), "64512:100"));
        longest = longest.max(await_heard(&gateway, &routes));
    }
    let done: Vec<Vec<u64>> = rude.iter().map(Rude::done).collect();
    drop(rude);
    println!("{done:?} rude deeds; FRR was told after {longest:?} at most; {:?}", no_loss(pings));
    assert!(done[0].iter().all(|count| *count > 0), "{done:?}");
    let neighbors: Value =
        serde_json::from_str(&gateway.daemons().show("show bgp neighbors json")).expect("FRR shows JSON");
    assert_eq!(neighbors[controller.to_string()]["connectionsEstablished"], 1, "{neighbors:#}");
    let lost = of_gateway.end();
    let lost = lost.iter().filter(|line| line.starts_with("Deleted") && !line.contains("10.1.1.99"));
    assert_eq!(lost.collect::<Vec<_>>(), [""; 0]);
    assert!(gateway.kernel_routes().is_superset(&blue_in_kernel(&bench)));
}
