//! A client of HTTP/1.1 that costs little: what it measures shares the processors with it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is kept.
pub(crate) struct Client {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, request: Vec::new(), answer: vec![0; 64 * 1024] })
    }

    /// Asks; answers the status and the body as it came.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &str) -> anyhow::Result<(u16, &[u8])> {
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )?;
        self.stream.write_all(&self.request)?;
        let (mut have, mut head) = (0, None);
        loop {
            if have == self.answer.len() {
                self.answer.resize(2 * have, 0);
            }
            let read = self.stream.read(&mut self.answer[have..])?;
            ensure!(read > 0, "the connection was closed");
            have += read;
            if head.is_none() {
                head = read_head(&self.answer[..have])?;
            }
            if let Some(Head { status, begin, length }) = head
                && have >= begin + length
            {
                return Ok((status, &self.answer[begin..begin + length]));
            }
        }
    }

    /// Asks for what has to succeed; answers its JSON.
    pub(crate) fn json(&mut self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = self.ask(method, path, &body)?;
        if !(200..300).contains(&status) {
            bail!("{method} {path}: {status} {}", String::from_utf8_lossy(answer));
        }
        Ok(serde_json::from_slice(answer)?)
    }
}

#[derive(Clone, Copy)]
struct Head {
    status: u16,
    begin: usize,
    length: usize,
}

/// The head of an answer, if all of it has come.
fn read_head(bytes: &[u8]) -> anyhow::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    let status = head.get(9..12).context("an answer without a status")?.parse()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.context("an answer without a length")?.parse()?;
    Ok(Some(Head { status, begin: end + 4, length }))
}
