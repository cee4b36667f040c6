//! Messages from bytes.

use super::bytes::Reader;
use super::capability::Capability;
use super::codec::Codec;
use super::encode::{CAPABILITIES, EXTENDED, encode};
use super::error::{Fault, NotificationCode};
use super::family::RawFamily;
use super::message::{Message, Notification, Open, RefreshSubtype, RouteRefresh};
use super::update_decode::decode_update;

/// Marker 16, length 2, type 1 (RFC 4271 §4.1).
pub(super) const HEADER_LENGTH: usize = 19;
pub(super) const MARKER: [u8; 16] = [0xff; 16];
pub(super) const VERSION: u8 = 4;
/// The longest OPEN and KEEPALIVE, and the longest message without extended messages.
const LENGTH_MAX: usize = 4096;

/// The type in a message's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum MessageType {
    Open = 1,
    Update = 2,
    Notification = 3,
    Keepalive = 4,
    RouteRefresh = 5,
}

impl MessageType {
    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Open,
            2 => Self::Update,
            3 => Self::Notification,
            4 => Self::Keepalive,
            5 => Self::RouteRefresh,
            _ => return None,
        })
    }

    /// The lengths that it can have, header included (RFC 4271 §6.1, RFC 8654 §4).
    fn has_length(self, length: usize, codec: &Codec) -> bool {
        let max = codec.message_length_max();
        match self {
            Self::Open => (29..=LENGTH_MAX).contains(&length),
            Self::Update => (23..=max).contains(&length),
            Self::Notification => (21..=max).contains(&length),
            Self::Keepalive => length == HEADER_LENGTH,
            Self::RouteRefresh => (23..=max).contains(&length),
        }
    }
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What it says. Of an UPDATE with faults, what is to be acted on: what discarded attributes said is not in it, routes that are to be
    /// treated as withdrawn are among the withdrawn, and it is no End-of-RIB marker.
    pub message: Message,
    /// What was wrong with it, in the order in which it was found; empty for a message in good form.
    pub faults: Vec<Fault>,
}

/// The length of the first message in `bytes`, or `None` if its header is not complete. The message may be longer than what is there.
///
/// # Errors
///
/// With this NOTIFICATION the session must end (RFC 4271 §6.1).
pub fn frame(bytes: &[u8], codec: &Codec) -> Result<Option<usize>, Notification> {
    Ok(read_header(bytes, codec)?.map(|(_, length)| length))
}

fn read_header(bytes: &[u8], codec: &Codec) -> Result<Option<(MessageType, usize)>, Notification> {
    let mut reader = Reader::new(bytes);
    let mut fields = || Some((reader.array::<16>()?, reader.array::<2>()?, reader.u8()?));
    let Some((marker, length, number)) = fields() else { return Ok(None) };
    if marker != MARKER {
        return Err(Notification::new(NotificationCode::HEADER_NOT_SYNCHRONIZED));
    }
    let bad_length = || Notification::with_data(NotificationCode::BAD_MESSAGE_LENGTH, &length);
    let message_type = MessageType::from_number(number)
        .ok_or_else(|| Notification::with_data(NotificationCode::BAD_MESSAGE_TYPE, &[number]))?;
    let length = usize::from(u16::from_be_bytes(length));
    if message_type.has_length(length, codec) { Ok(Some((message_type, length))) } else { Err(bad_length()) }
}

/// Reads one message, header included, of exactly the length that [`frame`] gave.
///
/// A message is at most 65,535 octets long; what is made of it takes at most about a hundred times as much memory.
///
/// # Errors
///
/// With this NOTIFICATION the session must end (RFC 4271 §6, RFC 7606).
pub fn decode(bytes: &[u8], codec: &Codec) -> Result<Received, Notification> {
    let bad_length =
        || Notification::with_data(NotificationCode::BAD_MESSAGE_LENGTH, bytes.get(16..18).unwrap_or(&[]));
    let (message_type, length) = read_header(bytes, codec)?.ok_or_else(bad_length)?;
    if length != bytes.len() {
        return Err(bad_length());
    }
    let body = &bytes[HEADER_LENGTH..];
    let message = match message_type {
        MessageType::Open => Message::Open(read_open(body)?),
        MessageType::Update => {
            let (update, faults) = decode_update(body, codec)?;
            return Ok(Received { message: Message::Update(update), faults });
        }
        MessageType::Notification => {
            let code = NotificationCode { code: body[0], subcode: body[1] };
            Message::Notification(Notification::with_data(code, &body[2..]))
        }
        MessageType::Keepalive => Message::Keepalive,
        MessageType::RouteRefresh => Message::RouteRefresh(read_refresh(bytes)?),
    };
    Ok(Received { message, faults: Vec::new() })
}

fn read_open(body: &[u8]) -> Result<Open, Notification> {
    let malformed = || Notification::new(NotificationCode::OPEN_UNSPECIFIC);
    let mut reader = Reader::new(body);
    let mut fields = || Some((reader.u8()?, reader.u16()?, reader.u16()?, reader.array::<4>()?));
    let (version, my_as, hold_time_s, router_id) = fields().ok_or_else(malformed)?;
    if version != VERSION {
        let ours = [0, VERSION];
        return Err(Notification::with_data(NotificationCode::UNSUPPORTED_VERSION, &ours));
    }
    let capabilities = read_parameters(&mut reader)?;
    let open = Open { my_as, hold_time_s, router_id: router_id.into(), capabilities };
    if my_as == 0 || open.asn().get() == 0 {
        return Err(Notification::new(NotificationCode::BAD_PEER_AS));
    }
    if matches!(hold_time_s, 1 | 2) {
        return Err(Notification::new(NotificationCode::UNACCEPTABLE_HOLD_TIME));
    }
    if open.router_id.is_unspecified() {
        return Err(Notification::new(NotificationCode::BAD_BGP_IDENTIFIER));
    }
    Ok(open)
}

/// The optional parameters, with lengths of one octet or of two (RFC 9072). Only capabilities are known.
fn read_parameters(reader: &mut Reader<'_>) -> Result<Vec<Capability>, Notification> {
    let malformed = || Notification::new(NotificationCode::OPEN_UNSPECIFIC);
    let mut length = usize::from(reader.u8().ok_or_else(malformed)?);
    let is_extended = length != 0 && reader.rest().first() == Some(&EXTENDED);
    if is_extended {
        reader.u8();
        length = reader.u16().ok_or_else(malformed)?.into();
    }
    let mut parameters = reader.part(length).filter(|_| reader.is_empty()).ok_or_else(malformed)?;
    let mut capabilities = Vec::new();
    while !parameters.is_empty() {
        let kind = parameters.u8().ok_or_else(malformed)?;
        let length = if is_extended { parameters.u16() } else { parameters.u8().map(u16::from) };
        let mut value = length.and_then(|length| parameters.part(length.into())).ok_or_else(malformed)?;
        if kind != CAPABILITIES {
            return Err(Notification::new(NotificationCode::UNSUPPORTED_OPTIONAL_PARAMETER));
        }
        while !value.is_empty() {
            capabilities.push(Capability::read(&mut value).ok_or_else(malformed)?);
        }
    }
    Ok(capabilities)
}

fn read_refresh(bytes: &[u8]) -> Result<RouteRefresh, Notification> {
    let &[high, low, subtype, safi, ref rest @ ..] = &bytes[HEADER_LENGTH..] else {
        return Err(Notification::with_data(NotificationCode::BAD_REFRESH_LENGTH, bytes));
    };
    let subtype = match subtype {
        0 => RefreshSubtype::Request,
        1 => RefreshSubtype::Begin,
        2 => RefreshSubtype::End,
        number => RefreshSubtype::Unknown(number),
    };
    // What an unknown one has besides is not known either (RFC 7313 §5).
    if !rest.is_empty() && !matches!(subtype, RefreshSubtype::Unknown(_)) {
        return Err(Notification::with_data(NotificationCode::BAD_REFRESH_LENGTH, bytes));
    }
    Ok(RouteRefresh { family: RawFamily { afi: u16::from_be_bytes([high, low]), safi }, subtype })
}

/// Reads a message and writes it again: what a neighbour sends in good form must come out the same.
///
/// # Errors
///
/// What came out instead of the same bytes, or why nothing did.
pub fn reencode_is_identical(bytes: &[u8], codec: &Codec) -> Result<(), String> {
    let Received { message, faults } =
        decode(bytes, codec).map_err(|reset| format!("refused with {reset}"))?;
    if let Some(fault) = faults.first() {
        return Err(format!("not in good form: {fault}"));
    }
    let back = Codec { add_path_send: codec.add_path_receive, ..*codec };
    let again = encode(&message, &back);
    if again == bytes {
        Ok(())
    } else {
        Err(format!("{message:?}\n  came as {bytes:02x?}\n  went as {again:02x?}"))
    }
}
