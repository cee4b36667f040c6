//! Which routes are taken from a BGP peer, and which it is told: rules, of which the first that matches decides.

use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use weft_net::RouteTarget;

use super::family::{FAMILY, Family};
use crate::Refusal;
use crate::attribute::{Attribute, AttributeType};

/// A rule: with several conditions all have to hold, without any it always matches.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct PolicyRule {
    /// Whether what matches goes through.
    pub verdict: Verdict,
    /// The families that it is about; none: all.
    pub families: Vec<Family>,
    /// Prefixes in which the route's has to be.
    pub prefixes: Vec<IpNet>,
    /// How long the route's prefix is at least; if nothing is said, as long as that of the rule in which it is.
    pub length_min: Option<u8>,
    /// And at most; if nothing is said, as long as at least.
    pub length_max: Option<u8>,
    /// Route targets of which it has to have one.
    pub route_targets: Vec<RouteTarget>,
    /// Communities of which it has to have one.
    pub communities: Vec<Community>,
    /// Its LOCAL_PREF from then on.
    pub local_pref: Option<u32>,
    /// Its MULTI_EXIT_DISC.
    pub multi_exit_disc: Option<u32>,
    /// Communities that it gets besides.
    pub add_communities: Vec<Community>,
}

/// What becomes of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It goes through.
    Accept,
    /// It does not.
    Reject,
}

/// A community (RFC 1997): two numbers of 16 bits, as in `64512:100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Community(u32);

impl Community {
    /// As it is on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for Community {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (high, low) = text.split_once(':')?;
            Some(Self(u32::from(high.parse::<u16>().ok()?) << 16 | u32::from(low.parse::<u16>().ok()?)))
        };
        parse()
            .ok_or_else(|| format!("'{text}' is not a community: two numbers up to 65535, as in 64512:100"))
    }
}

impl TryFrom<String> for Community {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xffff)
    }
}

impl From<Community> for String {
    fn from(community: Community) -> Self {
        community.to_string()
    }
}

/// The longest community as a text.
const COMMUNITY: AttributeType = AttributeType::Text(11);
const LENGTH: AttributeType = AttributeType::Integer(0, 128);
const NUMBER: AttributeType = AttributeType::Integer(0, 0xffff_ffff);

/// A list of rules.
pub(super) const RULES: AttributeType = AttributeType::Objects(&[
    Attribute::required("verdict", AttributeType::OneOf(&["accept", "reject"]), "What becomes of a route"),
    Attribute::with_default("families", AttributeType::ListOf(&FAMILY), "[]", "Of one of these families"),
    Attribute::with_default(
        "prefixes",
        AttributeType::ListOf(&AttributeType::Cidr),
        "[]",
        "Whose prefix is in one of these",
    ),
    Attribute::with_default("length_min", LENGTH, "null", "And so long at least; if null, as long as that")
        .nullable(),
    Attribute::with_default("length_max", LENGTH, "null", "And so long at most; if null, as length_min")
        .nullable(),
    Attribute::with_default(
        "route_targets",
        AttributeType::ListOf(&AttributeType::RouteTarget),
        "[]",
        "With one of these route targets",
    ),
    Attribute::with_default(
        "communities",
        AttributeType::ListOf(&COMMUNITY),
        "[]",
        "With one of these communities, as 64512:100",
    ),
    Attribute::with_default("local_pref", NUMBER, "null", "The LOCAL_PREF that it gets").nullable(),
    Attribute::with_default("multi_exit_disc", NUMBER, "null", "The MULTI_EXIT_DISC that it gets").nullable(),
    Attribute::with_default(
        "add_communities",
        AttributeType::ListOf(&COMMUNITY),
        "[]",
        "Communities that it gets besides",
    ),
]);

/// A rule as it is asked for.
#[derive(serde::Deserialize)]
pub(super) struct RuleSpec {
    verdict: Verdict,
    families: Vec<Family>,
    prefixes: Vec<IpNet>,
    length_min: Option<u8>,
    length_max: Option<u8>,
    route_targets: Vec<RouteTarget>,
    communities: Vec<String>,
    local_pref: Option<u32>,
    multi_exit_disc: Option<u32>,
    add_communities: Vec<String>,
}

/// The rules that are asked for as the value of an attribute.
pub(super) fn rules(field: &str, specs: Vec<RuleSpec>) -> Result<Vec<PolicyRule>, Refusal> {
    let numbered = specs.into_iter().enumerate();
    numbered.map(|(at, spec)| spec.built(&format!("{field}[{at}]"))).collect()
}

impl RuleSpec {
    fn built(self, place: &str) -> Result<PolicyRule, Refusal> {
        self.check(place)?;
        Ok(PolicyRule {
            verdict: self.verdict,
            families: self.families,
            prefixes: self.prefixes,
            length_min: self.length_min,
            length_max: self.length_max,
            route_targets: self.route_targets,
            communities: communities(&format!("{place}.communities"), &self.communities)?,
            local_pref: self.local_pref,
            multi_exit_disc: self.multi_exit_disc,
            add_communities: communities(&format!("{place}.add_communities"), &self.add_communities)?,
        })
    }

    fn check(&self, place: &str) -> Result<(), Refusal> {
        let refused = |name: &str, rule: String| Err(Refusal::attribute(&format!("{place}.{name}"), rule));
        let sets_something =
            self.local_pref.is_some() || self.multi_exit_disc.is_some() || !self.add_communities.is_empty();
        if self.verdict == Verdict::Reject && sets_something {
            return refused("verdict", "a route that is rejected is not changed".into());
        }
        for (name, length) in [("length_min", self.length_min), ("length_max", self.length_max)] {
            let Some(length) = length else { continue };
            if self.prefixes.is_empty() {
                return refused(name, "there are no prefixes".into());
            }
            let bounds =
                self.prefixes.iter().find(|one| !(one.prefix_len()..=one.max_prefix_len()).contains(&length));
            if let Some(prefix) = bounds {
                return refused(name, format!("no prefix within '{prefix}' has a length of {length}"));
            }
        }
        match (self.length_min, self.length_max) {
            (Some(min), Some(max)) if max < min => {
                refused("length_max", format!("'{max}' is less than length_min, which is {min}"))
            }
            _ => Ok(()),
        }
    }
}

fn communities(place: &str, texts: &[String]) -> Result<Vec<Community>, Refusal> {
    let numbered = texts.iter().enumerate();
    let parse = |(at, text): (usize, &String)| {
        text.parse().map_err(|rule: String| Refusal::attribute(&format!("{place}[{at}]"), rule))
    };
    numbered.map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_community_is_two_numbers() {
        for text in ["0:0", "64512:100", "65535:65535"] {
            assert_eq!(text.parse::<Community>().unwrap().to_string(), text);
        }
        assert_eq!("64512:100".parse::<Community>().unwrap().get(), 64_512 << 16 | 100);
        for text in ["", "1", "1:", "65536:1", "1:65536", "1:2:3", "-1:2"] {
            assert!(text.parse::<Community>().unwrap_err().contains(&format!("'{text}'")), "{text}");
        }
    }
}
