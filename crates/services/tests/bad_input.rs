//! What is refused: with which error, which field it names, and that nothing has changed.

#![allow(clippy::unwrap_used, clippy::too_many_lines, reason = "these are tests")]

mod common;

use common::{Site, id};
use serde_json::{Map, Value, json};
use weft_net::{Capability, HostFact};
use weft_services::catalogue::{CATALOGUE, by_path};
use weft_services::{AttributeType, OnCreate, Reason, Refusal, Timestamp, describe_host};

/// A site with one of everything, all of which `$names` in requests refer to.
fn site() -> (Site, Vec<(&'static str, String)>) {
    let mut site = Site::with_hosts(2, &[]);
    let mut fact: HostFact = site.model.host(&"host2".parse().unwrap()).unwrap().fact.clone();
    fact.capabilities.retain(|c| ![Capability::Tap, Capability::Vlan, Capability::Vxlan].contains(c));
    for write in describe_host(&site.model, &"host2".parse().unwrap(), &fact, Timestamp(0)).unwrap() {
        site.model.apply(&write);
    }
    let mut names = Vec::new();
    for (name, path, request) in [
        ("$blue", "networks", json!({"name": "blue", "provider:segmentation_id": 10})),
        (
            "$red",
            "networks",
            json!({"name": "red", "provider:network_type": "vlan", "provider:physical_network": "p",
            "provider:segmentation_id": 5}),
        ),
        ("$gone", "networks", json!({"name": "gone", "provider:segmentation_id": 99})),
        ("$tiny", "networks", json!({"name": "tiny"})),
        ("$sub4", "subnets", json!({"network_id": "$blue", "ip_version": 4, "cidr": "10.0.0.0/24"})),
        ("$tiny4", "subnets", json!({"network_id": "$tiny", "ip_version": 4, "cidr": "10.9.0.0/30"})),
        ("$full", "ports", json!({"network_id": "$tiny"})),
        ("$leaving", "ports", json!({"network_id": "$gone", "binding:host_id": "host1"})),
        (
            "$web",
            "ports",
            json!({"network_id": "$blue", "binding:host_id": "host1", "mac_address": "02:00:00:00:00:01",
            "fixed_ips": [{"ip_address": "10.0.0.10"}], "binding:profile": {"namespace": "web"}}),
        ),
        ("$vm", "instance-ports", json!({"name": "vm", "host_id": "host1", "vnic": {"type": "tap"}})),
        ("$if", "interfaces", json!({"instance_port_id": "$vm"})),
        ("$bound", "service-ports", json!({"interface_id": "$if", "service_id": "$red"})),
        ("$free", "instance-ports", json!({"mac_address": "02:00:00:00:00:01"})),
        ("$freeif", "interfaces", json!({"instance_port_id": "$free"})),
        ("$on2", "instance-ports", json!({"host_id": "host2"})),
        ("$on2if", "interfaces", json!({"instance_port_id": "$on2"})),
        ("$router", "routers", json!({})),
        ("$vpn", "bgpvpns", json!({})),
        ("$netassoc", "bgpvpn_network_associations", json!({"bgpvpn_id": "$vpn", "network_id": "$red"})),
        ("$rtrassoc", "bgpvpn_router_associations", json!({"bgpvpn_id": "$vpn", "router_id": "$router"})),
        ("$portassoc", "bgpvpn_port_associations", json!({"bgpvpn_id": "$vpn", "port_id": "$web"})),
        ("$peer", "bgp_peers", json!({"peer_ip": "192.0.2.99", "remote_as": 64512})),
        ("$speaker", "bgp_speakers", json!({"local_as": 64512})),
    ] {
        let created = site.create(path, filled(&request, &names)).unwrap();
        names.push((name, id(&created)));
    }
    for (path, name) in [("ports", "$leaving"), ("networks", "$gone")] {
        let id = names.iter().find(|(known, _)| *known == name).unwrap().1.clone();
        site.delete(path, &id).unwrap();
    }
    (site, names)
}

fn filled(request: &Value, names: &[(&str, String)]) -> Value {
    let mut names: Vec<_> = names.to_vec();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    let text = names.iter().fold(request.to_string(), |text, (name, id)| text.replace(name, id));
    serde_json::from_str(&text).unwrap()
}

fn attempt(site: &mut Site, path: &str, on: Option<&str>, request: &Value) -> Result<(), Refusal> {
    let before = common::rows(&site.model);
    let outcome = match (on, request) {
        (None, _) => site.create(path, request.clone()).map(drop),
        (Some(id), Value::Null) => site.delete(path, id),
        (Some(id), _) => site.update(path, id, request.clone()).map(drop),
    };
    if outcome.is_err() {
        assert_eq!(common::rows(&site.model), before, "something was written");
    }
    outcome
}

/// Path, which one (none: make one), request (null: delete it), status, type, what the message says.
type Case = (&'static str, Option<&'static str>, Value, u16, &'static str, &'static str);

fn check(cases: &[Case]) {
    let (mut site, names) = site();
    let mut wrong = Vec::new();
    for (path, on, request, status, kind, says) in cases {
        let on = on
            .map(|on| names.iter().find(|(name, _)| *name == on).map_or(on.to_owned(), |(_, id)| id.clone()));
        let outcome = attempt(&mut site, path, on.as_deref(), &filled(request, &names));
        let is_expected = outcome.as_ref().is_err_and(|refusal| {
            let reason = match refusal.reason {
                Reason::Forbidden => 403,
                Reason::Invalid => 400,
                Reason::NotFound => 404,
                Reason::Conflict => 409,
                Reason::Outdated => 412,
            };
            (reason, refusal.kind) == (*status, *kind) && refusal.message.contains(says)
        });
        if !is_expected {
            wrong.push(format!("{path} {request}\n  expected {status} {kind} '{says}'\n  got {outcome:?}"));
        }
        if outcome.is_ok() {
            (site, _) = self::site();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn requests_with_wrong_attributes() {
    let bad = "HTTPBadRequest";
    check(&[
        ("networks", None, json!({"colour": 1}), 400, bad, "colour"),
        ("networks", None, json!({"id": "x"}), 400, bad, "'id' not allowed"),
        ("networks", Some("$blue"), json!({"status": "x"}), 400, bad, "status"),
        (
            "networks",
            Some("$blue"),
            json!({"provider:segmentation_id": 11}),
            400,
            bad,
            "provider:segmentation_id",
        ),
        ("networks", Some("$blue"), json!({"project_id": "x"}), 400, bad, "project_id"),
        ("networks", None, json!({"name": "x".repeat(256)}), 400, bad, "name. Reason: "),
        ("networks", None, json!({"name": "ä".repeat(256)}), 400, bad, "exceeds maximum length of 255"),
        ("networks", None, json!({"name": "a\0b"}), 400, bad, "name"),
        ("networks", None, json!({"name": null}), 400, bad, "name"),
        ("networks", None, json!({"admin_state_up": "maybe"}), 400, "InvalidInput", "admin_state_up"),
        ("networks", None, json!({"mtu": 1.5}), 400, bad, "mtu"),
        ("networks", None, json!({"mtu": 65536}), 400, bad, "mtu"),
        ("networks", None, json!({"mtu": 67}), 400, bad, "mtu"),
        ("networks", Some("$blue"), json!({"mtu": -1}), 400, bad, "mtu"),
        ("networks", None, json!({"provider:network_type": "gre"}), 400, bad, "provider:network_type"),
        ("networks", None, json!({"provider:network_type": "vlan"}), 400, bad, "provider:physical_network"),
        (
            "networks",
            None,
            json!({"provider:network_type": "vlan", "provider:physical_network": "p",
            "provider:segmentation_id": 4095}),
            400,
            bad,
            "provider:segmentation_id",
        ),
        ("networks", None, json!({"provider:physical_network": "p"}), 400, bad, "provider:physical_network"),
        ("networks", None, json!({"provider:segmentation_id": 0}), 400, bad, "provider:segmentation_id"),
        (
            "networks",
            None,
            json!({"provider:segmentation_id": 16_777_216}),
            400,
            bad,
            "provider:segmentation_id",
        ),
        ("networks", None, json!({"project_id": "a", "tenant_id": "b"}), 400, bad, "tenant_id"),
        ("services", None, json!({"name": "x"}), 400, bad, "'type' not specified"),
        ("services", None, json!({"type": "router"}), 400, bad, "type"),
        ("ports", None, json!({}), 400, bad, "'network_id' not specified"),
        ("ports", None, json!({"network_id": "blue"}), 400, bad, "network_id"),
        ("ports", Some("$web"), json!({"network_id": "$tiny"}), 400, bad, "network_id"),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "mac_address": "01:00:5e:00:00:01"}),
            400,
            bad,
            "mac_address",
        ),
        ("ports", None, json!({"network_id": "$blue", "mac_address": "x"}), 400, bad, "mac_address"),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "binding:host_id": "a/b"}),
            400,
            bad,
            "binding:host_id",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "binding:vnic_type": "x"}),
            400,
            bad,
            "binding:vnic_type",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "binding:profile": {"namespace": 5}}),
            400,
            bad,
            "binding:profile",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "binding:profile": {"namespace": "../x"}}),
            400,
            bad,
            "binding:profile",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "binding:profile": {"interface": "e"}}),
            400,
            bad,
            "binding:profile",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "binding:profile": {"vnic": "x"}}),
            400,
            bad,
            "binding:profile",
        ),
        ("ports", None, json!({"network_id": "$blue", "tags": [""]}), 400, bad, "tags"),
        ("ports", None, json!({"network_id": "$blue", "fixed_ips": [5]}), 400, bad, "fixed_ips"),
        ("ports", None, json!({"network_id": "$blue", "fixed_ips": [{}]}), 400, bad, "fixed_ips"),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "fixed_ips": [{"ip_address": 5}]}),
            400,
            bad,
            "fixed_ips",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "fixed_ips": [{"ip_address": "10.0.0.300"}]}),
            400,
            bad,
            "fixed_ips",
        ),
        ("ports", Some("$web"), json!({"fixed_ips": [{"subnet": "x"}]}), 400, bad, "fixed_ips"),
        (
            "ports",
            Some("$web"),
            json!({"fixed_ips": vec![json!({"subnet_id": "$sub4"}); 257]}),
            400,
            bad,
            "fixed_ips",
        ),
        ("instance-ports", None, json!({"vnic": {"type": "x"}}), 400, bad, "vnic"),
        ("instance-ports", None, json!({"vnic": {"type": "namespace"}}), 400, bad, "vnic"),
        ("instance-ports", None, json!({"mtu": 1279}), 400, bad, "mtu"),
        ("interfaces", None, json!({}), 400, bad, "instance_port_id"),
        (
            "interfaces",
            None,
            json!({"instance_port_id": "$vm", "parent_interface_id": "$if"}),
            400,
            bad,
            "parent_interface_id",
        ),
        ("interfaces", None, json!({"instance_port_id": "$vm", "type": "vlan"}), 400, bad, "segmentation_id"),
        (
            "interfaces",
            None,
            json!({"instance_port_id": "$vm", "segmentation_id": 5}),
            400,
            bad,
            "segmentation_id",
        ),
        (
            "interfaces",
            None,
            json!({"instance_port_id": "$vm", "type": "vlan", "segmentation_id": 4095}),
            400,
            bad,
            "segmentation_id",
        ),
        ("interfaces", None, json!({"parent_interface_id": "$if"}), 400, bad, "parent_interface_id"),
        ("interfaces", Some("$if"), json!({"type": "vlan"}), 400, bad, "type"),
        ("hosts", None, json!({}), 400, bad, "agent"),
    ]);
}

#[test]
fn subnets_whose_addresses_make_no_sense() {
    let with = |more: Value| {
        let mut subnet = json!({"network_id": "$blue", "ip_version": 4, "cidr": "10.5.0.0/24"});
        subnet.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        subnet
    };
    let pool = |start: &str, end: &str| json!({"start": start, "end": end});
    let bad = "HTTPBadRequest";
    check(&[
        ("subnets", None, with(json!({"ip_version": 5})), 400, bad, "ip_version"),
        ("subnets", None, with(json!({"ip_version": 6})), 400, bad, "ip_version"),
        ("subnets", None, with(json!({"ip_version": 5, "cidr": "fd00::/64"})), 400, bad, "ip_version"),
        ("subnets", None, with(json!({"cidr": "10.5.0.0/33"})), 400, bad, "cidr"),
        ("subnets", None, with(json!({"cidr": "10.5.0.1"})), 400, bad, "cidr"),
        ("subnets", None, with(json!({"cidr": "10.0.0.128/25"})), 400, "InvalidInput", "cidr"),
        ("subnets", None, with(json!({"cidr": "0.0.0.0/0"})), 400, bad, "cidr"),
        (
            "subnets",
            None,
            with(json!({"cidr": "127.1.0.0/16"})),
            400,
            bad,
            "cidr. Reason: '127.1.0.0/16' has loopback",
        ),
        ("subnets", None, with(json!({"cidr": "126.0.0.0/7"})), 400, bad, "cidr"),
        (
            "subnets",
            None,
            with(json!({"cidr": "239.1.1.0/24"})),
            400,
            bad,
            "cidr. Reason: '239.1.1.0/24' has multicast",
        ),
        ("subnets", None, with(json!({"cidr": "::/0", "ip_version": 6})), 400, bad, "cidr"),
        ("subnets", None, with(json!({"cidr": "::1/128", "ip_version": 6})), 400, bad, "cidr"),
        ("subnets", None, with(json!({"cidr": "ff02::/64", "ip_version": 6})), 400, bad, "cidr"),
        ("subnets", None, with(json!({"gateway_ip": "10.6.0.1"})), 400, "InvalidInput", "gateway_ip"),
        ("subnets", None, with(json!({"gateway_ip": "10.5.0.255"})), 400, "InvalidInput", "gateway_ip"),
        ("subnets", None, with(json!({"gateway_ip": "fd00::1"})), 400, "InvalidInput", "gateway_ip"),
        ("subnets", None, with(json!({"gateway_ip": "fe80::1"})), 400, "InvalidInput", "gateway_ip"),
        ("subnets", None, with(json!({"gateway_ip": "x"})), 400, bad, "gateway_ip"),
        (
            "subnets",
            None,
            with(json!({"allocation_pools": [pool("10.5.0.1", "10.5.0.9")]})),
            409,
            "GatewayConflictWithAllocationPools",
            "10.5.0.1",
        ),
        (
            "subnets",
            None,
            with(json!({"allocation_pools": [pool("10.5.0.200", "10.5.0.255")]})),
            409,
            "OutOfBoundsAllocationPool",
            "10.5.0.255",
        ),
        (
            "subnets",
            None,
            with(json!({"allocation_pools": [pool("10.5.0.9", "10.5.1.9")]})),
            409,
            "OutOfBoundsAllocationPool",
            "allocation pool",
        ),
        (
            "subnets",
            None,
            with(json!({"allocation_pools": [pool("10.5.0.9", "10.5.0.3")]})),
            400,
            "InvalidAllocationPool",
            "allocation pool",
        ),
        (
            "subnets",
            None,
            with(
                json!({"allocation_pools": [pool("10.5.0.9", "10.5.0.20"), pool("10.5.0.20", "10.5.0.30")]}),
            ),
            409,
            "OverlappingAllocationPools",
            "allocation pools",
        ),
        ("subnets", None, with(json!({"allocation_pools": [5]})), 400, bad, "allocation_pools"),
        (
            "subnets",
            None,
            with(json!({"allocation_pools": [{"start": "10.5.0.2"}]})),
            400,
            bad,
            "allocation_pools",
        ),
        ("subnets", None, with(json!({"dns_nameservers": ["x"]})), 400, bad, "dns_nameservers"),
        (
            "subnets",
            None,
            with(json!({"host_routes": [{"destination": "x", "nexthop": "10.5.0.9"}]})),
            400,
            bad,
            "host_routes",
        ),
        (
            "subnets",
            None,
            with(json!({"host_routes": [{"destination": "fd00::/8", "nexthop": "10.5.0.9"}]})),
            400,
            bad,
            "host_routes",
        ),
        ("subnets", None, with(json!({"ipv6_address_mode": "slaac"})), 400, bad, "ipv6_address_mode"),
        (
            "subnets",
            None,
            with(json!({"ipv6_ra_mode": "slaac", "ipv6_address_mode": "dhcpv6-stateful",
            "ip_version": 6, "cidr": "fd00::/64"})),
            400,
            bad,
            "ipv6_ra_mode",
        ),
        (
            "subnets",
            None,
            with(json!({"ipv6_address_mode": "slaac", "ip_version": 6, "cidr": "fd00::/80"})),
            400,
            bad,
            "cidr",
        ),
        ("subnets", Some("$sub4"), json!({"cidr": "10.0.0.0/16"}), 400, bad, "cidr"),
        (
            "subnets",
            Some("$sub4"),
            json!({"gateway_ip": "10.0.0.10"}),
            409,
            "GatewayConflictWithAllocationPools",
            "10.0.0.10",
        ),
    ]);
}

#[test]
fn requests_that_do_not_fit_what_is_there() {
    let unknown = "11111111-2222-4333-8444-555555555555";
    let bad = "HTTPBadRequest";
    check(&[
        ("networks", None, json!({"provider:segmentation_id": 10}), 409, "TunnelIdInUse", "10"),
        (
            "networks",
            None,
            json!({"provider:segmentation_id": 99}),
            409,
            "TunnelIdInUse",
            "provider:segmentation_id: VNI 99 is in quarantine until host1 has confirmed",
        ),
        (
            "networks",
            None,
            json!({"provider:network_type": "vlan", "provider:physical_network": "p",
            "provider:segmentation_id": 5}),
            409,
            "VlanIdInUse",
            "5",
        ),
        ("networks", Some("$blue"), json!({"mtu": 9000}), 400, bad, "mtu"),
        ("networks", Some("$blue"), Value::Null, 409, "NetworkInUse", "ports"),
        ("networks", Some(unknown), Value::Null, 404, "NetworkNotFound", unknown),
        ("networks", Some("no-uuid"), json!({"name": "x"}), 404, "NetworkNotFound", "no-uuid"),
        (
            "subnets",
            None,
            json!({"network_id": unknown, "ip_version": 4, "cidr": "10.5.0.0/24"}),
            404,
            "NetworkNotFound",
            unknown,
        ),
        ("subnets", Some("$sub4"), Value::Null, 409, "SubnetInUse", "subnet"),
        ("ports", None, json!({"network_id": unknown}), 404, "NetworkNotFound", unknown),
        (
            "ports",
            None,
            json!({"network_id": "$tiny"}),
            409,
            "IpAddressGenerationFailure",
            "No more IP addresses",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$tiny", "fixed_ips": [{"subnet_id": "$tiny4"}]}),
            409,
            "IpAddressGenerationFailure",
            "No more IP addresses",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "mac_address": "02:00:00:00:00:01"}),
            409,
            "MacAddressInUse",
            "02:00:00:00:00:01",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "fixed_ips": [{"ip_address": "10.0.0.10"}]}),
            409,
            "IpAddressAlreadyAllocated",
            "fixed_ips",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "fixed_ips": [{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.9"}]}),
            409,
            "IpAddressAlreadyAllocated",
            "fixed_ips",
        ),
        (
            "ports",
            Some("$web"),
            json!({"fixed_ips": [{"ip_address": "10.0.1.9"}]}),
            400,
            "InvalidIpForNetwork",
            "fixed_ips",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "fixed_ips": [{"ip_address": "10.0.0.255"}]}),
            400,
            "InvalidIpForNetwork",
            "fixed_ips",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "fixed_ips": [{"subnet_id": "$sub4", "ip_address": "10.0.1.9"}]}),
            400,
            "InvalidIpForSubnet",
            "fixed_ips",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "fixed_ips": [{"subnet_id": "$tiny4"}]}),
            400,
            "InvalidInput",
            "fixed_ips",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "fixed_ips": [{"subnet_id": unknown}]}),
            404,
            "SubnetNotFound",
            unknown,
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "binding:host_id": "host1", "project_id": "other",
            "binding:profile": {"namespace": "web", "interface": "eth1"}}),
            409,
            "NamespaceInUse",
            "namespace 'web'",
        ),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "binding:host_id": "host1",
            "binding:profile": {"namespace": "web"}}),
            409,
            "NamespaceInUse",
            "eth0",
        ),
        ("instance-ports", None, json!({"host_id": "host9"}), 400, bad, "host_id"),
        ("instance-ports", Some("$vm"), json!({"host_id": "host9"}), 400, bad, "host_id"),
        (
            "instance-ports",
            None,
            json!({"host_id": "host2", "vnic": {"type": "tap"}}),
            409,
            "HostLacksCapability",
            "host_id",
        ),
        ("instance-ports", Some("$vm"), json!({"host_id": "host2"}), 409, "HostLacksCapability", "host_id"),
        ("instance-ports", Some("$vm"), Value::Null, 409, "InstancePortInUse", "interfaces"),
        (
            "instance-ports",
            None,
            json!({"host_id": "host1", "project_id": "other",
            "vnic": {"type": "namespace", "namespace": "web", "interface": "eth1"}}),
            409,
            "NamespaceInUse",
            "web",
        ),
        ("interfaces", None, json!({"instance_port_id": "$vm"}), 409, "InterfaceInUse", "segmentation_id"),
        ("interfaces", None, json!({"instance_port_id": unknown}), 404, "InstancePortNotFound", unknown),
        (
            "interfaces",
            None,
            json!({"instance_port_id": "$on2", "type": "vlan", "segmentation_id": 5}),
            409,
            "HostLacksCapability",
            "type",
        ),
        ("interfaces", Some("$if"), Value::Null, 409, "InterfaceInUse", "service ports"),
        (
            "service-ports",
            None,
            json!({"interface_id": "$if", "service_id": "$blue"}),
            409,
            "InterfaceInUse",
            "interface_id",
        ),
        (
            "service-ports",
            None,
            json!({"interface_id": unknown, "service_id": "$blue"}),
            404,
            "InterfaceNotFound",
            unknown,
        ),
        (
            "service-ports",
            None,
            json!({"interface_id": "$freeif", "service_id": unknown}),
            404,
            "ServiceNotFound",
            unknown,
        ),
        (
            "service-ports",
            None,
            json!({"interface_id": "$freeif", "service_id": "$blue"}),
            409,
            "MacAddressInUse",
            "02:00:00:00:00:01",
        ),
        (
            "service-ports",
            None,
            json!({"interface_id": "$on2if", "service_id": "$blue"}),
            409,
            "HostLacksCapability",
            "host",
        ),
        ("service-ports", Some("$bound"), json!({"service_id": unknown}), 404, "ServiceNotFound", unknown),
        ("services", Some("$blue"), Value::Null, 409, "NetworkInUse", "ports"),
        ("services", Some(unknown), json!({"name": "x"}), 404, "ServiceNotFound", unknown),
        ("hosts", Some("host1"), Value::Null, 409, "HostInUse", "host1"),
        ("hosts", Some("host9"), Value::Null, 404, "HostNotFound", "host9"),
    ]);
}

#[test]
fn a_neutron_port_that_its_host_cannot_carry_out_is_bound_with_a_failure() {
    let (mut site, names) = site();
    for (host, profile) in [("host9", json!({})), ("host2", json!({"vnic": "tap"})), ("host2", json!({}))] {
        let port = json!({"network_id": "$blue", "binding:host_id": host, "binding:profile": profile});
        let port = site.create("ports", filled(&port, &names)).unwrap();
        assert_eq!(port["binding:vif_type"], "binding_failed", "{host} {profile}");
        assert!(port["binding:vif_details"]["failure"].as_str().unwrap().contains(host));
        let moved = site.update("ports", &id(&port), json!({"binding:host_id": "host1"})).unwrap();
        assert_eq!(moved["binding:vif_type"], "tap");
    }
}

#[test]
fn a_condition_on_a_revision_that_does_not_hold_changes_nothing() {
    let (mut site, names) = site();
    let blue = &names[0].1;
    site.update("networks", blue, json!({"name": "azure"})).unwrap();
    let (entry, request, mut change) = (by_path("networks").unwrap(), Map::new(), site.change());
    let update = entry.update(&mut change, blue, &request, Some(1)).unwrap_err();
    assert_eq!((update.reason, update.kind), (Reason::Outdated, "RevisionNumberConstraintFailed"));
    assert_eq!(update.message, "Constrained to 1, but current revision is 2");
    assert_eq!(entry.delete(&mut change, blue, Some(1)).unwrap_err(), update);
    assert!(change.finish().unwrap().0.is_empty());
    let mut change = site.change();
    entry.update(&mut change, blue, &request, Some(2)).unwrap();
}

#[test]
fn a_value_of_the_wrong_type_is_refused_by_the_name_of_its_attribute() {
    let (mut site, names) = site();
    let resource = |member: &str| {
        let named = [
            ("network", "$blue"),
            ("subnet", "$sub4"),
            ("port", "$web"),
            ("instance_port", "$vm"),
            ("interface", "$if"),
            ("service", "$blue"),
            ("service_port", "$bound"),
            ("router", "$router"),
            ("bgpvpn", "$vpn"),
            ("bgpvpn_network_association", "$netassoc"),
            ("bgpvpn_router_association", "$rtrassoc"),
            ("bgpvpn_port_association", "$portassoc"),
            ("bgp_peer", "$peer"),
            ("bgp_speaker", "$speaker"),
        ];
        let name = named.iter().find(|(known, _)| *known == member).unwrap().1;
        names.iter().find(|(known, _)| *known == name).unwrap().1.clone()
    };
    for entry in CATALOGUE.iter().filter(|entry| entry.verbs.write) {
        for attribute in entry.attributes {
            let wrong = match attribute.kind {
                AttributeType::Boolean => vec![json!("x"), json!(2), json!([]), json!({})],
                AttributeType::Integer(..) => vec![json!("x"), json!(1.5), json!(true), json!([])],
                AttributeType::Text(_) | AttributeType::OneOf(_) => {
                    vec![json!(1), json!(true), json!([]), json!({})]
                }
                AttributeType::Id
                | AttributeType::Reference(_)
                | AttributeType::IpAddress
                | AttributeType::Cidr
                | AttributeType::Mac => {
                    vec![json!("x"), json!(1), json!(false), json!([]), json!({})]
                }
                AttributeType::HostName => vec![json!("a b"), json!(1), json!([])],
                AttributeType::RouteTarget | AttributeType::RouteDistinguisher => {
                    vec![json!("x"), json!(1), json!({})]
                }
                AttributeType::Secret(_) => vec![json!(1), json!(true), json!([]), json!({})],
                AttributeType::ListOf(_) | AttributeType::Objects(_) => vec![json!({}), json!([{}])],
                AttributeType::List => vec![json!("x"), json!(1), json!({})],
                AttributeType::Object => vec![json!("x"), json!(1), json!([])],
            };
            for value in wrong {
                let request = json!({ attribute.name: value });
                let mut attempts = vec![Some(resource(entry.member))];
                // What else must be given would be missed first, if it comes first in the table.
                let required = entry.attributes.iter().any(|other| other.on_create == OnCreate::Required);
                attempts.extend((!required).then_some(None));
                for on in attempts {
                    let refusal = attempt(&mut site, entry.collection, on.as_deref(), &request).unwrap_err();
                    assert_eq!(refusal.reason, Reason::Invalid, "{} {request}", entry.path);
                    assert!(refusal.message.contains(attribute.name), "{} {request}: {refusal}", entry.path);
                }
            }
        }
    }
}

#[test]
fn a_port_of_a_kind_that_no_agent_can_make_is_bound_with_a_failure_that_says_so() {
    let (mut site, names) = site();
    let port = json!({"network_id": "$blue", "binding:host_id": "host1", "binding:vnic_type": "direct"});
    let port = site.create("ports", filled(&port, &names)).unwrap();
    assert_eq!((&port["binding:vif_type"], &port["status"]), (&json!("binding_failed"), &json!("DOWN")));
    let failure = port["binding:vif_details"]["failure"].as_str().unwrap();
    assert!(failure.contains("binding:vnic_type 'direct'"), "{failure}");
    let normal = site.update("ports", &id(&port), json!({"binding:vnic_type": "normal"})).unwrap();
    assert_eq!(normal["binding:vif_type"], "tap");
    let direct = site.update("ports", &id(&port), json!({"binding:vnic_type": "direct"})).unwrap();
    assert_eq!(direct["binding:vif_type"], "binding_failed");
}

#[test]
fn a_conflict_names_the_field_and_what_is_in_the_way() {
    let (mut site, names) = site();
    let of = |name: &str| names.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    let (web, blue) = (format!("port {}", of("$web")), of("$blue"));
    for (path, on, request, says) in [
        ("networks", Some("$blue"), Value::Null, ["", &web]),
        ("subnets", Some("$sub4"), Value::Null, ["", &web]),
        (
            "ports",
            None,
            json!({"network_id": "$blue", "mac_address": "02:00:00:00:00:01"}),
            ["mac_address: Unable", &web],
        ),
        (
            "subnets",
            None,
            json!({"network_id": "$blue", "ip_version": 4, "cidr": "10.0.0.128/25"}),
            ["cidr: Invalid", &of("$sub4")],
        ),
        ("networks", None, json!({"provider:segmentation_id": 10}), ["provider:segmentation_id: ", &blue]),
        ("networks", Some("$red"), Value::Null, ["", &format!("port {}", of("$vm"))]),
        ("hosts", Some("host1"), Value::Null, ["", "move or delete its ports"]),
    ] {
        let on = on.map(|on| if on.starts_with('$') { of(on) } else { on.to_owned() });
        let refusal = attempt(&mut site, path, on.as_deref(), &filled(&request, &names)).unwrap_err();
        assert!(refusal.message.starts_with(says[0]) && refusal.message.contains(says[1]), "{refusal}");
    }
}

#[test]
fn a_namespace_is_taken_out_of_a_profile_without_an_interface_that_nobody_gave() {
    let (mut site, names) = site();
    let web = &names.iter().find(|(name, _)| *name == "$web").unwrap().1;
    let mut profile = site.get("ports", web).unwrap()["binding:profile"].clone();
    assert_eq!(profile, json!({"namespace": "web"}));
    profile.as_object_mut().unwrap().remove("namespace");
    let port = site.update("ports", web, json!({ "binding:profile": profile })).unwrap();
    assert_eq!(port["binding:profile"], json!({}));
    let named = json!({"binding:profile": {"namespace": "web", "interface": "data0"}});
    assert_eq!(
        site.update("ports", web, named.clone()).unwrap()["binding:profile"],
        named["binding:profile"]
    );
}

#[test]
fn a_host_that_cannot_make_a_vlan_does_not_get_a_vnic_that_has_one() {
    let (mut site, _) = site();
    let port = id(&site.create("instance-ports", json!({})).unwrap());
    let interface =
        |parent: &str, on: &str, tag: u16| json!({(parent): on, "type": "vlan", "segmentation_id": tag});
    let vlan = id(&site.create("interfaces", interface("instance_port_id", &port, 5)).unwrap());
    let move_to = |host: &str| json!({ "host_id": host });
    let refusal = attempt(&mut site, "instance-ports", Some(&port), &move_to("host2")).unwrap_err();
    assert_eq!((refusal.reason, refusal.kind), (Reason::Conflict, "HostLacksCapability"));
    assert!(refusal.message.contains(&vlan) && refusal.message.starts_with("host_id"), "{refusal}");
    site.update("instance-ports", &port, move_to("host1")).unwrap();
    site.create("interfaces", interface("parent_interface_id", &vlan, 6)).unwrap();
    attempt(&mut site, "instance-ports", Some(&port), &move_to("host2")).unwrap_err();
}

#[test]
fn a_network_is_not_made_larger_than_any_known_host_carries() {
    let mut unknown = Site::default();
    unknown.create("networks", json!({"mtu": 9000})).unwrap();
    let (mut site, names) = site();
    let vlan = json!({"provider:network_type": "vlan", "provider:physical_network": "p",
        "provider:segmentation_id": 9, "mtu": 1501});
    for (request, largest) in [(json!({"mtu": 1451}), "1450"), (vlan, "1500")] {
        let refusal = attempt(&mut site, "networks", None, &request).unwrap_err();
        assert_eq!(refusal.reason, Reason::Invalid);
        assert!(refusal.message.contains("mtu") && refusal.message.contains(largest), "{refusal}");
    }
    site.create("networks", json!({"mtu": 1450})).unwrap();
    let tiny = &names.iter().find(|(name, _)| *name == "$tiny").unwrap().1;
    attempt(&mut site, "networks", Some(tiny), &json!({"mtu": 1451})).unwrap_err();
}

#[test]
fn a_prefix_of_link_local_ipv4_addresses_can_be_a_subnet() {
    let (mut site, names) = site();
    let subnet = json!({"network_id": "$blue", "ip_version": 4, "cidr": "169.254.0.0/16"});
    site.create("subnets", filled(&subnet, &names)).unwrap();
}
