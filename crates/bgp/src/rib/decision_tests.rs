//! The decision process as a table: two paths, who wins, by which rule.

use super::*;
use crate::rib::Interner;
use crate::wire::{AsPath, Attributes, Community, ExtendedCommunity, NextHop};
use weft_net::Asn;

/// A path as a row of the table says it.
struct Row {
    attributes: Attributes,
    source: Source,
    path_id: u32,
    is_long_lived_stale: bool,
}

fn row(change: impl FnOnce(&mut Row)) -> Row {
    let address = Ipv4Addr::new(192, 0, 2, 1);
    let source =
        Source { kind: SourceKind::Internal, router_id: address, address: address.into(), is_client: false };
    let mut row = Row {
        attributes: Attributes::new(NextHop::Ipv4(address)),
        source,
        path_id: 0,
        is_long_lived_stale: false,
    };
    change(&mut row);
    row
}

fn path(asns: &[u32]) -> AsPath {
    AsPath::sequence(&asns.iter().map(|&asn| Asn::new(asn)).collect::<Vec<_>>())
}

/// Decides among rows in each of their orders, which must not matter.
fn decided(rows: &[Row]) -> (usize, Step) {
    let mut interner = Interner::new(1);
    let sets: Vec<_> = rows.iter().map(|row| interner.intern(row.attributes.clone())).collect();
    let orders = (0..rows.len())
        .map(|turn| (0..rows.len()).map(|index| (index + turn) % rows.len()).collect::<Vec<_>>());
    let mut decisions = orders.map(|order| {
        let candidates: Vec<Candidate<'_>> = order
            .iter()
            .map(|&index| Candidate {
                attributes: &sets[index],
                source: rows[index].source,
                path_id: rows[index].path_id,
                is_long_lived_stale: rows[index].is_long_lived_stale,
            })
            .collect();
        let decision = decide(&candidates).unwrap();
        assert!(decision.equal.contains(&decision.best));
        (order[decision.best], decision.step)
    });
    let first = decisions.next().unwrap();
    decisions.for_each(|other| assert_eq!(other, first, "the order matters"));
    first
}

/// The better one, the worse one, the rule. Each worse one is better by all later rules.
type Case = (Row, Row, Step);

#[test]
fn each_rule_decides_what_the_ones_before_leave_open() {
    for (better, worse, step) in of_preference().into_iter().chain(of_ties()) {
        assert_eq!(decided(&[better, worse]), (0, step));
    }
    assert_eq!(decided(&[row(|_| {})]), (0, Step::OnlyPath));
}

fn of_preference() -> Vec<Case> {
    let mobility = |row: &mut Row, sequence, is_sticky| {
        row.attributes.set_extended_communities([ExtendedCommunity::mac_mobility(sequence, is_sticky)]);
    };
    vec![
        (row(|r| mobility(r, 2, false)), row(|r| mobility(r, 1, false)), Step::MacMobility),
        (row(|r| mobility(r, 0, true)), row(|r| mobility(r, 9, false)), Step::MacMobility),
        (
            row(|r| r.attributes.local_pref = Some(1)),
            row(|r| (r.is_long_lived_stale, r.attributes.local_pref) = (true, Some(900))),
            Step::NotLongLivedStale,
        ),
        (
            row(|_| {}),
            row(|r| r.attributes.set_communities([Community::LLGR_STALE])),
            Step::NotLongLivedStale,
        ),
        (
            row(|r| (r.attributes.local_pref, r.attributes.as_path) = (Some(101), path(&[1, 2, 3]))),
            row(|_| {}),
            Step::LocalPreference,
        ),
        (
            row(|r| (r.source.kind, r.attributes.as_path) = (SourceKind::Local, path(&[1]))),
            row(|_| {}),
            Step::Local,
        ),
        (
            row(|r| (r.attributes.as_path, r.attributes.origin) = (path(&[1]), Origin::Incomplete)),
            row(|r| r.attributes.as_path = path(&[1, 2])),
            Step::AsPathLength,
        ),
        (
            row(|r| (r.attributes.origin, r.attributes.multi_exit_disc) = (Origin::Igp, Some(9))),
            row(|r| r.attributes.origin = Origin::Egp),
            Step::Origin,
        ),
    ]
}

fn of_ties() -> Vec<Case> {
    vec![
        (
            row(|r| r.attributes.as_path = path(&[1])),
            row(|r| {
                (r.attributes.as_path, r.attributes.multi_exit_disc, r.source.kind) =
                    (path(&[1]), Some(1), SourceKind::External)
            }),
            Step::MultiExitDiscriminator,
        ),
        (
            row(|r| {
                (r.attributes.as_path, r.source.kind, r.attributes.multi_exit_disc) =
                    (path(&[1]), SourceKind::External, Some(1))
            }),
            row(|r| r.attributes.as_path = path(&[2])),
            Step::External,
        ),
        (
            row(|r| {
                r.attributes.edit_rare(|rare| {
                    (rare.originator_id, rare.cluster_list) =
                        (Some([192, 0, 2, 0].into()), vec![[9, 9, 9, 9].into()])
                })
            }),
            row(|_| {}),
            Step::RouterId,
        ),
        (
            row(|r| r.source.address = [192, 0, 2, 9].into()),
            row(|r| r.attributes.edit_rare(|rare| rare.cluster_list = vec![[9, 9, 9, 9].into()])),
            Step::ClusterListLength,
        ),
        (row(|r| r.path_id = 7), row(|r| r.source.address = [192, 0, 2, 2].into()), Step::PeerAddress),
        (row(|r| r.path_id = 1), row(|r| r.path_id = 2), Step::PathId),
    ]
}

#[test]
fn discriminators_of_different_neighbouring_systems_do_not_make_the_order_matter() {
    // The textbook case: A beats B by MED, B beats C by identifier, C beats A by identifier.
    let path_of = |asn: u32, med: u32, id: u8| {
        row(|r| {
            (r.attributes.as_path, r.attributes.multi_exit_disc) = (path(&[asn]), Some(med));
            (r.source.kind, r.source.router_id) = (SourceKind::External, Ipv4Addr::new(10, 0, 0, id));
        })
    };
    let rows = [path_of(1, 0, 3), path_of(1, 10, 1), path_of(2, 0, 2)];
    assert_eq!(decided(&rows), (2, Step::RouterId));
}

#[test]
fn paths_that_only_tie_breakers_tell_apart_share_traffic() {
    let mut interner = Interner::new(1);
    let set = interner.intern(row(|_| {}).attributes);
    let longer = interner.intern(row(|r| r.attributes.as_path = path(&[1])).attributes);
    let source = |number: u8| Source { router_id: [10, 0, 0, number].into(), ..row(|_| {}).source };
    let candidate = |attributes, number| Candidate {
        attributes,
        source: source(number),
        path_id: 0,
        is_long_lived_stale: false,
    };
    let decision = decide(&[candidate(&set, 3), candidate(&longer, 1), candidate(&set, 2)]).unwrap();
    assert_eq!((decision.best, decision.equal, decision.runner_up), (2, vec![0, 2], Some(0)));
}
