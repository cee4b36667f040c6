//! BGP VPNs, in the words of Neutron's bgpvpn, bgpvpn-routes-control and bgpvpn-vni extensions, and what use cases of operators
//! (OPNFV NetReady) need beyond them: static routes, a choice between sharing load and failing over, and policies.
//!
//! Files: `resource.rs` (BGP VPNs), `targets.rs` (which route targets are chosen), `association.rs` (what all three kinds of
//! association have in common) and one file for each, `membership.rs` (what they say to the VRF of a network, a router or a port).

use std::collections::{BTreeMap, BTreeSet};

mod association;
mod membership;
mod network;
mod port;
mod resource;
mod router;
mod targets;

pub use association::Role;
pub(crate) use association::{defaults, dissociate, l3_of_network, l3_of_router};
pub use membership::{Member, Membership, membership};
pub(crate) use membership::{exports, imports, vpns_of};
pub use network::{BgpvpnNetworkAssociation, NetworkAssociations};
pub use port::{BgpvpnPortAssociation, PortAssociations, PortRoute};
pub use resource::{Bgpvpn, BgpvpnType, Bgpvpns, Multipath, StaticRoute, VrfPolicy};
pub use router::{BgpvpnRouterAssociation, RouterAssociations};

/// Neutron's extensions of BGP VPNs of which everything works.
pub(crate) const EXTENSIONS: &[crate::catalogue::Extension] = &[
    ("bgpvpn", "BGPVPN Extension"),
    ("bgpvpn-routes-control", "BGPVPN Routes Control"),
    ("bgpvpn-vni", "BGPVPN VNI"),
    ("standard-attr-bgpvpn", "BGPVPN Standard Attributes"),
    ("standard-attr-bgpvpn-network-association", "BGPVPN Network Association Standard Attributes"),
    ("standard-attr-bgpvpn-port-association", "BGPVPN Port Association Standard Attributes"),
    ("standard-attr-bgpvpn-router-association", "BGPVPN Router Association Standard Attributes"),
];

fn bad_request(message: impl std::fmt::Display) -> crate::Refusal {
    crate::Refusal::invalid("BadRequest", format!("Bad bgpvpn request: {message}."))
}

/// The first of several routes that says otherwise than one before it what becomes of those to its destination, if there is one.
fn contradiction(
    routes: impl Iterator<Item = (ipnet::IpNet, Option<Multipath>)>,
) -> Option<(usize, &'static str)> {
    let mut said: BTreeMap<ipnet::IpNet, Multipath> = BTreeMap::new();
    let mut said = routes.map(|(to, multipath)| {
        multipath.is_some_and(|multipath| *said.entry(to).or_insert(multipath) != multipath)
    });
    Some((said.position(|is_other| is_other)?, "another route to the same destination says otherwise"))
}

/// What is said of a route: its preference, and what becomes of several to its destination.
type Said = (Option<u32>, Option<Multipath>);

/// Of routes, by which way each is, what is said of one way has to be the same: else it would be two paths. `list` is the attribute
/// that they are in.
fn check_ways<K: Ord>(list: &str, routes: impl Iterator<Item = (K, Said)>) -> Result<(), crate::Refusal> {
    let mut first = BTreeMap::new();
    for (at, (way, said)) in routes.enumerate() {
        let (earlier, of_first) = *first.entry(way).or_insert((at, said));
        let differs = match (of_first.0 == said.0, of_first.1 == said.1) {
            (true, true) => continue,
            (false, _) => "local_pref",
            (true, false) => "multipath",
        };
        let rule = format!("{list}[{earlier}] is the same route, with another {differs}");
        return Err(crate::Refusal::attribute(&format!("{list}[{at}].{differs}"), rule));
    }
    Ok(())
}

/// Keeps each value once, in the order in which it was given.
fn once<T: Ord + Copy>(values: Vec<T>) -> Vec<T> {
    let mut seen = BTreeSet::new();
    values.into_iter().filter(|value| seen.insert(*value)).collect()
}
