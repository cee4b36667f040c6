//! MAC-VRFs (RFC 7432 §3): what a network needs besides to be in BGP VPNs of type `l2`.
//!
//! A row that no request writes, as a VRF is: each commit makes those that what it has written calls for, with the identifiers
//! that they have on hosts and on the wire, and takes away those that nothing calls for any more. It has its network's
//! identifier, and what only one can have of it is the network's.

use std::collections::BTreeSet;
use std::sync::Arc;

use weft_net::{IfName, RouteDistinguisher, RouteTarget, Vni};

use crate::bgpvpn::{BgpvpnType, Member, Membership, membership};
use crate::change::Named;
use crate::compile::ServiceKey;
use crate::exclusive::{Exclusive, check_owned};
use crate::stored::{Indexed, Stored, stored_standard};
use crate::vrf::{LOCAL_PREF, VrfNumber, is_of_hosts};
use crate::{Change, Id, Model, Refusal, Row, RowKey, RowKind, Standard, Write, names};

/// What a network is to the outside.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MacVrf {
    /// The identifier of the network, and whose that is.
    pub standard: Standard,
    /// Which of all VRFs and MAC-VRFs: in route distinguishers.
    pub number: VrfNumber,
    /// The VNI that its routes name and under which its hosts take frames from outside, if that is not the network's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vni: Option<Vni>,
    /// Whose routes it imports.
    pub imports: BTreeSet<RouteTarget>,
    /// Who is to import its routes.
    pub exports: BTreeSet<RouteTarget>,
    /// The route distinguisher that it was given and no other has; without, each host has one of its own for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_distinguisher: Option<RouteDistinguisher>,
    /// How much its routes are preferred (RFC 4271 §5.1.5).
    pub local_pref: u32,
}

/// By what frames get from a network's hosts to the outside, and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outward {
    /// The VXLAN device.
    pub(super) link: IfName,
    /// The VNI under which hosts take what comes.
    pub(super) vni: Vni,
}

/// By what the hosts of a network reach the outside, and are reached from there; nothing of a network that is in no VPN.
pub(super) fn outward(model: &Model, network: Id) -> Option<Outward> {
    let mac_vrf = model.mac_vrfs.get(&network)?;
    let vni = mac_vrf.vni.or(model.networks.get(&network)?.vni())?;
    Some(Outward { link: names::vxlan(vni), vni })
}

/// The service that has what is a MAC-VRF's.
const fn owner(network: Id) -> ServiceKey {
    ServiceKey { kind: RowKind::Network, id: network }
}

impl MacVrf {
    /// What only one can have.
    pub(super) fn exclusives(&self) -> impl Iterator<Item = Exclusive> {
        [Exclusive::Vrf(self.number)].into_iter().chain(self.vni.map(Exclusive::Vni))
    }
}

impl Stored for MacVrf {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        vec![(RowKind::Network, self.standard.id)]
    }

    fn check_claims(&self, model: &Model) -> Result<(), Refusal> {
        self.exclusives().try_for_each(|what| check_owned(model, owner(self.standard.id), &what))
    }
}

impl Indexed for MacVrf {
    fn index(model: &mut Model, before: Option<&Self>, after: Option<&Self>) {
        let Some(owner) = before.or(after).map(|one| owner(one.standard.id)) else { return };
        let [had, has] = [before, after].map(|one| one.map(|one| Exclusive::Vrf(one.number)));
        model.index_exclusive(owner, had, has);
        let [had, has] = [before, after].map(|one| one?.vni.map(Exclusive::Vni));
        model.index_exclusive(owner, had, has);
        let [had, has] = [before, after].map(|one| one.and_then(|one| one.route_distinguisher));
        model.index_given_distinguishers((RowKind::MacVrf, owner.id), had, has);
    }
}

/// Makes the MAC-VRFs what the model calls for with all that a change has written.
///
/// # Errors
/// If no number is left for one.
pub(crate) fn settle(base: &Model, change: &mut Change) -> Result<(), Refusal> {
    let rows: BTreeSet<RowKey> = change.writes().iter().map(Write::key).collect();
    let of = |model: &Model| rows.iter().flat_map(|row| concerned(model, row)).collect::<BTreeSet<Id>>();
    let mut networks = of(base);
    networks.extend(of(change.model()));
    networks.into_iter().try_for_each(|network| settle_one(change, network))
}

/// The networks that a row may call for something of.
fn concerned(model: &Model, row: &RowKey) -> Vec<Id> {
    match row {
        RowKey::Resource(RowKind::Network, id) => vec![*id],
        RowKey::Resource(RowKind::Bgpvpn, id) => {
            let members = model.members_of(*id).filter(|(kind, _)| *kind == RowKind::Network);
            members.map(|(_, network)| network).collect()
        }
        RowKey::Resource(RowKind::BgpvpnNetworkAssociation, id) => {
            model.bgpvpn_network_associations.get(id).map(|row| row.network_id).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn settle_one(change: &mut Change, id: Id) -> Result<(), Refusal> {
    let model = change.model();
    let stored = model.mac_vrfs.get(&id).cloned();
    let own_vni = model.networks.get(&id).and_then(|network| network.vni());
    // What VXLAN does not carry between hosts has no VNI that routes could name.
    let wanted = own_vni.and_then(|vni| Some((vni, membership(model, Member::Network(id), BgpvpnType::L2)?)));
    let Some((own_vni, wanted)) = wanted else {
        if stored.is_some() {
            change.delete(RowKey::Resource(RowKind::MacVrf, id));
        }
        return Ok(());
    };
    let mut mac_vrf = match &stored {
        Some(stored) => MacVrf::clone(stored),
        None => choose(change, id)?,
    };
    let asked = wanted.vni.filter(|vni| *vni != own_vni);
    mac_vrf.vni = asked.filter(|vni| is_available(change.model(), id, *vni));
    fill(change.model(), &mut mac_vrf, wanted);
    if stored.as_deref() == Some(&mac_vrf) {
        return Ok(());
    }
    if stored.is_some() {
        mac_vrf.standard.touch(change.now());
    }
    change.put(Row::MacVrf(Arc::new(mac_vrf)));
    Ok(())
}

fn fill(model: &Model, mac_vrf: &mut MacVrf, wanted: Membership) {
    mac_vrf.imports = wanted.import;
    mac_vrf.exports = wanted.export;
    let own = (RowKind::MacVrf, mac_vrf.standard.id);
    let mut given = model.free_distinguishers(own, wanted.route_distinguishers);
    mac_vrf.route_distinguisher = given.find(|given| !is_of_hosts(model, *given));
    mac_vrf.local_pref = wanted.local_pref.unwrap_or(LOCAL_PREF);
}

/// Whether nobody else has a VNI, and no host has one of another that had it.
fn is_available(model: &Model, network: Id, vni: Vni) -> bool {
    let (what, own) = (Exclusive::Vni(vni), owner(network));
    let is_free = model.owner_of(&what).is_none_or(|other| other == own);
    is_free && model.departures_of(&what).all(|gone| gone.of == own)
}

/// A new MAC-VRF, with a number that no other has.
fn choose(change: &Change, id: Id) -> Result<MacVrf, Refusal> {
    let exhausted = "Unable to create the MAC-VRF. No number is available for allocation.";
    let number =
        change.model().free_vrf_number().ok_or_else(|| Refusal::conflict("NoVrfAvailable", exhausted))?;
    // It belongs to whom the network belongs; no declared set has it, since none declares it.
    let network = change.model().networks.get(&id);
    let project_id = network.map(|network| network.standard.project_id.to_string());
    let standard = change.standard(id, Named { project_id, ..Named::default() });
    Ok(MacVrf {
        standard: Standard { apply_set: None, declared_as: None, ..standard },
        number,
        vni: None,
        imports: BTreeSet::new(),
        exports: BTreeSet::new(),
        route_distinguisher: None,
        local_pref: LOCAL_PREF,
    })
}
