//! A speaker on TCP: the one place with sockets and a clock.
//!
//! ```text
//!  Handle::with(closure) ──> ┌ one task ───────────────────────────────────────────────┐
//!  listeners ── accept ────> │ Speaker <── at most 64 KiB a connection and turn         │ <──> connections
//!  clock ──────────────────> │         ──> about 64 KiB a connection when it can take it │
//!                            └──────────────────────────────────────────────────────────┘
//! ```
//!
//! All connections have their turn before one has its next: a neighbour that floods us holds up nobody.

mod connection;
mod keys;
mod listener;
mod socket;

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, JoinSet};

use crate::session::{ConnectionId, refusal};
use crate::speaker::{Action, Speaker};
use connection::{Connection, Turn};

pub use listener::{Accepted, Listener};

/// How many commands may wait.
const COMMANDS_MAX: usize = 64;
/// How many connections may wait that somebody else has accepted.
const ACCEPTED_MAX: usize = 64;
/// How many slices of work are done before connections have their turn again.
const SLICES_A_TURN: usize = 4;
/// How long the kernel is given to connect.
const CONNECT_MAX: Duration = Duration::from_secs(30);

type Ask = Box<dyn FnOnce(&mut Speaker, Instant) + Send>;

/// What a speaker that runs is to do.
enum Command {
    Ask(Ask),
    End,
}

/// Speaks to a speaker that runs.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    accepted: mpsc::Sender<Accepted>,
    learned: Arc<Notify>,
}

impl Handle {
    /// Lets a closure have the speaker; nothing if it has ended.
    pub async fn with<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Speaker, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        let ask: Ask = Box::new(move |speaker, now| {
            // Whoever asked may have gone.
            let _unheard = sender.send(ask(speaker, now));
        });
        self.commands.send(Command::Ask(ask)).await.ok()?;
        receiver.await.ok()
    }

    /// Ends it when all connections that are being closed are; what is asked of it from now on is not heard. Connections of neighbours that
    /// are still wanted just go away. Answers whether it was there.
    pub async fn end(&self) -> bool {
        self.commands.send(Command::End).await.is_ok()
    }

    /// Hands over a connection that a listener of several speakers has accepted. With more than can wait it is closed: the neighbour
    /// comes again.
    pub fn hand(&self, accepted: Accepted) {
        let remote = accepted.remote;
        if self.accepted.try_send(accepted).is_err() {
            tracing::warn!(%remote, "a connection was not taken by its speaker");
        }
    }

    /// Waits until [`Speaker::poll_learned`] may have something, or [`Speaker::has_heard_all`] is so for the first time.
    pub async fn learned(&self) {
        self.learned.notified().await;
    }
}

/// A speaker and its connections.
#[derive(Debug)]
pub struct Driver {
    speaker: Speaker,
    listener: Listener,
    accepted: mpsc::Receiver<Accepted>,
    connections: HashMap<ConnectionId, Connection>,
    dialing: JoinSet<(ConnectionId, io::Result<TcpStream>)>,
    /// Of those that are still wanted.
    dials: HashMap<ConnectionId, AbortHandle>,
    commands: mpsc::Receiver<Command>,
    learned: Arc<Notify>,
    /// Whether every neighbour has sent all that it had, once.
    had_heard_all: bool,
}

impl Driver {
    /// A speaker that listens on these addresses.
    ///
    /// # Errors
    /// When one of them cannot be listened on.
    pub fn new(speaker: Speaker, listen: &[SocketAddr]) -> io::Result<(Self, Handle)> {
        let (sender, commands) = mpsc::channel(COMMANDS_MAX);
        let (handed, accepted) = mpsc::channel(ACCEPTED_MAX);
        let listener = Listener::bind(listen)?;
        let learned = Arc::new(Notify::new());
        let handle = Handle { commands: sender, accepted: handed, learned: Arc::clone(&learned) };
        let driver = Self {
            speaker,
            listener,
            accepted,
            connections: HashMap::new(),
            dialing: JoinSet::new(),
            dials: HashMap::new(),
            commands,
            learned,
            had_heard_all: false,
        };
        Ok((driver, handle))
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn listens_on(&self) -> io::Result<Vec<SocketAddr>> {
        self.listener.addresses()
    }

    /// Runs until there is no [`Handle`] any more.
    pub async fn run(mut self) {
        let mut buffer = vec![0; connection::READ_LENGTH];
        loop {
            self.act();
            self.listener.set_md5_keys(self.speaker.take_md5_keys(), now());
            let is_busy = (0..SLICES_A_TURN).all(|_| self.speaker.work());
            let has_now_heard_all = !self.had_heard_all && self.speaker.has_heard_all();
            self.had_heard_all |= has_now_heard_all;
            if has_now_heard_all || self.speaker.has_learned() {
                self.learned.notify_one();
            }
            let deadline = self.next_deadline().map(tokio::time::Instant::from_std);
            let Self { speaker, listener, accepted, connections, dialing, commands, .. } = &mut self;
            let event = tokio::select! {
                command = commands.recv() => Event::Command(command),
                accepted = listener.accept() => Event::Accepted(accepted),
                Some(accepted) = accepted.recv() => Event::Accepted(accepted),
                Some(dialed) = dialing.join_next() => Event::Dialed(dialed.ok()),
                () = poll_fn(|context| turn(speaker, connections, &mut buffer, context)) => Event::Turned,
                () = sleep_until(deadline), if deadline.is_some() => Event::Turned,
                () = tokio::task::yield_now(), if is_busy => Event::Turned,
            };
            match event {
                Event::Command(None) => return,
                Event::Command(Some(Command::End)) => return self.linger(&mut buffer).await,
                Event::Command(Some(Command::Ask(ask))) => ask(&mut self.speaker, now()),
                Event::Accepted(accepted) => self.accepted(accepted),
                Event::Dialed(dialed) => dialed.into_iter().for_each(|(id, result)| self.dialed(id, result)),
                Event::Turned => {}
            }
            if self.speaker.next_deadline().is_some_and(|deadline| deadline <= now()) {
                self.speaker.timeout(now());
            }
        }
    }

    /// Goes on with the connections that are being closed, so that their neighbours read why; with no others.
    async fn linger(mut self, buffer: &mut [u8]) {
        self.listener = Listener::default();
        self.act();
        self.connections.retain(|_, connection| connection.closing().is_some());
        let until = tokio::time::Instant::now() + connection::LINGER;
        let Self { speaker, connections, .. } = &mut self;
        while !connections.is_empty() {
            let turned = poll_fn(|context| turn(speaker, connections, buffer, context));
            if tokio::time::timeout_at(until, turned).await.is_err() {
                return;
            }
        }
    }

    /// Does what the speaker wants done.
    fn act(&mut self) {
        while let Some(action) = self.speaker.poll_action() {
            match action {
                Action::Connect { connection, local, remote, transport } => {
                    let dial = self.dialing.spawn(async move {
                        let connecting = socket::connect(local, remote, &transport);
                        let result = tokio::time::timeout(CONNECT_MAX, connecting).await;
                        (connection, result.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())))
                    });
                    self.dials.insert(connection, dial);
                }
                Action::Close(id) => {
                    if let Some(dial) = self.dials.remove(&id) {
                        dial.abort();
                    }
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.close(id, &mut self.speaker, now());
                    }
                }
            }
        }
    }

    /// When there is something to do at the latest.
    fn next_deadline(&self) -> Option<Instant> {
        let closing = self.connections.values().filter_map(Connection::closing);
        closing.chain(self.speaker.next_deadline()).chain(self.listener.retry_at()).min()
    }

    fn accepted(&mut self, Accepted { stream, remote, is_unverified }: Accepted) {
        let transport = self.speaker.transport(remote);
        if transport.md5_key.is_some() && is_unverified {
            tracing::warn!(%remote, "a connection that may be unsigned is refused");
            return;
        }
        let prepared = socket::protect(&stream, remote, &transport);
        let local = stream.local_addr();
        let (Ok(()), Ok(local)) = (prepared, local) else {
            tracing::warn!(%remote, "a connection went before it was accepted");
            return;
        };
        match self.speaker.accept(remote, local.ip().to_canonical(), now()) {
            Ok(id) => {
                self.connections.insert(id, Connection::new(stream));
            }
            Err(notification) => {
                // With an empty buffer the few octets go at once or not at all.
                let _lost = stream.try_write(&refusal(notification));
            }
        }
    }

    fn dialed(&mut self, id: ConnectionId, result: io::Result<TcpStream>) {
        if self.dials.remove(&id).is_none() {
            // It was closed when it had just come about.
            return;
        }
        let connected = result.and_then(|stream| Ok((stream.local_addr()?, stream)));
        match connected {
            Ok((local, stream)) => {
                self.connections.insert(id, Connection::new(stream));
                self.speaker.connected(id, local.ip().to_canonical(), now());
            }
            Err(error) => self.speaker.closed(id, &error.to_string(), now()),
        }
    }
}

enum Event {
    Command(Option<Command>),
    Accepted(Accepted),
    Dialed(Option<(ConnectionId, io::Result<TcpStream>)>),
    Turned,
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    if let Some(deadline) = deadline {
        tokio::time::sleep_until(deadline).await;
    }
}

/// Gives each connection its turn; ready if one of them had use for it.
fn turn(
    speaker: &mut Speaker,
    connections: &mut HashMap<ConnectionId, Connection>,
    buffer: &mut [u8],
    context: &mut Context<'_>,
) -> Poll<()> {
    let now = now();
    let mut is_ready = false;
    connections.retain(|id, connection| match connection.turn(*id, speaker, buffer, (context, now)) {
        Turn::Nothing => true,
        Turn::Something => {
            is_ready = true;
            true
        }
        Turn::Gone(reason) => {
            is_ready = true;
            if let Some(reason) = reason {
                speaker.closed(*id, &reason, now);
            }
            false
        }
    });
    if is_ready { Poll::Ready(()) } else { Poll::Pending }
}
