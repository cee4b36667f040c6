//! `completion`: the completion script of a shell.

use anyhow::Result;
use clap::{Args, ValueEnum};
use clap_complete::Shell;

use crate::arguments;
use crate::context::Context;
use crate::exit::Exit;

/// What `completion` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: For,
}

/// The shells for which there is a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum For {
    Bash,
    Zsh,
    Fish,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let shell = match arguments.shell {
        For::Bash => Shell::Bash,
        For::Zsh => Shell::Zsh,
        For::Fish => Shell::Fish,
    };
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut arguments::command(), "weft", &mut script);
    context.console.out(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
