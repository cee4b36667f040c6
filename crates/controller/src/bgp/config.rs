//! From rows of speakers and peers to what speakers are configured with. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use weft_bgp::policy::{self, Edits, Policy, PrefixRange, Rule};
use weft_bgp::session::GracefulConfig;
use weft_bgp::speaker::{AcceptConfig, ExternalDefault, FamilyConfig, PeerAsn, PeerConfig, SpeakerConfig};
use weft_bgp::wire;
use weft_services::bgp::{AuthType, BgpPeer, BgpSpeaker, Community, Family, PeerPlace, PolicyRule, Verdict};
use weft_services::{Id, Model};

/// A speaker as it is to be. Its configuration is without those who may come by themselves: they change while it runs.
pub(super) struct Wanted {
    pub(super) config: SpeakerConfig,
    pub(super) neighbors: Neighbors,
}

/// To whom a speaker is to speak.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Neighbors {
    pub(super) peers: BTreeMap<IpAddr, PeerConfig>,
    pub(super) accept: Vec<AcceptConfig>,
}

impl Neighbors {
    /// How narrow the prefix is by which a neighbour of this address is one of these: that of a single address for whom is known by it.
    pub(super) fn admit(&self, address: IpAddr) -> Option<u8> {
        let known = self.peers.contains_key(&address).then_some(u8::MAX);
        let having = self.accept.iter().filter(|accept| accept.prefix.contains(&address));
        known.or_else(|| having.map(|accept| accept.prefix.prefix_len()).max())
    }
}

/// The speakers as the rows have them.
pub(super) fn wanted(model: &Model, router_id: Ipv4Addr) -> BTreeMap<Id, Wanted> {
    let speakers = model.bgp_speakers().map(|speaker| {
        let mut config = SpeakerConfig::new(speaker.local_as, router_id);
        config.cluster_id = speaker.cluster_id;
        // Whom somebody has named by the API is meant to be spoken with, but not to reach others through us.
        config.without_external_policy = ExternalDefault::OwnRoutes;
        (speaker.standard.id, Wanted { config, neighbors: neighbors(model, speaker) })
    });
    speakers.collect()
}

fn neighbors(model: &Model, speaker: &BgpSpeaker) -> Neighbors {
    let mut neighbors = Neighbors::default();
    for peer in speaker.peers.iter().filter_map(|id| model.bgp_peer(*id)) {
        match peer.place {
            PeerPlace::Address { peer_ip } => {
                neighbors.peers.insert(peer_ip, peer_config(peer, peer_ip));
            }
            PeerPlace::Range { listen_range, listen_limit } => neighbors.accept.push(AcceptConfig {
                prefix: listen_range,
                neighbors_max: listen_limit,
                neighbor: peer_config(peer, listen_range.network()),
            }),
        }
    }
    neighbors
}

fn peer_config(peer: &BgpPeer, address: IpAddr) -> PeerConfig {
    let mut config = PeerConfig::new(address, PeerAsn::Exactly(peer.remote_as), &[]);
    config.port = peer.peer_port;
    config.local_address = peer.local_ip;
    config.families = peer.families.iter().map(|of| family_config(peer, *of)).collect();
    config.hold_time_s = peer.hold_time_seconds;
    config.connect_retry_ms = u32::from(peer.connect_retry_seconds) * 1000;
    config.is_passive = peer.passive;
    config.prefix_limit_idle_hold_s = Some(peer.prefix_limit_idle_seconds);
    config.ttl_security_hops = peer.ttl_security;
    config.is_route_reflector_client = peer.route_reflector_client;
    // Packets go to the host that forwards them, never to the controller.
    config.next_hop_self = Some(false);
    let restart = GracefulConfig {
        restart_time_s: peer.restart_time_seconds,
        long_lived_stale_time_s: peer.long_lived_stale_time_seconds,
    };
    config.graceful_restart = peer.graceful_restart.then_some(restart);
    let key = peer.password.as_ref().filter(|_| peer.auth_type == AuthType::Md5);
    config.md5_key = key.map(|key| key.reveal().to_owned().into());
    config.import = policy(&peer.import_policy);
    config.export = policy(&peer.export_policy);
    config
}

/// The policy that rules make; without rules there is none, and all goes through.
fn policy(rules: &[PolicyRule]) -> Option<Policy> {
    (!rules.is_empty()).then(|| Policy(rules.iter().map(rule).collect()))
}

fn rule(rule: &PolicyRule) -> Rule {
    let communities =
        |all: &[Community]| all.iter().map(|one| wire::Community(one.get())).collect::<Vec<_>>();
    let PolicyRule { length_min, length_max, .. } = *rule;
    let range = |prefix: &IpNet| PrefixRange { prefix: *prefix, length_min, length_max };
    Rule {
        families: rule.families.iter().map(|of| family(*of)).collect(),
        prefixes: rule.prefixes.iter().map(range).collect(),
        route_targets: rule.route_targets.clone(),
        communities: communities(&rule.communities),
        verdict: match rule.verdict {
            Verdict::Accept => policy::Verdict::Accept,
            Verdict::Reject => policy::Verdict::Reject,
        },
        set: Edits {
            local_pref: rule.local_pref,
            multi_exit_disc: rule.multi_exit_disc,
            add_communities: communities(&rule.add_communities),
            next_hop: None,
        },
    }
}

const fn family(family: Family) -> wire::Family {
    match family {
        Family::Ipv4Unicast => wire::Family::Ipv4Unicast,
        Family::Ipv6Unicast => wire::Family::Ipv6Unicast,
        Family::Vpnv4 => wire::Family::Vpnv4,
        Family::Vpnv6 => wire::Family::Vpnv6,
        Family::Evpn => wire::Family::Evpn,
        Family::RouteTarget => wire::Family::RouteTarget,
    }
}

fn family_config(peer: &BgpPeer, of: Family) -> FamilyConfig {
    FamilyConfig {
        family: family(of),
        prefix_limit: peer.prefix_limit_of(of),
        add_path_receive: peer.add_path_receive.contains(&of),
        add_path_send: peer.add_path_send.contains(&of),
        extended_next_hop: peer.extended_next_hop && of.is_of_ipv4(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use weft_services::{Change, Choices, Declaration, Timestamp, declare};

    use super::*;

    /// A speaker with peers that are asked for so.
    fn asked(speaker: &Value, peers: &[Value]) -> Wanted {
        let mut documents =
            vec![json!({"kind": "bgp-speaker", "name": "site", "local_as": 64512, "peers": []})];
        documents[0].as_object_mut().unwrap().extend(speaker.as_object().unwrap().clone());
        for (number, peer) in peers.iter().enumerate() {
            let name = format!("peer{number}");
            let mut document = json!({"kind": "bgp-peer", "name": &name, "remote_as": 64900});
            document.as_object_mut().unwrap().extend(peer.as_object().unwrap().clone());
            documents.push(document);
            documents[0]["peers"].as_array_mut().unwrap().push(json!(name));
        }
        let documents = documents.into_iter().map(|one| one.as_object().unwrap().clone()).collect();
        let declaration = Declaration { set: "s".into(), prune: false, documents };
        let choices = Choices { now: Timestamp(0), seed: [7; 32], project_id: "p".into() };
        let mut change = Change::new(Model::default(), choices);
        declare(&mut change, &declaration).unwrap();
        let (_, model) = change.finish().unwrap();
        wanted(&model, [192, 0, 2, 250].into()).into_values().next().unwrap()
    }

    #[test]
    fn what_is_asked_of_a_peer_is_how_it_is_spoken_with() {
        let wanted = asked(
            &json!({"cluster_id": "10.0.0.9"}),
            &[json!({
                "peer_ip": "192.0.2.1", "families": ["ipv4-unicast", "vpnv6", "evpn"], "add_path_send": ["evpn"],
                "add_path_receive": ["ipv4-unicast"], "extended_next_hop": true, "peer_port": 1179,
                "local_ip": "192.0.2.9", "connect_retry_seconds": 30, "hold_time_seconds": 9, "ttl_security": 2,
                "prefix_limit": 1000, "prefix_limits": [{"family": "evpn", "limit": 5}, {"family": "vpnv6", "limit": null}],
                "prefix_limit_idle_seconds": 60, "restart_time_seconds": 240, "long_lived_stale_time_seconds": 3600,
                "import_policy": [
                    {"verdict": "reject", "families": ["evpn"], "prefixes": ["10.0.0.0/8"], "length_min": 9, "length_max": 32},
                    {"verdict": "accept", "route_targets": ["64512:1"], "communities": ["64512:2"], "local_pref": 50,
                        "multi_exit_disc": 7, "add_communities": ["64512:3"]},
                ],
                "export_policy": [{"verdict": "reject"}],
                "auth_type": "md5", "password": "hunter2", "route_reflector_client": true, "passive": true,
            })],
        );
        assert_eq!(wanted.config.cluster_id, Some([10, 0, 0, 9].into()));
        let family = |family, prefix_limit| FamilyConfig { prefix_limit, ..FamilyConfig::new(family) };
        let expected = PeerConfig {
            port: 1179,
            local_address: Some([192, 0, 2, 9].into()),
            families: vec![
                FamilyConfig {
                    add_path_receive: true,
                    extended_next_hop: true,
                    ..family(wire::Family::Ipv4Unicast, Some(1000))
                },
                family(wire::Family::Vpnv6, None),
                FamilyConfig { add_path_send: true, ..family(wire::Family::Evpn, Some(5)) },
            ],
            hold_time_s: 9,
            connect_retry_ms: 30_000,
            is_passive: true,
            graceful_restart: Some(GracefulConfig { restart_time_s: 240, long_lived_stale_time_s: 3600 }),
            md5_key: Some("hunter2".to_owned().into()),
            ttl_security_hops: Some(2),
            is_route_reflector_client: true,
            next_hop_self: Some(false),
            prefix_limit_idle_hold_s: Some(60),
            // In the words of the library's own configuration.
            import: Some(serde_json::from_value(json!([
                {"families": ["evpn"], "prefixes": [{"prefix": "10.0.0.0/8", "length_min": 9, "length_max": 32}],
                    "verdict": "reject"},
                {"route_targets": ["64512:1"], "communities": ["64512:2"], "verdict": "accept",
                    "set": {"local_pref": 50, "multi_exit_disc": 7, "add_communities": ["64512:3"]}},
            ])).unwrap()),
            export: Some(serde_json::from_value(json!([{"verdict": "reject"}])).unwrap()),
            ..PeerConfig::new([192, 0, 2, 1].into(), PeerAsn::Exactly(64_900.into()), &[])
        };
        assert_eq!(wanted.neighbors.peers, [(expected.address, expected)].into());
        assert_eq!(wanted.neighbors.accept, []);
    }

    #[test]
    fn of_whom_little_is_asked_is_spoken_with_as_ever() {
        let wanted = asked(&json!({}), &[json!({"peer_ip": "192.0.2.1"})]);
        let families = [wire::Family::Vpnv4, wire::Family::Vpnv6, wire::Family::Evpn];
        let expected = PeerConfig {
            connect_retry_ms: 2000,
            graceful_restart: Some(GracefulConfig { restart_time_s: 120, long_lived_stale_time_s: 0 }),
            next_hop_self: Some(false),
            prefix_limit_idle_hold_s: Some(300),
            ..PeerConfig::new([192, 0, 2, 1].into(), PeerAsn::Exactly(64_900.into()), &families)
        };
        assert_eq!(wanted.neighbors.peers.into_values().collect::<Vec<_>>(), [expected]);
        assert_eq!(wanted.config.without_external_policy, ExternalDefault::OwnRoutes);
    }

    #[test]
    fn ranges_are_accepted_from_and_an_address_of_its_own_comes_before_them() {
        let wanted = asked(
            &json!({}),
            &[
                json!({"listen_range": "192.0.2.0/24", "listen_limit": 3, "families": ["evpn"]}),
                json!({"listen_range": "192.0.2.128/25"}),
                json!({"peer_ip": "192.0.2.200"}),
            ],
        );
        let Neighbors { peers, accept } = &wanted.neighbors;
        assert_eq!(peers.len(), 1);
        let mut ranges: Vec<_> =
            accept.iter().map(|one| (one.prefix.to_string(), one.neighbors_max)).collect();
        ranges.sort();
        assert_eq!(ranges, [("192.0.2.0/24".to_owned(), 3), ("192.0.2.128/25".to_owned(), 100)]);
        let admit = |last: u8| wanted.neighbors.admit([192, 0, 2, last].into());
        assert_eq!([1, 129, 200].map(admit), [Some(24), Some(25), Some(u8::MAX)]);
        assert_eq!(wanted.neighbors.admit([198, 51, 100, 1].into()), None);
    }
}
