//! Neighbours that do what they should not, on real sockets: the others do not notice.

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "real sockets are what is tried")]

mod closing;
mod rude;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rude::Rude;
use weft_bgp::io::{Driver, Handle};
use weft_bgp::session::FsmState;
use weft_bgp::speaker::{FamilyConfig, NeighborStatus, PeerAsn, PeerConfig, Route, Speaker, SpeakerConfig};
use weft_bgp::wire::{Attributes, Destination, Family, Payload};
use weft_net::Asn;

const ASN: u32 = 65_000;
/// How long a well-behaved neighbour waits for a route at most, whatever the others do.
const PATIENCE: Duration = Duration::from_secs(5);

/// By how much the process may grow while somebody announces what is refused, in bytes; other tests run in it, too. Ten million
/// routes would be far more.
const MEMORY_MAX: u64 = 256 << 20;

/// The memory that this process has, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("the kernel says so");
    let pages: u64 = status.split(' ').nth(1).expect("the second number").parse().expect("a number");
    pages * 4096
}

/// A test's own addresses of the loopback: 127.N.0.1 is the speaker that is tried, 127.N.0.2 a good neighbour, 127.N.0.3 a rude one.
#[derive(Clone, Copy)]
struct Place(u8);

impl Place {
    const fn address(self, number: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, self.0, 0, number))
    }
}

/// The speaker that is tried, and a good neighbour of it.
struct Bench {
    place: Place,
    to: SocketAddr,
    tried: Handle,
    good: Handle,
}

fn speaker(router_id: u8) -> Speaker {
    let config = SpeakerConfig::new(Asn::new(ASN), Ipv4Addr::new(10, 0, 0, router_id));
    Speaker::new(config, Instant::now(), router_id.into()).expect("a good configuration")
}

fn peer(place: Place, number: u8) -> PeerConfig {
    let asn = PeerAsn::Exactly(Asn::new(ASN));
    PeerConfig {
        is_passive: true,
        hold_time_s: 3,
        ..PeerConfig::new(place.address(number), asn, &[Family::Ipv4Unicast])
    }
}

fn route(prefix: &str) -> Route {
    let destination = Destination::Ipv4(prefix.parse().expect("a prefix"));
    Route {
        destination,
        payload: Payload::None,
        attributes: Attributes::new(IpAddr::from([192, 0, 2, 1]).into()),
    }
}

impl Bench {
    async fn start(place: Place, rude: PeerConfig) -> Self {
        let now = Instant::now();
        let mut tried = speaker(1);
        let client = PeerConfig { is_route_reflector_client: true, ..peer(place, 2) };
        tried.set_peer(client, now).expect("a good configuration");
        tried.set_peer(rude, now).expect("a good configuration");
        let (driver, tried) =
            Driver::new(tried, &[SocketAddr::new(place.address(1), 0)]).expect("an address");
        let to = driver.listens_on().expect("an address")[0];
        tokio::spawn(driver.run());
        let mut good = speaker(2);
        let of_tried = PeerConfig {
            is_passive: false,
            port: to.port(),
            local_address: Some(place.address(2)),
            connect_retry_ms: 200,
            ..peer(place, 1)
        };
        good.set_peer(of_tried, now).expect("a good configuration");
        let (driver, good) = Driver::new(good, &[]).expect("no address");
        tokio::spawn(driver.run());
        let bench = Self { place, to, tried, good };
        bench.until("the good neighbour is there", |status| status.state == FsmState::Established).await;
        bench
    }

    async fn status(&self, number: u8) -> NeighborStatus {
        let address = self.place.address(number);
        let neighbors = self.tried.with(|speaker, now| speaker.neighbors(now)).await.expect("it runs");
        neighbors.into_iter().find(|neighbor| neighbor.address == address).expect("it is configured")
    }

    /// Waits until this is so of the good neighbour.
    async fn until(&self, what: &str, is_so: impl Fn(&NeighborStatus) -> bool) {
        self.until_of(2, what, is_so).await;
    }

    async fn until_of(&self, number: u8, what: &str, is_so: impl Fn(&NeighborStatus) -> bool) {
        let begin = Instant::now();
        loop {
            let status = self.status(number).await;
            if is_so(&status) {
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "{what}: {status:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// A route goes from the good neighbour to the speaker that is tried and another one back; both in time.
    async fn assert_served(&self, number: u8) {
        let (there, back) = (format!("10.1.{number}.0/24"), format!("10.2.{number}.0/24"));
        let begin = Instant::now();
        let (of_good, of_tried) = (route(&there), route(&back));
        self.good.with(|speaker, _| speaker.originate(of_good)).await.expect("it runs");
        self.tried.with(|speaker, _| speaker.originate(of_tried)).await.expect("it runs");
        for (handle, prefix) in [(&self.tried, there), (&self.good, back)] {
            loop {
                let destination = route(&prefix).destination;
                if handle
                    .with(move |speaker, _| speaker.explain(&destination).is_some())
                    .await
                    .expect("it runs")
                {
                    break;
                }
                assert!(begin.elapsed() < PATIENCE, "{prefix} is not there after {PATIENCE:?}");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        let status = self.status(2).await;
        assert_eq!((status.state, status.statistics.ended), (FsmState::Established, 0));
    }

    async fn rude(&self) -> Rude {
        Rude::open(self.place.address(3), self.to).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_floods() {
    let bench = Bench::start(Place(11), peer(Place(11), 3)).await;
    let mut rude = bench.rude().await;
    let flood = tokio::spawn(async move {
        for round in 0..weft_soak::rounds(4) {
            rude.announce(0..20_000, u32::try_from(round).expect("few")).await;
            rude.withdraw(0..20_000).await;
        }
        rude.announce(0..1000, 0).await;
        rude
    });
    for number in 0..10 {
        bench.assert_served(number).await;
    }
    let _rude = flood.await.expect("it floods to the end");
    bench.until_of(3, "what came last is there", |status| status.families[0].received == 1000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_announces_far_more_than_it_may() {
    let limited = FamilyConfig { prefix_limit: Some(1000), ..FamilyConfig::new(Family::Ipv4Unicast) };
    let bench = Bench::start(Place(12), PeerConfig { families: vec![limited], ..peer(Place(12), 3) }).await;
    let rude = bench.rude().await;
    let before = memory();
    // It goes on although it was told.
    let count = if weft_soak::is_long() { 10_000_000 } else { 100_000 };
    let flood = tokio::spawn(rude.announce_if_it_goes(count));
    for number in 0..5 {
        bench.assert_served(number).await;
    }
    let mut most = memory();
    while !flood.is_finished() {
        most = most.max(memory());
        let received: u32 = bench.status(3).await.families.iter().map(|family| family.received).sum();
        assert!(received <= 1000, "no more than it may");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(most.saturating_sub(before) < MEMORY_MAX, "{before} bytes, then {most}");
    // What it goes on to say while it is closed is thrown away, for as long as the goodbye may take.
    assert_eq!(
        flood.await.expect("it does not panic"),
        Some([6, 1]),
        "Cease, Maximum Number of Prefixes Reached"
    );
    let status = bench.status(3).await;
    assert_eq!(status.state, FsmState::Idle);
    assert!(status.last_error.expect("a reason").contains("6/1 maximum number of prefixes reached"));
    bench
        .until_of(3, "its routes are gone", |status| {
            status.families.iter().all(|family| family.received == 0)
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_takes_nothing() {
    let bench =
        Bench::start(Place(13), PeerConfig { is_route_reflector_client: true, ..peer(Place(13), 3) }).await;
    let mut rude = bench.rude().await;
    // More than the kernel holds for it. The good neighbour gets it all.
    bench
        .tried
        .with(|speaker, _| {
            (0..60_000u32).for_each(|number| {
                speaker.originate(route(&format!("{}/32", Ipv4Addr::from(0x2000_0000 + number))))
            });
        })
        .await
        .expect("it runs");
    let begin = Instant::now();
    loop {
        rude.keepalive().await;
        let count = bench.good.with(|speaker, _| speaker.status().destinations[0].1).await.expect("it runs");
        if count >= 60_000 {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "{count}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It says no more from now on, and may be given up while the other is served.
    let status = bench.status(3).await;
    assert_eq!(status.state, FsmState::Established, "{status:#?}");
    bench.assert_served(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_leaves_connections_half_open() {
    let bench = Bench::start(Place(15), peer(Place(15), 3)).await;
    let mut silent = Vec::new();
    for number in 0..50 {
        silent.push(Rude::connect(bench.place.address(3), bench.to).await);
        if number % 10 == 0 {
            bench.assert_served(number).await;
        }
    }
    assert_ne!(bench.status(3).await.state, FsmState::Established);
    // No more of them are kept than can become a session.
    for surplus in &mut silent[..40] {
        tokio::time::timeout(Duration::from_secs(10), surplus.until_closed()).await.expect("it is closed");
    }
    drop(silent);
    let mut rude = bench.rude().await;
    rude.announce(0..100, 0).await;
    bench.until_of(3, "it is up all the same", |status| status.families[0].received == 100).await;
    bench.assert_served(50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_is_reset_again_and_again() {
    let bench = Bench::start(Place(16), peer(Place(16), 3)).await;
    for number in 0..u8::try_from(weft_soak::rounds(5)).expect("few") {
        let mut rude = bench.rude().await;
        rude.announce(0..1000, number.into()).await;
        bench.until_of(3, "its routes are there", |status| status.families[0].received == 1000).await;
        rude.reset();
        bench.assert_served(number).await;
        bench.until_of(3, "its routes are gone", |status| status.families[0].received == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_connects_and_says_nothing_and_one_that_breaks_off() {
    let bench = Bench::start(Place(14), peer(Place(14), 3)).await;
    for number in 0..20 {
        let mut silent = Rude::connect(bench.place.address(3), bench.to).await;
        if number % 2 == 0 {
            silent.half_a_message().await;
            silent.reset();
        } else {
            drop(silent);
        }
    }
    let mut rude = bench.rude().await;
    bench.until_of(3, "it is up all the same", |status| status.state == FsmState::Established).await;
    rude.announce(0..100, 0).await;
    bench.until_of(3, "its routes are there", |status| status.families[0].received == 100).await;
    rude.half_a_message().await;
    rude.reset();
    bench.until_of(3, "its routes are gone", |status| status.families[0].received == 0).await;
    bench.assert_served(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn one_that_is_no_longer_wanted_reads_so_before_the_speaker_has_ended() {
    let bench = Bench::start(Place(15), peer(Place(15), 3)).await;
    let neighbor = bench.place.address(2);
    bench.tried.with(move |speaker, now| speaker.remove_peer(neighbor, now)).await.expect("it runs");
    assert!(bench.tried.end().await);
    let begin = Instant::now();
    loop {
        let neighbors = bench.good.with(|speaker, now| speaker.neighbors(now)).await.expect("it runs");
        if let Some(error) = &neighbors[0].last_error {
            assert!(error.contains("6/3"), "{error}");
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{neighbors:#?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(bench.tried.with(|_, _| ()).await.is_none(), "it has ended");
}
