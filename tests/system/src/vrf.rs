//! The VRFs on a host, as the kernel has them: network namespaces of their own, or VRF devices in the host's.

use serde_json::Value;

use crate::{Bench, run, try_run};

/// A VRF on a host.
#[derive(Clone, Debug)]
pub struct Vrf {
    /// What it is called: `vrf-` and the first eleven characters of the identifier of what it is of.
    pub name: String,
    /// The node where it is: one of its own, or the host.
    pub node: String,
    /// Whether it is a device in the host's own namespace.
    pub is_device: bool,
}

impl Vrf {
    /// Its routes of IPv4 that were made for the intent, one to a line: without the last one of a device, behind which no table is asked.
    #[must_use]
    pub fn routes(&self, bench: &Bench) -> Vec<String> {
        let of = if self.is_device { format!("vrf {}", self.name) } else { String::new() };
        let shown = bench.ip(&self.node, &format!("-4 route show {of} proto 217"));
        let routes = shown.lines().filter(|line| !line.starts_with("unreachable default "));
        routes.map(str::to_owned).collect()
    }

    /// Where those routes lead, in order.
    #[must_use]
    pub fn destinations(&self, bench: &Bench) -> Vec<String> {
        let routes = self.routes(bench);
        let mut destinations: Vec<String> =
            routes.iter().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect();
        destinations.sort_unstable();
        destinations
    }

    /// Its neighbours, of `-4` or `-6`.
    #[must_use]
    pub fn neighbours(&self, bench: &Bench, family: &str) -> Vec<Value> {
        let of = if self.is_device { format!("vrf {}", self.name) } else { String::new() };
        bench.ip_json(&self.node, &format!("{family} neigh show {of}"))
    }

    /// Whether somebody in it gets an answer from an address within a tenth of a second.
    #[must_use]
    pub fn pings_at_once(&self, bench: &Bench, address: &str) -> bool {
        if !self.is_device {
            return bench.pings_at_once(&self.node, address);
        }
        let node = bench.namespace(&self.node);
        try_run(&format!("ip netns exec {node} ping -n -q -c 1 -W 0.1 -I {} {address}", self.name)).is_ok()
    }
}

impl Bench {
    /// The VRFs on a host.
    ///
    /// # Panics
    /// When the kernel shows a link without a name.
    #[must_use]
    pub fn vrfs_on(&self, host: &str) -> Vec<Vrf> {
        let prefix = self.namespace(&format!("{host}.vrf-"));
        let names = run("ip netns list");
        let names = names.split_whitespace().filter(|name| name.starts_with(&prefix));
        let namespaces = names.map(|name| {
            let name = format!("vrf-{}", &name[prefix.len()..]);
            Vrf { node: format!("{host}.{name}"), name, is_device: false }
        });
        let links = self.ip_json(host, "link show type vrf");
        let devices = links.iter().filter_map(|link| link["ifname"].as_str()).map(|name| Vrf {
            name: name.to_owned(),
            node: host.to_owned(),
            is_device: true,
        });
        namespaces.chain(devices).collect()
    }

    /// The VRF by which a packet from this workload goes on: it leads to the workload by its own leg.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn vrf_of(&self, node: &str) -> Vrf {
        let (host, _) = node.split_once('.').expect("a node is on a host");
        let own = self.address_of(node);
        let leads_there = |line: &String| line.starts_with(&format!("{own} ")) && line.contains("dev gw-");
        let mut vrfs = self.vrfs_on(host).into_iter();
        let its = vrfs.find(|vrf| vrf.routes(self).iter().any(leads_there));
        its.unwrap_or_else(|| panic!("no VRF of {host} leads to {node}, {own}"))
    }

    /// The first address of a workload.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn address_of(&self, node: &str) -> String {
        let shown = self.ip(node, "-br addr show dev eth0");
        let own = shown.split_whitespace().nth(2).and_then(|address| address.split('/').next());
        own.unwrap_or_else(|| panic!("{node} has no address")).to_owned()
    }

    /// How many VRFs are on a host.
    #[must_use]
    pub fn vrfs(&self, host: &str) -> usize {
        self.vrfs_on(host).len()
    }

    /// The host, and the nodes of the VRFs on it that have nodes of their own.
    #[must_use]
    pub fn routing_nodes(&self, host: &str) -> Vec<String> {
        let own = self.vrfs_on(host).into_iter().filter(|vrf| !vrf.is_device).map(|vrf| vrf.node);
        [host.to_owned()].into_iter().chain(own).collect()
    }
}
