//! UPDATEs octet by octet, as the RFCs draw them.

use std::fmt::Write;

use expect_test::{Expect, expect};
use weft_bgp::wire::*;

use crate::raw::{as_path, attribute, next_hop, origin, update};

/// Reads the UPDATE, prints what it says, and writes it again to the same bytes.
fn check(bytes: &[u8], codec: &Codec, expected: &Expect) {
    reencode_is_identical(bytes, codec).unwrap();
    let Received { message: Message::Update(update), .. } = decode(bytes, codec).unwrap() else { panic!() };
    let mut text = String::new();
    for route in update.withdrawals().flatten() {
        writeln!(text, "- {} {:?}", route.destination, route.payload).unwrap();
    }
    for (attributes, routes) in update.announcements() {
        for Route { path_id, destination, payload } in routes {
            let id = path_id.map_or(String::new(), |PathId(id)| format!("path {id} "));
            writeln!(text, "+ {id}{destination} {payload:?}").unwrap();
        }
        writeln!(text, "  next hop {} path {}", attributes.next_hop, attributes.as_path).unwrap();
        for community in attributes.extended_communities() {
            writeln!(text, "  {community}").unwrap();
        }
        let rare = attributes.rare();
        if *rare != RareAttributes::default() {
            writeln!(text, "  {rare:?}").unwrap();
        }
    }
    expected.assert_eq(&text);
}

fn codec(families: &[Family]) -> Codec {
    let families = families.iter().copied().collect();
    Codec { four_octet_as: true, families, ..Codec::new(PeerKind::External) }
}

const RD: [u8; 8] = [0, 0, 0xfd, 0xe8, 0, 0, 0, 100];
const TARGET: [u8; 8] = [0, 2, 0xfd, 0xe8, 0, 0, 0, 100];
const SEGMENT: [u8; 10] = [0; 10];
const MAC: [u8; 6] = [0xfa, 0x16, 0x3e, 0, 0, 1];
const V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// MP_REACH_NLRI: family, next hop, reserved, routes.
fn reach(family: [u8; 3], next_hop: &[u8], routes: &[&[u8]]) -> Vec<u8> {
    let length = u8::try_from(next_hop.len()).unwrap();
    attribute(0x90, 14, &[&family[..], &[length], next_hop, &[0], &routes.concat()].concat())
}

fn evpn(route_type: u8, value: &[&[u8]]) -> Vec<u8> {
    let value = value.concat();
    [&[route_type, u8::try_from(value.len()).unwrap()], &value[..]].concat()
}

#[test]
fn ipv4_unicast_as_bird_sends_it() {
    let bytes = update(&[8, 10], &[origin(), as_path(), next_hop()], &[20, 10, 1, 0x10, 0, 32, 192, 0, 2, 9]);
    check(
        &bytes,
        &codec(&[Family::Ipv4Unicast]),
        &expect![[r#"
        - 10.0.0.0/8 None
        + 10.1.16.0/20 None
        + 0.0.0.0/0 None
        + 192.0.2.9/32 None
          next hop 192.0.2.1 path 65001
    "#]],
    );
}

#[test]
fn ipv4_unicast_with_path_identifiers() {
    let bytes = update(&[], &[origin(), as_path(), next_hop()], &[0, 0, 0, 7, 8, 10, 0, 0, 1, 0, 8, 10]);
    let codec = codec(&[Family::Ipv4Unicast]);
    let codec = Codec { add_path_receive: codec.families, ..codec };
    check(
        &bytes,
        &codec,
        &expect![[r#"
        + path 7 10.0.0.0/8 None
        + path 256 10.0.0.0/8 None
          next hop 192.0.2.1 path 65001
    "#]],
    );
}

#[test]
fn ipv4_unicast_over_ipv6_next_hops() {
    let pair = [V6, LINK_LOCAL].concat();
    let bytes = update(&[], &[origin(), as_path(), reach([0, 1, 1], &pair, &[&[16, 10, 1]])], &[]);
    check(
        &bytes,
        &codec(&[Family::Ipv4Unicast]),
        &expect![[r#"
        + 10.1.0.0/16 None
          next hop 2001:db8::1 fe80::1 path 65001
    "#]],
    );
}

#[test]
fn ipv6_unicast() {
    let routes = reach([0, 2, 1], &V6, &[&[32, 0x20, 1, 0xd, 0xb8], &[0]]);
    let unreach = attribute(0x80, 15, &[0, 2, 1, 16, 0x20, 2]);
    let bytes = update(&[], &[routes, unreach, origin(), as_path()], &[]);
    check(
        &bytes,
        &codec(&[Family::Ipv6Unicast]),
        &expect![[r#"
        - 2002::/16 None
        + 2001:db8::/32 None
        + ::/0 None
          next hop 2001:db8::1 path 65001
    "#]],
    );
}

/// RFC 9252 §3: SID fc00:0:9::, behaviour 19 (End.DT4), structure [32,16,16,0], nothing transposed.
#[test]
fn vpnv4_over_srv6() {
    let sid = [0xfc, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let structure = [1, 0, 6, 32, 16, 16, 0, 0, 0];
    let information = [&[0][..], &sid, &[0, 0, 19, 0], &structure].concat();
    let service = [&[5, 0, 34, 0, 1, 0, 30][..], &information].concat();
    let routes = reach(
        [0, 1, 128],
        &[&[0; 8][..], &V6].concat(),
        &[&[112, 0, 0, 0x31], &RD, &[10, 1, 2], &[88, 0, 0, 0x30], &RD],
    );
    let communities = attribute(0xc0, 16, &TARGET);
    let bytes = update(&[], &[origin(), as_path(), routes, communities, attribute(0xc0, 40, &service)], &[]);
    check(
        &bytes,
        &codec(&[Family::Vpnv4]),
        &expect![[r#"
        + 65000:100 10.1.2.0/24 Label(0x000031)
        + 65000:100 0.0.0.0/0 Label(0x000030)
          next hop 2001:db8::1 path 65001
          target:65000:100
          RareAttributes { aggregator: None, originator_id: None, cluster_list: [], pmsi_tunnel: None, large_communities: [], prefix_sid: Some(PrefixSid { tlvs: [Srv6L3(Srv6Service { tlvs: [Sid(Srv6Sid { sid: fc00:0:9::, flags: 0, behavior: 19, structure: Some(SidStructure { locator_block_bits: 32, locator_node_bits: 16, function_bits: 16, argument_bits: 0, transposition_bits: 0, transposition_offset_bits: 0 }), unknown: [] })] })] }), unknown: [] }
    "#]],
    );
}

#[test]
fn vpnv6_and_the_two_labels_of_withdrawals() {
    let withdrawn =
        [&[0, 2, 128][..], &[104, 0x80, 0, 0], &RD, &[0x20, 2], &[104, 0, 0, 0], &RD, &[0x20, 3]].concat();
    let pair = [&[0; 8][..], &V6, &[0; 8], &LINK_LOCAL].concat();
    let routes = reach([0, 2, 128], &pair, &[&[120, 0, 0x10, 1], &RD, &[0x20, 1, 0xd, 0xb8]]);
    let bytes = update(&[], &[routes, attribute(0x80, 15, &withdrawn), origin(), as_path()], &[]);
    check(
        &bytes,
        &codec(&[Family::Vpnv6]),
        &expect![[r#"
        - 65000:100 2002::/16 Label(0x800000)
        - 65000:100 2003::/16 Label(0x000000)
        + 65000:100 2001:db8::/32 Label(0x001001)
          next hop 2001:db8::1 fe80::1 path 65001
    "#]],
    );
}

#[test]
fn evpn_routes_of_all_types() {
    let tag = [0; 4];
    let prefix_v6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let routes = [
        evpn(1, &[&RD, &SEGMENT, &[255; 4], &[0, 0, 0x11]]),
        evpn(2, &[&RD, &SEGMENT, &tag, &[48], &MAC, &[0], &[0, 0, 100]]),
        evpn(2, &[&RD, &SEGMENT, &tag, &[48], &MAC, &[32, 10, 1, 2, 3], &[0, 0, 100], &[0, 1, 0]]),
        evpn(2, &[&RD, &SEGMENT, &tag, &[48], &MAC, &[128], &V6, &[0, 0, 100]]),
        evpn(3, &[&RD, &tag, &[32, 192, 0, 2, 1]]),
        evpn(4, &[&RD, &[1; 10], &[128], &V6]),
        evpn(5, &[&RD, &SEGMENT, &tag, &[24, 10, 1, 2, 0], &[10, 1, 2, 254], &[0, 1, 0]]),
        evpn(5, &[&RD, &SEGMENT, &tag, &[32], &prefix_v6, &[0; 16], &[0, 1, 0]]),
        evpn(6, &[&[1, 2, 3]]),
    ];
    let routes: Vec<&[u8]> = routes.iter().map(|route| &route[..]).collect();
    let communities = [
        &TARGET[..],
        &ExtendedCommunity::encapsulation(ExtendedCommunity::ENCAPSULATION_VXLAN).octets(),
        &[0x06, 0x03, 0xfa, 0x16, 0x3e, 0, 0, 1],
        &[0x06, 0x00, 1, 0, 0, 0, 0, 7],
        &[0x03, 0x0d, 0, 0, 0, 0, 0, 0],
        &[0x06, 0x01, 1, 0, 0, 0, 0, 0x11],
    ];
    let pmsi = attribute(0xc0, 22, &[0, 6, 0, 0, 100, 192, 0, 2, 1]);
    let reach = reach([0, 25, 70], &[192, 0, 2, 1], &routes);
    let bytes =
        update(&[], &[origin(), as_path(), reach, attribute(0xc0, 16, &communities.concat()), pmsi], &[]);
    check(
        &bytes,
        &codec(&[Family::Evpn]),
        &expect![[r#"
        + [1]:[65000:100]:[00:00:00:00:00:00:00:00:00:00]:[4294967295] Evpn(EvpnPayload { segment: Esi([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), gateway: None, label: 0x000011, label2: None })
        + [2]:[65000:100]:[0]:[fa:16:3e:00:00:01] Evpn(EvpnPayload { segment: Esi([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), gateway: None, label: 0x000064, label2: None })
        + [2]:[65000:100]:[0]:[fa:16:3e:00:00:01]:[10.1.2.3] Evpn(EvpnPayload { segment: Esi([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), gateway: None, label: 0x000064, label2: Some(0x000100) })
        + [2]:[65000:100]:[0]:[fa:16:3e:00:00:01]:[2001:db8::1] Evpn(EvpnPayload { segment: Esi([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), gateway: None, label: 0x000064, label2: None })
        + [3]:[65000:100]:[0]:[192.0.2.1] None
        + [4]:[65000:100]:[01:01:01:01:01:01:01:01:01:01]:[2001:db8::1] None
        + [5]:[65000:100]:[0]:[10.1.2.0/24] Evpn(EvpnPayload { segment: Esi([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), gateway: Some(10.1.2.254), label: 0x000100, label2: None })
        + [5]:[65000:100]:[0]:[2001:db8::/32] Evpn(EvpnPayload { segment: Esi([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), gateway: None, label: 0x000100, label2: None })
        + [6]:[0x010203] None
          next hop 192.0.2.1 path 65001
          target:65000:100
          0x030c000000000008
          0x030d000000000000
          0x0600010000000007
          0x0601010000000011
          0x0603fa163e000001
          RareAttributes { aggregator: None, originator_id: None, cluster_list: [], pmsi_tunnel: Some(PmsiTunnel { flags: 0, tunnel_type: 6, label: 0x000064, identifier: [192, 0, 2, 1] }), large_communities: [], prefix_sid: None, unknown: [] }
    "#]],
    );
}

#[test]
fn wishes_for_route_targets() {
    let exact = [&[96, 0, 0, 0xfd, 0xe8][..], &TARGET].concat();
    let routes = reach([0, 1, 132], &[192, 0, 2, 1], &[&[0], &exact, &[48, 0, 0, 0xfd, 0xe8, 0, 2]]);
    let bytes = update(&[], &[origin(), as_path(), routes], &[]);
    check(
        &bytes,
        &codec(&[Family::RouteTarget]),
        &expect![[r#"
        + default None
        + 65000 65000:100 None
        + 65000 0x0002000000000000/48 None
          next hop 192.0.2.1 path 65001
    "#]],
    );
}

/// From a speaker with two-octet numbers: what it does not know comes beside.
#[test]
fn four_octet_numbers_over_a_two_octet_session() {
    let attributes = [
        origin(),
        attribute(0x40, 2, &[2, 3, 0, 5, 0x5b, 0xa0, 0x5b, 0xa0]),
        next_hop(),
        attribute(0xc0, 7, &[0x5b, 0xa0, 192, 0, 2, 7]),
        attribute(0xe0, 17, &[2, 2, 0, 1, 0x11, 0x70, 0, 1, 0x38, 0x80]),
        attribute(0xe0, 18, &[0, 1, 0x38, 0x80, 192, 0, 2, 7]),
        attribute(0xe0, 35, &[0, 1, 0x11, 0x70]),
    ];
    let codec = Codec { four_octet_as: false, ..codec(&[Family::Ipv4Unicast]) };
    check(
        &update(&[], &attributes, &[8, 10]),
        &codec,
        &expect![[r#"
        + 10.0.0.0/8 None
          next hop 192.0.2.1 path 5 70000 80000
          RareAttributes { aggregator: Some(Aggregator { asn: AS80000, router_id: 192.0.2.7 }), originator_id: None, cluster_list: [], pmsi_tunnel: None, large_communities: [], prefix_sid: None, unknown: [RawAttribute { code: 35, flags: AttributeFlags(224), value: [0, 1, 17, 112] }] }
    "#]],
    );
}

#[test]
fn communities_name_what_evpn_needs() {
    let mac = weft_net::Mac::new(MAC);
    assert_eq!(ExtendedCommunity::routers_mac(mac).octets(), [6, 3, 0xfa, 0x16, 0x3e, 0, 0, 1]);
    assert_eq!(ExtendedCommunity::routers_mac(mac).as_routers_mac(), Some(mac));
    assert_eq!(ExtendedCommunity::mac_mobility(7, true).octets(), [6, 0, 1, 0, 0, 0, 0, 7]);
    assert_eq!(ExtendedCommunity::mac_mobility(7, true).as_mac_mobility(), Some((7, true)));
    assert_eq!(ExtendedCommunity::encapsulation(8).octets(), [3, 0x0c, 0, 0, 0, 0, 0, 8]);
    assert_eq!(ExtendedCommunity::encapsulation(8).as_encapsulation(), Some(8));
    assert_eq!(
        ExtendedCommunity::esi_label(LabelField::from_bits(0x11), true).octets(),
        [6, 1, 1, 0, 0, 0, 0, 0x11]
    );
    assert_eq!(ExtendedCommunity::from_octets(TARGET).to_string(), "target:65000:100");
    assert!(!ExtendedCommunity::from_octets([0x40, 2, 0, 0, 0, 0, 0, 0]).is_transitive());
}

/// RFC 6793 §4.2.3: an aggregator with a number of its own knows nothing of what stands beside.
#[test]
fn four_octet_numbers_from_before_an_aggregation_are_not_used() {
    let attributes = [
        origin(),
        attribute(0x40, 2, &[2, 2, 0, 5, 0x5b, 0xa0]),
        next_hop(),
        attribute(0xc0, 7, &[0, 5, 192, 0, 2, 7]),
        attribute(0xe0, 17, &[2, 1, 0, 1, 0x11, 0x70]),
        attribute(0xe0, 18, &[0, 1, 0x38, 0x80, 192, 0, 2, 8]),
    ];
    let codec = Codec { four_octet_as: false, ..codec(&[Family::Ipv4Unicast]) };
    check(
        &update(&[], &attributes, &[8, 10]),
        &codec,
        &expect![[r#"
        + 10.0.0.0/8 None
          next hop 192.0.2.1 path 5 23456
          RareAttributes { aggregator: Some(Aggregator { asn: AS5, router_id: 192.0.2.7 }), originator_id: None, cluster_list: [], pmsi_tunnel: None, large_communities: [], prefix_sid: None, unknown: [] }
    "#]],
    );
}

#[test]
fn what_is_not_spoken_here_is_passed_on_only_if_it_is_transitive() {
    let unknown = [attribute(0x80, 99, &[1]), attribute(0xc0, 98, &[2])];
    let bytes = update(&[], &[&[origin(), as_path(), next_hop()], &unknown[..]].concat(), &[8, 10]);
    check(
        &bytes,
        &codec(&[Family::Ipv4Unicast]),
        &expect![[r#"
        + 10.0.0.0/8 None
          next hop 192.0.2.1 path 65001
          RareAttributes { aggregator: None, originator_id: None, cluster_list: [], pmsi_tunnel: None, large_communities: [], prefix_sid: None, unknown: [RawAttribute { code: 98, flags: AttributeFlags(192), value: [2] }] }
    "#]],
    );
}

#[test]
fn what_belongs_inside_an_as_does_not_leave_it() {
    let mut attributes = Attributes::new(NextHop::Ipv4([192, 0, 2, 1].into()));
    attributes.local_pref = Some(200);
    attributes.edit_rare(|rare| {
        rare.originator_id = Some([192, 0, 2, 9].into());
        rare.cluster_list = vec![[192, 0, 2, 8].into()];
    });
    let codes = |peer| {
        let codec = Codec { peer, ..codec(&[Family::Ipv4Unicast]) };
        attributes.to_wire(&codec).iter().map(|attribute| attribute.value.code()).collect::<Vec<u8>>()
    };
    assert_eq!(codes(PeerKind::Internal), [1, 2, 5, 9, 10]);
    assert_eq!(codes(PeerKind::External), [1, 2]);
}

#[test]
fn attributes_without_anything_rare_are_equal_however_they_came_about() {
    let plain = Attributes::new(NextHop::Ipv4([192, 0, 2, 1].into()));
    let mut edited = plain.clone();
    edited.edit_rare(|rare| rare.cluster_list.push([192, 0, 2, 8].into()));
    assert_ne!(edited, plain);
    edited.edit_rare(|rare| rare.cluster_list.clear());
    assert_eq!(edited, plain);
    edited.set_communities([Community(2), Community(1), Community(2)]);
    assert_eq!(edited.communities(), [Community(1), Community(2)]);
}
