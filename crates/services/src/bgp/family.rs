//! Address families, as the API names them.

use crate::attribute::AttributeType;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// IPv4 prefixes.
    Ipv4Unicast,
    /// IPv6 prefixes.
    Ipv6Unicast,
    /// IPv4 prefixes of VPNs (RFC 4364).
    Vpnv4,
    /// IPv6 prefixes of VPNs (RFC 4659).
    Vpnv6,
    /// MAC addresses and prefixes of VPNs (RFC 7432, RFC 9136).
    Evpn,
    /// Which route targets are wanted (RFC 4684).
    RouteTarget,
}

/// One of them, as a value of an attribute.
pub(super) const FAMILY: AttributeType =
    AttributeType::OneOf(&["ipv4-unicast", "ipv6-unicast", "vpnv4", "vpnv6", "evpn", "route-target"]);

impl Family {
    /// As the API names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4Unicast => "ipv4-unicast",
            Self::Ipv6Unicast => "ipv6-unicast",
            Self::Vpnv4 => "vpnv4",
            Self::Vpnv6 => "vpnv6",
            Self::Evpn => "evpn",
            Self::RouteTarget => "route-target",
        }
    }

    /// Whether its destinations are IPv4 prefixes, whose next hops may be IPv6 addresses (RFC 8950 §3).
    #[must_use]
    pub const fn is_of_ipv4(self) -> bool {
        matches!(self, Self::Ipv4Unicast | Self::Vpnv4)
    }
}
