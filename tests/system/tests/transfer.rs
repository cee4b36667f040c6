//! A snapshot is taken and put back while everything runs: hosts follow, watchers are told.

use std::time::{Duration, Instant};

use serde_json::Value;
use weft_system_tests::{Answer, Bench, SseStream, no_loss, until};

const REACHED_WITHIN: Duration = Duration::from_secs(5);

fn restore(bench: &Bench, snapshot: &[u8]) -> Answer {
    let headers = [("Accept", "application/json")];
    bench.http().send("POST", "/v1/restore", &headers, snapshot).expect("a restore is answered")
}

fn names(bench: &Bench, collection: &str) -> Vec<String> {
    let name = |one: &Value| one["name"].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<String> = bench.http().list(collection).iter().map(name).collect();
    names.sort();
    names
}

/// Reads a feed until it says that the model was replaced.
fn told_of_the_end(mut feed: SseStream) -> bool {
    while let Ok(event) = feed.receive() {
        if event.event == "epoch" {
            return true;
        }
    }
    false
}

#[test]
fn a_snapshot_comes_back_while_everything_runs_and_hosts_and_watchers_follow() {
    let bench = Bench::up("t-snap", 2, 9761);
    let http = bench.http();
    let blue = bench.network("blue", "10.1.0.0/24");
    let _web = [
        bench.workload(&blue, "host1", "web1", "10.1.0.11"),
        bench.workload(&blue, "host2", "web2", "10.1.0.12"),
    ];
    bench.await_rest();
    until("reached", REACHED_WITHIN, || bench.pings_at_once("host1.web1", "10.1.0.12").then_some(()));
    let snapshot = http.ask("GET", "/v1/snapshot", &Value::Null);
    assert_eq!(snapshot.status, 200);
    let (ports, networks, links) = (names(&bench, "ports"), names(&bench, "networks"), bench.all_links());

    let red = bench.network("red", "10.2.0.0/24");
    let _db = bench.workload(&red, "host1", "db1", "10.2.0.11");
    http.update("networks", &blue, &serde_json::json!({ "network": { "name": "renamed" } }));
    bench.await_rest();
    assert!(bench.nodes().contains(&"host1.db1".to_owned()));
    let before = http.version();
    let feed = SseStream::open(http, "/v2.0/ports?watch=true", None).expect("a feed");
    feed.set_patience(Duration::from_secs(10)).expect("a connection can be impatient");
    let pings = bench.pinging(&[("host1", "web1", "10.1.0.12")]);

    let begin = Instant::now();
    let answer = restore(&bench, &snapshot.body);
    assert_eq!(answer.status, 200, "{}", answer.message());
    let answered = begin.elapsed();
    until("hosts follow", REACHED_WITHIN, || {
        (!bench.nodes().contains(&"host1.db1".to_owned())).then_some(())
    });
    bench.await_rest();
    let followed = begin.elapsed();
    assert_eq!((names(&bench, "ports"), names(&bench, "networks")), (ports, networks));
    assert_eq!(bench.all_links(), links, "what was there before is there, and has not been made anew");
    assert!(told_of_the_end(feed), "whoever watches is told");
    let epoch = |version: &str| {
        version.split('.').next().and_then(|text| text.parse::<u64>().ok()).expect("a version")
    };
    assert!(epoch(&http.version()) > epoch(&before), "{} after {before}", http.version());
    let mut resumed = SseStream::open(http, "/v1/watch", Some(&before)).expect("a feed");
    assert_eq!(resumed.receive().expect("an event").event, "epoch", "also whoever comes back later");

    let next = bench.network("next", "10.3.0.0/24");
    let _near = bench.workload(&next, "host1", "n1", "10.3.0.11");
    let _far = bench.workload(&next, "host2", "n2", "10.3.0.12");
    bench.await_rest();
    until("reached", REACHED_WITHIN, || bench.pings_at_once("host1.n1", "10.3.0.12").then_some(()));
    let (sent, gap) = no_loss(pings);
    println!(
        "{} bytes restored in {answered:.1?}, every host followed within {followed:.1?}; {sent} pings in what stayed, none lost, longest gap {gap:.1?}",
        snapshot.body.len()
    );
}
