//! Lists: filters, order and pages, against the plainest way to do the same.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::cmp::Ordering;
use std::collections::BTreeSet;

use common::{Site, id};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use weft_services::catalogue::{NoStatuses, by_path};
use weft_services::{Condition, Query, Reason, Refusal, SortKey};

type Item = Map<String, Value>;

fn run(site: &Site, path: &str, query: &Query) -> Result<Vec<Item>, Refusal> {
    query.run(by_path(path).unwrap(), &site.model, &NoStatuses).map(|page| page.items)
}

/// Ports with few different values in each attribute.
fn site(seeds: &[(u8, u8)]) -> Site {
    let mut site = Site::with_hosts(2, &[]);
    let networks: Vec<String> =
        (0..2).map(|n| id(&site.create("networks", json!({"name": format!("n{n}")})).unwrap())).collect();
    let subnet = json!({"network_id": networks[0], "ip_version": 4, "cidr": "10.0.0.0/24"});
    site.create("subnets", subnet).unwrap();
    for (a, b) in seeds {
        let tags: Vec<String> = (0..3).filter(|bit| b >> bit & 1 == 1).map(|bit| format!("t{bit}")).collect();
        let port = json!({"name": (["", "a", "b"][usize::from(a % 3)]), "network_id": networks[usize::from(b % 2)],
            "admin_state_up": a % 2 == 0, "device_id": (["", "x", "y"][usize::from(b % 3)]), "tags": tags,
            "binding:host_id": (["", "host1", "host2"][usize::from(a % 3)])});
        site.create("ports", port).unwrap();
    }
    site
}

fn condition(site: &Site, (which, value): (u8, u8)) -> Condition {
    let one_of = |name: &str, values: &[&str]| {
        let mut chosen: Vec<String> = vec![values[usize::from(value) % values.len()].to_owned()];
        chosen.extend((value > 127).then(|| values[usize::from(value / 3) % values.len()].to_owned()));
        Condition::OneOf(name.to_owned(), chosen)
    };
    let networks: Vec<String> = common::all(site, "networks").iter().map(id).collect();
    match which % 8 {
        0 => one_of("name", &["", "a", "b", "c"]),
        1 => one_of("network_id", &[&networks[0], &networks[1], "none"]),
        2 => one_of("admin_state_up", &["True", "false", "0"]),
        3 => one_of("device_id", &["", "x", "z"]),
        4 => one_of("binding:host_id", &["", "host1", "host2"]),
        5 => one_of("no_such_attribute", &["x"]),
        _ => {
            let tags = (0..3).filter(|bit| value >> bit & 1 == 1).map(|bit| format!("t{bit}")).collect();
            Condition::Tags { any: value & 8 == 8, negated: value & 16 == 16, tags }
        }
    }
}

fn holds(item: &Item, condition: &Condition) -> bool {
    match condition {
        Condition::OneOf(name, values) => match item.get(name) {
            None => true,
            Some(Value::Bool(value)) => {
                values.iter().any(|wanted| ["true", "1"].contains(&&*wanted.to_lowercase()) == *value)
            }
            Some(value) => values.iter().any(|wanted| value == wanted),
        },
        Condition::Tags { any, negated, tags } => {
            let has: BTreeSet<&str> =
                item["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let count = tags.iter().filter(|tag| has.contains(&***tag)).count();
            (if *any { count > 0 } else { count == tags.len() }) != *negated
        }
    }
}

fn order(sort: &[SortKey], a: &Item, b: &Item) -> Ordering {
    let text =
        |item: &Item, name: &str| item[name].as_str().map_or_else(|| item[name].to_string(), str::to_owned);
    let each = sort.iter().map(|key| {
        let order = text(a, &key.attribute).cmp(&text(b, &key.attribute));
        if key.descending { order.reverse() } else { order }
    });
    each.fold(Ordering::Equal, Ordering::then).then_with(|| text(a, "id").cmp(&text(b, "id")))
}

fn sort_keys() -> impl Strategy<Value = Vec<SortKey>> {
    let key = (prop::sample::select(vec!["name", "device_id", "admin_state_up", "id"]), any::<bool>());
    let key = key.prop_map(|(name, descending)| SortKey { attribute: name.to_owned(), descending });
    prop::collection::vec(key, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(64), ..ProptestConfig::default() })]

    #[test]
    fn a_page_is_the_slice_of_the_whole_list(
        seeds in prop::collection::vec(any::<(u8, u8)>(), 0..14),
        conditions in prop::collection::vec(any::<(u8, u8)>(), 0..3),
        sort in sort_keys(),
        limit in 1..5usize,
    ) {
        let site = site(&seeds);
        let conditions: Vec<Condition> = conditions.into_iter().map(|seed| condition(&site, seed)).collect();
        let mut sorted = common::all(&site, "ports");
        sorted.sort_by(|a, b| order(&sort, a, b));
        let hit = |item: &&Item| conditions.iter().all(|condition| holds(item, condition));
        let expected: Vec<Item> = sorted.iter().filter(hit).cloned().collect();
        let query = Query { conditions: conditions.clone(), sort: sort.clone(), ..Query::default() };
        prop_assert_eq!(run(&site, "ports", &query).unwrap(), expected.clone());
        // From every marker, also those that the conditions leave out, in both directions.
        for (at, marker) in sorted.iter().enumerate() {
            let forward = Query { limit: Some(limit), marker: Some(id(marker)), ..query.clone() };
            let after: Vec<Item> = sorted[at + 1..].iter().filter(hit).take(limit).cloned().collect();
            prop_assert_eq!(run(&site, "ports", &forward).unwrap(), after);
            let backward = Query { page_reverse: true, ..forward };
            let mut before: Vec<Item> = sorted[..at].iter().rev().filter(hit).take(limit).cloned().collect();
            before.reverse();
            prop_assert_eq!(run(&site, "ports", &backward).unwrap(), before);
        }
        let last = Query { limit: Some(limit), page_reverse: true, ..query };
        let from = expected.len().saturating_sub(limit);
        prop_assert_eq!(run(&site, "ports", &last).unwrap(), &expected[from..]);
    }
}

#[test]
fn addresses_are_found_by_value_by_part_and_by_subnet() {
    let site = site(&[(0, 0), (1, 0), (2, 0)]);
    let subnet = id(&common::all(&site, "subnets")[0]);
    let count = |values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let conditions = vec![Condition::OneOf("fixed_ips".into(), values)];
        run(&site, "ports", &Query { conditions, ..Query::default() }).unwrap().len()
    };
    assert_eq!(count(&["ip_address=10.0.0.2"]), 1);
    assert_eq!(count(&["ip_address=10.0.0.2", "ip_address=10.0.0.3"]), 2);
    assert_eq!(count(&["ip_address_substr=0.0."]), 3);
    assert_eq!(count(&[&format!("subnet_id={subnet}")]), 3);
    assert_eq!(count(&[&format!("subnet_id={subnet}"), "ip_address=10.0.0.9"]), 0);
}

#[test]
fn a_query_that_makes_no_sense_is_refused() {
    let site = site(&[(0, 0)]);
    let marker = Some("11111111-2222-4333-8444-555555555555".to_owned());
    let refusal = run(&site, "ports", &Query { marker, ..Query::default() }).unwrap_err();
    assert_eq!((refusal.reason, refusal.kind), (Reason::NotFound, "PortNotFound"));
    let sort = vec![SortKey { attribute: "colour".into(), descending: false }];
    let refusal = run(&site, "ports", &Query { sort, ..Query::default() }).unwrap_err();
    assert!(refusal.message.contains("colour"));
    let conditions = vec![Condition::OneOf("admin_state_up".into(), vec!["maybe".into()])];
    let refusal = run(&site, "ports", &Query { conditions, ..Query::default() }).unwrap_err();
    assert!(refusal.message.contains("maybe") && refusal.message.contains("admin_state_up"));
}

#[test]
fn what_was_changed_since_a_time_is_what_a_list_shows_when_it_is_asked_for_that() {
    let mut site = Site::default();
    let early = id(&site.create("networks", json!({"name": "early"})).unwrap());
    site.create("networks", json!({"name": "late"})).unwrap();
    let names = |site: &Site, since: &str| {
        let conditions = vec![Condition::OneOf("changed_since".into(), vec![since.into()])];
        let found = run(site, "networks", &Query { conditions, ..Query::default() });
        found.map(|found| found.iter().map(|item| item["name"].clone()).collect::<Vec<Value>>())
    };
    // A site in memory counts its changes as seconds.
    assert_eq!(names(&site, "1970-01-01T00:00:00Z").unwrap().len(), 2);
    assert_eq!(names(&site, "1970-01-01T00:00:02").unwrap(), [json!("late")]);
    assert_eq!(names(&site, "2026-11-21T04:45:40Z").unwrap(), [] as [Value; 0]);
    site.update("networks", &early, json!({"description": "x"})).unwrap();
    assert_eq!(names(&site, "1970-01-01T00:00:03Z").unwrap(), [json!("early")]);
    let refusal = names(&site, "yesterday").unwrap_err();
    assert_eq!(refusal.reason, Reason::Invalid);
    assert!(refusal.message.contains("yesterday") && refusal.message.contains("changed_since"), "{refusal}");
}
