//! How a lab is: what of it is there, and what the controller says of its agents.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::directory::{self, CONTROLLER};
use crate::error::Tried;
use crate::names::{LabName, Node, host_name};
use crate::netlink::Netlink;
use crate::{LabError, control, http, namespace};

/// What the controller says of an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentReport {
    /// The host's name.
    pub name: String,
    /// Whether it is connected.
    #[serde(default)]
    pub alive: bool,
    /// Whether all that is wanted of the host is done.
    #[serde(default)]
    pub at_rest: bool,
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProcessState {
    /// It runs, with this number.
    Running(i32),
    /// It was started, and runs no more.
    Ended,
    /// It was never started, or nothing is known of it.
    Unknown,
}

/// How a host is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostStatus {
    /// Its name.
    pub name: String,
    /// Whether its namespace is there.
    pub namespace: bool,
    /// Its agent.
    pub agent: ProcessState,
    /// What the controller says of its agent; `None` if it says nothing.
    pub report: Option<AgentReport>,
    /// The workloads on it, by name.
    pub workloads: Vec<String>,
}

/// How a lab is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its name.
    pub name: LabName,
    /// Whether the fabric's namespace is there.
    pub fabric: bool,
    /// The controller.
    pub controller: ProcessState,
    /// Where the REST API is; `None` if the lab's files are lost.
    pub controller_url: Option<String>,
    /// Whether the controller says that it is ready.
    pub ready: bool,
    /// Its hosts, in order.
    pub hosts: Vec<HostStatus>,
}

impl Status {
    /// Whether everything is there, and every agent is connected and at rest.
    #[must_use]
    pub fn all_right(&self) -> bool {
        let is_right = |host: &HostStatus| {
            let reported = host.report.as_ref().is_some_and(|report| report.alive && report.at_rest);
            host.namespace && reported && matches!(host.agent, ProcessState::Running(_))
        };
        self.fabric && self.ready && !self.hosts.is_empty() && self.hosts.iter().all(is_right)
    }
}

#[derive(Deserialize)]
struct Reports {
    hosts: Vec<AgentReport>,
}

/// What the controller says of the agents.
pub(crate) fn reports(controller: SocketAddr) -> io::Result<Vec<AgentReport>> {
    match http::get(controller, "/v1/status")? {
        (200, body) => Ok(serde_json::from_slice::<Reports>(&body)?.hosts),
        (status, _) => Err(io::Error::other(format!("/v1/status answers {status}"))),
    }
}

/// How a lab is.
///
/// # Errors
/// When there is nothing of such a lab, or the machine refuses to be looked at.
pub fn status(lab: &LabName) -> Result<Status, LabError> {
    let record = directory::load(lab, None)?;
    let nodes = namespace::ours(lab).tried(|| "the namespaces cannot be read".to_owned())?;
    let nodes: BTreeSet<Node> = nodes.into_iter().map(|(node, _)| node).collect();
    if record.is_none() && nodes.is_empty() && !list()?.contains(lab) {
        return Err(LabError::NoSuchLab(lab.to_string()));
    }
    let api = record.as_ref().map(control::api);
    let said = api.and_then(|api| reports(api).ok()).unwrap_or_default();
    let recorded = record.as_ref().map_or(0, |record| record.hosts);
    let numbers: BTreeSet<u16> = (1..=recorded).chain(nodes.iter().filter_map(host_of)).collect();
    let mut hosts = Vec::new();
    for number in numbers {
        let name = host_name(number);
        let workload = |node: &Node| match node {
            Node::Workload(host, name) if *host == number => Some(name.clone()),
            Node::Workload(..) | Node::Host(_) | Node::Fabric => None,
        };
        hosts.push(HostStatus {
            namespace: nodes.contains(&Node::Host(number)),
            agent: process_state(lab, &name)?,
            report: said.iter().find(|report| report.name == name).cloned(),
            workloads: nodes.iter().filter_map(workload).collect(),
            name,
        });
    }
    Ok(Status {
        name: lab.clone(),
        fabric: nodes.contains(&Node::Fabric),
        controller: process_state(lab, CONTROLLER)?,
        controller_url: api.map(|api| format!("http://{api}")),
        ready: api.is_some_and(|api| matches!(http::get(api, "/readyz"), Ok((200, _)))),
        hosts,
    })
}

const fn host_of(node: &Node) -> Option<u16> {
    match node {
        Node::Fabric => None,
        Node::Host(number) | Node::Workload(number, _) => Some(*number),
    }
}

fn process_state(lab: &LabName, role: &str) -> Result<ProcessState, LabError> {
    Ok(match directory::process(lab, role)? {
        Some(record) if record.is_running() => ProcessState::Running(record.pid),
        Some(_) => ProcessState::Ended,
        None => ProcessState::Unknown,
    })
}

/// The labs of which anything is there: a namespace, a link or a file.
///
/// # Errors
/// When the machine refuses to be looked at.
pub fn list() -> Result<Vec<LabName>, LabError> {
    let look = || -> io::Result<BTreeSet<LabName>> {
        let mut found: BTreeSet<LabName> = directory::names().into_iter().collect();
        let links = Netlink::open()?.links()?;
        found.extend(links.iter().flat_map(|link| &link.marks).filter_map(|mark| LabName::of_mark(mark)));
        let files = namespace::files()?;
        let of_files: BTreeSet<LabName> =
            files.iter().filter_map(|file| file.split_once('.')?.0.parse().ok()).collect();
        for lab in of_files {
            if !found.contains(&lab) && !namespace::ours(&lab)?.is_empty() {
                found.insert(lab);
            }
        }
        Ok(found)
    };
    look().map(|found| found.into_iter().collect()).tried(|| "the labs cannot be looked for".to_owned())
}

impl fmt::Display for ProcessState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running(pid) => f.pad(&format!("running ({pid})")),
            Self::Ended => f.pad("ended"),
            Self::Unknown => f.pad("unknown"),
        }
    }
}

impl fmt::Display for Status {
    /// The controller on a line, then a line for each host.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ready = if self.ready { "ready" } else { "not ready" };
        let url = self.controller_url.as_deref().unwrap_or("unknown address");
        let fabric = if self.fabric { "" } else { "  FABRIC MISSING" };
        writeln!(f, "{}  controller {}  {ready}  {url}{fabric}", self.name, self.controller)?;
        for host in &self.hosts {
            let report = match &host.report {
                Some(report) if report.alive && report.at_rest => "at rest",
                Some(report) if report.alive => "at work",
                Some(_) | None => "not connected",
            };
            let namespace = if host.namespace { "" } else { "  NAMESPACE MISSING" };
            let workloads = host.workloads.join(" ");
            let line =
                format!("{:<7} agent {:<16} {report:<13} {workloads}{namespace}", host.name, host.agent);
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_of_the_controller_and_of_each_host() {
        let report = |name: &str| AgentReport { name: name.to_owned(), alive: true, at_rest: true };
        let host = |name: &str| HostStatus {
            name: name.to_owned(),
            namespace: true,
            agent: ProcessState::Running(12),
            report: Some(report(name)),
            workloads: vec!["web1".to_owned(), "web2".to_owned()],
        };
        let mut status = Status {
            name: "demo".parse().unwrap(),
            fabric: true,
            controller: ProcessState::Running(7),
            controller_url: Some("http://127.0.0.1:9696".to_owned()),
            ready: true,
            hosts: vec![host("host1"), host("host2")],
        };
        assert!(status.all_right());
        status.hosts[1] = HostStatus {
            namespace: false,
            agent: ProcessState::Ended,
            report: None,
            workloads: Vec::new(),
            ..host("host2")
        };
        assert!(!status.all_right());
        expect_test::expect![[r#"
            demo  controller running (7)  ready  http://127.0.0.1:9696
            host1   agent running (12)     at rest       web1 web2
            host2   agent ended            not connected   NAMESPACE MISSING
        "#]]
        .assert_eq(&status.to_string());
    }
}
