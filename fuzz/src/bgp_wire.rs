//! BGP messages: any bytes are refused, or they are understood, and what is understood is written and read as the same.

use weft_bgp::wire::{
    Attributes, Codec, Family, FamilySet, Message, PeerKind, Received, decode, encode, frame,
};

/// The first octet chooses what the neighbours agreed on, the second the type of the message; the rest is the message after its header. If the
/// first octet is 255, the rest is a stream with headers of its own.
///
/// # Panics
///
/// If a message without a fault is not written and read as the same.
pub fn bgp_wire(bytes: &[u8]) {
    let [choice, message_type, body @ ..] = bytes else { return };
    let codec = codec(*choice);
    if *choice == u8::MAX {
        return stream(body, &codec);
    }
    let Ok(length) = u16::try_from(body.len() + 19) else { return };
    let message = [&[0xff; 16][..], &length.to_be_bytes(), &[*message_type], body].concat();
    check(&message, &codec);
}

fn codec(choice: u8) -> Codec {
    let bit = |index: u8| choice & 1 << index != 0;
    let all = || Family::ALL.into_iter().collect();
    let add_path = if bit(3) { all() } else { FamilySet::EMPTY };
    Codec {
        four_octet_as: bit(1),
        extended_message: bit(2),
        families: all(),
        add_path_receive: add_path,
        add_path_send: add_path,
        extended_next_hop: all(),
        ..Codec::new(if bit(0) { PeerKind::Internal } else { PeerKind::External })
    }
}

/// One message after another, until one is cut off or refused.
fn stream(bytes: &[u8], codec: &Codec) {
    let mut rest = bytes;
    while let Ok(Some(length)) = frame(rest, codec) {
        let Some((message, tail)) = rest.split_at_checked(length) else { return };
        check(message, codec);
        rest = tail;
    }
}

fn check(bytes: &[u8], codec: &Codec) {
    let Ok(Received { message, faults }) = decode(bytes, codec) else { return };
    let written = encode(&message, codec);
    if let Message::Update(update) = &message {
        for (attributes, routes) in update.announcements() {
            assert!(!routes.is_empty());
            canonical(&attributes, codec);
        }
    }
    let fits = written.len() <= bytes.len() || matches!(message, Message::Open(_));
    if faults.is_empty() {
        assert!(fits, "{message:?} came as {} octets and went as {}", bytes.len(), written.len());
        assert_eq!(decode(&written, codec), Ok(Received { message, faults }));
    }
}

/// What a table makes of attributes is written and read as the same.
fn canonical(attributes: &Attributes, codec: &Codec) {
    let codec = Codec { four_octet_as: true, peer: PeerKind::Internal, ..*codec };
    let again = Attributes::from_wire(&attributes.to_wire(&codec), attributes.next_hop);
    assert_eq!(again, *attributes);
}
