//! What is known to have been learned from speakers, of prefixes and of networks alike.

use std::ops::Bound;

use weft_services::{About, Fact, Id};

use super::routes;
use super::source::Source;
use super::speaker::Bgp;

impl Bgp {
    /// What is known of this, by all speakers together.
    pub(super) fn known(&self, about: About) -> Fact {
        match about {
            About::Destination(vrf, destination) => {
                let routes = self.learned.get(&(vrf, destination)).map(routes::best).unwrap_or_default();
                Fact::Routes { vrf, destination, routes }
            }
            About::Mac(network, mac, address) => {
                Fact::Mac { network, mac, address, at: self.bridged.mac((network, mac, address)) }
            }
            About::Endpoint(network, endpoint) => {
                Fact::Endpoint { network, endpoint, vni: self.bridged.endpoint(network, endpoint) }
            }
        }
    }

    /// What is known of, after this, in order.
    pub(super) fn known_after(&self, after: Option<About>) -> impl Iterator<Item = About> + use<'_> {
        let onward = About::onward(after);
        let routes = onward.destinations.into_iter();
        let routes = routes.flat_map(|from| self.learned.range((from, Bound::Unbounded)));
        let routes = routes.map(|((vrf, destination), _)| About::Destination(*vrf, *destination));
        routes.chain(self.bridged.known_after(onward))
    }

    /// From which speakers it was learned, and of what.
    pub(super) fn sources_of(&self, about: About) -> Vec<(Id, Source)> {
        match about {
            About::Destination(vrf, prefix) => {
                let by_source = self.learned.get(&(vrf, prefix)).into_iter().flatten();
                by_source.map(|((by, speaker), _)| (*speaker, Source::Prefix(vrf, prefix, *by))).collect()
            }
            About::Mac(network, mac, address) => {
                let speakers = self.bridged.speakers_of_mac((network, mac, address));
                speakers.map(|speaker| (speaker, Source::Mac(network, mac, address))).collect()
            }
            About::Endpoint(network, endpoint) => {
                let originators = self.bridged.originators_of(network, endpoint);
                originators.map(|(speaker, of)| (speaker, Source::Everybody(network, of))).collect()
            }
        }
    }
}
