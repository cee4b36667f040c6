//! Which paths lead to a prefix in a VRF: the ones that carry traffic, of all that there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use weft_net::HostName;

use crate::bgpvpn::Multipath;
use crate::core::ServicePort;
use crate::facts::LearnedRoute;
use crate::vrf::member::Path;
use crate::vrf::{Vrf, compile, objects, usable};
use crate::{Id, Model, Timestamp};

/// The paths to a prefix in a VRF that carry traffic: all to ports of ours, or all to where somebody outside has told of.
pub(super) enum Live<'m> {
    Ports(Vec<ToPort<'m>>),
    Outside(Vec<&'m LearnedRoute>),
}

/// What a host can send to the outside.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sends {
    /// VXLAN, as every host can.
    Vxlan,
    /// MPLS as well.
    Mpls,
}

/// A path to a port.
pub(super) struct ToPort<'m> {
    pub(super) path: Path,
    pub(super) port: &'m ServicePort,
    pub(super) network: Id,
    pub(super) host: HostName,
    /// How much it is preferred.
    pub(super) preference: u32,
}

/// What is preferred: by what is said, and of equals what leads there itself rather than by a leak.
type Rank = (u32, bool);

/// By which ports are in the order in which they were made.
pub(super) type FirstMade = (Timestamp, Id);

impl ToPort<'_> {
    const fn rank(&self) -> Rank {
        (self.preference, !self.path.is_leaked)
    }

    /// Whichever port was made first goes first.
    pub(super) const fn first_made(&self) -> FirstMade {
        (self.port.standard.created_at, self.port.standard.id)
    }
}

/// The paths to a prefix in a VRF that carry traffic on hosts that can send this: those that are preferred most; of these our own rather than those that
/// were learned. Where one is to fail over to another, the first of them.
pub(super) fn live<'m>(model: &'m Model, vrf: &Vrf, prefix: IpNet, sends: Sends) -> Live<'m> {
    let ours = to_ports(model, vrf, prefix);
    let (learned_preference, learned) = learned(model, vrf, prefix, sends);
    let is_ours_better = |to: &ToPort<'_>| to.rank() >= (learned_preference, true);
    if learned.is_empty() || ours.first().is_some_and(is_ours_better) {
        return if ours.is_empty() { Live::Outside(learned) } else { Live::Ports(ours) };
    }
    Live::Outside(learned)
}

/// The most preferred paths to ports.
fn to_ports<'m>(model: &'m Model, vrf: &Vrf, prefix: IpNet) -> Vec<ToPort<'m>> {
    let id = vrf.standard.id;
    let mut live: BTreeMap<Rank, Vec<ToPort<'m>>> = BTreeMap::new();
    // What a port leaks is for others: it would send to itself what it is to send on.
    let paths = model.paths_to(vrf, prefix).into_iter().filter(|path| !path.is_leaked || path.vrf != id);
    for to in paths.filter_map(|path| to_port(model, path)) {
        live.entry(to.rank()).or_default().push(to);
    }
    let Some((_, mut best)) = live.pop_last() else { return Vec::new() };
    // A port may be in several VRFs of which one imports from the other: it is reached directly.
    let own: BTreeSet<Id> = best.iter().filter(|to| to.path.vrf == id).map(|to| to.path.port).collect();
    best.retain(|to| to.path.vrf == id || !own.contains(&to.path.port));
    if multipath(vrf, &best) == Multipath::Failover {
        best.sort_by_key(ToPort::first_made);
        best.truncate(1);
    }
    best
}

/// The paths of a VRF's own to a prefix that could carry traffic, the best first: what others may choose from.
pub(super) fn own<'m>(model: &'m Model, vrf: &Vrf, prefix: IpNet) -> Vec<ToPort<'m>> {
    let paths = model.own_paths_to(vrf, prefix).into_iter();
    let mut own: Vec<ToPort<'m>> = paths.filter_map(|path| to_port(model, path)).collect();
    if multipath(vrf, &own) == Multipath::Failover {
        own.sort_by_key(|to| (Reverse(to.rank()), to.first_made()));
    }
    own
}

/// Of paths of a VRF's own, as [`own`] has them, those along which a host sends what comes for the prefix: the best of its ports, in the
/// order in which these were made.
pub(super) fn arriving<'a, 'm>(vrf: &Vrf, own: &'a [ToPort<'m>], host: &HostName) -> Vec<&'a ToPort<'m>> {
    let mut here: Vec<&ToPort<'_>> = own.iter().filter(|to| to.host == *host).collect();
    let at_most = at_most(multipath(vrf, here.iter().copied()));
    let best = here.iter().map(|to| to.rank()).max();
    here.retain(|to| Some(to.rank()) == best);
    here.sort_by_key(|to| to.first_made());
    here.truncate(at_most);
    here
}

/// What becomes of several paths to one destination: what the most preferred of them say themselves, and what their VRF does where none
/// says anything. They share, unless one of them fails over.
pub(super) fn multipath<'a, 'm: 'a>(
    vrf: &Vrf,
    paths: impl IntoIterator<Item = &'a ToPort<'m>, IntoIter: Clone>,
) -> Multipath {
    let paths = paths.into_iter();
    let best = paths.clone().map(ToPort::rank).max();
    let said = paths.filter(|to| Some(to.rank()) == best).filter_map(|to| to.path.multipath);
    said.max().unwrap_or(vrf.multipath)
}

/// How many paths are taken of which all are as good.
pub(super) const fn at_most(multipath: Multipath) -> usize {
    match multipath {
        Multipath::Ecmp => usize::MAX,
        Multipath::Failover => 1,
    }
}

/// Whether a path leads to a port that is there and can be reached.
pub(super) fn is_live(model: &Model, path: &Path) -> bool {
    to_port(model, *path).is_some()
}

/// Where a path leads, if its port is there, can be reached, and its VRF takes part on that host.
fn to_port(model: &Model, path: Path) -> Option<ToPort<'_>> {
    let own = model.vrfs.get(&path.vrf)?;
    let port = model.service_ports.get(&path.port)?;
    let (network, host) = model.live_binding(port)?;
    let vnic = model.instance_port_of(port.interface_id)?.standard.id;
    let is_there = model.has_carrier(vnic, &host) && compile::takes_part(model, path.vrf, &host);
    let preference = path.local_pref.unwrap_or(own.local_pref);
    is_there.then_some(ToPort { path, port, network, host, preference })
}

/// Whether something was learned of a prefix that not every host can send.
pub(super) fn is_for_few(model: &Model, vrf: &Vrf, prefix: IpNet) -> bool {
    usable::routes(model, vrf.standard.id, prefix).any(LearnedRoute::needs_mpls)
}

/// The most preferred of the routes that were learned and can be sent, and how much they are preferred.
fn learned<'m>(model: &'m Model, vrf: &Vrf, prefix: IpNet, sends: Sends) -> (u32, Vec<&'m LearnedRoute>) {
    let can_send = |route: &&LearnedRoute| {
        !route.needs_mpls() || sends == Sends::Mpls && objects::takes_label(prefix, route.next_hop)
    };
    let mut routes: Vec<&LearnedRoute> =
        usable::routes(model, vrf.standard.id, prefix).filter(can_send).collect();
    let preference = routes.iter().map(|route| route.local_pref).max().unwrap_or(0);
    routes.retain(|route| route.local_pref == preference);
    if vrf.multipath == Multipath::Failover {
        routes.truncate(1);
    }
    (preference, routes)
}

/// Paths to the same VRF on the same host.
pub(super) struct Together {
    /// How many there are.
    pub(super) weight: u16,
    /// Of their ports the one that was made first.
    pub(super) first_made: FirstMade,
}

/// The paths that lead to each VRF on each host.
pub(super) fn by_place<'a, 'm: 'a>(
    live: impl Iterator<Item = &'a ToPort<'m>>,
) -> BTreeMap<(Id, HostName), Together> {
    let mut places: BTreeMap<(Id, HostName), Together> = BTreeMap::new();
    for one in live {
        let first_made = one.first_made();
        let place = places.entry((one.path.vrf, one.host.clone()));
        let place = place.or_insert(Together { weight: 0, first_made });
        place.weight = place.weight.saturating_add(1);
        place.first_made = place.first_made.min(first_made);
    }
    places
}
