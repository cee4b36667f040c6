//! All of these tests again, in a virtual machine whose kernel has VRF devices: VRFs are network namespaces on host1, VRF devices on
//! host2, and network namespaces on host3.
//!
//! This executable runs itself there, with the shipped programs that were built beside it.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use weft_system_tests::binaries;
use weft_vm_tests::Machine;

/// What the driver and the lab need of a kernel.
const MODULES: &[&str] = &[
    "act_mirred",
    "act_skbedit",
    "bridge",
    "cls_bpf",
    "cls_u32",
    "mpls_iptunnel",
    "mpls_router",
    "sch_ingress",
    "tun",
    "veth",
    "vrf",
    "vxlan",
];
const PROGRAMS: &[&str] = &["bridge", "ip", "ping", "sysctl", "tc", "vtysh"];
/// Where FRR's daemons are.
const FRR: &str = "/usr/lib/frr";
/// It takes two minutes on two processors of their own, under emulation.
const BOUND: Duration = Duration::from_secs(900);

#[test]
fn all_of_this_holds_with_namespaces_on_one_host_and_vrf_devices_on_another() {
    let own = std::env::current_exe().unwrap();
    let arguments = ["--include-ignored", "--test-threads=1", "--skip", "machine::"].map(str::to_owned);
    let shipped = ["weft-agent", "weft-controller"].map(|name| binaries().join(name).display().to_string());
    let frr = ["bgpd", "staticd", "zebra"].map(|daemon| Path::new(FRR).join(daemon));
    let machine = Machine::default()
        .modules(MODULES.iter().copied())
        .programs(PROGRAMS.iter().copied())
        .programs(shipped)
        .programs_in_place(frr)
        .file("/etc/passwd", "root:x:0:0:::\nfrr:x:103:108::/:/bin/false\n")
        .file("/etc/group", "root:x:0:\nfrrvty:x:107:frr\nfrr:x:108:\n")
        .environment("WEFT_SLOWNESS", "6")
        .environment("WEFT_TEST_VRF_DEVICES_ON", "2")
        .memory_mib(1536)
        .bound(BOUND);
    let mut heard = Vec::new();
    let code = machine
        .run(&own, &arguments, |line| {
            println!("machine: {line}");
            heard.push(line.to_owned());
        })
        .unwrap_or_else(|error| panic!("{error}; {:?}", error.source()));
    assert_eq!(code, 0, "the tests in the machine");
    for case in ["any_to_any", "ecmp", "hub_and_spoke", "a_router", "labels::"] {
        let ran = |line: &String| line.starts_with(&format!("test {case}")) && line.ends_with("ok");
        assert!(heard.iter().any(ran), "{case} ran: {heard:?}");
    }
}
