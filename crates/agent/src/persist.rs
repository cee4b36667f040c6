//! The last intent on disk, so that the host heals from it alone: one durable transaction for each complete update.
//!
//! ```text
//! runner ── Change ──> Mailbox (merged while it waits) ──> a thread: Persist::commit ──> up to which change
//! ```

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition};
use tokio::sync::watch;
use weft_dataplane::FragmentId;
use weft_net::HostName;
use weft_protocol::Version;

use crate::assembly::Change;

/// (service, subject) → the fragment as it was sent.
const FRAGMENTS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("fragments");
/// The version of the intent, by the names below, and that of the file's layout.
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
/// Whose intent it is.
const TEXTS: TableDefinition<'_, &str, &str> = TableDefinition::new("texts");

const LAYOUT: (&str, u64) = ("layout", 1);
const EPOCH: &str = "epoch";
const REVISION: &str = "revision";
const CONTENT: &str = "content";
const EXACT: &str = "exact";
const HOST: &str = "host";

const FILE: &str = "intent.redb";
/// After a transaction that failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// The file of the last intent.
pub struct Persist {
    database: Database,
}

/// The agent's state directory cannot be used. A damaged file is no such error: it is moved aside.
#[derive(Debug, thiserror::Error)]
#[error("the intent's file {} cannot be used", path.display())]
pub struct PersistError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: redb::Error,
}

/// What stands in the way of reading a file.
enum OpenError {
    /// Its content. The file is of no use to anybody.
    Damaged(String),
    /// Its surroundings: rights, space, another agent that has it open.
    Surroundings(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for OpenError {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::Io(error)
                if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
            {
                Self::Damaged(error.to_string())
            }
            error @ (redb::Error::DatabaseAlreadyOpen | redb::Error::Io(_)) => Self::Surroundings(error),
            error => Self::Damaged(error.to_string()),
        }
    }
}

impl Persist {
    /// Opens the file in this directory and reads the intent; makes both if they are not there.
    ///
    /// A file that cannot be read, or is another host's, is moved aside with an error in the log, and the intent is empty.
    ///
    /// # Errors
    /// When the directory cannot be used, or another agent is using it.
    pub fn open(directory: &Path, host: &HostName) -> Result<(Self, Option<Change>), PersistError> {
        let path = directory.join(FILE);
        let failed = |source: redb::Error| PersistError { path: path.clone(), source };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| failed(error.into()))?;
        let reason = match open_guarded(&path, host) {
            Ok(opened) => return Ok(opened),
            Err(OpenError::Surroundings(error)) => return Err(failed(error)),
            Err(OpenError::Damaged(reason)) => reason,
        };
        let aside = path.with_extension("redb.unreadable");
        tracing::error!(
            file = %path.display(), moved_to = %aside.display(), reason,
            "the last intent cannot be read; nothing on the host is touched until a controller has sent it anew"
        );
        fs::rename(&path, &aside).map_err(|error| failed(error.into()))?;
        open_guarded(&path, host).map_err(|error| match error {
            OpenError::Surroundings(error) => failed(error),
            OpenError::Damaged(reason) => failed(redb::Error::Corrupted(reason)),
        })
    }

    /// Makes a change durable.
    ///
    /// # Errors
    /// When it is not; the file is then what it was before.
    pub fn commit(&self, change: &Change) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut fragments = transaction.open_table(FRAGMENTS)?;
            if change.full {
                fragments.retain(|(service, subject), _| change.kept.contains(&id(service, subject)))?;
            }
            for (id, bytes) in &change.fragments {
                let key = (id.service.as_ref(), id.subject.as_ref());
                match bytes {
                    Some(bytes) => drop(fragments.insert(key, bytes.as_ref())?),
                    None => drop(fragments.remove(key)?),
                }
            }
            let mut numbers = transaction.open_table(NUMBERS)?;
            numbers.insert(EPOCH, change.version.epoch)?;
            numbers.insert(REVISION, change.version.revision)?;
            numbers.insert(CONTENT, change.version.content)?;
            numbers.insert(EXACT, u64::from(change.exact))?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn id(service: &str, subject: &str) -> FragmentId {
    FragmentId { service: service.into(), subject: subject.into() }
}

/// Opens and reads; a panic on the way is damage as well: nothing of what panicked is used afterwards.
fn open_guarded(path: &Path, host: &HostName) -> Result<(Persist, Option<Change>), OpenError> {
    catch_unwind(AssertUnwindSafe(|| open(path, host)))
        .unwrap_or_else(|_| Err(OpenError::Damaged("reading it panicked".to_owned())))
}

fn open(path: &Path, host: &HostName) -> Result<(Persist, Option<Change>), OpenError> {
    let database = match Database::create(path) {
        Ok(database) => database,
        Err(DatabaseError::Storage(StorageError::Io(error))) => return Err(error.into()),
        Err(error) => return Err(error.into()),
    };
    let transaction = database.begin_write()?;
    {
        let mut numbers = transaction.open_table(NUMBERS)?;
        let layout = numbers.get(LAYOUT.0)?.map(|value| value.value());
        match layout {
            None => drop(numbers.insert(LAYOUT.0, LAYOUT.1)?),
            Some(layout) if layout == LAYOUT.1 => {}
            Some(layout) => return Err(OpenError::Damaged(format!("its layout is {layout}"))),
        }
        let mut texts = transaction.open_table(TEXTS)?;
        let owner = texts.get(HOST)?.map(|value| value.value().to_owned());
        match owner {
            None => drop(texts.insert(HOST, host.as_str())?),
            Some(owner) if owner == host.as_str() => {}
            Some(owner) => return Err(OpenError::Damaged(format!("it is the intent of host '{owner}'"))),
        }
        transaction.open_table(FRAGMENTS)?;
    }
    transaction.commit()?;
    let change = read(&database)?;
    Ok((Persist { database }, change))
}

fn read(database: &Database) -> Result<Option<Change>, OpenError> {
    let transaction = database.begin_read()?;
    let numbers = transaction.open_table(NUMBERS)?;
    let number =
        |name| -> Result<u64, StorageError> { Ok(numbers.get(name)?.map_or(0, |value| value.value())) };
    let version = Version::new(number(EPOCH)?, number(REVISION)?).with_content(number(CONTENT)?);
    if version.is_none() {
        return Ok(None);
    }
    let mut change = Change { version, exact: number(EXACT)? == 1, full: true, ..Change::default() };
    for entry in transaction.open_table(FRAGMENTS)?.iter()? {
        let (key, bytes) = entry?;
        let (service, subject) = key.value();
        change.fragments.insert(id(service, subject), Some(Bytes::copy_from_slice(bytes.value())));
    }
    Ok(Some(change))
}

/// Changes on their way to the disk. What waits is merged, so that a slow disk holds up nobody and the room is bounded by the
/// intent itself.
#[derive(Default)]
pub struct Mailbox {
    slot: Mutex<Slot>,
    filled: Condvar,
}

#[derive(Default)]
struct Slot {
    waiting: Option<(Change, u64)>,
    closed: bool,
}

impl Mailbox {
    /// Leaves a change, the `sequence`-th one.
    pub fn post(&self, change: Change, sequence: u64) {
        let mut slot = self.lock();
        match &mut slot.waiting {
            Some((waiting, last)) => {
                waiting.merge(change);
                *last = sequence;
            }
            empty => *empty = Some((change, sequence)),
        }
        self.filled.notify_one();
    }

    /// Says that no more will come.
    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_one();
    }

    /// Persists what comes, until the mailbox is closed and empty. `persisted` says up to which change it got.
    pub fn persist(&self, file: &Persist, persisted: &watch::Sender<u64>) {
        let mut unsaved: Option<(Change, u64)> = None;
        loop {
            let closed = self.collect(&mut unsaved);
            let Some((change, sequence)) = &unsaved else { return };
            match file.commit(change) {
                Ok(()) => {
                    persisted.send_replace(*sequence);
                    unsaved = None;
                }
                Err(error) => {
                    tracing::error!(version = %change.version, %error, "the intent cannot be persisted");
                    if closed {
                        return;
                    }
                }
            }
        }
    }

    /// Waits for changes, at most for the time after which those that could not be saved are tried again. Answers whether
    /// the mailbox is closed.
    fn collect(&self, unsaved: &mut Option<(Change, u64)>) -> bool {
        let idle = |slot: &mut Slot| slot.waiting.is_none() && !slot.closed;
        let mut slot = self.lock();
        if unsaved.is_none() {
            slot = self.filled.wait_while(slot, idle).unwrap_or_else(PoisonError::into_inner);
        } else if !slot.closed {
            // Not ended by what comes: the disk is not tried more often for that.
            let never = |slot: &mut Slot| !slot.closed;
            (slot, _) = self
                .filled
                .wait_timeout_while(slot, RETRY_INTERVAL, never)
                .unwrap_or_else(PoisonError::into_inner);
        }
        match (unsaved.as_mut(), slot.waiting.take()) {
            (Some((change, last)), Some((later, sequence))) => {
                change.merge(later);
                *last = sequence;
            }
            (None, later) => *unsaved = later,
            (Some(_), None) => {}
        }
        slot.closed
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
