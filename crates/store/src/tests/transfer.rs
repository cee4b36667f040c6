//! Snapshot files, restores, epochs.

use std::sync::Arc;

use super::disk::Disk;
use super::{Words, commit, keep, keep_facts, keep_nothing, name, on, put, try_commit};
use crate::{CommitError, Epoch, Millis, Options, Revision, Store, TransactError, TransferError, WatchError};

#[tokio::test]
async fn a_restore_brings_everything_back_in_a_new_epoch() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("snapshot");
    let disk = Disk::default();
    let store = on(&disk);
    let lease = store.leases().grant(Millis(10), Millis(0)).await.unwrap();
    store.leases().attach(lease, vec![name("a")]).await.unwrap();
    commit(&store, vec![put("a", "1"), keep("fact", "1")]).await;
    let saved = commit(&store, vec![put("a", "2")]).await;
    assert_eq!(store.snapshot_to(&file).await.unwrap(), saved);
    let then = store.durable();
    store.leases().revoke(lease, "").await.unwrap();
    let later = commit(&store, vec![put("a", "3"), keep("fact", "2")]).await;
    let mut watch = store.watch(later);

    let now = store.restore_from(&file, "restored", keep_nothing).await.unwrap();
    assert_eq!((now.epoch, now.revision), (Epoch::new(2), saved.revision.next()));
    assert!(now > later);
    assert_eq!(store.durable().model, then.model);
    assert_eq!(store.pending().model, then.model);
    assert_eq!(store.leases().keys(lease).unwrap(), [name("a")]);
    assert!(matches!(watch.next().await, Err(WatchError::EpochChanged { now: head }) if head == now));
    assert!(matches!(store.watch(saved).next().await, Err(WatchError::EpochChanged { .. })));
    assert!(matches!(store.commit(saved, vec![], "").await, Err(CommitError::Conflict { .. })));

    let mut watch = store.watch(now);
    let next = commit(&store, vec![put("a", "4")]).await;
    assert_eq!((next.epoch, next.revision), (now.epoch, now.revision.next()));
    assert_eq!(watch.next().await.unwrap().version, next);
    let history = store.history(.., 10).unwrap();
    let versions: Vec<_> = history.iter().map(|event| event.version).collect();
    assert!(versions.is_sorted() && versions.len() == 4, "{versions:?}");
    assert_eq!((&*history[2].note, history[2].writes.len()), ("restored", 0));
    assert_eq!(store.at(Revision::new(1)).unwrap().model.get("a"), Some("1"));
    drop(store);
    let store = on(&disk);
    assert_eq!(store.durable().version, next);
    assert_eq!(store.restore_from(&file, "", keep_nothing).await.unwrap().epoch, Epoch::new(3));
}

#[tokio::test]
async fn what_is_kept_of_the_replaced_content_is_restored_with_the_rest() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("snapshot");
    let disk = Disk::default();
    let store = on(&disk);
    commit(&store, vec![put("a", "1"), keep("fact", "1")]).await;
    store.snapshot_to(&file).await.unwrap();
    commit(&store, vec![put("a", "2"), keep("fact", "2"), keep("other", "2")]).await;
    store.restore_from(&file, "restored", keep_facts).await.unwrap();
    let expected = super::replay(&store.history(.., 10).unwrap());
    drop(store);
    let store = on(&disk);
    assert_eq!(store.durable().model, expected);
    let mut facts = keep_facts(&expected, &expected);
    facts.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(facts, [keep("fact", "2"), keep("other", "2")]);
    assert_eq!(expected.get("a"), Some("1"));
}

#[tokio::test]
async fn those_who_wait_while_a_restore_replaces_the_content_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("snapshot");
    let disk = Disk::default();
    let store = Arc::new(on(&disk));
    commit(&store, vec![put("a", "1")]).await;
    store.snapshot_to(&file).await.unwrap();
    disk.stop();
    let syncs = disk.syncs_begun();
    let restoring = tokio::spawn({
        let (store, file) = (store.clone(), file.clone());
        async move { store.restore_from(&file, "", keep_nothing).await }
    });
    let stopped = disk.clone();
    tokio::task::spawn_blocking(move || stopped.wait_for_sync_after(syncs)).await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { try_commit(&store, vec![put("b", "1")]).await }
    });
    while store.pending().model.get("b").is_none() {
        tokio::task::yield_now().await;
    }
    disk.go_on();
    let now = restoring.await.unwrap().unwrap();
    assert!(matches!(waiting.await.unwrap(), Err(TransactError::Unavailable(_))));
    assert_eq!((store.pending().version, store.pending().model.get("b")), (now, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_snapshot_taken_while_others_write_is_one_version_and_opens_as_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(on(&Disk::default()));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let store = store.clone();
        writers.spawn(async move {
            for number in 0..50 {
                let text = number.to_string();
                commit(&store, vec![put(&format!("{writer}-a"), &text), put(&format!("{writer}-b"), &text)])
                    .await;
            }
        });
    }
    let mut files = Vec::new();
    for number in 0..4 {
        let file = directory.path().join(format!("snapshot-{number}"));
        files.push((store.snapshot_to(&file).await.unwrap(), file));
    }
    writers.join_all().await;
    for (version, file) in files {
        let copy = Store::<Words>::open(&file, Options::default()).unwrap();
        assert_eq!(copy.durable().version, version);
        assert_eq!(copy.durable().model, store.at(version.revision).unwrap().model);
        assert_eq!(copy.history(.., 1000).unwrap().len() as u64, version.revision.get());
    }
}

#[tokio::test]
async fn a_file_that_is_no_snapshot_is_refused_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("not a snapshot");
    let store = on(&Disk::default());
    let version = commit(&store, vec![put("a", "1")]).await;
    assert!(matches!(store.restore_from(&file, "", keep_nothing).await, Err(TransferError::Snapshot { .. })));
    std::fs::write(&file, "hello").unwrap();
    assert!(matches!(store.restore_from(&file, "", keep_nothing).await, Err(TransferError::Snapshot { .. })));
    assert_eq!(store.durable().version, version);
    commit(&store, vec![put("a", "2")]).await;
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_written_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let store = on(&Disk::default());
    commit(&store, vec![put("a", "1")]).await;
    assert!(store.snapshot_to(directory.path().join("no such directory/file")).await.is_err());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn an_epoch_is_raised_above_another_and_no_commit_is_lost() {
    let disk = Disk::default();
    let store = Arc::new(on(&disk));
    commit(&store, vec![put("a", "1")]).await;
    disk.stop();
    let begin = |key: &'static str| {
        let store = store.clone();
        tokio::spawn(async move { commit(&store, vec![put(key, "1")]).await })
    };
    let before = begin("b");
    while store.pending().model.get("b").is_none() {
        tokio::task::yield_now().await;
    }
    let raising = {
        let store = store.clone();
        tokio::spawn(async move { store.raise_epoch(Epoch::new(7)).await })
    };
    tokio::task::yield_now().await;
    let behind = begin("d");
    while store.pending().model.get("d").is_none() {
        tokio::task::yield_now().await;
    }
    disk.go_on();
    before.await.unwrap();
    behind.await.unwrap();
    let raised = raising.await.unwrap().unwrap();
    assert_eq!(raised.epoch, Epoch::new(8));
    let after = commit(&store, vec![put("c", "1")]).await;
    assert_eq!((after.epoch, after.revision.get()), (Epoch::new(8), 4));
    let content = store.durable().model.clone();
    drop(store);
    let again = on(&disk);
    assert_eq!((again.durable().version, &again.durable().model), (after, &content));
    assert_eq!(again.history(.., 10).unwrap().len(), 4);
}
