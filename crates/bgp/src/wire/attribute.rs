//! Path attributes as the wire has them: typed values, with their flags.

use std::net::Ipv4Addr;

use weft_net::Asn;

use super::as_path::AsPath;
use super::community::{Community, ExtendedCommunity, LargeCommunity};
use super::family::Family;
use super::next_hop::NextHop;
use super::nlri::Route;
use super::pmsi::PmsiTunnel;
use super::srv6::PrefixSid;

/// An attribute of an UPDATE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its flags, as they came.
    pub flags: AttributeFlags,
    /// What it says.
    pub value: AttributeValue,
}

/// The octet before an attribute's type (RFC 4271 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeFlags(pub u8);

impl AttributeFlags {
    /// Not every speaker has to know it.
    pub const OPTIONAL: u8 = 0x80;
    /// Passed on also by who does not know it.
    pub const TRANSITIVE: u8 = 0x40;
    /// Somebody on the way did not know it.
    pub const PARTIAL: u8 = 0x20;
    /// Its length takes two octets.
    pub const EXTENDED_LENGTH: u8 = 0x10;

    /// Whether all of `bits` are set.
    #[must_use]
    pub const fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}

/// The attributes' types that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of the RFCs")]
pub enum AttributeCode {
    Origin = 1,
    AsPath = 2,
    NextHop = 3,
    MultiExitDisc = 4,
    LocalPref = 5,
    AtomicAggregate = 6,
    Aggregator = 7,
    Communities = 8,
    OriginatorId = 9,
    ClusterList = 10,
    MpReachNlri = 14,
    MpUnreachNlri = 15,
    ExtendedCommunities = 16,
    As4Path = 17,
    As4Aggregator = 18,
    PmsiTunnel = 22,
    LargeCommunities = 32,
    PrefixSid = 40,
}

/// What an attribute says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    /// 1: how the route came into BGP.
    Origin(Origin),
    /// 2: the systems it came through.
    AsPath(AsPath),
    /// 3: the next hop of the IPv4 unicast routes outside MP_REACH_NLRI.
    NextHop(Ipv4Addr),
    /// 4: preference among several links to one neighbouring AS; less is better.
    MultiExitDisc(u32),
    /// 5: preference inside an AS; more is better.
    LocalPref(u32),
    /// 6: systems were left out of the path of an aggregate.
    AtomicAggregate,
    /// 7: who made the aggregate.
    Aggregator(Aggregator),
    /// 8.
    Communities(Box<[Community]>),
    /// 9: the router that brought the route into a reflected AS (RFC 4456).
    OriginatorId(Ipv4Addr),
    /// 10: the clusters that reflected it (RFC 4456).
    ClusterList(Box<[Ipv4Addr]>),
    /// 14: routes announced.
    MpReach(MpReach),
    /// 15: routes withdrawn.
    MpUnreach(MpUnreach),
    /// 16.
    ExtendedCommunities(Box<[ExtendedCommunity]>),
    /// 17: the path with four-octet numbers, beside one with two-octet numbers (RFC 6793).
    As4Path(AsPath),
    /// 18: the aggregator with a four-octet number (RFC 6793).
    As4Aggregator(Aggregator),
    /// 22.
    PmsiTunnel(PmsiTunnel),
    /// 32.
    LargeCommunities(Box<[LargeCommunity]>),
    /// 40.
    PrefixSid(PrefixSid),
    /// A type that is not spoken here, or routes of a family that is not: kept as it came.
    Unknown {
        /// The type.
        code: u8,
        /// The octets after the length.
        value: Box<[u8]>,
    },
}

/// How a route came into BGP; less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// 0: from an interior protocol, or by configuration.
    Igp,
    /// 1: from EGP.
    Egp,
    /// 2: otherwise.
    Incomplete,
}

/// Who made an aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aggregator {
    /// Its system.
    pub asn: Asn,
    /// Its router identifier.
    pub router_id: Ipv4Addr,
}

/// MP_REACH_NLRI (RFC 4760 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MpReach {
    /// The family of all its routes.
    pub family: Family,
    /// Their next hop.
    pub next_hop: NextHop,
    /// The routes.
    pub routes: Vec<Route>,
}

/// MP_UNREACH_NLRI (RFC 4760 §4). Without routes it is an End-of-RIB marker (RFC 4724 §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MpUnreach {
    /// The family of all its routes.
    pub family: Family,
    /// The routes.
    pub routes: Vec<Route>,
}

/// An attribute that is not spoken here but passed on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawAttribute {
    /// Its type.
    pub code: u8,
    /// Its flags, without that of an extended length.
    pub flags: AttributeFlags,
    /// Its octets.
    pub value: Box<[u8]>,
}
