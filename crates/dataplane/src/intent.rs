//! A host's intent: the fragments it follows, and their union.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::{Key, Object, State};

/// What a fragment belongs to: an instance of a service, and the subject (a port, a member host) that adds to it.
///
/// Both are `kind/id` texts, such as `network/8c1f…` and `service_port/77ab…`; they say who asked for an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentId {
    /// The service instance.
    pub service: Arc<str>,
    /// The subject.
    pub subject: Arc<str>,
}

impl fmt::Display for FragmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.subject, self.service)
    }
}

/// The objects that one subject puts on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Whose objects they are.
    pub id: FragmentId,
    /// The objects.
    pub objects: Vec<Object>,
}

/// The intent of a host: the union of the fragments that it follows.
///
/// Two fragments may ask for the same object; it stays until neither does. If they ask for different objects under one
/// key, the one of the smaller [`FragmentId`] is taken, whatever the order of arrival, and the key is reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostIntent {
    fragments: BTreeMap<FragmentId, Vec<Key>>,
    asked: BTreeMap<Key, BTreeMap<FragmentId, Object>>,
    want: State,
    conflicts: BTreeSet<Key>,
}

impl HostIntent {
    /// Adds a fragment, in place of what it was before.
    pub fn upsert(&mut self, fragment: Fragment) {
        let keys: Vec<Key> = fragment.objects.iter().map(Object::key).collect();
        let gone: Vec<Key> = match self.fragments.get(&fragment.id) {
            Some(before) => {
                let now: BTreeSet<&Key> = keys.iter().collect();
                before.iter().filter(|key| !now.contains(key)).cloned().collect()
            }
            None => Vec::new(),
        };
        self.withdraw(&fragment.id, &gone);
        for (key, object) in keys.iter().zip(fragment.objects) {
            self.asked.entry(key.clone()).or_default().insert(fragment.id.clone(), object);
            self.settle(key);
        }
        self.fragments.insert(fragment.id, keys);
    }

    /// Takes a fragment away; answers whether it was there.
    pub fn remove(&mut self, id: &FragmentId) -> bool {
        let Some(keys) = self.fragments.remove(id) else { return false };
        self.withdraw(id, &keys);
        true
    }

    /// The union: what the host should look like.
    #[must_use]
    pub const fn want(&self) -> &State {
        &self.want
    }

    /// The fragments it follows.
    pub fn fragments(&self) -> impl Iterator<Item = &FragmentId> {
        self.fragments.keys()
    }

    /// How many fragments it follows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fragments.len()
    }

    /// Whether it follows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    /// Who asked for the object with this key.
    pub fn asked_by(&self, key: &Key) -> impl Iterator<Item = &FragmentId> {
        self.asked.get(key).into_iter().flat_map(BTreeMap::keys)
    }

    /// Keys under which different objects are asked for.
    #[must_use]
    pub const fn conflicts(&self) -> &BTreeSet<Key> {
        &self.conflicts
    }

    fn withdraw(&mut self, id: &FragmentId, keys: &[Key]) {
        for key in keys {
            if let Some(asked) = self.asked.get_mut(key) {
                asked.remove(id);
            }
            self.settle(key);
        }
    }

    /// Makes `want` and `conflicts` agree with what is asked for under one key.
    fn settle(&mut self, key: &Key) {
        let Some((first, others)) = self.asked.get(key).and_then(|asked| {
            let mut objects = asked.values();
            objects.next().map(|first| (first, objects))
        }) else {
            self.asked.remove(key);
            self.want.remove(key);
            self.conflicts.remove(key);
            return;
        };
        let agreed = { others }.all(|other| other == first);
        if self.want.get(key) != Some(first) {
            let first = first.clone();
            self.want.insert(first);
        }
        if agreed {
            self.conflicts.remove(key);
        } else {
            self.conflicts.insert(key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LinkId, Neighbour};

    fn id(subject: &str) -> FragmentId {
        FragmentId { service: "network/1".into(), subject: subject.into() }
    }

    fn neighbour(address: u8, mac: u8) -> Object {
        Object::Neighbour(Neighbour {
            link: LinkId::on_host("br-1".parse().unwrap()),
            address: [10, 0, 0, address].into(),
            mac: weft_net::Mac::new([2, 0, 0, 0, 0, mac]),
        })
    }

    #[test]
    fn an_object_that_two_fragments_ask_for_stays_until_neither_does() {
        let mut intent = HostIntent::default();
        intent.upsert(Fragment { id: id("a"), objects: vec![neighbour(1, 1)] });
        intent.upsert(Fragment { id: id("b"), objects: vec![neighbour(1, 1), neighbour(2, 2)] });
        assert!(intent.remove(&id("a")));
        assert_eq!(intent.want().len(), 2);
        assert!(intent.remove(&id("b")));
        assert_eq!(intent, HostIntent::default());
    }

    #[test]
    fn a_fragment_that_comes_again_replaces_what_it_was() {
        let mut intent = HostIntent::default();
        intent.upsert(Fragment { id: id("a"), objects: vec![neighbour(1, 1), neighbour(2, 2)] });
        intent.upsert(Fragment { id: id("a"), objects: vec![neighbour(2, 3)] });
        assert_eq!(intent.want(), &[neighbour(2, 3)].into_iter().collect());
    }

    #[test]
    fn a_conflict_is_settled_the_same_way_in_either_order_and_reported() {
        let (a, b) = (
            Fragment { id: id("a"), objects: vec![neighbour(1, 1)] },
            Fragment { id: id("b"), objects: vec![neighbour(1, 9)] },
        );
        let (mut forth, mut back) = (HostIntent::default(), HostIntent::default());
        forth.upsert(a.clone());
        forth.upsert(b.clone());
        back.upsert(b);
        back.upsert(a);
        assert_eq!(forth, back);
        assert_eq!(forth.want(), &[neighbour(1, 1)].into_iter().collect());
        assert_eq!(forth.conflicts().len(), 1);
    }
}
