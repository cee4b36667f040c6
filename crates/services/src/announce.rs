//! What is announced to BGP neighbours: each host's routes, once it has carried out what they are of.

use weft_net::HostName;

use crate::compile::{FragmentKey, Subject};
use crate::{Model, RowKind, network, vrf};

/// A route to be announced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// Whether something may be announced because of a fragment: a route of a VRF, a host or a port of a network.
#[must_use]
pub fn may_announce(key: &FragmentKey) -> bool {
    match (key.service.kind, &key.subject) {
        (RowKind::Vrf, Subject::Prefix(_)) => true,
        (RowKind::Network, Subject::Row(row)) => matches!(row.kind(), RowKind::Host | RowKind::ServicePort),
        _ => false,
    }
}

/// What is announced because of a fragment.
#[must_use]
pub fn announcements(model: &Model, key: &FragmentKey) -> Vec<Announcement> {
    match key.service.kind {
        RowKind::Vrf => vrf::announcements(model, key).into_iter().map(Announcement::Routed).collect(),
        RowKind::Network => {
            network::announcements(model, key).into_iter().map(Announcement::Bridged).collect()
        }
        _ => Vec::new(),
    }
}

/// The fragments of which it has to be looked what is announced because of them, when it has to be of one of them.
#[must_use]
pub fn looked_at_with(model: &Model, key: &FragmentKey) -> Vec<FragmentKey> {
    match key.service.kind {
        RowKind::Network => network::looked_at_with(model, key),
        _ => Vec::new(),
    }
}

/// Every fragment because of which something may be announced.
#[must_use]
pub fn all_announcing(model: &Model) -> Vec<FragmentKey> {
    let mut fragments = vrf::routes_of_all(model);
    fragments.extend(network::fragments_of_all(model));
    fragments
}
