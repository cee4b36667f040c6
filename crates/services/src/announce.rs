//! What is announced to BGP neighbours: each host's routes, once it has carried out what they are of. Which those are is said by
//! each service.

use weft_net::HostName;

use crate::compile::{FragmentKey, SERVICES};
use crate::{Model, network, vrf};

/// A route to be announced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Announcement {
    /// To a prefix, of a VRF.
    Routed(vrf::Announcement),
    /// To a MAC address or to everybody, of a network.
    Bridged(network::Announcement),
}

impl Announcement {
    /// The host that it leads to.
    #[must_use]
    pub const fn host(&self) -> &HostName {
        match self {
            Self::Routed(one) => &one.host,
            Self::Bridged(one) => &one.host,
        }
    }

    /// What the host has to have carried out besides the fragment that it is announced because of.
    #[must_use]
    pub const fn needs(&self) -> Option<&FragmentKey> {
        match self {
            Self::Routed(_) => None,
            Self::Bridged(one) => Some(&one.needs),
        }
    }
}

/// Whether something may be announced because of a fragment.
#[must_use]
pub fn may_announce(key: &FragmentKey) -> bool {
    key.service.service().may_announce(&key.subject)
}

/// What is announced because of a fragment.
#[must_use]
pub fn announcements(model: &Model, key: &FragmentKey) -> Vec<Announcement> {
    key.service.service().announcements(model, key.service.id, &key.subject)
}

/// The fragments of which it has to be looked what is announced because of them, when it has to be of one of them.
#[must_use]
pub fn looked_at_with(model: &Model, key: &FragmentKey) -> Vec<FragmentKey> {
    let service = key.service;
    let subjects = service.service().looked_at_with(model, service.id, &key.subject).into_iter();
    subjects.map(|subject| FragmentKey { service, subject }).collect()
}

/// Every fragment because of which something may be announced.
#[must_use]
pub fn all_announcing(model: &Model) -> Vec<FragmentKey> {
    SERVICES.iter().flat_map(|service| service.announcing(model)).collect()
}
