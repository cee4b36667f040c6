//! The controller is killed at random moments under concurrent writers: what it acknowledged is there, what it did not is
//! wholly there or not at all, who watches misses nothing, and the hosts end as the API says.

#[path = "writers/feed.rs"]
mod feed;
#[path = "writers/writer.rs"]
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use weft_system_tests::{Bench, no_loss, rounds, until};

use feed::Feed;
use writer::{Place, Writer};

const WRITERS: usize = 8;
const KILLS: usize = 50;
/// At most this long the controller lives between two kills, once it is ready.
const LIFE_MAX_MS: u64 = 120;

/// The seed: `WEFT_SEED`, or a random one.
fn seed() -> u64 {
    let given = std::env::var("WEFT_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("WEFT_SEED={seed}");
    seed
}

/// How long the controller took to be ready after each kill.
fn kill_again_and_again(bench: &Bench, random: &mut ChaCha8Rng) -> Vec<Duration> {
    let mut restarts = Vec::new();
    for _ in 0..rounds(KILLS) {
        thread::sleep(Duration::from_millis(random.random_range(0..LIFE_MAX_MS)));
        bench.lab().kill_controller().expect("the controller can be killed");
        let begin = Instant::now();
        bench.lab().start_controller().expect("the controller comes back");
        restarts.push(begin.elapsed());
    }
    restarts
}

#[test]
fn what_was_acknowledged_outlives_the_controllers_death_and_watchers_miss_nothing() {
    let seed = seed();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let bench = Bench::up("t-write", 3, 9741);
    let blue = bench.network("blue", "10.1.0.0/24");
    for number in 1..=3 {
        let _port = bench.workload(
            &blue,
            &format!("host{number}"),
            &format!("web{number}"),
            &format!("10.1.0.1{number}"),
        );
    }
    let place = Place { http: bench.http(), network: bench.network("scratch", "10.50.0.0/16") };
    bench.await_rest();
    let pairs =
        [("host1", "web1", "10.1.0.12"), ("host2", "web2", "10.1.0.13"), ("host3", "web3", "10.1.0.11")];
    for (host, workload, address) in pairs {
        until("reached", Duration::from_secs(5), || {
            bench.pings_at_once(&format!("{host}.{workload}"), address).then_some(())
        });
    }
    let (pings, over) = (bench.pinging(&pairs), Arc::new(AtomicBool::new(false)));
    let from = bench.http().version();
    let feed = Feed::start(bench.http(), &from, seed);
    let writers: Vec<_> = (0..WRITERS)
        .map(|number| {
            let (over, writer) = (over.clone(), Writer::new(place.clone(), number, seed));
            thread::spawn(move || writer.run(&over))
        })
        .collect();
    let restarts = kill_again_and_again(&bench, &mut random);
    over.store(true, Ordering::Relaxed);
    let writers: Vec<Writer> =
        writers.into_iter().map(|writer| writer.join().expect("no writer finds a fault")).collect();

    let rest = bench.await_rest();
    let (acknowledged, doubtful) = check_writes(&bench, &writers);
    let (events, commits) = feed.check(&bench, &from);
    check_kernel(&bench, &place.network);
    let (sent, gap) = no_loss(pings);
    let slowest = restarts.iter().max().copied().unwrap_or_default();
    let mean = restarts.iter().sum::<Duration>() / u32::try_from(restarts.len()).expect("few");
    println!(
        "{} kills (ready again after {mean:.1?}, at most {slowest:.1?}): {acknowledged} acknowledged writes all there, {doubtful} others whole or not at all; {events} events of {commits} commits, none missed, none twice; {sent} pings, none lost, longest gap {gap:.1?}; at rest {rest:.1?} after the last write",
        restarts.len()
    );
}

fn check_writes(bench: &Bench, writers: &[Writer]) -> (usize, usize) {
    let mut there: BTreeMap<String, Value> = BTreeMap::new();
    for one in bench.http().list("ports").into_iter().chain(bench.http().list("networks")) {
        let name = one["name"].as_str().expect("a name").to_owned();
        let before = there.insert(name.clone(), one);
        assert!(before.is_none() || !name.starts_with('w'), "{name} is there twice");
    }
    let mut counted: BTreeSet<String> = BTreeSet::new();
    for writer in writers {
        writer.check(&there, &mut counted);
    }
    let unknown: Vec<&String> = there
        .keys()
        .filter(|name| name.starts_with('w') && !name.starts_with("web") && !counted.contains(*name))
        .collect();
    assert!(unknown.is_empty(), "nobody has asked for {unknown:?}");
    (writers.iter().map(Writer::acknowledged).sum(), writers.iter().map(Writer::doubtful).sum())
}

/// The kernel is as the API says: the taps of each host, and what its tunnel knows of the others.
fn check_kernel(bench: &Bench, network: &str) {
    let ports = bench.http().list(&format!("ports?network_id={network}"));
    let tunnel = format!("vx{}", bench.http().show("networks", network)["provider:segmentation_id"]);
    let text = |port: &Value, name: &str| port[name].as_str().unwrap_or_default().to_owned();
    for host in bench.lab().hosts() {
        let (here, elsewhere): (Vec<&Value>, Vec<&Value>) =
            ports.iter().partition(|port| port["binding:host_id"] == host.as_str());
        let wanted: BTreeSet<String> =
            here.iter().map(|port| format!("tap{}", &text(port, "id")[..11])).collect();
        let masters = bench.ip_json(&host, &format!("link show master br-{}", &network[..11]));
        let taps: BTreeSet<String> =
            masters.iter().map(|link| text(link, "ifname")).filter(|name| name.starts_with("tap")).collect();
        assert_eq!(taps, wanted, "the taps of {host}");
        if here.is_empty() {
            continue;
        }
        let known = bench.static_fdb(&host).into_iter();
        let known = known.filter(|line| {
            line.contains(&format!(" dev {tunnel} ")) && line.contains(" self ") && !line.starts_with("00:00")
        });
        let known: BTreeSet<String> =
            known.filter_map(|line| line.split(' ').next().map(str::to_owned)).collect();
        let wanted: BTreeSet<String> = elsewhere.iter().map(|port| text(port, "mac_address")).collect();
        assert_eq!(known, wanted, "what {host} knows of the others");
    }
}
