//! Fragments as they are sent: compiled and encoded once for all hosts that follow them.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use weft_dataplane::Object;
use weft_net::HostName;
use weft_protocol::{encode_objects, encode_part};
use weft_services::Model;
use weft_services::compile::{self, Compiled, FragmentKey, ServiceKey, Subject};

/// A fragment as it is sent.
pub(super) struct Encoded {
    /// To the hosts that its subject is on, in order; `None`: it puts nothing on that host.
    at: Box<[(HostName, Option<Bytes>)]>,
    /// To every other.
    elsewhere: Option<Bytes>,
}

impl Encoded {
    pub(super) fn of(key: &FragmentKey, compiled: Compiled) -> Self {
        let id = key.id();
        let encode =
            |objects: &[Object]| (!objects.is_empty()).then(|| encode_part(&id, encode_objects(objects)));
        let at = compiled.at.into_iter().map(|(home, objects)| (home, encode(&objects)));
        Self { at: at.collect(), elsewhere: encode(&compiled.elsewhere) }
    }

    /// What this host is sent, unless the fragment puts nothing on it.
    pub(super) fn on(&self, host: &HostName) -> Option<&Bytes> {
        self.at_home(host).unwrap_or(&self.elsewhere).as_ref()
    }

    /// Whether its subject is on this host.
    pub(super) fn is_home(&self, host: &HostName) -> bool {
        self.at_home(host).is_some()
    }

    fn at_home(&self, host: &HostName) -> Option<&Option<Bytes>> {
        let found = self.at.binary_search_by(|(home, _)| home.cmp(host)).ok()?;
        Some(&self.at[found].1)
    }
}

/// The fragments that were needed so far, as they are now.
#[derive(Default)]
pub(super) struct EncodedFragments {
    /// `None`: it puts nothing on any host.
    pub(super) known: BTreeMap<FragmentKey, Option<Encoded>>,
    /// The instances of services of which every fragment is known.
    pub(super) whole: HashSet<ServiceKey>,
}

impl EncodedFragments {
    /// Takes over what a fragment is now.
    pub(super) fn set(&mut self, key: FragmentKey, encoded: Option<Encoded>) {
        match encoded {
            Some(_) => self.known.insert(key, encoded),
            None => self.known.remove(&key),
        };
    }

    /// Forgets an instance of a service that is gone.
    pub(super) fn forget(&mut self, service: ServiceKey) {
        self.whole.remove(&service);
        for key in self.of_service(service).map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.known.remove(&key);
        }
    }

    /// What is known of an instance of a service.
    fn of_service(&self, service: ServiceKey) -> impl Iterator<Item = (&FragmentKey, &Option<Encoded>)> {
        let from = FragmentKey { service, subject: Subject::MIN };
        self.known.range(from..).take_while(move |(key, _)| key.service == service)
    }

    /// A fragment of this model.
    pub(super) fn get(&mut self, model: &Model, key: &FragmentKey) -> Option<&Encoded> {
        let compile = || compile::compile(model, key).map(|compiled| Encoded::of(key, compiled));
        self.known.entry(key.clone()).or_insert_with(compile).as_ref()
    }

    /// All fragments of an instance of a service in this model that put something on this host, as it is sent them.
    pub(super) fn all_on(
        &mut self,
        model: &Model,
        service: ServiceKey,
        host: &HostName,
    ) -> impl Iterator<Item = &Bytes> {
        if self.whole.insert(service) {
            for key in compile::fragments_of(model, service) {
                self.get(model, &key);
            }
        }
        self.of_service(service).filter_map(|(_, encoded)| encoded.as_ref()?.on(host))
    }
}
