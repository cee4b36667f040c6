//! The lab's daemons: started apart from whoever starts them, known again for certain, and ended.
//!
//! A number alone names no process for long. A record has also the time of its start and the name of its executable; and a
//! signal goes through a pidfd that was opened before these were compared, so it never meets another process.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::names::{LabName, PROCESS_MARK};
use crate::namespace::within;
use crate::netlink::{Place, readable};

/// How long a process has to end by itself.
const GRACE: Duration = Duration::from_secs(3);
/// How long the kernel has to end a process.
const END: Duration = Duration::from_secs(10);
/// How much of a log an error shows, in lines.
const LOG_LINES: usize = 12;

/// What identifies a process for as long as the machine runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Its number.
    pub pid: i32,
    /// When it was started, in clock ticks since the machine was.
    pub start_time_ticks: u64,
    /// The file name of its executable.
    pub executable: String,
}

/// A process that was found to be the recorded one, and stays so.
#[derive(Debug)]
pub(crate) struct Live(OwnedFd);

/// What to start.
pub(crate) struct Program<'a> {
    pub(crate) executable: &'a Path,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) log: PathBuf,
    pub(crate) lab: &'a LabName,
    /// Where; `None`: where the caller is.
    pub(crate) place: Option<&'a Place>,
}

impl ProcessRecord {
    /// The record of a process that runs.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        let (state, start_time_ticks) = stat(pid)?;
        if is_ended(state) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let path = fs::read_link(format!("/proc/{pid}/exe"))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let executable = name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned();
        Ok(Self { pid, start_time_ticks, executable })
    }

    /// The process, if it still runs and is the recorded one.
    pub(crate) fn live(&self) -> io::Result<Option<Live>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        let live = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(fd) => Live(fd),
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Self::of(self.pid).is_ok_and(|now| now == *self).then_some(live))
    }

    /// Whether the process still runs and is the recorded one.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.live().is_ok_and(|live| live.is_some())
    }
}

impl Live {
    /// Ends it at once, and waits until it is over.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        if self.ends_within(END)? { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) }
    }

    /// Asks it to end.
    pub(crate) fn ask_to_end(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits for the end that it was asked for, and ends it if that does not come.
    pub(crate) fn await_end(&self) -> io::Result<()> {
        if self.ends_within(GRACE)? { Ok(()) } else { self.kill() }
    }

    /// Waits for its end; answers whether it came in time.
    pub(crate) fn ends_within(&self, time: Duration) -> io::Result<bool> {
        readable(self.0.as_fd(), time)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.0, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Live {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Starts a daemon: in a session of its own, its output in its log, the lab's mark in its environment.
pub(crate) fn start(program: &Program<'_>) -> io::Result<ProcessRecord> {
    let log = OpenOptions::new().create(true).append(true).open(&program.log)?;
    let mut command = Command::new(program.executable);
    // A daemon takes its options also from its environment; those of whoever brings up the lab are not meant.
    let foreign =
        env::vars_os().map(|(name, _)| name).filter(|name| name.as_encoded_bytes().starts_with(b"WEFT_"));
    foreign.for_each(|name| {
        command.env_remove(name);
    });
    command.args(&program.arguments).env(PROCESS_MARK, program.lab.as_str()).current_dir("/");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    in_own_session(&mut command);
    let mut child = match program.place {
        // A child begins in the namespace of the thread that starts it.
        Some(place) => within(place.namespace.as_fd(), || command.spawn())?,
        None => command.spawn()?,
    };
    let record = child.id().try_into().map_err(io::Error::other).and_then(ProcessRecord::of);
    if record.is_err() {
        // It has ended already, or it must.
        let _ = child.kill();
    }
    reap(child)?;
    record.map_err(|error| io::Error::new(error.kind(), "it ended at once"))
}

#[expect(unsafe_code, reason = "std has no safe way to start a child in a session of its own")]
fn in_own_session(command: &mut Command) {
    // SAFETY: between fork and exec only `setsid` is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| nix::unistd::setsid().map(|_| ()).map_err(io::Error::from));
    }
}

/// Takes note of a child's end when it comes, so that it does not stay as a zombie while we live.
fn reap(mut child: Child) -> io::Result<()> {
    let wait = move || {
        let _ = child.wait();
    };
    thread::Builder::new().name("reap".to_owned()).stack_size(64 * 1024).spawn(wait).map(|_| ())
}

/// The processes that bear a lab's mark in their environment, ourselves not counted.
pub(crate) fn marked(lab: &LabName) -> io::Result<Vec<ProcessRecord>> {
    let mark = format!("{PROCESS_MARK}={lab}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // The record first: what has the mark and ends meanwhile is then no longer the recorded one.
        let Ok(record) = ProcessRecord::of(pid) else { continue };
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { continue };
        let is_marked = environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes());
        if is_marked && u32::try_from(pid) != Ok(std::process::id()) {
            found.push(record);
        }
    }
    Ok(found)
}

/// The end of a log, each line indented and on a line of its own; empty if there is none.
pub(crate) fn log_end(path: &Path) -> String {
    let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].iter().map(|line| format!("\n    {line}")).collect()
}

/// An argument `--name value`.
pub(crate) fn option(name: &str, value: impl AsRef<OsStr>) -> [OsString; 2] {
    [OsString::from(format!("--{name}")), value.as_ref().to_owned()]
}

/// State and time of start of a process: fields 3 and 22 of `/proc/PID/stat`, see proc_pid_stat(5).
fn stat(pid: i32) -> io::Result<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_stat(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The second field is a name in parentheses that may contain anything, `)` included.
fn parse_stat(text: &str) -> Option<(char, u64)> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// A zombie is over; only its parent has not heard of it.
const fn is_ended(state: char) -> bool {
    matches!(state, 'Z' | 'X')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(parse_stat(&format!("12 (a) b (c)) {rest}")), Some(('S', 4711)));
        assert_eq!(parse_stat("12 (sh) S 1"), None);
    }

    #[test]
    fn a_recycled_number_is_not_the_recorded_process() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let record = ProcessRecord::of(child.id().try_into().unwrap()).unwrap();
        assert!(record.is_running());
        let earlier = ProcessRecord { start_time_ticks: record.start_time_ticks - 1, ..record.clone() };
        let other = ProcessRecord { executable: "weft-agent".to_owned(), ..record.clone() };
        for stranger in [earlier, other] {
            assert!(stranger.live().unwrap().is_none());
        }
        record.live().unwrap().unwrap().kill().unwrap();
        // Killed and not reaped: a zombie runs no more.
        assert!(!record.is_running());
        child.wait().unwrap();
        assert!(record.live().unwrap().is_none());
    }

    #[test]
    fn a_daemon_bears_the_mark_leads_a_session_and_writes_to_its_log() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let lab: LabName = format!("p{}", std::process::id()).parse().unwrap();
        let script = "echo here; cut -d' ' -f1,6 /proc/$$/stat; exec sleep 60";
        let arguments = ["-c", script].map(OsString::from).to_vec();
        let program =
            Program { executable: Path::new("/bin/sh"), arguments, log: log.clone(), lab: &lab, place: None };
        let started = start(&program).unwrap();
        // It becomes `sleep`: the mark stays in its environment. What it starts before bears the mark, too.
        let found = loop {
            let mut all = marked(&lab).unwrap();
            all.retain(|found| found.pid == started.pid);
            match all.pop() {
                Some(found) if found.executable != started.executable => break found,
                Some(_) => thread::yield_now(),
                None => panic!("the daemon is gone"),
            }
        };
        assert_eq!((found.pid, found.start_time_ticks), (started.pid, started.start_time_ticks));
        let live = found.live().unwrap().unwrap();
        live.ask_to_end().unwrap();
        live.await_end().unwrap();
        assert_eq!(log_end(&log), format!("\n    here\n    {0} {0}", found.pid));
        assert!(marked(&lab).unwrap().is_empty());
    }
}
