//! Statuses: of a vNIC and of a binding, as the hosts have reported of their fragments.

use weft_net::HostName;

use crate::catalogue::{Status, Statuses};
use crate::compile::FragmentKey;
use crate::core::{InstancePort, ServicePort};
use crate::network::compile::{carried_out_on, fragment_of};
use crate::{Model, RowKey, RowKind, router};

/// The status of a vNIC; that of a router's interface is its router's.
pub(crate) fn of_instance_port(model: &Model, port: &InstancePort, statuses: &dyn Statuses) -> Status {
    if let Some(status) = router::status_of_interface(model, port.standard.id, statuses) {
        return status;
    }
    match &port.host_id {
        Some(host) if model.host(host).is_some() => statuses.fragment(host, &vnic_fragment(port)),
        _ => Status::Down,
    }
}

/// The status of a binding: as good as the worse of its own fragment and its vNIC's; that of a router's interface is its
/// router's.
pub(crate) fn of_service_port(model: &Model, port: &ServicePort, statuses: &dyn Statuses) -> Status {
    let interface = router::interface_by(model, port.standard.id);
    if let Some(status) = interface.and_then(|port| router::status_of_interface(model, port, statuses)) {
        return status;
    }
    let Some((host, vnic)) = bound_on(model, port) else { return Status::Down };
    let own = fragment_of(model, port.standard.id).map_or(Status::Down, |own| statuses.fragment(&host, &own));
    own.max(statuses.fragment(&host, &vnic_fragment(vnic)))
}

/// The host and the vNIC on which a binding is live; `None` while it is not, or cannot be carried out.
fn bound_on<'m>(model: &'m Model, port: &ServicePort) -> Option<(HostName, &'m InstancePort)> {
    let host = carried_out_on(model, port)?;
    Some((host, model.instance_port_of(port.interface_id)?))
}

fn vnic_fragment(port: &InstancePort) -> FragmentKey {
    let id = port.standard.id;
    FragmentKey::new(RowKind::InstancePort, id, RowKey::Resource(RowKind::InstancePort, id))
}
