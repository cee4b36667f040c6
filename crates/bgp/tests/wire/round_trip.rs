//! What is written reads as the same value; what was read is written as the same bytes.

use proptest::collection::vec;
use proptest::prelude::*;
use weft_bgp::wire::*;

use crate::arbitrary;

fn read_back(message: Message, codec: &Codec) -> Result<(), TestCaseError> {
    let bytes = encode(&message, codec);
    prop_assert_eq!(frame(&bytes, codec), Ok(Some(bytes.len())));
    prop_assert_eq!(decode(&bytes, codec), Ok(Received { message, faults: Vec::new() }));
    prop_assert_eq!(reencode_is_identical(&bytes, codec), Ok(()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(512), ..ProptestConfig::default() })]

    #[test]
    fn every_update_reads_back(
        (codec, update) in arbitrary::codec().prop_flat_map(|codec| (Just(codec), arbitrary::update(codec)))
    ) {
        let codec = Codec { extended_message: true, ..codec };
        read_back(Message::Update(update), &codec)?;
    }

    #[test]
    fn every_open_reads_back(codec in arbitrary::codec(), open in arbitrary::open()) {
        read_back(Message::Open(open), &codec)?;
    }

    #[test]
    fn every_refresh_reads_back(codec in arbitrary::codec(), afi in any::<u16>(), safi in any::<u8>(), subtype in any::<u8>()) {
        let subtype = match subtype {
            0 => RefreshSubtype::Request,
            1 => RefreshSubtype::Begin,
            2 => RefreshSubtype::End,
            other => RefreshSubtype::Unknown(other),
        };
        read_back(Message::RouteRefresh(RouteRefresh { family: RawFamily { afi, safi }, subtype }), &codec)?;
    }

    #[test]
    fn every_notification_reads_back(codec in arbitrary::codec(), code in any::<[u8; 2]>(), data in vec(any::<u8>(), 0..300)) {
        let [code, subcode] = code;
        read_back(Message::Notification(Notification::with_data(NotificationCode { code, subcode }, &data)), &codec)?;
    }

    /// Also over a session with two-octet AS numbers, and however many messages it takes.
    #[test]
    fn packed_routes_come_out_in_their_order_with_their_attributes(
        (codec, family, attributes, routes) in (arbitrary::codec(), arbitrary::family()).prop_flat_map(|(codec, family)| (
            Just(codec),
            Just(family),
            arbitrary::attributes(family, codec),
            vec(arbitrary::route(family, &codec), 1..400),
        ))
    ) {
        // NEXT_HOP outside MP_REACH_NLRI has to be a host's.
        prop_assume!(family != Family::Ipv4Unicast || !matches!(attributes.next_hop, NextHop::Ipv4(address) if !(1..127).contains(&address.octets()[0])));
        let mut received = Vec::new();
        for bytes in pack_announcements(family, &attributes, routes.clone(), &codec).unwrap() {
            prop_assert!(bytes.len() <= codec.message_length_max());
            let Received { message: Message::Update(update), faults } = decode(&bytes, &codec).unwrap() else { panic!() };
            prop_assert_eq!(faults, []);
            let [(read, list)] = &update.announcements()[..] else { panic!("one list of routes in {update:?}") };
            prop_assert_eq!(read, &attributes);
            received.extend_from_slice(list);
        }
        prop_assert_eq!(&received, &routes);
        received.clear();
        for bytes in pack_withdrawals(family, routes.clone(), &codec) {
            prop_assert!(bytes.len() <= codec.message_length_max());
            let Received { message: Message::Update(update), .. } = decode(&bytes, &codec).unwrap() else { panic!() };
            received.extend(update.withdrawals().flatten().cloned());
        }
        prop_assert_eq!(received, routes);
    }
}

#[test]
fn a_keepalive_is_a_header() {
    let bytes = crate::raw::message(4, &[]);
    assert_eq!(encode(&Message::Keepalive, &Codec::new(PeerKind::Internal)), bytes);
    read_back(Message::Keepalive, &Codec::new(PeerKind::Internal)).unwrap();
}

#[test]
fn an_end_of_rib_marker_reads_back_for_every_family() {
    for family in Family::ALL {
        let codec = Codec { families: [family].into_iter().collect(), ..Codec::new(PeerKind::External) };
        let marker = Update::end_of_rib(family);
        assert_eq!(marker.is_end_of_rib(), Some(family));
        read_back(Message::Update(marker), &codec).unwrap();
    }
}

#[test]
fn a_message_is_filled_before_the_next_is_begun() {
    let codec = Codec::new(PeerKind::External);
    let route = |index: u32| Route {
        path_id: None,
        destination: Destination::Ipv4(ipnet::Ipv4Net::new(index.into(), 32).unwrap()),
        payload: Payload::None,
    };
    let attributes = Attributes::new(NextHop::Ipv4([192, 0, 2, 1].into()));
    let messages =
        pack_announcements(Family::Ipv4Unicast, &attributes, (0..2000).map(route).collect(), &codec).unwrap();
    let lengths: Vec<usize> = messages.iter().map(Vec::len).collect();
    // 5 octets a route, 37 for the rest.
    assert_eq!(lengths, [4092, 4092, 37 + 5 * (2000 - 2 * 811)]);
}

#[test]
fn attributes_that_fill_a_message_are_refused() {
    let mut attributes = Attributes::new(NextHop::Ipv4([192, 0, 2, 1].into()));
    attributes.set_communities((0..1020).map(Community));
    let route = Route {
        path_id: None,
        destination: Destination::Ipv4("10.0.0.0/8".parse().unwrap()),
        payload: Payload::None,
    };
    let short = Codec::new(PeerKind::External);
    let TooLong { octets } =
        pack_announcements(Family::Ipv4Unicast, &attributes, vec![route.clone()], &short).unwrap_err();
    assert!(octets > 4080, "{octets}");
    let long = Codec { extended_message: true, ..short };
    assert_eq!(pack_announcements(Family::Ipv4Unicast, &attributes, vec![route], &long).unwrap().len(), 1);
}
