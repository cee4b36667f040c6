//! The harness itself: the daemons that our speaker is tried against, tried against each other.

use std::time::Duration;

use serde_json::json;
use weft_interop_tests::{Bird, Fabric, Family, Frr, Gobgp, Reference, Route, Setup, Weft, Witness, until};

const PATIENCE: Duration = Duration::from_secs(20);

fn routes_of(family: Family, node: u8) -> Route {
    let (distinguisher, target) = (format!("65000:{node}"), "65000:100".to_owned());
    match family {
        Family::Ipv4Unicast => Route::Unicast { prefix: format!("10.{node}.0.0/16") },
        Family::Ipv6Unicast => Route::Unicast { prefix: format!("2001:db8:{node}::/48") },
        Family::VpnIpv4 => {
            Route::Vpn { distinguisher, prefix: format!("10.10{node}.0.0/16"), label: 1000, target }
        }
        Family::VpnIpv6 => {
            Route::Vpn { distinguisher, prefix: format!("2001:db8:10{node}::/48"), label: 1000, target }
        }
        Family::Evpn | Family::RouteTarget => {
            Route::EvpnMac { distinguisher, mac: format!("02:00:00:00:00:0{node}"), vni: 5000, target }
        }
    }
}

fn agree(one: &mut dyn Reference, other: &mut dyn Reference, families: &[Family]) {
    until("established", PATIENCE, || one.is_established() && other.is_established());
    for &family in families {
        let (first, second) = (routes_of(family, 1), routes_of(family, 2));
        one.announce(&first);
        other.announce(&second);
        until("learned", PATIENCE, || other.routes(family).contains(first.text()));
        until("learned", PATIENCE, || one.routes(family).contains(second.text()));
        one.withdraw(&first);
        until("withdrawn", PATIENCE, || !other.routes(family).contains(first.text()));
    }
}

#[test]
fn frr_and_gobgp_learn_from_each_other_in_every_family_of_both() {
    let fabric = Fabric::new(2);
    let families = [Family::Ipv4Unicast, Family::VpnIpv4, Family::VpnIpv6, Family::Evpn];
    let of_frr = Setup::new(fabric.address(1), fabric.address(2), &families);
    let of_gobgp = Setup::new(fabric.address(2), fabric.address(1), &families);
    let mut frr = Frr::start(&fabric.namespace(1), fabric.directory(), &of_frr, &[]);
    let mut gobgp = Gobgp::start(&fabric.namespace(2), fabric.directory(), &of_gobgp, &[]);
    agree(&mut frr, &mut gobgp, &families);
}

#[test]
fn frr_and_bird_learn_from_each_other_in_every_family_of_both() {
    let fabric = Fabric::new(2);
    let families = [Family::Ipv4Unicast, Family::VpnIpv4];
    let of_frr = Setup::new(fabric.address(1), fabric.address(2), &families);
    let of_bird = Setup::new(fabric.address(2), fabric.address(1), &families);
    let mut frr = Frr::start(&fabric.namespace(1), fabric.directory(), &of_frr, &[]);
    let mut bird = Bird::start(&fabric.namespace(2), fabric.directory(), &of_bird, &[]);
    agree(&mut frr, &mut bird, &families);
}

#[test]
fn a_witness_has_seen_every_update_that_its_daemon_has_sent() {
    let fabric = Fabric::new(2);
    let mut setup = Setup::new(fabric.address(2), fabric.address(1), &[Family::Ipv4Unicast]);
    setup.is_witnessed = false;
    let witness = Witness::start(&fabric.namespace(2));
    let mut configuration = Weft::configuration(fabric.address(1));
    configuration["neighbors"] = json!([Weft::neighbor(&setup)]);
    let weft = Weft::start(&fabric.namespace(1), fabric.directory(), &configuration);
    let mut frr = Frr::start(&fabric.namespace(2), fabric.directory(), &setup, &[]);
    until("established", PATIENCE, || weft.is_established(setup.address));
    for number in 1..=20 {
        let route = routes_of(Family::Ipv4Unicast, number);
        frr.announce(&route);
        until("learned", PATIENCE, || !weft.found(setup.address, Family::Ipv4Unicast, &route).is_empty());
    }
    drop(frr);
    until("down", PATIENCE, || !weft.is_established(setup.address));
    let received = weft.neighbor_status(setup.address)["statistics"]["updates_received"].as_u64();
    assert!(received >= Some(20), "{received:?}");
    assert_eq!(Some(witness.end() as u64), received);
}
