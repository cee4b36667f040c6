//! One path attribute as bytes: its header, and its value by its type.

use std::net::Ipv4Addr;

use super::as_path::{AsPath, two_octets};
use super::attribute::{
    Aggregator, Attribute, AttributeCode, AttributeFlags, AttributeValue, MpReach, MpUnreach, Origin,
};
use super::bytes::{Reader, put_u16, put_u24, put_u32};
use super::codec::Codec;
use super::community::{Community, ExtendedCommunity, LargeCommunity};
use super::error::Rule;
use super::family::{Family, RawFamily};
use super::next_hop::NextHop;
use super::nlri::LabelField;
use super::nlri_bytes::{read_routes, write_routes};
use super::pmsi::PmsiTunnel;
use super::srv6::PrefixSid;

/// What is wrong with MP_REACH_NLRI or MP_UNREACH_NLRI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MpFault {
    /// It does not even say which family it is about.
    NoFamily,
    /// The family was not announced by both, or is not spoken here.
    NotNegotiated,
    /// The routes of this family cannot be told.
    Family(RawFamily, Rule),
}

impl AttributeCode {
    /// The type with this number, if it is spoken here.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Origin,
            2 => Self::AsPath,
            3 => Self::NextHop,
            4 => Self::MultiExitDisc,
            5 => Self::LocalPref,
            6 => Self::AtomicAggregate,
            7 => Self::Aggregator,
            8 => Self::Communities,
            9 => Self::OriginatorId,
            10 => Self::ClusterList,
            14 => Self::MpReachNlri,
            15 => Self::MpUnreachNlri,
            16 => Self::ExtendedCommunities,
            17 => Self::As4Path,
            18 => Self::As4Aggregator,
            22 => Self::PmsiTunnel,
            32 => Self::LargeCommunities,
            40 => Self::PrefixSid,
            _ => return None,
        })
    }

    /// The Optional and Transitive flags that its RFC prescribes.
    #[must_use]
    pub const fn flags(self) -> AttributeFlags {
        AttributeFlags(match self {
            Self::Origin | Self::AsPath | Self::NextHop | Self::LocalPref | Self::AtomicAggregate => {
                AttributeFlags::TRANSITIVE
            }
            Self::MultiExitDisc
            | Self::OriginatorId
            | Self::ClusterList
            | Self::MpReachNlri
            | Self::MpUnreachNlri => AttributeFlags::OPTIONAL,
            Self::Aggregator
            | Self::Communities
            | Self::ExtendedCommunities
            | Self::As4Path
            | Self::As4Aggregator
            | Self::PmsiTunnel
            | Self::LargeCommunities
            | Self::PrefixSid => AttributeFlags::OPTIONAL | AttributeFlags::TRANSITIVE,
        })
    }
}

impl AttributeValue {
    /// The number of its type.
    #[must_use]
    pub const fn code(&self) -> u8 {
        let code = match self {
            Self::Origin(_) => AttributeCode::Origin,
            Self::AsPath(_) => AttributeCode::AsPath,
            Self::NextHop(_) => AttributeCode::NextHop,
            Self::MultiExitDisc(_) => AttributeCode::MultiExitDisc,
            Self::LocalPref(_) => AttributeCode::LocalPref,
            Self::AtomicAggregate => AttributeCode::AtomicAggregate,
            Self::Aggregator(_) => AttributeCode::Aggregator,
            Self::Communities(_) => AttributeCode::Communities,
            Self::OriginatorId(_) => AttributeCode::OriginatorId,
            Self::ClusterList(_) => AttributeCode::ClusterList,
            Self::MpReach(_) => AttributeCode::MpReachNlri,
            Self::MpUnreach(_) => AttributeCode::MpUnreachNlri,
            Self::ExtendedCommunities(_) => AttributeCode::ExtendedCommunities,
            Self::As4Path(_) => AttributeCode::As4Path,
            Self::As4Aggregator(_) => AttributeCode::As4Aggregator,
            Self::PmsiTunnel(_) => AttributeCode::PmsiTunnel,
            Self::LargeCommunities(_) => AttributeCode::LargeCommunities,
            Self::PrefixSid(_) => AttributeCode::PrefixSid,
            Self::Unknown { code, .. } => return *code,
        };
        code as u8
    }

    /// Reads the value of an attribute other than MP_REACH_NLRI and MP_UNREACH_NLRI, or says which rule it breaks.
    pub(super) fn read(code: AttributeCode, value: &[u8], codec: &Codec) -> Result<Self, Rule> {
        Ok(match code {
            AttributeCode::Origin => Self::Origin(match exactly::<1>(value)? {
                [0] => Origin::Igp,
                [1] => Origin::Egp,
                [2] => Origin::Incomplete,
                _ => return Err(Rule::Value),
            }),
            AttributeCode::AsPath => {
                Self::AsPath(AsPath::read(value, codec.four_octet_as).ok_or(Rule::Value)?)
            }
            AttributeCode::NextHop => Self::NextHop(exactly::<4>(value)?.into()),
            AttributeCode::MultiExitDisc => Self::MultiExitDisc(u32::from_be_bytes(exactly(value)?)),
            AttributeCode::LocalPref => Self::LocalPref(u32::from_be_bytes(exactly(value)?)),
            AttributeCode::AtomicAggregate => {
                exactly::<0>(value)?;
                Self::AtomicAggregate
            }
            AttributeCode::Aggregator => Self::Aggregator(aggregator(value, codec.four_octet_as)?),
            AttributeCode::Communities => {
                Self::Communities(list(value, |octets| Community(u32::from_be_bytes(octets)))?)
            }
            AttributeCode::OriginatorId => Self::OriginatorId(exactly::<4>(value)?.into()),
            AttributeCode::ClusterList => Self::ClusterList(list(value, Ipv4Addr::from_octets)?),
            AttributeCode::ExtendedCommunities => {
                Self::ExtendedCommunities(list(value, ExtendedCommunity::from_octets)?)
            }
            AttributeCode::As4Path => Self::As4Path(AsPath::read(value, true).ok_or(Rule::Value)?),
            AttributeCode::As4Aggregator => Self::As4Aggregator(aggregator(value, true)?),
            AttributeCode::PmsiTunnel => Self::PmsiTunnel(PmsiTunnel::read(value)?),
            AttributeCode::LargeCommunities => {
                Self::LargeCommunities(list(value, LargeCommunity::from_octets)?)
            }
            AttributeCode::PrefixSid => Self::PrefixSid(PrefixSid::read(value)?),
            AttributeCode::MpReachNlri | AttributeCode::MpUnreachNlri => {
                Self::Unknown { code: code as u8, value: value.into() }
            }
        })
    }

    fn write(&self, codec: &Codec, out: &mut Vec<u8>) {
        match self {
            Self::Origin(origin) => out.push(*origin as u8),
            Self::AsPath(path) => path.write(codec.four_octet_as, out),
            Self::As4Path(path) => path.write(true, out),
            Self::NextHop(address) | Self::OriginatorId(address) => out.extend(address.octets()),
            Self::MultiExitDisc(number) | Self::LocalPref(number) => put_u32(out, *number),
            Self::AtomicAggregate => {}
            Self::Aggregator(aggregator) => aggregator.write(codec.four_octet_as, out),
            Self::As4Aggregator(aggregator) => aggregator.write(true, out),
            Self::Communities(list) => list.iter().for_each(|community| put_u32(out, community.0)),
            Self::ClusterList(list) => list.iter().for_each(|cluster| out.extend(cluster.octets())),
            Self::ExtendedCommunities(list) => {
                list.iter().for_each(|community| out.extend(community.octets()))
            }
            Self::LargeCommunities(list) => list.iter().for_each(|community| out.extend(community.octets())),
            Self::MpReach(reach) => {
                reach.write_before_routes(out);
                write_routes(&reach.routes, codec.add_path_send.contains(reach.family), out);
            }
            Self::MpUnreach(unreach) => {
                put_family(unreach.family, out);
                write_routes(&unreach.routes, codec.add_path_send.contains(unreach.family), out);
            }
            Self::PmsiTunnel(tunnel) => {
                out.extend([tunnel.flags, tunnel.tunnel_type]);
                put_u24(out, tunnel.label.bits());
                out.extend_from_slice(&tunnel.identifier);
            }
            Self::PrefixSid(prefix_sid) => prefix_sid.write(out),
            Self::Unknown { value, .. } => out.extend_from_slice(value),
        }
    }
}

impl Attribute {
    /// An attribute with the flags that its type prescribes. One of an unknown type is optional and transitive.
    #[must_use]
    pub fn new(value: AttributeValue) -> Self {
        let unknown = AttributeFlags(AttributeFlags::OPTIONAL | AttributeFlags::TRANSITIVE);
        let flags = AttributeCode::from_number(value.code()).map_or(unknown, AttributeCode::flags);
        Self { flags, value }
    }

    /// Writes it, with a length of two octets if its flags say so or its value needs them.
    pub(super) fn write(&self, codec: &Codec, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend([self.flags.0, self.value.code(), 0, 0]);
        self.value.write(codec, out);
        let length = out.len() - start - 4;
        match u8::try_from(length) {
            Ok(length) if !self.flags.has(AttributeFlags::EXTENDED_LENGTH) => {
                out.remove(start + 3);
                out[start + 2] = length;
            }
            _ => {
                let length = u16::try_from(length).expect("what is packed fits a message");
                out[start] |= AttributeFlags::EXTENDED_LENGTH;
                out[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
    }
}

impl MpReach {
    pub(super) fn read(value: &[u8], codec: &Codec) -> Result<Self, MpFault> {
        let (family, mut reader) = read_family(value, codec)?;
        let fault = |rule| MpFault::Family(family.raw(), rule);
        let field = reader.u8().and_then(|length| reader.part(length.into()));
        let next_hop = field.and_then(|field| NextHop::read(field, family)).ok_or(fault(Rule::NextHop))?;
        reader.u8().ok_or(fault(Rule::Length))?;
        let routes = read_routes(reader, family, codec.add_path_receive.contains(family));
        Ok(Self { family, next_hop, routes: routes.ok_or(fault(Rule::Nlri))? })
    }

    /// Family, next hop and the octet that says nothing.
    pub(super) fn write_before_routes(&self, out: &mut Vec<u8>) {
        put_family(self.family, out);
        super::bytes::put_with_length_u8(out, |out| self.next_hop.write(self.family, out));
        out.push(0);
    }
}

impl MpUnreach {
    pub(super) fn read(value: &[u8], codec: &Codec) -> Result<Self, MpFault> {
        let (family, reader) = read_family(value, codec)?;
        let routes = read_routes(reader, family, codec.add_path_receive.contains(family));
        Ok(Self { family, routes: routes.ok_or(MpFault::Family(family.raw(), Rule::Nlri))? })
    }
}

fn read_family<'a>(value: &'a [u8], codec: &Codec) -> Result<(Family, Reader<'a>), MpFault> {
    let mut reader = Reader::new(value);
    let (Some(afi), Some(safi)) = (reader.u16(), reader.u8()) else { return Err(MpFault::NoFamily) };
    let family = RawFamily { afi, safi }.known().filter(|family| codec.families.contains(*family));
    Ok((family.ok_or(MpFault::NotNegotiated)?, reader))
}

fn put_family(family: Family, out: &mut Vec<u8>) {
    let RawFamily { afi, safi } = family.raw();
    put_u16(out, afi);
    out.push(safi);
}

fn exactly<const N: usize>(value: &[u8]) -> Result<[u8; N], Rule> {
    value.try_into().map_err(|_| Rule::Length)
}

/// At least one item, each of `N` octets.
fn list<const N: usize, T>(value: &[u8], item: impl Fn([u8; N]) -> T) -> Result<Box<[T]>, Rule> {
    let (items, rest) = value.as_chunks();
    if items.is_empty() || !rest.is_empty() {
        return Err(Rule::Length);
    }
    Ok(items.iter().map(|octets| item(*octets)).collect())
}

/// Nobody has AS number 0 (RFC 7607).
fn aggregator(value: &[u8], four_octets: bool) -> Result<Aggregator, Rule> {
    let mut reader = Reader::new(value);
    let asn = if four_octets { reader.u32() } else { reader.u16().map(u32::from) };
    let (asn, router_id) = (asn.ok_or(Rule::Length)?, exactly::<4>(reader.rest())?);
    if asn == 0 {
        return Err(Rule::Value);
    }
    Ok(Aggregator { asn: asn.into(), router_id: router_id.into() })
}

impl Aggregator {
    fn write(self, four_octets: bool, out: &mut Vec<u8>) {
        if four_octets {
            put_u32(out, self.asn.get());
        } else {
            put_u16(out, two_octets(self.asn));
        }
        out.extend(self.router_id.octets());
    }
}

impl LargeCommunity {
    fn from_octets(octets: [u8; 12]) -> Self {
        let [administrator, high, low] = *octets.as_chunks().0 else {
            unreachable!("12 octets are 3 times 4")
        };
        let values = [u32::from_be_bytes(high), u32::from_be_bytes(low)];
        Self { administrator: u32::from_be_bytes(administrator).into(), values }
    }

    fn octets(self) -> impl Iterator<Item = u8> {
        [self.administrator.get(), self.values[0], self.values[1]].into_iter().flat_map(u32::to_be_bytes)
    }
}

impl PmsiTunnel {
    /// What the type says of the identifier is checked for ingress replication only (RFC 6514 §5).
    fn read(value: &[u8]) -> Result<Self, Rule> {
        let mut reader = Reader::new(value);
        let mut head = || Some((reader.u8()?, reader.u8()?, LabelField::from_bits(reader.u24()?)));
        let (flags, tunnel_type, label) = head().ok_or(Rule::Length)?;
        let is_one = tunnel_type != Self::INGRESS_REPLICATION || matches!(reader.len(), 4 | 16);
        let identifier = is_one.then(|| reader.rest().into()).ok_or(Rule::Length)?;
        Ok(Self { flags, tunnel_type, label, identifier })
    }
}
