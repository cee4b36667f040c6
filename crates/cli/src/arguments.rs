//! What can be said on the command line.

use std::time::Duration;

use clap::{Args, Command, Subcommand};

use crate::actions::Do;
use crate::commands::{
    apply, bgp, certificates, completion, delete, describe, diff, doctor, explain, history, lab, man, plan,
    restore, rollback, snapshot, status, watch,
};
use crate::environment;
use crate::exit::Exit;
use crate::generated::{Create, Get, Set};
use crate::output::Format;

const ABOUT: &str = "Weave networks across hosts: say what should be connected, and see that it is";

/// The whole command line.
pub(crate) fn command() -> Command {
    let command = Command::new("weft")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(false)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .propagate_version(false)
        .infer_long_args(false)
        .after_help(
            "Every flag is also a variable: --url is WEFT_URL, `apply --prune` is WEFT_APPLY_PRUNE.\n\
             WEFT_TOKEN (or OS_TOKEN) is sent as the token, OS_ENDPOINT_OVERRIDE is read where WEFT_URL is not set.\n\n\
             Exit codes: 0 done, 1 error, 2 usage, 124 it took too long.",
        );
    // Each of the two would say its own purpose as that of the whole.
    let command =
        Verb::augment_subcommands(Globals::augment_args(command)).about(ABOUT).long_about(None::<&str>);
    environment::with_variables(command, "WEFT")
}

/// What holds for every command.
#[derive(Args)]
pub(crate) struct Globals {
    /// The controller's address
    #[arg(
        id = "global_url",
        long = "url",
        env = "WEFT_URL",
        value_name = "URL",
        global = true,
        help_heading = "Global options",
        long_help = "The controller's address [default: http://127.0.0.1:9696]"
    )]
    pub(crate) url: Option<String>,

    /// The form of the output
    #[arg(
        id = "global_output",
        short = 'o',
        long = "output",
        env = "WEFT_OUTPUT",
        value_name = "FORMAT",
        default_value = "table",
        global = true,
        help_heading = "Global options"
    )]
    pub(crate) output: Format,

    /// Print tables without their first line
    #[arg(
        id = "global_no_headers",
        long = "no-headers",
        env = "WEFT_NO_HEADERS",
        global = true,
        help_heading = "Global options"
    )]
    pub(crate) no_headers: bool,

    /// Print data and errors only
    #[arg(
        id = "global_quiet",
        short = 'q',
        long = "quiet",
        env = "WEFT_QUIET",
        global = true,
        help_heading = "Global options"
    )]
    pub(crate) quiet: bool,

    /// Say which requests are sent; twice: say more
    #[arg(id = "global_verbose", short = 'v', long = "verbose", action = clap::ArgAction::Count, global = true, help_heading = "Global options")]
    pub(crate) verbose: u8,

    /// How long it may take: 30, 30s, 5m, 500ms
    #[arg(
        id = "global_timeout",
        long = "timeout",
        env = "WEFT_TIMEOUT",
        value_name = "TIME",
        value_parser = duration,
        global = true,
        help_heading = "Global options"
    )]
    pub(crate) timeout: Option<Duration>,
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make what is there what the files say, all or nothing
    Apply(apply::Arguments),
    /// Say what `apply` would do
    Plan(plan::Arguments),
    /// Show how what is there differs from what the files say
    Diff(diff::Arguments),
    /// List resources
    #[command(subcommand)]
    Get(Get),
    /// Show everything about one resource: attributes, surroundings, history
    Describe(describe::Arguments),
    /// Make one resource
    #[command(subcommand)]
    Create(Create),
    /// Change attributes of one resource
    #[command(subcommand)]
    Set(Set),
    /// Do what one resource can do besides: add an interface to a router, a peer to a speaker
    #[command(subcommand)]
    Do(Do),
    /// Delete resources
    Delete(delete::Arguments),
    /// Show what was changed when by whom
    History(history::Arguments),
    /// Go back to how things were at a revision
    Rollback(rollback::Arguments),
    /// Show changes as they happen
    Watch(watch::Arguments),
    /// Show how far the hosts are; fails if one is not alive or not at rest
    Status(status::Arguments),
    /// Show BGP neighbours and routes, and why a path is the best
    #[command(subcommand)]
    Bgp(bgp::Verb),
    /// Say why things are on a host, or what leads to a destination: who asked for them, and when
    Explain(explain::Arguments),
    /// Look for what is wrong, and say what to do about it
    Doctor(doctor::Arguments),
    /// Write the whole model into a file
    Snapshot(snapshot::Arguments),
    /// Put a snapshot in place of the whole model
    Restore(restore::Arguments),
    /// Make the certificates by which controller and hosts know each other
    Certificates(certificates::Arguments),
    /// Run many hosts on this machine
    #[command(subcommand)]
    Lab(lab::Verb),
    /// Print the completion script of a shell
    Completion(completion::Arguments),
    /// Write the manual pages
    Man(man::Arguments),
    /// Print the versions of this program and of the controller
    Version,
}

impl Verb {
    /// What the process ends with when the verb fails.
    pub(crate) fn exit_on_error(&self) -> Exit {
        if matches!(self, Self::Diff(_)) { Exit::DiffFailed } else { Exit::Failed }
    }

    /// Whether it is to run a command for somebody.
    pub(crate) const fn runs_command(&self) -> bool {
        matches!(self, Self::Lab(lab::Verb::Exec(_)))
    }
}

/// Reads a time.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|letter: char| !(letter.is_ascii_digit() || letter == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_s = match unit.trim() {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        other => return Err(format!("'{other}' is not a unit of time; ms, s, m and h are")),
    };
    let number: f64 = number.parse().map_err(|_| "a number is missing, as in 30s".to_owned())?;
    let duration = Duration::try_from_secs_f64(number * unit_s).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("it has to be longer than nothing".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_seconds_unless_it_says_otherwise() {
        for (text, milliseconds) in [("30", 30_000), ("30s", 30_000), ("1.5m", 90_000), ("250ms", 250)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "s", "0", "3 weeks", "-1"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
