//! The indexes of the model: what is derived from its rows, kept by the same writes.

use std::net::IpAddr;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use weft_net::{HostName, Mac, NamespaceName, Vni};

use crate::core::{InterfaceParent, ServicePort, VnicKind};
use crate::network::{Encapsulation, FreeAddresses, FreeVnis, Subnet};
use crate::{Id, Row, RowKind};

/// What is derived from the rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// By kind and name.
    pub(crate) names: OrdSet<(RowKind, Arc<str>, Id)>,
    /// By the declared set that made it, kind, and the name by which the set declares it.
    pub(crate) apply_sets: OrdSet<(Arc<str>, RowKind, Arc<str>, Id)>,
    /// VNIs in use, and by which network.
    pub(crate) vnis: OrdMap<Vni, Id>,
    /// VNIs that are neither in use nor in quarantine.
    pub(crate) free_vnis: FreeVnis,
    /// VLANs of physical networks in use, and by which network.
    pub(crate) vlans: OrdMap<(Arc<str>, u16), Id>,
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
            let address = (port.service_id, fixed_ip.ip_address);
            // Within one change somebody else may have taken it already.
            if self.addresses.get(&address) != Some(&port.standard.id) {
                continue;
            }
            self.addresses.remove(&address);
            if let Some(subnet) = subnets.get(&fixed_ip.subnet_id) {
                self.free.give_back(subnet, fixed_ip.ip_address);
            }
        }
    }

    /// Makes the free addresses of a subnet anew where its pools are not what they were.
    pub(crate) fn refill(
        &mut self,
        before: Option<&Row>,
        subnet: &Subnet,
        service_ports: &OrdMap<Id, Arc<ServicePort>>,
    ) {
        let unchanged =
            matches!(before, Some(Row::Subnet(before)) if before.allocation_pools == subnet.allocation_pools);
        if !unchanged {
            let id = subnet.standard.id;
            let ports = pairs(&self.by_subnet, id).filter_map(|port| service_ports.get(&port));
            let of_subnet = ports.flat_map(|port| port.fixed_ips.iter().filter(move |ip| ip.subnet_id == id));
            self.free.clear(id);
            self.free.fill(subnet, of_subnet.map(|fixed_ip| fixed_ip.ip_address));
        }
    }

    /// The first index that differs from another's.
    pub(crate) fn difference(&self, other: &Self) -> Result<(), String> {
        fn same<T: PartialEq + std::fmt::Debug>(name: &str, one: &T, other: &T) -> Result<(), String> {
            if one == other { Ok(()) } else { Err(format!("{name}: {one:?} instead of {other:?}")) }
        }
        same("names", &self.names, &other.names)?;
        same("apply_sets", &self.apply_sets, &other.apply_sets)?;
        same("vnis", &self.vnis, &other.vnis)?;
        same("free_vnis", &self.free_vnis, &other.free_vnis)?;
        same("vlans", &self.vlans, &other.vlans)?;
        same("subnets", &self.subnets, &other.subnets)?;
        same("interfaces", &self.interfaces, &other.interfaces)?;
        same("by_interface", &self.by_interface, &other.by_interface)?;
        same("by_network", &self.by_network, &other.by_network)?;
        same("by_subnet", &self.by_subnet, &other.by_subnet)?;
        same("by_host", &self.by_host, &other.by_host)?;
        same("by_device", &self.by_device, &other.by_device)?;
        same("addresses", &self.addresses, &other.addresses)?;
        same("macs", &self.macs, &other.macs)?;
        same("namespaces", &self.namespaces, &other.namespaces)?;
        same("network_hosts", &self.network_hosts, &other.network_hosts)?;
        same("free", &self.free, &other.free)
    }

    fn each_entry(&mut self, row: &Row, there: bool) {
        if let Some(standard) = row.standard() {
            put(&mut self.names, (row.key().kind(), standard.name.as_str().into(), standard.id), there);
            if let Some(set) = &standard.apply_set {
                put(
                    &mut self.apply_sets,
                    (set.clone(), row.key().kind(), standard.declared_name(), standard.id),
                    there,
                );
            }
        }
        match row {
            Row::Network(row) => match &row.encapsulation {
                Encapsulation::Vxlan { vni } => claim(&mut self.vnis, *vni, row.standard.id, there),
                Encapsulation::Vlan { physical_network, vlan_id } => {
                    let vlan = (physical_network.as_str().into(), *vlan_id);
                    claim(&mut self.vlans, vlan, row.standard.id, there);
                }
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
        claim(&mut self.macs, (row.service_id, row.mac_address), id, there);
    }
}

/// Notes what only one can have, or that it is given up; within one change somebody else may have taken it already.
fn claim<K: Ord + Clone>(owners: &mut OrdMap<K, Id>, what: K, owner: Id, there: bool) {
    if there {
        owners.insert(what, owner);
    } else if owners.get(&what) == Some(&owner) {
        owners.remove(&what);
    }
}

fn put<T: Ord + Clone>(set: &mut OrdSet<T>, entry: T, there: bool) {
    if there {
        set.insert(entry);
    } else {
        set.remove(&entry);
    }
}
