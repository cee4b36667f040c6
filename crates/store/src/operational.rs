//! Status and counters: keys in memory, under leases, never written to disk.
//!
//! A wake-up says *that* something changed. A reader then asks for what changed since the sequence number it has; if that is
//! longer ago than the bounded log of changes reaches, it lists anew.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::watch;

use crate::lease::{LeaseId, Millis};

/// Counts changes of an [`Operational`] space. It begins anew with the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

/// The lease was never granted, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("there is no lease {0}")]
pub struct NoSuchLease(pub LeaseId);

/// What a reader has to catch up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changes<V> {
    /// The keys that changed, once each and in order, with what they hold now (`None`: gone).
    Keys(Sequence, Vec<(Vec<u8>, Option<V>)>),
    /// It is too long ago: list with [`Operational::range`].
    Relist,
}

/// An in-memory space of leased keys.
pub struct Operational<V> {
    inner: Mutex<Inner<V>>,
    bell: watch::Sender<Sequence>,
}

struct Inner<V> {
    entries: BTreeMap<Vec<u8>, Entry<V>>,
    leases: HashMap<LeaseId, Lease>,
    next_lease: u64,
    sequence: u64,
    /// The keys of the newest changes; the last has number `sequence`.
    log: VecDeque<Vec<u8>>,
    log_limit: usize,
}

struct Entry<V> {
    value: V,
    lease: Option<LeaseId>,
}

struct Lease {
    ttl: Millis,
    deadline: Millis,
    keys: BTreeSet<Vec<u8>>,
}

impl<V: Clone> Operational<V> {
    /// An empty space that remembers the keys of the last `log_limit` changes.
    pub fn new(log_limit: usize) -> Self {
        let inner = Inner {
            entries: BTreeMap::new(),
            leases: HashMap::new(),
            next_lease: 1,
            sequence: 0,
            log: VecDeque::new(),
            log_limit,
        };
        Self { inner: Mutex::new(inner), bell: watch::Sender::new(Sequence(0)) }
    }

    /// Puts a value, without a lease or under the given one; either takes the key out of the lease it had.
    ///
    /// # Errors
    /// When there is no such lease; then nothing is put.
    pub fn put(&self, key: Vec<u8>, value: V, lease: Option<LeaseId>) -> Result<(), NoSuchLease> {
        self.change(|inner| inner.put(key, value, lease))
    }

    /// Removes a key and returns what it held.
    pub fn remove(&self, key: &[u8]) -> Option<V> {
        self.change(|inner| inner.remove(key))
    }

    /// What the key holds.
    pub fn get(&self, key: &[u8]) -> Option<V> {
        self.inner.lock().entries.get(key).map(|entry| entry.value.clone())
    }

    /// The keys that begin with `prefix`, in order, and the sequence number at which this is so.
    pub fn range(&self, prefix: &[u8]) -> (Sequence, Vec<(Vec<u8>, V)>) {
        let inner = self.inner.lock();
        let found = inner
            .entries
            .range(prefix.to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, entry)| (key.clone(), entry.value.clone()))
            .collect();
        (Sequence(inner.sequence), found)
    }

    /// What changed after `since`.
    pub fn changes_since(&self, since: Sequence) -> Changes<V> {
        let inner = self.inner.lock();
        let Some(behind) = inner.sequence.checked_sub(since.0) else { return Changes::Relist };
        let Some(start) = usize::try_from(behind).ok().and_then(|behind| inner.log.len().checked_sub(behind))
        else {
            return Changes::Relist;
        };
        let keys: BTreeSet<&Vec<u8>> = inner.log.range(start..).collect();
        let now = |key: &Vec<u8>| inner.entries.get(key).map(|entry| entry.value.clone());
        Changes::Keys(Sequence(inner.sequence), keys.into_iter().map(|key| (key.clone(), now(key))).collect())
    }

    /// Wakes when something has changed; the number says how far, not what.
    pub fn watch(&self) -> watch::Receiver<Sequence> {
        self.bell.subscribe()
    }

    /// Grants a lease that ends `ttl` after `now` unless it is kept alive.
    pub fn grant(&self, ttl: Millis, now: Millis) -> LeaseId {
        let mut inner = self.inner.lock();
        let id = LeaseId::new(inner.next_lease);
        inner.next_lease += 1;
        inner.leases.insert(id, Lease { ttl, deadline: ttl.after(now), keys: BTreeSet::new() });
        id
    }

    /// Gives the lease its full time again, from `now`.
    ///
    /// # Errors
    /// When there is no such lease.
    pub fn keep_alive(&self, id: LeaseId, now: Millis) -> Result<(), NoSuchLease> {
        let mut inner = self.inner.lock();
        let lease = inner.leases.get_mut(&id).ok_or(NoSuchLease(id))?;
        lease.deadline = lease.ttl.after(now);
        Ok(())
    }

    /// Ends the lease now and removes its keys.
    ///
    /// # Errors
    /// When there is no such lease.
    pub fn revoke(&self, id: LeaseId) -> Result<(), NoSuchLease> {
        self.change(|inner| inner.end(id))
    }

    /// Ends every lease whose deadline is `now` or before, removes its keys, and returns which leases.
    pub fn expire(&self, now: Millis) -> Vec<LeaseId> {
        self.change(|inner| {
            let due = inner.leases.iter().filter(|(_, lease)| lease.deadline <= now).map(|(id, _)| *id);
            let mut due: Vec<LeaseId> = due.collect();
            due.sort_unstable();
            due.retain(|id| inner.end(*id).is_ok());
            due
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Inner<V>) -> T) -> T {
        let mut inner = self.inner.lock();
        let before = inner.sequence;
        let result = change(&mut inner);
        if inner.sequence != before {
            // Under the lock, so that the bell never goes back.
            self.bell.send_replace(Sequence(inner.sequence));
        }
        result
    }
}

impl<V> Inner<V> {
    fn put(&mut self, key: Vec<u8>, value: V, lease: Option<LeaseId>) -> Result<(), NoSuchLease> {
        if let Some(id) = lease
            && !self.leases.contains_key(&id)
        {
            return Err(NoSuchLease(id));
        }
        let old = self.entries.insert(key.clone(), Entry { value, lease });
        self.take_from_lease(old.and_then(|entry| entry.lease), &key);
        if let Some(lease) = lease.and_then(|id| self.leases.get_mut(&id)) {
            lease.keys.insert(key.clone());
        }
        self.changed(key);
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Option<V> {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.take_from_lease(entry.lease, &key);
        self.changed(key);
        Some(entry.value)
    }

    fn end(&mut self, id: LeaseId) -> Result<(), NoSuchLease> {
        let lease = self.leases.remove(&id).ok_or(NoSuchLease(id))?;
        for key in lease.keys {
            self.entries.remove(&key);
            self.changed(key);
        }
        Ok(())
    }

    fn take_from_lease(&mut self, lease: Option<LeaseId>, key: &[u8]) {
        if let Some(lease) = lease.and_then(|id| self.leases.get_mut(&id)) {
            lease.keys.remove(key);
        }
    }

    fn changed(&mut self, key: Vec<u8>) {
        self.sequence += 1;
        self.log.push_back(key);
        if self.log.len() > self.log_limit {
            self.log.pop_front();
        }
    }
}
