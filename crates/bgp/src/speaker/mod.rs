//! A BGP speaker as one machine: what happened goes in, what is to be done comes out.
//!
//! Never here: sockets, clocks, randomness (all arguments); what is done with routes.
//!
//! ```text
//!  accept · connected · bytes · closed · timeout ──> sessions ──> import ──> RIB ──> poll_learned
//!  poll_action (connect, close) <── sessions         work (walks in slices) ─┘ └──> export <── poll_transmit
//! ```
//!
//! Nothing is queued but what a session itself has to say: routes for a neighbour are looked up when it can take them, changes for
//! whoever asks when it asks.

mod audit;
mod config;
mod export;
mod import;
mod learned;
mod page;
mod peer;
mod query;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use audit::Mistold;
pub use config::{
    AcceptConfig, ConfigError, ExternalDefault, FamilyConfig, Md5Key, PORT, PeerAsn, PeerConfig, Restarted,
    SpeakerConfig,
};
pub use learned::{Learned, LearnedPath, SharedAttributes};
pub use page::{Page, PageSize, RibView, RouteFilter};
pub use query::{
    BeatenPath, Explanation, FamilyStatus, NeighborStatus, PathStatus, RouteStatus, SpeakerStatus,
};

use learned::Instances;
use peer::{Life, Peer};

use crate::rib::{NewPath, PeerIndex, Rib, Source};
use crate::session::{ConnectionId, Input, Output, Restart, Session};
use crate::wire::{Attributes, Destination, FamilySet, Notification, NotificationCode, Payload};

/// A speaker.
#[derive(Debug)]
pub struct Speaker {
    config: SpeakerConfig,
    peers: BTreeMap<u16, Peer>,
    /// How many sessions there have been, of neighbours that are there or have gone.
    sessions_made: u64,
    rib: Rib,
    instances: Instances,
    actions: VecDeque<Action>,
    /// Sessions that came up and went down, of which nobody has been told yet; the oldest are dropped.
    session_events: VecDeque<SessionEvent>,
    /// Neighbours came, went or have other keys since the keys were taken.
    are_keys_changed: bool,
    /// Somebody asks for what is learned.
    is_followed: bool,
    /// Until when routes are awaited after a restart (RFC 4724 §4.1).
    settling_until: Option<Instant>,
    /// Where [`Speaker::work`] goes on.
    work_cursor: (u16, usize),
    random: ChaCha8Rng,
}

/// A route that we originate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What it leads to.
    pub destination: Destination,
    /// What it carries besides.
    pub payload: Payload,
    /// Its attributes, next hop included. With a `local_pref` of none, 100 is sent within our AS.
    pub attributes: Attributes,
}

/// How many events of sessions are remembered.
const SESSION_EVENTS_MAX: usize = 256;

/// A session came up or went down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionEvent {
    /// With whom.
    pub neighbor: IpAddr,
    /// What ended it; nothing if it came up.
    pub ended_by: Option<String>,
}

/// What is to be done for a speaker, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Connect.
    Connect {
        /// The name of the connection.
        connection: ConnectionId,
        /// From where.
        local: Option<IpAddr>,
        /// To whom.
        remote: SocketAddr,
        /// How.
        transport: Transport,
    },
    /// Send what there is to be sent, and close.
    Close(ConnectionId),
}

/// What TCP has to be told of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// The key of MD5 signatures (RFC 2385).
    pub md5_key: Option<Md5Key>,
    /// How many hops away the neighbour is at most (RFC 5082).
    pub ttl_security_hops: Option<u8>,
}

impl Speaker {
    /// A speaker without neighbours. `seed` is its randomness: for jitter, and for hashes that nobody outside can foresee.
    ///
    /// # Errors
    /// When the configuration breaks a rule.
    pub fn new(config: SpeakerConfig, now: Instant, seed: u64) -> Result<Self, ConfigError> {
        config.check()?;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let rib = Rib::new(config.router_id, random.random());
        let settling_until =
            config.restarted.map(|restarted| now + Duration::from_secs(restarted.deferral_time_s.into()));
        Ok(Self {
            config,
            peers: BTreeMap::new(),
            sessions_made: 0,
            rib,
            instances: Instances::default(),
            actions: VecDeque::new(),
            session_events: VecDeque::new(),
            are_keys_changed: true,
            is_followed: false,
            settling_until,
            work_cursor: (0, 0),
            random,
        })
    }

    /// Adds a neighbour and starts its session; or changes it: its session begins anew if it has to.
    ///
    /// # Errors
    /// When the configuration breaks a rule.
    pub fn set_peer(&mut self, config: PeerConfig, now: Instant) -> Result<(), ConfigError> {
        config.check()?;
        let Some(index) = self.index_of(config.address) else {
            let index = self
                .free_index()
                .ok_or(ConfigError { field: "address", rule: "65535 neighbours are the most" })?;
            self.insert_peer(config, index, Life::Configured);
            self.tell(index, Input::Start, now);
            return Ok(());
        };
        if let Some(peer) = self.peers.get_mut(&index) {
            peer.life = Life::Configured;
        }
        self.change(index, config, now);
        Ok(())
    }

    /// Changes from where neighbours may come by themselves. Those that are there are changed as their prefix is, or go with it.
    ///
    /// # Errors
    /// When the configuration of one breaks a rule.
    pub fn set_accept(&mut self, accept: Vec<AcceptConfig>, now: Instant) -> Result<(), ConfigError> {
        accept.iter().try_for_each(|accept| accept.neighbor.check())?;
        self.config.accept = accept;
        self.are_keys_changed = true;
        let dynamic = self.peers.values().filter(|peer| peer.life == Life::Dynamic);
        let dynamic: Vec<(u16, IpAddr)> = dynamic.map(|peer| (peer.index.0, peer.config.address)).collect();
        for (index, address) in dynamic {
            let Some(wanted) = self.template(address).map(|accept| accept.neighbor_at(address)) else {
                self.remove_peer(address, now);
                continue;
            };
            if self.peers.get(&index).is_some_and(|peer| peer.config != wanted) {
                self.change(index, wanted, now);
            }
        }
        Ok(())
    }

    /// Changes a neighbour that is there.
    fn change(&mut self, index: u16, config: PeerConfig, now: Instant) {
        let Some(peer) = self.peers.get_mut(&index) else { return };
        let is_same_session = peer.config.session(&self.config) == config.session(&self.config)
            && peer.config.md5_key == config.md5_key
            && peer.config.ttl_security_hops == config.ttl_security_hops
            && peer.config.is_route_reflector_client == config.is_route_reflector_client;
        let may_have_more = peer.is_over_limit && peer.config.has_less_room_than(&config);
        self.are_keys_changed = true;
        peer.session.set_config(config.session(&self.config));
        peer.config = config;
        if may_have_more {
            self.tell(index, Input::Start, now);
        } else if is_same_session {
            self.refresh(index, now);
        } else {
            self.tell(index, Input::Reset(Notification::new(NotificationCode::CONFIGURATION_CHANGE)), now);
            // One that has come by itself has gone with that.
            if self.peers.get(&index).is_some_and(|peer| peer.life != Life::Leaving) {
                self.tell(index, Input::Start, now);
            }
        }
    }

    /// Takes a neighbour out; answers whether it was there.
    pub fn remove_peer(&mut self, address: IpAddr, now: Instant) -> bool {
        let Some(index) = self.index_of(address) else { return false };
        self.tell(index, Input::Stop(Notification::new(NotificationCode::PEER_DECONFIGURED)), now);
        self.leave(index);
        true
    }

    /// Ends a session until it is started; the neighbour gets the text (RFC 9003). Answers whether there is such a neighbour.
    pub fn shut_down(&mut self, address: IpAddr, communication: &str, now: Instant) -> bool {
        let Some(index) = self.index_of(address) else { return false };
        let notification = Notification::shutdown(NotificationCode::ADMINISTRATIVE_SHUTDOWN, communication);
        self.tell(index, Input::Stop(notification), now);
        true
    }

    /// Starts a session that was shut down, or that has had more routes than allowed. Answers whether there is such a neighbour.
    pub fn start(&mut self, address: IpAddr, now: Instant) -> bool {
        let Some(index) = self.index_of(address) else { return false };
        self.tell(index, Input::Start, now);
        true
    }

    /// Ends a session and begins it anew. Answers whether there is such a neighbour.
    pub fn reset(&mut self, address: IpAddr, communication: &str, now: Instant) -> bool {
        let Some(index) = self.index_of(address) else { return false };
        let notification = Notification::shutdown(NotificationCode::ADMINISTRATIVE_RESET, communication);
        self.tell(index, Input::Reset(notification), now);
        true
    }

    /// Originates a route, or changes one.
    pub fn originate(&mut self, route: Route) {
        let attributes = self.rib.intern(route.attributes);
        let (peer, payload) = (PeerIndex::LOCAL, route.payload);
        self.rib.announce(&route.destination, NewPath { peer, epoch: 0, path_id: 0, attributes, payload });
    }

    /// Originates a route no more; answers whether it was.
    pub fn withdraw(&mut self, destination: &Destination) -> bool {
        self.rib.withdraw(destination, PeerIndex::LOCAL, 0)
    }

    /// A connection that somebody has made to us; an error is what it is told before it is closed.
    ///
    /// # Errors
    /// When nobody is expected from there, or not now.
    pub fn accept(
        &mut self,
        remote: IpAddr,
        local: IpAddr,
        now: Instant,
    ) -> Result<ConnectionId, Notification> {
        let index = match self.index_of(remote) {
            Some(index) => index,
            None => self
                .dynamic_peer(remote, now)
                .ok_or(Notification::new(NotificationCode::CONNECTION_REJECTED))?,
        };
        let peer =
            self.peers.get_mut(&index).ok_or(Notification::new(NotificationCode::CONNECTION_REJECTED))?;
        let id = peer.session.accept(now)?;
        peer.connections.push((id, local));
        self.settle(index, now);
        Ok(id)
    }

    /// What TCP has to be told of a connection from this address.
    #[must_use]
    pub fn transport(&self, remote: IpAddr) -> Transport {
        let configured =
            self.index_of(remote).and_then(|index| self.peers.get(&index)).map(|peer| &peer.config);
        let dynamic = || self.template(remote).map(|accept| &accept.neighbor);
        configured.or_else(dynamic).map(transport).unwrap_or_default()
    }

    /// The keys of MD5 signatures by address, for those who listen; `None` if they are those of the last time.
    pub fn take_md5_keys(&mut self) -> Option<BTreeMap<ipnet::IpNet, Md5Key>> {
        if !std::mem::take(&mut self.are_keys_changed) {
            return None;
        }
        let of_peers = self.peers.values().filter(|peer| peer.life != Life::Leaving);
        let of_peers = of_peers.map(|peer| (peer.config.address.into(), &peer.config.md5_key));
        let of_templates = self.config.accept.iter().map(|accept| (accept.prefix, &accept.neighbor.md5_key));
        // A neighbour's own comes after that of whoever is accepted from there.
        let all = of_templates.chain(of_peers);
        Some(all.filter_map(|(prefix, key)| Some((prefix, key.clone()?))).collect())
    }

    /// A connection that was asked for is there; `local` is our address in it.
    pub fn connected(&mut self, id: ConnectionId, local: IpAddr, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&id.peer) {
            peer.connections.push((id, local));
            self.tell(id.peer, Input::Connected(id), now);
        } else {
            self.actions.push_back(Action::Close(id));
        }
    }

    /// A connection is not there, or not any more.
    pub fn closed(&mut self, id: ConnectionId, reason: &str, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&id.peer) {
            peer.connections.retain(|(connection, _)| *connection != id);
            self.tell(id.peer, Input::Closed(id, reason), now);
        }
    }

    /// What came on a connection: at most as much at a time as others may wait for.
    pub fn bytes(&mut self, id: ConnectionId, bytes: &[u8], now: Instant) {
        self.tell(id.peer, Input::Bytes(id, bytes), now);
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Speaker::timeout`] is due at the latest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.peers.values().filter_map(Peer::next_deadline).chain(self.settling_until).min()
    }

    fn index_of(&self, address: IpAddr) -> Option<u16> {
        let is_it = |peer: &&Peer| peer.config.address == address && peer.life != Life::Leaving;
        self.peers.values().find(is_it).map(|peer| peer.index.0)
    }

    fn free_index(&self) -> Option<u16> {
        (1..u16::MAX).find(|index| !self.peers.contains_key(index))
    }

    fn insert_peer(&mut self, config: PeerConfig, index: u16, life: Life) {
        self.sessions_made += 1;
        let number = (index, self.sessions_made);
        let mut session = Session::new(config.session(&self.config), number, self.random.random());
        session.set_restart(self.restart());
        self.rib.set_source(PeerIndex(index), Source::unknown(config.address));
        self.are_keys_changed = true;
        self.peers.insert(index, Peer::new(config, session, PeerIndex(index), life));
    }

    fn restart(&self) -> Restart {
        let forwarding_kept = self.config.restarted.is_some_and(|restarted| restarted.forwarding_kept);
        Restart { is_restarting: self.settling_until.is_some(), forwarding_kept }
    }

    /// How whoever comes from there is configured: by the narrowest prefix.
    fn template(&self, remote: IpAddr) -> Option<&AcceptConfig> {
        let having = self.config.accept.iter().filter(|accept| accept.prefix.contains(&remote));
        having.max_by_key(|accept| accept.prefix.prefix_len())
    }

    /// A neighbour that is known by its prefix alone, if there may be one more.
    fn dynamic_peer(&mut self, remote: IpAddr, now: Instant) -> Option<u16> {
        let accept = self.template(remote)?;
        let is_of_prefix = |peer: &&Peer| {
            let template = self.template(peer.config.address);
            peer.life == Life::Dynamic && template.is_some_and(|template| template.prefix == accept.prefix)
        };
        if self.peers.values().filter(is_of_prefix).count() >= accept.neighbors_max.into() {
            return None;
        }
        let config = accept.neighbor_at(remote);
        let index = self.free_index()?;
        self.insert_peer(config, index, Life::Dynamic);
        // What follows is done when the connection is there: without one the neighbour would be taken for gone.
        if let Some(peer) = self.peers.get_mut(&index) {
            peer.session.handle(Input::Start, now);
        }
        Some(index)
    }

    /// A neighbour goes, when its routes have.
    fn leave(&mut self, index: u16) {
        let Some(peer) = self.peers.get_mut(&index) else { return };
        peer.life = Life::Leaving;
        self.are_keys_changed = true;
        peer.families.iter_mut().for_each(peer::PeerFamily::forget);
    }

    /// Tells a session something and does what follows.
    fn tell(&mut self, index: u16, input: Input<'_>, now: Instant) {
        if let Some(peer) = self.peers.get_mut(&index) {
            if matches!(input, Input::Start | Input::Stop(_) | Input::Reset(_)) {
                // What somebody says counts, not that there were too many routes once.
                (peer.is_over_limit, peer.restart_at) = (false, None);
            }
            peer.session.handle(input, now);
            self.settle(index, now);
        }
    }

    /// Does what a session wants done.
    fn settle(&mut self, index: u16, now: Instant) {
        while let Some(peer) = self.peers.get_mut(&index)
            && let Some(output) = peer.session.poll_output()
        {
            match output {
                Output::Connect(connection) => self.actions.push_back(Action::Connect {
                    connection,
                    local: peer.config.local_address,
                    remote: SocketAddr::new(peer.config.address, peer.config.port),
                    transport: transport(&peer.config),
                }),
                Output::Close(connection) => {
                    peer.connections.retain(|(other, _)| *other != connection);
                    self.actions.push_back(Action::Close(connection));
                }
                Output::Up(negotiated) => {
                    self.note_session(index, None);
                    self.up(index, &negotiated, now);
                }
                Output::Down(down) => {
                    self.note_session(index, Some(down.reason.to_string()));
                    self.down(index, &down, now);
                }
                Output::Update(update, faults) => self.import(index, &update, &faults, now),
                Output::Refresh(refresh) => self.refreshed(index, refresh, now),
            }
        }
        let is_gone =
            |peer: &Peer| peer.life == Life::Dynamic && peer.connections.is_empty() && peer.up.is_none();
        if self.peers.get(&index).is_some_and(is_gone) && !self.is_awaited(index) {
            self.leave(index);
        }
    }

    fn note_session(&mut self, index: u16, ended_by: Option<String>) {
        let Some(peer) = self.peers.get(&index) else { return };
        if self.session_events.len() == SESSION_EVENTS_MAX {
            self.session_events.pop_front();
        }
        self.session_events.push_back(SessionEvent { neighbor: peer.config.address, ended_by });
    }

    /// The sessions that came up and went down since the last time, as far as they are remembered.
    pub fn take_session_events(&mut self) -> Vec<SessionEvent> {
        self.session_events.drain(..).collect()
    }

    /// Whether a neighbour that came by itself may come back for its routes, or may not come back for a while.
    fn is_awaited(&self, index: u16) -> bool {
        self.peers.get(&index).is_some_and(|peer| {
            peer.is_over_limit || peer.families.iter().any(|family| family.stale.until().is_some())
        })
    }

    /// The families that are spoken with this neighbour now.
    fn spoken(&self, index: u16) -> FamilySet {
        let up = self.peers.get(&index).and_then(|peer| peer.up.as_ref());
        up.map_or(FamilySet::EMPTY, |(negotiated, _)| negotiated.codec.families)
    }
}

fn transport(config: &PeerConfig) -> Transport {
    Transport { md5_key: config.md5_key.clone(), ttl_security_hops: config.ttl_security_hops }
}
