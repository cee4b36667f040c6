//! `weft`: the command line.
//!
//! Never here: anything that the API does not offer to everybody; the catalogue says which resources and attributes there are.
//!
//! ```text
//! arguments ──> Verb ── commands/<verb>.rs ──> weft_client ──> output (table, wide, json, yaml, name)
//! YAML ── yaml: tree with places ── check by the catalogue ──> documents ──┘      errors point back to line and column
//! ```

mod actions;
mod arguments;
mod attributes;
mod bindings;
mod commands;
mod console;
mod context;
mod deadline;
mod environment;
mod exit;
mod generated;
mod kind;
mod names;
mod output;
mod plan;
mod quarantine;
mod suggest;
mod yaml;

use std::process::ExitCode;

use clap::FromArgMatches;

use crate::arguments::{Globals, Verb};
use crate::context::Context;

fn main() -> ExitCode {
    let matches = arguments::command().get_matches();
    let globals = Globals::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let verb = Verb::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    environment::start_log(globals.verbose);
    let context = Context::new(globals);
    let (on_error, runs_command) = (verb.exit_on_error(), verb.runs_command());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            runtime.block_on(deadline::keep(&context, runs_command, commands::run(verb, &context)))
        }
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => context.console.report(&error, on_error).into(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_arguments_are_well_formed() {
        crate::arguments::command().debug_assert();
    }
}
