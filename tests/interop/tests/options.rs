//! What a session can have besides routes: signatures, near neighbours only, many paths, other next hops, neighbours that come by themselves.

use std::net::IpAddr;
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

/// A VPN-IPv4 route and an EVPN route of type 5, of an AS and this number in it.
fn of_vpn(asn: u32, number: u8) -> [(Family, Route); 2] {
    let (distinguisher, target) = (format!("{asn}:{number}"), format!("{asn}:100"));
    let prefix = |kind: u8| format!("10.{kind}.{number}.0/24");
    let vpn = Route::Vpn {
        distinguisher: distinguisher.clone(),
        prefix: prefix(100),
        label: 1000,
        target: target.clone(),
    };
    let evpn = Route::EvpnPrefix { distinguisher, prefix: prefix(200), vni: 9000, target };
    [(Family::VpnIpv4, vpn), (Family::Evpn, evpn)]
}

/// AS path, next hop, targets, and label or VNI.
type Seen = [String; 4];

/// What FRR says of a route, if it has it.
fn seen_by_frr(frr: &Frr, (family, route): &(Family, Route)) -> Option<Seen> {
    let (network, length) = route.text().split_once('/').expect("a prefix has a length");
    let command = match family {
        Family::Evpn => "show bgp l2vpn evpn route type prefix json".to_owned(),
        _ => format!("show bgp ipv4 vpn {} json", route.text()),
    };
    let said: Value = serde_json::from_str(&frr.show(&command)).unwrap_or_default();
    let of_distinguisher = |tables: &Value| match family {
        Family::Evpn => tables[format!("[5]:[0]:[{length}]:[{network}]")]["paths"][0][0].clone(),
        _ => tables["paths"][0].clone(),
    };
    let path = said.as_object()?.values().map(of_distinguisher).find(|path| !path.is_null())?;
    let as_path = path["aspath"]["string"].as_str().or(path["path"].as_str())?;
    let targets = path["extendedCommunity"]["string"].as_str()?.split(' ');
    let targets: Vec<&str> = targets.filter_map(|community| community.strip_prefix("RT:")).collect();
    // Of a route of type 5 FRR says no VNI.
    let label = if *family == Family::Evpn { "9000".to_owned() } else { path["remoteLabel"].to_string() };
    Some([as_path.to_owned(), path["nexthops"][0]["ip"].as_str()?.to_owned(), targets.join(" "), label])
}

/// The same of one that our speaker has from a neighbour.
fn seen_by_weft(weft: &Weft, from: IpAddr, (family, route): &(Family, Route)) -> Option<Seen> {
    let found = weft.found(from, *family, route);
    let path = &found.first()?["paths"][0];
    let targets: Vec<&str> = path["route_targets"].as_array()?.iter().filter_map(Value::as_str).collect();
    let text = |name: &str| path[name].as_str().map(str::to_owned);
    Some([text("as_path")?, text("next_hop")?, targets.join(" "), path["label"].to_string()])
}

#[test]
fn vpn_routes_cross_between_systems_with_their_next_hops_and_targets_and_the_path() {
    // FRR is another AS, GoBGP of ours: what one announces comes to the other.
    let fabric = Fabric::new(3);
    let families = [Family::VpnIpv4, Family::Evpn];
    let [outside, inside] = [2, 3].map(|node| setup(&fabric, node, &families));
    let outside = Setup { asn: 65_002, ..outside };
    let mut frr = Frr::start(&fabric.namespace(2), fabric.directory(), &outside, &[]);
    let mut gobgp = Gobgp::start(&fabric.namespace(3), fabric.directory(), &inside, &[]);
    // As with the controller: whoever says a label or a tunnel endpoint is where packets go.
    let weft = start(
        &fabric,
        &[&outside, &inside].map(|setup| {
            let mut neighbor = Weft::neighbor(setup);
            neighbor["next_hop_self"] = json!(false);
            neighbor
        }),
    );
    await_established(&weft, &frr, &outside);
    await_established(&weft, &gobgp, &inside);
    let [theirs, of_gobgp, ours] = [of_vpn(65_002, 1), of_vpn(65_000, 2), of_vpn(65_000, 3)];
    let endpoint: IpAddr = "198.51.100.77".parse().expect("an address");
    for at in 0..families.len() {
        frr.announce(&theirs[at].1);
        gobgp.announce(&of_gobgp[at].1);
        weft.announce(&ours[at].1, endpoint);
    }
    let gobgp_has = |(family, route): &(Family, Route), words: &[&str]| {
        let said = gobgp.routes(*family);
        let mut lines = said.lines().filter(|line| line.contains(route.text()));
        lines.any(|line| words.iter().all(|word| line.contains(word)))
    };
    // FRR's tunnel endpoint is no address of its session; of what has a label it is the next hop by itself.
    let next_hops = [(outside.address.to_string(), "1000"), ("198.51.100.2".to_owned(), "9000")];
    for (at, (next_hop, label)) in next_hops.iter().enumerate() {
        let wanted = ["65002", next_hop, "65002:100", label].map(str::to_owned);
        let learned = || seen_by_weft(&weft, outside.address, &theirs[at]) == Some(wanted.clone());
        until(&format!("learned: {wanted:?}"), PATIENCE, learned);
        let words = [" 65002 ", next_hop.as_str(), "65002:100"];
        until(&format!("GoBGP has heard {words:?}"), PATIENCE, || gobgp_has(&theirs[at], &words));
        for (route, next_hop) in [(&ours[at], endpoint), (&of_gobgp[at], inside.address)] {
            let wanted = ["65000", &next_hop.to_string(), "65000:100", label].map(str::to_owned);
            let told = || seen_by_frr(&frr, route) == Some(wanted.clone());
            until(&format!("FRR is told of {}: {wanted:?}", route.1.text()), PATIENCE, told);
        }
    }
    weft.assert_encoding(outside.address);
    // What one of them takes back is gone at the others, and nothing else is.
    weft.withdraw(&ours[0].1, endpoint);
    frr.withdraw(&theirs[1].1);
    until("withdrawn", PATIENCE, || {
        let is_gone =
            seen_by_weft(&weft, outside.address, &theirs[1]).is_none() && !gobgp_has(&theirs[1], &[]);
        is_gone && seen_by_frr(&frr, &ours[0]).is_none()
    });
    for route in [&ours[1], &of_gobgp[0], &of_gobgp[1]] {
        assert!(seen_by_frr(&frr, route).is_some(), "{route:?}");
    }
    assert!(gobgp_has(&theirs[0], &[" 65002 "]));
}
