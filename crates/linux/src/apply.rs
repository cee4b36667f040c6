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
use std::os::fd::{AsFd, AsRawFd};

use ipnet::IpNet;
use weft_dataplane::{
    BridgePort, Link, LinkId, LinkKind, Mark, Namespace, Object, Path, Plan, Route, Step, StepError,
    StepOutcome, VxlanFdb,
};
use weft_net::{IfName, Mac, NamespaceName};

use crate::encode::{self, FdbChange, Peer, RouteChange, RouteTo};
use crate::host::{LinuxHost, Place};
use crate::mirror::{adoption_mark, end_mark, namespace_mark, own_mark, peer_mark};
use crate::netlink::{BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, Refusal};
use crate::parse::Fact;
use crate::tap::Tap;
use crate::{guard, namespace, wire};

/// What a single step writes at most; a batch is sent before it could grow beyond its bounds.
const STEP_BYTES_MAX: usize = 4096;
const STEP_MESSAGES_MAX: usize = 16;

/// A plan being carried out.
struct Run {
    outcomes: Vec<StepOutcome>,
    queues: BTreeMap<Namespace, Queue>,
    /// The namespace in which the steps are.
    main: Namespace,
    /// The links made by this plan, which the mirror may not know yet.
    created: HashMap<LinkId, u32>,
}

/// What is to be sent to one namespace.
#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    /// Of which step each message is, and whether it may find that there is nothing left to remove.
    tags: Vec<(usize, Care)>,
    /// Links whose IPv6 is to be switched, after the batch.
    ipv6: Vec<(usize, IfName, bool)>,
    /// Links to look at after the batch: of a new name of a link that is down the kernel tells nobody.
    look_at: Vec<u32>,
    /// IPv6 addresses: the kernel tells of them in its own time, later than it acknowledges.
    addresses: Vec<(usize, u32, IpNet)>,
}

/// Whether a refusal that says "not there" matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    Must,
    Removes,
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
        self.writes += (queue.tags.len() + queue.ipv6.len()) as u64;
        match place.sockets.route.change(&mut queue.bytes) {
            Ok(answers) => {
                for ((step, care), answer) in queue.tags.iter().zip(answers) {
                    if let Err(refusal) = answer
                        && !(*care == Care::Removes && says_not_there(&refusal))
                    {
                        run.fail(*step, &refusal.to_string());
                    }
                }
            }
            Err(error) => queue.tags.iter().for_each(|(step, _)| run.fail(*step, &error.to_string())),
        }
        queue.ipv6.retain(|(step, ..)| run.outcomes.get(*step).is_some_and(Result::is_ok));
        self.drain_one(namespace);
        self.look_at(namespace, &queue.look_at);
        self.note_addresses(run, namespace, &queue.addresses);
        self.switch_ipv6(run, namespace, &queue.ipv6);
        // What was taken is given back, so that its room is used again.
        queue.bytes.clear();
        queue.tags.clear();
        queue.ipv6.clear();
        queue.look_at.clear();
        queue.addresses.clear();
        run.queues.insert(namespace.clone(), queue);
    }

    fn note_addresses(&mut self, run: &Run, namespace: &Namespace, addresses: &[(usize, u32, IpNet)]) {
        for (step, link, address) in addresses {
            let fact = Fact::Address { link: *link, address: *address, ours: true };
            if run.outcomes.get(*step).is_some_and(Result::is_ok)
                && self.mirror.take(namespace, fact).is_err()
                && let Some(place) = self.places.get_mut(namespace)
            {
                place.stale = true;
            }
        }
    }

    fn switch_ipv6(&mut self, run: &mut Run, namespace: &Namespace, links: &[(usize, IfName, bool)]) {
        let Some(place) = self.places.get(namespace).filter(|_| !links.is_empty()) else { return };
        let switch = || Ok(links.iter().map(|(_, name, on)| guard::set_ipv6(*name, *on)).collect::<Vec<_>>());
        let outcomes: Vec<io::Result<()>> = match namespace::within(place.sockets.namespace.as_fd(), switch) {
            Ok(outcomes) => outcomes,
            Err(error) => links.iter().map(|_| Err(io::Error::other(error.to_string()))).collect(),
        };
        // No event tells of the switch, but each tells how it stood: those from before it must not be heard after it.
        self.drain_one(namespace);
        for ((step, name, on), outcome) in links.iter().zip(outcomes) {
            match outcome {
                Ok(()) => {
                    let id = LinkId { namespace: namespace.clone(), name: *name };
                    self.mirror.set_ipv6_disabled(&id, !on);
                }
                Err(error) => run.fail(*step, &format!("IPv6 on '{name}' cannot be switched: {error}")),
            }
        }
    }

    fn create(&mut self, run: &mut Run, step: usize, object: &Object) -> StepOutcome {
        match object {
            Object::Namespace(name) => {
                self.flush_all(run);
                self.create_namespace(name)
            }
            Object::Link(link) => self.create_link(run, step, link),
            Object::ForeignLink(_) => refuse("a link of somebody else's is not ours to make"),
            Object::BridgePort(port) => self.attach(run, step, port),
            Object::Address(link, address) => self.create_address(run, step, link, *address),
            Object::VxlanFdb(entry) => {
                let (index, at) = self.own(run, step, &entry.link)?;
                run.put(at, Care::Must, |batch| {
                    encode::vxlan_fdb(batch, FdbChange::Replace, index, entry.mac, entry.destination);
                });
                Ok(())
            }
            Object::Flood(entry) => {
                let (index, at) = self.own(run, step, &entry.link)?;
                run.put(at, Care::Must, |batch| {
                    encode::vxlan_fdb(batch, FdbChange::Append, index, Mac::ZERO, entry.destination);
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
            Object::Route(route) => self.set_route(run, step, route, RouteChange::Create),
            Object::Vrf(_)
            | Object::Steering(_)
            | Object::ProxyNeighbour(..)
            | Object::ProxyArp(_)
            | Object::LabelRoute(_) => refuse("this driver does not know how"),
        }
    }

    fn replace(&mut self, run: &mut Run, step: usize, from: &Object, to: &Object) -> StepOutcome {
        match (from, to) {
            (Object::Link(from), Object::Link(to)) => self.change_link(run, step, from, to),
            (_, Object::Route(route)) => self.set_route(run, step, route, RouteChange::Replace),
            (_, Object::BridgePort(_) | Object::Neighbour(_) | Object::VxlanFdb(_)) => {
                self.create(run, step, to)
            }
            _ => refuse("it cannot be changed in place"),
        }
    }

    fn delete(&mut self, run: &mut Run, step: usize, object: &Object) -> StepOutcome {
        match object {
            Object::Namespace(name) => {
                self.flush_all(run);
                return self.delete_namespace(name);
            }
            Object::ForeignLink(_) => return refuse("a link of somebody else's is not ours to remove"),
            Object::BridgePort(port) => return self.detach(run, step, port),
            Object::Route(route) => return self.delete_route(run, step, route),
            Object::Vrf(_)
            | Object::Steering(_)
            | Object::ProxyNeighbour(..)
            | Object::ProxyArp(_)
            | Object::LabelRoute(_) => return refuse("this driver does not know how"),
            Object::Link(_)
            | Object::Address(..)
            | Object::VxlanFdb(_)
            | Object::Flood(_)
            | Object::BridgeFdb(_)
            | Object::Neighbour(_) => {}
        }
        let (Object::Link(Link { id: link, .. })
        | Object::Address(link, _)
        | Object::VxlanFdb(VxlanFdb { link, .. })
        | Object::Flood(weft_dataplane::Flood { link, .. })
        | Object::BridgeFdb(weft_dataplane::BridgeFdb { link, .. })
        | Object::Neighbour(weft_dataplane::Neighbour { link, .. })) = object
        else {
            return Ok(());
        };
        // Where the link is gone, so is all that it had.
        let Ok((index, at)) = self.any(run, step, link) else { return Ok(()) };
        if let Object::Link(link) = object {
            self.own(run, step, &link.id)?;
            run.created.remove(&link.id);
        }
        let delete = FdbChange::Delete;
        run.put(at, Care::Removes, |batch| match object {
            Object::Link(_) => encode::delete_link(batch, index),
            Object::Address(_, address) => encode::address(batch, false, index, *address),
            Object::VxlanFdb(entry) => {
                encode::vxlan_fdb(batch, delete, index, entry.mac, entry.destination);
            }
            Object::Flood(entry) => {
                encode::vxlan_fdb(batch, delete, index, Mac::ZERO, entry.destination);
            }
            Object::BridgeFdb(entry) => encode::bridge_fdb(batch, false, index, entry.mac),
            Object::Neighbour(entry) => encode::neighbour(batch, index, entry.address, None),
            _ => {}
        });
        Ok(())
    }

    /// The index of a link, whoever made it; turns to its namespace.
    fn any<'a>(&mut self, run: &mut Run, step: usize, id: &'a LinkId) -> Result<(u32, At<'a>), StepError> {
        self.turn_to(run, &id.namespace);
        let known = run.created.get(id).copied().or_else(|| self.mirror.link(id).map(|link| link.index));
        let Some(index) = known else { return refuse(format!("there is no link {id}")) };
        Ok((index, At { step, namespace: &id.namespace }))
    }

    /// The index of a link that we made; turns to its namespace.
    fn own<'a>(&mut self, run: &mut Run, step: usize, id: &'a LinkId) -> Result<(u32, At<'a>), StepError> {
        let found = self.any(run, step, id)?;
        let ours = run.created.contains_key(id) || self.mirror.link(id).and_then(own_mark).is_some();
        if ours { Ok(found) } else { refuse(format!("link {id} does not bear our mark")) }
    }

    fn place(&mut self, namespace: &Namespace) -> Result<&mut Place, StepError> {
        let missing = || StepError { reason: format!("there is no namespace {namespace}") };
        self.places.get_mut(namespace).ok_or_else(missing)
    }

    fn create_namespace(&mut self, name: &NamespaceName) -> StepOutcome {
        let sockets = namespace::create(&self.file_name(name), &namespace_mark(name)).map_err(failed)?;
        self.writes += 1;
        let namespace = Namespace::Named(name.clone());
        self.places.insert(namespace.clone(), Place::new(sockets));
        self.reload(&namespace).map_err(failed)
    }

    /// Its links go first: the kernel would take them away in its own time, with the other ends of veths.
    fn delete_namespace(&mut self, name: &NamespaceName) -> StepOutcome {
        let namespace = Namespace::Named(name.clone());
        let links = self.mirror.made_links(&namespace);
        let Some(mut place) = self.places.remove(&namespace) else { return Ok(()) };
        self.mirror.forget(&namespace);
        let mut batch = Vec::new();
        links.iter().for_each(|link| encode::delete_link(&mut batch, *link));
        self.writes += 1 + links.len() as u64;
        if !batch.is_empty() {
            place.sockets.route.change(&mut batch).map_err(failed)?;
        }
        namespace::remove(&self.file_name(name)).map_err(failed)?;
        drop(place);
        self.drain();
        Ok(())
    }

    fn create_link(&mut self, run: &mut Run, step: usize, link: &Link) -> StepOutcome {
        let at = At { step, namespace: &link.id.namespace };
        self.turn_to(run, at.namespace);
        if link.mark.is_adoption() || own_prefix(&link.mark) {
            return refuse(format!("mark '{}' is not one for a link that we make", link.mark));
        }
        let index = self.place(at.namespace)?.take_index();
        let parent = match &link.kind {
            LinkKind::Tap => return self.create_tap(run, at, link, index),
            LinkKind::Vlan { parent, .. } => {
                let id = LinkId { namespace: at.namespace.clone(), name: *parent };
                self.any(run, step, &id)?.0
            }
            LinkKind::Bridge | LinkKind::Veth { .. } | LinkKind::Vxlan { .. } => 0,
        };
        let other = self.prepare_peer(link)?;
        run.put(at, Care::Must, |batch| {
            encode::create_link(batch, link, index, other.as_ref().map(|(peer, _)| peer), parent);
            finish_link(batch, link, index);
        });
        run.created.insert(link.id.clone(), index);
        if let (Some((peer, mark)), LinkKind::Veth { peer: id, .. }) = (other, &link.kind) {
            run.put(At { step, namespace: &id.namespace }, Care::Must, |batch| {
                encode::add_altname(batch, peer.index, &mark);
                encode::set_up(batch, peer.index);
            });
            run.created.insert(id.clone(), peer.index);
        }
        Ok(())
    }

    fn prepare_peer(&mut self, link: &Link) -> Result<Option<(Peer, String)>, StepError> {
        let LinkKind::Veth { peer, peer_mac } = &link.kind else { return Ok(None) };
        let mark = peer_mark(link.mark.as_str());
        if mark.len() > 127 {
            return refuse("the mark of a veth has at most 122 bytes");
        }
        let place = self.place(&peer.namespace)?;
        let elsewhere = peer.namespace != link.id.namespace;
        let namespace = elsewhere.then(|| place.sockets.namespace.as_raw_fd());
        Ok(Some((Peer { name: peer.name, index: place.take_index(), mac: *peer_mac, namespace }, mark)))
    }

    /// A TAP device lives only as long as its descriptor until it bears our mark.
    fn create_tap(&mut self, run: &mut Run, at: At<'_>, link: &Link, index: u32) -> StepOutcome {
        let name = link.id.name;
        self.flush(run, at.namespace);
        let place = self.place(at.namespace)?;
        let tap = namespace::within(place.sockets.namespace.as_fd(), || Tap::create(name, index))
            .map_err(failed)?;
        self.writes += 1;
        run.put(at, Care::Must, |batch| {
            encode::set_mtu(batch, index, link.mtu);
            finish_link(batch, link, index);
        });
        self.flush(run, at.namespace);
        if run.outcomes[at.step].is_ok() {
            tap.keep().map_err(failed)?;
        } else {
            drop(tap);
        }
        self.drain_one(at.namespace);
        Ok(())
    }

    fn change_link(&mut self, run: &mut Run, step: usize, from: &Link, to: &Link) -> StepOutcome {
        let (index, at) = self.own(run, step, &to.id)?;
        let other = self.mirror.link(&to.id).and_then(|raw| self.mirror.peer(raw, &to.mark));
        if let (LinkKind::Veth { peer, peer_mac }, Some((_, other))) = (&to.kind, other) {
            run.put(At { step, namespace: &peer.namespace }, Care::Must, |batch| {
                encode::set_mac(batch, other.index, *peer_mac);
                encode::set_mtu(batch, other.index, to.mtu);
                encode::set_up(batch, other.index);
            });
        }
        run.put(at, Care::Must, |batch| {
            if from.mtu != to.mtu {
                encode::set_mtu(batch, index, to.mtu);
            }
            match to.kind {
                LinkKind::Bridge => {
                    encode::set_bridge(batch, index);
                    guard::put(batch, index);
                }
                LinkKind::Vxlan { .. } => encode::set_vxlan(batch, index),
                LinkKind::Tap | LinkKind::Veth { .. } | LinkKind::Vlan { .. } => {}
            }
            encode::set_up(batch, index);
        });
        Ok(())
    }

    fn attach(&mut self, run: &mut Run, step: usize, port: &BridgePort) -> StepOutcome {
        let bridge = LinkId { namespace: port.link.namespace.clone(), name: port.bridge };
        let (bridge, _) = self.own(run, step, &bridge)?;
        let (index, at) = self.any(run, step, &port.link)?;
        // The addresses that this plan took from it are known to be gone once that was sent.
        if self.has_own_ipv6(&port.link) {
            self.flush(run, at.namespace);
        }
        let raw = self.mirror.link(&port.link);
        let keeps_ipv6 = self.has_own_ipv6(&port.link) || raw.is_some_and(|raw| raw.ipv6_disabled);
        let ours = run.created.contains_key(&port.link) || raw.and_then(own_mark).is_some();
        if !ours && port.adoption.is_none() {
            return refuse("a link of somebody else's needs a mark of adoption");
        }
        let bears = raw.and_then(adoption_mark);
        // One that comes into the bridge only now becomes forwarding by itself.
        let blocked = raw.is_some_and(|raw| raw.master == Some(bridge) && raw.port.blocked);
        run.put(at, Care::Must, |batch| {
            if let Some(mark) = port.adoption.as_ref().filter(|mark| bears.as_ref() != Some(mark)) {
                encode::add_altname(batch, index, mark.as_str());
            }
            encode::set_ipv4(batch, index, &guard::PORT_IPV4);
            encode::set_master(batch, index, bridge);
            encode::set_port(batch, index, port.role);
            if blocked {
                encode::set_forwarding(batch, index);
            }
        });
        if let Some(queue) = run.queues.get_mut(at.namespace) {
            queue.look_at.extend(port.adoption.as_ref().map(|_| index));
            queue.ipv6.extend((!keeps_ipv6).then_some((step, port.link.name, false)));
        }
        Ok(())
    }

    /// Whether a link has an IPv6 address that we gave it.
    fn has_own_ipv6(&self, id: &LinkId) -> bool {
        let raw = self.mirror.link(id);
        raw.is_some_and(|raw| self.mirror.has_ipv6(&id.namespace, raw.index))
    }

    fn detach(&mut self, run: &mut Run, step: usize, port: &BridgePort) -> StepOutcome {
        let Ok((index, at)) = self.any(run, step, &port.link) else { return Ok(()) };
        let raw = self.mirror.link(&port.link);
        let ours = raw.and_then(own_mark).is_some();
        let master = raw.and_then(|raw| raw.master);
        let master = master.and_then(|master| self.mirror.link_at(&port.link.namespace, master));
        let in_ours = master.and_then(own_mark).is_some();
        run.put(at, Care::Removes, |batch| {
            if in_ours {
                encode::set_master(batch, index, 0);
            }
            let settings: &[(u16, u32)] = if ours { &guard::ROUTED_IPV4 } else { &guard::RELEASED_IPV4 };
            encode::set_ipv4(batch, index, settings);
            if let Some(mark) = &port.adoption {
                encode::remove_altname(batch, index, mark.as_str());
            }
        });
        if let Some(queue) = run.queues.get_mut(at.namespace) {
            queue.look_at.extend(port.adoption.as_ref().map(|_| index));
            queue.ipv6.push((step, port.link.name, true));
        }
        Ok(())
    }

    fn create_address(&mut self, run: &mut Run, step: usize, link: &LinkId, address: IpNet) -> StepOutcome {
        let (index, at) = self.any(run, step, link)?;
        // A link that this plan made, or took out of a bridge, is known as what it is now once that was sent.
        if address.addr().is_ipv6() && self.mirror.link(link).is_none_or(|raw| raw.ipv6_disabled) {
            self.flush(run, at.namespace);
        }
        let raw = self.mirror.link(link);
        let routed = raw.is_none_or(|raw| raw.master.is_none());
        let ours = run.created.contains_key(link)
            || raw.is_some_and(|raw| own_mark(raw).is_some() || end_mark(raw).is_some());
        if address.addr().is_ipv6() && routed && raw.is_some_and(|raw| raw.ipv6_disabled) {
            self.flush(run, at.namespace);
            self.switch_ipv6(run, at.namespace, &[(step, link.name, true)]);
        }
        run.put(at, Care::Must, |batch| {
            if ours && routed && address.addr().is_ipv4() {
                encode::set_ipv4(batch, index, &guard::ROUTED_IPV4);
            }
            encode::address(batch, true, index, address);
        });
        if address.addr().is_ipv6()
            && let Some(queue) = run.queues.get_mut(at.namespace)
        {
            queue.addresses.push((step, index, address));
        }
        Ok(())
    }

    fn set_route(&mut self, run: &mut Run, step: usize, route: &Route, change: RouteChange) -> StepOutcome {
        let [Path { via, link: Some(name), .. }] = route.to.as_paths() else {
            return refuse("this driver does not know how");
        };
        let id = LinkId { namespace: route.namespace.clone(), name: *name };
        let (link, at) = self.any(run, step, &id)?;
        let to = RouteTo { link, via: *via };
        run.put(at, Care::Must, |batch| encode::route(batch, change, route.table, route.destination, to));
        Ok(())
    }

    fn delete_route(&mut self, run: &mut Run, step: usize, route: &Route) -> StepOutcome {
        let [Path { link: Some(name), .. }] = route.to.as_paths() else { return Ok(()) };
        let id = LinkId { namespace: route.namespace.clone(), name: *name };
        let Ok((link, at)) = self.any(run, step, &id) else { return Ok(()) };
        let to = RouteTo { link, via: None };
        let delete = RouteChange::Delete;
        run.put(at, Care::Removes, |batch| encode::route(batch, delete, route.table, route.destination, to));
        Ok(())
    }
}

/// What every link of ours gets once it is there: our mark, what it does not do, and up.
fn finish_link(batch: &mut Vec<u8>, link: &Link, index: u32) {
    encode::add_altname(batch, index, link.mark.as_str());
    if link.kind == LinkKind::Bridge {
        encode::set_mtu(batch, index, link.mtu);
        guard::put(batch, index);
    }
    encode::no_generated_address(batch, index);
    encode::set_up(batch, index);
}

/// Marks that mean something else than "we made this link".
fn own_prefix(mark: &Mark) -> bool {
    ["weft.peer.", "weft.namespace."].iter().any(|prefix| mark.as_str().starts_with(prefix))
}

fn says_not_there(refusal: &Refusal) -> bool {
    [libc::ENODEV, libc::ENOENT, libc::ESRCH, libc::EADDRNOTAVAIL].contains(&refusal.code)
}
