//! The in-memory space.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::{Changes, Millis, NoSuchLease, Operational, Sequence};

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

#[test]
fn a_range_has_the_keys_with_its_prefix() {
    let space = Operational::new(10);
    for key in ["a/1", "b/1", "b/2", "c/1"] {
        space.put(bytes(key), key.len(), None).unwrap();
    }
    assert_eq!(space.range(b"b/").1, [(bytes("b/1"), 3), (bytes("b/2"), 3)]);
    assert_eq!(space.get(b"c/1"), Some(3));
    assert_eq!(space.remove(b"c/1"), Some(3));
    assert_eq!(space.get(b"c/1"), None);
    assert_eq!(space.range(b"").1.len(), 3);
}

#[test]
fn an_expired_lease_takes_its_keys_along() {
    let space = Operational::new(10);
    let lease = space.grant(Millis(10), Millis(100));
    space.put(bytes("a"), 1, Some(lease)).unwrap();
    space.put(bytes("b"), 1, Some(lease)).unwrap();
    space.put(bytes("b"), 2, None).unwrap();
    assert_eq!(space.expire(Millis(109)), []);
    space.keep_alive(lease, Millis(105)).unwrap();
    assert_eq!(space.expire(Millis(114)), []);
    assert_eq!(space.expire(Millis(115)), [lease]);
    assert_eq!((space.get(b"a"), space.get(b"b")), (None, Some(2)));
    assert_eq!(space.put(bytes("a"), 1, Some(lease)), Err(NoSuchLease(lease)));
    assert_eq!(space.revoke(lease), Err(NoSuchLease(lease)));
}

#[test]
fn changes_name_each_key_once_with_what_it_holds_now() {
    let space = Operational::new(4);
    let (start, _) = space.range(b"");
    space.put(bytes("a"), 1, None).unwrap();
    space.put(bytes("b"), 1, None).unwrap();
    space.put(bytes("a"), 2, None).unwrap();
    space.remove(b"b");
    let expected = vec![(bytes("a"), Some(2)), (bytes("b"), None)];
    let (now, _) = space.range(b"");
    assert_eq!(space.changes_since(start), Changes::Keys(now, expected));
    space.put(bytes("c"), 1, None).unwrap();
    assert_eq!(space.changes_since(start), Changes::Relist);
    assert_eq!(Operational::<u8>::new(4).changes_since(now), Changes::Relist);
}

#[tokio::test]
async fn a_watcher_is_woken_by_a_change_and_by_nothing_else() {
    let space = Operational::new(4);
    let mut watch = space.watch();
    space.remove(b"not there");
    assert_eq!(space.expire(Millis(5)), []);
    assert!(!watch.has_changed().unwrap());
    space.put(bytes("a"), 1, None).unwrap();
    watch.changed().await.unwrap();
    assert_eq!(*watch.borrow_and_update(), space.range(b"").0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(256), ..ProptestConfig::default() })]

    #[test]
    fn a_reader_that_follows_changes_knows_the_space(
        steps in prop::collection::vec((0..6u8, prop::option::of(any::<u16>()), any::<bool>()), 1..60),
        log_limit in 0..12usize,
    ) {
        let space = Operational::new(log_limit);
        let mut known: BTreeMap<Vec<u8>, u16> = BTreeMap::new();
        let mut position = Sequence::default();
        for (key, value, look) in steps {
            match value {
                Some(value) => space.put(vec![key], value, None).unwrap(),
                None => drop(space.remove(&[key])),
            }
            if !look {
                continue;
            }
            match space.changes_since(position) {
                Changes::Keys(now, changes) => {
                    position = now;
                    for (key, value) in changes {
                        match value {
                            Some(value) => known.insert(key, value),
                            None => known.remove(&key),
                        };
                    }
                }
                Changes::Relist => {
                    let (now, all) = space.range(b"");
                    (position, known) = (now, all.into_iter().collect());
                }
            }
            prop_assert_eq!(known.clone().into_iter().collect::<Vec<_>>(), space.range(b"").1);
        }
    }
}
