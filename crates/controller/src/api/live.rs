//! What hosts reported, asked for one status at a time: however long a list is, agents are not kept waiting for it.

use weft_net::HostName;
use weft_services::Id;
use weft_services::bgp::AdvertisedRoute;
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

/// The same, with what the speaker that is asked about tells its peers.
pub(crate) struct Advertising<'a> {
    pub(crate) live: Live<'a>,
    pub(crate) routes: Vec<AdvertisedRoute>,
}

impl Statuses for Advertising<'_> {
    fn fragment(&self, host: &HostName, fragment: &FragmentKey) -> Status {
        self.live.fragment(host, fragment)
    }

    fn is_connected(&self, host: &HostName) -> bool {
        self.live.is_connected(host)
    }

    fn advertised_routes(&self, _speaker: Id) -> Vec<AdvertisedRoute> {
        self.routes.clone()
    }
}
