//! Why a request was not answered as hoped.

use std::time::Duration;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers at the controller's address.
    #[error("no controller answers; is weft-controller running at {url}? set WEFT_URL or --url")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// The controller did not answer in time.
    #[error("the controller at {url} has not answered within {} s; --timeout allows more", after.as_secs_f64())]
    TimedOut {
        /// Where it is.
        url: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The controller ended the connection, or fell silent, before the answer was whole.
    #[error("the controller at {url} ended the connection")]
    Lost {
        /// Where it is.
        url: String,
    },
    /// The controller says no.
    #[error("{0}")]
    Refused(Refusal),
    /// Nothing has this name or identifier.
    #[error("no {kind} is called '{name}'")]
    NotFound {
        /// What was looked for: the name of a member.
        kind: &'static str,
        /// The name or identifier.
        name: String,
    },
    /// Several things have this name.
    #[error("{} {kind}s are called '{name}'; say which by its id: {}", ids.len(), ids.join(", "))]
    Ambiguous {
        /// What was looked for: the name of a member.
        kind: &'static str,
        /// The name.
        name: String,
        /// The identifiers of those that have it.
        ids: Vec<String>,
    },
    /// The controller's address is none.
    #[error("'{url}' is not the address of a controller: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// Why it is none.
        reason: String,
    },
    /// What answered is not the API.
    #[error("the answer to {request} is not of Weft's API: {reason}")]
    Answer {
        /// Method and address.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// Whether the request could succeed later as it is: the controller is away, late or busy.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Lost { .. } => true,
            Self::Refused(refusal) => matches!(refusal.status, 429 | 502 | 503 | 504),
            Self::NotFound { .. } | Self::Ambiguous { .. } | Self::Url { .. } | Self::Answer { .. } => false,
        }
    }
}

/// The controller's reason for not doing what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status of HTTP.
    pub status: u16,
    /// The name of the error, as `NeutronError.type` has it.
    pub kind: String,
    /// What is wrong, for people.
    pub message: String,
    /// More about it; often empty.
    pub detail: String,
    /// Of an apply: the index of the document that is wrong.
    pub document: Option<usize>,
    /// Of an apply: the attribute of the document that is wrong.
    pub field: Option<String>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if !self.detail.is_empty() && self.detail != self.message {
            write!(f, " ({})", self.detail)?;
        }
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Envelope {
    #[serde(rename = "NeutronError")]
    error: Body,
}

#[derive(serde::Deserialize)]
struct Body {
    #[serde(default, rename = "type")]
    kind: String,
    message: String,
    #[serde(default)]
    detail: serde_json::Value,
    document: Option<usize>,
    field: Option<String>,
}

impl Refusal {
    /// Reads the body of an answer that is an error; one that is not the API's is shown as it is, if short.
    pub(crate) fn read(status: u16, body: &[u8]) -> Self {
        if let Ok(Envelope { error }) = serde_json::from_slice(body) {
            let detail = match error.detail {
                serde_json::Value::String(text) => text,
                serde_json::Value::Null => String::new(),
                other => other.to_string(),
            };
            let (kind, message) = (error.kind, error.message);
            return Self { status, kind, message, detail, document: error.document, field: error.field };
        }
        let text: String = String::from_utf8_lossy(body).trim().chars().take(200).collect();
        let message = if text.is_empty() {
            format!("the controller answered {status}")
        } else {
            format!("the controller answered {status}: {text}")
        };
        Self { status, kind: String::new(), message, detail: String::new(), document: None, field: None }
    }
}
