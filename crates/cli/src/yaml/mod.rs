//! Files of documents: read with the place of everything, checked by the catalogue, so that every error has line and column.
//!
//! ```text
//! files ── tree (text with places) ── documents (kind, name, typed attributes) ──> Input
//!                                                                 server's (document, field) ──> place again
//! ```

mod documents;
mod files;
mod problem;
mod scalar;
mod tree;

#[cfg(test)]
mod tests;

pub(crate) use documents::Input;
pub(crate) use files::{default_set, read};
pub(crate) use problem::Problems;
