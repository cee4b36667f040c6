//! BGP VPNs and their associations: what Neutron answers and refuses, what is chosen, and what they say to VRFs.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "these are tests")]

mod common;

use std::collections::BTreeSet;

use common::{Site, check, id};
use serde_json::{Map, Value, json};
use weft_net::RouteTarget;
use weft_services::bgpvpn::{BgpvpnType, Member, Membership, Multipath, membership};
use weft_services::catalogue::{NoStatuses, by_any_name};
use weft_services::{Condition, Query, Reason, Refusal};

/// A network with a subnet and a port, a router, and a BGP VPN.
struct Bench {
    site: Site,
    network: String,
    subnet: String,
    port: String,
    router: String,
    vpn: String,
}

fn bench() -> Bench {
    let mut site = Site::with_hosts(1, &[]);
    let network = id(&site.create("networks", json!({})).unwrap());
    let subnet = json!({"network_id": network, "ip_version": 4, "cidr": "10.1.1.0/24"});
    let subnet = id(&site.create("subnets", subnet).unwrap());
    let port = id(&site.create("ports", json!({"network_id": network})).unwrap());
    let router = id(&site.create("routers", json!({})).unwrap());
    let vpn = id(&site.create("bgpvpns", json!({"route_targets": ["64512:100"]})).unwrap());
    Bench { site, network, subnet, port, router, vpn }
}

impl Bench {
    fn associate(&mut self, what: &str, request: Value) -> Result<Map<String, Value>, Refusal> {
        let mut request = request;
        if request.get("bgpvpn_id").is_none() {
            request["bgpvpn_id"] = json!(self.vpn);
        }
        let made = self.site.create(&format!("bgpvpn_{what}_associations"), request);
        check(&self.site.model);
        made
    }

    fn vpn(&mut self, request: Value) -> String {
        id(&self.site.create("bgpvpns", request).unwrap())
    }

    fn said(&self, member: Member) -> Membership {
        membership(&self.site.model, member, BgpvpnType::L3).unwrap()
    }
}

fn targets(texts: &[&str]) -> BTreeSet<RouteTarget> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn targets_are_what_upstream_takes_and_nothing_else() {
    let mut bench = bench();
    let made = bench.site.create("bgpvpns", json!({"name": "v", "import_targets": "64512:1",
        "export_targets": ["192.0.2.1:7", "4200000000:9", "64512:1", "64512:1"], "route_targets": null, "vni": "5000"}));
    let made = made.unwrap();
    assert_eq!(made["import_targets"], json!(["64512:1"]), "one is a list of one");
    assert_eq!(
        made["export_targets"],
        json!(["192.0.2.1:7", "4200000000:9", "64512:1"]),
        "each once, in order"
    );
    assert_eq!((&made["route_targets"], &made["vni"]), (&json!([]), &json!(5000)));
    assert_eq!((&made["type"], &made["local_pref"]), (&json!("l3"), &Value::Null));
    assert_eq!((&made["networks"], &made["routers"], &made["ports"]), (&json!([]), &json!([]), &json!([])));
    for field in ["route_targets", "import_targets", "export_targets", "route_distinguishers"] {
        for bad in [
            json!(["0"]),
            json!(["test", " "]),
            json!(["64512:1000000000000", "xyz"]),
            json!(["064512:1"]),
            json!([1]),
            json!(["0.1:7"]),
            json!(["0x0003000000000001"]),
        ] {
            for on in [None, Some(id(&made))] {
                let request = json!({ field: bad });
                let outcome = match on {
                    None => bench.site.create("bgpvpns", request),
                    Some(id) => bench.site.update("bgpvpns", &id, request),
                };
                let refusal = outcome.unwrap_err();
                assert!(
                    refusal.reason == Reason::Invalid && refusal.message.contains(&format!("{field}[")),
                    "{refusal}"
                );
            }
        }
    }
    for request in [json!({"type": "l2"}), json!({"vni": 1}), json!({"vrf_policy": "any-to-any"})] {
        assert_eq!(bench.site.update("bgpvpns", &id(&made), request).unwrap_err().reason, Reason::Invalid);
    }
    for bad in [json!({"vni": 0}), json!({"local_pref": 4_294_967_296_u64}), json!({"type": "l4"})] {
        assert_eq!(bench.site.create("bgpvpns", bad).unwrap_err().reason, Reason::Invalid);
    }
}

#[test]
fn associations_are_shown_in_their_bgp_vpn_and_go_with_what_they_are_between() {
    let mut bench = bench();
    let (network, router, port) = (bench.network.clone(), bench.router.clone(), bench.port.clone());
    bench.associate("network", json!({"network_id": network})).unwrap();
    let of_router =
        bench.associate("router", json!({"router_id": router, "advertise_extra_routes": false})).unwrap();
    assert_eq!(of_router["advertise_extra_routes"], false, "upstream forgets what it was given");
    let of_port = bench.associate("port", json!({"port_id": port})).unwrap();
    assert_eq!((&of_port["routes"], &of_port["advertise_fixed_ips"]), (&json!([]), &json!(true)));
    let shown = bench.site.get("bgpvpns", &bench.vpn).unwrap();
    assert_eq!(
        (&shown["networks"], &shown["routers"], &shown["ports"]),
        (&json!([network]), &json!([router]), &json!([port]))
    );
    let other = bench.vpn(json!({}));
    for (attribute, id) in [("networks", &network), ("routers", &router), ("ports", &port)] {
        let conditions = vec![Condition::OneOf(attribute.into(), vec![id.clone()])];
        let query = Query { conditions, ..Query::default() };
        let found = query.run(by_any_name("bgpvpns").unwrap(), &bench.site.model, &NoStatuses).unwrap().items;
        assert_eq!(
            found.iter().map(common::id).collect::<Vec<_>>(),
            [bench.vpn.clone()],
            "{attribute}, not {other}"
        );
    }
    bench.site.delete("ports", &port).unwrap();
    bench.site.delete("routers", &router).unwrap();
    bench.site.delete("networks", &network).unwrap();
    let shown = bench.site.get("bgpvpns", &bench.vpn).unwrap();
    assert_eq!(
        (&shown["networks"], &shown["routers"], &shown["ports"]),
        (&json!([]), &json!([]), &json!([]))
    );
    check(&bench.site.model);
}

#[test]
fn upstreams_refusals_of_associations() {
    let mut bench = bench();
    let nobody = "00000000-0000-4000-8000-000000000000";
    let (network, router, port) = (bench.network.clone(), bench.router.clone(), bench.port.clone());
    let l2 = bench.vpn(json!({"type": "l2"}));
    let other = bench.vpn(json!({}));
    let theirs = bench.vpn(json!({"project_id": "theirs"}));
    let their_network = id(&bench.site.create("networks", json!({"project_id": "theirs"})).unwrap());
    for (what, id) in [("network", &network), ("router", &router), ("port", &port)] {
        bench.associate(what, json!({ format!("{what}_id"): id })).unwrap();
    }
    let leak = |id: &str| json!({"port_id": port, "bgpvpn_id": other, "routes": [{"type": "bgpvpn", "bgpvpn_id": id}]});
    for (what, request, reason, kind) in [
        ("network", json!({"network_id": network}), Reason::Invalid, "BGPVPNNetAssocAlreadyExists"),
        ("router", json!({"router_id": router}), Reason::Invalid, "BGPVPNRouterAssocAlreadyExists"),
        ("port", json!({"port_id": port}), Reason::Invalid, "BGPVPNPortAssocAlreadyExists"),
        ("network", json!({"network_id": nobody}), Reason::NotFound, "NetworkNotFound"),
        ("router", json!({"router_id": nobody}), Reason::NotFound, "RouterNotFound"),
        ("port", json!({"port_id": nobody}), Reason::NotFound, "PortNotFound"),
        ("network", json!({"network_id": network, "bgpvpn_id": nobody}), Reason::NotFound, "BGPVPNNotFound"),
        ("router", json!({"router_id": router, "bgpvpn_id": l2}), Reason::Invalid, "BadRequest"),
        ("network", json!({"network_id": network, "bgpvpn_id": theirs}), Reason::Forbidden, "NotAuthorized"),
        ("network", json!({"network_id": their_network}), Reason::Forbidden, "NotAuthorized"),
        ("router", json!({"router_id": router, "bgpvpn_id": theirs}), Reason::Forbidden, "NotAuthorized"),
        ("port", json!({"port_id": port, "bgpvpn_id": theirs}), Reason::Forbidden, "NotAuthorized"),
        (
            "network",
            json!({"network_id": network, "bgpvpn_id": l2, "project_id": "theirs"}),
            Reason::Forbidden,
            "NotAuthorized",
        ),
        ("port", leak(nobody), Reason::Invalid, "BGPVPNPortAssocRouteNoSuchBGPVPN"),
        ("port", leak(&l2), Reason::Invalid, "BGPVPNPortAssocRouteBGPVPNTypeDiffer"),
        ("port", leak(&theirs), Reason::Invalid, "BGPVPNPortAssocRouteWrongBGPVPNProject"),
        (
            "network",
            json!({"network_id": network, "bgpvpn_id": l2, "role": "hub"}),
            Reason::Invalid,
            "HTTPBadRequest",
        ),
    ] {
        let before = common::rows(&bench.site.model);
        let refusal = bench.associate(what, request.clone()).unwrap_err();
        assert_eq!((refusal.reason, refusal.kind), (reason, kind), "{what} {request}: {refusal}");
        assert_eq!(common::rows(&bench.site.model), before);
    }
    let made = bench.associate("network", json!({"network_id": their_network, "bgpvpn_id": theirs})).unwrap();
    assert_eq!(made["project_id"], "theirs", "it is the BGP VPN's project's");
}

#[test]
fn an_l2_vpn_takes_networks_that_vxlan_carries_and_nothing_else() {
    let mut bench = bench();
    let l2 = bench.vpn(json!({"type": "l2", "route_targets": ["64512:5000"]}));
    let vlan = json!({"provider:network_type": "vlan", "provider:physical_network": "p", "provider:segmentation_id": 5});
    let vlan = id(&bench.site.create("networks", vlan).unwrap());
    let port = bench.port.clone();
    let route = json!([{"type": "prefix", "prefix": "198.51.100.0/24"}]);
    for (what, request, wanted) in [
        ("network", json!({"network_id": vlan}), ["network_id", "provider:network_type vxlan"]),
        ("port", json!({"port_id": port}), ["port_id", "port associations"]),
        ("port", json!({"port_id": port, "routes": route}), ["port_id", "their routes"]),
        (
            "port",
            json!({"port_id": port, "advertise_fixed_ips": false}),
            ["port_id", "advertise_fixed_ips require type l3"],
        ),
    ] {
        let before = common::rows(&bench.site.model);
        let mut request = request;
        request["bgpvpn_id"] = json!(l2);
        let refusal = bench.associate(what, request.clone()).unwrap_err();
        let is_precise = wanted.iter().all(|part| refusal.message.contains(part));
        assert!(refusal.reason == Reason::Invalid && is_precise, "{request}: {refusal}");
        assert!(refusal.message.contains(&l2), "{refusal}");
        assert_eq!(common::rows(&bench.site.model), before);
    }
    // In one of type l3 all of them can be.
    bench.associate("network", json!({"network_id": vlan})).unwrap();
    bench.associate("port", json!({"port_id": port, "routes": route})).unwrap();
}

#[test]
fn a_network_is_in_an_l3_vpn_by_itself_or_by_its_router() {
    let (mut bench, l2) = (bench(), json!({"type": "l2"}));
    let (network, router, subnet) = (bench.network.clone(), bench.router.clone(), bench.subnet.clone());
    let by_network = json!({ "network_id": network });
    let association = bench.associate("network", by_network.clone()).unwrap();
    bench.associate("router", json!({"router_id": router})).unwrap();
    let add = |bench: &mut Bench| {
        bench.site.act(("routers", &router), "add_router_interface", json!({ "subnet_id": subnet }))
    };
    let refusal = add(&mut bench).unwrap_err();
    assert_eq!((refusal.reason, refusal.kind), (Reason::Conflict, "RouterInterfaceAttachmentConflict"));
    bench.site.delete("bgpvpn_network_associations", &id(&association)).unwrap();
    add(&mut bench).unwrap();
    let refusal = bench.associate("network", by_network.clone()).unwrap_err();
    assert_eq!((refusal.reason, refusal.kind), (Reason::Invalid, "BadRequest"));
    assert!(refusal.message.contains("linked to a router which is already associated"), "{refusal}");
    let l2 = bench.vpn(l2);
    bench.associate("network", json!({"network_id": network, "bgpvpn_id": l2})).unwrap();
    let router_association = common::all(&bench.site, "bgpvpn_router_associations")[0].clone();
    bench.site.delete("bgpvpn_router_associations", &id(&router_association)).unwrap();
    bench.associate("network", by_network).unwrap();
    let refusal = bench.associate("router", json!({"router_id": router})).unwrap_err();
    assert_eq!((refusal.reason, refusal.kind), (Reason::Invalid, "BadRequest"));
    assert!(refusal.message.contains(&network), "{refusal}");
}

#[test]
fn a_policy_chooses_targets_where_none_are_given() {
    let mut bench = bench();
    let mut made = |request: Value| bench.site.create("bgpvpns", request).unwrap();
    assert_eq!(made(json!({}))["route_targets"], json!([]), "isolated is legal");
    let [one, other] = [(); 2].map(|()| made(json!({"vrf_policy": "any-to-any"})));
    let chosen = one["route_targets"][0].as_str().unwrap().to_owned();
    assert!(chosen.starts_with("64512:") && one["route_targets"] != other["route_targets"], "{chosen}");
    assert_eq!(one["hub_target"], Value::Null);
    let given = made(json!({"vrf_policy": "ecmp-anycast", "import_targets": ["64512:5"]}));
    assert_eq!(given["route_targets"], json!([]));
    let hubs = made(json!({"vrf_policy": "hub-and-spoke"}));
    assert!(hubs["hub_target"].is_string() && hubs["spoke_target"].is_string());
    assert!(hubs["hub_target"] != hubs["spoke_target"] && hubs["route_targets"] == json!([]));
    let l2 = made(json!({"type": "l2", "vrf_policy": "any-to-any"}));
    assert!(l2["route_targets"][0].as_str().is_some_and(|target| target.starts_with("64512:")), "{l2:?}");
    assert_eq!(made(json!({"type": "l2"}))["route_targets"], json!([]), "isolated is legal here, too");
    for policy in ["hub-and-spoke", "ecmp-anycast"] {
        let request = json!({"type": "l2", "vrf_policy": policy});
        let refusal = bench.site.create("bgpvpns", request).unwrap_err();
        assert!(
            refusal.message.contains("vrf_policy") && refusal.message.contains("any-to-any alone"),
            "{refusal}"
        );
    }
    let after = bench.site.update("bgpvpns", &id(&hubs), json!({"name": "hubs"})).unwrap();
    assert_eq!((&after["hub_target"], &after["spoke_target"]), (&hubs["hub_target"], &hubs["spoke_target"]));
}

#[test]
fn hubs_take_everybodys_routes_in_and_spokes_those_of_hubs() {
    let mut bench = bench();
    let vpn = bench.vpn(json!({"vrf_policy": "hub-and-spoke", "import_targets": ["64512:7"]}));
    let shown = bench.site.get("bgpvpns", &vpn).unwrap();
    let [hub, spoke] = ["hub_target", "spoke_target"].map(|name| shown[name].as_str().unwrap().to_owned());
    let (port, network) = (bench.port.clone(), bench.network.clone());
    bench.associate("port", json!({"port_id": port, "bgpvpn_id": vpn, "role": "hub"})).unwrap();
    let spokes = bench.associate("network", json!({"network_id": network, "bgpvpn_id": vpn})).unwrap();
    assert_eq!(spokes["role"], "spoke", "that is what a member is unless it is said");
    let of_hub = bench.said(Member::Port(port.parse().unwrap()));
    assert_eq!(of_hub.import, targets(&[&hub, &spoke, "64512:7"]));
    assert_eq!(of_hub.export, targets(&[&hub]));
    let of_spoke = bench.said(Member::Network(network.parse().unwrap()));
    assert_eq!((of_spoke.import, of_spoke.export), (targets(&[&hub, "64512:7"]), targets(&[&spoke])));
}

#[test]
fn what_several_bgp_vpns_say_to_a_member_is_put_together() {
    let mut bench = bench();
    let (port, router) = (bench.port.clone(), bench.router.clone());
    let other =
        bench.vpn(json!({"import_targets": ["64512:1"], "export_targets": ["64512:2"], "local_pref": 200,
        "route_distinguishers": ["64512:77"], "vni": 7000, "multipath": "failover",
        "static_routes": [{"destination": "198.51.100.0/24", "nexthop": "10.1.1.9", "local_pref": 5}]}));
    bench.associate("router", json!({"router_id": router, "advertise_extra_routes": false})).unwrap();
    let of_router = bench.said(Member::Router(router.parse().unwrap()));
    assert_eq!(of_router.import, targets(&["64512:100"]));
    assert!(!of_router.advertise_extra_routes && of_router.multipath == Multipath::Ecmp);
    bench.associate("port", json!({"port_id": port, "advertise_fixed_ips": false})).unwrap();
    let routes = json!([{"type": "prefix", "prefix": "10.1.1.5/32"}, {"type": "prefix", "prefix": "0.0.0.0/0", "local_pref": 9},
        {"type": "bgpvpn", "bgpvpn_id": bench.vpn}]);
    let made =
        bench.associate("port", json!({"port_id": port, "bgpvpn_id": other, "routes": routes})).unwrap();
    assert_eq!(made["routes"], routes);
    let said = bench.said(Member::Port(port.parse().unwrap()));
    assert_eq!(
        (said.import, said.export),
        (targets(&["64512:100", "64512:1"]), targets(&["64512:100", "64512:2"]))
    );
    assert_eq!((said.local_pref, said.vni.map(|vni| vni.get())), (Some(200), Some(7000)));
    assert_eq!(said.multipath, Multipath::Failover);
    assert_eq!(said.route_distinguishers, [String::from("64512:77").parse().unwrap()].into());
    assert!(membership(&bench.site.model, Member::Port(port.parse().unwrap()), BgpvpnType::L2).is_none());
    let vpn = bench.vpn.clone();
    bench.site.delete("bgpvpns", &vpn).unwrap();
    let said = bench.said(Member::Port(port.parse().unwrap()));
    assert_eq!(said.bgpvpns.len(), 1);
    let left = bench.site.get("bgpvpn_port_associations", &id(&made)).unwrap();
    assert_eq!(left["routes"].as_array().unwrap().len(), 2, "what is leaked goes with its BGP VPN");
}

#[test]
fn routes_of_ports_and_static_routes_are_checked_by_their_place() {
    let mut bench = bench();
    let port = bench.port.clone();
    let leaked = bench.vpn(json!({}));
    for (routes, says) in [
        (json!([{"type": "prefix"}]), "routes[0].prefix"),
        (json!([{"type": "prefix", "prefix": "10.0.0.0/8"}, {"type": "bgpvpn"}]), "routes[1].bgpvpn_id"),
        (json!([{"type": "other"}]), "routes[0].type"),
        (json!([{"type": "prefix", "prefix": "10.0.0.0/8", "local_pref": -1}]), "routes[0].local_pref"),
        (json!([{"type": "prefix", "prefix": "10.0.0.0/8", "multipath": "some"}]), "routes[0].multipath"),
        (
            json!([
                {"type": "prefix", "prefix": "10.0.0.0/8", "multipath": "ecmp"},
                {"type": "prefix", "prefix": "10.0.0.0/8"},
            ]),
            "routes[1].multipath",
        ),
        (
            json!([
                {"type": "bgpvpn", "bgpvpn_id": leaked, "multipath": "ecmp"},
                {"type": "bgpvpn", "bgpvpn_id": leaked, "multipath": "failover"},
            ]),
            "routes[1].multipath",
        ),
    ] {
        let refusal = bench.associate("port", json!({"port_id": port, "routes": routes})).unwrap_err();
        assert!(refusal.reason == Reason::Invalid && refusal.message.contains(says), "{refusal}");
    }
    let vpn = bench.vpn.clone();
    let mut act = |action: &str, route: Value| {
        bench.site.act(("bgpvpns", &vpn), action, json!({"static_routes": [route]})).map(drop)
    };
    let way = json!({"destination": "198.51.100.0/24", "nexthop": "10.1.1.9"});
    act("add_static_routes", way.clone()).unwrap();
    let preferred = json!({"destination": "198.51.100.0/24", "nexthop": "10.1.1.9", "local_pref": 7});
    act("add_static_routes", preferred.clone()).unwrap();
    act("add_static_routes", json!({"destination": "198.51.100.0/24", "nexthop": "10.1.1.8"})).unwrap();
    let mixed =
        act("add_static_routes", json!({"destination": "2001:db8::/64", "nexthop": "10.1.1.9"})).unwrap_err();
    assert!(mixed.message.contains("nexthop"), "{mixed}");
    act("remove_static_routes", json!({"destination": "198.51.100.0/24", "nexthop": "10.1.1.8"})).unwrap();
    let preferred = json!({"destination": "198.51.100.0/24", "nexthop": "10.1.1.9", "local_pref": 7, "multipath": "ecmp"});
    act("add_static_routes", preferred.clone()).unwrap();
    let other = json!({"destination": "198.51.100.0/24", "nexthop": "10.1.1.7", "multipath": "failover"});
    let contradicts = act("add_static_routes", other).unwrap_err();
    assert!(contradicts.message.contains("static_routes[1].multipath"), "{contradicts}");
    let twice = |member: &str, value: Value| {
        let mut again = json!({"destination": "192.0.2.0/24", "nexthop": "10.1.1.9"});
        let first = again.clone();
        again[member] = value;
        json!([first, again])
    };
    for (member, value) in [("local_pref", json!(7)), ("multipath", json!("failover"))] {
        let routes = twice(member, value);
        let posted = bench.site.create("bgpvpns", json!({"static_routes": routes})).unwrap_err();
        let added = bench.site.act(("bgpvpns", &vpn), "add_static_routes", json!({"static_routes": routes}));
        for refusal in [posted, added.unwrap_err()] {
            assert!(refusal.message.contains(&format!("static_routes[1].{member}")), "{refusal}");
        }
    }
    assert_eq!(bench.site.get("bgpvpns", &vpn).unwrap()["static_routes"], json!([preferred]));
}

#[test]
fn what_a_put_of_a_port_association_does_not_change() {
    let mut bench = bench();
    let nobody = "00000000-0000-4000-8000-000000000000";
    let (port, vpn, network) = (bench.port.clone(), bench.vpn.clone(), bench.network.clone());
    let another = id(&bench.site.create("ports", json!({"network_id": network})).unwrap());
    let [l2, other, theirs] =
        [json!({"type": "l2"}), json!({}), json!({"project_id": "theirs"})].map(|request| bench.vpn(request));
    let routes = json!([{"type": "prefix", "prefix": "10.0.0.0/8", "local_pref": 7}]);
    let made = bench.associate("port", json!({"port_id": port, "routes": routes})).unwrap();
    let association = id(&made);
    let routes = |route: Value| json!({"routes": [{"type": "prefix", "prefix": "198.51.100.0/24"}, route]});
    let prefix = |prefix: Value| routes(json!({"type": "prefix", "prefix": prefix}));
    let leak = |id: &str| routes(json!({"type": "bgpvpn", "bgpvpn_id": id}));
    let with = |name: &str, value: Value| {
        let mut route = json!({"type": "prefix", "prefix": "10.0.0.0/8"});
        route[name] = value;
        routes(route)
    };
    let bad = "HTTPBadRequest";
    for (request, kind, says) in [
        // What it is between is said by its POST; its path says in which BGP VPN it is.
        (json!({"port_id": another}), bad, "read-only attribute port_id".to_owned()),
        (json!({"bgpvpn_id": other}), bad, "read-only attribute bgpvpn_id".into()),
        (json!({"id": nobody}), bad, "read-only attribute id".into()),
        (json!({"project_id": "theirs"}), bad, "read-only attribute project_id".into()),
        (json!({"tenant_id": "theirs"}), bad, "read-only attribute tenant_id".into()),
        (json!({"network_id": network}), bad, "Unrecognized attribute(s) 'network_id'".into()),
        (
            json!({"role": "hub"}),
            bad,
            format!("role. Reason: the vrf_policy of BGPVPN {vpn} is not hub-and-spoke"),
        ),
        (json!({"advertise_fixed_ips": null}), "InvalidInput", "boolean for 'advertise_fixed_ips'".into()),
        (json!({"advertise_fixed_ips": "x"}), "InvalidInput", "boolean for 'advertise_fixed_ips'".into()),
        (json!({"routes": {}}), bad, "routes. Reason: '{}' is not a list".into()),
        (routes(json!("10.0.0.0/8")), bad, "routes[1]. Reason: '10.0.0.0/8' is not an object".into()),
        (routes(json!({"prefix": "10.0.0.0/8"})), bad, "routes[1].type. Reason: it is not given".into()),
        (
            routes(json!({"type": "vpn"})),
            bad,
            "routes[1].type. Reason: 'vpn' is not one of prefix, bgpvpn".into(),
        ),
        (routes(json!({"type": "prefix"})), bad, "routes[1].prefix".into()),
        (prefix(Value::Null), bad, "routes[1].prefix".into()),
        (
            prefix(json!("10.0.0.0")),
            bad,
            "routes[1].prefix. Reason: '10.0.0.0' is not a valid IP subnet".into(),
        ),
        (prefix(json!("10.0.0.0/33")), bad, "routes[1].prefix".into()),
        (prefix(json!("2001:db8::/129")), bad, "routes[1].prefix".into()),
        (with("bgpvpn_id", json!(other)), bad, "routes[1].prefix".into()),
        (with("nexthop", json!("10.1.1.9")), bad, "routes[1]. Reason: it has 'nexthop'".into()),
        (with("local_pref", json!(-1)), bad, "routes[1].local_pref".into()),
        (with("local_pref", json!(4_294_967_296_u64)), bad, "routes[1].local_pref".into()),
        (
            json!({"routes": [{"type": "prefix", "prefix": "10.0.0.0/8", "local_pref": 7}, {"type": "prefix", "prefix": "10.0.0.1/8"}]}),
            bad,
            "routes[1].local_pref. Reason: routes[0] is the same route, with another local_pref".into(),
        ),
        (routes(json!({"type": "bgpvpn"})), bad, "routes[1].bgpvpn_id".into()),
        (leak("x"), bad, "routes[1].bgpvpn_id. Reason: 'x' is not valid".into()),
        (leak(nobody), "BGPVPNPortAssocRouteNoSuchBGPVPN", nobody.into()),
        (leak(&l2), "BGPVPNPortAssocRouteBGPVPNTypeDiffer", l2.clone()),
        (leak(&theirs), "BGPVPNPortAssocRouteWrongBGPVPNProject", theirs.clone()),
    ] {
        let before = common::rows(&bench.site.model);
        let said = bench.site.update("bgpvpn_port_associations", &association, request.clone());
        let refusal = said.expect_err(&request.to_string());
        assert_eq!((refusal.reason, refusal.kind), (Reason::Invalid, kind), "{request}: {refusal}");
        assert!(refusal.message.contains(&says), "{request}: {refusal}, not '{says}'");
        assert_eq!(common::rows(&bench.site.model), before, "{request}");
    }
    let missing = bench.site.update("bgpvpn_port_associations", nobody, json!({"routes": []})).unwrap_err();
    assert_eq!((missing.reason, missing.kind), (Reason::NotFound, "BGPVPNPortAssocNotFound"));
    // What may be changed is, what is not said stays, and what is said twice is there once.
    let twice = json!({"routes": [{"type": "prefix", "prefix": "10.0.0.0/8"}, {"type": "prefix", "prefix": "10.0.0.1/8"}]});
    let once = json!([{"type": "prefix", "prefix": "10.0.0.0/8"}]);
    let mut update = |request| bench.site.update("bgpvpn_port_associations", &association, request).unwrap();
    assert_eq!(update(twice)["routes"], once);
    let said = update(json!({"advertise_fixed_ips": false}));
    assert_eq!((&said["routes"], &said["advertise_fixed_ips"]), (&once, &json!(false)));
    assert_eq!(update(json!({"routes": []}))["routes"], json!([]));
}
