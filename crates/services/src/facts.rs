//! Facts: what is learned rather than asked for. Nobody stores it with the rows; whoever learns it tells it anew.
//!
//! ```text
//! BGP speaker ── routes ──┐
//! agents ── carriers ─────┴─> Fact ── Model::learn ──> what compilation sees; compile::touched_by says which fragments
//! ```

use std::collections::BTreeSet;
use std::net::IpAddr;

use imbl::OrdSet;
use ipnet::IpNet;
use weft_net::{HostName, Mac, MplsLabel, RouteDistinguisher, RouteTarget, Vni};

use crate::{Id, Model};

/// Something that was learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A route of a VPN was learned, in place of the one of the same destination and identity, or is there no more.
    Route {
        /// Where it leads.
        destination: IpNet,
        /// Who has told it, of which VRF.
        from: Source,
        /// What it is; `None`: it was withdrawn.
        route: Option<LearnedRoute>,
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
}

/// Who has told a route: of all that lead to one destination there is one of each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Source {
    /// The route distinguisher: which VRF of the outside it is of.
    pub route_distinguisher: RouteDistinguisher,
    /// Which of several with the same: the peer, and its path identifier (RFC 7911).
    pub path: (IpAddr, u32),
}

/// A route of a VPN from outside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct LearnedRoute {
    /// Who imports it.
    pub targets: BTreeSet<RouteTarget>,
    /// Where packets are to be sent.
    pub next_hop: IpAddr,
    /// In what.
    pub encapsulation: LearnedEncapsulation,
    /// How much it is preferred (RFC 4271 §5.1.5).
    pub local_pref: u32,
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

/// All that has been learned.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts {
    /// By destination and source.
    routes: imbl::OrdMap<(IpNet, Source), LearnedRoute>,
    /// By who imports it and destination.
    imported: OrdSet<(RouteTarget, IpNet, Source)>,
    /// vNICs without a carrier, and the host that said so.
    without_carrier: OrdSet<(Id, HostName)>,
}

impl Model {
    /// Takes facts over. No row changes by it.
    pub fn learn<'f>(&mut self, facts: impl IntoIterator<Item = &'f Fact>) {
        for fact in facts {
            match fact {
                Fact::Route { destination, from, route } => self.learn_route(*destination, from, route.as_ref()),
                Fact::Carrier { port, host, is_there: true } => {
                    self.facts.without_carrier.remove(&(*port, host.clone()));
                }
                Fact::Carrier { port, host, is_there: false } => {
                    self.facts.without_carrier.insert((*port, host.clone()));
                }
            }
        }
    }

    fn learn_route(&mut self, destination: IpNet, from: &Source, route: Option<&LearnedRoute>) {
        let key = (destination, from.clone());
        let before = match route {
            Some(route) => self.facts.routes.insert(key, route.clone()),
            None => self.facts.routes.remove(&key),
        };
        for target in before.iter().flat_map(|route| &route.targets) {
            self.facts.imported.remove(&(*target, destination, from.clone()));
        }
        for target in route.into_iter().flat_map(|route| &route.targets) {
            self.facts.imported.insert((*target, destination, from.clone()));
        }
    }

    /// The same rows, with what another model has learned.
    #[must_use]
    pub fn with_facts_of(mut self, other: &Self) -> Self {
        self.facts = other.facts.clone();
        self
    }

    /// All routes that have been learned.
    pub fn learned_routes(&self) -> impl Iterator<Item = (&(IpNet, Source), &LearnedRoute)> {
        self.facts.routes.iter()
    }

    /// The learned route of a source to a destination.
    #[must_use]
    pub fn learned_route(&self, destination: IpNet, from: &Source) -> Option<&LearnedRoute> {
        self.facts.routes.get(&(destination, from.clone()))
    }

    /// Whether a vNIC has a carrier, as far as its host has said.
    pub(crate) fn has_carrier(&self, port: Id, host: &HostName) -> bool {
        self.facts.without_carrier.is_empty() || !self.facts.without_carrier.contains(&(port, host.clone()))
    }

    /// The learned routes with this target to a destination.
    pub(crate) fn learned_by(
        &self,
        target: RouteTarget,
        destination: IpNet,
    ) -> impl Iterator<Item = (&Source, &LearnedRoute)> + use<'_> {
        let of_target = self.facts.imported.range((target, destination, Source::first())..);
        let of_target = of_target.take_while(move |entry| (entry.0, entry.1) == (target, destination));
        of_target.filter_map(move |(_, _, source)| Some((source, self.learned_route(destination, source)?)))
    }

    /// Where the learned routes with this target lead.
    pub(crate) fn learned_destinations(&self, target: RouteTarget) -> impl Iterator<Item = IpNet> + use<'_> {
        let everything = IpNet::new(IpAddr::from([0, 0, 0, 0]), 0).expect("zero is the length of a prefix");
        let of_target = self.facts.imported.range((target, everything, Source::first())..);
        of_target.take_while(move |entry| entry.0 == target).map(|entry| entry.1)
    }
}

impl Source {
    /// What comes before all others.
    fn first() -> Self {
        let route_distinguisher = RouteDistinguisher::from_octets([0; 8]);
        Self { route_distinguisher, path: (IpAddr::from([0, 0, 0, 0]), 0) }
    }
}
