//! What a session can have besides routes: signatures, near neighbours only, many paths, other next hops, neighbours that come by themselves.

use std::time::Duration;

use serde_json::{Value, json};
use weft_interop_tests::{Bird, Fabric, Family, Frr, Gobgp, Reference, Route, Setup, Weft, until};

const PATIENCE: Duration = Duration::from_secs(15);

fn unicast(number: u8) -> Route {
    Route::Unicast { prefix: format!("10.{number}.0.0/16") }
}

fn start(fabric: &Fabric, neighbors: &[Value]) -> Weft {
    let mut configuration = Weft::configuration(fabric.address(1));
    configuration["neighbors"] = json!(neighbors);
    Weft::start(&fabric.namespace(1), fabric.directory(), &configuration)
}

fn setup(fabric: &Fabric, node: u8, families: &[Family]) -> Setup {
    Setup::new(fabric.address(node), fabric.address(1), families)
}

fn await_established(weft: &Weft, other: &dyn Reference, setup: &Setup) {
    until("established", PATIENCE, || weft.is_established(setup.address) && other.is_established());
}

#[test]
fn packets_are_signed_and_with_another_key_there_is_no_session() {
    let fabric = Fabric::new(2);
    let mut setup = setup(&fabric, 2, &[Family::Ipv4Unicast]);
    setup.password = Some("a-long-secret".to_owned());
    let frr = Frr::start(&fabric.namespace(2), fabric.directory(), &setup, &[unicast(2)]);
    let weft = start(&fabric, &[Weft::neighbor(&setup)]);
    await_established(&weft, &frr, &setup);
    until("learned", PATIENCE, || !weft.found(setup.address, Family::Ipv4Unicast, &unicast(2)).is_empty());
    let mut wrong = Weft::neighbor(&setup);
    wrong["md5_key"] = json!("another");
    let _done = weft.ask(&json!({ "set_neighbor": wrong }));
    until("down", PATIENCE, || !weft.is_established(setup.address));
    std::thread::sleep(Duration::from_secs(3));
    assert!(!weft.is_established(setup.address), "a wrong key never does");
    let _done = weft.ask(&json!({ "set_neighbor": Weft::neighbor(&setup) }));
    until("established again", PATIENCE, || weft.is_established(setup.address));
}

#[test]
fn only_near_neighbours_are_heard_with_ttl_security() {
    let fabric = Fabric::new(2);
    let mut setup = setup(&fabric, 2, &[Family::Ipv4Unicast]);
    setup.has_ttl_security = true;
    // FRR has it for neighbours of another AS.
    setup.asn = 65_002;
    let frr = Frr::start(&fabric.namespace(2), fabric.directory(), &setup, &[unicast(2)]);
    let weft = start(&fabric, &[Weft::neighbor(&setup)]);
    await_established(&weft, &frr, &setup);
    // One that sends with a smaller TTL is not heard.
    drop(frr);
    until("down", PATIENCE, || !weft.is_established(setup.address));
    let far = Setup { has_ttl_security: false, ..setup.clone() };
    let _far = Frr::start(&fabric.namespace(2), fabric.directory(), &far, &[]);
    std::thread::sleep(Duration::from_secs(3));
    // FRR may think it is: its OPEN can come before the kernel is told of whom it is. Its KEEPALIVE is not heard.
    assert!(!weft.is_established(setup.address), "a packet with a TTL of 1 has come from far");
}

/// Two announce the same prefix; a third gets both paths from our speaker, or gives both to it.
fn many_paths(start_other: impl Fn(&Fabric, &Setup) -> Box<dyn Reference>, has_both: impl Fn(&str) -> bool) {
    let fabric = Fabric::new(4);
    let mut third = setup(&fabric, 2, &[Family::Ipv4Unicast]);
    third.has_add_path = true;
    let sources = [3, 4]
        .map(|node| Setup { asn: 65_000 + u32::from(node), ..setup(&fabric, node, &[Family::Ipv4Unicast]) });
    let mut neighbors = vec![Weft::neighbor(&third)];
    neighbors.extend(sources.iter().map(Weft::neighbor));
    let weft = start(&fabric, &neighbors);
    let _sources = [3u8, 4].map(|node| {
        let source = &sources[usize::from(node) - 3];
        Bird::start(&fabric.namespace(node), fabric.directory(), source, &[unicast(50)])
    });
    let mut other = start_other(&fabric, &third);
    until("both paths are told", PATIENCE, || has_both(&other.routes(Family::Ipv4Unicast)));
    // The other way, with an identifier of the other's.
    other.announce(&unicast(2));
    until("learned", PATIENCE, || !weft.found(third.address, Family::Ipv4Unicast, &unicast(2)).is_empty());
    assert!(weft.assert_encoding(third.address) > 0);
}

#[test]
fn many_paths_go_to_gobgp() {
    many_paths(
        |fabric, setup| Box::new(Gobgp::start(&fabric.namespace(2), fabric.directory(), setup, &[])),
        |text| text.contains("65003") && text.contains("65004"),
    );
}

#[test]
fn many_paths_go_to_bird() {
    many_paths(
        |fabric, setup| Box::new(Bird::start(&fabric.namespace(2), fabric.directory(), setup, &[])),
        |text| text.contains("AS65003") && text.contains("AS65004"),
    );
}

#[test]
fn ipv4_routes_have_ipv6_next_hops() {
    let fabric = Fabric::new(2);
    let mut setup = Setup::new(fabric.address6(2), fabric.address6(1), &[Family::Ipv4Unicast]);
    setup.has_extended_next_hop = true;
    setup.asn = 65_002;
    let mut configuration = Weft::configuration(fabric.address6(1));
    configuration["neighbors"] = json!([Weft::neighbor(&setup)]);
    let weft = Weft::start(&fabric.namespace(1), fabric.directory(), &configuration);
    let mut bird = Bird::start(&fabric.namespace(2), fabric.directory(), &setup, &[unicast(2)]);
    await_established(&weft, &bird, &setup);
    until("learned", PATIENCE, || {
        let found = weft.found(setup.address, Family::Ipv4Unicast, &unicast(2));
        found.first().is_some_and(|found| {
            found["paths"][0]["next_hop"].as_str().is_some_and(|next_hop| next_hop.starts_with("2001:db8::2"))
        })
    });
    weft.announce(&unicast(1), fabric.address6(1));
    until("told", PATIENCE, || bird.routes(Family::Ipv4Unicast).contains(unicast(1).text()));
    bird.withdraw(&unicast(2));
    until("withdrawn", PATIENCE, || weft.found(setup.address, Family::Ipv4Unicast, &unicast(2)).is_empty());
    weft.assert_encoding(setup.address);
}

#[test]
fn neighbours_of_a_prefix_come_by_themselves() {
    let fabric = Fabric::new(3);
    let mut configuration = Weft::configuration(fabric.address(1));
    let mut template = Weft::neighbor(&setup(&fabric, 2, &[Family::Ipv4Unicast]));
    template["asn"] = json!("any");
    configuration["speaker"]["accept"] =
        json!([{ "prefix": "192.0.2.0/24", "neighbors_max": 1, "neighbor": template }]);
    let weft = Weft::start(&fabric.namespace(1), fabric.directory(), &configuration);
    let (second, third) =
        (setup(&fabric, 2, &[Family::Ipv4Unicast]), setup(&fabric, 3, &[Family::Ipv4Unicast]));
    let frr = Frr::start(&fabric.namespace(2), fabric.directory(), &second, &[unicast(2)]);
    until("established", PATIENCE, || frr.is_established());
    until("learned", PATIENCE, || !weft.found(second.address, Family::Ipv4Unicast, &unicast(2)).is_empty());
    // There may be one.
    let bird = Bird::start(&fabric.namespace(3), fabric.directory(), &third, &[]);
    std::thread::sleep(Duration::from_secs(2));
    assert!(!bird.is_established());
    drop(frr);
    until("the second has room", PATIENCE, || bird.is_established());
}

#[test]
fn a_refresh_brings_all_routes_again_in_both_directions() {
    let fabric = Fabric::new(2);
    let setup = setup(&fabric, 2, &[Family::Ipv4Unicast]);
    let frr = Frr::start(&fabric.namespace(2), fabric.directory(), &setup, &[unicast(2)]);
    let weft = start(&fabric, &[Weft::neighbor(&setup)]);
    await_established(&weft, &frr, &setup);
    weft.announce(&unicast(1), fabric.address(1));
    until("told", PATIENCE, || frr.routes(Family::Ipv4Unicast).contains(unicast(1).text()));
    let statistics = || weft.neighbor_status(setup.address)["statistics"].clone();
    let (sent, received) = (statistics()["updates_sent"].clone(), statistics()["updates_received"].clone());
    // FRR asks us.
    let _said = frr.show(&format!("clear bgp ipv4 unicast {} soft in", setup.peer));
    until("asked", PATIENCE, || statistics()["refreshes_received"] != 0);
    until("sent again", PATIENCE, || statistics()["updates_sent"].as_u64() > sent.as_u64());
    // A change of policy makes us ask FRR: what came before is judged anew.
    let mut neighbor = Weft::neighbor(&setup);
    neighbor["import"] =
        json!([{ "prefixes": [{ "prefix": "10.2.0.0/16" }], "verdict": "reject" }, { "verdict": "accept" }]);
    let _done = weft.ask(&json!({ "set_neighbor": neighbor }));
    until("received again and rejected", PATIENCE, || {
        weft.found(setup.address, Family::Ipv4Unicast, &unicast(2)).is_empty()
    });
    assert!(statistics()["updates_received"].as_u64() > received.as_u64());
    assert!(weft.is_established(setup.address) && statistics()["established"] == 1);
}

#[test]
fn a_shutdown_is_explained_to_whoever_operates_the_neighbour() {
    let fabric = Fabric::new(2);
    let setup = setup(&fabric, 2, &[Family::Ipv4Unicast]);
    let frr = Frr::start(&fabric.namespace(2), fabric.directory(), &setup, &[]);
    let weft = start(&fabric, &[Weft::neighbor(&setup)]);
    await_established(&weft, &frr, &setup);
    let _done = weft.ask(&json!({ "shut_down": [setup.address, "disk is to be changed"] }));
    until("FRR has read it", PATIENCE, || {
        frr.show("show bgp neighbors json").contains("disk is to be changed")
    });
}
