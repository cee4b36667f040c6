//! Routes that were learned from outside, on hosts.
//!
//! Very many lead to one router: how that is reached is a fragment of its own, and a route's has the route alone.

use std::collections::BTreeSet;

use ipnet::IpNet;
use weft_net::Mac;

use crate::compile::{Compiled, FragmentKey, Subject};
use crate::facts::{LearnedEncapsulation, LearnedRoute};
use crate::vrf::objects::Hop;
use crate::vrf::{Vrf, usable};
use crate::{Id, Model, RowKind};

/// The ways along what was learned, for a host that can send it.
pub(super) fn hops(vrf: &Vrf, routes: &[&LearnedRoute]) -> Vec<Hop> {
    let hop = |route: &&LearnedRoute| match route.encapsulation {
        LearnedEncapsulation::Vxlan { router_mac, .. } => Hop::by_neighbour(vrf, router_mac, 1),
        LearnedEncapsulation::Mpls { label } => Hop::by_label(label, route.next_hop, 1),
    };
    routes.iter().map(hop).collect()
}

/// How every host of a VRF reaches the router of others with this MAC address.
pub(super) fn to_router(model: &Model, vrf: &Vrf, router: Mac) -> Option<Compiled> {
    let (next_hop, vni) = usable::place(model, vrf.standard.id, router)?;
    let hop = Hop::to_router(vrf, vni, (router, next_hop), 1);
    Some(Compiled::everywhere(hop.objects))
}

/// The fragments of the routers that learned routes from a VRF to a destination lead to.
#[must_use]
pub fn next_routers(model: &Model, vrf: Id, destination: IpNet) -> BTreeSet<FragmentKey> {
    let next = |route: &LearnedRoute| match route.encapsulation {
        LearnedEncapsulation::Vxlan { router_mac, .. } => Some(router(vrf, router_mac)),
        LearnedEncapsulation::Mpls { .. } => None,
    };
    model.facts.routes(vrf, destination).iter().filter_map(next).collect()
}

/// The fragment of a router of others.
pub(super) fn router(vrf: Id, router: Mac) -> FragmentKey {
    FragmentKey::new(RowKind::Vrf, vrf, Subject::Mac(router))
}
