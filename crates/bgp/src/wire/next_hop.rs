//! Next hops, in NEXT_HOP and in MP_REACH_NLRI.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::bytes::Reader;
use super::family::Family;

/// Where packets to a route's destination are sent. Before that of a VPN route stands a route distinguisher of zeros on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NextHop {
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address; also of IPv4 and VPNv4 routes (RFC 8950).
    Ipv6(Ipv6Addr),
    /// A global IPv6 address and a link-local one (RFC 2545 §3).
    Ipv6Pair {
        /// The global address.
        global: Ipv6Addr,
        /// The link-local address.
        link_local: Ipv6Addr,
    },
}

impl NextHop {
    /// The address; the global one of a pair. An IPv4 address that is mapped into IPv6 is that (RFC 4659 §3.2.1.2): nothing is reached
    /// by the other.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        match self {
            Self::Ipv4(address) => IpAddr::V4(address),
            Self::Ipv6(address) | Self::Ipv6Pair { global: address, .. } => address.to_canonical(),
        }
    }

    /// As a family has it whose next hops are IPv6 addresses alone: an IPv4 address is mapped (RFC 4659 §3.2.1.2).
    #[must_use]
    pub const fn to_ipv6(self) -> Self {
        match self {
            Self::Ipv4(address) => Self::Ipv6(address.to_ipv6_mapped()),
            Self::Ipv6(_) | Self::Ipv6Pair { .. } => self,
        }
    }
}

impl From<IpAddr> for NextHop {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::Ipv4(address),
            IpAddr::V6(address) => Self::Ipv6(address),
        }
    }
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv4(address) => fmt::Display::fmt(address, f),
            Self::Ipv6(address) => fmt::Display::fmt(address, f),
            Self::Ipv6Pair { global, link_local } => write!(f, "{global} {link_local}"),
        }
    }
}

/// The octets of the route distinguisher before each address of a VPN next hop.
const DISTINGUISHER_LENGTH: usize = 8;

impl NextHop {
    /// Reads the whole field. `None` if its length is none that the family allows (RFC 4760, 2545, 4659, 8950).
    pub(super) fn read(field: Reader<'_>, family: Family) -> Option<Self> {
        let mut reader = field;
        let is_vpn = matches!(family, Family::Vpnv4 | Family::Vpnv6);
        let distinguisher = if is_vpn { DISTINGUISHER_LENGTH } else { 0 };
        let addresses = if reader.len() > distinguisher + 16 { 2 } else { 1 };
        let length = reader.len().checked_sub(addresses * distinguisher)?;
        match (length, family) {
            (4, Family::Ipv6Unicast | Family::Vpnv6) => None,
            (4, _) => {
                reader.slice(distinguisher)?;
                Some(Self::Ipv4(reader.array::<4>()?.into()))
            }
            (16, _) => {
                reader.slice(distinguisher)?;
                Some(Self::Ipv6(reader.array::<16>()?.into()))
            }
            (32, _) => {
                reader.slice(distinguisher)?;
                let global = reader.array::<16>()?.into();
                reader.slice(distinguisher)?;
                Some(Self::Ipv6Pair { global, link_local: reader.array::<16>()?.into() })
            }
            _ => None,
        }
    }

    /// Writes the field without its length.
    pub(super) fn write(self, family: Family, out: &mut Vec<u8>) {
        let is_vpn = matches!(family, Family::Vpnv4 | Family::Vpnv6);
        let distinguisher = if is_vpn { &[0; DISTINGUISHER_LENGTH][..] } else { &[] };
        out.extend_from_slice(distinguisher);
        match self {
            Self::Ipv4(address) => out.extend(address.octets()),
            Self::Ipv6(address) => out.extend(address.octets()),
            Self::Ipv6Pair { global, link_local } => {
                out.extend(global.octets());
                out.extend_from_slice(distinguisher);
                out.extend(link_local.octets());
            }
        }
    }
}
