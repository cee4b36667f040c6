//! Questions and orders: a line of JSON each way.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use anyhow::Context;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use weft_bgp::io::Handle;
use weft_bgp::speaker::{PeerConfig, Speaker};
use weft_bgp::wire::Family;

use crate::route::RouteConfig;

/// How many routes an answer has at most.
const ROUTES_MAX: usize = 10_000;
/// How many changes are asked for at a time.
const LEARNED_MAX: usize = 1024;

/// What somebody may ask for.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Request {
    Status,
    Neighbors,
    Routes(String),
    AdjIn(IpAddr, String),
    AdjOut(IpAddr, String),
    Explain(Box<RouteConfig>),
    /// What is there of learned paths; the first answer may be empty.
    Learned,
    Originate(Box<RouteConfig>),
    Withdraw(Box<RouteConfig>),
    SetInstance(String, std::collections::BTreeSet<weft_net::RouteTarget>),
    SetNeighbor(Box<PeerConfig>),
    RemoveNeighbor(IpAddr),
    ShutDown(IpAddr, String),
    Start(IpAddr),
    Reset(IpAddr, String),
}

/// What was learned, by instance and destination, as it is now; kept from the first question on.
type Learned = Arc<OnceLock<Mutex<BTreeMap<String, Value>>>>;

/// Answers whoever connects, from now on.
pub(crate) fn serve(path: &Path, handle: Handle) -> anyhow::Result<()> {
    let listener = UnixListener::bind(path).with_context(|| path.display().to_string())?;
    let learned = Learned::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, handle.clone(), Arc::clone(&learned)));
        }
    });
    Ok(())
}

/// Asks a speaker that runs.
pub(crate) async fn ask(path: &Path, request: &str) -> anyhow::Result<String> {
    let stream = UnixStream::connect(path).await.with_context(|| path.display().to_string())?;
    let (reader, mut writer) = stream.into_split();
    writer.write_all(format!("{request}\n").as_bytes()).await?;
    BufReader::new(reader).lines().next_line().await?.context("the speaker has ended")
}

/// Keeps what is learned.
async fn follow(handle: Handle, learned: Learned) {
    loop {
        let changes = handle.with(|speaker, now| speaker.poll_learned(LEARNED_MAX, now)).await;
        let Some(changes) = changes else { return };
        if changes.is_empty() {
            handle.learned().await;
            continue;
        }
        let mut learned = learned.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            let key = format!("{} {}", change.instance.as_deref().unwrap_or("-"), change.destination);
            if change.paths.is_empty() {
                learned.remove(&key);
                continue;
            }
            let path = |path: &weft_bgp::speaker::LearnedPath| json!({ "neighbor": path.neighbor, "next_hop": path.attributes.next_hop.to_string(), "is_stale": path.is_stale });
            let paths: Vec<Value> = change.paths.iter().map(path).collect();
            learned.insert(key, json!({ "paths": paths, "is_duplicate_mac": change.is_duplicate_mac }));
        }
    }
}

async fn converse(stream: UnixStream, handle: Handle, learned: Learned) {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = answer(&line, &handle, &learned)
            .await
            .unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        if writer.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn answer(line: &str, handle: &Handle, learned: &Learned) -> anyhow::Result<Value> {
    let request: Request = serde_json::from_str(line)?;
    if matches!(request, Request::Learned) {
        if learned.set(Mutex::default()).is_ok() {
            tokio::spawn(follow(handle.clone(), Arc::clone(learned)));
        }
        let learned = learned.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        return Ok(json!(*learned));
    }
    let answer = handle.with(move |speaker, now| act(speaker, request, now)).await;
    answer.context("the speaker has ended")?
}

fn act(speaker: &mut Speaker, request: Request, now: std::time::Instant) -> anyhow::Result<Value> {
    Ok(match request {
        Request::Status => json!(speaker.status()),
        Request::Neighbors => json!(speaker.neighbors(now)),
        Request::Routes(name) => json!(speaker.routes(family(&name)?, 0, ROUTES_MAX).0),
        Request::AdjIn(neighbor, name) => json!(speaker.adj_in(neighbor, family(&name)?, 0, ROUTES_MAX).0),
        Request::AdjOut(neighbor, name) => json!(speaker.adj_out(neighbor, family(&name)?, 0, ROUTES_MAX).0),
        Request::Explain(route) => json!(speaker.explain(&route.route()?.destination)),
        Request::Learned => Value::Null,
        Request::Originate(route) => {
            speaker.originate(route.route()?);
            Value::Null
        }
        Request::Withdraw(route) => json!(speaker.withdraw(&route.route()?.destination)),
        Request::SetInstance(name, targets) => {
            speaker.set_instance(&name, targets);
            Value::Null
        }
        Request::SetNeighbor(config) => {
            speaker.set_peer(*config, now)?;
            Value::Null
        }
        Request::RemoveNeighbor(address) => json!(speaker.remove_peer(address, now)),
        Request::ShutDown(address, text) => json!(speaker.shut_down(address, &text, now)),
        Request::Start(address) => json!(speaker.start(address, now)),
        Request::Reset(address, text) => json!(speaker.reset(address, &text, now)),
    })
}

fn family(name: &str) -> anyhow::Result<Family> {
    let families = Family::ALL.into_iter();
    families
        .into_iter()
        .find(|family| family.to_string() == name)
        .with_context(|| format!("{name} is not a family"))
}
