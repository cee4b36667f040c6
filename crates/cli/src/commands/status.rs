//! `status`: how far the hosts are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use tokio::time::{Instant, sleep};
use weft_client::{Client, HostStatus, RouteAlarm, Status};
use weft_services::Id;

use crate::context::Context;
use crate::exit::Exit;
use crate::kind::{self, Kind};
use crate::output::{Format, Table};
use crate::{bindings, names, quarantine};

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
    print(context, &client, &status).await?;
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

async fn print(context: &Context, client: &Client, status: &Status) -> Result<()> {
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
    context.print_table(&table(&status.hosts, context.format == Format::Wide), "There are no hosts.")?;
    let names = names_in(client, status).await;
    let not_done: String = status.hosts.iter().map(|host| not_done(host, &names)).collect();
    console.out(&not_done)?;
    for awaited in quarantine::awaited(status) {
        console.out(&format!("quarantine: {}\n", awaited.finding))?;
    }
    for alarm in &status.route_audit.alarms {
        let RouteAlarm { route, finding, at, mended_at, .. } = alarm;
        match mended_at {
            None => console.out(&format!("alarm: {route}: {finding}, since {at}\n"))?,
            Some(mended_at) if context.format == Format::Wide => {
                console.out(&format!("mended: {route}: {finding}, {at}; right again {mended_at}\n"))?;
            }
            Some(_) => {}
        }
    }
    // What the hosts do is told; that more cannot be asked about is no reason to fail.
    for failed in bindings::failed(client).await.unwrap_or_default() {
        console.out(&format!("warning: port {}: {}\n", failed.port, failed.finding()))?;
    }
    Ok(())
}

/// A part of a fragment's name that says a resource, as in `port/ID`: its kind and identifier.
fn resource(word: &str) -> Option<(Kind, &str)> {
    let (kind, id) = word.split_once('/')?;
    id.parse::<Id>().ok()?;
    Some((kind::by_name(kind)?, id))
}

/// The names of the resources for which something is not done, by identifier.
async fn names_in(client: &Client, status: &Status) -> HashMap<String, String> {
    let mut wanted: BTreeMap<&str, (Kind, BTreeSet<&str>)> = BTreeMap::new();
    let not_done = status.hosts.iter().flat_map(|host| &host.not_done);
    let words = not_done.filter_map(|one| one.fragment.as_deref()).flat_map(|fragment| fragment.split(' '));
    for (kind, id) in words.filter_map(resource) {
        wanted.entry(kind.member).or_insert_with(|| (kind, BTreeSet::new())).1.insert(id);
    }
    let mut found = HashMap::new();
    for (kind, ids) in wanted.values() {
        let ids: Vec<&str> = ids.iter().copied().collect();
        for some in ids.chunks(names::IDS_PER_REQUEST) {
            found.extend(names::of_ids(client, kind, some).await);
        }
    }
    found
}

/// A fragment with names in place of identifiers, where there are any.
fn named(fragment: &str, names: &HashMap<String, String>) -> String {
    let word = |word: &str| match resource(word) {
        Some((kind, id)) => {
            let name = names.get(id).map_or(id, String::as_str);
            format!("{} {name}", kind.member.replace('_', " "))
        }
        None => word.to_owned(),
    };
    fragment.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn table(hosts: &[HostStatus], is_wide: bool) -> Table {
    let more = ["DONE", "DRIFTS", "SOFTWARE"].into_iter().filter(|_| is_wide);
    let headers = ["HOST", "ALIVE", "AT REST", "VERSION", "BEHIND", "FAILED"];
    let mut table = Table::new(headers.into_iter().chain(more));
    let word = |is_so: bool| if is_so { "yes" } else { "no" }.to_owned();
    for host in hosts {
        let more = [
            host.steps_done.to_string(),
            host.drifts.to_string(),
            host.software_version.clone().unwrap_or_default(),
        ];
        let cells = [
            host.name.clone(),
            word(host.alive),
            word(host.at_rest),
            host.version.clone().unwrap_or_default(),
            host.behind.map(|behind| behind.to_string()).unwrap_or_default(),
            host.steps_failed.to_string(),
        ];
        table.row(cells.into_iter().chain(more.into_iter().filter(|_| is_wide)));
    }
    table
}

fn not_done(host: &HostStatus, names: &HashMap<String, String>) -> String {
    let line = |one: &weft_client::NotDone| {
        let by_name = one.fragment.as_deref().map(|fragment| named(fragment, names));
        let reason = one.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let (object, fragment) = match (&one.object, by_name) {
            (Some(object), Some(fragment)) => (object.clone(), format!(" (for {fragment})")),
            (object, fragment) => (fragment.or_else(|| object.clone()).unwrap_or_default(), String::new()),
        };
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
