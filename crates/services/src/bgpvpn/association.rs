//! What all associations have in common: a BGP VPN, a role in it, and a project.

use std::sync::Arc;

use imbl::OrdMap;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::resource::{Bgpvpn, BgpvpnType, VrfPolicy};
use crate::attribute::{Attribute, AttributeType};
use crate::change::{Change, Named, typed};
use crate::stored::Stored;
use crate::{Id, Model, Refusal, Row, RowKey, RowKind, Standard};

/// The part of a member where the policy is hub and spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reaches everybody, and is reached by everybody.
    Hub,
    /// Reaches hubs, and is reached by them.
    Spoke,
}

/// What a member with this part in a BGP VPN is the way to, whatever is declared: a hub to everything.
pub(crate) fn defaults(role: Option<Role>) -> impl Iterator<Item = IpNet> {
    let defaults = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
    defaults.into_iter().filter(move |_| role == Some(Role::Hub))
}

/// The kinds of association.
pub(super) const KINDS: [RowKind; 3] =
    [RowKind::BgpvpnNetworkAssociation, RowKind::BgpvpnRouterAssociation, RowKind::BgpvpnPortAssociation];

/// The attribute of the BGP VPN, which the path says.
pub(super) const BGPVPN: Attribute =
    Attribute::required("bgpvpn_id", AttributeType::Reference("bgpvpn"), "BGP VPN that it is in");

/// The attribute of the role.
pub(super) const ROLE: Attribute =
    Attribute::optional("role", AttributeType::OneOf(&["hub", "spoke"]), "Part in hub and spoke").nullable();

/// What a request says of every association.
#[derive(serde::Deserialize)]
struct Common {
    #[serde(flatten)]
    named: Named,
    bgpvpn_id: Id,
    role: Option<Role>,
}

/// A kind of association: what it has besides that of all.
pub(super) trait Association: Stored + Clone + 'static {
    /// What is associated, as messages call it.
    const TARGET: &'static str;
    /// What a request says besides that of every association.
    type Given: DeserializeOwned;

    /// The rows.
    fn table(model: &Model) -> &OrdMap<Id, Arc<Self>>;
    /// What a request names that is to be associated, and whose it is.
    fn target(model: &Model, given: &Self::Given) -> Result<(Id, Arc<str>), Refusal>;
    /// A new one, of what all have and what is given.
    fn new(model: &Model, member: Member<'_>, given: Self::Given) -> Result<Self, Refusal>;
    /// Takes over what is given and may be changed.
    fn set(&mut self, model: &Model, bgpvpn: &Bgpvpn, given: Self::Given) -> Result<(), Refusal>;
    /// The BGP VPN, and the role.
    fn membership(&self) -> (Id, Option<Role>);
    /// The role, to be changed.
    fn role_mut(&mut self) -> &mut Option<Role>;
    /// Adds what it shows besides that of every association.
    fn show(&self, map: &mut Map<String, Value>);
    /// As a row.
    fn row(self) -> Row;
}

/// What every new association has.
pub(super) struct Member<'a> {
    pub(super) standard: Standard,
    pub(super) bgpvpn: &'a Bgpvpn,
    pub(super) role: Option<Role>,
}

/// What a request says.
#[derive(serde::Deserialize)]
struct Spec<G> {
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    given: G,
}

/// Makes an association; answers its identifier.
pub(super) fn create<A: Association>(
    change: &mut Change,
    merged: Map<String, Value>,
) -> Result<String, Refusal> {
    let Spec { common, given } = typed::<Spec<A::Given>>(merged)?;
    let target = A::target(change.model(), &given)?;
    let id = change.choose_id();
    let (bgpvpn, standard) = begin::<A>(change, id, &common, target)?;
    let role = role(&bgpvpn, common.role)?;
    let row = A::new(change.model(), Member { standard, bgpvpn: &bgpvpn, role }, given)?;
    row.check_claims(change.model())?;
    change.put(row.row());
    Ok(id.to_string())
}

/// Changes an association; nothing, if there is none.
pub(super) fn update<A: Association>(
    change: &mut Change,
    id: &str,
    merged: Map<String, Value>,
) -> Result<Option<()>, Refusal> {
    let Some(stored) = find::<A>(change.model(), id) else { return Ok(None) };
    let Spec { common, given } = typed::<Spec<A::Given>>(merged)?;
    let mut row = stored.clone();
    row.standard_mut().rename(common.named, change.now());
    if let Some(bgpvpn) = change.model().bgpvpns.get(&row.membership().0) {
        *row.role_mut() = role(bgpvpn, common.role)?;
        row.set(change.model(), bgpvpn, given)?;
    }
    change.put(row.row());
    Ok(Some(()))
}

/// What an association shows.
pub(super) fn render<A: Association>(model: &Model, id: &str) -> Option<Map<String, Value>> {
    let row = find::<A>(model, id)?;
    let mut map = Map::new();
    row.standard().render(&mut map);
    let (bgpvpn, role) = row.membership();
    map.insert("bgpvpn_id".into(), json!(bgpvpn));
    map.insert("role".into(), json!(role));
    row.show(&mut map);
    Some(map)
}

fn find<'m, A: Association>(model: &'m Model, id: &str) -> Option<&'m A> {
    A::table(model).get(&id.parse::<Id>().ok()?).map(|row| &**row)
}

/// The BGP VPN of a new association, and the standard attributes of that: of its project, if it names none.
///
/// # Errors
/// If one of the three is another project's.
fn begin<A: Association>(
    change: &Change,
    id: Id,
    common: &Common,
    (target_id, project_id): (Id, Arc<str>),
) -> Result<(Arc<Bgpvpn>, Standard), Refusal> {
    let Some(bgpvpn) = change.model().bgpvpns.get(&common.bgpvpn_id).cloned() else {
        return Err(Refusal::not_found("BGPVPNNotFound", "BGPVPN", common.bgpvpn_id));
    };
    let owner = bgpvpn.standard.project_id.clone();
    let named = Named {
        project_id: Some(common.named.project_id.clone().unwrap_or_else(|| owner.to_string())),
        ..common.named.clone()
    };
    let standard = change.standard(id, named);
    let what = A::TARGET;
    let refuse = |message: String| Err(Refusal::forbidden("NotAuthorized", message));
    if project_id != owner {
        return refuse(format!(
            "Not authorized: {what} {target_id} is not of the project of BGPVPN {}.",
            common.bgpvpn_id
        ));
    }
    if standard.project_id != owner {
        return refuse(format!(
            "Not authorized: project_id: the association is not of the project of BGPVPN {}.",
            common.bgpvpn_id
        ));
    }
    Ok((bgpvpn, standard))
}

/// The role of a member: that of a spoke where the policy has roles and none is asked for.
fn role(bgpvpn: &Bgpvpn, asked: Option<Role>) -> Result<Option<Role>, Refusal> {
    match (bgpvpn.vrf_policy, asked) {
        (Some(VrfPolicy::HubAndSpoke), asked) => Ok(Some(asked.unwrap_or(Role::Spoke))),
        (_, None) => Ok(None),
        (_, Some(_)) => {
            let id = bgpvpn.standard.id;
            let rule = format!("the vrf_policy of BGPVPN {id} is not hub-and-spoke");
            Err(Refusal::attribute("role", rule))
        }
    }
}

/// The associations of a kind by the attribute that names what they refer to.
pub(super) fn candidates(
    model: &Model,
    kind: RowKind,
    (attribute, value): (&str, &str),
    (own, target): (&str, RowKind),
) -> Option<Vec<String>> {
    let to = match attribute {
        "bgpvpn_id" => RowKind::Bgpvpn,
        name if name == own => target,
        _ => return crate::catalogue::candidates_by_name(model, kind, attribute, value),
    };
    let id = value.parse().ok();
    Some(id.into_iter().flat_map(|id| model.referring((to, id), kind)).map(|id| id.to_string()).collect())
}

/// The association of a kind that is between these two, if there is one but this.
pub(super) fn between(
    model: &Model,
    kind: RowKind,
    (bgpvpn, target): (Id, (RowKind, Id)),
    but: Option<Id>,
) -> Option<Id> {
    let of_target = model.referring(target, kind).filter(|id| Some(*id) != but);
    of_target.into_iter().find(|id| bgpvpn_of(model, kind, *id) == Some(bgpvpn))
}

/// The BGP VPN of an association.
pub(super) fn bgpvpn_of(model: &Model, kind: RowKind, id: Id) -> Option<Id> {
    match kind {
        RowKind::BgpvpnNetworkAssociation => Some(model.bgpvpn_network_associations.get(&id)?.bgpvpn_id),
        RowKind::BgpvpnRouterAssociation => Some(model.bgpvpn_router_associations.get(&id)?.bgpvpn_id),
        RowKind::BgpvpnPortAssociation => Some(model.bgpvpn_port_associations.get(&id)?.bgpvpn_id),
        _ => None,
    }
}

/// The networks, routers and ports of a BGP VPN, each in order.
pub(super) fn members(model: &Model, bgpvpn: Id) -> [Vec<Id>; 3] {
    let of_kind = |kind| model.referring((RowKind::Bgpvpn, bgpvpn), kind);
    let networks = of_kind(RowKind::BgpvpnNetworkAssociation)
        .filter_map(|id| Some(model.bgpvpn_network_associations.get(&id)?.network_id));
    let routers = of_kind(RowKind::BgpvpnRouterAssociation)
        .filter_map(|id| Some(model.bgpvpn_router_associations.get(&id)?.router_id));
    // One that only leaks from this BGP VPN refers to it as well.
    let ports = of_kind(RowKind::BgpvpnPortAssociation)
        .filter_map(|id| model.bgpvpn_port_associations.get(&id))
        .filter(|association| association.bgpvpn_id == bgpvpn)
        .map(|association| association.port_id);
    let mut members = [networks.collect(), routers.collect(), ports.collect::<Vec<Id>>()];
    members.iter_mut().for_each(|ids: &mut Vec<Id>| ids.sort());
    members
}

/// The BGP VPNs among whose networks, routers or ports this is; nothing if the attribute is none of the three.
pub(super) fn containing(model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
    let id = value.parse::<Id>().ok();
    let (kind, target) = match attribute {
        "networks" => (RowKind::BgpvpnNetworkAssociation, id.map(|id| (RowKind::Network, id))),
        "routers" => (RowKind::BgpvpnRouterAssociation, id.map(|id| (RowKind::Router, id))),
        // A port is referred to by its binding.
        "ports" => {
            let binding = id.and_then(|id| model.binding_of_port(id));
            let binding = binding.map(|binding| (RowKind::ServicePort, binding.standard.id));
            (RowKind::BgpvpnPortAssociation, binding)
        }
        _ => return None,
    };
    let associations = target.into_iter().flat_map(|target| model.referring(target, kind));
    Some(associations.filter_map(|id| bgpvpn_of(model, kind, id)).map(|id| id.to_string()).collect())
}

/// Deletes the associations of a BGP VPN, a network, a router or a binding that goes.
pub(crate) fn dissociate(change: &mut Change, of: (RowKind, Id)) {
    for kind in KINDS {
        let associations: Vec<Id> = change.model().referring(of, kind).collect();
        for id in associations {
            change.delete(RowKey::Resource(kind, id));
        }
    }
}

/// A BGP VPN of type l3 in which a network is by itself.
pub(crate) fn l3_of_network(model: &Model, network: Id) -> Option<Id> {
    l3_of(model, RowKind::BgpvpnNetworkAssociation, (RowKind::Network, network))
}

/// A BGP VPN of type l3 in which a router is.
pub(crate) fn l3_of_router(model: &Model, router: Id) -> Option<Id> {
    l3_of(model, RowKind::BgpvpnRouterAssociation, (RowKind::Router, router))
}

fn l3_of(model: &Model, kind: RowKind, target: (RowKind, Id)) -> Option<Id> {
    let mut bgpvpns = model.referring(target, kind).filter_map(|id| bgpvpn_of(model, kind, id));
    bgpvpns.find(|id| model.bgpvpns.get(id).is_some_and(|bgpvpn| bgpvpn.kind == BgpvpnType::L3))
}
