//! Routes that were learned from outside, on hosts.

use crate::facts::{LearnedEncapsulation, LearnedRoute};
use crate::vrf::Vrf;
use crate::vrf::objects::Hop;

/// The ways along what was learned, for a host that can send it.
pub(super) fn hops(vrf: &Vrf, routes: &[&LearnedRoute]) -> Vec<Hop> {
    let hop = |route: &&LearnedRoute| match route.encapsulation {
        LearnedEncapsulation::Vxlan { vni, router_mac } => {
            Hop::to_router(vrf, vni, (router_mac, route.next_hop), 1)
        }
        LearnedEncapsulation::Mpls { label } => Hop::by_label(label, route.next_hop, 1),
    };
    routes.iter().map(hop).collect()
}
