//! Facts: what is learned rather than asked for. Nobody stores it with the rows; whoever learns it tells it anew.
//!
//! ```text
//! BGP speaker ── routes ──┐
//! agents ── carriers ─────┴─> Fact ── Model::learn ──> what compilation sees; compile::touched_by says which fragments
//! ```

use std::net::IpAddr;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;
use weft_net::{HostName, Mac, MplsLabel, Vni};

use crate::{Id, Model};

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
        /// The routes, each as good as the others.
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
    /// vNICs without a carrier, and the host that said so.
    without_carrier: OrdSet<(Id, HostName)>,
}

impl Model {
    /// Takes facts over. No row changes by it.
    pub fn learn<'f>(&mut self, facts: impl IntoIterator<Item = &'f Fact>) {
        self.facts.learn(facts);
    }

    /// Of these facts those about what there is: VRFs, ports on hosts.
    #[must_use]
    pub fn facts_of_ours(&self, mut facts: Facts) -> Facts {
        let gone = facts.routes.keys().filter(|(vrf, _)| !self.vrfs.contains_key(vrf));
        for key in gone.copied().collect::<Vec<_>>() {
            facts.routes.remove(&key);
        }
        let is_there = |(port, host): &&(Id, HostName)| {
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
        self.facts.without_carrier.is_empty() || !self.facts.without_carrier.contains(&(port, host.clone()))
    }
}

impl Facts {
    /// Takes facts over.
    pub fn learn<'f>(&mut self, facts: impl IntoIterator<Item = &'f Fact>) {
        for fact in facts {
            match fact {
                Fact::Routes { vrf, destination, routes } if routes.is_empty() => {
                    self.routes.remove(&(*vrf, *destination));
                }
                Fact::Routes { vrf, destination, routes } => {
                    self.routes.insert((*vrf, *destination), routes.as_slice().into());
                }
                Fact::Carrier { port, host, is_there: true } => {
                    self.without_carrier.remove(&(*port, host.clone()));
                }
                Fact::Carrier { port, host, is_there: false } => {
                    self.without_carrier.insert((*port, host.clone()));
                }
            }
        }
    }

    /// All of them, one by one: who learns them has the same.
    pub fn iter(&self) -> impl Iterator<Item = Fact> {
        let routes = self.routes.iter().map(|((vrf, destination), routes)| Fact::Routes {
            vrf: *vrf,
            destination: *destination,
            routes: routes.to_vec(),
        });
        let carrier = |(port, host): &(Id, HostName)| Fact::Carrier {
            port: *port,
            host: host.clone(),
            is_there: false,
        };
        routes.chain(self.without_carrier.iter().map(carrier))
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

    /// The vNICs that have lost their carrier, each with the host that said so.
    pub fn without_carrier(&self) -> impl Iterator<Item = &(Id, HostName)> {
        self.without_carrier.iter()
    }
}
