//! Routes, and the paths that they lead along.

use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::{IfName, MplsLabel};

use super::{Key, LinkId, Namespace, namespace_key};

/// In a VRF, the number of the table by which what comes in by an [`Ingress`](super::Object::Ingress) is routed: to what is
/// local to the VRF on this host, and so no further.
pub const INGRESS_TABLE: u32 = 217;

/// The most paths of a route. A driver makes what leads along each of them, and the route, in one step, which has to fit a batch;
/// and flows are told apart by that many parts of a hash, so that a further path would have no share.
pub const PATHS_MAX: usize = 128;

/// The largest share of a path beside those of the others: a kernel may have one octet for it, less the value of all ones.
pub const WEIGHT_MAX: u16 = 255;

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Whose routing table.
    pub namespace: Namespace,
    /// Which table of it; 254 is `main`. A VRF has that and [`INGRESS_TABLE`], and no other.
    pub table: u32,
    /// For which destinations.
    pub destination: IpNet,
    /// Where it leads to.
    pub to: RouteTo,
}

/// Where a route leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteTo {
    /// Along one of these paths, by a hash of the flow's addresses and ports. At least one and at most [`PATHS_MAX`], in the
    /// order that [`RouteTo::paths`] makes; none is only ever observed: what no intent says.
    Paths(Vec<Path>),
    /// Nowhere, and the sender is told so.
    Unreachable,
    /// Nowhere, and nobody is told.
    Blackhole,
}

/// One way to a destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    /// The router, on the link whatever addresses that has: of either family for an IPv4 route (RFC 8950), of IPv6 for an IPv6
    /// one. `None`: the destination is on the link itself.
    pub via: Option<IpAddr>,
    /// Out of which link of the route's namespace. `None`, in a VRF and with labels alone: out of whichever link of the host's
    /// own namespace leads to `via`.
    pub link: Option<IfName>,
    /// The MPLS labels that packets get, the first of them outermost (RFC 3032).
    pub labels: Vec<MplsLabel>,
    /// Its share, beside those of the other paths: 1 to [`WEIGHT_MAX`], and 1 where there is no other.
    pub weight: u16,
}

impl Path {
    /// The plain way out of a link.
    #[must_use]
    pub const fn on(link: IfName, via: Option<IpAddr>) -> Self {
        Self { via, link: Some(link), labels: Vec::new(), weight: 1 }
    }

    /// Where it leads, whatever its share.
    #[must_use]
    pub fn way(&self) -> (Option<IpAddr>, Option<IfName>, &[MplsLabel]) {
        (self.via, self.link, &self.labels)
    }
}

impl RouteTo {
    /// The plain way out of one link.
    #[must_use]
    pub fn link(link: IfName, via: Option<IpAddr>) -> Self {
        Self::Paths(vec![Path::on(link, via)])
    }

    /// Along these paths, put into the one order that drivers tell them in, each once.
    #[must_use]
    pub fn paths(paths: impl IntoIterator<Item = Path>) -> Self {
        let mut paths: Vec<Path> = paths.into_iter().collect();
        paths.sort();
        paths.dedup_by(|a, b| a.way() == b.way());
        if let [only] = &mut paths[..] {
            only.weight = 1;
        }
        Self::Paths(paths)
    }

    /// The paths; none where it leads nowhere.
    #[must_use]
    pub fn as_paths(&self) -> &[Path] {
        match self {
            Self::Paths(paths) => paths,
            Self::Unreachable | Self::Blackhole => &[],
        }
    }
}

impl Route {
    /// Its place, and the links of all its paths.
    pub(super) fn requires(&self) -> Vec<Key> {
        let links = self.to.as_paths().iter().filter_map(|path| path.link);
        let links = links.map(|name| Key::Link(LinkId { namespace: self.namespace.clone(), name }));
        namespace_key(&self.namespace).into_iter().chain(links).collect()
    }
}
