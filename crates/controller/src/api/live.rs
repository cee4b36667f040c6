//! What hosts reported, asked for one status at a time: however long a list is, agents are not kept waiting for it.

use weft_net::HostName;
use weft_services::catalogue::{Status, Statuses};
use weft_services::compile::FragmentKey;

use crate::site::Site;

/// The reports of a site, as they are at each moment of a rendering.
pub(crate) struct Live<'a>(pub(crate) &'a Site);

impl Statuses for Live<'_> {
    fn fragment(&self, host: &HostName, fragment: &FragmentKey) -> Status {
        self.0.distribution.lock().fragment(host, fragment)
    }

    fn is_connected(&self, host: &HostName) -> bool {
        self.0.distribution.lock().is_connected(host)
    }
}
