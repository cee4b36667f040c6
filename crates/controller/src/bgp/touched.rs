//! Fragments whose announcements have to be looked at again.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::sync::Notify;
use weft_services::compile::FragmentKey;
use weft_services::may_announce;

/// A set of fragments, with a bell.
#[derive(Default)]
pub struct Touched {
    fragments: Mutex<BTreeSet<FragmentKey>>,
    bell: Notify,
}

impl Touched {
    /// Notes fragments, of which only those matter because of which something may be announced.
    pub(crate) fn note<'k>(&self, keys: impl IntoIterator<Item = &'k FragmentKey>) {
        let mut announcing = keys.into_iter().filter(|key| may_announce(key)).peekable();
        if announcing.peek().is_none() {
            return;
        }
        self.fragments.lock().extend(announcing.cloned());
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
