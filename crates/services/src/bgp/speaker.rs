//! BGP speakers: who speaks, and to which peers.
//!
//! What Neutron's speakers announce for networks outside is not here: routers have no gateways there, whose addresses would be the next hops,
//! and there are no floating addresses. To ask for it is refused, so that nobody waits for it.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use weft_net::Asn;

use super::BgpPeer;
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
    /// 4 or 6, as it was asked for. In Neutron that of the networks that it speaks for; here it speaks for none, and of whatever its peers
    /// speak of.
    pub ip_version: u8,
    /// The identifier of its cluster of route reflectors (RFC 4456 §7); its own BGP identifier if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<Ipv4Addr>,
    /// To whom it speaks.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub peers: BTreeSet<Id>,
}

impl BgpSpeaker {
    /// Which of its peers a neighbour of this address is: that of the address, or else of the narrowest range.
    #[must_use]
    pub fn peer_at<'m>(&self, model: &'m Model, address: IpAddr) -> Option<&'m BgpPeer> {
        let peers = self.peers.iter().filter_map(|id| model.bgp_peer(*id));
        let meant = peers.filter(|peer| peer.place.prefix().contains(&address));
        meant.max_by_key(|peer| peer.place.prefix().prefix_len())
    }
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
        self.peers.iter().map(|id| (RowKind::BgpPeer, *id)).collect()
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
    cluster_id: Option<IpAddr>,
    advertise_floating_ip_host_routes: bool,
    advertise_tenant_networks: bool,
}

impl Spec {
    /// Refuses what speakers here are not; answers the cluster.
    fn check(&self) -> Result<Option<Ipv4Addr>, Refusal> {
        if self.advertise_floating_ip_host_routes {
            let rule = "'true' is not possible: there are no floating addresses";
            return Err(Refusal::attribute("advertise_floating_ip_host_routes", rule));
        }
        if self.advertise_tenant_networks {
            let rule = "'true' is not possible: routers have no external gateways, whose addresses would be the next hops; networks are announced with the BGP VPNs that they are in";
            return Err(Refusal::attribute("advertise_tenant_networks", rule));
        }
        match self.cluster_id {
            Some(IpAddr::V6(address)) => Err(Refusal::attribute(
                "cluster_id",
                format!("'{address}' is not an IPv4 address (RFC 4456 §7)"),
            )),
            Some(IpAddr::V4(address)) => Ok(Some(address)),
            None => Ok(None),
        }
    }
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
            "4 or 6; without effect: its peers' families say what it tells"
        )
        .immutable(),
        Attribute::optional(
            "cluster_id",
            AttributeType::IpAddress,
            "Its cluster of route reflectors, as an IPv4 address; its BGP identifier if there is none",
        )
        .nullable(),
        Attribute::with_default(
            "advertise_floating_ip_host_routes",
            AttributeType::Boolean,
            "false",
            "Only false: see docs/bgp.md",
        ),
        Attribute::with_default(
            "advertise_tenant_networks",
            AttributeType::Boolean,
            "false",
            "Only false: see docs/bgp.md",
        ),
        Attribute::read_only(
            "peers",
            AttributeType::ListOf(&AttributeType::Id),
            "BGP peers to which it speaks"
        ),
        Attribute::read_only(
            "networks",
            AttributeType::ListOf(&AttributeType::Id),
            "Always empty: see docs/bgp.md"
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
            doc: "Refused: see docs/bgp.md",
            attributes: OF_NETWORK,
            is_of_member: false,
            effect: Effect::Change(add_network),
        },
        MemberAction {
            name: "remove_gateway_network",
            doc: "Refused, as no network is there to be removed: see docs/bgp.md",
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
        map.insert("cluster_id".into(), json!(speaker.cluster_id));
        map.insert("advertise_floating_ip_host_routes".into(), json!(false));
        map.insert("advertise_tenant_networks".into(), json!(false));
        map.insert("peers".into(), json!(speaker.peers));
        map.insert("networks".into(), json!([]));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let spec: Spec = typed(merged)?;
        if spec.ip_version == 5 {
            return Err(Refusal::attribute("ip_version", "'5' is neither 4 nor 6"));
        }
        let cluster_id = spec.check()?;
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
            cluster_id,
            peers: BTreeSet::new(),
        };
        change.put(Row::BgpSpeaker(Arc::new(speaker)));
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().bgp_speakers.get(&id));
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let spec: Spec = typed(merged)?;
        let mut speaker = BgpSpeaker::clone(stored);
        speaker.cluster_id = spec.check()?;
        speaker.standard.rename(spec.named, change.now());
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
    let place = |peer: &Id| model.bgp_peers.get(peer).map(|peer| peer.place);
    let prefix = |peer: &Id| place(peer).map(|place| place.prefix());
    if let Some(new) = place(&bgp_peer_id)
        && speaker(model, id)?.peers.iter().any(|peer| prefix(peer) == Some(new.prefix()))
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

fn add_network(_: &mut Change, id: Id, given: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let GivenNetwork { network_id } = typed(given)?;
    let message = format!(
        "Network {network_id} cannot be bound to BgpSpeaker {id}: routers have no gateways in networks outside, so there is nothing that could be announced for it. Networks are announced with the BGP VPNs that they are in."
    );
    Err(Refusal::conflict("BgpSpeakerNetworkBindingError", message))
}

fn remove_network(_: &mut Change, id: Id, given: Map<String, Value>) -> Result<Map<String, Value>, Refusal> {
    let GivenNetwork { network_id } = typed(given)?;
    let message = format!("Network {network_id} is not associated with BGP speaker {id}.");
    Err(missing("BgpSpeakerNetworkNotAssociated", message))
}

fn told(name: &str, id: Id) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), json!(id))])
}

fn advertised_routes(_: &Model, id: Id, statuses: &dyn Statuses) -> Map<String, Value> {
    let routes = statuses.advertised_routes(id);
    Map::from_iter([("advertised_routes".to_owned(), json!(routes))])
}

/// Takes a peer that goes from whoever speaks to it.
pub(super) fn forget_peer(change: &mut Change, peer: Id) {
    let speakers: Vec<Id> = change.model().referring((RowKind::BgpPeer, peer), RowKind::BgpSpeaker).collect();
    for id in speakers {
        write(change, id, |speaker| {
            speaker.peers.remove(&peer);
        });
    }
}
