//! What is taken from speakers, and when.

use weft_bgp::speaker::PeerAsn;
use weft_bgp::wire::{Attributes, Destination, ExtendedCommunity, Family, LabelField, Payload, PmsiTunnel};
use weft_services::About;
use weft_store::{Options, Store};

use super::*;

const WITHIN: Duration = Duration::from_secs(20);

/// The route by which an endpoint says that it wants what is for everybody in a network.
fn route(target: RouteTarget) -> Route {
    let endpoint = Ipv4Addr::new(198, 51, 100, 7);
    let vni = 7000.try_into().unwrap();
    let destination = Destination::evpn_inclusive_multicast("64512:9".parse().unwrap(), IpAddr::V4(endpoint));
    let mut attributes = Attributes::new(IpAddr::V4(endpoint).into());
    attributes.local_pref = Some(100);
    let tunnel = PmsiTunnel::ingress_replication(LabelField::from_vni(vni), IpAddr::V4(endpoint));
    attributes.edit_rare(|rare| rare.pmsi_tunnel = Some(tunnel));
    let vxlan = ExtendedCommunity::encapsulation(ExtendedCommunity::ENCAPSULATION_VXLAN);
    attributes.set_extended_communities([target.into(), vxlan]);
    Route { destination, payload: Payload::None, attributes }
}

/// A neighbour at an address of this machine that tells a route; it is there for as long as the handle is held.
fn neighbour(route: Route) -> (SocketAddr, Handle) {
    let config = SpeakerConfig::new(64_512.into(), [198, 51, 100, 200].into());
    let mut speaker = Speaker::new(config, Instant::now(), 1).unwrap();
    let site: IpAddr = [127, 81, 0, 1].into();
    let peer = PeerConfig {
        is_passive: true,
        ..PeerConfig::new(site, PeerAsn::Exactly(64_512.into()), &[Family::Evpn])
    };
    speaker.set_peer(peer, Instant::now()).unwrap();
    speaker.originate(route);
    let (driver, handle) = Driver::new(speaker, &["127.81.0.2:0".parse().unwrap()]).unwrap();
    let address = driver.listens_on().unwrap()[0];
    tokio::spawn(driver.run());
    (address, handle)
}

/// The next that is heard in which something was learned.
async fn next(bgp: &mut Bgp) -> Heard {
    let next = async {
        loop {
            let heard = bgp.inbox.1.recv().await.unwrap();
            if !heard.learned.is_empty() {
                return heard;
            }
        }
    };
    tokio::time::timeout(WITHIN, next).await.expect("something is learned")
}

#[tokio::test]
async fn what_a_speaker_that_has_ended_had_learned_is_not_taken_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("store.redb"), Options::default()).unwrap();
    let config = BgpConfig { listen: Vec::new(), router_id: [192, 0, 2, 250].into(), deferral_time_s: 0 };
    let mut bgp = Bgp::start(Site::new(store, 7), config).await;
    let [id, network] = [1, 2].map(|number| Id::from_random([number; 16]));
    let target: RouteTarget = "64512:5000".parse().unwrap();
    bgp.configure_instance(Instance::MacVrf(network), [target].into()).await;
    let (at, _neighbour) = neighbour(route(target));
    let wanted = || {
        let config = SpeakerConfig::new(64_512.into(), [192, 0, 2, 250].into());
        let peer = PeerConfig {
            port: at.port(),
            local_address: Some([127, 81, 0, 1].into()),
            connect_retry_ms: 100,
            ..PeerConfig::new(at.ip(), PeerAsn::Exactly(64_512.into()), &[Family::Evpn])
        };
        let peers = [(at.ip(), peer)].into();
        BTreeMap::from([(id, Wanted { config, neighbors: Neighbors { peers, accept: Vec::new() } })])
    };
    let knows = |bgp: &Bgp| bgp.bridged.known_after(About::onward(None)).count();
    bgp.configure_speakers(wanted(), false).await;
    let late = next(&mut bgp).await;
    bgp.configure_speakers(BTreeMap::new(), false).await;
    bgp.hear(Heard { learned: late.learned.clone(), ..late }).await;
    assert_eq!(knows(&bgp), 0, "nobody has it");
    bgp.configure_speakers(wanted(), false).await;
    bgp.hear(late).await;
    assert_eq!(knows(&bgp), 0, "the one of the same name has not heard it");
    // The one that has ended may have said besides that it was gone.
    while knows(&bgp) == 0 {
        let heard = next(&mut bgp).await;
        bgp.hear(heard).await;
    }
}
