//! Typed facts: what is learned about a host rather than asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::serde_text::serde_as_text;
use crate::{IfName, ParseError};

/// Something that a host's kernel can or cannot do. Each is found out by trying it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Bridges.
    Bridge,
    /// Neighbour suppression on a bridge port.
    NeighbourSuppression,
    /// MPLS label stacks on routes, and labels that lead into VRFs.
    Mpls,
    /// Network namespaces.
    NetworkNamespace,
    /// Groups of next hops of which one can go without moving the flows of the others.
    ResilientNextHops,
    /// TAP devices.
    Tap,
    /// Pairs of virtual Ethernet devices.
    Veth,
    /// IEEE 802.1Q interfaces.
    Vlan,
    /// VRFs, each of them a VRF device with a table.
    VrfDevice,
    /// VRFs, each of them a network namespace.
    VrfNamespace,
    /// VXLAN devices (RFC 7348).
    Vxlan,
}

impl Capability {
    /// Every capability there is a name for.
    pub const ALL: [Self; 11] = [
        Self::Bridge,
        Self::NeighbourSuppression,
        Self::Mpls,
        Self::NetworkNamespace,
        Self::ResilientNextHops,
        Self::Tap,
        Self::Veth,
        Self::Vlan,
        Self::VrfDevice,
        Self::VrfNamespace,
        Self::Vxlan,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::NeighbourSuppression => "neighbour-suppression",
            Self::Mpls => "mpls",
            Self::NetworkNamespace => "network-namespace",
            Self::ResilientNextHops => "resilient-next-hops",
            Self::Tap => "tap",
            Self::Veth => "veth",
            Self::Vlan => "vlan",
            Self::VrfDevice => "vrf-device",
            Self::VrfNamespace => "vrf-namespace",
            Self::Vxlan => "vxlan",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Capability {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.as_str() == text)
            .ok_or_else(|| ParseError::new("capability", text, "no such capability is known"))
    }
}

serde_as_text!(Capability);

/// In what hosts send each other what is routed. VXLAN, unless both of them prefer MPLS and can do it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum L3Encapsulation {
    /// MPLS, with a label of the VRF (RFC 4364 §5), to a host that is reached without a label.
    Mpls,
    /// VXLAN, with a VNI of the VRF (RFC 9135 §5).
    #[default]
    Vxlan,
}

impl L3Encapsulation {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Mpls, Self::Vxlan];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Mpls => "mpls",
            Self::Vxlan => "vxlan",
        }
    }
}

impl fmt::Display for L3Encapsulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for L3Encapsulation {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| ParseError::new("encapsulation", text, "'mpls' or 'vxlan' is needed"))
    }
}

serde_as_text!(L3Encapsulation);

/// What a host said of itself when its agent last connected.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HostFact {
    /// Where other hosts send what is encapsulated for this one. `None`: it takes part in no overlay.
    pub tunnel_endpoint: Option<IpAddr>,
    /// The largest IP packet that the underlay carries from this host, in bytes.
    pub underlay_mtu: u32,
    /// What its kernel can do.
    pub capabilities: BTreeSet<Capability>,
    /// Physical networks that it reaches, by name, and through which of its interfaces.
    #[serde(default)]
    pub physical_networks: BTreeMap<String, IfName>,
    /// In what it prefers to get and to send what is routed.
    #[serde(default)]
    pub l3_encapsulation: L3Encapsulation,
}

impl HostFact {
    /// Whether it takes in packets with labels, and can send some.
    #[must_use]
    pub fn has_mpls(&self) -> bool {
        self.capabilities.contains(&Capability::Mpls)
    }

    /// Whether it prefers MPLS, and can do it.
    #[must_use]
    pub fn prefers_mpls(&self) -> bool {
        self.has_mpls() && self.l3_encapsulation == L3Encapsulation::Mpls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_reads_back_from_its_name() {
        for capability in Capability::ALL {
            assert_eq!(capability.to_string().parse(), Ok(capability));
        }
        assert!("teleport".parse::<Capability>().is_err());
        for encapsulation in L3Encapsulation::ALL {
            assert_eq!(encapsulation.to_string().parse(), Ok(encapsulation));
        }
        assert!("gre".parse::<L3Encapsulation>().is_err());
    }
}
