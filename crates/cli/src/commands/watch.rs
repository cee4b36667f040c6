//! `watch`: changes as they happen.

use anyhow::Result;
use clap::Args;
use serde_json::json;
use weft_client::{WatchEvent, WatchKind};

use crate::console::Paint;
use crate::context::Context;
use crate::exit::Exit;
use crate::kind::{self, Kind};
use crate::output::{Format, call_name, cell, to_yaml};

/// What `watch` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Only resources of this kind
    #[arg(value_parser = kind::parser())]
    kind: Option<Kind>,

    /// Begin after this version, as `history` shows it, and not now
    #[arg(long, value_name = "EPOCH.REVISION")]
    since: Option<String>,

    /// End after so many events
    #[arg(long, value_name = "NUMBER")]
    events: Option<u64>,
}

/// Runs the verb: until it is ended, or for as many events as were asked for.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let mut watch = context.client()?.watch(arguments.kind, arguments.since.clone());
    let mut seen = 0;
    while arguments.events.is_none_or(|events| seen < events) {
        let event = watch.next().await?;
        context.console.out(&text(context, &event)?)?;
        seen += 1;
    }
    Ok(Exit::Ok)
}

fn text(context: &Context, event: &WatchEvent) -> Result<String> {
    let value = || {
        json!({
            "version": event.version,
            "event": event.event.as_str(),
            "kind": event.kind,
            "id": event.id,
            "project_id": event.project_id,
            "object": event.object,
        })
    };
    let name = event.object.as_ref().map(call_name).or_else(|| event.id.clone()).unwrap_or_default();
    Ok(match context.format {
        Format::Json => format!("{}\n", value()),
        Format::Yaml => format!("---\n{}", to_yaml(&value())?),
        Format::Name => format!("{name}\n"),
        Format::Table | Format::Wide => line(context, event, &name),
    })
}

fn line(context: &Context, event: &WatchEvent, name: &str) -> String {
    let paint = match event.event {
        WatchKind::Put => Paint::Good,
        WatchKind::Delete => Paint::Bad,
        WatchKind::Status | WatchKind::Compacted | WatchKind::Epoch | WatchKind::Other(_) => Paint::Changed,
    };
    let word = context.console.paint(paint, &format!("{:<9}", event.event.as_str()));
    let status = event.object.as_ref().and_then(|object| object.get("status")).map(cell).unwrap_or_default();
    let remark = match event.event {
        WatchKind::Compacted => "what happened before can no longer be told",
        WatchKind::Epoch => "the model was replaced",
        _ => &status,
    };
    let id =
        event.id.as_deref().filter(|id| *id != name && context.format == Format::Wide).unwrap_or_default();
    let version = event.version.as_deref().unwrap_or_default();
    let about = [event.kind.as_deref().unwrap_or_default(), name].join(" ");
    let parts: Vec<&str> = [about.trim(), remark, id].into_iter().filter(|part| !part.is_empty()).collect();
    format!("{version:<8}  {word}  {}", parts.join("  ")).trim_end().to_owned() + "\n"
}
