//! What the kernel has, kept up to date fact by fact: raw, by index, and as the [`State`] that it means. Pure.
//!
//! ```text
//! Fact ── record ──> Table (one a namespace: links, addresses, neighbours, entries, routes)
//!                      └── refresh what the fact touches ──> State
//! ```
//!
//! What a fact costs is not proportional to the size of the state, but for what changes links or the ways to routers of labelled
//! paths: then next hops, or labelled routes, are gone through.

mod derive;
mod table;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ipnet::IpNet;
use weft_dataplane::{Key, LinkId, Mark, Namespace, State, Vrf};
use weft_net::{IfName, NamespaceName};

use crate::parse::{Fact, Family, RawKind, RawLink};
use crate::vrf::VrfMode;
use derive::View;
pub(crate) use table::Routes;
use table::{Entry, Table, Touched};

/// The index of `lo` in every namespace.
const LOOPBACK: u32 = 1;
const PEER: &str = "weft.peer.";
const ADOPTED: &str = "weft.adopted.";
const NAMESPACE: &str = "weft.namespace.";
const VRF: &str = "weft.vrf-of.";

/// Marks that mean something else than "we made this link".
pub(crate) const SPECIAL: [&str; 4] = [PEER, ADOPTED, NAMESPACE, VRF];

/// The mark on the `lo` of a namespace of ours.
pub(crate) fn namespace_mark(name: &NamespaceName) -> String {
    format!("{NAMESPACE}{name}")
}

/// What is on the `lo` of a namespace that is a VRF of ours, beside the VRF's own mark.
pub(crate) fn vrf_mark(vrf: &Vrf) -> String {
    format!("{VRF}{}.{}", vrf.table, vrf.name)
}

/// The VRF that a namespace with this `lo` is, if that is its name.
fn vrf_of(name: &str, lo: &RawLink) -> Option<Vrf> {
    let said = lo.marks.iter().find_map(|mark| mark.strip_prefix(VRF))?;
    let (table, said) = said.split_once('.')?;
    let mark = lo.marks.iter().find(|mark| !SPECIAL.iter().any(|prefix| mark.starts_with(prefix)))?;
    let vrf = Vrf { name: said.parse().ok()?, mark: mark.parse().ok()?, table: table.parse().ok()? };
    (said == name).then_some(vrf)
}

/// What a namespace of this name with this `lo` is to us.
pub(crate) fn place_of(name: &NamespaceName, lo: &RawLink, mode: VrfMode) -> Namespace {
    match vrf_of(name.as_str(), lo) {
        Some(vrf) if mode == VrfMode::Namespace => Namespace::Vrf(vrf.name),
        _ => Namespace::Named(name.clone()),
    }
}

/// The mark on the other end of a veth that bears `mark`: another one, since both ends may be in one namespace.
pub(crate) fn peer_mark(mark: &str) -> String {
    format!("{PEER}{}", mark.strip_prefix("weft.").unwrap_or(mark))
}

/// An event named a link that was never heard of: something was missed.
#[derive(Debug)]
pub(crate) struct Unknown;

/// The picture of a host.
#[derive(Default)]
pub(crate) struct Mirror {
    state: State,
    mode: VrfMode,
    /// Whether the end of a veth that is in a VRF has to have the limit.
    has_limits: bool,
    tables: BTreeMap<Namespace, Table>,
    /// Where the ends of our veths are, by the mark they bear.
    ///
    /// Two may bear the same for a moment: one namespace has not told of the old end's going when another tells of the new.
    ends: HashMap<String, Vec<(Namespace, u32)>>,
}

impl Mirror {
    pub(crate) fn new(mode: VrfMode, has_limits: bool) -> Self {
        Self { mode, has_limits, ..Self::default() }
    }

    /// Whether the end of a veth that is in a VRF has to have the limit.
    pub(crate) const fn has_limits(&self) -> bool {
        self.has_limits
    }

    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// The network namespace that a place is, or is in.
    pub(crate) const fn netns<'a>(&self, place: &'a Namespace) -> &'a Namespace {
        match (place, self.mode) {
            (Namespace::Vrf(_), VrfMode::Device) => &Namespace::Host,
            (place, _) => place,
        }
    }

    /// Puts what a full dump of a namespace gave in place of what was known of it.
    pub(crate) fn load(&mut self, namespace: &Namespace, facts: Vec<Fact>) {
        self.forget(namespace);
        let has_places = *namespace == Namespace::Host && self.mode == VrfMode::Device;
        let mut table = Table::new(has_places);
        for fact in facts {
            table.record(fact, true);
        }
        let (links, routes) = (table.links.keys().copied().collect::<Vec<u32>>(), table.routes.keys());
        let labels: Vec<_> = table.labels.keys().copied().collect();
        let ingresses: Vec<_> = table.ingresses.keys().copied().collect();
        self.tables.insert(namespace.clone(), table);
        self.refresh_place(namespace);
        for link in links {
            self.refresh(namespace, link);
        }
        self.refresh_routes(namespace, &routes);
        labels.into_iter().for_each(|label| self.refresh_entry(namespace, &Entry::Label(label)));
        ingresses.into_iter().for_each(|(table, link)| self.refresh_ingress(namespace, table, link));
    }

    /// Says of a place, as a whole, that settings of which no event tells are not as we make them.
    pub(crate) fn unsettle(&mut self, namespace: &Namespace, unsettled: bool) {
        if let Some(table) = self.tables.get_mut(namespace) {
            table.unsettled = unsettled;
            self.refresh_place(namespace);
        }
    }

    /// Takes a namespace out of the picture.
    pub(crate) fn forget(&mut self, namespace: &Namespace) {
        let links: Vec<u32> =
            self.tables.get(namespace).map(|t| t.links.keys().copied().collect()).unwrap_or_default();
        let routes = self.tables.get(namespace).map(|table| table.routes.keys()).unwrap_or_default();
        for link in links {
            // Of a namespace that goes there is nothing to be missed.
            let _known = self.take(namespace, Fact::LinkGone(link));
        }
        let mut ingresses = BTreeMap::new();
        if let Some(table) = self.tables.get_mut(namespace) {
            table.routes = Routes::default();
            ingresses = std::mem::take(&mut table.ingresses);
        }
        self.refresh_routes(namespace, &routes);
        ingresses.into_keys().for_each(|(table, link)| self.refresh_ingress(namespace, table, link));
        self.tables.remove(namespace);
        match namespace {
            Namespace::Host => {}
            Namespace::Named(name) => drop(self.state.remove(&Key::Namespace(name.clone()))),
            Namespace::Vrf(name) => drop(self.state.remove(&Key::Vrf(*name))),
        }
    }

    /// Takes in what the kernel told.
    pub(crate) fn take(&mut self, namespace: &Namespace, fact: Fact) -> Result<(), Unknown> {
        let Some(table) = self.tables.get_mut(namespace) else { return Err(Unknown) };
        match table.record(fact, false) {
            Touched::Nothing => {}
            Touched::Unknown => return Err(Unknown),
            Touched::Link(link) => self.refresh(namespace, link),
            Touched::LinkAnd(link, routes) => {
                self.refresh(namespace, link);
                self.refresh_routes(namespace, &routes);
            }
            Touched::Gone(link, name, routes) => {
                self.refresh(namespace, link);
                self.refresh_routes(namespace, &routes);
                let Some(table) = self.tables.get_mut(namespace) else { return Ok(()) };
                table.forget_link(link);
                let ingresses = table.marked_ingresses(name);
                ingresses.into_iter().for_each(|(table, link)| self.refresh_ingress(namespace, table, link));
            }
            Touched::Entry(entry) => self.refresh_entry(namespace, &entry),
            Touched::Route(key) => self.refresh_routes(namespace, &[key]),
            Touched::Routes(keys) => self.refresh_routes(namespace, &keys),
            Touched::Place => self.refresh_place(namespace),
            Touched::Ingress(table, link) => self.refresh_ingress(namespace, table, link),
            Touched::Steering(link) => self.refresh_steering(namespace, link),
            Touched::Filters(link) => {
                self.refresh(namespace, link);
                self.refresh_steering(namespace, link);
            }
            Touched::Moved(from, to) => {
                self.refresh_entry(namespace, &from);
                self.refresh_entry(namespace, &to);
            }
            Touched::LastAddress(link, address) => {
                self.refresh_entry(namespace, &Entry::Address(link, address));
                self.drop_ipv4_routes(namespace, link);
                let undelivered = self.tables.get_mut(namespace).map(|table| table.lose_deliveries(link));
                undelivered.into_iter().flatten().for_each(|entry| self.refresh_entry(namespace, &entry));
            }
            Touched::LinkDown(link, routes) => {
                self.refresh(namespace, link);
                self.refresh_routes(namespace, &routes);
                self.drop_ipv4_routes(namespace, link);
            }
        }
        Ok(())
    }

    /// The links that may answer for less than what is known of; they are in doubt no longer.
    pub(crate) fn take_doubtful(&mut self, namespace: &Namespace) -> Vec<u32> {
        let table = self.tables.get_mut(namespace);
        table.map(|table| std::mem::take(&mut table.doubtful).into_iter().collect()).unwrap_or_default()
    }

    /// The routers of labelled paths to which other links may lead by now; they are in doubt no longer.
    pub(crate) fn take_doubtful_ways(&mut self) -> BTreeSet<IpAddr> {
        let table = self.tables.get_mut(&Namespace::Host);
        table.map(|table| table.ways.take_doubtful()).unwrap_or_default()
    }

    /// The links that lead to routers of labelled paths now, where one does.
    pub(crate) fn set_ways(&mut self, answers: Vec<(IpAddr, Option<u32>)>) {
        let Some(table) = self.tables.get_mut(&Namespace::Host) else { return };
        let changed = answers.into_iter().filter(|(via, link)| table.ways.settle(*via, *link));
        let changed: BTreeSet<IpAddr> = changed.map(|(via, _)| via).collect();
        if !changed.is_empty() {
            let keys = table.routes.labelled(&changed);
            self.refresh_routes(&Namespace::Host, &keys);
        }
    }

    /// Puts what a link answers for in place of what was known of that.
    pub(crate) fn set_proxies(&mut self, namespace: &Namespace, link: u32, facts: Vec<Fact>) {
        let lost = self.tables.get_mut(namespace).map(|table| table.lose_proxies(link));
        for fact in facts {
            // A link that is not known any more is told as gone.
            let _known = self.take(namespace, fact);
        }
        lost.into_iter().flatten().for_each(|entry| self.refresh_entry(namespace, &entry));
    }

    /// Whether the namespace bears our mark.
    pub(crate) fn bears_mark(&self, namespace: &Namespace) -> bool {
        match namespace {
            Namespace::Host => true,
            Namespace::Vrf(_) => self.vrf(namespace).is_some(),
            Namespace::Named(name) => {
                let mark = namespace_mark(name);
                let is_ours = |lo: &RawLink| lo.marks.contains(&mark) || vrf_of(name.as_str(), lo).is_some();
                self.link_at(namespace, LOOPBACK).is_some_and(is_ours)
            }
        }
    }

    /// The VRF that a network namespace is, whole or not.
    fn vrf(&self, namespace: &Namespace) -> Option<Vrf> {
        let Namespace::Vrf(name) = namespace else { return None };
        vrf_of(name.as_str(), self.link_at(namespace, LOOPBACK)?)
    }

    /// The families in which what comes in by a link is routed by a table because we have it so.
    pub(crate) fn ingress(&self, namespace: &Namespace, table: u32, link: IfName) -> BTreeSet<Family> {
        self.tables.get(namespace).map(|found| found.ingress(table, link)).unwrap_or_default()
    }

    /// The routes and next hops of a network namespace.
    pub(crate) fn routes(&self, namespace: &Namespace) -> Option<&Routes> {
        self.tables.get(namespace).map(|table| &table.routes)
    }

    /// The next hops of ours in a network namespace that nothing leads to: groups first, then their members.
    pub(crate) fn orphans(&mut self, namespace: &Namespace) -> Vec<u32> {
        self.tables.get_mut(namespace).map(|table| table.routes.orphans()).unwrap_or_default()
    }

    /// The link of this name.
    pub(crate) fn link(&self, id: &LinkId) -> Option<&RawLink> {
        let table = self.tables.get(self.netns(&id.namespace))?;
        let index = table.names.get(&id.name)?;
        table.links.get(index).filter(|_| table.views.get(index).is_some_and(|view| view.id == *id))
    }

    /// The VRF device of this name that is ours, and its routing table.
    pub(crate) fn vrf_device(&self, name: IfName) -> Option<(u32, u32)> {
        let table = self.tables.get(&Namespace::Host)?;
        let link = table.links.get(table.names.get(&name)?)?;
        match link.kind {
            RawKind::Vrf { table } if own_mark(link).is_some() => Some((link.index, table)),
            _ => None,
        }
    }

    /// The links in the host's own namespace that have this one for a master, and whether we made each.
    pub(crate) fn slaves(&self, master: u32) -> Vec<(u32, bool)> {
        let links = self.tables.get(&Namespace::Host).map(|table| table.links.values());
        let of_it = links.into_iter().flatten().filter(|link| link.master == Some(master));
        of_it.map(|link| (link.index, own_mark(link).is_some() || end_mark(link).is_some())).collect()
    }

    /// The link with this index.
    pub(crate) fn link_at(&self, namespace: &Namespace, index: u32) -> Option<&RawLink> {
        self.tables.get(namespace)?.links.get(&index)
    }

    /// The other end of a veth of ours, if it is as we made it.
    pub(crate) fn peer(&self, link: &RawLink, mark: &Mark) -> Option<(&Namespace, &RawLink)> {
        let ends = self.ends.get(&peer_mark(mark.as_str()))?;
        let joined = |other: &RawLink| link.link == Some(other.index) && other.link == Some(link.index);
        ends.iter()
            .filter_map(|(namespace, index)| Some((namespace, self.link_at(namespace, *index)?)))
            .find(|(_, other)| joined(other))
    }

    /// The links of a namespace that bear a mark of ours, as what we made.
    pub(crate) fn made_links(&self, namespace: &Namespace) -> Vec<u32> {
        let Some(table) = self.tables.get(namespace) else { return Vec::new() };
        let made = |link: &&RawLink| own_mark(link).is_some() || end_mark(link).is_some();
        table.links.values().filter(made).map(|link| link.index).collect()
    }

    /// The largest index of a link in a namespace.
    pub(crate) fn largest_index(&self, namespace: &Namespace) -> u32 {
        self.tables.get(namespace).and_then(|table| table.links.keys().next_back().copied()).unwrap_or(0)
    }

    /// Whether the link has an IPv6 address of ours.
    pub(crate) fn has_ipv6(&self, namespace: &Namespace, index: u32) -> bool {
        self.tables.get(namespace).is_some_and(|table| table.has_own_ipv6(index))
    }

    /// Whether the link has this address, and it is ours.
    pub(crate) fn has_address(&self, namespace: &Namespace, index: u32, address: IpNet) -> bool {
        self.tables.get(namespace).is_some_and(|table| table.addresses.get(&(index, address)) == Some(&true))
    }

    /// Remembers what no event tells: whether IPv6 is off on a link.
    pub(crate) fn set_ipv6_disabled(&mut self, netns: &Namespace, name: IfName, disabled: bool) {
        let Some(table) = self.tables.get_mut(netns) else { return };
        let Some(index) = table.names.get(&name).copied() else { return };
        if let Some(link) = table.links.get_mut(&index) {
            link.ipv6_disabled = disabled;
            self.refresh(netns, index);
        }
    }

    /// The links of the host's own namespace that have no carrier.
    pub(crate) fn without_carrier(&self) -> Vec<IfName> {
        let links = self.tables.get(&Namespace::Host).map(|table| table.links.values());
        links.into_iter().flatten().filter(|link| !link.runs).map(|link| link.name).collect()
    }

    /// The link that has this address, and its MTU.
    pub(crate) fn link_with(&self, namespace: &Namespace, address: IpAddr) -> Option<(IfName, u32)> {
        let table = self.tables.get(namespace)?;
        let (index, _) = table.addresses.keys().find(|(_, found)| found.addr() == address)?;
        table.links.get(index).map(|link| (link.name, link.mtu))
    }
}

/// The mark of a link that we made, as the intent has it.
pub(crate) fn own_mark(link: &RawLink) -> Option<Mark> {
    let special = |mark: &str| SPECIAL.iter().any(|prefix| mark.starts_with(prefix));
    if link.kind == RawKind::Other {
        return None;
    }
    link.marks.iter().find(|mark| !special(mark))?.parse().ok()
}

/// The mark that says "adopted".
pub(crate) fn adoption_mark(link: &RawLink) -> Option<Mark> {
    link.marks.iter().find(|mark| mark.starts_with(ADOPTED))?.parse().ok()
}

/// The mark of a veth's other end.
pub(crate) fn end_mark(link: &RawLink) -> Option<&String> {
    link.marks.iter().find(|mark| mark.starts_with(PEER)).filter(|_| link.kind == RawKind::Veth)
}
