//! A disk in memory: it records what is done to it, fails when told to, and can stop before a sync.

use std::io;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use redb::{Builder, Database, DatabaseError, StorageBackend};

use crate::Medium;

const NO_SPACE: i32 = 28; // ENOSPC

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Write(u64, Vec<u8>),
    SetLength(u64),
    Sync,
}

impl Operation {
    pub(crate) fn replay_on(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => {
                let start = *offset as usize;
                image[start..start + data.len()].copy_from_slice(data);
            }
            Self::SetLength(length) => image.resize(*length as usize, 0),
            Self::Sync => {}
        }
    }
}

#[derive(Debug, Default)]
struct Platter {
    bytes: Vec<u8>,
    operations: Vec<Operation>,
    /// Writes and changes of length that still succeed.
    room: Option<usize>,
    /// Syncs that still succeed.
    good_syncs: Option<usize>,
    /// Syncs wait while this is so.
    stopped: bool,
    /// How many syncs wait or have waited.
    syncs_begun: usize,
    opens: usize,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    platter: Arc<Mutex<Platter>>,
    changed: Arc<Condvar>,
}

impl Disk {
    pub(crate) fn holding(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.platter.lock().bytes = bytes;
        disk
    }

    pub(crate) fn image(&self) -> Vec<u8> {
        self.platter.lock().bytes.clone()
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.platter.lock().operations.clone()
    }

    pub(crate) fn operations_done(&self) -> usize {
        self.platter.lock().operations.len()
    }

    pub(crate) fn forget_operations(&self) {
        self.platter.lock().operations.clear();
    }

    pub(crate) fn syncs_begun(&self) -> usize {
        self.platter.lock().syncs_begun
    }

    pub(crate) fn opens(&self) -> usize {
        self.platter.lock().opens
    }

    /// Full after this many more writes.
    pub(crate) fn full_after(&self, writes: usize) {
        self.platter.lock().room = Some(writes);
    }

    pub(crate) fn break_syncs_after(&self, syncs: usize) {
        self.platter.lock().good_syncs = Some(syncs);
    }

    pub(crate) fn mend(&self) {
        let mut platter = self.platter.lock();
        platter.room = None;
        platter.good_syncs = None;
    }

    /// Lets no sync pass until [`Disk::go_on`].
    pub(crate) fn stop(&self) {
        self.platter.lock().stopped = true;
    }

    pub(crate) fn go_on(&self) {
        self.platter.lock().stopped = false;
        self.changed.notify_all();
    }

    /// Blocks until a sync more than `before` has begun.
    pub(crate) fn wait_for_sync_after(&self, before: usize) {
        let mut platter = self.platter.lock();
        self.changed.wait_while(&mut platter, |platter| platter.syncs_begun <= before);
    }
}

impl Medium for Disk {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        self.platter.lock().opens += 1;
        builder.create_with_backend(self.clone())
    }
}

fn take_one(left: &mut Option<usize>) -> io::Result<()> {
    match left {
        Some(0) => Err(io::Error::from_raw_os_error(NO_SPACE)),
        Some(left) => {
            *left -= 1;
            Ok(())
        }
        None => Ok(()),
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platter.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let platter = self.platter.lock();
        let start = offset as usize;
        let from = platter.bytes.get(start..start + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.carry_out(Operation::SetLength(length))
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.carry_out(Operation::Write(offset, data.to_vec()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.platter.lock();
        platter.syncs_begun += 1;
        self.changed.notify_all();
        self.changed.wait_while(&mut platter, |platter| platter.stopped);
        take_one(&mut platter.good_syncs)?;
        platter.operations.push(Operation::Sync);
        Ok(())
    }
}

impl Disk {
    fn carry_out(&self, operation: Operation) -> io::Result<()> {
        let mut platter = self.platter.lock();
        take_one(&mut platter.room)?;
        operation.replay_on(&mut platter.bytes);
        platter.operations.push(operation);
        Ok(())
    }
}
