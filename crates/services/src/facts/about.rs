//! What facts are about that speakers learn, in an order: so that who compares them can go round.

use std::net::IpAddr;
use std::ops::Bound;

use ipnet::IpNet;
use weft_net::Mac;

use crate::Id;
use crate::facts::{Fact, Facts};

/// What a fact is about that speakers learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A VRF and a destination.
    Destination(Id, IpNet),
    /// A network and a MAC address, with an address of its station or none.
    Mac(Id, Mac, Option<IpAddr>),
    /// A network and a tunnel endpoint.
    Endpoint(Id, IpAddr),
}

/// Where each sort of what facts are about goes on; nothing: it is over.
#[derive(Clone, Copy, Debug)]
pub struct Onward {
    /// Destinations of VRFs.
    pub destinations: Option<Bound<(Id, IpNet)>>,
    /// MAC addresses of networks.
    pub macs: Option<Bound<(Id, Mac, Option<IpAddr>)>>,
    /// Endpoints of networks.
    pub endpoints: Option<Bound<(Id, IpAddr)>>,
}

impl About {
    /// What a fact is about; nothing, if no speaker learns it.
    #[must_use]
    pub const fn of(fact: &Fact) -> Option<Self> {
        match fact {
            Fact::Routes { vrf, destination, .. } => Some(Self::Destination(*vrf, *destination)),
            Fact::Mac { network, mac, address, .. } => Some(Self::Mac(*network, *mac, *address)),
            Fact::Endpoint { network, endpoint, .. } => Some(Self::Endpoint(*network, *endpoint)),
            Fact::Carrier { .. } => None,
        }
    }

    /// That nothing is known of it.
    #[must_use]
    pub const fn nothing(self) -> Fact {
        match self {
            Self::Destination(vrf, destination) => Fact::Routes { vrf, destination, routes: Vec::new() },
            Self::Mac(network, mac, address) => Fact::Mac { network, mac, address, at: None },
            Self::Endpoint(network, endpoint) => Fact::Endpoint { network, endpoint, vni: None },
        }
    }

    /// Where what comes after one begins, or all.
    #[must_use]
    pub fn onward(after: Option<Self>) -> Onward {
        let all = Onward {
            destinations: Some(Bound::Unbounded),
            macs: Some(Bound::Unbounded),
            endpoints: Some(Bound::Unbounded),
        };
        match after {
            None => all,
            Some(Self::Destination(vrf, destination)) => {
                Onward { destinations: Some(Bound::Excluded((vrf, destination))), ..all }
            }
            Some(Self::Mac(network, mac, address)) => {
                Onward { destinations: None, macs: Some(Bound::Excluded((network, mac, address))), ..all }
            }
            Some(Self::Endpoint(network, endpoint)) => {
                let endpoints = Some(Bound::Excluded((network, endpoint)));
                Onward { destinations: None, macs: None, endpoints }
            }
        }
    }
}

impl Facts {
    /// What is known of this.
    #[must_use]
    pub fn known(&self, about: About) -> Fact {
        match about {
            About::Destination(vrf, destination) => {
                Fact::Routes { vrf, destination, routes: self.routes(vrf, destination).to_vec() }
            }
            About::Mac(network, mac, address) => {
                Fact::Mac { network, mac, address, at: self.station(network, mac, address).copied() }
            }
            About::Endpoint(network, endpoint) => {
                Fact::Endpoint { network, endpoint, vni: self.endpoint(network, endpoint) }
            }
        }
    }

    /// What is known of that speakers learn, after this one, in order.
    pub fn known_after(&self, after: Option<About>) -> impl Iterator<Item = About> + use<'_> {
        let Onward { destinations, macs, endpoints } = About::onward(after);
        let destinations =
            destinations.into_iter().flat_map(move |from| self.routes.range((from, Bound::Unbounded)));
        let macs = macs.into_iter().flat_map(move |from| self.macs.range((from, Bound::Unbounded)));
        let endpoints =
            endpoints.into_iter().flat_map(move |from| self.endpoints.range((from, Bound::Unbounded)));
        destinations
            .map(|((vrf, destination), _)| About::Destination(*vrf, *destination))
            .chain(macs.map(|((network, mac, address), _)| About::Mac(*network, *mac, *address)))
            .chain(endpoints.map(|((network, endpoint), _)| About::Endpoint(*network, *endpoint)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{LearnedEncapsulation, LearnedMac, LearnedRoute};

    #[test]
    fn whoever_goes_on_from_each_comes_to_all_and_knows_what_was_learned() {
        let id = |nth: u8| Id::from_random([nth; 16]);
        let encapsulation = LearnedEncapsulation::Mpls { label: 1000.try_into().unwrap() };
        let routes =
            vec![LearnedRoute { next_hop: [198, 51, 100, 1].into(), encapsulation, local_pref: 100 }];
        let vni = 7_u32.try_into().unwrap();
        let place = LearnedMac { endpoint: [198, 51, 100, 1].into(), vni, sequence: 0, is_sticky: false };
        let mut told = Vec::new();
        for nth in [1, 2] {
            let destination = format!("203.0.{nth}.0/24").parse().unwrap();
            told.push(Fact::Routes { vrf: id(nth), destination, routes: routes.clone() });
        }
        for (nth, address) in [(1, None), (1, Some([10, 0, 0, 1].into())), (2, None)] {
            let mac = Mac::new([2, 0, 0, 0, 0, nth]);
            told.push(Fact::Mac { network: id(1), mac, address, at: Some(place) });
        }
        told.push(Fact::Endpoint { network: id(1), endpoint: [198, 51, 100, 1].into(), vni: Some(vni) });
        let mut facts = Facts::default();
        facts.learn(&told);
        let (mut found, mut after) = (Vec::new(), None);
        while let Some(about) = facts.known_after(after).next() {
            assert_eq!(About::of(&facts.known(about)), Some(about));
            found.push(facts.known(about));
            after = Some(about);
        }
        assert_eq!(found, told);
        let gone: Vec<Fact> = facts.known_after(None).map(About::nothing).collect();
        facts.learn(&gone);
        assert_eq!(facts, Facts::default());
    }
}
