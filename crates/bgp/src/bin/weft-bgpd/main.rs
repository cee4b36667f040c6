//! The speaker as a process, for labs and tests: a configuration in JSON, questions and orders as lines of JSON on a Unix socket.
//!
//! Never here: anything that acts on routes.

#![expect(clippy::disallowed_methods, reason = "a process has a clock")]

mod control;
mod route;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use weft_bgp::io::Driver;
use weft_bgp::speaker::{PeerConfig, Speaker, SpeakerConfig};

use crate::route::RouteConfig;

/// A BGP speaker.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration: a file of JSON.
    #[arg(required_unless_present = "ask")]
    configuration: Option<PathBuf>,
    /// Where to listen for questions and orders, or where to ask: a Unix socket.
    #[arg(long)]
    socket: Option<PathBuf>,
    /// Asks a speaker that runs, and prints its answer: a line of JSON.
    #[arg(long, requires = "socket", conflicts_with = "configuration")]
    ask: Option<String>,
}

/// What the process is configured with.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    speaker: SpeakerConfig,
    #[serde(default)]
    listen: Vec<SocketAddr>,
    #[serde(default)]
    neighbors: Vec<PeerConfig>,
    #[serde(default)]
    instances: std::collections::BTreeMap<String, std::collections::BTreeSet<weft_net::RouteTarget>>,
    #[serde(default)]
    routes: Vec<RouteConfig>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run(arguments))
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    if let (Some(request), Some(socket)) = (&arguments.ask, &arguments.socket) {
        println!("{}", control::ask(socket, request).await?);
        return Ok(());
    }
    let path = arguments.configuration.context("a configuration is needed")?;
    let text = tokio::fs::read_to_string(&path).await.with_context(|| path.display().to_string())?;
    let configuration: Configuration =
        serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    let now = tokio::time::Instant::now().into_std();
    let seed =
        std::hash::BuildHasher::hash_one(&foldhash::quality::RandomState::default(), std::process::id());
    let mut speaker = Speaker::new(configuration.speaker, now, seed)?;
    for route in &configuration.routes {
        speaker.originate(route.route()?);
    }
    for (name, targets) in configuration.instances {
        speaker.set_instance(&name, targets);
    }
    for neighbor in configuration.neighbors {
        let address = neighbor.address;
        speaker.set_peer(neighbor, now).with_context(|| format!("neighbour {address}"))?;
    }
    let (driver, handle) = Driver::new(speaker, &configuration.listen)?;
    if let Some(socket) = arguments.socket {
        control::serve(&socket, handle.clone())?;
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        () = driver.run() => {}
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    // Connections close with the process; what is left in them goes out.
    tokio::time::sleep(Duration::ZERO).await;
    drop(handle);
    Ok(())
}
