//! What a speaker and its neighbours are configured with.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use weft_net::Asn;

use crate::policy::Policy;
use crate::session::{GracefulConfig, PeerAs, SessionConfig};
use crate::text;
use crate::wire::{Family, FamilySet};

/// The port of BGP.
pub const PORT: u16 = 179;

/// A key of TCP MD5 signatures (RFC 2385). It is not shown where something that has it is.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Md5Key(String);

impl Md5Key {
    /// The key itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Md5Key {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl fmt::Debug for Md5Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Md5Key")
    }
}

/// A speaker.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpeakerConfig {
    /// Our autonomous system.
    pub asn: Asn,
    /// Our BGP identifier, never 0.0.0.0.
    pub router_id: Ipv4Addr,
    /// The identifier of our cluster of reflectors (RFC 4456 §7); the BGP identifier if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<Ipv4Addr>,
    /// What is taken from, and sent to, a neighbour of another AS without a policy for that.
    #[serde(default)]
    pub without_external_policy: ExternalDefault,
    /// Given if the last life of this speaker ended a moment ago and others may have kept its routes (RFC 4724 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarted: Option<Restarted>,
    /// Neighbours that may come without being known by address; of several prefixes the narrowest counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept: Vec<AcceptConfig>,
}

/// What is taken from a neighbour of another AS for which there is no import policy, and sent to one for which there is no export policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExternalDefault {
    /// Nothing (RFC 8212).
    #[default]
    Nothing,
    /// Everything is taken. Sent is what our own AS originates: our routes, and those of neighbours of our AS whose AS path is empty.
    /// So nobody gets from one AS to another by way of ours (RFC 7454 §9).
    OwnRoutes,
    /// Everything, also what other ASes originate.
    Everything,
}

/// A restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restarted {
    /// Whether packets were forwarded meanwhile.
    pub forwarding_kept: bool,
    /// How long routes are awaited before the best are chosen and sent, in seconds.
    pub deferral_time_s: u16,
}

/// Neighbours of any address of a prefix.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptConfig {
    /// Where they may come from.
    pub prefix: IpNet,
    /// How many there may be at a time.
    pub neighbors_max: u16,
    /// How each is then configured; its address is the one it comes from, and it is never connected to.
    pub neighbor: PeerConfig,
}

/// A neighbour.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its address; of a template, any.
    #[serde(default = "unspecified")]
    pub address: IpAddr,
    /// Its port.
    #[serde(default = "port")]
    pub port: u16,
    /// The address that we speak from; the kernel's choice if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_address: Option<IpAddr>,
    /// Its autonomous system.
    pub asn: PeerAsn,
    /// What is spoken with it.
    pub families: Vec<FamilyConfig>,
    /// The proposed hold time, in seconds: 0, or 3 and more.
    #[serde(default = "hold_time")]
    pub hold_time_s: u16,
    /// How long after one attempt to connect comes the next, in milliseconds.
    #[serde(default = "connect_retry")]
    pub connect_retry_ms: u32,
    /// Whether it is waited for instead of connected to.
    #[serde(default)]
    pub is_passive: bool,
    /// Whether and how routes survive a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graceful_restart: Option<GracefulConfig>,
    /// The key of TCP MD5 signatures (RFC 2385), 1 to 80 octets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5_key: Option<Md5Key>,
    /// How many hops away the neighbour is at most: only packets with that little less than 255 of their TTL are taken (RFC 5082).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_security_hops: Option<u8>,
    /// Whether routes of its own AS are reflected to and from it (RFC 4456).
    #[serde(default)]
    pub is_route_reflector_client: bool,
    /// Whether routes that are passed on to it get our address as next hop; if not given, exactly those to another AS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop_self: Option<bool>,
    /// Our IPv6 address in next hops, in a session over IPv4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_address6: Option<Ipv6Addr>,
    /// What is taken from it; all if not given, but see `without_external_policy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<Policy>,
    /// What is sent to it; all if not given, but see `without_external_policy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<Policy>,
    /// How long the session rests after more routes than allowed, in seconds; until it is started again if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_limit_idle_hold_s: Option<u32>,
    /// Whether each UPDATE is written again and compared with what came: for tests and for trouble.
    #[serde(default)]
    pub verifies_encoding: bool,
}

/// An autonomous system, or a wish for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerAsn {
    /// Any but ours.
    External,
    /// Any.
    Any,
    /// This one.
    #[serde(untagged)]
    Exactly(Asn),
}

/// What is spoken of one family.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FamilyConfig {
    /// The family.
    #[serde(with = "one_family")]
    pub family: Family,
    /// How many paths the neighbour may have that policy lets through; one more ends the session (RFC 4486 §4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_limit: Option<u32>,
    /// Whether several paths to one destination are taken (RFC 7911).
    #[serde(default)]
    pub add_path_receive: bool,
    /// Whether they are sent.
    #[serde(default)]
    pub add_path_send: bool,
    /// Whether next hops of an IPv4 family may be IPv6 addresses (RFC 8950).
    #[serde(default)]
    pub extended_next_hop: bool,
}

mod one_family {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::{Family, text};

    pub(super) fn serialize<S: Serializer>(family: &Family, serializer: S) -> Result<S::Ok, S::Error> {
        text::serialize(family, serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Family, D::Error> {
        let name = String::deserialize(deserializer)?;
        text::family(&name).ok_or_else(|| {
            let names = Family::ALL.map(|family| family.to_string()).join(", ");
            D::Error::custom(format!("'{name}' is not an address family: {names}"))
        })
    }
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {rule}")]
pub struct ConfigError {
    /// The field.
    pub field: &'static str,
    /// What it has to be.
    pub rule: &'static str,
}

impl FamilyConfig {
    /// The family, without options.
    #[must_use]
    pub const fn new(family: Family) -> Self {
        Self {
            family,
            prefix_limit: None,
            add_path_receive: false,
            add_path_send: false,
            extended_next_hop: false,
        }
    }
}

impl SpeakerConfig {
    /// A speaker without neighbours.
    #[must_use]
    pub const fn new(asn: Asn, router_id: Ipv4Addr) -> Self {
        Self {
            asn,
            router_id,
            cluster_id: None,
            without_external_policy: ExternalDefault::Nothing,
            restarted: None,
            accept: Vec::new(),
        }
    }

    pub(crate) fn cluster_id(&self) -> Ipv4Addr {
        self.cluster_id.unwrap_or(self.router_id)
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let refused = |field, rule| Err(ConfigError { field, rule });
        if self.router_id.is_unspecified() {
            return refused("router_id", "0.0.0.0 is no BGP identifier (RFC 6286 §2.1)");
        }
        if self.asn.get() == 0 || self.asn == Asn::TRANS {
            return refused("asn", "0 and 23456 are no autonomous systems (RFC 7607, RFC 6793 §9)");
        }
        self.accept.iter().try_for_each(|accept| accept.neighbor.check())
    }
}

impl AcceptConfig {
    /// How a neighbour is configured that comes from this address.
    pub(crate) fn neighbor_at(&self, address: IpAddr) -> PeerConfig {
        PeerConfig { address, is_passive: true, ..self.neighbor.clone() }
    }
}

impl PeerConfig {
    /// A neighbour of this address and AS, with these families, without options.
    #[must_use]
    pub fn new(address: IpAddr, asn: PeerAsn, families: &[Family]) -> Self {
        Self {
            address,
            port: PORT,
            local_address: None,
            asn,
            families: families.iter().map(|&family| FamilyConfig::new(family)).collect(),
            hold_time_s: hold_time(),
            connect_retry_ms: connect_retry(),
            is_passive: false,
            graceful_restart: None,
            md5_key: None,
            ttl_security_hops: None,
            is_route_reflector_client: false,
            next_hop_self: None,
            local_address6: None,
            import: None,
            export: None,
            prefix_limit_idle_hold_s: None,
            verifies_encoding: false,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let refused = |field, rule| Err(ConfigError { field, rule });
        if matches!(self.hold_time_s, 1 | 2) {
            return refused("hold_time_s", "a hold time is 0, or 3 seconds and more (RFC 4271 §4.2)");
        }
        if self.families.is_empty() {
            return refused("families", "a neighbour is spoken to of one family at least");
        }
        if self.connect_retry_ms == 0 {
            return refused("connect_retry_ms", "a pause between attempts takes a millisecond at least");
        }
        if self.md5_key.as_ref().is_some_and(|key| !(1..=80).contains(&key.reveal().len())) {
            return refused("md5_key", "a key has 1 to 80 octets (RFC 2385 §4.5, tcp(7))");
        }
        if self.ttl_security_hops == Some(0) {
            return refused("ttl_security_hops", "a neighbour is one hop away at least");
        }
        if let Some(graceful) = self.graceful_restart {
            if graceful.restart_time_s > 4095 {
                return refused("graceful_restart.restart_time_s", "4095 seconds are the most (RFC 4724 §3)");
            }
            if graceful.long_lived_stale_time_s >= 1 << 24 {
                return refused(
                    "graceful_restart.long_lived_stale_time_s",
                    "16777215 seconds are the most (RFC 9494 §3)",
                );
            }
        }
        Ok(())
    }

    pub(crate) fn family(&self, family: Family) -> Option<&FamilyConfig> {
        self.families.iter().find(|config| config.family == family)
    }

    /// Whether another configuration allows more routes of one family.
    pub(crate) fn has_less_room_than(&self, other: &Self) -> bool {
        let limit = |family: &FamilyConfig| family.prefix_limit.unwrap_or(u32::MAX);
        let mut families = self.families.iter();
        families.any(|had| other.family(had.family).is_none_or(|has| limit(has) > limit(had)))
    }

    pub(crate) fn session(&self, speaker: &SpeakerConfig) -> SessionConfig {
        let peer_as = match self.asn {
            PeerAsn::Exactly(asn) => PeerAs::Exactly(asn),
            PeerAsn::External => PeerAs::External,
            PeerAsn::Any => PeerAs::Any,
        };
        let those = |has: fn(&FamilyConfig) -> bool| -> FamilySet {
            self.families.iter().filter(|config| has(config)).map(|config| config.family).collect()
        };
        let retry = Duration::from_millis(self.connect_retry_ms.into());
        SessionConfig {
            families: those(|_| true),
            add_path_receive: those(|config| config.add_path_receive),
            add_path_send: those(|config| config.add_path_send),
            extended_next_hop: those(|config| config.extended_next_hop),
            hold_time_s: self.hold_time_s,
            connect_retry: retry,
            is_passive: self.is_passive,
            graceful_restart: self.graceful_restart,
            idle_hold_min: retry.min(Duration::from_secs(1)),
            verifies_encoding: self.verifies_encoding,
            ..SessionConfig::new(speaker.asn, speaker.router_id, peer_as)
        }
    }
}

const fn unspecified() -> IpAddr {
    IpAddr::V4(Ipv4Addr::UNSPECIFIED)
}

const fn port() -> u16 {
    PORT
}

const fn hold_time() -> u16 {
    90
}

const fn connect_retry() -> u32 {
    10_000
}
