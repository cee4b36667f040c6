//! VRFs: as network namespaces, or as VRF devices; and the settings of the kernel that routing in them needs.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;

use weft_net::IfName;

/// As what VRFs are realised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VrfMode {
    /// Each as a network namespace: on every kernel.
    #[default]
    Namespace,
    /// Each as a VRF device with a routing table: on kernels with `CONFIG_NET_VRF`, and what MPLS needs.
    Device,
}

/// How much larger the number of a VRF device's ingress table is than that of its own: no VRF's own number is as large.
pub(crate) const INGRESS_OFFSET: u32 = 1_000_000_000;

/// The number of the ingress table of the VRF device with this table.
pub(crate) const fn ingress_table(table: u32) -> u32 {
    table.saturating_add(INGRESS_OFFSET)
}

/// A setting under `/proc/sys/net`, and the value that it has to have.
type Setting = (&'static str, &'static str);

/// What a namespace that is a VRF is set to before there is a link in it.
const NAMESPACE: &[Setting] = &[
    // The first sets all others of its kind to what it makes of them.
    ("ipv4/ip_forward", "1"),
    ("ipv4/conf/all/rp_filter", "0"),
    ("ipv4/conf/default/rp_filter", "0"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/conf/default/send_redirects", "0"),
    ("ipv4/conf/all/accept_redirects", "0"),
    ("ipv4/conf/default/accept_redirects", "0"),
    ("ipv4/fib_multipath_hash_policy", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv6/conf/all/accept_redirects", "0"),
    ("ipv6/conf/default/accept_redirects", "0"),
    ("ipv6/conf/all/accept_ra", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/fib_multipath_hash_policy", "1"),
];

/// What VRF devices need of the host's own namespace: there is no setting of a link alone for any of it.
const HOST: &[Setting] = &[
    ("vrf/strict_mode", "1"),
    // A socket of the host's own that is bound to no link is not for what comes in by a VRF, as a tenant's packets to its gateway do.
    ("ipv4/tcp_l3mdev_accept", "0"),
    ("ipv4/udp_l3mdev_accept", "0"),
    ("ipv4/raw_l3mdev_accept", "0"),
    ("ipv4/conf/all/send_redirects", "0"),
    ("ipv4/fib_multipath_hash_policy", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv6/fib_multipath_hash_policy", "1"),
];

/// By which hash each host spreads flows; since Linux 6.11.
const SEED: &str = "ipv4/fib_multipath_hash_seed";

/// The settings of a place as a whole, for the network namespace that the calling thread is in.
const fn settings(mode: VrfMode) -> &'static [Setting] {
    match mode {
        VrfMode::Namespace => NAMESPACE,
        VrfMode::Device => HOST,
    }
}

/// Sets them, in the network namespace of the calling thread.
pub(crate) fn settle(mode: VrfMode, seed: u32) -> io::Result<()> {
    settings(mode).iter().try_for_each(|(name, value)| write(name, value))?;
    match write(SEED, &seed.to_string()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Whether they are set, in the network namespace of the calling thread.
pub(crate) fn is_settled(mode: VrfMode) -> io::Result<bool> {
    for (name, value) in settings(mode) {
        if read(name)? != *value {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a host spreads flows by: its own, and the same after a restart, so that no two hosts behind each other choose alike.
pub(crate) fn seed(host: &str) -> u32 {
    let mut hasher = DefaultHasher::new();
    fs::read("/etc/machine-id").unwrap_or_default().hash(&mut hasher);
    host.hash(&mut hasher);
    // Zero is the kernel's own choice.
    u32::try_from(hasher.finish() & 0xffff_ffff).unwrap_or(1).max(1)
}

/// Sets one of a link's IPv6 settings, in the network namespace of the calling thread. A link without IPv6 has none.
pub(crate) fn set_ipv6(link: IfName, setting: &str, value: &str) -> io::Result<()> {
    match write(&format!("ipv6/conf/{link}/{setting}"), value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new("/proc/sys/net").join(name)
}

fn write(name: &str, value: &str) -> io::Result<()> {
    let told = |error: io::Error| io::Error::new(error.kind(), format!("net/{name}: {error}"));
    fs::write(path(name), value).map_err(told)
}

fn read(name: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path(name))?.trim().to_owned())
}

/// The labels that a host takes: all that the kernel lets it, which keeps eight bytes for each.
const PLATFORM_LABELS: &str = "1048575";

/// Has labelled packets taken in from these links, in the network namespace of the calling thread.
pub(crate) fn take_labels(links: &[IfName]) -> io::Result<()> {
    if read("mpls/platform_labels")? != PLATFORM_LABELS {
        write("mpls/platform_labels", PLATFORM_LABELS)?;
    }
    for link in links {
        match write(&format!("mpls/conf/{link}/input"), "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::warn!(%link, "labelled packets are not taken in: there is no such link");
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_the_hosts_own_and_stays() {
        assert_eq!(seed("lab.host1."), seed("lab.host1."));
        assert_ne!(seed("lab.host1."), seed("lab.host2."));
    }
}
