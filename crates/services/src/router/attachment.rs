//! How a router gets interfaces and loses them: by a subnet, whose gateway's address a new port has, or by a port that is there.

use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::interface::{DEVICE_OWNER, bad_request, check_bgpvpns, check_subnet};
use super::{Router, RouterInterface, routes};
use crate::attribute::{Attribute, AttributeType};
use crate::catalogue::Resource;
use crate::change::{Change, Named, typed};
use crate::core::{
    FixedIp, InstancePort, Interface, InterfaceKind, InterfaceParent, ServicePort, VnicKind, choose_mac,
};
use crate::network::{FixedIpRequest, Part, Ports, Station, Subnet, allocate, delete_port};
use crate::{Id, Model, Refusal, Row, RowKey, RowKind};

/// The bodies of both actions.
pub(super) const ATTRIBUTES: &[Attribute] = &[
    Attribute::optional("subnet_id", AttributeType::Reference("subnet"), "Subnet"),
    Attribute::optional("port_id", AttributeType::Reference("port"), "Port"),
];

#[derive(serde::Deserialize)]
struct Given {
    subnet_id: Option<Id>,
    port_id: Option<Id>,
}

pub(super) fn add(
    change: &mut Change,
    router: Id,
    given: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let Some(router) = change.model().routers.get(&router).cloned() else { return Ok(Map::new()) };
    let (interface, subnet) = match typed::<Given>(given)? {
        Given { subnet_id: Some(_), port_id: Some(_) } => {
            return Err(bad_request("Cannot specify both subnet-id and port-id"));
        }
        Given { subnet_id: None, port_id: None } => {
            return Err(bad_request("Either subnet_id or port_id must be specified"));
        }
        Given { subnet_id: None, port_id: Some(port) } => add_port(change, &router, port)?,
        Given { subnet_id: Some(subnet), port_id: None } => add_subnet(change, &router, subnet)?,
    };
    Ok(answer(&router, &interface, subnet))
}

/// What both actions answer.
fn answer(router: &Router, interface: &RouterInterface, subnet: Option<Id>) -> Map<String, Value> {
    let subnets: Vec<Id> = subnet.map_or_else(|| interface.subnet_ids.clone(), |subnet| vec![subnet]);
    let mut map = Map::new();
    map.insert("id".into(), json!(router.standard.id));
    map.insert("tenant_id".into(), json!(router.standard.project_id));
    map.insert("project_id".into(), json!(router.standard.project_id));
    map.insert("port_id".into(), json!(interface.standard.id));
    map.insert("network_id".into(), json!(interface.network_id));
    map.insert("subnet_id".into(), json!(subnets.last()));
    map.insert("subnet_ids".into(), json!(subnets));
    map
}

/// An interface and, where only one of its subnets is meant, that one.
type Found = (RouterInterface, Option<Id>);

fn add_subnet(change: &mut Change, router: &Router, subnet: Id) -> Result<Found, Refusal> {
    let Some(subnet) = change.model().subnets.get(&subnet).cloned() else {
        return Err(Refusal::not_found("SubnetNotFound", "Subnet", subnet));
    };
    let id = subnet.standard.id;
    let Some(gateway) = subnet.gateway_ip else {
        return Err(bad_request(format!(
            "Subnet for router interface must have a gateway IP: subnet {id} has none"
        )));
    };
    check_subnet(change.model(), router.standard.id, &subnet, None)?;
    check_bgpvpns(change.model(), router.standard.id, subnet.network_id)?;
    let address = FixedIp { subnet_id: id, ip_address: gateway };
    let interface = match of_ipv6(change.model(), router.standard.id, &subnet) {
        Some(interface) => widen(change, &interface, address)?,
        None => make(change, router, subnet.network_id, address)?,
    };
    Ok((interface, Some(id)))
}

/// The interface on the network of an IPv6 subnet that has IPv6 subnets already: as with Neutron, it gets the others as well.
fn of_ipv6(model: &Model, router: Id, subnet: &Subnet) -> Option<Arc<RouterInterface>> {
    let is_ipv6 = |id: &Id| model.subnets.get(id).is_some_and(|subnet| subnet.cidr.addr().is_ipv6());
    let interfaces = model.referring((RowKind::Router, router), RowKind::RouterInterface);
    let mut interfaces = interfaces.filter_map(|id| model.router_interfaces.get(&id));
    let found = interfaces.find(|interface| {
        interface.network_id == subnet.network_id && interface.subnet_ids.iter().all(is_ipv6)
    });
    found.filter(|_| subnet.cidr.addr().is_ipv6()).cloned()
}

fn widen(
    change: &mut Change,
    stored: &RouterInterface,
    address: FixedIp,
) -> Result<RouterInterface, Refusal> {
    let mut addresses = addresses(change.model(), stored);
    let fresh = allocated(change, stored.service_port_id, address)?;
    addresses.extend(fresh);
    let mut interface = stored.clone();
    interface.subnet_ids.push(address.subnet_id);
    write(change, interface, addresses)
}

fn addresses(model: &Model, interface: &RouterInterface) -> Vec<FixedIp> {
    let port = model.service_ports.get(&interface.service_port_id);
    port.map(|port| port.fixed_ips.clone()).unwrap_or_default()
}

fn allocated(change: &Change, binding: Id, address: FixedIp) -> Result<Vec<FixedIp>, Refusal> {
    let Some(port) = change.model().service_ports.get(&binding) else { return Ok(Vec::new()) };
    let station = Station { network: port.service_id, mac: port.mac_address, part: Part::Router };
    allocate(change, station, Some(&[FixedIpRequest::exactly(&address)]))
}

/// Writes an interface with these subnets, and its port with these addresses.
fn write(
    change: &mut Change,
    mut interface: RouterInterface,
    addresses: Vec<FixedIp>,
) -> Result<RouterInterface, Refusal> {
    interface.standard.touch(change.now());
    if let Some(port) = change.model().service_ports.get(&interface.service_port_id) {
        let mut port = ServicePort::clone(port);
        port.fixed_ips = addresses;
        port.standard.touch(change.now());
        change.put(Row::ServicePort(Arc::new(port)));
    }
    change.put(Row::RouterInterface(Arc::new(interface.clone())));
    Ok(interface)
}

/// Makes a port with the address of a gateway, and the interface.
fn make(
    change: &mut Change,
    router: &Router,
    network: Id,
    address: FixedIp,
) -> Result<RouterInterface, Refusal> {
    let mac = choose_mac(change, Some(network));
    let station = Station { network, mac, part: Part::Router };
    let fixed_ips = allocate(change, station, Some(&[FixedIpRequest::exactly(&address)]))?;
    let id = change.choose_id();
    let project_id = Some(router.standard.project_id.to_string());
    let standard = change.standard(id, Named { project_id, ..Named::default() });
    let vnic = InstancePort {
        standard: standard.clone(),
        mac_address: mac,
        mtu: None,
        host_id: None,
        admin_state_up: true,
        device_id: router.standard.id.to_string(),
        device_owner: DEVICE_OWNER.into(),
        vnic: VnicKind::Adopted,
        vnic_type: "normal".into(),
        profile: Map::new(),
        moves: 0,
    };
    change.put(Row::InstancePort(Arc::new(vnic)));
    let slice = Interface {
        standard: standard.clone(),
        parent: InterfaceParent::InstancePort(id),
        kind: InterfaceKind::Untagged,
    };
    change.put(Row::Interface(Arc::new(slice)));
    let binding = ServicePort {
        standard: standard.clone(),
        interface_id: id,
        service_id: network,
        mac_address: mac,
        fixed_ips,
        anycast: false,
        binding_failure: None,
    };
    change.put(Row::ServicePort(Arc::new(binding)));
    let subnet_ids = vec![address.subnet_id];
    let interface = RouterInterface {
        standard,
        router_id: router.standard.id,
        service_port_id: id,
        network_id: network,
        subnet_ids,
    };
    change.put(Row::RouterInterface(Arc::new(interface.clone())));
    Ok(interface)
}

/// Makes a port that is there the router's interface.
fn add_port(change: &mut Change, router: &Router, port: Id) -> Result<Found, Refusal> {
    let model = change.model();
    let rows = (model.instance_ports.get(&port).cloned(), model.binding_of_port(port).cloned());
    let (Some(vnic), Some(binding)) = rows else { return Err(Ports.not_found(&port.to_string())) };
    let network = binding.service_id;
    if !vnic.device_id.is_empty() {
        return Err(Refusal::conflict(
            "PortInUse",
            format!(
                "Unable to complete operation on port {port} for network {network}. Port already has an attached device {}.",
                vnic.device_id
            ),
        ));
    }
    if let Some(host) = &vnic.host_id {
        return Err(bad_request(format!("port {port} is bound to host {host}")));
    }
    if binding.anycast {
        return Err(bad_request(format!("port {port} is anycast")));
    }
    let subnets: Vec<Arc<Subnet>> = binding
        .fixed_ips
        .iter()
        .filter_map(|fixed_ip| model.subnets.get(&fixed_ip.subnet_id).cloned())
        .collect();
    if subnets.is_empty() {
        return Err(bad_request("Router port must have at least one fixed IP"));
    }
    if subnets.iter().filter(|subnet| subnet.cidr.addr().is_ipv4()).count() > 1 {
        return Err(bad_request("Cannot have multiple IPv4 subnets on router port"));
    }
    for subnet in &subnets {
        check_subnet(model, router.standard.id, subnet, None)?;
    }
    check_bgpvpns(model, router.standard.id, network)?;
    let (id, now) = (vnic.standard.id, change.now());
    let project_id = Some(router.standard.project_id.to_string());
    let mut vnic = InstancePort::clone(&vnic);
    vnic.device_id = router.standard.id.to_string();
    vnic.device_owner = DEVICE_OWNER.into();
    vnic.standard.touch(now);
    change.put(Row::InstancePort(Arc::new(vnic)));
    let interface = RouterInterface {
        standard: change.standard(id, Named { project_id, ..Named::default() }),
        router_id: router.standard.id,
        service_port_id: binding.standard.id,
        network_id: network,
        subnet_ids: subnets.iter().map(|subnet| subnet.standard.id).collect(),
    };
    change.put(Row::RouterInterface(Arc::new(interface.clone())));
    Ok((interface, None))
}

pub(super) fn remove(
    change: &mut Change,
    router: Id,
    given: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    let Some(router) = change.model().routers.get(&router).cloned() else { return Ok(Map::new()) };
    let given: Given = typed(given)?;
    let (interface, subnet) = find(change.model(), router.standard.id, &given)?;
    let going: Vec<Id> = subnet.map_or_else(|| interface.subnet_ids.clone(), |subnet| vec![subnet]);
    going.iter().try_for_each(|subnet| check_not_in_use_by_route(change.model(), &router, *subnet))?;
    let answer = answer(&router, &interface, subnet);
    let left: Vec<Id> = interface.subnet_ids.iter().copied().filter(|id| !going.contains(id)).collect();
    if left.is_empty() {
        delete(change, &interface)?;
    } else {
        let mut addresses = addresses(change.model(), &interface);
        addresses.retain(|fixed_ip| left.contains(&fixed_ip.subnet_id));
        write(change, RouterInterface { subnet_ids: left, ..RouterInterface::clone(&interface) }, addresses)?;
    }
    Ok(answer)
}

/// The interface that a request to remove one means; and the subnet, where it means only one.
fn find(model: &Model, router: Id, given: &Given) -> Result<(Arc<RouterInterface>, Option<Id>), Refusal> {
    let interfaces = model.referring((RowKind::Router, router), RowKind::RouterInterface);
    let mut interfaces = interfaces.filter_map(|id| model.router_interfaces.get(&id));
    match (given.port_id, given.subnet_id) {
        (None, None) => Err(bad_request("Either subnet_id or port_id must be specified")),
        (Some(port), subnet) => {
            let Some(interface) = interfaces.find(|interface| interface.standard.id == port) else {
                let message = format!("Router {router} does not have an interface with id {port}");
                return Err(Refusal {
                    message,
                    ..Refusal::not_found("RouterInterfaceNotFound", "Port", port)
                });
            };
            match subnet.filter(|subnet| !interface.subnet_ids.contains(subnet)) {
                Some(subnet) => Err(Refusal::conflict(
                    "SubnetMismatchForPort",
                    format!("Subnet on port {port} does not match the requested subnet {subnet}."),
                )),
                None => Ok((interface.clone(), None)),
            }
        }
        (None, Some(subnet)) => {
            let Some(interface) = interfaces.find(|interface| interface.subnet_ids.contains(&subnet)) else {
                let message = format!("Router {router} has no interface on subnet {subnet}");
                let kind = "RouterInterfaceNotFoundForSubnet";
                return Err(Refusal { message, ..Refusal::not_found(kind, "Subnet", subnet) });
            };
            Ok((interface.clone(), Some(subnet)))
        }
    }
}

fn check_not_in_use_by_route(model: &Model, router: &Router, subnet: Id) -> Result<(), Refusal> {
    let is_by = |nexthop: IpAddr| routes::contains(model, subnet, nexthop);
    match router.routes.iter().find(|route| is_by(route.nexthop)) {
        Some(route) => Err(Refusal::conflict(
            "RouterInterfaceInUseByRoute",
            format!(
                "Router interface for subnet {subnet} on router {} cannot be deleted, as it is required by one or more routes. The first is {} by {}.",
                router.standard.id, route.destination, route.nexthop
            ),
        )),
        None => Ok(()),
    }
}

/// Deletes an interface with its port, which Neutron does also where the port was made before.
fn delete(change: &mut Change, interface: &RouterInterface) -> Result<(), Refusal> {
    change.delete(RowKey::Resource(RowKind::RouterInterface, interface.standard.id));
    delete_port(change, &interface.standard.id.to_string())
}

/// Deletes the interfaces of a router that were declared with it, and its routes: before it is deleted itself.
///
/// # Errors
/// If the port of one of them has other interfaces.
pub(crate) fn remove_declared(change: &mut Change, router: Id) -> Result<(), Refusal> {
    let Some(stored) = change.model().routers.get(&router).cloned() else { return Ok(()) };
    if !stored.routes.is_empty() {
        change.put(Row::Router(Arc::new(Router { routes: Vec::new(), ..Router::clone(&stored) })));
    }
    let interfaces = change.model().referring((RowKind::Router, router), RowKind::RouterInterface);
    let interfaces: Vec<Arc<RouterInterface>> = interfaces
        .filter_map(|id| change.model().router_interfaces.get(&id).cloned())
        .filter(|interface| interface.standard.apply_set == stored.standard.apply_set)
        .collect();
    interfaces.iter().try_for_each(|interface| delete(change, interface))
}
