//! What can go wrong before there is a driver at all.

use weft_dataplane::ObserveError;

/// A host's kernel could not be taken into care.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The network namespace to work for cannot be entered.
    #[error("network namespace '{path}' cannot be entered")]
    Namespace {
        /// Where it was looked for.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The first look at it failed.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// What the kernel can do could not be found out.
    #[error("what the kernel can do cannot be found out")]
    Capabilities(#[source] std::io::Error),
}
