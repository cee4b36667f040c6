//! The store does what a list of maps does.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::disk::Disk;
use super::{Word, Words, on_with, put, try_commit};
use crate::{Options, ReadError, Revision, Space, Store, Version, WatchError, WayBack};

type Key = (Space, String);
type State = BTreeMap<Key, String>;

/// All states that ever were, and what made each of them. State 0 is empty.
#[derive(Default)]
struct Reference {
    states: Vec<State>,
    commits: Vec<Vec<Word>>,
    oldest: u64,
}

impl Reference {
    fn new() -> Self {
        Self { states: vec![State::new()], commits: vec![], oldest: 1 }
    }

    fn head(&self) -> u64 {
        self.commits.len() as u64
    }

    fn commit(&mut self, writes: Vec<Word>) {
        if writes.is_empty() {
            return;
        }
        let mut state = self.states[self.states.len() - 1].clone();
        for write in &writes {
            let key = (write.space, write.key.clone());
            match &write.value {
                Some(value) => state.insert(key, value.clone()),
                None => state.remove(&key),
            };
        }
        self.states.push(state);
        self.commits.push(writes);
    }

    /// What a rollback of the keys that begin with this letter shall lead to.
    fn rolled_back(&self, revision: u64, letter: char) -> State {
        let (now, then) = (&self.states[self.head() as usize], &self.states[revision as usize]);
        let chosen = |key: &Key| key.0 == Space::Model && key.1.starts_with(letter);
        let stay = now.iter().filter(|(key, _)| !chosen(key));
        let back = then.iter().filter(|(key, _)| chosen(key));
        stay.chain(back).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Word>),
    Compact(f64),
    Reopen,
    RollBack(f64, char),
    Watch(f64),
    At(f64),
}

fn word() -> impl Strategy<Value = Word> {
    (any::<bool>(), "[ab][1-3]", prop::option::weighted(0.7, "[x-z]{1,3}")).prop_map(|(kept, key, value)| {
        Word { space: if kept { Space::Kept } else { Space::Model }, key, value }
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(word(), 0..5).prop_map(Step::Commit),
        1 => (0.0..1.2f64).prop_map(Step::Compact),
        1 => Just(Step::Reopen),
        2 => (0.0..1.0f64, prop_oneof![Just('a'), Just('b')]).prop_map(|(at, letter)| Step::RollBack(at, letter)),
        2 => (0.0..1.0f64).prop_map(Step::Watch),
        2 => (0.0..1.1f64).prop_map(Step::At),
    ]
}

fn same(words: &Words, state: &State) -> bool {
    words.0.iter().eq(state.iter())
}

fn share(head: u64, share: f64) -> u64 {
    (head as f64 * share).round() as u64
}

fn check_past(store: &Store<Words>, reference: &Reference, revision: u64) {
    let got = store.at(Revision::new(revision));
    match got {
        Ok(snapshot) => {
            assert!(revision + 1 >= reference.oldest && revision <= reference.head());
            assert!(same(&snapshot.model, &reference.states[revision as usize]));
            assert_eq!(snapshot.version.revision.get(), revision);
        }
        Err(ReadError::Compacted { oldest }) => {
            assert!(revision + 1 < reference.oldest && oldest.get() == reference.oldest);
        }
        Err(ReadError::Future { .. }) => assert!(revision > reference.head()),
        Err(error) => panic!("{error:?}"),
    }
    let history = store.history(Revision::new(revision).., usize::MAX);
    match history {
        Ok(events) => {
            let skipped = (revision.max(1) - 1) as usize;
            let expected: Vec<_> = reference.commits.iter().skip(skipped).cloned().collect();
            let got: Vec<_> = events.iter().map(|event| event.writes.to_vec()).collect();
            assert_eq!(got, expected);
        }
        Err(ReadError::Compacted { .. }) => assert!(revision < reference.oldest),
        Err(error) => panic!("{error:?}"),
    }
}

async fn check_watch(store: &Store<Words>, reference: &Reference, revision: u64) {
    let from = Version { revision: Revision::new(revision), ..store.durable().version };
    let mut watch = store.watch(from);
    for number in revision..reference.head() {
        match watch.next().await {
            Ok(event) => {
                assert_eq!(event.version.revision.get(), number + 1);
                assert_eq!(event.writes.to_vec(), reference.commits[number as usize]);
            }
            Err(WatchError::Compacted { oldest }) => {
                assert!(number == revision && revision + 1 < reference.oldest);
                assert_eq!(oldest.get(), reference.oldest);
                return;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
}

async fn roll_back(store: &Store<Words>, reference: &mut Reference, revision: u64, letter: char) {
    let back = store.writes_back_to(Revision::new(revision), |_, write| write.key.starts_with(letter));
    let WayBack { head, writes } = match back {
        Ok(back) => back,
        Err(ReadError::Compacted { .. }) => return assert!(revision + 1 < reference.oldest),
        Err(error) => panic!("{error:?}"),
    };
    assert!(writes.iter().all(|write| write.space == Space::Model && write.key.starts_with(letter)));
    let expected = reference.rolled_back(revision, letter);
    store.commit(head.version, writes.clone(), "rollback").await.unwrap();
    reference.commit(writes.clone());
    assert_eq!(reference.states[reference.states.len() - 1], expected);
    assert!(same(&store.durable().model, &expected));
    let changed = writes.len();
    let keys: std::collections::BTreeSet<_> = writes.into_iter().map(|write| write.key).collect();
    assert_eq!(keys.len(), changed, "a key is written twice");
}

async fn run(steps: Vec<Step>, tail_events: usize) {
    let (disk, mut reference) = (Disk::default(), Reference::new());
    let options = Options { tail_events, ..Options::default() };
    let mut store = on_with(&disk, options.clone());
    for step in steps {
        match step {
            Step::Commit(writes) => {
                try_commit(&store, writes.clone()).await.unwrap();
                reference.commit(writes);
            }
            Step::Compact(to) => {
                let before = share(reference.head(), to);
                reference.oldest = reference.oldest.max(before.min(reference.head() + 1));
                let oldest = store.compact(Revision::new(before)).await.unwrap();
                assert_eq!(oldest.get(), reference.oldest);
            }
            Step::Reopen => {
                drop(store);
                store = on_with(&disk, options.clone());
            }
            Step::RollBack(to, letter) => {
                let revision = share(reference.head(), to);
                roll_back(&store, &mut reference, revision, letter).await;
            }
            Step::Watch(from) => check_watch(&store, &reference, share(reference.head(), from)).await,
            Step::At(at) => check_past(&store, &reference, share(reference.head(), at)),
        }
        assert_eq!(store.durable().version.revision.get(), reference.head());
        assert!(same(&store.durable().model, &reference.states[reference.head() as usize]));
    }
    for revision in 0..=reference.head() + 1 {
        check_past(&store, &reference, revision);
        check_watch(&store, &reference, revision).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: weft_soak::cases(48), ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_steps_leads_where_the_reference_leads(
        steps in prop::collection::vec(step(), 1..30), tail_events in 0..6usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(run(steps, tail_events));
    }
}

#[tokio::test]
async fn undoing_deletes_what_was_made_last_first_and_puts_back_what_was_deleted_last_first() {
    let store = on_with(&Disk::default(), Options::default());
    let start = super::commit(&store, vec![put("old network", "1"), put("old port", "1")]).await;
    super::commit(&store, vec![put("network", "1")]).await;
    super::commit(&store, vec![put("port", "1")]).await;
    super::commit(&store, vec![put("network", "2")]).await;
    super::commit(&store, vec![super::delete("old port")]).await;
    super::commit(&store, vec![super::delete("old network")]).await;
    let writes = store.writes_back_to(start.revision, |_, _| true).unwrap().writes;
    let keys: Vec<&str> = writes.iter().map(|write| write.key.as_str()).collect();
    assert_eq!(keys, ["old network", "old port", "port", "network"]);
}

#[tokio::test]
async fn a_rollback_of_one_apply_set_leaves_the_rest() {
    let store = on_with(&Disk::default(), Options::default());
    let base = store.durable().version;
    let base = store.commit(base, vec![put("a", "1")], "set 1").await.unwrap();
    let before = base.revision;
    let base = store.commit(base, vec![put("a", "2"), super::keep("fact", "1")], "set 2").await.unwrap();
    store.commit(base, vec![put("b", "1")], "set 3").await.unwrap();
    let writes = store.writes_back_to(before, |event, _| &*event.note == "set 2").unwrap().writes;
    assert_eq!(writes, [put("a", "1")]);
}
