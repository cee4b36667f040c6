//! Who reaches whom: a table of all workloads against all, with what should be.
//!
//! ```text
//! workloads ── look ──> what is there ── plan ──> probes ── run (raw sockets) ──> what was seen of each ── judge ──> Matrix
//! ```
//!
//! What should be there comes from who asks, never from what is found: a workload or an address that is not there is wrong.
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
    /// The addresses that it should have; if there are none, they are read within its namespace.
    pub addresses: Vec<IpAddr>,
}

impl Workload {
    fn label(&self) -> String {
        format!("{}.{}", self.host, self.name)
    }

    /// Whether the other is the same namespace: one may be in several networks.
    fn is_at(&self, other: &Self) -> bool {
        (&self.host, &self.name) == (&other.host, &other.name)
    }

    fn has_family_of(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|own| own.is_ipv4() == address.is_ipv4())
    }

    /// Those of its addresses that can be tried from here.
    fn addresses_for(&self, from: &Self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().copied().filter(|address| from.has_family_of(*address))
    }
}

/// How much of a workload is there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// All of it.
    There,
    /// It has not these of its addresses.
    Without(Vec<IpAddr>),
    /// Its namespace is not there.
    Missing,
}

impl Standing {
    /// What a namespace with these addresses is to who expects those.
    fn of(found: &[IpAddr], expected: &[IpAddr]) -> Self {
        let mut without = expected.to_vec();
        without.retain(|address| !found.contains(address));
        if without.is_empty() { Self::There } else { Self::Without(without) }
    }

    /// What is not there, in words.
    fn lack(&self) -> Option<String> {
        match self {
            Self::There => None,
            Self::Without(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
                Some(format!("missing {}", addresses.join(" ")))
            }
            Self::Missing => Some("missing".to_owned()),
        }
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
    /// The rows; no cell where two have no address of the same family, nor where a workload meets itself, unless something
    /// of it is missing.
    pub cells: Vec<Vec<Option<Cell>>>,
}

impl Matrix {
    /// Whether there is anything, and all that was seen is what should be.
    #[must_use]
    pub fn all_right(&self) -> bool {
        !self.names.is_empty() && self.cells.iter().flatten().flatten().all(Cell::is_right)
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
/// is not. A workload or an address that is not there is a wrong cell, from and to everybody.
///
/// # Errors
/// When the machine refuses.
pub fn ping_matrix(lab: &LabName, workloads: &[Workload]) -> Result<Matrix, LabError> {
    let mut workloads = workloads.to_vec();
    let mut sockets = Vec::new();
    let mut standings = Vec::new();
    for workload in &mut workloads {
        let (standing, socket) = look(lab, workload)?;
        standings.push(standing);
        sockets.push(socket);
    }
    let mut probes = plan(&workloads, &standings);
    run(&sockets, &mut probes).tried(|| "the workloads cannot ping".to_owned())?;
    Ok(judge::judge(&workloads, &standings, &probes))
}

/// What of a workload is there, and the sockets in it. One that is not told by its addresses gets those that are found.
fn look(lab: &LabName, workload: &mut Workload) -> Result<(Standing, Option<Sockets>), LabError> {
    let Some(mut place) = nodes::look_for_workload(lab, &workload.host, &workload.name)? else {
        return Ok((Standing::Missing, None));
    };
    let found = nodes::addresses(&mut place);
    let found = found.tried(|| format!("the addresses of '{}' cannot be read", workload.name))?;
    let standing = Standing::of(&found, &workload.addresses);
    if workload.addresses.is_empty() {
        workload.addresses = found;
    }
    Ok((standing, Some(nodes::within(&place, Sockets::open)?)))
}

/// What should be between two workloads.
fn expected(workloads: &[Workload], source: &Workload, target: &Workload) -> Expected {
    let mut of_source = workloads.iter().filter(|workload| workload.is_at(source));
    if of_source.any(|workload| workload.network == target.network) {
        Expected::Reached
    } else {
        Expected::Isolated
    }
}

/// All probes between those of which nothing is missing, those of one workload after the other's.
fn plan(workloads: &[Workload], standings: &[Standing]) -> Vec<Probe> {
    let is_there = |at: usize| standings.get(at) == Some(&Standing::There);
    let sources = || workloads.iter().enumerate();
    let mut probes = Vec::new();
    for (source, from) in sources().filter(|(at, _)| standings.get(*at) != Some(&Standing::Missing)) {
        for (target, to) in sources().filter(|(at, to)| is_there(*at) && !to.is_at(from)) {
            let expected = expected(workloads, from, to);
            probes.extend(to.addresses_for(from).map(|address| Probe {
                source,
                target,
                address,
                expected,
                answered: false,
                seen_by: BTreeSet::new(),
            }));
        }
    }
    probes
}

fn run(sockets: &[Option<Sockets>], probes: &mut [Probe]) -> io::Result<()> {
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
        icmp::await_any(sockets.iter().flatten(), next.min(end).saturating_duration_since(Instant::now()))?;
        drain(sockets, probes, run)?;
    }
}

/// Sends a request for each probe that has had no answer.
fn ask(sockets: &[Option<Sockets>], probes: &mut [Probe], run: u64, round: u64) -> io::Result<()> {
    for at in 0..probes.len() {
        let probe = &probes[at];
        if !probe.answered
            && let (Some(Some(socket)), Ok(number)) = (sockets.get(probe.source), u32::try_from(at))
        {
            socket.request(probe.address, Token { run, probe: number, number: round });
        }
        if at % BURST == BURST - 1 {
            drain(sockets, probes, run)?;
        }
    }
    Ok(())
}

fn drain(sockets: &[Option<Sockets>], probes: &mut [Probe], run: u64) -> io::Result<()> {
    for (here, socket) in sockets.iter().enumerate() {
        let Some(socket) = socket else { continue };
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
