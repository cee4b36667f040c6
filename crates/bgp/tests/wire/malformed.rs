//! UPDATEs that are not in good form, a row for each rule, and what each leads to: the table of `docs/bgp-errors.md`.

use expect_test::expect_file;
use weft_bgp::wire::*;

use crate::raw::{PREFIX, as_path, attribute, next_hop, origin, update};

/// One rule, an UPDATE that breaks it, and what must follow.
struct Row {
    rfc: &'static str,
    what: &'static str,
    bytes: Vec<u8>,
    from: Codec,
    follows: &'static str,
}

const DISCARD: &str = "the attribute is discarded";
const WITHDRAW: &str = "the routes are withdrawn";
const DISABLE: &str = "the family is disabled";
const MALFORMED: &str = "the session ends: 3/1 malformed attribute list";
const NETWORK: &str = "the session ends: 3/10 invalid network field";
const OPTIONAL: &str = "the session ends: 3/9 optional attribute error";
const ACCEPTED: &str = "accepted";

fn external() -> Codec {
    let families =
        [Family::Ipv4Unicast, Family::Ipv6Unicast, Family::Vpnv4, Family::Evpn, Family::RouteTarget];
    Codec { four_octet_as: true, families: families.into_iter().collect(), ..Codec::new(PeerKind::External) }
}

fn internal() -> Codec {
    Codec { peer: PeerKind::Internal, ..external() }
}

fn two_octets() -> Codec {
    Codec { four_octet_as: false, ..external() }
}

fn row(rfc: &'static str, what: &'static str, bytes: Vec<u8>, follows: &'static str) -> Row {
    Row { rfc, what, bytes, from: external(), follows }
}

/// A route with the attributes that every route has, and these.
fn with(attributes: &[Vec<u8>]) -> Vec<u8> {
    update(&[], &[&[origin(), as_path(), next_hop()], attributes].concat(), PREFIX)
}

/// The same with the attribute of that number replaced: 1 ORIGIN, 2 AS_PATH, 3 NEXT_HOP.
fn replacing(attribute: Vec<u8>) -> Vec<u8> {
    let code = attribute[1];
    let all = [origin(), as_path(), next_hop()]
        .map(|usual| if usual[1] == code { attribute.clone() } else { usual });
    update(&[], &all, PREFIX)
}

/// The same without it.
fn without(code: u8) -> Vec<u8> {
    let all: Vec<Vec<u8>> =
        [origin(), as_path(), next_hop()].into_iter().filter(|usual| usual[1] != code).collect();
    update(&[], &all, PREFIX)
}

/// MP_REACH_NLRI for IPv6 unicast, 2001:db8::/32.
fn reach() -> Vec<u8> {
    attribute(0x80, 14, &[&[0, 2, 1, 16][..], &[0x20; 16], &[0], &[32, 0x20, 1, 0xd, 0xb8]].concat())
}

/// MP_REACH_NLRI with this value, beside a route outside attributes.
fn with_reach(value: &[u8]) -> Vec<u8> {
    with(&[attribute(0x80, 14, value)])
}

fn framing() -> Vec<Row> {
    let withdrawn_too_long = crate::raw::message(2, &[0, 9, 0, 0]);
    let attributes_too_long = crate::raw::message(2, &[0, 0, 0, 9, 0x40, 1, 1, 0]);
    let empty = attribute(0x80, 14, &[0, 25, 70, 4, 192, 0, 2, 1, 0]);
    let cut = |attribute: &[u8]| update(&[], &[origin(), as_path(), next_hop(), attribute.to_vec()], PREFIX);
    vec![
        row("7606 §3.a", "Withdrawn Routes longer than the message", withdrawn_too_long, MALFORMED),
        row("7606 §3.a", "Path Attributes longer than the message", attributes_too_long, MALFORMED),
        row("7606 §4", "two octets left where an attribute begins", cut(&[0xc0, 8]), WITHDRAW),
        row("7606 §4", "three octets left, extended length", cut(&[0xd0, 8, 0]), WITHDRAW),
        row("7606 §4", "an attribute longer than what is left", cut(&[0xc0, 8, 9, 0]), WITHDRAW),
        row("7606 §3.j", "MP_REACH_NLRI longer than what is left", cut(&[0x80, 14, 9, 0, 2, 1]), OPTIONAL),
        row(
            "7606 §5.2",
            "an attribute longer than what is left, and no route in sight",
            update(&[], &[origin(), as_path(), vec![0xc0, 8, 9, 0]], &[]),
            MALFORMED,
        ),
        row(
            "7606 §5.2",
            "a wrong ORIGIN, and no route in sight",
            update(&[], &[attribute(0x40, 1, &[9]), as_path()], &[]),
            "the session ends: 3/6 invalid ORIGIN attribute",
        ),
        row(
            "7606 §5.2",
            "a wrong ORIGIN, and MP_REACH_NLRI without routes",
            update(&[], &[attribute(0x40, 1, &[9]), as_path(), empty], &[]),
            "the session ends: 3/6 invalid ORIGIN attribute",
        ),
        row(
            "7606 §5.2",
            "a wrong AGGREGATOR, and no route in sight",
            update(&[], &[origin(), as_path(), attribute(0xc0, 7, &[0])], &[]),
            DISCARD,
        ),
    ]
}

fn lists() -> Vec<Row> {
    let unknown = || attribute(0xc0, 99, &[1]);
    vec![
        row("7606 §3.c", "ORIGIN marked optional", replacing(attribute(0xc0, 1, &[0])), WITHDRAW),
        row("7606 §3.c", "COMMUNITIES marked well-known", with(&[attribute(0x40, 8, &[0; 4])]), WITHDRAW),
        row("7606 §3.c", "MULTI_EXIT_DISC marked transitive", with(&[attribute(0xc0, 4, &[0; 4])]), WITHDRAW),
        row(
            "7606 §3.c",
            "MP_REACH_NLRI marked transitive",
            update(&[], &[origin(), as_path(), [&[0xc0], &reach()[1..]].concat()], &[]),
            WITHDRAW,
        ),
        row("7606 §3.d", "ORIGIN missing", without(1), WITHDRAW),
        row("7606 §3.d", "AS_PATH missing", without(2), WITHDRAW),
        row("7606 §3.d", "NEXT_HOP missing", without(3), WITHDRAW),
        row(
            "7606 §3.d",
            "ORIGIN missing beside MP_REACH_NLRI",
            update(&[], &[as_path(), reach()], &[]),
            WITHDRAW,
        ),
        row(
            "4760 §3",
            "NEXT_HOP missing beside MP_REACH_NLRI",
            update(&[], &[origin(), as_path(), reach()], &[]),
            ACCEPTED,
        ),
        row("7606 §3.g", "MP_REACH_NLRI twice", with(&[reach(), reach()]), MALFORMED),
        row(
            "7606 §3.g",
            "MP_UNREACH_NLRI twice",
            with(&[attribute(0x80, 15, &[0, 2, 1]), attribute(0x80, 15, &[0, 2, 1])]),
            MALFORMED,
        ),
        row(
            "7606 §3.g",
            "MULTI_EXIT_DISC twice",
            with(&[attribute(0x80, 4, &[0; 4]), attribute(0x80, 4, &[9; 4])]),
            DISCARD,
        ),
        row("7606 §3.g", "an unknown attribute twice", with(&[unknown(), unknown()]), DISCARD),
        row(
            "7606 §3.h",
            "a wrong AGGREGATOR and a wrong COMMUNITIES",
            with(&[attribute(0xc0, 7, &[0]), attribute(0xc0, 8, &[0])]),
            WITHDRAW,
        ),
        row(
            "4271 §6.3",
            "an unknown attribute marked well-known",
            with(&[attribute(0x40, 99, &[])]),
            "the session ends: 3/2 unrecognized well-known attribute",
        ),
        row("4271 §5", "an unknown attribute marked optional", with(&[unknown()]), ACCEPTED),
    ]
}

fn nlri() -> Vec<Row> {
    let usual = [origin(), as_path(), next_hop()];
    let v4 = |routes: &[u8]| update(&[], &usual, routes);
    let head = |family: [u8; 3]| [&family[..], &[4, 192, 0, 2, 1, 0]].concat();
    let evpn = |routes: &[u8]| with_reach(&[&head([0, 25, 70]), routes].concat());
    let vpn = |routes: &[u8]| with_reach(&[&[0, 1, 128, 24][..], &[0; 24], &[0], routes].concat());
    vec![
        row("7606 §5.3", "an IPv4 prefix of 33 bits", v4(&[33, 10, 1, 1, 1, 1]), NETWORK),
        row("7606 §5.3", "an IPv4 prefix cut off", v4(&[16, 10]), NETWORK),
        row(
            "7606 §3.i",
            "a withdrawn IPv4 prefix of 33 bits",
            update(&[33, 10, 1, 1, 1, 1], &[], &[]),
            NETWORK,
        ),
        row(
            "7606 §5.3",
            "an IPv6 prefix of 129 bits",
            with_reach(&[&[0, 2, 1, 16][..], &[0x20; 16], &[0, 129], &[0; 17]].concat()),
            DISABLE,
        ),
        row(
            "7606 §5.3",
            "a withdrawn IPv6 prefix cut off",
            with(&[attribute(0x80, 15, &[0, 2, 1, 64, 0x20])]),
            DISABLE,
        ),
        row(
            "7606 §5.3",
            "a VPN prefix shorter than label and RD",
            vpn(&[&[80][..], &[0; 10]].concat()),
            DISABLE,
        ),
        row("7606 §5.3", "a VPN prefix of 33 bits", vpn(&[&[121][..], &[0; 16]].concat()), DISABLE),
        row("7606 §5.3", "an EVPN route longer than its field", evpn(&[3, 17, 0]), DISABLE),
        row(
            "7606 §5.3",
            "an EVPN route longer than its type says",
            evpn(&[&[3, 18][..], &[0; 12], &[32, 1, 1, 1, 1, 0]].concat()),
            DISABLE,
        ),
        row(
            "7606 §5.3",
            "an EVPN MAC address of 40 bits",
            evpn(&[&[2, 33][..], &[0; 22], &[40], &[0; 10]].concat()),
            DISABLE,
        ),
        row("7432 §7", "an EVPN route of an unknown type", evpn(&[99, 1, 0]), ACCEPTED),
        row(
            "4684 §4",
            "a route target wish of 8 bits",
            with_reach(&[&head([0, 1, 132])[..], &[8, 0]].concat()),
            DISABLE,
        ),
        row(
            "7606 §7.11",
            "an IPv6 next hop of 15 octets",
            with_reach(&[&[0, 2, 1, 15][..], &[0x20; 20]].concat()),
            DISABLE,
        ),
        row("7606 §7.11", "an IPv6 next hop of 4 octets", with_reach(&head([0, 2, 1])), DISABLE),
        row("7606 §7.11", "a next hop longer than its attribute", with_reach(&[0, 2, 1, 16, 0x20]), DISABLE),
        row("7606 §5.3", "MP_REACH_NLRI of two octets", with_reach(&[0, 2]), OPTIONAL),
        row("7606 §5.3", "MP_UNREACH_NLRI of two octets", with(&[attribute(0x80, 15, &[0, 2])]), OPTIONAL),
        row("4760 §6", "routes of a family that was not negotiated", with_reach(&head([0, 2, 128])), DISCARD),
        row(
            "4760 §6",
            "routes of a family that is not spoken here",
            with_reach(&head([0x40, 4, 71])),
            DISCARD,
        ),
    ]
}

fn usual_attributes() -> Vec<Row> {
    let path = |value: &[u8]| replacing(attribute(0x40, 2, value));
    let from = |from: Codec, row: Row| Row { from, ..row };
    vec![
        row("7606 §7.1", "ORIGIN of two octets", replacing(attribute(0x40, 1, &[0, 0])), WITHDRAW),
        row("7606 §7.1", "ORIGIN 3", replacing(attribute(0x40, 1, &[3])), WITHDRAW),
        row("7606 §7.2", "AS_PATH with a segment of kind 5", path(&[5, 1, 0, 0, 0, 1]), WITHDRAW),
        row("5065 §5", "AS_PATH with a segment of a confederation", path(&[3, 1, 0, 0, 0, 1]), WITHDRAW),
        row("7606 §7.2", "AS_PATH with a segment cut off", path(&[2, 2, 0, 0, 0, 1]), WITHDRAW),
        row("7606 §7.2", "AS_PATH with one octet left", path(&[2, 1, 0, 0, 0, 1, 2]), WITHDRAW),
        row("7606 §7.2", "AS_PATH with an empty segment", path(&[2, 0]), WITHDRAW),
        row(
            "7606 §7.3",
            "NEXT_HOP of five octets",
            replacing(attribute(0x40, 3, &[192, 0, 2, 1, 0])),
            WITHDRAW,
        ),
        row(
            "4271 §6.3",
            "NEXT_HOP 224.0.0.1, not a host's",
            replacing(attribute(0x40, 3, &[224, 0, 0, 1])),
            WITHDRAW,
        ),
        row(
            "4760 §3",
            "NEXT_HOP 0.0.0.0 beside MP_REACH_NLRI",
            update(&[], &[origin(), as_path(), attribute(0x40, 3, &[0; 4]), reach()], &[]),
            ACCEPTED,
        ),
        row("7607 §2", "AS 0 in AS_PATH", path(&[2, 1, 0, 0, 0, 0]), WITHDRAW),
        row("7607 §2", "AS 0 in AGGREGATOR", with(&[attribute(0xc0, 7, &[0; 8])]), DISCARD),
        row("7606 §7.4", "MULTI_EXIT_DISC of three octets", with(&[attribute(0x80, 4, &[0; 3])]), WITHDRAW),
        from(
            internal(),
            row(
                "7606 §7.5",
                "LOCAL_PREF of three octets from inside",
                with(&[attribute(0x40, 5, &[0; 3])]),
                WITHDRAW,
            ),
        ),
        row("7606 §7.5", "LOCAL_PREF from outside", with(&[attribute(0x40, 5, &[0; 4])]), DISCARD),
        row("7606 §7.6", "ATOMIC_AGGREGATE of one octet", with(&[attribute(0x40, 6, &[0])]), DISCARD),
        row(
            "7606 §7.7",
            "AGGREGATOR of six octets from a four-octet speaker",
            with(&[attribute(0xc0, 7, &[0; 6])]),
            DISCARD,
        ),
        row("7606 §7.8", "COMMUNITIES of six octets", with(&[attribute(0xc0, 8, &[0; 6])]), WITHDRAW),
        row("7606 §7.8", "COMMUNITIES of no octets", with(&[attribute(0xc0, 8, &[])]), WITHDRAW),
        row("7606 §7.9", "ORIGINATOR_ID from outside", with(&[attribute(0x80, 9, &[0; 4])]), DISCARD),
        from(
            internal(),
            row(
                "7606 §7.9",
                "ORIGINATOR_ID of five octets from inside",
                with(&[attribute(0x80, 9, &[0; 5])]),
                WITHDRAW,
            ),
        ),
        row("7606 §7.10", "CLUSTER_LIST from outside", with(&[attribute(0x80, 10, &[0; 4])]), DISCARD),
        from(
            internal(),
            row(
                "7606 §7.10",
                "CLUSTER_LIST of no octets from inside",
                with(&[attribute(0x80, 10, &[])]),
                WITHDRAW,
            ),
        ),
    ]
}

fn later_attributes() -> Vec<Row> {
    let from_two_octets = |what, attribute, follows| {
        let path = attribute_of_two_octets();
        Row {
            from: two_octets(),
            ..row("6793 §6", what, update(&[], &[origin(), path, next_hop(), attribute], PREFIX), follows)
        }
    };
    let sid = |length: u8| {
        let head = [5, 0, length + 4, 0, 1, 0, length];
        attribute(0xc0, 40, &[&head[..], &vec![0; length.into()]].concat())
    };
    let structure = [&[5, 0, 35, 0, 1, 0, 31][..], &[0; 21], &[1, 0, 7], &[0; 7]].concat();
    let structure = attribute(0xc0, 40, &structure);
    vec![
        row(
            "7606 §7.14",
            "EXTENDED COMMUNITIES of nine octets",
            with(&[attribute(0xc0, 16, &[0; 9])]),
            WITHDRAW,
        ),
        row("7606 §7.14", "EXTENDED COMMUNITIES of no octets", with(&[attribute(0xc0, 16, &[])]), WITHDRAW),
        row(
            "7606 §7.15",
            "IPv6 EXTENDED COMMUNITIES of 21 octets",
            with(&[attribute(0xc0, 25, &[0; 21])]),
            WITHDRAW,
        ),
        row("8092 §5", "LARGE_COMMUNITY of eleven octets", with(&[attribute(0xc0, 32, &[0; 11])]), WITHDRAW),
        row(
            "6793 §6",
            "AS4_PATH from a four-octet speaker",
            with(&[attribute(0xc0, 17, &[2, 1, 0, 0, 0, 1])]),
            DISCARD,
        ),
        from_two_octets("AS4_PATH with a segment cut off", attribute(0xc0, 17, &[2, 1, 0, 0]), DISCARD),
        from_two_octets("AS4_AGGREGATOR of six octets", attribute(0xc0, 18, &[0; 6]), DISCARD),
        row("6514 §5", "PMSI_TUNNEL of four octets", with(&[attribute(0xc0, 22, &[0; 4])]), WITHDRAW),
        row(
            "6514 §5",
            "PMSI_TUNNEL to a receiver of five octets",
            with(&[attribute(0xc0, 22, &[0, 6, 0, 0, 1, 1, 2, 3, 4, 5])]),
            WITHDRAW,
        ),
        row(
            "8669 §6",
            "Prefix-SID with a TLV longer than it",
            with(&[attribute(0xc0, 40, &[1, 0, 9, 0])]),
            DISCARD,
        ),
        row("9252 §7", "an SRv6 SID of 20 octets", with(&[sid(20)]), WITHDRAW),
        row(
            "9252 §7",
            "an SRv6 service TLV of no octets",
            with(&[attribute(0xc0, 40, &[5, 0, 0])]),
            WITHDRAW,
        ),
        row("9252 §7", "an SRv6 SID structure of 7 octets", with(&[structure]), WITHDRAW),
        row("9252 §7", "an SRv6 SID of 21 octets", with(&[sid(21)]), ACCEPTED),
    ]
}

/// AS_SEQUENCE 65001, two octets.
fn attribute_of_two_octets() -> Vec<u8> {
    attribute(0x40, 2, &[2, 1, 0xfd, 0xe9])
}

/// What the fault leads to, and that the update that is given back is one that can be acted on.
fn outcome(row: &Row) -> String {
    let received = match decode(&row.bytes, &row.from) {
        Ok(received) => received,
        Err(reset) => return format!("the session ends: {}", reset.code),
    };
    let Message::Update(update) = received.message else { panic!("{}", row.what) };
    let announced = update.announcements().len();
    match received.faults.iter().map(|fault| fault.consequence).max() {
        None => {
            assert_eq!(announced, 1 + usize::from(row.rfc == "7432 §7"), "{}", row.what);
            ACCEPTED.to_owned()
        }
        Some(Consequence::AttributeDiscard) => DISCARD.to_owned(),
        Some(Consequence::TreatAsWithdraw) => {
            assert_eq!((announced, update.withdrawals().flatten().count()), (0, 1), "{}", row.what);
            WITHDRAW.to_owned()
        }
        Some(Consequence::DisableFamily(_)) => {
            assert_eq!((announced, update.attributes.len()), (1, 3), "{}", row.what);
            DISABLE.to_owned()
        }
    }
}

const HEAD: &str = "\
# What a wrong UPDATE leads to

A BGP speaker that sends an UPDATE in bad form costs as few routes as the RFCs allow. Mild faults cost an attribute, graver ones the routes of
that message, the gravest the session; of several faults in one message the gravest counts (RFC 7606 §3.h). A test writes this
table and holds it to the code.

* **the attribute is discarded**: the routes are used without it.
* **the routes are withdrawn**: as if the message had withdrawn them (*treat-as-withdraw*).
* **the family is disabled**: all routes of that family from that neighbour go, later ones are ignored until the session ends.
* **the session ends**: with a NOTIFICATION of that code and subcode.

EVPN routes of an unknown type are kept to be passed on, and used for nothing, where RFC 7606 §5.4 has a speaker discard them: a route reflector
need not know what the routers behind it speak of.

| RFC | what is wrong | what follows |
|---|---|---|
";

#[test]
fn every_fault_leads_to_what_its_rfc_says() {
    let rows = [framing(), lists(), nlri(), usual_attributes(), later_attributes()];
    let mut table = HEAD.to_owned();
    for row in rows.iter().flatten() {
        let outcome = outcome(row);
        assert_eq!(outcome, row.follows, "{} {}", row.rfc, row.what);
        table += &format!("| {} | {} | {outcome} |\n", row.rfc, row.what);
    }
    expect_file!["../../../../docs/bgp-errors.md"].assert_eq(&table);
}

#[test]
fn a_bad_attribute_hides_no_route() {
    let bytes = update(
        &[8, 11],
        &[
            attribute(0xc0, 8, &[0]),
            origin(),
            as_path(),
            next_hop(),
            reach(),
            attribute(0x80, 15, &[0, 2, 1, 16, 0x20, 2]),
        ],
        PREFIX,
    );
    let Received { message: Message::Update(update), faults } = decode(&bytes, &external()).unwrap() else {
        panic!()
    };
    let withdrawn: Vec<String> =
        update.withdrawals().flatten().map(|route| route.destination.to_string()).collect();
    assert_eq!(withdrawn, ["11.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "2002::/16"]);
    assert!(update.announcements().is_empty());
    let fault = Fault { attribute: Some(8), rule: Rule::Length, consequence: Consequence::TreatAsWithdraw };
    assert_eq!(faults, [fault]);
}

/// The rest of the update stays in force beside what is discarded or disabled.
#[test]
fn a_disabled_family_costs_no_other() {
    let bytes = with(&[attribute(0x80, 14, &[0, 25, 70, 4, 192, 0, 2, 1, 0, 2, 0])]);
    let Received { message: Message::Update(update), faults } = decode(&bytes, &external()).unwrap() else {
        panic!()
    };
    assert_eq!(faults[0].consequence, Consequence::DisableFamily(Family::Evpn.raw()));
    assert_eq!(update.announcements()[0].1[0].destination.to_string(), "10.1.0.0/16");
}

/// Where the attributes are cut off, nobody knows which of them are missing.
#[test]
fn what_is_cut_off_is_not_missed_as_well() {
    let bytes = update(&[], &[as_path(), vec![0x40, 1, 9, 0]], PREFIX);
    let Received { faults, .. } = decode(&bytes, &external()).unwrap();
    assert_eq!(
        faults,
        [Fault { attribute: Some(1), rule: Rule::Overrun, consequence: Consequence::TreatAsWithdraw }]
    );
    let bytes = update(&[], &[as_path()], PREFIX);
    let Received { faults, .. } = decode(&bytes, &external()).unwrap();
    let missing = |attribute| Fault {
        attribute: Some(attribute),
        rule: Rule::Missing,
        consequence: Consequence::TreatAsWithdraw,
    };
    assert_eq!(faults, [missing(1), missing(3)]);
}

#[test]
fn ipv4_routes_are_dropped_where_both_did_not_announce_them() {
    let codec = Codec { families: [Family::Evpn].into_iter().collect(), ..external() };
    let bytes = update(&[8, 11], &[origin(), as_path(), next_hop()], PREFIX);
    let Received { message: Message::Update(update), faults } = decode(&bytes, &codec).unwrap() else {
        panic!()
    };
    assert_eq!((update.withdrawals().count(), update.announcements().len()), (0, 0));
    let fault =
        Fault { attribute: None, rule: Rule::NotNegotiated, consequence: Consequence::AttributeDiscard };
    assert_eq!(faults, [fault]);
    let marker = decode(&crate::raw::update(&[], &[], &[]), &codec).unwrap();
    assert!(marker.faults.is_empty());
}

/// Of attributes of all types, cut off after each octet with lengths that are right for what is left.
#[test]
fn an_attribute_cut_off_is_not_taken_for_a_whole_one() {
    let sid = [&[5, 0, 34, 0, 1, 0, 30][..], &[0; 21], &[1, 0, 6, 32, 16, 16, 0, 0, 0]].concat();
    let rows: [(u8, u8, &[u8], &[usize]); 14] = [
        (0x40, 1, &[0], &[]),
        (0x40, 2, &[2, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 2], &[0, 6]),
        (0x40, 3, &[192, 0, 2, 1], &[]),
        (0x80, 4, &[0; 4], &[]),
        (0x40, 5, &[0; 4], &[]),
        (0xc0, 7, &[0, 0, 0, 1, 192, 0, 2, 1], &[]),
        (0xc0, 8, &[0; 8], &[4]),
        (0x80, 9, &[0; 4], &[]),
        (0x80, 10, &[0; 8], &[4]),
        (0x80, 15, &[0, 2, 1, 16, 0x20, 1, 8, 0x20], &[3, 6]),
        (0xc0, 16, &[0; 16], &[8]),
        (0xc0, 22, &[0, 6, 0, 0, 1, 192, 0, 2, 1], &[]),
        (0xc0, 32, &[0; 24], &[12]),
        (0xc0, 40, &sid, &[0]),
    ];
    for (flags, code, value, whole_at) in rows {
        for length in 0..=value.len() {
            let attribute = attribute(flags, code, &value[..length]);
            let bytes = if code <= 3 { replacing(attribute) } else { with(&[attribute]) };
            let is_whole = decode(&bytes, &internal()).is_ok_and(|received| received.faults.is_empty());
            assert_eq!(is_whole, length == value.len() || whole_at.contains(&length), "{code}: {length}");
        }
    }
}

#[test]
fn what_is_left_of_a_bad_update_is_no_end_of_rib_marker() {
    let only = |attribute: Vec<u8>| update(&[], &[attribute], &[]);
    let without_ipv4 = Codec { families: [Family::Evpn].into_iter().collect(), ..external() };
    for (bytes, codec) in [
        (only(attribute(0x80, 15, &[0, 2, 128])), external()),
        (only(attribute(0x80, 15, &[0, 2, 1, 64, 0x20])), external()),
        (only(attribute(0xc0, 7, &[0])), external()),
        (update(&[8, 10], &[], &[]), without_ipv4),
    ] {
        let Received { message: Message::Update(update), faults } = decode(&bytes, &codec).unwrap() else {
            panic!()
        };
        assert_eq!((update.is_end_of_rib(), faults.len()), (None, 1), "{update:?}");
        assert_eq!((update.withdrawals().count(), update.announcements().len()), (0, 0));
    }
}
