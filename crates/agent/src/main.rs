//! `weft-agent`: leads this host to its intent, and ends without touching the data plane.

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use rand::SeedableRng;
use rand::rngs::SysRng;
use rand_chacha::ChaCha8Rng;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use weft_agent::config::{Command, Config, LogFormat};
use weft_agent::kernel::Kernel;
use weft_agent::stream::{Peers, Stream};
use weft_agent::{Agent, Settings, mounts};

/// An intent is made of many small pieces, which one thread makes and another frees: this is what it is made for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let config = Config::parse();
    start_log(config.log_format);
    let outcome = match config.command {
        Some(Command::CheckConfig) => check(&config),
        None => run(&config),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the agent ends");
            ExitCode::FAILURE
        }
    }
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

fn check(config: &Config) -> Result<()> {
    config.check()?;
    mounts::warn_if_unseen();
    println!("the configuration is good");
    Ok(())
}

fn run(config: &Config) -> Result<()> {
    config.check()?;
    mounts::warn_if_unseen();
    let settings = Settings {
        peers: Peers {
            host: config.host.clone(),
            controllers: config.controller.clone(),
            tls_directory: config.tls_directory.clone(),
        },
        state_directory: config.state_directory.clone(),
        resync_interval: config.resync_interval(),
        jitter: ChaCha8Rng::try_from_rng(&mut SysRng).context("the system has no randomness")?,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    // Before the first change to the host, so that no signal ends the agent in the middle of one.
    let signals = runtime.block_on(async { Signals::listen() })?;
    let (kernel, wake) = Kernel::open(config)?;
    let (mut agent, stream) = Agent::start(kernel, wake, settings)?;
    let outcome = runtime.block_on(serve(&mut agent, stream, signals));
    drop(runtime);
    agent.stop()?;
    outcome
}

/// The signals that end the agent.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be received");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }
}

/// Holds the stream until a signal comes or a part of the agent is gone.
async fn serve(agent: &mut Agent, stream: Stream, mut signals: Signals) -> Result<()> {
    let stream = tokio::spawn(stream.run());
    tokio::select! {
        () = agent.ended() => bail!("a part of the agent has ended by itself"),
        _ = signals.terminate.recv() => {}
        _ = signals.interrupt.recv() => {}
    }
    stream.abort();
    tracing::info!("ending; the data plane stays as it is");
    Ok(())
}
