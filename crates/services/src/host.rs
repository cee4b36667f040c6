//! Hosts: what the model knows of them, as facts.

use std::ops::Bound;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weft_net::{HostFact, HostName};

use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::core::binding::mended;
use crate::vrf::EndpointBits;
use crate::{Change, Model, Refusal, Row, RowKey, RowKind, Timestamp, Write};

/// A host that has said what it is. Kept when it goes away: forwarding outlives the control plane.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Host {
    /// Its name: what its certificate says and `binding:host_id` means.
    pub name: HostName,
    /// What it last said of itself.
    pub fact: HostFact,
    /// When it said so for the first time.
    pub created_at: Timestamp,
    /// When what it says last changed.
    pub updated_at: Timestamp,
}

/// The collection of hosts.
pub(crate) struct Hosts;

impl Hosts {
    pub(crate) const ATTRIBUTES: &'static [Attribute] = &[
        Attribute::read_only("id", AttributeType::HostName, "Name, by which it is identified"),
        Attribute::read_only("name", AttributeType::HostName, "Name"),
        Attribute::read_only("tunnel_endpoint", AttributeType::IpAddress, "Where other hosts send to")
            .nullable(),
        Attribute::read_only(
            "underlay_mtu",
            AttributeType::Integer(0, i64::MAX),
            "Largest packet of its underlay, in bytes",
        ),
        Attribute::read_only("capabilities", AttributeType::List, "What its kernel can do"),
        Attribute::read_only("physical_networks", AttributeType::Object, "Physical networks that it reaches"),
        Attribute::read_only(
            "l3_encapsulation",
            AttributeType::Text(5),
            "In what it prefers to get and to send what is routed: `vxlan` or `mpls`",
        ),
        Attribute::read_only("alive", AttributeType::Boolean, "Whether its agent is connected"),
        Attribute::read_only("created_at", AttributeType::Text(32), "When it first connected"),
        Attribute::read_only("updated_at", AttributeType::Text(32), "When what it says last changed"),
    ];
}

impl Resource for Hosts {
    fn kind(&self) -> Option<RowKind> {
        None
    }

    fn ids<'m>(
        &self,
        model: &'m Model,
        after: Option<&str>,
    ) -> Box<dyn DoubleEndedIterator<Item = String> + 'm> {
        let start = match after.map(str::parse::<HostName>) {
            Some(Ok(name)) => Bound::Excluded(name),
            Some(Err(_)) | None => Bound::Unbounded,
        };
        Box::new(model.hosts.range((start, Bound::Unbounded)).map(|(name, _)| name.to_string()))
    }

    fn row_key(&self, _: &Model, _: &str) -> Option<RowKey> {
        None
    }

    fn shows(&self, _: &Model, row: &RowKey) -> Option<String> {
        match row {
            RowKey::Host(name) => Some(name.to_string()),
            _ => None,
        }
    }

    fn candidates(&self, _: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        matches!(attribute, "id" | "name").then(|| vec![value.to_owned()])
    }

    fn render(&self, model: &Model, id: &str, statuses: &dyn Statuses) -> Option<Map<String, Value>> {
        let host = model.hosts.get(&id.parse::<HostName>().ok()?)?;
        let mut map = Map::new();
        map.insert("id".into(), json!(host.name));
        map.insert("name".into(), json!(host.name));
        map.insert("tunnel_endpoint".into(), json!(host.fact.tunnel_endpoint));
        map.insert("underlay_mtu".into(), json!(host.fact.underlay_mtu));
        map.insert("capabilities".into(), json!(host.fact.capabilities));
        map.insert("physical_networks".into(), json!(host.fact.physical_networks));
        map.insert("l3_encapsulation".into(), json!(host.fact.l3_encapsulation));
        map.insert("alive".into(), json!(statuses.is_connected(&host.name)));
        map.insert("created_at".into(), json!(host.created_at.to_string()));
        map.insert("updated_at".into(), json!(host.updated_at.to_string()));
        Some(map)
    }

    fn create(&self, _: &mut Change, _: Map<String, Value>) -> Result<String, Refusal> {
        Err(Refusal::invalid("HTTPBadRequest", "A host is made by its agent, when it first connects"))
    }

    fn update(&self, _: &mut Change, _: &str, _: Map<String, Value>) -> Result<(), Refusal> {
        Err(Refusal::invalid("HTTPBadRequest", "A host is described by its agent"))
    }

    /// Fences a host: what it may still have on it is no longer waited for. It must have no ports.
    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        let name = id.parse::<HostName>().ok().filter(|name| change.model().hosts.contains_key(name));
        let Some(name) = name else { return Err(self.not_found(id)) };
        if let Some(first) = change.model().ports_on(&name).next() {
            return Err(Refusal::conflict(
                "HostInUse",
                format!(
                    "Unable to complete operation on host {id}. There are one or more ports on it. The first is port {first}; move or delete its ports first."
                ),
            ));
        }
        let departures = change.model().departures().filter(|departure| departure.host == name);
        for departure in departures.cloned().collect::<Vec<_>>() {
            change.delete(RowKey::Departure(departure.what, departure.host));
        }
        change.delete(RowKey::Host(name));
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("HostNotFound", "Host", id)
    }
}

/// The writes by which a host says what it is, with the bindings that it could not carry out before and can now; none if it
/// is known as that already. What it can no longer do takes nothing away: that is for whoever binds next.
///
/// # Errors
/// If its tunnel endpoint is no address that others can send to, or another host's.
pub fn describe_host(
    model: &Model,
    name: &HostName,
    fact: &HostFact,
    now: Timestamp,
) -> Result<Vec<Write>, Refusal> {
    let known = model.hosts.get(name);
    if known.is_some_and(|known| known.fact == *fact) {
        return Ok(Vec::new());
    }
    check_endpoint(model, name, fact)?;
    let created_at = known.map_or(now, |known| known.created_at);
    let host = Host { name: name.clone(), fact: fact.clone(), created_at, updated_at: now };
    let described = Write::Put(Row::Host(Arc::new(host)));
    let mut after = model.clone();
    after.apply(&described);
    let bindings = after.ports_on(name).flat_map(|port| after.service_ports_on(port));
    Ok(std::iter::once(described).chain(mended(&after, bindings, now)).collect())
}

/// The writes by which a restored model knows the hosts of the one that it replaces: what is known of hosts is a fact, and no
/// snapshot's to take back.
pub(crate) fn hosts_after_restore(lost: &Model, restored: &Model) -> impl Iterator<Item = Write> {
    let others = lost.hosts.values().filter(|host| !restored.hosts.contains_key(&host.name));
    others.map(|host| Write::Put(Row::Host(host.clone())))
}

fn check_endpoint(model: &Model, name: &HostName, fact: &HostFact) -> Result<(), Refusal> {
    let Some(endpoint) = fact.tunnel_endpoint else { return Ok(()) };
    if endpoint.is_unspecified() || endpoint.is_multicast() || endpoint.is_loopback() {
        return Err(Refusal::attribute("tunnel_endpoint", format!("others cannot send to '{endpoint}'")));
    }
    let bits = EndpointBits::of(endpoint);
    let is_alike = |other: &Host| other.fact.tunnel_endpoint.map(EndpointBits::of) == Some(bits);
    let Some(other) = model.hosts.values().find(|other| other.name != *name && is_alike(other)) else {
        return Ok(());
    };
    let (name, its) = (&other.name, other.fact.tunnel_endpoint.unwrap_or(endpoint));
    let what = if its == endpoint {
        format!("is that of host '{name}' already")
    } else {
        format!("comes to the same MAC addresses of routers as {its}, which is that of host '{name}'")
    };
    let message = format!("tunnel_endpoint: {endpoint} {what}; delete that host if it is gone.");
    Err(Refusal::conflict("TunnelEndpointInUse", message))
}
