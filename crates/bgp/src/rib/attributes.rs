//! Attribute sets, each kept once however many routes have it.

use std::hash::BuildHasher;
use std::net::Ipv4Addr;
use std::sync::Arc;

use foldhash::quality::FixedState;
use hashbrown::HashTable;
use weft_net::Asn;

use crate::wire::{Attributes, Community};

/// Attributes, with what the decision process asks of them at every turn.
#[derive(Debug)]
pub(crate) struct AttributeSet {
    pub(crate) attributes: Attributes,
    hash: u64,
    /// RFC 4271 §9.1.2.2 a: a set counts as one.
    pub(crate) as_path_length: u32,
    /// The neighbouring system, of which alone MULTI_EXIT_DISC is comparable.
    pub(crate) neighbor_as: Option<Asn>,
    /// The MAC Mobility community (RFC 7432 §7.7): sticky ones last.
    pub(crate) mobility: Mobility,
    pub(crate) is_long_lived_stale: bool,
}

/// How a MAC address has moved, so that the greater one wins (RFC 7432 §15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mobility {
    /// It never moves (§15.2).
    pub(crate) is_sticky: bool,
    /// How often it has moved.
    pub(crate) sequence: u32,
}

impl AttributeSet {
    fn new(attributes: Attributes, hash: u64) -> Self {
        let mobility =
            attributes.extended_communities().iter().find_map(|community| community.as_mac_mobility());
        let (sequence, is_sticky) = mobility.unwrap_or_default();
        Self {
            hash,
            as_path_length: u32::try_from(attributes.as_path.length()).unwrap_or(u32::MAX),
            neighbor_as: attributes.as_path.first(),
            mobility: Mobility { is_sticky, sequence },
            is_long_lived_stale: attributes.communities().contains(&Community::LLGR_STALE),
            attributes,
        }
    }

    pub(crate) fn originator(&self) -> Option<Ipv4Addr> {
        self.attributes.rare().originator_id
    }

    pub(crate) fn cluster_list_length(&self) -> usize {
        self.attributes.rare().cluster_list.len()
    }
}

/// The table of those that are in use.
#[derive(Debug)]
pub(crate) struct Interner {
    sets: HashTable<Arc<AttributeSet>>,
    hasher: FixedState,
}

impl Interner {
    /// With this seed a neighbour cannot know which attributes have the same hash.
    pub(crate) fn new(seed: u64) -> Self {
        Self { sets: HashTable::new(), hasher: FixedState::with_seed(seed) }
    }

    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }

    /// The one set with these attributes.
    pub(crate) fn intern(&mut self, attributes: Attributes) -> Arc<AttributeSet> {
        let hash = self.hasher.hash_one(&attributes);
        if let Some(set) = self.sets.find(hash, |set| set.hash == hash && set.attributes == attributes) {
            return Arc::clone(set);
        }
        let set = Arc::new(AttributeSet::new(attributes, hash));
        self.sets.insert_unique(hash, Arc::clone(&set), |set| set.hash);
        set
    }

    /// Gives back a set that a path had: with its last user it goes out of the table.
    pub(crate) fn release(&mut self, set: Arc<AttributeSet>) {
        // The table's own reference and this one.
        if Arc::strong_count(&set) > 2 {
            return;
        }
        if let Ok(found) = self.sets.find_entry(set.hash, |other| Arc::ptr_eq(other, &set)) {
            found.remove();
        }
        if self.sets.len() < self.sets.capacity() / 8 {
            self.sets.shrink_to(self.sets.len() * 2, |set| set.hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::NextHop;

    #[test]
    fn equal_sets_are_one_and_go_with_their_last_user() {
        let mut interner = Interner::new(1);
        let mut attributes = Attributes::new(NextHop::Ipv4(Ipv4Addr::new(192, 0, 2, 1)));
        let (one, other) = (interner.intern(attributes.clone()), interner.intern(attributes.clone()));
        assert!(Arc::ptr_eq(&one, &other));
        attributes.multi_exit_disc = Some(1);
        let different = interner.intern(attributes);
        assert_eq!(interner.len(), 2);
        interner.release(one);
        assert_eq!(interner.len(), 2);
        interner.release(other);
        interner.release(different);
        assert_eq!(interner.len(), 0);
    }
}
