//! Tests that run once more in the virtual machine, whose kernel has VRF devices and MPLS: an executable runs itself there, with the
//! shipped programs that were built beside it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use weft_vm_tests::{DRIVER_MODULES, Machine};

use crate::binaries;

const PROGRAMS: &[&str] = &["bridge", "ip", "ping", "sysctl", "tc"];
/// Where FRR's daemons are.
const FRR: &str = "/usr/lib/frr";
/// So long it may take on a host that is busy with other things.
const BOUND: Duration = Duration::from_secs(900);

/// One machine at a time: the tests in it wait for so long as it takes alone, beside what else the host does.
static TURN: Mutex<()> = Mutex::new(());

/// A machine for labs in which the hosts with these numbers (`1,2`) have VRF devices.
#[must_use]
pub fn machine(vrf_device_hosts: &str) -> Machine {
    let shipped = ["weft-agent", "weft-controller"].map(|name| binaries().join(name).display().to_string());
    Machine::default()
        .modules(DRIVER_MODULES.iter().copied())
        .programs(PROGRAMS.iter().copied())
        .programs(shipped)
        .environment("WEFT_SLOWNESS", "6")
        .environment("WEFT_TEST_VRF_DEVICES_ON", vrf_device_hosts)
        .memory_mib(1536)
        .bound(BOUND)
}

/// The same with FRR, GoBGP and BIRD in it.
#[must_use]
pub fn machine_with_daemons(vrf_device_hosts: &str) -> Machine {
    machine(vrf_device_hosts)
        .programs(["bird", "birdc", "gobgp", "gobgpd", "vtysh"])
        .programs_in_place(["bgpd", "staticd", "zebra"].map(|daemon| Path::new(FRR).join(daemon)))
        .file("/etc/passwd", "root:x:0:0:::\nfrr:x:103:108::/:/bin/false\n")
        .file("/etc/group", "root:x:0:\nfrrvty:x:107:frr\nfrr:x:108:\n")
}

/// Runs this executable's tests in a machine, those of its module `machine` excepted, with these arguments besides, and sees that one
/// of each of these names has run.
///
/// # Panics
/// When one fails, or has not run.
pub fn run_again_in(machine: &Machine, arguments: &[&str], cases: &[&str]) {
    let always = ["--include-ignored", "--test-threads=1", "--nocapture", "--skip", "machine::"];
    let all: Vec<String> = always.iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let heard = machine.run_tests(&all);
    drop(turn);
    for case in cases {
        let began = |line: &String| line.starts_with(&format!("test {case}"));
        assert!(heard.iter().any(began), "{case} ran: {heard:?}");
    }
}
