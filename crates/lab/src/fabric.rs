//! The namespaces of a lab and the links between them: each is made if it is not there, and mended if it is not right.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use ipnet::{IpNet, Ipv4Net};

use crate::error::Tried;
use crate::names::{
    CONTROLLER_PORT, LabName, MANAGEMENT_BRIDGE, MANAGEMENT_LINK, Node, UNDERLAY_BRIDGE, UNDERLAY_LINK,
    controller_address, host_name, management_address, underlay_address,
};
use crate::namespace;
use crate::netlink::{LinkRow, Netlink, Place};
use crate::progress::{Change, Counter, Tell};
use crate::{LabError, LabSpec, subnet};

/// The management network's MTU, in bytes.
const MANAGEMENT_MTU: u32 = 1500;

/// The fabric forwards frames and has no addresses; frames between bridge ports are no firewall's business.
const FABRIC_SETTINGS: [(&str, &str); 4] = [
    ("ipv6/conf/all/disable_ipv6", "1"),
    ("ipv6/conf/default/disable_ipv6", "1"),
    ("bridge/bridge-nf-call-iptables", "0"),
    ("bridge/bridge-nf-call-ip6tables", "0"),
];

/// A host forwards, and accepts what takes another way back: a tunnel's packets do.
const HOST_SETTINGS: [(&str, &str); 5] = [
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv6/conf/all/seg6_enabled", "1"),
];

/// One end of a pair of links that join the fabric with something else.
struct End<'a> {
    name: &'a str,
    mark: String,
    /// The address, at the end that has one.
    address: Option<IpNet>,
    /// The bridge, at the end that is in one.
    bridge: Option<u32>,
    /// Settings of the link's own, to be made before it is up.
    settings: Vec<(String, &'static str)>,
}

impl<'a> End<'a> {
    fn port(lab: &LabName, name: &'a str, bridge: u32) -> Self {
        Self { name, mark: lab.mark(name), address: None, bridge: Some(bridge), settings: Vec::new() }
    }

    fn addressed(name: &'a str, mark: String, address: IpNet) -> Self {
        let setting = match address {
            IpNet::V4(_) => ("disable_ipv6", "1"),
            IpNet::V6(_) => ("accept_dad", "0"),
        };
        let settings = vec![(format!("ipv6/conf/{name}/{}", setting.0), setting.1)];
        Self { name, mark, address: Some(address), bridge: None, settings }
    }
}

/// Whether something of this lab is in the kernel.
pub(crate) fn exists(lab: &LabName) -> io::Result<bool> {
    let of_lab = |link: &LinkRow| link.marks.iter().any(|mark| mark.starts_with(&lab.mark_prefix()));
    Ok(namespace::own()?.netlink.links()?.iter().any(of_lab) || !namespace::ours(lab)?.is_empty())
}

/// Makes or mends all namespaces and links of a lab; answers its management network.
pub(crate) fn ensure(spec: &LabSpec, tell: &mut Tell<'_>) -> Result<Ipv4Net, LabError> {
    let lab = &spec.name;
    let mut counter = Counter::new(tell, usize::from(spec.hosts) + 1);
    let mut fabric = ensure_namespace(lab, &Node::Fabric, &mut counter)?;
    settings_within(&fabric, &FABRIC_SETTINGS).tried(|| "the fabric cannot be set up".to_owned())?;
    let mut hosts = Vec::new();
    for number in 1..=spec.hosts {
        let host = ensure_namespace(lab, &Node::Host(number), &mut counter)?;
        settings_within(&host, &HOST_SETTINGS).tried(|| format!("host{number} cannot be set up"))?;
        hosts.push((number, host));
    }
    let mut machine = namespace::own().tried(|| "the machine's links cannot be read".to_owned())?;
    let chosen = subnet::choose(lab, &mut machine.netlink);
    let subnet = chosen.tried(|| "the machine's routes cannot be read".to_owned())?.ok_or_else(|| {
        LabError::Spec("198.18.0.0/15 is full: there is no network for the controller".to_owned())
    })?;

    let mut counter = Counter::new(tell, 2 * usize::from(spec.hosts) + 3);
    let management = ensure_bridge(lab, &mut fabric, MANAGEMENT_BRIDGE, &mut counter)?;
    let underlay = ensure_bridge(lab, &mut fabric, UNDERLAY_BRIDGE, &mut counter)?;
    let machine_link = lab.machine_link();
    let port = End::port(lab, CONTROLLER_PORT, management);
    let end = End::addressed(&machine_link, lab.mark("controller"), controller_address(subnet).into());
    let change = ensure_pair(&mut fabric, &port, (&mut machine, &end), MANAGEMENT_MTU)?;
    counter.next(format!("link {machine_link}"), change);
    for (number, host) in &mut hosts {
        let (management_port, underlay_port) = (format!("m{number}"), format!("u{number}"));
        let of_host = |name: &str| lab.mark(&format!("{}.{name}", host_name(*number)));
        let port = End::port(lab, &management_port, management);
        let address = management_address(subnet, *number).into();
        let end = End::addressed(MANAGEMENT_LINK, of_host(MANAGEMENT_LINK), address);
        let change = ensure_pair(&mut fabric, &port, (host, &end), MANAGEMENT_MTU)?;
        counter.next(format!("link host{number}/{MANAGEMENT_LINK}"), change);
        let port = End::port(lab, &underlay_port, underlay);
        let address = underlay_address(spec.underlay, *number);
        let end = End::addressed(UNDERLAY_LINK, of_host(UNDERLAY_LINK), address);
        let change = ensure_pair(&mut fabric, &port, (host, &end), spec.underlay_mtu)?;
        counter.next(format!("link host{number}/{UNDERLAY_LINK}"), change);
    }
    Ok(subnet)
}

fn ensure_namespace(lab: &LabName, node: &Node, counter: &mut Counter<'_, '_>) -> Result<Place, LabError> {
    let file_name = lab.file_of(node);
    let what = format!("namespace {file_name}");
    let find = || -> io::Result<(Place, Change)> {
        let Some(mut place) = namespace::open(&file_name)? else {
            return Ok((namespace::create(&file_name, &lab.mark(&node.to_string()))?, Change::Made));
        };
        if namespace::is_ours(lab, node, &mut place)? {
            Ok((place, Change::Kept))
        } else {
            Err(io::Error::other("it exists and does not bear the lab's mark"))
        }
    };
    let (place, change) = find().tried(|| format!("{what} cannot be made"))?;
    counter.next(what, change);
    Ok(place)
}

fn ensure_bridge(
    lab: &LabName,
    fabric: &mut Place,
    name: &str,
    counter: &mut Counter<'_, '_>,
) -> Result<u32, LabError> {
    let mut ensure = || -> io::Result<(u32, Change)> {
        let mut change = Change::Kept;
        if fabric.netlink.link(name)?.is_none() {
            fabric.netlink.add_bridge(name)?;
            change = Change::Made;
        }
        let link = present(&mut fabric.netlink, name)?;
        change = mend_marks_and_state(&mut fabric.netlink, &link, &lab.mark(name), change)?;
        Ok((link.index, change))
    };
    let (index, change) = ensure().tried(|| format!("bridge {name} cannot be made"))?;
    counter.next(format!("bridge {name}"), change);
    Ok(index)
}

/// Makes or mends a pair of links: one end a port in the fabric, the other anywhere.
fn ensure_pair(
    fabric: &mut Place,
    port: &End<'_>,
    (other, end): (&mut Place, &End<'_>),
    mtu: u32,
) -> Result<Change, LabError> {
    let mut ensure = || -> io::Result<Change> {
        let here = fabric.netlink.link(port.name)?;
        let there = other.netlink.link(end.name)?;
        let foreign = there.as_ref().is_some_and(|link| !link.marks.contains(&end.mark));
        let mut change = Change::Kept;
        match (here, there) {
            (Some(_), Some(_)) => {}
            (None, Some(_)) if foreign => {
                return Err(io::Error::other("a link of that name is somebody else's"));
            }
            (here, there) => {
                // One end without the other: it was moved, or renamed.
                here.map(|link| fabric.netlink.delete(link.index)).transpose()?;
                there.map(|link| other.netlink.delete(link.index)).transpose()?;
                fabric.netlink.add_veth(port.name, mtu, (end.name, other.namespace.as_fd()))?;
                change = Change::Made;
            }
        }
        change = mend_end(other, end, mtu, change)?;
        mend_end(fabric, port, mtu, change)
    };
    ensure().tried(|| format!("link {} to {} cannot be made", end.name, port.name))
}

fn mend_end(place: &mut Place, end: &End<'_>, mtu: u32, mut change: Change) -> io::Result<Change> {
    let link = present(&mut place.netlink, end.name)?;
    if change == Change::Made || !link.up {
        let settings: Vec<(&str, &str)> =
            end.settings.iter().map(|(path, value)| (path.as_str(), *value)).collect();
        settings_within(place, &settings)?;
    }
    if link.mtu != mtu {
        place.netlink.set_mtu(link.index, mtu)?;
        change = Change::Made;
    }
    if let Some(bridge) = end.bridge.filter(|bridge| *bridge != link.master) {
        place.netlink.set_master(link.index, bridge)?;
        change = Change::Made;
    }
    change = mend_marks_and_state(&mut place.netlink, &link, &end.mark, change)?;
    if let Some(address) = end.address
        && !place.netlink.addresses()?.contains(&(link.index, address))
    {
        place.netlink.add_address(link.index, address)?;
        change = Change::Made;
    }
    Ok(change)
}

fn mend_marks_and_state(
    netlink: &mut Netlink,
    link: &LinkRow,
    mark: &str,
    mut change: Change,
) -> io::Result<Change> {
    if !link.marks.iter().any(|present| present == mark) {
        netlink.mark(link.index, mark)?;
        change = Change::Made;
    }
    if !link.up {
        netlink.set_up(link.index)?;
        change = Change::Made;
    }
    Ok(change)
}

fn present(netlink: &mut Netlink, name: &str) -> io::Result<LinkRow> {
    netlink.link(name)?.ok_or_else(|| io::Error::other(format!("{name} is gone again")))
}

/// Writes settings under `/proc/sys/net`, as the namespace has them. What this kernel does not have needs no setting.
fn settings_within(place: &Place, settings: &[(&str, &str)]) -> io::Result<()> {
    namespace::within(place.namespace.as_fd(), || {
        for (path, value) in settings {
            match fs::write(format!("/proc/sys/net/{path}"), value) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => outcome?,
            }
        }
        Ok(())
    })
}
