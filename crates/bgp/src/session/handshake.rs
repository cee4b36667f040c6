//! A connection on which OPENs are exchanged (RFC 4271 §8.2.2, OpenSent and OpenConfirm).

use std::time::{Duration, Instant};

use super::config::SessionConfig;
use super::connection::Connection;
use super::event::DownReason;
use super::negotiate::{Negotiated, Restart, negotiate, open};
use crate::wire::{Message, Notification, NotificationCode};

/// How long the neighbour's OPEN may take (RFC 4271 §8.2.2: "a large value").
const OPEN_HOLD: Duration = Duration::from_secs(240);

/// The exchange.
#[derive(Debug)]
pub(super) struct Handshake {
    pub(super) connection: Connection,
    pub(super) phase: Phase,
    deadline: Option<Instant>,
    keepalive_at: Option<Instant>,
}

/// How far it is.
#[derive(Debug)]
pub(super) enum Phase {
    /// OPEN was sent.
    OpenSent,
    /// OPEN was received and answered by KEEPALIVE.
    OpenConfirm(Box<Negotiated>),
    /// KEEPALIVE was received.
    Done(Box<Negotiated>),
}

impl Handshake {
    pub(super) fn begin(
        mut connection: Connection,
        config: &SessionConfig,
        restart: Restart,
        now: Instant,
    ) -> Self {
        connection.send(&Message::Open(open(config, restart)));
        Self { connection, phase: Phase::OpenSent, deadline: Some(now + OPEN_HOLD), keepalive_at: None }
    }

    /// Reads what came; an error ends the connection, and what it has to send is sent before.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        config: &SessionConfig,
        now: Instant,
    ) -> Result<(), DownReason> {
        let Self { connection, phase, deadline, keepalive_at } = self;
        let mut failed = None;
        let result = connection.receive(bytes, |connection, _, received| {
            match step(phase, received.message, config) {
                Ok(next) => *phase = next,
                Err(reason) => {
                    failed = Some(reason);
                    return false;
                }
            }
            if let Phase::OpenConfirm(negotiated) = phase {
                connection.send(&Message::Keepalive);
                connection.codec = negotiated.codec;
                *deadline = negotiated.hold_time.map(|time| now + time);
                *keepalive_at = negotiated.hold_time.map(|time| now + time / 3);
            }
            // What follows belongs to the established session.
            !matches!(phase, Phase::Done(_))
        });
        let reason = match (result, failed) {
            (Err(notification), _) => DownReason::Sent(notification),
            (Ok(()), Some(reason)) => reason,
            (Ok(()), None) => return Ok(()),
        };
        if let DownReason::Sent(notification) = &reason {
            self.connection.send(&Message::Notification(notification.clone()));
        }
        Err(reason)
    }

    /// What is due at this time; an error ends the connection.
    pub(super) fn timeout(&mut self, now: Instant) -> Result<(), DownReason> {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let notification = Notification::new(NotificationCode::HOLD_TIMER_EXPIRED);
            self.connection.send(&Message::Notification(notification.clone()));
            return Err(DownReason::Sent(notification));
        }
        if let Phase::OpenConfirm(negotiated) = &self.phase
            && self.keepalive_at.is_some_and(|at| at <= now)
        {
            self.keepalive_at = negotiated.hold_time.map(|time| now + time / 3);
            if !self.connection.has_output() {
                self.connection.send(&Message::Keepalive);
            }
        }
        Ok(())
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadline.into_iter().chain(self.keepalive_at).min()
    }

    pub(super) fn negotiated(&self) -> Option<&Negotiated> {
        match &self.phase {
            Phase::OpenSent => None,
            Phase::OpenConfirm(negotiated) | Phase::Done(negotiated) => Some(negotiated),
        }
    }
}

/// The next phase, or why there is none.
fn step(phase: &mut Phase, message: Message, config: &SessionConfig) -> Result<Phase, DownReason> {
    let refused = |code| Err(DownReason::Sent(Notification::new(code)));
    match (std::mem::replace(phase, Phase::OpenSent), message) {
        (_, Message::Notification(notification)) => Err(DownReason::Received(notification)),
        (Phase::OpenSent, Message::Open(open)) => match negotiate(config, open) {
            Ok(negotiated) => Ok(Phase::OpenConfirm(Box::new(negotiated))),
            Err(notification) => Err(DownReason::Sent(notification)),
        },
        (Phase::OpenConfirm(negotiated), Message::Keepalive) => Ok(Phase::Done(negotiated)),
        (Phase::OpenSent, Message::Update(_) | Message::Keepalive | Message::RouteRefresh(_)) => {
            refused(NotificationCode::FSM_OPEN_SENT)
        }
        (Phase::OpenConfirm(_), Message::Open(_) | Message::Update(_) | Message::RouteRefresh(_)) => {
            refused(NotificationCode::FSM_OPEN_CONFIRM)
        }
        (
            Phase::Done(_),
            Message::Open(_) | Message::Update(_) | Message::Keepalive | Message::RouteRefresh(_),
        ) => refused(NotificationCode::FSM_ESTABLISHED),
    }
}
