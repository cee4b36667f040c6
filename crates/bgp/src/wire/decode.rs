//! Messages from bytes.

use super::codec::Codec;
use super::error::{Fault, NotificationCode};
use super::message::{Message, Notification};

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// What it says. Of an UPDATE with faults, what is to be acted on: discarded attributes are not in it, and routes that are to be
    /// treated as withdrawn are among the withdrawn.
    pub message: Message,
    /// What was wrong with it, in the order in which it was found; empty for a message in good form.
    pub faults: Vec<Fault>,
}

/// The length of the first message in `bytes`, or `None` if its header is not complete. The message may be longer than what is there.
///
/// # Errors
///
/// With this NOTIFICATION the session must end (RFC 4271 §6.1).
pub fn frame(bytes: &[u8], _codec: &Codec) -> Result<Option<usize>, Notification> {
    if bytes.len() < 19 { Ok(None) } else { Ok(Some(19)) }
}

/// Reads one message, header included, of exactly the length that [`frame`] gave.
///
/// # Errors
///
/// With this NOTIFICATION the session must end (RFC 4271 §6, RFC 7606).
pub fn decode(_bytes: &[u8], _codec: &Codec) -> Result<Received, Notification> {
    Err(Notification::new(NotificationCode::BAD_MESSAGE_TYPE))
}

/// Reads `bytes` as an UPDATE and writes it again.
///
/// # Errors
///
/// What came out instead of the same bytes, or why nothing did.
pub fn reencode_is_identical(_bytes: &[u8], _codec: &Codec) -> Result<(), String> {
    Ok(())
}
