//! What was learned in an earlier life of the controller, until speakers have learned anew. Pure.
//!
//! ```text
//!  checkpoint ──> stale ── told again ──> news, if it is something else than it was
//!                       └─ the last speaker has heard all: gone
//! ```
//!
//! Hosts go on with it meanwhile: RFC 4724 §4.1 asks that of whoever restarts.

use std::collections::{BTreeMap, BTreeSet};

use weft_services::{About, Fact, Facts, Id};

/// Facts that are stale, and the speakers that have not yet heard all.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    stale: BTreeMap<About, Fact>,
    speakers: BTreeSet<Id>,
}

impl Awaited {
    /// All that is known and that speakers learn is stale, until these have heard all.
    pub(super) fn new(facts: &Facts, speakers: BTreeSet<Id>) -> Self {
        let stale = facts.iter().filter_map(|fact| Some((About::of(&fact)?, fact)));
        Self { stale: stale.collect(), speakers }
    }

    /// What is learned by now; answers whether that is news. That nothing is known yet is none while something stale is.
    pub(super) fn is_news(&mut self, fact: &Fact) -> bool {
        let Some(about) = About::of(fact) else { return true };
        match self.stale.get(&about) {
            Some(_) if *fact == about.nothing() => false,
            Some(stale) => {
                let is_news = stale != fact;
                self.stale.remove(&about);
                is_news
            }
            None => true,
        }
    }

    /// Whether what is known of this is stale: nobody has told it again yet.
    pub(super) fn is_stale(&self, about: About) -> bool {
        self.stale.contains_key(&about)
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
        std::mem::take(&mut self.stale).into_keys().map(About::nothing).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use ipnet::IpNet;
    use weft_net::Mac;
    use weft_services::{LearnedEncapsulation, LearnedMac, LearnedRoute};

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
        assert!(!awaited.is_news(&fact(1, routes(1))), "the same");
        assert!(awaited.is_news(&fact(2, routes(20))), "by another way");
        assert!(awaited.is_news(&fact(4, routes(4))), "new");
        assert!(!awaited.is_news(&fact(3, Vec::new())), "it may still come");
        assert!(awaited.is_news(&fact(1, Vec::new())), "told again, and then withdrawn");
        assert_eq!(awaited.heard_all(one), [], "the other may know more");
        assert_eq!(awaited.heard_all(one), [], "it has said that already");
        assert_eq!(awaited.heard_all(other), [fact(3, Vec::new())]);
        assert_eq!(awaited.heard_all(other), [], "once");
        assert!(awaited.is_news(&fact(3, routes(3))));
    }

    #[test]
    fn mac_addresses_and_endpoints_are_awaited_as_routes_are() {
        let (network, speaker) = (id(1), id(8));
        let endpoint = IpAddr::from([198, 51, 100, 9]);
        let vni = 5000.try_into().unwrap();
        let at = LearnedMac { endpoint, vni, sequence: 0, is_sticky: false };
        let mac = |at| Fact::Mac { network, mac: Mac::new([2, 0, 0, 0, 0, 1]), address: None, at };
        let flood = |vni| Fact::Endpoint { network, endpoint, vni };
        let mut facts = Facts::default();
        facts.learn(&[mac(Some(at)), flood(Some(vni))]);
        let mut awaited = Awaited::new(&facts, [speaker].into());
        assert!(!awaited.is_news(&flood(Some(vni))), "the same");
        assert!(!awaited.is_news(&mac(None)), "it may still come");
        assert_eq!(awaited.heard_all(speaker), [mac(None)]);
    }

    #[test]
    fn without_speakers_all_is_gone_at_once() {
        let gone = [fact(1, Vec::new()), fact(2, Vec::new()), fact(3, Vec::new())];
        assert_eq!(awaited(&[]).over(), gone);
    }
}
