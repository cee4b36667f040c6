//! What a distribution does with the facts of an earlier life.

use weft_protocol::wire;
use weft_services::{Fact, Facts, Id, LearnedEncapsulation, LearnedRoute, Model};

use super::distribution::from_wire;
use super::{Advance, Distribution};

/// A life that began at this time.
fn life(turns_from: u64) -> Distribution {
    Distribution::new(Model::default(), from_wire(wire::Version::default()), 7, turns_from)
}

/// A route from a VRF that there is not.
fn fact() -> Fact {
    let encapsulation = LearnedEncapsulation::Mpls { label: 1000.try_into().unwrap() };
    let route = LearnedRoute { next_hop: [198, 51, 100, 200].into(), encapsulation, local_pref: 100 };
    let destination = "203.0.113.0/24".parse().unwrap();
    Fact::Routes { vrf: Id::from_random([1; 16]), destination, routes: vec![route] }
}

/// The mark of what an agent has that comes in a life.
fn have(distribution: &mut Distribution) -> wire::Version {
    let (_, updates) = distribution.connect(&"host1".parse().unwrap(), wire::Version::default(), None);
    updates[0].version.unwrap()
}

#[test]
fn what_agents_have_of_the_turn_that_was_written_can_be_built_upon() {
    let mut first = life(1000);
    first.learn(vec![fact()]);
    let have = have(&mut first);
    let turn = first.model().1.turn;
    let mut second = life(2000);
    assert!(!second.is_of_ours(&have), "facts that nobody knows");
    second.recall(turn, Facts::default());
    assert!(second.is_of_ours(&have));
    assert!(second.next_turn() >= 2000, "no turn of the earlier life is used again");
}

#[test]
fn facts_about_what_has_gone_meanwhile_are_not_taken_and_make_it_another_turn() {
    let mut first = life(1000);
    first.learn(vec![fact()]);
    let have = have(&mut first);
    let mut second = life(500);
    let facts = first.model().0.facts().clone();
    assert_ne!(facts, Facts::default());
    second.recall(first.model().1.turn, facts);
    assert_eq!(*second.model().0.facts(), Facts::default());
    assert!(!second.is_of_ours(&have));
    assert!(second.next_turn() > first.model().1.turn + 1, "even where the clock has gone back");
}

#[test]
fn facts_about_what_has_gone_are_not_kept_when_it_begins_anew() {
    let mut distribution = life(0);
    distribution.learn(vec![fact()]);
    let have = have(&mut distribution);
    assert!(distribution.is_of_ours(&have));
    let anew = |distribution: &mut Distribution| {
        let (turn, version) = (distribution.next_turn(), distribution.version());
        let anew = Advance::prepare_anew(distribution.model(), Model::default(), version, turn);
        distribution.reset(anew);
        distribution.model().1.turn
    };
    assert_eq!(anew(&mut distribution), 2);
    assert_eq!(*distribution.model().0.facts(), Facts::default());
    assert!(!distribution.is_of_ours(&have), "it has routes that are known no more");
    assert_eq!(anew(&mut distribution), 2, "with the same facts it is the same turn");
}
