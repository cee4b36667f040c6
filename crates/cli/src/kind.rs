//! Kinds of resources on the command line, in any of their names.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use weft_services::catalogue::{CATALOGUE, Entry};

/// A kind: an entry of the catalogue.
pub(crate) type Kind = &'static Entry;

/// The entry of a name that a person uses: member or collection, with dashes or underscores.
pub(crate) fn by_name(name: &str) -> Option<Kind> {
    weft_services::catalogue::by_any_name(name)
}

/// How a kind's member is written on the command line.
pub(crate) fn member(kind: Kind) -> String {
    kind.member.replace('_', "-")
}

/// How a kind's collection is written on the command line.
pub(crate) fn collection(kind: Kind) -> String {
    kind.collection.replace('_', "-")
}

/// Every other name of a kind.
pub(crate) fn aliases(kind: Kind, except: &str) -> Vec<String> {
    let mut names = vec![member(kind), collection(kind), kind.member.to_owned(), kind.collection.to_owned()];
    names.sort();
    names.dedup();
    names.retain(|name| name != except);
    names
}

/// Reads the name of a kind.
pub(crate) fn parser() -> impl TypedValueParser<Value = Kind> {
    let values = CATALOGUE.iter().map(|kind| {
        let name = collection(kind);
        let aliases = aliases(kind, &name);
        PossibleValue::new(name).aliases(aliases).help(kind.doc)
    });
    PossibleValuesParser::new(values)
        .try_map(|name| by_name(&name).ok_or_else(|| format!("'{name}' is not a kind of resource")))
}
