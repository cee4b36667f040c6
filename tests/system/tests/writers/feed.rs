//! One watcher: it loses its connection again and again, and goes on from the last identifier that it saw.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use weft_system_tests::{Bench, Http, SseEvent, SseStream, until};

const PAUSE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(5);
/// How many commits one answer of the history has.
const HISTORY_PAGE: usize = 1000;

/// What a commit did, by resource: `put` or `delete`.
type Told = BTreeMap<(String, String), String>;

pub(crate) struct Feed {
    seen: Arc<Mutex<Vec<SseEvent>>>,
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Feed {
    pub(crate) fn start(http: Http, from: &str, seed: u64) -> Self {
        let (seen, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (theirs, stop, from) = (seen.clone(), over.clone(), from.to_owned());
        let mut random = ChaCha8Rng::seed_from_u64(seed ^ 0xfeed);
        let thread = thread::spawn(move || {
            let mut last = from;
            while !stop.load(Ordering::Relaxed) {
                // Now and then it goes away by itself, be it in the middle of a commit.
                let patience = random.random_range(1..60);
                last = follow(http, last, patience, &theirs);
                thread::sleep(PAUSE);
            }
        });
        Self { seen, over, thread }
    }

    /// Waits until the feed has come to what the store has, and compares it with the history; answers how many events of how
    /// many commits it saw.
    pub(crate) fn check(self, bench: &Bench, from: &str) -> (usize, usize) {
        let history = history(bench, from);
        let newest = history.keys().max().copied().unwrap_or_default();
        let seen = || self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let has_come = || seen().last().is_some_and(|event| revision(event) >= newest);
        until("the feed has come to the end", Duration::from_secs(60), || has_come().then_some(()));
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the watcher ends");
        let mut told: BTreeMap<u64, Told> = BTreeMap::new();
        let mut last = 0;
        let events: Vec<SseEvent> = seen().into_iter().filter(|event| event.event != "status").collect();
        for event in &events {
            let at = revision(event);
            assert!(at >= last, "{at} comes after {last}");
            last = at;
            let text = |name: &str| event.data[name].as_str().unwrap_or_default().to_owned();
            let before = told.entry(at).or_default().insert((text("kind"), text("id")), event.event.clone());
            assert!(before.is_none(), "{event:?} came twice");
        }
        for (revision, wanted) in &history {
            let told = told.get(revision).cloned().unwrap_or_default();
            assert!(
                wanted.is_subset(&told.keys().cloned().collect()),
                "of {revision} the feed told {told:?} and not all of {wanted:?}"
            );
        }
        let unknown: Vec<&u64> = told.keys().filter(|revision| !history.contains_key(revision)).collect();
        assert!(unknown.is_empty(), "revisions {unknown:?} are not in the history");
        (events.len(), history.len())
    }
}

/// Follows one connection to its end, or for so many events; answers the last identifier.
fn follow(http: Http, last: String, events: usize, seen: &Mutex<Vec<SseEvent>>) -> String {
    let Ok(mut stream) = SseStream::open(http, "/v1/watch", Some(&last)) else { return last };
    if stream.set_patience(PATIENCE).is_err() {
        return last;
    }
    let mut last = last;
    for _ in 0..events {
        let Ok(event) = stream.receive() else { break };
        assert!(["put", "delete", "status"].contains(&event.event.as_str()), "{event:?}");
        // Only what belongs to a whole event counts.
        last = event.id.clone().unwrap_or(last);
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
    last
}

/// The revision of an event: `EPOCH.REVISION`, with a count behind it within a commit.
fn revision(event: &SseEvent) -> u64 {
    let id = event.id.as_deref().unwrap_or_default();
    id.split('.').nth(1).and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{event:?}"))
}

/// What each commit after `from` wrote, of resources.
fn history(bench: &Bench, from: &str) -> BTreeMap<u64, BTreeSet<(String, String)>> {
    let number = |version: &str| {
        version.split('.').nth(1).and_then(|text| text.parse::<u64>().ok()).expect("a version")
    };
    let (from, mut found, mut before) = (number(from), BTreeMap::new(), u64::MAX / 2);
    loop {
        let page = bench.http().get(&format!("/v1/history?limit={HISTORY_PAGE}&before={before}"));
        let entries = page["history"].as_array().expect("a history").clone();
        for entry in &entries {
            let revision = number(entry["version"].as_str().expect("a version"));
            let resource = |change: &Value| {
                let text = |name: &str| change[name].as_str().map(str::to_owned);
                Some((text("kind").filter(|kind| kind != "departure")?, text("id")?))
            };
            let changes = entry["changes"].as_array().expect("changes").iter().filter_map(resource);
            let changes: BTreeSet<_> = changes.collect();
            if revision > from && !changes.is_empty() {
                found.insert(revision, changes);
            }
            before = before.min(revision);
        }
        if before <= from || entries.len() < HISTORY_PAGE {
            return found;
        }
    }
}
