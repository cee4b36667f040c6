//! What is known of hosts by what their agents say.

use weft_dataplane::FragmentId;
use weft_services::RowKind;
use weft_services::compile::Subject;

use super::*;
use crate::agents::outcome::in_text;

#[test]
fn carriers_are_what_the_agent_that_is_connected_said_last() {
    let host: HostName = "host1".parse().unwrap();
    let mut distribution = Distribution::new(Model::default(), from_wire(wire::Version::default()), 1, 0);
    let (old, _) = distribution.connect(&host, wire::Version::default(), None);
    let (connection, _) = distribution.connect(&host, wire::Version::default(), None);
    let lost: BTreeSet<IfName> = ["tap1".parse().unwrap()].into();
    assert!(!distribution.carriers(&host, old, lost.clone()), "of a stream that has ended");
    assert!(distribution.carriers(&host, connection, lost.clone()));
    assert!(!distribution.carriers(&host, connection, lost.clone()), "no news");
    assert_eq!(distribution.without_carrier(&host), Some(&lost));
    // An agent that comes back says it again, if it is still so.
    distribution.connect(&host, wire::Version::default(), None);
    assert_eq!(distribution.without_carrier(&host), Some(&BTreeSet::new()));
}

#[test]
fn a_host_that_has_not_come_yet_forwards_what_it_had_and_nothing_that_is_new() {
    let host: HostName = "host1".parse().unwrap();
    let fragment = |prefix: &str| {
        let vrf = Id::from_random([1; 16]);
        let id =
            FragmentId { service: format!("vrf/{vrf}").into(), subject: format!("prefix/{prefix}").into() };
        FragmentKey::from_id(&id).unwrap()
    };
    let (old, new) = (fragment("10.0.0.0/24"), fragment("10.0.1.0/24"));
    let mut distribution = Distribution::new(Model::default(), from_wire(wire::Version::default()), 1, 0);
    assert_eq!(distribution.forwards(&host, &new), Some(true), "nothing was to be sent to it");
    let state = distribution.hosts.entry(host.clone()).or_default();
    state.pending.insert(new.clone(), distribution.reached);
    assert_eq!(distribution.forwards(&host, &old), Some(true));
    assert_eq!(distribution.forwards(&host, &new), None, "it cannot know of it");
}

#[test]
fn with_marks_a_host_that_has_not_come_yet_forwards_nothing_but_what_was_announced() {
    let host: HostName = "host1".parse().unwrap();
    let prefix = Subject::Prefix("10.0.0.0/24".parse().unwrap());
    let key = FragmentKey::new(RowKind::Vrf, Id::from_random([1; 16]), prefix);
    let mut distribution = Distribution::new(Model::default(), from_wire(wire::Version::default()), 1, 0);
    assert!(!distribution.was_announced(42));
    distribution.recall_announced([42].into());
    assert_eq!(distribution.forwards(&host, &key), None, "it may never have been sent to it");
    assert!(
        !distribution.has_come(&host) && distribution.was_announced(42) && !distribution.was_announced(43)
    );
    let (connection, updates) = distribution.connect(&host, wire::Version::default(), None);
    assert!(distribution.has_come(&host), "now it is for it to say");
    let reached = distribution.reached;
    distribution.hosts.get_mut(&host).unwrap().expect(std::slice::from_ref(&key), &[], reached);
    distribution.report(&host, connection, &done(updates[0].version));
    assert_eq!(distribution.forwards(&host, &key), Some(true));
    distribution.disconnect(&host, connection);
    assert!(distribution.has_come(&host));
    assert_eq!(distribution.forwards(&host, &key), Some(true), "it goes on with it");
}

#[test]
fn what_is_known_already_is_no_turn() {
    let mut distribution = Distribution::new(Model::default(), from_wire(wire::Version::default()), 1, 0);
    let (port, host) = (Id::from_random([1; 16]), "host1".parse().unwrap());
    let mut learn = |is_there| {
        let before = distribution.reached.turn;
        distribution.learn(vec![Fact::Carrier { port, host: HostName::clone(&host), is_there }]);
        distribution.reached.turn - before
    };
    assert_eq!([false, false, true, true].map(&mut learn), [1, 0, 1, 0]);
}

/// A report that the intent of a version was carried out.
fn done(version: Option<wire::Version>) -> wire::Status {
    wire::Status { version, at_rest: true, ..wire::Status::default() }
}

#[test]
fn what_hosts_have_said_is_known_when_it_begins_anew_and_they_are_heard_when_they_come_back() {
    let host: HostName = "host1".parse().unwrap();
    let vrf = Id::from_random([1; 16]);
    let [done_well, failed, awaited] = ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"]
        .map(|prefix| FragmentKey::new(RowKind::Vrf, vrf, Subject::Prefix(prefix.parse().unwrap())));
    let mut distribution = Distribution::new(Model::default(), from_wire(wire::Version::default()), 1, 0);
    let (connection, updates) = distribution.connect(&host, wire::Version::default(), None);
    let reached = distribution.reached;
    let state = distribution.hosts.get_mut(&host).unwrap();
    state.expect(&[done_well.clone(), failed.clone()], &[], reached);
    let (service, subject) = in_text(&failed);
    let not_done = vec![wire::NotDone { service, subject, ..wire::NotDone::default() }];
    let version = updates[0].version;
    distribution.report(&host, connection, &wire::Status { not_done, ..done(version) });
    distribution.hosts.get_mut(&host).unwrap().expect(std::slice::from_ref(&awaited), &[], reached);
    let forwards = |distribution: &Distribution| {
        [&done_well, &failed, &awaited].map(|key| distribution.forwards(&host, key))
    };
    assert_eq!(forwards(&distribution), [Some(true), Some(false), None]);
    let later = from_wire(wire::Version { epoch: 1, ..wire::Version::default() });
    let anew = Advance::prepare_anew(distribution.model(), Model::default(), later, 1);
    distribution.reset(anew);
    assert_eq!(distribution.version(), later);
    assert_eq!(forwards(&distribution), [Some(true), Some(false), None]);
    assert_eq!(distribution.connected(), 0);
    distribution.report(&host, connection, &done(version));
    assert_eq!(forwards(&distribution), [Some(true), Some(false), None], "of a stream that is to end");
    distribution.connect(&host, wire::Version::default(), None);
    assert_eq!(forwards(&distribution), [None; 3], "it says it again");
}

#[test]
fn of_an_instance_that_is_gone_nothing_is_kept() {
    let mut distribution = Distribution::new(Model::default(), from_wire(wire::Version::default()), 1, 0);
    let [gone, other] = [1, 2].map(|n| ServiceKey { kind: RowKind::Vrf, id: Id::from_random([n; 16]) });
    let host: HostName = "host1".parse().unwrap();
    let model = Model::default();
    for service in [gone, other] {
        assert_eq!(distribution.encoded.all_on(&model, service, &host).count(), 0);
        let key = FragmentKey { service, subject: Subject::Prefix("10.0.0.0/24".parse().unwrap()) };
        assert!(distribution.encoded.get(&model, &key).is_none());
    }
    let version = from_wire(wire::Version { revision: 1, ..wire::Version::default() });
    distribution.advance(version, &[Write::Delete(RowKey::Resource(gone.kind, gone.id))]);
    assert_eq!(distribution.encoded.whole, [other].into());
    let known: Vec<ServiceKey> = distribution.encoded.known.keys().map(|key| key.service).collect();
    assert_eq!(known, [other]);
}

#[test]
fn what_was_handed_out_is_remembered_for_so_many_turns_and_changes() {
    let mut distribution = Distribution::new(Model::default(), from_wire(wire::Version::default()), 1, 0);
    let host: HostName = "host1".parse().unwrap();
    let mut is_there = false;
    let mut learn = |count: usize| {
        is_there = !is_there;
        let fact = Fact::Carrier { port: Id::from_random([1; 16]), host: host.clone(), is_there: !is_there };
        distribution.learn(vec![fact; count]);
        distribution.recent.len()
    };
    assert_eq!((0..=RECENT_MAX).map(|_| learn(1)).max(), Some(RECENT_MAX));
    assert_eq!(learn(RECENT_CHANGES_MAX - 10), 11, "and the last ten of one");
    assert_eq!(learn(RECENT_CHANGES_MAX), 1);
    assert_eq!(learn(RECENT_CHANGES_MAX + 1), 0);
}
