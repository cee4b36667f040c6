//! One transport connection: what has come and not been read, what is to go and has not gone.

use std::collections::VecDeque;
use std::fmt;

use crate::wire::{Codec, Message, Notification, NotificationCode, Received, decode, encode, frame};

/// Names a connection: of which neighbour, of which session, and which of that. No two connections of a speaker ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// The neighbour's number, which another one has when it has gone.
    pub(crate) peer: u16,
    /// The session's number, which no other one ever has.
    pub(crate) session: u64,
    pub(crate) number: u32,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.peer, self.session, self.number)
    }
}

/// Who began a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// We did.
    Outgoing,
    /// The neighbour did.
    Incoming,
}

/// A connection that is open.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) direction: Direction,
    /// The beginning of a message whose end has not come.
    input: Vec<u8>,
    /// Whole messages that are to go: those of the session itself, which are few.
    output: VecDeque<u8>,
    pub(crate) codec: Codec,
}

impl Connection {
    pub(crate) const fn new(id: ConnectionId, direction: Direction, codec: Codec) -> Self {
        Self { id, direction, input: Vec::new(), output: VecDeque::new(), codec }
    }

    pub(crate) fn send(&mut self, message: &Message) {
        self.output.extend(encode(message, &self.codec));
    }

    /// What has not been taken is not sent.
    pub(crate) fn forget_output(&mut self) {
        self.output.clear();
    }

    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Moves what is to go to the end of `buffer`.
    pub(crate) fn take_output(&mut self, buffer: &mut Vec<u8>) {
        buffer.extend(self.output.drain(..));
    }

    /// Shows each whole message of what has come, until the visitor has had enough; keeps the rest.
    pub(crate) fn receive(
        &mut self,
        bytes: &[u8],
        mut visit: impl FnMut(&mut Self, &[u8], Received) -> bool,
    ) -> Result<(), Notification> {
        let held = std::mem::take(&mut self.input);
        let joined;
        let mut rest = if held.is_empty() {
            bytes
        } else {
            joined = [&held[..], bytes].concat();
            &joined
        };
        while let Some(length) = frame(rest, &self.codec)?.filter(|&length| length <= rest.len()) {
            if length == 0 {
                return Err(Notification::new(NotificationCode::BAD_MESSAGE_LENGTH));
            }
            let (message, tail) = rest.split_at(length);
            let received = decode(message, &self.codec)?;
            rest = tail;
            if !visit(self, message, received) {
                break;
            }
        }
        self.input = rest.to_vec();
        Ok(())
    }
}
