//! From a neighbour's UPDATEs to the table (RFC 4271 §9).

use std::time::Instant;

use super::peer::{End, Mark, Peer, Stale};
use super::{ExternalDefault, Speaker, SpeakerConfig};
use crate::policy::Policy;
use crate::rib::{NewPath, Rib};
use crate::session::{Input, Negotiated};
use crate::wire::{
    Attributes, Consequence, Destination, Family, Fault, Notification, NotificationCode, PeerKind,
    RefreshSubtype, Route, RouteRefresh, Update,
};

impl Speaker {
    /// Puts into the table what a neighbour announces, and takes out what it withdraws.
    pub(super) fn import(&mut self, index: u16, update: &Update, faults: &[Fault], now: Instant) {
        let Self { config, peers, rib, .. } = self;
        let Some(peer) = peers.get_mut(&index) else { return };
        let Some((negotiated, local)) = peer.up.clone() else { return };
        for fault in faults {
            if let Consequence::DisableFamily(raw) = fault.consequence
                && let Some(family) = raw.known()
            {
                peer.family(family).is_disabled = true;
                peer.family(family).forget();
            }
        }
        if let Some(family) = update.is_end_of_rib() {
            self.ended(index, family);
            return;
        }
        for routes in update.withdrawals() {
            routes.iter().for_each(|route| withdraw(rib, peer, route));
        }
        for (attributes, routes) in update.announcements() {
            let is_loop = is_loop(config, &attributes) || attributes.next_hop.address() == local;
            let mut importer = Importer { config, negotiated: &negotiated, is_loop, rib };
            importer.announce(peer, attributes, routes);
        }
        self.check_limits(index, now);
    }

    /// All routes of a family have come (RFC 4724 §4.2).
    pub(super) fn ended(&mut self, index: u16, family: Family) {
        let Some(peer) = self.peers.get_mut(&index) else { return };
        let state = peer.family(family);
        state.has_ended = true;
        if state.stale != Stale::No {
            state.stale = Stale::No;
            state.sweep_stale();
        }
    }

    /// A ROUTE-REFRESH: a wish for our routes, or the frame around the neighbour's (RFC 2918, RFC 7313).
    pub(super) fn refreshed(&mut self, index: u16, refresh: RouteRefresh, now: Instant) {
        let spoken = self.spoken(index);
        let Some(family) = refresh.family.known().filter(|family| spoken.contains(*family)) else { return };
        let Some(peer) = self.peers.get_mut(&index) else { return };
        let is_enhanced =
            peer.session.negotiated().is_some_and(|(_, negotiated)| negotiated.has_enhanced_refresh);
        match refresh.subtype {
            RefreshSubtype::Request => {
                let state = peer.family(family);
                // RFC 7313 §4: not before the first End-of-RIB.
                if is_enhanced && state.end != Some(End::OfRib) {
                    state.end = Some(End::OfRefresh);
                    peer.session
                        .send_refresh(RouteRefresh { family: family.raw(), subtype: RefreshSubtype::Begin });
                }
                peer.family(family).mark = Some((Mark::All, 0));
            }
            RefreshSubtype::Begin => {
                let state = peer.family(family);
                // One at a time: otherwise epochs could come round while older routes are still there.
                if state.sweep.is_none() && state.stale == Stale::No {
                    state.renew();
                    state.stale = Stale::Refreshing(now + super::work::REFRESH_MAX);
                }
            }
            RefreshSubtype::End => self.ended(index, family),
            RefreshSubtype::Unknown(_) => {}
        }
    }

    /// Ends the session of a neighbour that has more routes than it may have (RFC 4486 §4).
    pub(super) fn check_limits(&mut self, index: u16, now: Instant) {
        let Some(peer) = self.peers.get_mut(&index) else { return };
        let limits =
            peer.config.families.iter().filter_map(|family| Some((family.family, family.prefix_limit?)));
        let limits: Vec<(Family, u32)> = limits.collect();
        for (family, limit) in limits {
            let count = self.rib.count(peer.index, family);
            peer.family(family).is_near_limit = u64::from(count) * 4 >= u64::from(limit) * 3;
            if count > limit {
                let raw = family.raw();
                let data = [&raw.afi.to_be_bytes()[..], &[raw.safi], &limit.to_be_bytes()].concat();
                let idle = peer.config.prefix_limit_idle_hold_s;
                peer.restart_at = idle.map(|seconds| now + std::time::Duration::from_secs(seconds.into()));
                peer.is_over_limit = true;
                let notification = Notification::with_data(NotificationCode::MAXIMUM_PREFIXES, &data);
                peer.session.handle(Input::Stop(notification), now);
                return;
            }
        }
    }
}

/// Whether a route has been here before (RFC 4271 §9, RFC 4456 §8).
fn is_loop(config: &SpeakerConfig, attributes: &Attributes) -> bool {
    let rare = attributes.rare();
    attributes.as_path.contains(config.asn)
        || rare.originator_id == Some(config.router_id)
        || rare.cluster_list.contains(&config.cluster_id())
}

struct Importer<'a> {
    config: &'a SpeakerConfig,
    negotiated: &'a Negotiated,
    is_loop: bool,
    rib: &'a mut Rib,
}

impl Importer<'_> {
    fn announce(&mut self, peer: &mut Peer, attributes: Attributes, routes: &[Route]) {
        let is_external = self.negotiated.codec.peer == PeerKind::External;
        let is_open = !is_external || self.config.without_external_policy != ExternalDefault::Nothing;
        match peer.config.import.take() {
            None if is_open && !self.is_loop => self.put(peer, attributes, routes),
            Some(policy) if !self.is_loop => {
                self.put_by_policy(peer, &policy, &attributes, routes);
                peer.config.import = Some(policy);
            }
            policy => {
                peer.config.import = policy;
                // What is not taken takes the place of what was (RFC 4271 §9).
                routes.iter().for_each(|route| withdraw(self.rib, peer, route));
                peer.rejected += routes.len() as u64;
            }
        }
    }

    fn put_by_policy(&mut self, peer: &mut Peer, policy: &Policy, attributes: &Attributes, routes: &[Route]) {
        for route in routes {
            match policy.evaluate(&route.destination, attributes) {
                Some((_, edits)) => {
                    let mut attributes = attributes.clone();
                    edits.apply(&mut attributes);
                    self.put(peer, attributes, std::slice::from_ref(route));
                }
                None => {
                    withdraw(self.rib, peer, route);
                    peer.rejected += 1;
                }
            }
        }
    }

    fn put(&mut self, peer: &mut Peer, attributes: Attributes, routes: &[Route]) {
        let Some(first) = routes.first() else { return };
        let index = peer.index;
        let state = peer.family(first.destination.family());
        if state.is_disabled {
            return;
        }
        let epoch = state.epoch;
        let attributes = self.rib.intern(attributes);
        for route in routes {
            if let Destination::RouteTarget(membership) = &route.destination
                && peer.wants.insert(*membership)
            {
                membership_changed(peer, *membership);
            }
            let path_id = path_id(route);
            let (attributes, payload) = (attributes.clone(), route.payload.clone());
            self.rib
                .announce(&route.destination, NewPath { peer: index, epoch, path_id, attributes, payload });
        }
        self.rib.release(attributes);
    }
}

fn withdraw(rib: &mut Rib, peer: &mut Peer, route: &Route) {
    if let Destination::RouteTarget(membership) = &route.destination
        && peer.wants.remove(membership)
    {
        membership_changed(peer, *membership);
    }
    let _was_there = rib.withdraw(&route.destination, peer.index, path_id(route));
}

/// What has a route target of these is to be told anew, or taken back.
fn membership_changed(peer: &mut Peer, membership: crate::wire::Membership) {
    for family in super::export::CONSTRAINED {
        peer.family(family).changed_memberships.push(membership);
    }
}

fn path_id(route: &Route) -> u32 {
    route.path_id.map_or(0, |id| id.0)
}
