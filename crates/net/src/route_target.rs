//! Route targets.

use std::fmt;
use std::str::FromStr;

use crate::serde_text::serde_as_text;
use crate::{AdministeredNumber, ParseError};

/// A route target: the transitive extended community with sub-type 2 of the two-octet-AS, IPv4-address or four-octet-AS kind
/// (RFC 4360 §4, RFC 5668). Says which VPNs take a route in.
///
/// Text: `65000:100`, `192.0.2.1:100`, `4200000000:100` ([`AdministeredNumber`]). The order is that of the octets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteTarget([u8; 8]);

const SUB_TYPE: u8 = 2;

impl RouteTarget {
    /// The target with these octets of an extended community, or `None` if they are not one of a target.
    #[must_use]
    pub const fn from_octets(octets: [u8; 8]) -> Option<Self> {
        match octets {
            [0..=2, SUB_TYPE, ..] => Some(Self(octets)),
            _ => None,
        }
    }

    /// The eight octets of the extended community, first on the wire first.
    #[must_use]
    pub const fn octets(self) -> [u8; 8] {
        self.0
    }

    /// Administrator and assigned number.
    #[must_use]
    pub fn parts(self) -> AdministeredNumber {
        let [kind, _, value @ ..] = self.0;
        AdministeredNumber::from_octets(kind, value).expect("no other kind was let in")
    }
}

impl From<AdministeredNumber> for RouteTarget {
    fn from(parts: AdministeredNumber) -> Self {
        let [a, b, c, d, e, g] = parts.octets();
        Self([parts.kind(), SUB_TYPE, a, b, c, d, e, g])
    }
}

impl FromStr for RouteTarget {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rule = "an AS number or an IPv4 address, a colon and a number are needed, as in 65000:100";
        let error = || ParseError::new("route target", text, rule);
        AdministeredNumber::parse(text).map(Self::from).ok_or_else(error)
    }
}

impl fmt::Display for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.parts(), f)
    }
}

impl fmt::Debug for RouteTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(RouteTarget);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_one_text_and_these_octets() {
        for (text, octets) in [
            ("65000:100", [0, 2, 0xfd, 0xe8, 0, 0, 0, 100]),
            ("192.0.2.1:65535", [1, 2, 192, 0, 2, 1, 255, 255]),
            ("4200000000:7", [2, 2, 0xfa, 0x56, 0xea, 0, 0, 7]),
            ("0.1:7", [2, 2, 0, 0, 0, 1, 0, 7]),
        ] {
            let read: RouteTarget = text.parse().unwrap();
            assert_eq!(read.octets(), octets, "{text}");
            assert_eq!(RouteTarget::from_octets(octets), Some(read));
            assert_eq!(read.to_string(), text);
            assert_eq!(
                serde_json::from_str::<RouteTarget>(&serde_json::to_string(&read).unwrap()).unwrap(),
                read
            );
        }
    }

    #[test]
    fn other_extended_communities_and_other_texts_are_refused() {
        for octets in [[3, 2, 0, 0, 0, 0, 0, 0], [0, 3, 0, 0, 0, 0, 0, 0], [0x40, 2, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(RouteTarget::from_octets(octets), None);
        }
        for text in ["", "1", "01:1", "1:01", "70000:70000", "192.0.2.1:70000", "0x0002000000000001"] {
            assert!(text.parse::<RouteTarget>().is_err(), "{text}");
        }
    }
}
