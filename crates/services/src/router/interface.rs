//! Interfaces of routers: the row that ties a router to a network's subnets by a port, and the rules around it.

use std::sync::Arc;

use crate::core::{FixedIp, InstancePort, ServicePort};
use crate::network::Subnet;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, RowKind, Standard};

/// What Neutron calls the owner of such a port.
pub(super) const DEVICE_OWNER: &str = "network:router_interface_distributed";

/// What ties a router to subnets of a network. It has the identifier of its port.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct RouterInterface {
    /// Identifier, project, name …
    pub standard: Standard,
    /// The router.
    pub router_id: Id,
    /// The binding of its port to the network.
    pub service_port_id: Id,
    /// The network.
    pub network_id: Id,
    /// The subnets of the network: one, or several of IPv6.
    pub subnet_ids: Vec<Id>,
}

impl Stored for RouterInterface {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        let subnets = self.subnet_ids.iter().map(|subnet| (RowKind::Subnet, *subnet));
        [
            (RowKind::Router, self.router_id),
            (RowKind::ServicePort, self.service_port_id),
            (RowKind::Network, self.network_id),
        ]
        .into_iter()
        .chain(subnets)
        .collect()
    }

    fn check_claims(&self, model: &Model) -> Result<(), Refusal> {
        let own = Some(self.standard.id);
        let binding = model.service_ports.get(&self.service_port_id);
        binding.map_or(Ok(()), |binding| self.check_binding(binding))?;
        let vnic = model.instance_ports.get(&self.standard.id);
        vnic.map_or(Ok(()), |vnic| self.check_vnic(vnic))?;
        self.subnet_ids.iter().filter_map(|id| model.subnets.get(id)).try_for_each(|subnet| {
            check_subnet(model, self.router_id, subnet, own)?;
            check_bgpvpns(model, self.router_id, self.network_id)
        })
    }
}

impl RouterInterface {
    /// Refuses a vNIC that is not the interface's.
    fn check_vnic(&self, vnic: &InstancePort) -> Result<(), Refusal> {
        let is_ours = vnic.device_id == self.router_id.to_string()
            && vnic.device_owner == DEVICE_OWNER
            && vnic.host_id.is_none();
        if is_ours { Ok(()) } else { Err(self.differs()) }
    }

    /// Refuses a binding that is not the interface's.
    fn check_binding(&self, binding: &ServicePort) -> Result<(), Refusal> {
        let subnets = binding.fixed_ips.iter().map(|fixed_ip| &fixed_ip.subnet_id);
        let is_ours = binding.service_id == self.network_id && subnets.eq(&self.subnet_ids);
        if is_ours { Ok(()) } else { Err(self.differs()) }
    }

    fn differs(&self) -> Refusal {
        let message = format!(
            "Port {} is an interface of router {} and would differ from it.",
            self.standard.id, self.router_id
        );
        Refusal::conflict("ServicePortInUse", message)
    }
}

/// Refuses a vNIC that is not what the interface that it belongs to says, if it belongs to one.
pub(crate) fn check_vnic_agrees(model: &Model, vnic: &InstancePort) -> Result<(), Refusal> {
    interface_of(model, vnic.standard.id).map_or(Ok(()), |interface| interface.check_vnic(vnic))
}

/// The same of a binding.
pub(crate) fn check_binding_agrees(model: &Model, binding: &ServicePort) -> Result<(), Refusal> {
    let interface = interface_by(model, binding.standard.id).and_then(|id| interface_of(model, id));
    interface.map_or(Ok(()), |interface| interface.check_binding(binding))
}

impl Indexed for RouterInterface {
    fn index(_: &mut Model, _: Option<&Self>, _: Option<&Self>) {}
}

pub(super) fn bad_request(message: impl std::fmt::Display) -> Refusal {
    Refusal::invalid("BadRequest", format!("Bad router request: {message}."))
}

/// The interface whose port this is.
pub(crate) fn interface_of(model: &Model, port: Id) -> Option<&Arc<RouterInterface>> {
    model.router_interfaces.get(&port)
}

/// The interface whose port has this binding.
pub(crate) fn interface_by(model: &Model, binding: Id) -> Option<Id> {
    model.referring((RowKind::ServicePort, binding), RowKind::RouterInterface).next()
}

/// Refuses to delete a port by the ports that is a router's interface.
pub(crate) fn check_port_is_free(model: &Model, port: Id) -> Result<(), Refusal> {
    match interface_of(model, port) {
        Some(_) => {
            let message = format!(
                "Port {port} cannot be deleted directly via the port API: has device owner {DEVICE_OWNER}."
            );
            Err(Refusal::conflict("ServicePortInUse", message))
        }
        None => Ok(()),
    }
}

/// Refuses to make a router's interface something else, or something else one: that is for the router to do.
pub(crate) fn check_stays(
    model: &Model,
    before: Option<&InstancePort>,
    now: &InstancePort,
) -> Result<(), Refusal> {
    let port = now.standard.id;
    let is_interface = interface_of(model, port).is_some();
    let claims = |owner: &str| owner.starts_with("network:router_interface");
    if !is_interface && claims(&now.device_owner) && before.is_none_or(|before| !claims(&before.device_owner))
    {
        let rule = "the ports of routers are made with add_router_interface";
        return Err(Refusal::attribute("device_owner", rule));
    }
    let differs = before.is_some_and(|before| {
        (&before.device_id, &before.device_owner) != (&now.device_id, &now.device_owner)
    });
    if is_interface && (differs || now.host_id.is_some()) {
        let field = if differs { "device_id" } else { "binding:host_id" };
        let rule =
            format!("port {port} is a router's interface, which stays what it is and is bound to no host");
        return Err(Refusal::attribute(field, rule));
    }
    Ok(())
}

/// Refuses other addresses for a router's interface.
pub(crate) fn check_addresses_stay(
    model: &Model,
    before: &ServicePort,
    now: &[FixedIp],
) -> Result<(), Refusal> {
    if before.fixed_ips != now && interface_by(model, before.standard.id).is_some() {
        let rule = "a router's interface has the addresses of its subnets' gateways";
        return Err(Refusal::attribute("fixed_ips", rule));
    }
    Ok(())
}

/// Refuses a subnet that the router has already, or that overlaps with one that it has.
pub(super) fn check_subnet(
    model: &Model,
    router: Id,
    subnet: &Subnet,
    but: Option<Id>,
) -> Result<(), Refusal> {
    let id = subnet.standard.id;
    let interfaces = model.referring((RowKind::Router, router), RowKind::RouterInterface);
    for interface in interfaces.filter(|interface| Some(*interface) != but) {
        let Some(interface) = model.router_interfaces.get(&interface) else { continue };
        for other in &interface.subnet_ids {
            if *other == id {
                return Err(bad_request(format!("Router already has a port on subnet {id}")));
            }
            let Some(other) = model.subnets.get(other) else { continue };
            if other.cidr.contains(&subnet.cidr) || subnet.cidr.contains(&other.cidr) {
                return Err(bad_request(format!(
                    "Cidr {} of subnet {id} overlaps with cidr {} of subnet {}",
                    subnet.cidr, other.cidr, other.standard.id
                )));
            }
        }
    }
    Ok(())
}

/// A network that is in L3 VPNs itself cannot be behind a router that is in some: its routes would be there twice.
pub(super) fn check_bgpvpns(model: &Model, router: Id, network: Id) -> Result<(), Refusal> {
    match (crate::bgpvpn::l3_of_router(model, router), crate::bgpvpn::l3_of_network(model, network)) {
        (Some(of_router), Some(of_network)) => Err(Refusal::conflict(
            "RouterInterfaceAttachmentConflict",
            format!(
                "Error router {router} is associated to bgpvpn {of_router}, and network {network} to bgpvpn {of_network}, while attempting the operation."
            ),
        )),
        _ => Ok(()),
    }
}
