//! From what is and what should be to a plan.
//!
//! 1. Each key of `want` is kept, made, changed in place, or made anew (removed and made, where the kernel cannot change it).
//! 2. What depends on something removed is lost with it: it is made again if it is wanted, and needs no step if it is not. So
//!    are the IPv4 routes out of a link with the last of its IPv4 addresses.
//! 3. What needs something that is neither there nor going to be waits; what somebody else's object stands in the way of is
//!    blocked; so is what needs it.
//! 4. Order: removals that free something exclusive which is wanted again (a name, a VNI) or take along what is, then what is made or changed, each
//!    after what it needs, then the other removals, each before what it needs.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use weft_net::Vni;

use crate::state::Moment;
use crate::{Blocked, Key, Link, LinkId, LinkKind, Namespace, Object, Plan, State, Step, Waiting};

/// The plan that leads from `have` to `want`.
///
/// Pure, and a law: applying it to `have` gives a state from which the plan to `want` has no steps.
#[must_use]
pub fn diff(have: &State, want: &State) -> Plan {
    plan(have, want, differing(have, want))
}

/// What is and what should be, compared again and again: the same plans as [`diff`]'s, for the price of what has changed since
/// the last time.
#[derive(Default)]
pub struct Comparison {
    seen: [Moment; 2],
    /// The keys under which the two differed.
    differing: BTreeSet<Key>,
}

impl Comparison {
    /// The plan that leads from `have` to `want`. All of them is looked at if they are not those of the last time.
    pub fn diff(&mut self, have: &State, want: &State) -> Plan {
        self.take_in(have, want);
        self.seen = [have.moment(), want.moment()];
        plan(have, want, &self.differing)
    }

    fn take_in(&mut self, have: &State, want: &State) {
        let [have_seen, want_seen] = &self.seen;
        let (Some(in_have), Some(in_want)) = (have.changed_since(have_seen), want.changed_since(want_seen))
        else {
            self.differing = differing(have, want).into_iter().cloned().collect();
            return;
        };
        for key in in_have.chain(in_want) {
            if have.get(key) == want.get(key) {
                self.differing.remove(key);
            } else if !self.differing.contains(key) {
                self.differing.insert(key.clone());
            }
        }
    }
}

/// The keys under which two states differ, in order.
fn differing<'a>(have: &'a State, want: &'a State) -> Vec<&'a Key> {
    let (mut haves, mut wants) = (have.iter(), want.iter());
    let (mut next_have, mut next_want) = (haves.next(), wants.next());
    let mut keys = Vec::new();
    loop {
        let order = match (next_have, next_want) {
            (None, None) => return keys,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((have, _)), Some((want, _))) => have.cmp(want),
        };
        let (in_have, in_want) = (next_have.filter(|_| order.is_le()), next_want.filter(|_| order.is_ge()));
        if in_have.map(|(_, object)| object) != in_want.map(|(_, object)| object) {
            keys.extend(in_have.or(in_want).map(|(key, _)| key));
        }
        if in_have.is_some() {
            next_have = haves.next();
        }
        if in_want.is_some() {
            next_want = wants.next();
        }
    }
}

/// The plan from what is to what should be, which differ under these keys, in order.
fn plan<'k>(have: &State, want: &State, differing: impl IntoIterator<Item = &'k Key>) -> Plan {
    let mut change = Change::classify(have, want, differing);
    if change.is_nothing() {
        return Plan { blocked: change.blocked, waiting: change.waiting, ..Plan::default() };
    }
    change.follow_losses(have, want);
    change.hold_back(have, want);
    change.into_plan(have, want)
}

/// What is to happen, by key, before it is put in order.
#[derive(Default)]
struct Change<'a> {
    /// Made, or changed in place.
    made: BTreeMap<&'a Key, Made<'a>>,
    /// Removed by a step.
    removed: BTreeMap<&'a Key, &'a Object>,
    /// Removed, and made again as something else.
    anew: BTreeSet<&'a Key>,
    waiting: Vec<Waiting>,
    blocked: Vec<Blocked>,
}

struct Made<'a> {
    from: Option<&'a Object>,
    to: &'a Object,
}

impl<'a> Change<'a> {
    fn classify<'k>(have: &'a State, want: &'a State, differing: impl IntoIterator<Item = &'k Key>) -> Self {
        let mut change = Self::default();
        for key in differing {
            match (have.entry(key), want.entry(key)) {
                (Some((key, from)), Some((_, to))) => change.both(key, from, to),
                (Some((key, object)), None) if !object.is_foreign() => {
                    change.removed.insert(key, object);
                }
                (None, Some((key, object))) => change.only_wanted(key, object),
                (Some(_) | None, None) => {}
            }
        }
        change
    }

    fn both(&mut self, key: &'a Key, from: &'a Object, to: &'a Object) {
        if from == to {
            return;
        }
        match (from.is_foreign(), to.is_foreign()) {
            (true, _) => self.blocked.push(Blocked { key: key.clone() }),
            (false, true) => {
                self.removed.insert(key, from);
                self.waiting.push(Waiting { key: key.clone(), missing: key.clone() });
            }
            (false, false) if replaceable(from, to) => {
                self.made.insert(key, Made { from: Some(from), to });
            }
            (false, false) => {
                self.removed.insert(key, from);
                self.anew.insert(key);
                self.made.insert(key, Made { from: None, to });
            }
        }
    }

    fn only_wanted(&mut self, key: &'a Key, object: &'a Object) {
        if object.is_foreign() {
            self.waiting.push(Waiting { key: key.clone(), missing: key.clone() });
        } else {
            self.made.insert(key, Made { from: None, to: object });
        }
    }

    fn is_nothing(&self) -> bool {
        self.made.is_empty() && self.removed.is_empty()
    }

    /// Step 2: what depends on something removed goes with it.
    fn follow_losses(&mut self, have: &'a State, want: &'a State) {
        let early = self.early(want);
        let bared = self.bared(have, &early);
        // Nearly always there is none, and nothing else is to be looked at.
        if !bared.is_empty() {
            let under = have.iter().filter(|(_, object)| !addresses_under(object, &bared).is_empty());
            under.for_each(|(key, object)| self.lose(key, object, want, &early));
        }
        // What goes, and whether it goes before anything is made.
        let mut gone: HashMap<&Key, bool> = HashMap::new();
        gone.extend(self.removed.keys().map(|key| (*key, early.contains(key))));
        let moved = self
            .made
            .iter()
            .filter(|(_, made)| made.from.is_some_and(|from| loses_dependents(from, made.to)));
        gone.extend(moved.map(|(key, _)| (*key, true)));
        gone.retain(|key, _| key.may_be_required());
        let mut before = usize::MAX;
        // Links may depend on links, so one pass in key order may not be enough.
        while !gone.is_empty() && before != gone.len() {
            before = gone.len();
            for (key, object) in have {
                let mut required = have.required_by(object);
                required.retain(|required| gone.contains_key(required));
                let goes_early = required.iter().any(|required| gone[required]);
                if required.is_empty() || (!goes_early && self.leaves_in_time(key, &required, have)) {
                    continue;
                }
                self.lose(key, object, want, &early);
                if key.may_be_required() {
                    gone.entry(key).or_insert(goes_early);
                }
            }
        }
    }

    /// The removals that free something exclusive which is wanted again, or take along what is wanted.
    fn early(&self, want: &State) -> HashSet<&'a Key> {
        let claimed: HashSet<Claim> = self.made.values().flat_map(|made| claims(made.to)).collect();
        let frees = |object: &Object| claims(object).iter().any(|claim| claimed.contains(claim));
        let uses: HashSet<Use<'_>> = self.made.values().filter_map(|made| other_use(made.to)).collect();
        let leaves = |object: &Object| own_use(object).is_some_and(|own| uses.contains(&own));
        let routed_bare = self.routed_bare(want);
        let takes_along = |object: &Object| ipv4_link(object).is_some_and(|link| routed_bare.contains(link));
        let is_early = |key: &Key, object: &Object| {
            self.anew.contains(key) || frees(object) || leaves(object) || takes_along(object)
        };
        self.removed.iter().filter(|(key, object)| is_early(key, object)).map(|(key, _)| *key).collect()
    }

    /// The links that lose IPv4 addresses, should have none, and should have IPv4 routes out of them.
    fn routed_bare(&self, want: &State) -> HashSet<&'a LinkId> {
        let mut bare: HashSet<&LinkId> =
            self.removed.values().filter_map(|object| ipv4_link(object)).collect();
        if bare.is_empty() {
            return bare;
        }
        let addressed: HashSet<&LinkId> = want.iter().filter_map(|(_, object)| ipv4_link(object)).collect();
        let routed: HashSet<LinkId> = want.iter().flat_map(|(_, object)| ipv4_route_links(object)).collect();
        bare.retain(|link| routed.contains(*link) && !addressed.contains(link));
        bare
    }

    /// The links that lose the last of their IPv4 addresses before anything is made, with those addresses.
    fn bared(&self, have: &State, early: &HashSet<&'a Key>) -> HashMap<&'a LinkId, Vec<&'a Key>> {
        let mut bared: HashMap<&LinkId, Vec<&Key>> = HashMap::new();
        for key in early {
            if let Some(link) = self.removed.get(key).and_then(|object| ipv4_link(object)) {
                bared.entry(link).or_default().push(key);
            }
        }
        if !bared.is_empty() {
            let stays = have.iter().filter(|(key, _)| !early.contains(key));
            stays.filter_map(|(_, object)| ipv4_link(object)).for_each(|link| drop(bared.remove(link)));
        }
        bared
    }

    /// Whether an object is changed so that it no longer needs any of what goes later.
    fn leaves_in_time(&self, key: &Key, gone: &[Key], have: &State) -> bool {
        let Some(Made { from: Some(_), to }) = self.made.get(key) else { return false };
        let needed = have.required_by(to);
        gone.iter().all(|gone| !needed.contains(gone))
    }

    /// What is lost with something else needs no step of its own, except where the kernel leaves our mark or what is left of
    /// a route behind, and where it has to go before the other does.
    fn lose(&mut self, key: &'a Key, object: &'a Object, want: &'a State, early: &HashSet<&Key>) {
        let leaves_something = match object {
            Object::BridgePort(port) => port.adoption.is_some(),
            // What comes back stays on the other link.
            Object::Steering(_) => true,
            // What says so names the link, and outlives it.
            Object::Ingress(_) => true,
            // It goes with the last of its links.
            Object::Route(route) => route.to.as_paths().len() != 1,
            _ => false,
        };
        if leaves_something {
            self.removed.insert(key, object);
        } else if !early.contains(key) {
            self.removed.remove(key);
        }
        if let Some(wanted) = want.get(key).filter(|wanted| !wanted.is_foreign()) {
            self.made.insert(key, Made { from: None, to: wanted });
        }
    }

    /// Step 3: takes out of `made` what cannot be made.
    fn hold_back(&mut self, have: &'a State, want: &State) {
        let blocked: HashSet<Key> = self.blocked.iter().map(|blocked| blocked.key.clone()).collect();
        let mut held: HashSet<Key> = self.waiting.iter().map(|waiting| waiting.key.clone()).collect();
        held.extend(blocked);
        let mut before = usize::MAX;
        while before != held.len() {
            before = held.len();
            let mut waiting = Vec::new();
            // Very many that come one after the other need the same.
            let mut there = None;
            for (key, made) in &self.made {
                let required = made.to.requires();
                if there.as_ref() == Some(&required) {
                    continue;
                }
                let missing = want.required_by(made.to).into_iter().find(|required| {
                    held.contains(required) || !(want.contains(required) || is_foreign_there(have, required))
                });
                match missing {
                    Some(missing) => waiting.push(Waiting { key: (*key).clone(), missing }),
                    None => there = Some(required),
                }
            }
            for entry in &waiting {
                // What cannot become what it should be must not stay what it should no longer be.
                let was = self.made.remove(&entry.key).and_then(|made| made.from);
                if let Some((key, object)) = was.and_then(|_| have.entry(&entry.key)) {
                    self.removed.insert(key, object);
                }
                held.insert(entry.key.clone());
            }
            self.waiting.extend(waiting);
        }
        self.waiting.sort_by(|a, b| a.key.cmp(&b.key));
    }

    /// Step 4: the order.
    fn into_plan(self, have: &State, want: &State) -> Plan {
        let mut early = self.early(want);
        let bared = self.bared(have, &early);
        let needed_by = |object: &Object| {
            let under = addresses_under(object, &bared).into_iter().cloned();
            have.required_by(object).into_iter().chain(under).collect::<Vec<Key>>()
        };
        let order = in_order(&self.removed, |object| needed_by(object));
        // What depends on an early removal and is removed by a step of its own goes before it.
        for key in order.iter().rev() {
            let object = self.removed[key];
            let needs_early = needed_by(object).iter().any(|required| early.contains(required));
            if needs_early {
                early.insert(*key);
            }
        }
        let deletes = |when_early: bool| {
            let early = &early;
            let removed = &self.removed;
            order
                .iter()
                .rev()
                .filter(move |key| early.contains(*key) == when_early)
                .map(|key| Step::Delete(removed[*key].clone()))
        };
        let mut steps: Vec<Step> = deletes(true).collect();
        for key in in_order(&self.made, |made| want.required_by(made.to)) {
            let made = &self.made[key];
            let to = made.to.clone();
            steps.push(match made.from {
                Some(from) if have.contains(key) => Step::Replace { from: from.clone(), to },
                _ => Step::Create(to),
            });
        }
        steps.extend(deletes(false));
        Plan { steps, waiting: self.waiting, blocked: self.blocked }
    }
}

/// The link of an IPv4 address.
pub(crate) fn ipv4_link(object: &Object) -> Option<&LinkId> {
    match object {
        Object::Address(link, address) if address.addr().is_ipv4() => Some(link),
        _ => None,
    }
}

/// The links that an IPv4 route leads out of: it goes with the last IPv4 address of any, whatever its next hops are.
pub(crate) fn ipv4_route_links(object: &Object) -> Vec<LinkId> {
    let Object::Route(route) = object else { return Vec::new() };
    if !route.destination.addr().is_ipv4() {
        return Vec::new();
    }
    let links = route.to.as_paths().iter().filter_map(|path| path.link);
    links.map(|name| LinkId { namespace: route.namespace.clone(), name }).collect()
}

/// Of addresses that go those with which a route goes.
fn addresses_under<'a>(object: &Object, bared: &HashMap<&LinkId, Vec<&'a Key>>) -> Vec<&'a Key> {
    if bared.is_empty() {
        return Vec::new();
    }
    let addresses = ipv4_route_links(object).into_iter().filter_map(|link| bared.get(&link).cloned());
    addresses.flatten().collect()
}

fn is_foreign_there(have: &State, key: &Key) -> bool {
    have.get(key).is_some_and(Object::is_foreign)
}

/// The keys in an order in which each comes after those that it needs; ties as `Key` declares.
fn in_order<'a, T>(nodes: &BTreeMap<&'a Key, T>, requires: impl Fn(&T) -> Vec<Key>) -> Vec<&'a Key> {
    fn visit<'a, T>(
        key: &'a Key,
        nodes: &BTreeMap<&'a Key, T>,
        requires: &impl Fn(&T) -> Vec<Key>,
        done: &mut HashSet<&'a Key>,
        order: &mut Vec<&'a Key>,
    ) {
        if !done.insert(key) {
            return;
        }
        for required in requires(&nodes[key]) {
            if let Some((next, _)) = nodes.get_key_value(&required) {
                visit(next, nodes, requires, done, order);
            }
        }
        order.push(key);
    }
    // Nothing needs another of them, but for routes that go with addresses: those come first in the order of keys as well.
    if !nodes.keys().any(|key| key.may_be_required()) {
        return nodes.keys().copied().collect();
    }
    let (mut order, mut done) = (Vec::with_capacity(nodes.len()), HashSet::new());
    for key in nodes.keys() {
        visit(key, nodes, &requires, &mut done, &mut order);
    }
    order
}

/// Whether the kernel can make the one into the other without removing it.
fn replaceable(from: &Object, to: &Object) -> bool {
    match (from, to) {
        (Object::Link(from), Object::Link(to)) => from.mark == to.mark && kind_is_replaceable(from, to),
        (Object::BridgePort(from), Object::BridgePort(to)) => from.adoption == to.adoption,
        // Of these the kernel has as many for an endpoint as there are network identifiers.
        (Object::Flood(_), Object::Flood(_)) => false,
        // One of which something is missing is made whole.
        (Object::Vrf(from), Object::Vrf(to)) => from.mark == to.mark && [to.table, 0].contains(&from.table),
        (from, to) => std::mem::discriminant(from) == std::mem::discriminant(to),
    }
}

fn kind_is_replaceable(from: &Link, to: &Link) -> bool {
    match (&from.kind, &to.kind) {
        (LinkKind::Veth { peer: from, .. }, LinkKind::Veth { peer: to, .. }) => from == to,
        (
            LinkKind::Vxlan { vni: from_vni, local: from_local, port: from_port, .. },
            LinkKind::Vxlan { vni, local, port, .. },
        ) => (from_vni, from_local, from_port) == (vni, local, port),
        (from, to) => from == to,
    }
}

/// Whether a change in place takes away what depends on the object: a bridge forgets the addresses behind a port that leaves.
pub(crate) fn loses_dependents(from: &Object, to: &Object) -> bool {
    matches!((from, to), (Object::BridgePort(from), Object::BridgePort(to)) if from.bridge != to.bridge)
}

/// What a link is for: a bridge's port has no IP stack of its own, so a link leaves the one use before it comes to the other.
#[derive(PartialEq, Eq, Hash)]
enum Use<'a> {
    Port(&'a LinkId),
    Addresses(&'a LinkId),
}

/// The use of a link that an object is.
const fn own_use(object: &Object) -> Option<Use<'_>> {
    match object {
        Object::BridgePort(port) => Some(Use::Port(&port.link)),
        Object::Address(link, _) => Some(Use::Addresses(link)),
        _ => None,
    }
}

/// The use of a link that an object puts an end to.
const fn other_use(object: &Object) -> Option<Use<'_>> {
    match object {
        Object::BridgePort(port) => Some(Use::Addresses(&port.link)),
        Object::Address(link, _) => Some(Use::Port(link)),
        _ => None,
    }
}

/// Something that only one object of a host can have at a time.
#[derive(PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    Name(LinkId),
    /// A VLAN of a parent link.
    Vlan(LinkId, u16),
    Vni(Vni, u16),
    Mark(crate::Mark),
    /// The name of a namespace, which a VRF may be.
    Place(String),
    /// A VRF's routing table.
    Table(u32),
}

pub(crate) fn claims(object: &Object) -> Vec<Claim> {
    let link = match object {
        Object::Link(link) => link,
        Object::Namespace(name) => return vec![Claim::Place(name.to_string())],
        Object::Vrf(vrf) => {
            return vec![
                Claim::Name(LinkId::on_host(vrf.name)),
                Claim::Mark(vrf.mark.clone()),
                Claim::Place(vrf.name.to_string()),
                Claim::Table(vrf.table),
            ];
        }
        _ => return Vec::new(),
    };
    let mut claims = vec![Claim::Name(among_names(&link.id)), Claim::Mark(link.mark.clone())];
    match &link.kind {
        LinkKind::Veth { peer, .. } => claims.push(Claim::Name(among_names(peer))),
        LinkKind::Vxlan { vni, port, .. } => claims.push(Claim::Vni(*vni, *port)),
        LinkKind::Vlan { parent, vlan_id } => {
            let parent = LinkId { namespace: link.id.namespace.clone(), name: *parent };
            claims.push(Claim::Vlan(among_names(&parent), *vlan_id));
        }
        LinkKind::Bridge | LinkKind::Tap => {}
    }
    claims
}

/// A link by its name: those in VRFs and those of the host's own namespace may be in one.
fn among_names(link: &LinkId) -> LinkId {
    match &link.namespace {
        Namespace::Vrf(_) => LinkId::on_host(link.name),
        Namespace::Host | Namespace::Named(_) => link.clone(),
    }
}

#[cfg(test)]
mod tests;
