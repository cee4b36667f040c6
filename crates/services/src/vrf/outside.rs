//! Routes that were learned from outside, on hosts.

use ipnet::IpNet;
use weft_dataplane::{Object, RouteTo};

use crate::facts::{LearnedEncapsulation, LearnedRoute};
use crate::network::compile::MAIN_TABLE;
use crate::vrf::Vrf;
use crate::vrf::objects::{self, Hop};

/// The route to a prefix along what was learned, on a host that can send it.
pub(super) fn along(vrf: &Vrf, prefix: IpNet, routes: &[&LearnedRoute]) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut paths = Vec::new();
    for route in routes {
        match route.encapsulation {
            LearnedEncapsulation::Vxlan { vni, router_mac } => {
                let hop = Hop::to_router(vrf, vni, (router_mac, route.next_hop), 1);
                paths.push(hop.path);
                // Two routes may be by the same router.
                objects::add_new(&mut objects, hop.objects);
            }
            LearnedEncapsulation::Mpls { label } => {
                paths.push(Hop::by_label(label, route.next_hop, 1).path);
            }
        }
    }
    if !paths.is_empty() {
        objects.push(objects::route(vrf.standard.id, MAIN_TABLE, prefix, RouteTo::paths(paths)));
    }
    objects
}
