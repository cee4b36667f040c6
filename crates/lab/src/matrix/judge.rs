//! From what was seen of each probe to the table. Pure.

use super::{Cell, Expected, Matrix, Probe, Seen, Standing, Workload, expected};

/// The table of what the probes saw, and of what could not be probed because it is not there.
pub(super) fn judge(workloads: &[Workload], standings: &[Standing], probes: &[Probe]) -> Matrix {
    let names: Vec<String> = workloads.iter().map(Workload::label).collect();
    let cell = |(source, from): (usize, &Workload), (target, to): (usize, &Workload)| {
        let missing = standings.get(source).filter(|standing| **standing == Standing::Missing);
        let lack = missing.or_else(|| standings.get(target)).and_then(Standing::lack);
        if source == target {
            return lack.map(|what| Cell { expected: Expected::Reached, seen: Seen::Wrong(what) });
        }
        if from.is_at(to) || to.addresses_for(from).next().is_none() {
            return None;
        }
        let expected = expected(workloads, from, to);
        let of_pair = probes.iter().filter(|probe| (probe.source, probe.target) == (source, target));
        let seen = || join(expected, of_pair.map(|probe| (probe, one(workloads, probe))));
        Some(Cell { expected, seen: lack.map_or_else(seen, Seen::Wrong) })
    };
    let each = || workloads.iter().enumerate();
    let cells = each().map(|from| each().map(|to| cell(from, to)).collect()).collect();
    Matrix { names, cells }
}

/// What one probe saw.
fn one(workloads: &[Workload], probe: &Probe) -> Seen {
    // A namespace in several networks hears with the sockets of each.
    let is_at = |at: usize, other: usize| match (workloads.get(at), workloads.get(other)) {
        (Some(one), Some(other)) => one.is_at(other),
        _ => false,
    };
    let is_of = |at: usize| match (workloads.get(at), workloads.get(probe.source)) {
        (Some(one), Some(source)) => expected(workloads, source, one) == Expected::Reached,
        _ => false,
    };
    let is_stranger = |at: &&usize| !is_at(**at, probe.target) && !is_of(**at);
    let label = |at: &usize| workloads.get(*at).map_or_else(String::new, Workload::label);
    if let Some(stranger) = probe.seen_by.iter().find(is_stranger) {
        return Seen::Wrong(label(stranger));
    }
    let others: Vec<&usize> = probe.seen_by.iter().filter(|at| !is_at(**at, probe.target)).collect();
    match (probe.seen_by.contains(&probe.target), probe.answered, others.first(), probe.expected) {
        (true, true, _, _) => Seen::Reached,
        (true, false, _, _) => Seen::Wrong("no answer".to_owned()),
        // One of the source's own network has this address, too: it was meant, and the target is not reached.
        (false, _, Some(_), Expected::Isolated) => Seen::Isolated,
        (false, _, Some(other), Expected::Reached) => Seen::Wrong(label(other)),
        (false, true, None, _) => Seen::Wrong("unknown answers".to_owned()),
        (false, false, None, _) => Seen::Isolated,
    }
}

/// What all probes of a pair saw: the same, or something is wrong.
fn join<'a>(expected: Expected, each: impl Iterator<Item = (&'a Probe, Seen)>) -> Seen {
    let (mut reached, mut isolated) = (Vec::new(), 0_usize);
    for (probe, seen) in each {
        match seen {
            Seen::Wrong(what) => return Seen::Wrong(what),
            Seen::Reached => reached.push(probe.address.to_string()),
            Seen::Isolated => isolated += 1,
        }
    }
    match (reached.is_empty(), isolated, expected) {
        (true, _, _) => Seen::Isolated,
        (false, 0, _) => Seen::Reached,
        (false, _, Expected::Reached) => Seen::Wrong(format!("only {}", reached.join(" "))),
        (false, _, Expected::Isolated) => Seen::Wrong(format!("reached {}", reached.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use expect_test::{Expect, expect};

    use super::*;
    use crate::matrix::plan;

    /// `host1.a red 10.0.0.1 fd00::1`, one a line.
    fn workloads(text: &str) -> Vec<Workload> {
        let workload = |line: &str| {
            let mut words = line.split_whitespace();
            let (host, name) = words.next()?.split_once('.')?;
            Some(Workload {
                host: host.to_owned(),
                name: name.to_owned(),
                network: words.next()?.to_owned(),
                addresses: words.map(|word| word.parse().unwrap()).collect(),
            })
        };
        text.lines().filter_map(workload).collect()
    }

    /// What a fault-free data plane shows: a request goes to who has the address in the same network.
    fn seen(workloads: &[Workload], standings: &[Standing], faults: impl Fn(&mut Probe)) -> Matrix {
        let mut probes = plan(workloads, standings);
        for probe in &mut probes {
            let has = |at: &usize| {
                workloads[*at].network == workloads[probe.source].network
                    && workloads[*at].addresses.contains(&probe.address)
            };
            probe.seen_by = (0..workloads.len()).filter(has).collect();
            probe.answered = !probe.seen_by.is_empty();
            faults(probe);
        }
        judge(workloads, standings, &probes)
    }

    fn check(text: &str, faults: impl Fn(&mut Probe), table: Expect) {
        let workloads = workloads(text);
        check_standing(&workloads, &vec![Standing::There; workloads.len()], faults, table);
    }

    fn check_standing(
        workloads: &[Workload],
        standings: &[Standing],
        faults: impl Fn(&mut Probe),
        table: Expect,
    ) {
        let matrix = seen(workloads, standings, faults);
        table.assert_eq(&matrix.to_string());
        assert_eq!(matrix.all_right(), !matrix.to_string().contains("WRONG"));
    }

    const TENANTS: &str = "
        host1.a red 10.0.0.1 fd00::1
        host2.b red 10.0.0.2 fd00::2
        host1.c blue 10.0.0.1 fd00::1
        host2.d blue 10.0.0.2 fd00::2";

    #[test]
    fn tenants_with_the_same_addresses_reach_their_own_and_are_isolated_from_the_others() {
        check(
            TENANTS,
            |_| {},
            expect![[r#"
                    | host1.a  | host2.b  | host1.c  | host2.d 
            host1.a | -        | ok       | isolated | isolated
            host2.b | ok       | -        | isolated | isolated
            host1.c | isolated | isolated | -        | ok      
            host2.d | isolated | isolated | ok       | -       
        "#]],
        );
    }

    #[test]
    fn an_answer_from_the_other_tenant_is_told_with_its_name() {
        check(
            TENANTS,
            |probe| {
                if probe.source == 0 && probe.address.to_string() == "10.0.0.2" {
                    probe.seen_by = BTreeSet::from([3]);
                }
            },
            expect![[r#"
                        | host1.a  | host2.b       | host1.c  | host2.d               
                host1.a | -        | WRONG:host2.d | isolated | WRONG:reached 10.0.0.2
                host2.b | ok       | -             | isolated | isolated              
                host1.c | isolated | isolated      | -        | ok                    
                host2.d | isolated | isolated      | ok       | -                     
            "#]],
        );
    }

    #[test]
    fn a_request_that_leaks_is_seen_though_no_answer_comes_back() {
        check(
            "host1.a red 10.0.0.1\nhost1.b blue 10.0.0.9",
            |probe| {
                if probe.source == 0 {
                    probe.seen_by.insert(1);
                }
            },
            expect![[r#"
                        | host1.a  | host1.b        
                host1.a | -        | WRONG:no answer
                host1.b | isolated | -              
            "#]],
        );
    }

    #[test]
    fn one_family_that_is_lost_is_told_by_the_address_that_is_not() {
        check(
            "host1.a red 10.0.0.1 fd00::1\nhost1.b red 10.0.0.2 fd00::2",
            |probe| {
                if probe.address.is_ipv6() {
                    (probe.answered, probe.seen_by) = (false, BTreeSet::new());
                }
            },
            expect![[r#"
                        | host1.a             | host1.b            
                host1.a | -                   | WRONG:only 10.0.0.2
                host1.b | WRONG:only 10.0.0.1 | -                  
            "#]],
        );
    }

    #[test]
    fn a_workload_that_should_be_reached_and_is_not_is_lost() {
        check(
            "host1.a red 10.0.0.1\nhost1.b red 10.0.0.2\nhost1.c red fd00::3",
            |probe| {
                if probe.source == 0 {
                    (probe.answered, probe.seen_by) = (false, BTreeSet::new());
                }
            },
            expect![[r#"
                        | host1.a | host1.b    | host1.c
                host1.a | -       | WRONG:lost | -      
                host1.b | ok      | -          | -      
                host1.c | -       | -          | -      
            "#]],
        );
    }

    #[test]
    fn an_answer_by_nobody_known_is_wrong() {
        check(
            "host1.a red 10.0.0.1\nhost1.b blue 10.0.0.2",
            |probe| probe.answered = true,
            expect![[r#"
                        | host1.a               | host1.b              
                host1.a | -                     | WRONG:unknown answers
                host1.b | WRONG:unknown answers | -                    
            "#]],
        );
    }

    #[test]
    fn what_should_be_there_and_is_not_is_wrong_from_and_to_everybody() {
        let workloads =
            workloads("host1.a red 10.0.0.1 fd00::1\nhost2.b red 10.0.0.2 fd00::2\nhost2.c blue 10.0.0.1");
        let without = Standing::of(&["10.0.0.2".parse().unwrap()], &workloads[1].addresses);
        check_standing(
            &workloads,
            &[Standing::There, without, Standing::Missing],
            |_| {},
            expect![[r#"
                        | host1.a       | host2.b               | host2.c      
                host1.a | -             | WRONG:missing fd00::2 | WRONG:missing
                host2.b | ok            | WRONG:missing fd00::2 | WRONG:missing
                host2.c | WRONG:missing | WRONG:missing         | WRONG:missing
            "#]],
        );
    }

    #[test]
    fn a_workload_that_is_alone_and_not_there_is_wrong_and_no_workload_is_not_all_right() {
        let alone = workloads("host1.a red 10.0.0.1");
        check_standing(
            &alone,
            &[Standing::Missing],
            |_| {},
            expect![[r#"
                    | host1.a      
            host1.a | WRONG:missing
        "#]],
        );
        assert!(!judge(&[], &[], &[]).all_right());
    }

    #[test]
    fn a_workload_in_two_networks_is_reached_from_both() {
        check(
            "host1.a red 10.1.0.1\nhost1.a blue 10.2.0.1\nhost2.b red 10.1.0.2\nhost2.c blue 10.2.0.2",
            |probe| {
                // The namespace reaches what is in either network, and each of its sockets hears.
                probe.answered |= probe.source < 2;
                if probe.answered {
                    probe.seen_by = if probe.target < 2 { [0, 1].into() } else { [probe.target].into() };
                }
            },
            expect![[r#"
                        | host1.a  | host1.a  | host2.b  | host2.c 
                host1.a | -        | -        | ok       | ok      
                host1.a | -        | -        | ok       | ok      
                host2.b | ok       | isolated | -        | isolated
                host2.c | isolated | ok       | isolated | -       
            "#]],
        );
    }
}
