//! The routes of one family.
//!
//! ```text
//! key ── index ──> slot ──> entries[slot] { key, paths: the best first }
//!                   └────── a bit per neighbour: has to be told · has been told
//! ```
//!
//! What a neighbour has yet to be told is a set of slots and not a queue of messages: it is as large as the table at most, and what
//! changes twice before it is sent is sent once. A slot without paths stays until every neighbour that was told of it knows.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::HashTable;

use super::AttributeSet;
use super::bits::SlotSet;
use super::decision::{Candidate, Source, Traced, decide, decide_and_trace};
use super::path::{Path, Paths, PeerIndex};
use crate::wire::{Destination, Payload};

/// What identifies a route of a family, in its own type.
pub(crate) trait Key: Clone + Eq + Ord + Hash + fmt::Debug + Send + Sync + 'static {
    /// What a route carries besides.
    type Payload: Clone + PartialEq + fmt::Debug + Send + Sync + 'static;

    fn of(destination: &Destination) -> Option<&Self>;
    fn destination(&self) -> Destination;
    fn compact(payload: &Payload) -> Self::Payload;
    fn payload(compact: &Self::Payload) -> Payload;
}

/// A path that is announced.
#[derive(Clone, Debug)]
pub(crate) struct NewPath {
    pub(crate) peer: PeerIndex,
    pub(crate) epoch: u8,
    pub(crate) path_id: u32,
    pub(crate) attributes: Arc<AttributeSet>,
    pub(crate) payload: Payload,
}

/// A path, to look at.
#[derive(Clone, Debug)]
pub(crate) struct PathView<'a> {
    pub(crate) attributes: &'a Arc<AttributeSet>,
    pub(crate) peer: PeerIndex,
    pub(crate) epoch: u8,
    pub(crate) path_id: u32,
    pub(crate) is_long_lived_stale: bool,
    pub(crate) payload: Payload,
}

impl<'a> PathView<'a> {
    pub(crate) fn candidate(&self, sources: &[Source]) -> Candidate<'a> {
        Candidate {
            attributes: self.attributes,
            source: sources[self.peer.as_usize()],
            path_id: self.path_id,
            is_long_lived_stale: self.is_long_lived_stale,
        }
    }
}

/// What a neighbour is told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The best path.
    Best,
    /// All of them (RFC 7911), or those that are as good as the best.
    All,
}

/// Who is told of changes.
#[derive(Debug)]
struct Subscriber {
    peer: PeerIndex,
    scope: Scope,
    /// Has to be told.
    pending: SlotSet,
    /// Has been told, and not yet that it is gone.
    told: SlotSet,
}

/// Which paths a walk through the table takes out or changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sweep {
    /// Takes out the neighbour's paths of other epochs than this.
    OtherEpochs(u8),
    /// Makes the neighbour's paths stale for long (RFC 9494 §4.2); those with `NO_LLGR` go.
    LongLived,
}

/// The routes of one family.
#[derive(Debug)]
pub(crate) struct Table<K: Key> {
    entries: Vec<Entry<K>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    hasher: FixedState,
    subscribers: Vec<Subscriber>,
}

#[derive(Debug)]
struct Entry<K: Key> {
    key: K,
    paths: Paths<K::Payload>,
}

/// What a neighbour has to be told of.
pub(crate) struct Pending<'a> {
    pub(crate) slot: u32,
    pub(crate) destination: &'a Destination,
    /// The best first.
    pub(crate) paths: &'a [PathView<'a>],
    /// Whether it has been told of it before.
    pub(crate) is_told: bool,
}

/// A visitor of what a neighbour has to be told: answers whether it has something of the destination now.
pub(crate) type Visit<'a> = dyn FnMut(&Pending<'_>) -> bool + 'a;

impl<K: Key> Table<K> {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            subscribers: Vec::new(),
        }
    }

    fn find(&self, key: &K) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |&slot| self.entries[slot as usize].key == *key).copied()
    }

    fn find_or_make(&mut self, key: &K) -> u32 {
        if let Some(slot) = self.find(key) {
            return slot;
        }
        let entry = Entry { key: key.clone(), paths: Paths::None };
        let slot = if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = entry;
            slot
        } else {
            self.entries.push(entry);
            u32::try_from(self.entries.len() - 1).expect("memory ends before 2^32 routes")
        };
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash = hasher.hash_one(key);
        self.index.insert_unique(hash, slot, |&slot| hasher.hash_one(&entries[slot as usize].key));
        slot
    }

    /// Frees a slot that has no paths and of which nobody has to be told.
    fn free_if_unused(&mut self, slot: u32) {
        let is_used = !self.entries[slot as usize].paths.as_slice().is_empty()
            || self
                .subscribers
                .iter()
                .any(|subscriber| subscriber.told.contains(slot) || subscriber.pending.contains(slot));
        if is_used {
            return;
        }
        let hash = self.hasher.hash_one(&self.entries[slot as usize].key);
        let Ok(found) = self.index.find_entry(hash, |&other| other == slot) else { return };
        found.remove();
        self.free.push(slot);
        if self.index.is_empty() {
            (self.entries, self.free, self.index) = (Vec::new(), Vec::new(), HashTable::new());
        }
    }

    fn changed(&mut self, slot: u32, is_best_changed: bool) {
        for subscriber in &mut self.subscribers {
            if is_best_changed || subscriber.scope == Scope::All {
                subscriber.pending.insert(slot);
            }
        }
    }

    /// Puts the best path first.
    fn order(&mut self, slot: u32, sources: &[Source]) {
        if let Paths::Many(paths) = &mut self.entries[slot as usize].paths {
            let candidates: Vec<Candidate<'_>> = paths.iter().map(|path| candidate(path, sources)).collect();
            let best = decide(&candidates).map_or(0, |decision| decision.best);
            paths.swap(0, best);
        }
    }

    fn best(&self, slot: u32) -> Option<&Path<K::Payload>> {
        self.entries[slot as usize].paths.as_slice().first()
    }

    /// Takes out those of a slot's paths of which this is so.
    fn remove_if(
        &mut self,
        slot: u32,
        sources: &[Source],
        is_gone: impl FnMut(&Path<K::Payload>) -> bool,
        released: &mut Vec<Arc<AttributeSet>>,
    ) -> usize {
        let before = self.best(slot).cloned();
        let first = released.len();
        let paths = &mut self.entries[slot as usize].paths;
        paths.remove_if(is_gone, |path| released.push(path.attributes));
        let removed = released.len() - first;
        if removed > 0 {
            self.order(slot, sources);
            self.changed(slot, !same(before.as_ref(), self.best(slot)));
            self.free_if_unused(slot);
        }
        removed
    }

    fn views(&self, slot: u32) -> Vec<PathView<'_>> {
        self.entries[slot as usize].paths.as_slice().iter().map(view::<K>).collect()
    }

    fn subscriber(&mut self, peer: PeerIndex) -> Option<&mut Subscriber> {
        self.subscribers.iter_mut().find(|subscriber| subscriber.peer == peer)
    }

    fn is_of(&self, slot: u32, peer: PeerIndex) -> bool {
        self.entries
            .get(slot as usize)
            .is_some_and(|entry| entry.paths.as_slice().iter().any(|path| path.peer == peer))
    }
}

fn view<K: Key>(path: &Path<K::Payload>) -> PathView<'_> {
    PathView {
        attributes: &path.attributes,
        peer: path.peer,
        epoch: path.epoch,
        path_id: path.path_id,
        is_long_lived_stale: path.is_long_lived_stale,
        payload: K::payload(&path.payload),
    }
}

fn candidate<'a, P>(path: &'a Path<P>, sources: &[Source]) -> Candidate<'a> {
    Candidate {
        attributes: &path.attributes,
        source: sources[path.peer.as_usize()],
        path_id: path.path_id,
        is_long_lived_stale: path.is_long_lived_stale,
    }
}

/// Whether nobody could tell one from the other.
fn same<P: PartialEq>(one: Option<&Path<P>>, other: Option<&Path<P>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            one.peer == other.peer
                && one.path_id == other.path_id
                && one.is_long_lived_stale == other.is_long_lived_stale
                && Arc::ptr_eq(&one.attributes, &other.attributes)
                && one.payload == other.payload
        }
        (None, Some(_)) | (Some(_), None) => false,
    }
}

/// A table of any family.
pub(crate) trait FamilyTable: fmt::Debug + Send {
    /// Puts a path in; answers the attributes of the one in whose place it is.
    fn announce(&mut self, to: &Destination, path: NewPath, sources: &[Source]) -> Option<Arc<AttributeSet>>;
    /// Takes a path out; answers its attributes.
    fn withdraw(
        &mut self,
        of: &Destination,
        from: (PeerIndex, u32),
        sources: &[Source],
    ) -> Option<Arc<AttributeSet>>;
    /// Walks through some slots; answers where to go on, if there are more. What went out is in `released`.
    fn sweep(
        &mut self,
        walk: (PeerIndex, Sweep),
        slots: std::ops::Range<u32>,
        sources: &[Source],
        released: &mut Vec<Arc<AttributeSet>>,
    ) -> Option<u32>;
    /// Tells a neighbour of changes from now on.
    fn subscribe(&mut self, peer: PeerIndex, scope: Scope);
    /// Tells it of none any more.
    fn unsubscribe(&mut self, peer: PeerIndex);
    /// Marks those of some slots of which this is so, to be told once more; answers where to go on, if there are more.
    fn mark(
        &mut self,
        peer: PeerIndex,
        slots: std::ops::Range<u32>,
        is_meant: &dyn Fn(&PathView<'_>) -> bool,
    ) -> Option<u32>;
    /// Shows at most so many slots of which a neighbour has to be told; answers how many there were.
    fn drain(&mut self, peer: PeerIndex, count_max: usize, visit: &mut Visit<'_>) -> usize;
    /// How many slots a neighbour has yet to be told of, and has been told of.
    fn told(&self, peer: PeerIndex) -> (usize, usize);
    /// Whether a neighbour has been told of this destination; nothing while that is yet to be looked at.
    fn is_told(&self, peer: PeerIndex, destination: &Destination) -> Option<bool>;
    /// Notes that a neighbour has to be told once more of this destination.
    fn mark_one(&mut self, peer: PeerIndex, destination: &Destination);
    /// The paths to a destination.
    fn paths(&self, to: &Destination) -> Vec<PathView<'_>>;
    /// How the best of them was found.
    fn decision(&self, to: &Destination, sources: &[Source]) -> Option<Traced>;
    /// Shows the slots from one on until the visitor has enough; answers where to go on, if there are more.
    fn walk(&self, from: u32, visit: &mut dyn FnMut(&Destination, &[PathView<'_>]) -> bool) -> Option<u32>;
    /// How many destinations there are.
    fn len(&self) -> usize;
}

impl<K: Key> FamilyTable for Table<K> {
    fn announce(&mut self, to: &Destination, path: NewPath, sources: &[Source]) -> Option<Arc<AttributeSet>> {
        let slot = self.find_or_make(K::of(to)?);
        let path = Path {
            attributes: path.attributes,
            path_id: path.path_id,
            peer: path.peer,
            epoch: path.epoch,
            is_long_lived_stale: false,
            payload: K::compact(&path.payload),
        };
        let before = self.best(slot).cloned();
        let old = self.entries[slot as usize].paths.put(path.clone());
        if same(old.as_ref(), Some(&path)) {
            // Only who wants to know whether a route is stale can tell.
            if old.as_ref().is_some_and(|old| old.epoch != path.epoch)
                && let Some(local) = self.subscriber(PeerIndex::LOCAL)
            {
                local.pending.insert(slot);
            }
        } else {
            self.order(slot, sources);
            self.changed(slot, !same(before.as_ref(), self.best(slot)));
        }
        old.map(|old| old.attributes)
    }

    fn withdraw(
        &mut self,
        of: &Destination,
        from: (PeerIndex, u32),
        sources: &[Source],
    ) -> Option<Arc<AttributeSet>> {
        let slot = self.find(K::of(of)?)?;
        let mut released = Vec::new();
        self.remove_if(slot, sources, |path| (path.peer, path.path_id) == from, &mut released);
        released.pop()
    }

    fn sweep(
        &mut self,
        (peer, sweep): (PeerIndex, Sweep),
        slots: std::ops::Range<u32>,
        sources: &[Source],
        released: &mut Vec<Arc<AttributeSet>>,
    ) -> Option<u32> {
        for slot in slots.clone() {
            if slot as usize >= self.entries.len() {
                return None;
            }
            if !self.is_of(slot, peer) {
                continue;
            }
            let is_gone = |path: &Path<K::Payload>| {
                path.peer == peer
                    && match sweep {
                        Sweep::OtherEpochs(epoch) => path.epoch != epoch,
                        Sweep::LongLived => path
                            .attributes
                            .attributes
                            .communities()
                            .contains(&crate::wire::Community::NO_LLGR),
                    }
            };
            self.remove_if(slot, sources, is_gone, released);
            if sweep == Sweep::LongLived && self.is_of(slot, peer) {
                let paths = self.entries[slot as usize].paths.as_mut_slice();
                paths
                    .iter_mut()
                    .filter(|path| path.peer == peer)
                    .for_each(|path| path.is_long_lived_stale = true);
                self.order(slot, sources);
                self.changed(slot, true);
            }
        }
        Some(slots.end)
    }

    fn subscribe(&mut self, peer: PeerIndex, scope: Scope) {
        self.unsubscribe(peer);
        let (pending, told) = (SlotSet::default(), SlotSet::default());
        self.subscribers.push(Subscriber { peer, scope, pending, told });
    }

    fn unsubscribe(&mut self, peer: PeerIndex) {
        let Some(at) = self.subscribers.iter().position(|subscriber| subscriber.peer == peer) else { return };
        let gone = self.subscribers.swap_remove(at);
        for slot in gone.told.iter().chain(gone.pending.iter()) {
            if self.entries.get(slot as usize).is_some_and(|entry| entry.paths.as_slice().is_empty()) {
                self.free_if_unused(slot);
            }
        }
    }

    fn mark(
        &mut self,
        peer: PeerIndex,
        slots: std::ops::Range<u32>,
        is_meant: &dyn Fn(&PathView<'_>) -> bool,
    ) -> Option<u32> {
        let Self { entries, subscribers, .. } = self;
        let subscriber = subscribers.iter_mut().find(|subscriber| subscriber.peer == peer)?;
        for slot in slots.clone() {
            let paths = entries.get(slot as usize)?.paths.as_slice();
            if paths.iter().any(|path| is_meant(&view::<K>(path))) {
                subscriber.pending.insert(slot);
            }
        }
        Some(slots.end)
    }

    fn drain(&mut self, peer: PeerIndex, count_max: usize, visit: &mut Visit<'_>) -> usize {
        for count in 0..count_max {
            let Some(slot) = self.subscriber(peer).and_then(|subscriber| subscriber.pending.pop()) else {
                return count;
            };
            let destination = self.entries[slot as usize].key.destination();
            let is_told = self.subscriber(peer).is_some_and(|subscriber| subscriber.told.contains(slot));
            let paths = self.views(slot);
            let has_it = visit(&Pending { slot, destination: &destination, paths: &paths, is_told });
            let Some(subscriber) = self.subscriber(peer) else { return count };
            if has_it {
                subscriber.told.insert(slot);
            } else {
                subscriber.told.remove(slot);
            }
            self.free_if_unused(slot);
        }
        count_max
    }

    fn told(&self, peer: PeerIndex) -> (usize, usize) {
        let subscriber = self.subscribers.iter().find(|subscriber| subscriber.peer == peer);
        subscriber.map_or((0, 0), |subscriber| (subscriber.pending.len(), subscriber.told.len()))
    }

    fn is_told(&self, peer: PeerIndex, destination: &Destination) -> Option<bool> {
        let slot = K::of(destination).and_then(|key| self.find(key))?;
        let subscriber = self.subscribers.iter().find(|subscriber| subscriber.peer == peer)?;
        (!subscriber.pending.contains(slot)).then(|| subscriber.told.contains(slot))
    }

    fn mark_one(&mut self, peer: PeerIndex, destination: &Destination) {
        let Some(slot) = K::of(destination).and_then(|key| self.find(key)) else { return };
        if let Some(subscriber) = self.subscriber(peer) {
            subscriber.pending.insert(slot);
        }
    }

    fn paths(&self, to: &Destination) -> Vec<PathView<'_>> {
        K::of(to).and_then(|key| self.find(key)).map_or_else(Vec::new, |slot| self.views(slot))
    }

    fn decision(&self, to: &Destination, sources: &[Source]) -> Option<Traced> {
        let slot = self.find(K::of(to)?)?;
        let paths = self.entries[slot as usize].paths.as_slice();
        let candidates: Vec<Candidate<'_>> = paths.iter().map(|path| candidate(path, sources)).collect();
        decide_and_trace(&candidates)
    }

    fn walk(&self, from: u32, visit: &mut dyn FnMut(&Destination, &[PathView<'_>]) -> bool) -> Option<u32> {
        for (slot, entry) in self.entries.iter().enumerate().skip(from as usize) {
            let paths: Vec<PathView<'_>> = entry.paths.as_slice().iter().map(view::<K>).collect();
            if !paths.is_empty() && !visit(&entry.key.destination(), &paths) {
                return u32::try_from(slot + 1).ok();
            }
        }
        None
    }

    fn len(&self) -> usize {
        self.index.len()
    }
}
