//! `rollback`: back to how things were.

use anyhow::Result;
use clap::{ArgGroup, Args};
use weft_client::{Rollback, Scope};

use super::history::revision;
use crate::context::Context;
use crate::exit::Exit;
use crate::plan::{may_go_on, print_done, print_plan, refuse_unasked};

/// What `rollback` takes.
#[derive(Args)]
#[command(group = ArgGroup::new("scope").required(true).args(["set", "project"]))]
pub(crate) struct Arguments {
    /// The revision as of which things are to be, as `history` shows it
    #[arg(value_parser = revision)]
    revision: u64,

    /// What applies of this set made
    #[arg(long, value_name = "NAME")]
    set: Option<String>,

    /// What this project owns
    #[arg(long, value_name = "PROJECT")]
    project: Option<String>,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,

    /// Do not ask
    #[arg(short = 'y', long)]
    yes: bool,
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    if let Some(exit) = refuse_unasked(context, arguments.yes || arguments.dry_run, "`rollback`")? {
        return Ok(exit);
    }
    let scope = match (&arguments.set, &arguments.project) {
        (Some(set), _) => Scope::Set(set.clone()),
        (None, project) => Scope::Project(project.clone().unwrap_or_default()),
    };
    let client = context.client()?;
    let mut rollback = Rollback { revision: arguments.revision, scope, dry_run: true };
    let asks = context.console.is_interactive() && !arguments.yes;
    if arguments.dry_run || asks {
        let plan = client.rollback(&rollback).await?;
        print_plan(context, &plan)?;
        if arguments.dry_run {
            return Ok(Exit::Ok);
        }
        if !may_go_on(context, arguments.yes, &plan)? {
            return Ok(Exit::Failed);
        }
    }
    rollback.dry_run = false;
    print_done(context, &client.rollback(&rollback).await?)?;
    Ok(Exit::Ok)
}
