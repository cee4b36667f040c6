//! What could not be begun, and when it is tried again: after pauses that double. Pure.
//!
//! ```text
//!  begin ── failed ──> waits 1 s, 2 s, 4 s … 60 s ── due ──> begin ── succeeded, or not wanted any more ──> forgotten
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use weft_services::Id;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What may not begin at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Beginner {
    /// What neighbours connect to.
    Listener,
    /// A speaker.
    Speaker(Id),
}

impl fmt::Display for Beginner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener => f.write_str("BGP listener"),
            Self::Speaker(id) => write!(f, "BGP speaker {id}"),
        }
    }
}

/// Who has failed to begin, and waits.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    waiting: BTreeMap<Beginner, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    failures: u32,
    until: Instant,
}

impl Attempts {
    /// One has failed; answers how long it waits.
    pub(super) fn failed(&mut self, who: Beginner, now: Instant) -> Duration {
        let waiting = self.waiting.entry(who).or_insert(Waiting { failures: 0, until: now });
        let pause = FIRST_PAUSE.saturating_mul(1 << waiting.failures.min(30)).min(LONGEST_PAUSE);
        waiting.failures = waiting.failures.saturating_add(1);
        waiting.until = now + pause;
        pause
    }

    /// One has begun, or is not wanted any more; answers whether it had failed before.
    pub(super) fn over(&mut self, who: Beginner) -> bool {
        self.waiting.remove(&who).is_some()
    }

    /// Those that wait and of which this is not so: they are forgotten.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(Beginner) -> bool) -> Vec<Beginner> {
        self.waiting.extract_if(.., |who, _| !is_wanted(*who)).map(|(who, _)| who).collect()
    }

    /// Whether one has waited long enough.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.waiting.values().any(|waiting| waiting.until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_a_success() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        let pauses: Vec<u64> = (0..9).map(|_| attempts.failed(Beginner::Listener, start).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!attempts.is_due(start + Duration::from_secs(59)));
        assert!(attempts.is_due(start + Duration::from_secs(60)));
        assert!(attempts.over(Beginner::Listener) && !attempts.over(Beginner::Listener));
        assert!(!attempts.is_due(start + Duration::from_secs(60)), "nobody waits");
        assert_eq!(attempts.failed(Beginner::Listener, start).as_secs(), 1);
    }

    #[test]
    fn each_waits_for_itself_and_who_is_not_wanted_is_forgotten() {
        let (mut attempts, start) = (Attempts::default(), Instant::now());
        let speaker = Beginner::Speaker(Id::from_random([1; 16]));
        for _ in 0..4 {
            attempts.failed(Beginner::Listener, start);
        }
        attempts.failed(speaker, start);
        let soon = start + Duration::from_secs(1);
        assert!(attempts.is_due(soon), "the speaker is, the listener is not");
        assert_eq!(attempts.retain(|who| who == Beginner::Listener), [speaker]);
        assert!(!attempts.is_due(soon));
        assert_eq!(attempts.retain(|_| false), [Beginner::Listener]);
    }
}
