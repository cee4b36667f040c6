//! Autonomous system numbers.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;
use crate::administered::decimal;
use crate::serde_text::serde_as_text;

/// A four-octet autonomous system number (RFC 6793). Written as one decimal number, *asplain* (RFC 5396).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(u32);

impl Asn {
    /// `AS_TRANS`: stands where a number above 65,535 cannot be written (RFC 6793 §9).
    pub const TRANS: Self = Self(23_456);

    /// The system with this number. Zero is reserved (RFC 7607), yet can be written.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number in two octets, if it has no more.
    #[must_use]
    pub fn two_octets(self) -> Option<u16> {
        u16::try_from(self.0).ok()
    }

    /// Whether the number is kept for private use (RFC 6996).
    #[must_use]
    pub const fn is_private(self) -> bool {
        matches!(self.0, 64_512..=65_534 | 4_200_000_000..=4_294_967_294)
    }
}

impl From<u32> for Asn {
    fn from(number: u32) -> Self {
        Self(number)
    }
}

impl FromStr for Asn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rule = "a number from 0 to 4294967295 without leading zeros is needed";
        decimal(text).map(Self).ok_or_else(|| ParseError::new("autonomous system number", text, rule))
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AS{}", self.0)
    }
}

serde_as_text!(Asn);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_and_printed_as_one_decimal_number() {
        for number in [0, 1, 65_535, 65_536, u32::MAX] {
            assert_eq!(number.to_string().parse(), Ok(Asn::new(number)));
            assert_eq!(Asn::new(number).to_string(), number.to_string());
        }
        for text in ["", "+1", "-1", "01", "1.0", "4294967296", "AS1", " 1"] {
            assert!(text.parse::<Asn>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_numbers_for_private_use_are_those_of_rfc_6996() {
        let private = |number| Asn::new(number).is_private();
        assert!(private(64_512) && private(65_534) && private(4_200_000_000) && private(4_294_967_294));
        assert!(!private(64_511) && !private(65_535) && !private(4_199_999_999) && !private(u32::MAX));
    }
}
