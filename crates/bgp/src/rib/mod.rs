//! The routes of all neighbours and our own, and which of them are the best.
//!
//! Never here: sessions, messages, policy.
//!
//! Attributes are kept once ([`Interner`]); the routes of a family are in one table ([`table`]), whoever they are from: what a
//! neighbour has announced is those paths of the table that are its own, what it has been told is a bit a destination.
//!
//! A neighbour's routes become stale all at once, by raising its *epoch*; they go in walks through the table of so many slots at a
//! time ([`Rib::sweep`]), so that the end of a session with a million routes holds up nobody.

mod attributes;
mod bits;
mod decision;
mod keys;
mod path;
mod table;

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};

pub(crate) use attributes::{AttributeSet, Interner};
pub use decision::Step;
pub(crate) use decision::{Candidate, DEFAULT_LOCAL_PREF, Decision, Source, SourceKind, Traced, decide};
pub(crate) use path::PeerIndex;
use table::Table;
pub(crate) use table::{FamilyTable, NewPath, PathView, Pending, Scope, Sweep};

use crate::wire::{Attributes, Destination, EvpnDestination, Family, Membership, VpnDestination};

/// A visitor of what a neighbour has to be told, with the sources of the paths.
pub(crate) type DrainVisit<'a> = dyn FnMut(&Pending<'_>, &[Source]) -> bool + 'a;

/// All tables.
#[derive(Debug)]
pub(crate) struct Rib {
    tables: [Box<dyn FamilyTable>; Family::ALL.len()],
    interner: Interner,
    /// By neighbour; the first is ourselves.
    sources: Vec<Source>,
    /// How many paths each neighbour has in each family.
    counts: Vec<[u32; Family::ALL.len()]>,
}

impl Rib {
    /// Tables without routes. With the seed nobody outside knows how things are hashed.
    pub(crate) fn new(router_id: Ipv4Addr, seed: u64) -> Self {
        let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let local = Source { kind: SourceKind::Local, router_id, address, is_client: false };
        Self {
            tables: Family::ALL.map(|family| table(family, seed)),
            interner: Interner::new(seed),
            sources: vec![local],
            counts: vec![[0; Family::ALL.len()]],
        }
    }

    /// Notes who a neighbour is, before its routes come.
    pub(crate) fn set_source(&mut self, peer: PeerIndex, source: Source) {
        if peer.as_usize() >= self.sources.len() {
            self.sources.resize(peer.as_usize() + 1, source);
            self.counts.resize(peer.as_usize() + 1, [0; Family::ALL.len()]);
        }
        self.sources[peer.as_usize()] = source;
    }

    pub(crate) fn source(&self, peer: PeerIndex) -> Source {
        self.sources[peer.as_usize()]
    }

    pub(crate) fn table(&self, family: Family) -> &dyn FamilyTable {
        &*self.tables[family as usize]
    }

    pub(crate) fn table_mut(&mut self, family: Family) -> &mut dyn FamilyTable {
        &mut *self.tables[family as usize]
    }

    /// How many attribute sets there are.
    pub(crate) fn attribute_sets(&self) -> usize {
        self.interner.len()
    }

    /// How many paths a neighbour has in a family.
    pub(crate) fn count(&self, peer: PeerIndex, family: Family) -> u32 {
        self.counts.get(peer.as_usize()).map_or(0, |counts| counts[family as usize])
    }

    pub(crate) fn intern(&mut self, attributes: Attributes) -> Arc<AttributeSet> {
        self.interner.intern(attributes)
    }

    /// Gives back a set that was interned.
    pub(crate) fn release(&mut self, set: Arc<AttributeSet>) {
        self.interner.release(set);
    }

    /// Puts a path in.
    pub(crate) fn announce(&mut self, to: &Destination, path: NewPath) {
        let (family, peer) = (to.family() as usize, path.peer);
        match self.tables[family].announce(to, path, &self.sources) {
            Some(old) => self.interner.release(old),
            None => self.counts[peer.as_usize()][family] += 1,
        }
    }

    /// Takes a path out; answers whether it was there.
    pub(crate) fn withdraw(&mut self, of: &Destination, peer: PeerIndex, path_id: u32) -> bool {
        let family = of.family() as usize;
        let Some(old) = self.tables[family].withdraw(of, (peer, path_id), &self.sources) else {
            return false;
        };
        self.interner.release(old);
        self.counts[peer.as_usize()][family] -= 1;
        true
    }

    /// Walks through some slots of a table for a neighbour; answers where to go on, if there are more.
    pub(crate) fn sweep(
        &mut self,
        peer: PeerIndex,
        family: Family,
        sweep: Sweep,
        slots: Range<u32>,
    ) -> Option<u32> {
        let mut released = Vec::new();
        let table = &mut self.tables[family as usize];
        let next = table.sweep((peer, sweep), slots, &self.sources, &mut released);
        self.counts[peer.as_usize()][family as usize] -=
            u32::try_from(released.len()).expect("slots are u32");
        released.into_iter().for_each(|set| self.interner.release(set));
        next
    }

    /// Shows a neighbour at most so many slots of which it has to be told; answers how many there were.
    pub(crate) fn drain(
        &mut self,
        peer: PeerIndex,
        family: Family,
        count_max: usize,
        visit: &mut DrainVisit<'_>,
    ) -> usize {
        let Self { tables, sources, .. } = self;
        let table = &mut tables[family as usize];
        table.drain(peer, count_max, &mut |pending| visit(pending, sources))
    }

    /// Who a neighbour is, for each.
    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// How the best path to a destination was found.
    pub(crate) fn decision(&self, to: &Destination) -> Option<Traced> {
        self.table(to.family()).decision(to, &self.sources)
    }
}

fn table(family: Family, seed: u64) -> Box<dyn FamilyTable> {
    match family {
        Family::Ipv4Unicast => Box::new(Table::<Ipv4Net>::new(seed)),
        Family::Ipv6Unicast => Box::new(Table::<Ipv6Net>::new(seed)),
        Family::Vpnv4 => Box::new(Table::<VpnDestination<Ipv4Net>>::new(seed)),
        Family::Vpnv6 => Box::new(Table::<VpnDestination<Ipv6Net>>::new(seed)),
        Family::Evpn => Box::new(Table::<EvpnDestination>::new(seed)),
        Family::RouteTarget => Box::new(Table::<Membership>::new(seed)),
    }
}
