//! The OpenAPI 3.1 document, made of the catalogue.

use serde_json::{Map, Value, json};
use weft_services::catalogue::{CATALOGUE, Entry};
use weft_services::{Attribute, AttributeType, OnCreate, Operation};

/// The document.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for entry in CATALOGUE {
        schemas.insert(entry.member.into(), schema(entry, None));
        if entry.verbs.write {
            schemas.insert(format!("{}_create", entry.member), schema(entry, Some(Operation::Create)));
            schemas.insert(format!("{}_update", entry.member), schema(entry, Some(Operation::Update)));
        }
        paths.insert(format!("/v2.0/{}", entry.path), collection_path(entry));
        paths.insert(format!("/v2.0/{}/{{id}}", entry.path), member_path(entry));
    }
    schemas.insert("error".into(), error_schema());
    add_native_paths(&mut paths);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Weft",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Networks across hosts: OpenStack Networking v2.0, and resources of the same shape.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn schema(entry: &Entry, operation: Option<Operation>) -> Value {
    let shown = |attribute: &&Attribute| match operation {
        None => true,
        Some(Operation::Create) => attribute.on_create != OnCreate::ReadOnly,
        Some(Operation::Update) => attribute.on_update,
    };
    let attributes: Vec<&Attribute> = entry.attributes.iter().filter(shown).collect();
    let properties: Map<String, Value> =
        attributes.iter().map(|attribute| (attribute.name.to_owned(), property(attribute))).collect();
    let mut schema = json!({ "type": "object", "description": entry.doc, "properties": properties });
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
    let mut property = match attribute.kind {
        AttributeType::Boolean => json!({ "type": "boolean" }),
        AttributeType::Integer(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        AttributeType::Text(length_max) => json!({ "type": "string", "maxLength": length_max }),
        AttributeType::OneOf(choices) => json!({ "type": "string", "enum": choices }),
        AttributeType::Id => json!({ "type": "string", "format": "uuid" }),
        AttributeType::IpAddress => json!({ "type": "string", "description": "An IPv4 or IPv6 address" }),
        AttributeType::Cidr => json!({ "type": "string", "description": "An IPv4 or IPv6 prefix" }),
        AttributeType::Mac => json!({ "type": "string", "pattern": "^([0-9a-f]{2}:){5}[0-9a-f]{2}$" }),
        AttributeType::HostName => json!({ "type": "string", "maxLength": 253 }),
        AttributeType::List => json!({ "type": "array", "items": {} }),
        AttributeType::Object => json!({ "type": "object" }),
    };
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
    property
}

fn error_schema() -> Value {
    let text = json!({ "type": "string" });
    let error = json!({ "type": "object", "properties": { "type": text, "message": text, "detail": text } });
    json!({ "type": "object", "properties": { "NeutronError": error } })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn body_of(name: &str, schema: &Value) -> Value {
    json!({ "application/json": { "schema": { "type": "object", "properties": { name: schema }, "required": [name] } } })
}

fn responses(status: &str, content: Option<Value>) -> Value {
    let mut good = json!({ "description": "Done" });
    if let Some(content) = content {
        good["content"] = content;
    }
    let bad = json!({ "description": "Refused; nothing was changed", "content": { "application/json": { "schema": reference("error") } } });
    json!({ status: good, "default": bad })
}

fn collection_path(entry: &Entry) -> Value {
    let many = json!({ "type": "array", "items": reference(entry.member) });
    let text = |name: &str, doc: &str| json!({ "name": name, "in": "query", "description": doc, "schema": { "type": "string" } });
    let parameters = json!([
        text("fields", "Attribute to show; may be repeated"),
        text("limit", "At most so many"),
        text("marker", "Identifier after which the page begins"),
        text("page_reverse", "The page before the marker"),
        text("sort_key", "Attribute to order by; may be repeated"),
        text("sort_dir", "asc or desc, once for each sort_key"),
        text("watch", "true: a stream of changes (server-sent events)"),
    ]);
    let mut path = json!({ "get": {
        "summary": format!("List {}", entry.collection), "operationId": format!("list_{}", entry.collection), "tags": [entry.collection],
        "parameters": parameters, "responses": responses("200", Some(body_of(entry.collection, &many))),
    } });
    if entry.verbs.write {
        path["post"] = json!({
            "summary": format!("Create {}", entry.member), "operationId": format!("create_{}", entry.member), "tags": [entry.collection],
            "requestBody": { "required": true, "content": body_of(entry.member, &reference(&format!("{}_create", entry.member))) },
            "responses": responses("201", Some(body_of(entry.member, &reference(entry.member)))),
        });
    }
    path
}

fn member_path(entry: &Entry) -> Value {
    let one = body_of(entry.member, &reference(entry.member));
    let mut path = json!({
        "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }],
        "get": { "summary": format!("Show {}", entry.member), "operationId": format!("show_{}", entry.member), "tags": [entry.collection],
            "responses": responses("200", Some(one.clone())) },
    });
    if entry.verbs.write {
        path["put"] = json!({
            "summary": format!("Update {}", entry.member), "operationId": format!("update_{}", entry.member), "tags": [entry.collection],
            "requestBody": { "required": true, "content": body_of(entry.member, &reference(&format!("{}_update", entry.member))) },
            "responses": responses("200", Some(one)),
        });
    }
    if entry.verbs.delete {
        path["delete"] = json!({ "summary": format!("Delete {}", entry.member), "operationId": format!("delete_{}", entry.member),
            "tags": [entry.collection], "responses": responses("204", None) });
    }
    path
}

fn add_native_paths(paths: &mut Map<String, Value>) {
    let native = [
        ("/v1/apply", "post", "Make a declared set so"),
        ("/v1/history", "get", "Commits, newest first"),
        ("/v1/rollback", "post", "Lead a set or a project back to a revision, as a new revision"),
        ("/v1/status", "get", "Hosts, and how far they are"),
        ("/v1/explain", "get", "Why a host has an object"),
        ("/v1/watch", "get", "All changes, as server-sent events"),
        ("/v1/snapshot", "get", "The store as a file"),
        ("/v1/restore", "post", "Replace the store's content by a snapshot's"),
    ];
    for (path, method, summary) in native {
        let id = path.trim_start_matches("/v1/");
        let operation = json!({ "summary": summary, "operationId": id, "tags": ["weft"],
            "responses": responses("200", Some(json!({ "application/json": { "schema": { "type": "object" } } }))) });
        paths.insert(path.into(), json!({ method: operation }));
    }
}
