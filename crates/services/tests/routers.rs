//! Routers: what Neutron answers, and what it refuses.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "these are tests")]

mod common;

use std::collections::BTreeMap;

use common::{Site, check, id};
use serde_json::{Map, Value, json};
use weft_net::HostName;
use weft_services::catalogue::{Status, Statuses, by_any_name};
use weft_services::compile::FragmentKey;
use weft_services::{Reason, Refusal};

/// Two networks with a subnet each, a third whose subnet overlaps with the first's, and a router.
struct Bench {
    site: Site,
    blue: String,
    red: String,
    router: String,
    subnets: [String; 4],
}

fn bench() -> Bench {
    let mut site = Site::with_hosts(1, &[]);
    let [blue, red, green] =
        ["blue", "red", "green"].map(|name| id(&site.create("networks", json!({"name": name})).unwrap()));
    let mut subnet = |network: &str, cidr: &str, gateway: bool| {
        let mut subnet = json!({"network_id": network, "ip_version": 4, "cidr": cidr});
        if !gateway {
            subnet["gateway_ip"] = Value::Null;
        }
        id(&site.create("subnets", subnet).unwrap())
    };
    let subnets = [
        subnet(&blue, "10.1.0.0/24", true),
        subnet(&red, "10.2.0.0/24", true),
        subnet(&green, "10.1.0.128/25", true),
        subnet(&green, "10.9.0.0/24", false),
    ];
    let router = id(&site.create("routers", json!({"name": "r"})).unwrap());
    Bench { site, blue, red, router, subnets }
}

impl Bench {
    fn act(&mut self, action: &str, request: Value) -> Result<Map<String, Value>, Refusal> {
        let before = common::rows(&self.site.model);
        let outcome = self.site.act(("routers", &self.router), action, request);
        match &outcome {
            Ok(_) => check(&self.site.model),
            Err(_) => assert_eq!(common::rows(&self.site.model), before, "something was written"),
        }
        outcome
    }

    fn refused(&mut self, action: &str, request: Value) -> (Reason, &'static str, String) {
        let refusal = self.act(action, request).unwrap_err();
        (refusal.reason, refusal.kind, refusal.message)
    }

    fn routes(&self) -> Value {
        self.site.get("routers", &self.router).unwrap()["routes"].clone()
    }
}

#[test]
fn a_router_is_shown_as_neutron_shows_a_distributed_one() {
    let mut bench = bench();
    let router = bench.site.get("routers", &bench.router).unwrap();
    assert_eq!(router["distributed"], true);
    assert_eq!((&router["ha"], &router["external_gateway_info"]), (&json!(false), &Value::Null));
    assert_eq!((&router["routes"], &router["status"]), (&json!([]), &json!("ACTIVE")));
    assert!(!router.contains_key("evpn_vni"), "only of routers that have one");
    for (request, field) in [
        (json!({"distributed": false}), "distributed"),
        (json!({"ha": true}), "ha"),
        (json!({"external_gateway_info": {"network_id": bench.blue}}), "external_gateway_info"),
    ] {
        for on in [None, Some(bench.router.clone())] {
            let outcome = match on {
                None => bench.site.create("routers", request.clone()),
                Some(id) => bench.site.update("routers", &id, request.clone()),
            };
            let refusal = outcome.unwrap_err();
            assert!(refusal.reason == Reason::Invalid && refusal.message.contains(field), "{refusal}");
        }
    }
    let clear = json!({"external_gateway_info": {}, "distributed": null, "ha": null});
    bench.site.update("routers", &bench.router.clone(), clear).unwrap();
    let refusal = bench.site.create("routers", json!({"routes": []})).unwrap_err();
    assert_eq!(refusal.message, "Attribute 'routes' not allowed in POST");
}

#[test]
fn an_interface_is_a_port_with_the_gateways_address_that_only_the_router_takes_away() {
    let mut bench = bench();
    let subnet = bench.subnets[0].clone();
    let answer = bench.act("add_router_interface", json!({"subnet_id": subnet})).unwrap();
    assert_eq!(answer["id"], bench.router);
    assert_eq!((&answer["subnet_id"], &answer["network_id"]), (&json!(subnet), &json!(bench.blue)));
    assert_eq!((&answer["subnet_ids"], &answer["project_id"]), (&json!([subnet]), &json!("default")));
    let port = answer["port_id"].as_str().unwrap().to_owned();
    let shown = bench.site.get("ports", &port).unwrap();
    assert_eq!(shown["device_owner"], "network:router_interface_distributed");
    assert_eq!((&shown["device_id"], &shown["network_id"]), (&json!(bench.router), &json!(bench.blue)));
    assert_eq!(shown["fixed_ips"], json!([{"subnet_id": subnet, "ip_address": "10.1.0.1"}]));
    assert_eq!(shown["binding:vif_type"], "distributed");
    let refusal = bench.site.delete("ports", &port).unwrap_err();
    assert_eq!((refusal.reason, refusal.kind), (Reason::Conflict, "ServicePortInUse"));
    for request in [
        json!({"device_id": ""}),
        json!({"device_owner": "compute:nova"}),
        json!({"binding:host_id": "host1"}),
        json!({"fixed_ips": []}),
    ] {
        assert_eq!(
            bench.site.update("ports", &port, request.clone()).unwrap_err().reason,
            Reason::Invalid,
            "{request}"
        );
    }
    bench.site.update("ports", &port, json!({"name": "leg"})).unwrap();
    for path in ["instance-ports", "interfaces", "service-ports"] {
        let mut change = bench.site.change();
        let entry = weft_services::catalogue::by_any_name(path).unwrap();
        let deleted = entry.delete(&mut change, &port, None).and_then(|()| change.finish().map(drop));
        assert_eq!(deleted.unwrap_err().reason, Reason::Conflict, "{path}");
    }
    let gateway = bench.site.update("subnets", &subnet, json!({"gateway_ip": "10.1.0.9"})).unwrap_err();
    assert_eq!((gateway.reason, gateway.kind), (Reason::Conflict, "GatewayIpInUse"));
    assert_eq!(bench.site.delete("subnets", &subnet).unwrap_err().kind, "SubnetInUse");
    assert_eq!(bench.site.delete("networks", &bench.blue.clone()).unwrap_err().kind, "NetworkInUse");
    let in_use = bench.site.delete("routers", &bench.router.clone()).unwrap_err();
    assert_eq!((in_use.reason, in_use.kind), (Reason::Conflict, "RouterInUse"));
    assert!(in_use.message.starts_with(&format!("Router {} still has ports", bench.router)));
    let again = bench.act("remove_router_interface", json!({"port_id": port})).unwrap();
    assert_eq!(again["port_id"], port);
    assert!(bench.site.get("ports", &port).is_none());
    bench.site.delete("routers", &bench.router.clone()).unwrap();
}

#[test]
fn neutrons_refusals_of_interfaces() {
    let mut bench = bench();
    let [first, second, overlapping, without_gateway] = bench.subnets.clone();
    let port = id(&bench.site.create("ports", json!({"network_id": bench.red, "device_id": "vm"})).unwrap());
    let bare = id(&bench.site.create("ports", json!({"network_id": bench.red, "fixed_ips": []})).unwrap());
    let bound = json!({"network_id": bench.red, "binding:host_id": "host1"});
    let bound = id(&bench.site.create("ports", bound).unwrap());
    bench.act("add_router_interface", json!({"subnet_id": first})).unwrap();
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (action, request, reason, kind, says) in [
        ("add", json!({}), Reason::Invalid, "BadRequest", "Either subnet_id or port_id must be specified"),
        (
            "add",
            json!({"subnet_id": second, "port_id": port}),
            Reason::Invalid,
            "BadRequest",
            "Cannot specify both",
        ),
        (
            "add",
            json!({"subnet_id": without_gateway}),
            Reason::Invalid,
            "BadRequest",
            "must have a gateway IP",
        ),
        ("add", json!({"subnet_id": first}), Reason::Invalid, "BadRequest", "already has a port on subnet"),
        (
            "add",
            json!({"subnet_id": overlapping}),
            Reason::Invalid,
            "BadRequest",
            "overlaps with cidr 10.1.0.0/24",
        ),
        ("add", json!({"port_id": port}), Reason::Conflict, "PortInUse", "attached device vm"),
        ("add", json!({"port_id": bare}), Reason::Invalid, "BadRequest", "at least one fixed IP"),
        ("add", json!({"port_id": bound}), Reason::Invalid, "BadRequest", "bound to host host1"),
        ("add", json!({"subnet_id": nobody}), Reason::NotFound, "SubnetNotFound", nobody),
        ("add", json!({"port_id": nobody}), Reason::NotFound, "PortNotFound", nobody),
        ("add", json!({"subnet_id": "x"}), Reason::Invalid, "HTTPBadRequest", "subnet_id"),
        ("add", json!({"network_id": "x"}), Reason::Invalid, "HTTPBadRequest", "network_id"),
        ("remove", json!({}), Reason::Invalid, "BadRequest", "Either subnet_id or port_id must be specified"),
        (
            "remove",
            json!({"subnet_id": second}),
            Reason::NotFound,
            "RouterInterfaceNotFoundForSubnet",
            "has no interface on subnet",
        ),
        (
            "remove",
            json!({"port_id": port}),
            Reason::NotFound,
            "RouterInterfaceNotFound",
            "does not have an interface with id",
        ),
    ] {
        let (its_reason, its_kind, message) =
            bench.refused(&format!("{action}_router_interface"), request.clone());
        assert_eq!((its_reason, its_kind), (reason, kind), "{request}: {message}");
        assert!(message.contains(says), "{request}: {message}");
    }
    let taken = json!({"network_id": bench.red, "fixed_ips": [{"ip_address": "10.2.0.1"}]});
    bench.site.create("ports", taken).unwrap();
    let (reason, kind, _) = bench.refused("add_router_interface", json!({"subnet_id": second}));
    assert_eq!((reason, kind), (Reason::Conflict, "IpAddressAlreadyAllocated"));
    let port = bench
        .site
        .create("ports", json!({"network_id": bench.red, "device_owner": "network:router_interface"}));
    assert!(port.unwrap_err().message.contains("device_owner"));
}

#[test]
fn a_port_that_is_there_becomes_an_interface_and_goes_with_it() {
    let mut bench = bench();
    let port = id(&bench.site.create("ports", json!({"network_id": bench.red})).unwrap());
    let answer = bench.act("add_router_interface", json!({"port_id": port})).unwrap();
    assert_eq!((&answer["port_id"], &answer["subnet_ids"]), (&json!(port), &json!([bench.subnets[1]])));
    let other = bench.subnets[0].clone();
    let (reason, kind, _) =
        bench.refused("remove_router_interface", json!({"port_id": port, "subnet_id": other}));
    assert_eq!((reason, kind), (Reason::Conflict, "SubnetMismatchForPort"));
    let subnet = bench.subnets[1].clone();
    bench.act("remove_router_interface", json!({"subnet_id": subnet})).unwrap();
    assert!(bench.site.get("ports", &port).is_none());
}

#[test]
fn ipv6_subnets_of_a_network_share_an_interface() {
    let mut bench = bench();
    let mut subnet = |cidr: &str| {
        let subnet = json!({"network_id": bench.blue, "ip_version": 6, "cidr": cidr});
        id(&bench.site.create("subnets", subnet).unwrap())
    };
    let [one, two] = [subnet("2001:db8:1::/64"), subnet("2001:db8:2::/64")];
    // Where workloads make their addresses themselves, the router has the gateway's all the same.
    let made = json!({"network_id": bench.red, "ip_version": 6, "cidr": "2001:db8:3::/64", "ipv6_address_mode": "slaac"});
    let made = id(&bench.site.create("subnets", made).unwrap());
    let answer = bench.act("add_router_interface", json!({"subnet_id": made})).unwrap();
    let port = bench.site.get("ports", answer["port_id"].as_str().unwrap()).unwrap();
    assert_eq!(port["fixed_ips"][0]["ip_address"], "2001:db8:3::1");
    let first = bench.act("add_router_interface", json!({"subnet_id": one})).unwrap();
    let second = bench.act("add_router_interface", json!({"subnet_id": two})).unwrap();
    assert_eq!(first["port_id"], second["port_id"]);
    assert_eq!(second["subnet_ids"], json!([two]));
    let v4 = bench.subnets[0].clone();
    assert_ne!(
        bench.act("add_router_interface", json!({"subnet_id": v4})).unwrap()["port_id"],
        first["port_id"]
    );
    bench.act("remove_router_interface", json!({"subnet_id": one})).unwrap();
    let port = bench.site.get("ports", first["port_id"].as_str().unwrap()).unwrap();
    assert_eq!(port["fixed_ips"], json!([{"subnet_id": two, "ip_address": "2001:db8:2::1"}]));
    bench.act("remove_router_interface", json!({"subnet_id": two})).unwrap();
    assert!(bench.site.get("ports", first["port_id"].as_str().unwrap()).is_none());
}

#[test]
fn extra_routes_lead_by_neighbours_and_hold_their_interface() {
    let mut bench = bench();
    let subnet = bench.subnets[0].clone();
    bench.act("add_router_interface", json!({"subnet_id": subnet})).unwrap();
    let route = |destination: &str, nexthop: &str| json!({"destination": destination, "nexthop": nexthop});
    let of = |routes: &[&Value]| json!({ "routes": routes });
    for (bad, says) in [
        (route("10.8.0.0/16", "10.2.0.5"), "the nexthop is not connected with router"),
        (route("10.8.0.0/16", "10.1.0.1"), "the nexthop is used by router"),
        (route("2001:db8::/64", "10.1.0.5"), "another IP version"),
    ] {
        let (reason, kind, message) = bench.refused("add_extraroutes", of(&[&bad]));
        assert_eq!((reason, kind), (Reason::Invalid, "InvalidRoutes"));
        assert!(message.contains(says) && message.starts_with("Invalid format for routes"), "{message}");
        let put = bench.site.update("routers", &bench.router.clone(), of(&[&bad])).unwrap_err();
        assert_eq!(put.message, message);
    }
    let (_, _, message) =
        bench.refused("add_extraroutes", json!({"routes": [{"destination": "10.8.0.0/16"}]}));
    assert!(message.contains("routes[0].nexthop"), "{message}");
    let [one, two] = [route("10.8.0.0/16", "10.1.0.5"), route("10.8.0.0/16", "10.1.0.6")];
    bench.act("add_extraroutes", of(&[&one, &two, &one])).unwrap();
    assert_eq!(bench.routes(), json!([one, two]));
    let revision = bench.site.get("routers", &bench.router).unwrap()["revision_number"].clone();
    bench.act("add_extraroutes", of(&[&two])).unwrap();
    assert_eq!(
        bench.site.get("routers", &bench.router).unwrap()["revision_number"],
        revision,
        "nothing is written"
    );
    let (reason, kind, _) = bench.refused("remove_router_interface", json!({"subnet_id": subnet}));
    assert_eq!((reason, kind), (Reason::Conflict, "RouterInterfaceInUseByRoute"));
    bench.act("remove_extraroutes", of(&[&one, &route("10.99.0.0/16", "10.1.0.9")])).unwrap();
    assert_eq!(bench.routes(), json!([two]));
    bench.site.update("routers", &bench.router.clone(), json!({"routes": null})).unwrap();
    assert_eq!(bench.routes(), json!([]));
    bench.act("remove_router_interface", json!({"subnet_id": subnet})).unwrap();
}

#[test]
fn a_router_has_so_many_extra_routes_whatever_is_asked_for() {
    let mut bench = bench();
    let subnet = bench.subnets[0].clone();
    bench.act("add_router_interface", json!({"subnet_id": subnet})).unwrap();
    let route = |n: u32| {
        let destination = std::net::Ipv4Addr::from_bits(0x1400_0000 | n);
        json!({"destination": format!("{destination}/32"), "nexthop": "10.1.0.5"})
    };
    let routes = |count: u32| json!({"routes": (0..count).map(route).collect::<Vec<_>>()});
    for many in [1001, 20_000] {
        let (reason, kind, _) = bench.refused("add_extraroutes", routes(many));
        assert_eq!((reason, kind), (Reason::Invalid, "RoutesExhausted"));
        let put = bench.site.update("routers", &bench.router.clone(), routes(many)).unwrap_err();
        assert_eq!(put.kind, "RoutesExhausted");
    }
    bench.act("add_extraroutes", routes(1000)).unwrap();
    bench.act("add_extraroutes", routes(1000)).unwrap();
    assert_eq!(bench.routes().as_array().map(Vec::len), Some(1000), "each once");
    bench.act("remove_extraroutes", routes(20_000)).unwrap();
    assert_eq!(bench.routes(), json!([]));
}

#[test]
fn an_evpn_vni_is_chosen_once_and_is_nobody_elses() {
    let mut bench = bench();
    let router = bench.site.create("routers", json!({"evpn_vni": 5000})).unwrap();
    assert_eq!(router["evpn_vni"], 5000);
    let chosen = bench.site.create("routers", json!({"evpn_vni": 0})).unwrap();
    assert!(chosen["evpn_vni"].as_u64().is_some_and(|vni| vni > 0 && vni != 5000), "{chosen:?}");
    for (path, request) in
        [("routers", json!({"evpn_vni": 5000})), ("networks", json!({"provider:segmentation_id": 5000}))]
    {
        assert_eq!(bench.site.create(path, request).unwrap_err().reason, Reason::Conflict, "{path}");
    }
    let refusal = bench.site.update("routers", &id(&router), json!({"evpn_vni": 5001})).unwrap_err();
    assert_eq!(refusal.message, "Cannot update read-only attribute evpn_vni");
    for bad in [json!(-1), json!(16_777_216), json!("x")] {
        assert_eq!(
            bench.site.create("routers", json!({ "evpn_vni": bad })).unwrap_err().reason,
            Reason::Invalid
        );
    }
    bench.site.delete("routers", &id(&router)).unwrap();
    bench.site.create("networks", json!({"provider:segmentation_id": 5000})).unwrap();
    check(&bench.site.model);
}

/// What some hosts have reported of all that is theirs.
struct Reported(BTreeMap<&'static str, Status>);

impl Statuses for Reported {
    fn fragment(&self, host: &HostName, _: &FragmentKey) -> Status {
        self.0.get(host.as_str()).copied().unwrap_or(Status::Build)
    }

    fn is_connected(&self, _: &HostName) -> bool {
        true
    }
}

#[test]
fn a_router_is_active_as_soon_as_one_of_its_hosts_has_it_and_its_interfaces_with_it() {
    let mut site = Site::with_hosts(2, &[]);
    let network = id(&site.create("networks", json!({})).unwrap());
    let subnet = json!({"network_id": network, "ip_version": 4, "cidr": "10.1.0.0/24"});
    let subnet = id(&site.create("subnets", subnet).unwrap());
    let router = id(&site.create("routers", json!({})).unwrap());
    let added = site.act(("routers", &router), "add_router_interface", json!({"subnet_id": subnet})).unwrap();
    let leg = added["port_id"].as_str().unwrap().to_owned();
    let shown = |site: &Site, reported: &[(&'static str, Status)]| {
        let reported = Reported(reported.iter().copied().collect());
        let status = |path: &str, id: &str| {
            let item = by_any_name(path).unwrap().render(&site.model, id, &reported).unwrap();
            item["status"].as_str().unwrap().to_owned()
        };
        [status("routers", &router), status("ports", &leg)]
    };
    assert_eq!(shown(&site, &[]), ["ACTIVE", "ACTIVE"], "on no host yet: nothing is waited for");
    for n in 1..=2 {
        let port = json!({"network_id": network, "binding:host_id": format!("host{n}"),
            "binding:profile": {"namespace": format!("v{n}")}});
        site.create("ports", port).unwrap();
    }
    let (one, other) = ("host1", "host2");
    for (reported, expected) in [
        (vec![], "BUILD"),
        (vec![(one, Status::Active)], "ACTIVE"),
        (vec![(one, Status::Active), (other, Status::Down)], "ACTIVE"),
        (vec![(one, Status::Active), (other, Status::Error)], "ERROR"),
    ] {
        assert_eq!(shown(&site, &reported), [expected, expected], "{reported:?}");
    }
    let done = [(one, Status::Active), (other, Status::Active)];
    site.update("ports", &leg, json!({"admin_state_up": false})).unwrap();
    assert_eq!(shown(&site, &done), ["ACTIVE", "DOWN"]);
    site.update("routers", &router, json!({"admin_state_up": false})).unwrap();
    site.update("ports", &leg, json!({"admin_state_up": true})).unwrap();
    assert_eq!(shown(&site, &done), ["DOWN", "DOWN"], "switched off");
}
