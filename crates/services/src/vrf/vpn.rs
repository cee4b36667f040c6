//! What VPNs have VRFs do: the targets and routes of the associations of a router, a network or a port.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::{RouteDistinguisher, RouteTarget, Vni};

use crate::core::ServicePort;
use crate::vrf::Multipath;
use crate::{Id, Model, Row, RowKind};

/// What associations with VPNs call for, of all of one router, network or port together.
#[derive(Default)]
pub(super) struct Associated {
    pub(super) import_targets: BTreeSet<RouteTarget>,
    pub(super) export_targets: BTreeSet<RouteTarget>,
    pub(super) route_distinguishers: Vec<RouteDistinguisher>,
    pub(super) local_pref: Option<u32>,
    pub(super) vni: Option<Vni>,
    pub(super) multipath: Multipath,
    /// Whether there are any.
    pub(super) any: bool,
}

/// What is announced because of a port.
#[derive(Default)]
pub(super) struct Declared {
    /// Who imports its own addresses.
    pub(super) own_addresses: BTreeSet<RouteTarget>,
    pub(super) routes: Vec<DeclaredRoute>,
}

/// A destination that is declared to be behind a port.
pub(super) struct DeclaredRoute {
    pub(super) destination: IpNet,
    pub(super) via: IpAddr,
    pub(super) local_pref: Option<u32>,
    pub(super) by: (RowKind, Id),
    pub(super) export_targets: BTreeSet<RouteTarget>,
}

/// What the associations of a router, a network or a binding call for.
pub(super) fn of(_model: &Model, _what: (RowKind, Id)) -> Associated {
    Associated::default()
}

/// What the associations of what a row is associate, of a row of VPNs that is something else than it was.
pub(super) fn associated_by(_: &Model, _row: &Row, _rows: [Option<&Row>; 2]) -> Vec<(RowKind, Id)> {
    Vec::new()
}

/// What is announced because of a port that is in these routers.
pub(super) fn declared_for(_: &Model, _: &ServicePort, _: &[Id]) -> Declared {
    Declared::default()
}

impl Model {
    pub(super) fn associations_of(&self, _: Id) -> impl Iterator<Item = (RowKind, Id)> + use<> {
        std::iter::empty()
    }
    pub(super) fn associated_with(&self, _: RowKind, _: Id) -> Option<(RowKind, Id)> {
        None
    }
    pub(super) fn is_associated(&self, _: (RowKind, Id)) -> bool {
        false
    }
}
