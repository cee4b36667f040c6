//! `lab`: many hosts on this machine. What the arguments are; what they do is `weft_lab`'s.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use weft_client::{Client, Config, Object};
use weft_lab::{HOSTS_MAX, Lab, LabName, LabSpec, ProcessState, Status, Underlay, Workload};
use weft_net::{Capability, L3Encapsulation};

use crate::context::Context;
use crate::exit::Exit;
use crate::kind;
use crate::output::Format;

/// What to do with a lab.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Make a lab: hosts, a controller, and the underlay between them
    Up(Up),
    /// Show the labs of this machine and how they are; fails if something of them is not as it should be
    Status(StatusArguments),
    /// Run a command in the network of a node
    Exec(Exec),
    /// See that workloads reach those of their own network, and no others
    Ping(Named),
    /// Take a lab down, with all that it made
    Down(Down),
}

/// Which lab.
#[derive(Args)]
pub(crate) struct Named {
    /// The lab's name [default: that of the only one there is]
    #[arg(long, value_name = "NAME")]
    name: Option<LabName>,
}

impl Named {
    /// The lab of this name or, without one, the only one there is.
    fn choose(&self) -> Result<LabName> {
        self.name.clone().map_or_else(|| only(weft_lab::list()?), Ok)
    }
}

/// The only one of these labs.
fn only(mut labs: Vec<LabName>) -> Result<LabName> {
    match (labs.pop(), labs.is_empty()) {
        (Some(lab), true) => Ok(lab),
        (None, _) => bail!("there are no labs; `weft lab up` makes one"),
        (Some(last), false) => {
            labs.push(last);
            let names: Vec<&str> = labs.iter().map(LabName::as_str).collect();
            bail!("there are {} labs; say which by --name: {}", names.len(), names.join(", "))
        }
    }
}

/// What `lab status` takes.
#[derive(Args)]
pub(crate) struct StatusArguments {
    /// Only this lab
    #[arg(long, value_name = "NAME")]
    name: Option<LabName>,
}

/// What `lab up` takes.
#[derive(Args)]
pub(crate) struct Up {
    /// The lab's name
    #[arg(long, value_name = "NAME", default_value = "demo")]
    name: LabName,

    /// How many hosts
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=i64::from(HOSTS_MAX)))]
    hosts: u16,

    /// Carry tunnels over IPv6
    #[arg(long)]
    ipv6_underlay: bool,

    /// The underlay's largest packet, in bytes [default: 1600]
    #[arg(long, value_name = "BYTES")]
    underlay_mtu: Option<u32>,

    /// Where weft-controller and weft-agent are [default: next to this program, or along PATH]
    #[arg(long, value_name = "DIRECTORY")]
    binaries: Option<PathBuf>,

    /// Where logs, certificates and states are [default: /var/lib/weft/lab/NAME]
    #[arg(long, value_name = "DIRECTORY")]
    state_directory: Option<PathBuf>,

    /// What the hosts are not to offer although this machine's kernel can do it, as `vlan`; may be repeated
    #[arg(long = "without-capability", value_name = "NAME", value_delimiter = ',')]
    without_capabilities: Vec<Capability>,

    /// A host whose VRFs are VRF devices instead of network namespaces, as `2` for host2; may be repeated
    #[arg(long = "vrf-devices-on", value_name = "NUMBER", value_delimiter = ',')]
    vrf_device_hosts: Vec<u16>,

    /// In what hosts send each other what is routed, those that can: `vxlan` or `mpls`
    #[arg(long, value_name = "ENCAPSULATION", default_value_t = L3Encapsulation::default())]
    l3_encapsulation: L3Encapsulation,

    /// The port of the controller's API, if it is free [default: 9696]
    #[arg(long, value_name = "NUMBER")]
    port: Option<u16>,
}

/// What `lab exec` takes.
#[derive(Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    lab: Named,

    /// The node: a host, or a workload as HOST.NAME or NAME
    node: String,

    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What `lab down` takes.
#[derive(Args)]
pub(crate) struct Down {
    #[command(flatten)]
    lab: Named,

    /// All labs of this machine
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

/// Runs the verb.
pub(crate) async fn run(context: &Context, verb: &Verb) -> Result<Exit> {
    match verb {
        Verb::Up(arguments) => up(context, arguments),
        Verb::Status(arguments) => status(context, arguments.name.as_ref()),
        Verb::Exec(arguments) => {
            let status = weft_lab::exec(&arguments.lab.choose()?, &arguments.node, &arguments.command)?;
            Ok(Exit::Of(code(status)))
        }
        Verb::Ping(arguments) => ping(context, &arguments.choose()?).await,
        Verb::Down(arguments) => down(context, arguments),
    }
}

fn up(context: &Context, arguments: &Up) -> Result<Exit> {
    let mut spec = LabSpec::new(arguments.name.clone());
    spec.hosts = arguments.hosts;
    if arguments.ipv6_underlay {
        spec.underlay = Underlay::Ipv6;
    }
    spec.underlay_mtu = arguments.underlay_mtu.unwrap_or(spec.underlay_mtu);
    spec.without_capabilities = arguments.without_capabilities.iter().copied().collect();
    spec.vrf_device_hosts = arguments.vrf_device_hosts.iter().copied().collect();
    spec.l3_encapsulation = arguments.l3_encapsulation;
    spec.port = arguments.port.unwrap_or(spec.port);
    spec.binaries.clone_from(&arguments.binaries);
    spec.state_directory.clone_from(&arguments.state_directory);
    // That progress cannot be told is no reason to stop half way.
    let lab = weft_lab::up(&spec, |progress| drop(context.console.note(&progress.to_string())))?;
    let url = lab.controller_url();
    let value = json!({ "name": lab.name().as_str(), "hosts": lab.hosts(), "controller_url": url });
    if !context.print_value(&value)? {
        let hosts = lab.hosts().join(", ");
        context.console.done(&format!("lab {} is up: {hosts}\nexport WEFT_URL={url}", lab.name()))?;
    }
    Ok(Exit::Ok)
}

fn status(context: &Context, only: Option<&LabName>) -> Result<Exit> {
    let names = only.map_or_else(weft_lab::list, |only| Ok(vec![only.clone()]))?;
    if context.format == Format::Name {
        context.print_names(&names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    let labs: Vec<Status> = names.iter().map(weft_lab::status).collect::<Result<_, _>>()?;
    let values: Vec<Value> = labs.iter().map(value).collect();
    let is_printed = match values.as_slice() {
        [value] if only.is_some() => context.print_value(value)?,
        values => context.print_value(&values)?,
    };
    if !is_printed {
        if labs.is_empty() {
            context.console.note("There are no labs; `weft lab up` makes one.")?;
        }
        context.console.out(&labs.iter().map(ToString::to_string).collect::<String>())?;
    }
    Ok(if labs.iter().all(Status::all_right) { Exit::Ok } else { Exit::Failed })
}

fn value(lab: &Status) -> Value {
    let process = |state: &ProcessState| match state {
        ProcessState::Running(pid) => json!({ "state": "running", "pid": pid }),
        ProcessState::Ended => json!({ "state": "ended" }),
        ProcessState::Unknown => json!({ "state": "unknown" }),
    };
    let host = |host: &weft_lab::HostStatus| {
        json!({
            "name": host.name,
            "namespace": host.namespace,
            "agent": process(&host.agent),
            "alive": host.report.as_ref().map(|report| report.alive),
            "at_rest": host.report.as_ref().map(|report| report.at_rest),
            "workloads": host.workloads,
        })
    };
    json!({
        "name": lab.name.as_str(),
        "fabric": lab.fabric,
        "controller": process(&lab.controller),
        "controller_url": lab.controller_url,
        "ready": lab.ready,
        "hosts": lab.hosts.iter().map(host).collect::<Vec<_>>(),
    })
}

async fn ping(context: &Context, name: &LabName) -> Result<Exit> {
    let url = Lab::open(name)?.controller_url();
    let client = Client::new(&Config { url, ..Config::default() })?;
    let ports = client.list(kind::by_name("port").context("there are ports")?, &[]).await?;
    let workloads = workloads(&ports);
    let matrix = weft_lab::ping_matrix(name, &workloads)?;
    let cells = |row: &Vec<Option<weft_lab::Cell>>| -> Vec<Option<String>> {
        row.iter().map(|cell| cell.as_ref().map(ToString::to_string)).collect()
    };
    let rows: Vec<_> = matrix.cells.iter().map(cells).collect();
    let addresses: Vec<_> = workloads.iter().map(|workload| &workload.addresses).collect();
    let value = json!({
        "all_right": matrix.all_right(), "names": matrix.names, "addresses": addresses, "cells": rows,
    });
    if !context.print_value(&value)? {
        if workloads.is_empty() {
            context.console.note("There are no workloads: ports with a host and a namespace make some.")?;
        } else {
            context.console.out(&matrix.to_string())?;
        }
    }
    Ok(if matrix.all_right() { Exit::Ok } else { Exit::Failed })
}

/// The workloads that should be there: every port with a host and a namespace, by what it asks for. Ports of one network
/// in one namespace are one workload.
fn workloads(ports: &[Object]) -> Vec<Workload> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let mut addresses: BTreeMap<(String, String, String), Vec<IpAddr>> = BTreeMap::new();
    for port in ports {
        let host = text(port.get("binding:host_id")).filter(|host| !host.is_empty());
        let namespace = text(port.get("binding:profile").and_then(|profile| profile.get("namespace")));
        if let (Some(host), Some(namespace), Some(network)) = (host, namespace, text(port.get("network_id")))
        {
            let fixed_ips = port.get("fixed_ips").and_then(Value::as_array).into_iter().flatten();
            let ip = |fixed: &Value| fixed.get("ip_address")?.as_str()?.parse::<IpAddr>().ok();
            addresses.entry((host, namespace, network)).or_default().extend(fixed_ips.filter_map(ip));
        }
    }
    let workload = |((host, name, network), addresses)| Workload { host, name, network, addresses };
    addresses.into_iter().map(workload).collect()
}

fn down(context: &Context, arguments: &Down) -> Result<Exit> {
    let names = match &arguments.lab.name {
        Some(name) => vec![name.clone()],
        None => weft_lab::list()?,
    };
    let names = if names.len() > 1 && !arguments.all { vec![only(names)?] } else { names };
    for name in &names {
        let was_there = weft_lab::down(name, |progress| drop(context.console.note(&progress.to_string())))?;
        let word = if was_there { "is down" } else { "was not there" };
        context.console.done(&format!("lab {name} {word}"))?;
    }
    if names.is_empty() {
        context.console.note("There are no labs.")?;
    }
    Ok(Exit::Ok)
}

/// The exit code of a command, as a shell has it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(labs: &[&str]) -> String {
        let labs = labs.iter().map(|lab| lab.parse().unwrap()).collect();
        only(labs).map_or_else(|error| error.to_string(), |lab| lab.to_string())
    }

    #[test]
    fn the_only_lab_needs_no_name_and_one_of_several_does() {
        assert_eq!(chosen(&["a"]), "a");
        assert_eq!(chosen(&[]), "there are no labs; `weft lab up` makes one");
        assert_eq!(chosen(&["a", "b"]), "there are 2 labs; say which by --name: a, b");
    }

    #[test]
    fn every_port_with_a_host_and_a_namespace_is_a_workload_at_each_of_its_addresses() {
        let port = |host: &str, namespace: &str, network: &str, addresses: &[&str]| {
            let fixed_ips: Vec<Value> =
                addresses.iter().map(|address| json!({ "ip_address": address })).collect();
            let port = json!({
                "network_id": network, "binding:host_id": host, "binding:profile": { "namespace": namespace },
                "fixed_ips": fixed_ips,
            });
            port.as_object().cloned().unwrap()
        };
        let mut unbound = port("host1", "web3", "red", &["10.0.0.3"]);
        unbound.insert("binding:host_id".to_owned(), json!(""));
        let mut tap = port("host1", "web4", "red", &["10.0.0.4"]);
        tap.insert("binding:profile".to_owned(), json!({}));
        let found = workloads(&[
            port("host2", "web1", "red", &["10.0.0.2", "2001:db8::2"]),
            port("host1", "web1", "red", &["10.0.0.1"]),
            port("host1", "web1", "red", &["10.0.0.9"]),
            port("host1", "web1", "blue", &[]),
            unbound,
            tap,
        ]);
        let text = |workload: &Workload| {
            let Workload { host, name, network, addresses } = workload;
            format!("{host}.{name} {network} {addresses:?}")
        };
        assert_eq!(
            found.iter().map(text).collect::<Vec<_>>(),
            [
                "host1.web1 blue []",
                "host1.web1 red [10.0.0.1, 10.0.0.9]",
                "host2.web1 red [10.0.0.2, 2001:db8::2]",
            ]
        );
    }
}
