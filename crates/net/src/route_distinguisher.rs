//! Route distinguishers.

use std::fmt;
use std::str::FromStr;

use crate::serde_text::serde_as_text;
use crate::{AdministeredNumber, ParseError};

/// A route distinguisher (RFC 4364 §4.2): makes equal prefixes of different VPNs different routes.
///
/// Text: `65000:100`, `192.0.2.1:100`, `4200000000:100` ([`AdministeredNumber`]). One of a type that nobody has defined, as a peer may
/// send, is `0x` and 16 hexadecimal digits. The order is that of the octets.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteDistinguisher([u8; 8]);

impl RouteDistinguisher {
    /// All zeros: stands before the next hop of a VPN route (RFC 4364 §4.3.2).
    pub const ZERO: Self = Self([0; 8]);

    /// The distinguisher with these octets, first on the wire first: two of type, six of value.
    #[must_use]
    pub const fn from_octets(octets: [u8; 8]) -> Self {
        Self(octets)
    }

    /// The eight octets, first on the wire first.
    #[must_use]
    pub const fn octets(self) -> [u8; 8] {
        self.0
    }

    /// Administrator and assigned number, or `None` for a type other than 0, 1 and 2.
    #[must_use]
    pub fn parts(self) -> Option<AdministeredNumber> {
        let [high, kind, value @ ..] = self.0;
        if high == 0 { AdministeredNumber::from_octets(kind, value) } else { None }
    }
}

impl From<AdministeredNumber> for RouteDistinguisher {
    fn from(parts: AdministeredNumber) -> Self {
        let [a, b, c, d, e, g] = parts.octets();
        Self([0, parts.kind(), a, b, c, d, e, g])
    }
}

impl FromStr for RouteDistinguisher {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rule = "an AS number or an IPv4 address, a colon and a number are needed, as in 65000:100";
        let error = || ParseError::new("route distinguisher", text, rule);
        if let Some(digits) = text.strip_prefix("0x") {
            let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            let number = u64::from_str_radix(digits, 16).map_err(|_| error())?;
            let this = Self(number.to_be_bytes());
            let is_one = digits.len() == 16 && digits.bytes().all(lower) && this.parts().is_none();
            return is_one.then_some(this).ok_or_else(error);
        }
        AdministeredNumber::parse(text).map(Self::from).ok_or_else(error)
    }
}

impl fmt::Display for RouteDistinguisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            Some(parts) => fmt::Display::fmt(&parts, f),
            None => write!(f, "{:#018x}", u64::from_be_bytes(self.0)),
        }
    }
}

impl fmt::Debug for RouteDistinguisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(RouteDistinguisher);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_one_text_and_these_octets() {
        for (text, octets) in [
            ("65000:100", [0, 0, 0xfd, 0xe8, 0, 0, 0, 100]),
            ("0:4294967295", [0, 0, 0, 0, 255, 255, 255, 255]),
            ("192.0.2.1:65535", [0, 1, 192, 0, 2, 1, 255, 255]),
            ("4200000000:7", [0, 2, 0xfa, 0x56, 0xea, 0, 0, 7]),
            ("0.65000:7", [0, 2, 0, 0, 0xfd, 0xe8, 0, 7]),
            ("0x0003000000000001", [0, 3, 0, 0, 0, 0, 0, 1]),
        ] {
            let read: RouteDistinguisher = text.parse().unwrap();
            assert_eq!(read.octets(), octets, "{text}");
            assert_eq!(RouteDistinguisher::from_octets(octets).to_string(), text);
            let json = serde_json::to_string(&read).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<RouteDistinguisher>(&json).unwrap(), read);
        }
    }

    #[test]
    fn what_is_not_a_distinguisher_is_refused() {
        for text in [
            "",
            "65000",
            ":",
            "65000:",
            ":1",
            "065000:1",
            "65000:01",
            "+1:1",
            "1:-1",
            "65000:4294967296",
            "70000:65536",
            "4294967296:1",
            "192.0.2.1:65536",
            "192.0.2:1",
            "0.70000:1",
            "1.1:1",
            "1:1:1",
            " 1:1",
            "0x0000000000000001",
            "0x003000000000001",
            "0x000300000000000A",
        ] {
            assert!(text.parse::<RouteDistinguisher>().is_err(), "{text}");
        }
    }
}
