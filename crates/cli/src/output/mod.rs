//! The forms of output: tables for people, JSON and YAML for programs, names for other commands.

mod cell;
mod columns;
mod objects;
mod table;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde_json::Value;

pub(crate) use cell::cell;
pub(crate) use objects::{call_name, print_objects};
pub(crate) use table::Table;

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table of what matters most
    Table,
    /// A table of all
    Wide,
    /// JSON
    Json,
    /// YAML
    Yaml,
    /// Names only, one a line
    Name,
}

/// A value as YAML, with a line end.
pub(crate) fn to_yaml(value: &Value) -> Result<String> {
    let mut text = serde_saphyr::to_string(value).context("this cannot be written as YAML")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
