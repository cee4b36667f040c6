//! News that is not a commit: hosts have reported on fragments.

use std::collections::BTreeSet;

use tokio::sync::broadcast;
use weft_services::compile::FragmentKey;

/// Batches of news that a slow watcher may be behind; then it is told to look at everything.
const BEHIND_MAX: usize = 1024;

/// Tells watchers of which fragments a host has reported.
pub struct Notices {
    sender: broadcast::Sender<BTreeSet<FragmentKey>>,
}

impl Default for Notices {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(BEHIND_MAX) }
    }
}

impl Notices {
    /// There is news of the status of these.
    pub fn status(&self, fragments: Vec<FragmentKey>) {
        if !fragments.is_empty() && self.sender.receiver_count() > 0 {
            // Nobody listening is no failure.
            let _ = self.sender.send(fragments.into_iter().collect());
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<BTreeSet<FragmentKey>> {
        self.sender.subscribe()
    }
}
