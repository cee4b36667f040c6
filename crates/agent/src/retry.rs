//! Steps that were refused: held back until their time comes, while everything else goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use weft_dataplane::{Key, Plan, Step, StepOutcome};

use crate::backoff::Backoff;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// The refused steps, and when they are tried again: all together.
///
/// A step is held as it is; if the intent or the host changes so that the step would be another, that is tried at once.
pub(crate) struct Retry {
    held: BTreeMap<Key, Vec<Held>>,
    backoff: Backoff,
    due: Option<Duration>,
}

struct Held {
    step: Step,
    reason: String,
}

impl Default for Retry {
    fn default() -> Self {
        Self { held: BTreeMap::new(), backoff: Backoff::new(FIRST, LONGEST), due: None }
    }
}

impl Retry {
    /// When the next attempt is due, if one is.
    pub(crate) const fn due(&self) -> Option<Duration> {
        self.due
    }

    /// The steps of a plan that are to be done now.
    pub(crate) fn select(&mut self, plan: &Plan, now: Duration) -> Vec<Step> {
        let is_due = self.due.is_none_or(|due| due <= now);
        let wanted = |step: &&Step| is_due || self.reason(step).is_none();
        plan.steps.iter().filter(wanted).cloned().collect()
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
        for (index, step) in steps.into_iter().enumerate() {
            let reason = match outcomes.get(index) {
                Some(Ok(())) => "it was done, but is not as it should be",
                Some(Err(error)) => error.reason.as_str(),
                None => "the driver did not say how it went",
            };
            self.hold(step, reason.to_owned());
        }
        self.forget_what_is_settled(left);
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
