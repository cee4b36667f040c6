//! The indexes of VRFs: which ports are in one on which host, which paths lead where, and who imports them.
//!
//! All of it follows from rows that have nothing to say of one another (a port, its network's router, a VPN …): so what
//! follows from the ports around a write is taken out before the write, and put in anew after it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;
use weft_net::{HostName, RouteTarget};

use crate::bgpvpn::Multipath;
use crate::core::{FixedIp, ServicePort};
use crate::vrf::leak::{Leak, Leaks};
use crate::vrf::{Scope, Target, Vrf, vpn};
use crate::{Id, Model, Row, RowKind};

/// What is known of VRFs besides their rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Members {
    /// Ports with a live binding, by VRF and host, each with its network.
    ports: OrdMap<Id, OrdMap<HostName, OrdSet<(Id, Id)>>>,
    /// Where paths of a VRF's own lead.
    paths: OrdSet<(Id, IpNet, Path)>,
    /// Where paths lead that whoever imports a target imports.
    exported: OrdSet<(Target, IpNet, Path)>,
    /// Who imports a target, and who exports it.
    importers: OrdSet<(Target, Id)>,
    exporters: OrdSet<(Target, Id)>,
    /// What is told to others as if it were behind a port.
    pub(super) leaks: Leaks,
}

/// A way to a destination: a port, or what is behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    /// The VRF that it is in.
    pub(crate) vrf: Id,
    /// The binding that it leads to.
    pub(crate) port: Id,
    /// The port's address behind which the destination is; `None`: it is the port's own.
    pub(crate) via: Option<IpAddr>,
    /// How much it is preferred, if it says so itself.
    pub(crate) local_pref: Option<u32>,
    /// What becomes of several paths to the destination, if it says so itself.
    pub(crate) multipath: Option<Multipath>,
    /// The row that says so.
    pub(crate) by: (RowKind, Id),
    /// Whether it is there because another VPN has a path to the same destination.
    pub(crate) is_leaked: bool,
}

/// What follows from one port.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) members: Vec<(Id, HostName, Id)>,
    pub(super) paths: Vec<(IpNet, Path, BTreeSet<Target>)>,
    pub(super) leaks: Vec<Arc<Leak>>,
}

impl Members {
    fn leave(&mut self, vrf: Id, host: &HostName, port: (Id, Id)) {
        let Some(hosts) = self.ports.get_mut(&vrf) else { return };
        if let Some(ports) = hosts.get_mut(host) {
            ports.remove(&port);
            if ports.is_empty() {
                hosts.remove(host);
            }
        }
        if hosts.is_empty() {
            self.ports.remove(&vrf);
        }
    }
}

/// Makes a change of rows, and the indexes of VRFs what they are after it.
pub(crate) fn around(model: &mut Model, rows: [Option<&Row>; 2], change: impl FnOnce(&mut Model)) {
    let before: BTreeSet<Id> = rows.iter().flatten().flat_map(|row| ports_around(model, row, rows)).collect();
    for port in &before {
        let entries = entries(model, *port);
        let members = &mut model.index.members;
        for (vrf, host, network) in entries.members {
            members.leave(vrf, &host, (network, *port));
        }
        for (prefix, path, targets) in entries.paths {
            for target in targets {
                members.exported.remove(&(target, prefix, path));
            }
            members.paths.remove(&(path.vrf, prefix, path));
        }
        entries.leaks.iter().for_each(|leak| members.leaks.remove(leak));
    }
    change(model);
    let after = rows.iter().flatten().flat_map(|row| ports_around(model, row, rows));
    for port in after.chain(before.iter().copied()).collect::<BTreeSet<Id>>() {
        let entries = entries(model, port);
        let members = &mut model.index.members;
        for (vrf, host, network) in entries.members {
            members.ports.entry(vrf).or_default().entry(host).or_default().insert((network, port));
        }
        for (prefix, path, targets) in entries.paths {
            for target in targets {
                members.exported.insert((target, prefix, path));
            }
            members.paths.insert((path.vrf, prefix, path));
        }
        entries.leaks.iter().for_each(|leak| members.leaks.insert(leak));
    }
}

/// Notes who imports what, and who exports it.
pub(super) fn index_imports(model: &mut Model, before: Option<&Vrf>, after: Option<&Vrf>) {
    let members = &mut model.index.members;
    if let Some(vrf) = before {
        for target in &vrf.imports {
            members.importers.remove(&(*target, vrf.standard.id));
        }
        for target in &vrf.exports {
            members.exporters.remove(&(*target, vrf.standard.id));
        }
    }
    if let Some(vrf) = after {
        members.importers.extend(vrf.imports.iter().map(|target| (*target, vrf.standard.id)));
        members.exporters.extend(vrf.exports.iter().map(|target| (*target, vrf.standard.id)));
    }
}

/// The bindings of which something else may follow when `rows` is what a row was and is.
pub(super) fn ports_around(model: &Model, row: &Row, rows: [Option<&Row>; 2]) -> Vec<Id> {
    let of_networks = |networks: &mut dyn Iterator<Item = Id>| -> Vec<Id> {
        networks.flat_map(|network| model.bindings_to(network)).collect()
    };
    match row {
        Row::ServicePort(port) => vec![port.standard.id],
        Row::InstancePort(_) | Row::Interface(_) => model.bindings_around(&row.key()),
        Row::Network(network) => match rows {
            [Some(Row::Network(before)), Some(Row::Network(after))]
                if before.admin_state_up == after.admin_state_up =>
            {
                Vec::new()
            }
            _ => model.bindings_to(network.standard.id).collect(),
        },
        Row::Vrf(vrf) => match vrf.scope {
            Scope::Port => vec![vrf.standard.id],
            Scope::Network => model.bindings_to(vrf.standard.id).collect(),
            Scope::Vpn => of_associated(model, model.members_of(vrf.standard.id).collect()),
            Scope::Router => of_networks(&mut model.networks_of(vrf.standard.id)),
        },
        Row::RouterInterface(interface) => model.bindings_to(interface.network_id).collect(),
        Row::Router(router) if is_switched(rows) => of_networks(&mut model.networks_of(router.standard.id)),
        Row::Router(router) => {
            let nexthops = router.routes.iter().map(|route| route.nexthop);
            let networks: Vec<Id> = model.networks_of(router.standard.id).collect();
            ports_at(model, &networks, nexthops)
        }
        row => of_associated(model, vpn::associated_by(model, row, rows)),
    }
}

/// Whether a router comes, goes, or is switched on or off.
fn is_switched(rows: [Option<&Row>; 2]) -> bool {
    match rows {
        [Some(Row::Router(before)), Some(Row::Router(after))] => {
            before.admin_state_up != after.admin_state_up
        }
        _ => true,
    }
}

/// The bindings of what associations associate.
fn of_associated(model: &Model, associated: Vec<(RowKind, Id)>) -> Vec<Id> {
    let mut ports = Vec::new();
    for (kind, id) in associated {
        match kind {
            RowKind::Router => {
                ports.extend(model.networks_of(id).flat_map(|network| model.bindings_to(network)));
            }
            RowKind::Network => ports.extend(model.bindings_to(id)),
            _ => ports.push(id),
        }
    }
    ports
}

fn ports_at(model: &Model, networks: &[Id], addresses: impl Iterator<Item = IpAddr>) -> Vec<Id> {
    let at = |address| networks.iter().flat_map(move |network| model.bindings_at(*network, address));
    addresses.flat_map(at).collect()
}

/// What follows from a port, as the rows around it are.
pub(super) fn entries(model: &Model, id: Id) -> Entries {
    let mut entries = Entries::default();
    let Some(port) = model.service_ports.get(&id) else { return entries };
    let Some((network, host)) = model.live_binding(port) else { return entries };
    for vrf in model.vrfs_of(port) {
        let Some(vrf) = model.vrfs.get(&vrf) else { continue };
        let addresses = routed_addresses(model, vrf, port);
        // A router may have some of a network's subnets, and none that the port has an address of.
        if addresses.is_empty() && vrf.scope == Scope::Router {
            continue;
        }
        entries.members.push((vrf.standard.id, host.clone(), network));
        add_paths(model, vrf, (port, &addresses), &mut entries);
    }
    entries
}

/// The addresses of a port that a VRF routes: of a router's, those in subnets that are attached to it.
fn routed_addresses(model: &Model, vrf: &Vrf, port: &ServicePort) -> Vec<IpAddr> {
    let attached = match vrf.scope {
        Scope::Router => Some(model.subnets_attached(vrf.standard.id, port.service_id)),
        Scope::Vpn | Scope::Network | Scope::Port => None,
    };
    let is_routed =
        |fixed_ip: &&FixedIp| attached.as_ref().is_none_or(|subnets| subnets.contains(&fixed_ip.subnet_id));
    port.fixed_ips.iter().filter(is_routed).map(|fixed_ip| fixed_ip.ip_address).collect()
}

/// The paths that lead to a port in a VRF that it is in: to its own addresses, and to what is declared to be behind them.
fn add_paths(model: &Model, vrf: &Vrf, (port, addresses): (&ServicePort, &[IpAddr]), entries: &mut Entries) {
    let id = port.standard.id;
    let path = |via, (local_pref, multipath), by| Path {
        vrf: vrf.standard.id,
        port: id,
        via,
        local_pref,
        multipath,
        by,
        is_leaked: false,
    };
    let with_local = |targets: &BTreeSet<RouteTarget>| -> BTreeSet<Target> {
        let within = vrf.exports.iter().filter(|target| target.route_target().is_none());
        targets.iter().copied().map(Target::Route).chain(within.copied()).collect()
    };
    let routers: Vec<Id> = match vrf.scope {
        Scope::Router => vec![vrf.standard.id],
        Scope::Vpn | Scope::Network | Scope::Port => model.routers_of(port.service_id).collect(),
    };
    let declared = vpn::declared_for(model, port, &routers);
    let own = with_local(&declared.own_addresses);
    for address in addresses {
        let by = (RowKind::ServicePort, id);
        entries.paths.push((IpNet::from(*address), path(None, (None, None), by), own.clone()));
    }
    for route in declared.routes.into_iter().filter(|route| addresses.contains(&route.via)) {
        let path = path(Some(route.via), (route.local_pref, route.multipath), route.by);
        entries.paths.push((route.destination, path, with_local(&route.export_targets)));
    }
    for leak in declared.leaks {
        let exports = with_local(&leak.export_targets);
        entries.leaks.push(Arc::new(Leak::of(vrf.standard.id, (id, addresses), leak, exports)));
    }
}

impl Model {
    /// Where a VRF is: the hosts on which ports of it are bound.
    pub(crate) fn hosts_of_vrf(&self, vrf: Id) -> impl Iterator<Item = &HostName> {
        self.index.members.ports.get(&vrf).into_iter().flat_map(OrdMap::keys)
    }

    /// Whether a VRF is on a host.
    pub(crate) fn vrf_is_on(&self, vrf: Id, host: &HostName) -> bool {
        self.index.members.ports.get(&vrf).is_some_and(|hosts| hosts.contains_key(host))
    }

    /// The ports of a VRF on a host that are of a network.
    pub(crate) fn ports_in(
        &self,
        vrf: Id,
        host: &HostName,
        network: Id,
    ) -> impl Iterator<Item = Id> + use<'_> {
        let ports = self.index.members.ports.get(&vrf).and_then(|hosts| hosts.get(host));
        let of_network = (network, Id::MIN)..=(network, Id::MAX);
        ports.into_iter().flat_map(move |ports| ports.range(of_network.clone())).map(|(_, port)| *port)
    }

    /// The networks of which a VRF has ports on a host.
    pub(crate) fn networks_in(&self, vrf: Id, host: &HostName) -> Vec<Id> {
        let ports = self.index.members.ports.get(&vrf).and_then(|hosts| hosts.get(host));
        let after = |network: Id| Some(ports?.get_next(&(network, Id::MAX))?.0);
        std::iter::successors(after(Id::MIN), |network| after(*network)).collect()
    }

    /// All ports of a VRF.
    pub(crate) fn ports_of_vrf(&self, vrf: Id) -> impl Iterator<Item = Id> + use<'_> {
        let hosts = self.index.members.ports.get(&vrf).into_iter().flat_map(OrdMap::values);
        hosts.flatten().map(|(_, port)| *port)
    }

    /// Where paths of a VRF's own lead, and those that it imports.
    pub(crate) fn prefixes_of(&self, vrf: &Vrf) -> BTreeSet<IpNet> {
        let id = vrf.standard.id;
        let own = self.index.members.paths.range((id, first_prefix(), Path::first())..);
        let own = own.take_while(move |entry| entry.0 == id).map(|entry| entry.1);
        let imported = vrf.imports.iter().flat_map(|target| self.exported_with(*target));
        let leaked = self.leaks_in(vrf).flat_map(|leak| self.leaked_prefixes(leak));
        own.chain(imported).chain(self.facts.destinations(id)).chain(leaked).collect()
    }

    /// Where paths lead that bear a target.
    pub(super) fn exported_with(&self, target: Target) -> impl Iterator<Item = IpNet> + use<'_> {
        let of_target = self.index.members.exported.range((target, first_prefix(), Path::first())..);
        of_target.take_while(move |entry| entry.0 == target).map(|entry| entry.1)
    }

    /// The paths to a prefix that bear a target.
    pub(super) fn exported_to(&self, target: Target, prefix: IpNet) -> impl Iterator<Item = Path> + use<'_> {
        let of_target = self.index.members.exported.range((target, prefix, Path::first())..);
        of_target.take_while(move |entry| (entry.0, entry.1) == (target, prefix)).map(|entry| entry.2)
    }

    /// The paths of a VRF to a prefix: its own, and those that it imports.
    pub(crate) fn paths_to(&self, vrf: &Vrf, prefix: IpNet) -> BTreeSet<Path> {
        let own = self.own_paths_to(vrf, prefix);
        let imported = vrf.imports.iter().flat_map(|target| self.exported_to(*target, prefix));
        let leaks = vrf.imports.iter().flat_map(|target| self.index.members.leaks.exporting(*target));
        own.into_iter().chain(imported).chain(self.leaked_paths(leaks, prefix)).collect()
    }

    /// The paths of a VRF's own to a prefix.
    pub(crate) fn own_paths_to(&self, vrf: &Vrf, prefix: IpNet) -> BTreeSet<Path> {
        let id = vrf.standard.id;
        let own = self.index.members.paths.range((id, prefix, Path::first())..);
        let own = own.take_while(move |entry| (entry.0, entry.1) == (id, prefix)).map(|entry| entry.2);
        own.chain(self.leaked_paths(self.index.members.leaks.of_vrf(id), prefix)).collect()
    }

    /// The VRFs that import one of these targets.
    pub(crate) fn importers_of(&self, targets: &BTreeSet<Target>) -> BTreeSet<Id> {
        targets.iter().flat_map(|target| in_set(&self.index.members.importers, *target)).collect()
    }

    /// The other VRFs that a VRF imports from or that import from it.
    pub(crate) fn peers_of<'m>(&'m self, vrf: &'m Vrf) -> impl Iterator<Item = Id> + use<'m> {
        let from = vrf.imports.iter().flat_map(|target| in_set(&self.index.members.exporters, *target));
        let to = vrf.exports.iter().flat_map(|target| in_set(&self.index.members.importers, *target));
        from.chain(to).filter(|other| *other != vrf.standard.id)
    }
}

fn in_set(set: &OrdSet<(Target, Id)>, target: Target) -> impl Iterator<Item = Id> + use<'_> {
    set.range((target, Id::MIN)..=(target, Id::MAX)).map(|(_, id)| *id)
}

impl Path {
    /// What comes before all others.
    const fn first() -> Self {
        let by = (RowKind::Host, Id::MIN);
        Self {
            vrf: Id::MIN,
            port: Id::MIN,
            via: None,
            local_pref: None,
            multipath: None,
            by,
            is_leaked: false,
        }
    }
}

fn first_prefix() -> IpNet {
    IpNet::new(IpAddr::from([0, 0, 0, 0]), 0).expect("zero is the length of a prefix")
}
