//! From the table to a neighbour: which routes it is told of, and with which attributes (RFC 4271 §9.1.3, RFC 4456).
//!
//! What has to be told is looked up when the neighbour can take it, a few hundred destinations at a time, and grouped by attributes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use foldhash::fast::FixedState;

use super::peer::{End, Peer, PeerFamily, SentPath};
use super::{ExternalDefault, Speaker, SpeakerConfig};
use crate::policy::NextHopRule;
use crate::rib::{DEFAULT_LOCAL_PREF, PathView, PeerIndex, Pending, Rib, Source, SourceKind};
use crate::session::{ConnectionId, Negotiated};
use crate::wire::{
    Attributes, Community, Destination, Family, Membership, Message, NextHop, PathId, Payload, PeerKind,
    RefreshSubtype, Route, RouteRefresh, Update, encode, pack_announcements, pack_withdrawals,
};

/// How much is written at a time, about, in octets.
pub(super) const TRANSMIT_LENGTH: usize = 64 * 1024;
/// How many destinations are looked up at a time.
const BATCH: usize = 512;
/// The families whose routes go only to who wants their route targets (RFC 4684).
pub(super) const CONSTRAINED: [Family; 3] = [Family::Vpnv4, Family::Vpnv6, Family::Evpn];

impl Speaker {
    /// Writes what is to go on a connection to the end of `buffer`, about 64 KiB at most. With nothing written there
    /// is nothing to go at present.
    pub fn poll_transmit(&mut self, id: ConnectionId, buffer: &mut Vec<u8>) {
        let is_settling = self.settling_until.is_some();
        let Self { config, peers, rib, .. } = self;
        let Some(peer) = peers.get_mut(&id.peer) else { return };
        peer.session.take_output(id, buffer);
        let Some((connection, _)) = peer.session.negotiated() else { return };
        let Some((negotiated, local)) = peer.up.clone() else { return };
        if connection != id || is_settling {
            return;
        }
        // Route targets first: they decide what is worth sending the other way.
        for family in [Family::RouteTarget].into_iter().chain(negotiated.codec.families.iter()) {
            if !negotiated.codec.families.contains(family) {
                continue;
            }
            let mut exporter = Exporter { config, peer, negotiated: &negotiated, local, family };
            while buffer.len() < TRANSMIT_LENGTH {
                if exporter.batch(rib, buffer) == 0 {
                    exporter.end(rib, buffer);
                    break;
                }
            }
        }
    }

    /// Whether [`Speaker::poll_transmit`] would write something.
    #[must_use]
    pub fn has_output(&self, id: ConnectionId) -> bool {
        let Some(peer) = self.peers.get(&id.peer) else { return false };
        if peer.session.has_output(id) {
            return true;
        }
        let is_established = peer.session.negotiated().is_some_and(|(connection, _)| connection == id);
        is_established
            && self.settling_until.is_none()
            && Family::ALL.into_iter().filter(|family| peer.is_spoken(*family)).any(|family| {
                let state = &peer.families[family as usize];
                self.rib.table(family).told(peer.index).0 > 0 || (state.end.is_some() && state.mark.is_none())
            })
    }
}

/// The paths of a destination that a neighbour is told of, each with the attributes with which it gets them (RFC 4271 §3.2,
/// Adj-RIB-Out).
pub(super) fn sent<'p>(
    config: &SpeakerConfig,
    peer: &Peer,
    destination: &Destination,
    (paths, sources): (&'p [PathView<'p>], &[Source]),
) -> Vec<(&'p PathView<'p>, Attributes)> {
    let Some((negotiated, local)) = &peer.up else { return Vec::new() };
    let family = destination.family();
    let view = View {
        config,
        peer: &peer.config,
        index: peer.index,
        wants: &peer.wants,
        negotiated,
        local: *local,
        family,
    };
    let count_max = if negotiated.codec.add_path_send.contains(family) { paths.len() } else { 1 };
    let chosen = paths.iter().filter(|path| family != Family::RouteTarget || path.peer != peer.index);
    let as_sent = chosen.take(count_max).filter_map(|path| {
        let source = &sources[path.peer.as_usize()];
        let rule = view.allowed(destination, path, source)?;
        Some((path, view.attributes(path, source, rule)?))
    });
    as_sent.collect()
}

/// What goes to one neighbour of one family.
struct Exporter<'a> {
    config: &'a SpeakerConfig,
    peer: &'a mut Peer,
    negotiated: &'a Negotiated,
    local: IpAddr,
    family: Family,
}

/// What makes attributes come out the same: the set, the policy's rule, whom it is from, whether it is stale for long.
type GroupKey = (usize, Option<usize>, PeerIndex, bool);

/// What is to be sent, grouped.
#[derive(Default)]
struct Batch {
    groups: Vec<(Attributes, Vec<Route>)>,
    by_key: HashMap<GroupKey, usize, FixedState>,
    withdrawals: Vec<Route>,
}

impl Exporter<'_> {
    /// Sends of some destinations what is to be sent; answers of how many.
    fn batch(&mut self, rib: &mut Rib, buffer: &mut Vec<u8>) -> usize {
        let Self { config, peer, negotiated, local, family } = self;
        let Peer { config: peer_config, wants, families, index, session, .. } = &mut **peer;
        let view = View {
            config,
            peer: peer_config,
            index: *index,
            wants,
            negotiated,
            local: *local,
            family: *family,
        };
        let PeerFamily { sent_paths, .. } = &mut families[*family as usize];
        let mut batch = Batch::default();
        let has_ids = negotiated.codec.add_path_send.contains(*family);
        let count = rib.drain(*index, *family, BATCH, &mut |pending, sources| {
            if has_ids {
                view.all_paths(&mut batch, pending, sources, sent_paths)
            } else {
                view.best_path(&mut batch, pending, sources)
            }
        });
        let codec = &negotiated.codec;
        let mut messages = pack_withdrawals(*family, batch.withdrawals, codec);
        for (attributes, routes) in batch.groups {
            let gone = |route: &Route| Route { payload: Payload::None, ..route.clone() };
            let withdrawals: Vec<Route> = routes.iter().map(gone).collect();
            messages.extend(match pack_announcements(*family, &attributes, routes, codec) {
                Ok(announcements) => announcements,
                // RFC 8654 §4: what cannot be said to the neighbour is not; nor may it keep what it was told before.
                Err(_too_long) => pack_withdrawals(*family, withdrawals, codec),
            });
        }
        session.count_sent(messages.len() as u64);
        messages.iter().for_each(|message| buffer.extend_from_slice(message));
        count
    }

    /// With everything sent, says so if that is to be said.
    fn end(&mut self, rib: &Rib, buffer: &mut Vec<u8>) {
        let is_all = rib.table(self.family).told(self.peer.index).0 == 0;
        let state = self.peer.family(self.family);
        if !is_all || state.mark.is_some() {
            return;
        }
        let message = match state.end.take() {
            None => return,
            Some(End::OfRib) => Message::Update(Update::end_of_rib(self.family)),
            Some(End::OfRefresh) => Message::RouteRefresh(RouteRefresh {
                family: self.family.raw(),
                subtype: RefreshSubtype::End,
            }),
        };
        buffer.extend(encode(&message, &self.negotiated.codec));
    }
}

/// What is looked at to decide what a neighbour is told of a path.
struct View<'a> {
    config: &'a SpeakerConfig,
    peer: &'a super::PeerConfig,
    index: PeerIndex,
    wants: &'a std::collections::BTreeSet<Membership>,
    negotiated: &'a Negotiated,
    local: IpAddr,
    family: Family,
}

impl View<'_> {
    /// Answers whether the neighbour has the destination now.
    fn best_path(&self, batch: &mut Batch, pending: &Pending<'_>, sources: &[Source]) -> bool {
        // Of route targets the neighbour needs to know that others want them too, not who is the best (RFC 4684 §3.2).
        let path = match self.family {
            Family::RouteTarget => pending.paths.iter().find(|path| path.peer != self.index),
            _ => pending.paths.first(),
        };
        if path.is_some_and(|path| self.announce(batch, pending.destination, (path, sources), None)) {
            return true;
        }
        if pending.is_told {
            let destination = pending.destination.clone();
            batch.withdrawals.push(Route { path_id: None, destination, payload: Payload::None });
        }
        false
    }

    fn all_paths(
        &self,
        batch: &mut Batch,
        pending: &Pending<'_>,
        sources: &[Source],
        sent_paths: &mut HashMap<u32, Vec<SentPath>>,
    ) -> bool {
        let before = sent_paths.remove(&pending.slot).unwrap_or_default();
        let mut after: Vec<SentPath> = Vec::new();
        for path in pending.paths {
            let from = (path.peer, path.path_id);
            let known = before.iter().find(|sent| sent.from == from).map(|sent| sent.as_id);
            let as_id = known.unwrap_or_else(|| {
                let is_used = |id: &u32| before.iter().chain(&after).any(|sent| sent.as_id == *id);
                (1..).find(|id| !is_used(id)).unwrap_or(u32::MAX)
            });
            if self.announce(batch, pending.destination, (path, sources), Some(PathId(as_id))) {
                after.push(SentPath { from, as_id });
            }
        }
        for gone in before.iter().filter(|sent| !after.iter().any(|other| other.as_id == sent.as_id)) {
            let (path_id, destination) = (Some(PathId(gone.as_id)), pending.destination.clone());
            batch.withdrawals.push(Route { path_id, destination, payload: Payload::None });
        }
        let has_it = !after.is_empty();
        if has_it {
            sent_paths.insert(pending.slot, after);
        }
        has_it
    }

    /// Puts a path among what is announced; answers whether it may be.
    fn announce(
        &self,
        batch: &mut Batch,
        destination: &Destination,
        (path, sources): (&PathView<'_>, &[Source]),
        path_id: Option<PathId>,
    ) -> bool {
        let source = &sources[path.peer.as_usize()];
        let Some(rule) = self.allowed(destination, path, source) else { return false };
        let key = (Arc::as_ptr(path.attributes) as usize, rule, path.peer, path.is_long_lived_stale);
        let group = match batch.by_key.get(&key) {
            Some(group) => *group,
            None => {
                let Some(attributes) = self.attributes(path, source, rule) else { return false };
                batch.groups.push((attributes, Vec::new()));
                batch.by_key.insert(key, batch.groups.len() - 1);
                batch.groups.len() - 1
            }
        };
        let route = Route { path_id, destination: destination.clone(), payload: path.payload.clone() };
        batch.groups[group].1.push(route);
        true
    }

    /// Whether a path is for the neighbour, and by which rule of policy if there is one.
    #[expect(clippy::option_option, reason = "allowed without a rule is not the same as not allowed")]
    fn allowed(
        &self,
        destination: &Destination,
        path: &PathView<'_>,
        source: &Source,
    ) -> Option<Option<usize>> {
        let attributes = &path.attributes.attributes;
        if !self.may_go(path, source) || !self.is_wanted(attributes) {
            return None;
        }
        match &self.peer.export {
            None => Some(None),
            Some(policy) => policy.evaluate(destination, attributes).map(|(number, _)| Some(number)),
        }
    }

    fn is_external(&self) -> bool {
        self.negotiated.codec.peer == PeerKind::External
    }

    /// Whether a path may go to the neighbour at all.
    fn may_go(&self, path: &PathView<'_>, source: &Source) -> bool {
        let communities = path.attributes.attributes.communities();
        let is_kept = communities.contains(&Community::NO_ADVERTISE)
            || self.is_external()
                && (communities.contains(&Community::NO_EXPORT)
                    || communities.contains(&Community::NO_EXPORT_SUBCONFED));
        let is_reflected = source.kind == SourceKind::Internal && !self.is_external();
        // RFC 9494 §4.4: only to those who know what that means.
        let is_stale = path.is_long_lived_stale || path.attributes.is_long_lived_stale;
        let knows_stale = self.negotiated.long_lived.iter().any(|(family, _)| *family == self.family);
        path.peer != self.index
            && !is_kept
            && (!is_reflected || source.is_client || self.peer.is_route_reflector_client)
            && (!is_stale || knows_stale)
            && (!self.is_external() || self.peer.export.is_some() || self.goes_without_policy(path, source))
    }

    /// Whether a path may go to a neighbour of another AS for which there is no policy.
    fn goes_without_policy(&self, path: &PathView<'_>, source: &Source) -> bool {
        match self.config.without_external_policy {
            ExternalDefault::Nothing => false,
            ExternalDefault::OwnRoutes => {
                source.kind == SourceKind::Local || path.attributes.attributes.as_path.is_empty()
            }
            ExternalDefault::Everything => true,
        }
    }

    /// Whether the neighbour wants a route for one of its targets (RFC 4684 §6).
    fn is_wanted(&self, attributes: &Attributes) -> bool {
        let is_constrained = CONSTRAINED.contains(&self.family)
            && self.negotiated.codec.families.contains(Family::RouteTarget);
        !is_constrained || wants(self.wants, attributes)
    }

    /// The attributes as the neighbour gets them; nothing if they cannot be said to it.
    fn attributes(&self, path: &PathView<'_>, source: &Source, rule: Option<usize>) -> Option<Attributes> {
        let mut attributes = path.attributes.attributes.clone();
        let is_local = source.kind == SourceKind::Local;
        let edits = rule.and_then(|number| Some(&self.peer.export.as_ref()?.0.get(number)?.set));
        let is_self = match edits.and_then(|edits| edits.next_hop) {
            Some(NextHopRule::OwnAddress) => true,
            Some(NextHopRule::Unchanged) => false,
            None => self.peer.next_hop_self.unwrap_or(self.is_external()) && !is_local,
        };
        if self.is_external() {
            attributes.as_path = attributes.as_path.prepend(self.config.asn, 1);
            attributes.local_pref = None;
            if !is_local {
                // RFC 4271 §5.1.4: that of one neighbouring AS is not for another.
                attributes.multi_exit_disc = None;
            }
            let communities = attributes.extended_communities().to_vec();
            attributes.set_extended_communities(
                communities.into_iter().filter(|community| community.is_transitive()),
            );
            attributes.edit_rare(|rare| (rare.originator_id, rare.cluster_list) = (None, Vec::new()));
        } else {
            attributes.local_pref.get_or_insert(DEFAULT_LOCAL_PREF);
            if source.kind == SourceKind::Internal {
                self.reflect(&mut attributes, source);
            }
        }
        if path.is_long_lived_stale {
            let communities = attributes.communities().to_vec();
            attributes.set_communities(communities.into_iter().chain([Community::LLGR_STALE]));
        }
        if let Some(edits) = edits {
            let local_pref = attributes.local_pref;
            edits.apply(&mut attributes);
            if self.is_external() {
                attributes.local_pref = local_pref;
            }
        }
        if is_self {
            attributes.next_hop = self.own_next_hop();
        }
        self.is_sayable(attributes.next_hop).then_some(attributes)
    }

    /// RFC 4456 §8: who brought the route into the AS, and through which clusters it came.
    fn reflect(&self, attributes: &mut Attributes, source: &Source) {
        let cluster_id = self.config.cluster_id();
        // RFC 4684 §3.2: a client must not take its own wish, coming back, for a loop and miss that of another.
        let originator =
            if self.family == Family::RouteTarget { self.config.router_id } else { source.router_id };
        attributes.edit_rare(|rare| {
            rare.originator_id.get_or_insert(originator);
            rare.cluster_list.insert(0, cluster_id);
        });
    }

    fn own_next_hop(&self) -> NextHop {
        let address6 = self.peer.local_address6;
        match (self.family, self.local) {
            (Family::Ipv6Unicast | Family::Vpnv6, IpAddr::V4(address)) => {
                NextHop::Ipv6(address6.unwrap_or_else(|| mapped(address)))
            }
            (_, address) => address.into(),
        }
    }

    /// Whether a next hop is of a kind that the family has (RFC 8950).
    fn is_sayable(&self, next_hop: NextHop) -> bool {
        match (self.family, next_hop) {
            (Family::Ipv4Unicast | Family::Vpnv4, NextHop::Ipv6(_) | NextHop::Ipv6Pair { .. }) => {
                self.negotiated.codec.extended_next_hop.contains(self.family)
            }
            (Family::Ipv6Unicast | Family::Vpnv6, NextHop::Ipv4(_)) => false,
            (Family::Vpnv6 | Family::Evpn | Family::RouteTarget, NextHop::Ipv6Pair { .. }) => false,
            _ => true,
        }
    }
}

const fn mapped(address: Ipv4Addr) -> Ipv6Addr {
    address.to_ipv6_mapped()
}

/// Whether one of a route's targets is among what is wanted, or all is.
pub(super) fn wants<'a>(
    wanted: impl IntoIterator<Item = &'a Membership> + Clone,
    attributes: &Attributes,
) -> bool {
    let is_among = |target: [u8; 8]| wanted.clone().into_iter().any(|membership| membership.covers(target));
    // Not every route has a target.
    let is_all = wanted.clone().into_iter().any(|membership| *membership == Membership::DEFAULT);
    let mut communities = attributes.extended_communities().iter();
    is_all || communities.any(|community| community.is_target() && is_among(community.octets()))
}
