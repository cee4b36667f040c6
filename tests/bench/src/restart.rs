//! An agent that is killed and started again: how long until it says that it is at rest, and that it changed nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};
use weft_dataplane::{FragmentId, LinkId, LinkKind, Namespace, Object};
use weft_net::Mac;
use weft_protocol::tls::TlsIdentity;
use weft_protocol::wire::agent_message::Message as FromAgent;
use weft_protocol::wire::agents_server::{Agents, AgentsServer};
use weft_protocol::wire::controller_message::Message as FromController;
use weft_protocol::{Basis, Version, encode_objects, encode_part, updates, wire};

use crate::daemon::{certificates, start_agent};
use crate::figure::{Figure, median, milliseconds};
use crate::kernel::{forwarding_entry, link, vxlan};
use crate::namespace::Namespaces;

const OBJECTS: usize = 10_000;
const NAMESPACES: u8 = 20;
const LINKS_PER_NAMESPACE: u8 = 10;
const ROUNDS: usize = 7;
const PATIENCE: Duration = Duration::from_secs(60);
const VERSION: Version = Version::new(1, 1).with_content(1);

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let directory = tempfile::tempdir()?;
    certificates(directory.path(), &["restarted"])?;
    let namespace = Namespaces::new()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut times = runtime.block_on(measure(directory.path(), &namespace))?;
    Ok(vec![Figure::new("agent_restart", milliseconds(median(&mut times)), "ms").at_most(300.0)])
}

async fn measure(directory: &Path, namespace: &Namespaces) -> anyhow::Result<Vec<Duration>> {
    let identity = TlsIdentity::load(directory, "controller")?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let (accepted, mut sessions) = mpsc::channel(8);
    let server = tonic::transport::Server::builder()
        .tls_config(identity.server_config())?
        .add_service(AgentsServer::new(Service(accepted)))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let server = tokio::spawn(server);
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let begun = Instant::now();
        let agent = start_agent(directory, "restarted", address, namespace)?;
        let mut session = within_patience(sessions.recv()).await?.context("the server has ended")?;
        if round == 0 {
            session.send_intent().await?;
        }
        let status = session.at_rest().await?;
        let took = begun.elapsed();
        if round > 0 {
            ensure!(status.steps_done == 0, "a restarted agent took {} steps", status.steps_done);
            times.push(took);
        }
        drop(agent); // killed
    }
    server.abort();
    Ok(times)
}

async fn within_patience<T>(future: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::time::timeout(PATIENCE, future).await.context("the agent does not say anything")
}

/// An agent's stream, at the controller's end.
struct Session {
    incoming: Streaming<wire::AgentMessage>,
    outgoing: mpsc::Sender<Result<wire::ControllerMessage, Status>>,
}

impl Session {
    async fn send_intent(&self) -> anyhow::Result<()> {
        for update in updates(VERSION, Basis::Full, intent()?, []) {
            let message = wire::ControllerMessage { message: Some(FromController::Update(update)) };
            self.outgoing.send(Ok(message)).await.context("the agent is gone")?;
        }
        Ok(())
    }

    /// The status that says that nothing is left to do.
    async fn at_rest(&mut self) -> anyhow::Result<wire::Status> {
        loop {
            let message = within_patience(self.incoming.message()).await??.context("the agent is gone")?;
            if let Some(FromAgent::Status(status)) = message.message
                && status.at_rest
                && Version::from(status.version) == VERSION
            {
                return Ok(status);
            }
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
        let (outgoing, messages) = mpsc::channel(16);
        let session = Session { incoming: request.into_inner(), outgoing };
        self.0.send(session).await.map_err(|_| Status::unavailable("it is over"))?;
        Ok(Response::new(ReceiverStream::new(messages)))
    }
}

/// 200 links in 20 namespaces, and forwarding entries up to 10,000 objects; one fragment to a namespace and to an entry.
fn intent() -> anyhow::Result<Vec<Bytes>> {
    let mut objects = vec![vec![link("vx1", vxlan(1)?)?]];
    for number in 0..NAMESPACES {
        let mut of_namespace = vec![Object::Namespace(format!("n{number}").parse()?)];
        for link_number in 0..LINKS_PER_NAMESPACE {
            let namespace = Namespace::Named(format!("n{number}").parse()?);
            let peer = LinkId { namespace, name: format!("eth{link_number}").parse()? };
            let peer_mac = Mac::new([2, 0, 0, 1, number, link_number]);
            of_namespace.push(link(&format!("t{number}-{link_number}"), LinkKind::Veth { peer, peer_mac })?);
        }
        objects.push(of_namespace);
    }
    let count: usize = objects.iter().map(Vec::len).sum();
    for number in 0..u32::try_from(OBJECTS - count)? {
        objects.push(vec![forwarding_entry(number)?]);
    }
    let part = |(number, objects): (usize, Vec<Object>)| {
        let subject = format!("subject/{number}").into();
        encode_part(&FragmentId { service: "network/bench".into(), subject }, encode_objects(&objects))
    };
    Ok(objects.into_iter().enumerate().map(part).collect())
}
