//! The indexes of the model: what is derived from its rows, kept by the same writes.

use std::net::IpAddr;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use weft_net::{HostName, Mac, NamespaceName, Vni};

use crate::core::{InterfaceParent, ServicePort, VnicKind};
use crate::network::{FreeAddresses, Subnet};
use crate::{Id, Row, RowKind};

/// What is derived from the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// By kind and name.
    pub(crate) names: OrdSet<(RowKind, Arc<str>, Id)>,
    /// VNIs in use, and by which network.
    pub(crate) vnis: OrdMap<Vni, Id>,
    /// Subnets of a network.
    pub(crate) subnets: OrdSet<(Id, Id)>,
    /// Interfaces of an instance port or of a parent interface.
    pub(crate) interfaces: OrdSet<(InterfaceParent, Id)>,
    /// Service ports of an interface.
    pub(crate) by_interface: OrdSet<(Id, Id)>,
    /// Service ports of a network.
    pub(crate) by_network: OrdSet<(Id, Id)>,
    /// Service ports with an address of a subnet.
    pub(crate) by_subnet: OrdSet<(Id, Id)>,
    /// Instance ports of a host.
    pub(crate) by_host: OrdSet<(HostName, Id)>,
    /// Instance ports of a device.
    pub(crate) by_device: OrdSet<(Arc<str>, Id)>,
    /// Addresses in use in a network, and by which service port.
    pub(crate) addresses: OrdMap<(Id, IpAddr), Id>,
    /// MAC addresses in use in a network, and by which service port.
    pub(crate) macs: OrdMap<(Id, Mac), Id>,
    /// Named namespaces on hosts, by the instance ports that are in them.
    pub(crate) namespaces: OrdSet<(HostName, NamespaceName, Id)>,
    /// How many live bindings a network has on a host.
    pub(crate) network_hosts: OrdMap<Id, OrdMap<HostName, u32>>,
    /// Addresses that are free in the allocation pools of a subnet.
    pub(crate) free: FreeAddresses,
}

/// The second halves of the pairs that begin with `first`.
pub(crate) fn pairs(set: &OrdSet<(Id, Id)>, first: Id) -> impl Iterator<Item = Id> {
    set.range((first, Id::MIN)..=(first, Id::MAX)).map(|(_, second)| *second)
}

impl Index {
    /// Whether a set of this index is to get an entry, or to lose it.
    pub(crate) fn remember(&mut self, row: &Row, subnets: &OrdMap<Id, Arc<Subnet>>) {
        self.each_entry(row, true);
        if let Row::ServicePort(port) = row {
            for fixed_ip in &port.fixed_ips {
                self.addresses.insert((port.service_id, fixed_ip.ip_address), port.standard.id);
                if subnets.contains_key(&fixed_ip.subnet_id) {
                    self.free.take(fixed_ip.subnet_id, fixed_ip.ip_address);
                }
            }
        }
    }

    pub(crate) fn forget(&mut self, row: &Row) {
        self.each_entry(row, false);
    }

    /// Gives the addresses of a service port that goes back to their pools.
    pub(crate) fn release(&mut self, port: &ServicePort, subnets: &OrdMap<Id, Arc<Subnet>>) {
        for fixed_ip in &port.fixed_ips {
            self.addresses.remove(&(port.service_id, fixed_ip.ip_address));
            if let Some(subnet) = subnets.get(&fixed_ip.subnet_id) {
                self.free.give_back(subnet, fixed_ip.ip_address);
            }
        }
    }

    /// Makes the free addresses of a subnet anew where its pools are not what they were.
    pub(crate) fn refill(&mut self, before: Option<&Row>, subnet: &Subnet) {
        let unchanged =
            matches!(before, Some(Row::Subnet(before)) if before.allocation_pools == subnet.allocation_pools);
        if !unchanged {
            self.free.clear(subnet.standard.id);
            self.free.fill(subnet, &self.addresses);
        }
    }

    fn each_entry(&mut self, row: &Row, there: bool) {
        if let Some(standard) = row.standard() {
            put(&mut self.names, (row.key().kind(), standard.name.as_str().into(), standard.id), there);
        }
        match row {
            Row::Network(row) => match row.vni() {
                Some(vni) if there => drop(self.vnis.insert(vni, row.standard.id)),
                Some(vni) => drop(self.vnis.remove(&vni)),
                None => {}
            },
            Row::Subnet(row) => put(&mut self.subnets, (row.network_id, row.standard.id), there),
            Row::InstancePort(row) => {
                put(&mut self.by_device, (row.device_id.as_str().into(), row.standard.id), there);
                if let Some(host) = &row.host_id {
                    put(&mut self.by_host, (host.clone(), row.standard.id), there);
                    if let VnicKind::Namespace { namespace, .. } = &row.vnic {
                        put(&mut self.namespaces, (host.clone(), namespace.clone(), row.standard.id), there);
                    }
                }
            }
            Row::Interface(row) => put(&mut self.interfaces, (row.parent, row.standard.id), there),
            Row::ServicePort(row) => self.service_port(row, there),
            Row::Host(_) | Row::Departure(_) => {}
        }
    }

    fn service_port(&mut self, row: &ServicePort, there: bool) {
        let id = row.standard.id;
        put(&mut self.by_interface, (row.interface_id, id), there);
        put(&mut self.by_network, (row.service_id, id), there);
        for fixed_ip in &row.fixed_ips {
            put(&mut self.by_subnet, (fixed_ip.subnet_id, id), there);
        }
        if there {
            self.macs.insert((row.service_id, row.mac_address), id);
        } else {
            self.macs.remove(&(row.service_id, row.mac_address));
        }
    }
}

fn put<T: Ord + Clone>(set: &mut OrdSet<T>, entry: T, there: bool) {
    if there {
        set.insert(entry);
    } else {
        set.remove(&entry);
    }
}
