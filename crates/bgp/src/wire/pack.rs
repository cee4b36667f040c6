//! Routes into as few UPDATEs as hold them.

use super::attribute::{Attribute, AttributeValue, MpReach, MpUnreach};
use super::attributes::Attributes;
use super::codec::Codec;
use super::decode::HEADER_LENGTH;
use super::encode::encode_update;
use super::family::Family;
use super::next_hop::NextHop;
use super::nlri::Route;
use super::nlri_bytes::write_route;
use super::update::Update;

/// Attributes leave no room for a route in a message: the route cannot be announced to this neighbour (RFC 8654 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the attributes take {octets} octets, more than a message to this neighbour has room for")]
pub struct TooLong {
    /// What the attributes take.
    pub octets: usize,
}

/// The messages, each of a length that `codec` allows, that announce `routes` of `family` with `attributes`.
///
/// IPv4 unicast routes with an IPv4 next hop stand outside attributes, all others in MP_REACH_NLRI, which comes first (RFC 7606 §5.1).
///
/// # Errors
///
/// No message is made if the attributes are too long for one.
pub fn pack_announcements(
    family: Family,
    attributes: &Attributes,
    routes: Vec<Route>,
    codec: &Codec,
) -> Result<Vec<Vec<u8>>, TooLong> {
    let mut list = attributes.to_wire(codec);
    let frame = match (family, attributes.next_hop) {
        (Family::Ipv4Unicast, NextHop::Ipv4(address)) => {
            // ORIGIN and AS_PATH are always there; NEXT_HOP is the third by its number.
            list.insert(2, Attribute::new(AttributeValue::NextHop(address)));
            Frame::Outside(list)
        }
        (family, next_hop) => Frame::Reach(family, next_hop, list),
    };
    let octets = message_length(&frame, codec);
    pack(&frame, octets, routes, codec).ok_or(TooLong { octets })
}

/// The messages, each of a length that `codec` allows, that withdraw `routes` of `family`.
#[must_use]
pub fn pack_withdrawals(family: Family, routes: Vec<Route>, codec: &Codec) -> Vec<Vec<u8>> {
    let frame = if family == Family::Ipv4Unicast { Frame::Withdrawn } else { Frame::Unreach(family) };
    let octets = message_length(&frame, codec);
    pack(&frame, octets, routes, codec).expect("a message has room for any one route")
}

/// An UPDATE that lacks its routes.
enum Frame {
    Outside(Vec<Attribute>),
    Reach(Family, NextHop, Vec<Attribute>),
    Withdrawn,
    Unreach(Family),
}

impl Frame {
    fn family(&self) -> Family {
        match self {
            Self::Outside(_) | Self::Withdrawn => Family::Ipv4Unicast,
            Self::Reach(family, ..) | Self::Unreach(family) => *family,
        }
    }

    fn update(&self, routes: Vec<Route>) -> Update {
        let first = |value, rest: &[Attribute]| [&[Attribute::new(value)], rest].concat();
        match self {
            Self::Outside(list) => {
                Update { attributes: list.clone(), announced: routes, ..Update::default() }
            }
            Self::Reach(family, next_hop, list) => {
                let reach = MpReach { family: *family, next_hop: *next_hop, routes };
                Update { attributes: first(AttributeValue::MpReach(reach), list), ..Update::default() }
            }
            Self::Withdrawn => Update { withdrawn: routes, ..Update::default() },
            Self::Unreach(family) => {
                let unreach = MpUnreach { family: *family, routes };
                Update { attributes: first(AttributeValue::MpUnreach(unreach), &[]), ..Update::default() }
            }
        }
    }
}

/// The length of the message without routes; an octet more in case that the attribute with the routes gets a long length.
fn message_length(frame: &Frame, codec: &Codec) -> usize {
    encode_update(&frame.update(Vec::new()), codec).len() + 1 - HEADER_LENGTH
}

/// `None` if a route does not fit.
fn pack(frame: &Frame, octets: usize, routes: Vec<Route>, codec: &Codec) -> Option<Vec<Vec<u8>>> {
    let room = (codec.message_length_max() - HEADER_LENGTH).checked_sub(octets)?;
    let has_path_ids = codec.add_path_send.contains(frame.family());
    let (mut messages, mut some, mut used) = (Vec::new(), Vec::new(), 0);
    let mut buffer = Vec::new();
    for route in routes {
        buffer.clear();
        write_route(&route, has_path_ids, &mut buffer);
        if buffer.len() > room {
            return None;
        }
        if used + buffer.len() > room {
            messages.push(encode_update(&frame.update(std::mem::take(&mut some)), codec));
            used = 0;
        }
        used += buffer.len();
        some.push(route);
    }
    if !some.is_empty() {
        messages.push(encode_update(&frame.update(some), codec));
    }
    Some(messages)
}
