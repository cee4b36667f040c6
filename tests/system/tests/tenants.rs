//! Two tenants with the same addresses; one of them breaks out with frames of its own making, and gets nowhere. And what one
//! has left is not given to the other as long as a host may still have it.

use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::time::Duration;

use serde_json::{Value, json};
use weft_lab::{Workload, ping_matrix};
use weft_system_tests::frames::{BROADCAST, IPV4, feed, frame, hexadecimal, inject, python, udp, vxlan};
use weft_system_tests::{Bench, Http, until};

const WITHIN: Duration = Duration::from_secs(10);
/// What our own frames bear, so that they are known wherever they come out.
const MARKER: &str = "weft-break-in";
/// A type that nobody speaks (IEEE 802, for experiments).
const EXPERIMENT: u16 = 0x88b5;

fn two_tenants(name: &str, port: u16) -> Bench {
    let bench = Bench::up(name, 2, port);
    for tenant in ["blue", "red"] {
        let network = bench.network(tenant, "10.1.0.0/24");
        for number in 1..=2 {
            let _port = bench.workload(
                &network,
                &format!("host{number}"),
                &format!("{tenant}{number}"),
                &format!("10.1.0.1{number}"),
            );
        }
    }
    bench.await_rest();
    bench
}

/// Sends a datagram, so that what is forged elsewhere is known to be well made.
const DATAGRAM: &str = r#"
import socket, sys
port, to, data = sys.stdin.read().split()
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes.fromhex(data), (to, int(port)))
"#;

/// Prints what bears the marker: of each frame that comes in on `eth0`, or of each datagram that the node itself accepts.
const LISTENER: &str = r#"
import select, socket, sys
marker = sys.argv[1].encode()
if sys.argv[2] == "frames":
    ears = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))]
    ears[0].bind(("eth0", 3))
else:
    ears = [socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]
    ears[1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    ears[0].bind(("0.0.0.0", 7777))
    ears[1].bind(("::", 7777))
print("ready", flush=True)
while True:
    ready = select.select(ears + [sys.stdin], [], [])[0]
    for ear in ears:
        if ear in ready:
            data = ear.recv(65535)
            if marker in data:
                print(data[data.index(marker):].split(b"\0")[0].decode(), flush=True)
    if ready == [sys.stdin]:
        break
"#;

/// Somebody who listens in a node.
struct Listener {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    heard: String,
}

impl Listener {
    fn start(bench: &Bench, node: &str, what: &str) -> Self {
        let mut child = python(bench, node, LISTENER, &[MARKER, what]);
        let mut output = BufReader::new(child.stdout.take().expect("an output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a program prints");
        assert_eq!(line, "ready\n");
        Self { child, output, heard: String::new() }
    }

    /// Waits for one that comes by the right way; what comes before it is remembered.
    fn hears(&mut self, what: &str) {
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).expect("a program prints"), 0, "'{what}' never came");
            self.heard.push_str(&line);
        }
    }

    /// Ends; answers all that it heard.
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        self.output.read_to_string(&mut self.heard).expect("a program prints");
        std::mem::take(&mut self.heard)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn marked(text: &str) -> Vec<u8> {
    format!("{MARKER} {text}\0").into_bytes()
}

fn port_of(http: Http, name: &str) -> Value {
    http.list(&format!("ports?name={name}"))[0].clone()
}

fn vni_of(http: Http, network: &str) -> u32 {
    let found = http.list(&format!("networks?name={network}"))[0]["provider:segmentation_id"].as_u64();
    found.and_then(|vni| u32::try_from(vni).ok()).expect("a VNI")
}

const UNDERLAY: [[u8; 4]; 2] = [[198, 51, 100, 1], [198, 51, 100, 2]];

/// What red1 tries: at blue's MAC addresses, at its host's, at everybody's.
fn attempts(bench: &Bench) -> Vec<Vec<u8>> {
    let http = bench.http();
    let (own, network) = (port_of(http, "red1"), http.list("networks?name=red")[0].clone());
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let from = text(&own["mac_address"]);
    let tap = format!("tap{}", &text(&own["id"])[..11]);
    let bridge = format!("br-{}", &text(&network["id"])[..11]);
    let blue: Vec<String> = ["blue1", "blue2"].map(|name| text(&port_of(http, name)["mac_address"])).into();
    let near =
        [bench.mac_of("host1", &tap), bench.mac_of("host1", &bridge), bench.mac_of("host1", "underlay0")];
    let vni = vni_of(http, "blue");
    let mut frames = Vec::new();
    for to in blue.iter().chain(&near).map(String::as_str).chain([
        BROADCAST,
        "01:80:c2:00:00:03",
        "33:33:00:00:00:01",
    ]) {
        frames.push(frame(to, &from, EXPERIMENT, &marked("plain")));
        for target in UNDERLAY {
            frames.push(frame(to, &from, IPV4, &udp([10, 1, 0, 11], target, 7777, &marked("host"))));
            frames.push(frame(to, &from, IPV4, &udp(UNDERLAY[0], target, 7777, &marked("spoofed host"))));
            let inner = frame(&blue[1], &from, EXPERIMENT, &marked("tunnel"));
            frames.push(frame(to, &from, IPV4, &udp(UNDERLAY[0], target, 4789, &vxlan(vni, &inner))));
        }
        let management = bench.ip_json("host1", "address show dev mgmt0")[0]["addr_info"][0]["local"].clone();
        let management: std::net::Ipv4Addr = text(&management).parse().expect("an address");
        frames.push(frame(
            to,
            &from,
            IPV4,
            &udp([10, 1, 0, 11], management.octets(), 7777, &marked("management")),
        ));
    }
    frames
}

#[test]
fn forged_frames_reach_neither_the_other_tenant_nor_a_host() {
    let bench = two_tenants("t-break", 9771);
    let http = bench.http();
    let mut blue = ["host1.blue1", "host2.blue2"].map(|node| Listener::start(&bench, node, "frames"));
    let mut hosts = ["host1", "host2"].map(|node| Listener::start(&bench, node, "datagrams"));
    let mut partner = Listener::start(&bench, "host2.red2", "frames");
    let frames = attempts(&bench);
    inject(&bench, "host1.red1", &frames);
    partner.hears("plain");

    // The same, by who may: so the listeners hear, and the forgeries were well made.
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (to, from) =
        (text(&port_of(http, "blue2")["mac_address"]), text(&port_of(http, "blue1")["mac_address"]));
    let inner = vxlan(vni_of(http, "blue"), &frame(&to, &from, EXPERIMENT, &marked("control")));
    feed(python(&bench, "host1", DATAGRAM, &[]), &format!("4789 198.51.100.2 {}", hexadecimal(&inner)));
    blue[1].hears("control");
    inject(&bench, "host2.blue2", &[frame(&from, &to, EXPERIMENT, &marked("control"))]);
    blue[0].hears("control");
    for (listener, (node, target)) in
        hosts.iter_mut().zip([("host2", "198.51.100.1"), ("host1", "198.51.100.2")])
    {
        feed(
            python(&bench, node, DATAGRAM, &[]),
            &format!("7777 {target} {}", hexadecimal(&marked("control"))),
        );
        listener.hears("control");
    }
    let heard: Vec<String> = blue.into_iter().chain(hosts).map(Listener::end).collect();
    for heard in &heard {
        assert!(heard.lines().all(|line| line.contains("control")), "a forged frame came through:\n{heard}");
    }
    println!("{} forged frames, five times each: none reached blue or a host", frames.len());
}

#[test]
fn tenants_with_the_same_addresses_are_apart_and_hosts_answer_none_of_them() {
    let bench = two_tenants("t-apart", 9772);
    let workload = |host: usize, tenant: &str| Workload {
        host: format!("host{host}"),
        name: format!("{tenant}{host}"),
        network: tenant.to_owned(),
        addresses: Vec::new(),
    };
    let all: Vec<Workload> =
        [1, 2].iter().flat_map(|host| ["blue", "red"].map(|tenant| workload(*host, tenant))).collect();
    let matrix = ping_matrix(bench.lab().name(), &all).expect("workloads can ping");
    assert!(matrix.all_right(), "{matrix}");

    // The workload's owner is root in it: it gives itself what addresses and routes it likes.
    let underlay = "198.51.100.77/24";
    bench.ip("host1.red1", &format!("address add {underlay} dev eth0"));
    bench.ip("host1.red1", "route add default dev eth0");
    let management = bench.ip_json("host1", "address show dev mgmt0")[0]["addr_info"][0]["local"].clone();
    let management = management.as_str().expect("an address").to_owned();
    for target in ["198.51.100.1", "198.51.100.2", management.as_str(), "127.0.0.2"] {
        let is_own = target.starts_with("127.");
        assert_eq!(bench.pings("host1.red1", target), is_own, "{target}");
    }
    let answers = weft_system_tests::run(&format!(
        "ip netns exec {} ping -n -c 2 -W 1 -I eth0 ff02::1",
        bench.namespace("host1.red1")
    ));
    let from = |line: &str| {
        line.split(" from ").nth(1).and_then(|rest| rest.split_whitespace().next().map(str::to_owned))
    };
    let lines = answers.lines().filter(|line| line.contains(" bytes from "));
    let answering: std::collections::BTreeSet<String> = lines.filter_map(from).collect();
    assert!(answering.len() <= 2, "only red's two workloads answer: {answers}");
}

fn remove_network(http: Http, name: &str) {
    let network = http.list(&format!("networks?name={name}"))[0]["id"].as_str().expect("an id").to_owned();
    for port in http.list(&format!("ports?network_id={network}")) {
        http.delete("ports", port["id"].as_str().expect("an id"));
    }
    http.delete("networks", &network);
}

/// Asks for a network with this VNI; answers the status.
fn ask_for(http: Http, vni: u32) -> u16 {
    let network = json!({ "network": { "name": "again", "provider:network_type": "vxlan", "provider:segmentation_id": vni } });
    http.ask("POST", "/v2.0/networks", &network).status
}

#[test]
fn a_vni_is_not_given_again_while_a_host_that_is_away_may_still_have_it() {
    let bench = two_tenants("t-again", 9773);
    let (http, away) = (bench.http(), ["host2".to_owned()]);
    let vni = vni_of(http, "red");
    assert_eq!(vni, vni_of(http, "blue") + 1, "the highest is the one that would be given next");
    bench.lab().kill_agent("host2").expect("an agent can be killed");
    bench.await_dead(&away);
    remove_network(http, "red");
    until("host1 has removed it", WITHIN, || {
        (!bench.links("host1").contains_key(&format!("vx{vni}"))).then_some(())
    });
    assert!(bench.links("host2").contains_key(&format!("vx{vni}")), "host2 has it still");
    let next = http.create("networks", &json!({ "network": { "name": "next" } }));
    assert_ne!(next["provider:segmentation_id"], json!(vni), "it is in quarantine");
    assert_eq!(ask_for(http, vni), 409, "also for who asks for it by number");

    bench.start_agents(&away);
    bench.await_rest();
    let confirmed = until("confirmed", WITHIN, || (ask_for(http, vni) == 201).then_some(())).1;
    assert!(!bench.links("host2").contains_key(&format!("vx{vni}")), "host2 has removed it");

    let blue = vni_of(http, "blue");
    bench.lab().kill_agent("host2").expect("an agent can be killed");
    bench.await_dead(&away);
    remove_network(http, "blue");
    assert_eq!(ask_for(http, blue), 409);
    http.delete("hosts", "host2");
    until("host1 has removed it", WITHIN, || (ask_for(http, blue) == 201).then_some(()));
    bench.start_agents(&away);
    bench.await_rest();
    assert!(
        !bench.links("host2").contains_key(&format!("vx{blue}")),
        "a host that comes back has nothing of before"
    );
    println!(
        "VNI {vni} was free {confirmed:.1?} after its last host came back and was at rest; VNI {blue} once that host was fenced"
    );
}
