//! A set of objects, one to a key: what is on a host, or what should be.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;

use crate::{Key, Object};

/// A set of objects, at most one to a key, in the order of their keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct State {
    objects: BTreeMap<Key, Object>,
}

impl State {
    /// Adds an object; answers the one that had its key.
    pub fn insert(&mut self, object: Object) -> Option<Object> {
        self.objects.insert(object.key(), object)
    }

    /// Takes the object with this key away; answers it.
    pub fn remove(&mut self, key: &Key) -> Option<Object> {
        self.objects.remove(key)
    }

    /// The object with this key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Object> {
        self.objects.get(key)
    }

    /// Whether there is an object with this key.
    #[must_use]
    pub fn contains(&self, key: &Key) -> bool {
        self.objects.contains_key(key)
    }

    /// The objects with their keys, in the order of the keys.
    pub fn iter(&self) -> btree_map::Iter<'_, Key, Object> {
        self.objects.iter()
    }

    /// The keys, in order.
    pub fn keys(&self) -> btree_map::Keys<'_, Key, Object> {
        self.objects.keys()
    }

    /// Keeps only the objects of which `keep` says yes.
    pub fn retain(&mut self, mut keep: impl FnMut(&Object) -> bool) {
        self.objects.retain(|_, object| keep(object));
    }

    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
}

impl FromIterator<Object> for State {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        Self { objects: objects.into_iter().map(|object| (object.key(), object)).collect() }
    }
}

impl<'a> IntoIterator for &'a State {
    type Item = (&'a Key, &'a Object);
    type IntoIter = btree_map::Iter<'a, Key, Object>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for State {
    /// One object a line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.objects.values().try_for_each(|object| writeln!(f, "{object}"))
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
