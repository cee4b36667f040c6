//! All of these tests again, in a virtual machine: on the kernel of Debian 12, with the modules that this host may lack.
//!
//! This executable runs itself there, so what is tested there is what was just built here.

use std::time::Duration;

use weft_vm_tests::{DRIVER_MODULES, Machine};

const PROGRAMS: &[&str] = &["bridge", "ip", "ping", "tc"];
/// Floods of events, what is done to VRFs that are namespaces and is done to devices as well, both slow under emulation, what
/// counts milliseconds, and this test itself.
const NOT_THERE: &[&str] = &[
    "damage_that_was_lost_in_a_flood",
    "what_is_told_of_a_link_while",
    "a_carrier_that_is_lost_is_known_within",
    "damage::in_namespaces::",
    "paths::in_namespaces::",
    "machine::",
];
/// It takes two minutes on two processors of their own, under emulation.
const BOUND: Duration = Duration::from_secs(400);

#[test]
fn all_of_this_holds_on_debians_kernel_and_with_vlan_devices() {
    let skipped = NOT_THERE.iter().flat_map(|name| ["--skip", name]);
    let arguments: Vec<String> =
        ["--include-ignored", "--test-threads=2"].into_iter().chain(skipped).map(str::to_owned).collect();
    let machine = Machine::default()
        .modules(DRIVER_MODULES.iter().copied())
        .programs(PROGRAMS.iter().copied())
        .bound(BOUND);
    let heard = machine.run_tests(&arguments);
    let passed = |module: &str| {
        heard
            .iter()
            .filter(|line| line.starts_with(&format!("test {module}::")) && line.ends_with("ok"))
            .count()
    };
    let modules =
        ["conformance", "conformance::as_devices", "neighbours", "vlan", "vrf::as_devices", "vrf::labels"];
    assert!(modules.into_iter().all(|module| passed(module) > 0), "they ran: {heard:?}");
}
