//! `man`: the manual pages, one for each command.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;

/// What `man` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Where to
    directory: PathBuf,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let directory = &arguments.directory;
    let what = || format!("{} cannot be written", directory.display());
    std::fs::create_dir_all(directory).with_context(what)?;
    clap_mangen::generate_to(arguments::command(), directory).with_context(what)?;
    context.console.note(&format!("manual pages written to {}", directory.display()))?;
    Ok(Exit::Ok)
}
