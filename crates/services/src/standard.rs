//! What every resource has: identifier, project, name, description, times, revision number, tags.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::change::Named;
use crate::{Id, Refusal, Timestamp};

/// A table of attributes: those that every resource has, around its own. Who may see and set its project and its tags is said
/// before those, where that is not whoever may do so with the resource.
macro_rules! standard_attributes {
    ((project = $project:expr, tags = $tags:expr), $($own:expr),* $(,)?) => {
        &[
            Attribute::read_only("id", AttributeType::Id, "Identifier"),
            Attribute::with_default("name", AttributeType::Text(255), "\"\"", "Name; need not be unique"),
            Attribute::with_default("description", AttributeType::Text(255), "\"\"", "What its owner says of it"),
            Attribute::optional("project_id", AttributeType::Text(255), "Project that owns it").immutable().with_access($project),
            Attribute::optional("tenant_id", AttributeType::Text(255), "Former name of project_id").immutable().with_access($project),
            $($own,)*
            Attribute::read_only("created_at", AttributeType::Text(32), "When it was made"),
            Attribute::read_only("updated_at", AttributeType::Text(32), "When it was last changed"),
            Attribute::read_only("revision_number", AttributeType::Integer(0, i64::MAX), "How often it was written"),
            Attribute::optional("tags", AttributeType::List, "Tags: texts of 1 to 255 characters").with_access($tags),
        ]
    };
    ((project = $project:expr), $($own:expr),* $(,)?) => {
        crate::standard::standard_attributes!(
            (project = $project, tags = crate::access::AttributeAccess::AS_RESOURCE), $($own),*
        )
    };
    ($($own:expr),* $(,)?) => {
        crate::standard::standard_attributes!((project = crate::access::AttributeAccess::AS_RESOURCE), $($own),*)
    };
}
pub(crate) use standard_attributes;

/// The standard attributes of a resource.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Standard {
    /// Its identifier.
    pub id: Id,
    /// The project that owns it.
    pub project_id: Arc<str>,
    /// Its name; need not be unique.
    pub name: String,
    /// What its owner says of it.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// How often it has been written: 1 when it is made.
    pub revision_number: u64,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// The declared set that made it, if one did; the set is one of its project's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_set: Option<Arc<str>>,
    /// The name by which that set declares it, whatever it has been renamed to since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_as: Option<Arc<str>>,
    /// The request that made it, as far as anybody said which: it stays known however much is written later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Arc<str>>,
}

impl Standard {
    /// The same resource, written once more.
    pub fn touch(&mut self, now: Timestamp) {
        self.updated_at = now;
        self.revision_number += 1;
    }

    /// The same, with the name and the description that a request gives it.
    pub(crate) fn rename(&mut self, named: Named, now: Timestamp) {
        self.name = named.name;
        self.description = named.description;
        self.touch(now);
    }

    /// The name by which its set knows it: that by which it was declared.
    pub(crate) fn declared_name(&self) -> Arc<str> {
        self.declared_as.clone().unwrap_or_else(|| self.name.as_str().into())
    }

    /// Adds the attributes that every resource shows.
    pub fn render(&self, into: &mut Map<String, Value>) {
        into.insert("id".into(), json!(self.id));
        into.insert("name".into(), json!(self.name));
        into.insert("description".into(), json!(self.description));
        into.insert("project_id".into(), json!(self.project_id));
        into.insert("tenant_id".into(), json!(self.project_id));
        into.insert("created_at".into(), json!(self.created_at.to_string()));
        into.insert("updated_at".into(), json!(self.updated_at.to_string()));
        into.insert("revision_number".into(), json!(self.revision_number));
        into.insert("tags".into(), json!(self.tags));
    }
}

/// The tags that a request gives.
///
/// # Errors
/// If it is not a list of texts, or one of them is empty or longer than 255 characters.
pub fn tags(value: &Value) -> Result<BTreeSet<String>, Refusal> {
    let list =
        value.as_array().ok_or_else(|| Refusal::attribute("tags", format!("'{value}' is not a list")))?;
    list.iter().map(tag).collect()
}

fn tag(value: &Value) -> Result<String, Refusal> {
    match value.as_str() {
        Some(text) if (1..=255).contains(&text.chars().count()) => Ok(text.to_owned()),
        _ => Err(Refusal::attribute("tags", format!("{value} is not a text of 1 to 255 characters"))),
    }
}
