//! What vNICs and their slices are on their host.

use std::collections::BTreeSet;

use weft_dataplane::{Link, LinkId, LinkKind, Namespace, Object};
use weft_net::IfName;

use crate::compile::{Compiled, FragmentKey};
use crate::core::{InterfaceKind, InterfaceParent, VnicKind, effective_mtu};
use crate::network::compile as network;
use crate::{Id, Model, names};

/// The vNIC itself: there from the first day on its host, whatever it is bound to.
pub(crate) fn instance_port(model: &Model, id: Id) -> Option<Compiled> {
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
    Some(Compiled { home, local, remote: Vec::new() })
}

/// A slice of a vNIC that is a link of its own.
pub(crate) fn interface(model: &Model, id: Id) -> Option<Compiled> {
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
    Some(Compiled { home, local: vec![vlan], remote: Vec::new() })
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

pub(crate) fn fragments(model: &Model, port: Id) -> Vec<FragmentKey> {
    let mut keys = vec![FragmentKey::InstancePort(port)];
    keys.extend(
        interfaces_below(model, port).into_iter().map(|interface| FragmentKey::Interface(port, interface)),
    );
    keys
}

fn interfaces_below(model: &Model, port: Id) -> Vec<Id> {
    let (mut found, mut parents) = (Vec::new(), vec![InterfaceParent::InstancePort(port)]);
    while let Some(parent) = parents.pop() {
        for interface in model.interfaces_of(parent) {
            found.push(interface.standard.id);
            parents.push(InterfaceParent::Interface(interface.standard.id));
        }
    }
    found
}

pub(crate) fn touched_by_vnic(model: &Model, port: Id, touched: &mut BTreeSet<FragmentKey>) {
    touched.extend(fragments(model, port));
    for binding in model.service_ports_on(port) {
        network::touched_by_binding(model, binding, touched);
    }
}

pub(crate) fn touched_by_interface(model: &Model, interface: Id, touched: &mut BTreeSet<FragmentKey>) {
    if let Some(port) = model.instance_port_of(interface) {
        touched_by_vnic(model, port.standard.id, touched);
    }
}
