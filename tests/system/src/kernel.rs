//! What the kernel has, as `ip` and `bridge` show it.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::Bench;

/// Runs a command that must succeed; answers what it printed.
///
/// # Panics
/// When it does not succeed.
pub fn run(command: &str) -> String {
    try_run(command).unwrap_or_else(|error| panic!("'{command}': {error}"))
}

/// Runs a command; answers what it printed, or what it complained of.
///
/// # Errors
/// When it does not succeed.
///
/// # Panics
/// When there is no such program.
pub fn try_run(command: &str) -> Result<String, String> {
    let mut words = command.split_whitespace();
    let program = words.next().expect("a command has a first word");
    let output =
        Command::new(program).args(words).output().unwrap_or_else(|error| panic!("'{program}': {error}"));
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = [output.stdout, output.stderr].concat();
        Err(String::from_utf8_lossy(&said).into_owned())
    }
}

impl Bench {
    /// The name of a node's namespace: `host1`, `host1.web1`.
    #[must_use]
    pub fn namespace(&self, node: &str) -> String {
        format!("{}.{node}", self.lab().name())
    }

    /// `ip` within a node.
    pub fn ip(&self, node: &str, arguments: &str) -> String {
        run(&format!("ip -n {} {arguments}", self.namespace(node)))
    }

    /// `bridge` within a node.
    pub fn bridge(&self, node: &str, arguments: &str) -> String {
        run(&format!("bridge -n {} {arguments}", self.namespace(node)))
    }

    /// A table of `ip -j`.
    #[must_use]
    pub fn ip_json(&self, node: &str, arguments: &str) -> Vec<Value> {
        table(&run(&format!("ip -j -n {} {arguments}", self.namespace(node))))
    }

    /// A table of `bridge -j`.
    #[must_use]
    pub fn bridge_json(&self, node: &str, arguments: &str) -> Vec<Value> {
        table(&run(&format!("bridge -j -n {} {arguments}", self.namespace(node))))
    }

    /// The links within a node, by name, with their indexes.
    ///
    /// # Panics
    /// When the kernel shows a link without.
    #[must_use]
    pub fn links(&self, node: &str) -> BTreeMap<String, u64> {
        let entry = |link: &Value| {
            let name = link["ifname"].as_str().expect("a link has a name").to_owned();
            (name, link["ifindex"].as_u64().expect("a link has an index"))
        };
        self.ip_json(node, "link show").iter().map(entry).collect()
    }

    /// The MAC address of a link within a node.
    ///
    /// # Panics
    /// When there is no such link.
    #[must_use]
    pub fn mac_of(&self, node: &str, link: &str) -> String {
        let link = self.ip_json(node, &format!("link show {link}"));
        link[0]["address"].as_str().expect("a MAC address").to_owned()
    }

    /// How often the carrier of a link within a node has changed.
    ///
    /// # Panics
    /// When there is no such link.
    #[must_use]
    pub fn carrier_changes(&self, node: &str, link: &str) -> u64 {
        let text =
            run(&format!("ip netns exec {} cat /sys/class/net/{link}/carrier_changes", self.namespace(node)));
        text.trim().parse().expect("the kernel counts")
    }

    /// Whether a workload gets an answer from an address within a second.
    #[must_use]
    pub fn pings(&self, node: &str, address: &str) -> bool {
        try_run(&format!("ip netns exec {} ping -n -q -c 1 -W 1 {address}", self.namespace(node))).is_ok()
    }

    /// The same, for who asks again and again: within a tenth of a second.
    #[must_use]
    pub fn pings_at_once(&self, node: &str, address: &str) -> bool {
        let command = format!("ip netns exec {} ping -n -q -c 1 -W 0.1 {address}", self.namespace(node));
        try_run(&command).is_ok()
    }

    /// The nodes of the lab that are hosts or workloads, as the kernel has them.
    ///
    /// # Panics
    /// When the namespaces cannot be listed.
    #[must_use]
    pub fn nodes(&self) -> Vec<String> {
        let prefix = format!("{}.host", self.lab().name());
        let own = format!("{}.", self.lab().name());
        let names = std::fs::read_dir("/run/netns").expect("namespaces can be listed");
        let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut nodes: Vec<String> = names
            .filter(|name| name.starts_with(&prefix))
            .map(|name| name.trim_start_matches(&own).to_owned())
            .collect();
        nodes.sort();
        nodes
    }

    /// The links of all hosts and workloads: what has another index afterwards was made anew.
    #[must_use]
    pub fn all_links(&self) -> BTreeMap<String, u64> {
        let of = |node: &String| {
            let links = self.links(node).into_iter();
            links.map(|(name, index)| (format!("{node}/{name}"), index)).collect::<Vec<_>>()
        };
        self.nodes().iter().flat_map(of).collect()
    }

    /// How many frames have come in by each link of all hosts and workloads, and gone out by it.
    ///
    /// # Panics
    /// When a node cannot be asked.
    #[must_use]
    pub fn frames(&self) -> BTreeMap<String, u64> {
        let of = |node: &String| {
            let text = self.within(node, || std::fs::read_to_string("/proc/thread-self/net/dev"));
            let text = text.unwrap_or_else(|error| panic!("{node}: {error}"));
            // Two lines of headings; of each link, eight numbers of what came in, and eight of what went out.
            let counts = |line: &str| {
                let (link, counts) = line.split_once(':')?;
                let counts: Vec<&str> = counts.split_whitespace().collect();
                let count = |at: usize| counts.get(at)?.parse::<u64>().ok();
                let name = format!("{node}/{}", link.trim());
                Some([(format!("{name} in"), count(1)?), (format!("{name} out"), count(9)?)])
            };
            text.lines().skip(2).filter_map(counts).flatten().collect::<Vec<_>>()
        };
        self.nodes().iter().flat_map(of).collect()
    }

    /// The forwarding entries of a host that somebody put there: no learned ones, no links' own addresses.
    #[must_use]
    pub fn static_fdb(&self, host: &str) -> Vec<String> {
        let text = self.bridge(host, "fdb show");
        let mut entries: Vec<String> = text
            .lines()
            .filter(|line| line.contains(" dev vx") && !line.contains("permanent"))
            .map(|line| line.trim().to_owned())
            .collect();
        entries.sort();
        entries
    }
}

fn table(text: &str) -> Vec<Value> {
    match serde_json::from_str(text) {
        Ok(Value::Array(rows)) => rows,
        _ if text.trim().is_empty() => Vec::new(),
        other => panic!("{other:?} is no table"),
    }
}
