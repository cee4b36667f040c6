//! Live bindings: from a binding to its vNIC and host, and back from a service to the hosts on which it is bound.

use std::sync::Arc;

use imbl::OrdMap;
use weft_net::{HostName, IfName};

use crate::core::{InstancePort, Interface, InterfaceKind, InterfaceParent, ServicePort};
use crate::{Id, Model, Row, RowKey, RowKind, names, vrf};

impl Model {
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

    /// The instance ports on a host.
    pub(crate) fn ports_on(&self, host: &HostName) -> impl Iterator<Item = Id> + use<'_> {
        self.index.by_host.range((host.clone(), Id::MIN)..=(host.clone(), Id::MAX)).map(|(_, id)| *id)
    }

    /// The instance port on a host whose vNIC has this name there.
    #[must_use]
    pub fn port_with_link(&self, host: &HostName, link: IfName) -> Option<Id> {
        self.ports_on(host).find(|port| names::tap(*port) == link)
    }

    /// The untagged interface of an instance port.
    pub(crate) fn untagged_interface(&self, instance_port: Id) -> Option<&Arc<Interface>> {
        self.interfaces_of(InterfaceParent::InstancePort(instance_port))
            .find(|interface| interface.kind == InterfaceKind::Untagged)
    }

    /// What an instance port is bound by untagged: the binding that a port is a view of.
    pub(crate) fn binding_of_port(&self, instance_port: Id) -> Option<&Arc<ServicePort>> {
        let untagged = self.untagged_interface(instance_port)?.standard.id;
        self.service_ports.get(&self.bindings_of(untagged).next()?)
    }

    /// The interfaces directly on an instance port or an interface.
    pub(crate) fn interfaces_of(&self, parent: InterfaceParent) -> impl Iterator<Item = &Arc<Interface>> {
        self.referring(parent.key(), RowKind::Interface).filter_map(|id| self.interfaces.get(&id))
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
                found.extend(self.bindings_of(interface.standard.id));
                parents.push(InterfaceParent::Interface(interface.standard.id));
            }
        }
        found
    }

    /// The service ports whose bindings a write to this row may change.
    pub(crate) fn bindings_around(&self, key: &RowKey) -> Vec<Id> {
        match key {
            RowKey::Resource(RowKind::InstancePort, id) => self.service_ports_on(*id),
            RowKey::Resource(RowKind::Interface, id) => {
                let mut below = self.service_ports_below(InterfaceParent::Interface(*id));
                below.extend(self.bindings_of(*id));
                below
            }
            RowKey::Resource(RowKind::ServicePort, id) => vec![*id],
            _ => Vec::new(),
        }
    }

    /// Makes a change of one row, and what follows from it and others together what it is after it.
    pub(crate) fn around(&mut self, key: &RowKey, after: Option<&Row>, change: impl FnOnce(&mut Self)) {
        let before = self.row(key);
        vrf::around(self, [before.as_ref(), after], |model| model.around_bindings(key, change));
    }

    /// Takes the bindings that a change concerns out of the count of their networks' hosts, and puts them back after it.
    fn around_bindings(&mut self, key: &RowKey, change: impl FnOnce(&mut Self)) {
        let bridging = self.bridging(key);
        let concerned = self.bindings_around(key);
        self.count(&concerned, |count| count.saturating_sub(1));
        change(self);
        self.count(&concerned, |count| count + 1);
        // A network that goes up or down, or that is to be routed from now on, takes all its bindings along; nothing else
        // about it concerns them.
        if bridging != self.bridging(key) {
            self.recount_network(key);
        }
    }

    fn bridging(&self, key: &RowKey) -> Option<(bool, bool)> {
        match key {
            RowKey::Resource(RowKind::Network, id) => {
                self.networks.get(id).map(|network| (network.admin_state_up, network.l2_adjacency))
            }
            _ => None,
        }
    }

    fn recount_network(&mut self, key: &RowKey) {
        let RowKey::Resource(_, network) = key else { return };
        self.index.service_hosts.remove(network);
        let concerned: Vec<Id> = self.bindings_to(*network).collect();
        self.count(&concerned, |count| count + 1);
    }

    fn count(&mut self, service_ports: &[Id], change: impl Fn(u32) -> u32) {
        for id in service_ports {
            let binding = self.service_ports.get(id).and_then(|port| self.bridged_binding(port));
            let Some((service, host)) = binding else { continue };
            let hosts = self.index.service_hosts.entry(service).or_default();
            match change(hosts.get(&host).copied().unwrap_or(0)) {
                0 => hosts.remove(&host),
                count => hosts.insert(host, count),
            };
            if hosts.is_empty() {
                self.index.service_hosts.remove(&service);
            }
        }
    }

    /// The same of a binding to its network's bridge.
    pub(crate) fn bridged_binding(&self, service_port: &ServicePort) -> Option<(Id, HostName)> {
        self.live_binding(service_port).filter(|_| !self.is_routed(service_port))
    }

    /// Whether a binding has a bridge of its own and is reached by routing alone, not by its network's.
    pub(crate) fn is_routed(&self, port: &ServicePort) -> bool {
        port.anycast || self.networks.get(&port.service_id).is_some_and(|network| !network.l2_adjacency)
    }

    /// Whether a network has anycast ports.
    pub(crate) fn has_anycast(&self, network: Id) -> bool {
        self.anycast_ports(network).next().is_some()
    }

    /// The anycast ports of a network.
    pub(crate) fn anycast_ports(&self, network: Id) -> impl Iterator<Item = Id> + use<'_> {
        self.index.anycast.range((network, Id::MIN)..=(network, Id::MAX)).map(|(_, port)| *port)
    }

    /// The hosts on which a network has live bindings to its bridge.
    pub(crate) fn hosts_of(&self, network: Id) -> impl Iterator<Item = &HostName> {
        self.index.service_hosts.get(&network).into_iter().flat_map(OrdMap::keys)
    }

    /// Whether a network has a live binding to its bridge on a host.
    pub(crate) fn is_on(&self, network: Id, host: &HostName) -> bool {
        self.index.service_hosts.get(&network).is_some_and(|hosts| hosts.contains_key(host))
    }
}
