//! Neutron's port: the view of an instance port, its untagged interface and the service port that binds it to a network.
//!
//! Its identifier, name, times and tags are the instance port's; made here, all three have the same identifier.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weft_net::{HostName, IfName, Mac, NamespaceName};

use crate::access::{
    ADMIN_OR_SERVICE, AttributeAccess, NETWORK_OWNER_OR_SERVICE, PROJECT_MEMBER_OR_SERVICE, Party,
    ResourceAccess, SERVICE, Who,
};
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::change::{Change, Named, typed};
use crate::compile::FragmentKey;
use crate::core::binding::{self, OnFailure};
use crate::core::{
    DEFAULT_INTERFACE, FixedIp, InstancePort, Interface, InterfaceKind, InterfaceParent, ServicePort,
    VnicKind, check_mac, check_vnic, choose_mac,
};
use crate::network::{FixedIpRequest, Part, Station, allocate, reallocate};
use crate::standard::standard_attributes;
use crate::{Id, Model, Refusal, Row, RowKey, RowKind, Standard, bgpvpn, router};

#[derive(serde::Deserialize)]
struct Spec {
    #[serde(flatten)]
    named: Named,
    network_id: Id,
    admin_state_up: bool,
    mac_address: Option<Mac>,
    fixed_ips: Option<Vec<FixedIpRequest>>,
    device_id: String,
    device_owner: String,
    #[serde(rename = "binding:host_id", deserialize_with = "unless_empty")]
    host_id: Option<HostName>,
    #[serde(rename = "binding:vnic_type")]
    vnic_type: String,
    #[serde(rename = "binding:profile")]
    profile: Option<Map<String, Value>>,
    anycast: bool,
}

/// Neutron shows a port without a host with an empty text.
fn unless_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<HostName>, D::Error> {
    let text: Option<String> = serde::Deserialize::deserialize(deserializer)?;
    let host = text.filter(|text| !text.is_empty()).map(|text| text.parse());
    host.transpose().map_err(serde::de::Error::custom)
}

/// The collection of ports.
pub struct Ports;

const VNIC_TYPES: AttributeType = AttributeType::OneOf(&[
    "normal",
    "direct",
    "macvtap",
    "baremetal",
    "direct-physical",
    "virtio-forwarder",
    "smart-nic",
    "vdpa",
    "accelerator-direct",
    "accelerator-direct-physical",
    "remote-managed",
]);

/// Of a port that is there only a manager changes the MAC address.
const MAC_ADDRESS: AttributeAccess = AttributeAccess {
    create: Some(NETWORK_OWNER_OR_SERVICE),
    read: None,
    update: Some(&[Party::Admin, Party::Service, Party::NetworkOwnerManager]),
};

const DEVICE_OWNER: Who = &[Party::Admin, Party::Service, Party::NetworkOwnerMember, Party::NotNetworkDevice];

const SETS_TAGS: Who = &[Party::Admin, Party::ProjectMember, Party::AdvancedService];

const TAGS: AttributeAccess = AttributeAccess {
    create: Some(SETS_TAGS),
    read: Some(&[Party::Admin, Party::AdvancedService, Party::ProjectReader, Party::NetworkOwnerReader]),
    update: Some(SETS_TAGS),
};

impl Ports {
    /// Who may do what with ports.
    pub(crate) const ACCESS: ResourceAccess = ResourceAccess {
        create: &[Party::Admin, Party::Service, Party::NetworkOwnerMember, Party::Shared],
        read: &[Party::Admin, Party::Service, Party::ProjectReader, Party::NetworkOwnerReader],
        update: PROJECT_MEMBER_OR_SERVICE,
        delete: &[Party::Admin, Party::Service, Party::ProjectMember, Party::NetworkOwnerMember],
    };

    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        (project = AttributeAccess::AS_RESOURCE, tags = TAGS),
        Attribute::required("network_id", AttributeType::Reference("network"), "Network that it is on"),
        Attribute::with_default("admin_state_up", AttributeType::Boolean, "true", "Whether it connects"),
        Attribute::optional("mac_address", AttributeType::Mac, "The workload's MAC address")
            .with_access(MAC_ADDRESS),
        Attribute::optional(
            "fixed_ips",
            AttributeType::List,
            "Addresses: of {subnet_id, ip_address}, either or both",
        )
        .with_access(AttributeAccess::OF_ADDRESSES),
        Attribute::with_default(
            "anycast",
            AttributeType::Boolean,
            "false",
            "Whether other ports that are anycast may have the same addresses",
        )
        .set_by(NETWORK_OWNER_OR_SERVICE)
        .immutable(),
        Attribute::with_default("device_id", AttributeType::Text(255), "\"\"", "Device that it belongs to")
            .set_by(PROJECT_MEMBER_OR_SERVICE),
        Attribute::with_default(
            "device_owner",
            AttributeType::Text(255),
            "\"\"",
            "What kind of device that is"
        )
        .set_by(DEVICE_OWNER),
        Attribute::with_default("binding:host_id", AttributeType::HostName, "null", "Host on which it is")
            .read_by(ADMIN_OR_SERVICE)
            .set_by(ADMIN_OR_SERVICE)
            .nullable(),
        Attribute::with_default("binding:vnic_type", VNIC_TYPES, "\"normal\"", "Kind of vNIC")
            .set_by(PROJECT_MEMBER_OR_SERVICE),
        Attribute::with_default(
            "binding:profile",
            AttributeType::Object,
            "{}",
            "For the host: namespace and interface, or vnic=tap, if the agent is to make the vNIC",
        )
        .read_by(ADMIN_OR_SERVICE)
        .set_by(SERVICE)
        .nullable(),
        Attribute::read_only("binding:vif_type", AttributeType::Text(64), "unbound, tap or binding_failed")
            .read_by(ADMIN_OR_SERVICE),
        Attribute::read_only("binding:vif_details", AttributeType::Object, "How it is plugged")
            .read_by(ADMIN_OR_SERVICE),
        Attribute::read_only(
            "status",
            AttributeType::OneOf(crate::catalogue::STATUSES),
            "What its host reported"
        ),
    ];
}

/// The three rows that a port is a view of.
struct Rows {
    vnic: Arc<InstancePort>,
    interface: Arc<Interface>,
    binding: Arc<ServicePort>,
}

impl Rows {
    fn find(model: &Model, id: &str) -> Option<Self> {
        let vnic = model.instance_ports.get(&id.parse::<Id>().ok()?)?.clone();
        let binding = model.binding_of_port(vnic.standard.id)?.clone();
        let interface = model.interfaces.get(&binding.interface_id)?.clone();
        Some(Self { vnic, interface, binding })
    }
}

impl Resource for Ports {
    fn kind(&self) -> Option<RowKind> {
        None
    }

    fn parts(&self) -> &'static [RowKind] {
        &[RowKind::InstancePort, RowKind::Interface, RowKind::ServicePort]
    }

    fn ids<'m>(
        &self,
        model: &'m Model,
        after: Option<&str>,
    ) -> Box<dyn DoubleEndedIterator<Item = String> + 'm> {
        let ids = crate::core::InstancePorts.ids(model, after);
        Box::new(ids.filter(|id| Rows::find(model, id).is_some()))
    }

    fn row_key(&self, model: &Model, id: &str) -> Option<RowKey> {
        Rows::find(model, id).map(|rows| RowKey::Resource(RowKind::InstancePort, rows.vnic.standard.id))
    }

    fn shows(&self, model: &Model, row: &RowKey) -> Option<String> {
        match row {
            RowKey::Resource(RowKind::InstancePort, id) => Some(id.to_string()),
            RowKey::Resource(RowKind::ServicePort, id) => {
                let binding = model.service_ports.get(id)?;
                Some(model.instance_port_of(binding.interface_id)?.standard.id.to_string())
            }
            _ => None,
        }
    }

    fn sums_up(&self, model: &Model, fragment: &FragmentKey) -> BTreeSet<Id> {
        router::interfaces_reported_in(model, fragment).map(|interface| interface.standard.id).collect()
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        let of_bindings = |bindings: Vec<Id>| {
            let vnics = bindings.iter().filter_map(|id| {
                let binding = model.service_ports.get(id)?;
                Some(model.instance_port_of(binding.interface_id)?.standard.id.to_string())
            });
            Some(vnics.collect())
        };
        match attribute {
            "network_id" => {
                let network = value.parse().ok();
                of_bindings(network.into_iter().flat_map(|network| model.bindings_to(network)).collect())
            }
            "device_id" if !value.is_empty() => {
                let device: Arc<str> = value.into();
                let range = (device.clone(), Id::MIN)..=(device, Id::MAX);
                Some(model.index.by_device.range(range).map(|(_, id)| id.to_string()).collect())
            }
            "binding:host_id" if !value.is_empty() => {
                crate::core::InstancePorts.candidates(model, "host_id", value)
            }
            _ => crate::catalogue::candidates_by_name(model, RowKind::InstancePort, attribute, value),
        }
    }

    fn render(&self, model: &Model, id: &str, statuses: &dyn Statuses) -> Option<Map<String, Value>> {
        let Rows { vnic, binding, .. } = Rows::find(model, id)?;
        let mut map = Map::new();
        vnic.standard.render(&mut map);
        map.insert("network_id".into(), json!(binding.service_id));
        map.insert("admin_state_up".into(), json!(vnic.admin_state_up));
        map.insert("mac_address".into(), json!(vnic.mac_address));
        map.insert("fixed_ips".into(), json!(binding.fixed_ips));
        map.insert("anycast".into(), json!(binding.anycast));
        map.insert("device_id".into(), json!(vnic.device_id));
        map.insert("device_owner".into(), json!(vnic.device_owner));
        map.insert("binding:host_id".into(), json!(vnic.host_id.as_ref().map_or("", HostName::as_str)));
        map.insert("binding:vnic_type".into(), json!(vnic.vnic_type));
        map.insert("binding:profile".into(), Value::Object(profile_of(&vnic)));
        let (vif_type, details) = match (&vnic.host_id, &binding.binding_failure) {
            (None, _) if router::interface_of(model, vnic.standard.id).is_some() => {
                ("distributed", json!({}))
            }
            (None, _) => ("unbound", json!({})),
            (Some(_), Some(failure)) => ("binding_failed", json!({ "failure": failure })),
            (Some(_), None) => ("tap", json!({ "port_filter": false, "connectivity": "l2" })),
        };
        map.insert("binding:vif_type".into(), json!(vif_type));
        map.insert("binding:vif_details".into(), details);
        let status = crate::core::status::of_service_port(model, &binding, statuses);
        map.insert("status".into(), json!(status.as_str()));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let spec: Spec = typed(merged)?;
        let network = spec.network_id;
        let mac_address = spec.mac_address.unwrap_or_else(|| choose_mac(change, Some(network)));
        check_mac(change.model(), network, mac_address, None)?;
        let station = Station { network, mac: mac_address, part: Part::of(spec.anycast) };
        let fixed_ips = allocate(change, station, spec.fixed_ips.as_deref())?;
        let (vnic, profile) = split_profile(spec.profile.unwrap_or_default())?;
        let id = change.choose_id();
        let standard = change.standard(id, spec.named);
        let plain = standard.clone();
        let port = InstancePort {
            standard,
            mac_address,
            mtu: None,
            host_id: spec.host_id,
            admin_state_up: spec.admin_state_up,
            device_id: spec.device_id,
            device_owner: spec.device_owner,
            vnic,
            vnic_type: spec.vnic_type,
            profile,
            moves: 0,
        };
        check_vnic(change.model(), &port)?;
        router::check_stays(change.model(), None, &port)?;
        change.put(Row::InstancePort(Arc::new(port)));
        let interface = Interface {
            standard: plain.clone(),
            parent: InterfaceParent::InstancePort(id),
            kind: InterfaceKind::Untagged,
        };
        change.put(Row::Interface(Arc::new(interface)));
        let binding = ServicePort {
            standard: plain,
            interface_id: id,
            service_id: network,
            mac_address,
            fixed_ips,
            anycast: spec.anycast,
            binding_failure: None,
        };
        let binding = with_binding_failure(change.model(), binding);
        change.put(Row::ServicePort(Arc::new(binding)));
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let Some(stored) = Rows::find(change.model(), id) else { return Err(self.not_found(id)) };
        let spec: Spec = typed(merged)?;
        let (vnic, profile) = split_profile(spec.profile.unwrap_or_default())?;
        let mut port = InstancePort::clone(&stored.vnic);
        port.standard.rename(spec.named, change.now());
        port.admin_state_up = spec.admin_state_up;
        port.mac_address = spec.mac_address.unwrap_or(port.mac_address);
        port.host_id = spec.host_id;
        port.device_id = spec.device_id;
        port.device_owner = spec.device_owner;
        port.vnic_type = spec.vnic_type;
        (port.vnic, port.profile) = (vnic, profile);
        check_vnic(change.model(), &port)?;
        router::check_stays(change.model(), Some(&stored.vnic), &port)?;
        let asked = spec.fixed_ips.unwrap_or_default();
        let fixed_ips = reallocate(change, &stored.binding, port.mac_address, &asked)?;
        router::check_addresses_stay(change.model(), &stored.binding, &fixed_ips)?;
        let on_failure = OnFailure::Note.if_host_changes(&stored.vnic, &port);
        let (vnic, standard) = (port.standard.id, port.standard.clone());
        change.put(Row::InstancePort(Arc::new(port)));
        write_parts(change, &stored, &standard, fixed_ips);
        binding::follow_instance_port(change, vnic, on_failure)
    }

    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        if let Ok(id) = id.parse() {
            router::check_port_is_free(change.model(), id)?;
        }
        delete(change, id)
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("PortNotFound", "Port", id)
    }
}

/// Deletes a port, whosever it is.
pub(crate) fn delete(change: &mut Change, id: &str) -> Result<(), Refusal> {
    let Some(rows) = Rows::find(change.model(), id) else { return Err(Ports.not_found(id)) };
    let (vnic, interface) = (rows.vnic.standard.id, rows.interface.standard.id);
    if is_sliced(change.model(), vnic, interface) {
        return Err(Refusal::conflict(
            "PortInUse",
            format!(
                "Unable to complete operation on port {id}. Its instance port has other interfaces; delete them first."
            ),
        ));
    }
    bgpvpn::dissociate(change, (RowKind::ServicePort, rows.binding.standard.id));
    change.delete(RowKey::Resource(RowKind::ServicePort, rows.binding.standard.id));
    change.delete(RowKey::Resource(RowKind::Interface, interface));
    change.delete(RowKey::Resource(RowKind::InstancePort, vnic));
    Ok(())
}

/// Writes what of a port is in its interface and its binding: addresses, and the new name of those that were made with it.
fn write_parts(change: &mut Change, stored: &Rows, standard: &Standard, fixed_ips: Vec<FixedIp>) {
    let (now, before) = (change.now(), &stored.vnic.standard);
    let renamed = |part: &Standard| {
        let mut part = part.clone();
        if part.id == standard.id && before.name != standard.name {
            part.name.clone_from(&standard.name);
        }
        if part.id == standard.id && before.description != standard.description {
            part.description.clone_from(&standard.description);
        }
        part
    };
    let mut interface = Interface::clone(&stored.interface);
    interface.standard = renamed(&interface.standard);
    if interface != *stored.interface {
        interface.standard.touch(now);
        change.put(Row::Interface(Arc::new(interface)));
    }
    let mut binding = ServicePort::clone(&stored.binding);
    (binding.standard, binding.fixed_ips) = (renamed(&binding.standard), fixed_ips);
    if binding != *stored.binding {
        binding.standard.touch(now);
        change.put(Row::ServicePort(Arc::new(binding)));
    }
}

/// Whether a vNIC has interfaces besides its untagged one.
fn is_sliced(model: &Model, vnic: Id, untagged: Id) -> bool {
    let below = |parent| model.interfaces_of(parent).count();
    below(InterfaceParent::InstancePort(vnic)) > 1 || below(InterfaceParent::Interface(untagged)) > 0
}

/// Notes why the host of a new port cannot carry it out, if it cannot.
fn with_binding_failure(model: &Model, mut binding: ServicePort) -> ServicePort {
    if let Some(vnic) = model.instance_port_of(binding.interface_id) {
        binding.binding_failure = binding::binding_failure(model, vnic, &binding);
    }
    binding
}

/// Reads who makes the vNIC from a binding profile; answers it and what else the profile holds.
fn split_profile(mut profile: Map<String, Value>) -> Result<(VnicKind, Map<String, Value>), Refusal> {
    let refuse = |rule: String| Refusal::attribute("binding:profile", rule);
    let namespace = profile.remove("namespace");
    let interface = profile.remove("interface");
    if let Some(namespace) = namespace {
        let namespace: NamespaceName =
            serde_json::from_value(namespace).map_err(|error| refuse(error.to_string()))?;
        let interface = interface.unwrap_or_else(|| json!(DEFAULT_INTERFACE));
        let interface: IfName =
            serde_json::from_value(interface).map_err(|error| refuse(error.to_string()))?;
        return Ok((VnicKind::Namespace { namespace, interface }, profile));
    }
    if interface.is_some() {
        return Err(refuse("interface is given without namespace".into()));
    }
    match profile.remove("vnic") {
        None => Ok((VnicKind::Adopted, profile)),
        Some(Value::String(kind)) if kind == "tap" => Ok((VnicKind::Tap, profile)),
        Some(other) => Err(refuse(format!("vnic {other} is not tap"))),
    }
}

/// A binding profile as it is shown: who makes the vNIC, and what else was given.
fn profile_of(vnic: &InstancePort) -> Map<String, Value> {
    let mut profile = vnic.profile.clone();
    match &vnic.vnic {
        VnicKind::Adopted => {}
        VnicKind::Tap => drop(profile.insert("vnic".into(), json!("tap"))),
        VnicKind::Namespace { namespace, interface } => {
            profile.insert("namespace".into(), json!(namespace));
            // What nobody gave is not there to be in the way when the namespace is taken out.
            if interface.as_str() != DEFAULT_INTERFACE {
                profile.insert("interface".into(), json!(interface));
            }
        }
    }
    profile
}
