//! What of a VRF is announced to the outside: its own paths, each host's by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::{HostName, Mac, MplsLabel, RouteDistinguisher, RouteTarget, Vni};

use crate::compile::{FragmentKey, Subject};
use crate::vrf::distinguisher::{Distinguishers, is_of_hosts};
use crate::vrf::member::Path;
use crate::vrf::{Vrf, member, route, router_mac};
use crate::{Id, Model, RowKind};

/// A route that a host of ours forwards, to be announced (RFC 4364 §4.3, RFC 9136 §3.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Announcement {
    /// Tells it from routes of other VRFs and hosts to the same destination.
    pub route_distinguisher: RouteDistinguisher,
    /// Where it leads.
    pub destination: IpNet,
    /// Who is to import it.
    pub targets: BTreeSet<RouteTarget>,
    /// The host that forwards it: once it has carried out the fragment that this is of.
    pub host: HostName,
    /// The host's tunnel endpoint.
    pub next_hop: IpAddr,
    /// The VNI under which the host routes packets of it.
    pub vni: Vni,
    /// The MAC address to which it takes them.
    pub router_mac: Mac,
    /// The MPLS label under which the host routes packets of it, if it can.
    pub label: Option<MplsLabel>,
    /// How much it is preferred (RFC 4271 §5.1.5).
    pub local_pref: u32,
}

/// Every fragment because of which something may be announced.
pub(crate) fn routes_of_all(model: &Model) -> Vec<FragmentKey> {
    let of_vrf = |vrf: &Vrf| {
        let id = vrf.standard.id;
        let prefixes = model.prefixes_of(vrf).into_iter();
        prefixes
            .map(move |prefix| FragmentKey::new(RowKind::Vrf, id, Subject::Prefix(prefix)))
            .collect::<Vec<_>>()
    };
    model.vrfs().flat_map(of_vrf).collect()
}

/// What is announced of a prefix of a VRF: the paths of its own. Those that it imports are
/// announced by where they are.
#[must_use]
pub fn announcements(model: &Model, id: Id, prefix: IpNet) -> Vec<Announcement> {
    let Some(vrf) = model.vrfs.get(&id) else { return Vec::new() };
    let mut on_host: BTreeMap<HostName, u16> = BTreeMap::new();
    let mut announced = Vec::new();
    let own = route::own(model, vrf, prefix);
    let mut distinguishers = Distinguishers::of(vrf.number);
    // Where one is to fail over to another, the first alone.
    let at_most = route::at_most(route::multipath(vrf, &own));
    for (to, given) in own.iter().take(at_most).zip(given_to_each(model, vrf)) {
        let nth = on_host.entry(to.host.clone()).or_default();
        let path = announcement(model, vrf, (prefix, to), |endpoint| match given {
            Some(given) => given,
            None => distinguishers.next(endpoint, *nth),
        });
        announced.extend(path);
        *nth += 1;
    }
    announced
}

/// The distinguishers that a VRF was given, one to each of the paths to a destination, as far as there are any: two paths of one
/// would be one route.
fn given_to_each<'v>(
    model: &'v Model,
    vrf: &'v Vrf,
) -> impl Iterator<Item = Option<RouteDistinguisher>> + use<'v> {
    let given = vrf.route_distinguishers.iter().filter(|given| !is_of_hosts(model, **given));
    given.copied().map(Some).chain(iter::repeat(None))
}

fn announcement(
    model: &Model,
    vrf: &Vrf,
    (destination, to): (IpNet, &route::ToPort<'_>),
    distinguisher: impl FnOnce(IpAddr) -> RouteDistinguisher,
) -> Option<Announcement> {
    let targets = targets_of(model, destination, &to.path);
    let host = model.host(&to.host)?;
    let next_hop = host.fact.tunnel_endpoint?;
    (!targets.is_empty()).then(|| Announcement {
        route_distinguisher: distinguisher(next_hop),
        destination,
        targets,
        host: to.host.clone(),
        next_hop,
        vni: vrf.vni,
        router_mac: router_mac(vrf.vni, next_hop),
        label: host.fact.has_mpls().then(|| vrf.number.label()),
        local_pref: to.preference,
    })
}

fn targets_of(model: &Model, destination: IpNet, path: &Path) -> BTreeSet<RouteTarget> {
    if path.is_leaked {
        return model.targets_of_leaked(path).filter_map(|target| target.route_target()).collect();
    }
    let paths = member::entries(model, path.port).paths.into_iter();
    let own = paths.filter(|(prefix, other, _)| *prefix == destination && other == path);
    own.flat_map(|(_, _, targets)| targets).filter_map(|target| target.route_target()).collect()
}
