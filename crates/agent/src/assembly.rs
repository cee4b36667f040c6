//! From the parts of an update to one change, which is taken over whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use weft_dataplane::{Fragment, FragmentId};
use weft_protocol::{DecodeError, UnknownKind, Version, decode_fragment, decode_part, wire};

/// The most bytes of objects in one update. A controller that sends more is not believed.
const UPDATE_BYTES_MAX: usize = 512 * 1024 * 1024;

/// What became of a part of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is kept; more parts have to come.
    Partly,
    /// The update is complete and is the intent now. What there is to persist of it.
    Whole(Change),
    /// It is older than the intent, or the intent already, and is passed over.
    Stale,
    /// It does not fit on the intent. The intent stays; the controller has to be asked for all of it.
    Misfit,
    /// It is passed over because all of the intent has been asked for.
    Ignored,
}

/// What a complete update changed, as it is to be persisted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The version that it leads to.
    pub version: Version,
    /// Whether every fragment is as this version says. If not, some could not be read and are what they were before.
    pub exact: bool,
    /// Whether the fragments are all there are.
    pub full: bool,
    /// The fragments as they were sent; `None` is removed.
    pub fragments: BTreeMap<FragmentId, Option<Bytes>>,
    /// Of a full change: the fragments that stay what they were before, if they were.
    pub kept: BTreeSet<FragmentId>,
}

impl Change {
    /// Makes this change and then `later` one change.
    pub fn merge(&mut self, mut later: Self) {
        if !later.full {
            self.fragments.append(&mut later.fragments);
            (self.version, self.exact) = (later.version, later.exact);
            return;
        }
        for id in &later.kept {
            if let Some(earlier) = self.fragments.remove(id) {
                later.fragments.insert(id.clone(), earlier);
            }
        }
        *self = later;
    }
}

/// A fragment as it came, read as far as it can be.
pub(crate) struct Upsert {
    pub(crate) id: FragmentId,
    pub(crate) bytes: Bytes,
    pub(crate) read: Result<(Fragment, Vec<UnknownKind>), DecodeError>,
}

impl Upsert {
    pub(crate) fn read(id: FragmentId, bytes: Bytes) -> Self {
        let read = decode_fragment(id.clone(), &bytes);
        Self { id, bytes, read }
    }
}

/// The parts of one update, so far.
pub(crate) struct Assembly {
    pub(crate) version: Version,
    pub(crate) base: Version,
    pub(crate) full: bool,
    next_part: u32,
    bytes: usize,
    pub(crate) upserts: Vec<Upsert>,
    pub(crate) removals: Vec<FragmentId>,
}

impl Assembly {
    pub(crate) fn begin(update: &wire::Update) -> Self {
        Self {
            version: update.version.into(),
            base: update.base.into(),
            full: update.full,
            next_part: 0,
            bytes: 0,
            upserts: Vec::new(),
            removals: Vec::new(),
        }
    }

    /// Adds a part; answers whether it is the next one of this update, and can be read.
    pub(crate) fn add(&mut self, update: wire::Update) -> bool {
        let same = (Version::from(update.version), Version::from(update.base), update.full)
            == (self.version, self.base, self.full);
        self.bytes += update.upserts.iter().map(Bytes::len).sum::<usize>();
        if !same || update.part != self.next_part || self.bytes > UPDATE_BYTES_MAX {
            return false;
        }
        self.next_part += 1;
        for upsert in update.upserts {
            let Ok((mut id, objects)) = decode_part(upsert) else { return false };
            // Mostly many of one service come one after the other.
            if let Some(last) = self.upserts.last().filter(|last| last.id.service == id.service) {
                id.service = Arc::clone(&last.id.service);
            }
            self.upserts.push(Upsert::read(id, objects));
        }
        self.removals.extend(update.removals.iter().map(|id| fragment_id(&id.service, &id.subject)));
        true
    }
}

fn fragment_id(service: &str, subject: &str) -> FragmentId {
    FragmentId { service: service.into(), subject: subject.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(revision: u64, full: bool, fragments: &[(&str, Option<&'static str>)]) -> Change {
        let fragments = fragments
            .iter()
            .map(|(subject, bytes)| {
                let bytes = bytes.map(|bytes| Bytes::from_static(bytes.as_bytes()));
                (fragment_id("network/1", subject), bytes)
            })
            .collect();
        let version = Version::new(1, revision);
        Change { version, exact: true, full, fragments, kept: BTreeSet::new() }
    }

    #[test]
    fn of_two_changes_the_later_wins_by_fragment() {
        let mut pending = change(1, true, &[("a", Some("1")), ("b", Some("1"))]);
        pending.merge(change(2, false, &[("b", None), ("c", Some("2"))]));
        assert_eq!(pending, change(2, true, &[("a", Some("1")), ("b", None), ("c", Some("2"))]));
    }

    #[test]
    fn a_full_change_replaces_an_earlier_one_except_what_it_keeps() {
        let mut pending = change(1, false, &[("a", Some("1")), ("b", Some("1"))]);
        let mut later = change(2, true, &[("c", Some("2"))]);
        later.kept.insert(fragment_id("network/1", "a"));
        pending.merge(later);
        assert_eq!(pending.fragments, change(2, true, &[("a", Some("1")), ("c", Some("2"))]).fragments);
    }
}
