//! What can be asked of a speaker, and whether its tables are what they should be.

use std::collections::BTreeSet;
use std::time::Duration;

use super::network::{Network, address, config, peer, route, unicast};
use crate::rib::{PeerIndex, Step};
use crate::speaker::{Mistold, PageSize, RibView, Route, RouteFilter, Speaker};
use crate::wire::{Attributes, Destination, ExtendedCommunity, Family, LabelField, Payload};

const ALL: PageSize = PageSize { routes_max: usize::MAX, looked_at_max: usize::MAX };

fn page(speaker: &Speaker, view: RibView, filter: &RouteFilter) -> Vec<String> {
    let page = speaker.page((view, Family::Ipv4Unicast), filter, 0, ALL);
    let mut found: Vec<String> = page.routes.into_iter().map(|route| route.destination.to_string()).collect();
    found.sort();
    found
}

#[test]
fn a_filter_says_which_routes_are_shown_and_pages_show_each_once() {
    let mut network = Network::mesh(1, 2, |_| {});
    for prefix in ["10.0.0.0/8", "10.1.0.0/16", "192.168.0.0/16"] {
        network.speakers[0].originate(route(prefix, 0));
    }
    network.speakers[1].originate(route("172.16.0.0/12", 1));
    network.until_established();
    network.run(Duration::from_secs(2));
    let speaker = &network.speakers[1];
    let within = RouteFilter { within: Some("10.0.0.0/8".parse().unwrap()), ..RouteFilter::default() };
    assert_eq!(page(speaker, RibView::LocRib, &within), ["10.0.0.0/8", "10.1.0.0/16"]);
    let exactly = RouteFilter { exactly: Some("10.0.0.0/8".parse().unwrap()), ..RouteFilter::default() };
    assert_eq!(page(speaker, RibView::LocRib, &exactly), ["10.0.0.0/8"]);
    let local = RouteFilter { is_local: true, ..RouteFilter::default() };
    assert_eq!(page(speaker, RibView::LocRib, &local), ["172.16.0.0/12"]);
    let from = RibView::AdjRibIn(address(0));
    assert_eq!(page(speaker, from, &RouteFilter::default()).len(), 3);
    let (mut found, mut place) = (Vec::new(), Some(0));
    while let Some(from) = place {
        let size = PageSize { routes_max: 3, looked_at_max: 1 };
        let page = speaker.page((RibView::LocRib, Family::Ipv4Unicast), &RouteFilter::default(), from, size);
        assert!(page.routes.len() <= 1, "no more is looked at than asked for");
        found.extend(page.routes.into_iter().map(|route| route.destination.to_string()));
        place = page.next;
    }
    found.sort();
    assert_eq!(found, ["10.0.0.0/8", "10.1.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]);
}

#[test]
fn what_a_neighbour_was_told_is_shown_as_it_was_told() {
    let families = [Family::Ipv4Unicast];
    let mut network = Network::new(1, vec![config(0, 65_000), config(1, 65_001)]);
    network.speakers[0].set_peer(peer(1, 65_001, &families), network.now).unwrap();
    network.speakers[1].set_peer(peer(0, 65_000, &families), network.now).unwrap();
    network.speakers[0].originate(route("10.0.0.0/8", 0));
    network.until_established();
    network.run(Duration::from_secs(2));
    let (told, _) = network.speakers[0].adj_out(address(1), Family::Ipv4Unicast, 0, 10);
    let (heard, _) = network.speakers[1].adj_in(address(0), Family::Ipv4Unicast, 0, 10);
    assert_eq!(told.len(), 1);
    assert_eq!((&*told[0].paths[0].as_path, told[0].paths[0].local_pref), ("65000", None));
    assert_eq!(told[0].paths[0].as_path, heard[0].paths[0].as_path);
    assert_eq!(network.speakers[0].told_to(&unicast("10.0.0.0/8")), [address(1)]);
}

#[test]
fn each_path_that_is_not_the_best_was_beaten_at_a_step() {
    let mut network = Network::mesh(1, 3, |_| {});
    for (speaker, local_pref) in [(0, 100), (1, 200), (2, 200)] {
        let mut route = route("10.0.0.0/8", speaker);
        route.attributes.local_pref = Some(local_pref);
        network.speakers[speaker].originate(route);
    }
    network.until_established();
    network.run(Duration::from_secs(2));
    let explained = network.speakers[0].explain(&unicast("10.0.0.0/8")).unwrap();
    assert_eq!(explained.best.neighbor, Some(address(1)));
    let beaten: Vec<_> =
        explained.beaten.iter().map(|one| (one.path.neighbor, one.step, one.is_equal)).collect();
    let expected = [(None, Step::LocalPreference, false), (Some(address(2)), Step::RouterId, true)];
    assert_eq!(beaten, expected);
}

#[test]
fn a_neighbour_that_was_not_told_is_found_and_told() {
    let mut network = Network::mesh(1, 2, |_| {});
    network.speakers[0].originate(route("10.0.0.0/8", 0));
    network.until_established();
    network.run(Duration::from_secs(2));
    let destination = unicast("10.0.0.0/8");
    let audit = |network: &mut Network| network.speakers[0].audit_told(Family::Ipv4Unicast, 0, 100).0;
    assert_eq!(audit(&mut network), [], "all is well");
    // It is taken for told of nothing, and nothing is said.
    let (index, rib) = (network.speakers[0].index_of(address(1)).unwrap(), &mut network.speakers[0].rib);
    rib.table_mut(Family::Ipv4Unicast).mark_one(PeerIndex(index), &destination);
    rib.drain(PeerIndex(index), Family::Ipv4Unicast, 10, &mut |_, _| false);
    let mistold = Mistold { neighbor: address(1), destination: destination.clone(), is_owed: true };
    assert_eq!(audit(&mut network), [mistold]);
    assert_eq!(audit(&mut network), [], "it is on its way");
    network.run(Duration::from_secs(2));
    assert_eq!(network.speakers[0].told_to(&destination), [address(1)]);
}

#[test]
fn what_an_instance_has_can_be_asked_for_and_told_again() {
    let families = [Family::Vpnv4];
    let mut network = Network::new(1, vec![config(0, 65_000), config(1, 65_000)]);
    network.speakers[0].set_peer(peer(1, 65_000, &families), network.now).unwrap();
    network.speakers[1].set_peer(peer(0, 65_000, &families), network.now).unwrap();
    let target = "65000:100".parse().unwrap();
    let mut attributes = Attributes::new(address(0).into());
    attributes.set_extended_communities([ExtendedCommunity::from(target)]);
    let destination: Destination = "65000:1 10.0.0.0/8".parse().unwrap();
    let payload = Payload::Label(LabelField::from_bits(0x641));
    network.speakers[0].originate(Route { destination, payload, attributes });
    network.speakers[1].set_instance("blue", BTreeSet::from([target]));
    network.until_established();
    network.run(Duration::from_secs(2));
    let now = network.now;
    let speaker = &mut network.speakers[1];
    assert_eq!(speaker.poll_learned(10, now).len(), 1);
    let has = speaker.imported_after("blue", None, 10);
    let [(key, Some(paths))] = has.as_slice() else { panic!("one destination: {has:?}") };
    assert_eq!((key.to_string().as_str(), paths[0].neighbor), ("0:0 10.0.0.0/8", address(0)));
    assert!(speaker.imported_after("blue", Some(key), 10).is_empty());
    let key = key.clone();
    assert!(speaker.poll_learned(10, now).is_empty());
    speaker.tell_again("blue", &key);
    assert!(speaker.imported("blue", &key).is_none(), "it is yet to be told");
    assert_eq!(speaker.poll_learned(10, now)[0].paths.len(), 1);
    assert_eq!(speaker.imported("blue", &key).map(|paths| paths.len()), Some(1));
}
