//! What was changed when by whom, and the way back.

use reqwest::Method;
use serde_json::json;

use crate::{Action, Applied, Client, Error};

/// A commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HistoryEntry {
    /// The version of the model after it: `EPOCH.REVISION`.
    pub version: String,
    /// When.
    #[serde(default)]
    pub at: Option<String>,
    /// The request that asked for it.
    #[serde(default)]
    pub request_id: Option<String>,
    /// The project on whose behalf.
    #[serde(default)]
    pub project_id: Option<String>,
    /// The set that was applied.
    #[serde(default)]
    pub set: Option<String>,
    /// In a few words.
    #[serde(default)]
    pub summary: Option<String>,
    /// What it did.
    #[serde(default)]
    pub changes: Vec<HistoryChange>,
}

/// What a commit did to one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HistoryChange {
    /// What was done.
    #[serde(default)]
    pub action: Action,
    /// The name of its member.
    #[serde(default)]
    pub kind: String,
    /// Its identifier.
    #[serde(default)]
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
}

/// Whose resources go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What an apply of this set made.
    Set(String),
    /// What this project owns.
    Project(String),
}

/// A way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// The revision as of which things are to be.
    pub revision: u64,
    /// Which things.
    pub scope: Scope,
    /// Whether only to say what would be done.
    pub dry_run: bool,
}

#[derive(serde::Deserialize)]
struct Answer {
    history: Vec<HistoryEntry>,
}

impl Client {
    /// The last commits, newest first; those before a revision, if one is given.
    ///
    /// # Errors
    /// When the controller does not answer.
    pub async fn history(&self, limit: usize, before: Option<u64>) -> Result<Vec<HistoryEntry>, Error> {
        let (limit, before) = (limit.to_string(), before.map(|revision| revision.to_string()));
        let mut query = vec![("limit", limit.as_str())];
        query.extend(before.iter().map(|before| ("before", before.as_str())));
        let answer: Answer = self.json(self.request(Method::GET, "/v1/history", &query)).await?;
        Ok(answer.history)
    }

    /// Makes the resources in a scope what they were, or says what would be done.
    ///
    /// # Errors
    /// When the controller refuses it or does not answer.
    pub async fn rollback(&self, rollback: &Rollback) -> Result<Applied, Error> {
        let (key, value) = match &rollback.scope {
            Scope::Set(set) => ("set", set),
            Scope::Project(project) => ("project_id", project),
        };
        let body = json!({ "revision": rollback.revision, key: value, "dry_run": rollback.dry_run });
        self.json(self.request(Method::POST, "/v1/rollback", &[]).json(&body)).await
    }
}
