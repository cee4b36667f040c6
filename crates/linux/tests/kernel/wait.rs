//! Sleeping until something happens, and whose namespace a host without a configured one has.

use std::time::Duration;

use crate::common::{Bench, here, run};
use nix::sched::{CloneFlags, setns};
use weft_dataplane::{Driver, Key};
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
