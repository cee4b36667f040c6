//! Agents over loopback, with mutual TLS, against a controller that says what the test says.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use weft_agent::runner::{Host, Wake};
use weft_agent::stream::Peers;
use weft_agent::{Agent, Settings};
use weft_dataplane::{
    Driver, FragmentId, Key, Link, LinkId, LinkKind, Memory, Object, ObserveError, Plan, State, StepOutcome,
};
use weft_net::{Capability, HostFact, HostName, L3Encapsulation};
use weft_protocol::certificates::{Authority, Kind, Validity};
use weft_protocol::tls::{TlsIdentity, peer_host};
use weft_protocol::wire::agent_message::Message as FromAgent;
use weft_protocol::wire::agents_client::AgentsClient;
use weft_protocol::wire::agents_server::{Agents, AgentsServer};
use weft_protocol::wire::controller_message::Message as FromController;
use weft_protocol::{Basis, KINDS, PROTOCOL_VERSION, Version, encode_objects, encode_part, updates, wire};

const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it should have happened by now")
}

// ---- the host ----

struct Shared {
    memory: Mutex<Memory>,
    facts: Mutex<HostFact>,
    woken: Mutex<bool>,
    wake: Condvar,
    seen: watch::Sender<State>,
}

impl Shared {
    fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.wake.notify_one();
    }

    /// Changes the host from outside, and has its events tell of it.
    fn change(&self, change: impl FnOnce(&mut Memory)) {
        change(&mut self.memory.lock().unwrap());
        self.wake();
    }

    async fn becomes(&self, condition: impl FnMut(&State) -> bool) -> State {
        soon(self.seen.subscribe().wait_for(condition)).await.unwrap().clone()
    }
}

struct MemoryHost {
    shared: Arc<Shared>,
    state: State,
}

impl Driver for MemoryHost {
    fn observe(&mut self) -> Result<&State, ObserveError> {
        self.state = self.shared.memory.lock().unwrap().state().clone();
        self.shared.seen.send_replace(self.state.clone());
        Ok(&self.state)
    }

    fn apply(&mut self, plan: &Plan) -> Vec<StepOutcome> {
        self.shared.memory.lock().unwrap().apply(plan)
    }

    fn capabilities(&self) -> BTreeSet<Capability> {
        Capability::ALL.into()
    }
}

impl Host for MemoryHost {
    fn without_carrier(&self) -> Vec<weft_net::IfName> {
        Vec::new()
    }

    fn wait(&mut self, timeout: Duration) {
        let woken = self.shared.woken.lock().unwrap();
        let (mut woken, _) = self.shared.wake.wait_timeout_while(woken, timeout, |woken| !*woken).unwrap();
        *woken = false;
    }

    fn resync(&mut self) {}

    fn facts(&mut self) -> HostFact {
        self.shared.facts.lock().unwrap().clone()
    }
}

fn memory_host() -> (Arc<Shared>, MemoryHost, Wake) {
    let facts = HostFact {
        tunnel_endpoint: Some("192.0.2.1".parse().unwrap()),
        underlay_mtu: 1500,
        capabilities: Capability::ALL.into(),
        physical_networks: BTreeMap::new(),
        l3_encapsulation: L3Encapsulation::default(),
    };
    let shared = Arc::new(Shared {
        memory: Mutex::default(),
        facts: Mutex::new(facts),
        woken: Mutex::default(),
        wake: Condvar::new(),
        seen: watch::channel(State::default()).0,
    });
    let host = MemoryHost { shared: Arc::clone(&shared), state: State::default() };
    let waker = Arc::clone(&shared);
    (shared, host, Arc::new(move || waker.wake()))
}

// ---- the controller ----

/// An agent's stream, at the controller's end.
struct Session {
    host: HostName,
    incoming: Streaming<wire::AgentMessage>,
    outgoing: mpsc::Sender<Result<wire::ControllerMessage, Status>>,
}

impl Session {
    async fn next(&mut self) -> FromAgent {
        soon(self.incoming.message()).await.unwrap().expect("the stream is open").message.unwrap()
    }

    async fn hello(&mut self) -> wire::Hello {
        match self.next().await {
            FromAgent::Hello(hello) => hello,
            other => panic!("{other:?} is no greeting"),
        }
    }

    /// The next status of this version.
    async fn status(&mut self, version: Version) -> wire::Status {
        loop {
            if let FromAgent::Status(status) = self.next().await
                && Version::from(status.version) == version
            {
                return status;
            }
        }
    }

    async fn send(&self, message: FromController) {
        let message = wire::ControllerMessage { message: Some(message) };
        self.outgoing.send(Ok(message)).await.unwrap();
    }

    async fn update(&self, version: Version, basis: Basis, parts: Vec<Bytes>) {
        for update in updates(version, basis, parts, []) {
            self.send(FromController::Update(update)).await;
        }
    }
}

struct Service(mpsc::Sender<Session>);

#[tonic::async_trait]
impl Agents for Service {
    type FollowStream = ReceiverStream<Result<wire::ControllerMessage, Status>>;

    async fn follow(
        &self,
        request: Request<Streaming<wire::AgentMessage>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let certificates = request.peer_certs().expect("the handshake asks for them");
        let host = peer_host(&certificates).map_err(|error| Status::unauthenticated(error.to_string()))?;
        let (outgoing, messages) = mpsc::channel(16);
        let session = Session { host, incoming: request.into_inner(), outgoing };
        self.0.send(session).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

struct Controller {
    address: SocketAddr,
    sessions: mpsc::Receiver<Session>,
    server: tokio::task::JoinHandle<()>,
}

impl Controller {
    /// Serves with the identity of this name, at this port; 0: any.
    async fn start(directory: &Path, name: &str, port: u16) -> Self {
        let identity = TlsIdentity::load(directory, name).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, sessions) = mpsc::channel(8);
        let server = Server::builder()
            .tls_config(identity.server_config())
            .unwrap()
            .add_service(AgentsServer::new(Service(accepted)))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { server.await.unwrap() });
        Self { address, sessions, server }
    }

    /// Ends it, so that another can have its port.
    async fn stop(self) {
        self.server.abort();
        let _aborted = self.server.await;
    }

    async fn session(&mut self) -> Session {
        soon(self.sessions.recv()).await.unwrap()
    }
}

// ---- the bench ----

struct Bench {
    directory: tempfile::TempDir,
    authority: Authority,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::create_or_load(directory.path(), validity()).unwrap();
        for (name, kind) in [("controller", Kind::Controller), ("a", Kind::Host), ("b", Kind::Host)] {
            authority.issue(&name.parse().unwrap(), kind, &[], validity()).unwrap();
        }
        Self { directory, authority }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    async fn controller(&self) -> Controller {
        Controller::start(self.path(), "controller", 0).await
    }

    fn agent(&self, controller: SocketAddr) -> Running {
        let (shared, host, wake) = memory_host();
        let settings = Settings {
            peers: Peers {
                host: "a".parse().unwrap(),
                controllers: vec![controller.to_string()],
                tls_directory: self.path().to_owned(),
            },
            state_directory: self.state_directory(),
            resync_interval: Duration::from_secs(60),
            jitter: ChaCha8Rng::seed_from_u64(1),
        };
        let (agent, stream) = Agent::start(host, wake, settings).unwrap();
        Running { shared, agent, stream: tokio::spawn(stream.run()) }
    }

    fn state_directory(&self) -> PathBuf {
        self.path().join("state")
    }
}

struct Running {
    shared: Arc<Shared>,
    agent: Agent,
    stream: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stream.abort();
        let _aborted = self.stream.await;
        self.agent.stop().unwrap();
    }
}

fn validity() -> Validity {
    let now = SystemTime::now();
    let day = Duration::from_secs(24 * 3600);
    Validity { from: now - day, until: now + day }
}

fn bridge(name: &str) -> Object {
    let mark = format!("weft.net.{name}").parse().unwrap();
    let id = LinkId::on_host(name.parse().unwrap());
    Object::Link(Link { id, mark, mtu: 1450, up: true, kind: LinkKind::Bridge })
}

fn key(name: &str) -> Key {
    bridge(name).key()
}

fn part(name: &str) -> Bytes {
    let id = FragmentId { service: "network/1".into(), subject: format!("member/{name}").into() };
    encode_part(&id, encode_objects(&[bridge(name)]))
}

const ONE: Version = Version::new(1, 1);
const TWO: Version = Version::new(1, 2);

#[tokio::test]
async fn an_agent_greets_does_what_it_is_sent_and_says_so() {
    let bench = Bench::new();
    let mut controller = bench.controller().await;
    let running = bench.agent(controller.address);
    let mut session = controller.session().await;
    let hello = session.hello().await;
    assert_eq!((session.host.as_str(), hello.host.as_str()), ("a", "a"));
    assert_eq!((hello.protocol_version, Version::from(hello.have)), (PROTOCOL_VERSION, Version::NONE));
    assert_eq!(hello.kinds, KINDS);
    let facts = HostFact::try_from(&hello.facts.unwrap()).unwrap();
    assert_eq!(facts, *running.shared.facts.lock().unwrap());

    session.update(ONE, Basis::Full, vec![part("br-1"), part("br-2")]).await;
    let status = session.status(ONE).await;
    assert!(status.at_rest && status.not_done.is_empty());
    assert!(running.shared.memory.lock().unwrap().state().contains(&key("br-2")));

    session.update(TWO, Basis::On(ONE), vec![part("br-3")]).await;
    assert!(session.status(TWO).await.at_rest);
    running.stop().await;
}

#[tokio::test]
async fn a_lost_stream_is_taken_up_again_from_the_version_that_the_agent_has() {
    let bench = Bench::new();
    let mut controller = bench.controller().await;
    let running = bench.agent(controller.address);
    let mut session = controller.session().await;
    session.update(ONE, Basis::Full, vec![part("br-1")]).await;
    session.status(ONE).await;
    drop(session);
    let mut session = controller.session().await;
    assert_eq!(Version::from(session.hello().await.have), ONE);
    assert!(session.status(ONE).await.at_rest, "a new stream is told anew");

    // The controller itself goes, and another comes in its place.
    let port = controller.address.port();
    controller.stop().await;
    drop(session);
    let mut controller = Controller::start(bench.path(), "controller", port).await;
    let mut session = controller.session().await;
    assert_eq!(Version::from(session.hello().await.have), ONE);
    running.stop().await;
}

#[tokio::test]
async fn an_update_that_is_cut_off_is_forgotten_and_the_rest_of_it_too() {
    let bench = Bench::new();
    let mut controller = bench.controller().await;
    let running = bench.agent(controller.address);
    let mut session = controller.session().await;
    session.update(ONE, Basis::Full, vec![part("br-1")]).await;
    session.status(ONE).await;
    let mut first_part = updates(TWO, Basis::Full, [part("br-9")], []).remove(0);
    first_part.complete = false;
    session.send(FromController::Update(first_part)).await;
    drop(session);
    let mut session = controller.session().await;
    assert_eq!(Version::from(session.hello().await.have), ONE);
    session.update(TWO, Basis::On(ONE), vec![part("br-2")]).await;
    session.status(TWO).await;
    let state = running.shared.memory.lock().unwrap().state().clone();
    assert!(state.contains(&key("br-1")) && state.contains(&key("br-2")) && !state.contains(&key("br-9")));
    running.stop().await;
}

#[tokio::test]
async fn an_update_that_does_not_fit_makes_the_agent_ask_for_everything() {
    let bench = Bench::new();
    let mut controller = bench.controller().await;
    let running = bench.agent(controller.address);
    let mut session = controller.session().await;
    session.update(ONE, Basis::Full, vec![part("br-1")]).await;
    session.status(ONE).await;
    session.update(Version::new(1, 4), Basis::On(Version::new(1, 3)), vec![part("br-4")]).await;
    let mut session = controller.session().await;
    assert_eq!(Version::from(session.hello().await.have), Version::NONE);
    assert!(running.shared.memory.lock().unwrap().state().contains(&key("br-1")), "meanwhile it holds");
    let version = Version::new(1, 4);
    session.update(version, Basis::Full, vec![part("br-4")]).await;
    assert!(session.status(version).await.at_rest);
    running.stop().await;
}

#[tokio::test]
async fn a_host_is_healed_without_a_controller_also_after_a_restart_of_agent_and_host() {
    let bench = Bench::new();
    let mut controller = bench.controller().await;
    let address = controller.address;
    let running = bench.agent(address);
    let mut session = controller.session().await;
    session.update(ONE, Basis::Full, vec![part("br-1"), part("br-2")]).await;
    session.status(ONE).await;
    controller.stop().await;
    drop(session);

    running.shared.change(|memory| assert!(memory.damage(&key("br-1"))));
    running.shared.becomes(|state| state.len() == 2).await;
    running.stop().await;

    // A new agent, a host without anything, and nobody to ask.
    let running = bench.agent(address);
    let state = running.shared.becomes(|state| state.len() == 2).await;
    assert!(state.contains(&key("br-1")) && state.contains(&key("br-2")));

    let mut controller = Controller::start(bench.path(), "controller", address.port()).await;
    let mut session = controller.session().await;
    assert_eq!(Version::from(session.hello().await.have), ONE);
    assert!(session.status(ONE).await.at_rest);
    running.stop().await;
}

#[tokio::test]
async fn facts_are_told_again_when_they_change_and_questions_are_answered() {
    let bench = Bench::new();
    let mut controller = bench.controller().await;
    let running = bench.agent(controller.address);
    let mut session = controller.session().await;
    session.hello().await;
    running.shared.facts.lock().unwrap().underlay_mtu = 9000;
    running.shared.wake();
    let FromAgent::Facts(facts) = session.next().await else { panic!("facts were expected") };
    assert_eq!(facts.underlay_mtu, 9000);

    session.update(ONE, Basis::Full, vec![part("br-1")]).await;
    session.status(ONE).await;
    session.send(FromController::Explain(wire::Explain { query: 7, key_filter: "br-1".to_owned() })).await;
    let FromAgent::Explanation(answer) = session.next().await else { panic!("an answer was expected") };
    assert_eq!((answer.query, answer.cut), (7, 0));
    assert_eq!(answer.lines, ["link br-1: as it should be; member/br-1 of network/1"]);
    running.stop().await;
}

/// A client of its own, with this identity, that says it is `host`.
async fn greet(address: SocketAddr, identity: &TlsIdentity, host: &str) -> Result<(), String> {
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    let endpoint = endpoint.tls_config(identity.client_config()).unwrap();
    let channel = soon(endpoint.connect()).await.map_err(|error| format!("{error:?}"))?;
    let hello = wire::Hello { host: host.to_owned(), ..wire::Hello::default() };
    let hello = wire::AgentMessage { message: Some(FromAgent::Hello(hello)) };
    let (messages, outgoing) = mpsc::channel(1);
    messages.send(hello).await.unwrap();
    let mut client = AgentsClient::new(channel);
    soon(client.follow(ReceiverStream::new(outgoing))).await.map(drop).map_err(|error| format!("{error:?}"))
}

#[tokio::test]
async fn a_host_that_says_it_is_another_is_found_out() {
    let bench = Bench::new();
    let mut controller = bench.controller().await;
    let identity = TlsIdentity::load(bench.path(), "a").unwrap();
    let client = tokio::spawn(async move { greet(controller.address, &identity, "b").await });
    let mut session = controller.sessions.recv().await.unwrap();
    assert_eq!(session.hello().await.host, "b");
    assert_eq!(session.host.as_str(), "a", "what counts is the certificate");
    client.await.unwrap().unwrap();
}

#[tokio::test]
async fn neither_end_talks_to_one_of_another_authority() {
    let (ours, theirs) = (Bench::new(), Bench::new());
    let controller = ours.controller().await;
    // They have the names, but not the authority.
    let stranger = TlsIdentity::load(theirs.path(), "a").unwrap();
    assert!(greet(controller.address, &stranger, "a").await.unwrap_err().contains("InvalidCertificate"));
    // They trust our authority, and still have not its certificate.
    std::fs::copy(ours.path().join("ca.pem"), theirs.path().join("ca.pem")).unwrap();
    let stranger = TlsIdentity::load(theirs.path(), "a").unwrap();
    greet(controller.address, &stranger, "a").await.unwrap_err();
    let known = TlsIdentity::load(ours.path(), "a").unwrap();
    let mut controller = controller;
    greet(controller.address, &known, "a").await.unwrap();
    assert_eq!(controller.session().await.host.as_str(), "a");
    assert!(controller.sessions.try_recv().is_err(), "no stranger got as far as a session");
}

#[tokio::test]
async fn a_host_cannot_pass_for_the_controller() {
    let bench = Bench::new();
    let impostor = Controller::start(bench.path(), "b", 0).await;
    let identity = TlsIdentity::load(bench.path(), "a").unwrap();
    greet(impostor.address, &identity, "a").await.unwrap_err();
    // Nor can the controller's certificate pass for a host's.
    let mut controller = bench.controller().await;
    let identity = TlsIdentity::load(bench.path(), "controller").unwrap();
    greet(controller.address, &identity, "controller").await.unwrap_err();
    assert!(controller.sessions.try_recv().is_err());
    drop(bench.authority);
}

/// Passes bytes on until it is told to pass on none, without closing anything.
async fn freezable_proxy(to: SocketAddr) -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (frozen, seen) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut seen = seen.clone();
            seen.mark_unchanged();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    _ = seen.changed() => std::future::pending::<()>().await,
                }
            });
        }
    });
    (address, frozen)
}

#[tokio::test]
async fn a_controller_that_falls_silent_is_noticed_within_fifteen_seconds() {
    let bench = Bench::new();
    let mut controller = bench.controller().await;
    let (proxy, frozen) = freezable_proxy(controller.address).await;
    let running = bench.agent(proxy);
    let mut session = controller.session().await;
    session.update(ONE, Basis::Full, vec![part("br-1")]).await;
    session.status(ONE).await;
    frozen.send_replace(true);
    let silent_since = std::time::Instant::now();
    let mut next = controller.session().await;
    assert!(silent_since.elapsed() < Duration::from_secs(15), "{:?}", silent_since.elapsed());
    assert_eq!(Version::from(next.hello().await.have), ONE);
    running.stop().await;
}
