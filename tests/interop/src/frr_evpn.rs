//! EVPN of FRR, which has no statement that says a route: it announces what the kernel has.
//!
//! ```text
//!  type 2: a MAC address on port0 ─┐              type 5: a prefix of its own table
//!                                 br5000 ─ vx5000                │
//!  type 3: the VNI itself ────────────────────────┘           br9000 ─ vx9000
//! ```

use crate::fabric::ip;
use crate::frr::last_octet;
use crate::process::ask;
use crate::reference::{Route, Setup};

/// The lines of zebra's configuration that make a VNI one of routers.
pub(crate) const ZEBRA: &str = "vni 9000\n";

/// The VNIs. That of bridges is down, so that there is no route of it, until one is announced.
pub(crate) fn make_vnis(namespace: &str, setup: &Setup) {
    // No address of a node: its route is found by it.
    let local = format!("198.51.100.{}", last_octet(&setup.address.to_string()));
    let vxlan = |vni| format!("type vxlan id {vni} dstport 4789 local {local} nolearning");
    for words in [
        "link add br5000 type bridge".to_owned(),
        format!("link add vx5000 {}", vxlan(5000)),
        "link set vx5000 master br5000 addrgenmode none".to_owned(),
        "link add port0 type veth peer name host0".to_owned(),
        "link set port0 master br5000 addrgenmode none up".to_owned(),
        "link set host0 up".to_owned(),
        "link set br5000 up addrgenmode none".to_owned(),
        "link add br9000 type bridge".to_owned(),
        format!("link add vx9000 {}", vxlan(9000)),
        "link set br9000 addrgenmode none up".to_owned(),
        "link set vx9000 master br9000 addrgenmode none up".to_owned(),
    ] {
        ip(&format!("-n {namespace} {words}"));
    }
}

/// What is said of a route within the family: the distinguisher and the target of its VNI. What it is about, the kernel has.
pub(crate) fn family_lines(route: &Route) -> Vec<String> {
    let said = |rd: &String, target: &String| [format!("rd {rd}"), format!("route-target export {target}")];
    match route {
        Route::EvpnMac { distinguisher, vni, target, .. }
        | Route::EvpnMulticast { distinguisher, vni, target, .. } => {
            [format!("vni {vni}")].into_iter().chain(said(distinguisher, target)).collect()
        }
        Route::EvpnPrefix { distinguisher, target, .. } => said(distinguisher, target).into(),
        Route::Unicast { .. } | Route::Vpn { .. } => Vec::new(),
    }
}

/// What FRR says of its routes, and the prefixes of type 5 among them as everybody else writes them: it shows `[5]:[0]:[16]:[10.2.0.0]`.
pub(crate) fn with_prefixes(said: &str) -> String {
    let prefix = |shown: &str| {
        let mut fields = shown.split("]:[").skip(1);
        let (length, address) = (fields.next()?, fields.next()?);
        Some(format!("{}/{length}\n", address.split(']').next()?))
    };
    let prefixes: String = said.split("[5]:[").skip(1).filter_map(prefix).collect();
    format!("{said}\n{prefixes}")
}

/// Puts into the kernel what a route is about, or takes it out.
///
/// # Panics
/// When the kernel refuses.
pub(crate) fn change_kernel(namespace: &str, route: &Route, is_there: bool) {
    match route {
        Route::EvpnMulticast { .. } => {
            let state = if is_there { "up" } else { "down" };
            ip(&format!("-n {namespace} link set vx5000 {state}"));
        }
        Route::EvpnMac { mac, .. } => {
            ip(&format!("-n {namespace} link set vx5000 up"));
            let verb = if is_there { "replace" } else { "del" };
            let words = ["fdb", verb, mac, "dev", "port0", "master", "static"];
            let _said = ask(namespace, "bridge", &words).unwrap_or_else(|error| panic!("{error}"));
        }
        Route::EvpnPrefix { .. } | Route::Unicast { .. } | Route::Vpn { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_read() {
        let said = " *>i[5]:[0]:[16]:[10.2.0.0]\n        192.0.2.1\n *>i[5]:[0]:[64]:[2001:db8::] x";
        assert_eq!(with_prefixes(said), format!("{said}\n10.2.0.0/16\n2001:db8::/64\n"));
    }
}
