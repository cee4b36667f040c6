//! One request, one connection: so that a test decides each byte, and knows whether an answer came whole.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the API is.
#[derive(Clone, Copy, Debug)]
pub struct Http {
    address: SocketAddr,
}

/// An answer that came whole.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers' lines, as they came.
    pub headers: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads an answer from its bytes; none if they are not the whole of one.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        parse(bytes)
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&self.body)))
    }

    /// The message of a `NeutronError`; empty if it has none.
    #[must_use]
    pub fn message(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["NeutronError"]["message"].as_str().unwrap_or_default().to_owned()
    }

    /// The type of a `NeutronError`; empty if it has none.
    #[must_use]
    pub fn kind(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body["NeutronError"]["type"].as_str().unwrap_or_default().to_owned()
    }
}

impl Http {
    /// An API at this address.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection, with bounds on its patience.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Sends these bytes and reads what comes until the end of the answer.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub fn raw(&self, bytes: &[u8]) -> io::Result<Answer> {
        let mut stream = self.connect()?;
        // Who is refused early may not get rid of all of the body.
        let _ = stream.write_all(bytes);
        read_answer(&mut stream)
    }

    /// A request with a body of bytes.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request
                .push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut bytes = request.into_bytes();
        bytes.extend_from_slice(body);
        self.raw(&bytes)
    }

    /// A request with a JSON body, or none if that is null.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub fn try_ask(&self, method: &str, path: &str, body: &Value) -> io::Result<Answer> {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.send(method, path, &[], &body)
    }

    /// The same, where an answer has to come.
    ///
    /// # Panics
    /// When none comes.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.try_ask(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// What is at a path.
    ///
    /// # Panics
    /// When it is not answered by 200 and JSON.
    #[must_use]
    pub fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, &Value::Null);
        assert_eq!(answer.status, 200, "GET {path}: {}", answer.message());
        answer.json()
    }

    /// Makes something; answers it without its member's name.
    ///
    /// # Panics
    /// When it is not made.
    #[must_use]
    pub fn create(&self, collection: &str, body: &Value) -> Value {
        let answer = self.ask("POST", &format!("/v2.0/{collection}"), body);
        assert_eq!(answer.status, 201, "POST {collection} {body}: {}", answer.message());
        inner(answer.json())
    }

    /// Makes something and answers its identifier.
    ///
    /// # Panics
    /// When it is not made.
    #[must_use]
    pub fn create_id(&self, collection: &str, body: &Value) -> String {
        id_of(&self.create(collection, body))
    }

    /// Changes something; answers it without its member's name.
    ///
    /// # Panics
    /// When it is not changed.
    pub fn update(&self, collection: &str, id: &str, body: &Value) -> Value {
        let answer = self.ask("PUT", &format!("/v2.0/{collection}/{id}"), body);
        assert_eq!(answer.status, 200, "PUT {collection}/{id} {body}: {}", answer.message());
        inner(answer.json())
    }

    /// Shows something, without its member's name.
    ///
    /// # Panics
    /// When it is not there.
    #[must_use]
    pub fn show(&self, collection: &str, id: &str) -> Value {
        inner(self.get(&format!("/v2.0/{collection}/{id}")))
    }

    /// Removes something.
    ///
    /// # Panics
    /// When it is not removed.
    pub fn delete(&self, collection: &str, id: &str) {
        let answer = self.ask("DELETE", &format!("/v2.0/{collection}/{id}"), &Value::Null);
        assert_eq!(answer.status, 204, "DELETE {collection}/{id}: {}", answer.message());
    }

    /// All of a collection.
    ///
    /// # Panics
    /// When it cannot be had.
    #[must_use]
    pub fn list(&self, path: &str) -> Vec<Value> {
        match inner(self.get(&format!("/v2.0/{path}"))) {
            Value::Array(items) => items,
            other => panic!("{path}: {other}"),
        }
    }

    /// The store's version, `EPOCH.REVISION`.
    ///
    /// # Panics
    /// When the controller does not say.
    #[must_use]
    pub fn version(&self) -> String {
        self.get("/v1/status")["version"].as_str().expect("a status has a version").to_owned()
    }
}

/// What the only member of an answer holds; the first, if links follow.
fn inner(answer: Value) -> Value {
    match answer {
        Value::Object(object) => {
            object.into_iter().next().map(|(_, value)| value).expect("an answer has a member")
        }
        other => panic!("{other} is no answer"),
    }
}

fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap_or_else(|| panic!("{object} has no identifier")).to_owned()
}

/// Reads an answer to its end.
pub(crate) fn read_answer(stream: &mut TcpStream) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 64 * 1024];
    loop {
        if let Some(answer) = parse(&bytes) {
            return Ok(answer);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is not whole")),
            length => bytes.extend_from_slice(&buffer[..length]),
        }
    }
}

/// An answer, once it is whole: by its length; a chunked one by its last chunk.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let headers = head.split_once("\r\n").map(|(_, lines)| lines.to_owned()).unwrap_or_default();
    let body = &bytes[end + 4..];
    let field = |name: &str| {
        let lines = headers.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .next()
    };
    let length = match field("content-length") {
        Some(length) => length.parse::<usize>().ok()?,
        None if status == 204 => 0,
        None => return dechunked(body).map(|body| Answer { status, headers, body }),
    };
    let body = body.get(..length)?.to_vec();
    Some(Answer { status, headers, body })
}

fn dechunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + length)?);
        rest = rest.get(end + 2 + length + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_it_is_none() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(parse(whole).map(|answer| (answer.status, answer.body)), Some((200, b"{}".to_vec())));
        for end in 0..whole.len() {
            assert!(parse(&whole[..end]).is_none());
        }
        let chunked =
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse(chunked).map(|answer| answer.body), Some(b"abcde".to_vec()));
    }
}
