//! How objects and their keys are written for people.

use std::fmt;

use super::{Key, Link, LinkId, LinkKind, Namespace, Object, PortRole, RouteTo};

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Named(name) => write!(f, "{name}"),
            Self::Vrf(name) => write!(f, "{name}"),
        }
    }
}

impl fmt::Display for LinkId {
    /// `vx100`, or `web1/eth0` outside the host's own namespace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Namespace::Host => write!(f, "{}", self.name),
            place @ (Namespace::Named(_) | Namespace::Vrf(_)) => write!(f, "{place}/{}", self.name),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespace(name) => write!(f, "namespace {name}"),
            Self::Vrf(name) => write!(f, "vrf {name}"),
            Self::Link(link) => write!(f, "link {link}"),
            Self::BridgePort(link) => write!(f, "bridge-port {link}"),
            Self::Steering(link) => write!(f, "steering {link}"),
            Self::Address(link, address) => write!(f, "address {link} {address}"),
            Self::BridgeFdb(link, mac) => write!(f, "bridge-fdb {link} {mac}"),
            Self::VxlanFdb(link, mac) => write!(f, "vxlan-fdb {link} {mac}"),
            Self::Flood(link, destination) => write!(f, "flood {link} {destination}"),
            Self::Neighbour(link, address) => write!(f, "neighbour {link} {address}"),
            Self::ProxyNeighbour(link, address) => write!(f, "proxy-neighbour {link} {address}"),
            Self::ProxyArp(link) => write!(f, "proxy-arp {link}"),
            Self::Ingress(link) => write!(f, "ingress {link}"),
            Self::Route(namespace, table, destination) => {
                write!(f, "route {namespace} {table} {destination}")
            }
            Self::Label(label) => write!(f, "label {label}"),
        }
    }
}

impl fmt::Display for Object {
    /// The key, then what else there is to say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key())?;
        match self {
            Self::Namespace(_)
            | Self::Address(..)
            | Self::BridgeFdb(_)
            | Self::ProxyNeighbour(..)
            | Self::ProxyArp(_)
            | Self::Ingress(_) => Ok(()),
            Self::Vrf(vrf) => write!(f, " table {}", vrf.table),
            Self::ForeignLink(_) => f.write_str(" foreign"),
            Self::Link(link) => write!(f, " {link}"),
            Self::BridgePort(port) => {
                let adopted = if port.adoption.is_some() { " adopted" } else { "" };
                write!(f, " in {}{}{adopted}", port.bridge, role(port.role))
            }
            Self::Steering(steering) => {
                write!(f, " {} to {}", steering.mac, steering.to)?;
                steering.addresses.iter().try_for_each(|address| write!(f, " {address}"))
            }
            Self::VxlanFdb(entry) => {
                write!(f, " at {}", entry.destination)?;
                entry.vni.map_or(Ok(()), |vni| write!(f, " vni {vni}"))
            }
            Self::Flood(entry) => entry.vni.map_or(Ok(()), |vni| write!(f, " vni {vni}")),
            Self::Neighbour(entry) => write!(f, " is {}", entry.mac),
            Self::Route(route) => write!(f, "{}", route.to),
            Self::LabelRoute(route) => write!(f, " in {}", route.vrf),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            LinkKind::Bridge => f.write_str("bridge")?,
            LinkKind::Tap => f.write_str("tap")?,
            LinkKind::Veth { peer, peer_mac } => write!(f, "veth to {peer} {peer_mac}")?,
            LinkKind::Vlan { parent, vlan_id } => write!(f, "vlan {vlan_id} on {parent}")?,
            LinkKind::Vxlan { vni, local, port, mac } => {
                write!(f, "vxlan {vni} from {local} port {port}")?;
                mac.map_or(Ok(()), |mac| write!(f, " {mac}"))?;
            }
        }
        write!(f, " mtu {}{}", self.mtu, if self.up { "" } else { " down" })
    }
}

const fn role(role: PortRole) -> &'static str {
    match role {
        PortRole::Workload => "",
        PortRole::Tunnel => " tunnel",
        PortRole::Uplink => " uplink",
        PortRole::Gateway => " gateway",
    }
}

impl fmt::Display for RouteTo {
    /// ` via 10.0.0.1 on eth0`; of several paths each with its weight if that is not 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = match self {
            Self::Unreachable => return f.write_str(" unreachable"),
            Self::Blackhole => return f.write_str(" blackhole"),
            Self::Paths(paths) => paths,
        };
        for path in paths {
            path.via.map_or(Ok(()), |via| write!(f, " via {via}"))?;
            path.link.map_or(Ok(()), |link| write!(f, " on {link}"))?;
            path.labels.iter().try_for_each(|label| write!(f, " label {label}"))?;
            if path.weight != 1 {
                write!(f, " weight {}", path.weight)?;
            }
        }
        Ok(())
    }
}
