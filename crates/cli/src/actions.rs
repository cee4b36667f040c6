//! `do KIND ACTION NAME`: subcommands made from the actions that the catalogue has.

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, Error, FromArgMatches, Subcommand};
use weft_services::catalogue::{CATALOGUE, MemberAction, Method};
use weft_services::{Attribute, OnCreate};

use crate::attributes;
use crate::generated::{Given, given_of};
use crate::kind::{self, Kind};

const NAME: &str = "positional_name";
/// The name of the argument of [`revision`].
pub(crate) const REVISION: &str = "positional_revision";

/// An action on one resource.
pub(crate) struct Do {
    pub(crate) kind: Kind,
    pub(crate) action: &'static MemberAction,
    pub(crate) name: String,
    pub(crate) revision: Option<u64>,
    pub(crate) given: Given,
}

fn kinds() -> impl Iterator<Item = Kind> {
    CATALOGUE.iter().filter(|kind| !kind.actions.is_empty())
}

fn kind_command(kind: Kind) -> Command {
    let name = kind::member(kind);
    let aliases = kind::aliases(kind, &name);
    let command = Command::new(name).aliases(aliases).about(kind.doc);
    let command = command.subcommand_required(true).arg_required_else_help(true);
    let command = command.subcommand_value_name("ACTION").subcommand_help_heading("Actions");
    kind.actions.iter().map(action_command).fold(command, Command::subcommand)
}

fn action_command(action: &'static MemberAction) -> Command {
    let name = Arg::new(NAME).value_name("NAME|ID").required(true).help("Of which one");
    let command = Command::new(action.name.replace('_', "-")).alias(action.name).about(action.doc).arg(name);
    let command = if action.method() == Method::Get { command } else { command.arg(revision()) };
    let argument = |attribute: &'static Attribute| {
        attributes::argument(attribute).required(attribute.on_create == OnCreate::Required)
    };
    action.attributes.iter().map(argument).fold(command, Command::arg)
}

/// The condition that a resource has been written so many times.
pub(crate) fn revision() -> Arg {
    Arg::new(REVISION)
        .long("if-revision")
        .value_name("NUMBER")
        .value_parser(clap::value_parser!(u64))
        .help("Only if it has been written so many times: its revision_number")
}

impl FromArgMatches for Do {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let chosen = || {
            let (kind, matches) = matches.subcommand()?;
            let kind = kind::by_name(kind)?;
            let (action, matches) = matches.subcommand()?;
            Some((kind, kind.action(&action.replace('-', "_"))?, matches))
        };
        let missing = || Error::raw(ErrorKind::MissingSubcommand, "an action is missing\n");
        let (kind, action, matches) = chosen().ok_or_else(missing)?;
        let name = matches.get_one::<String>(NAME).cloned().unwrap_or_default();
        let revision = matches.try_get_one::<u64>(REVISION).ok().flatten().copied();
        Ok(Self { kind, action, name, revision, given: given_of(action.attributes, matches) })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Subcommand for Do {
    fn augment_subcommands(command: Command) -> Command {
        let command =
            command.subcommand_required(true).arg_required_else_help(true).subcommand_value_name("KIND");
        kinds().map(kind_command).fold(command.subcommand_help_heading("Kinds"), Command::subcommand)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        kind::by_name(name).is_some_and(|kind| !kind.actions.is_empty())
    }
}
