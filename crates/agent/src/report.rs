//! How a turn went, fragment by fragment.

use std::collections::BTreeMap;
use std::time::Duration;

use weft_dataplane::{FragmentId, HostIntent, Key, Plan};
use weft_protocol::{DecodeError, UnknownKind, Version, digest, wire};

use crate::drift::Drift;
use crate::retry::Retry;

/// The most fragments that a report names.
const FRAGMENTS_MAX: usize = 1000;
/// The most of which it has digests besides: half of what a message may be.
const DIGESTS_MAX: usize = 1 << 20;

/// How a turn went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnReport {
    /// The intent that it was made for; [`Version::NONE`]: there is none yet, and nothing was touched.
    pub version: Version,
    /// Nothing is left to make, change or remove. Something may still wait or be in conflict.
    pub at_rest: bool,
    /// How many steps were done.
    pub steps_done: u64,
    /// How many steps were refused.
    pub steps_failed: u64,
    /// The fragments of which something is not done, in their order; bounded.
    pub not_done: Vec<NotDone>,
    /// The fragments more that there would have been.
    pub cut: Cut,
    /// Why the host could not be looked at.
    pub observe_error: Option<String>,
    /// How many objects have been found other than they were left, since the beginning.
    pub drifts: u64,
    /// The last of them; bounded.
    pub last_drifts: Vec<Drift>,
    /// When the next turn is due by itself, on the clock that the turn was given.
    pub next_turn: Option<Duration>,
}

/// The fragments that a report does not name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// How many there are.
    pub count: u64,
    /// The digests of those that wait; bounded.
    pub waiting: Vec<u64>,
    /// The digests of all others; bounded.
    pub failed: Vec<u64>,
}

/// A fragment of which something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDone {
    /// Which one. `None`: nobody asks for the object (a removal that is refused).
    pub fragment: Option<FragmentId>,
    /// What is in the way.
    pub state: NotDoneState,
    /// The key of the object; empty if the fragment could not be read so far.
    pub key: String,
    /// The reason, for people.
    pub reason: String,
    /// How many objects more of the fragment are not done.
    pub more: u32,
}

/// What is in the way of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDoneState {
    /// It needs something that is not there, and that somebody else has to make.
    Waiting,
    /// It was tried and refused, or something that is not ours is in its place.
    Failed,
    /// Another fragment asks for something else under the same key, and was taken.
    Conflict,
    /// This version of the agent does not know such objects.
    UnknownKind,
}

/// What of a fragment this version of the agent cannot read.
pub(crate) enum Defect {
    Unknown(Vec<UnknownKind>),
    Unreadable(DecodeError),
}

/// The findings of a turn, gathered by fragment.
#[derive(Default)]
pub(crate) struct Findings {
    by_fragment: BTreeMap<Option<FragmentId>, NotDone>,
}

impl Findings {
    /// What is left of a plan. The first finding of a fragment is shown, so what is worst comes first.
    pub(crate) fn of_plan(left: &Plan, intent: &HostIntent, retry: &Retry) -> Self {
        let mut findings = Self::default();
        for step in &left.steps {
            let reason = retry.reason(step).unwrap_or("it came up during the turn");
            findings.add_all(intent, &step.key(), NotDoneState::Failed, reason);
        }
        for blocked in &left.blocked {
            findings.add_all(intent, &blocked.key, NotDoneState::Failed, "it exists and is not ours");
        }
        for key in intent.conflicts() {
            let mut asked_by = intent.asked_by(key);
            let Some(taken) = asked_by.next() else { continue };
            let reason = format!("{taken} asks for another, which is taken");
            for fragment in asked_by {
                findings.add(Some(fragment), NotDoneState::Conflict, key.to_string(), &reason);
            }
        }
        for waiting in &left.waiting {
            let reason = if waiting.missing == waiting.key {
                "it is not there, and not ours to make".to_owned()
            } else {
                format!("it waits for {}", waiting.missing)
            };
            findings.add_all(intent, &waiting.key, NotDoneState::Waiting, &reason);
        }
        findings
    }

    pub(crate) fn add_defects(&mut self, defects: &BTreeMap<FragmentId, Defect>) {
        for (fragment, defect) in defects {
            match defect {
                Defect::Unknown(unknown) => {
                    for unknown in unknown {
                        let reason = unknown.to_string();
                        self.add(Some(fragment), NotDoneState::UnknownKind, String::new(), &reason);
                    }
                }
                Defect::Unreadable(error) => {
                    let reason = format!("it cannot be read: {error}");
                    self.add(Some(fragment), NotDoneState::Failed, String::new(), &reason);
                }
            }
        }
    }

    fn add_all(&mut self, intent: &HostIntent, key: &Key, state: NotDoneState, reason: &str) {
        let mut nobody = true;
        for fragment in intent.asked_by(key) {
            nobody = false;
            self.add(Some(fragment), state, key.to_string(), reason);
        }
        if nobody {
            self.add(None, state, key.to_string(), reason);
        }
    }

    fn add(&mut self, fragment: Option<&FragmentId>, state: NotDoneState, key: String, reason: &str) {
        let fragment = fragment.cloned();
        self.by_fragment.entry(fragment.clone()).and_modify(|entry| entry.more += 1).or_insert_with(|| {
            let reason = reason.to_owned();
            NotDone { fragment, state, key, reason, more: 0 }
        });
    }

    /// The entries, and what is cut off.
    pub(crate) fn into_bounded(self) -> (Vec<NotDone>, Cut) {
        let count = self.by_fragment.len().saturating_sub(FRAGMENTS_MAX) as u64;
        let mut entries = self.by_fragment.into_values();
        let named = entries.by_ref().take(FRAGMENTS_MAX).collect();
        let mut cut = Cut { count, ..Cut::default() };
        for entry in entries.take(DIGESTS_MAX) {
            let Some(FragmentId { service, subject }) = &entry.fragment else { continue };
            let digest = digest(service, subject);
            match entry.state {
                NotDoneState::Waiting => cut.waiting.push(digest),
                NotDoneState::Failed | NotDoneState::Conflict | NotDoneState::UnknownKind => {
                    cut.failed.push(digest);
                }
            }
        }
        (named, cut)
    }
}

impl From<&TurnReport> for wire::Status {
    fn from(report: &TurnReport) -> Self {
        Self {
            version: Some(report.version.into()),
            at_rest: report.at_rest,
            steps_done: report.steps_done,
            steps_failed: report.steps_failed,
            not_done: report.not_done.iter().map(wire::NotDone::from).collect(),
            not_done_cut: report.cut.count,
            observe_error: report.observe_error.clone().unwrap_or_default(),
            drifts: report.drifts,
            last_drifts: report.last_drifts.iter().map(wire::Drift::from).collect(),
            cut_waiting: report.cut.waiting.clone(),
            cut_failed: report.cut.failed.clone(),
        }
    }
}

impl From<&NotDone> for wire::NotDone {
    fn from(entry: &NotDone) -> Self {
        use wire::not_done::State;
        let state = match entry.state {
            NotDoneState::Waiting => State::Waiting,
            NotDoneState::Failed => State::Failed,
            NotDoneState::Conflict => State::Conflict,
            NotDoneState::UnknownKind => State::UnknownKind,
        };
        let (service, subject) = match &entry.fragment {
            Some(id) => (id.service.to_string(), id.subject.to_string()),
            None => (String::new(), String::new()),
        };
        let (key, reason) = (entry.key.clone(), entry.reason.clone());
        Self { service, subject, state: state.into(), key, reason, more: entry.more }
    }
}
