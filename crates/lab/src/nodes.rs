//! Finding the nodes of a lab by the names that people say, and the addresses of its workloads.

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

use crate::error::Tried;
use crate::names::{LabName, Node};
use crate::netlink::Place;
use crate::{LabError, namespace};

/// All nodes of a lab; there is at least one.
pub(crate) fn nodes(lab: &LabName) -> Result<Vec<(Node, Place)>, LabError> {
    let nodes = namespace::ours(lab).tried(|| "the namespaces cannot be read".to_owned())?;
    if nodes.is_empty() { Err(LabError::NoSuchLab(lab.to_string())) } else { Ok(nodes) }
}

/// The node that somebody means: `fabric`, `host1`, `host1.web1`, or `web1` if no other host has one.
pub(crate) fn find(lab: &LabName, said: &str) -> Result<(Node, Place), LabError> {
    let is_meant = |node: &Node| match node {
        Node::Workload(_, name) => node.to_string() == said || name == said,
        Node::Fabric | Node::Host(_) => node.to_string() == said,
    };
    let mut nodes = nodes(lab)?;
    nodes.retain(|(node, _)| is_meant(node));
    // What is said in full is meant, whatever a workload is called.
    let in_full = nodes.iter().position(|(node, _)| node.to_string() == said);
    match (in_full, nodes.len()) {
        (Some(at), _) => Ok(nodes.swap_remove(at)),
        (None, 1) => Ok(nodes.swap_remove(0)),
        (None, count) => Err(LabError::Node {
            lab: lab.to_string(),
            node: said.to_owned(),
            what: if count == 0 { "no host and no workload" } else { "a workload on more than one host" },
        }),
    }
}

/// The addresses within a namespace by which others can reach it.
pub(crate) fn addresses(place: &mut Place) -> io::Result<Vec<IpAddr>> {
    let mut found: Vec<IpAddr> =
        place.netlink.addresses()?.into_iter().map(|(_, network)| network.addr()).collect();
    found.retain(|address| match address {
        IpAddr::V4(address) => !address.is_loopback() && !address.is_link_local(),
        IpAddr::V6(address) => !address.is_loopback() && !address.is_unicast_link_local(),
    });
    Ok(found)
}

/// The namespace of a workload, by host and name; there has to be one.
pub(crate) fn workload(lab: &LabName, host: &str, name: &str) -> Result<Place, LabError> {
    let node = || format!("{host}.{name}");
    let missing = || LabError::Node { lab: lab.to_string(), node: node(), what: "no workload" };
    look_for_workload(lab, host, name)?.ok_or_else(missing)
}

/// The namespace of a workload, by host and name, if it is there.
pub(crate) fn look_for_workload(lab: &LabName, host: &str, name: &str) -> Result<Option<Place>, LabError> {
    let said = format!("{host}.{name}");
    namespace::open(&format!("{lab}.{said}")).tried(|| format!("'{said}' cannot be entered"))
}

/// Runs what opens something in a node's namespace.
pub(crate) fn within<T: Send>(
    place: &Place,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> Result<T, LabError> {
    namespace::within(place.namespace.as_fd(), work).tried(|| "a namespace cannot be entered".to_owned())
}
