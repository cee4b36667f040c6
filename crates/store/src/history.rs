//! The past: what was committed, what the model was, and what it takes to bring keys back.
//!
//! The log keeps, with each row, what its key held before. So the model at revision r is the durable one with the first
//! previous value after r put back for every key touched since.
//!
//! These functions read the disk: call them where blocking is allowed.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use crate::engine::View;
use crate::error::{DecodeError, ReadError, StorageError, Unavailable};
use crate::model::{Event, Model, Row, RowKey, Snapshot, Space};
use crate::record::LogRecord;
use crate::revision::{Revision, Version};
use crate::store::{Shared, Store};

impl<M: Model> Store<M> {
    /// The commits in this range of revisions, oldest first, `limit` at most. An open start means the oldest there is.
    ///
    /// # Errors
    /// When the range starts before what the log still has, or the log cannot be read.
    pub fn history(
        &self,
        range: impl RangeBounds<Revision>,
        limit: usize,
    ) -> Result<Vec<Event<M>>, ReadError> {
        let past = self.shared.past()?;
        let first = match range.start_bound() {
            Bound::Included(first) => *first,
            Bound::Excluded(before) => before.next(),
            Bound::Unbounded => past.oldest,
        };
        if first < past.oldest {
            return Err(ReadError::Compacted { oldest: past.oldest });
        }
        let head = past.now.version.revision.get();
        let last = match range.end_bound() {
            Bound::Included(last) => last.get().min(head),
            Bound::Excluded(end) => end.get().saturating_sub(1).min(head),
            Bound::Unbounded => head,
        };
        past.events(first.get(), last, limit)
    }

    /// The model as it was at `revision`: with both spaces, whatever has become of them since.
    ///
    /// # Errors
    /// When the log no longer reaches back that far, the revision is yet to come, or the log cannot be read.
    pub fn at(&self, revision: Revision) -> Result<Snapshot<M>, ReadError> {
        let past = self.shared.past()?;
        past.reaches(revision)?;
        let mut touched = BTreeMap::new();
        past.since(revision, |_, record| {
            for change in record.changes {
                touched.entry(change.row.name()).or_insert(change.previous);
            }
            Ok(())
        })?;
        let mut model = past.now.model.clone();
        // All deletions first: then no value put back meets one that was not there at the time.
        for name in touched.keys() {
            model.apply(&decode::<M>(name, None)?);
        }
        for (name, value) in touched.iter().filter(|(_, value)| value.is_some()) {
            model.apply(&decode::<M>(name, value.clone())?);
        }
        Ok(Snapshot { version: past.version_at(revision)?, model })
    }

    /// The writes that bring keys of [`Space::Model`] back to what they were at `revision`, and the durable head that
    /// they were computed on. A key is brought back if `scope` holds for any write to it since; one that already is what it was
    /// needs no write. Keys of [`Space::Kept`] never appear.
    ///
    /// Pass the writes through the same checks as any change, as one set, and commit them on the returned head, or on
    /// one in which none of their keys is different: they become a new revision. Their order is that of undoing: what was made last is deleted first, what was deleted last is
    /// put back first.
    ///
    /// # Errors
    /// As [`Store::at`].
    pub fn writes_back_to(
        &self,
        revision: Revision,
        scope: impl Fn(&Event<M>, &M::Write) -> bool,
    ) -> Result<WayBack<M>, ReadError> {
        let past = self.shared.past()?;
        past.reaches(revision)?;
        let mut touched: BTreeMap<RowKey, Touched> = BTreeMap::new();
        let mut place = 0;
        past.since(revision, |revision, record| {
            let event = event_of::<M>(revision, &record)?;
            for (change, write) in record.changes.into_iter().zip(event.writes.iter()) {
                if change.row.space == Space::Kept {
                    continue;
                }
                place += 1;
                let in_scope = scope(&event, write);
                let entry = touched.entry(change.row.name()).or_insert(Touched {
                    first: place,
                    last: place,
                    before: change.previous,
                    now: None,
                    in_scope: false,
                });
                entry.last = place;
                entry.now = change.row.value;
                entry.in_scope |= in_scope;
            }
            Ok(())
        })?;
        let mut back: Vec<(RowKey, Touched)> =
            touched.into_iter().filter(|(_, key)| key.in_scope && key.before != key.now).collect();
        back.sort_by_key(|(_, key)| std::cmp::Reverse(key.place()));
        let writes: Result<Vec<_>, _> =
            back.into_iter().map(|(name, key)| decode::<M>(&name, key.before)).collect();
        Ok(WayBack { head: past.now, writes: writes? })
    }
}

/// What leads back to how something was.
pub struct WayBack<M: Model> {
    /// The durable head from which it leads there.
    pub head: Arc<Snapshot<M>>,
    /// The writes, in order.
    pub writes: Vec<M::Write>,
}

/// What happened to a key since a revision.
struct Touched {
    /// Its first and its last write since, counted over all writes.
    first: usize,
    last: usize,
    before: Option<Vec<u8>>,
    now: Option<Vec<u8>>,
    in_scope: bool,
}

impl Touched {
    /// Where it stands in the order of undoing: a deletion undoes the first write, all else undoes the last.
    fn place(&self) -> usize {
        if self.before.is_none() { self.first } else { self.last }
    }
}

/// The log up to a durable snapshot.
struct Past<M> {
    view: View,
    now: Arc<Snapshot<M>>,
    oldest: Revision,
}

impl<M: Model> Shared<M> {
    /// The log and the durable snapshot of one moment.
    fn past(&self) -> Result<Past<M>, Unavailable> {
        let (view, now) = self.engine.view(|| self.durable.load_full())?;
        let oldest = view.head()?.oldest;
        Ok(Past { view, now, oldest })
    }

    /// For a watcher that is behind the head: what follows its position, from the log, at least one event and no gap.
    pub(crate) fn events_after(&self, position: Version, limit: usize) -> Result<Vec<Event<M>>, ReadError> {
        let past = self.past()?;
        let head = past.now.version;
        if head.epoch != position.epoch {
            return Err(ReadError::Future { head });
        }
        let first = position.revision.next();
        if first < past.oldest {
            return Err(ReadError::Compacted { oldest: past.oldest });
        }
        let events = past.events(first.get(), head.revision.get(), limit)?;
        let numbers = first.get()..;
        if events.is_empty() || events.iter().zip(numbers).any(|(event, n)| event.version.revision.get() != n)
        {
            let source = DecodeError::new("a commit is missing");
            let missing = StorageError::Corrupt { table: "log", key: first.to_string(), source };
            return Err(Unavailable::from(missing).into());
        }
        Ok(events)
    }
}

impl<M: Model> Past<M> {
    /// Whether the state at this revision can be had.
    fn reaches(&self, revision: Revision) -> Result<(), ReadError> {
        if revision > self.now.version.revision {
            return Err(ReadError::Future { head: self.now.version });
        }
        if revision.next() < self.oldest {
            return Err(ReadError::Compacted { oldest: self.oldest });
        }
        Ok(())
    }

    fn events(&self, first: u64, last: u64, limit: usize) -> Result<Vec<Event<M>>, ReadError> {
        if first > last {
            return Ok(Vec::new());
        }
        let mut events = Vec::new();
        self.view
            .each_logged(first..=last, limit, |revision, record| {
                events.push(event_of::<M>(revision, &known::<M>(record))?);
                Ok(())
            })
            .map_err(Unavailable::from)?;
        Ok(events)
    }

    /// Every logged commit after this revision, oldest first.
    fn since(
        &self,
        revision: Revision,
        mut each: impl FnMut(Revision, LogRecord) -> Result<(), DecodeError>,
    ) -> Result<(), ReadError> {
        let (first, last) = (revision.next().get(), self.now.version.revision.get());
        if first > last {
            return Ok(());
        }
        let each = |revision, record| each(revision, known::<M>(record));
        Ok(self.view.each_logged(first..=last, usize::MAX, each).map_err(Unavailable::from)?)
    }

    /// The revision with the epoch in which it was committed; if the log no longer has it, that of the commit after it.
    fn version_at(&self, revision: Revision) -> Result<Version, ReadError> {
        if revision == self.now.version.revision {
            return Ok(self.now.version);
        }
        let near = self.view.log(revision.get()..=revision.next().get(), 1).map_err(Unavailable::from)?;
        let epoch = near.first().map_or(self.now.version.epoch, |(_, record)| record.epoch);
        Ok(Version { epoch, revision })
    }
}

/// A commit without what it wrote of kinds that there are no more.
fn known<M: Model>(mut record: LogRecord) -> LogRecord {
    record.changes.retain(|change| !M::is_retired(&change.row));
    record
}

fn event_of<M: Model>(revision: Revision, record: &LogRecord) -> Result<Event<M>, DecodeError> {
    let writes: Result<Vec<_>, _> = record.changes.iter().map(|change| M::decode(&change.row)).collect();
    Ok(Event {
        version: Version { epoch: record.epoch, revision },
        note: Arc::clone(&record.note),
        writes: writes?.into(),
    })
}

/// A write made from a previous value in the log.
fn decode<M: Model>(name: &RowKey, value: Option<Vec<u8>>) -> Result<M::Write, ReadError> {
    M::decode(&Row { space: name.space, key: name.key.clone(), value }).map_err(|source| {
        let key = name.key.escape_ascii().to_string();
        ReadError::Unavailable(StorageError::Corrupt { table: "log", key, source }.into())
    })
}
