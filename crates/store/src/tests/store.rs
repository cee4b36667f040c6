//! Commits, transactions, groups, opening.

use std::sync::Arc;

use super::disk::Disk;
use super::{Words, commit, delete, keep, on, put};
use crate::{
    CommitError, MAX_BATCH_BYTES, OpenError, Options, Proposal, Revision, Snapshot, StorageError, Store,
    TransactError,
};

#[tokio::test]
async fn what_is_acknowledged_is_there_after_opening_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::<Words>::open(&path, Options::default()).unwrap();
    assert_eq!(store.durable().version.revision, Revision::ZERO);
    commit(&store, vec![put("a", "1"), put("b", "1"), keep("a", "fact")]).await;
    let version = commit(&store, vec![delete("a"), put("b", "2")]).await;
    let before = store.durable();
    drop(store);
    let store = Store::<Words>::open(&path, Options::default()).unwrap();
    assert_eq!(store.durable().version, version);
    assert_eq!(store.durable().model, before.model);
    assert_eq!(store.pending().model, before.model);
}

#[tokio::test]
async fn a_file_is_open_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::<Words>::open(&path, Options::default()).unwrap();
    let second = Store::<Words>::open(&path, Options::default());
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    drop(store);
    Store::<Words>::open(&path, Options::default()).unwrap();
}

#[tokio::test]
async fn a_commit_on_an_old_base_conflicts_and_changes_nothing() {
    let store = on(&Disk::default());
    let base = store.durable().version;
    let first = store.commit(base, vec![put("a", "1")], "first").await.unwrap();
    let refused = store.commit(base, vec![put("a", "2")], "second").await;
    assert!(matches!(refused, Err(CommitError::Conflict { head }) if head == first));
    assert_eq!(store.durable().model.get("a"), Some("1"));
    store.commit(first, vec![put("a", "3")], "third").await.unwrap();
    assert_eq!(store.durable().model.get("a"), Some("3"));
}

#[tokio::test]
async fn no_writes_make_no_revision() {
    let store = on(&Disk::default());
    let version = commit(&store, vec![put("a", "1")]).await;
    assert_eq!(commit(&store, vec![]).await, version);
    assert_eq!(store.commit(version, vec![], "").await.unwrap(), version);
    assert_eq!(store.history(.., 10).unwrap().len(), 1);
}

#[tokio::test]
async fn a_transaction_that_only_reads_waits_until_what_it_read_is_durable() {
    let disk = Disk::default();
    let store = Arc::new(on(&disk));
    disk.stop();
    let writing = tokio::spawn({
        let store = store.clone();
        async move { commit(&store, vec![put("a", "1")]).await }
    });
    while store.pending().model.get("a").is_none() {
        tokio::task::yield_now().await;
    }
    let read = |head: &Snapshot<Words>| {
        Ok::<_, ()>((Proposal::on(&head.model, vec![]), head.model.get("a").map(str::to_owned)))
    };
    let reading = tokio::spawn({
        let store = store.clone();
        async move { store.transact("read", read).await.unwrap() }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!reading.is_finished());
    assert_eq!(store.durable().model.get("a"), None);
    disk.go_on();
    let (version, value) = reading.await.unwrap();
    assert_eq!(value.as_deref(), Some("1"));
    assert!(store.durable().version >= version);
    assert_eq!(writing.await.unwrap(), version);
}

#[tokio::test]
async fn a_refusal_is_returned_and_changes_nothing() {
    let store = on(&Disk::default());
    let refused = store.transact("no", |_| Err::<(Proposal<Words>, ()), _>("because")).await;
    assert!(matches!(refused, Err(TransactError::Refused("because"))));
    assert_eq!(store.pending().version.revision, Revision::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_increments_are_not_lost() {
    let store = Arc::new(on(&Disk::default()));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        tasks.spawn(async move {
            for _ in 0..25 {
                let increment = |head: &Snapshot<Words>| {
                    let old: u32 = head.model.get("counter").map_or(0, |text| text.parse().unwrap());
                    let writes = vec![put("counter", &(old + 1).to_string())];
                    Ok::<_, ()>((Proposal::on(&head.model, writes), ()))
                };
                store.transact("increment", increment).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(store.durable().model.get("counter"), Some("400"));
    assert_eq!(store.durable().version.revision.get(), 400);
}

#[tokio::test]
async fn commits_that_wait_for_the_disk_go_there_together() {
    let disk = Disk::default();
    let store = Arc::new(on(&disk));
    commit(&store, vec![put("warm", "up")]).await;
    let one = {
        let before = disk.syncs_begun();
        commit(&store, vec![put("alone", "1")]).await;
        disk.syncs_begun() - before
    };
    disk.stop();
    let before = disk.syncs_begun();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100 {
        let store = store.clone();
        tasks.spawn(async move { commit(&store, vec![put("k", &number.to_string())]).await });
    }
    while store.pending().version.revision.get() < 102 {
        tokio::task::yield_now().await;
    }
    disk.go_on();
    let versions = tasks.join_all().await;
    assert_eq!(versions.len(), 100);
    let syncs = disk.syncs_begun() - before;
    assert!(syncs <= 3 * one, "{syncs} syncs for 100 commits, {one} for one");
    assert_eq!(store.history(.., 1000).unwrap().len(), 102);
}

#[tokio::test]
async fn a_batch_has_a_greatest_size() {
    let store = on(&Disk::default());
    let base = store.durable().version;
    let writes = vec![put("a", &"x".repeat(MAX_BATCH_BYTES))];
    let refused = store.commit(base, writes, "").await;
    assert!(matches!(refused, Err(CommitError::TooLarge { limit: MAX_BATCH_BYTES, .. })));
    assert_eq!(store.pending().version, base);
}

#[tokio::test]
async fn a_corrupt_value_is_an_error_that_names_table_and_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let store = Store::<Words>::open(&path, Options::default()).unwrap();
    commit(&store, vec![put("abc", "1")]).await;
    drop(store);
    let spoil = |value: &[u8]| {
        let table: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("current");
        let database = redb::Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(table).unwrap().insert(b"\0abc".as_slice(), value).unwrap();
        transaction.commit().unwrap();
    };
    for value in [b"".as_slice(), b"\x09\x01x", b"\x01\xff", b"\x01\x01\xff\xfe"] {
        spoil(value);
        let message = match Store::<Words>::open(&path, Options::default()) {
            Err(OpenError::Storage(error @ StorageError::Corrupt { .. })) => error.to_string(),
            other => panic!("{:?}", other.err()),
        };
        assert_eq!(message, r"table `current`, key \x00abc: the stored value is corrupt");
    }
}

#[tokio::test]
async fn a_database_of_somebody_else_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("theirs");
    let table: redb::TableDefinition<'_, u64, u64> = redb::TableDefinition::new("theirs");
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(table).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let opened = Store::<Words>::open(&path, Options::default());
    assert!(matches!(opened, Err(OpenError::Storage(StorageError::Foreign))));
}

#[tokio::test]
async fn dropping_the_store_writes_what_is_queued() {
    let disk = Disk::default();
    let store = on(&disk);
    let base = store.durable().version;
    disk.stop();
    {
        let mut asked = Box::pin(store.commit(base, vec![put("a", "1")], ""));
        let once =
            std::future::poll_fn(|context| std::task::Poll::Ready(asked.as_mut().poll(context).is_pending()));
        assert!(once.await);
    }
    disk.go_on();
    drop(store);
    assert_eq!(on(&disk).durable().model.get("a"), Some("1"));
}
