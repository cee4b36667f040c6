//! BGP messages as bytes and as values (RFC 4271 and what extends it).
//!
//! ```text
//! bytes ── frame ──> one message ── decode(codec) ──> Received { message, faults } ──> Update ──> Attributes + Routes
//! bytes <─────────────────────── encode(codec) ─────────────────────────── Message <── pack ──┘
//! ```
//!
//! There are two forms of what an UPDATE says. [`Update`] is the wire's: attributes in the order, with the flags and in the form in
//! which they came, so that encoding what was decoded gives the same bytes. [`Attributes`] is the routing table's: one value for
//! the same meaning, comparable and small. [`Update::announcements`] leads from the first to the second,
//! [`pack_announcements`] back.

mod as_path;
mod attribute;
mod attribute_bytes;
mod attributes;
mod bytes;
mod capability;
mod codec;
mod community;
mod decode;
mod destination_text;
mod encode;
mod error;
mod evpn;
mod family;
mod message;
mod next_hop;
mod nlri;
mod nlri_bytes;
mod pack;
mod pmsi;
mod srv6;
mod update;
mod update_decode;

pub use as_path::{AsPath, Segment, SegmentKind};
pub use attribute::{
    Aggregator, Attribute, AttributeCode, AttributeFlags, AttributeValue, MpReach, MpUnreach, Origin,
    RawAttribute,
};
pub use attributes::{Attributes, RareAttributes};
pub use capability::{AddPathMode, Capability, GracefulRestart, GracefulRestartFamily, LongLivedFamily};
pub use codec::{Codec, PeerKind};
pub use community::{Community, ExtendedCommunity, LargeCommunity};
pub use decode::{Received, decode, frame, reencode_is_identical};
pub use encode::encode;
pub use error::{Consequence, Fault, NotificationCode, Rule};
pub use evpn::{Esi, EthernetTag, EvpnDestination, EvpnPayload};
pub use family::{Family, FamilySet, RawFamily};
pub use message::{Message, Notification, Open, RefreshSubtype, RouteRefresh};
pub use next_hop::NextHop;
pub use nlri::{Destination, LabelField, Membership, PathId, Payload, Route, VpnDestination};
pub use pack::{TooLong, pack_announcements, pack_withdrawals};
pub use pmsi::PmsiTunnel;
pub use srv6::{PrefixSid, PrefixSidTlv, SidStructure, Srv6Service, Srv6ServiceTlv, Srv6Sid};
pub use update::Update;
