//! `get`: lists resources.

use anyhow::Result;
use weft_client::Client;
use weft_services::Attribute;

use crate::context::Context;
use crate::exit::Exit;
use crate::generated::Get;
use crate::kind::Kind;
use crate::output::print_objects;
use crate::{names, suggest};

/// Runs the verb.
pub(crate) async fn run(context: &Context, get: &Get) -> Result<Exit> {
    let client = context.client()?;
    let mut objects = Vec::new();
    for name in &get.names {
        objects.push(client.find(get.kind, name).await?);
    }
    if get.names.is_empty() {
        objects = client.list(get.kind, &query(&client, get).await?).await?;
    }
    print_objects(context, &client, get.kind, &objects, get.names.len() == 1).await?;
    Ok(Exit::Ok)
}

/// Filters and order as the API has them.
async fn query(client: &Client, get: &Get) -> Result<Vec<(String, String)>> {
    let mut query = Vec::new();
    for (attribute, texts) in &get.given {
        for text in texts {
            query.push(resolved(client, get.kind, attribute.name, text).await?);
        }
    }
    for (name, value) in &get.filters {
        query.push(resolved(client, get.kind, name, value).await?);
    }
    for (name, is_descending) in &get.sort {
        let name = name.replace('-', "_");
        let Some(attribute) = attribute(get.kind, &name) else { return Err(no_attribute(get.kind, &name)) };
        let direction = if *is_descending { "desc" } else { "asc" };
        query.push(("sort_key".to_owned(), attribute.name.to_owned()));
        query.push(("sort_dir".to_owned(), direction.to_owned()));
    }
    Ok(query)
}

/// The attribute that a person calls so: whole, by what it refers to, or without what is before its colon.
fn attribute(kind: Kind, name: &str) -> Option<&'static Attribute> {
    let is_whole = |attribute: &&Attribute| {
        attribute.name == name || names::reference(attribute).is_some_and(|(short, _)| short == name)
    };
    let is_last = |attribute: &&Attribute| {
        let last = attribute.name.rsplit(':').next().unwrap_or_default();
        last == name || last.strip_suffix("_id") == Some(name)
    };
    kind.attributes.iter().find(is_whole).or_else(|| kind.attributes.iter().find(is_last))
}

fn no_attribute(kind: Kind, name: &str) -> anyhow::Error {
    let references = kind.attributes.iter().filter_map(|attribute| Some(names::reference(attribute)?.0));
    let candidates = references.chain(kind.attributes.iter().map(|attribute| attribute.name));
    let hint = suggest::hint(name, candidates);
    anyhow::anyhow!("a {} has no attribute '{name}'{hint}", kind.member)
}

/// A filter as the API has it: `network=blue` is by the network's identifier.
async fn resolved(client: &Client, kind: Kind, name: &str, value: &str) -> Result<(String, String)> {
    const QUERIES: &[&str] = &["tags", "tags-any", "not-tags", "not-tags-any", "sort_key", "sort_dir"];
    let name = name.replace('-', "_");
    let dashed = name.replace('_', "-");
    if let Some(attribute) = attribute(kind, &name) {
        let value = match names::reference(attribute) {
            Some((_, target)) => names::resolve(client, target, value).await?,
            _ => value.to_owned(),
        };
        return Ok((attribute.name.to_owned(), value));
    }
    match QUERIES.iter().find(|query| **query == name || **query == dashed) {
        Some(query) => Ok(((*query).to_owned(), value.to_owned())),
        None => Err(no_attribute(kind, &name)),
    }
}
