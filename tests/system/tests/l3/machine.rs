//! All of these tests again, in a virtual machine whose kernel has VRF devices: VRFs are network namespaces on host1, VRF devices on
//! host2, and network namespaces on host3. FRR, GoBGP and BIRD are there as well.

use std::path::Path;

use weft_system_tests::{machine, run_again_in};

/// Where FRR's daemons are.
const FRR: &str = "/usr/lib/frr";

#[test]
fn all_of_this_holds_with_namespaces_on_one_host_and_vrf_devices_on_another() {
    let machine = machine("2")
        .programs(["bird", "birdc", "gobgp", "gobgpd", "vtysh"])
        .programs_in_place(["bgpd", "staticd", "zebra"].map(|daemon| Path::new(FRR).join(daemon)))
        .file("/etc/passwd", "root:x:0:0:::\nfrr:x:103:108::/:/bin/false\n")
        .file("/etc/group", "root:x:0:\nfrrvty:x:107:frr\nfrr:x:108:\n");
    run_again_in(&machine, &[], &["any_to_any", "ecmp", "hub_and_spoke", "a_router", "labels::"]);
}
