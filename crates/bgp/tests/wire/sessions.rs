//! Headers and OPENs: what ends a session before a route is sent.

use expect_test::expect;
use weft_bgp::wire::*;
use weft_net::Asn;

use crate::raw::message;

fn refusal(bytes: &[u8]) -> String {
    decode(bytes, &Codec::new(PeerKind::External)).unwrap_err().to_string()
}

const OPEN: [u8; 10] = [4, 0xfd, 0xe9, 0, 90, 192, 0, 2, 1, 0];

#[test]
fn a_header_that_is_not_one_ends_the_session() {
    let mut marker = message(4, &[]);
    marker[0] = 0;
    let mut length = message(4, &[]);
    length[17] = 18;
    let rows = [
        ("marker", marker),
        ("length below 19", length),
        ("KEEPALIVE with a body", message(4, &[0])),
        ("UPDATE without its lengths", message(2, &[0, 0, 0])),
        ("OPEN cut off", message(1, &OPEN[..9])),
        ("NOTIFICATION cut off", message(3, &[6])),
        ("unknown type", message(6, &[])),
        ("longer than 4096", message(2, &[0; 4096])),
        ("less than the header says", message(2, &[0; 4])[..22].to_vec()),
        ("more than the header says", [message(4, &[]), vec![0]].concat()),
        ("ROUTE-REFRESH cut off", message(5, &[0, 1, 0])),
        ("ROUTE-REFRESH with more", message(5, &[0, 1, 1, 1, 0])),
    ];
    let table: Vec<String> =
        rows.iter().map(|(what, bytes)| format!("{what}: {}\n", refusal(bytes))).collect();
    expect![[r#"
        marker: 1/1 connection not synchronized
        length below 19: 1/2 bad message length: 00 12
        KEEPALIVE with a body: 1/2 bad message length: 00 14
        UPDATE without its lengths: 1/2 bad message length: 00 16
        OPEN cut off: 1/2 bad message length: 00 1c
        NOTIFICATION cut off: 1/2 bad message length: 00 14
        unknown type: 1/3 bad message type: 06
        longer than 4096: 1/2 bad message length: 10 13
        less than the header says: 1/2 bad message length: 00 17
        more than the header says: 1/2 bad message length: 00 13
        ROUTE-REFRESH cut off: 1/2 bad message length: 00 16
        ROUTE-REFRESH with more: 7/1 invalid ROUTE-REFRESH length: ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff 00 18 05 00 01 01 01 00
    "#]].assert_eq(&table.concat());
}

#[test]
fn an_extended_message_is_read_only_where_both_announced_it() {
    let long = message(2, &[&[0, 0, 0, 0][..], &[32; 5].repeat(1000)].concat());
    let codec = Codec::new(PeerKind::External);
    assert_eq!(frame(&long, &codec).unwrap_err().code, NotificationCode::BAD_MESSAGE_LENGTH);
    let codec = Codec { extended_message: true, ..codec };
    assert_eq!(frame(&long, &codec), Ok(Some(long.len())));
    let open = message(1, &[0; 5000]);
    assert_eq!(frame(&open, &codec).unwrap_err().code, NotificationCode::BAD_MESSAGE_LENGTH);
}

#[test]
fn a_header_that_has_not_come_whole_is_waited_for() {
    let codec = Codec::new(PeerKind::External);
    assert_eq!(frame(&message(4, &[])[..18], &codec), Ok(None));
    assert_eq!(frame(&message(2, &[0; 40])[..19], &codec), Ok(Some(59)));
}

#[test]
fn an_open_that_is_not_one_ends_the_session() {
    let with = |index: usize, octets: &[u8]| {
        let mut open = OPEN;
        open[index..index + octets.len()].copy_from_slice(octets);
        message(1, &open)
    };
    let parameters = |octets: &[u8]| message(1, &[&OPEN[..9], octets].concat());
    let rows = [
        ("version 3", with(0, &[3])),
        ("AS 0", with(1, &[0, 0])),
        ("four-octet AS 0", parameters(&[8, 2, 6, 65, 4, 0, 0, 0, 0])),
        ("hold time 1", with(3, &[0, 1])),
        ("hold time 2", with(3, &[0, 2])),
        ("router 0.0.0.0", with(5, &[0; 4])),
        ("parameters cut off", parameters(&[4, 2, 2])),
        ("octets after the parameters", parameters(&[0, 0])),
        ("unknown parameter", parameters(&[3, 1, 1, 0])),
        ("parameter longer than all", parameters(&[3, 2, 9, 0])),
        ("capability longer than its parameter", parameters(&[4, 2, 2, 65, 4])),
        ("long form cut off", parameters(&[255, 255, 0])),
    ];
    let table: Vec<String> =
        rows.iter().map(|(what, bytes)| format!("{what}: {}\n", refusal(bytes))).collect();
    expect![[r#"
        version 3: 2/1 unsupported version number: 00 04
        AS 0: 2/2 bad peer AS
        four-octet AS 0: 2/2 bad peer AS
        hold time 1: 2/6 unacceptable hold time
        hold time 2: 2/6 unacceptable hold time
        router 0.0.0.0: 2/3 bad BGP identifier
        parameters cut off: 2/0 malformed OPEN
        octets after the parameters: 2/0 malformed OPEN
        unknown parameter: 2/4 unsupported optional parameter
        parameter longer than all: 2/0 malformed OPEN
        capability longer than its parameter: 2/0 malformed OPEN
        long form cut off: 2/0 malformed OPEN
    "#]]
    .assert_eq(&table.concat());
}

/// One capability of each kind, in two parameters as FRR sends them.
#[test]
fn every_capability_has_these_octets() {
    let capabilities = [
        (&[1, 4, 0, 25, 0, 70][..], Capability::Multiprotocol(Family::Evpn.raw())),
        (&[2, 0], Capability::RouteRefresh),
        (&[5, 6, 0, 1, 0, 128, 0, 2], Capability::ExtendedNextHop(vec![(Family::Vpnv4.raw(), 2)])),
        (&[6, 0], Capability::ExtendedMessage),
        (&[9, 1, 3], Capability::Unknown { code: 9, value: [3].into() }),
        (
            &[64, 6, 0xc0, 120, 0, 1, 1, 0x80],
            Capability::GracefulRestart(GracefulRestart {
                is_restarting: true,
                with_notification: true,
                restart_time_s: 120,
                families: vec![GracefulRestartFamily {
                    family: Family::Ipv4Unicast.raw(),
                    forwarding_kept: true,
                }],
            }),
        ),
        (&[65, 4, 0, 3, 0x0d, 0x40], Capability::FourOctetAs(Asn::new(200_000))),
        (&[69, 4, 0, 2, 1, 3], Capability::AddPath(vec![(Family::Ipv6Unicast.raw(), AddPathMode::Both)])),
        (&[70, 0], Capability::EnhancedRouteRefresh),
        (
            &[71, 7, 0, 1, 132, 0, 1, 0, 0],
            Capability::LongLivedGracefulRestart(vec![LongLivedFamily {
                family: Family::RouteTarget.raw(),
                forwarding_kept: false,
                stale_time_s: 65_536,
            }]),
        ),
        (&[65, 2, 0, 1], Capability::Unknown { code: 65, value: [0, 1].into() }),
    ];
    for (octets, capability) in capabilities {
        let length = u8::try_from(octets.len()).unwrap();
        let bytes = message(1, &[&OPEN[..9], &[length + 2, 2, length], octets].concat());
        let codec = Codec::new(PeerKind::External);
        let received = decode(&bytes, &codec).unwrap();
        let Message::Open(open) = &received.message else { panic!("{received:?}") };
        assert_eq!(open.capabilities, [capability]);
        assert_eq!(encode(&received.message, &codec), bytes);
    }
    let split = message(1, &[&OPEN[..9], &[12, 2, 2, 2, 0, 2, 6, 65, 4, 0, 3, 0x0d, 0x40]].concat());
    let Message::Open(open) = decode(&split, &Codec::new(PeerKind::External)).unwrap().message else {
        panic!()
    };
    assert_eq!(open.capabilities, [Capability::RouteRefresh, Capability::FourOctetAs(Asn::new(200_000))]);
    assert_eq!(open.asn(), Asn::new(200_000));
}

#[test]
fn a_shutdown_says_why() {
    let notification =
        Notification::shutdown(NotificationCode::ADMINISTRATIVE_SHUTDOWN, "Wartung — bis 3 Uhr");
    assert_eq!(notification.data[0], 21);
    assert_eq!(notification.shutdown_communication(), Some("Wartung — bis 3 Uhr"));
    assert_eq!(notification.to_string(), "6/2 administrative shutdown: \"Wartung — bis 3 Uhr\"");
    let long = Notification::shutdown(NotificationCode::ADMINISTRATIVE_RESET, &"ä".repeat(200));
    assert_eq!(long.shutdown_communication(), Some("ä".repeat(127).as_str()));
    let silent = Notification::shutdown(NotificationCode::ADMINISTRATIVE_SHUTDOWN, "");
    assert_eq!((&silent.data[..], silent.shutdown_communication()), (&[0][..], None));
    let other = Notification::shutdown(NotificationCode::HARD_RESET, "x");
    assert_eq!(other.shutdown_communication(), None);
    let bad = Notification::with_data(NotificationCode::ADMINISTRATIVE_SHUTDOWN, &[9, b'x']);
    assert_eq!(
        (bad.shutdown_communication(), bad.to_string()),
        (None, "6/2 administrative shutdown: 09 78".into())
    );
}
