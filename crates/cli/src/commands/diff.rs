//! `diff`: how what is there differs from what the files say, as a unified diff of YAML.

use std::collections::HashMap;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value};
use similar::TextDiff;
use weft_client::{Action, Change, Client};
use weft_services::OnCreate;

use super::apply::Documents;
use crate::console::{Console, Paint};
use crate::context::Context;
use crate::exit::Exit;
use crate::kind;
use crate::output::to_yaml;
use crate::plan::{by_name, called, names_of_new};

/// What `diff` takes.
#[derive(Args)]
#[command(after_help = "Exit codes: 0 nothing differs, 1 something does, 2 an error.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    documents: Documents,
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let mut wanted = arguments.documents.read()?;
    let client = context.client()?;
    let plan = wanted.send(&client, true).await?;
    if !context.print_value(&plan)? {
        let new = names_of_new(&plan);
        for change in plan.effective() {
            let text = difference(&client, change, &new).await?;
            context.console.out(&coloured(&context.console, &text))?;
        }
    }
    Ok(if plan.effective().next().is_some() { Exit::Failed } else { Exit::Ok })
}

async fn difference(client: &Client, change: &Change, new: &HashMap<&str, String>) -> Result<String> {
    let current = match change.action {
        Action::Create => Map::new(),
        Action::Update | Action::Delete | Action::None => current(client, change).await?,
    };
    let mut wanted = match change.action {
        Action::Create => head_of_new(change),
        Action::Delete => Map::new(),
        Action::Update | Action::None => current.clone(),
    };
    if change.action != Action::Delete {
        for difference in change.differences() {
            wanted.insert(difference.attribute.to_owned(), by_name(difference.to, new));
        }
    }
    let (before, after) = (yaml(current)?, yaml(wanted)?);
    let called = called(change);
    let title = |side: &str, text: &str| {
        if text.is_empty() { "/dev/null".to_owned() } else { format!("{side}/{}/{called}", change.kind) }
    };
    let (from, to) = (title("current", &before), title("wanted", &after));
    let text =
        TextDiff::from_lines(before.as_str(), after.as_str()).unified_diff().header(&from, &to).to_string();
    Ok(if text.is_empty() { format!("--- {from}\n+++ {to}\n") } else { text })
}

/// What even a resource without attributes has.
fn head_of_new(change: &Change) -> Map<String, Value> {
    let name = change.name.as_ref().filter(|name| !name.is_empty());
    let name = name.map(|name| ("name".to_owned(), name.as_str().into()));
    [("kind".to_owned(), change.kind.as_str().into())].into_iter().chain(name).collect()
}

/// What can be written of a resource as it is; what can only be read differs without anybody's doing.
async fn current(client: &Client, change: &Change) -> Result<Map<String, Value>> {
    let mut object = match (kind::by_name(&change.kind), &change.id) {
        (Some(kind), Some(id)) => {
            let mut object = client.get(kind, id).await?;
            let is_written = |name: &str| {
                name != "tenant_id"
                    && kind.attribute(name).is_some_and(|attribute| attribute.on_create != OnCreate::ReadOnly)
            };
            object.retain(|name, _| is_written(name));
            object
        }
        _ => Map::new(),
    };
    for difference in change.differences() {
        object.insert(difference.attribute.to_owned(), difference.from.clone());
    }
    let kind = ("kind".to_owned(), change.kind.as_str().into());
    Ok(std::iter::once(kind).chain(object).collect())
}

fn yaml(object: Map<String, Value>) -> Result<String> {
    if object.is_empty() { Ok(String::new()) } else { to_yaml(&Value::Object(object)) }
}

fn coloured(console: &Console, text: &str) -> String {
    text.lines()
        .map(|line| {
            let paint = match line.as_bytes().first() {
                Some(b'+') => Some(Paint::Good),
                Some(b'-') => Some(Paint::Bad),
                Some(b'@') => Some(Paint::Faint),
                _ => None,
            };
            paint.map_or_else(|| line.to_owned(), |paint| console.paint(paint, line)) + "\n"
        })
        .collect()
}
