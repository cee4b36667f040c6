//! What was freed and waits for hosts to confirm that they have it no longer, host by host.

use std::collections::BTreeMap;

use weft_client::Status;

/// How much of what waits for a host is named.
const NAMED_MAX: usize = 8;

/// A host that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Awaited {
    /// Its name.
    pub(crate) host: String,
    /// Whether its agent is connected.
    pub(crate) is_alive: bool,
    /// What waits, in words: `VNI 5000 waits for host1`.
    pub(crate) finding: String,
}

/// The hosts that are waited for.
pub(crate) fn awaited(status: &Status) -> Vec<Awaited> {
    let mut waiting: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in &status.quarantine {
        waiting.entry(&one.host).or_default().push(&one.what);
    }
    let awaited = waiting.into_iter().map(|(host, what)| Awaited {
        host: host.to_owned(),
        is_alive: status.hosts.iter().any(|known| known.name == host && known.alive),
        finding: finding(host, &what),
    });
    awaited.collect()
}

fn finding(host: &str, what: &[&str]) -> String {
    let named = what[..what.len().min(NAMED_MAX)].join(", ");
    let more = what.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let verb = if what.len() == 1 { "waits" } else { "wait" };
    format!("{named}{more} {verb} for {host}")
}
