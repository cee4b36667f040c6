//! The daemons as they are shipped, each a process of its own.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use weft_protocol::certificates::{Authority, Kind, Validity};

use crate::http::Client;

const READY: Duration = Duration::from_secs(60);

/// The directory in which the binaries are: our own.
pub(crate) fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    Ok(own.parent().context("the executable is in no directory")?.to_owned())
}

/// A process that ends with the value.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(binary: &str, arguments: &[String], log: &Path) -> anyhow::Result<Self> {
        let log = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(binaries()?.join(binary));
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"WEFT_") {
                command.env_remove(name);
            }
        }
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Self(command.spawn().with_context(|| format!("starting {binary}"))?))
    }

    /// Its resident memory, in MiB.
    pub(crate) fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line
            .and_then(|line| line.split_whitespace().next())
            .context("a process without VmRSS")?
            .parse()?;
        Ok(kib / 1024.0)
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|ended| ended.is_some())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// A directory with certificates for a controller and for these hosts.
pub(crate) fn certificates(directory: &Path, hosts: &[&str]) -> anyhow::Result<()> {
    let (now, day) = (SystemTime::now(), Duration::from_secs(24 * 3600));
    let validity = Validity { from: now - day, until: now + day };
    let authority = Authority::create_or_load(directory, validity)?;
    authority.issue(&"controller".parse()?, Kind::Controller, &[], validity)?;
    for host in hosts {
        authority.issue(&host.parse()?, Kind::Host, &[], validity)?;
    }
    Ok(())
}

/// A port of the loopback that nobody listens on.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A controller that is ready.
pub(crate) struct Controller {
    pub(crate) process: Process,
    pub(crate) api: SocketAddr,
    pub(crate) agents: SocketAddr,
}

impl Controller {
    /// Starts one over this directory, in which the certificates are and in whose `state` the store is.
    pub(crate) fn start(directory: &Path) -> anyhow::Result<Self> {
        let (api, agents) = (free_address()?, free_address()?);
        let arguments = [
            format!("--listen={api}"),
            format!("--agents-listen={agents}"),
            format!("--tls-directory={}", directory.display()),
            format!("--state-directory={}", directory.join("state").display()),
        ];
        let log = directory.join("controller.log");
        let process = Process::start("weft-controller", &arguments, &log)?;
        let mut controller = Self { process, api, agents };
        let begun = Instant::now();
        loop {
            if let Ok(mut client) = Client::connect(api)
                && client.ask("GET", "/readyz", "").is_ok_and(|(status, _)| status == 200)
            {
                return Ok(controller);
            }
            if controller.process.has_ended() || begun.elapsed() > READY {
                bail!("the controller is not ready: {}", fs::read_to_string(&log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Starts an agent over a directory in which its certificate is, for the data plane of this namespace.
pub(crate) fn start_agent(
    directory: &Path,
    host: &str,
    controller: SocketAddr,
    namespace: &crate::namespace::Namespaces,
) -> anyhow::Result<Process> {
    let arguments = [
        format!("--host={host}"),
        format!("--controller={controller}"),
        format!("--tls-directory={}", directory.display()),
        format!("--state-directory={}", directory.join(host).display()),
        format!("--namespace={}", namespace.path()),
        format!("--namespace-prefix={}", namespace.prefix()),
        format!("--tunnel-endpoint={}", crate::namespace::ENDPOINT),
    ];
    Process::start("weft-agent", &arguments, &directory.join("agent.log"))
}
