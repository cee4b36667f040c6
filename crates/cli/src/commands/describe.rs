//! `describe`: everything about one resource.

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use weft_client::{Client, Error, HistoryEntry, Object};
use weft_services::catalogue::CATALOGUE;

use crate::console::Paint;
use crate::context::Context;
use crate::exit::Exit;
use crate::kind::{self, Kind};
use crate::names;
use crate::output::{call_name, cell};

/// How many commits are looked through for the resource's own.
const HISTORY_SEARCHED: usize = 500;
const HISTORY_SHOWN: usize = 10;
const NEIGHBOURS_SHOWN: usize = 20;

/// What `describe` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The kind of resource
    #[arg(value_parser = kind::parser())]
    kind: Kind,

    /// Which one
    #[arg(value_name = "NAME|ID")]
    name: String,
}

/// Something that refers to the resource, or to which it refers.
struct Neighbour {
    /// How: the attribute.
    by: &'static str,
    kind: Kind,
    object: Object,
    is_referred_to: bool,
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let client = context.client()?;
    let kind = arguments.kind;
    let object = client.find(kind, &arguments.name).await?;
    let id = object.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut neighbours = referred(&client, kind, &object).await;
    neighbours.extend(referring(&client, kind, &id).await?);
    let history = history(&client, &id).await;
    let around: Vec<Value> = neighbours.iter().map(as_value).collect();
    let whole = json!({ kind.member: object, "around": around, "history": history });
    if !context.print_value(&whole)? {
        context.console.out(&text(context, kind, &object, &(neighbours, history)))?;
    }
    Ok(Exit::Ok)
}

async fn referred(client: &Client, kind: Kind, object: &Object) -> Vec<Neighbour> {
    let mut found = Vec::new();
    for attribute in kind.attributes {
        let Some((_, target)) = names::reference(attribute) else { continue };
        let Some(id) = object.get(attribute.name).and_then(Value::as_str) else { continue };
        // What cannot be read, as of another project, is shown by the identifier among the attributes.
        if let Ok(object) = client.get(target, id).await {
            found.push(Neighbour { by: attribute.name, kind: target, object, is_referred_to: true });
        }
    }
    found
}

async fn referring(client: &Client, of: Kind, id: &str) -> Result<Vec<Neighbour>> {
    let mut found = Vec::new();
    for kind in CATALOGUE {
        for attribute in kind.attributes {
            let is_reference =
                names::reference(attribute).is_some_and(|(_, target)| target.member == of.member);
            let is_host = of.member == "host" && attribute.name.ends_with("host_id");
            let is_address = of.member == "subnet" && attribute.name == "fixed_ips";
            if !(is_reference || is_host || is_address) {
                continue;
            }
            let value = if is_address { format!("subnet_id={id}") } else { id.to_owned() };
            let objects = match client.list(kind, &[(attribute.name.to_owned(), value)]).await {
                Ok(objects) => objects,
                // A controller that is older than this program does not have all of its kinds.
                Err(Error::Refused(refusal)) if refusal.status == 404 => continue,
                Err(error) => return Err(error.into()),
            };
            let of_object = |object| Neighbour { by: attribute.name, kind, object, is_referred_to: false };
            found.extend(objects.into_iter().map(of_object));
        }
    }
    Ok(found)
}

async fn history(client: &Client, id: &str) -> Vec<HistoryEntry> {
    // Without its history the resource can be described all the same.
    let mut history = client.history(HISTORY_SEARCHED, None).await.unwrap_or_default();
    for entry in &mut history {
        entry.changes.retain(|change| change.id.as_deref() == Some(id));
    }
    history.retain(|entry| !entry.changes.is_empty());
    history.truncate(HISTORY_SHOWN);
    history
}

fn as_value(neighbour: &Neighbour) -> Value {
    json!({
        "kind": neighbour.kind.member,
        "id": neighbour.object.get("id"),
        "name": neighbour.object.get("name"),
        "by": neighbour.by,
        "direction": if neighbour.is_referred_to { "to" } else { "from" },
    })
}

fn text(
    context: &Context,
    kind: Kind,
    object: &Object,
    more: &(Vec<Neighbour>, Vec<HistoryEntry>),
) -> String {
    let console = &context.console;
    let mut text = console.paint(Paint::Strong, &format!("{} {}", kind.member, call_name(object)));
    if let Some(status) = object.get("status").and_then(Value::as_str) {
        let paint = match status {
            "ACTIVE" => Paint::Good,
            "ERROR" => Paint::Bad,
            _ => Paint::Changed,
        };
        text.push_str(&format!("  {}", console.paint(paint, status)));
    }
    text.push('\n');
    let width = object.keys().map(|key| key.chars().count()).max().unwrap_or(0);
    for (key, value) in object.iter().filter(|(key, _)| *key != "tenant_id") {
        text.push_str(format!("  {key:<width$}  {}", cell(value)).trim_end());
        text.push('\n');
    }
    let (neighbours, history) = more;
    if !neighbours.is_empty() {
        text.push_str(&format!("\n{}\n", console.paint(Paint::Strong, "Around it")));
    }
    for neighbour in neighbours.iter().take(NEIGHBOURS_SHOWN) {
        let arrow = if neighbour.is_referred_to { "->" } else { "<-" };
        let status = neighbour.object.get("status").map(cell).unwrap_or_default();
        let line = format!(
            "  {arrow} {} {} (by {})  {status}",
            neighbour.kind.member,
            call_name(&neighbour.object),
            neighbour.by
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if neighbours.len() > NEIGHBOURS_SHOWN {
        text.push_str(&format!("  and {} more\n", neighbours.len() - NEIGHBOURS_SHOWN));
    }
    if !history.is_empty() {
        text.push_str(&format!("\n{}\n", console.paint(Paint::Strong, "History")));
    }
    for entry in history {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        let line = format!("  {}  {}  {}", entry.version, part(&entry.at), part(&entry.summary));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
