//! BGP peers: to whom is spoken, and how.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use weft_net::Asn;

use super::speaker;
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::change::{Change, Named, typed};
use crate::standard::standard_attributes;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, Row, RowKey, RowKind, Secret, Standard};

/// A BGP peer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BgpPeer {
    /// Identifier, project, name …
    pub standard: Standard,
    /// Its address.
    pub peer_ip: IpAddr,
    /// Its autonomous system.
    pub remote_as: Asn,
    /// How its packets are known to be its own.
    pub auth_type: AuthType,
    /// The key of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The address families that are spoken with it.
    pub families: BTreeSet<Family>,
    /// How long it may be silent (RFC 4271 §4.2), in seconds; 0: for ever.
    pub hold_time_seconds: u16,
    /// How many hops away it is at most, if packets from farther away are not taken (RFC 5082).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_security: Option<u8>,
    /// Whether it is waited for, and not called.
    pub passive: bool,
    /// How many routes it may tell; more end the session (RFC 4486: maximum number of prefixes reached).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix_limit: Option<u32>,
    /// Whether routes of other internal peers are reflected to it (RFC 4456).
    pub route_reflector_client: bool,
    /// Whether its routes are kept while it restarts (RFC 4724).
    pub graceful_restart: bool,
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

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// IPv4 prefixes.
    Ipv4Unicast,
    /// IPv6 prefixes.
    Ipv6Unicast,
    /// IPv4 prefixes of VPNs (RFC 4364).
    Vpnv4,
    /// IPv6 prefixes of VPNs (RFC 4659).
    Vpnv6,
    /// MAC addresses and prefixes of VPNs (RFC 7432, RFC 9136).
    Evpn,
    /// Which route targets are wanted (RFC 4684).
    RouteTarget,
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

#[derive(serde::Deserialize)]
struct Spec {
    #[serde(flatten)]
    named: Named,
    peer_ip: IpAddr,
    remote_as: u32,
    auth_type: AuthType,
    /// Nothing if none is given; then the stored one stays.
    #[serde(default, deserialize_with = "given")]
    password: Option<Option<Secret>>,
    families: BTreeSet<Family>,
    hold_time_seconds: u16,
    ttl_security: Option<u8>,
    passive: bool,
    prefix_limit: Option<u32>,
    route_reflector_client: bool,
    graceful_restart: bool,
}

#[expect(clippy::option_option, reason = "null is given, too")]
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Secret>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl Spec {
    /// The peer that is asked for, with the key that is given or is there.
    fn built(self, standard: Standard, stored: Option<Secret>) -> Result<BgpPeer, Refusal> {
        if (1..3).contains(&self.hold_time_seconds) {
            let rule = format!("'{}' is neither 0 nor at least 3", self.hold_time_seconds);
            return Err(Refusal::attribute("hold_time_seconds", rule));
        }
        let password = self.password.unwrap_or(stored).filter(|password| !password.reveal().is_empty());
        if self.auth_type == AuthType::Md5 && password.is_none() {
            return Err(Refusal::invalid(
                "InvalidBgpPeerMd5Authentication",
                "A password must be supplied when using auth_type md5.",
            ));
        }
        if self.families.is_empty() {
            return Err(Refusal::attribute("families", "there is nothing to be spoken of"));
        }
        Ok(BgpPeer {
            standard,
            peer_ip: self.peer_ip,
            remote_as: Asn::new(self.remote_as),
            auth_type: self.auth_type,
            password,
            families: self.families,
            hold_time_seconds: self.hold_time_seconds,
            ttl_security: self.ttl_security,
            passive: self.passive,
            prefix_limit: self.prefix_limit,
            route_reflector_client: self.route_reflector_client,
            graceful_restart: self.graceful_restart,
        })
    }
}

/// The longest key of the MD5 signature option that Linux takes, in bytes.
const PASSWORD_MAX: usize = 80;

const FAMILIES: AttributeType = AttributeType::ListOf(&AttributeType::OneOf(&[
    "ipv4-unicast",
    "ipv6-unicast",
    "vpnv4",
    "vpnv6",
    "evpn",
    "route-target",
]));

/// The collection of BGP peers.
pub struct BgpPeers;

impl BgpPeers {
    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        Attribute::required("peer_ip", AttributeType::IpAddress, "Its address"),
        Attribute::required("remote_as", AttributeType::Integer(1, 0xffff_ffff), "Its autonomous system"),
        Attribute::with_default(
            "auth_type",
            AttributeType::OneOf(&["none", "md5"]),
            "\"none\"",
            "How its packets are known to be its own"
        )
        .immutable(),
        Attribute::optional("password", AttributeType::Secret(PASSWORD_MAX), "Key of auth_type md5")
            .nullable(),
        Attribute::with_default(
            "families",
            FAMILIES,
            r#"["vpnv4","vpnv6","evpn"]"#,
            "Address families that are spoken with it",
        ),
        Attribute::with_default(
            "hold_time_seconds",
            AttributeType::Integer(0, 65_535),
            "90",
            "How long it may be silent; 0: for ever",
        ),
        Attribute::optional(
            "ttl_security",
            AttributeType::Integer(1, 254),
            "How many hops away it is at most"
        )
        .nullable(),
        Attribute::with_default(
            "passive",
            AttributeType::Boolean,
            "false",
            "Whether it is waited for, not called"
        ),
        Attribute::optional(
            "prefix_limit",
            AttributeType::Integer(1, 0xffff_ffff),
            "How many routes it may tell"
        )
        .nullable(),
        Attribute::with_default(
            "route_reflector_client",
            AttributeType::Boolean,
            "false",
            "Whether routes of other internal peers are reflected to it",
        ),
        Attribute::with_default(
            "graceful_restart",
            AttributeType::Boolean,
            "true",
            "Whether its routes are kept while it restarts",
        ),
    ];
}

impl Resource for BgpPeers {
    fn kind(&self) -> Option<RowKind> {
        Some(RowKind::BgpPeer)
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        let peer = model.bgp_peers.get(&id.parse::<Id>().ok()?)?;
        let mut map = Map::new();
        peer.standard.render(&mut map);
        map.insert("peer_ip".into(), json!(peer.peer_ip));
        map.insert("remote_as".into(), json!(peer.remote_as.get()));
        map.insert("auth_type".into(), json!(peer.auth_type));
        map.insert("families".into(), json!(peer.families));
        map.insert("hold_time_seconds".into(), json!(peer.hold_time_seconds));
        map.insert("ttl_security".into(), json!(peer.ttl_security));
        map.insert("passive".into(), json!(peer.passive));
        map.insert("prefix_limit".into(), json!(peer.prefix_limit));
        map.insert("route_reflector_client".into(), json!(peer.route_reflector_client));
        map.insert("graceful_restart".into(), json!(peer.graceful_restart));
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
