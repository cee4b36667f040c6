//! Whether the tables are what they should be, looked at a few routes at a time.

use std::net::IpAddr;
use std::ops::Bound;

use super::learned::LearnedPath;
use super::{Route, Speaker, export};
use crate::rib::PeerIndex;
use crate::wire::{Destination, Family};

/// A neighbour was told of a destination and should not have been, or should have been and was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistold {
    /// The neighbour.
    pub neighbor: IpAddr,
    /// The destination.
    pub destination: Destination,
    /// Whether it should have been told.
    pub is_owed: bool,
}

impl Speaker {
    /// What we originate to a destination.
    #[must_use]
    pub fn originated(&self, destination: &Destination) -> Option<Route> {
        let paths = self.rib.table(destination.family()).paths(destination);
        let own = paths.into_iter().find(|path| path.peer == PeerIndex::LOCAL)?;
        let attributes = own.attributes.attributes.clone();
        Some(Route { destination: destination.clone(), payload: own.payload, attributes })
    }

    /// The destinations of a family to which we originate something, among so many from a place on, and the place to go on from.
    #[must_use]
    pub fn originations(
        &self,
        family: Family,
        from: u32,
        looked_at_max: usize,
    ) -> (Vec<Destination>, Option<u32>) {
        let (mut found, mut looked_at) = (Vec::new(), 0);
        let next = self.rib.table(family).walk(from, &mut |destination, paths| {
            looked_at += 1;
            if paths.iter().any(|path| path.peer == PeerIndex::LOCAL) {
                found.push(destination.clone());
            }
            looked_at < looked_at_max
        });
        (found, next)
    }

    /// The neighbours that have been told of a destination.
    #[must_use]
    pub fn told_to(&self, destination: &Destination) -> Vec<IpAddr> {
        let table = self.rib.table(destination.family());
        let told = self.peers.values().filter(|peer| table.is_told(peer.index, destination) == Some(true));
        told.map(|peer| peer.config.address).collect()
    }

    /// Compares, for so many destinations from a place on, what neighbours have been told with what is for them. Who was not told
    /// rightly is told again. Answers besides the place to go on from.
    pub fn audit_told(
        &mut self,
        family: Family,
        from: u32,
        looked_at_max: usize,
    ) -> (Vec<Mistold>, Option<u32>) {
        let (mut found, mut looked_at) = (Vec::new(), 0);
        // While somebody is being led to something new, what he was told says nothing.
        let settled = |peer: &&super::peer::Peer| peer.is_spoken(family) && !peer.has_work();
        let peers: Vec<&super::peer::Peer> = self.peers.values().filter(settled).collect();
        if peers.is_empty() || self.settling_until.is_some() {
            return (found, None);
        }
        let next = self.rib.table(family).walk(from, &mut |destination, paths| {
            looked_at += 1;
            for peer in &peers {
                let Some(is_told) = self.rib.table(family).is_told(peer.index, destination) else { continue };
                let sent = export::sent(&self.config, peer, destination, (paths, self.rib.sources()));
                if is_told == sent.is_empty() {
                    let neighbor = peer.config.address;
                    found.push(Mistold { neighbor, destination: destination.clone(), is_owed: !is_told });
                }
            }
            looked_at < looked_at_max
        });
        for mistold in &found {
            if let Some(index) = self.index_of(mistold.neighbor) {
                self.rib.table_mut(family).mark_one(PeerIndex(index), &mistold.destination);
            }
        }
        (found, next)
    }

    /// What an instance has of at most so many destinations after this one, without their route distinguishers; nothing in
    /// place of the paths of whose change [`Speaker::poll_learned`] has yet to tell.
    #[must_use]
    pub fn imported_after(
        &self,
        instance: &str,
        after: Option<&Destination>,
        count_max: usize,
    ) -> Vec<(Destination, Option<Vec<LearnedPath>>)> {
        let Some(instance) = self.instances.by_name.get(instance) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let some = instance.routes.range::<Destination, _>((from, Bound::Unbounded)).take(count_max);
        some.map(|(key, _)| (key.clone(), self.imported_by(instance, key))).collect()
    }

    /// What an instance has of a destination; nothing while [`Speaker::poll_learned`] has yet to tell of a change of it.
    #[must_use]
    pub fn imported(&self, instance: &str, destination: &Destination) -> Option<Vec<LearnedPath>> {
        match self.instances.by_name.get(instance) {
            Some(instance) => self.imported_by(instance, destination),
            None => Some(Vec::new()),
        }
    }

    fn imported_by(
        &self,
        instance: &super::learned::Instance,
        key: &Destination,
    ) -> Option<Vec<LearnedPath>> {
        if self.settling_until.is_some() || instance.pending.contains(key) {
            return None;
        }
        let best = instance.best(key, &self.rib);
        Some(best.into_iter().filter_map(|path| path.learned(&self.peers)).collect())
    }

    /// Has [`Speaker::poll_learned`] tell once more what an instance has of a destination.
    pub fn tell_again(&mut self, instance: &str, destination: &Destination) {
        if let Some(instance) = self.instances.by_name.get_mut(instance) {
            instance.pending.insert(destination.clone());
        }
    }
}
