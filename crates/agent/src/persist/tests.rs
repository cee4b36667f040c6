use std::collections::BTreeSet;
use std::sync::Arc;

use weft_dataplane::Memory;
use weft_protocol::{Basis, encode_objects, encode_part, updates};

use super::*;
use crate::assembly::Taken;
use crate::reconciler::Reconciler;

fn host() -> HostName {
    "compute-1".parse().unwrap()
}

fn open(directory: &Path) -> (Persist, Option<Change>) {
    Persist::open(directory, &host()).unwrap()
}

fn change(revision: u64, full: bool, fragments: &[(&str, Option<&'static [u8]>)]) -> Change {
    let fragments = fragments
        .iter()
        .map(|(subject, bytes)| (id("network/1", subject), bytes.map(Bytes::from_static)))
        .collect();
    let version = Version::new(1, revision).with_content(9);
    Change { version, exact: true, full, fragments, kept: BTreeSet::new() }
}

#[test]
fn a_new_file_has_no_intent_and_an_empty_intent_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let (file, last) = open(directory.path());
    assert_eq!(last, None);
    file.commit(&change(1, true, &[])).unwrap();
    drop(file);
    assert_eq!(open(directory.path()).1, Some(change(1, true, &[])));
}

#[test]
fn changes_add_up_over_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let (file, _) = open(directory.path());
    file.commit(&change(1, true, &[("a", Some(b"1")), ("b", Some(b"1"))])).unwrap();
    drop(file);
    let (file, _) = open(directory.path());
    file.commit(&change(2, false, &[("a", None), ("c", Some(b"2"))])).unwrap();
    drop(file);
    let (file, last) = open(directory.path());
    assert_eq!(last, Some(change(2, true, &[("b", Some(b"1")), ("c", Some(b"2"))])));
    let mut replacing = change(3, true, &[("d", Some(b"3"))]);
    replacing.kept.insert(id("network/1", "c"));
    file.commit(&replacing).unwrap();
    drop(file);
    assert_eq!(open(directory.path()).1, Some(change(3, true, &[("c", Some(b"2")), ("d", Some(b"3"))])));
}

#[test]
fn a_file_that_is_nonsense_is_moved_aside_and_a_new_one_begun() {
    let full = {
        let directory = tempfile::tempdir().unwrap();
        let (file, _) = open(directory.path());
        file.commit(&change(1, true, &[("a", Some(b"1"))])).unwrap();
        drop(file);
        fs::read(directory.path().join(FILE)).unwrap()
    };
    let mut overwritten = full.clone();
    overwritten[512..].fill(0xa5);
    let cut_short = full[..full.len() / 3].to_vec();
    for nonsense in [b"nonsense".to_vec(), overwritten, cut_short] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        fs::write(&path, &nonsense).unwrap();
        let (file, last) = open(directory.path());
        assert_eq!(last, None);
        assert!(path.with_extension("redb.unreadable").exists());
        file.commit(&change(2, true, &[])).unwrap();
    }
}

#[test]
fn the_intent_of_another_host_is_not_taken_for_ones_own() {
    let directory = tempfile::tempdir().unwrap();
    let (file, _) = open(directory.path());
    file.commit(&change(1, true, &[("a", Some(b"1"))])).unwrap();
    drop(file);
    let (_, last) = Persist::open(directory.path(), &"compute-2".parse().unwrap()).unwrap();
    assert_eq!(last, None);
}

#[test]
fn a_file_that_another_agent_has_open_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(directory.path());
    assert!(Persist::open(directory.path(), &host()).is_err());
    assert!(directory.path().join(FILE).exists());
}

#[test]
fn what_is_posted_is_persisted_together_and_told_by_its_last_number() {
    let directory = tempfile::tempdir().unwrap();
    let (file, _) = open(directory.path());
    let mailbox = Arc::new(Mailbox::default());
    mailbox.post(change(1, true, &[("a", Some(b"1"))]), 1);
    mailbox.post(change(2, false, &[("b", Some(b"2"))]), 2);
    mailbox.close();
    let (persisted, seen) = watch::channel(0);
    mailbox.persist(&file, &persisted);
    assert_eq!(*seen.borrow(), 2);
    drop(file);
    assert_eq!(open(directory.path()).1, Some(change(2, true, &[("a", Some(b"1")), ("b", Some(b"2"))])));
}

#[test]
fn a_crash_between_the_parts_of_an_update_leaves_the_last_complete_intent() {
    let directory = tempfile::tempdir().unwrap();
    let (file, _) = open(directory.path());
    let part = |subject: &str| {
        let namespace = weft_dataplane::Object::Namespace(subject.parse().unwrap());
        encode_part(&id("network/1", subject), encode_objects(&[namespace]))
    };
    let mut agent = Reconciler::new(Memory::default());
    let Taken::Whole(first) = agent.take(updates(Version::new(1, 1), Basis::Full, [part("a")], []).remove(0))
    else {
        panic!("it is whole")
    };
    file.commit(&first).unwrap();
    let mut cut_off = updates(Version::new(1, 2), Basis::Full, [part("b")], []).remove(0);
    cut_off.complete = false;
    assert_eq!(agent.take(cut_off), Taken::Partly);
    drop((agent, file));

    let (_, last) = open(directory.path());
    let mut agent = Reconciler::new(Memory::default());
    agent.restore(last.unwrap());
    assert_eq!(agent.have(), Version::new(1, 1));
    assert!(agent.turn(Duration::ZERO).at_rest);
    assert_eq!(agent.driver().state().len(), 1);
}
