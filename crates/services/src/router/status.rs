//! The status of a router, as the hosts have reported of its gateways.

use std::collections::BTreeSet;

use crate::catalogue::{Status, Statuses};
use crate::compile::{FragmentKey, Subject};
use crate::router::{Router, RouterInterface};
use crate::vrf::compile::takes_part;
use crate::{Id, Model, RowKey, RowKind};

/// The status of a router: in error where one of its hosts could not make it, otherwise active as soon as one has. How far
/// the other hosts are is not its status; where nothing is behind it, nothing is waited for.
pub(crate) fn of_router(model: &Model, router: &Router, statuses: &dyn Statuses) -> Status {
    if !router.admin_state_up {
        return Status::Down;
    }
    let networks = model.networks_of(router.standard.id);
    let vrfs: BTreeSet<Id> = networks.flat_map(|network| model.vrfs_of_network(network)).collect();
    let on_hosts = vrfs.into_iter().flat_map(|vrf| {
        let hosts = model.hosts_of_vrf(vrf).filter(move |host| takes_part(model, vrf, host));
        hosts.map(move |host| {
            let fragment = FragmentKey::new(RowKind::Vrf, vrf, RowKey::Host(host.clone()));
            statuses.fragment(host, &fragment)
        })
    });
    let reported: BTreeSet<Status> = on_hosts.collect();
    if reported.contains(&Status::Error) {
        Status::Error
    } else if reported.is_empty() || reported.contains(&Status::Active) {
        Status::Active
    } else {
        Status::Build
    }
}

/// The routers whose status hangs on what a host reports of a fragment: of a VRF's gateways there.
pub(crate) fn routers_reported_in(model: &Model, fragment: &FragmentKey) -> BTreeSet<Id> {
    let (RowKind::Vrf, Subject::Row(RowKey::Host(_))) = (fragment.service.kind, &fragment.subject) else {
        return BTreeSet::new();
    };
    let vrf = fragment.service.id;
    // The VRF is a router's, or a network's own.
    let networks = std::iter::once(vrf).chain(model.networks_of(vrf));
    networks.flat_map(|network| model.routers_of(network)).collect()
}

/// The same of routers' interfaces.
pub(crate) fn interfaces_reported_in<'m>(
    model: &'m Model,
    fragment: &FragmentKey,
) -> impl Iterator<Item = &'m RouterInterface> + use<'m> {
    let routers = routers_reported_in(model, fragment).into_iter();
    let all = routers.flat_map(|router| model.referring((RowKind::Router, router), RowKind::RouterInterface));
    all.filter_map(|id| model.router_interfaces.get(&id).map(|interface| &**interface))
}

/// The status of a router's interface: its router's, unless it is switched off itself.
pub(crate) fn of_interface(model: &Model, port: Id, statuses: &dyn Statuses) -> Option<Status> {
    let interface = model.router_interfaces.get(&port)?;
    let router = model.routers.get(&interface.router_id)?;
    let is_up = model.instance_ports.get(&port).is_some_and(|port| port.admin_state_up);
    Some(if is_up { of_router(model, router, statuses) } else { Status::Down })
}
