//! Routes that were learned from outside, on hosts.

use std::collections::BTreeMap;

use ipnet::IpNet;
use weft_dataplane::{Object, Path, RouteTo};
use weft_net::Capability;

use crate::compile::Compiled;
use crate::facts::{LearnedEncapsulation, LearnedRoute};
use crate::network::compile::MAIN_TABLE;
use crate::vrf::Vrf;
use crate::vrf::objects::{self, Hop};
use crate::{Host, Model};

/// The route to a prefix along what was learned: the same on every host that can send it.
pub(super) fn compile(model: &Model, vrf: &Vrf, prefix: IpNet, routes: &[LearnedRoute]) -> Compiled {
    let needs_mpls = |route: &LearnedRoute| matches!(route.encapsulation, LearnedEncapsulation::Mpls { .. });
    let elsewhere = on(vrf, prefix, routes.iter().filter(|route| !needs_mpls(route)));
    let mut at = BTreeMap::new();
    if routes.iter().any(needs_mpls) {
        let hosts = model.hosts_of_vrf(vrf.standard.id).filter_map(|name| model.host(name));
        let able = hosts.filter(|host| has_mpls(host));
        at = able.map(|host| (host.name.clone(), on(vrf, prefix, routes.iter()))).collect();
    }
    Compiled { at, elsewhere }
}

/// Whether a host can send and receive MPLS.
pub(super) fn has_mpls(host: &Host) -> bool {
    host.fact.capabilities.contains(&Capability::Mpls)
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
                paths.push(Path { via: Some(route.next_hop), link: None, labels: vec![label], weight: 1 });
            }
        }
    }
    if !paths.is_empty() {
        objects.push(objects::route(vrf.standard.id, MAIN_TABLE, prefix, RouteTo::paths(paths)));
    }
    objects
}
