//! Which path is the best (RFC 4271 §9.1.2.2, with what RFC 4456, 7432 and 9494 add), and why.
//!
//! Each step leaves those that are best by its rule; with one left, it is decided. So the outcome does not depend on the order in
//! which paths came, in spite of MULTI_EXIT_DISC, which compares only paths of one neighbouring AS. All next hops are taken to be
//! reachable at the same cost: nothing here knows of the routes beneath.

use std::cmp::Reverse;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::AttributeSet;
use crate::wire::Origin;

/// Who a path is from, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) kind: SourceKind,
    /// The neighbour's BGP identifier.
    pub(crate) router_id: Ipv4Addr,
    pub(crate) address: IpAddr,
    /// Whether we reflect to and from it (RFC 4456).
    pub(crate) is_client: bool,
}

impl Source {
    /// A neighbour that has not opened a session yet.
    pub(crate) const fn unknown(address: IpAddr) -> Self {
        Self { kind: SourceKind::Internal, router_id: Ipv4Addr::UNSPECIFIED, address, is_client: false }
    }
}

/// What a source is to us; better ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SourceKind {
    /// A neighbour of our AS.
    Internal,
    /// A neighbour of another AS.
    External,
    /// We ourselves.
    Local,
}

/// A path that is compared with others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) attributes: &'a AttributeSet,
    pub(crate) source: Source,
    pub(crate) path_id: u32,
    pub(crate) is_long_lived_stale: bool,
}

/// The rule by which the last competitor was beaten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// There is no competitor.
    OnlyPath,
    /// A sticky MAC address, or one with a higher sequence number (RFC 7432 §15).
    MacMobility,
    /// Not stale for long (RFC 9494 §4.3).
    NotLongLivedStale,
    /// The highest LOCAL_PREF.
    LocalPreference,
    /// Originated here.
    Local,
    /// The shortest AS_PATH.
    AsPathLength,
    /// The lowest ORIGIN.
    Origin,
    /// The lowest MULTI_EXIT_DISC of one neighbouring AS.
    MultiExitDiscriminator,
    /// From another AS rather than from within.
    External,
    /// The lowest BGP identifier, of the originator if the path was reflected (RFC 4456 §9).
    RouterId,
    /// The shortest CLUSTER_LIST (RFC 4456 §9).
    ClusterListLength,
    /// The lowest address of a neighbour.
    PeerAddress,
    /// The lowest path identifier.
    PathId,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OnlyPath => "it is the only path",
            Self::MacMobility => "its MAC address moved last, or never moves (RFC 7432 §15)",
            Self::NotLongLivedStale => "it is not stale for long (RFC 9494)",
            Self::LocalPreference => "its LOCAL_PREF is higher",
            Self::Local => "it is originated here",
            Self::AsPathLength => "its AS_PATH is shorter",
            Self::Origin => "its ORIGIN is lower",
            Self::MultiExitDiscriminator => "its MULTI_EXIT_DISC is lower",
            Self::External => "it is from another AS",
            Self::RouterId => "its router's BGP identifier is lower",
            Self::ClusterListLength => "its CLUSTER_LIST is shorter",
            Self::PeerAddress => "its neighbour's address is lower",
            Self::PathId => "its path identifier is lower",
        })
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) best: usize,
    /// Why.
    pub(crate) step: Step,
    /// Who was beaten by that step.
    pub(crate) runner_up: Option<usize>,
    /// Those that are as good as the best up to the tie-breakers, it included: traffic may be shared among them.
    pub(crate) equal: Vec<usize>,
}

/// LOCAL_PREF of a path that has none.
pub(crate) const DEFAULT_LOCAL_PREF: u32 = 100;

/// Decides among paths; nothing if there are none.
pub(crate) fn decide(paths: &[Candidate<'_>]) -> Option<Decision> {
    contest(paths, None)
}

/// What was decided, and who was beaten at which step, in the order of steps.
pub(crate) type Traced = (Decision, Vec<(usize, Step)>);

/// As [`decide`], and notes how it came to that.
pub(crate) fn decide_and_trace(paths: &[Candidate<'_>]) -> Option<Traced> {
    let mut beaten = Vec::new();
    let decision = contest(paths, Some(&mut beaten))?;
    Some((decision, beaten))
}

fn contest<'a>(paths: &'a [Candidate<'a>], beaten: Option<&'a mut Vec<(usize, Step)>>) -> Option<Decision> {
    let left = (0..paths.len()).collect();
    let mut contest = Contest { paths, left, step: Step::OnlyPath, runner_up: None, beaten };
    contest.highest(Step::MacMobility, |path| path.attributes.mobility);
    contest.highest(Step::NotLongLivedStale, |path| {
        !(path.is_long_lived_stale || path.attributes.is_long_lived_stale)
    });
    contest.highest(Step::LocalPreference, local_pref);
    contest.highest(Step::Local, |path| path.source.kind == SourceKind::Local);
    contest.highest(Step::AsPathLength, |path| Reverse(path.attributes.as_path_length));
    contest.highest(Step::Origin, |path| Reverse(origin_rank(path.attributes.attributes.origin)));
    contest.lowest_med();
    contest.highest(Step::External, |path| path.source.kind);
    let equal = contest.left.clone();
    contest.highest(Step::RouterId, |path| {
        Reverse(path.attributes.originator().unwrap_or(path.source.router_id))
    });
    contest.highest(Step::ClusterListLength, |path| Reverse(path.attributes.cluster_list_length()));
    contest.highest(Step::PeerAddress, |path| Reverse(path.source.address));
    contest.highest(Step::PathId, |path| Reverse(path.path_id));
    let best = *contest.left.first()?;
    Some(Decision { best, step: contest.step, runner_up: contest.runner_up, equal })
}

fn local_pref(path: &Candidate<'_>) -> u32 {
    path.attributes.attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF)
}

const fn origin_rank(origin: Origin) -> u8 {
    match origin {
        Origin::Igp => 0,
        Origin::Egp => 1,
        Origin::Incomplete => 2,
    }
}

/// The paths that are not beaten yet.
struct Contest<'a> {
    paths: &'a [Candidate<'a>],
    left: Vec<usize>,
    step: Step,
    runner_up: Option<usize>,
    /// Where who was beaten is noted, if somebody wants to know.
    beaten: Option<&'a mut Vec<(usize, Step)>>,
}

impl Contest<'_> {
    fn highest<T: Ord>(&mut self, step: Step, worth: impl Fn(&Candidate<'_>) -> T) {
        let Some(highest) = self.left.iter().map(|&index| worth(&self.paths[index])).max() else { return };
        let paths = self.paths;
        self.keep(step, |index| worth(&paths[index]) == highest);
    }

    /// RFC 4271 §9.1.2.2 c: a path goes if another of the same neighbouring AS has a lower value; none is as zero.
    fn lowest_med(&mut self) {
        let med = |index: usize| self.paths[index].attributes.attributes.multi_exit_disc.unwrap_or(0);
        let neighbor = |index: usize| self.paths[index].attributes.neighbor_as;
        let is_beaten = |index: usize| {
            self.left.iter().any(|&other| neighbor(other) == neighbor(index) && med(other) < med(index))
        };
        let kept: Vec<usize> = self.left.iter().copied().filter(|&index| !is_beaten(index)).collect();
        self.keep(Step::MultiExitDiscriminator, |index| kept.contains(&index));
    }

    fn keep(&mut self, step: Step, is_kept: impl Fn(usize) -> bool) {
        if self.left.len() < 2 {
            return;
        }
        if let Some(&beaten) = self.left.iter().find(|&&index| !is_kept(index)) {
            (self.step, self.runner_up) = (step, Some(beaten));
            if let Some(noted) = &mut self.beaten {
                noted.extend(self.left.iter().filter(|&&index| !is_kept(index)).map(|&index| (index, step)));
            }
            self.left.retain(|&index| is_kept(index));
        }
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
