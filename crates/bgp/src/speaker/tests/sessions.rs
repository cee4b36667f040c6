//! Sessions come up and go down as they should.

use std::time::Duration;

use super::network::{Network, address, config, peer, route, unicast};
use crate::session::FsmState;
use crate::speaker::{AcceptConfig, Action, FamilyConfig, PeerAsn, PeerConfig, Speaker};
use crate::wire::Family;

fn state(network: &Network, speaker: usize) -> FsmState {
    network.speakers[speaker].neighbors(network.now)[0].state
}

fn last_error(network: &Network, speaker: usize) -> String {
    network.speakers[speaker].neighbors(network.now)[0].last_error.clone().unwrap_or_default()
}

#[test]
fn both_sides_connect_at_once_and_one_session_is_left_whatever_the_delays() {
    for seed in weft_soak::seeds(200) {
        let mut network = Network::mesh(seed, 2, |_| {});
        network.until_established();
        network.run(Duration::from_secs(60));
        assert_eq!((state(&network, 0), state(&network, 1)), (FsmState::Established, FsmState::Established));
        let statistics = &network.speakers[0].neighbors(network.now)[0].statistics;
        assert_eq!((statistics.established, statistics.ended), (1, 0), "seed {seed}");
        assert!(statistics.keepalives_received >= 18, "{statistics:?}");
    }
}

#[test]
fn a_neighbour_that_falls_silent_is_given_up_after_the_hold_time() {
    let mut network = Network::mesh(1, 2, |_| {});
    network.until_established();
    network.stalled = vec![0, 1];
    network.run(Duration::from_secs(8));
    assert_eq!(state(&network, 0), FsmState::Established);
    network.run(Duration::from_millis(3500));
    assert_ne!(state(&network, 0), FsmState::Established);
    assert!(last_error(&network, 0).contains("4/0 hold timer expired"), "{}", last_error(&network, 0));
    network.stalled.clear();
    network.until_established();
}

#[test]
fn a_wrong_as_is_refused_and_the_pause_between_attempts_grows() {
    let mut network = Network::new(1, vec![config(0, 65_000), config(1, 65_001)]);
    let now = network.now;
    network.speakers[0].set_peer(peer(1, 65_009, &[Family::Ipv4Unicast]), now).unwrap();
    network.speakers[1].set_peer(peer(0, 65_000, &[Family::Ipv4Unicast]), now).unwrap();
    network.run(Duration::from_secs(10));
    assert!(last_error(&network, 0).contains("2/2 bad peer AS"), "{}", last_error(&network, 0));
    network.run(Duration::from_secs(300));
    assert_eq!(network.speakers[0].neighbors(network.now)[0].statistics.established, 0);
}

#[test]
fn an_administrator_shuts_down_and_the_other_reads_why() {
    let mut network = Network::mesh(1, 2, |_| {});
    network.until_established();
    let now = network.now;
    assert!(network.speakers[0].shut_down(address(1), "new power supply", now));
    network.run(Duration::from_secs(1));
    assert_eq!(state(&network, 0), FsmState::Idle);
    assert!(last_error(&network, 1).contains("new power supply"), "{}", last_error(&network, 1));
    network.run(Duration::from_secs(60));
    assert_eq!(state(&network, 0), FsmState::Idle);
    let now = network.now;
    assert!(network.speakers[0].start(address(1), now));
    network.until_established();
}

#[test]
fn what_becomes_of_a_call_to_a_neighbour_that_has_gone_is_nothing_to_the_one_that_has_its_number() {
    let mut network = Network::new(1, vec![config(0, 65_000)]);
    let now = network.now;
    let speaker = &mut network.speakers[0];
    let call = |speaker: &mut Speaker, to| {
        speaker.set_peer(peer(to, 65_000, &[Family::Ipv4Unicast]), now).unwrap();
        let Some(Action::Connect { connection, .. }) = speaker.poll_action() else { panic!("it connects") };
        connection
    };
    let of_gone = call(speaker, 1);
    assert!(speaker.remove_peer(address(1), now));
    assert_eq!(speaker.poll_action(), Some(Action::Close(of_gone)), "it is called no longer");
    while speaker.work() {}
    let of_present = call(speaker, 2);
    assert_eq!(of_present.peer, of_gone.peer, "the number is given again");
    // The call gets through late, or in vain, before the present one does and after.
    for state in [FsmState::Connect, FsmState::OpenSent] {
        assert_eq!(speaker.neighbors(now)[0].state, state);
        speaker.connected(of_gone, address(0), now);
        assert_eq!(speaker.poll_action(), Some(Action::Close(of_gone)));
        speaker.closed(of_gone, "timed out", now);
        assert_eq!(speaker.neighbors(now)[0].state, state);
        speaker.connected(of_present, address(0), now);
    }
}

#[test]
fn one_route_more_than_allowed_ends_the_session_and_takes_the_routes_with_it() {
    let mut network = Network::mesh(1, 2, |config| config.prefix_limit_idle_hold_s = Some(30));
    let limited = PeerConfig {
        families: vec![FamilyConfig { prefix_limit: Some(4), ..FamilyConfig::new(Family::Ipv4Unicast) }],
        ..peer(1, 65_000, &[])
    };
    let now = network.now;
    network.speakers[0].set_peer(PeerConfig { prefix_limit_idle_hold_s: Some(30), ..limited }, now).unwrap();
    for number in 0..4 {
        network.speakers[1].originate(route(&format!("10.{number}.0.0/16"), 1));
    }
    network.until_established();
    network.run(Duration::from_secs(1));
    let family = &network.speakers[0].neighbors(network.now)[0].families[0];
    assert_eq!((family.received, family.is_near_limit), (4, true));
    network.speakers[1].originate(route("10.4.0.0/16", 1));
    network.run(Duration::from_secs(1));
    assert_eq!(state(&network, 0), FsmState::Idle);
    assert!(
        last_error(&network, 1).contains("6/1 maximum number of prefixes"),
        "{}",
        last_error(&network, 1)
    );
    assert_eq!(network.speakers[0].routes(Family::Ipv4Unicast, 0, 10).0, []);
    // With fewer routes it may come back, after its rest.
    assert!(network.speakers[1].withdraw(&unicast("10.4.0.0/16")));
    network.run(Duration::from_secs(20));
    assert_eq!(state(&network, 0), FsmState::Idle);
    network.until_established();
}

#[test]
fn a_limit_that_is_raised_starts_the_session_at_once_and_a_shutdown_stays() {
    let mut network = Network::mesh(1, 2, |_| {});
    let limited = |prefix_limit| PeerConfig {
        families: vec![FamilyConfig {
            prefix_limit: Some(prefix_limit),
            ..FamilyConfig::new(Family::Ipv4Unicast)
        }],
        prefix_limit_idle_hold_s: Some(3600),
        ..peer(1, 65_000, &[])
    };
    let set = |network: &mut Network, prefix_limit| {
        let now = network.now;
        network.speakers[0].set_peer(limited(prefix_limit), now).unwrap();
        network.run(Duration::from_secs(20));
        state(network, 0)
    };
    set(&mut network, 1);
    for number in 0..4 {
        network.speakers[1].originate(route(&format!("10.{number}.0.0/16"), 1));
    }
    network.run(Duration::from_secs(20));
    assert_eq!(state(&network, 0), FsmState::Idle);
    assert_eq!(set(&mut network, 1), FsmState::Idle, "the same");
    assert_eq!(set(&mut network, 2), FsmState::Idle, "still too few: it has ended again");
    assert_eq!(set(&mut network, 4), FsmState::Established);
    let now = network.now;
    assert!(network.speakers[0].shut_down(address(1), "", now));
    assert_eq!(set(&mut network, 8), FsmState::Idle, "it was not the limit that ended it");
}

#[test]
fn neighbours_of_a_prefix_may_come_until_there_are_enough_and_go_without_a_trace() {
    let mut template = peer(0, 65_000, &[Family::Ipv4Unicast]);
    template.asn = PeerAsn::Any;
    let accept =
        AcceptConfig { prefix: "192.0.2.0/28".parse().unwrap(), neighbors_max: 2, neighbor: template };
    let mut hub = config(0, 65_000);
    hub.accept = vec![accept];
    let mut network = Network::new(1, vec![hub, config(1, 65_000), config(2, 65_000), config(3, 65_000)]);
    let now = network.now;
    for speaker in 1..4 {
        network.speakers[speaker].set_peer(peer(0, 65_000, &[Family::Ipv4Unicast]), now).unwrap();
    }
    network.run(Duration::from_secs(30));
    let established = (1..4).filter(|speaker| state(&network, *speaker) == FsmState::Established);
    let established: Vec<usize> = established.collect();
    assert_eq!(established.len(), 2);
    network.speakers[established[0]].originate(route("10.0.0.0/8", 1));
    network.run(Duration::from_secs(1));
    assert_eq!(network.speakers[0].routes(Family::Ipv4Unicast, 0, 10).0.len(), 1);
    let now = network.now;
    assert!(network.speakers[established[0]].shut_down(address(0), "", now));
    // The third now has room.
    network.run(Duration::from_secs(90));
    assert_eq!((1..4).filter(|speaker| state(&network, *speaker) == FsmState::Established).count(), 2);
    assert_eq!(network.speakers[0].neighbors(network.now).len(), 2);
    assert_eq!(network.speakers[0].routes(Family::Ipv4Unicast, 0, 10).0, []);
}

fn accept(prefix: &str, neighbors_max: u16, families: Vec<FamilyConfig>) -> AcceptConfig {
    let neighbor = PeerConfig { families, prefix_limit_idle_hold_s: Some(30), ..peer(0, 65_000, &[]) };
    AcceptConfig { prefix: prefix.parse().unwrap(), neighbors_max, neighbor }
}

/// A hub that three others come to.
fn hub(ranges: Vec<AcceptConfig>) -> Network {
    let mut hub = config(0, 65_000);
    hub.accept = ranges;
    let mut network = Network::new(1, vec![hub, config(1, 65_000), config(2, 65_000), config(3, 65_000)]);
    let now = network.now;
    for speaker in 1..4 {
        network.speakers[speaker].set_peer(peer(0, 65_000, &[Family::Ipv4Unicast]), now).unwrap();
    }
    network
}

fn established(network: &Network) -> Vec<bool> {
    (1..4).map(|speaker| state(network, speaker) == FsmState::Established).collect()
}

#[test]
fn of_two_prefixes_the_narrower_counts_and_each_has_room_of_its_own() {
    let families = || vec![FamilyConfig::new(Family::Ipv4Unicast)];
    // The addresses end in 2, 3 and 4.
    let mut network = hub(vec![accept("192.0.2.0/24", 2, families()), accept("192.0.2.4/32", 1, families())]);
    network.run(Duration::from_secs(30));
    assert_eq!(established(&network), [true; 3]);
    let mut network = hub(vec![accept("192.0.2.0/24", 1, families()), accept("192.0.2.4/31", 1, families())]);
    network.run(Duration::from_secs(30));
    assert!(established(&network)[2], "it has a range of its own");
    assert_eq!(established(&network).iter().filter(|is| **is).count(), 2);
}

#[test]
fn prefixes_that_change_change_those_who_have_come_from_there() {
    let family = |prefix_limit| FamilyConfig { prefix_limit, ..FamilyConfig::new(Family::Ipv4Unicast) };
    let mut network = hub(vec![accept("192.0.2.0/24", 9, vec![family(None)])]);
    network.run(Duration::from_secs(30));
    assert_eq!(established(&network), [true; 3]);
    let statistics = |network: &Network| {
        let neighbors = network.speakers[1].neighbors(network.now);
        (neighbors[0].statistics.established, neighbors[0].statistics.ended)
    };
    let set = |network: &mut Network, ranges| {
        let now = network.now;
        network.speakers[0].set_accept(ranges, now).unwrap();
        network.run(Duration::from_secs(15));
    };
    // A limit needs no other session.
    set(&mut network, vec![accept("192.0.2.0/24", 9, vec![family(Some(5))])]);
    assert_eq!((established(&network), statistics(&network)), (vec![true; 3], (1, 0)));
    assert_eq!(network.speakers[0].neighbors(network.now)[0].families[0].prefix_limit, Some(5));
    // Several paths do; whoever came comes again.
    let several = FamilyConfig { add_path_receive: true, ..family(Some(5)) };
    set(&mut network, vec![accept("192.0.2.0/24", 9, vec![several.clone()])]);
    assert_eq!((established(&network), statistics(&network)), (vec![true; 3], (2, 1)));
    // Who comes from nowhere that is known goes.
    set(&mut network, vec![accept("192.0.2.4/32", 9, vec![several])]);
    assert_eq!(established(&network), [false, false, true]);
    assert!(last_error(&network, 1).contains("6/3"), "{}", last_error(&network, 1));
    assert_eq!(network.speakers[0].neighbors(network.now).len(), 1);
    let bad = PeerConfig { hold_time_s: 1, ..peer(0, 65_000, &[Family::Ipv4Unicast]) };
    let bad = AcceptConfig { prefix: "0.0.0.0/0".parse().unwrap(), neighbors_max: 1, neighbor: bad };
    let now = network.now;
    assert_eq!(network.speakers[0].set_accept(vec![bad], now).unwrap_err().field, "hold_time_s");
    assert_eq!(established(&network), [false, false, true], "what is refused changes nothing");
}

#[test]
fn who_has_come_by_itself_and_has_more_routes_than_it_may_rests_like_others() {
    let family = FamilyConfig { prefix_limit: Some(1), ..FamilyConfig::new(Family::Ipv4Unicast) };
    let mut network = hub(vec![accept("192.0.2.0/24", 9, vec![family])]);
    network.run(Duration::from_secs(10));
    for prefix in ["10.0.0.0/16", "10.1.0.0/16"] {
        network.speakers[1].originate(route(prefix, 1));
    }
    network.run(Duration::from_secs(20));
    assert_eq!(established(&network), [false, true, true]);
    let ended = network.speakers[1].neighbors(network.now)[0].statistics.ended;
    assert_eq!(ended, 1, "it is not let in to end again");
    network.speakers[1].withdraw(&unicast("10.1.0.0/16"));
    network.run(Duration::from_secs(90));
    assert_eq!(established(&network), [true; 3]);
}
