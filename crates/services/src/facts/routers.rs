//! The routers that learned routes lead to by VXLAN, and what leads to each: a VRF sends to one place alone for a MAC address.

use std::net::IpAddr;

use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;
use weft_net::{Mac, Vni};

use crate::Id;
use crate::facts::{LearnedEncapsulation, LearnedRoute};

/// Where a router's MAC address is said to be: the tunnel endpoint, and the VNI that it has chosen.
pub(crate) type Place = (IpAddr, Vni);

/// By MAC address, VRF and place: the destinations that are said to be behind it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Routers {
    places: OrdMap<(Mac, Id, IpAddr, Vni), OrdSet<IpNet>>,
    /// The same routers by VRF.
    of_vrfs: OrdSet<(Id, Mac)>,
}

impl Routers {
    /// Puts the routes from a VRF to a destination in the place of those that there were.
    pub(super) fn replace(
        &mut self,
        (vrf, destination): (Id, IpNet),
        before: &[LearnedRoute],
        after: &[LearnedRoute],
    ) {
        let key = |route: &LearnedRoute| match route.encapsulation {
            LearnedEncapsulation::Vxlan { vni, router_mac } => Some((router_mac, vrf, route.next_hop, vni)),
            LearnedEncapsulation::Mpls { .. } => None,
        };
        for key in before.iter().filter_map(key) {
            if let Some(destinations) = self.places.get_mut(&key) {
                destinations.remove(&destination);
                if destinations.is_empty() {
                    self.places.remove(&key);
                    if self.places(vrf, key.0).next().is_none() {
                        self.of_vrfs.remove(&(vrf, key.0));
                    }
                }
            }
        }
        for key in after.iter().filter_map(key) {
            self.places.entry(key).or_default().insert(destination);
            self.of_vrfs.insert((vrf, key.0));
        }
    }

    /// The routers that learned routes from a VRF lead to.
    pub(crate) fn of_vrf(&self, vrf: Id) -> impl Iterator<Item = Mac> + use<'_> {
        let of_vrf = self.of_vrfs.range((vrf, Mac::ZERO)..).take_while(move |(of, _)| *of == vrf);
        of_vrf.map(|(_, mac)| *mac)
    }

    /// Where a VRF was told that a MAC address is, in order, with the destinations behind it.
    pub(crate) fn places(
        &self,
        vrf: Id,
        mac: Mac,
    ) -> impl Iterator<Item = (Place, &OrdSet<IpNet>)> + use<'_> {
        let first = (mac, vrf, IpAddr::from([0, 0, 0, 0]), Vni::MIN);
        let found = self.places.range(first..).take_while(move |(key, _)| (key.0, key.1) == (mac, vrf));
        found.map(|((.., next_hop, vni), destinations)| ((*next_hop, *vni), destinations))
    }

    /// The MAC addresses from one to another, and the VRFs that have learned of them; each as often as there are places.
    pub(crate) fn between(&self, first: Mac, last: Mac) -> impl Iterator<Item = (Id, Mac)> + use<'_> {
        let from = (first, Id::MIN, IpAddr::from([0, 0, 0, 0]), Vni::MIN);
        let found = self.places.range(from..).take_while(move |(key, _)| key.0 <= last);
        found.map(|((mac, vrf, ..), _)| (*vrf, *mac))
    }

    /// All of them with their VRFs and places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, Mac, IpAddr)> + use<'_> {
        self.places.keys().map(|(mac, vrf, next_hop, _)| (*vrf, *mac, *next_hop))
    }
}
