//! `status`: how far the hosts are.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tokio::time::{Instant, sleep};
use weft_client::{Client, HostStatus, Status};

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Format, Table};

const WAIT_DEFAULT: Duration = Duration::from_secs(300);
const POLL_INTERVAL: Duration = Duration::from_millis(300);

/// What `status` takes.
#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 all hosts are alive and at rest, 1 one is not, 124 --wait took too long."
)]
pub(crate) struct Arguments {
    /// Wait until all hosts are at rest; --timeout says how long [default: 5m]
    #[arg(long)]
    wait: bool,
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let client = context.client()?;
    let (status, is_late) = if arguments.wait {
        wait(&client, context.timeout.unwrap_or(WAIT_DEFAULT)).await?
    } else {
        (client.status().await?, false)
    };
    print(context, &status)?;
    Ok(match (status.is_at_rest(), is_late) {
        (true, _) => Exit::Ok,
        (false, true) => Exit::TimedOut,
        (false, false) => Exit::Failed,
    })
}

/// Asks until all are at rest, or the time is over; a controller that is not there yet is waited for.
async fn wait(client: &Client, timeout: Duration) -> Result<(Status, bool)> {
    let deadline = Instant::now() + timeout;
    loop {
        let outcome = client.status().await;
        let is_late = Instant::now() + POLL_INTERVAL > deadline;
        match outcome {
            Ok(status) if status.is_at_rest() || is_late => return Ok((status, is_late)),
            Err(error) if is_late || !error.is_temporary() => return Err(error.into()),
            _ => sleep(POLL_INTERVAL).await,
        }
    }
}

fn print(context: &Context, status: &Status) -> Result<()> {
    if context.print_value(status)? {
        return Ok(());
    }
    if context.format == Format::Name {
        let names: Vec<String> = status.hosts.iter().map(|host| host.name.clone()).collect();
        return context.print_names(&names);
    }
    let software =
        status.software_version.as_ref().map(|version| format!("weft {version}, ")).unwrap_or_default();
    let console = &context.console;
    console.note(&format!("{software}version {}, up for {}", status.version, time(status.uptime_s)))?;
    let counts: Vec<String> = status
        .counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    if !counts.is_empty() {
        console.note(&counts.join(", ").replace('_', " "))?;
    }
    context.print_table(&table(&status.hosts), "There are no hosts.")?;
    let not_done: String = status.hosts.iter().map(not_done).collect();
    console.out(&not_done)?;
    Ok(())
}

fn table(hosts: &[HostStatus]) -> Table {
    let mut table = Table::new(["HOST", "ALIVE", "AT REST", "VERSION", "BEHIND", "FAILED"]);
    let word = |is_so: bool| if is_so { "yes" } else { "no" }.to_owned();
    for host in hosts {
        table.row([
            host.name.clone(),
            word(host.alive),
            word(host.at_rest),
            host.version.clone().unwrap_or_default(),
            host.behind.map(|behind| behind.to_string()).unwrap_or_default(),
            host.steps_failed.to_string(),
        ]);
    }
    table
}

fn not_done(host: &HostStatus) -> String {
    let line = |one: &weft_client::NotDone| {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        let object = one.object.clone().or_else(|| one.fragment.clone()).unwrap_or_default();
        let reason = one.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let fragment =
            if one.object.is_some() { format!(" ({})", part(&one.fragment)) } else { String::new() };
        format!("{}: {} {object}{reason}{fragment}\n", host.name, one.state)
    };
    host.not_done.iter().map(line).collect()
}

fn time(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}
