//! What is damaged by hand is seen, and mended alone; what is adopted is joined and let go, and never removed.

use crate::common::{
    Bench, address, await_plan, bridge, here, on, ours, plan, port, reach, run, state, tap, veth, vxlan,
};
use weft_dataplane::conformance::converge;
use weft_dataplane::{
    BridgeFdb, BridgePort, Driver, Flood, Neighbour, Object, PortRole, Route, RouteTo, State, Step, VxlanFdb,
};
use weft_linux::LinuxHost;

const MAC: &str = "02:00:00:00:00:11";

fn everything() -> State {
    let mac = MAC.parse().unwrap();
    let link = here("vx100");
    let remote = "192.0.2.2".parse().unwrap();
    let route = |destination: &str| {
        let to = RouteTo::link("tap1".parse().unwrap(), Some("198.51.100.9".parse().unwrap()));
        let destination = destination.parse().unwrap();
        Object::Route(Route { namespace: weft_dataplane::Namespace::Host, table: 1000, destination, to })
    };
    state([
        Object::Namespace("web1".parse().unwrap()),
        bridge("br-a"),
        bridge("br-b"),
        vxlan("vx100", 100, "127.0.0.1"),
        port("vx100", "br-a", PortRole::Tunnel),
        veth("tap0", on("web1", "eth0"), "02:00:00:00:00:01"),
        port("tap0", "br-a", PortRole::Workload),
        veth("tap1", on("web1", "eth1"), "02:00:00:00:00:02"),
        tap("vm0"),
        port("vm0", "br-b", PortRole::Workload),
        address(here("tap1"), "198.51.100.1/24"),
        address(here("tap1"), "198.51.100.2/24"),
        address(here("tap1"), "2001:db8::1/64"),
        Object::VxlanFdb(VxlanFdb { link: link.clone(), mac, destination: remote, vni: None }),
        Object::Flood(Flood { link: link.clone(), destination: remote, vni: None }),
        Object::BridgeFdb(BridgeFdb { link, mac }),
        Object::Neighbour(Neighbour { link: here("br-a"), address: "10.0.0.2".parse().unwrap(), mac }),
        Object::Neighbour(Neighbour { link: here("br-a"), address: "2001:db8:1::2".parse().unwrap(), mac }),
        route("203.0.113.0/24"),
        route("203.0.114.0/24"),
    ])
}

/// Each damage, and the steps that mend it.
const DAMAGES: &[(&str, &[&str])] = &[
    ("bridge fdb del 02:00:00:00:00:11 dev vx100 dst 192.0.2.2 self", &["+ vxlan-fdb"]),
    ("bridge fdb replace 02:00:00:00:00:11 dev vx100 dst 192.0.2.7 self static", &["~ vxlan-fdb"]),
    ("bridge fdb del 00:00:00:00:00:00 dev vx100 dst 192.0.2.2 self", &["+ flood"]),
    ("bridge fdb append 00:00:00:00:00:00 dev vx100 dst 192.0.2.9 self", &["- flood"]),
    ("bridge fdb del 02:00:00:00:00:11 dev vx100 master", &["+ bridge-fdb"]),
    ("bridge fdb replace 02:00:00:00:00:11 dev tap0 master static", &["+ bridge-fdb"]),
    ("ip neigh del 10.0.0.2 dev br-a", &["+ neighbour"]),
    ("ip neigh del 2001:db8:1::2 dev br-a", &["+ neighbour"]),
    ("ip addr del 198.51.100.2/24 dev tap1", &["+ address"]),
    ("ip addr del 2001:db8::1/64 dev tap1", &["+ address"]),
    ("ip route del 203.0.113.0/24 table 1000", &["+ route"]),
    ("ip link set tap0 mtu 1300", &["~ link"]),
    ("ip link set tap0 down", &["~ link"]),
    ("ip link set br-a mtu 1300", &["~ link"]),
    ("ip link set br-a type bridge stp_state 1", &["~ link"]),
    ("tc qdisc del dev br-a clsact", &["~ link"]),
    ("tc filter del dev br-a ingress prio 1", &["~ link"]),
    ("ip link set vx100 type vxlan id 100 learning", &["~ link"]),
    ("bridge link set dev vx100 learning on", &["~ bridge-port"]),
    ("bridge link set dev vx100 neigh_suppress off", &["~ bridge-port"]),
    ("bridge link set dev vx100 isolated off", &["~ bridge-port"]),
    ("bridge link set dev vx100 state 0", &["~ bridge-port"]),
    ("bridge link set dev tap0 learning off", &["~ bridge-port"]),
    ("bridge link set dev tap0 isolated on", &["~ bridge-port"]),
    ("bridge link set dev tap0 hairpin on", &["~ bridge-port"]),
    ("bridge link set dev tap0 locked on", &["~ bridge-port"]),
    ("bridge link set dev tap0 flood off", &["~ bridge-port"]),
    ("bridge link set dev tap0 mcast_flood off", &["~ bridge-port"]),
    ("bridge link set dev tap0 bcast_flood off", &["~ bridge-port"]),
    ("bridge link set dev tap0 state 0", &["~ bridge-port"]),
    ("ip link set tap0 nomaster", &["+ bridge-port"]),
    ("ip link del tap0", &["+ link", "+ bridge-port"]),
    ("ip link set tap1 down", &["~ link", "+ address", "+ route", "+ route"]),
    ("ip link del vm0", &["+ link", "+ bridge-port"]),
    ("ip link del br-b", &["+ link", "+ bridge-port"]),
    ("ip link del vx100", &["+ link", "+ bridge-port", "+ bridge-fdb", "+ vxlan-fdb", "+ flood"]),
];

pub(crate) fn check(host: &mut weft_linux::LinuxHost, want: &State, damage: &str, mend: &[&str]) {
    println!("{damage}");
    let plan = await_plan(host, want, |plan| plan.steps.len() >= mend.len());
    let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    let as_said =
        steps.len() == mend.len() && steps.iter().zip(mend).all(|(step, start)| step.starts_with(start));
    assert!(as_said, "after '{damage}':\n{plan}instead of {mend:?}");
    converge(host, want).unwrap_or_else(|error| panic!("after '{damage}': {error}"));
}

/// A host that has everything, and what that is.
fn complete(bench: &Bench) -> (State, LinuxHost) {
    let (want, mut host) = (everything(), bench.open("h"));
    converge(&mut host, &want).unwrap();
    (want, host)
}

#[test]
fn each_damage_is_seen_and_mended_alone() {
    let bench = Bench::new();
    bench.add_host("h");
    let n = bench.host("h");
    let (want, mut host) = complete(&bench);
    for (damage, mend) in DAMAGES {
        let (tool, rest) = damage.split_once(' ').unwrap();
        run(&format!("{tool} -n {n} {rest}"));
        check(&mut host, &want, damage, mend);
        let fresh = converge(&mut bench.open("h"), &want);
        assert_eq!(fresh, Ok(0), "a fresh look after '{damage}' was mended");
    }
}

#[test]
fn the_other_end_of_a_veth_is_mended_too() {
    let bench = Bench::new();
    bench.add_host("h");
    let workload = bench.named("h", "web1");
    let (want, mut host) = complete(&bench);
    for (damage, mend) in [
        ("link set eth0 address 02:00:00:00:00:99", &["~ link"][..]),
        ("link set eth0 mtu 1300", &["~ link"]),
        ("link set eth0 down", &["~ link"]),
        // Many a kernel renames only what is down.
        ("link set eth0 down; link set eth0 name eth9", &["- link", "+ link", "+ bridge-port"]),
        ("link del eth0", &["+ link", "+ bridge-port"]),
    ] {
        damage.split("; ").for_each(|damage| drop(run(&format!("ip -n {workload} {damage}"))));
        check(&mut host, &want, damage, mend);
    }
    run(&format!("ip netns del {workload}"));
    // The kernel takes its links away in its own time: they may be seen as damaged first, and as gone then.
    await_plan(&mut host, &want, |plan| plan.steps.iter().any(|step| step.to_string() == "+ namespace web1"));
    reach(&mut host, &want);
}

#[test]
fn a_link_of_somebody_elses_is_joined_and_let_go_and_never_removed() {
    let bench = Bench::new();
    bench.add_host("h");
    let n = bench.host("h");
    let mut host = bench.open("h");
    let adopted = |name: &str| {
        let adoption = Some(format!("weft.adopted.{name}").parse().unwrap());
        Object::BridgePort(BridgePort {
            link: here(name),
            bridge: "br-a".parse().unwrap(),
            role: PortRole::Workload,
            adoption,
        })
    };
    let want = state([
        bridge("br-a"),
        Object::ForeignLink(here("vm1")),
        Object::ForeignLink(here("ext0")),
        adopted("vm1"),
        adopted("ext0"),
    ]);
    converge(&mut host, &want).unwrap();
    assert_eq!(plan(&mut host, &want).waiting.len(), 4, "both wait");
    run(&format!("ip -n {n} tuntap add vm1 mode tap"));
    run(&format!("ip -n {n} link add ext0 type veth peer name ext1"));
    await_plan(&mut host, &want, |plan| plan.steps.len() == 2);
    converge(&mut host, &want).unwrap();
    let show = |name: &str| run(&format!("ip -n {n} link show {name}"));
    assert!(show("vm1").contains("master br-a") && show("vm1").contains("altname weft.adopted.vm1"));
    // Taken out by hand: put back. Its bridge gone: made again with it.
    run(&format!("ip -n {n} link set vm1 nomaster"));
    check(&mut host, &want, "nomaster", &["~ bridge-port"]);
    run(&format!("ip -n {n} link del br-a"));
    check(&mut host, &want, "link del br-a", &["+ link", "~ bridge-port", "~ bridge-port"]);
    // The bridge and the adoption end in one plan; the links stay.
    converge(&mut host, &State::default()).unwrap();
    assert_eq!(ours(&mut host), []);
    for name in ["vm1", "ext0"] {
        assert!(!show(name).contains("altname") && !show(name).contains("master"), "{}", show(name));
    }
    // Without a mark of adoption a link of somebody else's is not touched.
    let bare =
        state([bridge("br-a"), Object::ForeignLink(here("vm1")), port("vm1", "br-a", PortRole::Workload)]);
    let plan = plan(&mut host, &bare);
    assert!(host.apply(&plan).iter().any(Result::is_err));
    assert!(!show("vm1").contains("master"));
}

#[test]
fn a_refused_creation_leaves_the_link_in_its_place_as_it_was() {
    let bench = Bench::new();
    bench.add_host("h");
    let n = bench.host("h");
    let mut host = bench.open("h");
    let plan = plan(&mut host, &state([bridge("br-a"), tap("vm0"), vxlan("vx100", 100, "127.0.0.1")]));
    // Between the look and the change, somebody else takes the names.
    run(&format!("ip -n {n} link add br-a type veth peer name vm0"));
    run(&format!("ip -n {n} link add other type vxlan id 100 dstport 4789 local 127.0.0.1 nolearning"));
    let before = run(&format!("ip -n {n} link show"));
    let outcomes = host.apply(&plan);
    assert!(
        plan.steps.iter().all(|step| matches!(step, Step::Create(_))) && outcomes.iter().all(Result::is_err)
    );
    let reasons: Vec<String> =
        outcomes.iter().map(|outcome| outcome.as_ref().unwrap_err().to_string()).collect();
    assert!(reasons.iter().any(|reason| reason.contains("specified VNI already exists")), "{reasons:?}");
    assert_eq!(run(&format!("ip -n {n} link show")), before);
    assert_eq!(ours(&mut host), []);
}

#[test]
fn damage_that_was_lost_in_a_flood_of_events_is_seen_all_the_same() {
    let bench = Bench::new();
    bench.add_host("h");
    let n = bench.host("h");
    let (want, mut host) = complete(&bench);
    let route = |number: u32| {
        format!("route add unreachable 10.{}.{}.{}/32\n", number >> 16, number >> 8 & 255, number & 255)
    };
    let file = std::env::temp_dir().join(format!("{n}batch"));
    std::fs::write(&file, (0..120_000).map(route).collect::<String>()).unwrap();
    run(&format!("ip -n {n} -batch {}", file.display()));
    std::fs::remove_file(&file).unwrap();
    run(&format!("ip -n {n} neigh del 10.0.0.2 dev br-a"));
    run(&format!("bridge -n {n} fdb del 00:00:00:00:00:00 dev vx100 dst 192.0.2.2 self"));
    check(&mut host, &want, "flood", &["+ flood", "+ neighbour"]);
    assert_eq!(converge(&mut bench.open("h"), &want), Ok(0));
}

#[test]
fn an_address_is_changed_for_another_of_its_network_in_one_plan() {
    let bench = Bench::new();
    bench.add_host("h");
    let mut host = bench.open("h");
    let end = || on("web1", "eth0");
    let with = |on_tap: &str, on_end: &str| {
        state([
            Object::Namespace("web1".parse().unwrap()),
            veth("tap0", end(), "02:00:00:00:00:01"),
            Object::ForeignLink(end()),
            address(here("tap0"), on_tap),
            address(end(), on_end),
        ])
    };
    reach(&mut host, &with("198.51.100.1/24", "192.0.2.1/24"));
    converge(&mut host, &with("198.51.100.2/24", "192.0.2.2/24")).unwrap();
    converge(&mut host, &with("2001:db8::1/64", "192.0.2.3/24")).unwrap();
}
