//! Port associations: one port is in a BGP VPN, with routes that lead to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;
use ipnet::IpNet;
use serde_json::{Map, Value, json};

use super::Said;
use super::association::{self, Association, Member, Role};
use super::resource::{Bgpvpn, BgpvpnType, LOCAL_PREF, MULTIPATH, Multipath};
use crate::access::AttributeAccess;
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::change::Change;
use crate::network::Ports;
use crate::standard::standard_attributes;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, Row, RowKind, Standard};

const KIND: RowKind = RowKind::BgpvpnPortAssociation;

/// The most routes of one association.
const ROUTES_MAX: usize = 1000;

/// A port in a BGP VPN.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BgpvpnPortAssociation {
    /// Identifier, project, name …
    pub standard: Standard,
    /// The BGP VPN.
    pub bgpvpn_id: Id,
    /// The port: its instance port.
    pub port_id: Id,
    /// The binding of the port.
    pub service_port_id: Id,
    /// Routes that lead to the port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<PortRoute>,
    /// Whether its addresses are told to others.
    pub advertise_fixed_ips: bool,
    /// Its part in hub and spoke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
}

impl BgpvpnPortAssociation {
    /// The routes that lead to the port: those that were given, and where it is a hub everything else.
    pub(crate) fn all_routes(&self) -> impl Iterator<Item = PortRoute> {
        let is_given = |prefix: &IpNet| {
            let mut given = self.routes.iter();
            given.any(|route| matches!(route, PortRoute::Prefix { prefix: given, .. } if given == prefix))
        };
        let implied = association::defaults(self.role).filter(move |prefix| !is_given(prefix));
        let implied = implied.map(|prefix| PortRoute::Prefix { prefix, local_pref: None, multipath: None });
        self.routes.iter().copied().chain(implied)
    }
}

/// A route that leads to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum PortRoute {
    /// To a prefix.
    Prefix {
        /// The prefix.
        prefix: IpNet,
        /// Its preference, in the place of the BGP VPN's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        local_pref: Option<u32>,
        /// What becomes of several routes to the prefix, in the place of what the BGP VPN says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        multipath: Option<Multipath>,
    },
    /// To whatever another BGP VPN has routes to.
    Bgpvpn {
        /// The other.
        bgpvpn_id: Id,
        /// Their preference, in the place of the BGP VPN's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        local_pref: Option<u32>,
        /// What becomes of several of them to one destination, in the place of what the BGP VPN says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        multipath: Option<Multipath>,
    },
}

impl PortRoute {
    /// What it is to, a prefix or another BGP VPN, and what is said of that.
    const fn way(&self) -> ((Option<IpNet>, Option<Id>), Said) {
        match *self {
            Self::Prefix { prefix, local_pref, multipath } => ((Some(prefix), None), (local_pref, multipath)),
            Self::Bgpvpn { bgpvpn_id, local_pref, multipath } => {
                ((None, Some(bgpvpn_id)), (local_pref, multipath))
            }
        }
    }
}

impl Stored for BgpvpnPortAssociation {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        let leaks = self.leaks().map(|id| (RowKind::Bgpvpn, id)).collect::<BTreeSet<_>>();
        let own = [(RowKind::Bgpvpn, self.bgpvpn_id), (RowKind::ServicePort, self.service_port_id)];
        own.into_iter().chain(leaks).collect()
    }

    fn check_claims(&self, model: &Model) -> Result<(), Refusal> {
        check_once(model, self)
    }
}

impl Indexed for BgpvpnPortAssociation {
    fn index(_: &mut Model, _: Option<&Self>, _: Option<&Self>) {}
}

impl BgpvpnPortAssociation {
    /// The other BGP VPNs whose routes lead to the port.
    pub(crate) fn leaks(&self) -> impl Iterator<Item = Id> + use<'_> {
        let others = self.routes.iter().filter_map(|route| match route {
            PortRoute::Bgpvpn { bgpvpn_id, .. } => Some(*bgpvpn_id),
            PortRoute::Prefix { .. } => None,
        });
        others.filter(|id| *id != self.bgpvpn_id)
    }
}

/// What a request says besides.
#[derive(serde::Deserialize)]
pub(super) struct Given {
    port_id: Id,
    routes: Vec<GivenRoute>,
    advertise_fixed_ips: bool,
}

/// A route as it is given: which of its members are needed is said by its type.
#[derive(serde::Deserialize)]
pub(super) struct GivenRoute {
    r#type: String,
    prefix: Option<IpNet>,
    bgpvpn_id: Option<Id>,
    local_pref: Option<u32>,
    multipath: Option<Multipath>,
}

const ROUTES: AttributeType = AttributeType::Objects(&[
    Attribute::required("type", AttributeType::OneOf(&["prefix", "bgpvpn"]), "What it leads to"),
    Attribute::optional("prefix", AttributeType::Cidr, "Of type prefix: the prefix"),
    Attribute::optional("bgpvpn_id", AttributeType::Id, "Of type bgpvpn: the other BGP VPN"),
    Attribute::optional("local_pref", LOCAL_PREF, "Preference of this route"),
    Attribute::optional("multipath", MULTIPATH, "What becomes of several routes to one destination"),
]);

/// The collection of port associations.
pub struct PortAssociations;

impl PortAssociations {
    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        (project = AttributeAccess::OF_ADMIN_ONCE_MADE),
        association::BGPVPN,
        Attribute::required("port_id", AttributeType::Reference("port"), "Port that is in it"),
        Attribute::with_default("routes", ROUTES, "[]", "Routes that lead to the port"),
        Attribute::with_default(
            "advertise_fixed_ips",
            AttributeType::Boolean,
            "true",
            "Whether its addresses are told to others",
        ),
        association::ROLE,
    ];
}

impl Association for BgpvpnPortAssociation {
    const TARGET: &'static str = "port";
    type Given = Given;

    fn table(model: &Model) -> &OrdMap<Id, Arc<Self>> {
        &model.bgpvpn_port_associations
    }

    fn target(model: &Model, given: &Given) -> Result<(Id, Arc<str>), Refusal> {
        let id = given.port_id;
        let vnic = model.instance_ports.get(&id).filter(|_| model.binding_of_port(id).is_some());
        let vnic = vnic.ok_or_else(|| Ports.not_found(&id.to_string()))?;
        Ok((id, vnic.standard.project_id.clone()))
    }

    fn new(model: &Model, member: Member<'_>, given: Given) -> Result<Self, Refusal> {
        let Member { standard, bgpvpn, role } = member;
        let Given { port_id, advertise_fixed_ips, .. } = given;
        check_type(bgpvpn)?;
        let binding = model.binding_of_port(port_id);
        let service_port_id = binding
            .map(|binding| binding.standard.id)
            .ok_or_else(|| Ports.not_found(&port_id.to_string()))?;
        let routes = routes(model, bgpvpn, given.routes)?;
        let bgpvpn_id = bgpvpn.standard.id;
        Ok(Self { standard, bgpvpn_id, port_id, service_port_id, routes, advertise_fixed_ips, role })
    }

    fn set(&mut self, model: &Model, bgpvpn: &Bgpvpn, given: Given) -> Result<(), Refusal> {
        self.routes = routes(model, bgpvpn, given.routes)?;
        self.advertise_fixed_ips = given.advertise_fixed_ips;
        Ok(())
    }

    fn membership(&self) -> (Id, Option<Role>) {
        (self.bgpvpn_id, self.role)
    }

    fn role_mut(&mut self) -> &mut Option<Role> {
        &mut self.role
    }

    fn show(&self, map: &mut Map<String, Value>) {
        map.insert("port_id".into(), json!(self.port_id));
        map.insert("routes".into(), json!(self.routes));
        map.insert("advertise_fixed_ips".into(), json!(self.advertise_fixed_ips));
    }

    fn row(self) -> Row {
        Row::BgpvpnPortAssociation(Arc::new(self))
    }
}

impl Resource for PortAssociations {
    fn kind(&self) -> Option<RowKind> {
        Some(KIND)
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        // One that leaks from a BGP VPN is a candidate of that as well; the condition decides.
        association::candidates(model, KIND, (attribute, value), ("service_port_id", RowKind::ServicePort))
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        association::render::<BgpvpnPortAssociation>(model, id)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        association::create::<BgpvpnPortAssociation>(change, merged)
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        association::update::<BgpvpnPortAssociation>(change, id, merged)?.ok_or_else(|| self.not_found(id))
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("BGPVPNPortAssocNotFound", "BGPVPN port association", id)
    }
}

fn check_once(model: &Model, row: &BgpvpnPortAssociation) -> Result<(), Refusal> {
    let there = (row.bgpvpn_id, (RowKind::ServicePort, row.service_port_id));
    match association::between(model, KIND, there, Some(row.standard.id)) {
        Some(_) => {
            let message = format!("port {} is already associated to BGPVPN {}", row.port_id, row.bgpvpn_id);
            Err(Refusal::invalid("BGPVPNPortAssocAlreadyExists", message))
        }
        None => Ok(()),
    }
}

/// A port by itself has a VRF, and a BGP VPN of type l2 has none.
fn check_type(bgpvpn: &Bgpvpn) -> Result<(), Refusal> {
    if bgpvpn.kind == BgpvpnType::L3 {
        return Ok(());
    }
    let id = bgpvpn.standard.id;
    let rule = format!(
        "BGPVPN {id} is of type l2, which has whole networks in it: port associations, their routes and advertise_fixed_ips require type l3"
    );
    Err(Refusal::attribute("port_id", rule))
}

/// The routes that are asked for, each once, if they can lead anywhere.
fn routes(model: &Model, bgpvpn: &Bgpvpn, given: Vec<GivenRoute>) -> Result<Vec<PortRoute>, Refusal> {
    if given.len() > ROUTES_MAX {
        return Err(Refusal::attribute("routes", format!("more than {ROUTES_MAX} routes are given")));
    }
    let route = |(at, route)| route_at(model, bgpvpn, at, route);
    let routes: Vec<PortRoute> = given.into_iter().enumerate().map(route).collect::<Result<_, _>>()?;
    super::check_ways("routes", routes.iter().map(|route| route.way()))?;
    Ok(super::once(routes))
}

fn route_at(model: &Model, bgpvpn: &Bgpvpn, at: usize, route: GivenRoute) -> Result<PortRoute, Refusal> {
    let GivenRoute { local_pref, multipath, .. } = route;
    match (route.r#type.as_str(), route.prefix, route.bgpvpn_id) {
        ("prefix", Some(prefix), None) => {
            Ok(PortRoute::Prefix { prefix: prefix.trunc(), local_pref, multipath })
        }
        ("prefix", _, _) => {
            let rule = "a route of type prefix has a prefix, and no bgpvpn_id";
            Err(Refusal::attribute(&format!("routes[{at}].prefix"), rule))
        }
        (_, None, Some(other)) => {
            check_leak(model, bgpvpn, other)?;
            Ok(PortRoute::Bgpvpn { bgpvpn_id: other, local_pref, multipath })
        }
        _ => {
            let rule = "a route of type bgpvpn has a bgpvpn_id, and no prefix";
            Err(Refusal::attribute(&format!("routes[{at}].bgpvpn_id"), rule))
        }
    }
}

/// Routes are leaked from a BGP VPN of the same type and project.
fn check_leak(model: &Model, bgpvpn: &Bgpvpn, other: Id) -> Result<(), Refusal> {
    let Some(other) = model.bgpvpns.get(&other) else {
        let message = format!("bgpvpn specified in route does not exist ({other})");
        return Err(Refusal::invalid("BGPVPNPortAssocRouteNoSuchBGPVPN", message));
    };
    let id = other.standard.id;
    if other.standard.project_id != bgpvpn.standard.project_id {
        let message = format!("bgpvpn specified in route does not belong to the project ({id})");
        return Err(Refusal::invalid("BGPVPNPortAssocRouteWrongBGPVPNProject", message));
    }
    if other.kind != bgpvpn.kind {
        let (theirs, ours) = (json!(other.kind), json!(bgpvpn.kind));
        let message = format!(
            "bgpvpn specified in route is of type {theirs}, differing from type of associated BGPVPN {ours} ({id})"
        );
        return Err(Refusal::invalid("BGPVPNPortAssocRouteBGPVPNTypeDiffer", message));
    }
    Ok(())
}

/// Takes the routes of other associations away that lead to what a BGP VPN that goes has routes to.
pub(super) fn forget_leaks(change: &mut Change, bgpvpn: Id) {
    let associations: Vec<Id> = change.model().referring((RowKind::Bgpvpn, bgpvpn), KIND).collect();
    for id in associations {
        let Some(stored) = change.model().bgpvpn_port_associations.get(&id) else { continue };
        if stored.bgpvpn_id == bgpvpn {
            continue;
        }
        let mut row = BgpvpnPortAssociation::clone(stored);
        row.routes
            .retain(|route| !matches!(route, PortRoute::Bgpvpn { bgpvpn_id, .. } if *bgpvpn_id == bgpvpn));
        row.standard.touch(change.now());
        change.put(Row::BgpvpnPortAssociation(Arc::new(row)));
    }
}
