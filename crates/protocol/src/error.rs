//! What is wrong with a message.

/// A message that does not say what it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {field}: {reason}")]
pub struct DecodeError {
    /// Which part of the message: `object 3`, `facts`.
    pub at: String,
    /// The field, as the `.proto` names it.
    pub field: &'static str,
    /// The rule that it breaks.
    pub reason: String,
}

/// What is wrong with one field; whoever knows where it is makes a [`DecodeError`] of it.
#[derive(Debug)]
pub(crate) struct FieldError {
    pub(crate) field: &'static str,
    pub(crate) reason: String,
}

impl FieldError {
    pub(crate) fn new(field: &'static str, reason: impl ToString) -> Self {
        Self { field, reason: reason.to_string() }
    }

    pub(crate) fn at(self, at: impl ToString) -> DecodeError {
        DecodeError { at: at.to_string(), field: self.field, reason: self.reason }
    }
}
