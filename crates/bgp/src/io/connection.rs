//! One TCP connection: what it reads goes to the speaker at once, what it writes is asked for when it can be written.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::session::ConnectionId;
use crate::speaker::Speaker;

/// How much is read at a time, in octets.
pub(super) const READ_LENGTH: usize = 64 * 1024;
/// How long the neighbour may take to hear why it is closed.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    output: Vec<u8>,
    written: usize,
    /// It is being closed: until then.
    closing: Option<Instant>,
    /// The neighbour was told that nothing more comes.
    is_shut: bool,
}

/// What came of a turn.
pub(super) enum Turn {
    /// There was nothing to do.
    Nothing,
    /// There may be more.
    Something,
    /// The connection has gone; the reason, if the speaker does not know.
    Gone(Option<String>),
}

impl Connection {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, output: Vec::new(), written: 0, closing: None, is_shut: false }
    }

    /// Closes it when what there is to send is sent.
    pub(super) fn close(&mut self, id: ConnectionId, speaker: &mut Speaker, now: Instant) {
        speaker.poll_transmit(id, &mut self.output);
        self.closing = Some(now + LINGER);
    }

    /// Until when the neighbour may take to hear why it is closed, if it is.
    pub(super) const fn closing(&self) -> Option<Instant> {
        self.closing
    }

    /// Writes what can be written and reads a bit.
    pub(super) fn turn(
        &mut self,
        id: ConnectionId,
        speaker: &mut Speaker,
        buffer: &mut [u8],
        (context, now): (&mut Context<'_>, Instant),
    ) -> Turn {
        if self.closing.is_some_and(|until| until <= now) {
            return Turn::Gone(None);
        }
        match self.transmit(id, speaker, context).and_then(|wrote| Ok((wrote, self.read(buffer, context)?))) {
            Ok((_, Read::End)) => Turn::Gone(self.reason("the neighbour has closed it")),
            Ok((true, Read::Nothing)) => Turn::Something,
            Ok((false, Read::Nothing)) => Turn::Nothing,
            Ok((_, Read::Octets(count))) => {
                if self.closing.is_none() {
                    speaker.bytes(id, &buffer[..count], now);
                }
                Turn::Something
            }
            Err(error) => Turn::Gone(self.reason(&error.to_string())),
        }
    }

    /// What the speaker is told of the end, if it has not wanted it itself.
    fn reason(&self, reason: &str) -> Option<String> {
        self.closing.is_none().then(|| reason.to_owned())
    }

    /// Writes until the kernel takes no more or there is no more; answers whether something was written.
    fn transmit(
        &mut self,
        id: ConnectionId,
        speaker: &mut Speaker,
        context: &mut Context<'_>,
    ) -> io::Result<bool> {
        let mut has_written = false;
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
            if self.closing.is_none() && speaker.has_output(id) {
                speaker.poll_transmit(id, &mut self.output);
            }
        }
        while self.written < self.output.len() {
            let rest = &self.output[self.written..];
            match Pin::new(&mut self.stream).poll_write(context, rest) {
                Poll::Ready(count) => self.written += count?,
                Poll::Pending => return Ok(has_written),
            }
            has_written = true;
        }
        if self.closing.is_some() && !std::mem::replace(&mut self.is_shut, true) {
            // The neighbour reads to the end, then closes: so nothing of what was said is lost (RFC 1122 §4.2.2.13).
            let _sent = Pin::new(&mut self.stream).poll_shutdown(context);
        }
        Ok(has_written)
    }

    fn read(&mut self, buffer: &mut [u8], context: &mut Context<'_>) -> io::Result<Read> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Ready(result) => {
                result?;
                let count = buffer.filled().len();
                Ok(if count == 0 { Read::End } else { Read::Octets(count) })
            }
            Poll::Pending => Ok(Read::Nothing),
        }
    }
}

enum Read {
    Nothing,
    Octets(usize),
    End,
}
