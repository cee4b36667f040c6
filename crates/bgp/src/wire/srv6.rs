//! The Prefix-SID attribute (RFC 8669) with the SRv6 service TLVs of RFC 9252.
//!
//! ```text
//! attribute ── TLV 5 (L3) or 6 (L2) ── sub-TLV 1: a SID and its behaviour ── sub-sub-TLV 1: how the SID is divided
//! ```

use std::net::Ipv6Addr;

use super::bytes::{Reader, put_u16, put_with_length_u16};
use super::error::Rule;

/// The Prefix-SID attribute: TLVs in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrefixSid {
    /// The TLVs.
    pub tlvs: Vec<PrefixSidTlv>,
}

impl PrefixSid {
    /// Whether packets are to be sent to a SID of a layer 3 service, whatever label the route has (RFC 9252 §3).
    #[must_use]
    pub fn is_srv6_l3(&self) -> bool {
        self.tlvs.iter().any(|tlv| matches!(tlv, PrefixSidTlv::Srv6L3(_)))
    }
}

/// A TLV of the attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrefixSidTlv {
    /// TLV 5: SIDs of a layer 3 service.
    Srv6L3(Srv6Service),
    /// TLV 6: SIDs of a layer 2 service.
    Srv6L2(Srv6Service),
    /// Any other, kept as it came.
    Unknown {
        /// The type.
        kind: u8,
        /// The octets after the length.
        value: Box<[u8]>,
    },
}

/// The value of an SRv6 service TLV.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Srv6Service {
    /// The sub-TLVs, in order of preference.
    pub tlvs: Vec<Srv6ServiceTlv>,
}

/// A sub-TLV of an SRv6 service TLV.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Srv6ServiceTlv {
    /// Sub-TLV 1: SID information.
    Sid(Srv6Sid),
    /// Any other, kept as it came.
    Unknown {
        /// The type.
        kind: u8,
        /// The octets after the length.
        value: Box<[u8]>,
    },
}

/// A SID and what the router that owns it does with packets to it (RFC 9252 §3.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Srv6Sid {
    /// The SID; bits that are transposed into a label are zero.
    pub sid: Ipv6Addr,
    /// Service SID flags; none is defined.
    pub flags: u8,
    /// The endpoint behaviour (RFC 8986 §10.2): 18 `End.DT6`, 19 `End.DT4`, 20 `End.DT46`; 0xffff says nothing.
    pub behavior: u16,
    /// How the SID is divided, if the sub-sub-TLV is there.
    pub structure: Option<SidStructure>,
    /// Other sub-sub-TLVs, with their types, kept as they came; they stand after the structure.
    pub unknown: Vec<(u8, Box<[u8]>)>,
}

/// How many bits each part of a SID has, and which are carried in the label (RFC 9252 §3.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SidStructure {
    /// Locator block.
    pub locator_block_bits: u8,
    /// Locator node.
    pub locator_node_bits: u8,
    /// Function.
    pub function_bits: u8,
    /// Argument.
    pub argument_bits: u8,
    /// How many bits are transposed into the label field of the NLRI.
    pub transposition_bits: u8,
    /// Where in the SID they belong, counted from its first bit.
    pub transposition_offset_bits: u8,
}

impl PrefixSid {
    /// The attribute of a layer 3 route with one SID.
    #[must_use]
    pub fn l3(sid: Srv6Sid) -> Self {
        Self { tlvs: vec![PrefixSidTlv::Srv6L3(Srv6Service { tlvs: vec![Srv6ServiceTlv::Sid(sid)] })] }
    }

    /// The attribute of a layer 2 route with one SID.
    #[must_use]
    pub fn l2(sid: Srv6Sid) -> Self {
        Self { tlvs: vec![PrefixSidTlv::Srv6L2(Srv6Service { tlvs: vec![Srv6ServiceTlv::Sid(sid)] })] }
    }

    /// The SID to use for a layer 3 route: the first one of the first TLV (RFC 9252 §7).
    #[must_use]
    pub fn l3_sid(&self) -> Option<&Srv6Sid> {
        self.tlvs
            .iter()
            .find_map(|tlv| if let PrefixSidTlv::Srv6L3(service) = tlv { Some(service) } else { None })?
            .sid()
    }

    /// The SID to use for a layer 2 route: the first one of the first TLV (RFC 9252 §7).
    #[must_use]
    pub fn l2_sid(&self) -> Option<&Srv6Sid> {
        self.tlvs
            .iter()
            .find_map(|tlv| if let PrefixSidTlv::Srv6L2(service) = tlv { Some(service) } else { None })?
            .sid()
    }
}

impl Srv6Service {
    /// The first SID.
    #[must_use]
    pub fn sid(&self) -> Option<&Srv6Sid> {
        self.tlvs.iter().find_map(|tlv| if let Srv6ServiceTlv::Sid(sid) = tlv { Some(sid) } else { None })
    }
}

const L3_SERVICE: u8 = 5;
const L2_SERVICE: u8 = 6;
const SID_INFORMATION: u8 = 1;
const SID_STRUCTURE: u8 = 1;
const SID_STRUCTURE_LENGTH: usize = 6;

impl PrefixSid {
    /// Reads the value of the attribute. TLVs that do not fill it break [`Rule::Length`] (RFC 8669 §6), an SRv6 service TLV that is not in good form
    /// breaks [`Rule::Value`] (RFC 9252 §7).
    pub(super) fn read(value: &[u8]) -> Result<Self, Rule> {
        let mut reader = Reader::new(value);
        let mut tlvs = Vec::new();
        while !reader.is_empty() {
            let (kind, value) = read_tlv(&mut reader).ok_or(Rule::Length)?;
            tlvs.push(match kind {
                L3_SERVICE => PrefixSidTlv::Srv6L3(Srv6Service::read(value).ok_or(Rule::Value)?),
                L2_SERVICE => PrefixSidTlv::Srv6L2(Srv6Service::read(value).ok_or(Rule::Value)?),
                _ => PrefixSidTlv::Unknown { kind, value: value.rest().into() },
            });
        }
        Ok(Self { tlvs })
    }

    /// Writes the value of the attribute.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        for tlv in &self.tlvs {
            match tlv {
                PrefixSidTlv::Srv6L3(service) => put_tlv(out, L3_SERVICE, |out| service.write(out)),
                PrefixSidTlv::Srv6L2(service) => put_tlv(out, L2_SERVICE, |out| service.write(out)),
                PrefixSidTlv::Unknown { kind, value } => {
                    put_tlv(out, *kind, |out| out.extend_from_slice(value))
                }
            }
        }
    }
}

impl Srv6Service {
    fn read(value: Reader<'_>) -> Option<Self> {
        let mut reader = value;
        reader.u8()?;
        let mut tlvs = Vec::new();
        while !reader.is_empty() {
            let (kind, value) = read_tlv(&mut reader)?;
            tlvs.push(match kind {
                SID_INFORMATION => Srv6ServiceTlv::Sid(Srv6Sid::read(value)?),
                _ => Srv6ServiceTlv::Unknown { kind, value: value.rest().into() },
            });
        }
        Some(Self { tlvs })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(0);
        for tlv in &self.tlvs {
            match tlv {
                Srv6ServiceTlv::Sid(sid) => put_tlv(out, SID_INFORMATION, |out| sid.write(out)),
                Srv6ServiceTlv::Unknown { kind, value } => {
                    put_tlv(out, *kind, |out| out.extend_from_slice(value));
                }
            }
        }
    }
}

impl Srv6Sid {
    fn read(value: Reader<'_>) -> Option<Self> {
        let mut reader = value;
        reader.u8()?;
        let (sid, flags, behavior) = (reader.array::<16>()?.into(), reader.u8()?, reader.u16()?);
        reader.u8()?;
        let mut this = Self { sid, flags, behavior, structure: None, unknown: Vec::new() };
        while !reader.is_empty() {
            let (kind, mut value) = read_tlv(&mut reader)?;
            // A second one says nothing, yet is passed on.
            if kind == SID_STRUCTURE && this.structure.is_none() && this.unknown.is_empty() {
                this.structure = Some(SidStructure::read(&mut value)?);
            } else {
                this.unknown.push((kind, value.rest().into()));
            }
        }
        Some(this)
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(0);
        out.extend(self.sid.octets());
        out.push(self.flags);
        put_u16(out, self.behavior);
        out.push(0);
        if let Some(structure) = self.structure {
            put_tlv(out, SID_STRUCTURE, |out| structure.write(out));
        }
        for (kind, value) in &self.unknown {
            put_tlv(out, *kind, |out| out.extend_from_slice(value));
        }
    }
}

impl SidStructure {
    fn read(value: &mut Reader<'_>) -> Option<Self> {
        let [block, node, function, argument, transposition, offset] =
            value.array::<SID_STRUCTURE_LENGTH>()?;
        value.is_empty().then_some(Self {
            locator_block_bits: block,
            locator_node_bits: node,
            function_bits: function,
            argument_bits: argument,
            transposition_bits: transposition,
            transposition_offset_bits: offset,
        })
    }

    fn write(self, out: &mut Vec<u8>) {
        out.extend([self.locator_block_bits, self.locator_node_bits, self.function_bits, self.argument_bits]);
        out.extend([self.transposition_bits, self.transposition_offset_bits]);
    }
}

/// A type in one octet, a length in two, and as many octets.
fn read_tlv<'a>(reader: &mut Reader<'a>) -> Option<(u8, Reader<'a>)> {
    let (kind, length) = (reader.u8()?, reader.u16()?);
    Some((kind, reader.part(length.into())?))
}

fn put_tlv(out: &mut Vec<u8>, kind: u8, value: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    put_with_length_u16(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(text: &str) -> Srv6Sid {
        let sid = text.parse().expect("an address");
        Srv6Sid { sid, flags: 0, behavior: 19, structure: None, unknown: Vec::new() }
    }

    #[test]
    fn a_layer_has_the_first_sid_of_its_first_service() {
        let (l3, l2) = (PrefixSid::l3(sid("fc00::3")), PrefixSid::l2(sid("fc00::2")));
        assert_eq!((l3.l3_sid(), l3.l2_sid()), (Some(&sid("fc00::3")), None));
        assert_eq!((l2.l3_sid(), l2.l2_sid()), (None, Some(&sid("fc00::2"))));
        let unknown = PrefixSidTlv::Unknown { kind: 1, value: [0; 7].into() };
        let service = |tlvs| PrefixSidTlv::Srv6L3(Srv6Service { tlvs });
        let both = vec![Srv6ServiceTlv::Sid(sid("fc00::4")), Srv6ServiceTlv::Sid(sid("fc00::5"))];
        let tlvs = vec![unknown, service(both), service(vec![Srv6ServiceTlv::Sid(sid("fc00::6"))])];
        assert_eq!(PrefixSid { tlvs }.l3_sid(), Some(&sid("fc00::4")));
        // All but the first TLV are ignored, also if the first has no SID.
        let tlvs = vec![service(Vec::new()), service(vec![Srv6ServiceTlv::Sid(sid("fc00::6"))])];
        assert_eq!(PrefixSid { tlvs }.l3_sid(), None);
    }

    #[test]
    fn parts_of_a_sid_stay_in_their_order() {
        let structure = [1, 0, 6, 32, 16, 16, 0, 0, 0];
        let other = [9, 0, 1, 7];
        let information = |parts: &[u8]| [&[0; 17][..], &[0, 0, 19, 0], parts].concat();
        for parts in
            [[&structure[..], &other].concat(), [&other[..], &structure].concat(), structure.repeat(2)]
        {
            let octets = information(&parts);
            let mut written = Vec::new();
            Srv6Sid::read(Reader::new(&octets)).expect("in good form").write(&mut written);
            assert_eq!(written, octets);
        }
    }
}
