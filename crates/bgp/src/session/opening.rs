//! A session that is being opened: connections in one direction or both.

use std::time::Instant;

use super::connection::{Connection, ConnectionId, Direction};
use super::event::{DownReason, FsmState, Input, Output};
use super::handshake::{Handshake, Phase};
use super::{Session, State};
use crate::wire::{Codec, Message, Notification, NotificationCode, PeerKind};

/// What there is of connections.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) outgoing: Outgoing,
    pub(super) incoming: Option<Handshake>,
}

/// What there is of our own connection.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// None: the neighbour is waited for.
    Passive,
    /// None: it failed, and is tried again at this time.
    Waiting(Instant),
    /// It is being made; at this time it is tried anew.
    Dialing(ConnectionId, Instant),
    /// It is there.
    Open(Box<Handshake>),
}

impl Opening {
    pub(super) fn handshakes(&mut self) -> impl Iterator<Item = &mut Handshake> {
        let outgoing =
            if let Outgoing::Open(handshake) = &mut self.outgoing { Some(&mut **handshake) } else { None };
        outgoing.into_iter().chain(&mut self.incoming)
    }

    pub(super) fn handshakes_ref(&self) -> impl Iterator<Item = &Handshake> {
        let outgoing = if let Outgoing::Open(handshake) = &self.outgoing { Some(&**handshake) } else { None };
        outgoing.into_iter().chain(&self.incoming)
    }

    /// The state of the connection that is farthest.
    pub(super) fn state(&self) -> FsmState {
        let of_handshake = |handshake: &Handshake| match handshake.phase {
            Phase::OpenSent => FsmState::OpenSent,
            Phase::OpenConfirm(_) | Phase::Done(_) => FsmState::OpenConfirm,
        };
        let states: Vec<FsmState> = self.handshakes_ref().map(of_handshake).collect();
        match (&self.outgoing, &states[..]) {
            (_, states) if states.contains(&FsmState::OpenConfirm) => FsmState::OpenConfirm,
            (_, [_, ..]) => FsmState::OpenSent,
            (Outgoing::Dialing(..), []) => FsmState::Connect,
            (Outgoing::Passive | Outgoing::Waiting(_) | Outgoing::Open(_), []) => FsmState::Active,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let outgoing = match &self.outgoing {
            Outgoing::Waiting(at) | Outgoing::Dialing(_, at) => Some(*at),
            Outgoing::Passive | Outgoing::Open(_) => None,
        };
        self.handshakes_ref().filter_map(Handshake::next_deadline).chain(outgoing).min()
    }

    /// Takes out the handshake on a connection.
    fn take(&mut self, id: ConnectionId, otherwise: Outgoing) -> Option<Handshake> {
        if let Some(handshake) = self.incoming.take_if(|handshake| handshake.connection.id == id) {
            return Some(handshake);
        }
        match std::mem::replace(&mut self.outgoing, otherwise) {
            Outgoing::Open(handshake) if handshake.connection.id == id => Some(*handshake),
            other => {
                self.outgoing = other;
                None
            }
        }
    }
}

impl Session {
    pub(super) fn opening(&mut self, mut opening: Box<Opening>, input: Input<'_>, now: Instant) -> State {
        match input {
            Input::Start => {}
            Input::Stop(notification) => {
                self.give_up(*opening, &notification);
                return State::Idle(None);
            }
            Input::Reset(notification) => {
                self.give_up(*opening, &notification);
                return self.begin(now);
            }
            Input::Connected(id) => match opening.outgoing {
                Outgoing::Dialing(dialed, _) if dialed == id => {
                    let connection = Connection::new(id, Direction::Outgoing, Codec::new(PeerKind::External));
                    let handshake = Handshake::begin(connection, &self.config, self.restart, now);
                    opening.outgoing = Outgoing::Open(Box::new(handshake));
                    // The neighbour has had KEEPALIVE on its own connection, and may be established there.
                    if opening.incoming.as_ref().is_some_and(|incoming| incoming.negotiated().is_some()) {
                        self.lose(&mut opening, id, now);
                    }
                }
                Outgoing::Dialing(..) | Outgoing::Passive | Outgoing::Waiting(_) | Outgoing::Open(_) => {
                    self.outputs.push_back(Output::Close(id));
                }
            },
            Input::Closed(id, reason) => {
                if matches!(opening.outgoing, Outgoing::Dialing(dialed, _) if dialed == id) {
                    opening.outgoing = self.retry(now);
                    self.last_attempt = Some(reason.to_owned());
                } else if opening.take(id, Outgoing::Passive).is_some() {
                    self.last_attempt = Some(DownReason::Lost(reason.to_owned()).to_string());
                    if matches!(opening.outgoing, Outgoing::Passive) && !self.config.is_passive {
                        opening.outgoing = self.retry(now);
                    }
                }
            }
            Input::Bytes(id, bytes) => return self.handshake(opening, (id, bytes), now),
            Input::Timeout => return self.opening_timeout(opening, now),
        }
        State::Opening(opening)
    }

    fn retry(&mut self, now: Instant) -> Outgoing {
        let retry = self.config.connect_retry;
        Outgoing::Waiting(now + self.jittered(retry))
    }

    fn give_up(&mut self, opening: Opening, notification: &Notification) {
        let outgoing = match opening.outgoing {
            Outgoing::Open(handshake) => Some(*handshake),
            Outgoing::Dialing(id, _) => {
                self.outputs.push_back(Output::Close(id));
                None
            }
            Outgoing::Passive | Outgoing::Waiting(_) => None,
        };
        for mut handshake in outgoing.into_iter().chain(opening.incoming) {
            handshake.connection.send(&Message::Notification(notification.clone()));
            self.close(handshake.connection);
        }
    }

    fn handshake(
        &mut self,
        mut opening: Box<Opening>,
        (id, bytes): (ConnectionId, &[u8]),
        now: Instant,
    ) -> State {
        let config = &self.config;
        let Some(handshake) = opening.handshakes().find(|handshake| handshake.connection.id == id) else {
            return State::Opening(opening);
        };
        match handshake.receive(bytes, config, now) {
            Ok(()) => self.opened(opening, now),
            Err(reason) => self.handshake_failed(opening, id, (&reason, now)),
        }
    }

    /// One connection has failed: with another one left that goes on, else the session rests.
    fn handshake_failed(
        &mut self,
        mut opening: Box<Opening>,
        id: ConnectionId,
        (reason, now): (&DownReason, Instant),
    ) -> State {
        if let Some(handshake) = opening.take(id, Outgoing::Passive) {
            self.close(handshake.connection);
        }
        let is_collision = matches!(reason, DownReason::Received(notification)
            if notification.code == NotificationCode::COLLISION_RESOLUTION
                || notification.code == NotificationCode::CONNECTION_REJECTED);
        if opening.handshakes_ref().next().is_some() || is_collision {
            self.last_attempt = Some(reason.to_string());
            if matches!(opening.outgoing, Outgoing::Passive) && !self.config.is_passive {
                opening.outgoing = self.retry(now);
            }
            return State::Opening(opening);
        }
        if let Outgoing::Dialing(dialed, _) = opening.outgoing {
            self.outputs.push_back(Output::Close(dialed));
        }
        self.failed(reason, now)
    }

    /// What follows from how far the handshakes are.
    pub(super) fn opened(&mut self, mut opening: Box<Opening>, now: Instant) -> State {
        // First of all: OPEN and KEEPALIVE may have come together.
        self.resolve_collision(&mut opening, now);
        let is_done = |handshake: &Handshake| matches!(handshake.phase, Phase::Done(_));
        let done = opening
            .handshakes_ref()
            .find(|handshake| is_done(handshake))
            .map(|handshake| handshake.connection.id);
        if let Some(done) = done.and_then(|id| opening.take(id, Outgoing::Passive)) {
            self.give_up(*opening, &Notification::new(NotificationCode::COLLISION_RESOLUTION));
            return self.establish(done, now);
        }
        State::Opening(opening)
    }

    /// Leaves one of two connections (RFC 4271 §6.8): that of the side with the lower identifier, or with the lower AS if they are
    /// equal (RFC 6286 §2.3).
    ///
    /// Neither side may be established on a connection that the other one closes here. So the higher side closes the lower side's
    /// connection only before KEEPALIVE goes out on it: at its OPEN, if its own connection is there; one of its own that comes later
    /// is too late (`Input::Connected`). The lower side closes its own connection at the OPEN on the other one, and not before: with
    /// that OPEN the higher side has decided, without it it may still decide otherwise.
    fn resolve_collision(&mut self, opening: &mut Opening, now: Instant) {
        let (Outgoing::Open(outgoing), Some(incoming)) = (&opening.outgoing, &opening.incoming) else {
            return;
        };
        let Some(theirs) = incoming.negotiated().or(outgoing.negotiated()) else { return };
        let ours = (self.config.router_id, self.config.local_as);
        let is_ours_lower = ours < (theirs.open.router_id, theirs.peer_as);
        let loser = match (is_ours_lower, incoming.negotiated()) {
            (false, _) => incoming.connection.id,
            (true, Some(_)) => outgoing.connection.id,
            (true, None) => return,
        };
        self.lose(opening, loser, now);
    }

    /// Closes a connection that has lost against the other one.
    fn lose(&mut self, opening: &mut Opening, loser: ConnectionId, now: Instant) {
        let Some(mut handshake) = opening.take(loser, Outgoing::Passive) else { return };
        handshake.connection.forget_output();
        let notification = Notification::new(NotificationCode::COLLISION_RESOLUTION);
        handshake.connection.send(&Message::Notification(notification));
        self.close(handshake.connection);
        if matches!(opening.outgoing, Outgoing::Passive) && !self.config.is_passive {
            opening.outgoing = self.retry(now);
        }
    }

    fn opening_timeout(&mut self, mut opening: Box<Opening>, now: Instant) -> State {
        match opening.outgoing {
            Outgoing::Waiting(at) if at <= now => opening.outgoing = self.dial(now),
            Outgoing::Dialing(id, at) if at <= now => {
                self.outputs.push_back(Output::Close(id));
                opening.outgoing = self.dial(now);
            }
            Outgoing::Passive | Outgoing::Waiting(_) | Outgoing::Dialing(..) | Outgoing::Open(_) => {}
        }
        let expired = opening.handshakes().find_map(|handshake| {
            handshake.timeout(now).err().map(|reason| (handshake.connection.id, reason))
        });
        match expired {
            Some((id, reason)) => self.handshake_failed(opening, id, (&reason, now)),
            None => State::Opening(opening),
        }
    }
}
