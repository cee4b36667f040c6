//! Messages to bytes.

use super::bytes::{put_u16, put_with_length_u8, put_with_length_u16};
use super::codec::Codec;
use super::decode::{HEADER_LENGTH, MARKER, MessageType, VERSION};
use super::family::Family;
use super::message::{Message, Notification, Open, RefreshSubtype, RouteRefresh};
use super::nlri_bytes::write_routes;
use super::update::Update;

/// The message, header included. Path identifiers are written for the families that `codec` sends them for.
///
/// It is as long as what it holds: [`super::pack_announcements`] and [`super::pack_withdrawals`] make UPDATEs that fit.
///
/// # Panics
///
/// If it does not fit 65,535 octets, which nothing that was read or packed does.
#[must_use]
pub fn encode(message: &Message, codec: &Codec) -> Vec<u8> {
    match message {
        Message::Open(open) => with_header(MessageType::Open, |out| put_open(open, out)),
        Message::Update(update) => encode_update(update, codec),
        Message::Notification(Notification { code, data }) => with_header(MessageType::Notification, |out| {
            out.extend([code.code, code.subcode]);
            out.extend_from_slice(data);
        }),
        Message::Keepalive => with_header(MessageType::Keepalive, |_| {}),
        Message::RouteRefresh(refresh) => {
            with_header(MessageType::RouteRefresh, |out| put_refresh(*refresh, out))
        }
    }
}

pub(super) fn encode_update(update: &Update, codec: &Codec) -> Vec<u8> {
    let has_path_ids = codec.add_path_send.contains(Family::Ipv4Unicast);
    with_header(MessageType::Update, |out| {
        put_with_length_u16(out, |out| write_routes(&update.withdrawn, has_path_ids, out));
        put_with_length_u16(out, |out| {
            update.attributes.iter().for_each(|attribute| attribute.write(codec, out));
        });
        write_routes(&update.announced, has_path_ids, out);
    })
}

fn with_header(message_type: MessageType, body: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LENGTH + 109);
    out.extend(MARKER);
    out.extend([0, 0, message_type as u8]);
    body(&mut out);
    let length = u16::try_from(out.len()).expect("what was read or packed fits a message");
    out[MARKER.len()..MARKER.len() + 2].copy_from_slice(&length.to_be_bytes());
    out
}

/// Optional parameter: capabilities.
pub(super) const CAPABILITIES: u8 = 2;
/// Stands where the optional parameters' length and first type are, if their real length takes two octets (RFC 9072 §2).
pub(super) const EXTENDED: u8 = 255;

/// All capabilities are in one optional parameter.
fn put_open(open: &Open, out: &mut Vec<u8>) {
    out.push(VERSION);
    put_u16(out, open.my_as);
    put_u16(out, open.hold_time_s);
    out.extend(open.router_id.octets());
    let mut capabilities = Vec::new();
    open.capabilities.iter().for_each(|capability| capability.write(&mut capabilities));
    if capabilities.is_empty() {
        out.push(0);
    } else if capabilities.len() + 2 < usize::from(EXTENDED) {
        put_with_length_u8(out, |out| {
            out.push(CAPABILITIES);
            put_with_length_u8(out, |out| out.append(&mut capabilities));
        });
    } else {
        out.extend([EXTENDED, EXTENDED]);
        put_with_length_u16(out, |out| {
            out.push(CAPABILITIES);
            put_with_length_u16(out, |out| out.append(&mut capabilities));
        });
    }
}

fn put_refresh(refresh: RouteRefresh, out: &mut Vec<u8>) {
    put_u16(out, refresh.family.afi);
    out.push(match refresh.subtype {
        RefreshSubtype::Request => 0,
        RefreshSubtype::Begin => 1,
        RefreshSubtype::End => 2,
        RefreshSubtype::Unknown(number) => number,
    });
    out.push(refresh.family.safi);
}
