//! What hosts say that they have carried out, and what not. Pure.

use std::collections::BTreeMap;

use weft_dataplane::FragmentId;
use weft_protocol::wire;
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
    /// What is not done, by fragment; of those that the report leaves out because it is cut, what was not done before.
    pub not_done: NotDones,
    /// Why it could not look at itself; empty if it could. Then the rest is as it was before.
    pub observe_error: String,
    /// Everything that was to go is gone.
    pub(super) all_removed: bool,
    /// The last fragment of which the report tells that it is not done, if it is cut: of those after it, it says nothing.
    pub(super) told_to: Option<(String, String)>,
}

impl Outcome {
    /// Whether the report says something of a fragment, be it that it says nothing bad.
    pub(crate) fn tells(&self, key: &FragmentKey) -> bool {
        self.told_to.as_ref().is_none_or(|last| in_text(key) <= *last)
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
    let told_to = status.not_done.last().map(|entry| (entry.service.clone(), entry.subject.clone()));
    Outcome {
        told_to: (status.not_done_cut > 0).then(|| told_to.unwrap_or_default()),
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
