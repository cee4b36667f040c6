//! `create KIND` and `set KIND NAME`: subcommands and flags made from the catalogue, so that a new service needs no word here.

use clap::error::ErrorKind;
use clap::{Arg, ArgMatches, Command, Error, FromArgMatches, Subcommand};
use weft_services::catalogue::CATALOGUE;
use weft_services::{Attribute, OnCreate};

use crate::attributes;
use crate::kind::{self, Kind};

const NAME: &str = "positional_name";
const REVISION: &str = "positional_revision";

/// Attributes as they were given: each with its texts.
pub(crate) type Given = Vec<(&'static Attribute, Vec<String>)>;

/// One resource to be made.
pub(crate) struct Create {
    pub(crate) kind: Kind,
    pub(crate) given: Given,
}

/// One resource to be changed.
pub(crate) struct Set {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) revision: Option<u64>,
    pub(crate) given: Given,
}

fn kinds() -> impl Iterator<Item = Kind> {
    CATALOGUE.iter().filter(|kind| kind.verbs.write)
}

fn base(kind: Kind) -> Command {
    let name = kind::member(kind);
    let aliases = kind::aliases(kind, &name);
    Command::new(name).aliases(aliases).arg_required_else_help(true)
}

fn create_command(kind: Kind) -> Command {
    let mut command = base(kind).about(format!("Make one of: {}", kind.doc));
    if kind.attribute("name").is_some() {
        command = command.arg(Arg::new(NAME).value_name("NAME").help("Its name, as --name has it"));
    }
    for attribute in settable(kind, |attribute| attribute.on_create != OnCreate::ReadOnly) {
        let is_required = attribute.on_create == OnCreate::Required && !attributes::is_derived(attribute);
        let mut arg = attributes::argument(attribute).required(is_required);
        if attribute.name == "name" {
            arg = arg.conflicts_with(NAME);
        }
        command = command.arg(arg);
    }
    command
}

fn set_command(kind: Kind) -> Command {
    let name = Arg::new(NAME).value_name("NAME|ID").required(true).help("Which one");
    let revision = Arg::new(REVISION)
        .long("if-revision")
        .value_name("NUMBER")
        .value_parser(clap::value_parser!(u64))
        .help("Only if it has been written so many times: its revision_number");
    let command = base(kind).about(format!("Change one of: {}", kind.doc)).arg(name).arg(revision);
    settable(kind, |attribute| attribute.on_update).map(attributes::argument).fold(command, Command::arg)
}

fn settable(kind: Kind, rule: fn(&Attribute) -> bool) -> impl Iterator<Item = &'static Attribute> {
    kind.attributes.iter().filter(move |attribute| attribute.name != "tenant_id" && rule(attribute))
}

fn chosen(matches: &ArgMatches) -> Result<(Kind, &ArgMatches), Error> {
    matches
        .subcommand()
        .and_then(|(name, matches)| kind::by_name(name).map(|kind| (kind, matches)))
        .ok_or_else(|| Error::raw(ErrorKind::MissingSubcommand, "a kind of resource is missing\n"))
}

fn given(kind: Kind, matches: &ArgMatches) -> Given {
    let texts = |attribute: &'static Attribute| {
        let values = matches.try_get_many::<String>(attribute.name).ok()??;
        Some((attribute, values.cloned().collect()))
    };
    kind.attributes.iter().filter_map(texts).collect()
}

impl FromArgMatches for Create {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let (kind, matches) = chosen(matches)?;
        let mut given = given(kind, matches);
        let name = matches.try_get_one::<String>(NAME).ok().flatten();
        given.extend(name.and_then(|name| Some((kind.attribute("name")?, vec![name.clone()]))));
        Ok(Self { kind, given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl FromArgMatches for Set {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let (kind, matches) = chosen(matches)?;
        let name = matches.get_one::<String>(NAME).cloned().unwrap_or_default();
        let revision = matches.get_one::<u64>(REVISION).copied();
        let given = given(kind, matches);
        if given.is_empty() {
            let message = "nothing is to be changed: give at least one attribute, as in --description TEXT\n";
            return Err(Error::raw(ErrorKind::MissingRequiredArgument, message));
        }
        Ok(Self { kind, name, revision, given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn with_kinds(command: Command, of_kind: fn(Kind) -> Command) -> Command {
    let command =
        command.subcommand_required(true).arg_required_else_help(true).subcommand_value_name("KIND");
    kinds().map(of_kind).fold(command.subcommand_help_heading("Kinds"), Command::subcommand)
}

impl Subcommand for Create {
    fn augment_subcommands(command: Command) -> Command {
        with_kinds(command, create_command)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        kind::by_name(name).is_some_and(|kind| kind.verbs.write)
    }
}

impl Subcommand for Set {
    fn augment_subcommands(command: Command) -> Command {
        with_kinds(command, set_command)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Create::has_subcommand(name)
    }
}
