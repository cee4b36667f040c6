//! How many neighbours a host keeps.

use std::fs;

use weft_linux::{Config, LinuxHost};

fn limits(name: &str) -> [u32; 2] {
    ["ipv4", "ipv6"].map(|family| {
        let text = fs::read_to_string(format!("/proc/sys/net/{family}/neigh/default/{name}")).unwrap();
        text.trim().parse().unwrap()
    })
}

#[test]
#[ignore = "changes the host's own settings; runs in a virtual machine"]
fn limits_that_are_too_low_are_raised_and_others_left_alone() {
    fs::write("/proc/sys/net/ipv6/neigh/default/gc_thresh3", "70000").unwrap();
    let _host = LinuxHost::open(Config::default()).unwrap();
    assert_eq!(limits("gc_thresh2"), [32_768, 32_768]);
    assert_eq!(limits("gc_thresh3"), [65_536, 70_000]);
}
