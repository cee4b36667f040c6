//! Marks of what is announced: by them a controller that was restarted knows what it had announced, and so which hosts had said that
//! they forward it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use weft_services::Announcement;
use weft_services::compile::FragmentKey;

/// The marks of all that is announced.
#[derive(Default)]
pub struct Marks {
    marks: Mutex<HashSet<u64>>,
    changes: AtomicU64,
}

/// The mark of what is announced because of a fragment: the same in each life of the controller.
pub(super) fn mark(key: &FragmentKey, announcement: &Announcement) -> u64 {
    let id = key.id();
    let text = serde_json::to_string(announcement).expect("its keys are text");
    weft_protocol::digest(&format!("{}/{}", id.service, id.subject), &text)
}

impl Marks {
    /// From now on this is announced because of a fragment, instead of what was before. Answers whether that is a change.
    pub(super) fn change(&self, key: &FragmentKey, before: &[Announcement], after: &[Announcement]) -> bool {
        if before == after {
            return false;
        }
        let mut marks = self.marks.lock();
        for gone in before.iter().filter(|one| !after.contains(one)) {
            marks.remove(&mark(key, gone));
        }
        marks.extend(after.iter().filter(|one| !before.contains(one)).map(|one| mark(key, one)));
        self.changes.fetch_add(1, Ordering::Release);
        true
    }

    /// How often it has changed what is announced.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// The marks now.
    pub(crate) fn all(&self) -> HashSet<u64> {
        self.marks.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use weft_services::compile::Subject;
    use weft_services::{Id, RowKind};

    use super::*;
    use crate::bgp::announced;

    fn by(host: u8) -> Announcement {
        announced::tests::by("64512:77", host)
    }

    #[test]
    fn marks_are_of_what_is_announced_and_the_same_for_ever() {
        let prefix = Subject::Prefix("10.1.0.5/32".parse().unwrap());
        let [key, other] =
            [1, 2].map(|n| FragmentKey::new(RowKind::Vrf, Id::from_random([n; 16]), prefix.clone()));
        let marks = Marks::default();
        assert!(marks.change(&key, &[], &[by(1), by(2)]));
        assert!(marks.change(&other, &[], &[by(1)]), "of another fragment it is another one");
        assert_eq!((marks.all().len(), marks.changes()), (3, 2));
        assert!(!marks.change(&key, &[by(1), by(2)], &[by(1), by(2)]));
        assert!(marks.change(&key, &[by(1), by(2)], &[by(2)]));
        assert!(!marks.all().contains(&mark(&key, &by(1))) && marks.all().contains(&mark(&key, &by(2))));
        assert_eq!((marks.all().len(), marks.changes()), (2, 3));
        // Another number here needs another version of the checkpoint's format: what an earlier version announced is not known again.
        assert_eq!(mark(&key, &by(2)), 5_190_637_042_421_992_893);
    }
}
