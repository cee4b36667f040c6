//! The numbers of hosts: which one a host gets, and for how long a number that was another's is nobody's.

#![expect(clippy::unwrap_used, reason = "these are tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::Site;
use weft_net::{HostFact, HostName, L3Encapsulation};
use weft_services::{
    FreedHostNumber, Host, Model, Row, RowKey, Timestamp, Write, departures_after_restore, describe_host,
};

fn name(number: u16) -> HostName {
    format!("host{number}").parse().unwrap()
}

/// Has a host say what it is; answers the number that it gets.
fn come(model: &mut Model, number: u16) -> u16 {
    let [high, low] = number.to_be_bytes();
    let fact = HostFact {
        tunnel_endpoint: Some([192, 0, high, low].into()),
        underlay_mtu: 1500,
        capabilities: BTreeSet::new(),
        physical_networks: BTreeMap::new(),
        l3_encapsulation: L3Encapsulation::default(),
    };
    let writes = describe_host(model, &name(number), &fact, Timestamp(0)).unwrap();
    writes.iter().for_each(|write| model.apply(write));
    number_of(model, number)
}

fn number_of(model: &Model, number: u16) -> u16 {
    model.host(&name(number)).unwrap().number
}

fn freed(number: u16, freed_at: i64) -> Row {
    Row::FreedHostNumber(FreedHostNumber { number, freed_at: Timestamp(freed_at) })
}

#[test]
fn a_number_that_was_a_hosts_is_given_to_another_only_when_no_other_is_left_and_then_the_longest_free_first()
{
    let mut site = Site::with_hosts(3, &[]);
    assert_eq!([1, 2, 3].map(|number| number_of(&site.model, number)), [1, 2, 3]);
    // What has been free for longest is neither the lowest nor the highest.
    for host in [2, 3] {
        site.delete("hosts", &name(host).to_string()).unwrap();
    }
    // What is stored, replayed, says the same.
    let mut model = Model::default();
    for row in site.model.rows() {
        let key = RowKey::from_text(&row.key().to_text()).unwrap();
        assert_eq!(key, row.key());
        model.apply(&Write::Put(Row::from_bytes(key.kind(), &row.to_bytes()).unwrap()));
    }
    assert_eq!(come(&mut model, 4), 4, "not 2, which others may still know as another's");
    assert_eq!(come(&mut model, 2), 5, "whoever comes back is no longer who it was");
    // All others are in use or have been.
    let template = model.host(&name(4)).unwrap().clone();
    for number in 6..=u16::MAX {
        if number == 700 {
            model.apply(&Write::Put(freed(number, -1)));
            continue;
        }
        let host = Host { name: format!("used{number}").parse().unwrap(), number, ..(*template).clone() };
        model.apply(&Write::Put(Row::Host(host.into())));
    }
    assert_eq!([6, 7, 8, 9].map(|host| come(&mut model, host)), [700, 2, 3, 0]);
    assert!(!model.rows().any(|row| matches!(row, Row::FreedHostNumber(_))), "what is in use is not free");
}

#[test]
fn after_a_restore_no_two_hosts_have_one_number_and_none_is_free_that_was_given_since() {
    let mut lost = Site::with_hosts(2, &[]).model;
    lost.apply(&Write::Put(freed(9, 5)));
    let mut restored = Model::default();
    assert_eq!([7, 2].map(|host| come(&mut restored, host)), [1, 2]);
    restored.apply(&Write::Delete(RowKey::Host(name(2))));
    let other = Host { number: 8, ..(**lost.host(&name(2)).unwrap()).clone() };
    restored.apply(&Write::Put(Row::Host(other.into())));
    let kept = departures_after_restore(&lost, &restored, 1);
    kept.iter().for_each(|write| restored.apply(write));
    let numbers = [7, 2, 1].map(|host| number_of(&restored, host));
    assert_eq!(numbers, [1, 8, 3], "1 is host7's, and 2 was host2's");
    let free: Vec<u16> = restored
        .rows()
        .filter_map(|row| if let Row::FreedHostNumber(row) = row { Some(row.number) } else { None })
        .collect();
    assert_eq!(free, [2, 9]);
    assert_eq!(departures_after_restore(&restored, &restored, 1), []);
}
