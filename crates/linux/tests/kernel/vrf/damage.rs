//! What is damaged of a VRF by hand is seen, and mended alone.

use weft_dataplane::conformance::converge;
use weft_dataplane::{Driver, INGRESS_TABLE, LinkKind, Object, Route, RouteTo, State, Steering};
use weft_linux::VrfMode;

use super::site;
use crate::common::{Bench, address, await_rest, here, link, on, plan, reach, run, state};
use crate::damage::check;
use crate::traffic::wired;

/// A VRF with a bit of everything.
fn everything() -> State {
    let (a, far) = (site('a', 1), site('b', 2));
    let mut objects = a.objects();
    objects.extend(a.towards(far));
    objects.push(a.route("10.7.0.0/24", RouteTo::Unreachable));
    objects.push(a.route("2001:db8:7::/64", RouteTo::Blackhole));
    objects.push(Object::ProxyArp(a.inside(&a.gw())));
    objects.push(Object::Ingress(a.inside(&a.vx())));
    let Object::Route(local) = a.route("10.1.0.5/32", RouteTo::link(a.gw().parse().unwrap(), None)) else {
        unreachable!("it is a route")
    };
    objects.push(Object::Route(Route { table: INGRESS_TABLE, ..local }));
    objects.push(Object::ProxyNeighbour(a.inside(&a.gw()), "10.1.0.9".parse().unwrap()));
    objects.push(Object::ProxyNeighbour(a.inside(&a.gw()), "2001:db8:1::9".parse().unwrap()));
    let peer = on(&a.web(), "eth9");
    objects.push(link(
        here("st0"),
        1400,
        LinkKind::Veth { peer: peer.clone(), peer_mac: "02:00:00:00:00:77".parse().unwrap() },
    ));
    objects.push(Object::ForeignLink(peer.clone()));
    objects.push(address(peer, "198.51.100.7/32"));
    objects.push(Object::Steering(Steering {
        link: here("tap-a"),
        mac: "02:00:00:00:00:77".parse().unwrap(),
        addresses: vec!["10.1.0.77".parse().unwrap(), "2001:db8:1::77".parse().unwrap()],
        to: here("st0"),
    }));
    state(objects)
}

/// Each damage, where (`v`: in the VRF, `h`: on the host), and the steps that mend it. `TABLE` is the VRF's, where it has a
/// number.
const DAMAGES: &[(char, &str, &[&str])] = &[
    ('v', "ip neigh del fe80::2:ff:fe00:1 dev vx5001", &["+ neighbour"]),
    (
        'v',
        "ip neigh replace fe80::2:ff:fe00:1 lladdr 02:00:00:00:00:99 dev vx5001 nud permanent protocol 217",
        &["~ neighbour"],
    ),
    ('v', "bridge fdb del 02:00:00:02:00:02 dev vx5001 dst 192.0.2.2 vni 5002 self", &["+ vxlan-fdb"]),
    (
        'v',
        "bridge fdb replace 02:00:00:02:00:02 dev vx5001 dst 192.0.2.2 vni 77 self static",
        &["~ vxlan-fdb"],
    ),
    ('v', "bridge fdb replace 02:00:00:02:00:01 dev vx5001 dst 192.0.2.9 self static", &["~ vxlan-fdb"]),
    ('v', "ip link set vx5001 address 02:00:00:00:00:99", &["~ link", "+ neighbour", "+ neighbour"]),
    ('v', "ip link set vx5001 mtu 1300", &["~ link"]),
    ('v', "ip route del 10.2.0.5/32 TABLE", &["+ route"]),
    ('v', "ip route replace 10.2.0.5/32 TABLE dev gw-a proto 217", &["~ route"]),
    ('v', "ip route replace blackhole 10.2.0.5/32 TABLE proto 217", &["~ route"]),
    ('v', "ip route replace 10.2.0.5/32 TABLE proto 217 nexthop dev gw-a nexthop dev vx5001", &["~ route"]),
    ('v', "ip route del unreachable 10.7.0.0/24 TABLE", &["+ route"]),
    ('v', "ip -6 route del blackhole 2001:db8:7::/64 TABLE", &["+ route"]),
    ('v', "ip -6 route del 2001:db8:2::5/128 TABLE", &["+ route"]),
    ('v', "ip route del 10.1.0.5/32 INGRESS", &["+ route"]),
    // The kernel takes all routes along that name them.
    ('v', "ip nexthop flush dev vx5001", &["+ route", "+ route"]),
    ('v', "ip link set vx5001 down", &["~ link", "+ neighbour", "+ neighbour", "+ route", "+ route"]),
    ('v', "set ipv4/conf/vx5001/forwarding 0", &["~ link"]),
    ('v', "set ipv6/conf/vx5001/forwarding 0", &["~ link"]),
    ('v', "set ipv4/conf/gw-a/forwarding 0", &["~ link"]),
    ('v', "set ipv4/conf/gw-a/proxy_arp 0", &["+ proxy-arp"]),
    ('v', "ip link set gw-a address 02:00:00:00:00:99", &["~ link"]),
    ('v', "ip addr del 2001:db8:1::1/64 dev gw-a", &["+ address"]),
    ('h', "bridge link set dev gb-a isolated off", &["~ bridge-port"]),
    ('h', "bridge link set dev gb-a learning on", &["~ bridge-port", "+ bridge-fdb"]),
    ('h', "bridge fdb del 00:00:5e:00:01:01 dev gb-a master", &["+ bridge-fdb"]),
    ('h', "tc filter del dev tap-a ingress prio 217", &["+ steering"]),
    ('h', "tc filter del dev st0 ingress prio 217", &["~ steering"]),
    ('h', "tc qdisc del dev tap-a clsact", &["+ steering"]),
];

const OF_NAMESPACES: &[(char, &str, &[&str])] = &[
    (
        'v',
        "ip link del vx5001",
        &["+ link", "+ vxlan-fdb", "+ vxlan-fdb", "+ neighbour", "+ neighbour", "+ route", "+ route"],
    ),
    ('v', "ip rule del pref 217", &["+ ingress"]),
    ('v', "ip -6 rule del pref 217", &["+ ingress"]),
    ('v', "ip route del unreachable default table 217 metric 4278198272", &["~ vrf"]),
    ('v', "ip -6 route del unreachable default table 217 metric 4278198272", &["~ vrf"]),
    ('v', "set ipv4/ip_forward 0", &["~ vrf", "~ link", "~ link"]),
    ('v', "set ipv6/conf/all/forwarding 0", &["~ vrf", "~ link", "~ link"]),
];

const OF_DEVICES: &[(char, &str, &[&str])] = &[
    (
        'h',
        "ip link del vx5001",
        // With the link goes what marks what comes in by it.
        &[
            "+ link",
            "+ vxlan-fdb",
            "+ vxlan-fdb",
            "+ neighbour",
            "+ neighbour",
            "+ ingress",
            "+ route",
            "+ route",
        ],
    ),
    ('h', "ip rule del pref 217", &["+ ingress"]),
    ('h', "ip -6 rule del pref 217", &["~ vrf"]),
    ('h', "tc filter del dev vx5001 ingress prio 217", &["+ ingress"]),
    ('h', "tc qdisc del dev vx5001 clsact", &["+ ingress"]),
    ('h', "ip route del local 10.1.0.1 table 1000001001", &["+ address"]),
    ('h', "ip -6 route del local 2001:db8:1::1 table 1000001001", &["+ address"]),
    ('h', "ip route del unreachable default table 1001 metric 4278198272", &["~ vrf"]),
    ('h', "ip -6 route del unreachable default table 1001 metric 4278198272", &["~ vrf"]),
    ('h', "ip route del unreachable default table 1000001001 metric 4278198272", &["~ vrf"]),
    ('h', "ip -6 route del unreachable default table 1000001001 metric 4278198272", &["~ vrf"]),
    ('h', "ip rule add pref 0 table local", &["~ vrf"]),
    ('h', "ip -6 rule add pref 0 table local", &["~ vrf"]),
    ('h', "ip link set vrf-a down", &["~ vrf"]),
];

fn each_damage(mode: VrfMode) {
    let bench = Bench::with(mode);
    wired(&bench);
    let (want, mut host) = (everything(), bench.open("a"));
    reach(&mut host, &want);
    let (of_mode, place, table, ingress) = match mode {
        VrfMode::Namespace => (OF_NAMESPACES, bench.named("a", "vrf-a"), "", "table 217"),
        VrfMode::Device => (OF_DEVICES, bench.host("a"), "table 1001", "table 1000001001"),
    };
    for (place_of, damage, mend) in DAMAGES.iter().chain(of_mode) {
        let n = if *place_of == 'v' { place.clone() } else { bench.host("a") };
        let command = damage.replace("TABLE", table).replace("INGRESS", ingress);
        match command.split_once(' ').unwrap() {
            ("set", rest) => {
                let (name, value) = rest.split_once(' ').unwrap();
                crate::talk::inside(&n, || std::fs::write(format!("/proc/sys/net/{name}"), value).unwrap());
            }
            (tool, rest) => drop(run(&format!("{tool} -n {n} {rest}"))),
        }
        check(&mut host, &want, damage, mend);
        assert_eq!(converge(&mut bench.open("a"), &want), Ok(0), "a fresh look after '{damage}' was mended");
    }
}

fn what_no_event_tells_is_seen_when_it_is_looked_for(mode: VrfMode) {
    let bench = Bench::with(mode);
    wired(&bench);
    let (want, mut host) = (everything(), bench.open("a"));
    reach(&mut host, &want);
    let place = if mode == VrfMode::Namespace { bench.named("a", "vrf-a") } else { bench.host("a") };
    run(&format!("ip -n {place} neigh del proxy 10.1.0.9 dev gw-a"));
    host.resync();
    check(&mut host, &want, "a proxy is gone", &["+ proxy-neighbour"]);
    // The kernel tells of this, but not when another is changing links.
    crate::talk::inside(&place, || std::fs::write("/proc/sys/net/ipv6/conf/gw-a/proxy_ndp", "0").unwrap());
    host.resync();
    check(&mut host, &want, "proxying is off", &["+ proxy-neighbour"]);
    crate::talk::inside(&place, || {
        std::fs::write("/proc/sys/net/ipv4/fib_multipath_hash_policy", "0").unwrap()
    });
    host.resync();
    check(&mut host, &want, "another hash", &["~ vrf"]);
    // A VRF that is gone as a whole is made again as a whole.
    match mode {
        VrfMode::Namespace => run(&format!("ip netns del {place}")),
        VrfMode::Device => run(&format!("ip -n {place} link del vrf-a")),
    };
    host.resync();
    // The kernel takes what was in it away in its own time.
    await_rest(&mut host, &want);
    assert_eq!(crate::common::plan(&mut bench.open("a"), &want).to_string(), "");
    let plan = plan(&mut host, &State::default());
    assert!(host.apply(&plan).iter().all(Result::is_ok), "{plan}");
    assert_eq!(crate::common::ours(&mut host), []);
}

/// Some kernels take what a link answers for away with its carrier, all with its last address, and none says so.
fn what_is_answered_for_outlives_what_takes_it_away(mode: VrfMode) {
    let bench = Bench::with(mode);
    wired(&bench);
    let (want, mut host) = (everything(), bench.open("a"));
    reach(&mut host, &want);
    let place = if mode == VrfMode::Namespace { bench.named("a", "vrf-a") } else { bench.host("a") };
    let of_kernel = || run(&format!("ip -n {place} neigh show proxy dev gw-a"));
    let is_whole = |shown: &str| shown.contains("10.1.0.9") && shown.contains("2001:db8:1::9");
    for taking in [
        // With its last address an interface loses its neighbours of that version.
        "-4 addr flush dev gw-a",
        // Down and up before anybody has looked, it is as it was.
        "link set gw-a down",
        "link set gw-a up",
    ] {
        run(&format!("ip -n {place} {taking}"));
        // What is taken, with an event about the link that is as it was: no step is due but for what is gone.
        await_rest(&mut host, &want);
        assert!(is_whole(&of_kernel()), "after '{taking}': {}", of_kernel());
    }
    for family in ["10.1.0.9", "2001:db8:1::9"] {
        run(&format!("ip -n {place} neigh del proxy {family} dev gw-a"));
    }
    // Any change of the link makes it be looked at.
    run(&format!("ip -n {place} link set gw-a txqueuelen 999"));
    check(&mut host, &want, "both are gone", &["+ proxy-neighbour", "+ proxy-neighbour"]);
    assert!(is_whole(&of_kernel()), "{}", of_kernel());
}

in_both_modes! {
    what_is_answered_for_outlives_what_takes_it_away => super::what_is_answered_for_outlives_what_takes_it_away,
    each_damage_is_seen_and_mended_alone => super::each_damage,
    what_no_event_tells_is_seen_when_it_is_looked_for => super::what_no_event_tells_is_seen_when_it_is_looked_for,
}
