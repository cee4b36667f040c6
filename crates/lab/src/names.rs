//! Names, marks and addresses within a lab: all follow from the lab's name and a host's number. Pure.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::Serialize;

use crate::spec::{HOSTS_MAX, Underlay};

/// The name of the interface into the underlay, in every host.
pub(crate) const UNDERLAY_LINK: &str = "underlay0";
/// The name of the interface to the controller, in every host.
pub(crate) const MANAGEMENT_LINK: &str = "mgmt0";
/// The bridge that is the underlay's switch, in the fabric.
pub(crate) const UNDERLAY_BRIDGE: &str = "underlay";
/// The bridge through which hosts reach the controller, in the fabric.
pub(crate) const MANAGEMENT_BRIDGE: &str = "mgmt";
/// The fabric's end of the link from the machine's own namespace.
pub(crate) const CONTROLLER_PORT: &str = "m0";
/// The last octet of the controller's address in the management network; a host has its number.
const CONTROLLER_OCTET: u8 = 254;
/// In the environment of every daemon of a lab's, with the lab's name.
pub(crate) const PROCESS_MARK: &str = "WEFT_LAB_PROCESS";

/// The name of a lab: 1 to 12 lower-case letters, digits or `-`, the first not `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct LabName(String);

/// A text that is not the name of a lab.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not the name of a lab: 1 to 12 lower-case letters, digits or '-' are needed, the first not '-'"
)]
pub struct NameError(String);

impl FromStr for LabName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=12).contains(&text.len()) && text.bytes().all(is_plain) && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }
}

impl fmt::Display for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for LabName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a network namespace of a lab's is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Node {
    /// The switches between the hosts.
    Fabric,
    /// A host, by number.
    Host(u16),
    /// A workload on a host, or another namespace that the host's agent made.
    Workload(u16, String),
}

impl LabName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What begins the names of all namespaces of this lab, and of no other's.
    pub(crate) fn prefix(&self) -> String {
        format!("{}.", self.0)
    }

    /// The file name of a node's namespace.
    pub(crate) fn file_of(&self, node: &Node) -> String {
        format!("{}.{node}", self.0)
    }

    /// Which node's namespace has this file name.
    pub(crate) fn node_of(&self, file_name: &str) -> Option<Node> {
        file_name.strip_prefix(&self.prefix())?.parse().ok()
    }

    /// The mark on something of this lab's.
    pub(crate) fn mark(&self, what: &str) -> String {
        format!("{}{what}", self.mark_prefix())
    }

    /// What begins all marks of this lab.
    pub(crate) fn mark_prefix(&self) -> String {
        format!("weft-lab.{}.", self.0)
    }

    /// The lab whose mark this is.
    pub(crate) fn of_mark(mark: &str) -> Option<Self> {
        mark.strip_prefix("weft-lab.")?.split('.').next()?.parse().ok()
    }

    /// The link of this lab in the machine's own namespace.
    pub(crate) fn machine_link(&self) -> String {
        format!("wl{:08x}", self.hash() as u32)
    }

    /// FNV-1a: the same on every machine and in every version.
    pub(crate) fn hash(&self) -> u64 {
        self.0
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fabric => f.write_str("fabric"),
            Self::Host(number) => f.write_str(&host_name(*number)),
            Self::Workload(number, name) => write!(f, "{}.{name}", host_name(*number)),
        }
    }
}

impl FromStr for Node {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "fabric" {
            return Ok(Self::Fabric);
        }
        let (host, workload) = text.split_once('.').map_or((text, None), |(host, name)| (host, Some(name)));
        let number = host_number(host).ok_or(())?;
        match workload {
            None => Ok(Self::Host(number)),
            Some("") => Err(()),
            Some(name) => Ok(Self::Workload(number, name.to_owned())),
        }
    }
}

/// The name of a host.
pub(crate) fn host_name(number: u16) -> String {
    format!("host{number}")
}

/// The number of a host by its name.
pub(crate) fn host_number(name: &str) -> Option<u16> {
    let number = name.strip_prefix("host")?.parse().ok()?;
    ((1..=HOSTS_MAX).contains(&number) && host_name(number) == name).then_some(number)
}

/// A host's address in the underlay.
///
/// RFC 5737 and RFC 3849: for documentation, so the machine's own networks have them no more than anybody's; and the
/// underlay never leaves the lab's namespaces.
pub(crate) fn underlay_address(underlay: Underlay, number: u16) -> IpNet {
    match underlay {
        Underlay::Ipv4 => Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, octet(number)), 24).into(),
        Underlay::Ipv6 => {
            Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, number), 64).into()
        }
    }
}

/// A host's address in the management network.
pub(crate) fn management_address(subnet: Ipv4Net, number: u16) -> Ipv4Net {
    within(subnet, octet(number))
}

/// The controller's address in the management network.
pub(crate) fn controller_address(subnet: Ipv4Net) -> Ipv4Net {
    within(subnet, CONTROLLER_OCTET)
}

fn within(subnet: Ipv4Net, octet: u8) -> Ipv4Net {
    let [a, b, c, _] = subnet.network().octets();
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, octet), 24)
}

/// A host's number is at most [`HOSTS_MAX`].
fn octet(number: u16) -> u8 {
    number.to_be_bytes()[1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_has_a_name_that_can_be_in_every_other_name() {
        for good in ["demo", "a", "0", "my-lab-12345"] {
            assert_eq!(good.parse::<LabName>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "a.b", "A", "a/b", "a_b", "thirteen-long", "ä"] {
            assert!(bad.parse::<LabName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_namespaces_file_says_which_node_it_is_and_comes_back() {
        let lab: LabName = "demo".parse().unwrap();
        for node in
            [Node::Fabric, Node::Host(64), Node::Workload(2, "web1".into()), Node::Workload(1, "a.b".into())]
        {
            assert_eq!(lab.node_of(&lab.file_of(&node)), Some(node));
        }
        for other in [
            "demo",
            "demo.",
            "demo.x",
            "demo.host0",
            "demo.host65",
            "demo.host01",
            "demo.host1.",
            "demo2.host1",
        ] {
            assert_eq!(lab.node_of(other), None, "{other:?}");
        }
    }

    #[test]
    fn every_host_has_addresses_of_its_own() {
        let subnet: Ipv4Net = "198.18.7.0/24".parse().unwrap();
        assert_eq!(management_address(subnet, 64).to_string(), "198.18.7.64/24");
        assert_eq!(controller_address(subnet).to_string(), "198.18.7.254/24");
        assert_eq!(underlay_address(Underlay::Ipv4, 3).to_string(), "198.51.100.3/24");
        assert_eq!(underlay_address(Underlay::Ipv6, 12).to_string(), "2001:db8:ffff::c/64");
    }

    #[test]
    fn a_mark_says_whose_it_is() {
        let lab: LabName = "demo".parse().unwrap();
        assert_eq!(LabName::of_mark(&lab.mark("host1")), Some(lab.clone()));
        assert_eq!(LabName::of_mark("weft.namespace.web1"), None);
        assert!(lab.machine_link().len() <= 15);
    }
}
