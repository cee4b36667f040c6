//! From raw to meaning: which object a link, or an entry of it, is.

use std::net::{IpAddr, Ipv4Addr};

use weft_dataplane::{
    BridgeFdb, BridgePort, Flood, Key, Link, LinkId, LinkKind, Mark, Namespace, Neighbour, Object, PortRole,
    Route, RouteTo, VxlanFdb,
};
use weft_net::Mac;

use super::table::{Entry, Table, of_link};
use super::{Mirror, adoption_mark, end_mark, own_mark};
use crate::parse::{RawKind, RawLink};

/// What a link was taken for: what the meaning of its entries, and of other links, depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    id: LinkId,
    mark: Option<Mark>,
    /// A bridge of ours.
    is_bridge: bool,
    /// A VXLAN device of ours.
    is_vxlan: bool,
    /// The bridge of ours that this link of ours is in.
    bridge: Option<u32>,
    /// Its mark as an end of a veth.
    end: Option<String>,
}

impl Mirror {
    /// Makes the state say what a link, and what depends on it, is now.
    pub(super) fn refresh(&mut self, namespace: &Namespace, index: u32) {
        let view =
            |mirror: &Self| mirror.tables.get(namespace).and_then(|table| table.views.get(&index)).cloned();
        let before = view(self);
        self.refresh_one(namespace, index);
        let after = view(self);
        let name = |view: &Option<View>| view.as_ref().map(|view| (view.id.name, view.is_bridge));
        if name(&before) != name(&after) {
            for dependent in
                self.tables.get(namespace).map(|table| dependents(table, index)).unwrap_or_default()
            {
                self.refresh_one(namespace, dependent);
            }
        }
        let ends = [before.and_then(|view| view.end), after.and_then(|view| view.end)];
        for end in ends.into_iter().flatten() {
            let first = end.strip_prefix(super::PEER).map(|rest| format!("weft.{rest}"));
            let firsts = first.and_then(|mark| self.ends.get(&mark)).cloned().unwrap_or_default();
            for (namespace, index) in firsts {
                self.refresh_one(&namespace, index);
            }
        }
    }

    fn refresh_one(&mut self, namespace: &Namespace, index: u32) {
        let Some(table) = self.tables.get(namespace) else { return };
        let after = table.links.get(&index).map(|raw| view(namespace, table, raw));
        let before = table.views.get(&index).cloned();
        self.note_end(namespace, index, before.as_ref(), after.as_ref());
        let Some(table) = self.tables.get(namespace) else { return };
        if let Some(before) = before.as_ref().filter(|_| before != after) {
            for object in entries(table, index, before) {
                self.state.remove(&object.key());
            }
            self.state.remove(&Key::Link(before.id.clone()));
            self.state.remove(&Key::BridgePort(before.id.clone()));
        }
        if let (Some(raw), Some(view)) = (table.links.get(&index), after.as_ref()) {
            let link = self.link_object(table, raw, view);
            match port_object(table, raw, view) {
                Some(port) => self.state.insert(port),
                None => self.state.remove(&Key::BridgePort(view.id.clone())),
            };
            self.state.insert(link);
            if before != after {
                for object in entries(table, index, view) {
                    self.state.insert(object);
                }
            }
        }
        if let Some(table) = self.tables.get_mut(namespace) {
            match after {
                Some(view) => table.views.insert(index, view),
                None => table.views.remove(&index),
            };
        }
    }

    fn note_end(&mut self, namespace: &Namespace, index: u32, before: Option<&View>, after: Option<&View>) {
        let end = |view: &View| view.end.clone().or_else(|| view.mark.as_ref().map(ToString::to_string));
        let (before, after) = (before.and_then(end), after.and_then(end));
        if before == after {
            return;
        }
        let here = (namespace.clone(), index);
        if let Some(before) = before
            && let Some(ends) = self.ends.get_mut(&before)
        {
            ends.retain(|end| *end != here);
            if ends.is_empty() {
                self.ends.remove(&before);
            }
        }
        if let Some(after) = after {
            self.ends.entry(after).or_default().push(here);
        }
    }

    /// Makes the state say what an entry is now.
    pub(super) fn refresh_entry(&mut self, namespace: &Namespace, entry: &Entry) {
        let Some(table) = self.tables.get(namespace) else { return };
        if let Entry::Route(table_number, destination) = *entry {
            match table
                .routes
                .get(&(table_number, destination))
                .and_then(|route| table.views.get(&route.link))
            {
                Some(view) => {
                    let route = entry_object(table, view, entry);
                    route.map(|route| self.state.insert(route));
                }
                None => {
                    self.state.remove(&Key::Route(namespace.clone(), table_number, destination));
                }
            }
            return;
        }
        let (Entry::Address(link, _) | Entry::Neighbour(link, _) | Entry::BridgeFdb(link, _)) = entry else {
            let Entry::VxlanFdb(link, ..) = entry else { return };
            return self.refresh_of(namespace, *link, entry);
        };
        self.refresh_of(namespace, *link, entry);
    }

    fn refresh_of(&mut self, namespace: &Namespace, link: u32, entry: &Entry) {
        let Some(table) = self.tables.get(namespace) else { return };
        let Some(view) = table.views.get(&link) else { return };
        match entry_object(table, view, entry) {
            Some(object) => self.state.insert(object),
            None => self.state.remove(&entry_key(view, entry)),
        };
    }

    /// Drops the IPv4 routes out of a link.
    pub(super) fn drop_ipv4_routes(&mut self, namespace: &Namespace, link: u32) {
        let Some(table) = self.tables.get_mut(namespace) else { return };
        let routes: Vec<_> = table.routes_of(link).filter(|(_, to)| to.addr().is_ipv4()).collect();
        for (number, destination) in routes {
            table.remove_route((number, destination));
            self.state.remove(&Key::Route(namespace.clone(), number, destination));
        }
    }

    fn link_object(&self, table: &Table, raw: &RawLink, view: &View) -> Object {
        let Some(mark) = view.mark.clone() else { return Object::ForeignLink(view.id.clone()) };
        let mut link = Link { id: view.id.clone(), mark, mtu: raw.mtu, up: raw.up, kind: LinkKind::Tap };
        match &raw.kind {
            RawKind::Bridge { sound } => {
                link.kind = LinkKind::Bridge;
                link.up &= *sound && table.guards.contains(&raw.index);
            }
            RawKind::Tap => {}
            RawKind::Veth => self.veth(raw, &mut link),
            RawKind::Vlan { id } => {
                let parent = raw.link.and_then(|parent| table.links.get(&parent));
                link.kind =
                    LinkKind::Vlan { parent: parent.map_or(raw.name, |parent| parent.name), vlan_id: *id };
            }
            RawKind::Vxlan { vni, local, port, learning } => {
                link.up &= !learning;
                link.kind = LinkKind::Vxlan { vni: *vni, local: *local, port: *port, mac: None };
            }
            RawKind::Other => return Object::ForeignLink(view.id.clone()),
        }
        Object::Link(link)
    }

    /// A veth is as good as its other end. One whose other end is not as we made it has itself for one, which nothing wants.
    fn veth(&self, raw: &RawLink, link: &mut Link) {
        let Some((namespace, other)) = self.peer(raw, &link.mark) else {
            link.kind = LinkKind::Veth { peer: link.id.clone(), peer_mac: Mac::ZERO };
            return;
        };
        link.up &= other.up;
        link.mtu = if raw.mtu == other.mtu { raw.mtu } else { 0 };
        let peer = LinkId { namespace: namespace.clone(), name: other.name };
        link.kind = LinkKind::Veth { peer, peer_mac: other.mac };
    }
}

fn view(namespace: &Namespace, table: &Table, raw: &RawLink) -> View {
    let mark = own_mark(raw);
    let master = raw.master.filter(|master| is_own_bridge(table, *master));
    View {
        id: LinkId { namespace: namespace.clone(), name: raw.name },
        is_bridge: mark.is_some() && matches!(raw.kind, RawKind::Bridge { .. }),
        is_vxlan: mark.is_some() && matches!(raw.kind, RawKind::Vxlan { .. }),
        bridge: master.filter(|_| mark.is_some()),
        end: end_mark(raw).cloned(),
        mark,
    }
}

fn is_own_bridge(table: &Table, index: u32) -> bool {
    table
        .links
        .get(&index)
        .is_some_and(|link| matches!(link.kind, RawKind::Bridge { .. }) && own_mark(link).is_some())
}

/// The links whose meaning depends on this one's name, or on whether it is a bridge of ours.
fn dependents(table: &Table, index: u32) -> Vec<u32> {
    let depends = |link: &&RawLink| {
        link.master == Some(index) || (link.link == Some(index) && matches!(link.kind, RawKind::Vlan { .. }))
    };
    table.links.values().filter(depends).map(|link| link.index).collect()
}

fn port_object(table: &Table, raw: &RawLink, view: &View) -> Option<Object> {
    let adoption = adoption_mark(raw);
    let bridge =
        raw.master.filter(|master| is_own_bridge(table, *master)).and_then(|master| table.links.get(&master));
    // An adopted link is a port even if it is in no bridge of ours: then in one of its own name, which nothing wants.
    let mut flags = raw.port;
    // No port of a bridge that is down forwards; once that is up, the kernel sees to it.
    flags.blocked &= bridge.is_some_and(|bridge| bridge.up);
    let bridge = match bridge {
        Some(bridge) if view.mark.is_some() || adoption.is_some() => bridge.name,
        None if adoption.is_some() => raw.name,
        Some(_) | None => return None,
    };
    // Flags that are no role's are told as those that the link's kind should not have.
    let wrong = || if view.is_vxlan { PortRole::Workload } else { PortRole::Tunnel };
    let role = flags.role().unwrap_or_else(wrong);
    Some(Object::BridgePort(BridgePort { link: view.id.clone(), bridge, role, adoption }))
}

/// All entries of a link that are ours, if it is what `view` says.
fn entries(table: &Table, link: u32, view: &View) -> Vec<Object> {
    let mut found: Vec<Entry> = Vec::new();
    found.extend(of_link(&table.addresses, link).map(|((_, address), _)| Entry::Address(link, *address)));
    found.extend(of_link(&table.neighbours, link).map(|((_, address), _)| Entry::Neighbour(link, *address)));
    found.extend(of_link(&table.bridge_fdb, link).map(|((_, mac), _)| Entry::BridgeFdb(link, *mac)));
    let fdb = table.vxlan_fdb.range((link, Mac::ZERO, IpAddr::V4(Ipv4Addr::UNSPECIFIED))..);
    let fdb = fdb.take_while(|(other, ..)| *other == link);
    found.extend(fdb.map(|(_, mac, destination)| Entry::VxlanFdb(link, *mac, *destination)));
    found.extend(table.routes_of(link).map(|(table, destination)| Entry::Route(table, destination)));
    found.iter().filter_map(|entry| entry_object(table, view, entry)).collect()
}

/// The object that an entry of a link is, if it is there and ours.
fn entry_object(table: &Table, view: &View, entry: &Entry) -> Option<Object> {
    let link = || view.id.clone();
    match *entry {
        Entry::Address(index, address) => {
            let ours = table.addresses.get(&(index, address)) == Some(&true);
            ours.then(|| Object::Address(link(), address))
        }
        Entry::Neighbour(index, address) => {
            let mac = *table.neighbours.get(&(index, address))?;
            Some(Object::Neighbour(Neighbour { link: link(), address, mac }))
        }
        Entry::VxlanFdb(index, Mac::ZERO, destination) => {
            let there = view.is_vxlan && table.vxlan_fdb.contains(&(index, Mac::ZERO, destination));
            there.then(|| Object::Flood(Flood { link: link(), destination }))
        }
        Entry::VxlanFdb(index, mac, _) => {
            // The kernel has one endpoint for an address of a single station.
            let destination = table.of_address(index, mac).next().filter(|_| view.is_vxlan)?;
            Some(Object::VxlanFdb(VxlanFdb { link: link(), mac, destination, vni: None }))
        }
        Entry::BridgeFdb(index, mac) => {
            let ours = view.is_vxlan && view.bridge == Some(*table.bridge_fdb.get(&(index, mac))?);
            ours.then(|| Object::BridgeFdb(BridgeFdb { link: link(), mac }))
        }
        Entry::Route(number, destination) => {
            let route = table.routes.get(&(number, destination))?;
            Some(Object::Route(Route {
                namespace: view.id.namespace.clone(),
                table: number,
                destination,
                to: RouteTo::link(view.id.name, route.via),
            }))
        }
    }
}

fn entry_key(view: &View, entry: &Entry) -> Key {
    let link = view.id.clone();
    match *entry {
        Entry::Address(_, address) => Key::Address(link, address),
        Entry::Neighbour(_, address) => Key::Neighbour(link, address),
        Entry::VxlanFdb(_, Mac::ZERO, destination) => Key::Flood(link, destination),
        Entry::VxlanFdb(_, mac, _) => Key::VxlanFdb(link, mac),
        Entry::BridgeFdb(_, mac) => Key::BridgeFdb(link, mac),
        Entry::Route(table, destination) => Key::Route(link.namespace, table, destination),
    }
}
