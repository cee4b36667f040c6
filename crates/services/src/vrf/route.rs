//! Which paths lead to a prefix in a VRF: the ones that carry traffic, of all that there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use weft_net::HostName;

use crate::bgpvpn::Multipath;
use crate::core::ServicePort;
use crate::facts::LearnedRoute;
use crate::vrf::member::Path;
use crate::vrf::{Vrf, compile};
use crate::{Id, Model, Timestamp};

/// The paths to a prefix in a VRF that carry traffic: all to ports of ours, or all to where somebody outside has told of.
pub(super) enum Live<'m> {
    Ports(Vec<ToPort<'m>>),
    Outside(&'m [LearnedRoute]),
}

/// A path to a port.
pub(super) struct ToPort<'m> {
    pub(super) path: &'m Path,
    pub(super) port: &'m ServicePort,
    pub(super) network: Id,
    pub(super) host: HostName,
}

/// The paths to a prefix in a VRF that carry traffic: those that are preferred most; of these our own rather than those that
/// were learned. Where one is to fail over to another, the first of them.
pub(super) fn live<'m>(model: &'m Model, vrf: &Vrf, prefix: IpNet) -> Live<'m> {
    let (ours_preference, ours) = to_ports(model, vrf, prefix);
    let (learned_preference, learned) = learned(model, vrf, prefix);
    if ours.is_empty() || (learned_preference > ours_preference && !learned.is_empty()) {
        return Live::Outside(learned);
    }
    Live::Ports(ours)
}

/// The most preferred paths to ports, and how much they are preferred.
fn to_ports<'m>(model: &'m Model, vrf: &Vrf, prefix: IpNet) -> (u32, Vec<ToPort<'m>>) {
    let mut live: BTreeMap<u32, Vec<ToPort<'m>>> = BTreeMap::new();
    for path in model.paths_to(vrf, prefix) {
        let Some(own) = model.vrfs.get(&path.vrf) else { continue };
        let Some(found) = to_port(model, path) else { continue };
        live.entry(path.local_pref.unwrap_or(own.local_pref)).or_default().push(found);
    }
    let Some((preference, mut best)) = live.pop_last() else { return (0, Vec::new()) };
    // A port may be in several VRFs of which one imports from the other: it is reached directly.
    let own: BTreeSet<Id> =
        best.iter().filter(|to| to.path.vrf == vrf.standard.id).map(|to| to.path.port).collect();
    best.retain(|to| to.path.vrf == vrf.standard.id || !own.contains(&to.path.port));
    if vrf.multipath == Multipath::Failover {
        best.sort_by_key(first_made);
        best.truncate(1);
    }
    (preference, best)
}

/// The paths of a VRF's own to a prefix that could carry traffic, and how much each is preferred: what others may choose
/// from. Where one is to fail over to another, the first alone.
pub(super) fn own<'m>(model: &'m Model, vrf: &Vrf, prefix: IpNet) -> Vec<(u32, ToPort<'m>)> {
    let paths = model.paths_to(vrf, prefix).into_iter().filter(|path| path.vrf == vrf.standard.id);
    let preference = |path: &Path| path.local_pref.unwrap_or(vrf.local_pref);
    let mut own: Vec<(u32, ToPort<'m>)> =
        paths.filter_map(|path| Some((preference(path), to_port(model, path)?))).collect();
    if vrf.multipath == Multipath::Failover {
        own.sort_by_key(|(preference, to)| (Reverse(*preference), first_made(to)));
        own.truncate(1);
    }
    own
}

/// Whichever port was made first goes first.
fn first_made(to: &ToPort<'_>) -> (Timestamp, Id) {
    (to.port.standard.created_at, to.port.standard.id)
}

/// Where a path leads, if its port is there, can be reached, and its VRF takes part on that host.
pub(super) fn to_port<'m>(model: &'m Model, path: &'m Path) -> Option<ToPort<'m>> {
    let port = model.service_ports.get(&path.port)?;
    let (network, host) = model.live_binding(port)?;
    let vnic = model.instance_port_of(port.interface_id)?.standard.id;
    let is_there = model.has_carrier(vnic, &host) && compile::takes_part(model, path.vrf, &host);
    is_there.then_some(ToPort { path, port, network, host })
}

/// The routes that were learned, and how much they are preferred.
fn learned<'m>(model: &'m Model, vrf: &Vrf, prefix: IpNet) -> (u32, &'m [LearnedRoute]) {
    let routes = model.facts.routes(vrf.standard.id, prefix);
    let preference = routes.iter().map(|route| route.local_pref).max().unwrap_or(0);
    match vrf.multipath {
        Multipath::Ecmp => (preference, routes),
        Multipath::Failover => (preference, &routes[..routes.len().min(1)]),
    }
}

/// How many paths lead to each VRF on each host.
pub(super) fn by_place<'a, 'm: 'a>(
    live: impl Iterator<Item = &'a ToPort<'m>>,
) -> BTreeMap<(Id, HostName), u16> {
    let mut places: BTreeMap<(Id, HostName), u16> = BTreeMap::new();
    for one in live {
        let count = places.entry((one.path.vrf, one.host.clone())).or_default();
        *count = count.saturating_add(1);
    }
    places
}
