//! What hosts say that they have carried out, and what not. Pure.

use std::collections::{BTreeMap, HashSet};

use weft_dataplane::FragmentId;
use weft_protocol::{digest, wire};
use weft_services::compile::FragmentKey;

/// An object that a host has not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotDone {
    /// Whether it waits for somebody else, rather than having failed.
    pub waiting: bool,
    /// The object's key.
    pub object: String,
    /// Why.
    pub reason: String,
}

/// What is not done, by service and subject of the fragment.
pub type NotDones = BTreeMap<(String, String), NotDone>;

/// What a host reported of its last turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it is as the intent says.
    pub at_rest: bool,
    /// How many steps of its last turn were done.
    pub steps_done: u64,
    /// How many of them failed.
    pub steps_failed: u64,
    /// What is not done, by fragment, as far as the report names it; of those that it leaves out without a digest, what was not done before.
    pub not_done: NotDones,
    /// Why it could not look at itself; empty if it could. Then the rest is as it was before.
    pub observe_error: String,
    /// Everything that was to go is gone.
    pub(super) all_removed: bool,
    /// What the report says, if it is cut, of the fragments that it has no room to name.
    pub(super) cut: Option<Cut>,
}

/// How a report is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The last fragment that it names: those that it leaves out come after it.
    named_to: (String, String),
    /// The digests of those that it leaves out, if it has them all.
    left_out: Option<LeftOut>,
}

/// Digests, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LeftOut {
    waiting: Box<[u64]>,
    failed: Box<[u64]>,
}

impl LeftOut {
    /// Those that another says something else of.
    fn differing(&self, other: &Self) -> HashSet<u64> {
        let lists = [(&self.waiting, &other.waiting), (&self.failed, &other.failed)];
        let changed = lists.into_iter().filter(|(one, other)| one != other).flat_map(|(one, other)| {
            let only_in = |one: &[u64], other: &[u64]| -> Vec<u64> {
                one.iter().copied().filter(|digest| other.binary_search(digest).is_err()).collect()
            };
            [only_in(one, other), only_in(other, one)].into_iter().flatten()
        });
        changed.collect()
    }
}

impl Outcome {
    /// Whether the report says something of a fragment, be it that it says nothing bad.
    pub(crate) fn tells(&self, key: &FragmentKey) -> bool {
        self.cut.as_ref().is_none_or(|cut| cut.left_out.is_some() || in_text(key) <= cut.named_to)
    }

    /// What a report that is cut says by digests of a fragment that is not done: whether it waits.
    fn left_out(&self, text: &(String, String)) -> Option<bool> {
        let Some(Cut { named_to, left_out: Some(left_out) }) = &self.cut else { return None };
        let digest = digest(&text.0, &text.1);
        let waiting = left_out.waiting.binary_search(&digest).is_ok();
        (text > named_to && (waiting || left_out.failed.binary_search(&digest).is_ok())).then_some(waiting)
    }

    /// What stands in the way of a fragment, whether it is the host's own or not.
    pub(crate) fn not_done_of(&self, key: &FragmentKey) -> Option<NotDone> {
        let text = in_text(key);
        let known = self.not_done.get(&text).cloned();
        known.or_else(|| self.left_out(&text).map(NotDone::of_no_reason))
    }

    /// Of these fragments those of which another report says something else by digests.
    pub(super) fn left_out_otherwise<'k>(
        &self,
        other: &Self,
        keys: impl Iterator<Item = &'k FragmentKey>,
    ) -> Vec<FragmentKey> {
        let none = LeftOut::default();
        let [one, other] = [self, other]
            .map(|outcome| outcome.cut.as_ref().and_then(|cut| cut.left_out.as_ref()).unwrap_or(&none));
        let changed = one.differing(other);
        if changed.is_empty() {
            return Vec::new();
        }
        let is_changed = |key: &&FragmentKey| {
            let (service, subject) = in_text(key);
            changed.contains(&digest(&service, &subject))
        };
        keys.filter(is_changed).cloned().collect()
    }
}

impl NotDone {
    fn of_no_reason(waiting: bool) -> Self {
        let reason = "the host has too much that is not done to say of each why".to_owned();
        Self { waiting, object: String::new(), reason }
    }
}

/// The fragments of which two reports say something else.
pub(super) fn differing<'s>(
    before: &'s NotDones,
    after: &'s NotDones,
) -> impl Iterator<Item = FragmentKey> + use<'s> {
    let was = before.keys().filter(|key| !after.contains_key(*key));
    let is = after.iter().filter(|(key, not_done)| before.get(*key) != Some(not_done)).map(|(key, _)| key);
    was.chain(is).filter_map(|(service, subject)| {
        let id = FragmentId { service: service.as_str().into(), subject: subject.as_str().into() };
        FragmentKey::from_id(&id)
    })
}

/// A fragment as reports name it.
pub(crate) fn in_text(key: &FragmentKey) -> (String, String) {
    let id = key.id();
    (id.service.to_string(), id.subject.to_string())
}

/// What a status says.
pub(super) fn outcome(status: &wire::Status) -> Outcome {
    let not_done = status.not_done.iter().map(|entry| {
        let key = (entry.service.clone(), entry.subject.clone());
        let waiting = entry.state() == wire::not_done::State::Waiting;
        (key, NotDone { waiting, object: entry.key.clone(), reason: entry.reason.clone() })
    });
    Outcome {
        cut: (status.not_done_cut > 0).then(|| cut(status)),
        at_rest: status.at_rest,
        steps_done: status.steps_done,
        steps_failed: status.steps_failed,
        not_done: not_done.collect(),
        observe_error: String::new(),
        // A removal that is refused has nobody who asks for it.
        all_removed: status.not_done_cut == 0
            && status.not_done.iter().all(|entry| !entry.service.is_empty()),
    }
}

fn cut(status: &wire::Status) -> Cut {
    let last = status.not_done.last();
    let named_to = last.map(|entry| (entry.service.clone(), entry.subject.clone())).unwrap_or_default();
    let are_all = (status.cut_waiting.len() + status.cut_failed.len()) as u64 == status.not_done_cut;
    let in_order = |digests: &[u64]| {
        let mut digests: Box<[u64]> = digests.into();
        digests.sort_unstable();
        digests
    };
    let left_out = are_all
        .then(|| LeftOut { waiting: in_order(&status.cut_waiting), failed: in_order(&status.cut_failed) });
    Cut { named_to, left_out }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use weft_services::Id;

    use super::*;

    #[test]
    fn of_what_is_not_done_only_what_differs_is_news() {
        let key = |number: u8| {
            let service = format!("network/{}", Id::from_random([1; 16]));
            (service, format!("service_port/{}", Id::from_random([number; 16])))
        };
        let waits =
            |reason: &str| NotDone { waiting: true, object: "tap".to_owned(), reason: reason.to_owned() };
        let before: NotDones = [(key(1), waits("it")), (key(2), waits("it")), (key(3), waits("it"))].into();
        let after: NotDones = [(key(2), waits("it")), (key(3), waits("other")), (key(4), waits("it"))].into();
        let news: BTreeSet<FragmentKey> = differing(&before, &after).collect();
        let id = |(service, subject): (String, String)| FragmentId {
            service: service.into(),
            subject: subject.into(),
        };
        let changed = [1, 3, 4].map(|number| FragmentKey::from_id(&id(key(number))).unwrap());
        assert_eq!(news, changed.into());
        assert_eq!(differing(&after, &after).count(), 0);
    }
}
