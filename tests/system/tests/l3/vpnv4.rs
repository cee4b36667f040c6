//! VPNv4 as others have it: all of what FRR, GoBGP and BIRD hear of *L3VPN any-to-any*; and what FRR does while the controller is away.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weft_lab::LabSpec;
use weft_system_tests::l3::{any_to_any, ttl};
use weft_system_tests::{
    Bench, Neighbours, Peering, PrefixRoute, RouteMonitor, VpnRoute, more_pings, no_loss, spec, until,
};

use super::{CLIENT, Gateway, NETWORK, NUMBER, WITHIN};

/// What is said of the use case: addresses, the numbers of their hosts, and those of their VPNs.
const WORKLOADS: [(&str, u8, u8); 6] = [
    ("10.1.1.5", 1, 1),
    ("10.3.7.9", 1, 1),
    ("10.1.1.6", 2, 1),
    ("10.3.7.10", 2, 1),
    ("10.1.1.5", 1, 2),
    ("10.1.1.6", 2, 2),
];

/// Each workload once: the target of its VPN, a distinguisher of its VRF on its host, the VRF's label, and that host's endpoint. VRFs
/// are numbered in the order in which they came to be.
fn all_routes(bench: &Bench) -> BTreeSet<VpnRoute> {
    let route = |(address, host, vpn): &(&str, u8, u8)| {
        let endpoint = bench.fabric_address("underlay", *host);
        let route = PrefixRoute {
            distinguisher: format!("{endpoint}:{vpn}"),
            prefix: format!("{address}/32"),
            targets: [format!("64512:{vpn}00")].into(),
            next_hop: endpoint.to_string(),
        };
        VpnRoute { route, label: format!("10000{vpn}") }
    };
    WORKLOADS.iter().map(route).collect()
}

fn json_of(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
#[ignore = "needs VRF devices and MPLS; runs in a virtual machine"]
fn frr_gobgp_and_bird_hear_exactly_the_routes_of_the_use_case_and_their_withdrawal() {
    let bench =
        Bench::up_as(LabSpec { hosts: 2, port: 9783, vrf_device_hosts: [1, 2].into(), ..spec("t-vpnv4") });
    let made = any_to_any(&bench, json!({}));
    bench.await_rest();
    let neighbours = Neighbours::start(&bench);
    let mut routes = all_routes(&bench);
    neighbours.await_labelled(&routes);
    // Blue's 10.1.1.6 goes, Red's stays.
    bench.http().delete("ports", &made["G3"]);
    routes.retain(|VpnRoute { route, .. }| {
        route.prefix != "10.1.1.6/32" || route.targets.contains("64512:200")
    });
    assert_eq!(routes.len(), 5);
    neighbours.await_labelled(&routes);
}

/// Of each route that a gateway has heard: whether it is kept although the neighbour is away.
fn stale(gateway: &Gateway) -> Vec<bool> {
    let said = json_of(&gateway.daemons.show("show bgp ipv4 vpn json"));
    let distinguished = said["routes"]["routeDistinguishers"].as_object().into_iter().flatten();
    let routes = distinguished.flat_map(|(_, routes)| routes.as_object().into_iter().flatten());
    let heard = routes.filter(|(prefix, _)| *prefix != NETWORK);
    let paths = heard.flat_map(|(_, paths)| paths.as_array().into_iter().flatten());
    paths.map(|path| path["stale"] == true).collect()
}

#[test]
#[ignore = "needs VRF devices and MPLS; runs in a virtual machine"]
fn frr_keeps_the_routes_of_a_controller_that_is_killed_and_no_packet_is_lost() {
    let bench = Bench::up("t-vpnv4kill", 2, 9783);
    let _made = any_to_any(&bench, json!({}));
    bench.await_rest();
    let gateway = Gateway::start(&bench);
    let _peer = Peering::new(&bench).add(&bench, bench.fabric_address("mgmt", NUMBER), &json!({}));
    let within = |what: &str, is_so: &dyn Fn() -> bool| until(what, 2 * WITHIN, || is_so().then_some(()));
    within("FRR has Blue's in its kernel", &|| gateway.in_kernel().len() == 2);
    within("G3 is answered", &|| ttl(&bench, "host2.G3", CLIENT).is_some());
    within("the client is answered", &|| gateway.client.ttl("10.3.7.10").is_some());
    let facts = bench.lab().state_directory().join("controller/facts");
    within("the checkpoint", &|| std::fs::read_to_string(&facts).is_ok_and(|text| text.contains(NETWORK)));
    let (heard, in_kernel) = (gateway.heard(), gateway.in_kernel());
    assert_eq!(stale(&gateway), [false; 3]);
    let host2 = bench.namespace("host2");
    let monitors = [&host2, gateway.node.namespace()].map(|who| RouteMonitor::start(&bench, who));
    let pings = bench.pinging(&[("host2", "G3", CLIENT), ("host2", "G4", CLIENT)]);
    more_pings(&pings, 20);

    bench.lab().kill_controller().expect("it can be killed");
    within("FRR keeps what it has heard", &|| stale(&gateway) == [true; 3]);
    more_pings(&pings, 20);
    assert_eq!((gateway.heard(), gateway.in_kernel()), (heard.clone(), in_kernel.clone()));
    bench.lab().start_controller().expect("it can be started");
    bench.lab().await_agents(bench.lab().hosts().as_slice()).expect("agents come back");
    bench.await_rest();
    until("FRR has heard all of it again", 4 * WITHIN, || (stale(&gateway) == [false; 3]).then_some(()));
    more_pings(&pings, 20);
    println!("pings and the longest gap: {:?}", no_loss(pings));
    for monitor in monitors {
        assert_eq!(monitor.end(), [""; 0], "no route was touched");
    }
    assert_eq!((gateway.heard(), gateway.in_kernel()), (heard, in_kernel));
}
