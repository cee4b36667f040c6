//! Versions of a host's intent, and updates cut into messages of bounded size.

use std::fmt;

use bytes::Bytes;

use crate::wire;

/// A point in the controller's model. Compare with [`Self::is_before`]; equality is of the very content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version {
    /// Which life of the store: rises with a restore.
    pub epoch: u64,
    /// How many commits it had.
    pub revision: u64,
    /// The controller's mark for exactly what it sent, opaque to the agent and no part of the order. 0: none.
    pub content: u64,
}

impl Version {
    /// No intent, or none to build upon.
    pub const NONE: Self = Self::new(0, 0);

    /// The version of this epoch and revision, without a mark for its content.
    #[must_use]
    pub const fn new(epoch: u64, revision: u64) -> Self {
        Self { epoch, revision, content: 0 }
    }

    /// The same version with the controller's mark for its content.
    #[must_use]
    pub const fn with_content(self, content: u64) -> Self {
        Self { content, ..self }
    }

    /// Whether this is no version at all.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.epoch == 0 && self.revision == 0
    }

    /// Whether this is of an earlier epoch, or of an earlier revision in the same.
    #[must_use]
    pub fn is_before(self, other: Self) -> bool {
        (self.epoch, self.revision) < (other.epoch, other.revision)
    }
}

impl fmt::Display for Version {
    /// `epoch.revision`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.revision)
    }
}

impl From<wire::Version> for Version {
    fn from(version: wire::Version) -> Self {
        Self { epoch: version.epoch, revision: version.revision, content: version.content }
    }
}

impl From<Option<wire::Version>> for Version {
    /// Absent is [`Version::NONE`].
    fn from(version: Option<wire::Version>) -> Self {
        version.map_or(Self::NONE, Self::from)
    }
}

impl From<Version> for wire::Version {
    fn from(version: Version) -> Self {
        Self { epoch: version.epoch, revision: version.revision, content: version.content }
    }
}

/// What an update is to be applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Nothing: it replaces whatever is there.
    Full,
    /// Exactly this version.
    On(Version),
}

/// The bytes of objects and names after which [`updates`] begins a new message.
const UPDATE_BYTES: usize = 512 * 1024;

/// One version as messages of bounded size, in the order in which they must be sent; the last says `complete`.
///
/// There is at least one, so that a version which changes nothing for a host is told to it as well. `removals` must be empty
/// if the basis is [`Basis::Full`]. `upserts` are parts as [`encode_part`](crate::encode_part) makes them. A message is larger than half a mebibyte only if a single fragment is.
#[must_use]
pub fn updates(
    version: Version,
    basis: Basis,
    upserts: impl IntoIterator<Item = Bytes>,
    removals: impl IntoIterator<Item = wire::FragmentId>,
) -> Vec<wire::Update> {
    let mut cutter = Cutter { version, basis, messages: Vec::new(), bytes: 0 };
    cutter.begin();
    for upsert in upserts {
        cutter.room_for(upsert.len()).upserts.push(upsert);
    }
    for removal in removals {
        let bytes = removal.service.len() + removal.subject.len();
        cutter.room_for(bytes).removals.push(removal);
    }
    if let Some(last) = cutter.messages.last_mut() {
        last.complete = true;
    }
    cutter.messages
}

struct Cutter {
    version: Version,
    basis: Basis,
    messages: Vec<wire::Update>,
    bytes: usize,
}

impl Cutter {
    /// What a fragment's fields cost beside their content, at most.
    const OVERHEAD: usize = 32;

    fn begin(&mut self) -> &mut wire::Update {
        let part = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let (full, base) = match self.basis {
            Basis::Full => (true, None),
            Basis::On(base) => (false, Some(base.into())),
        };
        let version = Some(self.version.into());
        self.messages.push(wire::Update { base, version, full, part, ..wire::Update::default() });
        self.bytes = 0;
        self.messages.last_mut().expect("one was just added")
    }

    fn room_for(&mut self, bytes: usize) -> &mut wire::Update {
        let bytes = bytes + Self::OVERHEAD;
        if self.messages.is_empty() || (self.bytes > 0 && self.bytes + bytes > UPDATE_BYTES) {
            self.begin();
        }
        self.bytes += bytes;
        self.messages.last_mut().expect("there is one: it was begun before")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message;

    fn part(subject: usize, bytes: usize) -> Bytes {
        let (service, subject) = ("network/1".to_owned(), format!("port/{subject}"));
        wire::FragmentPart { service, subject, objects: vec![0; bytes].into() }.encode_to_vec().into()
    }

    #[test]
    fn a_version_without_changes_is_one_complete_message() {
        let base = Version::new(1, 7);
        let messages = updates(Version::new(1, 8), Basis::On(base), [], []);
        assert_eq!(messages.len(), 1);
        assert!(messages[0].complete && !messages[0].full);
        assert_eq!(Version::from(messages[0].base), base);
    }

    #[test]
    fn a_large_update_is_many_small_messages_of_which_only_the_last_is_complete() {
        let parts = (0..3000).map(|subject| part(subject, 1000));
        let messages = updates(Version::new(1, 8), Basis::Full, parts, []);
        assert_eq!(messages.iter().map(|message| message.upserts.len()).sum::<usize>(), 3000);
        assert!(messages.len() > 5);
        for (index, message) in messages.iter().enumerate() {
            assert!(message.encoded_len() <= UPDATE_BYTES + 100, "{}", message.encoded_len());
            assert_eq!((message.part as usize, message.full), (index, true));
            assert_eq!(message.complete, index + 1 == messages.len());
        }
    }

    #[test]
    fn a_fragment_larger_than_a_message_has_one_of_its_own() {
        let parts = [part(1, 10), part(2, 2 * UPDATE_BYTES), part(3, 10)];
        let messages = updates(Version::new(1, 8), Basis::Full, parts, []);
        assert_eq!(messages.iter().map(|message| message.upserts.len()).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn epochs_order_before_revisions_and_content_does_not_order() {
        assert!(Version::new(1, 900).is_before(Version::new(2, 1)));
        assert!(Version::new(2, 1).is_before(Version::new(2, 2)));
        let one = Version::new(2, 1).with_content(1);
        let other = Version::new(2, 1).with_content(2);
        assert!(!one.is_before(other) && !other.is_before(one) && one != other);
    }
}
