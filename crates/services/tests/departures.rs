//! What may still be on hosts: quarantine, its end, and what a restore makes of it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::Site;
use serde_json::json;
use weft_net::HostName;
use weft_services::{Departure, Exclusive, Write, compile, confirm_departures, departures_after_restore};

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

/// A network with VNI 7 and a port of it on `host1`; answers both.
fn network_with_port(site: &mut Site) -> (String, String) {
    let network = site.create("networks", json!({"provider:segmentation_id": 7})).unwrap();
    let network = network["id"].as_str().unwrap().to_owned();
    let port = site.create("ports", json!({"network_id": network, "binding:host_id": "host1"})).unwrap();
    (network, port["id"].as_str().unwrap().to_owned())
}

fn departures(site: &Site) -> Vec<Departure> {
    site.model.departures().cloned().collect()
}

fn commit(site: &mut Site, writes: Vec<Write>) {
    let mut change = site.change();
    writes.into_iter().for_each(|write| change.write(write));
    site.commit(change);
}

#[test]
fn a_late_confirmation_of_an_earlier_departure_ends_no_later_one() {
    let mut site = Site::with_hosts(2, &[]);
    let (network, port) = network_with_port(&mut site);
    site.update("ports", &port, json!({"binding:host_id": "host2"})).unwrap();
    let earlier = departures(&site);
    let ours = |departure: &Departure| {
        (departure.what.clone(), departure.host.clone(), departure.of.id.to_string())
            == (Exclusive::Vni(7.try_into().unwrap()), host("host1"), network.clone())
    };
    assert!(matches!(&*earlier, [departure] if ours(departure)), "{earlier:?}");
    site.update("ports", &port, json!({"binding:host_id": "host1"})).unwrap();
    assert!(departures(&site).iter().all(|departure| departure.host != host("host1")), "it is back");
    site.update("ports", &port, json!({"binding:host_id": "host2"})).unwrap();
    let later = departures(&site);
    assert_eq!(
        confirm_departures(&site.model, &earlier),
        [],
        "the host may have said so before it came back"
    );
    let confirmed = confirm_departures(&site.model, &later);
    assert_eq!(confirmed.len(), later.len());
}

#[test]
fn a_network_that_a_restore_brings_back_waits_for_what_had_its_vni_since() {
    let mut site = Site::with_hosts(2, &[]);
    let (old, _) = network_with_port(&mut site);
    let snapshot = site.model.clone();
    for (path, id) in [("ports", common::id_named(&site, "ports", "")), ("networks", old.clone())] {
        site.delete(path, &id).unwrap();
    }
    let confirmed = confirm_departures(&site.model, &departures(&site));
    commit(&mut site, confirmed);
    let (new, _) = network_with_port(&mut site);
    let lost = std::mem::replace(&mut site.model, snapshot);
    let kept = departures_after_restore(&lost, &site.model, 1);
    commit(&mut site, kept);
    let waiting = departures(&site);
    assert!(matches!(&*waiting, [departure] if departure.of.id.to_string() == new), "{waiting:?}");
    let on_host = |site: &Site| compile::intent_of(&site.model, &host("host1")).len();
    assert_eq!(on_host(&site), 1, "the vNIC is there, the network is not");
    let before = site.model.clone();
    let confirmed = confirm_departures(&site.model, &waiting);
    commit(&mut site, confirmed);
    assert_eq!(on_host(&site), 3);
    let touched = compile::touched(&before, &site.model, &site.writes);
    let delta = compile::deltas(&before, &site.model, touched).hosts.remove(&host("host1")).unwrap();
    assert_eq!(delta.upserts.len(), 2, "the host is sent the network's fragments now");
}

#[test]
fn what_a_restore_brings_back_as_it_was_leaves_no_departure() {
    let mut site = Site::with_hosts(2, &[]);
    network_with_port(&mut site);
    assert_eq!(departures_after_restore(&site.model, &site.model, 1), []);
    let lost = site.model.clone();
    let restored = Site::default().model;
    let kept = departures_after_restore(&lost, &restored, 1);
    assert_eq!(
        kept.len(),
        3,
        "two hosts that the snapshot does not know, and what one of them has: {kept:?}"
    );
}

#[test]
fn a_vlan_that_a_host_may_still_have_is_not_given_to_another_network() {
    let mut site = Site::with_hosts(2, &[]);
    let vlan = json!({"provider:network_type": "vlan", "provider:physical_network": "p",
        "provider:segmentation_id": 100});
    let network = common::id(&site.create("networks", vlan.clone()).unwrap());
    let port = site.create("ports", json!({"network_id": network, "binding:host_id": "host2"})).unwrap();
    site.delete("ports", &common::id(&port)).unwrap();
    site.delete("networks", &network).unwrap();
    let refusal = site.create("networks", vlan.clone()).unwrap_err();
    assert!(
        refusal.message.contains("VLAN 100 of physical network p is in quarantine until host2"),
        "{refusal}"
    );
    let all = departures(&site);
    let read_back = all.iter().map(|departure| {
        let row = weft_services::Row::Departure(departure.clone());
        let key = weft_services::RowKey::from_text(&row.key().to_text()).unwrap();
        assert_eq!(key, row.key());
        weft_services::Row::from_bytes(key.kind(), &row.to_bytes()).unwrap()
    });
    assert_eq!(read_back.count(), 1);
    let confirmed = confirm_departures(&site.model, &all);
    commit(&mut site, confirmed);
    site.create("networks", vlan).unwrap();
}
