//! Sleeping until something happens, and whose namespace a host without a configured one has.

use std::time::{Duration, Instant};

use crate::common::{Bench, here, on, reach, run, state, veth};
use nix::sched::{CloneFlags, setns};
use weft_dataplane::{Driver, Key, Object};
use weft_linux::{Config, LinuxHost, Waker, Woken};

const LONG: Duration = Duration::from_secs(30);

#[test]
fn the_kernel_a_waker_and_the_clock_each_end_the_sleep() {
    let bench = Bench::new();
    bench.add_host("h");
    let mut host = bench.open("h");
    let waker = Waker::new().unwrap();
    assert_eq!(host.wait(Duration::from_millis(1), &waker).unwrap(), Woken::Timeout);
    waker.clone().wake();
    assert_eq!(host.wait(LONG, &waker).unwrap(), Woken::Waker, "also one that was fired before");
    assert_eq!(host.wait(Duration::from_millis(1), &waker).unwrap(), Woken::Timeout, "and once only");
    // The driver goes to a thread of its own; any other thread wakes it.
    let sleeper = {
        let waker = waker.clone();
        std::thread::spawn(move || (host.wait(LONG, &waker).unwrap(), host))
    };
    waker.wake();
    let (woken, mut host) = sleeper.join().unwrap();
    assert_eq!(woken, Woken::Waker);
    run(&format!("ip -n {} link add x0 type bridge", bench.host("h")));
    assert_eq!(host.wait(LONG, &waker).unwrap(), Woken::Kernel);
    assert!(host.observe().unwrap().contains(&Key::Link(here("x0"))));
    assert_eq!(host.wait(Duration::from_millis(1), &waker).unwrap(), Woken::Timeout, "all was heard");
}

#[test]
fn a_carrier_that_is_lost_is_known_within_ten_milliseconds_of_what_the_kernel_tells() {
    let bench = Bench::new();
    bench.add_host("h");
    let mut host = bench.open("h");
    let want = state([
        Object::Namespace("web1".parse().unwrap()),
        veth("tap0", on("web1", "eth0"), "02:00:00:00:00:01"),
    ]);
    reach(&mut host, &want);
    let waker = Waker::new().unwrap();
    let tap0 = "tap0".parse().unwrap();
    let workload = bench.named("h", "web1");
    for (change, is_lost) in [("down", true), ("up", false), ("down", true)] {
        run(&format!("ip -n {workload} link set eth0 {change}"));
        let deadline = Instant::now() + LONG;
        loop {
            let woken = Instant::now();
            host.observe().unwrap();
            let lost = host.without_carrier();
            let took = woken.elapsed();
            if lost.contains(&tap0) == is_lost {
                assert!(took < Duration::from_millis(10), "{took:?}");
                break;
            }
            assert!(Instant::now() < deadline, "{change}: {lost:?}");
            host.wait(Duration::from_millis(100), &waker).unwrap();
        }
    }
}

#[test]
fn without_a_configured_namespace_it_is_the_threads_own() {
    let bench = Bench::new();
    bench.add_host("h");
    run(&format!("ip -n {} link add x0 type bridge", bench.host("h")));
    let path = format!("/run/netns/{}", bench.host("h"));
    let prefix = format!("{}.", bench.host("h"));
    let agent = std::thread::spawn(move || {
        setns(std::fs::File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
        LinuxHost::open(Config { namespace_prefix: prefix, ..Config::default() }).unwrap()
    });
    let mut host = agent.join().unwrap();
    assert!(host.observe().unwrap().contains(&Key::Link(here("x0"))));
    // A look in full gives the same, from whatever thread.
    host.resync();
    assert!(host.observe().unwrap().contains(&Key::Link(here("x0"))));
}
