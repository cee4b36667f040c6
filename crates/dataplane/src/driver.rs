//! The port to what carries plans out.

use std::collections::BTreeSet;

use weft_net::Capability;

use crate::{Plan, State};

/// What observes a host and changes it. One key space; each kind of object is owned by one driver.
pub trait Driver {
    /// What is on the host of ours, and which links of others are there.
    ///
    /// # Errors
    /// When the picture would be incomplete: a partial one would look as if objects had been removed.
    fn observe(&mut self) -> Result<&State, ObserveError>;

    /// Carries a plan out, step by step, past failures; one outcome a step, in their order.
    fn apply(&mut self, plan: &Plan) -> Vec<StepOutcome>;

    /// What the host can do, found out by trying.
    fn capabilities(&self) -> BTreeSet<Capability>;
}

/// How a step went.
pub type StepOutcome = Result<(), StepError>;

/// The host could not be looked at as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the host's state cannot be read in full: {reason}")]
pub struct ObserveError {
    /// What went wrong, in the words of the one who knows.
    pub reason: String,
}

/// A step could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct StepError {
    /// What went wrong, in the kernel's words where it has any.
    pub reason: String,
}
