//! Which learned routes a VRF uses, whatever others tell.
//!
//! * What is ours is nobody else's to say: a route to a tunnel endpoint of a host of ours, or to the MAC address that a VRF of
//!   ours has on one, is not used.
//! * A MAC address is in one place in a VRF, since its VXLAN device sends to one: of several tunnel endpoints and VNIs that
//!   were told for it, over all destinations, the lowest is taken, and routes to the others are not used.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::{HostName, Mac, Vni};

use crate::compile::{FragmentKey, Step};
use crate::facts::{LearnedEncapsulation, LearnedRoute, Place};
use crate::vrf::compile::touched_by_learned;
use crate::vrf::outside::router;
use crate::vrf::router_mac::{self, EndpointBits, is_own_router, router_macs};
use crate::{Id, Model};

/// The learned routes from a VRF to a destination that it uses.
pub(super) fn routes(model: &Model, vrf: Id, destination: IpNet) -> impl Iterator<Item = &LearnedRoute> {
    model.facts.routes(vrf, destination).iter().filter(move |route| is_usable(model, vrf, route))
}

fn is_usable(model: &Model, vrf: Id, route: &LearnedRoute) -> bool {
    match route.encapsulation {
        LearnedEncapsulation::Mpls { .. } => !model.is_own_endpoint(route.next_hop),
        LearnedEncapsulation::Vxlan { vni, router_mac } => {
            place(model, vrf, router_mac) == Some((route.next_hop, vni))
        }
    }
}

/// Where a VRF sends what is for a router of others, if that is one.
pub(super) fn place(model: &Model, vrf: Id, router: Mac) -> Option<Place> {
    if is_own_router(model, router) {
        return None;
    }
    let mut places = model.facts.routers().places(vrf, router).map(|(place, _)| place);
    places.find(|(next_hop, _)| !model.is_own_endpoint(*next_hop))
}

/// Adds what routes to a destination touch that come or go: the routers that they lead to, and all that leads to one that is elsewhere
/// after than before. Other facts than this one may have moved it as well.
pub(super) fn touched_with(
    around: [&Model; 2],
    (vrf, destination): (Id, IpNet),
    touched: &mut BTreeSet<FragmentKey>,
) {
    for route in around.into_iter().flat_map(|model| model.facts.routes(vrf, destination)) {
        let LearnedEncapsulation::Vxlan { router_mac, .. } = route.encapsulation else { continue };
        let is_first = touched.insert(router(vrf, router_mac));
        let [was, is] = around.map(|model| is_first.then(|| place(model, vrf, router_mac)));
        if was != is {
            around.into_iter().for_each(|model| touch_router(model, vrf, router_mac, touched));
        }
    }
}

/// Adds what is touched when a VNI becomes a VRF's, or is no longer.
pub(super) fn touched_by_vni(model: &Model, vni: Vni, touched: &mut BTreeSet<FragmentKey>) {
    let [first, last] = router_macs(vni);
    let routers: BTreeSet<(Id, Mac)> = model.facts.routers().between(first, last).collect();
    routers.into_iter().for_each(|(vrf, mac)| touch_router(model, vrf, mac, touched));
}

/// Adds what is touched when a host comes, goes, or has another tunnel endpoint than before.
pub(super) fn touched_by_host(
    model: &Model,
    step: &Step<'_>,
    name: &HostName,
    touched: &mut BTreeSet<FragmentKey>,
) {
    let around = [step.before, step.after].map(|model| model.host(name)?.fact.tunnel_endpoint);
    if around[0] == around[1] {
        return;
    }
    let endpoints: BTreeSet<IpAddr> = around.into_iter().flatten().collect();
    let bits: BTreeSet<EndpointBits> = endpoints.iter().copied().map(EndpointBits::of).collect();
    let has_bits = |mac: Mac| router_mac::endpoints_of(model, mac).any(|of| bits.contains(&of));
    let routers = model.facts.routers().iter();
    let routers = routers.filter(|(_, mac, next_hop)| endpoints.contains(next_hop) || has_bits(*mac));
    let routers: BTreeSet<(Id, Mac)> = routers.map(|(vrf, mac, _)| (vrf, mac)).collect();
    routers.into_iter().for_each(|(vrf, mac)| touch_router(model, vrf, mac, touched));
    for ((vrf, destination), routes) in model.facts.all_routes() {
        if routes.iter().any(|route| endpoints.contains(&route.next_hop)) {
            touched_by_learned(model, *vrf, [*destination], touched);
        }
    }
}

/// A router, and all that leads to it.
fn touch_router(model: &Model, vrf: Id, mac: Mac, touched: &mut BTreeSet<FragmentKey>) {
    touched.insert(router(vrf, mac));
    for (_, destinations) in model.facts.routers().places(vrf, mac) {
        touched_by_learned(model, vrf, destinations.iter().copied(), touched);
    }
}
