//! The agent's end of the stream: greets, hands on what comes, tells what changes, and comes back when the stream is lost.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};
use weft_net::{HostFact, HostName, IfName};
use weft_protocol::tls::{TlsError, TlsIdentity};
use weft_protocol::wire::agent_message::Message as FromAgent;
use weft_protocol::wire::agents_client::AgentsClient;
use weft_protocol::wire::controller_message::Message as FromController;
use weft_protocol::{KINDS, MESSAGE_BYTES_MAX, PROTOCOL_VERSION, wire};

use crate::backoff::Backoff;
use crate::report::TurnReport;
use crate::runner::{Board, EXPLANATIONS_MAX, Input, Wake};

/// A ping this often, and this long for its answer: a dead peer is noticed within their sum, 9 s.
const PING_INTERVAL: Duration = Duration::from_secs(4);
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// For the connection, its handshake and the service's first answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RECONNECT_FIRST: Duration = Duration::from_millis(200);
const RECONNECT_LONGEST: Duration = Duration::from_secs(10);
/// Messages on their way to the controller.
const OUTGOING_MAX: usize = 8;
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// Whom to talk to, and as whom.
#[derive(Clone, Debug)]
pub struct Peers {
    /// This host.
    pub host: HostName,
    /// The controllers, `host:port`; any of them will do.
    pub controllers: Vec<String>,
    /// Where this host's identity is; read at each connection, so it may be renewed.
    pub tls_directory: PathBuf,
}

/// What connects the stream with the rest of the agent.
pub struct Inlets {
    /// To the loop.
    pub inputs: mpsc::Sender<Input>,
    /// Gets the loop's attention.
    pub wake: Wake,
    /// From the loop.
    pub board: watch::Receiver<Board>,
    /// From the loop.
    pub explanations: mpsc::Receiver<wire::Explanation>,
    /// From the disk: up to which change everything is persisted.
    pub persisted: watch::Receiver<u64>,
}

/// Why a session ended. It is only ever logged.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("no identity")]
    Identity(#[from] TlsError),
    #[error("no connection")]
    Connect(#[from] tonic::transport::Error),
    #[error("no connection within {CONNECT_TIMEOUT:?}")]
    Timeout,
    #[error("the controller ended it: {} ({:?})", .0.message(), .0.code())]
    Refused(#[from] tonic::Status),
    #[error("the controller closed it")]
    Closed,
    #[error("all of the intent has to be asked for")]
    AskForAll,
    #[error("the agent is ending")]
    Ending,
}

/// The agent's end of the stream.
pub struct Stream {
    peers: Peers,
    inlets: Inlets,
    jitter: ChaCha8Rng,
}

impl Stream {
    /// One that has yet to [run](Self::run). `jitter` spreads the agents that come back at the same time.
    #[must_use]
    pub const fn new(peers: Peers, inlets: Inlets, jitter: ChaCha8Rng) -> Self {
        Self { peers, inlets, jitter }
    }

    /// Holds a stream to one of the controllers, for as long as the loop is there.
    pub async fn run(mut self) {
        let mut backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_LONGEST);
        // Facts are what a greeting needs; they are there after the first turn.
        if self.inlets.board.wait_for(|board| board.facts.is_some()).await.is_err() {
            return;
        }
        for attempt in 0_usize.. {
            let Some(controller) = self.peers.controllers.get(attempt % self.peers.controllers.len().max(1))
            else {
                tracing::warn!("there is no controller to talk to; the last intent is held");
                return;
            };
            let controller = controller.clone();
            let mut heard = false;
            let error = self.session(&controller, &mut heard).await;
            if heard {
                backoff.reset();
            }
            let ended = self.inlets.inputs.send(Input::StreamEnded).await.is_err();
            (self.inlets.wake)();
            if ended || matches!(error, SessionError::Ending) {
                return;
            }
            let delay = backoff.fail().mul_f64(self.jitter.random_range(0.5..1.0));
            tracing::warn!(controller, error = chain(&error), ?delay, "no stream to the controller");
            tokio::time::sleep(delay).await;
        }
    }

    /// One stream, from its beginning to the reason of its end. `heard`: the controller has said something.
    async fn session(&mut self, controller: &str, heard: &mut bool) -> SessionError {
        let (outgoing, messages) = mpsc::channel(OUTGOING_MAX);
        let mut told = Told::default();
        let hello = self.hello(&mut told);
        let follow = async {
            let mut client = AgentsClient::new(self.connect(controller).await?)
                .max_decoding_message_size(MESSAGE_BYTES_MAX)
                .max_encoding_message_size(MESSAGE_BYTES_MAX);
            outgoing.send(hello).await.map_err(|_| SessionError::Closed)?;
            Ok::<_, SessionError>(client.follow(ReceiverStream::new(messages)).await?.into_inner())
        };
        let incoming = match tokio::time::timeout(CONNECT_TIMEOUT, follow).await {
            Ok(Ok(incoming)) => incoming,
            Ok(Err(error)) => return error,
            Err(_) => return SessionError::Timeout,
        };
        tracing::info!(controller, have = %told.have, "stream to the controller");
        self.converse(incoming, outgoing, told, heard).await
    }

    async fn connect(&self, controller: &str) -> Result<Channel, SessionError> {
        let identity = TlsIdentity::load(&self.peers.tls_directory, self.peers.host.as_str())?;
        let endpoint = Endpoint::from_shared(format!("https://{controller}"))?
            .tls_config(identity.client_config())?
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        Ok(endpoint.connect().await?)
    }

    async fn converse(
        &mut self,
        mut incoming: Streaming<wire::ControllerMessage>,
        outgoing: mpsc::Sender<wire::AgentMessage>,
        mut told: Told,
        heard: &mut bool,
    ) -> SessionError {
        let mut answers = VecDeque::new();
        loop {
            let news = {
                let board = self.inlets.board.borrow_and_update();
                if board.asked_for_all != told.asked_for_all {
                    return SessionError::AskForAll;
                }
                told.news(&board, *self.inlets.persisted.borrow_and_update())
            };
            let to_tell = !answers.is_empty() || news.is_some();
            tokio::select! {
                message = incoming.message() => match message {
                    Ok(Some(message)) => {
                        *heard = true;
                        if let Err(error) = self.hand_on(message).await {
                            return error;
                        }
                    }
                    Ok(None) => return SessionError::Closed,
                    Err(status) => return status.into(),
                },
                permit = outgoing.reserve(), if to_tell => match permit {
                    Ok(permit) => match (answers.pop_front(), news) {
                        (Some(answer), _) => permit.send(message(FromAgent::Explanation(answer))),
                        (None, Some(news)) => permit.send(told.tell(news)),
                        (None, None) => {}
                    },
                    Err(_) => return SessionError::Closed,
                },
                Some(answer) = self.inlets.explanations.recv(), if answers.len() < EXPLANATIONS_MAX => {
                    answers.push_back(answer);
                }
                changed = self.inlets.board.changed() => if changed.is_err() {
                    return SessionError::Ending;
                },
                Ok(()) = self.inlets.persisted.changed() => {}
            }
        }
    }

    async fn hand_on(&self, message: wire::ControllerMessage) -> Result<(), SessionError> {
        let input = match message.message {
            Some(FromController::Update(update)) => Input::Update(update),
            Some(FromController::Explain(question)) => Input::Explain(question),
            None => {
                tracing::debug!("a message of a kind that only a newer agent knows is passed over");
                return Ok(());
            }
        };
        self.inlets.inputs.send(input).await.map_err(|_| SessionError::Ending)?;
        (self.inlets.wake)();
        Ok(())
    }

    fn hello(&mut self, told: &mut Told) -> wire::AgentMessage {
        let board = self.inlets.board.borrow_and_update();
        told.have = board.have;
        told.asked_for_all = board.asked_for_all;
        told.facts.clone_from(&board.facts);
        message(FromAgent::Hello(wire::Hello {
            protocol_version: PROTOCOL_VERSION,
            host: self.peers.host.to_string(),
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            kinds: KINDS.map(str::to_owned).to_vec(),
            facts: board.facts.as_ref().map(wire::Facts::from),
            have: Some(board.have.into()),
        }))
    }
}

/// What the controller has been told on this stream.
#[derive(Default)]
struct Told {
    have: weft_protocol::Version,
    asked_for_all: u64,
    facts: Option<HostFact>,
    without_carrier: Arc<BTreeSet<IfName>>,
    status: Option<wire::Status>,
    /// The last report of which nothing is left to tell.
    settled: Option<Arc<TurnReport>>,
}

enum News {
    Facts(HostFact),
    Carriers(Arc<BTreeSet<IfName>>),
    Status(wire::Status, Arc<TurnReport>),
}

impl Told {
    /// What is to be told: changed carriers, which others wait for; changed facts; a changed outcome of an intent that is
    /// persisted.
    fn news(&mut self, board: &Board, persisted: u64) -> Option<News> {
        if board.without_carrier != self.without_carrier {
            return Some(News::Carriers(Arc::clone(&board.without_carrier)));
        }
        if board.facts != self.facts
            && let Some(facts) = &board.facts
        {
            return Some(News::Facts(facts.clone()));
        }
        let is_settled = self.settled.as_ref().is_some_and(|settled| Arc::ptr_eq(settled, &board.report));
        if is_settled || board.report.version.is_none() || board.sequence > persisted {
            return None;
        }
        let status = wire::Status::from(board.report.as_ref());
        let is_news = self.status.as_ref().is_none_or(|told| {
            *told != status && (status.steps_done > 0 || outcome(told.clone()) != outcome(status.clone()))
        });
        if is_news {
            return Some(News::Status(status, Arc::clone(&board.report)));
        }
        self.settled = Some(Arc::clone(&board.report));
        None
    }

    fn tell(&mut self, news: News) -> wire::AgentMessage {
        match news {
            News::Facts(facts) => {
                let message = message(FromAgent::Facts((&facts).into()));
                self.facts = Some(facts);
                message
            }
            News::Carriers(links) => {
                let without = links.iter().map(ToString::to_string).collect();
                self.without_carrier = links;
                message(FromAgent::Carriers(wire::Carriers { without }))
            }
            News::Status(status, report) => {
                (self.status, self.settled) = (Some(status.clone()), Some(report));
                message(FromAgent::Status(status))
            }
        }
    }
}

/// A status without what a turn in which nothing is left to do does not repeat.
fn outcome(status: wire::Status) -> wire::Status {
    wire::Status { steps_done: 0, steps_failed: 0, ..status }
}

const fn message(message: FromAgent) -> wire::AgentMessage {
    wire::AgentMessage { message: Some(message) }
}

/// An error with its sources.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use weft_protocol::Version;

    fn board(revision: u64, sequence: u64, steps_done: u64) -> Board {
        let version = Version::new(1, revision);
        let report = TurnReport { version, at_rest: true, steps_done, ..TurnReport::default() };
        Board { report: Arc::new(report), sequence, ..Board::default() }
    }

    /// What is told, if anything.
    fn told(told: &mut Told, board: &Board, persisted: u64) -> Option<FromAgent> {
        let news = told.news(board, persisted)?;
        told.tell(news).message
    }

    #[test]
    fn an_outcome_is_told_only_once_its_intent_is_persisted() {
        let mut state = Told::default();
        assert_eq!(told(&mut state, &board(7, 2, 1), 1), None);
        assert!(told(&mut state, &board(7, 2, 1), 2).is_some());
    }

    #[test]
    fn an_outcome_is_told_once_and_again_when_something_was_done() {
        let mut state = Told::default();
        assert!(told(&mut state, &board(7, 0, 3), 0).is_some());
        assert_eq!(told(&mut state, &board(7, 0, 0), 0), None, "nothing was left to do");
        assert!(told(&mut state, &board(7, 0, 1), 0).is_some(), "damage was healed");
        assert!(told(&mut state, &board(8, 0, 0), 0).is_some(), "another version");
    }

    #[test]
    fn a_lost_carrier_is_told_before_all_else_and_once_and_so_is_its_return() {
        let mut state = Told::default();
        let lost = Board { without_carrier: Arc::new(["tap1".parse().unwrap()].into()), ..board(7, 2, 1) };
        // Nothing is persisted: the outcome has to wait, the carrier has not.
        let carriers = |without: &[&str]| {
            let without = without.iter().map(ToString::to_string).collect();
            Some(FromAgent::Carriers(wire::Carriers { without }))
        };
        assert_eq!(told(&mut state, &lost, 0), carriers(&["tap1"]));
        assert_eq!(told(&mut state, &lost, 0), None);
        assert_eq!(told(&mut state, &board(7, 2, 1), 0), carriers(&[]));
    }

    #[test]
    fn without_an_intent_there_is_no_outcome() {
        assert_eq!(told(&mut Told::default(), &Board::default(), 0), None);
    }
}
