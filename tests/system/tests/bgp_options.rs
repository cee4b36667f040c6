//! What a BGP peer can be asked for besides its address: what FRR and GoBGP see of it, and who may come by itself.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::{Value, json};
use weft_interop_tests::{Family, FrrDaemons, Gobgp, Reference, Route, Setup};
use weft_lab::LabSpec;
use weft_system_tests::{Bench, Node, binaries, run, spec, until};

/// How long neighbours have to follow.
const WITHIN: Duration = Duration::from_secs(20);
/// As what the controller of a lab is a neighbour.
const CONTROLLER: u8 = 254;
/// As what FRR is.
const FRR: u8 = 201;
/// From where neighbours may come by themselves: the addresses up to 215.
const RANGE: u8 = 208;
/// NOTIFICATION with Cease, connection rejected (RFC 4486 §4): what follows the marker.
const REJECTED: &str = "0015030605";

fn bench(name: &str) -> Bench {
    Bench::up_as(LabSpec { hosts: 1, port: 9783, bgp_port: Some(179), ..spec(name) })
}

/// A speaker of AS 64512; answers its identifier.
fn speaker(bench: &Bench) -> String {
    bench.http().create_id("bgp-speakers", &json!({"bgp_speaker": {"name": "site", "local_as": 64512}}))
}

/// A peer of the same AS, asked for so; answers its identifier.
fn peer(bench: &Bench, speaker: &str, attributes: &Value) -> String {
    let mut peer = json!({"remote_as": 64512, "families": ["ipv4-unicast"]});
    let more = attributes.as_object().into_iter().flatten();
    more.for_each(|(name, value)| peer[name.as_str()] = value.clone());
    let peer = bench.http().create_id("bgp-peers", &json!({ "bgp_peer": peer }));
    let path = format!("/v2.0/bgp-speakers/{speaker}/add_bgp_peer");
    let answer = bench.http().ask("PUT", &path, &json!({ "bgp_peer_id": peer }));
    assert_eq!(answer.status, 200, "{}", answer.json());
    peer
}

/// Changes a peer.
fn set(bench: &Bench, peer: &str, attributes: &Value) {
    let answer =
        bench.http().ask("PUT", &format!("/v2.0/bgp-peers/{peer}"), &json!({ "bgp_peer": attributes }));
    assert_eq!(answer.status, 200, "{}", answer.json());
}

/// A node of the management network.
fn node(bench: &Bench, name: &str, number: u8) -> Node {
    let node = Node::new(bench, name);
    node.join(bench, "mgmt", ("eth0", bench.fabric_address("mgmt", number)));
    node
}

/// A GoBGP of a node of this number.
fn gobgp(bench: &Bench, node: &Node, number: u8, families: &[Family], announced: &[Route]) -> Gobgp {
    gobgp_of(64512, bench, (node, number), families, announced)
}

/// A GoBGP of an AS, and of a node of this number.
fn gobgp_of(
    asn: u32,
    bench: &Bench,
    (node, number): (&Node, u8),
    families: &[Family],
    announced: &[Route],
) -> Gobgp {
    let [own, controller] = [number, CONTROLLER].map(|number| bench.fabric_address("mgmt", number).into());
    let setup = Setup { asn, peer_asn: 64512, ..Setup::new(own, controller, families) };
    Gobgp::start(node.namespace(), bench.lab().state_directory(), &setup, announced)
}

fn unicast(prefix: &str) -> Route {
    Route::Unicast { prefix: prefix.to_owned() }
}

/// What the controller says of a neighbour, if it has it.
fn neighbor(bench: &Bench, address: Ipv4Addr) -> Option<Value> {
    let answer = bench.http().ask("GET", &format!("/v1/bgp/neighbors/{address}"), &Value::Null);
    (answer.status == 200).then(|| answer.json()["neighbor"].clone())
}

fn is_established(bench: &Bench, address: Ipv4Addr) -> bool {
    neighbor(bench, address).is_some_and(|neighbor| neighbor["state"] == "established")
}

/// What who connects from a node to the controller is told first, without the marker, as hexadecimal digits.
fn told_first(bench: &Bench, node: &Node) -> String {
    let controller = bench.fabric_address("mgmt", CONTROLLER);
    let script = format!("exec 3<>/dev/tcp/{controller}/179; timeout 5 head -c 21 <&3 | od -An -v -tx1");
    let command = ["ip", "netns", "exec", node.namespace(), "bash", "-c", &script];
    let said = std::process::Command::new(command[0]).args(&command[1..]).output().expect("ip is installed");
    let digits: String = String::from_utf8_lossy(&said.stdout).split_whitespace().collect();
    digits.chars().skip(32).collect()
}

/// FRR with everything that it has of what a peer can be asked for.
fn frr(bench: &Bench, node: &Node) -> FrrDaemons {
    let [own, controller] = [FRR, CONTROLLER].map(|number| bench.fabric_address("mgmt", number));
    let mut daemons = FrrDaemons::start(node.namespace(), bench.lab().state_directory(), "");
    daemons.start_bgpd(&format!(
        "router bgp 64512\n bgp router-id {own}\n no bgp default ipv4-unicast\n timers bgp 3 9\n coalesce-time 0\n \
         bgp graceful-restart\n bgp long-lived-graceful-restart stale-time 600\n neighbor {controller} remote-as 64512\n \
         neighbor {controller} timers connect 1\n neighbor {controller} capability extended-nexthop\n \
         address-family ipv4 unicast\n  neighbor {controller} activate\n  neighbor {controller} addpath-tx-all-paths\n \
         exit-address-family\n address-family l2vpn evpn\n  neighbor {controller} activate\n exit-address-family\n"
    ));
    daemons
}

fn shown(frr: &FrrDaemons, command: &str) -> Value {
    serde_json::from_str(&frr.show(command)).expect("FRR shows JSON")
}

#[test]
fn what_a_peer_is_asked_for_is_negotiated_and_who_comes_from_a_range_is_let_in() {
    let bench = bench("t-bgpoptions");
    let speaker = speaker(&bench);
    let [controller, at] = [CONTROLLER, FRR].map(|number| bench.fabric_address("mgmt", number));
    let of_frr = node(&bench, "frr", FRR);
    let frr = frr(&bench, &of_frr);
    peer(
        &bench,
        &speaker,
        &json!({
            "name": "frr", "peer_ip": at, "families": ["ipv4-unicast", "evpn"], "add_path_send": ["ipv4-unicast"],
            "add_path_receive": ["ipv4-unicast"], "extended_next_hop": true, "restart_time_seconds": 77,
            "long_lived_stale_time_seconds": 600, "connect_retry_seconds": 1,
        }),
    );
    until("FRR's session", WITHIN, || is_established(&bench, at).then_some(()));
    sees_capabilities(&bench, &frr, (controller, at));

    // Two of a range announce one prefix: FRR is told both paths.
    let range = format!("{}/29", bench.fabric_address("mgmt", RANGE));
    let of_range = peer(
        &bench,
        &speaker,
        &json!({
            "name": "rack", "listen_range": range, "listen_limit": 2, "route_reflector_client": true,
            "long_lived_stale_time_seconds": 60,
        }),
    );
    let come: Vec<(Node, Gobgp)> = [RANGE + 1, RANGE + 2]
        .into_iter()
        .map(|number| {
            let node = node(&bench, &format!("r{number}"), number);
            let gobgp = gobgp(&bench, &node, number, &[Family::Ipv4Unicast], &[unicast("10.50.0.0/16")]);
            (node, gobgp)
        })
        .collect();
    for number in [RANGE + 1, RANGE + 2] {
        let address = bench.fabric_address("mgmt", number);
        until("who comes from the range", WITHIN, || is_established(&bench, address).then_some(()));
        let shown = neighbor(&bench, address).expect("it is there");
        assert_eq!((&shown["is_dynamic"], &shown["name"]), (&json!(true), &json!("rack")), "{shown}");
        assert_eq!(shown["peer_id"], json!(of_range), "{shown}");
    }
    until("both paths", WITHIN, || {
        let paths = shown(&frr, "show bgp ipv4 unicast 10.50.0.0/16 json");
        (paths["paths"].as_array().map(Vec::len) == Some(2)).then_some(())
    });
    refuses_others(&bench);
    goes_with_its_range(&bench, &speaker, &of_range, come);
    assert!(is_established(&bench, at), "FRR has noticed nothing");
    assert_eq!(neighbor(&bench, at).expect("it is there")["statistics"]["ended"], 0);
}

fn sees_capabilities(bench: &Bench, frr: &FrrDaemons, (controller, at): (Ipv4Addr, Ipv4Addr)) {
    let shown = shown(frr, &format!("show bgp neighbors {controller} json"));
    let capabilities = &shown[controller.to_string()]["neighborCapabilities"];
    let add_path = &capabilities["addPath"]["ipv4Unicast"];
    let both_ways = [&add_path["txAdvertisedAndReceived"], &add_path["rxAdvertisedAndReceived"]];
    assert_eq!(both_ways, [&json!(true); 2], "{capabilities}");
    // FRR says that itself in sessions over IPv6 alone.
    assert_eq!(capabilities["extendedNexthop"], "received", "{capabilities}");
    assert_eq!(capabilities["longLivedGracefulRestart"], "advertisedAndReceived", "{capabilities}");
    assert_eq!(capabilities["gracefulRestartRemoteTimerMsecs"], 77_000, "{capabilities}");
    let heard = neighbor(bench, at).expect("it is there")["capabilities"].to_string();
    for capability in ["add-path ipv4-unicast both", "long-lived graceful restart"] {
        assert!(heard.contains(capability), "{capability}: {heard}");
    }
    let weft = binaries().join("weft");
    let shown = run(&format!("{} --url {} bgp neighbor {at}", weft.display(), bench.lab().controller_url()));
    assert!(shown.contains("long-lived graceful restart"), "{shown}");
}

/// Who is one more than may come from the range, and who comes from elsewhere.
fn refuses_others(bench: &Bench) {
    let third = node(bench, "third", RANGE + 3);
    assert_eq!(told_first(bench, &third), REJECTED, "there are two already");
    let outside = node(bench, "outside", RANGE + 8);
    assert_eq!(told_first(bench, &outside), REJECTED, "it is not of the range");
    let gobgp = gobgp(bench, &outside, RANGE + 8, &[Family::Ipv4Unicast], &[]);
    let controller = bench.fabric_address("mgmt", CONTROLLER);
    let told = || {
        let said: Value = serde_json::from_str(&gobgp.ask(&format!("neighbor {controller} -j"))).ok()?;
        said["state"]["messages"]["received"]["notification"].as_u64().filter(|count| *count > 0)
    };
    until("GoBGP is refused", WITHIN, told);
    assert!(!gobgp.is_established());
    assert_eq!(neighbor(bench, bench.fabric_address("mgmt", RANGE + 8)), None);
}

/// A range that is no peer any more: who came from it goes; with a peer of its own one of them comes back.
fn goes_with_its_range(bench: &Bench, speaker: &str, of_range: &str, come: Vec<(Node, Gobgp)>) {
    let [one, other] = [RANGE + 1, RANGE + 2].map(|number| bench.fabric_address("mgmt", number));
    peer(bench, speaker, &json!({"name": "one", "peer_ip": one, "passive": true}));
    let is_own = |shown: &Value| shown["is_dynamic"] == false && shown["name"] == "one";
    let has_own =
        || neighbor(bench, one).filter(is_own).and_then(|_| is_established(bench, one).then_some(()));
    until("it is a peer of its own", WITHIN, has_own);
    assert!(is_established(bench, other));
    let path = format!("/v2.0/bgp-speakers/{speaker}/remove_bgp_peer");
    let answer = bench.http().ask("PUT", &path, &json!({ "bgp_peer_id": of_range }));
    assert_eq!(answer.status, 200, "{}", answer.json());
    until("the other goes", WITHIN, || neighbor(bench, other).is_none().then_some(()));
    until("the one stays", WITHIN, has_own);
    drop(come);
}

#[test]
fn a_limit_of_one_family_does_not_count_the_routes_of_others() {
    let bench = bench("t-bgplimits");
    let speaker = speaker(&bench);
    let (limited, free) = (bench.fabric_address("mgmt", FRR), bench.fabric_address("mgmt", FRR + 1));
    let families = json!(["ipv4-unicast", "evpn"]);
    let limits = json!([{"family": "ipv4-unicast", "limit": 2}]);
    let attributes = json!({"name": "limited", "peer_ip": limited, "families": families, "prefix_limits": limits,
        "prefix_limit": 50, "prefix_limit_idle_seconds": 2, "connect_retry_seconds": 1});
    let limited_id = peer(&bench, &speaker, &attributes);
    peer(&bench, &speaker, &json!({"name": "free", "peer_ip": free, "families": families}));
    let both = [Family::Ipv4Unicast, Family::Evpn];
    let nodes =
        [("limited", FRR), ("free", FRR + 1)].map(|(name, number)| (node(&bench, name, number), number));
    let mut daemons = nodes.each_ref().map(|(node, number)| gobgp(&bench, node, *number, &both, &[]));
    for address in [limited, free] {
        until("both sessions", WITHIN, || is_established(&bench, address).then_some(()));
    }
    let evpn = |number: u8| Route::EvpnPrefix {
        distinguisher: "64512:9".to_owned(),
        prefix: format!("10.{number}.0.0/16"),
        vni: 5000,
        target: "64512:100".to_owned(),
    };
    for daemon in &mut daemons {
        (0..9).for_each(|number| daemon.announce(&evpn(number)));
        ["10.50.0.0/16", "10.51.0.0/16"].iter().for_each(|prefix| daemon.announce(&unicast(prefix)));
    }
    let received = |address, name: &str| {
        let shown = neighbor(&bench, address)?;
        let family = shown["families"].as_array()?.iter().find(|family| family["family"] == name)?.clone();
        Some((family["received"].as_u64()?, family["prefix_limit"].as_u64()))
    };
    until("all EVPN routes", WITHIN, || (received(limited, "evpn")? == (9, Some(50))).then_some(()));
    until("two others", WITHIN, || (received(limited, "ipv4-unicast")? == (2, Some(2))).then_some(()));
    assert!(is_established(&bench, limited), "nine are more than two, and are of another family");
    // One more of the family that is limited.
    for daemon in &mut daemons {
        daemon.announce(&unicast("10.52.0.0/16"));
    }
    let ended = || {
        let shown = neighbor(&bench, limited)?;
        let error = shown["last_error"].as_str()?.to_owned();
        error.contains("maximum number of prefixes").then_some(error)
    };
    until("the session ends", WITHIN, ended);
    until("the other has three", WITHIN, || (received(free, "ipv4-unicast")? == (3, None)).then_some(()));
    assert_eq!(
        neighbor(&bench, free).expect("it is there")["statistics"]["ended"],
        0,
        "the other is left alone"
    );
    // What policy rejects does not count: with one it is let in again.
    let policy =
        json!([{"verdict": "reject", "prefixes": ["10.51.0.0/16", "10.52.0.0/16"]}, {"verdict": "accept"}]);
    set(&bench, &limited_id, &json!({ "import_policy": policy }));
    until("one is let in", WITHIN, || (received(limited, "ipv4-unicast")? == (1, Some(2))).then_some(()));
    assert!(is_established(&bench, limited));
    set(&bench, &limited_id, &json!({"import_policy": []}));
    until("the session ends again", WITHIN, || (!is_established(&bench, limited)).then_some(()));
    // With a greater limit of that family, too.
    set(&bench, &limited_id, &json!({"prefix_limits": [{"family": "ipv4-unicast", "limit": 5}]}));
    until("three are let in", WITHIN, || (received(limited, "ipv4-unicast")? == (3, Some(5))).then_some(()));
}

#[test]
fn peers_of_two_other_ases_do_not_reach_each_other_through_the_site_until_a_policy_says_so() {
    let bench = bench("t-bgptransit");
    let speaker = speaker(&bench);
    let of_asn = [(64601, FRR), (64602, FRR + 1), (64512, FRR + 2)];
    let prefixes = ["10.61.0.0/16", "10.62.0.0/16", "10.63.0.0/16"];
    let peers = of_asn.map(|(asn, number)| {
        let address = bench.fabric_address("mgmt", number);
        peer(&bench, &speaker, &json!({"peer_ip": address, "remote_as": asn, "connect_retry_seconds": 1}))
    });
    let nodes = of_asn.map(|(_, number)| (node(&bench, &format!("as{number}"), number), number));
    let families = [Family::Ipv4Unicast];
    let mut daemons = [0, 1, 2].map(|at| {
        let (node, number) = &nodes[at];
        gobgp_of(of_asn[at].0, &bench, (node, *number), &families, &[])
    });
    for (_, number) in of_asn {
        let address = bench.fabric_address("mgmt", number);
        until("all sessions", WITHIN, || is_established(&bench, address).then_some(()));
    }
    let has = |daemon: &Gobgp, prefix: &str| daemon.routes(Family::Ipv4Unicast).contains(prefix);
    // Peers of our own AS are told what others originate: when that one has both, the others would have been told, too.
    for at in [0, 1] {
        daemons[at].announce(&unicast(prefixes[at]));
        until("our own AS has it", WITHIN, || has(&daemons[2], prefixes[at]).then_some(()));
    }
    daemons[2].announce(&unicast(prefixes[2]));
    let known = |daemon: &Gobgp| prefixes.map(|prefix| has(daemon, prefix));
    for at in [0, 1] {
        until("others have our own AS's", WITHIN, || has(&daemons[at], prefixes[2]).then_some(()));
    }
    assert_eq!(daemons.each_ref().map(known), [[true, false, true], [false, true, true], [true; 3]]);
    set(&bench, &peers[1], &json!({"export_policy": [{"verdict": "accept"}]}));
    until("the second has all", WITHIN, || (known(&daemons[1]) == [true; 3]).then_some(()));
    set(&bench, &peers[1], &json!({"export_policy": []}));
    until("what it was told is taken back", WITHIN, || {
        (known(&daemons[1]) == [false, true, true]).then_some(())
    });
    assert_eq!(known(&daemons[0]), [true, false, true], "the first was told nothing all the while");
}
