//! The catalogue: the one list of resources. REST routes, command line, OpenAPI, persistence and watch follow from it.
//!
//! A service adds its resources here, one entry each. What is stored of them is in `row.rs`, what is on hosts in `compile.rs`.

mod action;
mod entry;
mod place;
mod resource;
mod status;

use crate::access::ResourceAccess;
use crate::bgp::{self, BgpPeers, BgpSpeakers};
use crate::bgpvpn::{self, Bgpvpns, NetworkAssociations, PortAssociations, RouterAssociations};
use crate::core::{InstancePorts, Interfaces, ServicePorts, Services};
use crate::host::Hosts;
use crate::network::{self, Networks, Ports, Subnets};
use crate::router::{self, Routers};
use crate::{Model, RowKey, RowKind};

pub(crate) use action::Effect;
pub use action::{MemberAction, Method};
pub use entry::{Entry, Verbs};
pub use place::{ANY_PARENT, Place, Target};
pub use resource::Resource;
pub(crate) use resource::candidates_by_name;
pub use status::{NoStatuses, STATUSES, Status, Statuses};

/// Every resource there is, in the order in which they can be made.
pub const CATALOGUE: &[Entry] = &[
    Entry {
        collection: "networks",
        member: "network",
        path: "networks",
        doc: "Layer-2 networks",
        attributes: Networks::ATTRIBUTES,
        resource: &Networks,
        access: Networks::ACCESS,
        verbs: Verbs::ALL,
        actions: &[],
    },
    Entry {
        collection: "subnets",
        member: "subnet",
        path: "subnets",
        doc: "Blocks of addresses of a network",
        attributes: Subnets::ATTRIBUTES,
        resource: &Subnets,
        access: Subnets::ACCESS,
        verbs: Verbs::ALL,
        actions: &[],
    },
    Entry {
        collection: "ports",
        member: "port",
        path: "ports",
        doc: "Ports of a network: a vNIC and its binding in one",
        attributes: Ports::ATTRIBUTES,
        resource: &Ports,
        access: Ports::ACCESS,
        verbs: Verbs::ALL,
        actions: &[],
    },
    Entry {
        collection: "instance_ports",
        member: "instance_port",
        path: "instance-ports",
        doc: "vNICs, with or without anything that they are connected to",
        attributes: InstancePorts::ATTRIBUTES,
        resource: &InstancePorts,
        access: InstancePorts::ACCESS,
        verbs: Verbs::ALL,
        actions: &[],
    },
    Entry {
        collection: "interfaces",
        member: "interface",
        path: "interfaces",
        doc: "Slices of a vNIC: untagged, or a VLAN",
        attributes: Interfaces::ATTRIBUTES,
        resource: &Interfaces,
        access: InstancePorts::ACCESS,
        verbs: Verbs::ALL,
        actions: &[],
    },
    Entry {
        collection: "services",
        member: "service",
        path: "services",
        doc: "What an interface can be bound to, whatever its type",
        attributes: Services::ATTRIBUTES,
        resource: &Services,
        access: Networks::ACCESS,
        verbs: Verbs::ALL,
        actions: &[],
    },
    Entry {
        collection: "service_ports",
        member: "service_port",
        path: "service-ports",
        doc: "Bindings of an interface to a service",
        attributes: ServicePorts::ATTRIBUTES,
        resource: &ServicePorts,
        access: Ports::ACCESS,
        verbs: Verbs::ALL,
        actions: &[],
    },
    Entry {
        collection: "routers",
        member: "router",
        path: "routers",
        doc: "What joins the subnets of several networks",
        attributes: Routers::ATTRIBUTES,
        resource: &Routers,
        access: ResourceAccess::OF_PROJECT,
        verbs: Verbs::ALL,
        actions: Routers::ACTIONS,
    },
    Entry {
        collection: "bgpvpns",
        member: "bgpvpn",
        path: "bgpvpn/bgpvpns",
        doc: "VPNs whose routes are exchanged by BGP",
        attributes: Bgpvpns::ATTRIBUTES,
        resource: &Bgpvpns,
        access: Bgpvpns::ACCESS,
        verbs: Verbs::ALL,
        actions: Bgpvpns::ACTIONS,
    },
    Entry {
        collection: "bgpvpn_network_associations",
        member: "bgpvpn_network_association",
        path: "bgpvpn/bgpvpns/{bgpvpn_id}/network_associations",
        doc: "Networks in a BGP VPN",
        attributes: NetworkAssociations::ATTRIBUTES,
        resource: &NetworkAssociations,
        access: ResourceAccess::OF_OWNER,
        verbs: Verbs::ALL,
        actions: &[],
    },
    Entry {
        collection: "bgpvpn_router_associations",
        member: "bgpvpn_router_association",
        path: "bgpvpn/bgpvpns/{bgpvpn_id}/router_associations",
        doc: "Routers in a BGP VPN",
        attributes: RouterAssociations::ATTRIBUTES,
        resource: &RouterAssociations,
        access: ResourceAccess::OF_OWNER,
        verbs: Verbs::ALL,
        actions: &[],
    },
    Entry {
        collection: "bgpvpn_port_associations",
        member: "bgpvpn_port_association",
        path: "bgpvpn/bgpvpns/{bgpvpn_id}/port_associations",
        doc: "Ports in a BGP VPN, with routes that lead to them",
        attributes: PortAssociations::ATTRIBUTES,
        resource: &PortAssociations,
        access: ResourceAccess::OF_OWNER,
        verbs: Verbs::ALL,
        actions: &[],
    },
    Entry {
        collection: "bgp_peers",
        member: "bgp_peer",
        path: "bgp-peers",
        doc: "Routers outside to which BGP is spoken",
        attributes: BgpPeers::ATTRIBUTES,
        resource: &BgpPeers,
        access: ResourceAccess::OF_ADMIN,
        verbs: Verbs::ALL,
        actions: &[],
    },
    Entry {
        collection: "bgp_speakers",
        member: "bgp_speaker",
        path: "bgp-speakers",
        doc: "Who speaks BGP, to which peers and for which networks",
        attributes: BgpSpeakers::ATTRIBUTES,
        resource: &BgpSpeakers,
        access: ResourceAccess::OF_ADMIN,
        verbs: Verbs::ALL,
        actions: BgpSpeakers::ACTIONS,
    },
    Entry {
        collection: "hosts",
        member: "host",
        path: "hosts",
        doc: "Hosts, as their agents describe them; deleting one fences it",
        attributes: Hosts::ATTRIBUTES,
        resource: &Hosts,
        access: ResourceAccess::OF_ADMIN,
        verbs: Verbs::READ_AND_DELETE,
        actions: &[],
    },
];

/// An extension of Neutron's of which everything works, or refuses by name what does not: alias, name.
pub type Extension = (&'static str, &'static str);

/// The extensions of Neutron's that are there: those of every resource, and those of each service.
pub const EXTENSIONS: &[&[Extension]] =
    &[OF_ALL, network::EXTENSIONS, router::EXTENSIONS, bgpvpn::EXTENSIONS, bgp::EXTENSIONS];

/// What holds for every resource.
const OF_ALL: &[Extension] = &[
    ("empty-string-filtering", "Empty String Filtering Extension"),
    ("pagination", "Pagination support"),
    ("project-id", "project_id field enabled"),
    ("revision-if-match", "If-Match constraints based on revision_number"),
    ("sorting", "Sorting support"),
    ("standard-attr-description", "standard-attr-description"),
    ("standard-attr-revisions", "Resource revision numbers"),
    ("standard-attr-tag", "Tag support for resources with standard attribute: network, port, subnet"),
    ("standard-attr-timestamp", "Resource timestamps"),
    ("tag-creation", "Tag creation with POST"),
];

/// The entry of the collection with this path.
#[must_use]
pub fn by_path(path: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.path == path)
}

/// The entry of the resources with this member name.
#[must_use]
pub fn by_member(member: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.member == member)
}

/// The entry whose resources are rows of this kind: not one that is a view of them.
#[must_use]
pub fn by_kind(kind: RowKind) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.resource.kind() == Some(kind))
}

/// The entry whose resources are made of several rows, of which this kind is one.
#[must_use]
pub fn by_part(kind: RowKind) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.parts().contains(&kind))
}

/// The entry by which somebody asked for a row: that of the whole, where it was made as part of one.
#[must_use]
pub fn asked_for_as(model: &Model, key: &RowKey) -> Option<&'static Entry> {
    let RowKey::Resource(kind, id) = key else { return None };
    by_part(*kind).filter(|entry| entry.is_made_as_one(model, *id)).or_else(|| by_kind(*kind))
}

/// The same, if the row is the one that holds the resource's name: not a mere part.
pub(crate) fn known_as(model: &Model, key: &RowKey) -> Option<&'static Entry> {
    let holds_name = |entry: &&Entry| entry.parts().first().is_none_or(|first| *first == key.kind());
    asked_for_as(model, key).filter(holds_name)
}

/// The entry whose member, collection or path has this name: however a person says it.
#[must_use]
pub fn by_any_name(name: &str) -> Option<&'static Entry> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    CATALOGUE.iter().find(|entry| entry.member == name || entry.collection == name)
}
