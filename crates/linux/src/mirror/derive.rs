//! From raw to meaning: which object a link, or an entry of it, is.

use weft_dataplane::{
    BridgePort, INGRESS_TABLE, Key, Link, LinkId, LinkKind, Mark, Namespace, Object, PortRole, Steering, Vrf,
};
use weft_net::Mac;

use super::table::{Entry, Table, of_link};
use super::{Mirror, adoption_mark, end_mark, own_mark};
use crate::parse::{Family, RawKind, RawLink};
use crate::steer::RawFilter;
use crate::vrf::ingress_table;
use entries::{entries, entry_key, entry_object};

mod entries;
mod routes;

/// What a link was taken for: what the meaning of its entries, and of other links, depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) id: LinkId,
    mark: Option<Mark>,
    /// A bridge of ours.
    is_bridge: bool,
    /// A VXLAN device of ours.
    is_vxlan: bool,
    /// A VRF device of ours that is a place, and its routing table.
    vrf: Option<u32>,
    /// It is a bridge port that learns nothing: what is in its bridge's table for it is the intent's.
    is_fed: bool,
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
        let name =
            |view: &Option<View>| view.as_ref().map(|view| (view.id.clone(), view.is_bridge, view.vrf));
        if name(&before) != name(&after) {
            for dependent in
                self.tables.get(namespace).map(|table| dependents(table, index)).unwrap_or_default()
            {
                self.refresh(namespace, dependent);
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
        let has_changed = before != after;
        if let Some(before) = before.as_ref().filter(|_| has_changed) {
            for entry in entries(table, index) {
                self.state.remove(&entry_key(before, &entry));
            }
            for key in [own_key(before), Key::BridgePort(before.id.clone()), Key::ProxyArp(before.id.clone())]
            {
                self.state.remove(&key);
            }
            self.state.remove(&Key::Steering(before.id.clone()));
        }
        if let (Some(raw), Some(view)) = (table.links.get(&index), after.as_ref()) {
            let link = self.link_object(table, raw, view);
            match port_object(table, raw, view) {
                Some(port) => self.state.insert(port),
                None => self.state.remove(&Key::BridgePort(view.id.clone())),
            };
            if raw.proxies[Family::Ipv4 as usize] && is_made(view) {
                self.state.insert(Object::ProxyArp(view.id.clone()));
            } else {
                self.state.remove(&Key::ProxyArp(view.id.clone()));
            }
            self.state.insert(link);
            // Whether an entry counts may hang on the link's settings.
            for entry in entries::settled_by_link(table, index) {
                match entry_object(table, view, &entry) {
                    Some(object) => self.state.insert(object),
                    None => self.state.remove(&entry_key(view, &entry)),
                };
            }
            if has_changed {
                for object in
                    entries(table, index).iter().filter_map(|entry| entry_object(table, view, entry))
                {
                    self.state.insert(object);
                }
            }
        }
        let as_vrf = |view: &View| Some((view.id.name, view.vrf?));
        let places = [before.as_ref().and_then(as_vrf), after.as_ref().and_then(as_vrf)];
        if let Some(table) = self.tables.get_mut(namespace) {
            match after {
                Some(view) => table.views.insert(index, view),
                None => table.views.remove(&index),
            };
        }
        if has_changed {
            self.refresh_routes_of(namespace, index);
            if places[0] != places[1] {
                let places = places.into_iter().flatten();
                places.for_each(|(vrf, number)| self.change_place(namespace, vrf, number));
            }
            self.refresh_steering(namespace, index);
        }
    }

    /// Makes the state say what a place as a whole is now.
    pub(super) fn refresh_place(&mut self, namespace: &Namespace) {
        match namespace {
            Namespace::Host => {
                let table = self.tables.get(namespace);
                let devices: Vec<u32> =
                    table.map(|table| table.vrfs.values().copied().collect()).unwrap_or_default();
                devices.into_iter().for_each(|device| self.refresh_one(namespace, device));
            }
            Namespace::Named(name) => {
                if self.bears_mark(namespace) {
                    self.state.insert(Object::Namespace(name.clone()));
                }
            }
            Namespace::Vrf(_) => {
                let is_last = |table: &Table, family| table.last_resorts.contains(&(INGRESS_TABLE, family));
                let is_whole = |table: &Table| {
                    table.at_rest.is_empty()
                        && !table.unsettled
                        && is_last(table, Family::Ipv4)
                        && is_last(table, Family::Ipv6)
                };
                let is_whole = self.tables.get(namespace).is_some_and(is_whole);
                if let Some(vrf) = self.vrf(namespace) {
                    let table = if is_whole { vrf.table } else { 0 };
                    self.state.insert(Object::Vrf(Vrf { table, ..vrf }));
                }
            }
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
        let link = match entry {
            Entry::Address(link, _)
            | Entry::Neighbour(link, _)
            | Entry::BridgeFdb(link, _)
            | Entry::Delivery(link, _)
            | Entry::Proxy(link, _)
            | Entry::VxlanFdb(link, ..) => *link,
            Entry::Label(label) => return self.refresh_label(namespace, *label),
        };
        if let Entry::Delivery(_, address) = *entry {
            let of_it = of_link(&table.addresses, link).map(|((_, of_link), _)| *of_link);
            let of_it: Vec<_> = of_it.filter(|of_link| of_link.addr() == address).collect();
            let of_it = of_it.into_iter().map(|address| Entry::Address(link, address));
            return of_it.for_each(|entry| self.refresh_entry(namespace, &entry));
        }
        let Some(view) = table.views.get(&link) else { return };
        match entry_object(table, view, entry) {
            Some(object) => self.state.insert(object),
            None => self.state.remove(&entry_key(view, entry)),
        };
    }

    /// Makes the state say what is steered out of a link, and by whom back into it.
    pub(super) fn refresh_steering(&mut self, namespace: &Namespace, index: u32) {
        let Some(table) = self.tables.get(namespace) else { return };
        if let Some(link) = table.links.get(&index) {
            let ingresses = table.marked_ingresses(link.name);
            ingresses.into_iter().for_each(|(table, link)| self.refresh_ingress(namespace, table, link));
        }
        let Some(table) = self.tables.get(namespace) else { return };
        let leads_here = |filters: &RawFilter| filters.to == index;
        let others = table.filters.iter().filter(|(_, filter)| leads_here(filter)).map(|(link, _)| *link);
        for link in others.chain([index]).collect::<Vec<u32>>() {
            let Some(table) = self.tables.get(namespace) else { return };
            let Some(view) = table.views.get(&link) else { continue };
            match steering(table, link, view) {
                Some(steering) => self.state.insert(Object::Steering(steering)),
                None => self.state.remove(&Key::Steering(view.id.clone())),
            };
        }
    }

    fn link_object(&self, table: &Table, raw: &RawLink, view: &View) -> Object {
        let Some(mark) = view.mark.clone() else { return Object::ForeignLink(view.id.clone()) };
        let mut link = Link { id: view.id.clone(), mark, mtu: raw.mtu, up: raw.up, kind: LinkKind::Tap };
        link.up &= routes_well(&view.id.namespace, raw);
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
                // One in a VRF is told with the address that it has, since there its address matters.
                let mac = matches!(view.id.namespace, Namespace::Vrf(_)).then_some(raw.mac);
                link.kind = LinkKind::Vxlan { vni: *vni, local: *local, port: *port, mac };
            }
            RawKind::Vrf { table: number } if view.vrf.is_some() => {
                let tables = [*number, ingress_table(*number)];
                let is_last =
                    |family| tables.iter().all(|number| table.last_resorts.contains(&(*number, family)));
                let is_whole = raw.up
                    && raw.forwarding == [true; 2]
                    && !table.unsettled
                    && !table.at_rest.contains(&Family::Ipv6)
                    && table.local_first.is_empty()
                    && table.mark_rules.contains(&(tables[1], Family::Ipv6))
                    && is_last(Family::Ipv4)
                    && is_last(Family::Ipv6);
                let number = if is_whole { *number } else { 0 };
                return Object::Vrf(Vrf { name: raw.name, mark: link.mark, table: number });
            }
            // Where VRFs are namespaces, one of the other sort is something that nothing wants.
            RawKind::Vrf { .. } => link.mtu = 0,
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
        let table = self.tables.get(namespace);
        let place = table.map_or_else(|| namespace.clone(), |table| place(namespace, table, other));
        link.up &= other.up && routes_well(&place, other) && self.is_limited(&place, table, other);
        link.mtu = if raw.mtu == other.mtu { raw.mtu } else { 0 };
        link.kind =
            LinkKind::Veth { peer: LinkId { namespace: place, name: other.name }, peer_mac: other.mac };
    }
}

impl Mirror {
    /// Whether the end of a veth that is in a VRF has the limit, where there is one.
    fn is_limited(&self, place: &Namespace, table: Option<&Table>, raw: &RawLink) -> bool {
        !self.has_limits
            || !matches!(place, Namespace::Vrf(_))
            || table.is_some_and(|table| table.guards.contains(&raw.index))
    }
}

/// What is steered out of a link. If nothing comes back, or it goes nowhere, it is told as what nothing wants.
fn steering(table: &Table, link: u32, view: &View) -> Option<Steering> {
    let filter = table.filters.get(&link).filter(|filter| filter.steers())?;
    let to = table.views.get(&filter.to);
    let comes_back = table.filters.get(&filter.to).is_some_and(|back| back.takes_all() && back.to == link);
    let (mac, addresses) = filter.takes().filter(|_| comes_back).unwrap_or((Mac::ZERO, Vec::new()));
    let to = to.map_or_else(|| view.id.clone(), |to| to.id.clone());
    Some(Steering { link: view.id.clone(), mac, addresses, to })
}

/// In a VRF, a link forwards.
fn routes_well(place: &Namespace, raw: &RawLink) -> bool {
    !matches!(place, Namespace::Vrf(_)) || (raw.forwarding == [true; 2] && !raw.ipv6_disabled)
}

/// Where a link is: in the VRF whose device it is enslaved to, or in the namespace that it is in.
fn place(namespace: &Namespace, table: &Table, raw: &RawLink) -> Namespace {
    let master = raw.master.filter(|_| table.has_places).and_then(|master| table.links.get(&master));
    match master.filter(|master| matches!(master.kind, RawKind::Vrf { .. }) && own_mark(master).is_some()) {
        Some(master) => Namespace::Vrf(master.name),
        None => namespace.clone(),
    }
}

/// The key of what a link itself is.
fn own_key(view: &View) -> Key {
    if view.vrf.is_some() { Key::Vrf(view.id.name) } else { Key::Link(view.id.clone()) }
}

/// Whether we made it, or the other end of it.
fn is_made(view: &View) -> bool {
    view.mark.is_some() || view.end.is_some()
}

fn view(namespace: &Namespace, table: &Table, raw: &RawLink) -> View {
    let mark = own_mark(raw);
    let master = raw.master.filter(|master| is_own_bridge(table, *master));
    View {
        id: LinkId { namespace: place(namespace, table, raw), name: raw.name },
        vrf: match raw.kind {
            RawKind::Vrf { table: number } => Some(number).filter(|_| table.has_places && mark.is_some()),
            _ => None,
        },
        is_fed: mark.is_some() && !raw.port.learning,
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

/// The links whose meaning depends on this one's name, or on whether it is a bridge or a VRF of ours.
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
