//! A session on which routes go to and fro (RFC 4271 §8.2.2, Established).

use std::sync::Arc;
use std::time::Instant;

use super::Statistics;
use super::config::SessionConfig;
use super::connection::Connection;
use super::event::{Down, DownReason, Output};
use super::handshake::Handshake;
use super::negotiate::Negotiated;
use crate::wire::{Message, Notification, NotificationCode, reencode_is_identical};

/// The session.
#[derive(Debug)]
pub(super) struct Established {
    pub(super) connection: Connection,
    pub(super) negotiated: Arc<Negotiated>,
    pub(super) since: Instant,
    /// The neighbour's new connection, if it seems to have restarted (RFC 4724 §4.2).
    pub(super) challenger: Option<Handshake>,
    hold_deadline: Option<Instant>,
    keepalive_at: Option<Instant>,
    /// Since when the neighbour has taken nothing.
    stalled_since: Option<Instant>,
}

impl Established {
    pub(super) fn begin(connection: Connection, negotiated: Negotiated, now: Instant) -> Self {
        let mut established = Self {
            connection,
            negotiated: Arc::new(negotiated),
            since: now,
            challenger: None,
            hold_deadline: None,
            keepalive_at: None,
            stalled_since: None,
        };
        established.heard(now);
        established.keepalive_at = established.keepalive_after(now);
        established
    }

    fn heard(&mut self, now: Instant) {
        self.hold_deadline = self.negotiated.hold_time.map(|time| now + time);
    }

    fn keepalive_after(&self, now: Instant) -> Option<Instant> {
        self.negotiated.hold_time.map(|time| now + time / 3)
    }

    /// Reads what came; an error ends the session.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        config: &SessionConfig,
        statistics: &mut Statistics,
        mut output: impl FnMut(Output),
    ) -> Result<bool, DownReason> {
        let mut has_heard = false;
        let mut ended = None;
        let result = self.connection.receive(bytes, |connection, raw, received| {
            has_heard = true;
            statistics.count_received(&received.message);
            statistics.faults += received.faults.len() as u64;
            match received.message {
                Message::Keepalive => {}
                Message::Update(update) => {
                    if config.verifies_encoding {
                        statistics.verify(reencode_is_identical(raw, &connection.codec));
                    }
                    output(Output::Update(update, received.faults));
                }
                Message::RouteRefresh(refresh) => output(Output::Refresh(refresh)),
                Message::Notification(notification) => ended = Some(DownReason::Received(notification)),
                Message::Open(_) => {
                    ended = Some(DownReason::Sent(Notification::new(NotificationCode::FSM_ESTABLISHED)));
                }
            }
            ended.is_none()
        });
        match (result, ended) {
            (Err(notification), _) => Err(DownReason::Sent(notification)),
            (Ok(()), Some(reason)) => Err(reason),
            (Ok(()), None) => Ok(has_heard),
        }
    }

    pub(super) fn note_heard(&mut self, now: Instant) {
        self.heard(now);
    }

    /// What is due at this time; an error ends the session.
    pub(super) fn timeout(&mut self, config: &SessionConfig, now: Instant) -> Result<(), DownReason> {
        if self.hold_deadline.is_some_and(|deadline| deadline <= now) {
            return Err(DownReason::Sent(Notification::new(NotificationCode::HOLD_TIMER_EXPIRED)));
        }
        if self.stalled_since.is_some_and(|since| since + config.send_hold <= now) {
            return Err(DownReason::Sent(Notification::new(NotificationCode::SEND_HOLD_TIMER_EXPIRED)));
        }
        if self.keepalive_at.is_some_and(|at| at <= now) {
            self.keepalive_at = self.keepalive_after(now);
            if self.connection.has_output() {
                // One that waits is enough.
                self.stalled_since.get_or_insert(now);
            } else {
                self.connection.send(&Message::Keepalive);
            }
        }
        Ok(())
    }

    pub(super) fn take_output(&mut self, buffer: &mut Vec<u8>) {
        self.stalled_since = None;
        self.connection.take_output(buffer);
    }

    pub(super) fn next_deadline(&self, config: &SessionConfig) -> Option<Instant> {
        let stalled = self.stalled_since.map(|since| since + config.send_hold);
        let challenger = self.challenger.as_ref().and_then(Handshake::next_deadline);
        [self.hold_deadline, self.keepalive_at, stalled, challenger].into_iter().flatten().min()
    }

    /// What the end of the session means for the neighbour's routes.
    pub(super) fn down(self, reason: DownReason) -> Down {
        let negotiated = self.negotiated;
        let is_hard = |notification: &Notification| notification.code == NotificationCode::HARD_RESET;
        let keeps_routes = negotiated.graceful.is_some()
            && match &reason {
                DownReason::Lost(_) | DownReason::Restarted => true,
                DownReason::Sent(notification) | DownReason::Received(notification) => {
                    negotiated.graceful_notification && !is_hard(notification)
                }
            };
        Down { reason, keeps_routes, negotiated }
    }
}

/// The NOTIFICATION as the neighbour is told it: what must end its patience is a hard reset (RFC 8538 §3.1).
pub(super) fn as_sent(notification: Notification, negotiated: &Negotiated) -> Notification {
    let is_final = [
        NotificationCode::ADMINISTRATIVE_SHUTDOWN,
        NotificationCode::PEER_DECONFIGURED,
        NotificationCode::MAXIMUM_PREFIXES,
    ];
    if !negotiated.graceful_notification || !is_final.contains(&notification.code) {
        return notification;
    }
    let code = [notification.code.code, notification.code.subcode];
    Notification::with_data(NotificationCode::HARD_RESET, &[&code[..], &notification.data].concat())
}
