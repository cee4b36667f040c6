//! Routes of an earlier life of the controller, until speakers have learned anew. Pure.
//!
//! ```text
//!  checkpoint ──> stale ── told again ──> news, if it is another route than it was
//!                       └─ the last speaker has heard all: gone
//! ```
//!
//! Hosts go on with these routes meanwhile: RFC 4724 §4.1 asks that of whoever restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::IpNet;
use weft_services::{Fact, Facts, Id, LearnedRoute};

/// Routes that are stale, and the speakers that have not yet heard all.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    routes: BTreeMap<(Id, IpNet), Arc<[LearnedRoute]>>,
    speakers: BTreeSet<Id>,
}

impl Awaited {
    /// All routes that are known are stale, until these speakers have heard all.
    pub(super) fn new(facts: &Facts, speakers: BTreeSet<Id>) -> Self {
        let routes = facts.all_routes().map(|(key, routes)| (*key, routes.clone()));
        Self { routes: routes.collect(), speakers }
    }

    /// What is learned of a destination by now; answers whether that is news. That nothing is known yet is none while it is stale.
    pub(super) fn is_news(&mut self, of: (Id, IpNet), routes: &[LearnedRoute]) -> bool {
        match self.routes.get(&of) {
            Some(_) if routes.is_empty() => false,
            Some(stale) => {
                let is_news = **stale != *routes;
                self.routes.remove(&of);
                is_news
            }
            None => true,
        }
    }

    /// A speaker has heard all, or is gone. If it was the last that was awaited: what nobody has told again is gone.
    pub(super) fn heard_all(&mut self, speaker: Id) -> Vec<Fact> {
        self.speakers.remove(&speaker);
        self.over()
    }

    /// If nobody is awaited: what nobody has told again is gone.
    pub(super) fn over(&mut self) -> Vec<Fact> {
        if !self.speakers.is_empty() {
            return Vec::new();
        }
        let gone = std::mem::take(&mut self.routes).into_keys();
        gone.map(|(vrf, destination)| Fact::Routes { vrf, destination, routes: Vec::new() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use weft_services::LearnedEncapsulation;

    use super::*;

    fn id(nth: u8) -> Id {
        Id::from_random([nth; 16])
    }

    fn key(nth: u8) -> (Id, IpNet) {
        (id(1), format!("203.0.{nth}.0/24").parse().unwrap())
    }

    fn routes(last: u8) -> Vec<LearnedRoute> {
        let encapsulation = LearnedEncapsulation::Mpls { label: 1000.try_into().unwrap() };
        vec![LearnedRoute { next_hop: [198, 51, 100, last].into(), encapsulation, local_pref: 100 }]
    }

    fn fact(nth: u8, routes: Vec<LearnedRoute>) -> Fact {
        Fact::Routes { vrf: key(nth).0, destination: key(nth).1, routes }
    }

    fn awaited(speakers: &[Id]) -> Awaited {
        let mut facts = Facts::default();
        facts.learn(&[fact(1, routes(1)), fact(2, routes(2)), fact(3, routes(3))]);
        Awaited::new(&facts, speakers.iter().copied().collect())
    }

    #[test]
    fn what_is_told_again_is_no_news_and_what_nobody_tells_again_is_gone_when_the_last_has_heard_all() {
        let (one, other) = (id(8), id(9));
        let mut awaited = awaited(&[one, other]);
        assert!(!awaited.is_news(key(1), &routes(1)), "the same");
        assert!(awaited.is_news(key(2), &routes(20)), "by another way");
        assert!(awaited.is_news(key(4), &routes(4)), "new");
        assert!(!awaited.is_news(key(3), &[]), "it may still come");
        assert!(awaited.is_news(key(1), &[]), "told again, and then withdrawn");
        assert_eq!(awaited.heard_all(one), [], "the other may know more");
        assert_eq!(awaited.heard_all(one), [], "it has said that already");
        assert_eq!(awaited.heard_all(other), [fact(3, Vec::new())]);
        assert_eq!(awaited.heard_all(other), [], "once");
        assert!(awaited.is_news(key(3), &routes(3)));
    }

    #[test]
    fn without_speakers_all_is_gone_at_once() {
        let gone = [fact(1, Vec::new()), fact(2, Vec::new()), fact(3, Vec::new())];
        assert_eq!(awaited(&[]).over(), gone);
    }
}
