//! Ethernet segments (EVPN types 1 and 4, RFC 7432 §8): of no use here, they go through a reflector to those who use them.

use std::net::IpAddr;
use std::time::Duration;

use weft_net::{RouteTarget, Vni};

use super::network::{Network, address, config, peer};
use crate::rib::PathView;
use crate::speaker::{PeerConfig, Route};
use crate::wire::{
    Attributes, Destination, Esi, EthernetTag, EvpnDestination, EvpnPayload, ExtendedCommunity, Family,
    LabelField, Membership, Payload,
};

const SEGMENT: Esi = Esi([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
/// The ES-Import route target of the segment (RFC 7432 §7.6).
const ES_IMPORT: ExtendedCommunity = ExtendedCommunity::from_octets([0x06, 0x02, 1, 2, 3, 4, 5, 6]);

/// A reflector with two clients, and a neighbour that is none.
fn reflector(families: &[Family]) -> Network {
    let mut network = Network::new(1, (0..4).map(|speaker| config(speaker, 65_000)).collect());
    let now = network.now;
    for other in 1..4 {
        let is_route_reflector_client = other < 3;
        let neighbor = PeerConfig { is_route_reflector_client, ..peer(other, 65_000, families) };
        network.speakers[0].set_peer(neighbor, now).unwrap();
        network.speakers[other].set_peer(peer(0, 65_000, families), now).unwrap();
    }
    network.until_established();
    network
}

/// What the second client tells of the segment: type 1 for the whole of it, and for an EVPN instance on it; type 4.
fn segment() -> [Route; 3] {
    let distinguisher = "65000:3".parse().unwrap();
    let target = ExtendedCommunity::from("65000:100".parse::<RouteTarget>().unwrap());
    let of_label = |label| Payload::Evpn(Box::new(EvpnPayload { label, ..EvpnPayload::NOTHING }));
    let discovery = |tag| EvpnDestination::AutoDiscovery { distinguisher, segment: SEGMENT, tag };
    let none = LabelField::from_bits(0);
    let vni = LabelField::from_vni(Vni::MIN);
    let originator = address(2);
    let of_router = EvpnDestination::EthernetSegment { distinguisher, segment: SEGMENT, originator };
    let route = |destination, payload, communities: &[ExtendedCommunity]| {
        let mut attributes = Attributes::new(address(2).into());
        attributes.set_extended_communities(communities.iter().copied());
        Route { destination: Destination::Evpn(destination), payload, attributes }
    };
    [
        route(
            discovery(EthernetTag::MAX),
            of_label(none),
            &[target, ExtendedCommunity::esi_label(vni, false)],
        ),
        route(discovery(EthernetTag(0)), of_label(vni), &[target]),
        route(of_router, Payload::None, &[ES_IMPORT]),
    ]
}

/// The one path of a route that a speaker has, if it has one.
fn path<'n>(network: &'n Network, speaker: usize, route: &Route) -> Option<PathView<'n>> {
    network.speakers[speaker].rib.table(Family::Evpn).paths(&route.destination).pop()
}

/// Which types each of the others has.
fn types(network: &Network) -> [Vec<u8>; 4] {
    [0, 1, 2, 3].map(|speaker| {
        let has = |route: &&Route| path(network, speaker, route).is_some();
        let route_type = |route: &Route| match &route.destination {
            Destination::Evpn(destination) => destination.route_type(),
            other => panic!("{other} is of EVPN"),
        };
        segment().iter().filter(has).map(route_type).collect()
    })
}

#[test]
fn auto_discovery_and_segment_routes_are_reflected_as_they_are_and_withdrawn() {
    let mut network = reflector(&[Family::Evpn]);
    segment().into_iter().for_each(|route| network.speakers[2].originate(route));
    network.run(Duration::from_secs(2));
    for (speaker, route) in [1, 3].into_iter().flat_map(|speaker| segment().map(|route| (speaker, route))) {
        let path = path(&network, speaker, &route).unwrap_or_else(|| panic!("{} has no {route:?}", speaker));
        let has = &path.attributes.attributes;
        assert_eq!((path.payload, has.next_hop), (route.payload, route.attributes.next_hop));
        assert_eq!(has.extended_communities(), route.attributes.extended_communities());
        let rare = has.rare();
        assert_eq!(rare.originator_id.map(IpAddr::V4), Some(address(2)));
        assert_eq!(rare.cluster_list.iter().copied().map(IpAddr::V4).collect::<Vec<_>>(), [address(0)]);
    }
    for route in segment() {
        assert!(network.speakers[2].withdraw(&route.destination));
    }
    network.run(Duration::from_secs(2));
    assert_eq!(types(&network), [0; 4].map(|_| Vec::<u8>::new()));
}

#[test]
fn with_route_target_constraints_segment_routes_go_to_who_asks_for_all_or_for_the_segment() {
    let mut network = reflector(&[Family::Evpn, Family::RouteTarget]);
    let ask = |network: &mut Network, speaker: usize, wish| {
        network.speakers[speaker].originate(Route {
            destination: Destination::RouteTarget(wish),
            payload: Payload::None,
            attributes: Attributes::new(address(speaker).into()),
        });
    };
    ask(&mut network, 0, Membership::DEFAULT);
    segment().into_iter().for_each(|route| network.speakers[2].originate(route));
    network.run(Duration::from_secs(2));
    assert_eq!(types(&network), [vec![1, 1, 4], vec![], vec![1, 1, 4], vec![]]);
    let of_segment = Membership::from_bits(96, 65_000.into(), ES_IMPORT.octets()).unwrap();
    ask(&mut network, 1, of_segment);
    ask(&mut network, 3, Membership::new(65_000.into(), "65000:100".parse().unwrap()));
    network.run(Duration::from_secs(2));
    assert_eq!(types(&network), [vec![1, 1, 4], vec![4], vec![1, 1, 4], vec![1, 1]]);
}
