//! Instance ports: vNICs, with or without anything that they are connected to.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weft_net::{HostName, IfName, Mac, NamespaceName};

use crate::access::{ADMIN_OR_SERVICE, PROJECT_MEMBER_OR_SERVICE, Party, ResourceAccess};
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::change::{Change, Named, typed};
use crate::compile::FragmentKey;
use crate::core::binding::{self, OnFailure};
use crate::core::{InterfaceParent, status};
use crate::index::replace;
use crate::standard::standard_attributes;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, Row, RowKey, RowKind, Standard, Write, router};

/// A vNIC: MAC address, MTU, host.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InstancePort {
    /// Identifier, project, name …
    pub standard: Standard,
    /// The workload's MAC address.
    pub mac_address: Mac,
    /// The largest packet, in bytes; `None`: that of the network it is bound to.
    pub mtu: Option<u32>,
    /// The host on which it is.
    pub host_id: Option<HostName>,
    /// Whether it takes part in what it is bound to.
    pub admin_state_up: bool,
    /// The device that it belongs to: an instance, a router.
    pub device_id: String,
    /// What kind of device that is.
    pub device_owner: String,
    /// Who makes the vNIC, and as what.
    pub vnic: VnicKind,
    /// Neutron's `binding:vnic_type`.
    pub vnic_type: String,
    /// What else `binding:profile` holds.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub profile: Map<String, Value>,
    /// How often it has left a host: what others have heard of it from there is older than what they hear now (RFC 7432 §7.7).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub moves: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Who makes a vNIC, and as what.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum VnicKind {
    /// Somebody else, a hypervisor, makes the tap; it is joined when it appears.
    #[default]
    Adopted,
    /// The agent makes a TAP device of the name that Nova would give it.
    Tap,
    /// The agent makes a network namespace and, in it, an interface with the port's addresses.
    Namespace {
        /// The namespace; ports of one project on one host may share it.
        namespace: NamespaceName,
        /// The interface in it.
        #[serde(default = "eth0")]
        interface: IfName,
    },
}

impl Stored for InstancePort {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        Vec::new()
    }

    fn check_claims(&self, model: &Model) -> Result<(), Refusal> {
        router::check_vnic_agrees(model, self)?;
        check_vnic(model, self)
    }

    fn forget_derived(&mut self) {
        self.moves = 0;
    }
}

/// Counts the moves of the instance ports that a change has written: whatever it says of them itself.
pub(crate) fn count_moves(base: &Model, change: &mut Change) {
    let keys = change.writes().iter().map(Write::key);
    let ids: BTreeSet<Id> = keys
        .filter_map(|key| match key {
            RowKey::Resource(RowKind::InstancePort, id) => Some(id),
            _ => None,
        })
        .collect();
    for id in ids {
        let (Some(before), Some(after)) =
            (base.instance_ports.get(&id), change.model().instance_ports.get(&id))
        else {
            continue;
        };
        let has_left = before.host_id.is_some() && before.host_id != after.host_id;
        let moves = before.moves.saturating_add(u32::from(has_left));
        if after.moves != moves {
            let after = InstancePort { moves, ..InstancePort::clone(after) };
            change.put(Row::InstancePort(Arc::new(after)));
        }
    }
}

impl Indexed for InstancePort {
    fn index(model: &mut Model, before: Option<&Self>, after: Option<&Self>) {
        let index = &mut model.index;
        let device = |port: &Self| {
            let device = Some(&port.device_id).filter(|device| !device.is_empty())?;
            Some((Arc::from(device.as_str()), port.standard.id))
        };
        replace(&mut index.by_device, before.and_then(device), after.and_then(device));
        let host = |port: &Self| Some((port.host_id.clone()?, port.standard.id));
        replace(&mut index.by_host, before.and_then(host), after.and_then(host));
        let namespace = |port: &Self| match (&port.host_id, &port.vnic) {
            (Some(host), VnicKind::Namespace { namespace, .. }) => {
                Some((host.clone(), namespace.clone(), port.standard.id))
            }
            _ => None,
        };
        replace(&mut index.namespaces, before.and_then(namespace), after.and_then(namespace));
    }
}

/// The interface in a namespace where none is named.
pub(crate) const DEFAULT_INTERFACE: &str = "eth0";

fn eth0() -> IfName {
    DEFAULT_INTERFACE.parse().expect("four letters and digits")
}

/// An instance port as a request has it.
#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct InstancePortSpec {
    #[serde(flatten)]
    pub(crate) named: Named,
    pub(crate) mac_address: Option<Mac>,
    pub(crate) mtu: Option<u32>,
    pub(crate) host_id: Option<HostName>,
    pub(crate) admin_state_up: bool,
    pub(crate) device_id: String,
    pub(crate) device_owner: String,
    pub(crate) vnic: VnicKind,
}

/// The collection of instance ports.
pub struct InstancePorts;

impl InstancePorts {
    /// Who may do what with instance ports: as with ports, without a network whose owner would have a say.
    pub(crate) const ACCESS: ResourceAccess = ResourceAccess {
        create: PROJECT_MEMBER_OR_SERVICE,
        read: &[Party::Admin, Party::Service, Party::ProjectReader],
        update: PROJECT_MEMBER_OR_SERVICE,
        delete: PROJECT_MEMBER_OR_SERVICE,
    };

    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        Attribute::optional("mac_address", AttributeType::Mac, "The workload's MAC address"),
        Attribute::optional(
            "mtu",
            AttributeType::Integer(1280, 65535),
            "Largest packet, in bytes; null: the network's",
        )
        .nullable(),
        Attribute::optional("host_id", AttributeType::HostName, "Host on which it is")
            .read_by(ADMIN_OR_SERVICE)
            .set_by(ADMIN_OR_SERVICE)
            .nullable(),
        Attribute::with_default("admin_state_up", AttributeType::Boolean, "true", "Whether it takes part"),
        Attribute::with_default("device_id", AttributeType::Text(255), "\"\"", "Device that it belongs to"),
        Attribute::with_default(
            "device_owner",
            AttributeType::Text(255),
            "\"\"",
            "What kind of device that is",
        ),
        Attribute::with_default(
            "vnic",
            AttributeType::Object,
            r#"{"type":"adopted"}"#,
            "Who makes the vNIC: {type: adopted}, {type: tap} or {type: namespace, namespace, interface}",
        )
        .read_by(ADMIN_OR_SERVICE)
        .set_by(ADMIN_OR_SERVICE),
        Attribute::read_only(
            "status",
            AttributeType::OneOf(crate::catalogue::STATUSES),
            "What its host reported",
        ),
    ];
}

impl Resource for InstancePorts {
    fn kind(&self) -> Option<RowKind> {
        Some(RowKind::InstancePort)
    }

    fn sums_up(&self, model: &Model, fragment: &FragmentKey) -> BTreeSet<Id> {
        router::interfaces_reported_in(model, fragment).map(|interface| interface.standard.id).collect()
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        match attribute {
            "host_id" => {
                let host = value.parse().ok();
                Some(host.iter().flat_map(|host| model.ports_on(host)).map(|id| id.to_string()).collect())
            }
            _ => crate::catalogue::candidates_by_name(model, RowKind::InstancePort, attribute, value),
        }
    }

    fn render(&self, model: &Model, id: &str, statuses: &dyn Statuses) -> Option<Map<String, Value>> {
        let port = model.instance_ports.get(&id.parse::<Id>().ok()?)?;
        let mut map = Map::new();
        port.standard.render(&mut map);
        map.insert("mac_address".into(), json!(port.mac_address));
        map.insert("mtu".into(), json!(port.mtu));
        map.insert("host_id".into(), json!(port.host_id));
        map.insert("admin_state_up".into(), json!(port.admin_state_up));
        map.insert("device_id".into(), json!(port.device_id));
        map.insert("device_owner".into(), json!(port.device_owner));
        map.insert("vnic".into(), json!(port.vnic));
        map.insert("status".into(), json!(status::of_instance_port(model, port, statuses).as_str()));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let spec: InstancePortSpec = typed(merged)?;
        let id = change.choose_id();
        let mac_address = spec.mac_address.unwrap_or_else(|| choose_mac(change, None));
        let port = InstancePort {
            standard: change.standard(id, spec.named),
            mac_address,
            mtu: spec.mtu,
            host_id: spec.host_id,
            admin_state_up: spec.admin_state_up,
            device_id: spec.device_id,
            device_owner: spec.device_owner,
            vnic: spec.vnic,
            vnic_type: "normal".into(),
            profile: Map::new(),
            moves: 0,
        };
        check_native(change.model(), &port)?;
        router::check_stays(change.model(), None, &port)?;
        change.put(Row::InstancePort(Arc::new(port)));
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().instance_ports.get(&id).cloned());
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let spec: InstancePortSpec = typed(merged)?;
        let mut port = InstancePort::clone(&stored);
        port.standard.rename(spec.named, change.now());
        port.mac_address = spec.mac_address.unwrap_or(port.mac_address);
        port.mtu = spec.mtu;
        port.host_id = spec.host_id;
        port.admin_state_up = spec.admin_state_up;
        port.device_id = spec.device_id;
        port.device_owner = spec.device_owner;
        port.vnic = spec.vnic;
        router::check_stays(change.model(), Some(&stored), &port)?;
        let on_failure = OnFailure::Refuse.if_host_changes(&stored, &port);
        if on_failure == OnFailure::Refuse {
            check_native(change.model(), &port)?;
        }
        let vnic = port.standard.id;
        change.put(Row::InstancePort(Arc::new(port)));
        if on_failure == OnFailure::Refuse {
            binding::check_interfaces(change.model(), vnic)?;
        }
        binding::follow_instance_port(change, vnic, on_failure)
    }

    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        let Some(key) = self.row_key(change.model(), id) else { return Err(self.not_found(id)) };
        let in_use = id.parse().is_ok_and(|id: Id| {
            change.model().interfaces_of(InterfaceParent::InstancePort(id)).next().is_some()
        });
        if in_use {
            return Err(Refusal::conflict(
                "InstancePortInUse",
                format!(
                    "Unable to complete operation on instance port {id}. It has interfaces; delete them first."
                ),
            ));
        }
        change.delete(key);
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("InstancePortNotFound", "Instance port", id)
    }
}

/// What a native resource that names a host must fulfil: the host is known, and can do what is asked.
fn check_native(model: &Model, port: &InstancePort) -> Result<(), Refusal> {
    if let Some(host) = &port.host_id {
        let Some(known) = model.host(host) else {
            return Err(Refusal::attribute("host_id", format!("no host '{host}' is known")));
        };
        binding::check_can_make(&known.fact, &port.vnic).map_err(|rule| {
            Refusal::conflict("HostLacksCapability", format!("host_id: host '{host}' {rule}."))
        })?;
    }
    check_vnic(model, port)
}

/// A namespace on a host belongs to one project, and each interface in it to one port.
pub(crate) fn check_vnic(model: &Model, port: &InstancePort) -> Result<(), Refusal> {
    let (Some(host), VnicKind::Namespace { namespace, interface }) = (&port.host_id, &port.vnic) else {
        return Ok(());
    };
    if matches!(interface.as_str(), "lo" | "all" | "default") {
        return Err(Refusal::attribute(
            "interface",
            format!("'{interface}' has a meaning of its own in a namespace"),
        ));
    }
    let here = (host.clone(), namespace.clone(), Id::MIN)..=(host.clone(), namespace.clone(), Id::MAX);
    for (_, _, id) in model.index.namespaces.range(here) {
        let Some(other) = model.instance_ports.get(id).filter(|other| other.standard.id != port.standard.id)
        else {
            continue;
        };
        if other.standard.project_id != port.standard.project_id {
            return Err(Refusal::conflict(
                "NamespaceInUse",
                format!("namespace '{namespace}' on host '{host}' is another project's."),
            ));
        }
        if matches!(&other.vnic, VnicKind::Namespace { interface: taken, .. } if taken == interface) {
            return Err(Refusal::conflict(
                "NamespaceInUse",
                format!(
                    "interface '{interface}' of namespace '{namespace}' on host '{host}' is that of port {id}."
                ),
            ));
        }
    }
    Ok(())
}

/// A MAC address with the prefix that Neutron uses, free in the network.
pub(crate) fn choose_mac(change: &mut Change, network: Option<Id>) -> Mac {
    loop {
        let [a, b, c, ..] = change.random_bits().to_be_bytes();
        let mac = Mac::new([0xfa, 0x16, 0x3e, a, b, c]);
        let taken = network.is_some_and(|network| change.model().index.macs.contains_key(&(network, mac)));
        if !taken {
            return mac;
        }
    }
}
