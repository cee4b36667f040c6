//! Who has to know what: from commits to one update a host, and from reports to what is done.
//!
//! Pure: no sockets, no clock. It holds the model at the version up to which it has distributed, the fragments as they were
//! encoded, and of each host what it was sent and what it said.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use weft_net::{HostName, IfName};
use weft_protocol::{Basis, updates, wire};
use weft_services::compile::{self, Compiled, Deltas, FragmentKey, HostDelta, ServiceKey};
use weft_services::{Departure, Fact, Facts, Id, Model, Row, RowKey, Write};
use weft_store::Version;

use super::encoded::{Encoded, EncodedFragments};
use super::host::HostState;
use super::outcome::NotDone;

/// What one host is to be sent.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The host.
    pub host: HostName,
    /// The messages, in order.
    pub updates: Vec<wire::Update>,
}

/// How far something is: which version of the model, and which turn of what was learned besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reached {
    /// The version.
    pub version: Version,
    /// The turn of facts.
    pub turn: u64,
}

/// What commits are to hosts, worked out from the model before them and their writes alone: nobody has to wait for that.
pub struct Advance {
    model: Model,
    reached: Reached,
    encoded: Vec<(FragmentKey, Option<Encoded>)>,
    deltas: BTreeMap<HostName, HostDelta>,
    /// Hosts that are no longer known.
    gone: Vec<HostName>,
    changed: Changed,
}

/// What has changed from one turn to the next.
#[derive(Clone)]
enum Changed {
    Rows(Vec<Write>),
    Facts(Vec<Fact>),
}

impl Changed {
    fn touched(&self, before: &Model, after: &Model) -> BTreeSet<FragmentKey> {
        match self {
            Self::Rows(writes) => compile::touched(before, after, writes),
            Self::Facts(facts) => compile::touched_by(before, after, facts),
        }
    }

    /// How many writes or facts it is.
    const fn len(&self) -> usize {
        match self {
            Self::Rows(writes) => writes.len(),
            Self::Facts(facts) => facts.len(),
        }
    }

    /// The instances that are gone, if the deleted rows are services.
    fn deleted_services(&self) -> Vec<ServiceKey> {
        let Self::Rows(writes) = self else { return Vec::new() };
        let deleted = writes.iter().filter_map(|write| match write {
            Write::Delete(RowKey::Resource(kind, id)) => Some(ServiceKey { kind: *kind, id: *id }),
            Write::Delete(_) | Write::Put(_) => None,
        });
        deleted.collect()
    }
}

impl Advance {
    /// Works out what these writes are to hosts; they lead from how far it is to this version and, if it is at hand, to this
    /// model.
    #[must_use]
    pub fn prepare(
        (before, from): (&Model, Reached),
        version: Version,
        writes: &[&Write],
        after: Option<Model>,
    ) -> Self {
        let after = after.map(|model| model.with_facts(before.facts().clone()));
        let model = after.unwrap_or_else(|| {
            let mut model = before.clone();
            writes.iter().for_each(|write| model.apply(write));
            model
        });
        let changed = Changed::Rows(writes.iter().map(|write| (*write).clone()).collect());
        let (encoded, mut deltas) = work_out(before, &model, &changed);
        // Who has to confirm a departure is sent something to confirm, even if nothing differs for it.
        for write in writes {
            if let Write::Put(Row::Departure(departure)) = write {
                deltas.entry(departure.host.clone()).or_default();
            }
        }
        let gone = writes.iter().filter_map(|write| match write {
            Write::Delete(RowKey::Host(host)) => Some(host.clone()),
            Write::Delete(_) | Write::Put(_) => None,
        });
        let gone = gone.collect();
        let reached = Reached { version, turn: from.turn };
        Self { gone, model, reached, encoded, deltas, changed }
    }

    /// The fragments that may be something else than they were.
    pub(crate) fn touched(&self) -> impl Iterator<Item = &FragmentKey> {
        self.encoded.iter().map(|(key, _)| key)
    }

    /// The model to which it leads.
    pub(crate) const fn model(&self) -> &Model {
        &self.model
    }

    /// Works out what another model is to hosts, and that it is at this version: after a restore, or when events are no longer to be
    /// had. Facts about what is not in it are dropped, which leads to this turn.
    #[must_use]
    pub fn prepare_anew(
        (before, from): (&Model, Reached),
        model: Model,
        version: Version,
        turn: u64,
    ) -> Self {
        let known = model.facts_of_ours(before.facts().clone());
        let turn = if known == *before.facts() { from.turn } else { turn };
        let model = model.with_facts(known);
        let at_home = |model: &Model| -> Vec<FragmentKey> {
            model.hosts().flat_map(|host| compile::at_home(model, &host.name)).collect()
        };
        let touched = at_home(before).into_iter().chain(at_home(&model)).collect();
        let deltas = compile::deltas(before, &model, touched).hosts;
        let gone = before.hosts().filter(|host| model.host(&host.name).is_none());
        let gone = gone.map(|host| host.name.clone()).collect();
        let reached = Reached { version, turn };
        Self { gone, model, reached, encoded: Vec::new(), deltas, changed: Changed::Rows(Vec::new()) }
    }

    /// The hosts that are no longer known.
    pub(super) fn gone(&self) -> &[HostName] {
        &self.gone
    }

    /// Works out what these facts are to hosts; they lead to this turn. Nothing, if they are no news.
    #[must_use]
    pub fn prepare_facts((before, from): (&Model, Reached), facts: Vec<Fact>, turn: u64) -> Option<Self> {
        let mut model = before.clone();
        if !model.learn(&facts) {
            return None;
        }
        let changed = Changed::Facts(facts);
        let (encoded, deltas) = work_out(before, &model, &changed);
        let reached = Reached { version: from.version, turn };
        Some(Self { gone: Vec::new(), model, reached, encoded, deltas, changed })
    }
}

type Encodings = Vec<(FragmentKey, Option<Encoded>)>;

/// The touched fragments, encoded, and what each host is to be sent of them.
fn work_out(before: &Model, after: &Model, changed: &Changed) -> (Encodings, BTreeMap<HostName, HostDelta>) {
    let Deltas { hosts, compiled } = compile::deltas(before, after, changed.touched(before, after));
    let encode = |(key, compiled): (FragmentKey, Option<Compiled>)| {
        let encoded = compiled.map(|compiled| Encoded::of(&key, compiled));
        (key, encoded)
    };
    (compiled.into_iter().map(encode).collect(), hosts)
}

/// Who has been sent what.
pub struct Distribution {
    /// The mark of what is sent: of this store, in this form. An intent with another mark is not built upon.
    content: u64,
    model: Model,
    reached: Reached,
    /// The turn of facts before which none of this process is.
    turns_from: u64,
    hosts: BTreeMap<HostName, HostState>,
    encoded: EncodedFragments,
    connections: u64,
    /// The marks of what was announced when the last process ended, if that is known.
    announced_before: Option<HashSet<u64>>,
    /// What was handed out last, oldest first.
    recent: VecDeque<Recent>,
}

/// How many turns of handing out are remembered: agents that come back meet commits on their way.
const RECENT_MAX: usize = 64;
/// And how many writes and facts in them. An agent that was on its way for longer is sent everything.
const RECENT_CHANGES_MAX: usize = 1 << 16;

/// What was handed out in one turn.
struct Recent {
    from: Reached,
    to: Reached,
    changed: Changed,
    /// The facts before it.
    facts: Facts,
}

/// The model that an agent's intent was made of, the writes since, and up to which version they are.
pub struct AtHave {
    /// The model.
    pub model: Model,
    /// The writes to it since.
    pub writes: Vec<Write>,
    /// The version to which they lead.
    pub until: Version,
}

impl Distribution {
    /// Nothing has been sent; the model is at this version. `lineage` tells this store from any other that counts the same, and
    /// `turns_from` the turns of facts of this process from those of any before it: the milliseconds since the Unix epoch.
    #[must_use]
    pub fn new(model: Model, version: Version, lineage: u64, turns_from: u64) -> Self {
        let content = lineage.wrapping_mul(FORMS_MAX).wrapping_add(compile::FORM);
        Self {
            content,
            model,
            reached: Reached { version, turn: 0 },
            turns_from,
            hosts: BTreeMap::new(),
            encoded: EncodedFragments::default(),
            connections: 0,
            announced_before: None,
            recent: VecDeque::new(),
        }
    }

    /// Whether an agent's intent is one that can be built upon, if its version still can: of this store, in this form, and
    /// with facts that are still known.
    #[must_use]
    pub fn is_of_ours(&self, version: &wire::Version) -> bool {
        let turn = self.reached_by(*version).turn;
        let is_known = turn == self.reached.turn || self.recent.iter().any(|recent| recent.from.turn == turn);
        is_known && self.mark(turn) == version.content
    }

    /// Up to which version everything has been handed out.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.reached.version
    }

    /// The model at that version, with all that was learned, and how far that is.
    #[must_use]
    pub const fn model(&self) -> (&Model, Reached) {
        (&self.model, self.reached)
    }

    /// The mark of what is sent in a turn of facts.
    fn mark(&self, turn: u64) -> u64 {
        self.content.wrapping_add(turn.wrapping_mul(FORMS_MAX))
    }

    /// How far what an agent has is; whose mark is not ours is in no turn that there was.
    fn reached_by(&self, version: wire::Version) -> Reached {
        let turn = version.content.wrapping_sub(self.content) / FORMS_MAX;
        Reached { version: from_wire(version), turn }
    }

    /// The turn of the next facts.
    #[must_use]
    pub fn next_turn(&self) -> u64 {
        (self.reached.turn + 1).max(self.turns_from)
    }

    /// What is known of a host's agent, if it was ever connected since the process began.
    #[must_use]
    pub fn host(&self, host: &HostName) -> Option<&HostState> {
        self.hosts.get(host)
    }

    /// How many agents are connected.
    #[must_use]
    pub fn connected(&self) -> usize {
        self.hosts.values().filter(|state| state.connection.is_some()).count()
    }

    /// How many known hosts are not at rest at all that they were sent.
    #[must_use]
    pub fn behind(&self) -> usize {
        let at_rest =
            |host: &Arc<weft_services::Host>| self.hosts.get(&host.name).is_some_and(HostState::is_at_rest);
        self.model.hosts().filter(|host| !at_rest(host)).count()
    }

    /// Takes a commit over: exactly the connected hosts that it concerns are sent exactly what differs for them.
    pub fn advance(&mut self, version: Version, writes: &[Write]) -> Vec<Delivery> {
        let writes: Vec<&Write> = writes.iter().collect();
        self.hand_out(Advance::prepare(self.model(), version, &writes, None))
    }

    /// Takes facts over, likewise.
    pub fn learn(&mut self, facts: Vec<Fact>) -> Vec<Delivery> {
        let advance = Advance::prepare_facts(self.model(), facts, self.next_turn());
        advance.map(|advance| self.hand_out(advance)).unwrap_or_default()
    }

    /// Takes over a commit that was prepared on the model as it is now.
    pub fn hand_out(&mut self, advance: Advance) -> Vec<Delivery> {
        let Advance { model, reached, encoded, deltas, gone, changed } = advance;
        let facts = self.model.facts().clone();
        for service in changed.deleted_services() {
            self.encoded.forget(service);
        }
        self.remember(Recent { from: self.reached, to: reached, changed, facts });
        (self.model, self.reached) = (model, reached);
        for (key, encoded) in encoded {
            self.encoded.set(key, encoded);
        }
        let deliveries = deltas.into_iter().filter_map(|(host, delta)| self.deliver(host, &delta)).collect();
        for host in gone {
            self.hosts.remove(&host);
        }
        deliveries
    }

    fn remember(&mut self, recent: Recent) {
        self.recent.push_back(recent);
        let mut count: usize = self.recent.iter().map(|recent| recent.changed.len()).sum();
        while self.recent.len() > RECENT_MAX || count > RECENT_CHANGES_MAX {
            let Some(oldest) = self.recent.pop_front() else { return };
            count -= oldest.changed.len();
        }
    }

    /// Begins with the facts of an earlier life, which were those of this turn. What agents have of that turn can be built upon.
    pub fn recall(&mut self, turn: u64, facts: Facts) {
        let known = self.model.facts_of_ours(facts.clone());
        // The clock may have gone back.
        self.turns_from = self.turns_from.max(turn + 1);
        // Without those about what has gone since it is another turn.
        self.reached.turn = if known == facts { turn } else { self.next_turn() };
        self.model = self.model.clone().with_facts(known);
    }

    /// Begins anew with another model. Everybody has to come back; until then hosts go on with what they have, of which they have
    /// said how it is doing.
    pub fn reset(&mut self, anew: Advance) {
        let Advance { model, reached, deltas, gone, .. } = anew;
        (self.model, self.reached) = (model, reached);
        self.encoded = EncodedFragments::default();
        self.recent.clear();
        self.hosts.values_mut().for_each(|state| state.connection = None);
        for (host, delta) in deltas {
            self.expect(&host, &delta);
        }
        for host in gone {
            self.hosts.remove(&host);
        }
    }

    /// Notes what a host has to confirm of this.
    fn expect(&mut self, host: &HostName, delta: &HostDelta) {
        let (model, encoded) = (&self.model, &mut self.encoded);
        let is_home = |key: &&FragmentKey| encoded.get(model, key).is_some_and(|one| one.is_home(host));
        let upserts: Vec<FragmentKey> = delta.upserts.iter().filter(is_home).cloned().collect();
        let state = self.hosts.entry(host.clone()).or_default();
        state.expect(&upserts, &delta.removals, self.reached);
    }

    fn deliver(&mut self, host: HostName, delta: &HostDelta) -> Option<Delivery> {
        let to = self.to_wire(self.reached);
        self.expect(&host, delta);
        let state = self.hosts.get_mut(&host)?;
        let base = state.sent?;
        state.connection?;
        state.sent = Some(self.reached);
        let upserts = self.parts(&host, &delta.upserts);
        let removals = delta
            .removals
            .iter()
            .map(|id| wire::FragmentId { service: id.service.to_string(), subject: id.subject.to_string() });
        let updates = updates(to, Basis::On(self.to_wire(base)), upserts, removals);
        Some(Delivery { host, updates })
    }

    fn parts(&mut self, host: &HostName, keys: &[FragmentKey]) -> Vec<Bytes> {
        let part = |key| self.encoded.get(&self.model, key)?.on(host).cloned();
        keys.iter().filter_map(part).collect()
    }

    /// An agent has come, and has the intent of version `have`: answers its connection and what it is sent.
    ///
    /// `at_have` is what it can be led on from, where that can still be had, and up to a version that is not long ago: then it
    /// is sent what differs, and otherwise all.
    pub fn connect(
        &mut self,
        host: &HostName,
        have: wire::Version,
        at_have: Option<AtHave>,
    ) -> (u64, Vec<wire::Update>) {
        let have = self.reached_by(have);
        let at_have = at_have.and_then(|at_have| self.led_on(have, at_have));
        self.connections += 1;
        let connection = self.connections;
        let home = compile::at_home(&self.model, host);
        let state = self.hosts.entry(host.clone()).or_default();
        let reached = self.reached;
        let software_version = std::mem::take(&mut state.software_version);
        let (drifts, drifts_said) = (state.drifts, state.drifts_said);
        *state = HostState {
            connection: Some(connection),
            software_version,
            drifts,
            drifts_said,
            ..HostState::default()
        };
        state.pending = home.into_iter().map(|key| (key, reached)).collect();
        let Some((before, changes)) = at_have else {
            state.sent = Some(reached);
            return (connection, self.whole_intent(host));
        };
        let touched = changes.iter().flat_map(|changed| changed.touched(&before, &self.model)).collect();
        let delta = compile::delta_for(&before, &self.model, touched, host);
        state.sent = Some(have);
        if delta.upserts.is_empty() && delta.removals.is_empty() {
            state.pending.values_mut().for_each(|pending| *pending = have);
            return (connection, Vec::new());
        }
        let delivery = self.deliver(host.clone(), &delta);
        (connection, delivery.map(|delivery| delivery.updates).unwrap_or_default())
    }

    /// A past, and all that has changed from it to what is handed out now.
    fn led_on(&self, have: Reached, past: AtHave) -> Option<(Model, Vec<Changed>)> {
        let facts = if have.turn == self.reached.turn {
            self.model.facts()
        } else {
            &self.recent.iter().find(|recent| recent.from.turn == have.turn)?.facts
        };
        let until = Reached { version: past.until, turn: have.turn };
        // In the turn in which the past ends some may be there twice; that they are written is all that they say.
        let is_within =
            |recent: &Recent| recent.from.version <= until.version && until.version < recent.to.version;
        let is_whole = past.until == self.reached.version || self.recent.iter().any(is_within);
        let later = self.recent.iter().filter(|recent| match recent.changed {
            Changed::Rows(_) => recent.to.version > until.version,
            Changed::Facts(_) => recent.from.turn >= have.turn,
        });
        let later = later.map(|recent| recent.changed.clone());
        let changes = std::iter::once(Changed::Rows(past.writes)).chain(later).collect();
        is_whole.then(|| (past.model.with_facts(facts.clone()), changes))
    }

    fn whole_intent(&mut self, host: &HostName) -> Vec<wire::Update> {
        let mut parts = Vec::new();
        for service in compile::followed_by(&self.model, host) {
            parts.extend(self.encoded.all_on(&self.model, service, host).cloned());
        }
        updates(self.to_wire(self.reached), Basis::Full, parts, [])
    }

    fn to_wire(&self, reached: Reached) -> weft_protocol::Version {
        let version = reached.version;
        weft_protocol::Version::new(version.epoch.get(), version.revision.get())
            .with_content(self.mark(reached.turn))
    }

    /// What program an agent is.
    pub fn note_software(&mut self, host: &HostName, version: &str) {
        self.hosts.entry(host.clone()).or_default().software_version = version.to_owned();
    }

    /// An agent has gone. What it reported stays: the host goes on forwarding.
    pub fn disconnect(&mut self, host: &HostName, connection: u64) {
        if let Some(state) = self.hosts.get_mut(host)
            && state.connection == Some(connection)
        {
            state.connection = None;
        }
    }

    /// An agent has said which of the workloads' links have no carrier. Answers whether that is news.
    pub fn carriers(&mut self, host: &HostName, connection: u64, without: BTreeSet<IfName>) -> bool {
        let state = self.hosts.get_mut(host).filter(|state| state.connection == Some(connection));
        state.is_some_and(|state| std::mem::replace(&mut state.without_carrier, without.clone()) != without)
    }

    /// What is to be learned of the carriers on a host, for what is known of them to be what it said last.
    pub(crate) fn carrier_facts(&self, host: &HostName) -> Vec<Fact> {
        let known: BTreeSet<Id> = self.model.facts().without_carrier(host).collect();
        let said = self.without_carrier(host).into_iter().flatten();
        let said: BTreeSet<Id> = said.filter_map(|link| self.model.port_with_link(host, *link)).collect();
        let fact = |port: &Id, is_there| Fact::Carrier { port: *port, host: host.clone(), is_there };
        let back = known.difference(&said).map(|port| fact(port, true));
        back.chain(said.difference(&known).map(|port| fact(port, false))).collect()
    }

    /// The host's ends of workloads' links that have no carrier, as far as it has said.
    #[must_use]
    pub fn without_carrier(&self, host: &HostName) -> Option<&BTreeSet<IfName>> {
        self.hosts.get(host).map(|state| &state.without_carrier)
    }

    /// An agent has reported. Answers the departures that it has confirmed, and the fragments of which there is news.
    pub fn report(
        &mut self,
        host: &HostName,
        connection: u64,
        status: &wire::Status,
    ) -> (Vec<Departure>, Vec<FragmentKey>) {
        let reached = self.reached_by(status.version.unwrap_or_default());
        let Some(state) = self.hosts.get_mut(host).filter(|state| state.connection == Some(connection))
        else {
            return (Vec::new(), Vec::new());
        };
        if Some(reached) > state.sent {
            // It speaks of what it was not sent.
            return (Vec::new(), Vec::new());
        }
        if !status.observe_error.is_empty() {
            state.outcome.at_rest = false;
            state.outcome.all_removed = false;
            state.outcome.observe_error.clone_from(&status.observe_error);
            return (Vec::new(), Vec::new());
        }
        let news = state.take_over(status, reached);
        let departures = if state.has_removed_all() {
            self.model.departures().filter(|departure| departure.host == *host).cloned().collect()
        } else {
            Vec::new()
        };
        (departures, news)
    }

    /// Takes over what an agent has found other than it was left; answers what of that is new.
    pub fn drifts(&mut self, host: &HostName, connection: u64, status: &wire::Status) -> Vec<wire::Drift> {
        let state = self.hosts.get_mut(host).filter(|state| state.connection == Some(connection));
        let Some(state) = state else { return Vec::new() };
        // An agent that has begun anew counts from nothing.
        let said = if status.drifts < state.drifts_said { 0 } else { state.drifts_said };
        state.drifts = state.drifts.saturating_add(status.drifts - said);
        state.drifts_said = status.drifts;
        status.last_drifts.iter().filter(|drift| drift.number > said).cloned().collect()
    }

    /// Begins with the marks of what was announced in an earlier life. That is what hosts forward until they come, and nothing else;
    /// without marks, that is taken to be all that they were to have.
    pub fn recall_announced(&mut self, marks: HashSet<u64>) {
        self.announced_before = Some(marks);
    }

    /// Whether what has this mark was announced in an earlier life.
    pub(crate) fn was_announced(&self, mark: u64) -> bool {
        self.announced_before.as_ref().is_some_and(|marks| marks.contains(&mark))
    }

    /// Whether a host's agent has come since the process began.
    pub(crate) fn has_come(&self, host: &HostName) -> bool {
        self.hosts.get(host).is_some_and(|state| state.connection.is_some() || state.sent.is_some())
    }

    /// Whether a host forwards what a fragment asks it to; `None` while nothing is known of that.
    pub(crate) fn forwards(&self, host: &HostName, key: &FragmentKey) -> Option<bool> {
        if self.has_come(host) {
            return self.settled(host, key).map(|settled| settled.is_ok());
        }
        // It goes on with what it has. What it was to be sent since the process began it cannot have; nor may it have all that it was
        // to be sent before.
        let is_new = self.hosts.get(host).is_some_and(|state| state.pending.contains_key(key));
        (self.announced_before.is_none() && !is_new).then_some(true)
    }

    /// How a fragment is doing on the host of its subject: `None` while that has not been reported.
    pub(super) fn settled(&self, host: &HostName, key: &FragmentKey) -> Option<Result<(), NotDone>> {
        self.hosts.get(host)?.settled(key)
    }
}

/// How many forms of fragments there may ever be.
const FORMS_MAX: u64 = 1 << 16;

pub(super) fn from_wire(version: wire::Version) -> Version {
    Version {
        epoch: weft_store::Epoch::new(version.epoch),
        revision: weft_store::Revision::new(version.revision),
    }
}

#[cfg(test)]
mod tests;
