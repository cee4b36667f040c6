//! What can go wrong with a lab.

use std::io;

use crate::NameError;

/// Why a lab is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// A lab's name is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// What is asked for cannot be, or is not what is up already.
    #[error("{0}")]
    Spec(String),
    /// Somebody else is bringing this lab up or down.
    #[error("another process is bringing lab '{0}' up or down")]
    Busy(String),
    /// There is no such lab.
    #[error("there is no lab '{0}'")]
    NoSuchLab(String),
    /// There is no such host or workload in the lab, or more than one.
    #[error("'{node}' is {what} in lab '{lab}'")]
    Node {
        /// The lab.
        lab: String,
        /// The node, as it was asked for.
        node: String,
        /// What it is instead.
        what: &'static str,
    },
    /// A controller or an agent does not do what it should.
    #[error("{who} {what}{log}")]
    Daemon {
        /// Which one.
        who: String,
        /// What is wrong with it.
        what: String,
        /// The end of its log, on lines of its own; empty if there is none.
        log: String,
    },
    /// The machine refuses something.
    #[error("{what}")]
    System {
        /// What was tried.
        what: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// Says what was tried when the machine refused it.
pub(crate) trait Tried<T> {
    /// Turns the refusal into an error of the lab.
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, LabError>;
}

impl<T, E: Into<io::Error>> Tried<T> for Result<T, E> {
    fn tried(self, what: impl FnOnce() -> String) -> Result<T, LabError> {
        self.map_err(|error| LabError::System { what: what(), source: error.into() })
    }
}
