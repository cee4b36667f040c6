//! What one namespace has, raw, by index of link.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::{IfName, Mac, MplsLabel, Vni};

use super::{View, own_mark};
use crate::parse::{Fact, Family, RawBridgeFdb, RawHop, RawKind, RawLink, RawNextHop, RawRoute, RawTo};
use crate::steer::RawFilter;
use crate::vrf::INGRESS_OFFSET;
pub(crate) use routes::Routes;
use ways::Ways;

mod routes;
mod ways;

#[derive(Default)]
pub(super) struct Table {
    pub(super) links: BTreeMap<u32, RawLink>,
    pub(super) names: HashMap<IfName, u32>,
    /// What each link was last taken for.
    pub(super) views: HashMap<u32, View>,
    /// All addresses, and whether each is ours.
    pub(super) addresses: BTreeMap<(u32, IpNet), bool>,
    /// By which tables, beside their own, what is for addresses of links is delivered.
    pub(super) deliveries: BTreeMap<(u32, IpAddr), u32>,
    pub(super) neighbours: BTreeMap<(u32, IpAddr), Mac>,
    /// What a link answers for because we have it do so.
    pub(super) proxies: BTreeMap<(u32, IpAddr), ()>,
    /// The links that may answer for less than that: the kernel takes it from a link without a carrier, and does not say so.
    pub(super) doubtful: BTreeSet<u32>,
    /// Endpoints, and the network identifiers that they take what is sent under, if not the device's own.
    pub(super) vxlan_fdb: BTreeMap<(u32, Mac, IpAddr), Option<Vni>>,
    /// What somebody made in the tables of bridges, and the port at which each bridge has each address.
    pub(super) bridge_fdb: BTreeMap<(u32, Mac), u32>,
    fdb_ports: HashMap<(u32, Mac), u32>,
    pub(super) routes: Routes,
    pub(super) labels: BTreeMap<MplsLabel, (u32, Mac)>,
    /// By which links labelled paths of VRF devices are to leave.
    pub(super) ways: Ways,
    pub(super) guards: HashSet<u32>,
    /// Our filters that steer, by the link at which they are.
    pub(super) filters: BTreeMap<u32, RawFilter>,
    /// The VRF devices of ours, by their routing tables.
    pub(super) vrfs: BTreeMap<u32, u32>,
    /// Whether VRF devices of ours are places here.
    pub(super) has_places: bool,
    /// The tables, by family, behind which no other is asked.
    pub(super) last_resorts: BTreeSet<(u32, Family)>,
    /// By which links what comes in is routed by which tables, and in which families.
    pub(super) ingresses: BTreeMap<(u32, IfName), BTreeSet<Family>>,
    /// The ingress tables that are asked about what bears their number for a mark, by family.
    pub(super) mark_rules: BTreeSet<(u32, Family)>,
    /// The families in which the host's own addresses are looked up before any VRF's table.
    pub(super) local_first: BTreeSet<Family>,
    /// The families in which the namespace as a whole does not forward.
    pub(super) at_rest: BTreeSet<Family>,
    /// Settings of the namespace as a whole, of which no event tells, are not as we make them.
    pub(super) unsettled: bool,
}

/// An entry that belongs to a link.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Address(u32, IpNet),
    Neighbour(u32, IpAddr),
    VxlanFdb(u32, Mac, IpAddr),
    BridgeFdb(u32, Mac),
    /// Whether what is for an address is delivered.
    Delivery(u32, IpAddr),
    Proxy(u32, IpAddr),
    Label(MplsLabel),
}

/// What a fact changed.
pub(super) enum Touched {
    Nothing,
    Unknown,
    Link(u32),
    /// A link that is gone, and what was routed over it.
    Gone(u32, IfName, Vec<(u32, IpNet)>),
    Entry(Entry),
    Route((u32, IpNet)),
    Routes(Vec<(u32, IpNet)>),
    /// The namespace as a whole.
    Place,
    /// What comes in by a link is routed by a table, or no longer.
    Ingress(u32, IfName),
    /// Steering out of a link.
    Steering(u32),
    /// All filters of a link: what it is itself by them, and steering.
    Filters(u32),
    /// From one entry to the other.
    Moved(Entry, Entry),
    /// The last IPv4 address of a link went: the kernel drops the IPv4 routes out of it, and does not say so.
    LastAddress(u32, IpNet),
    /// A link lost its carrier, and with it the next hops on it, here with their routes.
    LinkAnd(u32, Vec<(u32, IpNet)>),
    /// A link went down: the same, and the next hops on it, here with their routes, and what it answered for.
    LinkDown(u32, Vec<(u32, IpNet)>),
}

impl Table {
    pub(super) fn new(has_places: bool) -> Self {
        Self { has_places, ..Self::default() }
    }

    /// Writes a fact down; `loading` if it is one of a full dump.
    pub(super) fn record(&mut self, fact: Fact, loading: bool) -> Touched {
        self.doubt_proxies(&fact);
        if self.has_places {
            self.doubt_ways(&fact);
        }
        match fact {
            Fact::Link(_)
            | Fact::LinkGone(_)
            | Fact::PortFlags { .. }
            | Fact::Guard { .. }
            | Fact::Steered { .. }
            | Fact::FiltersGone(_) => self.of_links(fact),
            Fact::Address { .. }
            | Fact::AddressGone { .. }
            | Fact::Neighbour { .. }
            | Fact::Delivery { .. }
            | Fact::Proxy { .. }
            | Fact::VxlanFdb { .. }
            | Fact::BridgeFdb { .. } => self.of_entries(fact, loading),
            Fact::Route { .. }
            | Fact::RouteGone { .. }
            | Fact::StrangersRouteGone(_)
            | Fact::NextHop { .. }
            | Fact::NextHopGone(_)
            | Fact::Label { .. } => self.of_routes(fact, loading),
            Fact::LastResort { .. }
            | Fact::LocalFirst { .. }
            | Fact::Ingress { .. }
            | Fact::MarkRule { .. }
            | Fact::Forwarding { .. }
            | Fact::Proxies { .. } => self.setting(&fact),
        }
    }

    fn of_links(&mut self, fact: Fact) -> Touched {
        match fact {
            Fact::Link(link) => self.link(link),
            Fact::LinkGone(link) => {
                let Some(gone) = self.links.remove(&link) else { return Touched::Nothing };
                if self.names.get(&gone.name) == Some(&link) {
                    self.names.remove(&gone.name);
                }
                Touched::Gone(link, gone.name, self.routes.lose_link(link))
            }
            Fact::PortFlags { link, flags } => match self.links.get_mut(&link) {
                Some(raw) if raw.port != flags => {
                    raw.port = flags;
                    Touched::Link(link)
                }
                Some(_) => Touched::Nothing,
                None => Touched::Unknown,
            },
            Fact::Guard { link, there } => {
                let changed = if there { self.guards.insert(link) } else { self.guards.remove(&link) };
                if changed { Touched::Link(link) } else { Touched::Nothing }
            }
            Fact::Steered { link, filter, there } => self.filter(link, filter, there),
            Fact::FiltersGone(link) => {
                let steered = self.filters.remove(&link).is_some();
                let guarded = self.guards.remove(&link);
                if guarded || steered { Touched::Filters(link) } else { Touched::Nothing }
            }
            _ => Touched::Nothing,
        }
    }

    fn of_entries(&mut self, fact: Fact, loading: bool) -> Touched {
        let knows = |link: u32| loading || self.links.contains_key(&link);
        match fact {
            Fact::Address { link, address, ours } if knows(link) => {
                self.addresses.insert((link, address), ours);
                Touched::Entry(Entry::Address(link, address))
            }
            Fact::AddressGone { link, address } => self.address_gone(link, address),
            Fact::Neighbour { link, address, mac } => {
                let changed = match mac {
                    Some(_) if !knows(link) => return Touched::Unknown,
                    Some(mac) => self.neighbours.insert((link, address), mac) != Some(mac),
                    None => self.neighbours.remove(&(link, address)).is_some(),
                };
                entry(changed, Entry::Neighbour(link, address))
            }
            Fact::Delivery { table, address, link, there } => {
                let changed = if there {
                    self.deliveries.insert((link, address), table) != Some(table)
                } else {
                    self.deliveries.remove(&(link, address)).is_some()
                };
                entry(changed, Entry::Delivery(link, address))
            }
            Fact::Proxy { link, address, there } if !there || knows(link) => {
                if there {
                    self.proxies.insert((link, address), ());
                } else {
                    self.proxies.remove(&(link, address));
                }
                Touched::Entry(Entry::Proxy(link, address))
            }
            Fact::VxlanFdb { link, mac, destination, vni, there } if !there || knows(link) => {
                if there && !loading && mac != Mac::ZERO {
                    // A replacement is told as what is new, without a word of what it replaced.
                    let others: Vec<_> = self.of_address(link, mac).map(|(other, _)| other).collect();
                    for other in others.into_iter().filter(|other| *other != destination) {
                        self.vxlan_fdb.remove(&(link, mac, other));
                    }
                }
                let key = (link, mac, destination);
                let changed = if there {
                    self.vxlan_fdb.insert(key, vni) != Some(vni)
                } else {
                    self.vxlan_fdb.remove(&key).is_some()
                };
                entry(changed, Entry::VxlanFdb(link, mac, destination))
            }
            Fact::BridgeFdb { link, mac, entry, there } if !there || knows(link) => {
                self.bridge_fdb((link, mac), entry, there)
            }
            _ => Touched::Unknown,
        }
    }

    fn of_routes(&mut self, fact: Fact, loading: bool) -> Touched {
        match fact {
            Fact::Route { table, destination, route } => {
                let knows = |link: u32| loading || self.links.contains_key(&link);
                self.routes.route((table, destination), route, knows)
            }
            Fact::RouteGone { table, destination, priority } => {
                self.routes.gone((table, destination), priority)
            }
            Fact::NextHop { id, hop, ours } => Touched::Routes(self.routes.next_hop(id, hop, ours)),
            Fact::NextHopGone(id) => Touched::Routes(self.routes.lose_next_hop(id)),
            Fact::Label { label, to } => {
                let changed = match to {
                    Some(to) => self.labels.insert(label, to) != Some(to),
                    None => self.labels.remove(&label).is_some(),
                };
                entry(changed, Entry::Label(label))
            }
            _ => Touched::Nothing,
        }
    }

    /// What keeps VRFs apart, and what links do for others.
    fn setting(&mut self, fact: &Fact) -> Touched {
        match *fact {
            Fact::LastResort { table, family, there } => {
                let at = (table, family);
                let changed =
                    if there { self.last_resorts.insert(at) } else { self.last_resorts.remove(&at) };
                let own = table.checked_sub(INGRESS_OFFSET).unwrap_or(table);
                match self.vrfs.get(&own) {
                    _ if !changed => Touched::Nothing,
                    Some(device) => Touched::Link(*device),
                    None => Touched::Place,
                }
            }
            Fact::MarkRule { table, family, there } => {
                let at = (table, family);
                let changed = if there { self.mark_rules.insert(at) } else { self.mark_rules.remove(&at) };
                let device = table.checked_sub(INGRESS_OFFSET).and_then(|own| self.vrfs.get(&own));
                device.filter(|_| changed).map_or(Touched::Nothing, |device| Touched::Link(*device))
            }
            Fact::Ingress { link, table, family, there } => self.set_ingress((table, link), family, there),
            Fact::LocalFirst { family, there } => {
                let changed =
                    if there { self.local_first.insert(family) } else { self.local_first.remove(&family) };
                if changed { Touched::Place } else { Touched::Nothing }
            }
            Fact::Forwarding { link: None, family, on } => {
                let changed = if on { self.at_rest.remove(&family) } else { self.at_rest.insert(family) };
                if changed { Touched::Place } else { Touched::Nothing }
            }
            Fact::Forwarding { link: Some(link), family, on } => self
                .set_of_link(link, |raw| std::mem::replace(&mut raw.forwarding[family as usize], on) != on),
            Fact::Proxies { link, family, on } => {
                self.set_of_link(link, |raw| std::mem::replace(&mut raw.proxies[family as usize], on) != on)
            }
            _ => Touched::Nothing,
        }
    }

    /// The families in which what comes in by a link is routed by a table: by a rule that names the link, but in IPv6 where the
    /// link is in a VRF device. There rules are asked as if all had come in by the device, and the link marks what comes in.
    pub(super) fn ingress(&self, table: u32, link: IfName) -> BTreeSet<Family> {
        let mut families = self.ingresses.get(&(table, link)).cloned().unwrap_or_default();
        if self.has_places {
            let filter = self.names.get(&link).and_then(|index| self.filters.get(index));
            families.remove(&Family::Ipv6);
            families.extend(filter.filter(|filter| filter.marks_all(table)).map(|_| Family::Ipv6));
        }
        families
    }

    /// What may be routed by marks of what comes in by a link of this name.
    pub(super) fn marked_ingresses(&self, link: IfName) -> Vec<(u32, IfName)> {
        let of_it = self.ingresses.keys().filter(|(_, name)| *name == link && self.has_places);
        of_it.copied().collect()
    }

    fn set_ingress(&mut self, at: (u32, IfName), family: Family, there: bool) -> Touched {
        let families = self.ingresses.entry(at).or_default();
        let changed = if there { families.insert(family) } else { families.remove(&family) };
        if families.is_empty() {
            self.ingresses.remove(&at);
        }
        if changed { Touched::Ingress(at.0, at.1) } else { Touched::Nothing }
    }

    /// Of a link that is not known yet, it is told again with the link.
    fn set_of_link(&mut self, link: u32, set: impl FnOnce(&mut RawLink) -> bool) -> Touched {
        let changed = self.links.get_mut(&link).is_some_and(set);
        if changed { Touched::Link(link) } else { Touched::Nothing }
    }

    /// A filter of ours that steers is there, or there is none at a link.
    fn filter(&mut self, link: u32, filter: RawFilter, there: bool) -> Touched {
        let changed = if there {
            self.filters.insert(link, filter.clone()) != Some(filter)
        } else {
            self.filters.remove(&link).is_some()
        };
        if changed { Touched::Steering(link) } else { Touched::Nothing }
    }

    fn link(&mut self, link: RawLink) -> Touched {
        let index = link.index;
        let before = self.links.get(&index);
        if before == Some(&link) {
            return Touched::Nothing;
        }
        let went_down = before.is_some_and(|before| before.up) && !link.up;
        let lost_carrier = before.is_some_and(|before| before.runs) && !link.runs;
        if let Some(before) = before
            && self.names.get(&before.name) == Some(&index)
        {
            self.names.remove(&before.name);
        }
        if let RawKind::Vrf { table } = link.kind {
            self.vrfs.insert(table, index);
        }
        self.names.insert(link.name, index);
        self.links.insert(index, link);
        // Without a carrier, a link loses the next hops on it.
        let routes = if lost_carrier || went_down { self.routes.lose_link_hops(index) } else { Vec::new() };
        if !went_down {
            return if routes.is_empty() { Touched::Link(index) } else { Touched::LinkAnd(index, routes) };
        }
        Touched::LinkDown(index, routes)
    }

    fn address_gone(&mut self, link: u32, address: IpNet) -> Touched {
        if self.addresses.remove(&(link, address)).is_none() {
            return Touched::Nothing;
        }
        let has_ipv4 = of_link(&self.addresses, link).any(|((_, other), _)| other.addr().is_ipv4());
        if address.addr().is_ipv4() && !has_ipv4 {
            // With its last IPv4 address a link loses IPv4, and the routes out of it.
            return Touched::LastAddress(link, address);
        }
        Touched::Entry(Entry::Address(link, address))
    }

    /// A bridge has an address at one port; when it moves to another, only the new one is told.
    fn bridge_fdb(&mut self, key: (u32, Mac), entry: RawBridgeFdb, there: bool) -> Touched {
        let (link, mac) = key;
        let at = (entry.bridge, mac);
        let left = self.fdb_ports.get(&at).copied().filter(|port| *port != link);
        if there && entry.made {
            self.fdb_ports.insert(at, link);
            self.bridge_fdb.insert(key, entry.bridge);
        } else if self.bridge_fdb.remove(&key).is_some() {
            self.fdb_ports.remove(&at);
        }
        match left.filter(|_| there) {
            Some(left) => {
                self.bridge_fdb.remove(&(left, mac));
                if !entry.made {
                    self.fdb_ports.remove(&at);
                }
                Touched::Moved(Entry::BridgeFdb(left, mac), Entry::BridgeFdb(link, mac))
            }
            None => Touched::Entry(Entry::BridgeFdb(link, mac)),
        }
    }

    /// The endpoints behind which a MAC address is.
    pub(super) fn of_address(&self, link: u32, mac: Mac) -> impl Iterator<Item = (IpAddr, Option<Vni>)> {
        let from = (link, mac, IpAddr::from([0; 4]));
        self.vxlan_fdb
            .range(from..)
            .take_while(move |((other, address, _), _)| (*other, *address) == (link, mac))
            .map(|((.., destination), vni)| (*destination, *vni))
    }

    pub(super) fn has_own_ipv6(&self, link: u32) -> bool {
        of_link(&self.addresses, link).any(|((_, address), ours)| *ours && address.addr().is_ipv6())
    }

    /// Whatever becomes of a link or of its addresses may have taken away what it answers for, even if all that is told of is
    /// as it was.
    fn doubt_proxies(&mut self, fact: &Fact) {
        let link = match fact {
            Fact::Link(link) => link.index,
            Fact::AddressGone { link, .. } => *link,
            _ => return,
        };
        if of_link(&self.proxies, link).next().is_some() {
            self.doubtful.insert(link);
        }
    }

    /// What becomes of links, addresses and routes that are not ours may lead a labelled path elsewhere; one that is new may not
    /// have been asked about.
    fn doubt_ways(&mut self, fact: &Fact) {
        let is_strangers = |link: u32| self.links.get(&link).is_some_and(|link| own_mark(link).is_none());
        let is_doubtful = match fact {
            Fact::Route { route: RawRoute { to: RawTo::Hop(hop), ours: true, .. }, .. }
            | Fact::NextHop { hop: RawNextHop::Hop(hop), ours: true, .. } => {
                if let RawHop { via: Some(via), labels, .. } = hop
                    && !labels.is_empty()
                {
                    self.ways.meet(*via);
                }
                false
            }
            Fact::Route { destination, route: RawRoute { ours: false, .. }, .. }
            | Fact::StrangersRouteGone(destination) => {
                self.ways.doubt(*destination);
                false
            }
            Fact::NextHop { ours, .. } => !ours,
            Fact::NextHopGone(id) => self.routes.is_strangers(*id),
            Fact::Link(link) => {
                let before = self.links.get(&link.index).map(|before| (before.up, before.runs));
                own_mark(link).is_none() && before != Some((link.up, link.runs))
            }
            Fact::LinkGone(link) | Fact::AddressGone { link, .. } => is_strangers(*link),
            _ => false,
        };
        if is_doubtful {
            self.ways.doubt_all();
        }
    }

    /// The IPv4 routes out of a link are gone, and so are those by which what is for its addresses is delivered; answers which.
    pub(super) fn lose_deliveries(&mut self, link: u32) -> Vec<Entry> {
        let of_it = of_link(&self.deliveries, link).map(|((_, address), _)| *address);
        let lost: Vec<IpAddr> = of_it.filter(IpAddr::is_ipv4).collect();
        self.deliveries.retain(|(other, address), _| *other != link || address.is_ipv6());
        lost.into_iter().map(|address| Entry::Delivery(link, address)).collect()
    }

    /// Drops what a link answered for; answers what that was.
    pub(super) fn lose_proxies(&mut self, link: u32) -> Vec<Entry> {
        let lost =
            of_link(&self.proxies, link).map(|((_, address), ())| Entry::Proxy(link, *address)).collect();
        drop_of_link(&mut self.proxies, link);
        lost
    }

    /// Drops what belonged to a link that is gone; the kernel does not tell of each.
    pub(super) fn forget_link(&mut self, link: u32) {
        drop_of_link(&mut self.addresses, link);
        drop_of_link(&mut self.neighbours, link);
        drop_of_link(&mut self.deliveries, link);
        drop_of_link(&mut self.proxies, link);
        drop_of_link(&mut self.bridge_fdb, link);
        self.fdb_ports.retain(|(bridge, _), port| *bridge != link && *port != link);
        let from = (link, Mac::ZERO, IpAddr::SMALLEST);
        let fdb: Vec<_> =
            self.vxlan_fdb.range(from..).map(|(key, _)| *key).take_while(|key| key.0 == link).collect();
        for key in fdb {
            self.vxlan_fdb.remove(&key);
        }
        self.guards.remove(&link);
        self.filters.remove(&link);
        self.vrfs.retain(|_, device| *device != link);
        self.labels.retain(|_, (to, _)| *to != link);
    }
}

fn entry(changed: bool, entry: Entry) -> Touched {
    if changed { Touched::Entry(entry) } else { Touched::Nothing }
}

/// The part of a map whose keys begin with `link`.
pub(super) fn of_link<K: Ord + Copy + Smallest, V>(
    map: &BTreeMap<(u32, K), V>,
    link: u32,
) -> impl Iterator<Item = (&(u32, K), &V)> {
    map.range((link, K::SMALLEST)..).take_while(move |((other, _), _)| *other == link)
}

fn drop_of_link<K: Ord + Copy + Smallest, V>(map: &mut BTreeMap<(u32, K), V>, link: u32) {
    let keys: Vec<(u32, K)> = of_link(map, link).map(|(key, _)| *key).collect();
    for key in keys {
        map.remove(&key);
    }
}

/// A type with a smallest value.
pub(super) trait Smallest {
    const SMALLEST: Self;
}

impl Smallest for IpNet {
    const SMALLEST: Self = Self::V4(ipnet::Ipv4Net::new_assert(std::net::Ipv4Addr::UNSPECIFIED, 0));
}

impl Smallest for IpAddr {
    const SMALLEST: Self = Self::V4(std::net::Ipv4Addr::UNSPECIFIED);
}

impl Smallest for Mac {
    const SMALLEST: Self = Self::ZERO;
}
