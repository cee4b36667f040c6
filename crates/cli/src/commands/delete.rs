//! `delete`: deletes resources, each for itself.

use anyhow::Result;
use clap::Args;
use weft_client::{Client, Error};

use crate::context::Context;
use crate::exit::Exit;
use crate::kind::{self, Kind};
use crate::names;

/// What `delete` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The kind of resource
    #[arg(value_parser = kind::parser())]
    kind: Kind,

    /// Which ones
    #[arg(value_name = "NAME|ID", required = true)]
    names: Vec<String>,

    /// What is not there is as good as deleted
    #[arg(long)]
    ignore_missing: bool,

    /// Only if it has been written so many times: its revision_number
    #[arg(long, value_name = "NUMBER")]
    if_revision: Option<u64>,
}

/// Runs the verb: goes on after what cannot be deleted.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let client = context.client()?;
    let kind = arguments.kind;
    let mut exit = Exit::Ok;
    for name in &arguments.names {
        match delete(&client, arguments, name).await {
            Ok(()) => context.console.done(&format!("deleted {} {name}", kind.member))?,
            Err(error) if arguments.ignore_missing && is_missing(&error) => {
                context.console.note(&format!("There is no {} {name}.", kind.member))?;
            }
            // Nothing else will go better without a controller.
            Err(error) if error.is_temporary() => return Err(error.into()),
            Err(error) => {
                context.console.complain(&format!("{} {name}: {error}", kind.member))?;
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

async fn delete(client: &Client, arguments: &Arguments, name: &str) -> Result<(), Error> {
    let id = names::resolve(client, arguments.kind, name).await?;
    client.delete(arguments.kind, &id, arguments.if_revision).await
}

fn is_missing(error: &Error) -> bool {
    match error {
        Error::NotFound { .. } => true,
        Error::Refused(refusal) => refusal.status == 404,
        _ => false,
    }
}
