//! `explain`: why things are on a host; by `explain route`, what leads to a destination.

mod route;

use anyhow::Result;
use clap::{Args, Subcommand};
use weft_client::{Bringing, Explained, ExplainedChange, ExplainedFragment, ExplainedResource};

use crate::console::{Console, Paint};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::Format;

/// What `explain` takes.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    about: Option<About>,

    /// The host
    #[arg(required = true)]
    host: Option<String>,

    /// Only objects in whose text this occurs: a device, an address
    object: Option<String>,
}

/// What is explained besides what is on a host.
#[derive(Subcommand)]
pub(crate) enum About {
    /// Say what leads to a destination: who asked for it, which host was told what, and what its kernel has
    Route(route::Arguments),
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    if let Some(About::Route(arguments)) = &arguments.about {
        return route::run(context, arguments).await;
    }
    let host = arguments.host.as_deref().unwrap_or_default();
    let explanation = context.client()?.explain(host, arguments.object.as_deref()).await?;
    if context.print_value(&explanation)? {
        return Ok(Exit::Ok);
    }
    let objects = explanation.objects;
    if context.format == Format::Name {
        let names: Vec<String> = objects.into_iter().map(|explained| explained.object).collect();
        context.print_names(&names)?;
    } else {
        if objects.is_empty() {
            let what = arguments.object.as_ref().map(|object| format!(" with '{object}' in it"));
            let what = what.unwrap_or_default();
            context.console.note(&format!("Nothing{what} is asked of {host}."))?;
        }
        let text: String = objects.iter().map(|explained| text(&context.console, explained)).collect();
        context.console.out(&text)?;
    }
    if explanation.left_out > 0 {
        let count = explanation.left_out;
        context.console.note(&format!("{count} more are left out; ask for a device or an address."))?;
    }
    Ok(Exit::Ok)
}

fn text(console: &Console, explained: &Explained) -> String {
    let fragments: String = explained.fragments.iter().map(because).collect();
    let more = match explained.fragments_left_out {
        0 => String::new(),
        count => format!("  because of {count} more\n"),
    };
    format!("{}\n{fragments}{more}", console.paint(Paint::Strong, &explained.object))
}

fn because(fragment: &ExplainedFragment) -> String {
    let host = part(fragment.host.as_ref()).map(|host| format!(" on {host}")).unwrap_or_default();
    let (what, who) = (named(&fragment.resource, &fragment.id), asked_for_by(&fragment.resource));
    let here = fragment.because_of.as_ref().map(brought_by).unwrap_or_default();
    let changed = fragment.changed.as_ref().map(last_changed).unwrap_or_default();
    format!("  because of {what}{host}{who}\n{here}{changed}")
}

/// What on the host itself brings it there.
fn brought_by(bringing: &Bringing) -> String {
    let line = |resource: &ExplainedResource| {
        format!("    which is here for {}{}\n", named(resource, "?"), asked_for_by(resource))
    };
    let first: String = bringing.first.iter().map(line).collect();
    match bringing.count.saturating_sub(bringing.first.len() as u64) {
        0 => first,
        count => format!("{first}    and for {count} more\n"),
    }
}

fn last_changed(change: &ExplainedChange) -> String {
    let who = part(change.request_id.as_ref()).unwrap_or_else(|| "?".to_owned());
    let what = part(change.summary.as_ref()).map(|what| format!(", {what}")).unwrap_or_default();
    let version = part(change.version.as_ref()).map(|it| format!(", version {it}")).unwrap_or_default();
    format!("    last changed by {who}{}{version}{what}\n", when(change.at.as_ref()))
}

fn named(resource: &ExplainedResource, otherwise: &str) -> String {
    let kind = part(resource.kind.as_ref()).unwrap_or_else(|| "fragment".to_owned());
    let id = part(resource.resource_id.as_ref()).unwrap_or_else(|| otherwise.to_owned());
    match part(resource.name.as_ref()) {
        Some(name) => format!("{kind} {name} ({id})"),
        None => format!("{kind} {id}"),
    }
}

fn asked_for_by(resource: &ExplainedResource) -> String {
    let who = part(resource.request_id.as_ref()).map(|request| format!(", asked for by {request}"));
    who.map(|who| format!("{who}{}", when(resource.at.as_ref()))).unwrap_or_default()
}

fn when(at: Option<&String>) -> String {
    part(at).map(|at| format!(" at {at}")).unwrap_or_default()
}

fn part(text: Option<&String>) -> Option<String> {
    text.filter(|text| !text.is_empty()).cloned()
}
