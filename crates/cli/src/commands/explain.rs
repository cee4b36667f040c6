//! `explain`: why things are on a host.

use anyhow::Result;
use clap::Args;
use weft_client::{Explained, ExplainedFragment};

use crate::console::{Console, Paint};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::Format;

/// What `explain` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The host
    host: String,

    /// Only objects in whose text this occurs: a device, an address
    object: Option<String>,
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let objects = context.client()?.explain(&arguments.host, arguments.object.as_deref()).await?;
    if context.print_value(&objects)? {
        return Ok(Exit::Ok);
    }
    if context.format == Format::Name {
        let names: Vec<String> = objects.into_iter().map(|explained| explained.object).collect();
        context.print_names(&names)?;
        return Ok(Exit::Ok);
    }
    if objects.is_empty() {
        let what =
            arguments.object.as_ref().map(|object| format!(" with '{object}' in it")).unwrap_or_default();
        context.console.note(&format!("Nothing{what} is asked of {}.", arguments.host))?;
    }
    let text: String = objects.iter().map(|explained| text(&context.console, explained)).collect();
    context.console.out(&text)?;
    Ok(Exit::Ok)
}

fn text(console: &Console, explained: &Explained) -> String {
    let fragments: String = explained.fragments.iter().map(because).collect();
    format!("{}\n{fragments}", console.paint(Paint::Strong, &explained.object))
}

fn because(fragment: &ExplainedFragment) -> String {
    let part = |text: &Option<String>| text.as_ref().filter(|text| !text.is_empty()).cloned();
    let kind = part(&fragment.kind).unwrap_or_else(|| "fragment".to_owned());
    let id = part(&fragment.resource_id).unwrap_or_else(|| fragment.id.clone());
    let what = match part(&fragment.name) {
        Some(name) => format!("{kind} {name} ({id})"),
        None => format!("{kind} {id}"),
    };
    let who =
        part(&fragment.request_id).map(|request| format!(", asked for by {request}")).unwrap_or_default();
    let when = part(&fragment.at).map(|at| format!(" at {at}")).unwrap_or_default();
    let version = part(&fragment.version).map(|version| format!(", version {version}")).unwrap_or_default();
    format!("  because of {what}{who}{when}{version}\n")
}
