//! The redb tables: the only file that reads or writes them. It knows rows, not the model.
//!
//! | table | key | value |
//! |---|---|---|
//! | `current` | space, key | revision, value |
//! | `log` | revision | epoch, note, rows with their previous values |
//! | `lease` | lease id | time to live in milliseconds |
//! | `leased` | space, key | lease id |
//! | `head` | – | epoch, revision, oldest revision in the log, next lease id |

use std::ops::RangeInclusive;
use std::sync::Arc;

use parking_lot::RwLock;
use redb::{
    Builder, Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition,
    TableError, WriteTransaction,
};

use crate::error::{DecodeError, Doing, StorageError};
use crate::lease::{LeaseChange, LeaseId, LeaseTable, Millis};
use crate::medium::Medium;
use crate::model::Row;
use crate::record::{self, Change, HeadRecord, LogRecord};
use crate::revision::{Revision, Version};

type Bytes = TableDefinition<'static, &'static [u8], &'static [u8]>;
const CURRENT: Bytes = TableDefinition::new("current");
const LOG: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("log");
const LEASE: TableDefinition<'static, u64, u64> = TableDefinition::new("lease");
const LEASED: TableDefinition<'static, &'static [u8], u64> = TableDefinition::new("leased");
const HEAD: TableDefinition<'static, (), &'static [u8]> = TableDefinition::new("head");

/// One commit on its way to the tables.
pub(crate) struct Stored<'a> {
    pub(crate) version: Version,
    pub(crate) note: &'a Arc<str>,
    /// Empty when only leases change: then there is no log entry.
    pub(crate) rows: &'a [Row],
    pub(crate) leases: &'a [LeaseChange],
}

/// The database, opened anew after each failure.
pub(crate) struct Engine {
    medium: Box<dyn Medium>,
    cache_bytes: usize,
    /// `None` while it is down. Held for writing only to open, close or replace the content.
    database: RwLock<Option<Database>>,
}

impl Engine {
    pub(crate) fn new(medium: Box<dyn Medium>, cache_bytes: usize) -> Self {
        Self { medium, cache_bytes, database: RwLock::new(None) }
    }

    /// Opens the database, again if it was open; `then` sees its content before anybody else does.
    pub(crate) fn open<T>(
        &self,
        then: impl FnOnce(&View) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut slot = self.database.write();
        drop(slot.take()); // the file's lock goes with it
        let database = self.medium.open(&self.builder()).doing("opening the store")?;
        prepare(&database)?;
        let result = then(&View::of(&database)?)?;
        *slot = Some(database);
        Ok(result)
    }

    pub(crate) fn close(&self) {
        drop(self.database.write().take());
    }

    pub(crate) fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_bytes);
        builder
    }

    /// The content as it is on disk, with what `alongside` reads while no replacement can come in between.
    pub(crate) fn view<T>(&self, alongside: impl FnOnce() -> T) -> Result<(View, T), StorageError> {
        let slot = self.database.read();
        let value = alongside();
        let database = slot.as_ref().ok_or(StorageError::Down)?;
        Ok((View::of(database)?, value))
    }

    /// Writes the commits in one transaction.
    pub(crate) fn write(&self, commits: &[Stored<'_>], head: &HeadRecord) -> Result<(), StorageError> {
        self.transaction(|transaction| {
            {
                let mut tables = WriteTables::open(transaction)?;
                for commit in commits {
                    tables.change_leases(commit)?;
                    if !commit.rows.is_empty() {
                        tables.put_rows(commit)?;
                    }
                }
            }
            put_head(transaction, head)
        })
    }

    /// Takes the commits of this range out of the log.
    pub(crate) fn forget(&self, gone: RangeInclusive<u64>, head: &HeadRecord) -> Result<(), StorageError> {
        self.transaction(|transaction| {
            {
                let mut log = transaction.open_table(LOG).doing("opening the log")?;
                for revision in gone {
                    log.remove(revision).doing("compacting the log")?;
                }
            }
            put_head(transaction, head)
        })
    }

    /// Replaces all content by that of `source` and a commit on top of it, under a new head. `then` runs before anybody can
    /// read it.
    pub(crate) fn replace(
        &self,
        source: &View,
        on_top: &Stored<'_>,
        head: &HeadRecord,
        then: impl FnOnce(),
    ) -> Result<(), StorageError> {
        let slot = self.database.write();
        let database = slot.as_ref().ok_or(StorageError::Down)?;
        write_durably(database, |transaction| {
            transaction.delete_table(CURRENT).doing("clearing the store")?;
            transaction.delete_table(LOG).doing("clearing the store")?;
            transaction.delete_table(LEASE).doing("clearing the store")?;
            transaction.delete_table(LEASED).doing("clearing the store")?;
            source.copy_into(transaction)?;
            {
                let mut tables = WriteTables::open(transaction)?;
                tables.change_leases(on_top)?;
                tables.put_rows(on_top)?;
            }
            put_head(transaction, head)
        })?;
        then();
        Ok(())
    }

    fn transaction(
        &self,
        fill: impl FnOnce(&WriteTransaction) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let slot = self.database.read();
        write_durably(slot.as_ref().ok_or(StorageError::Down)?, fill)
    }
}

/// Fills a new database with the content of a view.
pub(crate) fn fill_new(database: &Database, source: &View) -> Result<(), StorageError> {
    let head = source.head()?;
    write_durably(database, |transaction| {
        source.copy_into(transaction)?;
        put_head(transaction, &head)
    })
}

fn write_durably(
    database: &Database,
    fill: impl FnOnce(&WriteTransaction) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut transaction = database.begin_write().doing("beginning a transaction")?;
    transaction
        .set_durability(Durability::Immediate)
        .map_err(redb::Error::from)
        .doing("beginning a transaction")?;
    // One-phase commits could be rolled back by a crash that follows a crash during a commit.
    transaction.set_two_phase_commit(true);
    fill(&transaction)?;
    transaction.commit().doing("committing")
}

/// Makes the tables of a new database; refuses one that has other tables.
fn prepare(database: &Database) -> Result<(), StorageError> {
    let transaction = database.begin_read().doing("opening the store")?;
    match transaction.open_table(HEAD) {
        Ok(_) => return Ok(()),
        Err(TableError::TableDoesNotExist(_)) => {}
        Err(error) => return Err(error).doing("opening the store"),
    }
    if transaction.list_tables().doing("opening the store")?.next().is_some() {
        return Err(StorageError::Foreign);
    }
    drop(transaction);
    write_durably(database, |transaction| {
        WriteTables::open(transaction)?;
        put_head(transaction, &HeadRecord::NEW)
    })
}

fn put_head(transaction: &WriteTransaction, head: &HeadRecord) -> Result<(), StorageError> {
    let mut table = transaction.open_table(HEAD).doing("opening the head")?;
    table.insert((), record::write_head(head).as_slice()).doing("writing the head")?;
    Ok(())
}

struct WriteTables<'a> {
    current: Table<'a, &'static [u8], &'static [u8]>,
    log: Table<'a, u64, &'static [u8]>,
    lease: Table<'a, u64, u64>,
    leased: Table<'a, &'static [u8], u64>,
}

impl<'a> WriteTables<'a> {
    fn open(transaction: &'a WriteTransaction) -> Result<Self, StorageError> {
        Ok(Self {
            current: transaction.open_table(CURRENT).doing("opening the tables")?,
            log: transaction.open_table(LOG).doing("opening the tables")?,
            lease: transaction.open_table(LEASE).doing("opening the tables")?,
            leased: transaction.open_table(LEASED).doing("opening the tables")?,
        })
    }

    fn put_rows(&mut self, commit: &Stored<'_>) -> Result<(), StorageError> {
        let mut changes = Vec::with_capacity(commit.rows.len());
        for row in commit.rows {
            let previous = self.put_row(row, commit.version.revision)?;
            changes.push(Change { row: row.clone(), previous });
        }
        let record = LogRecord { epoch: commit.version.epoch, note: Arc::clone(commit.note), changes };
        let revision = commit.version.revision.get();
        self.log.insert(revision, record::write_log(&record).as_slice()).doing("writing the log")?;
        Ok(())
    }

    /// Returns what the key held before.
    fn put_row(&mut self, row: &Row, revision: Revision) -> Result<Option<Vec<u8>>, StorageError> {
        let key = record::stored_key(row.space, &row.key);
        let old = match &row.value {
            Some(value) => {
                let value = record::write_current(revision, value);
                self.current.insert(key.as_slice(), value.as_slice())
            }
            None => self.current.remove(key.as_slice()),
        };
        let Some(old) = old.doing("writing a row")? else { return Ok(None) };
        let (_, value) = record::read_current(old.value()).map_err(|e| corrupt("current", &key, e))?;
        Ok(Some(value.to_vec()))
    }

    fn change_leases(&mut self, commit: &Stored<'_>) -> Result<(), StorageError> {
        commit.leases.iter().try_for_each(|change| self.change_lease(change))
    }

    fn change_lease(&mut self, change: &LeaseChange) -> Result<(), StorageError> {
        match change {
            LeaseChange::Grant { id, ttl } => {
                self.lease.insert(id.get(), ttl.0).doing("writing a lease")?;
            }
            LeaseChange::Attach { id, key } => {
                let key = record::stored_key(key.space, &key.key);
                self.leased.insert(key.as_slice(), id.get()).doing("writing a lease")?;
            }
            LeaseChange::Detach { key } => {
                let key = record::stored_key(key.space, &key.key);
                self.leased.remove(key.as_slice()).doing("writing a lease")?;
            }
            LeaseChange::End { id } => {
                self.lease.remove(id.get()).doing("writing a lease")?;
            }
        }
        Ok(())
    }
}

/// The content at one moment, whatever is written meanwhile.
pub(crate) struct View {
    transaction: ReadTransaction,
}

impl View {
    pub(crate) fn of(database: &impl ReadableDatabase) -> Result<Self, StorageError> {
        Ok(Self { transaction: database.begin_read().doing("beginning to read")? })
    }

    pub(crate) fn head(&self) -> Result<HeadRecord, StorageError> {
        let table = match self.transaction.open_table(HEAD) {
            Err(TableError::TableDoesNotExist(_)) => return Err(StorageError::Foreign),
            table => table.doing("opening the head")?,
        };
        let bytes = table.get(()).doing("reading the head")?.ok_or(StorageError::Foreign)?;
        record::read_head(bytes.value()).map_err(|e| corrupt("head", b"", e))
    }

    /// Every current row, in the order of (space, key).
    pub(crate) fn rows(
        &self,
        mut each: impl FnMut(Row) -> Result<(), DecodeError>,
    ) -> Result<(), StorageError> {
        let table = self.transaction.open_table(CURRENT).doing("opening the rows")?;
        for entry in table.iter().doing("reading the rows")? {
            let (key, value) = entry.doing("reading the rows")?;
            let (key, value) = (key.value(), value.value());
            let read = || {
                let name = record::read_stored_key(key)?;
                let (_, value) = record::read_current(value)?;
                Ok(Row { space: name.space, key: name.key, value: Some(value.to_vec()) })
            };
            read().and_then(&mut each).map_err(|e| corrupt("current", key, e))?;
        }
        Ok(())
    }

    /// The commits of this range, oldest first, `limit` at most.
    pub(crate) fn log(
        &self,
        range: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<(Revision, LogRecord)>, StorageError> {
        let mut records = Vec::new();
        self.each_logged(range, limit, |revision, record| {
            records.push((revision, record));
            Ok(())
        })?;
        Ok(records)
    }

    /// As [`View::log`], one at a time.
    pub(crate) fn each_logged(
        &self,
        range: RangeInclusive<u64>,
        limit: usize,
        mut each: impl FnMut(Revision, LogRecord) -> Result<(), DecodeError>,
    ) -> Result<(), StorageError> {
        let table = self.transaction.open_table(LOG).doing("opening the log")?;
        for entry in table.range(range).doing("reading the log")?.take(limit) {
            let (key, value) = entry.doing("reading the log")?;
            let revision = Revision::new(key.value());
            record::read_log(value.value())
                .and_then(|record| each(revision, record))
                .map_err(|e| corrupt("log", revision.to_string().as_bytes(), e))?;
        }
        Ok(())
    }

    pub(crate) fn leases(&self, next: u64) -> Result<LeaseTable, StorageError> {
        let mut leases = LeaseTable::new(next);
        let table = self.transaction.open_table(LEASE).doing("opening the leases")?;
        for entry in table.iter().doing("reading the leases")? {
            let (id, ttl) = entry.doing("reading the leases")?;
            leases.apply(&LeaseChange::Grant { id: LeaseId::new(id.value()), ttl: Millis(ttl.value()) });
        }
        let table = self.transaction.open_table(LEASED).doing("opening the leases")?;
        for entry in table.iter().doing("reading the leases")? {
            let (key, id) = entry.doing("reading the leases")?;
            let name = record::read_stored_key(key.value()).map_err(|e| corrupt("leased", key.value(), e))?;
            leases.apply(&LeaseChange::Attach { id: LeaseId::new(id.value()), key: name });
        }
        Ok(leases)
    }

    /// Copies all but the head.
    fn copy_into(&self, transaction: &WriteTransaction) -> Result<(), StorageError> {
        self.copy_table(CURRENT, transaction)?;
        self.copy_table(LOG, transaction)?;
        self.copy_table(LEASE, transaction)?;
        self.copy_table(LEASED, transaction)
    }

    fn copy_table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
        transaction: &WriteTransaction,
    ) -> Result<(), StorageError> {
        let from = self.transaction.open_table(definition).doing("opening a table to copy")?;
        let mut into = transaction.open_table(definition).doing("opening a table to fill")?;
        for entry in from.iter().doing("reading a table to copy")? {
            let (key, value) = entry.doing("reading a table to copy")?;
            into.insert(key.value(), value.value()).doing("copying a table")?;
        }
        Ok(())
    }
}

fn corrupt(table: &'static str, key: &[u8], source: DecodeError) -> StorageError {
    StorageError::Corrupt { table, key: key.escape_ascii().to_string(), source }
}
