//! Numbers that an administrator assigns: what route distinguishers and route targets have in common.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::Asn;

/// An administrator and a number that it assigned (RFC 4364 §4.2, RFC 4360 §3, RFC 5668).
///
/// Text: `65000:100` (two-octet AS), `192.0.2.1:100` (IPv4 address), `4200000000:100` (four-octet AS). A four-octet AS whose number
/// fits two octets is written `0.65000:100`, so that each value has one text and each text one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AdministeredNumber {
    /// Kind 0: a two-octet AS number and four octets.
    TwoOctetAs(u16, u32),
    /// Kind 1: an IPv4 address and two octets.
    Ipv4(Ipv4Addr, u16),
    /// Kind 2: a four-octet AS number and two octets.
    FourOctetAs(Asn, u16),
}

impl AdministeredNumber {
    /// The kind's number on the wire: 0, 1 or 2.
    pub(crate) const fn kind(self) -> u8 {
        match self {
            Self::TwoOctetAs(..) => 0,
            Self::Ipv4(..) => 1,
            Self::FourOctetAs(..) => 2,
        }
    }

    /// The six octets that follow the kind.
    pub(crate) fn octets(self) -> [u8; 6] {
        let (number, assigned) = match self {
            Self::TwoOctetAs(number, assigned) => {
                let ([a, b], [c, d, e, g]) = (number.to_be_bytes(), assigned.to_be_bytes());
                return [a, b, c, d, e, g];
            }
            Self::Ipv4(address, assigned) => (address.octets(), assigned),
            Self::FourOctetAs(number, assigned) => (number.get().to_be_bytes(), assigned),
        };
        let ([a, b, c, d], [e, g]) = (number, assigned.to_be_bytes());
        [a, b, c, d, e, g]
    }

    /// What these octets say, if there is such a kind.
    pub(crate) fn from_octets(kind: u8, [a, b, c, d, e, g]: [u8; 6]) -> Option<Self> {
        let assigned = u16::from_be_bytes([e, g]);
        match kind {
            0 => Some(Self::TwoOctetAs(u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, g]))),
            1 => Some(Self::Ipv4(Ipv4Addr::new(a, b, c, d), assigned)),
            2 => Some(Self::FourOctetAs(Asn::new(u32::from_be_bytes([a, b, c, d])), assigned)),
            _ => None,
        }
    }

    /// Reads the text, or gives nothing if it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (administrator, assigned) = text.split_once(':')?;
        if let Some(low) = administrator.strip_prefix("0.").filter(|low| !low.contains('.')) {
            return Some(Self::FourOctetAs(Asn::new(decimal::<u16>(low)?.into()), decimal(assigned)?));
        }
        if administrator.contains('.') {
            return Some(Self::Ipv4(administrator.parse().ok()?, decimal(assigned)?));
        }
        if let Some(number) = decimal::<u16>(administrator) {
            return Some(Self::TwoOctetAs(number, decimal(assigned)?));
        }
        Some(Self::FourOctetAs(Asn::new(decimal(administrator)?), decimal(assigned)?))
    }
}

impl fmt::Display for AdministeredNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoOctetAs(number, assigned) => write!(f, "{number}:{assigned}"),
            Self::Ipv4(address, assigned) => write!(f, "{address}:{assigned}"),
            Self::FourOctetAs(number, assigned) if number.two_octets().is_some() => {
                write!(f, "0.{number}:{assigned}")
            }
            Self::FourOctetAs(number, assigned) => write!(f, "{number}:{assigned}"),
        }
    }
}

/// A decimal number without sign and without leading zeros.
pub(crate) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok()).flatten()
}
