//! The document is one that tools can read, and says all that there is.

use std::collections::BTreeSet;

use serde_json::Value;
use weft_services::catalogue::{CATALOGUE, by_path};

use super::document;

const METHODS: [&str; 4] = ["get", "put", "post", "delete"];

/// Every operation of the document, with its path and with the parameters of path and operation.
fn operations(document: &Value) -> Vec<(String, Value, Vec<Value>)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (key, operation) in item.as_object().unwrap() {
            if key == "parameters" {
                continue;
            }
            assert!(METHODS.contains(&key.as_str()), "{path}: {key}");
            let all = [&item["parameters"], &operation["parameters"]];
            let parameters = all.iter().filter_map(|some| some.as_array()).flatten().cloned().collect();
            found.push((path.clone(), operation.clone(), parameters));
        }
    }
    found
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_document_refers_to_nothing_that_is_not_there() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_answers_and_the_parameters_of_its_path() {
    let document = document();
    let mut ids = BTreeSet::new();
    for (path, operation, parameters) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert!(ids.insert(id.clone()), "{id} is there twice");
        assert!(operation["responses"].as_object().is_some_and(|answers| !answers.is_empty()), "{id}");
        let mut places = BTreeSet::new();
        for parameter in &parameters {
            let text = |name: &str| parameter[name].as_str().unwrap_or_else(|| panic!("{id}: {parameter}"));
            assert!(places.insert((text("in"), text("name"))), "{id}: {parameter} is there twice");
            assert!(parameter["schema"].is_object(), "{id}: {parameter}");
            assert!(text("in") == "query" || parameter["required"] == true, "{id}: {parameter}");
        }
        let in_path = places.iter().filter(|(place, _)| *place == "path").map(|(_, name)| *name);
        let wanted = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        assert_eq!(in_path.collect::<BTreeSet<_>>(), wanted.collect(), "{path}");
    }
}

fn parameters(path: &str) -> BTreeSet<String> {
    let document = document();
    let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap().clone();
    parameters.iter().map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_list_has_a_filter_for_each_attribute_and_order_pages_and_fields() {
    let ports = parameters("/v2.0/ports");
    for name in [
        "name",
        "network_id",
        "fixed_ips",
        "binding:host_id",
        "status",
        "changed_since",
        "tags",
        "not-tags-any",
        "fields",
        "sort_key",
        "sort_dir",
        "limit",
        "marker",
        "page_reverse",
        "watch",
        "since",
    ] {
        assert!(ports.contains(name), "{name} is not in {ports:?}");
    }
    assert!(!ports.contains("binding:profile"), "an object is no value of a filter");
    let hosts = parameters("/v2.0/hosts");
    assert!(hosts.contains("alive") && !hosts.contains("tags"), "{hosts:?}");
    let document = document();
    let list = &document["paths"]["/v2.0/networks"]["get"]["parameters"];
    let sort_key = list.as_array().unwrap().iter().find(|one| one["name"] == "sort_key").unwrap();
    let keys = sort_key["schema"]["items"]["enum"].as_array().unwrap();
    assert_eq!(keys.len(), by_path("networks").unwrap().attributes.len());
}

#[test]
fn extensions_and_tags_are_in_the_document() {
    let document = document();
    let has = |path: &str, method: &str| document["paths"][path][method].is_object();
    assert!(has("/v2.0/extensions", "get") && has("/v2.0/extensions/{alias}", "get"));
    for entry in CATALOGUE {
        let is_tagged = entry.attribute("tags").is_some();
        let path = format!("/v2.0/{}/{{id}}/tags", entry.path);
        for method in METHODS {
            assert_eq!(has(&path, method), is_tagged, "{method} {path}");
        }
        for method in ["get", "put", "delete"] {
            assert_eq!(has(&format!("{path}/{{tag}}"), method), is_tagged, "{method} {path}");
        }
    }
}

#[test]
fn what_is_below_a_resource_and_what_can_be_done_with_one_are_in_the_document() {
    let document = document();
    let below = "/v2.0/bgpvpn/bgpvpns/{bgpvpn_id}/network_associations";
    let parameters = parameters(below);
    assert!(parameters.contains("network_id") && !parameters.contains("bgpvpn_id"), "{parameters:?}");
    let list = &document["paths"][below];
    assert_eq!(list["parameters"][0]["name"], "bgpvpn_id");
    let body = list["post"]["requestBody"]["content"]["application/json"]["schema"]["required"].clone();
    assert_eq!(body, serde_json::json!(["network_association"]));
    for entry in CATALOGUE {
        for action in entry.actions {
            let path = format!("/v2.0/{}/{{id}}/{}", entry.path, action.name);
            let item = &document["paths"][&path];
            let is_asked = action.method() == weft_services::catalogue::Method::Get;
            assert_eq!((item["get"].is_object(), item["put"].is_object()), (is_asked, !is_asked), "{path}");
        }
    }
    let routes = &document["components"]["schemas"]["router_update"]["properties"]["routes"]["items"];
    assert_eq!(routes["required"], serde_json::json!(["destination", "nexthop"]));
}

#[test]
fn who_may_do_what_is_in_the_document() {
    let document = document();
    let bgpvpns = &document["paths"]["/v2.0/bgpvpn/bgpvpns"];
    assert_eq!(bgpvpns["post"]["x-weft-access"], serde_json::json!(["admin"]));
    assert_eq!(bgpvpns["get"]["x-weft-access"], serde_json::json!(["admin", "owner"]));
    let schemas = &document["components"]["schemas"];
    let of = |schema: &str, name: &str| schemas[schema]["properties"][name]["x-weft-access"].clone();
    let targets = serde_json::json!({"read": ["admin"], "update": ["admin"]});
    assert_eq!(of("bgpvpn", "route_targets"), targets);
    assert_eq!(of("bgpvpn", "name"), Value::Null, "as with the resource");
    assert_eq!(of("port_create", "binding:profile")["create"], serde_json::json!(["service"]));
    let actions = CATALOGUE.iter().flat_map(|entry| entry.actions.iter().map(move |action| (entry, action)));
    for (entry, action) in actions {
        let item = &document["paths"][&format!("/v2.0/{}/{{id}}/{}", entry.path, action.name)];
        let operation = item.get("put").or_else(|| item.get("get")).unwrap();
        let who: Vec<&str> = entry.who_may_act(action).iter().map(|party| party.as_str()).collect();
        assert_eq!(operation["x-weft-access"], serde_json::json!(who), "{}", action.name);
    }
}
