//! A large site in process, without network: who is sent what of one change, and what it costs the controller; and how long it takes until
//! all hosts have what they are to have, from the store on disk.
//!
//! What hosts are sent is compared with their whole intents before and after, compiled anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail, ensure};
use nix::time::{ClockId, clock_gettime};
use prost::Message;
use serde_json::{Value, json};
use weft_controller::agents::{Advance, Delivery, Distribution};
use weft_controller::head::Head;
use weft_net::HostName;
use weft_protocol::{encode_objects, wire};
use weft_services::compile::{self, ServiceKey};
use weft_services::{Change, Id, Model, Refusal, RowKind, Write};
use weft_store::{Epoch, Model as _, Options, Revision, Store, Version};

use crate::allocation;
use crate::figure::{Figure, median, milliseconds};
use crate::population::{Population, Size, entry, object, on_disk, store_in};

const ROUNDS: usize = 15;
/// Of hosts that are sent the same, so many are compared with their whole intents, and of hosts that are sent nothing: in the
/// first round, and in each other.
const COMPARED: [usize; 2] = [8, 1];

const MANY_NETWORKS: Size =
    Size { hosts: 1000, networks: 1000, ports_per_network: 100, hosts_per_network: 50 };
const ONE_NETWORK: Size = Size { hosts: 500, networks: 1, ports_per_network: 10_000, hosts_per_network: 500 };

pub(crate) fn run() -> anyhow::Result<Vec<Figure>> {
    let mut many = measure(MANY_NETWORKS)?;
    let mut one = measure(ONE_NETWORK)?;
    Ok(vec![
        Figure::new("scale", many.worst_change_ms(), "ms").at_most(5.0),
        Figure::new("scale/one_network_ms", one.worst_change_ms(), "ms").at_most(20.0),
        Figure::new("scale/cold_start_s", many.cold_start.as_secs_f64(), "s").at_most(10.0),
        Figure::new("scale/memory_mib", many.memory_bytes as f64 / f64::from(1 << 20), "MiB").at_most(1024.0),
    ])
}

struct Measured {
    /// By kind of change, the processor time of each.
    changes: BTreeMap<Kind, Vec<Duration>>,
    cold_start: Duration,
    memory_bytes: usize,
}

impl Measured {
    /// The median of the kind of change that costs most.
    fn worst_change_ms(&mut self) -> f64 {
        self.changes.values_mut().map(|times| milliseconds(median(times))).fold(0.0, f64::max)
    }
}

/// What becomes of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Made,
    Readdressed,
    Moved,
    Removed,
}

fn measure(size: Size) -> anyhow::Result<Measured> {
    allocation::begin();
    let mut site = Site::new(Population::make(size, |_| Ok(()))?);
    let begun = Instant::now();
    site.connect_all()?;
    let connected = begun.elapsed();
    let memory_bytes = allocation::end();
    let cold_start = connected + time_to_open(size)?;
    let mut changes = BTreeMap::<Kind, Vec<Duration>>::new();
    for round in 0..ROUNDS {
        let network = round * 61 % size.networks;
        let id = site.population.networks[network].clone();
        let homes = [3, 7].map(|port| site.population.host_of(network, port));
        let mut port = String::new();
        for kind in [Kind::Made, Kind::Readdressed, Kind::Moved, Kind::Removed] {
            let step = Step { kind, network: &id, homes: &homes };
            let compared = COMPARED[usize::from(round > 0)];
            let time = site.carry_out(&step, &mut port, compared)?;
            changes.entry(kind).or_default().push(time);
        }
    }
    Ok(Measured { changes, cold_start, memory_bytes })
}

/// How long a controller takes to open the store of such a site.
fn time_to_open(size: Size) -> anyhow::Result<Duration> {
    let directory = tempfile::tempdir()?;
    drop(on_disk(size, directory.path())?);
    let begun = Instant::now();
    let store = Store::<Head>::open(store_in(directory.path()), Options::default())?;
    let took = begun.elapsed();
    ensure!(store.durable().model.0.hosts().count() == size.hosts, "the store is not what was written");
    Ok(took)
}

/// A change of one port: of this network, on the first of these hosts or from there to the second.
struct Step<'a> {
    kind: Kind,
    network: &'a str,
    homes: &'a [String; 2],
}

impl Step<'_> {
    fn request(&self, change: &mut Change, port: &mut String) -> Result<(), Refusal> {
        let Ok(ports) = entry("ports") else { return Ok(()) };
        let update = |change: &mut Change, body: Value| ports.update(change, port, &object(body), None);
        match self.kind {
            Kind::Made => {
                let body = json!({ "network_id": self.network, "binding:host_id": self.homes[0] });
                *port = ports.create(change, &object(body))?;
                Ok(())
            }
            Kind::Readdressed => update(change, json!({ "fixed_ips": [{ "ip_address": "10.0.250.1" }] })),
            Kind::Moved => update(change, json!({ "binding:host_id": self.homes[1] })),
            Kind::Removed => ports.delete(change, port, None),
        }
    }
}

/// A model and its distribution.
struct Site {
    population: Population,
    distribution: Distribution,
    version: Version,
}

impl Site {
    fn new(population: Population) -> Self {
        let version = Version { epoch: Epoch::FIRST, revision: Revision::new(1) };
        let distribution = Distribution::new(population.model.clone(), version, 1, 0);
        Self { population, distribution, version }
    }

    /// Every host comes with nothing and is sent its whole intent.
    fn connect_all(&mut self) -> anyhow::Result<()> {
        let hosts: Vec<HostName> = self.population.model.hosts().map(|host| host.name.clone()).collect();
        for host in &hosts {
            let (_, updates) = self.distribution.connect(host, wire::Version::default(), None);
            ensure!(updates.last().is_some_and(|update| update.complete), "{host} is not sent its intent");
            updates.iter().for_each(send);
        }
        Ok(())
    }

    /// Makes a change; answers the processor time of all of it: checks and choices, rows as they are stored, who is sent what,
    /// and the messages.
    fn carry_out(&mut self, step: &Step<'_>, port: &mut String, compared: usize) -> anyhow::Result<Duration> {
        let before = self.population.model.clone();
        let begun = processor_time()?;
        let (writes, ()) = self.population.change(|change| step.request(change, port))?;
        writes.iter().for_each(|write| drop(std::hint::black_box(Head::encode(write))));
        self.version.revision = Revision::new(self.version.revision.get() + 1);
        let after = Some(self.population.model.clone());
        let (_, from) = self.distribution.model();
        let writes: Vec<&Write> = writes.iter().collect();
        let advance = Advance::prepare((&before, from), self.version, &writes, after);
        let deliveries = self.distribution.hand_out(advance);
        deliveries.iter().flat_map(|delivery| &delivery.updates).for_each(send);
        let took = processor_time()? - begun;
        let comparison = Comparison::new(&before, &self.population.model, step.network, &deliveries)?;
        comparison.check(compared).map_err(|error| anyhow!("{:?}: {error}", step.kind))?;
        Ok(took)
    }
}

/// What is left of sending: the message as bytes.
fn send(update: &wire::Update) {
    std::hint::black_box(update.encode_to_vec());
}

fn processor_time() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// What a host is sent: fragments with their objects, and fragments that it is to forget.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    upserts: BTreeMap<(String, String), Vec<u8>>,
    removals: BTreeSet<(String, String)>,
}

/// What hosts were sent, and what they should have been.
struct Comparison<'a> {
    before: &'a Model,
    after: &'a Model,
    concerned: BTreeSet<HostName>,
    sent: BTreeMap<HostName, Sent>,
}

impl<'a> Comparison<'a> {
    fn new(
        before: &'a Model,
        after: &'a Model,
        network: &str,
        deliveries: &[Delivery],
    ) -> anyhow::Result<Self> {
        let service = ServiceKey {
            kind: RowKind::Network,
            id: network.parse::<Id>().map_err(|error| anyhow!("{error}"))?,
        };
        let concerned = [before, after].into_iter().flat_map(|model| compile::followers(model, service));
        let mut sent = BTreeMap::new();
        for delivery in deliveries {
            if sent.insert(delivery.host.clone(), read(delivery)?).is_some() {
                bail!("{} is sent two updates of one change", delivery.host);
            }
        }
        Ok(Self { before, after, concerned: concerned.collect(), sent })
    }

    /// Sees that nobody else is sent anything, and compares what those concerned are sent with their intents.
    fn check(&self, compared: usize) -> anyhow::Result<()> {
        if let Some(host) = self.sent.keys().find(|host| !self.concerned.contains(*host)) {
            bail!("{host} is sent something, and is not concerned");
        }
        ensure!(self.sent.len() + 2 > self.concerned.len(), "only {} are sent anything", self.sent.len());
        let nothing = Sent::default();
        let mut alike: BTreeMap<&Sent, usize> = BTreeMap::new();
        for host in &self.concerned {
            let sent = self.sent.get(host).unwrap_or(&nothing);
            let seen = alike.entry(sent).or_default();
            *seen += 1;
            if *seen <= compared {
                ensure!(*sent == self.expected(host), "{host} is not sent what differs: {sent:?}");
            }
        }
        let others = self.after.hosts().filter(|host| !self.concerned.contains(&host.name));
        for host in others.take(compared) {
            ensure!(nothing == self.expected(&host.name), "{} is concerned and is sent nothing", host.name);
        }
        Ok(())
    }

    /// What differs between the host's whole intents.
    fn expected(&self, host: &HostName) -> Sent {
        let [mut before, after] = [self.before, self.after].map(|model| {
            let id = |id: &weft_dataplane::FragmentId| (id.service.to_string(), id.subject.to_string());
            let fragments = compile::intent_of(model, host);
            fragments.into_iter().map(|one| (id(&one.id), one.objects)).collect::<BTreeMap<_, _>>()
        });
        let mut expected = Sent::default();
        for (id, objects) in after {
            if before.remove(&id).as_ref() != Some(&objects) {
                expected.upserts.insert(id, encode_objects(&objects).to_vec());
            }
        }
        expected.removals = before.into_keys().collect();
        expected
    }
}

fn read(delivery: &Delivery) -> Result<Sent, prost::DecodeError> {
    let mut sent = Sent::default();
    for update in &delivery.updates {
        for part in &update.upserts {
            let part = wire::FragmentPart::decode(part.clone())?;
            sent.upserts.insert((part.service, part.subject), part.objects.to_vec());
        }
        let removals = update.removals.iter().map(|id| (id.service.clone(), id.subject.clone()));
        sent.removals.extend(removals);
    }
    Ok(sent)
}
