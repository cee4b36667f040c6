//! `weft-controller`: flags in, two listeners, out by a signal.

use std::io::IsTerminal;
use std::net::Ipv4Addr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use weft_controller::agents::{self, AgentServer, Links};
use weft_controller::api::{self, Api};
use weft_controller::bgp::{Bgp, BgpConfig};
use weft_controller::checkpoint::{self, AnnouncedMarks, Checkpoint, Keeper};
use weft_controller::config::{Config, LogFormat};
use weft_controller::site::Site;
use weft_protocol::tls::TlsIdentity;
use weft_store::{Options, Revision, Store};

/// How often old history is dropped.
const COMPACT_EVERY: Duration = Duration::from_secs(60);

/// Requests are made of many small pieces, which one thread makes and another frees: this is what it is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    start_logs(config.log_format);
    config.check()?;
    run(config).await
}

fn start_logs(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    let colours = std::io::stderr().is_terminal();
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match format {
        LogFormat::Text => logs.init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
}

async fn run(config: Config) -> anyhow::Result<()> {
    let identity = TlsIdentity::load(&config.tls_directory, &config.tls_name)
        .context("no identity for the agents' listener")?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.state_directory)
        .with_context(|| format!("--state-directory {}", config.state_directory.display()))?;
    let store = Store::open(config.state_directory.join("store.redb"), Options::default())
        .context("the store cannot be opened")?;
    let lineage = lineage(&config.state_directory).context("--state-directory")?;
    let site = Site::new(store, lineage);
    if let Some(Checkpoint { turn, facts, .. }) = checkpoint::load(&config.state_directory, lineage) {
        site.distribution.lock().recall(turn, facts);
    }
    if let Some(AnnouncedMarks { marks, .. }) = checkpoint::load_announced(&config.state_directory, lineage) {
        site.distribution.lock().recall_announced(marks);
    }
    let (links, notices) = (Arc::new(Links::default()), site.notices.clone());
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("--listen {}", config.listen))?;
    tracing::info!(listen = %listener.local_addr()?, agents = %config.agents_listen, version = %site.durable().version, "ready");
    let (end, ended) = watch::channel(false);
    let feed = tokio::spawn(agents::follow_store(site.clone(), links.clone()));
    let router_id = config.bgp_router_id.unwrap_or_else(|| own_router_id(lineage));
    let deferral_time_s = config.bgp_deferral_s;
    let bgp = BgpConfig { listen: config.bgp_listen, router_id, deferral_time_s };
    let bgp = tokio::spawn(Bgp::start(site.clone(), bgp).await.run());
    let compaction = tokio::spawn(compact(site.clone(), config.history_revisions));
    let server = AgentServer::new(site.clone(), links.clone(), notices.clone());
    let until = |mut ended: watch::Receiver<bool>| async move {
        // Either says that it is over.
        let _ = ended.wait_for(|ended| *ended).await;
    };
    let keeper = Keeper::new(site.clone(), config.state_directory.clone(), lineage);
    let keeper = tokio::spawn(keeper.run(until(ended.clone())));
    let agents_end = until(ended.clone());
    let address = config.agents_listen;
    let agents = tokio::spawn(async move { agents::serve(server, address, &identity, agents_end).await });
    let api = Arc::new(Api::new(site, notices, links.clone()));
    let rest = tokio::spawn(api::serve(api, listener, until(ended)));
    let outcome = tokio::select! {
        outcome = agents => outcome.context("the agents' listener")?.with_context(|| format!("--agents-listen {address}")),
        signal = wait_for_signal() => signal,
        // Neither ends while all is well: better to be started anew than to go on without.
        ended = feed => Err(anyhow::anyhow!("agents are no longer fed: {ended:?}")),
        ended = bgp => Err(anyhow::anyhow!("BGP has ended: {ended:?}")),
        ended = compaction => Err(anyhow::anyhow!("the history is no longer compacted: {ended:?}")),
    };
    links.close_all();
    let _ = end.send(true);
    rest.await.context("the API's listener")?;
    keeper.await.context("the checkpoint of facts")?;
    outcome
}

/// The number that tells this store from any other: drawn when it begins, kept beside it.
fn lineage(directory: &Path) -> std::io::Result<u64> {
    let path = directory.join("lineage");
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(std::io::Error::other),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let drawn: u32 = rand::random();
            std::fs::write(&path, format!("{drawn}\n"))?;
            Ok(drawn.into())
        }
        Err(error) => Err(error),
    }
}

/// A BGP identifier that another store hardly has: any number but 0 is one (RFC 6286 §2.1).
fn own_router_id(lineage: u64) -> Ipv4Addr {
    let [.., a, b, c, d] = lineage.to_be_bytes();
    Ipv4Addr::from_octets([a, b, c, d | 1])
}

async fn wait_for_signal() -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("ending; hosts go on with what they have");
    Ok(())
}

/// Keeps the history at the length that was asked for.
async fn compact(site: Arc<Site>, keep: u64) {
    loop {
        tokio::time::sleep(COMPACT_EVERY).await;
        let revision = site.durable().version.revision.get();
        // In steps of a tenth, so that most turns do nothing.
        let before = revision.saturating_sub(keep) / (keep / 10) * (keep / 10);
        if before > 0
            && let Err(error) = site.store.compact(Revision::new(before)).await
        {
            tracing::warn!(%error, "the history cannot be compacted");
        }
    }
}
