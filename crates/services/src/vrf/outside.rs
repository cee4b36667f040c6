//! Routes that were learned from outside, on hosts.

use std::collections::BTreeMap;

use ipnet::IpNet;
use weft_dataplane::{Object, RouteTo};

use crate::Model;
use crate::compile::Compiled;
use crate::facts::{LearnedEncapsulation, LearnedRoute};
use crate::network::compile::MAIN_TABLE;
use crate::vrf::Vrf;
use crate::vrf::objects::{self, Hop};

/// The route to a prefix along what was learned: the same on every host that can send it.
pub(super) fn compile(model: &Model, vrf: &Vrf, prefix: IpNet, mut routes: Vec<&LearnedRoute>) -> Compiled {
    let needs_mpls = |route: &LearnedRoute| matches!(route.encapsulation, LearnedEncapsulation::Mpls { .. });
    routes.retain(|route| !needs_mpls(route) || objects::takes_label(prefix, route.next_hop));
    let elsewhere = on(vrf, prefix, routes.iter().copied().filter(|route| !needs_mpls(route)));
    let mut at = BTreeMap::new();
    if routes.iter().any(|route| needs_mpls(route)) {
        let hosts = model.hosts_of_vrf(vrf.standard.id).filter_map(|name| model.host(name));
        let able = hosts.filter(|host| host.fact.has_mpls());
        at = able.map(|host| (host.name.clone(), on(vrf, prefix, routes.iter().copied()))).collect();
    }
    Compiled { at, elsewhere }
}

fn on<'r>(vrf: &Vrf, prefix: IpNet, routes: impl Iterator<Item = &'r LearnedRoute>) -> Vec<Object> {
    let mut objects = Vec::new();
    let mut paths = Vec::new();
    for route in routes {
        match route.encapsulation {
            LearnedEncapsulation::Vxlan { vni, router_mac } => {
                let hop = Hop::to_router(vrf, vni, (router_mac, route.next_hop), 1);
                paths.push(hop.path);
                // Two routes may be by the same router.
                objects.extend(
                    hop.objects.into_iter().filter(|object| !objects.contains(object)).collect::<Vec<_>>(),
                );
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
