//! Names of network interfaces.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;
use crate::serde_text::serde_as_text;

/// A name that Linux accepts for a network interface: 1 to 15 bytes, none of them `/`, `:` or white space, and not
/// `.` or `..`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IfName([u8; Self::LENGTH_MAX + 1]);

impl IfName {
    /// The longest name, in bytes (`IFNAMSIZ` less the closing zero).
    pub const LENGTH_MAX: usize = 15;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(Self::LENGTH_MAX);
        // Only a `&str` is ever copied in, whole.
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

impl FromStr for IfName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = |rule| Err(ParseError::new("interface name", text, rule));
        if text.is_empty() || text.len() > Self::LENGTH_MAX {
            return error("1 to 15 bytes are needed");
        }
        if text == "." || text == ".." {
            return error("'.' and '..' are not names");
        }
        if text.chars().any(|c| c == '/' || c == ':' || c == '\0' || c.is_whitespace()) {
            return error("'/', ':' and white space are not allowed");
        }
        let mut bytes = [0; Self::LENGTH_MAX + 1];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Ok(Self(bytes))
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(IfName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_fifteen_bytes_comes_back_as_it_was() {
        assert_eq!("tap0123456789ab".parse::<IfName>().unwrap().as_str(), "tap0123456789ab");
        assert_eq!("é".parse::<IfName>().unwrap().to_string(), "é");
    }

    #[test]
    fn what_linux_refuses_is_refused() {
        for text in ["", "0123456789abcdef", ".", "..", "a b", "a/b", "a:b", "a\0"] {
            assert!(text.parse::<IfName>().is_err(), "{text:?}");
        }
    }
}
