//! Why there is no exit code.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a machine did not bring its program to an end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What a machine is made of is not on this host.
    #[error("{what}; `scripts/install vm` brings what a virtual machine is made of")]
    Missing {
        /// What is not there.
        what: String,
    },
    /// The kernel has no such module, neither apart nor built in.
    #[error("the virtual machine's kernel has no module '{name}'")]
    NoModule {
        /// What was asked for.
        name: String,
    },
    /// A file that the machine is made of cannot be read.
    #[error("'{}' cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The machine cannot be made or heard.
    #[error("the virtual machine cannot be started")]
    Start(#[source] io::Error),
    /// The program was not done in time; the machine is gone.
    #[error("the virtual machine was not done after {} s; its console:\n{console}", bound.as_secs())]
    Bound {
        /// How long it was given.
        bound: Duration,
        /// The last lines of the kernel's console.
        console: String,
    },
    /// The machine ended before its program did.
    #[error("the virtual machine ended before its program; its console:\n{console}")]
    Ended {
        /// The last lines of the kernel's console, and what qemu had to say.
        console: String,
    },
}

impl Error {
    /// A file that cannot be read.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::File { path, source }
    }
}
