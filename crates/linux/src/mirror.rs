//! What the kernel has, kept up to date fact by fact: raw, by index, and as the [`State`] that it means. Pure.
//!
//! ```text
//! Fact ── record ──> Table (one a namespace: links, addresses, neighbours, entries, routes)
//!                      └── refresh what the fact touches ──> State
//! ```
//!
//! Nothing here is proportional to the size of the state but a load after a full dump.

mod derive;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use weft_dataplane::{Key, LinkId, Mark, Namespace, State};
use weft_net::{IfName, NamespaceName};

use crate::parse::{Fact, RawKind, RawLink};
use derive::View;
use table::{Entry, Table, Touched};

/// The index of `lo` in every namespace.
const LOOPBACK: u32 = 1;
const PEER: &str = "weft.peer.";
const ADOPTED: &str = "weft.adopted.";
const NAMESPACE: &str = "weft.namespace.";

/// The mark on the `lo` of a namespace of ours.
pub(crate) fn namespace_mark(name: &NamespaceName) -> String {
    format!("{NAMESPACE}{name}")
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
    tables: BTreeMap<Namespace, Table>,
    /// Where the ends of our veths are, by the mark they bear.
    ///
    /// Two may bear the same for a moment: one namespace has not told of the old end's going when another tells of the new.
    ends: HashMap<String, Vec<(Namespace, u32)>>,
}

impl Mirror {
    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// Puts what a full dump of a namespace gave in place of what was known of it.
    pub(crate) fn load(&mut self, namespace: &Namespace, facts: Vec<Fact>) {
        self.forget(namespace);
        let mut table = Table::default();
        for fact in facts {
            table.record(fact, true);
        }
        let links: Vec<u32> = table.links.keys().copied().collect();
        self.tables.insert(namespace.clone(), table);
        if let Namespace::Named(name) = namespace
            && self.bears_mark(namespace)
        {
            self.state.insert(weft_dataplane::Object::Namespace(name.clone()));
        }
        for link in links {
            self.refresh(namespace, link);
        }
    }

    /// Takes a namespace out of the picture.
    pub(crate) fn forget(&mut self, namespace: &Namespace) {
        let links: Vec<u32> =
            self.tables.get(namespace).map(|t| t.links.keys().copied().collect()).unwrap_or_default();
        for link in links {
            if let Some(table) = self.tables.get_mut(namespace) {
                table.record(Fact::LinkGone(link), false);
            }
            self.refresh(namespace, link);
            if let Some(table) = self.tables.get_mut(namespace) {
                table.forget_link(link);
            }
        }
        self.tables.remove(namespace);
        if let Namespace::Named(name) = namespace {
            self.state.remove(&Key::Namespace(name.clone()));
        }
    }

    /// Takes in what the kernel told.
    pub(crate) fn take(&mut self, namespace: &Namespace, fact: Fact) -> Result<(), Unknown> {
        let Some(table) = self.tables.get_mut(namespace) else { return Err(Unknown) };
        match table.record(fact, false) {
            Touched::Nothing => {}
            Touched::Unknown => return Err(Unknown),
            Touched::Link(link) => self.refresh(namespace, link),
            Touched::Gone(link) => {
                self.refresh(namespace, link);
                if let Some(table) = self.tables.get_mut(namespace) {
                    table.forget_link(link);
                }
            }
            Touched::Entry(entry) => self.refresh_entry(namespace, &entry),
            Touched::Moved(from, to) => {
                self.refresh_entry(namespace, &from);
                self.refresh_entry(namespace, &to);
            }
            Touched::LastAddress(link, address) => {
                self.refresh_entry(namespace, &Entry::Address(link, address));
                self.drop_ipv4_routes(namespace, link);
            }
            Touched::LinkDown(link) => {
                self.refresh(namespace, link);
                self.drop_ipv4_routes(namespace, link);
            }
        }
        Ok(())
    }

    /// Whether the namespace bears our mark.
    pub(crate) fn bears_mark(&self, namespace: &Namespace) -> bool {
        match namespace {
            Namespace::Host | Namespace::Vrf(_) => true,
            Namespace::Named(name) => {
                let mark = namespace_mark(name);
                self.tables
                    .get(namespace)
                    .and_then(|table| table.links.get(&LOOPBACK))
                    .is_some_and(|lo| lo.marks.contains(&mark))
            }
        }
    }

    /// The link of this name.
    pub(crate) fn link(&self, id: &LinkId) -> Option<&RawLink> {
        let table = self.tables.get(&id.namespace)?;
        table.links.get(table.names.get(&id.name)?)
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

    /// Remembers what no event tells: whether IPv6 is off on a link.
    pub(crate) fn set_ipv6_disabled(&mut self, id: &LinkId, disabled: bool) {
        let Some(table) = self.tables.get_mut(&id.namespace) else { return };
        let Some(index) = table.names.get(&id.name) else { return };
        if let Some(link) = table.links.get_mut(index) {
            link.ipv6_disabled = disabled;
        }
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
    let special = |mark: &str| [PEER, ADOPTED, NAMESPACE].iter().any(|prefix| mark.starts_with(prefix));
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
