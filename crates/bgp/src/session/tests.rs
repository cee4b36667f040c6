//! What each state makes of what it should not get (RFC 4271 §8.2.2), and its timers.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use weft_net::Asn;

use super::*;
use crate::wire::{Capability, Family, Open, Received, RefreshSubtype, Update, decode};

const RETRY: Duration = Duration::from_secs(10);

#[expect(clippy::disallowed_methods, reason = "any time does as the first one")]
fn start(change: impl FnOnce(&mut SessionConfig)) -> (Session, Instant) {
    let mut config =
        SessionConfig::new(Asn::new(65_000), Ipv4Addr::new(10, 0, 0, 1), PeerAs::Exactly(Asn::new(65_001)));
    (config.connect_retry, config.hold_time_s) = (RETRY, 9);
    change(&mut config);
    let now = Instant::now();
    let mut session = Session::new(config, (1, 1), 7);
    session.handle(Input::Start, now);
    (session, now)
}

fn connected(session: &mut Session, now: Instant) -> ConnectionId {
    let Some(Output::Connect(id)) = session.poll_output() else { panic!("it connects") };
    session.handle(Input::Connected(id), now);
    id
}

fn open() -> Message {
    let capabilities =
        vec![Capability::Multiprotocol(Family::Ipv4Unicast.raw()), Capability::FourOctetAs(Asn::new(65_001))];
    Message::Open(Open {
        my_as: 65_001,
        hold_time_s: 30,
        router_id: Ipv4Addr::new(10, 0, 0, 2),
        capabilities,
    })
}

fn say(session: &mut Session, id: ConnectionId, message: &Message, now: Instant) {
    session.handle(Input::Bytes(id, &encode(message, &Codec::new(PeerKind::External))), now);
}

/// The last message that a connection has to send.
fn last_sent(session: &mut Session, id: ConnectionId) -> Option<Message> {
    let mut bytes = Vec::new();
    session.take_output(id, &mut bytes);
    let codec = Codec::new(PeerKind::External);
    let mut last = None;
    while let Ok(Some(length)) = crate::wire::frame(&bytes, &codec) {
        let rest = bytes.split_off(length);
        let Received { message, .. } = decode(&bytes, &codec).unwrap();
        (bytes, last) = (rest, Some(message));
    }
    last
}

#[test]
fn what_does_not_belong_into_a_state_ends_it_with_the_code_of_that_state() {
    let refresh = RouteRefresh { family: Family::Ipv4Unicast.raw(), subtype: RefreshSubtype::Request };
    let wrong = [
        ("opens", vec![Message::Keepalive], NotificationCode::FSM_OPEN_SENT),
        ("opens", vec![Message::Update(Update::default())], NotificationCode::FSM_OPEN_SENT),
        ("opens", vec![Message::RouteRefresh(refresh)], NotificationCode::FSM_OPEN_SENT),
        ("confirms", vec![open(), open()], NotificationCode::FSM_OPEN_CONFIRM),
        ("confirms", vec![open(), Message::Update(Update::default())], NotificationCode::FSM_OPEN_CONFIRM),
        ("established", vec![open(), Message::Keepalive, open()], NotificationCode::FSM_ESTABLISHED),
    ];
    for (state, messages, code) in wrong {
        let (mut session, now) = start(|_| {});
        let id = connected(&mut session, now);
        assert_eq!(session.state(), FsmState::OpenSent);
        for message in &messages {
            say(&mut session, id, message, now);
        }
        assert_eq!(session.state(), FsmState::Idle, "{state}: {messages:?}");
        let sent = last_sent(&mut session, id);
        assert_eq!(sent, Some(Message::Notification(Notification::new(code))), "{state}: {messages:?}");
        assert!(session.last_error().is_some_and(|error| error.contains(code.name().unwrap())));
    }
}

#[test]
fn a_connection_that_is_refused_is_tried_again_after_the_retry_time_less_a_quarter_at_most() {
    let (mut session, mut now) = start(|_| {});
    for _ in 0..50 {
        let Some(Output::Connect(id)) = session.poll_output() else { panic!("it connects") };
        session.handle(Input::Closed(id, "refused"), now);
        assert_eq!(session.state(), FsmState::Active);
        let pause = session.next_deadline().unwrap() - now;
        assert!(pause >= RETRY.mul_f64(0.75) && pause <= RETRY, "{pause:?}");
        now += pause;
        session.handle(Input::Timeout, now);
        assert_eq!(session.state(), FsmState::Connect);
    }
    assert_eq!(session.last_attempt(), Some("refused"));
}

#[test]
fn a_neighbour_that_never_opens_is_given_up_and_rests_grow_with_each_failure() {
    let (mut session, mut now) = start(|_| {});
    let mut rests = Vec::new();
    for _ in 0..10 {
        let _id = connected(&mut session, now);
        now = session.next_deadline().unwrap();
        session.handle(Input::Timeout, now);
        assert_eq!(session.state(), FsmState::Idle);
        let rest = session.next_deadline().unwrap() - now;
        rests.push(rest);
        now += rest;
        while let Some(Output::Close(_)) = session.poll_output() {}
        session.handle(Input::Timeout, now);
    }
    assert!(rests[0] <= Duration::from_secs(1) && rests[3] >= Duration::from_secs(6), "{rests:?}");
    assert!(rests.iter().all(|rest| *rest <= Duration::from_secs(60)), "{rests:?}");
}

#[test]
fn an_established_session_keeps_alive_and_a_neighbour_that_takes_nothing_is_given_up() {
    let (mut session, begin) = start(|config| config.send_hold = Duration::from_secs(60));
    let id = connected(&mut session, begin);
    say(&mut session, id, &open(), begin);
    say(&mut session, id, &Message::Keepalive, begin);
    assert_eq!(session.state(), FsmState::Established);
    let _taken = last_sent(&mut session, id);
    // The neighbour lives, but takes nothing.
    let mut now = begin;
    while session.state() == FsmState::Established {
        now += Duration::from_secs(1);
        assert!(now - begin < Duration::from_secs(120), "it waits for ever");
        say(&mut session, id, &Message::Keepalive, now);
        session.handle(Input::Timeout, now);
    }
    assert!(now - begin >= Duration::from_secs(60));
    assert!(
        session.last_error().unwrap().contains("8/0 send hold timer expired"),
        "{:?}",
        session.last_error()
    );
    // One KEEPALIVE waited, not twenty.
    let mut bytes = Vec::new();
    session.take_output(id, &mut bytes);
    assert!(bytes.len() < 100, "{} octets", bytes.len());
}

#[test]
fn a_session_at_rest_refuses_and_one_that_is_established_does_too() {
    let (mut session, now) = start(|config| config.is_passive = true);
    let id = session.accept(now).unwrap();
    say(&mut session, id, &open(), now);
    say(&mut session, id, &Message::Keepalive, now);
    assert_eq!(session.state(), FsmState::Established);
    assert_eq!(session.accept(now).unwrap_err().code, NotificationCode::COLLISION_RESOLUTION);
    session.handle(Input::Stop(Notification::new(NotificationCode::ADMINISTRATIVE_SHUTDOWN)), now);
    assert_eq!(session.accept(now).unwrap_err().code, NotificationCode::CONNECTION_REJECTED);
    assert_eq!(session.next_deadline(), None);
}

/// A session with a connection of its own and one of the neighbour's, whose identifier is 10.0.0.2; the outputs are read.
fn colliding(router_id: [u8; 4], is_opened_before_ours: bool) -> (Session, Instant, [ConnectionId; 2]) {
    let (mut session, now) = start(|config| config.router_id = router_id.into());
    let theirs = session.accept(now).unwrap();
    if is_opened_before_ours {
        say(&mut session, theirs, &open(), now);
    }
    let ours = connected(&mut session, now);
    (session, now, [ours, theirs])
}

fn closed(session: &mut Session) -> Vec<ConnectionId> {
    std::iter::from_fn(|| session.poll_output())
        .filter_map(|output| if let Output::Close(id) = output { Some(id) } else { None })
        .collect()
}

const LOWER: [u8; 4] = [10, 0, 0, 1];
const HIGHER: [u8; 4] = [10, 0, 0, 3];

#[test]
fn a_connection_on_which_keepalive_went_out_is_not_left_for_one_that_comes_later() {
    for router_id in [LOWER, HIGHER] {
        let (mut session, now, [ours, theirs]) = colliding(router_id, true);
        assert_eq!(closed(&mut session), [ours]);
        let sent = last_sent(&mut session, ours);
        let collision = Notification::new(NotificationCode::COLLISION_RESOLUTION);
        assert_eq!(sent, Some(Message::Notification(collision)));
        say(&mut session, theirs, &Message::Keepalive, now);
        assert_eq!(session.negotiated().map(|(id, _)| id), Some(theirs));
    }
}

#[test]
fn the_lower_side_leaves_its_connection_when_the_higher_one_has_opened_its_own() {
    let (mut session, now, [ours, theirs]) = colliding(LOWER, false);
    say(&mut session, ours, &open(), now);
    // The neighbour may still give its own up.
    assert_eq!(closed(&mut session), []);
    assert_eq!(last_sent(&mut session, ours), Some(Message::Keepalive));
    say(&mut session, theirs, &open(), now);
    assert_eq!(closed(&mut session), [ours]);
    assert_eq!(last_sent(&mut session, theirs), Some(Message::Keepalive));
}

#[test]
fn the_higher_side_leaves_the_neighbours_connection_without_a_keepalive_even_if_one_came_with_the_open() {
    let (mut session, now, [ours, theirs]) = colliding(HIGHER, false);
    let codec = Codec::new(PeerKind::External);
    let both = [encode(&open(), &codec), encode(&Message::Keepalive, &codec)].concat();
    session.handle(Input::Bytes(theirs, &both), now);
    assert_eq!(closed(&mut session), [theirs]);
    let mut bytes = Vec::new();
    session.take_output(theirs, &mut bytes);
    assert_eq!(bytes, refusal(Notification::new(NotificationCode::COLLISION_RESOLUTION)));
    for message in [open(), Message::Keepalive] {
        say(&mut session, ours, &message, now);
    }
    assert_eq!(session.negotiated().map(|(id, _)| id), Some(ours));
}
