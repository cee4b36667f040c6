//! Address families (RFC 4760): which kind of destination a route has.

use std::fmt;
use std::str::FromStr;

use weft_net::ParseError;

/// A family that is spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// AFI 1, SAFI 1.
    Ipv4Unicast,
    /// AFI 2, SAFI 1.
    Ipv6Unicast,
    /// AFI 1, SAFI 128 (RFC 4364).
    Vpnv4,
    /// AFI 2, SAFI 128 (RFC 4659).
    Vpnv6,
    /// AFI 25, SAFI 70 (RFC 7432).
    Evpn,
    /// AFI 1, SAFI 132: route target constraints (RFC 4684).
    RouteTarget,
}

impl Family {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Ipv4Unicast, Self::Ipv6Unicast, Self::Vpnv4, Self::Vpnv6, Self::Evpn, Self::RouteTarget];

    /// Its numbers on the wire.
    #[must_use]
    pub const fn raw(self) -> RawFamily {
        let (afi, safi) = match self {
            Self::Ipv4Unicast => (1, 1),
            Self::Ipv6Unicast => (2, 1),
            Self::Vpnv4 => (1, 128),
            Self::Vpnv6 => (2, 128),
            Self::Evpn => (25, 70),
            Self::RouteTarget => (1, 132),
        };
        RawFamily { afi, safi }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4Unicast => "ipv4-unicast",
            Self::Ipv6Unicast => "ipv6-unicast",
            Self::Vpnv4 => "vpnv4",
            Self::Vpnv6 => "vpnv6",
            Self::Evpn => "evpn",
            Self::RouteTarget => "route-target",
        })
    }
}

impl FromStr for Family {
    type Err = ParseError;

    /// Reads a family by its name here, or by FRR's: `l2vpn evpn`, `ipv4 vpn`, `ipv6`; between two words is a space, a hyphen or
    /// a slash.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        let words = text.to_ascii_lowercase().replace([' ', '/', '_'], "-");
        match words.as_str() {
            "ipv4-unicast" | "ipv4" => Ok(Self::Ipv4Unicast),
            "ipv6-unicast" | "ipv6" => Ok(Self::Ipv6Unicast),
            "vpnv4" | "ipv4-vpn" | "vpnv4-unicast" => Ok(Self::Vpnv4),
            "vpnv6" | "ipv6-vpn" | "vpnv6-unicast" => Ok(Self::Vpnv6),
            "evpn" | "l2vpn-evpn" => Ok(Self::Evpn),
            "route-target" | "rtc" | "ipv4-rtc" => Ok(Self::RouteTarget),
            _ => {
                let rule = "one of ipv4-unicast, ipv6-unicast, vpnv4, vpnv6, evpn and route-target is needed";
                Err(ParseError::new("address family", text, rule))
            }
        }
    }
}

/// A family as its two numbers, whether it is spoken here or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawFamily {
    /// Address family identifier.
    pub afi: u16,
    /// Subsequent address family identifier.
    pub safi: u8,
}

impl RawFamily {
    /// The family, if it is spoken here.
    #[must_use]
    pub const fn known(self) -> Option<Family> {
        match (self.afi, self.safi) {
            (1, 1) => Some(Family::Ipv4Unicast),
            (2, 1) => Some(Family::Ipv6Unicast),
            (1, 128) => Some(Family::Vpnv4),
            (2, 128) => Some(Family::Vpnv6),
            (25, 70) => Some(Family::Evpn),
            (1, 132) => Some(Family::RouteTarget),
            _ => None,
        }
    }
}

impl From<Family> for RawFamily {
    fn from(family: Family) -> Self {
        family.raw()
    }
}

/// A set of families, in one octet.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FamilySet(u8);

impl FamilySet {
    /// No family.
    pub const EMPTY: Self = Self(0);

    /// Whether `family` is in it.
    #[must_use]
    pub const fn contains(self, family: Family) -> bool {
        self.0 & (1 << family as u8) != 0
    }

    /// Adds `family`.
    pub const fn insert(&mut self, family: Family) {
        self.0 |= 1 << family as u8;
    }

    /// Takes `family` out.
    pub const fn remove(&mut self, family: Family) {
        self.0 &= !(1 << family as u8);
    }

    /// Whether no family is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its families, in the order of [`Family::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |family| self.contains(*family))
    }
}

impl FromIterator<Family> for FamilySet {
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> Self {
        let mut set = Self::EMPTY;
        families.into_iter().for_each(|family| set.insert(family));
        set
    }
}

impl fmt::Debug for FamilySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
