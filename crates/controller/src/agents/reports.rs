//! What hosts reported, as the statuses of fragments.

use weft_net::HostName;
use weft_services::catalogue::{Status, Statuses};
use weft_services::compile::FragmentKey;

use super::Distribution;

impl Statuses for Distribution {
    fn fragment(&self, host: &HostName, fragment: &FragmentKey) -> Status {
        match self.settled(host, fragment) {
            None => Status::Build,
            Some(Ok(())) => Status::Active,
            Some(Err(not_done)) if not_done.waiting => Status::Down,
            Some(Err(_)) => Status::Error,
        }
    }

    fn is_connected(&self, host: &HostName) -> bool {
        self.host(host).is_some_and(|state| state.connection.is_some())
    }
}
