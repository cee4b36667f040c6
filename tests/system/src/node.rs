//! Nodes beside a lab's hosts: somebody else's routers, and who is behind them.

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::{Bench, run, try_run};

/// A network namespace that is none of the lab's, and goes with its value.
#[derive(Debug)]
pub struct Node {
    namespace: String,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = try_run(&format!("ip netns del {}", self.namespace)) {
            eprintln!("namespace {} is not gone: {error}", self.namespace);
        }
    }
}

impl Node {
    /// A node without links, of this name among those beside a lab.
    pub fn new(bench: &Bench, name: &str) -> Self {
        Self::with_namespace(format!("{}-{name}", bench.lab().name()))
    }

    /// A node without links, of this name among those of a lab: what is asked for by a node's name is had of it, too.
    #[must_use]
    pub fn of_lab(bench: &Bench, name: &str) -> Self {
        Self::with_namespace(bench.namespace(name))
    }

    fn with_namespace(namespace: String) -> Self {
        // What an interrupted test left.
        let _may_not_be_there = try_run(&format!("ip netns del {namespace}"));
        run(&format!("ip netns add {namespace}"));
        let node = Self { namespace };
        node.ip("link set lo up");
        for setting in ["ip_forward=1", "conf.all.rp_filter=0", "conf.default.rp_filter=0"] {
            node.run(&format!("sysctl -qw net.ipv4.{setting}"));
        }
        node
    }

    /// The name of the namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Joins a bridge of the lab's fabric by a link of this name.
    pub fn join(&self, bench: &Bench, bridge: &str, (link, address): (&str, Ipv4Addr)) {
        let fabric = bench.namespace("fabric");
        let port = self.port(link);
        run(&format!(
            "ip link add {link} netns {} type veth peer name {port} netns {fabric}",
            self.namespace
        ));
        run(&format!("ip -n {fabric} link set {port} master {bridge} mtu 1600 up"));
        self.ip(&format!("address add {address}/24 dev {link}"));
        self.ip(&format!("link set {link} mtu 1600 up"));
    }

    /// Cuts a link off without either end seeing it go.
    pub fn leave(&self, bench: &Bench, link: &str) {
        let port = self.port(link);
        run(&format!("ip -n {} link set {port} nomaster", bench.namespace("fabric")));
    }

    /// Joins the bridge again from which a link was cut off.
    pub fn rejoin(&self, bench: &Bench, (link, bridge): (&str, &str)) {
        let port = self.port(link);
        run(&format!("ip -n {} link set {port} master {bridge}", bench.namespace("fabric")));
    }

    /// The fabric's end of a link: nodes of one lab join the same fabric.
    fn port(&self, link: &str) -> String {
        let name = self.namespace.rsplit('-').next().unwrap_or_default();
        format!("{name}-{link}")
    }

    /// `ip` within it.
    pub fn ip(&self, arguments: &str) -> String {
        run(&format!("ip -n {} {arguments}", self.namespace))
    }

    /// A table of `ip -j`.
    ///
    /// # Panics
    /// When `ip` shows none.
    #[must_use]
    pub fn ip_json(&self, arguments: &str) -> Vec<Value> {
        let said = run(&format!("ip -j -n {} {arguments}", self.namespace));
        if said.trim().is_empty() {
            return Vec::new();
        }
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("ip {arguments}: {error}: {said}"))
    }

    /// A program within it.
    pub fn run(&self, command: &str) -> String {
        run(&format!("ip netns exec {} {command}", self.namespace))
    }

    /// With which TTL an echo comes back from an address, if one does within a second.
    #[must_use]
    pub fn ttl(&self, to: &str) -> Option<u8> {
        crate::l3::ttl_from(&self.namespace, to)
    }
}

impl Bench {
    /// An address of a network of the fabric by its last octet: `mgmt` or `underlay`. The controller has 254 on the first.
    ///
    /// # Panics
    /// When the first host has no IPv4 address there.
    #[must_use]
    pub fn fabric_address(&self, network: &str, last: u8) -> Ipv4Addr {
        let links = self.ip_json("host1", &format!("-4 address show dev {network}0"));
        let address = links[0]["addr_info"][0]["local"].as_str().and_then(|text| text.parse().ok());
        let address: Ipv4Addr = address.expect("the first host has an address");
        let [a, b, c, _] = address.octets();
        Ipv4Addr::new(a, b, c, last)
    }
}
