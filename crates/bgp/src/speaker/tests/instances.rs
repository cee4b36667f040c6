//! What instances import, where MAC addresses are, and who is asked for which route targets.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use weft_net::{Mac, RouteTarget, Vni};

use super::network::{Network, address, config, peer};
use crate::speaker::{Learned, PeerConfig, Route};
use crate::wire::{
    Attributes, Destination, Esi, EthernetTag, EvpnDestination, EvpnPayload, ExtendedCommunity, Family,
    LabelField, Payload, VpnDestination,
};

const FAMILIES: [Family; 2] = [Family::Evpn, Family::RouteTarget];

fn target(number: u16) -> RouteTarget {
    format!("65000:{number}").parse().unwrap()
}

fn targets(numbers: &[u16]) -> BTreeSet<RouteTarget> {
    numbers.iter().map(|&number| target(number)).collect()
}

/// A MAC address behind a speaker, with a distinguisher of that speaker's.
fn mac(at: usize, sequence: u32, of: RouteTarget) -> Route {
    let destination = EvpnDestination::MacIp {
        distinguisher: format!("65000:{}", at + 1).parse().unwrap(),
        tag: EthernetTag::default(),
        mac: Mac::new([2, 0, 0, 0, 0, 1]),
        address: None,
    };
    let label = LabelField::from_vni(Vni::MIN);
    let payload =
        Payload::Evpn(Box::new(EvpnPayload { segment: Esi::ZERO, gateway: None, label, label2: None }));
    let mut attributes = Attributes::new(address(at).into());
    attributes.set_extended_communities([of.into(), ExtendedCommunity::mac_mobility(sequence, false)]);
    Route { destination: Destination::Evpn(destination), payload, attributes }
}

/// A reflector with three clients.
fn star(seed: u64) -> Network {
    let mut network = Network::new(seed, (0..4).map(|speaker| config(speaker, 65_000)).collect());
    let now = network.now;
    for client in 1..4 {
        let of_client = PeerConfig { is_route_reflector_client: true, ..peer(client, 65_000, &FAMILIES) };
        network.speakers[0].set_peer(of_client, now).unwrap();
        network.speakers[client].set_peer(peer(0, 65_000, &FAMILIES), now).unwrap();
    }
    network.until_established();
    network
}

/// What the first client learns next.
fn learned(network: &mut Network) -> Vec<Learned> {
    network.run(Duration::from_secs(2));
    let now = network.now;
    network.speakers[1].poll_learned(100, now)
}

fn places(learned: &[Learned]) -> Vec<IpAddr> {
    let last = learned.iter().rfind(|learned| learned.instance.as_deref() == Some("blue"));
    last.map_or_else(Vec::new, |last| {
        last.paths.iter().map(|path| path.attributes.next_hop.address()).collect()
    })
}

#[test]
fn a_mac_address_is_where_it_moved_last_whatever_the_distinguisher() {
    let mut network = star(1);
    network.speakers[1].set_instance("blue", targets(&[100]));
    network.speakers[2].originate(mac(2, 1, target(100)));
    network.speakers[3].originate(mac(3, 0, target(100)));
    let seen = learned(&mut network);
    assert_eq!(places(&seen), [address(2)]);
    assert!(seen.iter().all(|learned| learned.instance.is_some()), "{seen:?}");
    network.speakers[3].originate(mac(3, 2, target(100)));
    assert_eq!(places(&learned(&mut network)), [address(3)]);
    let gone = mac(3, 2, target(100)).destination;
    assert!(network.speakers[3].withdraw(&gone));
    assert_eq!(places(&learned(&mut network)), [address(2)]);
    // Without its target it is of no instance any more.
    network.speakers[2].originate(mac(2, 1, target(200)));
    let seen = learned(&mut network);
    assert_eq!((seen.len(), seen[0].paths.len()), (1, 0));
    assert_eq!(learned(&mut network).len(), 0);
}

#[test]
fn a_mac_address_that_moves_five_times_within_three_minutes_is_a_duplicate() {
    let mut network = star(1);
    network.speakers[1].set_instance("blue", targets(&[100]));
    let mut seen = Vec::new();
    for sequence in 0..6 {
        let at = 2 + sequence as usize % 2;
        network.speakers[at].originate(mac(at, sequence, target(100)));
        let learned = learned(&mut network);
        seen.push(learned.last().is_some_and(|last| last.is_duplicate_mac));
    }
    assert_eq!(seen, [false, false, false, false, false, true]);
    network.run(Duration::from_secs(180));
    network.speakers[2].originate(mac(2, 6, target(100)));
    assert!(!learned(&mut network).last().unwrap().is_duplicate_mac);
}

#[test]
fn only_routes_that_somebody_asks_for_are_sent() {
    let mut network = star(1);
    network.speakers[2].originate(mac(2, 0, target(100)));
    network.speakers[3].originate(mac(3, 0, target(200)));
    network.run(Duration::from_secs(2));
    let count =
        |network: &Network, speaker: usize| network.speakers[speaker].routes(Family::Evpn, 0, 10).0.len();
    assert_eq!([0, 1].map(|speaker| count(&network, speaker)), [0, 0], "nobody asks");
    network.speakers[1].set_instance("blue", targets(&[100]));
    network.run(Duration::from_secs(2));
    assert_eq!([0, 1, 2, 3].map(|speaker| count(&network, speaker)), [1, 1, 1, 1]);
    // Two clients ask for the same; the reflector's answer to each is not mixed up.
    network.speakers[3].set_instance("blue", targets(&[100, 200]));
    network.speakers[1].set_instance("blue", targets(&[200]));
    network.run(Duration::from_secs(2));
    assert_eq!([0, 1, 2, 3].map(|speaker| count(&network, speaker)), [2, 1, 1, 2]);
    network.speakers[1].set_instance("blue", targets(&[]));
    network.speakers[3].set_instance("blue", targets(&[]));
    network.run(Duration::from_secs(2));
    assert_eq!([0, 1, 2, 3].map(|speaker| count(&network, speaker)), [0, 0, 1, 1]);
}

/// A prefix behind a gateway, with one distinguisher for all gateways.
fn prefix_by(gateway: usize, of: RouteTarget) -> Route {
    let destination = Destination::Vpnv4(VpnDestination {
        distinguisher: "65000:77".parse().unwrap(),
        prefix: "198.51.100.0/24".parse().unwrap(),
    });
    let label = LabelField::from_label(1000.try_into().unwrap());
    let mut attributes = Attributes::new(address(gateway).into());
    attributes.set_extended_communities([of.into()]);
    Route { destination, payload: Payload::Label(label), attributes }
}

#[test]
fn of_one_distinguisher_all_paths_count_that_are_imported() {
    let mut network = Network::new(1, (0..4).map(|speaker| config(speaker, 65_000)).collect());
    let now = network.now;
    for gateway in [0, 2, 3] {
        network.speakers[1].set_peer(peer(gateway, 65_000, &[Family::Vpnv4]), now).unwrap();
        network.speakers[gateway].set_peer(peer(1, 65_000, &[Family::Vpnv4]), now).unwrap();
    }
    network.until_established();
    network.speakers[1].set_instance("blue", targets(&[100]));
    // The best of all has another target.
    let mut better = prefix_by(0, target(200));
    better.attributes.local_pref = Some(200);
    network.speakers[0].originate(better);
    network.speakers[2].originate(prefix_by(2, target(100)));
    network.speakers[3].originate(prefix_by(3, target(100)));
    let both = |mut places: Vec<IpAddr>| {
        places.sort();
        places
    };
    assert_eq!(both(places(&learned(&mut network))), [address(2), address(3)]);
    assert!(network.speakers[2].withdraw(&prefix_by(2, target(100)).destination));
    assert_eq!(places(&learned(&mut network)), [address(3)]);
    network.speakers[3].originate(prefix_by(3, target(200)));
    let seen = learned(&mut network);
    assert_eq!((seen.len(), places(&seen).len()), (1, 0), "{seen:?}");
}

#[test]
fn another_instance_is_no_news_of_what_has_none_of_its_targets() {
    let mut network = star(1);
    network.speakers[1].set_instances([("blue", targets(&[100])), ("green", targets(&[100, 200]))]);
    network.speakers[2].originate(mac(2, 0, target(100)));
    let names = |seen: &[Learned]| -> Vec<String> {
        seen.iter().filter_map(|one| one.instance.as_deref()).map(str::to_owned).collect()
    };
    assert_eq!(names(&learned(&mut network)), ["blue", "green"]);
    network.speakers[1].set_instance("red", targets(&[200, 300]));
    network.speakers[1].set_instance("green", targets(&[100]));
    assert_eq!(names(&learned(&mut network)), [""; 0]);
    // One that has its target is told, and so is one that has it no more.
    network.speakers[1].set_instances([("red", targets(&[100])), ("green", targets(&[300]))]);
    let seen = learned(&mut network);
    let green = seen.iter().find(|one| one.instance.as_deref() == Some("green")).unwrap();
    let red = seen.iter().find(|one| one.instance.as_deref() == Some("red")).unwrap();
    assert_eq!((green.paths.len(), red.paths.len()), (0, 1));
}

#[test]
fn no_more_is_looked_at_at_a_time_than_is_asked_for_also_of_what_nobody_imports() {
    let mut network = star(1);
    let now = network.now;
    let speaker = &mut network.speakers[1];
    for number in 0..250u16 {
        let mut route = mac(1, 0, target(100));
        let Destination::Evpn(EvpnDestination::MacIp { mac, .. }) = &mut route.destination else { panic!() };
        let [a, b] = number.to_be_bytes();
        *mac = Mac::new([2, 0, 0, 0, a, b]);
        speaker.originate(route);
    }
    for is_more in [true, true, false] {
        assert_eq!(speaker.poll_learned(100, now).len(), 0);
        assert_eq!(speaker.has_learned(), is_more);
    }
}
