//! The disk is full, or reports errors, and later works again.

use super::disk::Disk;
use super::{Words, commit, name, on, put, try_commit};
use crate::{CommitError, LeaseError, Millis, Store, TransactError, WatchError};

fn reopened(disk: &Disk) -> Store<Words> {
    on(&Disk::holding(disk.image()))
}

#[tokio::test]
async fn a_full_disk_makes_commits_fail_and_loses_nothing() {
    for room in 0..12 {
        let disk = Disk::default();
        let store = on(&disk);
        let before = commit(&store, vec![put("a", "1")]).await;
        disk.full_after(room);
        let mut number = 0;
        let refused = loop {
            number += 1;
            match try_commit(&store, vec![put("b", &number.to_string())]).await {
                Ok(_) => assert!(number < 100, "the disk never got full"),
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, TransactError::Unavailable(_)), "{refused:?}");
        assert_eq!(store.pending().version, store.durable().version);
        assert!(store.durable().version >= before);
        assert!(try_commit(&store, vec![put("c", "1")]).await.is_err());
        disk.mend();
        let after = recovered(&store).await;
        assert!(after > before);
        assert_eq!(store.durable().model.get("a"), Some("1"));
        let shown = store.durable();
        drop(store);
        let store = reopened(&disk);
        assert_eq!((store.durable().version, &store.durable().model), (shown.version, &shown.model));
    }
}

/// Commits until the store works: the first may still meet what the failure left.
async fn recovered(store: &Store<Words>) -> crate::Version {
    for _ in 0..3 {
        if let Ok(version) = try_commit(store, vec![put("after", "1")]).await {
            return version;
        }
    }
    panic!("the store does not heal");
}

#[tokio::test]
async fn all_who_wait_fail_when_the_group_before_them_fails() {
    let disk = Disk::default();
    let store = std::sync::Arc::new(on(&disk));
    commit(&store, vec![put("a", "1")]).await;
    disk.stop();
    let syncs = disk.syncs_begun();
    let first = tokio::spawn({
        let store = store.clone();
        async move { try_commit(&store, vec![put("b", "1")]).await }
    });
    let waiting = tokio::task::spawn_blocking({
        let disk = disk.clone();
        move || disk.wait_for_sync_after(syncs)
    });
    waiting.await.unwrap();
    let mut queued = tokio::task::JoinSet::new();
    for number in 0..10 {
        let store = store.clone();
        queued.spawn(async move { try_commit(&store, vec![put("c", &number.to_string())]).await });
    }
    while store.pending().version.revision.get() < 12 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.durable().version.revision.get(), 1);
    disk.break_syncs_after(0);
    disk.go_on();
    assert!(first.await.unwrap().is_err());
    while let Some(result) = queued.join_next().await {
        assert!(matches!(result.unwrap(), Err(TransactError::Unavailable(_))));
    }
    disk.mend();
    recovered(&store).await;
    assert_eq!(store.durable().model.get("a"), Some("1"));
}

#[tokio::test]
async fn a_group_that_reached_the_disk_though_its_sync_failed_is_taken_over_and_watched() {
    for good in 0..3 {
        let disk = Disk::default();
        let store = on(&disk);
        commit(&store, vec![put("a", "1")]).await;
        let mut watch = store.watch(store.durable().version);
        disk.break_syncs_after(good);
        while try_commit(&store, vec![put("b", "1")]).await.is_ok() {}
        disk.mend();
        let last = recovered(&store).await;
        let mut revision = 1;
        while revision < last.revision.get() {
            revision += 1;
            assert_eq!(watch.next().await.unwrap().version.revision.get(), revision);
        }
        let shown = store.durable();
        drop(store);
        assert_eq!(reopened(&disk).durable().model, shown.model);
    }
}

#[tokio::test]
async fn leases_of_a_failed_commit_are_gone() {
    let disk = Disk::default();
    let store = on(&disk);
    let held = store.leases().grant(Millis(5), Millis(0)).await.unwrap();
    disk.full_after(0);
    assert!(store.leases().grant(Millis(5), Millis(0)).await.is_err());
    let attached = store.leases().attach(held, vec![name("a")]).await;
    assert!(matches!(attached, Err(LeaseError::Unavailable(_))));
    disk.mend();
    recovered(&store).await;
    assert_eq!(store.leases().keys(held).unwrap(), []);
    assert_eq!(store.leases().expire(Millis(9), "").await.unwrap().leases, [held]);
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_again_says_so_and_still_serves_readers() {
    let disk = Disk::default();
    let store = on(&disk);
    let base = commit(&store, vec![put("a", "1")]).await;
    let opens = disk.opens();
    disk.full_after(0);
    disk.break_syncs_after(0);
    for _ in 0..3 {
        let refused = store.commit(base, vec![put("b", "1")], "").await;
        assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
    }
    assert!(disk.opens() > opens);
    assert_eq!(store.durable().model.get("a"), Some("1"));
    assert_eq!(store.pending().version, base);
    let watch = store.watch(base);
    disk.mend();
    recovered(&store).await;
    drop(store);
    let mut watch = watch;
    while watch.position().revision < base.revision.next() {
        watch.next().await.unwrap();
    }
    assert!(matches!(watch.next().await, Err(WatchError::Closed)));
}
