//! `plan`: says what `apply` would do.

use anyhow::Result;
use clap::Args;

use super::apply::Documents;
use crate::context::Context;
use crate::exit::Exit;
use crate::plan::print_plan;

/// What `plan` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    documents: Documents,

    /// End with 0 if there is nothing to do, 2 if there is, 1 on an error
    #[arg(long)]
    detailed_exitcode: bool,
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let mut wanted = arguments.documents.read()?;
    let plan = wanted.send(&context.client()?, true).await?;
    print_plan(context, &plan)?;
    let is_changing = plan.effective().next().is_some();
    Ok(if arguments.detailed_exitcode && is_changing { Exit::Changes } else { Exit::Ok })
}
