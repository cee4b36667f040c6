//! A session: whatever a neighbour says, in whatever pieces, the speaker lives on, agrees with itself, and forgets it all when it is to.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use weft_bgp::session::{ConnectionId, FsmState, GracefulConfig};
use weft_bgp::speaker::{
    ExternalDefault, FamilyConfig, PeerAsn, PeerConfig, RouteStatus, Speaker, SpeakerConfig,
};
use weft_bgp::wire::{
    AddPathMode, Capability, Codec, Family, GracefulRestart, GracefulRestartFamily, Message, Open, PeerKind,
    encode,
};
use weft_net::Asn;

const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const ASN: u32 = 65_000;
/// Longer than any timer of the session.
const LONG: Duration = Duration::from_secs(10_000);

/// The first octet chooses what the neighbours agreed on and how far they are, the second how long the pieces are in which the rest comes. The
/// rest is messages: a type, a length of two octets, so many octets after the header; or, if the choice says so, a stream with headers.
///
/// # Panics
///
/// If the speaker does not agree with itself.
pub fn bgp_session(bytes: &[u8]) {
    let [choice, piece, rest @ ..] = bytes else { return };
    let choice = Choice(*choice);
    let said = if choice.is_stream() { rest.to_vec() } else { messages(rest) };
    let now = Instant::now();
    let (mut whole, mut pieces) = (Bench::new(choice, now), Bench::new(choice, now));
    whole.hear(&said, now);
    said.chunks(usize::from(*piece).max(1)).for_each(|piece| pieces.hear(piece, now));
    assert_eq!(whole.view(now), pieces.view(now), "pieces matter");
    whole.forget(now);
}

#[derive(Clone, Copy)]
struct Choice(u8);

impl Choice {
    const fn bit(self, index: u8) -> bool {
        self.0 & 1 << index != 0
    }

    const fn is_stream(self) -> bool {
        self.bit(7)
    }

    const fn is_established(self) -> bool {
        self.bit(0)
    }

    const fn peer_as(self) -> u32 {
        if self.bit(1) { ASN } else { ASN + 1 }
    }

    const fn is_graceful(self) -> bool {
        self.bit(2)
    }

    const fn has_add_path(self) -> bool {
        self.bit(3)
    }
}

/// Headers are put before what is said, so that not every change of a length breaks it.
fn messages(mut rest: &[u8]) -> Vec<u8> {
    let mut said = Vec::new();
    while let [kind, high, low, tail @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(tail.len()).min(4077);
        let (body, tail) = tail.split_at(length);
        let total = u16::try_from(length + 19).unwrap_or(u16::MAX);
        said.extend([&[0xff; 16][..], &total.to_be_bytes(), &[*kind], body].concat());
        rest = tail;
    }
    said
}

struct Bench {
    speaker: Speaker,
    connection: ConnectionId,
    is_open: bool,
}

impl Bench {
    fn new(choice: Choice, now: Instant) -> Self {
        let config = SpeakerConfig {
            without_external_policy: ExternalDefault::Everything,
            ..SpeakerConfig::new(Asn::new(ASN), Ipv4Addr::new(10, 0, 0, 1))
        };
        let mut speaker = Speaker::new(config, now, 1).expect("a good configuration");
        let family = |family| FamilyConfig {
            add_path_receive: choice.has_add_path(),
            add_path_send: choice.has_add_path(),
            extended_next_hop: true,
            prefix_limit: Some(100),
            ..FamilyConfig::new(family)
        };
        let peer = PeerConfig {
            is_passive: true,
            families: Family::ALL.map(family).into(),
            graceful_restart: Some(GracefulConfig { restart_time_s: 100, long_lived_stale_time_s: 100 }),
            ..PeerConfig::new(PEER, PeerAsn::Exactly(Asn::new(choice.peer_as())), &Family::ALL)
        };
        speaker.set_peer(peer, now).expect("a good configuration");
        let connection = speaker.accept(PEER, LOCAL, now).expect("it is waited for");
        let mut bench = Self { speaker, connection, is_open: true };
        if choice.is_established() {
            let codec = Codec::new(PeerKind::External);
            bench.hear(&encode(&Message::Open(open(choice)), &codec), now);
            bench.hear(&encode(&Message::Keepalive, &codec), now);
            assert_eq!(bench.speaker.neighbors(now)[0].state, FsmState::Established);
        }
        bench
    }

    /// What comes, as long as the connection is open; then all that follows.
    fn hear(&mut self, bytes: &[u8], now: Instant) {
        if self.is_open {
            self.speaker.bytes(self.connection, bytes, now);
        }
        while self.speaker.poll_action().is_some() {
            self.is_open = false;
        }
        while self.speaker.work() {}
        let mut turns = 0;
        while self.speaker.has_output(self.connection) {
            let mut buffer = Vec::new();
            self.speaker.poll_transmit(self.connection, &mut buffer);
            turns += 1;
            assert!(turns < 1000, "it has always something to say");
        }
        let _changes = self.speaker.poll_learned(usize::MAX, now);
        let state = self.speaker.neighbors(now)[0].state;
        assert!(self.is_open || state != FsmState::Established, "a session without a connection");
    }

    fn view(&self, now: Instant) -> (FsmState, Option<String>, Vec<Vec<RouteStatus>>) {
        let status = &self.speaker.neighbors(now)[0];
        let routes = |family| {
            let mut routes = self.speaker.routes(family, 0, usize::MAX).0;
            routes.sort_by(|one, other| one.destination.cmp(&other.destination));
            routes
        };
        (status.state, status.last_error.clone(), Family::ALL.map(routes).into())
    }

    /// Without the neighbour nothing of it is left.
    fn forget(&mut self, now: Instant) {
        self.speaker.timeout(now + LONG);
        while self.speaker.work() {}
        self.speaker.remove_peer(PEER, now + LONG);
        while self.speaker.work() {}
        let _changes = self.speaker.poll_learned(usize::MAX, now + LONG);
        while self.speaker.work() {}
        let status = self.speaker.status();
        assert!(self.speaker.neighbors(now + LONG).is_empty());
        assert!(status.destinations.iter().all(|(_, count)| *count == 0), "{status:?}");
        assert_eq!(status.attribute_sets, 0);
    }
}

fn open(choice: Choice) -> Open {
    let families = Family::ALL.map(Family::raw);
    let mut capabilities: Vec<Capability> = families.map(Capability::Multiprotocol).into();
    capabilities.extend([Capability::RouteRefresh, Capability::EnhancedRouteRefresh]);
    capabilities.push(Capability::FourOctetAs(Asn::new(choice.peer_as())));
    if choice.is_graceful() {
        let families = families.map(|family| GracefulRestartFamily { family, forwarding_kept: true }).into();
        let graceful =
            GracefulRestart { is_restarting: false, with_notification: true, restart_time_s: 100, families };
        capabilities.push(Capability::GracefulRestart(graceful));
    }
    if choice.has_add_path() {
        capabilities.push(Capability::AddPath(families.map(|family| (family, AddPathMode::Both)).into()));
    }
    let my_as = u16::try_from(choice.peer_as()).unwrap_or_default();
    Open { my_as, hold_time_s: 90, router_id: Ipv4Addr::new(10, 0, 0, 2), capabilities }
}
