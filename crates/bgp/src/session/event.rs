//! What goes into a session and what comes out.

use std::fmt;
use std::sync::Arc;

use super::connection::ConnectionId;
use super::negotiate::Negotiated;
use crate::wire::{Fault, Notification, RouteRefresh, Update};

/// What a session is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// It is to be, from now on.
    Start,
    /// It is not to be: ends with this, which the neighbour is told if it listens.
    Stop(Notification),
    /// As [`Input::Stop`], and begins again by itself.
    Reset(Notification),
    /// A connection that was asked for is there.
    Connected(ConnectionId),
    /// A connection is not there, or not any more.
    Closed(ConnectionId, &'a str),
    /// What came on a connection.
    Bytes(ConnectionId, &'a [u8]),
    /// It may be later than a deadline.
    Timeout,
}

/// What a session wants done, in order.
#[derive(Clone, Debug)]
pub enum Output {
    /// Connect to the neighbour.
    Connect(ConnectionId),
    /// Close a connection, after what it has to send.
    Close(ConnectionId),
    /// The session is established.
    Up(Arc<Negotiated>),
    /// It is not any more.
    Down(Down),
    /// What the neighbour announces and withdraws, and what was wrong with that.
    Update(Update, Vec<Fault>),
    /// A wish for routes, or what came of ours.
    Refresh(RouteRefresh),
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Down {
    /// What was the reason.
    pub reason: DownReason,
    /// Whether the neighbour's routes may be kept (RFC 4724 §4.2, RFC 8538 §4).
    pub keeps_routes: bool,
    /// What had been agreed on.
    pub negotiated: Arc<Negotiated>,
}

/// What ended a session, or an attempt at one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// We have sent this.
    Sent(Notification),
    /// The neighbour has sent this.
    Received(Notification),
    /// The connection has gone.
    Lost(String),
    /// The neighbour has restarted and connected anew (RFC 4724 §4.2).
    Restarted,
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent(notification) => write!(f, "NOTIFICATION sent: {notification}"),
            Self::Received(notification) => write!(f, "NOTIFICATION received: {notification}"),
            Self::Lost(reason) => write!(f, "connection lost: {reason}"),
            Self::Restarted => f.write_str("the neighbour has restarted"),
        }
    }
}

/// The states of RFC 4271 §8.2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FsmState {
    /// At rest: not wanted, or after a failure.
    Idle,
    /// A connection is being made.
    Connect,
    /// A connection is waited for.
    Active,
    /// OPEN was sent.
    OpenSent,
    /// OPEN was received.
    OpenConfirm,
    /// Routes go to and fro.
    Established,
}
