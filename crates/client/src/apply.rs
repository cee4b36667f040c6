//! A set of documents at once: all or nothing.

use reqwest::Method;
use serde_json::{Map, Value};

use crate::{Client, Error, Object};

/// What is to be there.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Apply {
    /// The set to which the documents belong.
    pub set: String,
    /// The project that is to own what is made, if not one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Whether what the set made before, and no document names, is deleted.
    pub prune: bool,
    /// Whether only to say what would be done.
    pub dry_run: bool,
    /// The documents: `kind`, `name` and attributes.
    pub documents: Vec<Object>,
}

/// What was done, or would be.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Applied {
    /// The version of the model afterwards, `EPOCH.REVISION`; none if nothing was written.
    #[serde(default)]
    pub revision: Option<String>,
    /// One for each document, and for each resource that is pruned.
    pub changes: Vec<Change>,
}

impl Applied {
    /// Those in which something changes.
    pub fn effective(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.action != Action::None)
    }

    /// How many there are of an action.
    #[must_use]
    pub fn count(&self, action: Action) -> usize {
        self.changes.iter().filter(|change| change.action == action).count()
    }
}

/// What happens to a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is deleted.
    Delete,
    /// It is already as it should be.
    #[default]
    None,
}

/// What happens to one resource.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// The name of its member: `network`.
    pub kind: String,
    /// Its identifier, once it has one.
    #[serde(default)]
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// The attributes that change.
    #[serde(default)]
    pub attributes: Map<String, Value>,
}

/// An attribute, before and after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference<'c> {
    /// Its name.
    pub attribute: &'c str,
    /// What it was; null for what is made.
    pub from: &'c Value,
    /// What it is to be; null for what is deleted.
    pub to: &'c Value,
}

impl Change {
    /// The attributes that change, in the controller's order.
    pub fn differences(&self) -> impl Iterator<Item = Difference<'_>> {
        self.attributes.iter().map(|(attribute, both)| Difference {
            attribute,
            from: both.get("from").unwrap_or(&Value::Null),
            to: both.get("to").unwrap_or(&Value::Null),
        })
    }
}

impl Client {
    /// Makes what is there what the documents say, in one transaction, or says what would be done.
    ///
    /// # Errors
    /// When the controller refuses it (then [`crate::Refusal::document`] says which document) or does not answer.
    pub async fn apply(&self, apply: &Apply) -> Result<Applied, Error> {
        self.json(self.request(Method::POST, "/v1/apply", &[]).json(apply)).await
    }
}
