//! MAC addresses (EUI-48).

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use crate::ParseError;
use crate::serde_text::serde_as_text;

/// A MAC address, IEEE 802 EUI-48. Printed as six lower-case pairs with colons.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

impl Mac {
    /// All zeros: in a VXLAN forwarding table, the entry for what has no entry of its own.
    pub const ZERO: Self = Self([0; 6]);

    /// The address with these octets, first on the wire first.
    #[must_use]
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The six octets, first on the wire first.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// The IPv6 link-local address of an interface with this address (RFC 4291 appendix A).
    #[must_use]
    pub const fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        let octets = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 0x02, b, c, 0xff, 0xfe, d, e, f];
        Ipv6Addr::from_octets(octets)
    }

    /// Whether a single station can own this address: neither group bit set nor all zeros.
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        self.0[0] & 1 == 0
            && u64::from_be_bytes([0, 0, self.0[0], self.0[1], self.0[2], self.0[3], self.0[4], self.0[5]])
                != 0
    }
}

impl FromStr for Mac {
    type Err = ParseError;

    /// Reads `fa:16:3e:00:00:01`, `fa-16-3e-00-00-01`, `fa16.3e00.0001` and `fa163e000001`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        const RULE: &str = "six pairs of hexadecimal digits are needed, as in fa:16:3e:00:00:01";
        let error = || ParseError::new("MAC address", text, RULE);
        let digits: String = match text.len() {
            17 if well_placed(text, 3, b":-") => text.chars().filter(char::is_ascii_hexdigit).collect(),
            14 if well_placed(text, 5, b".") => text.chars().filter(char::is_ascii_hexdigit).collect(),
            12 => text.to_owned(),
            _ => return Err(error()),
        };
        if digits.len() != 12 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(error());
        }
        let mut octets = [0; 6];
        for (index, octet) in octets.iter_mut().enumerate() {
            *octet = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).map_err(|_| error())?;
        }
        Ok(Self(octets))
    }
}

/// Whether every `step`-th byte of `text`, and no other, is the same one of `separators`.
fn well_placed(text: &str, step: usize, separators: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let separator = bytes[step - 1];
    separators.contains(&separator)
        && bytes.iter().enumerate().all(|(index, byte)| (index % step == step - 1) == (*byte == separator))
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(Mac);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_customary_spelling_reads_as_the_same_address() {
        for text in ["fa:16:3e:00:0A:01", "FA-16-3E-00-0a-01", "fa16.3e00.0a01", "fa163e000a01"] {
            assert_eq!(text.parse::<Mac>().unwrap().to_string(), "fa:16:3e:00:0a:01", "{text}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for text in ["", "fa:16:3e:00:0a", "fa:16:3e:00:0a:0g", "fa:16:3e:00:0a-01", "fa163e000a0", "äöüäöü"]
        {
            assert!(text.parse::<Mac>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_group_address_is_not_unicast() {
        assert!("fa:16:3e:00:00:01".parse::<Mac>().unwrap().is_unicast());
        assert!(!"01:00:5e:00:00:01".parse::<Mac>().unwrap().is_unicast());
        assert!(!Mac::ZERO.is_unicast());
    }
}
