//! The audit of routes: what is lost or made up somewhere is found, told, and mended.

use std::net::{IpAddr, TcpListener};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weft_bgp::io::{Driver, Handle};
use weft_bgp::speaker::{PeerAsn, PeerConfig, Route, Speaker, SpeakerConfig};
use weft_bgp::wire::{Attributes, Destination, ExtendedCommunity, Family, LabelField, Payload, PmsiTunnel};
use weft_controller::agents::{self, Advance, Distribution};
use weft_controller::bgp::{Bgp, BgpConfig};
use weft_net::{Mac, RouteTarget};
use weft_protocol::wire;
use weft_services::catalogue::{Status, Statuses as _};
use weft_services::compile::{self, FragmentKey};
use weft_services::{About, Fact, Id, LearnedEncapsulation, LearnedMac, LearnedRoute, Model};

use crate::support::Controller;

const WITHIN: Duration = Duration::from_secs(20);

/// A controller that speaks BGP, with a port in a VPN on a host.
async fn start() -> Controller {
    let controller = start_without_feed().await;
    tokio::spawn(agents::follow_store(controller.site.clone(), controller.links.clone()));
    controller
}

/// The same, and nobody follows its store.
async fn start_without_feed() -> Controller {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    let network = controller.network("blue").await;
    controller.port(&network, "host1", "G1").await;
    let vpn = controller
        .create("bgpvpn/bgpvpns", "bgpvpn", json!({"name": "v", "route_targets": ["64512:100"]}))
        .await;
    let place = format!("bgpvpn/bgpvpns/{vpn}/network_associations");
    controller.create(&place, "network_association", json!({"network_id": network})).await;
    let speaker = json!({"name": "site", "local_as": 64512, "ip_version": 4});
    controller.create("bgp-speakers", "bgp_speaker", speaker).await;
    // As after a start: the host goes on with what it was sent before.
    let snapshot = controller.site.durable();
    *controller.site.distribution.lock() =
        Distribution::new(snapshot.model.0.clone(), snapshot.version, 7, 0);
    let config = BgpConfig { listen: Vec::new(), router_id: [192, 0, 2, 250].into(), deferral_time_s: 1 };
    tokio::spawn(Bgp::start(controller.site.clone(), config).await.run());
    controller
}

/// The same with a network in a BGP VPN of type l2, and a neighbour that tells where a MAC address of it is, and that it wants what is
/// for everybody; answers the network, and the neighbour, which is there for as long as that is held.
async fn start_with_neighbour() -> (Controller, Id, Handle) {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    let network = controller.network("blue").await;
    controller.port(&network, "host1", "G1").await;
    let vpn = json!({"type": "l2", "route_targets": ["64512:5000"]});
    let vpn = controller.create("bgpvpn/bgpvpns", "bgpvpn", vpn).await;
    let place = format!("bgpvpn/bgpvpns/{vpn}/network_associations");
    controller.create(&place, "network_association", json!({"network_id": network})).await;
    let speaker = json!({"name": "site", "local_as": 64512, "ip_version": 4});
    let speaker = controller.create("bgp-speakers", "bgp_speaker", speaker).await;
    let peer = json!({"peer_ip": "127.79.0.2", "remote_as": 64512, "passive": true});
    let peer = controller.create("bgp-peers", "bgp_peer", peer).await;
    let place = format!("/v2.0/bgp-speakers/{speaker}/add_bgp_peer");
    assert_eq!(controller.ask("PUT", &place, json!({"bgp_peer_id": peer})).await.status, 200);
    let snapshot = controller.site.durable();
    *controller.site.distribution.lock() =
        Distribution::new(snapshot.model.0.clone(), snapshot.version, 7, 0);
    tokio::spawn(agents::follow_store(controller.site.clone(), controller.links.clone()));
    let free = TcpListener::bind("127.79.0.1:0").unwrap();
    let to = free.local_addr().unwrap();
    drop(free);
    let config = BgpConfig { listen: vec![to], router_id: [192, 0, 2, 250].into(), deferral_time_s: 0 };
    tokio::spawn(Bgp::start(controller.site.clone(), config).await.run());
    let config = SpeakerConfig::new(64512.into(), [198, 51, 100, 200].into());
    let mut neighbour = Speaker::new(config, Instant::now(), 1).unwrap();
    let peer = PeerConfig {
        port: to.port(),
        local_address: Some([127, 79, 0, 2].into()),
        connect_retry_ms: 100,
        ..PeerConfig::new(to.ip(), PeerAsn::Exactly(64512.into()), &[Family::Evpn])
    };
    neighbour.set_peer(peer, Instant::now()).unwrap();
    told_of_the_network().into_iter().for_each(|route| neighbour.originate(route));
    let (driver, handle) = Driver::new(neighbour, &[]).unwrap();
    tokio::spawn(driver.run());
    (controller, network.parse().unwrap(), handle)
}

const FAR: [u8; 4] = [198, 51, 100, 200];
const MAC: Mac = Mac::new([2, 0, 0, 0, 0x99, 1]);

fn told_of_the_network() -> [Route; 2] {
    let distinguisher = "198.51.100.200:1".parse().unwrap();
    let vni = 7000.try_into().unwrap();
    let mut attributes = Attributes::new(IpAddr::from(FAR).into());
    attributes.local_pref = Some(100);
    let target: RouteTarget = "64512:5000".parse().unwrap();
    attributes.set_extended_communities([ExtendedCommunity::from(target)]);
    let destination = Destination::evpn_mac_ip(distinguisher, MAC, None);
    let mac = Route { destination, payload: Payload::vni(vni), attributes: attributes.clone() };
    let originator = IpAddr::from(FAR);
    let tunnel = PmsiTunnel::ingress_replication(LabelField::from_vni(vni), originator);
    attributes.edit_rare(|rare| rare.pmsi_tunnel = Some(tunnel));
    let destination = Destination::evpn_inclusive_multicast(distinguisher, originator);
    [mac, Route { destination, payload: Payload::None, attributes }]
}

/// Waits until something is so.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, found).await.unwrap_or_else(|_| panic!("{what}: not within {WITHIN:?}"))
}

/// Lets a closure have the only speaker.
async fn with<T: Send + 'static>(
    controller: &Controller,
    ask: impl FnOnce(&mut Speaker) -> T + Send + 'static,
) -> Option<T> {
    let (_, handle) = controller.site.speakers.all().pop()?;
    handle.with(move |speaker, _| ask(speaker)).await
}

async fn originated(controller: &Controller) -> Vec<Destination> {
    with(controller, |speaker| speaker.originations(Family::Evpn, 0, 100).0).await.unwrap_or_default()
}

/// The alarms of a comparison that are over.
async fn mended(controller: &Controller, comparison: &str) -> Vec<Value> {
    let status = controller.get("/v1/status").await.json();
    let alarms = status["route_audit"]["alarms"].as_array().unwrap().clone();
    alarms
        .into_iter()
        .filter(|alarm| alarm["comparison"] == comparison && !alarm["mended_at"].is_null())
        .collect()
}

#[tokio::test]
async fn a_route_that_a_speaker_has_lost_is_originated_again() {
    let controller = start().await;
    let lost = until("the port is announced", async || originated(&controller).await.pop()).await;
    let destination = lost.clone();
    assert_eq!(with(&controller, move |speaker| speaker.withdraw(&destination)).await, Some(true));
    until("it is announced again", async || originated(&controller).await.contains(&lost).then_some(()))
        .await;
    let alarms = until("the alarm is over", async || {
        Some(mended(&controller, "loc_rib").await).filter(|alarms| !alarms.is_empty())
    });
    let alarms = alarms.await;
    assert_eq!(alarms.len(), 1, "{alarms:?}");
    assert!(alarms[0]["route"].as_str().unwrap().contains(&lost.to_string()), "{alarms:?}");
}

#[tokio::test]
async fn a_route_that_nobody_asked_for_is_withdrawn() {
    let controller = start().await;
    let own = until("the port is announced", async || originated(&controller).await.pop()).await;
    let Destination::Evpn(stray) = "[5]:[64512:9]:[0]:[198.51.100.0/24]".parse().unwrap() else {
        unreachable!("it begins with a bracket")
    };
    let stray = Destination::Evpn(stray);
    let route = Route {
        destination: stray.clone(),
        payload: Payload::None,
        attributes: Attributes::new(std::net::IpAddr::from([192, 0, 2, 1]).into()),
    };
    with(&controller, move |speaker| speaker.originate(route)).await.unwrap();
    let is_gone = async || (originated(&controller).await == std::slice::from_ref(&own)).then_some(());
    until("it is withdrawn", is_gone).await;
    let alarms = async || Some(mended(&controller, "loc_rib").await).filter(|alarms| !alarms.is_empty());
    assert_eq!(until("the alarm is over", alarms).await.len(), 1);
}

#[tokio::test]
async fn a_fact_that_was_not_learned_is_unlearned() {
    let controller = start().await;
    until("the port is announced", async || originated(&controller).await.pop()).await;
    let (vrf, destination) = {
        let snapshot = controller.site.durable();
        let vrf: Id = snapshot.model.0.vrfs().next().unwrap().standard.id;
        (vrf, "203.0.113.0/24".parse().unwrap())
    };
    let encapsulation = LearnedEncapsulation::Vxlan {
        vni: 7001.try_into().unwrap(),
        router_mac: "02:00:00:00:00:09".parse().unwrap(),
    };
    let made_up = LearnedRoute { next_hop: [192, 0, 2, 200].into(), encapsulation, local_pref: 100 };
    controller.site.learn(vec![Fact::Routes { vrf, destination, routes: vec![made_up] }]).await;
    let known = || controller.site.distribution.lock().model().0.facts().routes(vrf, destination).len();
    until("it is known", async || (known() == 1).then_some(())).await;
    until("it is forgotten", async || (known() == 0).then_some(())).await;
    let alarms = async || Some(mended(&controller, "fact").await).filter(|alarms| !alarms.is_empty());
    let alarms = until("the alarm is over", alarms).await;
    assert_eq!(alarms[0]["route"], format!("203.0.113.0/24 in VRF {vrf}"));
}

#[tokio::test]
async fn a_speaker_that_has_ended_by_a_mistake_is_started_again() {
    let controller = start().await;
    let own = until("the port is announced", async || originated(&controller).await.pop()).await;
    assert_eq!(with(&controller, |_| -> () { panic!("as if by a mistake") }).await, None);
    until("it is announced again", async || originated(&controller).await.contains(&own).then_some(())).await;
}

#[tokio::test]
async fn what_is_lost_or_made_up_of_a_network_is_learned_again_or_unlearned() {
    let (controller, network, _neighbour) = start_with_neighbour().await;
    let (mac, endpoint) = (About::Mac(network, MAC, None), About::Endpoint(network, FAR.into()));
    let known = |about| controller.site.distribution.lock().model().0.facts().known(about);
    let both = async || [mac, endpoint].iter().all(|about| known(*about) != about.nothing()).then_some(());
    until("the neighbour is heard", both).await;
    let learned = [mac, endpoint].map(known);
    controller.site.learn(vec![mac.nothing(), endpoint.nothing()]).await;
    until("it is lost", async || (known(mac) == mac.nothing()).then_some(())).await;
    until("it is known again", async || ([mac, endpoint].map(known) == learned).then_some(())).await;
    let vni = 7001.try_into().unwrap();
    let at = LearnedMac { endpoint: FAR.into(), vni, sequence: 0, is_sticky: false };
    let (made_up, nowhere) = (Mac::new([2, 0, 0, 0, 0x99, 2]), IpAddr::from([198, 51, 100, 201]));
    let facts = vec![
        Fact::Mac { network, mac: made_up, address: None, at: Some(at) },
        Fact::Endpoint { network, endpoint: nowhere, vni: Some(vni) },
    ];
    controller.site.learn(facts.clone()).await;
    let abouts: Vec<About> = facts.iter().filter_map(About::of).collect();
    until("it is known", async || abouts.iter().all(|about| facts.contains(&known(*about))).then_some(()))
        .await;
    let is_gone = async || abouts.iter().all(|about| known(*about) == about.nothing()).then_some(());
    until("it is forgotten", is_gone).await;
    assert_eq!([mac, endpoint].map(known), learned, "and nothing else is");
    let four = async || Some(mended(&controller, "fact").await).filter(|alarms| alarms.len() == 4);
    let mut routes: Vec<String> = until("the alarms are over", four)
        .await
        .iter()
        .map(|alarm| alarm["route"].as_str().unwrap().to_owned())
        .collect();
    routes.sort();
    let of = |what: &str| format!("{what} in network {network}");
    let wanted = [
        "02:00:00:00:99:01",
        "02:00:00:00:99:02",
        "everybody at 198.51.100.200",
        "everybody at 198.51.100.201",
    ];
    assert_eq!(routes, wanted.map(of));
    assert!(mended(&controller, "learned").await.is_empty(), "what was learned was right all along");
}

#[tokio::test]
async fn what_is_announced_and_no_longer_in_the_model_is_withdrawn() {
    let controller = start().await;
    until("the port is announced", async || originated(&controller).await.pop()).await;
    {
        let mut distribution = controller.site.distribution.lock();
        let (turn, version) = (distribution.next_turn(), distribution.version());
        let anew = Advance::prepare_anew(distribution.model(), Model::default(), version, turn);
        distribution.reset(anew);
    }
    until("it is withdrawn", async || originated(&controller).await.is_empty().then_some(())).await;
    let alarms = async || Some(mended(&controller, "announcement").await).filter(|alarms| !alarms.is_empty());
    assert_eq!(until("the alarm is over", alarms).await.len(), 1);
}

#[tokio::test]
async fn what_is_deleted_in_commits_that_are_skipped_is_withdrawn_and_that_is_no_alarm() {
    let controller = start_without_feed().await;
    until("the port is announced", async || originated(&controller).await.pop()).await;
    let ports = controller.get("/v2.0/ports").await.json();
    let port = ports["ports"][0]["id"].as_str().unwrap().to_owned();
    let deleted = controller.send("DELETE", &format!("/v2.0/ports/{port}"), &[], b"").await;
    assert_eq!(deleted.status, 204);
    controller.network("green").await;
    let head = controller.site.durable().version.revision;
    controller.site.store.compact(head).await.unwrap();
    tokio::spawn(agents::follow_store(controller.site.clone(), controller.links.clone()));
    until("it is withdrawn", async || originated(&controller).await.is_empty().then_some(())).await;
    let audit = controller.get("/v1/status").await.json()["route_audit"]["alarms"].clone();
    assert_eq!(audit, json!([]));
}

#[tokio::test]
async fn a_port_that_changed_in_commits_that_are_skipped_is_not_taken_for_what_its_host_has() {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    let network = controller.network("blue").await;
    let same = controller.port(&network, "host1", "G1").await;
    let changed = controller.port(&network, "host1", "G2").await;
    let snapshot = controller.site.durable();
    let mut distribution = Distribution::new(snapshot.model.0.clone(), snapshot.version, 7, 0);
    let host = "host1".parse().unwrap();
    let (connection, updates) = distribution.connect(&host, wire::Version::default(), None);
    let status = wire::Status { version: updates[0].version, at_rest: true, ..wire::Status::default() };
    distribution.report(&host, connection, &status);
    let change = json!({ "port": { "binding:profile": { "namespace": "G3" } } });
    assert_eq!(controller.ask("PUT", &format!("/v2.0/ports/{changed}"), change).await.status, 200);
    let new = controller.port(&network, "host1", "G4").await;
    let snapshot = controller.site.durable();
    let (model, version) = (snapshot.model.0.clone(), snapshot.version);
    let anew = Advance::prepare_anew(distribution.model(), model.clone(), version, 1);
    distribution.reset(anew);
    let status_of = |port: &str| {
        let is_its = |key: &FragmentKey| key.id().subject.ends_with(port);
        let key = compile::at_home(&model, &host).into_iter().find(is_its).unwrap();
        distribution.fragment(&host, &key)
    };
    let statuses = [&same, &changed, &new].map(|port| status_of(port));
    assert_eq!(statuses, [Status::Active, Status::Build, Status::Build]);
}
