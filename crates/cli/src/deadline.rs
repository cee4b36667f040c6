//! `--timeout`: no command goes on for longer.

use std::future::Future;
use std::time::Duration;

use anyhow::Result;

use crate::console::Console;
use crate::context::Context;
use crate::exit::Exit;

/// How much later a command is ended that holds its thread, as a question or `lab exec` does.
const GRACE: Duration = Duration::from_millis(200);

/// Does the work, for as long as it may take.
pub(crate) async fn keep(context: &Context, work: impl Future<Output = Result<Exit>>) -> Result<Exit> {
    let Some(timeout) = context.timeout else { return work.await };
    std::thread::spawn(move || {
        std::thread::sleep(timeout.saturating_add(GRACE));
        // Where even this cannot be said, the exit code has to do.
        let _ = Console::new(false).complain(&too_long(timeout));
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

fn too_long(timeout: Duration) -> String {
    format!("it has taken longer than {} s; --timeout allows more", timeout.as_secs_f64())
}
