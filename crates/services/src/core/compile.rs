//! What vNICs and their slices are on their host.

use std::collections::BTreeSet;

use weft_dataplane::{Link, LinkId, LinkKind, Namespace, Object};
use weft_net::{HostName, IfName};

use crate::compile::{Compiled, FragmentKey, Service, Step, Subject};
use crate::core::{InterfaceKind, InterfaceParent, VnicKind, effective_mtu};
use crate::departure::Presence;
use crate::network::compile::differs;
use crate::{Exclusive, Id, Model, RowKey, RowKind, names};

/// vNICs, each an instance that only its own host follows. Subjects: the vNIC itself, and its slices.
pub(crate) struct Vnics;

impl Service for Vnics {
    fn kind(&self) -> RowKind {
        RowKind::InstancePort
    }

    fn followers(&self, model: &Model, port: Id) -> Vec<HostName> {
        let host = model.instance_ports.get(&port).and_then(|port| port.host_id.clone());
        host.filter(|host| model.hosts.contains_key(host)).into_iter().collect()
    }

    fn followed_by(&self, model: &Model, host: &HostName) -> Vec<Id> {
        model.ports_on(host).collect()
    }

    fn subjects(&self, model: &Model, port: Id) -> Vec<Subject> {
        let mut subjects = vec![RowKey::Resource(RowKind::InstancePort, port).into()];
        let mut parents = vec![InterfaceParent::InstancePort(port)];
        while let Some(parent) = parents.pop() {
            for interface in model.interfaces_of(parent) {
                subjects.push(RowKey::Resource(RowKind::Interface, interface.standard.id).into());
                parents.push(InterfaceParent::Interface(interface.standard.id));
            }
        }
        subjects
    }

    fn at_home(&self, model: &Model, host: &HostName) -> Vec<FragmentKey> {
        model.ports_on(host).flat_map(|port| fragments(model, port)).collect()
    }

    fn compile(&self, model: &Model, _: Id, subject: &Subject) -> Option<Compiled> {
        match subject {
            Subject::Row(RowKey::Resource(RowKind::InstancePort, id)) => instance_port(model, *id),
            Subject::Row(RowKey::Resource(RowKind::Interface, id)) => interface(model, *id),
            _ => None,
        }
    }

    /// A vNIC has the MTU of what it is bound to.
    fn touched(&self, model: &Model, step: &Step<'_>, touched: &mut BTreeSet<FragmentKey>) {
        let vnic_of = |interface| model.instance_port_of(interface).map(|vnic| vnic.standard.id);
        let bound = |binding: Id| vnic_of(model.service_ports.get(&binding)?.interface_id);
        let vnics: Vec<Id> = match &step.row {
            RowKey::Resource(RowKind::InstancePort, id) => vec![*id],
            RowKey::Resource(RowKind::Interface, id) => vnic_of(*id).into_iter().collect(),
            RowKey::Resource(RowKind::ServicePort, id) => bound(*id).into_iter().collect(),
            RowKey::Resource(RowKind::Network, id) if differs(step, *id) => {
                model.bindings_to(*id).filter_map(bound).collect()
            }
            RowKey::Host(host) => model.ports_on(host).collect(),
            RowKey::Resource(..) | RowKey::Departure(..) => Vec::new(),
        };
        touched.extend(vnics.into_iter().flat_map(|vnic| fragments(model, vnic)));
    }

    fn exclusives(&self, _: &Model, _: Id) -> Vec<Exclusive> {
        Vec::new()
    }

    fn presences(&self, _: &Model, _: &RowKey) -> Vec<Presence> {
        Vec::new()
    }

    fn is_on(&self, _: &Model, _: Id, _: &HostName) -> bool {
        false
    }
}

fn fragments(model: &Model, port: Id) -> impl Iterator<Item = FragmentKey> {
    let subjects = Vnics.subjects(model, port).into_iter();
    subjects.map(move |subject| FragmentKey::new(RowKind::InstancePort, port, subject))
}

/// The vNIC itself: there from the first day on its host, whatever it is bound to.
fn instance_port(model: &Model, id: Id) -> Option<Compiled> {
    let port = model.instance_ports.get(&id)?;
    let home = port.host_id.clone().filter(|host| model.hosts.contains_key(host))?;
    let tap = LinkId::on_host(names::tap(id));
    let link = |kind| {
        let mark = names::mark("port", id);
        Object::Link(Link { id: tap.clone(), mark, mtu: effective_mtu(model, port), up: true, kind })
    };
    let local = match &port.vnic {
        VnicKind::Adopted => vec![Object::ForeignLink(tap)],
        VnicKind::Tap => vec![link(LinkKind::Tap)],
        VnicKind::Namespace { namespace, interface } => {
            let peer = LinkId { namespace: Namespace::Named(namespace.clone()), name: *interface };
            let veth = link(LinkKind::Veth { peer, peer_mac: port.mac_address });
            vec![Object::Namespace(namespace.clone()), veth]
        }
    };
    Some(Compiled::only_at(home, local))
}

/// A slice of a vNIC that is a link of its own.
fn interface(model: &Model, id: Id) -> Option<Compiled> {
    let interface = model.interfaces.get(&id)?;
    let InterfaceKind::Vlan(vlan_id) = interface.kind else { return None };
    let port = model.instance_port_of(id)?;
    let home = port.host_id.clone().filter(|host| model.hosts.contains_key(host))?;
    let parent = match interface.parent {
        InterfaceParent::InstancePort(port) => names::tap(port),
        InterfaceParent::Interface(parent) => link_name(model, parent)?,
    };
    let vlan = Object::Link(Link {
        id: LinkId::on_host(names::vlan(id)),
        mark: names::mark("interface", id),
        mtu: effective_mtu(model, port),
        up: true,
        kind: LinkKind::Vlan { parent, vlan_id },
    });
    Some(Compiled::only_at(home, vec![vlan]))
}

/// The link on the host that carries an interface.
pub(crate) fn link_name(model: &Model, interface: Id) -> Option<IfName> {
    let found = model.interfaces.get(&interface)?;
    match (found.kind, found.parent) {
        (InterfaceKind::Vlan(_), _) => Some(names::vlan(interface)),
        (InterfaceKind::Untagged, InterfaceParent::InstancePort(port)) => Some(names::tap(port)),
        (InterfaceKind::Untagged, InterfaceParent::Interface(parent)) => link_name(model, parent),
    }
}
