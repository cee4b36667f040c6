//! The agents' listener: gRPC over mutual TLS. A host's certificate sees only that host's intent.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use weft_net::{HostFact, HostName};
use weft_protocol::tls::{TlsIdentity, peer_host};
use weft_protocol::wire::agent_message::Message as FromAgent;
use weft_protocol::wire::agents_server::{Agents, AgentsServer};
use weft_protocol::wire::controller_message::Message as FromController;
use weft_protocol::{MESSAGE_BYTES_MAX, PROTOCOL_VERSION, wire};
use weft_services::{Change, Refusal, confirm_departures, describe_host};
use weft_store::{ReadError, Version};

use super::distribution::{AtHave, from_wire};
use crate::api::Notices;
use crate::bgp::{Comparison, on};
use crate::site::{Caller, Failure, Site};

/// Messages on their way to one agent. An agent that is so far behind is let go; when it comes back it is told what it lacks.
const OUTGOING_MAX: usize = 4096;
/// Commits that an agent may have missed and still be told only what differs.
const RESUME_MAX: usize = 2000;
/// So many epochs an agent may be ahead of the store; one that says more has not been told so by us.
const EPOCHS_AHEAD_MAX: u64 = 1024;
/// So often an agent that is ahead has the epoch raised: whoever has a host's certificate must not keep all others busy.
const RAISES_MAX: u32 = 64;
const HELLO_WITHIN: Duration = Duration::from_secs(10);
const PING_INTERVAL: Duration = Duration::from_secs(4);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

type Outgoing = mpsc::Sender<Result<wire::ControllerMessage, Status>>;

/// The open streams, by host.
#[derive(Default)]
pub struct Links {
    open: Mutex<HashMap<HostName, (u64, Outgoing)>>,
    /// What agents are asked and have not answered yet.
    questions: Mutex<HashMap<(HostName, u64), oneshot::Sender<wire::Explanation>>>,
    asked: AtomicU64,
}

/// A question that is open. Whoever no longer waits for the answer takes it back.
struct Question<'l> {
    links: &'l Links,
    of: (HostName, u64),
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.links.questions.lock().remove(&self.of);
    }
}

impl Links {
    /// Sends updates to a host. A host that does not take them is let go.
    pub(super) fn send(&self, host: &HostName, updates: Vec<wire::Update>) {
        let mut open = self.open.lock();
        let Some((_, outgoing)) = open.get(host) else { return };
        for update in updates {
            if outgoing.try_send(Ok(message(update))).is_err() {
                tracing::warn!(%host, "the agent does not keep up and is let go");
                open.remove(host);
                return;
            }
        }
    }

    /// Asks a host what it has under keys in whose text this occurs; nothing if it is not there or goes meanwhile.
    pub(crate) async fn explain(&self, host: &HostName, key_filter: &str) -> Option<wire::Explanation> {
        let query = self.asked.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let of = (host.clone(), query);
        self.questions.lock().insert(of.clone(), sender);
        let _open = Question { links: self, of };
        let question = wire::Explain { query, key_filter: key_filter.to_owned() };
        let message = wire::ControllerMessage { message: Some(FromController::Explain(question)) };
        let outgoing = self.open.lock().get(host).map(|(_, outgoing)| outgoing.clone())?;
        outgoing.try_send(Ok(message)).ok()?;
        drop(outgoing);
        answer.await.ok()
    }

    /// An agent has answered.
    fn answered(&self, host: &HostName, explanation: wire::Explanation) {
        if let Some(waiting) = self.questions.lock().remove(&(host.clone(), explanation.query)) {
            // Whoever asked may have gone.
            let _unheard = waiting.send(explanation);
        }
    }

    /// Lets every agent go; they come back.
    pub fn close_all(&self) {
        self.open.lock().clear();
    }

    /// Lets one agent go; it comes back.
    pub(super) fn let_go(&self, host: &HostName) {
        self.open.lock().remove(host);
    }

    fn open(&self, host: HostName, connection: u64, outgoing: Outgoing) {
        self.open.lock().insert(host, (connection, outgoing));
    }

    fn close(&self, host: &HostName, connection: u64) {
        let mut open = self.open.lock();
        if open.get(host).is_some_and(|(open, _)| *open == connection) {
            open.remove(host);
        }
    }
}

fn message(update: wire::Update) -> wire::ControllerMessage {
    wire::ControllerMessage { message: Some(FromController::Update(update)) }
}

/// The service that agents call.
pub struct AgentServer {
    site: Arc<Site>,
    links: Arc<Links>,
    notices: Arc<Notices>,
    /// How often the epoch was raised since the process began.
    raises: AtomicU32,
}

impl AgentServer {
    /// A service for this site.
    #[must_use]
    pub const fn new(site: Arc<Site>, links: Arc<Links>, notices: Arc<Notices>) -> Self {
        Self { site, links, notices, raises: AtomicU32::new(0) }
    }
}

/// Serves agents at an address until `ended` resolves.
///
/// # Errors
/// If the identity cannot be used or the address not be listened on.
pub async fn serve(
    server: AgentServer,
    address: SocketAddr,
    identity: &TlsIdentity,
    ended: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let service = AgentsServer::new(server)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    tonic::transport::Server::builder()
        .tls_config(identity.server_config())?
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .add_service(service)
        .serve_with_shutdown(address, ended)
        .await?;
    Ok(())
}

#[tonic::async_trait]
impl Agents for AgentServer {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<wire::ControllerMessage, Status>> + Send>>;

    async fn follow(
        &self,
        request: Request<Streaming<wire::AgentMessage>>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let host = certified_host(&request)?;
        let mut incoming = request.into_inner();
        let hello = tokio::time::timeout(HELLO_WITHIN, incoming.message())
            .await
            .map_err(|_| Status::deadline_exceeded("no greeting came"))??;
        let Some(FromAgent::Hello(hello)) = hello.and_then(|message| message.message) else {
            return Err(Status::invalid_argument("the first message is not a greeting"));
        };
        check_hello(&host, &hello)?;
        self.outlive(&host, from_wire(hello.have.unwrap_or_default())).await?;
        self.take_facts(&host, hello.facts.as_ref()).await?;
        let (outgoing, messages) = mpsc::channel(OUTGOING_MAX);
        let at_have = resumable(&self.site, hello.have.unwrap_or_default()).await;
        let connection = self.connect(&host, &hello, at_have, outgoing)?;
        tracing::info!(%host, version = hello.software_version, "agent connected");
        let talk = Talk {
            site: self.site.clone(),
            links: self.links.clone(),
            notices: self.notices.clone(),
            host,
            connection,
        };
        tokio::spawn(talk.listen(incoming));
        Ok(Response::new(Box::pin(ReceiverStream::new(messages))))
    }
}

fn certified_host(request: &Request<Streaming<wire::AgentMessage>>) -> Result<HostName, Status> {
    let certificates =
        request.peer_certs().ok_or_else(|| Status::unauthenticated("no certificate was shown"))?;
    peer_host(&certificates).map_err(|error| Status::unauthenticated(error.to_string()))
}

fn check_hello(host: &HostName, hello: &wire::Hello) -> Result<(), Status> {
    if hello.host != host.as_str() {
        let text = format!("the certificate is that of host {host}, not of {}", hello.host);
        return Err(Status::permission_denied(text));
    }
    if hello.protocol_version == 0 || hello.protocol_version > PROTOCOL_VERSION {
        let text =
            format!("protocol version {} is not known here; {PROTOCOL_VERSION} is", hello.protocol_version);
        return Err(Status::failed_precondition(text));
    }
    Ok(())
}

impl AgentServer {
    async fn take_facts(&self, host: &HostName, facts: Option<&wire::Facts>) -> Result<(), Status> {
        let facts = facts.ok_or_else(|| Status::invalid_argument("the greeting has no facts"))?;
        take_facts(&self.site, host, facts).await
    }

    /// An agent that is ahead of the store has an intent of a life of which the store knows nothing: its file was lost, or an
    /// old one put in its place. What is sent then has to count as newer, so a new epoch begins, above that one.
    async fn outlive(&self, host: &HostName, have: Version) -> Result<(), Status> {
        let now = self.site.durable().version;
        if have <= now {
            return Ok(());
        }
        if have.epoch.get() - now.epoch.get() > EPOCHS_AHEAD_MAX {
            tracing::error!(%host, %have, %now, "the agent is further ahead of the store than can be");
            return Err(Status::failed_precondition("its intent is of no store of this site's"));
        }
        if self.raises.fetch_add(1, Ordering::Relaxed) >= RAISES_MAX {
            tracing::error!(%host, %have, %now, "the agent is ahead of the store, as too many were before it");
            return Err(Status::resource_exhausted("too many agents were ahead of the store"));
        }
        let raised = self.site.store.raise_epoch(have.epoch).await;
        let now = raised.map_err(|_| Status::unavailable("the store cannot write now"))?;
        tracing::warn!(%host, %have, %now, "the agent was ahead of the store: a new epoch begins");
        // Until everybody has been let go and the new epoch is handed out.
        Err(Status::unavailable("a new epoch begins; come back"))
    }

    /// Registers the connection and queues what the agent lacks. Under the distribution's lock, so that no commit comes
    /// between.
    fn connect(
        &self,
        host: &HostName,
        hello: &wire::Hello,
        at_have: Option<AtHave>,
        outgoing: Outgoing,
    ) -> Result<u64, Status> {
        let have = hello.have.unwrap_or_default();
        let mut distribution = self.site.distribution.lock();
        distribution.note_software(host, &hello.software_version);
        let (connection, updates) = distribution.connect(host, have, at_have);
        for update in updates {
            outgoing
                .try_send(Ok(message(update)))
                .map_err(|_| Status::resource_exhausted("the intent is too large"))?;
        }
        self.links.open(host.clone(), connection, outgoing);
        Ok(connection)
    }
}

/// What an agent's intent can be led on from, if it is of a past that is near enough. The log is read where nobody waits
/// behind it.
async fn resumable(site: &Arc<Site>, have: wire::Version) -> Option<AtHave> {
    let (is_of_ours, until) = {
        let distribution = site.distribution.lock();
        (distribution.is_of_ours(&have), distribution.version())
    };
    let have = from_wire(have);
    let is_near = until.revision.get().saturating_sub(have.revision.get()) <= RESUME_MAX as u64;
    if !is_of_ours || !is_near || have.epoch != until.epoch || have > until {
        return None;
    }
    let site = site.clone();
    match tokio::task::spawn_blocking(move || past(&site, have, until)).await {
        Ok(Ok(past)) => past,
        Ok(Err(error)) => {
            tracing::warn!(%have, %error, "the past of an agent cannot be read; it is sent everything");
            None
        }
        Err(_) => None, // the runtime is shutting down
    }
}

/// Reads the disk.
fn past(site: &Site, have: Version, until: Version) -> Result<Option<AtHave>, ReadError> {
    let before = match site.store.at(have.revision) {
        Err(ReadError::Compacted { .. }) => return Ok(None),
        before => before?,
    };
    let events = site.store.history(next(have)..=until.revision, RESUME_MAX + 1)?;
    if events.len() > RESUME_MAX {
        return Ok(None);
    }
    let writes = events.iter().flat_map(|event| event.writes.iter().cloned()).collect();
    Ok(Some(AtHave { model: before.model.0, writes, until }))
}

fn next(version: Version) -> weft_store::Revision {
    weft_store::Revision::new(version.revision.get() + 1)
}

/// Whether something is part of a VRF. What nobody asks for is none's, and is if it is a route: Weft has none elsewhere.
fn is_of_vrf(drift: &wire::Drift) -> bool {
    drift.service.starts_with("vrf/") || drift.service.is_empty() && drift.key.starts_with("route ")
}

/// What a host has found other than it was left: an alarm where it is part of a VRF, until the host says that all is right.
fn note_drifts(site: &Site, host: &HostName, status: &wire::Status, drifts: &[wire::Drift]) {
    let place = on(host);
    site.alarms.checked(Comparison::Kernel, 1);
    for drift in drifts.iter().filter(|drift| is_of_vrf(drift)) {
        let finding = match drift.found() {
            wire::drift::Found::Missing => "it was not there",
            wire::drift::Found::Changed => "it was another than it should be",
            wire::drift::Found::Extra => "it was there and should not be",
            wire::drift::Found::Unspecified => "it was not as it should be",
        };
        site.alarms.raise(Comparison::Kernel, &format!("{}{place}", drift.key), finding, site.now());
    }
    if status.at_rest {
        site.alarms.settle_host(host, site.now());
    }
}

async fn take_facts(site: &Site, host: &HostName, facts: &wire::Facts) -> Result<(), Status> {
    let fact = HostFact::try_from(facts).map_err(|error| Status::invalid_argument(error.to_string()))?;
    let describe = |change: &mut Change| {
        let writes = describe_host(change.model(), host, &fact, change.now())?;
        writes.into_iter().for_each(|write| change.write(write));
        Ok(())
    };
    let committed = site.transact(&Caller::agent(host, "facts"), None, describe).await;
    committed.map(drop).map_err(|failure: Failure| match failure {
        Failure::Refused(refusal) => Status::failed_precondition(refusal.message),
        Failure::TooLarge | Failure::Unavailable(_) => Status::unavailable("the store cannot write now"),
    })
}

/// One agent's connection.
struct Talk {
    site: Arc<Site>,
    links: Arc<Links>,
    notices: Arc<Notices>,
    host: HostName,
    connection: u64,
}

impl Talk {
    async fn listen(self, mut incoming: Streaming<wire::AgentMessage>) {
        let reason = loop {
            match incoming.message().await {
                Ok(Some(message)) => {
                    if let Err(status) = self.hear(message.message).await {
                        break status.message().to_owned();
                    }
                }
                Ok(None) => break "it ended the stream".to_owned(),
                Err(status) => break status.message().to_owned(),
            }
        };
        tracing::info!(host = %self.host, reason, "agent gone");
        self.site.distribution.lock().disconnect(&self.host, self.connection);
        self.links.close(&self.host, self.connection);
    }

    async fn hear(&self, message: Option<FromAgent>) -> Result<(), Status> {
        match message {
            Some(FromAgent::Facts(facts)) => take_facts(&self.site, &self.host, &facts).await,
            Some(FromAgent::Status(status)) => self.report(&status).await,
            Some(FromAgent::Carriers(carriers)) => self.carriers(&carriers).await,
            Some(FromAgent::Hello(_)) => Err(Status::invalid_argument("a second greeting")),
            Some(FromAgent::Explanation(explanation)) => {
                self.links.answered(&self.host, explanation);
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn carriers(&self, carriers: &wire::Carriers) -> Result<(), Status> {
        let names = carriers.without.iter().map(|name| name.parse());
        let without = names
            .collect::<Result<_, weft_net::ParseError>>()
            .map_err(|error| Status::invalid_argument(format!("carriers.without: {error}")))?;
        if self.site.distribution.lock().carriers(&self.host, self.connection, without) {
            tracing::debug!(host = %self.host, "the carriers of its workloads' links have changed");
        }
        self.learn_carriers().await;
        Ok(())
    }

    /// What the host says of carriers is told to those whose routes hang on it.
    async fn learn_carriers(&self) {
        let facts = self.site.distribution.lock().carrier_facts(&self.host);
        if !facts.is_empty() {
            self.site.learn(facts).await;
        }
    }

    async fn report(&self, status: &wire::Status) -> Result<(), Status> {
        let (departures, news) = self.site.distribution.lock().report(&self.host, self.connection, status);
        let drifts = self.site.distribution.lock().drifts(&self.host, self.connection, status);
        note_drifts(&self.site, &self.host, status, &drifts);
        self.site.touched.note(&news);
        self.notices.status(news);
        // One that has come back and says nothing of carriers has them all.
        self.learn_carriers().await;
        if departures.is_empty() {
            return Ok(());
        }
        let confirm = |change: &mut Change| {
            let writes = confirm_departures(change.model(), &departures);
            writes.into_iter().for_each(|write| change.write(write));
            Ok::<(), Refusal>(())
        };
        let caller = Caller::agent(&self.host, "departures confirmed");
        let committed = self.site.transact(&caller, None, confirm).await;
        committed.map(drop).map_err(|_| Status::unavailable("the store cannot write now"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_that_nobody_asks_for_is_of_a_vrf_and_a_link_that_nobody_asks_for_is_not() {
        let drift = |service: &str, key: &str| {
            let (service, key) = (service.to_owned(), key.to_owned());
            is_of_vrf(&wire::Drift { service, key, ..wire::Drift::default() })
        };
        assert!(drift("vrf/1", "link vrf1") && drift("", "route host 1000 203.0.113.0/24"));
        assert!(!drift("network/1", "link tap1") && !drift("", "link tap1"));
    }
}
