//! Compilation: from the model to what each host should look like, in fragments.
//!
//! A fragment is (service instance, subject) → objects. Its *homes*, the hosts that the subject is on, get each their own
//! set of objects, every other host that follows the instance gets the other. One port more in a network of 10,000 ports
//! over 500 hosts is one fragment, encoded twice; a cold start, a full check and an incremental step run the same code.
//!
//! Each service has its own part of this behind [`Service`], and [`SERVICES`] is the list of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_dataplane::{Fragment, FragmentId, Object};
use weft_net::{HostName, Mac};

use crate::announce::Announcement;
use crate::core::compile::Vnics;
use crate::departure::Presence;
use crate::exclusive::Exclusive;
use crate::network::compile::LayerTwo;
use crate::vrf::compile::Vrfs;
use crate::{Fact, Id, Model, RowKey, RowKind, Write};

/// The form of what is compiled, for those who keep it: raised whenever the same model is compiled to something else. An agent
/// that resumes would otherwise go on with what it has.
pub const FORM: u64 = 11;

/// Every service that puts something on hosts. A new one is a line here.
pub(crate) const SERVICES: &[&dyn Service] = &[&Vnics, &LayerTwo, &Vrfs];

/// What a service puts on hosts. An instance of it is a row of its kind; a subject is a row that adds to an instance.
pub(crate) trait Service: Sync {
    /// The kind of row that is an instance of it.
    fn kind(&self) -> RowKind;

    /// The hosts that follow an instance: they are sent all of its fragments.
    fn followers(&self, model: &Model, instance: Id) -> Vec<HostName>;

    /// The instances that a host follows.
    fn followed_by(&self, model: &Model, host: &HostName) -> Vec<Id>;

    /// The subjects of an instance.
    fn subjects(&self, model: &Model, instance: Id) -> Vec<Subject>;

    /// The fragments whose subject is on a host.
    fn at_home(&self, model: &Model, host: &HostName) -> Vec<FragmentKey>;

    /// What a subject puts on hosts; `None` while it puts nothing on any.
    fn compile(&self, model: &Model, instance: Id, subject: &Subject) -> Option<Compiled>;

    /// Adds the fragments that a write to this row may have touched; asked of the model before it and of the one after it.
    fn touched(&self, model: &Model, change: &Step<'_>, touched: &mut BTreeSet<FragmentKey>);

    /// Adds the fragments that a fact may have touched, which is one of those that lead from the first model to the second.
    fn touched_by(&self, _: [&Model; 2], _: &Fact, _: &mut BTreeSet<FragmentKey>) {}

    /// What only one can have that hosts have of an instance for as long as it is on them.
    fn exclusives(&self, model: &Model, instance: Id) -> Vec<Exclusive>;

    /// What of it is on hosts because of this row, as its instances and the hosts; of an instance's own row, all.
    fn presences(&self, model: &Model, row: &RowKey) -> Vec<Presence>;

    /// Whether an instance is on a host.
    fn is_on(&self, model: &Model, instance: Id, host: &HostName) -> bool;

    /// Whether something may be announced to BGP neighbours because of a subject.
    fn may_announce(&self, _: &Subject) -> bool {
        false
    }

    /// What is announced because of a subject, once its hosts have carried out the fragment.
    fn announcements(&self, _: &Model, _: Id, _: &Subject) -> Vec<Announcement> {
        Vec::new()
    }

    /// The subjects of which it has to be looked what is announced because of them when it has to be of this one.
    fn looked_at_with(&self, _: &Model, _: Id, _: &Subject) -> Vec<Subject> {
        Vec::new()
    }

    /// Every fragment because of which something may be announced.
    fn announcing(&self, _: &Model) -> Vec<FragmentKey> {
        Vec::new()
    }
}

/// A write to a row, with the models around the change that it is part of.
pub(crate) struct Step<'a> {
    pub(crate) row: RowKey,
    pub(crate) before: &'a Model,
    pub(crate) after: &'a Model,
}

/// An instance of a service, as far as hosts follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ServiceKey {
    /// The kind of row that it is.
    pub kind: RowKind,
    /// Which of them.
    pub id: Id,
}

impl ServiceKey {
    pub(crate) fn service(self) -> &'static dyn Service {
        let found = SERVICES.iter().find(|service| service.kind() == self.kind);
        *found.expect("keys are made of services, or are checked against them when they are read")
    }

    fn row_key(self) -> RowKey {
        RowKey::Resource(self.kind, self.id)
    }

    fn from_text(text: &str) -> Option<Self> {
        let RowKey::Resource(kind, id) = RowKey::from_text(text).ok()? else { return None };
        SERVICES.iter().any(|service| service.kind() == kind).then_some(Self { kind, id })
    }
}

impl From<ServiceKey> for String {
    fn from(key: ServiceKey) -> Self {
        key.to_string()
    }
}

impl TryFrom<String> for ServiceKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::from_text(&text).ok_or_else(|| format!("'{text}' is not an instance of a service"))
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.row_key().to_text())
    }
}

/// What adds to an instance of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A row: a port, a slice of it, a host that takes part.
    Row(RowKey),
    /// A destination of a routing table: several rows may lead to it.
    Prefix(IpNet),
    /// A MAC address that was learned.
    Mac(Mac),
    /// A tunnel endpoint that was learned.
    Endpoint(IpAddr),
}

impl Subject {
    /// What comes before all others.
    pub const MIN: Self = Self::Row(RowKey::Resource(RowKind::Host, Id::MIN));
    const PREFIX: &str = "prefix/";
    const MAC: &str = "mac/";
    const ENDPOINT: &str = "endpoint/";

    fn to_text(&self) -> String {
        match self {
            Self::Row(row) => row.to_text(),
            Self::Prefix(prefix) => format!("{}{prefix}", Self::PREFIX),
            Self::Mac(mac) => format!("{}{mac}", Self::MAC),
            Self::Endpoint(endpoint) => format!("{}{endpoint}", Self::ENDPOINT),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        if let Some(prefix) = text.strip_prefix(Self::PREFIX) {
            return Some(Self::Prefix(prefix.parse().ok()?));
        }
        if let Some(mac) = text.strip_prefix(Self::MAC) {
            return Some(Self::Mac(mac.parse().ok()?));
        }
        if let Some(endpoint) = text.strip_prefix(Self::ENDPOINT) {
            return Some(Self::Endpoint(endpoint.parse().ok()?));
        }
        Some(Self::Row(RowKey::from_text(text).ok()?))
    }

    /// Whether it is a resource: not a mere fact, nor what several add up to.
    #[must_use]
    pub const fn is_resource(&self) -> bool {
        matches!(self, Self::Row(RowKey::Resource(..)))
    }
}

impl From<RowKey> for Subject {
    fn from(row: RowKey) -> Self {
        Self::Row(row)
    }
}

/// A subject that adds to an instance of a service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FragmentKey {
    /// The instance of a service.
    pub service: ServiceKey,
    /// What adds to it.
    pub subject: Subject,
}

impl FragmentKey {
    /// What a subject adds to an instance of a service.
    #[must_use]
    pub fn new(kind: RowKind, instance: Id, subject: impl Into<Subject>) -> Self {
        Self { service: ServiceKey { kind, id: instance }, subject: subject.into() }
    }

    /// The same as agents know it.
    #[must_use]
    pub fn id(&self) -> FragmentId {
        FragmentId { service: self.service.to_string().into(), subject: self.subject.to_text().into() }
    }

    /// The row that asked for what is in the fragment: its subject, or the service where a host did by taking part, or
    /// several did.
    #[must_use]
    pub fn asked_by(&self) -> RowKey {
        match &self.subject {
            Subject::Row(row @ RowKey::Resource(..)) => row.clone(),
            Subject::Row(RowKey::Host(_) | RowKey::Departure(..))
            | Subject::Prefix(_)
            | Subject::Mac(_)
            | Subject::Endpoint(_) => self.service.row_key(),
        }
    }

    /// The key that agents know by this identifier.
    #[must_use]
    pub fn from_id(id: &FragmentId) -> Option<Self> {
        let service = ServiceKey::from_text(&id.service)?;
        Some(Self { service, subject: Subject::from_text(&id.subject)? })
    }
}

/// A compiled fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The objects on the hosts that the subject is on: its homes.
    pub at: BTreeMap<HostName, Vec<Object>>,
    /// The objects on every other host that follows the instance.
    pub elsewhere: Vec<Object>,
}

impl Compiled {
    /// What is on one host, and nowhere else.
    pub(crate) fn only_at(home: HostName, objects: Vec<Object>) -> Self {
        Self { at: BTreeMap::from([(home, objects)]), elsewhere: Vec::new() }
    }

    /// What is the same on every host that follows the instance.
    pub(crate) const fn everywhere(objects: Vec<Object>) -> Self {
        Self { at: BTreeMap::new(), elsewhere: objects }
    }

    /// The objects on this host, which is a home from now on: at first with what every other host has.
    pub(crate) fn home(&mut self, host: &HostName) -> &mut Vec<Object> {
        self.at.entry(host.clone()).or_insert_with(|| self.elsewhere.clone())
    }

    /// The objects on this host, which follows the instance.
    #[must_use]
    pub fn objects_on(&self, host: &HostName) -> &[Object] {
        self.at.get(host).unwrap_or(&self.elsewhere)
    }

    /// Whether the subject is on this host.
    #[must_use]
    pub fn is_home(&self, host: &HostName) -> bool {
        self.at.contains_key(host)
    }
}

/// What a fragment puts on hosts; `None` while it puts nothing on any.
#[must_use]
pub fn compile(model: &Model, key: &FragmentKey) -> Option<Compiled> {
    key.service.service().compile(model, key.service.id, &key.subject)
}

/// All fragments of an instance of a service.
#[must_use]
pub fn fragments_of(model: &Model, service: ServiceKey) -> Vec<FragmentKey> {
    let subjects = service.service().subjects(model, service.id);
    subjects.into_iter().map(|subject| FragmentKey { service, subject }).collect()
}

/// The hosts that follow an instance of a service.
#[must_use]
pub fn followers(model: &Model, service: ServiceKey) -> Vec<HostName> {
    service.service().followers(model, service.id)
}

/// The instances of services that a host follows.
#[must_use]
pub fn followed_by(model: &Model, host: &HostName) -> BTreeSet<ServiceKey> {
    if !model.hosts.contains_key(host) {
        return BTreeSet::new();
    }
    let of_service = |service: &&dyn Service| {
        let kind = service.kind();
        service.followed_by(model, host).into_iter().map(move |id| ServiceKey { kind, id })
    };
    SERVICES.iter().flat_map(of_service).collect()
}

/// The fragments whose subject is on a host.
#[must_use]
pub fn at_home(model: &Model, host: &HostName) -> Vec<FragmentKey> {
    SERVICES.iter().flat_map(|service| service.at_home(model, host)).collect()
}

/// The whole intent of a host.
#[must_use]
pub fn intent_of(model: &Model, host: &HostName) -> Vec<Fragment> {
    let keys = followed_by(model, host).into_iter().flat_map(|service| fragments_of(model, service));
    let compiled = keys.filter_map(|key| {
        let objects = compile(model, &key)?.objects_on(host).to_vec();
        Some(Fragment { id: key.id(), objects })
    });
    compiled.filter(|fragment| !fragment.objects.is_empty()).collect()
}

/// The fragments that a change may have touched: those that have to be compiled again, before or after it.
#[must_use]
pub fn touched<'w>(
    before: &Model,
    after: &Model,
    writes: impl IntoIterator<Item = &'w Write>,
) -> BTreeSet<FragmentKey> {
    let rows: BTreeSet<RowKey> = writes.into_iter().map(Write::key).collect();
    let mut touched = BTreeSet::new();
    for row in rows {
        let step = Step { row, before, after };
        for service in SERVICES {
            service.touched(before, &step, &mut touched);
            service.touched(after, &step, &mut touched);
        }
    }
    touched
}

/// The fragments that facts may have touched: the same for what is learned as [`touched`] for what is written.
#[must_use]
pub fn touched_by<'f>(
    before: &Model,
    after: &Model,
    facts: impl IntoIterator<Item = &'f Fact>,
) -> BTreeSet<FragmentKey> {
    let mut touched = BTreeSet::new();
    for fact in facts {
        for service in SERVICES {
            service.touched_by([before, after], fact, &mut touched);
        }
    }
    touched
}

/// What a change is to one host: the fragments that it is to be sent, and those that it is to forget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostDelta {
    /// Fragments that are new on the host or put something else on it than before, in order.
    pub upserts: Vec<FragmentKey>,
    /// Fragments that put nothing on it any more, in order.
    pub removals: Vec<FragmentId>,
}

/// What a change is to the hosts.
#[derive(Debug, Default)]
pub struct Deltas {
    /// Each host that it concerns.
    pub hosts: BTreeMap<HostName, HostDelta>,
    /// The touched fragments as they are after the change.
    pub compiled: Vec<(FragmentKey, Option<Compiled>)>,
}

/// What a change is to each host that it concerns; [`touched`] says which fragments it is about. A host that begins to follow a service gets all of the service's
/// fragments, one that stops loses them all, and one that follows it before and after gets those that differ for it.
#[must_use]
pub fn deltas(before: &Model, after: &Model, touched: BTreeSet<FragmentKey>) -> Deltas {
    let mut deltas = Deltas::default();
    for (service, keys) in by_service(touched) {
        let [were, are] =
            [before, after].map(|model| followers(model, service).into_iter().collect::<BTreeSet<_>>());
        let stayed: Vec<&HostName> = were.intersection(&are).collect();
        let joined: Vec<&HostName> = are.difference(&were).collect();
        let left: Vec<&HostName> = were.difference(&are).collect();
        for key in keys {
            let now = compile(after, &key);
            if !stayed.is_empty() {
                changed(&key, [compile(before, &key).as_ref(), now.as_ref()], &stayed, &mut deltas.hosts);
            }
            deltas.compiled.push((key, now));
        }
        let all = |model, hosts: &[&HostName]| {
            if hosts.is_empty() { Vec::new() } else { fragments_of(model, service) }
        };
        for key in all(after, &joined) {
            changed(&key, [None, compile(after, &key).as_ref()], &joined, &mut deltas.hosts);
        }
        for key in all(before, &left) {
            changed(&key, [compile(before, &key).as_ref(), None], &left, &mut deltas.hosts);
        }
    }
    deltas.hosts.values_mut().for_each(HostDelta::sort);
    deltas
}

/// What a change is to one host, as [`deltas`] has it.
#[must_use]
pub fn delta_for(
    before: &Model,
    after: &Model,
    touched: BTreeSet<FragmentKey>,
    host: &HostName,
) -> HostDelta {
    let [were, are] = [before, after].map(|model| followed_by(model, host));
    let mut deltas = BTreeMap::new();
    for (service, keys) in by_service(touched) {
        let (were, are) = (were.contains(&service), are.contains(&service));
        let keys = match (were, are) {
            (true, true) => keys,
            (false, true) => fragments_of(after, service),
            (true, false) => fragments_of(before, service),
            (false, false) => Vec::new(),
        };
        for key in keys {
            let was = if were { compile(before, &key) } else { None };
            let is = if are { compile(after, &key) } else { None };
            changed(&key, [was.as_ref(), is.as_ref()], &[host], &mut deltas);
        }
    }
    let mut delta = deltas.remove(host).unwrap_or_default();
    delta.sort();
    delta
}

fn by_service(touched: BTreeSet<FragmentKey>) -> BTreeMap<ServiceKey, Vec<FragmentKey>> {
    let mut services: BTreeMap<ServiceKey, Vec<FragmentKey>> = BTreeMap::new();
    for key in touched {
        services.entry(key.service).or_default().push(key);
    }
    services
}

/// Notes for each of these hosts what becomes of a fragment on it.
fn changed(
    key: &FragmentKey,
    [before, after]: [Option<&Compiled>; 2],
    hosts: &[&HostName],
    deltas: &mut BTreeMap<HostName, HostDelta>,
) {
    let on = |host: &HostName| {
        Fate::of([before, after].map(|found| found.map_or(&[][..], |found| found.objects_on(host))))
    };
    let is_home = |host: &HostName| [before, after].into_iter().flatten().any(|found| found.is_home(host));
    // On all hosts that are nobody's home it is the same.
    let elsewhere = hosts.iter().find(|host| !is_home(host)).map_or(Fate::Same, |host| on(host));
    for host in hosts {
        match if is_home(host) { on(host) } else { elsewhere } {
            Fate::Same => {}
            Fate::Upserted => deltas.entry((*host).clone()).or_default().upserts.push(key.clone()),
            Fate::Removed => deltas.entry((*host).clone()).or_default().removals.push(key.id()),
        }
    }
}

/// What becomes of a fragment on a host.
#[derive(Clone, Copy)]
enum Fate {
    Same,
    Upserted,
    Removed,
}

impl Fate {
    fn of([before, after]: [&[Object]; 2]) -> Self {
        match (before == after, after.is_empty()) {
            (true, _) => Self::Same,
            (false, true) => Self::Removed,
            (false, false) => Self::Upserted,
        }
    }
}

impl HostDelta {
    fn sort(&mut self) {
        self.upserts.sort();
        self.removals.sort();
    }
}
