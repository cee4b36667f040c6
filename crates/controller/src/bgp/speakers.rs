//! The speakers that run, for whoever asks them something.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use weft_bgp::io::Handle;
use weft_services::Id;

/// The speakers that run, by the rows that ask for them.
#[derive(Default)]
pub struct Speakers {
    running: Mutex<BTreeMap<Id, Handle>>,
}

impl Speakers {
    pub(super) fn insert(&self, id: Id, handle: Handle) {
        self.running.lock().insert(id, handle);
    }

    pub(super) fn remove(&self, id: Id) {
        self.running.lock().remove(&id);
    }

    /// All of them, in the order of their identifiers.
    #[must_use]
    pub fn all(&self) -> Vec<(Id, Handle)> {
        self.running.lock().iter().map(|(id, handle)| (*id, handle.clone())).collect()
    }
}
