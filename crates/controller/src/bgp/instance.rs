//! The instances of a speaker: whose routes they are that it imports by targets.

use std::collections::BTreeSet;
use std::fmt;

use weft_net::RouteTarget;
use weft_services::{Id, Model, RowKey, RowKind};

/// Whose routes an instance's are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Instance {
    /// A VRF's.
    Vrf(Id),
    /// The MAC-VRF's of a network.
    MacVrf(Id),
}

impl Instance {
    const MAC_VRF: &str = "mac-vrf/";

    /// The one that a row is.
    pub(super) const fn of(row: &RowKey) -> Option<Self> {
        match row {
            RowKey::Resource(RowKind::Vrf, id) => Some(Self::Vrf(*id)),
            RowKey::Resource(RowKind::MacVrf, id) => Some(Self::MacVrf(*id)),
            _ => None,
        }
    }

    /// All that there are.
    pub(super) fn all(model: &Model) -> impl Iterator<Item = Self> {
        let vrfs = model.vrfs().map(|vrf| Self::Vrf(vrf.standard.id));
        vrfs.chain(model.mac_vrfs().map(|mac_vrf| Self::MacVrf(mac_vrf.standard.id)))
    }

    /// Which targets it imports; none if it is not there.
    pub(super) fn imports(self, model: &Model) -> BTreeSet<RouteTarget> {
        match self {
            Self::Vrf(id) => {
                let targets = model.vrf(id).into_iter().flat_map(|vrf| &vrf.imports);
                targets.filter_map(|target| target.route_target()).collect()
            }
            Self::MacVrf(id) => model.mac_vrf(id).map(|mac_vrf| mac_vrf.imports.clone()).unwrap_or_default(),
        }
    }

    /// The one of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.strip_prefix(Self::MAC_VRF) {
            Some(id) => id.parse().ok().map(Self::MacVrf),
            None => name.parse().ok().map(Self::Vrf),
        }
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vrf(id) => write!(f, "{id}"),
            Self::MacVrf(id) => write!(f, "{}{id}", Self::MAC_VRF),
        }
    }
}
