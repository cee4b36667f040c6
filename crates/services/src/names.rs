//! Names in the kernel: fifteen bytes for the name, the whole identifier in the mark.

use weft_dataplane::Mark;
use weft_net::{IfName, Vni};

use crate::Id;

/// The host's end of an instance port's vNIC: the name that Nova gives the tap of a port.
pub(crate) fn tap(instance_port: Id) -> IfName {
    name(&format!("tap{}", instance_port.short()))
}

/// A network's bridge.
pub(crate) fn bridge(network: Id) -> IfName {
    name(&format!("br-{}", network.short()))
}

/// The VXLAN device of a network.
pub(crate) fn vxlan(vni: Vni) -> IfName {
    name(&format!("vx{vni}"))
}

/// A VLAN interface on an instance port, or of a network on a physical one.
pub(crate) fn vlan(of: Id) -> IfName {
    name(&format!("vl-{}", of.short()))
}

/// A VRF.
pub(crate) fn vrf(id: Id) -> IfName {
    name(&format!("vrf-{}", id.short()))
}

/// A gateway's end in its VRF.
pub(crate) fn gateway(of: Id) -> IfName {
    name(&format!("gw-{}", of.short()))
}

/// A gateway's end on the host.
pub(crate) fn gateway_port(of: Id) -> IfName {
    name(&format!("gp-{}", of.short()))
}

/// A VRF's end of its link to the others of its host.
pub(crate) fn leak(vrf: Id) -> IfName {
    name(&format!("lk-{}", vrf.short()))
}

/// The other end of it.
pub(crate) fn leak_port(vrf: Id) -> IfName {
    name(&format!("lp-{}", vrf.short()))
}

/// A VRF's end of the link by which it gets what comes with its MPLS label.
pub(crate) fn label(vrf: Id) -> IfName {
    name(&format!("ml-{}", vrf.short()))
}

/// The other end of it.
pub(crate) fn label_port(vrf: Id) -> IfName {
    name(&format!("mp-{}", vrf.short()))
}

pub(crate) fn mark(kind: &str, id: Id) -> Mark {
    format!("weft.{kind}.{id}").parse().expect("a word, a dot and a UUID")
}

fn name(text: &str) -> IfName {
    text.parse().expect("a prefix of two to four bytes and at most eleven of an identifier or eight digits")
}
