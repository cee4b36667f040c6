//! What an operator can ask.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use weft_net::Asn;

use super::Speaker;
use super::peer::{Life, Peer, Stale};
use crate::rib::{Decision, PathView, Step};
use crate::session::{FsmState, Statistics};
use crate::wire::{Attributes, Capability, Destination, ExtendedCommunity, Family, NextHop, Payload};

/// The speaker as a whole.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct SpeakerStatus {
    /// Its autonomous system.
    pub asn: Asn,
    /// Its BGP identifier.
    pub router_id: Ipv4Addr,
    /// Whether it still awaits routes after a restart.
    pub is_settling: bool,
    /// How many destinations there are of each family.
    pub destinations: Vec<(String, usize)>,
    /// How many different attribute sets.
    pub attribute_sets: usize,
}

/// A neighbour.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct NeighborStatus {
    /// Its address.
    pub address: IpAddr,
    /// Its autonomous system, once known.
    pub asn: Option<Asn>,
    /// Its BGP identifier, once known.
    pub router_id: Option<Ipv4Addr>,
    /// Whether it came by itself.
    pub is_dynamic: bool,
    /// The state of the session.
    pub state: FsmState,
    /// For how long it is established, in seconds.
    pub established_s: Option<u64>,
    /// What ended it last.
    pub last_error: Option<String>,
    /// What came of the last connection that did not become a session.
    pub last_attempt: Option<String>,
    /// The hold time that was agreed on, in seconds.
    pub hold_time_s: Option<u64>,
    /// What the neighbour can.
    pub capabilities: Vec<String>,
    /// Messages.
    pub statistics: Statistics,
    /// Announced routes that were not taken: by policy, or because they had been here before.
    pub rejected: u64,
    /// The families that are spoken, or of which there are routes.
    pub families: Vec<FamilyStatus>,
}

/// A family with a neighbour.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct FamilyStatus {
    /// Its name.
    pub family: String,
    /// How many paths of the neighbour's there are.
    pub received: u32,
    /// How many there may be.
    pub prefix_limit: Option<u32>,
    /// Whether that is three quarters or more of the limit.
    pub is_near_limit: bool,
    /// How many destinations the neighbour has been told of.
    pub told: usize,
    /// How many it has yet to be told of.
    pub pending: usize,
    /// Whether all its routes have come.
    pub has_ended: bool,
    /// `fresh`, `restarting`, `long_lived` or `refreshing`.
    pub stale: &'static str,
}

/// The paths to a destination.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct RouteStatus {
    /// The destination.
    #[serde(serialize_with = "as_text")]
    pub destination: Destination,
    /// The best first.
    pub paths: Vec<PathStatus>,
}

/// A path.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[expect(missing_docs, reason = "each is the attribute of its name")]
pub struct PathStatus {
    /// Who it is from; none if it is originated here.
    pub neighbor: Option<IpAddr>,
    /// The path identifier as received.
    pub path_id: u32,
    /// Whether the neighbour is away or has not yet said it again.
    pub is_stale: bool,
    /// Of a VPN route the MPLS label, of EVPN the VNI.
    pub label: Option<u32>,
    #[serde(serialize_with = "as_text")]
    pub next_hop: NextHop,
    pub origin: String,
    pub as_path: String,
    pub local_pref: Option<u32>,
    pub multi_exit_disc: Option<u32>,
    pub communities: Vec<String>,
    pub extended_communities: Vec<String>,
    pub route_targets: Vec<String>,
    pub originator_id: Option<Ipv4Addr>,
    pub cluster_list: Vec<Ipv4Addr>,
}

fn as_text<S: serde::Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Why a path is the best.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Explanation {
    /// The path.
    pub best: PathStatus,
    /// The rule that decided.
    pub step: Step,
    /// The same in words.
    pub because: String,
    /// Who was beaten by it.
    pub runner_up: Option<PathStatus>,
    /// How many paths are as good but for the tie-breakers, it included.
    pub equal: usize,
    /// All others, in the order of the steps at which they were beaten (RFC 4271 §9.1.2.2).
    pub beaten: Vec<BeatenPath>,
}

/// A path that is not the best.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct BeatenPath {
    /// The path.
    pub path: PathStatus,
    /// The rule by which it was beaten.
    pub step: Step,
    /// The same in words, of those that it was beaten by.
    pub because: String,
    /// Whether traffic may be shared with it nevertheless.
    pub is_equal: bool,
}

impl Speaker {
    /// The speaker as a whole.
    #[must_use]
    pub fn status(&self) -> SpeakerStatus {
        let count = |family: Family| (family.to_string(), self.rib.table(family).len());
        SpeakerStatus {
            asn: self.config.asn,
            router_id: self.config.router_id,
            is_settling: self.settling_until.is_some(),
            destinations: Family::ALL.map(count).into(),
            attribute_sets: self.rib.attribute_sets(),
        }
    }

    /// Its neighbours.
    #[must_use]
    pub fn neighbors(&self, now: Instant) -> Vec<NeighborStatus> {
        self.peers
            .values()
            .filter(|peer| peer.life != Life::Leaving)
            .map(|peer| self.neighbor(peer, now))
            .collect()
    }

    fn neighbor(&self, peer: &Peer, now: Instant) -> NeighborStatus {
        let negotiated = peer.session.negotiated().map(|(_, negotiated)| negotiated);
        let families = Family::ALL.into_iter().filter(|family| {
            peer.config.family(*family).is_some() || self.rib.count(peer.index, *family) > 0
        });
        NeighborStatus {
            address: peer.config.address,
            asn: negotiated.map(|negotiated| negotiated.peer_as),
            router_id: negotiated.map(|negotiated| negotiated.open.router_id),
            is_dynamic: peer.life == Life::Dynamic,
            state: peer.session.state(),
            established_s: peer.session.established_since().map(|since| now.duration_since(since).as_secs()),
            last_error: peer.session.last_error().map(ToOwned::to_owned),
            last_attempt: peer.session.last_attempt().map(ToOwned::to_owned),
            hold_time_s: negotiated.and_then(|negotiated| negotiated.hold_time).map(|time| time.as_secs()),
            capabilities: negotiated.map_or_else(Vec::new, |negotiated| {
                negotiated.open.capabilities.iter().map(capability).collect()
            }),
            statistics: peer.session.statistics().clone(),
            rejected: peer.rejected,
            families: families.map(|family| self.family_status(peer, family)).collect(),
        }
    }

    fn family_status(&self, peer: &Peer, family: Family) -> FamilyStatus {
        let state = &peer.families[family as usize];
        let (pending, told) = self.rib.table(family).told(peer.index);
        FamilyStatus {
            family: family.to_string(),
            received: self.rib.count(peer.index, family),
            prefix_limit: peer.config.family(family).and_then(|config| config.prefix_limit),
            is_near_limit: state.is_near_limit,
            told,
            pending,
            has_ended: state.has_ended,
            stale: match state.stale {
                Stale::No => "fresh",
                Stale::Restarting(_) => "restarting",
                Stale::LongLived(_) => "long_lived",
                Stale::Refreshing(_) => "refreshing",
            },
        }
    }

    /// How the paths to a destination were compared; nothing if there are none.
    #[must_use]
    pub fn explain(&self, destination: &Destination) -> Option<Explanation> {
        let family = destination.family();
        let (Decision { best, step, runner_up, equal }, beaten) = self.rib.decision(destination)?;
        let paths = self.rib.table(family).paths(destination);
        let status = |index: usize| paths.get(index).map(|path| self.path_status(family, path));
        let beaten = beaten.into_iter().filter_map(|(index, at)| {
            let is_equal = equal.contains(&index);
            Some(BeatenPath { path: status(index)?, step: at, because: at.to_string(), is_equal })
        });
        Some(Explanation {
            best: status(best)?,
            step,
            because: step.to_string(),
            runner_up: runner_up.and_then(status),
            equal: equal.len(),
            beaten: beaten.collect(),
        })
    }

    pub(super) fn path_status(&self, family: Family, path: &PathView<'_>) -> PathStatus {
        self.path_status_with(family, path, &path.attributes.attributes)
    }

    /// A path with other attributes than it has in the table.
    pub(super) fn path_status_with(
        &self,
        family: Family,
        path: &PathView<'_>,
        attributes: &Attributes,
    ) -> PathStatus {
        let peer = self.peers.get(&path.peer.0);
        let is_stale = peer.is_some_and(|peer| {
            let state = &peer.families[family as usize];
            state.epoch != path.epoch || matches!(state.stale, Stale::Restarting(_) | Stale::LongLived(_))
        });
        let communities = attributes.extended_communities();
        let targets = communities.iter().filter_map(|community| ExtendedCommunity::route_target(*community));
        PathStatus {
            neighbor: peer.map(|peer| peer.config.address),
            path_id: path.path_id,
            is_stale,
            label: match &path.payload {
                Payload::None => None,
                Payload::Label(label) => Some(label.label().get()),
                Payload::Evpn(payload) => Some(payload.label.bits()),
            },
            next_hop: attributes.next_hop,
            origin: format!("{:?}", attributes.origin).to_lowercase(),
            as_path: attributes.as_path.to_string(),
            local_pref: attributes.local_pref,
            multi_exit_disc: attributes.multi_exit_disc,
            communities: attributes.communities().iter().map(ToString::to_string).collect(),
            extended_communities: communities.iter().map(ToString::to_string).collect(),
            route_targets: targets.map(|target| target.to_string()).collect(),
            originator_id: attributes.rare().originator_id,
            cluster_list: attributes.rare().cluster_list.clone(),
        }
    }
}

/// A capability in words.
fn capability(capability: &Capability) -> String {
    let name = |raw: &crate::wire::RawFamily| {
        raw.known().map_or_else(|| format!("{}/{}", raw.afi, raw.safi), |family| family.to_string())
    };
    match capability {
        Capability::Multiprotocol(raw) => format!("multiprotocol {}", name(raw)),
        Capability::RouteRefresh => "route refresh".to_owned(),
        Capability::EnhancedRouteRefresh => "enhanced route refresh".to_owned(),
        Capability::ExtendedMessage => "extended message".to_owned(),
        Capability::ExtendedNextHop(_) => "extended next hop".to_owned(),
        Capability::FourOctetAs(asn) => format!("four-octet AS {asn}"),
        Capability::AddPath(families) => {
            let families: Vec<String> =
                families.iter().map(|(raw, mode)| format!("{} {mode:?}", name(raw)).to_lowercase()).collect();
            format!("add-path {}", families.join(", "))
        }
        Capability::GracefulRestart(graceful) => {
            let restarting = if graceful.is_restarting { ", restarting" } else { "" };
            format!("graceful restart, {} s{restarting}", graceful.restart_time_s)
        }
        Capability::LongLivedGracefulRestart(_) => "long-lived graceful restart".to_owned(),
        Capability::Unknown { code, .. } => format!("capability {code}"),
    }
}
