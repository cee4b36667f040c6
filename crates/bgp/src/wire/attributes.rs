//! The attributes of a route as the routing table keeps them: one value for one meaning.

use std::net::Ipv4Addr;

use super::as_path::AsPath;
use super::attribute::{Aggregator, Origin, RawAttribute};
use super::community::{Community, ExtendedCommunity, LargeCommunity};
use super::next_hop::NextHop;
use super::pmsi::PmsiTunnel;
use super::srv6::PrefixSid;

/// All attributes of a route. Communities are sorted and each is there once; what few routes have is behind one pointer.
///
/// Made for being shared: routes with the same attributes hold one `Arc` of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attributes {
    /// NEXT_HOP, or the next hop in MP_REACH_NLRI.
    pub next_hop: NextHop,
    /// ORIGIN.
    pub origin: Origin,
    /// ATOMIC_AGGREGATE.
    pub atomic_aggregate: bool,
    /// AS_PATH, with four-octet numbers wherever they are known.
    pub as_path: AsPath,
    /// MULTI_EXIT_DISC.
    pub multi_exit_disc: Option<u32>,
    /// LOCAL_PREF.
    pub local_pref: Option<u32>,
    communities: Box<[Community]>,
    extended_communities: Box<[ExtendedCommunity]>,
    /// Never of the value that has nothing: then it is absent.
    rare: Option<Box<RareAttributes>>,
}

/// What few routes have.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RareAttributes {
    /// AGGREGATOR, with its four-octet number.
    pub aggregator: Option<Aggregator>,
    /// ORIGINATOR_ID.
    pub originator_id: Option<Ipv4Addr>,
    /// CLUSTER_LIST, nearest first.
    pub cluster_list: Vec<Ipv4Addr>,
    /// PMSI_TUNNEL.
    pub pmsi_tunnel: Option<PmsiTunnel>,
    /// LARGE_COMMUNITY; sorted, each once, after [`Attributes::edit_rare`].
    pub large_communities: Vec<LargeCommunity>,
    /// Prefix-SID.
    pub prefix_sid: Option<PrefixSid>,
    /// Transitive attributes that are not spoken here, in the order of their types.
    pub unknown: Vec<RawAttribute>,
}

static NOTHING_RARE: RareAttributes = RareAttributes {
    aggregator: None,
    originator_id: None,
    cluster_list: Vec::new(),
    pmsi_tunnel: None,
    large_communities: Vec::new(),
    prefix_sid: None,
    unknown: Vec::new(),
};

impl Attributes {
    /// Those of a route that begins here: ORIGIN is IGP, the path is empty.
    #[must_use]
    pub fn new(next_hop: NextHop) -> Self {
        Self {
            next_hop,
            origin: Origin::Igp,
            atomic_aggregate: false,
            as_path: AsPath::empty(),
            multi_exit_disc: None,
            local_pref: None,
            communities: Box::default(),
            extended_communities: Box::default(),
            rare: None,
        }
    }

    /// COMMUNITIES, in ascending order.
    #[must_use]
    pub fn communities(&self) -> &[Community] {
        &self.communities
    }

    /// Replaces COMMUNITIES, in any order.
    pub fn set_communities(&mut self, communities: impl IntoIterator<Item = Community>) {
        self.communities = sorted(communities).into();
    }

    /// EXTENDED COMMUNITIES, in ascending order.
    #[must_use]
    pub fn extended_communities(&self) -> &[ExtendedCommunity] {
        &self.extended_communities
    }

    /// Replaces EXTENDED COMMUNITIES, in any order.
    pub fn set_extended_communities(&mut self, communities: impl IntoIterator<Item = ExtendedCommunity>) {
        self.extended_communities = sorted(communities).into();
    }

    /// What few routes have.
    #[must_use]
    pub fn rare(&self) -> &RareAttributes {
        self.rare.as_deref().unwrap_or(&NOTHING_RARE)
    }

    /// Changes what few routes have.
    pub fn edit_rare(&mut self, edit: impl FnOnce(&mut RareAttributes)) {
        let mut rare = self.rare.take().unwrap_or_default();
        edit(&mut rare);
        rare.large_communities = sorted(std::mem::take(&mut rare.large_communities));
        rare.unknown.sort();
        if *rare != NOTHING_RARE {
            self.rare = Some(rare);
        }
    }
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort_unstable();
    items.dedup();
    items
}
