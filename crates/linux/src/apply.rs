//! Plans into batches: each step becomes messages, many steps go out in one `send`, each step gets its outcome.
//!
//! ```text
//! Step ── messages ──> queue of its namespace ── flush ──> answers ──> outcomes; events ──> mirror
//! ```
//!
//! The queue of the namespace that the steps are in goes out before any other's, so what a step left for another namespace
//! (the other end of a veth) comes after what it needs. What netlink cannot do (a namespace, a TAP device) is done at once,
//! after all that was queued before it.

use std::collections::{BTreeMap, HashMap};
use std::io;

use weft_dataplane::{
    BridgeFdb, Flood, Link, LinkId, Namespace, Neighbour, Object, PATHS_MAX, Plan, Step, StepError,
    StepOutcome, VxlanFdb,
};
use weft_net::{IfName, Mac};

use crate::encode::{self, FdbChange, RouteChange};
use crate::host::{LinuxHost, Place};
use crate::mirror::{end_mark, own_mark};
use crate::netlink::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, Refusal};
use crate::parse::Fact;
use crate::wire;

mod addresses;
mod links;
mod places;
mod ports;
mod routes;

/// What a single step writes at most; a batch is sent before it could grow beyond its bounds.
const STEP_BYTES_MAX: usize = 16 * 1024;
const STEP_MESSAGES_MAX: usize = PATHS_MAX + 16;

/// An IPv6 setting of a link, and its value.
type Setting = (&'static str, &'static str);
const DISABLE_IPV6: &str = "disable_ipv6";
const IPV6_OFF: Setting = (DISABLE_IPV6, "1");
const IPV6_ON: Setting = (DISABLE_IPV6, "0");

/// A plan being carried out.
struct Run {
    outcomes: Vec<StepOutcome>,
    queues: BTreeMap<Namespace, Queue>,
    /// The namespace in which the steps are.
    main: Namespace,
    /// The links made by this plan, which the mirror may not know yet.
    created: HashMap<LinkId, u32>,
    /// Links were made of which not all may be sent: without its other end, a veth has no carrier.
    has_new_links: bool,
    /// The next hops made by this plan.
    next_hops: routes::Made,
}

/// What is to be sent to one namespace.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    /// Of which step each message is, and whether its refusal matters.
    tags: Vec<(usize, Care)>,
    /// IPv6 settings of links, to be set after the batch.
    settings: Vec<(usize, IfName, Setting)>,
    /// Links to look at after all of that: of a new name of a link that is down the kernel tells nobody, and of some settings
    /// not always.
    look_at: Vec<u32>,
    /// What the kernel tells later than it acknowledges (IPv6 addresses), or not at all (proxies).
    facts: Vec<(usize, Fact)>,
}

/// Whether a refusal matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    Must,
    /// Not if it says that there is nothing to remove.
    Removes,
    /// No: what comes after shows whether it was needed.
    May,
}

/// The step that a message belongs to.
#[derive(Clone, Copy)]
struct At<'a> {
    step: usize,
    namespace: &'a Namespace,
}

impl Run {
    /// Writes messages of a step into the queue of a namespace.
    fn put(&mut self, at: At<'_>, care: Care, write: impl FnOnce(&mut Vec<u8>)) {
        let queue = match self.queues.get_mut(at.namespace) {
            Some(queue) => queue,
            None => self.queues.entry(at.namespace.clone()).or_default(),
        };
        let before = queue.bytes.len();
        write(&mut queue.bytes);
        let count = wire::messages(&queue.bytes[before..]).count();
        queue.tags.extend(std::iter::repeat_n((at.step, care), count));
    }

    fn fail(&mut self, step: usize, reason: &str) {
        if let Some(outcome) = self.outcomes.get_mut(step).filter(|outcome| outcome.is_ok()) {
            *outcome = refuse(reason);
        }
    }

    fn is_full(&self, namespace: &Namespace) -> bool {
        self.queues.get(namespace).is_some_and(|queue| {
            queue.bytes.len() + STEP_BYTES_MAX > BATCH_BYTES_MAX
                || queue.tags.len() + STEP_MESSAGES_MAX > BATCH_MESSAGES_MAX
        })
    }
}

fn refuse<T>(reason: impl ToString) -> Result<T, StepError> {
    Err(StepError { reason: reason.to_string() })
}

fn failed(error: io::Error) -> StepError {
    StepError { reason: error.to_string() }
}

impl LinuxHost {
    /// Carries a plan out, step by step, past failures.
    pub(crate) fn carry_out(&mut self, plan: &Plan) -> Vec<StepOutcome> {
        self.drain();
        let mut run = Run {
            outcomes: vec![Ok(()); plan.steps.len()],
            queues: BTreeMap::new(),
            main: Namespace::Host,
            created: HashMap::new(),
            has_new_links: false,
            next_hops: HashMap::new(),
        };
        for (number, step) in plan.steps.iter().enumerate() {
            let outcome = match step {
                Step::Create(object) => self.create(&mut run, number, object),
                Step::Replace { from, to } => self.replace(&mut run, number, from, to),
                Step::Delete(object) => self.delete(&mut run, number, object),
            };
            if let Err(error) = outcome {
                run.fail(number, &error.reason);
            }
        }
        self.flush_all(&mut run);
        self.drain();
        self.remove_orphans(&mut run);
        self.flush_all(&mut run);
        run.outcomes
    }

    /// Says that the next messages are for this namespace; sends what must go before them.
    fn turn_to(&mut self, run: &mut Run, namespace: &Namespace) {
        if run.main != *namespace {
            let main = std::mem::replace(&mut run.main, namespace.clone());
            self.flush(run, &main);
        }
        let full: Vec<Namespace> = run.queues.keys().filter(|name| run.is_full(name)).cloned().collect();
        if !full.is_empty() {
            self.flush(run, namespace);
            full.iter().for_each(|namespace| self.flush(run, namespace));
        }
    }

    fn flush_all(&mut self, run: &mut Run) {
        run.has_new_links = false;
        let main = run.main.clone();
        self.flush(run, &main);
        for namespace in run.queues.keys().cloned().collect::<Vec<_>>() {
            self.flush(run, &namespace);
        }
    }

    /// Sends what is queued for a namespace, and takes in what came of it.
    fn flush(&mut self, run: &mut Run, namespace: &Namespace) {
        let Some(mut queue) = run.queues.remove(namespace).filter(|queue| !queue.tags.is_empty()) else {
            return;
        };
        let Some(place) = self.places.get_mut(namespace) else {
            queue.tags.iter().for_each(|(step, _)| run.fail(*step, "its namespace is not there"));
            return;
        };
        self.writes += (queue.tags.len() + queue.settings.len()) as u64;
        match place.sockets.route.change(&mut queue.bytes) {
            Ok(answers) => {
                for ((step, care), answer) in queue.tags.iter().zip(answers) {
                    if let Err(refusal) = answer
                        && *care != Care::May
                        && !(*care == Care::Removes && says_not_there(&refusal))
                    {
                        run.fail(*step, &refusal.to_string());
                    }
                }
            }
            Err(error) => queue.tags.iter().for_each(|(step, _)| run.fail(*step, &error.to_string())),
        }
        queue.settings.retain(|(step, ..)| run.outcomes.get(*step).is_some_and(Result::is_ok));
        self.drain_one(namespace);
        self.note_facts(run, namespace, std::mem::take(&mut queue.facts));
        self.set_ipv6(run, namespace, &queue.settings);
        self.look_at(namespace, &queue.look_at);
        // What was taken is given back, so that its room is used again.
        queue.bytes.clear();
        queue.tags.clear();
        queue.settings.clear();
        queue.look_at.clear();
        run.queues.insert(namespace.clone(), queue);
    }

    fn create(&mut self, run: &mut Run, step: usize, object: &Object) -> StepOutcome {
        match object {
            Object::Namespace(name) => {
                self.flush_all(run);
                self.create_namespace(name)
            }
            Object::Vrf(vrf) => self.set_vrf(run, vrf, true),
            Object::Link(link) => self.create_link(run, step, link),
            Object::ForeignLink(_) => refuse("a link of somebody else's is not ours to make"),
            Object::BridgePort(port) => self.attach(run, step, port),
            Object::Steering(steering) => self.steer(run, step, steering),
            Object::Address(link, address) => self.create_address(run, step, link, *address),
            Object::VxlanFdb(entry) => {
                let (index, at) = self.own(run, step, &entry.link)?;
                run.put(at, Care::Must, |batch| {
                    let to = (entry.destination, entry.vni);
                    encode::vxlan_fdb(batch, FdbChange::Replace, index, entry.mac, to);
                });
                Ok(())
            }
            Object::Flood(entry) => {
                let (index, at) = self.own(run, step, &entry.link)?;
                run.put(at, Care::Must, |batch| {
                    let to = (entry.destination, entry.vni);
                    encode::vxlan_fdb(batch, FdbChange::Append, index, Mac::ZERO, to);
                });
                Ok(())
            }
            Object::BridgeFdb(entry) => {
                let (index, at) = self.own(run, step, &entry.link)?;
                run.put(at, Care::Must, |batch| encode::bridge_fdb(batch, true, index, entry.mac));
                Ok(())
            }
            Object::Neighbour(entry) => {
                let (index, at) = self.any(run, step, &entry.link)?;
                run.put(at, Care::Must, |batch| {
                    encode::neighbour(batch, index, entry.address, Some(entry.mac))
                });
                Ok(())
            }
            Object::ProxyNeighbour(link, address) => self.set_proxy(run, step, (link, *address), true),
            Object::ProxyArp(link) => self.set_proxy_arp(run, step, link, true),
            Object::Ingress(link) => self.set_ingress(run, step, link, true),
            Object::Route(route) => self.set_route(run, step, route, RouteChange::Create),
            Object::LabelRoute(route) => self.set_label(run, step, route, true),
        }
    }

    fn replace(&mut self, run: &mut Run, step: usize, from: &Object, to: &Object) -> StepOutcome {
        match (from, to) {
            (Object::Link(from), Object::Link(to)) => self.change_link(run, step, from, to),
            (_, Object::Vrf(vrf)) => self.set_vrf(run, vrf, false),
            (_, Object::Route(route)) => self.set_route(run, step, route, RouteChange::Replace),
            (Object::Steering(from), Object::Steering(to)) if from.to != to.to => {
                self.unsteer(run, step, from)?;
                self.steer(run, step, to)
            }
            (
                _,
                Object::BridgePort(_)
                | Object::Steering(_)
                | Object::Neighbour(_)
                | Object::VxlanFdb(_)
                | Object::LabelRoute(_),
            ) => self.create(run, step, to),
            _ => refuse("it cannot be changed in place"),
        }
    }

    fn delete(&mut self, run: &mut Run, step: usize, object: &Object) -> StepOutcome {
        match object {
            Object::Namespace(name) => {
                self.flush_all(run);
                self.delete_namespace(&Namespace::Named(name.clone()))
            }
            Object::Vrf(vrf) => self.delete_vrf(run, vrf.name),
            Object::ForeignLink(_) => refuse("a link of somebody else's is not ours to remove"),
            Object::BridgePort(port) => self.detach(run, step, port),
            Object::Steering(steering) => self.unsteer(run, step, steering),
            Object::ProxyNeighbour(link, address) => self.set_proxy(run, step, (link, *address), false),
            Object::ProxyArp(link) => self.set_proxy_arp(run, step, link, false),
            Object::Ingress(link) => self.set_ingress(run, step, link, false),
            Object::Route(route) => self.delete_route(run, step, route),
            Object::LabelRoute(route) => self.set_label(run, step, route, false),
            Object::Link(Link { id: link, .. })
            | Object::Address(link, _)
            | Object::VxlanFdb(VxlanFdb { link, .. })
            | Object::Flood(Flood { link, .. })
            | Object::BridgeFdb(BridgeFdb { link, .. })
            | Object::Neighbour(Neighbour { link, .. }) => self.delete_from(run, step, link, object),
        }
    }

    /// Removes a link, or an entry of it.
    fn delete_from(&mut self, run: &mut Run, step: usize, link: &LinkId, object: &Object) -> StepOutcome {
        // Where the link is gone, so is all that it had.
        let Ok((index, at)) = self.any(run, step, link) else { return Ok(()) };
        if matches!(object, Object::Link(_)) {
            self.own(run, step, link)?;
            run.created.remove(link);
        }
        if let (Object::Address(_, address), Some(table)) = (object, self.ingress_table_of(&link.namespace)) {
            let delivery = (index, address.addr());
            run.put(at, Care::Removes, |batch| encode::delivery(batch, false, table, delivery));
        }
        let delete = FdbChange::Delete;
        run.put(at, Care::Removes, |batch| match object {
            Object::Link(_) => encode::delete_link(batch, index),
            Object::Address(_, address) => encode::address(batch, false, index, *address),
            Object::VxlanFdb(entry) => {
                encode::vxlan_fdb(batch, delete, index, entry.mac, (entry.destination, entry.vni));
            }
            Object::Flood(entry) => {
                encode::vxlan_fdb(batch, delete, index, Mac::ZERO, (entry.destination, entry.vni));
            }
            Object::BridgeFdb(entry) => encode::bridge_fdb(batch, false, index, entry.mac),
            Object::Neighbour(entry) => encode::neighbour(batch, index, entry.address, None),
            _ => {}
        });
        Ok(())
    }

    /// The index of a link, whoever made it; turns to its namespace.
    fn any<'a>(&mut self, run: &mut Run, step: usize, id: &'a LinkId) -> Result<(u32, At<'a>), StepError> {
        let namespace = self.mirror.netns(&id.namespace);
        self.turn_to(run, namespace);
        let known = run.created.get(id).copied().or_else(|| self.mirror.link(id).map(|link| link.index));
        let Some(index) = known else { return refuse(format!("there is no link {id}")) };
        Ok((index, At { step, namespace }))
    }

    /// The index of a link that we made; turns to its namespace.
    fn own<'a>(&mut self, run: &mut Run, step: usize, id: &'a LinkId) -> Result<(u32, At<'a>), StepError> {
        let found = self.any(run, step, id)?;
        let ours = run.created.contains_key(id) || self.mirror.link(id).and_then(own_mark).is_some();
        if ours { Ok(found) } else { refuse(format!("link {id} does not bear our mark")) }
    }

    /// The index of a link that we made, or whose other end we made; turns to its namespace.
    fn made<'a>(&mut self, run: &mut Run, step: usize, id: &'a LinkId) -> Result<(u32, At<'a>), StepError> {
        let is_end = self.mirror.link(id).is_some_and(|raw| end_mark(raw).is_some());
        if is_end { self.any(run, step, id) } else { self.own(run, step, id) }
    }

    fn place(&mut self, namespace: &Namespace) -> Result<&mut Place, StepError> {
        let missing = || StepError { reason: format!("there is no namespace {namespace}") };
        self.places.get_mut(namespace).ok_or_else(missing)
    }
}

fn says_not_there(refusal: &Refusal) -> bool {
    [libc::ENODEV, libc::ENOENT, libc::ESRCH, libc::EADDRNOTAVAIL].contains(&refusal.code)
}

fn says_exists(refusal: &Refusal) -> bool {
    refusal.code == libc::EEXIST
}
