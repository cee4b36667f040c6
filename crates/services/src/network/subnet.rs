//! Subnets: blocks of addresses of a network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde_json::{Map, Value, json};

use crate::access::{AttributeAccess, Party, ResourceAccess, Who};
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::{Resource, Statuses};
use crate::change::{Change, Named, typed};
use crate::network::addresses::{address, index_pools, number};
use crate::network::resource::IPV6_MTU_MIN;
use crate::standard::standard_attributes;
use crate::stored::{Indexed, Stored, stored_standard};
use crate::{Id, Model, Refusal, Row, RowKey, RowKind, Standard};

/// A block of addresses of a network.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Subnet {
    /// Identifier, project, name …
    pub standard: Standard,
    /// The network.
    pub network_id: Id,
    /// The prefix.
    pub cidr: IpNet,
    /// The router's address, if there is one.
    pub gateway_ip: Option<IpAddr>,
    /// Where addresses are taken from that nobody asked for by value.
    pub allocation_pools: Vec<AddressRange>,
    /// Name servers for DHCP to tell.
    pub dns_nameservers: Vec<IpAddr>,
    /// Routes for workloads.
    pub host_routes: Vec<HostRoute>,
    /// Whether DHCP is to answer.
    pub enable_dhcp: bool,
    /// Who sends router advertisements, and of which mode.
    pub ipv6_ra_mode: Option<String>,
    /// How workloads get IPv6 addresses.
    pub ipv6_address_mode: Option<String>,
}

/// Addresses from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressRange {
    /// The first.
    pub start: IpAddr,
    /// The last.
    pub end: IpAddr,
}

/// A route that workloads of a subnet have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRoute {
    /// For which destinations.
    pub destination: IpNet,
    /// By which router.
    pub nexthop: IpAddr,
}

impl HostRoute {
    /// The same route, without bits beyond the length of its destination.
    fn canonical(self) -> Self {
        Self { destination: self.destination.trunc(), ..self }
    }
}

impl Subnet {
    /// Whether workloads make their addresses themselves, from the prefix and their MAC address (RFC 4862).
    pub(crate) fn is_slaac(&self) -> bool {
        // Either mode says so, as with Neutron.
        is_made(self.ipv6_address_mode.as_deref()) || is_made(self.ipv6_ra_mode.as_deref())
    }

    /// Whether a workload can have this address: in the prefix, and not one of those with a meaning of their own.
    pub(crate) fn has_host(&self, candidate: IpAddr) -> bool {
        let reserved = match self.cidr {
            IpNet::V4(cidr) => {
                cidr.prefix_len() < 31 && (candidate == cidr.network() || candidate == cidr.broadcast())
            }
            IpNet::V6(cidr) => cidr.prefix_len() < 127 && candidate == cidr.network(),
        };
        self.cidr.contains(&candidate) && !reserved
    }
}

/// Whether addresses are made of the prefix and a MAC address in this mode.
fn is_made(mode: Option<&str>) -> bool {
    matches!(mode, Some("slaac" | "dhcpv6-stateless"))
}

impl Stored for Subnet {
    stored_standard!();

    fn references(&self) -> Vec<(RowKind, Id)> {
        vec![(RowKind::Network, self.network_id)]
    }

    fn check_claims(&self, model: &Model) -> Result<(), Refusal> {
        check(model, self)
    }
}

impl Indexed for Subnet {
    fn index(model: &mut Model, before: Option<&Self>, after: Option<&Self>) {
        index_pools(model, before, after);
    }
}

#[derive(serde::Deserialize)]
struct Spec {
    #[serde(flatten)]
    named: Named,
    network_id: Id,
    ip_version: u8,
    cidr: IpNet,
    #[serde(default, deserialize_with = "given")]
    gateway_ip: Option<Option<IpAddr>>,
    allocation_pools: Option<Vec<AddressRange>>,
    dns_nameservers: Option<Vec<IpAddr>>,
    host_routes: Option<Vec<HostRoute>>,
    enable_dhcp: bool,
    ipv6_ra_mode: Option<String>,
    ipv6_address_mode: Option<String>,
}

/// Tells `null` from what is not given at all.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Option<IpAddr>>, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(Some)
}

/// The collection of subnets.
pub struct Subnets;

const IPV6_MODES: AttributeType = AttributeType::OneOf(&["dhcpv6-stateful", "dhcpv6-stateless", "slaac"]);

const POOLS: AttributeType = AttributeType::Objects(&[
    Attribute::required("start", AttributeType::IpAddress, "The first"),
    Attribute::required("end", AttributeType::IpAddress, "The last"),
]);

const ROUTES: AttributeType = AttributeType::Objects(&[
    Attribute::required("destination", AttributeType::Cidr, "Prefix"),
    Attribute::required("nexthop", AttributeType::IpAddress, "By which router"),
]);

/// The project that owns a subnet, and the one that owns its network.
const EITHER_OWNER: Who = &[Party::Admin, Party::ProjectMember, Party::NetworkOwnerMember];

const TAGS: AttributeAccess = AttributeAccess {
    create: Some(EITHER_OWNER),
    read: Some(&[Party::Admin, Party::ProjectReader, Party::NetworkOwnerReader, Party::Shared]),
    update: Some(EITHER_OWNER),
};

impl Subnets {
    /// Who may do what with subnets.
    pub(crate) const ACCESS: ResourceAccess = ResourceAccess {
        create: &[Party::Admin, Party::NetworkOwnerMember],
        read: &[Party::Admin, Party::Service, Party::ProjectReader, Party::NetworkOwnerReader, Party::Shared],
        update: EITHER_OWNER,
        delete: EITHER_OWNER,
    };

    /// The attributes, in the order in which they are shown.
    pub const ATTRIBUTES: &'static [Attribute] = standard_attributes![
        (project = AttributeAccess::AS_RESOURCE, tags = TAGS),
        Attribute::required(
            "network_id",
            AttributeType::Reference("network"),
            "Network whose addresses these are"
        ),
        Attribute::required("ip_version", AttributeType::Integer(4, 6), "4 or 6"),
        Attribute::required("cidr", AttributeType::Cidr, "Prefix"),
        Attribute::optional(
            "subnetpool_id",
            AttributeType::Text(255),
            "Always null: there are no subnet pools"
        )
        .nullable()
        .immutable(),
        Attribute::optional(
            "use_default_subnetpool",
            AttributeType::Boolean,
            "Only false: see subnetpool_id"
        )
        .immutable(),
        Attribute::optional("prefixlen", AttributeType::Integer(0, 128), "Only null: see subnetpool_id")
            .nullable()
            .immutable(),
        Attribute::optional("gateway_ip", AttributeType::IpAddress, "Router's address; null: none")
            .nullable(),
        Attribute::optional("allocation_pools", POOLS, "Where addresses are taken from"),
        Attribute::optional(
            "dns_nameservers",
            AttributeType::ListOf(&AttributeType::IpAddress),
            "Name servers"
        )
        .nullable(),
        Attribute::optional("host_routes", ROUTES, "Routes for workloads").nullable(),
        Attribute::with_default("enable_dhcp", AttributeType::Boolean, "true", "Whether DHCP is to answer"),
        Attribute::optional("ipv6_ra_mode", IPV6_MODES, "Who sends router advertisements")
            .nullable()
            .immutable(),
        Attribute::optional("ipv6_address_mode", IPV6_MODES, "How workloads get IPv6 addresses")
            .nullable()
            .immutable(),
    ];
}

impl Resource for Subnets {
    fn kind(&self) -> Option<RowKind> {
        Some(RowKind::Subnet)
    }

    fn candidates(&self, model: &Model, attribute: &str, value: &str) -> Option<Vec<String>> {
        match (attribute, value.parse()) {
            ("network_id", Ok(network)) => Some(model.subnets_of(network).map(|id| id.to_string()).collect()),
            _ => crate::catalogue::candidates_by_name(model, RowKind::Subnet, attribute, value),
        }
    }

    fn render(&self, model: &Model, id: &str, _: &dyn Statuses) -> Option<Map<String, Value>> {
        let subnet = model.subnets.get(&id.parse::<Id>().ok()?)?;
        let mut map = Map::new();
        subnet.standard.render(&mut map);
        map.insert("network_id".into(), json!(subnet.network_id));
        map.insert("ip_version".into(), json!(if subnet.cidr.addr().is_ipv4() { 4 } else { 6 }));
        map.insert("cidr".into(), json!(subnet.cidr));
        map.insert("subnetpool_id".into(), Value::Null);
        map.insert("use_default_subnetpool".into(), Value::Bool(false));
        map.insert("prefixlen".into(), Value::Null);
        map.insert("gateway_ip".into(), json!(subnet.gateway_ip));
        map.insert("allocation_pools".into(), json!(subnet.allocation_pools));
        map.insert("dns_nameservers".into(), json!(subnet.dns_nameservers));
        map.insert("host_routes".into(), json!(subnet.host_routes));
        map.insert("enable_dhcp".into(), json!(subnet.enable_dhcp));
        map.insert("ipv6_ra_mode".into(), json!(subnet.ipv6_ra_mode));
        map.insert("ipv6_address_mode".into(), json!(subnet.ipv6_address_mode));
        Some(map)
    }

    fn create(&self, change: &mut Change, merged: Map<String, Value>) -> Result<String, Refusal> {
        check_no_pool(&merged)?;
        let spec: Spec = typed(merged)?;
        let id = change.choose_id();
        let subnet = build(change.standard(id, spec.named.clone()), spec, None)?;
        check(change.model(), &subnet)?;
        change.put(Row::Subnet(Arc::new(subnet)));
        Ok(id.to_string())
    }

    fn update(&self, change: &mut Change, id: &str, merged: Map<String, Value>) -> Result<(), Refusal> {
        let stored = id.parse::<Id>().ok().and_then(|id| change.model().subnets.get(&id).cloned());
        let Some(stored) = stored else { return Err(self.not_found(id)) };
        let spec: Spec = typed(merged)?;
        let mut standard = stored.standard.clone();
        standard.rename(spec.named.clone(), change.now());
        check_gateway_stays(change.model(), &stored, spec.gateway_ip.unwrap_or(stored.gateway_ip))?;
        let subnet = build(standard, spec, Some(&stored))?;
        check(change.model(), &subnet)?;
        change.put(Row::Subnet(Arc::new(subnet)));
        Ok(())
    }

    fn delete(&self, change: &mut Change, id: &str) -> Result<(), Refusal> {
        let Some(RowKey::Resource(_, subnet)) = self.row_key(change.model(), id) else {
            return Err(self.not_found(id));
        };
        if let Some(first) = change.model().bindings_in(subnet).next() {
            let first = change.model().port_of(first);
            return Err(Refusal::conflict(
                "SubnetInUse",
                format!(
                    "Unable to complete operation on subnet {id}: One or more ports have an IP allocation from this subnet. The first is {first}."
                ),
            ));
        }
        change.delete(RowKey::Resource(RowKind::Subnet, subnet));
        Ok(())
    }

    fn not_found(&self, id: &str) -> Refusal {
        Refusal::not_found("SubnetNotFound", "Subnet", id)
    }
}

/// Refuses a prefix out of a subnet pool: it is given as `cidr`.
fn check_no_pool(merged: &Map<String, Value>) -> Result<(), Refusal> {
    let asks = |name: &&str| !matches!(merged.get(*name), None | Some(Value::Null | Value::Bool(false)));
    match ["subnetpool_id", "use_default_subnetpool", "prefixlen"].into_iter().find(asks) {
        Some(name) => {
            Err(Refusal::attribute(name, "subnet pools are not supported; give the prefix as cidr"))
        }
        None => Ok(()),
    }
}

/// The subnet that a request asks for: what it leaves open is chosen here.
fn build(standard: Standard, spec: Spec, stored: Option<&Subnet>) -> Result<Subnet, Refusal> {
    let is_v4 = spec.cidr.addr().is_ipv4();
    if (spec.ip_version == 4) != is_v4 || spec.ip_version == 5 {
        return Err(Refusal::attribute(
            "cidr",
            format!("'{}' does not match the ip_version '{}'", spec.cidr, spec.ip_version),
        ));
    }
    if stored.is_none() {
        check_prefix(spec.cidr)?;
    }
    if is_v4 && (spec.ipv6_ra_mode.is_some() || spec.ipv6_address_mode.is_some()) {
        return Err(Refusal::attribute("ipv6_address_mode", "an IPv4 subnet has no IPv6 modes"));
    }
    if let (Some(ra), Some(address)) = (&spec.ipv6_ra_mode, &spec.ipv6_address_mode)
        && ra != address
    {
        return Err(Refusal::attribute(
            "ipv6_ra_mode",
            format!("set to '{ra}' with ipv6_address_mode set to '{address}' is not valid"),
        ));
    }
    let modes = [spec.ipv6_ra_mode.as_deref(), spec.ipv6_address_mode.as_deref()];
    if modes.into_iter().any(is_made) && spec.cidr.prefix_len() != 64 {
        // RFC 4291 §2.5.1: the identifier that is made of a MAC address has 64 bits.
        let rule = format!("'{}' is no prefix of 64 bits, of which addresses can be made", spec.cidr);
        return Err(Refusal::attribute("cidr", rule));
    }
    let gateway_ip = spec.gateway_ip.unwrap_or_else(|| first_host(spec.cidr));
    // A gateway that moves takes the pools along only where they were not given: they are part of what is stored.
    let allocation_pools = match spec.allocation_pools {
        Some(pools) => pools,
        None => default_pools(spec.cidr, gateway_ip),
    };
    let subnet = Subnet {
        standard,
        network_id: spec.network_id,
        cidr: spec.cidr,
        gateway_ip,
        allocation_pools,
        dns_nameservers: spec.dns_nameservers.unwrap_or_default(),
        host_routes: spec.host_routes.unwrap_or_default().into_iter().map(HostRoute::canonical).collect(),
        enable_dhcp: spec.enable_dhcp,
        ipv6_ra_mode: spec.ipv6_ra_mode,
        ipv6_address_mode: spec.ipv6_address_mode,
    };
    check_addresses(&subnet, stored)?;
    Ok(subnet)
}

/// Prefixes whose addresses no workload can have, and what they are.
const SENSELESS: [(IpNet, &str); 4] = [
    (IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)), "loopback"),
    (IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4)), "multicast"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)), "loopback"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)), "multicast"),
];

/// Refuses a prefix of which no workload can have addresses. Link-local IPv4 addresses are fine: they are asked for.
fn check_prefix(cidr: IpNet) -> Result<(), Refusal> {
    if cidr.prefix_len() == 0 {
        return Err(Refusal::attribute("cidr", format!("'{cidr}' is every address there is")));
    }
    match SENSELESS.iter().find(|(senseless, _)| senseless.contains(&cidr) || cidr.contains(senseless)) {
        Some((_, what)) => Err(Refusal::attribute("cidr", format!("'{cidr}' has {what} addresses"))),
        None => Ok(()),
    }
}

/// The lowest address of a prefix that a router can have.
fn first_host(cidr: IpNet) -> Option<IpAddr> {
    let first = number(cidr.network());
    let is_single = cidr.prefix_len() == cidr.max_prefix_len();
    (!is_single).then(|| address(first + 1, cidr.addr()))
}

/// Every address that a workload can have, without the gateway's.
fn default_pools(cidr: IpNet, gateway: Option<IpAddr>) -> Vec<AddressRange> {
    let (mut first, mut last) = (number(cidr.network()), number(cidr.broadcast()));
    let length = cidr.prefix_len();
    if length + 1 < cidr.max_prefix_len() {
        first += 1;
        last -= u128::from(cidr.addr().is_ipv4());
    }
    let range = |start: u128, end: u128| AddressRange {
        start: address(start, cidr.addr()),
        end: address(end, cidr.addr()),
    };
    match gateway.map(number).filter(|gateway| (first..=last).contains(gateway)) {
        None => vec![range(first, last)],
        Some(gateway) => {
            let below = (first < gateway).then(|| range(first, gateway - 1));
            let above = (gateway < last).then(|| range(gateway + 1, last));
            below.into_iter().chain(above).collect()
        }
    }
}

/// The rules within one subnet.
fn check_addresses(subnet: &Subnet, stored: Option<&Subnet>) -> Result<(), Refusal> {
    let cidr = subnet.cidr;
    if let Some(gateway) = subnet.gateway_ip {
        let unchanged = stored.is_some_and(|stored| stored.gateway_ip == Some(gateway));
        let link_local =
            matches!((gateway, cidr), (IpAddr::V6(address), IpNet::V6(_)) if address.is_unicast_link_local());
        if !unchanged && !link_local && !subnet.has_host(gateway) {
            return Err(Refusal::invalid(
                "InvalidInput",
                format!(
                    "Invalid input for operation: Gateway is not valid on subnet: gateway_ip {gateway} is not a host of {cidr}."
                ),
            ));
        }
    }
    let mut pools: Vec<&AddressRange> = subnet.allocation_pools.iter().collect();
    pools.sort_by_key(|pool| number(pool.start));
    for pool in &pools {
        let (start, end) = (pool.start, pool.end);
        if start.is_ipv4() != end.is_ipv4() || number(start) > number(end) {
            return Err(Refusal::invalid(
                "InvalidAllocationPool",
                format!("The allocation pool {start}-{end} is not valid."),
            ));
        }
        if !subnet.has_host(start) || !subnet.has_host(end) {
            return Err(Refusal::conflict(
                "OutOfBoundsAllocationPool",
                format!("The allocation pool {start}-{end} spans beyond the subnet cidr {cidr}."),
            ));
        }
        let holds = |gateway: &IpAddr| {
            (number(start)..=number(end)).contains(&number(*gateway)) && gateway.is_ipv4() == start.is_ipv4()
        };
        if let Some(gateway) = subnet.gateway_ip.filter(holds) {
            return Err(Refusal::conflict(
                "GatewayConflictWithAllocationPools",
                format!("Gateway ip {gateway} conflicts with allocation pool {start}-{end}."),
            ));
        }
    }
    for pair in pools.windows(2) {
        if number(pair[1].start) <= number(pair[0].end) {
            return Err(Refusal::conflict(
                "OverlappingAllocationPools",
                format!(
                    "Found overlapping allocation pools: {}-{} {}-{} for subnet {cidr}.",
                    pair[0].start, pair[0].end, pair[1].start, pair[1].end
                ),
            ));
        }
    }
    check_routes(subnet)
}

/// Refuses to move a gateway that a router has.
fn check_gateway_stays(model: &Model, stored: &Subnet, now: Option<IpAddr>) -> Result<(), Refusal> {
    let id = stored.standard.id;
    let mut interfaces = model.referring((RowKind::Subnet, id), RowKind::RouterInterface);
    match (interfaces.next(), stored.gateway_ip) {
        (Some(port), Some(gateway)) if now != stored.gateway_ip => Err(Refusal::conflict(
            "GatewayIpInUse",
            format!("Current gateway ip {gateway} already in use by port {port}. Unable to update."),
        )),
        _ => Ok(()),
    }
}

fn check_routes(subnet: &Subnet) -> Result<(), Refusal> {
    let is_v4 = subnet.cidr.addr().is_ipv4();
    for route in &subnet.host_routes {
        if route.destination.addr().is_ipv4() != is_v4 || route.nexthop.is_ipv4() != is_v4 {
            return Err(Refusal::attribute(
                "host_routes",
                format!("'{} by {}' is not of the subnet's IP version", route.destination, route.nexthop),
            ));
        }
    }
    Ok(())
}

/// The rules between a subnet and what else there is.
fn check(model: &Model, subnet: &Subnet) -> Result<(), Refusal> {
    let network = subnet.network_id;
    let Some(found) = model.networks.get(&network) else { return Err(Refusal::no_network(network)) };
    if subnet.cidr.addr().is_ipv6() && found.mtu < IPV6_MTU_MIN {
        let rule =
            format!("an IPv6 subnet needs an MTU of {IPV6_MTU_MIN}, and the network's is {}", found.mtu);
        return Err(Refusal::attribute("cidr", rule));
    }
    for other in model.subnets_of(network).filter(|id| *id != subnet.standard.id) {
        let Some(other) = model.subnets.get(&other) else { continue };
        if other.cidr.contains(&subnet.cidr) || subnet.cidr.contains(&other.cidr) {
            return Err(Refusal::invalid(
                "InvalidInput",
                format!(
                    "cidr: Invalid input for operation: Requested subnet with cidr: {} for network: {network} overlaps with another subnet. It is subnet {} with cidr {}.",
                    subnet.cidr, other.standard.id, other.cidr
                ),
            ));
        }
    }
    let gateways_port = subnet.gateway_ip.and_then(|gateway| model.bindings_at(network, gateway).next());
    if let (Some(gateway), Some(port)) = (subnet.gateway_ip, gateways_port)
        && model.subnets.get(&subnet.standard.id).is_some_and(|stored| stored.gateway_ip != Some(gateway))
    {
        return Err(Refusal::conflict(
            "GatewayIpInUse",
            format!("Current gateway ip {gateway} already in use by port {port}. Unable to update."),
        ));
    }
    Ok(())
}
