//! Keeps the VRFs what a change calls for: made with identifiers of their own, changed, taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weft_net::{Mac, Vni};

use crate::change::Named;
use crate::core::choose_mac;
use crate::exclusive::{Exclusive, taken};
use crate::vrf::scope::{self, Wanted};
use crate::vrf::{LOCAL_PREF, Scope, Vrf, automatic, vpn};
use crate::{Change, Id, Model, Refusal, Row, RowKey, RowKind, Standard, Write};

/// Makes the VRFs what the model calls for with all that a change has written.
///
/// # Errors
/// If no VNI or no number is left for one.
pub(crate) fn settle(base: &Model, change: &mut Change) -> Result<(), Refusal> {
    let rows: BTreeSet<RowKey> = change.writes().iter().map(Write::key).collect();
    let mut concerned = Concerned::default();
    for row in &rows {
        concerned.by_row(base, row);
        concerned.by_row(change.model(), row);
    }
    concerned.spread(base);
    concerned.spread(change.model());
    let Concerned { routers, vpns, networks, ports, .. } = concerned;
    for id in routers {
        let wanted = scope::of_router(change.model(), id);
        settle_one(change, id, wanted, BTreeMap::new())?;
    }
    for id in vpns {
        let wanted = scope::of_vpn(change.model(), id);
        let networks: Vec<Id> = vpn::networks(change.model(), id).collect();
        settle_one(change, id, wanted, known_gateways(base, networks))?;
    }
    for id in networks {
        let wanted = scope::of_network(change.model(), id);
        settle_one(change, id, wanted, known_gateways(base, [id]))?;
    }
    for id in ports {
        let wanted = scope::of_port(change.model(), id);
        settle_one(change, id, wanted, BTreeMap::new())?;
    }
    Ok(())
}

/// Makes the VRF of a router that was just made; answers its VNI.
///
/// # Errors
/// As [`settle`].
pub(crate) fn of_new_router(change: &mut Change, id: Id) -> Result<Vni, Refusal> {
    let wanted = scope::of_router(change.model(), id);
    settle_one(change, id, wanted, BTreeMap::new())?;
    let vrf = change.model().vrfs.get(&id).expect("every router has a VRF");
    Ok(vrf.vni)
}

/// What a change may call for something else of than before.
#[derive(Default)]
struct Concerned {
    routers: BTreeSet<Id>,
    vpns: BTreeSet<Id>,
    networks: BTreeSet<Id>,
    ports: BTreeSet<Id>,
    /// Networks whose ports are concerned, too.
    with_ports: BTreeSet<Id>,
}

impl Concerned {
    fn by_row(&mut self, model: &Model, row: &RowKey) {
        let RowKey::Resource(kind, id) = row else { return };
        match kind {
            RowKind::Router => {
                self.routers.insert(*id);
            }
            RowKind::Network => {
                self.networks.insert(*id);
                self.vpns.extend(model.vpns_of_network(*id));
            }
            RowKind::ServicePort => {
                self.ports.insert(*id);
                let port = model.service_ports.get(id).filter(|port| port.anycast);
                self.networks.extend(port.map(|port| port.service_id));
            }
            RowKind::RouterInterface => {
                let network = model.router_interfaces.get(id).map(|interface| interface.network_id);
                self.networks.extend(network);
                self.with_ports.extend(network);
                self.vpns.extend(network.into_iter().flat_map(|network| model.vpns_of_network(network)));
            }
            RowKind::Bgpvpn => {
                self.vpns.insert(*id);
                model.members_of(*id).for_each(|member| self.by_member(model, member));
            }
            RowKind::BgpSpeaker => {
                automatic::routers(model).for_each(|id| self.by_member(model, (RowKind::Router, id)));
            }
            kind => {
                if let Some(member) = model.associated_with(*kind, *id) {
                    self.by_member(model, member);
                }
            }
        }
    }

    fn by_member(&mut self, model: &Model, member: (RowKind, Id)) {
        match member {
            (RowKind::Router, id) => {
                self.routers.insert(id);
                self.networks.extend(model.networks_of(id));
                self.with_ports.extend(model.networks_of(id));
            }
            (RowKind::Network, id) => {
                self.networks.insert(id);
                self.with_ports.insert(id);
                // With one VPN more, or less, a network may share the VRF of another than before.
                self.vpns.extend(model.vpns_of_network(id));
            }
            (_, id) => {
                self.ports.insert(id);
            }
        }
    }

    /// What a network calls for decides what its ports call for that are in VPNs of their own.
    fn spread(&mut self, model: &Model) {
        for network in &self.with_ports {
            let calls = |port: &Id| model.vrfs.contains_key(port) || model.is_associated(*port);
            self.ports.extend(model.bindings_to(*network).filter(calls));
        }
    }
}

/// The MAC addresses that gateways of networks have before a change, in whichever VRF. What a router's interface gives goes with it.
fn known_gateways(base: &Model, networks: impl IntoIterator<Item = Id>) -> BTreeMap<Id, Mac> {
    let known = |network| {
        let vrfs = base.vrfs_of_network(network).into_iter().filter_map(|vrf| base.vrfs.get(&vrf));
        let mut own = vrfs.filter(|vrf| vrf.scope != Scope::Router);
        Some((network, own.next()?.gateway_mac(network)))
    };
    networks.into_iter().filter_map(known).collect()
}

fn settle_one(
    change: &mut Change,
    id: Id,
    wanted: Option<Wanted>,
    gateways: BTreeMap<Id, Mac>,
) -> Result<(), Refusal> {
    let stored = change.model().vrfs.get(&id).cloned();
    let Some(wanted) = wanted else {
        if stored.is_some() {
            change.delete(RowKey::Resource(RowKind::Vrf, id));
        }
        return Ok(());
    };
    let mut vrf = match &stored {
        Some(stored) => Vrf::clone(stored),
        None => choose(change, id, &wanted)?,
    };
    if let Some(vni) = wanted.vni.filter(|vni| *vni != vrf.vni && is_free(change.model(), *vni)) {
        vrf.vni = vni;
    }
    vrf.gateways = gateways.into_iter().filter(|(_, mac)| *mac != vrf.mac_address).collect();
    vrf.imports = wanted.imports;
    vrf.exports = wanted.exports;
    let given = change.model().free_distinguishers((RowKind::Vrf, id), wanted.route_distinguishers);
    vrf.route_distinguishers = given.collect();
    vrf.local_pref = wanted.local_pref.unwrap_or(LOCAL_PREF);
    vrf.multipath = wanted.multipath;
    if stored.as_deref() == Some(&vrf) {
        return Ok(());
    }
    if stored.is_some() {
        vrf.standard.touch(change.now());
    }
    change.put(Row::Vrf(Arc::new(vrf)));
    Ok(())
}

/// A new VRF, with identifiers that no other has.
fn choose(change: &mut Change, id: Id, wanted: &Wanted) -> Result<Vrf, Refusal> {
    let exhausted = |what: &str| {
        let message = format!("Unable to create the VRF. No {what} is available for allocation.");
        Refusal::conflict("NoVrfAvailable", message)
    };
    let asked = wanted.vni.filter(|vni| is_free(change.model(), *vni));
    let vni = asked.or_else(|| change.model().free_vni()).ok_or_else(|| exhausted("VNI"))?;
    let number = change.model().free_vrf_number().ok_or_else(|| exhausted("number"))?;
    Ok(Vrf {
        standard: standard(change, id, wanted.scope),
        scope: wanted.scope,
        vni,
        number,
        mac_address: choose_mac(change, None),
        gateways: BTreeMap::new(),
        imports: BTreeSet::new(),
        exports: BTreeSet::new(),
        route_distinguishers: Vec::new(),
        local_pref: LOCAL_PREF,
        multipath: wanted.multipath,
    })
}

/// It belongs to whom what it is for belongs; no declared set has it, since none declares it.
fn standard(change: &Change, id: Id, scope: Scope) -> Standard {
    let of = change.model().row(&RowKey::Resource(scope.kind(), id));
    let project_id = of.and_then(|row| row.project_id().map(str::to_owned));
    let standard = change.standard(id, Named { project_id, ..Named::default() });
    Standard { apply_set: None, declared_as: None, ..standard }
}

fn is_free(model: &Model, vni: Vni) -> bool {
    taken(model, &Exclusive::Vni(vni)).is_none()
}
