//! What a workload sends to one MAC address is taken past its bridge, and nothing else is.

use weft_dataplane::conformance::converge;
use weft_dataplane::{Driver, LinkKind, Object, PortRole, STEERED_ADDRESSES_MAX, State, Steering};

use super::{answers, ping, site};
use crate::common::{Bench, address, here, link, on, port, reach, run, state, veth};

const MAC: &str = "02:00:00:00:00:77";

/// A workload with its gateway, another one on the same bridge, and what it is steered to.
fn wanted(steered: bool) -> State {
    let a = site('a', 1);
    let (lb, spy) = (on("lb", "eth0"), on("spy", "eth0"));
    let mut objects = a.local();
    objects.extend([
        Object::Namespace("lb".parse().unwrap()),
        link(here("st0"), 1400, LinkKind::Veth { peer: lb.clone(), peer_mac: MAC.parse().unwrap() }),
        Object::ForeignLink(lb.clone()),
        address(lb.clone(), "10.1.0.77/24"),
        address(lb, "2001:db8:1::77/64"),
        Object::Namespace("spy".parse().unwrap()),
        veth("tap-spy", spy.clone(), "02:00:00:00:00:78"),
        port("tap-spy", "br-a", PortRole::Workload),
        Object::ForeignLink(spy.clone()),
        address(spy, "10.1.0.78/24"),
    ]);
    objects.extend(steered.then(|| {
        Object::Steering(Steering {
            link: here("tap-a"),
            mac: MAC.parse().unwrap(),
            addresses: vec!["10.1.0.77".parse().unwrap(), "2001:db8:1::77".parse().unwrap()],
            to: here("st0"),
        })
    }));
    state(objects)
}

#[test]
fn what_is_steered_passes_the_bridge_by_and_nothing_else_does() {
    let bench = Bench::new();
    bench.add_host("h");
    let mut host = bench.open("h");
    let web = bench.named("h", "web-a");
    reach(&mut host, &wanted(true));
    assert!(answers(&web, "10.1.0.77") && answers(&web, "2001:db8:1::77"), "what is steered to answers");
    assert!(answers(&web, "10.1.0.78") && answers(&web, "10.1.0.1"), "the others are in the bridge as ever");
    let fdb = run(&format!("bridge -n {} fdb show br br-a", bench.host("h")));
    assert!(!fdb.contains(MAC), "the bridge has never seen it: {fdb}");
    assert!(!answers(&bench.named("h", "spy"), "10.1.0.77"), "another workload is not steered");
    // Its owner's filters stay beside ours.
    let n = bench.host("h");
    run(&format!("tc -n {n} filter add dev tap-a ingress prio 7 protocol ip u32 match u32 0 0 classid 1:1"));
    reach(&mut host, &wanted(false));
    run(&format!("ip -n {web} neigh flush all"));
    assert!(ping(&web, "10.1.0.77", "").contains("100% packet loss"));
    let filters = run(&format!("tc -n {n} filter show dev tap-a ingress"));
    assert!(filters.contains("pref 7 ") && !filters.contains("pref 217 "), "{filters}");
}

#[test]
fn as_many_addresses_are_steered_as_there_is_room_for_and_more_are_refused() {
    let bench = Bench::new();
    bench.add_host("h");
    let mut host = bench.open("h");
    let with = |count: usize| {
        let mut all = wanted(true);
        let addresses = (0..count).map(|nth| format!("2001:db8:1::77:{nth:x}").parse().unwrap()).collect();
        let steering =
            Steering { link: here("tap-a"), mac: MAC.parse().unwrap(), addresses, to: here("st0") };
        all.insert(Object::Steering(steering));
        all
    };
    let full = with(STEERED_ADDRESSES_MAX);
    reach(&mut host, &full);
    assert_eq!(converge(&mut bench.open("h"), &full), Ok(0), "a fresh look");
    let plan = crate::common::plan(&mut host, &with(STEERED_ADDRESSES_MAX + 1));
    let outcomes = host.apply(&plan);
    let refused: Vec<String> =
        outcomes.iter().filter_map(|outcome| Some(outcome.as_ref().err()?.to_string())).collect();
    assert_eq!(refused, [format!("at most {STEERED_ADDRESSES_MAX} addresses are steered")], "{plan}");
    assert_eq!(converge(&mut host, &full), Ok(0), "what was there stays");
}
