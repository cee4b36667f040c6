//! Rollback: it is carried out whole or refused, and breaks no rule either way.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeSet;

use common::random::Numbers;
use common::{Site, id};
use proptest::prelude::*;
use serde_json::json;
use weft_services::{
    Model, Reason, Refusal, Row, RowKey, RowKind, Write, check_restored, departures_after_restore,
};

/// The writes that lead the rows of a scope back to what they were.
fn back(now: &Model, then: &Model, in_scope: impl Fn(&Row) -> bool) -> Vec<Write> {
    let keys: BTreeSet<RowKey> =
        now.rows().chain(then.rows()).filter(|row| row.standard().is_some()).map(|row| row.key()).collect();
    let mut writes = Vec::new();
    for key in keys {
        let (now, then) = (now.row(&key), then.row(&key));
        if now == then || !now.iter().chain(&then).all(&in_scope) {
            continue;
        }
        writes.push(then.map_or(Write::Delete(key), Write::Put));
    }
    writes
}

fn restore(site: &mut Site, writes: Vec<Write>) -> Result<(), Refusal> {
    let mut change = site.change();
    check_restored(&mut change, writes)?;
    site.commit(change);
    Ok(())
}

/// All rows but what counts how often and when they were written, and whether their host can carry them out.
fn without_history(model: &Model) -> Vec<(String, serde_json::Value)> {
    let resources = model.rows().filter(|row| row.standard().is_some());
    resources
        .map(|row| {
            let mut value: serde_json::Value = serde_json::from_slice(&row.to_bytes()).unwrap();
            let object = value.as_object_mut().unwrap();
            object.remove("binding_failure");
            // Others have heard of each move: the count never goes back.
            object.remove("moves");
            if row.key().kind() == RowKind::Vrf {
                // Workloads know the gateways by these, whichever VRF those are in again.
                object.remove("gateways");
            }
            if row.key().kind() == RowKind::MacVrf {
                // What hosts may still have of another is not taken back.
                object.remove("vni");
            }
            let standard = value["standard"].as_object_mut().unwrap();
            standard.remove("revision_number");
            standard.remove("updated_at");
            (row.key().to_text(), value)
        })
        .collect()
}

fn numbers() -> impl Strategy<Value = Vec<Numbers>> {
    prop::collection::vec(any::<Numbers>(), 10..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(64), ..ProptestConfig::default() })]

    #[test]
    fn a_rollback_of_everything_leads_back_or_is_refused(first in numbers(), then in numbers()) {
        let mut site = Site::after(&first);
        let past = site.model.clone();
        then.iter().for_each(|numbers| { site.random(&[*numbers]); });
        let writes = back(&site.model, &past, |_| true);
        match restore(&mut site, writes) {
            Ok(()) => prop_assert_eq!(without_history(&site.model), without_history(&past)),
            Err(refusal) => prop_assert_eq!(refusal.reason, Reason::Conflict),
        }
        common::check(&site.model);
    }

    #[test]
    fn a_rollback_of_a_project_breaks_no_rule(first in numbers(), then in numbers()) {
        let mut site = Site::after(&first);
        let past = site.model.clone();
        then.iter().for_each(|numbers| { site.random(&[*numbers]); });
        let writes = back(&site.model, &past, |row| row.project_id() == Some("other"));
        restore(&mut site, writes).ok();
        common::check(&site.model);
    }

    #[test]
    fn a_rollback_of_any_rows_breaks_no_rule(first in numbers(), then in numbers(), scope in any::<[u8; RowKind::ALL.len()]>()) {
        let mut site = Site::after(&first);
        let past = site.model.clone();
        then.iter().for_each(|numbers| { site.random(&[*numbers]); });
        // Whole kinds, so that what belongs together is torn apart often.
        let chosen = |row: &Row| {
            let kind = RowKind::ALL.iter().position(|kind| *kind == row.key().kind()).unwrap();
            let id = row.key().to_text().bytes().next_back().unwrap();
            scope[kind] % 3 != 0 || id % 3 == scope[kind] % 4
        };
        let writes = back(&site.model, &past, chosen);
        restore(&mut site, writes).ok();
        common::check(&site.model);
    }
}

#[test]
fn what_was_deleted_comes_back_as_it_was_and_counts_as_written_again() {
    let mut site = Site::with_hosts(1, &[]);
    let network = id(&site.create("networks", json!({"name": "blue"})).unwrap());
    site.create("subnets", json!({"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"})).unwrap();
    let port = site.create("ports", json!({"network_id": network})).unwrap();
    let past = site.model.clone();
    site.delete("ports", &id(&port)).unwrap();
    let writes = back(&site.model, &past, |_| true);
    restore(&mut site, writes).unwrap();
    let restored = site.get("ports", &id(&port)).unwrap();
    assert_eq!(restored["fixed_ips"], port["fixed_ips"]);
    assert_eq!(restored["revision_number"], 2);
}

#[test]
fn two_ports_that_exchanged_their_addresses_exchange_them_again() {
    let mut site = Site::default();
    let network = id(&site.create("networks", json!({})).unwrap());
    site.create("subnets", json!({"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"})).unwrap();
    let ports: Vec<String> =
        (0..2).map(|_| id(&site.create("ports", json!({"network_id": network})).unwrap())).collect();
    let past = site.model.clone();
    for (port, address) in [(0, 9), (1, 2), (0, 3)] {
        let address = json!({"fixed_ips": [{"ip_address": format!("10.0.0.{address}")}]});
        site.update("ports", &ports[port], address).unwrap();
    }
    let writes = back(&site.model, &past, |_| true);
    restore(&mut site, writes).unwrap();
    assert_eq!(without_history(&site.model), without_history(&past));
    common::check(&site.model);
}

/// A rollback of what project `default` has, after this was done, is refused with this.
fn check_refused(setup: impl Fn(&mut Site), done: impl Fn(&mut Site), message: &str) {
    let mut site = Site::with_hosts(2, &[]);
    setup(&mut site);
    let past = site.model.clone();
    done(&mut site);
    let before = common::rows(&site.model);
    let writes = back(&site.model, &past, |row| row.project_id() == Some("default"));
    let refusal = restore(&mut site, writes).unwrap_err();
    assert!(refusal.message.contains(message), "{refusal}");
    assert_eq!(common::rows(&site.model), before);
}

fn vxlan(site: &mut Site, project: &str) -> String {
    id(&site
        .create("networks", json!({"name": "blue", "provider:segmentation_id": 7, "project_id": project}))
        .unwrap())
}

#[test]
fn a_vni_that_is_somebody_elses_now_is_not_taken_back() {
    let taken = |site: &mut Site| {
        site.delete("networks", &common::id_named(site, "networks", "blue")).unwrap();
        vxlan(site, "other");
    };
    check_refused(|site| drop(vxlan(site, "default")), taken, "VNI 7 is network");
}

#[test]
fn a_vlan_that_is_somebody_elses_now_is_not_taken_back() {
    let vlan = |site: &mut Site, project: &str| {
        let network = json!({"name": "blue", "provider:network_type": "vlan", "project_id": project,
            "provider:physical_network": "p", "provider:segmentation_id": 7});
        site.create("networks", network).unwrap();
    };
    let taken = |site: &mut Site| {
        site.delete("networks", &common::id_named(site, "networks", "blue")).unwrap();
        vlan(site, "other");
    };
    check_refused(|site| vlan(site, "default"), taken, "VLAN 7 of physical network p is network");
}

#[test]
fn a_vni_in_quarantine_is_not_taken_back_before_the_host_has_confirmed() {
    let setup = |site: &mut Site| {
        let network = vxlan(site, "default");
        site.create("ports", json!({"name": "web", "network_id": network, "binding:host_id": "host1"}))
            .unwrap();
    };
    let deleted = |site: &mut Site| {
        site.delete("ports", &common::id_named(site, "ports", "web")).unwrap();
        site.delete("networks", &common::id_named(site, "networks", "blue")).unwrap();
    };
    check_refused(setup, deleted, "VNI 7 is in quarantine until host 'host1'");
}

#[test]
fn a_network_that_somebody_else_uses_by_now_does_not_go() {
    let used = |site: &mut Site| {
        let network = vxlan(site, "default");
        site.create("ports", json!({"network_id": network, "project_id": "other"})).unwrap();
    };
    check_refused(|_| {}, used, "would be gone");
}

#[test]
fn a_host_that_is_gone_by_now_is_noted_as_a_failure() {
    let mut site = Site::with_hosts(2, &[]);
    let network = vxlan(&mut site, "default");
    let port = id(&site.create("ports", json!({"network_id": network, "binding:host_id": "host1"})).unwrap());
    let past = site.model.clone();
    site.update("ports", &port, json!({"binding:host_id": "host2"})).unwrap();
    site.delete("hosts", "host1").unwrap();
    let writes = back(&site.model, &past, |_| true);
    restore(&mut site, writes).unwrap();
    assert_eq!(site.get("ports", &port).unwrap()["binding:vif_type"], "binding_failed");
    common::check(&site.model);
}

#[test]
fn the_same_rollback_twice_writes_nothing_the_second_time() {
    let mut site = Site::with_hosts(2, &[]);
    let network = vxlan(&mut site, "default");
    let port = id(&site.create("ports", json!({"network_id": network, "binding:host_id": "host1"})).unwrap());
    let past = site.model.clone();
    site.update("ports", &port, json!({"name": "web", "binding:host_id": "host2"})).unwrap();
    site.update("networks", &network, json!({"name": "azure"})).unwrap();
    // The host is gone, so the port comes back with a failure; that is no reason to write it again either.
    site.delete("hosts", "host1").unwrap();
    let writes = back(&site.model, &past, |_| true);
    restore(&mut site, writes).unwrap();
    let again = back(&site.model, &past, |_| true);
    assert!(!again.is_empty(), "the rows count as written since");
    let mut change = site.change();
    check_restored(&mut change, again).unwrap();
    assert_eq!(change.finish().unwrap().0, []);
}

#[test]
fn a_rollback_leaves_alone_what_is_as_it_was() {
    let mut site = Site::default();
    let network = vxlan(&mut site, "default");
    let past = site.model.clone();
    site.update("networks", &network, json!({"name": "azure"})).unwrap();
    site.update("networks", &network, json!({"name": "blue"})).unwrap();
    let before = site.get("networks", &network).unwrap();
    let writes = back(&site.model, &past, |_| true);
    restore(&mut site, writes).unwrap();
    assert_eq!(site.get("networks", &network).unwrap(), before);
}

#[test]
fn no_change_leaves_a_row_that_refers_to_one_that_is_not_there() {
    let mut site = Site::with_hosts(1, &[]);
    let network = vxlan(&mut site, "default");
    site.create("ports", json!({"network_id": network, "binding:host_id": "host1"})).unwrap();
    let mut change = site.change();
    change.delete(RowKey::Resource(RowKind::Network, network.parse().unwrap()));
    let refusal = change.finish().unwrap_err();
    assert!(refusal.message.contains("would be gone"), "{refusal}");
    let subnet = json!({"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"});
    let subnet = id(&site.create("subnets", subnet).unwrap());
    let row = site.model.row(&RowKey::Resource(RowKind::Subnet, subnet.parse().unwrap())).unwrap();
    let Row::Subnet(subnet) = row else { panic!("{row:?}") };
    let mut stray = (*subnet).clone();
    stray.network_id = "00000000-0000-4000-8000-000000000000".parse().unwrap();
    let mut change = site.change();
    change.put(Row::Subnet(stray.into()));
    assert!(change.finish().unwrap_err().message.contains("is not there"));
}

#[test]
fn hosts_that_came_after_a_snapshot_was_taken_are_known_after_its_restore() {
    let lost = Site::with_hosts(3, &[]).model;
    let restored = Site::with_hosts(2, &[]).model;
    let kept = departures_after_restore(&lost, &restored, 1);
    let hosts: Vec<String> = kept.iter().map(|write| write.key().to_text()).collect();
    assert_eq!(hosts, ["host/host3"]);
    assert_eq!(departures_after_restore(&restored, &restored, 1), []);
}
