//! All of these tests again, in a virtual machine whose kernel has VRF devices: VRFs are network namespaces on host1, VRF devices on
//! host2, and network namespaces on host3. FRR, GoBGP and BIRD are there as well.

use weft_system_tests::{machine_with_daemons, run_again_in};

#[test]
fn all_of_this_holds_with_namespaces_on_one_host_and_vrf_devices_on_another() {
    let machine = machine_with_daemons("2");
    run_again_in(&machine, &[], &["any_to_any", "ecmp", "hub_and_spoke", "a_router", "labels::"]);
}
