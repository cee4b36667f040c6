//! `create`: makes one resource.

use anyhow::Result;
use serde_json::{Map, Value};
use weft_client::Client;

use crate::attributes;
use crate::context::Context;
use crate::exit::Exit;
use crate::generated::{Create, Given};
use crate::output::{Format, call_name};

/// Runs the verb.
pub(crate) async fn run(context: &Context, create: &Create) -> Result<Exit> {
    let client = context.client()?;
    let mut attributes = values(&client, &create.given).await?;
    attributes::derive(create.kind, &mut attributes);
    let object = client.create(create.kind, attributes).await?;
    report(context, create.kind, "created", &object)?;
    Ok(Exit::Ok)
}

/// What was given, as the API has it.
pub(crate) async fn values(client: &Client, given: &Given) -> Result<Map<String, Value>> {
    let mut values = Map::new();
    for (attribute, texts) in given {
        values.insert(attribute.name.to_owned(), attributes::value(client, attribute, texts).await?);
    }
    Ok(values)
}

/// Says what was done to a resource.
pub(crate) fn report(
    context: &Context,
    kind: crate::kind::Kind,
    done: &str,
    object: &Map<String, Value>,
) -> Result<()> {
    if context.print_value(object)? {
        return Ok(());
    }
    let name = call_name(object);
    if context.format == Format::Name {
        return context.print_names(&[name]);
    }
    let id = object.get("id").and_then(Value::as_str).filter(|id| *id != name);
    let id = id.map(|id| format!(" ({id})")).unwrap_or_default();
    context.console.done(&format!("{done} {} {name}{id}", kind.member))?;
    Ok(())
}
