//! How a session is to be.

use std::net::Ipv4Addr;
use std::time::Duration;

use weft_net::Asn;

use crate::wire::{FamilySet, PeerKind};

/// Which autonomous system a neighbour may be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAs {
    /// This one.
    Exactly(Asn),
    /// Any but ours.
    External,
    /// Any.
    Any,
}

/// How a session is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Our autonomous system.
    pub local_as: Asn,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// The neighbour's.
    pub peer_as: PeerAs,
    /// The families that are announced to be spoken.
    pub families: FamilySet,
    /// Those of which several paths are taken (RFC 7911).
    pub add_path_receive: FamilySet,
    /// Those of which several paths are sent.
    pub add_path_send: FamilySet,
    /// The IPv4 families whose next hops may be IPv6 addresses (RFC 8950).
    pub extended_next_hop: FamilySet,
    /// The hold time that is proposed, in seconds: 0 for none, or 3 and more.
    pub hold_time_s: u16,
    /// How long after one attempt to connect comes the next (RFC 4271 §8.2.1.3); jitter takes up to a quarter off.
    pub connect_retry: Duration,
    /// Whether the neighbour is waited for instead of connected to.
    pub is_passive: bool,
    /// Whether and how routes survive a restart (RFC 4724).
    pub graceful_restart: Option<GracefulConfig>,
    /// How long a session that failed rests at least; with each failure in a row twice as long (RFC 4271 §8.1.1, `DampPeerOscillations`).
    pub idle_hold_min: Duration,
    /// How long at most.
    pub idle_hold_max: Duration,
    /// How long a neighbour may take nothing of what is to be sent (RFC 9687).
    pub send_hold: Duration,
    /// Whether each UPDATE is written again and compared with what came: for tests and for trouble.
    pub verifies_encoding: bool,
}

/// How routes survive a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GracefulConfig {
    /// How long our restart takes at most, in seconds: up to 4095.
    pub restart_time_s: u16,
    /// How long our routes, and the neighbour's, may be stale after that (RFC 9494), in seconds: up to 2^24 - 1; 0 for not at all.
    #[serde(default)]
    pub long_lived_stale_time_s: u32,
}

impl SessionConfig {
    /// A session with a neighbour, of IPv4 unicast routes.
    #[must_use]
    pub fn new(local_as: Asn, router_id: Ipv4Addr, peer_as: PeerAs) -> Self {
        Self {
            local_as,
            router_id,
            peer_as,
            families: FamilySet::from_iter([crate::wire::Family::Ipv4Unicast]),
            add_path_receive: FamilySet::EMPTY,
            add_path_send: FamilySet::EMPTY,
            extended_next_hop: FamilySet::EMPTY,
            hold_time_s: 90,
            connect_retry: Duration::from_secs(30),
            is_passive: false,
            graceful_restart: None,
            idle_hold_min: Duration::from_secs(1),
            idle_hold_max: Duration::from_secs(60),
            send_hold: Duration::from_secs(480),
            verifies_encoding: false,
        }
    }

    pub(crate) fn kind_of(&self, peer_as: Asn) -> PeerKind {
        if peer_as == self.local_as { PeerKind::Internal } else { PeerKind::External }
    }
}
