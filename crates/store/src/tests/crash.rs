//! The power fails at every single write.

use std::collections::BTreeMap;

use super::disk::{Disk, Operation};
use super::{Words, commit, delete, keep, keep_facts, name, on, put, replay};
use crate::{Millis, Model, Revision, Store, Version};

/// What was acknowledged, and how many operations the disk had done by then.
struct Acknowledged {
    after: usize,
    version: Version,
}

/// A store that has seen some life: small and large commits, alone and together, deletions, leases, a compaction.
async fn workload(disk: &Disk, store: &Store<Words>) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    let mut note = |version| acknowledged.push(Acknowledged { after: disk.operations_done(), version });
    let long = "x".repeat(40_000);
    for round in 0..8 {
        let key = format!("key-{round}");
        note(commit(store, vec![put(&key, "one"), put("last", &key), keep("fact", &key)]).await);
        let (a, b, c) = tokio::join!(
            commit(store, vec![put(&key, "two"), put("shared", "a")]),
            commit(store, vec![put("shared", "b"), keep("fact", "b")]),
            commit(store, vec![put(&format!("long-{round}"), &long)]),
        );
        note(a.max(b).max(c));
        note(commit(store, vec![delete(&key), delete("shared"), delete("never there")]).await);
    }
    let lease = store.leases().grant(Millis(10), Millis(0)).await.unwrap();
    store.leases().attach(lease, vec![name("long-1"), name("long-2")]).await.unwrap();
    store.compact(Revision::new(9)).await.unwrap();
    store.leases().expire(Millis(10), "over").await.unwrap();
    note(commit(store, vec![put("end", "end")]).await);
    acknowledged
}

/// The disk's content after the first operations, and then half of the next if it is a write.
struct Cut {
    operations: usize,
    torn: bool,
    image: Vec<u8>,
}

fn every_cut(start: Vec<u8>, operations: &[Operation]) -> impl Iterator<Item = Cut> {
    let mut image = start;
    operations.iter().enumerate().flat_map(move |(done, operation)| {
        let mut cuts = vec![Cut { operations: done, torn: false, image: image.clone() }];
        if let Operation::Write(offset, data) = operation
            && data.len() > 1
        {
            let mut torn = image.clone();
            Operation::Write(*offset, data[..data.len() / 2].to_vec()).replay_on(&mut torn);
            cuts.push(Cut { operations: done, torn: true, image: torn });
        }
        operation.replay_on(&mut image);
        cuts
    })
}

/// What else a disk may hold after a crash: of the writes since the last sync, any, in whole or in part. `seed` chooses.
fn scattered(start: Vec<u8>, operations: &[Operation], mut seed: u64) -> impl Iterator<Item = Cut> {
    let mut synced = start;
    let mut since = 0;
    operations.iter().enumerate().filter_map(move |(done, operation)| {
        if !matches!(operation, Operation::Sync) {
            return None;
        }
        let mut image = synced.clone();
        for lost_or_not in &operations[since..done] {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match (lost_or_not, seed >> 62) {
                (Operation::Write(..), 0) => {}
                (Operation::Write(offset, data), 1) => {
                    let (lost, kept) = data.split_at(data.len() / 2);
                    let kept = Operation::Write(*offset + lost.len() as u64, kept.to_vec());
                    kept.replay_on(&mut image);
                }
                (whole, _) => whole.replay_on(&mut image),
            }
        }
        for operation in &operations[since..done] {
            operation.replay_on(&mut synced);
        }
        since = done;
        Some(Cut { operations: done, torn: true, image })
    })
}

fn check(cut: Cut, states: &BTreeMap<Revision, Words>, acknowledged: &[Acknowledged]) {
    let at = format!("after {} operations, torn: {}", cut.operations, cut.torn);
    let store = Store::<Words>::open_with_backend(Disk::holding(cut.image), Default::default());
    let store = store.unwrap_or_else(|error| panic!("{at}: does not open: {error:?}"));
    let found = store.durable();
    let last = acknowledged.iter().rev().find(|one| one.after <= cut.operations).map(|one| one.version);
    assert!(Some(found.version) >= last, "{at}: {:?} was acknowledged, {} is there", last, found.version);
    assert_eq!(&found.model, &states[&found.version.revision], "{at}: half of a commit");
    let events = store.history(.., usize::MAX).unwrap();
    let revisions: Vec<u64> = events.iter().map(|event| event.version.revision.get()).collect();
    let oldest = revisions.first().copied().unwrap_or(1);
    assert_eq!(revisions, (oldest..=found.version.revision.get()).collect::<Vec<_>>(), "{at}: a gap");
    let before = store.at(Revision::new(oldest - 1)).unwrap();
    assert_eq!(&before.model, &states[&before.version.revision], "{at}: the past changed");
}

#[tokio::test]
async fn a_crash_at_any_write_loses_nothing_acknowledged_and_leaves_nothing_half_done() {
    let disk = Disk::default();
    drop(on(&disk)); // a backend that is not a file must be initialised whole
    let store = on(&disk);
    let start = disk.image();
    disk.forget_operations();
    let mut watch = store.watch(store.durable().version);
    let acknowledged = workload(&disk, &store).await;
    let operations = disk.operations();
    let head = store.durable().version;
    let mut events = Vec::new();
    let mut states = BTreeMap::from([(Revision::ZERO, Words::default())]);
    // The first commits are compacted away by now; what they were is told by undoing, and by the watch's own replay.
    let oldest = store.compact(Revision::ZERO).await.unwrap();
    let mut model = store.at(Revision::new(oldest.get() - 1)).unwrap().model;
    for event in store.history(.., usize::MAX).unwrap() {
        for write in event.writes.iter() {
            model.apply(write);
        }
        states.insert(event.version.revision, model.clone());
        events.push(event);
    }
    drop(store);
    assert!(watch.next().await.is_err());
    for early in early_states(&operations, &start, oldest) {
        states.insert(early.0, early.1);
    }
    assert_eq!(states.len() as u64, head.revision.get() + 1);
    assert!(operations.len() > 100, "only {} operations", operations.len());
    let anyhow = (0..4).flat_map(|seed| scattered(start.clone(), &operations, seed));
    for cut in every_cut(start.clone(), &operations).chain(anyhow) {
        check(cut, &states, &acknowledged);
    }
}

/// The states before the compaction, from the log as it was just before it.
fn early_states(operations: &[Operation], start: &[u8], oldest: Revision) -> Vec<(Revision, Words)> {
    let mut image = start.to_vec();
    let mut found = Vec::new();
    for operation in operations {
        operation.replay_on(&mut image);
        if !matches!(operation, Operation::Sync) {
            continue;
        }
        let store = on(&Disk::holding(image.clone()));
        let events = store.history(.., usize::MAX).unwrap();
        if events.first().is_some_and(|event| event.version.revision > Revision::new(1)) {
            break;
        }
        found = (1..=events.len()).map(|n| (events[n - 1].version.revision, replay(&events[..n]))).collect();
    }
    found.retain(|(revision, _)| *revision < oldest);
    found
}

#[tokio::test]
async fn a_crash_during_a_restore_leaves_the_old_content_or_the_new() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("snapshot");
    let other = on(&Disk::default());
    for round in 0..5 {
        commit(&other, vec![put("theirs", &round.to_string()), keep("fact", "theirs")]).await;
    }
    other.snapshot_to(&file).await.unwrap();

    let disk = Disk::default();
    let store = on(&disk);
    commit(&store, vec![put("ours", &"y".repeat(10_000)), keep("fact", "ours")]).await;
    commit(&store, vec![put("ours too", "1")]).await;
    let start = disk.image();
    disk.forget_operations();
    let old = store.durable();
    let restored = store.restore_from(&file, "restored", keep_facts).await.unwrap();
    let acknowledged = disk.operations_done();
    let new = store.durable();
    commit(&store, vec![]).await;
    let mut expected = other.durable().model.clone();
    crate::Model::apply(&mut expected, &keep("fact", "ours"));
    assert_eq!(new.model, expected);
    let operations = disk.operations()[..acknowledged].to_vec();
    drop(store);
    let mut seen = [0, 0];
    for cut in every_cut(start, &operations) {
        let store = on(&Disk::holding(cut.image));
        let found = store.durable();
        let replaced = found.version == restored;
        let expected = if replaced { &new } else { &old };
        assert_eq!((found.version, &found.model), (expected.version, &expected.model));
        assert_eq!(store.history(.., 100).unwrap().len() as u64, found.version.revision.get());
        seen[usize::from(replaced)] += 1;
    }
    assert!(seen[0] > 0, "{seen:?}");
}

#[tokio::test]
async fn a_crash_while_the_file_is_made_leaves_no_file_that_does_not_open() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    // What a crash can leave behind: the file under its first name, cut short.
    std::fs::write(directory.path().join("store.new"), [0; 4096]).unwrap();
    let store = Store::<Words>::open(&path, Default::default()).unwrap();
    commit(&store, vec![put("a", "1")]).await;
    drop(store);
    assert!(!directory.path().join("store.new").exists());
    let store = Store::<Words>::open(&path, Default::default()).unwrap();
    assert_eq!(store.durable().model.get("a"), Some("1"));
}
