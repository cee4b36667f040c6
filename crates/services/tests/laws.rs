//! Laws of compilation: an incremental step leads to what compiling everything says, and the order of rows is nothing.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::BTreeMap;

use common::random::{Numbers, fact_of};
use common::{Site, id};
use proptest::prelude::*;
use serde_json::json;
use weft_dataplane::{Fragment, FragmentId, HostIntent, Object};
use weft_net::HostName;
use weft_services::catalogue::by_any_name;
use weft_services::compile::{self, HostDelta, Subject};
use weft_services::{Change, Fact, Model, Row, RowKey, Write};

type Intents = BTreeMap<HostName, BTreeMap<FragmentId, Vec<Object>>>;

/// Hosts `host1` to `host6`, whether they are known or not.
fn names() -> impl Iterator<Item = HostName> {
    (1..=6).map(|n| format!("host{n}").parse().unwrap())
}

fn whole(model: &Model) -> Intents {
    let fragments = |host: &HostName| -> BTreeMap<FragmentId, Vec<Object>> {
        compile::intent_of(model, host).into_iter().map(|fragment| (fragment.id, fragment.objects)).collect()
    };
    names()
        .map(|host| (host.clone(), fragments(&host)))
        .filter(|(_, fragments)| !fragments.is_empty())
        .collect()
}

/// What a change of these writes is to hosts.
fn deltas(before: &Model, after: &Model, writes: &[Write]) -> BTreeMap<HostName, HostDelta> {
    let touched = compile::touched(before, after, writes);
    let deltas = compile::deltas(before, after, touched.clone()).hosts;
    for host in names() {
        let alone = compile::delta_for(before, after, touched.clone(), &host);
        assert_eq!(alone, deltas.get(&host).cloned().unwrap_or_default(), "{host}");
    }
    deltas
}

/// Learns something, after some of the changes: up to four facts at once, of which several may be about one router.
fn learn(site: &mut Site, intents: &mut Intents, requests: &[Numbers]) {
    let Some((kind @ 0..=90, [a, b, c, d])) = requests.first() else { return };
    let facts = (0..=*c % 4).filter_map(|n| fact_of(&site.model, (*kind, [*a, *b, *c, d.wrapping_add(n)])));
    let facts: Vec<Fact> = facts.collect();
    let before = site.model.clone();
    site.model.learn(&facts);
    let touched = compile::touched_by(&before, &site.model, &facts);
    carry_out(intents, &site.model, compile::deltas(&before, &site.model, touched).hosts);
}

/// Carries a delta out as agents do; it must hold nothing that changes nothing.
fn carry_out(intents: &mut Intents, after: &Model, deltas: BTreeMap<HostName, HostDelta>) {
    for (host, delta) in deltas {
        let intent = intents.entry(host.clone()).or_default();
        for id in delta.removals {
            assert!(intent.remove(&id).is_some(), "{id} was not on {host}");
        }
        for key in delta.upserts {
            let objects = compile::compile(after, &key).unwrap().objects_on(&host).to_vec();
            assert!(!objects.is_empty(), "{} puts nothing on {host}", key.id());
            assert_ne!(intent.insert(key.id(), objects.clone()), Some(objects), "{} on {host}", key.id());
        }
        if intent.is_empty() {
            intents.remove(&host);
        }
    }
}

/// No two fragments disagree, and everything that an object needs is asked for as well.
fn check_union(host: &HostName, fragments: &BTreeMap<FragmentId, Vec<Object>>) {
    let mut intent = HostIntent::default();
    for (id, objects) in fragments {
        let mut keys: Vec<_> = objects.iter().map(Object::key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), objects.len(), "{id} on {host} asks for something twice");
        intent.upsert(Fragment { id: id.clone(), objects: objects.clone() });
    }
    assert_eq!(intent.conflicts().next(), None, "on {host}");
    for (key, object) in intent.want() {
        for needed in intent.want().required_by(object) {
            assert!(
                intent.want().contains(&needed),
                "on {host}: {key} needs {needed}, which nothing asks for"
            );
        }
    }
}

fn requests(count: usize) -> impl Strategy<Value = Vec<Vec<Numbers>>> {
    // Mostly one request to a change.
    let change = prop_oneof![4 => 1..2usize, 1 => 2..4usize];
    let change = change.prop_flat_map(|count| prop::collection::vec(any::<Numbers>(), count));
    prop::collection::vec(change, count / 3..count)
}

/// A request about ports, VPNs or associations, mostly.
fn among_vpns() -> impl Strategy<Value = Numbers> {
    let kinds = prop::sample::select(vec![3, 7, 18, 22, 24, 29, 32, 34, 34, 35, 36, 36]);
    (kinds, any::<[u8; 4]>())
}

/// Makes changes, and carries each out as agents do: that leads to what compiling everything says.
fn keeps_step(mut site: Site, changes: &[Vec<Numbers>]) -> Result<(), TestCaseError> {
    let mut intents = whole(&site.model);
    for requests in changes {
        let before = site.model.clone();
        if !site.random(requests) {
            continue;
        }
        carry_out(&mut intents, &site.model, deltas(&before, &site.model, &site.writes));
        prop_assert_eq!(&intents, &whole(&site.model));
        learn(&mut site, &mut intents, requests);
        prop_assert_eq!(&intents, &whole(&site.model));
        intents.iter().for_each(|(host, fragments)| check_union(host, fragments));
        common::check(&site.model);
    }
    Ok(())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, max_shrink_iters: 300, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(weft_soak::cases(8)))]

    #[test]
    fn an_incremental_step_leads_to_what_compiling_everything_says(changes in requests(70)) {
        keeps_step(Site::with_random_hosts(), &changes)?;
    }

    #[test]
    fn an_incremental_step_among_vpns_does_so_as_well(changes in prop::collection::vec(among_vpns(), 10..22)) {
        let changes: Vec<Vec<Numbers>> = changes.into_iter().map(|request| vec![request]).collect();
        keeps_step(Site::with_vpns(), &changes)?;
    }

    #[test]
    fn what_is_learned_of_networks_leads_there_as_well(
        steps in prop::collection::vec((any::<bool>(), any::<Numbers>()), 30..90),
    ) {
        let mut site = Site::with_random_hosts();
        site.in_an_l2_vpn("10.0.0.0/28");
        let mut intents = whole(&site.model);
        for (is_fact, numbers) in steps {
            let before = site.model.clone();
            if !is_fact {
                if !site.random(&[numbers]) {
                    continue;
                }
                carry_out(&mut intents, &site.model, deltas(&before, &site.model, &site.writes));
            } else if let Some(fact) = fact_of(&site.model, numbers) {
                site.model.learn([&fact]);
                let touched = compile::touched_by(&before, &site.model, [&fact]);
                carry_out(&mut intents, &site.model, compile::deltas(&before, &site.model, touched).hosts);
            }
            prop_assert_eq!(&intents, &whole(&site.model));
            intents.iter().for_each(|(host, fragments)| check_union(host, fragments));
        }
    }

    #[test]
    fn a_step_over_many_commits_leads_there_as_well(changes in requests(60), step in 2..9usize) {
        let mut site = Site::with_random_hosts();
        let (mut intents, mut before, mut writes) = (whole(&site.model), site.model.clone(), Vec::new());
        for (n, requests) in changes.iter().enumerate() {
            if site.random(requests) {
                writes.append(&mut site.writes);
            }
            if n % step == 0 {
                carry_out(&mut intents, &site.model, deltas(&before, &site.model, &writes));
                (before, writes) = (site.model.clone(), Vec::new());
                prop_assert_eq!(&intents, &whole(&site.model));
            }
        }
    }

    #[test]
    fn rows_in_any_order_are_the_same_model(changes in requests(70), seed in any::<u64>()) {
        let mut site = Site::with_random_hosts();
        for requests in &changes {
            site.random(requests);
        }
        let mut rows: Vec<Row> = site.model.rows().collect();
        shuffle(&mut rows, seed);
        let mut other = Model::default();
        for row in rows {
            other.apply(&Write::Put(row));
        }
        other.recount_check().unwrap();
        prop_assert_eq!(other.same_as(&site.model), Ok(()));
        prop_assert_eq!(whole(&other), whole(&site.model));
    }

    #[test]
    fn what_is_stored_is_read_back_as_the_same_model(changes in requests(70)) {
        let mut site = Site::with_random_hosts();
        for requests in &changes {
            site.random(requests);
        }
        let stored: BTreeMap<String, Vec<u8>> =
            site.model.rows().map(|row| (row.key().to_text(), row.to_bytes())).collect();
        let mut read = Model::default();
        for (key, bytes) in stored {
            let row = Row::from_bytes(RowKey::from_text(&key).unwrap().kind(), &bytes).unwrap();
            prop_assert_eq!(row.key().to_text(), key);
            read.apply(&Write::Put(row));
        }
        prop_assert_eq!(read.same_as(&site.model), Ok(()));
        prop_assert_eq!(whole(&read), whole(&site.model));
    }
}

fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for n in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(n, usize::try_from(seed >> 33).unwrap() % (n + 1));
    }
}

#[test]
fn a_gateway_answers_for_what_is_anycast_whichever_of_the_two_comes_first() {
    let mut site = Site::with_hosts(2, &[]);
    let network = id(&site.create("networks", json!({})).unwrap());
    let subnet = json!({"network_id": network, "ip_version": 4, "cidr": "10.1.1.0/24"});
    site.create("subnets", subnet).unwrap();
    let vpn = id(&site.create("bgpvpns", json!({"route_targets": ["64512:4"]})).unwrap());
    let association = json!({"bgpvpn_id": vpn, "network_id": network});
    site.create("bgpvpn_network_associations", association).unwrap();
    let port = |host: &str, address: &str, name: &str, anycast: bool| {
        json!({"network_id": network, "binding:host_id": host, "binding:profile": {"namespace": name},
            "anycast": anycast, "fixed_ips": [{"ip_address": address}]})
    };
    let mut intents = whole(&site.model);
    let mut plain = String::new();
    for (host, address, name, anycast) in [
        ("host1", "10.1.1.5", "v1", true),
        ("host2", "10.1.1.5", "v2", true),
        ("host1", "10.1.1.6", "v3", false),
        ("host1", "10.1.1.7", "v4", false),
    ] {
        let before = site.model.clone();
        plain = id(&site.create("ports", port(host, address, name, anycast)).unwrap());
        carry_out(&mut intents, &site.model, deltas(&before, &site.model, &site.writes));
        assert_eq!(intents, whole(&site.model), "after {name}");
    }
    let proxies = |intents: &Intents| {
        let of_all = intents.values().flat_map(BTreeMap::values).flatten();
        of_all.filter(|object| matches!(object, Object::ProxyNeighbour(..))).count()
    };
    assert_eq!(proxies(&intents), 1);
    for (gone, left) in [(plain, 1), (id_of(&site, "10.1.1.6"), 0)] {
        let before = site.model.clone();
        site.delete("ports", &gone).unwrap();
        carry_out(&mut intents, &site.model, deltas(&before, &site.model, &site.writes));
        assert_eq!((&intents, proxies(&intents)), (&whole(&site.model), left));
    }
    // Two at a time: neither of them brings the gateway, or takes it away, by itself.
    let ports = by_any_name("ports").unwrap();
    let mut made = Vec::new();
    let mut all_at_once = |site: &mut Site, done: &mut dyn FnMut(&mut Change), left| {
        let before = site.model.clone();
        let mut change = site.change();
        done(&mut change);
        site.commit(change);
        carry_out(&mut intents, &site.model, deltas(&before, &site.model, &site.writes));
        assert_eq!((&intents, proxies(&intents)), (&whole(&site.model), left));
    };
    let create = &mut |change: &mut Change| {
        for (address, name) in [("10.1.1.8", "v5"), ("10.1.1.9", "v6")] {
            let port = port("host1", address, name, false);
            made.push(ports.create(change, port.as_object().unwrap()).unwrap());
        }
    };
    all_at_once(&mut site, create, 1);
    let delete = &mut |change: &mut Change| {
        made.iter().for_each(|gone| ports.delete(change, gone, None).unwrap());
    };
    all_at_once(&mut site, delete, 0);
}

#[test]
fn one_anycast_port_more_touches_what_leads_to_it_and_nothing_of_the_others() {
    let mut site = Site::with_hosts(1, &[]);
    let network = id(&site.create("networks", json!({})).unwrap());
    let subnet = json!({"network_id": network, "ip_version": 4, "cidr": "10.1.1.0/24"});
    site.create("subnets", subnet).unwrap();
    let vpn = id(&site.create("bgpvpns", json!({"route_targets": ["64512:4"]})).unwrap());
    let association = json!({"bgpvpn_id": vpn, "network_id": network});
    site.create("bgpvpn_network_associations", association).unwrap();
    let mut port = |last: u8, anycast: bool| {
        let port = json!({"network_id": network, "binding:host_id": "host1", "anycast": anycast,
            "binding:profile": {"namespace": format!("v{last}")}, "fixed_ips": [{"ip_address": format!("10.1.1.{last}")}]});
        let before = site.model.clone();
        site.create("ports", port).unwrap();
        let touched = compile::touched(&before, &site.model, &site.writes).into_iter();
        let prefixes = touched.filter_map(|key| match key.subject {
            Subject::Prefix(prefix) => Some(prefix.to_string()),
            _ => None,
        });
        prefixes.collect::<Vec<String>>()
    };
    assert_eq!(port(5, true), ["10.1.1.5/32"]);
    assert_eq!(port(6, true), ["10.1.1.6/32"]);
    assert_eq!(
        port(7, false),
        ["10.1.1.0/24", "10.1.1.5/32", "10.1.1.6/32", "10.1.1.7/32"],
        "with the gateway"
    );
    assert_eq!(port(8, false), ["10.1.1.8/32"], "it is there already");
    assert_eq!(port(9, true), ["10.1.1.9/32"]);
}

/// The port with this address.
fn id_of(site: &Site, address: &str) -> String {
    let ports = common::all(site, "ports");
    id(ports.iter().find(|port| port["fixed_ips"][0]["ip_address"] == address).unwrap())
}
