//! The laws of every driver, on the kernel.

use crate::common::{Bench, address, here, ours, plan, run, state, try_run};
use weft_dataplane::conformance::{converge, random_state};
use weft_dataplane::{Driver, Object, State};
use weft_linux::VrfMode;

/// How many states are gone through, one after the other.
const STATES: u64 = 36;

crate::vrf::in_both_modes! {
    from_any_state_to_any_other_and_what_the_mirror_says_is_what_a_dump_says => super::from_any_state_to_any_other,
}

fn from_any_state_to_any_other(mode: VrfMode) {
    let bench = Bench::with(mode);
    bench.add_host("h");
    let mut host = bench.open("h");
    let capabilities = host.capabilities();
    for seed in weft_soak::seeds(STATES) {
        let want = random_state(seed, "n", |capability| capabilities.contains(&capability));
        converge(&mut host, &want).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let mirrored = host.observe().unwrap().clone();
        assert_eq!(bench.open("h").observe().unwrap(), &mirrored, "seed {seed}");
        let there: State = mirrored.iter().map(|(_, o)| o.clone()).filter(|o| !o.is_foreign()).collect();
        assert_eq!(there, want, "seed {seed}");
    }
    converge(&mut host, &State::default()).unwrap();
    assert_eq!(ours(&mut host), []);
    let links = run(&format!("ip -n {} -o link show", bench.host("h")));
    assert_eq!(links.lines().count(), 1, "only lo is left: {links}");
    let left = std::fs::read_dir("/run/netns").unwrap().flatten();
    let prefix = bench.named("h", "");
    assert_eq!(left.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix)).count(), 0);
}

#[test]
fn what_belongs_to_others_survives_everything() {
    let bench = Bench::new();
    bench.add_host("h");
    let n = bench.host("h");
    run(&format!("ip -n {n} link add docker0 type bridge"));
    run(&format!("ip -n {n} link set docker0 addrgenmode none"));
    run(&format!("ip -n {n} addr add 172.17.0.1/16 dev docker0"));
    run(&format!("ip -n {n} link set docker0 up"));
    run(&format!("ip -n {n} link add theirs type veth peer name theirs-peer"));
    run(&format!("ip -n {n} link set theirs master docker0 up"));
    run(&format!("ip -n {n} route add 192.0.2.0/24 dev docker0"));
    run(&format!("ip -n {n} neigh add 172.17.0.9 lladdr 02:00:00:00:00:09 dev docker0 nud permanent"));
    let look = || {
        let show = |what: &str| run(&format!("ip -n {n} {what}"));
        // Whether the link has a carrier yet is not ours to do either.
        let routes = show("route show dev docker0").replace(" linkdown", "");
        [show("-o addr show docker0"), routes, show("neigh show dev docker0")]
    };
    let before = look();
    let mut host = bench.open("h");
    let capabilities = host.capabilities();
    for seed in weft_soak::seeds(6) {
        let mut want = random_state(seed, "n", |capability| capabilities.contains(&capability));
        want.insert(Object::ForeignLink(here("docker0")));
        want.insert(address(here("docker0"), "198.18.0.1/32"));
        converge(&mut host, &want).unwrap();
    }
    assert!(run(&format!("ip -n {n} addr show docker0")).contains("198.18.0.1"));
    converge(&mut host, &State::default()).unwrap();
    assert_eq!(ours(&mut host), []);
    assert_eq!(look(), before);
    assert!(run(&format!("ip -n {n} link show theirs")).contains("master docker0"));
}

#[test]
fn a_restart_changes_nothing() {
    let bench = Bench::new();
    bench.add_host("h");
    let mut host = bench.open("h");
    let capabilities = host.capabilities();
    let want = (0..20)
        .map(|seed| random_state(seed, "n", |capability| capabilities.contains(&capability)))
        .max_by_key(State::len)
        .unwrap();
    converge(&mut host, &want).unwrap();
    assert!(host.writes() > 0);
    drop(host);
    let mut host = bench.open("h");
    let plan = plan(&mut host, &want);
    assert!(plan.is_at_rest(), "{plan}");
    assert!(host.apply(&plan).is_empty());
    assert_eq!(host.writes(), 0);
}

#[test]
fn a_namespace_without_our_mark_is_not_ours() {
    let bench = Bench::new();
    bench.add_host("h");
    let theirs = bench.named("h", "n0");
    run(&format!("ip netns add {theirs}"));
    let mut host = bench.open("h");
    assert_eq!(ours(&mut host), []);
    let want = state([Object::Namespace("n0".parse().unwrap())]);
    let plan = plan(&mut host, &want);
    let outcomes = host.apply(&plan);
    let reason = outcomes[0].as_ref().unwrap_err().to_string();
    assert!(reason.contains("does not bear our mark"), "{reason}");
    converge(&mut host, &State::default()).unwrap();
    assert!(try_run(&format!("ip -n {theirs} link show lo")).is_ok());
}

#[test]
fn the_link_under_a_tunnel_is_told_with_its_mtu() {
    let bench = Bench::new();
    bench.add_host("h");
    let n = bench.host("h");
    run(&format!("ip -n {n} link add up0 mtu 1450 type veth peer name up1"));
    run(&format!("ip -n {n} addr add 192.0.2.1/24 dev up0"));
    let host = bench.open("h");
    assert_eq!(host.underlay("192.0.2.1".parse().unwrap()), Some(("up0".parse().unwrap(), 1450)));
    assert_eq!(host.underlay("192.0.2.2".parse().unwrap()), None);
}
