//! EVPN routes (RFC 7432 §7, RFC 9136): what identifies one, what it carries besides, and both as bytes.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::{Mac, RouteDistinguisher};

use super::nlri::LabelField;

/// An Ethernet segment identifier (RFC 7432 §5). All zeros: the site has one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Esi(pub [u8; 10]);

impl Esi {
    /// Of a site with one link.
    pub const ZERO: Self = Self([0; 10]);
}

impl fmt::Display for Esi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            write!(f, "{}{octet:02x}", if index == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

/// An Ethernet tag (RFC 7432 §7): 0 where a VLAN has an EVPN instance of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EthernetTag(pub u32);

impl EthernetTag {
    /// Of the Ethernet A-D route of a whole segment.
    pub const MAX: Self = Self(u32::MAX);
}

/// What identifies an EVPN route: the fields that RFC 7432 §7 and RFC 9136 §3.1 make part of the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvpnDestination {
    /// Type 1: Ethernet auto-discovery. Its payload is a label.
    AutoDiscovery {
        /// Of the EVPN instance, or of the router.
        distinguisher: RouteDistinguisher,
        /// The segment.
        segment: Esi,
        /// The tag; [`EthernetTag::MAX`] for the segment as a whole.
        tag: EthernetTag,
    },
    /// Type 2: a MAC address, with or without an IP address. Its payload is a segment and one or two labels.
    MacIp {
        /// Of the EVPN instance.
        distinguisher: RouteDistinguisher,
        /// The tag.
        tag: EthernetTag,
        /// The MAC address.
        mac: Mac,
        /// The IP address.
        address: Option<IpAddr>,
    },
    /// Type 3: a router that wants the flooded frames of an instance.
    InclusiveMulticast {
        /// Of the EVPN instance.
        distinguisher: RouteDistinguisher,
        /// The tag.
        tag: EthernetTag,
        /// The router.
        originator: IpAddr,
    },
    /// Type 4: a router on a segment.
    EthernetSegment {
        /// Of the router.
        distinguisher: RouteDistinguisher,
        /// The segment.
        segment: Esi,
        /// The router.
        originator: IpAddr,
    },
    /// Type 5: an IP prefix. Its payload is a segment, a gateway and a label.
    IpPrefix {
        /// Of the VRF.
        distinguisher: RouteDistinguisher,
        /// The tag.
        tag: EthernetTag,
        /// The prefix.
        prefix: IpNet,
    },
    /// A type that is not spoken here: kept, passed on, used for nothing.
    Unknown {
        /// The type's number.
        route_type: u8,
        /// All that follows type and length, 255 octets at most.
        value: Box<[u8]>,
    },
}

impl EvpnDestination {
    /// The number of the type.
    #[must_use]
    pub const fn route_type(&self) -> u8 {
        match self {
            Self::AutoDiscovery { .. } => 1,
            Self::MacIp { .. } => 2,
            Self::InclusiveMulticast { .. } => 3,
            Self::EthernetSegment { .. } => 4,
            Self::IpPrefix { .. } => 5,
            Self::Unknown { route_type, .. } => *route_type,
        }
    }

    /// The route distinguisher, except of an unknown type.
    #[must_use]
    pub const fn distinguisher(&self) -> Option<RouteDistinguisher> {
        match self {
            Self::AutoDiscovery { distinguisher, .. }
            | Self::MacIp { distinguisher, .. }
            | Self::InclusiveMulticast { distinguisher, .. }
            | Self::EthernetSegment { distinguisher, .. }
            | Self::IpPrefix { distinguisher, .. } => Some(*distinguisher),
            Self::Unknown { .. } => None,
        }
    }
}

impl fmt::Display for EvpnDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.route_type();
        match self {
            Self::AutoDiscovery { distinguisher, segment, tag } => {
                write!(f, "[{number}]:[{distinguisher}]:[{segment}]:[{}]", tag.0)
            }
            Self::MacIp { distinguisher, tag, mac, address: Some(address) } => {
                write!(f, "[{number}]:[{distinguisher}]:[{}]:[{mac}]:[{address}]", tag.0)
            }
            Self::MacIp { distinguisher, tag, mac, address: None } => {
                write!(f, "[{number}]:[{distinguisher}]:[{}]:[{mac}]", tag.0)
            }
            Self::InclusiveMulticast { distinguisher, tag, originator } => {
                write!(f, "[{number}]:[{distinguisher}]:[{}]:[{originator}]", tag.0)
            }
            Self::EthernetSegment { distinguisher, segment, originator } => {
                write!(f, "[{number}]:[{distinguisher}]:[{segment}]:[{originator}]")
            }
            Self::IpPrefix { distinguisher, tag, prefix } => {
                write!(f, "[{number}]:[{distinguisher}]:[{}]:[{prefix}]", tag.0)
            }
            Self::Unknown { value, .. } => {
                write!(f, "[{number}]:[0x")?;
                value.iter().try_for_each(|octet| write!(f, "{octet:02x}"))?;
                f.write_str("]")
            }
        }
    }
}

/// What an EVPN route of type 1, 2 or 5 carries besides its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvpnPayload {
    /// Types 2 and 5: the segment behind which the destination is.
    pub segment: Esi,
    /// Type 5: the overlay gateway, of the prefix's family; all zeros if there is none.
    pub gateway: Option<IpAddr>,
    /// The label or the VNI: of the segment (1), of layer 2 (2), of layer 3 (5).
    pub label: LabelField,
    /// Type 2: the label or the VNI of layer 3.
    pub label2: Option<LabelField>,
}
