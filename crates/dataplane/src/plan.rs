//! A plan: the steps from what is to what should be, and what cannot be done yet.

use std::fmt;

use crate::{Key, Object};

/// One change to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make what is not there.
    Create(Object),
    /// Change in place; what depends on it stays, unless the step's kind says otherwise.
    Replace {
        /// What is there.
        from: Object,
        /// What should be; it has the same key.
        to: Object,
    },
    /// Remove what is there; what depends on it goes with it.
    Delete(Object),
}

impl Step {
    /// The key of the object that the step changes.
    #[must_use]
    pub fn key(&self) -> Key {
        match self {
            Self::Create(object) | Self::Replace { to: object, .. } | Self::Delete(object) => object.key(),
        }
    }
}

/// An object that cannot be made because something it needs is not there, and is not ours to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The object.
    pub key: Key,
    /// What it waits for.
    pub missing: Key,
}

/// An object that cannot be made because somebody else's stands in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The object, and the one in its place, which have the same key.
    pub key: Key,
}

/// The steps from one state to another, in an order in which each can be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// What has to wait for somebody else.
    pub waiting: Vec<Waiting>,
    /// What somebody else's object is in the way of.
    pub blocked: Vec<Blocked>,
}

impl Plan {
    /// Whether there is nothing to do. Something may still be waiting or blocked.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create(object) => write!(f, "+ {object}"),
            Self::Replace { to, .. } => write!(f, "~ {to}"),
            Self::Delete(object) => write!(f, "- {object}"),
        }
    }
}

impl fmt::Display for Plan {
    /// One step a line: `+` made, `~` changed, `-` removed, `?` waiting, `!` blocked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        self.waiting
            .iter()
            .try_for_each(|waiting| writeln!(f, "? {} waits for {}", waiting.key, waiting.missing))?;
        self.blocked.iter().try_for_each(|blocked| writeln!(f, "! {} exists and is not ours", blocked.key))
    }
}
