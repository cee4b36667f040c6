//! Keeps the speakers what the rows say, has them announce what hosts forward, and takes on what they learn.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use weft_bgp::io::{Driver, Handle};
use weft_bgp::speaker::{
    AcceptConfig, ConfigError, Learned, PeerConfig, Restarted, Route, Speaker, SpeakerConfig,
};
use weft_net::RouteTarget;
use weft_services::compile::FragmentKey;
use weft_services::{
    Announcement, Fact, Id, LearnedRoute, Model, RowKey, RowKind, Write, all_announcing, announcements,
    looked_at_with,
};
use weft_store::{Watch, WatchError};

use super::alarms::Comparison;
use super::announced::{Announced, Told};
use super::attempts::{Attempts, Beginner};
use super::audit::{AUDIT_INTERVAL, Audit};
use super::awaited::Awaited;
use super::bridged::Bridged;
use super::config::{Neighbors, Wanted, wanted};
use super::instance::Instance;
use super::marks;
use super::reception::Reception;
use super::routes::{self, By};
use crate::head::Head;
use crate::site::Site;

/// How many changes are taken from a speaker at a time.
const LEARNED_MAX: usize = 4096;
/// How much later than its deferral time a speaker is taken to have heard all that it will hear: by then it has told it.
const DEFERRAL_MARGIN: Duration = Duration::from_secs(1);
/// How long a speaker may take to end.
const END_MAX: Duration = Duration::from_secs(3);
/// How many such batches may wait.
const BATCHES_MAX: usize = 16;

/// What the controller's configuration says of BGP.
#[derive(Clone, Debug)]
pub struct BgpConfig {
    /// Where neighbours may connect to; nowhere, if there is none.
    pub listen: Vec<SocketAddr>,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// How long routes are awaited after a start of the process before the best are chosen and told, in seconds (RFC 4724 §4.1).
    pub deferral_time_s: u16,
}

/// The speakers of a site.
pub struct Bgp {
    pub(super) site: Arc<Site>,
    pub(super) config: BgpConfig,
    pub(super) speakers: BTreeMap<Id, Running>,
    /// How many speakers have been started.
    generations: u64,
    pub(super) reception: Reception,
    /// What could not begin, and is tried again.
    attempts: Attempts,
    pub(super) announced: Announced,
    /// What was learned of each prefix of a VRF, by which speaker and kind of route.
    pub(super) learned: BTreeMap<(Id, IpNet), BySource>,
    /// What was learned of networks.
    pub(super) bridged: Bridged,
    /// What was learned in an earlier life.
    pub(super) awaited: Awaited,
    /// Which targets each instance imports.
    pub(super) imports: BTreeMap<Instance, BTreeSet<RouteTarget>>,
    pub(super) audit: Audit,
    /// Neighbours of which it was said that their routes by SRv6 are not taken.
    srv6_neighbors: BTreeSet<IpAddr>,
    pub(super) inbox: (mpsc::Sender<Heard>, mpsc::Receiver<Heard>),
    watch: Watch<Head>,
}

/// What was learned of one prefix, by kind of route and speaker.
pub(super) type BySource = BTreeMap<(By, Id), Vec<LearnedRoute>>;

/// What a speaker has learned.
pub(super) struct Heard {
    speaker: Id,
    /// Which of those that have run, one after another, as that speaker.
    generation: u64,
    learned: Vec<Learned>,
    /// This is all that its neighbours had, or it has waited long enough for them.
    is_all: bool,
}

/// A speaker that runs.
pub(super) struct Running {
    generation: u64,
    config: SpeakerConfig,
    pub(super) neighbors: Neighbors,
    pub(super) handle: Handle,
    tasks: [JoinHandle<()>; 2],
}

/// What a speaker begins with.
struct Beginning {
    config: SpeakerConfig,
    neighbors: Neighbors,
    imports: BTreeMap<Instance, BTreeSet<RouteTarget>>,
    announced: Vec<Route>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Bgp {
    /// Starts the speakers of a site, which announce all that its hosts forward. To be done before agents are served: whoever has
    /// not come yet goes on with what it has.
    pub async fn start(site: Arc<Site>, config: BgpConfig) -> Self {
        let snapshot = site.durable();
        let watch = site.store.watch(snapshot.version);
        let mut bgp = Self {
            site,
            config,
            speakers: BTreeMap::new(),
            generations: 0,
            reception: Reception::default(),
            attempts: Attempts::default(),
            announced: Announced::default(),
            learned: BTreeMap::new(),
            bridged: Bridged::default(),
            awaited: Awaited::default(),
            imports: BTreeMap::new(),
            audit: Audit::default(),
            srv6_neighbors: BTreeSet::new(),
            inbox: mpsc::channel(BATCHES_MAX),
            watch,
        };
        bgp.begin(&snapshot.model.0, true).await;
        bgp.awaited = Awaited::new(bgp.model().facts(), bgp.speakers.keys().copied().collect());
        let gone = bgp.awaited.over();
        bgp.tell(gone).await;
        bgp
    }

    /// Runs as long as the store is there.
    pub async fn run(mut self) {
        let site = self.site.clone();
        let mut audit = tokio::time::interval(AUDIT_INTERVAL);
        audit.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                together = self.watch.next_together() => match together {
                    Ok((events, _)) => {
                        let model = self.site.durable().model.0.clone();
                        let writes = events.iter().flat_map(|event| event.writes.iter());
                        self.configure(&model, writes.map(Write::key).collect()).await;
                    }
                    Err(WatchError::Closed) => return,
                    Err(error) => {
                        tracing::warn!(%error, "BGP is configured anew");
                        let snapshot = self.site.durable();
                        self.watch = self.site.store.watch(snapshot.version);
                        self.begin(&snapshot.model.0, false).await;
                    }
                },
                touched = site.touched.take() => self.announce(touched).await,
                accepted = self.reception.accept() => self.receive(accepted),
                Some(heard) = self.inbox.1.recv() => self.hear(heard).await,
                _ = audit.tick() => {
                    self.start_again(Instant::now()).await;
                    self.reception.retry(Instant::now());
                    self.tell_sessions().await;
                    let mut facts = self.bridged.thaw(Instant::now());
                    facts.retain(|fact| self.awaited.is_news(fact));
                    self.tell(facts).await;
                    self.audit().await;
                }
            }
        }
    }

    /// Configures everything, as after a start. What is announced comes before those who announce it: their neighbours take what
    /// is not there when they begin as withdrawn.
    async fn begin(&mut self, model: &Model, peers_may_remember: bool) {
        let known: Vec<Instance> = self.imports.keys().copied().collect();
        for instance in known.into_iter().chain(Instance::all(model)) {
            self.configure_instance(instance, instance.imports(model)).await;
        }
        let announcing = all_announcing(model).into_iter().chain(self.announced.fragments().cloned());
        self.announce(announcing.collect()).await;
        self.configure_speakers(wanted(model, self.config.router_id), peers_may_remember).await;
    }

    /// Makes the speakers what the rows say of which some have changed.
    async fn configure(&mut self, model: &Model, rows: BTreeSet<RowKey>) {
        let mut is_about_speakers = false;
        for row in rows {
            match row {
                RowKey::Resource(RowKind::BgpSpeaker | RowKind::BgpPeer, _) => is_about_speakers = true,
                row => {
                    let Some(instance) = Instance::of(&row) else { continue };
                    self.configure_instance(instance, instance.imports(model)).await;
                }
            }
        }
        if is_about_speakers {
            self.configure_speakers(wanted(model, self.config.router_id), false).await;
        }
    }

    async fn configure_instance(&mut self, instance: Instance, targets: BTreeSet<RouteTarget>) {
        if self.imports.get(&instance).map_or(targets.is_empty(), |known| *known == targets) {
            return;
        }
        for running in self.speakers.values() {
            let (name, targets) = (instance.to_string(), targets.clone());
            let _ended = running.handle.with(move |speaker, _| speaker.set_instance(&name, targets)).await;
        }
        if targets.is_empty() {
            self.imports.remove(&instance);
        } else {
            self.imports.insert(instance, targets);
        }
    }

    /// Makes the speakers what they are to be. After a start of the process their neighbours may still have routes of its last
    /// life, and hosts still forward: then nothing is taken back before it has been seen to be gone (RFC 4724 §4.1).
    async fn configure_speakers(&mut self, wanted: BTreeMap<Id, Wanted>, peers_may_remember: bool) {
        let is_other =
            |id: &Id, running: &Running| wanted.get(id).is_none_or(|wanted| wanted.config != running.config);
        let ended: Vec<Id> =
            self.speakers.iter().filter(|(id, running)| is_other(id, running)).map(|(id, _)| *id).collect();
        for id in ended {
            self.site.speakers.remove(id);
            if let Some(running) = self.speakers.remove(&id) {
                running.end().await;
            }
            self.forget(id).await;
        }
        self.give_up(&wanted);
        self.listen(&wanted, Instant::now());
        for (id, wanted) in wanted {
            match self.speakers.get_mut(&id) {
                Some(running) => running.set_neighbors(wanted.neighbors).await,
                None => self.start_speaker(id, wanted, peers_may_remember),
            }
        }
    }

    /// What is not wanted any more is not tried again.
    fn give_up(&mut self, wanted: &BTreeMap<Id, Wanted>) {
        let gone = self.attempts.retain(|who| match who {
            Beginner::Listener => !wanted.is_empty(),
            Beginner::Speaker(id) => wanted.contains_key(&id),
        });
        for who in gone {
            self.site.alarms.settle(Comparison::Speaker, &who.to_string(), self.site.now());
        }
    }

    /// Something has begun.
    pub(super) fn begun(&mut self, who: Beginner) {
        if self.attempts.over(who) {
            self.site.alarms.settle(Comparison::Speaker, &who.to_string(), self.site.now());
        }
    }

    /// Something could not begin: that is an alarm until it can, or is not wanted any more.
    pub(super) fn not_begun(&mut self, who: Beginner, error: &str, now: Instant) {
        let pause = self.attempts.failed(who, now);
        tracing::debug!(%who, error, ?pause, "tried again after a pause");
        self.site.alarms.raise(Comparison::Speaker, &who.to_string(), error, self.site.now());
    }

    /// Starts the speakers again that have ended by themselves, by a mistake of ours; and tries again what could not begin, when it is time.
    async fn start_again(&mut self, now: Instant) {
        let is_over = |running: &Running| running.tasks.iter().any(JoinHandle::is_finished);
        let over: Vec<Id> =
            self.speakers.iter().filter(|(_, running)| is_over(running)).map(|(id, _)| *id).collect();
        if over.is_empty() && !self.attempts.is_due(now) {
            return;
        }
        for id in over {
            tracing::error!(speaker = %id, "the BGP speaker has ended by itself, and is started again");
            self.site.speakers.remove(id);
            self.speakers.remove(&id);
            self.forget(id).await;
        }
        let snapshot = self.site.durable();
        self.configure_speakers(wanted(&snapshot.model.0, self.config.router_id), false).await;
    }

    /// Starts a speaker, with all that is announced and imported already.
    fn start_speaker(&mut self, id: Id, wanted: Wanted, peers_may_remember: bool) {
        let Wanted { config, neighbors } = wanted;
        let deferral_time_s = self.config.deferral_time_s;
        let restarted = peers_may_remember.then_some(Restarted { forwarding_kept: true, deferral_time_s });
        let announced = self.announced.routes().collect();
        let (imports, neighbors_of) = (self.imports.clone(), neighbors.clone());
        let config_of = SpeakerConfig { restarted, ..config.clone() };
        let beginning = Beginning { config: config_of, neighbors: neighbors_of, imports, announced };
        let started = beginning
            .speaker()
            .map_err(anyhow::Error::from)
            // Connections are accepted for all speakers together.
            .and_then(|speaker| Ok(Driver::new(speaker, &[])?));
        let (driver, handle) = match started {
            Ok(started) => started,
            Err(error) => return self.not_begun(Beginner::Speaker(id), &error.to_string(), Instant::now()),
        };
        self.begun(Beginner::Speaker(id));
        let deferral = restarted.map(|_| Duration::from_secs(deferral_time_s.into()) + DEFERRAL_MARGIN);
        let until = tokio::time::Instant::now() + deferral.unwrap_or_default();
        self.generations += 1;
        let generation = self.generations;
        let hearing = pass_on((id, generation), handle.clone(), self.inbox.0.clone(), until);
        let tasks = [tokio::spawn(driver.run()), tokio::spawn(hearing)];
        tracing::info!(speaker = %id, asn = %config.asn, router_id = %config.router_id, "BGP speaker started");
        self.site.speakers.insert(id, handle.clone());
        self.speakers.insert(id, Running { generation, config, neighbors, handle, tasks });
    }

    /// What was learned by a speaker is known no more.
    async fn forget(&mut self, speaker: Id) {
        let mut facts = self.bridged.forget(speaker);
        for ((vrf, destination), by) in &mut self.learned {
            let count = by.len();
            by.retain(|(_, of), _| *of != speaker);
            if by.len() != count {
                let (vrf, destination, routes) = (*vrf, *destination, routes::best(by));
                facts.push(Fact::Routes { vrf, destination, routes });
            }
        }
        self.learned.retain(|_, by| !by.is_empty());
        facts.retain(|fact| self.awaited.is_news(fact));
        facts.extend(self.awaited.heard_all(speaker));
        self.tell(facts).await;
    }

    pub(super) async fn tell(&self, facts: Vec<Fact>) {
        for facts in facts.chunks(LEARNED_MAX) {
            self.site.learn(facts.to_vec()).await;
        }
    }

    /// Looks again at what is announced because of fragments.
    async fn announce(&mut self, touched: BTreeSet<FragmentKey>) {
        let touched = self.looked_at(touched).into_iter();
        let mut is_to_be_kept = false;
        let looked_at = touched.map(|key| {
            let before = self.announced.of(&key);
            let after = self.to_be_announced(&key, before);
            is_to_be_kept |= self.site.announced.change(&key, before, &after);
            (key, after)
        });
        let looked_at = looked_at.collect();
        if is_to_be_kept {
            self.site.to_be_kept.notify_one();
        }
        let told = self.announced.set(looked_at);
        if told.is_nothing() {
            return;
        }
        let Told { originated, withdrawn } = told;
        for running in self.speakers.values() {
            let (originated, withdrawn) = (originated.clone(), withdrawn.clone());
            let tell = move |speaker: &mut Speaker, _| {
                for destination in &withdrawn {
                    speaker.withdraw(destination);
                }
                originated.into_iter().for_each(|route| speaker.originate(route));
            };
            let _ended = running.handle.with(tell).await;
        }
    }

    /// The fragments that are looked at when these are.
    fn looked_at(&self, touched: BTreeSet<FragmentKey>) -> BTreeSet<FragmentKey> {
        let distribution = self.site.distribution.lock();
        let (model, _) = distribution.model();
        let with: Vec<FragmentKey> = touched.iter().flat_map(|key| looked_at_with(model, key)).collect();
        touched.into_iter().chain(with).collect()
    }

    /// What is announced because of a fragment: what its hosts have said that they have carried out, and of what they have not
    /// said anything yet what was announced before, be it in an earlier life of the controller.
    pub(super) fn to_be_announced(&self, key: &FragmentKey, before: &[Announcement]) -> Vec<Announcement> {
        let distribution = self.site.distribution.lock();
        let (model, _) = distribution.model();
        let mut announced = announcements(model, key);
        let was_announced = |one: &Announcement| {
            before.contains(one)
                || !distribution.has_come(one.host()) && distribution.was_announced(marks::mark(key, one))
        };
        announced.retain(|one| {
            let forwards = |key| distribution.forwards(one.host(), key).unwrap_or_else(|| was_announced(one));
            forwards(key) && one.needs().is_none_or(forwards)
        });
        announced
    }

    /// The model as it is distributed: with all facts.
    pub(super) fn model(&self) -> Model {
        self.site.distribution.lock().model().0.clone()
    }

    async fn hear(&mut self, heard: Heard) {
        let running = self.speakers.get(&heard.speaker);
        if running.is_none_or(|running| running.generation != heard.generation) {
            // It has ended, and what it had learned was forgotten then.
            return;
        }
        let model = self.model();
        let mut facts = Vec::with_capacity(heard.learned.len());
        for learned in &heard.learned {
            let vrf = match learned.instance.as_deref().and_then(Instance::named) {
                Some(Instance::Vrf(vrf)) => vrf,
                Some(Instance::MacVrf(network)) => {
                    facts.extend(self.bridged.hear(heard.speaker, network, learned, Instant::now()));
                    continue;
                }
                None => continue,
            };
            self.note_srv6(learned);
            let Some((destination, by, routes)) = routes::learned(learned, &model) else { continue };
            let known = self.learned.entry((vrf, destination)).or_default();
            // What is still the best was asked of those that are awaited when it came to be that.
            let news = routes::take_over(known, (by, heard.speaker), routes);
            facts.extend(news.map(|routes| Fact::Routes { vrf, destination, routes }));
            if known.is_empty() {
                self.learned.remove(&(vrf, destination));
            }
        }
        facts.retain(|fact| self.awaited.is_news(fact));
        if heard.is_all {
            facts.extend(self.awaited.heard_all(heard.speaker));
        }
        self.tell(facts).await;
    }

    /// Says once of a neighbour that what it wants sent by SRv6 is not taken.
    fn note_srv6(&mut self, learned: &Learned) {
        for path in learned.paths.iter().filter(|path| routes::is_srv6(&path.attributes)) {
            if self.srv6_neighbors.insert(path.neighbor) {
                let destination = &learned.destination;
                tracing::warn!(neighbor = %path.neighbor, %destination, "routes by SRv6 are not taken");
            }
        }
    }
}

impl Beginning {
    fn speaker(self) -> Result<Speaker, ConfigError> {
        let now = Instant::now();
        let mut speaker = Speaker::new(self.config, now, rand::random())?;
        let imports = self.imports.into_iter().map(|(instance, targets)| (instance.to_string(), targets));
        let imports: Vec<_> = imports.collect();
        speaker.set_instances(imports.iter().map(|(name, targets)| (name.as_str(), targets.clone())));
        self.announced.into_iter().for_each(|route| speaker.originate(route));
        set_accept(&mut speaker, self.neighbors.accept, now);
        self.neighbors.peers.into_values().for_each(|peer| set_peer(&mut speaker, peer, now));
        Ok(speaker)
    }
}

fn set_peer(speaker: &mut Speaker, peer: PeerConfig, now: Instant) {
    let address = peer.address;
    if let Err(error) = speaker.set_peer(peer, now) {
        tracing::error!(peer = %address, %error, "the BGP neighbour cannot be configured");
    }
}

fn set_accept(speaker: &mut Speaker, accept: Vec<AcceptConfig>, now: Instant) {
    if let Err(error) = speaker.set_accept(accept, now) {
        tracing::error!(%error, "BGP neighbours of ranges cannot be configured");
    }
}

impl Running {
    /// Tells its neighbours that they are no longer wanted (RFC 4486 §4), and ends when they have heard it or take too long.
    async fn end(mut self) {
        let peers: Vec<IpAddr> = self.neighbors.peers.keys().copied().collect();
        let leave = move |speaker: &mut Speaker, now| {
            set_accept(speaker, Vec::new(), now);
            for address in peers {
                speaker.remove_peer(address, now);
            }
        };
        let _ended = self.handle.with(leave).await;
        let _ended = self.handle.end().await;
        if tokio::time::timeout(END_MAX, &mut self.tasks[0]).await.is_err() {
            tracing::warn!("a BGP speaker takes too long to end");
        }
    }

    async fn set_neighbors(&mut self, wanted: Neighbors) {
        let known = std::mem::replace(&mut self.neighbors, wanted.clone());
        let Neighbors { peers, accept } = wanted;
        let accept = Some(accept).filter(|accept| *accept != known.accept);
        let gone: Vec<IpAddr> =
            known.peers.keys().copied().filter(|address| !peers.contains_key(address)).collect();
        let changed: Vec<PeerConfig> =
            peers.into_values().filter(|peer| known.peers.get(&peer.address) != Some(peer)).collect();
        if gone.is_empty() && changed.is_empty() && accept.is_none() {
            return;
        }
        let set = move |speaker: &mut Speaker, now| {
            for address in gone {
                speaker.remove_peer(address, now);
            }
            accept.into_iter().for_each(|accept| set_accept(speaker, accept, now));
            changed.into_iter().for_each(|peer| set_peer(speaker, peer, now));
        };
        let _ended = self.handle.with(set).await;
    }
}

/// Takes from a speaker what it learns, and passes it on as fast as it is taken; says once that this is all, when its neighbours have
/// said so or it is later than `until`.
async fn pass_on(
    (speaker, generation): (Id, u64),
    handle: Handle,
    inbox: mpsc::Sender<Heard>,
    until: tokio::time::Instant,
) {
    let mut had_all = false;
    loop {
        let ask = |speaker: &mut Speaker, now| {
            let learned = speaker.poll_learned(LEARNED_MAX, now);
            (learned, speaker.has_learned(), speaker.has_heard_all())
        };
        let Some((learned, has_more, has_heard_all)) = handle.with(ask).await else { return };
        let is_late = || tokio::time::Instant::now() >= until;
        let is_all = !had_all && learned.is_empty() && !has_more && (has_heard_all || is_late());
        if learned.is_empty() && !is_all {
            tokio::select! {
                () = handle.learned() => {}
                () = tokio::time::sleep_until(until), if !had_all && !has_more => {}
            }
            continue;
        }
        had_all |= is_all;
        if inbox.send(Heard { speaker, generation, learned, is_all }).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
