//! BGP VPNs: which routes are taken in, and what those that go out bear.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use weft_net::{RouteDistinguisher, RouteTarget, Vni};

use super::{Said, association, contradiction, once, port, targets};
use crate::access::{ADMIN, ADMIN_OR_OWNER, AttributeAccess, ResourceAccess};
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Effect, MemberAction, Resource, Statuses};
use crate::change::{Change, Named, typed};
use crate::standard::standard_attributes;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, Row, RowKey, RowKind, Standard};

/// The most static routes of one BGP VPN.
const ROUTES_MAX: usize = 1000;

/// A BGP VPN.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Bgpvpn {
    /// Identifier, project, name …
    pub standard: Standard,
    /// Of IP routes, or of MAC addresses.
    #[serde(rename = "type")]
    pub kind: BgpvpnType,
    /// Taken in, and put on what goes out.
    pub route_targets: Vec<RouteTarget>,
    /// Taken in.
    pub import_targets: Vec<RouteTarget>,
    /// Put on what goes out.
    pub export_targets: Vec<RouteTarget>,
    /// Distinguishers that may be taken for its VRFs; where there are none, each host has its own.
    pub route_distinguishers: Vec<RouteDistinguisher>,
    /// The VNI that what goes out names, where it is carried by VXLAN.
    pub vni: Option<Vni>,
    /// The preference of its routes: the higher is taken.
    pub local_pref: Option<u32>,
    /// Routes by an address that one of its members has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub static_routes: Vec<StaticRoute>,
    /// What becomes of several routes to one destination.
    #[serde(default)]
    pub multipath: Multipath,
    /// Who reaches whom, where that is not said by targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vrf_policy: Option<VrfPolicy>,
    /// Of hub and spoke: what hubs put on their routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub_target: Option<RouteTarget>,
    /// Of hub and spoke: what spokes put on their routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spoke_target: Option<RouteTarget>,
}

/// What a BGP VPN has routes of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BgpvpnType {
    /// IP prefixes (RFC 4364, RFC 9136).
    L3,
    /// MAC addresses (RFC 7432).
    L2,
}

/// What becomes of several routes to one destination that are as good as each other.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Multipath {
    /// They share what is sent.
    #[default]
    Ecmp,
    /// One is taken, another only when that is gone.
    Failover,
}

/// Who reaches whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VrfPolicy {
    /// Everybody everybody.
    AnyToAny,
    /// Spokes reach hubs, and each other by way of hubs.
    HubAndSpoke,
    /// Everybody everybody, and several have one address.
    EcmpAnycast,
}

/// A route by an address that one of the members has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct StaticRoute {
    /// For which destinations.
    pub destination: IpNet,
    /// By which address.
    pub nexthop: IpAddr,
    /// Its preference, in the place of the BGP VPN's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// What becomes of several routes to the destination, in the place of what the BGP VPN says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multipath: Option<Multipath>,
}

impl StaticRoute {
    /// Where and by what it leads, and what is said of that.
    const fn said(&self) -> ((IpNet, IpAddr), Said) {
        ((self.destination, self.nexthop), (self.local_pref, self.multipath))
    }
}

impl Bgpvpn {
    /// Whether another state of it says something else of who imports what, or where routes lead.
    pub(crate) fn differs_in_routing(&self, other: &Self) -> bool {
        let targets = |one: &Self| (one.targets(), one.static_routes.clone(), one.local_pref, one.kind);
        let named = |one: &Self| {
            let lists = [&one.route_targets, &one.import_targets, &one.export_targets];
            lists.map(Clone::clone)
        };
        targets(self) != targets(other) || named(self) != named(other)
    }
}

impl Stored for Bgpvpn {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        Vec::new()
    }

    fn check_claims(&self, _: &Model) -> Result<(), Refusal> {
        Ok(())
    }
}

impl Indexed for Bgpvpn {
    fn index(model: &mut Model, before: Option<&Self>, after: Option<&Self>) {
        let Some(id) = before.or(after).map(|bgpvpn| bgpvpn.standard.id) else { return };
        let named = |bgpvpn: Option<&Self>| bgpvpn.map(Self::targets).unwrap_or_default();
        targets::index(model, id, named(before), named(after));
    }
}

impl Bgpvpn {
    /// Every target that it names.
    fn targets(&self) -> BTreeSet<RouteTarget> {
        let lists = [&self.route_targets, &self.import_targets, &self.export_targets];
        let given = lists.into_iter().flatten().copied();
        given.chain(self.hub_target).chain(self.spoke_target).collect()
    }
}

#[derive(serde::Deserialize)]
struct Spec {
    #[serde(flatten)]
    named: Named,
    r#type: BgpvpnType,
    route_targets: Vec<RouteTarget>,
    import_targets: Vec<RouteTarget>,
    export_targets: Vec<RouteTarget>,
    route_distinguishers: Vec<RouteDistinguisher>,
    vni: Option<Vni>,
    local_pref: Option<u32>,
    static_routes: Vec<StaticRoute>,
    multipath: Multipath,
    vrf_policy: Option<VrfPolicy>,
}

/// A preference (RFC 4271 §5.1.5).
pub(super) const LOCAL_PREF: AttributeType = AttributeType::Integer(0, 0xffff_ffff);

/// What becomes of several routes to one destination.
pub(super) const MULTIPATH: AttributeType = AttributeType::OneOf(&["ecmp", "failover"]);

const TARGETS: AttributeType = AttributeType::ListOf(&AttributeType::RouteTarget);

const ROUTES: AttributeType = AttributeType::Objects(&[
    Attribute::required("destination", AttributeType::Cidr, "Prefix"),
    Attribute::required("nexthop", AttributeType::IpAddress, "Address of a member"),
    Attribute::optional("local_pref", LOCAL_PREF, "Preference of this route"),
    Attribute::optional("multipath", MULTIPATH, "What becomes of several routes to this destination"),
]);

const OF_ROUTES: &[Attribute] = &[Attribute::required("static_routes", ROUTES, "Routes")];

/// The collection of BGP VPNs.
pub struct Bgpvpns;

impl Bgpvpns {
    /// Who may do what with BGP VPNs: administrators make them, their owners use them.
    pub(crate) const ACCESS: ResourceAccess =
        ResourceAccess { read: ADMIN_OR_OWNER, update: ADMIN_OR_OWNER, ..ResourceAccess::OF_ADMIN };

    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        (project = AttributeAccess::OF_ADMIN_ONCE_MADE),
        Attribute::with_default(
            "type",
            AttributeType::OneOf(&["l3", "l2"]),
            "\"l3\"",
            "Of IP routes, or of MAC addresses"
        )
        .immutable(),
        Attribute::with_default("route_targets", TARGETS, "[]", "Taken in, and put on what goes out")
            .with_access(AttributeAccess::OF_ADMIN_ONCE_MADE),
        Attribute::with_default("import_targets", TARGETS, "[]", "Taken in")
            .with_access(AttributeAccess::OF_ADMIN_ONCE_MADE),
        Attribute::with_default("export_targets", TARGETS, "[]", "Put on what goes out")
            .with_access(AttributeAccess::OF_ADMIN_ONCE_MADE),
        Attribute::with_default(
            "route_distinguishers",
            AttributeType::ListOf(&AttributeType::RouteDistinguisher),
            "[]",
            "Distinguishers that may be taken for its VRFs",
        )
        .with_access(AttributeAccess::OF_ADMIN_ONCE_MADE),
        Attribute::optional("vni", AttributeType::Integer(1, 0xff_ffff), "VNI of what is carried by VXLAN")
            .with_access(AttributeAccess::OF_ADMIN_ONCE_MADE)
            .nullable()
            .immutable(),
        Attribute::optional("local_pref", LOCAL_PREF, "Preference of its routes").nullable(),
        Attribute::with_default("static_routes", ROUTES, "[]", "Routes by the address of a member"),
        Attribute::with_default(
            "multipath",
            MULTIPATH,
            "\"ecmp\"",
            "What becomes of several routes to one destination",
        ),
        Attribute::optional(
            "vrf_policy",
            AttributeType::OneOf(&["any-to-any", "hub-and-spoke", "ecmp-anycast"]),
            "Who reaches whom, by targets that are chosen",
        )
        .nullable()
        .immutable(),
        Attribute::read_only("hub_target", AttributeType::RouteTarget, "What hubs put on their routes")
            .read_by(ADMIN)
            .nullable(),
        Attribute::read_only("spoke_target", AttributeType::RouteTarget, "What spokes put on theirs")
            .read_by(ADMIN)
            .nullable(),
        Attribute::read_only("networks", AttributeType::ListOf(&AttributeType::Id), "Networks in it"),
        Attribute::read_only("routers", AttributeType::ListOf(&AttributeType::Id), "Routers in it"),
        Attribute::read_only("ports", AttributeType::ListOf(&AttributeType::Id), "Ports in it"),
    ];

    /// What can be done with a BGP VPN besides.
    pub const ACTIONS: &'static [MemberAction] = &[
        MemberAction {
            name: "add_static_routes",
            doc: "Add static routes to a BGP VPN; one that it has gets the preference and the multipath that are given",
            attributes: OF_ROUTES,
            is_of_member: true,
            effect: Effect::Change(|change, id, given| write_routes(change, id, given, true)),
        },
        MemberAction {
            name: "remove_static_routes",
            doc: "Take static routes from a BGP VPN; those that it does not have are passed over",
            attributes: OF_ROUTES,
            is_of_member: true,
            effect: Effect::Change(|change, id, given| write_routes(change, id, given, false)),
        },
    ];
}

impl Resource for Bgpvpns {
    fn kind(&self) -> Option<RowKind> {
        Some(RowKind::Bgpvpn)
    }

    /// An association is shown in its BGP VPN as well.
    fn shows(&self, model: &Model, row: &RowKey) -> Option<String> {
        match row {
            RowKey::Resource(RowKind::Bgpvpn, id) => Some(id.to_string()),
            RowKey::Resource(kind, id) => association::bgpvpn_of(model, *kind, *id).map(|id| id.to_string()),
            _ => None,
        }
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        association::containing(model, attribute, value)
            .or_else(|| crate::catalogue::candidates_by_name(model, RowKind::Bgpvpn, attribute, value))
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        let bgpvpn = model.bgpvpns.get(&id.parse::<Id>().ok()?)?;
        let mut map = Map::new();
        bgpvpn.standard.render(&mut map);
        map.insert("type".into(), json!(bgpvpn.kind));
        map.insert("route_targets".into(), json!(bgpvpn.route_targets));
        map.insert("import_targets".into(), json!(bgpvpn.import_targets));
        map.insert("export_targets".into(), json!(bgpvpn.export_targets));
        map.insert("route_distinguishers".into(), json!(bgpvpn.route_distinguishers));
        map.insert("vni".into(), json!(bgpvpn.vni.map(Vni::get)));
        map.insert("local_pref".into(), json!(bgpvpn.local_pref));
        map.insert("static_routes".into(), json!(bgpvpn.static_routes));
        map.insert("multipath".into(), json!(bgpvpn.multipath));
        map.insert("vrf_policy".into(), json!(bgpvpn.vrf_policy));
        map.insert("hub_target".into(), json!(bgpvpn.hub_target));
        map.insert("spoke_target".into(), json!(bgpvpn.spoke_target));
        let [networks, routers, ports] = association::members(model, bgpvpn.standard.id);
        map.insert("networks".into(), json!(networks));
        map.insert("routers".into(), json!(routers));
        map.insert("ports".into(), json!(ports));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let spec: Spec = typed(merged)?;
        if spec.r#type == BgpvpnType::L2
            && matches!(spec.vrf_policy, Some(VrfPolicy::HubAndSpoke | VrfPolicy::EcmpAnycast))
        {
            return Err(Refusal::attribute("vrf_policy", "a BGP VPN of type l2 can be any-to-any alone"));
        }
        let id = change.choose_id();
        let standard = change.standard(id, spec.named.clone());
        let bgpvpn = with_chosen_targets(change, built(standard, spec)?);
        change.put(Row::Bgpvpn(Arc::new(bgpvpn)));
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().bgpvpns.get(&id).cloned());
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let spec: Spec = typed(merged)?;
        let mut standard = stored.standard.clone();
        standard.rename(spec.named.clone(), change.now());
        let (hub_target, spoke_target) = (stored.hub_target, stored.spoke_target);
        let bgpvpn = Bgpvpn { hub_target, spoke_target, ..built(standard, spec)? };
        change.put(Row::Bgpvpn(Arc::new(bgpvpn)));
        Ok(())
    }

    /// Its associations go with it, and so do the routes of others that are leaked from it.
    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        let Some(key @ RowKey::Resource(_, bgpvpn)) = self.row_key(change.model(), id) else {
            return Err(self.not_found(id));
        };
        port::forget_leaks(change, bgpvpn);
        association::dissociate(change, (RowKind::Bgpvpn, bgpvpn));
        change.delete(key);
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("BGPVPNNotFound", "BGPVPN", id)
    }
}

fn built(standard: Standard, spec: Spec) -> Result<Bgpvpn, Refusal> {
    Ok(Bgpvpn {
        standard,
        kind: spec.r#type,
        route_targets: once(spec.route_targets),
        import_targets: once(spec.import_targets),
        export_targets: once(spec.export_targets),
        route_distinguishers: once(spec.route_distinguishers),
        vni: spec.vni,
        local_pref: spec.local_pref,
        static_routes: checked(spec.r#type, spec.static_routes)?,
        multipath: spec.multipath,
        vrf_policy: spec.vrf_policy,
        hub_target: None,
        spoke_target: None,
    })
}

/// The targets that a policy asks for and nobody has named.
fn with_chosen_targets(change: &mut Change, mut bgpvpn: Bgpvpn) -> Bgpvpn {
    match bgpvpn.vrf_policy {
        Some(VrfPolicy::AnyToAny | VrfPolicy::EcmpAnycast) if bgpvpn.targets().is_empty() => {
            bgpvpn.route_targets.push(targets::choose(change));
        }
        None | Some(VrfPolicy::AnyToAny | VrfPolicy::EcmpAnycast) => {}
        Some(VrfPolicy::HubAndSpoke) => {
            let hub = targets::choose(change);
            // Two that are drawn in one go could be the same.
            let spoke = loop {
                let spoke = targets::choose(change);
                if spoke != hub {
                    break spoke;
                }
            };
            (bgpvpn.hub_target, bgpvpn.spoke_target) = (Some(hub), Some(spoke));
        }
    }
    bgpvpn
}

/// Static routes, each once, if a BGP VPN of this type can have them.
fn checked(kind: BgpvpnType, routes: Vec<StaticRoute>) -> Result<Vec<StaticRoute>, Refusal> {
    super::check_ways("static_routes", routes.iter().map(StaticRoute::said))?;
    let routes = once(routes);
    if kind == BgpvpnType::L2 && !routes.is_empty() {
        return Err(Refusal::attribute("static_routes", "a BGP VPN of type l2 has no IP routes"));
    }
    if routes.len() > ROUTES_MAX {
        return Err(too_many());
    }
    let is_mixed = |route: &StaticRoute| route.destination.addr().is_ipv4() != route.nexthop.is_ipv4();
    if let Some(at) = routes.iter().position(is_mixed) {
        let rule = "it is of another IP version than the destination";
        return Err(Refusal::attribute(&format!("static_routes[{at}].nexthop"), rule));
    }
    match contradiction(routes.iter().map(|route| (route.destination, route.multipath))) {
        Some((at, rule)) => Err(Refusal::attribute(&format!("static_routes[{at}].multipath"), rule)),
        None => Ok(routes),
    }
}

fn too_many() -> Refusal {
    Refusal::attribute("static_routes", format!("more than {ROUTES_MAX} routes are given"))
}

#[derive(serde::Deserialize)]
struct Given {
    static_routes: Vec<StaticRoute>,
}

/// Adds static routes, or takes them away: whatever else they say.
fn write_routes(
    change: &mut Change,
    id: Id,
    given: Map<String, Value>,
    adds: bool,
) -> Result<Map<String, Value>, Refusal> {
    let given: Given = typed(given)?;
    if given.static_routes.len() > ROUTES_MAX {
        return Err(too_many());
    }
    let Some(stored) = change.model().bgpvpns.get(&id) else { return Ok(Map::new()) };
    let mut bgpvpn = Bgpvpn::clone(stored);
    let way = |route: &StaticRoute| route.said().0;
    if adds {
        super::check_ways("static_routes", given.static_routes.iter().map(StaticRoute::said))?;
    }
    let is_given = |route: &StaticRoute| given.static_routes.iter().any(|one| way(one) == way(route));
    let mut routes: Vec<StaticRoute> = bgpvpn.static_routes;
    if adds {
        let given = given.static_routes.iter().copied();
        let (again, fresh): (Vec<_>, Vec<_>) =
            given.partition(|route| routes.iter().any(|one| way(one) == way(route)));
        for route in &mut routes {
            *route = again.iter().find(|one| way(one) == way(route)).copied().unwrap_or(*route);
        }
        routes.extend(fresh);
    } else {
        routes.retain(|route| !is_given(route));
    }
    bgpvpn.static_routes = checked(bgpvpn.kind, routes)?;
    bgpvpn.standard.touch(change.now());
    change.put(Row::Bgpvpn(Arc::new(bgpvpn)));
    Ok(Map::new())
}
