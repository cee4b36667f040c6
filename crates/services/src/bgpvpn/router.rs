//! Router associations: all networks of a router are in a BGP VPN.

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

const KIND: RowKind = RowKind::BgpvpnRouterAssociation;

/// A router in a BGP VPN.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BgpvpnRouterAssociation {
    /// Identifier, project, name …
    pub standard: Standard,
    /// The BGP VPN.
    pub bgpvpn_id: Id,
    /// The router.
    pub router_id: Id,
    /// Whether its extra routes are told to others.
    pub advertise_extra_routes: bool,
    /// Its part in hub and spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

impl Stored for BgpvpnRouterAssociation {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        vec![(RowKind::Bgpvpn, self.bgpvpn_id), (RowKind::Router, self.router_id)]
    }

    fn check_claims(&self, model: &Model) -> Result<(), Refusal> {
        check(model, self)
    }
}

impl Indexed for BgpvpnRouterAssociation {
    fn index(_: &mut Model, _: Option<&Self>, _: Option<&Self>) {}
}

#[derive(serde::Deserialize)]
struct Spec {
    #[serde(flatten)]
    common: Common,
    router_id: Id,
    advertise_extra_routes: bool,
}

/// The collection of router associations.
pub struct RouterAssociations;

impl RouterAssociations {
    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        (project = AttributeAccess::OF_ADMIN_ONCE_MADE),
        association::BGPVPN,
        Attribute::required(
            "router_id",
            AttributeType::Reference("router"),
            "Router whose networks are in it"
        ),
        Attribute::with_default(
            "advertise_extra_routes",
            AttributeType::Boolean,
            "true",
            "Whether its extra routes are told to others",
        ),
        association::ROLE,
    ];
}

impl Resource for RouterAssociations {
    fn kind(&self) -> Option<RowKind> {
        Some(KIND)
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        association::candidates(model, KIND, (attribute, value), ("router_id", RowKind::Router))
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        let row = model.bgpvpn_router_associations.get(&id.parse::<Id>().ok()?)?;
        let mut map = association::render(&row.standard, row.bgpvpn_id, row.role);
        map.insert("router_id".into(), json!(row.router_id));
        map.insert("advertise_extra_routes".into(), json!(row.advertise_extra_routes));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let Spec { common, router_id, advertise_extra_routes } = typed(merged)?;
        let Some(router) = change.model().routers.get(&router_id).cloned() else {
            return Err(Refusal::not_found("RouterNotFound", "Router", router_id));
        };
        let id = change.choose_id();
        let target = Target { what: "router", id: router_id, project_id: &router.standard.project_id };
        let (bgpvpn, standard) = association::begin(change, id, &common, &target)?;
        if bgpvpn.kind == BgpvpnType::L2 {
            return Err(bad_request("Router associations require the bgpvpn to be of type l3"));
        }
        let role = association::role(&bgpvpn, common.role)?;
        let bgpvpn_id = common.bgpvpn_id;
        let row = BgpvpnRouterAssociation { standard, bgpvpn_id, router_id, advertise_extra_routes, role };
        check(change.model(), &row)?;
        change.put(Row::BgpvpnRouterAssociation(Arc::new(row)));
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().bgpvpn_router_associations.get(&id));
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let Spec { common, advertise_extra_routes, .. } = typed(merged)?;
        let mut row = BgpvpnRouterAssociation::clone(stored);
        row.standard.rename(common.named, change.now());
        row.advertise_extra_routes = advertise_extra_routes;
        if let Some(bgpvpn) = change.model().bgpvpns.get(&row.bgpvpn_id) {
            row.role = association::role(bgpvpn, common.role)?;
        }
        change.put(Row::BgpvpnRouterAssociation(Arc::new(row)));
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("BGPVPNRouterAssocNotFound", "BGPVPN router association", id)
    }
}

/// Once is enough; and a network that is in an L3 VPN by itself is not brought into one by a router.
fn check(model: &Model, row: &BgpvpnRouterAssociation) -> Result<(), Refusal> {
    let (bgpvpn, router) = (row.bgpvpn_id, row.router_id);
    let there = (bgpvpn, (RowKind::Router, router));
    if association::between(model, KIND, there, Some(row.standard.id)).is_some() {
        let message = format!("router {router} is already associated to BGPVPN {bgpvpn}");
        return Err(Refusal::invalid("BGPVPNRouterAssocAlreadyExists", message));
    }
    let interfaces = model.referring((RowKind::Router, router), RowKind::RouterInterface);
    let mut networks = interfaces.filter_map(|id| Some(model.router_interfaces.get(&id)?.network_id));
    let other = networks.find_map(|network| Some((network, association::l3_of_network(model, network)?)));
    match other {
        Some((network, other)) => Err(bad_request(format!(
            "router {router} has an attached network {network} which is already associated to bgpvpn {other}"
        ))),
        None => Ok(()),
    }
}
