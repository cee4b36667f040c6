//! Steps that were refused: held back until their time comes, while everything else goes on.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use weft_dataplane::{Key, Plan, Step, StepOutcome};

use crate::backoff::Backoff;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// How many turns in a row may follow at once on one during which something new came up.
const RUSHES_MAX: u32 = 3;

/// The refused steps, and when they are tried again: all together.
///
/// A step is held as it is; if the intent or the host changes so that the step would be another, that is tried at once.
pub(crate) struct Retry {
    held: BTreeMap<Key, Vec<Held>>,
    backoff: Backoff,
    due: Option<Duration>,
    /// The host changed during the last turn: there are steps that were never tried, and the next turn is due at once.
    rush: Option<Duration>,
    rushes: u32,
}

struct Held {
    step: Step,
    reason: String,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            held: BTreeMap::new(),
            backoff: Backoff::new(FIRST, LONGEST),
            due: None,
            rush: None,
            rushes: 0,
        }
    }
}

impl Retry {
    /// When the next turn is due, if one is.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.rush.or(self.due)
    }

    /// Whether no step is held back, so that all of a plan is to be done.
    pub(crate) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// The steps of a plan that are to be done now: all of them if it is time; else those that are not held, and those that need
    /// what these make, because that changes their prospects.
    pub(crate) fn select(&self, plan: Plan, now: Duration) -> Plan {
        if self.held.is_empty() || self.due.is_none_or(|due| due <= now) {
            return plan;
        }
        let mut going = HashSet::new();
        let mut steps = Vec::new();
        for step in &plan.steps {
            if self.reason(step).is_none() || needs(step).iter().any(|key| going.contains(key)) {
                going.insert(step.key());
                going.extend(other_end(step));
                steps.push(step.clone());
            }
        }
        Plan { steps, ..plan }
    }

    /// Why a step was refused when it was last tried.
    pub(crate) fn reason(&self, step: &Step) -> Option<&str> {
        let held = self.held.get(&step.key())?;
        held.iter().find(|held| held.step == *step).map(|held| held.reason.as_str())
    }

    /// Why the last attempt at the object with this key failed.
    pub(crate) fn reason_of(&self, key: &Key) -> Option<&str> {
        self.held.get(key).and_then(|held| held.first()).map(|held| held.reason.as_str())
    }

    /// Takes note of how steps went, and of what is left to do after them.
    pub(crate) fn note(&mut self, steps: Vec<Step>, outcomes: &[StepOutcome], left: &Plan, now: Duration) {
        let was_due = self.due.is_some_and(|due| due <= now);
        let is_new = |step: &Step| !self.held.contains_key(&step.key());
        let has_new = left.steps.iter().any(is_new);
        // Mostly nothing is left, of however much was done.
        let left_keys: HashSet<Key> = left.steps.iter().map(Step::key).collect();
        for (index, step) in steps.into_iter().enumerate() {
            if left_keys.is_empty() || !left_keys.contains(&step.key()) {
                continue;
            }
            let reason = match outcomes.get(index) {
                Some(Ok(())) => "it was done, but is not as it should be",
                Some(Err(error)) => error.reason.as_str(),
                None => "the driver did not say how it went",
            };
            self.hold(step, reason.to_owned());
        }
        self.forget_what_is_settled(left);
        let untried = left.steps.iter().any(|step| self.reason(step).is_none());
        self.rushes = if untried { self.rushes.saturating_add(1) } else { 0 };
        self.rush = (untried && self.rushes <= RUSHES_MAX).then_some(now);
        if left.steps.is_empty() {
            self.backoff.reset();
            self.due = None;
        } else if has_new {
            // What has only just failed may soon be possible, however long others have been failing.
            self.backoff.reset();
            self.due = Some(now + self.backoff.fail());
        } else if was_due {
            self.due = Some(now + self.backoff.fail());
        }
    }

    fn hold(&mut self, step: Step, reason: String) {
        let held = self.held.entry(step.key()).or_default();
        held.retain(|held| held.step != step);
        held.push(Held { step, reason });
    }

    fn forget_what_is_settled(&mut self, left: &Plan) {
        let mut before = std::mem::take(&mut self.held);
        for step in &left.steps {
            let Some(held) = before.get_mut(&step.key()) else { continue };
            if let Some(index) = held.iter().position(|held| held.step == *step) {
                let held = held.swap_remove(index);
                self.held.entry(step.key()).or_default().push(held);
            }
        }
    }
}

/// What comes to be with what a step makes.
fn other_end(step: &Step) -> Option<Key> {
    match step {
        Step::Create(object) | Step::Replace { to: object, .. } => object.other_end(),
        Step::Delete(_) => None,
    }
}

fn needs(step: &Step) -> Vec<Key> {
    match step {
        Step::Create(object) | Step::Replace { to: object, .. } => object.requires(),
        Step::Delete(_) => Vec::new(),
    }
}
