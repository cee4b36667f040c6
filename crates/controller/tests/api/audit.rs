//! The audit of routes: what is lost or made up somewhere is found, told, and mended.

use std::time::Duration;

use serde_json::{Value, json};
use weft_bgp::speaker::{Route, Speaker};
use weft_bgp::wire::{Attributes, Destination, Family, Payload};
use weft_controller::agents;
use weft_controller::bgp::{Bgp, BgpConfig};
use weft_services::{Fact, Id, LearnedEncapsulation, LearnedRoute};

use crate::support::Controller;

const WITHIN: Duration = Duration::from_secs(20);

/// A controller that speaks BGP, with a port in a VPN on a host.
async fn start() -> Controller {
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
    controller.site.distribution.lock().reset(snapshot.model.0.clone(), snapshot.version);
    tokio::spawn(agents::follow_store(controller.site.clone(), controller.links.clone()));
    let config = BgpConfig { listen: Vec::new(), router_id: [192, 0, 2, 250].into(), deferral_time_s: 1 };
    tokio::spawn(Bgp::start(controller.site.clone(), config).await.run());
    controller
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
