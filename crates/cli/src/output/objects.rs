//! Resources of one kind, in any form.

use std::collections::HashMap;

use anyhow::Result;
use serde_json::Value;
use weft_client::{Client, Object};

use super::columns::{columns, header};
use super::{Format, Table, cell};
use crate::context::Context;
use crate::kind::{Kind, collection};
use crate::names;

/// Prints resources of one kind; a single one that was asked for by name is not a list.
pub(crate) async fn print_objects(
    context: &Context,
    client: &Client,
    kind: Kind,
    objects: &[Object],
    is_single: bool,
) -> Result<()> {
    let is_printed = match objects {
        [only] if is_single => context.print_value(only)?,
        _ => context.print_value(&objects)?,
    };
    if is_printed {
        return Ok(());
    }
    if context.format == Format::Name {
        return context.print_names(&unique_names(objects));
    }
    let shown = names::of_references(client, kind, objects).await;
    let table = table(kind, objects, context.format == Format::Wide, &shown);
    context.print_table(&table, &format!("There are no {}.", collection(kind).replace('-', " ")))
}

fn table(kind: Kind, objects: &[Object], is_wide: bool, names: &HashMap<String, String>) -> Table {
    let columns = columns(kind, is_wide);
    let mut table =
        Table::new(std::iter::once("NAME".to_owned()).chain(columns.iter().map(|column| header(column))));
    for object in objects {
        let mut cells = vec![call_name(object)];
        for column in &columns {
            let text = object.get(column.name).map(cell).unwrap_or_default();
            let is_own_id = column.name == "id";
            cells.push(names.get(&text).filter(|_| !is_own_id).cloned().unwrap_or(text));
        }
        table.row(cells);
    }
    table
}

/// What a resource is called: its name or, if it has none, its identifier.
pub(crate) fn call_name(object: &Object) -> String {
    let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("name").or_else(|| text("id")).unwrap_or_default().to_owned()
}

/// What each is called such that no two are called the same.
fn unique_names(objects: &[Object]) -> Vec<String> {
    let names: Vec<String> = objects.iter().map(call_name).collect();
    let mut count: HashMap<&str, usize> = HashMap::new();
    for name in &names {
        *count.entry(name).or_default() += 1;
    }
    let id = |object: &Object| object.get("id").and_then(Value::as_str).map(str::to_owned);
    let unique = |(object, name): (&Object, &String)| match count.get(name.as_str()) {
        Some(1) => name.clone(),
        _ => id(object).unwrap_or_else(|| name.clone()),
    };
    objects.iter().zip(&names).map(unique).collect()
}
