//! Of what speakers learn something: under which instance and destination they have it, and what is known by it here.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_bgp::wire::{Destination, EthernetTag, EvpnDestination};
use weft_net::{Mac, RouteDistinguisher};
use weft_services::{About, Id};

use super::instance::Instance;
use super::routes::{self, By, is_host};

/// Of what a speaker has learned something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// Of a prefix of a VRF, by a kind of route.
    Prefix(Id, IpNet, By),
    /// Of a MAC address of a network, with an address of its station or none.
    Mac(Id, Mac, Option<IpAddr>),
    /// Of a network, from this originator: where what is for everybody is to be sent too.
    Everybody(Id, IpAddr),
}

impl Source {
    /// What a destination of an instance is; nothing of what is left aside there.
    pub(super) fn of(instance: Instance, destination: &Destination) -> Option<Self> {
        match (instance, destination) {
            (Instance::Vrf(vrf), _) => {
                routes::prefix_of(destination).map(|(prefix, by)| Self::Prefix(vrf, prefix, by))
            }
            (
                Instance::MacVrf(network),
                Destination::Evpn(EvpnDestination::MacIp { tag, mac, address, .. }),
            ) if *tag == EthernetTag::default() && mac.is_unicast() && address.is_none_or(is_host) => {
                Some(Self::Mac(network, *mac, *address))
            }
            (
                Instance::MacVrf(network),
                Destination::Evpn(EvpnDestination::InclusiveMulticast { tag, originator, .. }),
            ) if *tag == EthernetTag::default() => Some(Self::Everybody(network, *originator)),
            (Instance::MacVrf(_), _) => None,
        }
    }

    /// Whose it is.
    pub(super) const fn instance(self) -> Instance {
        match self {
            Self::Prefix(vrf, ..) => Instance::Vrf(vrf),
            Self::Mac(network, ..) | Self::Everybody(network, _) => Instance::MacVrf(network),
        }
    }

    /// The destination under which the instance has it: without a route distinguisher.
    pub(super) fn destination(self) -> Destination {
        match self {
            Self::Prefix(_, prefix, by) => routes::destination_of(prefix, by),
            Self::Mac(_, mac, address) => Destination::evpn_mac_ip(RouteDistinguisher::ZERO, mac, address),
            Self::Everybody(_, originator) => {
                Destination::evpn_inclusive_multicast(RouteDistinguisher::ZERO, originator)
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Prefix(vrf, prefix, _) => about(About::Destination(vrf, prefix)).fmt(f),
            Self::Mac(network, mac, address) => about(About::Mac(network, mac, address)).fmt(f),
            Self::Everybody(network, originator) => {
                write!(f, "everybody by {originator} in network {network}")
            }
        }
    }
}

/// What a fact is about, as alarms name it.
pub(super) fn about(about: About) -> impl fmt::Display {
    std::fmt::from_fn(move |f| match about {
        About::Destination(vrf, destination) => write!(f, "{destination} in VRF {vrf}"),
        About::Mac(network, mac, None) => write!(f, "{mac} in network {network}"),
        About::Mac(network, mac, Some(address)) => write!(f, "{mac} {address} in network {network}"),
        About::Endpoint(network, endpoint) => write!(f, "everybody at {endpoint} in network {network}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_led_back_to_by_its_instance_and_destination() {
        let id = Id::from_random([7; 16]);
        let mac = Mac::new([2, 0, 0, 0, 0, 1]);
        for source in [
            Source::Prefix(id, "203.0.113.9/32".parse().unwrap(), By::Evpn),
            Source::Prefix(id, "203.0.113.9/32".parse().unwrap(), By::Station(mac)),
            Source::Prefix(id, "2001:db8::/32".parse().unwrap(), By::Vpn),
            Source::Mac(id, mac, None),
            Source::Mac(id, mac, Some([10, 0, 0, 1].into())),
            Source::Everybody(id, [198, 51, 100, 1].into()),
        ] {
            assert_eq!(Source::of(source.instance(), &source.destination()), Some(source));
        }
        let (distinguisher, tag) = (RouteDistinguisher::ZERO, EthernetTag(7));
        let tagged = [
            EvpnDestination::MacIp { distinguisher, tag, mac, address: None },
            EvpnDestination::InclusiveMulticast { distinguisher, tag, originator: [198, 51, 100, 1].into() },
        ];
        assert_eq!(tagged.map(|one| Source::of(Instance::MacVrf(id), &Destination::Evpn(one))), [None; 2]);
        let none = Source::Mac(id, Mac::new([0; 6]), None).destination();
        assert_eq!(Source::of(Instance::MacVrf(id), &none), None);
    }
}
