//! What is damaged by hand on a host is healed within a second, alone; what is not ours survives everything.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use weft_lab::down;
use weft_system_tests::{Bench, rounds, run, try_run, until};

/// How long after the damage it may be there.
const HEALED_WITHIN: Duration = Duration::from_secs(1);

/// All that the agent answers for on a host: links with their indexes, forwarding entries, neighbours, addresses.
#[derive(Clone, Debug, PartialEq)]
struct Picture {
    links: BTreeMap<String, u64>,
    masters: BTreeMap<String, String>,
    entries: Vec<String>,
    neighbours: Vec<String>,
    addresses: Vec<String>,
    /// Of each port of a bridge and of each VXLAN device, what traffic depends on.
    flags: Vec<String>,
}

fn lines(rows: &[Value], fields: &[&str]) -> Vec<String> {
    let line = |row: &Value| {
        let texts = fields.iter().map(|field| row[*field].as_str().unwrap_or_default().to_owned());
        texts.collect::<Vec<_>>().join(" ")
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.sort();
    lines
}

fn picture(bench: &Bench) -> Picture {
    let neighbours = bench.ip_json("host1", "neigh show nud permanent");
    let mut links = bench.all_links();
    links.retain(|name, _| name.starts_with("host1"));
    let master =
        |link: &Value| Some((link["ifname"].as_str()?.to_owned(), link["master"].as_str()?.to_owned()));
    let masters = bench.ip_json("host1", "link show").iter().filter_map(master).collect();
    let addresses = bench.ip_json("host1.web1", "addr show dev eth0");
    let of_web: Vec<Value> =
        addresses.iter().filter_map(|link| link["addr_info"].as_array().cloned()).flatten().collect();
    Picture {
        links,
        masters,
        entries: bench.static_fdb("host1"),
        neighbours: lines(&neighbours, &["dst", "dev", "lladdr"]),
        addresses: lines(&of_web, &["local", "scope"]),
        flags: flags(bench),
    }
}

fn flags(bench: &Bench) -> Vec<String> {
    let ports = bench.bridge_json("host1", "-details link show");
    let names = [
        "state",
        "hairpin",
        "learning",
        "flood",
        "mcast_flood",
        "bcast_flood",
        "neigh_suppress",
        "isolated",
        "locked",
    ];
    let port = |port: &Value| {
        let flags =
            names.iter().filter(|name| !port[**name].is_null()).map(|name| format!("{name} {}", port[*name]));
        format!("{}: {}", port["ifname"], flags.collect::<Vec<_>>().join(", "))
    };
    let tunnels = bench.ip_json("host1", "-d link show type vxlan");
    let tunnel =
        |link: &Value| format!("{}: learning {}", link["ifname"], link["linkinfo"]["info_data"]["learning"]);
    let mut flags: Vec<String> = ports.iter().map(port).chain(tunnels.iter().map(tunnel)).collect();
    flags.sort();
    flags
}

/// Two networks, a workload of each on either host.
fn two_hosts(name: &str, port: u16) -> Bench {
    let bench = Bench::up(name, 2, port);
    for (network, cidr, at) in [("blue", "10.1.0.0/24", "10.1.0.1"), ("red", "10.2.0.0/24", "10.2.0.1")] {
        let id = bench.network(network, cidr);
        let name = if network == "blue" { "web" } else { "db" };
        for number in 1..=2 {
            let _port = bench.workload(
                &id,
                &format!("host{number}"),
                &format!("{name}{number}"),
                &format!("{at}{number}"),
            );
        }
    }
    bench.await_rest();
    until("workloads reach each other", Duration::from_secs(5), || {
        bench.pings_at_once("host1.web1", "10.1.0.12").then_some(())
    });
    bench
}

/// A damage: what it is called, the command, in how many steps it is healed, and which links are others then.
struct Damage {
    what: &'static str,
    command: String,
    steps: u64,
    /// Links that are made anew: all others keep their index.
    renewed: Vec<String>,
}

/// The names of blue's objects on host 1.
struct Blue {
    bridge: String,
    tunnel: String,
    tap: String,
    mac: String,
}

fn blue(bench: &Bench) -> Blue {
    let network = bench.http().list("networks?name=blue")[0].clone();
    let port = |name: &str| bench.http().list(&format!("ports?name={name}"))[0].clone();
    let far = port("web2");
    Blue {
        bridge: format!("br-{}", &network["id"].as_str().expect("an id")[..11]),
        tunnel: format!("vx{}", network["provider:segmentation_id"]),
        tap: format!("tap{}", &port("web1")["id"].as_str().expect("an id")[..11]),
        mac: far["mac_address"].as_str().expect("a MAC address").to_owned(),
    }
}

fn damages(bench: &Bench) -> Vec<Damage> {
    let Blue { bridge, tunnel, tap, mac } = blue(bench);
    let vni = tunnel.trim_start_matches("vx");
    let (host, web) = (bench.namespace("host1"), bench.namespace("host1.web1"));
    let in_host = |link: &str| format!("host1/{link}");
    let damage = |what, steps, command: String, renewed: &[String]| Damage {
        what,
        command,
        steps,
        renewed: renewed.to_vec(),
    };
    let entry = |rest: &str| format!("bridge -n {host} fdb del {rest}");
    let port = |rest: &str| format!("bridge -n {host} link set dev {rest}");
    vec![
        // Itself, its two ports, an entry and a neighbour.
        damage("a bridge", 5, format!("ip -n {host} link del {bridge}"), &[in_host(&bridge)]),
        // Itself, its port, and an entry of each kind.
        damage("a VXLAN device", 5, format!("ip -n {host} link del {tunnel}"), &[in_host(&tunnel)]),
        damage("a tunnel's entry", 1, entry(&format!("{mac} dev {tunnel} dst 198.51.100.2 self")), &[]),
        damage("a bridge's entry", 1, entry(&format!("{mac} dev {tunnel} master")), &[]),
        damage(
            "a flood entry",
            1,
            entry(&format!("00:00:00:00:00:00 dev {tunnel} dst 198.51.100.2 self")),
            &[],
        ),
        damage("a neighbour", 1, format!("ip -n {host} neigh del 10.1.0.12 dev {bridge}"), &[]),
        damage("an address in a workload", 1, format!("ip -n {web} address del 10.1.0.11/24 dev eth0"), &[]),
        damage("a link's place in a bridge", 2, format!("ip -n {host} link set {tunnel} nomaster"), &[]),
        damage(
            "a tunnel that learns",
            1,
            format!("ip -n {host} link set {tunnel} type vxlan id {vni} learning"),
            &[],
        ),
        damage("a port that is isolated", 1, port(&format!("{tap} isolated on")), &[]),
        damage("a tunnel's port that is not isolated", 1, port(&format!("{tunnel} isolated off")), &[]),
        damage("a port that sends back", 1, port(&format!("{tap} hairpin on")), &[]),
        damage("a port that is not flooded to", 1, port(&format!("{tap} bcast_flood off")), &[]),
        damage("a port that is disabled", 1, port(&format!("{tap} state disabled")), &[]),
    ]
}

/// How many steps the agent of host 1 has logged.
fn steps_done(bench: &Bench) -> u64 {
    let log = bench.log("host1");
    let counts = log.split("steps_done=").skip(1);
    counts.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum()
}

fn is_healed(now: &Picture, before: &Picture, renewed: &[String]) -> bool {
    let names = |picture: &Picture| picture.links.keys().cloned().collect::<Vec<_>>();
    let untouched = |picture: &Picture| {
        let mut links = picture.links.clone();
        links.retain(|name, _| !renewed.contains(name));
        links
    };
    assert_eq!(untouched(now), untouched(before), "only {renewed:?} may be made anew");
    names(now) == names(before) && Picture { links: before.links.clone(), ..now.clone() } == *before
}

#[test]
fn each_damage_is_healed_within_a_second_and_nothing_else_is_touched() {
    let bench = two_hosts("t-heal", 9721);
    let other_links = |bench: &Bench| {
        let mut links = bench.all_links();
        links.retain(|name, _| name.starts_with("host2"));
        links
    };
    let (foreign_pings, far) = (bench.pinging(&[("host1", "db1", "10.2.0.12")]), other_links(&bench));
    let all = (0..rounds(1)).flat_map(|_| damages(&bench));
    for Damage { what, command, steps, renewed } in all {
        let (before, steps_before) = (picture(&bench), steps_done(&bench));
        run(&command);
        let healed =
            until(what, HEALED_WITHIN, || is_healed(&picture(&bench), &before, &renewed).then_some(())).1;
        for name in &renewed {
            assert_ne!(
                picture(&bench).links[name],
                before.links[name],
                "{name} was deleted and is another one"
            );
        }
        until("reached again", Duration::from_secs(5), || {
            bench.pings_at_once("host1.web1", "10.1.0.12").then_some(())
        });
        until("the agent has logged it", HEALED_WITHIN, || {
            (steps_done(&bench) - steps_before >= steps).then_some(())
        });
        assert_eq!(steps_done(&bench) - steps_before, steps, "steps to heal {what}");
        println!("healed {what}: {healed:.1?}, {steps} steps");
    }
    assert_eq!(other_links(&bench), far, "the other host has no part in it");
    bench.await_rest();
    let (sent, _) = weft_system_tests::no_loss(foreign_pings);
    println!("{sent} pings in the network beside, none lost");
}

/// Makes what an operator could have on a host: a bridge with an address, an address on `lo`, a route.
fn make_foreign(bench: &Bench) {
    for command in [
        "link add br-mine type bridge",
        "link set br-mine up",
        "address add 192.0.2.1/24 dev br-mine",
        "address add 192.0.2.200/32 dev lo",
        "route add 203.0.113.0/24 dev br-mine",
    ] {
        bench.ip("host1", command);
    }
}

fn foreign(namespace: &str) -> String {
    let show = |arguments: &str| run(&format!("ip -n {namespace} {arguments}"));
    let mut text = show("-o address show");
    text.retain(|c| c != '\r');
    let addresses = text.lines().filter(|line| line.contains("192.0.2."));
    let addresses = addresses.map(|line| line.split_whitespace().take(4).collect::<Vec<_>>().join(" "));
    let routes = show("route show 203.0.113.0/24");
    [addresses.collect::<Vec<_>>().join("\n"), routes].join("\n")
}

#[test]
fn a_foreign_bridge_and_foreign_addresses_survive_agents_damage_and_the_end_of_all_networks() {
    let bench = two_hosts("t-mine", 9722);
    make_foreign(&bench);
    let host = bench.namespace("host1");
    let (before, index) = (foreign(&host), bench.links("host1")["br-mine"]);
    let Blue { bridge, .. } = blue(&bench);
    bench.ip("host1", &format!("link del {bridge}"));
    bench.await_rest();
    bench.lab().kill_agent("host1").expect("an agent can be killed");
    bench.start_agents(&["host1".to_owned()]);
    bench.await_rest();
    let http = bench.http();
    for kind in ["ports", "networks"] {
        for one in http.list(kind) {
            http.delete(kind, one["id"].as_str().expect("an id"));
        }
    }
    bench.await_rest();
    let mut left: Vec<String> = bench.links("host1").into_keys().collect();
    left.sort();
    assert_eq!(left, ["br-mine", "lo", "mgmt0", "underlay0"], "all of ours is gone, and nothing else");
    assert_eq!((foreign(&host), bench.links("host1")["br-mine"]), (before, index));
    println!("foreign: {}", foreign(&host).replace('\n', "; "));
}

/// What is on the machine itself, not in a lab's namespace.
struct Mine;

impl Mine {
    fn new() -> Self {
        let mine = Self;
        for command in [
            "link add weft-t-mine type bridge",
            "address add 192.0.2.77/32 dev weft-t-mine",
            "address add 192.0.2.78/32 dev lo",
        ] {
            run(&format!("ip {command}"));
        }
        mine
    }
}

impl Drop for Mine {
    fn drop(&mut self) {
        for command in ["link del weft-t-mine", "address del 192.0.2.78/32 dev lo"] {
            // Either is there, or the test says what became of it.
            let _ = try_run(&format!("ip {command}"));
        }
    }
}

#[test]
fn what_is_not_the_labs_survives_its_being_taken_down() {
    let _mine = Mine::new();
    let links = || -> Vec<String> {
        let text = run("ip -o link show");
        let names = text.lines().filter_map(|line| line.split(": ").nth(1).map(str::to_owned));
        // Those of labs come and go, be they ours or another's.
        names.filter(|name| !name.starts_with("wl")).collect()
    };
    let (before, addresses) = (links(), || run("ip -o address show to 192.0.2.0/24"));
    let addresses_before = addresses();
    let bench = two_hosts("t-down", 9723);
    let has_link = || run("ip link show").contains(&format!("weft-lab.{}.", bench.lab().name()));
    assert!(has_link(), "the lab has a link of its own here");
    assert!(down(bench.lab().name(), |_| {}).expect("the lab can be taken down"));
    assert!(!has_link(), "and it is gone");
    assert_eq!(links(), before);
    assert_eq!(addresses(), addresses_before);
    assert!(bench.nodes().is_empty(), "no namespace of the lab is left");
}
