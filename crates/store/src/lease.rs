//! Keys that end with a lease.
//!
//! A lease (id, time to live, keys) is durable; its deadline is in memory, and after a restart or a restore each lease has
//! its full time again, counted from the first time that the store is told. Time is always an argument.
//!
//! A key belongs to one lease at most. Overwriting it leaves it there; deleting it takes it out.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::error::LeaseError;
use crate::head::{Head, Oversize, Request};
use crate::model::{Model, Row, RowKey};
use crate::revision::Version;
use crate::store::{MAX_BATCH_BYTES, Store};

/// Keys deleted in one commit when a lease ends.
const END_STEP: usize = 10_000;

/// A number of milliseconds: a time to live, or a reading of the caller's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    pub(crate) fn after(self, now: Self) -> Self {
        Self(now.0.saturating_add(self.0))
    }
}

/// Names a lease; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(u64);

impl LeaseId {
    /// The lease with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The leases whose deadline had passed.
    pub leases: Vec<LeaseId>,
    /// The version of the last commit that deleted keys of theirs, if there were any.
    pub version: Option<Version>,
}

/// The leases of a store.
pub struct Leases<'a, M: Model> {
    store: &'a Store<M>,
}

impl<M: Model> Store<M> {
    /// The store's leases.
    pub fn leases(&self) -> Leases<'_, M> {
        Leases { store: self }
    }
}

impl<M: Model> Leases<'_, M> {
    /// Grants a lease that ends `ttl` after `now` unless it is kept alive. Returns once it is on disk.
    ///
    /// # Errors
    /// [`LeaseError::Unavailable`].
    pub async fn grant(&self, ttl: Millis, now: Millis) -> Result<LeaseId, LeaseError> {
        let build = |head: &mut Head<M>| {
            let id = LeaseId(head.state.leases.next());
            head.deadlines.0.insert(id, ttl.after(now));
            let request = request(Vec::new(), "".into())?.with_leases(vec![LeaseChange::Grant { id, ttl }]);
            Ok::<_, LeaseError>((request, id))
        };
        Ok(self.store.shared.submit(build).await?.1)
    }

    /// Gives the lease its full time again, from `now`. Not written to disk.
    ///
    /// # Errors
    /// [`LeaseError::NoSuchLease`].
    pub fn keep_alive(&self, id: LeaseId, now: Millis) -> Result<(), LeaseError> {
        let mut head = self.store.shared.head.lock();
        let ttl = head.state.leases.ttl(id)?;
        head.deadlines.0.insert(id, ttl.after(now));
        Ok(())
    }

    /// Makes the keys end with the lease, whether they exist yet or not; a key that has another lease changes over. Attach
    /// before writing: then no crash in between leaves a key without its lease.
    ///
    /// # Errors
    /// Any of [`LeaseError`].
    pub async fn attach(&self, id: LeaseId, keys: Vec<RowKey>) -> Result<(), LeaseError> {
        let bytes = keys.iter().map(|key| key.key.len()).sum();
        if bytes > MAX_BATCH_BYTES {
            return Err(too_large(Oversize { bytes }));
        }
        for key in &keys {
            deletion::<M>(key)?;
        }
        let build = |head: &mut Head<M>| {
            head.state.leases.ttl(id)?;
            let attach = keys.into_iter().map(|key| LeaseChange::Attach { id, key }).collect();
            Ok::<_, LeaseError>((request(Vec::new(), "".into())?.with_leases(attach), ()))
        };
        self.store.shared.submit(build).await?;
        Ok(())
    }

    /// The keys that end with this lease, in order.
    ///
    /// # Errors
    /// [`LeaseError::NoSuchLease`].
    pub fn keys(&self, id: LeaseId) -> Result<Vec<RowKey>, LeaseError> {
        let head = self.store.shared.head.lock();
        head.state.leases.ttl(id)?;
        Ok(head.state.leases.keys(id).cloned().collect())
    }

    /// Ends the lease now and deletes its keys. Returns the version of the commit that deleted the last of them.
    ///
    /// # Errors
    /// Any of [`LeaseError`].
    pub async fn revoke(
        &self,
        id: LeaseId,
        note: impl Into<Arc<str>>,
    ) -> Result<Option<Version>, LeaseError> {
        Ok(self.end(id, None, &note.into()).await?.unwrap_or_default())
    }

    /// Ends every lease whose deadline is `now` or before, and deletes its keys.
    ///
    /// # Errors
    /// [`LeaseError::Unavailable`]; what has not ended then will the next time.
    pub async fn expire(&self, now: Millis, note: impl Into<Arc<str>>) -> Result<Expired, LeaseError> {
        let note = note.into();
        let due = {
            let mut head = self.store.shared.head.lock();
            let Head { deadlines, state, .. } = &mut *head;
            deadlines.due(&state.leases, now)
        };
        let mut expired = Expired { leases: Vec::new(), version: None };
        for id in due {
            match self.end(id, Some(now), &note).await {
                Ok(Some(version)) => {
                    expired.leases.push(id);
                    expired.version = version.or(expired.version);
                }
                Ok(None) | Err(LeaseError::NoSuchLease(_)) => {} // kept alive or revoked meanwhile
                Err(error) => return Err(error),
            }
        }
        Ok(expired)
    }

    /// Ends the lease, unless its deadline is later than `now`: then it is `None`. Some commits are needed if it has many keys.
    async fn end(
        &self,
        id: LeaseId,
        now: Option<Millis>,
        note: &Arc<str>,
    ) -> Result<Option<Option<Version>>, LeaseError> {
        let mut last = None;
        loop {
            let build = |head: &mut Head<M>| {
                head.state.leases.ttl(id)?;
                let alive = now.is_some_and(|now| head.deadlines.0.get(&id).is_some_and(|at| *at > now));
                if alive {
                    return Ok((request(Vec::new(), Arc::clone(note))?, Step::Alive));
                }
                let keys: Vec<RowKey> = head.state.leases.keys(id).take(END_STEP + 1).cloned().collect();
                let deletions: Result<Vec<_>, _> =
                    keys.iter().take(END_STEP).map(|key| deletion::<M>(key)).collect();
                let deletions = deletions?;
                let step = match (deletions.is_empty(), keys.len() > END_STEP) {
                    (_, true) => Step::More,
                    (false, false) => Step::LastKeys,
                    (true, false) => Step::NoKeys,
                };
                let ends = if step == Step::More { vec![] } else { vec![LeaseChange::End { id }] };
                Ok::<_, LeaseError>((request(deletions, Arc::clone(note))?.with_leases(ends), step))
            };
            match self.store.shared.submit(build).await? {
                (_, Step::Alive) => return Ok(None),
                (version, Step::More) => last = Some(version),
                (version, Step::LastKeys) => return Ok(Some(Some(version))),
                (_, Step::NoKeys) => return Ok(Some(last)),
            }
        }
    }
}

/// What one commit towards the end of a lease did.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Alive,
    More,
    LastKeys,
    NoKeys,
}

fn request<M: Model>(writes: Vec<M::Write>, note: Arc<str>) -> Result<Request<M>, LeaseError> {
    Request::new(writes, note, MAX_BATCH_BYTES).map_err(too_large)
}

fn too_large(Oversize { bytes }: Oversize) -> LeaseError {
    LeaseError::TooLarge { bytes, limit: MAX_BATCH_BYTES }
}

fn deletion<M: Model>(key: &RowKey) -> Result<M::Write, LeaseError> {
    Ok(M::decode(&Row { space: key.space, key: key.key.clone(), value: None })?)
}

/// One change to the table of leases, as it is written with a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeaseChange {
    Grant { id: LeaseId, ttl: Millis },
    Attach { id: LeaseId, key: RowKey },
    Detach { key: RowKey },
    End { id: LeaseId },
}

/// The durable part of all leases. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaseTable {
    ttl: OrdMap<LeaseId, Millis>,
    owner: OrdMap<RowKey, LeaseId>,
    keys: OrdMap<LeaseId, OrdSet<RowKey>>,
    next: u64,
}

impl LeaseTable {
    pub(crate) fn new(next: u64) -> Self {
        Self { ttl: OrdMap::new(), owner: OrdMap::new(), keys: OrdMap::new(), next }
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn never_again_below(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    fn ttl(&self, id: LeaseId) -> Result<Millis, LeaseError> {
        self.ttl.get(&id).copied().ok_or(LeaseError::NoSuchLease(id))
    }

    fn keys(&self, id: LeaseId) -> impl Iterator<Item = &RowKey> {
        self.keys.get(&id).into_iter().flatten()
    }

    pub(crate) fn apply(&mut self, change: &LeaseChange) {
        match change {
            LeaseChange::Grant { id, ttl } => {
                self.ttl.insert(*id, *ttl);
                self.never_again_below(id.0 + 1);
            }
            LeaseChange::Attach { id, key } => {
                self.detach(key);
                self.owner.insert(key.clone(), *id);
                self.keys.entry(*id).or_default().insert(key.clone());
            }
            LeaseChange::Detach { key } => self.detach(key),
            LeaseChange::End { id } => {
                self.ttl.remove(id);
            }
        }
    }

    fn detach(&mut self, key: &RowKey) {
        let Some(id) = self.owner.remove(key) else { return };
        let Some(keys) = self.keys.get_mut(&id) else { return };
        keys.remove(key);
        if keys.is_empty() {
            self.keys.remove(&id);
        }
    }

    /// What these rows, committed, do to leases.
    pub(crate) fn detached_by(&self, rows: &[Row]) -> Vec<LeaseChange> {
        if self.owner.is_empty() {
            return Vec::new();
        }
        let deleted = rows.iter().filter(|row| row.value.is_none()).map(Row::name);
        deleted.filter(|key| self.owner.contains_key(key)).map(|key| LeaseChange::Detach { key }).collect()
    }
}

/// When each lease ends; a lease not in here has not been told the time yet.
#[derive(Debug, Default)]
pub(crate) struct Deadlines(HashMap<LeaseId, Millis>);

impl Deadlines {
    /// The leases that end at `now` or before. One without a deadline gets one.
    fn due(&mut self, leases: &LeaseTable, now: Millis) -> Vec<LeaseId> {
        self.keep_only(leases);
        let mut due = Vec::new();
        for (id, ttl) in &leases.ttl {
            let deadline = *self.0.entry(*id).or_insert(ttl.after(now));
            if deadline <= now {
                due.push(*id);
            }
        }
        due
    }

    pub(crate) fn keep_only(&mut self, leases: &LeaseTable) {
        self.0.retain(|id, _| leases.ttl.contains_key(id));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
