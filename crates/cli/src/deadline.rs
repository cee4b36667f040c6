//! `--timeout`: no command goes on for longer.

use std::future::Future;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::console::Console;
use crate::context::Context;
use crate::exit::Exit;

/// How much later a command is ended that holds its thread, as a question or `lab exec` does.
const GRACE: Duration = Duration::from_millis(200);

/// Does the work, for as long as it may take; what was run for somebody ends with it, if that is the work.
pub(crate) async fn keep(
    context: &Context,
    runs_command: bool,
    work: impl Future<Output = Result<Exit>>,
) -> Result<Exit> {
    let Some(timeout) = context.timeout else { return work.await };
    std::thread::spawn(move || {
        std::thread::sleep(timeout.saturating_add(GRACE));
        // Where even this cannot be said, the exit code has to do.
        let _ = Console::new(false).complain(&too_long(timeout));
        if runs_command {
            end_children();
        }
        std::process::exit(Exit::TimedOut.code().into());
    });
    match tokio::time::timeout(timeout, work).await {
        Ok(outcome) => outcome,
        Err(_) => {
            context.console.complain(&too_long(timeout))?;
            Ok(Exit::TimedOut)
        }
    }
}

/// Asks every process to end that this one has started.
fn end_children() {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    for pid in
        children.flat_map(|pids| pids.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
    {
        // One that has ended by itself is as good.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

fn too_long(timeout: Duration) -> String {
    format!("it has taken longer than {} s; --timeout allows more", timeout.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    fn what_was_run_for_somebody_does_not_outlive_the_deadline() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        end_children();
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGTERM as i32));
    }
}
