//! Routers: what joins the subnets of several networks.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weft_net::Vni;

use super::{attachment, routes, status};
use crate::access::ADMIN;
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Effect, MemberAction, Resource, Statuses};
use crate::change::{Change, Named, typed};
use crate::compile::FragmentKey;
use crate::exclusive::{Exclusive, Taken, taken};
use crate::network::HostRoute;
use crate::standard::standard_attributes;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, Row, RowKey, RowKind, Standard, vrf};

/// A router.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Router {
    /// Identifier, project, name …
    pub standard: Standard,
    /// Whether it routes.
    pub admin_state_up: bool,
    /// Routes besides those to its own subnets; several to one destination share what is sent there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<HostRoute>,
    /// The VNI by which its routes are known to others over EVPN (RFC 9135: the VNI of the IP-VRF), if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evpn_vni: Option<Vni>,
}

impl Stored for Router {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        Vec::new()
    }

    /// Its VNI is its VRF's.
    fn check_claims(&self, _: &Model) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Indexed for Router {
    fn index(_: &mut Model, _: Option<&Self>, _: Option<&Self>) {}
}

#[derive(serde::Deserialize)]
struct Spec {
    #[serde(flatten)]
    named: Named,
    admin_state_up: bool,
    distributed: Option<bool>,
    ha: Option<bool>,
    external_gateway_info: Option<Map<String, Value>>,
    evpn_vni: Option<u32>,
    #[serde(default)]
    routes: Vec<HostRoute>,
}

/// The collection of routers.
pub struct Routers;

impl Routers {
    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        Attribute::with_default("admin_state_up", AttributeType::Boolean, "true", "Whether it routes"),
        Attribute::with_default(
            "distributed",
            AttributeType::Boolean,
            "true",
            "Only true: a router is on every host of its networks"
        )
        .read_by(ADMIN)
        .set_by(ADMIN)
        .nullable(),
        Attribute::with_default(
            "ha",
            AttributeType::Boolean,
            "false",
            "Only false: what is on every host has no standby"
        )
        .read_by(ADMIN)
        .set_by(ADMIN)
        .nullable(),
        Attribute::optional("external_gateway_info", AttributeType::Object, "Only null: see docs/routers.md")
            .nullable(),
        Attribute::optional(
            "evpn_vni",
            AttributeType::Integer(0, 0xff_ffff),
            "VNI of its routes over EVPN; 0: one is chosen",
        )
        .set_by(ADMIN)
        .immutable(),
        Attribute::read_only("routes", routes::ROUTES, "Routes besides those to its subnets").mutable(),
        Attribute::read_only("flavor_id", AttributeType::Id, "Always null: there is one flavor of routers")
            .nullable(),
        Attribute::read_only("availability_zones", AttributeType::List, "Always empty: it is everywhere"),
        Attribute::read_only(
            "availability_zone_hints",
            AttributeType::List,
            "Always empty: it is everywhere"
        ),
        Attribute::read_only(
            "status",
            AttributeType::OneOf(crate::catalogue::STATUSES),
            "Whether it can be used",
        ),
    ];

    /// What can be done with a router besides.
    pub const ACTIONS: &'static [MemberAction] = &[
        MemberAction {
            name: "add_router_interface",
            doc: "Connect a router to a subnet, or to the network of a port",
            attributes: attachment::ATTRIBUTES,
            is_of_member: false,
            effect: Effect::Change(attachment::add),
        },
        MemberAction {
            name: "remove_router_interface",
            doc: "Take a router from a subnet, or from the network of a port",
            attributes: attachment::ATTRIBUTES,
            is_of_member: false,
            effect: Effect::Change(attachment::remove),
        },
        MemberAction {
            name: "add_extraroutes",
            doc: "Add routes to a router; those that it has are passed over",
            attributes: routes::ATTRIBUTES,
            is_of_member: true,
            effect: Effect::Change(routes::add),
        },
        MemberAction {
            name: "remove_extraroutes",
            doc: "Take routes from a router; those that it does not have are passed over",
            attributes: routes::ATTRIBUTES,
            is_of_member: true,
            effect: Effect::Change(routes::remove),
        },
    ];
}

impl Resource for Routers {
    fn kind(&self) -> Option<RowKind> {
        Some(RowKind::Router)
    }

    fn sums_up(&self, model: &Model, fragment: &FragmentKey) -> BTreeSet<Id> {
        status::routers_reported_in(model, fragment)
    }

    fn render(&self, model: &Model, id: &str, statuses: &dyn Statuses) -> Option<Map<String, Value>> {
        let router = model.routers.get(&id.parse::<Id>().ok()?)?;
        let mut map = Map::new();
        router.standard.render(&mut map);
        map.insert("admin_state_up".into(), json!(router.admin_state_up));
        map.insert("distributed".into(), Value::Bool(true));
        map.insert("ha".into(), Value::Bool(false));
        map.insert("external_gateway_info".into(), Value::Null);
        if let Some(vni) = router.evpn_vni {
            map.insert("evpn_vni".into(), json!(vni.get()));
        }
        map.insert("routes".into(), json!(router.routes));
        map.insert("flavor_id".into(), Value::Null);
        map.insert("availability_zones".into(), json!([]));
        map.insert("availability_zone_hints".into(), json!([]));
        map.insert("status".into(), json!(status::of_router(model, router, statuses).as_str()));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let spec: Spec = typed(merged)?;
        check_possible(&spec)?;
        let evpn_vni = spec.evpn_vni.map(|asked| choose_vni(change.model(), asked)).transpose()?.flatten();
        let id = change.choose_id();
        let router = Router {
            standard: change.standard(id, spec.named),
            admin_state_up: spec.admin_state_up,
            routes: Vec::new(),
            evpn_vni,
        };
        change.put(Row::Router(Arc::new(router.clone())));
        let vni = vrf::of_new_router(change, id)?;
        if spec.evpn_vni.is_some() && router.evpn_vni.is_none() {
            change.put(Row::Router(Arc::new(Router { evpn_vni: Some(vni), ..router })));
        }
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().routers.get(&id).cloned());
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let spec: Spec = typed(merged)?;
        check_possible(&spec)?;
        let mut router = Router::clone(&stored);
        router.standard.rename(spec.named, change.now());
        router.admin_state_up = spec.admin_state_up;
        if spec.routes != stored.routes {
            router.routes = routes::checked(change.model(), &stored, spec.routes)?;
        }
        change.put(Row::Router(Arc::new(router)));
        Ok(())
    }

    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        let Some(key @ RowKey::Resource(_, router)) = self.row_key(change.model(), id) else {
            return Err(self.not_found(id));
        };
        let to = (RowKind::Router, router);
        let first = change.model().referring(to, RowKind::RouterInterface).next();
        if let Some(first) = first {
            let message = format!("Router {id} still has ports. The first is port {first}.");
            return Err(Refusal::conflict("RouterInUse", message));
        }
        crate::bgpvpn::dissociate(change, to);
        change.delete(key);
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("RouterNotFound", "Router", id)
    }
}

/// Refuses what routers here are not.
fn check_possible(spec: &Spec) -> Result<(), Refusal> {
    if spec.distributed == Some(false) {
        let rule = "'false' is not possible: routers are distributed, one is on every host of its networks";
        return Err(Refusal::attribute("distributed", rule));
    }
    if spec.ha == Some(true) {
        let rule = "'true' is not possible: a router is on every host of its networks, which no standby is needed for";
        return Err(Refusal::attribute("ha", rule));
    }
    // To clear the gateway, clients send null or an empty object.
    match spec.external_gateway_info.as_ref().filter(|info| !info.is_empty()) {
        Some(_) => {
            let rule =
                "a router has no external gateway; its networks are reached from outside over BGP VPNs";
            Err(Refusal::attribute("external_gateway_info", rule))
        }
        None => Ok(()),
    }
}

/// The VNI that is asked for, if it is free; for 0 whichever its VRF gets.
fn choose_vni(model: &Model, asked: u32) -> Result<Option<Vni>, Refusal> {
    if asked == 0 {
        return Ok(None);
    }
    let vni = Vni::try_from(asked).map_err(|error| Refusal::attribute("evpn_vni", error))?;
    let rule = match taken(model, &Exclusive::Vni(vni)) {
        None => return Ok(Some(vni)),
        Some(Taken::By(other)) => format!("VNI {vni} is in use by {} {}", other.kind.in_words(), other.id),
        Some(Taken::Departing(departure)) => {
            format!(
                "VNI {vni} is in quarantine until {} has confirmed that it has removed it",
                departure.host
            )
        }
    };
    Err(Refusal::conflict("EvpnVniInUse", format!("evpn_vni: {rule}.")))
}
