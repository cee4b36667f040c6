//! The bytes in the tables: what a current value, a logged batch and the store's head look like on disk.
//!
//! Every value begins with [`FORMAT`]. Numbers are LEB128; byte strings are their length and the bytes.
//!
//! ```text
//! current   FORMAT revision value…
//! log       FORMAT epoch note count { flags key [value] [previous] }…
//! head      FORMAT magic epoch revision oldest next-lease
//! ```

use std::sync::Arc;

use crate::error::DecodeError;
use crate::model::{Row, RowKey, Space};
use crate::revision::{Epoch, Revision, Version};

/// The version of these layouts.
const FORMAT: u8 = 1;
const MAGIC: &[u8] = b"weft";

const KEPT: u8 = 1;
const HAS_VALUE: u8 = 2;
const HAS_PREVIOUS: u8 = 4;

/// One commit as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogRecord {
    pub(crate) epoch: Epoch,
    pub(crate) note: Arc<str>,
    pub(crate) changes: Vec<Change>,
}

/// One row of a commit, with what its key held before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) row: Row,
    pub(crate) previous: Option<Vec<u8>>,
}

/// Where the store stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadRecord {
    pub(crate) version: Version,
    /// The first commit still in the log; one past the head when the log is empty.
    pub(crate) oldest: Revision,
    pub(crate) next_lease: u64,
}

impl HeadRecord {
    pub(crate) const NEW: Self = Self {
        version: Version { epoch: Epoch::FIRST, revision: Revision::ZERO },
        oldest: Revision::new(1),
        next_lease: 1,
    };
}

pub(crate) fn stored_key(space: Space, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + key.len());
    out.push(match space {
        Space::Model => 0,
        Space::Kept => KEPT,
    });
    out.extend_from_slice(key);
    out
}

pub(crate) fn read_stored_key(bytes: &[u8]) -> Result<RowKey, DecodeError> {
    match bytes.split_first() {
        Some((0, key)) => Ok(RowKey { space: Space::Model, key: key.to_vec() }),
        Some((&KEPT, key)) => Ok(RowKey { space: Space::Kept, key: key.to_vec() }),
        Some((other, _)) => Err(DecodeError::new(format!("unknown space {other}"))),
        None => Err(DecodeError::new("empty key")),
    }
}

pub(crate) fn write_current(revision: Revision, value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 11);
    out.push(FORMAT);
    put_number(&mut out, revision.get());
    out.extend_from_slice(value);
    out
}

pub(crate) fn read_current(bytes: &[u8]) -> Result<(Revision, &[u8]), DecodeError> {
    let mut reader = Reader::open(bytes)?;
    let revision = Revision::new(reader.number()?);
    Ok((revision, reader.rest))
}

pub(crate) fn write_log(record: &LogRecord) -> Vec<u8> {
    let mut out = vec![FORMAT];
    put_number(&mut out, record.epoch.get());
    put_bytes(&mut out, record.note.as_bytes());
    put_number(&mut out, record.changes.len() as u64);
    for Change { row, previous } in &record.changes {
        let mut flags = 0;
        flags |= if row.space == Space::Kept { KEPT } else { 0 };
        flags |= if row.value.is_some() { HAS_VALUE } else { 0 };
        flags |= if previous.is_some() { HAS_PREVIOUS } else { 0 };
        out.push(flags);
        put_bytes(&mut out, &row.key);
        for value in [&row.value, previous].into_iter().flatten() {
            put_bytes(&mut out, value);
        }
    }
    out
}

pub(crate) fn read_log(bytes: &[u8]) -> Result<LogRecord, DecodeError> {
    let mut reader = Reader::open(bytes)?;
    let epoch = Epoch::new(reader.number()?);
    let note = std::str::from_utf8(reader.bytes()?).map_err(|_| DecodeError::new("the note is not UTF-8"))?;
    let note = Arc::from(note);
    let count = reader.number()?;
    let mut changes = Vec::new(); // not reserved: the count itself may be corrupt
    for _ in 0..count {
        changes.push(read_change(&mut reader)?);
    }
    reader.end()?;
    Ok(LogRecord { epoch, note, changes })
}

fn read_change(reader: &mut Reader<'_>) -> Result<Change, DecodeError> {
    let flags = reader.byte()?;
    if flags & !(KEPT | HAS_VALUE | HAS_PREVIOUS) != 0 {
        return Err(DecodeError::new(format!("unknown flags {flags:#04x}")));
    }
    let space = if flags & KEPT == 0 { Space::Model } else { Space::Kept };
    let key = reader.bytes()?.to_vec();
    let value = if flags & HAS_VALUE == 0 { None } else { Some(reader.bytes()?.to_vec()) };
    let previous = if flags & HAS_PREVIOUS == 0 { None } else { Some(reader.bytes()?.to_vec()) };
    Ok(Change { row: Row { space, key, value }, previous })
}

pub(crate) fn write_head(head: &HeadRecord) -> Vec<u8> {
    let mut out = vec![FORMAT];
    put_bytes(&mut out, MAGIC);
    for number in [head.version.epoch.get(), head.version.revision.get(), head.oldest.get(), head.next_lease]
    {
        put_number(&mut out, number);
    }
    out
}

pub(crate) fn read_head(bytes: &[u8]) -> Result<HeadRecord, DecodeError> {
    let mut reader = Reader::open(bytes)?;
    if reader.bytes()? != MAGIC {
        return Err(DecodeError::new("not a store's head"));
    }
    let epoch = Epoch::new(reader.number()?);
    let revision = Revision::new(reader.number()?);
    let oldest = Revision::new(reader.number()?);
    let next_lease = reader.number()?;
    reader.end()?;
    Ok(HeadRecord { version: Version { epoch, revision }, oldest, next_lease })
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins after the format byte, which must be one that this version reads.
    fn open(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Self { rest: bytes };
        match reader.byte()? {
            FORMAT => Ok(reader),
            other => Err(DecodeError::new(format!("unknown format {other}"))),
        }
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (byte, rest) = self.rest.split_first().ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64, DecodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if (bits << shift) >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(DecodeError::new("a number exceeds 64 bits"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.number()?).map_err(|_| cut_short())?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::new("bytes after the end")) }
    }
}

fn cut_short() -> DecodeError {
    DecodeError::new("cut short")
}
