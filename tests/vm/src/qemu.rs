//! The emulator: started, heard, ended.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Error;
use crate::machine::find;

const QEMU: &str = "qemu-system-x86_64";
/// What `init.sh` writes before the exit code.
const EXIT: &str = "\u{1}exit ";
/// How many lines are on their way to the caller at most.
const LINES_MAX: usize = 1000;
/// How many lines of the kernel's console an error tells.
///
/// That is what both processors were at, each in some 70 lines, and the same once more of the one that ends the machine.
const CONSOLE_LINES_MAX: usize = 300;
/// What the kernel is told.
///
/// It says what it warns of, with backtraces. One that does no more for a minute, or has gone wrong, ends the machine. Where the
/// host is busy, no tick comes while it sees whether ticks come.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 loglevel=5 watchdog_thresh=30 softlockup_panic=1 \
    softlockup_all_cpu_backtrace=1 oops=panic panic=-1 no_timer_check mitigations=off random.trust_cpu=on \
    rcupdate.rcu_expedited=1";

/// What a machine is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hardware {
    /// Its memory.
    pub(crate) memory_mib: u32,
    /// How long it may be there.
    pub(crate) bound: Duration,
}

/// A machine that is there; it goes with the value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _gone = self.0.wait();
    }
}

/// Boots a kernel with a file system and answers the exit code that comes out of it.
pub(crate) fn run(
    image: &Path,
    archive: File,
    hardware: Hardware,
    mut hear: impl FnMut(&str),
) -> Result<i32, Error> {
    let until = Instant::now() + hardware.bound;
    let mut running = Running(command(image, hardware)?.stdin(archive).spawn().map_err(Error::Start)?);
    let console = running.0.stderr.take().map(|stderr| thread::spawn(|| last_lines(stderr)));
    let lines = lines(running.0.stdout.take());
    let outcome = loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => match line.split_once(EXIT) {
                Some((rest, code)) => {
                    if !rest.is_empty() {
                        hear(rest);
                    }
                    break code.trim().parse().ok();
                }
                None => hear(&line),
            },
            Err(RecvTimeoutError::Disconnected) => break None,
            Err(RecvTimeoutError::Timeout) => break None,
        }
    };
    let over = Instant::now() >= until;
    drop(running);
    let console = || console.and_then(|thread| thread.join().ok()).unwrap_or_default();
    match outcome {
        Some(code) => Ok(code),
        None if over => Err(Error::Bound { bound: hardware.bound, console: console() }),
        None => Err(Error::Ended { console: console() }),
    }
}

/// Emulated, not accelerated: it is the same wherever it runs, also in a virtual machine.
fn command(image: &Path, hardware: Hardware) -> Result<Command, Error> {
    // Who starts it may be killed: then the kernel ends it.
    let mut command = Command::new(find("setpriv")?);
    command.args(["--pdeathsig", "KILL", "--"]).arg(find(QEMU)?);
    // One thread for both processors. With one for each, one may translate code while the other changes it, and QEMU 7.2
    // keeps what was translated: mostly the trap that Linux puts where it changes itself, and then no packet gets past it.
    command.args(["-machine", "pc", "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2"]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    command.arg("-m").arg(hardware.memory_mib.to_string());
    command.arg("-kernel").arg(image).args(["-initrd", "/dev/fd/0"]);
    command.args(["-append", KERNEL_ARGUMENTS]);
    for (id, descriptor) in [("console", 2), ("program", 1)] {
        command.arg("-chardev").arg(format!("file,id={id},path=/dev/fd/{descriptor}"));
        command.arg("-serial").arg(format!("chardev:{id}"));
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok(command)
}

/// What comes out of the machine, line by line.
fn lines(output: Option<ChildStdout>) -> Receiver<String> {
    let (sender, lines) = sync_channel(LINES_MAX);
    if let Some(output) = output {
        // Nobody hears what comes after the exit code.
        thread::spawn(move || each_line(output, |line| drop(sender.send(line))));
    }
    lines
}

fn last_lines(output: impl Read) -> String {
    let mut last = VecDeque::new();
    each_line(output, |line| {
        if last.len() == CONSOLE_LINES_MAX {
            last.pop_front();
        }
        last.push_back(line);
    });
    Vec::from(last).join("\n")
}

fn each_line(output: impl Read, mut hear: impl FnMut(String)) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        hear(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned());
        line.clear();
    }
}
