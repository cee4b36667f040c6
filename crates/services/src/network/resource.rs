//! Networks: layer-2 segments of a project.

use std::net::Ipv6Addr;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use weft_net::Vni;

use crate::access::{ADMIN, AttributeAccess, Party, ResourceAccess};
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::change::{Change, Named, typed};
use crate::compile::ServiceKey;
use crate::core::binding::{mended, vxlan_overhead};
use crate::exclusive::{Exclusive, Taken, check_owned, taken};
use crate::standard::standard_attributes;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, Row, RowKey, RowKind, Standard, bgpvpn};

/// A layer-2 network.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Network {
    /// Identifier, project, name …
    pub standard: Standard,
    /// Whether it connects.
    pub admin_state_up: bool,
    /// Whether other projects may use it.
    pub shared: bool,
    /// The largest packet, in bytes.
    pub mtu: u32,
    /// How it is carried between hosts.
    pub encapsulation: Encapsulation,
    /// Whether its workloads reach each other below IP: otherwise there is nothing but routes between them.
    #[serde(default = "yes")]
    pub l2_adjacency: bool,
}

const fn yes() -> bool {
    true
}

/// How a network is carried between hosts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encapsulation {
    /// By VXLAN (RFC 7348).
    Vxlan {
        /// The VXLAN network identifier.
        vni: Vni,
    },
    /// By the IEEE 802.1Q VLAN of a physical network.
    Vlan {
        /// The physical network, as hosts call it.
        physical_network: String,
        /// The VLAN tag, 1 to 4094.
        vlan_id: u16,
    },
}

impl Stored for Network {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        Vec::new()
    }

    fn check_claims(&self, model: &Model) -> Result<(), Refusal> {
        check_owned(model, self.key(), &self.encapsulation.exclusive())
    }
}

impl Indexed for Network {
    fn index(model: &mut Model, before: Option<&Self>, after: Option<&Self>) {
        let Some(owner) = before.or(after).map(Self::key) else { return };
        let [had, has] = [before, after].map(|network| network.map(|one| one.encapsulation.exclusive()));
        model.index_exclusive(owner, had, has);
    }
}

impl Encapsulation {
    /// What of it only one network can have.
    pub(crate) fn exclusive(&self) -> Exclusive {
        match self {
            Self::Vxlan { vni } => Exclusive::Vni(*vni),
            Self::Vlan { physical_network, vlan_id } => {
                Exclusive::Vlan { vlan_id: *vlan_id, physical_network: physical_network.as_str().into() }
            }
        }
    }
}

impl Network {
    /// The instance of a service that it is.
    fn key(&self) -> ServiceKey {
        ServiceKey { kind: RowKind::Network, id: self.standard.id }
    }

    /// The VNI, of a network that has one.
    #[must_use]
    pub const fn vni(&self) -> Option<Vni> {
        match self.encapsulation {
            Encapsulation::Vxlan { vni } => Some(vni),
            Encapsulation::Vlan { .. } => None,
        }
    }
}

#[derive(serde::Deserialize)]
struct Spec {
    #[serde(flatten)]
    named: Named,
    admin_state_up: bool,
    shared: bool,
    l2_adjacency: bool,
    mtu: Option<u32>,
    #[serde(rename = "provider:network_type")]
    network_type: Option<String>,
    #[serde(rename = "provider:physical_network")]
    physical_network: Option<String>,
    #[serde(rename = "provider:segmentation_id")]
    segmentation_id: Option<u32>,
}

/// The collection of networks.
pub struct Networks;

/// Tags are shown to those to whom a network is, but not to other services.
const TAGS: AttributeAccess = AttributeAccess {
    read: Some(&[Party::Admin, Party::ProjectReader, Party::Shared, Party::AdvancedService]),
    ..AttributeAccess::AS_RESOURCE
};

impl Networks {
    /// Who may do what with networks: whoever is shown a network is also shown one that is shared.
    pub(crate) const ACCESS: ResourceAccess = ResourceAccess {
        read: &[Party::Admin, Party::ProjectReader, Party::Service, Party::Shared, Party::AdvancedService],
        ..ResourceAccess::OF_PROJECT
    };

    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        (project = AttributeAccess::AS_RESOURCE, tags = TAGS),
        Attribute::with_default("admin_state_up", AttributeType::Boolean, "true", "Whether it connects"),
        Attribute::with_default(
            "shared",
            AttributeType::Boolean,
            "false",
            "Whether other projects may use it",
        )
        .set_by(ADMIN),
        Attribute::with_default(
            "l2_adjacency",
            AttributeType::Boolean,
            "true",
            "Whether workloads reach each other below IP",
        ),
        Attribute::optional(
            "mtu",
            AttributeType::Integer(0, 65535),
            "Largest packet, in bytes; 0: what the hosts carry",
        ),
        Attribute::optional(
            "provider:network_type",
            AttributeType::OneOf(&["vxlan", "vlan"]),
            "How it is carried",
        )
        .read_by(ADMIN)
        .set_by(ADMIN)
        .immutable(),
        Attribute::optional(
            "provider:physical_network",
            AttributeType::Text(64),
            "Physical network of a VLAN",
        )
        .read_by(ADMIN)
        .set_by(ADMIN)
        .nullable()
        .immutable(),
        Attribute::optional(
            "provider:segmentation_id",
            AttributeType::Integer(1, 0xff_ffff),
            "VNI or VLAN tag",
        )
        .read_by(ADMIN)
        .set_by(ADMIN)
        .nullable()
        .immutable(),
        Attribute::read_only(
            "status",
            AttributeType::OneOf(crate::catalogue::STATUSES),
            "Whether it can be used",
        ),
        Attribute::read_only("subnets", AttributeType::List, "Its subnets"),
    ];
}

impl Resource for Networks {
    fn kind(&self) -> Option<RowKind> {
        Some(RowKind::Network)
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        let network = model.networks.get(&id.parse::<Id>().ok()?)?;
        let mut map = Map::new();
        network.standard.render(&mut map);
        map.insert("admin_state_up".into(), json!(network.admin_state_up));
        map.insert("shared".into(), json!(network.shared));
        map.insert("l2_adjacency".into(), json!(network.l2_adjacency));
        map.insert("mtu".into(), json!(network.mtu));
        let (kind, physical, segment) = match &network.encapsulation {
            Encapsulation::Vxlan { vni } => ("vxlan", None, vni.get()),
            Encapsulation::Vlan { physical_network, vlan_id } => {
                ("vlan", Some(physical_network.as_str()), u32::from(*vlan_id))
            }
        };
        map.insert("provider:network_type".into(), json!(kind));
        map.insert("provider:physical_network".into(), json!(physical));
        map.insert("provider:segmentation_id".into(), json!(segment));
        map.insert("status".into(), json!(if network.admin_state_up { "ACTIVE" } else { "DOWN" }));
        let subnets: Vec<Id> = model.subnets_of(network.standard.id).collect();
        map.insert("subnets".into(), json!(subnets));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        let spec: Spec = typed(merged)?;
        let encapsulation = choose_encapsulation(change.model(), &spec)?;
        let mtu = choose_mtu(change.model(), &encapsulation, spec.mtu)?;
        let id = change.choose_id();
        let network = Network {
            standard: change.standard(id, spec.named),
            admin_state_up: spec.admin_state_up,
            shared: spec.shared,
            mtu,
            encapsulation,
            l2_adjacency: spec.l2_adjacency,
        };
        if spec.mtu.is_some_and(|asked| asked == network.mtu) {
            check_mtu_possible(change.model(), &network)?;
        }
        change.put(Row::Network(Arc::new(network)));
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().networks.get(&id).cloned());
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let spec: Spec = typed(merged)?;
        let mut network = Network::clone(&stored);
        network.standard.rename(spec.named, change.now());
        network.admin_state_up = spec.admin_state_up;
        network.shared = spec.shared;
        network.l2_adjacency = spec.l2_adjacency;
        if network.l2_adjacency != stored.l2_adjacency {
            check_unbound(change.model(), &network)?;
        }
        network.mtu = choose_mtu(change.model(), &network.encapsulation, spec.mtu)?;
        if network.mtu != stored.mtu {
            check_mtu_possible(change.model(), &network)?;
            check_ipv6_fits(change.model(), &network)?;
            check_hosts_carry(change.model(), &network)?;
        }
        let network_id = network.standard.id;
        change.put(Row::Network(Arc::new(network)));
        for write in mended(change.model(), change.model().bindings_to(network_id), change.now()) {
            change.write(write);
        }
        Ok(())
    }

    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        let Some(RowKey::Resource(_, network)) = self.row_key(change.model(), id) else {
            return Err(self.not_found(id));
        };
        if let Some(first) = change.model().bindings_to(network).next() {
            let first = change.model().port_of(first);
            return Err(Refusal::conflict(
                "NetworkInUse",
                format!(
                    "Unable to complete operation on network {id}. There are one or more ports still in use on the network. The first is {first}."
                ),
            ));
        }
        bgpvpn::dissociate(change, (RowKind::Network, network));
        let subnets: Vec<Id> = change.model().subnets_of(network).collect();
        for subnet in subnets {
            change.delete(RowKey::Resource(RowKind::Subnet, subnet));
        }
        change.delete(RowKey::Resource(RowKind::Network, network));
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("NetworkNotFound", "Network", id)
    }
}

fn choose_encapsulation(model: &Model, spec: &Spec) -> Result<Encapsulation, Refusal> {
    if spec.network_type.as_deref() == Some("vlan") {
        return choose_vlan(model, spec);
    }
    if spec.physical_network.is_some() {
        return Err(Refusal::attribute("provider:physical_network", "a network of type vxlan has none"));
    }
    let vni = match spec.segmentation_id {
        Some(number) => {
            let vni = Vni::try_from(number)
                .map_err(|error| Refusal::attribute("provider:segmentation_id", error))?;
            check_free(model, &Exclusive::Vni(vni))?;
            vni
        }
        None => model.free_vni().ok_or_else(|| {
            Refusal::conflict(
                "NoNetworkAvailable",
                "Unable to create the network. No tenant network is available for allocation.",
            )
        })?,
    };
    Ok(Encapsulation::Vxlan { vni })
}

fn choose_vlan(model: &Model, spec: &Spec) -> Result<Encapsulation, Refusal> {
    let Some(physical_network) = spec.physical_network.clone() else {
        return Err(Refusal::attribute("provider:physical_network", "a network of type vlan needs one"));
    };
    let vlan_id =
        spec.segmentation_id.and_then(|tag| u16::try_from(tag).ok()).filter(|tag| (1..=4094).contains(tag));
    let Some(vlan_id) = vlan_id else {
        return Err(Refusal::attribute(
            "provider:segmentation_id",
            "a network of type vlan needs a tag from 1 to 4094",
        ));
    };
    let encapsulation = Encapsulation::Vlan { physical_network, vlan_id };
    check_free(model, &encapsulation.exclusive())?;
    Ok(encapsulation)
}

/// Refuses what another network has, and what is in quarantine.
fn check_free(model: &Model, what: &Exclusive) -> Result<(), Refusal> {
    let kind = match what {
        Exclusive::Vni(_) | Exclusive::Vrf(_) => "TunnelIdInUse",
        Exclusive::Vlan { .. } => "VlanIdInUse",
    };
    let rule = match taken(model, what) {
        None => return Ok(()),
        Some(Taken::By(other)) => format!(
            "Unable to create the network. The {} is in use by {} {}",
            neutrons_name(what),
            other.kind.in_words(),
            other.id
        ),
        Some(Taken::Departing(departure)) => {
            let host = &departure.host;
            format!("{what} is in quarantine until {host} has confirmed that it has removed it")
        }
    };
    Err(Refusal::conflict(kind, format!("provider:segmentation_id: {rule}.")))
}

/// What Neutron calls it in its messages.
fn neutrons_name(what: &Exclusive) -> String {
    match what {
        Exclusive::Vni(vni) => format!("tunnel ID {vni}"),
        Exclusive::Vrf(_) => what.to_string(),
        Exclusive::Vlan { vlan_id, physical_network } => {
            format!("VLAN {vlan_id} on physical network {physical_network}")
        }
    }
}

/// The largest packet of a network that a host's underlay carries, if it carries any.
fn room(host: &crate::Host, encapsulation: &Encapsulation) -> Option<u32> {
    match (encapsulation, host.fact.tunnel_endpoint) {
        (Encapsulation::Vxlan { .. }, Some(endpoint)) => {
            Some(host.fact.underlay_mtu.saturating_sub(vxlan_overhead(endpoint)))
        }
        (Encapsulation::Vxlan { .. }, None) => None,
        (Encapsulation::Vlan { .. }, _) => Some(host.fact.underlay_mtu),
    }
}

/// Refuses what would pull the network away under bound ports.
fn check_unbound(model: &Model, network: &Network) -> Result<(), Refusal> {
    let id = network.standard.id;
    let is_bound = |binding: &Id| {
        let vnic =
            model.service_ports.get(binding).and_then(|port| model.instance_port_of(port.interface_id));
        vnic.is_some_and(|vnic| vnic.host_id.is_some())
    };
    match model.bindings_to(id).find(is_bound) {
        Some(first) => {
            let first = model.port_of(first);
            let message = format!(
                "l2_adjacency: Unable to complete operation on network {id}. There are one or more bound ports on the network. The first is {first}."
            );
            Err(Refusal::conflict("NetworkInUse", message))
        }
        None => Ok(()),
    }
}

/// Refuses an MTU that no known host carries: that network could be nowhere.
fn check_mtu_possible(model: &Model, network: &Network) -> Result<(), Refusal> {
    let largest = model.hosts.values().filter_map(|host| room(host, &network.encapsulation)).max();
    match largest.filter(|largest| *largest < network.mtu) {
        Some(largest) => Err(Refusal::attribute(
            "mtu",
            format!(
                "'{}' is more than any known host's underlay carries; the largest possible is {largest}",
                network.mtu
            ),
        )),
        None => Ok(()),
    }
}

/// The MTU that is asked for, if the hosts can carry it; otherwise the largest that every host carries.
fn choose_mtu(model: &Model, encapsulation: &Encapsulation, asked: Option<u32>) -> Result<u32, Refusal> {
    // A host that carries next to nothing does not say what the others get.
    let carried = model
        .hosts
        .values()
        .filter_map(|host| room(host, encapsulation))
        .filter(|room| *room >= IPV6_MTU_MIN)
        .min();
    let without_hosts = match encapsulation {
        // Hosts that are yet to come may have an underlay of either IP version.
        Encapsulation::Vxlan { .. } => 1500 - vxlan_overhead(Ipv6Addr::UNSPECIFIED.into()),
        Encapsulation::Vlan { .. } => 1500,
    };
    match asked.filter(|mtu| *mtu != 0) {
        None => Ok(carried.unwrap_or(without_hosts)),
        Some(mtu) if mtu < 68 => {
            Err(Refusal::attribute("mtu", format!("'{mtu}' is below the 68 bytes that IPv4 needs")))
        }
        Some(mtu) => Ok(mtu),
    }
}

/// The smallest MTU of a link with IPv6 (RFC 8200 §5), in bytes.
pub(crate) const IPV6_MTU_MIN: u32 = 1280;

/// Refuses an MTU that is too small for the IPv6 subnets that there are.
fn check_ipv6_fits(model: &Model, network: &Network) -> Result<(), Refusal> {
    let mut subnets = model.subnets_of(network.standard.id);
    let has_ipv6 =
        subnets.any(|id| model.subnets.get(&id).is_some_and(|subnet| subnet.cidr.addr().is_ipv6()));
    if has_ipv6 && network.mtu < IPV6_MTU_MIN {
        return Err(Refusal::attribute(
            "mtu",
            format!("the network has an IPv6 subnet, which needs {IPV6_MTU_MIN}"),
        ));
    }
    Ok(())
}

/// Refuses an MTU that a host with ports of the network cannot carry.
fn check_hosts_carry(model: &Model, network: &Network) -> Result<(), Refusal> {
    for name in model.hosts_of(network.standard.id) {
        let Some(host) = model.host(name) else { continue };
        let endpoint = host.fact.tunnel_endpoint.map_or(0, vxlan_overhead);
        let overhead = if network.vni().is_some() { endpoint } else { 0 };
        let room = host.fact.underlay_mtu.saturating_sub(overhead);
        if room < network.mtu {
            return Err(Refusal::attribute(
                "mtu",
                format!("host '{name}', on which it has ports, carries at most {room}"),
            ));
        }
    }
    Ok(())
}
