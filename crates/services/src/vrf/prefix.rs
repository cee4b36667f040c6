//! The routes to a prefix: what they are on each host of a VRF.

use std::collections::BTreeSet;

use ipnet::IpNet;
use weft_dataplane::{INGRESS_TABLE, LinkId, Neighbour, Object, Path, RouteTo};
use weft_net::HostName;

use crate::compile::Compiled;
use crate::network::compile::MAIN_TABLE;
use crate::vrf::gateway::{bridged_gateway, own_gateway, subnets_of};
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
        let arriving = local_paths(model, vrf, prefix, route::arriving(vrf, &own, host));
        if arriving.paths.is_empty() {
            continue;
        }
        let objects = compiled.home(host);
        objects::add_new(objects, arriving.objects);
        let route = objects::route(vrf.standard.id, INGRESS_TABLE, prefix, RouteTo::paths(arriving.paths));
        objects.push(route);
    }
    Some(compiled)
}

/// The routes to a prefix along the paths that carry traffic, if there are any: on hosts that forward MPLS they may be others.
fn along_live(model: &Model, vrf: &Vrf, prefix: IpNet) -> Option<Compiled> {
    let everywhere = match route::live(model, vrf, prefix, Sends::Vxlan) {
        Live::Ports(live) => Some(to_ports(model, vrf, prefix, &live)),
        Live::Outside(routes) if routes.is_empty() => None,
        Live::Outside(routes) => Some(Compiled::everywhere(outside::along(vrf, prefix, &routes))),
    };
    if !route::is_for_few(model, vrf, prefix) {
        return everywhere;
    }
    // Where our own paths are better than all that was learned, they are so everywhere.
    let routes = match route::live(model, vrf, prefix, Sends::Mpls) {
        Live::Outside(routes) if routes.iter().any(|route| route.needs_mpls()) => routes,
        Live::Outside(_) | Live::Ports(_) => return everywhere,
    };
    let objects = outside::along(vrf, prefix, &routes);
    let hosts = model.hosts_of_vrf(vrf.standard.id).filter_map(|name| model.host(name));
    let able = hosts.filter(|host| host.fact.has_mpls()).map(|host| (host.name.clone(), objects.clone()));
    let mut compiled = everywhere.unwrap_or_else(|| Compiled::everywhere(Vec::new()));
    compiled.at.extend(able);
    Some(compiled)
}

/// The routes to a prefix along paths to ports.
fn to_ports(model: &Model, vrf: &Vrf, prefix: IpNet, live: &[ToPort<'_>]) -> Compiled {
    let homes = live.iter().map(|live| &live.host).chain(labelling(model, vrf, prefix, live));
    let on = |host: &HostName| (host.clone(), routes_on(model, vrf, prefix, (live, Some(host))));
    let at = homes.collect::<BTreeSet<_>>().into_iter().map(on).collect();
    let mut compiled = Compiled { at, elsewhere: routes_on(model, vrf, prefix, (live, None)) };
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

/// The route to a prefix on one host, or on any where it leads to no port.
fn routes_on(
    model: &Model,
    vrf: &Vrf,
    prefix: IpNet,
    (live, here): (&[ToPort<'_>], Option<&HostName>),
) -> Vec<Object> {
    let id = vrf.standard.id;
    let is_local = |live: &&ToPort<'_>| live.path.vrf == id && Some(&live.host) == here;
    let Local { mut paths, mut objects } = local_paths(model, vrf, prefix, live.iter().filter(is_local));
    for ((of, host), weight) in route::by_place(live.iter().filter(|live| !is_local(live))) {
        let (Some(of), Some(there)) = (model.vrfs.get(&of), model.host(&host)) else { continue };
        let hop = if Some(&host) == here {
            Some(Hop::to_vrf(vrf, of.vni, there, weight))
        } else {
            let here = here.and_then(|here| model.host(here));
            let labelled = here.is_some_and(|here| by_label(here, there, prefix));
            Hop::to_host(vrf, of, (there, labelled), weight)
        };
        let Some(hop) = hop else { continue };
        paths.push(hop.path);
        objects.extend(hop.objects);
    }
    if !paths.is_empty() {
        objects.push(objects::route(id, MAIN_TABLE, prefix, RouteTo::paths(paths)));
    }
    objects
}

/// Paths to ports of one host, and what they need besides.
struct Local {
    paths: Vec<Path>,
    objects: Vec<Object>,
}

fn local_paths<'a, 'm: 'a>(
    model: &Model,
    vrf: &Vrf,
    prefix: IpNet,
    local: impl IntoIterator<Item = &'a ToPort<'m>>,
) -> Local {
    let mut found = Local { paths: Vec::new(), objects: Vec::new() };
    for to in local {
        let Some(link) = local_link(model, vrf, to) else { continue };
        found.paths.push(objects::path(to.path.via, link.name, 1));
        if to.path.via.is_none() {
            let (address, mac) = (prefix.addr(), to.port.mac_address);
            found.objects.push(Object::Neighbour(Neighbour { link, address, mac }));
        }
    }
    found
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
    subnets_of(model, vrf).contains(&prefix).then(|| Compiled::everywhere(vec![route()]))
}
