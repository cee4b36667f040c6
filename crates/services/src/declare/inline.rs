//! What a document says inline that other requests make: the interfaces of a router, the members of a BGP VPN, the peers of a
//! speaker.
//!
//! Only what the set itself made this way is taken away when it is no longer said; what others made is left alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::document::Document;
use super::{DeclareError, Plan};
use crate::catalogue::{Entry, NoStatuses, by_member};
use crate::standard::Standard;
use crate::{Change, Id, Model, OnCreate, Refusal, RowKey, RowKind};

/// A key of documents of a kind that is no attribute of it.
pub struct Inline {
    /// The member name of the kind.
    pub kind: &'static str,
    /// The key.
    pub key: &'static str,
    /// What its items can name, each under its own key; an item that is only a name names the first.
    names: &'static [&'static str],
    by: By,
}

/// By which requests the items are made.
#[derive(Clone, Copy)]
enum By {
    /// By resources below this one, of this kind.
    Below(&'static str),
    /// By actions that add and remove.
    Actions {
        add: &'static str,
        remove: &'static str,
        /// What there is already: a kind of row that refers to this one, or a list that it shows.
        made: Made,
    },
}

#[derive(Clone, Copy)]
enum Made {
    Interfaces,
    Listed(&'static str),
}

const PEERS: By =
    By::Actions { add: "add_bgp_peer", remove: "remove_bgp_peer", made: Made::Listed("bgp_peer_id") };
const INTERFACES: By =
    By::Actions { add: "add_router_interface", remove: "remove_router_interface", made: Made::Interfaces };

/// Every such key.
const INLINE: &[Inline] = &[
    Inline { kind: "router", key: "interfaces", names: &["subnet", "port"], by: INTERFACES },
    Inline {
        kind: "bgpvpn",
        key: "networks",
        names: &["network"],
        by: By::Below("bgpvpn_network_association"),
    },
    Inline { kind: "bgpvpn", key: "routers", names: &["router"], by: By::Below("bgpvpn_router_association") },
    Inline { kind: "bgpvpn", key: "ports", names: &["port"], by: By::Below("bgpvpn_port_association") },
    Inline { kind: "bgp_speaker", key: "peers", names: &["bgp_peer"], by: PEERS },
];

/// The keys of documents of a kind that are no attributes.
pub fn inline(entry: &Entry) -> impl Iterator<Item = &'static Inline> {
    let member = entry.member;
    INLINE.iter().filter(move |inline| inline.kind == member)
}

/// Whether a row was made inline: it has no name, and goes with what it was said of.
pub(super) fn is_inline(model: &Model, key: &RowKey) -> bool {
    let RowKey::Resource(kind, _) = key else { return false };
    let is_below = INLINE.iter().any(|inline| match inline.by {
        By::Below(member) => kind.as_str() == member,
        By::Actions { .. } => false,
    });
    let row = model.row(key).filter(|_| is_below);
    row.as_ref().and_then(crate::Row::standard).is_some_and(|standard| standard.declared_name().is_empty())
}

/// One item: what it is about, and what else it says.
#[derive(Clone, Debug, PartialEq)]
struct Item {
    /// The attribute that names it: `subnet_id`.
    attribute: String,
    id: String,
    more: Map<String, Value>,
}

impl Item {
    /// As it is told of: by its identifier alone where it says no more.
    fn shown(self) -> Value {
        if self.more.is_empty() {
            return self.id.into();
        }
        let mut shown = self.more;
        shown.insert(self.attribute, self.id.into());
        shown.into()
    }
}

impl Inline {
    /// What an item names: of which kind, by which name.
    pub(super) fn named<'v>(&self, item: &'v Value) -> Option<(&'static Entry, &'v str)> {
        match item {
            Value::String(name) => Some((by_member(self.names.first()?)?, name)),
            Value::Object(map) => self.names.iter().find_map(|member| {
                let name = map.get(*member).or_else(|| map.get(&format!("{member}_id")))?;
                Some((by_member(member)?, name.as_str()?))
            }),
            _ => None,
        }
    }

    fn item(&self, plan: &Plan<'_>, model: &Model, at: usize, item: &Value) -> Result<Item, Refusal> {
        let Some((target, name)) = self.named(item) else {
            let rule = format!("it names no {}", self.names.join(" and no "));
            return Err(Refusal::attribute(&format!("{}[{at}]", self.key), rule));
        };
        let id = plan.id_of(model, self.key, target, name)?;
        let mut more = item.as_object().cloned().unwrap_or_default();
        more.remove(target.member);
        let attribute = format!("{}_id", target.member);
        more.remove(&attribute);
        Ok(Item { attribute, id, more })
    }
}

/// What has to be done so that the items are there, and no others of the set's.
pub(super) struct Steps<'p, 'd> {
    plan: &'p Plan<'d>,
    document: &'p Document<'d>,
    id: String,
    wanted: Vec<(&'static Inline, &'d str, Vec<Item>)>,
}

impl<'p, 'd> Steps<'p, 'd> {
    /// What a document says inline of the resource with this identifier.
    pub(super) fn read(
        plan: &'p Plan<'d>,
        model: &Model,
        document: &'p Document<'d>,
        id: &str,
    ) -> Result<Self, DeclareError> {
        let mut wanted = Vec::new();
        for (inline, key, value) in document.inline() {
            let wrong = |refusal| DeclareError::at(document.index, key, refusal);
            let Value::Array(items) = value else {
                return Err(wrong(Refusal::attribute(key, "it is not a list")));
            };
            let items = items.iter().enumerate().map(|(at, item)| inline.item(plan, model, at, item));
            wanted.push((inline, key, items.collect::<Result<Vec<Item>, Refusal>>().map_err(wrong)?));
        }
        Ok(Self { plan, document, id: id.to_owned(), wanted })
    }

    /// What there is of each key, as it is told of.
    pub(super) fn shown(&self, model: &Model) -> BTreeMap<String, Value> {
        let shown = self.wanted.iter().map(|(inline, key, _)| {
            let items = inline.there(self, model).into_iter().map(|there| there.item.shown());
            ((*key).to_owned(), items.collect::<Value>())
        });
        shown.collect()
    }

    /// Makes what is not there.
    pub(super) fn add(&self, change: &mut Change) -> Result<(), DeclareError> {
        for (inline, key, items) in &self.wanted {
            for item in items {
                let done = self.put(change, inline, item);
                done.map_err(|refusal| DeclareError::at(self.document.index, key, refusal))?;
            }
        }
        Ok(())
    }

    fn put(&self, change: &mut Change, inline: &Inline, item: &Item) -> Result<(), Refusal> {
        let there = inline.there(self, change.model());
        let found = there.into_iter().find(|there| there.item.id == item.id);
        let entry = self.document.entry;
        match (inline.by, found) {
            (By::Below(member), found) => {
                let below = by_member(member).expect("the list names kinds of the catalogue");
                if let Some(found) = found {
                    return below.update(change, &found.own_id, &item.more, None);
                }
                let mut request = item.more.clone();
                request.insert(format!("{}_id", entry.member), json!(self.id));
                request.insert(item.attribute.clone(), json!(item.id));
                below.create(change, &request).map(drop)
            }
            (By::Actions { .. }, Some(_)) => Ok(()),
            (By::Actions { add, .. }, None) => {
                let mut request = item.more.clone();
                request.insert(item.attribute.clone(), json!(item.id));
                act(change, (entry, &self.id), add, &request)
            }
        }
    }

    /// Takes away what the set has made and does not say any more.
    pub(super) fn remove(&self, change: &mut Change) -> Result<(), DeclareError> {
        for (inline, key, items) in &self.wanted {
            let there = inline.there(self, change.model()).into_iter();
            let gone =
                there.filter(|there| there.is_ours && items.iter().all(|item| item.id != there.item.id));
            for there in gone.collect::<Vec<_>>() {
                let done = match inline.by {
                    By::Below(member) => {
                        let below = by_member(member).expect("the list names kinds of the catalogue");
                        below.delete(change, &there.own_id, None)
                    }
                    By::Actions { remove, .. } => {
                        let request = Map::from_iter([(there.item.attribute, json!(there.item.id))]);
                        act(change, (self.document.entry, &self.id), remove, &request)
                    }
                };
                done.map_err(|refusal| DeclareError::at(self.document.index, key, refusal))?;
            }
        }
        Ok(())
    }
}

fn act(
    change: &mut Change,
    (entry, id): (&Entry, &str),
    action: &str,
    request: &Map<String, Value>,
) -> Result<(), Refusal> {
    let action = entry.action(action).expect("the list names actions of the catalogue");
    entry.act(change, (id, action), request, None).map(drop)
}

/// Something that is there.
struct There {
    item: Item,
    /// The identifier of what makes it so: an association.
    own_id: String,
    /// Whether the set made it, inline.
    is_ours: bool,
}

impl Inline {
    fn there(&self, steps: &Steps<'_, '_>, model: &Model) -> Vec<There> {
        let Ok(id) = steps.id.parse::<Id>() else { return Vec::new() };
        match self.by {
            By::Below(member) => self.below(steps, model, (id, member)),
            By::Actions { made: Made::Interfaces, .. } => interfaces(steps, model, id),
            By::Actions { made: Made::Listed(attribute), .. } => {
                let shown = steps.document.entry.render(model, &steps.id, &NoStatuses).unwrap_or_default();
                let ids = shown.get(self.key).and_then(Value::as_array).cloned().unwrap_or_default();
                let there = ids.iter().filter_map(Value::as_str).map(|id| There {
                    item: Item { attribute: attribute.to_owned(), id: id.to_owned(), more: Map::new() },
                    own_id: id.to_owned(),
                    // A list has no owner but the resource that it is of.
                    is_ours: true,
                });
                there.collect()
            }
        }
    }

    fn below(&self, steps: &Steps<'_, '_>, model: &Model, (id, member): (Id, &str)) -> Vec<There> {
        let Some(below) = by_member(member) else { return Vec::new() };
        let ids = below.candidates(model, "bgpvpn_id", &id.to_string()).unwrap_or_default();
        let there = ids.into_iter().filter_map(|own_id| {
            let shown = below.render(model, &own_id, &NoStatuses)?;
            // One that leaks from this BGP VPN is another's.
            shown.get("bgpvpn_id").filter(|of| **of == steps.id)?;
            let key = below.row_key(model, &own_id)?;
            let attribute = format!("{}_id", self.names.first()?);
            let target = shown.get(&attribute)?.as_str()?.to_owned();
            let is_ours = steps.plan.scope.has(model, &key) && is_inline(model, &key);
            Some(There { item: Item { attribute, id: target, more: said(below, &shown) }, own_id, is_ours })
        });
        there.collect()
    }
}

/// What an association says besides what it is between, where that is not what it would say anyway.
fn said(below: &Entry, shown: &Map<String, Value>) -> Map<String, Value> {
    let own = below.attributes.iter().filter(|attribute| {
        attribute.on_update && !["name", "description", "tags"].contains(&attribute.name)
    });
    let said = own.filter_map(|attribute| {
        let value = shown.get(attribute.name)?;
        let default = match attribute.on_create {
            OnCreate::Default(text) => serde_json::from_str(text).unwrap_or_default(),
            OnCreate::Required | OnCreate::Optional | OnCreate::ReadOnly => Value::Null,
        };
        (*value != default).then(|| (attribute.name.to_owned(), value.clone()))
    });
    said.collect()
}

/// The interfaces of a router: each is there by its subnets, and by its port.
fn interfaces(steps: &Steps<'_, '_>, model: &Model, router: Id) -> Vec<There> {
    let rows = model.referring((RowKind::Router, router), RowKind::RouterInterface);
    let rows = rows.filter_map(|id| model.router_interfaces.get(&id));
    let wants_port = |port: &str| {
        let items = steps.wanted.iter().flat_map(|(_, _, items)| items);
        items.into_iter().any(|item| item.attribute == "port_id" && item.id == port)
    };
    let there = rows.flat_map(|row| {
        let port = row.standard.id.to_string();
        let is_ours = is_of_set(&steps.plan.scope, &row.standard);
        let (attribute, ids) = if wants_port(&port) {
            ("port_id", vec![port.clone()])
        } else {
            ("subnet_id", row.subnet_ids.iter().map(Id::to_string).collect())
        };
        ids.into_iter().map(move |id| There {
            item: Item { attribute: attribute.to_owned(), id, more: Map::new() },
            own_id: port.clone(),
            is_ours,
        })
    });
    there.collect()
}

fn is_of_set(scope: &super::Scope, standard: &Standard) -> bool {
    standard.apply_set.as_ref() == Some(&scope.set) && standard.project_id == scope.project
}
