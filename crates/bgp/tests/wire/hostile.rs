//! Bytes that nobody should send: no panic, no endless loop, and what was understood reads back.

use proptest::collection::vec;
use proptest::prelude::*;
use weft_bgp::wire::*;

use crate::{arbitrary, raw};

/// The law of every input: it is refused; or it has faults, and what is left of it can be written; or it is written and read as the same.
fn check(bytes: &[u8], codec: &Codec) {
    let Ok(Received { message, faults }) = decode(bytes, codec) else { return };
    let written = encode(&message, codec);
    if faults.is_empty() {
        assert!(written.len() <= bytes.len() || matches!(message, Message::Open(_)));
        assert_eq!(decode(&written, codec), Ok(Received { message, faults }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(2048), ..ProptestConfig::default() })]

    #[test]
    fn random_bodies_do_no_harm(codec in arbitrary::codec(), kind in 0..7_u8, body in vec(any::<u8>(), 0..200)) {
        check(&raw::message(kind, &body), &codec);
    }

    #[test]
    fn random_bytes_do_no_harm(codec in arbitrary::codec(), bytes in vec(any::<u8>(), 0..200)) {
        check(&bytes, &codec);
        drop(frame(&bytes, &codec));
    }

    #[test]
    fn changed_updates_do_no_harm(
        (codec, update) in arbitrary::codec().prop_flat_map(|codec| (Just(codec), arbitrary::update(codec))),
        changes in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let codec = Codec { extended_message: true, ..codec };
        let mut body = encode(&Message::Update(update), &codec).split_off(19);
        for (index, octet) in changes {
            let index = index.index(body.len());
            body[index] = octet;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        check(&raw::message(2, &body), &codec);
    }
}

/// A route takes at least one octet, so no message holds more than 65,535.
#[test]
fn the_most_routes_that_a_message_holds_are_read() {
    let codec = Codec { extended_message: true, four_octet_as: true, ..Codec::new(PeerKind::External) };
    let bytes = raw::update(&[], &[raw::origin(), raw::as_path(), raw::next_hop()], &vec![0; 65_000]);
    let Received { message: Message::Update(update), faults } = decode(&bytes, &codec).unwrap() else {
        panic!()
    };
    assert_eq!((update.announced.len(), faults.len()), (65_000, 0));
}
