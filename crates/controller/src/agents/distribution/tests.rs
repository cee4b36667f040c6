//! What is known of hosts by what their agents say.

use weft_dataplane::FragmentId;

use super::*;

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
