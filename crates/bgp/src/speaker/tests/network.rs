//! Speakers in one process: a clock that is turned by hand, connections that deliver late, in pieces, or break.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use weft_net::Asn;

use crate::session::{ConnectionId, FsmState, refusal};
use crate::speaker::{Action, ExternalDefault, PeerAsn, PeerConfig, Route, Speaker, SpeakerConfig};
use crate::wire::{Attributes, Destination, Family, Payload};

/// How late what is sent arrives at most.
const DELAY_MAX: Duration = Duration::from_millis(80);
/// How many octets a piece has at most.
const PIECE_MAX: usize = 700;

/// One end of a connection.
pub(super) type End = (usize, ConnectionId);

/// Something that will have happened.
#[derive(Debug)]
enum Event {
    Accept { from: End, to: usize },
    Connected(End),
    Bytes(End, Vec<u8>),
    Closed(End),
}

#[derive(Debug)]
pub(super) struct Network {
    pub(super) speakers: Vec<Speaker>,
    pub(super) now: Instant,
    random: ChaCha8Rng,
    /// By time and order of their making.
    events: BTreeMap<(Instant, u64), Event>,
    made: u64,
    /// Both ways.
    links: BTreeMap<End, End>,
    /// When the last event on the way to an end is due: what follows is not earlier.
    last: BTreeMap<End, Instant>,
    /// Speakers that are away: nothing reaches them.
    pub(super) away: Vec<usize>,
    /// Ends that read nothing.
    pub(super) stalled: Vec<usize>,
}

pub(super) fn address(speaker: usize) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, u8::try_from(speaker).unwrap() + 1).into()
}

pub(super) fn config(speaker: usize, asn: u32) -> SpeakerConfig {
    let IpAddr::V4(router_id) = address(speaker) else { unreachable!() };
    SpeakerConfig {
        without_external_policy: ExternalDefault::Everything,
        ..SpeakerConfig::new(Asn::new(asn), router_id)
    }
}

pub(super) fn peer(of: usize, asn: u32, families: &[Family]) -> PeerConfig {
    PeerConfig {
        hold_time_s: 9,
        connect_retry_ms: 1000,
        ..PeerConfig::new(address(of), PeerAsn::Exactly(Asn::new(asn)), families)
    }
}

pub(super) fn unicast(prefix: &str) -> Destination {
    Destination::Ipv4(prefix.parse().unwrap())
}

pub(super) fn route(prefix: &str, from: usize) -> Route {
    Route {
        destination: unicast(prefix),
        payload: Payload::None,
        attributes: Attributes::new(address(from).into()),
    }
}

impl Network {
    #[expect(clippy::disallowed_methods, reason = "any time does as the first one")]
    pub(super) fn new(seed: u64, configs: Vec<SpeakerConfig>) -> Self {
        let now = Instant::now();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let speakers =
            configs.into_iter().map(|config| Speaker::new(config, now, random.random()).unwrap()).collect();
        Self {
            speakers,
            now,
            random,
            events: BTreeMap::new(),
            made: 0,
            links: BTreeMap::new(),
            last: BTreeMap::new(),
            away: Vec::new(),
            stalled: Vec::new(),
        }
    }

    /// So many speakers of one AS, each a neighbour of each.
    pub(super) fn mesh(seed: u64, count: usize, change: impl Fn(&mut PeerConfig)) -> Self {
        let mut network = Self::new(seed, (0..count).map(|speaker| config(speaker, 65_000)).collect());
        for one in 0..count {
            for other in (0..count).filter(|other| *other != one) {
                let mut config = peer(other, 65_000, &[Family::Ipv4Unicast]);
                change(&mut config);
                network.speakers[one].set_peer(config, network.now).unwrap();
            }
        }
        network
    }

    pub(super) fn draw(&mut self, below: usize) -> usize {
        self.random.random_range(0..below)
    }

    fn push(&mut self, to: Option<End>, event: Event) {
        let delay = DELAY_MAX.mul_f64(self.random.random_range(0.0..1.0));
        let mut at = self.now + delay;
        if let Some(end) = to {
            at = at.max(self.last.get(&end).copied().unwrap_or(self.now));
            self.last.insert(end, at);
        }
        self.made += 1;
        self.events.insert((at, self.made), event);
    }

    /// Breaks all connections between two.
    pub(super) fn cut(&mut self, one: usize, other: usize) {
        let links: Vec<(End, End)> =
            self.links.iter().filter(|(a, b)| (a.0, b.0) == (one, other)).map(|(a, b)| (*a, *b)).collect();
        for (a, b) in links {
            self.links.remove(&a);
            self.links.remove(&b);
            self.push(Some(a), Event::Closed(a));
            self.push(Some(b), Event::Closed(b));
        }
    }

    /// A speaker dies and another takes its place: its connections break without a word.
    pub(super) fn replace(&mut self, speaker: usize, by: Speaker) {
        for other in 0..self.speakers.len() {
            self.cut(speaker, other);
        }
        self.events.retain(|_, event| match event {
            Event::Accept { from, to } => from.0 != speaker && *to != speaker,
            Event::Connected(end) | Event::Bytes(end, _) | Event::Closed(end) => end.0 != speaker,
        });
        self.speakers[speaker] = by;
    }

    /// Does what is to be done now; then time goes on to what comes next, until it has gone on so long.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            for speaker in 0..self.speakers.len() {
                self.serve(speaker);
            }
            let deadlines = self.speakers.iter().filter_map(Speaker::next_deadline).min();
            let next = self.events.keys().next().map(|(at, _)| *at).into_iter().chain(deadlines).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            let now = self.now;
            self.speakers.iter_mut().for_each(|speaker| speaker.timeout(now));
            while let Some(first) = self.events.first_entry().filter(|first| first.key().0 <= now) {
                let event = first.remove();
                self.happen(event);
            }
        }
        self.now = end;
    }

    /// Runs until this is so.
    pub(super) fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        for _ in 0..4000 {
            if is_so(self) {
                return;
            }
            self.run(Duration::from_millis(100));
        }
        let now = self.now;
        panic!(
            "{what}: {:#?}",
            self.speakers.iter().map(|speaker| speaker.neighbors(now)).collect::<Vec<_>>()
        );
    }

    /// Runs until every session is established and no news of a broken connection is on its way: whom that has not reached believes
    /// to be established still.
    pub(super) fn until_established(&mut self) {
        self.until("established", |network| {
            let is_closing = network.events.values().any(|event| matches!(event, Event::Closed(_)));
            !is_closing
                && (0..network.speakers.len()).all(|speaker| {
                    let neighbors = network.speakers[speaker].neighbors(network.now);
                    neighbors.iter().all(|neighbor| neighbor.state == FsmState::Established)
                })
        });
    }

    fn serve(&mut self, speaker: usize) {
        // First what is to be done, as the driver has it: what goes may still have to be sent.
        while let Some(action) = self.speakers[speaker].poll_action() {
            match action {
                Action::Connect { connection, remote, .. } => {
                    let to = (0..self.speakers.len()).find(|other| address(*other) == remote.ip());
                    let from = (speaker, connection);
                    match to {
                        Some(to) => self.push(None, Event::Accept { from, to }),
                        None => self.push(None, Event::Closed(from)),
                    }
                }
                Action::Close(connection) => {
                    self.transmit((speaker, connection));
                    if let Some(other) = self.links.remove(&(speaker, connection)) {
                        self.links.remove(&other);
                        self.push(Some(other), Event::Closed(other));
                    }
                }
            }
        }
        while self.speakers[speaker].work() {}
        let ends: Vec<End> = self.links.keys().filter(|end| end.0 == speaker).copied().collect();
        for end in ends {
            let is_stalled = self.links.get(&end).is_some_and(|other| self.stalled.contains(&other.0));
            while !is_stalled && self.speakers[speaker].has_output(end.1) && self.transmit(end) {}
        }
    }

    /// Sends what there is to send; answers whether there was.
    fn transmit(&mut self, end: End) -> bool {
        let mut buffer = Vec::new();
        self.speakers[end.0].poll_transmit(end.1, &mut buffer);
        let Some(&other) = self.links.get(&end) else { return false };
        let mut rest = VecDeque::from(buffer);
        let is_any = !rest.is_empty();
        while !rest.is_empty() {
            let length = self.draw(PIECE_MAX).max(1).min(rest.len());
            let piece = rest.drain(..length).collect();
            self.push(Some(other), Event::Bytes(other, piece));
        }
        is_any
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Accept { from, to } if self.away.contains(&to) || self.away.contains(&from.0) => {
                self.push(None, Event::Closed(from));
            }
            Event::Accept { from, to } => match self.speakers[to].accept(address(from.0), address(to), now) {
                Ok(connection) => {
                    self.links.insert(from, (to, connection));
                    self.links.insert((to, connection), from);
                    self.push(Some(from), Event::Connected(from));
                }
                Err(notification) => {
                    self.push(Some(from), Event::Connected(from));
                    self.push(Some(from), Event::Bytes(from, refusal(notification)));
                    self.push(Some(from), Event::Closed(from));
                }
            },
            Event::Connected(end) => self.speakers[end.0].connected(end.1, address(end.0), now),
            Event::Bytes(end, bytes) => self.speakers[end.0].bytes(end.1, &bytes, now),
            Event::Closed(end) => {
                self.links.remove(&end);
                self.speakers[end.0].closed(end.1, "closed", now);
            }
        }
    }
}
