//! Router associations: all networks of a router are in a BGP VPN.

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

/// What a request says besides.
#[derive(serde::Deserialize)]
pub(super) struct Given {
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

impl Association for BgpvpnRouterAssociation {
    const TARGET: &'static str = "router";
    type Given = Given;

    fn table(model: &Model) -> &OrdMap<Id, Arc<Self>> {
        &model.bgpvpn_router_associations
    }

    fn target(model: &Model, given: &Given) -> Result<(Id, Arc<str>), Refusal> {
        let id = given.router_id;
        let router = model.routers.get(&id);
        let router = router.ok_or_else(|| Refusal::not_found("RouterNotFound", "Router", id))?;
        Ok((id, router.standard.project_id.clone()))
    }

    fn new(_: &Model, member: Member<'_>, given: Given) -> Result<Self, Refusal> {
        let Member { standard, bgpvpn, role } = member;
        if bgpvpn.kind == BgpvpnType::L2 {
            return Err(bad_request("Router associations require the bgpvpn to be of type l3"));
        }
        let Given { router_id, advertise_extra_routes } = given;
        Ok(Self { standard, bgpvpn_id: bgpvpn.standard.id, router_id, advertise_extra_routes, role })
    }

    fn set(&mut self, _: &Model, _: &Bgpvpn, given: Given) -> Result<(), Refusal> {
        self.advertise_extra_routes = given.advertise_extra_routes;
        Ok(())
    }

    fn membership(&self) -> (Id, Option<Role>) {
        (self.bgpvpn_id, self.role)
    }

    fn role_mut(&mut self) -> &mut Option<Role> {
        &mut self.role
    }

    fn show(&self, map: &mut Map<String, Value>) {
        map.insert("router_id".into(), json!(self.router_id));
        map.insert("advertise_extra_routes".into(), json!(self.advertise_extra_routes));
    }

    fn row(self) -> Row {
        Row::BgpvpnRouterAssociation(Arc::new(self))
    }
}

impl Resource for RouterAssociations {
    fn kind(&self) -> Option<RowKind> {
        Some(KIND)
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        association::candidates(model, KIND, (attribute, value), ("router_id", RowKind::Router))
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        association::render::<BgpvpnRouterAssociation>(model, id)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        association::create::<BgpvpnRouterAssociation>(change, merged)
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        association::update::<BgpvpnRouterAssociation>(change, id, merged)?.ok_or_else(|| self.not_found(id))
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
