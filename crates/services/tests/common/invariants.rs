//! What holds of every model, whatever led to it.

use std::collections::{BTreeMap, BTreeSet};

use weft_services::core::{InterfaceParent, VnicKind};
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
                    claim(format!("{} {}", port.service_id, fixed_ip.ip_address));
                    let Some(Row::Subnet(subnet)) =
                        model.row(&RowKey::Resource(RowKind::Subnet, fixed_ip.subnet_id))
                    else {
                        panic!("no subnet")
                    };
                    assert!(subnet.cidr.contains(&fixed_ip.ip_address));
                    assert_eq!(subnet.network_id, port.service_id);
                }
            }
            Row::Host(_) | Row::Router(_) | Row::RouterInterface(_) => {}
            Row::Vrf(vrf) => {
                claim(format!("VNI {}", vrf.vni));
                claim(format!("VRF number {:?}", vrf.number));
            }
            Row::Departure(departure) => {
                assert!(there.contains(&RowKey::Host(departure.host.clone())), "{departure:?} of no host");
            }
        }
    }
    namespaces_belong_to_one_project(model);
    service_ports_agree_with_their_vnic(model);
    subnets_of_a_network_do_not_overlap(model);
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
