//! The tables, a page at a time: a large one holds nobody up.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::{RouteDistinguisher, RouteTarget};

use super::{PathStatus, RouteStatus, Speaker, export};
use crate::rib::PathView;
use crate::wire::{Destination, EvpnDestination, Family};

/// Which of the tables of RFC 4271 §3.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RibView {
    /// All paths that were taken, the best first.
    LocRib,
    /// What this neighbour has announced; what policy rejected is not kept.
    AdjRibIn(IpAddr),
    /// What this neighbour has been told, with the attributes with which it was.
    AdjRibOut(IpAddr),
}

/// Which routes are meant: those for which all that is said holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteFilter {
    /// To this prefix.
    pub exactly: Option<IpNet>,
    /// To this prefix or a part of it.
    pub within: Option<IpNet>,
    /// With this route distinguisher.
    pub distinguisher: Option<RouteDistinguisher>,
    /// With paths that have one of these route targets.
    pub targets: Option<BTreeSet<RouteTarget>>,
    /// EVPN routes of this type.
    pub route_type: Option<u8>,
    /// What we originate ourselves.
    pub is_local: bool,
}

/// How much is looked at and shown at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize {
    /// How many routes are shown.
    pub routes_max: usize,
    /// How many are looked at.
    pub looked_at_max: usize,
}

/// Some routes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The routes.
    pub routes: Vec<RouteStatus>,
    /// The place to go on from, if there may be more.
    pub next: Option<u32>,
}

impl RouteFilter {
    fn admits(&self, destination: &Destination, paths: &[PathView<'_>]) -> bool {
        let prefix = destination.prefix();
        self.exactly.is_none_or(|exactly| prefix == Some(exactly))
            && self.within.is_none_or(|within| prefix.is_some_and(|prefix| contains(within, prefix)))
            && self.distinguisher.is_none_or(|wanted| destination.distinguisher() == Some(wanted))
            && self.route_type.is_none_or(|wanted| match destination {
                Destination::Evpn(route) => route.route_type() == wanted,
                _ => false,
            })
            && self.targets.as_ref().is_none_or(|targets| paths.iter().any(|path| has_one(path, targets)))
            && (!self.is_local || paths.iter().any(|path| path.peer == crate::rib::PeerIndex::LOCAL))
    }
}

fn contains(outer: IpNet, inner: IpNet) -> bool {
    match (outer, inner) {
        (IpNet::V4(outer), IpNet::V4(inner)) => outer.contains(&inner),
        (IpNet::V6(outer), IpNet::V6(inner)) => outer.contains(&inner),
        _ => false,
    }
}

fn has_one(path: &PathView<'_>, targets: &BTreeSet<RouteTarget>) -> bool {
    let communities = path.attributes.attributes.extended_communities().iter();
    communities.filter_map(|community| community.route_target()).any(|target| targets.contains(&target))
}

impl Destination {
    /// The prefix that it is; of an EVPN route of type 2 the address.
    #[must_use]
    pub fn prefix(&self) -> Option<IpNet> {
        match self {
            Self::Ipv4(prefix) => Some(IpNet::V4(*prefix)),
            Self::Ipv6(prefix) => Some(IpNet::V6(*prefix)),
            Self::Vpnv4(route) => Some(IpNet::V4(route.prefix)),
            Self::Vpnv6(route) => Some(IpNet::V6(route.prefix)),
            Self::Evpn(EvpnDestination::IpPrefix { prefix, .. }) => Some(*prefix),
            Self::Evpn(EvpnDestination::MacIp { address, .. }) => address.map(IpNet::from),
            Self::Evpn(_) | Self::RouteTarget(_) => None,
        }
    }

    /// The route distinguisher, if it has one.
    #[must_use]
    pub const fn distinguisher(&self) -> Option<RouteDistinguisher> {
        match self {
            Self::Vpnv4(route) => Some(route.distinguisher),
            Self::Vpnv6(route) => Some(route.distinguisher),
            Self::Evpn(route) => route.distinguisher(),
            Self::Ipv4(_) | Self::Ipv6(_) | Self::RouteTarget(_) => None,
        }
    }
}

impl Speaker {
    /// Some routes of a family from a place on.
    #[must_use]
    pub fn page(
        &self,
        (view, family): (RibView, Family),
        filter: &RouteFilter,
        from: u32,
        size: PageSize,
    ) -> Page {
        let (mut routes, mut looked_at) = (Vec::new(), 0);
        let next = self.rib.table(family).walk(from, &mut |destination, paths| {
            looked_at += 1;
            if filter.admits(destination, paths) {
                let paths = self.seen(view, destination, paths);
                if !paths.is_empty() {
                    routes.push(RouteStatus { destination: destination.clone(), paths });
                }
            }
            routes.len() < size.routes_max && looked_at < size.looked_at_max
        });
        Page { routes, next }
    }

    /// The paths to a destination that are in a table.
    fn seen(&self, view: RibView, destination: &Destination, paths: &[PathView<'_>]) -> Vec<PathStatus> {
        let family = destination.family();
        match view {
            RibView::LocRib => paths.iter().map(|path| self.path_status(family, path)).collect(),
            RibView::AdjRibIn(neighbor) => {
                let index = self.index_of(neighbor);
                let own = paths.iter().filter(|path| Some(path.peer.0) == index);
                own.map(|path| self.path_status(family, path)).collect()
            }
            RibView::AdjRibOut(neighbor) => {
                let peer = self.index_of(neighbor).and_then(|index| self.peers.get(&index));
                let is_told = |peer: &&super::peer::Peer| {
                    self.rib.table(family).is_told(peer.index, destination) == Some(true)
                };
                let Some(peer) = peer.filter(is_told) else { return Vec::new() };
                let sent = export::sent(&self.config, peer, destination, (paths, self.rib.sources()));
                let status =
                    |(path, attributes): (&PathView<'_>, _)| self.path_status_with(family, path, &attributes);
                sent.into_iter().map(status).collect()
            }
        }
    }

    /// Whether there is such a neighbour.
    #[must_use]
    pub fn has_neighbor(&self, address: IpAddr) -> bool {
        self.index_of(address).is_some()
    }

    /// At most so many destinations of a family from a place on, and the place to go on from.
    #[must_use]
    pub fn routes(&self, family: Family, from: u32, count_max: usize) -> (Vec<RouteStatus>, Option<u32>) {
        self.all(RibView::LocRib, family, from, count_max)
    }

    /// As [`Speaker::routes`], of those which a neighbour has announced, and only its paths.
    #[must_use]
    pub fn adj_in(
        &self,
        neighbor: IpAddr,
        family: Family,
        from: u32,
        count_max: usize,
    ) -> (Vec<RouteStatus>, Option<u32>) {
        self.all(RibView::AdjRibIn(neighbor), family, from, count_max)
    }

    /// As [`Speaker::routes`], of those which a neighbour has been told, as it was.
    #[must_use]
    pub fn adj_out(
        &self,
        neighbor: IpAddr,
        family: Family,
        from: u32,
        count_max: usize,
    ) -> (Vec<RouteStatus>, Option<u32>) {
        self.all(RibView::AdjRibOut(neighbor), family, from, count_max)
    }

    fn all(
        &self,
        view: RibView,
        family: Family,
        from: u32,
        routes_max: usize,
    ) -> (Vec<RouteStatus>, Option<u32>) {
        let size = PageSize { routes_max, looked_at_max: usize::MAX };
        let page = self.page((view, family), &RouteFilter::default(), from, size);
        (page.routes, page.next)
    }
}
