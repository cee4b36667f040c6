//! Whether a host can carry out what is bound on it, decided at commit.

use std::net::IpAddr;
use std::sync::Arc;

use weft_net::{Capability, HostFact, HostName};

use crate::core::{InstancePort, InterfaceKind, InterfaceParent, ServicePort, VnicKind};
use crate::network::{Encapsulation, Network, follow_mac};
use crate::{Change, Id, Model, Refusal, Row, Timestamp, Write, core::check_mac};

/// What VXLAN adds to a packet: outer IP header, UDP, VXLAN, inner Ethernet (RFC 7348 §5).
pub(crate) const fn vxlan_overhead(endpoint: IpAddr) -> u32 {
    match endpoint {
        IpAddr::V4(_) => 20 + 8 + 8 + 14,
        IpAddr::V6(_) => 40 + 8 + 8 + 14,
    }
}

/// What a request that a host cannot carry out leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnFailure {
    /// A native resource is refused.
    Refuse,
    /// A Neutron port is bound with `binding_failed`.
    Note,
    /// The request does not concern the host, and what is bound stays so: capabilities that shrink later block nothing.
    Keep,
}

impl OnFailure {
    /// This, if the change from `stored` to `now` concerns the host; otherwise what was decided stays.
    pub(crate) fn if_host_changes(self, stored: &InstancePort, now: &InstancePort) -> Self {
        let decides = |port: &InstancePort| {
            let is_bound_nowhere = is_bound_nowhere(port);
            (port.host_id.clone(), port.vnic.clone(), port.vnic_type.clone(), is_bound_nowhere)
        };
        if decides(stored) == decides(now) { Self::Keep } else { self }
    }
}

/// Makes the service ports on an instance port agree with it: their MAC address, and whether its host can carry them out.
pub(crate) fn follow_instance_port(
    change: &mut Change,
    vnic: Id,
    on_failure: OnFailure,
) -> Result<(), Refusal> {
    let Some(vnic) = change.model().instance_ports.get(&vnic).cloned() else { return Ok(()) };
    for id in change.model().service_ports_on(vnic.standard.id) {
        let Some(stored) = change.model().service_ports.get(&id).cloned() else { continue };
        check_mac(change.model(), stored.service_id, vnic.mac_address, Some(id))?;
        let binding_failure = match on_failure {
            // What failed is tried again, as Neutron does; what did not stays.
            OnFailure::Keep if stored.binding_failure.is_none() => None,
            OnFailure::Keep => binding_failure(change.model(), &vnic, &stored),
            OnFailure::Refuse | OnFailure::Note => binding_failure(change.model(), &vnic, &stored),
        };
        if let (OnFailure::Refuse, Some(failure)) = (on_failure, &binding_failure) {
            return Err(Refusal::conflict("HostLacksCapability", format!("host_id: {failure}.")));
        }
        if (stored.mac_address, &stored.binding_failure) != (vnic.mac_address, &binding_failure) {
            let mac_address = vnic.mac_address;
            let fixed_ips = follow_mac(change.model(), &stored, mac_address)?;
            let port = ServicePort { mac_address, binding_failure, fixed_ips, ..ServicePort::clone(&stored) };
            change.put(Row::ServicePort(Arc::new(port)));
        }
    }
    Ok(())
}

/// The writes to those of these service ports whose binding had failed and would not fail any more.
pub(crate) fn mended(model: &Model, bindings: impl Iterator<Item = Id>, now: Timestamp) -> Vec<Write> {
    let bindings = bindings.filter_map(|id| model.service_ports.get(&id));
    let failed = bindings.filter(|port| port.binding_failure.is_some());
    let mended = failed.filter(|port| {
        let vnic = model.instance_port_of(port.interface_id);
        vnic.is_some_and(|vnic| binding_failure(model, vnic, port).is_none())
    });
    let written = mended.map(|port| {
        let mut port = ServicePort { binding_failure: None, ..ServicePort::clone(port) };
        port.standard.touch(now);
        Write::Put(Row::ServicePort(Arc::new(port)))
    });
    written.collect()
}

/// Refuses a host for an instance port if it cannot make one of the interfaces that are there already.
pub(crate) fn check_interfaces(model: &Model, vnic: Id) -> Result<(), Refusal> {
    let mut parents = vec![InterfaceParent::InstancePort(vnic)];
    while let Some(parent) = parents.pop() {
        for interface in model.interfaces_of(parent) {
            if let Some(failure) = cannot_be_made(model, interface.standard.id) {
                return Err(Refusal::conflict(
                    "HostLacksCapability",
                    format!("host_id: {failure}, which interface {} needs.", interface.standard.id),
                ));
            }
            parents.push(InterfaceParent::Interface(interface.standard.id));
        }
    }
    Ok(())
}

/// Refuses an interface that the host of its instance port cannot make.
pub(crate) fn check_interface(model: &Model, interface: Id) -> Result<(), Refusal> {
    match cannot_be_made(model, interface) {
        Some(failure) => Err(Refusal::conflict("HostLacksCapability", format!("type: {failure}."))),
        None => Ok(()),
    }
}

/// Why the host of an interface's instance port cannot make it, if it has a host that is known and cannot.
fn cannot_be_made(model: &Model, interface: Id) -> Option<String> {
    let name = model.instance_port_of(interface)?.host_id.as_ref()?;
    cannot_make_interface(model, interface, name, &model.host(name)?.fact)
}

/// Why a service port cannot be carried out on the host of its instance port; `None` while it has no host.
pub(crate) fn binding_failure(model: &Model, vnic: &InstancePort, port: &ServicePort) -> Option<String> {
    let name = vnic.host_id.as_ref()?;
    if is_bound_nowhere(vnic) {
        let owner = &vnic.device_owner;
        return Some(format!("a port with device_owner '{owner}' is bound to no host"));
    }
    let Some(host) = model.host(name) else { return Some(format!("host '{name}' is not known")) };
    if let Err(rule) = check_can_make(&host.fact, &vnic.vnic) {
        return Some(format!("host '{name}' {rule}"));
    }
    if vnic.vnic_type != "normal" {
        let kind = &vnic.vnic_type;
        return Some(format!("host '{name}' makes no vNIC with binding:vnic_type '{kind}', only 'normal'"));
    }
    let network = model.networks.get(&port.service_id)?;
    cannot_make_interface(model, port.interface_id, name, &host.fact)
        .or_else(|| cannot_join(model, network, name, &host.fact))
}

/// Whether it is the network's own, as a router's interface is: there is no vNIC of it on any host.
pub(crate) fn is_bound_nowhere(vnic: &InstancePort) -> bool {
    vnic.device_owner.starts_with("network:")
}

/// The rule that a host breaks if it is to make this vNIC.
pub(crate) fn check_can_make(fact: &HostFact, vnic: &VnicKind) -> Result<(), String> {
    let needed: &[Capability] = match vnic {
        VnicKind::Adopted => &[],
        VnicKind::Tap => &[Capability::Tap],
        VnicKind::Namespace { .. } => &[Capability::NetworkNamespace, Capability::Veth],
    };
    lacking(fact, needed)
}

fn lacking(fact: &HostFact, needed: &[Capability]) -> Result<(), String> {
    match needed.iter().find(|capability| !fact.capabilities.contains(capability)) {
        Some(lacking) => Err(format!("has said that its kernel has no {lacking}")),
        None => Ok(()),
    }
}

fn cannot_make_interface(model: &Model, interface: Id, host: &HostName, fact: &HostFact) -> Option<String> {
    let mut interface = model.interfaces.get(&interface)?;
    loop {
        if matches!(interface.kind, InterfaceKind::Vlan(_))
            && let Err(rule) = lacking(fact, &[Capability::Vlan])
        {
            return Some(format!("host '{host}' {rule}"));
        }
        match interface.parent {
            InterfaceParent::InstancePort(_) => return None,
            InterfaceParent::Interface(parent) => interface = model.interfaces.get(&parent)?,
        }
    }
}

fn cannot_join(model: &Model, network: &Network, host: &HostName, fact: &HostFact) -> Option<String> {
    match &network.encapsulation {
        Encapsulation::Vxlan { .. } => {
            if let Err(rule) =
                lacking(fact, &[Capability::Bridge, Capability::Vxlan, Capability::NeighbourSuppression])
            {
                return Some(format!("host '{host}' {rule}"));
            }
            let Some(endpoint) = fact.tunnel_endpoint else {
                return Some(format!("host '{host}' has no tunnel endpoint"));
            };
            if let Some((other, theirs)) = of_another_family(model, network, host, endpoint) {
                return Some(format!(
                    "the tunnel endpoint of host '{host}' is {endpoint}, and that of host '{other}', which the network is on, is {theirs}: packets of IPv4 and of IPv6 do not meet"
                ));
            }
            let room = fact.underlay_mtu.saturating_sub(vxlan_overhead(endpoint));
            (room < network.mtu).then(|| {
                format!(
                    "host '{host}' has an underlay MTU of {}, which leaves {room} of the network's {}",
                    fact.underlay_mtu, network.mtu
                )
            })
        }
        Encapsulation::Vlan { physical_network, .. } => {
            if let Err(rule) = lacking(fact, &[Capability::Bridge, Capability::Vlan]) {
                return Some(format!("host '{host}' {rule}"));
            }
            (!fact.physical_networks.contains_key(physical_network))
                .then(|| format!("host '{host}' does not reach physical network '{physical_network}'"))
        }
    }
}

/// A host of a network whose tunnel endpoint is of the other IP version. One is enough to look at: the others agree with it.
fn of_another_family(
    model: &Model,
    network: &Network,
    host: &HostName,
    endpoint: IpAddr,
) -> Option<(HostName, IpAddr)> {
    let other = model.hosts_of(network.standard.id).find(|other| *other != host)?;
    let theirs = model.host(other)?.fact.tunnel_endpoint?;
    (theirs.is_ipv4() != endpoint.is_ipv4()).then(|| (other.clone(), theirs))
}

/// The MTU of a vNIC: its own, or that of the network that it is bound to untagged, or Ethernet's.
pub(crate) fn effective_mtu(model: &Model, vnic: &InstancePort) -> u32 {
    let networks_mtu = || {
        let bound = model.binding_of_port(vnic.standard.id)?;
        Some(model.networks.get(&bound.service_id)?.mtu)
    };
    vnic.mtu.or_else(networks_mtu).unwrap_or(1500)
}
