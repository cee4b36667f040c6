//! One connection, one request: limits, the request id, the log line, the counters.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{HOST, HeaderValue, ORIGIN};
use axum::http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::respond::{Answer, Problem};
use super::route::{Api, Asked};

/// The largest body of a request, in bytes; a restore's is a file of its own size.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
const RESTORE_BYTES_MAX: usize = 4 * 1024 * 1024 * 1024;
/// How long a client may take for its headers, and for its body.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Connections at a time.
const CONNECTIONS_MAX: usize = 4096;

/// Serves the API on a listener until `ended` resolves.
pub async fn serve(api: Arc<Api>, listener: TcpListener, ended: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::pin!(ended);
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = &mut ended => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                // Answers are small and wanted at once.
                let _ = stream.set_nodelay(true);
                let api = api.clone();
                tokio::spawn(async move {
                    connection(api, TokioIo::new(stream), peer).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(api: Arc<Api>, io: TokioIo<tokio::net::TcpStream>, peer: SocketAddr) {
    let service = service_fn(move |request| {
        let api = api.clone();
        async move { Ok::<_, Infallible>(answer(api, request).await) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .serve_connection(io, service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

async fn answer(api: Arc<Api>, request: Request<Incoming>) -> Response<Body> {
    let began = Instant::now();
    let request_id = format!("req-{}", uuid::Uuid::new_v4());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let mut answer: Answer = match ask(request, &request_id).await {
        Ok(asked) => api.answer(asked).await.unwrap_or_else(Answer::from),
        Err(problem) => problem.into(),
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        answer.headers_mut().insert("x-openstack-request-id", value);
    }
    let status = answer.status().as_u16();
    api.site.metrics.request(method.as_str(), status, began.elapsed().as_secs_f64());
    log(&request_id, &method, &path, status, began.elapsed());
    answer
}

/// One line a request: what changes something is said by default, what only reads at debug.
fn log(request_id: &str, method: &Method, path: &str, status: u16, took: Duration) {
    let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    if matches!(*method, Method::GET | Method::HEAD) {
        tracing::debug!(request_id, %method, path, status, took_us, "answered");
    } else {
        tracing::info!(request_id, %method, path, status, took_us, "answered");
    }
}

/// Reads a request whole.
async fn ask(request: Request<Incoming>, request_id: &str) -> Result<Asked, Problem> {
    check_origin(&request)?;
    let (parts, body) = request.into_parts();
    let bytes_max = if parts.uri.path() == "/v1/restore" { RESTORE_BYTES_MAX } else { BODY_BYTES_MAX };
    let read = tokio::time::timeout(BODY_WITHIN, Limited::new(body, bytes_max).collect());
    let body = match read.await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let message = format!("The body is larger than {bytes_max} bytes.");
            return Err(Problem::Http(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message));
        }
        Ok(Err(error)) => return Err(Problem::malformed(format!("The body cannot be read: {error}"))),
        Err(_) => {
            let message = format!("The body did not come within {} seconds.", BODY_WITHIN.as_secs());
            return Err(Problem::Http(StatusCode::REQUEST_TIMEOUT, "RequestTimeout", message));
        }
    };
    Ok(Asked {
        // What answers HEAD is GET; the connection leaves the body out.
        method: if parts.method == Method::HEAD { Method::GET } else { parts.method },
        uri: parts.uri,
        headers: parts.headers,
        body,
        request_id: request_id.to_owned(),
    })
}

/// Whoever can reach the loopback is administrator; a page in a browser must not be. It names its origin, or a host that
/// only its own name server believes to be this one.
fn check_origin(request: &Request<Incoming>) -> Result<(), Problem> {
    let text = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let host = text(HOST).unwrap_or_default();
    let same_origin = text(ORIGIN).is_none_or(|origin| origin == format!("http://{host}"));
    if is_loopback(host) && same_origin {
        return Ok(());
    }
    Err(Problem::Http(
        StatusCode::FORBIDDEN,
        "HTTPForbidden",
        "Only requests to a loopback name, from its own pages, are served.".into(),
    ))
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_names_of_the_loopback_are_taken_for_it() {
        for host in ["localhost", "localhost:9696", "127.0.0.1:9696", "[::1]:9696", "127.1.2.3"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.org",
            "localhost.example.org:9696",
            "192.0.2.1",
            "[2001:db8::1]:9696",
            "127.0.0.1.example.org",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
