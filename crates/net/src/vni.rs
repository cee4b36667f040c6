//! VXLAN network identifiers.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;

/// A VXLAN network identifier (RFC 7348 §5): 1 to 16,777,215.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Vni(u32);

impl Vni {
    /// The smallest.
    pub const MIN: Self = Self(1);
    /// The largest: 24 bits, all ones.
    pub const MAX: Self = Self(0xff_ffff);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The next one, or `None` after the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        (self < Self::MAX).then(|| Self(self.0 + 1))
    }
}

impl TryFrom<u32> for Vni {
    type Error = ParseError;

    fn try_from(number: u32) -> Result<Self, ParseError> {
        if (Self::MIN.0..=Self::MAX.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(ParseError::new("VNI", &number.to_string(), "1 to 16777215 is the range"))
        }
    }
}

impl From<Vni> for u32 {
    fn from(vni: Vni) -> Self {
        vni.0
    }
}

impl FromStr for Vni {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let number: u32 =
            text.parse().map_err(|_| ParseError::new("VNI", text, "a whole number is needed"))?;
        Self::try_from(number)
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_four_bits_without_zero_are_the_range() {
        assert!(Vni::try_from(0).is_err());
        assert!(Vni::try_from(0x100_0000).is_err());
        assert_eq!("16777215".parse(), Ok(Vni::MAX));
        assert_eq!(Vni::MAX.next(), None);
        assert_eq!(Vni::MIN.next().map(Vni::get), Some(2));
    }
}
