//! What an apply or a rollback would do, or did, for people.

use std::collections::HashMap;

use anyhow::Result;
use serde_json::Value;
use weft_client::{Action, Applied, Change};

use crate::console::{Console, Paint};
use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Format, cell};

/// Prints what would be done, and how much that is.
pub(crate) fn print_plan(context: &Context, plan: &Applied) -> Result<()> {
    if print_for_programs(context, plan)? {
        return Ok(());
    }
    let console = &context.console;
    let new = names_of_new(plan);
    let text: String = plan.effective().map(|change| planned(console, change, &new)).collect();
    console.out(&text)?;
    console.done(&summary("Plan", plan))?;
    Ok(())
}

/// Prints what was done.
pub(crate) fn print_done(context: &Context, done: &Applied) -> Result<()> {
    if print_for_programs(context, done)? {
        return Ok(());
    }
    for change in done.effective() {
        let (word, paint) = match change.action {
            Action::Create => ("created", Paint::Good),
            Action::Update => ("updated", Paint::Changed),
            Action::Delete => ("deleted", Paint::Bad),
            Action::None => continue,
        };
        context.console.done(&format!("{} {}", context.console.paint(paint, word), title(change)))?;
    }
    let revision =
        done.revision.as_ref().map(|revision| format!(" Revision {revision}.")).unwrap_or_default();
    context.console.done(&format!("{}{revision}", summary("Done", done)))?;
    Ok(())
}

fn print_for_programs(context: &Context, applied: &Applied) -> Result<bool> {
    if context.format == Format::Name {
        let names: Vec<String> = applied.effective().map(called).collect();
        context.print_names(&names)?;
        return Ok(true);
    }
    context.print_value(applied)
}

/// What is made has no identifier yet: the one of a plan is nobody's, so names are shown in its place.
pub(crate) fn names_of_new(plan: &Applied) -> HashMap<&str, String> {
    let new = plan.changes.iter().filter(|change| change.action == Action::Create);
    new.filter_map(|change| Some((change.id.as_deref()?, called(change)))).collect()
}

/// A value in which what is not made yet goes by its name.
pub(crate) fn by_name(value: &Value, new: &HashMap<&str, String>) -> Value {
    match value {
        Value::String(id) => new.get(id.as_str()).map_or_else(|| value.clone(), |name| name.as_str().into()),
        Value::Array(items) => items.iter().map(|item| by_name(item, new)).collect(),
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, value)| (key.clone(), by_name(value, new))).collect())
        }
        _ => value.clone(),
    }
}

fn planned(console: &Console, change: &Change, new: &HashMap<&str, String>) -> String {
    let (sign, paint) = match change.action {
        Action::Create => ("+", Paint::Good),
        Action::Update => ("~", Paint::Changed),
        Action::Delete => ("-", Paint::Bad),
        Action::None => return String::new(),
    };
    let title = match change.action {
        Action::Create => format!("{} {}", change.kind, called(change)),
        _ => title(change),
    };
    let mut text = format!("{} {}\n", console.paint(paint, sign), console.paint(Paint::Strong, &title));
    if change.action == Action::Delete {
        return text;
    }
    for difference in change.differences() {
        let to = shown(&by_name(difference.to, new));
        let value =
            if change.action == Action::Update { format!("{} -> {to}", shown(difference.from)) } else { to };
        text.push_str(&format!("    {}: {value}\n", difference.attribute));
    }
    text
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::Array(items) if items.is_empty() => "[]".to_owned(),
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        other => cell(other),
    }
}

/// What a resource is called: its name or, if it has none, its identifier.
pub(crate) fn called(change: &Change) -> String {
    change.name.as_ref().filter(|name| !name.is_empty()).or(change.id.as_ref()).cloned().unwrap_or_default()
}

fn title(change: &Change) -> String {
    let id = change.id.as_ref().filter(|id| Some(*id) != change.name.as_ref());
    let id = id.map(|id| format!(" ({id})")).unwrap_or_default();
    format!("{} {}{id}", change.kind, called(change))
}

fn summary(word: &str, applied: &Applied) -> String {
    if applied.effective().next().is_none() {
        return "Nothing to do: everything is as it should be.".to_owned();
    }
    let counts = [(Action::Create, "create"), (Action::Update, "update"), (Action::Delete, "delete")].map(
        |(action, verb)| {
            let count = applied.count(action);
            if word == "Done" { format!("{count} {verb}d") } else { format!("{count} to {verb}") }
        },
    );
    format!("{word}: {}; {} unchanged.", counts.join(", "), applied.count(Action::None))
}

/// Says that nobody can be asked about something that may destroy; answers what the process ends with, if so.
pub(crate) fn refuse_unasked(context: &Context, is_agreed: bool, what: &str) -> Result<Option<Exit>> {
    if is_agreed || context.console.is_interactive() {
        return Ok(None);
    }
    let message =
        format!("{what} is asked about, and there is no terminal to ask at: --yes says yes in advance");
    context.console.complain(&message)?;
    Ok(Some(Exit::Usage))
}

/// Asks whether to go on, where somebody can be asked and has not said yes in advance.
pub(crate) fn may_go_on(context: &Context, is_agreed: bool, plan: &Applied) -> Result<bool> {
    if is_agreed || !context.console.is_interactive() || plan.effective().next().is_none() {
        return Ok(true);
    }
    let go_on = context.console.confirm("Do this?")?;
    if !go_on {
        context.console.note("Nothing was done.")?;
    }
    Ok(go_on)
}
