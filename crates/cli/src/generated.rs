//! `create KIND`, `set KIND NAME` and `get KIND`: subcommands and flags made from the catalogue, so that a new service needs no word here.

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, Error, FromArgMatches, Subcommand};
use weft_services::catalogue::CATALOGUE;
use weft_services::{Attribute, AttributeType, OnCreate};

use crate::actions::{self, REVISION};
use crate::attributes;
use crate::kind::{self, Kind};

const NAME: &str = "positional_name";
const FILTER: &str = "list_filter";
const SORT: &str = "list_sort";

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

/// Resources to be listed.
pub(crate) struct Get {
    pub(crate) kind: Kind,
    pub(crate) names: Vec<String>,
    /// By flags of attributes, each with the texts of which it is to have one.
    pub(crate) given: Given,
    /// By `--filter`.
    pub(crate) filters: Vec<(String, String)>,
    /// Attributes, and whether the largest comes first.
    pub(crate) sort: Vec<(String, bool)>,
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
    let mut command = described(base(kind), kind, "Make");
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
    let command = described(base(kind), kind, "Change").arg(name).arg(actions::revision());
    let fixed = settable(kind, |attribute| !attribute.on_update).map(|attribute| {
        // Known, so that it can be said why it is not taken.
        attributes::argument(attribute).value_parser(clap::value_parser!(String)).hide(true)
    });
    let changed = settable(kind, |attribute| attribute.on_update).map(attributes::argument);
    changed.chain(fixed).fold(command, Command::arg)
}

/// Says what a command does with a resource, and what that is.
fn described(command: Command, kind: Kind, verb: &str) -> Command {
    let member = kind.member.replace('_', " ");
    let article = if member.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    let about = format!("{verb} {article} {member}");
    command.long_about(format!("{about}.\n\n{}.", kind.doc)).about(about)
}

fn get_command(kind: Kind) -> Command {
    let name = kind::collection(kind);
    let aliases = kind::aliases(kind, &name);
    let filter = Arg::new(FILTER)
        .long("filter")
        .env("WEFT_GET_FILTER")
        .hide_env(true)
        .value_name("ATTRIBUTE=VALUE")
        .value_parser(filter)
        .action(ArgAction::Append)
        .help("Only those with this value of an attribute, as in --filter network=blue; may be repeated");
    let sort = Arg::new(SORT)
        .long("sort")
        .env("WEFT_GET_SORT")
        .hide_env(true)
        .value_name("ATTRIBUTE[:desc]")
        .value_parser(sort)
        .action(ArgAction::Append)
        .help("In the order of this attribute; may be repeated, for those that are alike in it");
    let names = Arg::new(NAME).value_name("NAME|ID").action(ArgAction::Append).help("Only these");
    let command = Command::new(name).aliases(aliases).about(kind.doc).arg(names).arg(filter).arg(sort);
    let by_attribute = settable(kind, is_filter).map(|attribute| {
        let arg = attributes::argument(attribute).action(ArgAction::Append);
        arg.help(format!("Of these only: {}", attribute.doc)).help_heading("Filters by attribute")
    });
    by_attribute.fold(command, Command::arg)
}

/// Whether lists can be asked for by a value of this attribute.
fn is_filter(attribute: &Attribute) -> bool {
    let is_value = !attributes::is_list(attribute.kind) && attribute.kind != AttributeType::Object;
    attribute.name == "tags" || (is_value && attribute.is_shown())
}

fn filter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it has the form ATTRIBUTE=VALUE".to_owned()),
    }
}

/// Reads an order: names of attributes have colons, too.
fn sort(text: &str) -> Result<(String, bool), String> {
    let (name, is_descending) = match text.rsplit_once(':') {
        Some((name, "desc")) => (name, true),
        Some((name, "asc")) => (name, false),
        _ => (text, false),
    };
    if name.is_empty() {
        Err("an attribute is missing".to_owned())
    } else {
        Ok((name.to_owned(), is_descending))
    }
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

/// What was given of the attributes of a table.
pub(crate) fn given_of(attributes: &'static [Attribute], matches: &ArgMatches) -> Given {
    let texts = |attribute: &'static Attribute| {
        let values = matches.try_get_many::<String>(attribute.name).ok()??;
        Some((attribute, values.cloned().collect()))
    };
    attributes.iter().filter_map(texts).collect()
}

impl FromArgMatches for Create {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let (kind, matches) = chosen(matches)?;
        let mut given = given_of(kind.attributes, matches);
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
        let mut given = given_of(kind.attributes, matches);
        given.retain(|(attribute, _)| attribute.on_update);
        let is_typed = |attribute: &&Attribute| {
            !attribute.on_update
                && matches.try_contains_id(attribute.name).is_ok()
                && matches.value_source(attribute.name) == Some(ValueSource::CommandLine)
        };
        if let Some(fixed) = kind.attributes.iter().find(is_typed) {
            let (attribute, member) = (fixed.name, kind.member.replace('_', " "));
            let message = format!("the {attribute} of a {member} cannot be changed\n");
            return Err(Error::raw(ErrorKind::ArgumentConflict, message));
        }
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

impl FromArgMatches for Get {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let (kind, matches) = chosen(matches)?;
        let names = matches.get_many::<String>(NAME).unwrap_or_default().cloned().collect();
        let filters = matches.get_many(FILTER).unwrap_or_default().cloned().collect();
        let sort = matches.get_many(SORT).unwrap_or_default().cloned().collect();
        Ok(Self { kind, names, given: given_of(kind.attributes, matches), filters, sort })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn with_kinds(command: Command, kinds: impl Iterator<Item = Kind>, of_kind: fn(Kind) -> Command) -> Command {
    let command =
        command.subcommand_required(true).arg_required_else_help(true).subcommand_value_name("KIND");
    kinds.map(of_kind).fold(command.subcommand_help_heading("Kinds"), Command::subcommand)
}

impl Subcommand for Create {
    fn augment_subcommands(command: Command) -> Command {
        with_kinds(command, kinds(), create_command)
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
        with_kinds(command, kinds(), set_command)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        Create::has_subcommand(name)
    }
}

impl Subcommand for Get {
    fn augment_subcommands(command: Command) -> Command {
        with_kinds(command, CATALOGUE.iter(), get_command)
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        kind::by_name(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_an_attribute_with_or_without_a_direction() {
        for (text, expected) in [
            ("name", Some(("name", false))),
            ("name:desc", Some(("name", true))),
            ("binding:host_id", Some(("binding:host_id", false))),
            ("binding:host_id:asc", Some(("binding:host_id", false))),
            (":desc", None),
        ] {
            let expected = expected.map(|(name, is_descending)| (name.to_owned(), is_descending));
            assert_eq!(sort(text).ok(), expected, "{text}");
        }
    }
}
