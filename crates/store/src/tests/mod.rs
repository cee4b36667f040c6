//! A small model, and disks that fail on demand.

mod crash;
mod disk;
mod faults;
mod lease;
mod operational;
mod record;
mod reference;
mod store;
mod transfer;
mod watch;

use imbl::OrdMap;

use crate::{DecodeError, Event, Model, Options, Proposal, Row, RowKey, Snapshot, Space, Store, Version};
use disk::Disk;

/// Words under words, in both spaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(pub(crate) OrdMap<(Space, String), String>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) space: Space,
    pub(crate) key: String,
    pub(crate) value: Option<String>,
}

impl Model for Words {
    type Write = Word;

    fn encode(write: &Word) -> Row {
        Row {
            space: write.space,
            key: write.key.clone().into_bytes(),
            value: write.value.clone().map(String::into_bytes),
        }
    }

    fn decode(row: &Row) -> Result<Word, DecodeError> {
        let text =
            |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::new("not UTF-8"));
        let value = row.value.as_deref().map(text).transpose()?;
        Ok(Word { space: row.space, key: text(&row.key)?, value })
    }

    fn apply(&mut self, write: &Word) {
        let key = (write.space, write.key.clone());
        match &write.value {
            Some(value) => self.0.insert(key, value.clone()),
            None => self.0.remove(&key),
        };
    }
}

impl Words {
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(&(Space::Model, key.to_owned())).map(String::as_str)
    }
}

pub(crate) fn put(key: &str, value: &str) -> Word {
    Word { space: Space::Model, key: key.to_owned(), value: Some(value.to_owned()) }
}

pub(crate) fn keep(key: &str, value: &str) -> Word {
    Word { space: Space::Kept, ..put(key, value) }
}

pub(crate) fn delete(key: &str) -> Word {
    Word { space: Space::Model, key: key.to_owned(), value: None }
}

pub(crate) fn name(key: &str) -> RowKey {
    RowKey { space: Space::Model, key: key.as_bytes().to_vec() }
}

pub(crate) fn on(disk: &Disk) -> Store<Words> {
    on_with(disk, Options::default())
}

pub(crate) fn on_with(disk: &Disk, options: Options) -> Store<Words> {
    Store::open_with_backend(disk.clone(), options).expect("the disk holds a store")
}

/// Commits whatever the head is.
pub(crate) async fn commit(store: &Store<Words>, writes: Vec<Word>) -> Version {
    try_commit(store, writes).await.expect("the disk works")
}

pub(crate) async fn try_commit(
    store: &Store<Words>,
    writes: Vec<Word>,
) -> Result<Version, crate::TransactError<()>> {
    let propose = |head: &Snapshot<Words>| Ok::<_, ()>((Proposal::on(&head.model, writes.clone()), ()));
    let result = store.transact("test", propose).await;
    result.map(|(version, ())| version)
}

/// Of a replaced model, for the restored one: what is kept of its facts.
pub(crate) fn keep_facts(lost: &Words, _: &Words) -> Vec<Word> {
    let facts = lost.0.iter().filter(|((space, _), _)| *space == Space::Kept);
    facts.map(|((_, key), value)| keep(key, value)).collect()
}

/// Nothing is kept.
pub(crate) fn keep_nothing(_: &Words, _: &Words) -> Vec<Word> {
    Vec::new()
}

pub(crate) fn replay(events: &[Event<Words>]) -> Words {
    let mut words = Words::default();
    for write in events.iter().flat_map(|event| event.writes.iter()) {
        words.apply(write);
    }
    words
}
