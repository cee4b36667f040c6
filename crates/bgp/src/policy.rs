//! Which routes are taken from a neighbour or sent to it, and changed how.
//!
//! A policy is a list of rules; the first that matches a route decides. A route that none matches is rejected: a policy that is
//! to let through what it does not mention ends with a rule without conditions.

use ipnet::IpNet;
use weft_net::RouteTarget;

use crate::text;
use crate::wire::{Attributes, Community, Destination, EvpnDestination, Family};

/// Rules, of which the first that matches decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Policy(pub Vec<Rule>);

/// A rule: with several conditions all have to hold; without any it always matches.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The families it is about; empty for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "text::families")]
    pub families: Vec<Family>,
    /// One of these covers the route's prefix; EVPN routes have one in type 5 only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<PrefixRange>,
    /// The route has one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub route_targets: Vec<RouteTarget>,
    /// The route has one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "text::communities")]
    pub communities: Vec<Community>,
    /// Whether what matches goes through.
    pub verdict: Verdict,
    /// How it is changed then.
    #[serde(default)]
    pub set: Edits,
}

/// A prefix and how long those within it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefixRange {
    /// The prefix.
    pub prefix: IpNet,
    /// The shortest length; the prefix's own if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_min: Option<u8>,
    /// The longest; the shortest if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length_max: Option<u8>,
}

/// What becomes of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It goes through.
    Accept,
    /// It does not.
    Reject,
}

/// How a route is changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edits {
    /// LOCAL_PREF.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_pref: Option<u32>,
    /// MULTI_EXIT_DISC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multi_exit_disc: Option<u32>,
    /// Communities that are added.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "text::communities")]
    pub add_communities: Vec<Community>,
    /// The next hop, of routes that are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<NextHopRule>,
}

/// Which next hop a route is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextHopRule {
    /// Our address in the session.
    OwnAddress,
    /// That which the route has.
    Unchanged,
}

impl Policy {
    /// The rule that lets a route through, by its number; nothing if it is rejected.
    #[must_use]
    pub fn evaluate(&self, destination: &Destination, attributes: &Attributes) -> Option<(usize, &Edits)> {
        let (number, rule) =
            self.0.iter().enumerate().find(|(_, rule)| rule.matches(destination, attributes))?;
        (rule.verdict == Verdict::Accept).then_some((number, &rule.set))
    }
}

impl Rule {
    fn matches(&self, destination: &Destination, attributes: &Attributes) -> bool {
        let has_target = || {
            let targets =
                attributes.extended_communities().iter().filter_map(|community| community.route_target());
            targets.into_iter().any(|target| self.route_targets.contains(&target))
        };
        let has_community =
            || attributes.communities().iter().any(|community| self.communities.contains(community));
        (self.families.is_empty() || self.families.contains(&destination.family()))
            && (self.prefixes.is_empty() || prefix_of(destination).is_some_and(|prefix| self.covers(prefix)))
            && (self.route_targets.is_empty() || has_target())
            && (self.communities.is_empty() || has_community())
    }

    fn covers(&self, prefix: IpNet) -> bool {
        self.prefixes.iter().any(|range| range.covers(prefix))
    }
}

impl PrefixRange {
    fn covers(&self, prefix: IpNet) -> bool {
        let min = self.length_min.unwrap_or(self.prefix.prefix_len());
        let max = self.length_max.unwrap_or(min);
        self.prefix.contains(&prefix) && (min..=max).contains(&prefix.prefix_len())
    }
}

impl Edits {
    /// Makes the changes that do not depend on a session.
    pub(crate) fn apply(&self, attributes: &mut Attributes) {
        attributes.local_pref = self.local_pref.or(attributes.local_pref);
        attributes.multi_exit_disc = self.multi_exit_disc.or(attributes.multi_exit_disc);
        if !self.add_communities.is_empty() {
            let communities = [attributes.communities(), &self.add_communities[..]].concat();
            attributes.set_communities(communities);
        }
    }
}

/// The prefix that a destination has.
pub(crate) fn prefix_of(destination: &Destination) -> Option<IpNet> {
    match destination {
        Destination::Ipv4(prefix) => Some((*prefix).into()),
        Destination::Ipv6(prefix) => Some((*prefix).into()),
        Destination::Vpnv4(route) => Some(route.prefix.into()),
        Destination::Vpnv6(route) => Some(route.prefix.into()),
        Destination::Evpn(EvpnDestination::IpPrefix { prefix, .. }) => Some(*prefix),
        Destination::Evpn(_) | Destination::RouteTarget(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::NextHop;

    fn rules(json: &str) -> Policy {
        serde_json::from_str(json).unwrap()
    }

    fn is_accepted(policy: &Policy, prefix: &str, communities: &[u32]) -> bool {
        let mut attributes = Attributes::new(NextHop::Ipv4([192, 0, 2, 1].into()));
        attributes.set_communities(communities.iter().map(|&number| Community(number)));
        policy.evaluate(&Destination::Ipv4(prefix.parse().unwrap()), &attributes).is_some()
    }

    #[test]
    fn the_first_rule_that_matches_decides_and_without_one_a_route_is_rejected() {
        let policy = rules(
            r#"[{"prefixes": [{"prefix": "10.0.0.0/8", "length_min": 16, "length_max": 24}], "verdict": "reject"},
                {"communities": ["65000:1"], "prefixes": [{"prefix": "10.0.0.0/8", "length_max": 32}], "verdict": "accept"}]"#,
        );
        let community = [65_000 << 16 | 1];
        assert!(!is_accepted(&policy, "10.1.0.0/16", &community));
        assert!(is_accepted(&policy, "10.1.2.0/25", &community));
        assert!(!is_accepted(&policy, "10.1.2.0/25", &[]));
        assert!(!is_accepted(&policy, "11.0.0.0/8", &community));
        assert!(!is_accepted(&Policy::default(), "11.0.0.0/8", &community));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let wrong = r#"[{"verdict": "accept", "prefix": "10.0.0.0/8"}]"#;
        assert!(
            serde_json::from_str::<Policy>(wrong).unwrap_err().to_string().contains("unknown field `prefix`")
        );
        let wrong = r#"[{"verdict": "accept", "families": ["ipv5"]}]"#;
        assert!(serde_json::from_str::<Policy>(wrong).unwrap_err().to_string().contains("ipv5"));
    }
}
