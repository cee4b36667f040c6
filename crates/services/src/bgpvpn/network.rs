//! Network associations: all ports of a network are in a BGP VPN.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::association::{self, Common, Role, Target};
use super::bad_request;
use super::resource::BgpvpnType;
use crate::access::AttributeAccess;
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::change::{Change, typed};
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

#[derive(serde::Deserialize)]
struct Spec {
    #[serde(flatten)]
    common: Common,
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

impl Resource for NetworkAssociations {
    fn kind(&self) -> Option<RowKind> {
        Some(KIND)
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        association::candidates(model, KIND, (attribute, value), ("network_id", RowKind::Network))
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        let row = model.bgpvpn_network_associations.get(&id.parse::<Id>().ok()?)?;
        let mut map = association::render(&row.standard, row.bgpvpn_id, row.role);
        map.insert("network_id".into(), json!(row.network_id));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let Spec { common, network_id } = typed(merged)?;
        let Some(network) = change.model().networks.get(&network_id).cloned() else {
            return Err(Refusal::no_network(network_id));
        };
        let id = change.choose_id();
        let target = Target { what: "network", id: network_id, project_id: &network.standard.project_id };
        let (bgpvpn, standard) = association::begin(change, id, &common, &target)?;
        let role = association::role(&bgpvpn, common.role)?;
        let row = BgpvpnNetworkAssociation { standard, bgpvpn_id: common.bgpvpn_id, network_id, role };
        check(change.model(), &row)?;
        change.put(Row::BgpvpnNetworkAssociation(Arc::new(row)));
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().bgpvpn_network_associations.get(&id));
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let Spec { common, .. } = typed(merged)?;
        let mut row = BgpvpnNetworkAssociation::clone(stored);
        row.standard.rename(common.named, change.now());
        if let Some(bgpvpn) = change.model().bgpvpns.get(&row.bgpvpn_id) {
            row.role = association::role(bgpvpn, common.role)?;
        }
        change.put(Row::BgpvpnNetworkAssociation(Arc::new(row)));
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("BGPVPNNetAssocNotFound", "BGPVPN network association", id)
    }
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
