//! One writer: it makes, changes and deletes what is its own, and remembers what it was told, and what it was not.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use weft_system_tests::{Answer, Http};

/// How many things a writer has at most.
const THINGS_MAX: usize = 6;
/// After a connection that was refused.
const PAUSE: Duration = Duration::from_millis(5);

/// Where it writes.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) http: Http,
    pub(crate) network: String,
}

/// A thing that was acknowledged.
#[derive(Clone)]
struct Thing {
    collection: &'static str,
    id: String,
    description: String,
}

/// What was asked for and never answered.
enum Doubt {
    /// All of these names, or none.
    Made(Vec<String>),
    /// The thing of this name has its former description, or this one.
    Changed(String, Thing, String),
    /// The thing of this name is as it was, or gone.
    Deleted(String, Thing),
}

pub(crate) struct Writer {
    place: Place,
    number: usize,
    random: ChaCha8Rng,
    counter: usize,
    acknowledged: usize,
    things: BTreeMap<String, Thing>,
    gone: BTreeSet<String>,
    doubts: Vec<Doubt>,
}

/// How a request ended.
enum End {
    Answered(Answer),
    /// It never left.
    NotSent,
    Unknown,
}

impl Writer {
    pub(crate) fn new(place: Place, number: usize, seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(number as u64 + 1));
        let (things, gone) = (BTreeMap::new(), BTreeSet::new());
        Self { place, number, random, counter: 0, acknowledged: 0, things, gone, doubts: Vec::new() }
    }

    pub(crate) const fn acknowledged(&self) -> usize {
        self.acknowledged
    }

    pub(crate) const fn doubtful(&self) -> usize {
        self.doubts.len()
    }

    pub(crate) fn run(mut self, over: &AtomicBool) -> Self {
        while !over.load(Ordering::Relaxed) {
            match self.random.random_range(0..10) {
                _ if self.things.len() >= THINGS_MAX => self.delete(),
                0..=2 => self.create(),
                3 => self.create_network(),
                4 | 5 => self.create_three(),
                6 | 7 => self.change(),
                _ => self.delete(),
            }
        }
        self
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> End {
        match self.place.http.try_ask(method, path, body) {
            Ok(answer) if answer.status == 503 => End::Unknown,
            Ok(answer) => End::Answered(answer),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                thread::sleep(PAUSE);
                End::NotSent
            }
            Err(_) => End::Unknown,
        }
    }

    fn next_name(&mut self) -> String {
        self.counter += 1;
        format!("w{}-{}", self.number, self.counter)
    }

    fn port(&mut self, name: &str) -> Value {
        let host = format!("host{}", self.random.random_range(1..=3));
        json!({ "network_id": self.place.network, "name": name, "binding:host_id": host, "binding:profile": { "vnic": "tap" } })
    }

    fn create(&mut self) {
        let name = self.next_name();
        let body = json!({ "port": self.port(&name) });
        let end = self.ask("POST", "/v2.0/ports", &body);
        self.made(end, "ports", vec![name]);
    }

    fn create_network(&mut self) {
        let name = self.next_name();
        let end = self.ask("POST", "/v2.0/networks", &json!({ "network": { "name": name } }));
        self.made(end, "networks", vec![name]);
    }

    fn create_three(&mut self) {
        let names = [self.next_name(), self.next_name(), self.next_name()];
        let ports = names.each_ref().map(|name| self.port(name));
        let end = self.ask("POST", "/v2.0/ports", &json!({ "ports": ports }));
        self.made(end, "ports", names.into());
    }

    fn made(&mut self, end: End, collection: &'static str, names: Vec<String>) {
        let answer = match end {
            End::NotSent => return,
            End::Unknown => return self.doubts.push(Doubt::Made(names)),
            End::Answered(answer) => answer,
        };
        assert_eq!(answer.status, 201, "{names:?}: {}", answer.message());
        let made = match answer.json() {
            Value::Object(object) => object.into_iter().next().map(|(_, value)| value),
            other => panic!("{other}"),
        };
        let made = match made {
            Some(Value::Array(many)) => many,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        assert_eq!(made.len(), names.len());
        self.acknowledged += 1;
        for (name, one) in names.into_iter().zip(made) {
            let id = one["id"].as_str().expect("an id").to_owned();
            self.things.insert(name, Thing { collection, id, description: String::new() });
        }
    }

    fn any(&mut self) -> Option<(String, Thing)> {
        let count = self.things.len();
        let at = if count == 0 { return None } else { self.random.random_range(0..count) };
        self.things.iter().nth(at).map(|(name, thing)| (name.clone(), thing.clone()))
    }

    fn change(&mut self) {
        let Some((name, thing)) = self.any() else { return };
        let description = format!("text {}", self.random.random::<u32>());
        let member = thing.collection.trim_end_matches('s');
        let path = format!("/v2.0/{}/{}", thing.collection, thing.id);
        match self.ask("PUT", &path, &json!({ member: { "description": description } })) {
            End::NotSent => {}
            End::Unknown => {
                self.things.remove(&name);
                self.doubts.push(Doubt::Changed(name, thing, description));
            }
            End::Answered(answer) => {
                assert_eq!(answer.status, 200, "an acknowledged {name} is lost: {}", answer.message());
                self.acknowledged += 1;
                self.things.insert(name, Thing { description, ..thing });
            }
        }
    }

    fn delete(&mut self) {
        let Some((name, thing)) = self.any() else { return };
        match self.ask("DELETE", &format!("/v2.0/{}/{}", thing.collection, thing.id), &Value::Null) {
            End::NotSent => return,
            End::Unknown => self.doubts.push(Doubt::Deleted(name.clone(), thing)),
            End::Answered(answer) => {
                assert_eq!(answer.status, 204, "an acknowledged {name} is lost: {}", answer.message());
                self.acknowledged += 1;
                self.gone.insert(name.clone());
            }
        }
        self.things.remove(&name);
    }

    /// Compares what it was told with what there is, by name.
    pub(crate) fn check(&self, there: &BTreeMap<String, Value>, counted: &mut BTreeSet<String>) {
        let is = |name: &str, thing: &Thing, description: &str| {
            there
                .get(name)
                .is_some_and(|one| one["id"] == thing.id.as_str() && one["description"] == description)
        };
        for (name, thing) in &self.things {
            assert!(is(name, thing, &thing.description), "{name} was acknowledged: {:?}", there.get(name));
            counted.insert(name.clone());
        }
        for name in &self.gone {
            assert!(!there.contains_key(name), "the removal of {name} was acknowledged");
        }
        for doubt in &self.doubts {
            match doubt {
                Doubt::Made(names) => {
                    let count = names.iter().filter(|name| there.contains_key(*name)).count();
                    assert!(count == 0 || count == names.len(), "{names:?} are there by halves");
                    counted.extend(names.iter().cloned());
                }
                Doubt::Changed(name, thing, description) => {
                    assert!(is(name, thing, &thing.description) || is(name, thing, description), "{name}");
                    counted.insert(name.clone());
                }
                Doubt::Deleted(name, thing) => {
                    assert!(!there.contains_key(name) || is(name, thing, &thing.description), "{name}");
                    counted.insert(name.clone());
                }
            }
        }
    }
}
