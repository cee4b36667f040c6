//! Beginnings and ends of sessions, what they mean for routes (RFC 4724, RFC 9494), and walks through the tables in slices.

use std::time::{Duration, Instant};

use super::Speaker;
use super::export::wants;
use super::peer::{End, Life, Mark, PeerFamily, Stale};
use crate::rib::{PeerIndex, Scope, Source, SourceKind, Sweep};
use crate::session::{Down, Input, Negotiated};
use crate::wire::{Family, PeerKind, RefreshSubtype, RouteRefresh};

/// How long a neighbour that is up again may take to send all its routes.
pub(super) const REFRESH_MAX: Duration = Duration::from_secs(360);
/// How many slots a walk passes at a time.
const SLICE: u32 = 8192;

impl Speaker {
    /// A session is established.
    pub(super) fn up(&mut self, index: u16, negotiated: &std::sync::Arc<Negotiated>, now: Instant) {
        let Self { peers, rib, .. } = self;
        let Some(peer) = peers.get_mut(&index) else { return };
        let local = peer
            .session
            .negotiated()
            .and_then(|(id, _)| peer.connections.iter().find(|(other, _)| *other == id));
        let Some(&(_, local)) = local else { return };
        peer.up = Some((std::sync::Arc::clone(negotiated), local));
        peer.wants.clear();
        let kind = match negotiated.codec.peer {
            PeerKind::Internal => SourceKind::Internal,
            PeerKind::External => SourceKind::External,
        };
        let source = Source {
            kind,
            router_id: negotiated.open.router_id,
            address: peer.config.address,
            is_client: peer.config.is_route_reflector_client,
        };
        rib.set_source(peer.index, source);
        for family in Family::ALL {
            let forwarding_kept = negotiated.graceful.as_ref().is_some_and(|graceful| {
                graceful.families.iter().any(|kept| kept.family == family.raw() && kept.forwarding_kept)
            });
            let is_spoken = negotiated.codec.families.contains(family);
            let has_ids = negotiated.codec.add_path_send.contains(family);
            let state = peer.family(family);
            (state.has_ended, state.is_disabled) = (false, false);
            state.sent_paths.clear();
            match state.stale {
                Stale::No => {}
                Stale::Restarting(_) | Stale::LongLived(_) | Stale::Refreshing(_)
                    if is_spoken && forwarding_kept =>
                {
                    state.renew();
                    state.stale = Stale::Refreshing(now + REFRESH_MAX);
                }
                Stale::Restarting(_) | Stale::LongLived(_) | Stale::Refreshing(_) => state.forget(),
            }
            if is_spoken {
                state.mark = Some((Mark::All, 0));
                state.end = Some(End::OfRib);
                rib.table_mut(family)
                    .subscribe(PeerIndex(index), if has_ids { Scope::All } else { Scope::Best });
            }
        }
    }

    /// A session has ended.
    pub(super) fn down(&mut self, index: u16, down: &Down, now: Instant) {
        let Self { peers, rib, .. } = self;
        let Some(peer) = peers.get_mut(&index) else { return };
        peer.up = None;
        let graceful =
            down.negotiated.graceful.as_ref().filter(|_| down.keeps_routes && peer.life != Life::Leaving);
        for family in down.negotiated.codec.families.iter() {
            rib.table_mut(family).unsubscribe(peer.index);
            let state = &mut peer.families[family as usize];
            (state.mark, state.end) = (None, None);
            state.changed_memberships.clear();
            state.sent_paths.clear();
            state.long_lived =
                down.negotiated.long_lived.iter().find(|(other, _)| *other == family).map(|(_, time)| *time);
            let kept =
                graceful.filter(|graceful| graceful.families.iter().any(|kept| kept.family == family.raw()));
            match kept {
                Some(graceful) => {
                    // What was stale already has had its chance (RFC 4724 §4.2).
                    state.sweep_stale();
                    state.stale =
                        Stale::Restarting(now + Duration::from_secs(graceful.restart_time_s.into()));
                }
                None => state.forget(),
            }
        }
    }

    /// Asks a neighbour for its routes and tells it ours anew, after a change of policy.
    pub(super) fn refresh(&mut self, index: u16, now: Instant) {
        let spoken = self.spoken(index);
        self.check_limits(index, now);
        let Some(peer) = self.peers.get_mut(&index) else { return };
        for family in spoken.iter() {
            peer.session
                .send_refresh(RouteRefresh { family: family.raw(), subtype: RefreshSubtype::Request });
            peer.family(family).mark = Some((Mark::All, 0));
        }
    }

    /// It may be later than a deadline.
    pub fn timeout(&mut self, now: Instant) {
        if self.settling_until.is_some_and(|until| until <= now || self.has_settled()) {
            self.settled();
        }
        for index in self.peers.keys().copied().collect::<Vec<_>>() {
            if let Some(peer) = self.peers.get_mut(&index) {
                peer.families.iter_mut().for_each(|family| expire(family, now));
                if peer.restart_at.is_some_and(|at| at <= now) {
                    peer.restart_at = None;
                    self.tell(index, Input::Start, now);
                }
            }
            self.tell(index, Input::Timeout, now);
        }
    }

    /// Whether all neighbours that keep our routes have sent theirs (RFC 4724 §4.1). Of those that come by themselves nobody knows how many
    /// there are: they have until the time is over.
    pub(super) fn has_settled(&self) -> bool {
        if self.config.accept.iter().any(|accept| accept.neighbor.graceful_restart.is_some()) {
            return false;
        }
        self.peers.values().filter(|peer| peer.config.graceful_restart.is_some()).all(|peer| {
            let is_restarting = |negotiated: &Negotiated| {
                negotiated.graceful.as_ref().is_none_or(|graceful| graceful.is_restarting)
            };
            peer.up.as_ref().is_some_and(|(negotiated, _)| {
                is_restarting(negotiated)
                    || negotiated.codec.families.iter().all(|family| peer.families[family as usize].has_ended)
            })
        })
    }

    fn settled(&mut self) {
        self.settling_until = None;
        let restart = self.restart();
        self.peers.values_mut().for_each(|peer| peer.session.set_restart(restart));
    }

    /// Does a slice of what takes long; answers whether there is more.
    pub fn work(&mut self) -> bool {
        if self.settling_until.is_some() && self.has_settled() {
            self.settled();
        }
        let (after, family) = self.work_cursor;
        let order = self.peers.range(after..).chain(self.peers.range(..after));
        let Some(index) = order.filter(|(_, peer)| peer.has_work()).map(|(index, _)| *index).next() else {
            self.remove_left();
            return false;
        };
        let count = Family::ALL.len();
        let families = (0..count).map(|step| Family::ALL[(family + step) % count]);
        for family in families {
            if self.slice(index, family) {
                // The next one's turn: other families of this neighbour, then other neighbours.
                let next = family as usize + 1;
                self.work_cursor = if next < count { (index, next) } else { (index.wrapping_add(1), 0) };
                break;
            }
        }
        true
    }

    /// Whether [`Speaker::work`] has something to do.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.peers.values().any(|peer| peer.has_work() || peer.life == Life::Leaving && peer.up.is_none())
    }

    /// Passes some slots of one table for one neighbour; answers whether there was something to do.
    fn slice(&mut self, index: u16, family: Family) -> bool {
        let Self { peers, rib, .. } = self;
        let Some(peer) = peers.get_mut(&index) else { return false };
        let peer_index = peer.index;
        let state = peer.family(family);
        if let Some((sweep, from)) = state.sweep.take() {
            let next = rib.sweep(peer_index, family, sweep, from..from.saturating_add(SLICE));
            state.sweep = next.map(|next| (sweep, next));
            return true;
        }
        if state.mark.is_none() && !state.changed_memberships.is_empty() {
            state.mark = Some((Mark::Memberships(std::mem::take(&mut state.changed_memberships)), 0));
        }
        let Some((mark, from)) = state.mark.take() else { return false };
        let slots = from..from.saturating_add(SLICE);
        let next = match &mark {
            Mark::All => rib.table_mut(family).mark(peer_index, slots, &|_| true),
            Mark::Memberships(memberships) => rib
                .table_mut(family)
                .mark(peer_index, slots, &|path| wants(memberships, &path.attributes.attributes)),
        };
        state.mark = next.map(|next| (mark, next));
        true
    }

    /// Neighbours that were to go and have no routes any more are gone.
    fn remove_left(&mut self) {
        self.peers.retain(|_, peer| peer.life != Life::Leaving || peer.up.is_some());
    }
}

/// What becomes of stale routes whose time is over.
fn expire(state: &mut PeerFamily, now: Instant) {
    match state.stale {
        Stale::Restarting(until) if until <= now => match state.long_lived {
            Some(time) => {
                state.stale = Stale::LongLived(until + time);
                state.sweep = Some((Sweep::LongLived, 0));
            }
            None => state.forget(),
        },
        Stale::LongLived(until) if until <= now => state.forget(),
        Stale::Refreshing(until) if until <= now => {
            state.stale = Stale::No;
            state.sweep_stale();
        }
        Stale::No | Stale::Restarting(_) | Stale::LongLived(_) | Stale::Refreshing(_) => {}
    }
}
