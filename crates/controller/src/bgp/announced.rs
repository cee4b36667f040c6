//! What is announced because of each fragment, and what speakers are to be told when that changes. Pure.
//!
//! A speaker originates one route to a destination. Should several fragments announce one, the first of them has it, and when that does
//! so no longer the next.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::BuildHasher;

use weft_bgp::speaker::Route;
use weft_bgp::wire::Destination;
use weft_services::Announcement;
use weft_services::compile::FragmentKey;

use super::routes;

/// What is announced because of each fragment.
#[derive(Default)]
pub(super) struct Announced {
    of: HashMap<FragmentKey, Vec<Announcement>>,
    /// How many fragments announce a destination, by its hash: there are many, and hardly ever are there two to one.
    counts: HashMap<u64, u32>,
    hasher: RandomState,
    /// Which fragments announce a destination that several have announced.
    shared: BTreeMap<Destination, BTreeSet<FragmentKey>>,
}

/// What speakers are to be told.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) originated: Vec<Route>,
    pub(super) withdrawn: Vec<Destination>,
}

impl Told {
    pub(super) const fn is_nothing(&self) -> bool {
        self.originated.is_empty() && self.withdrawn.is_empty()
    }
}

impl Announced {
    /// What is announced because of a fragment.
    pub(super) fn of(&self, key: &FragmentKey) -> &[Announcement] {
        self.of.get(key).map_or(&[], Vec::as_slice)
    }

    /// The fragments because of which something is announced.
    pub(super) fn fragments(&self) -> impl Iterator<Item = &FragmentKey> {
        self.of.keys()
    }

    /// The routes that speakers originate because of a fragment.
    pub(super) fn routes_of(&self, key: &FragmentKey) -> Vec<Route> {
        let mut routes: Vec<Route> = self.of(key).iter().flat_map(routes::routes).collect();
        routes.retain(|route| self.first(&route.destination).is_none_or(|first| first == key));
        routes
    }

    /// The routes that speakers originate.
    pub(super) fn routes(&self) -> impl Iterator<Item = Route> {
        self.of.keys().flat_map(|key| self.routes_of(key))
    }

    /// The route that speakers originate to a destination, because of a fragment that announces it.
    pub(super) fn route_of(&self, key: &FragmentKey, destination: &Destination) -> Option<Route> {
        self.routes_of(key).into_iter().find(|route| route.destination == *destination)
    }

    /// Whether some fragment announces a destination.
    pub(super) fn announces(&self, destination: &Destination) -> bool {
        self.counts.contains_key(&self.hasher.hash_one(destination))
    }

    /// From now on this is announced because of fragments.
    pub(super) fn set(&mut self, all: Vec<(FragmentKey, Vec<Announcement>)>) -> Told {
        let mut changed: BTreeMap<Destination, Option<Route>> = BTreeMap::new();
        let mut claimed: Vec<(FragmentKey, Destination)> = Vec::new();
        for (key, after) in all {
            let had = by_destination(self.of(&key));
            let has = by_destination(&after);
            for gone in had.keys().filter(|destination| !has.contains_key(*destination)) {
                self.let_go(&key, gone);
                changed.entry(gone.clone()).or_default();
            }
            let new = has.keys().filter(|destination| !had.contains_key(*destination));
            claimed.extend(new.map(|destination| (key.clone(), destination.clone())));
            let differ = has.into_iter().filter(|(destination, route)| had.get(destination) != Some(route));
            changed.extend(differ.map(|(destination, route)| (destination, Some(route))));
            if after.is_empty() {
                self.of.remove(&key);
            } else {
                self.of.insert(key, after);
            }
        }
        // Last, so that what goes from one fragment to another is not taken for shared.
        claimed.into_iter().for_each(|(key, destination)| self.claim(key, destination));
        let mut told = Told::default();
        for (destination, route) in changed {
            match self.first(&destination).map_or(route, |first| self.route(first, &destination)) {
                Some(route) => told.originated.push(route),
                None => told.withdrawn.push(destination),
            }
        }
        told
    }

    /// Which fragment has a destination that several announce.
    fn first(&self, destination: &Destination) -> Option<&FragmentKey> {
        self.shared.get(destination)?.first()
    }

    fn route(&self, key: &FragmentKey, destination: &Destination) -> Option<Route> {
        by_destination(self.of(key)).remove(destination)
    }

    fn claim(&mut self, key: FragmentKey, destination: Destination) {
        let count = self.counts.entry(self.hasher.hash_one(&destination)).or_default();
        *count += 1;
        if let Some(keys) = self.shared.get_mut(&destination) {
            keys.insert(key);
        } else if *count > 1 {
            let has_it = |key: &&FragmentKey| self.route(key, &destination).is_some();
            let keys: BTreeSet<FragmentKey> = self.of.keys().filter(has_it).cloned().collect();
            tracing::warn!(%destination, fragments = keys.len(), "several announce one destination: the first has it");
            self.shared.insert(destination, keys);
        }
    }

    fn let_go(&mut self, key: &FragmentKey, destination: &Destination) {
        let hash = self.hasher.hash_one(destination);
        if let Some(count) = self.counts.get_mut(&hash) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&hash);
            }
        }
        if let Some(keys) = self.shared.get_mut(destination) {
            keys.remove(key);
            if keys.is_empty() {
                self.shared.remove(destination);
            }
        }
    }
}

fn by_destination(announcements: &[Announcement]) -> HashMap<Destination, Route> {
    announcements.iter().flat_map(routes::routes).map(|route| (route.destination.clone(), route)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use weft_services::compile::Subject;
    use weft_services::{Id, RowKind, vrf};

    use super::*;

    fn key(vrf: u8) -> FragmentKey {
        let prefix = Subject::Prefix("10.1.0.5/32".parse().unwrap());
        FragmentKey::new(RowKind::Vrf, Id::from_random([vrf; 16]), prefix)
    }

    /// A way to one prefix by a host.
    pub(in crate::bgp) fn by(distinguisher: &str, host: u8) -> Announcement {
        Announcement::Routed(vrf::Announcement {
            route_distinguisher: distinguisher.parse().unwrap(),
            destination: "10.1.0.5/32".parse().unwrap(),
            targets: ["64512:1".parse().unwrap()].into(),
            host: format!("host{host}").parse().unwrap(),
            next_hop: [192, 0, 2, host].into(),
            vni: 5000.try_into().unwrap(),
            router_mac: weft_net::Mac::new([2, 0, 0, 0, 0, host]),
            label: None,
            local_pref: 100,
        })
    }

    /// What a neighbour ends up with: the next hop of each destination.
    fn hear(heard: &mut BTreeMap<String, String>, told: Told) {
        for destination in told.withdrawn {
            heard.remove(&destination.to_string()).expect("what is withdrawn was there");
        }
        for route in told.originated {
            heard.insert(route.destination.to_string(), route.attributes.next_hop.address().to_string());
        }
    }

    fn next_hops(heard: &BTreeMap<String, String>) -> Vec<&str> {
        heard.values().map(String::as_str).collect()
    }

    #[test]
    fn whoever_loses_a_destination_that_another_announces_too_leaves_it_to_that() {
        let (mut announced, mut heard) = (Announced::default(), BTreeMap::new());
        let (one, other) = (key(1), key(2));
        hear(&mut heard, announced.set(vec![(other.clone(), vec![by("64512:77", 2)])]));
        hear(&mut heard, announced.set(vec![(one.clone(), vec![by("64512:77", 1)])]));
        assert_eq!(next_hops(&heard), ["192.0.2.1"], "the first has it, whoever came last");
        assert_eq!((announced.routes_of(&one).len(), announced.routes_of(&other).len()), (1, 0));
        let destination = announced.routes_of(&one)[0].destination.clone();
        assert_eq!(announced.route_of(&other, &destination), None, "and an audit expects that");
        assert!(announced.route_of(&one, &destination).is_some() && announced.announces(&destination));
        hear(&mut heard, announced.set(vec![(one.clone(), vec![])]));
        assert_eq!(next_hops(&heard), ["192.0.2.2"], "not withdrawn, and not with a next hop that is gone");
        hear(&mut heard, announced.set(vec![(other.clone(), vec![])]));
        assert!(heard.is_empty() && announced.shared.is_empty() && announced.counts.is_empty());
        assert!(!announced.announces(&destination));
    }

    #[test]
    fn of_two_of_one_fragment_the_other_stays() {
        let (mut announced, mut heard) = (Announced::default(), BTreeMap::new());
        hear(&mut heard, announced.set(vec![(key(1), vec![by("64512:77", 1), by("64512:77", 2)])]));
        hear(&mut heard, announced.set(vec![(key(1), vec![by("64512:77", 1)])]));
        assert_eq!(next_hops(&heard), ["192.0.2.1"]);
    }

    #[test]
    fn what_goes_from_one_fragment_to_another_is_told_once_and_what_stays_is_not_told() {
        let mut announced = Announced::default();
        let (one, other) = (key(1), key(2));
        let _told = announced.set(vec![(other.clone(), vec![by("64512:77", 1), by("64512:78", 2)])]);
        let told = announced
            .set(vec![(one.clone(), vec![by("64512:77", 1)]), (other.clone(), vec![by("64512:78", 2)])]);
        assert_eq!((told.originated.len(), told.withdrawn.len()), (1, 0));
        assert!(announced.shared.is_empty(), "it is nobody's but one's");
        let told = announced.set(vec![(other, vec![by("64512:78", 2)]), (one, vec![by("64512:77", 1)])]);
        assert!(told.is_nothing(), "{told:?}");
    }
}
