//! Fragments whose announcements have to be looked at again.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::sync::Notify;
use weft_services::RowKind;
use weft_services::compile::{FragmentKey, Subject};

/// Whether something may be announced because of a fragment: a route of a VRF, a host or a port of a network.
fn may_announce(key: &FragmentKey) -> bool {
    match (key.service.kind, &key.subject) {
        (RowKind::Vrf, Subject::Prefix(_)) => true,
        (RowKind::Network, Subject::Row(row)) => matches!(row.kind(), RowKind::Host | RowKind::ServicePort),
        _ => false,
    }
}

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
