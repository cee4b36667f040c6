//! Identifiers of resources.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;
use weft_net::ParseError;

/// The identifier of a resource: a UUID (RFC 9562), printed in lower case with hyphens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Id(Uuid);

impl Id {
    /// The smallest, all zeros.
    pub const MIN: Self = Self(Uuid::nil());
    /// The largest, all ones.
    pub const MAX: Self = Self(Uuid::max());

    /// A version 4 identifier from sixteen random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// The first eleven characters: what there is room for in the name of an interface.
    #[must_use]
    pub fn short(self) -> String {
        let mut text = self.to_string();
        text.truncate(11);
        text
    }

    /// The smallest and the largest identifier that have the same [`short`](Self::short) form as this one.
    #[must_use]
    pub fn same_short(self) -> (Self, Self) {
        // Eleven characters are eight digits, a hyphen and two digits: forty bits.
        let (low, high) = (self.0.as_u128() >> 88 << 88, self.0.as_u128() | (u128::MAX >> 40));
        (Self(Uuid::from_u128(low)), Self(Uuid::from_u128(high)))
    }
}

impl FromStr for Id {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match Uuid::try_parse(text) {
            Ok(uuid) if text.len() == 36 => Ok(Self(uuid)),
            _ => Err(ParseError {
                what: "UUID",
                text: text.to_owned(),
                rule: "32 hexadecimal digits in groups of 8-4-4-4-12 are needed",
            }),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_between_the_bounds_of_a_short_form_shares_it() {
        let id: Id = "8c1f24aa-77bb-4ccc-8ddd-eeeeeeeeeeee".parse().unwrap();
        let (low, high) = id.same_short();
        assert_eq!(id.short(), "8c1f24aa-77");
        assert_eq!((low.short(), high.short()), (id.short(), id.short()));
        assert!(low < id && id < high);
    }

    #[test]
    fn only_the_hyphenated_form_is_read() {
        assert!("8c1f24aa77bb4ccc8dddeeeeeeeeeeee".parse::<Id>().is_err());
        assert!("{8c1f24aa-77bb-4ccc-8ddd-eeeeeeeeeeee}".parse::<Id>().is_err());
    }
}
