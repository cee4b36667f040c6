//! Network associations: all ports of a network are in a BGP VPN.

use std::sync::Arc;

use imbl::OrdMap;
use serde_json::{Map, Value, json};

use super::association::{self, Association, Member, Role};
use super::bad_request;
use super::resource::{Bgpvpn, BgpvpnType};
use crate::access::AttributeAccess;
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::change::Change;
use crate::standard::standard_attributes;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, Row, RowKind, Standard};

const KIND: RowKind = RowKind::BgpvpnNetworkAssociation;

/// A network in a BGP VPN.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BgpvpnNetworkAssociation {
    /// Identifier, project, name …
    pub standard: Standard,
    /// The BGP VPN.
    pub bgpvpn_id: Id,
    /// The network.
    pub network_id: Id,
    /// Its part in hub and spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

impl Stored for BgpvpnNetworkAssociation {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        vec![(RowKind::Bgpvpn, self.bgpvpn_id), (RowKind::Network, self.network_id)]
    }

    fn check_claims(&self, model: &Model) -> Result<(), Refusal> {
        check(model, self)
    }
}

impl Indexed for BgpvpnNetworkAssociation {
    fn index(_: &mut Model, _: Option<&Self>, _: Option<&Self>) {}
}

/// What a request says besides.
#[derive(serde::Deserialize)]
pub(super) struct Given {
    network_id: Id,
}

/// The collection of network associations.
pub struct NetworkAssociations;

impl NetworkAssociations {
    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        (project = AttributeAccess::OF_ADMIN_ONCE_MADE),
        association::BGPVPN,
        Attribute::required(
            "network_id",
            AttributeType::Reference("network"),
            "Network whose ports are in it"
        ),
        association::ROLE,
    ];
}

impl Association for BgpvpnNetworkAssociation {
    const TARGET: &'static str = "network";
    type Given = Given;

    fn table(model: &Model) -> &OrdMap<Id, Arc<Self>> {
        &model.bgpvpn_network_associations
    }

    fn target(model: &Model, given: &Given) -> Result<(Id, Arc<str>), Refusal> {
        let id = given.network_id;
        let network = model.networks.get(&id).ok_or_else(|| Refusal::no_network(id))?;
        Ok((id, network.standard.project_id.clone()))
    }

    fn new(model: &Model, member: Member<'_>, given: Given) -> Result<Self, Refusal> {
        let Member { standard, bgpvpn, role } = member;
        check_type(model, bgpvpn, given.network_id)?;
        Ok(Self { standard, bgpvpn_id: bgpvpn.standard.id, network_id: given.network_id, role })
    }

    fn set(&mut self, _: &Model, _: &Bgpvpn, _: Given) -> Result<(), Refusal> {
        Ok(())
    }

    fn membership(&self) -> (Id, Option<Role>) {
        (self.bgpvpn_id, self.role)
    }

    fn role_mut(&mut self) -> &mut Option<Role> {
        &mut self.role
    }

    fn show(&self, map: &mut Map<String, Value>) {
        map.insert("network_id".into(), json!(self.network_id));
    }

    fn row(self) -> Row {
        Row::BgpvpnNetworkAssociation(Arc::new(self))
    }
}

impl Resource for NetworkAssociations {
    fn kind(&self) -> Option<RowKind> {
        Some(KIND)
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        association::candidates(model, KIND, (attribute, value), ("network_id", RowKind::Network))
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        association::render::<BgpvpnNetworkAssociation>(model, id)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        association::create::<BgpvpnNetworkAssociation>(change, merged)
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        association::update::<BgpvpnNetworkAssociation>(change, id, merged)?.ok_or_else(|| self.not_found(id))
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("BGPVPNNetAssocNotFound", "BGPVPN network association", id)
    }
}

/// What goes on in another site by EVPN is carried by VXLAN.
fn check_type(model: &Model, bgpvpn: &Bgpvpn, network: Id) -> Result<(), Refusal> {
    let has_vni = model.networks.get(&network).is_some_and(|network| network.vni().is_some());
    if bgpvpn.kind == BgpvpnType::L3 || has_vni {
        return Ok(());
    }
    let id = bgpvpn.standard.id;
    let rule = format!(
        "BGPVPN {id} is of type l2, and network {network} is not of provider:network_type vxlan, as its networks have to be"
    );
    Err(Refusal::attribute("network_id", rule))
}

/// Once is enough; and a network that a router brings into an L3 VPN is not in one by itself.
fn check(model: &Model, row: &BgpvpnNetworkAssociation) -> Result<(), Refusal> {
    let (bgpvpn, network) = (row.bgpvpn_id, row.network_id);
    let there = (bgpvpn, (RowKind::Network, network));
    if association::between(model, KIND, there, Some(row.standard.id)).is_some() {
        let message = format!("network {network} is already associated to BGPVPN {bgpvpn}");
        return Err(Refusal::invalid("BGPVPNNetAssocAlreadyExists", message));
    }
    if model.bgpvpns.get(&bgpvpn).is_none_or(|bgpvpn| bgpvpn.kind == BgpvpnType::L2) {
        return Ok(());
    }
    let interfaces = model.referring((RowKind::Network, network), RowKind::RouterInterface);
    let mut routers = interfaces.filter_map(|id| Some(model.router_interfaces.get(&id)?.router_id));
    match routers.find_map(|router| association::l3_of_router(model, router)) {
        Some(other) => Err(bad_request(format!(
            "Network {network} is linked to a router which is already associated to bgpvpn {other}"
        ))),
        None => Ok(()),
    }
}
