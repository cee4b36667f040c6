//! A process in a namespace, which ends with its value.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use weft_soak::patience;

/// How long a process has to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after one look the next is taken.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// A process that runs.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program in a namespace; what it says goes to `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start<I: IntoIterator<Item: AsRef<OsStr>>>(
        namespace: &str,
        program: &str,
        arguments: I,
        log: &Path,
    ) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("a log can be written");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, program]).args(arguments).stdin(Stdio::null());
        command.stdout(file.try_clone().expect("a file can be had twice")).stderr(file);
        // `ip netns exec` becomes the program: the pid is the program's own.
        let child = command.spawn().unwrap_or_else(|error| panic!("starting {program}: {error}"));
        Self { child, log: log.to_owned() }
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid is an i32"));
        kill(pid, signal).unwrap_or_else(|error| panic!("{signal} to {pid}: {error}"));
    }

    /// Kills it at once, so that it says goodbye to nobody.
    pub fn kill(mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Its resident memory in KiB.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("it is a number")
    }

    fn end(&mut self, signal: Signal) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        self.signal(signal);
        let begin = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) {
            if begin.elapsed() > PATIENCE {
                // It may end of itself in this moment.
                let _ended = self.child.kill();
                let _status = self.child.wait();
                return;
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(Signal::SIGTERM);
        if thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("-- {}\n{}", self.log.display(), lines[lines.len().saturating_sub(25)..].join("\n"));
        }
    }
}

/// Looks again and again until something is so; answers how long that took.
///
/// # Panics
/// When that takes longer than it may ([`patience`]).
pub fn until(what: &str, within: Duration, mut is_so: impl FnMut() -> bool) -> Duration {
    let (begin, within) = (Instant::now(), patience(within));
    while !is_so() {
        assert!(begin.elapsed() < within, "{what}: not within {within:?}");
        thread::sleep(LOOK_INTERVAL);
    }
    begin.elapsed()
}

/// Runs a program in a namespace to its end; answers what it says, or what it complains of.
pub(crate) fn ask(namespace: &str, program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]).args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{program} {}: {text}{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
}
