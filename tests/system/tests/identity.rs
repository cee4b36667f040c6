//! Who an agent is, and who leads it: a certificate is for one host alone, and a controller that lost its memory leads on.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio_stream::StreamExt;
use tonic::Code;
use tonic::transport::Endpoint;
use weft_protocol::tls::TlsIdentity;
use weft_protocol::wire::agent_message::Message;
use weft_protocol::wire::agents_client::AgentsClient;
use weft_protocol::{PROTOCOL_VERSION, wire};
use weft_system_tests::{Bench, until};

const REACHED_WITHIN: Duration = Duration::from_secs(5);

/// Where agents find the controller, as one of them has logged it.
fn agents_address(bench: &Bench) -> String {
    let log = bench.log("host1");
    let found = log.split("controller=\"").nth(1).and_then(|rest| rest.split('"').next());
    found.expect("an agent has logged where its controller is").to_owned()
}

/// Greets as one host with the certificate of another; answers what came of it.
async fn greet(bench: &Bench, certificate: &str, host: &str) -> Result<(), (Code, String)> {
    let identity =
        TlsIdentity::load(&bench.lab().state_directory().join("tls"), certificate).expect("an identity");
    let endpoint = Endpoint::from_shared(format!("https://{}", agents_address(bench))).expect("an address");
    let endpoint = endpoint.tls_config(identity.client_config()).expect("an identity");
    let mut client =
        AgentsClient::new(endpoint.connect().await.map_err(|error| (Code::Unavailable, error.to_string()))?);
    let facts = wire::Facts { underlay_mtu: 1600, ..wire::Facts::default() };
    let hello = wire::Hello {
        protocol_version: PROTOCOL_VERSION,
        host: host.to_owned(),
        facts: Some(facts),
        ..wire::Hello::default()
    };
    let message = wire::AgentMessage { message: Some(Message::Hello(hello)) };
    let stream = tokio_stream::once(message).chain(tokio_stream::pending());
    let refused = |status: tonic::Status| (status.code(), status.message().to_owned());
    client.follow(stream).await.map(drop).map_err(refused)
}

#[test]
fn an_agent_with_the_certificate_of_one_host_cannot_speak_for_another() {
    let bench = Bench::up("t-who", 2, 9751);
    let before = bench.http().show("hosts", "host2");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (code, message) = runtime.block_on(greet(&bench, "host1", "host2")).expect_err("it is refused");
    assert_eq!(code, Code::PermissionDenied, "{message}");
    assert!(message.contains("host1") && message.contains("host2"), "{message}");
    let as_controller = runtime.block_on(greet(&bench, "controller", "host2"));
    assert!(as_controller.is_err(), "a controller's certificate only serves");
    let after = bench.http().show("hosts", "host2");
    assert_eq!(after, before, "what host2 says of itself is its own to say");
    assert!(bench.report("host2")["alive"] == true, "and its agent is still the one that is heard");
    println!("refused: {message}");
}

/// Two workloads of a network that is new; answers when they reach each other.
fn new_network(bench: &Bench, name: &str) {
    let network = bench.network(name, "10.1.0.0/24");
    let _near = bench.workload(&network, "host1", &format!("{name}1"), "10.1.0.11");
    let _far = bench.workload(&network, "host2", &format!("{name}2"), "10.1.0.12");
    bench.await_rest();
    let node = format!("host1.{name}1");
    until("reached", REACHED_WITHIN, || bench.pings_at_once(&node, "10.1.0.12").then_some(()));
}

fn epoch(bench: &Bench) -> u64 {
    let version = bench.http().version();
    version.split('.').next().and_then(|text| text.parse().ok()).expect("an epoch")
}

fn store(bench: &Bench) -> PathBuf {
    bench.lab().state_directory().join("controller/store.redb")
}

/// Starts the controller, whose agents are ahead of it, and waits until they follow it; answers how long that took.
fn lead_on(bench: &Bench, before: u64) -> Duration {
    let begin = Instant::now();
    bench.lab().start_controller().expect("the controller comes back");
    until("a new epoch", Duration::from_secs(30), || (epoch(bench) > before).then_some(()));
    bench.lab().await_agents(&bench.lab().hosts()).expect("agents connect");
    bench.await_rest();
    begin.elapsed()
}

#[test]
fn agents_follow_a_controller_whose_store_was_lost_and_one_whose_store_is_an_old_one() {
    let bench = Bench::up("t-lost", 2, 9752);
    new_network(&bench, "old");
    for number in 0..20 {
        let _one = bench.network(&format!("more{number}"), "10.7.0.0/24");
    }
    let first = epoch(&bench);
    bench.lab().kill_controller().expect("the controller can be killed");
    fs::remove_dir_all(bench.lab().state_directory().join("controller")).expect("its state can be removed");
    let lost = lead_on(&bench, first);
    assert_eq!(bench.http().list("networks").len(), 0);
    assert!(!bench.nodes().contains(&"host1.old1".to_owned()), "what nobody wants is gone");
    new_network(&bench, "new");
    assert_eq!(epoch(&bench), first + 1, "one new epoch is enough");

    bench.lab().kill_controller().expect("the controller can be killed");
    let copy = fs::read(store(&bench)).expect("a store can be copied while nobody has it open");
    bench.lab().start_controller().expect("the controller comes back");
    bench.await_rest();
    new_network(&bench, "later");
    bench.lab().kill_controller().expect("the controller can be killed");
    fs::write(store(&bench), copy).expect("an old store can be put back");
    let second = first + 1;
    let old = lead_on(&bench, second);
    assert!(!bench.nodes().contains(&"host1.later1".to_owned()), "hosts follow the store as it is");
    assert!(bench.pings("host1.new1", "10.1.0.12"), "and what it has is there");
    assert_eq!(epoch(&bench), second + 1);
    println!(
        "at rest {lost:.1?} after a controller began with an empty store, {old:.1?} after one with an old one"
    );
}
