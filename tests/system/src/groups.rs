//! The groups of next hops on a host, bucket by bucket: which flows would move, whether or not somebody sends them just then.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Bench;

/// A resilient group of next hops.
#[derive(Debug)]
pub struct Group {
    /// The node that it is on, and its number there.
    id: (String, u64),
    /// Numbers of next hops, and the weight of each, in the kernel's order.
    members: Vec<(u64, usize)>,
    buckets: Vec<Bucket>,
    seen_at: Instant,
}

/// What some of the flows have in common.
#[derive(Debug)]
struct Bucket {
    index: u64,
    /// The member by which they go.
    member: u64,
    silent: Duration,
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

impl Bench {
    /// The groups of next hops on a host, in all of its VRFs.
    #[must_use]
    pub fn groups(&self, host: &str) -> Vec<Group> {
        self.routing_nodes(host).iter().flat_map(|node| self.groups_in(node)).collect()
    }

    fn groups_in(&self, node: &str) -> Vec<Group> {
        let hops = self.ip_json(node, "nexthop");
        let buckets = self.ip_json(node, "nexthop bucket");
        let seen_at = Instant::now();
        let member = |one: &Value| (number(&one["id"]), one["weight"].as_u64().unwrap_or(1) as usize);
        let bucket = |one: &Value| Bucket {
            index: number(&one["bucket"]["index"]),
            member: number(&one["bucket"]["nhid"]),
            silent: Duration::from_secs_f64(one["bucket"]["idle_time"].as_f64().expect("a time")),
        };
        let group = |hop: &Value| Group {
            id: (node.to_owned(), number(&hop["id"])),
            members: hop["group"].as_array().into_iter().flatten().map(member).collect(),
            buckets: buckets.iter().filter(|one| one["id"] == hop["id"]).map(bucket).collect(),
            seen_at,
        };
        hops.iter().filter(|hop| hop["group"].is_array()).map(group).collect()
    }
}

impl Group {
    /// The weight of all of its members.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.members.iter().map(|(_, weight)| weight).sum()
    }

    /// Whether each member has just the part of the buckets that is due to it: none will be given to another.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let (all, total) = (self.buckets.len(), self.weight());
        let (mut before, mut weight) = (0, 0);
        self.members.iter().all(|(id, own)| {
            weight += own;
            // As the kernel rounds: to the nearest number of all that this one and those before it are to have.
            let until = (all * weight + total / 2) / total;
            let due = until - std::mem::replace(&mut before, until);
            self.buckets.iter().filter(|bucket| bucket.member == *id).count() == due
        })
    }

    /// The buckets that somebody has spoken in since then.
    fn in_use(&self, since: Instant) -> impl Iterator<Item = &Bucket> {
        let within = self.seen_at.duration_since(since);
        self.buckets.iter().filter(move |bucket| bucket.silent < within)
    }

    /// How many buckets somebody has spoken in since then.
    #[must_use]
    pub fn count_in_use(&self, since: Instant) -> usize {
        self.in_use(since).count()
    }

    /// The buckets, of those that somebody had spoken in since then, that are another member's in `after` although their own has stayed.
    #[must_use]
    pub fn moved(&self, since: Instant, after: &[Self]) -> Vec<String> {
        let Some(after) = after.iter().find(|group| group.id == self.id) else { return Vec::new() };
        let now: BTreeMap<u64, u64> =
            after.buckets.iter().map(|bucket| (bucket.index, bucket.member)).collect();
        let stays = |bucket: &&Bucket| after.members.iter().any(|(id, _)| *id == bucket.member);
        let others = self.in_use(since).filter(stays).filter(|bucket| now[&bucket.index] != bucket.member);
        others.map(|bucket| format!("{:?} {bucket:?}: now {}", self.id, now[&bucket.index])).collect()
    }
}
