//! What can be asked for of a BGP peer: the attributes, and the rules between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use weft_net::Asn;

use super::family::{FAMILY, Family};
use super::peer::{AuthType, BgpPeer, BgpPeers, PeerPlace};
use super::policy::{RULES, RuleSpec, rules};
use crate::attribute::{Attribute, AttributeType};
use crate::change::Named;
use crate::standard::standard_attributes;
use crate::{Refusal, Secret, Standard};

/// The longest key of the MD5 signature option that Linux takes, in bytes.
const PASSWORD_MAX: usize = 80;
/// How many neighbours of a range there may be at a time where nothing is said.
const LISTEN_LIMIT: u16 = 100;
/// The most that fits into the 12 bits of a restart time (RFC 4724 §3).
const RESTART_TIME_MAX: i64 = 4095;
/// The most that fits into the 24 bits of a long-lived stale time (RFC 9494 §3).
const STALE_TIME_MAX: i64 = 16_777_215;
/// The port of BGP.
const PORT: u16 = 179;

/// What is asked for of one family.
const OF_FAMILY: &[Attribute] = &[
    Attribute::required("family", FAMILY, "Address family"),
    Attribute::required("limit", AttributeType::Integer(1, 0xffff_ffff), "How many of its routes; null: any")
        .nullable(),
];

impl BgpPeers {
    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        Attribute::optional("peer_ip", AttributeType::IpAddress, "Its address").nullable().immutable(),
        Attribute::optional(
            "listen_range",
            AttributeType::Cidr,
            "Instead of peer_ip: the prefix from which neighbours may come by themselves",
        )
        .nullable()
        .immutable(),
        Attribute::optional(
            "listen_limit",
            AttributeType::Integer(1, 65_535),
            "How many neighbours of listen_range there may be at a time; 100 if nothing is said",
        )
        .nullable(),
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
            AttributeType::ListOf(&FAMILY),
            r#"["vpnv4","vpnv6","evpn"]"#,
            "Address families that are spoken with it",
        ),
        Attribute::with_default(
            "add_path_send",
            AttributeType::ListOf(&FAMILY),
            "[]",
            "Families of which it is told several paths to one destination (RFC 7911)",
        ),
        Attribute::with_default(
            "add_path_receive",
            AttributeType::ListOf(&FAMILY),
            "[]",
            "Families of which it may tell several paths to one destination",
        ),
        Attribute::with_default(
            "extended_next_hop",
            AttributeType::Boolean,
            "false",
            "Whether next hops of IPv4 prefixes may be IPv6 addresses (RFC 8950)",
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
            "Whether it is waited for, not called; always, with a listen_range"
        ),
        Attribute::with_default(
            "peer_port",
            AttributeType::Integer(1, 65_535),
            "179",
            "Port at which it is called",
        ),
        Attribute::optional("local_ip", AttributeType::IpAddress, "Address from which it is called")
            .nullable(),
        Attribute::with_default(
            "connect_retry_seconds",
            AttributeType::Integer(1, 65_535),
            "2",
            "How long after one call comes the next",
        ),
        Attribute::optional(
            "prefix_limit",
            AttributeType::Integer(1, 0xffff_ffff),
            "How many routes of each family it may tell"
        )
        .nullable(),
        Attribute::with_default(
            "prefix_limits",
            AttributeType::Objects(OF_FAMILY),
            "[]",
            "The same of single families, instead of prefix_limit",
        ),
        Attribute::with_default(
            "prefix_limit_idle_seconds",
            AttributeType::Integer(1, 0xffff_ffff),
            "300",
            "How long the session rests after more routes than that",
        ),
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
        Attribute::with_default(
            "restart_time_seconds",
            AttributeType::Integer(0, RESTART_TIME_MAX),
            "120",
            "How long it keeps our routes while we restart",
        ),
        Attribute::with_default(
            "long_lived_stale_time_seconds",
            AttributeType::Integer(0, STALE_TIME_MAX),
            "0",
            "How long routes of either side are the last choice after that (RFC 9494); 0: not at all",
        ),
        Attribute::with_default(
            "import_policy",
            RULES,
            "[]",
            "What is taken of its routes: the first rule that matches decides, none rejects; without rules all",
        ),
        Attribute::with_default("export_policy", RULES, "[]", "What it is told, by the same rules"),
    ];
}

/// A peer as it is asked for.
#[derive(serde::Deserialize)]
pub(super) struct Spec {
    #[serde(flatten)]
    pub(super) named: Named,
    peer_ip: Option<IpAddr>,
    listen_range: Option<IpNet>,
    listen_limit: Option<u16>,
    remote_as: u32,
    auth_type: AuthType,
    /// Nothing if none is given; then the stored one stays.
    #[serde(default, deserialize_with = "given")]
    pub(super) password: Option<Option<Secret>>,
    families: BTreeSet<Family>,
    add_path_send: Vec<Family>,
    add_path_receive: Vec<Family>,
    extended_next_hop: bool,
    hold_time_seconds: u16,
    ttl_security: Option<u8>,
    passive: bool,
    peer_port: u16,
    local_ip: Option<IpAddr>,
    connect_retry_seconds: u16,
    prefix_limit: Option<u32>,
    prefix_limits: Vec<OfFamily>,
    prefix_limit_idle_seconds: u32,
    route_reflector_client: bool,
    graceful_restart: bool,
    restart_time_seconds: u16,
    long_lived_stale_time_seconds: u32,
    import_policy: Vec<RuleSpec>,
    export_policy: Vec<RuleSpec>,
}

#[derive(serde::Deserialize)]
struct OfFamily {
    family: Family,
    limit: Option<u32>,
}

#[expect(clippy::option_option, reason = "null is given, too")]
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Secret>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl Spec {
    /// The peer that is asked for, with the key that is given or is there.
    pub(super) fn built(self, standard: Standard, stored: Option<Secret>) -> Result<BgpPeer, Refusal> {
        let place = self.place()?;
        self.check_called(place)?;
        self.check_times()?;
        self.check_families()?;
        let prefix_limits = self.prefix_limits()?;
        let password = self.password.unwrap_or(stored).filter(|password| !password.reveal().is_empty());
        if self.auth_type == AuthType::Md5 && password.is_none() {
            return Err(Refusal::invalid(
                "InvalidBgpPeerMd5Authentication",
                "A password must be supplied when using auth_type md5.",
            ));
        }
        Ok(BgpPeer {
            standard,
            place,
            remote_as: Asn::new(self.remote_as),
            auth_type: self.auth_type,
            password,
            families: self.families,
            add_path_send: self.add_path_send.into_iter().collect(),
            add_path_receive: self.add_path_receive.into_iter().collect(),
            extended_next_hop: self.extended_next_hop,
            hold_time_seconds: self.hold_time_seconds,
            ttl_security: self.ttl_security,
            passive: self.passive,
            peer_port: self.peer_port,
            local_ip: self.local_ip,
            connect_retry_seconds: self.connect_retry_seconds,
            prefix_limit: self.prefix_limit,
            prefix_limits,
            prefix_limit_idle_seconds: self.prefix_limit_idle_seconds,
            route_reflector_client: self.route_reflector_client,
            graceful_restart: self.graceful_restart,
            restart_time_seconds: self.restart_time_seconds,
            long_lived_stale_time_seconds: self.long_lived_stale_time_seconds,
            import_policy: rules("import_policy", self.import_policy)?,
            export_policy: rules("export_policy", self.export_policy)?,
        })
    }

    /// Where it is: at an address, or anywhere in a range.
    fn place(&self) -> Result<PeerPlace, Refusal> {
        match (self.peer_ip, self.listen_range) {
            (Some(peer_ip), None) if self.listen_limit.is_none() => Ok(PeerPlace::Address { peer_ip }),
            (Some(_), None) => {
                Err(Refusal::attribute("listen_limit", "there is no listen_range that it is of"))
            }
            (None, Some(listen_range)) => {
                let listen_limit = self.listen_limit.unwrap_or(LISTEN_LIMIT);
                Ok(PeerPlace::Range { listen_range, listen_limit })
            }
            (Some(_), Some(_)) => {
                Err(Refusal::attribute("listen_range", "a peer has it or peer_ip, and not both"))
            }
            (None, None) => {
                Err(Refusal::attribute("peer_ip", "a peer has it or listen_range, and neither is given"))
            }
        }
    }

    /// Only a neighbour of a known address is called.
    fn check_called(&self, place: PeerPlace) -> Result<(), Refusal> {
        match (place, self.local_ip) {
            (PeerPlace::Range { .. }, Some(_)) => {
                Err(Refusal::attribute("local_ip", "neighbours of a listen_range are not called"))
            }
            (PeerPlace::Range { .. }, None) if self.peer_port != PORT => {
                Err(Refusal::attribute("peer_port", "neighbours of a listen_range are not called"))
            }
            (PeerPlace::Address { peer_ip }, Some(local_ip)) if peer_ip.is_ipv4() != local_ip.is_ipv4() => {
                Err(Refusal::attribute(
                    "local_ip",
                    format!("'{local_ip}' and '{peer_ip}', the peer_ip, are not of one IP version"),
                ))
            }
            (PeerPlace::Address { .. } | PeerPlace::Range { .. }, _) => Ok(()),
        }
    }

    fn check_times(&self) -> Result<(), Refusal> {
        if (1..3).contains(&self.hold_time_seconds) {
            let rule = format!("'{}' is neither 0 nor at least 3", self.hold_time_seconds);
            return Err(Refusal::attribute("hold_time_seconds", rule));
        }
        if self.long_lived_stale_time_seconds > 0 && !self.graceful_restart {
            let rule =
                format!("'{}' needs graceful_restart (RFC 9494 §4.1)", self.long_lived_stale_time_seconds);
            return Err(Refusal::attribute("long_lived_stale_time_seconds", rule));
        }
        Ok(())
    }

    fn check_families(&self) -> Result<(), Refusal> {
        if self.families.is_empty() {
            return Err(Refusal::attribute("families", "there is nothing to be spoken of"));
        }
        let limited: Vec<Family> = self.prefix_limits.iter().map(|of| of.family).collect();
        for (field, listed) in [
            ("add_path_send", &self.add_path_send),
            ("add_path_receive", &self.add_path_receive),
            ("prefix_limits", &limited),
        ] {
            for (at, family) in listed.iter().enumerate() {
                if !self.families.contains(family) {
                    let rule = format!("'{}' is not one of the peer's families", family.as_str());
                    return Err(Refusal::attribute(&format!("{field}[{at}]"), rule));
                }
            }
        }
        if self.extended_next_hop && !self.families.iter().any(|family| family.is_of_ipv4()) {
            let rule = "'true' needs ipv4-unicast or vpnv4 among the peer's families";
            return Err(Refusal::attribute("extended_next_hop", rule));
        }
        Ok(())
    }

    fn prefix_limits(&self) -> Result<BTreeMap<Family, Option<u32>>, Refusal> {
        let mut limits = BTreeMap::new();
        for (at, of) in self.prefix_limits.iter().enumerate() {
            if limits.insert(of.family, of.limit).is_some() {
                let rule = format!("'{}' has a limit already", of.family.as_str());
                return Err(Refusal::attribute(&format!("prefix_limits[{at}].family"), rule));
            }
        }
        Ok(limits)
    }
}
