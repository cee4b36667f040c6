//! What has become other than it was left, although nobody asked for it: somebody took it away, changed it, or put it there.
//!
//! A host is *left* when nothing is to do. What is to do at the same version afterwards is drift, but for what waited for somebody
//! else: that goes on when it is there.

use std::collections::{BTreeSet, VecDeque};

use weft_dataplane::{FragmentId, HostIntent, Key, Plan, Step};
use weft_protocol::{Version, wire};

/// The most that are told one by one.
const TOLD_MAX: usize = 32;

/// An object that was found other than it was left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// How many there have been before it, and it.
    pub number: u64,
    /// The first of the fragments that ask for it; `None`: nobody does.
    pub fragment: Option<FragmentId>,
    /// Its key.
    pub key: String,
    /// Whether it is a route.
    pub is_route: bool,
    /// How it was found.
    pub found: Found,
}

/// How an object was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is not there.
    Missing,
    /// It is another.
    Changed,
    /// It is there, and should not be.
    Extra,
}

/// Watches for drift.
#[derive(Default)]
pub(crate) struct DriftWatch {
    /// The version at which the host was left, and what waited then.
    left: Option<(Version, BTreeSet<Key>)>,
    count: u64,
    last: VecDeque<Drift>,
}

impl DriftWatch {
    /// Looks at what is to do.
    pub(crate) fn look(&mut self, version: Version, plan: &Plan, intent: &HostIntent) {
        let Some((at, waited)) = self.left.take() else { return };
        if at != version {
            return;
        }
        for step in plan.steps.iter().filter(|step| !waited.contains(&step.key())) {
            let key = step.key();
            self.count += 1;
            if self.last.len() == TOLD_MAX {
                self.last.pop_front();
            }
            self.last.push_back(Drift {
                number: self.count,
                fragment: intent.asked_by(&key).next().cloned(),
                key: key.to_string(),
                is_route: matches!(key, Key::Route(..)),
                found: match step {
                    Step::Create(_) => Found::Missing,
                    Step::Replace { .. } => Found::Changed,
                    Step::Delete(_) => Found::Extra,
                },
            });
        }
    }

    /// Notes how a turn ends.
    pub(crate) fn end(&mut self, version: Version, left: &Plan) {
        let waiting = left.waiting.iter().map(|waiting| waiting.key.clone());
        let blocked = left.blocked.iter().map(|blocked| blocked.key.clone());
        self.left = left.is_at_rest().then(|| (version, waiting.chain(blocked).collect()));
    }

    /// How many there have been, and the last of them.
    pub(crate) fn told(&self) -> (u64, Vec<Drift>) {
        (self.count, self.last.iter().cloned().collect())
    }
}

impl From<&Drift> for wire::Drift {
    fn from(drift: &Drift) -> Self {
        use wire::drift::Found as Wire;
        let (service, subject) = match &drift.fragment {
            Some(id) => (id.service.to_string(), id.subject.to_string()),
            None => (String::new(), String::new()),
        };
        let found = match drift.found {
            Found::Missing => Wire::Missing,
            Found::Changed => Wire::Changed,
            Found::Extra => Wire::Extra,
        };
        Self { number: drift.number, service, subject, key: drift.key.clone(), found: found.into() }
    }
}
