//! Names in place of identifiers, in both directions.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use weft_client::{Client, Error, Object};
use weft_services::catalogue::by_member;
use weft_services::{Attribute, AttributeType, Id};

use crate::kind::Kind;

/// How many identifiers one request asks about.
pub(crate) const IDS_PER_REQUEST: usize = 40;

/// The attribute's name without `_id`, if it refers to a resource, and the kind of that.
pub(crate) fn reference(attribute: &Attribute) -> Option<(&'static str, Kind)> {
    let AttributeType::Reference(member) = attribute.kind else { return None };
    let short = attribute.name.strip_suffix("_id").unwrap_or(attribute.name);
    by_member(member).map(|kind| (short, kind))
}

/// The identifier of what is called so. An identifier is taken as it is.
pub(crate) async fn resolve(client: &Client, kind: Kind, name: &str) -> Result<String, Error> {
    if name.parse::<Id>().is_ok() {
        return Ok(name.to_owned());
    }
    let object = client.find(kind, name).await?;
    match object.get("id").and_then(Value::as_str) {
        Some(id) => Ok(id.to_owned()),
        None => Err(Error::Answer { request: kind.path.to_owned(), reason: "it has no id".to_owned() }),
    }
}

/// The names of what resources refer to, by identifier, where they can be had.
pub(crate) async fn of_references(
    client: &Client,
    kind: Kind,
    objects: &[Object],
) -> HashMap<String, String> {
    let mut names = HashMap::new();
    for attribute in kind.attributes {
        let Some((_, target)) = reference(attribute) else { continue };
        let ids: BTreeSet<&str> =
            objects.iter().filter_map(|object| object.get(attribute.name)?.as_str()).collect();
        let ids: Vec<&str> = ids.into_iter().filter(|id| !names.contains_key(*id)).collect();
        for some in ids.chunks(IDS_PER_REQUEST) {
            names.extend(of_ids(client, target, some).await);
        }
    }
    names
}

/// The names of these resources of a kind, by identifier, where they have one and it can be had.
pub(crate) async fn of_ids(client: &Client, kind: Kind, ids: &[&str]) -> Vec<(String, String)> {
    let filters: Vec<(String, String)> = ids.iter().map(|id| ("id".to_owned(), (*id).to_owned())).collect();
    // A name is a comfort: where it cannot be had, the identifier is shown.
    let objects = client.list(kind, &filters).await.unwrap_or_default();
    let text = |object: &Object, key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    objects
        .iter()
        .filter_map(|object| {
            Some((text(object, "id")?, text(object, "name").filter(|name| !name.is_empty())?))
        })
        .collect()
}
