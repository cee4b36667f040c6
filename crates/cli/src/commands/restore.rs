//! `restore`: a snapshot in place of the whole model.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::context::Context;
use crate::exit::Exit;
use crate::plan::refuse_unasked;

/// What `restore` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A file that `snapshot` wrote
    file: PathBuf,

    /// Do not ask
    #[arg(short = 'y', long)]
    yes: bool,
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    if let Some(exit) = refuse_unasked(context, arguments.yes, "`restore`")? {
        return Ok(exit);
    }
    let client = context.client()?;
    let bytes = tokio::fs::read(&arguments.file)
        .await
        .with_context(|| format!("{} cannot be read", arguments.file.display()))?;
    if !arguments.yes {
        let question = format!("Replace everything at {} by {}?", client.url(), arguments.file.display());
        if !context.console.confirm(&question)? {
            context.console.note("Nothing was done.")?;
            return Ok(Exit::Failed);
        }
    }
    let version = client.restore(bytes).await?;
    context.console.done(&format!("restored; the model is at version {version}"))?;
    Ok(Exit::Ok)
}
