//! Fragments whose announcements have to be looked at again.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::sync::Notify;
use weft_services::RowKind;
use weft_services::compile::{FragmentKey, Subject};

/// A set of fragments, with a bell.
#[derive(Default)]
pub struct Touched {
    fragments: Mutex<BTreeSet<FragmentKey>>,
    bell: Notify,
}

impl Touched {
    /// Notes fragments, of which only those matter that are routes.
    pub(crate) fn note<'k>(&self, keys: impl IntoIterator<Item = &'k FragmentKey>) {
        let is_route = |key: &&FragmentKey| {
            key.service.kind == RowKind::Vrf && matches!(key.subject, Subject::Prefix(_))
        };
        let mut routes = keys.into_iter().filter(is_route).peekable();
        if routes.peek().is_none() {
            return;
        }
        self.fragments.lock().extend(routes.cloned());
        self.bell.notify_one();
    }

    /// Whether one has been noted and not taken.
    pub(super) fn contains(&self, key: &FragmentKey) -> bool {
        self.fragments.lock().contains(key)
    }

    /// Waits until there are some, and takes them.
    pub(super) async fn take(&self) -> BTreeSet<FragmentKey> {
        loop {
            let taken = std::mem::take(&mut *self.fragments.lock());
            if !taken.is_empty() {
                return taken;
            }
            self.bell.notified().await;
        }
    }
}
