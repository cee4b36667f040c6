//! What this machine's kernel can do: found out by trying it, in a network namespace that is gone afterwards.

use std::process::Stdio;
use std::time::Duration;

use nix::unistd::geteuid;
use tokio::process::Command;
use weft_net::Capability;

use super::Check;

const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn checks() -> Vec<Check> {
    if !geteuid().is_root() {
        let advice = "run it as root on a host, to see what its kernel can do";
        return vec![Check::warn("kernel", "was not looked at: only root can try", advice)];
    }
    if !succeeds(&["ip", "-Version"]).await {
        return vec![Check::warn("kernel", "was not looked at: there is no ip(8)", "install iproute2")];
    }
    let mut checks = Vec::new();
    for capability in Capability::ALL {
        let can = succeeds(&["unshare", "--net", "--", "sh", "-ec", probe(capability)]).await;
        let subject = format!("kernel {capability}");
        checks.push(if can {
            Check::ok(subject, "works")
        } else {
            Check::warn(subject, "does not work", remedy(capability))
        });
    }
    checks
}

/// What succeeds if the kernel can do it.
const fn probe(capability: Capability) -> &'static str {
    match capability {
        Capability::Bridge => "ip link add weft0 type bridge",
        Capability::NeighbourSuppression => {
            "ip link add weft0 type bridge; ip link add weft1 type veth peer name weft2; \
             ip link set weft1 master weft0; bridge link set dev weft1 neigh_suppress on"
        }
        Capability::Mpls => "test -e /proc/sys/net/mpls/platform_labels",
        Capability::NetworkNamespace => ":",
        Capability::ResilientNextHops => {
            "ip link set lo up; ip nexthop add id 1 dev lo; \
             ip nexthop add id 2 group 1 type resilient buckets 8"
        }
        Capability::Tap => "ip tuntap add dev weft0 mode tap",
        Capability::Veth => "ip link add weft1 type veth peer name weft2",
        Capability::Vlan => {
            "ip link add weft1 type veth peer name weft2; ip link add link weft1 name weft3 type vlan id 5"
        }
        Capability::VrfDevice => "ip link add weft0 type vrf table 10",
        Capability::VrfNamespace => "sysctl -qw net.ipv4.ip_forward=1",
        Capability::Vxlan => "ip link add weft0 type vxlan id 5 dstport 4789 local 127.0.0.1 nolearning",
    }
}

const fn remedy(capability: Capability) -> &'static str {
    match capability {
        Capability::Bridge => "modprobe bridge, or a kernel with CONFIG_BRIDGE",
        Capability::NeighbourSuppression => "a kernel of 4.15 or later with CONFIG_BRIDGE",
        Capability::NetworkNamespace => "a kernel with CONFIG_NET_NS, and the right to make namespaces",
        Capability::Mpls => {
            "modprobe mpls_router mpls_iptunnel, or a kernel with CONFIG_MPLS_ROUTING; only VRF devices need it"
        }
        Capability::ResilientNextHops => "a kernel of 5.13 or later",
        Capability::Tap => "modprobe tun, or a kernel with CONFIG_TUN; in a container, /dev/net/tun",
        Capability::Veth => "modprobe veth, or a kernel with CONFIG_VETH",
        Capability::Vlan => "modprobe 8021q, or a kernel with CONFIG_VLAN_8021Q",
        Capability::VrfDevice => {
            "modprobe vrf, or a kernel with CONFIG_NET_VRF; VRFs can be namespaces without"
        }
        Capability::VrfNamespace => {
            "a kernel with CONFIG_NET_NS, and the right to set what is in /proc/sys/net"
        }
        Capability::Vxlan => "modprobe vxlan, or a kernel with CONFIG_VXLAN",
    }
}

async fn succeeds(command: &[&str]) -> bool {
    let Some((program, arguments)) = command.split_first() else { return false };
    let mut child = Command::new(program);
    child.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(PROBE_TIMEOUT, child.status()).await {
        Ok(Ok(status)) => status.success(),
        Ok(Err(_)) | Err(_) => false,
    }
}
