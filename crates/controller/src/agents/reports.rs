//! What hosts reported, as the statuses of fragments.

use parking_lot::MutexGuard;
use weft_net::HostName;
use weft_services::catalogue::{Status, Statuses};
use weft_services::compile::FragmentKey;

use super::Distribution;

/// The reports, held for the time of one rendering.
pub struct Reports<'a>(pub(crate) MutexGuard<'a, Distribution>);

impl Statuses for Reports<'_> {
    fn fragment(&self, host: &HostName, fragment: &FragmentKey) -> Status {
        match self.0.settled(host, fragment) {
            None => Status::Build,
            Some(Ok(())) => Status::Active,
            Some(Err(not_done)) if not_done.waiting => Status::Down,
            Some(Err(_)) => Status::Error,
        }
    }

    fn is_connected(&self, host: &HostName) -> bool {
        self.0.host(host).is_some_and(|state| state.connection.is_some())
    }
}
