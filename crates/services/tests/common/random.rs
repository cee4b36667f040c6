//! Random requests against a site: whatever people and hosts may do, in any order.

use serde_json::{Map, Value, json};
use weft_net::{Capability, HostFact, HostName, L3Encapsulation, Mac, Vni};
use weft_services::catalogue::{NoStatuses, by_any_name};
use weft_services::vrf::{Vrf, router_mac};
use weft_services::{
    Change, Departure, Fact, Id, LearnedEncapsulation, LearnedMac, LearnedRoute, Model, Query, Refusal, Row,
    confirm_departures, describe_host,
};

/// One request, as numbers from which it is made.
pub(crate) type Numbers = (u8, [u8; 4]);

/// A request that refers to what is there.
pub(crate) struct Request<'c> {
    pub(crate) change: &'c mut Change,
    numbers: [u8; 4],
}

type Outcome = Result<(), Refusal>;

/// Makes a request, which may be refused.
pub(crate) fn request(change: &mut Change, (kind, numbers): Numbers) -> Outcome {
    let mut request = Request { change, numbers };
    // As often as the range is wide.
    match kind % 40 {
        0..1 => request.create_network(),
        1..3 => request.create_subnet(),
        3..7 => request.create_port(),
        7..10 => request.update_port(),
        10..12 => request.create_instance_port(),
        12..14 => request.create_interface(),
        14..16 => request.create_service_port(),
        16..18 => request.update_service_port(),
        18..20 => request.update_instance_port(),
        20..21 => request.update_network(),
        21..22 => request.update_subnet(),
        22..24 => request.delete(),
        24..26 => request.describe_host(),
        26..27 => request.confirm_departures(),
        27..29 => request.create_router(),
        29..31 => request.router_interface(),
        31..32 => request.update_router(),
        32..34 => request.create_bgpvpn(),
        34..36 => request.associate(),
        36..37 => request.update_bgpvpn(),
        37..38 => request.bgp(),
        _ => request.set_tags(),
    }
}

/// Something that may be learned of what is there.
pub(crate) fn fact_of(model: &Model, (kind, numbers): Numbers) -> Option<Fact> {
    if kind % 2 == 0 { fact_of_vrf(model, numbers) } else { fact_of_network(model, (kind / 2, numbers)) }
}

/// A route of a VRF, or the carrier of a vNIC.
fn fact_of_vrf(model: &Model, [a, b, c, d]: [u8; 4]) -> Option<Fact> {
    let vrfs: Vec<&Vrf> = model.vrfs().collect();
    let ports: Vec<Id> = model
        .rows()
        .filter_map(|row| if let Row::InstancePort(port) = row { Some(port.standard.id) } else { None })
        .collect();
    if a % 2 == 0 && !vrfs.is_empty() {
        let vrf = vrfs[usize::from(b) % vrfs.len()];
        let destination = format!("203.0.113.{}/32", d % 4).parse().unwrap();
        let routes = (0..d % 3).map(|n| learned_route(vrf, c.wrapping_mul(n + 1))).collect();
        return Some(Fact::Routes { vrf: vrf.standard.id, destination, routes });
    }
    let port = *ports.get(usize::from(b) % ports.len().max(1))?;
    let host = format!("host{}", 1 + c % 5).parse().unwrap();
    Some(Fact::Carrier { port, host, is_there: d % 3 == 0 })
}

/// One router says that it is behind several endpoints, and under several VNIs; now and then it has what is ours.
fn learned_route(vrf: &Vrf, number: u8) -> LearnedRoute {
    let router_mac = match number % 8 {
        0 => router_mac(vrf.vni, [192, 0, 2 + number / 64 % 2, 1 + number / 8 % 6].into()),
        n => Mac::new([0x02, 0, 0, 0, 0xff, n % 3]),
    };
    let next_hop = match number / 4 % 8 {
        0 => [192, 0, 2, 1 + number % 6],
        n => [198, 51, 100, n % 3],
    };
    LearnedRoute {
        next_hop: next_hop.into(),
        encapsulation: LearnedEncapsulation::Vxlan {
            vni: Vni::try_from(9000 + u32::from(number / 32 % 2)).unwrap(),
            router_mac,
        },
        local_pref: [50, 100, 200][usize::from(number) % 3],
    }
}

/// Of a network that is in a VPN of type l2, a MAC address or an endpoint.
fn fact_of_network(model: &Model, (kind, [a, b, c, d]): Numbers) -> Option<Fact> {
    let networks: Vec<Id> = model.mac_vrfs().map(|mac_vrf| mac_vrf.standard.id).collect();
    let network = *networks.get(usize::from(a) % networks.len().max(1))?;
    // Now and then that of a host of ours.
    let endpoint = if b % 4 == 3 { [192, 0, 2, 1 + b % 6] } else { [198, 51, 100, b % 3] }.into();
    let vni = (1 + u32::from(c) % 3).try_into().unwrap();
    let is_there = c % 4 != 0;
    Some(match kind % 4 {
        0 => Fact::Endpoint { network, endpoint, vni: is_there.then_some(vni) },
        _ => {
            let mac = Request::mac(d).parse().unwrap();
            let address = (kind % 4 > 1).then(|| [10, 0, 0, d % 8].into());
            let at = LearnedMac { endpoint, vni, sequence: u32::from(c) % 2, is_sticky: c % 16 == 1 };
            Fact::Mac { network, mac, address, at: is_there.then_some(at) }
        }
    })
}

/// What a host can say of itself.
pub(crate) fn fact(host: u8, [a, b, ..]: [u8; 4]) -> HostFact {
    let lacking = match a % 16 {
        0 => Some(Capability::Vxlan),
        1 => Some(Capability::Vlan),
        2 => Some(Capability::Tap),
        _ => None,
    };
    let uplink = ["eth1", "eth2"][usize::from(b) % 2].parse().unwrap();
    HostFact {
        tunnel_endpoint: (b % 5 != 0).then(|| [192, 0, 2 + b % 2, host].into()),
        underlay_mtu: [1500, 1500, 9000][usize::from(b) % 3],
        capabilities: Capability::ALL.into_iter().filter(|c| Some(*c) != lacking).collect(),
        physical_networks: (a % 4 != 0).then(|| ("physical".to_owned(), uplink)).into_iter().collect(),
        l3_encapsulation: L3Encapsulation::ALL[usize::from(a / 16) % 2],
    }
}

impl Request<'_> {
    fn all(&self, path: &str) -> Vec<Map<String, Value>> {
        Query::default().run(by_any_name(path).unwrap(), self.change.model(), &NoStatuses).unwrap().items
    }

    fn pick(&self, path: &str, number: u8) -> Value {
        let all = self.all(path);
        if all.is_empty() {
            return json!("00000000-0000-4000-8000-000000000000");
        }
        all[usize::from(number) % all.len()]["id"].clone()
    }

    fn create(&mut self, path: &str, request: Value) -> Outcome {
        by_any_name(path).unwrap().create(self.change, request.as_object().unwrap()).map(drop)
    }

    fn update(&mut self, path: &str, number: u8, request: Value) -> Outcome {
        let id = self.pick(path, number);
        let request = request.as_object().unwrap();
        by_any_name(path).unwrap().update(self.change, id.as_str().unwrap(), request, None)
    }

    fn create_network(&mut self) -> Outcome {
        let [a, b, c, _] = self.numbers;
        let mut network = json!({"name": format!("net{}", b % 3), "admin_state_up": c % 5 != 0});
        match a % 4 {
            0 => {
                network["provider:network_type"] = json!("vlan");
                network["provider:physical_network"] = json!("physical");
                network["provider:segmentation_id"] = json!(1 + b % 3);
            }
            1 => network["provider:segmentation_id"] = json!(1 + b % 6),
            _ => {}
        }
        self.create("networks", network)
    }

    fn create_subnet(&mut self) -> Outcome {
        let [a, b, c, d] = self.numbers;
        let network = self.pick("networks", a);
        let mut subnet = match b % 3 {
            0 => json!({"ip_version": 6, "cidr": format!("fd00:{}::/64", c % 3)}),
            1 => {
                json!({"ip_version": 6, "cidr": format!("fd00:{}::/64", c % 3), "ipv6_address_mode": "slaac"})
            }
            _ => json!({"ip_version": 4, "cidr": format!("10.{}.0.0/28", c % 3)}),
        };
        subnet["network_id"] = network;
        if d % 3 == 0 {
            subnet["gateway_ip"] = Value::Null;
        }
        self.create("subnets", subnet)
    }

    /// None, one of the hosts, or one that is not known.
    fn host(number: u8) -> Value {
        match number % 12 {
            0 => Value::Null,
            1 => json!("host6"),
            n => json!(format!("host{}", 1 + n % 5)),
        }
    }

    fn mac(number: u8) -> String {
        format!("02:00:00:00:00:{:02x}", number % 16)
    }

    fn profile(number: u8) -> Value {
        match number % 6 {
            0 => json!({}),
            1 => json!({"vnic": "tap", "other": 5}),
            n => json!({"namespace": format!("ns{}", n % 2), "interface": format!("eth{}", number / 6 % 4)}),
        }
    }

    fn vnic(number: u8) -> Value {
        match number % 6 {
            0 => json!({"type": "adopted"}),
            1 => json!({"type": "tap"}),
            n => json!({"type": "namespace", "namespace": format!("ns{}", n % 2),
                "interface": format!("eth{}", number / 6 % 4)}),
        }
    }

    fn create_port(&mut self) -> Outcome {
        let [a, b, c, d] = self.numbers;
        let mut port = json!({"network_id": self.pick("networks", a), "name": format!("port{}", d % 4),
            "binding:host_id": Self::host(b), "binding:profile": Self::profile(c), "admin_state_up": d % 7 != 0});
        if d % 3 == 0 {
            port["mac_address"] = json!(Self::mac(d));
        }
        if d % 5 == 0 {
            port["fixed_ips"] = json!([{"ip_address": format!("10.{}.0.{}", c % 3, d % 16)}]);
            port["anycast"] = json!(c % 2 == 0);
        }
        self.create("ports", port)
    }

    fn update_port(&mut self) -> Outcome {
        let [a, b, c, d] = self.numbers;
        let request = match b % 7 {
            0 | 1 => json!({"binding:host_id": Self::host(c)}),
            2 => json!({"binding:profile": Self::profile(c)}),
            3 => json!({"mac_address": Self::mac(c)}),
            4 => json!({"admin_state_up": c % 2 == 0}),
            5 if d % 2 == 0 => json!({"fixed_ips": []}),
            5 => {
                json!({"fixed_ips": [{"subnet_id": self.pick("subnets", c)}, {"subnet_id": self.pick("subnets", d)}]})
            }
            _ => json!({"name": format!("port{}", c % 4), "device_id": format!("device{}", d % 3)}),
        };
        self.update("ports", a, request)
    }

    fn create_instance_port(&mut self) -> Outcome {
        let [a, b, c, d] = self.numbers;
        let mut port =
            json!({"name": format!("vm{}", a % 4), "host_id": Self::host(b), "vnic": Self::vnic(c)});
        if d % 3 == 0 {
            port["mac_address"] = json!(Self::mac(d));
        }
        if d % 4 == 0 {
            port["mtu"] = json!(1280 + u32::from(a));
        }
        self.create("instance-ports", port)
    }

    fn create_interface(&mut self) -> Outcome {
        let [a, b, c, _] = self.numbers;
        let request = match b % 3 {
            0 => json!({"instance_port_id": self.pick("instance-ports", a)}),
            1 => {
                json!({"instance_port_id": self.pick("instance-ports", a), "type": "vlan", "segmentation_id": 1 + c % 3})
            }
            _ => {
                json!({"parent_interface_id": self.pick("interfaces", a), "type": "vlan", "segmentation_id": 1 + c % 3})
            }
        };
        self.create("interfaces", request)
    }

    fn create_service_port(&mut self) -> Outcome {
        let [a, b, c, _] = self.numbers;
        let request = json!({"interface_id": self.pick("interfaces", a), "service_id": self.pick("services", b),
            "name": format!("binding{}", c % 3)});
        self.create("service-ports", request)
    }

    fn update_service_port(&mut self) -> Outcome {
        let [a, b, c, _] = self.numbers;
        let request = match c % 4 {
            0 => json!({"fixed_ips": [{"subnet_id": self.pick("subnets", b)}]}),
            _ => json!({"service_id": self.pick("services", b)}),
        };
        self.update("service-ports", a, request)
    }

    fn update_instance_port(&mut self) -> Outcome {
        let [a, b, c, d] = self.numbers;
        let request = match b % 6 {
            0 | 1 => json!({"host_id": Self::host(c)}),
            2 => json!({"vnic": Self::vnic(c)}),
            3 => json!({"mac_address": Self::mac(c)}),
            4 => json!({"admin_state_up": c % 2 == 0}),
            _ => json!({"mtu": if d % 2 == 0 { Value::Null } else { json!(1300 + u32::from(c)) }}),
        };
        self.update("instance-ports", a, request)
    }

    fn update_network(&mut self) -> Outcome {
        let [a, b, c, _] = self.numbers;
        let request = match b % 3 {
            0 => json!({"admin_state_up": c % 2 == 0}),
            1 => json!({"mtu": 1300 + u32::from(c)}),
            _ => json!({"name": format!("net{}", c % 3)}),
        };
        let path = if c % 2 == 0 || b % 3 == 1 { "networks" } else { "services" };
        self.update(path, a, request)
    }

    fn update_subnet(&mut self) -> Outcome {
        let [a, b, c, _] = self.numbers;
        let subnets = self.all("subnets");
        if subnets.is_empty() {
            return Ok(());
        }
        let cidr = subnets[usize::from(a) % subnets.len()]["cidr"].as_str().unwrap().to_owned();
        let prefix = cidr.split('/').next().unwrap();
        let prefix = prefix.strip_suffix('0').unwrap_or(prefix);
        let request = match b % 4 {
            0 => json!({"gateway_ip": null}),
            1 => json!({"gateway_ip": format!("{prefix}{}", 1 + c % 9)}),
            2 => {
                json!({"allocation_pools": [{"start": format!("{prefix}{}", 2 + c % 4), "end": format!("{prefix}{}", 7 + c % 3)}]})
            }
            _ if cidr.contains(':') => {
                json!({"host_routes": [{"destination": "fd99::/64", "nexthop": format!("{prefix}{}", 1 + c % 9)}]})
            }
            _ => {
                json!({"host_routes": [{"destination": "198.51.100.0/24", "nexthop": format!("{prefix}{}", 1 + c % 9)}]})
            }
        };
        self.update("subnets", a, request)
    }

    fn delete(&mut self) -> Outcome {
        let [a, b, ..] = self.numbers;
        let paths = [
            "networks",
            "subnets",
            "ports",
            "ports",
            "instance-ports",
            "interfaces",
            "service-ports",
            "hosts",
            "routers",
            "bgpvpns",
            "bgpvpn_network_associations",
            "bgpvpn_router_associations",
            "bgpvpn_port_associations",
            "bgp_peers",
            "bgp_speakers",
        ];
        let path = paths[usize::from(a) % paths.len()];
        let id = self.pick(path, b);
        by_any_name(path).unwrap().delete(self.change, id.as_str().unwrap(), None)
    }

    fn act(&mut self, path: &str, number: u8, action: &str, request: Value) -> Outcome {
        let (entry, id) = (by_any_name(path).unwrap(), self.pick(path, number));
        let action = entry.action(action).unwrap();
        entry.act(self.change, (id.as_str().unwrap(), action), request.as_object().unwrap(), None).map(drop)
    }

    fn create_router(&mut self) -> Outcome {
        let [a, b, ..] = self.numbers;
        let mut router = json!({"name": format!("router{}", a % 3)});
        if b % 3 == 0 {
            router["evpn_vni"] = json!(b % 8);
        }
        self.create("routers", router)
    }

    fn router_interface(&mut self) -> Outcome {
        let [a, b, c, _] = self.numbers;
        let action = if c % 4 == 0 { "remove_router_interface" } else { "add_router_interface" };
        let request = match c % 3 {
            0 => json!({"port_id": self.pick("ports", b)}),
            _ => json!({"subnet_id": self.pick("subnets", b)}),
        };
        self.act("routers", a, action, request)
    }

    fn update_router(&mut self) -> Outcome {
        let [a, b, c, d] = self.numbers;
        let route = |n: u8, host: u8| json!({"destination": format!("198.51.{}.0/24", n % 3), "nexthop": format!("10.{}.0.{}", n % 3, 2 + host % 9)});
        let routes = json!({"routes": [route(c, d)]});
        match b % 4 {
            0 => self.update("routers", a, json!({"admin_state_up": c % 2 == 0})),
            1 => self.update("routers", a, json!({"routes": [route(c, d), route(d, c)]})),
            2 => self.act("routers", a, "add_extraroutes", routes),
            _ => self.act("routers", a, "remove_extraroutes", routes),
        }
    }

    fn create_bgpvpn(&mut self) -> Outcome {
        let [a, b, c, d] = self.numbers;
        let mut bgpvpn =
            json!({"name": format!("vpn{}", a % 3), "route_targets": [format!("64512:{}", b % 4)]});
        match c % 6 {
            0 => bgpvpn["type"] = json!("l2"),
            3 => {
                bgpvpn["type"] = json!("l2");
                bgpvpn["vni"] = json!(1 + d % 6);
            }
            1 => bgpvpn["vrf_policy"] = json!("hub-and-spoke"),
            2 => bgpvpn = json!({"vrf_policy": "any-to-any"}),
            4 => bgpvpn = json!({"export_targets": [format!("64512:{}", b % 4)], "multipath": "failover"}),
            _ => bgpvpn["local_pref"] = json!(d),
        }
        if d % 4 == 0 {
            bgpvpn["multipath"] = json!("failover");
        }
        self.create("bgpvpns", bgpvpn)
    }

    fn associate(&mut self) -> Outcome {
        let [a, b, c, d] = self.numbers;
        let (path, mut request) = match c % 3 {
            0 => ("bgpvpn_network_associations", json!({"network_id": self.pick("networks", b)})),
            1 => ("bgpvpn_router_associations", json!({"router_id": self.pick("routers", b)})),
            _ => ("bgpvpn_port_associations", json!({"port_id": self.pick("ports", b)})),
        };
        if c % 3 == 2 && d % 2 == 0 {
            request["routes"] = self.port_routes(d / 2);
            request["advertise_fixed_ips"] = json!(d % 8 != 0);
        }
        if d % 5 == 0 {
            request["role"] = json!("hub");
        }
        request["bgpvpn_id"] = self.pick("bgpvpns", a);
        self.create(path, request)
    }

    /// Routes of a port: a prefix, what another VPN has routes to, or both.
    fn port_routes(&self, number: u8) -> Value {
        let mut prefix = json!({"type": "prefix", "prefix": format!("203.0.113.{}/32", number % 4)});
        if number.is_multiple_of(3) {
            prefix["multipath"] = json!(if number.is_multiple_of(2) { "failover" } else { "ecmp" });
        }
        let leak = json!({"type": "bgpvpn", "bgpvpn_id": self.pick("bgpvpns", number)});
        let preferred =
            json!({"type": "bgpvpn", "bgpvpn_id": self.pick("bgpvpns", number / 2), "local_pref": number});
        match number % 4 {
            0 => json!([prefix, preferred]),
            1 => json!([leak, preferred]),
            2 => json!([leak]),
            _ => json!([prefix]),
        }
    }

    fn update_bgpvpn(&mut self) -> Outcome {
        let [a, b, c, d] = self.numbers;
        match b % 5 {
            3 => {
                self.update("bgpvpns", a, json!({"multipath": if c % 2 == 0 { "ecmp" } else { "failover" }}))
            }
            4 => self.update("bgpvpn_port_associations", a, json!({"routes": self.port_routes(d)})),
            0 => self.update("bgpvpns", a, json!({"import_targets": [format!("64512:{}", c % 4)]})),
            1 => self.update("bgpvpns", a, json!({"route_targets": []})),
            _ => {
                let mut route = json!({"destination": "192.0.2.0/24", "nexthop": format!("10.0.0.{c}")});
                if d % 3 == 0 {
                    route["multipath"] = json!(if d % 2 == 0 { "failover" } else { "ecmp" });
                }
                self.act("bgpvpns", a, "add_static_routes", json!({"static_routes": [route]}))
            }
        }
    }

    fn bgp(&mut self) -> Outcome {
        let [a, b, c, d] = self.numbers;
        match c % 6 {
            0 => self.create("bgp_peers", json!({"peer_ip": format!("192.0.2.{}", b % 4), "remote_as": 64512, "auth_type": "md5", "password": "secret"})),
            1 => self.create("bgp_speakers", json!({"local_as": 64512})),
            2 => self.act("bgp_speakers", a, "add_gateway_network", json!({"network_id": self.pick("networks", d)})),
            3 => self.act("bgp_speakers", a, "remove_bgp_peer", json!({"bgp_peer_id": self.pick("bgp_peers", d)})),
            _ => self.act("bgp_speakers", a, "add_bgp_peer", json!({"bgp_peer_id": self.pick("bgp_peers", d)})),
        }
    }

    fn describe_host(&mut self) -> Outcome {
        let host = 1 + self.numbers[2] % 5;
        let name: HostName = format!("host{host}").parse().unwrap();
        let fact = fact(host, self.numbers);
        for write in describe_host(self.change.model(), &name, &fact, self.change.now())? {
            self.change.write(write);
        }
        Ok(())
    }

    fn confirm_departures(&mut self) -> Outcome {
        let all: Vec<Departure> = self.change.model().departures().cloned().collect();
        let some = &all[..all.len().min(usize::from(self.numbers[0] % 4))];
        for write in confirm_departures(self.change.model(), some) {
            self.change.write(write);
        }
        Ok(())
    }

    fn set_tags(&mut self) -> Outcome {
        let [a, b, ..] = self.numbers;
        let path = ["networks", "ports", "subnets"][usize::from(a) % 3];
        let id = self.pick(path, b);
        let tags = (0..b % 3).map(|n| format!("tag{n}")).collect();
        by_any_name(path).unwrap().set_tags(self.change, id.as_str().unwrap(), tags)
    }
}
