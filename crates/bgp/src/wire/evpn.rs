//! EVPN routes (RFC 7432 §7, RFC 9136): what identifies one, what it carries besides, and both as bytes.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use weft_net::{Mac, RouteDistinguisher};

use super::bytes::{Reader, put_u24, put_u32, put_with_length_u8};
use super::nlri::{LabelField, Payload};

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
    /// Type 5: the overlay gateway, of the prefix's family.
    pub gateway: Option<IpAddr>,
    /// The label or the VNI: of the segment (1), of layer 2 (2), of layer 3 (5).
    pub label: LabelField,
    /// Type 2: the label or the VNI of layer 3.
    pub label2: Option<LabelField>,
}

impl EvpnDestination {
    /// Reads one route: type, length and what follows. `None` if it is not in the form of its type.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<(Self, Payload)> {
        let route_type = reader.u8()?;
        let length = reader.u8()?;
        let mut value = reader.part(length.into())?;
        let reader = &mut value;
        let read = match route_type {
            1 => Self::read_auto_discovery(reader)?,
            2 => Self::read_mac_ip(reader)?,
            3 => {
                let (distinguisher, tag) = (read_distinguisher(reader)?, read_tag(reader)?);
                let originator = read_address(reader)??;
                (Self::InclusiveMulticast { distinguisher, tag, originator }, Payload::None)
            }
            4 => {
                let (distinguisher, segment) = (read_distinguisher(reader)?, Esi(reader.array()?));
                let originator = read_address(reader)??;
                (Self::EthernetSegment { distinguisher, segment, originator }, Payload::None)
            }
            5 => Self::read_ip_prefix(reader)?,
            _ => {
                let value = reader.slice(reader.len())?.into();
                (Self::Unknown { route_type, value }, Payload::None)
            }
        };
        reader.is_empty().then_some(read)
    }

    fn read_auto_discovery(reader: &mut Reader<'_>) -> Option<(Self, Payload)> {
        let distinguisher = read_distinguisher(reader)?;
        let (segment, tag) = (Esi(reader.array()?), read_tag(reader)?);
        let label = LabelField::from_bits(reader.u24()?);
        let payload = EvpnPayload { label, ..EvpnPayload::NOTHING };
        Some((Self::AutoDiscovery { distinguisher, segment, tag }, Payload::Evpn(Box::new(payload))))
    }

    fn read_mac_ip(reader: &mut Reader<'_>) -> Option<(Self, Payload)> {
        let distinguisher = read_distinguisher(reader)?;
        let (segment, tag) = (Esi(reader.array()?), read_tag(reader)?);
        let mac_bits = reader.u8()?;
        let mac = Mac::new((mac_bits == 48).then(|| reader.array())??);
        let address = read_address(reader)?;
        let label = LabelField::from_bits(reader.u24()?);
        let label2 = if reader.is_empty() { None } else { Some(LabelField::from_bits(reader.u24()?)) };
        let payload = EvpnPayload { segment, label, label2, ..EvpnPayload::NOTHING };
        Some((Self::MacIp { distinguisher, tag, mac, address }, Payload::Evpn(Box::new(payload))))
    }

    /// The length says whether prefix and gateway are of IPv4 or of IPv6 (RFC 9136 §3.1).
    fn read_ip_prefix(reader: &mut Reader<'_>) -> Option<(Self, Payload)> {
        let is_v4 = match reader.len() {
            IP_PREFIX_V4_LENGTH => true,
            IP_PREFIX_V6_LENGTH => false,
            _ => return None,
        };
        let distinguisher = read_distinguisher(reader)?;
        let (segment, tag) = (Esi(reader.array()?), read_tag(reader)?);
        let bits = reader.u8()?;
        let (prefix, gateway): (IpNet, IpAddr) = if is_v4 {
            let prefix = Ipv4Net::new(reader.array::<4>()?.into(), bits).ok()?.trunc();
            (prefix.into(), reader.array::<4>()?.into())
        } else {
            let prefix = Ipv6Net::new(reader.array::<16>()?.into(), bits).ok()?.trunc();
            (prefix.into(), reader.array::<16>()?.into())
        };
        let label = LabelField::from_bits(reader.u24()?);
        let gateway = (!gateway.is_unspecified()).then_some(gateway);
        let payload = EvpnPayload { segment, gateway, label, label2: None };
        Some((Self::IpPrefix { distinguisher, tag, prefix }, Payload::Evpn(Box::new(payload))))
    }

    /// Writes one route. What a payload does not say is written as zeros.
    pub(super) fn write(&self, payload: &Payload, out: &mut Vec<u8>) {
        let payload = if let Payload::Evpn(payload) = payload { payload } else { &EvpnPayload::NOTHING };
        let EvpnPayload { segment: Esi(segment), gateway, label, label2 } = payload;
        out.push(self.route_type());
        put_with_length_u8(out, |out| {
            out.extend(self.distinguisher().into_iter().flat_map(RouteDistinguisher::octets));
            match self {
                Self::AutoDiscovery { segment: Esi(segment), tag, .. } => {
                    out.extend(segment);
                    put_u32(out, tag.0);
                    put_u24(out, label.bits());
                }
                Self::MacIp { tag, mac, address, .. } => {
                    out.extend(segment);
                    put_u32(out, tag.0);
                    out.push(48);
                    out.extend(mac.octets());
                    put_address(out, *address);
                    put_u24(out, label.bits());
                    label2.iter().for_each(|label| put_u24(out, label.bits()));
                }
                Self::InclusiveMulticast { tag, originator, .. } => {
                    put_u32(out, tag.0);
                    put_address(out, Some(*originator));
                }
                Self::EthernetSegment { segment: Esi(segment), originator, .. } => {
                    out.extend(segment);
                    put_address(out, Some(*originator));
                }
                Self::IpPrefix { tag, prefix, .. } => {
                    out.extend(segment);
                    put_u32(out, tag.0);
                    out.push(prefix.prefix_len());
                    put_prefix_and_gateway(out, *prefix, *gateway);
                    put_u24(out, label.bits());
                }
                Self::Unknown { value, .. } => out.extend_from_slice(value),
            }
        });
    }
}

impl EvpnPayload {
    /// No segment, no gateway, and a label of zeros.
    pub const NOTHING: Self =
        Self { segment: Esi::ZERO, gateway: None, label: LabelField::from_bits(0), label2: None };
}

/// RD 8, ESI 10, tag 4, prefix length 1, prefix 4, gateway 4, label 3.
const IP_PREFIX_V4_LENGTH: usize = 34;
/// The same with two addresses of 16.
const IP_PREFIX_V6_LENGTH: usize = 58;

fn read_distinguisher(reader: &mut Reader<'_>) -> Option<RouteDistinguisher> {
    reader.array().map(RouteDistinguisher::from_octets)
}

fn read_tag(reader: &mut Reader<'_>) -> Option<EthernetTag> {
    reader.u32().map(EthernetTag)
}

/// An address after its length in bits: none, IPv4 or IPv6.
fn read_address(reader: &mut Reader<'_>) -> Option<Option<IpAddr>> {
    match reader.u8()? {
        0 => Some(None),
        32 => reader.array::<4>().map(|octets| Some(octets.into())),
        128 => reader.array::<16>().map(|octets| Some(octets.into())),
        _ => None,
    }
}

fn put_address(out: &mut Vec<u8>, address: Option<IpAddr>) {
    match address {
        None => out.push(0),
        Some(IpAddr::V4(address)) => {
            out.push(32);
            out.extend(address.octets());
        }
        Some(IpAddr::V6(address)) => {
            out.push(128);
            out.extend(address.octets());
        }
    }
}

/// A gateway of the other family cannot be written; then it is as if there were none.
fn put_prefix_and_gateway(out: &mut Vec<u8>, prefix: IpNet, gateway: Option<IpAddr>) {
    match prefix {
        IpNet::V4(prefix) => {
            out.extend(prefix.addr().octets());
            out.extend(if let Some(IpAddr::V4(gateway)) = gateway { gateway.octets() } else { [0; 4] });
        }
        IpNet::V6(prefix) => {
            out.extend(prefix.addr().octets());
            out.extend(if let Some(IpAddr::V6(gateway)) = gateway { gateway.octets() } else { [0; 16] });
        }
    }
}
