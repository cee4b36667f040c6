//! Compilation: from the model to what each host should look like, in fragments.
//!
//! A fragment is (service instance, subject) → objects. Its *home* host gets one set of objects, every other host that
//! follows the instance gets the other. One port more in a network of 10,000 ports over 500 hosts is one fragment, encoded
//! twice; a cold start, a full check and an incremental step run the same code.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use weft_dataplane::{Fragment, FragmentId, Object};
use weft_net::HostName;

use crate::core::compile as core;
use crate::network::compile as network;
use crate::{Id, Model, RowKey, RowKind, Write};

/// An instance of a service, as far as hosts follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceKey {
    /// A vNIC; only its own host follows it.
    InstancePort(Id),
    /// A network; the hosts with live bindings to it follow it.
    Network(Id),
}

/// A subject that adds to an instance of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FragmentKey {
    /// A vNIC itself.
    InstancePort(Id),
    /// A slice of a vNIC: of this instance port, this interface.
    Interface(Id, Id),
    /// A host that takes part in a network.
    NetworkHost(Id, HostName),
    /// A binding to a network: of this network, this service port.
    NetworkPort(Id, Id),
}

/// A compiled fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The subject's own host.
    pub home: HostName,
    /// The objects on that host.
    pub local: Vec<Object>,
    /// The objects on every other host that follows the instance.
    pub remote: Vec<Object>,
}

impl Compiled {
    /// The objects on this host, which follows the instance.
    #[must_use]
    pub fn objects_on(&self, host: &HostName) -> &[Object] {
        if *host == self.home { &self.local } else { &self.remote }
    }
}

impl FragmentKey {
    /// The instance of a service to which the subject adds.
    #[must_use]
    pub const fn service(&self) -> ServiceKey {
        match self {
            Self::InstancePort(id) | Self::Interface(id, _) => ServiceKey::InstancePort(*id),
            Self::NetworkHost(network, _) | Self::NetworkPort(network, _) => ServiceKey::Network(*network),
        }
    }

    /// The same as agents know it.
    #[must_use]
    pub fn id(&self) -> FragmentId {
        let subject = match self {
            Self::InstancePort(id) => format!("instance-port/{id}"),
            Self::Interface(_, id) => format!("interface/{id}"),
            Self::NetworkHost(_, host) => format!("host/{host}"),
            Self::NetworkPort(_, port) => format!("service-port/{port}"),
        };
        FragmentId { service: self.service().to_string().into(), subject: subject.into() }
    }

    /// The resource that asked for what is in the fragment: its path and identifier; none where a host did by taking part.
    #[must_use]
    pub fn resource(&self) -> Option<(&'static str, Id)> {
        match self {
            Self::InstancePort(id) => Some(("instance-ports", *id)),
            Self::Interface(_, id) => Some(("interfaces", *id)),
            Self::NetworkHost(network, _) => Some(("networks", *network)),
            Self::NetworkPort(_, port) => Some(("service-ports", *port)),
        }
    }

    /// The key that agents know by this identifier.
    #[must_use]
    pub fn from_id(id: &FragmentId) -> Option<Self> {
        let (service, of) = id.service.split_once('/')?;
        let (subject, name) = id.subject.split_once('/')?;
        let of = of.parse().ok()?;
        match (service, subject) {
            ("instance-port", "instance-port") => Some(Self::InstancePort(of)),
            ("instance-port", "interface") => Some(Self::Interface(of, name.parse().ok()?)),
            ("network", "host") => Some(Self::NetworkHost(of, name.parse().ok()?)),
            ("network", "service-port") => Some(Self::NetworkPort(of, name.parse().ok()?)),
            _ => None,
        }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstancePort(id) => write!(f, "instance-port/{id}"),
            Self::Network(id) => write!(f, "network/{id}"),
        }
    }
}

/// What a fragment puts on hosts; `None` while it puts nothing on any.
#[must_use]
pub fn compile(model: &Model, key: &FragmentKey) -> Option<Compiled> {
    match key {
        FragmentKey::InstancePort(id) => core::instance_port(model, *id),
        FragmentKey::Interface(_, id) => core::interface(model, *id),
        FragmentKey::NetworkHost(network, host) => network::host(model, *network, host),
        FragmentKey::NetworkPort(network, port) => network::port(model, *network, *port),
    }
}

/// All fragments of an instance of a service.
#[must_use]
pub fn fragments_of(model: &Model, service: ServiceKey) -> Vec<FragmentKey> {
    match service {
        ServiceKey::InstancePort(id) => core::fragments(model, id),
        ServiceKey::Network(id) => network::fragments(model, id),
    }
}

/// The hosts that follow an instance of a service.
#[must_use]
pub fn followers(model: &Model, service: ServiceKey) -> Vec<HostName> {
    match service {
        ServiceKey::InstancePort(id) => {
            let host = model.instance_ports.get(&id).and_then(|port| port.host_id.clone());
            host.filter(|host| model.hosts.contains_key(host)).into_iter().collect()
        }
        ServiceKey::Network(id) => {
            model.hosts_of(id).filter(|host| network::takes_part(model, id, host)).cloned().collect()
        }
    }
}

/// The instances of services that a host follows.
#[must_use]
pub fn followed_by(model: &Model, host: &HostName) -> BTreeSet<ServiceKey> {
    let mut followed = BTreeSet::new();
    if !model.hosts.contains_key(host) {
        return followed;
    }
    for port in model.ports_on(host) {
        followed.insert(ServiceKey::InstancePort(port));
        let bindings = model.service_ports_on(port).into_iter().filter_map(|id| model.service_ports.get(&id));
        followed.extend(
            bindings
                .filter_map(|binding| model.live_binding(binding))
                .filter(|(network, _)| network::takes_part(model, *network, host))
                .map(|(network, _)| ServiceKey::Network(network)),
        );
    }
    followed
}

/// The whole intent of a host.
#[must_use]
pub fn intent_of(model: &Model, host: &HostName) -> Vec<Fragment> {
    let keys = followed_by(model, host).into_iter().flat_map(|service| fragments_of(model, service));
    let compiled = keys.filter_map(|key| {
        let objects = compile(model, &key)?.objects_on(host).to_vec();
        Some(Fragment { id: key.id(), objects })
    });
    compiled.filter(|fragment| !fragment.objects.is_empty()).collect()
}

/// The fragments that a change may have touched: those that have to be compiled again, before or after it.
#[must_use]
pub fn touched(before: &Model, after: &Model, writes: &[Write]) -> BTreeSet<FragmentKey> {
    let mut touched = BTreeSet::new();
    for write in writes {
        for model in [before, after] {
            match write.key() {
                RowKey::Resource(RowKind::InstancePort, id) => core::touched_by_vnic(model, id, &mut touched),
                RowKey::Resource(RowKind::Interface, id) => {
                    core::touched_by_interface(model, id, &mut touched)
                }
                RowKey::Resource(RowKind::ServicePort, id) => {
                    network::touched_by_port(model, id, &mut touched)
                }
                RowKey::Resource(RowKind::Network, id) => {
                    if network::differs(before, after, id) {
                        network::touched_by_network(model, id, &mut touched);
                    }
                }
                RowKey::Resource(RowKind::Subnet, id) => {
                    network::touched_by_subnet(before, after, id, &mut touched)
                }
                RowKey::Host(host) => network::touched_by_host(model, &host, &mut touched),
                RowKey::Resource(RowKind::Host | RowKind::Departure, _) | RowKey::Departure(..) => {}
            }
        }
    }
    touched
}

/// What a change is to one host: the fragments that it is to be sent, and those that it is to forget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostDelta {
    /// Fragments that are new on the host or put something else on it than before, in order.
    pub upserts: Vec<FragmentKey>,
    /// Fragments that put nothing on it any more, in order.
    pub removals: Vec<FragmentId>,
}

/// What a change is to each host that it concerns; [`touched`] says which fragments it is about. A host that begins to follow a service gets all of the service's
/// fragments, one that stops loses them all, and one that follows it before and after gets those that differ for it.
#[must_use]
pub fn deltas(
    before: &Model,
    after: &Model,
    touched: &BTreeSet<FragmentKey>,
) -> BTreeMap<HostName, HostDelta> {
    let mut services: BTreeMap<ServiceKey, Vec<&FragmentKey>> = BTreeMap::new();
    for key in touched {
        services.entry(key.service()).or_default().push(key);
    }
    let mut deltas = BTreeMap::new();
    for (service, keys) in services {
        let [were, are] =
            [before, after].map(|model| followers(model, service).into_iter().collect::<BTreeSet<_>>());
        let stayed: Vec<&HostName> = were.intersection(&are).collect();
        let joined: Vec<&HostName> = are.difference(&were).collect();
        let left: Vec<&HostName> = were.difference(&are).collect();
        for key in keys {
            changed(key, [compile(before, key), compile(after, key)], &stayed, &mut deltas);
        }
        let all = |model, hosts: &[&HostName]| {
            if hosts.is_empty() { Vec::new() } else { fragments_of(model, service) }
        };
        for key in all(after, &joined) {
            changed(&key, [None, compile(after, &key)], &joined, &mut deltas);
        }
        for key in all(before, &left) {
            changed(&key, [compile(before, &key), None], &left, &mut deltas);
        }
    }
    deltas.values_mut().for_each(HostDelta::sort);
    deltas
}

/// Notes for each of these hosts what becomes of a fragment on it.
fn changed(
    key: &FragmentKey,
    [before, after]: [Option<Compiled>; 2],
    hosts: &[&HostName],
    deltas: &mut BTreeMap<HostName, HostDelta>,
) {
    for host in hosts {
        let [before, after] = [&before, &after]
            .map(|compiled| compiled.as_ref().map_or(&[][..], |compiled| compiled.objects_on(host)));
        if before == after {
            continue;
        }
        let delta = deltas.entry((*host).clone()).or_default();
        if after.is_empty() {
            delta.removals.push(key.id());
        } else {
            delta.upserts.push(key.clone());
        }
    }
}

impl HostDelta {
    fn sort(&mut self) {
        self.upserts.sort();
        self.removals.sort();
    }
}

impl Model {
    pub(crate) fn ports_on(&self, host: &HostName) -> impl Iterator<Item = Id> {
        self.index.by_host.range((host.clone(), Id::MIN)..=(host.clone(), Id::MAX)).map(|(_, id)| *id)
    }
}

/// Adds the fragments of all ports on a host.
pub(crate) fn touched_by_ports_on(model: &Model, host: &HostName, touched: &mut BTreeSet<FragmentKey>) {
    for port in model.ports_on(host) {
        core::touched_by_vnic(model, port, touched);
    }
}

/// Where a binding is live.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundOn {
    /// The host.
    pub host: HostName,
    /// The vNIC.
    pub instance_port: Id,
}

/// Where a service port is bound; `None` while it is not, or cannot be carried out.
#[must_use]
pub fn bound_on(model: &Model, port: &crate::core::ServicePort) -> Option<BoundOn> {
    let (network, host) = model.live_binding(port)?;
    network::takes_part(model, network, &host).then_some(())?;
    let instance_port = model.instance_port_of(port.interface_id)?.standard.id;
    Some(BoundOn { host, instance_port })
}

/// The fragments whose subject is on a host.
#[must_use]
pub fn at_home(model: &Model, host: &HostName) -> Vec<FragmentKey> {
    let mut keys = Vec::new();
    for port in model.ports_on(host) {
        keys.extend(core::fragments(model, port));
        for id in model.service_ports_on(port) {
            let network = model.service_ports.get(&id).map(|port| port.service_id);
            keys.extend(network.map(|network| FragmentKey::NetworkPort(network, id)));
        }
    }
    let networks = followed_by(model, host).into_iter().filter_map(|service| match service {
        ServiceKey::Network(network) => Some(FragmentKey::NetworkHost(network, host.clone())),
        ServiceKey::InstancePort(_) => None,
    });
    keys.extend(networks);
    keys
}
