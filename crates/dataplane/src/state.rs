//! A set of objects, one to a key: what is on a host, or what should be.

use std::collections::btree_map;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use crate::{Key, Object};

/// How many of its last changes even a small state remembers.
const REMEMBERED_MIN: usize = 16_384;
/// Of a large one, one for so many objects: to look at all of them instead is then no more than so many times as much.
const OBJECTS_TO_REMEMBERED: usize = 4;

/// A set of objects, at most one to a key, in the order of their keys.
#[derive(Clone, Default)]
pub struct State {
    objects: BTreeMap<Key, Object>,
    /// The other ends of veths, and by which object each comes to be.
    other_ends: BTreeMap<Key, Key>,
    changes: Changes,
}

/// The last changes of one state, so that whoever has seen it before need not look at all of it again.
#[derive(Default)]
struct Changes {
    /// Which state: a clone is another.
    of: Arc<()>,
    /// How many there have been.
    count: u64,
    last: VecDeque<Key>,
}

impl Clone for Changes {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Changes {
    /// Notes a change of a state of so many objects.
    fn note(&mut self, key: &Key, objects: usize) {
        let remembered = REMEMBERED_MIN.max(objects / OBJECTS_TO_REMEMBERED);
        while self.last.len() >= remembered {
            self.last.pop_front();
        }
        self.last.push_back(key.clone());
        self.count += 1;
    }
}

/// A state as it was at a moment.
#[derive(Clone, Default)]
pub(crate) struct Moment {
    of: Option<Arc<()>>,
    count: u64,
}

/// States are equal that hold the same objects, however they came to.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.objects == other.objects
    }
}

impl Eq for State {}

impl State {
    /// Now, for [`State::changed_since`].
    pub(crate) fn moment(&self) -> Moment {
        Moment { of: Some(Arc::clone(&self.changes.of)), count: self.changes.count }
    }

    /// The keys under which something may have changed since, some more than once; `None` if that is not known any more, or
    /// never was.
    pub(crate) fn changed_since(&self, moment: &Moment) -> Option<impl Iterator<Item = &Key>> {
        let is_of_this = moment.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &self.changes.of));
        let changes = usize::try_from(self.changes.count.checked_sub(moment.count)?).ok()?;
        let first = self.changes.last.len().checked_sub(changes)?;
        is_of_this.then(|| self.changes.last.range(first..))
    }

    /// The object with this key, and the key where it is kept.
    pub(crate) fn entry(&self, key: &Key) -> Option<(&Key, &Object)> {
        self.objects.get_key_value(key)
    }

    /// Adds an object; answers the one that had its key.
    pub fn insert(&mut self, object: Object) -> Option<Object> {
        let key = object.key();
        self.changes.note(&key, self.objects.len());
        let other_end = object.other_end().map(|other_end| (other_end, key.clone()));
        let before = self.objects.insert(key.clone(), object);
        if let Some(before) = &before {
            self.forget_other_end(&key, before);
        }
        self.other_ends.extend(other_end);
        before
    }

    /// Takes the object with this key away; answers it.
    pub fn remove(&mut self, key: &Key) -> Option<Object> {
        let object = self.objects.remove(key)?;
        self.changes.note(key, self.objects.len());
        self.forget_other_end(key, &object);
        Some(object)
    }

    /// An object is no longer there under its key.
    fn forget_other_end(&mut self, key: &Key, object: &Object) {
        if let Some(other_end) = object.other_end()
            && self.other_ends.get(&other_end) == Some(key)
        {
            self.other_ends.remove(&other_end);
        }
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
