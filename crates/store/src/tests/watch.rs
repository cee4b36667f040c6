//! Events in order, none missing, none twice.

use std::sync::Arc;

use super::disk::Disk;
use super::{Words, commit, on, on_with, put, replay};
use crate::{Options, Revision, Store, Version, Watch, WatchError};

async fn take(watch: &mut Watch<Words>, count: usize) -> Vec<crate::Event<Words>> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(watch.next().await.unwrap());
    }
    events
}

fn from(store: &Store<Words>, revision: u64) -> Version {
    Version { epoch: store.durable().version.epoch, revision: Revision::new(revision) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_writers_and_watchers_that_resume_see_every_event_once() {
    const WRITERS: u64 = 8;
    const EACH: u64 = 40;
    // So short a tail that watchers change between it and the log.
    let store = Arc::new(on_with(&Disk::default(), Options { tail_events: 3, ..Options::default() }));
    let start = store.durable().version;
    let mut watchers = tokio::task::JoinSet::new();
    for stride in 1..=5 {
        let store = store.clone();
        watchers.spawn(async move {
            let (mut position, mut seen) = (start, Vec::new());
            while (seen.len() as u64) < WRITERS * EACH {
                let mut watch = store.watch(position);
                let left = (WRITERS * EACH) as usize - seen.len();
                seen.extend(take(&mut watch, left.min(stride * 7)).await);
                position = watch.position();
            }
            seen
        });
    }
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for number in 0..EACH {
                commit(&store, vec![put(&format!("{writer}"), &number.to_string())]).await;
            }
        });
    }
    writers.join_all().await;
    for seen in watchers.join_all().await {
        let revisions: Vec<u64> = seen.iter().map(|event| event.version.revision.get()).collect();
        assert_eq!(revisions, (1..=WRITERS * EACH).collect::<Vec<_>>());
        assert_eq!(replay(&seen), store.durable().model);
    }
}

#[tokio::test]
async fn a_watch_shows_only_what_is_durable() {
    let disk = Disk::default();
    let store = Arc::new(on(&disk));
    let mut watch = store.watch(store.durable().version);
    disk.stop();
    let before = disk.syncs_begun();
    let writing = tokio::spawn({
        let store = store.clone();
        async move { commit(&store, vec![put("a", "1")]).await }
    });
    let stopped = disk.clone();
    tokio::task::spawn_blocking(move || stopped.wait_for_sync_after(before)).await.unwrap();
    let pending = std::future::poll_fn(|context| {
        let next = std::pin::pin!(watch.next());
        std::task::Poll::Ready(next.poll(context).is_pending())
    });
    assert!(pending.await);
    disk.go_on();
    assert_eq!(watch.next().await.unwrap().version, writing.await.unwrap());
}

#[tokio::test]
async fn a_watch_behind_a_compaction_is_told_where_the_log_begins() {
    let store = on(&Disk::default());
    for number in 0..10 {
        commit(&store, vec![put("a", &number.to_string())]).await;
    }
    let mut early = store.watch(from(&store, 2));
    let mut edge = store.watch(from(&store, 5));
    assert_eq!(store.compact(Revision::new(6)).await.unwrap(), Revision::new(6));
    assert!(matches!(early.next().await, Err(WatchError::Compacted { oldest }) if oldest.get() == 6));
    assert_eq!(take(&mut edge, 5).await[0].version.revision.get(), 6);
}

#[tokio::test]
async fn a_watch_after_opening_again_reads_the_log() {
    let disk = Disk::default();
    let store = on(&disk);
    for number in 0..600 {
        commit(&store, vec![put("a", &number.to_string())]).await;
    }
    drop(store);
    let store = on(&disk);
    let seen = take(&mut store.watch(from(&store, 0)), 600).await;
    assert_eq!(replay(&seen), store.durable().model);
    assert!(seen.iter().all(|event| &*event.note == "test"));
}

#[tokio::test]
async fn a_watch_of_a_closed_store_says_so() {
    let store = on(&Disk::default());
    let mut watch = store.watch(store.durable().version);
    let waiting = tokio::spawn(async move { watch.next().await });
    tokio::task::yield_now().await;
    drop(store);
    assert!(matches!(waiting.await.unwrap(), Err(WatchError::Closed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_taken_together_lead_from_snapshot_to_snapshot() {
    const COMMITS: u64 = 200;
    let store = Arc::new(on_with(&Disk::default(), Options { tail_events: 50, ..Options::default() }));
    let start = store.durable().version;
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 0..COMMITS {
                commit(&store, vec![put(&format!("{}", number % 7), &number.to_string())]).await;
            }
        }
    });
    let (mut watch, mut words, mut seen, mut snapshots) = (store.watch(start), Words::default(), 0, 0);
    while seen < COMMITS {
        let (events, snapshot) = watch.next_together().await.unwrap();
        assert!(!events.is_empty());
        for event in &events {
            seen += 1;
            assert_eq!(event.version.revision, Revision::new(seen));
            event.writes.iter().for_each(|write| crate::Model::apply(&mut words, write));
        }
        if let Some(snapshot) = snapshot {
            snapshots += 1;
            assert_eq!((snapshot.version, &snapshot.model), (watch.position(), &words));
        }
    }
    writer.await.unwrap();
    assert!(snapshots > 0);
}
