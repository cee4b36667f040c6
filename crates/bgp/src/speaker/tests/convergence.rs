//! Whatever happens on the way, what there is in the end follows from what is originated in the end.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;

use super::network::{Network, address, config, peer, route, unicast};
use crate::speaker::{PeerConfig, RouteStatus, Speaker};
use crate::wire::Family;

const SPEAKERS: usize = 3;
const PREFIXES: usize = 12;

#[derive(Clone, Debug)]
enum Step {
    Originate { speaker: usize, prefix: usize, local_pref: u32 },
    Withdraw { speaker: usize, prefix: usize },
    Cut { one: usize, other: usize },
    Wait { milliseconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..SPEAKERS, 0..PREFIXES, 98u32..102).prop_map(|(speaker, prefix, local_pref)| Step::Originate { speaker, prefix, local_pref }),
        3 => (0..SPEAKERS, 0..PREFIXES).prop_map(|(speaker, prefix)| Step::Withdraw { speaker, prefix }),
        1 => (0..SPEAKERS, 1..SPEAKERS).prop_map(|(one, step)| Step::Cut { one, other: (one + step) % SPEAKERS }),
        4 => (1u64..200).prop_map(|milliseconds| Step::Wait { milliseconds }),
    ]
}

fn prefix(number: usize) -> String {
    format!("10.{number}.0.0/16")
}

type Originated = BTreeMap<(usize, usize), u32>;

fn apply(network: &mut Network, originated: &mut Originated, step: &Step) {
    match *step {
        Step::Originate { speaker, prefix: number, local_pref } => {
            originated.insert((speaker, number), local_pref);
            let mut route = route(&prefix(number), speaker);
            route.attributes.local_pref = Some(local_pref);
            network.speakers[speaker].originate(route);
        }
        Step::Withdraw { speaker, prefix: number } => {
            let was_there = originated.remove(&(speaker, number)).is_some();
            assert_eq!(network.speakers[speaker].withdraw(&unicast(&prefix(number))), was_there);
        }
        Step::Cut { one, other } => network.cut(one, other),
        Step::Wait { milliseconds } => network.run(Duration::from_millis(milliseconds)),
    }
}

/// All that a speaker has and why, in an order of its own.
fn view(speaker: &Speaker) -> Vec<(RouteStatus, String)> {
    let explain = |mut route: RouteStatus| {
        let explanation = speaker.explain(&route.destination).unwrap();
        assert_eq!(explanation.best, route.paths[0], "the best path is the first");
        route.paths.sort_by_key(|path| path.neighbor);
        (route, format!("{:?}", explanation.best))
    };
    let mut view: Vec<(RouteStatus, String)> =
        speaker.routes(Family::Ipv4Unicast, 0, usize::MAX).0.into_iter().map(explain).collect();
    view.sort_by(|(one, _), (other, _)| one.destination.cmp(&other.destination));
    view
}

/// Of what each has been told, nothing is missing and nothing too much: the other has exactly that.
fn assert_told(network: &Network) {
    for one in 0..SPEAKERS {
        for other in (0..SPEAKERS).filter(|other| *other != one) {
            let names = |(routes, _): (Vec<RouteStatus>, _)| -> Vec<String> {
                let mut names: Vec<String> =
                    routes.into_iter().map(|route: RouteStatus| route.destination.to_string()).collect();
                names.sort();
                names
            };
            let told =
                names(network.speakers[one].adj_out(address(other), Family::Ipv4Unicast, 0, usize::MAX));
            let has = names(network.speakers[other].adj_in(address(one), Family::Ipv4Unicast, 0, usize::MAX));
            assert_eq!(told, has, "{one} to {other}");
        }
    }
}

/// Whether after these steps the speakers have what they would have, had they only ever known the end of them.
fn converges(steps: &[Step], seed: u64) -> Result<(), TestCaseError> {
    let mut network = Network::mesh(seed, SPEAKERS, |_| {});
    let mut originated = Originated::new();
    steps.iter().for_each(|step| apply(&mut network, &mut originated, step));
    network.until_established();
    network.run(Duration::from_secs(2));

    let mut scratch = Network::mesh(seed.wrapping_add(1), SPEAKERS, |_| {});
    for (&(speaker, prefix), &local_pref) in &originated {
        apply(&mut scratch, &mut Originated::new(), &Step::Originate { speaker, prefix, local_pref });
    }
    scratch.until_established();
    scratch.run(Duration::from_secs(2));
    for speaker in 0..SPEAKERS {
        let (seen, expected) = (view(&network.speakers[speaker]), view(&scratch.speakers[speaker]));
        for (one, other) in seen.iter().zip(&expected) {
            prop_assert_eq!(one, other, "speaker {}", speaker);
        }
        prop_assert_eq!(seen.len(), expected.len(), "speaker {}", speaker);
        // Nothing is kept that nobody has.
        let status = network.speakers[speaker].status();
        prop_assert_eq!(status.destinations[0].1, seen.len(), "speaker {}", speaker);
    }
    assert_told(&network);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(48), ..ProptestConfig::default() })]

    #[test]
    fn tables_are_those_of_a_network_that_has_only_ever_known_the_end(
        steps in prop::collection::vec(step(), 1..80),
        seed: u64,
    ) {
        converges(&steps, seed)?;
    }
}

/// After a third loss speakers do not connect for seconds; and the news of it is still on its way when the steps are over.
#[test]
fn a_session_that_was_lost_at_the_very_end_comes_back_with_its_routes() {
    let cut = Step::Cut { one: 0, other: 2 };
    let steps = [
        Step::Originate { speaker: 0, prefix: 0, local_pref: 98 },
        Step::Originate { speaker: 2, prefix: 1, local_pref: 98 },
        Step::Wait { milliseconds: 1000 },
        cut.clone(),
        Step::Wait { milliseconds: 2000 },
        cut.clone(),
        Step::Wait { milliseconds: 3000 },
        cut,
    ];
    for seed in weft_soak::seeds(4) {
        converges(&steps, seed).unwrap();
    }
}

/// A reflector and two clients of it (RFC 4456), all of one AS; and one of another AS behind the second client.
#[test]
fn a_reflector_passes_routes_between_its_clients_and_they_leave_the_as_changed() {
    let mut network =
        Network::new(1, vec![config(0, 65_000), config(1, 65_000), config(2, 65_000), config(3, 65_001)]);
    let now = network.now;
    let families = [Family::Ipv4Unicast];
    for client in [1, 2] {
        let config = PeerConfig { is_route_reflector_client: true, ..peer(client, 65_000, &families) };
        network.speakers[0].set_peer(config, now).unwrap();
        network.speakers[client].set_peer(peer(0, 65_000, &families), now).unwrap();
    }
    network.speakers[2].set_peer(peer(3, 65_001, &families), now).unwrap();
    network.speakers[3].set_peer(peer(2, 65_000, &families), now).unwrap();
    network.speakers[1].originate(route("10.1.0.0/16", 1));
    network.speakers[3].originate(route("10.3.0.0/16", 3));
    network.until_established();
    network.run(Duration::from_secs(2));
    let path =
        |speaker: usize, prefix: &str| network.speakers[speaker].explain(&unicast(prefix)).unwrap().best;
    let reflected = path(2, "10.1.0.0/16");
    assert_eq!(reflected.originator_id.map(IpAddr::from), Some(address(1)));
    assert_eq!(reflected.cluster_list.iter().map(|id| IpAddr::from(*id)).collect::<Vec<_>>(), [address(0)]);
    assert_eq!((reflected.next_hop.to_string(), reflected.local_pref), (address(1).to_string(), Some(100)));
    let outside = path(3, "10.1.0.0/16");
    assert_eq!((outside.next_hop.to_string(), outside.as_path.as_str()), (address(2).to_string(), "65000"));
    assert_eq!((outside.local_pref, outside.originator_id, outside.cluster_list.len()), (None, None, 0));
    let inside = path(1, "10.3.0.0/16");
    assert_eq!((inside.next_hop.to_string(), inside.as_path.as_str()), (address(3).to_string(), "65001"));
    // Who brought a route does not get it back.
    assert_eq!(
        network.speakers[1].routes(Family::Ipv4Unicast, 0, 10).0.iter().map(|route| route.paths.len()).max(),
        Some(1)
    );
}
