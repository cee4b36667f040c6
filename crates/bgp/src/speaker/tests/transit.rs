//! What neighbours of other ASes are told of each other's routes, and of what came from them by way of our own AS.

use std::time::Duration;

use super::network::{Network, address, config, peer, route};
use crate::policy::{Edits, Policy, Rule, Verdict};
use crate::speaker::{ExternalDefault, PeerConfig, Route};
use crate::wire::Family;

/// The AS of each speaker. The first is the one that is tried, the second and the third are neighbours of other ASes, the fourth is one of
/// its own, and has the last as a neighbour of another AS.
const ASNS: [u32; 5] = [65_000, 65_001, 65_002, 65_000, 65_004];
const LINKS: [(usize, usize); 4] = [(0, 1), (0, 2), (0, 3), (3, 4)];

/// Each speaker originates a route that bears its number.
fn site(without_external_policy: ExternalDefault) -> Network {
    let mut configs: Vec<_> = (0..ASNS.len()).map(|speaker| config(speaker, ASNS[speaker])).collect();
    configs[0].without_external_policy = without_external_policy;
    let mut network = Network::new(1, configs);
    let now = network.now;
    for (one, other) in LINKS.into_iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
        let neighbor = peer(other, ASNS[other], &[Family::Ipv4Unicast]);
        network.speakers[one].set_peer(neighbor, now).unwrap();
    }
    for speaker in 0..ASNS.len() {
        network.speakers[speaker].originate(numbered(speaker));
    }
    network.until_established();
    network.run(Duration::from_secs(2));
    network
}

fn numbered(speaker: usize) -> Route {
    route(&format!("10.{speaker}.0.0/16"), speaker)
}

/// Whose routes each speaker has.
fn known(network: &Network) -> [Vec<usize>; 5] {
    [0, 1, 2, 3, 4].map(|speaker| {
        let has = |from: &usize| network.speakers[speaker].explain(&numbered(*from).destination).is_some();
        (0..ASNS.len()).filter(has).collect()
    })
}

/// Lets everything go to the third speaker, or what goes without a policy.
fn set_export(network: &mut Network, export: Option<Policy>) {
    let now = network.now;
    let neighbor = PeerConfig { export, ..peer(2, ASNS[2], &[Family::Ipv4Unicast]) };
    network.speakers[0].set_peer(neighbor, now).unwrap();
    network.run(Duration::from_secs(2));
}

fn everything() -> Policy {
    let (families, prefixes, route_targets, communities) = Default::default();
    let set = Edits::default();
    Policy(vec![Rule { families, prefixes, route_targets, communities, verdict: Verdict::Accept, set }])
}

#[test]
fn a_neighbour_of_another_as_is_told_what_our_own_as_originates_until_a_policy_says_otherwise() {
    let mut network = site(ExternalDefault::OwnRoutes);
    let all = vec![0, 1, 2, 3, 4];
    let own = |of: &[usize]| {
        let mut known = vec![0, 3];
        known.extend(of);
        known.sort_unstable();
        known
    };
    let expected = [all.clone(), own(&[1]), own(&[2]), all.clone(), all.clone()];
    assert_eq!(known(&network), expected);
    assert_eq!(network.speakers[0].told_to(&numbered(1).destination), [address(3)]);
    set_export(&mut network, Some(everything()));
    assert_eq!(known(&network), [all.clone(), own(&[1]), all.clone(), all.clone(), all]);
    set_export(&mut network, None);
    assert_eq!(known(&network), expected, "what it was told is taken back");
    let mistold = network.speakers[0].audit_told(Family::Ipv4Unicast, 0, 100).0;
    assert_eq!(mistold, [], "the audit expects the same");
}

#[test]
fn without_a_policy_nothing_goes_to_another_as_or_comes_from_it_unless_it_is_asked_for() {
    let network = site(ExternalDefault::Nothing);
    // The own AS's other speaker passes on what it has.
    assert_eq!(known(&network), [vec![0, 3, 4], vec![1], vec![2], vec![0, 3, 4], vec![0, 3, 4]]);
    let network = site(ExternalDefault::Everything);
    assert_eq!(known(&network), [0; 5].map(|_| vec![0, 1, 2, 3, 4]));
}
