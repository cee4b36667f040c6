//! Taking a lab down: all that bears its mark goes, and nothing else.

use std::io;
use std::time::{Duration, Instant};

use crate::directory::{self, Lock};
use crate::error::Tried;
use crate::names::{LabName, Node};
use crate::netlink::{LinkEvents, LinkRow, Netlink, Place};
use crate::progress::{Change, Counter, Progress, Tell};
use crate::{LabError, ProcessRecord, fabric, namespace, process};

/// How long the kernel has to clear away the namespaces, which it does after their removal.
const CLEARANCE: Duration = Duration::from_secs(30);
/// How often processes are looked for: one that was just started by another may be missed once.
const SEARCHES_MAX: usize = 5;

/// Takes a lab down, whatever state it is in and whichever of its files are there: processes, namespaces, links, files.
///
/// Answers whether there was anything of it. When it returns, the kernel has cleared away what was in the namespaces; only
/// if somebody's process is still in one of them, that one ends with the process.
///
/// # Errors
/// When somebody else is working on the lab, or something cannot be removed; then a second try goes on from there.
pub fn down(lab: &LabName, mut progress: impl FnMut(Progress)) -> Result<bool, LabError> {
    let lock = Lock::take(lab)?;
    let in_kernel = fabric::exists(lab).tried(|| "the machine's links cannot be read".to_owned())?;
    let marked = process::marked(lab).tried(|| "the processes cannot be read".to_owned())?;
    let found = in_kernel || !marked.is_empty() || directory::names().contains(lab);
    tear_down(lab, &mut progress)?;
    lock.remove();
    Ok(found)
}

/// Removes all of a lab but its lock.
pub(crate) fn tear_down(lab: &LabName, tell: &mut Tell<'_>) -> Result<(), LabError> {
    stop_processes(lab, tell)?;
    // Heard from before the first removal on, so that none is missed.
    let events = LinkEvents::open().tried(|| "the machine's links cannot be watched".to_owned())?;
    remove_namespaces(lab, tell)?;
    remove_links(lab, &events, tell)?;
    directory::remove(lab)
}

fn stop_processes(lab: &LabName, tell: &mut Tell<'_>) -> Result<(), LabError> {
    for search in 0..SEARCHES_MAX {
        let mut records = process::marked(lab).tried(|| "the processes cannot be read".to_owned())?;
        if search == 0 {
            records.extend(directory::processes(lab));
        }
        records.sort_by_key(|record| record.pid);
        records.dedup();
        records.retain(ProcessRecord::is_running);
        if records.is_empty() {
            return Ok(());
        }
        let mut asked = Vec::new();
        for record in records {
            let what = format!("process {} ({})", record.pid, record.executable);
            let ask = || record.live()?.map(|live| live.ask_to_end().map(|()| live)).transpose();
            asked.extend(ask().tried(|| format!("{what} cannot be stopped"))?.map(|live| (what, live)));
        }
        let mut counter = Counter::new(tell, asked.len());
        for (what, live) in asked {
            live.await_end().tried(|| format!("{what} cannot be stopped"))?;
            counter.next(what, Change::Removed);
        }
    }
    Ok(())
}

/// Workloads first, then hosts, the fabric last.
fn remove_namespaces(lab: &LabName, tell: &mut Tell<'_>) -> Result<(), LabError> {
    let mut nodes = namespace::ours(lab).tried(|| "the namespaces cannot be read".to_owned())?;
    nodes.sort_by_key(|(node, _)| rank(node));
    remove_tunnels(&mut nodes, tell)?;
    let leftovers = namespace::leftovers(lab).tried(|| "the namespaces cannot be read".to_owned())?;
    let mut counter = Counter::new(tell, nodes.len() + leftovers.len());
    let files: Vec<String> = nodes.iter().map(|(node, _)| lab.file_of(node)).chain(leftovers).collect();
    // What is open of a namespace keeps it.
    drop(nodes);
    for file_name in files {
        namespace::remove(&file_name).tried(|| format!("namespace {file_name} cannot be removed"))?;
        counter.next(format!("namespace {file_name}"), Change::Removed);
    }
    Ok(())
}

const fn rank(node: &Node) -> u8 {
    match node {
        Node::Workload(..) => 0,
        Node::Host(_) => 1,
        Node::Fabric => 2,
    }
}

/// Removes VXLAN devices one by one: each takes the kernel some 17 ms in which nobody on the machine can change a link,
/// so they go where it can be seen how far it is, and not all at once after the end of their namespace.
fn remove_tunnels(nodes: &mut [(Node, Place)], tell: &mut Tell<'_>) -> Result<(), LabError> {
    let mut tunnels = Vec::new();
    for (at, (node, place)) in nodes.iter_mut().enumerate() {
        let links = place.netlink.links().tried(|| format!("the links of {node} cannot be read"))?;
        tunnels.extend(links.into_iter().filter(|link| link.kind == "vxlan").map(|link| (at, link)));
    }
    let mut counter = Counter::new(tell, tunnels.len());
    for (at, link) in tunnels {
        let (node, place) = &mut nodes[at];
        let what = format!("tunnel {node}/{}", link.name);
        gone(place.netlink.delete(link.index)).tried(|| format!("{what} cannot be removed"))?;
        counter.next(what, Change::Removed);
    }
    Ok(())
}

/// Waits until the kernel has cleared the namespaces away, and removes what is left in the machine's own one.
///
/// The link to the fabric goes when the kernel clears the fabric away, which it does last: so its end says that all is over.
fn remove_links(lab: &LabName, events: &LinkEvents, tell: &mut Tell<'_>) -> Result<(), LabError> {
    let clear = |tell: &mut Tell<'_>| -> io::Result<()> {
        let mut netlink = Netlink::open()?;
        let deadline = Instant::now() + CLEARANCE;
        loop {
            let links = of_lab(lab, &mut netlink)?;
            if links.is_empty() {
                return Ok(());
            }
            let (fabric_is_gone, in_time) = (namespace_is_gone(lab)?, events.wait(deadline)?);
            if !fabric_is_gone || !in_time {
                let mut counter = Counter::new(tell, links.len());
                for link in links {
                    gone(netlink.delete(link.index))?;
                    counter.next(format!("link {}", link.name), Change::Removed);
                }
            }
        }
    };
    clear(tell).tried(|| "the lab's link to the machine cannot be removed".to_owned())
}

fn namespace_is_gone(lab: &LabName) -> io::Result<bool> {
    Ok(!namespace::files()?.contains(&lab.file_of(&Node::Fabric)))
}

fn of_lab(lab: &LabName, netlink: &mut Netlink) -> io::Result<Vec<LinkRow>> {
    let mut links = netlink.links()?;
    links.retain(|link| link.marks.iter().any(|mark| mark.starts_with(&lab.mark_prefix())));
    Ok(links)
}

/// What went by itself meanwhile is gone, too.
fn gone(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODEV | libc::ENOENT)) => Ok(()),
        outcome => outcome,
    }
}
