//! A session with one neighbour (RFC 4271 §8): events in, effects out.
//!
//! Never here: sockets, clocks, routes.
//!
//! ```text
//!          Start                   both OPENs               KEEPALIVE
//!  Idle ───────────> Opening ─────────────────────────────────────────> Established
//!   ^                 │ outgoing: waits (Active) · dials (Connect) · handshake (OpenSent, OpenConfirm)
//!   │                 │ incoming: handshake
//!   └── error, Stop ──┴──────────────────────────────────────────────────┘
//! ```
//!
//! Connections of both directions are two handshakes of one `Opening`; when both have got OPEN, one of them is closed (§6.8).

mod config;
mod connection;
mod established;
mod event;
mod handshake;
mod negotiate;
mod opening;
mod statistics;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use config::{GracefulConfig, PeerAs, SessionConfig};
pub use connection::{ConnectionId, Direction};
pub use event::{Down, DownReason, FsmState, Input, Output};
pub use negotiate::Negotiated;
pub(crate) use negotiate::Restart;
pub use statistics::Statistics;

use connection::Connection;
use established::{Established, as_sent};
use handshake::{Handshake, Phase};
use opening::{Opening, Outgoing};

use crate::wire::{Codec, Message, Notification, NotificationCode, PeerKind, RouteRefresh, encode};

/// How many failures in a row make the rest no longer.
const FAILURES_MAX: u32 = 16;

/// How many connections may have a goodbye to send at a time.
const CLOSING_MAX: usize = 8;

/// A session with one neighbour.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    restart: Restart,
    last_connection: ConnectionId,
    state: State,
    outputs: VecDeque<Output>,
    /// Connections that are to be closed when what they have to send is sent.
    closing: Vec<Connection>,
    failures: u32,
    statistics: Statistics,
    last_error: Option<String>,
    last_attempt: Option<String>,
    random: ChaCha8Rng,
}

#[derive(Debug)]
enum State {
    /// Until a time, or until it is started.
    Idle(Option<Instant>),
    Opening(Box<Opening>),
    Established(Box<Established>),
}

impl Session {
    /// A session that is not started. `peer` is a number for the neighbour, `session` one that no other session of the speaker's has or had:
    /// what becomes of a connection may be known only when its session is long gone. `seed` is the randomness.
    #[must_use]
    pub fn new(config: SessionConfig, (peer, session): (u16, u64), seed: u64) -> Self {
        Self {
            config,
            restart: Restart::default(),
            last_connection: ConnectionId { peer, session, number: 0 },
            state: State::Idle(None),
            outputs: VecDeque::new(),
            closing: Vec::new(),
            failures: 0,
            statistics: Statistics::default(),
            last_error: None,
            last_attempt: None,
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Tells it something.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) {
        self.state = match (std::mem::replace(&mut self.state, State::Idle(None)), input) {
            (State::Idle(_), Input::Start) => self.begin(now),
            (State::Idle(Some(until)), Input::Timeout) if until <= now => self.begin(now),
            (State::Idle(until), Input::Timeout) => State::Idle(until),
            (State::Idle(_), Input::Stop(_)) => State::Idle(None),
            (State::Idle(until), Input::Connected(id)) => {
                self.outputs.push_back(Output::Close(id));
                State::Idle(until)
            }
            (State::Idle(until), Input::Closed(..) | Input::Bytes(..) | Input::Reset(_)) => {
                State::Idle(until)
            }
            (State::Opening(opening), input) => self.opening(opening, input, now),
            (State::Established(established), input) => self.established(established, input, now),
        };
    }

    /// A connection that the neighbour has made; an error is what it is told before the connection is closed.
    ///
    /// # Errors
    /// When the session rests, or is established (RFC 4271 §6.8).
    pub fn accept(&mut self, now: Instant) -> Result<ConnectionId, Notification> {
        let id = self.new_connection();
        let connection = Connection::new(id, Direction::Incoming, Codec::new(PeerKind::External));
        match &mut self.state {
            State::Idle(_) => return Err(Notification::new(NotificationCode::CONNECTION_REJECTED)),
            State::Opening(opening) => {
                if opening.incoming.as_ref().is_some_and(|old| old.negotiated().is_some()) {
                    return Err(Notification::new(NotificationCode::CONNECTION_REJECTED));
                }
                // A neighbour that connects anew has given up what it had not yet opened.
                let handshake = Handshake::begin(connection, &self.config, self.restart, now);
                if let Some(old) = opening.incoming.replace(handshake) {
                    self.outputs.push_back(Output::Close(old.connection.id));
                }
            }
            State::Established(established) => {
                if established.negotiated.graceful.is_none() || established.challenger.is_some() {
                    return Err(Notification::new(NotificationCode::COLLISION_RESOLUTION));
                }
                established.challenger = Some(Handshake::begin(connection, &self.config, self.restart, now));
            }
        }
        Ok(id)
    }

    /// What it wants done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Moves what is to go on a connection to the end of `buffer`: the session's own messages.
    pub fn take_output(&mut self, id: ConnectionId, buffer: &mut Vec<u8>) {
        if let Some(at) = self.closing.iter().position(|connection| connection.id == id) {
            self.closing.swap_remove(at).take_output(buffer);
            return;
        }
        match &mut self.state {
            State::Idle(_) => {}
            State::Opening(opening) => opening
                .handshakes()
                .filter(|handshake| handshake.connection.id == id)
                .for_each(|handshake| handshake.connection.take_output(buffer)),
            State::Established(established) if established.connection.id == id => {
                established.take_output(buffer)
            }
            State::Established(established) => established
                .challenger
                .iter_mut()
                .filter(|handshake| handshake.connection.id == id)
                .for_each(|handshake| handshake.connection.take_output(buffer)),
        }
    }

    /// Whether a connection has messages of the session's own to send.
    pub(crate) fn has_output(&self, id: ConnectionId) -> bool {
        let is_it = |connection: &Connection| connection.id == id && connection.has_output();
        self.closing.iter().any(is_it)
            || match &self.state {
                State::Idle(_) => false,
                State::Opening(opening) => {
                    opening.handshakes_ref().any(|handshake| is_it(&handshake.connection))
                }
                State::Established(established) => {
                    is_it(&established.connection)
                        || established.challenger.iter().any(|handshake| is_it(&handshake.connection))
                }
            }
    }

    /// When [`Input::Timeout`] is due at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Idle(until) => *until,
            State::Opening(opening) => opening.next_deadline(),
            State::Established(established) => established.next_deadline(&self.config),
        }
    }

    /// The state of RFC 4271 §8.2.2.
    #[must_use]
    pub fn state(&self) -> FsmState {
        match &self.state {
            State::Idle(_) => FsmState::Idle,
            State::Opening(opening) => opening.state(),
            State::Established(_) => FsmState::Established,
        }
    }

    /// What was agreed on, if the session is established, and on which connection.
    #[must_use]
    pub fn negotiated(&self) -> Option<(ConnectionId, &Arc<Negotiated>)> {
        match &self.state {
            State::Established(established) => Some((established.connection.id, &established.negotiated)),
            State::Idle(_) | State::Opening(_) => None,
        }
    }

    /// Since when it is established.
    #[must_use]
    pub fn established_since(&self) -> Option<Instant> {
        match &self.state {
            State::Established(established) => Some(established.since),
            State::Idle(_) | State::Opening(_) => None,
        }
    }

    /// What it has counted.
    #[must_use]
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    pub(crate) const fn count_sent(&mut self, updates: u64) {
        self.statistics.updates_sent += updates;
    }

    /// What ended it last, in words.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// What came of the last connection that did not become a session, in words.
    #[must_use]
    pub fn last_attempt(&self) -> Option<&str> {
        self.last_attempt.as_deref()
    }

    /// How it is to be.
    #[must_use]
    pub const fn config(&self) -> &SessionConfig {
        &self.config
    }

    /// How it is to be from its next beginning on.
    pub fn set_config(&mut self, config: SessionConfig) {
        self.config = config;
    }

    pub(crate) const fn set_restart(&mut self, restart: Restart) {
        self.restart = restart;
    }

    /// Sends a ROUTE-REFRESH, if the session is established and the neighbour knows it.
    pub(crate) fn send_refresh(&mut self, refresh: RouteRefresh) {
        if let State::Established(established) = &mut self.state
            && established.negotiated.has_route_refresh
        {
            established.connection.send(&Message::RouteRefresh(refresh));
        }
    }

    const fn new_connection(&mut self) -> ConnectionId {
        self.last_connection.number += 1;
        self.last_connection
    }

    /// A time from which up to a quarter is taken off (RFC 4271 §10).
    fn jittered(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.random.random_range(0.75..1.0))
    }

    fn begin(&mut self, now: Instant) -> State {
        let outgoing = if self.config.is_passive { Outgoing::Passive } else { self.dial(now) };
        State::Opening(Box::new(Opening { outgoing, incoming: None }))
    }

    fn dial(&mut self, now: Instant) -> Outgoing {
        let id = self.new_connection();
        self.outputs.push_back(Output::Connect(id));
        let retry = self.config.connect_retry;
        Outgoing::Dialing(id, now + self.jittered(retry))
    }

    /// Where a session goes that failed: to rest, the longer the oftener.
    fn failed(&mut self, reason: &DownReason, now: Instant) -> State {
        self.last_error = Some(reason.to_string());
        let time = self.config.idle_hold_min * 2u32.pow(self.failures.min(FAILURES_MAX));
        self.failures = (self.failures + 1).min(FAILURES_MAX);
        let until = now + self.jittered(time.min(self.config.idle_hold_max));
        match reason {
            // The neighbour may come back at any time; it is only not called at once.
            DownReason::Lost(_) | DownReason::Restarted => {
                let outgoing =
                    if self.config.is_passive { Outgoing::Passive } else { Outgoing::Waiting(until) };
                State::Opening(Box::new(Opening { outgoing, incoming: None }))
            }
            DownReason::Sent(_) | DownReason::Received(_) => State::Idle(Some(until)),
        }
    }

    fn close(&mut self, connection: Connection) {
        self.outputs.push_back(Output::Close(connection.id));
        if connection.has_output() {
            // Of a connection that broke meanwhile nobody takes it.
            if self.closing.len() == CLOSING_MAX {
                self.closing.remove(0);
            }
            self.closing.push(connection);
        }
    }

    fn established(&mut self, mut established: Box<Established>, input: Input<'_>, now: Instant) -> State {
        let result = match input {
            Input::Start => Ok(()),
            Input::Stop(notification) => {
                let _rest = self.end(established, DownReason::Sent(notification), now);
                return State::Idle(None);
            }
            Input::Reset(notification) => {
                let _rest = self.end(established, DownReason::Sent(notification), now);
                return self.begin(now);
            }
            Input::Connected(id) => {
                self.outputs.push_back(Output::Close(id));
                Ok(())
            }
            Input::Closed(id, reason) if id == established.connection.id => {
                Err(DownReason::Lost(reason.to_owned()))
            }
            Input::Closed(id, _) => {
                established.challenger.take_if(|handshake| handshake.connection.id == id);
                Ok(())
            }
            Input::Bytes(id, bytes) if id == established.connection.id => {
                self.receive(&mut established, bytes, now)
            }
            Input::Bytes(id, bytes) => return self.challenged(established, (id, bytes), now),
            Input::Timeout => {
                if let Some(challenger) =
                    established.challenger.take_if(|challenger| challenger.timeout(now).is_err())
                {
                    self.close(challenger.connection);
                }
                established.timeout(&self.config, now)
            }
        };
        match result {
            Ok(()) => State::Established(established),
            Err(reason) => self.end(established, reason, now),
        }
    }

    fn receive(
        &mut self,
        established: &mut Established,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), DownReason> {
        let Self { config, statistics, outputs, .. } = self;
        if established.receive(bytes, config, statistics, |output| outputs.push_back(output))? {
            established.note_heard(now);
        }
        Ok(())
    }

    /// What came on a second connection: with an OPEN in good form the neighbour has restarted (RFC 4724 §4.2).
    fn challenged(
        &mut self,
        mut established: Box<Established>,
        (id, bytes): (ConnectionId, &[u8]),
        now: Instant,
    ) -> State {
        let Some(mut challenger) =
            established.challenger.take_if(|challenger| challenger.connection.id == id)
        else {
            return State::Established(established);
        };
        if challenger.receive(bytes, &self.config, now).is_err() {
            self.close(challenger.connection);
            return State::Established(established);
        }
        if challenger.negotiated().is_none() {
            established.challenger = Some(challenger);
            return State::Established(established);
        }
        let _rest = self.end(established, DownReason::Restarted, now);
        let outgoing = if self.config.is_passive {
            Outgoing::Passive
        } else {
            Outgoing::Waiting(now + self.config.connect_retry)
        };
        self.opened(Box::new(Opening { outgoing, incoming: Some(challenger) }), now)
    }

    /// The end of an established session; answers where it goes from there.
    fn end(&mut self, mut established: Box<Established>, reason: DownReason, now: Instant) -> State {
        if matches!(reason, DownReason::Lost(_)) {
            established.connection.forget_output();
        }
        if let DownReason::Sent(notification) = &reason {
            let notification = as_sent(notification.clone(), &established.negotiated);
            established.connection.send(&Message::Notification(notification));
        }
        if let Some(challenger) = established.challenger.take() {
            self.close(challenger.connection);
        }
        if now.duration_since(established.since) > self.config.idle_hold_max {
            self.failures = 0;
        }
        self.statistics.ended += 1;
        let codec = established.connection.codec;
        let id = established.connection.id;
        let direction = established.connection.direction;
        self.close(std::mem::replace(&mut established.connection, Connection::new(id, direction, codec)));
        let down = established.down(reason);
        let next = self.failed(&down.reason, now);
        self.outputs.push_back(Output::Down(down));
        next
    }

    /// A handshake is done: the session is established.
    fn establish(&mut self, handshake: Handshake, now: Instant) -> State {
        let Phase::Done(negotiated) = handshake.phase else {
            unreachable!("only what is done is established")
        };
        let mut established = Box::new(Established::begin(handshake.connection, *negotiated, now));
        self.statistics.established += 1;
        self.outputs.push_back(Output::Up(Arc::clone(&established.negotiated)));
        // What came behind the KEEPALIVE.
        match self.receive(&mut established, &[], now) {
            Ok(()) => State::Established(established),
            Err(reason) => self.end(established, reason, now),
        }
    }
}

/// A NOTIFICATION as bytes, for a connection that has no session.
#[must_use]
pub fn refusal(notification: Notification) -> Vec<u8> {
    encode(&Message::Notification(notification), &Codec::new(PeerKind::External))
}
