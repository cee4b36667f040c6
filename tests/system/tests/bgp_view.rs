//! BGP as it is seen: neighbours, tables, decisions, routes from who asked for them to the kernel, and the audit that mends them.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use weft_system_tests::{Bench, SseEvent, SseStream, binaries, run, try_run, until};

/// How long neighbours and hosts have to follow.
const WITHIN: Duration = Duration::from_secs(15);
/// The neighbour, on the loopback beside the controller.
const PEER: &str = "127.0.0.2";

/// A `weft-bgpd` as the neighbour of the controller.
struct Neighbor {
    process: Child,
    socket: PathBuf,
}

impl Neighbor {
    /// One that waits for the controller's connection and announces a prefix of each kind.
    fn start(bench: &Bench) -> Self {
        let families = ["evpn", "vpnv4", "ipv4-unicast"].map(|family| json!({ "family": family }));
        let route = |prefix: &str| {
            json!({
                "prefix": prefix, "distinguisher": "64512:9", "vni": 7001, "router_mac": "02:00:00:00:00:09",
                "route_targets": ["64512:100"], "next_hop": "192.0.2.200",
            })
        };
        let configuration = json!({
            "speaker": { "asn": "64512", "router_id": "10.0.0.2" },
            "listen": [format!("{PEER}:179")],
            "neighbors": [{ "address": "127.0.0.1", "asn": "64512", "is_passive": true, "families": families }],
            "instances": { "all": ["64512:100"] },
            "routes": [route("203.0.113.0/24"), route("203.0.114.0/24")],
        });
        let directory = bench.lab().state_directory();
        let (file, socket) = (directory.join("neighbor.json"), directory.join("neighbor.socket"));
        fs::write(&file, configuration.to_string()).expect("a configuration can be written");
        let log = fs::File::create(directory.join("neighbor.log")).expect("a log can be written");
        let process = Command::new(binaries().join("weft-bgpd"))
            .arg(&file)
            .arg("--socket")
            .arg(&socket)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("weft-bgpd is built");
        let neighbor = Self { process, socket };
        until("the neighbour listens", WITHIN, || neighbor.try_ask(&json!("status")));
        neighbor
    }

    fn try_ask(&self, request: &Value) -> Option<Value> {
        let program = binaries().join("weft-bgpd");
        let command = format!("{} --socket {} --ask {request}", program.display(), self.socket.display());
        serde_json::from_str(&try_run(&command).ok()?).ok()
    }

    /// The EVPN routes that it has from the controller.
    fn learned(&self) -> Vec<String> {
        let routes = self.try_ask(&json!({"adj_in": ["127.0.0.1", "evpn"]})).unwrap_or_default();
        let routes = routes.as_array().into_iter().flatten();
        routes.filter_map(|route| Some(route["destination"].as_str()?.to_owned())).collect()
    }
}

impl Drop for Neighbor {
    fn drop(&mut self) {
        self.process.kill().expect("it is a child of ours");
        self.process.wait().expect("it is a child of ours");
    }
}

/// A VPN of a network with a port on each of two hosts; answers the network.
fn vpn(bench: &Bench) -> String {
    let network = bench.network("blue", "10.1.1.0/24");
    let _ports = [("host1", "G1", "10.1.1.5"), ("host2", "G2", "10.1.1.6")]
        .map(|(host, name, address)| bench.workload(&network, host, name, address));
    let vpn = json!({"bgpvpn": {"name": "v", "route_targets": ["64512:100"]}});
    let vpn = bench.http().create_id("bgpvpn/bgpvpns", &vpn);
    let association = json!({"network_association": {"network_id": network}});
    let _made = bench.http().create(&format!("bgpvpn/bgpvpns/{vpn}/network_associations"), &association);
    network
}

/// The speaker of the site, with the neighbour as its peer; answers its identifier.
fn speaker(bench: &Bench) -> String {
    let speaker = json!({"bgp_speaker": {"name": "site", "local_as": 64512, "ip_version": 4}});
    let speaker = bench.http().create_id("bgp-speakers", &speaker);
    let peer = json!({"bgp_peer": {"name": "edge", "peer_ip": PEER, "remote_as": 64512,
        "families": ["evpn", "vpnv4", "ipv4-unicast"]}});
    let peer = bench.http().create_id("bgp-peers", &peer);
    let path = format!("/v2.0/bgp-speakers/{speaker}/add_bgp_peer");
    let answer = bench.http().ask("PUT", &path, &json!({"bgp_peer_id": peer}));
    assert_eq!(answer.status, 200, "{}", answer.json());
    speaker
}

fn weft(bench: &Bench, words: &str) -> String {
    run(&format!("{} --url {} {words}", binaries().join("weft").display(), bench.lab().controller_url()))
}

fn destinations(answer: &Value) -> Vec<String> {
    let routes = answer["routes"].as_array().expect("an answer has routes");
    routes.iter().map(|route| route["destination"].as_str().expect("a route has one").to_owned()).collect()
}

fn refused(bench: &Bench, path: &str, status: u16, field: &str) {
    let answer = bench.http().ask("GET", path, &Value::Null);
    assert_eq!(answer.status, status, "{path}: {}", answer.json());
    assert!(answer.message().starts_with(&format!("{field}: ")), "{path}: {}", answer.message());
}

/// The number at the end of the line of a metric.
fn metric(bench: &Bench, line: &str) -> Option<f64> {
    let text = bench.http().ask("GET", "/metrics", &Value::Null).body;
    let text = String::from_utf8(text).expect("metrics are text");
    let found = text.lines().find(|one| one.starts_with(line))?;
    found.rsplit(' ').next()?.parse().ok()
}

#[test]
fn neighbours_tables_and_decisions_are_seen_by_http_and_by_the_command_line() {
    let bench = Bench::up("t-bgpview", 2, 9783);
    let _network = vpn(&bench);
    let neighbor = Neighbor::start(&bench);
    let speaker = speaker(&bench);
    let path = format!("/v1/bgp/neighbors/{PEER}");
    let is_up = || (bench.http().get(&path)["neighbor"]["state"] == "established").then_some(());
    until("the session is established", WITHIN, is_up);
    until("both ports are announced", WITHIN, || (neighbor.learned().len() == 2).then_some(()));
    sees_tables(&bench, &neighbor, &path);
    sees_decisions(&bench);
    is_told_what_is_wrong(&bench);

    let advertised = bench.http().get(&format!("/v2.0/bgp-speakers/{speaker}/get_advertised_routes"));
    let hops: Vec<&str> = advertised["advertised_routes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|route| route["destination"].as_str().expect("a prefix"))
        .collect();
    assert_eq!(hops, ["10.1.1.5/32", "10.1.1.6/32"], "{advertised}");

    let up = format!("weft_bgp_neighbor_established{{speaker=\"{speaker}\",neighbor=\"{PEER}\"}}");
    assert_eq!(metric(&bench, &up), Some(1.0));
    let family = format!("{{speaker=\"{speaker}\",neighbor=\"{PEER}\",family=\"evpn\"}}");
    assert_eq!(metric(&bench, &format!("weft_bgp_neighbor_prefixes_announced{family}")), Some(2.0));
    assert_eq!(metric(&bench, &format!("weft_bgp_neighbor_prefixes_accepted{family}")), Some(2.0));

    let table = weft(&bench, "bgp neighbors");
    assert!(table.contains("edge") && table.contains("established"), "{table}");
    let table = weft(&bench, "bgp rib l2vpn evpn --prefix 10.1.1.5");
    assert!(table.contains("10.1.1.5/32") && !table.contains("10.1.1.6/32"), "{table}");
    let table = weft(&bench, &format!("bgp adj-in {PEER}"));
    assert!(table.contains("203.0.113.0/24") && !table.contains("10.1.1.5"), "{table}");
    let told: Value =
        serde_json::from_str(&weft(&bench, &format!("bgp adj-out {PEER} -o json"))).expect("JSON");
    assert_eq!(told.as_array().map(Vec::len), Some(2), "{told}");
    is_told_of_the_end(&bench, neighbor, &up);
}

/// A session that ends is told on the feed of everything, with the reason; from there the feed goes on with the next commit.
fn is_told_of_the_end(bench: &Bench, neighbor: Neighbor, up: &str) {
    let mut feed = SseStream::open(bench.http(), "/v1/watch", None).expect("the feed opens");
    feed.set_patience(WITHIN).expect("a timeout can be set");
    drop(neighbor);
    // That it came up may not have been told yet.
    let mut next = || feed.receive().expect("the end of the session is told");
    let is_up = |event: &SseEvent| event.data["object"]["bgp_session"]["state"] == "up";
    let first = next();
    let event = if is_up(&first) { next() } else { first };
    assert_eq!((event.event.as_str(), &event.data["kind"]), ("status", &json!("bgp_peer")), "{event:?}");
    let session = &event.data["object"]["bgp_session"];
    assert_eq!(
        (&session["state"], &event.data["object"]["name"]),
        (&json!("down"), &json!("edge")),
        "{event:?}"
    );
    assert!(session["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{event:?}");
    let network = bench.http().create_id("networks", &json!({"network": {"name": "later"}}));
    let resumed = SseStream::open(bench.http(), "/v1/watch", event.id.as_deref()).expect("the feed goes on");
    resumed.set_patience(WITHIN).expect("a timeout can be set");
    for mut one in [feed, resumed] {
        let next = one.receive().expect("the commit is told");
        assert_eq!((next.event.as_str(), &next.data["id"]), ("put", &json!(network)), "{next:?}");
    }
    assert_eq!(metric(bench, up), Some(0.0));
    let table = weft(bench, "bgp neighbor");
    assert!(!table.contains("established"), "{table}");
}

fn sees_tables(bench: &Bench, neighbor: &Neighbor, path: &str) {
    let local = bench.http().get("/v1/bgp/rib?family=l2vpn-evpn&local=true");
    let mut announced = destinations(&local);
    announced.sort();
    let mut learned = neighbor.learned();
    learned.sort();
    assert_eq!(announced, learned);
    let mut told = destinations(&bench.http().get(&format!("{path}/adj-out")));
    told.sort();
    assert_eq!(told, learned);
    let heard = bench.http().get(&format!("{path}/adj-in?prefix=203.0.113.0/24"));
    assert_eq!(destinations(&heard), ["[5]:[64512:9]:[0]:[203.0.113.0/24]"]);
    assert_eq!(heard["routes"][0]["paths"][0]["neighbor"], PEER);
    // By page, each route once.
    let mut found = Vec::new();
    let mut query = "/v1/bgp/rib?family=evpn&limit=1".to_owned();
    loop {
        let page = bench.http().get(&query);
        found.extend(destinations(&page));
        let Some(marker) = page["next_marker"].as_str() else { break };
        query = format!("/v1/bgp/rib?family=evpn&limit=1&marker={marker}");
    }
    let mut all = destinations(&bench.http().get("/v1/bgp/rib?family=evpn"));
    found.sort();
    all.sort();
    assert_eq!((found.len(), &found), (4, &all));
    let by_distinguisher = bench.http().get("/v1/bgp/rib?route_distinguisher=64512:9");
    assert_eq!(destinations(&by_distinguisher).len(), 2);
    assert_eq!(destinations(&bench.http().get("/v1/bgp/rib?vrf=blue")).len(), 4);
}

fn sees_decisions(bench: &Bench) {
    let told = bench.http().get("/v1/bgp/explain?destination=203.0.113.0/24");
    assert_eq!(told["destinations"][0]["step"], "only_path", "{told}");
    let route = || {
        let told = bench.http().get("/v1/explain/route?from=blue&destination=203.0.113.77");
        let is_used = told["routes"][0]["learned"][0]["is_in_model"] == true;
        let hosts = told["routes"][0]["hosts"].as_array()?;
        let is_done = |host: &Value| {
            let kernel = host["kernel"].as_array().cloned().unwrap_or_default();
            let is_right = |line: &Value| line.as_str().is_some_and(|line| line.contains("as it should be"));
            host["state"] == "carried_out" && !kernel.is_empty() && kernel.iter().all(is_right)
        };
        (is_used && hosts.len() == 2 && hosts.iter().all(is_done)).then_some(())
    };
    until("what was learned is in the kernel of both hosts", WITHIN, route);
    let told = weft(bench, "explain route blue 10.1.1.5 --host host2");
    let expected = [
        "10.1.1.5/32 in the VRF of bgpvpn v",
        "path to port G1",
        "told to 127.0.0.2",
        "host2: carried out",
        "as it should be",
    ];
    for part in expected {
        assert!(told.contains(part), "{part}: {told}");
    }
}

fn is_told_what_is_wrong(bench: &Bench) {
    for (path, status, field) in [
        ("/v1/bgp/rib?family=ipx", 400, "family"),
        ("/v1/bgp/rib?prefix=10.0.0.0/40", 400, "prefix"),
        ("/v1/bgp/rib?route_distinguisher=x", 400, "route_distinguisher"),
        ("/v1/bgp/rib?marker=x", 400, "marker"),
        ("/v1/bgp/rib?colour=red", 400, "colour"),
        ("/v1/bgp/rib?vrf=nowhere", 404, "vrf"),
        ("/v1/bgp/rib?speaker=nobody", 404, "speaker"),
        ("/v1/bgp/neighbors/127.0.0.9", 404, "address"),
        ("/v1/bgp/neighbors/nine", 400, "address"),
        ("/v1/bgp/neighbors/127.0.0.9/adj-in", 404, "address"),
        ("/v1/bgp/explain", 400, "destination"),
        ("/v1/bgp/explain?destination=198.51.100.1", 404, "destination"),
        ("/v1/explain/route?from=blue", 400, "destination"),
        ("/v1/explain/route?from=nowhere&destination=10.1.1.5", 404, "from"),
        ("/v1/explain/route?from=blue&destination=198.51.100.1", 404, "destination"),
    ] {
        refused(bench, path, status, field);
    }
}

#[test]
fn a_route_that_somebody_takes_from_a_kernel_is_an_alarm_and_is_mended() {
    let bench = Bench::up("t-bgpaudit", 2, 9783);
    let _network = vpn(&bench);
    bench.await_rest();
    let vrf = || {
        run("ip netns list")
            .split_whitespace()
            .find(|name| name.starts_with("t-bgpaudit.host1.vrf-"))
            .map(str::to_owned)
    };
    let (vrf, _) = until("the VRF is there", WITHIN, vrf);
    let has_route = || run(&format!("ip -n {vrf} route show 10.1.1.6")).contains("10.1.1.6");
    until("the route is there", WITHIN, || has_route().then_some(()));
    bench.await_rest();
    let drifts = || bench.report("host1")["drifts"].as_u64().expect("a host has drifts");
    assert_eq!(drifts(), 0, "nobody has touched anything");
    let _deleted = run(&format!("ip -n {vrf} route del 10.1.1.6"));
    until("the route is back", WITHIN, || has_route().then_some(()));
    let alarm = || {
        let status = bench.http().get("/v1/status");
        let alarms = status["route_audit"]["alarms"].as_array()?.clone();
        alarms.into_iter().find(|alarm| {
            let route = alarm["route"].as_str().unwrap_or_default();
            alarm["comparison"] == "kernel" && route.contains("10.1.1.6/32") && route.ends_with("on host1")
        })
    };
    let (alarm, _) = until("the alarm was raised", WITHIN, alarm);
    assert_eq!(alarm["finding"], "it was not there");
    let is_mended = || {
        metric(&bench, "weft_route_audit_mended_total{comparison=\"kernel\"}").filter(|count| *count >= 1.0)
    };
    until("the alarm is over", WITHIN, is_mended);
    assert!(drifts() >= 1);
    assert!(weft(&bench, "status -o wide").contains("mended: "), "it is told in the status");
    assert!(bench.log("controller").contains("a route is not as it should be"));
    assert!(bench.log("host1").contains("a route that was installed is not as it was left"));
}
