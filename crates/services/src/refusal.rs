//! Why a request is refused, in the words of the APIs whose resources these are.

use std::fmt;

use crate::Id;

/// The class of a refusal: who has to do what about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The request itself is wrong.
    Invalid,
    /// Whoever asks may not do that.
    Forbidden,
    /// What it names does not exist.
    NotFound,
    /// It does not fit what is there.
    Conflict,
    /// It was made on the condition of a revision that is no longer the current one.
    Outdated,
}

/// A refused request. Nothing has been changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// Who has to do what.
    pub reason: Reason,
    /// The name of the error, as `NeutronError.type` has it.
    pub kind: &'static str,
    /// What is wrong: the field and the rule.
    pub message: String,
}

impl Refusal {
    /// A request that is wrong in itself.
    pub fn invalid(kind: &'static str, message: impl fmt::Display) -> Self {
        Self { reason: Reason::Invalid, kind, message: message.to_string() }
    }

    /// An attribute with a value that it cannot have: Neutron's `Invalid input for NAME. Reason: RULE`.
    pub fn attribute(name: &str, rule: impl fmt::Display) -> Self {
        Self::invalid("HTTPBadRequest", format!("Invalid input for {name}. Reason: {rule}."))
    }

    /// A request that may not be made.
    pub fn forbidden(kind: &'static str, message: impl fmt::Display) -> Self {
        Self { reason: Reason::Forbidden, kind, message: message.to_string() }
    }

    /// A request that does not fit what is there.
    pub fn conflict(kind: &'static str, message: impl fmt::Display) -> Self {
        Self { reason: Reason::Conflict, kind, message: message.to_string() }
    }

    /// Something that is not there.
    pub fn not_found(kind: &'static str, what: &str, id: impl fmt::Display) -> Self {
        Self { reason: Reason::NotFound, kind, message: format!("{what} {id} could not be found.") }
    }

    /// A condition on a revision that does not hold.
    #[must_use]
    pub fn outdated(required: u64, current: u64) -> Self {
        Self {
            reason: Reason::Outdated,
            kind: "RevisionNumberConstraintFailed",
            message: format!("Constrained to {required}, but current revision is {current}"),
        }
    }

    /// A network that is not there.
    #[must_use]
    pub fn no_network(id: Id) -> Self {
        Self::not_found("NetworkNotFound", "Network", id)
    }
}
