//! BGP speakers: who speaks, to which peers, for which networks.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use weft_net::Asn;

use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Effect, MemberAction, Resource, Statuses};
use crate::change::{Change, Named, typed};
use crate::standard::standard_attributes;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Reason, Refusal, Row, RowKind, Standard};

/// A BGP speaker.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BgpSpeaker {
    /// Identifier, project, name …
    pub standard: Standard,
    /// Its autonomous system.
    pub local_as: Asn,
    /// The IP version of the prefixes that it tells outside VPNs: 4 or 6.
    pub ip_version: u8,
    /// Whether it tells of floating addresses, each by itself.
    pub advertise_floating_ip_host_routes: bool,
    /// Whether it tells of the subnets behind routers of its networks.
    pub advertise_tenant_networks: bool,
    /// To whom it speaks.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub peers: BTreeSet<Id>,
    /// For which networks.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub networks: BTreeSet<Id>,
}

/// A route that a speaker tells its peers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct AdvertisedRoute {
    /// For which destinations.
    pub destination: IpNet,
    /// By which address.
    pub next_hop: IpAddr,
}

impl Stored for BgpSpeaker {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        let peers = self.peers.iter().map(|id| (RowKind::BgpPeer, *id));
        peers.chain(self.networks.iter().map(|id| (RowKind::Network, *id))).collect()
    }

    fn check_claims(&self, _: &Model) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Indexed for BgpSpeaker {
    fn index(_: &mut Model, _: Option<&Self>, _: Option<&Self>) {}
}

#[derive(serde::Deserialize)]
struct Spec {
    #[serde(flatten)]
    named: Named,
    local_as: u32,
    ip_version: u8,
    advertise_floating_ip_host_routes: bool,
    advertise_tenant_networks: bool,
}

const OF_PEER: &[Attribute] =
    &[Attribute::required("bgp_peer_id", AttributeType::Reference("bgp_peer"), "BGP peer")];
const OF_NETWORK: &[Attribute] =
    &[Attribute::required("network_id", AttributeType::Reference("network"), "Network")];

/// The collection of BGP speakers.
pub struct BgpSpeakers;

impl BgpSpeakers {
    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        Attribute::required("local_as", AttributeType::Integer(1, 0xffff_ffff), "Its autonomous system"),
        Attribute::with_default(
            "ip_version",
            AttributeType::Integer(4, 6),
            "4",
            "IP version of what it tells outside VPNs: 4 or 6"
        )
        .immutable(),
        Attribute::with_default(
            "advertise_floating_ip_host_routes",
            AttributeType::Boolean,
            "true",
            "Whether it tells of floating addresses",
        ),
        Attribute::with_default(
            "advertise_tenant_networks",
            AttributeType::Boolean,
            "true",
            "Whether it tells of the subnets behind routers of its networks",
        ),
        Attribute::read_only(
            "peers",
            AttributeType::ListOf(&AttributeType::Id),
            "BGP peers to which it speaks"
        ),
        Attribute::read_only(
            "networks",
            AttributeType::ListOf(&AttributeType::Id),
            "Networks for which it speaks"
        ),
    ];

    /// What can be done with a BGP speaker besides.
    pub const ACTIONS: &'static [MemberAction] = &[
        MemberAction {
            name: "add_bgp_peer",
            doc: "Let a BGP speaker speak to a peer",
            attributes: OF_PEER,
            is_of_member: false,
            effect: Effect::Change(add_peer),
        },
        MemberAction {
            name: "remove_bgp_peer",
            doc: "Let a BGP speaker speak to a peer no more",
            attributes: OF_PEER,
            is_of_member: false,
            effect: Effect::Change(remove_peer),
        },
        MemberAction {
            name: "add_gateway_network",
            doc: "Let a BGP speaker speak for a network",
            attributes: OF_NETWORK,
            is_of_member: false,
            effect: Effect::Change(add_network),
        },
        MemberAction {
            name: "remove_gateway_network",
            doc: "Let a BGP speaker speak for a network no more",
            attributes: OF_NETWORK,
            is_of_member: false,
            effect: Effect::Change(remove_network),
        },
        MemberAction {
            name: "get_advertised_routes",
            doc: "Show the routes that a BGP speaker tells its peers",
            attributes: &[],
            is_of_member: false,
            effect: Effect::Ask(advertised_routes),
        },
    ];
}

impl Resource for BgpSpeakers {
    fn kind(&self) -> Option<RowKind> {
        Some(RowKind::BgpSpeaker)
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        let speaker = model.bgp_speakers.get(&id.parse::<Id>().ok()?)?;
        let mut map = Map::new();
        speaker.standard.render(&mut map);
        map.insert("local_as".into(), json!(speaker.local_as.get()));
        map.insert("ip_version".into(), json!(speaker.ip_version));
        let floating = speaker.advertise_floating_ip_host_routes;
        map.insert("advertise_floating_ip_host_routes".into(), json!(floating));
        map.insert("advertise_tenant_networks".into(), json!(speaker.advertise_tenant_networks));
        map.insert("peers".into(), json!(speaker.peers));
        map.insert("networks".into(), json!(speaker.networks));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let spec: Spec = typed(merged)?;
        if spec.ip_version == 5 {
            return Err(Refusal::attribute("ip_version", "'5' is neither 4 nor 6"));
        }
        let local_as = Asn::new(spec.local_as);
        if local_as == Asn::TRANS {
            let message = "'23456' stands for numbers that do not fit (RFC 6793 §9), and is nobody's";
            return Err(Refusal::attribute("local_as", message));
        }
        let id = change.choose_id();
        let speaker = BgpSpeaker {
            standard: change.standard(id, spec.named),
            local_as,
            ip_version: spec.ip_version,
            advertise_floating_ip_host_routes: spec.advertise_floating_ip_host_routes,
            advertise_tenant_networks: spec.advertise_tenant_networks,
            peers: BTreeSet::new(),
            networks: BTreeSet::new(),
        };
        change.put(Row::BgpSpeaker(Arc::new(speaker)));
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().bgp_speakers.get(&id));
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let spec: Spec = typed(merged)?;
        let mut speaker = BgpSpeaker::clone(stored);
        speaker.standard.rename(spec.named, change.now());
        speaker.advertise_floating_ip_host_routes = spec.advertise_floating_ip_host_routes;
        speaker.advertise_tenant_networks = spec.advertise_tenant_networks;
        change.put(Row::BgpSpeaker(Arc::new(speaker)));
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("BgpSpeakerNotFound", "BGP speaker", id)
    }
}

#[derive(serde::Deserialize)]
struct GivenPeer {
    bgp_peer_id: Id,
}

#[derive(serde::Deserialize)]
struct GivenNetwork {
    network_id: Id,
}

fn write(change: &mut Change, id: Id, with: impl FnOnce(&mut BgpSpeaker)) {
    let Some(stored) = change.model().bgp_speakers.get(&id) else { return };
    let mut speaker = BgpSpeaker::clone(stored);
    with(&mut speaker);
    speaker.standard.touch(change.now());
    change.put(Row::BgpSpeaker(Arc::new(speaker)));
}

fn speaker(model: &Model, id: Id) -> Result<&Arc<BgpSpeaker>, Refusal> {
    model.bgp_speakers.get(&id).ok_or_else(|| BgpSpeakers.not_found(&id.to_string()))
}

fn missing(kind: &'static str, message: String) -> Refusal {
    Refusal { reason: Reason::NotFound, kind, message }
}

fn add_peer(change: &mut Change, id: Id, given: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let GivenPeer { bgp_peer_id } = typed(given)?;
    let model = change.model();
    let address = |peer: &Id| model.bgp_peers.get(peer).map(|peer| peer.peer_ip);
    let new = address(&bgp_peer_id);
    if let Some(new) = new
        && speaker(model, id)?.peers.iter().any(|peer| address(peer) == Some(new))
    {
        let message = format!(
            "BGP Speaker {id} is already configured to peer with a BGP Peer at {new}, it cannot peer with BGP Peer {bgp_peer_id}."
        );
        return Err(Refusal::conflict("DuplicateBgpPeerIpException", message));
    }
    write(change, id, |speaker| {
        speaker.peers.insert(bgp_peer_id);
    });
    Ok(told("bgp_peer_id", bgp_peer_id))
}

fn remove_peer(
    change: &mut Change,
    id: Id,
    given: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let GivenPeer { bgp_peer_id } = typed(given)?;
    if !speaker(change.model(), id)?.peers.contains(&bgp_peer_id) {
        let message = format!("BGP peer {bgp_peer_id} is not associated with BGP speaker {id}.");
        return Err(missing("BgpSpeakerPeerNotAssociated", message));
    }
    write(change, id, |speaker| {
        speaker.peers.remove(&bgp_peer_id);
    });
    Ok(told("bgp_peer_id", bgp_peer_id))
}

fn add_network(
    change: &mut Change,
    id: Id,
    given: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let GivenNetwork { network_id } = typed(given)?;
    if speaker(change.model(), id)?.networks.contains(&network_id) {
        let message = format!("Network {network_id} is already bound to BgpSpeaker {id}.");
        return Err(Refusal::conflict("BgpSpeakerNetworkBindingError", message));
    }
    write(change, id, |speaker| {
        speaker.networks.insert(network_id);
    });
    Ok(told("network_id", network_id))
}

fn remove_network(
    change: &mut Change,
    id: Id,
    given: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let GivenNetwork { network_id } = typed(given)?;
    if !speaker(change.model(), id)?.networks.contains(&network_id) {
        let message = format!("Network {network_id} is not associated with BGP speaker {id}.");
        return Err(missing("BgpSpeakerNetworkNotAssociated", message));
    }
    write(change, id, |speaker| {
        speaker.networks.remove(&network_id);
    });
    Ok(told("network_id", network_id))
}

fn told(name: &str, id: Id) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), json!(id))])
}

fn advertised_routes(_: &Model, id: Id, statuses: &dyn Statuses) -> Map<String, Value> {
    let routes = statuses.advertised_routes(id);
    Map::from_iter([("advertised_routes".to_owned(), json!(routes))])
}

/// Takes a network that goes from whoever speaks for it.
pub(crate) fn forget_network(change: &mut Change, network: Id) {
    for id in speakers_of(change.model(), (RowKind::Network, network)) {
        write(change, id, |speaker| {
            speaker.networks.remove(&network);
        });
    }
}

/// Takes a peer that goes from whoever speaks to it.
pub(super) fn forget_peer(change: &mut Change, peer: Id) {
    for id in speakers_of(change.model(), (RowKind::BgpPeer, peer)) {
        write(change, id, |speaker| {
            speaker.peers.remove(&peer);
        });
    }
}

fn speakers_of(model: &Model, of: (RowKind, Id)) -> Vec<Id> {
    model.referring(of, RowKind::BgpSpeaker).collect()
}
