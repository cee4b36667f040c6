//! What holds of every model, whatever led to it.

use std::collections::{BTreeMap, BTreeSet};

use weft_services::bgpvpn::BgpvpnType;
use weft_services::core::{InterfaceParent, VnicKind};
use weft_services::network::Encapsulation;
use weft_services::{Model, Row, RowKey, RowKind};

/// Checks every rule between rows, and the indexes against a recount.
///
/// # Panics
/// With the rule that is broken.
pub(crate) fn check(model: &Model) {
    model.recount_check().unwrap();
    let there: BTreeSet<RowKey> = model.rows().map(|row| row.key()).collect();
    let has = |kind, id| assert!(there.contains(&RowKey::Resource(kind, id)), "no {kind:?} {id}");
    let mut claims: BTreeMap<String, RowKey> = BTreeMap::new();
    for row in model.rows() {
        let key = row.key();
        let mut claim = |what: String| {
            if let Some(other) = claims.insert(what.clone(), key.clone()) {
                panic!("{what} is both {other:?}'s and {key:?}'s");
            }
        };
        match &row {
            Row::Network(network) => claim(format!("{:?}", network.encapsulation)),
            Row::Subnet(subnet) => has(RowKind::Network, subnet.network_id),
            Row::InstancePort(port) => {
                if let (Some(host), VnicKind::Namespace { namespace, interface }) =
                    (&port.host_id, &port.vnic)
                {
                    claim(format!("{host} {namespace}/{interface}"));
                }
            }
            Row::Interface(interface) => {
                match interface.parent {
                    InterfaceParent::InstancePort(id) => has(RowKind::InstancePort, id),
                    InterfaceParent::Interface(id) => has(RowKind::Interface, id),
                }
                claim(format!("{:?} {:?}", interface.parent, interface.kind));
            }
            Row::ServicePort(port) => {
                has(RowKind::Network, port.service_id);
                has(RowKind::Interface, port.interface_id);
                claim(format!("interface {}", port.interface_id));
                claim(format!("{} {}", port.service_id, port.mac_address));
                for fixed_ip in &port.fixed_ips {
                    has(RowKind::Subnet, fixed_ip.subnet_id);
                    if !port.anycast {
                        claim(format!("{} {}", port.service_id, fixed_ip.ip_address));
                    }
                    let Some(Row::Subnet(subnet)) =
                        model.row(&RowKey::Resource(RowKind::Subnet, fixed_ip.subnet_id))
                    else {
                        panic!("no subnet")
                    };
                    assert!(subnet.cidr.contains(&fixed_ip.ip_address));
                    assert_eq!(subnet.network_id, port.service_id);
                }
            }
            Row::Router(_) => {}
            Row::RouterInterface(interface) => {
                has(RowKind::Router, interface.router_id);
                has(RowKind::ServicePort, interface.service_port_id);
                has(RowKind::InstancePort, interface.standard.id);
                interface.subnet_ids.iter().for_each(|id| {
                    has(RowKind::Subnet, *id);
                    claim(format!("{} {id}", interface.router_id));
                });
            }
            Row::Bgpvpn(_) | Row::BgpPeer(_) => {}
            Row::BgpvpnNetworkAssociation(row) => {
                has(RowKind::Bgpvpn, row.bgpvpn_id);
                has(RowKind::Network, row.network_id);
                claim(format!("{} {}", row.bgpvpn_id, row.network_id));
            }
            Row::BgpvpnRouterAssociation(row) => {
                has(RowKind::Bgpvpn, row.bgpvpn_id);
                has(RowKind::Router, row.router_id);
                claim(format!("{} {}", row.bgpvpn_id, row.router_id));
            }
            Row::BgpvpnPortAssociation(row) => {
                has(RowKind::Bgpvpn, row.bgpvpn_id);
                has(RowKind::ServicePort, row.service_port_id);
                claim(format!("{} {}", row.bgpvpn_id, row.service_port_id));
            }
            Row::BgpSpeaker(speaker) => {
                speaker.peers.iter().for_each(|id| has(RowKind::BgpPeer, *id));
            }
            Row::Host(_) => {}
            Row::Vrf(vrf) => {
                claim(format!("{:?}", Encapsulation::Vxlan { vni: vrf.vni }));
                claim(format!("VRF number {:?}", vrf.number));
            }
            Row::MacVrf(mac_vrf) => {
                has(RowKind::Network, mac_vrf.standard.id);
                claim(format!("VRF number {:?}", mac_vrf.number));
                if let Some(vni) = mac_vrf.vni {
                    claim(format!("{:?}", Encapsulation::Vxlan { vni }));
                }
            }
            Row::Departure(departure) => {
                assert!(there.contains(&RowKey::Host(departure.host.clone())), "{departure:?} of no host");
            }
        }
    }
    namespaces_belong_to_one_project(model);
    service_ports_agree_with_their_vnic(model);
    subnets_of_a_network_do_not_overlap(model);
    interfaces_agree_with_their_ports(model);
    no_network_is_in_an_l3_vpn_twice(model);
}

/// The port of a router's interface is the router's, on no host, and has an address of each of its subnets.
fn interfaces_agree_with_their_ports(model: &Model) {
    for row in model.rows() {
        let Row::RouterInterface(interface) = row else { continue };
        let port = |kind, id| model.row(&RowKey::Resource(kind, id)).unwrap();
        let Row::InstancePort(vnic) = port(RowKind::InstancePort, interface.standard.id) else { panic!() };
        let Row::ServicePort(binding) = port(RowKind::ServicePort, interface.service_port_id) else {
            panic!()
        };
        assert_eq!(vnic.device_id, interface.router_id.to_string());
        assert!(vnic.device_owner.starts_with("network:") && vnic.host_id.is_none(), "{vnic:?}");
        assert_eq!(binding.service_id, interface.network_id);
        let subnets: Vec<_> = binding.fixed_ips.iter().map(|fixed_ip| fixed_ip.subnet_id).collect();
        assert_eq!(subnets, interface.subnet_ids);
    }
}

/// A network is in L3 VPNs by itself or by a router, not by both.
fn no_network_is_in_an_l3_vpn_twice(model: &Model) {
    let is_l3 = |id| {
        let Some(Row::Bgpvpn(bgpvpn)) = model.row(&RowKey::Resource(RowKind::Bgpvpn, id)) else { panic!() };
        bgpvpn.kind == BgpvpnType::L3
    };
    let (mut networks, mut routers) = (BTreeSet::new(), BTreeSet::new());
    for row in model.rows() {
        match row {
            Row::BgpvpnNetworkAssociation(row) if is_l3(row.bgpvpn_id) => {
                networks.insert(row.network_id);
            }
            Row::BgpvpnRouterAssociation(row) => {
                assert!(is_l3(row.bgpvpn_id));
                routers.insert(row.router_id);
            }
            _ => {}
        }
    }
    for row in model.rows() {
        let Row::RouterInterface(interface) = row else { continue };
        let both = networks.contains(&interface.network_id) && routers.contains(&interface.router_id);
        assert!(!both, "network {} is in an L3 VPN twice", interface.network_id);
    }
}

fn namespaces_belong_to_one_project(model: &Model) {
    let mut owners = BTreeMap::new();
    for row in model.rows() {
        let Row::InstancePort(port) = row else { continue };
        if let (Some(host), VnicKind::Namespace { namespace, .. }) = (&port.host_id, &port.vnic) {
            let project = port.standard.project_id.clone();
            let owner = owners.entry((host.clone(), namespace.clone())).or_insert_with(|| project.clone());
            assert_eq!(*owner, project, "namespace {namespace} on {host}");
        }
    }
}

fn service_ports_agree_with_their_vnic(model: &Model) {
    for row in model.rows() {
        let Row::ServicePort(port) = row else { continue };
        let mut parent = InterfaceParent::Interface(port.interface_id);
        while let InterfaceParent::Interface(id) = parent {
            let Some(Row::Interface(interface)) = model.row(&RowKey::Resource(RowKind::Interface, id)) else {
                panic!("no interface {id}")
            };
            parent = interface.parent;
        }
        let InterfaceParent::InstancePort(id) = parent else { unreachable!() };
        let Some(Row::InstancePort(vnic)) = model.row(&RowKey::Resource(RowKind::InstancePort, id)) else {
            panic!("no instance port {id}")
        };
        assert_eq!(vnic.mac_address, port.mac_address);
        if let (Some(host), None) = (&vnic.host_id, &port.binding_failure) {
            assert!(model.host(host).is_some(), "bound on {host}, which is not there");
        }
    }
}

fn subnets_of_a_network_do_not_overlap(model: &Model) {
    let subnets: Vec<_> = model
        .rows()
        .filter_map(|row| if let Row::Subnet(subnet) = row { Some(subnet) } else { None })
        .collect();
    for (n, one) in subnets.iter().enumerate() {
        for other in subnets[n + 1..].iter().filter(|other| other.network_id == one.network_id) {
            let overlap = one.cidr.contains(&other.cidr) || other.cidr.contains(&one.cidr);
            assert!(!overlap, "{} and {}", one.cidr, other.cidr);
        }
    }
}
