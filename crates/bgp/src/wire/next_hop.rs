//! Next hops, in NEXT_HOP and in MP_REACH_NLRI.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    /// The address; the global one of a pair.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        match self {
            Self::Ipv4(address) => IpAddr::V4(address),
            Self::Ipv6(address) | Self::Ipv6Pair { global: address, .. } => IpAddr::V6(address),
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
