//! Leaks: whatever one VPN has routes to is told to another's members, as if it were behind a port.
//!
//! ```text
//!  paths that bear a target which the one VPN imports ──┐
//!                                                       ├─ the port ──> those who import what the other VPN exports
//!  routes that its VRFs have learned from outside ──────┘
//! ```
//!
//! No path is kept for that: whether there is one is asked where a destination is compiled, so that a leak costs a commit
//! nothing but what it changes. What is leaked follows from paths that are none themselves: so two VPNs can be leaked into
//! each other, and no route goes round.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use ipnet::IpNet;
use weft_net::RouteTarget;

use crate::bgpvpn::Multipath;
use crate::vrf::member::Path;
use crate::vrf::vpn::DeclaredLeak;
use crate::vrf::{Target, Vrf, route, usable};
use crate::{Id, Model, RowKind};

/// What a VPN has routes to, behind a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Leak {
    /// The VRF of the port, which is its own.
    pub(super) vrf: Id,
    port: Id,
    /// The port's addresses, the first of each version.
    via: [Option<IpAddr>; 2],
    local_pref: Option<u32>,
    multipath: Option<Multipath>,
    /// The association that says so.
    by: (RowKind, Id),
    /// What the VPN has routes by.
    imports: BTreeSet<RouteTarget>,
    /// Who is to import them.
    pub(super) exports: BTreeSet<Target>,
}

/// All leaks, by the targets of what they lead to, by those that they are told with, and by VRF.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Leaks {
    importing: OrdMap<RouteTarget, OrdSet<Arc<Leak>>>,
    exporting: OrdMap<Target, OrdSet<Arc<Leak>>>,
    of_vrf: OrdMap<Id, OrdSet<Arc<Leak>>>,
}

impl Leak {
    /// What is declared to be behind a port with these addresses.
    pub(super) fn of(
        vrf: Id,
        (port, addresses): (Id, &[IpAddr]),
        declared: DeclaredLeak,
        exports: BTreeSet<Target>,
    ) -> Self {
        let first = |is_ipv4: bool| addresses.iter().copied().find(|address| address.is_ipv4() == is_ipv4);
        let DeclaredLeak { imports, local_pref, multipath, by, .. } = declared;
        Self { vrf, port, via: [first(true), first(false)], local_pref, multipath, by, imports, exports }
    }

    fn path_to(&self, prefix: IpNet) -> Option<Path> {
        let via = self.via[usize::from(!prefix.addr().is_ipv4())];
        let Self { vrf, port, local_pref, multipath, by, .. } = *self;
        via.is_some().then_some(Path { vrf, port, via, local_pref, multipath, by, is_leaked: true })
    }

    /// Whether all that a VRF learns from outside is what the VPN has routes to.
    fn learns_from(&self, vrf: &Vrf) -> bool {
        vrf.imports.iter().filter_map(Target::route_target).all(|target| self.imports.contains(&target))
    }
}

impl Leaks {
    pub(super) fn insert(&mut self, leak: &Arc<Leak>) {
        for target in &leak.imports {
            self.importing.entry(*target).or_default().insert(leak.clone());
        }
        for target in &leak.exports {
            self.exporting.entry(*target).or_default().insert(leak.clone());
        }
        self.of_vrf.entry(leak.vrf).or_default().insert(leak.clone());
    }

    pub(super) fn remove(&mut self, leak: &Arc<Leak>) {
        leak.imports.iter().for_each(|target| take(&mut self.importing, target, leak));
        leak.exports.iter().for_each(|target| take(&mut self.exporting, target, leak));
        take(&mut self.of_vrf, &leak.vrf, leak);
    }

    pub(super) fn exporting(&self, target: Target) -> impl Iterator<Item = &Arc<Leak>> + use<'_> {
        self.exporting.get(&target).into_iter().flatten()
    }

    pub(super) fn of_vrf(&self, vrf: Id) -> impl Iterator<Item = &Arc<Leak>> + use<'_> {
        self.of_vrf.get(&vrf).into_iter().flatten()
    }

    /// Those that lead to what bears one of these targets.
    fn importing<'l>(&'l self, targets: &BTreeSet<Target>) -> BTreeSet<&'l Arc<Leak>> {
        let targets = targets.iter().filter_map(Target::route_target);
        targets.filter_map(|target| self.importing.get(&target)).flatten().collect()
    }
}

fn take<K: Ord + Clone>(map: &mut OrdMap<K, OrdSet<Arc<Leak>>>, key: &K, leak: &Arc<Leak>) {
    let Some(leaks) = map.get_mut(key) else { return };
    leaks.remove(leak);
    if leaks.is_empty() {
        map.remove(key);
    }
}

impl Model {
    /// The leaks by which a VRF may have paths: its own, and those that it imports.
    pub(super) fn leaks_in<'m>(&'m self, vrf: &'m Vrf) -> impl Iterator<Item = &'m Arc<Leak>> {
        let leaks = &self.index.members.leaks;
        let imported = vrf.imports.iter().flat_map(|target| leaks.exporting(*target));
        leaks.of_vrf(vrf.standard.id).chain(imported)
    }

    /// The paths to a prefix by some leaks.
    pub(super) fn leaked_paths<'m>(
        &'m self,
        leaks: impl Iterator<Item = &'m Arc<Leak>>,
        prefix: IpNet,
    ) -> impl Iterator<Item = Path> {
        leaks.filter(move |leak| self.leads_to(leak, prefix)).filter_map(move |leak| leak.path_to(prefix))
    }

    /// Whether a leak's VPN has a route to a prefix, other than to the leak's own port.
    fn leads_to(&self, leak: &Leak, prefix: IpNet) -> bool {
        let mut targets = leak.imports.iter().map(|target| Target::Route(*target));
        targets.any(|target| {
            let mut paths = self.exported_to(target, prefix).filter(|path| path.port != leak.port);
            paths.any(|path| route::is_live(self, &path))
        }) || self.learned_for(leak).any(|vrf| usable::routes(self, vrf, prefix).next().is_some())
    }

    /// The VRFs whose learned routes are those of a leak's VPN.
    fn learned_for<'m>(&'m self, leak: &'m Leak) -> impl Iterator<Item = Id> + use<'m> {
        let targets = leak.imports.iter().map(|target| Target::Route(*target)).collect();
        let vrfs = self.importers_of(&targets).into_iter();
        vrfs.filter(|vrf| self.vrfs.get(vrf).is_some_and(|vrf| leak.learns_from(vrf)))
    }

    /// The leaks that lead where paths lead which bear one of these targets.
    pub(super) fn leaks_from(&self, targets: &BTreeSet<Target>) -> BTreeSet<&Arc<Leak>> {
        self.index.members.leaks.importing(targets)
    }

    /// The leaks that lead where routes lead which a VRF has learned.
    pub(super) fn leaks_of_learned(&self, vrf: &Vrf) -> impl Iterator<Item = &Arc<Leak>> {
        self.leaks_from(&vrf.imports).into_iter().filter(|leak| leak.learns_from(vrf))
    }

    /// Where a leak may lead.
    pub(super) fn leaked_prefixes<'m>(&'m self, leak: &'m Leak) -> impl Iterator<Item = IpNet> + use<'m> {
        let told = leak.imports.iter().flat_map(|target| self.exported_with(Target::Route(*target)));
        told.chain(self.learned_for(leak).flat_map(|vrf| self.facts.destinations(vrf)))
    }

    /// Who is to import a path that is leaked.
    pub(super) fn targets_of_leaked(&self, path: &Path) -> impl Iterator<Item = Target> + use<'_> {
        let (vrf, by, port) = (path.vrf, path.by, path.port);
        let leaks =
            self.index.members.leaks.of_vrf(vrf).filter(move |leak| leak.by == by && leak.port == port);
        leaks.flat_map(|leak| leak.exports.iter().copied())
    }
}
