//! The OpenAPI 3.1 document, made of the catalogue.

mod parameters;
mod schemas;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};
use weft_services::Operation;
use weft_services::access::Verb;
use weft_services::catalogue::{CATALOGUE, Entry, MemberAction, Method, Place, Target};

use schemas::{ACCESS, parties, schema};

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
        let mut insert = |target, item| {
            let (path, item) = at_place(entry, target, item);
            paths.insert(path, item);
        };
        insert(Target::Collection, collection_path(entry));
        insert(Target::Member("{id}"), member_path(entry));
        if entry.attribute("tags").is_some() {
            insert(Target::Tags("{id}"), tags_path(entry));
            insert(Target::Tag("{id}", "{tag}"), tag_path(entry));
        }
        for action in entry.actions {
            insert(Target::Action("{id}", action), action_path(entry, action));
        }
    }
    schemas.insert("tags".into(), schemas::tags());
    schemas.insert("extension".into(), schemas::extension());
    schemas.insert("error".into(), schemas::error());
    add_extension_paths(&mut paths);
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

/// The path of a place, and what is there with the parameters of that path.
fn at_place(entry: &'static Entry, target: Target<'_>, mut item: Value) -> (String, Value) {
    let parent = entry.parent().map(|(_, attribute)| format!("{{{attribute}}}"));
    let path = Place { entry, parent: parent.as_deref(), target }.path(str::to_owned);
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameters: Vec<Value> = names.map(parameters::in_path).collect();
    if !parameters.is_empty() {
        item["parameters"] = parameters.into();
    }
    (format!("/v2.0/{path}"), item)
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
    let mut path = json!({ "get": {
        "summary": format!("List {}", entry.collection), "operationId": format!("list_{}", entry.collection), "tags": [entry.collection],
        "parameters": parameters::of_list(entry), "responses": responses("200", Some(body_of(entry.collection_in_json(), &many))),
    } });
    path["get"][ACCESS] = parties(entry.access.who_may(Verb::Read));
    if entry.verbs.write {
        path["post"] = json!({
            "summary": format!("Create {}", entry.member), "operationId": format!("create_{}", entry.member), "tags": [entry.collection],
            "requestBody": { "required": true, "content": body_of(entry.member_in_json(), &reference(&format!("{}_create", entry.member))) },
            "responses": responses("201", Some(body_of(entry.member_in_json(), &reference(entry.member)))),
            ACCESS: parties(entry.access.who_may(Verb::Create)),
        });
    }
    path
}

fn member_path(entry: &Entry) -> Value {
    let one = body_of(entry.member_in_json(), &reference(entry.member));
    let mut path = json!({
        "get": { "summary": format!("Show {}", entry.member), "operationId": format!("show_{}", entry.member), "tags": [entry.collection],
            "parameters": [parameters::fields(entry)], "responses": responses("200", Some(one.clone())), ACCESS: parties(entry.access.who_may(Verb::Read)) },
    });
    if entry.verbs.write {
        path["put"] = json!({
            "summary": format!("Update {}", entry.member), "operationId": format!("update_{}", entry.member), "tags": [entry.collection],
            "requestBody": { "required": true, "content": body_of(entry.member_in_json(), &reference(&format!("{}_update", entry.member))) },
            "responses": responses("200", Some(one)), ACCESS: parties(entry.access.who_may(Verb::Update)),
        });
    }
    if entry.verbs.delete {
        path["delete"] = json!({ "summary": format!("Delete {}", entry.member), "operationId": format!("delete_{}", entry.member),
            "tags": [entry.collection], "responses": responses("204", None), ACCESS: parties(entry.access.who_may(Verb::Delete)) });
    }
    path
}

/// An action on a resource.
fn action_path(entry: &Entry, action: &MemberAction) -> Value {
    let given = schemas::of_attributes(action.attributes, action.doc, Some(Operation::Create));
    let object = json!({ "application/json": { "schema": { "type": "object" } } });
    let (body, answer) = if action.is_of_member {
        let member = entry.member_in_json();
        (body_of(member, &given), body_of(member, &reference(entry.member)))
    } else {
        (json!({ "application/json": { "schema": given } }), object)
    };
    let mut operation = json!({
        "summary": action.doc, "operationId": format!("{}_{}", entry.member, action.name),
        "tags": [entry.collection], "responses": responses("200", Some(answer)), ACCESS: parties(entry.who_may_act(action)),
    });
    match action.method() {
        Method::Get => json!({ "get": operation }),
        Method::Put => {
            operation["requestBody"] = json!({ "required": true, "content": body });
            json!({ "put": operation })
        }
    }
}

/// All tags of a resource.
fn tags_path(entry: &Entry) -> Value {
    let member = entry.member;
    let content = json!({ "application/json": { "schema": reference("tags") } });
    let operation = |verb: &str, word: &str| {
        json!({ "summary": format!("{verb} the tags of a {member}"), "operationId": format!("{word}_{member}_tags"),
            "tags": [entry.collection], "responses": responses("200", Some(content.clone())) })
    };
    let with_body = |mut operation: Value| {
        operation["requestBody"] = json!({ "required": true, "content": content });
        operation
    };
    let mut delete = operation("Delete", "delete");
    delete["responses"] = responses("204", None);
    json!({
        "get": operation("Show", "list"),
        "put": with_body(operation("Replace", "replace")),
        "post": with_body(operation("Add to", "extend")),
        "delete": delete,
    })
}

/// One tag of a resource.
fn tag_path(entry: &Entry) -> Value {
    let member = entry.member;
    let operation = |verb: &str, word: &str, responses: Value| {
        json!({ "summary": format!("{verb} a {member}"), "operationId": format!("{word}_{member}_tag"),
            "tags": [entry.collection], "responses": responses })
    };
    let nothing = json!({ "application/json": { "schema": { "type": "null" } } });
    json!({
        "get": operation("Whether there is a tag on", "check", responses("204", None)),
        "put": operation("Put a tag on", "add", responses("201", Some(nothing))),
        "delete": operation("Take a tag off", "delete", responses("204", None)),
    })
}

fn add_extension_paths(paths: &mut Map<String, Value>) {
    let many = json!({ "type": "array", "items": reference("extension") });
    let operation = |summary: &str, id: &str, content: Value| json!({ "summary": summary, "operationId": id, "tags": ["extensions"], "responses": responses("200", Some(content)) });
    let list = operation("List extensions", "list_extensions", body_of("extensions", &many));
    let show = operation("Show extension", "show_extension", body_of("extension", &reference("extension")));
    paths.insert("/v2.0/extensions".into(), json!({ "get": list }));
    let member = json!({ "parameters": [parameters::in_path("alias")], "get": show });
    paths.insert("/v2.0/extensions/{alias}".into(), member);
}

fn add_native_paths(paths: &mut Map<String, Value>) {
    let native = [
        ("/v1/apply", "post", "Make a declared set so"),
        ("/v1/history", "get", "Commits, newest first"),
        ("/v1/rollback", "post", "Lead a set or a project back to a revision, as a new revision"),
        ("/v1/status", "get", "Hosts, and how far they are"),
        ("/v1/explain", "get", "Why a host has an object"),
        (
            "/v1/explain/route",
            "get",
            "What leads to a destination, from who asked for it to the kernels of hosts",
        ),
        ("/v1/bgp/neighbors", "get", "BGP neighbours and their sessions"),
        ("/v1/bgp/neighbors/{address}", "get", "A BGP neighbour"),
        ("/v1/bgp/neighbors/{address}/adj-in", "get", "What a BGP neighbour has announced"),
        ("/v1/bgp/neighbors/{address}/adj-out", "get", "What a BGP neighbour has been told"),
        ("/v1/bgp/rib", "get", "All routes of BGP, the best path of each first"),
        ("/v1/bgp/explain", "get", "How the paths to a destination were compared"),
        ("/v1/watch", "get", "All changes, as server-sent events"),
        ("/v1/snapshot", "get", "The store as a file"),
        ("/v1/restore", "post", "Replace the store's content by a snapshot's"),
    ];
    for (path, method, summary) in native {
        let id = path.trim_start_matches("/v1/").replace(['/', '-'], "_").replace(['{', '}'], "");
        let operation = json!({ "summary": summary, "operationId": id, "tags": ["weft"], "parameters": parameters::of_native(path),
            "responses": responses("200", Some(json!({ "application/json": { "schema": { "type": "object" } } }))) });
        paths.insert(path.into(), json!({ method: operation }));
    }
}
