//! What is said of a commit: who asked for it, with which request, when.

use std::sync::Arc;

use weft_services::Timestamp;

/// A commit's note, stored with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// The request: `req-<uuid>`, or the host whose agent said something.
    pub request_id: String,
    /// For which project.
    pub project_id: String,
    /// The declared set that was applied or rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<String>,
    /// What was asked for, as the request's method and path.
    pub summary: String,
}

impl Note {
    /// The stored form.
    #[must_use]
    pub fn to_text(&self) -> Arc<str> {
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// Reads the stored form; a note that cannot be read says nothing.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}
