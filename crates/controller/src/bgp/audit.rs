//! The audit of routes: what hosts carry out, what is announced, what speakers and neighbours have, and what was learned are the
//! same. Some of each are compared at a time, for ever round.
//!
//! ```text
//!  carried out ─ Announcement ─ announced ─ LocRib ─ speakers ─ AdjRibOut ─ neighbours
//!  model       ─ Fact ───────── learned ─── Learned ─ speakers
//! ```
//!
//! What differs may be on its way. It is looked at again a little later, and only what differs still is an alarm; then it is
//! told anew, and looked at until it is right.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;
use std::time::Duration;

use ipnet::IpNet;
use weft_bgp::io::Handle;
use weft_bgp::speaker::{LearnedPath, Mistold, Route, Speaker};
use weft_bgp::wire::{Destination, Family};
use weft_services::compile::FragmentKey;
use weft_services::{Fact, Id, Model};

use super::alarms::Comparison;
use super::instance::Instance;
use super::routes::{self, By};
use super::speaker::Bgp;

/// How often some routes are compared.
pub(super) const AUDIT_INTERVAL: Duration = Duration::from_millis(500);
/// How many of each kind at a time.
const SLICE: usize = 512;
/// Of how many VRFs it is looked at a time what speakers have.
const VRFS_MAX: usize = 32;
/// How many routes are suspicious at a time; whatever more there are come up again.
const SUSPECTS_MAX: usize = 4096;
/// The families of what a site announces.
const FAMILIES: [Family; 3] = [Family::Vpnv4, Family::Vpnv6, Family::Evpn];

/// Something that was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Suspect {
    Announcement(FragmentKey),
    Originated(Id, Destination),
    Learned(Id, (Id, IpNet, By)),
    Fact(Id, IpNet),
}

impl Suspect {
    const fn comparison(&self) -> Comparison {
        match self {
            Self::Announcement(_) => Comparison::Announcement,
            Self::Originated(..) => Comparison::LocRib,
            Self::Learned(..) => Comparison::Learned,
            Self::Fact(..) => Comparison::Fact,
        }
    }

    /// The route, and where it is not right.
    fn route(&self) -> String {
        match self {
            Self::Announcement(key) => key.id().to_string(),
            Self::Originated(speaker, destination) => format!("{destination} of speaker {speaker}"),
            Self::Learned(speaker, (vrf, destination, _)) => {
                format!("{destination} in VRF {vrf} from speaker {speaker}")
            }
            Self::Fact(vrf, destination) => format!("{destination} in VRF {vrf}"),
        }
    }

    const fn finding(&self) -> &'static str {
        match self {
            Self::Announcement(_) => "what is announced is not what its hosts have carried out",
            Self::Originated(..) => "what the speaker originates is not what is announced",
            Self::Learned(..) => "what was learned is not what the speaker has",
            Self::Fact(..) => "what the model has is not what was learned",
        }
    }
}

/// How far the audit is.
#[derive(Default)]
pub(super) struct Audit {
    /// What differed when it was last looked at, and whether that is known as an alarm.
    suspects: BTreeMap<Suspect, bool>,
    /// The fragments of this round that are yet to be looked at.
    fragments: Vec<FragmentKey>,
    /// What is announced, as it was when it was last gathered, and for how many turns that is good.
    announced: (HashSet<Destination>, usize),
    learned: Option<(Id, IpNet)>,
    fact: Option<(Id, IpNet)>,
    /// Of each speaker and family: what it originates, what neighbours were told.
    tables: HashMap<(Id, Family), (u32, u32)>,
    /// The last VRF of which it was looked what speakers have.
    vrf: Option<Id>,
    imported: HashMap<(Id, Id), Destination>,
}

/// Routes by what they lead to.
type ByDestination = HashMap<Destination, Route>;

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

    async fn audit_suspects(&mut self) {
        if self.audit.suspects.is_empty() {
            return;
        }
        let now = self.site.now();
        let model = self.model();
        let routes = self.announced.routes();
        let announced: ByDestination = routes.map(|route| (route.destination.clone(), route)).collect();
        for (suspect, is_known) in std::mem::take(&mut self.audit.suspects) {
            if self.is_on_its_way(&suspect) {
                self.audit.suspects.insert(suspect, is_known);
                continue;
            }
            if self.is_right(&suspect, &announced, &model).await {
                self.site.alarms.settle(suspect.comparison(), &suspect.route(), now);
                continue;
            }
            if !is_known {
                self.site.alarms.raise(suspect.comparison(), &suspect.route(), suspect.finding(), now);
            }
            self.mend(&suspect, &announced).await;
            self.audit.suspects.insert(suspect, true);
        }
    }

    /// Whether what it is compared with may still be changed by what is known already: however long that takes, it is no alarm.
    fn is_on_its_way(&self, suspect: &Suspect) -> bool {
        match suspect {
            Suspect::Announcement(key) => self.site.touched.contains(key),
            Suspect::Originated(..) => false,
            Suspect::Learned(..) => !self.inbox.1.is_empty(),
            Suspect::Fact(..) => !self.inbox.1.is_empty() || self.site.has_facts_on_their_way(),
        }
    }

    fn suspect(&mut self, suspects: impl IntoIterator<Item = Suspect>) {
        for suspect in suspects {
            if self.audit.suspects.len() < SUSPECTS_MAX {
                self.audit.suspects.entry(suspect).or_insert(false);
            }
        }
    }

    async fn is_right(&self, suspect: &Suspect, announced: &ByDestination, model: &Model) -> bool {
        match suspect {
            Suspect::Announcement(key) => self.is_announced_rightly(key),
            Suspect::Originated(speaker, destination) => {
                let Some(running) = self.speakers.get(speaker) else { return true };
                let of = destination.clone();
                let has = running.handle.with(move |speaker, _| speaker.originated(&of)).await;
                has.is_none_or(|has| has.as_ref() == announced.get(destination))
            }
            Suspect::Learned(speaker, place) => self.is_learned_rightly(*speaker, *place, model).await,
            Suspect::Fact(vrf, destination) => self.is_fact_right(*vrf, *destination),
        }
    }

    async fn is_learned_rightly(&self, speaker: Id, place: (Id, IpNet, By), model: &Model) -> bool {
        let Some(running) = self.speakers.get(&speaker) else { return true };
        let (vrf, destination, by) = place;
        let (instance, of) = (Instance::Vrf(vrf).to_string(), routes::destination_of(destination, by));
        let has = running.handle.with(move |speaker, _| speaker.imported(&instance, &of)).await;
        // While it has yet to tell of a change nothing can be said.
        has.flatten().is_none_or(|has| self.is_known_rightly(speaker, place, &has, model))
    }

    /// Has it told anew.
    async fn mend(&self, suspect: &Suspect, announced: &ByDestination) {
        match suspect {
            Suspect::Announcement(key) => self.site.touched.note([key]),
            Suspect::Originated(speaker, destination) => {
                let Some(running) = self.speakers.get(speaker) else { return };
                let (wanted, of) = (announced.get(destination).cloned(), destination.clone());
                let mend = move |speaker: &mut Speaker, _| match wanted {
                    Some(route) => speaker.originate(route),
                    None => {
                        speaker.withdraw(&of);
                    }
                };
                let _ended = running.handle.with(mend).await;
            }
            Suspect::Learned(speaker, (vrf, destination, by)) => {
                let Some(running) = self.speakers.get(speaker) else { return };
                let (instance, of) =
                    (Instance::Vrf(*vrf).to_string(), routes::destination_of(*destination, *by));
                let _ended = running.handle.with(move |speaker, _| speaker.tell_again(&instance, &of)).await;
            }
            Suspect::Fact(vrf, destination) => {
                let (vrf, destination) = (*vrf, *destination);
                let routes = self.learned.get(&(vrf, destination)).map(routes::best).unwrap_or_default();
                self.site.learn(vec![Fact::Routes { vrf, destination, routes }]).await;
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
            self.audit.fragments = weft_services::all_announcing(&self.model());
        }
        let left = self.audit.fragments.len().saturating_sub(SLICE);
        let keys = self.audit.fragments.split_off(left);
        let wrong = keys.iter().filter(|key| !self.is_announced_rightly(key)).cloned();
        let mut suspects: Vec<Suspect> = wrong.map(Suspect::Announcement).collect();
        let wanted: Vec<Route> = keys.iter().flat_map(|key| self.announced.routes_of(key)).collect();
        for (id, running) in &self.speakers {
            let wanted = wanted.clone();
            let find = move |speaker: &mut Speaker, _| {
                let is_wrong = |route: &Route| speaker.originated(&route.destination).as_ref() != Some(route);
                wanted.into_iter().filter(is_wrong).map(|route| route.destination).collect::<Vec<_>>()
            };
            let wrong = running.handle.with(find).await.unwrap_or_default();
            suspects.extend(wrong.into_iter().map(|destination| Suspect::Originated(*id, destination)));
        }
        self.site.alarms.checked(Comparison::Announcement, keys.len());
        self.site.alarms.checked(Comparison::LocRib, wanted.len() * self.speakers.len());
        self.suspect(suspects);
    }

    /// What speakers originate that is not announced, and what neighbours were told.
    async fn audit_tables(&mut self) {
        let (announced, turns) = &mut self.audit.announced;
        if *turns == 0 {
            let routes = self.announced.routes();
            *announced = routes.map(|route| route.destination).collect();
            *turns = announced.len() / SLICE;
        } else {
            *turns -= 1;
        }
        let mut suspects = Vec::new();
        for (id, running) in &self.speakers {
            for family in FAMILIES {
                let (from, told_from) = self.audit.tables.get(&(*id, family)).copied().unwrap_or_default();
                let find = move |speaker: &mut Speaker, _| {
                    let originations = speaker.originations(family, from, SLICE);
                    (originations, speaker.audit_told(family, told_from, SLICE))
                };
                let Some(((found, next), (mistold, next_told))) = running.handle.with(find).await else {
                    continue;
                };
                let place = (next.unwrap_or_default(), next_told.unwrap_or_default());
                self.audit.tables.insert((*id, family), place);
                let strays =
                    found.iter().filter(|destination| !self.audit.announced.0.contains(*destination));
                suspects.extend(strays.map(|destination| Suspect::Originated(*id, destination.clone())));
                self.site.alarms.checked(Comparison::AdjRibOut, found.len());
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

    /// What speakers have for some VRFs, and whether that is known here.
    async fn audit_speakers(&mut self, model: &Model) {
        let after = self.audit.vrf.map(Instance::Vrf).map_or(Bound::Unbounded, Bound::Excluded);
        let instances = self.imports.range((after, Bound::Unbounded)).map(|(instance, _)| *instance);
        let vrfs = instances.filter_map(|instance| match instance {
            Instance::Vrf(vrf) => Some(vrf),
            Instance::MacVrf(_) => None,
        });
        let vrfs: Vec<Id> = vrfs.take(VRFS_MAX).collect();
        self.audit.vrf = vrfs.last().filter(|_| vrfs.len() == VRFS_MAX).copied();
        let mut suspects = Vec::new();
        for (id, running) in &self.speakers {
            for vrf in &vrfs {
                let after = self.audit.imported.remove(&(*id, *vrf));
                let has = imported_after(&running.handle, *vrf, after).await;
                self.site.alarms.checked(Comparison::Learned, has.len());
                if let Some((last, _)) = has.last().filter(|_| has.len() == SLICE) {
                    self.audit.imported.insert((*id, *vrf), last.clone());
                }
                for (destination, paths) in has {
                    let (Some((prefix, by)), Some(paths)) = (routes::prefix_of(&destination), paths) else {
                        continue;
                    };
                    let place = (*vrf, prefix, by);
                    if !self.is_known_rightly(*id, place, &paths, model) {
                        suspects.push(Suspect::Learned(*id, place));
                    }
                }
            }
        }
        self.suspect(suspects);
    }

    /// What is known here, and whether speakers have it still.
    async fn audit_learned(&mut self, model: &Model) {
        let from = (self.audit.learned.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let some: Vec<_> = self.learned.range(from).take(SLICE).collect();
        let last = some.last().filter(|_| some.len() == SLICE).map(|(key, _)| **key);
        let mut suspects = Vec::new();
        for ((vrf, prefix), by_source) in some {
            for (by, speaker) in by_source.keys() {
                let place = (*vrf, *prefix, *by);
                if !self.is_learned_rightly(*speaker, place, model).await {
                    suspects.push(Suspect::Learned(*speaker, place));
                }
            }
        }
        self.audit.learned = last;
        self.suspect(suspects);
    }

    /// Whether what a speaker has of a destination is what is known to have been learned from it.
    fn is_known_rightly(
        &self,
        speaker: Id,
        (vrf, prefix, by): (Id, IpNet, By),
        has: &[LearnedPath],
        model: &Model,
    ) -> bool {
        let usable = routes::usable(by, has, model);
        let known = self.learned.get(&(vrf, prefix)).and_then(|known| known.get(&(by, speaker)));
        known.map_or(&[][..], Vec::as_slice) == usable
    }

    /// What the model has of what was learned: in both directions.
    fn audit_facts(&mut self) {
        let after = self.audit.fact;
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let learned = self.learned.range(from).take(SLICE).map(|(key, _)| *key);
        let mut some: BTreeSet<(Id, IpNet)> = learned.collect();
        some.extend(self.site.distribution.lock().model().0.facts().learned_after(after).take(SLICE));
        let some: Vec<(Id, IpNet)> = some.into_iter().take(SLICE).collect();
        self.audit.fact = some.last().filter(|_| some.len() == SLICE).copied();
        self.site.alarms.checked(Comparison::Fact, some.len());
        let wrong = some.into_iter().filter(|(vrf, destination)| !self.is_fact_right(*vrf, *destination));
        let wrong: Vec<Suspect> = wrong.map(|(vrf, destination)| Suspect::Fact(vrf, destination)).collect();
        self.suspect(wrong);
    }

    fn is_fact_right(&self, vrf: Id, destination: IpNet) -> bool {
        if self.awaited.is_stale((vrf, destination)) {
            return true;
        }
        let known = self.learned.get(&(vrf, destination)).map(routes::best).unwrap_or_default();
        let distribution = self.site.distribution.lock();
        distribution.model().0.facts().routes(vrf, destination) == known
    }
}

type Imported = Vec<(Destination, Option<Vec<LearnedPath>>)>;

async fn imported_after(handle: &Handle, vrf: Id, after: Option<Destination>) -> Imported {
    let instance = Instance::Vrf(vrf).to_string();
    let find = move |speaker: &mut Speaker, _| speaker.imported_after(&instance, after.as_ref(), SLICE);
    handle.with(find).await.unwrap_or_default()
}
