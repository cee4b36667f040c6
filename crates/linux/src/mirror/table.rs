//! What one namespace has, raw, by index of link.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;
use weft_net::{IfName, Mac};

use super::View;
use crate::parse::{Fact, RawBridgeFdb, RawLink, RawRoute};

#[derive(Default)]
pub(super) struct Table {
    pub(super) links: BTreeMap<u32, RawLink>,
    pub(super) names: HashMap<IfName, u32>,
    /// What each link was last taken for.
    pub(super) views: HashMap<u32, View>,
    /// All addresses, and whether each is ours.
    pub(super) addresses: BTreeMap<(u32, IpNet), bool>,
    pub(super) neighbours: BTreeMap<(u32, IpAddr), Mac>,
    pub(super) vxlan_fdb: BTreeSet<(u32, Mac, IpAddr)>,
    /// What somebody made in the tables of bridges, and the port at which each bridge has each address.
    pub(super) bridge_fdb: BTreeMap<(u32, Mac), u32>,
    fdb_ports: HashMap<(u32, Mac), u32>,
    pub(super) routes: BTreeMap<(u32, IpNet), RawRoute>,
    pub(super) routes_by_link: BTreeSet<(u32, u32, IpNet)>,
    pub(super) guards: HashSet<u32>,
}

/// An entry that belongs to a link.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    Address(u32, IpNet),
    Neighbour(u32, IpAddr),
    VxlanFdb(u32, Mac, IpAddr),
    BridgeFdb(u32, Mac),
    Route(u32, IpNet),
}

/// What a fact changed.
pub(super) enum Touched {
    Nothing,
    Unknown,
    Link(u32),
    Gone(u32),
    Entry(Entry),
    /// From one entry to the other.
    Moved(Entry, Entry),
    /// The last IPv4 address of a link went: the kernel drops the IPv4 routes out of it, and does not say so.
    LastAddress(u32, IpNet),
    /// A link went down: the same.
    LinkDown(u32),
}

impl Table {
    /// Writes a fact down; `loading` if it is one of a full dump.
    pub(super) fn record(&mut self, fact: Fact, loading: bool) -> Touched {
        let knows = |table: &Self, link: u32| loading || table.links.contains_key(&link);
        match fact {
            Fact::Link(link) => return self.link(link),
            Fact::LinkGone(link) => {
                let Some(gone) = self.links.remove(&link) else { return Touched::Nothing };
                if self.names.get(&gone.name) == Some(&link) {
                    self.names.remove(&gone.name);
                }
                return Touched::Gone(link);
            }
            Fact::PortFlags { link, flags } => {
                return match self.links.get_mut(&link) {
                    Some(raw) if raw.port != flags => {
                        raw.port = flags;
                        Touched::Link(link)
                    }
                    Some(_) => Touched::Nothing,
                    None => Touched::Unknown,
                };
            }
            Fact::Guard { link, there } => {
                let changed = if there { self.guards.insert(link) } else { self.guards.remove(&link) };
                return if changed { Touched::Link(link) } else { Touched::Nothing };
            }
            Fact::Address { link, address, ours } if knows(self, link) => {
                self.addresses.insert((link, address), ours);
                return Touched::Entry(Entry::Address(link, address));
            }
            Fact::AddressGone { link, address } => return self.address_gone(link, address),
            Fact::Neighbour { link, address, mac } => {
                let changed = match mac {
                    Some(_) if !knows(self, link) => return Touched::Unknown,
                    Some(mac) => self.neighbours.insert((link, address), mac) != Some(mac),
                    None => self.neighbours.remove(&(link, address)).is_some(),
                };
                return entry(changed, Entry::Neighbour(link, address));
            }
            Fact::VxlanFdb { link, mac, destination, there } if !there || knows(self, link) => {
                if there && !loading && mac != Mac::ZERO {
                    // A replacement is told as what is new, without a word of what it replaced.
                    let others: Vec<_> = self.of_address(link, mac).collect();
                    for other in others {
                        self.vxlan_fdb.remove(&(link, mac, other));
                    }
                }
                let key = (link, mac, destination);
                let changed = if there { self.vxlan_fdb.insert(key) } else { self.vxlan_fdb.remove(&key) };
                return entry(changed, Entry::VxlanFdb(link, mac, destination));
            }
            Fact::BridgeFdb { link, mac, entry, there } if !there || knows(self, link) => {
                return self.bridge_fdb((link, mac), entry, there);
            }
            Fact::Route { table, destination, route } => {
                return self.route((table, destination), route, loading);
            }
            Fact::RouteGone { table, destination, priority } => {
                let key = (table, destination);
                if self.routes.get(&key).is_none_or(|route| route.priority != priority) {
                    return Touched::Nothing;
                }
                self.remove_route(key);
                return Touched::Entry(Entry::Route(table, destination));
            }
            Fact::Address { .. } | Fact::VxlanFdb { .. } | Fact::BridgeFdb { .. } => {}
        }
        Touched::Unknown
    }

    fn link(&mut self, link: RawLink) -> Touched {
        let index = link.index;
        let before = self.links.get(&index);
        if before == Some(&link) {
            return Touched::Nothing;
        }
        let went_down = before.is_some_and(|before| before.up) && !link.up;
        if let Some(before) = before
            && self.names.get(&before.name) == Some(&index)
        {
            self.names.remove(&before.name);
        }
        self.names.insert(link.name, index);
        self.links.insert(index, link);
        if went_down { Touched::LinkDown(index) } else { Touched::Link(index) }
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

    fn route(&mut self, key: (u32, IpNet), route: RawRoute, loading: bool) -> Touched {
        let before = self.routes.get(&key).copied();
        if !route.ours {
            return match before {
                Some(before) if route.replaces && before.priority == route.priority => {
                    self.remove_route(key);
                    Touched::Entry(Entry::Route(key.0, key.1))
                }
                _ => Touched::Nothing,
            };
        }
        if !loading && !self.links.contains_key(&route.link) {
            return Touched::Unknown;
        }
        self.remove_route(key);
        self.routes.insert(key, route);
        self.routes_by_link.insert((route.link, key.0, key.1));
        entry(before != Some(route), Entry::Route(key.0, key.1))
    }

    pub(super) fn remove_route(&mut self, key: (u32, IpNet)) {
        if let Some(route) = self.routes.remove(&key) {
            self.routes_by_link.remove(&(route.link, key.0, key.1));
        }
    }

    /// The routes out of a link: table and destination.
    pub(super) fn routes_of(&self, link: u32) -> impl Iterator<Item = (u32, IpNet)> {
        let from = (link, 0, IpNet::from(IpAddr::from([0; 4])));
        self.routes_by_link
            .range(from..)
            .take_while(move |(other, ..)| *other == link)
            .map(|(_, table, destination)| (*table, *destination))
    }

    /// The endpoints behind which a MAC address is.
    pub(super) fn of_address(&self, link: u32, mac: Mac) -> impl Iterator<Item = IpAddr> {
        let from = (link, mac, IpAddr::from([0; 4]));
        self.vxlan_fdb
            .range(from..)
            .take_while(move |(other, address, _)| (*other, *address) == (link, mac))
            .map(|(.., destination)| *destination)
    }

    pub(super) fn has_own_ipv6(&self, link: u32) -> bool {
        of_link(&self.addresses, link).any(|((_, address), ours)| *ours && address.addr().is_ipv6())
    }

    /// Drops what belonged to a link that is gone; the kernel does not tell of each.
    pub(super) fn forget_link(&mut self, link: u32) {
        let routes: Vec<_> = self.routes_of(link).collect();
        for key in routes {
            self.remove_route(key);
        }
        drop_of_link(&mut self.addresses, link);
        drop_of_link(&mut self.neighbours, link);
        drop_of_link(&mut self.bridge_fdb, link);
        self.fdb_ports.retain(|(bridge, _), port| *bridge != link && *port != link);
        let from = (link, Mac::ZERO, IpAddr::SMALLEST);
        let fdb: Vec<_> = self.vxlan_fdb.range(from..).take_while(|key| key.0 == link).copied().collect();
        for key in fdb {
            self.vxlan_fdb.remove(&key);
        }
        self.guards.remove(&link);
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
