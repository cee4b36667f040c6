//! The controller's side: the model as if it were on disk, and what is distributed of it.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;
use weft_controller::agents::{AtHave, Delivery, Distribution};
use weft_net::{HostFact, HostName};
use weft_protocol::wire;
use weft_services::{
    Change, Choices, Departure, Model, Refusal, Timestamp, Write, confirm_departures,
    departures_after_restore, describe_host,
};
use weft_store::{Epoch, Revision, Version};

/// There is only one store.
const LINEAGE: u64 = 1;

/// A commit, as the log has it.
struct Commit {
    version: Version,
    writes: Vec<Write>,
    before: Model,
}

/// The store and the distribution of one controller.
pub(crate) struct Controller {
    pub(crate) model: Model,
    version: Version,
    log: Vec<Commit>,
    pub(crate) distribution: Distribution,
    clock_s: i64,
}

impl Controller {
    pub(crate) fn new() -> Self {
        let version = Version { epoch: Epoch::FIRST, revision: Revision::ZERO };
        let model = Model::default();
        let distribution = Distribution::new(model.clone(), version, LINEAGE, 0);
        Self { model, version, log: Vec::new(), distribution, clock_s: 0 }
    }

    /// Carries a request out; answers what hosts are sent of it.
    pub(crate) fn request(
        &mut self,
        random: &mut ChaCha8Rng,
        request: impl FnOnce(&mut Change) -> Result<(), Refusal>,
    ) -> Result<Vec<Delivery>, Refusal> {
        self.clock_s += 1;
        let mut seed = [0; 32];
        random.fill_bytes(&mut seed);
        let project_id: Arc<str> = "default".into();
        let mut change =
            Change::new(self.model.clone(), Choices { now: Timestamp(self.clock_s), seed, project_id });
        request(&mut change)?;
        Ok(self.commit(change.finish()?.0))
    }

    pub(crate) fn describe(&mut self, host: &HostName, fact: &HostFact) -> Vec<Delivery> {
        let writes = describe_host(&self.model, host, fact, Timestamp(self.clock_s)).unwrap_or_default();
        self.commit(writes)
    }

    pub(crate) fn confirm(&mut self, departures: &[Departure]) -> Vec<Delivery> {
        let writes = confirm_departures(&self.model, departures);
        self.commit(writes)
    }

    fn commit(&mut self, writes: Vec<Write>) -> Vec<Delivery> {
        if writes.is_empty() {
            return Vec::new();
        }
        let before = self.model.clone();
        for write in &writes {
            self.model.apply(write);
        }
        self.version.revision = Revision::new(self.version.revision.get() + 1);
        let deliveries = self.distribution.advance(self.version, &writes);
        self.log.push(Commit { version: self.version, writes, before });
        deliveries
    }

    /// Killed and started again: only what is on disk is left.
    pub(crate) fn restart(&mut self) {
        self.distribution = Distribution::new(self.model.clone(), self.version, LINEAGE, 0);
    }

    /// An earlier state is restored from a snapshot: the epoch rises.
    pub(crate) fn restore(&mut self, back: usize) {
        let Some(index) = self.log.len().checked_sub(back + 1) else { return };
        let commit = &self.log[index];
        // Hosts that have come since are known again as soon as they greet.
        let lost = std::mem::replace(&mut self.model, commit.before.clone());
        self.version = Version {
            epoch: Epoch::new(self.version.epoch.get() + 1),
            revision: Revision::new(commit.version.revision.get() - 1),
        };
        self.log.clear();
        // What is kept of the lost model is restored with the rest, in one transaction.
        for write in departures_after_restore(&lost, &self.model, self.version.epoch.get()) {
            self.model.apply(&write);
        }
        self.restart();
    }

    /// An agent greets with the version that it has.
    pub(crate) fn connect(&mut self, host: &HostName, have: wire::Version) -> (u64, Vec<wire::Update>) {
        let version = Version { epoch: Epoch::new(have.epoch), revision: Revision::new(have.revision) };
        let at_have = self.distribution.is_of_ours(&have).then(|| self.since(version)).flatten();
        self.distribution.connect(host, have, at_have)
    }

    /// The model at a version and the writes since, as far back as the log goes.
    fn since(&self, have: Version) -> Option<AtHave> {
        let until = self.version;
        if have == until {
            return Some(AtHave { model: self.model.clone(), writes: Vec::new(), until });
        }
        let first =
            self.log.iter().position(|commit| commit.version > have && have.epoch == commit.version.epoch)?;
        let is_next = self.log[first].version.revision.get() == have.revision.get() + 1;
        // Some are handed out while the past is read.
        let meanwhile = usize::try_from(self.clock_s % 4).unwrap_or_default();
        let end = self.log.len().saturating_sub(meanwhile).max(first + 1);
        let writes = self.log[first..end].iter().flat_map(|commit| commit.writes.clone()).collect();
        let (model, until) = (self.log[first].before.clone(), self.log[end - 1].version);
        is_next.then_some(AtHave { model, writes, until })
    }
}
