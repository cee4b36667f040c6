//! Services: what an interface can be bound to, whatever its type. A view of the resources that are services.

use serde_json::{Map, Value, json};

use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::network::Networks;
use crate::standard::standard_attributes;
use crate::{Change, Model, Refusal, RowKey, RowKind};

/// The collection of services. Its only type is `network`, an L2 network; each is also in the collection of its own type,
/// with the attributes of that type.
pub struct Services;

impl Services {
    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        Attribute::required("type", AttributeType::OneOf(&["network"]), "What is being connected to"),
        Attribute::with_default("admin_state_up", AttributeType::Boolean, "true", "Whether it connects"),
        Attribute::read_only(
            "status",
            AttributeType::OneOf(crate::catalogue::STATUSES),
            "Whether it can be used",
        ),
    ];
}

impl Resource for Services {
    fn kind(&self) -> Option<RowKind> {
        None
    }

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
