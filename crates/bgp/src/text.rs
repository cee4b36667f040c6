//! Values of the wire as texts in configurations and answers.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serializer};

use crate::wire::{Community, Family};

/// The family of a name.
pub(crate) fn family(name: &str) -> Option<Family> {
    Family::ALL.into_iter().find(|family| family.to_string() == name)
}

fn community(text: &str) -> Option<Community> {
    let (high, low) = text.split_once(':')?;
    Some(Community(u32::from(high.parse::<u16>().ok()?) << 16 | u32::from(low.parse::<u16>().ok()?)))
}

/// The items as their texts.
fn serialize_all<S: Serializer, T: fmt::Display>(items: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(items.iter().map(ToString::to_string))
}

fn deserialize_all<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    what: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let item = |text: &String| parse(text).ok_or_else(|| D::Error::custom(format!("'{text}' is not {what}")));
    texts.iter().map(item).collect()
}

/// Families by name.
pub(crate) mod families {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(items: &[Family], serializer: S) -> Result<S::Ok, S::Error> {
        serialize_all(items, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Family>, D::Error> {
        let names = Family::ALL.map(|family| family.to_string()).join(", ");
        deserialize_all(deserializer, &format!("an address family: {names}"), family)
    }
}

/// Communities as `65000:1`.
pub(crate) mod communities {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(items: &[Community], serializer: S) -> Result<S::Ok, S::Error> {
        serialize_all(items, serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Community>, D::Error> {
        deserialize_all(deserializer, "a community: two numbers up to 65535, as in 65000:1", community)
    }
}

/// One value as its text.
pub(crate) fn serialize<S: Serializer, T: fmt::Display>(item: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(item)
}
