//! Communities of three sizes (RFC 1997, RFC 4360, RFC 8092).

use std::fmt;

use weft_net::{Asn, Mac, RouteTarget};

/// A community: four octets, usually an AS number and a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

impl Community {
    /// Stale routes that are kept for long (RFC 9494).
    pub const LLGR_STALE: Self = Self(0xffff_0006);
    /// Not to be kept for long (RFC 9494).
    pub const NO_LLGR: Self = Self(0xffff_0007);
    /// Traffic is to be dropped (RFC 7999).
    pub const BLACKHOLE: Self = Self(0xffff_029a);
    /// Not to other ASes.
    pub const NO_EXPORT: Self = Self(0xffff_ff01);
    /// To no neighbour.
    pub const NO_ADVERTISE: Self = Self(0xffff_ff02);
    /// Not to other ASes, members of a confederation included.
    pub const NO_EXPORT_SUBCONFED: Self = Self(0xffff_ff03);
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff)
    }
}

impl fmt::Debug for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A large community: an AS number and two values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LargeCommunity {
    /// Who says what the values mean.
    pub administrator: Asn,
    /// The two values.
    pub values: [u32; 2],
}

impl fmt::Display for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.administrator, self.values[0], self.values[1])
    }
}

impl fmt::Debug for LargeCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An extended community: eight octets, of which the first two, or one, say the kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExtendedCommunity([u8; 8]);

/// The bit of the type that says "not to other ASes" (RFC 4360 §2).
const NON_TRANSITIVE: u8 = 0x40;

impl ExtendedCommunity {
    /// Tunnel type of the Encapsulation community: VXLAN (RFC 8365 §11).
    pub const ENCAPSULATION_VXLAN: u16 = 8;
    /// The MAC address of a gateway (RFC 7432 §7.8).
    pub const DEFAULT_GATEWAY: Self = Self([0x03, 0x0d, 0, 0, 0, 0, 0, 0]);

    /// The community with these octets, first on the wire first.
    #[must_use]
    pub const fn from_octets(octets: [u8; 8]) -> Self {
        Self(octets)
    }

    /// The eight octets, first on the wire first.
    #[must_use]
    pub const fn octets(self) -> [u8; 8] {
        self.0
    }

    /// Whether it may go to other ASes.
    #[must_use]
    pub const fn is_transitive(self) -> bool {
        self.0[0] & NON_TRANSITIVE == 0
    }

    /// How packets are wrapped (RFC 9012 §4.1): a tunnel type.
    #[must_use]
    pub const fn encapsulation(tunnel_type: u16) -> Self {
        let [high, low] = tunnel_type.to_be_bytes();
        Self([0x03, 0x0c, 0, 0, 0, 0, high, low])
    }

    /// The MAC address of the router that a route of a VRF leads to (RFC 9135 §8.1).
    #[must_use]
    pub const fn routers_mac(mac: Mac) -> Self {
        let [a, b, c, d, e, g] = mac.octets();
        Self([0x06, 0x03, a, b, c, d, e, g])
    }

    /// How often a MAC address has moved, and whether it never will (RFC 7432 §7.7).
    #[must_use]
    pub const fn mac_mobility(sequence: u32, is_sticky: bool) -> Self {
        let [a, b, c, d] = sequence.to_be_bytes();
        Self([0x06, 0x00, is_sticky as u8, 0, a, b, c, d])
    }

    /// The split-horizon label of a segment, and whether one link at a time is in use (RFC 7432 §7.5). The label: 24 bits.
    #[must_use]
    pub const fn esi_label(label: super::nlri::LabelField, is_single_active: bool) -> Self {
        let [_, a, b, c] = label.bits().to_be_bytes();
        Self([0x06, 0x01, is_single_active as u8, 0, 0, a, b, c])
    }

    /// The route target, if it is one.
    #[must_use]
    pub const fn route_target(self) -> Option<RouteTarget> {
        RouteTarget::from_octets(self.0)
    }

    /// Whether it says who is to import a route: a route target, or that of an Ethernet segment (ES-Import, RFC 7432 §7.6).
    #[must_use]
    pub const fn is_target(self) -> bool {
        self.route_target().is_some() || matches!(self.0, [0x06, 0x02, ..])
    }

    /// The tunnel type, if it is an Encapsulation community.
    #[must_use]
    pub const fn as_encapsulation(self) -> Option<u16> {
        match self.0 {
            [0x03, 0x0c, _, _, _, _, high, low] => Some(u16::from_be_bytes([high, low])),
            _ => None,
        }
    }

    /// The MAC address, if it is a Router's MAC community.
    #[must_use]
    pub const fn as_routers_mac(self) -> Option<Mac> {
        match self.0 {
            [0x06, 0x03, a, b, c, d, e, g] => Some(Mac::new([a, b, c, d, e, g])),
            _ => None,
        }
    }

    /// Sequence number and stickiness, if it is a MAC Mobility community.
    #[must_use]
    pub const fn as_mac_mobility(self) -> Option<(u32, bool)> {
        match self.0 {
            [0x06, 0x00, flags, _, a, b, c, d] => Some((u32::from_be_bytes([a, b, c, d]), flags & 1 != 0)),
            _ => None,
        }
    }
}

impl From<RouteTarget> for ExtendedCommunity {
    fn from(target: RouteTarget) -> Self {
        Self(target.octets())
    }
}

impl fmt::Display for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.route_target() {
            Some(target) => write!(f, "target:{target}"),
            None => write!(f, "{:#018x}", u64::from_be_bytes(self.0)),
        }
    }
}

impl fmt::Debug for ExtendedCommunity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
