//! `history`: what was changed when by whom.

use std::collections::HashMap;

use anyhow::Result;
use clap::Args;
use weft_client::{Action, Client, Error, HistoryChange, HistoryEntry};

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

    /// Only applies and rollbacks of this set
    #[arg(long, value_name = "NAME")]
    set: Option<String>,

    /// Only what was changed on behalf of this project
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,
}

/// How many commits are asked for at once, to find those of a set or project among them.
const PAGE: usize = 500;
/// How much of a request's identifier the table shows; `-o wide` shows all of it.
const REQUEST_CHARS: usize = 12;

/// Reads a revision: `42`, or as part of a version `1.42`.
pub(crate) fn revision(text: &str) -> Result<u64, String> {
    let number = text.rsplit_once('.').map_or(text, |(_, revision)| revision);
    number.parse().map_err(|_| "a revision is a number, as in 42 or 1.42".to_owned())
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let history = read(&context.client()?, arguments).await?;
    if context.print_value(&history)? {
        return Ok(Exit::Ok);
    }
    if context.format == Format::Name {
        let versions: Vec<String> = history.into_iter().map(|entry| entry.version).collect();
        context.print_names(&versions)?;
        return Ok(Exit::Ok);
    }
    let is_part = arguments.before.is_some() || arguments.set.is_some() || arguments.project.is_some();
    let if_empty = if is_part { "There are no such changes." } else { "Nothing has been changed yet." };
    context.print_table(&table(&history, context.format == Format::Wide), if_empty)?;
    Ok(Exit::Ok)
}

/// The last commits that were asked for; page after page, where only some are wanted.
async fn read(client: &Client, arguments: &Arguments) -> Result<Vec<HistoryEntry>, Error> {
    if arguments.set.is_none() && arguments.project.is_none() {
        return client.history(arguments.limit, arguments.before).await;
    }
    let is_wanted = |entry: &HistoryEntry| {
        let is_of = |wanted: &Option<String>, is: &Option<String>| wanted.is_none() || wanted == is;
        is_of(&arguments.set, &entry.set) && is_of(&arguments.project, &entry.project_id)
    };
    let (mut found, mut before) = (Vec::new(), arguments.before);
    while found.len() < arguments.limit {
        let page = match client.history(PAGE, before).await {
            // What is older is no longer kept.
            Err(Error::Refused(refusal)) if refusal.status == 410 && before.is_some() => break,
            page => page?,
        };
        let oldest = page.last().and_then(|entry| revision(&entry.version).ok());
        found.extend(page.into_iter().filter(is_wanted));
        match oldest {
            Some(oldest) if oldest > 1 && before.is_none_or(|before| oldest < before) => {
                before = Some(oldest)
            }
            _ => break,
        }
    }
    found.truncate(arguments.limit);
    Ok(found)
}

fn table(history: &[HistoryEntry], is_wide: bool) -> Table {
    let last = if is_wide { "CHANGES" } else { "NAMES" };
    let mut table = Table::new(["VERSION", "AT", "REQUEST", "PROJECT", "SET", "SUMMARY", last]);
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    let names = names(history);
    for entry in history {
        let request = part(&entry.request_id);
        table.row([
            entry.version.clone(),
            part(&entry.at),
            if is_wide { request } else { request.chars().take(REQUEST_CHARS).collect() },
            part(&entry.project_id),
            part(&entry.set),
            summary(entry, is_wide),
            changes(entry, &names, is_wide),
        ]);
    }
    table
}

/// What was asked for, with identifiers only where there is space; of a rollback, to where it led.
fn summary(entry: &HistoryEntry, is_wide: bool) -> String {
    let summary = entry.summary.as_deref().unwrap_or_default();
    match summary.split_once("/v1/rollback to ") {
        Some((_, to)) => format!("rollback to {to}"),
        None if is_wide => summary.to_owned(),
        None => {
            let is_short = |segment: &&str| segment.parse::<weft_services::Id>().is_err();
            summary.split('/').filter(is_short).collect::<Vec<_>>().join("/")
        }
    }
}

/// What is deleted has no name any more, but may have had one in what was done before.
fn names(history: &[HistoryEntry]) -> HashMap<&str, &str> {
    let name = |change: &'_ HistoryChange| change.name.as_deref().is_some_and(|name| !name.is_empty());
    let named = history.iter().rev().flat_map(|entry| &entry.changes).filter(|change| name(change));
    named.filter_map(|change| Some((change.id.as_deref()?, change.name.as_deref()?))).collect()
}

/// All changes or, where that is too much, the first and how many more there are.
fn changes(entry: &HistoryEntry, names: &HashMap<&str, &str>, is_wide: bool) -> String {
    let change = |change: &HistoryChange| {
        let sign = match change.action {
            Action::Create => '+',
            Action::Update => '~',
            Action::Delete => '-',
            Action::None => ' ',
        };
        let id = change.id.as_deref().unwrap_or_default();
        let own = change.name.as_deref().filter(|name| !name.is_empty());
        let name = own.or_else(|| names.get(id).copied()).unwrap_or(id);
        format!("{sign}{} {name}", change.kind)
    };
    let shown = if is_wide { entry.changes.len() } else { 1 };
    let mut texts: Vec<String> = entry.changes.iter().take(shown).map(change).collect();
    if entry.changes.len() > shown {
        texts.push(format!("{} more", entry.changes.len() - shown));
    }
    texts.join(", ")
}
