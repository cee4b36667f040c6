//! How many neighbours a host keeps, and how many of them can be one tenant's doing.

use std::fs;

use weft_dataplane::conformance::converge;
use weft_linux::{Config, LinuxHost, VrfMode};

use crate::common::{Bench, await_plan, reach, run, state};
use crate::vrf::site;

fn limits(name: &str) -> [u32; 2] {
    ["ipv4", "ipv6"].map(|family| {
        let text = fs::read_to_string(format!("/proc/sys/net/{family}/neigh/default/{name}")).unwrap();
        text.trim().parse().unwrap()
    })
}

fn a_limit_that_was_taken_away_is_put_back(mode: VrfMode) {
    let bench = Bench::with(mode);
    bench.add_host("h");
    let mut host = bench.open("h");
    let want = state(site('a', 1).local());
    reach(&mut host, &want);
    let place = if mode == VrfMode::Namespace { bench.named("h", "vrf-a") } else { bench.host("h") };
    let shown = || run(&format!("tc -n {place} -s filter show dev gw-a ingress"));
    assert!(shown().contains("police") && shown().contains("pkts_rate 100"), "{}", shown());
    run(&format!("tc -n {place} filter del dev gw-a ingress pref 1"));
    let plan = await_plan(&mut host, &want, |plan| !plan.is_at_rest());
    let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    assert!(steps.len() == 1 && steps[0].starts_with("~ link"), "{steps:?}");
    converge(&mut host, &want).unwrap();
    assert!(shown().contains("pkts_rate 100"), "{}", shown());
    assert_eq!(converge(&mut bench.open("h"), &want), Ok(0), "a fresh look");
}

mod limit {
    #[test]
    #[ignore = "needs act_police; runs in a virtual machine"]
    fn a_limit_that_was_taken_away_is_put_back_in_a_namespace() {
        super::a_limit_that_was_taken_away_is_put_back(weft_linux::VrfMode::Namespace);
    }

    #[test]
    #[ignore = "needs VRF devices; runs in a virtual machine"]
    fn a_limit_that_was_taken_away_is_put_back_at_a_device() {
        super::a_limit_that_was_taken_away_is_put_back(weft_linux::VrfMode::Device);
    }
}

#[test]
#[ignore = "changes the host's own settings; runs in a virtual machine"]
fn limits_that_are_too_low_are_raised_and_others_left_alone() {
    fs::write("/proc/sys/net/ipv6/neigh/default/gc_thresh3", "70000").unwrap();
    let _host = LinuxHost::open(Config::default()).unwrap();
    assert_eq!(limits("gc_thresh2"), [32_768, 32_768]);
    assert_eq!(limits("gc_thresh3"), [65_536, 70_000]);
}
