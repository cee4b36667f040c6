//! BGP peers: to whom is spoken, and how.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use weft_net::Asn;

use super::family::Family;
use super::peer_spec::Spec;
use super::policy::PolicyRule;
use super::speaker;
use crate::catalogue::{Resource, Statuses};
use crate::change::{Change, typed};
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, Row, RowKey, RowKind, Secret, Standard};

/// A BGP peer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BgpPeer {
    /// Identifier, project, name …
    pub standard: Standard,
    /// Where it is.
    #[serde(flatten)]
    pub place: PeerPlace,
    /// Its autonomous system.
    pub remote_as: Asn,
    /// How its packets are known to be its own.
    pub auth_type: AuthType,
    /// The key of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The address families that are spoken with it.
    pub families: BTreeSet<Family>,
    /// Those of which it is told several paths to one destination (RFC 7911).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub add_path_send: BTreeSet<Family>,
    /// Those of which it may tell several.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub add_path_receive: BTreeSet<Family>,
    /// Whether next hops of IPv4 prefixes may be IPv6 addresses (RFC 8950).
    #[serde(default)]
    pub extended_next_hop: bool,
    /// How long it may be silent (RFC 4271 §4.2), in seconds; 0: for ever.
    pub hold_time_seconds: u16,
    /// How many hops away it is at most, if packets from farther away are not taken (RFC 5082).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_security: Option<u8>,
    /// Whether it is waited for, and not called.
    pub passive: bool,
    /// The port at which it is called.
    #[serde(default = "port")]
    pub peer_port: u16,
    /// The address from which it is called; the kernel's choice if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_ip: Option<IpAddr>,
    /// How long after one call comes the next, in seconds.
    #[serde(default = "connect_retry")]
    pub connect_retry_seconds: u16,
    /// How many routes of each family it may tell; more end the session (RFC 4486: maximum number of prefixes reached).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_limit: Option<u32>,
    /// The same of some families, for which that limit is not; nothing: as many as it likes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prefix_limits: BTreeMap<Family, Option<u32>>,
    /// How long the session rests after more routes than that, in seconds.
    #[serde(default = "prefix_limit_idle")]
    pub prefix_limit_idle_seconds: u32,
    /// Whether routes of other internal peers are reflected to it (RFC 4456).
    pub route_reflector_client: bool,
    /// Whether its routes are kept while it restarts (RFC 4724).
    pub graceful_restart: bool,
    /// How long it keeps our routes while we do, in seconds (RFC 4724 §3).
    #[serde(default = "restart_time")]
    pub restart_time_seconds: u16,
    /// How long routes of either side are the last choice after that (RFC 9494), in seconds; 0: not at all.
    #[serde(default)]
    pub long_lived_stale_time_seconds: u32,
    /// What is taken of its routes; without rules all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub import_policy: Vec<PolicyRule>,
    /// What it is told; without rules all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub export_policy: Vec<PolicyRule>,
}

/// Where peers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
pub enum PeerPlace {
    /// One, of this address.
    Address {
        /// The address.
        peer_ip: IpAddr,
    },
    /// Whoever comes from there, and is not another peer.
    Range {
        /// From where.
        listen_range: IpNet,
        /// How many there may be at a time.
        listen_limit: u16,
    },
}

/// How packets of a session are known to be the peer's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthType {
    /// They are not.
    None,
    /// By the MD5 signature option of TCP (RFC 2385).
    Md5,
}

const fn port() -> u16 {
    179
}

const fn connect_retry() -> u16 {
    2
}

const fn prefix_limit_idle() -> u32 {
    300
}

const fn restart_time() -> u16 {
    120
}

impl PeerPlace {
    /// All addresses from which it may come.
    #[must_use]
    pub fn prefix(&self) -> IpNet {
        match self {
            Self::Address { peer_ip } => (*peer_ip).into(),
            Self::Range { listen_range, .. } => *listen_range,
        }
    }
}

impl fmt::Display for PeerPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { peer_ip } => write!(f, "{peer_ip}"),
            Self::Range { listen_range, .. } => write!(f, "{listen_range}"),
        }
    }
}

impl BgpPeer {
    /// How many routes of a family it may tell.
    #[must_use]
    pub fn prefix_limit_of(&self, family: Family) -> Option<u32> {
        self.prefix_limits.get(&family).copied().unwrap_or(self.prefix_limit)
    }
}

impl Stored for BgpPeer {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        Vec::new()
    }

    fn check_claims(&self, _: &Model) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Indexed for BgpPeer {
    fn index(_: &mut Model, _: Option<&Self>, _: Option<&Self>) {}
}

/// The collection of BGP peers.
pub struct BgpPeers;

impl Resource for BgpPeers {
    fn kind(&self) -> Option<RowKind> {
        Some(RowKind::BgpPeer)
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        let peer = model.bgp_peers.get(&id.parse::<Id>().ok()?)?;
        let mut map = Map::new();
        peer.standard.render(&mut map);
        let (peer_ip, listen_range, listen_limit) = match peer.place {
            PeerPlace::Address { peer_ip } => (Some(peer_ip), None, None),
            PeerPlace::Range { listen_range, listen_limit } => (None, Some(listen_range), Some(listen_limit)),
        };
        map.insert("peer_ip".into(), json!(peer_ip));
        map.insert("listen_range".into(), json!(listen_range));
        map.insert("listen_limit".into(), json!(listen_limit));
        map.insert("remote_as".into(), json!(peer.remote_as.get()));
        map.insert("auth_type".into(), json!(peer.auth_type));
        map.insert("families".into(), json!(peer.families));
        map.insert("add_path_send".into(), json!(peer.add_path_send));
        map.insert("add_path_receive".into(), json!(peer.add_path_receive));
        map.insert("extended_next_hop".into(), json!(peer.extended_next_hop));
        map.insert("hold_time_seconds".into(), json!(peer.hold_time_seconds));
        map.insert("ttl_security".into(), json!(peer.ttl_security));
        map.insert("passive".into(), json!(peer.passive));
        map.insert("peer_port".into(), json!(peer.peer_port));
        map.insert("local_ip".into(), json!(peer.local_ip));
        map.insert("connect_retry_seconds".into(), json!(peer.connect_retry_seconds));
        map.insert("prefix_limit".into(), json!(peer.prefix_limit));
        let limits = peer.prefix_limits.iter();
        let limits = limits.map(|(family, limit)| json!({ "family": family, "limit": limit }));
        map.insert("prefix_limits".into(), limits.collect());
        map.insert("prefix_limit_idle_seconds".into(), json!(peer.prefix_limit_idle_seconds));
        map.insert("route_reflector_client".into(), json!(peer.route_reflector_client));
        map.insert("graceful_restart".into(), json!(peer.graceful_restart));
        map.insert("restart_time_seconds".into(), json!(peer.restart_time_seconds));
        map.insert("long_lived_stale_time_seconds".into(), json!(peer.long_lived_stale_time_seconds));
        map.insert("import_policy".into(), json!(peer.import_policy));
        map.insert("export_policy".into(), json!(peer.export_policy));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let spec: Spec = typed(merged)?;
        let id = change.choose_id();
        let standard = change.standard(id, spec.named.clone());
        let peer = spec.built(standard, None)?;
        change.put(Row::BgpPeer(Arc::new(peer)));
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().bgp_peers.get(&id).cloned());
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let spec: Spec = typed(merged)?;
        if stored.auth_type == AuthType::None && matches!(spec.password, Some(Some(_))) {
            let message = format!("BGP peer {id} not authenticated.");
            return Err(Refusal { message, ..Refusal::not_found("BgpPeerNotAuthenticated", "BGP peer", id) });
        }
        let mut standard = stored.standard.clone();
        standard.rename(spec.named.clone(), change.now());
        let peer = spec.built(standard, stored.password.clone())?;
        change.put(Row::BgpPeer(Arc::new(peer)));
        Ok(())
    }

    /// Whoever speaks to it does so no more.
    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        let Some(key @ RowKey::Resource(_, peer)) = self.row_key(change.model(), id) else {
            return Err(self.not_found(id));
        };
        speaker::forget_peer(change, peer);
        change.delete(key);
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("BgpPeerNotFound", "BGP peer", id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_was_stored_before_there_were_options_is_as_it_was() {
        let standard = serde_json::json!({
            "id": Id::from_random([1; 16]), "project_id": "p", "name": "edge", "description": "", "created_at": 0, "updated_at": 0,
            "revision_number": 1,
        });
        let stored = serde_json::json!({
            "standard": standard, "peer_ip": "192.0.2.1", "remote_as": "64512", "auth_type": "none",
            "families": ["vpnv4", "evpn"], "hold_time_seconds": 90, "passive": false, "prefix_limit": 10,
            "route_reflector_client": false, "graceful_restart": true,
        });
        let peer: BgpPeer = serde_json::from_value(stored).unwrap();
        assert_eq!(peer.place, PeerPlace::Address { peer_ip: [192, 0, 2, 1].into() });
        assert_eq!((peer.peer_port, peer.connect_retry_seconds, peer.restart_time_seconds), (179, 2, 120));
        assert_eq!(peer.prefix_limit_of(Family::Evpn), Some(10));
        assert!(peer.add_path_send.is_empty() && !peer.extended_next_hop);
        let again = serde_json::from_slice(&serde_json::to_vec(&peer).unwrap()).unwrap();
        assert_eq!(peer, again);
        let range = PeerPlace::Range { listen_range: "192.0.2.0/24".parse().unwrap(), listen_limit: 7 };
        let peer = BgpPeer { place: range, ..peer };
        assert_eq!(serde_json::from_slice::<BgpPeer>(&serde_json::to_vec(&peer).unwrap()).unwrap(), peer);
    }
}
