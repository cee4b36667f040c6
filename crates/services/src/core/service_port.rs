//! Service ports: each binds one interface to one service, with what that service knows of it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weft_net::Mac;

use crate::access::{ADMIN_OR_SERVICE, AttributeAccess, NETWORK_OWNER_OR_SERVICE};
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::change::{Change, Named, typed};
use crate::compile::FragmentKey;
use crate::core::binding::{self, OnFailure};
use crate::core::status;
use crate::index::reclaim;
use crate::network::{
    FixedIpRequest, Part, Station, allocate, check_addresses_free, index_addresses, reallocate,
};
use crate::standard::standard_attributes;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, Row, RowKey, RowKind, Standard, bgpvpn, router};

/// The binding of an interface to a service.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ServicePort {
    /// Identifier, project, name …
    pub standard: Standard,
    /// The interface.
    pub interface_id: Id,
    /// The service: a network.
    pub service_id: Id,
    /// The MAC address of the instance port beneath.
    pub mac_address: Mac,
    /// The addresses that it has in the network.
    pub fixed_ips: Vec<FixedIp>,
    /// Whether others of its network that are anycast as well may have the same addresses.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anycast: bool,
    /// Why its host cannot carry it out, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding_failure: Option<String>,
}

/// An address in a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FixedIp {
    /// The subnet.
    pub subnet_id: Id,
    /// The address.
    pub ip_address: IpAddr,
}

impl Stored for ServicePort {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        let subnets = self.fixed_ips.iter().map(|fixed_ip| (RowKind::Subnet, fixed_ip.subnet_id));
        [(RowKind::Network, self.service_id), (RowKind::Interface, self.interface_id)]
            .into_iter()
            .chain(subnets)
            .collect()
    }

    fn check_claims(&self, model: &Model) -> Result<(), Refusal> {
        let id = Some(self.standard.id);
        check_mac(model, self.service_id, self.mac_address, id)?;
        check_unbound(model, self.interface_id, id)?;
        router::check_binding_agrees(model, self)?;
        check_addresses_free(model, self)
    }

    /// Whether its host can carry it out is decided anew.
    fn forget_derived(&mut self) {
        self.binding_failure = None;
    }
}

impl Indexed for ServicePort {
    fn index(model: &mut Model, before: Option<&Self>, after: Option<&Self>) {
        if let Some(id) = before.or(after).map(|port| port.standard.id) {
            let mac = |port: &Self| (port.service_id, port.mac_address);
            reclaim(&mut model.index.macs, id, before.map(mac), after.map(mac));
        }
        index_addresses(model, before, after);
    }
}

#[derive(serde::Deserialize)]
struct Spec {
    #[serde(flatten)]
    named: Named,
    interface_id: Id,
    service_id: Id,
    fixed_ips: Option<Vec<FixedIpRequest>>,
    anycast: bool,
}

/// The collection of service ports.
pub struct ServicePorts;

impl ServicePorts {
    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        Attribute::required("interface_id", AttributeType::Reference("interface"), "Interface that is bound"),
        Attribute::required("service_id", AttributeType::Reference("service"), "Service that it is bound to")
            .mutable(),
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
            "Whether others that are anycast may have the same addresses",
        )
        .set_by(NETWORK_OWNER_OR_SERVICE)
        .immutable(),
        Attribute::read_only("mac_address", AttributeType::Mac, "MAC address of the instance port"),
        Attribute::read_only("binding_failure", AttributeType::Text(255), "Why the host cannot carry it out")
            .read_by(ADMIN_OR_SERVICE)
            .nullable(),
        Attribute::read_only(
            "status",
            AttributeType::OneOf(crate::catalogue::STATUSES),
            "What its host reported",
        ),
    ];
}

impl Resource for ServicePorts {
    fn kind(&self) -> Option<RowKind> {
        Some(RowKind::ServicePort)
    }

    fn sums_up(&self, model: &Model, fragment: &FragmentKey) -> BTreeSet<Id> {
        router::interfaces_reported_in(model, fragment).map(|interface| interface.service_port_id).collect()
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        match (attribute, value.parse()) {
            ("interface_id", Ok(id)) => Some(model.bindings_of(id).map(|id| id.to_string()).collect()),
            ("service_id", Ok(id)) => Some(model.bindings_to(id).map(|id| id.to_string()).collect()),
            _ => crate::catalogue::candidates_by_name(model, RowKind::ServicePort, attribute, value),
        }
    }

    fn render(&self, model: &Model, id: &str, statuses: &dyn Statuses) -> Option<Map<String, Value>> {
        let port = model.service_ports.get(&id.parse::<Id>().ok()?)?;
        let mut map = Map::new();
        port.standard.render(&mut map);
        map.insert("interface_id".into(), json!(port.interface_id));
        map.insert("service_id".into(), json!(port.service_id));
        map.insert("fixed_ips".into(), json!(port.fixed_ips));
        map.insert("anycast".into(), json!(port.anycast));
        map.insert("mac_address".into(), json!(port.mac_address));
        map.insert("binding_failure".into(), json!(port.binding_failure));
        map.insert("status".into(), json!(status::of_service_port(model, port, statuses).as_str()));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let spec: Spec = typed(merged)?;
        let Some(vnic) = change.model().instance_port_of(spec.interface_id).cloned() else {
            return Err(Refusal::not_found("InterfaceNotFound", "Interface", spec.interface_id));
        };
        check_unbound(change.model(), spec.interface_id, None)?;
        check_mac(change.model(), spec.service_id, vnic.mac_address, None)?;
        let station =
            Station { network: spec.service_id, mac: vnic.mac_address, part: Part::of(spec.anycast) };
        let fixed_ips = allocate(change, station, spec.fixed_ips.as_deref())?;
        let id = change.choose_id();
        let port = ServicePort {
            standard: change.standard(id, spec.named),
            interface_id: spec.interface_id,
            service_id: spec.service_id,
            mac_address: vnic.mac_address,
            fixed_ips,
            anycast: spec.anycast,
            binding_failure: None,
        };
        change.put(Row::ServicePort(Arc::new(port)));
        binding::follow_instance_port(change, vnic.standard.id, OnFailure::Refuse)?;
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().service_ports.get(&id).cloned());
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let spec: Spec = typed(merged)?;
        let mut port = ServicePort::clone(&stored);
        let asked: Vec<FixedIpRequest> = spec.fixed_ips.unwrap_or_default();
        let as_stored = asked == stored.fixed_ips.iter().map(FixedIpRequest::exactly).collect::<Vec<_>>();
        if spec.service_id != stored.service_id {
            check_mac(change.model(), spec.service_id, stored.mac_address, Some(stored.standard.id))?;
            // Moved: addresses of the old network mean nothing in the new one, unless new ones are asked for.
            let asked = (!as_stored).then_some(asked.as_slice());
            let station =
                Station { network: spec.service_id, mac: stored.mac_address, part: Part::of(stored.anycast) };
            port.fixed_ips = allocate(change, station, asked)?;
            port.service_id = spec.service_id;
        } else if !as_stored {
            port.fixed_ips = reallocate(change, &stored, stored.mac_address, &asked)?;
        }
        router::check_addresses_stay(change.model(), &stored, &port.fixed_ips)?;
        port.standard.rename(spec.named, change.now());
        let interface = port.interface_id;
        let on_failure =
            if port.service_id == stored.service_id { OnFailure::Keep } else { OnFailure::Refuse };
        change.put(Row::ServicePort(Arc::new(port)));
        match change.model().instance_port_of(interface).map(|vnic| vnic.standard.id) {
            Some(vnic) => binding::follow_instance_port(change, vnic, on_failure),
            None => Ok(()),
        }
    }

    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        let Some(key @ RowKey::Resource(_, binding)) = self.row_key(change.model(), id) else {
            return Err(self.not_found(id));
        };
        if let Some(interface) = router::interface_by(change.model(), binding) {
            router::check_port_is_free(change.model(), interface)?;
        }
        bgpvpn::dissociate(change, (RowKind::ServicePort, binding));
        change.delete(key);
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("ServicePortNotFound", "Service port", id)
    }
}

/// An interface is in one layer-2 network at a time: a link is in one bridge.
fn check_unbound(model: &Model, interface: Id, but: Option<Id>) -> Result<(), Refusal> {
    match model.bindings_of(interface).find(|other| Some(*other) != but) {
        Some(other) => Err(Refusal::conflict(
            "InterfaceInUse",
            format!(
                "interface_id: interface {interface} is bound to a network by service port {other} already."
            ),
        )),
        None => Ok(()),
    }
}

/// A MAC address is in a network once.
pub(crate) fn check_mac(model: &Model, network: Id, mac: Mac, but: Option<Id>) -> Result<(), Refusal> {
    match model.index.macs.get(&(network, mac)) {
        Some(taken) if Some(*taken) != but => Err(Refusal::conflict(
            "MacAddressInUse",
            format!(
                "mac_address: Unable to complete operation for network {network}. The mac address {mac} is in use. It is that of {}.",
                model.port_of(*taken)
            ),
        )),
        _ => Ok(()),
    }
}
