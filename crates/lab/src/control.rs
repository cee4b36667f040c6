//! The daemons of a lab: what they are started with, and when they are ready.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::directory::{self, CONTROLLER, Record};
use crate::error::Tried;
use crate::names::{LabName, Node, host_name, underlay_address};
use crate::netlink::Place;
use crate::process::{self, Live, Program, option};
use crate::progress::{Change, Counter};
use crate::status::{self, AgentReport};
use crate::{LabError, http, namespace};

/// How long a controller has to be ready, and agents to be connected.
const READY: Duration = Duration::from_secs(30);
/// How long after one question the next is asked. The end of a daemon is noticed at once.
const QUESTION_INTERVAL: Duration = Duration::from_millis(20);

/// Where the REST API is.
pub(crate) const fn api(record: &Record) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), record.port)
}

/// The preferred port at an address, or a free one if it is in use.
pub(crate) fn free_port(address: IpAddr, preferred: u16) -> io::Result<u16> {
    let listener = TcpListener::bind((address, preferred)).or_else(|_| TcpListener::bind((address, 0)))?;
    Ok(listener.local_addr()?.port())
}

/// The running process of a role.
pub(crate) fn live(lab: &LabName, role: &str) -> Result<Option<Live>, LabError> {
    let Some(record) = directory::process(lab, role)? else { return Ok(None) };
    record.live().tried(|| format!("{role}'s process cannot be looked at"))
}

/// Starts the controller if it does not run.
pub(crate) fn ensure_controller(lab: &LabName, record: &Record) -> Result<Change, LabError> {
    let arguments = [
        option("listen", api(record).to_string()),
        option("agents-listen", record.agents_listen.to_string()),
        option("tls-directory", record.tls()),
        option("state-directory", record.state_directory.join(CONTROLLER)),
    ];
    let bgp = record.bgp_port.map(|port| SocketAddr::new(record.agents_listen.ip(), port));
    let bgp = bgp.map(|listen| option("bgp-listen", listen.to_string()));
    let program = Program {
        executable: &record.controller,
        arguments: arguments.into_iter().chain(bgp).flatten().collect(),
        log: record.log(CONTROLLER),
        lab,
        place: None,
    };
    ensure(CONTROLLER, &program)
}

/// Starts a host's agent if it does not run.
pub(crate) fn ensure_agent(lab: &LabName, record: &Record, number: u16) -> Result<Change, LabError> {
    let host = host_name(number);
    let arguments = [
        option("host", &host),
        option("controller", record.agents_listen.to_string()),
        option("tls-directory", record.tls()),
        option("state-directory", record.state_directory.join(&host)),
        option("tunnel-endpoint", underlay_address(record.underlay, number).addr().to_string()),
        option("namespace-prefix", format!("{}.", lab.file_of(&Node::Host(number)))),
    ];
    let without = record.without_capabilities.iter();
    let without = without.map(|capability| option("without-capability", capability.to_string()));
    let place = host_place(lab, number)?;
    let program = Program {
        executable: &record.agent,
        arguments: arguments.into_iter().chain(without).flatten().collect(),
        log: record.log(&host),
        lab,
        place: Some(&place),
    };
    ensure(&host, &program)
}

fn host_place(lab: &LabName, number: u16) -> Result<Place, LabError> {
    let node = Node::Host(number);
    let place = namespace::open(&lab.file_of(&node)).tried(|| format!("{node} cannot be entered"))?;
    place.ok_or_else(|| LabError::Node { lab: lab.to_string(), node: node.to_string(), what: "no host" })
}

fn ensure(role: &str, program: &Program<'_>) -> Result<Change, LabError> {
    if live(program.lab, role)?.is_some() {
        return Ok(Change::Kept);
    }
    let record = process::start(program)
        .map_err(|error| died(role, &program.log, &format!("cannot be started: {error}")))?;
    let saved = directory::save_process(program.lab, role, &record);
    if saved.is_err()
        && let Ok(Some(live)) = record.live()
    {
        let _ = live.kill();
    }
    saved.map(|()| Change::Made)
}

/// Ends what an `up` that was killed had started and no time to write down: nobody would ever find it by its role.
pub(crate) fn end_unrecorded(lab: &LabName) -> Result<(), LabError> {
    let recorded = directory::processes(lab);
    let mut marked = process::marked(lab).tried(|| "the processes cannot be read".to_owned())?;
    marked.retain(|record| !recorded.contains(record));
    for record in marked {
        let end = || record.live()?.map_or(Ok(()), |live| live.kill());
        end().tried(|| format!("process {} ({}) cannot be ended", record.pid, record.executable))?;
    }
    Ok(())
}

/// Ends the process of a role at once.
pub(crate) fn kill(lab: &LabName, role: &str) -> Result<(), LabError> {
    let live = live(lab, role)?;
    live.map_or(Ok(()), |live| live.kill()).tried(|| format!("{role}'s process cannot be ended"))
}

/// Waits until the controller says that it is ready.
pub(crate) fn await_controller(lab: &LabName, record: &Record) -> Result<(), LabError> {
    let log = record.log(CONTROLLER);
    let gone = || died(CONTROLLER, &log, "has ended");
    let live = live(lab, CONTROLLER)?.ok_or_else(gone)?;
    let deadline = Instant::now() + READY;
    loop {
        let answer = http::get(api(record), "/readyz");
        if matches!(answer, Ok((200, _))) {
            return Ok(());
        }
        if live.ends_within(QUESTION_INTERVAL).tried(|| "the controller cannot be waited for".to_owned())? {
            return Err(gone());
        }
        if Instant::now() > deadline {
            let what = match answer {
                Ok((status, _)) => format!("is not ready after {} s: status {status}", READY.as_secs()),
                Err(error) => format!("is not ready after {} s: {error}", READY.as_secs()),
            };
            return Err(died(CONTROLLER, &log, &what));
        }
    }
}

/// Waits until the controller says of each of these hosts that its agent is connected.
pub(crate) fn await_agents(
    lab: &LabName,
    record: &Record,
    hosts: &[String],
    counter: &mut Counter<'_, '_>,
) -> Result<(), LabError> {
    let mut watched = Vec::new();
    for host in hosts {
        let live = live(lab, host)?.ok_or_else(|| died(host, &record.log(host), "has ended"))?;
        watched.push((host, live));
    }
    let deadline = Instant::now() + READY + hosts.len() as u32 * Duration::from_millis(250);
    loop {
        let reports = status::reports(api(record));
        let is_missing = |host: &&String| match &reports {
            Ok(reports) => !reports.iter().any(|report: &AgentReport| report.name == **host && report.alive),
            Err(_) => true,
        };
        let missing: Vec<&String> = hosts.iter().filter(is_missing).collect();
        counter.reach(hosts.len() - missing.len(), "agents connected", Change::Awaited);
        let Some(first) = missing.first() else { return Ok(()) };
        let ended = first_end(&watched).tried(|| "the agents cannot be waited for".to_owned())?;
        if let Some(host) = ended {
            return Err(died(host, &record.log(host), "has ended"));
        }
        if Instant::now() > deadline {
            let why = reports.as_ref().err().map(|error| format!(" ({error})")).unwrap_or_default();
            return Err(died(first, &record.log(first), &format!("is not connected to the controller{why}")));
        }
    }
}

/// Waits for one interval, or until one of the processes ends.
fn first_end<'a>(watched: &'a [(&'a String, Live)]) -> io::Result<Option<&'a str>> {
    let mut fds: Vec<PollFd<'_>> =
        watched.iter().map(|(_, live)| PollFd::new(live.as_fd(), PollFlags::POLLIN)).collect();
    let timeout = PollTimeout::try_from(QUESTION_INTERVAL).unwrap_or(PollTimeout::ZERO);
    match poll(&mut fds, timeout) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let ended = fds.iter().position(|fd| fd.any() == Some(true));
    Ok(ended.and_then(|at| watched.get(at)).map(|(host, _)| host.as_str()))
}

fn died(role: &str, log: &Path, what: &str) -> LabError {
    let who = if role == CONTROLLER { "the controller".to_owned() } else { format!("the agent of {role}") };
    LabError::Daemon { who, what: what.to_owned(), log: process::log_end(log) }
}
