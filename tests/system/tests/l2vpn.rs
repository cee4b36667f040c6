//! A network in a BGP VPN of type l2, with FRR in another site: what each hears of the other, and frames both ways.
//!
//! ```text
//!  client 10.1.1.99 ── lan ─ br5000 ─ vx5000 [ FRR ] underlay …201 ══ vx5000 ─ bridge ─ workloads 10.1.1.5, 10.1.1.6
//!                                            [     ] mgmt …201 ────── controller …254
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_interop_tests::FrrDaemons;
use weft_system_tests::l3::{network, ttl, vpn, workload};
use weft_system_tests::{Bench, Edge, Node, Peering, run, until};

/// How long the other side has to follow.
const WITHIN: Duration = Duration::from_secs(15);
/// As what FRR is a neighbour.
const NUMBER: u8 = 201;
/// The VNI on which both sides meet.
const VNI: u32 = 5000;
/// The VNI on which routers of both sides meet.
const L3_VNI: u32 = 9000;
/// Who is in the other site.
const CLIENT: (&str, &str) = ("10.1.1.99", "02:aa:00:00:00:99");

/// The MAC address of FRR's own bridge, and its address there.
const BRIDGE: &str = "02:aa:00:00:00:01";
const ADDRESS: &str = "10.1.1.250";

/// Prints whose frames come in on `eth0`.
const EAR: &str = r#"
import select, socket, sys
ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
ear.bind(("eth0", 3))
print("ready", flush=True)
while True:
    ready = select.select([ear, sys.stdin], [], [])[0]
    if ear in ready:
        frame, at = ear.recvfrom(65535)
        if at[2] != socket.PACKET_OUTGOING:
            print(frame[6:12].hex(":"), frame.hex(), flush=True)
    elif sys.stdin in ready:
        break
"#;

/// Somebody who listens at a node.
struct Ear {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Ear {
    fn start(node: &Node) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", node.namespace(), "python3", "-c", EAR]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 is there");
        let mut output = BufReader::new(child.stdout.take().expect("an output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a program prints");
        assert_eq!(line, "ready\n");
        Self { child, output }
    }

    /// Ends; answers from whom frames came, each with one of them.
    fn end(mut self) -> BTreeMap<String, String> {
        drop(self.child.stdin.take());
        let mut heard = String::new();
        self.output.read_to_string(&mut heard).expect("a program prints");
        assert!(self.child.wait().expect("a program ends").success());
        let frames = heard.lines().filter_map(|line| line.split_once(' '));
        frames.map(|(from, frame)| (from.to_owned(), frame.to_owned())).collect()
    }
}

/// The other site: FRR, its namespace, and a client in the same subnet behind it.
struct OtherSite {
    // First, so that they end before their namespace.
    daemons: FrrDaemons,
    edge: Edge,
}

impl OtherSite {
    fn start(bench: &Bench) -> Self {
        let edge = Edge::new(bench, ("dc", NUMBER), (CLIENT.0, ADDRESS));
        let node = edge.node();
        edge.add_vni(VNI, BRIDGE);
        edge.add_vni(L3_VNI, "02:aa:00:00:00:09");
        node.ip(&format!("link set vx{VNI} type bridge_slave learning off neigh_suppress on"));
        edge.client().ip(&format!("link set eth0 address {}", CLIENT.1));
        node.ip(&format!("link set lan master br{VNI}"));
        // FRR knows of whom it has heard itself with which address.
        node.ip(&format!("address add {ADDRESS}/24 dev br{VNI}"));
        let logs = bench.lab().state_directory();
        let mut daemons = FrrDaemons::start(node.namespace(), logs, &format!("vni {L3_VNI}\n"));
        let (begin, neighbor) = (edge.router_bgp(edge.controller()), edge.controller());
        daemons.start_bgpd(&format!(
            "{begin} address-family l2vpn evpn\n  neighbor {neighbor} activate\n  advertise-all-vni\n  \
             vni {VNI}\n   route-target import 64512:100\n   route-target export 64512:100\n  exit-vni\n  \
             route-target import 64512:200\n  route-target export 64512:200\n exit-address-family\n"
        ));
        Self { daemons, edge }
    }

    const fn client(&self) -> &Node {
        self.edge.client()
    }

    fn json(&self, command: &str) -> Value {
        serde_json::from_str(&self.daemons.show(command)).unwrap_or_default()
    }

    /// The MAC addresses that FRR knows in the VNI: behind which tunnel endpoint, or `local`.
    fn macs(&self) -> BTreeMap<String, String> {
        let said = self.json(&format!("show evpn mac vni {VNI} json"));
        let macs = said["macs"].as_object().into_iter().flatten();
        let place = |mac: &Value| mac["remoteVtep"].as_str().unwrap_or("local").to_owned();
        macs.map(|(mac, at)| (mac.clone(), place(at))).collect()
    }

    /// The tunnel endpoints to which FRR sends what is for everybody.
    fn endpoints(&self) -> Vec<String> {
        let fdb = self.edge.node().run(&format!("bridge fdb show dev vx{VNI}"));
        let floods = fdb.lines().filter_map(|line| line.strip_prefix("00:00:00:00:00:00 dst "));
        let mut endpoints: Vec<String> =
            floods.filter_map(|rest| rest.split(' ').next()).map(str::to_owned).collect();
        endpoints.sort();
        endpoints
    }

    fn await_macs(&self, expected: &BTreeMap<String, String>) -> Duration {
        let begin = Instant::now();
        while self.macs() != *expected {
            assert!(begin.elapsed() < WITHIN, "{:#?} instead of {expected:#?}", self.macs());
        }
        begin.elapsed()
    }

    /// Waits for an echo that has crossed no router.
    fn await_echo(&self, to: &str) {
        until(&format!("the client reaches {to}"), WITHIN, || self.client().ttl(to).filter(|ttl| *ttl == 64));
    }
}

fn mac_of(bench: &Bench, port: &str) -> String {
    bench.http().show("ports", port)["mac_address"].as_str().expect("ports have MAC addresses").to_owned()
}

/// What a host's kernel has of a MAC address behind a tunnel endpoint.
fn entries(bench: &Bench, host: &str, mac: &str) -> String {
    let said = run(&format!("ip netns exec {} bridge fdb show dev vx{VNI}", bench.namespace(host)));
    said.lines().filter(|line| line.starts_with(mac)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_network_goes_on_in_another_site_by_evpn_with_frr() {
    let bench = Bench::up("t-l2vpn", 2, 9783);
    let (blue, _) = network(&bench, "Blue", json!({"name": "blue"}), &["10.1.1.0/24"]);
    let (red, _) = network(&bench, "Red", json!({"name": "red"}), &["10.1.1.0/24"]);
    let b1 = workload(&bench, "Blue", &blue, ("b1", "host1", "10.1.1.5"), false);
    let b2 = workload(&bench, "Blue", &blue, ("b2", "host2", "10.1.1.6"), false);
    workload(&bench, "Red", &red, ("r1", "host1", "10.1.1.7"), false);
    let l2 = json!({"name": "l2", "type": "l2", "vni": VNI, "route_targets": ["64512:100"]});
    let _vpn = vpn(&bench, "Blue", l2, &[("network", json!({ "network_id": blue }))]);
    bench.await_rest();
    let other = OtherSite::start(&bench);
    let _peer = Peering::new(&bench).add(&bench, other.edge.address(), &json!({}));

    // Each host once, each MAC address behind its host, and no other.
    let endpoint = |host: u8| bench.fabric_address("underlay", host).to_string();
    let mut macs: BTreeMap<String, String> = BTreeMap::new();
    macs.insert(mac_of(&bench, &b1), endpoint(1));
    macs.insert(mac_of(&bench, &b2), endpoint(2));
    other.client().run("ping -c 1 -W 2 -n 10.1.1.250");
    macs.insert(CLIENT.1.to_owned(), "local".to_owned());
    other.await_macs(&macs);
    until("both hosts get what is for everybody", WITHIN, || {
        (other.endpoints() == [endpoint(1), endpoint(2)]).then_some(())
    });

    // Frames both ways, without a router between.
    for (address, workload) in [("10.1.1.5", "host1.b1"), ("10.1.1.6", "host2.b2")] {
        other.await_echo(address);
        until(&format!("{workload} reaches the client"), WITHIN, || ttl(&bench, workload, CLIENT.0));
        assert_eq!(ttl(&bench, workload, CLIENT.0), Some(64), "{workload}");
    }
    known_and_unknown_are_found(&bench, &other);
    // Another network with the same addresses, on the same hosts, is another one.
    let ear = Ear::start(other.client());
    assert_eq!(ttl(&bench, "host1.r1", CLIENT.0), None);
    assert_eq!(other.client().ttl("10.1.1.7"), None);
    assert_eq!(ttl(&bench, "host1.b1", CLIENT.0), Some(64));
    let heard = ear.end();
    // A bridge joins multicast groups itself now and then (RFC 4541).
    let bridge = bench.ip_json("host1", &format!("link show br-{}", &blue[..11]));
    let bridge = bridge[0]["address"].as_str().expect("links have addresses").to_owned();
    let known: BTreeSet<String> = macs.keys().cloned().chain([BRIDGE.to_owned(), bridge]).collect();
    assert!(heard.contains_key(&mac_of(&bench, &b1)), "{heard:?}");
    assert!(heard.keys().all(|from| known.contains(from)), "{heard:?}");

    // A port that moves takes its MAC address along, and its sequence number says that this is newer.
    bench.http().update("ports", &b2, &json!({"port": {"binding:host_id": "host1"}}));
    macs.insert(mac_of(&bench, &b2), endpoint(1));
    println!("moved after {:?}", other.await_macs(&macs));
    let moved = other.daemons.show(&format!("show evpn mac vni {VNI} mac {}", mac_of(&bench, &b2)));
    assert!(moved.contains("Remote Seq: 1"), "{moved}");
    other.await_echo("10.1.1.6");
    // One that goes is withdrawn, and so is a host that has none any more.
    macs.remove(&mac_of(&bench, &b2));
    bench.http().delete("ports", &b2);
    println!("withdrawn after {:?}", other.await_macs(&macs));
    until("one host is left", WITHIN, || (other.endpoints() == [endpoint(1)]).then_some(()));
    assert_eq!(other.client().ttl("10.1.1.6"), None);

    let b3 = workload(&bench, "Blue", &blue, ("b3", "host2", "10.1.1.8"), false);
    macs.insert(mac_of(&bench, &b3), endpoint(2));
    other.await_macs(&macs);
    nobody_elsewhere_is_taken_for(&bench, &other, &b1, macs);
}

/// What was told of is known to the hosts, and what nobody has told of is asked for across sites.
fn known_and_unknown_are_found(bench: &Bench, other: &OtherSite) {
    // The hosts answer for the client themselves, and send to the other site alone what is for it.
    let remote = bench.fabric_address("underlay", NUMBER).to_string();
    for host in ["host1", "host2"] {
        let entry = entries(bench, host, CLIENT.1);
        assert!(entry.contains(&format!("dst {remote}")), "{host}: {entry}");
        let neighbours = bench.ip(host, &format!("neigh show {}", CLIENT.0));
        assert!(neighbours.contains(CLIENT.1), "{host}: {neighbours}");
    }
    // What nobody has told of is asked for, and the question crosses.
    let unknown = bench.namespace("host1.b1");
    run(&format!("ip -n {unknown} address add 10.1.1.77/24 dev eth0"));
    other.client().ip("address add 10.1.1.88/24 dev eth0");
    other.await_echo("10.1.1.77");
    assert_eq!(ttl(bench, "host2.b2", "10.1.1.88"), Some(64));
}

/// Whoever has a port's MAC address in the other site does not get its frames, however often FRR says that it has moved there.
fn nobody_elsewhere_is_taken_for(
    bench: &Bench,
    other: &OtherSite,
    b1: &str,
    mut macs: BTreeMap<String, String>,
) {
    let remote = bench.fabric_address("underlay", NUMBER).to_string();
    let own = mac_of(bench, b1);
    other.client().ip("link add thief link eth0 type macvlan mode bridge");
    other.client().ip(&format!("link set thief address {own} up"));
    other.client().ip("address add 10.1.1.66/32 dev thief");
    other.client().run("ping -c 1 -W 1 -n -I thief 10.1.1.250 -q -r");
    macs.insert(own.clone(), "local".to_owned());
    other.await_macs(&macs);
    until("host2 has heard of another MAC address since", WITHIN, || {
        other.client().ip("link set eth0 address 02:aa:00:00:00:98");
        let _may_be_lost = other.client().ttl("10.1.1.250");
        entries(bench, "host2", "02:aa:00:00:00:98").contains(&remote).then_some(())
    });
    assert_eq!(entries(bench, "host2", &own), "");
    assert_eq!(ttl(bench, "host2.b3", "10.1.1.5"), Some(64));
}

#[test]
fn whoever_is_in_an_l3_vpn_reaches_the_other_site_by_its_routers() {
    let bench = Bench::up("t-l2vpn-irb", 2, 9783);
    let (blue, _) = network(&bench, "Blue", json!({"name": "blue"}), &["10.1.1.0/24"]);
    let (green, _) = network(&bench, "Blue", json!({"name": "green"}), &["10.2.2.0/24"]);
    workload(&bench, "Blue", &blue, ("b1", "host1", "10.1.1.5"), false);
    workload(&bench, "Blue", &green, ("g1", "host1", "10.2.2.5"), false);
    workload(&bench, "Blue", &green, ("g2", "host2", "10.2.2.6"), false);
    let member = |network: &str| ("network", json!({ "network_id": network }));
    let l2 = json!({"name": "l2", "type": "l2", "vni": VNI, "route_targets": ["64512:100"]});
    vpn(&bench, "Blue", l2, &[member(&blue)]);
    let l3 = json!({"name": "l3", "vni": L3_VNI, "route_targets": ["64512:200"]});
    vpn(&bench, "Blue", l3, &[member(&blue), member(&green)]);
    bench.await_rest();
    let other = OtherSite::start(&bench);
    let _peer = Peering::new(&bench).add(&bench, other.edge.address(), &json!({}));
    other.client().run("ping -c 1 -W 2 -n 10.1.1.250");
    // Its network is b1's own; the others' packets go by two routers: their host's and FRR.
    until("b1 reaches the client", WITHIN, || ttl(&bench, "host1.b1", CLIENT.0).filter(|ttl| *ttl == 64));
    for workload in ["host1.g1", "host2.g2"] {
        until(&format!("{workload} reaches the client"), WITHIN, || ttl(&bench, workload, CLIENT.0));
        assert_eq!(ttl(&bench, workload, CLIENT.0), Some(62), "{workload}");
    }
}
