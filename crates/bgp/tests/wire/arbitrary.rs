//! Arbitrary values in good form.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use weft_bgp::wire::*;
use weft_net::{Asn, Mac, RouteDistinguisher};

pub(crate) fn codec() -> impl Strategy<Value = Codec> {
    (any::<[bool; 3]>(), families()).prop_map(|([internal, four_octet_as, extended_message], add_path)| {
        Codec {
            peer: if internal { PeerKind::Internal } else { PeerKind::External },
            four_octet_as,
            extended_message,
            families: Family::ALL.into_iter().collect(),
            add_path_receive: add_path,
            add_path_send: add_path,
            extended_next_hop: Family::ALL.into_iter().collect(),
        }
    })
}

fn families() -> impl Strategy<Value = FamilySet> {
    proptest::sample::subsequence(Family::ALL.to_vec(), 0..=Family::ALL.len())
        .prop_map(|families| families.into_iter().collect())
}

pub(crate) fn family() -> impl Strategy<Value = Family> {
    proptest::sample::select(Family::ALL.to_vec())
}

fn v4() -> impl Strategy<Value = Ipv4Net> {
    (any::<u32>(), 0..=32_u8).prop_map(|(address, bits)| Ipv4Net::new(address.into(), bits).unwrap().trunc())
}

fn v6() -> impl Strategy<Value = Ipv6Net> {
    (any::<u128>(), 0..=128_u8)
        .prop_map(|(address, bits)| Ipv6Net::new(address.into(), bits).unwrap().trunc())
}

fn distinguisher() -> impl Strategy<Value = RouteDistinguisher> {
    any::<[u8; 8]>().prop_map(RouteDistinguisher::from_octets)
}

fn label() -> impl Strategy<Value = LabelField> {
    any::<u32>().prop_map(LabelField::from_bits)
}

/// A route of `family`, with a path identifier exactly if `codec` has them.
pub(crate) fn route(family: Family, codec: &Codec) -> BoxedStrategy<Route> {
    let destination: BoxedStrategy<(Destination, Payload)> = match family {
        Family::Ipv4Unicast => v4().prop_map(|prefix| (Destination::Ipv4(prefix), Payload::None)).boxed(),
        Family::Ipv6Unicast => v6().prop_map(|prefix| (Destination::Ipv6(prefix), Payload::None)).boxed(),
        Family::Vpnv4 => (distinguisher(), v4(), label())
            .prop_map(|(distinguisher, prefix, label)| {
                (Destination::Vpnv4(VpnDestination { distinguisher, prefix }), Payload::Label(label))
            })
            .boxed(),
        Family::Vpnv6 => (distinguisher(), v6(), label())
            .prop_map(|(distinguisher, prefix, label)| {
                (Destination::Vpnv6(VpnDestination { distinguisher, prefix }), Payload::Label(label))
            })
            .boxed(),
        Family::Evpn => {
            evpn().prop_map(|(destination, payload)| (Destination::Evpn(destination), payload)).boxed()
        }
        Family::RouteTarget => (prop_oneof![Just(0), 32..=96_u8], any::<u32>(), any::<[u8; 8]>())
            .prop_map(|(bits, origin, target)| {
                let membership = Membership::from_bits(bits, Asn::new(origin), target).unwrap();
                (Destination::RouteTarget(membership), Payload::None)
            })
            .boxed(),
    };
    let has_path_ids = codec.add_path_send.contains(family);
    (any::<u32>(), destination)
        .prop_map(move |(id, (destination, payload))| Route {
            path_id: has_path_ids.then_some(PathId(id)),
            destination,
            payload,
        })
        .boxed()
}

fn evpn() -> impl Strategy<Value = (EvpnDestination, Payload)> {
    let fixed = (distinguisher(), any::<[u8; 10]>().prop_map(Esi), any::<u32>().prop_map(EthernetTag));
    let address = any::<std::net::IpAddr>();
    let gateway = any::<u128>();
    (
        1..=6_u8,
        fixed,
        any::<[u8; 6]>(),
        option::of(address),
        (v4(), v6(), any::<bool>()),
        gateway,
        label(),
        option::of(label()),
    )
        .prop_map(
            |(kind, (distinguisher, segment, tag), mac, address, (v4, v6, is_v4), gateway, label, label2)| {
                let originator = address.unwrap_or(Ipv4Addr::LOCALHOST.into());
                let payload = EvpnPayload { label, ..EvpnPayload::NOTHING };
                let of = |payload| Payload::Evpn(Box::new(payload));
                match kind {
                    1 => (EvpnDestination::AutoDiscovery { distinguisher, segment, tag }, of(payload)),
                    2 => {
                        let mac = Mac::new(mac);
                        let payload = EvpnPayload { segment, label2, ..payload };
                        (EvpnDestination::MacIp { distinguisher, tag, mac, address }, of(payload))
                    }
                    3 => (
                        EvpnDestination::InclusiveMulticast { distinguisher, tag, originator },
                        Payload::None,
                    ),
                    4 => (
                        EvpnDestination::EthernetSegment { distinguisher, segment, originator },
                        Payload::None,
                    ),
                    5 => {
                        let (prefix, gateway) = if is_v4 {
                            (v4.into(), Ipv4Addr::from(gateway as u32).into())
                        } else {
                            (v6.into(), Ipv6Addr::from(gateway).into())
                        };
                        let gateway: Option<std::net::IpAddr> = Some(gateway);
                        let gateway = gateway.filter(|gateway| !gateway.is_unspecified());
                        let payload = EvpnPayload { segment, gateway, ..payload };
                        (EvpnDestination::IpPrefix { distinguisher, tag, prefix }, of(payload))
                    }
                    _ => (
                        EvpnDestination::Unknown { route_type: mac[0].max(6), value: mac.into() },
                        Payload::None,
                    ),
                }
            },
        )
}

pub(crate) fn next_hop(family: Family) -> BoxedStrategy<NextHop> {
    let v4 = any::<Ipv4Addr>().prop_map(NextHop::Ipv4);
    let v6 = any::<Ipv6Addr>().prop_map(NextHop::Ipv6);
    let pair =
        any::<[Ipv6Addr; 2]>().prop_map(|[global, link_local]| NextHop::Ipv6Pair { global, link_local });
    match family {
        Family::Ipv6Unicast | Family::Vpnv6 => prop_oneof![v6, pair].boxed(),
        _ => prop_oneof![v4, v6, pair].boxed(),
    }
}

/// A path; with numbers that fit two octets unless `four_octets`.
pub(crate) fn as_path(four_octets: bool) -> impl Strategy<Value = AsPath> {
    let asn = if four_octets { (1..=u32::MAX).boxed() } else { (1..=u16::MAX).prop_map(u32::from).boxed() };
    let kind = prop_oneof![Just(SegmentKind::Set), Just(SegmentKind::Sequence)];
    vec((kind, vec(asn.prop_map(Asn::new), 1..6)), 0..4)
        .prop_map(|segments| AsPath::from_segments(segments.iter().map(|(kind, asns)| (*kind, &asns[..]))))
}

fn aggregator(four_octets: bool) -> impl Strategy<Value = Aggregator> {
    let asn = if four_octets { (1..=u32::MAX).boxed() } else { (1..=u16::MAX).prop_map(u32::from).boxed() };
    (asn, any::<Ipv4Addr>()).prop_map(|(asn, router_id)| Aggregator { asn: asn.into(), router_id })
}

fn raw() -> impl Strategy<Value = (u8, Box<[u8]>)> {
    (3..=255_u8, vec(any::<u8>(), 0..9))
        .prop_map(|(kind, value)| (kind + u8::from(matches!(kind, 5 | 6)) * 10, value.into()))
}

fn srv6_service() -> impl Strategy<Value = Srv6Service> {
    let structure = option::of(any::<[u8; 6]>()).prop_map(|bits| {
        bits.map(|[a, b, c, d, e, g]| SidStructure {
            locator_block_bits: a,
            locator_node_bits: b,
            function_bits: c,
            argument_bits: d,
            transposition_bits: e,
            transposition_offset_bits: g,
        })
    });
    let sid = (any::<Ipv6Addr>(), any::<u8>(), any::<u16>(), structure, vec(raw(), 0..2)).prop_map(
        |(sid, flags, behavior, structure, unknown)| {
            Srv6ServiceTlv::Sid(Srv6Sid { sid, flags, behavior, structure, unknown })
        },
    );
    let unknown = raw().prop_map(|(kind, value)| Srv6ServiceTlv::Unknown { kind, value });
    vec(prop_oneof![4 => sid, 1 => unknown], 0..3).prop_map(|tlvs| Srv6Service { tlvs })
}

fn prefix_sid() -> impl Strategy<Value = PrefixSid> {
    let tlv = prop_oneof![
        srv6_service().prop_map(PrefixSidTlv::Srv6L3),
        srv6_service().prop_map(PrefixSidTlv::Srv6L2),
        raw().prop_map(|(kind, value)| PrefixSidTlv::Unknown { kind, value }),
    ];
    vec(tlv, 1..3).prop_map(|tlvs| PrefixSid { tlvs })
}

fn pmsi_tunnel() -> impl Strategy<Value = PmsiTunnel> {
    let replication = (label(), any::<std::net::IpAddr>())
        .prop_map(|(label, receiver)| PmsiTunnel::ingress_replication(label, receiver));
    let other = (any::<u8>(), 7..=255_u8, label(), vec(any::<u8>(), 0..20)).prop_map(
        |(flags, tunnel_type, label, identifier)| PmsiTunnel {
            flags,
            tunnel_type,
            label,
            identifier: identifier.into(),
        },
    );
    prop_oneof![replication, other]
}

/// The values of the attributes that say nothing of routes, each type once, in their order: what `codec`'s neighbour may send.
fn values(codec: Codec) -> impl Strategy<Value = Vec<AttributeValue>> {
    let four = codec.four_octet_as;
    let is_internal = codec.peer == PeerKind::Internal;
    let internal = (any::<u32>(), any::<Ipv4Addr>(), vec(any::<Ipv4Addr>(), 1..4)).prop_map(
        |(preference, originator, clusters)| {
            [
                AttributeValue::LocalPref(preference),
                AttributeValue::OriginatorId(originator),
                AttributeValue::ClusterList(clusters.into()),
            ]
        },
    );
    let as4 = (as_path(true), aggregator(true)).prop_map(|(path, aggregator)| {
        [AttributeValue::As4Path(path), AttributeValue::As4Aggregator(aggregator)]
    });
    let large = any::<[u32; 3]>().prop_map(|[administrator, high, low]| LargeCommunity {
        administrator: administrator.into(),
        values: [high, low],
    });
    let common = (
        any::<u32>().prop_map(AttributeValue::MultiExitDisc),
        Just(AttributeValue::AtomicAggregate),
        aggregator(four).prop_map(AttributeValue::Aggregator),
        vec(any::<u32>().prop_map(Community), 1..99)
            .prop_map(|list| AttributeValue::Communities(list.into())),
        vec(any::<[u8; 8]>().prop_map(ExtendedCommunity::from_octets), 1..9)
            .prop_map(|list| AttributeValue::ExtendedCommunities(list.into())),
        pmsi_tunnel().prop_map(AttributeValue::PmsiTunnel),
        vec(large, 1..5).prop_map(|list| AttributeValue::LargeCommunities(list.into())),
        prefix_sid().prop_map(AttributeValue::PrefixSid),
        (100..=255_u8, vec(any::<u8>(), 0..300))
            .prop_map(|(code, value)| AttributeValue::Unknown { code, value: value.into() }),
    );
    (common, internal, as4, any::<u16>()).prop_map(move |(common, internal, as4, chosen)| {
        let (a, b, c, d, e, g, h, i, j) = common;
        let mut values = vec![a, b, c, d, e, g, h, i, j];
        values.extend(internal.into_iter().filter(|_| is_internal));
        values.extend(as4.into_iter().filter(|_| !four));
        let mut index = 0;
        values.retain(|_| {
            index += 1;
            chosen & (1 << index) != 0
        });
        values
    })
}

/// An UPDATE in good form, as one whose path identifiers are those of `codec` sends it.
pub(crate) fn update(codec: Codec) -> impl Strategy<Value = Update> {
    let reach = family().prop_flat_map(move |family| {
        (next_hop(family), vec(route(family, &codec), 0..4))
            .prop_map(move |(next_hop, routes)| AttributeValue::MpReach(MpReach { family, next_hop, routes }))
    });
    let unreach = family().prop_flat_map(move |family| {
        vec(route(family, &codec), 0..4)
            .prop_map(move |routes| AttributeValue::MpUnreach(MpUnreach { family, routes }))
    });
    let origin = prop_oneof![Just(Origin::Igp), Just(Origin::Egp), Just(Origin::Incomplete)];
    let next_hop = (1..=126_u8, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d));
    let mandatory = (origin, as_path(codec.four_octet_as), next_hop);
    let ipv4 = || vec(route(Family::Ipv4Unicast, &codec), 0..4);
    (
        ipv4(),
        ipv4(),
        mandatory,
        option::of(reach),
        option::of(unreach),
        values(codec),
        any::<[u8; 24]>(),
        any::<bool>(),
    )
        .prop_map(
            |(withdrawn, announced, (origin, path, next_hop), reach, unreach, values, bits, is_bare)| {
                let mut all: Vec<AttributeValue> = unreach.into_iter().collect();
                if is_bare {
                    let attributes = all.into_iter().map(Attribute::new).collect();
                    return Update { withdrawn, attributes, announced: Vec::new() };
                }
                all.extend([
                    AttributeValue::Origin(origin),
                    AttributeValue::AsPath(path),
                    AttributeValue::NextHop(next_hop),
                ]);
                all.extend(reach);
                all.extend(values);
                let mut attributes: Vec<(u8, Attribute)> =
                    all.into_iter().zip(bits).map(|(value, bits)| (bits, with_flags(value, bits))).collect();
                attributes.sort_by_key(|(bits, _)| *bits);
                Update {
                    withdrawn,
                    attributes: attributes.into_iter().map(|(_, attribute)| attribute).collect(),
                    announced,
                }
            },
        )
}

/// With the flags that are free to choose, by `bits`.
fn with_flags(value: AttributeValue, bits: u8) -> Attribute {
    let mut attribute = Attribute::new(value);
    if attribute.flags.has(AttributeFlags::OPTIONAL | AttributeFlags::TRANSITIVE) && bits & 1 != 0 {
        attribute.flags.0 |= AttributeFlags::PARTIAL;
    }
    // A long value has the flag anyway.
    let is_long = match &attribute.value {
        AttributeValue::MpReach(_) | AttributeValue::MpUnreach(_) | AttributeValue::PrefixSid(_) => true,
        AttributeValue::Communities(list) => list.len() > 63,
        AttributeValue::Unknown { value, .. } => value.len() > 255,
        _ => false,
    };
    if is_long || bits & 2 != 0 {
        attribute.flags.0 |= AttributeFlags::EXTENDED_LENGTH;
    }
    attribute
}

/// Attributes as the table has them.
pub(crate) fn attributes(family: Family, codec: Codec) -> impl Strategy<Value = Attributes> {
    let table = Codec { four_octet_as: true, ..codec };
    (as_path(true), next_hop(family), values(table)).prop_map(|(path, next_hop, values)| {
        let list: Vec<Attribute> =
            std::iter::once(AttributeValue::AsPath(path)).chain(values).map(Attribute::new).collect();
        Attributes::from_wire(&list, next_hop)
    })
}

pub(crate) fn open() -> impl Strategy<Value = Open> {
    let raw_family = || (any::<u16>(), any::<u8>()).prop_map(|(afi, safi)| RawFamily { afi, safi });
    let mode = prop_oneof![Just(AddPathMode::Receive), Just(AddPathMode::Send), Just(AddPathMode::Both)];
    let restart = (any::<[bool; 2]>(), 0..4096_u16, vec((raw_family(), any::<bool>()), 0..4)).prop_map(
        |([is_restarting, with_notification], restart_time_s, families)| GracefulRestart {
            is_restarting,
            with_notification,
            restart_time_s,
            families: families
                .into_iter()
                .map(|(family, forwarding_kept)| GracefulRestartFamily { family, forwarding_kept })
                .collect(),
        },
    );
    let long =
        (raw_family(), any::<bool>(), 0..1_u32 << 24).prop_map(|(family, forwarding_kept, stale_time_s)| {
            LongLivedFamily { family, forwarding_kept, stale_time_s }
        });
    let capability = prop_oneof![
        raw_family().prop_map(Capability::Multiprotocol),
        Just(Capability::RouteRefresh),
        vec((raw_family(), any::<u16>()), 0..4).prop_map(Capability::ExtendedNextHop),
        Just(Capability::ExtendedMessage),
        restart.prop_map(Capability::GracefulRestart),
        (1..=u32::MAX).prop_map(|asn| Capability::FourOctetAs(Asn::new(asn))),
        vec((raw_family(), mode), 0..4).prop_map(Capability::AddPath),
        Just(Capability::EnhancedRouteRefresh),
        vec(long, 0..4).prop_map(Capability::LongLivedGracefulRestart),
        (72..=255_u8, vec(any::<u8>(), 0..256))
            .prop_map(|(code, value)| Capability::Unknown { code, value: value.into() }),
    ];
    (1..=u16::MAX, prop_oneof![Just(0), 3..=u16::MAX], 1..=u32::MAX, vec(capability, 0..9)).prop_map(
        |(my_as, hold_time_s, router_id, capabilities)| Open {
            my_as,
            hold_time_s,
            router_id: router_id.into(),
            capabilities,
        },
    )
}
