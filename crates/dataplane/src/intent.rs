//! A host's intent: the fragments it follows, and their union.

use std::cmp::Ordering;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::{Key, Object, State};

/// What a fragment belongs to: an instance of a service, and the subject (a port, a member host) that adds to it.
///
/// Both are `kind/id` texts, such as `network/8c1f…` and `service_port/77ab…`; they say who asked for an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FragmentId {
    /// The service instance.
    pub service: Arc<str>,
    /// The subject.
    pub subject: Arc<str>,
}

/// By service, then by subject. Most that are compared share the text of their service.
impl Ord for FragmentId {
    fn cmp(&self, other: &Self) -> Ordering {
        let services = if Arc::ptr_eq(&self.service, &other.service) {
            Ordering::Equal
        } else {
            self.service.cmp(&other.service)
        };
        services.then_with(|| self.subject.cmp(&other.subject))
    }
}

impl PartialOrd for FragmentId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
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
    fragments: BTreeMap<FragmentId, Box<[Key]>>,
    asked: BTreeMap<Key, Askers>,
    /// Where they do not all ask for what is wanted.
    disputes: BTreeMap<Key, Dispute>,
    want: State,
}

/// Who asks for something under one key: of as many keys as a host has objects mostly one, and very many of some, such as the
/// next router of all routes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Askers {
    One(FragmentId),
    Many(BTreeSet<FragmentId>),
}

impl Askers {
    fn insert(&mut self, id: &FragmentId) {
        match self {
            Self::One(one) if one == id => {}
            Self::One(one) => *self = Self::Many(BTreeSet::from([one.clone(), id.clone()])),
            Self::Many(many) => {
                if !many.contains(id) {
                    many.insert(id.clone());
                }
            }
        }
    }

    /// Answers whether nobody is left.
    fn remove(&mut self, id: &FragmentId) -> bool {
        match self {
            Self::One(one) => one == id,
            Self::Many(many) => {
                many.remove(id);
                if let (1, Some(one)) = (many.len(), many.first()) {
                    *self = Self::One(one.clone());
                }
                false
            }
        }
    }

    /// In order.
    fn iter(&self) -> impl Iterator<Item = &FragmentId> {
        let (one, many) = match self {
            Self::One(one) => (Some(one), None),
            Self::Many(many) => (None, Some(many)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

/// Different objects that are asked for under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Dispute {
    /// Each once, with who asks for it; in the order of the first of these.
    objects: Vec<(Object, BTreeSet<FragmentId>)>,
}

impl Dispute {
    /// A fragment asks for this, whatever it asked for before.
    fn insert(&mut self, id: &FragmentId, object: Object) {
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
}

impl HostIntent {
    /// Adds a fragment, in place of what it was before.
    pub fn upsert(&mut self, fragment: Fragment) {
        let Fragment { id, objects } = fragment;
        let keys: Box<[Key]> = objects.iter().map(Object::key).collect();
        if let Some(before) = self.fragments.insert(id.clone(), keys.clone()) {
            let now: BTreeSet<&Key> = keys.iter().collect();
            let gone: Vec<Key> = before.into_iter().filter(|key| !now.contains(key)).collect();
            self.withdraw(&id, &gone);
        }
        for (key, object) in keys.into_iter().zip(objects) {
            self.ask(&id, key, object);
        }
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

    /// Who asked for the object with this key, in order.
    pub fn asked_by(&self, key: &Key) -> impl Iterator<Item = &FragmentId> {
        self.asked.get(key).into_iter().flat_map(Askers::iter)
    }

    /// Keys under which different objects are asked for, in order.
    pub fn conflicts(&self) -> impl ExactSizeIterator<Item = &Key> {
        self.disputes.keys()
    }

    /// A fragment asks for this under its key, whatever it asked for before.
    fn ask(&mut self, id: &FragmentId, key: Key, object: Object) {
        let askers = match self.asked.entry(key.clone()) {
            Entry::Vacant(nobody) => {
                nobody.insert(Askers::One(id.clone()));
                self.want.insert(object);
                return;
            }
            Entry::Occupied(askers) => askers.into_mut(),
        };
        askers.insert(id);
        if let Some(dispute) = self.disputes.get_mut(&key) {
            dispute.insert(id, object);
            self.settle(&key);
            return;
        }
        match self.want.get(&key) {
            Some(wanted) if *wanted == object => {}
            Some(wanted) if matches!(askers, Askers::Many(_)) => {
                let by = askers.iter().cloned().collect();
                let mut dispute = Dispute { objects: vec![(wanted.clone(), by)] };
                dispute.insert(id, object);
                self.disputes.insert(key.clone(), dispute);
                self.settle(&key);
            }
            Some(_) | None => drop(self.want.insert(object)),
        }
    }

    fn withdraw(&mut self, id: &FragmentId, keys: &[Key]) {
        for key in keys {
            if self.asked.get_mut(key).is_some_and(|askers| askers.remove(id)) {
                self.asked.remove(key);
                self.want.remove(key);
            }
            if let Some(dispute) = self.disputes.get_mut(key) {
                dispute.remove(id);
                self.settle(key);
            }
        }
    }

    /// Has what is wanted agree with what is disputed under one key, which may not be any more.
    fn settle(&mut self, key: &Key) {
        let Some(dispute) = self.disputes.get(key) else { return };
        if let Some((taken, _)) = dispute.objects.first()
            && self.want.get(key) != Some(taken)
        {
            self.want.insert(taken.clone());
        }
        if dispute.objects.len() < 2 {
            self.disputes.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        assert_eq!(forth.conflicts().len(), 0);
        forth.upsert(Fragment { id: id("a"), objects: vec![neighbour(1, 9)] });
        assert_eq!((forth.conflicts().len(), asked_by(&forth).len()), (0, 2));
    }

    /// What one step asks for: a fragment's neighbours by address, each with a MAC address, or that it goes.
    fn step() -> impl Strategy<Value = (u8, Option<BTreeMap<u8, u8>>)> {
        (0..4_u8, proptest::option::weighted(0.75, proptest::collection::btree_map(0..3_u8, 0..3_u8, 0..4)))
    }

    proptest! {
        #[test]
        fn whatever_came_before_an_intent_is_what_its_fragments_ask_for(
            steps in proptest::collection::vec(step(), 1..40),
        ) {
            let (mut intent, mut fragments) = (HostIntent::default(), BTreeMap::new());
            for (subject, asked) in steps {
                let id = id(&subject.to_string());
                match asked {
                    Some(asked) => {
                        let objects = asked.iter().map(|(address, mac)| neighbour(*address, *mac)).collect();
                        intent.upsert(Fragment { id: id.clone(), objects });
                        fragments.insert(id, asked);
                    }
                    None => prop_assert_eq!(intent.remove(&id), fragments.remove(&id).is_some()),
                }
                prop_assert!(intent.fragments().eq(fragments.keys()));
                let mut wanted = State::default();
                let mut conflicts = Vec::new();
                for address in 0..3 {
                    let asking = fragments.iter().filter_map(|(id, asked)| Some((id, *asked.get(&address)?)));
                    let asking: Vec<(&FragmentId, u8)> = asking.collect();
                    let key = neighbour(address, 0).key();
                    prop_assert!(intent.asked_by(&key).eq(asking.iter().map(|(id, _)| *id)));
                    let Some((_, taken)) = asking.first() else { continue };
                    wanted.insert(neighbour(address, *taken));
                    if asking.iter().any(|(_, mac)| mac != taken) {
                        conflicts.push(key);
                    }
                }
                prop_assert_eq!(intent.want(), &wanted);
                prop_assert!(intent.conflicts().eq(&conflicts));
            }
            for id in fragments.keys() {
                intent.remove(id);
            }
            prop_assert_eq!(intent, HostIntent::default());
        }
    }

    #[test]
    fn what_very_many_fragments_ask_for_is_there_once() {
        let mut intent = HostIntent::default();
        for number in 0..1000 {
            intent.upsert(Fragment { id: id(&number.to_string()), objects: vec![neighbour(1, 1)] });
        }
        let key = neighbour(1, 1).key();
        // Each that comes is compared with what is there once, not with all that came before.
        assert_eq!((intent.want().len(), intent.disputes.len()), (1, 0));
        assert_eq!(intent.asked_by(&key).count(), 1000);
        intent.upsert(Fragment { id: id("x"), objects: vec![neighbour(1, 9)] });
        assert_eq!(intent.disputes[&key].objects.len(), 2, "each object is there once");
    }
}
