//! The change feed as a browser would read it: server-sent events over one connection.

use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::Http;

/// An event of the feed.
#[derive(Clone, Debug, PartialEq)]
pub struct SseEvent {
    /// The identifier that was in force with it: the last one of the stream.
    pub id: Option<String>,
    /// `put`, `delete`, `status`, `epoch`, `compacted`.
    pub event: String,
    /// Its data.
    pub data: Value,
}

/// An open feed.
pub struct SseStream {
    lines: BufReader<TcpStream>,
    /// The last identifier: with it a later feed goes on where this one ended.
    pub last_id: Option<String>,
}

impl SseStream {
    /// Opens the feed of everything after this identifier, or from now on.
    ///
    /// # Errors
    /// When the controller does not open it.
    pub fn open(http: Http, path: &str, last_id: Option<&str>) -> io::Result<Self> {
        let mut stream = http.connect()?;
        let resume = last_id.map(|id| format!("Last-Event-ID: {id}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n{resume}\r\n",
            http.address()
        );
        stream.write_all(request.as_bytes())?;
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        if !line.starts_with("HTTP/1.1 200") {
            return Err(io::Error::other(format!("the feed is answered by '{}'", line.trim())));
        }
        while !line.trim().is_empty() {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Self { lines, last_id: last_id.map(str::to_owned) })
    }

    /// How long [`SseStream::receive`] waits for a byte.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.lines.get_ref().set_read_timeout(Some(patience))
    }

    /// The next event. The sizes of HTTP's chunks are passed over: each is a line of its own that is no field.
    ///
    /// # Errors
    /// When the connection ends, or nothing comes in time.
    pub fn receive(&mut self) -> io::Result<SseEvent> {
        let (mut event, mut data) = (String::new(), String::new());
        loop {
            let mut bytes = Vec::new();
            if self.lines.read_until(b'\n', &mut bytes)? == 0 || bytes.last() != Some(&b'\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = String::from_utf8_lossy(&bytes);
            let line = line.trim_end_matches(['\r', '\n']);
            if let Some(id) = line.strip_prefix("id: ") {
                self.last_id = Some(id.to_owned());
            } else if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut event);
            } else if let Some(text) = line.strip_prefix("data: ") {
                data.push_str(text);
            } else if line.is_empty() && !data.is_empty() {
                let data = serde_json::from_str(&data).map_err(io::Error::other)?;
                return Ok(SseEvent { id: self.last_id.clone(), event, data });
            }
        }
    }
}
