//! Interfaces: slices of an instance port, or of another interface.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::change::{Change, Named, typed};
use crate::core::binding;
use crate::standard::standard_attributes;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, Row, RowKind, Standard};

/// How many interfaces may be in one another: IEEE 802.1ad, two tags.
const DEPTH_MAX: usize = 2;

/// A slice of an instance port or of a parent interface.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Interface {
    /// Identifier, project, name …
    pub standard: Standard,
    /// What it is a slice of.
    pub parent: InterfaceParent,
    /// Which slice.
    pub kind: InterfaceKind,
}

/// What an interface is a slice of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceParent {
    /// An instance port.
    InstancePort(Id),
    /// Another interface.
    Interface(Id),
}

impl InterfaceParent {
    /// The row that it is.
    pub(crate) const fn key(self) -> (RowKind, Id) {
        match self {
            Self::InstancePort(id) => (RowKind::InstancePort, id),
            Self::Interface(id) => (RowKind::Interface, id),
        }
    }
}

impl Stored for Interface {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        vec![self.parent.key()]
    }

    fn check_claims(&self, model: &Model) -> Result<(), Refusal> {
        let mut slices = model.interfaces_of(self.parent);
        match slices.find(|other| other.kind == self.kind && other.standard.id != self.standard.id) {
            Some(other) => Err(taken(other.standard.id)),
            None => Ok(()),
        }
    }
}

impl Indexed for Interface {
    fn index(_: &mut Model, _: Option<&Self>, _: Option<&Self>) {}
}

/// Which slice an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterfaceKind {
    /// What has no tag.
    Untagged,
    /// What has this IEEE 802.1Q tag, 1 to 4094.
    Vlan(u16),
}

#[derive(serde::Deserialize)]
struct Spec {
    #[serde(flatten)]
    named: Named,
    instance_port_id: Option<Id>,
    parent_interface_id: Option<Id>,
    r#type: String,
    segmentation_id: Option<u16>,
}

/// The collection of interfaces.
pub struct Interfaces;

impl Interfaces {
    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        Attribute::optional(
            "instance_port_id",
            AttributeType::Reference("instance_port"),
            "Instance port that it is a slice of"
        )
        .nullable()
        .immutable(),
        Attribute::optional(
            "parent_interface_id",
            AttributeType::Reference("interface"),
            "Interface that it is a slice of"
        )
        .nullable()
        .immutable(),
        Attribute::with_default(
            "type",
            AttributeType::OneOf(&["untagged", "vlan"]),
            "\"untagged\"",
            "Which slice",
        )
        .immutable(),
        Attribute::optional("segmentation_id", AttributeType::Integer(1, 4094), "VLAN tag")
            .nullable()
            .immutable(),
    ];
}

impl Resource for Interfaces {
    fn kind(&self) -> Option<RowKind> {
        Some(RowKind::Interface)
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        let of =
            |parent| Some(model.interfaces_of(parent).map(|found| found.standard.id.to_string()).collect());
        match (attribute, value.parse()) {
            ("instance_port_id", Ok(parent)) => of(InterfaceParent::InstancePort(parent)),
            ("parent_interface_id", Ok(parent)) => of(InterfaceParent::Interface(parent)),
            _ => crate::catalogue::candidates_by_name(model, RowKind::Interface, attribute, value),
        }
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        let interface = model.interfaces.get(&id.parse::<Id>().ok()?)?;
        let mut map = Map::new();
        interface.standard.render(&mut map);
        let (port, parent) = match interface.parent {
            InterfaceParent::InstancePort(id) => (Some(id), None),
            InterfaceParent::Interface(id) => (None, Some(id)),
        };
        let (kind, tag) = match interface.kind {
            InterfaceKind::Untagged => ("untagged", None),
            InterfaceKind::Vlan(tag) => ("vlan", Some(tag)),
        };
        map.insert("instance_port_id".into(), json!(port));
        map.insert("parent_interface_id".into(), json!(parent));
        map.insert("type".into(), json!(kind));
        map.insert("segmentation_id".into(), json!(tag));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let spec: Spec = typed(merged)?;
        let (parent, kind) = (parent(&spec)?, kind(&spec)?);
        check_place(change.model(), parent, kind)?;
        let id = change.choose_id();
        let interface = Interface { standard: change.standard(id, spec.named), parent, kind };
        change.put(Row::Interface(Arc::new(interface)));
        binding::check_interface(change.model(), id)?;
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().interfaces.get(&id).cloned());
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let named: Named = typed(merged)?;
        let mut interface = Interface::clone(&stored);
        interface.standard.rename(named, change.now());
        change.put(Row::Interface(Arc::new(interface)));
        Ok(())
    }

    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        let Some(key) = self.row_key(change.model(), id) else { return Err(self.not_found(id)) };
        let in_use = id.parse().is_ok_and(|id: Id| {
            change.model().interfaces_of(InterfaceParent::Interface(id)).next().is_some()
                || change.model().bindings_of(id).next().is_some()
        });
        if in_use {
            return Err(Refusal::conflict(
                "InterfaceInUse",
                format!(
                    "Unable to complete operation on interface {id}. It has service ports or interfaces; delete them first."
                ),
            ));
        }
        change.delete(key);
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("InterfaceNotFound", "Interface", id)
    }
}

fn parent(spec: &Spec) -> Result<InterfaceParent, Refusal> {
    match (spec.instance_port_id, spec.parent_interface_id) {
        (Some(port), None) => Ok(InterfaceParent::InstancePort(port)),
        (None, Some(interface)) => Ok(InterfaceParent::Interface(interface)),
        (Some(_), Some(_)) => {
            Err(Refusal::attribute("parent_interface_id", "instance_port_id is given as well"))
        }
        (None, None) => {
            Err(Refusal::attribute("instance_port_id", "neither it nor parent_interface_id is given"))
        }
    }
}

fn kind(spec: &Spec) -> Result<InterfaceKind, Refusal> {
    match (spec.r#type.as_str(), spec.segmentation_id) {
        ("vlan", Some(tag)) => Ok(InterfaceKind::Vlan(tag)),
        ("vlan", None) => Err(Refusal::attribute("segmentation_id", "type vlan needs one")),
        (_, None) => Ok(InterfaceKind::Untagged),
        (_, Some(_)) => Err(Refusal::attribute("segmentation_id", "type untagged has none")),
    }
}

fn check_place(model: &Model, parent: InterfaceParent, kind: InterfaceKind) -> Result<(), Refusal> {
    match parent {
        InterfaceParent::Interface(id) => {
            let depth = depth(model, id)?;
            if depth >= DEPTH_MAX || kind == InterfaceKind::Untagged {
                return Err(Refusal::attribute(
                    "parent_interface_id",
                    format!("an interface in an interface has type vlan and is at most {DEPTH_MAX} deep"),
                ));
            }
        }
        InterfaceParent::InstancePort(_) => {}
    }
    match model.interfaces_of(parent).find(|other| other.kind == kind) {
        Some(other) => Err(taken(other.standard.id)),
        None => Ok(()),
    }
}

fn taken(by: Id) -> Refusal {
    Refusal::conflict("InterfaceInUse", format!("segmentation_id: interface {by} is this slice already."))
}

fn depth(model: &Model, mut id: Id) -> Result<usize, Refusal> {
    for depth in 1.. {
        let interface = model.interfaces.get(&id).ok_or_else(|| Interfaces.not_found(&id.to_string()))?;
        match interface.parent {
            InterfaceParent::InstancePort(_) => return Ok(depth),
            InterfaceParent::Interface(parent) => id = parent,
        }
    }
    Ok(DEPTH_MAX)
}
