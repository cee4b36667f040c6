//! Routes outlive the speakers that announced them (RFC 4724, RFC 8538, RFC 9494).

use std::time::Duration;

use super::network::{Network, address, config, peer, route, unicast};
use crate::session::GracefulConfig;
use crate::speaker::{AcceptConfig, PathStatus, PeerConfig, Restarted, Speaker, SpeakerConfig};
use crate::wire::{Community, Family};

const RESTART_TIME: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(100);

fn graceful(long_lived_stale_time_s: u32) -> impl Fn(&mut PeerConfig) {
    move |config| {
        config.graceful_restart = Some(GracefulConfig { restart_time_s: 20, long_lived_stale_time_s })
    }
}

/// Two speakers, of which the second has announced two routes.
fn pair(long_lived_stale_time_s: u32) -> Network {
    let mut network = Network::mesh(1, 2, graceful(long_lived_stale_time_s));
    let mut not_for_long = route("10.2.0.0/16", 1);
    not_for_long.attributes.set_communities([Community::NO_LLGR]);
    network.speakers[1].originate(route("10.1.0.0/16", 1));
    network.speakers[1].originate(not_for_long);
    network.until_established();
    network.run(Duration::from_secs(1));
    assert_eq!(paths(&network), [("10.1.0.0/16".to_owned(), false), ("10.2.0.0/16".to_owned(), false)]);
    network
}

/// What the first speaker has: destinations, and whether they are stale.
fn paths(network: &Network) -> Vec<(String, bool)> {
    let routes = network.speakers[0].routes(Family::Ipv4Unicast, 0, 10).0;
    let mut paths: Vec<(String, bool)> = routes
        .into_iter()
        .map(|route| {
            (route.destination.to_string(), route.paths.iter().any(|path: &PathStatus| path.is_stale))
        })
        .collect();
    paths.sort();
    paths
}

/// The second speaker, come back to life.
fn reborn(network: &Network, forwarding_kept: bool) -> Speaker {
    let restarted = Some(Restarted { forwarding_kept, deferral_time_s: 10 });
    let mut speaker = Speaker::new(SpeakerConfig { restarted, ..config(1, 65_000) }, network.now, 7).unwrap();
    let mut of_first = peer(0, 65_000, &[Family::Ipv4Unicast]);
    graceful(0)(&mut of_first);
    speaker.set_peer(of_first, network.now).unwrap();
    speaker
}

#[test]
fn stale_routes_are_kept_until_the_neighbour_has_said_all_that_it_still_has() {
    let mut network = pair(0);
    let mut speaker = reborn(&network, true);
    speaker.originate(route("10.1.0.0/16", 1));
    network.away = vec![1];
    network.replace(1, speaker);
    network.run(Duration::from_secs(10));
    assert_eq!(paths(&network), [("10.1.0.0/16".to_owned(), true), ("10.2.0.0/16".to_owned(), true)]);
    network.away.clear();
    network.until_established();
    network.until("all said", |network| paths(network) == [("10.1.0.0/16".to_owned(), false)]);
}

#[test]
fn a_neighbour_that_has_not_kept_forwarding_loses_its_routes_when_it_is_back() {
    let mut network = pair(0);
    let speaker = reborn(&network, false);
    network.away = vec![1];
    network.replace(1, speaker);
    network.run(Duration::from_secs(1));
    assert_eq!(paths(&network).len(), 2);
    network.away.clear();
    network.until_established();
    network.run(Duration::from_millis(100));
    assert_eq!(paths(&network), []);
}

#[test]
fn a_neighbour_that_stays_away_loses_its_routes_after_its_restart_time() {
    let mut network = pair(0);
    network.away = vec![1];
    network.cut(0, 1);
    network.run(RESTART_TIME - Duration::from_secs(1));
    assert_eq!(paths(&network).len(), 2);
    network.run(Duration::from_secs(2));
    assert_eq!(paths(&network), []);
}

#[test]
fn stale_routes_that_may_are_kept_for_long_and_come_last() {
    let mut network = pair(100);
    network.speakers[0].originate({
        let mut backup = route("10.1.0.0/16", 0);
        backup.attributes.local_pref = Some(1);
        backup
    });
    network.run(Duration::from_secs(1));
    let best =
        |network: &Network| network.speakers[0].explain(&unicast("10.1.0.0/16")).unwrap().best.neighbor;
    assert_eq!(best(&network), Some(address(1)));
    network.away = vec![1];
    network.cut(0, 1);
    network.run(RESTART_TIME + Duration::from_secs(1));
    assert_eq!(paths(&network), [("10.1.0.0/16".to_owned(), true)], "NO_LLGR routes go, the others stay");
    assert_eq!(best(&network), None, "a route that is not stale is better, be its LOCAL_PREF ever so low");
    network.run(LONG);
    assert_eq!(paths(&network), [("10.1.0.0/16".to_owned(), false)]);
}

#[test]
fn a_hold_timer_that_expires_keeps_routes_and_a_shutdown_does_not() {
    let mut network = pair(0);
    network.stalled = vec![0, 1];
    network.run(Duration::from_millis(11_500));
    assert_eq!(paths(&network), [("10.1.0.0/16".to_owned(), true), ("10.2.0.0/16".to_owned(), true)]);
    network.stalled.clear();
    network.until_established();
    network.run(Duration::from_secs(1));
    assert_eq!(paths(&network).iter().filter(|(_, is_stale)| *is_stale).count(), 0);
    let now = network.now;
    assert!(network.speakers[1].shut_down(address(0), "for good", now));
    network.run(Duration::from_secs(1));
    assert_eq!(paths(&network), []);
}

#[test]
fn after_a_restart_nothing_is_sent_before_all_neighbours_have_said_what_they_have() {
    let mut network = Network::mesh(1, 3, graceful(0));
    network.speakers[1].originate(route("10.1.0.0/16", 1));
    network.until_established();
    network.run(Duration::from_secs(1));
    let restarted = Some(Restarted { forwarding_kept: true, deferral_time_s: 10 });
    let mut speaker = Speaker::new(SpeakerConfig { restarted, ..config(0, 65_000) }, network.now, 7).unwrap();
    for other in [1, 2] {
        let mut config = peer(other, 65_000, &[Family::Ipv4Unicast]);
        graceful(0)(&mut config);
        speaker.set_peer(config, network.now).unwrap();
    }
    speaker.originate(route("10.9.0.0/16", 0));
    network.replace(0, speaker);
    // The third is not there: the others are not told before the deferral is over.
    network.away = vec![2];
    network.run(Duration::from_secs(8));
    let has_it =
        |network: &Network| !network.speakers[1].adj_in(address(0), Family::Ipv4Unicast, 0, 10).0.is_empty();
    let is_settling = |network: &Network| network.speakers[0].status().is_settling;
    assert!(is_settling(&network) && !has_it(&network));
    network.run(Duration::from_secs(4));
    assert!(!is_settling(&network) && has_it(&network));
}

#[test]
fn all_has_been_heard_when_each_neighbour_is_there_and_has_said_that_it_has_no_more() {
    let mut network = Network::mesh(1, 3, graceful(0));
    assert!(!network.speakers[0].has_heard_all(), "nobody is there");
    network.until_established();
    network.run(Duration::from_secs(1));
    assert!(network.speakers[0].has_heard_all());
    network.away = vec![2];
    network.cut(0, 2);
    network.run(Duration::from_secs(1));
    assert!(!network.speakers[0].has_heard_all(), "one is away, its routes are stale");
    network.away.clear();
    network.until_established();
    network.run(Duration::from_secs(1));
    assert!(network.speakers[0].has_heard_all());
}

#[test]
fn those_that_may_come_by_themselves_are_awaited_until_the_time_is_over() {
    let neighbor = |of| {
        let mut neighbor = peer(of, 65_000, &[Family::Ipv4Unicast]);
        graceful(0)(&mut neighbor);
        neighbor
    };
    // Whether it still waits after five seconds, and after the ten that it has.
    let waits = |accept: Vec<AcceptConfig>| {
        let restarted = Some(Restarted { forwarding_kept: true, deferral_time_s: 10 });
        let begun = SpeakerConfig { restarted, accept, ..config(0, 65_000) };
        let mut network = Network::new(1, vec![begun, config(1, 65_000)]);
        for (speaker, other) in [(0, 1), (1, 0)] {
            let now = network.now;
            network.speakers[speaker].set_peer(neighbor(other), now).unwrap();
        }
        [5, 6].map(|seconds| {
            network.run(Duration::from_secs(seconds));
            network.speakers[0].status().is_settling
        })
    };
    assert_eq!(waits(Vec::new()), [false, false], "the one that is known has said all");
    let accept =
        |neighbor| AcceptConfig { prefix: "192.0.2.0/24".parse().unwrap(), neighbors_max: 9, neighbor };
    assert_eq!(waits(vec![accept(neighbor(9))]), [true, false]);
    let forgetful = peer(9, 65_000, &[Family::Ipv4Unicast]);
    assert_eq!(waits(vec![accept(forgetful)]), [false, false], "they have kept nothing");
}
