//! Who waits for the disk waits alone. All runs on one thread: whoever blocks it, blocks everybody.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_stream::StreamExt;
use tonic::transport::Endpoint;
use weft_controller::agents::{self, AgentServer};
use weft_protocol::certificates::{Authority, Kind, Validity};
use weft_protocol::tls::TlsIdentity;
use weft_protocol::wire::agent_message::Message;
use weft_protocol::wire::agents_client::AgentsClient;
use weft_protocol::wire::controller_message::Message as FromController;
use weft_protocol::{PROTOCOL_VERSION, wire};

use crate::support::Controller;

/// While something waits for the disk, others are answered.
async fn check_others_are_answered<T>(controller: &Controller, waits: impl Future<Output = T>) -> T {
    let reads = controller.disk.reads();
    controller.disk.hold();
    let begin = Instant::now();
    let others = async {
        while controller.disk.reads() == reads {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let answer = controller.get("/healthz").await;
        let answered = begin.elapsed();
        controller.disk.release();
        (answer.status, answered)
    };
    let (done, (status, answered)) = tokio::join!(waits, others);
    assert_eq!(status, 200);
    assert!(answered < Duration::from_secs(1), "others were answered after {answered:?}");
    done
}

async fn with_a_port() -> (Controller, String) {
    let controller = Controller::start().await;
    controller.host("host1", 1).await;
    let network = controller.network("blue").await;
    controller.port(&network, "host1", "web").await;
    (controller, network)
}

#[tokio::test]
async fn the_history_is_read_while_others_are_answered() {
    let (controller, _) = with_a_port().await;
    let answer = check_others_are_answered(&controller, controller.get("/v1/history")).await;
    assert_eq!(answer.json()["history"].as_array().unwrap().len(), 4, "{answer:?}");
}

#[tokio::test]
async fn an_explanation_is_looked_for_while_others_are_answered() {
    let (controller, _) = with_a_port().await;
    let answer = check_others_are_answered(&controller, controller.get("/v1/explain?host=host1")).await;
    let objects = answer.json()["objects"].as_array().unwrap().clone();
    assert!(!objects.is_empty());
    for fragment in objects.iter().flat_map(|object| object["fragments"].as_array().unwrap()) {
        assert!(fragment["request_id"].as_str().unwrap().starts_with("req-"), "{fragment}");
    }
}

#[tokio::test]
async fn a_rollback_is_worked_out_while_others_are_answered() {
    let (controller, network) = with_a_port().await;
    let before = controller.revision();
    let renamed = json!({ "network": { "name": "renamed" } });
    controller.ask("PUT", &format!("/v2.0/networks/{network}"), renamed).await;
    let back = json!({ "revision": before, "project_id": "default" });
    let answer = check_others_are_answered(&controller, controller.ask("POST", "/v1/rollback", back)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let network = controller.get(&format!("/v2.0/networks/{network}")).await.json();
    assert_eq!(network["network"]["name"], "blue");
}

/// Greets as host1, with what it has; answers the first update that it is sent.
async fn greet(
    client: &mut AgentsClient<tonic::transport::Channel>,
    have: Option<wire::Version>,
) -> wire::Update {
    let facts = wire::Facts { underlay_mtu: 1600, ..wire::Facts::default() };
    let hello = wire::Hello {
        protocol_version: PROTOCOL_VERSION,
        host: "host1".into(),
        facts: Some(facts),
        have,
        ..wire::Hello::default()
    };
    let message = wire::AgentMessage { message: Some(Message::Hello(hello)) };
    let stream = tokio_stream::once(message).chain(tokio_stream::pending());
    let mut updates = client.follow(stream).await.unwrap().into_inner();
    match updates.message().await.unwrap().unwrap().message {
        Some(FromController::Update(update)) => update,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_an_agent_that_comes_back_lacks_is_found_while_others_are_answered() {
    let directory = tempfile::tempdir().unwrap();
    let now = std::time::SystemTime::now();
    let validity = Validity { from: now - Duration::from_secs(60), until: now + Duration::from_secs(3600) };
    let authority = Authority::create_or_load(directory.path(), validity).unwrap();
    authority.issue(&"host1".parse().unwrap(), Kind::Host, &[], validity).unwrap();
    let sans = ["127.0.0.1".to_owned()];
    authority.issue(&"controller".parse().unwrap(), Kind::Controller, &sans, validity).unwrap();
    let identity = |name: &str| TlsIdentity::load(directory.path(), name).unwrap();

    let controller = Controller::start().await;
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server =
        AgentServer::new(controller.site.clone(), controller.links.clone(), controller.notices.clone());
    let of_controller = identity("controller");
    tokio::spawn(async move { agents::serve(server, address, &of_controller, std::future::pending()).await });
    tokio::spawn(agents::follow_store(controller.site.clone(), controller.links.clone()));
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    let endpoint = endpoint.tls_config(identity("host1").client_config()).unwrap();
    let mut client = loop {
        match endpoint.connect().await {
            Ok(channel) => break AgentsClient::new(channel),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };

    let first = greet(&mut client, None).await;
    assert!(first.full, "{first:?}");
    let network = controller.network("blue").await;
    controller
        .ask(
            "POST",
            "/v2.0/ports",
            json!({ "port": { "network_id": network,
        "binding:host_id": "host1", "binding:profile": Value::Null } }),
        )
        .await;
    while controller.site.distribution.lock().version() < controller.site.durable().version {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let later = check_others_are_answered(&controller, greet(&mut client, first.version)).await;
    assert!(!later.full, "it is sent what it lacks: {later:?}");
}

#[tokio::test]
async fn the_log_is_read_once_for_all_that_is_to_be_explained() {
    let (controller, network) = with_a_port().await;
    for number in 0..30 {
        controller.port(&network, "host1", &format!("web{number}")).await;
    }
    // What is explained was written long ago.
    for number in 0..600 {
        controller.create("networks", "network", json!({ "name": format!("more{number}") })).await;
    }
    let reads = |before| controller.disk.reads() - before;
    let before = controller.disk.reads();
    let one = controller.get("/v1/explain?host=host1&object=web7").await.json();
    let (one, for_one) = (one["objects"].as_array().unwrap().len(), reads(before));
    let before = controller.disk.reads();
    let all = controller.get("/v1/explain?host=host1").await.json();
    let (all, for_all) = (all["objects"].as_array().unwrap().len(), reads(before));
    println!("{one} objects: {for_one} reads; {all} objects: {for_all} reads");
    assert!(all > 30 && for_all < 2 * for_one, "{one} objects: {for_one} reads, {all}: {for_all}");
}

#[tokio::test]
async fn a_list_keeps_no_agent_waiting_and_waits_for_none_of_whose_reports_it_shows_nothing() {
    let (controller, network) = with_a_port().await;
    let (taken, is_taken) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let site = controller.site.clone();
    let holder = std::thread::spawn(move || {
        let _distribution = site.distribution.lock();
        taken.send(()).unwrap();
        // Nobody is kept waiting for longer.
        let _ = released.recv_timeout(Duration::from_secs(3));
    });
    is_taken.await.unwrap();
    let begin = Instant::now();
    for path in
        ["/v2.0/networks", "/v2.0/subnets?sort_key=name&sort_dir=asc", &format!("/v2.0/networks/{network}")]
    {
        assert_eq!(controller.get(path).await.status, 200, "{path}");
    }
    let answered = begin.elapsed();
    let _ = release.send(());
    holder.join().unwrap();
    assert!(answered < Duration::from_secs(1), "answered after {answered:?}");
    assert_eq!(controller.get("/v2.0/ports").await.json()["ports"][0]["status"], "BUILD");
}
