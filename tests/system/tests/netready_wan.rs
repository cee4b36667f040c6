//! What FRR, GoBGP and BIRD as WAN gateways hear of OPNFV NetReady's cases *ECMP* and *hub and spoke*: prefixes, route distinguishers, route
//! targets and next hops, and nothing besides; and the tables of the VRFs on the hosts, which are those of the document.

#[path = "netready_wan/ecmp.rs"]
mod ecmp;
#[path = "netready_wan/hub_and_spoke.rs"]
mod hub_and_spoke;

use std::collections::BTreeSet;

use weft_system_tests::{Bench, Neighbours, PrefixRoute, machine_with_daemons, run_again_in};

fn endpoint(bench: &Bench, host: u8) -> String {
    bench.fabric_address("underlay", host).to_string()
}

/// The distinguisher of a host for its first path of the VRF of this number: VRFs are numbered in the order in which they came to be.
fn own(bench: &Bench, host: u8, vrf: u8) -> String {
    format!("{}:{vrf}", endpoint(bench, host))
}

/// A route to an address or a prefix on the host of this number.
fn route(bench: &Bench, to: &str, host: u8, distinguisher: &str, target: &str) -> PrefixRoute {
    PrefixRoute {
        prefix: if to.contains('/') { to.to_owned() } else { format!("{to}/32") },
        distinguisher: distinguisher.to_owned(),
        targets: [target.to_owned()].into(),
        next_hop: endpoint(bench, host),
    }
}

/// A port that is deleted takes along what leads to it, and no neighbour hears of anything else, not even that it is as it was.
fn delete(
    bench: &Bench,
    neighbours: &Neighbours,
    port: &str,
    routes: &mut BTreeSet<PrefixRoute>,
    gone: &[PrefixRoute],
) {
    let mut since = neighbours.since();
    bench.http().delete("ports", port);
    for route in gone {
        assert!(routes.remove(route), "{route:?} is none of {routes:#?}");
        since.remove(route);
    }
    neighbours.await_heard(routes);
    bench.await_rest();
    assert_eq!(neighbours.since(), since, "what stays is not told again");
}

mod machine {
    /// Hosts that forward labels: FRR, GoBGP and BIRD hear the same by VPNv4. One form of hub and spoke: a machine is slow.
    #[test]
    fn the_same_with_vrf_devices_and_labels() {
        let cases = ["ecmp::", "hub_and_spoke::by_the_documents"];
        super::run_again_in(
            &super::machine_with_daemons("1,2"),
            &["--skip", "hub_and_spoke::by_a_vrf"],
            &cases,
        );
    }
}
