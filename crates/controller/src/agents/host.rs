//! What is known of a host's agent: what it was sent, and what it said. Pure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use weft_dataplane::FragmentId;
use weft_net::IfName;
use weft_protocol::wire;
use weft_services::compile::FragmentKey;

use super::distribution::Reached;
use super::outcome::{NotDone, Outcome, differing, in_text, outcome};

/// What is known of a host's agent.
#[derive(Clone, Debug, Default)]
pub struct HostState {
    /// Which connection it has, if it has one.
    pub connection: Option<u64>,
    /// The version of the agent's program.
    pub software_version: String,
    /// How far the last update led that it was sent, or how far it was when it connected.
    pub sent: Option<Reached>,
    /// How far it was at its last report.
    pub reported: Option<Reached>,
    /// That report.
    pub outcome: Outcome,
    /// The host's ends of workloads' links that have no carrier, as it said last.
    pub without_carrier: BTreeSet<IfName>,
    /// How many objects it has found other than they were left.
    pub drifts: u64,
    /// How many of them it said it had found since it began, when it said so last.
    pub(super) drifts_said: u64,
    /// Fragments whose subject is on this host, sent but not yet confirmed.
    pub(super) pending: BTreeMap<FragmentKey, Reached>,
    /// Those that it has carried out, or reported on.
    pub(super) settled: HashSet<FragmentKey>,
}

impl HostState {
    /// How many fragments of its own it has not confirmed.
    #[must_use]
    pub fn behind(&self) -> usize {
        self.pending.len()
    }

    /// Whether it has confirmed that all is gone which it was told to remove.
    pub(super) fn has_removed_all(&self) -> bool {
        self.connection.is_some()
            && self.sent.is_some()
            && self.reported >= self.sent
            && self.outcome.all_removed
    }

    /// Whether it has confirmed all that it was sent, and is at rest.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.connection.is_some() && self.sent.is_some() && self.reported >= self.sent && self.outcome.at_rest
    }

    /// Takes over that from here on it is to have these fragments of its own otherwise, and those not at all.
    pub(super) fn expect(&mut self, upserts: &[FragmentKey], removals: &[FragmentId], reached: Reached) {
        for key in upserts {
            self.settled.remove(key);
            self.pending.insert(key.clone(), reached);
        }
        for key in removals.iter().filter_map(FragmentKey::from_id) {
            self.settled.remove(&key);
            self.pending.remove(&key);
        }
    }

    /// Takes a report over, of how far it was then; answers the fragments of which there is news.
    pub(super) fn take_over(&mut self, status: &wire::Status, reached: Reached) -> Vec<FragmentKey> {
        let before = std::mem::replace(&mut self.outcome, outcome(status));
        self.reported = Some(reached);
        let is_confirmed =
            |key: &FragmentKey, sent: &mut Reached| *sent <= reached && self.outcome.tells(key);
        let mut news: Vec<FragmentKey> =
            self.pending.extract_if(.., is_confirmed).map(|(key, _)| key).collect();
        self.settled.extend(news.iter().cloned());
        let doubted = self.doubt_untold(&before);
        self.pending.extend(doubted.iter().cloned().map(|key| (key, reached)));
        news.extend(doubted);
        let named = differing(&before.not_done, &self.outcome.not_done);
        let left_out = self.outcome.left_out_otherwise(&before, self.settled.iter());
        let is_news = |key: &FragmentKey| before.not_done_of(key) != self.outcome.not_done_of(key);
        news.extend(named.chain(left_out).filter(is_news));
        news
    }

    /// Of the fragments of which a report that is cut says nothing, has those stay not done that were so before. Answers the others:
    /// they were done, and whether they are still is not known.
    fn doubt_untold(&mut self, before: &Outcome) -> Vec<FragmentKey> {
        if self.outcome.cut.is_none() {
            return Vec::new();
        }
        let untold: Vec<FragmentKey> =
            self.settled.iter().filter(|key| !self.outcome.tells(key)).cloned().collect();
        let mut doubted = Vec::new();
        for key in untold {
            match before.not_done_of(&key) {
                Some(not_done) => drop(self.outcome.not_done.insert(in_text(&key), not_done)),
                None => {
                    self.settled.remove(&key);
                    doubted.push(key);
                }
            }
        }
        doubted
    }

    /// How a fragment of its own is doing: `None` while that has not been reported.
    pub(super) fn settled(&self, key: &FragmentKey) -> Option<Result<(), NotDone>> {
        self.settled.contains(key).then(|| self.outcome.not_done_of(key).map_or(Ok(()), Err))
    }
}

#[cfg(test)]
mod tests {
    use weft_protocol::digest;
    use weft_services::compile::Subject;
    use weft_services::{Id, RowKind};
    use weft_store::{Epoch, Revision, Version};

    use super::*;

    const REACHED: Reached =
        Reached { version: Version { epoch: Epoch::new(1), revision: Revision::new(1) }, turn: 0 };

    const NONE: [u8; 0] = [];

    fn key(number: u8) -> FragmentKey {
        let prefix = Subject::Prefix(format!("10.0.{number}.0/24").parse().unwrap());
        FragmentKey::new(RowKind::Vrf, Id::from_random([1; 16]), prefix)
    }

    /// A report that these have failed, of which it tells so many.
    fn failed(numbers: impl IntoIterator<Item = u8>, told: usize) -> wire::Status {
        let numbers: BTreeSet<u8> = numbers.into_iter().collect();
        let entry = |number: &u8| {
            let (service, subject) = in_text(&key(*number));
            let state = wire::not_done::State::Failed.into();
            wire::NotDone { service, subject, state, ..wire::NotDone::default() }
        };
        let not_done_cut = numbers.len().saturating_sub(told) as u64;
        let not_done = numbers.iter().take(told).map(entry).collect();
        wire::Status { not_done, not_done_cut, ..wire::Status::default() }
    }

    /// Has it take a report over; answers of which of the fragments 1 to 6 it says something new.
    fn take_over(state: &mut HostState, status: &wire::Status) -> Vec<u8> {
        let news = state.take_over(status, REACHED);
        (1..=6).filter(|number| news.contains(&key(*number))).collect()
    }

    /// How the fragments 1 to 6 are doing: done, failed, or not known.
    fn settled(state: &HostState) -> String {
        let of = |number| match state.settled(&key(number)) {
            Some(Ok(())) => 'd',
            Some(Err(_)) => 'f',
            None => '-',
        };
        (1..=6).map(of).collect()
    }

    fn sent() -> HostState {
        let pending = (1..=6).map(|number| (key(number), REACHED)).collect();
        HostState { pending, ..HostState::default() }
    }

    #[test]
    fn what_a_report_that_is_cut_leaves_out_is_not_taken_for_done() {
        let mut state = sent();
        assert_eq!(take_over(&mut state, &failed([2, 3, 5], 2)), [1, 2, 3]);
        assert_eq!(settled(&state), "dff---", "what was never told");
        assert_eq!(take_over(&mut state, &failed([], 2)), [2, 3, 4, 5, 6]);
        assert_eq!((settled(&state), state.behind()), ("dddddd".to_owned(), 0));
        assert_eq!(take_over(&mut state, &failed([2, 3, 4, 5, 6], 2)), [2, 3, 4, 5, 6]);
        assert_eq!((settled(&state), state.behind()), ("dff---".to_owned(), 3), "what was done before");
        assert_eq!(take_over(&mut state, &failed([2, 3, 4, 5, 6], 2)), NONE, "the same again is no news");
        assert_eq!(take_over(&mut state, &failed([5], 2)), [2, 3, 4, 5, 6]);
        assert_eq!(settled(&state), "ddddfd");
    }

    /// The same with the digests of those that it does not name, of which these wait.
    fn with_digests(
        numbers: impl IntoIterator<Item = u8> + Clone,
        told: usize,
        waiting: &[u8],
    ) -> wire::Status {
        let mut status = failed(numbers.clone(), told);
        let numbers: BTreeSet<u8> = numbers.into_iter().collect();
        for number in numbers.iter().skip(told) {
            let (service, subject) = in_text(&key(*number));
            let digests = match waiting.contains(number) {
                true => &mut status.cut_waiting,
                false => &mut status.cut_failed,
            };
            digests.push(digest(&service, &subject));
        }
        status
    }

    #[test]
    fn what_a_report_that_is_cut_does_not_name_is_known_by_digests() {
        let mut state = sent();
        assert_eq!(take_over(&mut state, &failed([], 2)), [1, 2, 3, 4, 5, 6]);
        assert_eq!(take_over(&mut state, &with_digests([2, 3, 4, 6], 2, &[6])), [2, 3, 4, 6]);
        assert_eq!(
            (settled(&state), state.behind()),
            ("dfffdf".to_owned(), 0),
            "what was done, and is no longer"
        );
        let waiting = |number| state.settled(&key(number)).unwrap().unwrap_err().waiting;
        assert_eq!([4, 6].map(waiting), [false, true]);
        assert_eq!(take_over(&mut state, &with_digests([2, 3, 4, 6], 2, &[6])), NONE, "no news");
        assert_eq!(take_over(&mut state, &with_digests([2, 3, 6], 2, &[])), [4, 6]);
        assert_eq!(settled(&state), "dffddf");
        let mut some = with_digests([2, 3, 4, 5], 2, &[]);
        some.cut_failed.pop();
        assert_eq!(take_over(&mut state, &some), [4, 5], "not of all is it known which they are");
        assert_eq!(settled(&state), "dff--f");
        assert_eq!(take_over(&mut sent(), &with_digests([1, 2, 3], 1, &[])), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_has_failed_and_slides_behind_the_cut_has_still_failed_until_it_is_told_otherwise() {
        let mut state = sent();
        take_over(&mut state, &failed([5, 6], 2));
        assert_eq!(take_over(&mut state, &failed([1, 2, 5], 2)), [1, 2, 3, 4], "5 and 6 are as they were");
        assert_eq!(settled(&state), "ff--ff");
        assert_eq!(take_over(&mut state, &failed([1, 2, 5], 2)), NONE);
        assert_eq!(settled(&state), "ff--ff", "also the next time");
        assert_eq!(take_over(&mut state, &failed([5], 2)), [1, 2, 3, 4, 6]);
        assert_eq!(settled(&state), "ddddfd");
    }

    #[test]
    fn a_fragment_that_is_sent_anew_or_taken_away_is_not_doubted() {
        let mut state = sent();
        take_over(&mut state, &failed([5, 6], 2));
        state.expect(&[key(5)], &[key(6).id()], REACHED);
        assert_eq!(settled(&state), "dddd--");
        take_over(&mut state, &failed([1, 2, 3], 2));
        assert_eq!(settled(&state), "ff----");
        take_over(&mut state, &failed([], 2));
        assert_eq!(settled(&state), "ddddd-");
    }

    #[test]
    fn a_report_that_is_cut_to_nothing_tells_nothing() {
        let mut state = sent();
        take_over(&mut state, &failed([1], 0));
        assert_eq!(settled(&state), "------");
    }
}
