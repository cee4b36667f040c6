//! Agents and controllers come and go; hosts go on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_lab::{LabSpec, Underlay};
use weft_system_tests::{Bench, Monitor, more_pings, no_loss, rounds, run, spec, until};

const HEALED_WITHIN: Duration = Duration::from_secs(10);

/// Three hosts, a workload on each, all in one network.
fn three_hosts(name: &str, port: u16) -> Bench {
    let bench = Bench::up(name, 3, port);
    let network = bench.network("blue", "10.1.0.0/24");
    for number in 1..=3 {
        let (host, name) = (format!("host{number}"), format!("web{number}"));
        let _port = bench.workload(&network, &host, &name, &format!("10.1.0.1{number}"));
    }
    bench.await_rest();
    // What a workload learns of its neighbours is no matter of the agents'.
    for pair in [("host1.web1", "10.1.0.12"), ("host1.web1", "10.1.0.13"), ("host2.web2", "10.1.0.13")] {
        until("workloads reach each other", HEALED_WITHIN, || {
            bench.pings_at_once(pair.0, pair.1).then_some(())
        });
    }
    bench
}

const ALL: [(&str, &str, &str); 6] = [
    ("host1", "web1", "10.1.0.12"),
    ("host1", "web1", "10.1.0.13"),
    ("host2", "web2", "10.1.0.11"),
    ("host2", "web2", "10.1.0.13"),
    ("host3", "web3", "10.1.0.11"),
    ("host3", "web3", "10.1.0.12"),
];

/// How often an agent has logged a turn in which it did something.
fn turns(bench: &Bench, host: &str) -> usize {
    bench.log(host).matches("steps_done=").count()
}

fn assert_nothing_was_done(bench: &Bench, before: &[usize], hosts: &[String]) {
    for (host, turns_before) in hosts.iter().zip(before) {
        let report = bench.report(host);
        assert_eq!(
            (&report["steps_done"], &report["steps_failed"]),
            (&Value::from(0), &Value::from(0)),
            "{report}"
        );
        assert_eq!(turns(bench, host), *turns_before, "the agent of {host} did nothing");
    }
}

#[test]
fn every_agent_is_killed_while_workloads_ping_and_comes_back_to_nothing_to_do() {
    let bench = three_hosts("t-kill", 9711);
    let hosts = bench.lab().hosts();
    let links = bench.all_links();
    let before: Vec<usize> = hosts.iter().map(|host| turns(&bench, host)).collect();
    let pings = bench.pinging(&ALL);
    // The kernel tells of a new link's carrier up to a second later: that is nobody's writing.
    more_pings(&pings, 75);
    let monitors: Vec<Monitor> = hosts.iter().map(|host| Monitor::start(&bench, host)).collect();
    let mut slowest = Duration::ZERO;
    for _ in 0..rounds(3) {
        for host in &hosts {
            bench.lab().kill_agent(host).expect("an agent can be killed");
        }
        bench.await_dead(&hosts);
        more_pings(&pings, 25);
        let begin = Instant::now();
        bench.start_agents(&hosts);
        bench.await_rest();
        slowest = slowest.max(begin.elapsed());
        assert_nothing_was_done(&bench, &before, &hosts);
    }
    let heard: Vec<String> = monitors.into_iter().flat_map(|monitor| monitor.end(&bench)).collect();
    assert!(heard.is_empty(), "somebody wrote to a kernel:\n{}", heard.join("\n"));
    assert_eq!(bench.all_links(), links, "every link is the one that it was");
    let (sent, gap) = no_loss(pings);
    println!(
        "all agents killed {} times: {sent} pings, none lost, longest gap {gap:.1?}; at rest {slowest:.1?} after the start of three agents, no step done, nothing written to any kernel",
        rounds(3)
    );
}

/// Deletes what there is of a host but the lab's own: what a reboot leaves.
fn wipe(bench: &Bench, host: &str) {
    for node in bench.nodes().iter().filter(|node| node.starts_with(&format!("{host}."))) {
        run(&format!("ip netns del {}", bench.namespace(node)));
    }
    let is_labs = |name: &str| ["lo", "underlay0", "mgmt0"].contains(&name);
    // A veth's end in a namespace that is gone takes the other end with it, sooner or later.
    until("an empty host", HEALED_WITHIN, || {
        let links = bench.links(host);
        let left: Vec<&String> = links.keys().filter(|name| !is_labs(name)).collect();
        for name in &left {
            let _gone =
                weft_system_tests::try_run(&format!("ip -n {} link del {name}", bench.namespace(host)));
        }
        left.is_empty().then_some(())
    });
}

fn names(bench: &Bench, host: &str) -> Vec<String> {
    bench.links(host).into_keys().collect()
}

fn heal(bench: &Bench, device: &str, names_before: &[String]) -> Duration {
    bench.ip("host1", &format!("link del {device}"));
    let healed = until("healed", HEALED_WITHIN, || (names(bench, "host1") == names_before).then_some(())).1;
    until("reached again", HEALED_WITHIN, || bench.pings_at_once("host1.web1", "10.1.0.12").then_some(()));
    healed
}

#[test]
fn without_a_controller_a_host_is_healed_before_and_after_its_agents_restart_and_its_own() {
    let bench = three_hosts("t-alone", 9712);
    let before = names(&bench, "host1");
    let device = before.iter().find(|name| name.starts_with("vx")).expect("a VXLAN device").clone();
    let pings = bench.pinging(&[("host2", "web2", "10.1.0.13"), ("host3", "web3", "10.1.0.12")]);
    bench.lab().kill_controller().expect("the controller can be killed");

    let first = heal(&bench, &device, &before);
    bench.lab().kill_agent("host1").expect("an agent can be killed");
    bench.lab().start_agent("host1").expect("an agent can be started");
    let second = heal(&bench, &device, &before);

    bench.lab().kill_agent("host1").expect("an agent can be killed");
    wipe(&bench, "host1");
    let begin = Instant::now();
    bench.lab().start_agent("host1").expect("an agent can be started");
    until("workload back", HEALED_WITHIN, || bench.pings_at_once("host2.web2", "10.1.0.11").then_some(()));
    let rebooted = begin.elapsed();
    assert_eq!(names(&bench, "host1"), before);
    assert!(bench.nodes().contains(&"host1.web1".to_owned()));

    let begin = Instant::now();
    bench.lab().start_controller().expect("the controller can be started");
    bench.await_rest();
    let joined = begin.elapsed();
    let (sent, _) = no_loss(pings);
    println!(
        "controller away: healed in {first:.1?}, after the agent's restart in {second:.1?}; after a reboot its workload answers {rebooted:.1?} after the agent's start; the controller back, every host at rest after {joined:.1?}; {sent} pings elsewhere, none lost"
    );
}

#[test]
fn workloads_reach_each_other_over_an_underlay_of_ipv6() {
    let bench = Bench::up_as(LabSpec { hosts: 2, port: 9713, underlay: Underlay::Ipv6, ..spec("t-under6") });
    let network = bench.network("blue", "10.1.0.0/24");
    let subnet = json!({
        "network_id": network, "cidr": "2001:db8:1::/64", "ip_version": 6, "gateway_ip": null,
    });
    let _subnet = bench.http().create_id("subnets", &json!({ "subnet": subnet }));
    for number in 1..=2 {
        let addresses = [format!("10.1.0.1{number}"), format!("2001:db8:1::1{number}")];
        let _port = bench.http().create_id(
            "ports",
            &json!({ "port": {
                "network_id": network, "binding:host_id": format!("host{number}"),
                "binding:profile": { "namespace": format!("web{number}") },
                "fixed_ips": addresses.map(|address| json!({ "ip_address": address })),
            }}),
        );
    }
    bench.await_rest();
    for address in ["10.1.0.12", "2001:db8:1::12"] {
        let took = until("workloads reach each other", HEALED_WITHIN, || {
            bench.pings_at_once("host1.web1", address).then_some(())
        });
        println!("{address} over IPv6 after {:.1?}", took.1);
    }
    let devices = bench.ip_json("host1", "-d link show type vxlan");
    let data = &devices[0]["linkinfo"]["info_data"];
    assert_eq!((devices.len(), &data["local6"]), (1, &json!("2001:db8:ffff::1")), "{devices:?}");
    let entries = run(&format!("bridge -n {} fdb show", bench.namespace("host1")));
    assert!(entries.contains("dst 2001:db8:ffff::2"), "{entries}");
    assert!(!entries.contains("198.51.100."), "nothing goes by IPv4: {entries}");
}
