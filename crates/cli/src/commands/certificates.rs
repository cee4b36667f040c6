//! `certificates`: an authority, and what controller and hosts show each other.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::{Value, json};
use weft_net::HostName;
use weft_protocol::certificates::{Authority, Kind, Validity};

use crate::context::Context;
use crate::exit::Exit;
use crate::output::{Format, Table};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Clocks of hosts differ: a certificate is good from a little before it was made.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);
/// The name of the controller's files.
const CONTROLLER: &str = "controller";

/// What `certificates` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Where the files are: ca.pem and ca.key, and NAME.pem and NAME.key for each
    #[arg(long, value_name = "DIRECTORY")]
    directory: PathBuf,

    /// A host that is to have a certificate; may be repeated
    #[arg(long = "host", value_name = "NAME", value_delimiter = ',')]
    hosts: Vec<HostName>,

    /// Another name or address of the controller, besides those of this machine; may be repeated
    #[arg(long = "controller-name", value_name = "NAME|ADDRESS", value_delimiter = ',')]
    controller_names: Vec<String>,

    /// For how many days they are good; the authority for ten times as long
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,

    /// Make new ones in place of those that are there; the authority stays
    #[arg(long)]
    renew: bool,
}

/// Runs the verb.
pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<Exit> {
    let now = SystemTime::now();
    let validity = |days: u32| -> Result<Validity> {
        let until = now.checked_add(DAY * days).context("nobody knows a date that far away")?;
        Ok(Validity { from: now.checked_sub(CLOCK_SKEW).unwrap_or(now), until })
    };
    let is_new = !arguments.directory.join("ca.pem").exists();
    let authority = Authority::create_or_load(&arguments.directory, validity(arguments.days * 10)?)?;
    let mut made = vec![one("ca", is_new, arguments)];
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    names.extend(arguments.controller_names.iter().cloned());
    let controller: HostName = CONTROLLER.parse().context("the controller has a name")?;
    let wanted = std::iter::once((&controller, Kind::Controller, names.as_slice()))
        .chain(arguments.hosts.iter().map(|host| (host, Kind::Host, [].as_slice())));
    for (name, kind, further_names) in wanted {
        let is_there = arguments.directory.join(format!("{name}.pem")).exists();
        let is_made = !is_there || arguments.renew;
        if is_made {
            authority.issue(name, kind, further_names, validity(arguments.days)?)?;
        }
        made.push(one(name.as_str(), is_made, arguments));
    }
    print(context, &made)?;
    Ok(Exit::Ok)
}

fn one(name: &str, is_made: bool, arguments: &Arguments) -> Value {
    let file = |ending: &str| arguments.directory.join(format!("{name}.{ending}")).display().to_string();
    json!({ "name": name, "certificate": file("pem"), "key": file("key"), "made": is_made })
}

fn print(context: &Context, made: &[Value]) -> Result<()> {
    if context.print_value(&made)? {
        return Ok(());
    }
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    if context.format == Format::Name {
        let names: Vec<String> = made.iter().map(|one| text(one, "name")).collect();
        return context.print_names(&names);
    }
    let mut table = Table::new(["NAME", "CERTIFICATE", "KEY", ""]);
    for one in made {
        let word = if one["made"] == true { "made" } else { "kept" };
        table.row([text(one, "name"), text(one, "certificate"), text(one, "key"), word.to_owned()]);
    }
    context.print_table(&table, "")?;
    context.console.note("A host needs ca.pem and its own two files. ca.key is best kept elsewhere.")?;
    Ok(())
}
