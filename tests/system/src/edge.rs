//! A router of somebody else's at the edge of a lab: on its management network, where it speaks BGP, and on its underlay, where tunnels end;
//! with a client behind it.
//!
//! ```text
//!  client eth0 ── lan [ router ] eth1 underlay …N ══ hosts
//!                     [        ] eth0 mgmt …N ────── controller …254
//! ```

use std::net::Ipv4Addr;

use crate::{Bench, Node};

/// The last octet of the controller on a lab's management network.
const CONTROLLER: u8 = 254;

/// The namespaces of the router and of the client. What is not IPv4 they say nothing of by themselves.
#[derive(Debug)]
pub struct Edge {
    node: Node,
    client: Node,
    address: Ipv4Addr,
    endpoint: Ipv4Addr,
    controller: Ipv4Addr,
}

impl Edge {
    /// One of this name, with this last octet on both networks; a link leads to the client at this address, who sends by that gateway.
    #[must_use]
    pub fn new(bench: &Bench, (name, number): (&str, u8), (client_address, gateway): (&str, &str)) -> Self {
        let (node, client) = (Node::new(bench, name), Node::of_lab(bench, "client"));
        for node in [&node, &client] {
            for of in ["all", "default"] {
                node.run(&format!("sysctl -qw net.ipv6.conf.{of}.disable_ipv6=1"));
            }
        }
        let [address, endpoint] = ["mgmt", "underlay"].map(|network| bench.fabric_address(network, number));
        node.join(bench, "mgmt", ("eth0", address));
        node.join(bench, "underlay", ("eth1", endpoint));
        node.ip(&format!("link add lan type veth peer name eth0 netns {}", client.namespace()));
        node.ip("link set lan up");
        client.ip(&format!("address add {client_address}/24 dev eth0"));
        client.ip("link set eth0 up");
        client.ip(&format!("route add default via {gateway}"));
        let controller = bench.fabric_address("mgmt", CONTROLLER);
        Self { node, client, address, endpoint, controller }
    }

    /// Makes a VXLAN device that nobody but a routing daemon fills, on a bridge of its own with this MAC address.
    pub fn add_vni(&self, vni: u32, mac: &str) {
        let endpoint = self.endpoint;
        for words in [
            format!("link add vx{vni} type vxlan id {vni} dstport 4789 local {endpoint} nolearning"),
            format!("link add br{vni} type bridge"),
            format!("link set br{vni} addrgenmode none address {mac} up"),
            format!("link set vx{vni} master br{vni} addrgenmode none up"),
        ] {
            self.node.ip(&words);
        }
    }

    /// How FRR's configuration begins: a speaker of AS 64512 that has no family yet, and a neighbour that it never waits long for.
    #[must_use]
    pub fn router_bgp(&self, neighbor: Ipv4Addr) -> String {
        let address = self.address;
        format!(
            "router bgp 64512\n bgp router-id {address}\n no bgp default ipv4-unicast\n timers bgp 3 9\n coalesce-time 0\n \
             neighbor {neighbor} remote-as 64512\n neighbor {neighbor} timers connect 1\n"
        )
    }

    /// Where it speaks BGP from.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its tunnel endpoint.
    #[must_use]
    pub const fn endpoint(&self) -> Ipv4Addr {
        self.endpoint
    }

    /// Where the controller speaks BGP from.
    #[must_use]
    pub const fn controller(&self) -> Ipv4Addr {
        self.controller
    }

    /// Its namespace.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// The client behind it: node `client` of the lab.
    #[must_use]
    pub const fn client(&self) -> &Node {
        &self.client
    }
}
