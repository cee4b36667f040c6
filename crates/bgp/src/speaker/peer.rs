//! What a speaker knows of one neighbour.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::PeerConfig;
use crate::rib::{PeerIndex, Sweep};
use crate::session::{ConnectionId, Negotiated, Session};
use crate::wire::{Family, Membership};

/// A neighbour.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) config: PeerConfig,
    pub(super) session: Session,
    pub(super) index: PeerIndex,
    pub(super) life: Life,
    /// The connections there are, with our address in each.
    pub(super) connections: Vec<(ConnectionId, IpAddr)>,
    /// What was agreed on, and our address in the session, while it is up.
    pub(super) up: Option<(Arc<Negotiated>, IpAddr)>,
    pub(super) families: [PeerFamily; Family::ALL.len()],
    /// Whether it was ended for more routes than allowed, and not started since.
    pub(super) is_over_limit: bool,
    /// When a session that had more routes than allowed begins again.
    pub(super) restart_at: Option<Instant>,
    /// The route targets that it wants (RFC 4684).
    pub(super) wants: BTreeSet<Membership>,
    /// How many announced routes policy has rejected, or a loop.
    pub(super) rejected: u64,
}

/// Whether a neighbour stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// It is configured.
    Configured,
    /// It came by itself; with its session it goes.
    Dynamic,
    /// It goes when its routes have gone.
    Leaving,
}

/// What is there of one family with a neighbour.
#[derive(Debug, Default)]
pub(super) struct PeerFamily {
    /// The generation of its present routes.
    pub(super) epoch: u8,
    pub(super) stale: Stale,
    /// How long stale routes are kept after the restart time (RFC 9494), as agreed on in the last session.
    pub(super) long_lived: Option<Duration>,
    /// Routes of it are ignored until the session ends (RFC 4760 §7).
    pub(super) is_disabled: bool,
    /// All its routes have come.
    pub(super) has_ended: bool,
    /// A walk that takes routes out, and where it is.
    pub(super) sweep: Option<(Sweep, u32)>,
    /// A walk that marks what the neighbour has to be told, and where it is.
    pub(super) mark: Option<(Mark, u32)>,
    /// Route targets that came or went and are not marked for yet.
    pub(super) changed_memberships: Vec<Membership>,
    /// What is sent when the neighbour has been told everything.
    pub(super) end: Option<End>,
    /// It was said that the limit is near.
    pub(super) is_near_limit: bool,
    /// Of each slot, which paths have been sent under which identifiers (RFC 7911).
    pub(super) sent_paths: HashMap<u32, Vec<SentPath>>,
}

/// A path that has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SentPath {
    pub(super) from: (PeerIndex, u32),
    pub(super) as_id: u32,
}

/// Whether routes are kept that the neighbour no longer vouches for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stale {
    /// None.
    #[default]
    No,
    /// The session is down, until this time (RFC 4724).
    Restarting(Instant),
    /// It is still down, until this time (RFC 9494).
    LongLived(Instant),
    /// It is up again: until all routes have come, or this time.
    Refreshing(Instant),
}

/// What is marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    All,
    /// What has one of these route targets.
    Memberships(Vec<Membership>),
}

/// What is sent at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// End-of-RIB (RFC 4724 §2).
    OfRib,
    /// The end of what a refresh has asked for (RFC 7313).
    OfRefresh,
}

impl Peer {
    pub(super) fn new(config: PeerConfig, session: Session, index: PeerIndex, life: Life) -> Self {
        Self {
            config,
            session,
            index,
            life,
            connections: Vec::new(),
            up: None,
            families: Default::default(),
            is_over_limit: false,
            restart_at: None,
            wants: BTreeSet::new(),
            rejected: 0,
        }
    }

    pub(super) fn family(&mut self, family: Family) -> &mut PeerFamily {
        &mut self.families[family as usize]
    }

    pub(super) fn is_spoken(&self, family: Family) -> bool {
        self.up.as_ref().is_some_and(|(negotiated, _)| negotiated.codec.families.contains(family))
    }

    pub(super) fn has_work(&self) -> bool {
        self.families.iter().any(|family| {
            family.sweep.is_some() || family.mark.is_some() || !family.changed_memberships.is_empty()
        })
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let stale = self.families.iter().filter_map(|family| family.stale.until());
        stale.chain(self.restart_at).chain(self.session.next_deadline()).min()
    }
}

impl PeerFamily {
    /// All routes of the neighbour's go, in slices.
    pub(super) fn forget(&mut self) {
        self.renew();
        self.stale = Stale::No;
        self.sweep_stale();
    }

    /// All routes that are there are of an older epoch from now on.
    pub(super) const fn renew(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    /// All routes of older epochs go, in slices.
    pub(super) const fn sweep_stale(&mut self) {
        self.sweep = Some((Sweep::OtherEpochs(self.epoch), 0));
    }
}

impl Stale {
    pub(super) const fn until(self) -> Option<Instant> {
        match self {
            Self::No => None,
            Self::Restarting(until) | Self::LongLived(until) | Self::Refreshing(until) => Some(until),
        }
    }
}
