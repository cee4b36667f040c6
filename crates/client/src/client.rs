//! The connection: one request, one answer, and how either can fail.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

use crate::{Error, Refusal};

/// Where a controller is, unless said otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:9696";

/// The largest answer that is read into memory, in bytes. Snapshots are not: they are written as they come.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the controller is, and how to talk to it.
#[derive(Clone)]
pub struct Config {
    /// Its address: `http://host:port`, with or without `/v2.0` at its end.
    pub url: String,
    /// Sent as `X-Auth-Token`. On the loopback none is needed.
    pub token: Option<String>,
    /// How long one request may take.
    pub timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { url: DEFAULT_URL.to_owned(), token: None, timeout: Duration::from_secs(30) }
    }
}

/// A client of one controller. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
    timeout: Duration,
}

impl Client {
    /// A client; nothing is sent yet.
    ///
    /// # Errors
    /// When the address is not one of HTTP.
    pub fn new(config: &Config) -> Result<Self, Error> {
        let bad = |reason: String| Error::Url { url: config.url.clone(), reason };
        let text = config.url.trim_end_matches('/');
        let text = text.strip_suffix("/v2.0").unwrap_or(text);
        let base = Url::parse(text).map_err(|error| bad(error.to_string()))?;
        match base.scheme() {
            "http" => {}
            "https" => return Err(bad("this client speaks plain http".to_owned())),
            _ => return Err(bad("it has to begin with http://".to_owned())),
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(config.timeout))
            .user_agent(concat!("weft/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| bad(error.to_string()))?;
        Ok(Self { http, base, token: config.token.clone(), timeout: config.timeout })
    }

    /// Where the controller is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// A request to this path, with these parameters.
    pub(crate) fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.header("X-Auth-Token", token),
            None => request,
        }
    }

    /// Sends a request within the time that one may take; an answer that is an error becomes one.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        self.send_unbounded(request.timeout(self.timeout)).await
    }

    /// Sends a request whose answer may go on for ever; only its beginning has to come in time.
    pub(crate) async fn send_stream(&self, request: RequestBuilder) -> Result<Response, Error> {
        match tokio::time::timeout(self.timeout, self.send_unbounded(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.timed_out()),
        }
    }

    pub(crate) async fn send_unbounded(&self, request: RequestBuilder) -> Result<Response, Error> {
        let (http, request) = request.build_split();
        let request =
            request.map_err(|error| Error::Url { url: self.url().to_owned(), reason: error.to_string() })?;
        let (method, url) = (request.method().clone(), request.url().clone());
        let begin = Instant::now();
        let response = http.execute(request).await.map_err(|error| self.failed(error))?;
        let status = response.status();
        tracing::debug!(%method, %url, status = status.as_u16(), took = ?begin.elapsed(), "request");
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response).await?;
        Err(Error::Refused(Refusal::read(status.as_u16(), &body)))
    }

    /// The whole of an answer.
    pub(crate) async fn body(&self, mut response: Response) -> Result<Bytes, Error> {
        let mut whole = bytes::BytesMut::new();
        let url = response.url().to_string();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if whole.len() + chunk.len() > ANSWER_BYTES_MAX {
                let reason = format!("it is longer than {ANSWER_BYTES_MAX} bytes");
                return Err(Error::Answer { request: url, reason });
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Error> {
        let response = self.send(request).await?;
        let url = response.url().to_string();
        let body = self.body(response).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Error::Answer { request: url, reason: error.to_string() })
    }

    pub(crate) fn failed(&self, source: reqwest::Error) -> Error {
        if source.is_timeout() && !source.is_connect() {
            return self.timed_out();
        }
        Error::Unreachable { url: self.url().to_owned(), source: source.without_url() }
    }

    fn timed_out(&self) -> Error {
        Error::TimedOut { url: self.url().to_owned(), after: self.timeout }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
