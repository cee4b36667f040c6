//! MPLS labels.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;
use crate::administered::decimal;

/// The label of an MPLS label stack entry (RFC 3032 §2.1): 20 bits. Those below 16 have a meaning of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct MplsLabel(u32);

impl MplsLabel {
    /// Pop and forward (RFC 3032 §2.1).
    pub const IMPLICIT_NULL: Self = Self(3);
    /// The largest: 20 bits, all ones.
    pub const MAX: Self = Self(0xf_ffff);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for MplsLabel {
    type Error = ParseError;

    fn try_from(number: u32) -> Result<Self, ParseError> {
        if number <= Self::MAX.0 {
            Ok(Self(number))
        } else {
            Err(ParseError::new("MPLS label", &number.to_string(), "0 to 1048575 is the range"))
        }
    }
}

impl From<MplsLabel> for u32 {
    fn from(label: MplsLabel) -> Self {
        label.0
    }
}

impl FromStr for MplsLabel {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rule = "a whole number without leading zeros is needed";
        Self::try_from(decimal::<u32>(text).ok_or_else(|| ParseError::new("MPLS label", text, rule))?)
    }
}

impl fmt::Display for MplsLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_bits_are_the_range() {
        assert_eq!("1048575".parse(), Ok(MplsLabel::MAX));
        assert_eq!("3".parse(), Ok(MplsLabel::IMPLICIT_NULL));
        for text in ["1048576", "-1", "03", ""] {
            assert!(text.parse::<MplsLabel>().is_err(), "{text}");
        }
        assert_eq!(MplsLabel::MAX.to_string(), "1048575");
    }
}
