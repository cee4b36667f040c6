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
    asked: BTreeMap<Key, Asked>,
    want: State,
    conflicts: BTreeSet<Key>,
}

/// What is asked for under one key: mostly one object, which may have very many who ask for it, such as the next router of
/// all routes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    /// Each object once, with who asks for it; in the order of the first of these.
    objects: Vec<(Object, BTreeSet<FragmentId>)>,
}

impl Asked {
    /// A fragment asks for this, whatever it asked for before.
    fn insert(&mut self, id: &FragmentId, object: Object) {
        // Mostly all ask for the same: then nobody has asked for something else.
        if let [(other, by)] = self.objects.as_mut_slice()
            && *other == object
        {
            by.insert(id.clone());
            return;
        }
        if self.objects.iter().any(|(other, by)| *other == object && by.contains(id)) {
            return;
        }
        self.remove(id);
        match self.objects.iter_mut().find(|(other, _)| *other == object) {
            Some((_, by)) => drop(by.insert(id.clone())),
            None => self.objects.push((object, BTreeSet::from([id.clone()]))),
        }
        self.sort();
    }

    /// A fragment asks for nothing any more.
    fn remove(&mut self, id: &FragmentId) {
        for (_, by) in &mut self.objects {
            by.remove(id);
        }
        self.objects.retain(|(_, by)| !by.is_empty());
        self.sort();
    }

    fn sort(&mut self) {
        self.objects.sort_by(|(_, a), (_, b)| a.first().cmp(&b.first()));
    }

    /// What is taken: that of the smallest fragment.
    fn taken(&self) -> Option<&Object> {
        self.objects.first().map(|(object, _)| object)
    }

    /// Whether all ask for the same.
    const fn is_agreed(&self) -> bool {
        self.objects.len() <= 1
    }

    /// Who asks, in order.
    fn by(&self) -> impl Iterator<Item = &FragmentId> {
        let mut all: Vec<&FragmentId> = self.objects.iter().flat_map(|(_, by)| by).collect();
        all.sort();
        all.into_iter()
    }
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
            self.asked.entry(key.clone()).or_default().insert(&fragment.id, object);
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
        self.asked.get(key).into_iter().flat_map(Asked::by)
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
        let Some((taken, is_agreed)) =
            self.asked.get(key).and_then(|asked| Some((asked.taken()?, asked.is_agreed())))
        else {
            self.asked.remove(key);
            self.want.remove(key);
            self.conflicts.remove(key);
            return;
        };
        if self.want.get(key) != Some(taken) {
            let taken = taken.clone();
            self.want.insert(taken);
        }
        if is_agreed {
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
        let asked_by = |intent: &HostIntent| -> Vec<FragmentId> {
            intent.asked_by(&neighbour(1, 1).key()).cloned().collect()
        };
        assert_eq!(asked_by(&back), [id("a"), id("b")]);
        // Who is taken goes, and comes back with what the other has.
        forth.remove(&id("a"));
        assert_eq!(forth.want(), &[neighbour(1, 9)].into_iter().collect());
        assert!(forth.conflicts().is_empty());
        forth.upsert(Fragment { id: id("a"), objects: vec![neighbour(1, 9)] });
        assert_eq!((forth.conflicts().len(), asked_by(&forth).len()), (0, 2));
    }

    #[test]
    fn what_very_many_fragments_ask_for_is_there_once() {
        let mut intent = HostIntent::default();
        for number in 0..1000 {
            intent.upsert(Fragment { id: id(&number.to_string()), objects: vec![neighbour(1, 1)] });
        }
        let key = neighbour(1, 1).key();
        // Each that comes is compared with what is there once, not with all that came before.
        assert_eq!(intent.asked[&key].objects.len(), 1);
        assert_eq!(intent.asked_by(&key).count(), 1000);
    }
}
