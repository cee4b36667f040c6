//! A disk in memory that counts what is read, and keeps readers waiting when told to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use redb::{Builder, Database, DatabaseError, StorageBackend, backends::InMemoryBackend};
use weft_store::Medium;

/// Longer nobody is kept waiting: a test that fails must end, too.
const HELD_MAX: Duration = Duration::from_secs(3);

#[derive(Debug)]
struct Inner {
    bytes: InMemoryBackend,
    reads: AtomicU64,
    is_full: AtomicBool,
    is_held: Mutex<bool>,
    released: Condvar,
}

#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Inner>);

impl Disk {
    pub(crate) fn new() -> Self {
        let (reads, is_full, is_held) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(false));
        Self(Arc::new(Inner {
            bytes: InMemoryBackend::new(),
            reads,
            is_full,
            is_held,
            released: Condvar::new(),
        }))
    }

    /// How often something was read.
    pub(crate) fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::SeqCst)
    }

    /// Whether nothing more can be written.
    pub(crate) fn fill(&self, is_full: bool) {
        self.0.is_full.store(is_full, Ordering::SeqCst);
    }

    /// Whoever reads waits until [`Disk::release`].
    pub(crate) fn hold(&self) {
        *self.0.is_held.lock() = true;
    }

    pub(crate) fn release(&self) {
        *self.0.is_held.lock() = false;
        self.0.released.notify_all();
    }
}

impl Medium for Disk {
    fn open(&self, builder: &Builder) -> Result<Database, DatabaseError> {
        builder.create_with_backend(self.clone())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.0.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        let mut is_held = self.0.is_held.lock();
        if self.0.released.wait_while_for(&mut is_held, |is_held| *is_held, HELD_MAX).timed_out() {
            *is_held = false;
        }
        drop(is_held);
        self.0.bytes.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.bytes.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.bytes.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.0.is_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.bytes.write(offset, data)
    }
}
