//! From rows of speakers and peers to what speakers are configured with. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use weft_bgp::session::GracefulConfig;
use weft_bgp::speaker::{FamilyConfig, PeerAsn, PeerConfig, SpeakerConfig};
use weft_bgp::wire;
use weft_services::bgp::{AuthType, BgpPeer, Family};
use weft_services::{Id, Model};

/// How long neighbours keep our routes while the controller restarts, in seconds (RFC 4724 §3).
const RESTART_TIME_S: u16 = 120;
const CONNECT_RETRY_MS: u32 = 2000;
/// How long a neighbour is left alone that has had more routes than it may, in seconds: it may have fewer by then.
const PREFIX_LIMIT_IDLE_HOLD_S: u32 = 300;

/// A speaker as it is to be.
pub(super) struct Wanted {
    pub(super) config: SpeakerConfig,
    pub(super) peers: BTreeMap<IpAddr, PeerConfig>,
}

/// The speakers as the rows have them.
pub(super) fn wanted(model: &Model, router_id: Ipv4Addr) -> BTreeMap<Id, Wanted> {
    let speakers = model.bgp_speakers().map(|speaker| {
        let mut config = SpeakerConfig::new(speaker.local_as, router_id);
        // Whom somebody has named by the API is meant to be spoken with.
        config.requires_external_policy = false;
        let peers = speaker.peers.iter().filter_map(|id| model.bgp_peer(*id));
        let peers = peers.map(|peer| (peer.peer_ip, peer_config(peer))).collect();
        (speaker.standard.id, Wanted { config, peers })
    });
    speakers.collect()
}

fn peer_config(peer: &BgpPeer) -> PeerConfig {
    let mut config = PeerConfig::new(peer.peer_ip, PeerAsn::Exactly(peer.remote_as), &[]);
    config.families = peer.families.iter().map(|of| family(*of, peer.prefix_limit)).collect();
    config.hold_time_s = peer.hold_time_seconds;
    config.connect_retry_ms = CONNECT_RETRY_MS;
    config.is_passive = peer.passive;
    config.prefix_limit_idle_hold_s = Some(PREFIX_LIMIT_IDLE_HOLD_S);
    config.ttl_security_hops = peer.ttl_security;
    config.is_route_reflector_client = peer.route_reflector_client;
    // Packets go to the host that forwards them, never to the controller.
    config.next_hop_self = Some(false);
    let restart = GracefulConfig { restart_time_s: RESTART_TIME_S, long_lived_stale_time_s: 0 };
    config.graceful_restart = peer.graceful_restart.then_some(restart);
    let key = peer.password.as_ref().filter(|_| peer.auth_type == AuthType::Md5);
    config.md5_key = key.map(|key| key.reveal().to_owned().into());
    config
}

fn family(family: Family, prefix_limit: Option<u32>) -> FamilyConfig {
    let of = match family {
        Family::Ipv4Unicast => wire::Family::Ipv4Unicast,
        Family::Ipv6Unicast => wire::Family::Ipv6Unicast,
        Family::Vpnv4 => wire::Family::Vpnv4,
        Family::Vpnv6 => wire::Family::Vpnv6,
        Family::Evpn => wire::Family::Evpn,
        Family::RouteTarget => wire::Family::RouteTarget,
    };
    FamilyConfig { prefix_limit, ..FamilyConfig::new(of) }
}
