//! What is wrong with a text that should have been a value.

/// A text that is not the value it was read as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a valid {what}: {rule}")]
pub struct ParseError {
    /// The value that was expected, as a user calls it: `MAC address`, `interface name`.
    pub what: &'static str,
    /// What was given.
    pub text: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

impl ParseError {
    /// A text that breaks the rule of what it was read as.
    #[must_use]
    pub fn new(what: &'static str, text: &str, rule: &'static str) -> Self {
        Self { what, text: text.to_owned(), rule }
    }
}
