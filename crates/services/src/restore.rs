//! Rollback: rows that come back from the past pass the same rules as any other change.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::core::InterfaceParent;
use crate::core::binding::{OnFailure, follow_instance_port};
use crate::index::pairs;
use crate::network::{Encapsulation, check_subnet};
use crate::{Change, Id, Model, Refusal, Row, RowKey, RowKind, Write};

/// Applies the writes that lead rows back to what they were, and checks what they touch against everything else.
///
/// Identifiers come back as they were if they are still free; what somebody else has taken since is a conflict. What a host
/// can no longer carry out is bound with a failure, as a Neutron port is. Rows that are as they were already are left alone,
/// so the same rollback twice is the same as once.
///
/// # Errors
/// The first rule that the restored rows would break; the change is then to be dropped.
pub fn check_restored(change: &mut Change, writes: Vec<Write>) -> Result<(), Refusal> {
    let mut writes = writes;
    writes.retain(|write| leads_elsewhere(change.model(), write));
    // Rows are made after what they refer to, and deleted before it.
    let rank = |key: &RowKey| crate::RowKind::ALL.iter().position(|kind| *kind == key.kind());
    writes.sort_by(|a, b| match (a, b) {
        (Write::Delete(a), Write::Delete(b)) => rank(b).cmp(&rank(a)),
        (Write::Delete(_), Write::Put(_)) => std::cmp::Ordering::Less,
        (Write::Put(_), Write::Delete(_)) => std::cmp::Ordering::Greater,
        (Write::Put(a), Write::Put(b)) => rank(&a.key()).cmp(&rank(&b.key())),
    });
    check_quarantine(change.model(), &writes)?;
    check_all_claims(change.model(), &writes)?;
    for write in &writes {
        let write = match write {
            Write::Put(row) => Write::Put(written_again(change, row)),
            Write::Delete(key) => Write::Delete(key.clone()),
        };
        change.write(write);
    }
    for write in &writes {
        check_references(change.model(), &write.key())?;
    }
    let vnics: BTreeSet<Id> =
        writes.iter().filter_map(|write| vnic_of(change.model(), &write.key())).collect();
    vnics.into_iter().try_for_each(|vnic| follow_instance_port(change, vnic, OnFailure::Note))
}

/// Whether a write makes more of a difference than that it counts as written: what does not is left as it is.
fn leads_elsewhere(model: &Model, write: &Write) -> bool {
    match (model.row(&write.key()), write) {
        (current, Write::Delete(_)) => current.is_some(),
        (None, Write::Put(_)) => true,
        (Some(current), Write::Put(row)) => as_if_never_written(current) != as_if_never_written(row.clone()),
    }
}

/// A row without what follows from others or from when it was written: whether a host can carry it out is decided anew.
fn as_if_never_written(row: Row) -> Row {
    let row = crate::catalogue::with_standard(row, |standard| {
        standard.revision_number = 0;
        standard.updated_at = crate::Timestamp(0);
    });
    match row {
        Row::ServicePort(mut port) => {
            Arc::make_mut(&mut port).binding_failure = None;
            Row::ServicePort(port)
        }
        row => row,
    }
}

/// A VNI that hosts may still have must not come back with another network than the one that they have it from.
fn check_quarantine(model: &Model, writes: &[Write]) -> Result<(), Refusal> {
    for write in writes {
        let Write::Put(Row::Network(network)) = write else { continue };
        let Some(vni) = network.vni().filter(|_| !model.networks.contains_key(&network.standard.id)) else {
            continue;
        };
        if let Some(departure) = model.departures_of(vni).next() {
            let host = &departure.host;
            return Err(conflict(format!(
                "VNI {vni} is in quarantine until host '{host}' has confirmed its removal or is deleted"
            )));
        }
    }
    Ok(())
}

/// Restored rows may take what other restored rows give up, so all are taken out before they are put back one by one.
fn check_all_claims(model: &Model, writes: &[Write]) -> Result<(), Refusal> {
    let mut model = model.clone();
    for write in writes.iter().rev() {
        model.apply(&Write::Delete(write.key()));
    }
    for write in writes {
        if let Write::Put(row) = write {
            check_claims(&model, row)?;
            model.apply(write);
        }
    }
    Ok(())
}

/// The instance port whose bindings a row may change.
fn vnic_of(model: &Model, key: &RowKey) -> Option<Id> {
    match key {
        RowKey::Resource(RowKind::InstancePort, id) => Some(*id),
        RowKey::Resource(RowKind::Interface, id) => Some(model.instance_port_of(*id)?.standard.id),
        RowKey::Resource(RowKind::ServicePort, id) => {
            Some(model.instance_port_of(model.service_ports.get(id)?.interface_id)?.standard.id)
        }
        _ => None,
    }
}

/// The restored row counts as written once more than the one that is there.
fn written_again(change: &Change, row: &Row) -> Row {
    let current = change
        .model()
        .row(&row.key())
        .and_then(|row| row.standard().map(|standard| standard.revision_number));
    let now = change.now();
    crate::catalogue::with_standard(row.clone(), |standard| {
        standard.revision_number = standard.revision_number.max(current.unwrap_or(0));
        standard.touch(now);
    })
}

fn conflict(what: impl std::fmt::Display) -> Refusal {
    Refusal::conflict("RollbackConflict", format!("The rollback is not possible: {what}."))
}

/// What only one can have must not be somebody else's now.
fn check_claims(model: &Model, row: &Row) -> Result<(), Refusal> {
    match row {
        Row::Network(network) => {
            let taken = match &network.encapsulation {
                Encapsulation::Vxlan { vni } => model.index.vnis.get(vni),
                Encapsulation::Vlan { physical_network, vlan_id } => {
                    model.index.vlans.get(&(physical_network.as_str().into(), *vlan_id))
                }
            };
            match taken {
                Some(other) if *other != network.standard.id => Err(conflict(format!(
                    "the VNI or VLAN of network {} is network {other}'s now",
                    network.standard.id
                ))),
                _ => Ok(()),
            }
        }
        Row::Subnet(subnet) => check_subnet(model, subnet),
        Row::Interface(interface) => {
            let mut slices = model.interfaces_of(interface.parent);
            match slices
                .find(|other| other.kind == interface.kind && other.standard.id != interface.standard.id)
            {
                Some(other) => Err(conflict(format!(
                    "the slice of interface {} is interface {}'s now",
                    interface.standard.id, other.standard.id
                ))),
                None => Ok(()),
            }
        }
        Row::InstancePort(port) => crate::core::check_vnic(model, port),
        Row::ServicePort(port) => {
            let id = port.standard.id;
            crate::core::check_mac(model, port.service_id, port.mac_address, Some(id))?;
            if let Some(other) =
                pairs(&model.index.by_interface, port.interface_id).find(|other| *other != id)
            {
                return Err(conflict(format!(
                    "interface {} is bound by service port {other} now",
                    port.interface_id
                )));
            }
            for fixed_ip in &port.fixed_ips {
                match model.index.addresses.get(&(port.service_id, fixed_ip.ip_address)) {
                    Some(other) if *other != id => {
                        return Err(conflict(format!("{} is port {other}'s now", fixed_ip.ip_address)));
                    }
                    _ => {}
                }
            }
            Ok(())
        }
        Row::Host(_) | Row::Departure(_) => Ok(()),
    }
}

/// What a row refers to must be there, and nothing that is there may refer to one that is not.
fn check_references(model: &Model, key: &RowKey) -> Result<(), Refusal> {
    let missing = |what: &str, id: Id| Err(conflict(format!("{what} {id} is not there")));
    match model.row(key) {
        None => check_not_referred_to(model, key),
        Some(Row::Subnet(subnet)) if !model.networks.contains_key(&subnet.network_id) => {
            missing("network", subnet.network_id)
        }
        Some(Row::Interface(interface)) => match interface.parent {
            InterfaceParent::InstancePort(id) if !model.instance_ports.contains_key(&id) => {
                missing("instance port", id)
            }
            InterfaceParent::Interface(id) if !model.interfaces.contains_key(&id) => missing("interface", id),
            _ => Ok(()),
        },
        Some(Row::ServicePort(port)) => {
            if !model.networks.contains_key(&port.service_id) {
                return missing("network", port.service_id);
            }
            if !model.interfaces.contains_key(&port.interface_id) {
                return missing("interface", port.interface_id);
            }
            let lost =
                port.fixed_ips.iter().find(|fixed_ip| !model.subnets.contains_key(&fixed_ip.subnet_id));
            lost.map_or(Ok(()), |fixed_ip| missing("subnet", fixed_ip.subnet_id))
        }
        Some(_) => Ok(()),
    }
}

fn check_not_referred_to(model: &Model, key: &RowKey) -> Result<(), Refusal> {
    let (kind, id) = match key {
        RowKey::Resource(kind, id) => (kind, id),
        RowKey::Host(host) => match model.ports_on(host).next() {
            Some(port) => {
                return Err(conflict(format!(
                    "host {host} would be gone, and instance port {port} is on it"
                )));
            }
            None => return Ok(()),
        },
        RowKey::Departure(..) => return Ok(()),
    };
    let index = &model.index;
    let of = |parent| model.interfaces_of(parent).map(|interface| interface.standard.id).next();
    let user = match kind {
        RowKind::Network => pairs(&index.subnets, *id).chain(pairs(&index.by_network, *id)).next(),
        RowKind::Subnet => pairs(&index.by_subnet, *id).next(),
        RowKind::InstancePort => of(InterfaceParent::InstancePort(*id)),
        RowKind::Interface => {
            of(InterfaceParent::Interface(*id)).or_else(|| pairs(&index.by_interface, *id).next())
        }
        RowKind::ServicePort | RowKind::Host | RowKind::Departure => None,
    };
    match user {
        Some(user) => Err(conflict(format!("{} {id} would be gone, and {user} needs it", kind.as_str()))),
        None => Ok(()),
    }
}
