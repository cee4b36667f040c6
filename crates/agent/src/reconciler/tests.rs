use std::collections::BTreeSet;

use bytes::Bytes;
use expect_test::{Expect, expect};
use weft_dataplane::conformance::random_state;
use weft_dataplane::{BridgePort, Link, LinkId, LinkKind, Memory, Neighbour, Step, StepError, StepOutcome};
use weft_net::{Capability, Mac};
use weft_protocol::{Basis, digest, encode_objects, encode_part, updates};

use super::*;
use crate::drift::Found;

/// A host in memory of which some objects can be made to refuse, and that counts attempts.
#[derive(Default)]
struct Bench {
    memory: Memory,
    refused: BTreeSet<String>,
    attempts: usize,
    is_dark: bool,
    /// What somebody takes away while a plan is carried out.
    interference: Option<Key>,
    last_steps: Vec<String>,
}

impl Driver for Bench {
    fn observe(&mut self) -> Result<&State, ObserveError> {
        if self.is_dark { Err(ObserveError { reason: "dark".to_owned() }) } else { self.memory.observe() }
    }

    fn apply(&mut self, plan: &Plan) -> Vec<StepOutcome> {
        self.last_steps = plan.steps.iter().map(ToString::to_string).collect();
        let outcomes = plan.steps.iter().map(|step| self.carry_out(step)).collect();
        if let Some(key) = &self.interference {
            self.memory.damage(key);
        }
        outcomes
    }

    fn capabilities(&self) -> BTreeSet<Capability> {
        self.memory.capabilities()
    }
}

impl Bench {
    fn carry_out(&mut self, step: &Step) -> StepOutcome {
        self.attempts += 1;
        if self.refused.contains(&step.key().to_string()) {
            return Err(StepError { reason: "device or resource busy".to_owned() });
        }
        let plan = Plan { steps: vec![step.clone()], ..Plan::default() };
        self.memory.apply(&plan).remove(0)
    }
}

fn on_host(name: &str) -> LinkId {
    LinkId::on_host(name.parse().unwrap())
}

fn bridge(name: &str) -> Object {
    let mark = format!("weft.net.{name}").parse().unwrap();
    Object::Link(Link { id: on_host(name), mark, mtu: 1450, up: true, kind: LinkKind::Bridge })
}

fn neighbour(last: u8, mac: u8) -> Object {
    let mac = Mac::new([2, 0, 0, 0, 0, mac]);
    Object::Neighbour(Neighbour { link: on_host("br-1"), address: [10, 0, 0, last].into(), mac })
}

fn adopted(tap: &str) -> [Object; 2] {
    let (link, bridge) = (on_host(tap), "br-1".parse().unwrap());
    let adoption = Some("weft.adopted.77ab".parse().unwrap());
    let port = BridgePort { link: link.clone(), bridge, role: weft_dataplane::PortRole::Workload, adoption };
    [Object::ForeignLink(link), Object::BridgePort(port)]
}

fn part(subject: &str, objects: &[Object]) -> Bytes {
    encode_part(&id(subject), encode_objects(objects))
}

fn removal(subject: &str) -> wire::FragmentId {
    wire::FragmentId { service: "network/1".to_owned(), subject: subject.to_owned() }
}

fn id(subject: &str) -> FragmentId {
    FragmentId { service: "network/1".into(), subject: subject.into() }
}

fn full(version: Version, parts: Vec<Bytes>) -> wire::Update {
    updates(version, Basis::Full, parts, []).remove(0)
}

fn step(base: u64, revision: u64, parts: Vec<Bytes>) -> wire::Update {
    updates(Version::new(1, revision), Basis::On(Version::new(1, base)), parts, []).remove(0)
}

fn agent() -> Reconciler<Bench> {
    Reconciler::new(Bench::default())
}

/// An agent that has been given these fragments as version 1.1.
fn agent_with(parts: Vec<Bytes>) -> Reconciler<Bench> {
    let mut agent = agent();
    for update in updates(Version::new(1, 1), Basis::Full, parts, []) {
        let complete = update.complete;
        assert_eq!(matches!(agent.take(update), Taken::Whole(_)), complete);
    }
    agent
}

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn check_not_done(report: &TurnReport, expected: &Expect) {
    let lines: Vec<String> = report
        .not_done
        .iter()
        .map(|entry| {
            let fragment = entry.fragment.as_ref().map_or("-".to_owned(), |id| id.subject.to_string());
            let NotDone { state, key, reason, more, .. } = entry;
            format!("{fragment} {state:?} [{key}] {reason} (+{more})\n")
        })
        .collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn without_an_intent_nothing_is_touched() {
    let mut agent = agent();
    let junk = bridge("br-9");
    agent.driver.memory.apply(&Plan { steps: vec![Step::Create(junk)], ..Plan::default() });
    assert_eq!(agent.turn(at(0)), TurnReport::default());
    assert_eq!(agent.driver.memory.state().len(), 1);
}

#[test]
fn an_empty_intent_that_was_sent_clears_the_host() {
    let mut agent = agent();
    agent.driver.memory.apply(&Plan { steps: vec![Step::Create(bridge("br-9"))], ..Plan::default() });
    agent.take(full(Version::new(1, 1), vec![]));
    assert!(agent.turn(at(0)).at_rest);
    assert!(agent.driver.memory.state().is_empty());
}

#[test]
fn a_host_converges_in_one_turn_and_then_rests() {
    for seed in weft_soak::seeds(50) {
        let want = random_state(seed, "n", |_| true);
        let objects: Vec<Object> = want.iter().map(|(_, object)| object.clone()).collect();
        let mut agent = agent_with(vec![part("a", &objects)]);
        let report = agent.turn(at(0));
        assert!(report.at_rest && report.not_done.is_empty(), "{report:?}");
        assert_eq!(report.steps_done as usize, want.len());
        assert_eq!(agent.driver.memory.state(), &want);
        assert_eq!(agent.turn(at(1)).steps_done, 0);
    }
}

#[test]
fn damage_is_healed_and_only_what_was_damaged_is_touched() {
    let mut agent = agent_with(vec![
        part("a", &[bridge("br-1"), neighbour(1, 1), neighbour(2, 2)]),
        part("b", &[bridge("br-2")]),
    ]);
    agent.turn(at(0));
    agent.driver.memory.damage(&neighbour(2, 2).key());
    let report = agent.turn(at(1));
    assert!(report.at_rest);
    expect![[r#"
        [
            "+ neighbour br-1 10.0.0.2 is 02:00:00:00:00:02",
        ]
    "#]]
    .assert_debug_eq(&agent.driver.last_steps);
}

#[test]
fn a_port_waits_for_its_link_and_is_done_when_that_appears() {
    let mut agent = agent_with(vec![part("net", &[bridge("br-1")]), part("port", &adopted("tap1"))]);
    let report = agent.turn(at(0));
    assert!(report.at_rest, "waiting is not unrest");
    check_not_done(
        &report,
        &expect![[r#"
            port Waiting [link tap1] it is not there, and not ours to make (+1)
        "#]],
    );
    agent.driver.memory.add_foreign_link(on_host("tap1"));
    let report = agent.turn(at(1));
    assert!(report.at_rest && report.not_done.is_empty() && report.steps_done == 1);
    assert_eq!(report.drifts, 0, "what was waited for is no drift");
}

#[test]
fn what_somebody_changes_while_a_host_is_at_rest_is_drift_and_what_the_intent_changes_is_not() {
    let mut agent = agent_with(vec![part("a", &[bridge("br-1"), neighbour(1, 1), neighbour(2, 2)])]);
    assert_eq!(agent.turn(at(0)).drifts, 0, "the first time all of it is missing");
    agent.take(step(1, 2, vec![part("a", &[bridge("br-1"), neighbour(1, 3), neighbour(2, 2)])]));
    assert_eq!(agent.turn(at(1)).drifts, 0);
    agent.driver.memory.damage(&neighbour(2, 2).key());
    let stray = Plan { steps: vec![Step::Create(bridge("br-7"))], ..Plan::default() };
    agent.driver.memory.apply(&stray);
    let report = agent.turn(at(2));
    assert!(report.at_rest);
    let mut told: Vec<(String, Option<FragmentId>, Found)> =
        report.last_drifts.into_iter().map(|drift| (drift.key, drift.fragment, drift.found)).collect();
    told.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("link br-7".to_owned(), None, Found::Extra),
        ("neighbour br-1 10.0.0.2".to_owned(), Some(id("a")), Found::Missing),
    ];
    assert_eq!((report.drifts, told), (2, expected.into()));
    assert_eq!(agent.turn(at(3)).drifts, 2, "it is counted once");
}

#[test]
fn what_somebody_else_stands_in_the_way_of_is_reported_to_who_asked_for_it() {
    let mut agent = agent_with(vec![
        part("a", &[bridge("br-1")]),
        part("b", &[bridge("br-1"), neighbour(1, 1)]),
        part("c", &[bridge("br-2")]),
    ]);
    agent.driver.memory.add_foreign_link(on_host("br-1"));
    let report = agent.turn(at(0));
    check_not_done(
        &report,
        &expect![[r#"
            a Failed [link br-1] it exists and is not ours (+0)
            b Failed [link br-1] it exists and is not ours (+1)
        "#]],
    );
}

#[test]
fn of_two_fragments_that_differ_the_one_that_was_not_taken_hears_of_it() {
    let mut agent =
        agent_with(vec![part("a", &[bridge("br-1"), neighbour(1, 1)]), part("b", &[neighbour(1, 9)])]);
    let report = agent.turn(at(0));
    assert!(report.at_rest);
    check_not_done(
        &report,
        &expect![[r#"
        b Conflict [neighbour br-1 10.0.0.1] a of network/1 asks for another, which is taken (+0)
    "#]],
    );
}

#[test]
fn kinds_that_are_not_known_are_reported_and_the_rest_is_done() {
    // Field 50 of Object, with nothing in it.
    let unknown = [&encode_objects(&[bridge("br-1")])[..], &[0x0a, 3, 0x92, 0x03, 0]].concat();
    let mut agent = agent_with(vec![encode_part(&id("a"), unknown.into())]);
    let report = agent.turn(at(0));
    assert!(report.at_rest && report.steps_done == 1);
    check_not_done(
        &report,
        &expect![[r#"
        a UnknownKind [] object 1: object of kind 50 is not known to this version (+0)
    "#]],
    );
}

#[test]
fn a_fragment_that_cannot_be_read_stays_what_it_was() {
    let mut agent = agent_with(vec![part("a", &[bridge("br-1")])]);
    agent.turn(at(0));
    let bad = encode_part(&id("a"), Bytes::from_static(&[0xff]));
    let unreadable = expect![[r#"
        a Failed [] it cannot be read: object list: objects: failed to decode Protobuf message: invalid varint (+0)
    "#]];
    for update in [step(1, 2, vec![bad.clone()]), full(Version::new(1, 3), vec![bad])] {
        let Taken::Whole(change) = agent.take(update) else { panic!("the rest is taken") };
        assert!(!change.exact && change.fragments.is_empty());
        let report = agent.turn(at(1));
        assert!(!report.at_rest && report.steps_done == 0);
        check_not_done(&report, &unreadable);
    }
    agent.take(step(3, 4, vec![part("a", &[])]));
    assert!(agent.turn(at(2)).at_rest);
}

#[test]
fn an_older_revision_is_passed_over_and_a_newer_epoch_is_not() {
    let mut agent = agent();
    agent.take(full(Version::new(2, 10), vec![part("a", &[bridge("br-1")])]));
    let old = |version| full(version, vec![part("z", &[bridge("br-9")])]);
    assert_eq!(agent.take(old(Version::new(2, 9))), Taken::Stale);
    assert_eq!(agent.take(old(Version::new(1, 99))), Taken::Stale);
    assert_eq!(agent.version(), Version::new(2, 10));
    assert!(matches!(agent.take(old(Version::new(3, 1))), Taken::Whole(_)));
    assert_eq!(agent.intent().fragments().collect::<Vec<_>>(), [&id("z")]);
}

#[test]
fn a_step_is_taken_only_on_exactly_what_it_was_made_for() {
    let mut agent = agent_with(vec![part("a", &[bridge("br-1")])]);
    assert!(matches!(agent.take(step(1, 3, vec![part("b", &[bridge("br-2")])])), Taken::Whole(_)));
    assert_eq!(agent.take(step(1, 3, vec![])), Taken::Stale, "the same again");
    assert_eq!(agent.take(step(2, 4, vec![])), Taken::Misfit);
    assert_eq!((agent.version(), agent.have()), (Version::new(1, 3), Version::NONE));
    assert_eq!(agent.take(step(4, 5, vec![])), Taken::Ignored, "what was on its way meanwhile");
    agent.stream_ended();
    assert_eq!(agent.have(), Version::NONE);
    let all = full(Version::new(1, 5), vec![part("b", &[bridge("br-2")])]);
    assert!(matches!(agent.take(all), Taken::Whole(_)));
    assert_eq!(agent.have(), Version::new(1, 5));
}

#[test]
fn two_contents_of_one_revision_are_told_apart() {
    let mut agent = agent();
    let first = Version::new(1, 1).with_content(7);
    agent.take(full(first, vec![part("a", &[bridge("br-1")])]));
    let second = Version::new(1, 1).with_content(8);
    let update = |base| updates(second, Basis::On(base), [part("b", &[bridge("br-2")])], []).remove(0);
    assert!(matches!(agent.take(update(first)), Taken::Whole(_)));
    assert_eq!(agent.have(), second);
    assert_eq!(agent.take(update(first)), Taken::Stale);
}

#[test]
fn what_is_removed_goes_and_what_another_still_asks_for_stays() {
    let mut agent = agent_with(vec![
        part("a", &[bridge("br-1"), neighbour(1, 1)]),
        part("b", &[bridge("br-1"), neighbour(2, 2)]),
    ]);
    agent.turn(at(0));
    let base = Basis::On(Version::new(1, 1));
    let Taken::Whole(change) = agent.take(updates(Version::new(1, 2), base, [], [removal("a")]).remove(0))
    else {
        panic!("it fits")
    };
    assert_eq!(change.fragments, [(id("a"), None)].into());
    assert!(agent.turn(at(1)).at_rest);
    assert_eq!(agent.driver.memory.state(), &[bridge("br-1"), neighbour(2, 2)].into_iter().collect());
}

#[test]
fn a_full_update_that_is_cut_off_changes_nothing() {
    let mut agent = agent_with(vec![part("a", &[bridge("br-1")])]);
    agent.turn(at(0));
    let parts = (0..3).map(|n| part(&format!("new{n}"), &[bridge(&format!("br-n{n}"))]));
    let mut messages: Vec<wire::Update> = parts
        .enumerate()
        .map(|(index, part)| {
            let mut update = full(Version::new(1, 2), vec![part]);
            (update.part, update.complete) = (index as u32, index == 2);
            update
        })
        .collect();
    assert_eq!(agent.take(messages[0].clone()), Taken::Partly);
    assert_eq!(agent.take(messages[1].clone()), Taken::Partly);
    agent.stream_ended();
    assert_eq!(agent.turn(at(1)).steps_done, 0);
    assert_eq!((agent.have(), agent.intent().len()), (Version::new(1, 1), 1));
    assert_eq!(agent.take(messages[2].clone()), Taken::Misfit, "the end of what was forgotten");
    agent.stream_ended();

    let last = messages.pop().unwrap();
    assert!(messages.into_iter().all(|message| agent.take(message) == Taken::Partly));
    let Taken::Whole(change) = agent.take(last) else { panic!("all parts are there") };
    assert_eq!((change.full, change.fragments.len()), (true, 3));
    let report = agent.turn(at(2));
    assert!(report.at_rest && report.version == Version::new(1, 2));
    assert_eq!(agent.driver.memory.state().len(), 3);
}

#[test]
fn parts_of_two_updates_are_not_mixed() {
    let mut agent = agent();
    let mut first = full(Version::new(1, 1), vec![part("a", &[])]);
    first.complete = false;
    let mut second = full(Version::new(1, 2), vec![part("b", &[])]);
    second.part = 1;
    assert_eq!(agent.take(first), Taken::Partly);
    assert_eq!(agent.take(second), Taken::Misfit);
    assert!(agent.intent().is_empty() && agent.version().is_none());
}

#[test]
fn refused_steps_are_tried_again_later_and_later_and_others_at_once() {
    let mut agent = agent_with(vec![part("a", &[bridge("br-1")]), part("b", &[bridge("br-2")])]);
    agent.driver.refused.insert("link br-1".to_owned());
    let report = agent.turn(at(0));
    assert_eq!((report.steps_done, report.steps_failed, report.at_rest), (1, 1, false));
    assert_eq!(report.next_turn, Some(at(100)));
    check_not_done(
        &report,
        &expect![[r#"
        a Failed [link br-1] device or resource busy (+0)
    "#]],
    );

    // A turn before its time tries nothing, and still reports.
    let early = agent.turn(at(50));
    assert_eq!((agent.driver.attempts, early.steps_failed), (2, 0));
    assert_eq!((early.not_done, early.next_turn), (report.not_done, Some(at(100))));

    let (mut now, mut delays) = (at(100), Vec::new());
    for _ in 0..10 {
        let next = agent.turn(now).next_turn.unwrap();
        delays.push((next - now).as_millis());
        now = next;
    }
    assert_eq!(delays, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
    assert_eq!(agent.driver.attempts, 12);

    // Something else that is wanted meanwhile does not wait for it.
    agent.take(step(1, 2, vec![part("c", &[bridge("br-3")])]));
    assert_eq!(agent.turn(now - at(1)).steps_done, 1);

    agent.driver.refused.clear();
    assert!(agent.turn(now).at_rest);
    assert_eq!(agent.turn(now).next_turn, None);
}

#[test]
fn what_came_up_during_a_turn_is_done_at_once_but_not_for_ever() {
    let mut agent = agent_with(vec![part("a", &[bridge("br-1"), bridge("br-2"), bridge("br-3")])]);
    agent.turn(at(0));
    agent.driver.interference = Some(bridge("br-2").key());
    agent.driver.memory.damage(&bridge("br-1").key());
    assert_eq!(agent.turn(at(1)).next_turn, Some(at(1)));
    // From now on it is taken away each time that it is made.
    assert_eq!(agent.turn(at(1)).next_turn, Some(at(101)));
    agent.driver.interference = None;
    assert!(agent.turn(at(101)).at_rest);
}

#[test]
fn a_refused_step_is_tried_before_its_time_when_what_it_needs_is_made_anew() {
    let mut agent = agent_with(vec![part("a", &[bridge("br-1"), neighbour(1, 1)])]);
    agent.driver.refused.insert("neighbour br-1 10.0.0.1".to_owned());
    assert_eq!(agent.turn(at(0)).steps_failed, 1);
    agent.driver.refused.clear();
    assert_eq!(agent.turn(at(1)).steps_done, 0);
    agent.driver.memory.damage(&bridge("br-1").key());
    assert!(agent.turn(at(2)).at_rest);
}

#[test]
fn a_new_failure_is_tried_again_soon_however_long_another_has_been_failing() {
    let mut agent = agent_with(vec![part("a", &[bridge("br-1")])]);
    agent.driver.refused.insert("link br-1".to_owned());
    let mut now = at(0);
    for _ in 0..8 {
        now = agent.turn(now).next_turn.unwrap();
    }
    agent.driver.refused.insert("link br-2".to_owned());
    agent.take(step(1, 2, vec![part("b", &[bridge("br-2")])]));
    let now = now - at(1000);
    assert_eq!(agent.turn(now).next_turn, Some(now + at(100)));
}

#[test]
fn a_removal_that_is_refused_is_nobodys_and_keeps_the_host_from_rest() {
    let mut agent = agent_with(vec![part("a", &[bridge("br-1")])]);
    agent.turn(at(0));
    agent.driver.refused.insert("link br-1".to_owned());
    agent.take(full(Version::new(1, 2), vec![]));
    let report = agent.turn(at(1));
    assert!(!report.at_rest);
    check_not_done(
        &report,
        &expect![[r#"
        - Failed [link br-1] device or resource busy (+0)
    "#]],
    );
}

#[test]
fn a_host_that_cannot_be_looked_at_is_not_touched_and_looked_at_again() {
    let mut agent = agent_with(vec![part("a", &[bridge("br-1")])]);
    agent.driver.is_dark = true;
    let report = agent.turn(at(0));
    assert_eq!(report.observe_error.as_deref(), Some("the host's state cannot be read in full: dark"));
    assert!(!report.at_rest && agent.driver.attempts == 0);
    assert_eq!(report.next_turn, Some(at(100)));
    agent.driver.is_dark = false;
    assert!(agent.turn(at(100)).at_rest);
}

#[test]
fn a_report_is_bounded_and_says_how_much_it_leaves_out() {
    let parts = (0..1100).map(|n| part(&format!("port/{n:04}"), &adopted(&format!("tap{n}"))));
    let others = [part("net", &[bridge("br-1")]), part("the last", &[bridge("br-2")])];
    let mut agent = agent_with(others.into_iter().chain(parts).collect());
    agent.driver.refused.insert("link br-2".to_owned());
    let report = agent.turn(at(0));
    assert_eq!((report.not_done.len(), report.cut.count), (1000, 101));
    let status = wire::Status::from(&report);
    assert_eq!((status.not_done.len(), status.not_done_cut), (1000, 101));
    let named: Vec<&str> = status.not_done.iter().map(|entry| &*entry.subject).collect();
    assert!(!named.contains(&"port/1099") && !named.contains(&"the last"));
    let service = &status.not_done[0].service;
    let digests: Vec<u64> = (1000..1100).map(|n| digest(service, &format!("port/{n:04}"))).collect();
    assert_eq!(status.cut_waiting, digests);
    assert_eq!(status.cut_failed, [digest(service, "the last")]);
}

#[test]
fn the_agent_says_why_an_object_is_there_or_not() {
    let mut agent = agent_with(vec![
        part("net", &[bridge("br-1"), neighbour(1, 1)]),
        part("port", &adopted("tap1")),
        part("other", &[bridge("br-1"), bridge("br-2")]),
    ]);
    agent.driver.refused.insert("link br-2".to_owned());
    agent.driver.memory.add_foreign_link(on_host("eth0"));
    agent.turn(at(0));
    let (lines, cut) = agent.explain("");
    expect![[r#"
        link br-1: as it should be; net of network/1, other of network/1
        link br-2: not there; other of network/1; refused: device or resource busy
        link eth0: somebody else's; nobody asks for it
        link tap1: not there; port of network/1
        bridge-port tap1: not there; port of network/1
        neighbour br-1 10.0.0.1: as it should be; net of network/1"#]]
    .assert_eq(&lines.join("\n"));
    assert_eq!(cut, 0);
    assert_eq!(agent.explain("neighbour").0.len(), 1);
}

#[test]
fn what_was_persisted_is_taken_up_where_it_was_and_heals_an_empty_host() {
    let mut before = agent();
    let parts = vec![part("a", &[bridge("br-1"), neighbour(1, 1)])];
    let version = Version::new(3, 14).with_content(15);
    let Taken::Whole(change) = before.take(full(version, parts)) else { panic!("it is whole") };
    let mut after = agent();
    after.restore(change);
    assert_eq!((after.have(), after.intent()), (version, before.intent()));
    let report = after.turn(at(0));
    assert!(report.at_rest && report.steps_done == 2);
}

#[test]
fn an_intent_that_was_persisted_inexactly_holds_but_is_asked_for_again() {
    let mut agent = agent();
    let fragments = [(id("a"), Some(encode_objects(&[bridge("br-1")])))].into();
    let change = Change { version: Version::new(1, 5), full: true, fragments, ..Change::default() };
    agent.restore(change);
    assert_eq!(agent.have(), Version::NONE);
    let report = agent.turn(at(0));
    assert!(report.steps_done == 1 && !report.at_rest && report.not_done.len() == 1);
    agent.take(full(Version::new(1, 5), vec![part("a", &[bridge("br-1")])]));
    assert!(agent.turn(at(1)).at_rest);
}

/// Run with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn how_long_a_small_update_takes_among_twenty_thousand_objects() {
    let neighbours = |port: u32| -> Vec<Object> {
        let [_, _, high, low] = port.to_be_bytes();
        let mac = Mac::new([2, 0, 0, 0, high, low]);
        let address = [10, 0, high, low].into();
        vec![Object::Neighbour(Neighbour { link: on_host("br-1"), address, mac })]
    };
    let ports = (0..20_000).map(|port| part(&format!("port/{port}"), &neighbours(port)));
    let parts = std::iter::once(part("net", &[bridge("br-1")])).chain(ports).collect();
    let started = std::time::Instant::now();
    let mut agent = agent_with(parts);
    println!("full update taken: {:?}", started.elapsed());
    assert!(agent.turn(at(0)).at_rest);
    println!("and turned: {:?}", started.elapsed());
    for round in 0..5 {
        let update = step(1 + round, 2 + round, vec![part("new", &neighbours(30_000 + round as u32))]);
        let started = std::time::Instant::now();
        assert!(matches!(agent.take(update), Taken::Whole(_)));
        let taken = started.elapsed();
        let plan = agent.look().unwrap();
        let (looked, steps) = (started.elapsed(), plan.steps.len());
        agent.turn(at(round));
        println!(
            "taken {taken:?}, plan of {steps} at {looked:?}, whole turn {:?}",
            started.elapsed() - looked
        );
    }
}

#[test]
fn the_links_of_workloads_are_taps_ends_of_veths_and_what_is_adopted() {
    let link = |name: &str, kind| {
        let mark = format!("weft.test.{name}").parse().unwrap();
        Object::Link(Link { id: on_host(name), mark, mtu: 1450, up: true, kind })
    };
    let veth = |namespace| LinkKind::Veth {
        peer: LinkId { namespace, name: "eth0".parse().unwrap() },
        peer_mac: Mac::new([2, 0, 0, 0, 0, 1]),
    };
    let web = Namespace::Named("web1".parse().unwrap());
    let mut objects = vec![
        bridge("br-1"),
        link("tap1", LinkKind::Tap),
        link("tap2", veth(web)),
        link("gb-1", veth(Namespace::Vrf("vrf-a".parse().unwrap()))),
        Object::ForeignLink(on_host("eth7")),
    ];
    objects.extend(adopted("vm1"));
    let agent = agent_with(vec![part("a", &objects)]);
    let names = ["br-1", "tap1", "tap2", "gb-1", "vm1", "eth7", "theirs"].map(|name| name.parse().unwrap());
    let of_workloads: Vec<String> = agent.of_workloads(names).iter().map(ToString::to_string).collect();
    assert_eq!(of_workloads, ["tap1", "tap2", "vm1"]);
}
