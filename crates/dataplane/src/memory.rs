//! A driver for a host that is only in memory, with the rules of the kernel's that plans depend on.

use std::collections::BTreeSet;

use weft_net::Capability;

use crate::diff::{claims, ipv4_link, ipv4_route_links};
use crate::{Driver, Key, Object, ObserveError, Plan, State, Step, StepError, StepOutcome};

/// A host in memory. It refuses what a kernel would refuse, and what goes takes along what depends on it.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    state: State,
    /// How many steps it has carried out.
    steps_done: u64,
}

impl Memory {
    /// What is there.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// How many steps it has carried out in all.
    #[must_use]
    pub const fn steps_done(&self) -> u64 {
        self.steps_done
    }

    /// Removes an object, as somebody might by hand; what depends on it goes too. Answers whether it was there.
    pub fn damage(&mut self, key: &Key) -> bool {
        let Some(gone) = self.state.remove(key) else { return false };
        self.lose_ipv4(&gone);
        self.cascade();
        true
    }

    /// With its last IPv4 address a link loses the IPv4 routes out of it.
    fn lose_ipv4(&mut self, gone: &Object) {
        let Some(link) = ipv4_link(gone) else { return };
        if self.state.iter().all(|(_, object)| ipv4_link(object) != Some(link)) {
            self.state.retain(|object| !ipv4_route_links(object).contains(link));
        }
    }

    /// Adds a link that is not ours, as a hypervisor would.
    pub fn add_foreign_link(&mut self, id: crate::LinkId) {
        self.state.insert(Object::ForeignLink(id));
    }

    /// Everything that a reboot takes away: all of it.
    pub fn reboot(&mut self) {
        self.state = State::default();
    }

    fn carry_out(&mut self, step: &Step) -> StepOutcome {
        match step {
            Step::Create(object) => self.create(object),
            Step::Replace { from, to } => self.replace(from, to),
            Step::Delete(object) => self.delete(object),
        }
    }

    fn create(&mut self, object: &Object) -> StepOutcome {
        if object.is_foreign() {
            return refuse("a link of somebody else's is not ours to make");
        }
        if self.state.contains(&object.key()) {
            return refuse("it exists");
        }
        self.check_surroundings(object)?;
        self.state.insert(object.clone());
        Ok(())
    }

    fn replace(&mut self, from: &Object, to: &Object) -> StepOutcome {
        if self.state.get(&from.key()) != Some(from) {
            return refuse("it is not what the plan saw");
        }
        self.state.remove(&from.key());
        if let Err(error) = self.check_surroundings(to) {
            self.state.insert(from.clone());
            return Err(error);
        }
        if crate::diff::loses_dependents(from, to) {
            self.cascade();
        }
        self.state.insert(to.clone());
        Ok(())
    }

    fn delete(&mut self, object: &Object) -> StepOutcome {
        if self.damage(&object.key()) { Ok(()) } else { refuse("it does not exist") }
    }

    fn check_surroundings(&self, object: &Object) -> StepOutcome {
        if let Some(missing) = object.requires().into_iter().find(|key| self.state.provider(key).is_none()) {
            return refuse(&format!("it needs {missing}"));
        }
        let claimed = claims(object);
        let taken = |other: &Object| claims(other).iter().any(|claim| claimed.contains(claim));
        if !claimed.is_empty() && self.state.iter().any(|(_, other)| taken(other)) {
            return refuse("something that only one can have is taken");
        }
        Ok(())
    }

    fn cascade(&mut self) {
        loop {
            let orphan =
                |object: &Object| object.requires().iter().any(|key| self.state.provider(key).is_none());
            let orphans: Vec<Key> =
                self.state.iter().filter(|(_, object)| orphan(object)).map(|(key, _)| key.clone()).collect();
            if orphans.is_empty() {
                return;
            }
            for key in orphans {
                self.state.remove(&key);
            }
        }
    }
}

fn refuse(reason: &str) -> StepOutcome {
    Err(StepError { reason: reason.to_owned() })
}

impl Driver for Memory {
    fn observe(&mut self) -> Result<&State, ObserveError> {
        Ok(&self.state)
    }

    fn apply(&mut self, plan: &Plan) -> Vec<StepOutcome> {
        let outcomes: Vec<StepOutcome> = plan.steps.iter().map(|step| self.carry_out(step)).collect();
        self.steps_done += outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
        outcomes
    }

    fn capabilities(&self) -> BTreeSet<Capability> {
        Capability::ALL.into()
    }
}
