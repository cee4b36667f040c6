//! A small controller that keeps resources in memory and answers what it was told to.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "it is of tests")]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

/// The controller; it ends with its thread's runtime, when this value goes.
pub struct Fake {
    pub url: String,
    pub state: Arc<Mutex<Model>>,
    _end: tokio::sync::oneshot::Sender<()>,
}

/// What it knows.
#[derive(Default)]
pub struct Model {
    /// By path: `networks`.
    pub resources: BTreeMap<String, Vec<Object>>,
    /// Answers by method and path, with status.
    pub canned: HashMap<String, (u16, Value)>,
    /// What each connection of a watch is sent before it ends; the last one stays open.
    pub watches: VecDeque<String>,
    /// `METHOD /path?query`, with chosen headers and the body.
    pub requests: Vec<Recorded>,
    /// How many resources a page has at most.
    pub page_max: Option<usize>,
    next_id: u64,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Fake {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(Model::default()));
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = async { axum::serve(listener, router).await } => served.unwrap(),
                    _ = ended => {}
                }
            });
        });
        Self { url, state, _end: end }
    }

    pub fn with(self, path: &str, objects: Value) -> Self {
        let objects = objects.as_array().unwrap().iter().map(|object| object.as_object().unwrap().clone());
        self.state.lock().unwrap().resources.insert(path.to_owned(), objects.collect());
        self
    }

    pub fn canned(self, line: &str, status: u16, answer: Value) -> Self {
        self.state.lock().unwrap().canned.insert(line.to_owned(), (status, answer));
        self
    }

    pub fn watches(self, connections: &[&str]) -> Self {
        self.state.lock().unwrap().watches = connections.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    pub fn requests(&self) -> Vec<Recorded> {
        self.state.lock().unwrap().requests.clone()
    }

    /// The lines of the requests with this method.
    pub fn lines(&self, method: &str) -> Vec<String> {
        self.requests()
            .into_iter()
            .map(|request| request.line)
            .filter(|line| line.starts_with(method))
            .collect()
    }

    /// The body of the last request with this method.
    pub fn body(&self, method: &str) -> Value {
        self.requests().into_iter().rfind(|request| request.line.starts_with(method)).unwrap().body
    }
}

async fn answer(State(state): State<Arc<Mutex<Model>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut state = state.lock().unwrap();
    let headers = ["x-auth-token", "if-match", "last-event-id", "content-type"];
    state.requests.push(Recorded {
        line: format!("{} {}", parts.method, parts.uri),
        headers: headers
            .iter()
            .filter_map(|name| {
                Some(((*name).to_owned(), parts.headers.get(*name)?.to_str().ok()?.to_owned()))
            })
            .collect(),
        body: serde_json::from_slice(&bytes).unwrap_or_else(|_| json!({ "bytes": bytes.len() })),
    });
    state.answer(&parts.method, &parts.uri, &bytes)
}

impl Model {
    fn answer(&mut self, method: &Method, uri: &Uri, body: &Bytes) -> Response {
        if let Some((status, value)) = self.canned.get(&format!("{method} {}", uri.path())) {
            return match value {
                Value::String(text) => response(*status, text.clone().into()),
                value => json_response(*status, value),
            };
        }
        let query = pairs(uri.query().unwrap_or_default());
        let is_watch = query.iter().any(|(name, value)| name == "watch" && value == "true");
        match uri.path() {
            "/healthz" | "/readyz" => return response(200, "ok".into()),
            "/version" => {
                return json_response(200, &json!({ "software_version": env!("CARGO_PKG_VERSION") }));
            }
            "/v1/watch" => return self.watch(),
            _ if is_watch => return self.watch(),
            _ => {}
        }
        let segments: Vec<&str> = uri.path().trim_start_matches('/').split('/').collect();
        match (method, segments.as_slice()) {
            (&Method::GET, ["v2.0", path]) => self.list(path, &query),
            (&Method::POST, ["v2.0", path]) => self.create(path, body),
            (_, ["v2.0", path, id]) => self.one(method, (path, id), body),
            _ => not_found(uri.path()),
        }
    }

    fn list(&self, path: &str, query: &[(String, String)]) -> Response {
        let collection = path.replace('-', "_");
        let empty = Vec::new();
        let objects = self.resources.get(path).unwrap_or(&empty);
        let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let holds = |object: &&Object| {
            let names: std::collections::BTreeSet<&String> = query.iter().map(|(name, _)| name).collect();
            names.into_iter().all(|name| {
                let Some(attribute) = object.get(name) else { return true };
                let text = attribute.as_str().map_or_else(|| attribute.to_string(), str::to_owned);
                query.iter().any(|(key, value)| key == name && *value == text)
            })
        };
        let from = value("marker")
            .and_then(|marker| objects.iter().position(|object| object["id"] == marker.as_str()))
            .map_or(0, |at| at + 1);
        let limit = value("limit").and_then(|limit| limit.parse().ok()).unwrap_or(usize::MAX);
        let limit = limit.min(self.page_max.unwrap_or(usize::MAX));
        let rest: Vec<&Object> = objects.iter().skip(from).filter(holds).collect();
        let page: Vec<&&Object> = rest.iter().take(limit).collect();
        let mut answer = json!({ collection.as_str(): page });
        if rest.len() > page.len() {
            answer[format!("{collection}_links")] = json!([{ "rel": "next", "href": "http://elsewhere/" }]);
        } else {
            answer[format!("{collection}_links")] = json!([]);
        }
        json_response(200, &answer)
    }

    fn create(&mut self, path: &str, body: &Bytes) -> Response {
        let request: Object = serde_json::from_slice(body).unwrap();
        let (member, attributes) = request.into_iter().next().unwrap();
        let mut object = attributes.as_object().unwrap().clone();
        self.next_id += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.next_id);
        object.insert("id".into(), id.into());
        self.resources.entry(path.to_owned()).or_default().push(object.clone());
        json_response(201, &json!({ member: object }))
    }

    fn one(&mut self, method: &Method, (path, id): (&str, &str), body: &Bytes) -> Response {
        let objects = self.resources.entry(path.to_owned()).or_default();
        let Some(at) = objects.iter().position(|object| object["id"] == id) else { return not_found(id) };
        let member = path.trim_end_matches('s').replace('-', "_");
        match *method {
            Method::DELETE => {
                objects.remove(at);
                return response(204, Body::empty());
            }
            Method::PUT => {
                let request: Object = serde_json::from_slice(body).unwrap();
                objects[at].extend(request[&member].as_object().unwrap().clone());
            }
            _ => {}
        }
        json_response(200, &json!({ member: objects[at] }))
    }

    fn watch(&mut self) -> Response {
        let Some(text) = self.watches.pop_front() else { return response(503, Body::empty()) };
        let body = if self.watches.is_empty() {
            let first = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(text))]);
            Body::from_stream(futures_util::StreamExt::chain(first, futures_util::stream::pending()))
        } else {
            text.into()
        };
        response(200, body)
    }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let decode =
        |text: &str| text.replace('+', " ").replace("%3D", "=").replace("%3A", ":").replace("%2F", "/");
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

fn not_found(what: &str) -> Response {
    let error = json!({ "type": "NotFound", "message": format!("{what} could not be found."), "detail": "" });
    json_response(404, &json!({ "NeutronError": error }))
}

fn json_response(status: u16, value: &Value) -> Response {
    response(status, value.to_string().into())
}

fn response(status: u16, body: Body) -> Response {
    Response::builder().status(StatusCode::from_u16(status).unwrap()).body(body).unwrap()
}
