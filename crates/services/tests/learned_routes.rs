//! Routes that others tell, some of which cannot be used: one router in several places, and what is ours.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeSet;

use common::{Site, id};
use serde_json::json;
use weft_dataplane::{Fragment, HostIntent, Object};
use weft_net::{HostName, Mac};
use weft_services::compile::{self, FragmentKey};
use weft_services::vrf::{Vrf, router_mac};
use weft_services::{
    Announcement, Fact, LearnedEncapsulation, LearnedRoute, RowKind, Timestamp, all_announcing,
    announcements, describe_host,
};

/// A VPN with a port on host 1 of 2.
fn site() -> Site {
    let mut site = Site::with_hosts(2, &[]);
    let network = id(&site.create("networks", json!({})).unwrap());
    let subnet = json!({"network_id": network, "ip_version": 4, "cidr": "10.1.0.0/24"});
    site.create("subnets", subnet).unwrap();
    let vpn = id(&site.create("bgpvpns", json!({"route_targets": ["64512:1"]})).unwrap());
    let association = json!({"bgpvpn_id": vpn, "network_id": network});
    site.create("bgpvpn_network_associations", association).unwrap();
    let port = json!({"network_id": network, "binding:host_id": "host1",
        "binding:profile": {"namespace": "web"}});
    site.create("ports", port).unwrap();
    site
}

fn vrf(site: &Site) -> &Vrf {
    site.model.vrfs().next().unwrap()
}

fn host(number: u8) -> HostName {
    format!("host{number}").parse().unwrap()
}

fn by(next_hop: [u8; 4], router_mac: Mac) -> LearnedRoute {
    let encapsulation = LearnedEncapsulation::Vxlan { vni: 9000.try_into().unwrap(), router_mac };
    LearnedRoute { next_hop: next_hop.into(), encapsulation, local_pref: 100 }
}

fn learn(site: &mut Site, destination: &str, routes: &[LearnedRoute]) -> BTreeSet<FragmentKey> {
    let vrf = vrf(site).standard.id;
    let fact = Fact::Routes { vrf, destination: destination.parse().unwrap(), routes: routes.to_vec() };
    let before = site.model.clone();
    site.model.learn([&fact]);
    compile::touched_by(&before, &site.model, [&fact])
}

/// The learned destinations that a host has routes to, and the endpoints that it sends to for them; nothing of which conflicts.
fn outside(site: &Site) -> (Vec<String>, Vec<String>) {
    let mut intent = HostIntent::default();
    compile::intent_of(&site.model, &host(1)).into_iter().for_each(|fragment| intent.upsert(fragment));
    assert_eq!(intent.conflicts().next(), None);
    let (mut destinations, mut endpoints) = (Vec::new(), Vec::new());
    for (_, object) in intent.want() {
        match object {
            Object::Route(route) if route.destination.to_string().starts_with("203.") => {
                destinations.push(route.destination.to_string());
            }
            Object::VxlanFdb(entry) => endpoints.push(entry.destination.to_string()),
            _ => {}
        }
    }
    (destinations, endpoints)
}

fn texts(these: &[&str]) -> Vec<String> {
    these.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn a_router_that_is_said_to_be_in_two_places_is_in_the_lowest_for_every_destination() {
    let mut site = site();
    let router: Mac = "0a:00:00:00:00:01".parse().unwrap();
    let (a, b) = (by([198, 51, 100, 1], router), by([198, 51, 100, 2], router));
    learn(&mut site, "203.0.113.1/32", std::slice::from_ref(&b));
    assert_eq!(outside(&site), (texts(&["203.0.113.1/32"]), texts(&["198.51.100.2"])));
    // The other place comes with another destination, and is preferred: what led to the first touches both.
    let touched = learn(&mut site, "203.0.113.2/32", std::slice::from_ref(&a));
    assert_eq!(touched.len(), 3, "two destinations, and the router");
    assert_eq!(outside(&site), (texts(&["203.0.113.2/32"]), texts(&["198.51.100.1"])));
    // One more there touches no other.
    assert_eq!(learn(&mut site, "203.0.113.3/32", &[b, a]).len(), 2);
    assert_eq!(outside(&site).0, texts(&["203.0.113.2/32", "203.0.113.3/32"]));
    learn(&mut site, "203.0.113.3/32", &[]);
    assert_eq!(learn(&mut site, "203.0.113.2/32", &[]).len(), 3);
    assert_eq!(outside(&site), (texts(&["203.0.113.1/32"]), texts(&["198.51.100.2"])));
}

#[test]
fn a_router_that_moves_takes_along_all_that_is_behind_it_however_many_are_told_at_once() {
    let mut site = site();
    let router: Mac = "0a:00:00:00:00:01".parse().unwrap();
    let vrf = vrf(&site).standard.id;
    let mut sent = HostIntent::default();
    compile::intent_of(&site.model, &host(1)).into_iter().for_each(|fragment| sent.upsert(fragment));
    for (last, next_hop) in [([1, 2], 1), ([3, 4], 1), ([1, 2], 9), ([3, 4], 9)] {
        let fact = |last| {
            let destination = format!("203.0.113.{last}/32").parse().unwrap();
            Fact::Routes { vrf, destination, routes: vec![by([198, 51, 100, next_hop], router)] }
        };
        let (facts, before) = (last.map(fact), site.model.clone());
        site.model.learn(&facts);
        let touched = compile::touched_by(&before, &site.model, &facts);
        let delta = compile::delta_for(&before, &site.model, touched, &host(1));
        for key in delta.upserts {
            let objects = compile::compile(&site.model, &key).unwrap().objects_on(&host(1)).to_vec();
            sent.upsert(Fragment { id: key.id(), objects });
        }
        for id in &delta.removals {
            assert!(sent.remove(id), "{id} was not there");
        }
    }
    let mut whole = HostIntent::default();
    compile::intent_of(&site.model, &host(1)).into_iter().for_each(|fragment| whole.upsert(fragment));
    assert_eq!(sent.want(), whole.want());
    assert_eq!((outside(&site).0.len(), outside(&site).1), (4, texts(&["198.51.100.9"])));
}

#[test]
fn nobody_takes_the_place_of_a_host_of_ours_and_when_that_is_gone_it_is_others() {
    let mut site = site();
    let vni = vrf(&site).vni;
    let of_host_2 = router_mac(vni, [192, 0, 2, 2].into());
    let of_none = router_mac(vni, [192, 0, 2, 3].into());
    learn(&mut site, "203.0.113.1/32", &[by([198, 51, 100, 1], of_host_2)]);
    learn(&mut site, "203.0.113.2/32", &[by([192, 0, 2, 2], "0a:00:00:00:00:01".parse().unwrap())]);
    learn(&mut site, "203.0.113.3/32", &[by([198, 51, 100, 3], of_none)]);
    assert_eq!(outside(&site), (texts(&["203.0.113.3/32"]), texts(&["198.51.100.3"])));
    let before = site.model.clone();
    site.delete("hosts", "host2").unwrap();
    assert_eq!(outside(&site).0, texts(&["203.0.113.1/32", "203.0.113.2/32", "203.0.113.3/32"]));
    let touched = compile::touched(&before, &site.model, &site.writes);
    let of_vrf = touched.iter().filter(|key| key.service.kind == RowKind::Vrf);
    assert_eq!(of_vrf.count(), 4, "two destinations, and the routers that they lead to: {touched:?}");
}

#[test]
fn another_site_with_the_same_vnis_and_as_many_hosts_is_reached() {
    let (mut here, mut there) = (site(), site());
    for number in [1, 2] {
        let mut fact = there.model.host(&host(number)).unwrap().fact.clone();
        fact.tunnel_endpoint = Some([198, 51, 100, number].into());
        let writes = describe_host(&there.model, &host(number), &fact, Timestamp(1)).unwrap();
        writes.iter().for_each(|write| there.model.apply(write));
    }
    assert_eq!(vrf(&here).vni, vrf(&there).vni);
    let keys = all_announcing(&there.model);
    let announced: Vec<Announcement> = keys.iter().flat_map(|key| announcements(&there.model, key)).collect();
    let [Announcement::Routed(announced)] = &announced[..] else { panic!("{announced:?}") };
    let encapsulation = LearnedEncapsulation::Vxlan { vni: announced.vni, router_mac: announced.router_mac };
    let route = LearnedRoute { next_hop: announced.next_hop, encapsulation, local_pref: 100 };
    learn(&mut here, "203.0.113.1/32", &[route]);
    assert_eq!(outside(&here), (texts(&["203.0.113.1/32"]), texts(&["198.51.100.1"])));
}
