//! `history`: what was changed when by whom.

use anyhow::Result;
use clap::Args;
use weft_client::{Action, HistoryEntry};

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Format, Table};

/// What `history` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    limit: usize,

    /// Only those before this revision
    #[arg(long, value_name = "REVISION", value_parser = revision)]
    before: Option<u64>,
}

/// Reads a revision: `42`, or as part of a version `1.42`.
pub(crate) fn revision(text: &str) -> Result<u64, String> {
    let number = text.rsplit_once('.').map_or(text, |(_, revision)| revision);
    number.parse().map_err(|_| "a revision is a number, as in 42 or 1.42".to_owned())
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let history = context.client()?.history(arguments.limit, arguments.before).await?;
    if context.print_value(&history)? {
        return Ok(Exit::Ok);
    }
    if context.format == Format::Name {
        let versions: Vec<String> = history.into_iter().map(|entry| entry.version).collect();
        context.print_names(&versions)?;
        return Ok(Exit::Ok);
    }
    context.print_table(&table(&history, context.format == Format::Wide), "Nothing has been changed yet.")?;
    Ok(Exit::Ok)
}

fn table(history: &[HistoryEntry], is_wide: bool) -> Table {
    let mut headers = vec!["VERSION", "AT", "PROJECT", "SET", "SUMMARY"];
    if is_wide {
        headers.extend(["CHANGES", "REQUEST"]);
    }
    let mut table = Table::new(headers);
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    for entry in history {
        let mut cells = vec![
            entry.version.clone(),
            part(&entry.at),
            part(&entry.project_id),
            part(&entry.set),
            part(&entry.summary),
        ];
        if is_wide {
            cells.extend([changes(entry), part(&entry.request_id)]);
        }
        table.row(cells);
    }
    table
}

fn changes(entry: &HistoryEntry) -> String {
    let change = |change: &weft_client::HistoryChange| {
        let sign = match change.action {
            Action::Create => '+',
            Action::Update => '~',
            Action::Delete => '-',
            Action::None => ' ',
        };
        let name = change.name.as_ref().filter(|name| !name.is_empty()).or(change.id.as_ref());
        format!("{sign}{} {}", change.kind, name.map_or("", String::as_str))
    };
    entry.changes.iter().map(change).collect::<Vec<_>>().join(", ")
}
