//! The Prefix-SID attribute (RFC 8669) with the SRv6 service TLVs of RFC 9252.
//!
//! ```text
//! attribute ── TLV 5 (L3) or 6 (L2) ── sub-TLV 1: a SID and its behaviour ── sub-sub-TLV 1: how the SID is divided
//! ```

use std::net::Ipv6Addr;

/// The Prefix-SID attribute: TLVs in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrefixSid {
    /// The TLVs.
    pub tlvs: Vec<PrefixSidTlv>,
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
