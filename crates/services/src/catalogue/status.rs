//! Statuses: what hosts have reported, summed up.

use crate::Id;
use crate::bgp::AdvertisedRoute;
use crate::compile::FragmentKey;

/// What a host reports can be summed up as one of these.
pub const STATUSES: &[&str] = &["ACTIVE", "BUILD", "DOWN", "ERROR"];

/// The status of a port, as its own host reports it; the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Its objects are done.
    Active,
    /// Its objects are on their way.
    Build,
    /// It is not bound, or waits for its vNIC.
    Down,
    /// One of its own objects failed.
    Error,
}

impl Status {
    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Build => "BUILD",
            Self::Down => "DOWN",
            Self::Error => "ERROR",
        }
    }
}

/// What hosts have reported: operational state, which the model does not hold.
pub trait Statuses {
    /// How a fragment is doing on the host of its subject.
    fn fragment(&self, host: &weft_net::HostName, fragment: &FragmentKey) -> Status;
    /// Whether a host's agent is connected.
    fn is_connected(&self, host: &weft_net::HostName) -> bool;
    /// The routes that a BGP speaker tells its peers; none, for who hears nothing of it.
    fn advertised_routes(&self, _speaker: Id) -> Vec<AdvertisedRoute> {
        Vec::new()
    }
}

/// Nothing has been reported.
pub struct NoStatuses;

impl Statuses for NoStatuses {
    fn fragment(&self, _: &weft_net::HostName, _: &FragmentKey) -> Status {
        Status::Down
    }
    fn is_connected(&self, _: &weft_net::HostName) -> bool {
        false
    }
}
