//! Network namespaces of our own, which go when the measurement is over.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, ensure};
use nix::sched::{CloneFlags, setns};

/// The address of each namespace: an agent's tunnel endpoint.
pub(crate) const ENDPOINT: &str = "192.0.2.1";

/// A namespace, and those whose names begin with its own.
pub(crate) struct Namespaces(String);

impl Namespaces {
    /// A new namespace with its loopback up.
    pub(crate) fn new() -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let made = Self(format!("wb{}-{number}", std::process::id()));
        ip(&["netns", "add", made.name()])?;
        ip(&["-n", made.name(), "link", "set", "lo", "up"])?;
        ip(&["-n", made.name(), "address", "add", ENDPOINT, "dev", "lo"])?;
        Ok(made)
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Its file.
    pub(crate) fn path(&self) -> String {
        format!("/run/netns/{}", self.0)
    }

    /// What the names of the namespaces in it begin with.
    pub(crate) fn prefix(&self) -> String {
        format!("{}.", self.0)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for entry in std::fs::read_dir("/run/netns").into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if (name == self.0 || name.starts_with(&self.prefix()))
                && let Err(error) = ip(&["netns", "del", &name])
            {
                eprintln!("bench: {error:#}");
            }
        }
    }
}

/// Runs `ip`; answers what it says.
pub(crate) fn ip(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("ip").args(arguments).output().context("ip")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), error.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Does something in the namespace of this file, on a thread of its own.
pub(crate) fn within<T: Send + 'static>(
    path: &str,
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    let file = File::open(path).with_context(|| path.to_owned())?;
    let enter = move || {
        setns(file, CloneFlags::CLONE_NEWNET)?;
        work()
    };
    std::thread::spawn(enter).join().map_err(|_| anyhow::anyhow!("a thread panicked"))?
}
