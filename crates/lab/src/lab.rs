//! Bringing a lab up, and what one can do with it then.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::directory::{self, CONTROLLER, Lock, Record};
use crate::error::Tried;
use crate::names::{LabName, Node, controller_address, host_name, host_number};
use crate::progress::{Counter, Progress, Tell};
use crate::status::Status;
use crate::{LabError, LabSpec, control, down, fabric, identity, namespace, status};

/// The port on which the controller listens for agents, if it is free.
const AGENTS_PORT: u16 = 9697;

/// A lab that is up. It stays up when this value goes: [`down`](crate::down()) ends it.
#[derive(Clone, Debug)]
pub struct Lab {
    name: LabName,
    record: Record,
}

/// Brings a lab up: its namespaces and links, the controller, an agent on each host; ready when this returns.
///
/// What is there already is kept, what is missing is mended, and `progress` is told which. If it fails and nothing of the
/// lab was there before, nothing of it is left. A lab that is up can get more hosts; for all else it has to be taken down.
///
/// # Errors
/// When the lab cannot be as asked for, somebody else is working on it, the machine refuses, or a daemon does not start;
/// then with the end of its log.
pub fn up(spec: &LabSpec, mut progress: impl FnMut(Progress)) -> Result<Lab, LabError> {
    spec.check()?;
    let lab = &spec.name;
    let lock = Lock::take(lab)?;
    let before = directory::load(lab, spec.state_directory.as_deref())?;
    let in_kernel = fabric::exists(lab).tried(|| "the machine's links cannot be read".to_owned())?;
    let is_new = before.is_none() && !in_kernel;
    let outcome = build(spec, before.as_ref(), &mut progress);
    if outcome.is_err() && is_new {
        // The first failure is the one to tell of.
        let _ = down::tear_down(lab, &mut progress);
        lock.remove();
    }
    outcome
}

fn build(spec: &LabSpec, before: Option<&Record>, tell: &mut Tell<'_>) -> Result<Lab, LabError> {
    let lab = &spec.name;
    let state_directory = spec.state_directory.clone().unwrap_or_else(|| directory::default_state(lab));
    if let Some(before) = before {
        check_same(spec, &state_directory, before)?;
        control::end_unrecorded(lab)?;
    }
    let (controller, agent) = (spec.binary("weft-controller")?, spec.binary("weft-agent")?);
    let choosing = directory::lock_choices()?;
    let address = controller_address(fabric::ensure(spec, tell)?).addr().into();
    let (port, agents_listen) = ports(spec, before, address)?;
    let record = Record {
        name: lab.to_string(),
        hosts: spec.hosts,
        underlay: spec.underlay,
        underlay_mtu: spec.underlay_mtu,
        state_directory,
        controller,
        agent,
        without_capabilities: spec.without_capabilities.clone(),
        port,
        bgp_port: spec.bgp_port,
        agents_listen,
    };
    let hosts: Vec<String> = (1..=spec.hosts).map(host_name).collect();
    let roles: Vec<String> = hosts.iter().cloned().chain([CONTROLLER.to_owned()]).collect();
    if before.is_some_and(|before| before.agents_listen != agents_listen) {
        // Those that still run were told another address.
        roles.iter().try_for_each(|role| control::kill(lab, role))?;
    }
    directory::prepare(lab, &record, &roles)?;
    identity::ensure(&record.tls(), &hosts, tell)?;
    let built = Lab { name: lab.clone(), record };
    built.begin_controller(tell)?;
    // What was chosen is in use now, and so seen by whoever chooses next.
    drop(choosing);
    built.begin_agents(&hosts, tell)?;
    Ok(built)
}

/// The REST API's port, and where agents find the controller: as they are if it runs, as they were if that is free.
fn ports(spec: &LabSpec, before: Option<&Record>, address: IpAddr) -> Result<(u16, SocketAddr), LabError> {
    if let Some(before) = before.filter(|before| before.agents_listen.ip() == address)
        && control::live(&spec.name, CONTROLLER)?.is_some()
    {
        return Ok((before.port, before.agents_listen));
    }
    let free = |address, wanted| {
        control::free_port(address, wanted).tried(|| "no port is free for the controller".to_owned())
    };
    let port = free(Ipv4Addr::LOCALHOST.into(), before.map_or(spec.port, |before| before.port))?;
    let agents_port = free(address, before.map_or(AGENTS_PORT, |before| before.agents_listen.port()))?;
    Ok((port, SocketAddr::new(address, agents_port)))
}

/// Sees that what is up can become what is asked for.
fn check_same(spec: &LabSpec, state_directory: &Path, before: &Record) -> Result<(), LabError> {
    let differs = [
        (before.underlay != spec.underlay, "underlay"),
        (before.underlay_mtu != spec.underlay_mtu, "underlay MTU"),
        (before.hosts > spec.hosts, "number of hosts, which only grows"),
        (before.state_directory != state_directory, "state directory"),
        (before.without_capabilities != spec.without_capabilities, "set of capabilities"),
        (before.bgp_port != spec.bgp_port, "port for BGP"),
    ];
    match differs.iter().find(|(differs, _)| *differs) {
        Some((_, what)) => Err(LabError::Spec(format!(
            "lab '{}' is there with another {what}; take it down first",
            spec.name
        ))),
        None => Ok(()),
    }
}

impl Lab {
    /// The lab of this name, which is up.
    ///
    /// # Errors
    /// When there is none, or its files cannot be read.
    pub fn open(name: &LabName) -> Result<Self, LabError> {
        let record = directory::load(name, None)?.ok_or_else(|| LabError::NoSuchLab(name.to_string()))?;
        Ok(Self { name: name.clone(), record })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &LabName {
        &self.name
    }

    /// The names of its hosts.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        (1..=self.record.hosts).map(host_name).collect()
    }

    /// Where the REST API is: `http://127.0.0.1:9696`.
    #[must_use]
    pub fn controller_url(&self) -> String {
        format!("http://{}", control::api(&self.record))
    }

    /// Where logs, certificates and states are.
    #[must_use]
    pub fn state_directory(&self) -> &Path {
        &self.record.state_directory
    }

    /// The log of `controller`, or of a host's agent by the host's name.
    #[must_use]
    pub fn log(&self, role: &str) -> PathBuf {
        self.record.log(role)
    }

    /// The file of a host's network namespace.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn host_namespace(&self, host: &str) -> Result<PathBuf, LabError> {
        Ok(namespace::path_of(&self.name.file_of(&Node::Host(self.number(host)?))))
    }

    /// Kills a host's agent (`SIGKILL`), and waits until it is gone. What does not run needs no killing.
    ///
    /// # Errors
    /// When there is no such host, or it cannot be killed.
    pub fn kill_agent(&self, host: &str) -> Result<(), LabError> {
        self.number(host)?;
        control::kill(&self.name, host)
    }

    /// Starts a host's agent if it does not run. [`Lab::await_agents`] waits until it is connected.
    ///
    /// # Errors
    /// When there is no such host, or it cannot be started.
    pub fn start_agent(&self, host: &str) -> Result<(), LabError> {
        control::ensure_agent(&self.name, &self.record, self.number(host)?).map(|_| ())
    }

    /// Kills the controller (`SIGKILL`), and waits until it is gone. What does not run needs no killing.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill_controller(&self) -> Result<(), LabError> {
        control::kill(&self.name, CONTROLLER)
    }

    /// Starts the controller if it does not run, and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, or is not ready in time.
    pub fn start_controller(&self) -> Result<(), LabError> {
        control::ensure_controller(&self.name, &self.record)?;
        control::await_controller(&self.name, &self.record)
    }

    /// Waits until the controller says of each of these hosts that its agent is connected.
    ///
    /// A controller that has not yet noticed an agent's death still counts that agent as connected.
    ///
    /// # Errors
    /// When an agent or the controller has ended, or it takes too long.
    pub fn await_agents(&self, hosts: &[String]) -> Result<(), LabError> {
        let mut silent = |_| {};
        let mut counter = Counter::new(&mut silent, hosts.len());
        control::await_agents(&self.name, &self.record, hosts, &mut counter)
    }

    /// How the lab is.
    ///
    /// # Errors
    /// When the machine refuses to be looked at.
    pub fn status(&self) -> Result<Status, LabError> {
        status::status(&self.name)
    }

    fn begin_controller(&self, tell: &mut Tell<'_>) -> Result<(), LabError> {
        let mut counter = Counter::new(tell, 1);
        let change = control::ensure_controller(&self.name, &self.record)?;
        control::await_controller(&self.name, &self.record)?;
        counter.next("controller", change);
        Ok(())
    }

    fn begin_agents(&self, hosts: &[String], tell: &mut Tell<'_>) -> Result<(), LabError> {
        let mut counter = Counter::new(tell, hosts.len());
        for number in 1..=self.record.hosts {
            let change = control::ensure_agent(&self.name, &self.record, number)?;
            counter.next(format!("agent {}", host_name(number)), change);
        }
        let mut counter = Counter::new(tell, hosts.len());
        control::await_agents(&self.name, &self.record, hosts, &mut counter)
    }

    fn number(&self, host: &str) -> Result<u16, LabError> {
        let number = host_number(host).filter(|number| *number <= self.record.hosts);
        number.ok_or_else(|| LabError::Node {
            lab: self.name.to_string(),
            node: host.to_owned(),
            what: "no host",
        })
    }
}
