//! `snapshot`: the whole model into a file.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::context::Context;
use crate::exit::Exit;

/// What `snapshot` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Where to; - for standard output
    file: PathBuf,
}

/// Runs the verb: the file is there when it is whole, or not at all.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let client = context.client()?;
    if arguments.file.as_os_str() == "-" {
        client.snapshot(&mut tokio::io::stdout()).await?;
        return Ok(Exit::Ok);
    }
    let part = arguments.file.with_added_extension("part");
    let what = || format!("{} cannot be written", arguments.file.display());
    // It holds what all tenants have: nobody else is to read it.
    let mut options = tokio::fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(&part).await.with_context(what)?;
    let outcome = client.snapshot(&mut file).await;
    let length = match outcome {
        Ok(length) => length,
        Err(error) => {
            // What is left is of no use; that it is left is no further error.
            let _ = tokio::fs::remove_file(&part).await;
            return Err(error.into());
        }
    };
    file.sync_all().await.with_context(what)?;
    tokio::fs::rename(&part, &arguments.file).await.with_context(what)?;
    context.console.note(&format!("{length} bytes written to {}", arguments.file.display()))?;
    Ok(Exit::Ok)
}
