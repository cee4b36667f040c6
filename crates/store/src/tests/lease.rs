//! Keys that end with their lease.

use super::disk::Disk;
use super::{commit, delete, name, on, put};
use crate::{LeaseError, Millis, RowKey, Space};

#[tokio::test]
async fn an_expired_lease_takes_its_keys_along_in_one_commit() {
    let store = on(&Disk::default());
    let leases = store.leases();
    commit(&store, vec![put("a", "1"), put("b", "1"), put("c", "1")]).await;
    let lease = leases.grant(Millis(100), Millis(1000)).await.unwrap();
    leases.attach(lease, vec![name("a"), name("b")]).await.unwrap();
    assert_eq!(leases.expire(Millis(1099), "").await.unwrap().leases, []);
    leases.keep_alive(lease, Millis(1099)).unwrap();
    assert_eq!(leases.expire(Millis(1198), "").await.unwrap().leases, []);
    let expired = leases.expire(Millis(1199), "host is gone").await.unwrap();
    assert_eq!(expired.leases, [lease]);
    assert_eq!(expired.version, Some(store.durable().version));
    let model = &store.durable().model;
    assert_eq!((model.get("a"), model.get("b"), model.get("c")), (None, None, Some("1")));
    let last = store.history(.., 100).unwrap().pop().unwrap();
    assert_eq!((&*last.note, last.writes.len()), ("host is gone", 2));
    assert!(matches!(leases.keep_alive(lease, Millis(0)), Err(LeaseError::NoSuchLease(_))));
}

#[tokio::test]
async fn a_lease_survives_opening_again_with_its_full_time() {
    let disk = Disk::default();
    let store = on(&disk);
    commit(&store, vec![put("a", "1")]).await;
    let lease = store.leases().grant(Millis(100), Millis(0)).await.unwrap();
    store.leases().attach(lease, vec![name("a")]).await.unwrap();
    drop(store);
    let store = on(&disk);
    let leases = store.leases();
    assert_eq!(leases.keys(lease).unwrap(), [name("a")]);
    assert_eq!(leases.expire(Millis(5000), "").await.unwrap().leases, []);
    assert_eq!(leases.expire(Millis(5099), "").await.unwrap().leases, []);
    assert_eq!(leases.expire(Millis(5100), "").await.unwrap().leases, [lease]);
    assert_eq!(store.durable().model.get("a"), None);
    drop(store);
    let store = on(&disk);
    assert!(store.leases().keys(lease).is_err());
    assert!(store.leases().grant(Millis(1), Millis(0)).await.unwrap() > lease);
}

#[tokio::test]
async fn a_key_stays_leased_when_overwritten_and_not_when_deleted() {
    let disk = Disk::default();
    let store = on(&disk);
    let lease = store.leases().grant(Millis(10), Millis(0)).await.unwrap();
    store.leases().attach(lease, vec![name("a"), name("b")]).await.unwrap();
    commit(&store, vec![put("a", "1"), put("b", "1")]).await;
    commit(&store, vec![put("a", "2"), delete("b")]).await;
    commit(&store, vec![put("b", "again")]).await;
    assert_eq!(store.leases().keys(lease).unwrap(), [name("a")]);
    drop(store);
    let store = on(&disk);
    assert_eq!(store.leases().keys(lease).unwrap(), [name("a")]);
    store.leases().revoke(lease, "bye").await.unwrap();
    let model = &store.durable().model;
    assert_eq!((model.get("a"), model.get("b")), (None, Some("again")));
}

#[tokio::test]
async fn a_key_has_one_lease_at_most() {
    let store = on(&Disk::default());
    let leases = store.leases();
    let first = leases.grant(Millis(10), Millis(0)).await.unwrap();
    let second = leases.grant(Millis(10), Millis(0)).await.unwrap();
    leases.attach(first, vec![name("a")]).await.unwrap();
    leases.attach(second, vec![name("a")]).await.unwrap();
    commit(&store, vec![put("a", "1")]).await;
    assert_eq!(leases.revoke(first, "").await.unwrap(), None);
    assert_eq!(store.durable().model.get("a"), Some("1"));
    assert!(leases.revoke(second, "").await.unwrap().is_some());
    assert_eq!(store.durable().model.get("a"), None);
}

#[tokio::test]
async fn a_lease_with_very_many_keys_ends_in_some_commits() {
    let store = on(&Disk::default());
    let keys: Vec<String> = (0..25_000).map(|number| format!("key-{number}")).collect();
    let lease = store.leases().grant(Millis(10), Millis(0)).await.unwrap();
    let base = commit(&store, keys.iter().map(|key| put(key, "1")).collect()).await;
    store.leases().attach(lease, keys.iter().map(|key| name(key)).collect()).await.unwrap();
    let version = store.leases().expire(Millis(10), "").await.unwrap().version.unwrap();
    assert_eq!(version.revision.get(), base.revision.get() + 3);
    assert!(store.durable().model.0.is_empty());
}

#[tokio::test]
async fn keys_that_the_model_does_not_know_cannot_be_attached() {
    let store = on(&Disk::default());
    let lease = store.leases().grant(Millis(10), Millis(0)).await.unwrap();
    let key = RowKey { space: Space::Kept, key: vec![0xff] };
    assert!(matches!(store.leases().attach(lease, vec![key]).await, Err(LeaseError::Key(_))));
}
