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
