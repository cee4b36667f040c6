//! Where BGP neighbours connect to, whichever speaker they are for.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use weft_controller::bgp::{Bgp, BgpConfig};

use crate::support::Controller;

const WITHIN: Duration = Duration::from_secs(20);

/// Connects from an address until somebody answers with an OPEN; answers whose AS is in it.
async fn opened_by(from: IpAddr, to: SocketAddr) -> u16 {
    loop {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        let mut header = [0; 22];
        if let Ok(mut stream) = socket.connect(to).await
            && stream.read_exact(&mut header).await.is_ok()
            && header[18] == 1
        {
            return u16::from_be_bytes([header[20], header[21]]);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn each_neighbour_reaches_the_speaker_that_has_it_also_when_the_first_speaker_has_gone() {
    let controller = Controller::start().await;
    let free = TcpListener::bind("127.78.0.1:0").unwrap();
    let to = free.local_addr().unwrap();
    drop(free);
    let mut speakers = Vec::new();
    for (local_as, neighbour) in [(64_512, "127.78.0.2"), (64_513, "127.78.0.3")] {
        let speaker = json!({"name": format!("as{local_as}"), "local_as": local_as, "ip_version": 4});
        let speaker = controller.create("bgp-speakers", "bgp_speaker", speaker).await;
        let peer = json!({"peer_ip": neighbour, "remote_as": 64_900, "passive": true});
        let peer = controller.create("bgp-peers", "bgp_peer", peer).await;
        let place = format!("/v2.0/bgp-speakers/{speaker}/add_bgp_peer");
        assert_eq!(controller.ask("PUT", &place, json!({"bgp_peer_id": peer})).await.status, 200);
        speakers.push(speaker);
    }
    let config = BgpConfig { listen: vec![to], router_id: [192, 0, 2, 250].into(), deferral_time_s: 0 };
    tokio::spawn(Bgp::start(controller.site.clone(), config).await.run());
    let [one, other] = ["127.78.0.2", "127.78.0.3"].map(|text| text.parse::<IpAddr>().unwrap());
    let opened = async |from| tokio::time::timeout(WITHIN, opened_by(from, to)).await.expect("an OPEN");
    assert_eq!((opened(one).await, opened(other).await), (64_512, 64_513));
    // With the lesser identifier a speaker is configured first.
    for gone in [speakers.iter().min().unwrap(), speakers.iter().max().unwrap()] {
        let left = if *gone == speakers[0] { (other, 64_513) } else { (one, 64_512) };
        let is_last = controller.site.speakers.all().len() == 1;
        assert_eq!(
            controller.send("DELETE", &format!("/v2.0/bgp-speakers/{gone}"), &[], b"").await.status,
            204
        );
        let count = usize::from(!is_last);
        let went = async {
            while controller.site.speakers.all().len() != count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(WITHIN, went).await.expect("the speaker goes");
        if !is_last {
            assert_eq!(opened(left.0).await, left.1);
        }
    }
    let went = async {
        while TcpListener::bind(to).is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await
        }
    };
    tokio::time::timeout(WITHIN, went).await.expect("nobody is listened for without speakers");
}

/// A speaker with a peer that is asked for so.
async fn speaker(controller: &Controller, local_as: u32, peer: serde_json::Value) {
    let speaker = json!({"name": format!("as{local_as}"), "local_as": local_as});
    let speaker = controller.create("bgp-speakers", "bgp_speaker", speaker).await;
    let peer = controller.create("bgp-peers", "bgp_peer", peer).await;
    let place = format!("/v2.0/bgp-speakers/{speaker}/add_bgp_peer");
    assert_eq!(controller.ask("PUT", &place, json!({"bgp_peer_id": peer})).await.status, 200);
}

/// Alarms of what does not run: what is wrong, and whether it is over.
async fn alarms(controller: &Controller) -> Vec<(String, bool)> {
    let status = controller.get("/v1/status").await.json();
    let alarms = status["route_audit"]["alarms"].as_array().unwrap().clone();
    let alarms = alarms.iter().filter(|alarm| alarm["comparison"] == "speaker");
    let told =
        |alarm: &serde_json::Value| format!("{}: {}", alarm["route"], alarm["finding"]).replace('"', "");
    alarms.map(|alarm| (told(alarm), !alarm["mended_at"].is_null())).collect()
}

#[tokio::test]
async fn a_port_in_use_is_an_alarm_until_it_is_free_and_is_taken_then_without_a_word() {
    let controller = Controller::start().await;
    let taken = TcpListener::bind("127.78.1.1:0").unwrap();
    let to = taken.local_addr().unwrap();
    speaker(&controller, 64_512, json!({"peer_ip": "127.78.1.2", "remote_as": 64_900, "passive": true}))
        .await;
    let config = BgpConfig { listen: vec![to], router_id: [192, 0, 2, 250].into(), deferral_time_s: 0 };
    tokio::spawn(Bgp::start(controller.site.clone(), config).await.run());
    let told = alarms(&controller).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0.starts_with(&format!("BGP listener: {to}: Address already in use")), "{told:?}");
    assert!(!told[0].1);
    drop(taken);
    let from = "127.78.1.2".parse().unwrap();
    let asn = tokio::time::timeout(WITHIN, opened_by(from, to)).await.expect("it listens by itself");
    assert_eq!(asn, 64_512);
    let told = alarms(&controller).await;
    assert!(told.len() == 1 && told[0].1, "{told:?}");
}

#[tokio::test]
async fn what_nobody_wants_any_more_is_no_alarm() {
    let controller = Controller::start().await;
    speaker(&controller, 64_512, json!({"peer_ip": "127.78.3.2", "remote_as": 64_900, "passive": true}))
        .await;
    // Nobody has this address.
    let to = "192.0.2.123:17900".parse().unwrap();
    let config = BgpConfig { listen: vec![to], router_id: [192, 0, 2, 250].into(), deferral_time_s: 0 };
    tokio::spawn(Bgp::start(controller.site.clone(), config).await.run());
    let told = alarms(&controller).await;
    assert!(told.len() == 1 && told[0].0.contains("192.0.2.123:17900: ") && !told[0].1, "{told:?}");
    let id = controller.site.speakers.all()[0].0;
    let gone = controller.send("DELETE", &format!("/v2.0/bgp-speakers/{id}"), &[], b"").await;
    assert_eq!(gone.status, 204);
    let settled = async {
        while !alarms(&controller).await[0].1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, settled).await.expect("the alarm is over");
}

#[tokio::test]
async fn who_comes_from_a_range_reaches_the_speaker_with_the_narrowest_and_nobody_else_is_let_in() {
    let controller = Controller::start().await;
    let free = TcpListener::bind("127.78.2.1:0").unwrap();
    let to = free.local_addr().unwrap();
    drop(free);
    for (local_as, range) in
        [(64_512, "127.78.2.0/24"), (64_513, "127.78.2.128/25"), (64_514, "127.78.2.0/25")]
    {
        speaker(&controller, local_as, json!({"listen_range": range, "remote_as": 64_900})).await;
    }
    let one = json!({"peer_ip": "127.78.2.200", "remote_as": 64_900, "passive": true});
    speaker(&controller, 64_515, one).await;
    let config = BgpConfig { listen: vec![to], router_id: [192, 0, 2, 250].into(), deferral_time_s: 0 };
    tokio::spawn(Bgp::start(controller.site.clone(), config).await.run());
    for (from, asn) in [("127.78.2.9", 64_514), ("127.78.2.129", 64_513), ("127.78.2.200", 64_515)] {
        let opened = tokio::time::timeout(WITHIN, opened_by(from.parse().unwrap(), to)).await;
        assert_eq!(opened.expect("an OPEN"), asn, "{from}");
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.78.4.1:0".parse().unwrap()).unwrap();
    let mut stream = socket.connect(to).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(WITHIN, stream.read_to_end(&mut answer)).await.expect("it is closed");
    assert!(read.is_ok());
    // NOTIFICATION, Cease, connection rejected (RFC 4486 §4).
    assert_eq!(answer.get(18..21), Some(&[3, 6, 5][..]), "{answer:?}");
}

#[tokio::test]
async fn a_speaker_that_cannot_begin_is_an_alarm_until_nobody_wants_it() {
    let controller = Controller::start().await;
    let free = TcpListener::bind("127.78.5.1:0").unwrap();
    let to = free.local_addr().unwrap();
    drop(free);
    speaker(&controller, 64_512, json!({"peer_ip": "127.78.5.2", "remote_as": 64_900, "passive": true}))
        .await;
    // It is nobody's identifier (RFC 6286 §2.1).
    let config = BgpConfig { listen: vec![to], router_id: [0, 0, 0, 0].into(), deferral_time_s: 0 };
    tokio::spawn(Bgp::start(controller.site.clone(), config).await.run());
    let told = alarms(&controller).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0.starts_with("BGP speaker ") && told[0].0.contains(": router_id: "), "{told:?}");
    assert!(controller.site.speakers.all().is_empty());
    let id = controller.get("/v2.0/bgp-speakers").await.json()["bgp_speakers"][0]["id"].clone();
    let path = format!("/v2.0/bgp-speakers/{}", id.as_str().unwrap());
    assert_eq!(controller.send("DELETE", &path, &[], b"").await.status, 204);
    let settled = async {
        while !alarms(&controller).await[0].1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, settled).await.expect("the alarm is over");
}
