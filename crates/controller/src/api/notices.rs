//! News that is not a commit: hosts have reported on fragments, BGP sessions came up or went down.

use std::collections::BTreeSet;
use std::net::IpAddr;

use tokio::sync::broadcast;
use weft_services::Id;
use weft_services::compile::FragmentKey;

/// Batches of news that a slow watcher may be behind; then it is told to look at everything.
const BEHIND_MAX: usize = 1024;

/// News.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A host has reported on these.
    Fragments(BTreeSet<FragmentKey>),
    /// A BGP session came up or went down.
    Session(SessionNotice),
}

/// A BGP session that came up or went down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionNotice {
    /// Whose.
    pub(crate) speaker: Id,
    /// With which of its peers.
    pub(crate) peer: Id,
    /// The neighbour: of a peer that is a range there may be several.
    pub(crate) neighbor: IpAddr,
    /// What ended it; nothing if it came up.
    pub(crate) ended_by: Option<String>,
}

/// Tells watchers of news.
pub struct Notices {
    sender: broadcast::Sender<Notice>,
}

impl Default for Notices {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(BEHIND_MAX) }
    }
}

impl Notices {
    /// There is news of the status of these.
    pub fn status(&self, fragments: Vec<FragmentKey>) {
        if !fragments.is_empty() {
            self.tell(Notice::Fragments(fragments.into_iter().collect()));
        }
    }

    /// A BGP session came up or went down.
    pub(crate) fn session(&self, session: SessionNotice) {
        self.tell(Notice::Session(session));
    }

    fn tell(&self, notice: Notice) {
        if self.sender.receiver_count() > 0 {
            // Nobody listening is no failure.
            let _ = self.sender.send(notice);
        }
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Notice> {
        self.sender.subscribe()
    }
}
