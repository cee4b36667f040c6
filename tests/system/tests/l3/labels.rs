//! MPLS between hosts; and towards a WAN gateway that is FRR, which has VPNv4 routes alone (RFC 4364).
//!
//! ```text
//!  client 203.0.113.10 ── lan 203.0.113.1 [ VRF blue | gateway: FRR ] mgmt …200 ────── controller …254
//!                                                                   ] underlay …200 ── core …201 ── host2: VRF devices, labels
//!                                                                                                   host1: namespaces, no labels
//! ```
//!
//! The way to host2 has a label of its own, which the core takes off before host2 (RFC 3031 §3.16): FRR uses no VPN route whose next
//! hop is not behind a label.

mod vpnv4;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};
use weft_interop_tests::FrrDaemons;
use weft_lab::LabSpec;
use weft_net::L3Encapsulation;
use weft_system_tests::l3::{any_to_any, network, ttl, vpn, workload};
use weft_system_tests::{Bench, Node, Peering, spec, until};

/// How long the other side has to follow.
const WITHIN: Duration = Duration::from_secs(10);
/// As what a controller of a lab is a neighbour.
const CONTROLLER: u8 = 254;
/// The number of the gateway on both networks of the fabric.
const NUMBER: u8 = 200;
/// The number of the core on the underlay.
const CORE: u8 = 201;
/// The label of the way to host2.
const WAY: u32 = 1002;
const NETWORK: &str = "203.0.113.0/24";
const CLIENT: &str = "203.0.113.10";
/// The gateway's own VRF.
const VRF: &str = "blue";

struct Gateway {
    // First, so that they end before their namespace.
    daemons: FrrDaemons,
    node: Node,
    client: Node,
    _core: Node,
}

impl Gateway {
    fn start(bench: &Bench) -> Self {
        let core = core(bench);
        let (node, client) = (Node::new(bench, "mpls"), Node::new(bench, "client"));
        let [address, endpoint] = ["mgmt", "underlay"].map(|network| bench.fabric_address(network, NUMBER));
        node.join(bench, "mgmt", ("eth0", address));
        node.join(bench, "underlay", ("eth1", endpoint));
        for setting in ["mpls.platform_labels=100000", "mpls.conf.eth1.input=1", "vrf.strict_mode=1"] {
            node.run(&format!("sysctl -qw net.{setting}"));
        }
        for words in [
            format!("link add {VRF} type vrf table 10"),
            format!("link set {VRF} up"),
            format!("link add lan type veth peer name eth0 netns {}", client.namespace()),
            format!("link set lan master {VRF} up"),
            "address add 203.0.113.1/24 dev lan".to_owned(),
        ] {
            node.ip(&words);
        }
        client.ip(&format!("address add {CLIENT}/24 dev eth0"));
        client.ip("link set eth0 up");
        client.ip("route add default via 203.0.113.1");
        let mut daemons = FrrDaemons::start(node.namespace(), bench.lab().state_directory(), "");
        let [host, core_address] = [2, CORE].map(|number| bench.fabric_address("underlay", number));
        daemons.start_staticd(&format!("ip route {host}/32 {core_address} label {WAY}"));
        daemons.start_bgpd(&configuration(bench.fabric_address("mgmt", CONTROLLER), address, endpoint));
        Self { daemons, node, client, _core: core }
    }

    /// The destinations of the VPNv4 routes that it has heard from hosts, with their next hops.
    fn heard(&self) -> BTreeSet<(String, String)> {
        let said = self.daemons.show("show bgp ipv4 vpn json");
        let said: Value = serde_json::from_str(&said).expect("FRR shows JSON");
        let distinguished = said["routes"]["routeDistinguishers"].as_object().into_iter().flatten();
        let routes = distinguished.flat_map(|(_, routes)| routes.as_object().into_iter().flatten());
        let paths = routes.flat_map(|(prefix, paths)| {
            paths.as_array().into_iter().flatten().map(move |path| (prefix, path))
        });
        let hops = paths.filter_map(|(prefix, path)| {
            Some((prefix.clone(), path["nexthops"][0]["ip"].as_str()?.to_owned()))
        });
        hops.filter(|(prefix, _)| prefix != NETWORK).collect()
    }

    /// What its kernel's routes are that BGP has put there: destination, and the labels on the way to it, the outermost first.
    fn in_kernel(&self) -> BTreeSet<(String, String)> {
        let rows = self.node.ip(&format!("route show vrf {VRF} proto bgp"));
        let labelled = rows.lines().filter_map(|row| {
            let labels = row.split_once(" encap mpls ")?.1.split_whitespace().next()?;
            Some((format!("{}/32", row.split_whitespace().next()?), labels.to_owned()))
        });
        labelled.collect()
    }
}

/// A router between the gateway and host2 that knows nothing of VPNs.
fn core(bench: &Bench) -> Node {
    let core = Node::new(bench, "core");
    core.join(bench, "underlay", ("eth0", bench.fabric_address("underlay", CORE)));
    for setting in ["mpls.platform_labels=100000", "mpls.conf.eth0.input=1"] {
        core.run(&format!("sysctl -qw net.{setting}"));
    }
    core.ip(&format!("-family mpls route add {WAY} via inet {}", bench.fabric_address("underlay", 2)));
    core
}

fn configuration(neighbor: Ipv4Addr, address: Ipv4Addr, endpoint: Ipv4Addr) -> String {
    format!(
        "router bgp 64512\n bgp router-id {address}\n no bgp default ipv4-unicast\n timers bgp 10 60\n coalesce-time 0\n \
         neighbor {neighbor} remote-as 64512\n neighbor {neighbor} timers connect 1\n \
         address-family ipv4 vpn\n  neighbor {neighbor} activate\n exit-address-family\nexit\n\
         router bgp 64512 vrf {VRF}\n bgp router-id {address}\n no bgp default ipv4-unicast\n \
         address-family ipv4 unicast\n  redistribute connected\n  label vpn export auto\n  rd vpn export 64512:900\n  \
         rt vpn both 64512:100\n  nexthop vpn export {endpoint}\n  export vpn\n  import vpn\n exit-address-family\nexit\n"
    )
}

#[test]
#[ignore = "needs VRF devices and MPLS; runs in a virtual machine"]
fn frr_reaches_by_vpnv4_the_workloads_of_hosts_that_forward_labels_and_hears_of_no_others() {
    let bench = Bench::up("t-labels", 2, 9783);
    assert!(bench.ip("host2", "-oneline link show type vrf").is_empty(), "host2 is new");
    let made = any_to_any(&bench, json!({}));
    bench.await_rest();
    assert_eq!(bench.ip("host1", "-oneline link show type vrf"), "", "namespaces on host1");
    assert_eq!(bench.ip("host2", "-oneline link show type vrf").lines().count(), 2, "devices on host2");
    let gateway = Gateway::start(&bench);
    let _peer = Peering::new(&bench).add(&bench, bench.fabric_address("mgmt", NUMBER), &json!({}));
    let host2 = bench.fabric_address("underlay", 2).to_string();
    let route = |address: &str| (format!("{address}/32"), host2.clone());
    // Of host2 alone. Blue's and Red's 10.1.1.6 are told apart by distinguishers, and here they look the same.
    let heard: BTreeSet<_> = [route("10.1.1.6"), route("10.3.7.10")].into();
    let within = |what: &str, is_so: &dyn Fn() -> bool| until(what, WITHIN, || is_so().then_some(()));
    within("FRR has heard what host2 forwards", &|| gateway.heard() == heard);
    // The way to the host, and the VRF there: the first that was made on this site.
    let labelled = |address: &str| (format!("{address}/32"), format!("{WAY}/100001"));
    let both = [labelled("10.1.1.6"), labelled("10.3.7.10")].into();
    within("FRR has Blue's in its kernel", &|| gateway.in_kernel() == both);
    within("the client is answered", &|| gateway.client.ttl("10.1.1.6").is_some());
    for address in ["10.1.1.6", "10.3.7.10"] {
        assert!(gateway.client.ttl(address).is_some(), "the client to {address}");
    }
    for workload in ["host2.G3", "host2.G4"] {
        assert!(ttl(&bench, workload, CLIENT).is_some(), "{workload} to the client");
    }
    for workload in ["host1.G5", "host2.G6", "host1.G1"] {
        assert_eq!(ttl(&bench, workload, CLIENT), None, "{workload} is Red's, or has no labels");
    }
    bench.http().delete("ports", &made["G3"]);
    let heard: BTreeSet<_> = [route("10.1.1.6"), route("10.3.7.10")].into();
    let left = [labelled("10.3.7.10")].into();
    within("what is gone is withdrawn", &|| gateway.in_kernel() == left);
    assert!(gateway.heard().is_subset(&heard));
    assert_eq!(gateway.client.ttl("10.1.1.6"), None);
    assert!(gateway.client.ttl("10.3.7.10").is_some());
}

#[test]
#[ignore = "needs VRF devices and MPLS; runs in a virtual machine"]
fn hosts_with_labels_and_a_host_without_are_in_one_vpn() {
    let lab = LabSpec {
        hosts: 3,
        port: 9783,
        vrf_device_hosts: [2, 3].into(),
        l3_encapsulation: L3Encapsulation::Mpls,
        ..spec("t-encaps")
    };
    let bench = Bench::up_as(lab);
    let mut members = Vec::new();
    for number in 1..=3 {
        let name = format!("net{number}");
        let (net, _) = network(&bench, "Blue", json!({ "name": name }), &[&format!("10.{number}.0.0/24")]);
        let at = (format!("W{number}"), format!("host{number}"), format!("10.{number}.0.5"));
        workload(&bench, "Blue", &net, (&at.0, &at.1, &at.2), false);
        members.push(("network", json!({ "network_id": net })));
    }
    vpn(&bench, "Blue", json!({"name": "vpn1", "route_targets": ["64512:100"]}), &members);
    bench.await_rest();
    // A host that takes a label off counts that as a hop.
    for (from, to, hops) in [(1, 2, 2), (2, 1, 2), (1, 3, 2), (2, 3, 3), (3, 2, 3)] {
        let (workload, to) = (format!("host{from}.W{from}"), format!("10.{to}.0.5"));
        assert_eq!(ttl(&bench, &workload, &to), Some(64 - hops), "{workload} to {to}");
    }
    let labelled =
        |host: &str| bench.ip(host, "route show table all proto 217").matches("encap mpls").count();
    assert_eq!((labelled("host2"), labelled("host3")), (1, 1), "each to the other alone");
}
