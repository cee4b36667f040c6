//! `get`: lists resources.

use anyhow::Result;
use clap::Args;
use weft_services::AttributeType;

use crate::context::Context;
use crate::exit::Exit;
use crate::kind::{self, Kind};
use crate::output::print_objects;
use crate::{names, suggest};

/// What `get` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The kind of resource
    #[arg(value_parser = kind::parser())]
    kind: Kind,

    /// Only these
    #[arg(value_name = "NAME|ID")]
    names: Vec<String>,

    /// Only those with this value of an attribute, as in --filter network=blue; may be repeated
    #[arg(long = "filter", value_name = "ATTRIBUTE=VALUE", value_parser = filter)]
    filters: Vec<(String, String)>,

    /// Those of all projects, not only one's own
    #[arg(long)]
    all: bool,
}

fn filter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it has the form ATTRIBUTE=VALUE".to_owned()),
    }
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let client = context.client()?;
    let kind = arguments.kind;
    let mut objects = Vec::new();
    for name in &arguments.names {
        objects.push(client.find(kind, name).await?);
    }
    if arguments.names.is_empty() {
        let mut filters = Vec::new();
        for (name, value) in &arguments.filters {
            filters.push(resolved(&client, kind, name, value).await?);
        }
        if arguments.all {
            filters.push(("all_projects".to_owned(), "true".to_owned()));
        }
        objects = client.list(kind, &filters).await?;
    }
    print_objects(context, &client, kind, &objects, arguments.names.len() == 1).await?;
    Ok(Exit::Ok)
}

/// A filter as the API has it: `network=blue` is by the network's identifier.
async fn resolved(
    client: &weft_client::Client,
    kind: Kind,
    name: &str,
    value: &str,
) -> Result<(String, String)> {
    const QUERIES: &[&str] = &["tags", "tags-any", "not-tags", "not-tags-any", "sort_key", "sort_dir"];
    let name = name.replace('-', "_");
    for attribute in kind.attributes {
        if attribute.name == name && attribute.kind != AttributeType::Id {
            return Ok((name, value.to_owned()));
        }
        let Some((short, target)) = names::reference(attribute) else { continue };
        if short == name || attribute.name == name {
            return Ok((attribute.name.to_owned(), names::resolve(client, target, value).await?));
        }
    }
    let last = |attribute: &&weft_services::Attribute| {
        attribute
            .name
            .rsplit(':')
            .next()
            .is_some_and(|last| last == name || last.strip_suffix("_id") == Some(&name))
    };
    if let Some(attribute) = kind.attributes.iter().find(last) {
        return Ok((attribute.name.to_owned(), value.to_owned()));
    }
    let dashed = name.replace('_', "-");
    if let Some(query) = QUERIES.iter().find(|query| **query == name || **query == dashed) {
        return Ok(((*query).to_owned(), value.to_owned()));
    }
    let references = kind.attributes.iter().filter_map(|attribute| Some(names::reference(attribute)?.0));
    let candidates = references.chain(kind.attributes.iter().map(|attribute| attribute.name));
    let hint = suggest::hint(&name, candidates);
    anyhow::bail!("a {} has no attribute '{name}'{hint}", kind.member)
}
