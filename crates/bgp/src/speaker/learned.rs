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
/// With no more than so many MAC addresses it is not looked which of them are gone.
const MOVES_KEPT_MIN: usize = 1024;

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

/// Names of instances, in order.
type Names = Arc<[Arc<str>]>;

/// The instances and what they have.
#[derive(Debug, Default)]
pub(super) struct Instances {
    pub(super) by_name: BTreeMap<Arc<str>, Instance>,
    by_target: HashMap<RouteTarget, BTreeSet<Arc<str>>>,
    /// Of each destination, which instances have it, in order. Very many share theirs.
    holders: HashMap<Destination, Names>,
    /// Which instances have what has these attributes: what comes next has mostly the same.
    last: Option<(Arc<AttributeSet>, Names)>,
}

#[derive(Debug, Default)]
pub(super) struct Instance {
    targets: BTreeSet<RouteTarget>,
    /// By destination without distinguisher, those with.
    pub(super) routes: BTreeMap<Destination, Vec<Destination>>,
    /// What has changed and was not asked for yet.
    pub(super) pending: BTreeSet<Destination>,
    moves: HashMap<Destination, Moves>,
    /// With more than so many, `moves` is rid of those that count no more.
    moves_swept_at: usize,
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
        self.set_instances([(name, targets)]);
    }

    /// [`Speaker::set_instance`] for many at once: the tables are gone through once for all of them.
    pub fn set_instances<'n>(&mut self, wanted: impl IntoIterator<Item = (&'n str, BTreeSet<RouteTarget>)>) {
        let mut touched = BTreeMap::new();
        for (name, targets) in wanted {
            self.instances.set(name, targets, &mut touched);
        }
        self.instances.let_go();
        for (&target, &was_asked_for) in &touched {
            match (was_asked_for, self.instances.by_target.contains_key(&target)) {
                (true, false) => {
                    self.withdraw(&self.membership(target));
                }
                (false, true) => {
                    let (destination, payload) = (self.membership(target), Payload::None);
                    let attributes = Attributes::new(IpAddr::V4(self.config.router_id).into());
                    self.originate(Route { destination, payload, attributes });
                }
                (true, true) | (false, false) => {}
            }
        }
        if touched.is_empty() {
            return;
        }
        let is_touched = |path: &PathView<'_>| {
            let communities = path.attributes.attributes.extended_communities();
            communities
                .iter()
                .filter_map(|one| one.route_target())
                .any(|target| touched.contains_key(&target))
        };
        for family in CONSTRAINED {
            let _end = self.rib.table_mut(family).mark(PeerIndex::LOCAL, 0..u32::MAX, &is_touched);
        }
    }

    fn membership(&self, target: RouteTarget) -> Destination {
        Destination::RouteTarget(Membership::new(self.config.asn, target))
    }

    /// At most so many changes since the last time, and at most so many destinations looked at: with many that no instance imports there
    /// may be none and yet be more to look at, as [`Speaker::has_learned`] says. While routes are awaited after a restart there are none.
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
        let mut left = count_max;
        for family in Family::ALL {
            while left > 0 {
                let count = self.look(family, left.min(BATCH), &mut learned);
                if count == 0 {
                    break;
                }
                left = left.saturating_sub(count);
            }
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

    /// Whether [`Speaker::poll_learned`] has something to look at.
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

    /// Looks at so many destinations that have changed, at most; answers how many there were.
    fn look(&mut self, family: Family, count_max: usize, learned: &mut Vec<Learned>) -> usize {
        let Self { rib, instances, peers, .. } = self;
        let count = rib.drain(PeerIndex::LOCAL, family, count_max, &mut |pending, sources| {
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
        });
        // Attributes that nothing has any more are not kept for that.
        instances.last = None;
        count
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
    /// Notes of the targets that an instance gains or loses whether any had them before.
    fn set(&mut self, name: &str, targets: BTreeSet<RouteTarget>, touched: &mut BTreeMap<RouteTarget, bool>) {
        self.last = None;
        let name: Arc<str> = name.into();
        let instance = self.by_name.entry(Arc::clone(&name)).or_default();
        for target in instance.targets.symmetric_difference(&targets) {
            touched.entry(*target).or_insert_with(|| self.by_target.contains_key(target));
            let names = self.by_target.entry(*target).or_default();
            if targets.contains(target) {
                names.insert(Arc::clone(&name));
            } else {
                names.remove(&name);
            }
            if names.is_empty() {
                self.by_target.remove(target);
            }
        }
        instance.targets = targets;
    }

    /// Lets go of instances without targets that have no routes any more.
    fn let_go(&mut self) {
        self.by_name.retain(|_, instance| {
            !(instance.targets.is_empty() && instance.routes.is_empty() && instance.pending.is_empty())
        });
    }

    /// Notes which instances have a destination by one of its paths.
    fn hold(&mut self, destination: &Destination, paths: &[PathView<'_>]) {
        let after = self.importing(paths);
        let before = if after.is_empty() {
            self.holders.remove(destination)
        } else {
            self.holders.insert(destination.clone(), Arc::clone(&after))
        };
        let key = without_distinguisher(destination);
        for name in &*after {
            let Some(instance) = self.by_name.get_mut(name) else { continue };
            instance.pending.insert(key.clone());
            let routes = instance.routes.entry(key.clone()).or_default();
            if let Err(place) = routes.binary_search(destination) {
                // Nearly always there is one, and stays so.
                routes.reserve_exact(1);
                routes.insert(place, destination.clone());
            }
        }
        for name in
            before.iter().flat_map(|before| &**before).filter(|name| after.binary_search(name).is_err())
        {
            let Some(instance) = self.by_name.get_mut(name) else { continue };
            instance.pending.insert(key.clone());
            if let Some(routes) = instance.routes.get_mut(&key) {
                routes.retain(|route| route != destination);
                if routes.is_empty() {
                    instance.routes.remove(&key);
                }
            }
        }
    }

    /// The instances that import one of these paths, in order.
    fn importing(&mut self, paths: &[PathView<'_>]) -> Names {
        if let ([path], Some((attributes, names))) = (paths, &self.last)
            && Arc::ptr_eq(path.attributes, attributes)
        {
            return Arc::clone(names);
        }
        let targets = paths.iter().flat_map(|path| path.attributes.attributes.extended_communities());
        let targets = targets.filter_map(|community| community.route_target());
        let names: BTreeSet<&Arc<str>> =
            targets.filter_map(|target| self.by_target.get(&target)).flatten().collect();
        let names: Names = names.into_iter().cloned().collect();
        if let [path] = paths {
            self.last = Some((Arc::clone(path.attributes), Arc::clone(&names)));
        }
        names
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
            // Whoever comes next need not have been here before, unless it is one that moves.
            if self.moves.get_mut(key).is_some_and(|moves| moves.forget(now)) {
                self.moves.remove(key);
            }
            return false;
        };
        let at = best.attributes.attributes.next_hop;
        let moves = self.moves.entry(key.clone()).or_insert_with(|| Moves { at, times: VecDeque::new() });
        if moves.at != at {
            moves.at = at;
            moves.times.push_back(now);
        }
        moves.forget(now);
        let is_duplicate = moves.times.len() >= MOVES_MAX;
        self.sweep_moves(now);
        is_duplicate
    }

    /// Lets go of what has moved, is gone, and did not come back: when as many are noted as twice those left the last time, so that each
    /// costs little.
    fn sweep_moves(&mut self, now: Instant) {
        if self.moves.len() <= self.moves_swept_at.max(MOVES_KEPT_MIN) {
            return;
        }
        let Self { routes, moves, .. } = self;
        moves.retain(|key, moves| !moves.forget(now) || routes.contains_key(key));
        self.moves_swept_at = moves.len() * 2;
    }
}

impl Moves {
    /// Forgets the moves that are too old to count; answers whether that were all.
    fn forget(&mut self, now: Instant) -> bool {
        while self.times.len() > MOVES_MAX
            || self.times.front().is_some_and(|&time| now.duration_since(time) > MOVES_WITHIN)
        {
            self.times.pop_front();
        }
        self.times.is_empty()
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use weft_net::Mac;

    use super::*;
    use crate::wire::EthernetTag;

    /// A MAC address, and a path to it by way of one of two hosts.
    fn found(number: u32, host: u8) -> (Destination, Found) {
        let [.., b, c, d] = number.to_be_bytes();
        let destination = Destination::Evpn(EvpnDestination::MacIp {
            distinguisher: RouteDistinguisher::ZERO,
            tag: EthernetTag::default(),
            mac: Mac::new([2, 0, 0, b, c, d]),
            address: None,
        });
        let next_hop = IpAddr::from([192, 0, 2, host]);
        let mut rib = Rib::new(Ipv4Addr::LOCALHOST, 1);
        let found = Found {
            peer: PeerIndex(1),
            epoch: 0,
            path_id: 0,
            is_long_lived_stale: false,
            attributes: rib.intern(Attributes::new(next_hop.into())),
            payload: Payload::None,
            family: Family::Evpn,
            distinguisher: None,
        };
        (destination, found)
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a beginning, from which the test counts")]
    fn what_is_withdrawn_is_forgotten_when_its_moves_are_old_also_if_nobody_speaks_of_it_again() {
        let (mut instance, start) = (Instance::default(), Instant::now());
        let later = start + MOVES_WITHIN + Duration::from_secs(1);
        let numbers = 0..u32::try_from(MOVES_KEPT_MIN).unwrap();
        for number in numbers.clone() {
            let [(key, one), (_, other)] = [1, 2].map(|host| found(number, host));
            instance.has_moved(&key, Some(&one), start);
            instance.has_moved(&key, Some(&other), start);
            instance.has_moved(&key, None, start);
            assert!(instance.moves.contains_key(&key), "it may come back, and be a duplicate");
        }
        let (key, _) = found(0, 1);
        instance.has_moved(&key, None, later);
        assert!(!instance.moves.contains_key(&key));
        for number in numbers.end..numbers.end + 2 {
            let (key, one) = found(number, 1);
            instance.routes.insert(key.clone(), Vec::new());
            instance.has_moved(&key, Some(&one), later);
        }
        assert_eq!(instance.moves.len(), 2, "those that are there");
    }
}
