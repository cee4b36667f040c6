//! The audit of routes: what hosts carry out, what is announced, what speakers and neighbours have, and what was learned are the
//! same. Some of each are compared at a time, for ever round.
//!
//! ```text
//!  carried out ─ Announcement ─ announced ─ LocRib ─ speakers ─ AdjRibOut ─ neighbours
//!  model       ─ Fact ───────── learned ─── Learned ─ speakers
//! ```
//!
//! What differs may be on its way. It is looked at again a little later (`suspects.rs`), and only what differs still is an alarm;
//! then it is told anew, and looked at until it is right. A speaker is asked all at once of what is compared at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::time::Duration;

use weft_bgp::io::Handle;
use weft_bgp::speaker::{LearnedPath, Mistold, Route, Speaker};
use weft_bgp::wire::{Destination, Family};
use weft_services::compile::FragmentKey;
use weft_services::{About, Fact, Id, Model};

use self::suspects::Suspect;
use super::alarms::Comparison;
use super::instance::Instance;
use super::routes;
use super::source::Source;
use super::speaker::Bgp;

mod suspects;

/// How often some routes are compared.
pub(super) const AUDIT_INTERVAL: Duration = Duration::from_millis(500);
/// How many of each kind at a time.
const SLICE: usize = 512;
/// Of how many instances it is looked at a time what speakers have.
const INSTANCES_MAX: usize = 32;
/// How many routes are suspicious at a time; whatever more there are come up again.
const SUSPECTS_MAX: usize = 4096;
/// The families of what a site announces.
const FAMILIES: [Family; 3] = [Family::Vpnv4, Family::Vpnv6, Family::Evpn];

/// How far the audit is.
#[derive(Default)]
pub(super) struct Audit {
    /// What differed when it was last looked at, and whether that is known as an alarm.
    suspects: BTreeMap<Suspect, bool>,
    /// The fragments of this round that are yet to be looked at.
    fragments: Vec<FragmentKey>,
    learned: Option<About>,
    fact: Option<About>,
    /// Of each speaker and family: what it originates, what neighbours were told.
    tables: HashMap<(Id, Family), (u32, u32)>,
    /// The last instance of which it was looked what speakers have.
    instance: Option<Instance>,
    imported: HashMap<(Id, Instance), Destination>,
}

impl Bgp {
    /// Looks again at what was suspicious, and at some more.
    pub(super) async fn audit(&mut self) {
        self.audit_suspects().await;
        self.audit_announced().await;
        self.audit_tables().await;
        let model = self.model();
        self.audit_speakers(&model).await;
        self.audit_learned(&model).await;
        self.audit_facts();
    }

    fn suspect(&mut self, suspects: impl IntoIterator<Item = Suspect>) {
        for suspect in suspects {
            if self.audit.suspects.len() < SUSPECTS_MAX {
                self.audit.suspects.entry(suspect).or_insert(false);
            }
        }
    }

    fn is_announced_rightly(&self, key: &FragmentKey) -> bool {
        let known = self.announced.of(key);
        self.to_be_announced(key, known) == known
    }

    /// What is announced, and what speakers originate of it.
    async fn audit_announced(&mut self) {
        if self.audit.fragments.is_empty() {
            // Also those that are not in the model, and should no longer be announced.
            let mut fragments = weft_services::all_announcing(&self.model());
            fragments.extend(self.announced.fragments().cloned());
            fragments.sort_unstable();
            fragments.dedup();
            self.audit.fragments = fragments;
        }
        let left = self.audit.fragments.len().saturating_sub(SLICE);
        let keys = self.audit.fragments.split_off(left);
        let wrong = keys.iter().filter(|key| !self.is_announced_rightly(key)).cloned();
        let mut suspects: Vec<Suspect> = wrong.map(Suspect::Announcement).collect();
        let routes_of = |key: &FragmentKey| -> Vec<(FragmentKey, Route)> {
            self.announced.routes_of(key).into_iter().map(|route| (key.clone(), route)).collect()
        };
        let wanted: Vec<(FragmentKey, Route)> = keys.iter().flat_map(routes_of).collect();
        for (id, running) in &self.speakers {
            let wanted = wanted.clone();
            let find = move |speaker: &mut Speaker, _| {
                let is_wrong = |(_, route): &(FragmentKey, Route)| {
                    speaker.originated(&route.destination).as_ref() != Some(route)
                };
                wanted.into_iter().filter(is_wrong).collect::<Vec<_>>()
            };
            let wrong = running.handle.with(find).await.unwrap_or_default();
            let wrong = wrong.into_iter();
            suspects.extend(wrong.map(|(key, route)| Suspect::Originated(*id, route.destination, Some(key))));
        }
        self.site.alarms.checked(Comparison::Announcement, keys.len());
        self.site.alarms.checked(Comparison::LocRib, wanted.len() * self.speakers.len());
        self.suspect(suspects);
    }

    /// What speakers originate that is not announced, and what neighbours were told.
    async fn audit_tables(&mut self) {
        let mut suspects = Vec::new();
        for (id, running) in &self.speakers {
            let places = FAMILIES.map(|family| (family, self.audit.tables.get(&(*id, family)).copied()));
            let find = move |speaker: &mut Speaker, _| {
                places.map(|(family, place)| {
                    let (from, told_from) = place.unwrap_or_default();
                    let originations = speaker.originations(family, from, SLICE);
                    (family, originations, speaker.audit_told(family, told_from, SLICE))
                })
            };
            for (family, (found, next), (mistold, next_told)) in
                running.handle.with(find).await.into_iter().flatten()
            {
                let place = (next.unwrap_or_default(), next_told.unwrap_or_default());
                self.audit.tables.insert((*id, family), place);
                self.site.alarms.checked(Comparison::AdjRibOut, found.len());
                let strays = found.into_iter().filter(|destination| !self.announced.announces(destination));
                suspects.extend(strays.map(|destination| Suspect::Originated(*id, destination, None)));
                mistold.iter().for_each(|one| self.note_mistold(one));
            }
        }
        self.suspect(suspects);
    }

    fn note_mistold(&self, mistold: &Mistold) {
        let finding =
            if mistold.is_owed { "the neighbour was not told" } else { "it was told to the neighbour" };
        let route = format!("{} to {}", mistold.destination, mistold.neighbor);
        self.site.alarms.mended(Comparison::AdjRibOut, &route, finding, self.site.now());
    }

    /// What speakers have for some instances, and whether that is known here.
    async fn audit_speakers(&mut self, model: &Model) {
        let after = self.audit.instance.map_or(Bound::Unbounded, Bound::Excluded);
        let instances = self.imports.range((after, Bound::Unbounded)).map(|(instance, _)| *instance);
        let instances: Vec<Instance> = instances.take(INSTANCES_MAX).collect();
        self.audit.instance = instances.last().filter(|_| instances.len() == INSTANCES_MAX).copied();
        let mut suspects = Vec::new();
        for (id, running) in &self.speakers {
            let from = |instance: &Instance| (*instance, self.audit.imported.remove(&(*id, *instance)));
            let from: Vec<(Instance, Option<Destination>)> = instances.iter().map(from).collect();
            for (instance, has) in imported_after(&running.handle, from).await {
                self.site.alarms.checked(Comparison::Learned, has.len());
                if let Some((last, _)) = has.last().filter(|_| has.len() == SLICE) {
                    self.audit.imported.insert((*id, instance), last.clone());
                }
                for (destination, paths) in has {
                    let (Some(source), Some(paths)) = (Source::of(instance, &destination), paths) else {
                        continue;
                    };
                    if !self.is_known_rightly(*id, source, &paths, model) {
                        suspects.push(Suspect::Learned(*id, source));
                    }
                }
            }
        }
        self.suspect(suspects);
    }

    /// What is known here, and whether speakers have it still.
    async fn audit_learned(&mut self, model: &Model) {
        let some: Vec<About> = self.known_after(self.audit.learned).take(SLICE).collect();
        self.audit.learned = some.last().filter(|_| some.len() == SLICE).copied();
        let mut sources: BTreeMap<Id, Vec<Source>> = BTreeMap::new();
        for (speaker, source) in some.into_iter().flat_map(|about| self.sources_of(about)) {
            sources.entry(speaker).or_default().push(source);
        }
        let wrong = self.learned_wrongly(sources, model).await;
        self.suspect(wrong);
    }

    /// Of what speakers have learned something that is not known so here. While one has yet to tell of a change nothing can be said.
    async fn learned_wrongly(&self, sources: BTreeMap<Id, Vec<Source>>, model: &Model) -> Vec<Suspect> {
        let mut wrong = Vec::new();
        for (id, sources) in sources {
            let Some(running) = self.speakers.get(&id) else { continue };
            let asked = sources.clone();
            let ask = move |speaker: &mut Speaker, _| {
                let has = asked
                    .into_iter()
                    .map(|source| speaker.imported(&source.instance().to_string(), &source.destination()));
                has.collect::<Vec<_>>()
            };
            let has = running.handle.with(ask).await.unwrap_or_default();
            for (source, has) in sources.into_iter().zip(has) {
                if has.is_some_and(|has| !self.is_known_rightly(id, source, &has, model)) {
                    wrong.push(Suspect::Learned(id, source));
                }
            }
        }
        wrong
    }

    /// Whether what a speaker has of something is what is known to have been learned from it.
    fn is_known_rightly(&self, speaker: Id, source: Source, has: &[LearnedPath], model: &Model) -> bool {
        match source {
            Source::Prefix(vrf, prefix, by) => {
                let usable = routes::usable(by, has, model);
                let known = self.learned.get(&(vrf, prefix)).and_then(|known| known.get(&(by, speaker)));
                known.map_or(&[][..], Vec::as_slice) == usable
            }
            Source::Mac(network, mac, address) => self.bridged.has_mac(speaker, (network, mac, address), has),
            Source::Everybody(network, originator) => {
                self.bridged.has_originator(speaker, (network, originator), has)
            }
        }
    }

    /// What the model has of what was learned: in both directions.
    fn audit_facts(&mut self) {
        let after = self.audit.fact;
        let mut some: BTreeSet<About> = self.known_after(after).take(SLICE).collect();
        some.extend(self.site.distribution.lock().model().0.facts().known_after(after).take(SLICE));
        let some: Vec<About> = some.into_iter().take(SLICE).collect();
        self.audit.fact = some.last().filter(|_| some.len() == SLICE).copied();
        self.site.alarms.checked(Comparison::Fact, some.len());
        let wrong = some.into_iter().filter(|about| !self.is_fact_right(*about));
        let wrong: Vec<Suspect> = wrong.map(Suspect::Fact).collect();
        self.suspect(wrong);
    }

    fn is_fact_right(&self, about: About) -> bool {
        if self.awaited.is_stale(about) {
            return true;
        }
        let fact = self.site.distribution.lock().model().0.facts().known(about);
        match (fact, self.known(about)) {
            // Of very many the model has those first that it has had for longer.
            (Fact::Routes { mut routes, .. }, Fact::Routes { routes: mut known, .. }) => {
                routes.sort();
                known.sort();
                routes == known
            }
            (fact, known) => fact == known,
        }
    }
}

type Imported = Vec<(Destination, Option<Vec<LearnedPath>>)>;

async fn imported_after(
    handle: &Handle,
    from: Vec<(Instance, Option<Destination>)>,
) -> Vec<(Instance, Imported)> {
    let find = move |speaker: &mut Speaker, _| {
        let has = from.into_iter().map(|(instance, after)| {
            (instance, speaker.imported_after(&instance.to_string(), after.as_ref(), SLICE))
        });
        has.collect()
    };
    handle.with(find).await.unwrap_or_default()
}
