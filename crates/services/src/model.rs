//! The model: every row, with the indexes that make a commit independent of its size.
//!
//! All maps are persistent: a clone shares everything, a change copies one path. Whatever a check asks (is this address
//! taken, which ports are on this network) is one look into an index that the same write keeps.

use std::ops::Bound;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use weft_net::{HostName, Vni};

use crate::core::{InstancePort, Interface, InterfaceKind, InterfaceParent, ServicePort};
use crate::index::{Index, pairs};
use crate::network::{Network, Subnet};
use crate::{Departure, Host, Id, Row, RowKey, RowKind, Write};

/// Everything that has been asked for, and the facts that go with it.
#[derive(Clone, Debug, Default)]
pub struct Model {
    pub(crate) networks: OrdMap<Id, Arc<Network>>,
    pub(crate) subnets: OrdMap<Id, Arc<Subnet>>,
    pub(crate) instance_ports: OrdMap<Id, Arc<InstancePort>>,
    pub(crate) interfaces: OrdMap<Id, Arc<Interface>>,
    pub(crate) service_ports: OrdMap<Id, Arc<ServicePort>>,
    pub(crate) hosts: OrdMap<HostName, Arc<Host>>,
    pub(crate) departures: OrdSet<Departure>,
    pub(crate) index: Index,
}

impl Model {
    /// Changes one row, and every index with it.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::Put(row) => {
                self.around(&row.key(), |model| model.put(row));
            }
            Write::Delete(key) => self.around(key, |model| model.delete(key)),
        }
    }

    /// The row with this key.
    #[must_use]
    pub fn row(&self, key: &RowKey) -> Option<Row> {
        match key {
            RowKey::Resource(kind, id) => match kind {
                RowKind::Network => self.networks.get(id).cloned().map(Row::Network),
                RowKind::Subnet => self.subnets.get(id).cloned().map(Row::Subnet),
                RowKind::InstancePort => self.instance_ports.get(id).cloned().map(Row::InstancePort),
                RowKind::Interface => self.interfaces.get(id).cloned().map(Row::Interface),
                RowKind::ServicePort => self.service_ports.get(id).cloned().map(Row::ServicePort),
                RowKind::Host | RowKind::Departure => None,
            },
            RowKey::Host(name) => self.hosts.get(name).cloned().map(Row::Host),
            RowKey::Departure(vni, host) => {
                let departure = Departure { vni: *vni, host: host.clone() };
                self.departures.get(&departure).cloned().map(Row::Departure)
            }
        }
    }

    /// Every row, those that others refer to first.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let hosts = self.hosts.values().cloned().map(Row::Host);
        let departures = self.departures.iter().cloned().map(Row::Departure);
        let networks = self.networks.values().cloned().map(Row::Network);
        let subnets = self.subnets.values().cloned().map(Row::Subnet);
        let instance_ports = self.instance_ports.values().cloned().map(Row::InstancePort);
        let interfaces = self.interfaces.values().cloned().map(Row::Interface);
        let service_ports = self.service_ports.values().cloned().map(Row::ServicePort);
        let nets = hosts.chain(departures).chain(networks).chain(subnets);
        nets.chain(instance_ports).chain(interfaces).chain(service_ports)
    }

    /// The identifiers of the rows of a kind after one, in order. Hosts and departures have none.
    pub(crate) fn ids(
        &self,
        kind: RowKind,
        after: Option<&str>,
    ) -> Box<dyn DoubleEndedIterator<Item = String> + '_> {
        match kind {
            RowKind::Network => ids_after(&self.networks, after),
            RowKind::Subnet => ids_after(&self.subnets, after),
            RowKind::InstancePort => ids_after(&self.instance_ports, after),
            RowKind::Interface => ids_after(&self.interfaces, after),
            RowKind::ServicePort => ids_after(&self.service_ports, after),
            RowKind::Host | RowKind::Departure => Box::new(std::iter::empty()),
        }
    }

    /// The host of this name.
    #[must_use]
    pub fn host(&self, name: &HostName) -> Option<&Arc<Host>> {
        self.hosts.get(name)
    }

    /// All hosts.
    pub fn hosts(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.hosts.values()
    }

    /// All departures that have not been confirmed.
    pub fn departures(&self) -> impl Iterator<Item = &Departure> {
        self.departures.iter()
    }

    /// The hosts that may still have a VNI.
    pub(crate) fn departures_of(&self, vni: Vni) -> impl Iterator<Item = &Departure> {
        // In ASCII, only '-' and '.' come before digits, and no name of a host begins with them.
        let first = Departure { vni, host: "0".parse().expect("one digit") };
        self.departures.range(first..).take_while(move |departure| departure.vni == vni)
    }

    /// How many service ports there are.
    #[must_use]
    pub fn service_port_count(&self) -> usize {
        self.service_ports.len()
    }

    /// The network that a service port binds to, and the host on which it does so: nothing while it is not bound, its
    /// binding failed, or it or what it is on is administratively down.
    pub(crate) fn live_binding(&self, service_port: &ServicePort) -> Option<(Id, HostName)> {
        let port = self.instance_port_of(service_port.interface_id)?;
        let up = port.admin_state_up && self.networks.get(&service_port.service_id)?.admin_state_up;
        (up && service_port.binding_failure.is_none()).then_some(())?;
        Some((service_port.service_id, port.host_id.clone()?))
    }

    /// The instance port that an interface is a slice of, however deep.
    pub(crate) fn instance_port_of(&self, interface: Id) -> Option<&Arc<InstancePort>> {
        let mut interface = self.interfaces.get(&interface)?;
        // A parent always has a VLAN less; the depth is bounded when interfaces are made.
        loop {
            match interface.parent {
                InterfaceParent::InstancePort(id) => return self.instance_ports.get(&id),
                InterfaceParent::Interface(id) => interface = self.interfaces.get(&id)?,
            }
        }
    }

    /// The untagged interface of an instance port.
    pub(crate) fn untagged_interface(&self, instance_port: Id) -> Option<&Arc<Interface>> {
        self.interfaces_of(InterfaceParent::InstancePort(instance_port))
            .find(|interface| interface.kind == InterfaceKind::Untagged)
    }

    /// The interfaces directly on an instance port or an interface.
    pub(crate) fn interfaces_of(&self, parent: InterfaceParent) -> impl Iterator<Item = &Arc<Interface>> {
        let of_parent = self.index.interfaces.range((parent, Id::MIN)..=(parent, Id::MAX));
        of_parent.filter_map(|(_, id)| self.interfaces.get(id))
    }

    /// A binding as a message names it: the port that is a view of it, or itself where none is.
    pub(crate) fn port_of(&self, service_port: Id) -> String {
        let interface =
            self.service_ports.get(&service_port).and_then(|port| self.interfaces.get(&port.interface_id));
        match interface.map(|interface| (interface.kind, interface.parent)) {
            Some((InterfaceKind::Untagged, InterfaceParent::InstancePort(id))) => format!("port {id}"),
            _ => format!("service port {service_port}"),
        }
    }

    /// All service ports that are on an instance port, on whichever of its interfaces.
    pub(crate) fn service_ports_on(&self, instance_port: Id) -> Vec<Id> {
        self.service_ports_below(InterfaceParent::InstancePort(instance_port))
    }

    fn service_ports_below(&self, parent: InterfaceParent) -> Vec<Id> {
        let mut found = Vec::new();
        let mut parents = vec![parent];
        while let Some(parent) = parents.pop() {
            for interface in self.interfaces_of(parent) {
                found.extend(pairs(&self.index.by_interface, interface.standard.id));
                parents.push(InterfaceParent::Interface(interface.standard.id));
            }
        }
        found
    }

    /// The service ports whose bindings a write to this row may change.
    fn bindings_around(&self, key: &RowKey) -> Vec<Id> {
        match key {
            RowKey::Resource(RowKind::InstancePort, id) => self.service_ports_on(*id),
            RowKey::Resource(RowKind::Interface, id) => {
                let mut below = self.service_ports_below(InterfaceParent::Interface(*id));
                below.extend(pairs(&self.index.by_interface, *id));
                below
            }
            RowKey::Resource(RowKind::ServicePort, id) => vec![*id],
            _ => Vec::new(),
        }
    }

    /// Takes the bindings that a change concerns out of the count of their networks' hosts, and puts them back after it.
    fn around(&mut self, key: &RowKey, change: impl FnOnce(&mut Self)) {
        let admin_state = self.networks_admin_state(key);
        let concerned = self.bindings_around(key);
        self.count(&concerned, |count| count.saturating_sub(1));
        change(self);
        self.count(&concerned, |count| count + 1);
        // A network that goes up or down takes all its bindings along; nothing else about it concerns them.
        if admin_state != self.networks_admin_state(key) {
            self.recount_network(key);
        }
    }

    fn networks_admin_state(&self, key: &RowKey) -> Option<bool> {
        match key {
            RowKey::Resource(RowKind::Network, id) => {
                self.networks.get(id).map(|network| network.admin_state_up)
            }
            _ => None,
        }
    }

    fn recount_network(&mut self, key: &RowKey) {
        let RowKey::Resource(_, network) = key else { return };
        self.index.network_hosts.remove(network);
        let concerned: Vec<Id> = pairs(&self.index.by_network, *network).collect();
        self.count(&concerned, |count| count + 1);
    }

    fn count(&mut self, service_ports: &[Id], change: impl Fn(u32) -> u32) {
        for id in service_ports {
            let Some(binding) = self.service_ports.get(id).and_then(|port| self.live_binding(port)) else {
                continue;
            };
            let (network, host) = binding;
            let mut hosts = self.index.network_hosts.get(&network).cloned().unwrap_or_default();
            let count = change(hosts.get(&host).copied().unwrap_or(0));
            if count == 0 {
                hosts.remove(&host);
            } else {
                hosts.insert(host, count);
            }
            if hosts.is_empty() {
                self.index.network_hosts.remove(&network);
            } else {
                self.index.network_hosts.insert(network, hosts);
            }
        }
    }

    /// The hosts on which a network has live bindings.
    pub(crate) fn hosts_of(&self, network: Id) -> impl Iterator<Item = &HostName> {
        self.index.network_hosts.get(&network).into_iter().flat_map(OrdMap::keys)
    }

    /// Whether a network has a live binding on a host.
    pub(crate) fn is_on(&self, network: Id, host: &HostName) -> bool {
        self.index.network_hosts.get(&network).is_some_and(|hosts| hosts.contains_key(host))
    }

    fn put(&mut self, row: &Row) {
        let before = self.row(&row.key());
        if let Some(before) = &before {
            self.index.forget(before);
            if let Row::ServicePort(port) = before {
                self.index.release(port, &self.subnets);
            }
        }
        match row {
            Row::Network(row) => drop(self.networks.insert(row.standard.id, row.clone())),
            Row::Subnet(row) => {
                self.index.refill(before.as_ref(), row, &self.service_ports);
                self.subnets.insert(row.standard.id, row.clone());
            }
            Row::InstancePort(row) => drop(self.instance_ports.insert(row.standard.id, row.clone())),
            Row::Interface(row) => drop(self.interfaces.insert(row.standard.id, row.clone())),
            Row::ServicePort(row) => drop(self.service_ports.insert(row.standard.id, row.clone())),
            Row::Host(row) => drop(self.hosts.insert(row.name.clone(), row.clone())),
            Row::Departure(row) => drop(self.departures.insert(row.clone())),
        }
        self.index.remember(row, &self.subnets);
        self.note_vni(before.as_ref());
        self.note_vni(Some(row));
    }

    /// Notes whether the VNI of a network or a departure that came or went is free now.
    fn note_vni(&mut self, row: Option<&Row>) {
        let vni = match row {
            Some(Row::Network(network)) => network.vni(),
            Some(Row::Departure(departure)) => Some(departure.vni),
            _ => None,
        };
        if let Some(vni) = vni {
            let is_free = !self.index.vnis.contains_key(&vni) && self.departures_of(vni).next().is_none();
            self.index.free_vnis.set(vni, is_free);
        }
    }

    fn delete(&mut self, key: &RowKey) {
        let before = self.row(key);
        if let Some(before) = &before {
            self.index.forget(before);
            match before {
                Row::Subnet(subnet) => self.index.free.clear(subnet.standard.id),
                Row::ServicePort(port) => self.index.release(port, &self.subnets),
                _ => {}
            }
        }
        match key {
            RowKey::Resource(kind, id) => match kind {
                RowKind::Network => drop(self.networks.remove(id)),
                RowKind::Subnet => drop(self.subnets.remove(id)),
                RowKind::InstancePort => drop(self.instance_ports.remove(id)),
                RowKind::Interface => drop(self.interfaces.remove(id)),
                RowKind::ServicePort => drop(self.service_ports.remove(id)),
                RowKind::Host | RowKind::Departure => {}
            },
            RowKey::Host(name) => drop(self.hosts.remove(name)),
            RowKey::Departure(vni, host) => {
                self.departures.remove(&Departure { vni: *vni, host: host.clone() });
            }
        }
        self.note_vni(before.as_ref());
    }
}

impl Model {
    /// Compares all rows and indexes with another model's; for tests.
    ///
    /// # Errors
    /// The first that differs.
    #[doc(hidden)]
    pub fn same_as(&self, other: &Self) -> Result<(), String> {
        let differing = self.rows().zip(other.rows()).find(|(one, other)| one != other);
        if let Some((one, other)) = differing {
            return Err(format!("{one:?} instead of {other:?}"));
        }
        self.index.difference(&other.index)
    }

    /// Compares every index with what the rows alone say; for tests.
    ///
    /// # Errors
    /// The first index that says something else.
    #[doc(hidden)]
    pub fn recount_check(&self) -> Result<(), String> {
        let mut anew = Self::default();
        for row in self.rows() {
            anew.apply(&Write::Put(row));
        }
        self.same_as(&anew)?;
        for (network, hosts) in &self.index.network_hosts {
            let mut counted: OrdMap<HostName, u32> = OrdMap::new();
            for port in self.service_ports.values() {
                match self.live_binding(port) {
                    Some((bound_to, host)) if bound_to == *network => *counted.entry(host).or_insert(0) += 1,
                    _ => {}
                }
            }
            if counted != *hosts {
                return Err(format!("network {network} is counted on {hosts:?}, and is on {counted:?}"));
            }
        }
        Ok(())
    }
}

fn ids_after<'m, T: Clone>(
    rows: &'m OrdMap<Id, T>,
    after: Option<&str>,
) -> Box<dyn DoubleEndedIterator<Item = String> + 'm> {
    let start = match after.map(str::parse::<Id>) {
        Some(Ok(id)) => Bound::Excluded(id),
        Some(Err(_)) | None => Bound::Unbounded,
    };
    Box::new(rows.range((start, Bound::Unbounded)).map(|(id, _)| id.to_string()))
}
