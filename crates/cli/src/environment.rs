//! The environment: every flag is also a variable, `WEFT_<VERB>_<FLAG>`.

use clap::builder::FalseyValueParser;
use clap::{Arg, ArgAction, Command};
use tracing_subscriber::EnvFilter;

/// Gives each flag that has no variable of its own one that is named after it.
pub(crate) fn with_variables(command: Command, prefix: &str) -> Command {
    let command = command.mut_args(|arg| with_variable(arg, prefix));
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| {
        let prefix = format!("{prefix}_{}", variable_part(&name));
        command.mut_subcommand(name, |sub| with_variables(sub, &prefix))
    })
}

fn with_variable(arg: Arg, prefix: &str) -> Arg {
    let arg = match arg.get_action() {
        ArgAction::SetTrue => arg.value_parser(FalseyValueParser::new()),
        _ => arg,
    };
    if arg.get_env().is_some() {
        return without_empty(arg);
    }
    let Some(long) = arg.get_long() else { return arg };
    let variable = format!("{prefix}_{}", variable_part(long));
    without_empty(arg.env(variable).hide_env(true))
}

/// A variable that is set to nothing says nothing.
fn without_empty(arg: Arg) -> Arg {
    let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { arg.env(None::<&'static str>) } else { arg }
}

fn variable_part(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

/// The first of these variables that is set to something.
pub(crate) fn first_of(names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty())
}

/// Logs requests to standard error, if asked for by `-v` or `RUST_LOG`.
pub(crate) fn start_log(verbose: u8) {
    let filter = match (verbose, EnvFilter::try_from_default_env()) {
        (0, Ok(filter)) => filter,
        (0, Err(_)) => return,
        (1, _) => EnvFilter::new("weft=debug,weft_client=debug"),
        (_, _) => EnvFilter::new("debug"),
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
}
