//! A set of objects, one to a key: what is on a host, or what should be.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;

use crate::{Key, Object};

/// A set of objects, at most one to a key, in the order of their keys.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct State {
    objects: BTreeMap<Key, Object>,
    /// The other ends of veths, and by which object each comes to be.
    other_ends: BTreeMap<Key, Key>,
}

impl State {
    /// Adds an object; answers the one that had its key.
    pub fn insert(&mut self, object: Object) -> Option<Object> {
        let key = object.key();
        let before = self.remove(&key);
        if let Some(other_end) = object.other_end() {
            self.other_ends.insert(other_end, key.clone());
        }
        self.objects.insert(key, object);
        before
    }

    /// Takes the object with this key away; answers it.
    pub fn remove(&mut self, key: &Key) -> Option<Object> {
        let object = self.objects.remove(key)?;
        if let Some(other_end) = object.other_end()
            && self.other_ends.get(&other_end) == Some(key)
        {
            self.other_ends.remove(&other_end);
        }
        Some(object)
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

    /// The key of the object by which what this key names comes to be: its own, or that of the veth whose other end it is.
    #[must_use]
    pub fn provider<'a>(&'a self, key: &'a Key) -> Option<&'a Key> {
        if self.contains(key) { Some(key) } else { self.other_ends.get(key) }
    }

    /// The objects that one needs, by the keys of those by which they come to be.
    #[must_use]
    pub fn required_by(&self, object: &Object) -> Vec<Key> {
        let provider = |key: Key| self.provider(&key).cloned().unwrap_or(key);
        object.requires().into_iter().map(provider).collect()
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
        let gone: Vec<Key> =
            self.objects.iter().filter(|(_, object)| !keep(object)).map(|(key, _)| key.clone()).collect();
        for key in &gone {
            self.remove(key);
        }
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
        let mut state = Self::default();
        for object in objects {
            state.insert(object);
        }
        state
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
