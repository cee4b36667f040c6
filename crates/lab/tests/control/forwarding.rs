//! What goes through a lab's networks, and what does not.

use std::ffi::OsString;
use std::fs::File;
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use weft_lab::{Change, ContinuousPing, LabError, LabSpec, PingPair, Underlay, Workload, exec, ping_matrix};

use crate::bench::{Bench, ip};

fn argv(text: &str) -> Vec<OsString> {
    text.split_whitespace().map(OsString::from).collect()
}

pub(crate) fn hosts_reach_each_other_with_packets_as_large_as_the_mtu() {
    for (underlay, subnet, headers) in
        [(Underlay::Ipv4, "198.51.100.", 28), (Underlay::Ipv6, "2001:db8:ffff::", 48)]
    {
        let bench = Bench::new();
        let lab = bench.up_as(&LabSpec { underlay, ..bench.spec() }).unwrap().0;
        let [one, other] = [1, 2].map(|number| {
            assert!(
                ip(&format!("-n {} link show underlay0", bench.file(&format!("host{number}"))))
                    .contains("mtu 1600")
            );
            let address: IpAddr = format!("{subnet}{number}").parse().unwrap();
            within(&lab.host_namespace(&format!("host{number}")).unwrap(), move || {
                UdpSocket::bind((address, 0)).unwrap()
            })
        });
        other.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let packet = vec![7; 1600 - headers];
        one.send_to(&packet, other.local_addr().unwrap()).unwrap();
        let mut buffer = vec![0; 2000];
        let (length, from) = other.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (&packet[..], one.local_addr().unwrap()));
    }
}

/// Runs something on a thread that is in a network namespace.
fn within<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> T {
    let file = File::open(namespace).unwrap();
    let enter_and_work = || {
        nix::sched::setns(file.as_fd(), nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        work()
    };
    thread::scope(|scope| scope.spawn(enter_and_work).join().unwrap())
}

pub(crate) fn a_command_runs_in_the_node_and_its_exit_code_comes_back() {
    let bench = Bench::new();
    Tenants::new(&bench);
    let run = |node: &str, command: &str| exec(&bench.name, node, &argv(command));
    let mut script = argv("sh -c");
    script.push("exit 42".into());
    assert_eq!(exec(&bench.name, "host1", &script).unwrap().code(), Some(42));
    assert!(run("host1", "test -d /proc/sys/net/ipv4/conf/underlay0").unwrap().success());
    assert!(run("host1.a", "test -d /proc/sys/net/ipv4/conf/underlay0").unwrap().code() == Some(1));
    assert!(run("a", "test -d /proc/sys/net/ipv4/conf/eth0").unwrap().success());
    assert!(matches!(run("z", "true"), Err(LabError::Node { .. })));
    assert!(matches!(run("host1", "/no/such/command"), Err(LabError::System { .. })));
    assert!(matches!(run("host1", ""), Err(LabError::Spec(_))));
    bench.down();
    bench.assert_no_trace();
}

/// Two networks on one host, red and blue, with two workloads each, which have the same addresses in both.
struct Tenants<'a> {
    bench: &'a Bench,
}

impl<'a> Tenants<'a> {
    fn new(bench: &'a Bench) -> Self {
        bench.up();
        let host = bench.file("host1");
        for bridge in ["red", "blue"] {
            ip(&format!("-n {host} link add {bridge} type bridge"));
            ip(&format!("-n {host} link set {bridge} up"));
        }
        let tenants = Self { bench };
        for (name, number) in [("a", 1), ("b", 2), ("c", 1), ("d", 2)] {
            let workload = bench.file(&format!("host1.{name}"));
            ip(&format!("netns add {workload}"));
            ip(&format!("-n {workload} link property add dev lo altname weft.namespace.{name}"));
            ip(&format!("-n {workload} link set lo up"));
            ip(&format!("-n {host} link add tap{name} type veth peer name eth0 netns {workload}"));
            ip(&format!("-n {host} link set tap{name} up"));
            // The same MAC addresses, too: so no neighbour is remembered wrongly when workloads change places.
            ip(&format!("-n {workload} link set eth0 address 02:00:00:00:00:0{number}"));
            ip(&format!("-n {workload} addr add 10.0.0.{number}/24 dev eth0"));
            ip(&format!("-n {workload} addr add fd00::{number}/64 dev eth0 nodad"));
            ip(&format!("-n {workload} link set eth0 up"));
        }
        ["a", "b"].iter().for_each(|name| tenants.put(name, "red"));
        ["c", "d"].iter().for_each(|name| tenants.put(name, "blue"));
        tenants
    }

    fn put(&self, workload: &str, bridge: &str) {
        ip(&format!("-n {} link set tap{workload} master {bridge}", self.bench.file("host1")));
    }

    fn expected() -> Vec<Workload> {
        let workload = |(name, network): (&str, &str)| Workload {
            host: "host1".to_owned(),
            name: name.to_owned(),
            network: network.to_owned(),
            addresses: Vec::new(),
        };
        [("a", "red"), ("b", "red"), ("c", "blue"), ("d", "blue")].map(workload).to_vec()
    }
}

pub(crate) fn tenants_with_the_same_addresses_are_told_apart() {
    let bench = Bench::new();
    let tenants = Tenants::new(&bench);
    let start = Instant::now();
    let matrix = ping_matrix(&bench.name, &Tenants::expected()).unwrap();
    assert!(matrix.all_right(), "\n{matrix}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());

    // b and d change places: each answers in the other's network, at the same address.
    tenants.put("b", "blue");
    tenants.put("d", "red");
    let matrix = ping_matrix(&bench.name, &Tenants::expected()).unwrap();
    expect_test::expect![[r#"
                | host1.a       | host1.b       | host1.c       | host1.d      
        host1.a | -             | WRONG:host1.d | isolated      | WRONG:reached
        host1.b | WRONG:host1.c | -             | WRONG:reached | isolated     
        host1.c | isolated      | WRONG:reached | -             | WRONG:host1.b
        host1.d | WRONG:reached | isolated      | WRONG:host1.a | -            
    "#]]
    .assert_eq(&matrix.to_string());
}

pub(crate) fn a_workload_or_an_address_that_is_not_there_is_wrong() {
    let bench = Bench::new();
    let _tenants = Tenants::new(&bench);
    let mut expected = Tenants::expected();
    for (workload, number) in expected.iter_mut().zip([1, 2, 1, 2]) {
        workload.addresses =
            [format!("10.0.0.{number}"), format!("fd00::{number}")].map(|a| a.parse().unwrap()).to_vec();
    }
    assert!(ping_matrix(&bench.name, &expected).unwrap().all_right());
    ip(&format!("-n {} addr del fd00::2/64 dev eth0", bench.file("host1.b")));
    ip(&format!("netns del {}", bench.file("host1.d")));
    let matrix = ping_matrix(&bench.name, &expected).unwrap();
    expect_test::expect![[r#"
                | host1.a             | host1.b               | host1.c       | host1.d      
        host1.a | -                   | WRONG:missing fd00::2 | isolated      | WRONG:missing
        host1.b | WRONG:only 10.0.0.1 | WRONG:missing fd00::2 | isolated      | WRONG:missing
        host1.c | isolated            | WRONG:missing fd00::2 | -             | WRONG:missing
        host1.d | WRONG:missing       | WRONG:missing         | WRONG:missing | WRONG:missing
    "#]]
    .assert_eq(&matrix.to_string());
    assert!(!matrix.all_right());

    // Nothing but what is missing would be all right, if only what is there were asked.
    let gone = ping_matrix(&bench.name, &expected[3..]).unwrap();
    assert!(!gone.all_right(), "\n{gone}");
    assert!(!ping_matrix(&bench.name, &[]).unwrap().all_right());
}

pub(crate) fn continuous_pings_count_what_is_lost() {
    let bench = Bench::new();
    let _tenants = Tenants::new(&bench);
    let host = bench.file("host1");
    let pair = |workload: &str, address: &str| PingPair {
        host: "host1".to_owned(),
        workload: workload.to_owned(),
        address: address.parse().unwrap(),
    };
    let pairs = [pair("a", "10.0.0.2"), pair("d", "fd00::1")];
    let pings = ContinuousPing::start(&bench.name, &pairs).unwrap();
    let reach = |at: usize, sent: u64| {
        let deadline = Instant::now() + Duration::from_secs(10);
        while pings.counts()[at].sent < sent {
            assert!(Instant::now() < deadline);
            thread::yield_now();
        }
    };
    reach(0, 20);
    ip(&format!("-n {host} link set tapb down"));
    let at_cut = pings.counts()[0].sent;
    reach(0, at_cut + 20);
    ip(&format!("-n {host} link set tapb up"));
    let counts = pings.stop().unwrap();
    assert!(counts[0].lost >= 19, "{counts:?}");
    assert!(counts[0].longest_gap >= Duration::from_millis(300), "{counts:?}");
    assert_eq!(counts[1].lost, 0, "{counts:?}");
    assert!(counts[1].sent >= 40, "{counts:?}");

    let kept = ContinuousPing::start(&bench.name, &pairs[1..]).unwrap();
    weft_lab::Lab::open(&bench.name).unwrap().kill_agent("host1").unwrap();
    let counts = kept.stop().unwrap();
    assert_eq!(counts[0].lost, 0, "{counts:?}");
}

pub(crate) fn the_removal_of_tunnels_is_told_of() {
    let bench = Bench::new();
    bench.up();
    for number in 1..=4 {
        let host = bench.file("host1");
        ip(&format!("-n {host} link add vx{number} type vxlan id {number} local 198.51.100.1 dstport 4789"));
    }
    let told = bench.down();
    let tunnels: Vec<_> = told.iter().filter(|one| one.what.starts_with("tunnel host1/vx")).collect();
    assert_eq!(tunnels.len(), 4, "{told:?}");
    assert!(tunnels.iter().all(|one| one.total == 4 && one.change == Change::Removed));
    bench.assert_no_trace();
}
