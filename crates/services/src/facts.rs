//! Facts: what is learned rather than asked for. Nobody stores it with the rows; whoever learns it tells it anew.
//!
//! ```text
//! BGP speaker ── routes, MAC addresses, endpoints ──┐
//! agents ── carriers ───────────────────────────────┴─> Fact ── Model::learn ──> what compilation sees; compile::touched_by says which fragments
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;
use weft_dataplane::PATHS_MAX;
use weft_net::{HostName, Mac, MplsLabel, Vni};

use crate::{Id, Model};

mod about;
mod routers;

pub use about::{About, Onward};
pub(crate) use routers::Place;
use routers::Routers;

/// Something that was learned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// What leads from a VRF to a destination outside; nothing, if no route is empty.
    Routes {
        /// The VRF that imports it.
        vrf: Id,
        /// The destination.
        destination: IpNet,
        /// The routes: each host takes the most preferred of those that it can send.
        routes: Vec<LearnedRoute>,
    },
    /// The vNIC of an instance port has lost its carrier, or has it again.
    Carrier {
        /// The instance port.
        port: Id,
        /// The host that says so.
        host: HostName,
        /// Whether it has one.
        is_there: bool,
    },
    /// Where frames of a network for a MAC address go that is outside (RFC 7432 §9.2).
    Mac {
        /// The network that imports it.
        network: Id,
        /// The MAC address.
        mac: Mac,
        /// The IP address that it was told with, if it was with one.
        address: Option<IpAddr>,
        /// Where it is; `None`: nowhere any more.
        at: Option<LearnedMac>,
    },
    /// A tunnel endpoint outside to which frames of a network go that are for everybody (RFC 7432 §11).
    Endpoint {
        /// The network that imports it.
        network: Id,
        /// The endpoint.
        endpoint: IpAddr,
        /// The VNI that it has chosen; `None`: it wants none any more.
        vni: Option<Vni>,
    },
}

/// Where a MAC address is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct LearnedMac {
    /// Behind which tunnel endpoint.
    pub endpoint: IpAddr,
    /// The VNI that the other side has chosen.
    pub vni: Vni,
    /// How often it has moved, as is said of it (RFC 7432 §7.7).
    pub sequence: u32,
    /// Whether it never moves (RFC 7432 §15.2).
    pub is_sticky: bool,
}

impl LearnedMac {
    /// Whether another is in the same place.
    pub(crate) fn is_same_place(&self, other: &Self) -> bool {
        (self.endpoint, self.vni) == (other.endpoint, other.vni)
    }
}

/// A route to a destination outside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct LearnedRoute {
    /// Where packets are to be sent.
    pub next_hop: IpAddr,
    /// In what.
    pub encapsulation: LearnedEncapsulation,
    /// How much it is preferred (RFC 4271 §5.1.5).
    pub local_pref: u32,
}

impl LearnedRoute {
    /// Whether only hosts that forward MPLS can send along it.
    #[must_use]
    pub const fn needs_mpls(&self) -> bool {
        matches!(self.encapsulation, LearnedEncapsulation::Mpls { .. })
    }
}

/// In what packets are sent along a learned route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearnedEncapsulation {
    /// VXLAN, to the MAC address of the router there (RFC 9135 §5).
    Vxlan {
        /// The VNI that the other side has chosen.
        vni: Vni,
        /// The router's MAC address.
        router_mac: Mac,
    },
    /// MPLS (RFC 4364 §5).
    Mpls {
        /// The label that the other side has chosen.
        label: MplsLabel,
    },
}

/// All that has been learned. A clone shares everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// By VRF and destination.
    routes: OrdMap<(Id, IpNet), Arc<[LearnedRoute]>>,
    /// The routers that they lead to.
    routers: Routers,
    /// vNICs without a carrier, behind the host that said so.
    without_carrier: OrdSet<(HostName, Id)>,
    /// By network, MAC address and IP address.
    macs: OrdMap<(Id, Mac, Option<IpAddr>), LearnedMac>,
    /// The same MAC addresses by network and IP address.
    macs_at: OrdSet<(Id, IpAddr, Mac)>,
    /// The networks of each of them.
    networks_with: OrdSet<(Mac, Id)>,
    /// By network: the endpoints that want what is for everybody, and the VNIs that they have chosen.
    endpoints: OrdMap<(Id, IpAddr), Vni>,
}

impl Model {
    /// Takes facts over. No row changes by it. Answers whether that is news.
    pub fn learn<'f>(&mut self, facts: impl IntoIterator<Item = &'f Fact>) -> bool {
        self.facts.learn(facts)
    }

    /// Of these facts those about what there is: VRFs, networks in VPNs, ports on hosts.
    #[must_use]
    pub fn facts_of_ours(&self, mut facts: Facts) -> Facts {
        let gone = facts.routes.keys().filter(|(vrf, _)| !self.vrfs.contains_key(vrf));
        for key in gone.copied().collect::<Vec<_>>() {
            facts.set_routes(key, &[]);
        }
        let gone = facts.macs.keys().filter(|(network, ..)| !self.mac_vrfs.contains_key(network));
        for key in gone.copied().collect::<Vec<_>>() {
            facts.set_mac(key, None);
        }
        let gone = facts.endpoints.keys().filter(|(network, _)| !self.mac_vrfs.contains_key(network));
        for key in gone.copied().collect::<Vec<_>>() {
            facts.endpoints.remove(&key);
        }
        let is_there = |(host, port): &&(HostName, Id)| {
            self.instance_ports.contains_key(port) && self.host(host).is_some()
        };
        facts.without_carrier = facts.without_carrier.iter().filter(is_there).cloned().collect();
        facts
    }

    /// All that has been learned.
    #[must_use]
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The same rows, with these facts.
    #[must_use]
    pub fn with_facts(mut self, facts: Facts) -> Self {
        self.facts = facts;
        self
    }

    /// Whether a vNIC has a carrier, as far as its host has said.
    pub(crate) fn has_carrier(&self, port: Id, host: &HostName) -> bool {
        self.facts.without_carrier.is_empty() || !self.facts.without_carrier.contains(&(host.clone(), port))
    }
}

impl Facts {
    /// Takes facts over; answers whether that is news.
    pub fn learn<'f>(&mut self, facts: impl IntoIterator<Item = &'f Fact>) -> bool {
        let mut is_news = false;
        for fact in facts {
            is_news |= match fact {
                Fact::Routes { vrf, destination, routes } => self.set_routes((*vrf, *destination), routes),
                Fact::Carrier { port, host, is_there: true } => {
                    self.without_carrier.remove(&(host.clone(), *port)).is_some()
                }
                Fact::Carrier { port, host, is_there: false } => {
                    self.without_carrier.insert((host.clone(), *port)).is_none()
                }
                Fact::Mac { network, mac, address, at } => self.set_mac((*network, *mac, *address), *at),
                Fact::Endpoint { network, endpoint, vni: Some(vni) } => {
                    self.endpoints.insert((*network, *endpoint), *vni) != Some(*vni)
                }
                Fact::Endpoint { network, endpoint, vni: None } => {
                    self.endpoints.remove(&(*network, *endpoint)).is_some()
                }
            };
        }
        is_news
    }

    /// All of them, one by one: who learns them has the same.
    pub fn iter(&self) -> impl Iterator<Item = Fact> {
        let routes = self.routes.iter().map(|((vrf, destination), routes)| Fact::Routes {
            vrf: *vrf,
            destination: *destination,
            routes: routes.to_vec(),
        });
        let carrier = |(host, port): &(HostName, Id)| Fact::Carrier {
            port: *port,
            host: host.clone(),
            is_there: false,
        };
        let macs = self.macs.iter().map(|((network, mac, address), at)| Fact::Mac {
            network: *network,
            mac: *mac,
            address: *address,
            at: Some(*at),
        });
        let endpoints = self.endpoints.iter().map(|((network, endpoint), vni)| Fact::Endpoint {
            network: *network,
            endpoint: *endpoint,
            vni: Some(*vni),
        });
        routes.chain(self.without_carrier.iter().map(carrier)).chain(macs).chain(endpoints)
    }

    /// The learned routes from a VRF to a destination; none where nothing was learned.
    #[must_use]
    pub fn routes(&self, vrf: Id, destination: IpNet) -> &[LearnedRoute] {
        self.routes.get(&(vrf, destination)).map_or(&[], |routes| routes)
    }

    /// All learned routes.
    pub fn all_routes(&self) -> impl Iterator<Item = (&(Id, IpNet), &Arc<[LearnedRoute]>)> {
        self.routes.iter()
    }

    /// Where learned routes from a VRF lead.
    pub(crate) fn destinations(&self, vrf: Id) -> impl Iterator<Item = IpNet> + use<'_> {
        let everything = IpNet::new(IpAddr::from([0, 0, 0, 0]), 0).expect("zero is the length of a prefix");
        let of_vrf = self.routes.range((vrf, everything)..).take_while(move |(key, _)| key.0 == vrf);
        of_vrf.map(|(key, _)| key.1)
    }

    fn set_routes(&mut self, key: (Id, IpNet), routes: &[LearnedRoute]) -> bool {
        let before = match routes {
            [] => self.routes.remove(&key),
            _ => {
                let known = self.routes(key.0, key.1);
                let routes = in_order(known, routes);
                self.routes.insert(key, routes)
            }
        };
        self.routers.replace(key, before.as_deref().unwrap_or_default(), routes);
        before.as_deref().unwrap_or_default() != self.routes(key.0, key.1)
    }

    /// The routers that learned routes lead to by VXLAN.
    pub(crate) const fn routers(&self) -> &Routers {
        &self.routers
    }

    fn set_mac(&mut self, key: (Id, Mac, Option<IpAddr>), at: Option<LearnedMac>) -> bool {
        let (network, mac, address) = key;
        let Some(at) = at else {
            let before = self.macs.remove(&key);
            address.and_then(|address| self.macs_at.remove(&(network, address, mac)));
            if self.stations(network, mac).next().is_none() {
                self.networks_with.remove(&(mac, network));
            }
            return before.is_some();
        };
        let before = self.macs.insert(key, at);
        self.networks_with.insert((mac, network));
        address.and_then(|address| self.macs_at.insert((network, address, mac)));
        before != Some(at)
    }

    /// Whether anything was learned of networks.
    pub(crate) fn has_bridged(&self) -> bool {
        !self.macs.is_empty() || !self.endpoints.is_empty()
    }

    /// What was learned of a MAC address in a network: with which IP addresses, if with any, and where it is.
    pub(crate) fn stations(
        &self,
        network: Id,
        mac: Mac,
    ) -> impl Iterator<Item = (Option<IpAddr>, &LearnedMac)> + use<'_> {
        let of_mac = self.macs.range((network, mac, None)..);
        let of_mac = of_mac.take_while(move |(key, _)| (key.0, key.1) == (network, mac));
        of_mac.map(|(key, at)| (key.2, at))
    }

    /// Where a MAC address is, by what was told of it with this IP address or with none.
    pub(crate) fn station(&self, network: Id, mac: Mac, address: Option<IpAddr>) -> Option<&LearnedMac> {
        self.macs.get(&(network, mac, address))
    }

    /// The MAC addresses that were learned of a network; one comes as often as it has IP addresses.
    pub(crate) fn macs_of(&self, network: Id) -> impl Iterator<Item = Mac> + use<'_> {
        let of_network = self.macs.range((network, Mac::ZERO, None)..);
        of_network.take_while(move |(key, _)| key.0 == network).map(|(key, _)| key.1)
    }

    /// All learned MAC addresses, with their networks and places.
    pub(crate) fn all_macs(&self) -> impl Iterator<Item = (Id, Mac, &LearnedMac)> {
        self.macs.iter().map(|((network, mac, _), at)| (*network, *mac, at))
    }

    /// The MAC addresses that were told with an IP address.
    pub(crate) fn macs_at(&self, network: Id, address: IpAddr) -> impl Iterator<Item = Mac> + use<'_> {
        let from = (network, address, Mac::ZERO);
        let at = self.macs_at.range(from..);
        at.take_while(move |entry| (entry.0, entry.1) == (network, address)).map(|entry| entry.2)
    }

    /// The networks of which a MAC address was learned.
    pub(crate) fn networks_with(&self, mac: Mac) -> impl Iterator<Item = Id> + use<'_> {
        self.networks_with.range((mac, Id::MIN)..=(mac, Id::MAX)).map(|(_, network)| *network)
    }

    /// The endpoints that were learned of a network, and the VNIs that they have chosen.
    pub(crate) fn endpoints_of(&self, network: Id) -> impl Iterator<Item = (IpAddr, Vni)> + use<'_> {
        let from = (network, IpAddr::from([0, 0, 0, 0]));
        let of_network = self.endpoints.range(from..).take_while(move |(key, _)| key.0 == network);
        of_network.map(|(key, vni)| (key.1, *vni))
    }

    /// The VNI that a learned endpoint has chosen.
    pub(crate) fn endpoint(&self, network: Id, endpoint: IpAddr) -> Option<Vni> {
        self.endpoints.get(&(network, endpoint)).copied()
    }

    /// The vNICs that have lost their carrier, as a host has said.
    pub fn without_carrier(&self, host: &HostName) -> impl Iterator<Item = Id> + use<'_> {
        let on_host = self.without_carrier.range((host.clone(), Id::MIN)..=(host.clone(), Id::MAX));
        on_host.map(|(_, port)| *port)
    }
}

/// Routes in the order in which hosts take them, should there be more than a host's route has room for: those that were known
/// already come first, so that they stay.
fn in_order(known: &[LearnedRoute], routes: &[LearnedRoute]) -> Arc<[LearnedRoute]> {
    let mut routes = routes.to_vec();
    if routes.len() > PATHS_MAX {
        let way = |route: &LearnedRoute| (route.next_hop, route.encapsulation);
        let places = known.iter().enumerate().map(|(place, route)| (way(route), place));
        let places: BTreeMap<_, usize> = places.collect();
        routes.sort_by_key(|route| places.get(&way(route)).copied().unwrap_or(usize::MAX));
    }
    routes.into()
}
