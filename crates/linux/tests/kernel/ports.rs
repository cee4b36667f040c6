//! A link is a port of a bridge, without an IP stack that anybody could reach, or has addresses of its own.

use weft_dataplane::conformance::converge;
use weft_dataplane::{Object, PortRole, State};
use weft_linux::LinuxHost;

use crate::common::{Bench, address, bridge, here, on, port, run, state, veth};
use crate::talk::inside;

/// How many changes the kernel tells of meanwhile.
const EVENTS: u32 = 5_000;

struct Turns {
    bench: Bench,
    host: LinuxHost,
    as_port: State,
    routed: State,
}

impl Turns {
    fn new() -> Self {
        let bench = Bench::new();
        bench.add_host("h");
        let host = bench.open("h");
        let common = [
            Object::Namespace("web1".parse().unwrap()),
            bridge("br-a"),
            veth("tap1", on("web1", "eth0"), "02:00:00:00:00:01"),
        ];
        let with = |more: &[Object]| state([&common[..], more].concat());
        let as_port = with(&[port("tap1", "br-a", PortRole::Workload)]);
        let addresses = ["198.51.100.1/24", "2001:db8::1/64"].map(|text| address(here("tap1"), text));
        Self { bench, host, as_port, routed: with(&addresses) }
    }

    fn has_ipv6(&self) -> bool {
        let path = "/proc/sys/net/ipv6/conf/tap1/disable_ipv6";
        inside(&self.bench.host("h"), || std::fs::read_to_string(path).unwrap() == "0\n")
    }

    /// Makes the link a port and back, and looks each time.
    fn turn(&mut self) {
        converge(&mut self.host, &self.as_port).unwrap();
        assert!(!self.has_ipv6(), "a port answers to nobody");
        converge(&mut self.host, &self.routed).unwrap();
        assert!(self.has_ipv6());
    }
}

#[test]
fn a_link_changes_between_port_and_addresses_in_one_plan_and_has_ipv6_only_with_addresses() {
    let mut turns = Turns::new();
    turns.turn();
    turns.turn();
}

#[test]
fn what_is_told_of_a_link_while_it_changes_does_not_mislead() {
    let mut turns = Turns::new();
    converge(&mut turns.host, &turns.as_port).unwrap();
    let n = turns.bench.host("h");
    let file = std::env::temp_dir().join(format!("{n}events"));
    let lines = |number: u32| format!("link set tap1 txqueuelen {}\n", 1000 + number % 2);
    std::fs::write(&file, (0..EVENTS).map(lines).collect::<String>()).unwrap();
    let command = format!("ip -n {n} -batch {}", file.display());
    let events = std::thread::spawn(move || run(&command));
    while !events.is_finished() {
        turns.turn();
    }
    events.join().unwrap();
    std::fs::remove_file(&file).unwrap();
}
