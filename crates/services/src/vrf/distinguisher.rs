//! The route distinguishers that hosts have of their own (RFC 4364 §4.2), for VRFs and MAC-VRFs that were given none.
//!
//! ```text
//!  type 1, the first path of a host     tunnel endpoint, 32 bits                      : number of the VRF
//!  type 1, its n-th path besides        1111 │ hash of tunnel endpoint and n, 28 bits : number of the VRF
//! ```
//!
//! An IPv4 endpoint is written as it is, of an IPv6 one the bits that tell it from those of all other hosts of the site. So routes of
//! two sites that meet at one reflector are two routes, though both number their VRFs from 1. What begins with 1111
//! is an address of no host (RFC 1112 §4). Within a site the number keeps VRFs apart.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use weft_net::{AdministeredNumber, RouteDistinguisher};

use crate::compile::Step;
use crate::vrf::{EndpointBits, VrfNumber};
use crate::{Id, Model, RowKey, RowKind};

/// Odd numbers whose multiples are far from each other.
const SPREAD: u32 = 0x9e37_79b1;
const SPREAD_OF_PATHS: u32 = 0x85eb_ca6b;

/// The distinguishers of the paths of a VRF to one destination.
pub(super) struct Distinguishers {
    number: VrfNumber,
    taken: BTreeSet<RouteDistinguisher>,
}

impl Distinguishers {
    pub(super) const fn of(number: VrfNumber) -> Self {
        Self { number, taken: BTreeSet::new() }
    }

    /// That of the n-th path, from 0, of the host with this tunnel endpoint: no two are the same.
    pub(super) fn next(&mut self, endpoint: IpAddr, nth: u16) -> RouteDistinguisher {
        let mut chosen = match nth {
            0 => distinguisher_of(self.number, endpoint),
            nth => of_further_path(self.number, endpoint, nth.into()),
        };
        let mut salt = u32::from(u16::MAX);
        while !self.taken.insert(chosen) {
            salt += 1;
            chosen = of_further_path(self.number, endpoint, salt);
        }
        chosen
    }
}

/// The distinguisher of a VRF or a MAC-VRF on the host with this tunnel endpoint.
pub(crate) fn distinguisher_of(number: VrfNumber, endpoint: IpAddr) -> RouteDistinguisher {
    AdministeredNumber::Ipv4(EndpointBits::of(endpoint).into(), number.0).into()
}

fn of_further_path(number: VrfNumber, endpoint: IpAddr, nth: u32) -> RouteDistinguisher {
    let endpoint = Ipv4Addr::from(EndpointBits::of(endpoint)).to_bits();
    let hash = endpoint.wrapping_add(nth.wrapping_mul(SPREAD_OF_PATHS)).wrapping_mul(SPREAD);
    AdministeredNumber::Ipv4(Ipv4Addr::from_bits(0xf000_0000 | hash >> 4), number.0).into()
}

/// Whether a distinguisher is one that hosts have of their own: whoever is given it does not take it.
pub(crate) fn is_of_hosts(model: &Model, given: RouteDistinguisher) -> bool {
    let Some(AdministeredNumber::Ipv4(administrator, _)) = given.parts() else { return false };
    administrator.octets()[0] >= 0xf0
        || model.host_with(EndpointBits::of(IpAddr::V4(administrator))).is_some()
}

/// The VRFs and MAC-VRFs that were given what becomes a host's own by a step, or no longer is.
pub(crate) fn given_around(step: &Step<'_>) -> BTreeSet<(RowKind, Id)> {
    let RowKey::Host(name) = &step.row else { return BTreeSet::new() };
    let endpoint = |model: &Model| model.host(name)?.fact.tunnel_endpoint.map(EndpointBits::of);
    let [was, is] = [step.before, step.after].map(endpoint);
    let changed = [was, is].into_iter().flatten().filter(|_| was != is);
    let given = changed.flat_map(|bits| {
        let [first, last] = [0, u16::MAX]
            .map(|number| RouteDistinguisher::from(AdministeredNumber::Ipv4(bits.into(), number)));
        let all = (first, (RowKind::ALL[0], Id::MIN))..;
        let given = step.after.index.given_distinguishers.range(all);
        given.take_while(move |(given, _)| *given <= last).map(|(_, owner)| *owner)
    });
    given.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_paths_of_many_hosts_have_different_ones() {
        let scattered = |n: u32| IpAddr::from(n.wrapping_mul(0x27d4_eb2f).to_be_bytes());
        let ipv4 = |n: u32| IpAddr::from((0x0a00_0001 + n).to_be_bytes());
        let ipv6 = |n: u32| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, (n >> 16) as u16, n as u16]);
        let endpoints = [scattered, ipv4, ipv6].map(|endpoint| (0..60_000).map(endpoint));
        let endpoints: BTreeSet<IpAddr> = endpoints.into_iter().flatten().collect();
        let number = VrfNumber(1);
        let hashed: BTreeSet<_> =
            endpoints.iter().map(|endpoint| of_further_path(number, *endpoint, 1)).collect();
        assert!(hashed.len() < endpoints.len(), "two hosts come to the same hash");
        let mut distinguishers = Distinguishers::of(number);
        let paths = endpoints.iter().flat_map(|endpoint| [(endpoint, 0), (endpoint, 1)]);
        let all: BTreeSet<_> = paths.map(|(endpoint, nth)| distinguishers.next(*endpoint, nth)).collect();
        assert_eq!(all.len(), 2 * endpoints.len());
    }
}
