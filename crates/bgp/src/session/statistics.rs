//! What a session has counted.

use crate::wire::Message;

/// Messages received since the neighbour was configured, and what was wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Statistics {
    /// UPDATE messages.
    pub updates_received: u64,
    /// UPDATE messages sent.
    pub updates_sent: u64,
    /// KEEPALIVE messages.
    pub keepalives_received: u64,
    /// NOTIFICATION messages.
    pub notifications_received: u64,
    /// ROUTE-REFRESH messages.
    pub refreshes_received: u64,
    /// What was wrong in UPDATEs and did not end the session (RFC 7606).
    pub faults: u64,
    /// How often the session was established.
    pub established: u64,
    /// How often it ended.
    pub ended: u64,
    /// UPDATEs that were not the same when they were written again, if that is verified.
    pub encoding_differences: u64,
    /// How the last of them differed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_encoding_difference: Option<String>,
}

impl Statistics {
    pub(super) fn count_received(&mut self, message: &Message) {
        match message {
            Message::Update(_) => self.updates_received += 1,
            Message::Keepalive => self.keepalives_received += 1,
            Message::Notification(_) => self.notifications_received += 1,
            Message::RouteRefresh(_) => self.refreshes_received += 1,
            Message::Open(_) => {}
        }
    }

    pub(super) fn verify(&mut self, result: Result<(), String>) {
        if let Err(difference) = result {
            self.encoding_differences += 1;
            self.last_encoding_difference = Some(difference);
        }
    }
}
