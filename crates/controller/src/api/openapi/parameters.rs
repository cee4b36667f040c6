//! Parameters of requests: filters, order, pages and fields, all from the catalogue's attributes.

use serde_json::{Value, json};
use weft_services::catalogue::Entry;
use weft_services::{Attribute, AttributeType};

use crate::api::url_query::RESERVED;

/// A part of the path.
pub(super) fn in_path(name: &str) -> Value {
    json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
}

/// What a list can be asked for.
pub(super) fn of_list(entry: &Entry) -> Vec<Value> {
    // What names the parent is in the path.
    let of_parent = entry.parent().map(|(_, attribute)| attribute);
    let own = entry.attributes.iter();
    let own =
        own.filter(|one| !RESERVED.contains(&one.name) && Some(one.name) != of_parent && one.is_shown());
    let mut parameters: Vec<Value> = own.filter_map(filter).collect();
    if entry.attribute("updated_at").is_some() {
        let time = json!({ "type": "string", "format": "date-time" });
        parameters.push(query("changed_since", "Changed at this time or later", time));
    }
    if entry.attribute("tags").is_some() {
        parameters.extend(tag_filters());
    }
    parameters.push(fields(entry));
    parameters.extend(order(entry));
    parameters.extend(page());
    let flag = json!({ "type": "boolean" });
    parameters.push(query("watch", "A stream of changes instead (server-sent events)", flag));
    parameters.push(query("since", "Version from which a watch goes on: EPOCH.REVISION", text()));
    parameters
}

/// Which attributes are shown.
pub(super) fn fields(entry: &Entry) -> Value {
    repeated("fields", "Attribute to show; all, if none is named", names(entry))
}

/// What is asked of that for which Neutron has no words.
pub(super) fn of_native(path: &str) -> Vec<Value> {
    let number = || json!({ "type": "integer", "minimum": 0 });
    match path {
        "/v1/history" => vec![
            query("limit", "At most so many", number()),
            query("before", "Only those before this revision", number()),
        ],
        "/v1/explain" => {
            let mut host = query("host", "The host", text());
            host["required"] = json!(true);
            vec![host, query("object", "Only objects in whose text this occurs", text())]
        }
        "/v1/explain/route" => {
            let mut from = query("from", "Router, BGP VPN, network or port, by name or identifier", text());
            from["required"] = json!(true);
            vec![from, destination(), query("host", "Only what this host was told and has", text())]
        }
        "/v1/bgp/neighbors" => vec![speaker()],
        "/v1/bgp/neighbors/{address}" => vec![in_path("address"), speaker()],
        "/v1/bgp/neighbors/{address}/adj-in" | "/v1/bgp/neighbors/{address}/adj-out" => {
            [in_path("address")].into_iter().chain(of_routes()).collect()
        }
        "/v1/bgp/rib" => of_routes(),
        "/v1/bgp/explain" => vec![destination(), speaker()],
        "/v1/watch" => vec![query("since", "Version from which it goes on: EPOCH.REVISION", text())],
        _ => Vec::new(),
    }
}

fn destination() -> Value {
    let mut destination = query("destination", "A prefix or an address", text());
    destination["required"] = json!(true);
    destination
}

fn speaker() -> Value {
    query("speaker", "BGP speaker, by name or identifier", text())
}

/// Which routes of a table of BGP are asked about.
fn of_routes() -> Vec<Value> {
    let flag = json!({ "type": "boolean" });
    let number = || json!({ "type": "integer", "minimum": 0 });
    vec![
        query(
            "family",
            "Address family: ipv4-unicast, ipv6-unicast, vpnv4, vpnv6, evpn, route-target",
            text(),
        ),
        query("prefix", "Only to this prefix or parts of it", text()),
        query("vrf", "Only what the VRF of this router, BGP VPN, network or port takes in or tells", text()),
        query("route_distinguisher", "Only with this route distinguisher", text()),
        query("route_target", "Only with this route target", text()),
        query("route_type", "Only EVPN routes of this type", number()),
        query("local", "Only what we originate", flag),
        speaker(),
        query("limit", "At most so many; 1000 at most", number()),
        query("marker", "The next_marker of the page before", text()),
    ]
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn names(entry: &Entry) -> Value {
    let shown = entry.attributes.iter().filter(|attribute| attribute.is_shown());
    let names: Vec<&str> = shown.map(|attribute| attribute.name).collect();
    json!({ "type": "string", "enum": names })
}

fn query(name: &str, doc: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "query", "description": doc, "schema": schema })
}

fn repeated(name: &str, doc: &str, items: Value) -> Value {
    let mut parameter = query(name, doc, json!({ "type": "array", "items": items }));
    parameter["style"] = json!("form");
    parameter["explode"] = json!(true);
    parameter
}

/// A filter by an attribute; several values: any of them. Objects are no values that anybody could give.
fn filter(attribute: &Attribute) -> Option<Value> {
    let value = match attribute.kind {
        AttributeType::Object | AttributeType::Objects(_) => return None,
        AttributeType::Boolean => json!({ "type": "boolean" }),
        AttributeType::Integer(..) => json!({ "type": "integer" }),
        AttributeType::OneOf(choices) => json!({ "type": "string", "enum": choices }),
        _ => text(),
    };
    let doc = if attribute.name == "fixed_ips" {
        "ip_address=ADDRESS, subnet_id=ID or ip_address_substr=TEXT".to_owned()
    } else {
        format!("{}: this value; repeated: one of these", attribute.doc)
    };
    Some(repeated(attribute.name, &doc, value))
}

fn tag_filters() -> [Value; 4] {
    [
        ("tags", "Has all of these tags, separated by commas"),
        ("tags-any", "Has one of these tags"),
        ("not-tags", "Does not have all of these tags"),
        ("not-tags-any", "Has none of these tags"),
    ]
    .map(|(name, doc)| query(name, doc, text()))
}

fn order(entry: &Entry) -> [Value; 2] {
    let direction = json!({ "type": "string", "enum": ["asc", "desc"] });
    [
        repeated("sort_key", "Attribute to order by", names(entry)),
        repeated("sort_dir", "Once for each sort_key", direction),
    ]
}

fn page() -> [Value; 3] {
    [
        query("limit", "At most so many; 0: all", json!({ "type": "integer", "minimum": 0 })),
        query("marker", "Identifier after which the page begins", text()),
        query("page_reverse", "The page that ends before the marker", json!({ "type": "boolean" })),
    ]
}
