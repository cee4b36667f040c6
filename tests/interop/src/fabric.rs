//! A LAN of namespaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

/// Namespaces on one LAN: node n has the addresses 192.0.2.n/24 and 2001:db8::n/64 on `eth0`.
#[derive(Debug)]
pub struct Fabric {
    name: String,
    nodes: u8,
    directory: TempDir,
}

impl Fabric {
    /// A LAN of nodes 1 to `nodes`.
    ///
    /// # Panics
    /// When one is not root, or `ip` is not there.
    #[must_use]
    pub fn new(nodes: u8) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("wi{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = TempDir::new().expect("a directory for logs can be made");
        let fabric = Self { name, nodes, directory };
        let name = &fabric.name;
        ip(&format!("netns add {name}"));
        ip(&format!("-n {name} link add lan type bridge"));
        ip(&format!("-n {name} link set lan up"));
        for node in 1..=nodes {
            fabric.join(node);
        }
        fabric
    }

    fn join(&self, node: u8) {
        let (lan, namespace) = (&self.name, self.namespace(node));
        ip(&format!("netns add {namespace}"));
        ip(&format!("-n {namespace} link set lo up"));
        ip(&format!("link add p{node} netns {lan} type veth peer name eth0 netns {namespace}"));
        ip(&format!("-n {lan} link set p{node} master lan up"));
        ip(&format!("-n {namespace} address add {}/24 dev eth0", self.address(node)));
        ip(&format!("-n {namespace} address add {}/64 dev eth0 nodad", self.address6(node)));
        ip(&format!("-n {namespace} link set eth0 up"));
    }

    /// The namespace of a node.
    #[must_use]
    pub fn namespace(&self, node: u8) -> String {
        format!("{}-{node}", self.name)
    }

    /// The IPv4 address of a node.
    #[must_use]
    pub fn address(&self, node: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, node).into()
    }

    /// The IPv6 address of a node.
    #[must_use]
    pub fn address6(&self, node: u8) -> IpAddr {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, node.into()).into()
    }

    /// Where configurations and logs are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Cuts a node off, or joins it again, without it seeing its own link go.
    pub fn set_reachable(&self, node: u8, is_reachable: bool) {
        let state = if is_reachable { "master lan" } else { "nomaster" };
        ip(&format!("-n {} link set p{node} {state}", self.name));
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        let namespaces = (1..=self.nodes).map(|node| self.namespace(node)).chain([self.name.clone()]);
        for namespace in namespaces {
            let removed = Command::new("ip").args(["netns", "del", &namespace]).status();
            if !removed.is_ok_and(|status| status.success()) {
                eprintln!("namespace {namespace} is not gone");
            }
        }
    }
}

/// Runs `ip` with these words.
///
/// # Panics
/// When it refuses.
pub(crate) fn ip(words: &str) {
    let output = Command::new("ip").args(words.split_whitespace()).output().expect("ip is installed");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {words}: {}", error.trim());
}
