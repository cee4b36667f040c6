//! A vNIC is there before, while and after it is bound; and what a host cannot do is said by whom it should be.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_lab::LabSpec;
use weft_net::Capability;
use weft_system_tests::{Bench, run, spec, until};

const PING_WITHIN: Duration = Duration::from_secs(5);

/// A process of a workload's: it reads until its input ends.
struct Process(Child);

impl Process {
    fn start(bench: &Bench, node: &str) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &bench.namespace(node), "cat"]);
        Self(command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a process can be started"))
    }

    fn runs(&mut self) -> bool {
        self.0.try_wait().expect("a child can be looked at").is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It ends in any case when its input does.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What must never change of a vNIC: both ends' indexes, and how often the carrier of the workload's end changed.
fn vnic(bench: &Bench, tap: &str) -> (u64, u64, u64) {
    let inside = bench.links("host1.web")["eth0"];
    (bench.links("host1")[tap], inside, bench.carrier_changes("host1.web", "eth0"))
}

fn instance_port(bench: &Bench, vnic: &Value) -> String {
    bench.http().create_id(
        "instance-ports",
        &json!({ "instance_port": { "host_id": "host1", "name": "web", "vnic": vnic } }),
    )
}

fn bind(bench: &Bench, instance_port: &str, network: &str) -> String {
    let interface = json!({ "interface": { "instance_port_id": instance_port } });
    let interface = bench.http().create_id("interfaces", &interface);
    let binding = json!({ "service_port": { "interface_id": interface, "service_id": network } });
    bench.http().create_id("service-ports", &binding)
}

/// The address that a service port has, by its network's only subnet.
fn address(bench: &Bench, binding: &str) -> String {
    let found = bench.http().show("service-ports", binding);
    found["fixed_ips"][0]["ip_address"].as_str().expect("it has an address").to_owned()
}

fn reaches(bench: &Bench, node: &str, address: &str) -> Duration {
    until(&format!("{node} reaches {address}"), PING_WITHIN, || {
        bench.pings_at_once(node, address).then_some(())
    })
    .1
}

#[test]
fn a_vnic_without_a_network_is_bound_and_moved_and_its_workload_never_notices() {
    let bench = Bench::up("t-bind", 2, 9701);
    let (blue, red) = (bench.network("blue", "10.1.0.0/24"), bench.network("red", "10.2.0.0/24"));
    let _ports = [
        bench.workload(&blue, "host2", "blue", "10.1.0.100"),
        bench.workload(&red, "host2", "red", "10.2.0.100"),
    ];
    let port = instance_port(&bench, &json!({ "type": "namespace", "namespace": "web" }));
    bench.await_status("instance-ports", &port, "ACTIVE");
    bench.await_rest();
    let mut process = Process::start(&bench, "host1.web");
    let tap = format!("tap{}", &port[..11]);
    let unbound = vnic(&bench, &tap);
    assert!(bench.pings("host1.web", "127.0.0.1"), "its namespace is one that works");
    assert!(!bench.pings("host1.web", "10.1.0.100"), "it is in no network");

    let begin = Instant::now();
    let binding = bind(&bench, &port, &blue);
    bench.await_status("service-ports", &binding, "ACTIVE");
    let bound = begin.elapsed();
    reaches(&bench, "host1.web", "10.1.0.100");
    let in_blue = address(&bench, &binding);
    assert!(bench.pings("host2.blue", &in_blue) && !bench.pings("host2.red", &in_blue));
    assert!(!bench.pings("host1.web", "10.2.0.100"), "it is in blue alone");
    assert_eq!(vnic(&bench, &tap), unbound, "bound: index and carrier of the vNIC");

    let begin = Instant::now();
    bench.http().update("service-ports", &binding, &json!({ "service_port": { "service_id": red } }));
    bench.await_status("service-ports", &binding, "ACTIVE");
    let moved = begin.elapsed();
    reaches(&bench, "host1.web", "10.2.0.100");
    let in_red = address(&bench, &binding);
    assert!(bench.pings("host2.red", &in_red));
    assert!(
        !bench.pings("host1.web", "10.1.0.100") && !bench.pings("host2.blue", &in_blue),
        "it has left blue"
    );
    assert_eq!(vnic(&bench, &tap), unbound, "moved: index and carrier of the vNIC");

    bench.http().delete("service-ports", &binding);
    bench.await_rest();
    assert!(!bench.pings("host1.web", "10.2.0.100"), "it has left red");
    assert_eq!(vnic(&bench, &tap), unbound, "unbound: index and carrier of the vNIC");
    assert!(process.runs(), "the workload has run all the time");
    println!("bound in {bound:.1?}, moved in {moved:.1?}; index and carrier of the vNIC unchanged");
}

#[test]
fn a_vnic_that_somebody_else_makes_is_joined_when_it_appears_and_let_go_without_harm() {
    let bench = Bench::up("t-adopt", 2, 9702);
    let network = bench.network("blue", "10.1.0.0/24");
    let _far = bench.workload(&network, "host2", "far", "10.1.0.100");
    let adopted = json!({ "network_id": network, "binding:host_id": "host1", "fixed_ips": [{ "ip_address": "10.1.0.7" }] });
    let adopted = bench.http().create("ports", &json!({ "port": adopted }));
    let (port, mac) = (adopted["id"].as_str().expect("an id").to_owned(), adopted["mac_address"].clone());
    let tap = format!("tap{}", &port[..11]);
    let far = bench.http().list("ports?name=far")[0]["id"].as_str().expect("an id").to_owned();
    bench.await_status("ports", &far, "ACTIVE");
    bench.await_status("ports", &port, "DOWN");
    let waits = bench.report("host1");
    assert_eq!(waits["not_done"][0]["state"], "waiting", "{waits}");

    let vm = format!("{}.vm", bench.namespace("host1"));
    let guest = Guest::new(vm);
    let begin = Instant::now();
    bench.ip("host1", &format!("link add {tap} type veth peer name eth0 netns {}", guest.0));
    bench.ip("host1", &format!("link set {tap} up"));
    let before = bench.links("host1")[&tap];
    run(&format!("ip -n {} link set eth0 address {} up", guest.0, mac.as_str().expect("a MAC address")));
    run(&format!("ip -n {} address add 10.1.0.7/24 dev eth0", guest.0));
    bench.await_status("ports", &port, "ACTIVE");
    let joined = begin.elapsed();
    reaches(&bench, "host1.vm", "10.1.0.100");

    bench.http().delete("ports", &port);
    bench.await_rest();
    assert_eq!(bench.links("host1").get(&tap), Some(&before), "what somebody else made is not removed");
    let link = &bench.ip_json("host1", &format!("link show {tap}"))[0];
    assert_eq!(link["master"], Value::Null, "but it has left the bridge: {link}");
    assert!(!bench.pings("host1.vm", "10.1.0.100"));
    println!("a tap made by hand was joined and ACTIVE {joined:.1?} after it appeared");
}

/// A namespace made by hand.
struct Guest(String);

impl Guest {
    fn new(name: String) -> Self {
        run(&format!("ip netns add {name}"));
        Self(name)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Gone already, if the test took it down.
        let _ = weft_system_tests::try_run(&format!("ip netns del {}", self.0));
    }
}

#[test]
fn what_a_host_has_said_that_it_cannot_do_is_refused_or_noted() {
    let without_capabilities = [Capability::Vlan].into();
    let bench = Bench::up_as(LabSpec { hosts: 1, port: 9703, without_capabilities, ..spec("t-can") });
    let host = bench.http().show("hosts", "host1");
    let capabilities = host["capabilities"].as_array().expect("a host says what it can").clone();
    assert!(!capabilities.contains(&json!("vlan")), "it is told not to offer VLANs: {capabilities:?}");
    assert!(capabilities.contains(&json!("vxlan")), "and only these: {capabilities:?}");
    let port = instance_port(&bench, &json!({ "type": "namespace", "namespace": "web" }));
    let before = bench.http().version();

    let vlan = json!({ "interface": { "instance_port_id": port, "type": "vlan", "segmentation_id": 100 } });
    let refused = bench.http().ask("POST", "/v2.0/interfaces", &vlan);
    assert_eq!(
        (refused.status, refused.kind().as_str()),
        (409, "HostLacksCapability"),
        "{}",
        refused.message()
    );
    assert!(
        refused.message().contains("host1") && refused.message().contains("vlan"),
        "{}",
        refused.message()
    );
    assert_eq!(bench.http().version(), before, "nothing is written");

    let network = json!({ "network": {
        "provider:network_type": "vlan", "provider:physical_network": "physnet1", "provider:segmentation_id": 100,
    } });
    let network = bench.http().create_id("networks", &network);
    let port = json!({ "port": { "network_id": network, "binding:host_id": "host1" } });
    let port = bench.http().create("ports", &port);
    assert_eq!(port["binding:vif_type"], "binding_failed", "{port}");
    assert_eq!(port["status"], "DOWN", "{port}");
    assert!(port["binding:vif_details"]["failure"].to_string().contains("vlan"), "{port}");
    bench.await_rest();
    let id = port["id"].as_str().expect("an id");
    assert_eq!(bench.http().show("ports", id)["status"], "DOWN");
    println!("409 for the native interface: {}", refused.message());
}
