//! Services: what an interface can be bound to, whatever its type. A view of the resources that are services.

use serde_json::{Map, Value, json};

use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::network::Networks;
use crate::{Change, Model, Refusal, RowKey};

/// The collection of services. Its only type is `network`, an L2 network; each is also in the collection of its own type,
/// with the attributes of that type.
pub struct Services;

impl Services {
    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::read_only("id", AttributeType::Id, "Identifier"),
        Attribute::with_default("name", AttributeType::Text(255), "\"\"", "Name; need not be unique"),
        Attribute::with_default("description", AttributeType::Text(255), "\"\"", "What its owner says of it"),
        Attribute::optional("project_id", AttributeType::Text(255), "Project that owns it").immutable(),
        Attribute::optional("tenant_id", AttributeType::Text(255), "Former name of project_id").immutable(),
        Attribute::required("type", AttributeType::OneOf(&["network"]), "What is being connected to"),
        Attribute::with_default("admin_state_up", AttributeType::Boolean, "true", "Whether it connects"),
        Attribute::read_only(
            "status",
            AttributeType::OneOf(crate::catalogue::STATUSES),
            "Whether it can be used",
        ),
        Attribute::read_only("created_at", AttributeType::Text(32), "When it was made"),
        Attribute::read_only("updated_at", AttributeType::Text(32), "When it was last changed"),
        Attribute::read_only(
            "revision_number",
            AttributeType::Integer(0, i64::MAX),
            "How often it was written",
        ),
        Attribute::read_only("tags", AttributeType::List, "Tags"),
    ];
}

impl Resource for Services {
    fn ids<'m>(
        &self,
        model: &'m Model,
        after: Option<&str>,
    ) -> Box<dyn DoubleEndedIterator<Item = String> + 'm> {
        Networks.ids(model, after)
    }

    fn row_key(&self, model: &Model, id: &str) -> Option<RowKey> {
        Networks.row_key(model, id)
    }

    fn shows(&self, model: &Model, row: &RowKey) -> Option<String> {
        Networks.shows(model, row)
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        Networks.candidates(model, attribute, value)
    }

    fn render(&self, model: &Model, id: &str, statuses: &dyn Statuses) -> Option<Map<String, Value>> {
        let mut map = Networks.render(model, id, statuses)?;
        map.insert("type".into(), json!("network"));
        map.retain(|name, _| Self::ATTRIBUTES.iter().any(|attribute| attribute.name == name));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        Networks.create(change, as_network(merged)?)
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let Some(mut whole) = Networks.render(change.model(), id, &crate::catalogue::NoStatuses) else {
            return Err(self.not_found(id));
        };
        whole.extend(merged);
        whole.remove("type");
        Networks.update(change, id, whole)
    }

    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        Networks.delete(change, id)
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("ServiceNotFound", "Service", id)
    }
}

/// The attributes of a new network, of which only those that all services have are given.
fn as_network(mut given: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    given.remove("type");
    crate::attribute::merge(Networks::ATTRIBUTES, crate::Operation::Create, Map::new(), &given)
}
