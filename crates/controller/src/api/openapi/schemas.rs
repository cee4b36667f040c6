//! What resources look like.

use serde_json::{Map, Value, json};
use weft_services::access::{Verb, Who};
use weft_services::catalogue::Entry;
use weft_services::{Attribute, AttributeType, OnCreate, Operation};

/// A resource: as it is shown, or as it is given to make or change one.
pub(super) fn schema(entry: &Entry, operation: Option<Operation>) -> Value {
    of_attributes(entry.attributes, entry.doc, operation)
}

/// An object with the attributes of a table.
pub(super) fn of_attributes(attributes: &[Attribute], doc: &str, operation: Option<Operation>) -> Value {
    let shown = |attribute: &&Attribute| match operation {
        None => attribute.is_shown(),
        Some(Operation::Create) => attribute.on_create != OnCreate::ReadOnly,
        Some(Operation::Update) => attribute.on_update,
    };
    let attributes: Vec<&Attribute> = attributes.iter().filter(shown).collect();
    let properties: Map<String, Value> =
        attributes.iter().map(|attribute| (attribute.name.to_owned(), property(attribute))).collect();
    let mut schema = json!({ "type": "object", "description": doc, "properties": properties });
    if operation == Some(Operation::Create) {
        let required = attributes.iter().filter(|attribute| attribute.on_create == OnCreate::Required);
        schema["required"] = required.map(|attribute| json!(attribute.name)).collect();
    }
    if operation.is_some() {
        schema["additionalProperties"] = json!(false);
    }
    schema
}

fn property(attribute: &Attribute) -> Value {
    let mut property = of_type(attribute.kind);
    if attribute.nullable {
        if let Some(choices) = property.get_mut("enum").and_then(Value::as_array_mut) {
            choices.push(Value::Null);
        }
        property["type"] = json!([property["type"].clone(), "null"]);
    }
    property["description"] = json!(attribute.doc);
    if let OnCreate::Default(text) = attribute.on_create {
        property["default"] = serde_json::from_str(text).unwrap_or(Value::Null);
    }
    let access = access_to(attribute);
    if !access.is_empty() {
        property[ACCESS] = access.into();
    }
    property
}

/// Where the document says who may do something: not enforced before there are identities.
pub(super) const ACCESS: &str = "x-weft-access";

/// Who may see and set an attribute, as far as those are not all who may do so with the resource.
fn access_to(attribute: &Attribute) -> Map<String, Value> {
    let verbs = [("read", Verb::Read), ("create", Verb::Create), ("update", Verb::Update)];
    let who = |(name, verb): (&str, Verb)| Some((name.to_owned(), parties(attribute.access.who_may(verb)?)));
    verbs.into_iter().filter_map(who).collect()
}

/// Those to whom something is allowed.
pub(super) fn parties(who: Who) -> Value {
    who.iter().map(|party| party.as_str()).collect()
}

fn of_type(kind: AttributeType) -> Value {
    match kind {
        AttributeType::Boolean => json!({ "type": "boolean" }),
        AttributeType::Integer(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        AttributeType::Text(length_max) => json!({ "type": "string", "maxLength": length_max }),
        AttributeType::OneOf(choices) => json!({ "type": "string", "enum": choices }),
        AttributeType::Id | AttributeType::Reference(_) => json!({ "type": "string", "format": "uuid" }),
        AttributeType::IpAddress => json!({ "type": "string", "description": "An IPv4 or IPv6 address" }),
        AttributeType::Cidr => json!({ "type": "string", "description": "An IPv4 or IPv6 prefix" }),
        AttributeType::Mac => json!({ "type": "string", "pattern": "^([0-9a-f]{2}:){5}[0-9a-f]{2}$" }),
        AttributeType::HostName => json!({ "type": "string", "maxLength": 253 }),
        AttributeType::RouteTarget | AttributeType::RouteDistinguisher => {
            json!({ "type": "string", "pattern": "^[0-9.]+:[0-9]+$" })
        }
        AttributeType::Secret(length_max) => {
            json!({ "type": "string", "maxLength": length_max, "writeOnly": true })
        }
        AttributeType::ListOf(kind) => json!({ "type": "array", "items": of_type(*kind) }),
        AttributeType::Objects(attributes) => {
            let item = of_attributes(attributes, "An item", Some(Operation::Create));
            json!({ "type": "array", "items": item })
        }
        AttributeType::List => json!({ "type": "array", "items": {} }),
        AttributeType::Object => json!({ "type": "object" }),
    }
}

/// The tags of a resource.
pub(super) fn tags() -> Value {
    let tag = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
    json!({ "type": "object", "properties": { "tags": { "type": "array", "items": tag } }, "required": ["tags"] })
}

/// An extension of Neutron's.
pub(super) fn extension() -> Value {
    let text = json!({ "type": "string" });
    let links = json!({ "type": "array", "items": {} });
    json!({ "type": "object", "properties": {
        "alias": text, "name": text, "description": text, "updated": { "type": "string", "format": "date-time" }, "links": links,
    } })
}

/// What every refusal says.
pub(super) fn error() -> Value {
    let text = json!({ "type": "string" });
    let error = json!({ "type": "object", "properties": { "type": text, "message": text, "detail": text } });
    json!({ "type": "object", "properties": { "NeutronError": error } })
}
