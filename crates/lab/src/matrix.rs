//! Who reaches whom: a table of all workloads against all, with what should be.
//!
//! ```text
//! workloads ── plan ──> probes ── run (raw sockets) ──> what was seen of each ── judge ──> Matrix
//! ```
//!
//! Every request carries a token of its own, and every workload's namespace is listened to. So it is known who got a
//! request, and not only that somebody answered: two tenants may have the same addresses, and a request that leaks to
//! a stranger is seen even if the stranger's answer finds no way back.

mod judge;
mod table;

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Tried;
use crate::icmp::{self, Echo, Sockets, Token};
use crate::names::LabName;
use crate::{LabError, nodes};

/// How long after one request the next is sent to who has not answered.
const REPEAT: Duration = Duration::from_millis(300);
/// How long nobody may be reached before it counts as isolated.
const ISOLATED: Duration = Duration::from_secs(1);
/// How long one who should be reached may take.
const REACHED: Duration = Duration::from_secs(4);
/// After how many requests what has arrived is taken, so that it finds room.
const BURST: usize = 64;

/// A workload, and the network that it is in: the same network, and it should be reached; another one, and it should not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The host it is on: `host1`.
    pub host: String,
    /// Its name: `web1`.
    pub name: String,
    /// What tells its network from all others: name or id.
    pub network: String,
    /// Its addresses; if there are none, they are read within its namespace.
    pub addresses: Vec<IpAddr>,
}

impl Workload {
    fn label(&self) -> String {
        format!("{}.{}", self.host, self.name)
    }

    fn has_family_of(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.is_ipv4() == address.is_ipv4())
    }
}

/// What should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// It should be reached, and answer.
    Reached,
    /// It should not be reached.
    Isolated,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// It was reached at every address, and answered.
    Reached,
    /// It was reached at no address.
    Isolated,
    /// Something else; in words: who was reached instead, or what of it.
    Wrong(String),
}

/// One workload seen from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// What should be.
    pub expected: Expected,
    /// What was seen.
    pub seen: Seen,
}

impl Cell {
    /// Whether what was seen is what should be.
    #[must_use]
    pub const fn is_right(&self) -> bool {
        matches!(
            (self.expected, &self.seen),
            (Expected::Reached, Seen::Reached) | (Expected::Isolated, Seen::Isolated)
        )
    }
}

/// All workloads against all. A row: from which; a column: to which.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// The workloads: `host1.web1`.
    pub names: Vec<String>,
    /// The rows; no cell where a workload meets itself, or two have no address of the same family.
    pub cells: Vec<Vec<Option<Cell>>>,
}

impl Matrix {
    /// Whether all that was seen is what should be.
    #[must_use]
    pub fn all_right(&self) -> bool {
        self.cells.iter().flatten().flatten().all(Cell::is_right)
    }
}

/// A question: does this workload reach that one at this address?
#[derive(Clone, Debug, PartialEq, Eq)]
struct Probe {
    source: usize,
    target: usize,
    address: IpAddr,
    expected: Expected,
    /// Whether an answer came back.
    answered: bool,
    /// Who got the request.
    seen_by: BTreeSet<usize>,
}

/// Pings between all workloads, over IPv4 and IPv6, and says who reached whom.
///
/// It takes a little more than a second, whatever the number of workloads; longer only if somebody who should be reached
/// is not.
///
/// # Errors
/// When there is no such workload, or the machine refuses.
pub fn ping_matrix(lab: &LabName, workloads: &[Workload]) -> Result<Matrix, LabError> {
    let mut workloads = workloads.to_vec();
    let mut sockets = Vec::new();
    for workload in &mut workloads {
        let mut place = nodes::workload(lab, &workload.host, &workload.name)?;
        if workload.addresses.is_empty() {
            let found = nodes::addresses(&mut place);
            workload.addresses =
                found.tried(|| format!("the addresses of '{}' cannot be read", workload.name))?;
        }
        sockets.push(nodes::within(&place, Sockets::open)?);
    }
    let mut probes = plan(&workloads);
    run(&sockets, &mut probes).tried(|| "the workloads cannot ping".to_owned())?;
    Ok(judge::judge(&workloads, &probes))
}

/// All probes, those of one workload after the other's.
fn plan(workloads: &[Workload]) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (source, from) in workloads.iter().enumerate() {
        for (target, to) in workloads.iter().enumerate().filter(|(target, _)| *target != source) {
            let expected = if from.network == to.network { Expected::Reached } else { Expected::Isolated };
            let addresses = to.addresses.iter().filter(|address| from.has_family_of(**address));
            probes.extend(addresses.map(|address| Probe {
                source,
                target,
                address: *address,
                expected,
                answered: false,
                seen_by: BTreeSet::new(),
            }));
        }
    }
    probes
}

fn run(sockets: &[Sockets], probes: &mut [Probe]) -> io::Result<()> {
    let run = icmp::new_run();
    let start = Instant::now();
    let (mut round, mut next) = (0, start);
    loop {
        let now = Instant::now();
        let is_missing = |probe: &Probe| probe.expected == Expected::Reached && !probe.answered;
        let someone_is_missing = probes.iter().any(is_missing);
        let end = start + if someone_is_missing { REACHED } else { ISOLATED };
        if now >= end {
            return Ok(());
        }
        if now >= next {
            ask(sockets, probes, run, round)?;
            round += 1;
            next = now + REPEAT;
        }
        icmp::await_any(sockets.iter(), next.min(end).saturating_duration_since(Instant::now()))?;
        drain(sockets, probes, run)?;
    }
}

/// Sends a request for each probe that has had no answer.
fn ask(sockets: &[Sockets], probes: &mut [Probe], run: u64, round: u64) -> io::Result<()> {
    for at in 0..probes.len() {
        let probe = &probes[at];
        if !probe.answered
            && let (Some(socket), Ok(number)) = (sockets.get(probe.source), u32::try_from(at))
        {
            socket.request(probe.address, Token { run, probe: number, number: round });
        }
        if at % BURST == BURST - 1 {
            drain(sockets, probes, run)?;
        }
    }
    Ok(())
}

fn drain(sockets: &[Sockets], probes: &mut [Probe], run: u64) -> io::Result<()> {
    for (here, socket) in sockets.iter().enumerate() {
        socket.drain(run, |echo, token| {
            let Some(probe) = probes.get_mut(token.probe as usize) else { return };
            match echo {
                Echo::Request => {
                    probe.seen_by.insert(here);
                }
                Echo::Reply => probe.answered |= probe.source == here,
            }
        })?;
    }
    Ok(())
}
