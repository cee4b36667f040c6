//! The attributes of a route as the routing table keeps them: one value for one meaning.

use std::net::Ipv4Addr;

use weft_net::Asn;

use super::as_path::AsPath;
use super::attribute::{Aggregator, Attribute, AttributeFlags, AttributeValue, Origin, RawAttribute};
use super::codec::{Codec, PeerKind};
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

impl Attributes {
    /// What a list of attributes says of routes with `next_hop`. An AS4_PATH and an AS4_AGGREGATOR are merged in (RFC 6793 §4.2.3); of the attributes that
    /// are not spoken here only the transitive ones stay (RFC 4271 §5).
    #[must_use]
    pub fn from_wire(list: &[Attribute], next_hop: NextHop) -> Self {
        let mut this = Self::new(next_hop);
        let mut rare = RareAttributes::default();
        let (mut as4_path, mut as4_aggregator) = (None, None);
        for Attribute { flags, value } in list {
            match value {
                AttributeValue::Origin(origin) => this.origin = *origin,
                AttributeValue::AsPath(path) => this.as_path = path.clone(),
                AttributeValue::MultiExitDisc(metric) => this.multi_exit_disc = Some(*metric),
                AttributeValue::LocalPref(preference) => this.local_pref = Some(*preference),
                AttributeValue::AtomicAggregate => this.atomic_aggregate = true,
                AttributeValue::Communities(list) => this.set_communities(list.iter().copied()),
                AttributeValue::ExtendedCommunities(list) => {
                    this.set_extended_communities(list.iter().copied());
                }
                AttributeValue::Aggregator(aggregator) => rare.aggregator = Some(*aggregator),
                AttributeValue::OriginatorId(router) => rare.originator_id = Some(*router),
                AttributeValue::ClusterList(clusters) => rare.cluster_list = clusters.to_vec(),
                AttributeValue::As4Path(path) => as4_path = Some(path),
                AttributeValue::As4Aggregator(aggregator) => as4_aggregator = Some(*aggregator),
                AttributeValue::PmsiTunnel(tunnel) => rare.pmsi_tunnel = Some(tunnel.clone()),
                AttributeValue::LargeCommunities(list) => rare.large_communities = list.to_vec(),
                AttributeValue::PrefixSid(prefix_sid) => rare.prefix_sid = Some(prefix_sid.clone()),
                AttributeValue::Unknown { code, value } if flags.has(AttributeFlags::TRANSITIVE) => {
                    let flags = AttributeFlags(flags.0 & !AttributeFlags::EXTENDED_LENGTH);
                    rare.unknown.push(RawAttribute { code: *code, flags, value: value.clone() });
                }
                AttributeValue::NextHop(_)
                | AttributeValue::MpReach(_)
                | AttributeValue::MpUnreach(_)
                | AttributeValue::Unknown { .. } => {}
            }
        }
        // An aggregator with a number of its own was made by who knows two octets only: what came before it is not to be trusted.
        let is_after_all = rare.aggregator.is_some_and(|aggregator| aggregator.asn != Asn::TRANS);
        if !(is_after_all && as4_aggregator.is_some()) {
            rare.aggregator = rare.aggregator.map(|aggregator| as4_aggregator.unwrap_or(aggregator));
            this.as_path =
                as4_path.map_or_else(|| this.as_path.clone(), |four| this.as_path.merged_with(four));
        }
        if rare != NOTHING_RARE {
            this.edit_rare(|edited| *edited = rare);
        }
        this
    }

    /// The attributes to write, without the next hop. To an external neighbour LOCAL_PREF, ORIGINATOR_ID and CLUSTER_LIST do not go; to one with
    /// two-octet AS numbers go AS4_PATH and AS4_AGGREGATOR where they say more (RFC 6793 §4.2.2).
    #[must_use]
    pub fn to_wire(&self, codec: &Codec) -> Vec<Attribute> {
        let rare = self.rare();
        let is_internal = codec.peer == PeerKind::Internal;
        let as4_path = self.as_path.needs_four_octets() && !codec.four_octet_as;
        let as4_aggregator = rare
            .aggregator
            .filter(|aggregator| aggregator.asn.two_octets().is_none() && !codec.four_octet_as);
        let values = [
            Some(AttributeValue::Origin(self.origin)),
            Some(AttributeValue::AsPath(self.as_path.clone())),
            self.multi_exit_disc.map(AttributeValue::MultiExitDisc),
            self.local_pref.filter(|_| is_internal).map(AttributeValue::LocalPref),
            self.atomic_aggregate.then_some(AttributeValue::AtomicAggregate),
            rare.aggregator.map(AttributeValue::Aggregator),
            list(&self.communities).map(AttributeValue::Communities),
            rare.originator_id.filter(|_| is_internal).map(AttributeValue::OriginatorId),
            list(&rare.cluster_list).filter(|_| is_internal).map(AttributeValue::ClusterList),
            list(&self.extended_communities).map(AttributeValue::ExtendedCommunities),
            as4_path.then(|| AttributeValue::As4Path(self.as_path.clone())),
            as4_aggregator.map(AttributeValue::As4Aggregator),
            rare.pmsi_tunnel.clone().map(AttributeValue::PmsiTunnel),
            list(&rare.large_communities).map(AttributeValue::LargeCommunities),
            rare.prefix_sid.clone().map(AttributeValue::PrefixSid),
        ];
        let mut attributes: Vec<Attribute> = values.into_iter().flatten().map(Attribute::new).collect();
        attributes.extend(rare.unknown.iter().map(|RawAttribute { code, flags, value }| Attribute {
            flags: *flags,
            value: AttributeValue::Unknown { code: *code, value: value.clone() },
        }));
        attributes
    }
}

/// A list, unless there is nothing in it: an attribute has at least one item.
fn list<T: Clone>(items: &[T]) -> Option<Box<[T]>> {
    if items.is_empty() { None } else { Some(items.into()) }
}
