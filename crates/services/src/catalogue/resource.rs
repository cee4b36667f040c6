//! What each resource says for itself.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Statuses;
use crate::compile::FragmentKey;
use crate::{Change, Id, Model, Refusal, RowKey, RowKind};

/// What each resource says for itself; everything else about it follows from its attributes.
pub trait Resource: Sync {
    /// The kind of row that holds it, if one row does.
    fn kind(&self) -> Option<RowKind>;
    /// The kinds of row of which one is made, all with its identifier, if it is a view of several; the first holds its name.
    fn parts(&self) -> &'static [RowKind] {
        &[]
    }
    /// The identifiers after one, in order.
    fn ids<'m>(
        &self,
        model: &'m Model,
        after: Option<&str>,
    ) -> Box<dyn DoubleEndedIterator<Item = String> + 'm> {
        match self.kind() {
            // After what is no identifier comes everything, as before.
            Some(kind) => {
                let after = after.and_then(|after| after.parse().ok());
                Box::new(model.ids(kind, after).map(|id| id.to_string()))
            }
            None => Box::new(std::iter::empty()),
        }
    }
    /// The row that holds the standard attributes, if the resource is there and has them.
    fn row_key(&self, model: &Model, id: &str) -> Option<RowKey> {
        let key = RowKey::Resource(self.kind()?, id.parse().ok()?);
        model.row(&key).map(|_| key)
    }
    /// The identifier of the resource that shows this row, if one of this collection does.
    fn shows(&self, _: &Model, row: &RowKey) -> Option<String> {
        match row {
            RowKey::Resource(kind, id) if Some(*kind) == self.kind() => Some(id.to_string()),
            _ => None,
        }
    }
    /// The identifiers of further ones, whose status sums up what hosts report of a fragment.
    fn sums_up(&self, _: &Model, _: &FragmentKey) -> BTreeSet<Id> {
        BTreeSet::new()
    }
    /// The identifiers among which are all whose attribute has this value, where an index knows.
    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        candidates_by_name(model, self.kind()?, attribute, value)
    }
    /// All its attributes.
    fn render(&self, model: &Model, id: &str, statuses: &dyn Statuses) -> Option<Map<String, Value>>;
    /// Makes one of merged attributes; answers its identifier.
    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal>;
    /// Makes one what the merged attributes say.
    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal>;
    /// Deletes one: its row, if nothing else goes with it and nothing keeps it.
    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        let Some(key) = self.row_key(change.model(), id) else { return Err(self.not_found(id)) };
        change.delete(key);
        Ok(())
    }
    /// What to say when there is none.
    fn not_found(&self, id: &str) -> Refusal;
}

/// Candidates by the attributes that every resource has.
pub(crate) fn candidates_by_name(
    model: &Model,
    kind: RowKind,
    attribute: &str,
    value: &str,
) -> Option<Vec<String>> {
    match attribute {
        "id" => Some(vec![value.to_ascii_lowercase()]),
        // What has no name is in no index by name.
        "name" if !value.is_empty() => {
            let name: std::sync::Arc<str> = value.into();
            let range = (kind, name.clone(), Id::MIN)..=(kind, name, Id::MAX);
            Some(model.index.names.range(range).map(|(_, _, id)| id.to_string()).collect())
        }
        _ => None,
    }
}
