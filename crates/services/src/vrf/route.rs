//! Which paths lead to a prefix in a VRF: the ones that carry traffic, of all that there are.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use weft_net::HostName;

use crate::core::ServicePort;
use crate::vrf::member::Path;
use crate::vrf::{Multipath, Vrf, compile};
use crate::{Id, Model};

/// A path that carries traffic, and where it leads.
pub(super) struct Live<'m> {
    pub(super) path: &'m Path,
    pub(super) port: &'m ServicePort,
    pub(super) network: Id,
    pub(super) host: HostName,
}

/// The paths to a prefix in a VRF that carry traffic: the most preferred of those whose ports are there. Where one is to fail
/// over to another, the first of them.
pub(super) fn live<'m>(model: &'m Model, vrf: &Vrf, prefix: IpNet) -> Vec<Live<'m>> {
    let mut live: BTreeMap<u32, Vec<Live<'m>>> = BTreeMap::new();
    for path in model.paths_to(vrf, prefix) {
        let Some(own) = model.vrfs.get(&path.vrf) else { continue };
        let Some(found) = find(model, path) else { continue };
        live.entry(path.local_pref.unwrap_or(own.local_pref)).or_default().push(found);
    }
    let mut best = live.pop_last().map(|(_, best)| best).unwrap_or_default();
    // A port may be in several VRFs of which one imports from the other: it is reached directly.
    let own: BTreeSet<Id> =
        best.iter().filter(|live| live.path.vrf == vrf.standard.id).map(|live| live.path.port).collect();
    best.retain(|live| live.path.vrf == vrf.standard.id || !own.contains(&live.path.port));
    if vrf.multipath == Multipath::Failover {
        best.sort_by_key(|live| (live.port.standard.created_at, live.port.standard.id));
        best.truncate(1);
    }
    best
}

/// Where a path leads, if its port is there and its VRF takes part on that host.
fn find<'m>(model: &'m Model, path: &'m Path) -> Option<Live<'m>> {
    let port = model.service_ports.get(&path.port)?;
    let (network, host) = model.live_binding(port)?;
    compile::takes_part(model, path.vrf, &host).then_some(Live { path, port, network, host })
}

/// How many paths lead to each VRF on each host.
pub(super) fn by_place<'a, 'm: 'a>(live: impl Iterator<Item = &'a Live<'m>>) -> BTreeMap<(Id, HostName), u16> {
    let mut places: BTreeMap<(Id, HostName), u16> = BTreeMap::new();
    for one in live {
        let count = places.entry((one.path.vrf, one.host.clone())).or_default();
        *count = count.saturating_add(1);
    }
    places
}
