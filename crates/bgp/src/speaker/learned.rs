//! What was learned from neighbours, for whoever acts on it: best paths as they change, per table and per instance.
//!
//! An *instance* (a VRF, an EVPN instance) imports VPN and EVPN routes by route target. There the route distinguisher no longer
//! matters: the best paths of all distinguishers are compared, a MAC address by its sequence number first (RFC 7432 §15).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_net::{RouteDistinguisher, RouteTarget};

use super::export::CONSTRAINED;
use super::peer::Life;
use super::{Route, Speaker};
use crate::rib::{AttributeSet, Candidate, PathView, PeerIndex, Rib, Scope, decide};
use crate::wire::{
    Attributes, Destination, EvpnDestination, Family, Membership, NextHop, Payload, VpnDestination,
};

/// How many destinations are looked up at a time.
const BATCH: usize = 1024;
/// So many moves of a MAC address within [`MOVES_WITHIN`] are too many (RFC 7432 §15.1).
const MOVES_MAX: usize = 5;
const MOVES_WITHIN: Duration = Duration::from_secs(180);

/// A change of what leads to a destination.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The instance that imports it; none for routes of no VPN.
    pub instance: Option<Arc<str>>,
    /// The destination; in an instance without its route distinguisher.
    pub destination: Destination,
    /// The best path and those as good as it; none if nothing leads there any more, or only what we originate.
    pub paths: Vec<LearnedPath>,
    /// Two places claim one MAC address and win in turn (RFC 7432 §15.1).
    pub is_duplicate_mac: bool,
}

/// A path that was learned.
#[derive(Clone, Debug)]
pub struct LearnedPath {
    /// Who it is from.
    pub neighbor: IpAddr,
    /// The route distinguisher that it came with.
    pub distinguisher: Option<RouteDistinguisher>,
    /// Its attributes.
    pub attributes: SharedAttributes,
    /// What it carries besides.
    pub payload: Payload,
    /// The neighbour is away, or has not yet said it again (RFC 4724).
    pub is_stale: bool,
}

/// Attributes that many routes share.
#[derive(Clone, Debug)]
pub struct SharedAttributes(Arc<AttributeSet>);

impl Deref for SharedAttributes {
    type Target = Attributes;

    fn deref(&self) -> &Attributes {
        &self.0.attributes
    }
}

/// The instances and what they have.
#[derive(Debug, Default)]
pub(super) struct Instances {
    pub(super) by_name: BTreeMap<Arc<str>, Instance>,
    by_target: HashMap<RouteTarget, BTreeSet<Arc<str>>>,
    /// Of each destination, which instances have it.
    holders: HashMap<Destination, BTreeSet<Arc<str>>>,
}

#[derive(Debug, Default)]
pub(super) struct Instance {
    targets: BTreeSet<RouteTarget>,
    /// By destination without distinguisher, those with.
    pub(super) routes: BTreeMap<Destination, BTreeSet<Destination>>,
    /// What has changed and was not asked for yet.
    pub(super) pending: BTreeSet<Destination>,
    moves: HashMap<Destination, Moves>,
}

/// Where a MAC address was, and when it moved.
#[derive(Debug)]
struct Moves {
    at: NextHop,
    times: VecDeque<Instant>,
}

impl Speaker {
    /// Lets an instance import the routes that have one of these targets, and no others; with none it is gone. Neighbours that know route
    /// target constraints are asked for them.
    pub fn set_instance(&mut self, name: &str, targets: BTreeSet<RouteTarget>) {
        let before = self.instances.all_targets();
        self.instances.set(name, targets);
        let after = self.instances.all_targets();
        for gone in before.difference(&after) {
            self.withdraw(&self.membership(*gone));
        }
        for new in after.difference(&before) {
            let (destination, payload) = (self.membership(*new), Payload::None);
            let attributes = Attributes::new(IpAddr::V4(self.config.router_id).into());
            self.originate(Route { destination, payload, attributes });
        }
        for family in CONSTRAINED {
            let _end = self.rib.table_mut(family).mark(PeerIndex::LOCAL, 0..u32::MAX, &|_| true);
        }
    }

    fn membership(&self, target: RouteTarget) -> Destination {
        Destination::RouteTarget(Membership::new(self.config.asn, target))
    }

    /// At most about so many changes since the last time; empty if there are none. While routes are awaited after a restart there are none.
    ///
    /// The first time all that is there is a change. Whoever has asked once has to go on asking: for each destination that has gone, a
    /// little is kept until it was told.
    pub fn poll_learned(&mut self, count_max: usize, now: Instant) -> Vec<Learned> {
        if !self.is_followed {
            self.is_followed = true;
            for family in Family::ALL {
                self.rib.table_mut(family).subscribe(PeerIndex::LOCAL, Scope::All);
                let _end = self.rib.table_mut(family).mark(PeerIndex::LOCAL, 0..u32::MAX, &|_| true);
            }
        }
        if self.settling_until.is_some() {
            return Vec::new();
        }
        let mut learned = Vec::new();
        for family in Family::ALL {
            while learned.len() < count_max && self.look(family, &mut learned) > 0 {}
        }
        let Self { instances, rib, peers, .. } = self;
        for (name, instance) in &mut instances.by_name {
            while learned.len() < count_max
                && let Some(destination) = instance.pending.pop_first()
            {
                let paths = instance.best(&destination, rib);
                let is_duplicate_mac = instance.has_moved(&destination, paths.first(), now);
                let paths = paths.into_iter().filter_map(|path| path.learned(peers)).collect();
                learned.push(Learned {
                    instance: Some(Arc::clone(name)),
                    destination,
                    paths,
                    is_duplicate_mac,
                });
            }
        }
        learned
    }

    /// Whether [`Speaker::poll_learned`] has something.
    #[must_use]
    pub fn has_learned(&self) -> bool {
        self.settling_until.is_none()
            && (Family::ALL.iter().any(|family| self.rib.table(*family).told(PeerIndex::LOCAL).0 > 0)
                || self.instances.by_name.values().any(|instance| !instance.pending.is_empty()))
    }

    /// Whether each neighbour is there and has sent all that it has, as far as it says so (RFC 4724 §2), and nothing is held back any
    /// more.
    #[must_use]
    pub fn has_heard_all(&self) -> bool {
        self.settling_until.is_none()
            && self.peers.values().filter(|peer| peer.life != Life::Leaving).all(|peer| {
                peer.up.as_ref().is_some_and(|(negotiated, _)| {
                    negotiated.codec.families.iter().all(|family| peer.families[family as usize].has_ended)
                })
            })
    }

    /// Looks at some destinations that have changed; answers how many there were.
    fn look(&mut self, family: Family, learned: &mut Vec<Learned>) -> usize {
        let Self { rib, instances, peers, .. } = self;
        rib.drain(PeerIndex::LOCAL, family, BATCH, &mut |pending, sources| {
            match family {
                Family::RouteTarget => return false,
                Family::Vpnv4 | Family::Vpnv6 | Family::Evpn => {
                    instances.hold(pending.destination, pending.paths);
                    return !pending.paths.is_empty();
                }
                Family::Ipv4Unicast | Family::Ipv6Unicast => {}
            }
            let candidates: Vec<Candidate<'_>> =
                pending.paths.iter().map(|path| path.candidate(sources)).collect();
            let equal = decide(&candidates).map_or_else(Vec::new, |decision| decision.equal);
            let paths: Vec<LearnedPath> = equal
                .iter()
                .filter_map(|&index| Found::of(pending.destination, &pending.paths[index]).learned(peers))
                .collect();
            let has_any = !paths.is_empty();
            if has_any || pending.is_told {
                let destination = pending.destination.clone();
                learned.push(Learned { instance: None, destination, paths, is_duplicate_mac: false });
            }
            has_any
        })
    }
}

/// A path with what it takes to tell of it.
pub(super) struct Found {
    peer: PeerIndex,
    epoch: u8,
    path_id: u32,
    is_long_lived_stale: bool,
    attributes: Arc<AttributeSet>,
    payload: Payload,
    family: Family,
    distinguisher: Option<RouteDistinguisher>,
}

impl Found {
    fn of(destination: &Destination, path: &PathView<'_>) -> Self {
        Self {
            peer: path.peer,
            epoch: path.epoch,
            path_id: path.path_id,
            is_long_lived_stale: path.is_long_lived_stale,
            attributes: Arc::clone(path.attributes),
            payload: path.payload.clone(),
            family: destination.family(),
            distinguisher: destination.distinguisher(),
        }
    }

    /// What is told of it; nothing of what we originate.
    pub(super) fn learned(self, peers: &BTreeMap<u16, super::peer::Peer>) -> Option<LearnedPath> {
        let peer = peers.get(&self.peer.0)?;
        let state = &peer.families[self.family as usize];
        let is_stale = self.is_long_lived_stale
            || self.epoch != state.epoch
            || matches!(state.stale, super::peer::Stale::Restarting(_) | super::peer::Stale::LongLived(_));
        Some(LearnedPath {
            neighbor: peer.config.address,
            distinguisher: self.distinguisher,
            attributes: SharedAttributes(self.attributes),
            payload: self.payload,
            is_stale,
        })
    }
}

impl Instances {
    fn all_targets(&self) -> BTreeSet<RouteTarget> {
        self.by_name.values().flat_map(|instance| instance.targets.iter().copied()).collect()
    }

    fn set(&mut self, name: &str, targets: BTreeSet<RouteTarget>) {
        let name: Arc<str> = name.into();
        let instance = self.by_name.entry(Arc::clone(&name)).or_default();
        for gone in instance.targets.difference(&targets) {
            if let Some(names) = self.by_target.get_mut(gone) {
                names.remove(&name);
            }
        }
        self.by_target.retain(|_, names| !names.is_empty());
        for target in &targets {
            self.by_target.entry(*target).or_default().insert(Arc::clone(&name));
        }
        instance.targets = targets;
        // An instance without targets is let go when it has no routes any more.
        self.by_name.retain(|_, instance| {
            !(instance.targets.is_empty() && instance.routes.is_empty() && instance.pending.is_empty())
        });
    }

    /// Notes which instances have a destination by one of its paths.
    fn hold(&mut self, destination: &Destination, paths: &[PathView<'_>]) {
        let targets = paths.iter().flat_map(|path| path.attributes.attributes.extended_communities());
        let targets = targets.filter_map(|community| community.route_target());
        let after: BTreeSet<Arc<str>> =
            targets.filter_map(|target| self.by_target.get(&target)).flatten().cloned().collect();
        let before = self.holders.remove(destination).unwrap_or_default();
        let key = without_distinguisher(destination);
        for name in before.union(&after) {
            let Some(instance) = self.by_name.get_mut(name) else { continue };
            instance.pending.insert(key.clone());
            if after.contains(name) {
                instance.routes.entry(key.clone()).or_default().insert(destination.clone());
            } else if let Some(routes) = instance.routes.get_mut(&key) {
                routes.remove(destination);
                if routes.is_empty() {
                    instance.routes.remove(&key);
                }
            }
        }
        if !after.is_empty() {
            self.holders.insert(destination.clone(), after);
        }
    }
}

impl Instance {
    /// The best of the paths that it imports, of all distinguishers, compared with each other, and those as good.
    pub(super) fn best(&self, key: &Destination, rib: &Rib) -> Vec<Found> {
        let destinations = self.routes.get(key).into_iter().flatten();
        let found: Vec<Found> = destinations
            .flat_map(|destination| {
                let paths = rib.table(destination.family()).paths(destination);
                let imported = paths.iter().filter(|path| self.imports(&path.attributes.attributes));
                imported.map(|path| Found::of(destination, path)).collect::<Vec<_>>()
            })
            .collect();
        let candidates: Vec<Candidate<'_>> = found
            .iter()
            .map(|found| Candidate {
                attributes: &found.attributes,
                source: rib.source(found.peer),
                path_id: found.path_id,
                is_long_lived_stale: found.is_long_lived_stale,
            })
            .collect();
        let Some(decision) = decide(&candidates) else { return Vec::new() };
        let others = decision.equal.into_iter().filter(|&index| index != decision.best);
        let order: Vec<usize> = [decision.best].into_iter().chain(others).collect();
        let mut found: Vec<Option<Found>> = found.into_iter().map(Some).collect();
        order.into_iter().filter_map(|index| found[index].take()).collect()
    }

    /// Whether attributes bear one of its targets.
    fn imports(&self, attributes: &Attributes) -> bool {
        let communities = attributes.extended_communities().iter();
        communities
            .filter_map(|community| community.route_target())
            .any(|target| self.targets.contains(&target))
    }

    /// Notes where a MAC address is; answers whether it has moved too often.
    fn has_moved(&mut self, key: &Destination, best: Option<&Found>, now: Instant) -> bool {
        let Destination::Evpn(EvpnDestination::MacIp { .. }) = key else { return false };
        let Some(best) = best else {
            // Whoever comes next need not have been here before.
            self.moves.retain(|other, moves| other != key || !moves.times.is_empty());
            return false;
        };
        let at = best.attributes.attributes.next_hop;
        let moves = self.moves.entry(key.clone()).or_insert_with(|| Moves { at, times: VecDeque::new() });
        if moves.at != at {
            moves.at = at;
            moves.times.push_back(now);
        }
        while moves.times.len() > MOVES_MAX
            || moves.times.front().is_some_and(|&time| now - time > MOVES_WITHIN)
        {
            moves.times.pop_front();
        }
        moves.times.len() >= MOVES_MAX
    }
}

fn without_distinguisher(destination: &Destination) -> Destination {
    let mut destination = destination.clone();
    let zero = RouteDistinguisher::ZERO;
    match &mut destination {
        Destination::Vpnv4(VpnDestination { distinguisher, .. })
        | Destination::Vpnv6(VpnDestination { distinguisher, .. })
        | Destination::Evpn(
            EvpnDestination::AutoDiscovery { distinguisher, .. }
            | EvpnDestination::MacIp { distinguisher, .. }
            | EvpnDestination::InclusiveMulticast { distinguisher, .. }
            | EvpnDestination::EthernetSegment { distinguisher, .. }
            | EvpnDestination::IpPrefix { distinguisher, .. },
        ) => *distinguisher = zero,
        Destination::Evpn(EvpnDestination::Unknown { .. })
        | Destination::Ipv4(_)
        | Destination::Ipv6(_)
        | Destination::RouteTarget(_) => {}
    }
    destination
}
