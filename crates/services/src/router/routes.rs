//! Extra routes of a router: each by a next hop on one of its subnets.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::Router;
use crate::attribute::{Attribute, AttributeType};
use crate::change::{Change, typed};
use crate::network::HostRoute;
use crate::{Id, Model, Refusal, Row, RowKind};

/// The most routes of one router.
const ROUTES_MAX: usize = 1000;

/// A list of routes.
pub(super) const ROUTES: AttributeType = AttributeType::Objects(&[
    Attribute::required("destination", AttributeType::Cidr, "Prefix"),
    Attribute::required("nexthop", AttributeType::IpAddress, "Address on one of the router's subnets"),
]);

/// The bodies of both actions.
pub(super) const ATTRIBUTES: &[Attribute] = &[Attribute::required("routes", ROUTES, "Routes")];

#[derive(serde::Deserialize)]
struct Given {
    routes: Vec<HostRoute>,
}

pub(super) fn add(
    change: &mut Change,
    router: Id,
    given: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    write(change, router, given, |mut routes, given| {
        routes.extend(given);
        routes
    })
}

pub(super) fn remove(
    change: &mut Change,
    router: Id,
    given: Map<String, Value>,
) -> Result<Map<String, Value>, Refusal> {
    write(change, router, given, |mut routes, given| {
        let given = BTreeSet::from_iter(given);
        routes.retain(|route| !given.contains(route));
        routes
    })
}

fn write(
    change: &mut Change,
    router: Id,
    given: Map<String, Value>,
    merge: impl FnOnce(Vec<HostRoute>, Vec<HostRoute>) -> Vec<HostRoute>,
) -> Result<Map<String, Value>, Refusal> {
    let given: Given = typed(given)?;
    let Some(stored) = change.model().routers.get(&router).cloned() else { return Ok(Map::new()) };
    let mut router = Router::clone(&stored);
    router.routes = checked(change.model(), &stored, merge(stored.routes.clone(), given.routes))?;
    router.standard.touch(change.now());
    change.put(Row::Router(Arc::new(router)));
    Ok(Map::new())
}

/// The routes, each once, if all of them are by a neighbour of the router.
pub(super) fn checked(
    model: &Model,
    router: &Router,
    routes: Vec<HostRoute>,
) -> Result<Vec<HostRoute>, Refusal> {
    let mut seen = BTreeSet::new();
    let once: Vec<HostRoute> = routes.into_iter().filter(|route| seen.insert(*route)).collect();
    if once.len() > ROUTES_MAX {
        let id = router.standard.id;
        let message = format!(
            "Unable to complete operation for {id}. The number of routes exceeds the maximum {ROUTES_MAX}."
        );
        return Err(Refusal::invalid("RoutesExhausted", message));
    }
    let known: BTreeSet<&HostRoute> = router.routes.iter().collect();
    let fresh = once.iter().filter(|route| !known.contains(route));
    fresh.copied().try_for_each(|route| check(model, router.standard.id, route))?;
    Ok(once)
}

fn check(model: &Model, router: Id, route: HostRoute) -> Result<(), Refusal> {
    let refuse = |reason: &str| {
        let HostRoute { destination, nexthop } = route;
        let message = format!("Invalid format for routes: {destination} by {nexthop}, {reason}.");
        Err(Refusal::invalid("InvalidRoutes", message))
    };
    if route.destination.addr().is_ipv4() != route.nexthop.is_ipv4() {
        return refuse("the nexthop is of another IP version than the destination");
    }
    let interfaces = model.referring((RowKind::Router, router), RowKind::RouterInterface);
    let interfaces: Vec<Id> = interfaces.collect();
    if interfaces.iter().any(|id| has_address(model, *id, route.nexthop)) {
        return refuse("the nexthop is used by router");
    }
    if !interfaces.iter().any(|id| reaches(model, *id, route.nexthop)) {
        return refuse("the nexthop is not connected with router");
    }
    Ok(())
}

fn has_address(model: &Model, interface: Id, address: IpAddr) -> bool {
    let binding = model.router_interfaces.get(&interface).map(|interface| interface.service_port_id);
    let binding = binding.and_then(|id| model.service_ports.get(&id));
    binding.is_some_and(|port| port.fixed_ips.iter().any(|fixed_ip| fixed_ip.ip_address == address))
}

fn reaches(model: &Model, interface: Id, address: IpAddr) -> bool {
    let subnets = model.router_interfaces.get(&interface).map(|interface| &interface.subnet_ids);
    subnets.into_iter().flatten().any(|id| contains(model, *id, address))
}

/// Whether an address is one of a subnet's.
pub(super) fn contains(model: &Model, subnet: Id, address: IpAddr) -> bool {
    model.subnets.get(&subnet).is_some_and(|subnet| subnet.cidr.contains(&address))
}
