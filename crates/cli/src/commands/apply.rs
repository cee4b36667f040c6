//! `apply`: makes what is there what the files say.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use weft_client::{Applied, Apply, Client, Error};

use crate::context::Context;
use crate::exit::Exit;
use crate::plan::{may_go_on, print_done, print_plan, refuse_unasked};
use crate::yaml::{self, Input};

/// Which documents, and of which set: the same for `apply`, `plan` and `diff`.
#[derive(Args)]
pub(crate) struct Documents {
    /// A file, a directory of files, or - for standard input; may be repeated
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// The set to which the documents belong [default: the file's name without ending, or `default`]
    #[arg(long, env = "WEFT_SET", value_name = "NAME")]
    set: Option<String>,

    /// The project that is to own what is made
    #[arg(long, env = "WEFT_PROJECT", value_name = "PROJECT")]
    project: Option<String>,

    /// Also delete what the set made before and no document names any more
    #[arg(long)]
    prune: bool,
}

/// What `apply` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    documents: Documents,

    /// Do not ask
    #[arg(short = 'y', long)]
    yes: bool,

    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Documents that were read, to be sent once or twice.
pub(crate) struct Wanted {
    input: Input,
    apply: Apply,
}

impl Documents {
    /// Reads the files.
    pub(crate) fn read(&self) -> Result<Wanted> {
        let input = yaml::read(&self.files)?;
        if input.is_empty() && !self.prune {
            bail!("the files hold no documents");
        }
        let set = self.set.clone().unwrap_or_else(|| yaml::default_set(&self.files));
        let apply = Apply {
            set,
            project_id: self.project.clone(),
            prune: self.prune,
            dry_run: true,
            documents: input.bodies(),
        };
        Ok(Wanted { input, apply })
    }
}

impl Wanted {
    /// Sends the documents; a refusal is shown at the place that it is about.
    pub(crate) async fn send(&mut self, client: &Client, dry_run: bool) -> Result<Applied> {
        self.apply.dry_run = dry_run;
        match client.apply(&self.apply).await {
            Ok(applied) => Ok(applied),
            Err(Error::Refused(refusal)) => match self.input.locate(&refusal) {
                Some(problems) => Err(problems.into()),
                None => Err(Error::Refused(refusal).into()),
            },
            Err(error) => Err(error.into()),
        }
    }
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let mut wanted = arguments.documents.read()?;
    let may_delete = arguments.documents.prune && !arguments.dry_run;
    if let Some(exit) = refuse_unasked(context, arguments.yes || !may_delete, "`apply --prune`")? {
        return Ok(exit);
    }
    let client = context.client()?;
    if arguments.dry_run {
        print_plan(context, &wanted.send(&client, true).await?)?;
        return Ok(Exit::Ok);
    }
    if context.console.is_interactive() && !arguments.yes {
        let plan = wanted.send(&client, true).await?;
        print_plan(context, &plan)?;
        if !may_go_on(context, arguments.yes, &plan)? {
            return Ok(Exit::Failed);
        }
    }
    print_done(context, &wanted.send(&client, false).await?)?;
    Ok(Exit::Ok)
}
