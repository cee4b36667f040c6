//! The routes to a prefix: what they are on each host of a VRF.

use std::collections::BTreeSet;

use ipnet::IpNet;
use weft_dataplane::{INGRESS_TABLE, LinkId, Object, RouteTo};
use weft_net::HostName;

use crate::compile::Compiled;
use crate::facts::LearnedRoute;
use crate::network::compile::MAIN_TABLE;
use crate::vrf::gateway::{bridged_gateway, is_subnet_of, own_gateway};
use crate::vrf::objects::{self, Hop};
use crate::vrf::route::{self, Live, Sends, ToPort};
use crate::vrf::{Vrf, outside};
use crate::{Host, Id, Model};

/// The routes to a prefix, on the hosts where ports are to which it leads, and on the others.
pub(super) fn to_prefix(model: &Model, vrf: &Vrf, prefix: IpNet) -> Option<Compiled> {
    let own = route::own(model, vrf, prefix);
    let mut compiled = match along_live(model, vrf, prefix) {
        Some(compiled) => compiled,
        // A leak of a port's own is in no table but that of what arrives.
        None if !own.is_empty() => Compiled::everywhere(Vec::new()),
        None => return out_of_reach(model, vrf, prefix),
    };
    // What comes from elsewhere goes no further than the host that it has come to.
    for host in own.iter().map(|to| &to.host).collect::<BTreeSet<_>>() {
        let hops =
            route::arriving(vrf, &own, host).into_iter().filter_map(|to| to_local(model, vrf, prefix, to));
        let arriving = objects::along((vrf.standard.id, INGRESS_TABLE), prefix, hops);
        if !arriving.is_empty() {
            objects::add_new(compiled.home(host), arriving);
        }
    }
    Some(compiled)
}

/// The routes to a prefix along the paths that carry traffic, if there are any: on hosts that forward MPLS they may be others.
fn along_live(model: &Model, vrf: &Vrf, prefix: IpNet) -> Option<Compiled> {
    let main = (vrf.standard.id, MAIN_TABLE);
    let outside = |routes: &[&LearnedRoute]| objects::along(main, prefix, outside::hops(vrf, routes));
    let everywhere = match route::live(model, vrf, prefix, Sends::Vxlan) {
        Live::Ports(live) => Some(to_ports(model, vrf, prefix, &live)),
        Live::Outside(routes) if routes.is_empty() => None,
        Live::Outside(routes) => Some(Compiled::everywhere(outside(&routes))),
    };
    if !route::is_for_few(model, vrf, prefix) {
        return everywhere;
    }
    // Where our own paths are better than all that was learned, they are so everywhere.
    let routes = match route::live(model, vrf, prefix, Sends::Mpls) {
        Live::Outside(routes) if routes.iter().any(|route| route.needs_mpls()) => routes,
        Live::Outside(_) | Live::Ports(_) => return everywhere,
    };
    let objects = outside(&routes);
    let hosts = model.hosts_of_vrf(vrf.standard.id).filter_map(|name| model.host(name));
    let able = hosts.filter(|host| host.fact.has_mpls()).map(|host| (host.name.clone(), objects.clone()));
    let mut compiled = everywhere.unwrap_or_else(|| Compiled::everywhere(Vec::new()));
    compiled.at.extend(able);
    Some(compiled)
}

/// The routes to a prefix along paths to ports.
fn to_ports(model: &Model, vrf: &Vrf, prefix: IpNet, live: &[ToPort<'_>]) -> Compiled {
    let homes = live.iter().map(|live| &live.host).chain(labelling(model, vrf, prefix, live));
    let routes_on = |host: Option<&HostName>| {
        objects::along((vrf.standard.id, MAIN_TABLE), prefix, hops_on(model, vrf, prefix, (live, host)))
    };
    let on = |host: &HostName| (host.clone(), routes_on(Some(host)));
    let at = homes.collect::<BTreeSet<_>>().into_iter().map(on).collect();
    let mut compiled = Compiled { at, elsewhere: routes_on(None) };
    add_proxies(model, vrf, (prefix, live), &mut compiled);
    compiled
}

/// Whether one host sends packets for a destination to another with a label.
fn by_label(from: &Host, to: &Host, destination: IpNet) -> bool {
    let both = from.fact.prefers_mpls() && to.fact.prefers_mpls();
    both && to.fact.tunnel_endpoint.is_some_and(|endpoint| objects::takes_label(destination, endpoint))
}

/// The hosts of a VRF that send packets for a prefix with a label to at least one of the hosts where ports are to which it leads.
fn labelling<'m>(model: &'m Model, vrf: &Vrf, prefix: IpNet, live: &[ToPort<'_>]) -> Vec<&'m HostName> {
    let to: BTreeSet<&HostName> = live.iter().map(|live| &live.host).collect();
    let to: Vec<_> = to.into_iter().filter_map(|host| model.host(host)).collect();
    if !to.iter().any(|host| host.fact.prefers_mpls()) {
        return Vec::new();
    }
    let from = model.hosts_of_vrf(vrf.standard.id).filter(|from| {
        let from = model.host(from);
        from.is_some_and(|from| to.iter().any(|to| by_label(from, to, prefix)))
    });
    from.collect()
}

/// How many ways to a prefix a host has no room for in its route.
pub(super) fn left_out(model: &Model, vrf: &Vrf, prefix: IpNet, name: &HostName) -> usize {
    let sends = match model.host(name) {
        Some(host) if host.fact.has_mpls() => Sends::Mpls,
        _ => Sends::Vxlan,
    };
    objects::left_out(match route::live(model, vrf, prefix, sends) {
        Live::Ports(live) => hops_on(model, vrf, prefix, (&live, Some(name))),
        Live::Outside(routes) => outside::hops(vrf, &routes),
    })
}

/// The ways to a prefix on one host, or on any where it leads to no port: to the ports that are there, and to the places of others.
/// In the order in which the ports were made that they lead to, so that of more than a route has room for those that are in it stay
/// when another is made.
fn hops_on(
    model: &Model,
    vrf: &Vrf,
    prefix: IpNet,
    (live, here): (&[ToPort<'_>], Option<&HostName>),
) -> Vec<Hop> {
    let is_local = |live: &&ToPort<'_>| live.path.vrf == vrf.standard.id && Some(&live.host) == here;
    let local = live.iter().filter(is_local);
    let local = local.filter_map(|to| Some((to.first_made(), to_local(model, vrf, prefix, to)?)));
    let mut hops: Vec<(route::FirstMade, Hop)> = local.collect();
    for ((of, host), place) in route::by_place(live.iter().filter(|live| !is_local(live))) {
        let (Some(of), Some(there)) = (model.vrfs.get(&of), model.host(&host)) else { continue };
        let hop = if Some(&host) == here {
            there.fact.tunnel_endpoint.map(|here| Hop::to_vrf(vrf, of.vni, here, place.weight))
        } else {
            let here = here.and_then(|here| model.host(here));
            let labelled = here.is_some_and(|here| by_label(here, there, prefix));
            Hop::to_host(vrf, of, (there, labelled), place.weight)
        };
        hops.extend(hop.map(|hop| (place.first_made, hop)));
    }
    hops.sort_by_key(|(first_made, _)| *first_made);
    hops.into_iter().map(|(_, hop)| hop).collect()
}

/// The way to a port of the same host.
fn to_local(model: &Model, vrf: &Vrf, prefix: IpNet, to: &ToPort<'_>) -> Option<Hop> {
    let link = local_link(model, vrf, to)?;
    Some(Hop::to_port(link, to.path.via, (prefix.addr(), to.port.mac_address)))
}

/// The link of a VRF by which a port is reached that is on the same host.
fn local_link(model: &Model, vrf: &Vrf, live: &ToPort<'_>) -> Option<LinkId> {
    let own = own_gateway(model, vrf, live.port, &live.host);
    own.or_else(|| bridged_gateway(model, vrf, &live.host, live.network)).map(|gateway| gateway.link())
}

/// Where several ports have one address, and are joined by routing alone, the gateways on their network's bridges answer for it.
fn add_proxies(model: &Model, vrf: &Vrf, (prefix, live): (IpNet, &[ToPort<'_>]), compiled: &mut Compiled) {
    let anycast = live.iter().filter(|live| live.port.anycast && live.path.via.is_none());
    let networks: BTreeSet<Id> =
        anycast.filter(|live| live.path.vrf == vrf.standard.id).map(|live| live.network).collect();
    for network in networks {
        for host in model.hosts_of_vrf(vrf.standard.id) {
            let Some(gateway) = bridged_gateway(model, vrf, host, network) else { continue };
            compiled.home(host).push(Object::ProxyNeighbour(gateway.link(), prefix.addr()));
        }
    }
}

/// A subnet of which nothing is known but its ports: what is for another address of it goes no further.
fn out_of_reach(model: &Model, vrf: &Vrf, prefix: IpNet) -> Option<Compiled> {
    let route = || objects::route(vrf.standard.id, MAIN_TABLE, prefix, RouteTo::Unreachable);
    is_subnet_of(model, vrf, prefix).then(|| Compiled::everywhere(vec![route()]))
}
